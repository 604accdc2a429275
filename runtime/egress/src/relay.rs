//! Two connections, and the bytes between them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until};

use crate::broker::Jail;
use crate::connection::READ_BYTES;
use crate::decision::Why;
use crate::inspect::Inspector;
use crate::meter::Sending;

/// A connection whose way is open.
pub(crate) struct Opened<'a> {
    pub(crate) upstream: TcpStream,
    /// What the client has sent so far.
    pub(crate) first: Vec<u8>,
    /// Who looks at what it sends, where somebody has to.
    pub(crate) guard: Option<Inspector>,
    /// How many of the first bytes may go on.
    pub(crate) ready: usize,
    /// Held until the client has sent everything.
    pub(crate) sending: Sending<'a>,
}

/// When a byte last moved.
pub(crate) struct Activity {
    start: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity { start: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    pub(crate) fn touch(&self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// Returns once nothing has moved for so long.
    pub(crate) async fn idle(&self, ms: u64) -> Why {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let due = self.start + last + Duration::from_millis(ms);
            if Instant::now() >= due {
                return Why::Idle { ms };
            }
            sleep_until(due).await;
        }
    }
}

/// Carries bytes both ways until both sides have ended, a rule is broken, a quota is spent or nothing moves any more.
pub(crate) async fn relay(jail: &Jail, mut client: TcpStream, opened: Opened<'_>) -> Result<(), Why> {
    let Opened { mut upstream, first, guard, ready, sending } = opened;
    let activity = Activity::new();
    let (client_read, client_write) = client.split();
    let (upstream_read, upstream_write) = upstream.split();
    let out = Out { jail, activity: &activity, guard, buffer: first, ready, _sending: sending };
    let both = async {
        tokio::try_join!(out.run(client_read, upstream_write), back(jail, &activity, upstream_read, client_write))
    };
    tokio::select! {
        ended = both => ended.map(|_| ()),
        why = activity.idle(jail.grant.quotas().idle_ms_max) => Err(why),
    }
}

/// From the jail to the network.
struct Out<'a> {
    jail: &'a Jail,
    activity: &'a Activity,
    guard: Option<Inspector>,
    buffer: Vec<u8>,
    ready: usize,
    _sending: Sending<'a>,
}

impl Out<'_> {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Why> {
        loop {
            if self.ready > 0 {
                self.jail.meter.take_out(self.ready)?;
                to.write_all(&self.buffer[..self.ready]).await.map_err(cut)?;
                self.activity.touch();
                self.buffer.drain(..self.ready);
            }
            self.buffer.reserve(READ_BYTES);
            if from.read_buf(&mut self.buffer).await.map_err(cut)? == 0 {
                return to.shutdown().await.map_err(cut);
            }
            self.activity.touch();
            self.ready = match &mut self.guard {
                Some(guard) => guard.pass(&self.buffer).map_err(Why::Http)?,
                None => self.buffer.len(),
            };
        }
    }
}

/// From the network to the jail.
async fn back(jail: &Jail, activity: &Activity, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Why> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = from.read(&mut buffer).await.map_err(cut)?;
        if count == 0 {
            return to.shutdown().await.map_err(cut);
        }
        jail.meter.take_in(count)?;
        to.write_all(&buffer[..count]).await.map_err(cut)?;
        activity.touch();
    }
}

pub(crate) fn cut(error: std::io::Error) -> Why {
    Why::Cut(error.to_string().into())
}
