//! Files beneath a directory handle where there is no `openat2`: macOS, Windows and others, through `cap-std`.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aether_core::tool::{DirEntry, EntryKind, HandsError, WriteMode};
use cap_std::fs::{Dir, FileType, Metadata, OpenOptions};

use crate::hidden::{self, Hidden, folded};
use crate::roots::{Beneath, LIST_ENTRIES_MAX, split_name, temporary_name};
use crate::{Slice, Watch, unix_ms};

/// A directory, held open.
pub(crate) struct Root {
    directory: Dir,
    /// Where it was when it was opened, without links.
    path: PathBuf,
    hidden: Arc<Hidden>,
}

impl Root {
    /// Opens a directory. Symbolic links on the way to it are followed: the person named it.
    pub(crate) fn open(path: &Path) -> Result<Root, HandsError> {
        let directory = Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(told)?;
        let path = std::fs::canonicalize(path).map_err(told)?;
        Ok(Root { directory, path, hidden: Arc::default() })
    }

    /// Refuses what is hidden (H7): here by names without links, because these systems tell no directory's identity
    /// everywhere. Writing follows no link, so a name that does not exist yet says where it would be.
    fn refuse_hidden(&self, path: &str) -> Result<(), HandsError> {
        if self.is_hidden(path) { Err(hidden::refused()) } else { Ok(()) }
    }

    fn is_hidden(&self, path: &str) -> bool {
        let hidden = self.hidden.paths();
        if hidden.is_empty() {
            return false;
        }
        let as_named = folded(&self.path.join(path));
        let real = self.directory.canonicalize(named(path)).map(|real| folded(&self.path.join(real)));
        let is_in = |path: &PathBuf| hidden.iter().any(|hidden| path.starts_with(hidden));
        is_in(&as_named) || real.is_ok_and(|real| is_in(&real))
    }

    /// Walks down directory by directory, through no symbolic link, and makes missing ones.
    fn descend_and_make(&self, parents: &str) -> Result<Dir, HandsError> {
        let mut here = self.directory.try_clone().map_err(told)?;
        for name in parents.split('/').filter(|name| !name.is_empty()) {
            match here.symlink_metadata(name) {
                Ok(found) if found.is_dir() => {}
                Ok(found) if found.is_symlink() => return Err(link_refused(name)),
                Ok(_) => return Err(HandsError::WrongKind(EntryKind::File)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => match here.create_dir(name) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(told(error)),
                    _ => {}
                },
                Err(error) => return Err(told(error)),
            }
            here = here.open_dir(name).map_err(told)?;
        }
        Ok(here)
    }
}

impl Beneath for Root {
    fn hide(&mut self, hidden: &Arc<Hidden>) -> Result<(), HandsError> {
        self.hidden = hidden.clone();
        Ok(())
    }

    fn read(&self, path: &str, slice: Slice, watch: Watch<'_>) -> Result<Vec<u8>, HandsError> {
        self.refuse_hidden(path)?;
        let regular = |found: Metadata| match kind(found.file_type()) {
            EntryKind::File => Ok(()),
            other => Err(HandsError::WrongKind(other)),
        };
        // Looked at before it is opened, so that a pipe is not waited for, and after, so that it is what was looked at.
        regular(self.directory.metadata(named(path)).map_err(told)?)?;
        let mut file = self.directory.open(path).map_err(told)?;
        let found = file.metadata().map_err(told)?;
        let bytes = found.len();
        regular(found)?;
        if slice.offset >= bytes {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(slice.offset)).map_err(told)?;
        slice.collect(watch, |buffer, _| {
            loop {
                match file.read(buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    other => return other.map_err(told),
                }
            }
        })
    }

    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode, watch: Watch<'_>) -> Result<(), HandsError> {
        self.refuse_hidden(path)?;
        let (parents, name) = split_name(path)?;
        let directory = self.descend_and_make(parents)?;
        let before = match directory.symlink_metadata(name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            other => Some(other.map_err(told)?),
        };
        if let Some(found) = &before {
            match kind(found.file_type()) {
                _ if mode == WriteMode::Create => return Err(HandsError::Exists),
                EntryKind::File if found.permissions().readonly() => return Err(HandsError::Denied),
                EntryKind::File => {}
                EntryKind::Link => return Err(link_refused(name)),
                other => return Err(HandsError::WrongKind(other)),
            }
        }
        let draft = Draft { directory: &directory, name: temporary_name() };
        draft.fill(bytes, before.as_ref(), watch)?;
        match mode {
            WriteMode::Replace => directory.rename(&draft.name, &directory, name).map_err(told),
            // A link is refused where a file is, whatever happened since it was looked for.
            WriteMode::Create => directory.hard_link(&draft.name, &directory, name).map_err(told),
        }
    }

    fn list(&self, path: &str, watch: Watch<'_>) -> Result<Vec<DirEntry>, HandsError> {
        self.refuse_hidden(path)?;
        let found = self.directory.metadata(named(path)).map_err(told)?;
        if !found.is_dir() {
            let (_, name) = split_name(path)?;
            return Ok(vec![described(name, &found)]);
        }
        let mut entries = Vec::new();
        for entry in self.directory.read_dir(named(path)).map_err(told)? {
            watch.check()?;
            let entry = entry.map_err(told)?;
            if entries.len() == LIST_ENTRIES_MAX {
                let why = format!("the directory holds more than {LIST_ENTRIES_MAX} entries");
                return Err(HandsError::Limit(why));
            }
            match entry.metadata() {
                Ok(found) if found.is_dir() && self.is_hidden(&beneath(path, &entry.file_name().to_string_lossy())) => {
                }
                Ok(found) => entries.push(described(&entry.file_name().to_string_lossy(), &found)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {} // Deleted since.
                Err(error) => return Err(told(error)),
            }
        }
        Ok(entries)
    }
}

/// A file that is being written beside its destination; its own name is gone when dropped (H3).
struct Draft<'a> {
    directory: &'a Dir,
    name: String,
}

impl Draft<'_> {
    fn fill(&self, bytes: &[u8], before: Option<&Metadata>, watch: Watch<'_>) -> Result<(), HandsError> {
        const PIECE_BYTES: usize = 1 << 20;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = self.directory.open_with(&self.name, &options).map_err(told)?;
        for piece in bytes.chunks(PIECE_BYTES) {
            watch.check()?;
            file.write_all(piece).map_err(told)?;
        }
        if let Some(before) = before {
            file.set_permissions(before.permissions()).map_err(told)?;
        }
        file.sync_all().map_err(told)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove; otherwise the error that led here is on its way already.
        let _ = self.directory.remove_file(&self.name);
    }
}

fn beneath(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

fn named(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

fn described(name: &str, found: &Metadata) -> DirEntry {
    let kind = kind(found.file_type());
    let bytes = if kind == EntryKind::File { found.len() } else { 0 };
    let changed_unix_ms = found.modified().map_or(0, |time| unix_ms(time.into_std()));
    DirEntry { name: name.into(), kind, bytes, changed_unix_ms }
}

fn kind(found: FileType) -> EntryKind {
    if found.is_file() {
        EntryKind::File
    } else if found.is_dir() {
        EntryKind::Directory
    } else if found.is_symlink() {
        EntryKind::Link
    } else {
        EntryKind::Other
    }
}

fn link_refused(name: &str) -> HandsError {
    HandsError::Outside(format!("`{name}` is a symbolic link, which is not followed here; give the path it points to"))
}

fn told(error: std::io::Error) -> HandsError {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => HandsError::Missing,
        Kind::AlreadyExists => HandsError::Exists,
        Kind::IsADirectory => HandsError::WrongKind(EntryKind::Directory),
        Kind::NotADirectory => HandsError::WrongKind(EntryKind::File),
        // What cap-std itself refuses has no number of the operating system.
        Kind::PermissionDenied if error.raw_os_error().is_none() => {
            HandsError::Outside("a symbolic link on its way is absolute or leaves its root".into())
        }
        Kind::PermissionDenied => HandsError::Denied,
        Kind::StorageFull | Kind::QuotaExceeded => HandsError::Failed(
            "no space is left on the disk; nothing was changed; free some space and try again".into(),
        ),
        Kind::ReadOnlyFilesystem => HandsError::Failed("the file system is read-only; write somewhere else".into()),
        _ => HandsError::Failed(error.to_string()),
    }
}
