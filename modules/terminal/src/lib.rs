//! Wet: the person's terminal, and standard input where there is none.
//!
//! **What it is.** [`Tty`] asks single questions: a line, a secret, a key. An [`Editor`] lets the person edit lines
//! while a [`Printer`] writes above them. [`Lines`] reads the lines of a program that types instead. [`neutral`] is
//! what text from strangers looks like when it is shown, and [`Style`] decides about colour.
//!
//! **What is not here.** No signal handler, no async, no decision about what a line means, no process-wide state but
//! the terminal's own mode. On systems without Unix terminals, and on terminals called `dumb`, the system edits the
//! line, and nothing is drawn twice.
//!
//! **Invariants**
//!
//! - **Y1** The terminal's mode is put back on every way out, and while somebody else has the terminal.
//! - **Y2** Every wait ends: within 50 ms of the stop flag, or when the terminal is gone.
//! - **Y3** What was typed is never lost by what is printed, by a question, or by a paste that is too long.
//! - **Y4** A key that was pressed before a question was shown does not answer it.
//! - **Y5** Nothing that was neutralised can steer the terminal, wherever the text was cut.
//! - **Y6** Every line, paste, history and queue has a limit.

mod device;
mod error;
mod lines;
mod neutral;
mod options;
mod style;

#[cfg(unix)]
mod columns;
#[cfg(unix)]
mod editor;
#[cfg(unix)]
mod history;
#[cfg(unix)]
mod keys;
#[cfg(unix)]
mod line;
#[cfg(unix)]
mod screen;
#[cfg(unix)]
mod tty;
#[cfg(unix)]
mod typing;

#[cfg(not(unix))]
mod portable;

#[cfg(unix)]
pub use editor::{Editor, Pause, Printer};
pub use error::{TerminalError, Typed};
pub use lines::Lines;
pub use neutral::{Neutral, neutral, neutral_line};
pub use options::{ANSWER_BYTES_MAX, EditorOptions, HISTORY_ENTRIES_MAX, LINE_BYTES_MAX, PASTE_BYTES_MAX};
#[cfg(not(unix))]
pub use portable::{Editor, Pause, Printer, Tty};
pub use style::{Stream, Style, is_terminal, width};
#[cfg(unix)]
pub use tty::Tty;
