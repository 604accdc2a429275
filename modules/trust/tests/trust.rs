//! Keys and signed files on a real file system, as several processes and other users would treat them.
#![cfg(test)]
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use aether_trust::{Cause, Keyring, SignedFile, TrustError, sha256};
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn ring(home: &TempDir) -> Keyring {
    Keyring::open(&home.path().join("trust")).unwrap()
}

/// The one whose public key is printed when a test starts this program again.
const WORKER: &str = "AETHER_TRUST_TEST_DIRECTORY";

/// What the processes of `t1_many_processes_make_one_key` do; a test like any other when nobody sets the variable.
#[test]
fn worker() {
    let directory = std::env::var_os(WORKER).map(PathBuf::from);
    let home = TempDir::new().unwrap();
    let directory = directory.unwrap_or_else(|| home.path().join("trust"));
    let one = Keyring::open(&directory).unwrap();
    assert_eq!(one.public(), Keyring::open(&directory).unwrap().public());
    println!("public={}", one.public());
}

#[test]
fn t1_many_processes_make_one_key() {
    for _ in 0..5 {
        let home = TempDir::new().unwrap();
        let directory = home.path().join("trust");
        let start = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "worker", "--nocapture"]).env(WORKER, &directory);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (0..8).map(|_| start()).collect();
        let mut keys: Vec<String> = Vec::new();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).unwrap();
            keys.push(text.split("public=").nth(1).unwrap()[..64].to_owned());
        }
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(Keyring::open(&directory).unwrap().public().to_string(), keys[0]);
        let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["lock", "machine.key"], "no draft stays behind");
    }
}

#[test]
fn t2_a_key_is_its_owners_alone() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("deep/trust");
    assert_eq!(Keyring::existing(&directory).unwrap().map(|ring| ring.public()), None);
    assert!(!directory.exists(), "looking makes nothing");
    let public = Keyring::open(&directory).unwrap().public();
    let file = directory.join("machine.key");
    assert_eq!((mode(&file), mode(&directory)), (0o600, 0o700));
    for open in [0o640, 0o604, 0o620, 0o602, 0o610] {
        chmod(&file, open);
        let error = Keyring::open(&directory).unwrap_err();
        assert_eq!(error, TrustError::Exposed { path: file.clone(), mode: open, wanted: "600" });
        assert!(error.to_string().contains(&format!("chmod 600 {}", file.display())), "{error}");
    }
    chmod(&file, 0o400);
    assert_eq!(Keyring::open(&directory).unwrap().public(), public);
    for open in [0o770, 0o755, 0o707] {
        chmod(&directory, open);
        let error = Keyring::open(&directory).unwrap_err();
        assert_eq!(error, TrustError::Exposed { path: directory.clone(), mode: open, wanted: "700" });
    }
    chmod(&directory, 0o700);
    assert_eq!(Keyring::existing(&directory).unwrap().unwrap().public(), public);
}

#[test]
fn t2_what_is_no_key_is_refused_and_never_replaced() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("trust");
    let line = {
        Keyring::open(&directory).unwrap();
        fs::read_to_string(directory.join("machine.key")).unwrap()
    };
    let file = directory.join("machine.key");
    let wrong = ["", "\n", line.trim_end(), &line.to_uppercase(), &line[1..], &format!("{line}\n"), &"x".repeat(300)];
    for text in wrong {
        fs::write(&file, text).unwrap();
        assert!(Keyring::open(&directory).is_err(), "{text:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "left as it was");
    }
    fs::write(&file, [0xff; 79]).unwrap();
    assert!(matches!(Keyring::open(&directory), Err(TrustError::Malformed { .. })));
    fs::remove_file(&file).unwrap();
    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, &line).unwrap();
    chmod(&elsewhere, 0o600);
    symlink(&elsewhere, &file).unwrap();
    assert!(matches!(Keyring::open(&directory), Err(TrustError::Malformed { .. })), "a link is no key");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(Keyring::open(&directory), Err(TrustError::Malformed { .. })));
}

#[test]
fn t2_another_users_key_is_refused() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("trust");
    Keyring::open(&directory).unwrap();
    // Only the administrator can give a file away; for everybody else the first half of this cannot happen.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(directory.join("machine.key"), Some(65_534), None).unwrap();
        let error = Keyring::open(&directory).unwrap_err();
        assert!(matches!(error, TrustError::Foreign { owner: 65_534, .. }), "{error}");
    } else {
        let error = Keyring::open(Path::new("/proc/aether-trust")).unwrap_err();
        assert!(matches!(error, TrustError::Refused { .. }), "{error}");
    }
}

fn policy(home: &TempDir, text: &str) -> SignedFile {
    let path = home.path().join("policy.toml");
    fs::write(&path, text).unwrap();
    chmod(&path, 0o644);
    SignedFile::new(path, "policy")
}

#[test]
fn t4_what_is_read_is_what_was_signed() {
    let home = TempDir::new().unwrap();
    let ring = ring(&home);
    let file = policy(&home, "write = \"ask\"\n");
    assert_eq!(file.read(&ring).unwrap_err(), TrustError::Unsigned { path: file.path().to_owned() });
    let signed = file.sign(&ring).unwrap();
    assert_eq!((signed.counter, &*signed.text), (1, "write = \"ask\"\n"));
    assert_eq!(file.read(&ring).unwrap(), signed);
    let moved = home.path().join("moved.toml");
    fs::rename(file.path(), &moved).unwrap();
    fs::rename(home.path().join("policy.toml.sig"), home.path().join("moved.toml.sig")).unwrap();
    assert_eq!(SignedFile::new(moved.clone(), "policy").read(&ring).unwrap(), signed, "the path does not matter");
    let other = SignedFile::new(moved.clone(), "config");
    assert!(matches!(other.read(&ring), Err(TrustError::BadSignature { .. })), "the name does");
    fs::write(&moved, "write = \"allow\"\n").unwrap();
    let error = SignedFile::new(moved.clone(), "policy").read(&ring).unwrap_err();
    let (was, is) = (sha256(b"write = \"ask\"\n"), sha256(b"write = \"allow\"\n"));
    assert_eq!(error, TrustError::Changed { path: moved, signed: was, found: is });
    assert!(error.to_string().contains("changed since it was signed"), "{error}");
}

#[test]
fn t4_every_byte_of_text_and_signature_counts() {
    let home = TempDir::new().unwrap();
    let ring = ring(&home);
    let file = policy(&home, "write = \"ask\"\n");
    let signed = file.sign(&ring).unwrap();
    for path in [file.path().to_owned(), home.path().join("policy.toml.sig")] {
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut edited = bytes.clone();
                edited[at] ^= bit;
                fs::write(&path, &edited).unwrap();
                assert!(file.read(&ring).is_err(), "{} byte {at} bit {bit:x}", path.display());
            }
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(file.read(&ring).is_err(), "{} cut at {at}", path.display());
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(file.read(&ring).unwrap(), signed);
}

#[test]
fn t4_another_machines_signature_is_named() {
    let (home, abroad) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (here, there) = (ring(&home), ring(&abroad));
    let file = policy(&home, "x = 1\n");
    file.sign(&there).unwrap();
    let error = file.read(&here).unwrap_err();
    assert_eq!(error, TrustError::UnknownKey { path: file.path().to_owned(), key: there.public() });
}

#[test]
fn t4_an_older_copy_is_refused() {
    let home = TempDir::new().unwrap();
    let ring = ring(&home);
    let file = policy(&home, "old\n");
    file.sign(&ring).unwrap();
    let sig = home.path().join("policy.toml.sig");
    let old = fs::read(&sig).unwrap();
    fs::write(file.path(), "new\n").unwrap();
    assert_eq!(file.sign(&ring).unwrap().counter, 2);
    fs::write(file.path(), "old\n").unwrap();
    fs::write(&sig, old).unwrap();
    let error = file.read(&ring).unwrap_err();
    assert_eq!(error, TrustError::RolledBack { path: file.path().to_owned(), counter: 1, newest: 2 });
    assert_eq!(file.sign(&ring).unwrap().counter, 3, "signed again on purpose it is the newest");
    assert_eq!(file.read(&ring).unwrap().text, "old\n");
    fs::remove_file(home.path().join("trust/policy.counter")).unwrap();
    assert_eq!(file.sign(&ring).unwrap().counter, 4, "the signature itself remembers, too");
}

/// What was signed once is known to have been, though file and signature are gone; looking makes nothing.
#[test]
fn t4_that_something_was_signed_is_remembered() {
    let home = TempDir::new().unwrap();
    let trust = home.path().join("trust");
    let file = policy(&home, "x\n");
    assert_eq!(file.newest(&trust), Ok(0));
    assert!(!trust.exists());
    let ring = ring(&home);
    assert_eq!(file.newest(&trust), Ok(0), "a key alone signed nothing");
    file.sign(&ring).unwrap();
    fs::remove_file(file.path()).unwrap();
    fs::remove_file(home.path().join("policy.toml.sig")).unwrap();
    assert_eq!(file.newest(&trust), Ok(1));
    fs::write(trust.join("policy.counter"), "many\n").unwrap();
    assert!(matches!(file.newest(&trust), Err(TrustError::Malformed { .. })));
}

#[test]
fn t4_a_signed_file_that_others_can_write_is_refused() {
    let home = TempDir::new().unwrap();
    let ring = ring(&home);
    let file = policy(&home, "x\n");
    file.sign(&ring).unwrap();
    for open in [0o664, 0o646] {
        chmod(file.path(), open);
        assert!(matches!(file.read(&ring), Err(TrustError::Exposed { wanted: "go-w", .. })));
    }
    chmod(file.path(), 0o600);
    assert!(file.read(&ring).is_ok());
}

#[test]
fn t5_a_write_that_fails_leaves_what_was_there() {
    let home = TempDir::new().unwrap();
    let ring = ring(&home);
    let file = policy(&home, "x\n");
    let signed = file.sign(&ring).unwrap();
    // A directory where the draft would be makes the write fail for every user.
    let draft = home.path().join(".policy.toml.sig.draft");
    fs::create_dir(&draft).unwrap();
    assert!(matches!(file.sign(&ring), Err(TrustError::Refused { act: "write", .. })));
    assert_eq!(file.read(&ring).unwrap(), signed);
    fs::remove_dir(&draft).unwrap();
    // One that a kill left behind is no obstacle.
    fs::write(&draft, "half").unwrap();
    assert_eq!(file.sign(&ring).unwrap().counter, 2);
    assert!(!draft.exists());
}

#[test]
fn t5_a_missing_file_is_said_to_be_missing() {
    let home = TempDir::new().unwrap();
    let ring = ring(&home);
    let file = SignedFile::new(home.path().join("none.toml"), "policy");
    let error = file.read(&ring).unwrap_err();
    assert!(matches!(&error, TrustError::Refused { cause: Cause::Missing, .. }), "{error}");
    assert!(error.to_string().contains("none.toml"), "{error}");
}
