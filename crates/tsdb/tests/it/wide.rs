//! Histograms and starts of counters: what is accepted, what queries see, and that it lasts.

use std::sync::Arc;

use disk::{Disk as _, MemoryDisk};
use model::histogram::CounterResetHint;
use model::{FloatHistogram, Histogram, Labels, Matcher};
use proptest::prelude::*;
use storage::memory::MemoryStore;
use storage::{
    AppendOutcome, Appender, Batch, HistogramSample, HistogramValue, Queryable, Sample, Samples,
    SelectHints, SeriesRef, StartTime, StorageAdmin, StorageStatus, TimedSample,
};
use tsdb::{Db, Options};

use crate::support::{DIR, START_MS, example, files_in, labels, open_with, refused_by_place};

const MINUTE_MS: i64 = 60_000;

fn options() -> Options {
    let mut options = crate::support::options();
    options.store_starts = true;
    options
}

fn open(disk: &MemoryDisk) -> Arc<Db> {
    open_with(Arc::new(disk.clone()), options()).unwrap()
}

/// What a point has.
#[derive(Debug, Clone)]
enum Value {
    Float(f64),
    Integer(Histogram),
    FloatHistogram(FloatHistogram),
}

#[derive(Debug, Clone)]
struct WidePoint {
    series: SeriesRef,
    at_ms: Option<i64>,
    value: Value,
    start_ms: i64,
}

fn append_wide(
    to: &dyn Appender,
    group: storage::GroupId,
    timestamp_ms: i64,
    points: &[WidePoint],
) -> AppendOutcome {
    let (mut samples, mut timed, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    let mut starts = Vec::new();
    for point in points {
        let series = point.series;
        let histogram = |value| HistogramSample {
            series,
            timestamp_ms: point.at_ms.unwrap_or(timestamp_ms),
            value,
        };
        match (&point.value, point.at_ms) {
            (Value::Float(value), None) => samples.push(Sample {
                series,
                value: *value,
            }),
            (Value::Float(value), Some(timestamp_ms)) => timed.push(TimedSample {
                series,
                timestamp_ms,
                value: *value,
            }),
            (Value::Integer(h), _) => histograms.push(histogram(HistogramValue::Integer(h))),
            (Value::FloatHistogram(h), _) => histograms.push(histogram(HistogramValue::Float(h))),
        }
        if point.start_ms != 0 {
            let start_ms = point.start_ms;
            starts.push(StartTime { series, start_ms });
        }
    }
    let batch = Batch {
        timed: &timed,
        histograms: &histograms,
        starts: &starts,
        ..Batch::of(group, timestamp_ms, &samples)
    };
    to.append(batch).unwrap()
}

fn read_all(from: &dyn Queryable) -> Vec<(Labels, Samples)> {
    let querier = from.querier(i64::MIN, i64::MAX).unwrap();
    let set = querier.select(true, &SelectHints::default(), &[]).unwrap();
    let all = set.series.iter().map(|series| {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        (series.labels().clone(), samples)
    });
    all.filter(|(_, samples)| !samples.is_empty()).collect()
}

/// Everything as text, sorted: time, value, start. What is said of counter resets is checked, not
/// told: how much is known of them depends on where samples lie.
fn dump_wide(from: &dyn Queryable) -> Vec<(String, Vec<(i64, String)>)> {
    let all = read_all(from).into_iter();
    let all = all.map(|(labels, samples)| {
        let start = |starts: &[i64], at: usize| match starts.get(at) {
            Some(start_ms) => *start_ms,
            None => {
                assert!(starts.is_empty());
                0
            }
        };
        let mut lines = Vec::new();
        for (at, (&ms, value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            let start_ms = start(&samples.starts, at);
            lines.push((ms, format!("{:016x} since {start_ms}", value.to_bits())));
        }
        for (at, (ms, histogram)) in samples.histograms.iter().enumerate() {
            let start_ms = start(&samples.histogram_starts, at);
            let mut histogram = FloatHistogram::clone(histogram);
            if histogram.counter_reset_hint == CounterResetHint::NotReset {
                histogram.counter_reset_hint = CounterResetHint::Unknown;
            }
            let bits = histogram.sum.to_bits();
            lines.push((*ms, format!("{bits:016x} {histogram:?} since {start_ms}")));
        }
        for pair in samples.histograms.windows(2) {
            if pair[1].1.counter_reset_hint == CounterResetHint::NotReset {
                let mut now = FloatHistogram::clone(&pair[1].1);
                now.counter_reset_hint = CounterResetHint::Unknown;
                assert!(!now.detect_reset(&pair[0].1), "a reset at {}", pair[1].0);
            }
        }
        lines.sort();
        (labels.to_string(), lines)
    });
    all.collect()
}

fn same(got: &dyn Queryable, want: &[(String, Vec<(i64, String)>)]) -> Result<(), TestCaseError> {
    let got = dump_wide(got);
    for (got, want) in got.iter().zip(want) {
        prop_assert_eq!(&got.0, &want.0);
        let lost: Vec<_> = want.1.iter().filter(|s| !got.1.contains(s)).collect();
        let more: Vec<_> = got.1.iter().filter(|s| !want.1.contains(s)).collect();
        prop_assert!(got.1 == want.1, "{}: lost {lost:?}, more {more:?}", got.0);
    }
    prop_assert_eq!(got.len(), want.len());
    Ok(())
}

fn hints(db: &Db) -> Vec<CounterResetHint> {
    let all = read_all(db);
    let histograms = all[0].1.histograms.iter();
    histograms.map(|(_, h)| h.counter_reset_hint).collect()
}

#[test]
fn says_what_is_known_of_resets() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "h")])).unwrap();
    // What is appended: shape, counts, what it says itself; and what is known of it.
    let cases = [
        (0, 10, Unknown, Unknown),
        (0, 20, Unknown, NotReset),
        (0, 15, Unknown, Unknown),
        (0, 30, NotReset, NotReset),
        (0, 40, Reset, Unknown),
        (1, 50, Unknown, Unknown),
        (1, 60, Gauge, Gauge),
        (1, 70, Unknown, Unknown),
        (4, 0, Unknown, Unknown),
        (1, 80, Unknown, Unknown),
        (3, 90, Unknown, Unknown),
        (3, 91, Unknown, NotReset),
    ];
    for (n, (shape, count, hint, _)) in (0..).zip(cases) {
        let mut histogram = example(shape, count);
        histogram.counter_reset_hint = hint;
        let point = WidePoint {
            series,
            at_ms: None,
            value: Value::Integer(histogram),
            start_ms: 0,
        };
        let outcome = append_wide(&*db, group, START_MS + n, &[point]);
        assert_eq!(outcome.appended, 1, "{n}");
    }
    let want: Vec<_> = cases.iter().map(|case| case.3).collect();
    assert_eq!(hints(&db), want);
    drop(db);
    let db = open(&disk);
    assert_eq!(hints(&db), want);
    // What takes the place of a neighbour does not know.
    let all = [Matcher::equal("__name__", "h")];
    db.delete_series(&all, START_MS, START_MS).unwrap();
    assert_eq!(hints(&db)[0], Unknown);
}

/// The log may have a histogram that is in a block by now, while the newest one of its series lies
/// in a chunk, which replay passes over: the next one is compared with the newest.
#[test]
fn after_a_start_a_reset_is_seen_behind_what_is_in_a_chunk() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let send = |db: &Db, job: &str, name: &str, minute: i64, value: Value| {
        let group = db.open_group(&labels(&[("job", job)])).unwrap();
        let series = labels(&[("__name__", name), ("job", job)]);
        let at_ms = START_MS + minute * MINUTE_MS;
        let point = WidePoint {
            series: db.series(group, &series).unwrap(),
            at_ms: (job == "other").then_some(at_ms),
            value,
            start_ms: 0,
        };
        assert_eq!(append_wide(db, group, at_ms, &[point]).appended, 1);
    };
    let histogram = |count| Value::Integer(example(0, count));
    // The other target's samples have own times, which no block boundary seals: the log keeps
    // everything behind the first one.
    send(&db, "other", "f", 121, Value::Float(1.0));
    send(&db, "j", "h", 110, histogram(10));
    send(&db, "j", "h", 200, histogram(50));
    send(&db, "other", "f", 299, Value::Float(1.0));
    // The first two hours go into a block and their chunk's file is removed; what has been idle
    // since is sealed.
    db.maintain();
    assert_eq!(db.blocks().len(), 1);
    drop(db);
    let db = open(&disk);
    // Within a block, nothing is between it and the one before.
    send(&db, "j", "h", 239, histogram(20));
    send(&db, "other", "f", 305, Value::Float(1.0));
    db.maintain();
    assert_eq!(db.blocks().len(), 2);
    let all = read_all(&*db);
    let all = all.iter().find(|(labels, _)| labels.metric_name() == "h");
    let all = all.unwrap().1.histograms.iter();
    let found: Vec<_> = all.map(|(_, h)| (h.count, h.counter_reset_hint)).collect();
    let count = |n| example(0, n).count as f64;
    use CounterResetHint::Unknown;
    assert_eq!(
        found,
        [
            (count(10), Unknown),
            (count(50), Unknown),
            (count(20), Unknown)
        ]
    );
}

/// Histograms of the log stand on those before them, but not without end: see `docs/formats/wal.md`.
#[test]
fn a_damaged_record_costs_no_more_than_29_histograms_that_follow() {
    const COUNT: usize = 100;
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "h")])).unwrap();
    for n in 0..COUNT as u64 {
        let point = WidePoint {
            series,
            at_ms: None,
            value: Value::Integer(example(0, n)),
            start_ms: 0,
        };
        append_wide(&*db, group, START_MS + 1_000 * n as i64, &[point]);
    }
    drop(db);
    let path = files_in(&disk, "wal").pop().unwrap();
    let bytes = disk.map(&path).unwrap().to_vec();
    let (mut at, mut costs) = (8, Vec::new());
    while let [0xf1, kind, a, b, c, d, ..] = bytes[at..] {
        let end = at + 10 + u32::from_le_bytes([a, b, c, d]) as usize;
        if kind == 8 {
            let hurt = disk.fork();
            hurt.damage(&path, |bytes| bytes[end - 1] ^= 1);
            let db = open(&hurt);
            costs.push(COUNT - read_all(&*db)[0].1.histograms.len());
        }
        at = end;
    }
    // The first one is there twice.
    assert_eq!((costs.len(), costs[0], costs[1]), (COUNT + 1, 0, 0));
    assert_eq!(costs.iter().max(), Some(&30), "{costs:?}");
}

#[test]
fn takes_histograms_as_it_takes_floats() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let series = db.series(group, &labels(&[("__name__", "h")])).unwrap();
    let mut wrong = example(0, 5);
    wrong.count += 1;
    let histogram = |n| Value::Integer(example(0, n));
    let late = FloatHistogram::default();
    let cases = [
        (0, histogram(5), "appended"),
        (0, histogram(5), "appended"),
        (0, histogram(6), "duplicate"),
        (
            0,
            Value::FloatHistogram(example(0, 5).to_float()),
            "duplicate",
        ),
        (0, Value::Float(1.0), "duplicate"),
        (-1, histogram(4), "out of order"),
        (5, Value::Integer(wrong), "invalid"),
        (10, Value::Float(1.0), "appended"),
        (10, histogram(7), "duplicate"),
        (20, Value::FloatHistogram(late), "appended"),
        (30, Value::Float(model::STALE_NAN), "appended"),
        (-2 * 3_600_000, histogram(1), "out of bounds"),
    ];
    for (ms, value, want) in cases {
        let point = WidePoint {
            series,
            at_ms: None,
            value,
            start_ms: 0,
        };
        let outcome = append_wide(&*db, group, START_MS + ms, &[point]);
        let counts = [
            (outcome.appended, "appended"),
            (outcome.duplicate, "duplicate"),
            (outcome.out_of_order, "out of order"),
            (outcome.invalid_histograms, "invalid"),
            (outcome.out_of_bounds, "out of bounds"),
        ];
        let told: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
        assert_eq!(told, [&(1, want)], "at {ms}");
    }
    let samples = &read_all(&*db)[0].1;
    assert_eq!(samples.timestamps, [START_MS + 10]);
    let times: Vec<_> = samples
        .histograms
        .iter()
        .map(|(ms, _)| ms - START_MS)
        .collect();
    assert_eq!(times, [0, 20, 30], "a series of histograms ends as one");
    assert!(samples.histograms[2].1.is_stale());
}

#[test]
fn starts_are_kept_with_their_samples() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let a = db.series(group, &labels(&[("__name__", "a")])).unwrap();
    let b = db.series(group, &labels(&[("__name__", "b")])).unwrap();
    let mut want = Vec::new();
    // Enough for sealed chunks and open rows.
    for n in 0..300i64 {
        let start_ms = match n {
            0..50 => 0,
            50..200 => START_MS - 7,
            200..210 => 0,
            _ => START_MS + 200 * MINUTE_MS / 4,
        };
        let at_ms = START_MS + n * MINUTE_MS / 4;
        let point = |series, start_ms| WidePoint {
            series,
            at_ms: None,
            value: Value::Float(n as f64),
            start_ms,
        };
        append_wide(&*db, group, at_ms, &[point(a, start_ms), point(b, 0)]);
        want.push(start_ms);
    }
    for round in 0..2 {
        let db = open_with(Arc::new(disk.fork()), options()).unwrap();
        let all = read_all(&*db);
        assert_eq!(all[0].1.starts, want, "{round}");
        assert!(
            all[1].1.starts.is_empty(),
            "nobody pays for it who has none"
        );
    }
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Append {
        group: usize,
        ahead_ms: i64,
        points: Vec<(u64, Option<i64>, u8)>,
    },
    Reopen,
    Maintain,
    Delete {
        name: String,
        from_ms: i64,
        to_ms: i64,
    },
    Clean,
    Snapshot,
}

fn step(late: bool) -> impl Strategy<Value = Step> {
    let late_ms: i64 = if late { 6 * 3_600_000 } else { 40_000 };
    let own = prop_oneof![3 => -40_000i64..40_000, 1 => -late_ms..0];
    let own = prop::option::weighted(0.15, own);
    let points = prop::collection::vec((0u64..8, own, any::<u8>()), 0..8);
    let ahead = prop_oneof![6 => -3_000i64..60_000, 1 => 60_000i64..1_800_000];
    let append = (0usize..2, ahead, points);
    let far_ms = prop_oneof![Just(40_000i64), Just(3 * 3_600_000), Just(40 * 3_600_000)];
    let times = far_ms.prop_flat_map(|far_ms| (-far_ms..40_000, 0..far_ms));
    let delete = ("m[0-7]|m[0-5]", times);
    let delete = delete.prop_map(|(name, (from_ms, length_ms))| Step::Delete {
        name,
        from_ms,
        to_ms: from_ms + length_ms,
    });
    prop_oneof![
        60 => append.prop_map(|(group, ahead_ms, points)| Step::Append { group, ahead_ms, points }),
        1 => Just(Step::Reopen),
        2 => Just(Step::Maintain),
        1 => delete,
        1 => prop_oneof![Just(Step::Clean), Just(Step::Snapshot)],
    ]
}

/// The value of a series at a time: two series of floats, four of histograms, two that switch. At
/// one time, a series never has both kinds.
fn value(series: u64, at_ms: i64, kind: u8) -> Value {
    let switched = at_ms.div_euclid(100_000) % 2 == 0;
    if series < 2 || series >= 6 && switched {
        return Value::Float(f64::from(kind) / 7.0);
    }
    let shape = match (series, kind % 16) {
        (2..6, 0) => 4,
        (_, 1) => u64::from(kind / 16) % 4,
        _ => series % 4,
    };
    let seconds = at_ms.div_euclid(1_000).rem_euclid(5_000) as u64;
    let mut histogram = example(shape, seconds + u64::from(kind / 32));
    if kind > 250 {
        histogram.counter_reset_hint = CounterResetHint::Gauge;
    }
    match series % 2 {
        0 => Value::Integer(histogram),
        _ => Value::FloatHistogram(histogram.to_float()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn answers_as_the_obvious_store(
        (window_ms, steps) in prop_oneof![1 => Just(0i64), 2 => Just(5 * 3_600_000)]
            .prop_flat_map(|window_ms| {
                (Just(window_ms), prop::collection::vec(step(window_ms > 0), 1..400))
            })
    ) {
        let disk = MemoryDisk::new();
        let mut db = open(&disk);
        let plain = MemoryStore::new();
        if window_ms > 0 {
            db.set_out_of_order_window_ms(window_ms);
            plain.set_out_of_order_window(window_ms, 3_600_000);
        }
        let mut now_ms = START_MS;
        let mut snapshots = 0;
        for step in steps {
            match step {
                Step::Append { group, ahead_ms, points } => {
                    now_ms += ahead_ms;
                    let group_labels = labels(&[("job", ["x", "y"][group])]);
                    let both: [&dyn Appender; 2] = [&*db, &plain];
                    let outcomes = both.map(|to| {
                        let group = to.open_group(&group_labels).unwrap();
                        let points: Vec<_> = points.iter().map(|(series, own, kind)| {
                            let labels = labels(&[("__name__", &format!("m{series}"))]);
                            let at_ms = own.map(|ms| now_ms + ms);
                            let of_ms = at_ms.unwrap_or(now_ms);
                            // Of what comes twice for one time, late, either may stay.
                            let (kind, start_ms) = match (window_ms, kind % 5) {
                                (0, 0) => (*kind, 0),
                                (0, 1) => (*kind, now_ms - 1_000),
                                (0, _) => (*kind, START_MS - 1),
                                _ => (of_ms.rem_euclid(251) as u8, (*series % 2) as i64 * 1_000),
                            };
                            WidePoint {
                                series: to.series(group, &labels).unwrap(),
                                at_ms,
                                value: value(*series, of_ms, kind),
                                start_ms,
                            }
                        }).collect();
                        let outcome = append_wide(to, group, now_ms, &points);
                        let series = points.iter().map(|point| point.series);
                        refused_by_place(outcome, series)
                    });
                    prop_assert_eq!(&outcomes[0], &outcomes[1]);
                }
                Step::Reopen => {
                    let before = dump_wide(&*db);
                    drop(db);
                    db = open(&disk);
                    db.set_out_of_order_window_ms(window_ms);
                    prop_assert_eq!(db.corruption_count(), 0);
                    same(&*db, &before)?;
                }
                Step::Maintain => db.maintain(),
                Step::Delete { name, from_ms, to_ms } => {
                    let matcher = Matcher::new(model::MatchOp::Regex, "__name__", &name).unwrap();
                    let (from_ms, to_ms) = (now_ms + from_ms, now_ms + to_ms);
                    plain.delete(std::slice::from_ref(&matcher), from_ms, to_ms);
                    db.delete_series(&[matcher], from_ms, to_ms).unwrap();
                    same(&*db, &dump_wide(&plain))?;
                }
                Step::Clean => {
                    let before = dump_wide(&*db);
                    db.clean_tombstones().unwrap();
                    same(&*db, &before)?;
                }
                Step::Snapshot => {
                    snapshots += 1;
                    let name = format!("snap-{snapshots}");
                    db.snapshot(&name, false).unwrap();
                    let mut options = options();
                    options.path = std::path::Path::new(DIR).join("snapshots").join(name);
                    let copy = open_with(Arc::new(disk.fork()), options).unwrap();
                    prop_assert_eq!(copy.corruption_count(), 0);
                    same(&*copy, &dump_wide(&*db))?;
                }
            }
        }
        same(&*db, &dump_wide(&plain))?;
        prop_assert_eq!(db.corruption_count(), 0);
    }
}

#[test]
fn native_histograms_of_the_head_are_counted() {
    let clock = clock::ManualClock::at_ms(START_MS);
    let registry = telemetry::Registry::new(Arc::<clock::ManualClock>::clone(&clock));
    let disk = Arc::new(MemoryDisk::new());
    let db = Db::open(disk, options(), clock, &registry).unwrap();
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let mut buckets = 0;
    for (name, shape) in [("a", 0), ("b", 1), ("float", 2)] {
        let series = db.series(group, &labels(&[("__name__", name)])).unwrap();
        for n in 0..3 {
            let histogram = example(shape, n);
            let value = match name {
                "float" => Value::Float(n as f64),
                _ => Value::Integer(histogram.clone()),
            };
            if n == 2 && name != "float" {
                buckets += histogram.positive_buckets.len() + histogram.negative_buckets.len();
            }
            let point = WidePoint {
                series,
                at_ms: None,
                value,
                start_ms: 0,
            };
            append_wide(&*db, group, START_MS + n as i64 * MINUTE_MS, &[point]);
        }
    }
    let mut text = String::new();
    registry.expose(&mut text);
    for (what, count) in [("series", 2), ("buckets", buckets)] {
        let line = format!("\nprometheus_tsdb_head_native_histogram_{what} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}
