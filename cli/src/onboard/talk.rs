//! Questions and answers on the terminal, until they are clear or the person has had enough.

use std::sync::atomic::AtomicBool;

use aether_terminal::{Style, TerminalError, Tty, Typed};

use crate::show::eprint;
use crate::trouble::Trouble;

/// How often one question is asked before the person is let go.
pub(crate) const ROUNDS_MAX: u32 = 20;

/// A conversation on the terminal.
pub(crate) struct Talk {
    tty: Tty,
    stop: AtomicBool,
    pub(crate) style: Style,
}

impl Talk {
    pub(crate) fn new(style: Style) -> Result<Talk, Trouble> {
        let tty = Tty::open().map_err(Trouble::failed)?;
        Ok(Talk { tty, stop: AtomicBool::new(false), style })
    }

    /// Says something.
    pub(crate) fn say(&self, text: &str) {
        eprint(text);
    }

    /// Reads a line; empty for the default.
    pub(crate) fn line(&mut self, prompt: &str) -> Result<String, Trouble> {
        let typed = self.tty.line(prompt, &self.stop);
        self.taken(typed)
    }

    /// Reads a line that is not shown.
    pub(crate) fn hidden(&mut self, prompt: &str) -> Result<String, Trouble> {
        let typed = self.tty.hidden(prompt);
        self.taken(typed)
    }

    /// Reads one of these letters.
    pub(crate) fn letter(&mut self, prompt: &str, letters: &[char]) -> Result<char, Trouble> {
        let given = self.tty.key(prompt, letters, &self.stop).map_err(Trouble::failed)?;
        given.ok_or_else(left)
    }

    /// Asks until `read` takes the answer.
    pub(crate) fn until<T>(
        &mut self,
        prompt: &str,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T, Trouble> {
        for _ in 0..ROUNDS_MAX {
            let line = self.line(prompt)?;
            match read(line.trim()) {
                Ok(value) => return Ok(value),
                Err(why) => self.say(&self.style.yellow(&why)),
            }
        }
        Err(Trouble::usage(format!("no answer could be used in {ROUNDS_MAX} attempts; nothing was changed")))
    }

    fn taken(&self, typed: Result<Typed, TerminalError>) -> Result<String, Trouble> {
        match typed.map_err(Trouble::failed)? {
            Typed::Line(line) => Ok(line),
            Typed::Refused(why) => Err(Trouble::usage(format!("{why}; nothing was changed"))),
            Typed::Interrupted | Typed::End | Typed::Stopped => Err(left()),
        }
    }
}

fn left() -> Trouble {
    Trouble::interrupted("left before the end; nothing was changed")
}
