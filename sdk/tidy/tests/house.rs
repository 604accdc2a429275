//! Reads the working copy and asks every rule of the house.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use aether_tidy::arrows::actual;
use aether_tidy::manifest::manifests;
use aether_tidy::{RULES, Tree};

/// Folders that tools fill.
const MADE: &[&str] = &["target", "node_modules", "corpus", "artifacts", "coverage", "mutants.out", "mutants.out.old"];
/// Folders of data that tests read: what is in them stands for files of strangers.
const DATA: &[&str] = &["fixtures", "golden", "recordings"];
/// Files that are not texts of ours.
const NOT_TEXT: &[&str] = &[".lock", ".log", ".png", ".jpg", ".der", ".wasm", ".profraw"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn house() -> Tree {
    let root = root();
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && name != ".ci" && name != ".github";
            let is_ours = !MADE.contains(&name.as_str()) && !DATA.contains(&name.as_str());
            if path.is_dir() && !hidden && is_ours {
                open.push(path);
            } else if path.is_file() {
                let relative = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                // A file without a text is still a place that a link may lead to.
                let skip = hidden || NOT_TEXT.iter().any(|ending| name.ends_with(ending));
                let text = if skip { String::new() } else { fs::read_to_string(&path).unwrap_or_default() };
                files.push((relative, text));
            }
        }
    }
    Tree::new(files)
}

fn ask(name: &str) {
    let tree = house();
    assert!(tree.rust().count() > 10, "the house is empty: {}", root().display());
    let (_, rule) = RULES.iter().find(|(known, _)| *known == name).unwrap();
    let found: String = rule(&tree).iter().map(|finding| format!("{finding}\n")).collect();
    assert!(found.is_empty(), "\n{found}");
}

macro_rules! rules {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                ask(stringify!($name));
            }
        )*

        #[test]
        fn every_rule_is_asked() {
            let asked = [$(stringify!($name)),*];
            assert_eq!(RULES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), asked);
        }
    };
}

rules! {
    arrows
    rooms_apart
    kernel_bare
    kernel_small
    first_line
    dry_or_wet
    dry_is_dry
    invariants_cited
    lints_and_tests
    unsafe_listed
    functions
    types
    files
    forbidden_names
    escapes
    painted_checks
    dependencies
    words
    links
}

/// Cargo reads the manifests in full; our small reader sees the same arrows.
#[test]
fn cargo_sees_the_same_arrows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if to.starts_with("aether-") {
                let tests = if dependency["kind"] == "dev" { " (tests)" } else { "" };
                seen.entry(format!("{}{tests}", package["name"].as_str().unwrap())).or_default().push(to.to_owned());
            }
        }
    }
    for list in seen.values_mut() {
        list.sort();
        list.dedup();
    }
    assert_eq!(actual(&manifests(&house())), seen);
}

/// The numbers in the rules and those that clippy holds are the same.
#[test]
fn clippy_holds_the_same_numbers() {
    let clippy = fs::read_to_string(root().join("clippy.toml")).unwrap();
    for line in [
        format!("too-many-lines-threshold = {}", aether_tidy::sizes::FUNCTION_LINES_MAX),
        format!("too-many-arguments-threshold = {}", aether_tidy::sizes::PARAMETERS_MAX),
    ] {
        assert!(clippy.contains(&line), "clippy.toml has no line `{line}`");
    }
}
