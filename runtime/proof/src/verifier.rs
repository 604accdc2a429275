//! What a presented proof is worth, to one verifier, now.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use aether_core::digest::Digest;

use crate::AHEAD_MS_MAX;
use crate::authority::Authority;
use crate::walk::{self, Frame, ProofError};

/// Verified proofs remembered, at most.
pub const KNOWN_MAX: usize = 1_024;
/// Bytes of encoding of all of them, at most.
pub const KNOWN_BYTES_MAX: usize = 1 << 20;
/// Revocations kept, at most.
pub const REVOCATIONS_MAX: usize = 4_096;

/// SHA-256 over a presented proof: what a seal is bound to.
pub fn presentation_digest(bytes: &[u8]) -> Digest {
    walk::sha256(&[bytes])
}

/// Verifies proofs that begin with one root key and are for one audience.
///
/// Signatures are looked at once for each proof; time and revocations every time (P5).
#[derive(Debug)]
pub struct Verifier {
    root: [u8; 32],
    audience: [u8; 32],
    latest_unix_ms: u64,
    known: BTreeMap<Digest, Known>,
    /// The keys of `known`, the oldest first.
    order: VecDeque<Digest>,
    known_bytes: usize,
    /// Until when each has to be kept.
    revoked: BTreeMap<Revocation, u64>,
}

/// A proof that was verified before.
#[derive(Debug)]
struct Known {
    authority: Arc<Authority>,
    ids: Vec<Digest>,
    bytes: usize,
}

/// What is worth nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revocation {
    /// Every proof for this task.
    Task {
        /// The issuer of the task.
        issuer: [u8; 16],
        /// The task.
        task: u64,
    },
    /// Every proof that holds the block of this id: the proof that ended with it, and all that were narrowed from it.
    Block(Digest),
}

impl Verifier {
    /// For proofs that the private half of `root` began, and that are for `audience`.
    pub fn new(root: [u8; 32], audience: [u8; 32]) -> Verifier {
        Verifier {
            root,
            audience,
            latest_unix_ms: 0,
            known: BTreeMap::new(),
            order: VecDeque::new(),
            known_bytes: 0,
            revoked: BTreeMap::new(),
        }
    }

    /// What a presented proof gives, if it holds here and now. A `now_unix_ms` before the latest one counts as that.
    ///
    /// # Errors
    /// See [`ProofError`]; never [`ProofError::OtherCall`], which [`Authority::permits`] says.
    pub fn verify(&mut self, bytes: &[u8], now_unix_ms: u64) -> Result<Arc<Authority>, ProofError> {
        self.latest_unix_ms = self.latest_unix_ms.max(now_unix_ms);
        let frame = Frame::parse(bytes)?;
        let digest = presentation_digest(bytes);
        if let Some(known) = self.known.get(&digest) {
            self.stands(known)?;
            return Ok(Arc::clone(&known.authority));
        }
        let known = self.first(&frame, bytes.len())?;
        self.stands(&known)?;
        let authority = Arc::clone(&known.authority);
        self.remember(digest, known);
        Ok(authority)
    }

    /// What is true of a proof for ever: its signatures, its narrowing, its audience.
    fn first(&self, frame: &Frame<'_>, bytes: usize) -> Result<Known, ProofError> {
        if frame.seed.is_some() {
            return Err(ProofError::Held);
        }
        let walked = walk::walk(frame, &self.root)?;
        if walked.authority.audience != self.audience {
            return Err(ProofError::Audience);
        }
        Ok(Known { authority: Arc::new(walked.authority), ids: walked.ids, bytes })
    }

    /// What may change: time and revocations.
    fn stands(&self, known: &Known) -> Result<(), ProofError> {
        let (expires_unix_ms, now_unix_ms) = (known.authority.expires_unix_ms, self.latest_unix_ms);
        if expires_unix_ms < now_unix_ms {
            return Err(ProofError::Expired { expires_unix_ms, now_unix_ms });
        }
        if expires_unix_ms - now_unix_ms > AHEAD_MS_MAX {
            return Err(ProofError::TooLong { expires_unix_ms, now_unix_ms });
        }
        let task = Revocation::Task { issuer: known.authority.issuer, task: known.authority.task };
        let mut names = known.ids.iter().map(|id| Revocation::Block(*id)).chain([task]);
        if names.any(|name| self.revoked.contains_key(&name)) { Err(ProofError::Revoked) } else { Ok(()) }
    }

    /// Keeps a proof, and forgets the oldest where there is no room (P7).
    fn remember(&mut self, digest: Digest, known: Known) {
        self.known_bytes += known.bytes;
        self.known.insert(digest, known);
        self.order.push_back(digest);
        while self.order.len() > KNOWN_MAX || self.known_bytes > KNOWN_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.known_bytes -= self.known.remove(&oldest).map_or(0, |known| known.bytes);
        }
    }

    /// Takes the worth from proofs, at once and for those verified before, until `until_unix_ms`: the latest expiry
    /// among the proofs it concerns, or `u64::MAX` to keep it for good. Revoking again can make that later, not earlier.
    ///
    /// # Errors
    /// [`RevocationsFull`]: nothing was revoked. Whoever wanted it has to end the verifier and its root key instead.
    pub fn revoke(&mut self, revocation: Revocation, until_unix_ms: u64) -> Result<(), RevocationsFull> {
        if self.revoked.len() >= REVOCATIONS_MAX && !self.revoked.contains_key(&revocation) {
            let now_unix_ms = self.latest_unix_ms;
            self.revoked.retain(|_, until_unix_ms| *until_unix_ms >= now_unix_ms);
            if self.revoked.len() >= REVOCATIONS_MAX {
                return Err(RevocationsFull);
            }
        }
        let until = self.revoked.entry(revocation).or_insert(until_unix_ms);
        *until = until_unix_ms.max(*until);
        Ok(())
    }
}

/// There are as many revocations as are kept, and none of them is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationsFull;

impl fmt::Display for RevocationsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{REVOCATIONS_MAX} revocations are kept and none is over: restart the secure runtime, which ends every proof"
        )
    }
}

impl std::error::Error for RevocationsFull {}
