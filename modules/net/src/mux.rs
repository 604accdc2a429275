//! One HTTP/2 connection, shared by many requests at once.
//!
//! Here tasks are needed, because no single request may drive what all of them use. They belong to the client and end
//! with the connection or with the client, whichever is first (N7).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use hyper::Uri;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::{TrySendError, http2};
use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::Shared;
use crate::error::NetError;
use crate::fault::{Failure, Fault};
use crate::head::{HEAD_BYTES_MAX, Head};
use crate::request::Request;
use crate::wire::Wire;

/// Bytes that one read takes off a connection at most.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Requests that one connection carries at once, whatever the server allows.
const STREAMS_MAX: usize = 1_000;

/// What is assumed until the server states its own limit (RFC 9113 section 6.5.2 advises at least this much).
pub(crate) const STREAMS_ASSUMED: usize = 100;

/// Bytes that a server may send ahead of being read: per request, and per connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of request bodies that wait to be sent, per request.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// A shared connection.
pub(crate) struct Mux {
    sender: http2::SendRequest<Once>,
    traffic: Arc<Traffic>,
}

struct Traffic {
    in_flight: AtomicUsize,
    streams_max: AtomicUsize,
    broken: AtomicBool,
    /// Whether an answer has come, and with it the server's settings.
    answered: AtomicBool,
    settled: Notify,
    resting_since: Mutex<Instant>,
}

impl Mux {
    /// Sends the connection preface and starts the connection's tasks. `assumed` is how many requests it carries until
    /// the server states its limit.
    pub(crate) async fn open(wire: Wire, shared: &Arc<Shared>, assumed: usize) -> Result<Arc<Self>, hyper::Error> {
        let mut builder = http2::Builder::new(Spawner(Arc::downgrade(shared)));
        builder
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BYTES_MAX)
            .initial_max_send_streams(assumed);
        let (sender, connection) = builder.handshake(wire).await?;
        let traffic = Arc::new(Traffic {
            in_flight: AtomicUsize::new(0),
            streams_max: AtomicUsize::new(assumed),
            broken: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            settled: Notify::new(),
            resting_since: Mutex::new(Instant::now()),
        });
        let seen = Arc::clone(&traffic);
        shared.spawn(async move {
            let mut connection = pin!(connection);
            let mut settled = pin!(seen.settled.notified());
            let mut waiting = true;
            // How it ended is told to each request by its own stream.
            let _end = poll_fn(|cx| {
                waiting = waiting && settled.as_mut().poll(cx).is_pending();
                let end = connection.as_mut().poll(cx);
                seen.streams_max.store(connection.current_max_send_streams(), Ordering::Relaxed);
                end
            })
            .await;
        });
        Ok(Arc::new(Self { sender, traffic }))
    }

    /// Whether requests may still be put on it.
    pub(crate) fn is_usable(&self) -> bool {
        self.sender.is_ready() && !self.traffic.broken.load(Ordering::Relaxed)
    }

    /// How many requests it carries at once.
    pub(crate) fn streams_max(&self) -> usize {
        self.traffic.streams_max.load(Ordering::Relaxed).min(STREAMS_MAX)
    }

    /// How many more requests it carries at once; 0 when it is full.
    pub(crate) fn room(&self) -> usize {
        self.streams_max().saturating_sub(self.traffic.in_flight.load(Ordering::Relaxed))
    }

    /// Since when it carries nothing; `None` while it carries something.
    pub(crate) fn resting_since(&self) -> Option<Instant> {
        let resting = self.traffic.in_flight.load(Ordering::Relaxed) == 0;
        resting.then(|| *self.traffic.resting_since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a place for one request.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        self.traffic.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease { sender: self.sender.clone(), traffic: Arc::clone(&self.traffic) }
    }
}

/// The place of one request on a shared connection, free again when dropped.
pub(crate) struct Lease {
    sender: http2::SendRequest<Once>,
    traffic: Arc<Traffic>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.traffic.resting_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.traffic.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One request and its answer on a shared connection. Dropping it resets the stream.
pub(crate) struct Exchange {
    lease: Lease,
    pending: Option<Pending>,
    body: Option<Incoming>,
}

type Pending =
    Pin<Box<dyn Future<Output = Result<hyper::Response<Incoming>, TrySendError<hyper::Request<Once>>>> + Send>>;

impl Exchange {
    pub(crate) fn new(lease: Lease) -> Box<Self> {
        Box::new(Self { lease, pending: None, body: None })
    }

    /// Puts a request on the connection; [`answer`](Self::answer) waits for what comes of it.
    pub(crate) fn put(&mut self, request: Request) -> Result<(), NetError> {
        let dressed = dress(request)?;
        self.pending = Some(Box::pin(self.lease.sender.try_send_request(dressed)));
        Ok(())
    }

    /// Waits for the head of the answer.
    pub(crate) async fn answer(&mut self) -> Result<Head, Failure> {
        let Some(pending) = &mut self.pending else {
            return Err(Failure { fault: Fault::Cut, unprocessed: true });
        };
        let answer = pending.await;
        self.pending = None;
        let (parts, body) = answer.map_err(failure)?.into_parts();
        if !self.lease.traffic.answered.swap(true, Ordering::Relaxed) {
            self.lease.traffic.settled.notify_one();
        }
        self.body = Some(body);
        Ok(Head { status: parts.status.as_u16(), headers: parts.headers })
    }

    /// The next piece of the answer's body, never empty; `None` at its end. Trailers are dropped.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Some(Ok(data)),
                    _ => continue,
                },
                Some(Err(error)) => Some(Err(Fault::from_hyper(&error))),
                None => None,
            });
        }
    }

    /// Whether the answer's body is at its end.
    pub(crate) fn is_over(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Lets no further request onto the connection: it went silent and may be dead.
    pub(crate) fn mark_broken(&self) {
        self.lease.traffic.broken.store(true, Ordering::Relaxed);
    }
}

/// The request as HTTP/2 wants it: with a whole address and without `host` (RFC 9113 section 8.3.1).
fn dress(request: Request) -> Result<hyper::Request<Once>, NetError> {
    let unfit = |_| NetError::Request { found: "the address does not fit into a request: shorten it".into() };
    let uri = Uri::try_from(request.url.to_string()).map_err(unfit)?;
    let mut dressed = hyper::Request::new(Once(request.body));
    *dressed.method_mut() = request.method;
    *dressed.uri_mut() = uri;
    *dressed.headers_mut() = request.headers;
    Ok(dressed)
}

fn failure(mut refused: TrySendError<hyper::Request<Once>>) -> Failure {
    let unsent = refused.take_message().is_some();
    let error = refused.into_error();
    // The server says that it did not look at the request (RFC 9113 section 8.7).
    let inner = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<h2::Error>());
    let refused = inner.is_some_and(|inner| inner.is_remote() && inner.reason() == Some(h2::Reason::REFUSED_STREAM));
    Failure { fault: Fault::from_hyper(&error), unprocessed: unsent || refused }
}

/// A request body: one piece, given away at the first asking and freed as soon as it is sent.
pub(crate) struct Once(Bytes);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.get_mut().0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Where hyper puts the tasks of a connection: into the client's own set.
#[derive(Clone)]
pub(crate) struct Spawner(Weak<Shared>);

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        // Without the client there is nobody left to answer: the task is dropped, and the connection with it.
        if let Some(shared) = self.0.upgrade() {
            shared.spawn(async move {
                work.await;
            });
        }
    }
}

impl hyper::rt::Read for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES_MAX];
        let wanted = cursor.remaining().min(READ_BYTES_MAX);
        let mut buffer = ReadBuf::uninit(&mut space[..wanted]);
        ready!(AsyncRead::poll_read(self, cx, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(self, cx)
    }

    fn is_write_vectored(&self) -> bool {
        AsyncWrite::is_write_vectored(self)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(self, cx, parts)
    }
}
