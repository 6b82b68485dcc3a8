//! Metadata over restarts, and starts of counters as samples of zero.

use std::sync::Arc;

use disk::MemoryDisk;
use model::histogram::{CounterResetHint, Span};
use model::{Histogram, Metadata, MetricType};
use storage::{Appender, Batch, HistogramSample, HistogramValue, MetadataQueryable};
use storage::{MetadataSample, Queryable, Sample, Samples, SelectHints, StartTime};
use tsdb::{Db, Options};

use crate::support::*;

fn open_as(disk: &MemoryDisk, change: impl FnOnce(&mut Options)) -> Arc<Db> {
    let mut options = options();
    options.wal_segment_bytes = 2_000;
    change(&mut options);
    open_with(Arc::new(disk.clone()), options).unwrap()
}

fn metadata(help: &str) -> Metadata {
    Metadata {
        kind: MetricType::Counter,
        help: help.to_owned(),
        unit: "seconds".to_owned(),
    }
}

/// A sample of series `name` at minute `n`, with what is said of it.
fn append_one(db: &Db, name: &str, n: i64, help: Option<&str>, start_ms: i64) {
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", name)])).unwrap();
    let said = metadata(help.unwrap_or_default());
    let news = [MetadataSample {
        series,
        metadata: &said,
    }];
    let samples = [Sample { series, value: 1.0 }];
    let outcome = db.append(Batch {
        metadata: &news[..usize::from(help.is_some())],
        starts: &[StartTime { series, start_ms }],
        ..Batch::of(group, START_MS + 60_000 * n, &samples)
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.appended, outcome.out_of_order), (1, 0));
}

fn help_of(db: &Db, name: &str) -> Option<String> {
    let found = db.series_metadata(&labels(&[("__name__", name)]))?;
    assert_eq!((found.kind, &*found.unit), (MetricType::Counter, "seconds"));
    Some(found.help.clone())
}

#[test]
fn metadata_of_series_survives_as_long_as_they_do() {
    let disk = MemoryDisk::new();
    let db = open_as(&disk, |options| options.store_metadata = true);
    append_one(&db, "a", 0, Some("one"), 0);
    append_one(&db, "b", 0, Some("two"), 0);
    append_one(&db, "b", 1, Some("three"), 0);
    append_one(&db, "a", 1, None, 0);
    let check = |db: &Db| {
        assert_eq!(help_of(db, "a").as_deref(), Some("one"));
        assert_eq!(help_of(db, "b").as_deref(), Some("three"));
        assert_eq!(help_of(db, "c"), None);
    };
    check(&db);
    drop(db);
    let db = open_as(&disk, |options| options.store_metadata = true);
    check(&db);
    // `a` goes on and `b` ends: blocks are written, the log is cut.
    (2..500).for_each(|n| append_one(&db, "a", n, None, 0));
    db.maintain();
    drop(db);
    let db = open_as(&disk, |options| options.store_metadata = true);
    assert_eq!(help_of(&db, "a").as_deref(), Some("one"));
    assert_eq!(help_of(&db, "b"), None);
    drop(db);
    let disk = MemoryDisk::new();
    let db = open_as(&disk, |_| {});
    append_one(&db, "a", 0, Some("one"), 0);
    assert_eq!(help_of(&db, "a"), None);
}

#[test]
fn starts_become_zeros_where_they_are_news() {
    let disk = MemoryDisk::new();
    let db = open_as(&disk, |options| options.starts_as_zeros = true);
    let minute = |n: i64| START_MS + 60_000 * n;
    for (n, start_ms) in [
        (1, minute(0) + 1),
        // Known, at and behind a sample, in the future, and after a reset.
        (2, minute(0) + 1),
        (3, minute(2)),
        (4, minute(4)),
        (5, minute(9)),
        (6, minute(5) + 7),
    ] {
        append_one(&db, "a", n, None, start_ms);
    }
    let [(_, samples)] = &dump(&*db)[..] else {
        panic!("one series");
    };
    let times: Vec<(i64, f64)> = samples
        .iter()
        .map(|(at_ms, bits)| (at_ms - START_MS, f64::from_bits(*bits)))
        .collect();
    let minute = 60_000;
    assert_eq!(
        times,
        [
            (1, 0.0),
            (minute, 1.0),
            (2 * minute, 1.0),
            (3 * minute, 1.0),
            (4 * minute, 1.0),
            (5 * minute, 1.0),
            (5 * minute + 7, 0.0),
            (6 * minute, 1.0),
        ]
    );
}

#[test]
fn histograms_start_with_empty_ones() {
    let disk = MemoryDisk::new();
    let db = open_as(&disk, |options| {
        options.starts_as_zeros = true;
        options.store_starts = false;
    });
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "h")])).unwrap();
    for n in 1..3 {
        let histogram = Histogram {
            schema: 3,
            count: 7,
            sum: 1.0,
            positive_spans: vec![Span {
                offset: 0,
                length: 1,
            }],
            positive_buckets: vec![7],
            ..Histogram::default()
        };
        let timestamp_ms = START_MS + 60_000 * n;
        let sample = HistogramSample {
            series,
            timestamp_ms,
            value: HistogramValue::Integer(&histogram),
        };
        let start_ms = START_MS + 5;
        let outcome = db.append(Batch {
            histograms: &[sample],
            starts: &[StartTime { series, start_ms }],
            ..Batch::of(group, timestamp_ms, &[])
        });
        assert_eq!(outcome.unwrap().appended, 1);
    }
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let found = querier.select(true, &SelectHints::default(), &[]).unwrap();
    let mut samples = Samples::default();
    found.series[0]
        .read(i64::MIN, i64::MAX, &mut samples)
        .unwrap();
    let shown: Vec<_> = samples
        .histograms
        .iter()
        .map(|(at_ms, h)| (at_ms - START_MS, h.schema, h.count, h.counter_reset_hint))
        .collect();
    assert_eq!(
        shown,
        [
            (5, 3, 0.0, CounterResetHint::Unknown),
            (60_000, 3, 7.0, CounterResetHint::NotReset),
            (120_000, 3, 7.0, CounterResetHint::NotReset),
        ]
    );
    assert!(
        samples.histogram_starts.is_empty(),
        "they are zeros instead"
    );
}
