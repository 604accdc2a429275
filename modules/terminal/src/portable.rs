//! The terminal on systems without Unix terminals: the system edits lines, and questions cannot be withdrawn.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::device::Device;
use crate::error::{TerminalError, Typed};
use crate::lines::{Ending, Splitter, pump, send};
use crate::options::{ANSWER_BYTES_MAX, EditorOptions, TYPED_MAX};

/// The console.
#[derive(Debug)]
pub struct Tty {
    device: Arc<Device>,
}

impl Tty {
    /// Opens it.
    ///
    /// # Errors
    /// [`TerminalError::Missing`].
    pub fn open() -> Result<Tty, TerminalError> {
        Ok(Tty { device: Arc::new(Device::terminal().map_err(TerminalError::Missing)?) })
    }

    /// A console that is open already.
    #[must_use]
    pub fn over(file: File) -> Tty {
        Tty { device: Arc::new(Device::over(file)) }
    }

    /// Asks for a line of at most [`ANSWER_BYTES_MAX`] bytes. On this system it cannot be withdrawn.
    ///
    /// # Errors
    /// [`TerminalError::Broken`].
    pub fn line(&mut self, prompt: &str, _stop: &AtomicBool) -> Result<Typed, TerminalError> {
        self.read(prompt).map_err(TerminalError::Broken)
    }

    /// Would ask for a secret; on this system what is typed cannot be hidden.
    ///
    /// # Errors
    /// [`TerminalError::Unsupported`].
    pub fn hidden(&mut self, _prompt: &str) -> Result<Typed, TerminalError> {
        Err(TerminalError::Unsupported(
            "what is typed cannot be hidden on this system; give it in a variable or a file",
        ))
    }

    /// Asks until a line begins with one of `choices`; `None` at the end of input.
    ///
    /// # Errors
    /// [`TerminalError::Broken`].
    pub fn key(&mut self, prompt: &str, choices: &[char], _stop: &AtomicBool) -> Result<Option<char>, TerminalError> {
        loop {
            let Typed::Line(line) = self.read(prompt).map_err(TerminalError::Broken)? else { return Ok(None) };
            let first = line.trim().chars().next().map(|c| c.to_ascii_lowercase());
            if let Some(chosen) = first.filter(|c| choices.contains(c)) {
                return Ok(Some(chosen));
            }
        }
    }

    fn read(&self, prompt: &str) -> io::Result<Typed> {
        self.device.write(prompt)?;
        let (mut lines, mut typed) = (Splitter::new(ANSWER_BYTES_MAX), Vec::new());
        let mut buffer = [0; 4_096];
        while typed.is_empty() {
            match self.device.read(&mut buffer)? {
                0 => return Ok(Typed::End),
                count => lines.feed(&buffer[..count], &mut typed),
            }
        }
        Ok(typed.swap_remove(0))
    }
}

/// Reads lines from a terminal that edits them itself, on a thread of its own, without a prompt.
#[derive(Debug)]
pub struct Editor {
    receiver: Receiver<Typed>,
    device: Arc<Device>,
    is_open: Arc<Mutex<bool>>,
}

/// Writes to the terminal of an [`Editor`], from any thread.
#[derive(Clone, Debug)]
pub struct Printer {
    device: Arc<Device>,
    is_open: Arc<Mutex<bool>>,
}

/// Nothing: the terminal is shared as it is.
#[derive(Debug)]
pub struct Pause;

impl Editor {
    /// Reads the terminal from now on.
    ///
    /// # Errors
    /// [`TerminalError::Missing`] where the system gives no thread.
    pub fn start(tty: Tty, options: EditorOptions) -> Result<Editor, TerminalError> {
        let (sender, receiver) = sync_channel(TYPED_MAX);
        let (device, end) = (Arc::clone(&tty.device), Ending::new()?);
        // Its last read cannot be called off, so the thread ends with the process.
        let work = move || pump(&tty.device, &end, &|typed| send(&sender, typed, &*options.waker));
        std::thread::Builder::new().name("editor".to_owned()).spawn(work).map_err(TerminalError::Missing)?;
        Ok(Editor { receiver, device, is_open: Arc::default() })
    }

    /// What was typed, if something was.
    #[must_use]
    pub fn next(&self) -> Option<Typed> {
        self.receiver.try_recv().ok()
    }

    /// The same, after at most `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Typed> {
        self.receiver.recv_timeout(limit).ok()
    }

    /// Writes to the terminal.
    #[must_use]
    pub fn printer(&self) -> Printer {
        Printer { device: Arc::clone(&self.device), is_open: Arc::clone(&self.is_open) }
    }
}

impl Printer {
    /// Writes `text`. Whatever could steer the terminal must have been made [`crate::neutral`].
    pub fn print(&self, text: &str) {
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        if !text.is_empty() {
            *is_open = !text.ends_with('\n');
        }
        // A terminal that is gone shows nothing; whoever reads it is told so.
        drop(self.device.write(text));
    }

    /// Ends a line of output that was begun, if one was.
    pub fn fresh_line(&self) {
        let is_open = *self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        if is_open {
            self.print("\n");
        }
    }

    /// Nothing has to be waited for.
    #[must_use]
    pub fn pause(&self) -> Pause {
        Pause
    }
}
