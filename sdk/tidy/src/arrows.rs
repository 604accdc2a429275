//! Which crate may import which: `docs/arrows.txt` and the manifests say the same.

use std::collections::BTreeMap;

use crate::manifest::{Kind, Manifest, manifests};
use crate::{Finding, Tree};

/// Where the allowed arrows are written, one crate a line: `aether-x -> aether-core`, or `aether-x (tests) -> …`.
pub const ARROWS: &str = "docs/arrows.txt";

/// Crates of the house by importer: the importer's name, with ` (tests)` behind it for dev-dependencies.
type Arrows = BTreeMap<String, Vec<String>>;

/// Every arrow of the manifests is in the list, and every arrow of the list is in a manifest.
#[must_use]
pub fn arrows(tree: &Tree) -> Vec<Finding> {
    let (allowed, mut found) = allowed(tree.text(ARROWS));
    let actual = actual(&manifests(tree));
    for (from, to) in pairs(&actual) {
        if !allowed.get(from).is_some_and(|list| list.contains(to)) {
            found.push(Finding::new(ARROWS, 0, format!("{from} imports {to}, which the list does not allow: remove the dependency, or add the arrow and say why in the commit")));
        }
    }
    for (from, to) in pairs(&allowed) {
        if !actual.get(from).is_some_and(|list| list.contains(to)) {
            found.push(Finding::new(
                ARROWS,
                0,
                format!("{from} -> {to} is listed, but no manifest has it: remove it from the list"),
            ));
        }
    }
    for manifest in manifests(tree) {
        if !allowed.contains_key(&manifest.name) {
            found.push(Finding::new(
                ARROWS,
                0,
                format!("{} has no line: add `{} ->` with what it imports", manifest.name, manifest.name),
            ));
        }
    }
    found
}

/// The arrows that the manifests hold.
#[must_use]
pub fn actual(manifests: &[Manifest]) -> BTreeMap<String, Vec<String>> {
    let mut found = Arrows::new();
    for manifest in manifests {
        for dependency in manifest.dependencies.iter().filter(|dependency| dependency.name.starts_with("aether-")) {
            let from = match dependency.kind {
                Kind::Normal => manifest.name.clone(),
                Kind::Tests => format!("{} (tests)", manifest.name),
                Kind::Build => format!("{} (build)", manifest.name),
            };
            found.entry(from).or_default().push(dependency.name.clone());
        }
    }
    for list in found.values_mut() {
        list.sort();
        list.dedup();
    }
    found
}

fn pairs(arrows: &Arrows) -> impl Iterator<Item = (&String, &String)> {
    arrows.iter().flat_map(|(from, list)| list.iter().map(move |to| (from, to)))
}

fn allowed(text: &str) -> (Arrows, Vec<Finding>) {
    let mut arrows = Arrows::new();
    let mut wrong = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() || line.contains("=>") {
            continue;
        }
        match line.split_once("->") {
            Some((from, to)) => {
                arrows.entry(from.trim().to_owned()).or_default().extend(to.split_whitespace().map(str::to_owned))
            }
            None => wrong.push(Finding::new(ARROWS, index + 1, "a line without `->`: write `crate -> crate crate`")),
        }
    }
    (arrows, wrong)
}

/// Floors whose crates are rooms.
const FLOORS: &[&str] = &["modules/", "gateway/", "runtime/", "kernel/"];

/// Rooms that may import a room, with the reason: lines `importer => imported: why` of the list.
fn excepted(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| line.split_once("=>"))
        .filter_map(|(from, rest)| {
            let (to, why) = rest.split_once(':')?;
            (!why.trim().is_empty()).then(|| (from.trim(), to.trim()))
        })
        .collect()
}

/// A room imports the kernel and its own wire protocol, and another room only where the list says why. Its tests may: those
/// arrows are in the list, marked.
#[must_use]
pub fn rooms_apart(tree: &Tree) -> Vec<Finding> {
    let manifests = manifests(tree);
    let excepted = excepted(tree.text(ARROWS));
    let is_room = |folder: &str| FLOORS.iter().any(|floor| folder.starts_with(floor)) && !folder.ends_with("/proto");
    let rooms: Vec<&str> =
        manifests.iter().filter(|manifest| is_room(&manifest.folder)).map(|manifest| manifest.name.as_str()).collect();
    let mut found = Vec::new();
    let imports = |(from, to): &&(&str, &str)| {
        let importer = manifests.iter().find(|manifest| manifest.name == *from);
        importer.is_some_and(|manifest| manifest.dependencies.iter().any(|dependency| dependency.name == *to))
    };
    for (from, to) in excepted.iter().filter(|pair| !imports(pair)) {
        found.push(Finding::new(
            ARROWS,
            0,
            format!("{from} => {to} is excepted, but no manifest has it: remove the line"),
        ));
    }
    for manifest in manifests.iter().filter(|manifest| rooms.contains(&manifest.name.as_str())) {
        for dependency in manifest.dependencies.iter().filter(|dependency| dependency.kind != Kind::Tests) {
            let is_excepted = excepted.contains(&(manifest.name.as_str(), dependency.name.as_str()));
            if rooms.contains(&dependency.name.as_str()) && !is_excepted {
                let sentence = format!(
                    "the room {} imports the room {}: let them meet in cli/src/house.rs, or say why in {ARROWS}",
                    manifest.name, dependency.name
                );
                found.push(Finding::new(&manifest.path, dependency.line, sentence));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{arrows, rooms_apart};
    use crate::Tree;

    const A: &str = "[package]\nname = \"aether-a\"\n[dependencies]\naether-core.workspace = true\n[dev-dependencies]\naether-b.workspace = true\n";
    const B: &str = "[package]\nname = \"aether-b\"\n";
    const LIST: &str = "# why\naether-a -> aether-core\naether-a (tests) -> aether-b\naether-b ->\n";

    fn house(list: &str) -> Tree {
        Tree::of(&[("modules/a/Cargo.toml", A), ("modules/b/Cargo.toml", B), ("docs/arrows.txt", list)])
    }

    #[test]
    fn a_list_that_matches_is_silent() {
        assert_eq!(arrows(&house(LIST)), []);
    }

    #[test]
    fn r2_an_extra_and_a_missing_arrow_are_named() {
        let found = arrows(&house("aether-a -> aether-b\naether-a (tests) -> aether-b\n"));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 3, "{text:?}");
        assert!(text[0].contains("aether-a imports aether-core, which the list does not allow"), "{text:?}");
        assert!(text[1].contains("aether-a -> aether-b is listed, but no manifest has it"), "{text:?}");
        assert!(text[2].contains("aether-b has no line"), "{text:?}");
        assert_eq!(arrows(&house("aether-a aether-core")).len(), 5);
    }

    #[test]
    fn r2_a_room_that_imports_a_room_is_named() {
        assert_eq!(rooms_apart(&house(LIST)), []);
        let close = A.replace("dev-dependencies", "build-dependencies");
        let found = rooms_apart(&Tree::of(&[("modules/a/Cargo.toml", &close), ("modules/b/Cargo.toml", B)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].sentence.contains("the room aether-a imports the room aether-b"));
        let with = |list: &str| {
            let files =
                [("modules/a/Cargo.toml", close.as_str()), ("modules/b/Cargo.toml", B), ("docs/arrows.txt", list)];
            rooms_apart(&Tree::of(&files))
        };
        assert_eq!(with("aether-a => aether-b: one list of ranges\n"), []);
        assert_eq!(with("aether-a => aether-b:\n").len(), 1);
        assert!(
            with("aether-a => aether-b: why\naether-b => aether-a: why\n")[0].sentence.contains("no manifest has it")
        );
    }
}
