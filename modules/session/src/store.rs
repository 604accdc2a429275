//! All sessions of one person.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use aether_core::transcript::Entry;

use crate::error::StoreError;
use crate::lines::{self, RECORD_BYTES_MAX};
use crate::naming;
use crate::private;
use crate::record::{Damage, PERSON_HEAD, Record, parse, session_line};
use crate::session::{End, SESSION_BYTES_MAX, Session, lock};

/// The most sessions that one list shows.
pub const LIST_MAX: usize = 1_000;

/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 80;

const EXTENSION: &str = "jsonl";

/// All sessions in one directory. Making one touches nothing.
#[derive(Clone, Debug)]
pub struct SessionStore {
    directory: PathBuf,
    codecs: &'static [&'static str],
}

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// What was said and done, oldest first.
    pub entries: Vec<Entry>,
    /// When the session was made, in milliseconds since 1970; 0 where its first line is lost.
    pub made_unix_ms: u64,
    /// The workspace it was made in; empty where its first line is lost.
    pub workspace: String,
    /// Lines of kinds and versions that this program does not know. They stay in the file.
    pub skipped: u32,
    /// Lines that cannot be read. They stay in the file.
    pub damaged: u32,
    /// Bytes of a torn last line. They are set aside before the next append.
    pub torn_bytes: u64,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub id: String,
    /// The first line of the first goal; empty where there is none yet.
    pub title: String,
    /// How often the person spoke.
    pub turns: u32,
    /// When it was last appended to, in milliseconds since 1970.
    pub changed_unix_ms: u64,
    /// The size of its file.
    pub bytes: u64,
}

impl SessionStore {
    /// The sessions in `directory`, which is made when the first one is. `codecs` are the names of the codecs that
    /// this program has; a turn that another one has read is marked `unknown`.
    #[must_use]
    pub fn new(directory: PathBuf, codecs: &'static [&'static str]) -> SessionStore {
        SessionStore { directory, codecs }
    }

    /// Begins a session at `now_unix_ms`, milliseconds since 1970. Its name is that moment in UTC, so that names sort
    /// by time; no other process gets the same.
    ///
    /// # Errors
    /// [`StoreError::Refused`], [`StoreError::Crowded`].
    pub fn create(&self, now_unix_ms: u64, workspace: &str) -> Result<Session, StoreError> {
        let (id, file) = naming::create(&self.directory, now_unix_ms, EXTENSION)?;
        let lock = lock(&self.directory, &id)?;
        let mut session = Session::new(&id, self.path(&id), file, lock);
        if let Err(error) = session.append_text(session_line(&id, now_unix_ms, workspace)) {
            // A session that never began is not listed; if it cannot be removed either, the first error says why.
            let _removed = std::fs::remove_file(session.path());
            return Err(error);
        }
        private::sync_directory(&self.directory)?;
        Ok(session)
    }

    /// The newest sessions, the newest first; at most `count_max` of them and at most [`LIST_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn list(&self, count_max: usize) -> Result<Vec<Summary>, StoreError> {
        let names = naming::names(&self.directory, EXTENSION)?;
        names.into_iter().rev().take(count_max.min(LIST_MAX)).map(|id| self.summary(id)).collect()
    }

    /// The name of the newest session, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn latest(&self) -> Result<Option<String>, StoreError> {
        Ok(naming::names(&self.directory, EXTENSION)?.pop())
    }

    /// The name of the one session whose name is or begins with `given`.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] with the nearest name, [`StoreError::Ambiguous`], [`StoreError::Refused`].
    pub fn find(&self, given: &str) -> Result<String, StoreError> {
        naming::find(&naming::names(&self.directory, EXTENSION)?, "session", given)
    }

    /// What the session called, or beginning with, `given` holds at this moment.
    ///
    /// # Errors
    /// As [`SessionStore::find`], and [`StoreError::TooLarge`].
    pub fn read(&self, given: &str) -> Result<Resumed, StoreError> {
        let path = self.path(&self.find(given)?);
        let mut file = File::open(&path).map_err(|error| StoreError::refused("read", &path, &error))?;
        Ok(self.contents(&path, &mut file)?.0)
    }

    /// Goes on with the session called, or beginning with, `given`.
    ///
    /// # Errors
    /// As [`SessionStore::read`], and [`StoreError::InUse`] while another process has it (D3).
    pub fn resume(&self, given: &str) -> Result<(Session, Resumed), StoreError> {
        let id = self.find(given)?;
        let lock = lock(&self.directory, &id)?;
        let path = self.path(&id);
        let opened = File::options().read(true).append(true).open(&path);
        let mut file = opened.map_err(|error| StoreError::refused("open", &path, &error))?;
        let (resumed, end) = self.contents(&path, &mut file)?;
        Ok((Session::new(&id, path, file, lock).ending(end), resumed))
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.{EXTENSION}"))
    }

    /// Reads every line, and how the file ends.
    fn contents(&self, path: &Path, file: &mut File) -> Result<(Resumed, End), StoreError> {
        let refused = |error| StoreError::refused("read", path, &error);
        let bytes = file.metadata().map_err(refused)?.len();
        if bytes > SESSION_BYTES_MAX {
            return Err(StoreError::TooLarge { path: path.to_owned(), bytes, bytes_max: SESSION_BYTES_MAX });
        }
        file.seek(SeekFrom::Start(0)).map_err(refused)?;
        let mut reader = BufReader::new(file.take(SESSION_BYTES_MAX));
        let mut resumed = Resumed::default();
        let mut buffer = Vec::new();
        let (mut end, mut offset) = (End::Whole, 0);
        while let Some(line) = lines::next(&mut reader, &mut buffer, RECORD_BYTES_MAX).map_err(refused)? {
            if matches!(end, End::Torn(_)) {
                // Something follows it after all, so it is no torn end but a damaged line.
                resumed.damaged = resumed.damaged.saturating_add(1);
            }
            end = if line.is_ended { End::Whole } else { End::Unbroken };
            match parse(&buffer, self.codecs) {
                Ok(Record::Entry(entry)) => resumed.entries.push(entry),
                Ok(Record::Session { made_unix_ms, workspace }) => {
                    resumed.made_unix_ms = made_unix_ms;
                    resumed.workspace = workspace;
                }
                Ok(Record::Unknown) => resumed.skipped = resumed.skipped.saturating_add(1),
                Err(Damage::Incomplete) => resumed.damaged = resumed.damaged.saturating_add(1),
                Err(Damage::NotJson) => end = End::Torn(offset),
            }
            offset += line.bytes;
        }
        if let End::Torn(whole) = end {
            resumed.torn_bytes = offset - whole;
        }
        Ok((resumed, end))
    }

    fn summary(&self, id: String) -> Result<Summary, StoreError> {
        let path = self.path(&id);
        let refused = |error| StoreError::refused("read", &path, &error);
        let file = File::open(&path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let changed_unix_ms = changed.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let mut summary = Summary { id, title: String::new(), turns: 0, changed_unix_ms, bytes: metadata.len() };
        let mut reader = BufReader::new(file.take(SESSION_BYTES_MAX));
        let mut buffer = Vec::new();
        // Only the first goal is read in full; of the other lines the beginning tells the kind.
        let mut kept_max = RECORD_BYTES_MAX;
        while let Some(line) = lines::next(&mut reader, &mut buffer, kept_max).map_err(refused)? {
            if !line.is_ended || !buffer.starts_with(PERSON_HEAD) {
                continue;
            }
            summary.turns = summary.turns.saturating_add(1);
            if kept_max == RECORD_BYTES_MAX
                && let Ok(Record::Entry(Entry::Person { text, .. })) = parse(&buffer, self.codecs)
            {
                kept_max = PERSON_HEAD.len() as u64;
                summary.title = text.trim().lines().next().unwrap_or_default().chars().take(TITLE_CHARS_MAX).collect();
            }
        }
        Ok(summary)
    }
}
