//! How long to wait before a sidecar is started again. Pure: randomness is an argument.

use std::time::Duration;

/// Milliseconds before the first new start, before jitter.
const BACKOFF_MS_FIRST: u64 = 100;

/// Milliseconds before any new start, at most.
const BACKOFF_MS_MAX: u64 = 10_000;

/// A sidecar that served for so many milliseconds had not failed to start.
const STEADY_MS_MIN: u64 = 10_000;

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    pub(crate) failures: u32,
}

impl Backoff {
    /// A sidecar ended that had served for so long.
    pub(crate) fn ended(&mut self, served: Duration) {
        let is_steady = served >= Duration::from_millis(STEADY_MS_MIN);
        self.failures = if is_steady { 1 } else { self.failures.saturating_add(1) };
    }

    /// A start failed.
    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// How long to wait after so many failures: twice as long each time, and between half of that and all of it,
    /// as `random` says.
    pub(crate) fn wait(self, random: u8) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let whole_ms = (BACKOFF_MS_FIRST << doublings).min(BACKOFF_MS_MAX);
        Duration::from_millis(whole_ms / 2 + whole_ms / 2 * u64::from(random) / 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            backoff.failed();
            waits.push((backoff.wait(0).as_millis(), backoff.wait(255).as_millis()));
        }
        let wanted = [(50, 100), (100, 200), (200, 400), (400, 800), (800, 1600), (1600, 3200), (3200, 6400)];
        assert_eq!(waits[..7], wanted);
        assert_eq!(waits[7..], [(5000, 10000), (5000, 10000)]);
        backoff.failures = u32::MAX;
        backoff.failed();
        assert_eq!(backoff.wait(255), Duration::from_secs(10));
    }

    #[test]
    fn a_steady_one_begins_anew() {
        let mut backoff = Backoff { failures: 4 };
        backoff.ended(Duration::from_secs(9));
        assert_eq!(backoff.failures, 5);
        backoff.ended(Duration::from_secs(10));
        assert_eq!(backoff.failures, 1);
    }
}
