//! Open connections at rest, and what is known about each origin.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::line::Line;
#[cfg(feature = "http2")]
use crate::mux::{Lease, Mux, STREAMS_ASSUMED};
use crate::trip::Key;
use crate::url::Scheme;

/// Origins that are remembered; beyond that, those without a connection are forgotten.
const ORIGINS_MAX: usize = 256;

/// Shared connections to one origin. A second one is opened when the first is full.
#[cfg(feature = "http2")]
const MUXES_PER_ORIGIN_MAX: usize = 16;

/// What an origin speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Not known yet.
    Unknown,
    /// One request per connection.
    Http1,
    /// Many requests per connection.
    #[cfg(feature = "http2")]
    Http2,
}

/// How many connections may rest, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) per_origin_max: usize,
    pub(crate) total_max: usize,
    pub(crate) rest: Duration,
}

/// Held while a connection to an origin of unknown protocol, or of HTTP/2, is opened: whoever waits may not need one.
pub(crate) type Gate = tokio::sync::Mutex<()>;

pub(crate) struct Pool {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    origins: HashMap<Arc<Key>, Origin>,
    lines_resting: usize,
    reaper_runs: bool,
}

struct Origin {
    protocol: Protocol,
    lines: VecDeque<Resting>,
    #[cfg(feature = "http2")]
    muxes: Vec<Arc<Mux>>,
    gate: Arc<Gate>,
}

struct Resting {
    line: Box<Line>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Mutex::new(State::default()) }
    }

    /// A connection at rest that still stands, the one used last first.
    pub(crate) fn take_line(&self, key: &Key) -> Option<Box<Line>> {
        loop {
            let mut resting = {
                let mut state = self.lock();
                let resting = state.origins.get_mut(key)?.lines.pop_back()?;
                state.lines_resting -= 1;
                resting
            };
            // Outside the lock: this reads from the socket.
            if resting.since.elapsed() < self.bounds.rest && resting.line.is_ready() {
                return Some(resting.line);
            }
        }
    }

    /// Puts a connection to rest. The oldest makes room where there are too many.
    pub(crate) fn rest_line(&self, key: &Arc<Key>, line: Box<Line>) {
        if self.bounds.per_origin_max == 0 || self.bounds.total_max == 0 {
            return;
        }
        let dropped = {
            let mut state = self.lock();
            state.lines_resting += 1;
            let origin = state.origin(key);
            origin.lines.push_back(Resting { line, since: Instant::now() });
            if origin.lines.len() > self.bounds.per_origin_max {
                let oldest = origin.lines.pop_front();
                state.lines_resting -= 1;
                oldest
            } else if state.lines_resting > self.bounds.total_max {
                state.drop_oldest()
            } else {
                None
            }
        };
        // The socket closes outside the lock.
        drop(dropped);
    }

    /// A place on a shared connection to this origin: one with room, or any once no more may be opened.
    #[cfg(feature = "http2")]
    pub(crate) fn lease(&self, key: &Key) -> Option<Lease> {
        let mut state = self.lock();
        let origin = state.origins.get_mut(key)?;
        origin.muxes.retain(|mux| mux.is_usable());
        let roomiest = origin.muxes.iter().max_by_key(|mux| mux.room())?;
        let full = roomiest.room() == 0 && origin.muxes.len() < MUXES_PER_ORIGIN_MAX;
        (!full).then(|| roomiest.lease())
    }

    /// How many requests the next shared connection to this origin is likely to carry at once.
    #[cfg(feature = "http2")]
    pub(crate) fn streams_likely(&self, key: &Key) -> usize {
        let state = self.lock();
        let muxes = state.origins.get(key).map(|origin| origin.muxes.iter().map(|mux| mux.streams_max()));
        muxes.and_then(Iterator::min).unwrap_or(STREAMS_ASSUMED)
    }

    /// Shares a connection and takes the first place on it.
    #[cfg(feature = "http2")]
    pub(crate) fn share(&self, key: &Arc<Key>, mux: Arc<Mux>) -> Lease {
        let lease = mux.lease();
        self.lock().origin(key).muxes.push(mux);
        lease
    }

    /// The gate to pass before a connection is opened, where there is one.
    pub(crate) fn gate(&self, key: &Arc<Key>) -> Option<Arc<Gate>> {
        let mut state = self.lock();
        let origin = state.origin(key);
        (origin.protocol != Protocol::Http1).then(|| Arc::clone(&origin.gate))
    }

    /// What this origin is known to speak.
    pub(crate) fn protocol(&self, key: &Key) -> Protocol {
        self.lock().origins.get(key).map_or(Protocol::Unknown, |origin| origin.protocol)
    }

    /// Remembers what an origin speaks.
    pub(crate) fn learn(&self, key: &Arc<Key>, protocol: Protocol) {
        self.lock().origin(key).protocol = protocol;
    }

    /// Connections at rest or shared.
    pub(crate) fn open_connections(&self) -> usize {
        let state = self.lock();
        #[cfg(feature = "http2")]
        let shared = state.origins.values().map(|origin| origin.muxes.len()).sum::<usize>();
        #[cfg(not(feature = "http2"))]
        let shared = 0;
        state.lines_resting + shared
    }

    /// Whether the caller is to start the task that calls [`reap`](Self::reap).
    pub(crate) fn wants_reaper(&self) -> bool {
        let mut state = self.lock();
        !std::mem::replace(&mut state.reaper_runs, true)
    }

    /// Closes what has rested too long. Returns when to come again, or `None` when nothing is left: then the caller
    /// stops, and the next connection wants a new one.
    pub(crate) fn reap(&self, now: Instant) -> Option<Instant> {
        let rest = self.bounds.rest;
        let mut closed = Vec::new();
        let mut oldest: Option<Instant> = None;
        let mut state = self.lock();
        let mut lines_left = 0;
        for origin in state.origins.values_mut() {
            while origin.lines.front().is_some_and(|resting| now.duration_since(resting.since) >= rest) {
                closed.extend(origin.lines.pop_front());
            }
            lines_left += origin.lines.len();
            oldest = [oldest, origin.lines.front().map(|resting| resting.since)].into_iter().flatten().min();
            #[cfg(feature = "http2")]
            {
                let expired =
                    |mux: &Arc<Mux>| mux.resting_since().is_some_and(|since| now.duration_since(since) >= rest);
                origin.muxes.retain(|mux| mux.is_usable() && !expired(mux));
                let muxes = origin.muxes.iter().map(|mux| mux.resting_since().unwrap_or(now));
                oldest = muxes.chain(oldest).min();
            }
        }
        state.lines_resting = lines_left;
        state.origins.retain(|_, origin| !origin.is_empty());
        state.reaper_runs = oldest.is_some();
        drop(state);
        drop(closed);
        oldest.and_then(|since| since.checked_add(rest))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn origin(&mut self, key: &Arc<Key>) -> &mut Origin {
        if self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(key) {
            self.origins.retain(|_, origin| !origin.is_empty());
        }
        self.origins.entry(Arc::clone(key)).or_insert_with(|| Origin::new(key.scheme))
    }

    fn drop_oldest(&mut self) -> Option<Resting> {
        let fronts = self.origins.values_mut().filter(|origin| !origin.lines.is_empty());
        let oldest = fronts.min_by_key(|origin| origin.lines.front().map(|resting| resting.since))?;
        let dropped = oldest.lines.pop_front();
        self.lines_resting -= usize::from(dropped.is_some());
        dropped
    }
}

impl Origin {
    fn new(scheme: Scheme) -> Self {
        Self {
            // HTTP/2 is agreed on inside TLS only (RFC 9113 section 3.2); in the clear this client speaks HTTP/1.1.
            protocol: if scheme == Scheme::Http { Protocol::Http1 } else { Protocol::Unknown },
            lines: VecDeque::new(),
            #[cfg(feature = "http2")]
            muxes: Vec::new(),
            gate: Arc::default(),
        }
    }

    /// Nothing to keep: no connection, and nobody at the gate.
    fn is_empty(&self) -> bool {
        #[cfg(feature = "http2")]
        let shared = !self.muxes.is_empty();
        #[cfg(not(feature = "http2"))]
        let shared = false;
        self.lines.is_empty() && !shared && Arc::strong_count(&self.gate) == 1
    }
}
