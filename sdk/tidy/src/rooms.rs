//! Every file and every crate says what it is, and a dry crate is dry.

use crate::items::{Token, tokens};
use crate::manifest::{Manifest, manifests};
use crate::{Finding, Source, Tree};

/// Crates that may write `unsafe`, one `folder: reason` a line.
pub const UNSAFE: &str = "docs/unsafe.txt";

/// How many lines above `unsafe` its `SAFETY:` may stand.
const SAFETY_LINES_MAX: usize = 6;

/// Every Rust file opens with one sentence that says what it is.
#[must_use]
pub fn first_line(tree: &Tree) -> Vec<Finding> {
    let says =
        |file: &Source| file.text.strip_prefix("//! ").is_some_and(|rest| rest.find('\n').unwrap_or(rest.len()) > 3);
    tree.rust()
        .filter(|file| !says(file))
        .map(|file| Finding::new(&file.path, 1, "the file does not open with `//!`: say in one sentence what it is"))
        .collect()
}

/// Every library says dry or wet, what is not here, and its invariants.
#[must_use]
pub fn dry_or_wet(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for manifest in manifests(tree) {
        let Some(file) = library(tree, &manifest) else { continue };
        let header = header(&file.text);
        let mut say = |sentence: &str| found.push(Finding::new(&file.path, 1, sentence));
        if !header.starts_with("Dry: ") && !header.starts_with("Wet: ") {
            say("the first line does not say `Dry:` or `Wet:`: a crate decides or it touches the world");
        }
        if !header.to_lowercase().contains("not here") {
            say("the header does not say what is not here: absence is architecture");
        }
        if invariants(&header).is_empty() {
            say(
                "the header names no invariant: list them behind the word `Invariants`, each with a short name such as N1",
            );
        }
    }
    found
}

fn library<'t>(tree: &'t Tree, manifest: &Manifest) -> Option<&'t Source> {
    tree.file(&format!("{}/src/lib.rs", manifest.folder))
}

/// The `//!` lines at the top, without their marks.
fn header(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

/// Names such as `K1` behind the word `Invariants`.
fn invariants(header: &str) -> Vec<String> {
    let Some(at) = header.to_lowercase().find("invariants") else { return Vec::new() };
    let mut found: Vec<String> = words(&header[at..]).filter(|word| is_invariant(word)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

fn is_invariant(word: &str) -> bool {
    let letters = word.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = word.len() - letters;
    (1..=2).contains(&letters)
        && (1..=2).contains(&digits)
        && word.bytes().skip(letters).all(|byte| byte.is_ascii_digit())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric())
}

/// Every invariant of a crate's header is cited by one of its tests.
#[must_use]
pub fn invariants_cited(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for manifest in manifests(tree) {
        let Some(file) = library(tree, &manifest) else { continue };
        for name in invariants(&header(&file.text)) {
            let cited = |line: &str| words(line).any(|word| word.eq_ignore_ascii_case(&name));
            let by_code = inside(tree, &manifest).any(|file| file.test_lines().any(cited));
            let by_play = tree.files().any(|file| {
                file.path.starts_with(&manifest.prefix())
                    && file.path.ends_with(".play")
                    && file.text.lines().any(cited)
            });
            if !by_code && !by_play {
                found.push(Finding::new(
                    &file.path,
                    1,
                    format!("no test of {} cites {name}: name it in the test that holds it", manifest.name),
                ));
            }
        }
    }
    found
}

fn inside<'t>(tree: &'t Tree, manifest: &Manifest) -> impl Iterator<Item = &'t Source> {
    let prefix = manifest.prefix();
    tree.rust().filter(move |file| file.path.starts_with(&prefix))
}

/// Modules of `std` that touch the world or are shared.
const WORLD: &[&str] = &["fs", "net", "thread", "env", "process", "os"];
/// Words that a crate without clock, task, lock and global never uses.
const WET_WORDS: &[&str] = &[
    "Instant",
    "SystemTime",
    "tokio",
    "async",
    "await",
    "Mutex",
    "RwLock",
    "Condvar",
    "thread_local",
    "OnceLock",
    "LazyLock",
    "stdin",
    "stdout",
    "stderr",
];

/// A dry crate has no clock, socket, file, thread, `async`, lock or global outside its tests.
#[must_use]
pub fn dry_is_dry(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for manifest in manifests(tree) {
        if !library(tree, &manifest).is_some_and(|file| file.text.starts_with("//! Dry:")) {
            continue;
        }
        let source = format!("{}/src/", manifest.folder);
        let program = format!("{source}main.rs");
        for file in inside(tree, &manifest).filter(|file| file.path.starts_with(&source) && file.path != program) {
            for (line, word) in wet_words(&tokens(&file.production)) {
                let sentence = format!(
                    "`{word}` in the dry crate {}: take it as an argument, or wish for it as an effect",
                    manifest.name
                );
                found.push(Finding::new(&file.path, line, sentence));
            }
        }
    }
    found
}

fn wet_words(tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if WET_WORDS.contains(&token.text) || (token.text == "mut" && at > 0 && tokens[at - 1].text == "static") {
            found.push((token.line, token.text.to_owned()));
        } else if token.text == "std" && tokens.get(at + 2).is_some_and(|next| next.text == ":") {
            let below = tokens[at + 3..].iter();
            // `std::{a::b, c}` is read to its closing brace, `std::a` for one word.
            let group = tokens.get(at + 3).is_some_and(|next| next.text == "{");
            let reach: Vec<_> =
                if group { below.take_while(|next| next.text != ";").collect() } else { below.take(1).collect() };
            found.extend(
                reach
                    .iter()
                    .filter(|next| WORLD.contains(&next.text))
                    .map(|next| (next.line, format!("std::{}", next.text))),
            );
        }
    }
    found
}

/// Every crate obeys the workspace's lints and has at least one test.
#[must_use]
pub fn lints_and_tests(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let listed = unsafe_folders(tree.text(UNSAFE));
    for manifest in manifests(tree) {
        if !manifest.lints_workspace && !listed.contains(&manifest.folder.as_str()) {
            found.push(Finding::new(&manifest.path, 0, "`[lints] workspace = true` is missing"));
        }
        let tested = inside(tree, &manifest).any(|file| file.code.contains("#[test]") || file.code.contains("::test]"));
        if !tested {
            found.push(Finding::new(
                &manifest.path,
                0,
                format!("{} has no test: no room without a passing test", manifest.name),
            ));
        }
    }
    found
}

fn unsafe_folders(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .map(|(folder, _)| folder)
        .collect()
}

/// `unsafe` only in the crates of [`UNSAFE`], and there under a `SAFETY:` line.
#[must_use]
pub fn unsafe_listed(tree: &Tree) -> Vec<Finding> {
    let listed = unsafe_folders(tree.text(UNSAFE));
    let mut found = Vec::new();
    let mut used = Vec::new();
    for file in tree.rust() {
        let folder = listed.iter().find(|folder| file.path.starts_with(&format!("{folder}/")));
        for token in tokens(&file.code).iter().filter(|token| token.text == "unsafe") {
            match folder {
                None => found.push(Finding::new(
                    &file.path,
                    token.line,
                    format!("`unsafe` in a crate that {UNSAFE} does not list"),
                )),
                Some(folder) => {
                    used.push(*folder);
                    if !explained(&file.text, token.line) {
                        found.push(Finding::new(
                            &file.path,
                            token.line,
                            "`unsafe` without a `SAFETY:` line above it: say why it holds",
                        ));
                    }
                }
            }
        }
    }
    for folder in listed.iter().filter(|folder| !used.contains(folder)) {
        found.push(Finding::new(UNSAFE, 0, format!("{folder} is listed but has no `unsafe`: remove the line")));
    }
    found
}

fn explained(text: &str, line: usize) -> bool {
    let from = line.saturating_sub(SAFETY_LINES_MAX + 1);
    text.lines().take(line).skip(from).any(|line| line.contains("SAFETY:"))
}

#[cfg(test)]
mod tests {
    use super::{dry_is_dry, dry_or_wet, first_line, invariants_cited, lints_and_tests, unsafe_listed};
    use crate::{Finding, Tree};

    const MANIFEST: &str = "[package]\nname = \"aether-a\"\n[lints]\nworkspace = true\n";
    const HEADER: &str = "//! Dry: a.\n//!\n//! What is not here: H2.\n//!\n//! Invariants: A1 holds.\n";

    fn house(body: &str) -> Tree {
        Tree::of(&[("modules/a/Cargo.toml", MANIFEST), ("modules/a/src/lib.rs", body)])
    }

    fn one(found: &[Finding], part: &str) {
        assert!(found.len() == 1 && found[0].sentence.contains(part), "{part} is not the one finding in {found:?}");
    }

    #[test]
    fn a_good_room_is_silent() {
        let tree = house(&format!(
            "{HEADER}use std::{{fmt, time::Duration}};\n#[cfg(test)]\nmod tests {{\n    use std::fs;\n    #[test]\n    fn a1_holds() {{}}\n}}\n"
        ));
        for rule in [first_line, dry_or_wet, dry_is_dry, invariants_cited, lints_and_tests, unsafe_listed] {
            assert_eq!(rule(&tree), []);
        }
    }

    #[test]
    fn r2_a_file_without_a_sentence_is_named() {
        one(&first_line(&house("fn f() {}\n")), "does not open with");
        one(&first_line(&house("//!\nfn f() {}\n")), "does not open with");
    }

    #[test]
    fn r2_a_header_without_its_parts_is_named() {
        assert_eq!(dry_or_wet(&house("//! A room.\n")).len(), 3);
        one(&dry_or_wet(&house("//! Wet: a.\n//! Not here: b. H2.\n")), "names no invariant");
    }

    #[test]
    fn r2_water_in_a_dry_room_is_named() {
        one(&dry_is_dry(&house("//! Dry: a.\nuse std::fs;\n")), "`std::fs`");
        one(&dry_is_dry(&house("//! Dry: a.\nuse std::{fmt, net::IpAddr};\n")), "`std::net`");
        one(&dry_is_dry(&house("//! Dry: a.\nuse std::time::{Duration, Instant};\n")), "`Instant`");
        one(&dry_is_dry(&house("//! Dry: a.\npub async fn f() {}\n")), "`async`");
        one(&dry_is_dry(&house("//! Dry: a.\nstatic mut COUNT: u8 = 0;\n")), "`mut`");
        assert_eq!(dry_is_dry(&house("//! Wet: a.\nuse std::fs;\n")), []);
    }

    #[test]
    fn r2_an_invariant_without_a_test_is_named() {
        one(&invariants_cited(&house(HEADER)), "no test of aether-a cites A1");
        let play = [
            ("modules/a/Cargo.toml", MANIFEST),
            ("modules/a/src/lib.rs", HEADER),
            ("modules/a/tests/x.play", "# A1: why\n"),
        ];
        assert_eq!(invariants_cited(&Tree::of(&play)), []);
    }

    #[test]
    fn r2_a_crate_without_lints_or_tests_is_named() {
        let tree =
            Tree::of(&[("modules/a/Cargo.toml", "[package]\nname = \"aether-a\"\n"), ("modules/a/src/lib.rs", HEADER)]);
        assert_eq!(lints_and_tests(&tree).len(), 2);
    }

    #[test]
    fn r2_unlisted_and_unexplained_unsafe_is_named() {
        one(&unsafe_listed(&house("//! Wet: a.\nfn f() { unsafe { g() } }\n")), "does not list");
        let listed =
            |body: &str| Tree::of(&[("docs/unsafe.txt", "modules/a: counts\n"), ("modules/a/src/lib.rs", body)]);
        one(&unsafe_listed(&listed("//! Wet: a.\nfn f() { unsafe { g() } }\n")), "without a `SAFETY:`");
        assert_eq!(unsafe_listed(&listed("//! Wet: a.\n// SAFETY: g holds.\nfn f() { unsafe { g() } }\n")), []);
        one(&unsafe_listed(&listed("//! Wet: a.\n")), "has no `unsafe`");
    }
}
