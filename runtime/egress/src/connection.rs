//! One connection out of a jail: whom it is for, whether it may go on, and who carries it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::broker::Jail;
use crate::decision::{Decision, Verdict, What, Why};
use crate::dial::{Refusal, dial};
use crate::head::HeadFault;
use crate::hello::{self, Hello};
use crate::inspect::Inspector;
use crate::leases::is_made_up;
use crate::meter::Seat;
use crate::names::Peer;
use crate::relay::{Opened, relay};
use crate::rules::Way;
use crate::terminate::{Desk, farewell};
use crate::unplug::{Control, holds};

/// Bytes that are read at a time.
pub(crate) const READ_BYTES: usize = 16 * 1024;

/// How long a refused client may take to hear why. Milliseconds.
const FAREWELL_MS_MAX: u64 = 1_000;

/// The alert `access_denied`, fatal (RFC 8446 section 6.2).
const TLS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// A connection, from whom to whom.
pub(crate) struct Call {
    pub(crate) jail: Arc<Jail>,
    pub(crate) peer: Peer,
    /// The port that the jail connected to.
    pub(crate) port: u16,
}

impl Call {
    pub(crate) fn tell(&self, what: What, address: Option<IpAddr>, verdict: Verdict) {
        let host = self.peer.to_string().into();
        self.jail.tell(&Decision { what, host, port: self.port, address, verdict });
    }

    /// Counts a refusal and tells of it, unless a side just went away. Before anybody else hears of it.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        if !matches!(refusal.why, Why::Cut(_) | Why::Idle { .. }) {
            self.jail.meter.connections_refused.fetch_add(1, Ordering::Relaxed);
            let what = if matches!(refusal.why, Why::Quota(_)) { What::Quota } else { What::Connect };
            self.tell(what, refusal.address, Verdict::Refused(refusal.why.clone()));
        }
    }

    /// Opens the connection to the host, and tells of it.
    pub(crate) async fn dial(&self, port: u16) -> Result<TcpStream, Refusal> {
        let quotas = self.jail.grant.quotas();
        let deadline = Instant::now() + Duration::from_millis(quotas.connect_ms_max);
        let resolver = &*self.jail.shared.options.resolver;
        let dialed = timeout_at(deadline, dial(resolver, &self.jail.grant, &self.peer, port, deadline)).await;
        let (stream, address) = dialed.map_err(|_| Why::Slow { ms: quotas.connect_ms_max })??;
        self.tell(What::Connect, Some(address), Verdict::Allowed);
        Ok(stream)
    }
}

/// Sees one connection to its end.
pub(crate) async fn serve(jail: Arc<Jail>, mut stream: TcpStream, port: u16, seat: Seat) {
    let peer = match identify(&jail, &stream) {
        Ok(peer) => peer,
        Err((why, address)) => {
            jail.meter.connections_refused.fetch_add(1, Ordering::Relaxed);
            let host = address.map(|address| address.to_string()).unwrap_or_default().into();
            let verdict = Verdict::Refused(why.clone());
            jail.tell(&Decision { what: What::Connect, host, port, address, verdict });
            part(&mut stream, &[], &why).await;
            return;
        }
    };
    let call = Call { jail, peer, port };
    if let Err(refusal) = carry(&call, stream).await {
        call.refuse(&refusal);
    }
    drop(seat);
}

/// Whom the client wanted to connect to.
fn identify(jail: &Jail, stream: &TcpStream) -> Result<Peer, (Why, Option<IpAddr>)> {
    stream.set_nodelay(true).map_err(|error| (Why::Cut(error.to_string().into()), None))?;
    let destination =
        (jail.shared.options.destination)(stream).map_err(|error| (Why::Cut(error.to_string().into()), None))?;
    let IpAddr::V4(address) = SocketAddr::ip(&destination).to_canonical() else {
        return Err((Why::AddressNotGranted, Some(destination.ip())));
    };
    if !is_made_up(address) {
        return Ok(Peer::Address(address));
    }
    let leases = jail.leases.lock().unwrap_or_else(PoisonError::into_inner);
    leases.name(address).cloned().map(Peer::Name).ok_or((Why::NoLease, Some(address.into())))
}

async fn carry(call: &Call, mut stream: TcpStream) -> Result<(), Refusal> {
    let grant = &call.jail.grant;
    let way = match &call.peer {
        Peer::Name(name) => grant.way(name, call.port),
        Peer::Address(address) => grant.allows_address(*address, call.port).map(|()| Way::Relay(call.port)),
    };
    let sending = call.jail.meter.sending();
    let ms = grant.quotas().connect_ms_max;
    let mut first = Vec::new();
    let opened = match way {
        Ok(way) => match timeout(Duration::from_millis(ms), open(call, &mut stream, &mut first, way)).await {
            Ok(opened) => opened,
            Err(_) => Err(Why::Slow { ms }.into()),
        },
        Err(why) => Err(why.into()),
    };
    match opened {
        Ok(Carrier::Relay(upstream, guard, ready)) => {
            Ok(relay(&call.jail, stream, Opened { upstream, first, guard, ready, sending }).await?)
        }
        Ok(Carrier::Desk(port, First::Http)) => Ok(Desk::new(call, port).plain(stream, first).await?),
        Ok(Carrier::Desk(port, First::Tls)) => Ok(Desk::new(call, port).tls(stream, first).await?),
        Err(refusal) => {
            call.refuse(&refusal);
            drop(sending);
            part(&mut stream, &first, &refusal.why).await;
            Ok(())
        }
    }
}

/// Who carries a connection on.
enum Carrier {
    /// The bytes go on as they are; so many of the first ones may.
    Relay(TcpStream, Option<Inspector>, usize),
    /// The connection ends here, and its requests go on to this port.
    Desk(u16, First),
}

/// What a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Tls,
    Http,
}

/// Reads what the connection is for and opens the way.
async fn open(call: &Call, stream: &mut TcpStream, first: &mut Vec<u8>, way: Way) -> Result<Carrier, Refusal> {
    let mut guard = Inspector::new(call.peer.clone(), call.port);
    let (spoken, ready) = read_first(call, stream, first, &mut guard).await?;
    match way {
        Way::Terminate(port) => Ok(Carrier::Desk(port, spoken)),
        Way::Relay(port) => {
            let upstream = call.dial(port).await?;
            let is_guarded = spoken == First::Http && holds(Control::HttpRule);
            Ok(Carrier::Relay(upstream, Some(guard).filter(|_| is_guarded), ready))
        }
    }
}

/// Reads until it is known, and right, whom the first bytes are for; and how many of them may go on.
async fn read_first(
    call: &Call,
    stream: &mut TcpStream,
    first: &mut Vec<u8>,
    guard: &mut Inspector,
) -> Result<(First, usize), Why> {
    loop {
        first.reserve(READ_BYTES);
        match stream.read_buf(first).await {
            Ok(0) => return Err(Why::Cut("closed before it said what it is for".into())),
            Ok(_) => {}
            Err(error) => return Err(Why::Cut(error.to_string().into())),
        }
        match first.first() {
            Some(byte) if hello::is_tls(*byte) => {
                if !holds(Control::SniRule) {
                    return Ok((First::Tls, first.len()));
                }
                match hello::read(first).map_err(Why::Hello)? {
                    Hello::Incomplete => {}
                    found => return check(call, &found).map(|()| (First::Tls, first.len())),
                }
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                if !holds(Control::HttpRule) {
                    return Ok((First::Http, first.len()));
                }
                let ready = guard.pass(first).map_err(Why::Http)?;
                if ready > 0 {
                    return Ok((First::Http, ready));
                }
            }
            // What begins like an empty line is HTTP with bytes in front that do not belong there.
            Some(b'\r' | b'\n') => return Err(Why::Http(HeadFault::Malformed("a line before the request"))),
            _ => return Err(Why::Protocol),
        }
    }
}

/// Whether a hello is for whom the connection is for. A machine that was granted by its address has no name (RFC 6066
/// section 3 allows none for it).
fn check(call: &Call, hello: &Hello) -> Result<(), Why> {
    match (&call.peer, hello) {
        (Peer::Name(name), Hello::Name(found)) if name == found => Ok(()),
        (Peer::Address(_), Hello::Nameless) => Ok(()),
        (Peer::Address(_), Hello::Name(_)) if call.jail.grant.is_public() => Ok(()),
        (_, Hello::Name(found)) => Err(Why::OtherName(found.as_str().into())),
        (_, Hello::Nameless | Hello::Incomplete) => Err(Why::Nameless),
    }
}

/// Tells a client that was refused why, in its own protocol.
async fn part(stream: &mut TcpStream, first: &[u8], why: &Why) {
    let said = timeout(Duration::from_millis(FAREWELL_MS_MAX), async {
        let mut byte = [0; 1];
        let begin = match first.first() {
            Some(byte) => Some(*byte),
            None => stream.read(&mut byte).await.ok().filter(|count| *count > 0).map(|_| byte[0]),
        };
        match begin {
            Some(begin) if hello::is_tls(begin) => stream.write_all(&TLS_DENIED).await,
            Some(begin) if begin.is_ascii_alphabetic() => stream.write_all(farewell(why).as_bytes()).await,
            _ => return Ok(()),
        }?;
        stream.shutdown().await?;
        // What the client still sends is read and dropped, so that its end does not throw the answer away.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    });
    // The refusal stands whether or not it was heard.
    let _heard = said.await.is_ok();
}
