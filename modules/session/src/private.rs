//! Small files that nobody else should see: keys, configuration.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The largest secret, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;

/// How many left-over temporary files of this process are stepped over.
const ATTEMPTS_MAX: u32 = 64;

/// Writes a whole file so that a reader sees the old content or the new one and never a part (D4).
///
/// The bytes go to a temporary file beside it, are brought to the disk, and take the name. The file belongs to
/// its owner alone (mode 0600), its directory is made if it is missing (mode 0700), and a symbolic link is
/// followed rather than replaced.
///
/// # Errors
/// [`StoreError::Refused`]; [`StoreError::NotAFile`] if a directory has the name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(StoreError::refused("write", path, &error)),
    };
    if target.is_dir() {
        return Err(StoreError::NotAFile { path: path.to_owned() });
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(directory)?;
    let (temporary, mut file) = temporary(&target, directory)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let written = written.and_then(|()| fs::rename(&temporary, &target));
    if let Err(error) = written {
        // The temporary file is of no use to anybody; that it may stay behind changes nothing in what to report.
        drop(fs::remove_file(&temporary));
        return Err(StoreError::refused("write", path, &error));
    }
    sync_directory(directory)
}

fn temporary(target: &Path, directory: &Path) -> Result<(PathBuf, File), StoreError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    for n in 0..ATTEMPTS_MAX {
        let path = directory.join(format!(".{name}.{}.{n}.tmp", std::process::id()));
        match options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::refused("write", target, &error)),
        }
    }
    Err(StoreError::Crowded { path: directory.to_owned() })
}

/// Reads a secret: the file's first line, without what surrounds it.
///
/// # Errors
/// [`StoreError::Exposed`] where others may read or write the file, [`StoreError::Empty`], and those of
/// [`read_text`].
pub fn read_secret(path: &Path) -> Result<String, StoreError> {
    let text = read_checked(path, SECRET_BYTES_MAX, Privacy::Demanded)?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() {
        return Err(StoreError::Empty { path: path.to_owned() });
    }
    Ok(secret.to_owned())
}

/// Reads a file of text with at most `bytes_max` bytes.
///
/// # Errors
/// [`StoreError::Refused`] (a missing file has [`crate::Cause::Missing`]), [`StoreError::NotAFile`],
/// [`StoreError::TooLarge`], [`StoreError::NotText`].
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, StoreError> {
    read_checked(path, bytes_max, Privacy::Indifferent)
}

#[derive(Clone, Copy, PartialEq)]
enum Privacy {
    Demanded,
    Indifferent,
}

fn read_checked(path: &Path, bytes_max: u64, privacy: Privacy) -> Result<String, StoreError> {
    let refused = |error| StoreError::refused("read", path, &error);
    // Before it is opened: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(StoreError::NotAFile { path: path.to_owned() });
    }
    let file = File::open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(refused)?;
    if privacy == Privacy::Demanded {
        refuse_exposed(path, &metadata)?;
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > bytes_max {
        let bytes = metadata.len().max(bytes.len() as u64);
        return Err(StoreError::TooLarge { path: path.to_owned(), bytes, bytes_max });
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
        StoreError::NotText { path: path.to_owned(), line }
    })
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(StoreError::Exposed { path: path.to_owned(), mode }) }
}

/// Elsewhere a file in a person's directory is that person's alone by inherited access lists.
#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &fs::Metadata) -> Result<(), StoreError> {
    Ok(())
}

/// Makes a directory and those above it that are missing, for their owner alone (mode 0700).
///
/// # Errors
/// [`StoreError::Refused`].
pub fn make_directory(path: &Path) -> Result<(), StoreError> {
    directory_builder()
        .recursive(true)
        .create(path)
        .map_err(|error| StoreError::refused("create the directory", path, &error))
}

#[cfg(unix)]
fn directory_builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Elsewhere the access list of the directory above is inherited.
#[cfg(not(unix))]
fn directory_builder() -> fs::DirBuilder {
    fs::DirBuilder::new()
}

/// Options for a new file of its owner alone.
#[cfg(unix)]
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Elsewhere the access list of its directory is inherited.
#[cfg(not(unix))]
pub(crate) fn options() -> OpenOptions {
    OpenOptions::new()
}

/// Brings the names in a directory to the disk.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| StoreError::refused("write", path, &error))
}

/// Elsewhere a directory cannot be opened for this, and the file system keeps its own journal of names.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> Result<(), StoreError> {
    Ok(())
}
