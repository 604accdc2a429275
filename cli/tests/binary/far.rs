//! The far end of a jail's network: servers under names that only the tested program can look up, and who vouches for them.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aether_testkit::server::Server;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::ground::{BINARY, Call, Ended, Nest, QUICK, provider};
use crate::yard::{Who, manifest, words};

/// What the broker adds and the jail never sees: with what JSON, URLs, base64 and shells write differently.
pub(crate) const SECRET: &str = "zq7Ks/9+\"v%Xw2&Lm";
/// The variable that holds it outside.
pub(crate) const VARIABLE: &str = "FAR_TOKEN";
/// What policy says of the servers of a test, which are on loopback.
pub(crate) const LOOPBACK: &str = "private_exceptions = [\"127.0.0.1/32\"]";

/// The names of the servers, and addresses that no name should lead to.
const NAMES: &str = "127.0.0.1 localhost api.example.com other.example.com wild.example.com one.wild.example.com \
     two.one.wild.example.com evilwild.example.com mixed.example.com\n\
     ::1 six.example.com\n127.0.0.2 second.example.com\n10.1.2.3 ten.example.com mixed.example.com\n\
     172.16.5.5 twelve.example.com\n192.168.7.7 sixteen.example.com\n100.64.3.3 shared.example.com\n\
     169.254.7.7 link.example.com\n169.254.169.254 metadata.example.com metadata.google.internal\n\
     0.0.0.0 zero.example.com\n224.0.0.1 many.example.com\nfd00::7 local.example.com\n\
     ::ffff:10.1.2.3 mapped.example.com\n64:ff9b::a01:203 translated.example.com\n";

/// A machine, a user, and the servers' authority.
pub(crate) struct Far {
    pub(crate) who: Who,
    pub(crate) nest: Nest,
    authority: Issuer<'static, KeyPair>,
}

impl Far {
    /// With these lines below `[network]` of the policy, and these tables behind them.
    pub(crate) fn new(who: Who, network: &str, tables: &str) -> Far {
        let nest = Nest::new();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for one that vouches for itself.
        params.distinguished_name.push(DnType::CommonName, "far authority");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let trust = nest.outside("authority.pem");
        fs::write(&trust, &pem).expect("a certificate");
        nest.file("authority.pem", pem);
        nest.configure(&format!("[network]\nca_file = \"{}\"\n", trust.display()));
        let names = nest.outside("etc");
        for folder in ["", "ssl", "ssl/certs"] {
            fs::create_dir(names.join(folder)).expect("a directory");
            fs::set_permissions(names.join(folder), Permissions::from_mode(0o755)).expect("a mode");
        }
        fs::copy(&trust, names.join("ssl/certs/ca-certificates.crt")).expect("what the machine trusts");
        fs::write(names.join("hosts"), NAMES).expect("names");
        // A name has every address of the table (host.conf(5)).
        fs::write(names.join("host.conf"), "multi on\n").expect("a setting");
        nest.write(".config/aether/policy.toml", &format!("[network]\n{network}\n{tables}"), 0o600);
        let far = Far { who, nest: nest.env(VARIABLE, SECRET), authority: Issuer::new(params, key) };
        far.who.aether(&far.nest, &["policy", "sign", "--yes"]).run().exits(0);
        far
    }

    /// With this environment variable in every run.
    pub(crate) fn env(self, name: &str, value: &str) -> Far {
        Far { nest: self.nest.env(name, value), ..self }
    }

    /// Has the program ask this model.
    pub(crate) fn ask(&self, model: &Server) {
        let provider = provider("test", "openai_chat", &format!("{}/v1", model.base_url()));
        self.nest.configure(&format!("model = \"test/gpt-4.1\"\n{provider}{QUICK}{}", self.nest.config()));
    }

    /// The program, with the names of this far end.
    pub(crate) fn aether(&self, more: &[&str]) -> Call {
        // A file system of its own gives it a table of hosts of its own, whether the machine has one or not.
        const ENTER: &str = "mount -t overlay overlay -o \"lowerdir=$1:/etc\" /etc && shift && exec \"$@\"";
        let names = self.nest.outside("etc").to_string_lossy().into_owned();
        let own = self.nest.outside("aether").to_string_lossy().into_owned();
        let spaces = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
        let enter = [spaces, "sh", "-c", ENTER, "sh", &names];
        self.who.owns(&self.nest);
        let call = match self.who {
            Who::Self_ => words(&[&enter, &[BINARY], more]),
            Who::Nobody => {
                words(&[&enter, &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", &own], more])
            }
        };
        self.nest.through("unshare", &call)
    }

    /// Runs a shell line in a jail that may reach these hosts, with these further lines in its manifest.
    pub(crate) fn sandbox(&self, hosts: &[String], more: &str, line: &str) -> Ended {
        let path = manifest(&self.nest, &format!("{LIMITS}network = {hosts:?}\n{more}"));
        self.aether(&["sandbox", "run", "--manifest", &path, "--", "sh", "-c", line]).run()
    }

    /// The same for what the shell is told in a file, with the secret for this host.
    pub(crate) fn with_secret(&self, host: &str, others: &[String], line: &str) -> Ended {
        let hosts: Vec<String> = others.iter().cloned().chain([host.to_owned()]).collect();
        self.sandbox(&hosts, &secret(host), line)
    }

    /// The files that hold the secret, of all that this user, the workspace and the program have here.
    pub(crate) fn holders(&self) -> Vec<PathBuf> {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(SECRET);
        let own = self.nest.outside("aether");
        let files = self.nest.files().into_iter().filter(|(path, bytes)| *path != own && holds(bytes));
        files.map(|(path, _)| path).collect()
    }

    /// A server in TLS that is all of these names.
    pub(crate) fn tls(&self, names: &[&str]) -> Upstream {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| format!("{name}.example.com")).collect();
        let params = CertificateParams::new(names).expect("parameters");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], private).expect("certificate and key");
        Upstream::start(Some(TlsAcceptor::from(Arc::new(config))), self.nest.outside(""))
    }

    /// A server that speaks plain HTTP.
    pub(crate) fn plain(&self) -> Upstream {
        Upstream::start(None, self.nest.outside(""))
    }
}

/// Limits of a manifest for programs that reach far.
pub(crate) const LIMITS: &str = "max_runtime = \"25s\"\nmemory_limit = \"1gb\"\nprocesses_max = 64\n";

/// A manifest's table of the secret for this host.
pub(crate) fn secret(host: &str) -> String {
    format!("[[secrets]]\nname = \"token\"\nhost = \"{host}\"\nheader = \"authorization: Bearer {{}}\"\n")
}

/// A server on loopback.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    /// The server ends when this is dropped.
    _alive: oneshot::Sender<()>,
}

impl Upstream {
    fn start(acceptor: Option<TlsAcceptor>, files: PathBuf) -> Upstream {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let port = listener.local_addr().as_ref().map(SocketAddr::port).expect("an address");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&seen);
        let (alive, mut gone) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                loop {
                    tokio::select! {
                        _ = &mut gone => return,
                        Ok((stream, _)) = listener.accept() => {
                            tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&heard), files.clone()));
                        }
                    }
                }
            });
        });
        Upstream { port, seen, _alive: alive }
    }

    /// One of its names, with the port.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{name}.example.com:{}", self.port)
    }

    /// The heads of all requests so far, taken away.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().expect("heads"))
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    seen: Arc<Mutex<Vec<String>>>,
    files: PathBuf,
) -> io::Result<()> {
    match acceptor {
        Some(acceptor) => answer(acceptor.accept(stream).await?, &seen, &files).await,
        None => answer(stream, &seen, &files).await,
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    files: &Path,
) -> io::Result<()> {
    while let Some(head) = head(&mut stream).await? {
        seen.lock().expect("heads").push(head.clone());
        let mut left: u64 = field(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut piece = vec![0; 64 << 10];
        while left > 0 {
            let count = stream.read(&mut piece).await?;
            left = if count == 0 { 0 } else { left.saturating_sub(count as u64) };
        }
        stream.write_all(&page(&head, files)).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Reads to the end of a request's head; nothing when the connection is closed instead.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// The value of a header.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// What is answered, by the path.
fn page(head: &str, files: &Path) -> Vec<u8> {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let token = field(head, "authorization").unwrap_or_default().trim_start_matches("Bearer ");
    match path {
        "/echo" => ok("", echo(token).as_bytes()),
        "/chunks" => {
            let chunks: String = echo(token).chars().map(|one| format!("{:x}\r\n{one}\r\n", one.len_utf8())).collect();
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-token: {token}\r\n\r\n{chunks}0\r\n\r\n").into()
        }
        "/packed" => ok("content-encoding: gzip\r\n", b"\x1f\x8b\x08\0packed"),
        "/to" => format!("HTTP/1.1 302 Found\r\nlocation: {query}\r\ncontent-length: 0\r\n\r\n").into(),
        _ if path.starts_with("/repository/") => match fs::read(files.join(&path[1..])) {
            Ok(bytes) => ok("", &bytes),
            Err(_) => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
        },
        _ => ok("", format!("reached {} {path}\n", field(head, "host").unwrap_or_default()).as_bytes()),
    }
}

fn ok(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A text in each of the forms in which it could be read.
pub(crate) fn echo(text: &str) -> String {
    let each = |form: &dyn Fn(u8) -> String| text.bytes().map(form).collect::<String>();
    let (lower, upper) = (each(&|byte| format!("{byte:02x}")), each(&|byte| format!("{byte:02X}")));
    let (percent, escaped) = (each(&|byte| format!("%{byte:02X}")), each(&|byte| format!("\\u{byte:04x}")));
    let json = serde_json::Value::from(text);
    let based: Vec<String> = ["", "u", "us"].iter().map(|before| base64(&format!("{before}{text}:"))).collect();
    format!("begin|{text}|{lower}|{upper}|{percent}|{escaped}|{json}|{}|end\n", based.join("|"))
}

/// RFC 4648, section 4.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let each = |three: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        let letter = move |at: usize| char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]);
        (0..=three.len()).map(letter).collect::<String>()
    };
    text.as_bytes().chunks(3).map(each).collect()
}
