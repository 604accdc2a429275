//! A circuit breaker: a provider that keeps failing is left alone for a while.

use std::time::Duration;

use tokio::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it; 1 or more.
    pub failures_max: u32,
    /// How long it stays open, in milliseconds. Then one question may try.
    pub open_ms: u64,
}

impl Default for BreakerLimits {
    fn default() -> BreakerLimits {
        BreakerLimits { failures_max: 5, open_ms: 20_000 }
    }
}

/// The breaker of one provider (M. Nygard, *Release It!*, "Circuit Breaker").
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    failures: u32,
    opened: Option<Instant>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Breaker {
        Breaker { limits, failures: 0, opened: None }
    }

    /// Whether a question may be sent now. Of all that ask while it is open, one in each period may.
    ///
    /// # Errors
    /// How many milliseconds are left until the next may try.
    pub fn admit(&mut self) -> Result<(), u64> {
        let Some(opened) = self.opened else { return Ok(()) };
        let period = Duration::from_millis(self.limits.open_ms);
        let left = period.saturating_sub(opened.elapsed());
        if left.is_zero() {
            self.opened = Some(Instant::now());
            return Ok(());
        }
        Err(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// A question was answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.opened = None;
    }

    /// A question failed in a way that speaks against the provider: no connection, a time limit, a 5xx.
    pub fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limits.failures_max {
            self.opened = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_lets_one_try_in_each_period() {
        let mut breaker = Breaker::new(BreakerLimits { failures_max: 3, open_ms: 1000 });
        for _ in 0..2 {
            breaker.failed();
        }
        assert_eq!(breaker.admit(), Ok(()));
        breaker.succeeded();
        for _ in 0..3 {
            assert_eq!(breaker.admit(), Ok(()));
            breaker.failed();
        }
        assert_eq!(breaker.admit(), Err(1000));
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(breaker.admit(), Err(600));
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(breaker.admit(), Ok(()), "one may try");
        assert_eq!(breaker.admit(), Err(1000), "and only one");
        breaker.succeeded();
        assert_eq!(breaker.admit(), Ok(()));
    }
}
