//! One HTTP/1.1 connection, driven by the very task that waits for its answer.
//!
//! No task is spawned and no buffer is held while it waits: bytes are read through the stack and kept only once they have
//! come. A waiting connection is this struct and its socket, which is why ten thousand of them are cheap.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, take};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use hyper::Method;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fault::{Failure, Fault};
use crate::head::{self, After, Framing, HEAD_BYTES_MAX, Head};
use crate::wire::Wire;

/// Bytes that one read takes off a connection at most.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Interim answers (RFC 9110 section 15.2) that are skipped before the final one.
const INTERIM_MAX: u8 = 16;

/// An HTTP/1.1 connection with at most one request on it.
pub(crate) struct Line {
    wire: Wire,
    /// What is left to send of the request; `None` once all of it is on its way.
    outbox: Option<Box<Outbox>>,
    /// What has come and was not used yet: part of a head, then of a body.
    inbox: Vec<u8>,
    /// The same, once the head is read.
    rest: Bytes,
    framing: Framing,
    after: After,
    method: Method,
}

/// A request on its way out.
struct Outbox {
    head: Vec<u8>,
    body: Bytes,
    /// Bytes of head and body together that are sent.
    sent: usize,
}

impl Line {
    /// A connection that has carried nothing yet.
    pub(crate) fn new(wire: Wire) -> Box<Self> {
        let (outbox, rest, framing) = (None, Bytes::new(), Framing::Over);
        Box::new(Self { wire, outbox, inbox: Vec::new(), rest, framing, after: After::Keep, method: Method::GET })
    }

    /// Puts a request on the connection; [`answer`](Self::answer) sends it. `head` is from [`head::write`].
    pub(crate) fn put(&mut self, method: Method, head: Vec<u8>, body: Bytes) {
        self.method = method;
        self.outbox = Some(Box::new(Outbox { head, body, sent: 0 }));
    }

    /// Sends the request and waits for the head of the answer, interim answers skipped. To stop waiting, drop the line.
    pub(crate) async fn answer(&mut self) -> Result<Head, Failure> {
        let (mut interim, mut scanned) = (0, 0);
        poll_fn(|cx| {
            let unprocessed = self.send(cx);
            loop {
                match self.take_head(&mut scanned) {
                    Err(fault) => return Poll::Ready(Err(Failure { fault, unprocessed: false })),
                    Ok(Some(head)) if (100..200).contains(&head.status) => {
                        interim += 1;
                        if head.status == 101 || interim > INTERIM_MAX {
                            let fault = Fault::Protocol("an interim answer too many, or a switch of protocols".into());
                            return Poll::Ready(Err(Failure { fault, unprocessed: false }));
                        }
                        continue;
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                }
                let come = ready!(self.poll_read(cx));
                let fault = match come {
                    Ok(bytes) if bytes.is_empty() => Fault::Cut,
                    Ok(bytes) => {
                        self.inbox.extend_from_slice(&bytes);
                        continue;
                    }
                    Err(error) => Fault::from_io(&error),
                };
                return Poll::Ready(Err(Failure { fault, unprocessed }));
            }
        })
        .await
    }

    /// The next piece of the answer's body, never empty; `None` at its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        // A server may answer before it has read the whole request.
        self.send(cx);
        loop {
            if self.is_over() {
                return Poll::Ready(None);
            }
            if self.rest.is_empty() {
                match ready!(self.poll_read(cx)) {
                    Ok(bytes) if bytes.is_empty() && matches!(self.framing, Framing::UntilClose) => {
                        self.framing = Framing::Over;
                        return Poll::Ready(None);
                    }
                    Ok(bytes) if bytes.is_empty() => return Poll::Ready(Some(Err(Fault::Cut))),
                    Ok(bytes) => self.rest = bytes,
                    Err(error) => return Poll::Ready(Some(Err(Fault::from_io(&error)))),
                }
            }
            match self.decode() {
                Ok(data) if data.is_empty() => {}
                other => return Poll::Ready(Some(other)),
            }
        }
    }

    /// Whether the answer's body is at its end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.framing, Framing::Over)
    }

    /// Whether the connection stands ready for a request. To be asked once the last answer was read to its end, and
    /// again before the next request: a server may have closed it in between, or said something that nobody asked.
    pub(crate) fn is_ready(&mut self) -> bool {
        let clean = self.is_over() && self.outbox.is_none() && self.inbox.is_empty() && self.rest.is_empty();
        clean && self.after == After::Keep && self.poll_read(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Sends what the connection takes. Returns whether the server certainly has nothing of the request. An error is no
    /// reason to stop: the server may have answered before it closed its ear.
    fn send(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(outbox) = &mut self.outbox else {
            return false;
        };
        let sent = outbox.poll_send(&mut self.wire, cx);
        let untouched = outbox.sent == 0;
        match sent {
            Poll::Pending => return untouched,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => self.after = After::Close,
        }
        self.outbox = None;
        untouched
    }

    /// Reads through the stack, so that no buffer waits with the connection. Empty at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES_MAX];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.wire).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    }

    /// A head out of the inbox. `scanned` is how far it is known to hold no empty line, lest a head that comes byte by
    /// byte is read from its beginning each time.
    fn take_head(&mut self, scanned: &mut usize) -> Result<Option<Head>, Fault> {
        if !head::may_begin(&self.inbox) {
            return Err(Fault::Protocol("no HTTP/1 status line".into()));
        }
        if head::empty_line(&self.inbox, *scanned).is_none() {
            *scanned = self.inbox.len().saturating_sub(2);
            if self.inbox.len() > HEAD_BYTES_MAX {
                return Err(Fault::Protocol(format!("a head of more than {HEAD_BYTES_MAX} bytes").into()));
            }
            return Ok(None);
        }
        let bytes = Bytes::from(take(&mut self.inbox));
        let Some((head, framing, after, length)) = head::read(&bytes, &self.method)? else {
            *scanned = bytes.len().saturating_sub(2);
            self.inbox = bytes.into();
            return Ok(None);
        };
        if (100..200).contains(&head.status) {
            *scanned = 0;
            self.inbox = bytes[length..].to_vec();
            return Ok(Some(head));
        }
        self.rest = bytes.slice(length..);
        self.framing = framing;
        if after == After::Close {
            self.after = After::Close;
        }
        Ok(Some(head))
    }

    /// Takes data out of what has come. Empty when it was all overhead.
    fn decode(&mut self) -> Result<Bytes, Fault> {
        match &mut self.framing {
            Framing::Over => Ok(Bytes::new()),
            Framing::UntilClose => Ok(take(&mut self.rest)),
            Framing::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = self.rest.split_to(most.min(self.rest.len()));
                *left -= data.len() as u64;
                if *left == 0 {
                    self.framing = Framing::Over;
                }
                Ok(data)
            }
            Framing::Chunked(chunks) => {
                let mut data = Vec::new();
                let used = chunks.feed(&self.rest, &mut data)?;
                self.rest = self.rest.slice(used..);
                if chunks.is_over() {
                    self.framing = Framing::Over;
                }
                Ok(data.into())
            }
        }
    }
}

impl Outbox {
    fn poll_send(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let whole = self.head.len() + self.body.len();
        while self.sent < whole {
            let head = self.head.get(self.sent..).unwrap_or_default();
            let body = self.body.get(self.sent.saturating_sub(self.head.len())..).unwrap_or_default();
            let parts = [IoSlice::new(head), IoSlice::new(body)];
            match ready!(Pin::new(&mut *wire).poll_write_vectored(cx, &parts))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.sent += bytes,
            }
        }
        Pin::new(wire).poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ten thousand waiting requests are made of.
    #[test]
    fn a_waiting_connection_is_small() {
        assert!(size_of::<Line>() <= 256, "{} bytes", size_of::<Line>());
    }
}
