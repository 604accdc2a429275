//! Dry: configuration text and environment variables become layers of [`aether_core::config::Config`].
//!
//! **What it is.** [`read`] takes a TOML file's text, [`environment`] takes `AETHER_*` variables; both check
//! every value against the tables in [`keys`] and report all that is wrong at once. [`set`] and [`unset`] edit
//! a file's text and leave every other byte of it alone.
//!
//! **What is not here.** No file, no environment, no clock: texts come in as arguments and go out as values.
//! No merging (that is the kernel's), no resolving of secrets, no rewriting of a person's layout.
//!
//! **Invariants.**
//! - S1: [`read`] and [`environment`] either take in everything or change nothing.
//! - S2: an edit changes one key; every other byte of the text stays, and reading the new text gives every
//!   other key the value it had.
//! - S3: what is written by [`set`] is read back as the same value.
//! - S4: no text, however broken, makes this crate panic.
//! - S5: no message shows a secret: values of secret keys and of lines that name one are left out.

mod edit;
mod environment;
mod error;
pub mod keys;
mod read;
mod spelling;

pub use edit::{set, unset};
pub use environment::{VARIABLE_PREFIX, environment, variable};
pub use error::{EditError, SettingsError, UnknownVariable};
pub use read::{CONFIG_BYTES_MAX, MISTAKES_MAX, read};
pub use spelling::{join, key_name, segments, spelled};
