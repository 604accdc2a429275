//! Why a broker cannot serve a jail.

use std::fmt;

use aether_net::TlsFault;

/// Why a broker cannot serve a jail. Nothing was carried.
#[derive(Debug)]
pub enum EgressError {
    /// A secret cannot be added as it stands.
    Secret {
        /// What it is called.
        name: Box<str>,
        /// What is wrong, as a clause with the next step.
        found: &'static str,
    },
    /// The roots of trust cannot be read.
    Trust(TlsFault),
    /// No certificate could be made; holds what was found.
    Certificate(Box<str>),
    /// A socket of the jail cannot be used.
    Socket(std::io::Error),
    /// There is no tokio runtime to serve on.
    NoRuntime,
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EgressError::Secret { name, found } => write!(f, "the secret {name} cannot be used: {found}"),
            EgressError::Trust(fault) => fault.fmt(f),
            EgressError::Certificate(found) => {
                write!(f, "no certificate for a jail can be made ({found}): try again, or leave the secrets out")
            }
            EgressError::Socket(error) => {
                write!(f, "a socket of the jail cannot be used ({error}): start the jail again")
            }
            EgressError::NoRuntime => {
                f.write_str("the broker was started outside of a tokio runtime: start it inside of one")
            }
        }
    }
}

impl std::error::Error for EgressError {}

impl From<std::io::Error> for EgressError {
    fn from(error: std::io::Error) -> EgressError {
        EgressError::Socket(error)
    }
}
