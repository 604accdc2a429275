//! What a person can do at a terminal, and what can go wrong with it.

use std::fmt;
use std::io;

/// What the person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// Something that cannot be taken, and why, in a sentence for the person. What was typed before is still there.
    Refused(String),
    /// Ctrl-C on an empty line, or in the middle of a question.
    Interrupted,
    /// Ctrl-D on an empty line, the end of the input, or a terminal that is gone.
    End,
    /// Nothing: the question was withdrawn.
    Stopped,
}

/// Why the terminal cannot be used.
#[derive(Debug)]
pub enum TerminalError {
    /// There is none.
    Missing(io::Error),
    /// It went away, or refused.
    Broken(io::Error),
    /// This system cannot do what was asked of it.
    Unsupported(&'static str),
}

impl fmt::Display for TerminalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TerminalError::Missing(error) => write!(f, "there is no terminal: {error}"),
            TerminalError::Broken(error) => write!(f, "the terminal does not answer: {error}"),
            TerminalError::Unsupported(what) => write!(f, "this terminal cannot do it: {what}"),
        }
    }
}

impl std::error::Error for TerminalError {}
