//! A connection that speaks HTTP/1: heads and bodies come in, bytes go out, and nobody waits for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aether_net::Chunks;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::READ_BYTES;
use crate::decision::Why;
use crate::head::{Body, Finder, HeadFault};
use crate::relay::cut;

/// Something that carries bytes both ways.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Both ways of a connection, which can be used at the same time.
pub(crate) struct Line {
    pub(crate) inlet: Inlet,
    pub(crate) outlet: Outlet,
}

impl Line {
    /// A line on a wire, of which `first` was read already. No wait is longer than `idle_ms_max`.
    pub(crate) fn new(wire: Box<dyn Wire>, first: Vec<u8>, idle_ms_max: u64) -> Line {
        let (from, to) = tokio::io::split(wire);
        Line { inlet: Inlet { from, buffer: first, idle_ms_max }, outlet: Outlet { to, idle_ms_max } }
    }
}

/// What comes in.
pub(crate) struct Inlet {
    from: ReadHalf<Box<dyn Wire>>,
    buffer: Vec<u8>,
    idle_ms_max: u64,
}

impl Inlet {
    /// Reads more, until then; 0 at the end.
    async fn fill(&mut self, until: Instant) -> Result<usize, Why> {
        self.buffer.reserve(READ_BYTES);
        let idle = Why::Idle { ms: self.idle_ms_max };
        timeout_at(until, self.from.read_buf(&mut self.buffer)).await.map_err(|_| idle)?.map_err(cut)
    }

    fn patience(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.idle_ms_max)
    }

    /// Whether nothing has come, not even the end.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.fill(Instant::now()).await, Err(Why::Idle { .. }))
    }

    /// The next head, whole within the time that one wait may take; `None` at an end where one could have begun.
    pub(crate) async fn head(&mut self, wrong: fn(HeadFault) -> Why) -> Result<Option<Vec<u8>>, Why> {
        let mut finder = Finder::default();
        let until = self.patience();
        loop {
            if let Some(end) = finder.find(&self.buffer).map_err(wrong)? {
                let rest = self.buffer.split_off(end);
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            if self.fill(until).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(Why::Cut("in a head".into())) };
            }
        }
    }

    /// The next bytes of a body, without its coding; none at its end.
    pub(crate) async fn piece(&mut self, progress: &mut Progress, wrong: fn(HeadFault) -> Why) -> Result<Vec<u8>, Why> {
        loop {
            if progress.is_over() {
                return Ok(Vec::new());
            }
            if self.buffer.is_empty() && self.fill(self.patience()).await? == 0 {
                return if matches!(progress, Progress::UntilClose) {
                    *progress = Progress::Length(0);
                    Ok(Vec::new())
                } else {
                    Err(Why::Cut("in a body".into()))
                };
            }
            let piece = progress.take(&mut self.buffer).map_err(wrong)?;
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }
}

/// What goes out.
pub(crate) struct Outlet {
    to: WriteHalf<Box<dyn Wire>>,
    idle_ms_max: u64,
}

impl Outlet {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Why> {
        let idle = Why::Idle { ms: self.idle_ms_max };
        let written = timeout(Duration::from_millis(self.idle_ms_max), async {
            self.to.write_all(bytes).await?;
            self.to.flush().await
        });
        written.await.map_err(|_| idle)?.map_err(cut)
    }

    pub(crate) async fn close(&mut self) -> Result<(), Why> {
        let idle = Why::Idle { ms: self.idle_ms_max };
        timeout(Duration::from_millis(self.idle_ms_max), self.to.shutdown()).await.map_err(|_| idle)?.map_err(cut)
    }
}

/// How much of a body is still to come.
pub(crate) enum Progress {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Progress {
    pub(crate) fn new(body: Body) -> Progress {
        match body {
            Body::Length(length) => Progress::Length(length),
            Body::Chunked => Progress::Chunked(Chunks::new()),
            Body::UntilClose => Progress::UntilClose,
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Progress::Length(left) => *left == 0,
            Progress::Chunked(chunks) => chunks.is_over(),
            Progress::UntilClose => false,
        }
    }

    /// Takes what belongs to the body off the front of `buffer`.
    fn take(&mut self, buffer: &mut Vec<u8>) -> Result<Vec<u8>, HeadFault> {
        match self {
            Progress::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= take as u64;
                let rest = buffer.split_off(take);
                Ok(std::mem::replace(buffer, rest))
            }
            Progress::Chunked(chunks) => {
                let mut data = Vec::with_capacity(buffer.len());
                let used = chunks.decode(buffer, &mut data).map_err(|_| HeadFault::Ambiguous("chunks"))?;
                buffer.drain(..used);
                Ok(data)
            }
            Progress::UntilClose => Ok(std::mem::take(buffer)),
        }
    }
}

/// A connection of which some bytes were read already, and come first.
pub(crate) struct Prefixed {
    first: Vec<u8>,
    at: usize,
    stream: TcpStream,
}

impl Prefixed {
    pub(crate) fn new(first: Vec<u8>, stream: TcpStream) -> Prefixed {
        Prefixed { first, at: 0, stream }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.first[self.at..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
