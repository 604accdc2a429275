//! Runs the tests one after the other, and makes jails for them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aether_jail::{
    Access, Bind, Command, Ended, Execute, Guarantees, JailError, Limits, Network, Plan, Sandbox, Spawner, Status,
    Streams, system,
};

pub(crate) type Test = (&'static str, fn());

pub(crate) fn run_all(filter: Option<&str>) {
    run_these(
        &[
            crate::seen::TESTS,
            crate::guarded::TESTS,
            crate::confined::TESTS,
            crate::held::TESTS,
            crate::limits::TESTS,
            crate::ends::TESTS,
            crate::refused::TESTS,
            crate::tier_b::TESTS,
        ],
        filter,
    );
}

pub(crate) fn run_these(all: &[&[Test]], filter: Option<&str>) {
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, test) in all.iter().flat_map(|tests| tests.iter()) {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let start = Instant::now();
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {} ({} ms)", if passed { "ok" } else { "FAILED" }, start.elapsed().as_millis());
        count += 1;
        if !passed {
            failed.push(*name);
        }
    }
    println!("{count} tests, {} failed {failed:?}", failed.len());
    if !failed.is_empty() {
        std::process::exit(1);
    }
}

pub(crate) fn spawner() -> Spawner {
    Spawner::exec().expect("a spawner")
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `sh -c script` with the system and nothing else.
pub(crate) fn shell(script: &str) -> Plan {
    command(&["/bin/sh", "-c", script])
}

pub(crate) fn command(words: &[&str]) -> Plan {
    Plan {
        binds: system(),
        network: Network::None,
        limits: Limits {
            runtime_ms_max: 20_000,
            cpu_ms_max: 20_000,
            memory_bytes_max: 256 << 20,
            processes_max: 64,
            open_files_max: 256,
            file_bytes_max: 64 << 20,
            scratch_bytes_max: 16 << 20,
        },
        command: Command {
            program: words[0].into(),
            args: words.iter().map(Into::into).collect(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: "/".into(),
        },
        guarantees: if crate::tier_b::is_without() { crate::tier_b::allowed() } else { Guarantees::default() },
    }
}

/// This very binary inside, doing what `words` say. The folder has to live as long as the plan is used.
pub(crate) fn own(words: &[&str]) -> (tempfile::TempDir, Plan) {
    let folder = folder();
    let copy = folder.path().join("own");
    std::fs::copy("/proc/self/exe", &copy).expect("a copy");
    // Without namespaces it is seen where it is.
    let target = if crate::tier_b::is_without() { folder.path() } else { Path::new("/own") };
    let program = target.join("own");
    let all: Vec<&str> = [program.to_str().expect("a name"), "inside"].iter().chain(words).copied().collect();
    let mut plan = command(&all);
    plan.binds.push(Bind {
        source: folder.path().into(),
        target: target.into(),
        access: Access::Read,
        execute: Execute::Allowed,
    });
    (folder, plan)
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("aether-jail-test-").tempdir().expect("a folder")
}

pub(crate) fn granted(source: &Path, target: &str, access: Access) -> Bind {
    Bind { source: source.into(), target: target.into(), access, execute: Execute::Denied }
}

/// A file without a name, for output.
pub(crate) fn output() -> File {
    tempfile::tempfile().expect("a file")
}

pub(crate) fn text(mut file: &File) -> String {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("the start");
    file.read_to_end(&mut text).expect("the output");
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn null() -> OwnedFd {
    File::open("/dev/null").expect("null").into()
}

pub(crate) fn start(spawner: &Spawner, plan: &Plan) -> Result<Sandbox, JailError> {
    start_into(spawner, plan, &output())
}

pub(crate) fn start_into(spawner: &Spawner, plan: &Plan, out: &File) -> Result<Sandbox, JailError> {
    let copy = || -> OwnedFd { out.try_clone().expect("a copy").into() };
    spawner.spawn(plan, Streams { stdin: null(), stdout: copy(), stderr: copy(), extra: Vec::new() })
}

/// Runs to the end: how it ended, and what it said on both outputs.
pub(crate) fn run(spawner: &Spawner, plan: &Plan) -> (Ended, String) {
    let out = output();
    let mut sandbox = start_into(spawner, plan, &out).unwrap_or_else(|error| panic!("{error}"));
    let ended = sandbox.wait().expect("an end");
    (ended, text(&out))
}

/// What a script says, which is expected to go well.
pub(crate) fn says(spawner: &Spawner, plan: &Plan) -> String {
    let (ended, text) = run(spawner, plan);
    assert_eq!((ended.status, &ended.breach), (Status::Exited(0), &None), "{text}");
    text.trim().to_owned()
}

/// The processes of the host whose command line holds this word.
pub(crate) fn processes(word: &str) -> Vec<PathBuf> {
    let own = format!("/proc/{}", std::process::id());
    let entries = std::fs::read_dir("/proc").expect("proc").flatten().map(|entry| entry.path());
    let line = |path: &PathBuf| std::fs::read(path.join("cmdline")).unwrap_or_default();
    let holds = |path: &PathBuf| line(path).windows(word.len()).any(|part| part == word.as_bytes());
    entries.filter(|path| *path != Path::new(&own) && holds(path)).collect()
}

/// Waits until something is so, at most five seconds.
pub(crate) fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(5), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A word that no other process has in its command line.
pub(crate) fn marker(name: &str) -> String {
    format!("1{:07}.{}", std::process::id(), name.bytes().fold(7_u32, |sum, byte| sum * 31 % 99_991 + u32::from(byte)))
}
