//! When a target is scraped, and which time its samples get.
//!
//! A target's ticks lie at fixed moments of absolute time: all `t` with `t mod interval = offset`,
//! where the offset is a hash of the target and of the server. A restart or a reload does not move
//! them, and two servers that scrape the same targets do so at different moments.
//!
//! Samples get the time of the tick if the scrape begins within a small tolerance of it, so that
//! the distance between timestamps is exactly the interval: storage keeps such columns almost for
//! free. A scrape that begins later gets the real time. A tick that passes while a scrape runs is
//! served right after it; of several, only the latest.

use std::time::Duration;

use crate::target::Fnv;

/// How late a scrape may begin and still get the time of its tick: this, or 1 % of the interval if
/// that is less.
const TOLERANCE_NS_MAX: i64 = 2_000_000;

/// The runtime's timers round up to its millisecond wheel; aiming this much earlier centres the
/// error on the tick.
const EARLY_NS: i64 = 1_000_000;

/// The seed of a server: what makes two servers scrape the same target at different moments.
pub(crate) fn server_seed(host_name: &str, external_labels: &model::Labels) -> u64 {
    let mut hash = Fnv::new();
    hash.write(host_name.as_bytes());
    hash.write(external_labels.to_string().as_bytes());
    hash.finish()
}

/// The ticks of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    interval_ns: i64,
    offset_ns: i64,
}

impl Schedule {
    /// Ticks of the target with the identity `target_id` (`crate::target::Target::id`).
    pub(crate) fn new(target_id: u64, server_seed: u64, interval_ms: i64) -> Schedule {
        let interval_ns = interval_ms.max(1).saturating_mul(1_000_000);
        let offset = (target_id ^ server_seed) % interval_ns.unsigned_abs();
        Schedule {
            interval_ns,
            offset_ns: i64::try_from(offset).unwrap_or(0),
        }
    }

    /// The last tick that is not after `now_ns`.
    fn last_tick(&self, now_ns: i64) -> i64 {
        now_ns - (now_ns - self.offset_ns).rem_euclid(self.interval_ns)
    }

    /// The first tick that is not before `now_ns`.
    fn next_tick(&self, now_ns: i64) -> i64 {
        self.last_tick(now_ns - 1) + self.interval_ns
    }

    fn tolerance_ns(&self) -> i64 {
        TOLERANCE_NS_MAX.min(self.interval_ns / 100)
    }
}

/// Walks through the ticks of a schedule.
#[derive(Debug)]
pub(crate) struct Ticker {
    schedule: Schedule,
    due_ns: i64,
}

impl Ticker {
    /// Begins with the first tick from `now_ns` on.
    pub(crate) fn new(schedule: Schedule, now_ns: i64) -> Ticker {
        Ticker {
            schedule,
            due_ns: schedule.next_tick(now_ns),
        }
    }

    /// The tick that is served next.
    pub(crate) fn due_ns(&self) -> i64 {
        self.due_ns
    }

    /// How long to wait for the next tick; zero if it is there. The wall clock is asked each time:
    /// when it was set back, the ticks follow it.
    pub(crate) fn wait(&mut self, now_ns: i64) -> Duration {
        if self.due_ns - now_ns > self.schedule.interval_ns + EARLY_NS {
            self.due_ns = self.schedule.next_tick(now_ns);
        }
        duration_of(self.due_ns - EARLY_NS - now_ns)
    }

    /// Serves the tick that is due: the time that samples get.
    pub(crate) fn serve(&mut self, now_ns: i64) -> i64 {
        let tick_ns = self.due_ns.max(self.schedule.last_tick(now_ns));
        self.due_ns = tick_ns + self.schedule.interval_ns;
        if now_ns - tick_ns <= self.schedule.tolerance_ns() {
            tick_ns
        } else {
            now_ns
        }
    }
}

/// A span of nanoseconds as a duration; zero if it is negative.
pub(crate) fn duration_of(span_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(span_ns).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;

    /// T04: the phase is pinned to absolute time, differs by target, host and external labels.
    #[test]
    fn phase_is_pinned_to_absolute_time() {
        let seed = server_seed("host.example.com", &Labels::empty());
        let schedule = Schedule::new(42, seed, 15_000);
        let first = schedule.next_tick(1_764_000_000_000 * MS);
        for later_ms in [1, 14_999, 15_000, 3_600_000] {
            let tick = schedule.next_tick(first + later_ms * MS);
            assert_eq!((tick - first) % (15_000 * MS), 0);
            assert!((0..15_000 * MS).contains(&(tick - first - later_ms * MS)));
        }
        let other_host = server_seed("other.example.com", &Labels::empty());
        let replica = server_seed("host.example.com", &Labels::from_pairs([("replica", "b")]));
        let offsets = [
            schedule.offset_ns,
            Schedule::new(43, seed, 15_000).offset_ns,
            Schedule::new(42, other_host, 15_000).offset_ns,
            Schedule::new(42, replica, 15_000).offset_ns,
        ];
        for (at, offset) in offsets.iter().enumerate() {
            assert!(!offsets[..at].contains(offset), "{offsets:?}");
        }
    }

    /// T05: within 2 ms or 1 % of the interval the tick's time is taken, later the real one.
    #[test]
    fn timestamps_are_aligned_within_the_tolerance() {
        // (interval, how late the scrape begins in microseconds, whether it is aligned)
        for (interval_ms, late_us, aligned) in [
            (15_000, -1_000, true),
            (15_000, 0, true),
            (15_000, 2_000, true),
            (15_000, 2_001, false),
            (15_000, 14_000_000, false),
            (100, 1_000, true),
            (100, 1_001, false),
        ] {
            let schedule = Schedule::new(7, 0, interval_ms);
            let mut ticker = Ticker::new(schedule, 1_000_000 * MS);
            let tick = ticker.due_ns();
            let now = tick + late_us * 1_000;
            let want = if aligned { tick } else { now };
            assert_eq!(ticker.serve(now), want, "{interval_ms} {late_us}");
            assert_eq!(ticker.due_ns(), tick + interval_ms * MS);
        }
    }

    #[test]
    fn missed_ticks_are_served_once_and_do_not_queue() {
        let interval = 10_000 * MS;
        let mut ticker = Ticker::new(Schedule::new(0, 0, 10_000), 5_000 * MS);
        assert_eq!(ticker.serve(interval), interval);
        // The scrape ran until a little after the next tick: that one is served at once.
        let late = 2 * interval + MS / 2;
        assert_eq!(ticker.wait(late), Duration::ZERO);
        assert_eq!(ticker.serve(late), 2 * interval);
        // Three ticks passed: only the latest counts, and the time is the real one.
        let late = 5 * interval + 700 * MS;
        assert_eq!(ticker.wait(late), Duration::ZERO);
        assert_eq!(ticker.serve(late), late);
        assert_eq!(ticker.due_ns(), 6 * interval);
    }

    #[test]
    fn follows_a_clock_that_was_set_back() {
        let mut ticker = Ticker::new(Schedule::new(0, 0, 10_000), 1_000_000 * MS);
        let wait = ticker.wait(500_001 * MS);
        assert_eq!(wait, Duration::from_millis(9_998));
        assert_eq!(ticker.serve(510_000 * MS), 510_000 * MS);
    }

    proptest! {
        #[test]
        fn ticks_enclose_now(id: u64, seed: u64, interval_ms in 1i64..1_000_000, now in 0i64..4_000_000_000_000_000_000) {
            let schedule = Schedule::new(id, seed, interval_ms);
            let (last, next) = (schedule.last_tick(now), schedule.next_tick(now));
            prop_assert!(last <= now && now <= next);
            prop_assert!(next == last || next - last == interval_ms * MS);
            prop_assert_eq!((last - schedule.offset_ns).rem_euclid(interval_ms * MS), 0);
        }
    }
}
