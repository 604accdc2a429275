//! The reader's side: is this the log that was written, and if not, where is it not?

use std::path::{Path, PathBuf};

use aether_core::digest::Digest;

use crate::chain::{Checker, Purpose, statement};
use crate::directory::{Lock, Piece, Place};
use crate::error::AuditError;
use crate::fault::{Fault, Notice, Wrong};
use crate::head::{self, Found, Head};
use crate::line::{self, End, Entry, Unreadable};
use crate::log::{Limits, TAIL_BYTES_MAX, TAIL_LINES_MAX, hex};
use crate::record::{Kind, unhex};
use crate::walk::{At, Lines, Source};

/// The most notices of one report; there may be more to say.
const NOTICES_MAX: usize = 64;

/// Whose signatures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// This key's.
    Key([u8; 32]),
    /// The key's that the file itself names: it shows that the file is whole, and not who wrote it.
    Stated,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Lines that are as they were written.
    pub lines: u64,
    /// Signed checkpoints among them.
    pub checkpoints: u64,
    /// The hash of the last of them.
    pub hash: Digest,
    /// The key that signed, if any line named one.
    pub key: Option<[u8; 32]>,
    /// When the first and the last of them were written, in milliseconds since 1970; 0 without lines.
    pub unix_ms: [u64; 2],
    /// Worth knowing, and no fault.
    pub notices: Vec<Notice>,
    /// The first thing that is wrong, if anything is.
    pub fault: Option<Fault>,
}

/// The files and the head of a log at one moment.
pub(crate) struct Snapshot {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) head: Found,
}

impl Snapshot {
    pub(crate) fn take(place: &Place, key: &[u8; 32], check: Checker) -> Result<Snapshot, AuditError> {
        let _lock = Lock::read(place, Limits::default().lock_ms_max)?;
        let snapshot = Snapshot { pieces: place.pieces()?, head: head::read(place, key, check)? };
        if snapshot.pieces.is_empty() && matches!(snapshot.head, Found::Missing | Found::Blank) {
            return Err(AuditError::Empty { path: place.directory.clone() });
        }
        Ok(snapshot)
    }

    /// The head, as far as there is one to go by.
    fn known(&self) -> Option<Head> {
        match &self.head {
            Found::Sound(head) => Some(*head),
            Found::Blank => Some(Head::NONE),
            Found::Missing | Found::Damaged(_) | Found::Foreign(_) => None,
        }
    }

    /// How far the head vouches for the bytes of the files; everything where it cannot be read.
    pub(crate) fn limit(&self) -> (u32, u64) {
        self.known().map_or((u32::MAX, u64::MAX), |head| (head.file, head.bytes))
    }
}

/// Verifies the log at `place`, which `key` signs.
///
/// # Errors
/// [`AuditError::Empty`], [`AuditError::Refused`], [`AuditError::Busy`]. What is wrong with the log itself is in the
/// report.
pub fn verify(place: &Place, key: &[u8; 32], check: Checker) -> Result<Report, AuditError> {
    verify_snapshot(place, &Snapshot::take(place, key, check)?, key, check)
}

pub(crate) fn verify_snapshot(
    place: &Place,
    snapshot: &Snapshot,
    key: &[u8; 32],
    check: Checker,
) -> Result<Report, AuditError> {
    let mut walk = Walk::new(Lines::new(Source::Pieces(&snapshot.pieces)), Trust::Key(*key), check);
    walk.head = snapshot.known();
    let walked = walk.files();
    walked.map_err(|error| AuditError::refused("read", &walk.lines.at.path, &error))?;
    let beside = match &snapshot.head {
        Found::Missing => Some(Wrong::HeadMissing),
        Found::Damaged(_) => Some(Wrong::HeadDamaged),
        Found::Foreign(key) => Some(Wrong::UnknownKey { key: hex(key).into() }),
        Found::Blank | Found::Sound(_) => None,
    };
    if let Some(wrong) = beside.filter(|_| walk.report.fault.is_none()) {
        let sequence = walk.end.count;
        walk.report.fault = Some(Fault { wrong, path: place.head.clone(), line: 0, sequence });
    }
    Ok(walk.finish())
}

/// Verifies an exported log.
///
/// # Errors
/// [`AuditError::Refused`].
pub fn verify_file(path: &Path, trust: Trust, check: Checker) -> Result<Report, AuditError> {
    let mut walk = Walk::new(Lines::new(Source::File(path)), trust, check);
    walk.at.path = path.to_owned();
    let walked = walk.export();
    walked.map_err(|error| AuditError::refused("read", path, &error))?;
    Ok(walk.finish())
}

/// Verifies an exported log in memory.
#[must_use]
pub fn verify_text(text: &[u8], trust: Trust, check: Checker) -> Report {
    let mut walk = Walk::new(Lines::new(Source::Text(text)), trust, check);
    walk.at.path = PathBuf::from("log");
    match walk.export() {
        // Memory can always be read.
        Ok(()) | Err(_) => walk.finish(),
    }
}

/// Walks along the lines, and stops where they are not what they should be.
struct Walk<'a> {
    lines: Lines<'a>,
    check: Checker,
    trust: Trust,
    head: Option<Head>,
    /// Behind the last good line.
    end: End,
    /// Where the last line was that was looked at.
    at: At,
    report: Report,
    is_exported: bool,
    /// Where the last line of a file has no line break.
    cut: Option<At>,
}

/// Whether the walk goes on.
type Step = Result<bool, std::io::Error>;

impl<'a> Walk<'a> {
    fn new(lines: Lines<'a>, trust: Trust, check: Checker) -> Walk<'a> {
        let report = Report {
            lines: 0,
            checkpoints: 0,
            hash: End::NONE.hash,
            key: None,
            unix_ms: [0; 2],
            notices: Vec::new(),
            fault: None,
        };
        Walk {
            lines,
            check,
            trust,
            head: None,
            end: End::NONE,
            at: At::default(),
            report,
            is_exported: false,
            cut: None,
        }
    }

    fn finish(mut self) -> Report {
        self.report.lines = self.end.count;
        self.report.hash = self.end.hash;
        self.report
    }

    /// A whole log, up to its head.
    fn files(&mut self) -> Result<(), std::io::Error> {
        while self.lines.advance()? {
            if self.head.is_some_and(|head| is_behind(&self.lines.at, &head)) {
                return self.tail();
            }
            if !self.step()? {
                return Ok(());
            }
        }
        let cut = self.cut.take();
        let is_cut = cut.is_some();
        match cut {
            Some(cut) => self.at = cut,
            None => self.at.line += 1,
        }
        if self.compare() && is_cut && self.head.is_some() {
            self.stop(Wrong::Inserted, self.end.count + 1);
        }
        Ok(())
    }

    /// An export: a whole log and one line that signs it all.
    fn export(&mut self) -> Result<(), std::io::Error> {
        while self.lines.advance()? {
            if self.is_exported {
                // Nothing follows the signature over everything.
                self.at = self.lines.at.clone();
                self.stop(Wrong::Inserted, self.end.count + 1);
                return Ok(());
            }
            if !self.step()? {
                return Ok(());
            }
        }
        if !self.is_exported {
            self.at.line += u64::from(self.cut.is_none());
            let wrong =
                if self.end == End::NONE { Wrong::NoLog } else { Wrong::Truncated { count: self.end.count + 1 } };
            self.stop(wrong, self.end.count + 1);
        }
        Ok(())
    }

    /// Looks at one line.
    fn step(&mut self) -> Step {
        self.at = self.lines.at.clone();
        let expected = self.end.count + 1;
        if self.cut.as_ref().is_some_and(|cut| cut.file == self.at.file) {
            // Longer than any line may be.
            self.stop(Wrong::Edited, expected);
            return Ok(false);
        }
        if !self.lines.at.is_ended {
            // Cut off: what should have followed is missing. A log that goes on in the next file shows what.
            self.cut = Some(self.at.clone());
            return Ok(true);
        }
        let entry = match line::parse(&self.lines.bytes) {
            Ok(entry) => entry,
            Err(why) => return self.unreadable(why, expected),
        };
        if entry.sequence == expected && entry.previous == self.end.hash {
            if let Some(cut) = self.cut.take() {
                self.at = cut;
                self.stop(Wrong::Inserted, expected);
                return Ok(false);
            }
            return Ok(self.accept(&entry));
        }
        self.misplaced(&entry, expected)
    }

    /// A line that follows the one before it.
    fn accept(&mut self, entry: &Entry) -> bool {
        let wrong = match entry.kind {
            Kind::Begin if entry.sequence == 1 => self.began(entry),
            Kind::Begin => Some(Wrong::Inserted),
            _ if entry.sequence == 1 => Some(Wrong::NoLog),
            Kind::Checkpoint => self.signed(entry, Purpose::Checkpoint),
            Kind::Export if self.head.is_some() => Some(Wrong::Inserted),
            Kind::Export => {
                self.is_exported = true;
                self.signed(entry, Purpose::Export)
            }
            Kind::Torn => {
                self.notice(Notice::Torn { sequence: entry.sequence, bytes: entry.number("bytes").unwrap_or(0) });
                None
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.stop(wrong, entry.sequence);
            return false;
        }
        if self.end == End::NONE {
            self.report.unix_ms[0] = entry.unix_ms;
        }
        self.report.unix_ms[1] = entry.unix_ms;
        self.end = End { count: entry.sequence, hash: entry.hash };
        true
    }

    fn began(&mut self, entry: &Entry) -> Option<Wrong> {
        let Some(key) = entry.text("key").and_then(unhex) else { return Some(Wrong::NoLog) };
        if let Trust::Key(trusted) = self.trust
            && trusted != key
        {
            return Some(Wrong::UnknownKey { key: hex(&key).into() });
        }
        self.report.key = Some(key);
        if let Some(count) = entry.number("follows_count") {
            self.notice(Notice::Follows { count, fault: entry.text("follows_fault").map(Into::into) });
        }
        None
    }

    /// Whether the line is a good signature over everything before it.
    fn signed(&mut self, entry: &Entry, purpose: Purpose) -> Option<Wrong> {
        let (Some(key), Some(signature)) =
            (entry.text("key").and_then(unhex::<32>), entry.text("signature").and_then(unhex::<64>))
        else {
            return Some(Wrong::BadSignature);
        };
        if self.report.key != Some(key) {
            return Some(Wrong::UnknownKey { key: hex(&key).into() });
        }
        let statement = statement(purpose, self.end.count, &self.end.hash, &[]);
        if !(self.check)(&key, &statement, &signature) {
            return Some(Wrong::BadSignature);
        }
        self.report.checkpoints += 1;
        None
    }

    /// A line that is none: what was there was edited, unless it still stands behind it.
    fn unreadable(&mut self, why: Unreadable, expected: u64) -> Step {
        let follows = self.lines.advance()?
            && line::parse(&self.lines.bytes)
                .is_ok_and(|next| next.sequence == expected && next.previous == self.end.hash);
        let is_no_log = expected == 1 && why == Unreadable::Form && self.head.is_none();
        let wrong = match (follows, is_no_log) {
            (true, _) => Wrong::Inserted,
            (false, true) => Wrong::NoLog,
            (false, false) => Wrong::Edited,
        };
        self.stop(wrong, expected);
        Ok(false)
    }

    /// A line that does not follow the one before it.
    fn misplaced(&mut self, entry: &Entry, expected: u64) -> Step {
        if entry.sequence == expected {
            // Two lines that do not fit. The one that the rest of the log does not go by was edited.
            let (this, found) = (entry.hash, entry.sequence);
            let next = if self.lines.advance()? { line::parse(&self.lines.bytes).ok() } else { None };
            let goes_on = match next {
                Some(next) => next.previous == this,
                None => self.head.is_some_and(|head| head.end.hash == this),
            };
            let before = goes_on && found > 1;
            self.at.line = self.at.line.saturating_sub(u64::from(before)).max(1);
            self.stop(Wrong::Edited, if before { found - 1 } else { found });
        } else if entry.sequence < expected {
            self.stop(Wrong::Inserted, expected);
        } else {
            let mut wrong = Wrong::Removed { through: entry.sequence - 1 };
            while self.lines.advance()? {
                if line::parse(&self.lines.bytes).is_ok_and(|later| later.sequence == expected) {
                    wrong = Wrong::Reordered { found: entry.sequence };
                    break;
                }
            }
            self.stop(wrong, expected);
        }
        Ok(false)
    }

    /// What stands behind the head: what a dead writer left, or more than that.
    fn tail(&mut self) -> Result<(), std::io::Error> {
        if !self.compare() {
            return Ok(());
        }
        let first = self.lines.at.clone();
        let (mut bytes, mut lines, mut signed) = (0, 0, false);
        let (mut end, key) = (self.end, self.report.key);
        loop {
            bytes += self.lines.at.end - self.lines.at.start;
            lines += 1;
            // A checkpoint is the last line that is written at once: what follows a good one was appended later.
            if signed || bytes > TAIL_BYTES_MAX || lines > TAIL_LINES_MAX {
                self.at = first;
                let count = self.end.count;
                self.stop(if signed { Wrong::RolledBack { count } } else { Wrong::Unsigned }, count + 1);
                return Ok(());
            }
            if let Ok(entry) = line::parse(&self.lines.bytes)
                && entry.previous == end.hash
            {
                signed = entry.kind == Kind::Checkpoint && key.is_some() && {
                    let signature = entry.text("signature").and_then(unhex::<64>);
                    let statement = statement(Purpose::Checkpoint, end.count, &end.hash, &[]);
                    signature.is_some_and(|signature| key.is_some_and(|key| (self.check)(&key, &statement, &signature)))
                };
                end = End { count: entry.sequence, hash: entry.hash };
            }
            if !self.lines.advance()? {
                break;
            }
        }
        self.notice(Notice::Unconfirmed { path: first.path, bytes });
        Ok(())
    }

    /// Whether the lines so far are those that the head was signed for.
    fn compare(&mut self) -> bool {
        let Some(head) = self.head else { return true };
        if self.end == head.end {
            return true;
        }
        let wrong =
            if self.end.count < head.end.count { Wrong::Truncated { count: head.end.count } } else { Wrong::Rewritten };
        let sequence = if self.end.count < head.end.count { self.end.count + 1 } else { head.end.count };
        self.stop(wrong, sequence);
        false
    }

    fn notice(&mut self, notice: Notice) {
        if self.report.notices.len() < NOTICES_MAX {
            self.report.notices.push(notice);
        }
    }

    fn stop(&mut self, wrong: Wrong, sequence: u64) {
        self.report.fault = Some(Fault { wrong, path: self.at.path.clone(), line: self.at.line, sequence });
    }
}

/// Whether a line begins where the head knows nothing any more.
fn is_behind(at: &At, head: &Head) -> bool {
    at.file > head.file || (at.file == head.file && at.start >= head.bytes)
}
