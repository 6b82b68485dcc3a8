//! What a query really allocates, against the bytes that it is allowed.
//!
//! Hungry queries of every kind run under an allocator that counts, with budgets from small to
//! ample. Whether they are answered or refused: what they held at a time never exceeds the budget
//! by more than a tenth and [`SLACK_BYTES`].
//!
//! A program of its own, with one test, because the allocator counts for the whole process.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on is to fail where it stands"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use heapcount::Counting;
use model::{Labels, Matcher};
use promql::{Engine, EngineOptions, Features, QueryError, QueryOptions};
use promql_syntax::{SequenceValue, parse_series_desc};
use storage::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};

#[global_allocator]
static HEAP: Counting = Counting::new();

/// What is not accounted, however large the query: its tree and plan, and what threads need to get
/// going.
const SLACK_BYTES: u64 = 64 << 10;
const MINUTE_MS: i64 = 60_000;
/// Series of each of the large vectors.
const SERIES: usize = 4_000;

fn engine(max_bytes: u64) -> Engine {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let mut options = EngineOptions::new(clock);
    options.threads = 2;
    options.max_bytes = max_bytes;
    options.features = Features {
        experimental_functions: true,
        ..Features::default()
    };
    Engine::new(options, &registry)
}

/// Series that lie still: reading them takes no memory but what the reader gives.
#[derive(Debug, Clone)]
struct Store(Arc<Vec<(Labels, Samples)>>);

struct StillSeries {
    store: Store,
    at: usize,
}

impl Series for StillSeries {
    fn labels(&self) -> &Labels {
        &self.store.0[self.at].0
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let samples = &self.store.0[self.at].1;
        let times = &samples.timestamps;
        let (low, high) = (
            times.partition_point(|t| *t < min_ms),
            times.partition_point(|t| *t <= max_ms),
        );
        out.timestamps.extend_from_slice(&times[low..high]);
        out.values.extend_from_slice(&samples.values[low..high]);
        let histograms = samples.histograms.iter();
        let wanted = histograms.filter(|(t, _)| (min_ms..=max_ms).contains(t));
        out.histograms.extend(wanted.cloned());
        Ok(())
    }
}

impl Queryable for Store {
    fn querier(&self, _min_ms: i64, _max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(self.clone()))
    }
}

impl Querier for Store {
    fn select(
        &self,
        _sorted: bool,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError> {
        let matches = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name())));
        let found = (0..self.0.len()).filter(|&at| matches(&self.0[at].0));
        let (mut series, mut bytes): (Vec<Box<dyn Series>>, _) = (Vec::new(), 0);
        for at in found {
            let store = self.clone();
            let found = StillSeries { store, at };
            bytes += found.size_bytes() as u64;
            if hints.bytes_max > 0 && bytes > hints.bytes_max {
                return Err(StorageError::TooLarge);
            }
            series.push(Box::new(found));
        }
        Ok(SeriesSet {
            series,
            warnings: Vec::new(),
        })
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

fn store() -> Store {
    let mut store: BTreeMap<Labels, Samples> = BTreeMap::new();
    let mut insert = |text: &str| {
        let series = parse_series_desc(text).unwrap();
        let samples = store.entry(series.labels).or_default();
        for (at, value) in series.values.into_iter().enumerate() {
            let time_ms = at as i64 * MINUTE_MS;
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => samples.push(time_ms, value),
                SequenceValue::Histogram { histogram, .. } => {
                    samples.push_histogram(time_ms, histogram, 0);
                }
            }
        }
    };
    for i in 0..SERIES {
        let more = format!("instance=\"host-{i}.example.org:9100\",job=\"node\"");
        insert(&format!("one{{i=\"{i}\",{more}}} {i}+{i}x10"));
        insert(&format!("many{{i=\"{}\",j=\"{i}\",{more}}} 1+1x10", i / 4));
        let le = ["0.1", "1", "10", "+Inf"][i % 4];
        insert(&format!(
            "h_bucket{{i=\"{}\",le=\"{le}\"}} {i}+{i}x10",
            i / 4
        ));
    }
    for i in 0..SERIES / 20 {
        let buckets = "{schema:0 sum:5 count:7 buckets:[1 2 3 1] n_buckets:[1 2]}";
        insert(&format!("n{{i=\"{i}\"}} {{{buckets}}}+{{{buckets}}}x10"));
    }
    let mut long = "long".to_owned();
    let _ = write!(long, " 0+1x20000");
    insert(&long);
    Store(Arc::new(store.into_iter().collect()))
}

/// Each with the steps that it is asked at.
const QUERIES: &[(&str, i64)] = &[
    ("{__name__=~\".+\"}", 0),
    ("{__name__=~\".+\"}", 10),
    ("one", 500),
    ("one[10m]", 0),
    ("long[20000m]", 0),
    ("max_over_time(long[20000m])", 0),
    ("rate(one[5m])", 100),
    ("sum(rate(one[5m]))", 100),
    ("sum by (i) (many)", 100),
    ("quantile by (job) (0.9, many)", 200),
    ("stddev without (i) (many)", 100),
    ("topk(1000, one)", 50),
    ("limit_ratio(0.5, one)", 50),
    ("count_values(\"v\", one)", 10),
    ("count_values without (i) (\"v\", many)", 10),
    ("sort(one)", 0),
    ("sort_by_label_desc(one, \"i\")", 0),
    ("many * on (i) group_left (job) one", 50),
    ("one + one", 100),
    ("one / (one + one)", 100),
    ("rate(one[5m]) / (rate(one[5m]) + rate(one[5m]))", 50),
    ("one and on (i) many", 50),
    ("one or many", 50),
    ("one unless many", 50),
    (
        "label_replace(one, \"long\", \"$1-$1-$1-$1-$1-$1\", \"instance\", \"(.*)\")",
        0,
    ),
    (
        "label_join(one, \"k\", \",\", \"instance\", \"instance\", \"job\", \"instance\")",
        10,
    ),
    (
        "label_join(label_join(label_join(label_join(one, \"i\", \",\", \"i\", \"instance\", \"instance\", \"instance\"), \"i\", \",\", \"i\", \"i\", \"i\", \"i\"), \"i\", \",\", \"i\", \"i\", \"i\", \"i\"), \"i\", \",\", \"i\", \"i\", \"i\", \"i\")",
        0,
    ),
    ("absent(one)", 11_000),
    ("absent_over_time(one[1m])", 1_000),
    ("histogram_quantile(0.9, h_bucket)", 50),
    (
        "histogram_quantile(0.9, sum by (i, le) (rate(h_bucket[5m])))",
        50,
    ),
    ("histogram_fraction(0, 1, h_bucket)", 50),
    ("histogram_quantiles(h_bucket, \"q\", 0.1, 0.5, 0.9)", 50),
    ("histogram_quantile(0.9, one)", 1),
    ("n", 10),
    ("rate(n[5m])", 10),
    ("sum(n)", 10),
    ("sum by (i) (n + n)", 10),
    ("histogram_quantile(0.9, n)", 10),
    ("count_values(\"v\", n)", 10),
    ("max_over_time(one[10m:10s])", 10),
    // What a subquery has read is counted by its steps.
    ("count_over_time(vector(1)[900ms:100ms])", 20_000),
    (
        "sum_over_time(sum(rate(one{i=~\"1.\"}[1m]))[900ms:7ms])",
        1_000,
    ),
    ("max_over_time(vector(time())[10d:1s])", 0),
    ("sum_over_time(vector(time() + time() * time())[5d:1s])", 0),
    ("scalar(one{i=\"1\"}) + one", 2_000),
    ("time() + time() * (time() + time())", 200_000),
    ("vector(1)", 400_000),
    ("one > bool 3 or -one or abs(many)", 20),
];

#[test]
fn no_query_holds_more_than_it_may() {
    let store = store();
    let mut problems = String::new();
    for max_bytes in [256 << 10, 1 << 20, 4 << 20, 16 << 20, 1 << 30] {
        let engine = engine(max_bytes);
        let mut answered = 0;
        for &(query, steps) in QUERIES {
            let options = QueryOptions::default();
            let before = HEAP.reset_peak();
            let answer = match steps {
                0 => engine.instant(&store, query, 10 * MINUTE_MS, &options),
                _ => engine.range(&store, query, 0, 1_000 * steps, 1_000, &options),
            };
            let held = (HEAP.peak_bytes() - before) as u64;
            match &answer {
                Ok(_) => answered += 1,
                Err(QueryError::TooManyBytes { .. }) => {}
                Err(error) => panic!("{query}: {error}"),
            }
            if held > max_bytes / 10 * 11 + SLACK_BYTES {
                let outcome = if answer.is_ok() {
                    "answered"
                } else {
                    "refused"
                };
                let _ = writeln!(problems, "{max_bytes:>10} {held:>10} {outcome} {query}");
            }
        }
        // A budget that refuses everything would keep every promise.
        println!("{max_bytes}: {answered} of {} answered", QUERIES.len());
        assert!(max_bytes < 1 << 30 || answered == QUERIES.len());
    }
    assert!(
        problems.is_empty(),
        "budget, held, outcome, query:\n{problems}"
    );
}
