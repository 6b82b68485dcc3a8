//! Exemplars over restarts, power cuts and checkpoints.

use std::sync::Arc;

use disk::MemoryDisk;
use model::Matcher;
use storage::{Appender, Batch, ExemplarQueryable, ExemplarSample, Sample, StorageError};
use tsdb::{Db, Options};

use crate::support::*;

const MINUTE_MS: i64 = 60_000;

fn options_for(max: usize) -> Options {
    let mut options = options();
    options.exemplars_max = max;
    options.wal_segment_bytes = 2_000;
    options
}

fn open_for(disk: &MemoryDisk, max: usize) -> Arc<Db> {
    open_with(Arc::new(disk.clone()), options_for(max)).unwrap()
}

/// A sample of two series in minute `n`, and an exemplar of the first one.
fn append_minute(db: &Db, n: i64) {
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = ["a_total", "b_total"].map(|name| {
        let labels = labels(&[("__name__", name), ("job", "j")]);
        db.series(group, &labels).unwrap()
    });
    let samples = series.map(|series| Sample { series, value: 1.0 });
    let timestamp_ms = START_MS + n * MINUTE_MS;
    let exemplar = ExemplarSample {
        series: series[0],
        labels: &labels(&[("trace_id", &n.to_string())]),
        value: 0.5,
        timestamp_ms,
        has_own_time: false,
    };
    let outcome = db.append(Batch {
        exemplars: &[exemplar],
        ..Batch::of(group, timestamp_ms, &samples)
    });
    assert_eq!(outcome.unwrap().appended, 2);
}

/// The traces that there are.
fn traces(db: &Db) -> Vec<i64> {
    let selector = vec![Matcher::equal("__name__", "a_total")];
    let found = db.exemplars(i64::MIN, i64::MAX, &[selector]).unwrap();
    let exemplars = found.iter().flat_map(|series| &series.exemplars);
    exemplars
        .map(|exemplar| exemplar.labels.get("trace_id").parse().unwrap())
        .collect()
}

#[test]
fn a_start_finds_what_the_ring_had() {
    let disk = MemoryDisk::new();
    let db = open_for(&disk, 200);
    (0..50).for_each(|n| append_minute(&db, n));
    assert_eq!(traces(&db), Vec::from_iter(0..50));
    // A kill, without a word.
    drop(db);
    let db = open_for(&disk, 200);
    assert_eq!(traces(&db), Vec::from_iter(0..50));
    // Eight hours: blocks are written and the log is cut, and all the same they stay.
    (50..500).for_each(|n| append_minute(&db, n));
    db.maintain();
    assert_eq!(traces(&db), Vec::from_iter(300..500));
    drop(db);
    let db = open_for(&disk, 200);
    assert_eq!(traces(&db), Vec::from_iter(300..500));
    db.close();
    assert_eq!(db.exemplars(0, 1, &[]).unwrap_err(), StorageError::NotReady);
    drop(db);
    // A smaller ring, then none.
    let db = open_for(&disk, 10);
    assert_eq!(traces(&db), Vec::from_iter(490..500));
    db.set_exemplars_max(0);
    append_minute(&db, 500);
    assert_eq!(traces(&db), Vec::<i64>::new());
}

#[test]
fn what_was_synced_outlasts_a_power_cut() {
    let disk = MemoryDisk::new();
    let db = open_for(&disk, 100);
    (0..30).for_each(|n| append_minute(&db, n));
    db.sync().unwrap();
    (30..40).for_each(|n| append_minute(&db, n));
    let cut = disk.fork();
    cut.power_cut();
    let db = open_for(&cut, 100);
    assert_eq!(traces(&db), Vec::from_iter(0..30));
}

#[test]
fn samples_are_taken_without_a_ring() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    append_minute(&db, 0);
    assert_eq!(traces(&db), Vec::<i64>::new());
    assert_eq!(dump(&*db).len(), 2);
}

#[test]
fn exemplars_of_refused_samples_are_refused_with_them() {
    let db = open_for(&MemoryDisk::new(), 100);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "a_total"), ("job", "j")]));
    let series = series.unwrap();
    let append = |trace: i64, minute: i64, value: f64| {
        let timestamp_ms = START_MS + minute * MINUTE_MS;
        let exemplar = ExemplarSample {
            series,
            labels: &labels(&[("trace_id", &trace.to_string())]),
            value: 0.5,
            timestamp_ms: START_MS + trace,
            has_own_time: true,
        };
        let outcome = db.append(Batch {
            exemplars: &[exemplar],
            ..Batch::of(group, timestamp_ms, &[Sample { series, value }])
        });
        outcome.unwrap().refused
    };
    assert_eq!(append(1, 5, 1.0), []);
    // Out of order, then another value at a time that is there, then the same one.
    assert_eq!(append(2, 4, 1.0), [series]);
    assert_eq!(append(3, 5, 2.0), [series]);
    assert_eq!(append(4, 5, 1.0), []);
    assert_eq!(append(5, 6, 1.0), []);
    assert_eq!(traces(&db), [1, 4, 5]);
}
