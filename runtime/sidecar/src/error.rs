//! Why a call did not come to a result, or a sidecar to serving.

use std::fmt;

/// What can go wrong between the kernel's process and the sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SidecarError {
    /// There is no secure runtime on this system.
    Absent,
    /// It did not come to serving: why, and the end of its log.
    Start {
        /// A sentence.
        why: String,
        /// The last lines it wrote; empty if none.
        log: String,
    },
    /// It failed too often and is not started again for now.
    Broken {
        /// How many times in a row.
        failures: u32,
        /// Why the last time.
        why: String,
    },
    /// It stopped while the call was under way, or before it was sent. The call is not sent again.
    Stopped,
    /// [`crate::Sidecar::stop`] was called.
    Stopping,
    /// The sidecar refused: the word of `docs/ipc-security.md`, section 8, and a sentence.
    Refused {
        /// The word.
        reason: String,
        /// The sentence.
        text: String,
    },
    /// The machine lacks what the call's limits need: what is missing, and the way out.
    Unavailable(String),
    /// A limit of the connection: too many calls at once, or a message too large.
    Limit(String),
    /// The deadline passed before the call ended. It was killed.
    Deadline,
    /// The sidecar answered something that it should not: what.
    Garbled(String),
}

impl fmt::Display for SidecarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SidecarError::Absent => {
                f.write_str("the secure runtime needs Linux; on this system only built-in tools can be used")
            }
            SidecarError::Start { why, log } if log.is_empty() => write!(f, "the secure runtime did not start: {why}"),
            SidecarError::Start { why, log } => {
                write!(f, "the secure runtime did not start: {why}; its last words: {log}")
            }
            SidecarError::Broken { failures, why } => write!(
                f,
                "the secure runtime failed {failures} times in a row and rests now; the last time: {why}; see `aether doctor`"
            ),
            SidecarError::Stopped => {
                f.write_str("the secure runtime stopped; nothing of this call is known to have finished")
            }
            SidecarError::Stopping => f.write_str("the secure runtime is being stopped and takes no new call"),
            SidecarError::Refused { text, .. } | SidecarError::Unavailable(text) | SidecarError::Limit(text) => {
                f.write_str(text)
            }
            SidecarError::Deadline => f.write_str("the call did not end before its deadline and was killed"),
            SidecarError::Garbled(what) => write!(f, "the secure runtime answered what it should not: {what}"),
        }
    }
}

impl std::error::Error for SidecarError {}
