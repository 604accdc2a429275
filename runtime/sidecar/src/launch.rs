//! One start of a sidecar: process, bootstrap, handshake (`docs/ipc-security.md`, sections 2 and 3).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_proof::{Issuer, SEAL_EXPORTER_LABEL, Sealer};
use aether_proto::{ANSWER_BYTES_MAX, Answer, Hello};
use prost::bytes::Bytes;
use rustix::pipe::{PipeFlags, pipe_with};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::certificate::{Certificate, random_bytes};
use crate::clock::Clock;
use crate::error::SidecarError;
use crate::journal::Journal;
use crate::keeper::{Keeper, Process};
use crate::link::Link;
use crate::options::{IN_FLIGHT_MAX, MESSAGE_BYTES_MAX, Options};
use crate::pinned;
use crate::serve::STEP_MS_MAX;
use crate::transmit::{CONNECTION_WINDOW_BYTES, HEADERS_BYTES_MAX, STREAM_WINDOW_BYTES};

/// Bytes of received messages that may lie in pieces smaller than a frame is worth: with windows that are limited, so is
/// what they take.
const SMALL_FRAMES_BYTES: usize = CONNECTION_WINDOW_BYTES as usize;

/// A sidecar that serves.
pub(crate) struct Launched {
    pub(crate) link: Arc<Link>,
    pub(crate) process: Process,
    pub(crate) connection: Task,
    pub(crate) journal: Journal,
    pub(crate) start_ms: u64,
    _log: Task,
}

/// A task that ends when this is dropped.
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(tokio::spawn(future))
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        // Cancelled or not, it has ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The kernel's ends of what a new process inherits.
struct Ends {
    connection: Socket,
    bootstrap: Socket,
    log: OwnedFd,
}

/// Starts a process, makes its acquaintance, and connects.
pub(crate) async fn launch(options: &Options, keeper: &Keeper) -> Result<Launched, SidecarError> {
    let began = Instant::now();
    let journal = Journal::default();
    let failed = |why: String| SidecarError::Start { why, log: journal.text() };
    let (command, ends) = command(options).map_err(|error| failed(error.to_string()))?;
    let process = keeper.wish(command).map_err(|error| failed(error.to_string()))?;
    let log = Task::spawn(journal.clone().follow(ends.log));
    // Keys are made while the process is being started.
    let keys = Keys::generate(options).ok_or_else(|| failed("the system has no randomness".to_owned()))?;
    let process = process.await.map_err(|_| failed("the thread that starts processes is gone".to_owned()))?;
    let process = process.map_err(|error| failed(format!("{}: {error}", options.program.display())))?;
    let patience = Duration::from_millis(options.start_ms_max);
    let pin = timeout(patience, keys.acquaint(ends.bootstrap)).await;
    let met = match pin.unwrap_or_else(|_| Err("it said nothing in time".to_owned())) {
        Ok(pin) => keys.connect(ends.connection, pin).await,
        Err(why) => Err(why),
    };
    match met {
        Ok((link, connection)) => {
            let start_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok(Launched { link: Arc::new(link), process, connection, journal, start_ms, _log: log })
        }
        Err(why) => Err(last_words(process, log, &journal, why).await),
    }
}

/// Ends a process that did not come to serving, and takes down what it still had to say.
async fn last_words(mut process: Process, mut log: Task, journal: &Journal, why: String) -> SidecarError {
    process.kill();
    let ended = process.ended().await;
    // Descriptors that it handed on may keep the log open.
    let _ = timeout(Duration::from_millis(100), log.ended()).await;
    SidecarError::Start { why: format!("{why} ({ended})"), log: journal.text() }
}

/// The command, with nothing inherited but three descriptors: connection, bootstrap, log.
fn command(options: &Options) -> std::io::Result<(Command, Ends)> {
    let (connection, its_connection) = Socket::pair()?;
    let (bootstrap, its_bootstrap) = Socket::pair()?;
    let (log, its_log) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut command = Command::new(&options.program);
    command
        .arg0("aether")
        .args(&options.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(its_connection)))
        .stdout(Stdio::from(OwnedFd::from(its_bootstrap)))
        .stderr(Stdio::from(its_log));
    Ok((command, Ends { connection, bootstrap, log }))
}

/// Everything that is made anew at every start.
struct Keys {
    certificate: Certificate,
    issuer: Issuer,
    audience: [u8; 32],
    clock: Clock,
    in_flight_max: u32,
    message_bytes_max: u32,
    settings: Zeroizing<Vec<u8>>,
    issuer_name: [u8; 16],
}

impl Keys {
    fn generate(options: &Options) -> Option<Keys> {
        Some(Keys {
            certificate: Certificate::generate()?,
            issuer: Issuer::generate().ok()?,
            audience: *random_bytes()?,
            clock: Clock::starting_now(),
            in_flight_max: options.in_flight_max.clamp(1, IN_FLIGHT_MAX),
            message_bytes_max: options.message_bytes_max.clamp(1, MESSAGE_BYTES_MAX),
            settings: options.settings.clone(),
            issuer_name: options.issuer,
        })
    }

    /// Says hello and reads the answer: the pin of the sidecar's certificate.
    async fn acquaint(&self, bootstrap: Socket) -> Result<[u8; 32], String> {
        let failed = |error: std::io::Error| format!("bootstrap: {error}");
        bootstrap.set_nonblocking(true).map_err(failed)?;
        let mut bootstrap = UnixStream::from_std(bootstrap).map_err(failed)?;
        let hello = Hello {
            pin: self.certificate.pin(),
            root: self.issuer.public(),
            audience: self.audience,
            clock_offset_ms: self.clock.offset_ms,
            in_flight_max: self.in_flight_max,
            message_bytes_max: self.message_bytes_max,
            settings: self.settings.to_vec(),
        };
        let bytes = Zeroizing::new(hello.encode().map_err(|error| error.to_string())?);
        let _settings = Zeroizing::new(hello.settings);
        // Whoever does not read it may still say why.
        let sent = bootstrap.write_all(&bytes).await.map_err(failed);
        let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX + 1);
        loop {
            match Answer::decode(&answer).map_err(|error| error.to_string())? {
                Some(Answer::Ready { pin }) => return sent.map(|()| pin),
                Some(Answer::Failed(sentence)) => return Err(sentence),
                None => {}
            }
            match bootstrap.read_buf(&mut answer).await {
                Ok(1..) => {}
                Ok(0) => return Err("it ended before it was ready".to_owned()),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Connects to the certificate with this pin.
    async fn connect(self, connection: Socket, pin: [u8; 32]) -> Result<(Link, Task), String> {
        let failed = |error: std::io::Error| format!("connection: {error}");
        connection.set_nonblocking(true).map_err(failed)?;
        let connection = UnixStream::from_std(connection).map_err(failed)?;
        let config = pinned::client(self.certificate, pin).map_err(|error| error.to_string())?;
        let stream = handshake(connection, config).await?;
        let mut key = Zeroizing::new([0; 32]);
        let exported = stream.get_ref().1.export_keying_material(&mut *key, SEAL_EXPORTER_LABEL, Some(&self.audience));
        exported.map_err(|error| format!("the key of seals: {error}"))?;
        let (sender, connection) = open(stream).await?;
        let link = Link {
            sender,
            sealer: Sealer::new(&key).into(),
            issuer: self.issuer,
            issuer_name: self.issuer_name,
            audience: self.audience,
            clock: self.clock,
            message_bytes_max: self.message_bytes_max as usize,
        };
        Ok((link, connection))
    }
}

/// TLS, within its time.
pub(crate) async fn handshake(
    connection: UnixStream,
    config: rustls::ClientConfig,
) -> Result<TlsStream<UnixStream>, String> {
    let name = ServerName::try_from("aether.invalid").map_err(|error| error.to_string())?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, connection);
    let stream = timeout(Duration::from_millis(STEP_MS_MAX), handshake).await;
    let stream = stream.map_err(|_| "the handshake took too long")?.map_err(|error| format!("handshake: {error}"))?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(pinned::PROTOCOL);
    if is_http2 { Ok(stream) } else { Err("the other side does not speak h2".to_owned()) }
}

/// HTTP/2 on it, driven by a task.
pub(crate) async fn open(stream: TlsStream<UnixStream>) -> Result<(h2::client::SendRequest<Bytes>, Task), String> {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .data_frame_budget(SMALL_FRAMES_BYTES);
    let opened = timeout(Duration::from_millis(STEP_MS_MAX), builder.handshake(stream)).await;
    let opened = opened.map_err(|_| "the HTTP/2 preface took too long")?;
    let (sender, connection) = opened.map_err(|error| format!("HTTP/2: {error}"))?;
    // How a connection ends is seen on its streams.
    let task = Task::spawn(async move { drop(connection.await) });
    Ok((sender, task))
}
