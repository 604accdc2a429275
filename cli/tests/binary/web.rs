//! A piece of the web of one's own: a proxy that connects to whatever host it is asked for, and servers in TLS.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// How a connection begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With TLS.
    Tls,
    /// With CONNECT to a proxy, then TLS.
    Tunnel,
    /// With HTTP.
    Plain,
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// This text as a page.
    Text(&'static str),
    /// Nothing, for good.
    Silence,
}

/// A server on loopback that answers every request with the same page. Its certificate is its own authority's.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    /// The certificate of the authority, in PEM.
    pub(crate) ca_file: PathBuf,
    /// Requests that came so far.
    requests: Arc<AtomicUsize>,
    _files: TempDir,
    /// The server ends when this is dropped.
    _alive: oneshot::Sender<()>,
}

impl Web {
    /// For this host name.
    pub(crate) fn start(host: &str, opening: Opening, page: Page) -> Web {
        let files = TempDir::new().expect("a directory");
        let ca_file = files.path().join("ca.pem");
        let acceptor = acceptor(host, &ca_file);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let (alive, mut gone) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                loop {
                    tokio::select! {
                        _ = &mut gone => return,
                        Ok((stream, _)) = listener.accept() => {
                            tokio::spawn(serve(stream, opening, page, acceptor.clone(), count.clone()));
                        }
                    }
                }
            });
        });
        Web { address, ca_file, requests, _files: files, _alive: alive }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The lines of a configuration that trust it and, where it is a proxy, go through it.
    pub(crate) fn network(&self, opening: Opening) -> String {
        let proxy = match opening {
            Opening::Tunnel => format!("proxy = \"http://{}\"\n", self.address),
            Opening::Tls | Opening::Plain => String::new(),
        };
        format!("[network]\nca_file = \"{}\"\n{proxy}", self.ca_file.display())
    }
}

/// A certificate for `host`, signed by an authority whose own certificate goes to `ca_file`.
fn acceptor(host: &str, ca_file: &std::path::Path) -> TlsAcceptor {
    let authority = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(ca_file, params.self_signed(&authority).expect("a certificate").pem()).expect("a file");
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], private).expect("certificate and key");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(
    mut stream: TcpStream,
    opening: Opening,
    page: Page,
    acceptor: TlsAcceptor,
    requests: Arc<AtomicUsize>,
) -> io::Result<()> {
    if opening == Opening::Plain {
        return answer(stream, page, &requests).await;
    }
    if opening == Opening::Tunnel {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    }
    answer(acceptor.accept(stream).await?, page, &requests).await
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, page: Page, requests: &AtomicUsize) -> io::Result<()> {
    while head(&mut stream).await? {
        requests.fetch_add(1, Ordering::SeqCst);
        let Page::Text(text) = page else {
            std::future::pending::<()>().await;
            return Ok(());
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n", text.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Reads to the end of a request's head; `false` when the connection is closed instead.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await? == 0 {
            return Ok(false);
        }
        head.push(byte[0]);
    }
    Ok(true)
}
