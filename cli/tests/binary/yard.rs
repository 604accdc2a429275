//! What tests of the secure runtime stand on: both ways to run, two users, and an eye on what is left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aether_testkit::script::{Item, Script, Turn};
use aether_testkit::server::Server;
use serde_json::Value;

use crate::ground::{BINARY, Call, Nest, last_result};

/// The flags of pico mode and of kernel mode.
pub(crate) const MODES: [&[&str]; 2] = [&[], &["--kernel"]];

/// What a person allows who lets an agent execute programs.
pub(crate) const WORK: &[&str] = &["--allow", "execute", "--allow", "write"];

/// The user and group of nobody in particular.
const NOBODY: &str = "65534";

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever runs the tests.
    Self_,
    /// A user without any privilege, though root runs the tests.
    Nobody,
}

impl Who {
    /// Everybody that a test can be: root can be somebody else, too.
    pub(crate) fn all() -> &'static [Who] {
        if rustix::process::geteuid().is_root() { &[Who::Self_, Who::Nobody] } else { &[Who::Self_] }
    }

    /// Makes a nest this user's own. To be called once everything is in it.
    pub(crate) fn owns(self, nest: &Nest) {
        if self == Who::Self_ {
            return;
        }
        let own = nest.outside("aether");
        if !own.exists() && fs::hard_link(BINARY, &own).is_err() {
            fs::copy(BINARY, &own).expect("a copy of the program");
        }
        let owner = format!("{NOBODY}:{NOBODY}");
        for part in ["home", "workspace"] {
            let part = nest.outside(part);
            let changed = Command::new("chown").args(["-R", &owner]).arg(part).status().expect("chown");
            assert!(changed.success());
        }
        let top = Command::new("chown").arg(&owner).arg(nest.outside("")).status().expect("chown");
        assert!(top.success());
    }

    /// The program, run by this user.
    pub(crate) fn aether(self, nest: &Nest, words: &[&str]) -> Call {
        if self == Who::Self_ {
            return nest.aether(words);
        }
        self.owns(nest);
        let own = nest.outside("aether").to_string_lossy().into_owned();
        let mut all = vec!["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", &own];
        all.extend(words);
        nest.through("setpriv", &all)
    }
}

/// Words one after the other.
pub(crate) fn words<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    parts.concat()
}

/// A model that makes each of these calls in a turn of its own, and then says that it is done.
pub(crate) fn calling(calls: &[(&str, &str)]) -> Server {
    let script = calls.iter().fold(Script::new(), |script, (name, input)| script.turn(Turn::call(name, input)));
    Server::start(script.turn(Turn::text("done").always())).expect("a server")
}

/// A model that makes all of these calls in one turn, and then says that it is done.
pub(crate) fn calling_at_once(calls: &[(&str, &str)]) -> Server {
    let items = calls.iter().map(|(name, input)| Item::call(name, input)).collect();
    Server::start(Script::new().turn(Turn::reply(items)).turn(Turn::text("done").always())).expect("a server")
}

/// What the model is told of one shell command.
#[track_caller]
pub(crate) fn told(who: Who, flags: &[&str], input: &str) -> String {
    let server = calling(&[("shell", input)]);
    let nest = crate::ground::asking(&server);
    who.aether(&nest, &words(&[&["run", "go"], flags, WORK])).run().exits(0);
    last_result(&server)
}

/// A word that no other process of this machine has among its arguments; also a number of seconds to sleep.
pub(crate) fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("7{:07}{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Processes of this machine that live and have this among their arguments.
pub(crate) fn marked(word: &str) -> Vec<u32> {
    let holds = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    };
    processes().into_iter().filter(holds).collect()
}

/// Waits until a process in a jail shows this word.
#[track_caller]
pub(crate) fn until_marked(word: &str) {
    within(20_000, &format!("a process with {word}"), || !marked(word).is_empty());
}

/// Checks that no process with this word is left within so many milliseconds.
#[track_caller]
pub(crate) fn gone(word: &str, ms_max: u64) {
    within(ms_max, &format!("no process with {word}"), || marked(word).is_empty());
}

/// Waits until something holds, at most so many milliseconds.
#[track_caller]
pub(crate) fn within(ms_max: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_millis(ms_max), "not within {ms_max} ms: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A process: its number, and when it began, so that a number that is used again is somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    began: String,
    pub(crate) parent: u32,
}

impl Process {
    fn of(pid: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything; what follows it does not.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let is_alive = !matches!(*fields.first()?, "Z" | "X");
        let process = Process { pid, began: (*fields.get(19)?).to_owned(), parent: fields.get(1)?.parse().ok()? };
        is_alive.then_some(process)
    }

    pub(crate) fn is_alive(&self) -> bool {
        Process::of(self.pid).is_some_and(|now| now.began == self.began)
    }

    /// Whether its arguments hold this.
    pub(crate) fn is(&self, word: &str) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    }

    /// Whether it has this name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        fs::read_to_string(format!("/proc/{}/comm", self.pid)).is_ok_and(|found| found.trim() == name)
    }

    pub(crate) fn kill(&self) {
        let sent = Command::new("kill").args(["-9", &self.pid.to_string()]).status().expect("kill");
        assert!(sent.success(), "{self:?}");
    }
}

/// Everything that a process started, directly or not.
pub(crate) fn offspring(pid: u32) -> Vec<Process> {
    let all: Vec<Process> = processes().into_iter().filter_map(Process::of).collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|process| process.parent == parent);
        for child in children {
            parents.push(child.pid);
            found.push(child.clone());
        }
    }
    found
}

/// The sidecar that a process started.
#[track_caller]
pub(crate) fn sidecar(pid: u32) -> Process {
    let found = offspring(pid).into_iter().find(|process| process.is("--sidecar"));
    found.unwrap_or_else(|| panic!("{pid} has no sidecar"))
}

/// The process that makes the jails of a process.
#[track_caller]
pub(crate) fn spawner(pid: u32) -> Process {
    let found = offspring(pid).into_iter().find(|process| process.is_named("aether-spawner"));
    found.unwrap_or_else(|| panic!("{pid} has no spawner"))
}

/// The control groups that a process made for its jails.
pub(crate) fn groups_of(maker: u32) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    let mark = format!("-{maker}-");
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.is_dir() || path.is_symlink() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("aether-") && name.contains(&mark) {
                found.push(path.clone());
            }
            left.push(path);
        }
    }
    found
}

/// The lines of the audit log, each as one text.
pub(crate) fn audited(who: Who, nest: &Nest) -> Vec<String> {
    let ended = who.aether(nest, &["audit", "show", "--json", "--last", "1000"]).run().exits(0);
    ended.stdout.lines().map(str::to_owned).collect()
}

/// Checks that the audit log has a line with all of these.
#[track_caller]
pub(crate) fn audits(who: Who, nest: &Nest, parts: &[&str]) {
    let lines = audited(who, nest);
    assert!(lines.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?} not in {lines:#?}");
}

/// A manifest with small limits, as a file.
pub(crate) fn manifest(nest: &Nest, more: &str) -> String {
    let text = format!(
        "name = \"probe\"\nversion = \"1.0.0\"\ndescription = \"A probe\"\nruntime = \"native\"\n\
         filesystem = {{ read = [\"$workspace\"], write = [\"$workspace\"] }}\nprograms = [\"$system\"]\n{more}\n"
    );
    let path = nest.outside("probe.toml");
    fs::write(&path, text).expect("a manifest");
    path.to_string_lossy().into_owned()
}

/// Names below a directory that the jail made to hold places: there are none once everything has ended.
pub(crate) fn placeholders(folder: &Path) -> Vec<String> {
    let held = [
        ".git",
        ".mcp.json",
        ".vscode",
        ".idea",
        ".envrc",
        ".cursor",
        ".claude",
        ".windsurf",
        ".codex",
        ".gemini",
        ".zed",
        ".devcontainer",
        ".devcontainer.json",
        ".husky",
    ];
    let names = crate::ground::names_in(folder);
    names.into_iter().filter(|name| held.contains(&name.as_str()) || name.starts_with(".aether")).collect()
}

/// A JSON text of a shell command.
pub(crate) fn command(line: &str) -> String {
    serde_json::json!({ "command": line }).to_string()
}

/// A JSON text of this.
pub(crate) fn input(value: Value) -> String {
    value.to_string()
}
