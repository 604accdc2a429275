//! What can go wrong with a key or a signed file: an enum to branch on and a sentence to read.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::hex::hex;
use crate::keyring::PublicKey;

/// Something that could not be trusted, or could not be done. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustError {
    /// The operating system refused.
    Refused {
        /// What was to be done, such as `read`.
        act: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        cause: Cause,
    },
    /// Others may do with it what only its owner may do.
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The bits it should have, as `chmod` takes them.
        wanted: &'static str,
    },
    /// It belongs to another user.
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// The user it belongs to.
        owner: u32,
    },
    /// It is not what it should be: a link, a pipe, a text in another form.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was wanted.
        wanted: &'static str,
    },
    /// More bytes than are allowed.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many it may have.
        bytes_max: u64,
    },
    /// Another process has held the directory's lock for too long.
    Busy {
        /// The directory.
        path: PathBuf,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// The system gives no random bytes.
    NoRandom,
    /// There is no signature beside the file.
    Unsigned {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was signed.
    Changed {
        /// The file.
        path: PathBuf,
        /// SHA-256 of what was signed.
        signed: [u8; 32],
        /// SHA-256 of what is there.
        found: [u8; 32],
    },
    /// Another key signed it.
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// That key.
        key: PublicKey,
    },
    /// The signature is none of the key that it names.
    BadSignature {
        /// The file.
        path: PathBuf,
    },
    /// An older file with its older signature was put in the place of a newer one.
    RolledBack {
        /// The file.
        path: PathBuf,
        /// The number it was signed with.
        counter: u64,
        /// The newest number of that name.
        newest: u64,
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

impl Cause {
    /// The cause behind what the operating system answered.
    #[must_use]
    pub fn of(error: &io::Error) -> Cause {
        match error.kind() {
            ErrorKind::NotFound => Cause::Missing,
            ErrorKind::PermissionDenied => Cause::Denied,
            ErrorKind::ReadOnlyFilesystem => Cause::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Cause::Full,
            _ => Cause::Other(error.to_string().into()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Missing => "it is not there",
            Cause::Denied => "permission denied",
            Cause::ReadOnly => "the file system is read-only",
            Cause::Full => "the disk is full",
            Cause::Other(words) => words,
        })
    }
}

impl TrustError {
    pub(crate) fn refused(act: &'static str, path: &Path, error: &io::Error) -> TrustError {
        TrustError::Refused { act, path: path.to_owned(), cause: Cause::of(error) }
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustError::Refused { act, path, cause } => write!(f, "cannot {act} {}: {cause}", path.display()),
            TrustError::Exposed { path, mode, wanted } => {
                let path = path.display();
                write!(f, "{path} is open to others (mode {mode:o}); run `chmod {wanted} {path}`")
            }
            TrustError::Foreign { path, owner } => {
                let path = path.display();
                write!(f, "{path} belongs to user {owner}, not to you; run `chown \"$(id -u)\" {path}` if it is yours")
            }
            TrustError::Malformed { path, wanted } => {
                write!(f, "{} is not what it should be, wanted {wanted}", path.display())
            }
            TrustError::TooLarge { path, bytes_max } => {
                write!(f, "{} is larger than {bytes_max} bytes", path.display())
            }
            TrustError::Busy { path, waited_ms } => {
                write!(f, "another process has held {} for {waited_ms} ms; end it and try again", path.display())
            }
            TrustError::NoRandom => f.write_str("the system gives no random bytes, wanted 32 for a new key"),
            TrustError::Unsigned { path } => write!(f, "{} is not signed; read it, then sign it", path.display()),
            TrustError::Changed { path, signed, found } => {
                let (signed, found) = (hex(signed), hex(found));
                let path = path.display();
                write!(
                    f,
                    "{path} was changed since it was signed: found SHA-256 {found}, signed was {signed}; read it, then sign it"
                )
            }
            TrustError::UnknownKey { path, key } => {
                write!(
                    f,
                    "{} is signed by the key {key}, which is not this machine's; read it, then sign it",
                    path.display()
                )
            }
            TrustError::BadSignature { path } => {
                write!(f, "the signature of {} is not valid; read the file, then sign it", path.display())
            }
            TrustError::RolledBack { path, counter, newest } => {
                let path = path.display();
                write!(
                    f,
                    "{path} is an older copy: it was signed as number {counter}, the newest is {newest}; put the newest back, or read it and sign it"
                )
            }
        }
    }
}

impl std::error::Error for TrustError {}
