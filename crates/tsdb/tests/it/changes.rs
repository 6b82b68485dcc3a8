//! Late samples, deletion and snapshots: what they are for, and under faults.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use model::Matcher;
use storage::{AppendError, Appender, StorageAdmin, StorageStatus};
use tsdb::{Db, Options};

use crate::support::*;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

fn late_options() -> Options {
    let mut options = options();
    options.out_of_order_window_ms = 6 * HOUR_MS;
    options.wal_segment_bytes = 2_000;
    options
}

fn open_late(disk: &MemoryDisk) -> Arc<Db> {
    open_with(Arc::new(disk.clone()), late_options()).unwrap()
}

/// Appends one sample of `x` (or another series), at its own minute.
fn put(
    db: &Db,
    name: &str,
    minute: i64,
    value: f64,
) -> Result<storage::AppendOutcome, AppendError> {
    let group = db.open_group(&labels(&[("job", "j")]))?;
    let series = db.series(group, &labels(&[("__name__", name)]))?;
    let at_ms = None;
    let point = Point {
        series,
        at_ms,
        value,
    };
    append(db, group, START_MS + MINUTE_MS * minute, &[point])
}

/// The minutes and values of a series.
fn read(db: &Db, name: &str) -> Vec<(i64, f64)> {
    let found = dump_range(
        db,
        &[Matcher::equal("__name__", name)],
        (i64::MIN, i64::MAX),
    );
    let samples = found.into_iter().flat_map(|(_, samples)| samples);
    let minute = |ms: i64| (ms - START_MS) / MINUTE_MS;
    samples
        .map(|(ms, bits)| (minute(ms), f64::from_bits(bits)))
        .collect()
}

fn delete(db: &Db, name: &str, from: i64, to: i64) -> Result<(), storage::StorageError> {
    let matcher = [Matcher::equal("__name__", name)];
    db.delete_series(
        &matcher,
        START_MS + MINUTE_MS * from,
        START_MS + MINUTE_MS * to,
    )
}

#[test]
fn late_samples_are_taken_within_the_window() {
    let disk = MemoryDisk::new();
    let db = open_late(&disk);
    let counts = |minute, value| {
        let outcome = put(&db, "x", minute, value).unwrap();
        let of = outcome;
        [
            of.appended,
            of.out_of_order,
            of.duplicate,
            of.out_of_bounds,
            of.too_old,
        ]
    };
    assert_eq!(counts(600, 1.0), [1, 0, 0, 0, 0]);
    assert_eq!(counts(590, 2.0), [1, 0, 0, 0, 0], "older than the newest");
    assert_eq!(
        counts(590, 3.0),
        [1, 0, 0, 0, 0],
        "the first stays, without a word"
    );
    assert_eq!(counts(600, 4.0), [0, 0, 1, 0, 0], "the newest itself");
    assert_eq!(counts(240, 5.0), [1, 0, 0, 0, 0], "the window's end");
    assert_eq!(counts(239, 6.0), [0, 0, 0, 0, 1]);
    assert_eq!(counts(580, model::STALE_NAN), [0; 5]);
    db.set_out_of_order_window_ms(0);
    assert_eq!(counts(595, 7.0), [0, 1, 0, 0, 0]);
    assert_eq!(counts(300, 8.0), [0, 0, 0, 1, 0]);
    let want = [(240, 5.0), (590, 2.0), (600, 1.0)];
    assert_eq!(read(&db, "x"), want);
    drop(db);
    // Without a window, what was taken is still there after a kill.
    assert_eq!(read(&open(&disk), "x"), want);
}

#[test]
fn late_samples_of_flushed_time_become_a_block_that_is_merged_first() {
    let disk = MemoryDisk::new();
    let db = open_late(&disk);
    for minute in 0..200 {
        put(&db, "x", minute, 1.0).unwrap();
    }
    db.maintain();
    assert_eq!(db.blocks().len(), 1);
    // In order wins over late; a series that no block knows is late as well.
    put(&db, "x", 30, 2.0).unwrap();
    put(&db, "y", 31, 3.0).unwrap();
    db.maintain();
    assert_eq!(db.blocks().len(), 1, "they wait for the next block");
    for minute in 200..310 {
        put(&db, "x", minute, 1.0).unwrap();
    }
    db.maintain();
    let spans: Vec<_> = db
        .blocks()
        .iter()
        .map(|b| (b.min_time_ms - START_MS) / HOUR_MS)
        .collect();
    assert_eq!(spans, [0, 2], "what overlapped was merged");
    assert_eq!(read(&db, "x")[30], (30, 1.0));
    assert_eq!(read(&db, "y"), [(31, 3.0)]);
    drop(db);
    let db = open_late(&disk);
    assert_eq!(
        (read(&db, "y"), read(&db, "x").len()),
        (vec![(31, 3.0)], 310)
    );
}

#[test]
fn deletion_is_seen_at_once_and_lasts() {
    let disk = MemoryDisk::new();
    let db = open_late(&disk);
    for minute in 0..300 {
        put(&db, "x", minute, 1.0).unwrap();
        put(&db, "y", minute, 1.0).unwrap();
    }
    db.maintain();
    put(&db, "x", 100, 2.0).unwrap();
    delete(&db, "x", 90, 250).unwrap();
    let kept: Vec<_> = (0..90)
        .chain(251..300)
        .map(|minute| (minute, 1.0))
        .collect();
    assert_eq!((read(&db, "x"), read(&db, "y").len()), (kept.clone(), 300));
    // What comes afterwards is not deleted: late, and in order.
    put(&db, "x", 101, 3.0).unwrap();
    put(&db, "x", 300, 4.0).unwrap();
    let mut want = kept;
    want.insert(90, (101, 3.0));
    want.push((300, 4.0));
    for round in 0..3 {
        assert_eq!(
            (read(&db, "x"), read(&db, "y").len()),
            (want.clone(), 300),
            "{round}"
        );
        let again = open_with(Arc::new(disk.fork()), late_options()).unwrap();
        assert_eq!(read(&again, "x"), want, "{round}, after a kill");
        let size = db.blocks()[0].samples;
        db.clean_tombstones().unwrap();
        assert_eq!(
            db.blocks()[0].samples,
            if round == 0 { size - 30 } else { size }
        );
    }
    delete(&db, "x", -1_000, 1_000).unwrap();
    let querier = storage::Queryable::querier(&*db, i64::MIN, i64::MAX).unwrap();
    let found = querier.select(true, &Default::default(), &[]).unwrap();
    assert_eq!(
        found.series.len(),
        1,
        "a series without samples is not found"
    );
    delete(&db, "y", -1_000, 1_000).unwrap();
    db.clean_tombstones().unwrap();
    assert!(db.blocks().is_empty(), "nothing is left of the block");
    db.close();
    assert_eq!(delete(&db, "y", 0, 1), Err(storage::StorageError::NotReady));
    drop(db);
    assert!(dump(&*open_late(&disk)).is_empty());
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let disk = MemoryDisk::new();
    let db = open_late(&disk);
    for minute in 0..300 {
        put(&db, "x", minute, 1.0).unwrap();
    }
    db.maintain();
    delete(&db, "x", 0, 9).unwrap();
    put(&db, "x", 5, 2.0).unwrap();
    let all = read(&db, "x");
    db.snapshot("all", false).unwrap();
    db.snapshot("blocks", true).unwrap();
    assert!(
        db.snapshot("all", true).is_err(),
        "a snapshot is never overwritten"
    );
    delete(&db, "x", 0, 1_000).unwrap();
    db.clean_tombstones().unwrap();
    assert!(read(&db, "x").is_empty());
    disk.power_cut();
    let snapshot = |name: &str| {
        let mut options = options();
        options.path = Path::new(DIR).join("snapshots").join(name);
        open_with(Arc::new(disk.clone()), options).unwrap()
    };
    assert_eq!(read(&snapshot("all"), "x"), all);
    let blocks = read(&snapshot("blocks"), "x");
    assert_eq!((blocks.len(), blocks[0].0), (110, 10));
}

/// What the sweep does: late samples, a deletion, blocks, a snapshot. Whether each succeeded.
fn workload(db: &Db) -> Vec<bool> {
    let mut done = Vec::new();
    for minute in 0..40 {
        let minute = 5 * minute;
        done.push(put(db, "x", minute, minute as f64).is_ok());
        done.push(put(db, "x", minute - 8, -1.0).is_ok());
        if minute % 95 == 90 {
            db.maintain();
        }
    }
    done.push(delete(db, "x", 20, 100).is_ok());
    for minute in 41..70 {
        done.push(put(db, "x", 5 * minute, 1.0).is_ok());
    }
    db.maintain();
    done.push(delete(db, "x", 0, 10).is_ok());
    done.push(db.clean_tombstones().is_ok());
    done.push(db.snapshot("s", false).is_ok());
    done.push(db.sync().is_ok());
    done
}

#[test]
fn faults_lose_nothing_and_bring_nothing_back() {
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()), u64::MAX, Fault::Fail);
    let db = open_with(Arc::new(faulty.clone()), late_options()).unwrap();
    let all_done = workload(&db);
    assert!(all_done.iter().all(|done| *done));
    let want = read(&db, "x");
    drop(db);
    let operations = faulty.operations();
    every_fault(operations, |fault, at| {
        let context = format!("{fault:?} at {at} of {operations}");
        let memory = MemoryDisk::new();
        let faulty = FaultyDisk::new(Arc::new(memory.clone()), at, fault);
        let Ok(db) = open_with(Arc::new(faulty), late_options()) else {
            return;
        };
        let done = workload(&db);
        let now = read(&db, "x");
        drop(db);
        let cut = memory.fork();
        cut.power_cut();
        let after = read(&open_late(&memory), "x");
        if done == all_done {
            assert_eq!(now, want, "{context}");
            assert_eq!(after, want, "{context}, killed");
            let cut = read(&open_late(&cut), "x");
            assert_eq!(cut, want, "{context}, power cut");
        }
        // A refused deletion may hold nevertheless, nothing else may change.
        let lost = now.iter().filter(|sample| !after.contains(sample));
        let refused = done != all_done;
        assert!(
            lost.clone().all(|(m, _)| refused && (0..=100).contains(m)),
            "{context}: lost"
        );
        let more = after.iter().filter(|sample| !now.contains(sample));
        assert!(
            more.clone().all(|_| refused),
            "{context}: {:?}",
            more.collect::<Vec<_>>()
        );
        let whole = PathBuf::from(DIR).join("snapshots/s");
        if memory.list(&whole).is_ok_and(|entries| !entries.is_empty()) && fault != Fault::Dead {
            let mut options = options();
            options.path = whole;
            let copy = open_with(Arc::new(memory.clone()), options).unwrap();
            assert_eq!(read(&copy, "x"), now, "{context}, snapshot");
        }
    });
}

#[test]
fn a_damaged_tombstone_file_is_found() {
    let disk = MemoryDisk::new();
    let db = open_late(&disk);
    for minute in 0..300 {
        put(&db, "x", minute, 1.0).unwrap();
    }
    db.maintain();
    delete(&db, "x", 10, 20).unwrap();
    let ulid = db.blocks()[0].ulid.clone();
    drop(db);
    let path = Path::new(DIR).join(ulid).join("tombstones");
    let length = disk.map(&path).unwrap().len();
    for bit in 0..8 * length {
        let hurt = disk.fork();
        hurt.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let db = open_late(&hurt);
        assert!(
            !read(&db, "x").iter().any(|(m, _)| (10..=20).contains(m)),
            "bit {bit}"
        );
    }
}
