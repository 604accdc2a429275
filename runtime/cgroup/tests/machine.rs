//! Groups in the kernel of this machine. Where it has a controller, its limit is broken; where not, the reason is read.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use aether_cgroup::{Breach, Controller, Group, Hierarchies, Limits, Missing, Sign, Usage, Version, sweep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const KILLED: i32 = 9;
const MEMORY_BYTES_MAX: u64 = 16 << 20;

/// A shell that waits for a line before it does this.
fn shell(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Puts it into the group and lets it go on.
fn release(group: &Group, child: &mut Child) {
    group.add(child.id()).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
}

fn wait(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < at_most {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// The directories of a group that are still there.
fn left(hierarchies: &Hierarchies, name: &str) -> Vec<PathBuf> {
    let seats = Controller::ALL.into_iter().map(|controller| hierarchies.seat(controller)).chain([hierarchies.usage()]);
    let paths = seats.filter_map(|seat| Some(seat.ok()?.path().join(name)));
    paths.filter(|path| path.exists()).collect()
}

/// A machine without a controller says why, and a group leaves the limit out.
fn assert_missing(missing: &Missing, hierarchies: &Hierarchies, limits: &Limits) {
    assert!(!missing.reason.is_empty() && !missing.remedy.is_empty());
    let group = Group::create(hierarchies, "aether-test", limits).unwrap();
    let enforced = group.enforced();
    assert!(!enforced.memory && !enforced.processes && !enforced.cpu, "{enforced:?}");
    assert_eq!(group.breach().unwrap(), None);
}

/// G1, G3, G5.
#[test]
fn memory_beyond_the_limit_kills() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { memory_bytes_max: Some(MEMORY_BYTES_MAX), ..Limits::default() };
    if let Err(missing) = hierarchies.seat(Controller::Memory) {
        return assert_missing(missing, &hierarchies, &limits);
    }
    let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
    assert!(group.enforced().memory);
    let alarm = group.alarm().unwrap().unwrap();
    // `tail` keeps a line without end.
    let mut child = shell("head -c 200000000 /dev/zero | tail -n 1; kill -9 $$");
    release(&group, &mut child);
    let flags = if alarm.sign() == Sign::Readable { PollFlags::IN } else { PollFlags::PRI };
    let mut waiting = [PollFd::from_borrowed_fd(alarm.as_fd(), flags)];
    let at_most = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut waiting, Some(&at_most)).unwrap(), 1, "the alarm");
    alarm.settle();
    let status = wait(&mut child, Duration::from_secs(20)).unwrap();
    assert_eq!(status.signal(), Some(KILLED));
    assert_eq!(group.breach().unwrap(), Some(Breach::Memory));
    let peak = group.memory_peak();
    assert!(peak.is_none_or(|peak| peak > MEMORY_BYTES_MAX / 2 && peak <= MEMORY_BYTES_MAX), "{peak:?}");
    let name = group.name().to_owned();
    group.close().unwrap();
    assert_eq!(left(&hierarchies, &name), Vec::<PathBuf>::new());
}

/// The twin: without the limit the same program ends well.
#[test]
fn the_same_memory_within_the_limit_is_no_breach() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { memory_bytes_max: Some(1 << 30), ..Limits::default() };
    let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
    let mut child = shell("head -c 40000000 /dev/zero | tail -n 1");
    release(&group, &mut child);
    assert_eq!(wait(&mut child, Duration::from_secs(20)).unwrap().code(), Some(0));
    assert_eq!(group.breach().unwrap(), None);
    assert_eq!(group.memory_peak().is_some_and(|peak| peak > 30_000_000), group.enforced().memory);
}

/// G1: the limit is one for the whole tree, however many processes share the memory out among them.
#[test]
fn processes_beyond_the_limit_are_not_made() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { processes_max: Some(4), ..Limits::default() };
    if let Err(missing) = hierarchies.seat(Controller::Processes) {
        return assert_missing(missing, &hierarchies, &limits);
    }
    let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
    assert!(group.enforced().processes);
    // A shell that cannot fork gives up; the sleepers stay.
    let mut child = shell("for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait");
    release(&group, &mut child);
    let start = Instant::now();
    while group.breach().unwrap().is_none() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(group.breach().unwrap(), Some(Breach::Processes));
    let seat = hierarchies.seat(Controller::Processes).unwrap();
    let procs = fs::read_to_string(seat.path().join(group.name()).join("cgroup.procs")).unwrap();
    assert!((1..=4).contains(&procs.lines().count()), "{procs:?}");
    // G3: the sleepers go with the group.
    let name = group.name().to_owned();
    drop(group);
    assert_eq!(left(&hierarchies, &name), Vec::<PathBuf>::new());
    wait(&mut child, Duration::from_secs(5)).unwrap();
    let sleepers: Vec<&str> = procs.lines().filter(|process| is_alive(process)).collect();
    assert_eq!(sleepers, Vec::<&str>::new());
}

/// Whether it runs; a dead child that nobody waited for does not.
fn is_alive(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && stat.contains("(sleep)"))
}

#[test]
fn processor_time_is_rationed_and_counted() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { cpu_percent_max: Some(20), usage: Usage::Counted, ..Limits::default() };
    if let Err(missing) = hierarchies.seat(Controller::Cpu) {
        assert!(!missing.reason.is_empty() && !missing.remedy.is_empty());
        return;
    }
    let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
    assert!(group.enforced().cpu);
    let mut child = shell("while :; do :; done");
    release(&group, &mut child);
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(1000));
    let used = group.cpu_us();
    let wall = start.elapsed().as_micros() as u64;
    if hierarchies.usage().is_ok() {
        let used = used.unwrap();
        assert!(used > 10_000, "{used} of {wall} us");
        // A period may be begun at either end.
        assert!(used < wall * 20 / 100 + 60_000, "{used} of {wall} us");
    }
    group.kill().unwrap();
    assert_eq!(wait(&mut child, Duration::from_secs(5)).unwrap().signal(), Some(KILLED));
}

/// G3: with every limit and many processes, and without anyone to wait for them.
#[test]
fn a_dropped_group_is_gone_with_its_processes() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits {
        memory_bytes_max: Some(256 << 20),
        processes_max: Some(40),
        cpu_percent_max: Some(100),
        usage: Usage::Counted,
    };
    for _ in 0..3 {
        let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
        let name = group.name().to_owned();
        let enforced = group.enforced();
        let mut child = shell("for i in 1 2 3 4 5 6 7 8 9 10; do (trap '' TERM; sleep 60) & done; wait");
        release(&group, &mut child);
        std::thread::sleep(Duration::from_millis(20));
        drop(group);
        assert_eq!(left(&hierarchies, &name), Vec::<PathBuf>::new());
        if enforced.memory || enforced.processes || enforced.cpu {
            assert_eq!(wait(&mut child, Duration::from_secs(5)).unwrap().signal(), Some(KILLED));
        } else {
            // A machine without groups kills nobody.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Only files of the kernel's own list of processes are used here: no controller, but the real unified hierarchy.
#[test]
fn the_unified_hierarchy_counts_and_kills_without_controllers() {
    let hierarchies = Hierarchies::detect();
    let Ok(seat) = hierarchies.usage() else { return assert!(hierarchies.usage().unwrap_err().reason.len() > 5) };
    let limits = Limits { usage: Usage::Counted, ..Limits::default() };
    let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
    assert_eq!(group.unified().is_some(), seat.version() == Version::Two);
    assert_eq!(group.doors().unwrap().len(), usize::from(seat.version() == Version::One));
    let mut child = shell("sleep 60 & sleep 60");
    release(&group, &mut child);
    group.kill().unwrap();
    assert_eq!(wait(&mut child, Duration::from_secs(5)).unwrap().signal(), Some(KILLED));
    assert!(group.cpu_us().is_some());
}

/// G3: what a killed owner left is removed, what a living one has is not.
#[test]
fn a_sweep_removes_what_the_dead_left() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { processes_max: Some(9), ..Limits::default() };
    if let Err(missing) = hierarchies.seat(Controller::Processes) {
        return assert_missing(missing, &hierarchies, &limits);
    }
    let group = Group::create(&hierarchies, "aether-swept", &limits).unwrap();
    let seat = hierarchies.seat(Controller::Processes).unwrap();
    let parts: Vec<&str> = group.name().split('-').collect();
    let dead = seat.path().join(format!("aether-swept-{}-4194305-7-0", parts[2]));
    fs::create_dir(&dead).unwrap();
    let mut orphan = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(dead.join("cgroup.procs"), orphan.id().to_string()).unwrap();
    assert_eq!(sweep(&hierarchies, "aether-swept").unwrap(), 1);
    assert!(!dead.exists());
    assert_eq!(wait(&mut orphan, Duration::from_secs(5)).unwrap().signal(), Some(KILLED));
    assert!(seat.path().join(group.name()).exists());
}

#[test]
fn names_differ_and_wrong_ones_are_refused() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { processes_max: Some(9), ..Limits::default() };
    let groups: Vec<Group> = (0..20).map(|_| Group::create(&hierarchies, "aether-test", &limits).unwrap()).collect();
    let mut names: Vec<&str> = groups.iter().map(Group::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 20);
    assert!(Group::create(&hierarchies, "../x", &limits).unwrap_err().to_string().contains("use 1 to 32 of a-z"));
}

/// A limit that the kernel does not take is an error, and nothing is left.
#[test]
fn a_limit_that_is_not_taken_leaves_nothing() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { processes_max: Some(9), cpu_percent_max: Some(0), ..Limits::default() };
    let Ok(seat) = hierarchies.seat(Controller::Processes) else {
        return assert!(hierarchies.seat(Controller::Processes).is_err());
    };
    if hierarchies.seat(Controller::Cpu).is_err() {
        return assert!(!Group::create(&hierarchies, "aether-none", &limits).unwrap().enforced().cpu);
    }
    let error = Group::create(&hierarchies, "aether-none", &limits).unwrap_err();
    assert!(error.to_string().starts_with("limit /"), "{error}");
    let entries = fs::read_dir(seat.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!entries.into_iter().any(|name| name.starts_with("aether-none")));
}

/// What a caller pays for each group, and how fast the two ways in are. Printed, not judged: machines differ.
#[test]
fn what_a_group_costs() {
    let hierarchies = Hierarchies::detect();
    let limits = Limits { memory_bytes_max: Some(64 << 20), processes_max: Some(9), ..Limits::default() };
    let (mut made, mut added, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..10 {
        let mut child = shell("true");
        let start = Instant::now();
        let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
        made.push(start.elapsed());
        let start = Instant::now();
        group.add(child.id()).unwrap();
        added.push(start.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
        let start = Instant::now();
        group.close().unwrap();
        removed.push(start.elapsed());
    }
    let start = Instant::now();
    drop(Hierarchies::detect());
    println!("detect {:?}", start.elapsed());
    for (what, times) in [("make", &mut made), ("add", &mut added), ("remove", &mut removed)] {
        times.sort();
        println!("{what} {:?} … {:?} … {:?}", times[0], times[5], times[9]);
    }
    assert!(made[5] < Duration::from_secs(1));
}
