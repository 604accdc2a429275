//! Lines of a program, or of a terminal that edits them itself.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::device::{Device, Knock, Ready};
use crate::error::{TerminalError, Typed};
use crate::options::LINE_BYTES_MAX;

/// How many bytes are read at once.
const READ_BYTES: usize = 64 << 10;

/// Reads lines on a thread of its own. Dropping it ends the thread where the system lets a read be called off.
#[derive(Debug)]
pub struct Lines {
    receiver: Option<Receiver<Typed>>,
    end: Arc<Ending>,
    thread: Option<JoinHandle<()>>,
}

/// Tells a reading thread to end.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) is_wanted: AtomicBool,
    pub(crate) knock: Knock,
}

impl Lines {
    /// Reads standard input. `waker` is called on the reading thread whenever there is something to fetch; one line
    /// is read ahead and no more.
    ///
    /// # Errors
    /// [`TerminalError::Missing`] where there is no standard input.
    pub fn start(waker: Box<dyn Fn() + Send>) -> Result<Lines, TerminalError> {
        Lines::over(Device::standard_input().map_err(TerminalError::Missing)?, waker)
    }

    /// Reads a file that is open already.
    ///
    /// # Errors
    /// [`TerminalError::Missing`] where the system gives no thread.
    pub fn of(file: File, waker: Box<dyn Fn() + Send>) -> Result<Lines, TerminalError> {
        Lines::over(Device::over(file), waker)
    }

    fn over(device: Device, waker: Box<dyn Fn() + Send>) -> Result<Lines, TerminalError> {
        let (sender, receiver) = sync_channel(1);
        let end = Arc::new(Ending::new()?);
        let for_thread = Arc::clone(&end);
        let work = move || pump(&device, &for_thread, &|typed| send(&sender, typed, &*waker));
        let thread = std::thread::Builder::new().name("lines".to_owned()).spawn(work);
        Ok(Lines { receiver: Some(receiver), end, thread: Some(thread.map_err(TerminalError::Missing)?) })
    }

    /// What was read, if something was. After [`Typed::End`] there is nothing more.
    #[must_use]
    pub fn next(&self) -> Option<Typed> {
        self.receiver.as_ref().and_then(|receiver| receiver.try_recv().ok())
    }

    /// The same, after at most `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Typed> {
        self.receiver.as_ref().and_then(|receiver| receiver.recv_timeout(limit).ok())
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| matches!(receiver.try_recv(), Err(TryRecvError::Disconnected)))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.receiver.take());
        self.end.join(self.thread.take());
    }
}

impl Ending {
    pub(crate) fn new() -> Result<Ending, TerminalError> {
        Ok(Ending { is_wanted: AtomicBool::new(false), knock: Knock::new().map_err(TerminalError::Missing)? })
    }

    /// Ends a thread that looks at this.
    pub(crate) fn join(&self, thread: Option<JoinHandle<()>>) {
        self.is_wanted.store(true, Ordering::Relaxed);
        self.knock.knock();
        if cfg!(unix)
            && let Some(thread) = thread
        {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

/// Hands something on; `false` once nobody wants it.
pub(crate) fn send(sender: &SyncSender<Typed>, typed: Typed, waker: &dyn Fn()) -> bool {
    let is_sent = sender.send(typed).is_ok();
    waker();
    is_sent
}

/// Reads lines until the end, or until nobody wants them.
pub(crate) fn pump(device: &Device, end: &Ending, say: &dyn Fn(Typed) -> bool) {
    let mut lines = Splitter::new(LINE_BYTES_MAX);
    let mut buffer = vec![0; READ_BYTES];
    while !end.is_wanted.load(Ordering::Relaxed) {
        let read = match device.wait(Some(&end.knock), None) {
            Ok(Ready::Input) => device.read(&mut buffer),
            #[cfg(unix)]
            Ok(Ready::Knocked | Ready::Timeout) => continue,
            Err(error) => Err(error),
        };
        let mut typed = Vec::new();
        match read {
            Ok(0) => {
                lines.end(&mut typed);
                typed.push(Typed::End);
            }
            Ok(count) => lines.feed(&buffer[..count], &mut typed),
            Err(error) => {
                lines.end(&mut typed);
                typed.push(Typed::Refused(format!("the input cannot be read any further: {error}")));
                typed.push(Typed::End);
            }
        }
        for typed in typed {
            let is_last = typed == Typed::End;
            if !say(typed) || is_last {
                return;
            }
        }
    }
}

/// Bytes on their way to becoming lines.
#[derive(Debug)]
pub(crate) struct Splitter {
    held: Vec<u8>,
    /// Bytes of the line that were dropped because it is too long.
    dropped: u64,
    number: u64,
    bytes_max: usize,
}

impl Splitter {
    pub(crate) fn new(bytes_max: usize) -> Splitter {
        Splitter { held: Vec::new(), dropped: 0, number: 1, bytes_max }
    }

    /// Takes in the next bytes, cut anywhere.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Typed>) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.hold(&rest[..at]);
            out.push(self.line());
            rest = &rest[at + 1..];
        }
        self.hold(rest);
    }

    /// The input is over: a last line needs no end.
    pub(crate) fn end(&mut self, out: &mut Vec<Typed>) {
        if !self.held.is_empty() || self.dropped > 0 {
            out.push(self.line());
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = self.bytes_max.saturating_sub(self.held.len()).min(bytes.len());
        self.held.extend_from_slice(&bytes[..room]);
        self.dropped += (bytes.len() - room) as u64;
    }

    fn line(&mut self) -> Typed {
        let (number, bytes_max) = (self.number, self.bytes_max);
        self.number += 1;
        let mut held = std::mem::take(&mut self.held);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let bytes = held.len() as u64 + dropped;
            return Typed::Refused(format!(
                "line {number} has {bytes} bytes and was left out; at most {bytes_max} are taken; put long text into a \
                 file and name the file"
            ));
        }
        if held.last() == Some(&b'\r') {
            held.pop();
        }
        match String::from_utf8(held) {
            Ok(line) => Typed::Line(line),
            Err(error) => Typed::Refused(format!(
                "line {number} is not UTF-8 text (byte {}) and was left out; convert it first",
                error.utf8_error().valid_up_to() + 1
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_wherever_the_input_is_cut() {
        let text = "one\r\n\nzwei ü\nno \u{1b}end".as_bytes();
        for at in 0..=text.len() {
            let (mut lines, mut out) = (Splitter::new(100), Vec::new());
            lines.feed(&text[..at], &mut out);
            lines.feed(&text[at..], &mut out);
            lines.end(&mut out);
            assert_eq!(out, ["one", "", "zwei ü", "no \u{1b}end"].map(|line| Typed::Line(line.into())));
        }
    }

    #[test]
    fn y6_what_cannot_be_taken_is_named_and_the_rest_goes_on() {
        let (mut lines, mut out) = (Splitter::new(8), Vec::new());
        lines.feed(b"ok\nab\xff\nmuch too long\n\xe6\xbc\nfine", &mut out);
        lines.end(&mut out);
        let shown: Vec<String> = out
            .into_iter()
            .map(|typed| match typed {
                Typed::Line(line) => line,
                Typed::Refused(why) => why,
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "ok",
                "line 2 is not UTF-8 text (byte 3) and was left out; convert it first",
                "line 3 has 13 bytes and was left out; at most 8 are taken; put long text into a file and name the file",
                "line 4 is not UTF-8 text (byte 1) and was left out; convert it first",
                "fine"
            ]
        );
    }
}
