//! Reads one response, whatever it turns out to be: a stream, a whole body, an HTTP error, or a stranger's page.
//!
//! A codec supplies a [`Dialect`], which sees whole payloads only; [`Answer`] finds them, keeps the limits and
//! sees to it that exactly one stop or error comes last.

use aether_core::model::{Head, ModelError, ModelErrorKind, ModelEvent, Reader};

use crate::failure;
use crate::framing::{Event, EventStream, Overflow, Values};

/// The most bytes of one answer that are read, framing included.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The most bytes of one payload: a server-sent event, a line, or a whole body.
pub const EVENT_BYTES_MAX: usize = 16 << 20;

/// The most bytes of an error's body that are looked at.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// One provider's payloads.
pub trait Dialect: Send {
    /// Takes in one payload and appends what it completes. A whole body comes as a single payload without a
    /// name. On [`Progress::Over`] the dialect has appended [`ModelEvent::Stop`], and nothing more is read.
    ///
    /// # Errors
    /// What ends the answer; see [`failure`].
    fn payload(&mut self, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError>;

    /// The response ended without [`Progress::Over`]: appends the rest and [`ModelEvent::Stop`] if the answer
    /// is complete all the same.
    ///
    /// # Errors
    /// [`failure::cut`] if it is not.
    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), ModelError>;
}

/// Whether an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More payloads may come.
    More,
    /// It is complete.
    Over,
}

/// A reader for one response.
pub struct Answer {
    dialect: Box<dyn Dialect>,
    state: State,
    received_bytes: usize,
    status: u16,
    retry_after_ms: Option<u64>,
    is_event_stream: bool,
}

enum State {
    /// Nothing but white space yet, and this many bytes of a byte order mark.
    Opening(usize),
    Stream(EventStream),
    Values(Values),
    /// An HTTP error, or something that is no answer at all.
    Failing(Vec<u8>),
    Over,
}

impl Answer {
    /// A reader for the response with this head.
    ///
    /// The first byte decides between a stream and JSON, because servers and proxies mislabel both.
    #[must_use]
    pub fn new(head: Head<'_>, dialect: Box<dyn Dialect>) -> Answer {
        let state = if is_success(head.status) { State::Opening(0) } else { State::Failing(Vec::new()) };
        Answer {
            dialect,
            state,
            received_bytes: 0,
            status: head.status,
            retry_after_ms: head.retry_after_ms,
            is_event_stream: head.content_type == "text/event-stream",
        }
    }

    fn step(&mut self, mut bytes: &[u8], events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        if matches!(self.state, State::Over) {
            return Ok(());
        }
        self.received_bytes = self.received_bytes.saturating_add(bytes.len());
        if self.received_bytes > ANSWER_BYTES_MAX {
            return Err(failure::too_large(ANSWER_BYTES_MAX));
        }
        if let State::Opening(mark) = self.state {
            self.open(mark, &mut bytes);
        }
        loop {
            let next = match &mut self.state {
                State::Stream(stream) => stream.next(&mut bytes),
                State::Values(values) => values.next(&mut bytes),
                State::Failing(body) => {
                    let room = ERROR_BYTES_MAX.saturating_sub(body.len());
                    body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    let is_enough = body.len() >= ERROR_BYTES_MAX;
                    return if is_enough { Err(self.failed()) } else { Ok(()) };
                }
                State::Opening(_) | State::Over => return Ok(()),
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(Overflow { event_bytes_max }) => return Err(failure::too_large(event_bytes_max)),
            };
            if self.dialect.payload(event, events)? == Progress::Over {
                self.state = State::Over;
                return Ok(());
            }
        }
    }

    /// Passes over white space and a byte order mark, then decides by the first byte what this is.
    fn open(&mut self, mark: usize, bytes: &mut &[u8]) {
        const MARK: [u8; 3] = *b"\xEF\xBB\xBF";
        let mut mark = mark;
        while let Some(byte) = bytes.first() {
            if MARK.get(mark) == Some(byte) {
                mark += 1;
            } else if mark == 1 || mark == 2 || !byte.is_ascii_whitespace() {
                break;
            }
            *bytes = &bytes[1..];
        }
        self.state = match bytes.first() {
            None => State::Opening(mark),
            Some(b'{' | b'[') => State::Values(Values::new(EVENT_BYTES_MAX)),
            Some(b'd' | b'e' | b'i' | b'r' | b':') => State::Stream(EventStream::new(EVENT_BYTES_MAX)),
            Some(b'<') => State::Failing(Vec::new()),
            Some(_) if self.is_event_stream => State::Stream(EventStream::new(EVENT_BYTES_MAX)),
            Some(_) => State::Failing(Vec::new()),
        };
    }

    fn finish(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        let is_stream = matches!(self.state, State::Stream(_));
        let last = match &mut self.state {
            State::Over => return Ok(()),
            State::Failing(_) => return Err(self.failed()),
            State::Opening(_) => return Err(failure::cut()),
            State::Stream(stream) => stream.end(),
            State::Values(values) if values.is_broken_off() => return Err(failure::cut()),
            State::Values(values) => values.end(),
        };
        if let Some(event) = last {
            match self.dialect.payload(event, events) {
                Ok(Progress::Over) => return Ok(()),
                Ok(Progress::More) => {}
                // What the end left without its last line is half a payload, not a wrong one.
                Err(error) if error.kind == ModelErrorKind::Malformed && is_stream => return Err(failure::cut()),
                Err(error) => return Err(error),
            }
        }
        self.dialect.end(events)
    }

    fn failed(&self) -> ModelError {
        let body = if let State::Failing(body) = &self.state { body.as_slice() } else { &[] };
        if is_success(self.status) {
            failure::foreign(body)
        } else {
            failure::http(self.status, self.retry_after_ms, body)
        }
    }
}

impl Reader for Answer {
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ModelEvent>) {
        if let Err(error) = self.step(bytes, events) {
            self.state = State::Over;
            events.push(ModelEvent::Error(error));
        }
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) {
        let finished = self.finish(events);
        self.state = State::Over;
        if let Err(error) = finished {
            events.push(ModelEvent::Error(error));
        }
    }
}

/// Whether an HTTP status promises an answer.
#[must_use]
pub fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
