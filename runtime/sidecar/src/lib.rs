//! Wet: the secure runtime's process, and how the kernel's process starts and asks it.
//!
//! **What it is.** The two ends of one connection. [`Sidecar`] starts this same program again under [`SIDECAR_WORD`],
//! keeps it running, and sends it calls with proofs and seals; [`serve`] is what that other process does: it lets in
//! what is proven and hands it to a [`Worker`]. Between them is gRPC on HTTP/2 on TLS 1.3 on an inherited socket pair,
//! as `docs/ipc-security.md` prescribes.
//!
//! **What is not here.** Anything that runs a tool, confines a process or decides what may be done: the worker, the
//! confinement and the authority come from the house. No retry of a call, ever.
//!
//! **Invariants.**
//! - S1 Nothing reaches the worker but a call whose seal opened, whose proof verified, and which is the proof's call.
//! - S2 A connection is accepted from, and made to, exactly the certificate that was pinned at this start.
//! - S3 A call ends once: with its result, with a refusal, or with an error that says nothing of it is known to have finished.
//! - S4 Nobody waits for ever and nothing grows for ever: calls, messages, queues, waits and restarts have limits.
//! - S5 A caller that goes away takes its call with it; a kernel's process that goes away takes the sidecar with it.
//! - S6 When a sidecar ends, its process is reaped and its descriptors are closed.

#![forbid(unsafe_code)]

mod call;
mod error;
mod options;
mod worker;

#[cfg(target_os = "linux")]
mod answer;
#[cfg(target_os = "linux")]
mod backoff;
#[cfg(target_os = "linux")]
mod certificate;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod journal;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod pinned;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod sidecar;
#[cfg(target_os = "linux")]
mod transmit;

#[cfg(not(target_os = "linux"))]
mod elsewhere;

pub use call::{Call, Event, Finished, Health, Outcome, Piece, Proven, Refusal, Usage, call_digest};
pub use error::SidecarError;
pub use options::{Notice, Options};
pub use worker::{Boxed, Gone, PIECE_BYTES_MAX, PIECES_MAX, Pieces, Setup, Worker};

#[cfg(target_os = "linux")]
pub use link::Running;
#[cfg(target_os = "linux")]
pub use serve::serve;
#[cfg(target_os = "linux")]
pub use sidecar::Sidecar;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Running, Sidecar, serve};

/// The hidden first argument under which a program is the sidecar: `main` calls [`serve`] when it sees it.
pub const SIDECAR_WORD: &str = "--sidecar";

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod interop;
