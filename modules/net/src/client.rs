//! The client: takes a request, finds or opens a connection, and brings the head of the answer.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::Method;
use hyper::header::{self, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::dial::{self, Route};
use crate::error::{NetError, Stage};
use crate::fault::{Failure, Fault};
use crate::head::Head;
use crate::lane::{Lane, Use};
use crate::line::Line;
#[cfg(feature = "http2")]
use crate::mux::{Exchange, Mux};
use crate::pattern::HostPatterns;
use crate::pool::{Bounds, Pool, Protocol};
use crate::proxy::Proxy;
use crate::request::Request;
use crate::response::Response;
use crate::tls::Tls;
use crate::trip::{Key, Trip};

/// How long a request that may be sent again is kept for that. A server that closed a connection at rest says so within
/// one round trip; after that the copy would only cost memory.
const REPEAT_MS_MAX: u64 = 2_000;

/// What a client is told once.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// PEM file with certificates to trust in addition to the system's. Read at the first `https` connection.
    pub ca_file: Option<PathBuf>,
    /// The proxies.
    pub proxy: Proxy,
    /// Private hosts that may be spoken to in the clear. Loopback always may, a public address never (N2).
    pub plaintext_hosts: HostPatterns,
    /// Value of the `user-agent` header where a request brings none.
    pub user_agent: Box<str>,
    /// Connections at rest to one origin, at most.
    pub idle_per_origin_max: usize,
    /// Connections at rest in all, at most.
    pub idle_max: usize,
    /// How long a connection may rest before it is closed, in milliseconds.
    pub idle_ms_max: u64,
}

impl Default for ClientOptions {
    /// No extra certificates, no proxy, plaintext to loopback only; 64 connections at rest to one origin, 256 in all, 50 s.
    fn default() -> Self {
        Self {
            ca_file: None,
            proxy: Proxy::none(),
            plaintext_hosts: HostPatterns::default(),
            user_agent: concat!("aether/", env!("CARGO_PKG_VERSION")).into(),
            idle_per_origin_max: 64,
            idle_max: 256,
            idle_ms_max: 50_000,
        }
    }
}

/// The one HTTP client. A clone is the same client: it shares connections, settings and tasks.
///
/// Making one costs nothing: no file is read, no thread and no task started before a request needs it. Use it on one
/// tokio runtime; connections belong to the runtime that opened them. When the last clone and the last [`Response`] are
/// gone, all connections are closed and all tasks are stopped (N7).
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: ClientOptions,
    pub(crate) tls: Tls,
    pub(crate) pool: Pool,
    tasks: Mutex<JoinSet<()>>,
}

impl Client {
    /// A client with these options.
    #[must_use]
    pub fn new(options: ClientOptions) -> Self {
        let bounds = Bounds {
            per_origin_max: options.idle_per_origin_max,
            total_max: options.idle_max,
            rest: Duration::from_millis(options.idle_ms_max),
        };
        let tls = Tls::new(options.ca_file.clone());
        Self { shared: Arc::new(Shared { options, tls, pool: Pool::new(bounds), tasks: Mutex::new(JoinSet::new()) }) }
    }

    /// Sends one request and waits for the head of its answer, whatever its status. No redirect is followed (N1):
    /// [`Url::join`](crate::Url::join) resolves a `location`, and the caller decides.
    ///
    /// A request goes out a second time in one case only: it was given to a reused connection, which within two seconds
    /// was closed before the head of an answer, and either the server cannot have begun to work on it (nothing of it was
    /// sent, or an HTTP/2 server refused its stream) or it may be [repeated](crate::Repeat). The second attempt is on
    /// another connection and is the last (N5).
    ///
    /// Dropping the future cancels the request and closes its connection (HTTP/1.1) or its stream (HTTP/2).
    ///
    /// # Errors
    ///
    /// A [`NetError`]; on any of them no connection of this request is left open.
    pub async fn send(&self, request: Request) -> Result<Response, NetError> {
        if request.method == Method::CONNECT {
            let found = "the method CONNECT opens tunnels, not requests: use another method";
            return Err(NetError::Request { found: found.into() });
        }
        let shared = &self.shared;
        let route = dial::route(&shared.options, &request.url, request.reach)?;
        let trip = Trip::begin(Key::new(&request.url, request.reach), request.limits);
        // From here on the request moves as a pointer: what waits stays small.
        let mut request = Box::new(request);
        self.sign(&mut request)?;
        let repeatable = request.is_repeatable();
        let (mut lane, use_) = match shared.lane_at_hand(&trip) {
            Some(lane) => (lane, Use::Again),
            None => Box::pin(shared.fresh_lane(&trip, route)).await?,
        };
        let mut kept = (use_ == Use::Again).then(|| request.clone());
        lane.put(*request, route)?;
        let failure = match self.answer(&trip, &mut lane, &mut kept).await? {
            Ok(head) => return self.answered(trip, lane, head, route),
            Err(failure) => failure,
        };
        let may = failure.unprocessed || (repeatable && matches!(failure.fault, Fault::Cut));
        let Some(again) = kept.filter(|_| may) else {
            return Err(failure.fault.at(trip.label(), None));
        };
        drop(lane);
        let (mut lane, _) = Box::pin(shared.fresh_lane(&trip, route)).await?;
        lane.put(*again, route)?;
        match self.answer(&trip, &mut lane, &mut None).await? {
            Ok(head) => self.answered(trip, lane, head, route),
            Err(failure) => Err(failure.fault.at(trip.label(), None)),
        }
    }

    /// How many connections are at rest or shared. For reports.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.pool.open_connections()
    }

    /// Sends the request and waits for the head of the answer. The outer error is a time limit, the inner one what
    /// happened to the connection.
    async fn answer(
        &self,
        trip: &Trip,
        lane: &mut Lane,
        kept: &mut Option<Box<Request>>,
    ) -> Result<Result<Head, Failure>, NetError> {
        let until = trip.until(trip.limits.headers_ms_max);
        let waited = {
            let mut answer = pin!(lane.answer());
            if kept.is_some() {
                match timeout_at(trip.until(REPEAT_MS_MAX).min(until), answer.as_mut()).await {
                    Ok(done) => return Ok(done),
                    Err(_) => *kept = None,
                }
            }
            timeout_at(until, answer).await
        };
        waited.map_err(|_| {
            lane.mark_broken();
            trip.late(|host| NetError::HeadersTimeout { host, ms: trip.limits.headers_ms_max })
        })
    }

    fn answered(&self, trip: Trip, lane: Lane, head: Head, route: Route<'_>) -> Result<Response, NetError> {
        if let (Route::Forward(server), 407) = (route, head.status) {
            return Err(NetError::Proxy {
                proxy: server.url().host_and_port().into(),
                found: "wants a user and a password, or others (status 407): put them in the proxy variable".into(),
            });
        }
        Ok(Response::new(Arc::clone(&self.shared), trip, head, lane))
    }

    /// Says who asks, where the request does not.
    fn sign(&self, request: &mut Request) -> Result<(), NetError> {
        let user_agent = &self.shared.options.user_agent;
        if user_agent.is_empty() || request.headers.contains_key(header::USER_AGENT) {
            return Ok(());
        }
        let value = HeaderValue::from_str(user_agent).map_err(|_| NetError::Request {
            found: "the configured user agent holds a control character: remove it".into(),
        })?;
        request.headers.insert(header::USER_AGENT, value);
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("open_connections", &self.open_connections()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Starts a task that belongs to the client. Those that ended are forgotten on the way.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Puts an HTTP/1.1 connection to rest if it stands ready for another request, and closes it otherwise.
    pub(crate) fn rest(self: &Arc<Self>, key: &Arc<Key>, mut line: Box<Line>) {
        if line.is_ready() {
            self.pool.rest_line(key, line);
            self.watch();
        }
    }

    /// Sees to it that connections at rest are closed in time.
    fn watch(self: &Arc<Self>) {
        if self.pool.wants_reaper() {
            self.spawn(reap(Arc::downgrade(self)));
        }
    }

    /// A connection that is open already.
    fn lane_at_hand(&self, trip: &Trip) -> Option<Lane> {
        #[cfg(feature = "http2")]
        if let Some(lease) = self.pool.lease(&trip.key) {
            return Some(Lane::Mux(Exchange::new(lease)));
        }
        self.pool.take_line(&trip.key).map(Lane::Line)
    }

    /// Opens a connection. Where it may turn out to be one that many can share, requests queue up behind the first.
    async fn fresh_lane(self: &Arc<Self>, trip: &Trip, route: Route<'_>) -> Result<(Lane, Use), NetError> {
        let deadline = trip.until(trip.limits.connect_ms_max);
        let gate = self.pool.gate(&trip.key);
        let mut entered = None;
        if let Some(gate) = &gate {
            let passed = trip.step(Stage::Queue, deadline, gate.lock()).await?;
            #[cfg(feature = "http2")]
            if let Some(lease) = self.pool.lease(&trip.key) {
                return Ok((Lane::Mux(Exchange::new(lease)), Use::Again));
            }
            if self.pool.protocol(&trip.key) != Protocol::Http1 {
                entered = Some(passed);
            }
        }
        let (wire, protocol) = dial::open(self, trip, route, deadline).await?;
        self.pool.learn(&trip.key, protocol);
        let lane = match protocol {
            #[cfg(feature = "http2")]
            Protocol::Http2 => {
                let assumed = self.pool.streams_likely(&trip.key);
                let opened = trip.step(Stage::Tls, deadline, Mux::open(wire, self, assumed)).await?;
                let mux = opened.map_err(|error| Fault::from_hyper(&error).at(trip.label(), None))?;
                let lease = self.pool.share(&trip.key, mux);
                self.watch();
                Lane::Mux(Exchange::new(lease))
            }
            Protocol::Http1 | Protocol::Unknown => Lane::Line(Line::new(wire)),
        };
        drop(entered);
        Ok((lane, Use::First))
    }
}

/// Closes connections that have rested too long, until none is left or the client is gone.
async fn reap(shared: Weak<Shared>) {
    loop {
        let next = match shared.upgrade() {
            Some(shared) => shared.pool.reap(Instant::now()),
            None => return,
        };
        match next {
            Some(at) => sleep_until(at).await,
            None => return,
        }
    }
}
