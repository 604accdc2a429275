//! Placeholders: what holds the place of something that is not there, so that no jail can make it.
//!
//! A placeholder is an empty file, directory or pipe with a date that tells it from anything else. It lives as long as
//! somebody holds a shared lock on it; the last one takes it away. One that a killed spawner left is found by its date,
//! taken over, and taken away by the next. Inside it is never seen: something empty is mounted over it, so that no
//! program can hold its lock.
//!
//! A nursery is the placeholder of a repository, told by its mode. What jails make in the repository's place is made in
//! a directory below it, where no program of the host looks; the last one tames that and puts it in its place.

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, RawMode, RenameFlags, Stat, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

use crate::binds::is_same;
use crate::repository;

/// The date of a placeholder: 1 January 1970, one second and one nanosecond past midnight.
const DATE: Timespec = Timespec { tv_sec: 1, tv_nsec: 1 };
const DATES: Timestamps = Timestamps { last_access: DATE, last_modification: DATE };
/// How often the lock of a directory is tried for.
const TURN_TRIES_MAX: u32 = 20;
/// How often a place is looked at again whose placeholder somebody else takes away at that moment.
const TRIES_MAX: u32 = 400;
/// After so many tries, the others are given time.
const TRIES_AT_ONCE: u32 = 8;
/// The time that they are given, in nanoseconds.
const PAUSE_NS: i64 = 500_000;
/// The mode of a nursery: nobody else makes a directory of one's own with the sticky bit.
const NURSERY: RawMode = 0o1700;
/// What jails see of a nursery.
pub(crate) const YOUNG: &str = "new";

/// What holds an absent place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// An empty file.
    File,
    /// An empty directory, where programs of the host look for a file.
    Folder,
    /// Something that is neither, where programs of the host look for a directory: a pipe, or where there are none, an
    /// empty directory.
    Place,
    /// A directory in which a repository can be made.
    Nursery,
}

/// One placeholder that is held.
pub(crate) struct Placeholder {
    folder: OwnedFd,
    name: OsString,
    /// Holds the lock.
    lock: OwnedFd,
}

/// Holds a place that is absent, or held by a placeholder already. `None` if something else is there, or if nobody can
/// make anything there.
pub(crate) fn hold(folder: OwnedFd, name: &OsStr, absent: Absent) -> Result<Option<Placeholder>, Errno> {
    for try_number in 0..TRIES_MAX {
        if try_number > TRIES_AT_ONCE {
            // Interrupted or not, there was some time.
            let _slept = rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: PAUSE_NS });
        }
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is_placeholder(&stat) => return Ok(None),
            Ok(_) => {}
            Err(Errno::NOENT) => match make(folder.as_fd(), name, absent) {
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
            Err(Errno::WOULDBLOCK) => continue,
            locked => locked?,
        }
        if !matches!(is_same(folder.as_fd(), name, lock.as_fd()), Ok(true)) {
            continue;
        }
        if !is_placeholder_at(lock.as_fd()) {
            return Ok(None);
        }
        if absent == Absent::Nursery && is_nursery(&rustix::fs::fstat(&lock)?) {
            // One that a killed spawner left may be half taken away.
            furnish(lock.as_fd(), folder.as_fd())?;
        }
        return Ok(Some(Placeholder { folder, name: name.to_owned(), lock }));
    }
    Err(Errno::BUSY)
}

/// Makes a placeholder under another name first, so that nobody sees one without its date. The other name is the same
/// each time, so that what a killed spawner left half made is taken away here.
fn make(folder: BorrowedFd<'_>, name: &OsStr, absent: Absent) -> Result<(), Errno> {
    let turn = turn(folder);
    let fixed = half_made(name);
    let own = if turn.is_some() && discard(folder, &fixed).is_ok() { fixed } else { unique() };
    let made = match absent {
        Absent::File => {
            let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(folder, &own, flags, Mode::from_raw_mode(0o400)).and_then(|file| date(file.as_fd()))
        }
        Absent::Place => make_pipe(folder, &own).or_else(|_| make_folder(folder, &own)),
        Absent::Folder => make_folder(folder, &own),
        Absent::Nursery => rustix::fs::mkdirat(folder, &own, Mode::from_raw_mode(0o700)).and_then(|()| {
            let nursery = open_folder(folder, own.as_ref())?;
            furnish(nursery.as_fd(), folder)?;
            rustix::fs::fchmod(&nursery, Mode::from_raw_mode(NURSERY))
        }),
    };
    let kept = made.and_then(|()| rustix::fs::renameat_with(folder, &own, folder, name, RenameFlags::NOREPLACE));
    match kept {
        Ok(()) => Ok(()),
        // Another spawner took it for something that was left. It is made again, by one of the two.
        Err(Errno::NOENT) => Err(Errno::EXIST),
        Err(errno) => discard(folder, &own).and(Err(errno)),
    }
}

/// Waits until no other spawner makes a placeholder in this directory: two would take each other's for what was left. `None`
/// where that cannot be had, or somebody else keeps the lock; then a name of its own keeps them apart.
fn turn(folder: BorrowedFd<'_>) -> Option<OwnedFd> {
    let lock = open_folder(folder, OsStr::new(".")).ok()?;
    for _ in 0..TURN_TRIES_MAX {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(lock),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                let _slept = rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: PAUSE_NS });
            }
            Err(_) => return None,
        }
    }
    None
}

/// Takes a placeholder away that has not come to its place. What has something in it stays, and is an error.
fn discard(folder: BorrowedFd<'_>, own: &str) -> Result<(), Errno> {
    match absent_is_fine(rustix::fs::unlinkat(folder, own, AtFlags::empty())) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        done => return done,
    }
    match open_folder(folder, own.as_ref()) {
        Ok(nursery) => {
            // One without it is no nursery, or not yet; one that is not empty is not taken away below.
            let _removed = rustix::fs::unlinkat(&nursery, YOUNG, AtFlags::REMOVEDIR);
        }
        Err(Errno::NOENT) => return Ok(()),
        // Whoever cannot open it may still remove it.
        Err(_) => {}
    }
    absent_is_fine(rustix::fs::unlinkat(folder, own, AtFlags::REMOVEDIR))
}

/// A pipe takes no room on the disk; to make and to remove a directory can take long. Not every file system has pipes.
fn make_pipe(folder: BorrowedFd<'_>, own: &str) -> Result<(), Errno> {
    rustix::fs::mknodat(folder, own, FileType::Fifo, Mode::from_raw_mode(0o400), 0)?;
    rustix::fs::utimensat(folder, own, &DATES, AtFlags::SYMLINK_NOFOLLOW)
}

fn make_folder(folder: BorrowedFd<'_>, own: &str) -> Result<(), Errno> {
    rustix::fs::mkdirat(folder, own, Mode::from_raw_mode(0o500))?;
    date(open_folder(folder, own.as_ref())?.as_fd())
}

fn absent_is_fine(removed: Result<(), Errno>) -> Result<(), Errno> {
    removed.or_else(|errno| if errno == Errno::NOENT { Ok(()) } else { Err(errno) })
}

fn date(at: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::futimens(at, &DATES)
}

/// Makes the directory that jails see of a nursery; it belongs to whom the grant belongs to.
fn furnish(nursery: BorrowedFd<'_>, grant: BorrowedFd<'_>) -> Result<(), Errno> {
    match rustix::fs::mkdirat(nursery, YOUNG, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => return Ok(()),
        made => made?,
    }
    let owner = rustix::fs::fstat(grant)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    rustix::fs::chownat(nursery, YOUNG, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn open_folder(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// What a placeholder is called until it has its date.
fn half_made(name: &OsStr) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(name.as_encoded_bytes());
    format!(".aether-placeholder-{:016x}", hasher.finish())
}

/// A name that nobody else has.
pub(crate) fn unique() -> String {
    format!(".aether-placeholder-{:016x}", RandomState::new().build_hasher().finish())
}

fn is_nursery(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_mode & 0o7777 == NURSERY
}

/// Whether this is a placeholder, or a nursery of which somebody on the host made a repository.
pub(crate) fn is_placeholder(stat: &Stat) -> bool {
    let is_dated = stat.st_mtime == DATE.tv_sec && i64::try_from(stat.st_mtime_nsec) == Ok(DATE.tv_nsec);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => is_nursery(stat) || is_dated && stat.st_mode & 0o777 == 0o500,
        FileType::Fifo => is_dated && stat.st_mode & 0o777 == 0o400,
        FileType::RegularFile => is_dated && stat.st_mode & 0o777 == 0o400 && stat.st_size == 0,
        _ => false,
    }
}

/// Whether an open place is a placeholder.
pub(crate) fn is_placeholder_at(at: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(at).is_ok_and(|stat| is_placeholder(&stat) && !(is_nursery(&stat) && is_taken(at)))
}

/// Whether somebody on the host made a repository of a nursery.
fn is_taken(nursery: BorrowedFd<'_>) -> bool {
    rustix::fs::statat(nursery, "HEAD", AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// The directory that jails see of a nursery, if this is one.
pub(crate) fn young(at: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    if !is_nursery(&rustix::fs::fstat(at)?) || is_taken(at) {
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, YOUNG, flags, Mode::empty()).map(Some)
}

impl Placeholder {
    /// Takes it away, if nobody else holds it.
    ///
    /// # Errors
    /// `WOULDBLOCK` if somebody does; then it is not held any more by this one.
    pub(crate) fn clear(&self) -> Result<(), Errno> {
        rustix::fs::flock(&self.lock, FlockOperation::NonBlockingLockExclusive)?;
        if !is_same(self.folder.as_fd(), &self.name, self.lock.as_fd())? {
            return Ok(());
        }
        let stat = rustix::fs::fstat(&self.lock)?;
        if !is_placeholder(&stat) {
            return Ok(());
        }
        if is_nursery(&stat) {
            return self.leave_nursery();
        }
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(&self.folder, &self.name, flags)
    }

    /// Puts what was made in a nursery in its place, tamed; what cannot be tamed is put beside it under another name.
    fn leave_nursery(&self) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.lock, YOUNG, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // Empty, or half taken away by one that was killed.
            Ok(()) | Err(Errno::NOENT) => {
                return match rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::REMOVEDIR) {
                    // Somebody on the host made a repository in the meantime; it is a directory like others.
                    Err(Errno::NOTEMPTY | Errno::EXIST) => rustix::fs::fchmod(&self.lock, Mode::from_raw_mode(0o755)),
                    removed => removed,
                };
            }
            Err(errno) => return Err(errno),
        }
        let tamed = open_folder(self.lock.as_fd(), YOUNG.as_ref())
            .and_then(|young| repository::tame(young.as_fd(), &repository::Known::default()));
        let own = unique();
        rustix::fs::renameat(&self.lock, YOUNG, &self.folder, &own)?;
        if tamed.is_err() || is_taken(self.lock.as_fd()) {
            match rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::REMOVEDIR) {
                // Somebody on the host made a repository in the meantime.
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            repository::put_aside(self.folder.as_fd(), own.as_ref(), &self.name)?;
            return tamed;
        }
        match rustix::fs::renameat_with(&self.folder, &own, &self.folder, &self.name, RenameFlags::EXCHANGE) {
            Ok(()) => rustix::fs::unlinkat(&self.folder, &own, AtFlags::REMOVEDIR),
            // Not on every file system: then for a moment neither is there.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::REMOVEDIR)?;
                rustix::fs::renameat(&self.folder, &own, &self.folder, &self.name)
            }
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::binds::resolve_exactly;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Other tests of this process make copies of it, which hold what it holds for a moment.
    fn clear(held: &Placeholder) {
        let is_done = |_: &u32| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            held.clear() != Err(Errno::WOULDBLOCK)
        };
        assert!((0..2000).find(is_done).is_some(), "it is still held");
    }

    #[test]
    fn j7_what_was_left_half_made_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::new(".place");
        let half = folder.path().join(half_made(name));
        for absent in [Absent::File, Absent::Folder, Absent::Place, Absent::Nursery] {
            for left in 0..4 {
                match left {
                    0 => fs::write(&half, "").unwrap(),
                    1 => fs::create_dir(&half).unwrap(),
                    2 => fs::create_dir_all(half.join(YOUNG)).unwrap(),
                    _ => std::os::unix::fs::symlink("/etc/passwd", &half).unwrap(),
                }
                let held = hold(resolve_exactly(folder.path()).unwrap(), name, absent).unwrap().unwrap();
                assert_eq!(names(folder.path()), [".place"], "{absent:?} {left}");
                clear(&held);
                assert_eq!(names(folder.path()), Vec::<String>::new(), "{absent:?} {left}");
            }
        }
    }

    #[test]
    fn j7_what_a_stranger_put_there_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::new(".place");
        let half = folder.path().join(half_made(name));
        fs::create_dir_all(half.join("full")).unwrap();
        for absent in [Absent::File, Absent::Folder, Absent::Place, Absent::Nursery] {
            let held = hold(resolve_exactly(folder.path()).unwrap(), name, absent).unwrap().unwrap();
            assert!(half.join("full").is_dir() && names(folder.path()).len() == 2);
            clear(&held);
            assert_eq!(names(folder.path()).len(), 1, "{absent:?}");
        }
    }
}
