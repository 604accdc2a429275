//! The sidecar's process: from its first instruction to its end (`docs/ipc-security.md`, sections 2, 3 and 7.1).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aether_proof::{Opener, SEAL_EXPORTER_LABEL, Verifier};
use aether_proto::{Answer, HELLO_BYTES_MAX, Hello};
use prost::bytes::Bytes;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, geteuid, getppid, setrlimit, setsid};
use rustls::ServerConfig;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::answer::Service;
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::guard::Guard;
use crate::options::{IN_FLIGHT_MAX, MESSAGE_BYTES_MAX};
use crate::pinned;
use crate::transmit::{CONNECTION_WINDOW_BYTES, HEADERS_BYTES_MAX, STREAM_WINDOW_BYTES, STREAMS_MAX};
use crate::worker::{Setup, Worker};

/// Milliseconds for the bootstrap, and again for the handshake.
pub(crate) const STEP_MS_MAX: u64 = 2_000;

/// Milliseconds for calls to end once the kernel's process takes its leave.
pub(crate) const DRAIN_MS_MAX: u64 = 5_000;

/// Threads for what the worker must do by blocking; none is started before it does.
const BLOCKING_THREADS_MAX: usize = 16;

/// Calls that may be given up before they were looked at.
const RESETS_MAX: usize = STREAMS_MAX as usize;

/// Is the sidecar until the kernel's process goes away.
///
/// `main` calls this when its first argument is [`crate::SIDECAR_WORD`], before it starts any thread. Descriptor 0 is
/// the connection, 1 the bootstrap, 2 the log. Failure before serving is told to the kernel's process, and to the log.
pub fn serve(setup: &mut dyn Setup) -> ExitCode {
    match try_serve(setup) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            // With the log gone, too, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn try_serve(setup: &mut dyn Setup) -> Result<(), String> {
    let (connection, mut bootstrap) = inherited()?;
    let ready = prepare(setup, &mut bootstrap);
    let failed = |sentence: String| {
        // The sentence goes to the log as well, should nobody listen here.
        let _ = bootstrap.write_all(&Answer::Failed(sentence.clone()).encode());
        sentence
    };
    let Ready { runtime, config, service } = ready.map_err(failed)?;
    drop(bootstrap);
    let served = runtime.block_on(converse(connection, config, service));
    runtime.shutdown_background();
    served
}

/// Ties this process to its parent and takes over what it inherited. Descriptors 0 and 1 are `/dev/null` afterwards.
fn inherited() -> Result<(UnixStream, UnixStream), String> {
    let step = |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error}");
    tie()?;
    let owned = |stream: rustix::io::Result<OwnedFd>| stream.map(UnixStream::from);
    let connection = owned(rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)).map_err(step("connection"))?;
    let bootstrap = owned(rustix::io::fcntl_dupfd_cloexec(io::stdout().as_fd(), 3)).map_err(step("bootstrap"))?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, 0o0.into());
    let null = null.map_err(step("/dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(step("descriptor 0"))?;
    rustix::stdio::dup2_stdout(&null).map_err(step("descriptor 1"))?;
    check_parent(&connection)?;
    check_parent(&bootstrap)?;
    // Away from the terminal: what is typed there is for the kernel's process alone.
    setsid().map_err(step("a session of its own"))?;
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, no_core).map_err(step("no core file"))?;
    rustix::process::umask(0o077.into());
    Ok((connection, bootstrap))
}

/// Has this process killed with its parent.
fn tie() -> Result<(), String> {
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    tied.map_err(|error| format!("tie to the parent process: {error}"))
}

/// That whoever made `socket` is the parent, which therefore was there after [`tie`], and is the same user.
fn check_parent(socket: &UnixStream) -> Result<(), String> {
    let wrong = |_| "this is started by the program itself, with a socket as its standard input".to_owned();
    let peer = rustix::net::sockopt::socket_peercred(socket).map_err(wrong)?;
    if Some(peer.pid) == getppid() && peer.uid == geteuid() {
        Ok(())
    } else {
        Err("whoever made the connection is not the parent process, or is another user".to_owned())
    }
}

/// All that serving needs.
struct Ready {
    runtime: tokio::runtime::Runtime,
    config: ServerConfig,
    service: Foundation,
}

/// What is known of the service before the connection has a key.
struct Foundation {
    worker: Arc<dyn Worker>,
    hello: Hello,
}

/// The house's hooks, the hello and its answer, in the order that [`Setup`] states.
fn prepare(setup: &mut dyn Setup, bootstrap: &mut UnixStream) -> Result<Ready, String> {
    setup.first()?;
    let mut hello = read_hello(bootstrap)?;
    // Nobody of this user but its tracer of before may read this process from now on.
    let undumpable = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    undumpable.map_err(|error| format!("close memory to others: {error}"))?;
    let own = Certificate::generate().ok_or("the system has no randomness")?;
    let pin = own.pin();
    let config = pinned::server(own, hello.pin).map_err(|error| error.to_string())?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_io().enable_time().max_blocking_threads(BLOCKING_THREADS_MAX).build();
    let runtime = runtime.map_err(|error| format!("event loop: {error}"))?;
    let worker = {
        let _inside = runtime.enter();
        setup.worker(Zeroizing::new(std::mem::take(&mut hello.settings)))?
    };
    setup.confine()?;
    // A change of user or group undoes what ties this process to its parent (prctl(2), PR_SET_PDEATHSIG).
    let parent = getppid();
    tie()?;
    if parent.is_none() || getppid() != parent {
        return Err("the parent process is gone".to_owned());
    }
    bootstrap.write_all(&Answer::Ready { pin }.encode()).map_err(|error| format!("bootstrap: {error}"))?;
    Ok(Ready { runtime, config, service: Foundation { worker, hello } })
}

fn read_hello(bootstrap: &mut UnixStream) -> Result<Hello, String> {
    let patience = Some(Duration::from_millis(STEP_MS_MAX));
    let failed = |error: io::Error| format!("bootstrap: {error}");
    bootstrap.set_read_timeout(patience).map_err(failed)?;
    bootstrap.set_write_timeout(patience).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(HELLO_BYTES_MAX + 1));
    let mut buffer = Zeroizing::new([0; 4096]);
    let hello = loop {
        if let Some(hello) = Hello::decode(&bytes).map_err(|error| error.to_string())? {
            break hello;
        }
        match bootstrap.read(&mut *buffer).map_err(failed)? {
            0 => return Err("bootstrap: the kernel's process closed it before it said hello".to_owned()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let is_within = (1..=IN_FLIGHT_MAX).contains(&hello.in_flight_max)
        && (1..=MESSAGE_BYTES_MAX).contains(&hello.message_bytes_max);
    if is_within { Ok(hello) } else { Err("hello asks for limits beyond those of the protocol".to_owned()) }
}

/// Handshake, then requests until the connection ends. Whatever still runs then is dropped.
async fn converse(connection: UnixStream, config: ServerConfig, service: Foundation) -> Result<(), String> {
    connection.set_nonblocking(true).map_err(|error| format!("connection: {error}"))?;
    let connection = tokio::net::UnixStream::from_std(connection).map_err(|error| format!("connection: {error}"))?;
    let stream = accept(connection, config).await?;
    let service = Arc::new(found(service, &stream)?);
    requests(stream, &service).await
}

/// TLS, within its time.
pub(crate) async fn accept(
    connection: tokio::net::UnixStream,
    config: ServerConfig,
) -> Result<TlsStream<tokio::net::UnixStream>, String> {
    let handshake = TlsAcceptor::from(Arc::new(config)).accept(connection);
    let stream = timeout(Duration::from_millis(STEP_MS_MAX), handshake).await;
    let stream = stream.map_err(|_| "the handshake took too long")?.map_err(|error| format!("handshake: {error}"))?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(pinned::PROTOCOL);
    if is_http2 { Ok(stream) } else { Err("the other side does not speak h2".to_owned()) }
}

fn found(
    Foundation { worker, hello }: Foundation,
    stream: &TlsStream<tokio::net::UnixStream>,
) -> Result<Service, String> {
    let mut key = Zeroizing::new([0; 32]);
    let exported = stream.get_ref().1.export_keying_material(&mut *key, SEAL_EXPORTER_LABEL, Some(&hello.audience));
    exported.map_err(|error| format!("the key of seals: {error}"))?;
    let clock = Clock { offset_ms: hello.clock_offset_ms };
    let guard = Guard::new(clock, Opener::new(&key), Verifier::new(hello.root, hello.audience));
    Ok(Service::new(worker, guard, hello.message_bytes_max, hello.in_flight_max))
}

/// HTTP/2 until the other side closes.
pub(crate) async fn requests(stream: TlsStream<tokio::net::UnixStream>, service: &Arc<Service>) -> Result<(), String> {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_concurrent_reset_streams(RESETS_MAX);
    let handshake = timeout(Duration::from_millis(STEP_MS_MAX), builder.handshake::<_, Bytes>(stream)).await;
    let handshake = handshake.map_err(|_| "the HTTP/2 preface took too long")?;
    let mut connection = handshake.map_err(|error| format!("HTTP/2: {error}"))?;
    let mut answers = JoinSet::new();
    let ended = loop {
        tokio::select! {
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => { answers.spawn(service.clone().answer(request, respond)); }
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            },
            Some(_) = answers.join_next(), if !answers.is_empty() => {}
        }
    };
    answers.shutdown().await;
    // A peer that closes without a word has gone away, which is how calls are given up all at once.
    ended.or_else(|error| if error.is_io() { Ok(()) } else { Err(format!("HTTP/2: {error}")) })
}
