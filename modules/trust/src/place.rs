//! Files and directories of one owner: made private, read with care, written whole (T2, T5).

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::TrustError;

/// How long a lock is waited for, in milliseconds.
const LOCK_MS_MAX: u64 = 10_000;
/// How long is slept between two looks at a lock, in milliseconds.
const LOCK_LOOK_MS: u64 = 1;

/// What others may at most do with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Nothing.
    Secret,
    /// Read it.
    Readable,
}

/// The bytes of a regular file; `None` where there is none. A symbolic link is no file.
pub(crate) fn read(path: &Path, bytes_max: u64, privacy: Privacy) -> Result<Option<Zeroizing<Vec<u8>>>, TrustError> {
    let refused = |error: io::Error| TrustError::refused("read", path, &error);
    // Looked at before it is opened: opening a pipe would wait for its writer.
    match fs::symlink_metadata(path) {
        // Below a file there is nothing, as there is below a directory that does not exist.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(refused(error)),
        Ok(metadata) if !metadata.is_file() => return Err(not_a_file(path)),
        Ok(_) => {}
    }
    let file = reading().open(path).map_err(refused)?;
    // What was opened decides, not what was there a moment ago.
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(not_a_file(path));
    }
    match privacy {
        Privacy::Secret => refuse_open(path, &metadata, 0o077, "600")?,
        Privacy::Readable => refuse_open(path, &metadata, 0o022, "go-w")?,
    }
    // Room for all of it at once: a buffer that grows would leave copies of a secret behind.
    let room = usize::try_from(metadata.len().min(bytes_max)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > bytes_max {
        return Err(TrustError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(Some(bytes))
}

fn not_a_file(path: &Path) -> TrustError {
    TrustError::Malformed { path: path.to_owned(), wanted: "a regular file" }
}

/// Makes the directory if it is missing, for its owner alone, and refuses one that is open to others.
pub(crate) fn make_directory(path: &Path) -> Result<(), TrustError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(|error| TrustError::refused("create the directory", path, &error))?;
    check_directory(path)
}

/// Refuses a directory in which others could replace a file.
pub(crate) fn check_directory(path: &Path) -> Result<(), TrustError> {
    let metadata = fs::metadata(path).map_err(|error| TrustError::refused("read", path, &error))?;
    refuse_open(path, &metadata, 0o077, "700")
}

/// Makes `bytes` the content of a file of its owner alone. The caller holds the lock of the file's directory, so that
/// the draft is nobody else's.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), TrustError> {
    let refused = |error: io::Error| TrustError::refused("write", path, &error);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = directory.join(format!(".{name}.draft"));
    // One that a kill left behind was never the file.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(error)),
        Err(_) | Ok(()) => {}
    }
    let written = (|| {
        let mut file = private().write(true).create_new(true).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    if let Err(error) = written {
        // Of no use to anybody; that it may stay behind changes nothing in what to report.
        drop(fs::remove_file(&draft));
        return Err(refused(error));
    }
    sync_directory(directory).map_err(refused)
}

/// The lock of a directory. It ends with the process that holds it.
pub(crate) struct Lock(File);

impl Lock {
    /// Takes it, or waits for it up to [`LOCK_MS_MAX`].
    pub(crate) fn take(directory: &Path) -> Result<Lock, TrustError> {
        let path = directory.join("lock");
        let refused = |error: io::Error| TrustError::refused("lock", &path, &error);
        let file = private().write(true).create(true).truncate(false).open(&path).map_err(refused)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::Error(error)) => return Err(refused(error)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= Duration::from_millis(LOCK_MS_MAX) => {
                    return Err(TrustError::Busy { path: directory.to_owned(), waited_ms: LOCK_MS_MAX });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(LOCK_LOOK_MS)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file ends the lock in any case.
        drop(self.0.unlock());
    }
}

#[cfg(unix)]
fn refuse_open(path: &Path, metadata: &Metadata, forbidden: u32, wanted: &'static str) -> Result<(), TrustError> {
    use std::os::unix::fs::MetadataExt;
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(TrustError::Exposed { path: path.to_owned(), mode, wanted });
    }
    let (owner, here) = (metadata.uid(), rustix::process::geteuid().as_raw());
    // What the administrator owns, nobody else could have put there.
    if owner == here || owner == 0 { Ok(()) } else { Err(TrustError::Foreign { path: path.to_owned(), owner }) }
}

/// Elsewhere a file in a person's directory is that person's alone by inherited access lists.
#[cfg(not(unix))]
fn refuse_open(_: &Path, _: &Metadata, _: u32, _: &'static str) -> Result<(), TrustError> {
    Ok(())
}

#[cfg(unix)]
fn reading() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

#[cfg(not(unix))]
fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}

/// Options for a new file of its owner alone.
#[cfg(unix)]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Elsewhere the access list of its directory is inherited.
#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened for this, and the file system keeps its own journal of names.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
