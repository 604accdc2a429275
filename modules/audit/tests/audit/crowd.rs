//! Many processes, and some of them die.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aether_audit::{Durability, Filter, Kind, Limits, Notice, Record, Signer, read};

use crate::ground::{CHECK, Ground, NOW, record};

const ROOT: &str = "AETHER_AUDIT_TEST_ROOT";
const NAME: &str = "AETHER_AUDIT_TEST_NAME";

/// Enough files for whatever happens here.
const LIMITS: Limits = Limits { file_bytes_max: 100_000, files_max: 500, checkpoint_lines: 64, lock_ms_max: 60_000 };

/// What the processes of this file do; where nobody sets the variables, a few appends of its own.
#[test]
fn worker() {
    let own = Ground::new();
    let root = std::env::var_os(ROOT).map_or(own.root.clone(), PathBuf::from);
    let name = std::env::var(NAME).unwrap_or_default();
    let log = Ground::at(&root).limited(LIMITS).log();
    let count: u64 = name.split_once('*').and_then(|(_, count)| count.parse().ok()).unwrap_or(3);
    for n in 0..count {
        let record = Record::new(Kind::Allow).text("task", &name).number("n", n);
        log.append(&record, NOW, if n % 16 == 0 { Durability::Now } else { Durability::Later }).unwrap();
    }
    log.close(NOW, Durability::Later).unwrap();
}

fn start(root: &Path, name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crowd::worker"]).env(ROOT, root).env(NAME, name);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a5_eight_processes_append_as_one() {
    let ground = Ground::new().limited(LIMITS);
    let children: Vec<Child> = (0..8).map(|n| start(&ground.root, &format!("p{n}*500"))).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let report = ground.verify().unwrap();
    assert_eq!((report.fault, report.notices), (None, Vec::new()));
    for n in 0..8 {
        let filter = Filter { last: 1_000, kind: Some(Kind::Allow), task: Some(format!("p{n}*500").into()) };
        let found = read(&ground.place(), &ground.machine().public(), CHECK, &filter).unwrap();
        let numbers: Vec<u64> = found.entries.iter().filter_map(|entry| entry.number("n")).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<u64>>(), "process {n}");
    }
}

#[test]
fn a5_threads_share_a_log() {
    let ground = Ground::new().limited(LIMITS);
    let log = ground.log();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..50 {
                    log.append(&record(thread * 1_000 + n), NOW, Durability::Later).unwrap();
                }
            });
        }
    });
    let report = ground.verify().unwrap();
    assert_eq!(report.fault, None);
    assert_eq!(report.lines, 200 + 1 + report.checkpoints);
}

#[test]
fn a4_writers_that_are_killed_leave_a_log_that_goes_on() {
    let ground = Ground::new().limited(LIMITS);
    for round in 0..20 {
        let mut child = start(&ground.root, "killed*1000000");
        // Not before it has begun, so that each round kills a writer.
        let bytes =
            || ground.files().iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).sum::<u64>();
        let before = bytes();
        for _ in 0..10_000 {
            if bytes() > before + 1_000 * (round % 7) {
                break;
            }
            std::thread::sleep(Duration::from_micros(200 + round * 37));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let report = ground.verify().unwrap();
        assert_eq!(report.fault, None, "round {round}");
        assert!(bytes() > before);
        ground.log().append(&record(round), NOW, Durability::Now).unwrap();
        let report = ground.verify().unwrap();
        assert_eq!(report.fault, None);
        assert!(!report.notices.iter().any(|notice| matches!(notice, Notice::Unconfirmed { .. })), "it was set aside");
    }
}

/// A writer that dies after any byte of what it writes, before the head is written.
#[test]
fn a4_a_torn_end_is_set_aside_and_reported_at_every_byte() {
    let ground = Ground::with(6);
    let copy = ground.copy();
    ground.log().append(&record(7), NOW, Durability::Now).unwrap();
    let after = ground.copy();
    let confirmed: BTreeSet<&PathBuf> = copy.iter().map(|(path, _)| path).collect();
    // The append went into the last file, or into a new one.
    let (path, whole) = &after[after.len() - 2];
    let before = if confirmed.contains(path) { copy[copy.len() - 2].1.len() } else { 0 };
    for length in before + 1..=whole.len() {
        for entry in fs::read_dir(ground.root.join("audit")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        ground.put_back(&copy);
        fs::write(path, &whole[..length]).unwrap();
        let behind = (length - before) as u64;
        let report = ground.verify().unwrap();
        assert_eq!(report.fault, None, "{length}");
        assert_eq!(report.notices, [Notice::Unconfirmed { path: path.clone(), bytes: behind }]);
        let lines = report.lines;
        ground.log().append(&record(8), NOW, Durability::Now).unwrap();
        let report = ground.verify().unwrap();
        assert_eq!(report.fault, None, "{length}");
        assert_eq!(report.notices, [Notice::Torn { sequence: lines + 1, bytes: behind }]);
        let torn = fs::read_dir(ground.root.join("audit")).unwrap().map(|entry| entry.unwrap().path());
        let torn: Vec<PathBuf> = torn.filter(|path| path.extension().is_some_and(|end| end == "bin")).collect();
        assert_eq!(fs::read(&torn[0]).unwrap(), whole[before..length], "nothing is thrown away");
    }
}

/// A writer that dies while it writes the head: its slot is torn, its lines are written.
#[test]
fn a4_a_torn_head_is_repaired_where_lines_prove_it() {
    let ground = Ground::with(6);
    let log = ground.log();
    log.append(&record(7), NOW, Durability::Now).unwrap();
    let head = ground.place().head;
    let older = fs::read(&head).unwrap();
    log.append(&record(8), NOW, Durability::Now).unwrap();
    let newer = fs::read(&head).unwrap();
    let at = (0..newer.len()).find(|at| older[*at] != newer[*at]).unwrap();
    let mut torn = newer.clone();
    torn[at + 40..at + 60].fill(0);
    fs::write(&head, &torn).unwrap();
    assert!(matches!(ground.fault(), Some(("head_damaged", _))), "it is reported until somebody appends");
    log.append(&record(9), NOW, Durability::Now).unwrap();
    let report = ground.verify().unwrap();
    assert_eq!(report.fault, None);
    assert!(matches!(report.notices[..], [Notice::Torn { .. }]), "{:?}", report.notices);
}

#[test]
fn a4_more_behind_the_head_than_a_writer_leaves_is_a_fault() {
    let ground = Ground::with(6);
    let path = ground.files().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, [&bytes[..], &b"{}\n".repeat(100)].concat()).unwrap();
    assert!(matches!(ground.fault(), Some(("unsigned", _))));
    assert!(ground.log().append(&record(7), NOW, Durability::Now).is_err());
}
