//! Late samples on their way from the head into blocks.
//!
//! Those of the time of the next block go into it. Those whose time is in blocks already are
//! written as blocks of their own beside these ([`HINT_OUT_OF_ORDER`]), which compaction merges
//! before anything else. A record in the log then says what was written. If the process ends
//! before that, the samples come back at the next start, are in the head and in a block, and are
//! written once more: the values are the same, so nobody sees it.
//!
//! [`HINT_OUT_OF_ORDER`]: crate::block::HINT_OUT_OF_ORDER

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::OnceLock;

use telemetry::Histogram;

use super::{Head, LATE_SAMPLES_DUE};
use crate::sync::atomic::Ordering::SeqCst;
use crate::wal::frame::{self, Kind};
use crate::wal::record::{self, LateDone};

/// Observes by how many seconds samples are late, whether they are taken or not, once there is a
/// metric for it.
#[derive(Default)]
pub(crate) struct Lateness(OnceLock<Histogram>);

impl fmt::Debug for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lateness")
    }
}

impl Lateness {
    /// Observes in `seconds` from now on; the first one stays.
    pub(crate) fn observe_in(&self, seconds: &Histogram) {
        self.0.get_or_init(|| seconds.clone());
    }

    pub(super) fn observe(&self, newest_ms: i64, at_ms: i64) {
        if let Some(seconds) = self.0.get()
            && at_ms < newest_ms
        {
            seconds.observe((newest_ms - at_ms) as f64 / 1_000.0);
        }
    }
}

impl Head {
    /// Spans of blocks for the late samples whose time is in blocks already, oldest first.
    pub(crate) fn late_blocks(&self) -> Vec<(i64, i64)> {
        let valid_ms = self.valid_ms();
        let mut starts = BTreeSet::new();
        for group in self.all_groups() {
            let state = group.state.lock();
            for (_, column) in state.late.iter() {
                let times = column.iter().map(|late| late.at_ms);
                let times = times.take_while(|&ms| ms < valid_ms);
                starts.extend(times.map(|ms| ms.div_euclid(self.range_ms) * self.range_ms));
            }
        }
        // A block that reached beyond what is in blocks would hide what comes there in order.
        let spans = starts.into_iter();
        spans
            .map(|from| (from, valid_ms.min(from + self.range_ms)))
            .collect()
    }

    /// Whether there are so many late samples that they should not wait.
    pub(crate) fn late_are_due(&self) -> bool {
        self.late_count.load(SeqCst) >= LATE_SAMPLES_DUE
    }

    /// Oldest and newest late sample, if there are any.
    pub(crate) fn late_range(&self) -> Option<(i64, i64)> {
        let range = (self.late_min_ms.load(SeqCst), self.late_max_ms.load(SeqCst));
        (range.0 <= range.1).then_some(range)
    }

    /// The late samples that there are now, from `min_ms` to before `end_ms`: what
    /// [`Head::forget_late`] is told when they are in a block.
    pub(crate) fn mark_late(&self, min_ms: i64, end_ms: i64) -> LateDone {
        let mut groups = Vec::new();
        for group in self.all_groups() {
            let state = group.state.lock();
            if !state.late.is_empty() {
                groups.push((group.id, state.sequence));
            }
        }
        LateDone {
            min_ms,
            max_ms: end_ms - 1,
            groups,
        }
    }

    /// Forgets late samples that are in a block.
    pub(crate) fn forget_late(&self, done: &LateDone) -> io::Result<()> {
        if done.groups.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes, Kind::LateDone);
        record::put_late_done(&mut bytes, done);
        frame::finish(&mut bytes, start);
        // Only what the log says is forgotten: otherwise a restart brings back half of it.
        self.wal.append(&bytes)?;
        self.drop_late(done);
        self.note_late_range();
        Ok(())
    }

    /// Takes late samples out of memory.
    pub(super) fn drop_late(&self, done: &LateDone) {
        for &(id, sequence) in &done.groups {
            let Some(group) = self.groups.read().by_id.get(&id).cloned() else {
                continue;
            };
            let mut state = group.state.lock();
            // A copy of an older frame behind the record would bring them back.
            state.again = Box::default();
            let range = (done.min_ms, done.max_ms);
            state.late.remove(None, range, sequence);
        }
    }

    /// Counts late samples and finds their ends again.
    pub(super) fn note_late_range(&self) {
        let (mut count, mut min_ms, mut max_ms) = (0, i64::MAX, i64::MIN);
        // Appends that come in between widen what is found; they wait at most for one store.
        self.late_min_ms.store(i64::MIN, SeqCst);
        self.late_max_ms.store(i64::MAX, SeqCst);
        let groups = self.all_groups();
        let states: Vec<_> = groups.iter().map(|group| group.state.lock()).collect();
        for state in &states {
            if let Some((first, last)) = state.late.time_range() {
                (min_ms, max_ms) = (min_ms.min(first), max_ms.max(last));
            }
            count += state
                .late
                .iter()
                .map(|(_, column)| column.len() as u64)
                .sum::<u64>();
        }
        self.late_count.store(count, SeqCst);
        self.late_min_ms.store(min_ms, SeqCst);
        self.late_max_ms.store(max_ms, SeqCst);
    }
}
