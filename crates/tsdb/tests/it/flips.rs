//! Every bit of every file is flipped once: the answers stay the same, or what is missing is
//! counted, refused or said; nothing that was never written is answered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use disk::{Disk, MemoryDisk};
use model::Matcher;
use storage::{
    Appender, Batch, ExemplarQueryable, ExemplarSample, HistogramSample, HistogramValue,
};
use storage::{Queryable, Samples, StorageAdmin, StorageStatus};
use tsdb::{Db, Options};

use crate::support::*;

const STEP_MS: i64 = 12 * 60_000;

fn small_options() -> Options {
    let mut options = options();
    options.wal_segment_bytes = 400;
    options.out_of_order_window_ms = 4 * 3_600_000;
    options.exemplars_max = 4;
    options
}

/// A database that has a file of every kind, each as small as can be.
fn image() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let db = open_with(Arc::new(disk.clone()), small_options()).unwrap();
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    for n in 0..26 {
        let at_ms = START_MS + STEP_MS * n;
        let series = |name: &str| {
            let labels = labels(&[("__name__", name), ("job", "j")]);
            db.series(group, &labels).unwrap()
        };
        let point = |name: &str, at_ms, value| Point {
            series: series(name),
            at_ms,
            value,
        };
        let n = n as f64;
        let mut points = vec![point("x", None, n), point("y", None, n / 7.0)];
        match n as i64 {
            8 | 18 => points.push(point("own", Some(at_ms - 1), n)),
            24 => points.push(point("x", Some(at_ms - STEP_MS / 2), n)),
            _ => {}
        }
        append(&*db, group, at_ms, &points).unwrap();
        // In chunks, blocks and the log, some of them against the one before; one is late.
        let histogram = match n as i64 {
            1 | 2 | 6 | 21 | 25 => Some((0, false)),
            3 | 22 | 23 => Some((0, true)),
            24 => Some((STEP_MS * 3 / 2, false)),
            _ => None,
        };
        if let Some((back_ms, is_shown)) = histogram {
            append_histogram(&db, at_ms, at_ms - back_ms, n as u64, is_shown);
        }
        if n as i64 == 22 {
            db.maintain();
            let x = [Matcher::equal("__name__", "x")];
            let (from_ms, to_ms) = (START_MS + 3 * STEP_MS, START_MS + 5 * STEP_MS);
            db.delete_series(&x, from_ms, to_ms).unwrap();
            let (from_ms, to_ms) = (START_MS + 15 * STEP_MS, START_MS + 16 * STEP_MS);
            db.delete_series(&x, from_ms, to_ms).unwrap();
        }
    }
    db.maintain();
    for n in 26..29 {
        let series = db.series(group, &labels(&[("__name__", "z")])).unwrap();
        let point = Point {
            series,
            at_ms: None,
            value: n as f64,
        };
        append(&*db, group, START_MS + STEP_MS * n, &[point]).unwrap();
    }
    disk
}

/// A small histogram of series `h`, and maybe an exemplar.
fn append_histogram(db: &Db, batch_ms: i64, timestamp_ms: i64, n: u64, is_shown: bool) {
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "h")])).unwrap();
    let histogram = HistogramSample {
        series,
        timestamp_ms,
        value: HistogramValue::Integer(&example(0, n)),
    };
    let exemplar = ExemplarSample {
        series,
        labels: &labels(&[("t", &n.to_string())]),
        value: n as f64,
        timestamp_ms,
        has_own_time: true,
    };
    let outcome = db.append(Batch {
        histograms: &[histogram],
        exemplars: &[exemplar][..usize::from(is_shown)],
        ..Batch::of(group, batch_ms, &[])
    });
    assert_eq!(outcome.unwrap().appended, 1);
}

/// A sample or an exemplar: series, time, value.
type One = (String, i64, u64);

/// Everything that can be read, and whether something could not.
fn read(db: &Db) -> (BTreeSet<One>, bool) {
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let Ok(set) = querier.select(true, &Default::default(), &[]) else {
        return (BTreeSet::new(), true);
    };
    let (mut all, mut failed) = (BTreeSet::new(), false);
    for series in &set.series {
        let mut samples = Samples::default();
        if series.read(i64::MIN, i64::MAX, &mut samples).is_err() {
            failed = true;
            continue;
        }
        let values = samples.timestamps.iter().zip(&samples.values);
        let name = series.labels().to_string();
        all.extend(values.map(|(at_ms, value)| (name.clone(), *at_ms, value.to_bits())));
        let histograms = samples.histograms.iter();
        all.extend(histograms.map(|(at_ms, h)| (name.clone(), *at_ms, fingerprint(h))));
    }
    let selector = vec![Matcher::equal("__name__", "h")];
    for found in db.exemplars(i64::MIN, i64::MAX, &[selector]).unwrap() {
        for exemplar in found.exemplars {
            let name = format!("{} {}", found.labels, exemplar.labels);
            all.insert((name, exemplar.timestamp_ms, exemplar.value.to_bits()));
        }
    }
    (all, failed)
}

/// What a kind of file may lose without a word, in samples: a damaged record at the very end of
/// the log is a torn one.
fn silent_max(path: &Path, image: &MemoryDisk) -> usize {
    let mut last = files_in(image, "wal").into_iter();
    let last = last.rfind(|path| !path.to_string_lossy().contains("checkpoint"));
    usize::from(last.as_deref() == Some(path))
}

struct Flips<'a> {
    image: &'a MemoryDisk,
    want: BTreeSet<One>,
    blocks: usize,
}

impl Flips<'_> {
    /// Whether the flipped bit was found; panics if it does harm.
    fn is_found(&self, path: &Path, bit: usize) -> bool {
        let context = format!("{} bit {bit} of byte {}", path.display(), bit / 8);
        let hurt = self.image.fork();
        hurt.damage(path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let db = match open_with(Arc::new(hurt), small_options()) {
            Ok(db) => db,
            Err(_) => return true,
        };
        let (got, failed) = read(&db);
        let wrong: Vec<_> = got.difference(&self.want).collect();
        assert!(wrong.is_empty(), "{context}: nobody sent {wrong:?}");
        let found = failed || db.corruption_count() > 0 || db.blocks().len() < self.blocks;
        let lost: Vec<_> = self.want.difference(&got).collect();
        let may = silent_max(path, self.image);
        assert!(
            found || lost.len() <= may,
            "{context}: not found, lost {lost:?}"
        );
        found
    }
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let image = image();
    let db = open_with(Arc::new(image.fork()), small_options()).unwrap();
    let (want, failed) = read(&db);
    assert!(!failed && db.corruption_count() == 0);
    let of_h = want.iter().filter(|(name, ..)| name.contains("\"h\""));
    assert_eq!(of_h.count(), 9 + 3, "histograms and exemplars");
    let blocks = db.blocks().len();
    drop(db);
    let files: Vec<PathBuf> = image.files();
    for part in [
        "meta.json",
        "data",
        "index",
        "tombstones",
        "checkpoint",
        "chunks_head",
        "wal/0",
    ] {
        let there = files
            .iter()
            .any(|path| path.to_string_lossy().contains(part));
        assert!(there, "{part} is not in {files:?}");
    }
    let flips = Flips {
        image: &image,
        want,
        blocks,
    };
    for path in &files {
        let bits = 8 * image.map(path).unwrap().len();
        let (next, found) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..cores() {
                scope.spawn(|| {
                    loop {
                        let bit = next.fetch_add(1, Relaxed);
                        if bit >= bits {
                            break;
                        }
                        found.fetch_add(usize::from(flips.is_found(path, bit)), Relaxed);
                    }
                });
            }
        });
        println!(
            "{}: {bits} bits, {} found",
            path.display(),
            found.into_inner()
        );
    }
}
