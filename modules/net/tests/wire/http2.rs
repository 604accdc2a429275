//! HTTP/2 where the server offers it: one connection for many requests, and what becomes of it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aether_net::{Bytes, Client, ClientOptions, Limits, Method, NetError, Request, TlsFault};
use hyper::body::{Body, Frame, Incoming};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep, timeout};

use crate::ground::{Authority, Server, Validity, all, client, fetch, get, short, text};

/// Pieces of an answer's body, last first. `None` is a pause, forever where nothing follows; an empty piece is an error.
struct Pieces {
    left: Vec<Option<Bytes>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            return Poll::Ready(match self.left.pop() {
                Some(Some(piece)) if piece.is_empty() => Some(Err(io::Error::other("cut"))),
                Some(Some(piece)) => Some(Ok(Frame::data(piece))),
                Some(None) => {
                    let ms = if self.left.is_empty() { 60_000 } else { 100 };
                    self.pause = Some(Box::pin(sleep(Duration::from_millis(ms))));
                    continue;
                }
                None => None,
            });
        }
    }
}

/// What an HTTP/2 server does on the paths that the tests ask for.
async fn respond(request: hyper::Request<Incoming>, number: usize) -> Result<hyper::Response<Pieces>, Infallible> {
    let piece = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    let pieces = match request.uri().path() {
        "/slow" => {
            sleep(Duration::from_millis(150)).await;
            vec![piece("slow")]
        }
        "/never" => {
            sleep(Duration::from_secs(60)).await;
            vec![]
        }
        "/stall" => vec![None, piece("begun")],
        "/cut" => vec![Some(Bytes::new()), None, piece("begun")],
        "/large" => vec![Some(Bytes::from(vec![b'x'; 100_000])); 1000],
        "/number" => vec![piece(&number.to_string())],
        _ => {
            let headers: Vec<String> = request.headers().keys().map(|name| name.to_string()).collect();
            let text = format!("{:?} {} {} {headers:?}", request.version(), request.method(), request.uri());
            let mut upload = request.into_body();
            let mut bytes = 0;
            while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut upload).poll_frame(cx)).await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
            }
            vec![piece(&format!("{text} {bytes}"))]
        }
    };
    Ok(hyper::Response::new(Pieces { left: pieces, pause: None }))
}

/// An HTTP/2 server with room for this many requests per connection.
async fn http2(authority: &Authority, streams_max: u32) -> Server {
    let acceptor = authority.acceptor("localhost", Validity::Now, &[b"h2", b"http/1.1"]);
    Server::start(move |number, stream| {
        let acceptor = acceptor.clone();
        async move { serve_http2(acceptor.accept(stream).await?, number, streams_max).await }
    })
    .await
}

async fn serve_http2(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    number: usize,
    streams_max: u32,
) -> io::Result<()> {
    let service = hyper::service::service_fn(move |request| respond(request, number));
    hyper::server::conn::http2::Builder::new(Spawn)
        .max_concurrent_streams(streams_max)
        .serve_connection(Io(stream), service)
        .await
        .map_err(io::Error::other)
}

#[tokio::test]
async fn http2_shares_one_connection() {
    let authority = Authority::new();
    let server = http2(&authority, 100).await;
    let client = authority.client();
    for answer in all(&client, &server, "/slow", 50).await {
        assert_eq!(answer, Ok((200, "slow".to_owned())));
    }
    assert_eq!((server.accepted(), client.open_connections()), (1, 1));
    let url = server.https("localhost", "/a?b");
    let whole = url.to_string();
    let upload = Request::new(Method::POST, url).header("x-mine", "1").expect("header").body(vec![b'x'; 1_000_000]);
    let (_, seen) = fetch(&client, upload).await.expect("answer");
    assert!(seen.starts_with(&format!("HTTP/2.0 POST {whole} ")) && seen.ends_with(" 1000000"), "{seen}");
    assert!(seen.contains("\"x-mine\"") && seen.contains("\"user-agent\"") && !seen.contains("\"host\""), "{seen}");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_full_http2_connection_gets_a_second_one() {
    let authority = Authority::new();
    let server = http2(&authority, 4).await;
    let client = authority.client();
    // The first answer brings the server's limit.
    assert_eq!(all(&client, &server, "/number", 1).await, [Ok((200, "1".to_owned()))]);
    for answer in all(&client, &server, "/slow", 12).await {
        assert_eq!(answer, Ok((200, "slow".to_owned())));
    }
    assert_eq!(server.accepted(), 3);
}

/// N4 and N7 on a shared connection: a stream that misbehaves ends alone.
#[tokio::test]
async fn http2_streams_end_alone() {
    let authority = Authority::new();
    let server = http2(&authority, 100).await;
    let client = authority.client();
    let host: Box<str> = format!("localhost:{}", server.address.port()).into();
    let got = fetch(&client, get(server.https("localhost", "/cut"))).await;
    assert_eq!(got, Err(NetError::Cut { host: host.clone(), bytes: Some(5) }));
    let large = get(server.https("localhost", "/large")).limits(Limits { body_bytes_max: 1_000_000, ..short() });
    let mut response = client.send(large).await.expect("answer");
    let got = text(&mut response).await;
    assert_eq!(got, Err(NetError::TooLarge { host: host.clone(), bytes_max: 1_000_000 }));
    let unread = client.send(get(server.https("localhost", "/large")).limits(short())).await.expect("answer");
    drop(unread);
    assert_eq!(all(&client, &server, "/number", 1).await, [Ok((200, "1".to_owned()))]);
    assert_eq!(server.accepted(), 1);
    // A connection that went silent gets no further request.
    let stall = get(server.https("localhost", "/stall")).limits(Limits { idle_ms_max: 400, ..short() });
    let mut response = client.send(stall).await.expect("answer");
    let got = text(&mut response).await;
    assert_eq!(got, Err(NetError::IdleTimeout { host: host.clone(), ms: 400, bytes: 5 }));
    assert_eq!(all(&client, &server, "/number", 1).await, [Ok((200, "2".to_owned()))]);
    let never = get(server.https("localhost", "/never")).limits(Limits { headers_ms_max: 150, ..short() });
    let got = client.send(never).await.expect_err("no answer");
    assert_eq!(got, NetError::HeadersTimeout { host, ms: 150 });
    assert_eq!(all(&client, &server, "/number", 1).await, [Ok((200, "3".to_owned()))]);
}

/// N5: a server that closes a shared connection between two requests costs no answer.
#[tokio::test]
async fn http2_connections_are_replaced() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", Validity::Now, &[b"h2"]);
    let server = Server::start(move |number, stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await?;
            let life = serve_http2(stream, number, 100);
            // The connection is cut in mid-life.
            timeout(Duration::from_millis(400), life).await.unwrap_or(Ok(()))
        }
    })
    .await;
    let client = authority.client();
    for number in 1..4 {
        assert_eq!(all(&client, &server, "/number", 1).await, [Ok((200, number.to_string()))]);
        sleep(Duration::from_millis(600)).await;
    }
}

/// N7: a shared connection at rest is closed in time, and all of them with the client.
#[tokio::test]
async fn http2_connections_end() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", Validity::Now, &[b"h2"]);
    let (report, mut ends) = mpsc::channel(4);
    let server = Server::start(move |number, stream| {
        let (acceptor, report) = (acceptor.clone(), report.clone());
        async move {
            let end = serve_http2(acceptor.accept(stream).await?, number, 100).await;
            report.send(number).await.expect("the test listens");
            end
        }
    })
    .await;
    let mut next = async || timeout(Duration::from_secs(5), ends.recv()).await.expect("in time").expect("a report");
    let brief = Client::new(ClientOptions { idle_ms_max: 200, ..authority.options() });
    assert_eq!(all(&brief, &server, "/number", 1).await, [Ok((200, "1".to_owned()))]);
    assert_eq!(brief.open_connections(), 1);
    assert_eq!(next().await, 1);
    assert_eq!(brief.open_connections(), 0);
    let client = authority.client();
    let mut response = client.send(get(server.https("localhost", "/number")).limits(short())).await.expect("answer");
    drop(client);
    assert_eq!(text(&mut response).await.as_deref(), Ok("2"), "an answer outlives its client");
    drop(response);
    assert_eq!(next().await, 2);
}

/// N8 holds for HTTP/2 as well.
#[tokio::test]
async fn http2_certificates_are_checked() {
    let server = http2(&Authority::new(), 10).await;
    let got = fetch(&client(), get(server.https("localhost", "/"))).await;
    assert!(matches!(got, Err(NetError::Tls { fault: TlsFault::UnknownIssuer, .. })), "{got:?}");
}

/// A tokio stream as hyper's server wants it.
struct Io<S>(S);

impl<S: AsyncRead + Unpin> hyper::rt::Read for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = vec![0; cursor.remaining().min(16 * 1024)];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Runs hyper's tasks on the test's runtime.
#[derive(Clone)]
struct Spawn;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Spawn {
    fn execute(&self, work: F) {
        tokio::spawn(work);
    }
}
