//! The example in `examples/code-worker`, from a failing test to a fix of one line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ground::Nest;
use crate::yard::{MODES, Who, words};

fn example(beneath: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/code-worker").join(beneath)
}

/// The example's repository, under git, in a workspace.
fn copied(nest: &Nest) {
    for entry in fs::read_dir(example("repository")).expect("the example").flatten() {
        if entry.path().is_file() {
            nest.file(&entry.file_name().to_string_lossy(), fs::read(entry.path()).expect("a file"));
        }
    }
    for words in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-q", "-m", "As found"]] {
        assert!(git(nest, words).status.success());
    }
}

fn git(nest: &Nest, words: &[&str]) -> Output {
    let own = ["-c", "safe.directory=*", "-c", "user.name=Me", "-c", "user.email=me@localhost"];
    let all = [&own[..], words].concat();
    Command::new("git").args(all).current_dir(nest.workspace()).output().expect("git")
}

fn passes(nest: &Nest) -> bool {
    let tests = Command::new("python3").args(["-B", "-m", "unittest"]).current_dir(nest.workspace()).output();
    tests.expect("python3").status.success()
}

/// Every file outside `.git`, with its bytes.
fn files(nest: &Nest) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = nest.files();
    files.retain(|(path, _)| path.strip_prefix(nest.workspace()).is_ok_and(|beneath| !beneath.starts_with(".git")));
    files
}

#[test]
fn the_failing_test_is_fixed_by_one_line() {
    let script = example("script.jsonl").to_string_lossy().into_owned();
    for who in Who::all() {
        for mode in MODES {
            let nest = Nest::new();
            copied(&nest);
            assert!(!passes(&nest), "the example begins with a failing test");
            let before = files(&nest);
            // A user without privileges cannot read the example where it is.
            let own = nest.outside("home").join("script.jsonl");
            fs::copy(&script, &own).expect("the script");
            let own = own.to_string_lossy().into_owned();
            let task =
                ["run", "Fix the failing test in this repository", "--model", "builtin/script", "--script", &own];
            let allowed = ["--allow", "write", "--allow", "execute"];
            let ended =
                who.aether(&nest, &words(&[&task, &allowed, mode])).run().exits(0).answers("Fixed: inventory.py");
            assert!(passes(&nest), "{ended:#?}");
            let diff = String::from_utf8(git(&nest, &["diff", "--numstat"]).stdout).expect("UTF-8");
            assert_eq!(diff, "1\t1\tinventory.py\n");
            let after = files(&nest);
            let changed = before.iter().zip(&after).filter(|(old, new)| old != new).count();
            assert_eq!((before.len(), changed), (after.len(), 1), "one file changed, none came, none went");
            assert_eq!(nest.names(), [".git", "inventory.py", "test_inventory.py"]);
            let status = String::from_utf8(git(&nest, &["status", "--porcelain"]).stdout).expect("UTF-8");
            assert_eq!(status, " M inventory.py\n");
        }
    }
}

/// The same with a command that does it all, as the example's page shows it.
#[test]
fn the_command_of_the_page_runs() {
    let nest = Nest::new();
    let run = example("run").to_string_lossy().into_owned();
    let ended = nest.through(&run, &[]).env("AETHER", crate::ground::BINARY).run().exits(0);
    assert!(ended.stdout.contains("Fixed: inventory.py") && ended.stdout.contains("+        if"), "{ended:#?}");
    assert!(!example("repository/.git").exists() && !example("repository/__pycache__").exists());
}
