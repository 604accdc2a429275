//! One session that this process may append to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aether_core::transcript::Entry;

use crate::error::StoreError;
use crate::lines::RECORD_BYTES_MAX;
use crate::lock::{Holder, Lock};
use crate::private;
use crate::record::entry_line;

/// The largest session, in bytes.
pub const SESSION_BYTES_MAX: u64 = 256 << 20;

/// The most bytes of torn lines that are kept of one session; beyond it the newest replaces the rest.
const TORN_BYTES_MAX: u64 = 2 * RECORD_BYTES_MAX;

/// A session that this process alone appends to, until it is dropped (D3).
#[derive(Debug)]
pub struct Session {
    id: Box<str>,
    path: PathBuf,
    file: File,
    end: End,
    _lock: Lock,
}

/// How the file ends, before the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a whole line, or it is empty.
    Whole,
    /// With a record that lacks only its line break.
    Unbroken,
    /// Behind this many bytes with something that was meant to become a line.
    Torn(u64),
    /// Behind this many bytes with part of an append that failed in this process and could not be taken back.
    Failed(u64),
}

impl Session {
    /// A session over an open file. `lock` is held on it.
    pub(crate) fn new(id: &str, path: PathBuf, file: File, lock: Lock) -> Session {
        Session { id: id.into(), path, file, end: End::Whole, _lock: lock }
    }

    /// The same, with what reading has found at its end.
    pub(crate) fn ending(mut self, end: End) -> Session {
        self.end = end;
        self
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `entries`, said at `at_unix_ms`, milliseconds since 1970.
    ///
    /// They are written at once and are on the disk when this returns (D1). A torn line at the end is set aside
    /// first, in a file beside the session that ends in `.torn` (D2).
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for an entry above [`RECORD_BYTES_MAX`] or a session above [`SESSION_BYTES_MAX`];
    /// [`StoreError::Refused`], such as for a full disk. The session holds what it held before (D4).
    pub fn append(&mut self, entries: &[Entry], at_unix_ms: u64) -> Result<(), StoreError> {
        let mut text = String::new();
        for entry in entries {
            let line = entry_line(entry, at_unix_ms);
            self.limit(line.len() as u64, RECORD_BYTES_MAX)?;
            text.push_str(&line);
        }
        self.append_text(text)
    }

    /// Appends whole lines.
    pub(crate) fn append_text(&mut self, mut text: String) -> Result<(), StoreError> {
        if text.is_empty() {
            return Ok(());
        }
        self.mend()?;
        if self.end == End::Unbroken {
            text.insert(0, '\n');
        }
        let before = self.file.metadata().map_err(|error| self.refused("write", &error))?.len();
        self.limit(before + text.len() as u64, SESSION_BYTES_MAX)?;
        match self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.end = End::Whole;
                Ok(())
            }
            Err(error) => {
                // Where even this fails, the next append tries again, and so does whoever resumes.
                if self.file.set_len(before).is_err() {
                    self.end = End::Failed(before);
                }
                Err(self.refused("write", &error))
            }
        }
    }

    /// Takes away what a kill or a failure has left behind the last whole line.
    fn mend(&mut self) -> Result<(), StoreError> {
        let whole = match self.end {
            End::Whole | End::Unbroken => return Ok(()),
            End::Failed(whole) => whole,
            End::Torn(whole) => {
                self.set_aside(whole)?;
                whole
            }
        };
        let cut = self.file.set_len(whole).and_then(|()| self.file.sync_data());
        cut.map_err(|error| self.refused("write", &error))?;
        self.end = End::Whole;
        Ok(())
    }

    fn set_aside(&mut self, whole: u64) -> Result<(), StoreError> {
        let mut torn = Vec::new();
        let read = self
            .file
            .seek(SeekFrom::Start(whole))
            .and_then(|_| (&self.file).take(TORN_BYTES_MAX).read_to_end(&mut torn));
        read.map_err(|error| self.refused("read", &error))?;
        let path = self.path.with_extension("torn");
        let refused = |error| StoreError::refused("write", &path, &error);
        let mut file = private::options().create(true).append(true).open(&path).map_err(refused)?;
        if file.metadata().map_err(refused)?.len() + torn.len() as u64 + 1 > TORN_BYTES_MAX {
            file.set_len(0).map_err(refused)?;
        }
        torn.push(b'\n');
        file.write_all(&torn).and_then(|()| file.sync_all()).map_err(refused)
    }

    fn limit(&self, bytes: u64, bytes_max: u64) -> Result<(), StoreError> {
        if bytes <= bytes_max {
            Ok(())
        } else {
            Err(StoreError::TooLarge { path: self.path.clone(), bytes, bytes_max })
        }
    }

    fn refused(&self, act: &'static str, error: &std::io::Error) -> StoreError {
        StoreError::refused(act, &self.path, error)
    }
}

/// Takes the lock of the session called `id` in `directory`.
pub(crate) fn lock(directory: &Path, id: &str) -> Result<Lock, StoreError> {
    match Lock::take(&directory.join(format!("{id}.lock")))? {
        Ok(lock) => Ok(lock),
        Err(Holder(pid)) => Err(StoreError::InUse { id: id.into(), pid }),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use aether_core::label::Label;

    #[test]
    fn a_full_disk_is_named_and_the_session_goes_on_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.jsonl");
        let full = File::options().append(true).open("/dev/full").unwrap();
        let mut session = Session::new("s", path.clone(), full, lock(directory.path(), "s").unwrap());
        let note = [Entry::Note { text: "x".into(), label: Label::default() }];
        let error = session.append(&note, 1).unwrap_err();
        let wanted = format!("cannot write {}: no space is left on the disk; free some and try again", path.display());
        assert_eq!(error.to_string(), wanted);
        session.file = private::options().read(true).create(true).append(true).open(&path).unwrap();
        session.file.write_all(b"{}\n{\"v\":1,\"ki").unwrap();
        session.end = End::Failed(3);
        session.append(&note, 1).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{}\n{\"v\":1,\"kind\":\"note\",\"at_unix_ms\":1,\"text\":\"x\",\"label\":[]}\n");
    }
}
