//! An empty home, the built binary in it, and a person who types.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A home in which nothing is configured.
pub(crate) struct Home {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Home {
        let home = Home { directory: tempfile::tempdir().unwrap(), variables: Vec::new() };
        fs::create_dir(home.path("work")).unwrap();
        home
    }

    /// With this environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Home {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Something beneath it.
    pub(crate) fn path(&self, beneath: &str) -> PathBuf {
        self.directory.path().join(beneath)
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path(".config/aether/config.toml")
    }

    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.config_file()).unwrap_or_default()
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::create_dir_all(self.path(".config/aether")).unwrap();
        self.write(".config/aether/config.toml", text, 0o600);
    }

    pub(crate) fn write(&self, beneath: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(beneath);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aether"));
        self.prepare(&mut command);
        command.args(words);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.env_clear().env("HOME", self.directory.path()).env("PATH", "/usr/bin:/bin");
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).current_dir(self.path("work"));
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, "")
    }

    /// With this on standard input.
    pub(crate) fn run_with(&self, words: &[&str], input: &str) -> Ran {
        let mut command = self.command(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read its input may be gone by now.
        let _written = stdin.write_all(input.as_bytes());
        drop(stdin);
        let (out, err) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
        let code = wait(&mut child, words);
        let ran = Ran { code, out: out.join().unwrap(), err: err.join().unwrap() };
        assert!(!ran.err.contains("panicked"), "{words:?}: {}", ran.err);
        ran
    }

    /// Every file beneath the home, with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut left = vec![self.directory.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { left.push(path) } else { files.push((path.clone(), fs::read(&path).unwrap())) }
            }
        }
        files.sort();
        files
    }

    /// The files that hold this text.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.files().into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

impl Ran {
    /// It ended with this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Standard error holds each of these.
    #[track_caller]
    pub(crate) fn says(self, wanted: &[&str]) -> Ran {
        for text in wanted {
            assert!(self.err.contains(text), "`{text}` is not in: {}", self.err);
        }
        self
    }

    /// Neither stream holds this.
    #[track_caller]
    pub(crate) fn hides(self, secret: &str) -> Ran {
        assert!(!self.out.contains(secret) && !self.err.contains(secret), "{}\n{}", self.out, self.err);
        self
    }
}

fn read(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// The exit code; 128 and the signal's number for one that was killed, as shells say it.
#[track_caller]
fn wait(child: &mut Child, what: &[&str]) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("{what:?} is still running");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A person at a terminal with a running program.
pub(crate) struct Person {
    hand: File,
    seen: Receiver<Vec<u8>>,
    text: String,
    /// Everything that was ever shown.
    pub(crate) all: String,
    child: Child,
}

impl Person {
    /// Starts the program with a terminal of its own, which `setsid` makes the controlling one.
    pub(crate) fn starts(home: &Home, words: &[&str]) -> Person {
        let hand = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&hand).unwrap();
        unlockpt(&hand).unwrap();
        let name = ptsname(&hand, Vec::new()).unwrap().into_string().unwrap();
        let terminal = File::options().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mut command = Command::new("setsid");
        home.prepare(&mut command);
        command.env("TERM", "xterm").arg("--ctty").arg(env!("CARGO_BIN_EXE_aether")).args(words);
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let hand = File::from(hand);
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
        Person { hand, seen, text: String::new(), all: String::new(), child }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.hand.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this was shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn sees(&mut self, wanted: &str) {
        let end = Instant::now() + LIMIT;
        while !self.text.contains(wanted) {
            match self.seen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.hear(&bytes),
                Err(_) => panic!("`{wanted}` never came; seen: {:?}", self.all),
            }
        }
        let at = self.text.find(wanted).unwrap() + wanted.len();
        self.text.drain(..at);
    }

    fn hear(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.text.push_str(&text);
        self.all.push_str(&text);
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> i32 {
        let code = wait(&mut self.child, &["the program at the terminal"]);
        while let Ok(bytes) = self.seen.recv_timeout(Duration::from_millis(100)) {
            self.hear(&bytes);
        }
        code
    }
}
