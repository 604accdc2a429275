//! A lock that one process holds at a time and that dies with it.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::private;

/// How often a lock file that its holder is just removing is tried again.
const ATTEMPTS_MAX: u32 = 64;

/// The longest process number, in bytes.
const PID_BYTES_MAX: u64 = 20;

/// An advisory lock on a file that names its holder. Dropping it removes the file.
///
/// The operating system ends the lock with the process, so a file that stays behind after a kill holds nobody up.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    /// Held open for the lock that is on it.
    file: File,
}

/// Who holds a lock.
pub(crate) struct Holder(pub(crate) Option<u32>);

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Result<Lock, Holder>, StoreError> {
        let refused = |error| StoreError::refused("lock", path, &error);
        for _ in 0..ATTEMPTS_MAX {
            let mut file =
                private::options().read(true).write(true).create(true).truncate(false).open(path).map_err(refused)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Err(holder(&file))),
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
            // Its former holder may have removed it after we opened it: then this lock is on nothing.
            if is_removed(&file).map_err(refused)? {
                continue;
            }
            file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(refused)?;
            return Ok(Ok(Lock { path: path.to_owned(), file }));
        }
        Ok(Err(Holder(None)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock still holds. A file that stays behind only costs its name, so there is nothing to report.
        if cfg!(unix) {
            drop(std::fs::remove_file(&self.path));
        }
        drop(self.file.unlock());
    }
}

fn holder(file: &File) -> Holder {
    let mut text = String::new();
    let read = file.take(PID_BYTES_MAX).read_to_string(&mut text);
    Holder(read.ok().and_then(|_| text.trim().parse().ok()))
}

#[cfg(unix)]
fn is_removed(file: &File) -> std::io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0)
}

#[cfg(not(unix))]
fn is_removed(_: &File) -> std::io::Result<bool> {
    Ok(false)
}
