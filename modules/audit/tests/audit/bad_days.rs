//! A full disk, a directory that cannot be written, a lock that nobody gives up.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use aether_audit::{AuditError, Cause, Durability, Limits};

use crate::ground::{Ground, NOW, record};

const DISK: &str = "AETHER_AUDIT_TEST_DISK";

/// Fills a small file system with lines until there is no room. Started by the next test in a mount namespace of its own.
#[test]
fn on_a_small_disk() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        // Without a small disk there is nothing to fill: then this is the same log on a large one.
        let ground = Ground::new();
        ground.log().append(&record(0), NOW, Durability::Now).unwrap();
        assert_eq!(ground.fault(), None);
        return;
    };
    let limits = Limits { file_bytes_max: 20_000, files_max: 500, ..Limits::default() };
    let ground = Ground::at(&disk).limited(limits);
    let log = ground.log();
    let mut refusals = 0;
    for round in 0..6 {
        let error = (0..10_000).find_map(|n| log.append(&record(n), NOW, Durability::Now).err()).unwrap();
        let AuditError::Refused { cause: Cause::Full, .. } = error else { panic!("round {round}: {error}") };
        refusals += 1;
        let report = ground.verify().unwrap();
        assert_eq!((report.fault, report.notices), (None, Vec::new()), "round {round}: nothing half-written is left");
        // Again and again: it stays refused, and stays whole.
        for _ in 0..20 {
            assert!(log.append(&record(1), NOW, Durability::Now).is_err());
        }
        assert_eq!(ground.verify().unwrap().lines, report.lines);
        fs::remove_file(disk.join(format!("room-{round}"))).unwrap();
    }
    log.append(&record(1), NOW, Durability::Now).unwrap();
    assert_eq!(ground.fault(), None);
    println!("refused {refusals} times");
}

#[test]
fn a2_a_full_disk_refuses_and_leaves_the_log_whole() {
    let ground = Ground::new();
    let disk = ground.root.join("disk");
    fs::create_dir(&disk).unwrap();
    let root = rustix::process::geteuid().is_root();
    let flags = if root { "-m" } else { "-Urm" };
    // Six pieces of ballast, of which one is taken away in each round.
    let script = "set -e; mount -t tmpfs -o size=256k,mode=700 none \"$1\"; \
        for n in 0 1 2 3 4 5; do dd if=/dev/zero of=\"$1/room-$n\" bs=4k count=3 status=none; done; \
        exec \"$2\" --exact bad_days::on_a_small_disk --nocapture";
    let program = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args([flags, "sh", "-c", script, "sh"])
        .args([&disk, &program])
        .env(DISK, &disk)
        .output()
        .unwrap();
    let text = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success() && text.contains("refused 6 times"), "{text}");
}

#[test]
fn a2_a_directory_that_cannot_be_written_refuses() {
    let ground = Ground::with(3);
    let before = ground.copy();
    // Where every user is stopped: a directory stands where the next file belongs, and the last file is full.
    let log = Ground::at(&ground.root).limited(Limits { file_bytes_max: 1, ..ground.limits }).log();
    let next = ground.root.join(format!("audit/audit-{:06}.jsonl", ground.files().len() + 1));
    fs::create_dir(&next).unwrap();
    assert!(log.append(&record(9), NOW, Durability::Now).is_err());
    fs::remove_dir(&next).unwrap();
    assert_eq!(ground.copy(), before);
    assert_eq!(ground.fault(), None);
}

#[test]
fn a2_a_log_without_permission_refuses() {
    if rustix::process::geteuid().is_root() {
        // The administrator is stopped by a file system that is read-only.
        let error = Ground::at(Path::new("/proc/aether-audit")).log_error();
        assert!(matches!(error, AuditError::Refused { .. }), "{error}");
        return;
    }
    let ground = Ground::with(3);
    let directory = ground.root.join("audit");
    for path in ground.files() {
        fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    let error = ground.log().append(&record(0), NOW, Durability::Now).unwrap_err();
    assert!(matches!(error, AuditError::Refused { cause: Cause::Denied, .. }), "{error}");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ground.fault(), None);
}

impl Ground {
    /// What an append here fails with, signed by a key from elsewhere.
    fn log_error(&self) -> AuditError {
        let key = Ground::new();
        let signer = Box::new(key.machine());
        let log = aether_audit::Log::open(self.place(), signer, crate::ground::CHECK, self.limits);
        log.append(&record(0), NOW, Durability::Now).unwrap_err()
    }
}

#[test]
fn a_lock_that_is_never_given_up_is_not_waited_for_forever() {
    let ground = Ground::with(3);
    let held = File::open(ground.place().head.with_extension("lock")).unwrap();
    held.lock().unwrap();
    let impatient = Ground::at(&ground.root).limited(Limits { lock_ms_max: 50, ..ground.limits });
    let error = impatient.log().append(&record(0), NOW, Durability::Now).unwrap_err();
    assert!(matches!(error, AuditError::Busy { waited_ms: 50, .. }), "{error}");
    held.unlock().unwrap();
    impatient.log().append(&record(0), NOW, Durability::Now).unwrap();
}
