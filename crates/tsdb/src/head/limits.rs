//! Which new series the head takes.
//!
//! Three limits keep new series out, never samples of those that exist: how many the head may hold,
//! how many one group (a target) may bring within an hour, and the memory budget. Whoever is
//! refused last is remembered, so that a notice can name it. Series that are found again after a
//! restart are not new.

use std::sync::Arc;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use model::Labels;
use storage::{MemoryBudget, SeriesLimit};

/// The window of the limit of a group.
const HOUR_MS: i64 = 3_600_000;
/// So long after the last refusal the operator is still told.
const NOTICE_MS: i64 = 5 * 60_000;
/// What a new series takes besides the text of its labels until the head is measured again: a slot,
/// a home, the packed set, a label pair of its own with all that belongs to it (some 90 bytes), and
/// its labels once more until the log has them.
const SERIES_BYTES: u64 = 192;

/// How many series may be taken; zeros for no limit.
#[derive(Debug, Clone)]
pub(crate) struct SeriesLimits {
    pub(crate) head_max: u64,
    /// New ones of a group within an hour.
    pub(crate) group_new_max: u64,
    pub(crate) memory: Arc<MemoryBudget>,
}

/// New series of a group in the hour that runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NewSeries {
    hour: i64,
    count: u64,
}

/// A refusal: which limit, whose series, when.
type Refusal = (SeriesLimit, Labels, i64);

/// Lets new series in.
#[derive(Debug)]
pub(crate) struct SeriesGate {
    limits: SeriesLimits,
    refused: [AtomicU64; 3],
    last: Mutex<Option<Refusal>>,
}

impl SeriesGate {
    /// Nothing was refused yet.
    pub(crate) fn new(limits: SeriesLimits) -> SeriesGate {
        SeriesGate {
            limits,
            refused: Default::default(),
            last: Mutex::default(),
        }
    }

    /// The budget that the head belongs to.
    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.limits.memory
    }

    /// Counts a new series of a group with `labels`, or refuses it. The head has `series_count`.
    pub(crate) fn admit(
        &self,
        series: &Labels,
        series_count: usize,
        (group, of_group): (&Labels, &mut NewSeries),
        now_ms: i64,
    ) -> Result<(), SeriesLimit> {
        let hour = now_ms.div_euclid(HOUR_MS);
        if of_group.hour != hour {
            *of_group = NewSeries { hour, count: 0 };
        }
        let refused = self.refusal(series_count as u64, of_group.count);
        if let Some(limit) = refused {
            let at = match limit {
                SeriesLimit::Head { .. } => 0,
                SeriesLimit::Group { .. } => 1,
                SeriesLimit::Memory { .. } => 2,
            };
            self.refused[at].fetch_add(1, Relaxed);
            *self.last.lock() = Some((limit, group.clone(), now_ms));
            return Err(limit);
        }
        of_group.count += 1;
        let text: usize = series.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.memory().add_to_head(SERIES_BYTES + text as u64);
        Ok(())
    }

    fn refusal(&self, series_count: u64, of_group: u64) -> Option<SeriesLimit> {
        let SeriesLimits {
            head_max,
            group_new_max,
            ref memory,
        } = self.limits;
        if group_new_max > 0 && of_group >= group_new_max {
            let series_max = group_new_max;
            return Some(SeriesLimit::Group { series_max });
        }
        if head_max > 0 && series_count >= head_max {
            let series_max = head_max;
            return Some(SeriesLimit::Head { series_max });
        }
        let bytes_max = memory.bytes_max().filter(|_| !memory.takes_new_series());
        bytes_max.map(|bytes_max| SeriesLimit::Memory { bytes_max })
    }

    /// Series that were refused because of the head's limit, the groups' and the memory's.
    pub(crate) fn refused(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.refused[at].load(Relaxed))
    }

    /// Limit of the series in the head, 0 for none.
    pub(crate) fn head_max(&self) -> u64 {
        self.limits.head_max
    }

    /// What is refused at the moment and who brought it, for the operator.
    pub(crate) fn notice(&self, now_ms: i64) -> Option<String> {
        let last = self.last.lock();
        let (limit, group, _) = last.as_ref().filter(|last| now_ms - last.2 < NOTICE_MS)?;
        // The labels with which a target is found mean nothing to who reads this.
        let group = group.without(|name| name.starts_with("__"));
        Some(format!(
            "New series are refused, the latest of {group}: {limit}."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(head_max: u64, group_new_max: u64, memory: &Arc<MemoryBudget>) -> SeriesGate {
        SeriesGate::new(SeriesLimits {
            head_max,
            group_new_max,
            memory: Arc::clone(memory),
        })
    }

    #[test]
    fn a_group_has_its_share_every_hour() {
        let gate = gate(0, 2, &MemoryBudget::unlimited());
        let group = Labels::from_pairs([("__address__", "x"), ("instance", "a:1"), ("job", "j")]);
        let mut new = NewSeries::default();
        let mut admit = |now_ms| gate.admit(&group, 9, (&group, &mut new), now_ms);
        let hour = 1_700_002_800_000;
        assert_eq!((admit(hour), admit(hour + 1)), (Ok(()), Ok(())));
        let refused = Err(SeriesLimit::Group { series_max: 2 });
        assert_eq!(
            (admit(hour + 2), admit(hour + HOUR_MS - 1)),
            (refused, refused)
        );
        assert_eq!(admit(hour + HOUR_MS), Ok(()));
        assert_eq!(gate.refused(), [0, 2, 0]);
        let notice = gate.notice(hour + HOUR_MS).unwrap();
        assert_eq!(
            notice,
            "New series are refused, the latest of {instance=\"a:1\", job=\"j\"}: the target has \
             reached its limit of 2 new series an hour."
        );
        assert_eq!(gate.notice(hour + HOUR_MS + NOTICE_MS), None);
    }

    #[test]
    fn the_head_and_the_memory_have_limits() {
        let memory = MemoryBudget::new(1_000);
        let gate = gate(3, 0, &memory);
        let labels = Labels::from_pairs([("a", "b")]);
        let admit = |count| gate.admit(&labels, count, (&labels, &mut NewSeries::default()), 0);
        assert_eq!(admit(2), Ok(()));
        assert_eq!(memory.head_bytes(), SERIES_BYTES + 2);
        assert_eq!(admit(3), Err(SeriesLimit::Head { series_max: 3 }));
        memory.set_head(901);
        assert_eq!(admit(2), Err(SeriesLimit::Memory { bytes_max: 1_000 }));
        assert_eq!(gate.refused(), [1, 0, 1]);
    }
}
