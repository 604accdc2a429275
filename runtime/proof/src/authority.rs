//! What a proof lets its holder do, and what narrower means.

use std::fmt;

use aether_core::capability::{self, Capability};
use aether_core::digest::Digest;
use aether_core::tool::Limits;

use crate::walk::ProofError;
use crate::wire::{Malformed, Reader, write_authority};
use crate::{IssueError, wire};

/// The name that stands for every tool, in an authority that is delegated before the tool is known.
pub const ANY_TOOL: &str = "*";

/// Who may run what, within which limits, where, until when.
///
/// `docs/ipc-security.md`, section 4.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The node or process whose root key signs.
    pub issuer: [u8; 16],
    /// The task it is for, as the issuer counts its tasks.
    pub task: u64,
    /// The tool's name, `[a-z][a-z0-9_]*` of at most [`crate::TOOL_BYTES_MAX`] bytes, or [`ANY_TOOL`].
    pub tool: String,
    /// The one call it is for, as [`aether_core::tool::ToolCall::digest`] has it; `None` leaves it open.
    pub call: Option<Digest>,
    /// What the call may reach.
    pub capability: Capability,
    /// What it may use up.
    pub limits: Limits,
    /// Random bytes that stand for the one verifier it is for.
    pub audience: [u8; 32],
    /// The last millisecond at which it holds, in milliseconds since 1970-01-01 UTC.
    pub expires_unix_ms: u64,
}

impl Authority {
    /// Whether `narrower` may stand in a block after this.
    pub fn covers(&self, narrower: &Authority) -> bool {
        self.excess(narrower).is_none()
    }

    /// The first thing in which `other` is wider than this, or different where it has to be the same.
    pub fn excess(&self, other: &Authority) -> Option<Excess> {
        if self.issuer != other.issuer {
            return Some(Excess::Issuer);
        }
        if self.task != other.task {
            return Some(Excess::Task { found: other.task, wanted: self.task });
        }
        if self.audience != other.audience {
            return Some(Excess::Audience);
        }
        if self.tool != ANY_TOOL && self.tool != other.tool {
            return Some(Excess::Tool { found: other.tool.clone(), wanted: self.tool.clone() });
        }
        if self.call.is_some() && self.call != other.call {
            return Some(Excess::Call);
        }
        if other.expires_unix_ms > self.expires_unix_ms {
            return Some(Excess::Expiry { found_unix_ms: other.expires_unix_ms, unix_ms_max: self.expires_unix_ms });
        }
        let limits = amounts(&self.limits).into_iter().zip(amounts(&other.limits));
        let over = limits.into_iter().find(|((_, max), (_, found))| found > max);
        over.map(|((name, max), (_, found))| Excess::Limit { name, found, max })
            .or_else(|| self.capability.excess(&other.capability).map(Excess::Capability))
    }

    /// Whether this is the authority for exactly this call: the tool by its own name, and the call by its digest.
    ///
    /// # Errors
    /// [`ProofError::OtherCall`], also where the tool or the call is left open.
    pub fn permits(&self, tool: &str, call: &Digest) -> Result<(), ProofError> {
        let is_same = self.tool == tool && tool != ANY_TOOL && self.call.as_ref() == Some(call);
        if is_same { Ok(()) } else { Err(ProofError::OtherCall { tool: self.tool.clone() }) }
    }

    /// The one encoding of it (P3).
    ///
    /// # Errors
    /// What of it cannot be written: [`IssueError::Tool`], [`IssueError::Places`] or [`IssueError::Text`].
    pub fn encode(&self) -> Result<Vec<u8>, IssueError> {
        let mut out = Vec::with_capacity(256);
        write_authority(&mut out, self)?;
        Ok(out)
    }

    /// Reads what [`Authority::encode`] wrote.
    ///
    /// # Errors
    /// Where and why the bytes are no encoding, or not the one.
    pub fn decode(bytes: &[u8]) -> Result<Authority, Malformed> {
        let mut reader = Reader::new(bytes);
        let authority = wire::read_authority(&mut reader)?;
        reader.end()?;
        Ok(authority)
    }
}

/// The limits with their names, in the order in which they are written.
fn amounts(limits: &Limits) -> [(&'static str, u64); 5] {
    [
        ("milliseconds of run time", limits.runtime_ms_max),
        ("milliseconds of processor time", limits.cpu_ms_max),
        ("bytes of memory", limits.memory_bytes_max),
        ("processes", u64::from(limits.processes_max)),
        ("bytes of output", limits.output_bytes_max),
    ]
}

/// In what one authority is wider than another, or different where both have to be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Another issuer.
    Issuer,
    /// Another task.
    Task {
        /// The task of the wider authority.
        found: u64,
        /// The task it has to be for.
        wanted: u64,
    },
    /// Another verifier.
    Audience,
    /// Another tool.
    Tool {
        /// The tool of the wider authority.
        found: String,
        /// The tool it has to be for.
        wanted: String,
    },
    /// Another call, or an open one where it was set.
    Call,
    /// It expires later.
    Expiry {
        /// When the wider authority expires.
        found_unix_ms: u64,
        /// When it may expire at the latest.
        unix_ms_max: u64,
    },
    /// A higher limit.
    Limit {
        /// What is limited, with its unit, in the plural.
        name: &'static str,
        /// The limit of the wider authority.
        found: u64,
        /// What it may be at most.
        max: u64,
    },
    /// Something to reach that was not reached before.
    Capability(capability::Excess),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Issuer => f.write_str("another issuer"),
            Excess::Task { found, wanted } => write!(f, "task {found} instead of {wanted}"),
            Excess::Audience => f.write_str("another audience"),
            Excess::Tool { found, wanted } => write!(f, "tool `{found}` instead of `{wanted}`"),
            Excess::Call => f.write_str("another call than the one it was bound to"),
            Excess::Expiry { found_unix_ms, unix_ms_max } => {
                write!(f, "expiry at {found_unix_ms} ms, which is after {unix_ms_max} ms")
            }
            Excess::Limit { name, found, max } => write!(f, "{found} {name}, which is more than {max}"),
            Excess::Capability(excess) => write!(f, "{excess}"),
        }
    }
}
