//! Dry: the built-in tools, which reach the world through hands alone.
//!
//! Nine tools: `read_file`, `write_file`, `edit_file`, `list_dir`, `find_files`, `search_text`, `http_fetch`, `time` and
//! `calculate`. Two more are served by the kernel itself and only described here: `delegate` and `recall`. [`Tools`] is
//! the toolbox over all of them, over any further [`aether_core::tool::Tool`] and over tools that run [`Elsewhere`].
//!
//! What is not here: files, sockets, clocks (hands have them), the decision whether a call may run (the gate
//! makes it), a shell, anything that deletes.
//!
//! Invariants, cited by the tests:
//!
//! - **T1** an output is never larger than its call's limit, is cut between characters, and says what was cut
//!   and how to see the rest.
//! - **T2** a call needs exactly the places and hosts that its input names, and runs on those alone.
//! - **T3** a path that would leave its root is refused before any hand moves.
//! - **T4** input from a model, a file or a server never panics; wrong input is answered by a sentence that
//!   names what was found and what was wanted.
//! - **T5** all manifests together cost the prompt at most [`PROMPT_BYTES_MAX`] bytes.
//! - **T6** when hands say that the call was stopped, the tool ends at once.
#![forbid(unsafe_code)]

mod address;
mod calculate;
mod calendar;
mod charset;
mod edit_file;
mod entities;
mod find_files;
mod glob;
mod html;
mod http_fetch;
mod input;
mod list_dir;
mod number;
mod page;
mod read_file;
mod scope;
mod search_text;
mod similar;
mod time;
mod toolbox;
mod tzif;
mod walk;
mod write_file;

pub use input::{Field, INPUT_BYTES_MAX, Input, Kind, Shape, optional, required};
pub use scope::{Scope, file_label};
pub use toolbox::{Elsewhere, PROMPT_BYTES_MAX, Tools};
