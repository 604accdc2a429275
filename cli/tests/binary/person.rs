//! A person before a terminal: a real one, with the program in its foreground.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::ground::{BINARY, Call, Nest, signal};

/// How long anything on the screen may take to come.
const LIMIT: Duration = Duration::from_secs(10);

/// Somebody who types and looks. Dropping it ends the program.
pub(crate) struct Person {
    hand: File,
    seen: Receiver<Vec<u8>>,
    /// What was seen since the last look.
    text: String,
    /// Everything that was ever shown.
    pub(crate) all: String,
    terminal: File,
    child: Child,
}

impl Person {
    /// Starts the program on a terminal that shows no colours.
    pub(crate) fn at(nest: &Nest, words: &[&str]) -> Person {
        Person::before(nest, "xterm", words)
    }

    /// The same, on a terminal of this kind.
    pub(crate) fn before(nest: &Nest, kind: &str, words: &[&str]) -> Person {
        Person::looking_at(in_session(nest, words).env("TERM", kind).env("NO_COLOR", "1"))
    }

    /// The same, in colour.
    pub(crate) fn in_colour(nest: &Nest, words: &[&str]) -> Person {
        Person::looking_at(in_session(nest, words).env("TERM", "xterm"))
    }

    fn looking_at(call: Call) -> Person {
        let hand = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&hand).and_then(|()| unlockpt(&hand)).expect("a terminal");
        let name = ptsname(&hand, Vec::new()).expect("a name").into_string().expect("a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = File::from(rustix::fs::open(name, flags, Mode::empty()).expect("its other side"));
        tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
        let side = || OwnedFd::from(terminal.try_clone().expect("a descriptor"));
        let child = call.start_on(side);
        let hand = File::from(hand);
        let mut eye = hand.try_clone().expect("a descriptor");
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = eye.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Person { hand, seen, text: String::new(), all: String::new(), terminal, child }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.hand.write_all(text.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until `wanted` is seen, after what was seen before; gives what came before it.
    #[track_caller]
    pub(crate) fn sees(&mut self, wanted: &str) -> String {
        let end = Instant::now() + LIMIT;
        while !self.text.contains(wanted) {
            match self.seen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.add(&bytes),
                Err(_) => panic!("`{wanted}` never came; seen: {:?}", self.all),
            }
        }
        assert!(!self.text.contains("panicked"), "{:?}", self.text);
        let at = self.text.find(wanted).unwrap_or_default();
        let before = self.text[..at].to_owned();
        self.text.drain(..at + wanted.len());
        before
    }

    fn add(&mut self, bytes: &[u8]) {
        let seen = String::from_utf8_lossy(bytes);
        self.all.push_str(&seen);
        // The terminal adds a return to each line's end, the program's own included.
        self.text = (std::mem::take(&mut self.text) + &seen).replace("\r\r\n", "\r\n");
    }

    /// Everything that comes within a quarter of a second.
    pub(crate) fn looks(&mut self) -> String {
        self.listens();
        std::mem::take(&mut self.text)
    }

    fn listens(&mut self) {
        while let Ok(bytes) = self.seen.recv_timeout(Duration::from_millis(250)) {
            self.add(&bytes);
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the program's end; its exit code, and `None` where a signal killed it.
    #[track_caller]
    pub(crate) fn waits(&mut self) -> Option<i32> {
        self.status().code()
    }

    /// The same as shells say it: 128 and the signal's number for one that was killed.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> i32 {
        let status = self.status();
        status.code().or_else(|| status.signal().map(|number| 128 + number)).expect("an end")
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                self.listens();
                return status;
            }
            assert!(Instant::now() < end, "the program did not end; seen: {:?}", self.looks());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the terminal edits and echoes lines itself, as it did before.
    pub(crate) fn has_usual_terminal(&self) -> bool {
        let modes = tcgetattr(&self.terminal).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

/// `setsid` becomes the program, in a session of its own whose terminal is the one it is started on.
fn in_session(nest: &Nest, words: &[&str]) -> Call {
    nest.through("setsid", &[&["--ctty", BINARY], words].concat())
}

impl Drop for Person {
    fn drop(&mut self) {
        // One that has ended cannot be killed again.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
