//! Each limit holds, and says so with its value (J6).

use std::time::Instant;

use aether_jail::{Breach, Status, Strength};

use crate::harness::{Test, marker, own, processes, run, shell, soon, spawner, start};

pub(crate) const TESTS: &[Test] = &[
    ("j6_memory_of_one", memory),
    ("j6_memory_of_many_together", memory_together),
    ("j6_memory_that_is_no_process_of_its_own", memory_unseen),
    ("j6_processor_time_of_one", cpu),
    ("j6_processor_time_of_many_together", cpu_together),
    ("j6_runtime", runtime),
    ("j6_processes", many),
    ("j6_file_size", file_size),
    ("j6_open_files", open_files),
    ("j6_a_fork_bomb_ends", fork_bomb),
    ("usage_is_told", usage),
];

fn memory() {
    let spawner = spawner();
    let mut plan = shell("exec tail /dev/zero");
    plan.limits.memory_bytes_max = 20_000_000;
    let (ended, seen) = run(&spawner, &plan);
    assert_eq!(
        ended.breach.as_ref().map(ToString::to_string).as_deref(),
        Some("memory limit 20 MB exceeded"),
        "{seen}"
    );
}

fn memory_together() {
    let spawner = spawner();
    let (_kept, mut plan) = own(&["eat", "30000000"]);
    plan.limits.memory_bytes_max = 64_000_000;
    let own = plan.command.program.display().to_string();
    plan.command = shell(&format!("for i in 1 2 3 4; do {own} inside eat 30000000 & done; wait")).command;
    let (ended, seen) = run(&spawner, &plan);
    assert_eq!(ended.breach, Some(Breach::Memory { bytes_max: 64_000_000 }), "{seen}");
}

fn memory_unseen() {
    let spawner = spawner();
    let python = |script: &str| {
        let mut plan = crate::harness::command(&["/usr/bin/python3", "-c", script]);
        plan.limits.memory_bytes_max = 64_000_000;
        plan.limits.scratch_bytes_max = 256 << 20;
        let (ended, seen) = run(&spawner, &plan);
        (ended.breach.map(|breach| breach.to_string()).unwrap_or_default(), seen)
    };
    let fill = "for i in range(0, 160, 4): f.write(b'x' * (4 << 20)); f.flush(); time.sleep(0.002)\ntime.sleep(1); print('held')";
    // Without mounts, temporary files are on the disk.
    let from = if crate::tier_b::is_without() { 2 } else { 0 };
    for open in
        &["open('/tmp/x', 'wb')", "open('/dev/shm/x', 'wb')", "os.fdopen(os.memfd_create('x', 8), 'wb')"][from..]
    {
        let (breach, seen) = python(&format!("import os, time\nf = {open}\n{fill}"));
        let is_absent = open.contains("memfd") && seen.contains("Function not implemented");
        assert!(breach == "memory limit 64 MB exceeded" || is_absent, "{open}: {breach} {seen}");
    }
    // What was written to shared memory and let go of is still there.
    let (breach, seen) = python(
        "import mmap, time\nm = mmap.mmap(-1, 160 << 20)\nfor i in range(0, 160 << 20, 4 << 20):\n  \
         m[i:i + (4 << 20)] = b'x' * (4 << 20); m.madvise(mmap.MADV_DONTNEED, i, 4 << 20); time.sleep(0.005)\nprint('held')",
    );
    assert!(breach == "memory limit 64 MB exceeded" && !seen.contains("held"), "{breach} {seen}");
}

fn cpu() {
    let spawner = spawner();
    let mut plan = shell("trap '' XCPU; while :; do :; done");
    plan.limits.cpu_ms_max = 300;
    let (ended, _) = run(&spawner, &plan);
    assert_eq!(ended.breach.as_ref().map(ToString::to_string).as_deref(), Some("cpu limit 300 ms exceeded"));
    assert!((300..1500).contains(&ended.usage.cpu_ms), "{:?}", ended.usage);
}

fn cpu_together() {
    let spawner = spawner();
    let script =
        "spin() { i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; }; while :; do (spin) & (spin) & wait; done";
    let mut plan = shell(script);
    plan.limits.cpu_ms_max = 500;
    let (ended, _) = run(&spawner, &plan);
    assert_eq!(ended.breach, Some(Breach::Cpu { cpu_ms_max: 500 }), "{ended:?}");
}

fn runtime() {
    let spawner = spawner();
    let mut plan = shell("trap '' TERM INT HUP; while :; do sleep 100; done");
    plan.limits.runtime_ms_max = 250;
    let start = Instant::now();
    let (ended, _) = run(&spawner, &plan);
    assert_eq!(ended.breach.as_ref().map(ToString::to_string).as_deref(), Some("runtime limit 250 ms exceeded"));
    assert_eq!(ended.status, Status::Signaled(9));
    assert!((250..1000).contains(&start.elapsed().as_millis()), "{ended:?}");
}

fn many() {
    let spawner = spawner();
    let mut plan = shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait");
    plan.limits.processes_max = 6;
    let (ended, seen) = run(&spawner, &plan);
    assert_ne!(ended.status, Status::Exited(0));
    assert!(seen.contains("Cannot fork") || seen.contains("Resource temporarily unavailable"), "{seen}");
    plan.limits.processes_max = 10;
    let (ended, seen) = run(&spawner, &plan);
    assert_eq!(ended.status, Status::Exited(0), "exactly as many as there may be: {seen}");
}

fn file_size() {
    let spawner = spawner();
    let mut plan = shell("exec head -c 3000000 /dev/zero > $TMPDIR/file");
    plan.command.env.push(("TMPDIR".into(), "/tmp".into()));
    plan.limits.file_bytes_max = 1_000_000;
    let (ended, _) = run(&spawner, &plan);
    assert_eq!(ended.breach.as_ref().map(ToString::to_string).as_deref(), Some("file size limit 1 MB exceeded"));
}

fn open_files() {
    let spawner = spawner();
    let mut plan = shell("ulimit -n; ulimit -Hn; ulimit -n 4096; echo $?");
    plan.limits.open_files_max = 100;
    let (_, seen) = run(&spawner, &plan);
    assert!(seen.starts_with("100\n100\n"), "{seen}");
    assert!(!seen.ends_with("\n0\n"), "{seen}");
}

fn fork_bomb() {
    let spawner = spawner();
    let word = marker("bomb");
    let mut plan = shell(&format!("b() {{ b | b & }}; b; exec sleep {word}"));
    plan.limits.runtime_ms_max = 700;
    let (ended, _) = run(&spawner, &plan);
    assert!(matches!(ended.breach, Some(Breach::Runtime { .. } | Breach::Memory { .. })), "{ended:?}");
    soon("all gone", || processes(&word).is_empty());
}

fn usage() {
    let spawner = spawner();
    let (_kept, plan) = own(&["eat", "50000000"]);
    let mut plan = plan;
    plan.limits.runtime_ms_max = 400;
    let mut sandbox = start(&spawner, &plan).unwrap();
    let exact = sandbox.enforcement().memory == Strength::Exact;
    let ended = sandbox.wait().unwrap();
    assert!(ended.usage.memory_bytes_peak > 45_000_000, "{exact} {ended:?}");
    assert!((400..2000).contains(&ended.usage.wall_ms), "{ended:?}");
}
