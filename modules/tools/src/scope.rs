//! Paths as a model writes them, and the places they mean.

use aether_core::capability::{Capability, Place};
use aether_core::config::nearest;
use aether_core::label::{Label, Origin};
use aether_core::tool::{Act, Acts, HandsError, Needs};

/// The root that relative paths start from.
const WORKSPACE: &str = "$workspace";
/// The longest path, as on Linux (`PATH_MAX`).
const PATH_BYTES_MAX: usize = 4096;

/// Where the paths of a task may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The workspace's absolute path, so that an absolute path within it is understood. Empty if unknown.
    workspace_path: Box<str>,
    /// Further roots, such as `$notes`.
    others: Vec<Box<str>>,
}

impl Scope {
    /// The workspace alone. `workspace_path` is its absolute path, or empty where absolute paths are not taken.
    #[must_use]
    pub fn workspace(workspace_path: &str) -> Scope {
        Scope { workspace_path: workspace_path.trim_end_matches('/').into(), others: Vec::new() }
    }

    /// The same and a further root. What is beneath it counts as private ([`Act::ReadPrivate`]).
    #[must_use]
    pub fn with_root(mut self, name: &str) -> Scope {
        self.others.push(name.into());
        self
    }

    /// Every place that may be named.
    pub(crate) fn places(&self) -> Vec<Place> {
        let names = std::iter::once(WORKSPACE).chain(self.others.iter().map(|name| &**name));
        names.filter_map(|name| Place::parse(name).ok()).collect()
    }

    /// The place that a path means: relative to the workspace, absolute within it, or starting with a root.
    /// `.` and `..` are worked out on the text alone (T3).
    ///
    /// # Errors
    /// A sentence for the model when the path leads out of its root.
    pub fn place(&self, path: &str) -> Result<Place, String> {
        if path.len() > PATH_BYTES_MAX {
            return Err(format!("the path has {} bytes; at most {PATH_BYTES_MAX} are taken", path.len()));
        }
        let (root, rest) = self.split(path)?;
        let mut parts: Vec<&str> = Vec::new();
        for part in rest.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.pop().is_none() => {
                    return Err(format!("`{path}` leads out of {}; paths stay inside it", told(root)));
                }
                ".." => {}
                part => parts.push(part),
            }
        }
        let mut full = root.to_owned();
        for part in parts {
            full.push('/');
            full.push_str(part);
        }
        Place::parse(&full).map_err(|malformed| malformed.to_string())
    }

    fn split<'a>(&'a self, path: &'a str) -> Result<(&'a str, &'a str), String> {
        if path.starts_with('$') {
            let (root, rest) = path.split_once('/').unwrap_or((path, ""));
            if root == WORKSPACE || self.others.iter().any(|name| &**name == root) {
                return Ok((root, rest));
            }
            let known = std::iter::once(WORKSPACE).chain(self.others.iter().map(|name| &**name));
            let near = nearest(root, known).unwrap_or(WORKSPACE);
            return Err(format!("there is no root `{root}`; did you mean `{near}`? a file of that name is `./{path}`"));
        }
        if path.starts_with('/') {
            let inside = path.strip_prefix(&*self.workspace_path).filter(|_| !self.workspace_path.is_empty());
            return match inside {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok((WORKSPACE, rest)),
                _ => Err(format!("`{path}` is outside the workspace; give a path relative to the workspace")),
            };
        }
        if path == "~" || path.starts_with("~/") {
            return Err(format!("`{path}` is outside the workspace; give a path relative to the workspace"));
        }
        Ok((WORKSPACE, path))
    }

    /// What reading these places needs.
    pub(crate) fn reading(&self, place: Place) -> Needs {
        Needs { acts: read_acts(&place), capability: Capability::default().with_read(vec![place]), label: file_label() }
    }

    /// The acts of a tool that reads, over everything it may be asked for.
    pub(crate) fn read_acts(&self) -> Acts {
        let all = self.places().iter().fold(Acts::NONE, |acts, place| acts.union(read_acts(place)));
        all.union(Acts::of(&[Act::ReadWorkspace]))
    }
}

/// What is read from files is private.
#[must_use]
pub fn file_label() -> Label {
    Label::from(Origin::Tool).private()
}

/// The act of reading a place.
pub(crate) fn read_acts(place: &Place) -> Acts {
    let is_workspace = place.as_str().split('/').next() == Some(WORKSPACE);
    Acts::of(&[if is_workspace { Act::ReadWorkspace } else { Act::ReadPrivate }])
}

/// A place as the model should write it: relative to the workspace, `.` for the workspace itself.
pub(crate) fn shown(place: &Place) -> &str {
    let path = place.as_str();
    match path.strip_prefix(WORKSPACE) {
        Some("") => ".",
        Some(rest) => rest.strip_prefix('/').unwrap_or(path),
        None => path,
    }
}

/// What went wrong at a place, as a sentence with the next step.
pub(crate) fn explained(place: &Place, error: &HandsError) -> String {
    let next = match error {
        HandsError::Stopped => return error.to_string(),
        HandsError::Missing => "; find_files finds files by name",
        HandsError::WrongKind(aether_core::tool::EntryKind::Directory) => "; list_dir shows what is in it",
        _ => "",
    };
    format!("`{}`: {error}{next}", shown(place))
}

fn told(root: &str) -> &str {
    if root == WORKSPACE { "the workspace" } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_places_beneath_their_root() {
        let scope = Scope::workspace("/home/ada/project/").with_root("$notes");
        let cases = [
            ("", "$workspace"),
            (".", "$workspace"),
            ("a/b.txt", "$workspace/a/b.txt"),
            ("./a//b/../c/", "$workspace/a/c"),
            ("a/../b/./../c", "$workspace/c"),
            ("$workspace/x", "$workspace/x"),
            ("$notes", "$notes"),
            ("$notes/a/../b", "$notes/b"),
            ("/home/ada/project", "$workspace"),
            ("/home/ada/project/src/../lib.rs", "$workspace/lib.rs"),
            ("./$workspace", "$workspace/$workspace"),
            ("a~/~", "$workspace/a~/~"),
            ("...", "$workspace/..."),
        ];
        for (path, wanted) in cases {
            assert_eq!(scope.place(path).map(|p| p.to_string()), Ok(wanted.to_owned()), "{path}");
        }
        assert_eq!(shown(&scope.place(".").unwrap()), ".");
        assert_eq!(shown(&scope.place("a/b").unwrap()), "a/b");
        assert_eq!(shown(&scope.place("$notes/a").unwrap()), "$notes/a");
    }

    #[test]
    fn t3_paths_that_leave_are_refused_with_a_sentence() {
        let scope = Scope::workspace("/home/ada/project").with_root("$notes");
        let cases = [
            ("..", "`..` leads out of the workspace; paths stay inside it"),
            ("a/../../b", "`a/../../b` leads out of the workspace; paths stay inside it"),
            ("$notes/../x", "`$notes/../x` leads out of $notes; paths stay inside it"),
            ("/etc/passwd", "`/etc/passwd` is outside the workspace; give a path relative to the workspace"),
            (
                "/home/ada/projects",
                "`/home/ada/projects` is outside the workspace; give a path relative to the workspace",
            ),
            ("/home/ada/project/../x", "`/home/ada/project/../x` leads out of the workspace; paths stay inside it"),
            ("~/x", "`~/x` is outside the workspace; give a path relative to the workspace"),
            ("$note/x", "there is no root `$note`; did you mean `$notes`? a file of that name is `./$note/x`"),
        ];
        for (path, wanted) in cases {
            assert_eq!(scope.place(path).unwrap_err(), wanted);
        }
        assert!(scope.place("a\0b").unwrap_err().contains("NUL"));
        assert!(scope.place(&"a/".repeat(3_000)).unwrap_err().contains("at most 4096"));
        assert!(Scope::workspace("").place("/x").is_err());
    }
}
