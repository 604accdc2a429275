//! Attacks on the hands, each against every way of resolving a path, and the bad days of a disk.

mod hidden;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::tool::{EntryKind, Fetch, Fetched, Hands, HandsError, Limits, WriteMode};

use crate::hidden::Hidden;
use crate::roots::Beneath;
use crate::{Fetcher, Grip, LIST_ENTRIES_MAX, Reach, Roots, linux, portable};

static NEVER: AtomicBool = AtomicBool::new(false);
const STORES: [&str; 4] = ["openat2", "guarded", "stepwise", "cap-std"];
/// Names the directory that a child process of a test works in.
const CHILD: &str = "AETHER_HANDS_CHILD";

fn store(kind: &str, path: &Path) -> Box<dyn Beneath> {
    match kind {
        "openat2" => {
            let root = linux::Root::open(path).unwrap();
            assert_eq!(root.resolution(), linux::Resolution::Openat2);
            Box::new(root)
        }
        // Step by step with `openat2`, because something is hidden, though nothing that these tests work with.
        "guarded" => hiding(Box::new(linux::Root::open(path).unwrap()), &[Path::new("/sys")]),
        "stepwise" => Box::new(linux::Root::stepwise(path).unwrap()),
        _ => Box::new(portable::Root::open(path).unwrap()),
    }
}

fn hiding(mut root: Box<dyn Beneath>, directories: &[&Path]) -> Box<dyn Beneath> {
    root.hide(&Arc::new(Hidden::new(directories.iter().map(|path| path.to_path_buf()).collect()))).unwrap();
    root
}

fn place(path: &str) -> Place {
    Place::parse(path).unwrap()
}

fn everything() -> Capability {
    Capability::default().with_read(vec![place("$workspace")]).with_write(vec![place("$workspace")])
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn with_hands<T>(roots: &Roots, capability: &Capability, act: impl FnOnce(&mut dyn Hands) -> T) -> T {
    let limits = Limits::BUILTIN;
    act(&mut Grip::new(Reach { roots, capability, limits, stop: &NEVER, deadline: soon(), fetcher: None }))
}

/// A workspace with a secret beside it, once for each way of resolving paths.
fn each(act: impl Fn(&str, &Path, &mut dyn Hands)) {
    for kind in STORES {
        let whole = tempfile::tempdir().unwrap();
        let workspace = whole.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
        std::fs::write(whole.path().join("secret"), "secret").unwrap();
        let roots = Roots::of("$workspace", store(kind, &workspace));
        with_hands(&roots, &everything(), |hands| act(kind, &workspace, hands));
        assert_eq!(std::fs::read_to_string(whole.path().join("secret")).unwrap(), "secret", "{kind}");
        let left = names(&workspace).into_iter().filter(|name| name.ends_with(".tmp"));
        assert_eq!(left.count(), 0, "{kind}: a draft was left behind");
    }
}

fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn read(hands: &mut dyn Hands, path: &str) -> Result<String, HandsError> {
    hands.read(&place(path), 0, 1 << 20).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn replace(hands: &mut dyn Hands, path: &str, text: &str) -> Result<(), HandsError> {
    hands.write(&place(path), text.as_bytes(), WriteMode::Replace)
}

fn create(hands: &mut dyn Hands, path: &str, text: &str) -> Result<(), HandsError> {
    hands.write(&place(path), text.as_bytes(), WriteMode::Create)
}

#[test]
fn files_are_written_read_in_parts_and_listed() {
    each(|kind, workspace, hands| {
        create(hands, "$workspace/new/deep/file.txt", "0123456789").unwrap();
        assert_eq!(hands.read(&place("$workspace/new/deep/file.txt"), 4, 3), Ok(b"456".to_vec()), "{kind}");
        assert_eq!(hands.read(&place("$workspace/new/deep/file.txt"), 8, 30), Ok(b"89".to_vec()));
        assert_eq!(hands.read(&place("$workspace/new/deep/file.txt"), 11, 1), Ok(vec![]));
        assert_eq!(hands.read(&place("$workspace/new/deep/file.txt"), u64::MAX, 1), Ok(vec![]));
        assert_eq!(create(hands, "$workspace/new/deep/file.txt", "x"), Err(HandsError::Exists));
        replace(hands, "$workspace/new/deep/file.txt", "short").unwrap();
        replace(hands, "$workspace/empty", "").unwrap();
        assert_eq!(read(hands, "$workspace/new/deep/file.txt").unwrap(), "short");
        assert_eq!(read(hands, "$workspace/missing"), Err(HandsError::Missing));
        assert_eq!(read(hands, "$workspace/new"), Err(HandsError::WrongKind(EntryKind::Directory)));
        assert_eq!(read(hands, "$workspace/empty/x"), Err(HandsError::WrongKind(EntryKind::File)));
        assert_eq!(replace(hands, "$workspace/new", "x"), Err(HandsError::WrongKind(EntryKind::Directory)));
        assert_eq!(replace(hands, "$workspace", "x"), Err(HandsError::WrongKind(EntryKind::Directory)));
        assert_eq!(replace(hands, "$workspace/empty/x", "x"), Err(HandsError::WrongKind(EntryKind::File)));
        symlink("/nowhere", workspace.join("link")).unwrap();
        let entries = hands.list(&place("$workspace")).unwrap();
        let shown: Vec<_> = entries.iter().map(|e| (&*e.name, e.kind, e.bytes)).collect();
        let wanted = [("empty", EntryKind::File, 0), ("link", EntryKind::Link, 0), ("new", EntryKind::Directory, 0)];
        assert_eq!(shown, wanted, "{kind}");
        assert!(entries[0].changed_unix_ms > 1_700_000_000_000);
        let alone = hands.list(&place("$workspace/new/deep/file.txt")).unwrap();
        assert_eq!((&*alone[0].name, alone[0].bytes, alone.len()), ("file.txt", 5, 1));
        assert_eq!(hands.list(&place("$workspace/missing")), Err(HandsError::Missing));
    });
}

#[test]
fn h1_nothing_is_done_that_the_call_was_not_authorised_for() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("out")).unwrap();
    std::fs::write(directory.path().join("in.txt"), "in").unwrap();
    let roots = Roots::open(&[("$workspace", directory.path())]).unwrap();
    let narrow =
        Capability::default().with_read(vec![place("$workspace/in.txt")]).with_write(vec![place("$workspace/out")]);
    with_hands(&roots, &narrow, |hands| {
        assert_eq!(read(hands, "$workspace/in.txt").unwrap(), "in");
        assert_eq!(replace(hands, "$workspace/out/x", "x"), Ok(()));
        for path in ["$workspace", "$workspace/in.txt2", "$workspace/out/x", "/etc/passwd", "$home/x"] {
            assert!(matches!(read(hands, path), Err(HandsError::Outside(_))), "{path}");
            assert!(matches!(hands.list(&place(path)), Err(HandsError::Outside(_))), "{path}");
        }
        for path in ["$workspace/in.txt", "$workspace/outer", "/tmp/x", "$zoneinfo/UTC"] {
            assert!(matches!(replace(hands, path, ""), Err(HandsError::Outside(_))), "{path}");
        }
        let url = Fetch { url: "https://example.com/", bytes_max: 1, total_ms_max: 1 };
        let why = Err(HandsError::Outside("this call may not reach example.com:443".into()));
        assert_eq!(hands.fetch(&url), why);
    });
    with_hands(&roots, &Capability::default().with_read(vec![place("/")]), |hands| {
        let why = Err(HandsError::Outside("there is no root `/` here".into()));
        assert_eq!(read(hands, "/etc/passwd"), why, "a granted place without a root leads nowhere");
    });
}

#[test]
fn h1_the_time_zone_database_is_public() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::open(&[("$workspace", directory.path())]).unwrap();
    with_hands(&roots, &Capability::default(), |hands| {
        let zone = hands.read(&place("$zoneinfo/Europe/Oslo"), 0, 64 << 10).unwrap();
        assert!(zone.starts_with(b"TZif"));
        assert_eq!(hands.read(&place("$zoneinfo/Europe/Nowhere"), 0, 1), Err(HandsError::Missing));
        assert!(matches!(hands.read(&place("$zoneinfo"), 0, 1), Err(HandsError::Outside(_))));
        assert!(matches!(hands.list(&place("$zoneinfo")), Err(HandsError::Outside(_))));
        let clock = hands.clock().unwrap();
        assert!(clock.unix_ms > 1_700_000_000_000 && !clock.zone.is_empty());
    });
}

#[test]
fn h2_links_that_leave_are_refused_for_reading_and_listing() {
    each(|kind, workspace, hands| {
        let outside = workspace.parent().unwrap();
        symlink("/etc/passwd", workspace.join("absolute")).unwrap();
        symlink("../secret", workspace.join("relative")).unwrap();
        symlink(outside, workspace.join("directory")).unwrap();
        symlink("relative", workspace.join("chain")).unwrap();
        symlink("/proc/self/root/etc/passwd", workspace.join("magic")).unwrap();
        symlink("loop", workspace.join("loop")).unwrap();
        symlink("sub/../../secret", workspace.join("detour")).unwrap();
        std::fs::create_dir(workspace.join("sub")).unwrap();
        for name in ["absolute", "relative", "directory/secret", "chain", "magic", "detour"] {
            let found = read(hands, &format!("$workspace/{name}"));
            assert!(matches!(found, Err(HandsError::Outside(_))), "{kind} {name}: {found:?}");
        }
        assert!(read(hands, "$workspace/loop").is_err(), "{kind}");
        assert!(matches!(hands.list(&place("$workspace/directory")), Err(HandsError::Outside(_))), "{kind}");
    });
}

#[test]
fn h2_links_that_stay_are_read_where_the_kernel_can_promise_it() {
    each(|kind, workspace, hands| {
        std::fs::create_dir(workspace.join("sub")).unwrap();
        std::fs::write(workspace.join("sub/file"), "inside").unwrap();
        symlink("sub/file", workspace.join("to_file")).unwrap();
        symlink("../sub", workspace.join("sub/to_directory")).unwrap();
        for path in ["$workspace/to_file", "$workspace/sub/to_directory/file"] {
            match kind {
                "stepwise" => assert!(matches!(read(hands, path), Err(HandsError::Outside(_))), "{path}"),
                _ => assert_eq!(read(hands, path).as_deref(), Ok("inside"), "{kind} {path}"),
            }
        }
    });
}

#[test]
fn h2_dots_that_slip_past_the_parser_still_do_not_leave() {
    for kind in STORES {
        let whole = tempfile::tempdir().unwrap();
        std::fs::create_dir(whole.path().join("workspace")).unwrap();
        std::fs::write(whole.path().join("secret"), "secret").unwrap();
        let root = store(kind, &whole.path().join("workspace"));
        let watch = crate::Watch { stop: &NEVER, deadline: soon() };
        let slice = crate::Slice { offset: 0, bytes_max: 9, memory_bytes_max: 9 };
        let found = root.read("../secret", slice, watch);
        // Steps are only ever given names that a `Place` was parsed from; the two others hold by themselves.
        assert!(kind == "stepwise" || matches!(found, Err(HandsError::Outside(_))), "{kind}: {found:?}");
    }
    assert!(Place::parse("$workspace/../secret").is_err());
}

#[test]
fn h2_writing_follows_no_link_and_leaves_hard_links_alone() {
    each(|kind, workspace, hands| {
        let outside = workspace.parent().unwrap();
        std::fs::create_dir(workspace.join("sub")).unwrap();
        std::fs::write(workspace.join("sub/file"), "inside").unwrap();
        symlink("../secret", workspace.join("leaving")).unwrap();
        symlink("sub/file", workspace.join("staying")).unwrap();
        symlink(outside, workspace.join("directory")).unwrap();
        symlink("sub", workspace.join("inner")).unwrap();
        symlink("../fresh", workspace.join("dangling")).unwrap();
        for name in ["leaving", "staying", "directory/x", "inner/x", "dangling"] {
            let found = replace(hands, &format!("$workspace/{name}"), "changed");
            assert!(matches!(found, Err(HandsError::Outside(_))), "{kind} {name}: {found:?}");
        }
        assert_eq!(create(hands, "$workspace/dangling", "changed"), Err(HandsError::Exists), "{kind}");
        std::fs::hard_link(outside.join("secret"), workspace.join("hard")).unwrap();
        assert_eq!(replace(hands, "$workspace/hard", "changed"), Ok(()), "{kind}");
        assert_eq!(std::fs::read_to_string(workspace.join("hard")).unwrap(), "changed");
        assert!(!outside.join("fresh").exists() && !outside.join("x").exists(), "{kind}");
        assert_eq!(std::fs::read_to_string(workspace.join("sub/file")).unwrap(), "inside");
    });
}

#[test]
fn h2_a_directory_that_turns_into_a_link_while_it_is_used_leads_nowhere() {
    for kind in STORES {
        let whole = tempfile::tempdir().unwrap();
        let (inside, outside) = (whole.path().join("workspace"), whole.path().join("outside"));
        for directory in [&inside, &outside, &inside.join("real")] {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(outside.join("file"), "secret").unwrap();
        std::fs::write(inside.join("real/file"), "inside").unwrap();
        std::fs::rename(inside.join("real"), inside.join("swap")).unwrap();
        symlink(&outside, inside.join("trap")).unwrap();
        let over = AtomicBool::new(false);
        /// Ends the other thread even when an assertion fails in this one.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let swaps = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                while !over.load(Ordering::Relaxed) {
                    renameat_with(CWD, inside.join("swap"), CWD, inside.join("trap"), RenameFlags::EXCHANGE).unwrap();
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            });
            let _over = Over(&over);
            let roots = Roots::of("$workspace", store(kind, &inside));
            with_hands(&roots, &everything(), |hands| {
                let (mut good, mut refused) = (0, 0);
                for round in 0..200_000 {
                    if round >= 2_000 && good > 0 && refused > 0 {
                        break;
                    }
                    match read(hands, "$workspace/swap/file") {
                        Ok(text) => {
                            assert_eq!(text, "inside", "{kind} round {round}");
                            good += 1;
                        }
                        Err(_) => refused += 1,
                    }
                    if round % 20 == 0 {
                        if round < 2_000 {
                            // Any answer will do, but for the promise below.
                            let _ = replace(hands, "$workspace/swap/written", "x");
                        }
                        std::thread::yield_now();
                    }
                }
                assert!(good > 0 && refused > 0, "{kind}: the race was never on: {good} read, {refused} refused");
            });
        });
        assert!(swaps.load(Ordering::Relaxed) > 10, "{kind}: nothing was swapped");
        assert_eq!(names(&outside), ["file"], "{kind}: something was written outside");
    }
}

#[test]
fn h3_of_many_that_create_one_file_exactly_one_succeeds() {
    for kind in STORES {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::of("$workspace", store(kind, directory.path()));
        let won: usize = std::thread::scope(|scope| {
            let write = |n: usize| {
                let roots = &roots;
                move || {
                    with_hands(roots, &everything(), |hands| create(hands, "$workspace/a/one", &n.to_string()).is_ok())
                }
            };
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(write(n))).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(won, 1, "{kind}");
        assert_eq!(names(&directory.path().join("a")), ["one"], "{kind}");
    }
}

#[test]
fn h3_mode_and_owner_survive_a_replacement() {
    each(|kind, workspace, hands| {
        let path = workspace.join("tool.sh");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).unwrap();
        let before = std::fs::metadata(&path).unwrap();
        replace(hands, "$workspace/tool.sh", "new").unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(after.mode() & 0o777, 0o751, "{kind}");
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()), "{kind}");
    });
}

/// The body of the child of the next test; does nothing in a run of its own.
#[test]
fn child_that_replaces_a_file_forever() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let roots = Roots::open(&[("$workspace", Path::new(&directory))]).unwrap();
    with_hands(&roots, &everything(), |hands| {
        for n in 0u64.. {
            let letter = char::from(b'a' + (n % 26) as u8).to_string();
            replace(hands, "$workspace/file", &letter.repeat(100_000 + (n % 26) as usize)).unwrap();
        }
    });
}

#[test]
fn h3_a_kill_at_any_moment_leaves_a_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "a".repeat(100_000)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..2_000u64 {
        if round >= 200 && seen.len() > 3 {
            break;
        }
        let mut child = child("attacks::child_that_replaces_a_file_forever", directory.path()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(1_000 + round * 97 % 12_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let text = std::fs::read(&file).unwrap();
        let letter = text[0];
        assert!(text.iter().all(|byte| *byte == letter), "round {round}: a mixture of two contents");
        assert_eq!(text.len(), 100_000 + usize::from(letter - b'a'), "round {round}: a part of a content");
        seen.insert(letter);
    }
    assert!(seen.len() > 3, "the child hardly ever wrote: {seen:?}");
}

fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// The body of a child whose disk is full or whose files may not grow; does nothing in a run of its own.
#[test]
fn child_that_finds_no_room() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let directory = Path::new(&directory);
    std::fs::write(directory.join("file"), "old").unwrap();
    let roots = Roots::open(&[("$workspace", directory)]).unwrap();
    let large = "x".repeat(1 << 20);
    with_hands(&roots, &everything(), |hands| {
        for found in [replace(hands, "$workspace/file", &large), create(hands, "$workspace/other", &large)] {
            let Err(HandsError::Failed(why)) = found else { panic!("{found:?}") };
            assert!(why.contains("nothing was changed"), "{why}");
        }
        assert_eq!(read(hands, "$workspace/file").as_deref(), Ok("old"));
        assert_eq!(names(directory), ["file"], "a draft was left behind");
        assert_eq!(replace(hands, "$workspace/file", "new"), Ok(()), "a small file still fits");
    });
}

#[test]
fn h3_a_file_that_may_not_grow_is_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let status =
        limited("trap '' XFSZ; ulimit -f 64; exec \"$@\"", "attacks::child_that_finds_no_room", directory.path());
    assert!(status.success());
}

#[test]
fn h3_a_full_disk_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size=256k tmpfs {} || exit 77; exec \"$@\"", directory.path().display());
    let inner = child("attacks::child_that_finds_no_room", directory.path());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]).arg(inner.get_program());
    command.args(inner.get_args()).env(CHILD, directory.path()).stdout(Stdio::null());
    // Where a machine allows no mount namespace, the test before this one stands alone.
    match command.status() {
        Ok(status) => assert!(status.success() || status.code() == Some(77) || status.code() == Some(1), "{status}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}

fn limited(script: &str, test: &str, directory: &Path) -> std::process::ExitStatus {
    let inner = child(test, directory);
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env(CHILD, directory).stdout(Stdio::null()).status().unwrap()
}

/// The body of a child that is an ordinary user; does nothing in a run of its own.
#[test]
fn child_without_rights() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let directory = Path::new(&directory);
    for kind in STORES {
        let roots = Roots::of("$workspace", store(kind, directory));
        with_hands(&roots, &everything(), |hands| {
            assert_eq!(replace(hands, "$workspace/closed/file", "new"), Err(HandsError::Denied), "{kind}");
            assert_eq!(create(hands, "$workspace/closed/other", "new"), Err(HandsError::Denied), "{kind}");
            assert_eq!(replace(hands, "$workspace/open/frozen", "new"), Err(HandsError::Denied), "{kind}");
            assert_eq!(read(hands, "$workspace/unreadable"), Err(HandsError::Denied), "{kind}");
            assert_eq!(replace(hands, "$workspace/open/file", "new"), Ok(()), "{kind}");
        });
    }
}

#[test]
fn h3_what_the_system_refuses_is_refused_and_unchanged() {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let at = |name: &str| directory.path().join(name);
    let allow = |path: PathBuf, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(directory.path().into(), 0o755);
    for name in ["closed", "open"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    for (name, mode) in [("closed/file", 0o644), ("open/frozen", 0o444), ("open/file", 0o666), ("unreadable", 0o000)] {
        std::fs::write(at(name), "old").unwrap();
        allow(at(name), mode);
    }
    allow(at("closed"), 0o555);
    allow(at("open"), 0o777);
    let mut command = child("attacks::child_without_rights", directory.path());
    if std::fs::metadata(directory.path()).unwrap().uid() == 0 {
        // The test's own program may lie where an ordinary user cannot go.
        let program = at("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        allow(program.clone(), 0o755);
        let mut other = Command::new(program);
        other.args(command.get_args()).env(CHILD, directory.path()).stdout(Stdio::null()).uid(65_534).gid(65_534);
        command = other;
    }
    assert!(command.status().unwrap().success());
    assert_eq!(std::fs::read_to_string(at("closed/file")).unwrap(), "old");
    allow(at("closed"), 0o755);
}

#[test]
fn h4_pipes_sockets_and_devices_never_hang() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    each(|kind, workspace, hands| {
        mknodat(CWD, workspace.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(workspace.join("socket")).unwrap();
        let started = Instant::now();
        for name in ["pipe", "socket"] {
            let path = format!("$workspace/{name}");
            assert_eq!(read(hands, &path), Err(HandsError::WrongKind(EntryKind::Other)), "{kind} {name}");
            assert_eq!(replace(hands, &path, "x"), Err(HandsError::WrongKind(EntryKind::Other)), "{kind} {name}");
            assert_eq!(hands.list(&place(&path)).unwrap()[0].kind, EntryKind::Other, "{kind} {name}");
        }
        assert!(started.elapsed() < Duration::from_secs(5));
    });
    let devices = Roots::of("$workspace", store("openat2", Path::new("/dev")));
    with_hands(&devices, &everything(), |hands| {
        assert_eq!(read(hands, "$workspace/zero"), Err(HandsError::WrongKind(EntryKind::Other)));
    });
}

#[test]
fn h5_git_and_aether_directories_are_never_written() {
    each(|kind, workspace, hands| {
        std::fs::create_dir_all(workspace.join(".git/hooks")).unwrap();
        symlink(".git", workspace.join("innocent")).unwrap();
        for name in
            [".git/hooks/pre-commit", ".git/config", "sub/.git/config", ".GIT/x", ".aether/x", "innocent/config"]
        {
            let found = replace(hands, &format!("$workspace/{name}"), "x");
            assert!(matches!(found, Err(HandsError::Outside(_))), "{kind} {name}: {found:?}");
        }
        assert!(names(&workspace.join(".git/hooks")).is_empty());
        assert_eq!(replace(hands, "$workspace/.gitignore", "x"), Ok(()));
    });
}

#[test]
fn h6_a_call_that_is_stopped_or_late_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::open(&[("$workspace", directory.path())]).unwrap();
    let (set, capability) = (AtomicBool::new(true), everything());
    for (stop, deadline) in [(&set, soon()), (&NEVER, Instant::now())] {
        let limits = Limits::BUILTIN;
        let mut grip =
            Grip::new(Reach { roots: &roots, capability: &capability, limits, stop, deadline, fetcher: None });
        assert_eq!(read(&mut grip, "$workspace/x"), Err(HandsError::Stopped));
        assert_eq!(replace(&mut grip, "$workspace/x", "x"), Err(HandsError::Stopped));
        assert_eq!(grip.list(&place("$workspace")), Err(HandsError::Stopped));
        assert_eq!(grip.clock(), Err(HandsError::Stopped));
        let fetch = Fetch { url: "https://example.com/", bytes_max: 1, total_ms_max: 1 };
        assert_eq!(grip.fetch(&fetch), Err(HandsError::Stopped));
    }
    assert!(names(directory.path()).is_empty());
}

#[test]
fn h6_a_long_read_and_a_long_write_end_when_they_are_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(directory.path().join("large")).unwrap();
    file.set_len(8 << 30).unwrap();
    let roots = Roots::open(&[("$workspace", directory.path())]).unwrap();
    let capability = everything();
    let limits = Limits { memory_bytes_max: u64::MAX, ..Limits::BUILTIN };
    let deadline = Instant::now() + Duration::from_millis(30);
    let mut grip =
        Grip::new(Reach { roots: &roots, capability: &capability, limits, stop: &NEVER, deadline, fetcher: None });
    assert_eq!(grip.read(&place("$workspace/large"), 0, 8 << 30), Err(HandsError::Stopped));
    let reach = Reach {
        roots: &roots,
        capability: &capability,
        limits: Limits::BUILTIN,
        stop: &NEVER,
        deadline: soon(),
        fetcher: None,
    };
    let found = Grip::new(reach).read(&place("$workspace/large"), 0, 8 << 30);
    assert!(matches!(found, Err(HandsError::Limit(_))), "the memory limit of the call holds");
}

#[test]
fn a_workspace_that_is_deleted_or_swapped_is_an_error_or_the_old_one() {
    for kind in STORES {
        let whole = tempfile::tempdir().unwrap();
        let workspace = whole.path().join("workspace");
        std::fs::create_dir(&workspace).unwrap();
        std::fs::write(workspace.join("file"), "old").unwrap();
        let roots = Roots::of("$workspace", store(kind, &workspace));
        with_hands(&roots, &everything(), |hands| {
            std::fs::rename(&workspace, whole.path().join("moved")).unwrap();
            symlink("/etc", &workspace).unwrap();
            assert_eq!(read(hands, "$workspace/file").as_deref(), Ok("old"), "{kind}");
            assert_eq!(read(hands, "$workspace/passwd"), Err(HandsError::Missing), "{kind}");
            std::fs::remove_dir_all(whole.path().join("moved")).unwrap();
            assert!(read(hands, "$workspace/file").is_err(), "{kind}");
            let found = create(hands, "$workspace/other/file", "x");
            assert!(found.is_err(), "{kind}");
            if kind != "cap-std" {
                let why = found.unwrap_err().to_string();
                assert_eq!(why, "the directory that all paths start from was deleted while working", "{kind}");
            }
        });
    }
}

#[test]
fn a_directory_with_too_many_entries_says_so() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..=LIST_ENTRIES_MAX {
        std::fs::File::create(directory.path().join(n.to_string())).unwrap();
    }
    for kind in STORES {
        let roots = Roots::of("$workspace", store(kind, directory.path()));
        let found = with_hands(&roots, &everything(), |hands| hands.list(&place("$workspace")));
        assert_eq!(found, Err(HandsError::Limit("the directory holds more than 50000 entries".into())), "{kind}");
    }
}

struct Echo;

impl Fetcher for Echo {
    fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError> {
        let body = format!("{} {}", fetch.url, fetch.total_ms_max <= 60_000).into_bytes();
        Ok(Fetched { status: 200, content_type: String::new(), location: None, body, is_cut: false })
    }
}

#[test]
fn h1_only_authorised_hosts_are_fetched_and_within_the_time_left() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::open(&[("$workspace", directory.path())]).unwrap();
    let capability = Capability::default().with_network(Network::hosts(vec![Host::parse("example.com").unwrap()]));
    let limits = Limits::BUILTIN;
    let reach =
        Reach { roots: &roots, capability: &capability, limits, stop: &NEVER, deadline: soon(), fetcher: Some(&Echo) };
    let mut grip = Grip::new(reach);
    let fetch = |url| Fetch { url, bytes_max: 100, total_ms_max: u64::MAX };
    let fetched = grip.fetch(&fetch("https://example.com/a")).unwrap();
    assert_eq!(String::from_utf8(fetched.body).unwrap(), "https://example.com/a true");
    for url in ["http://example.com/", "https://example.com:444/", "https://www.example.com/", "https://127.0.0.1/"] {
        assert!(matches!(grip.fetch(&fetch(url)), Err(HandsError::Outside(_))), "{url}");
    }
    assert!(matches!(grip.fetch(&fetch("https://a@example.com/")), Err(HandsError::Failed(_))));
    let without = Grip::new(Reach { fetcher: None, ..reach }).fetch(&fetch("https://example.com/"));
    assert_eq!(without, Err(HandsError::Failed("this program was built without a network client".into())));
}
