//! Why a line could not be written or a log could not be read: an enum to branch on and a sentence to read.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::record::Kind;

/// Something that could not be done. The log holds what it held before (A2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditError {
    /// The operating system refused.
    Refused {
        /// What was to be done, such as `append to`.
        act: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        cause: Cause,
    },
    /// The log is not what its head says (A6).
    Broken(Fault),
    /// The log has as many files as it may have.
    Full {
        /// Where it is.
        path: PathBuf,
        /// How many it may have.
        files_max: u32,
    },
    /// Another process has held the log for too long.
    Busy {
        /// The lock.
        path: PathBuf,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// More records at once than one append takes.
    TooMany {
        /// How many were given.
        records: usize,
    },
    /// A record of a kind that only the log itself writes.
    Own {
        /// The kind.
        kind: Kind,
    },
    /// Nothing was ever logged here.
    Empty {
        /// Where the log would be.
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
    /// Anything else, in the system's words.
    Other(Box<str>),
}

impl AuditError {
    pub(crate) fn refused(act: &'static str, path: &Path, error: &io::Error) -> AuditError {
        let cause = match error.kind() {
            ErrorKind::NotFound => Cause::Missing,
            ErrorKind::PermissionDenied => Cause::Denied,
            ErrorKind::ReadOnlyFilesystem => Cause::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Cause::Full,
            _ => Cause::Other(error.to_string().into()),
        };
        AuditError::Refused { act, path: path.to_owned(), cause }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Missing => "it is not there",
            Cause::Denied => "permission denied",
            Cause::ReadOnly => "the file system is read-only",
            Cause::Full => "the disk is full; make room",
            Cause::Other(words) => words,
        })
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::Refused { act, path, cause } => write!(f, "cannot {act} {}: {cause}", path.display()),
            AuditError::Broken(fault) => {
                write!(
                    f,
                    "{fault}; it takes no more lines until it was looked at (`aether audit verify`) and set aside (`aether audit archive`)"
                )
            }
            AuditError::Full { path, files_max } => {
                let path = path.display();
                write!(
                    f,
                    "{path} has {files_max} files, as many as it may have; set them aside with `aether audit archive`"
                )
            }
            AuditError::Busy { path, waited_ms } => {
                write!(f, "another process has held {} for {waited_ms} ms; end it and try again", path.display())
            }
            AuditError::TooMany { records } => {
                write!(f, "{records} records at once, wanted at most {}", crate::log::RECORDS_MAX)
            }
            AuditError::Own { kind } => write!(f, "`{}` lines are written by the log alone", kind.name()),
            AuditError::Empty { path } => write!(f, "nothing was logged in {} yet", path.display()),
        }
    }
}

impl std::error::Error for AuditError {}
