//! Where a log is: its files, its head, and the lock that its writers share.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::AuditError;

/// How long is slept between two looks at a lock, in microseconds.
const LOCK_LOOK_US: u64 = 300;
/// The most names of a directory that are looked at.
const NAMES_MAX: usize = 100_000;

/// Where a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory of the log's files. It is made when the first line is.
    pub directory: PathBuf,
    /// The file of the head, in another directory: whoever puts an older copy of the one back has not yet put back
    /// the other.
    pub head: PathBuf,
}

/// One file of the log as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

impl Place {
    pub(crate) fn file(&self, number: u32) -> PathBuf {
        self.directory.join(format!("audit-{number:06}.jsonl"))
    }

    pub(crate) fn torn(&self, sequence: u64, digest: &str) -> PathBuf {
        self.directory.join(format!("torn-{sequence:012}-{digest:.16}.bin"))
    }

    fn lock(&self) -> PathBuf {
        self.head.with_extension("lock")
    }

    /// The log's files, in their order. A directory that is missing has none.
    pub(crate) fn pieces(&self) -> Result<Vec<Piece>, AuditError> {
        let refused = |error| AuditError::refused("read", &self.directory, &error);
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(refused)?,
        };
        let mut pieces = Vec::new();
        for entry in entries.take(NAMES_MAX) {
            let entry = entry.map_err(refused)?;
            let Some(number) = entry.file_name().to_str().and_then(number) else { continue };
            let metadata = fs::metadata(entry.path()).map_err(refused)?;
            pieces.push(Piece { number, path: entry.path(), bytes: metadata.len() });
        }
        pieces.sort_by_key(|piece| piece.number);
        Ok(pieces)
    }

    /// Makes both directories, for their owner alone.
    pub(crate) fn make(&self) -> Result<(), AuditError> {
        let beside = self.head.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_directory(beside)?;
        make_directory(&self.directory)
    }
}

/// The number in the name of a log's file.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
    digits.parse().ok().filter(|number| format!("{number:06}") == digits)
}

pub(crate) fn make_directory(path: &Path) -> Result<(), AuditError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(|error| AuditError::refused("create the directory", path, &error))
}

/// Options for a file of its owner alone.
#[cfg(unix)]
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Elsewhere the access list of its directory is inherited.
#[cfg(not(unix))]
pub(crate) fn private() -> OpenOptions {
    OpenOptions::new()
}

/// Brings the names in a directory to the disk.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened for this, and the file system keeps its own journal of names.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The log's lock, among all processes. It ends with the one that holds it.
pub(crate) struct Lock(File);

impl Lock {
    /// To append: nobody else reads or appends meanwhile.
    pub(crate) fn write(place: &Place, wait_ms_max: u64) -> Result<Lock, AuditError> {
        let path = place.lock();
        let opened = private().write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|error| AuditError::refused("lock", &path, &error))?;
        wait(&path, wait_ms_max, || file.try_lock())?;
        Ok(Lock(file))
    }

    /// To look: nobody appends meanwhile. `None` where there is nothing to lock, so that nobody ever appended.
    pub(crate) fn read(place: &Place, wait_ms_max: u64) -> Result<Option<Lock>, AuditError> {
        let path = place.lock();
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| AuditError::refused("lock", &path, &error))?,
        };
        wait(&path, wait_ms_max, || file.try_lock_shared())?;
        Ok(Some(Lock(file)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file ends the lock in any case.
        drop(self.0.unlock());
    }
}

fn wait(path: &Path, wait_ms_max: u64, attempt: impl Fn() -> Result<(), TryLockError>) -> Result<(), AuditError> {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(AuditError::refused("lock", path, &error)),
            Err(TryLockError::WouldBlock) if start.elapsed() >= Duration::from_millis(wait_ms_max) => {
                return Err(AuditError::Busy { path: path.to_owned(), waited_ms: wait_ms_max });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(LOCK_LOOK_US)),
        }
    }
}
