//! Dry: the wire formats of five model providers, and a table of servers that speak them.
//!
//! **What it is.** One [`aether_core::model::Codec`] per format: [`openai_chat`] (OpenAI Chat Completions and
//! every server compatible with it), [`openai_responses`], [`anthropic`], [`gemini`] and [`ollama`]. A codec
//! writes a question as the bytes of a request and reads the bytes of an answer as events. What they share is
//! [`framing`] (bytes to payloads), [`answer`] (payloads to events, with limits), [`json`], [`schema`] and
//! [`failure`] (every way to fail, in a sentence). [`presets`] says which server speaks which format, as data.
//!
//! **What is not here.** Sockets, keys, retries, clocks, prices: the driver carries requests, adds the key where
//! [`aether_core::model::Credential`] says, and decides about trying again. No format has state between answers.
//!
//! **Invariants** (tests cite them).
//! - P1 An answer read in pieces cut anywhere yields the same events as in one piece, neighbouring texts joined.
//! - P2 An answer ends in exactly one stop or error, whatever the bytes were; nothing follows it.
//! - P3 No bytes make a reader panic, and none make it hold more than `answer_bytes_max`.
//! - P4 A request starts with the same bytes in every turn of a task, up to the newest entries.
//! - P5 What a provider wants carried back goes back unchanged to the format that read it, and to no other.

pub mod answer;
pub mod anthropic;
pub mod failure;
pub mod framing;
pub mod gemini;
pub mod json;
pub mod ollama;
pub mod openai_chat;
mod openai_models;
pub mod openai_responses;
mod outline;
pub mod presets;
pub mod schema;
mod turn;

pub use presets::{Format, Preset, codec, preset, presets};

/// What a model is shown for a tool result without text: several providers refuse an empty one.
pub const EMPTY_OUTPUT: &str = "(no output)";
