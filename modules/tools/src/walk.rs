//! A walk over everything beneath a place, in a fixed order and within limits.

use aether_core::capability::Place;
use aether_core::tool::{DirEntry, EntryKind, Hands, HandsError};

use crate::scope::explained;

/// The most entries one walk looks at.
pub(crate) const ENTRIES_MAX: usize = 50_000;
/// The most directories below one another.
pub(crate) const DEPTH_MAX: usize = 32;
/// Directories that are shown but not entered: another program's own data, of no interest to a reader.
pub(crate) const SKIPPED: [&str; 1] = [".git"];

/// One thing that was met.
pub(crate) struct Met {
    /// Relative to where the walk began, without a leading `/`; the file's own name where it began at a file.
    pub(crate) path: String,
    pub(crate) place: Place,
    pub(crate) entry: DirEntry,
}

/// What a visitor wants next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Continue,
    Enough,
}

/// What a walk left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The walk ended at [`ENTRIES_MAX`].
    pub(crate) by_entries: bool,
    /// Directories deeper than the limit.
    pub(crate) by_depth: usize,
    /// Directories that could not be listed.
    pub(crate) unreadable: usize,
}

impl LeftOut {
    /// A sentence, empty where nothing was left out.
    pub(crate) fn told(&self) -> String {
        let mut parts = Vec::new();
        if self.by_entries {
            parts.push(format!("stopped after {ENTRIES_MAX} entries; name a directory deeper down"));
        }
        if self.by_depth > 0 {
            parts.push(format!(
                "{} not entered: too deep",
                crate::page::counted(self.by_depth, "directory", "directories")
            ));
        }
        if self.unreadable > 0 {
            parts.push(format!("{} not readable", crate::page::counted(self.unreadable, "directory", "directories")));
        }
        parts.join("; ")
    }
}

/// Visits every entry beneath `start`, directories before what is in them, names in order. Links are met, not followed.
///
/// # Errors
/// A sentence if `start` itself cannot be listed, or if the call was stopped (T6).
pub(crate) fn walk(
    hands: &mut dyn Hands,
    start: &Place,
    depth_max: usize,
    mut visit: impl FnMut(&mut dyn Hands, Met) -> Result<Next, String>,
) -> Result<LeftOut, String> {
    let mut left_out = LeftOut::default();
    let first = hands.list(start).map_err(|error| explained(start, &error))?;
    let is_file = matches!(&*first, [only] if only.kind == EntryKind::File && start.as_str().ends_with(&format!("/{}", only.name)))
        && !is_directory(hands, start)?;
    if is_file {
        for entry in first {
            visit(hands, Met { path: entry.name.to_string(), place: start.clone(), entry })?;
        }
        return Ok(left_out);
    }
    // What is still to be met, the next one last.
    let mut open: Vec<(usize, Met)> = Vec::new();
    push(&mut open, start, "", 1, first);
    let mut seen = 0;
    while let Some((depth, met)) = open.pop() {
        seen += 1;
        if seen > ENTRIES_MAX {
            left_out.by_entries = true;
            break;
        }
        let is_entered = met.entry.kind == EntryKind::Directory && !SKIPPED.contains(&&*met.entry.name);
        let (path, place) = (met.path.clone(), met.place.clone());
        if visit(hands, met)? == Next::Enough {
            break;
        }
        if is_entered && depth >= depth_max {
            left_out.by_depth += 1;
        } else if is_entered {
            match hands.list(&place) {
                Ok(entries) => push(&mut open, &place, &path, depth + 1, entries),
                Err(HandsError::Stopped) => return Err(HandsError::Stopped.to_string()),
                Err(_) => left_out.unreadable += 1,
            }
        }
    }
    Ok(left_out)
}

/// A directory whose only entry has the directory's own name looks like a file that lists itself; reading tells.
fn is_directory(hands: &mut dyn Hands, start: &Place) -> Result<bool, String> {
    match hands.read(start, 0, 1) {
        Err(HandsError::WrongKind(EntryKind::Directory)) => Ok(true),
        Err(HandsError::Stopped) => Err(HandsError::Stopped.to_string()),
        _ => Ok(false),
    }
}

fn push(open: &mut Vec<(usize, Met)>, directory: &Place, path: &str, depth: usize, entries: Vec<DirEntry>) {
    for entry in entries.into_iter().rev() {
        // A name that no place can hold (it has a NUL or is `..`) does not come from a file system.
        let Ok(place) = Place::parse(&format!("{directory}/{}", entry.name)) else { continue };
        let path = if path.is_empty() { entry.name.to_string() } else { format!("{path}/{}", entry.name) };
        open.push((depth, Met { path, place, entry }));
    }
}
