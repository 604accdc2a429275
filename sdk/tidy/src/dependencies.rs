//! Every foreign crate is chosen once, in the workspace, and explained in `docs/deps.md`.

use crate::manifest::{Kind, manifests, workspace_dependencies};
use crate::{Finding, Tree};

/// One `## name` section a crate.
pub const EXPLAINED: &str = "docs/deps.md";
/// The lines of a section.
const LINES: &[&str] = &["- Problem:", "- Drags in:", "- Without it:"];

/// Foreign crates come from the workspace table, without default features, each with its three lines and a user.
#[must_use]
pub fn explained(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let sections = sections(tree.text(EXPLAINED));
    let manifests = manifests(tree);
    let foreign: Vec<_> =
        workspace_dependencies(tree).into_iter().filter(|dependency| !dependency.name.starts_with("aether-")).collect();
    for dependency in &foreign {
        let mut say = |sentence: String| found.push(Finding::new("Cargo.toml", dependency.line, sentence));
        let name = &dependency.name;
        if !dependency.value.contains("default-features = false") {
            say(format!("{name} comes with default features: write `default-features = false` and name what is used"));
        }
        if !manifests.iter().any(|manifest| manifest.dependencies.iter().any(|used| used.name == *name)) {
            say(format!("no crate uses {name}: remove it"));
        }
        match sections.iter().find(|(title, _)| title == name) {
            None => say(format!(
                "{name} has no section in {EXPLAINED}: say which problem, what it drags in, what we would do without it"
            )),
            Some((_, body)) => {
                for line in LINES.iter().filter(|line| !body.contains(**line)) {
                    say(format!("the section of {name} in {EXPLAINED} has no line `{line} …`"));
                }
            }
        }
    }
    for (title, _) in sections.iter().filter(|(title, _)| !foreign.iter().any(|dependency| dependency.name == *title)) {
        found.push(Finding::new(
            EXPLAINED,
            0,
            format!("{title} is explained, but the workspace does not depend on it: remove the section"),
        ));
    }
    for manifest in &manifests {
        for dependency in manifest.dependencies.iter().filter(|dependency| !dependency.from_workspace()) {
            let sentence = format!(
                "{} does not come from the workspace: write `{}.workspace = true`",
                dependency.name, dependency.name
            );
            found.push(Finding::new(&manifest.path, dependency.line, sentence));
        }
        for dependency in manifest.dependencies.iter().filter(|dependency| dependency.kind == Kind::Build) {
            found.push(Finding::new(
                &manifest.path,
                dependency.line,
                format!("{} is a build dependency: nothing runs before the compiler", dependency.name),
            ));
        }
    }
    found
}

/// `## name` with the text below it.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            found.push((title.trim_matches('`').to_owned(), String::new()));
        } else if let Some((_, body)) = found.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::explained;
    use crate::Tree;

    const ROOT: &str = "[workspace.dependencies]\naether-core = { path = \"core\" }\nbytes = { version = \"1\", default-features = false }\n";
    const ROOM: &str =
        "[package]\nname = \"aether-a\"\n[dependencies]\naether-core.workspace = true\nbytes.workspace = true\n";
    const DOC: &str = "# Dependencies\n\n## bytes\n- Problem: a\n- Drags in: b\n- Without it: c\n";

    fn sentences(root: &str, room: &str, doc: &str) -> Vec<String> {
        let tree = Tree::of(&[("Cargo.toml", root), ("modules/a/Cargo.toml", room), ("docs/deps.md", doc)]);
        explained(&tree).into_iter().map(|finding| finding.sentence).collect()
    }

    #[test]
    fn an_explained_dependency_is_silent() {
        assert_eq!(sentences(ROOT, ROOM, DOC), [""; 0]);
    }

    #[test]
    fn r2_each_missing_part_is_named() {
        let cases = [
            (
                sentences("[workspace.dependencies]\nbytes = { version = \"1\" }\n", ROOM, DOC),
                "comes with default features",
            ),
            (sentences(ROOT, ROOM, ""), "has no section"),
            (sentences(ROOT, ROOM, "## bytes\n- Problem: a\n- Drags in: b\n"), "has no line `- Without it:"),
            (sentences(ROOT, "[package]\nname = \"aether-a\"\n", DOC), "no crate uses bytes"),
            (sentences(ROOT, ROOM, &format!("{DOC}## gone\n")), "gone is explained"),
            (sentences(ROOT, &format!("{ROOM}hex = \"1\"\n"), DOC), "hex does not come from the workspace"),
            (
                sentences(ROOT, &format!("{ROOM}[build-dependencies]\nbytes.workspace = true\n"), DOC),
                "bytes is a build dependency",
            ),
        ];
        for (found, part) in cases {
            assert!(found.len() == 1 && found[0].contains(part), "{part} is not the one finding in {found:?}");
        }
    }
}
