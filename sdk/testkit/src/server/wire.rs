//! Connections: requests are read, responses are written at the pace and with the flaws a script asks for.
//!
//! A connection that waits holds no buffer: bytes are read into one that all share.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::answer::Answer;
use super::{Out, Shared, not_http};
use crate::http::{self, Extent, Parsed};
use crate::script::Place;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4096;
/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// How long to wait after the system refused a connection, for want of file descriptors mostly.
const ACCEPT_PAUSE_MS: u64 = 10;

/// Runs the server on this thread until `stopped` resolves. Tells first where it listens.
pub(super) fn run(
    shared: &Arc<Shared>,
    port: u16,
    tell: &mpsc::Sender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.send(Err(error));
            return;
        }
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = match listen(port) {
            Ok((listener, address)) => {
                let _ = tell.send(Ok(address));
                listener
            }
            Err(error) => {
                let _ = tell.send(Err(error));
                return;
            }
        };
        let mut accepting = pin!(accept(listener, Arc::clone(shared)));
        let mut stopped = pin!(stopped);
        std::future::poll_fn(|context| match stopped.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => accepting.as_mut().poll(context),
        })
        .await;
    });
}

fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let buffer = Rc::new(RefCell::new(vec![0; READ_BYTES].into_boxed_slice()));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let connection = Connection { stream, shared: Arc::clone(&shared), buffer: Rc::clone(&buffer) };
                tokio::task::spawn_local(connection.serve());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await,
        }
    }
}

struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    buffer: Rc<RefCell<Box<[u8]>>>,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

impl Connection {
    /// Answers requests until the client goes away or a response ends the connection.
    ///
    /// An error means that the client is gone, which is its right.
    async fn serve(mut self) {
        let _ = self.stream.set_nodelay(true);
        let mut received = Vec::new();
        loop {
            match http::parse(&received) {
                Ok(Parsed::Complete(request, len)) => {
                    received.drain(..len);
                    if received.is_empty() {
                        received = Vec::new();
                    }
                    let out = self.shared.answer(&request);
                    let closes = request.wants_close();
                    drop(request);
                    match self.send(out).await {
                        Ok(Next::Request) if !closes => {}
                        _ => break,
                    }
                }
                Ok(Parsed::Expecting) => {
                    if self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
                        || !self.read(&mut received).await
                    {
                        return;
                    }
                }
                Ok(Parsed::Partial) => {
                    if !self.read(&mut received).await {
                        return;
                    }
                }
                Err(message) => {
                    let _ = self.stream.write_all(&not_http(&message)).await;
                    break;
                }
            }
        }
        let _ = self.stream.shutdown().await;
    }

    /// Reads what is there; `false` when the client has closed.
    async fn read(&self, received: &mut Vec<u8>) -> bool {
        loop {
            if self.stream.readable().await.is_err() {
                return false;
            }
            let mut buffer = self.buffer.borrow_mut();
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(len) => {
                    received.extend_from_slice(&buffer[..len]);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    async fn send(&mut self, out: Out) -> io::Result<Next> {
        match out {
            Out::Ready(bytes, delay_ms) => {
                pause(delay_ms).await;
                self.stream.write_all(&bytes).await?;
                Ok(Next::Request)
            }
            Out::Shaped(answer) if is_plain(&answer) => {
                self.stream.write_all(&flat(&answer)).await?;
                Ok(Next::Request)
            }
            // Rare and large: kept out of the future of connections that wait.
            Out::Shaped(answer) => Box::pin(self.send_shaped(answer)).await,
        }
    }

    async fn send_shaped(&mut self, answer: Answer) -> io::Result<Next> {
        let transport = &answer.transport;
        pause(transport.head_delay_ms).await;
        let head = http::head(answer.head.status, &answer.head.headers, answer.head.extent);
        match (transport.cut, transport.hang) {
            (Some(Place::BeforeHead), _) => return Ok(Next::Close),
            (_, Some(Place::BeforeHead)) => return self.hang().await,
            (Some(Place::InHead), _) => {
                self.stream.write_all(&head[..head.len() / 2]).await?;
                return Ok(Next::Close);
            }
            (_, Some(Place::InHead)) => {
                self.stream.write_all(&head[..head.len() / 2]).await?;
                return self.hang().await;
            }
            _ => self.stream.write_all(&head).await?,
        }
        let limit = |place: Option<Place>| match place {
            Some(Place::AfterBytes(bytes)) => bytes,
            _ => u64::MAX,
        };
        let (cut, hang) = (limit(transport.cut), limit(transport.hang));
        let mut left = cut.min(hang);
        for (frame, times) in &answer.frames {
            for _ in 0..*times {
                pause(transport.piece_delay_ms).await;
                let step = if transport.chunk_bytes == 0 { frame.len().max(1) } else { transport.chunk_bytes };
                for piece in frame.chunks(step) {
                    pause(transport.chunk_delay_ms).await;
                    let sent = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.send_piece(&piece[..sent], answer.head.extent).await?;
                    left -= sent as u64;
                    if left == 0 {
                        return if cut <= hang { Ok(Next::Close) } else { self.hang().await };
                    }
                }
            }
        }
        if answer.head.extent == Extent::Chunked {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(Next::Request)
    }

    async fn send_piece(&mut self, piece: &[u8], extent: Extent) -> io::Result<()> {
        if extent == Extent::Chunked {
            let mut chunk = Vec::with_capacity(piece.len() + 16);
            http::push_chunk(&mut chunk, piece);
            return self.stream.write_all(&chunk).await;
        }
        self.stream.write_all(piece).await
    }

    /// Says nothing more until the client goes away.
    async fn hang(&self) -> io::Result<Next> {
        let mut ignored = Vec::new();
        while self.read(&mut ignored).await {
            ignored.clear();
        }
        Ok(Next::Close)
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Whether a response is written at once: nothing is asked of its transport, and it is not large.
fn is_plain(answer: &Answer) -> bool {
    let transport = &answer.transport;
    let delays = [transport.head_delay_ms, transport.piece_delay_ms, transport.chunk_delay_ms];
    let flaws = transport.cut.is_some() || transport.hang.is_some() || transport.chunk_bytes > 0;
    delays == [0; 3] && !flaws && answer.frames.iter().all(|(_, times)| *times == 1)
}

/// A whole response in one piece.
pub(super) fn flat(answer: &Answer) -> Vec<u8> {
    let mut bytes = http::head(answer.head.status, &answer.head.headers, answer.head.extent);
    for (frame, _) in &answer.frames {
        match answer.head.extent {
            Extent::Chunked => http::push_chunk(&mut bytes, frame),
            Extent::Bytes(_) => bytes.extend_from_slice(frame),
        }
    }
    if answer.head.extent == Extent::Chunked {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    bytes
}
