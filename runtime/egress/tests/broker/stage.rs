//! What the tests need around a broker: a jail's end that listens on loopback, a resolver, hosts that answer.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_core::capability::{Host, Network};
use aether_egress::{
    Bounds, Broker, Decision, Gateway, Options, Quotas, Range, Resolve, Rules, Secret, Serving, Traffic, Verdict, What,
    Why,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The secret of every test that has one.
pub(crate) const SECRET: &str = "s3cr/et+\"token%1";

/// No test waits longer for anything. Milliseconds.
const PATIENCE_MS: u64 = 10_000;

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_millis(PATIENCE_MS), what).await.expect("it took too long")
}

/// A resolver with a table. Each look-up of a name takes its next answer; the last one stays.
#[derive(Default)]
pub(crate) struct Table {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Table {
    pub(crate) fn set(&self, name: &str, answers: &[&str]) {
        let read = |text: &&str| text.split_whitespace().map(|address| address.parse().expect("address")).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers.iter().map(read).collect());
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Resolve for Table {
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let found = match answers.get_mut(name) {
            Some(all) if all.len() > 1 => Ok(all.remove(0)),
            Some(all) => Ok(all[0].clone()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(std::future::ready(found))
    }
}

/// 127.18.x.y and 127.19.x.y stand for the made-up addresses, 127.100.0.n for number n of these, since no test may claim
/// other addresses than those of loopback.
const LITERALS: [Ipv4Addr; 5] = [
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(198, 18, 200, 200),
];

fn destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = stream.local_addr()?;
    let IpAddr::V4(address) = local.ip() else { return Err(io::ErrorKind::Unsupported.into()) };
    let meant = match address.octets() {
        [127, b @ (18 | 19), c, d] => Ipv4Addr::new(198, b, c, d),
        [127, 100, 0, n] => LITERALS[usize::from(n)],
        _ => address,
    };
    Ok(SocketAddr::from((meant, local.port())))
}

/// What a jail is made from.
pub(crate) struct Setup {
    pub(crate) hosts: Vec<String>,
    pub(crate) public: Network,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) quotas: Quotas,
    pub(crate) exceptions: Vec<Range>,
    pub(crate) bounds: Bounds,
    pub(crate) table: Arc<Table>,
    pub(crate) ca_file: Option<std::path::PathBuf>,
}

impl Setup {
    /// These hosts; loopback is allowed, and every one of their names is there.
    pub(crate) fn new(hosts: &[String]) -> Setup {
        let table = Table::default();
        for host in hosts {
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            table.set(name, &["127.0.0.1"]);
        }
        Setup {
            hosts: hosts.to_vec(),
            public: Network::None,
            secrets: Vec::new(),
            quotas: Quotas { connect_ms_max: 5_000, idle_ms_max: 5_000, ..Quotas::default() },
            exceptions: vec![Range::parse("127.0.0.0/8").expect("range")],
            bounds: Bounds::default(),
            table: Arc::new(table),
            ca_file: None,
        }
    }

    pub(crate) fn secret(mut self, host: &str) -> Setup {
        self.secrets.push(Secret {
            name: "token".into(),
            host: Host::parse(host).expect("host"),
            header: "Authorization".into(),
            template: "Bearer {}".into(),
            value: Zeroizing::new(SECRET.into()),
        });
        self
    }

    pub(crate) async fn start(self) -> Jail {
        let network = match self.public {
            Network::None => Network::hosts(self.hosts.iter().map(|host| Host::parse(host).expect("host")).collect()),
            other => other,
        };
        let rules = Rules {
            network,
            secrets: self.secrets,
            quotas: self.quotas,
            exceptions: self.exceptions,
            bounds: self.bounds,
        };
        let resolver: Arc<dyn Resolve> = Arc::clone(&self.table) as Arc<dyn Resolve>;
        let broker = Broker::new(Options { resolver, ca_file: self.ca_file, destination }).expect("broker");
        let mut ports = HashMap::new();
        let mut listeners = Vec::new();
        for port in Broker::ports(&rules) {
            let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("bind");
            ports.insert(port, listener.local_addr().expect("address").port());
            listeners.push((port, listener.into()));
        }
        let dns_udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
        let dns_tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let (udp, tcp) = (dns_udp.local_addr().expect("address"), dns_tcp.local_addr().expect("address"));
        let decisions = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&decisions);
        let sink = Arc::new(move |decision: &Decision| told.lock().unwrap().push(decision.clone()));
        let certificate = broker.certificate_pem(&rules).expect("certificate");
        let gateway = Gateway { listeners, dns_udp: dns_udp.into(), dns_tcp: dns_tcp.into() };
        let serving = Some(broker.serve(gateway, rules, sink).expect("serving"));
        Jail { serving, ports, udp, tcp, decisions, table: self.table, certificate }
    }
}

/// A jail's end of a broker.
pub(crate) struct Jail {
    serving: Option<Serving>,
    ports: HashMap<u16, u16>,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    decisions: Arc<Mutex<Vec<Decision>>>,
    pub(crate) table: Arc<Table>,
    pub(crate) certificate: Option<String>,
}

impl Jail {
    /// Asks for a name as a resolver would: the address, or the code of the refusal.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Ipv4Addr, u8> {
        let reply = self.ask(&query(name, 1)).await;
        match reply[3] & 15 {
            0 if reply[7] == 1 => Ok(Ipv4Addr::new(
                reply[reply.len() - 4],
                reply[reply.len() - 3],
                reply[reply.len() - 2],
                reply[reply.len() - 1],
            )),
            code => Err(code),
        }
    }

    pub(crate) async fn ask(&self, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
        socket.send_to(packet, self.udp).await.expect("send");
        let mut reply = [0; 2048];
        let (length, _) = soon(socket.recv_from(&mut reply)).await.expect("reply");
        reply[..length].to_vec()
    }

    /// Connects to a name at a port.
    pub(crate) async fn connect(&self, name: &str, port: u16) -> TcpStream {
        let address = self.resolve(name).await.expect("the name is granted");
        let [_, b, c, d] = address.octets();
        self.reach(Ipv4Addr::new(127, b, c, d), port).await
    }

    /// Connects to number `n` of the addresses that tests have.
    pub(crate) async fn connect_literal(&self, n: u8, port: u16) -> TcpStream {
        self.reach(Ipv4Addr::new(127, 100, 0, n), port).await
    }

    pub(crate) async fn reach(&self, address: Ipv4Addr, port: u16) -> TcpStream {
        let real = *self.ports.get(&port).expect("a port that is listened on");
        soon(TcpStream::connect((address, real))).await.expect("the broker accepts")
    }

    /// Connects to a name with TLS, trusting this certificate.
    pub(crate) async fn connect_tls(
        &self,
        name: &str,
        port: u16,
        pem: &str,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
        let stream = self.connect(name, port).await;
        client_tls(stream, name, pem).await
    }

    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.decisions.lock().unwrap().clone()
    }

    /// Waits until a connection or a quota was refused, and says why.
    pub(crate) async fn refusal(&self) -> Why {
        soon(async {
            loop {
                for decision in self.decisions() {
                    if let (What::Connect | What::Quota, Verdict::Refused(why)) = (decision.what, decision.verdict) {
                        return why;
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.decisions().iter().any(|decision| decision.verdict != Verdict::Allowed)
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.serving.as_ref().expect("served").traffic()
    }

    pub(crate) async fn finish(&mut self) -> Traffic {
        self.serving.take().expect("served").finish().await
    }
}

pub(crate) async fn client_tls(
    stream: TcpStream,
    name: &str,
    pem: &str,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem")).expect("root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    soon(connector.connect(ServerName::try_from(name.to_owned()).expect("name"), stream)).await
}

/// A query for a name, whose id is always the same.
pub(crate) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).expect("short"));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// Everything up to the end, however it comes.
pub(crate) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    // A reset, or TLS without a goodbye, is an end too.
    while let Ok(count @ 1..) = soon(stream.read(&mut piece)).await {
        all.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends `text`, and reads everything.
pub(crate) async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("write");
    stream.flush().await.expect("flush");
    read_all(stream).await
}

/// Sends `text`, and reads up to `end`.
pub(crate) async fn say_until(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str, end: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("write");
    stream.flush().await.expect("flush");
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&all).ends_with(end) {
        let count = soon(stream.read(&mut piece)).await.expect("read");
        assert!(count > 0, "ended after {:?}, wanted {end:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// A host on loopback: counts connections, keeps the requests, and answers each with what a function makes of it.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    /// The certificate of its authority.
    pub(crate) pem: String,
    pub(crate) ca_file: Option<tempfile::NamedTempFile>,
}

/// What a host says to a request.
pub(crate) type Answer = fn(&str) -> Vec<u8>;

impl Upstream {
    /// In the clear.
    pub(crate) async fn plain(answer: Answer) -> Upstream {
        Upstream::start(None, answer).await
    }

    /// With TLS, and a certificate for this name.
    pub(crate) async fn tls(name: &str, answer: Answer) -> Upstream {
        Upstream::start(Some(name), answer).await
    }

    async fn start(name: Option<&str>, answer: Answer) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let (keep, count) = (Arc::clone(&seen), Arc::clone(&connections));
        let made = name.map(server_tls);
        let acceptor = made.as_ref().map(|(acceptor, _)| acceptor.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let (keep, acceptor) = (Arc::clone(&keep), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, keep, answer).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, keep, answer).await;
                            }
                        }
                    }
                });
            }
        });
        let pem = made.map(|(_, pem)| pem).unwrap_or_default();
        let ca_file = name.map(|_| {
            let file = tempfile::NamedTempFile::new().expect("file");
            std::fs::write(file.path(), &pem).expect("write");
            file
        });
        Upstream { port, seen, connections, pem, ca_file }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub(crate) fn ca_path(&self) -> Option<std::path::PathBuf> {
        self.ca_file.as_ref().map(|file| file.path().to_path_buf())
    }
}

fn server_tls(name: &str) -> (tokio_rustls::TlsAcceptor, String) {
    let key = rcgen::KeyPair::generate().expect("key");
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("params");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&key).expect("root");
    let issuer = rcgen::Issuer::new(authority, key);
    let leaf_key = rcgen::KeyPair::generate().expect("key");
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("params");
    let leaf = leaf.signed_by(&leaf_key, &issuer).expect("leaf");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()))
        .expect("certificate");
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), root.pem())
}

/// Answers requests until the client or the answer ends the connection.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: Arc<Mutex<Vec<String>>>, answer: Answer) {
    let mut held = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while let Some(end) = request_end(&held) {
            let request = String::from_utf8_lossy(&held[..end]).into_owned();
            held.drain(..end);
            seen.lock().unwrap().push(request.clone());
            let reply = answer(&request);
            let is_last = String::from_utf8_lossy(&reply).contains("connection: close");
            if stream.write_all(&reply).await.is_err() || stream.flush().await.is_err() || is_last {
                let _closed = stream.shutdown().await.is_ok();
                return;
            }
        }
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => held.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
}

/// Where the first request ends, body included.
fn request_end(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let head = text.find("\r\n\r\n")? + 4;
    if text[..head].contains("transfer-encoding: chunked") {
        return text[head..].find("0\r\n\r\n").map(|at| head + at + 5);
    }
    let length = text[..head].split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let end = head + length.unwrap_or(0_usize);
    (bytes.len() >= end).then_some(end)
}

/// A plain answer that keeps the connection.
pub(crate) fn ok(_: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()
}

/// What a client says first in TLS for a name.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    let config = aether_net::client_config(None).expect("roots");
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("name");
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("hello");
    bytes
}
