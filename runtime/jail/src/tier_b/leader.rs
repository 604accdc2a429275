//! The first process of a jail without namespaces: it stays outside the rules that hold the program, everything that the
//! program leaves comes to it, and it ends when nothing is left.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Scratch, rules, sweep};
use crate::child::{Birth, GO, RECORD_BYTES, close_others, program, report};
use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::identity::outside;
use crate::limits;
use crate::plan::{Command, Limits, Strength};
use crate::socket;
use crate::sys::{self, Reaped, Side, Wait};
use std::os::fd::AsFd;

/// Becomes the first process.
pub(crate) fn lead(birth: &mut Birth<'_>) -> Result<Infallible, JailError> {
    let mut keep = vec![birth.line.as_raw_fd(), birth.status.as_raw_fd()];
    keep.extend(birth.streams.iter().flatten().map(AsRawFd::as_raw_fd));
    keep.extend(birth.doors.iter().map(AsRawFd::as_raw_fd));
    close_others(&mut keep)?;
    sys::hold_signals();
    for door in birth.doors.drain(..) {
        // `0` is whoever writes it (cgroups(7)).
        rustix::io::write(&door, b"0").map_err(JailError::at(Step::Group, "(enter it)"))?;
    }
    let spawner = rustix::process::getppid();
    if is_on(Control::Pdeathsig) {
        // Not the signal that kills: what it leads has to end first.
        let signal = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
        signal.map_err(JailError::at(Step::Parent, ""))?;
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(JailError::at(Step::Parent, ""))?;
    let go = socket::receive(&birth.line).map_err(JailError::at(Step::Parent, ""))?;
    if go.bytes != [GO] || rustix::process::getppid() != spawner {
        sys::exit(0);
    }
    drop_rights()?;
    match sys::fork().map_err(JailError::at(Step::Fork, ""))? {
        Side::Child => {
            let own = rustix::process::getppid();
            let Err(error) = stay_with(own).and_then(|()| program(birth, Strength::Approximate));
            report(birth.line.as_fd(), &error);
            sys::exit(127)
        }
        Side::Parent(program, _) => supervise(birth, program, spawner),
    }
}

/// The program ends with the process that leads it.
fn stay_with(leader: Option<Pid>) -> Result<(), JailError> {
    if is_on(Control::Pdeathsig) {
        let signal = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        signal.map_err(JailError::at(Step::Parent, ""))?;
    }
    if rustix::process::getppid() != leader {
        sys::exit(0);
    }
    Ok(())
}

/// Gives up whatever right an ordinary user may have been given, and the way to others.
fn drop_rights() -> Result<(), JailError> {
    if is_on(Control::Capabilities) {
        if rustix::process::geteuid().is_root() {
            // In a namespace that somebody else made.
            sys::lock_rights().map_err(JailError::at(Step::Capabilities, ""))?;
        }
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::clear_ambient_capability_set()
            .and_then(|()| rustix::thread::set_capabilities(None, sets))
            .map_err(JailError::at(Step::Capabilities, ""))?;
    }
    if is_on(Control::NoNewPrivs) {
        rustix::thread::set_no_new_privs(true).map_err(JailError::at(Step::Privileges, ""))?;
    }
    Ok(())
}

/// In the program's process: its limits and its rules, and whether they hold.
pub(crate) fn hold(birth: &Birth<'_>, scratch: &Scratch) -> Result<(), JailError> {
    let plan = birth.plan;
    // Looked at before the rules hide where it is written.
    if is_first_user() {
        return Err(JailError::Step { step: Step::Check, what: "(the user is the first)".into(), errno: libc::EPERM });
    }
    // The kernel counts by user, so what the user has already comes on top.
    let processes_max = plan.limits.processes_max.saturating_add(processes_of_user());
    limits::apply(&Limits { processes_max, ..plan.limits }, birth.memory)?;
    if is_on(Control::Landlock) {
        rules::restrict(plan, birth.known.protection.places(), (scratch.path(), birth.landlock_abi))?;
    }
    check()
}

fn check() -> Result<(), JailError> {
    let failed = |what: &str| JailError::Step { step: Step::Check, what: what.into(), errno: libc::EPERM };
    let sets = rustix::thread::capabilities(None).map_err(JailError::at(Step::Check, "capabilities"))?;
    if is_on(Control::Capabilities) && !(sets.effective | sets.permitted | sets.inheritable).is_empty() {
        return Err(failed("(capabilities are left)"));
    }
    if is_on(Control::NoNewPrivs) && rustix::thread::no_new_privs() != Ok(true) {
        return Err(failed("(new privileges can be had)"));
    }
    // Everybody may list the top directory, and no plan grants it: whoever still can is held by no rule.
    let top =
        rustix::fs::open("/", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
    if is_on(Control::Landlock) && top.err() != Some(Errno::ACCESS) {
        return Err(failed("(files that are not granted can be opened)"));
    }
    Ok(())
}

/// Whether this process is the machine's first user, and not merely called so in a namespace.
pub(super) fn is_first_user() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_first = |uid: rustix::process::Uid| outside(&map, uid.as_raw()).is_none_or(|uid| uid == 0);
    let ids = [rustix::process::getuid(), rustix::process::geteuid()];
    ids.into_iter().any(|uid| uid.is_root() && is_first(uid))
}

/// Processes and threads that this user has on the machine.
fn processes_of_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    let uid = rustix::process::getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let is_process = |name: &OsString| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let mut count = 0_u32;
    for entry in entries.flatten().filter(|entry| is_process(&entry.file_name())) {
        // Who has gone in the meantime does not count.
        let threads = entry.path().join("task").metadata();
        // A directory has a link for each directory in it, and two more.
        count +=
            threads.ok().filter(|found| found.uid() == uid).map_or(0, |found| found.nlink().saturating_sub(2) as u32);
    }
    count
}

/// Waits for the program, or for the word to end; ends everything, and says how it went.
fn supervise(birth: &mut Birth<'_>, program: i32, spawner: Option<Pid>) -> Result<Infallible, JailError> {
    birth.streams = None;
    let scratch = birth.scratch.take();
    let (line, status) = (birth.line.as_raw_fd(), birth.status.as_raw_fd());
    if is_on(Control::CloseFds) {
        sys::close_except(&mut [line, status]).map_err(JailError::at(Step::Descriptors, ""))?;
    }
    sys::close(line);
    let mut record = Record::default();
    loop {
        let is_over = match sys::next_signal() {
            libc::SIGTERM => true,
            libc::SIGCHLD => record.reap(program),
            _ => false,
        };
        if is_over {
            break;
        }
    }
    sweep::sweep(|reaped| record.add(reaped, program));
    // If nobody listens any more, nobody has to know.
    let _told = rustix::io::write(&birth.status, &record.bytes());
    if rustix::process::getppid() != spawner {
        // Nobody else will.
        drop(scratch);
    }
    sys::exit(0)
}

/// How the program ended, and what everything in the jail used.
#[derive(Default)]
struct Record {
    status: Option<i32>,
    cpu_us: u64,
    memory_bytes_peak: u64,
}

impl Record {
    fn add(&mut self, reaped: &Reaped, program: i32) {
        self.cpu_us += reaped.cpu_us;
        self.memory_bytes_peak = self.memory_bytes_peak.max(reaped.memory_bytes_peak);
        if reaped.pid == program {
            self.status = Some(reaped.status);
        }
    }

    /// Waits for those that have ended; true when the program is among them.
    fn reap(&mut self, program: i32) -> bool {
        while let Ok(Some(reaped)) = sys::reap(-1, Wait::Now) {
            self.add(&reaped, program);
        }
        self.status.is_some()
    }

    fn bytes(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let status = self.status.unwrap_or(libc::SIGKILL);
        bytes[..8].copy_from_slice(&i64::from(status).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.cpu_us.to_le_bytes());
        bytes[16..].copy_from_slice(&self.memory_bytes_peak.to_le_bytes());
        bytes
    }
}

/// The command as it is run here: what means the jail's own `/tmp` means the directory for temporary files.
pub(crate) fn adjusted(command: &Command, scratch: &Path) -> Command {
    let is_scratch = |path: &Path| path == Path::new("/tmp") || path == Path::new("/var/tmp");
    let mut env: Vec<(OsString, OsString)> = command.env.clone();
    for (_, value) in &mut env {
        if is_scratch(Path::new(value)) {
            *value = scratch.into();
        }
    }
    if !env.iter().any(|(name, _)| name == "TMPDIR") {
        env.push(("TMPDIR".into(), scratch.into()));
    }
    let cwd: PathBuf = if is_scratch(&command.cwd) { scratch.into() } else { command.cwd.clone() };
    Command { cwd, env, ..command.clone() }
}
