//! Names that say nothing, and ways around a check.

use crate::{Finding, Tree};

/// Folders, files and crates are named for what they are.
const FORBIDDEN: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"];

/// No folder or file with a name that says nothing.
#[must_use]
pub fn forbidden_names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files() {
        for part in file.path.split('/') {
            let stem = part.split('.').next().unwrap_or(part).to_lowercase();
            if stem.split(['-', '_']).any(|word| FORBIDDEN.contains(&word)) {
                found.push(Finding::new(&file.path, 0, format!("`{part}` says nothing: name it for its one noun")));
            }
        }
    }
    found
}

/// Words in code with which a check is escaped, and why each is not allowed. No blanks: the code is compared without them.
const ESCAPES: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run is not a test"),
    ("allow(dead_code", "remove what nobody uses"),
    ("expect(dead_code", "remove what nobody uses"),
    ("todo!(", "finish it or leave it out"),
    ("unimplemented!(", "finish it or leave it out"),
];

/// No ignored test, no dead code kept alive, no hole in the code.
#[must_use]
pub fn escapes(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for (index, line) in file.code.lines().enumerate() {
            let line: String = line.split_whitespace().collect();
            for (word, reason) in ESCAPES.iter().filter(|(word, _)| line.contains(word)) {
                found.push(Finding::new(&file.path, index + 1, format!("`{word}`: {reason}")));
            }
        }
    }
    found
}

/// What lets a script go on after a failure.
const PAINT: &[&str] = &["|| true", "|| :", "|| exit 0", "set +e", "continue-on-error: true"];

/// No check with `|| true` behind it, and every shell script stops at the first failure.
#[must_use]
pub fn painted_checks(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files() {
        let script = file.text.starts_with("#!") && file.text.lines().next().is_some_and(|line| line.ends_with("sh"));
        let workflow = file.path.starts_with(".github/");
        if !script && !workflow {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            for paint in PAINT.iter().filter(|paint| line.contains(*paint)) {
                found.push(Finding::new(
                    &file.path,
                    index + 1,
                    format!("`{paint}` hides a failure: let it fail, or test for the case"),
                ));
            }
        }
        if script && !file.text.contains("set -euo pipefail") {
            found.push(Finding::new(
                &file.path,
                1,
                "`set -euo pipefail` is missing: a script stops at its first failure",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{escapes, forbidden_names, painted_checks};
    use crate::Tree;

    #[test]
    fn r2_names_that_say_nothing_are_named() {
        let tree = Tree::of(&[
            ("a/src/utils.rs", ""),
            ("a/tests/common/mod.rs", ""),
            ("a/task-manager/x.md", ""),
            ("a/src/command.rs", ""),
        ]);
        assert_eq!(forbidden_names(&tree).len(), 3);
    }

    #[test]
    fn r2_escapes_are_named_and_strings_are_not() {
        let tree = Tree::of(&[(
            "a/src/a.rs",
            "//! todo!()\n#[ignore]\n#[allow( dead_code)]\nfn f() { todo!() }\nlet s = \"todo!()\";\n",
        )]);
        let lines: Vec<usize> = escapes(&tree).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn r2_painted_checks_are_named() {
        let tree = Tree::of(&[
            ("scripts/a", "#!/usr/bin/env bash\nset -euo pipefail\ncargo test || true\n"),
            ("scripts/b", "#!/usr/bin/env bash\ncargo test\n"),
            (".github/workflows/c.yml", "steps:\n  - continue-on-error: true\n"),
            ("docs/d.md", "never write || true\n"),
        ]);
        let places: Vec<String> =
            painted_checks(&tree).iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect();
        assert_eq!(places, ["scripts/a:3", "scripts/b:1", ".github/workflows/c.yml:2"]);
    }
}
