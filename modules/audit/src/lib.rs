//! Wet: audit, the log of every decision about authority.
//!
//! **What it is.** Files of JSON Lines, one line for each decision, each line with the SHA-256 of itself and of the
//! line before it. Every so many lines, and when a writer closes, a checkpoint is signed. Elsewhere lies the
//! head: how many lines there are and the hash of the last, signed, rewritten with each append.
//!
//! **What is not here.** No decision, no clock (moments are arguments), no key (a [`Signer`] is handed in), no
//! content: names, sizes and digests go in, never what a tool read or wrote, nor a secret. No protection
//! against somebody who holds the key, and none against an old copy of the log *and* of its head: who fears
//! that exports the log to another machine.
//!
//! **Invariants**
//!
//! - **A1** A receipt is given only when the line stands in the log and the head says so; with
//!   [`Durability::Now`], on the disk.
//! - **A2** On an error nothing is in the log that was not there before.
//! - **A3** Whatever is changed, removed, added or exchanged in what the head confirms is found, and located.
//! - **A4** Bytes behind the head, which only a writer that died leaves, are set aside and reported, never joined.
//! - **A5** Several processes append as one: no line is lost, doubled or out of order.
//! - **A6** A log that is not what its head says takes no more lines until it is archived.
//! - **A7** Every line has a limit, and so has every file and the number of files.
#![forbid(unsafe_code)]

mod chain;
mod directory;
mod error;
mod export;
mod fault;
mod head;
mod line;
mod log;
mod read;
mod record;
mod verify;
mod walk;

pub use chain::{Checker, Signer};
pub use directory::Place;
pub use error::{AuditError, Cause};
pub use export::export;
pub use fault::{Fault, Notice, Wrong};
pub use line::Entry;
pub use log::{Durability, Limits, Log, RECORDS_MAX, Receipt};
pub use read::{ENTRIES_MAX, Filter, Found, read};
pub use record::{FACTS_MAX, Kind, LINE_BYTES_MAX, Record, TEXT_BYTES_MAX};
pub use verify::{Report, Trust, verify, verify_file, verify_text};
