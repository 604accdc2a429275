//! Hands that show a tool what the fuzzer's bytes say.

use aether_core::capability::Place;
use aether_core::tool::{DirEntry, EntryKind, Fetch, Fetched, Hands, HandsError, WallClock, WriteMode};

use crate::Draw;

/// How often a tool may ask its hands for something. From then on they say that the call was stopped.
pub const HANDS_CALLS_MAX: usize = 400;

/// The most entries of one directory.
const ENTRIES_MAX: usize = 6;

/// Hands over one file, which every path leads to, and over whatever the bytes say of everything else.
pub struct ScriptedHands<'a> {
    /// What every file holds.
    pub file: Vec<u8>,
    /// What was written last.
    pub written: Option<Vec<u8>>,
    /// Where mishaps, directories, answers of servers and the clock come from.
    script: Draw<'a>,
    calls: usize,
    was_stopped: bool,
}

impl<'a> ScriptedHands<'a> {
    /// Hands over this file.
    pub fn new(file: &[u8], script: Draw<'a>) -> ScriptedHands<'a> {
        ScriptedHands { file: file.to_vec(), written: None, script, calls: 0, was_stopped: false }
    }

    /// # Panics
    /// When a tool goes on after it was told that its call was stopped (T6).
    fn step(&mut self) -> Result<(), HandsError> {
        assert!(!self.was_stopped, "T6: the tool went on after it was stopped");
        self.calls += 1;
        let mishap = match self.script.byte() {
            _ if self.calls > HANDS_CALLS_MAX => HandsError::Stopped,
            0xF0 => HandsError::Missing,
            0xF1 => HandsError::Exists,
            0xF2 => HandsError::WrongKind(self.script.one_of(&KINDS)),
            0xF3 => HandsError::Outside(self.sentence()),
            0xF4 => HandsError::Denied,
            0xF5 => HandsError::Limit(self.sentence()),
            0xF6 => HandsError::Stopped,
            0xF7 => HandsError::Failed(self.sentence()),
            _ => return Ok(()),
        };
        self.was_stopped = mishap == HandsError::Stopped;
        Err(mishap)
    }
}

impl ScriptedHands<'_> {
    fn sentence(&mut self) -> String {
        format!("it is like this: {}", self.script.text())
    }
}

const KINDS: [EntryKind; 4] = [EntryKind::File, EntryKind::Directory, EntryKind::Link, EntryKind::Other];

impl Hands for ScriptedHands<'_> {
    fn read(&mut self, _path: &Place, offset: u64, bytes_max: usize) -> Result<Vec<u8>, HandsError> {
        self.step()?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.file.len());
        let to = from.saturating_add(bytes_max).min(self.file.len());
        Ok(self.file[from..to].to_vec())
    }

    fn write(&mut self, _path: &Place, bytes: &[u8], _mode: WriteMode) -> Result<(), HandsError> {
        self.step()?;
        self.written = Some(bytes.to_vec());
        Ok(())
    }

    fn list(&mut self, _path: &Place) -> Result<Vec<DirEntry>, HandsError> {
        self.step()?;
        let mut entries: Vec<DirEntry> = Vec::new();
        for _ in 0..self.script.within(0..ENTRIES_MAX + 1) {
            let name = self.script.text().replace(['/', '\0'], "_");
            if name.is_empty() || name == "." || name == ".." {
                continue;
            }
            let kind = self.script.one_of(&KINDS);
            let changed_unix_ms = self.script.number().cast_signed();
            let bytes = if kind == EntryKind::File { self.script.number() } else { 0 };
            entries.push(DirEntry { name: name.into(), kind, bytes, changed_unix_ms });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|a, b| a.name == b.name);
        Ok(entries)
    }

    fn fetch(&mut self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError> {
        self.step()?;
        let status = self.script.one_of(&[200, 200, 204, 301, 302, 303, 307, 308, 404, 500, 0, u16::MAX]);
        let content_type = self.script.text();
        let location = self.script.is_odd().then(|| self.script.text());
        let mut body = self.file.clone();
        body.truncate(fetch.bytes_max);
        Ok(Fetched { status, content_type, location, body, is_cut: self.script.is_odd() })
    }

    fn clock(&mut self) -> Result<WallClock, HandsError> {
        self.step()?;
        Ok(WallClock { unix_ms: self.script.number().cast_signed(), zone: self.script.text() })
    }
}
