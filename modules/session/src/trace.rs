//! Traces: the events of the latest tasks, one file of JSON Lines each.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::PathBuf;

use crate::error::StoreError;
use crate::lines;
use crate::naming;

/// How many bytes of events are held back before they are written.
const HELD_BYTES_MAX: usize = 16 << 10;

/// Room for the line that says that a trace was cut.
const CUT_BYTES_MAX: u64 = 128;

const EXTENSION: &str = "trace";

/// What traces may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceLimits {
    /// The most bytes of one trace.
    pub file_bytes_max: u64,
    /// How many traces are kept; when one more begins, the oldest is removed. At least 1.
    pub files_max: usize,
}

/// All traces in one directory. Making one touches nothing.
#[derive(Clone, Debug)]
pub struct TraceStore {
    directory: PathBuf,
    limits: TraceLimits,
}

/// A trace that is being written.
///
/// Lines are held back in part; [`Trace::finish`] writes the rest and says whether that worked. A trace that is
/// only dropped tries to.
#[derive(Debug)]
pub struct Trace {
    id: Box<str>,
    path: PathBuf,
    file: File,
    held: String,
    /// Written and held.
    bytes: u64,
    bytes_max: u64,
    dropped: u64,
}

impl TraceStore {
    /// The traces in `directory`, which is made when the first one is.
    #[must_use]
    pub fn new(directory: PathBuf, limits: TraceLimits) -> TraceStore {
        TraceStore { directory, limits }
    }

    /// Begins a trace at `now_unix_ms`, milliseconds since 1970, and removes the oldest ones above the limit.
    ///
    /// # Errors
    /// [`StoreError::Refused`], [`StoreError::Crowded`].
    pub fn begin(&self, now_unix_ms: u64) -> Result<Trace, StoreError> {
        let (id, file) = naming::create(&self.directory, now_unix_ms, EXTENSION)?;
        let path = self.path(&id);
        let names = naming::names(&self.directory, EXTENSION)?;
        let excess = names.len().saturating_sub(self.limits.files_max.max(1));
        for old in names.iter().filter(|name| **name != id).take(excess) {
            let path = self.path(old);
            match std::fs::remove_file(&path) {
                // Another process may be tidying up too.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::refused("remove", &path, &error));
                }
                Err(_) | Ok(()) => {}
            }
        }
        let bytes_max = self.limits.file_bytes_max.max(CUT_BYTES_MAX) - CUT_BYTES_MAX;
        Ok(Trace { id: id.into(), path, file, held: String::new(), bytes: 0, bytes_max, dropped: 0 })
    }

    /// The names of the newest traces, the newest first; at most `count_max`.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn list(&self, count_max: usize) -> Result<Vec<String>, StoreError> {
        let names = naming::names(&self.directory, EXTENSION)?;
        Ok(names.into_iter().rev().take(count_max).collect())
    }

    /// The name of the newest trace, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn latest(&self) -> Result<Option<String>, StoreError> {
        Ok(naming::names(&self.directory, EXTENSION)?.pop())
    }

    /// The name of the one trace whose name is or begins with `given`.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] with the nearest name, [`StoreError::Ambiguous`], [`StoreError::Refused`].
    pub fn find(&self, given: &str) -> Result<String, StoreError> {
        naming::find(&naming::names(&self.directory, EXTENSION)?, "trace", given)
    }

    /// The events of the trace called, or beginning with, `given`, one JSON text each. A line that a kill has torn
    /// is left out, and so is one that is no UTF-8.
    ///
    /// # Errors
    /// As [`TraceStore::find`].
    pub fn read(&self, given: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(&self.find(given)?);
        let refused = |error| StoreError::refused("read", &path, &error);
        let file = File::open(&path).map_err(refused)?;
        let bytes_max = self.limits.file_bytes_max.max(CUT_BYTES_MAX);
        let mut reader = BufReader::new(file.take(bytes_max));
        let (mut buffer, mut events) = (Vec::new(), Vec::new());
        while let Some(line) = lines::next(&mut reader, &mut buffer, bytes_max).map_err(refused)? {
            if let (true, Ok(text)) = (line.is_ended, std::str::from_utf8(&buffer)) {
                events.push(text.to_owned());
            }
        }
        Ok(events)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.{EXTENSION}"))
    }
}

impl Trace {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many events were left out because the trace was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends one event, a JSON text without line breaks. A full trace takes no more and says so in its last line.
    ///
    /// # Errors
    /// [`StoreError::BrokenLine`]; [`StoreError::Refused`] when held lines cannot be written, which are lost then.
    pub fn append(&mut self, event: &str) -> Result<(), StoreError> {
        if event.contains('\n') {
            return Err(StoreError::BrokenLine { path: self.path.clone() });
        }
        if self.dropped > 0 || self.bytes + event.len() as u64 + 1 > self.bytes_max {
            if self.dropped == 0 {
                let bytes_max = self.bytes_max + CUT_BYTES_MAX;
                self.held.push_str(&format!("{{\"v\":1,\"kind\":\"trace_cut\",\"file_bytes_max\":{bytes_max}}}\n"));
            }
            self.dropped += 1;
            return Ok(());
        }
        self.held.push_str(event);
        self.held.push('\n');
        self.bytes += event.len() as u64 + 1;
        if self.held.len() >= HELD_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// [`StoreError::Refused`]; the held lines are lost then.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let held = std::mem::take(&mut self.held);
        self.file.write_all(held.as_bytes()).map_err(|error| StoreError::refused("write", &self.path, &error))
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.flush()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Whoever wants to know calls `finish` first, and then nothing is held any more.
        drop(self.flush());
    }
}
