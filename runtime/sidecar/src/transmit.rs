//! Messages on HTTP/2 streams, as gRPC lays them out, with flow control both ways.

use std::future::poll_fn;
use std::task::{Context, Poll};

use aether_proto::{Code, Frames, metadata};
use h2::{RecvStream, SendStream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use prost::bytes::{Bytes, BytesMut};

use crate::guard::Denial;

/// Bytes that may be under way on one stream before they are read; a caller that does not read holds up its own stream
/// alone.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes that may be under way on all streams: enough for each of them.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * STREAMS_MAX;

/// Streams at once; more than calls at once, so that a call too many is told so instead of waiting.
pub(crate) const STREAMS_MAX: u32 = 512;

/// Bytes of all headers of a request or an answer.
pub(crate) const HEADERS_BYTES_MAX: u32 = 128 * 1024;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const REASON: HeaderName = HeaderName::from_static(metadata::REASON);

/// What is to be sent on one stream.
pub(crate) struct Outgoing {
    stream: SendStream<Bytes>,
    pub(crate) pending: BytesMut,
    end: End,
}

/// What follows the last of the pending bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// More messages, or trailers.
    Open,
    /// The end of the stream.
    Closed,
}

/// The other side gave the stream up, or the connection broke.
pub(crate) struct Reset;

impl Outgoing {
    pub(crate) fn new(stream: SendStream<Bytes>, end: End) -> Outgoing {
        Outgoing { stream, pending: BytesMut::new(), end }
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sends some of what waits, as soon as the other side takes more; with nothing to send, waits for a reset alone.
    /// May be dropped and called again at any time.
    pub(crate) async fn advance(&mut self) -> Result<(), Reset> {
        poll_fn(|cx| self.poll_advance(cx)).await
    }

    /// Sends all that waits.
    pub(crate) async fn flush(&mut self) -> Result<(), Reset> {
        while !self.is_idle() {
            self.advance().await?;
        }
        Ok(())
    }

    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reset>> {
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Reset));
        }
        if self.pending.is_empty() {
            return Poll::Pending;
        }
        self.stream.reserve_capacity(self.pending.len());
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Reset)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let count = self.stream.capacity().min(self.pending.len());
        let chunk = self.pending.split_to(count).freeze();
        let is_last = self.pending.is_empty() && self.end == End::Closed;
        Poll::Ready(self.stream.send_data(chunk, is_last).map_err(|_| Reset))
    }

    /// Ends the stream with a status.
    pub(crate) fn end(mut self, denial: Option<&Denial>) {
        let mut trailers = HeaderMap::with_capacity(3);
        status_into(&mut trailers, denial);
        // A stream that is gone needs no trailers.
        let _ = self.stream.send_trailers(trailers);
    }

    /// Gives the stream up.
    pub(crate) fn cancel(&mut self) {
        self.stream.send_reset(h2::Reason::CANCEL);
    }
}

/// The head of an answer. With a denial, it is the whole of it ("Trailers-Only").
pub(crate) fn answer_head(denial: Option<&Denial>) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(metadata::CONTENT_TYPE));
    if denial.is_some() {
        status_into(headers, denial);
    }
    response
}

fn status_into(headers: &mut HeaderMap, denial: Option<&Denial>) {
    let Some(denial) = denial else {
        headers.insert(STATUS, HeaderValue::from_static("0"));
        return;
    };
    headers.insert(STATUS, HeaderValue::from(u16::from(denial.code.number())));
    if let Ok(message) = HeaderValue::try_from(metadata::message(&denial.text)) {
        headers.insert(MESSAGE, message);
    }
    if !denial.reason.is_empty() {
        headers.insert(REASON, HeaderValue::from_static(denial.reason));
    }
}

/// The status in headers or trailers: code, reason, sentence. `None` if there is none.
pub(crate) fn read_status(headers: &HeaderMap) -> Option<(Code, String, String)> {
    let code = Code::read(headers.get(STATUS)?.as_bytes());
    let word = headers.get(REASON).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let text = headers.get(MESSAGE).map(|value| metadata::read_message(value.as_bytes()));
    Some((code, word.unwrap_or_default(), text.unwrap_or_default()))
}

/// What comes in on one stream, message by message.
pub(crate) struct Incoming {
    stream: RecvStream,
    frames: Frames,
}

/// Why there is no next message.
pub(crate) enum Unread {
    /// The stream has ended, in the middle of a message or not.
    End {
        /// Bytes of a message whose rest did not come.
        held_bytes: usize,
    },
    /// The stream or the connection broke.
    Broken(h2::Error),
    /// What came is no message, or one that is too long.
    Frame(aether_proto::FrameError),
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream, bytes_max: usize) -> Incoming {
        Incoming { stream, frames: Frames::new(bytes_max) }
    }

    /// The next message. The other side may send more only as this is called.
    pub(crate) async fn next_message(&mut self) -> Result<Bytes, Unread> {
        loop {
            if let Some(message) = self.frames.next_message().map_err(Unread::Frame)? {
                return Ok(message);
            }
            self.pull().await?;
        }
    }

    /// Takes in one more chunk and says how long it was.
    async fn pull(&mut self) -> Result<usize, Unread> {
        match self.stream.data().await {
            Some(Ok(chunk)) => {
                self.frames.push(&chunk);
                // Fails only on a stream that is gone, which the next read says.
                let _ = self.stream.flow_control().release_capacity(chunk.len());
                Ok(chunk.len())
            }
            Some(Err(error)) => Err(Unread::Broken(error)),
            None => Err(Unread::End { held_bytes: self.frames.held_bytes() }),
        }
    }

    /// The one message of a request, to the end of its stream. `reserve` is asked before more is kept.
    pub(crate) async fn only_message(
        &mut self,
        mut reserve: impl FnMut(usize) -> Result<(), Denial>,
    ) -> Result<Bytes, Denial> {
        let mut message = None;
        loop {
            match self.frames.next_message() {
                Ok(Some(_)) if message.is_some() => return Err(Denial::malformed("a request is one message, not two")),
                Ok(Some(found)) => message = Some(found),
                Ok(None) => match self.pull().await {
                    Ok(count) => reserve(count)?,
                    Err(Unread::End { held_bytes: 0 }) => break,
                    Err(Unread::End { .. }) => return Err(Denial::malformed("the request ended within its message")),
                    Err(_) => return Err(Denial::new(Code::Cancelled, "cancelled", "the request was given up")),
                },
                Err(error @ aether_proto::FrameError::TooLong { .. }) => {
                    return Err(Denial::new(Code::ResourceExhausted, "too-large", error.to_string()));
                }
                Err(error) => return Err(Denial::new(Code::Unimplemented, "", error.to_string())),
            }
        }
        message.ok_or_else(|| Denial::malformed("the request has no message"))
    }

    /// The trailers, once [`Incoming::next_message`] came to the end.
    pub(crate) async fn trailers(&mut self) -> Result<Option<HeaderMap>, h2::Error> {
        self.stream.trailers().await
    }
}
