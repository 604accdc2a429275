//! What the fuzz targets share: values drawn from the fuzzer's bytes, hands that read from them, a gate that allows, an audit log.
//!
//! **What it is.** [`Draw`] turns bytes into choices, numbers, texts and pieces, so that a seed can be written by hand:
//! a text ends at `0xFF`, which no UTF-8 holds. [`ScriptedHands`] show one file to a tool and fail where the bytes say so.
//!
//! **What is not here.** The properties: each target states its own. No randomness: the same bytes draw the same values.

mod audit;
mod draw;
mod hands;
mod tool;

pub use audit::{AUDIT_KEY, audit_log, is_audit_signature};
pub use draw::Draw;
pub use hands::{HANDS_CALLS_MAX, ScriptedHands};
pub use tool::{SENTENCE_BYTES_MAX, Workbench};
