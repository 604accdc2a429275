//! How lines are edited, and the limits of what can be typed.

use std::fmt;
use std::path::PathBuf;

/// The longest line of an editor or of a program's input, in bytes.
pub const LINE_BYTES_MAX: usize = 2 << 20;
/// The largest paste, in bytes.
pub const PASTE_BYTES_MAX: usize = 1 << 20;
/// The longest answer to a question, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The most lines of earlier that are remembered.
pub const HISTORY_ENTRIES_MAX: usize = 1_000;

/// How many lines may wait for whoever asked for them before typing is held up.
pub(crate) const TYPED_MAX: usize = 64;

/// What an editor is made of.
pub struct EditorOptions {
    /// What stands before the line; may hold colours.
    pub prompt: String,
    /// The file that keeps the lines of earlier (made with mode 0600); `None` keeps them for the editor's life only.
    pub history: Option<PathBuf>,
    /// The words that the Tab key completes: those of lines that begin with a slash.
    pub completions: Vec<String>,
    /// Called, on the editor's thread, whenever there is something to fetch. It must not block.
    pub waker: Box<dyn Fn() + Send>,
}

impl fmt::Debug for EditorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditorOptions").field("history", &self.history).finish_non_exhaustive()
    }
}
