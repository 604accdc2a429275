//! The configuration file while it is being changed.

use std::fs::File;
use std::path::{Path, PathBuf};

use aether_session::private;

use crate::audit::Audit;
use crate::boot::Place;
use crate::trouble::Trouble;

/// How long another process may take to change the file, in milliseconds.
#[cfg(unix)]
const LOCK_MS_MAX: u64 = 5_000;
/// How long to wait between two looks at the lock, in milliseconds.
#[cfg(unix)]
const LOCK_PAUSE_MS: u64 = 10;

/// The file, held for one change. Another process that wants to change it waits until this value is dropped.
pub(crate) struct ConfigFile {
    path: PathBuf,
    text: String,
    is_there: bool,
    audit: Audit,
    /// The lock ends when the handle is closed.
    _lock: Option<File>,
}

impl ConfigFile {
    /// Makes its directory if need be, waits for others, and reads it. A file that does not exist is empty.
    pub(crate) fn open(place: &Place) -> Result<ConfigFile, Trouble> {
        let path = place.config_file.clone();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        private::make_directory(directory).map_err(|error| Trouble::failed(format!("configuration: {error}")))?;
        let lock = lock(directory)?;
        let is_there = path.exists();
        let text = match is_there {
            true => private::read_text(&path, aether_settings::CONFIG_BYTES_MAX as u64)
                .map_err(|error| Trouble::usage(format!("configuration: {error}")))?,
            false => String::new(),
        };
        let audit = Audit::new(&place.directories.data);
        Ok(ConfigFile { path, text, is_there, audit, _lock: lock })
    }

    /// What it says.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it exists.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there
    }

    /// What it says, if it exists; it is no longer held.
    pub(crate) fn into_text(self) -> Option<String> {
        self.is_there.then_some(self.text)
    }

    /// Replaces it in one step, once the change is in the audit log.
    pub(crate) fn save(&self, text: &str) -> Result<(), Trouble> {
        let changed = self.audit.change(&self.path, &self.text, text);
        changed.map_err(|why| Trouble::failed(format!("configuration: not changed: {why}")))?;
        private::write(&self.path, text.as_bytes()).map_err(|error| Trouble::failed(format!("configuration: {error}")))
    }
}

/// A lock on the directory itself, because a lock on the file would be lost when it is replaced.
#[cfg(unix)]
fn lock(directory: &Path) -> Result<Option<File>, Trouble> {
    use std::fs::TryLockError;
    use std::time::{Duration, Instant};
    let wrong = |error: std::io::Error| Trouble::failed(format!("configuration: {}: {error}", directory.display()));
    let handle = File::open(directory).map_err(wrong)?;
    let until = Instant::now() + Duration::from_millis(LOCK_MS_MAX);
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(Some(handle)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(LOCK_PAUSE_MS));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Trouble::failed(format!(
                    "configuration: another process has been changing {} for {LOCK_MS_MAX} ms; end it and try again",
                    directory.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
    }
}

/// Elsewhere a directory cannot be locked; two changes at the same moment leave one of them.
#[cfg(not(unix))]
fn lock(_: &Path) -> Result<Option<File>, Trouble> {
    Ok(None)
}
