//! Protocol time: a clock that nobody can set (`docs/ipc-security.md`, section 3.3).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The boot clock and what to add to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) offset_ms: i64,
}

impl Clock {
    /// A clock that now says what the wall clock says.
    pub(crate) fn starting_now() -> Clock {
        let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Clock { offset_ms: i64::try_from(wall_ms).unwrap_or(i64::MAX).saturating_sub(boot_ms()) }
    }

    /// Milliseconds of protocol time.
    pub(crate) fn now_unix_ms(self) -> u64 {
        u64::try_from(boot_ms().saturating_add(self.offset_ms)).unwrap_or(0)
    }

    /// The instant at which this clock will say `unix_ms`; now, if it does already; at most a day from now.
    pub(crate) fn instant(self, unix_ms: u64) -> Instant {
        let ahead_ms = unix_ms.saturating_sub(self.now_unix_ms()).min(aether_proof::AHEAD_MS_MAX);
        Instant::now() + Duration::from_millis(ahead_ms)
    }
}

fn boot_ms() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_with_the_wall_clock_and_two_of_one_offset_agree() {
        let clock = Clock::starting_now();
        let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(clock.now_unix_ms().abs_diff(wall_ms) < 1_000);
        assert!(Clock { offset_ms: clock.offset_ms }.now_unix_ms().abs_diff(clock.now_unix_ms()) < 1_000);
        assert_eq!(Clock { offset_ms: i64::MIN }.now_unix_ms(), 0);
        assert!(clock.instant(0) <= Instant::now());
        assert!(clock.instant(u64::MAX) <= Instant::now() + Duration::from_millis(aether_proof::AHEAD_MS_MAX));
    }
}
