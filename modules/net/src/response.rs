//! An answer: its head at once, its body piece by piece.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use tokio::time::timeout_at;

use crate::client::Shared;
use crate::error::NetError;
use crate::head::Head;
use crate::lane::Lane;
use crate::trip::Trip;

/// The answer to one request.
///
/// Read it to its end and the connection serves the next request; drop it before and the connection (HTTP/1.1) or the
/// stream (HTTP/2) is closed, which is the way to stop a body that turns out too long.
pub struct Response {
    shared: Arc<Shared>,
    trip: Trip,
    status: u16,
    headers: Box<HeaderMap>,
    /// Where the body comes from; `None` when nothing more comes.
    lane: Option<Lane>,
    bytes: u64,
}

impl Response {
    pub(crate) fn new(shared: Arc<Shared>, trip: Trip, head: Head, lane: Lane) -> Self {
        let Head { status, headers } = head;
        let mut response = Self { shared, trip, status, headers: Box::new(headers), lane: Some(lane), bytes: 0 };
        response.finish_if_over();
        response
    }

    /// The status, 100 to 999 (RFC 9110 section 15).
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first value of a header, by name in any case; `None` when there is none or it is not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All header lines, in the order of names' first appearance. Values are bytes, as HTTP allows.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// Bytes of the body that have been handed out.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next piece of the body, never empty; `None` at its end, and from then on. Trailers are dropped.
    ///
    /// # Errors
    ///
    /// [`NetError::IdleTimeout`], [`NetError::TotalTimeout`], [`NetError::TooLarge`], [`NetError::Cut`],
    /// [`NetError::Protocol`] or [`NetError::Tls`]. After an error the body is at its end and the connection is closed.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let Some(lane) = &mut self.lane else {
            return Ok(None);
        };
        let limits = self.trip.limits;
        let until = self.trip.until(limits.idle_ms_max);
        let Ok(come) = timeout_at(until, poll_fn(|cx| lane.poll_data(cx))).await else {
            lane.mark_broken();
            self.lane = None;
            let bytes = self.bytes;
            return Err(self.trip.late(|host| NetError::IdleTimeout { host, ms: limits.idle_ms_max, bytes }));
        };
        let data = match come {
            None => {
                self.finish_if_over();
                self.lane = None;
                return Ok(None);
            }
            Some(Err(fault)) => {
                self.lane = None;
                return Err(fault.at(self.trip.label(), Some(self.bytes)));
            }
            Some(Ok(data)) => data,
        };
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if self.bytes > limits.body_bytes_max {
            self.lane = None;
            return Err(NetError::TooLarge { host: self.trip.label(), bytes_max: limits.body_bytes_max });
        }
        self.finish_if_over();
        Ok(Some(data))
    }

    /// The rest of the body in one piece.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, NetError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// At the end of the body the connection may serve again.
    fn finish_if_over(&mut self) {
        if let Some(Lane::Line(line)) = self.lane.take_if(|lane| lane.is_over()) {
            self.shared.rest(&self.trip.key, line);
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {} from {}, {} bytes read", self.status, self.trip.label(), self.bytes)
    }
}
