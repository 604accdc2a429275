//! The kernel stays bare and small.

use crate::manifest::manifests;
use crate::{Finding, Tree};

/// How many lines of code the kernel may have: lines that are not blank, not comments and not part of its tests.
pub const KERNEL_LINES_MAX: usize = 3_000;

const MANIFEST: &str = "core/Cargo.toml";
const ENTRY: &str = "core/src/lib.rs";

/// `no_std`, no `unsafe`, no dependency, nothing of `std` outside tests.
#[must_use]
pub fn bare(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let entry = tree.file(ENTRY).map_or("", |file| file.production.as_str());
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if !entry.contains(attribute) {
            found.push(Finding::new(
                ENTRY,
                0,
                format!("`{attribute}` is missing: the kernel is held by the compiler, not by habit"),
            ));
        }
    }
    for manifest in manifests(tree).iter().filter(|manifest| manifest.path == MANIFEST) {
        for dependency in
            manifest.dependencies.iter().filter(|dependency| dependency.kind != crate::manifest::Kind::Tests)
        {
            found.push(Finding::new(
                MANIFEST,
                dependency.line,
                format!("the kernel depends on {}: it depends on nothing", dependency.name),
            ));
        }
    }
    if tree.file("core/build.rs").is_some() {
        found.push(Finding::new("core/build.rs", 0, "the kernel has no build script: remove it"));
    }
    for file in tree.rust().filter(|file| file.path.starts_with("core/src/")) {
        for (index, line) in file.production.lines().enumerate() {
            if line.contains("std::") || line.contains("extern crate std") {
                found.push(Finding::new(
                    &file.path,
                    index + 1,
                    "`std` in the kernel: use `core` or `alloc`, or move this to a wet room",
                ));
            }
        }
    }
    found
}

/// At most [`KERNEL_LINES_MAX`] lines of code.
#[must_use]
pub fn small(tree: &Tree) -> Vec<Finding> {
    let lines: usize =
        tree.rust().filter(|file| file.path.starts_with("core/src/")).map(crate::Source::code_lines).sum();
    if lines <= KERNEL_LINES_MAX {
        return Vec::new();
    }
    vec![Finding::new(
        "core/src",
        0,
        format!(
            "{lines} lines of code outside tests (blank lines and comments not counted), at most {KERNEL_LINES_MAX} are \
             allowed: what is not kernel moves to a room"
        ),
    )]
}

#[cfg(test)]
mod tests {
    use super::{bare, small};
    use crate::Tree;

    const GOOD: &str = "//! Dry: k.\n#![no_std]\n#![forbid(unsafe_code)]\nuse core::fmt;\n#[cfg(test)]\nmod tests {\n    use std::vec;\n}\n";
    const MANIFEST: &str = "[package]\nname = \"aether-core\"\n";

    #[test]
    fn a_bare_kernel_is_silent() {
        let tree = Tree::of(&[("core/src/lib.rs", GOOD), ("core/Cargo.toml", MANIFEST)]);
        assert_eq!(bare(&tree), []);
        assert_eq!(small(&tree), []);
    }

    #[test]
    fn r2_std_dependencies_and_missing_attributes_are_named() {
        let manifest = "[package]\nname = \"aether-core\"\n[dependencies]\nserde.workspace = true\n[build-dependencies]\ncc = \"1\"\n";
        let tree = Tree::of(&[
            ("core/src/lib.rs", "//! Dry: k.\nuse std::fs;\n"),
            ("core/Cargo.toml", manifest),
            ("core/build.rs", "fn main() {}"),
        ]);
        let found = bare(&tree);
        assert_eq!(found.len(), 6, "{found:?}");
        assert!(found.iter().any(|finding| finding.path == "core/src/lib.rs" && finding.line == 2));
    }

    #[test]
    fn r2_a_kernel_that_grew_is_named() {
        let long = format!("{GOOD}{}", "fn f() {}\n".repeat(3_000));
        let found = small(&Tree::of(&[("core/src/lib.rs", &long)]));
        assert!(found[0].sentence.contains("3003 lines of code outside tests"), "{found:?}");
    }
}
