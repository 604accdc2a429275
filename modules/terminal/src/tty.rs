//! Questions to the person, on the terminal itself rather than on standard input.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::device::{Device, Raw, Ready, interrupt_group, suspend_group};
use crate::error::{TerminalError, Typed};
use crate::history::History;
use crate::lines::Splitter;
use crate::options::ANSWER_BYTES_MAX;
use crate::screen::{Screen, Shown};
use crate::style::is_dumb;
use crate::typing::{Deed, Typing};

/// How long a read lasts before the stop flag is looked at again, in milliseconds (Y2).
const LOOK_MS: u64 = 40;
/// How long whoever asked has to withdraw the question after an interrupt, in milliseconds.
const WITHDRAW_MS_MAX: u64 = 1_000;
/// How long stopped processes may take to stop, in milliseconds.
const SUSPEND_MS: u64 = 50;

/// The controlling terminal.
#[derive(Debug)]
pub struct Tty {
    device: Arc<Device>,
}

/// What is shown of what is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Text,
    Nothing,
}

impl Tty {
    /// Opens it.
    ///
    /// # Errors
    /// [`TerminalError::Missing`].
    pub fn open() -> Result<Tty, TerminalError> {
        Ok(Tty { device: Arc::new(Device::terminal().map_err(TerminalError::Missing)?) })
    }

    /// A terminal that is open already, for reading and writing.
    #[must_use]
    pub fn over(file: File) -> Tty {
        Tty { device: Arc::new(Device::over(file)) }
    }

    pub(crate) fn into_device(self) -> Arc<Device> {
        self.device
    }

    /// Asks for a line, which can be edited; withdrawn within 50 ms once `stop` is set. At most
    /// [`ANSWER_BYTES_MAX`] bytes are taken.
    ///
    /// # Errors
    /// [`TerminalError::Broken`].
    pub fn line(&mut self, prompt: &str, stop: &AtomicBool) -> Result<Typed, TerminalError> {
        self.read(prompt, Echo::Text, stop).map_err(TerminalError::Broken)
    }

    /// Asks for a secret: nothing shows what, or how much, is typed. The terminal shows what is typed again
    /// afterwards, however the question ends (Y1).
    ///
    /// # Errors
    /// [`TerminalError::Broken`].
    pub fn hidden(&mut self, prompt: &str) -> Result<Typed, TerminalError> {
        self.read(prompt, Echo::Nothing, &AtomicBool::new(false)).map_err(TerminalError::Broken)
    }

    /// Asks until one of `choices` is pressed, with or without Enter; `None` at the end of input, when `stop` is set,
    /// and after Ctrl-C, which also sends the process the signal it would have sent. Keys pressed before the question
    /// was shown do not count (Y4).
    ///
    /// # Errors
    /// [`TerminalError::Broken`].
    pub fn key(&mut self, prompt: &str, choices: &[char], stop: &AtomicBool) -> Result<Option<char>, TerminalError> {
        self.press(prompt, choices, stop).map_err(TerminalError::Broken)
    }

    fn press(&self, prompt: &str, choices: &[char], stop: &AtomicBool) -> io::Result<Option<char>> {
        let raw = Raw::enter(&self.device)?;
        self.device.discard_input()?;
        self.device.write(prompt)?;
        let mut buffer = [0; 64];
        let chosen = loop {
            if stop.load(Ordering::Relaxed) {
                break None;
            }
            if self.device.wait(None, Some(LOOK_MS))? != Ready::Input {
                continue;
            }
            let count = self.device.read(&mut buffer)?;
            let keys = &buffer[..count];
            // An arrow key is a sequence of bytes, of which none is an answer.
            let first = keys.first().map(|byte| char::from(*byte).to_ascii_lowercase());
            let is_word = keys.trim_ascii_end().iter().all(u8::is_ascii_alphabetic);
            match first {
                None | Some('\u{4}') => break None,
                Some('\u{3}') => {
                    self.device.write("^C\r\n")?;
                    drop(raw);
                    interrupt_group()?;
                    wait_for(stop, WITHDRAW_MS_MAX);
                    return Ok(None);
                }
                Some(key) if choices.contains(&key) && is_word => break Some(key),
                Some(_) => {}
            }
        };
        self.device.write(&format!("{}\r\n", chosen.map_or(String::new(), String::from)))?;
        Ok(chosen)
    }

    fn read(&self, prompt: &str, echo: Echo, stop: &AtomicBool) -> io::Result<Typed> {
        if echo == Echo::Text && is_dumb() {
            return self.read_plainly(prompt, stop);
        }
        let raw = Raw::enter(&self.device)?;
        let mut typing = Typing::new(ANSWER_BYTES_MAX, History::open(None)?, Vec::new());
        let mut screen = Screen::new(self.device.size());
        let mut frame = String::new();
        // Only the last line of a long question is drawn anew.
        let (above, last) = prompt.rsplit_once('\n').map_or(("", prompt), |(above, last)| (above, last));
        if !above.is_empty() {
            screen.print(&mut frame, &format!("{above}\n"));
        }
        let mut buffer = [0; 4_096];
        loop {
            let (text, cursor) = if echo == Echo::Text { typing.shown() } else { ("", 0) };
            screen.resize(self.device.size());
            screen.erase(&mut frame);
            screen.draw(&mut frame, &Shown { prompt: last, text, cursor });
            self.device.write(&frame)?;
            frame.clear();
            let mut deeds = Vec::new();
            let ended = self.deeds(&mut typing, &mut buffer, stop, &mut deeds)?;
            let done = deeds.into_iter().find_map(|deed| match deed {
                Deed::Typed(typed) => Some(typed),
                Deed::Suspend => Some(Typed::Stopped).filter(|_| self.suspend(&raw, &mut screen, &mut frame).is_err()),
                Deed::Note(_) | Deed::Clear => None,
            });
            if let Some(typed) = ended.or(done) {
                let text = match &typed {
                    Typed::Line(line) if echo == Echo::Text => line.as_str(),
                    _ => "",
                };
                screen.erase(&mut frame);
                screen.echo(&mut frame, last, text);
                // The answer is there, even where it cannot be shown any more.
                drop(self.device.write(&frame));
                return Ok(typed);
            }
        }
    }

    /// Reads a line that the terminal itself edits.
    fn read_plainly(&self, prompt: &str, stop: &AtomicBool) -> io::Result<Typed> {
        self.device.write(prompt)?;
        let mut lines = Splitter::new(ANSWER_BYTES_MAX);
        let mut buffer = [0; 4_096];
        let mut typed = Vec::new();
        while typed.is_empty() {
            if stop.load(Ordering::Relaxed) {
                return Ok(Typed::Stopped);
            }
            if self.device.wait(None, Some(LOOK_MS))? != Ready::Input {
                continue;
            }
            match self.device.read(&mut buffer)? {
                0 => return Ok(Typed::End),
                count => lines.feed(&buffer[..count], &mut typed),
            }
        }
        Ok(typed.swap_remove(0))
    }

    /// Waits for the next keys.
    fn deeds(
        &self,
        typing: &mut Typing,
        buffer: &mut [u8],
        stop: &AtomicBool,
        out: &mut Vec<Deed>,
    ) -> io::Result<Option<Typed>> {
        let mut patience_ms = typing.patience_ms();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(Some(Typed::Stopped));
            }
            let limit_ms = patience_ms.unwrap_or(LOOK_MS).min(LOOK_MS);
            if self.device.wait(None, Some(limit_ms))? == Ready::Input {
                let count = self.device.read(buffer)?;
                if count == 0 {
                    return Ok(Some(Typed::End));
                }
                typing.feed(&buffer[..count], out);
                return Ok(None);
            }
            match &mut patience_ms {
                Some(left) if *left > limit_ms => *left -= limit_ms,
                Some(_) => {
                    typing.rest(out);
                    return Ok(None);
                }
                None => {}
            }
        }
    }

    /// Leaves the program for a while, with the terminal as it was.
    fn suspend(&self, raw: &Raw, screen: &mut Screen, frame: &mut String) -> io::Result<()> {
        screen.erase(frame);
        self.device.write(frame)?;
        frame.clear();
        raw.leave()?;
        suspend_group()?;
        std::thread::sleep(Duration::from_millis(SUSPEND_MS));
        raw.again()
    }
}

/// Waits until `flag` is set, or for `ms_max` milliseconds.
fn wait_for(flag: &AtomicBool, ms_max: u64) {
    let end = Instant::now() + Duration::from_millis(ms_max);
    while !flag.load(Ordering::Relaxed) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}
