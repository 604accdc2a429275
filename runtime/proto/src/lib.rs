//! Dry: the messages between the kernel's process and the secure runtime, and how gRPC lays them on HTTP/2.
//!
//! **What it is.** The messages of `aether.proto` ([`RunRequest`], [`RunEvent`], …), gRPC's length-prefixed framing
//! ([`Frames`]), its status codes ([`Code`]), the texts it puts into headers ([`metadata`]), and the one message each way
//! with which a sidecar is started ([`Hello`], [`Answer`]).
//!
//! **What is not here.** Sockets, HTTP/2, TLS, proofs and seals; and no code generator: the messages are few, written by
//! hand, and a test holds them to the schema.
//!
//! **Invariants.**
//! - W1 Every message and every enumeration of `aether.proto` is here with the same names, numbers and types, and no other.
//! - W2 Bytes from outside never panic, and nothing longer than the stated limit is kept.
//! - W3 What is written here is read back as the same.

#![forbid(unsafe_code)]

mod bootstrap;
mod code;
mod frame;
mod messages;
pub mod metadata;

pub use bootstrap::{ANSWER_BYTES_MAX, Answer, BootstrapError, HELLO_BYTES_MAX, Hello, SETTINGS_BYTES_MAX};
pub use code::Code;
pub use frame::{FRAME_HEAD_BYTES, FrameError, Frames, put};
pub use messages::{
    CloseReply, CloseRequest, Finished, Outcome, RunEvent, RunRequest, StatusReply, StatusRequest, run_event,
};

/// The schema, as every other implementation would compile it.
pub const SCHEMA: &str = include_str!("../aether.proto");

/// The path of `Run`, as it stands in `:path` and in seals.
pub const RUN: &str = "/aether.runtime.v1.Runtime/Run";

/// The path of `Close`.
pub const CLOSE: &str = "/aether.runtime.v1.Runtime/Close";

/// The path of `Status`.
pub const STATUS: &str = "/aether.runtime.v1.Runtime/Status";
