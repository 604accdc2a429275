//! The writer's side: lines go in, in order, or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use aether_core::digest::{Digest, Sha256};

use crate::chain::{Checker, Purpose, Signer, statement};
use crate::directory::{Lock, Place, make_directory, private, sync_directory};
use crate::error::AuditError;
use crate::fault::{Fault, Wrong};
use crate::head::{self, Found, Head};
use crate::line::{self, End};
use crate::record::{Kind, LINE_BYTES_MAX, Record, push_hex};

/// The most records of one append.
pub const RECORDS_MAX: usize = 32;
/// The most that a writer that dies leaves behind the head: one append with the log's own lines. More than that was
/// put there by somebody else.
pub(crate) const TAIL_LINES_MAX: usize = RECORDS_MAX + 4;
/// The same in bytes.
pub(crate) const TAIL_BYTES_MAX: u64 = (TAIL_LINES_MAX * LINE_BYTES_MAX) as u64;

/// What a log may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of a file at which the next one begins, in bytes; one append may go beyond it.
    pub file_bytes_max: u64,
    /// How many files it may have. Then it takes no more lines until it is archived.
    pub files_max: u32,
    /// A checkpoint is signed after this many lines. At least 1.
    pub checkpoint_lines: u64,
    /// How long another process is waited for, in milliseconds.
    pub lock_ms_max: u64,
}

impl Default for Limits {
    /// 16 MiB a file, 256 files, a checkpoint every 128 lines, 5 s for the lock.
    fn default() -> Limits {
        Limits { file_bytes_max: 16 << 20, files_max: 256, checkpoint_lines: 128, lock_ms_max: 5_000 }
    }
}

/// When a line has to be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the receipt is given, with everything that was appended before: for what permits an effect.
    Now,
    /// When the system gets to it. A kill loses nothing, but a power failure may, and leaves a log that has to be
    /// archived.
    Later,
}

/// Lines that are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the last one.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// A log that can be appended to. Making one touches nothing, and any number of threads may share it.
pub struct Log {
    place: Place,
    signer: Box<dyn Signer>,
    check: Checker,
    limits: Limits,
}

/// One append under way: the lines so far, and where the chain ends behind them.
struct Draft {
    text: String,
    end: End,
    signed: u64,
}

impl Log {
    /// The log at `place`, signed by `signer`.
    #[must_use]
    pub fn open(place: Place, signer: Box<dyn Signer>, check: Checker, limits: Limits) -> Log {
        Log { place, signer, check, limits }
    }

    /// Appends one record that happened at `unix_ms`, milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Log::append_all`].
    pub fn append(&self, record: &Record, unix_ms: u64, durability: Durability) -> Result<Receipt, AuditError> {
        self.append_all(&[(unix_ms, record.clone())], durability)
    }

    /// Appends several records, with the moment of each, at once: all or none (A2).
    ///
    /// # Errors
    /// [`AuditError::Refused`] where the disk is full or read-only, [`AuditError::Broken`] for a log that is not what
    /// its head says, [`AuditError::Full`], [`AuditError::Busy`], [`AuditError::TooMany`]. Whoever gets one must not
    /// do what the records permit.
    pub fn append_all(&self, records: &[(u64, Record)], durability: Durability) -> Result<Receipt, AuditError> {
        if records.len() > RECORDS_MAX {
            return Err(AuditError::TooMany { records: records.len() });
        }
        if let Some((_, record)) = records.iter().find(|(_, record)| record.kind().is_own()) {
            return Err(AuditError::Own { kind: record.kind() });
        }
        self.place.make()?;
        let _lock = Lock::write(&self.place, self.limits.lock_ms_max)?;
        let head = self.head()?;
        let torn = self.set_aside(&head)?;
        let mut draft = Draft { text: String::new(), end: head.end, signed: head.signed };
        let first_ms = records.first().map_or(0, |(unix_ms, _)| *unix_ms);
        if head.end == End::NONE {
            self.begin(&mut draft, first_ms, Record::new(Kind::Begin));
        }
        for torn in &torn {
            draft.add(first_ms, torn);
        }
        for (unix_ms, record) in records {
            draft.add(*unix_ms, record);
        }
        let last_ms = records.last().map_or(0, |(unix_ms, _)| *unix_ms);
        if draft.end.count - draft.signed >= self.limits.checkpoint_lines.max(1) {
            self.checkpoint(&mut draft, last_ms);
        }
        self.commit(&head, &draft, durability)
    }

    /// Signs what was not signed yet; `None` where everything is.
    ///
    /// # Errors
    /// As [`Log::append_all`].
    pub fn close(&self, unix_ms: u64, durability: Durability) -> Result<Option<Receipt>, AuditError> {
        if let Found::Missing = head::read(&self.place, &self.signer.public(), self.check)? {
            return Ok(None);
        }
        let _lock = Lock::write(&self.place, self.limits.lock_ms_max)?;
        let head = self.head()?;
        if head.end.count == head.signed {
            return Ok(None);
        }
        let mut draft = Draft { text: String::new(), end: head.end, signed: head.signed };
        for torn in &self.set_aside(&head)? {
            draft.add(unix_ms, torn);
        }
        self.checkpoint(&mut draft, unix_ms);
        self.commit(&head, &draft, durability).map(Some)
    }

    /// Moves the log, in whatever state, into a directory of its own beside the new one, which begins with how the old
    /// one ended: its length and hash as its head knows them, and `fault`, what a verification found.
    ///
    /// # Errors
    /// [`AuditError::Refused`], [`AuditError::Busy`], [`AuditError::Empty`].
    pub fn archive(&self, unix_ms: u64, fault: Option<&Fault>) -> Result<Receipt, AuditError> {
        let empty = || AuditError::Empty { path: self.place.directory.clone() };
        if !self.place.directory.exists() {
            return Err(empty());
        }
        self.place.make()?;
        let _lock = Lock::write(&self.place, self.limits.lock_ms_max)?;
        let old = match head::read(&self.place, &self.signer.public(), self.check)? {
            Found::Missing | Found::Blank if self.place.pieces()?.is_empty() => return Err(empty()),
            Found::Sound(head) | Found::Damaged(Some(head)) => head,
            Found::Missing | Found::Blank | Found::Damaged(None) | Found::Foreign(_) => Head::NONE,
        };
        self.move_aside(unix_ms)?;
        head::clear(&self.place.head)?;
        let mut begin = Record::new(Kind::Begin).number("follows_count", old.end.count);
        begin = begin.digest("follows_hash", &old.end.hash);
        if let Some(fault) = fault {
            begin = begin.text("follows_fault", fault.wrong.name());
        }
        let mut draft = Draft { text: String::new(), end: End::NONE, signed: 0 };
        self.begin(&mut draft, unix_ms, begin);
        self.checkpoint(&mut draft, unix_ms);
        self.commit(&Head::NONE, &draft, Durability::Now)
    }

    /// Moves every file of the log into `archive-<moment>`, with a copy of the head.
    fn move_aside(&self, unix_ms: u64) -> Result<(), AuditError> {
        let aside = self.place.directory.join(format!("archive-{unix_ms}"));
        make_directory(&aside)?;
        let refused = |path: &Path, error: &std::io::Error| AuditError::refused("set aside", path, error);
        let directory = &self.place.directory;
        for entry in fs::read_dir(directory).map_err(|error| refused(directory, &error))? {
            let entry = entry.map_err(|error| refused(directory, &error))?;
            let path = entry.path();
            if entry.file_type().map_err(|error| refused(&path, &error))?.is_file() {
                fs::rename(&path, aside.join(entry.file_name())).map_err(|error| refused(&path, &error))?;
            }
        }
        match fs::copy(&self.place.head, aside.join("head")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(&self.place.head, &error)),
            Err(_) | Ok(_) => Ok(()),
        }
    }

    /// The head, made if nothing was ever logged.
    fn head(&self) -> Result<Head, AuditError> {
        let broken = |wrong| AuditError::Broken(Fault { wrong, path: self.place.head.clone(), line: 0, sequence: 0 });
        match head::read(&self.place, &self.signer.public(), self.check)? {
            Found::Sound(head) => Ok(head),
            Found::Blank => Ok(Head::NONE),
            Found::Missing if self.place.pieces()?.is_empty() => {
                head::clear(&self.place.head)?;
                Ok(Head::NONE)
            }
            Found::Missing => Err(broken(Wrong::HeadMissing)),
            // A writer that died while it wrote the head had written its lines before.
            Found::Damaged(Some(head)) if self.tails(&head)?.iter().any(|tail| tail.1 > 0) => Ok(head),
            Found::Damaged(_) => Err(broken(Wrong::HeadDamaged)),
            Found::Foreign(key) => Err(broken(Wrong::UnknownKey { key: hex(&key).into() })),
        }
    }

    /// The file that the head knows and the next one, each with what is behind the head in it, in bytes.
    fn tails(&self, head: &Head) -> Result<[(u32, u64, u64); 2], AuditError> {
        let mut tails = [(head.file, 0, head.bytes), (head.file.saturating_add(1), 0, 0)];
        for (number, behind, confirmed) in &mut tails {
            let path = self.place.file(*number);
            let bytes = match fs::metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => 0,
                found => found.map_err(|error| AuditError::refused("read", &path, &error))?.len(),
            };
            *behind = bytes
                .checked_sub(*confirmed)
                .ok_or_else(|| self.broken(head, Wrong::Truncated { count: head.end.count }, head.end.count))?;
        }
        Ok(tails)
    }

    /// Sees that the last line is the one that the head knows, and takes away what is behind it (A4).
    fn set_aside(&self, head: &Head) -> Result<Vec<Record>, AuditError> {
        let tails = self.tails(head)?;
        self.check_last(head)?;
        let mut torn = Vec::new();
        for (number, behind, confirmed) in tails {
            if behind == 0 {
                continue;
            }
            if behind > TAIL_BYTES_MAX {
                return Err(self.broken(head, Wrong::Unsigned, head.end.count + 1));
            }
            let path = self.place.file(number);
            let refused = |error| AuditError::refused("set aside the end of", &path, &error);
            let mut file = private().read(true).write(true).open(&path).map_err(refused)?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(confirmed)).map_err(refused)?;
            Read::by_ref(&mut file).take(TAIL_BYTES_MAX).read_to_end(&mut bytes).map_err(refused)?;
            if bytes.iter().filter(|byte| **byte == b'\n').count() > TAIL_LINES_MAX {
                return Err(self.broken(head, Wrong::Unsigned, head.end.count + 1));
            }
            let digest = Sha256::of(&bytes);
            let aside = self.place.torn(head.end.count + 1, &hex(&digest.0));
            let mut copy = private().write(true).create(true).truncate(true).open(&aside).map_err(refused)?;
            copy.write_all(&bytes).and_then(|()| copy.sync_all()).map_err(refused)?;
            file.set_len(confirmed).map_err(refused)?;
            torn.push(Record::new(Kind::Torn).number("bytes", behind).digest("digest", &digest));
        }
        Ok(torn)
    }

    /// The last line of the file is the one that the head was signed for.
    fn check_last(&self, head: &Head) -> Result<(), AuditError> {
        if head.end == End::NONE {
            return Ok(());
        }
        let path = self.place.file(head.file);
        let refused = |error| AuditError::refused("read", &path, &error);
        let start = head.bytes.saturating_sub(LINE_BYTES_MAX as u64);
        let mut file = File::open(&path).map_err(refused)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(refused)?;
        file.take(head.bytes - start).read_to_end(&mut bytes).map_err(refused)?;
        let last = bytes.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
        let is_known = |line: &[u8]| line::parse(line).is_ok_and(|entry| entry.hash == head.end.hash);
        if last.is_some_and(is_known) { Ok(()) } else { Err(self.broken(head, Wrong::Edited, head.end.count)) }
    }

    fn broken(&self, head: &Head, wrong: Wrong, sequence: u64) -> AuditError {
        AuditError::Broken(Fault { wrong, path: self.place.file(head.file), line: 0, sequence })
    }

    fn begin(&self, draft: &mut Draft, unix_ms: u64, record: Record) {
        draft.add(unix_ms, &record.number("v", 1).text("key", &hex(&self.signer.public())));
    }

    fn checkpoint(&self, draft: &mut Draft, unix_ms: u64) {
        let signature = self.signer.sign(&statement(Purpose::Checkpoint, draft.end.count, &draft.end.hash, &[]));
        draft.add(unix_ms, &signed(Kind::Checkpoint, &self.signer.public(), &signature));
        draft.signed = draft.end.count;
    }

    /// Writes the lines, then the head. What fails is undone.
    fn commit(&self, head: &Head, draft: &Draft, durability: Durability) -> Result<Receipt, AuditError> {
        let length = draft.text.len() as u64;
        let is_next = head.bytes > 0 && head.bytes + length > self.limits.file_bytes_max;
        let (number, offset) = if is_next { (head.file.saturating_add(1), 0) } else { (head.file, head.bytes) };
        if number > self.limits.files_max {
            return Err(AuditError::Full { path: self.place.directory.clone(), files_max: self.limits.files_max });
        }
        let path = self.place.file(number);
        let refused = |error| AuditError::refused("append to", &path, &error);
        let sync: fn(&File) -> std::io::Result<()> = match durability {
            Durability::Now => File::sync_data,
            Durability::Later => |_| Ok(()),
        };
        if is_next {
            // What was appended to the last file without haste is never synced through this one.
            let before = self.place.file(head.file);
            File::open(&before).and_then(|file| file.sync_data()).map_err(refused)?;
        }
        let mut file = private().write(true).create(true).truncate(false).open(&path).map_err(refused)?;
        let written = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(draft.text.as_bytes()));
        let synced = written.and_then(|()| sync(&file)).and_then(|()| match offset {
            0 => sync_directory(&self.place.directory),
            _ => Ok(()),
        });
        let next = Head {
            generation: head.generation + 1,
            end: draft.end,
            file: number,
            bytes: offset + length,
            signed: draft.signed,
        };
        let headed = synced.map_err(refused).and_then(|()| head::write(&self.place.head, &next, &*self.signer, sync));
        if let Err(error) = headed {
            // If this fails too, the head does not know the bytes, and the next writer sets them aside.
            drop(file.set_len(offset));
            return Err(error);
        }
        Ok(Receipt { sequence: draft.end.count, hash: draft.end.hash })
    }
}

impl Draft {
    fn add(&mut self, unix_ms: u64, record: &Record) {
        line::write(&mut self.text, &mut self.end, unix_ms, record.kind(), record.facts());
    }
}

/// The facts of a line that signs all lines before it.
pub(crate) fn signed(kind: Kind, key: &[u8; 32], signature: &[u8; 64]) -> Record {
    Record::new(kind).text("key", &hex(key)).text("signature", &hex(signature))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    push_hex(&mut out, bytes);
    out
}
