//! Servers that the tests talk to: real sockets, real TLS, nothing simulated.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aether_net::{Client, ClientOptions, Limits, Method, NetError, Request, Response, Url};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A listener on loopback whose connections are handed, numbered from 1, to a function.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<F, W>(serve: F) -> Self
    where
        F: Fn(usize, TcpStream) -> W + Send + 'static,
        W: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0", serve).await.expect("bind")
    }

    pub(crate) async fn start_at<F, W>(at: &str, serve: F) -> io::Result<Self>
    where
        F: Fn(usize, TcpStream) -> W + Send + 'static,
        W: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(number, stream));
            }
        });
        Ok(Self { address, accepted, task })
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, target: &str) -> Url {
        Url::parse(&format!("http://{}{target}", self.address)).expect("url")
    }

    pub(crate) fn https(&self, host: &str, target: &str) -> Url {
        Url::parse(&format!("https://{host}:{}{target}", self.address.port())).expect("url")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request: its head as text and its body. `None` when the connection is closed instead.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head in ASCII");
    let length = header(&head, "content-length").map_or(0, |value| value.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((head, body)))
}

/// The value of a header in a head.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Answers every request on a connection with its own head, until it is closed.
pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    while let Some((head, body)) = read_request(&mut stream).await? {
        let mut text = head.into_bytes();
        text.extend(body);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(&text).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Reads one request, answers it with these bytes and closes.
pub(crate) async fn answer(mut stream: TcpStream, bytes: &'static [u8]) -> io::Result<()> {
    read_request(&mut stream).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

/// A server that gives every request the same bytes, and closes.
pub(crate) async fn fixed(bytes: &'static [u8]) -> Server {
    Server::start(move |_, stream| answer(stream, bytes)).await
}

pub(crate) fn client() -> Client {
    Client::new(ClientOptions::default())
}

pub(crate) fn get(url: Url) -> Request {
    Request::new(Method::GET, url)
}

/// Limits under which a test that hangs fails soon.
pub(crate) fn short() -> Limits {
    Limits {
        connect_ms_max: 3_000,
        headers_ms_max: 3_000,
        idle_ms_max: 3_000,
        total_ms_max: 9_000,
        body_bytes_max: 16 * 1024 * 1024,
    }
}

/// Sends and reads to the end.
pub(crate) async fn fetch(client: &Client, request: Request) -> Result<(u16, String), NetError> {
    let mut response = client.send(request.limits(short())).await?;
    let body = text(&mut response).await?;
    Ok((response.status(), body))
}

pub(crate) async fn text(response: &mut Response) -> Result<String, NetError> {
    Ok(String::from_utf8(response.read_to_end().await?).expect("UTF-8"))
}

/// Sends this many requests at once and reads each to its end.
pub(crate) async fn all(
    client: &Client,
    server: &Server,
    path: &str,
    count: usize,
) -> Vec<Result<(u16, String), NetError>> {
    let requests: Vec<_> = (0..count)
        .map(|_| {
            let (client, url) = (client.clone(), server.https("localhost", path));
            tokio::spawn(async move { fetch(&client, get(url)).await })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.expect("joined"));
    }
    answers
}

/// What a certificate is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
}

/// A certificate authority of the test's own, whose file goes with it.
pub(crate) struct Authority {
    pub(crate) ca_file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("aether-net-{}-{}.pem", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        let pem = params.self_signed(&key).expect("certificate").pem();
        let ca_file = std::env::temp_dir().join(name);
        std::fs::write(&ca_file, pem).expect("write the certificate");
        Self { ca_file, issuer: Issuer::new(params, key) }
    }

    /// What a server with a certificate for `name` needs, speaking the protocols in `alpn`.
    pub(crate) fn acceptor(&self, name: &str, validity: Validity, alpn: &[&[u8]]) -> TlsAcceptor {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        match validity {
            Validity::Now => {}
            Validity::Past => params.not_after = rcgen::date_time_ymd(2001, 1, 1),
            Validity::Future => params.not_before = rcgen::date_time_ymd(4000, 1, 1),
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("certificate and key");
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.options())
    }

    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions { ca_file: Some(self.ca_file.clone()), ..ClientOptions::default() }
    }

    /// A server for `localhost` that echoes over HTTP/1.1 in TLS.
    pub(crate) async fn echo(&self) -> Server {
        self.echo_as("localhost", Validity::Now).await
    }

    pub(crate) async fn echo_as(&self, name: &str, validity: Validity) -> Server {
        let acceptor = self.acceptor(name, validity, &[b"http/1.1"]);
        Server::start(move |_, stream| {
            let acceptor = acceptor.clone();
            async move { echo(acceptor.accept(stream).await?).await }
        })
        .await
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca_file);
    }
}
