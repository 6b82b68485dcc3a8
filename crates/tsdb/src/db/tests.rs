//! What needs a look inside.

use super::*;
use clock::ManualClock;
use disk::MemoryDisk;
use storage::{Sample, Samples, SelectHints};

const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_700_006_400_000;

fn open(disk: &MemoryDisk) -> Arc<Db> {
    let clock = ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<ManualClock>::clone(&clock));
    let mut options = Options::new("/data");
    options.background = false;
    options.out_of_order_window_ms = 6 * HOUR_MS;
    Db::open(Arc::new(disk.clone()), options, clock, &registry).unwrap()
}

fn put(db: &Db, name: &str, at_ms: i64) {
    let labels = Labels::from_pairs([("__name__", name)]);
    let group = db.open_group(&Labels::empty()).unwrap();
    let series = db.series(group, &labels).unwrap();
    let samples = [Sample { series, value: 1.0 }];
    let outcome = db.append(Batch::of(group, at_ms, &samples)).unwrap();
    assert_eq!(outcome.appended, 1);
}

fn sample_count(db: &Db) -> usize {
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let set = querier.select(true, &SelectHints::default(), &[]).unwrap();
    let mut samples = Samples::default();
    for series in &set.series {
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
    }
    samples.len()
}

#[test]
fn a_block_of_late_samples_does_not_hide_what_the_log_has_in_order() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    put(&db, "x", START_MS);
    put(&db, "x", START_MS + HOUR_MS);
    put(&db, "x", START_MS + HOUR_MS / 2);
    assert!(db.inner.flush(START_MS, START_MS + 2 * HOUR_MS, false));
    assert!(db.blocks()[0].max_time_ms > START_MS + HOUR_MS);
    assert_eq!(sample_count(&db), 3);
    drop(db);
    assert_eq!(sample_count(&open(&disk)), 3);
}

const MINUTE_MS: i64 = 60_000;

/// Puts `k` at `START_MS` and so many minutes later, and a series that lives for an hour only.
fn put_with_churn(db: &Db, minute: i64) -> SeriesRef {
    let group = db.open_group(&Labels::empty()).unwrap();
    let passing = format!("passing{:04}", minute / 60);
    let names = ["k0", "k1", "k2", &passing];
    let samples = names.map(|name| Sample {
        series: db
            .series(group, &Labels::from_pairs([("__name__", name)]))
            .unwrap(),
        value: minute as f64,
    });
    let batch = Batch::of(group, START_MS + minute * MINUTE_MS, &samples);
    assert_eq!(db.append(batch).unwrap().appended, 4);
    samples[3].series
}

#[test]
fn slots_of_series_that_are_gone_are_used_again() {
    const STEP: i64 = 5;
    const DAYS: i64 = 6;
    let disk = MemoryDisk::new();
    let mut db = open(&disk);
    let mut refs = std::collections::BTreeSet::new();
    let first = put_with_churn(&db, 0);
    for minute in (STEP..DAYS * 1_440).step_by(STEP as usize) {
        refs.insert(put_with_churn(&db, minute));
        if minute % 60 == 0 {
            db.maintain();
        }
        // Two days without a restart, then one every five hours, each of them after a kill.
        if minute > DAYS * 720 && minute % 300 == 0 {
            drop(db);
            db = open(&disk);
        }
        if minute == DAYS * 720 {
            assert_eq!(refs.len() as i64, DAYS * 12 + 1, "no reference comes twice");
            let old = [Sample {
                series: first,
                value: 0.0,
            }];
            let group = db.open_group(&Labels::empty()).unwrap();
            let at_ms = START_MS + minute * MINUTE_MS + 1;
            let outcome = db.append(Batch::of(group, at_ms, &old)).unwrap();
            assert_eq!((outcome.appended, outcome.unknown), (0, vec![first]));
        }
        for group in db.inner.head.all_groups() {
            let width = group.state.lock().series.len();
            assert!(width <= 20, "{width} slots after {minute} minutes");
        }
    }
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let set = querier.select(true, &SelectHints::default(), &[]).unwrap();
    assert_eq!(set.series.len() as i64, 3 + DAYS * 24);
    for series in set.series {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let (from, to) = match series.labels().metric_name().strip_prefix("passing") {
            None => (0, DAYS * 1_440),
            Some(hour) => {
                let hour: i64 = hour.parse().unwrap();
                (hour * 60, hour * 60 + 60)
            }
        };
        let want: Vec<i64> = (from..to).step_by(STEP as usize).collect();
        let found: Vec<i64> = samples.values.iter().map(|&value| value as i64).collect();
        assert_eq!(found, want, "{}", series.labels());
    }
}
