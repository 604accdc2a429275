//! How a command ends: exit codes, and errors that say what to do next.

use std::fmt;
use std::process::ExitCode;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Policy, or the person, refused.
    Refused = 3,
    /// A budget was spent.
    Spent = 4,
    /// The person interrupted it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error for the person: one sentence that ends with the next step.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    message: String,
}

impl Trouble {
    /// Something failed.
    pub(crate) fn failed(message: impl fmt::Display) -> Trouble {
        Trouble { exit: Exit::Failed, message: message.to_string() }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Trouble {
        Trouble { exit: Exit::Usage, message: message.to_string() }
    }

    /// The person interrupted it.
    pub(crate) fn interrupted(message: impl fmt::Display) -> Trouble {
        Trouble { exit: Exit::Interrupted, message: message.to_string() }
    }

    /// Policy, or the person, refused.
    pub(crate) fn refused(message: impl fmt::Display) -> Trouble {
        Trouble { exit: Exit::Refused, message: message.to_string() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
