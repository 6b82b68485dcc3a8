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
    let count = |series: &Box<dyn storage::Series>| {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        samples.len()
    };
    set.series.iter().map(count).sum()
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
