//! A directory for temporary files that lives as long as its sandbox.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{JailError, Step};

/// Where they are made.
const BASE: &str = "/tmp";
/// How their names begin; where the spawner's id counts, that id and a number follow.
const PREFIX: &str = "aether-jail-";
/// How many names are tried if somebody made one before us.
const NAMES_MAX: u64 = 64;

/// Such a directory. Dropping it removes it with everything in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one, for nobody but this user.
    pub(crate) fn make(id: u64) -> Result<Scratch, JailError> {
        let failed = |errno| JailError::at(Step::Place, BASE)(errno);
        for number in 0..NAMES_MAX {
            let path = Path::new(BASE).join(format!("{}{}-{id}-{number}", prefix(), std::process::id()));
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) => return Ok(Scratch { path }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(failed(Errno::EXIST))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it. Whatever is in there was made by a stranger: nothing is followed, and no depth of directories
    /// takes more than one step.
    pub(crate) fn remove(&self) {
        if let Ok(top) = open(CWD, &self.path) {
            let mut moved = 0;
            while empty(top.as_fd(), &mut moved).is_ok_and(|found| found == Found::More) {}
        }
        // What stays behind is swept by the next spawner.
        let _removed = rustix::fs::unlinkat(CWD, &self.path, AtFlags::REMOVEDIR);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes what spawners left that are gone.
pub(crate) fn sweep() {
    let Ok(entries) = std::fs::read_dir(BASE) else { return };
    let own = prefix();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(&own)?.split('-').next()?.parse::<u32>().ok());
        let Some(owner) = owner else { continue };
        if is_gone(owner) && is_own(&entry.path()) {
            Scratch { path: entry.path() }.remove();
        }
    }
}

/// How the names of those begin whose spawners' ids mean the same here: containers may share a directory, and have ids
/// of their own.
fn prefix() -> String {
    let space = rustix::fs::stat("/proc/self/ns/pid").map_or(0, |found| found.st_ino);
    format!("{PREFIX}{space:x}-")
}

/// Whether a process has ended, also if nobody took note of that. A spawner has one thread, so nothing of it goes on.
fn is_gone(process: u32) -> bool {
    match std::fs::read(format!("/proc/{process}/stat")) {
        // The state follows the name, which may have anything in it (proc_pid_stat(5)).
        Ok(stat) => {
            let end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(stat.len());
            matches!(stat.get(end..), Some([b')', b' ', b'Z' | b'X', ..]))
        }
        Err(error) => matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)),
    }
}

fn is_own(path: &Path) -> bool {
    rustix::fs::lstat(path).is_ok_and(|found| found.st_uid == rustix::process::geteuid().as_raw())
}

/// Whether a directory may have more in it.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    More,
}

fn open(at: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // Its maker may have taken its own rights away. A link is not followed here either: it would not have
            // answered so.
            rustix::fs::chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(at, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    rustix::fs::fchmod(&opened, Mode::RWXU)?;
    Ok(opened)
}

/// Removes what is directly in the directory. A directory in a directory in it comes up to it, for the next time.
fn empty(top: BorrowedFd<'_>, moved: &mut u64) -> Result<Found, Errno> {
    let mut found = Found::Nothing;
    for name in names(top)? {
        found = Found::More;
        if rustix::fs::unlinkat(top, name.as_c_str(), AtFlags::empty()).is_ok()
            || rustix::fs::unlinkat(top, name.as_c_str(), AtFlags::REMOVEDIR).is_ok()
        {
            continue;
        }
        let folder = open(top, name.as_c_str())?;
        for inner in names(folder.as_fd())? {
            if rustix::fs::unlinkat(&folder, inner.as_c_str(), AtFlags::empty()).is_ok() {
                continue;
            }
            *moved += 1;
            // A directory, since it cannot be unlinked: it is changed by being moved.
            rustix::fs::chmodat(&folder, inner.as_c_str(), Mode::RWXU, AtFlags::empty())?;
            rustix::fs::renameat(&folder, inner.as_c_str(), top, format!(".aether-{moved}"))?;
        }
        rustix::fs::unlinkat(top, name.as_c_str(), AtFlags::REMOVEDIR)?;
    }
    Ok(found)
}

/// The names in a directory, without itself and the one above.
fn names(folder: BorrowedFd<'_>) -> Result<Vec<std::ffi::CString>, Errno> {
    let mut found = Vec::new();
    let mut entries = rustix::fs::Dir::read_from(folder)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push(entry.file_name().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j7_a_spawner_that_has_ended_is_gone_before_anybody_takes_note() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(!is_gone(std::process::id()));
        while !is_gone(child.id()) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(Path::new(&format!("/proc/{}", child.id())).exists(), "it was not waited for");
        child.wait().unwrap();
        assert!(is_gone(child.id()));
    }

    #[test]
    fn j7_what_a_stranger_made_goes_whatever_it_is() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("file"), "kept").unwrap();
        let scratch = Scratch::make(u64::from(std::process::id())).unwrap();
        let path = scratch.path().to_owned();
        let mut deep = path.clone();
        for _ in 0..40 {
            deep.push("a");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("link")).unwrap();
        std::fs::create_dir(path.join("closed")).unwrap();
        std::fs::write(path.join("closed/file"), "x").unwrap();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        std::fs::set_permissions(path.join("closed"), closed).unwrap();
        drop(scratch);
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(outside.path().join("file")).unwrap(), "kept");
    }
}
