//! The directories that paths start from, each opened once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aether_core::capability::Place;
use aether_core::tool::{DirEntry, EntryKind, HandsError, WriteMode};

use crate::hidden::Hidden;
use crate::{Slice, Watch, zone};

/// The name of the time zone database, which every call may read: `$zoneinfo/Europe/Oslo`.
pub const ZONES_ROOT: &str = "$zoneinfo";

/// The most entries that one listing holds; a larger directory is [`HandsError::Limit`].
pub const LIST_ENTRIES_MAX: usize = 50_000;

/// Names of directories and files that are never written, at any depth and in any case of letters (H5): git
/// executes hooks and reads commands from its configuration, and `.aether` holds this program's own rules.
pub const WRITE_PROTECTED: [&str; 2] = [".git", ".aether"];

/// One directory and what is beneath it. Paths are relative, without `..`, empty for the directory itself.
pub(crate) trait Beneath: Send + Sync {
    /// From now on these directories are not there (H7).
    fn hide(&mut self, hidden: &Arc<Hidden>) -> Result<(), HandsError>;
    fn read(&self, path: &str, slice: Slice, watch: Watch<'_>) -> Result<Vec<u8>, HandsError>;
    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode, watch: Watch<'_>) -> Result<(), HandsError>;
    fn list(&self, path: &str, watch: Watch<'_>) -> Result<Vec<DirEntry>, HandsError>;
}

/// The directories that places start from, such as `$workspace`.
///
/// Each is held open: renaming, deleting or replacing it in mid-run leads to an error or to the old
/// directory, never to another one.
pub struct Roots {
    named: Vec<(Box<str>, Box<dyn Beneath>)>,
    zones: OnceLock<Option<Box<dyn Beneath>>>,
}

impl Roots {
    /// Opens directories by name. A name is `$` and a word, or `/` for the root of the file system.
    ///
    /// # Errors
    /// [`RootError`] for the first one that cannot be opened.
    pub fn open(named: &[(&str, &Path)]) -> Result<Roots, RootError> {
        let mut roots = Roots { named: Vec::with_capacity(named.len()), zones: OnceLock::new() };
        for (name, path) in named {
            let root = open(path).map_err(|error| RootError { path: path.display().to_string(), error })?;
            roots.named.push(((*name).into(), root));
        }
        Ok(roots)
    }

    /// The same, but these directories and everything in them are not there for any call: nothing in them is read,
    /// written or listed, and listings of what lies around leave them out (H7). On Linux they are known by what they are,
    /// so that neither a link, nor another spelling, nor moving or mounting them elsewhere leads there; on other systems
    /// by their paths without links. One that does not exist yet is hidden as soon as it does. A hard link to a single
    /// file is a file of its own.
    ///
    /// # Errors
    /// [`RootError`] for a root that cannot be looked at.
    pub fn hiding(mut self, directories: Vec<PathBuf>) -> Result<Roots, RootError> {
        let hidden = Arc::new(Hidden::new(directories));
        for (name, root) in &mut self.named {
            root.hide(&hidden).map_err(|error| RootError { path: name.to_string(), error })?;
        }
        Ok(self)
    }

    #[cfg(test)]
    pub(crate) fn of(name: &str, root: Box<dyn Beneath>) -> Roots {
        Roots { named: vec![(name.into(), root)], zones: OnceLock::new() }
    }

    /// The root of a place, and the path beneath it.
    pub(crate) fn locate<'p>(&self, place: &'p Place) -> Result<(&dyn Beneath, &'p str), HandsError> {
        let path = place.as_str();
        let (name, rest) = match path.strip_prefix('/') {
            Some(rest) => ("/", rest),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let found = self.named.iter().find(|(known, _)| &**known == name);
        let (_, root) = found.ok_or_else(|| HandsError::Outside(format!("there is no root `{name}` here")))?;
        Ok((&**root, rest))
    }

    /// The time zone database.
    pub(crate) fn zones(&self) -> Result<&dyn Beneath, HandsError> {
        let opened = self.zones.get_or_init(|| zone::directories().iter().find_map(|path| open(path).ok()));
        opened.as_deref().ok_or(HandsError::Missing)
    }
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> Result<Box<dyn Beneath>, HandsError> {
    Ok(Box::new(crate::linux::Root::open(path)?))
}

#[cfg(not(target_os = "linux"))]
fn open(path: &Path) -> Result<Box<dyn Beneath>, HandsError> {
    Ok(Box::new(crate::portable::Root::open(path)?))
}

/// A directory that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootError {
    /// Its path.
    pub path: String,
    /// Why.
    pub error: HandsError,
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be opened as a directory: {}", self.path, self.error)
    }
}

impl std::error::Error for RootError {}

/// Refuses a path that leads into a protected directory (H5).
pub(crate) fn refuse_protected(path: &str) -> Result<(), HandsError> {
    match path.split('/').find(|component| is_protected(component)) {
        None => Ok(()),
        Some(name) => Err(HandsError::Outside(format!(
            "`{name}` is protected: what is in it can run commands or change what is allowed; ask the person to change it"
        ))),
    }
}

/// Whether a file system could take `component` for a protected name: letters of either case, and on Windows
/// trailing dots and spaces, an alternate stream behind `:`, or the short name `GIT~1`.
fn is_protected(component: &str) -> bool {
    let base = component.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    let is_short = |name: &str| {
        let stem = base.split('~').next().unwrap_or_default();
        base.contains('~') && stem.len() >= 3 && name[1..].starts_with(&*stem.to_ascii_lowercase())
    };
    WRITE_PROTECTED.iter().any(|name| base.eq_ignore_ascii_case(name) || is_short(name))
}

/// Splits a path into its directories and its last name.
///
/// # Errors
/// [`HandsError::WrongKind`] for the root itself, which is a directory.
pub(crate) fn split_name(path: &str) -> Result<(&str, &str), HandsError> {
    match path.rsplit_once('/') {
        Some((parents, name)) => Ok((parents, name)),
        None if path.is_empty() => Err(HandsError::WrongKind(EntryKind::Directory)),
        None => Ok(("", path)),
    }
}

/// A name for a file that is being written: hidden, and not one that somebody could have laid in wait.
pub(crate) fn temporary_name() -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!(".aether-{random:016x}.tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h5_protected_names_are_known_in_every_spelling() {
        for path in [".git/hooks/pre-commit", "sub/.git/config", ".GIT/x", ".git", ".aether/config.toml", "a/.Aether/b"]
        {
            assert!(refuse_protected(path).is_err(), "{path}");
        }
        for path in [".git./config", ".git::$INDEX_ALLOCATION/x", "GIT~1/config", ".git /x", "AETHER~1/x"] {
            assert!(refuse_protected(path).is_err(), "{path}");
        }
        for path in
            ["git/config", ".gitignore", ".github/workflows/ci.yml", "a.git", ".aetherial", "x~1", "~", "notes~"]
        {
            assert_eq!(refuse_protected(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn temporary_names_differ() {
        assert_ne!(temporary_name(), temporary_name());
        assert!(refuse_protected(&temporary_name()).is_ok());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Roots::open(&[("$workspace", Path::new("/nonexistent/nowhere"))]).err().map(|e| e.to_string());
        let wanted = "`/nonexistent/nowhere` cannot be opened as a directory: no such file or directory";
        assert_eq!(error.as_deref(), Some(wanted));
    }
}
