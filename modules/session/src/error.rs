//! What can go wrong with a file, an enum to branch on and a sentence to read.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Something that could not be done with a file. It holds what it held before (D4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No variable says where the person's files are.
    NoHome {
        /// What to set.
        wanted: &'static str,
    },
    /// The operating system refused.
    Refused {
        /// What was to be done, such as `write`.
        act: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        cause: Cause,
    },
    /// A secret's file can be read by others.
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// More bytes than are allowed.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many it has, or would have.
        bytes: u64,
        /// How many it may have.
        bytes_max: u64,
    },
    /// The content is not UTF-8 text.
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first byte that is none, from 1.
        line: usize,
    },
    /// A directory, a pipe or a device where a file was wanted.
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// A secret's file without a secret.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Another process appends to this session.
    InUse {
        /// The session.
        id: Box<str>,
        /// The process, if it has already said so.
        pid: Option<u32>,
    },
    /// No session or trace has a name that begins so.
    Unknown {
        /// What it was looked for as: `session` or `trace`.
        what: &'static str,
        /// What was given.
        given: Box<str>,
        /// The one whose name looks most like it.
        nearest: Option<Box<str>>,
    },
    /// Several have.
    Ambiguous {
        /// What it was looked for as: `session` or `trace`.
        what: &'static str,
        /// What was given.
        given: Box<str>,
        /// Two of them.
        examples: [Box<str>; 2],
    },
    /// Every name for this moment is taken.
    Crowded {
        /// The directory.
        path: PathBuf,
    },
    /// A line of a trace with a line break in it.
    BrokenLine {
        /// The trace.
        path: PathBuf,
    },
}

/// Why the operating system refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is not there.
    Missing,
    /// The permissions forbid it.
    Denied,
    /// The file system is read-only.
    ReadOnly,
    /// The disk or the quota is full.
    Full,
    /// A file stands where a directory was wanted, or the other way round.
    WrongKind,
    /// Anything else, in the system's words.
    Other(Box<str>),
}

impl StoreError {
    /// The error for what the operating system answered to `act` on `path`.
    pub(crate) fn refused(act: &'static str, path: &Path, error: &io::Error) -> StoreError {
        let cause = match error.kind() {
            ErrorKind::NotFound => Cause::Missing,
            ErrorKind::PermissionDenied => Cause::Denied,
            ErrorKind::ReadOnlyFilesystem => Cause::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Cause::Full,
            ErrorKind::NotADirectory | ErrorKind::IsADirectory => Cause::WrongKind,
            _ => Cause::Other(error.to_string().into()),
        };
        StoreError::Refused { act, path: path.to_owned(), cause }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NoHome { wanted } => write!(f, "nothing says where your files are; set {wanted}"),
            StoreError::Refused { act, path, cause } => write!(f, "cannot {act} {}: {cause}", path.display()),
            StoreError::Exposed { path, mode } => {
                let path = path.display();
                write!(f, "{path} holds a secret and can be read by others (mode {mode:o}); run `chmod 600 {path}`")
            }
            StoreError::TooLarge { path, bytes, bytes_max } => {
                write!(f, "{}: found {bytes} bytes, wanted at most {bytes_max}", path.display())
            }
            StoreError::NotText { path, line } => {
                write!(
                    f,
                    "{}:{line}: found bytes that are no UTF-8 text; convert the file or choose another",
                    path.display()
                )
            }
            StoreError::NotAFile { path } => write!(f, "{} is not a file; name one", path.display()),
            StoreError::Empty { path } => write!(f, "{} is empty, wanted a secret on its first line", path.display()),
            StoreError::InUse { id, pid } => {
                write!(f, "session {id} is in use")?;
                match pid {
                    Some(pid) => write!(f, " by process {pid}; end that one first, or start a new session"),
                    None => f.write_str(" by another process; end that one first, or start a new session"),
                }
            }
            StoreError::Unknown { what, given, nearest } => match nearest {
                Some(nearest) => write!(f, "no {what} is called `{given}`; did you mean `{nearest}`?"),
                None => write!(f, "no {what} is called `{given}`; list them to see which there are"),
            },
            StoreError::Ambiguous { what, given, examples: [one, other] } => {
                write!(
                    f,
                    "more than one {what} begins with `{given}`, such as {one} and {other}; give more of its name"
                )
            }
            StoreError::Crowded { path } => {
                write!(f, "{}: every name for this moment is taken; try again", path.display())
            }
            StoreError::BrokenLine { path } => {
                write!(f, "{}: found a line break within an event, wanted one line each", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Missing => f.write_str("it does not exist"),
            Cause::Denied => f.write_str("permission denied; `ls -ld` on it shows whose it is"),
            Cause::ReadOnly => f.write_str(
                "the file system is read-only; point XDG_DATA_HOME and XDG_CONFIG_HOME to a place that can be written",
            ),
            Cause::Full => f.write_str("no space is left on the disk; free some and try again"),
            Cause::WrongKind => f.write_str("a file stands where a directory was wanted, or the other way round"),
            Cause::Other(words) => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn every_bad_day_has_its_own_sentence() {
        let path = Path::new("/d/f");
        for (code, wanted) in [
            (2, "cannot write /d/f: it does not exist"),
            (13, "cannot write /d/f: permission denied; `ls -ld` on it shows whose it is"),
            (28, "cannot write /d/f: no space is left on the disk; free some and try again"),
            (122, "cannot write /d/f: no space is left on the disk; free some and try again"),
            (
                30,
                "cannot write /d/f: the file system is read-only; point XDG_DATA_HOME and XDG_CONFIG_HOME to a place that \
                 can be written",
            ),
            (20, "cannot write /d/f: a file stands where a directory was wanted, or the other way round"),
            (5, "cannot write /d/f: Input/output error (os error 5)"),
        ] {
            let error = StoreError::refused("write", path, &io::Error::from_raw_os_error(code));
            assert_eq!(error.to_string(), wanted);
        }
    }
}
