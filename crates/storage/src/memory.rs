//! A store that keeps everything in plain vectors: for tests, and as the obvious oracle.
//!
//! Not for production: look-ups scan all series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{FloatHistogram, Labels, Matcher, is_stale_nan};
use parking_lot::RwLock;

use crate::append::{
    AppendError, AppendOutcome, Appender, Batch, GroupId, HistogramValue, SeriesRef,
};
use crate::query::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};

#[derive(Debug, Clone)]
enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Value {
    fn is_stale(&self) -> bool {
        match self {
            Value::Float(value) => is_stale_nan(*value),
            Value::Histogram(histogram) => histogram.is_stale(),
        }
    }

    /// Whether both are the same sample, by bits.
    fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Histogram(a), Value::Histogram(b)) => a.same_data(b),
            (Value::Float(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Float(_)) => {
                false
            }
        }
    }
}

/// A sample and the start of its counter, 0 if that is not known.
#[derive(Debug, Clone)]
struct Stored {
    value: Value,
    start_ms: i64,
}

type Column = BTreeMap<i64, Stored>;

/// Which late samples are taken.
#[derive(Debug, Clone, Copy)]
struct LateRule {
    window_ms: i64,
    in_order_ms: i64,
}

#[derive(Debug, Default)]
struct Inner {
    by_labels: BTreeMap<Labels, usize>,
    series: Vec<(Labels, Column)>,
    groups: BTreeMap<Labels, GroupId>,
    /// Newest sample in order of each series.
    newest: BTreeMap<usize, (i64, Value)>,
    late: Option<LateRule>,
}

impl Inner {
    fn index(&mut self, labels: &Labels) -> usize {
        if let Some(&at) = self.by_labels.get(labels) {
            return at;
        }
        self.series.push((labels.clone(), Column::new()));
        self.by_labels.insert(labels.clone(), self.series.len() - 1);
        self.series.len() - 1
    }
}

/// Series in memory, shared by clones.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    inner: Arc<RwLock<Inner>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Takes samples from now on that come up to `window_ms` behind the newest of all, although
    /// their series has newer ones. Samples that come more than `in_order_ms` behind it count as
    /// late whatever their series has. Of several at one time the first one stays.
    pub fn set_out_of_order_window(&self, window_ms: i64, in_order_ms: i64) {
        self.inner.write().late = Some(LateRule {
            window_ms,
            in_order_ms,
        });
    }

    /// Deletes samples of series that pass all matchers, from `min_ms` to `max_ms`.
    pub fn delete(&self, matchers: &[Matcher], min_ms: i64, max_ms: i64) {
        for (labels, column) in &mut self.inner.write().series {
            let passes = |m: &Matcher| m.matches(labels.get(m.name()));
            if matchers.iter().all(passes) {
                column.retain(|at_ms, _| !(min_ms..=max_ms).contains(at_ms));
            }
        }
    }

    /// Sets one float sample, in any order of time.
    pub fn insert(&self, labels: &Labels, timestamp_ms: i64, value: f64) {
        self.insert_with_start(labels, timestamp_ms, value, 0);
    }

    /// The same with the start of its counter, 0 if that is not known.
    pub fn insert_with_start(&self, labels: &Labels, timestamp_ms: i64, value: f64, start_ms: i64) {
        let mut inner = self.inner.write();
        let at = inner.index(labels);
        let value = Value::Float(value);
        let stored = Stored { value, start_ms };
        inner.series[at].1.insert(timestamp_ms, stored);
    }

    /// Sets one histogram sample, in any order of time. What it says of a counter reset is replaced
    /// by what holds between it and the sample before, when it is read.
    pub fn insert_histogram(&self, labels: &Labels, timestamp_ms: i64, value: FloatHistogram) {
        self.insert_histogram_with_start(labels, timestamp_ms, value, 0);
    }

    /// The same with the start of its counter, 0 if that is not known.
    pub fn insert_histogram_with_start(
        &self,
        labels: &Labels,
        timestamp_ms: i64,
        value: FloatHistogram,
        start_ms: i64,
    ) {
        let mut inner = self.inner.write();
        let at = inner.index(labels);
        let value = Value::Histogram(Arc::new(value));
        let stored = Stored { value, start_ms };
        inner.series[at].1.insert(timestamp_ms, stored);
    }
}

impl Appender for MemoryStore {
    fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError> {
        let mut inner = self.inner.write();
        let next = GroupId(u32::try_from(inner.groups.len()).unwrap_or(u32::MAX));
        Ok(*inner.groups.entry(labels.clone()).or_insert(next))
    }

    fn close_group(&self, _group: GroupId) {}

    fn series(&self, _group: GroupId, labels: &Labels) -> Result<SeriesRef, AppendError> {
        Ok(SeriesRef(self.inner.write().index(labels) as u64))
    }

    fn append(&self, batch: Batch<'_>) -> Result<AppendOutcome, AppendError> {
        if !batch.exemplars.is_empty() || !batch.metadata.is_empty() {
            return Err(AppendError::Unsupported("exemplars and metadata"));
        }
        let mut inner = self.inner.write();
        let mut outcome = AppendOutcome::default();
        let starts: BTreeMap<SeriesRef, i64> = batch
            .starts
            .iter()
            .map(|start| (start.series, start.start_ms))
            .collect();
        let newest_ms = inner.newest.values().map(|(at_ms, _)| *at_ms).max();
        for (series, timestamp_ms, value) in samples_of(&batch, &mut outcome) {
            let start_ms = starts.get(&series).copied().unwrap_or(0);
            outcome.watch(series, |outcome| {
                let stored = Stored { value, start_ms };
                inner.take(series, timestamp_ms, stored, newest_ms, outcome);
            });
        }
        Ok(outcome)
    }
}

/// All samples of a batch with their times. Histograms that cannot be right are left out and
/// counted.
fn samples_of(batch: &Batch<'_>, outcome: &mut AppendOutcome) -> Vec<(SeriesRef, i64, Value)> {
    let shared = batch.samples.iter();
    let shared = shared.map(|s| (s.series, batch.timestamp_ms, Value::Float(s.value)));
    let timed = batch.timed.iter();
    let timed = timed.map(|s| (s.series, s.timestamp_ms, Value::Float(s.value)));
    let mut all: Vec<_> = shared.chain(timed).collect();
    for sample in batch.histograms {
        let valid = match sample.value {
            HistogramValue::Integer(histogram) => histogram.validate(),
            HistogramValue::Float(histogram) => histogram.validate(),
        };
        if valid.is_err() {
            outcome.invalid_histograms += 1;
            outcome.refused.push(sample.series);
            continue;
        }
        let value = match sample.value {
            HistogramValue::Integer(histogram) => histogram.to_float(),
            HistogramValue::Float(histogram) => histogram.clone(),
        };
        let value = Value::Histogram(Arc::new(value));
        all.push((sample.series, sample.timestamp_ms, value));
    }
    all
}

impl Inner {
    /// Takes a sample of a batch, or counts why not.
    fn take(
        &mut self,
        series: SeriesRef,
        timestamp_ms: i64,
        Stored { value, start_ms }: Stored,
        newest_ms: Option<i64>,
        outcome: &mut AppendOutcome,
    ) {
        let at = series.0 as usize;
        let Some((_, column)) = self.series.get_mut(at) else {
            outcome.unknown.push(series);
            return;
        };
        let behind_ms = newest_ms
            .unwrap_or(timestamp_ms)
            .saturating_sub(timestamp_ms);
        let late = self.late;
        let refused = usize::from(!value.is_stale());
        let too_old = late.is_some_and(|late| behind_ms > late.in_order_ms);
        let last = self.newest.get(&at);
        let last_ms = last.map(|(last_ms, _)| *last_ms);
        match last {
            Some((last_ms, last)) if *last_ms == timestamp_ms && !too_old => {
                let same = last.same(&value);
                outcome.appended += usize::from(same);
                outcome.duplicate += if same { 0 } else { refused };
            }
            Some((last_ms, _)) if *last_ms >= timestamp_ms && late.is_none() => {
                outcome.out_of_order += refused;
            }
            _ if last_ms.is_none_or(|last_ms| last_ms < timestamp_ms) && !too_old => {
                // A series of histograms ends as one.
                let value = match last {
                    Some((_, Value::Histogram(last)))
                        if matches!(value, Value::Float(_)) && value.is_stale() =>
                    {
                        Value::Histogram(Arc::new(FloatHistogram {
                            sum: model::STALE_NAN,
                            counter_reset_hint: last.counter_reset_hint,
                            ..FloatHistogram::default()
                        }))
                    }
                    _ => value,
                };
                self.newest.insert(at, (timestamp_ms, value.clone()));
                column.insert(timestamp_ms, Stored { value, start_ms });
                outcome.appended += 1;
            }
            _ if late.is_some_and(|late| behind_ms > late.window_ms) => {
                outcome.too_old += refused;
            }
            _ if refused > 0 => {
                column
                    .entry(timestamp_ms)
                    .or_insert(Stored { value, start_ms });
                outcome.appended += 1;
            }
            _ => {}
        }
    }
}

impl Queryable for MemoryStore {
    fn querier(&self, min_ms: i64, max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(MemoryQuerier {
            store: self.clone(),
            min_ms,
            max_ms,
        }))
    }
}

struct MemoryQuerier {
    store: MemoryStore,
    min_ms: i64,
    max_ms: i64,
}

impl MemoryQuerier {
    fn matching(&self, matchers: &[Matcher]) -> Vec<(Labels, Column)> {
        let inner = self.store.inner.read();
        let found = inner.by_labels.iter().filter(|(labels, _)| {
            matchers
                .iter()
                .all(|matcher| matcher.matches(labels.get(matcher.name())))
        });
        found
            .map(|(labels, &at)| {
                let column = with_hints(&inner.series[at].1, self.min_ms, self.max_ms);
                (labels.clone(), column)
            })
            .filter(|(_, column)| !column.is_empty())
            .collect()
    }
}

/// The samples of a time, with what a storage says of counter resets.
fn with_hints(column: &Column, min_ms: i64, max_ms: i64) -> Column {
    if min_ms > max_ms {
        return Column::new();
    }
    let before = column.range(..min_ms).next_back();
    let mut before = before.map(|(_, stored)| &stored.value);
    let mut out = Column::new();
    for (&at_ms, stored) in column.range(min_ms..=max_ms) {
        let mut hinted = stored.clone();
        if let Value::Histogram(histogram) = &mut hinted.value {
            let before = match before {
                Some(Value::Histogram(before)) => Some(before.as_ref()),
                Some(Value::Float(_)) | None => None,
            };
            let hint = histogram.stored_hint(before);
            Arc::make_mut(histogram).counter_reset_hint = hint;
        }
        out.insert(at_ms, hinted);
        before = Some(&stored.value);
    }
    out
}

fn capped(set: BTreeSet<String>, limit: usize) -> Vec<String> {
    set.into_iter()
        .take(if limit == 0 { usize::MAX } else { limit })
        .collect()
}

impl Querier for MemoryQuerier {
    fn select(
        &self,
        sorted: bool,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError> {
        let limit = if hints.limit == 0 {
            usize::MAX
        } else {
            hints.limit
        };
        let found = self.matching(matchers).into_iter().take(limit);
        let series = found.map(|(labels, column)| {
            // Whoever says that he looks at some labels only must not look at others.
            let labels = match &hints.labels {
                None => labels,
                Some(kept) => labels.without(|name| !kept.iter().any(|kept| kept == name)),
            };
            Box::new(MemorySeries { labels, column }) as Box<dyn Series>
        });
        let mut series: Vec<_> = series.collect();
        let size_bytes: usize = series.iter().map(|series| series.size_bytes()).sum();
        if hints.bytes_max > 0 && size_bytes as u64 > hints.bytes_max {
            return Err(StorageError::TooLarge);
        }
        // Whoever does not ask for an order must not count on one.
        if !sorted {
            series.reverse();
        }
        Ok(SeriesSet {
            series,
            warnings: Vec::new(),
        })
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError> {
        let found = self.matching(matchers);
        let names = found
            .iter()
            .flat_map(|(labels, _)| labels.iter().map(|(n, _)| n.to_owned()));
        Ok(capped(names.collect(), limit))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let found = self.matching(matchers);
        let values = found.iter().map(|(labels, _)| labels.get(name).to_owned());
        Ok(capped(values.filter(|v| !v.is_empty()).collect(), limit))
    }
}

struct MemorySeries {
    labels: Labels,
    column: Column,
}

impl Series for MemorySeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        if min_ms > max_ms {
            return Ok(());
        }
        for (&timestamp_ms, stored) in self.column.range(min_ms..=max_ms) {
            let start_ms = stored.start_ms;
            match &stored.value {
                Value::Float(value) => out.push_with_start(timestamp_ms, *value, start_ms),
                Value::Histogram(h) => out.push_histogram(timestamp_ms, Arc::clone(h), start_ms),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::append::{HistogramSample, Sample, StartTime};

    #[test]
    fn takes_histograms_and_starts() {
        let store = MemoryStore::new();
        let group = store.open_group(&Labels::empty()).unwrap();
        let series = store
            .series(group, &Labels::from_pairs([("__name__", "h")]))
            .unwrap();
        let append = |timestamp_ms, count, sum, start_ms| {
            let value = FloatHistogram {
                count,
                sum,
                ..FloatHistogram::default()
            };
            let histograms = [HistogramSample {
                series,
                timestamp_ms,
                value: HistogramValue::Float(&value),
            }];
            let starts = [StartTime { series, start_ms }];
            let batch = Batch {
                histograms: &histograms,
                starts: &starts,
                ..Batch::of(group, timestamp_ms, &[])
            };
            store.append(batch).unwrap()
        };
        assert_eq!(append(10, 1.0, 1.0, 0).appended, 1);
        assert_eq!(append(20, 2.0, 1.0, 5).appended, 1);
        assert_eq!(append(20, 2.0, 1.0, 5).appended, 1);
        assert_eq!(append(20, 2.0, 2.0, 5).duplicate, 1);
        assert_eq!(append(30, -1.0, 1.0, 5).invalid_histograms, 1);
        assert_eq!(append(30, 1.0, 1.0, 5).appended, 1);
        let ends = [Sample {
            series,
            value: model::STALE_NAN,
        }];
        assert_eq!(
            store.append(Batch::of(group, 40, &ends)).unwrap().appended,
            1
        );
        let querier = store.querier(0, 50).unwrap();
        let found = querier.select(true, &SelectHints::default(), &[]).unwrap();
        let mut samples = Samples::default();
        found.series[0].read(0, 50, &mut samples).unwrap();
        assert!(samples.values.is_empty(), "a histogram ends the series");
        assert_eq!(samples.histogram_starts, [0, 5, 5, 0]);
        use model::histogram::CounterResetHint::{NotReset, Unknown};
        let hints = samples.histograms.iter().map(|(_, h)| h.counter_reset_hint);
        assert_eq!(
            hints.collect::<Vec<_>>(),
            [Unknown, NotReset, Unknown, Unknown]
        );
    }

    #[test]
    fn appends_selects_and_lists() {
        let store = MemoryStore::new();
        let group = store
            .open_group(&Labels::from_pairs([("job", "j")]))
            .unwrap();
        let up = Labels::from_pairs([("__name__", "up"), ("job", "j")]);
        let series = store.series(group, &up).unwrap();
        let batch = |timestamp_ms, value| {
            let samples = [Sample { series, value }];
            store
                .append(Batch::of(group, timestamp_ms, &samples))
                .unwrap()
        };
        assert_eq!(batch(10, 1.0).appended, 1);
        assert_eq!(batch(10, 1.0).appended, 1);
        assert_eq!(batch(10, 2.0).duplicate, 1);
        assert_eq!(batch(9, 2.0).out_of_order, 1);
        for at_ms in [9, 10] {
            // A marker that comes too late is left out without a word.
            assert_eq!(batch(at_ms, model::STALE_NAN), AppendOutcome::default());
        }
        assert_eq!(batch(20, f64::NAN).appended, 1);

        let querier = store.querier(0, 15).unwrap();
        let found = querier
            .select(
                true,
                &SelectHints::default(),
                &[Matcher::equal("__name__", "up")],
            )
            .unwrap();
        let mut samples = Samples::default();
        found.series[0].read(0, 15, &mut samples).unwrap();
        assert_eq!((samples.timestamps, samples.values), (vec![10], vec![1.0]));
        assert_eq!(querier.label_names(&[], 0).unwrap(), ["__name__", "job"]);
        assert_eq!(querier.label_values("job", &[], 0).unwrap(), ["j"]);
    }

    #[test]
    fn starts_are_read_as_long_as_there_are_any() {
        let store = MemoryStore::new();
        let labels = Labels::from_pairs([("__name__", "a_total")]);
        for (at_ms, start_ms) in [(1, 0), (2, 1), (3, 0)] {
            store.insert_with_start(&labels, at_ms, 1.0, start_ms);
        }
        let histogram = FloatHistogram::default();
        store.insert_histogram_with_start(&labels, 4, histogram, 2);
        let querier = store.querier(0, 9).unwrap();
        let found = querier.select(true, &SelectHints::default(), &[]).unwrap();
        for (range, floats, histograms) in [
            ((0, 9), vec![0, 1, 0], vec![2]),
            ((2, 3), vec![1, 0], vec![]),
            ((3, 3), vec![], vec![]),
        ] {
            let mut samples = Samples::default();
            found.series[0]
                .read(range.0, range.1, &mut samples)
                .unwrap();
            assert_eq!(samples.starts, floats, "{range:?}");
            assert_eq!(samples.histogram_starts, histograms, "{range:?}");
        }
    }
}
