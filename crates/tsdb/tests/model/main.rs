//! The database under a model checker: `cargo xtask shuttle`.
//!
//! Every lock and atomic of the crate is the checker's here. It runs each test some thousand times,
//! one thread at a time, and decides at each lock and atomic, and before each change of the disk, who
//! goes on; half of the runs at random,
//! half with few and well placed changes (PCT), which finds what needs a rare order. A failure
//! prints the schedule, with which it can be run again.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use disk::{FaultyDisk, MemoryDisk};
use model::{Labels, Matcher};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicI64, Ordering::SeqCst};
use shuttle::{Config, Runner, thread};
use storage::{Appender, Batch, Queryable, Sample, Samples, StorageAdmin, StorageStatus};
use tsdb::{Db, Options};

const START_MS: i64 = 1_700_006_400_000;
const MINUTE_MS: i64 = 60_000;
/// Runs of each scheduler.
const RUNS: usize = 1_500;
/// Changes of thread that PCT places.
const DEPTH: usize = 4;

fn check(test: impl Fn() + Send + Sync + 'static) {
    let test = Arc::new(test);
    let mut config = Config::new();
    // Encoding works with arrays on the stack.
    config.stack_size = 1 << 20;
    let again = Arc::clone(&test);
    Runner::new(RandomScheduler::new(RUNS), config.clone()).run(move || again());
    Runner::new(PctScheduler::new(DEPTH, RUNS), config).run(move || test());
}

fn open() -> Arc<Db> {
    let mut options = Options::new("/data");
    options.background = false;
    options.wal_sync_interval = Duration::from_secs(3_600);
    let clock = clock::ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<clock::ManualClock>::clone(&clock));
    let disk = FaultyDisk::watched(Arc::new(MemoryDisk::new()), |_| thread::yield_now());
    Db::open(Arc::new(disk), options, clock, &registry).unwrap()
}

/// Appends a sample with the same value to each series.
fn append(db: &Db, job: &str, names: &[&str], at_ms: i64, value: f64) {
    let group = db.open_group(&Labels::from_pairs([("job", job)])).unwrap();
    let series = names.iter().map(|name| {
        let labels = Labels::from_pairs([("__name__", *name)]);
        let series = db.series(group, &labels).unwrap();
        Sample { series, value }
    });
    let samples: Vec<Sample> = series.collect();
    let outcome = db.append(Batch::of(group, at_ms, &samples)).unwrap();
    assert_eq!(outcome.appended, names.len());
}

/// Times and values by series, as a querier has them.
fn read(querier: &dyn storage::Querier) -> BTreeMap<String, Vec<(i64, f64)>> {
    let set = querier.select(true, &Default::default(), &[]).unwrap();
    let read = set.series.iter().map(|series| {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let times = samples.timestamps.iter().copied();
        let name = series.labels().metric_name().to_owned();
        (name, times.zip(samples.values.iter().copied()).collect())
    });
    read.collect()
}

fn read_all(db: &Db) -> BTreeMap<String, Vec<(i64, f64)>> {
    read(&*db.querier(i64::MIN, i64::MAX).unwrap())
}

/// Epochs: a batch is seen as a whole or not at all, also one over two groups, and once its append
/// has returned.
#[test]
fn a_batch_is_seen_as_a_whole() {
    check(|| {
        let db = open();
        // Series of the first group, which the second writer's batch has, too.
        append(&db, "a", &["a1", "a2"], START_MS, 0.0);
        let done = Arc::new(AtomicI64::new(0));
        let writers: Vec<_> = [("a", ["a1", "a2"]), ("b", ["b1", "a3"])]
            .into_iter()
            .map(|(job, names)| {
                let (db, done) = (Arc::clone(&db), Arc::clone(&done));
                thread::spawn(move || {
                    for n in 1..3 {
                        append(&db, job, &names, START_MS + n, n as f64);
                        if job == "a" {
                            done.store(n, SeqCst);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            let before = done.load(SeqCst);
            let all = read_all(&db);
            assert_eq!(all.get("a1"), all.get("a2"));
            assert_eq!(all.get("b1"), all.get("a3"));
            assert!(all["a1"].last().unwrap().0 >= START_MS + before);
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        assert_eq!(read_all(&db).len(), 4);
    });
}

/// Two groups at once: locks are taken in one order, and both show the batch at one time.
#[test]
fn a_batch_over_two_groups_is_seen_as_a_whole() {
    check(|| {
        let db = open();
        append(&db, "a", &["a"], START_MS, 0.0);
        append(&db, "b", &["b"], START_MS, 0.0);
        let writers: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|job| {
                let db = Arc::clone(&db);
                thread::spawn(move || {
                    let at_ms = START_MS + if job == "a" { 1 } else { 2 };
                    let group = db.open_group(&Labels::from_pairs([("job", job)])).unwrap();
                    let samples = ["a", "b"].map(|name| Sample {
                        series: db
                            .series(group, &Labels::from_pairs([("__name__", name)]))
                            .unwrap(),
                        value: 1.0,
                    });
                    // The other one may have come first: then all of this is late.
                    let outcome = db.append(Batch::of(group, at_ms, &samples)).unwrap();
                    assert!([0, 2].contains(&outcome.appended), "{outcome:?}");
                })
            })
            .collect();
        let all = read_all(&db);
        assert_eq!(all["a"], all["b"]);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        let all = read_all(&db);
        assert_eq!(all["a"], all["b"]);
    });
}

/// Sealing while a query is under way: rows of the chunk that came after it stay hidden.
#[test]
fn a_querier_stays_at_its_time_while_rows_are_sealed() {
    check(|| {
        let db = open();
        append(&db, "a", &["x"], START_MS, 0.0);
        let writer = {
            let db = Arc::clone(&db);
            thread::spawn(move || {
                // The third row lies behind a boundary, so the two before it are sealed.
                for minutes in [60, 121, 242] {
                    append(&db, "a", &["x"], START_MS + MINUTE_MS * minutes, 1.0);
                }
            })
        };
        let querier = db.querier(i64::MIN, i64::MAX).unwrap();
        let first = read(&*querier);
        thread::yield_now();
        assert_eq!(read(&*querier), first);
        writer.join().unwrap();
        assert_eq!(read(&*querier), first);
        drop(querier);
        assert_eq!(read_all(&db)["x"].len(), 4);
    });
}

/// A flush moves samples from the head into a block and cuts the log, while others read and write.
#[test]
fn nothing_is_missed_while_it_moves_into_a_block() {
    check(|| {
        let db = open();
        for n in 0..4 {
            append(&db, "a", &["x"], START_MS + 50 * MINUTE_MS * n, n as f64);
        }
        append(&db, "a", &["x"], START_MS + 190 * MINUTE_MS, 4.0);
        let maintainer = {
            let db = Arc::clone(&db);
            thread::spawn(move || db.maintain())
        };
        let writer = {
            let db = Arc::clone(&db);
            thread::spawn(move || append(&db, "a", &["x"], START_MS + 200 * MINUTE_MS, 5.0))
        };
        for _ in 0..2 {
            let values: Vec<f64> = read_all(&db)["x"].iter().map(|(_, v)| *v).collect();
            let all = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
            assert!(values == all || values == all[..5], "{values:?}");
        }
        maintainer.join().unwrap();
        writer.join().unwrap();
        assert_eq!(db.blocks().len(), 1);
        assert_eq!(read_all(&db)["x"].len(), 6);
    });
}

/// A deletion and a flush wait for each other: nothing that was deleted comes back in the block.
#[test]
fn a_deletion_holds_while_a_block_is_written() {
    check(|| {
        let db = open();
        for n in 0..5 {
            append(&db, "a", &["x"], START_MS + 47 * MINUTE_MS * n, n as f64);
        }
        let maintainer = {
            let db = Arc::clone(&db);
            thread::spawn(move || db.maintain())
        };
        let x = [Matcher::equal("__name__", "x")];
        db.delete_series(&x, START_MS, START_MS + 60 * MINUTE_MS)
            .unwrap();
        let values = |db: &Db| {
            read_all(db)["x"]
                .iter()
                .map(|(_, v)| *v)
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&db), [2.0, 3.0, 4.0]);
        maintainer.join().unwrap();
        assert_eq!(values(&db), [2.0, 3.0, 4.0]);
    });
}
