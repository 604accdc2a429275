//! Dry: proofs of authority, and seals on requests that carry them.
//!
//! **What it is.** A proof is a chain of signed blocks, each with an [`Authority`] no wider than the one before.
//! [`Issuer`] begins one, the holder of a [`Proof`] narrows it without asking anyone, a [`Presentation`] is what is sent,
//! and a [`Verifier`] says what it is worth. A [`Seal`] binds one request, with its proof, to one connection and one use:
//! [`Sealer`] makes it, [`Opener`] takes each once. The formats are those of `docs/ipc-security.md`, sections 4 and 5.
//!
//! **What is not here.** No I/O, no clock, no file, no connection: time is an argument, and so is every secret but one
//! that [`Seed::generate`] asks the system for. No gRPC and no TLS; no decision about policy, which the kernel's gate
//! makes before anything is signed. A proof says what may be done, not that it should be.
//!
//! **Invariants**, cited by the tests that hold them:
//!
//! - **P1** A proof never reaches more than any of its blocks: its authority is the meet over all of them.
//! - **P2** Bytes that no holder of the right key made are refused: flipped, cut, joined, reordered or signed by another.
//! - **P3** There is one encoding of each proof and each authority, and it is read back to what was written.
//! - **P4** What is presented holds no key: nothing can be appended to it, and nothing dropped from it.
//! - **P5** Expiry and revocation hold at every use, also for a proof that was verified before.
//! - **P6** A seal opens once, on the connection it was made for, for the request it was made for, in time.
//! - **P7** Memory is bounded whatever is shown: chains, texts, remembered proofs, revocations, the window.
#![forbid(unsafe_code)]

mod authority;
mod chain;
mod seal;
mod verifier;
mod walk;
mod wire;

pub use authority::{ANY_TOOL, Authority, Excess};
pub use chain::{IssueError, Issuer, KeyError, Presentation, Proof, Seed};
pub use seal::{NO_PROOF, Opener, Request, SEAL_BYTES, SEAL_EXPORTER_LABEL, SEAL_WINDOW, Seal, SealError, Sealer};
pub use verifier::{
    KNOWN_BYTES_MAX, KNOWN_MAX, REVOCATIONS_MAX, Revocation, RevocationsFull, Verifier, presentation_digest,
};
pub use walk::{BLOCKS_MAX, PROOF_BYTES_MAX, ProofError};
pub use wire::{Malformed, PLACES_MAX, TEXT_BYTES_MAX, TOOL_BYTES_MAX};

/// The longest that a proof may still hold, and a request may still be answered, counted from now: one day in milliseconds.
pub const AHEAD_MS_MAX: u64 = 86_400_000;
