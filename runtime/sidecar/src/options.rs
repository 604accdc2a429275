//! How a sidecar is started and kept: what the house chooses, with limits.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::SIDECAR_WORD;

/// What the house chooses.
#[derive(Clone)]
pub struct Options {
    /// The program to start; this program's own file by default.
    pub program: PathBuf,
    /// Its arguments; [`SIDECAR_WORD`] by default.
    pub arguments: Vec<OsString>,
    /// What [`crate::Setup::worker`] is told, at most 65,536 bytes. May hold secrets: it goes through a socket that
    /// nobody else has, never through arguments or the environment.
    pub settings: Zeroizing<Vec<u8>>,
    /// The node or process in whose name proofs are made.
    pub issuer: [u8; 16],
    /// Calls at once, at most 256.
    pub in_flight_max: u32,
    /// Bytes of one message, at most 16 MiB.
    pub message_bytes_max: u32,
    /// Milliseconds from starting the process to its being asked; 2,000 by default, plus the same for the handshake.
    pub start_ms_max: u64,
    /// Starts in a row that may fail before it is left alone for [`Options::rest_ms`].
    pub failures_max: u32,
    /// Milliseconds for which a sidecar that failed too often is not started again.
    pub rest_ms: u64,
    /// Is told what happens to the process.
    pub notice: Option<Arc<dyn Fn(Notice) + Send + Sync>>,
}

/// Calls at once, at most.
pub(crate) const IN_FLIGHT_MAX: u32 = 256;

/// Bytes of one message, at most.
pub(crate) const MESSAGE_BYTES_MAX: u32 = 16 << 20;

impl Default for Options {
    fn default() -> Options {
        Options {
            program: PathBuf::from("/proc/self/exe"),
            arguments: vec![OsString::from(SIDECAR_WORD)],
            settings: Zeroizing::new(Vec::new()),
            issuer: [0; 16],
            in_flight_max: IN_FLIGHT_MAX,
            message_bytes_max: MESSAGE_BYTES_MAX,
            start_ms_max: 2_000,
            failures_max: 5,
            rest_ms: 30_000,
            notice: None,
        }
    }
}

/// Settings may hold secrets, so they are not shown.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("in_flight_max", &self.in_flight_max)
            .field("message_bytes_max", &self.message_bytes_max)
            .finish_non_exhaustive()
    }
}

/// What happens to a sidecar's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It serves.
    Serving {
        /// Its process id.
        process: u32,
        /// Milliseconds from starting it.
        start_ms: u64,
    },
    /// It ended, and not because it was told to: how.
    Ended(String),
    /// It did not come to serving: why.
    NotStarted(String),
    /// It is left alone for now.
    Resting {
        /// Starts in a row that failed.
        failures: u32,
    },
}
