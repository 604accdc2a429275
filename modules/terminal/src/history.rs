//! The lines of earlier, in a file of their owner alone.
//!
//! One entry a line; a line break within an entry is `\n` and a backslash is `\\`.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::options::HISTORY_ENTRIES_MAX;

/// The longest entry that is written down, in bytes; longer ones were pasted and are found where they came from.
const ENTRY_BYTES_MAX: usize = 64 << 10;
/// How much of the end of a file is read, in bytes.
const READ_BYTES_MAX: u64 = 4 << 20;

/// What was typed before.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<String>,
    path: Option<PathBuf>,
    /// Which entry is shown; `entries.len()` for the line being typed.
    at: usize,
    draft: String,
}

impl History {
    /// The history in `path`, which need not exist; without a path it is forgotten at the end.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn open(path: Option<PathBuf>) -> io::Result<History> {
        let mut history = History::default();
        if let Some(path) = &path {
            let (entries, is_overlong) = load(path)?;
            history.entries = entries;
            if is_overlong {
                rewrite(path, &history.entries)?;
            }
        }
        history.at = history.entries.len();
        history.path = path;
        Ok(history)
    }

    /// Remembers a line, unless it repeats the last one or begins with a blank.
    ///
    /// # Errors
    /// The file cannot be written; from then on it is left alone.
    pub(crate) fn add(&mut self, line: &str) -> io::Result<()> {
        self.draft.clear();
        let is_new = self.entries.back().is_none_or(|last| last != line);
        if is_new && !line.trim().is_empty() && !line.starts_with(char::is_whitespace) && line.len() <= ENTRY_BYTES_MAX
        {
            if self.entries.len() == HISTORY_ENTRIES_MAX {
                self.entries.pop_front();
            }
            self.entries.push_back(line.to_owned());
        }
        self.at = self.entries.len();
        let is_added = is_new && self.entries.back().is_some_and(|last| last == line);
        let (Some(path), true) = (&self.path, is_added) else { return Ok(()) };
        let written = options().append(true).create(true).open(path).and_then(|mut file| {
            // In one write, so that two processes do not mix their lines.
            file.write_all(written(line).as_bytes())
        });
        if written.is_err() {
            self.path = None;
        }
        written
    }

    /// The entry before the one shown; `line` is what is being typed.
    pub(crate) fn older(&mut self, line: &str) -> Option<String> {
        let at = self.at.checked_sub(1)?;
        if self.at == self.entries.len() {
            self.draft = line.to_owned();
        }
        self.at = at;
        self.entries.get(at).cloned()
    }

    /// The entry after the one shown, and at last what was being typed.
    pub(crate) fn newer(&mut self) -> Option<String> {
        if self.at == self.entries.len() {
            return None;
        }
        self.at += 1;
        Some(self.entries.get(self.at).cloned().unwrap_or_else(|| std::mem::take(&mut self.draft)))
    }

    /// The newest entry that contains `wanted`, older than the `skip` newest ones that do.
    pub(crate) fn found(&self, wanted: &str, skip: usize) -> Option<&str> {
        self.entries.iter().rev().filter(|entry| entry.contains(wanted)).nth(skip).map(String::as_str)
    }

    /// Back to the line being typed.
    pub(crate) fn leave(&mut self) {
        self.at = self.entries.len();
        self.draft.clear();
    }
}

fn written(entry: &str) -> String {
    format!("{}\n", entry.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', ""))
}

fn read_entry(line: &str) -> String {
    let mut entry = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n') => entry.push('\n'),
                Some(other) => entry.push(other),
                None => entry.push('\\'),
            },
            c => entry.push(c),
        }
    }
    entry
}

/// The newest entries of a file, and whether it holds many more.
fn load(path: &Path) -> io::Result<(VecDeque<String>, bool)> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((VecDeque::new(), false)),
        file => file?,
    };
    let bytes = file.metadata()?.len();
    let skipped = bytes.saturating_sub(READ_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut text = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut text)?;
    restrict(path)?;
    let text = String::from_utf8_lossy(&text);
    // Where the beginning was skipped, the first line is a part of one.
    let lines = text.lines().skip(usize::from(skipped > 0)).filter(|line| !line.is_empty());
    let mut entries = VecDeque::new();
    let mut count = 0;
    for line in lines {
        count += 1;
        if entries.len() == HISTORY_ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(read_entry(line));
    }
    Ok((entries, skipped > 0 || count > 2 * HISTORY_ENTRIES_MAX))
}

/// Writes a shorter file in the place of a long one; a reader sees one or the other.
fn rewrite(path: &Path, entries: &VecDeque<String>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let all: String = entries.iter().map(|entry| written(entry)).collect();
    let mut file = options().write(true).create(true).truncate(true).open(&beside)?;
    let moved = file.write_all(all.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        // It is of no use to anybody; that it may stay behind changes nothing in what to report.
        drop(fs::remove_file(&beside));
    }
    moved
}

#[cfg(unix)]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Elsewhere the access list of its directory is inherited.
#[cfg(not(unix))]
fn options() -> OpenOptions {
    OpenOptions::new()
}

/// Takes a file that others could read away from them.
#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_newest_first_and_the_draft_last() {
        let mut history = History::open(None).unwrap();
        for line in ["one", "two", "two", " secret", ""] {
            history.add(line).unwrap();
        }
        assert_eq!(history.older("draft").as_deref(), Some("two"));
        assert_eq!(history.older("").as_deref(), Some("one"));
        assert_eq!(history.older(""), None);
        assert_eq!(history.newer().as_deref(), Some("two"));
        assert_eq!(history.newer().as_deref(), Some("draft"));
        assert_eq!(history.newer(), None);
        assert_eq!(history.found("o", 1), Some("one"));
    }

    #[test]
    fn a_file_keeps_them_with_their_line_breaks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let entry = "a\nb \\n c\\";
        History::open(Some(path.clone())).unwrap().add(entry).unwrap();
        assert_eq!(History::open(Some(path)).unwrap().older("").as_deref(), Some(entry));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone_even_if_it_was_not() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let new = directory.path().join("new");
        History::open(Some(new.clone())).unwrap().add("x").unwrap();
        assert_eq!(mode(&new), 0o600);
        let old = directory.path().join("old");
        fs::write(&old, "x\n").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
        History::open(Some(old.clone())).unwrap();
        assert_eq!(mode(&old), 0o600);
    }

    #[test]
    fn y6_a_file_that_has_grown_long_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let lines: String = (0..2 * HISTORY_ENTRIES_MAX + 1).map(|n| format!("line {n}\n")).collect();
        fs::write(&path, lines).unwrap();
        let mut history = History::open(Some(path.clone())).unwrap();
        assert_eq!(history.older("").as_deref(), Some("line 2000"));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), HISTORY_ENTRIES_MAX);
    }
}
