//! Late samples: those that came when their series had newer ones, within the out-of-order window.
//!
//! They wait in plain columns, sorted by time, until the block of their time is written (or until
//! the next one is, if their time is in blocks already). They are never sealed into chunks: the
//! log and its checkpoints hold them. Of several at one time the first one stays.
//!
//! Memory: 48 bytes a sample and what a histogram takes, at most [`super::super::LATE_SAMPLES_MAX`] in the whole head.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::histograms::OwnedHistogram;

/// The value of a late sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LateValue {
    /// Bits of a float.
    Float(u64),
    Histogram(Arc<OwnedHistogram>),
}

/// A late sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Late {
    pub(crate) at_ms: i64,
    pub(crate) value: LateValue,
    /// Start of the counter, 0 if that is not known.
    pub(crate) start_ms: i64,
    /// When it was published.
    pub(crate) epoch: u64,
    /// Number of its batch in the group; 0 if a checkpoint had it.
    sequence: u64,
}

/// The late samples of a group by slot, sorted by time. A clone shares everything; changing a
/// shared column copies it first.
#[derive(Debug, Clone, Default)]
pub(crate) struct LateSamples(Arc<BTreeMap<u32, Arc<Vec<Late>>>>);

impl LateSamples {
    /// The samples of a slot.
    pub(crate) fn get(&self, slot: u32) -> &[Late] {
        self.0.get(&slot).map_or(&[], |column| column.as_slice())
    }

    /// Whether there is a sample of the slot at that time.
    pub(crate) fn has(&self, slot: u32, at_ms: i64) -> bool {
        let column = self.get(slot);
        column
            .binary_search_by_key(&at_ms, |late| late.at_ms)
            .is_ok()
    }

    /// All columns; none is empty.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[Late])> {
        self.0
            .iter()
            .map(|(slot, column)| (*slot, column.as_slice()))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Oldest and newest.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let ends = |column: &[Late]| Some((column.first()?.at_ms, column.last()?.at_ms));
        let ends = self.iter().filter_map(|(_, column)| ends(column));
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Adds a sample unless there is one of its time; whether it was added.
    pub(crate) fn add(
        &mut self,
        slot: u32,
        (at_ms, value): (i64, LateValue),
        start_ms: i64,
        (sequence, epoch): (u64, u64),
    ) -> bool {
        let column = Arc::make_mut(Arc::make_mut(&mut self.0).entry(slot).or_default());
        let at = column.partition_point(|late| late.at_ms < at_ms);
        if column.get(at).is_some_and(|late| late.at_ms == at_ms) {
            return false;
        }
        let late = Late {
            at_ms,
            value,
            start_ms,
            epoch,
            sequence,
        };
        column.insert(at, late);
        true
    }

    /// Removes samples of batches up to `sequence` from `min_ms` to `max_ms`, of one slot or of
    /// all; how many.
    pub(crate) fn remove(
        &mut self,
        slot: Option<u32>,
        (min_ms, max_ms): (i64, i64),
        sequence: u64,
    ) -> u64 {
        let goes =
            |late: &Late| (min_ms..=max_ms).contains(&late.at_ms) && late.sequence <= sequence;
        let concerns = |(of, column): (u32, &[Late])| {
            slot.is_none_or(|slot| slot == of) && column.iter().any(goes)
        };
        if !self.iter().any(concerns) {
            return 0;
        }
        let mut removed = 0;
        let columns = Arc::make_mut(&mut self.0);
        columns.retain(|of, column| {
            if slot.is_none_or(|slot| slot == *of) && column.iter().any(goes) {
                let column = Arc::make_mut(column);
                let before = column.len();
                column.retain(|late| !goes(late));
                removed += (before - column.len()) as u64;
            }
            !column.is_empty()
        });
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_the_first_of_a_time() {
        let mut all = LateSamples::default();
        let sample = |at_ms, bits| (at_ms, LateValue::Float(bits));
        for (n, (at_ms, added)) in (1..).zip([(30, true), (10, true), (30, false), (20, true)]) {
            assert_eq!(all.add(1, sample(at_ms, n), 0, (n, n)), added);
        }
        all.add(2, sample(15, 9), 0, (5, 5));
        let before = all.clone();
        let column = |all: &LateSamples, slot| -> Vec<(i64, u64)> {
            let bits = |late: &Late| match &late.value {
                LateValue::Float(bits) => *bits,
                LateValue::Histogram(_) => 0,
            };
            let column = all.get(slot).iter();
            column.map(|late| (late.at_ms, bits(late))).collect()
        };
        assert_eq!(column(&all, 1), [(10, 2), (20, 4), (30, 1)]);
        assert!(all.has(1, 20) && !all.has(1, 21) && !all.has(3, 20));
        assert_eq!(all.time_range(), Some((10, 30)));
        assert_eq!(all.remove(None, (10, 20), 3), 1, "later batches stay");
        assert_eq!(all.remove(Some(1), (15, 30), u64::MAX), 2);
        assert_eq!(column(&all, 1), []);
        assert_eq!(all.remove(Some(2), (i64::MIN, i64::MAX), 5), 1);
        assert!(all.is_empty());
        assert_eq!(column(&before, 1).len(), 3, "what was shared stays");
    }
}
