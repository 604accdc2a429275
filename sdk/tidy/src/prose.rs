//! Documents: no words from a workshop, no link that leads nowhere.

use crate::{Finding, Tree};

/// Words that belong to an unfinished text. They are built from halves so that this file is not its own finding.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Places that exist on one machine only.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("../sha", "red/"), concat!("/tmp/bri", "efs")];

/// No note to oneself and no path of one machine, in documents, code and scripts.
#[must_use]
pub fn words(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| is_prose(&file.path) || file.text.starts_with("#!")) {
        for (index, line) in file.text.lines().enumerate() {
            let remark = if file.path.ends_with(".rs") { remark(line) } else { line };
            for word in UNFINISHED.iter().filter(|word| has_word(remark, word)) {
                found.push(Finding::new(&file.path, index + 1, format!("`{word}`: finish it, or leave it out")));
            }
            for place in PLACES.iter().filter(|place| opens_path(line, place)) {
                found.push(Finding::new(
                    &file.path,
                    index + 1,
                    format!("`{place}` exists on one machine only: write a path that a reader has"),
                ));
            }
        }
    }
    found
}

fn is_prose(path: &str) -> bool {
    [".md", ".rs", ".toml", ".yml", ".txt", ".play"].iter().any(|ending| path.ends_with(ending))
}

/// The plain comment of a line of Rust: code may look for such words in other people's texts, and its documentation may say so.
fn remark(line: &str) -> &str {
    let found = line.split_once("//").map_or("", |(_, rest)| rest);
    if found.starts_with(['/', '!']) { "" } else { found }
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| !letter.is_alphanumeric()).any(|part| part == word)
}

/// Whether `place` occurs where a path begins, not in the middle of a longer one.
fn opens_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at].ends_with(|letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '/'))
    })
}

/// Every relative link of a document leads to a file or a folder of the repository.
#[must_use]
pub fn links(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| file.path.ends_with(".md")) {
        let mut fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            for target in targets(line).into_iter().filter(|_| !fenced) {
                if !resolves(tree, &file.path, target) {
                    found.push(Finding::new(&file.path, index + 1, format!("the link to `{target}` leads nowhere")));
                }
            }
        }
    }
    found
}

/// What stands in `](…)`, outside of inline code.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (part, text) in line.split('`').enumerate() {
        // Odd parts stand between backquotes. A link's text may be code, so `](` may open a part.
        if part % 2 == 1 {
            continue;
        }
        for piece in text.split("](").skip(1) {
            if let Some((target, _)) = piece.split_once(')') {
                found.push(target.split_whitespace().next().unwrap_or(""));
            }
        }
    }
    found
}

fn resolves(tree: &Tree, from: &str, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or("");
    if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> =
        if path.starts_with('/') { Vec::new() } else { folder.split('/').filter(|part| !part.is_empty()).collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            part => parts.push(part),
        }
    }
    let wanted = parts.join("/");
    let below = format!("{wanted}/");
    wanted.is_empty() || tree.files().any(|file| file.path == wanted || file.path.starts_with(&below))
}

#[cfg(test)]
mod tests {
    use super::{links, words};
    use crate::Tree;

    #[test]
    fn r2_unfinished_words_and_local_paths_are_named() {
        let text = format!(
            "a {} b\nsee `{}x`\nhome{}x\nmktemp aXXXXXX\n",
            concat!("TO", "DO"),
            concat!("/wo", "rk/"),
            concat!("/wo", "rk/")
        );
        let lines: Vec<usize> = words(&Tree::of(&[("docs/a.md", &text)])).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [1, 2]);
        let code = format!("let looked_for = \"{0}\";\n/// Finds {0}.\nstep(); // {0}: more\n", concat!("FIX", "ME"));
        let lines: Vec<usize> = words(&Tree::of(&[("a/src/a.rs", &code)])).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [3]);
    }

    #[test]
    fn r2_links_that_lead_nowhere_are_named() {
        let text = "[a](b.md) [c](../core) [`d`](gone.md \"title\")\n`[code](no.md)` [e](https://x.y) [f](#here) [g](../../out.md)\n```\n[fenced](no.md)\n```\n[h](b.md#part)\n";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("core/src/lib.rs", "")]);
        let found: Vec<String> = links(&tree).into_iter().map(|finding| finding.sentence).collect();
        assert_eq!(found, ["the link to `gone.md` leads nowhere", "the link to `../../out.md` leads nowhere"]);
    }
}
