//! Writers, readers and the database's own threads at the same time.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use disk::MemoryDisk;
use storage::{Appender, Queryable, StorageError, StorageStatus};

use crate::support::*;

const WRITERS: i64 = 3;
const BATCHES: i64 = 1_500;

#[test]
fn queries_see_whole_batches_while_everything_moves() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let done = AtomicBool::new(false);
    // The head takes nothing that is an hour older than the newest sample.
    let in_step = Barrier::new(WRITERS as usize);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (db, in_step) = (&db, &in_step);
                scope.spawn(move || {
                    let job = writer.to_string();
                    let mut refused = 0;
                    for n in 0..BATCHES {
                        if n % 100 == 0 {
                            in_step.wait();
                        }
                        let group = db.open_group(&labels(&[("job", &job)])).unwrap();
                        let points: Vec<_> = ["a", "b", "c"]
                            .into_iter()
                            .map(|name| {
                                let labels = labels(&[("__name__", name), ("job", &job)]);
                                let series = db.series(group, &labels).unwrap();
                                let value = n as f64;
                                Point {
                                    series,
                                    at_ms: None,
                                    value,
                                }
                            })
                            .collect();
                        let outcome = append(&**db, group, START_MS + 15_000 * n, &points);
                        refused += 3 - outcome.unwrap().appended;
                    }
                    refused
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(SeqCst) {
                db.maintain();
                db.sync().unwrap();
            }
        });
        scope.spawn(|| {
            while !done.load(SeqCst) {
                for three in dump(&*db).chunk_by(|a, b| a.0.get("job") == b.0.get("job")) {
                    let newest: Vec<_> = three.iter().map(|(_, s)| s.last()).collect();
                    assert!(newest.windows(2).all(|two| two[0] == two[1]), "{newest:?}");
                }
            }
        });
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, SeqCst);
        for refused in ended {
            assert_eq!(refused.unwrap(), 0);
        }
    });
    let sizes: Vec<_> = dump(&*db)
        .iter()
        .map(|(_, samples)| samples.len())
        .collect();
    assert_eq!(sizes, vec![BATCHES as usize; 3 * WRITERS as usize]);
    // On a busy machine, the writers may be done before the first block was due.
    db.maintain();
    assert!(!db.blocks().is_empty());
}

#[test]
fn is_not_ready_before_the_log_is_read() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "x")])).unwrap();
    for n in 0..500 {
        let one = [Point {
            series,
            at_ms: None,
            value: n as f64,
        }];
        append(&*db, group, START_MS + n, &one).unwrap();
    }
    drop(db);
    let mut options = options();
    options.background = true;
    options.wal_sync_interval = Duration::from_millis(1);
    let db = open_with(Arc::new(disk.clone()), options).unwrap();
    // Whatever the threads have done by now, the answers fit together.
    while !db.is_ready() {
        if let Err(error) = db.querier(0, i64::MAX) {
            assert_eq!(error, StorageError::NotReady);
        }
        std::thread::yield_now();
    }
    assert_eq!(dump(&*db)[0].1.len(), 500);
    let progress = db.replay_progress();
    assert_eq!((progress.min, progress.max, progress.current), (1, 1, 1));
    db.close();
    drop(db);
    assert_eq!(dump(&*open(&disk))[0].1.len(), 500);
}
