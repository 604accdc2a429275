//! Wet: hands, the one way from a built-in tool to files, the network and the clock.
//!
//! A [`Grip`] is made for one authorised call and carries out what the call's capability covers. Files are
//! reached from directory handles that were opened once ([`Roots`]), so a path, a symbolic link or a
//! directory that is swapped in mid-run names something beneath its root or nothing at all.
//!
//! What is not here: any decision about what a task may do (the kernel's gate made it before), the HTTP
//! client (a [`Fetcher`] is handed in), redirects, execution of programs, deletion of files.
//!
//! Invariants, cited by the tests:
//!
//! - **H1** nothing is reached that the call's capability does not cover, but the time zone database
//!   ([`ZONES_ROOT`]), which is public and may always be read.
//! - **H2** nothing outside a root is reached: `openat2(2)` with `RESOLVE_BENEATH` on Linux, `cap-std` on other
//!   systems. A symbolic link is followed for reading only, and only while it stays beneath its root; writing
//!   follows none. Where `openat2` is missing, reading follows none either.
//! - **H3** a write is whole or absent: a reader, a kill or a full disk finds the old content or the new. Only a kill
//!   can leave a hidden draft named `.aether-*.tmp` beside the file; every other failure removes it.
//! - **H4** only regular files are read and written; a pipe or a device never makes a call hang.
//! - **H5** what `.git` and `.aether` directories hold is never written: it can execute or grant.
//! - **H6** every operation ends soon after the call is stopped or its time is over.
//! - **H7** directories that are hidden ([`Roots::hiding`]) are there for no call, by whatever name they are reached.
#![forbid(unsafe_code)]

mod address;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod attacks;
mod hidden;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
mod roots;
#[cfg(target_os = "linux")]
mod steps;
mod zone;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use aether_core::capability::{Capability, Network, Place};
use aether_core::tool::{DirEntry, Fetch, Fetched, Hands, HandsError, Limits, WallClock, WriteMode};

pub use roots::{LIST_ENTRIES_MAX, RootError, Roots, WRITE_PROTECTED, ZONES_ROOT};

/// The HTTP client as hands see it: one GET, without following redirects.
///
/// It is called from a worker thread and may block for as long as the [`Fetch`] allows. It refuses private,
/// link-local and metadata addresses by itself, for every address a name resolves to.
pub trait Fetcher: Send + Sync {
    /// Carries out one exchange.
    ///
    /// # Errors
    /// [`HandsError::Outside`] for an address that may not be reached, [`HandsError::Limit`] when time ran
    /// out, [`HandsError::Failed`] with a sentence for anything else.
    fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError>;
}

/// Everything a call reaches, and when it must be over.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// The directories that paths start from.
    pub roots: &'a Roots,
    /// What the call was authorised to reach ([`aether_core::tool::Needs::capability`]).
    pub capability: &'a Capability,
    /// The limits it runs under; of these, hands enforce memory per read and time.
    pub limits: Limits,
    /// Set by anybody to cancel the call.
    pub stop: &'a AtomicBool,
    /// When its time is over.
    pub deadline: Instant,
    /// The HTTP client; `None` in a program that has none.
    pub fetcher: Option<&'a dyn Fetcher>,
}

/// The hands of one call.
pub struct Grip<'a> {
    reach: Reach<'a>,
}

impl<'a> Grip<'a> {
    /// Hands that reach this and no more.
    #[must_use]
    pub fn new(reach: Reach<'a>) -> Grip<'a> {
        Grip { reach }
    }

    fn watch(&self) -> Watch<'a> {
        Watch { stop: self.reach.stop, deadline: self.reach.deadline }
    }
}

impl Hands for Grip<'_> {
    fn read(&mut self, path: &Place, offset: u64, bytes_max: usize) -> Result<Vec<u8>, HandsError> {
        self.watch().check()?;
        let slice = Slice { offset, bytes_max, memory_bytes_max: self.reach.limits.memory_bytes_max };
        if let Some(zone) = path.as_str().strip_prefix(ZONES_ROOT).and_then(|rest| rest.strip_prefix('/')) {
            return self.reach.roots.zones()?.read(zone, slice, self.watch());
        }
        covered(self.reach.capability.read(), path, "reading")?;
        let (root, rest) = self.reach.roots.locate(path)?;
        root.read(rest, slice, self.watch())
    }

    fn write(&mut self, path: &Place, bytes: &[u8], mode: WriteMode) -> Result<(), HandsError> {
        self.watch().check()?;
        covered(self.reach.capability.write(), path, "writing")?;
        let (root, rest) = self.reach.roots.locate(path)?;
        roots::refuse_protected(rest)?;
        root.write(rest, bytes, mode, self.watch())
    }

    fn list(&mut self, path: &Place) -> Result<Vec<DirEntry>, HandsError> {
        self.watch().check()?;
        covered(self.reach.capability.read(), path, "listing")?;
        let (root, rest) = self.reach.roots.locate(path)?;
        let mut entries = root.list(rest, self.watch())?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn fetch(&mut self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError> {
        self.watch().check()?;
        let host = address::host(fetch.url)?;
        if !self.reach.capability.network.covers(&Network::hosts(vec![host.clone()])) {
            return Err(HandsError::Outside(format!("this call may not reach {host}")));
        }
        let Some(fetcher) = self.reach.fetcher else {
            return Err(HandsError::Failed("this program was built without a network client".into()));
        };
        let left_ms = self.reach.deadline.saturating_duration_since(Instant::now()).as_millis();
        let left_ms = u64::try_from(left_ms).unwrap_or(u64::MAX);
        let bounded = Fetch { total_ms_max: fetch.total_ms_max.min(left_ms), ..*fetch };
        let fetched = fetcher.fetch(&bounded)?;
        self.watch().check()?;
        Ok(fetched)
    }

    fn clock(&mut self) -> Result<WallClock, HandsError> {
        self.watch().check()?;
        Ok(WallClock { unix_ms: unix_ms(SystemTime::now()), zone: zone::local() })
    }
}

/// Whether the call goes on.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    stop: &'a AtomicBool,
    deadline: Instant,
}

impl Watch<'_> {
    /// # Errors
    /// [`HandsError::Stopped`] once the call is cancelled or out of time (H6).
    pub(crate) fn check(&self) -> Result<(), HandsError> {
        let is_over = self.stop.load(Ordering::Relaxed) || Instant::now() >= self.deadline;
        if is_over { Err(HandsError::Stopped) } else { Ok(()) }
    }
}

/// The part of a file that is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) offset: u64,
    pub(crate) bytes_max: usize,
    pub(crate) memory_bytes_max: u64,
}

impl Slice {
    /// Takes pieces from `piece(buffer, offset)` until the slice is full or the file ends.
    pub(crate) fn collect(
        self,
        watch: Watch<'_>,
        mut piece: impl FnMut(&mut [u8], u64) -> Result<usize, HandsError>,
    ) -> Result<Vec<u8>, HandsError> {
        const PIECE_BYTES: usize = 256 << 10;
        // Further on than any file system reaches, where the system would call the offset itself an error.
        const OFFSET_MAX: u64 = 1 << 62;
        let mut bytes = Vec::new();
        if self.offset > OFFSET_MAX {
            return Ok(bytes);
        }
        while bytes.len() < self.bytes_max {
            watch.check()?;
            if bytes.len() as u64 >= self.memory_bytes_max {
                return Err(HandsError::Limit(format!(
                    "more than the {} bytes of memory this call may use; read it in smaller parts",
                    self.memory_bytes_max
                )));
            }
            let full = bytes.len();
            let wanted = (self.bytes_max - full).min(PIECE_BYTES);
            bytes.resize(full + wanted, 0);
            let read = piece(&mut bytes[full..], self.offset.saturating_add(full as u64))?;
            bytes.truncate(full + read);
            if read == 0 {
                break;
            }
        }
        Ok(bytes)
    }
}

fn covered(granted: &[Place], path: &Place, verb: &str) -> Result<(), HandsError> {
    if granted.iter().any(|place| place.covers(path)) {
        return Ok(());
    }
    Err(HandsError::Outside(format!("this call may not do this: {verb} {path}")))
}

/// Milliseconds since 1970-01-01 UTC, negative before it.
pub(crate) fn unix_ms(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}
