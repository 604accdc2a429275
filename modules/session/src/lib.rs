//! Wet: conversations, traces and small private files on disk.
//!
//! **What it is.** [`SessionStore`] keeps each conversation as a file of JSON Lines that only ever grows;
//! [`TraceStore`] keeps the events of the latest tasks; [`private`] writes and reads the small files that nobody
//! else should see; [`Directories`] says where all of that is.
//!
//! **What is not here.** No clock (moments are arguments), no environment (it is a function that is handed in), no
//! deciding what goes into a session or a trace, no database, no thread. A task's memory beyond its conversation
//! is another room's.
//!
//! **Invariants.**
//! - D1: a line whose append has returned is there after a kill at any moment, and so is every line before it.
//! - D2: a file cut at any byte reads cleanly: whole lines count, a torn last one is set aside and never joined
//!   with what is appended later.
//! - D3: two processes never append to one session; the second is told who holds it.
//! - D4: on `Err` the file holds what it held before.
//! - D5: every file is made for its owner alone, and a secret that others may read is refused.
//! - D6: everything is bounded: a record, a session, a trace, the number of traces, a list.

mod base64;
mod directories;
mod error;
mod lines;
mod lock;
mod naming;
pub mod private;
mod record;
mod session;
mod store;
mod trace;

pub use directories::{Directories, Platform};
pub use error::{Cause, StoreError};
pub use lines::RECORD_BYTES_MAX;
pub use session::{SESSION_BYTES_MAX, Session};
pub use store::{LIST_MAX, Resumed, SessionStore, Summary};
pub use trace::{Trace, TraceLimits, TraceStore};
