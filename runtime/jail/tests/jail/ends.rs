//! Whatever ends, everything inside ends with it (J3), and nothing is left.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use aether_jail::{JailError, Spawner, Status};

use crate::harness::{Test, marker, processes, run, shell, soon, spawner, start};

pub(crate) const TESTS: &[Test] = &[
    ("j3_what_the_program_leaves_behind_ends_with_it", daemons),
    ("j3_dropping_the_handle_ends_everything", dropped),
    ("j3_dropping_the_spawner_ends_everything", spawner_dropped),
    ("j3_a_killed_spawner_leaves_nothing", spawner_killed),
    ("j3_a_killed_creator_leaves_nothing", creator_killed),
    ("j3_a_copied_spawner_does_the_same", forked),
    ("nothing_is_left_after_many_runs", many),
    ("the_end_can_be_polled", polled),
];

fn daemons() {
    let spawner = spawner();
    let word = marker("daemon");
    let script = format!("setsid sh -c '(sleep {word} &) ; (trap \"\" TERM HUP; sleep {word}) & ' & sleep 0.2; exit 3");
    let (ended, seen) = run(&spawner, &shell(&script));
    assert_eq!(ended.status, Status::Exited(3), "{seen}");
    soon("daemons gone", || processes(&word).is_empty());
}

fn dropped() {
    let spawner = spawner();
    let word = marker("dropped");
    let sandbox = start(&spawner, &shell(&format!("sleep {word} & sleep {word}"))).unwrap();
    soon("they sleep", || processes(&word).len() >= 2);
    drop(sandbox);
    soon("gone", || processes(&word).is_empty());
}

fn spawner_dropped() {
    let spawner = spawner();
    let word = marker("spawner-dropped");
    let mut sandbox = start(&spawner, &shell(&format!("sleep {word} & sleep {word}"))).unwrap();
    soon("they sleep", || processes(&word).len() >= 2);
    drop(spawner);
    assert!(processes(&word).is_empty());
    let ended = sandbox.wait();
    assert!(matches!(ended, Err(JailError::Gone { .. })), "{ended:?}");
}

fn spawner_killed() {
    let spawner = spawner();
    let word = marker("spawner-killed");
    let mut sandbox = start(&spawner, &shell(&format!("setsid sleep {word} & sleep {word}"))).unwrap();
    soon("they sleep", || processes(&word).len() >= 2);
    let mine = own_spawners();
    assert_eq!(mine.len(), 1, "{mine:?}");
    let pid = mine[0];
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    soon("gone", || processes(&word).is_empty());
    assert!(matches!(sandbox.wait(), Err(JailError::Gone { .. })));
    let error = start(&spawner, &shell("true")).err().unwrap();
    assert!(matches!(error, JailError::Gone { .. }), "{error}");
}

/// A process that makes a sandbox, says so, and waits to be killed.
pub(crate) fn be_a_parent(word: &str) {
    let spawner = spawner();
    let _sandbox = start(&spawner, &shell(&format!("setsid sleep {word} & sleep {word}"))).unwrap();
    println!("ready");
    loop {
        std::thread::park();
    }
}

fn creator_killed() {
    let word = marker("creator");
    let mut parent = Command::new("/proc/self/exe")
        .args([if crate::tier_b::is_without() { "parent-without" } else { "parent" }, &word])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    soon("they sleep", || processes(&word).len() >= 3);
    parent.kill().unwrap();
    parent.wait().unwrap();
    soon("gone", || processes(&word).is_empty());
}

fn forked() {
    let spawner = Spawner::fork().unwrap();
    let (ended, text) = run(&spawner, &shell("echo from a copy; exit 5"));
    assert_eq!((ended.status, text.trim()), (Status::Exited(5), "from a copy"));
    let thread = std::thread::spawn(|| Spawner::fork().err().unwrap().to_string());
    assert!(thread.join().unwrap().contains("2 threads"));
}

fn many() {
    let spawner = spawner();
    let before = (mounts(), groups(), descriptors());
    let word = marker("many");
    for round in 0..40 {
        let mut plan = shell(&format!("sleep {word} & sleep 0.0{round}; exit 0"));
        plan.limits.runtime_ms_max = 150 + round;
        let sandbox = start(&spawner, &plan).unwrap();
        if round % 3 == 0 {
            drop(sandbox);
        } else {
            let mut sandbox = sandbox;
            sandbox.wait().unwrap();
        }
    }
    soon("processes gone", || processes(&word).is_empty());
    soon("groups gone", || groups() == before.1);
    assert_eq!((mounts(), descriptors()), (before.0, before.2));
    drop(spawner);
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The spawners that this process has.
pub(crate) fn own_spawners() -> Vec<i32> {
    let own = std::process::id().to_string();
    let is_own = |path: &std::path::PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(own.as_str())
    };
    let found = processes(aether_jail::SPAWNER_WORD).into_iter().filter(is_own);
    found.map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

/// How many control groups this process's spawners have.
fn groups() -> usize {
    let found = Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", "aether-jail*"]).output().unwrap();
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let owners: Vec<String> = own_spawners().iter().map(|pid| format!("-{pid}-")).collect();
    assert_eq!(owners.len(), 1);
    found.lines().filter(|line| owners.iter().any(|owner| line.contains(owner))).count()
}

fn polled() {
    let spawner = spawner();
    let mut sandbox = start(&spawner, &shell("sleep 0.3; exit 4")).unwrap();
    assert_eq!(sandbox.ended().unwrap(), None);
    let mut ready = [rustix::event::PollFd::new(&sandbox, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut ready, Some(&limit)).unwrap(), 1);
    assert_eq!(sandbox.ended().unwrap().unwrap().status, Status::Exited(4));
    assert_eq!(sandbox.wait().unwrap().status, Status::Exited(4));
}
