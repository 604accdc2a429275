//! Wet: a stand-in for model providers, for tests and benchmarks only; it decides nothing about agents.
//!
//! **What it is.** [`server::Server`] is an HTTP server on the loopback interface that speaks the formats
//! of five providers, refuses what the real ones refuse, and answers the rest from a
//! [`script::Script`]. [`streams`] is a library of complete provider answers with what they mean.
//!
//! **What is not here.** No TLS and no HTTP/2: the client's own tests bring those. No model and no
//! randomness. Nothing here is linked into a shipped program. Without the feature `server` there is no
//! I/O and no dependency but the kernel's types.
//!
//! **Invariants** (tests cite them):
//!
//! - S1: the same script and the same requests in the same order give the same bytes.
//! - S2: a request that a real provider would refuse is answered with that provider's status and error
//!   body, and does not use up a turn of the script.
//! - S3: one turn means the same in every format and in both deliveries.
//! - S4: dropping the server ends its thread and closes its sockets.
//! - S5: what it remembers is bounded: requests by `recorded_max`, ids by `issued_max`, bodies by `body_bytes_max`.

pub mod dialect;
pub mod play;
pub mod streams;

#[cfg(feature = "server")]
mod check;
#[cfg(feature = "server")]
mod endpoint;
#[cfg(feature = "server")]
mod http;
#[cfg(feature = "server")]
mod marks;
#[cfg(feature = "server")]
mod refusal;
#[cfg(feature = "server")]
mod render;
#[cfg(feature = "server")]
pub mod script;
#[cfg(feature = "server")]
pub mod server;
