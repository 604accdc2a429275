//! The words of both ends: a call, what it gives while it runs, and how it ends.

use std::sync::Arc;
use std::time::Instant;

use aether_core::capability::Capability;
use aether_core::digest::{Digest, Sha256};
use aether_core::tool::Limits;
use aether_proof::Authority;

/// One call, as the kernel's process asks for it.
///
/// What it may reach and use up goes into a proof that is made for this call alone; the sidecar takes nothing else into
/// account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// The input, a JSON text.
    pub input: String,
    /// The task it is for.
    pub task: u64,
    /// What it may reach.
    pub capability: Capability,
    /// What it may use up. The call's deadline is [`Limits::runtime_ms_max`] from now and a little more, so that a call
    /// which overruns its time ends with the result that says so.
    pub limits: Limits,
    /// The session to run in; `None` for a call that keeps nothing.
    pub session: Option<String>,
}

/// A call that was proven, as the worker gets it.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The tool's name, which is also the authority's.
    pub tool: String,
    /// The input, a JSON text.
    pub input: String,
    /// The session to run in. Sessions of two tasks are two sessions, whatever they are called.
    pub session: Option<String>,
    /// What it may reach and use up.
    pub authority: Arc<Authority>,
    /// The digest of tool and input, which is also the authority's.
    pub call: Digest,
    /// When it must have ended; it is dropped then.
    pub deadline: Instant,
}

/// What a call gives while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the program's standard output.
    Stdout(Vec<u8>),
    /// Bytes of the program's standard error.
    Stderr(Vec<u8>),
    /// Something the runtime itself has to say, for the log.
    Note(String),
}

/// What comes of a call, in order: pieces, then the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A piece.
    Piece(Piece),
    /// The end, once.
    Finished(Finished),
}

/// How a call ended that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// In one word.
    pub outcome: Outcome,
    /// What the model is shown.
    pub text: String,
    /// The program's exit code, where it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// Which limit or rule it broke, in words: `memory limit 20 MB exceeded`; empty if none.
    pub breach: String,
    /// What it used up.
    pub usage: Usage,
    /// Which of its limits were enforced approximately, in words; empty if all held exactly.
    pub enforcement: String,
}

impl Finished {
    /// An end with this outcome and text, and nothing else to say.
    #[must_use]
    pub fn new(outcome: Outcome, text: String) -> Finished {
        Finished {
            outcome,
            text,
            exit_code: None,
            signal: None,
            breach: String::new(),
            usage: Usage::default(),
            enforcement: String::new(),
        }
    }
}

/// How a call ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It ran and did not succeed.
    Failed,
    /// It was killed for breaking a limit or a rule.
    Breach,
}

/// What a call used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Milliseconds from start to end.
    pub wall_ms: u64,
    /// Processor milliseconds of all its processes.
    pub cpu_ms: u64,
    /// The most bytes of memory it held at once; 0 where that is not known.
    pub memory_bytes_peak: u64,
}

/// Why a worker did not carry a call out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It knows no such tool, or the machine's policy forbids the call: a sentence.
    Refused(String),
    /// This machine lacks what the call's limits need: what is missing, and the way out.
    Unavailable(String),
    /// Too many, too much at once: a sentence.
    Busy(String),
}

/// How a sidecar is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What the worker says of itself, in lines.
    pub text: String,
    /// Calls that are running.
    pub in_flight: u32,
    /// Calls that were let in since its start.
    pub calls_total: u64,
    /// Requests that were refused since its start.
    pub refused_total: u64,
    /// Milliseconds since it began to serve.
    pub serving_ms: u64,
}

/// The digest by which a proof names a call: that of [`aether_core::tool::ToolCall::digest`].
#[must_use]
pub fn call_digest(tool: &str, input: &str) -> Digest {
    let mut hash = Sha256::default();
    for part in [tool, input] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_core::tool::ToolCall;

    #[test]
    fn the_digest_is_that_of_the_kernel() {
        for (tool, input) in [("", ""), ("shell", "{}"), ("a", "bc"), ("ab", "c")] {
            let call = ToolCall { id: "1".into(), name: tool.into(), input: input.into() };
            assert_eq!(call_digest(tool, input), call.digest());
        }
    }
}
