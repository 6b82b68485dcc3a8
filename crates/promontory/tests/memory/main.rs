//! What queries of the real storage allocate, against the bytes that they are allowed.
//!
//! As `promql`'s test of the same name, but series come from blocks and the head of a database: the
//! engine is the same, what selecting and reading takes is not. Each query has run once before it
//! is measured, so that the pages that it needs lie in the cache, which is accounted elsewhere.
//!
//! A program of its own, with one test, because the allocator counts for the whole process.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on is to fail where it stands"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use clock::ManualClock;
use disk::MemoryDisk;
use heapcount::Counting;
use model::Labels;
use promql::{Engine, EngineOptions, QueryError, QueryOptions};
use storage::{Appender as _, Batch, HistogramSample, HistogramValue, Sample, StorageStatus as _};
use tsdb::{Db, Options};

#[global_allocator]
static HEAP: Counting = Counting::new();

/// What is not accounted, however large the query: its tree and plan, what threads need to get
/// going, what finds a block's pages, the columns that a thread decodes a page into.
const SLACK_BYTES: u64 = 256 << 10;

const START_MS: i64 = 1_700_006_400_000;
const STEP_MS: i64 = 60_000;
const STEPS: i64 = 245;
/// Groups, as targets are, and series of each.
const GROUPS: usize = 4;
const SERIES: usize = 1_200;

/// Four hours of counters, gauges and histograms, in a block and the head.
fn database() -> Arc<Db> {
    let clock = ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<ManualClock>::clone(&clock));
    let mut options = Options::new("/data");
    options.background = false;
    let shared = Arc::<ManualClock>::clone(&clock);
    let db = Db::open(Arc::new(MemoryDisk::new()), options, shared, &registry).unwrap();
    let histogram = model::FloatHistogram {
        count: 9.0,
        sum: 3.0,
        positive_spans: vec![model::histogram::Span {
            offset: 0,
            length: 9,
        }],
        positive_buckets: vec![1.0; 9],
        ..model::FloatHistogram::default()
    };
    for step in 0..STEPS {
        let at_ms = START_MS + step * STEP_MS;
        clock.set_ms(at_ms);
        for number in 0..GROUPS {
            let instance = format!("host-{number}.example.org:9100");
            let group = Labels::from_pairs([("instance", &*instance), ("job", "node")]);
            let group = db.open_group(&group).unwrap();
            let series = |name: &str, i: usize| {
                let i = i.to_string();
                let pairs = [
                    ("__name__", name),
                    ("i", &i),
                    ("instance", &instance),
                    ("job", "node"),
                ];
                db.series(group, &Labels::from_pairs(pairs)).unwrap()
            };
            let samples: Vec<Sample> = (0..SERIES)
                .map(|i| Sample {
                    series: series(["one_total", "two"][i % 2], i),
                    value: step as f64 * (1.0 + i as f64 / 7.0),
                })
                .collect();
            let histograms: Vec<HistogramSample<'_>> = (0..20)
                .map(|i| HistogramSample {
                    series: series("native", i),
                    timestamp_ms: at_ms,
                    value: HistogramValue::Float(&histogram),
                })
                .collect();
            let batch = Batch {
                histograms: &histograms,
                ..Batch::of(group, at_ms, &samples)
            };
            let outcome = db.append(batch).unwrap();
            assert_eq!(outcome.appended, samples.len() + histograms.len());
        }
        if step % 60 == 59 {
            db.maintain();
        }
    }
    db
}

/// Each with the time between two steps in minutes, 0 for the end only.
const QUERIES: &[(&str, i64)] = &[
    ("{__name__=~\".+\"}", 0),
    ("{__name__=~\".+\"}", 10),
    ("{__name__=~\".+\"}[1h]", 0),
    ("one_total", 1),
    ("one_total[5h]", 0),
    ("count({__name__=~\".+\"})", 5),
    ("sum by (instance) (rate(one_total[5m]))", 1),
    ("sum by (i) (rate(one_total[5m]))", 1),
    ("max_over_time(two[1h])", 1),
    ("quantile by (instance) (0.9, two)", 5),
    ("topk(10, two)", 5),
    ("two * on (i, instance) group_left two", 2),
    (
        "label_replace(two, \"x\", \"$1-$1-$1\", \"instance\", \"(.*)\")",
        10,
    ),
    ("count_values(\"v\", two)", 10),
    ("sort(one_total)", 0),
    ("max_over_time(two[1h:5m])", 5),
    ("native", 1),
    ("sum(rate(native[5m]))", 1),
    ("histogram_quantile(0.9, native)", 1),
    ("histogram_count(native)", 1),
];

fn engine(max_bytes: u64) -> Engine {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let mut options = EngineOptions::new(clock);
    options.threads = 2;
    options.max_bytes = max_bytes;
    Engine::new(options, &registry)
}

#[test]
fn no_query_of_the_storage_holds_more_than_it_may() {
    let db = database();
    assert!(!db.blocks().is_empty(), "there is a block beside the head");
    let end_ms = START_MS + (STEPS - 1) * STEP_MS;
    let ask = |engine: &Engine, query: &str, minutes: i64| {
        let options = QueryOptions::default();
        match minutes {
            0 => engine.instant(&*db, query, end_ms, &options),
            _ => engine.range(&*db, query, START_MS, end_ms, minutes * STEP_MS, &options),
        }
    };
    let ample = engine(0);
    let mut problems = String::new();
    let mut answered = 0;
    for max_bytes in [1 << 20, 4 << 20, 16 << 20, 1 << 30] {
        let engine = engine(max_bytes);
        answered = 0;
        for &(query, minutes) in QUERIES {
            let data = ask(&ample, query, minutes).unwrap();
            assert!(data.stats.samples.samples_read > 0, "{query}");
            drop(data);
            let before = HEAP.reset_peak();
            let answer = ask(&engine, query, minutes);
            let held = (HEAP.peak_bytes() - before) as u64;
            let outcome = match &answer {
                Ok(_) => "answered",
                Err(QueryError::TooManyBytes { .. }) => "refused",
                Err(error) => panic!("{query}: {error}"),
            };
            answered += usize::from(answer.is_ok());
            if held > max_bytes / 10 * 11 + SLACK_BYTES {
                let _ = writeln!(problems, "{max_bytes:>10} {held:>10} {outcome} {query}");
            }
        }
    }
    assert_eq!(answered, QUERIES.len(), "with an ample budget");
    assert!(
        problems.is_empty(),
        "budget, held, outcome, query:\n{problems}"
    );
}
