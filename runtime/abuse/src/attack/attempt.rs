//! What an attempt gives, the words it is started with, and raw system calls.

use std::ffi::{CString, c_long};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

/// What an attack found: how it got through, or what stopped it.
pub(crate) type Attempt = Result<String, Stopped>;

/// A verb and what it does.
pub(crate) type Verb = (&'static str, fn(&Words) -> Attempt);

/// Why an attack did not get through.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The system answered with an error.
    By(io::Error),
    /// The call went through and there was nothing to be had.
    Nothing(String),
    /// The attack's own precondition failed: no statement about the jail.
    Unclear(String),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Stopped {
        Stopped::By(error)
    }
}

/// Makes what went wrong before the attack proper a failed precondition.
pub(crate) fn first<T>(what: &str, result: io::Result<T>) -> Result<T, Stopped> {
    result.map_err(|error| Stopped::Unclear(format!("{what}: {error}")))
}

/// The words after the verb.
pub(crate) struct Words(Vec<String>);

impl Words {
    pub(crate) fn of(words: Vec<String>) -> Words {
        Words(words)
    }

    pub(crate) fn text(&self, place: usize) -> Result<&str, Stopped> {
        let word = self.0.get(place).map(String::as_str);
        word.ok_or_else(|| Stopped::Unclear(format!("word {place} is missing")))
    }

    pub(crate) fn path(&self, place: usize) -> Result<&Path, Stopped> {
        self.text(place).map(Path::new)
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, place: usize) -> Result<T, Stopped> {
        let text = self.text(place)?;
        text.parse().map_err(|_| Stopped::Unclear(format!("`{text}` is no number in range")))
    }
}

/// Says what came out, in one line.
pub(crate) fn report(outcome: &Attempt) -> ExitCode {
    let (line, code) = match outcome {
        Ok(how) => (format!("breached: {how}"), 0),
        Err(Stopped::By(error)) => (format!("held: {} {error}", errno_name(error)), 10),
        Err(Stopped::Nothing(what)) => (format!("held: NOTHING {what}"), 10),
        Err(Stopped::Unclear(why)) => (format!("cannot tell: {why}"), 20),
    };
    // A full or closed stdout leaves the exit code.
    let _ = writeln!(io::stdout(), "{}", line.replace('\n', " "));
    ExitCode::from(code)
}

/// The symbolic name of an error's number.
fn errno_name(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return format!("{:?}", error.kind()).to_uppercase() };
    let known = NAMES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("E{number}"), |(_, name)| (*name).to_owned())
}

macro_rules! names { ($($name:ident)*) => { &[$((libc::$name, stringify!($name))),*] } }

const NAMES: &[(i32, &str)] = names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV
    ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC EROFS EMLINK EPIPE ENOSYS ELOOP EOVERFLOW ENOKEY
    EPROTONOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRNOTAVAIL ENETUNREACH ECONNRESET ECONNREFUSED EHOSTUNREACH
    ETIMEDOUT ENOTCONN ESTALE EUSERS ESOCKTNOSUPPORT EDQUOT EXFULL ENAMETOOLONG ENOTEMPTY
};

/// One raw system call with up to six arguments.
pub(crate) fn call(number: c_long, given: &[usize]) -> io::Result<usize> {
    let mut args = [0usize; 6];
    for (slot, value) in args.iter_mut().zip(given) {
        *slot = *value;
    }
    // SAFETY: the caller passes numbers, or pointers to memory that outlives the call; the kernel checks the rest.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.cast_unsigned() as usize) }
}

/// The path as the kernel takes it.
pub(crate) fn terminated(path: &Path) -> Result<CString, Stopped> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Stopped::Unclear("a path with a NUL".to_owned()))
}

/// The address of a path for [`call`]; the string must outlive the call.
pub(crate) fn address(path: &CString) -> usize {
    path.as_ptr() as usize
}

/// Runs `act` in a forked child and gives the child's wait status.
pub(crate) fn in_child(act: impl FnOnce() -> i32) -> io::Result<i32> {
    let child = fork()?;
    if child == 0 {
        let code = act();
        // SAFETY: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(code) };
    }
    wait(child)
}

/// Forks; 0 in the child.
pub(crate) fn fork() -> io::Result<i32> {
    // SAFETY: this program has one thread whenever it forks.
    let child = unsafe { libc::fork() };
    if child < 0 { Err(io::Error::last_os_error()) } else { Ok(child) }
}

/// Waits for a child.
pub(crate) fn wait(child: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: `status` is a live integer.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    if ended < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}
