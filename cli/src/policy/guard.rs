//! What holds for a call beside the kernel's gate: hosts that policy denies, and this program's own files.

use std::path::{Path, PathBuf};

use aether_core::capability::{Network, Place};
use aether_core::tool::Authorized;
use aether_manifest::{DeniedHost, PolicyFile};
use aether_session::Directories;

/// Looked at right before a call runs.
pub(crate) struct Guard {
    hosts_denied: Vec<DeniedHost>,
    /// Where configuration, policy and keys lie within the workspace, if they do.
    own: Vec<Place>,
}

impl Guard {
    /// For one workspace, which is absolute and without links.
    pub(crate) fn new(policy: &PolicyFile, directories: &Directories, workspace: &Path) -> Guard {
        let place = |directory: &Path| within(workspace, &real(directory));
        let own =
            [&directories.config, &directories.data].into_iter().filter_map(|directory| place(directory)).collect();
        Guard { hosts_denied: policy.hosts_denied().to_vec(), own }
    }

    /// Why the call does not run, if it does not. A model never writes what decides what a model may do. That nothing
    /// there is read, listed or replaced is the hands' work; what is said here is why, and that no directory of ours is
    /// made before we make it. For that names are enough, because hands follow no link when they write.
    pub(crate) fn refusal(&self, call: &Authorized) -> Option<String> {
        let capability = &call.needs().capability;
        if let Some(place) = capability.write().iter().find(|place| self.own.iter().any(|own| covers(own, place))) {
            return Some(format!(
                "refused: {place} belongs to this program's own configuration, which no tool may change; ask the person to change it with `aether config` or `aether policy`"
            ));
        }
        let Network::Hosts(hosts) = &capability.network else { return None };
        let denied = hosts.iter().find(|host| self.hosts_denied.iter().any(|denied| denied.covers(host)))?;
        Some(format!("refused: policy denies the host {denied} to everybody"))
    }
}

/// As [`Place::covers`], in any case of letters: some file systems make no difference.
fn covers(own: &Place, place: &Place) -> bool {
    let lower = |place: &Place| Place::parse(&place.as_str().to_lowercase()).ok();
    match (lower(own), lower(place)) {
        (Some(own), Some(place)) => own.covers(&place),
        // What has no lower case is no other name.
        _ => own.covers(place),
    }
}

/// The directory without links, as far as it exists.
fn real(directory: &Path) -> PathBuf {
    let mut missing = PathBuf::new();
    for ancestor in directory.ancestors() {
        if let Ok(real) = std::fs::canonicalize(ancestor) {
            return real.join(missing);
        }
        if let Some(name) = ancestor.file_name() {
            missing = Path::new(name).join(missing);
        }
    }
    directory.to_owned()
}

/// The directory as a place of the workspace; the whole workspace where it lies in the directory.
fn within(workspace: &Path, directory: &Path) -> Option<Place> {
    if workspace.starts_with(directory) {
        return Place::parse("$workspace").ok();
    }
    let rest = directory.strip_prefix(workspace).ok()?;
    Place::parse(&format!("$workspace/{}", rest.to_string_lossy().replace('\\', "/"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_are_known_within_and_around_the_workspace() {
        let place = |workspace: &str, directory: &str| {
            within(Path::new(workspace), Path::new(directory)).map(|place| place.as_str().to_owned())
        };
        assert_eq!(place("/home/a", "/home/a/.config/aether").as_deref(), Some("$workspace/.config/aether"));
        assert_eq!(place("/home/a/.config/aether/x", "/home/a/.config/aether").as_deref(), Some("$workspace"));
        assert_eq!(place("/", "/home/a/.config/aether").as_deref(), Some("$workspace/home/a/.config/aether"));
        assert_eq!(place("/home/a/project", "/home/a/.config/aether"), None);
        let own = Place::parse("$workspace/.config/aether").unwrap();
        for (path, is_own) in
            [(".config/aether/policy.toml", true), (".CONFIG/Aether/x", true), (".config/aetherx", false)]
        {
            assert_eq!(covers(&own, &Place::parse(&format!("$workspace/{path}")).unwrap()), is_own, "{path}");
        }
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_known_by_the_one_above() {
        let root = std::fs::canonicalize(std::env::temp_dir()).unwrap();
        assert_eq!(real(&root.join("no-such-directory/aether")), root.join("no-such-directory/aether"));
    }
}
