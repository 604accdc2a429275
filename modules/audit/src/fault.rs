//! What can be wrong with a log, and where.

use std::fmt;
use std::path::PathBuf;

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub wrong: Wrong,
    /// The file it is in.
    pub path: PathBuf,
    /// The line of that file, from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// The number of the log's line that should be there.
    pub sequence: u64,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The line is not what was written.
    Edited,
    /// Lines that were there are gone.
    Removed {
        /// The last that is missing; the fault's own number is the first.
        through: u64,
    },
    /// Lines stand in another order.
    Reordered {
        /// The number of the line that stands here.
        found: u64,
    },
    /// A line stands where none was.
    Inserted,
    /// The log ends before its head says: lines were cut off, or an older copy was put back.
    Truncated {
        /// How many lines the head knows.
        count: u64,
    },
    /// There are signed lines behind what the head knows: an older copy of the head was put back.
    RolledBack {
        /// How many lines the head knows.
        count: u64,
    },
    /// The lines agree with each other, but not with the head: they were all written anew from some line on.
    Rewritten,
    /// The signature of a checkpoint is not valid: lines before it, or it, were written anew.
    BadSignature,
    /// Another key signed.
    UnknownKey {
        /// That key, 64 hexadecimal digits.
        key: Box<str>,
    },
    /// The head is damaged.
    HeadDamaged,
    /// The head is gone.
    HeadMissing,
    /// Lines behind the last signature.
    Unsigned,
    /// It is no log: the first line does not begin one.
    NoLog,
}

impl Wrong {
    /// One word for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Wrong::Edited => "edited",
            Wrong::Removed { .. } => "removed",
            Wrong::Reordered { .. } => "reordered",
            Wrong::Inserted => "inserted",
            Wrong::Truncated { .. } => "truncated",
            Wrong::RolledBack { .. } => "rolled_back",
            Wrong::Rewritten => "rewritten",
            Wrong::BadSignature => "bad_signature",
            Wrong::UnknownKey { .. } => "unknown_key",
            Wrong::HeadDamaged => "head_damaged",
            Wrong::HeadMissing => "head_missing",
            Wrong::Unsigned => "unsigned",
            Wrong::NoLog => "no_log",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { wrong, path, line, sequence } = self;
        match line {
            0 => write!(f, "the audit log is damaged, {}: ", path.display())?,
            _ => write!(f, "the audit log is damaged, {}:{line}: ", path.display())?,
        }
        match wrong {
            Wrong::Edited => write!(f, "line {sequence} is not what was written"),
            Wrong::Removed { through } if through == sequence => write!(f, "line {sequence} was removed"),
            Wrong::Removed { through } => write!(f, "lines {sequence} to {through} were removed"),
            Wrong::Reordered { found } => write!(f, "line {found} stands where line {sequence} belongs"),
            Wrong::Inserted => write!(f, "a line was inserted before line {sequence}"),
            Wrong::Truncated { count } => {
                write!(
                    f,
                    "it ends before line {sequence}, its head knows {count}: it was cut, or an older copy was put back"
                )
            }
            Wrong::RolledBack { count } => {
                write!(f, "its head knows {count} lines and there are more: an older copy of the head was put back")
            }
            Wrong::Rewritten => write!(f, "line {sequence} is not the one that the head was signed for"),
            Wrong::BadSignature => write!(f, "the signature of checkpoint {sequence} is not valid"),
            Wrong::UnknownKey { key } => {
                write!(f, "line {sequence} names the key {key}, which is not the one to trust")
            }
            Wrong::HeadDamaged => f.write_str("the head is damaged"),
            Wrong::HeadMissing => f.write_str("the head is gone"),
            Wrong::Unsigned => write!(f, "nothing signs line {sequence} and what follows it"),
            Wrong::NoLog => f.write_str("its first line begins no log"),
        }
    }
}

/// Something worth knowing that is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Bytes behind the head: a writer died while it wrote. The next one sets them aside.
    Unconfirmed {
        /// The file.
        path: PathBuf,
        /// How many.
        bytes: u64,
    },
    /// A writer set such bytes aside.
    Torn {
        /// The line that says so.
        sequence: u64,
        /// How many.
        bytes: u64,
    },
    /// The log follows an older one that was set aside, damaged or not.
    Follows {
        /// How many lines that had.
        count: u64,
        /// What was wrong with it, [`Wrong::name`].
        fault: Option<Box<str>>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Unconfirmed { path, bytes } => {
                write!(f, "{}: a writer died while it wrote; its last {bytes} bytes count for nothing", path.display())
            }
            Notice::Torn { sequence, bytes } => {
                write!(f, "line {sequence}: {bytes} bytes that a dead writer left were set aside")
            }
            Notice::Follows { count, fault: None } => {
                write!(f, "it follows an archived log of {count} lines")
            }
            Notice::Follows { count, fault: Some(fault) } => {
                write!(f, "it follows an archived log of {count} lines that was damaged ({fault})")
            }
        }
    }
}
