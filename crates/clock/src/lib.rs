//! Time, behind a trait: the only crate that asks the system what time it is.
//!
//! Code that stamps or measures takes a [`SharedClock`]; tests hand it a [`ManualClock`]. Waiting
//! is the async runtime's business, not this crate's.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// A clock handed around.
pub type SharedClock = Arc<dyn Clock>;

/// A source of wall and monotonic time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time in nanoseconds since 1970; can jump.
    fn now_ns(&self) -> i64;

    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Wall time in milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.now_ns().div_euclid(1_000_000)
    }

    /// Wall time in seconds since 1970, with fraction.
    fn now_seconds(&self) -> f64 {
        self.now_ns() as f64 / 1e9
    }
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The system's clock, shared.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock {
            start: Instant::now(),
        })
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the one place that reads it"
        )]
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is told to move; for tests and accelerated loads.
#[derive(Debug)]
pub struct ManualClock {
    now_ns: Mutex<i64>,
    start_ns: i64,
}

impl ManualClock {
    /// A clock that stands at `now_ms`.
    #[must_use]
    pub fn at_ms(now_ms: i64) -> Arc<ManualClock> {
        let now_ns = now_ms * 1_000_000;
        Arc::new(ManualClock {
            now_ns: Mutex::new(now_ns),
            start_ns: now_ns,
        })
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        *self.now_ns.lock() += i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    }

    /// Jumps to a wall time; the monotonic time does not go back.
    pub fn set_ms(&self, now_ms: i64) {
        *self.now_ns.lock() = now_ms * 1_000_000;
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> i64 {
        *self.now_ns.lock()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.now_ns() - self.start_ns).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::at_ms(1_000);
        assert_eq!(clock.now_ms(), 1_000);
        clock.advance(Duration::from_micros(1_500_500));
        assert_eq!(
            (clock.now_ms(), clock.monotonic()),
            (2_500, Duration::from_micros(1_500_500))
        );
        clock.set_ms(0);
        assert_eq!((clock.now_ms(), clock.monotonic()), (0, Duration::ZERO));
    }

    #[test]
    fn system_clock_is_after_2020() {
        let clock = SystemClock::shared();
        assert!(clock.now_ms() > 1_577_836_800_000);
        assert!(clock.monotonic() <= clock.monotonic());
    }
}
