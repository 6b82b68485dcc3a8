//! A database on a disk in memory, and comparing it with the obvious store.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use disk::{Disk, Fault, MemoryDisk};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Histogram, Labels, Matcher};
use storage::{AppendOutcome, Appender, Batch, GroupId, Queryable, Sample, Samples, SelectHints};
use storage::{SeriesRef, TimedSample};
use tsdb::{Db, OpenError, Options};

/// The data folder.
pub(crate) const DIR: &str = "/data";
/// Some time in 2023, at a multiple of two hours.
pub(crate) const START_MS: i64 = 1_700_006_400_000;

/// Options of a database that does nothing by itself.
pub(crate) fn options() -> Options {
    let mut options = Options::new(DIR);
    options.background = false;
    options.wal_sync_interval = Duration::from_secs(3_600);
    options
}

/// Opens the database on the disk.
pub(crate) fn open_with(disk: Arc<dyn Disk>, options: Options) -> Result<Arc<Db>, OpenError> {
    let clock = clock::ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<clock::ManualClock>::clone(&clock));
    Db::open(disk, options, clock, &registry)
}

/// Opens the database on the disk with the options above.
pub(crate) fn open(disk: &MemoryDisk) -> Arc<Db> {
    open_with(Arc::new(disk.clone()), options()).unwrap()
}

/// A label set.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// A histogram of some shape whose counts grow with `n`.
pub(crate) fn example(shape: u64, n: u64) -> Histogram {
    let span = |offset, length| Span { offset, length };
    let buckets: Vec<i64> = (0..4).map(|b| (n / (b + 1) + b) as i64).collect();
    let mut histogram = Histogram {
        schema: (shape % 3) as i32,
        zero_threshold: 0.001,
        zero_count: n / 3,
        sum: n as f64 * 1.1,
        positive_spans: vec![span(shape as i32 - 2, 1), span(2, 3)],
        positive_buckets: buckets.clone(),
        negative_spans: vec![span(3, 1)],
        negative_buckets: vec![n as i64],
        ..Histogram::default()
    };
    match shape {
        3 => {
            histogram = Histogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                sum: 0.1 * n as f64,
                positive_spans: vec![span(0, 4)],
                positive_buckets: buckets,
                custom_values: vec![0.5, 1.0, 2.5, 10.0],
                ..Histogram::default()
            };
        }
        4 => {
            return Histogram {
                sum: model::STALE_NAN,
                ..Histogram::default()
            };
        }
        _ => {}
    }
    let all = histogram.positive_buckets.iter();
    let all = all.chain(&histogram.negative_buckets);
    histogram.count = histogram.zero_count + all.map(|count| *count as u64).sum::<u64>();
    histogram
}

/// A histogram as one number; what is said of counter resets is left out, since how much is known
/// of them depends on where samples lie.
pub(crate) fn fingerprint(histogram: &FloatHistogram) -> u64 {
    let mut histogram = histogram.clone();
    histogram.counter_reset_hint = CounterResetHint::Unknown;
    let mut hasher = DefaultHasher::new();
    (histogram.sum.to_bits(), format!("{histogram:?}")).hash(&mut hasher);
    hasher.finish()
}

/// A sample of one series at the batch's time or at one of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) series: SeriesRef,
    pub(crate) at_ms: Option<i64>,
    pub(crate) value: f64,
}

/// Appends a batch.
pub(crate) fn append(
    to: &dyn Appender,
    group: GroupId,
    timestamp_ms: i64,
    points: &[Point],
) -> Result<AppendOutcome, storage::AppendError> {
    let rows = points.iter().filter(|p| p.at_ms.is_none());
    let samples: Vec<_> = rows
        .map(|p| Sample {
            series: p.series,
            value: p.value,
        })
        .collect();
    let timed = points.iter().filter_map(|p| {
        Some(TimedSample {
            series: p.series,
            timestamp_ms: p.at_ms?,
            value: p.value,
        })
    });
    let timed: Vec<_> = timed.collect();
    to.append(Batch {
        timed: &timed,
        ..Batch::of(group, timestamp_ms, &samples)
    })
}

/// A series and its samples, floats by bits and histograms by fingerprint.
pub(crate) type Dumped = (Labels, Vec<(i64, u64)>);

/// An outcome that can be compared with another store's: with the first places of the refused
/// series in the batch instead of references.
pub(crate) fn refused_by_place(
    mut outcome: AppendOutcome,
    batch: impl Iterator<Item = SeriesRef> + Clone,
) -> AppendOutcome {
    for series in &mut outcome.refused {
        let place = batch.clone().position(|other| other == *series);
        *series = SeriesRef(place.unwrap() as u64);
    }
    outcome.refused.sort_unstable();
    outcome
}

/// Everything that a query gives, sorted by labels; series without samples are left out.
pub(crate) fn dump_range(
    from: &dyn Queryable,
    matchers: &[Matcher],
    range: (i64, i64),
) -> Vec<Dumped> {
    let querier = from.querier(range.0, range.1).unwrap();
    let hints = SelectHints::default();
    let set = querier.select(true, &hints, matchers).unwrap();
    let read = set.series.iter().map(|series| {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let times = samples.timestamps.iter().copied();
        let bits = samples.values.iter().map(|value| value.to_bits());
        let mut all: Vec<_> = times.zip(bits).collect();
        let histograms = samples.histograms.iter();
        all.extend(histograms.map(|(at_ms, histogram)| (*at_ms, fingerprint(histogram))));
        all.sort_by_key(|(at_ms, _)| *at_ms);
        (series.labels().clone(), all)
    });
    read.filter(|(_, samples): &Dumped| !samples.is_empty())
        .collect()
}

/// Everything there is.
pub(crate) fn dump(from: &dyn Queryable) -> Vec<Dumped> {
    dump_range(from, &[], (i64::MIN, i64::MAX))
}

/// How many threads are worth it.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// Calls `check` with every fault at every operation below `operations`, on all cores.
pub(crate) fn every_fault(operations: u64, check: impl Fn(Fault, u64) + Sync) {
    const FAULTS: [Fault; 4] = [Fault::Fail, Fault::Tear, Fault::Dead, Fault::Full];
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Relaxed);
                    let fault = FAULTS[(turn % 4) as usize];
                    if turn / 4 >= operations {
                        break;
                    }
                    check(fault, turn / 4);
                }
            });
        }
    });
}

/// Paths of files in a folder below the data folder.
pub(crate) fn files_in(disk: &MemoryDisk, dir: &str) -> Vec<std::path::PathBuf> {
    let dir = Path::new(DIR).join(dir);
    let files = disk.files().into_iter();
    files.filter(|path| path.starts_with(&dir)).collect()
}
