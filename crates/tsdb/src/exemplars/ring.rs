//! The newest exemplars, in the order in which they came.
//!
//! An exemplar has a number; the ring holds those of the last `max` numbers. A series lists the
//! numbers of its exemplars by time, which is the order of numbers unless some came late. So adding
//! and dropping one costs a few moves, wherever it lies.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, Matcher};
use storage::{Exemplar, ExemplarSeries};

/// An exemplar on its way into the ring.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct New {
    pub(super) exemplar: Exemplar,
    /// Whether the exposition said when it was observed. If not, the same exemplar of the next
    /// scrape has another time.
    pub(super) has_own_time: bool,
}

impl New {
    fn is_repeated_by(&self, next: &New) -> bool {
        let same_time = self.exemplar.timestamp_ms == next.exemplar.timestamp_ms;
        (same_time || !self.has_own_time && !next.has_own_time)
            && self.exemplar.value == next.exemplar.value
            && self.exemplar.labels == next.exemplar.labels
    }
}

/// What becomes of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// It is the newest one of its series already.
    Known,
    /// Older than the newest one of its series by more than the window, or not after it in the
    /// order of equal times.
    OutOfOrder,
}

#[derive(Debug)]
struct Entry {
    new: New,
    series: u32,
}

#[derive(Debug)]
struct Series {
    labels: Labels,
    /// Numbers of its exemplars, by time; never empty.
    by_time: VecDeque<u64>,
    /// What storage calls the series, if that was asked for.
    reference: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ring {
    max: usize,
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
    series: HashMap<u32, Series, RandomState>,
    next_series: u32,
    by_labels: HashMap<Labels, u32, RandomState>,
    by_reference: HashMap<u64, u32, RandomState>,
}

/// A series of the ring, or one that would be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeriesKey(Option<u32>);

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// When the one was observed that goes next, if there is any.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let entry = self.entries.front()?;
        Some(entry.new.exemplar.timestamp_ms)
    }

    /// Changes how many there may be; the oldest ones go.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
        while self.entries.len() > max {
            self.drop_first();
        }
        if max == 0 {
            *self = Ring::default();
        }
    }

    /// A series by what storage calls it.
    pub(super) fn by_reference(&self, reference: u64) -> Option<SeriesKey> {
        let id = self.by_reference.get(&reference)?;
        Some(SeriesKey(Some(*id)))
    }

    /// A series by its labels.
    pub(super) fn by_labels(&mut self, labels: &Labels, reference: Option<u64>) -> SeriesKey {
        let id = self.by_labels.get(labels).copied();
        if let (Some(id), Some(reference)) = (id, reference)
            && let Some(series) = self.series.get_mut(&id)
        {
            if let Some(old) = series.reference.replace(reference) {
                self.by_reference.remove(&old);
            }
            self.by_reference.insert(reference, id);
        }
        SeriesKey(id)
    }

    /// What would become of an exemplar of the series.
    pub(super) fn check(&self, series: SeriesKey, new: &New, window_ms: i64) -> Verdict {
        let Some(series) = series.0.and_then(|id| self.series.get(&id)) else {
            return Verdict::Taken;
        };
        let Some(newest) = series.by_time.back().and_then(|&number| self.get(number)) else {
            return Verdict::Taken;
        };
        if newest.new.is_repeated_by(new) {
            return Verdict::Known;
        }
        let (before, after) = (&newest.new.exemplar, &new.exemplar);
        let (before_ms, at_ms) = (before.timestamp_ms, after.timestamp_ms);
        let too_late = at_ms < before_ms && at_ms <= before_ms.saturating_sub(window_ms);
        // Of one time several are taken, in this order, which finds those that are repeated.
        let out_of_order = at_ms == before_ms
            && (after.value < before.value
                || after.value == before.value && after.labels < before.labels);
        if too_late || out_of_order {
            return Verdict::OutOfOrder;
        }
        let is_late = at_ms < before_ms;
        let is_known = is_late
            && series
                .by_time
                .iter()
                .any(|&number| self.time_of(number) == at_ms);
        if is_known {
            Verdict::Known
        } else {
            Verdict::Taken
        }
    }

    /// Adds an exemplar that was checked; `labels` are those of its series.
    pub(super) fn add(
        &mut self,
        series: SeriesKey,
        labels: impl FnOnce() -> Labels,
        reference: Option<u64>,
        new: New,
    ) {
        if self.max == 0 {
            return;
        }
        let known = series.0.filter(|id| self.series.contains_key(id));
        let id = known.unwrap_or_else(|| self.add_series(labels(), reference));
        let (at_ms, number) = (new.exemplar.timestamp_ms, self.first + self.len() as u64);
        self.entries.push_back(Entry { new, series: id });
        let times = self.series.get(&id).map(|series| {
            let times = series.by_time.iter().map(|&number| self.time_of(number));
            // Nearly always the last place.
            times.rev().position(|time_ms| time_ms <= at_ms)
        });
        if let Some(series) = self.series.get_mut(&id) {
            let count = series.by_time.len();
            let at = times.flatten().map_or(0, |from_end| count - from_end);
            series.by_time.insert(at, number);
        }
        if self.entries.len() > self.max {
            self.drop_first();
        }
    }

    fn add_series(&mut self, labels: Labels, reference: Option<u64>) -> u32 {
        let id = self.next_series;
        self.next_series = id.wrapping_add(1);
        self.by_labels.insert(labels.clone(), id);
        if let Some(reference) = reference {
            self.by_reference.insert(reference, id);
        }
        let series = Series {
            labels,
            by_time: VecDeque::new(),
            reference,
        };
        self.series.insert(id, series);
        id
    }

    fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get((number - self.first) as usize)
    }

    fn time_of(&self, number: u64) -> i64 {
        self.get(number)
            .map_or(i64::MIN, |entry| entry.new.exemplar.timestamp_ms)
    }

    fn drop_first(&mut self) {
        let number = self.first;
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.first += 1;
        let Some(series) = self.series.get_mut(&entry.series) else {
            return;
        };
        if let Some(at) = series.by_time.iter().position(|&of| of == number) {
            series.by_time.remove(at);
        }
        if series.by_time.is_empty()
            && let Some(series) = self.series.remove(&entry.series)
        {
            self.by_labels.remove(&series.labels);
            if let Some(reference) = series.reference {
                self.by_reference.remove(&reference);
            }
        }
    }

    /// All exemplars with the labels of their series, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Labels, &New)> {
        let all = self.entries.iter();
        all.filter_map(|entry| Some((&self.series.get(&entry.series)?.labels, &entry.new)))
    }

    /// Those of a time, by series, of series that pass all matchers of a selector.
    pub(super) fn select(
        &self,
        start_ms: i64,
        end_ms: i64,
        selectors: &[Vec<Matcher>],
    ) -> Vec<ExemplarSeries> {
        let passes = |labels: &Labels| {
            let all = |matchers: &Vec<Matcher>| {
                let mut matchers = matchers.iter();
                matchers.all(|matcher| matcher.matches(labels.get(matcher.name())))
            };
            selectors.iter().any(all)
        };
        let mut found = Vec::new();
        for series in self.series.values() {
            let entries = series.by_time.iter().filter_map(|&number| self.get(number));
            let exemplars: Vec<Exemplar> = entries
                .map(|entry| &entry.new.exemplar)
                .filter(|exemplar| (start_ms..=end_ms).contains(&exemplar.timestamp_ms))
                .cloned()
                .collect();
            if !exemplars.is_empty() && passes(&series.labels) {
                found.push(ExemplarSeries {
                    labels: series.labels.clone(),
                    exemplars,
                });
            }
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }
}
