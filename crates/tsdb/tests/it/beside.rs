//! Reading a folder while a database runs on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

use disk::{Disk, MemoryDisk};
use storage::{AppendError, Appender, StorageAdmin, StorageStatus};
use tsdb::{Db, OpenError};

use crate::support::*;

const MINUTE_MS: i64 = 60_000;

fn read(disk: &MemoryDisk) -> Result<Arc<Db>, OpenError> {
    let clock = clock::ManualClock::at_ms(START_MS);
    Db::open_read_only(Arc::new(disk.clone()), DIR.as_ref(), clock)
}

fn put(db: &Db, minute: i64) {
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let points = ["x", "y"].map(|name| Point {
        series: db.series(group, &labels(&[("__name__", name)])).unwrap(),
        at_ms: None,
        value: minute as f64,
    });
    append(db, group, START_MS + MINUTE_MS * minute, &points).unwrap();
}

/// Every file with its bytes.
fn bytes(disk: &MemoryDisk) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter();
    files
        .map(|path| (path.clone(), disk.map(&path).unwrap().to_vec()))
        .collect()
}

#[test]
fn nothing_changes_and_all_is_there() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    (0..400).for_each(|minute| put(&db, minute));
    db.maintain();
    (400..450).for_each(|minute| put(&db, minute));
    // What a crash of the server would leave is not cleaned up either.
    let half = std::path::Path::new(DIR).join("01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp");
    disk.create_dir_all(&half).unwrap();
    disk.create(&half.join("data")).unwrap();
    let wal = files_in(&disk, "wal").pop().unwrap();
    disk.open_append(&wal).unwrap().append(b"torn").unwrap();
    let before = bytes(&disk);
    let other = read(&disk).unwrap();
    assert_eq!(dump(&*other), dump(&*db));
    assert_eq!(other.blocks(), db.blocks());
    other.maintain();
    let group = other.open_group(&labels(&[("job", "j")])).unwrap();
    let refused = append(&*other, group, START_MS + MINUTE_MS * 500, &[]);
    assert!(refused.is_ok(), "nothing to write");
    let series = other.series(group, &labels(&[("__name__", "x")])).unwrap();
    let point = Point {
        series,
        at_ms: None,
        value: 1.0,
    };
    let refused = append(&*other, group, START_MS + MINUTE_MS * 500, &[point]);
    assert!(matches!(refused, Err(AppendError::Log(_))), "{refused:?}");
    assert!(other.delete_series(&[], i64::MIN, i64::MAX).is_err());
    other.close();
    assert_eq!(bytes(&disk), before);
}

#[test]
fn damaged_blocks_are_an_error_and_stay() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    (0..400).for_each(|minute| put(&db, minute));
    db.maintain();
    let index = disk
        .files()
        .into_iter()
        .find(|path| path.ends_with("index"));
    disk.damage(&index.unwrap(), |bytes| bytes[3] ^= 1);
    let before = bytes(&disk);
    let error = read(&disk).unwrap_err().to_string();
    assert!(error.contains("block"), "{error}");
    assert_eq!(bytes(&disk), before);
    // No data folder at all.
    assert!(read(&MemoryDisk::new()).is_err());
}

/// Whatever the server does meanwhile, a reader finds every minute that was acknowledged before it
/// began, up to some later one, and no hole.
#[test]
fn a_reader_sees_one_moment_of_a_running_server() {
    let disk = MemoryDisk::new();
    let mut options = options();
    options.wal_segment_bytes = 2_000;
    let db = open_with(Arc::new(disk.clone()), options).unwrap();
    put(&db, 0);
    let (done, written) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for minute in 1..4_000 {
                put(&db, minute);
                written.store(minute, SeqCst);
                if minute % 60 == 0 {
                    db.maintain();
                }
            }
            done.store(true, SeqCst);
        });
        let mut reads = 0;
        while !done.load(SeqCst) || reads == 0 {
            let from = written.load(SeqCst);
            // A server that writes a block every few milliseconds can outrun its readers.
            let is_done = done.load(SeqCst);
            let other = match read(&disk) {
                Ok(other) => other,
                Err(error) if is_done => panic!("{error}"),
                Err(_) => continue,
            };
            reads += 1;
            for (series, samples) in dump(&*other) {
                let minutes = samples.iter().map(|(ms, _)| (ms - START_MS) / MINUTE_MS);
                let minutes: Vec<i64> = minutes.collect();
                let whole: Vec<i64> = (0..minutes.len() as i64).collect();
                assert_eq!(minutes, whole, "{series}");
                assert!(minutes.last() >= Some(&from), "{series} from {from}");
            }
        }
    });
}
