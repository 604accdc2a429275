//! Files beneath a directory handle on Linux: `openat2(2)` where the kernel has it, single steps where not.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use aether_core::tool::{DirEntry, EntryKind, HandsError, WriteMode};
use rustix::fs::{self, Access, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Uid};
use rustix::io::{self, Errno};

use crate::hidden::{self, Hidden, Identity};
use crate::roots::{Beneath, LIST_ENTRIES_MAX, split_name, temporary_name};
use crate::steps::{self, Stopped};
use crate::{Slice, Watch};

/// How often a resolution that a concurrent rename disturbed is tried again (`openat2(2)`, `EAGAIN`).
const RESOLVE_TRIES_MAX: u32 = 64;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How a path is resolved for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// By `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS`.
    Openat2,
    /// Component by component, refusing every symbolic link: kernels before 5.6, or a filter that hides `openat2`.
    Stepwise,
}

/// A directory, held open.
pub(crate) struct Root {
    directory: OwnedFd,
    resolution: Resolution,
    hidden: Arc<Hidden>,
    /// Whether the root itself is hidden, or lies in what is.
    is_hidden: bool,
}

impl Root {
    /// Opens a directory. Symbolic links on the way to it are followed: the person named it.
    pub(crate) fn open(path: &Path) -> Result<Root, HandsError> {
        let directory = fs::open(path, DIRECTORY, Mode::empty()).map_err(told)?;
        let probe = fs::openat2(&directory, ".", DIRECTORY, Mode::empty(), ResolveFlags::BENEATH);
        let resolution = if probe.is_ok() { Resolution::Openat2 } else { Resolution::Stepwise };
        Ok(Root { directory, resolution, hidden: Arc::default(), is_hidden: false })
    }

    #[cfg(test)]
    pub(crate) fn stepwise(path: &Path) -> Result<Root, HandsError> {
        Ok(Root { resolution: Resolution::Stepwise, ..Root::open(path)? })
    }

    #[cfg(test)]
    pub(crate) fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// What is hidden now.
    fn hidden(&self) -> Result<Vec<Identity>, HandsError> {
        if self.is_hidden { Err(hidden::refused()) } else { Ok(self.hidden.identities()) }
    }

    /// Opens what is at `path` for reading (H2, H7).
    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, HandsError> {
        if self.resolution == Resolution::Stepwise {
            return self.step_to(path, flags);
        }
        if !self.hidden.is_empty() {
            return steps::open(&self.directory, path, flags, &self.hidden()?).map_err(|stopped| match stopped {
                Stopped::Hidden => hidden::refused(),
                Stopped::Errno(errno) => self.explained(errno),
            });
        }
        let path = if path.is_empty() { "." } else { path };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RESOLVE_TRIES_MAX {
            match fs::openat2(&self.directory, path, flags, Mode::empty(), how) {
                Ok(handle) => return Ok(handle),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(self.explained(errno)),
            }
        }
        Err(HandsError::Failed("directories on its way keep changing; try again".into()))
    }

    fn step_to(&self, path: &str, flags: OFlags) -> Result<OwnedFd, HandsError> {
        let Ok((parents, name)) = split_name(path) else {
            return self.descend("", Absent::Refuse);
        };
        let directory = self.descend(parents, Absent::Refuse)?;
        let opened = fs::openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|errno| link_told(&directory, name, errno))?;
        refuse_hidden(&opened, &self.hidden()?)?;
        Ok(opened)
    }

    /// Walks down directory by directory, through no symbolic link, and makes missing ones if asked to.
    fn descend(&self, parents: &str, absent: Absent) -> Result<OwnedFd, HandsError> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let hidden = self.hidden()?;
        let mut here = self.directory.try_clone().map_err(|error| HandsError::Failed(error.to_string()))?;
        for name in parents.split('/').filter(|name| !name.is_empty()) {
            let next = match fs::openat(&here, name, flags, Mode::empty()) {
                Err(Errno::NOENT) if absent == Absent::Make => {
                    match fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => flush_directory(&here)?,
                        Err(Errno::EXIST) => {}
                        Err(errno) => return Err(self.explained(errno)),
                    }
                    fs::openat(&here, name, flags, Mode::empty())
                }
                other => other,
            };
            here = next.map_err(|errno| match errno {
                Errno::NOENT => self.explained(errno),
                _ => link_told(&here, name, errno),
            })?;
            refuse_hidden(&here, &hidden)?;
        }
        Ok(here)
    }

    /// As [`told`], but a root that was deleted is told apart from a file that is missing.
    fn explained(&self, errno: Errno) -> HandsError {
        let is_deleted = errno == Errno::NOENT && fs::fstat(&self.directory).is_ok_and(|stat| stat.st_nlink == 0);
        if is_deleted {
            return HandsError::Failed("the directory that all paths start from was deleted while working".into());
        }
        told(errno)
    }
}

/// What to do about a directory that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Refuse,
    Make,
}

/// Refuses a directory that is hidden (H7).
fn refuse_hidden(directory: &OwnedFd, hidden: &[Identity]) -> Result<(), HandsError> {
    let is_hidden = !hidden.is_empty() && hidden.contains(&Identity::of(&fs::fstat(directory).map_err(told)?));
    if is_hidden { Err(hidden::refused()) } else { Ok(()) }
}

impl Beneath for Root {
    fn hide(&mut self, hidden: &Arc<Hidden>) -> Result<(), HandsError> {
        self.hidden = hidden.clone();
        self.is_hidden = steps::lies_in(&self.directory, &hidden.identities()).map_err(told)?;
        Ok(())
    }

    fn read(&self, path: &str, slice: Slice, watch: Watch<'_>) -> Result<Vec<u8>, HandsError> {
        let file = self.resolve(path, FILE)?;
        match kind(&fs::fstat(&file).map_err(told)?) {
            EntryKind::File => {}
            other => return Err(HandsError::WrongKind(other)),
        }
        slice
            .collect(watch, |buffer, offset| io::retry_on_intr(|| io::pread(&file, &mut *buffer, offset)).map_err(told))
    }

    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode, watch: Watch<'_>) -> Result<(), HandsError> {
        let (parents, name) = split_name(path)?;
        let directory = self.descend(parents, Absent::Make)?;
        let before = before(&directory, name, mode, &self.hidden()?)?;
        let mut draft = Draft::new(&directory, before.as_ref()).map_err(|error| match error {
            HandsError::Missing => self.explained(Errno::NOENT),
            error => error,
        })?;
        draft.fill(bytes, watch)?;
        draft.become_file(name, mode)?;
        flush_directory(&directory)
    }

    fn list(&self, path: &str, watch: Watch<'_>) -> Result<Vec<DirEntry>, HandsError> {
        let directory = match self.resolve(path, DIRECTORY) {
            Err(HandsError::WrongKind(EntryKind::File)) => return self.list_one(path),
            other => other?,
        };
        let hidden = self.hidden()?;
        let mut entries = Vec::new();
        let listing = fs::Dir::read_from(&directory).map_err(told)?;
        for entry in listing {
            watch.check()?;
            let entry = entry.map_err(told)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() == LIST_ENTRIES_MAX {
                let why = format!("the directory holds more than {LIST_ENTRIES_MAX} entries");
                return Err(HandsError::Limit(why));
            }
            match fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if hidden.contains(&Identity::of(&stat)) => {}
                Ok(stat) => entries.push(described(&name.to_string_lossy(), &stat)),
                Err(Errno::NOENT) => {} // Deleted since the directory was read.
                Err(errno) => return Err(told(errno)),
            }
        }
        // A directory that was deleted still opens from a handle, and has no entries.
        if entries.is_empty() && fs::fstat(&directory).is_ok_and(|stat| stat.st_nlink == 0) {
            return Err(self.explained(Errno::NOENT));
        }
        Ok(entries)
    }
}

impl Root {
    fn list_one(&self, path: &str) -> Result<Vec<DirEntry>, HandsError> {
        // O_PATH opens nothing: a pipe or a device is only described.
        let file = self.resolve(path, OFlags::PATH | OFlags::CLOEXEC)?;
        let stat = fs::fstat(&file).map_err(told)?;
        let (_, name) = split_name(path)?;
        Ok(vec![described(name, &stat)])
    }
}

/// What is at `name` now, if a file may be written there.
fn before(directory: &OwnedFd, name: &str, mode: WriteMode, hidden: &[Identity]) -> Result<Option<Stat>, HandsError> {
    let stat = match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(told)?,
    };
    if hidden.contains(&Identity::of(&stat)) {
        return Err(hidden::refused());
    }
    if mode == WriteMode::Create {
        return Err(HandsError::Exists);
    }
    match kind(&stat) {
        EntryKind::File => {}
        EntryKind::Link => return Err(link_refused(name)),
        other => return Err(HandsError::WrongKind(other)),
    }
    // A file that its owner made read-only is not replaced, though its directory would allow it.
    fs::accessat(directory, name, Access::WRITE_OK, AtFlags::empty()).map_err(told)?;
    Ok(Some(stat))
}

/// A file that is being written beside its destination; gone when dropped before it took its place (H3).
struct Draft<'a> {
    directory: &'a OwnedFd,
    file: OwnedFd,
    name: String,
    is_placed: bool,
}

impl<'a> Draft<'a> {
    /// A new file: with mode, group and (where allowed) owner of the one it replaces, else with 0644 less the umask.
    fn new(directory: &'a OwnedFd, before: Option<&Stat>) -> Result<Draft<'a>, HandsError> {
        let name = temporary_name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if before.is_some() { 0o600 } else { 0o644 };
        let file = fs::openat(directory, &*name, flags, Mode::from_raw_mode(mode)).map_err(told)?;
        let draft = Draft { directory, file, name, is_placed: false };
        if let Some(before) = before {
            let own = fs::fstat(&draft.file).map_err(told)?;
            if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid) {
                let (owner, group) = (Uid::from_raw(before.st_uid), Gid::from_raw(before.st_gid));
                // An ordinary user cannot give a file away; then at least its group is kept, where that is allowed.
                match fs::fchown(&draft.file, Some(owner), Some(group)) {
                    Err(Errno::PERM) => match fs::fchown(&draft.file, None, Some(group)) {
                        Ok(()) | Err(Errno::PERM) => {}
                        Err(errno) => return Err(told(errno)),
                    },
                    other => other.map_err(told)?,
                }
            }
            fs::fchmod(&draft.file, Mode::from_raw_mode(before.st_mode & 0o777)).map_err(told)?;
        }
        Ok(draft)
    }

    fn fill(&mut self, bytes: &[u8], watch: Watch<'_>) -> Result<(), HandsError> {
        const PIECE_BYTES: usize = 1 << 20;
        for piece in bytes.chunks(PIECE_BYTES) {
            let mut left = piece;
            while !left.is_empty() {
                watch.check()?;
                let written = io::retry_on_intr(|| io::write(&self.file, left)).map_err(told)?;
                left = &left[written..];
            }
        }
        io::retry_on_intr(|| fs::fsync(&self.file)).map_err(told)
    }

    fn become_file(&mut self, name: &str, mode: WriteMode) -> Result<(), HandsError> {
        let directory = self.directory;
        let moved = match mode {
            WriteMode::Replace => fs::renameat(directory, &*self.name, directory, name),
            WriteMode::Create => {
                match fs::renameat_with(directory, &*self.name, directory, name, RenameFlags::NOREPLACE) {
                    // A file system without that flag: a link is as exclusive, and the draft's own name goes with it.
                    Err(Errno::INVAL | Errno::NOSYS) => {
                        return fs::linkat(directory, &*self.name, directory, name, AtFlags::empty()).map_err(told);
                    }
                    other => other,
                }
            }
        };
        moved.map_err(told)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.is_placed {
            // Nobody is left to tell: the error that led here is on its way already.
            let _ = fs::unlinkat(self.directory, &*self.name, AtFlags::empty());
        }
    }
}

fn flush_directory(directory: &OwnedFd) -> Result<(), HandsError> {
    match io::retry_on_intr(|| fs::fsync(directory)) {
        // File systems that cannot flush a directory have nothing to flush.
        Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::ROFS) => Ok(()),
        Err(errno) => Err(HandsError::Failed(format!("written, but not flushed to the disk: {}", told(errno)))),
    }
}

fn described(name: &str, stat: &Stat) -> DirEntry {
    let kind = kind(stat);
    let bytes = if kind == EntryKind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
    let changed_unix_ms = wide(stat.st_mtime).saturating_mul(1000).saturating_add(wide(stat.st_mtime_nsec) / 1_000_000);
    DirEntry { name: name.into(), kind, bytes, changed_unix_ms }
}

/// The fields of `stat` are of other types on other processors.
fn wide<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn kind(stat: &Stat) -> EntryKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

fn link_refused(name: &str) -> HandsError {
    HandsError::Outside(format!("`{name}` is a symbolic link, which is not followed here; give the path it points to"))
}

/// As [`told`], for a step that may have met a symbolic link.
fn link_told(directory: &OwnedFd, name: &str, errno: Errno) -> HandsError {
    let is_link = |stat: Stat| kind(&stat) == EntryKind::Link;
    if matches!(errno, Errno::LOOP | Errno::NOTDIR)
        && fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is_link)
    {
        return link_refused(name);
    }
    told(errno)
}

fn told(errno: Errno) -> HandsError {
    match errno {
        Errno::NOENT => HandsError::Missing,
        Errno::EXIST => HandsError::Exists,
        Errno::ISDIR => HandsError::WrongKind(EntryKind::Directory),
        Errno::NOTDIR => HandsError::WrongKind(EntryKind::File),
        Errno::NXIO => HandsError::WrongKind(EntryKind::Other),
        Errno::ACCESS | Errno::PERM => HandsError::Denied,
        Errno::XDEV => HandsError::Outside("a symbolic link on its way is absolute or leaves its root".into()),
        Errno::LOOP => HandsError::Outside("symbolic links on its way lead in a circle or may not be followed".into()),
        Errno::NOSPC | Errno::DQUOT => HandsError::Failed(
            "no space is left on the disk; nothing was changed; free some space and try again".into(),
        ),
        Errno::FBIG => HandsError::Failed("larger than this process may write a file; nothing was changed".into()),
        Errno::ROFS => HandsError::Failed("the file system is read-only; write somewhere else".into()),
        Errno::NAMETOOLONG => HandsError::Failed("the path, or a name in it, is too long for the file system".into()),
        Errno::MFILE | Errno::NFILE => HandsError::Limit("too many files are open; try again later".into()),
        errno => HandsError::Failed(std::io::Error::from(errno).to_string()),
    }
}
