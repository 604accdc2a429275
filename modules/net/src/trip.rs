//! One request on its way: which origin it is for, when each of its waits ends, and what to say when one does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::{NetError, Stage};
use crate::request::{Limits, Reach};
use crate::url::{Host, Scheme, Url};

/// What connections are shared by: two requests with equal keys may use the same one, no others may.
///
/// Reach is part of it: a connection that was opened without the check for public addresses never serves a request that
/// asks for the check (N3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) reach: Reach,
}

impl Key {
    pub(crate) fn new(url: &Url, reach: Reach) -> Self {
        Self { scheme: url.scheme(), host: url.host().clone(), port: url.port(), reach }
    }

    /// `host:port`, as errors name it.
    pub(crate) fn label(&self) -> Box<str> {
        format!("{}:{}", self.host, self.port).into()
    }
}

/// The clock and the name of one request.
#[derive(Clone)]
pub(crate) struct Trip {
    pub(crate) key: Arc<Key>,
    pub(crate) limits: Limits,
    begun: Instant,
}

impl Trip {
    pub(crate) fn begin(key: Key, limits: Limits) -> Self {
        Self { key: Arc::new(key), limits, begun: Instant::now() }
    }

    pub(crate) fn label(&self) -> Box<str> {
        self.key.label()
    }

    /// When a wait of `ms` that starts now ends: never after the total limit.
    pub(crate) fn until(&self, ms: u64) -> Instant {
        later(Instant::now(), ms).min(self.total_at())
    }

    fn total_at(&self) -> Instant {
        later(self.begun, self.limits.total_ms_max)
    }

    /// The error of a wait that has just ended without result: the total limit's when that has passed, else `own`.
    pub(crate) fn late(&self, own: impl FnOnce(Box<str>) -> NetError) -> NetError {
        if Instant::now() >= self.total_at() {
            NetError::TotalTimeout { host: self.label(), ms: self.limits.total_ms_max }
        } else {
            own(self.label())
        }
    }

    /// Awaits one step of connecting, until `deadline`.
    pub(crate) async fn step<T>(
        &self,
        stage: Stage,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, NetError> {
        match timeout_at(deadline, work).await {
            Ok(done) => Ok(done),
            Err(_) => Err(self.late(|host| NetError::ConnectTimeout { host, ms: self.limits.connect_ms_max, stage })),
        }
    }
}

/// `from` plus `ms`, or a century later where that overflows.
fn later(from: Instant, ms: u64) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    from.checked_add(Duration::from_millis(ms).min(CENTURY)).unwrap_or(from)
}
