//! Directories that are there for nobody: where this program keeps its keys, its policy and its records (H7).

use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::sync::{Mutex, PoisonError};

#[cfg(target_os = "linux")]
use rustix::fs::{FileType, Stat};

use aether_core::tool::HandsError;

/// The most identities that are remembered; beyond it the oldest, of a directory deleted long ago, is forgotten.
#[cfg(target_os = "linux")]
const KNOWN_MAX: usize = 64;

/// What a directory is, wherever it was moved to and by whatever name it was reached: device and inode.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

#[cfg(target_os = "linux")]
impl Identity {
    pub(crate) fn of(stat: &Stat) -> Identity {
        /// The fields of `stat` are of other types on other processors.
        fn whole<T: TryInto<u64>>(number: T) -> u64 {
            number.try_into().unwrap_or(u64::MAX)
        }
        Identity { device: whole(stat.st_dev), inode: whole(stat.st_ino) }
    }
}

/// The hidden directories, by the paths that they were named by. One that does not exist yet is hidden once it does.
#[derive(Default)]
pub(crate) struct Hidden {
    directories: Vec<PathBuf>,
    #[cfg(target_os = "linux")]
    known: Mutex<Vec<Identity>>,
}

impl Hidden {
    pub(crate) fn new(directories: Vec<PathBuf>) -> Hidden {
        Hidden {
            directories,
            #[cfg(target_os = "linux")]
            known: Mutex::default(),
        }
    }

    /// Whether there is anything to look out for.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// What is at the paths now, and what was there before and may have been moved since.
    #[cfg(target_os = "linux")]
    pub(crate) fn identities(&self) -> Vec<Identity> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for directory in &self.directories {
            let Ok(stat) = rustix::fs::stat(directory) else { continue };
            let identity = Identity::of(&stat);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && !known.contains(&identity) {
                if known.len() == KNOWN_MAX {
                    known.remove(0);
                }
                known.push(identity);
            }
        }
        known.clone()
    }

    /// The paths without links, as far as they exist, and in one case of letters, which not every system tells apart.
    #[cfg(any(test, not(target_os = "linux")))]
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let real = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        self.directories.iter().map(|path| folded(&real(path))).collect()
    }
}

/// A path in lower case.
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) fn folded(path: &std::path::Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().to_lowercase())
}

/// What is said to whoever wants to go there.
pub(crate) fn refused() -> HandsError {
    HandsError::Outside(
        "it belongs to this program's own configuration, keys and records, which no tool reaches; ask the person"
            .into(),
    )
}
