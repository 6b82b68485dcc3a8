//! Every operation of a whole life fails once: rows, late samples, histograms, exemplars, seals,
//! flushes, compaction, deletion, snapshots, retention, the end.
//!
//! A [`Ledger`] writes down what the database was asked and what it answered; from that follows
//! what must be there afterwards, and what may be. It is checked in the process that saw the
//! fault, after a kill, and after power cuts: one that loses all that was not synced, and two that
//! keep some of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use model::Matcher;
use storage::{AppendError, Appender, Batch, ExemplarQueryable, ExemplarSample, HistogramSample};
use storage::{HistogramValue, Sample, StorageAdmin, StorageStatus, TimedSample};
use tsdb::{Db, Options, Retention};

use crate::support::*;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Between batches. Blocks of two hours are written all along.
const STEP_MS: i64 = 6 * MINUTE_MS;
const BATCHES: i64 = 110;
/// What retention keeps, once it is asked to.
const KEPT_MS: i64 = 4 * HOUR_MS;
/// Fewer than are sent, so that the oldest ones go.
const EXEMPLARS_MAX: usize = 12;

fn life_options() -> Options {
    let mut options = options();
    options.out_of_order_window_ms = 6 * HOUR_MS;
    options.wal_segment_bytes = 2_000;
    options.exemplars_max = EXEMPLARS_MAX;
    options
}

/// A sample that was sent.
#[derive(Debug, Clone)]
struct Sent {
    bits: u64,
    /// Its batch, and when it was sent: both count what was asked of the database.
    turn: usize,
    acknowledged: bool,
    synced: bool,
}

#[derive(Debug, Clone)]
struct Deletion {
    series: String,
    from_ms: i64,
    to_ms: i64,
    turn: usize,
    acknowledged: bool,
}

/// What was asked and what was answered.
#[derive(Debug, Clone, Default)]
struct Ledger {
    sent: BTreeMap<(String, i64), Sent>,
    deletions: Vec<Deletion>,
    turn: usize,
    /// Retention was asked to remove what is older.
    may_be_gone_before_ms: Option<i64>,
    /// What was there when a snapshot was taken.
    snapshot: Option<Box<Ledger>>,
    refused: usize,
    /// Exemplars that were sent, and those that the database showed at its end: it may lose one
    /// that the log did not take.
    exemplars: BTreeSet<i64>,
    exemplars_shown: BTreeSet<i64>,
}

/// What happened before the database is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing or a kill: all that was acknowledged is there.
    Kill,
    /// What was synced is there.
    PowerCut,
}

impl Ledger {
    fn append(&mut self, db: &Db, at_ms: i64, points: &[(&str, Option<i64>, f64)]) {
        self.turn += 1;
        let acknowledged = match send(db, at_ms, points) {
            Ok(appended) => {
                assert_eq!(appended, points.len());
                true
            }
            Err(AppendError::Log(_) | AppendError::DiskFull) => false,
            Err(other) => panic!("{other}"),
        };
        self.refused += usize::from(!acknowledged);
        for (series, own_ms, value) in points {
            let sent = Sent {
                bits: match is_histogram(series) {
                    true => fingerprint(&example(0, *value as u64).to_float()),
                    false => value.to_bits(),
                },
                turn: self.turn,
                acknowledged,
                synced: false,
            };
            let key = ((*series).to_owned(), own_ms.unwrap_or(at_ms));
            assert!(self.sent.insert(key, sent).is_none());
        }
    }

    fn note_synced(&mut self) {
        for sent in self.sent.values_mut() {
            sent.synced |= sent.acknowledged;
        }
    }

    fn sync(&mut self, db: &Db) {
        match db.sync() {
            Ok(()) => self.note_synced(),
            Err(_) => self.refused += 1,
        }
    }

    fn delete(&mut self, db: &Db, series: &str, from_ms: i64, to_ms: i64) {
        self.turn += 1;
        let matcher = [Matcher::equal("__name__", series)];
        let acknowledged = db.delete_series(&matcher, from_ms, to_ms).is_ok();
        self.refused += usize::from(!acknowledged);
        self.deletions.push(Deletion {
            series: series.to_owned(),
            from_ms,
            to_ms,
            turn: self.turn,
            acknowledged,
        });
    }

    fn clean(&mut self, db: &Db) {
        self.refused += usize::from(db.clean_tombstones().is_err());
    }

    fn take_snapshot(&mut self, db: &Db) {
        let now = self.clone();
        match db.snapshot("s", false) {
            Ok(()) => self.snapshot = Some(Box::new(now)),
            Err(_) => self.refused += 1,
        }
    }

    /// Whether a deletion that was asked for (and granted, if `granted`) covers the sample.
    fn is_deleted(&self, (series, at_ms): (&str, i64), sent: &Sent, granted: bool) -> bool {
        self.deletions.iter().any(|deletion| {
            deletion.turn > sent.turn
                && deletion.series == series
                && (deletion.from_ms..=deletion.to_ms).contains(&at_ms)
                && (deletion.acknowledged || !granted)
        })
    }

    /// As `check`, and for the exemplars: none that nobody sent, all that were shown.
    fn check_both(&self, found: &(Vec<Dumped>, BTreeSet<i64>), after: After, context: &str) {
        self.check(&found.0, after, context);
        let wrong: Vec<_> = found.1.difference(&self.exemplars).collect();
        assert!(wrong.is_empty(), "{context}: nobody sent {wrong:?}");
        if after == After::Kill {
            let lost: Vec<_> = self.exemplars_shown.difference(&found.1).collect();
            assert!(lost.is_empty(), "{context}: exemplars {lost:?} are lost");
        }
    }

    /// What must hold for `found`; nothing of this asks how the database works.
    fn check(&self, found: &[Dumped], after: After, context: &str) {
        let mut there = BTreeMap::new();
        for (labels, samples) in found {
            for (at_ms, bits) in samples {
                there.insert((labels.metric_name().to_owned(), *at_ms), *bits);
            }
        }
        let mut batches: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
        for (key, sent) in &self.sent {
            let place = (key.0.as_str(), key.1);
            let kept = match after {
                After::Kill => sent.acknowledged,
                After::PowerCut => sent.synced,
            };
            let untouched = !self.is_deleted(place, sent, false)
                && self.may_be_gone_before_ms.is_none_or(|ms| key.1 >= ms);
            match there.remove(key) {
                Some(bits) => {
                    assert_eq!(bits, sent.bits, "{context}: {key:?} {sent:?}");
                    let deleted = self.is_deleted(place, sent, true);
                    assert!(!deleted, "{context}: {key:?} came back, {sent:?}");
                    if untouched {
                        batches.entry(sent.turn).or_default()[0] += 1;
                    }
                }
                None if untouched => {
                    assert!(!kept, "{context}: {key:?} is lost, {sent:?}");
                    batches.entry(sent.turn).or_default()[1] += 1;
                }
                None => {}
            }
        }
        assert!(there.is_empty(), "{context}: nobody sent {there:?}");
        let halves: Vec<_> = batches.iter().filter(|(_, n)| !n.contains(&0)).collect();
        assert!(halves.is_empty(), "{context}: half a batch {halves:?}");
    }
}

/// Series whose names begin so have histograms.
fn is_histogram(series: &str) -> bool {
    series.starts_with("h_")
}

fn send(db: &Db, at_ms: i64, points: &[(&str, Option<i64>, f64)]) -> Result<usize, AppendError> {
    let group = db.open_group(&labels(&[("job", "j")]))?;
    let (mut samples, mut timed, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    for &(name, own_ms, value) in points {
        let series = db.series(group, &labels(&[("__name__", name)]))?;
        match own_ms {
            _ if is_histogram(name) => {
                histograms.push((series, own_ms.unwrap_or(at_ms), example(0, value as u64)));
            }
            None => samples.push(Sample { series, value }),
            Some(timestamp_ms) => timed.push(TimedSample {
                series,
                timestamp_ms,
                value,
            }),
        }
    }
    let histograms = histograms.iter().map(|(series, timestamp_ms, histogram)| {
        let (series, timestamp_ms) = (*series, *timestamp_ms);
        let value = HistogramValue::Integer(histogram);
        HistogramSample {
            series,
            timestamp_ms,
            value,
        }
    });
    let batch = Batch {
        timed: &timed,
        histograms: &histograms.collect::<Vec<_>>(),
        ..Batch::of(group, at_ms, &samples)
    };
    db.append(batch).map(|outcome| outcome.appended)
}

/// A batch that has nothing but an exemplar, whose value says which.
fn send_exemplar(db: &Db, at_ms: i64) {
    let Ok(group) = db.open_group(&labels(&[("job", "j")])) else {
        return;
    };
    let Ok(series) = db.series(group, &labels(&[("__name__", "x")])) else {
        return;
    };
    let exemplar = ExemplarSample {
        series,
        labels: &labels(&[("trace_id", "t")]),
        value: at_ms as f64,
        timestamp_ms: at_ms,
        has_own_time: true,
    };
    let _ = db.append(Batch {
        exemplars: &[exemplar],
        ..Batch::of(group, at_ms, &[])
    });
}

fn exemplars(db: &Db) -> BTreeSet<i64> {
    let selector = vec![Matcher::equal("__name__", "x")];
    let found = db.exemplars(i64::MIN, i64::MAX, &[selector]).unwrap();
    let all = found.iter().flat_map(|series| &series.exemplars);
    all.map(|exemplar| {
        assert_eq!(exemplar.value, exemplar.timestamp_ms as f64);
        exemplar.timestamp_ms
    })
    .collect()
}

/// Eleven hours.
fn live(db: &Db) -> Ledger {
    let mut ledger = Ledger::default();
    let at = |n: i64| START_MS + STEP_MS * n;
    for n in 0..BATCHES {
        let value = n as f64;
        // A new series now and then, so that there are definitions all along.
        let young = format!("young{}", n / 20);
        let mut points = vec![("x", None, value), (&*young, None, -value)];
        if n % 3 == 0 {
            points.push(("own", Some(at(n) - 7_000), value / 7.0));
            points.push(("h_x", None, value));
        }
        ledger.append(db, at(n), &points);
        if n % 4 == 3 {
            // Late, into the head and into time that is in blocks. The histogram is late whatever was
            // refused before: one that comes in order in place of a refused one drops that from
            // what a start finds (docs/formats/wal.md), and a refused batch is there by half.
            let back = if n % 8 == 3 { 5 } else { 40 };
            let own_ms = Some(at(n - back) + 1);
            let late = [("x", own_ms, 0.5), ("h_x", own_ms, value)];
            ledger.append(db, at(n), &late[..if back == 5 { 1 } else { 2 }]);
        }
        if n % 6 == 1 {
            send_exemplar(db, at(n));
            ledger.exemplars.insert(at(n));
        }
        if n % 7 == 6 {
            ledger.sync(db);
        }
        if n % 16 == 15 {
            db.maintain();
        }
        match n {
            50 => ledger.delete(db, "x", at(5), at(45)),
            // What comes after a deletion stays.
            52 => ledger.append(db, at(n), &[("x", Some(at(20) + 2), 0.25)]),
            60 => ledger.take_snapshot(db),
            70 => ledger.clean(db),
            75 => ledger.delete(db, "young3", at(0), at(n)),
            90 => {
                db.set_retention(Retention {
                    time_ms: KEPT_MS,
                    size_bytes: 0,
                    percentage: 0.0,
                });
                ledger.may_be_gone_before_ms = Some(at(BATCHES) - KEPT_MS);
            }
            _ => {}
        }
    }
    db.maintain();
    ledger.sync(db);
    ledger.exemplars_shown = exemplars(db);
    ledger
}

/// The database on a disk, as a start finds it.
fn found_on(disk: &MemoryDisk, dir: &Path, context: &str) -> (Vec<Dumped>, BTreeSet<i64>) {
    let mut options = life_options();
    options.path = dir.to_owned();
    let db = open_with(Arc::new(disk.clone()), options);
    let db = db.unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = (dump(&*db), exemplars(&db));
    // A fault leaves no damage that is not repaired: everything that can be read is well.
    db.maintain();
    found
}

/// Checks a disk after a kill or a power cut, and that a second start finds the same.
fn check_disk(disk: &MemoryDisk, ledger: &Ledger, after: After, context: &str) {
    let dir = PathBuf::from(DIR);
    let found = found_on(disk, &dir, context);
    ledger.check_both(&found, after, context);
    let again = found_on(disk, &dir, context);
    ledger.check_both(&again, after, &format!("{context}, twice"));
    if let Some(snapshot) = &ledger.snapshot {
        let (found, _) = found_on(disk, &dir.join("snapshots/s"), context);
        // Taking a snapshot writes all of the head, so it is all durable.
        snapshot.check(&found, After::Kill, &format!("{context}, snapshot"));
    }
}

fn check_all(memory: &MemoryDisk, ledger: &Ledger, context: &str) {
    let cut = memory.fork();
    cut.power_cut();
    check_disk(&cut, ledger, After::PowerCut, &format!("{context}, cut"));
    for seed in 0..2 {
        let cut = memory.fork();
        let mut random = fastrand::Rng::with_seed(seed);
        cut.power_cut_by(&mut || random.bool());
        let context = format!("{context}, cut {seed}");
        check_disk(&cut, ledger, After::PowerCut, &context);
    }
    check_disk(memory, ledger, After::Kill, &format!("{context}, killed"));
}

fn sweep(options: impl Fn() -> Options + Sync) {
    let quiet = FaultyDisk::new(Arc::new(MemoryDisk::new()), u64::MAX, Fault::Fail);
    let db = open_with(Arc::new(quiet.clone()), options()).unwrap();
    let ledger = live(&db);
    assert_eq!((ledger.refused, db.corruption_count()), (0, 0));
    assert!(db.blocks().len() > 1 && ledger.snapshot.is_some());
    ledger.check(&dump(&*db), After::Kill, "without a fault");
    assert_eq!(ledger.exemplars_shown.len(), EXEMPLARS_MAX);
    let oldest = db.blocks().first().map(|block| block.min_time_ms);
    assert!(
        oldest > Some(START_MS),
        "retention has not removed anything"
    );
    let sync_always = options().wal_sync_interval.is_zero();
    every_fault(quiet.operations(), |fault, at| {
        let context = format!("{fault:?} at {at}");
        let memory = MemoryDisk::new();
        let faulty = FaultyDisk::new(Arc::new(memory.clone()), at, fault);
        let Ok(db) = open_with(Arc::new(faulty), options()) else {
            check_all(&memory, &Ledger::default(), &context);
            return;
        };
        let mut ledger = live(&db);
        if sync_always {
            ledger.note_synced();
        }
        if fault != Fault::Dead {
            assert!(ledger.refused <= 1, "{context}: {} refused", ledger.refused);
        }
        ledger.check(&dump(&*db), After::Kill, &context);
        drop(db);
        check_all(&memory, &ledger, &context);
    });
}

#[test]
fn every_fault_of_a_life() {
    sweep(life_options);
}

#[test]
fn every_fault_with_a_sync_for_every_batch() {
    sweep(|| {
        let mut options = life_options();
        options.wal_sync_interval = std::time::Duration::ZERO;
        options
    });
}

/// A start repairs and moves things; it may be cut short at every operation, too.
#[test]
fn every_fault_of_a_start() {
    let image = MemoryDisk::new();
    let db = open_with(Arc::new(image.clone()), life_options()).unwrap();
    let ledger = live(&db);
    drop(db);
    // A torn write at the end, half a block, half a snapshot, a checkpoint that was begun.
    let last = files_in(&image, "wal").pop().unwrap();
    image
        .open_append(&last)
        .unwrap()
        .append(&[0xf1, 2, 9])
        .unwrap();
    let folder = PathBuf::from(DIR);
    for dir in ["01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp", "snapshots/t.tmp"] {
        image.create_dir_all(&folder.join(dir)).unwrap();
        image.create(&folder.join(dir).join("data")).unwrap();
    }
    image
        .create(&folder.join("wal/checkpoint.00000009.tmp"))
        .unwrap();
    let start = |disk: Arc<dyn Disk>| {
        let db = open_with(disk, life_options())?;
        db.maintain();
        db.close();
        Ok::<_, tsdb::OpenError>(())
    };
    let quiet = FaultyDisk::new(Arc::new(image.fork()), u64::MAX, Fault::Fail);
    start(Arc::new(quiet.clone())).unwrap();
    assert!(quiet.operations() >= 8, "{}", quiet.operations());
    every_fault(quiet.operations(), |fault, at| {
        let memory = image.fork();
        let faulty = FaultyDisk::new(Arc::new(memory.clone()), at, fault);
        let _ = start(Arc::new(faulty));
        check_all(&memory, &ledger, &format!("start, {fault:?} at {at}"));
    });
}
