//! A line that is edited while output is printed above it.

use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::device::{Device, Raw, Ready, suspend_group};
use crate::error::{TerminalError, Typed};
use crate::history::History;
use crate::lines::{Ending, pump, send};
use crate::options::{EditorOptions, LINE_BYTES_MAX, TYPED_MAX};
use crate::screen::{Screen, Shown};
use crate::style::is_dumb;
use crate::tty::Tty;
use crate::typing::{Deed, Typing};

/// How long nothing must have been typed before somebody else gets the terminal, in milliseconds.
const QUIET_MS: u64 = 600;
/// How long somebody else waits for that at most, in milliseconds.
const PATIENCE_MS: u64 = 3_000;
/// How often it is looked whether that time has come, in milliseconds.
const LOOK_MS: u64 = 40;
/// How much output is held back while somebody else has the terminal, in bytes; beyond it the oldest is written.
const HELD_BYTES_MAX: usize = 1 << 20;
/// How long stopped processes may take to stop, in milliseconds.
const SUSPEND_MS: u64 = 50;
/// Asks the terminal to mark pastes, and not to ("XTerm Control Sequences", section "Bracketed Paste Mode").
const PASTES_MARKED: [&str; 2] = ["\x1b[?2004h", "\x1b[?2004l"];

/// Reads lines from a terminal, on a thread of its own, and lets the person edit them meanwhile.
///
/// The keys are those of Emacs and of the arrows. Ctrl-C clears the line, and on an empty one it is
/// [`Typed::Interrupted`]; Ctrl-D on an empty one is [`Typed::End`]. Alt-Enter breaks the line, Ctrl-R searches
/// the lines of earlier, Tab completes. Dropping it puts the terminal back.
#[derive(Debug)]
pub struct Editor {
    receiver: Option<Receiver<Typed>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Writes above the line of an [`Editor`], from any thread, as long as anybody holds it.
#[derive(Clone, Debug)]
pub struct Printer {
    shared: Arc<Shared>,
}

/// While this lives, the editor leaves the terminal alone; then it goes on, with the line as it was (Y3).
#[derive(Debug)]
pub struct Pause {
    shared: Arc<Shared>,
}

struct Shared {
    device: Arc<Device>,
    end: Ending,
    state: Mutex<State>,
    changed: Condvar,
    prompt: String,
    /// The terminal edits lines itself; nothing is drawn.
    is_plain: bool,
}

struct State {
    typing: Typing,
    screen: Screen,
    phase: Phase,
    pauses: u32,
    pause_since: Instant,
    key_at: Instant,
    /// Output that waits for the end of a pause.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The line is shown and keys are read.
    Reading,
    /// Somebody else has the terminal.
    Paused,
    /// Nobody reads any more.
    Over,
}

impl Editor {
    /// Takes the terminal over. On one that is called `dumb` the terminal edits lines itself and there is no prompt.
    ///
    /// # Errors
    /// [`TerminalError::Broken`] where the terminal's mode cannot be set, [`TerminalError::Missing`] where the system
    /// gives no thread or no pipe. A history that cannot be read is
    /// said above the line and forgotten at the end.
    pub fn start(tty: Tty, options: EditorOptions) -> Result<Editor, TerminalError> {
        let device = tty.into_device();
        let (history, wrong) = match History::open(options.history) {
            Ok(history) => (history, None),
            Err(error) => (History::default(), Some(format!("the history cannot be read: {error}\n"))),
        };
        let now = Instant::now();
        let state = State {
            typing: Typing::new(LINE_BYTES_MAX, history, options.completions),
            screen: Screen::new(device.size()),
            phase: Phase::Reading,
            pauses: 0,
            pause_since: now,
            key_at: now.checked_sub(Duration::from_millis(QUIET_MS)).unwrap_or(now),
            held: wrong.unwrap_or_default(),
        };
        let shared = Arc::new(Shared {
            device,
            end: Ending::new()?,
            state: Mutex::new(state),
            changed: Condvar::new(),
            prompt: options.prompt,
            is_plain: is_dumb(),
        });
        // Before anything is shown, so that whoever sees the prompt types into the editor.
        let raw = if shared.is_plain { None } else { Some(Raw::enter(&shared.device).map_err(TerminalError::Broken)?) };
        let (sender, receiver) = sync_channel(TYPED_MAX);
        let for_thread = Arc::clone(&shared);
        let work = move || for_thread.run(raw, &sender, &*options.waker);
        let thread = std::thread::Builder::new().name("editor".to_owned()).spawn(work);
        Ok(Editor { receiver: Some(receiver), shared, thread: Some(thread.map_err(TerminalError::Missing)?) })
    }

    /// What was typed, if something was.
    #[must_use]
    pub fn next(&self) -> Option<Typed> {
        self.receiver.as_ref().and_then(|receiver| receiver.try_recv().ok())
    }

    /// The same, after at most `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Typed> {
        self.receiver.as_ref().and_then(|receiver| receiver.recv_timeout(limit).ok())
    }

    /// Writes above the line.
    #[must_use]
    pub fn printer(&self) -> Printer {
        Printer { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        drop(self.receiver.take());
        self.shared.end.is_wanted.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
        self.shared.end.join(self.thread.take());
    }
}

impl Printer {
    /// Writes `text`, which may be part of a line, where the last output ended. Colours are understood; whatever
    /// else could steer the terminal must have been made [`crate::neutral`].
    pub fn print(&self, text: &str) {
        self.shared.print(text);
    }

    /// Ends a line of output that was begun, if one was.
    pub fn fresh_line(&self) {
        let state = self.shared.lock();
        let is_open = if state.held.is_empty() { state.screen.is_open() } else { !state.held.ends_with('\n') };
        drop(state);
        if is_open {
            self.shared.print("\n");
        }
    }

    /// Waits until the person has stopped typing for a moment, at most three seconds, and takes the terminal from
    /// the editor: its mode is what it was before, and output is held back.
    #[must_use]
    pub fn pause(&self) -> Pause {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if state.pauses == 0 {
            state.pause_since = Instant::now();
        }
        state.pauses += 1;
        shared.end.knock.knock();
        while state.phase == Phase::Reading && !shared.is_plain {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        Pause { shared }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.pauses -= 1;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.end.is_wanted.load(Ordering::Relaxed)
    }

    fn print(&self, text: &str) {
        let mut state = self.lock();
        if state.phase == Phase::Paused && state.held.len() + text.len() <= HELD_BYTES_MAX {
            state.held.push_str(text);
            return;
        }
        let mut frame = String::new();
        if state.phase == Phase::Reading {
            state.screen.erase(&mut frame);
        }
        let held = std::mem::take(&mut state.held);
        state.screen.print(&mut frame, &held);
        state.screen.print(&mut frame, text);
        if state.phase == Phase::Reading {
            self.draw(&mut state, &mut frame);
        }
        // A terminal that is gone shows nothing; whoever reads it is told so.
        drop(self.device.write(&frame));
    }

    /// Shows the line below the output.
    fn draw(&self, state: &mut State, frame: &mut String) {
        if self.is_plain {
            return;
        }
        let searching = state.typing.prompt();
        let (text, cursor) = state.typing.shown();
        state.screen.draw(frame, &Shown { prompt: searching.as_deref().unwrap_or(&self.prompt), text, cursor });
    }

    /// The thread: reads until the end, whatever happens, and says so.
    fn run(&self, raw: Option<Raw>, sender: &SyncSender<Typed>, waker: &dyn Fn()) {
        let say = |typed| send(sender, typed, waker);
        match raw {
            None => pump(&self.device, &self.end, &say),
            Some(raw) => {
                if let Err(error) = self.edit(&raw, &say) {
                    say(Typed::Refused(format!("the terminal does not answer: {error}")));
                    say(Typed::End);
                }
            }
        }
        self.lock().phase = Phase::Over;
        self.changed.notify_all();
    }

    fn edit(&self, raw: &Raw, say: &dyn Fn(Typed) -> bool) -> io::Result<()> {
        self.show(PASTES_MARKED[0])?;
        let mut buffer = [0; 4_096];
        while !self.is_ending() {
            let mut deeds = Vec::new();
            match self.device.wait(Some(&self.end.knock), self.patience_ms())? {
                Ready::Input => match self.device.read(&mut buffer)? {
                    0 => {
                        say(Typed::End);
                        break;
                    }
                    count => {
                        self.lock().key_at = Instant::now();
                        self.typed(&mut deeds, |typing, out| typing.feed(&buffer[..count], out))?;
                    }
                },
                Ready::Timeout if self.lock().typing.patience_ms().is_some() => {
                    self.typed(&mut deeds, Typing::rest)?;
                }
                Ready::Timeout | Ready::Knocked => {}
            }
            for deed in deeds {
                match deed {
                    Deed::Typed(typed) if !say(typed.clone()) => return Ok(()),
                    Deed::Suspend => self.suspend(raw)?,
                    Deed::Typed(_) | Deed::Note(_) | Deed::Clear => {}
                }
            }
            self.rest_while_paused(raw)?;
        }
        self.hide()
    }

    /// How long to wait for keys, in milliseconds; `None` for as long as it takes.
    fn patience_ms(&self) -> Option<u64> {
        let state = self.lock();
        state.typing.patience_ms().or_else(|| (state.pauses > 0).then_some(LOOK_MS))
    }

    /// Lets keys do what they do, and shows it.
    fn typed(&self, out: &mut Vec<Deed>, step: impl FnOnce(&mut Typing, &mut Vec<Deed>)) -> io::Result<()> {
        let mut state = self.lock();
        step(&mut state.typing, out);
        let mut frame = String::new();
        let size = self.device.size();
        state.screen.resize(size);
        state.screen.erase(&mut frame);
        for deed in &*out {
            match deed {
                Deed::Typed(Typed::Line(line)) => state.screen.echo(&mut frame, &self.prompt, line),
                Deed::Note(text) => state.screen.print(&mut frame, &format!("{text}\n")),
                Deed::Clear => state.screen.clear(&mut frame),
                Deed::Typed(_) | Deed::Suspend => {}
            }
        }
        self.draw(&mut state, &mut frame);
        self.device.write(&frame)
    }

    /// Gives the terminal away for as long as somebody wants it, once the person is not in the middle of a word.
    fn rest_while_paused(&self, raw: &Raw) -> io::Result<()> {
        let mut state = self.lock();
        if state.pauses == 0 {
            return Ok(());
        }
        let is_quiet = state.typing.shown().0.is_empty() || state.key_at.elapsed() >= Duration::from_millis(QUIET_MS);
        if !is_quiet && state.pause_since.elapsed() < Duration::from_millis(PATIENCE_MS) {
            return Ok(());
        }
        drop(state);
        self.hide()?;
        raw.leave()?;
        state = self.lock();
        state.phase = Phase::Paused;
        self.changed.notify_all();
        while state.pauses > 0 && !self.is_ending() {
            // The flag is set without the lock, so the wait looks at it now and then.
            let waited = self.changed.wait_timeout(state, Duration::from_millis(LOOK_MS));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.phase = Phase::Reading;
        drop(state);
        raw.again()?;
        self.show(PASTES_MARKED[0])
    }

    fn suspend(&self, raw: &Raw) -> io::Result<()> {
        self.hide()?;
        raw.leave()?;
        suspend_group()?;
        std::thread::sleep(Duration::from_millis(SUSPEND_MS));
        raw.again()?;
        self.show(PASTES_MARKED[0])
    }

    /// Shows the line, and before it what was held back.
    fn show(&self, first: &str) -> io::Result<()> {
        let mut state = self.lock();
        let mut frame = String::from(first);
        let size = self.device.size();
        state.screen.resize(size);
        state.screen.erase(&mut frame);
        let held = std::mem::take(&mut state.held);
        state.screen.print(&mut frame, &held);
        self.draw(&mut state, &mut frame);
        self.device.write(&frame)
    }

    /// Takes the line away and ends a line of output that was begun.
    fn hide(&self) -> io::Result<()> {
        let mut state = self.lock();
        let mut frame = String::new();
        state.screen.erase(&mut frame);
        state.screen.fresh_line(&mut frame);
        frame.push_str(PASTES_MARKED[1]);
        self.device.write(&frame)
    }
}
