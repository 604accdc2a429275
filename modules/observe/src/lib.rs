//! Dry: the kernel's events as log lines, spans and timelines.
//!
//! **What it is.** [`line()`] writes one event as one JSON object, [`level()`] says how much it matters, and [`schema`]
//! declares every field (`docs/events.md` is made from it). [`timeline()`] and [`html()`] read such lines back and show
//! a trace to a person; `otlp_traces` (feature `otlp`) hands it to an OpenTelemetry collector.
//!
//! **What is not here.** No clock and no file: moments and lines are arguments. No text of a conversation: an event
//! holds none. No socket: carrying spans to a collector is another room's work.
//!
//! **Invariants.**
//! - O1: every event is one line of valid JSON with exactly the fields that [`schema`] declares, at most
//!   [`LINE_BYTES_MAX`] bytes.
//! - O2: a name from outside is cut to [`NAME_BYTES_MAX`] bytes and cannot leave its string, its cell or its element:
//!   control characters, markup and terminal sequences come out harmless; a tool's name that no tool can have is
//!   replaced by its length.
//! - O3: reading never fails: a torn, foreign or newer line is counted and set aside.
//! - O4: the same lines give the same bytes.

mod html;
mod json;
mod level;
mod line;
mod moment;
#[cfg(feature = "otlp")]
mod otlp;

mod phrase;
mod record;
pub mod schema;
mod stamp;
mod timeline;
mod totals;
mod trace;
mod tree;

pub use html::html;
pub use level::{Level, level};
pub use line::{LINE_BYTES_MAX, NAME_BYTES_MAX, Names, line};
#[cfg(feature = "otlp")]
pub use otlp::otlp_traces;
pub use record::LINES_MAX;
pub use stamp::{Stamp, TraceId};
pub use timeline::{Colour, timeline};
