//! Looking things up in the log.

use std::collections::VecDeque;

use crate::chain::Checker;
use crate::directory::Place;
use crate::error::AuditError;
use crate::line::{self, Entry};
use crate::record::Kind;
use crate::verify::Snapshot;
use crate::walk::{Lines, Source};

/// The most lines that are found at once.
pub const ENTRIES_MAX: usize = 10_000;

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The newest so many; at most [`ENTRIES_MAX`].
    pub last: usize,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Whose `task` or `trace` is this.
    pub task: Option<Box<str>>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The lines, oldest first.
    pub entries: Vec<Entry>,
    /// Lines that could not be read.
    pub unreadable: u64,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let is_of_task = |task: &str| [entry.text("task"), entry.text("trace")].contains(&Some(task));
        self.kind.is_none_or(|kind| kind == entry.kind) && self.task.as_deref().is_none_or(is_of_task)
    }
}

/// Finds lines of the log at `place`. It shows what is written, and does not say whether that is what was written:
/// that is for [`crate::verify()`].
///
/// # Errors
/// [`AuditError::Empty`], [`AuditError::Refused`], [`AuditError::Busy`].
pub fn read(place: &Place, key: &[u8; 32], check: Checker, filter: &Filter) -> Result<Found, AuditError> {
    let snapshot = Snapshot::take(place, key, check)?;
    let limit = snapshot.limit();
    let mut lines = Lines::new(Source::Pieces(&snapshot.pieces));
    let (mut entries, mut unreadable) = (VecDeque::new(), 0);
    let last = filter.last.min(ENTRIES_MAX);
    while lines.advance().map_err(|error| AuditError::refused("read", &place.directory, &error))? {
        if (lines.at.file, lines.at.end) > limit {
            break;
        }
        match line::parse(&lines.bytes) {
            Ok(entry) if filter.takes(&entry) => {
                entries.push_back(entry);
                if entries.len() > last {
                    entries.pop_front();
                }
            }
            Ok(_) => {}
            Err(_) => unreadable += 1,
        }
    }
    Ok(Found { entries: entries.into(), unreadable })
}
