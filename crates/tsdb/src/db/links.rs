//! Blocks that take chunks of the head as they are.

use super::*;
use clock::ManualClock;
use disk::{Fault, FaultyDisk, MemoryDisk, Op};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use storage::{Sample, Samples, SelectHints, Series as _, StorageAdmin as _, TimedSample};

use crate::block::chunk_page::Layout;
use crate::block::{Block, BlockSeries, PageCache};
use crate::head::ChunkFiles;

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_700_006_400_000;
/// Three words of slots, the last one not full.
const SERIES: usize = 130;
/// Rows every twenty seconds, so that a block takes several chunks.
const ROWS: i64 = 3;
/// So many minutes make the first block due.
const MINUTES: i64 = 190;

fn open(disk: Arc<dyn Disk>) -> Arc<Db> {
    let clock = ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<ManualClock>::clone(&clock));
    let mut options = Options::new("/data");
    options.background = false;
    options.out_of_order_window_ms = 3_600_000;
    Db::open(disk, options, clock, &registry).unwrap()
}

/// Adds the series of a group in a minute: gaps, stale markers, constants and noise, and series
/// that begin late and end early. A word of slots, and more, is in no chunk of the first hour.
fn put(db: &Db, job: &str, minute: i64) {
    (0..ROWS).for_each(|row| put_row(db, job, minute, row));
}

fn put_row(db: &Db, job: &str, minute: i64, row: i64) {
    let group = db.open_group(&Labels::from_pairs([("job", job)])).unwrap();
    let there = |at: &usize| match at % 5 {
        _ if *at < 66 => minute > 70,
        0 => minute % (*at as i64 + 2) != 0,
        1 => minute > *at as i64,
        2 => minute < 250 - *at as i64,
        3 => (minute + row) % 11 > 2,
        _ => true,
    };
    let value = |at: usize| match (at % 4, minute % 37) {
        (0, 5) => f64::from_bits(model::STALE_NAN_BITS),
        (1, _) => 3.5,
        (2, _) => (at as i64 * minute) as f64,
        _ => (at as f64 + 0.1).powi((minute % 50) as i32),
    };
    let samples: Vec<Sample> = (0..SERIES)
        .rev()
        .filter(there)
        .map(|at| {
            let name = format!("metric_{at}");
            let labels = Labels::from_pairs([("__name__", name.as_str()), ("job", job)]);
            Sample {
                series: db.series(group, &labels).unwrap(),
                value: value(at),
            }
        })
        .collect();
    let at_ms = START_MS + minute * MINUTE_MS + row * MINUTE_MS / ROWS;
    let batch = Batch::of(group, at_ms, &samples);
    let outcome = db.append(batch).unwrap();
    assert_eq!(outcome.appended, samples.len());
}

/// A sample beside the rows of a group.
fn put_beside(db: &Db, job: &str, minute: i64, at_ms: i64) {
    let group = db.open_group(&Labels::from_pairs([("job", job)])).unwrap();
    let labels = Labels::from_pairs([("__name__", "beside"), ("job", job)]);
    let timed = [TimedSample {
        series: db.series(group, &labels).unwrap(),
        timestamp_ms: at_ms,
        value: 1.0,
    }];
    let mut batch = Batch::of(group, START_MS + minute * MINUTE_MS + MINUTE_MS - 1, &[]);
    batch.timed = &timed;
    db.append(batch).unwrap();
}

type Dump = Vec<(String, Vec<(i64, u64)>)>;

fn dump(db: &Db) -> Dump {
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let set = querier.select(true, &SelectHints::default(), &[]).unwrap();
    let read = |series: &dyn storage::Series| {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let values = samples.values.iter().map(|value| value.to_bits());
        samples.timestamps.iter().copied().zip(values).collect()
    };
    let all = set.series.iter();
    all.map(|series| (series.labels().to_string(), read(&**series)))
        .collect()
}

/// Which groups of a block lie in linked files.
fn linked_groups(block: &Block) -> Vec<(String, bool)> {
    let groups = block.tables().groups.iter();
    let job = |key: &Labels| key.get("job").to_owned();
    groups.map(|g| (job(&g.key), g.linked.is_some())).collect()
}

fn chunk_files(disk: &MemoryDisk) -> usize {
    disk.list(Path::new("/data/chunks_head")).unwrap().len()
}

#[test]
fn a_block_takes_chunks_as_they_are_and_a_merge_writes_them_anew() {
    let disk = MemoryDisk::new();
    let mut db = open(Arc::new(disk.clone()));
    for minute in 0..MINUTES {
        for job in ["deleted", "late", "own", "plain", "plain2"] {
            put(&db, job, minute);
        }
        let at_ms = START_MS + minute * MINUTE_MS;
        match minute {
            50 => put_beside(&db, "late", minute, at_ms),
            52 => put_beside(&db, "late", minute, at_ms - 5 * MINUTE_MS),
            60 => put_beside(&db, "own", minute, at_ms + 7),
            _ => {}
        }
    }
    let deleted = [
        Matcher::equal("job", "deleted"),
        Matcher::equal("__name__", "metric_68"),
    ];
    let from_ms = START_MS + 10 * MINUTE_MS;
    db.delete_series(&deleted, from_ms, from_ms + 3 * MINUTE_MS)
        .unwrap();
    let want = dump(&db);
    db.maintain();
    let blocks = db.inner.blocks.all();
    let [block] = &blocks[..] else {
        panic!("{} blocks", blocks.len());
    };
    let plain = |job: &str| (job.to_owned(), job.starts_with("plain"));
    let groups = ["deleted", "late", "own", "plain", "plain2"].map(plain);
    assert_eq!(linked_groups(block), groups);
    assert_eq!(
        block.tables().files,
        1,
        "chunks of one span lie in one file"
    );
    let samples = want.iter().flat_map(|(_, samples)| samples);
    let of_block = samples.filter(|(ms, _)| *ms < block.meta().max_time);
    assert_eq!(block.meta().stats.num_samples, of_block.count() as u64);
    assert_eq!(dump(&db), want);
    drop((blocks, db));

    // Whatever file the samples lie in, a start finds them; and a snapshot takes them along.
    db = open(Arc::new(disk.clone()));
    assert_eq!(dump(&db), want);
    db.snapshot("copy", true).unwrap();
    let copy = Path::new("/data/snapshots/copy");
    let copies = disk.list(copy).unwrap();
    let of_copy = disk.list(&copy.join(&copies[0].name)).unwrap();
    assert!(
        of_copy.iter().any(|entry| entry.name == "chunks.1"),
        "{of_copy:?}"
    );

    // Beyond 18 hours, the first nine blocks become one, with columns of its own.
    for minute in (MINUTES..22 * 60).step_by(5) {
        for job in ["deleted", "late", "own", "plain", "plain2"] {
            put(&db, job, minute);
        }
    }
    let want = dump(&db);
    db.maintain();
    assert_eq!(dump(&db), want);
    let blocks = db.inner.blocks.all();
    let merged = blocks
        .iter()
        .find(|b| b.meta().compaction.level > 1)
        .unwrap();
    assert_eq!(merged.tables().files, 0);
    assert!(blocks.last().unwrap().tables().files > 0);
    assert!(
        chunk_files(&disk) <= 2,
        "files of the head go when its chunks are in blocks"
    );
    drop((blocks, db));
    assert_eq!(dump(&open(Arc::new(disk))), want);
}

/// A disk with one block of one linked group, and what it holds.
fn one_block() -> (MemoryDisk, Dump) {
    let disk = MemoryDisk::new();
    let db = open(Arc::new(disk.clone()));
    for minute in 0..MINUTES {
        put(&db, "plain", minute);
    }
    let mut want = dump(&db);
    db.maintain();
    let max_ms = db.blocks()[0].max_time_ms;
    for (_, samples) in &mut want {
        samples.retain(|(ms, _)| *ms < max_ms);
    }
    want.retain(|(_, samples)| !samples.is_empty());
    (disk, want)
}

/// What a block in a folder has, sorted by labels; `None` if something cannot be read.
fn read_block(disk: &dyn Disk, dir: &Path) -> Option<Dump> {
    let block = Block::open(disk, dir, &PageCache::new(1 << 20)).ok()?;
    let mut found = Dump::new();
    for series in block.select(&[], i64::MIN, i64::MAX, 0).ok()? {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).ok()?;
        let values = samples.values.iter().map(|value| value.to_bits());
        let samples = samples.timestamps.iter().copied().zip(values).collect();
        found.push((series.labels().to_string(), samples));
    }
    found.sort();
    Some(found)
}

fn block_dir(disk: &dyn Disk, parent: &Path) -> PathBuf {
    let entries = disk.list(parent).unwrap();
    let block = entries.iter().find(|e| e.name.parse::<Ulid>().is_ok());
    parent.join(&block.unwrap().name)
}

#[test]
fn damage_of_a_linked_file_is_found() {
    let (disk, mut want) = one_block();
    want.sort();
    let dir = block_dir(&disk, Path::new("/data"));
    assert_eq!(read_block(&disk, &dir).as_ref(), Some(&want));
    let path = dir.join("chunks.1");
    let length = disk.file_length(&path).unwrap() as usize;
    let mut found = 0;
    // Every 97th bit: all kinds of bytes, and a quick test.
    let bits = (0..8 * length).step_by(97);
    for bit in bits.clone() {
        disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        match read_block(&disk, &dir) {
            Some(read) => assert!(read == want, "bit {bit} changed the answer"),
            None => found += 1,
        }
        disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }
    // Heads of chunks are not read: what they say is in the tables.
    assert!(found > bits.len() * 9 / 10, "{found} of {}", bits.len());
    disk.damage(&path, |bytes| bytes.truncate(length / 2));
    assert_eq!(read_block(&disk, &dir), None);
    disk.remove_file(&path).unwrap();
    assert_eq!(read_block(&disk, &dir), None);
}

/// A page is verified when it is read first, and again after the block has rested.
#[test]
fn damage_that_comes_later_is_found_after_a_rest() {
    let (memory, _) = one_block();
    let folder = tempfile::tempdir().unwrap();
    let from = block_dir(&memory, Path::new("/data"));
    for entry in memory.list(&from).unwrap() {
        let bytes = memory.map(&from.join(&entry.name)).unwrap();
        std::fs::write(folder.path().join(&entry.name), &*bytes).unwrap();
    }
    let cache = PageCache::new(1 << 20);
    let block = Block::open(&disk::RealDisk, folder.path(), &cache).unwrap();
    let all = block.select(&[], i64::MIN, i64::MAX, 0).unwrap();
    let read = || {
        let read = |series: &BlockSeries| {
            let mut samples = Samples::default();
            series.read(i64::MIN, i64::MAX, &mut samples)
        };
        all.iter().try_for_each(read)
    };
    read().unwrap();
    // The mapping shows what is written to the file.
    let path = folder.path().join("chunks.1");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end / 4..end / 2].fill(0x55);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    block.rest();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

#[test]
fn where_files_cannot_be_linked_the_block_is_written_whole() {
    let write = |disk: FaultyDisk| {
        let db = open(Arc::new(disk));
        for minute in 0..MINUTES {
            put(&db, "plain", minute);
        }
        let want = dump(&db);
        db.maintain();
        assert_eq!(dump(&db), want);
        let blocks = db.inner.blocks.all();
        assert_eq!(blocks.len(), 1);
        blocks[0].tables().files
    };
    let (operations, link) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (seen, at) = (Arc::clone(&operations), Arc::clone(&link));
    let watch = move |op| {
        let now = seen.fetch_add(1, SeqCst);
        if op == Op::Link {
            at.store(now, SeqCst);
        }
    };
    assert_eq!(
        write(FaultyDisk::watched(Arc::new(MemoryDisk::new()), watch)),
        1
    );
    let link = link.load(SeqCst);
    assert!(link > 0);
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()), link, Fault::Fail);
    assert_eq!(write(disk), 0);
}

#[test]
fn linked_blocks_of_every_version_are_read_for_ever() {
    is_read(4, "compat/v4", Layout::Strung);
    is_read(5, "compat/v5_linked", Layout::Strung);
    is_read(6, "compat/v6_linked", Layout::Indexed);
}

fn is_read(version: u64, folder: &str, layout: Layout) {
    let real = disk::RealDisk;
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (memory, mut want) = one_block();
    want.sort();
    // As the other fixtures: written once, with the variable set to the version.
    let wanted = std::env::var("PROMONTORY_WRITE_FIXTURE").ok();
    if wanted.is_some_and(|wanted| wanted == version.to_string()) {
        let from = block_dir(&memory, Path::new("/data"));
        let to = parent.join(from.file_name().unwrap());
        real.create_dir_all(&to).unwrap();
        for entry in memory.list(&from).unwrap() {
            let bytes = memory.map(&from.join(&entry.name)).unwrap();
            let file = real.create(&to.join(&entry.name)).unwrap();
            file.append(&bytes).unwrap();
        }
    }
    let dir = block_dir(&real, &parent);
    let block = Block::open(&real, &dir, &PageCache::new(1 << 20)).unwrap();
    assert_eq!(
        (block.meta().promontory_format, block.tables().files),
        (version, 1)
    );
    assert_eq!(block.tables().groups[0].linked, Some(layout));
    assert_eq!(read_block(&real, &dir), Some(want.clone()));
    chunk_file_has(&dir.join("chunks.1"), &want);
}

/// The file that a block links is one of the head's: a start finds the same samples in it.
fn chunk_file_has(path: &Path, want: &Dump) {
    let disk = Arc::new(MemoryDisk::new());
    let dir = Path::new("/data/chunks_head");
    disk.create_dir_all(dir).unwrap();
    let file = disk.create(&dir.join("00000001")).unwrap();
    file.append(&std::fs::read(path).unwrap()).unwrap();
    let files = ChunkFiles::new(disk, dir.to_owned(), 2 * 60 * MINUTE_MS);
    let found = files.load().unwrap();
    assert_eq!(found.corruptions, 0);
    let mut samples = BTreeSet::new();
    for chunk in &found.chunks {
        let (head, bytes) = (&chunk.head, files.bytes(chunk).unwrap());
        let times = head.times(&bytes).unwrap();
        for slot in 0..head.slots {
            let mut read = Samples::default();
            let all = (i64::MIN, i64::MAX);
            let mut scratch = codec::floats::DecodeScratch::default();
            head.read(&bytes, slot, &times, all, &mut scratch, &mut read)
                .unwrap();
            let values = read.values.iter().map(|value| value.to_bits());
            samples.extend(read.timestamps.into_iter().zip(values));
        }
    }
    let all: BTreeSet<_> = want
        .iter()
        .flat_map(|(_, samples)| samples)
        .copied()
        .collect();
    assert!(all.len() > 1_000 && all.is_subset(&samples));
}
