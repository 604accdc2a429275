//! The broker: serves jails, each with its own rules, and tells what it decided.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection;
use crate::decision::{Decision, Verdict, What, Why};
use crate::dial::{Resolve, SystemResolver};
use crate::error::EgressError;
use crate::issuer::Authority;
use crate::leases::Leases;
use crate::lookup;
use crate::meter::{Meter, Traffic};
use crate::rules::{Grant, Rules};

/// A descriptor of the operating system.
#[cfg(unix)]
pub type Descriptor = std::os::fd::OwnedFd;
/// A descriptor of the operating system.
#[cfg(windows)]
pub type Descriptor = std::os::windows::io::OwnedSocket;

/// Told of every decision, in the task that made it: it should be quick.
pub type Sink = Arc<dyn Fn(&Decision) + Send + Sync>;

/// Where the jail wanted to connect to.
pub type Destination = fn(&TcpStream) -> io::Result<SocketAddr>;

/// How long bytes that a jail has sent may take to leave after its end. Milliseconds.
const DRAIN_MS_MAX: u64 = 250;

/// How long a connection may wait to be accepted after a jail's end. Milliseconds.
const ACCEPT_GRACE_MS: u64 = 1;

/// How long to wait where no connection can be accepted for want of descriptors. Milliseconds.
const ACCEPT_PAUSE_MS: u64 = 10;

/// Sockets inside a jail's network namespace, bound and listening.
#[derive(Debug)]
pub struct Gateway {
    /// For each port that the rules need ([`ports`](crate::ports)), a TCP listener on every address.
    pub listeners: Vec<(u16, Descriptor)>,
    /// Where names are asked for, by datagram.
    pub dns_udp: Descriptor,
    /// Where names are asked for, by connection.
    pub dns_tcp: Descriptor,
}

/// How a broker looks at the world.
#[derive(Clone)]
pub struct Options {
    /// Looks names up.
    pub resolver: Arc<dyn Resolve>,
    /// Certificates to trust beside the system's, as PEM, when a secret is sent.
    pub ca_file: Option<PathBuf>,
    /// What a connection's own end is called, which inside a jail is where its client wanted to go.
    pub destination: Destination,
}

impl Default for Options {
    fn default() -> Options {
        Options { resolver: Arc::new(SystemResolver), ca_file: None, destination: TcpStream::local_addr }
    }
}

/// Serves jails. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    trust: Mutex<Option<Arc<ClientConfig>>>,
    authority: Mutex<Option<Arc<Authority>>>,
}

impl Shared {
    /// The settings for TLS with hosts; read at the first call.
    pub(crate) fn trust(&self) -> Result<Arc<ClientConfig>, EgressError> {
        let mut slot = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = slot.as_ref() {
            return Ok(Arc::clone(config));
        }
        let mut config = aether_net::client_config(self.options.ca_file.as_deref()).map_err(EgressError::Trust)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        *slot = Some(Arc::clone(&config));
        Ok(config)
    }

    /// The authority; made at the first call.
    pub(crate) fn authority(&self) -> Result<Arc<Authority>, EgressError> {
        let mut slot = self.authority.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authority) = slot.as_ref() {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(Authority::generate()?);
        *slot = Some(Arc::clone(&authority));
        Ok(authority)
    }
}

impl Broker {
    /// A broker. Reads and opens nothing yet.
    ///
    /// # Errors
    /// None today; what can fail, fails when it is needed.
    pub fn new(options: Options) -> Result<Broker, EgressError> {
        let shared = Shared { options, trust: Mutex::default(), authority: Mutex::default() };
        Ok(Broker { shared: Arc::new(shared) })
    }

    /// The ports that a jail with these rules has to listen on.
    #[must_use]
    pub fn ports(rules: &Rules) -> Vec<u16> {
        crate::rules::ports(&rules.network)
    }

    /// The certificate that the jail's trust store needs, as PEM; `None` where no host of these rules has a secret. It is
    /// the same for all jails of this broker, so it can be put in place before a jail has a task.
    ///
    /// # Errors
    /// [`EgressError::Certificate`] where none could be made.
    pub fn certificate_pem(&self, rules: &Rules) -> Result<Option<String>, EgressError> {
        if rules.secrets.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.shared.authority()?.pem().to_owned()))
    }

    /// Whether a jail with these rules can be served, so that nothing is started for rules that cannot be kept.
    ///
    /// # Errors
    /// An [`EgressError`]: a rule that cannot be kept, or certificates that cannot be read.
    pub fn check(&self, rules: &Rules) -> Result<(), EgressError> {
        if !rules.secrets.is_empty() {
            self.shared.trust()?;
            self.shared.authority()?;
        }
        Grant::new(rules.clone()).map(drop)
    }

    /// Serves a jail until what this returns is dropped. `sink` is told of every decision.
    ///
    /// # Errors
    /// An [`EgressError`]: a rule that cannot be kept, a socket that is none, no tokio runtime around the call.
    pub fn serve(&self, gateway: Gateway, rules: Rules, sink: Sink) -> Result<Serving, EgressError> {
        let runtime = Handle::try_current().map_err(|_| EgressError::NoRuntime)?;
        let _inside = runtime.enter();
        self.check(&rules)?;
        let meter = Arc::new(Meter::new(rules.quotas));
        let grant = Grant::new(rules)?;
        let jail = Jail { shared: Arc::clone(&self.shared), grant, leases: Mutex::default(), meter, sink };
        let jail = Arc::new(jail);
        let Gateway { listeners, dns_udp, dns_tcp } = gateway;
        let datagrams = std::net::UdpSocket::from(dns_udp);
        datagrams.set_nonblocking(true)?;
        let datagrams = UdpSocket::from_std(datagrams)?;
        let questions = listener(dns_tcp)?;
        let listeners = listeners.into_iter().map(|(port, socket)| Ok((port, listener(socket)?)));
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(lookup::datagrams(Arc::clone(&jail), datagrams));
        tasks.spawn(lookup::connections(Arc::clone(&jail), questions));
        for (port, listener) in listeners {
            tasks.spawn(accept(Arc::clone(&jail), listener, port));
        }
        Ok(Serving { tasks, jail })
    }
}

fn listener(socket: Descriptor) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A jail that is served. Dropping it closes every connection.
pub struct Serving {
    tasks: JoinSet<()>,
    jail: Arc<Jail>,
}

impl Serving {
    /// What went through so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.jail.meter.traffic()
    }

    /// Ends the service once what the jail has sent is on its way, a quarter of a second later at most.
    pub async fn finish(mut self) -> Traffic {
        // Connections that were opened just before the end are accepted first.
        sleep(Duration::from_millis(ACCEPT_GRACE_MS)).await;
        let drained = timeout(Duration::from_millis(DRAIN_MS_MAX), self.jail.meter.all_sent());
        let _in_time = drained.await.is_ok();
        self.tasks.shutdown().await;
        self.jail.meter.traffic()
    }
}

/// One jail: its rules and what it has used of them.
pub(crate) struct Jail {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grant: Grant,
    pub(crate) leases: Mutex<Leases>,
    pub(crate) meter: Arc<Meter>,
    sink: Sink,
}

impl Jail {
    pub(crate) fn tell(&self, decision: &Decision) {
        (self.sink)(decision);
    }
}

/// Accepts connections for one port until the jail's total is spent, and sees every one to its end.
async fn accept(jail: Arc<Jail>, listener: TcpListener, port: u16) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match jail.meter.admit() {
                    Ok(seat) => {
                        connections.spawn(connection::serve(Arc::clone(&jail), stream, port, seat));
                    }
                    Err(spent) => {
                        let refused = jail.meter.connections_refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let is_total = matches!(spent, crate::decision::Spent::ConnectionsTotal(_));
                        if refused < REFUSALS_TOLD_MAX || is_total {
                            let verdict = Verdict::Refused(Why::Quota(spent));
                            jail.tell(&Decision { what: What::Quota, host: "".into(), port, address: None, verdict });
                        }
                        if is_total {
                            break;
                        }
                    }
                },
                Err(_) => sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Refusals of one jail for want of a seat that are told of; the others are only counted.
const REFUSALS_TOLD_MAX: u32 = 64;
