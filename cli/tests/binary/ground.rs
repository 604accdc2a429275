//! What every test stands on: an empty home, a workspace, the program with a time limit, and providers to ask.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aether_testkit::server::{Recorded, Server};
use serde_json::Value;
use tempfile::TempDir;

/// How long one run of the program may take before the test fails, in milliseconds.
pub(crate) const RUN_MS_MAX: u64 = 30_000;

/// The program that is tested.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_aether");

/// A home with nothing in it but what the test puts there, and an empty workspace beside it.
pub(crate) struct Nest {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Nest {
    pub(crate) fn new() -> Nest {
        let directory = TempDir::new().expect("a temporary directory");
        let nest = Nest { directory, variables: Vec::new() };
        fs::create_dir_all(nest.home()).expect("a home");
        fs::create_dir_all(nest.workspace()).expect("a workspace");
        nest
    }

    /// With this configuration.
    pub(crate) fn with(config: &str) -> Nest {
        let nest = Nest::new();
        nest.configure(config);
        nest
    }

    /// With this environment variable in every run.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Nest {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// A place outside the workspace.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A place in the home.
    pub(crate) fn path(&self, beneath: &str) -> PathBuf {
        self.home().join(beneath)
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path(CONFIG)
    }

    pub(crate) fn traces(&self) -> PathBuf {
        self.path(".local/share/aether/traces")
    }

    pub(crate) fn configure(&self, config: &str) {
        self.write(CONFIG, config, 0o644);
    }

    /// Where the policy is.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.path(".config/aether/policy.toml")
    }

    /// Sets and signs a cell of the policy, such as `terminal.write`.
    #[track_caller]
    pub(crate) fn decide(&self, cell: &str, decision: &str) {
        self.aether(&["policy", "set", cell, decision]).run().exits(0);
    }

    /// What is configured; nothing where there is no file.
    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.config_file()).unwrap_or_default()
    }

    /// Puts a file with this mode into the home.
    pub(crate) fn write(&self, beneath: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(beneath);
        fs::create_dir_all(path.parent().expect("a directory")).expect("the file's directory");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        path
    }

    /// Puts a file into the workspace.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.workspace().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("the file's directory");
        fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        fs::read_to_string(self.workspace().join(name)).expect("a text file")
    }

    /// Names of everything in the workspace, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(&self.workspace())
    }

    /// The program, to be run in the workspace with this home and no other variable than `PATH`.
    pub(crate) fn aether(&self, words: &[&str]) -> Call {
        self.through(BINARY, words)
    }

    /// Runs it to its end, with a standard input in which there is nothing.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.aether(words).input("").run()
    }

    /// Another program, which runs this one.
    pub(crate) fn through(&self, program: &str, words: &[&str]) -> Call {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("HOME", self.home()).env("TEST_PROVIDER_KEY", KEY);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.workspace()).stdin(Stdio::null());
        Call { command, input: Vec::new(), output: None }
    }

    /// Every file of the home and the workspace, with its bytes, sorted.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_in(self.directory.path())
    }

    /// The files that hold this text.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.files().into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
    }

    /// Everything that the program wrote under its home, in one text.
    pub(crate) fn all_written(&self) -> String {
        let mut text = String::new();
        for (path, bytes) in files_in(&self.home()) {
            let _ = writeln!(text, "== {} ==\n{}", path.display(), String::from_utf8_lossy(&bytes));
        }
        text
    }
}

/// Where the configuration is in a home.
const CONFIG: &str = ".config/aether/config.toml";

/// The key that every provider of [`provider`] is given.
pub(crate) const KEY: &str = "sk-test-7f3a9c0d51e8";

/// Names of everything in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn files_in(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, mut left) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in unless_gone(fs::read_dir(directory)).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = unless_gone(fs::read(&path)).unwrap_or_default();
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

/// A program that still runs may take away what was there a moment ago.
#[track_caller]
fn unless_gone<T>(found: io::Result<T>) -> Option<T> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found.expect("something that can be read")),
    }
}

/// Who may do what with a file, in the way of `chmod`.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

/// One run of the program that has not begun.
pub(crate) struct Call {
    command: Command,
    input: Vec<u8>,
    output: Option<fs::File>,
}

impl Call {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Call {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Call {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn current_dir(mut self, directory: &Path) -> Call {
        self.command.current_dir(directory);
        self
    }

    /// Sent to standard input, which is then closed.
    pub(crate) fn input(mut self, bytes: impl AsRef<[u8]>) -> Call {
        self.input = bytes.as_ref().to_vec();
        self.command.stdin(Stdio::piped());
        self
    }

    /// Standard output goes to this file.
    pub(crate) fn output_to(mut self, file: fs::File) -> Call {
        self.output = Some(file);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.start_with().wait()
    }

    /// Starts it, with its standard input left open.
    pub(crate) fn start(mut self) -> Live {
        self.command.stdin(Stdio::piped());
        self.start_with()
    }

    /// Starts it with all three of its streams here.
    pub(crate) fn start_on(mut self, stream: impl Fn() -> OwnedFd) -> Child {
        self.command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("the program starts")
    }

    fn start_with(mut self) -> Live {
        self.command.stderr(Stdio::piped());
        match self.output.take() {
            Some(file) => self.command.stdout(file),
            None => self.command.stdout(Stdio::piped()),
        };
        let started = Instant::now();
        let mut child = self.command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take();
        if let Some(mut pipe) = stdin.take_if(|_| !self.input.is_empty()) {
            // The program may end before it has read everything.
            std::thread::spawn(move || pipe.write_all(&self.input));
        }
        let stdout = child.stdout.take();
        let stderr = child.stderr.take().map(reading).expect("a pipe");
        Live { child, stdin, stdout, stderr, started }
    }
}

fn reading(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before the pipe broke is what there is.
        let _read = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A run under way.
pub(crate) struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: JoinHandle<Vec<u8>>,
    started: Instant,
}

impl Live {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Ends it as nothing can be ended more abruptly.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the program is killed");
        self.child.wait().expect("the program is gone");
    }

    /// Types into standard input.
    pub(crate) fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("the program reads");
    }

    /// Closes standard output, of which nothing was read.
    pub(crate) fn turn_away(&mut self) {
        drop(self.stdout.take());
    }

    /// Reads the first line of standard output and closes it, as `head -1` does.
    pub(crate) fn first_line(&mut self) -> String {
        let mut pipe = self.stdout.take().expect("standard output is open");
        let (mut line, mut byte) = (Vec::new(), [0]);
        while pipe.read(&mut byte).expect("standard output") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("UTF-8")
    }

    /// Waits for its end, at most [`RUN_MS_MAX`].
    pub(crate) fn wait(mut self) -> Ended {
        drop(self.stdin.take());
        let stdout = self.stdout.take().map(reading);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                break status;
            }
            if self.started.elapsed() > Duration::from_millis(RUN_MS_MAX) {
                let _killed = self.child.kill();
                let stderr = self.stderr.join().expect("standard error");
                panic!("still running after {RUN_MS_MAX} ms; standard error: {}", String::from_utf8_lossy(&stderr));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.started.elapsed();
        let text = |reader: JoinHandle<Vec<u8>>| {
            String::from_utf8(reader.join().expect("a pipe")).expect("the program writes UTF-8")
        };
        let (stdout, stderr) = (stdout.map(text).unwrap_or_default(), text(self.stderr));
        assert!(!stderr.contains("panicked") && !stdout.contains("panicked"), "{stdout}{stderr}");
        Ended { status, stdout, stderr, took }
    }
}

/// Sends a signal by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill");
    assert!(sent.success(), "{name} to {pid}");
}

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// Checks the exit code; a run that a signal killed has none.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ended {
        assert_eq!((self.status.code(), self.status.signal()), (Some(code), None), "{self:#?}");
        self
    }

    /// Checks that standard error says this.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Ended {
        assert!(self.stderr.contains(words), "`{words}` is not in {self:#?}");
        self
    }

    /// Checks that standard error says each of these.
    #[track_caller]
    pub(crate) fn says_all(self, texts: &[&str]) -> Ended {
        texts.iter().fold(self, |ended, text| ended.says(text))
    }

    /// Checks that neither stream holds this.
    #[track_caller]
    pub(crate) fn hides(self, secret: &str) -> Ended {
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "`{secret}` is in {self:#?}");
        self
    }

    /// Checks that standard output holds this.
    #[track_caller]
    pub(crate) fn answers(self, words: &str) -> Ended {
        assert!(self.stdout.contains(words), "`{words}` is not in {self:#?}");
        self
    }

    /// Checks that it ended within so many milliseconds.
    #[track_caller]
    pub(crate) fn within(self, ms: u64) -> Ended {
        assert!(self.took <= Duration::from_millis(ms), "took {:?}, wanted {ms} ms at most: {self:#?}", self.took);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(read).collect()
    }

    /// The last JSON line, which tells the outcome.
    #[track_caller]
    pub(crate) fn outcome(&self) -> Value {
        let last = self.lines().pop().expect("a line");
        assert_eq!(last["event"], "outcome", "{last}");
        last
    }

    /// The JSON lines of one kind.
    #[track_caller]
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["event"] == event);
        lines
    }
}

/// Waits until something holds, at most five seconds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(5), "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The configuration of a provider at this address that speaks this format, with quick retries.
pub(crate) fn provider(name: &str, kind: &str, base_url: &str) -> String {
    format!("[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\nkey = \"env:TEST_PROVIDER_KEY\"\n")
}

/// A nest whose model is asked at this server in the format that most servers speak, without patience for retries.
pub(crate) fn asking(server: &Server) -> Nest {
    asking_with(server, QUICK)
}

/// No patience for retries.
pub(crate) const QUICK: &str = "[retry]\nbackoff_ms_min = 1\nbackoff_ms_max = 2\n";

/// The same, with these tables in place of [`QUICK`].
pub(crate) fn asking_with(server: &Server, tables: &str) -> Nest {
    let provider = provider("test", "openai_chat", &format!("{}/v1", server.base_url()));
    Nest::with(&format!("model = \"test/gpt-4.1\"\n{provider}{tables}"))
}

/// The result that the model was shown for its last call.
#[track_caller]
pub(crate) fn last_result(server: &Server) -> String {
    let requests = server.requests();
    let told = requests.iter().rev().filter_map(|request| results(request).pop()).next();
    told.unwrap_or_else(|| panic!("no result was shown: {requests:#?}"))
}

/// The results of calls in a request, oldest first.
pub(crate) fn results(request: &Recorded) -> Vec<String> {
    let messages = request.body["messages"].as_array().cloned().unwrap_or_default();
    let tools = messages.iter().filter(|message| message["role"] == "tool");
    tools.filter_map(|message| message["content"].as_str().map(str::to_owned)).collect()
}
