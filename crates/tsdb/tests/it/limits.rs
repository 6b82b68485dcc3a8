//! What keeps samples or series out: limits of series, the memory budget, a full disk.

use std::sync::Arc;
use std::time::Duration;

use clock::ManualClock;
use disk::{Disk, MemoryDisk, Space};
use model::Labels;
use storage::{AppendError, Appender, MemoryBudget, Queryable, SeriesLimit, SeriesRef};
use storage::{SelectHints, StorageError};
use storage::{StorageAdmin, StorageStatus};
use tsdb::{Db, Options};

use crate::support::*;

const MINUTE_MS: i64 = 60_000;

/// A database with a clock that the test moves.
struct Bench {
    disk: MemoryDisk,
    clock: Arc<ManualClock>,
    db: Arc<Db>,
}

fn bench(change: impl Fn(&mut Options)) -> Bench {
    bench_on(MemoryDisk::new(), change)
}

fn bench_on(disk: MemoryDisk, change: impl Fn(&mut Options)) -> Bench {
    let clock = ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<ManualClock>::clone(&clock));
    let mut options = options();
    change(&mut options);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let db = Db::open(
        shared,
        options,
        Arc::<ManualClock>::clone(&clock),
        &registry,
    )
    .unwrap();
    Bench { disk, clock, db }
}

impl Bench {
    fn series(&self, job: &str, name: &str) -> Result<SeriesRef, AppendError> {
        let group = self.db.open_group(&labels(&[("job", job)])).unwrap();
        let labels = labels(&[("__name__", name), ("job", job)]);
        self.db.series(group, &labels)
    }

    /// Appends a sample of each series of the job that can be had.
    fn put(&self, job: &str, names: &[&str], at_ms: i64, value: f64) -> Result<usize, AppendError> {
        let group = self.db.open_group(&labels(&[("job", job)])).unwrap();
        let series = names.iter().filter_map(|name| self.series(job, name).ok());
        let point = |series| Point {
            series,
            at_ms: None,
            value,
        };
        let points: Vec<_> = series.map(point).collect();
        Ok(append(&*self.db, group, at_ms, &points)?.appended)
    }
}

#[test]
fn new_series_are_refused_and_old_ones_go_on() {
    let limit = |options: &mut Options| options.head_series_max = 3;
    let bench = bench(limit);
    assert_eq!(bench.put("a", &["x", "y", "z"], START_MS, 1.0), Ok(3));
    let refused = AppendError::SeriesLimit(SeriesLimit::Head { series_max: 3 });
    assert_eq!(bench.series("b", "x"), Err(refused.clone()));
    assert_eq!(
        bench.put("a", &["x", "y", "z", "w"], START_MS + 1, 2.0),
        Ok(3)
    );
    assert_eq!(
        bench.db.notices(),
        [
            "New series are refused, the latest of {job=\"a\"}: the head has reached its limit of 3 series."
        ]
    );
    // After a restart the old ones are known, and the limit holds.
    let again = bench_on(bench.disk.fork(), limit);
    assert_eq!(
        again.put("a", &["x", "y", "z", "w"], START_MS + 2, 3.0),
        Ok(3)
    );
    assert_eq!(again.series("b", "x"), Err(refused));
    assert!(
        dump(&*again.db)
            .iter()
            .all(|(_, samples)| samples.len() == 3)
    );
    // When the head has forgotten one, there is room for another.
    for minute in 0..400 {
        let at_ms = START_MS + 10 + MINUTE_MS * minute;
        again.put("a", &["x", "y"], at_ms, 4.0).unwrap();
    }
    again.db.maintain();
    assert!(again.series("b", "x").is_ok());
}

#[test]
fn a_target_brings_so_many_new_series_an_hour() {
    let bench = bench(|options| options.group_new_series_max = 2);
    assert_eq!(bench.put("a", &["x", "y", "z"], START_MS, 1.0), Ok(2));
    assert_eq!(
        bench.put("b", &["x", "y"], START_MS, 1.0),
        Ok(2),
        "another target"
    );
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(bench.put("a", &["x", "y", "z"], START_MS + 1, 1.0), Ok(3));
}

#[test]
fn the_head_stops_growing_when_the_memory_is_used_up() {
    let memory = MemoryBudget::new(2_000_000);
    let bench = bench(|options| options.memory = Arc::clone(&memory));
    bench.put("a", &["first"], START_MS, 1.0).unwrap();
    let mut taken = 0;
    let mut estimated = 0;
    // What is measured is less than what was estimated for the new series, so that some rounds
    // bring more.
    for round in 0..20 {
        let group = bench.db.open_group(&labels(&[("job", "a")])).unwrap();
        let full = (taken..20_000).find(|n| {
            let labels = Labels::from_pairs([("__name__", "m"), ("n", n.to_string().as_str())]);
            match bench.db.series(group, &labels) {
                Ok(_) => false,
                Err(AppendError::SeriesLimit(SeriesLimit::Memory { .. })) => true,
                Err(other) => panic!("{other}"),
            }
        });
        taken = full.expect("the budget ends");
        if round == 0 {
            estimated = memory.head_bytes();
        }
        let at_ms = START_MS + MINUTE_MS * (round + 1);
        assert_eq!(bench.put("a", &["first"], at_ms, 1.0), Ok(1));
        bench.db.maintain();
    }
    let measured = memory.head_bytes();
    let context = format!("{taken} series, {estimated} estimated, {measured} measured");
    assert!(estimated > 1_800_000 && taken > 5_000, "{context}");
    assert!((1_500_000..2_200_000).contains(&measured), "{context}");
}

#[test]
fn how_late_samples_are_is_observed() {
    let registry = telemetry::Registry::new(ManualClock::at_ms(START_MS));
    let mut options = options();
    options.out_of_order_window_ms = 30 * MINUTE_MS;
    let disk = Arc::new(MemoryDisk::new());
    let db = Db::open(disk, options, ManualClock::at_ms(START_MS), &registry).unwrap();
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "x")])).unwrap();
    // In order, taken late, too old, the same once more.
    for minute in [100, 95, 60, 100] {
        let point = Point {
            series,
            at_ms: None,
            value: 1.0,
        };
        append(&*db, group, START_MS + MINUTE_MS * minute, &[point]).unwrap();
    }
    let mut text = String::new();
    registry.expose(&mut text);
    for line in [
        "prometheus_tsdb_sample_ooo_delta_bucket{le=\"600\"} 1",
        "prometheus_tsdb_sample_ooo_delta_sum 2700",
        "prometheus_tsdb_sample_ooo_delta_count 2",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

/// Batches of a series each minute; which of them were taken.
fn load(bench: &Bench, minutes: std::ops::Range<i64>, taken: &mut Vec<i64>) -> usize {
    let mut refused = 0;
    for minute in minutes {
        bench.clock.advance(Duration::from_secs(60));
        let names = ["x", "y", "z"];
        match bench.put("a", &names, START_MS + MINUTE_MS * minute, minute as f64) {
            Ok(3) => taken.push(minute),
            Err(AppendError::DiskFull) => refused += 1,
            other => panic!("{other:?}"),
        }
        if minute % 10 == 0 {
            let _ = bench.db.sync();
        }
        if minute % 60 == 59 {
            bench.db.maintain();
        }
    }
    refused
}

fn check(db: &Db, taken: &[i64]) {
    let found = dump(db);
    assert_eq!(found.len(), 3);
    for (series, samples) in found {
        let minutes = samples.iter().map(|(ms, _)| (ms - START_MS) / MINUTE_MS);
        assert_eq!(minutes.collect::<Vec<_>>(), taken, "{series}");
        let same = samples.iter().zip(taken);
        assert!(
            same.into_iter()
                .all(|((_, bits), n)| *bits == (*n as f64).to_bits())
        );
    }
}

fn space(disk: &MemoryDisk) -> Space {
    disk.space(DIR.as_ref()).unwrap()
}

fn fill(disk: &MemoryDisk, left_bytes: u64) {
    let space = space(disk);
    let used = space.total_bytes - space.free_bytes;
    disk.set_capacity(Some(used + left_bytes));
}

/// Whatever room is left when the disk becomes full, and whatever is done meanwhile.
#[test]
fn a_full_disk_stops_ingestion_until_there_is_room() {
    for left_bytes in [0, 10, 100, 500] {
        let bench = bench(|options| options.wal_segment_bytes = 2_000);
        let mut taken = Vec::new();
        assert_eq!(load(&bench, 0..720, &mut taken), 0);
        assert!(bench.db.notices().is_empty());

        fill(&bench.disk, left_bytes);
        let refused = load(&bench, 720..778, &mut taken);
        assert!(refused > 20, "{left_bytes}: {refused}");
        let notices = bench.db.notices();
        assert!(
            notices[0].starts_with("The disk of the data folder is full"),
            "{notices:?}"
        );
        check(&bench.db, &taken);
        let halves = bench.disk.files();
        assert!(
            !halves.iter().any(|f| f.to_string_lossy().contains(".tmp")),
            "{halves:?}"
        );
        // A power cut now keeps what was synced before; a kill keeps all.
        check(&open(&bench.disk.fork()), &taken);
        // Maintenance meanwhile breaks nothing, and cuts the log, which may make room.
        load(&bench, 778..1_000, &mut taken);
        check(&bench.db, &taken);

        bench.disk.set_capacity(None);
        let before = taken.len();
        assert_eq!(load(&bench, 1_000..1_500, &mut taken), 0, "{left_bytes}");
        assert_eq!(taken.len() - before, 500);
        assert_eq!(bench.db.notices(), [""; 0]);
        check(&bench.db, &taken);
        bench.db.sync().unwrap();
        let cut = bench.disk.fork();
        cut.power_cut();
        check(&open(&cut), &taken);
    }
}

#[test]
fn retention_by_size_makes_room_on_a_full_disk() {
    let bench = bench(|options| options.wal_segment_bytes = 2_000);
    let mut taken = Vec::new();
    load(&bench, 0..1_500, &mut taken);
    fill(&bench.disk, 0);
    assert_eq!(load(&bench, 1_500..1_510, &mut taken), 10);
    let blocks = bench.db.blocks().len();
    let total = space(&bench.disk).total_bytes;
    bench.db.set_retention(tsdb::Retention {
        size_bytes: total / 2,
        ..tsdb::Retention::default()
    });
    bench.db.maintain();
    assert!(bench.db.blocks().len() < blocks);
    assert_eq!(load(&bench, 1_510..1_520, &mut taken), 0);
}

/// Writing blocks anew takes twice the room for a while: it does not begin where that would stop the
/// log.
#[test]
fn blocks_wait_for_room_and_leave_the_log_its_own() {
    let bench = bench(|_| {});
    let mut taken = Vec::new();
    load(&bench, 0..1_500, &mut taken);
    bench.db.maintain();
    let delete_first = |taken: &mut Vec<i64>| {
        let first_ms = START_MS + MINUTE_MS * taken.remove(0);
        bench.db.delete_series(&[], first_ms, first_ms).unwrap();
    };
    // Cleaning up cuts the log first: the second time that makes no room.
    delete_first(&mut taken);
    bench.db.clean_tombstones().unwrap();
    delete_first(&mut taken);
    let blocks = bench.db.blocks();
    fill(&bench.disk, blocks[0].size_bytes - 100);
    let refused = bench.db.clean_tombstones().unwrap_err().to_string();
    assert!(refused.contains("merge blocks in"), "{refused}");
    assert_eq!(bench.db.blocks(), blocks);
    assert_eq!(load(&bench, 1_500..1_505, &mut taken), 0);
    check(&bench.db, &taken);
    bench.disk.set_capacity(None);
    bench.db.clean_tombstones().unwrap();
    assert_ne!(bench.db.blocks(), blocks);
    check(&bench.db, &taken);
}

#[test]
fn a_selection_that_would_take_too_much_is_given_up() {
    let bench = bench(|_| {});
    let names: Vec<String> = (0..3_000).map(|n| format!("metric_number_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    bench.put("j", &names, START_MS, 1.0).unwrap();
    let querier = bench.db.querier(START_MS, START_MS).unwrap();
    let select = |bytes_max: u64, limit: usize| {
        let hints = SelectHints {
            bytes_max,
            limit,
            ..SelectHints::default()
        };
        let found = querier.select(false, &hints, &[]);
        found.map(|set| set.series)
    };
    let all = select(0, 0).unwrap();
    assert_eq!(all.len(), names.len());
    let bytes: usize = all.iter().map(|series| series.size_bytes()).sum();
    assert!(bytes > 3_000 * 50, "{bytes}");
    for (bytes_max, limit, found) in [
        (1, 0, None),
        (bytes as u64, 0, None),
        (4 * bytes as u64, 0, Some(3_000)),
        (u64::MAX, 0, Some(3_000)),
        (2 * bytes as u64, 1_000, Some(1_000)),
        (bytes as u64 / 9, 1_000, None),
    ] {
        let selected = select(bytes_max, limit).map(|series| series.len());
        let expected = found.ok_or(StorageError::TooLarge);
        assert_eq!(selected, expected, "{bytes_max} {limit}");
    }
}
