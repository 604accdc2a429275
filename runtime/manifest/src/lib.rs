//! Dry: what a tool declares of itself (`manifest.toml`) and what the operator allows (`policy.toml`), as texts.
//!
//! **What it is.** [`ToolManifest::parse`] reads a manifest strictly and reports everything that is wrong at once, each
//! [`Mistake`] with line and column. [`ToolManifest::to_toml`] writes it canonically. [`PolicyFile::parse`] does the
//! same for the operator's policy. [`Effective::of`] is what is left of a tool between grant, manifest and policy, and
//! [`words`] says such an authority in plain words.
//!
//! **What is not here.** No file, no clock, no environment, no keys: texts come in as arguments and go out as values.
//! No decision about a call (that is the kernel's gate), no resolving of paths, names or secrets, no signature.
//!
//! **Invariants**, cited by the tests that hold them:
//!
//! - **M1** A text is taken whole or not at all: with one mistake nothing of it holds.
//! - **M2** Absent means no: a key that is not there grants nothing, and limits of time and memory must be there.
//! - **M3** What a manifest may not ask for (everything at once, this machine's own network, what holds keys or
//!   starts programs) is refused by its text alone, before any policy is asked.
//! - **M4** Reading what [`ToolManifest::to_toml`] wrote gives the same manifest.
//! - **M5** [`Effective`] never exceeds grant, manifest or policy.
//! - **M6** No text, however broken, makes this crate panic; depth, size and the number of mistakes are bounded.
//! - **M7** No message shows what may be a secret, and none can steer the terminal that shows it.
#![forbid(unsafe_code)]

mod address;
mod canonical;
mod cidr;
mod effective;
mod fields;
mod hosts;
mod mistake;
mod places;
mod policy;
mod schema;
mod secrets;
mod tool;
mod tree;
mod units;
pub mod words;

pub use cidr::Cidr;
pub use effective::{Bounds, Effective, Withheld};
pub use mistake::{MISTAKES_MAX, Mistake, MistakeKind};
pub use places::ROOTS;
pub use policy::{Cell, DeniedHost, Guarantee, LIST_MAX, POLICY_BYTES_MAX, PolicyFile, SecretReference};
pub use schema::{INPUT_BYTES_MAX, INPUT_DEPTH_MAX};
pub use secrets::SecretDeclaration;
pub use tool::{KEYS, MANIFEST_BYTES_MAX, Ranges, ToolManifest};
pub use units::{UnitError, bytes, duration_ms, spelled_bytes, spelled_duration};
