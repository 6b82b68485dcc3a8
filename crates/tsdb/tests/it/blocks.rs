//! Blocks: written, merged, kept as long as retention says, and damaged ones.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use storage::{Appender, StorageStatus};
use tsdb::{Db, Retention};

use crate::support::*;

const HOUR_MS: i64 = 3_600_000;

/// A sample a minute of three series from `from` to `to` hours after the start.
fn fill(db: &Db, from: i64, to: i64) {
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    for minute in 60 * from..60 * to {
        let points: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| Point {
                series: db.series(group, &labels(&[("__name__", name)])).unwrap(),
                at_ms: None,
                value: minute as f64,
            })
            .collect();
        let at_ms = START_MS + 60_000 * minute;
        assert_eq!(append(db, group, at_ms, &points).unwrap().appended, 3);
        if minute % 30 == 0 {
            db.maintain();
        }
    }
}

fn count(db: &Db) -> Vec<usize> {
    dump(db).iter().map(|(_, samples)| samples.len()).collect()
}

#[test]
fn the_head_becomes_blocks_that_are_merged() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 0, 3);
    assert!(
        db.blocks().is_empty(),
        "three hours are not more than three hours"
    );
    fill(&db, 3, 5);
    let blocks = db.blocks();
    assert_eq!(blocks.len(), 1);
    let end_ms = START_MS + 2 * HOUR_MS;
    assert_eq!(
        (blocks[0].min_time_ms, blocks[0].max_time_ms),
        (START_MS, end_ms)
    );
    assert_eq!((blocks[0].series, blocks[0].samples), (3, 360));
    assert_eq!(db.stats(1).head.min_time_ms, end_ms);
    assert_eq!(count(&db), [300; 3]);
    fill(&db, 5, 12);
    assert_eq!(count(&db), [720; 3]);
    let spans: Vec<_> = db
        .blocks()
        .iter()
        .map(|b| (b.max_time_ms - b.min_time_ms) / HOUR_MS)
        .collect();
    assert!(spans.contains(&6) || spans == [2, 2, 2, 2, 2], "{spans:?}");
    // What is on disk is what was written, once.
    drop(db);
    let db = open(&disk);
    assert_eq!(count(&db), [720; 3]);
    assert_eq!(db.corruption_count(), 0);
    let names = disk.list(Path::new(DIR)).unwrap();
    assert_eq!(
        names.iter().filter(|e| e.name.len() == 26).count(),
        spans.len()
    );
    let chunks = files_in(&disk, "chunks_head");
    assert!(chunks.len() < 5, "{chunks:?}");
}

/// A target may expose a sample of 1970 beside those of today. Found by the fuzzer of the log.
#[test]
fn a_sample_of_long_ago_does_not_make_a_block_for_every_two_hours_since() {
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()), u64::MAX, Fault::Fail);
    let mut options = options();
    options.retention.time_ms = 0;
    let db = open_with(Arc::new(faulty.clone()), options).unwrap();
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let point = |name: &str, at_ms| Point {
        series: db.series(group, &labels(&[("__name__", name)])).unwrap(),
        at_ms,
        value: 1.0,
    };
    let points = [point("now", None), point("then", Some(5))];
    assert_eq!(append(&*db, group, START_MS, &points).unwrap().appended, 2);
    fill(&db, 0, 5);
    let spans: Vec<_> = db.blocks().iter().map(|b| b.min_time_ms).collect();
    assert_eq!(spans, [0, START_MS]);
    assert!(faulty.operations() < 1_000, "{}", faulty.operations());
    let all = dump(&*db);
    let then = all.iter().find(|(name, _)| name.metric_name() == "then");
    assert_eq!(then.unwrap().1.len(), 1);
}

#[test]
fn old_blocks_go_by_retention() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 0, 11);
    assert_eq!(count(&db), [660; 3]);
    let newest = db.blocks().last().unwrap().max_time_ms;
    db.set_retention(Retention {
        time_ms: 4 * HOUR_MS,
        size_bytes: 0,
        percentage: 0.0,
    });
    assert_eq!(db.retention_text(), "4h");
    db.maintain();
    let kept = db.blocks();
    assert!(
        kept.iter()
            .all(|block| newest - block.max_time_ms < 4 * HOUR_MS)
    );
    db.set_retention(Retention {
        time_ms: 0,
        size_bytes: 1,
        percentage: 0.0,
    });
    db.maintain();
    assert!(db.blocks().is_empty());
    let left = count(&db);
    assert!(left[0] > 0 && left[0] < 240, "{left:?}: the head stays");
    drop(db);
    assert_eq!(count(&open(&disk)), left);
}

#[test]
fn a_damaged_block_is_set_aside_and_half_a_block_removed() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 0, 5);
    let ulid = db.blocks()[0].ulid.clone();
    drop(db);
    let half = Path::new(DIR).join("01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp");
    disk.create_dir_all(&half).unwrap();
    let path = Path::new(DIR).join(&ulid);
    disk.damage(&path.join("index"), |bytes| bytes.truncate(bytes.len() / 2));
    let db = open(&disk);
    assert!(db.is_ready() && db.blocks().is_empty());
    let names = disk.list(Path::new(DIR)).unwrap();
    let names: Vec<_> = names.iter().map(|entry| entry.name.as_str()).collect();
    assert!(names.contains(&&*format!("{ulid}.corrupt")), "{names:?}");
    assert!(
        !names.iter().any(|name| name.ends_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn series_that_ended_are_forgotten() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "old")])).unwrap();
    let old = db.series(group, &labels(&[("__name__", "old")])).unwrap();
    let one = [Point {
        series: old,
        at_ms: None,
        value: 1.0,
    }];
    append(&*db, group, START_MS, &one).unwrap();
    db.close_group(group);
    fill(&db, 0, 7);
    assert_eq!(db.stats(1).head.series, 3);
    assert_eq!(dump(&*db).len(), 4, "the block has it");
    let at_ms = START_MS + 7 * HOUR_MS;
    let again = db.open_group(&labels(&[("job", "old")])).unwrap();
    assert_ne!(again, group);
    let outcome = append(&*db, again, at_ms, &one).unwrap();
    assert_eq!((outcome.appended, outcome.unknown), (0, vec![old]));
    let new = db.series(again, &labels(&[("__name__", "old")])).unwrap();
    assert_ne!(new, old, "references are not used again");
    let one = [Point {
        series: new,
        ..one[0]
    }];
    assert_eq!(append(&*db, again, at_ms, &one).unwrap().appended, 1);
    drop(db);
    let db = open(&disk);
    assert_eq!(db.stats(1).head.series, 4);
    let old = &dump(&*db)[3];
    assert_eq!(old.1.len(), 2);
}

/// The log still has the old place of a series that was forgotten and came back elsewhere, and rows
/// that are in blocks by now. Found by the random histories.
#[test]
fn a_series_that_comes_back_elsewhere_is_found_after_a_restart() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let series = |db: &Db, job: &str| {
        let group = db.open_group(&labels(&[("job", job)])).unwrap();
        let series = db.series(group, &labels(&[("__name__", "x")])).unwrap();
        (
            group,
            Point {
                series,
                at_ms: None,
                value: 1.0,
            },
        )
    };
    let (group, point) = series(&db, "one");
    append(&*db, group, START_MS, &[point]).unwrap();
    fill(&db, 0, 7);
    // The index has forgotten it, the group is open as before.
    assert_eq!(db.stats(1).head.series, 3);
    let (group, point) = series(&db, "two");
    let at_ms = START_MS + 7 * HOUR_MS;
    assert_eq!(append(&*db, group, at_ms, &[point]).unwrap().appended, 1);
    drop(db);
    let db = open(&disk);
    assert_eq!(dump(&*db)[3].1.len(), 2);
    let (group, point) = series(&db, "two");
    let late = append(&*db, group, at_ms - 1, &[point]).unwrap();
    assert_eq!((late.appended, late.out_of_order), (0, 1));
    let oldest = db.stats(1).head.min_time_ms;
    assert!(
        oldest >= db.blocks().last().unwrap().max_time_ms,
        "what is in blocks stays there"
    );
}
