//! What one jail has used of the network, and whether there is more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::decision::{Spent, Why};
use crate::rules::Quotas;
use crate::unplug::{Control, holds};

/// What went through the broker for one jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the network to the jail; what TLS adds is not counted where the broker speaks it.
    pub bytes_in: u64,
    /// Bytes from the jail to the network.
    pub bytes_out: u64,
    /// Connections that the jail opened, refused ones too.
    pub connections: u32,
    /// Connections that were refused, or whose host could not be reached.
    pub connections_refused: u32,
    /// Names that were asked for.
    pub questions: u32,
    /// Names that got no answer, or a refusal.
    pub questions_refused: u32,
}

/// Counts against the quotas.
pub(crate) struct Meter {
    quotas: Quotas,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicU32,
    pub(crate) connections_refused: AtomicU32,
    pub(crate) questions: AtomicU32,
    pub(crate) questions_refused: AtomicU32,
    open: AtomicU32,
    sending: AtomicUsize,
    sent: Notify,
}

impl Meter {
    pub(crate) fn new(quotas: Quotas) -> Meter {
        Meter {
            quotas,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            connections_refused: AtomicU32::new(0),
            questions: AtomicU32::new(0),
            questions_refused: AtomicU32::new(0),
            open: AtomicU32::new(0),
            sending: AtomicUsize::new(0),
            sent: Notify::new(),
        }
    }

    /// Counts bytes that came in. On `Err` they must not be handed on.
    pub(crate) fn take_in(&self, bytes: usize) -> Result<(), Why> {
        let max = self.quotas.bytes_in_max;
        if take(&self.bytes_in, bytes, max) { Ok(()) } else { Err(Why::Quota(Spent::BytesIn(max))) }
    }

    /// Counts bytes that go out. On `Err` they must not be handed on.
    pub(crate) fn take_out(&self, bytes: usize) -> Result<(), Why> {
        let max = self.quotas.bytes_out_max;
        if take(&self.bytes_out, bytes, max) { Ok(()) } else { Err(Why::Quota(Spent::BytesOut(max))) }
    }

    /// A seat for one more connection.
    pub(crate) fn admit(self: &Arc<Meter>) -> Result<Seat, Spent> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat { meter: Arc::clone(self) };
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let spent = if before >= self.quotas.connections_total_max {
            Some(Spent::ConnectionsTotal(self.quotas.connections_total_max))
        } else if open >= self.quotas.connections_max {
            Some(Spent::Connections(self.quotas.connections_max))
        } else {
            None
        };
        spent.filter(|_| holds(Control::Quota)).map_or(Ok(seat), Err)
    }

    /// Until it is dropped, bytes of a jail are on their way out.
    pub(crate) fn sending(&self) -> Sending<'_> {
        self.sending.fetch_add(1, Ordering::Relaxed);
        Sending { meter: self }
    }

    /// Waits until nothing is on its way out.
    pub(crate) async fn all_sent(&self) {
        loop {
            let sent = self.sent.notified();
            if self.sending.load(Ordering::Relaxed) == 0 {
                return;
            }
            sent.await;
        }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            bytes_in: self.bytes_in.load(Ordering::Relaxed).min(self.quotas.bytes_in_max),
            bytes_out: self.bytes_out.load(Ordering::Relaxed).min(self.quotas.bytes_out_max),
            connections: self.connections.load(Ordering::Relaxed),
            connections_refused: self.connections_refused.load(Ordering::Relaxed),
            questions: self.questions.load(Ordering::Relaxed),
            questions_refused: self.questions_refused.load(Ordering::Relaxed),
        }
    }
}

/// Adds `bytes` if the sum stays within `max`.
fn take(counter: &AtomicU64, bytes: usize, max: u64) -> bool {
    let sum = counter.fetch_add(bytes as u64, Ordering::Relaxed).saturating_add(bytes as u64);
    sum <= max || !holds(Control::Quota)
}

/// The right to be one of the open connections.
pub(crate) struct Seat {
    meter: Arc<Meter>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.meter.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Something is on its way out.
pub(crate) struct Sending<'a> {
    meter: &'a Meter,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.meter.sending.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.meter.sent.notify_waiters();
        }
    }
}
