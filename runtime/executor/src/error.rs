//! Why a call was not carried out.

use std::fmt;

use aether_egress::EgressError;
use aether_jail::JailError;

/// Why a call was not carried out. Nothing ran.
#[derive(Debug)]
pub enum ExecutorError {
    /// The input is wrong, or names a program or directory that is not there.
    Input(String),
    /// The jail refused, or this machine lacks what it needs.
    Jail(JailError),
    /// The network broker could not start.
    Network(EgressError),
    /// The system refused something that every call needs.
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecutorError::Input(why) => f.write_str(why),
            ExecutorError::Jail(error) => error.fmt(f),
            ExecutorError::Network(error) => error.fmt(f),
            ExecutorError::System { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ExecutorError {}

impl From<JailError> for ExecutorError {
    fn from(error: JailError) -> ExecutorError {
        ExecutorError::Jail(error)
    }
}

impl From<EgressError> for ExecutorError {
    fn from(error: EgressError) -> ExecutorError {
        ExecutorError::Network(error)
    }
}

/// For `map_err`: what was tried when the system refused.
pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> ExecutorError {
    move |error| ExecutorError::System { what, error }
}
