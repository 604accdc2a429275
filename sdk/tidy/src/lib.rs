//! Dry: the house rules as functions over a tree of texts.
//!
//! What it is: every hard rule of this repository is a function from a [`Tree`] to the [`Finding`]s that break it.
//! `tests/house.rs` reads the working copy and asks each rule; the unit tests beside a rule show it failing on a
//! small broken tree. Two gates live here for the same reason: promised numbers ([`spec`]) and kernel coverage
//! ([`coverage`]) are comparisons of texts.
//!
//! What is not here: reading files, running programs, and any repair. A rule that rustc, clippy or cargo-deny already
//! holds is not written again.
//!
//! Invariants:
//! - R1: a rule never changes or orders the tree; the same tree gives the same findings.
//! - R2: every rule has a test in which it finds something.
//! - R3: text inside strings and comments is never taken for code.

pub mod arrows;
pub mod coverage;
pub mod dependencies;
mod items;
pub mod kernel;
pub mod manifest;
pub mod names;
pub mod prose;
pub mod rooms;
pub mod sizes;
mod source;
pub mod spec;

use std::fmt;

pub use source::{Source, Tree};

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the root of the repository.
    pub path: String,
    /// The line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What was found and what is wanted instead.
    pub sentence: String,
}

impl Finding {
    /// A finding about `line` of `path`; line 0 means the file as a whole.
    #[must_use]
    pub fn new(path: &str, line: usize, sentence: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, sentence: sentence.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.sentence),
            line => write!(out, "{}:{line}: {}", self.path, self.sentence),
        }
    }
}

/// A rule with the name under which it is reported.
pub type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every rule of the house, in the order of the reading in `CONTRIBUTING.md`.
pub const RULES: &[Rule] = &[
    ("arrows", arrows::arrows),
    ("rooms_apart", arrows::rooms_apart),
    ("kernel_bare", kernel::bare),
    ("kernel_small", kernel::small),
    ("first_line", rooms::first_line),
    ("dry_or_wet", rooms::dry_or_wet),
    ("dry_is_dry", rooms::dry_is_dry),
    ("invariants_cited", rooms::invariants_cited),
    ("lints_and_tests", rooms::lints_and_tests),
    ("unsafe_listed", rooms::unsafe_listed),
    ("functions", sizes::functions),
    ("types", sizes::types),
    ("files", sizes::files),
    ("forbidden_names", names::forbidden_names),
    ("escapes", names::escapes),
    ("painted_checks", names::painted_checks),
    ("dependencies", dependencies::explained),
    ("words", prose::words),
    ("links", prose::links),
];

/// All findings of all rules, each with its rule's name.
#[must_use]
pub fn findings(tree: &Tree) -> Vec<(&'static str, Finding)> {
    RULES.iter().flat_map(|(name, rule)| rule(tree).into_iter().map(move |found| (*name, found))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Tree, findings};

    #[test]
    fn r1_the_same_tree_gives_the_same_findings() {
        let tree = Tree::of(&[("modules/a/src/lib.rs", "fn f() {}\n"), ("docs/x.md", "[gone](gone.md)\n")]);
        let first = findings(&tree);
        assert!(!first.is_empty());
        assert_eq!(first, findings(&tree));
    }

    #[test]
    fn a_finding_reads_as_place_and_sentence() {
        assert_eq!(super::Finding::new("a.rs", 3, "too long").to_string(), "a.rs:3: too long");
        assert_eq!(super::Finding::new("a.rs", 0, "too long").to_string(), "a.rs: too long");
    }
}
