//! The terminal room on real pseudo-terminals: keys go in on one side, and what a person would see is read there.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aether_terminal::{Editor, EditorOptions, Lines, PASTE_BYTES_MAX, TerminalError, Tty, Typed};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A person before a terminal.
struct Person {
    hand: File,
    seen: Receiver<Vec<u8>>,
    text: String,
    terminal: File,
}

/// The person's side of a new terminal, and the program's.
fn pair() -> (File, File) {
    let hand = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&hand).unwrap();
    unlockpt(&hand).unwrap();
    let name = ptsname(&hand, Vec::new()).unwrap().into_string().unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let terminal = File::from(rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap());
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (File::from(hand), terminal)
}

impl Person {
    fn new() -> Person {
        let (hand, terminal) = pair();
        let mut eye = hand.try_clone().unwrap();
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = eye.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Person { hand, seen, text: String::new(), terminal }
    }

    fn tty(&self) -> Tty {
        Tty::over(self.terminal.try_clone().unwrap())
    }

    fn types(&mut self, text: &str) {
        self.hand.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until `wanted` was seen since the last call.
    #[track_caller]
    fn sees(&mut self, wanted: &str) {
        let end = Instant::now() + LIMIT;
        while !self.text.contains(wanted) {
            let left = end.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(left) {
                Ok(bytes) => self.push(&bytes),
                Err(_) => panic!("`{wanted}` never came; seen: {:?}", self.text),
            }
        }
        let at = self.text.find(wanted).unwrap() + wanted.len();
        self.text.drain(..at);
    }

    fn push(&mut self, bytes: &[u8]) {
        // The terminal adds a return to each line's end, ours included.
        self.text = (std::mem::take(&mut self.text) + &String::from_utf8_lossy(bytes)).replace("\r\r\n", "\r\n");
    }

    /// Everything seen that was not asked for, after a short wait.
    fn rest(&mut self) -> String {
        while let Ok(bytes) = self.seen.recv_timeout(Duration::from_millis(100)) {
            self.push(&bytes);
        }
        std::mem::take(&mut self.text)
    }

    fn is_usual(&self) -> bool {
        tcgetattr(&self.terminal)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

fn options() -> EditorOptions {
    EditorOptions {
        prompt: "> ".into(),
        history: None,
        completions: vec!["/help".into(), "/exit".into()],
        waker: Box::new(|| {}),
    }
}

fn line(text: &str) -> Option<Typed> {
    Some(Typed::Line(text.into()))
}

/// Asks on a thread of its own, while the person does something.
fn asked<T: Send + 'static>(
    person: &Person,
    ask: impl FnOnce(&mut Tty, &AtomicBool) -> Result<T, TerminalError> + Send + 'static,
) -> (Arc<AtomicBool>, std::thread::JoinHandle<T>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (mut tty, flag) = (person.tty(), Arc::clone(&stop));
    (stop, std::thread::spawn(move || ask(&mut tty, &flag).unwrap()))
}

#[test]
fn y1_a_line_is_asked_for_and_the_mode_is_put_back() {
    let mut person = Person::new();
    let (_, answer) = asked(&person, |tty, stop| tty.line("name? ", stop));
    person.sees("name? ");
    assert!(!person.is_usual());
    person.types("Ad\x7fda\r");
    assert_eq!(answer.join().unwrap(), Typed::Line("Ada".into()));
    assert!(person.is_usual());
    for (keys, wanted) in [("abc\x03\x03", Typed::Interrupted), ("\x04", Typed::End)] {
        person.rest();
        let (_, answer) = asked(&person, |tty, stop| tty.line("again? ", stop));
        person.sees("again? ");
        person.types(keys);
        assert_eq!(answer.join().unwrap(), wanted);
        assert!(person.is_usual());
    }
}

#[test]
fn y2_a_question_is_withdrawn_in_time() {
    let mut person = Person::new();
    for key in [false, true] {
        person.rest();
        let (stop, answer) = asked(&person, move |tty, stop| match key {
            true => tty.key("sure? ", &['y', 'n'], stop).map(|key| assert_eq!(key, None)),
            false => tty.line("sure? ", stop).map(|typed| assert_eq!(typed, Typed::Stopped)),
        });
        person.sees("sure? ");
        let since = Instant::now();
        stop.store(true, Ordering::Relaxed);
        answer.join().unwrap();
        assert!(since.elapsed() < Duration::from_millis(200), "{:?}", since.elapsed());
        assert!(person.is_usual());
    }
}

#[test]
fn y1_a_secret_is_not_shown_and_the_echo_comes_back() {
    let mut person = Person::new();
    let (_, answer) = asked(&person, |tty, _| tty.hidden("key: "));
    person.sees("key: ");
    person.types("sk-planted-secret\r");
    assert_eq!(answer.join().unwrap(), Typed::Line("sk-planted-secret".into()));
    let rest = person.rest();
    assert!(!rest.contains("planted") && !rest.contains('*'), "{rest:?}");
    assert!(person.is_usual());
    person.rest();
    let (_, answer) = asked(&person, |tty, _| tty.hidden("key: "));
    person.sees("key: ");
    person.types("abc\x03\x03");
    assert_eq!(answer.join().unwrap(), Typed::Interrupted);
    assert!(person.is_usual());
}

#[test]
fn y6_an_answer_is_bounded() {
    let mut person = Person::new();
    let (_, answer) = asked(&person, |tty, stop| tty.line("text? ", stop));
    person.sees("text? ");
    person.types(&format!("\x1b[200~{}\x1b[201~", "x".repeat(70_000)));
    assert!(matches!(answer.join().unwrap(), Typed::Refused(why) if why.contains("65536 bytes")));
}

#[test]
fn y4_a_key_answers_only_what_was_shown() {
    let mut person = Person::new();
    person.types("y");
    person.types("\n");
    std::thread::sleep(Duration::from_millis(50));
    let (_, answer) = asked(&person, |tty, stop| tty.key("sure? ", &['y', 'n', 'a'], stop));
    person.sees("sure? ");
    std::thread::sleep(Duration::from_millis(50));
    person.types("x\x1b[A");
    std::thread::sleep(Duration::from_millis(50));
    person.types("N\r");
    assert_eq!(answer.join().unwrap(), Some('n'));
    person.sees("n\r\n");
}

#[test]
fn y2_a_terminal_that_is_gone_ends_every_wait() {
    for n in 0..3 {
        let (mut hand, terminal) = pair();
        let mut tty = Tty::over(terminal);
        let waiting = std::thread::spawn(move || match n {
            0 => assert_eq!(tty.line("? ", &AtomicBool::new(false)).unwrap(), Typed::End),
            1 => assert_eq!(tty.key("? ", &['y'], &AtomicBool::new(false)).unwrap_or(None), None),
            _ => {
                let editor = Editor::start(tty, options()).unwrap();
                let mut last = None;
                while let Some(typed) = editor.wait(LIMIT) {
                    last = Some(typed);
                }
                assert_eq!(last, Some(Typed::End));
            }
        });
        assert!(hand.read(&mut [0; 64]).unwrap() > 0);
        drop(hand);
        waiting.join().unwrap();
    }
}

#[test]
fn an_editor_gives_lines_and_puts_the_terminal_back() {
    let mut person = Person::new();
    let editor = Editor::start(person.tty(), options()).unwrap();
    person.sees("> ");
    person.types("hello\r/h\tx\r\x1b[A\x1b[A\r");
    assert_eq!(editor.wait(LIMIT), line("hello"));
    assert_eq!(editor.wait(LIMIT), line("/help x"));
    assert_eq!(editor.wait(LIMIT), line("hello"));
    person.types("abc\x03");
    person.types("\x03\x04");
    assert_eq!(editor.wait(LIMIT), Some(Typed::Interrupted));
    assert_eq!(editor.wait(LIMIT), Some(Typed::End));
    drop(editor);
    person.sees("\x1b[?2004l");
    assert!(person.is_usual());
}

#[test]
fn y3_printing_while_typing_keeps_the_line() {
    let mut person = Person::new();
    let editor = Editor::start(person.tty(), options()).unwrap();
    person.sees("> ");
    person.types("half a li");
    person.sees("half a li");
    let printer = editor.printer();
    let other = printer.clone();
    let beside = std::thread::spawn(move || other.print("from another thread\n"));
    beside.join().unwrap();
    person.sees("from another thread");
    person.sees("> half a li");
    printer.print("begun");
    person.sees("begun");
    person.sees("> half a li");
    printer.print(" and ended\n");
    person.sees("\x1b[5C and ended\r\n> half a li");
    person.types("ne\r");
    assert_eq!(editor.wait(LIMIT), line("half a line"));
}

#[test]
fn y3_a_paste_comes_whole_and_one_that_is_too_long_is_refused() {
    let mut person = Person::new();
    let editor = Editor::start(person.tty(), options()).unwrap();
    person.sees("> ");
    let long = "x".repeat(1_000_000);
    person.types(&format!("one \x1b[200~two\rthree {long}\x1b[201~ four\r"));
    assert_eq!(editor.wait(LIMIT), line(&format!("one two\nthree {long} four")));
    person.types("kept \x1b[200~");
    for _ in 0..10 {
        person.types(&"y".repeat(PASTE_BYTES_MAX));
    }
    person.types("\x1b[201~too\r");
    let Some(Typed::Refused(why)) = editor.wait(LIMIT) else { panic!("the paste was not refused") };
    assert!(why.contains("10485760 bytes") && why.contains("name the file"), "{why}");
    assert_eq!(editor.wait(LIMIT), line("kept too"));
}

#[test]
fn y3_a_question_gets_the_terminal_and_the_line_comes_back() {
    let mut person = Person::new();
    let editor = Editor::start(person.tty(), options()).unwrap();
    person.sees("> ");
    person.types("half");
    person.sees("half");
    let printer = editor.printer();
    let mut tty = person.tty();
    let since = Instant::now();
    let asking = std::thread::spawn(move || {
        let pause = printer.pause();
        let waited = since.elapsed();
        printer.print("held back\n");
        let key = tty.key("sure? ", &['y', 'n'], &AtomicBool::new(false)).unwrap();
        drop(pause);
        (key, waited)
    });
    person.sees("sure? ");
    person.types("y");
    let (key, waited) = asking.join().unwrap();
    assert_eq!(key, Some('y'));
    assert!(waited >= Duration::from_millis(400), "the question came in the middle of a word: {waited:?}");
    person.sees("y\r\n");
    person.sees("held back");
    person.sees("> half");
    person.types(" a line\r");
    assert_eq!(editor.wait(LIMIT), line("half a line"));
}

#[test]
fn y1_dropping_during_a_pause_ends() {
    let person = Person::new();
    let editor = Editor::start(person.tty(), options()).unwrap();
    let pause = editor.printer().pause();
    assert!(person.is_usual());
    drop(editor);
    drop(pause);
    assert!(person.is_usual());
}

#[test]
fn the_history_is_a_file_of_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history");
    for keys in ["first\nsecond\r", "\x1b[A\r"] {
        let mut person = Person::new();
        let editor = Editor::start(person.tty(), EditorOptions { history: Some(path.clone()), ..options() }).unwrap();
        person.sees("> ");
        person.types(keys);
        if keys.starts_with('f') {
            assert_eq!(editor.wait(LIMIT), line("first"));
        }
        assert_eq!(editor.wait(LIMIT), line("second"));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_history_that_cannot_be_read_is_said_and_typing_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut person = Person::new();
    let history = Some(directory.path().to_owned());
    let editor = Editor::start(person.tty(), EditorOptions { history, ..options() }).unwrap();
    person.sees("the history cannot be read");
    person.types("x\r");
    assert_eq!(editor.wait(LIMIT), line("x"));
}

#[test]
fn y2_lines_of_a_program_are_read_and_reading_can_be_called_off() {
    let (read, mut write) = std::io::pipe().unwrap();
    let lines = Lines::of(File::from(std::os::fd::OwnedFd::from(read)), Box::new(|| {})).unwrap();
    write.write_all(b"one\ntwo").unwrap();
    assert_eq!(lines.wait(LIMIT), line("one"));
    let since = Instant::now();
    drop(lines);
    assert!(since.elapsed() < Duration::from_millis(200));
    let (read, mut write) = std::io::pipe().unwrap();
    let lines = Lines::of(File::from(std::os::fd::OwnedFd::from(read)), Box::new(|| {})).unwrap();
    write.write_all(b"\xff\nlast").unwrap();
    drop(write);
    assert!(matches!(lines.wait(LIMIT), Some(Typed::Refused(_))));
    assert_eq!(lines.wait(LIMIT), line("last"));
    assert_eq!(lines.wait(LIMIT), Some(Typed::End));
    assert_eq!(lines.wait(LIMIT), None);
}
