//! The part of `Cargo.toml` that the rules ask about, read without a TOML library.
//!
//! The subset: tables, dotted keys, inline tables, and arrays over several lines. Cargo itself is asked for the same
//! arrows in `tests/house.rs`, so a manifest written outside the subset shows up as a difference there.

use crate::Tree;

/// Where a dependency is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `[dependencies]`, for any target.
    Normal,
    /// `[dev-dependencies]`.
    Tests,
    /// `[build-dependencies]`.
    Build,
}

/// One dependency of one crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The key, as written.
    pub name: String,
    /// Which table.
    pub kind: Kind,
    /// Everything to the right of the name.
    pub value: String,
    /// Counted from 1.
    pub line: usize,
}

impl Dependency {
    /// Whether version and source come from the workspace.
    #[must_use]
    pub fn from_workspace(&self) -> bool {
        self.value.contains("workspace = true")
    }
}

/// One crate of the workspace.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The path of the `Cargo.toml`.
    pub path: String,
    /// The folder it is in.
    pub folder: String,
    /// The package's name.
    pub name: String,
    /// In the order of the file.
    pub dependencies: Vec<Dependency>,
    /// Whether `[lints] workspace = true` is there.
    pub lints_workspace: bool,
}

impl Manifest {
    /// The paths of files of this crate start with this.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder)
    }
}

/// Every crate of the workspace, by path. The fuzz targets are a workspace of their own.
#[must_use]
pub fn manifests(tree: &Tree) -> Vec<Manifest> {
    let mut found: Vec<Manifest> = tree
        .files()
        .filter(|file| file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/"))
        .map(|file| manifest(&file.path, &file.text))
        .filter(|manifest| !manifest.name.is_empty())
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The entries of `[workspace.dependencies]` in the root manifest.
#[must_use]
pub fn workspace_dependencies(tree: &Tree) -> Vec<Dependency> {
    let entries = entries(tree.text("Cargo.toml"));
    let listed = entries.iter().filter(|entry| entry.table == "workspace.dependencies");
    listed.map(|entry| dependency(Kind::Normal, "", entry)).collect()
}

fn manifest(path: &str, text: &str) -> Manifest {
    let folder = path.trim_end_matches("/Cargo.toml").to_owned();
    let mut found = Manifest {
        path: path.to_owned(),
        folder,
        name: String::new(),
        dependencies: Vec::new(),
        lints_workspace: false,
    };
    for entry in entries(text) {
        if entry.table == "package" && entry.key == "name" {
            found.name = entry.value.trim_matches('"').to_owned();
        } else if entry.table == "lints" && entry.key == "workspace" {
            found.lints_workspace = entry.value == "true";
        } else if let Some((kind, below)) = dependency_table(&entry.table) {
            add(&mut found.dependencies, dependency(kind, below, &entry));
        }
    }
    found
}

/// A `[dependencies.name]` table arrives one key at a time: keep one dependency for all of them.
fn add(list: &mut Vec<Dependency>, new: Dependency) {
    match list.iter_mut().find(|known| known.name == new.name && known.kind == new.kind) {
        Some(known) => known.value = format!("{}, {}", known.value, new.value),
        None => list.push(new),
    }
}

fn dependency(kind: Kind, below: &str, entry: &Entry) -> Dependency {
    let (name, value) = if !below.is_empty() {
        (below.to_owned(), format!("{} = {}", entry.key, entry.value))
    } else if let Some((name, rest)) = entry.key.split_once('.') {
        (name.to_owned(), format!("{rest} = {}", entry.value))
    } else {
        (entry.key.clone(), entry.value.clone())
    };
    Dependency { name, kind, value, line: entry.line }
}

/// The kind of a dependency table, and the name when the table is that of one dependency.
fn dependency_table(table: &str) -> Option<(Kind, &str)> {
    // A target's condition may hold dots of its own: look at what follows its closing quote.
    let table = table.rsplit_once("'.").or_else(|| table.rsplit_once("\".")).map_or(table, |(_, tail)| tail);
    let (head, below) = table.split_once('.').unwrap_or((table, ""));
    let (head, below) = if head == "target" {
        below.rsplit_once('.').map_or((below, ""), |(_, last)| (last, ""))
    } else {
        (head, below)
    };
    match head {
        "dependencies" => Some((Kind::Normal, below)),
        "dev-dependencies" => Some((Kind::Tests, below)),
        "build-dependencies" => Some((Kind::Build, below)),
        _ => None,
    }
}

struct Entry {
    table: String,
    key: String,
    value: String,
    line: usize,
}

fn entries(text: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut table = String::new();
    let mut open = 0_isize;
    for (index, raw) in text.lines().enumerate() {
        let line = without_comment(raw).trim();
        if open > 0 {
            if let Some(last) = found.last_mut() {
                last.value.push(' ');
                last.value.push_str(line);
            }
            open += balance(line);
        } else if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            open = balance(value);
            found.push(Entry {
                table: table.clone(),
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
                line: index + 1,
            });
        }
    }
    found
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

fn balance(text: &str) -> isize {
    let mut open = 0;
    for letter in text.chars() {
        match letter {
            '[' | '{' => open += 1,
            ']' | '}' => open -= 1,
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::{Kind, manifests, workspace_dependencies};
    use crate::Tree;

    const MANIFEST: &str = r#"
[package]
name = "aether-a" # the name
[lints]
workspace = true
[dependencies]
one.workspace = true
two = { workspace = true, features = [
    "x",
] }
[target.'cfg(target_os = "linux")'.dependencies]
three = "1"
[dependencies.four]
version = "1"
default-features = false
[dev-dependencies]
five.workspace = true
"#;

    #[test]
    fn every_way_to_write_a_dependency_is_read() {
        let tree = Tree::of(&[("modules/a/Cargo.toml", MANIFEST), ("fuzz/Cargo.toml", MANIFEST)]);
        let found = manifests(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].name == "aether-a" && found[0].lints_workspace);
        let read: Vec<_> =
            found[0].dependencies.iter().map(|d| (d.name.as_str(), d.kind, d.from_workspace())).collect();
        let normal = Kind::Normal;
        let wanted = [
            ("one", normal, true),
            ("two", normal, true),
            ("three", normal, false),
            ("four", normal, false),
            ("five", Kind::Tests, true),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn the_workspace_table_is_read() {
        let tree = Tree::of(&[(
            "Cargo.toml",
            "[workspace.dependencies]\na = { version = \"1\", default-features = false }\n",
        )]);
        let found = workspace_dependencies(&tree);
        assert_eq!((found[0].name.as_str(), found[0].line), ("a", 2));
    }
}
