//! Places inside a writable grant that stay as they are: what programs of the host would run or believe.
//!
//! What exists is mounted over itself, read only. What does not exist is held by a placeholder, so that it cannot be
//! made: an empty file or directory that nobody can write, with a date that tells it from anything else. It lives as
//! long as somebody holds a shared lock on it; the last one takes it away. One that a killed spawner left is found by
//! its date, taken over, and taken away by the next.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use crate::binds::{is_same, resolve};
use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::plan::{Access, Plan};

/// One guarded place.
pub(crate) struct Guarded {
    /// Below the grant.
    pub(crate) path: &'static str,
    /// What holds its place where it is absent.
    pub(crate) absent: Absent,
    /// Whether what is in it can be changed; then it only cannot be moved away.
    pub(crate) stays_writable: bool,
    /// Whether it is guarded only where the grant looks like a home.
    pub(crate) at_home: bool,
}

/// What holds an absent place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// An empty file.
    File,
    /// An empty directory.
    Folder,
    /// Nothing, because an empty one would break the host's programs: if it appears, it is taken away afterwards.
    Swept,
}

const fn guarded(path: &'static str, absent: Absent) -> Guarded {
    Guarded { path, absent, stays_writable: false, at_home: false }
}

const fn at_home(path: &'static str) -> Guarded {
    Guarded { path, absent: Absent::File, stays_writable: false, at_home: true }
}

/// The guarded places, parents first.
pub(crate) const GUARDED: &[Guarded] = &[
    Guarded { path: ".git", absent: Absent::Folder, stays_writable: true, at_home: false },
    guarded(".git/config", Absent::File),
    guarded(".git/hooks", Absent::Folder),
    guarded(".git/config.worktree", Absent::Swept),
    guarded(".git/commondir", Absent::Swept),
    guarded(".aether", Absent::Folder),
    guarded(".mcp.json", Absent::File),
    guarded(".vscode", Absent::Folder),
    guarded(".idea", Absent::Folder),
    guarded(".envrc", Absent::File),
    at_home(".bashrc"),
    at_home(".bash_profile"),
    at_home(".bash_login"),
    at_home(".bash_logout"),
    at_home(".profile"),
    at_home(".zshrc"),
    at_home(".zshenv"),
    at_home(".zprofile"),
    at_home(".zlogin"),
    at_home(".gitconfig"),
];

/// The date of a placeholder: 1 January 1970, one second and one nanosecond past midnight.
const DATE: Timespec = Timespec { tv_sec: 1, tv_nsec: 1 };
/// How often a placeholder that somebody else takes away at the same moment is made again.
const TRIES_MAX: u32 = 16;

/// One placeholder, or one place to sweep.
pub(crate) struct Placeholder {
    folder: OwnedFd,
    name: &'static str,
    /// Holds the lock; none for a place to sweep.
    lock: Option<OwnedFd>,
    is_folder: bool,
}

/// Opens a guarded place of a grant.
///
/// # Errors
/// When it is a symbolic link: what it stands for could be exchanged.
pub(crate) fn find(
    source: BorrowedFd<'_>,
    guarded: &Guarded,
    shown: &str,
) -> Result<Option<(OwnedFd, bool)>, JailError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(
        source,
        guarded.path,
        flags,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    ) {
        Ok(found) => {
            let stat = rustix::fs::fstat(&found).map_err(JailError::at(Step::Guard, guarded.path))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Ok(Some((found, true))),
                FileType::RegularFile => Ok(Some((found, false))),
                _ => Err(odd(guarded, shown)),
            }
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        // The jail's user cannot get there either.
        Err(Errno::ACCESS) => Ok(None),
        Err(Errno::LOOP | Errno::XDEV) => Err(odd(guarded, shown)),
        Err(errno) => Err(JailError::at(Step::Guard, guarded.path)(errno)),
    }
}

fn odd(guarded: &Guarded, shown: &str) -> JailError {
    JailError::Refused {
        what: format!("{}/{}", shown.trim_end_matches('/'), guarded.path),
        why: "is neither a file nor a directory, so that it cannot be guarded: replace it, or grant reading".into(),
    }
}

/// Makes the placeholders of a plan.
pub(crate) fn prepare(plan: &Plan) -> Result<Vec<Placeholder>, JailError> {
    let mut made = Vec::new();
    if !is_on(Control::Protected) {
        return Ok(made);
    }
    for bind in plan.binds.iter().filter(|bind| bind.access == Access::Write) {
        let shown = bind.source.to_string_lossy();
        let source = resolve(&bind.source).map_err(JailError::at(Step::Source, &shown))?;
        let stat = rustix::fs::fstat(&source).map_err(JailError::at(Step::Source, &shown))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            continue;
        }
        if let Err(error) = prepare_one(&source, &shown, &mut made) {
            clear(&mut made);
            return Err(error);
        }
    }
    Ok(made)
}

fn prepare_one(source: &OwnedFd, shown: &str, made: &mut Vec<Placeholder>) -> Result<(), JailError> {
    let mut is_home = false;
    for guarded in GUARDED.iter().filter(|guarded| guarded.at_home) {
        is_home |= find(source.as_fd(), guarded, shown)?.is_some();
    }
    for guarded in GUARDED.iter().filter(|guarded| is_home || !guarded.at_home) {
        let (parent, name) = match guarded.path.rsplit_once('/') {
            None => {
                (rustix::io::fcntl_dupfd_cloexec(source, 3).map_err(JailError::at(Step::Guard, shown))?, guarded.path)
            }
            Some((parent, name)) => {
                let parent = Guarded { path: parent, absent: Absent::Folder, stays_writable: true, at_home: false };
                match find(source.as_fd(), &parent, shown)? {
                    Some((parent, true)) if !is_placeholder_at(&parent) => (parent, name),
                    _ => continue,
                }
            }
        };
        if let Some(placeholder) =
            hold(parent, name, guarded.absent).map_err(JailError::at(Step::Guard, guarded.path))?
        {
            made.push(placeholder);
        }
    }
    Ok(())
}

/// Holds a place that is absent, or held by a placeholder already.
fn hold(folder: OwnedFd, name: &'static str, absent: Absent) -> Result<Option<Placeholder>, Errno> {
    let is_folder = absent == Absent::Folder;
    for _ in 0..TRIES_MAX {
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is_placeholder(&stat) => return Ok(None),
            Ok(_) => {}
            Err(Errno::NOENT) if absent == Absent::Swept => {
                return Ok(Some(Placeholder { folder, name, lock: None, is_folder: false }));
            }
            Err(Errno::NOENT) => match make(folder.as_fd(), name, is_folder) {
                Ok(()) | Err(Errno::EXIST) => {}
                // Nobody can make anything here, so nothing needs to be held.
                Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => return Ok(None),
                Err(errno) => return Err(errno),
            },
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let lock = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => continue,
            // Another user's; it is held, by that user.
            Err(Errno::ACCESS) => return Ok(None),
            opened => opened?,
        };
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
            // The last one is about to take it away.
            Err(Errno::WOULDBLOCK) => {
                rustix::thread::sched_yield();
                continue;
            }
            locked => locked?,
        }
        if matches!(is_same(folder.as_fd(), name, lock.as_fd()), Ok(true)) {
            return Ok(Some(Placeholder { folder, name, lock: Some(lock), is_folder }));
        }
    }
    Err(Errno::BUSY)
}

/// Makes a placeholder under another name first, so that nobody sees one without its date.
fn make(folder: BorrowedFd<'_>, name: &str, is_folder: bool) -> Result<(), Errno> {
    let own = format!(".aether-placeholder-{}", std::process::id());
    let dated = |at: BorrowedFd<'_>| {
        let dates = Timestamps { last_access: DATE, last_modification: DATE };
        rustix::fs::futimens(at, &dates)
    };
    let made = if is_folder {
        rustix::fs::mkdirat(folder, &own, Mode::from_raw_mode(0o500)).and_then(|()| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            dated(rustix::fs::openat(folder, &own, flags, Mode::empty())?.as_fd())
        })
    } else {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(folder, &own, flags, Mode::from_raw_mode(0o400)).and_then(|file| dated(file.as_fd()))
    };
    let kept =
        made.and_then(|()| rustix::fs::renameat_with(folder, &own, folder, name, rustix::fs::RenameFlags::NOREPLACE));
    if kept.is_err() {
        let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        // What a predecessor of the same id left, or what was just made; if it is not there, all the better.
        rustix::fs::unlinkat(folder, &own, flags)
            .or_else(|errno| if errno == Errno::NOENT { Ok(()) } else { Err(errno) })?;
    }
    kept
}

fn is_placeholder(stat: &Stat) -> bool {
    let is_dated = stat.st_mtime == DATE.tv_sec && i64::try_from(stat.st_mtime_nsec) == Ok(DATE.tv_nsec);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => is_dated && stat.st_mode & 0o777 == 0o500,
        FileType::RegularFile => is_dated && stat.st_mode & 0o777 == 0o400 && stat.st_size == 0,
        _ => false,
    }
}

/// Whether an open place is a placeholder.
pub(crate) fn is_placeholder_at(at: &OwnedFd) -> bool {
    rustix::fs::fstat(at).is_ok_and(|stat| is_placeholder(&stat))
}

/// Takes away what is held, where nobody else holds it; the rest is left in the list, without being held, to be tried
/// again.
pub(crate) fn clear(placeholders: &mut Vec<Placeholder>) {
    placeholders.reverse();
    // Anything but a lock of somebody else is final: on a disk that went away, or is read only by now, there is nothing
    // to be done, and what stays can be told by its date.
    placeholders.retain(|placeholder| placeholder.clear() == Err(Errno::WOULDBLOCK));
    placeholders.truncate(LEFT_OVER_MAX);
}

/// Most placeholders that are tried again.
const LEFT_OVER_MAX: usize = 64;

impl Placeholder {
    fn clear(&self) -> Result<(), Errno> {
        let flags = if self.is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let Some(lock) = &self.lock else {
            return rustix::fs::unlinkat(&self.folder, self.name, AtFlags::empty());
        };
        rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive)?;
        if is_same(self.folder.as_fd(), self.name, lock.as_fd())? && is_placeholder_at(lock) {
            rustix::fs::unlinkat(&self.folder, self.name, flags)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_held(folder: &std::path::Path, name: &str) -> bool {
        let stat = rustix::fs::lstat(folder.join(name));
        stat.is_ok_and(|stat| is_placeholder(&stat))
    }

    fn folder() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        let fd = resolve(folder.path()).unwrap();
        (folder, fd)
    }

    fn prepared(fd: &OwnedFd) -> Vec<Placeholder> {
        let mut made = Vec::new();
        prepare_one(fd, "x", &mut made).unwrap();
        made
    }

    #[test]
    fn j7_placeholders_come_and_go_with_the_last_who_holds_them() {
        let (folder, fd) = folder();
        let mut one = prepared(&fd);
        let mut other = prepared(&fd);
        for name in [".git", ".aether", ".mcp.json", ".vscode", ".idea", ".envrc"] {
            assert!(is_held(folder.path(), name), "{name}");
        }
        assert!(!is_held(folder.path(), ".bashrc"));
        clear(&mut one);
        assert!(is_held(folder.path(), ".git"));
        clear(&mut other);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn j7_what_was_there_stays_and_what_a_killed_one_left_goes() {
        let (folder, fd) = folder();
        std::fs::create_dir_all(folder.path().join(".git/hooks")).unwrap();
        std::fs::write(folder.path().join(".bashrc"), "x").unwrap();
        drop(prepared(&fd));
        assert!(is_held(folder.path(), ".vscode") && is_held(folder.path(), ".git/config"));
        let mut next = prepared(&fd);
        std::fs::write(folder.path().join(".git/commondir"), "../evil").unwrap();
        clear(&mut next);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(std::fs::read_dir(folder.path().join(".git")).unwrap().count(), 1);
    }

    #[test]
    fn j7_a_link_in_a_guarded_place_is_refused() {
        let (folder, fd) = folder();
        std::os::unix::fs::symlink("/etc", folder.path().join(".vscode")).unwrap();
        let error = find(fd.as_fd(), &guarded(".vscode", Absent::Folder), "/w/").err().unwrap();
        assert!(error.to_string().contains("/w/.vscode is neither a file nor a directory"), "{error}");
    }
}
