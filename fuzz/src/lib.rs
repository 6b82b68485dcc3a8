//! What the fuzz targets share: a small database written by the real code, and how several files
//! lie in one input.
//!
//! Readers do not verify checksums under `cfg(fuzzing)`: nobody guesses a CRC32C, and the question
//! is what the code behind it makes of bytes that pass.

pub mod queries;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use disk::{Disk, MemoryDisk};
use model::{Labels, MatchOp, Matcher};
use storage::{Appender, Batch, GroupId, Queryable, Sample, Samples, StorageAdmin};
use storage::{StorageStatus, TimedSample};
use tsdb::{Db, OpenError, Options};

/// The data folder.
pub const DIR: &str = "/data";
/// Some time in 2023, at a multiple of two hours.
pub const START_MS: i64 = 1_700_006_400_000;
const MINUTE_MS: i64 = 60_000;

/// Several files in one input: so many lengths (two bytes each, little-endian), then the bytes.
/// What is too long is cut.
pub fn split<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut files = [&[][..]; N];
    let (lengths, mut rest) = input.split_at(input.len().min(2 * N));
    for (file, length) in files.iter_mut().zip(lengths.chunks_exact(2)) {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        (*file, rest) = rest.split_at(rest.len().min(length));
    }
    files
}

/// The opposite of [`split`].
pub fn join(files: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for file in files {
        let length = u16::try_from(file.len()).expect("seeds are small");
        out.extend_from_slice(&length.to_le_bytes());
    }
    files.iter().for_each(|file| out.extend_from_slice(file));
    out
}

/// Puts a file there, if it has bytes.
pub fn put(disk: &MemoryDisk, path: &str, head: &[u8], bytes: &[u8]) {
    let path = Path::new(DIR).join(path);
    let folder = path.parent().expect("a file lies in a folder");
    disk.create_dir_all(folder).expect("memory");
    let file = disk.create(&path).expect("memory");
    file.append(head)
        .and_then(|()| file.append(bytes))
        .expect("memory");
}

/// Opens the database on the disk, which does nothing by itself.
pub fn open(disk: &MemoryDisk, dir: &Path) -> Result<Arc<Db>, OpenError> {
    let mut options = Options::new(dir);
    options.background = false;
    options.wal_sync_interval = Duration::from_secs(3_600);
    options.wal_segment_bytes = 1_500;
    options.out_of_order_window_ms = 6 * 60 * MINUTE_MS;
    let clock = clock::ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<clock::ManualClock>::clone(&clock));
    Db::open(Arc::new(disk.clone()), options, clock, &registry)
}

fn append(db: &Db, group: GroupId, at_ms: i64, points: &[(&str, Option<i64>, f64)]) {
    let (mut samples, mut timed) = (Vec::new(), Vec::new());
    for &(name, own_ms, value) in points {
        let labels = Labels::from_pairs([("__name__", name), ("host", "a"), ("né", "ü")]);
        let Ok(series) = db.series(group, &labels) else {
            return;
        };
        match own_ms {
            None => samples.push(Sample { series, value }),
            Some(timestamp_ms) => timed.push(TimedSample {
                series,
                timestamp_ms,
                value,
            }),
        }
    }
    let _ = db.append(Batch {
        timed: &timed,
        ..Batch::of(group, at_ms, &samples)
    });
}

/// A database with everything in it: two blocks (one with tombstones), sealed chunks, a
/// checkpoint, open rows, late samples, deletions, a snapshot.
pub fn image() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let db = open(&disk, Path::new(DIR)).expect("an empty disk");
    for n in 0..60 {
        let at_ms = START_MS + 6 * MINUTE_MS * n;
        let value = n as f64;
        for job in ["j", "k"] {
            let group = db.open_group(&Labels::from_pairs([("job", job)]));
            let group = group.expect("a group");
            let young = format!("{job}{}", n / 20);
            let mut points = vec![(job, None, value), (&young, None, value / 7.0)];
            if n % 5 == 0 {
                points.push(("own", Some(at_ms - 7_000), -value));
            }
            append(&db, group, at_ms, &points);
            if n % 9 == 8 {
                append(
                    &db,
                    group,
                    at_ms,
                    &[(job, Some(at_ms - 15 * MINUTE_MS), f64::NAN)],
                );
            }
        }
        if n % 16 == 15 {
            db.maintain();
        }
        if n == 50 {
            let j = [Matcher::equal("__name__", "j")];
            db.delete_series(&j, START_MS + 600_000, at_ms - 600_000)
                .expect("a deletion");
        }
    }
    db.snapshot("s", false).expect("a snapshot");
    assert!(!db.blocks().is_empty(), "the image has a block");
    drop(db);
    disk
}

/// Folders of the blocks in `dir`.
pub fn blocks(disk: &MemoryDisk, dir: &Path) -> Vec<PathBuf> {
    let entries = disk.list(dir).unwrap_or_default();
    let folders = entries.into_iter().filter(|entry| entry.name.len() == 26);
    folders.map(|entry| dir.join(entry.name)).collect()
}

/// A disk with the first block of the image and nothing else, and the block's folder.
pub fn one_block() -> (MemoryDisk, PathBuf) {
    let disk = image();
    let dir = Path::new(DIR);
    let mut folders = blocks(&disk, dir);
    let first = folders.remove(0);
    let others = ["snapshots", "chunks_head", "wal"].map(|name| dir.join(name));
    for folder in folders.into_iter().chain(others) {
        disk.remove_dir_all(&folder).expect("memory");
    }
    (disk, first)
}

/// Everything that a querier finds, by text; what cannot be read says so.
pub fn dump(db: &Db) -> Vec<String> {
    let querier = db.querier(i64::MIN, i64::MAX).expect("an open database");
    let mut all = Vec::new();
    match querier.select(true, &Default::default(), &[]) {
        Err(error) => all.push(error.to_string()),
        Ok(set) => {
            for series in set.series {
                let mut samples = Samples::default();
                let read = series.read(i64::MIN, i64::MAX, &mut samples);
                let bits: Vec<_> = samples.values.iter().map(|v| v.to_bits()).collect();
                all.push(format!(
                    "{} {read:?} {:?} {bits:?}",
                    series.labels(),
                    samples.timestamps
                ));
            }
        }
    }
    all
}

/// Asks a database all kinds of things and lets it write what it has anew.
pub fn use_it(db: &Db) {
    dump(db);
    let querier = db.querier(START_MS, START_MS + 3_600_000).expect("open");
    let matchers = [
        Matcher::equal("host", "a"),
        Matcher::new(MatchOp::Regex, "__name__", "j.*|own").expect("a pattern"),
        Matcher::new(MatchOp::NotRegex, "né", "x+").expect("a pattern"),
    ];
    let _ = querier.label_names(&[], 0);
    let _ = querier.label_names(&matchers, 3);
    for name in ["__name__", "host", "né", "no"] {
        let _ = querier.label_values(name, &[], 0);
        let _ = querier.label_values(name, &matchers[..1], 0);
    }
    for at in 0..=matchers.len() {
        let _ = querier.select(true, &Default::default(), &matchers[..at]);
    }
    drop(querier);
    db.stats(10);
    if let Ok(group) = db.open_group(&Labels::from_pairs([("job", "j")])) {
        let at_ms = START_MS + 9 * 3_600_000;
        append(db, group, at_ms, &[("j", None, 1.0), ("new", None, 2.0)]);
    }
    db.maintain();
    let _ = db.clean_tombstones();
    dump(db);
}
