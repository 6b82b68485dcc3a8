//! What is accepted, what queries see, and that it equals the obvious store.

use disk::MemoryDisk;
use model::{Labels, Matcher, STALE_NAN_BITS};
use proptest::prelude::*;
use storage::memory::MemoryStore;
use storage::{AppendError, AppendOutcome, Appender, Queryable, StorageAdmin, StorageStatus};

use crate::support::*;

fn point(series: storage::SeriesRef, value: f64) -> Point {
    Point {
        series,
        at_ms: None,
        value,
    }
}

#[test]
fn every_bit_pattern_survives() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let patterns = [
        STALE_NAN_BITS,
        STALE_NAN_BITS + 1,
        0x7ff8_0000_0000_0001,
        0xfff8_dead_beef_0001,
        (-0.0f64).to_bits(),
        0,
        f64::INFINITY.to_bits(),
        1,
        u64::MAX,
    ];
    let series = db.series(group, &labels(&[("__name__", "x")])).unwrap();
    let mut want = Vec::new();
    // Enough rows for sealed chunks and open ones.
    for n in 0..400 {
        let bits = patterns[n % patterns.len()];
        let at_ms = START_MS + 15_000 * n as i64;
        append(&*db, group, at_ms, &[point(series, f64::from_bits(bits))]).unwrap();
        want.push((at_ms, bits));
    }
    let want = vec![(labels(&[("__name__", "x")]), want)];
    assert_eq!(dump(&*db), want);
    drop(db);
    assert_eq!(dump(&*open(&disk)), want);
}

#[test]
fn refuses_sample_by_sample_as_documented() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    let a = db.series(group, &labels(&[("__name__", "a")])).unwrap();
    let b = db.series(group, &labels(&[("__name__", "b")])).unwrap();
    let at = |series, ms: i64, value| Point {
        series,
        at_ms: Some(START_MS + ms),
        value,
    };
    let ghost = storage::SeriesRef(77 << 32);
    let hour = 3_600_000;
    let cases: Vec<(&str, i64, Vec<Point>, [usize; 4])> = vec![
        ("first", 0, vec![point(a, 1.0)], [1, 0, 0, 0]),
        ("same again", 0, vec![point(a, 1.0)], [1, 0, 0, 0]),
        ("other value", 0, vec![point(a, 2.0)], [0, 0, 1, 0]),
        (
            "other series, same time",
            0,
            vec![point(b, 2.0)],
            [1, 0, 0, 0],
        ),
        (
            "older",
            -1,
            vec![point(a, 1.0), point(b, 1.0)],
            [0, 2, 0, 0],
        ),
        ("newer", 10, vec![point(a, 1.0)], [1, 0, 0, 0]),
        (
            "late but new for b",
            5,
            vec![point(a, 9.0), point(b, 3.0)],
            [1, 1, 0, 0],
        ),
        (
            "twice in a batch",
            20,
            vec![point(a, 1.0), point(a, 1.0), point(a, 2.0)],
            [2, 0, 1, 0],
        ),
        (
            "own times",
            30,
            vec![
                at(a, 25, 1.0),
                at(a, 25, 1.0),
                at(a, 24, 1.0),
                at(b, 6, 1.0),
            ],
            [3, 1, 0, 0],
        ),
        (
            "own and shared",
            40,
            vec![
                point(a, 4.0),
                at(a, 39, 1.0),
                at(a, 40, 5.0),
                at(a, 41, 5.0),
            ],
            [2, 1, 1, 0],
        ),
        (
            "after an own time",
            41,
            vec![point(a, 5.0), point(b, 1.0)],
            [2, 0, 0, 0],
        ),
        (
            "unknown",
            50,
            vec![point(ghost, 1.0), point(a, 1.0)],
            [1, 0, 0, 0],
        ),
        ("two hours on", 2 * hour, vec![point(a, 1.0)], [1, 0, 0, 0]),
        (
            "below the floor",
            hour - 1,
            vec![point(b, 1.0), at(b, hour, 1.0)],
            [1, 0, 0, 1],
        ),
    ];
    for (name, ms, points, want) in cases {
        let outcome = append(&*db, group, START_MS + ms, &points).unwrap();
        let AppendOutcome {
            appended,
            out_of_order,
            duplicate,
            out_of_bounds,
            ..
        } = outcome;
        assert_eq!(
            [appended, out_of_order, duplicate, out_of_bounds],
            want,
            "{name}"
        );
        let unknown = if name == "unknown" {
            vec![ghost]
        } else {
            vec![]
        };
        assert_eq!(outcome.unknown, unknown, "{name}");
    }
    let empty = db.series(group, &Labels::empty()).unwrap_err();
    assert!(matches!(empty, AppendError::InvalidLabels { .. }));
    let read = |db: &dyn Queryable, name: &str| {
        let matcher = [Matcher::equal("__name__", name)];
        let dumped = dump_range(db, &matcher, (i64::MIN, i64::MAX));
        let times = dumped[0].1.iter().map(|(t, _)| t - START_MS);
        times.collect::<Vec<_>>()
    };
    let want_a = [0, 10, 20, 25, 40, 41, 50, 2 * hour];
    let want_b = [0, 5, 6, 41, hour];
    assert_eq!(
        (read(&*db, "a"), read(&*db, "b")),
        (want_a.to_vec(), want_b.to_vec())
    );
    drop(db);
    let db = open(&disk);
    assert_eq!(
        (read(&*db, "a"), read(&*db, "b")),
        (want_a.to_vec(), want_b.to_vec())
    );
}

#[test]
fn a_querier_sees_whole_batches_as_of_its_making() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let one = db.open_group(&labels(&[("job", "one")])).unwrap();
    let two = db.open_group(&labels(&[("job", "two")])).unwrap();
    let a = db.series(one, &labels(&[("__name__", "a")])).unwrap();
    let b = db.series(two, &labels(&[("__name__", "b")])).unwrap();
    append(&*db, one, START_MS, &[point(a, 1.0), point(b, 1.0)]).unwrap();
    let querier = db.querier(i64::MIN, i64::MAX).unwrap();
    let mut n = 0;
    // Until rows of after the querier's making are sealed, too.
    while n < 130 {
        n += 1;
        append(&*db, one, START_MS + n, &[point(a, 2.0), point(b, 2.0)]).unwrap();
    }
    let set = querier.select(true, &Default::default(), &[]).unwrap();
    let sizes = set.series.iter().map(|series| {
        let mut samples = storage::Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        samples.len()
    });
    let sizes: Vec<_> = sizes.collect();
    assert_eq!(sizes[1], sizes[0], "a batch over two groups is one");
    let later = dump(&*db);
    assert!(later.iter().all(|(_, samples)| samples.len() == 131));
}

#[test]
fn a_target_that_moves_goes_on_with_its_series() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let old = labels(&[("__metrics_path__", "/metrics"), ("job", "j")]);
    let old = db.open_group(&old).unwrap();
    let names: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    let look_up = |group| {
        let series = names.iter().map(|name| {
            let labels = labels(&[("__name__", name), ("job", "j")]);
            db.series(group, &labels).unwrap()
        });
        series.collect::<Vec<_>>()
    };
    let batch = |series: &[storage::SeriesRef], n: i64| {
        let values = series.iter().zip(0i64..);
        let points = values.map(|(series, slot)| point(*series, (slot * 7 + n) as f64));
        points.collect::<Vec<_>>()
    };
    let mut written = 0;
    let mut write = |group, at: i64, samples: &[Point]| {
        append(&*db, group, START_MS + 15_000 * at, samples).unwrap();
        let all = disk::size_of_dir(&disk, std::path::Path::new("/data/wal")).unwrap();
        all - std::mem::replace(&mut written, all)
    };
    let series = look_up(old);
    let mut in_rows = 0;
    for at in 0..6 {
        in_rows = write(old, at, &batch(&series, at));
    }
    // Its path changes, and one series is new.
    db.close_group(old);
    let new = labels(&[("__metrics_path__", "/new"), ("job", "j")]);
    let new = db.open_group(&new).unwrap();
    let mut series = look_up(new);
    series.push(db.series(new, &labels(&[("__name__", "more")])).unwrap());
    let mut costs = Vec::new();
    for at in 6..12 {
        costs.push(write(new, at, &batch(&series, at)));
    }
    assert!(costs[0] > 2 * in_rows, "from outside at first: {costs:?}");
    let last = costs[5];
    assert!(
        last < in_rows + 40,
        "in rows again: {costs:?}, {in_rows} before"
    );
    // What is new now lies with the others.
    series.push(db.series(new, &labels(&[("__name__", "most")])).unwrap());
    write(new, 12, &batch(&series, 12));
    // Its definition is written twice.
    write(new, 13, &batch(&series, 13));
    assert!(write(new, 14, &batch(&series, 14)) < in_rows + 60);
    // A target that writes there itself keeps others from adopting.
    db.close_group(new);
    let third = db.open_group(&labels(&[("job", "third")])).unwrap();
    let fourth = db.open_group(&labels(&[("job", "fourth")])).unwrap();
    for at in 15..18 {
        write(third, at, &batch(&series, at));
    }
    assert!(write(third, 18, &batch(&series, 18)) < in_rows + 60);
    write(fourth, 19, &batch(&series, 19));
    assert!(write(fourth, 20, &batch(&series, 20)) > 2 * in_rows);

    let before = dump(&*db);
    assert_eq!(before.len(), 202);
    for (labels, samples) in &before {
        let first = match labels.get("__name__") {
            "more" => 6,
            "most" => 12,
            _ => 0,
        };
        assert_eq!(samples.len(), 21 - first, "{labels}");
    }
    drop(db);
    assert_eq!(dump(&*open(&disk)), before);
}

#[test]
fn is_not_ready_when_closed() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    assert!(db.is_ready());
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    assert_eq!(db.open_group(&labels(&[("job", "j")])).unwrap(), group);
    let again = open_with(std::sync::Arc::new(disk.clone()), options());
    assert_eq!(
        again.unwrap_err().to_string(),
        "lock DB directory: resource temporarily unavailable"
    );
    db.close();
    assert!(!db.is_ready());
    assert_eq!(db.open_group(&Labels::empty()), Err(AppendError::NotReady));
    assert_eq!(append(&*db, group, 0, &[]), Err(AppendError::NotReady));
    assert!(db.querier(0, 1).is_err());
    open(&disk);
}

#[test]
fn counts_cardinality() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let group = db.open_group(&labels(&[("job", "j")])).unwrap();
    for n in 0..5 {
        let host = n.to_string();
        let name = if n < 3 { "a" } else { "b" };
        let series = db.series(group, &labels(&[("__name__", name), ("host", &host)]));
        append(&*db, group, START_MS + n, &[point(series.unwrap(), 1.0)]).unwrap();
    }
    let stats = db.stats(1);
    assert_eq!((stats.head.series, stats.head.label_pairs), (5, 7));
    assert_eq!(
        (stats.head.min_time_ms, stats.head.max_time_ms),
        (START_MS, START_MS + 4)
    );
    assert_eq!(
        (
            &*stats.series_by_metric[0].name,
            stats.series_by_metric[0].value
        ),
        ("a", 3)
    );
    assert_eq!(
        (
            &*stats.values_by_label[0].name,
            stats.values_by_label[0].value
        ),
        ("host", 5)
    );
    let querier = db.querier(START_MS, START_MS + 9).unwrap();
    assert_eq!(querier.label_names(&[], 0).unwrap(), ["__name__", "host"]);
    let b = [Matcher::equal("__name__", "b")];
    assert_eq!(querier.label_values("host", &b, 0).unwrap(), ["3", "4"]);
    assert_eq!(querier.label_values("host", &[], 2).unwrap(), ["0", "1"]);
    assert!(
        db.querier(0, 1)
            .unwrap()
            .label_names(&[], 0)
            .unwrap()
            .is_empty()
    );
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Append {
        group: usize,
        ahead_ms: i64,
        points: Vec<(usize, Option<i64>, u8)>,
    },
    Close(usize),
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

/// An out-of-order window and what happens. The window is longer than blocks, shorter than what is
/// taken in order, or none.
fn history() -> impl Strategy<Value = (i64, Vec<Step>)> {
    let window_ms = prop_oneof![1 => Just(0i64), 2 => Just(5 * 3_600_000), 1 => Just(600_000)];
    window_ms.prop_flat_map(|window_ms| {
        let steps = prop::collection::vec(step(window_ms > 0), 1..500);
        (Just(window_ms), steps)
    })
}

fn step(late: bool) -> impl Strategy<Value = Step> {
    let late_ms: i64 = if late { 6 * 3_600_000 } else { 40_000 };
    let own = prop_oneof![3 => -40_000i64..40_000, 1 => -late_ms..0];
    let own = prop::option::weighted(0.15, own);
    let points = prop::collection::vec((0usize..12, own, any::<u8>()), 0..8);
    // Some histories span many blocks: half an hour is less than the head takes back in time.
    let ahead = prop_oneof![6 => -3_000i64..60_000, 1 => 60_000i64..1_800_000];
    let append = (0usize..3, ahead, points);
    let far_ms = prop_oneof![Just(40_000i64), Just(3 * 3_600_000), Just(40 * 3_600_000)];
    let times = far_ms.prop_flat_map(|far_ms| (-far_ms..40_000, 0..far_ms));
    let delete = ("m[0-9]|m1[01]|m[0-5]", times);
    let delete = delete.prop_map(|(name, (from_ms, length_ms))| Step::Delete {
        name,
        from_ms,
        to_ms: from_ms + length_ms,
    });
    prop_oneof![
        60 => append.prop_map(|(group, ahead_ms, points)| Step::Append { group, ahead_ms, points }),
        1 => (0usize..3).prop_map(Step::Close),
        1 => Just(Step::Reopen),
        2 => Just(Step::Maintain),
        1 => delete,
        1 => prop_oneof![Just(Step::Clean), Just(Step::Snapshot)],
    ]
}

fn value(kind: u8) -> f64 {
    match kind {
        0..20 => f64::from_bits(STALE_NAN_BITS),
        20..200 => f64::from(kind / 8),
        _ => f64::from(kind) / 7.0,
    }
}

/// Fails with the difference, not with everything.
fn same(got: &[Dumped], want: &[Dumped]) -> Result<(), TestCaseError> {
    for (got, want) in got.iter().zip(want) {
        prop_assert_eq!(&got.0, &want.0);
        let lost: Vec<_> = want.1.iter().filter(|s| !got.1.contains(s)).collect();
        let more: Vec<_> = got.1.iter().filter(|s| !want.1.contains(s)).collect();
        prop_assert!(got.1 == want.1, "{}: lost {lost:?}, more {more:?}", got.0);
    }
    prop_assert_eq!(got.len(), want.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn answers_as_the_obvious_store((window_ms, steps) in history()) {
        let disk = MemoryDisk::new();
        let mut db = open(&disk);
        let plain = MemoryStore::new();
        if window_ms > 0 {
            db.set_out_of_order_window_ms(window_ms);
            plain.set_out_of_order_window(window_ms, 3_600_000);
        }
        let names: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
        let mut now_ms = START_MS;
        let mut snapshots = 0;
        for step in steps {
            match step {
                Step::Append { group, ahead_ms, points } => {
                    now_ms += ahead_ms;
                    let name = ["x", "y", "z"][group];
                    let group_labels = labels(&[("job", name)]);
                    let both: [&dyn Appender; 2] = [&*db, &plain];
                    let outcomes = both.map(|to| {
                        let group = to.open_group(&group_labels).unwrap();
                        let points: Vec<_> = points.iter().map(|(series, own, kind)| {
                            let labels = labels(&[("__name__", &names[*series])]);
                            Point {
                                series: to.series(group, &labels).unwrap(),
                                at_ms: own.map(|ms| now_ms + ms),
                                value: value(*kind),
                            }
                        }).collect();
                        let outcome = append(to, group, now_ms, &points).unwrap();
                        let series = points.iter().map(|point| point.series);
                        refused_by_place(outcome, series)
                    });
                    prop_assert_eq!(&outcomes[0], &outcomes[1]);
                }
                Step::Close(group) => {
                    let name = ["x", "y", "z"][group];
                    let group = db.open_group(&labels(&[("job", name)])).unwrap();
                    db.close_group(group);
                }
                Step::Reopen => {
                    let before = dump(&*db);
                    drop(db);
                    db = open(&disk);
                    db.set_out_of_order_window_ms(window_ms);
                    same(&dump(&*db), &before)?;
                }
                Step::Maintain => db.maintain(),
                Step::Delete { name, from_ms, to_ms } => {
                    let matcher = Matcher::new(model::MatchOp::Regex, "__name__", &name).unwrap();
                    let (from_ms, to_ms) = (now_ms + from_ms, now_ms + to_ms);
                    plain.delete(std::slice::from_ref(&matcher), from_ms, to_ms);
                    db.delete_series(&[matcher], from_ms, to_ms).unwrap();
                    same(&dump(&*db), &dump(&plain))?;
                }
                Step::Clean => {
                    let before = dump(&*db);
                    db.clean_tombstones().unwrap();
                    same(&dump(&*db), &before)?;
                }
                Step::Snapshot => {
                    snapshots += 1;
                    let name = format!("snap-{snapshots}");
                    db.snapshot(&name, false).unwrap();
                    let mut options = options();
                    options.path = std::path::Path::new(DIR).join("snapshots").join(name);
                    let copy = open_with(std::sync::Arc::new(disk.fork()), options).unwrap();
                    same(&dump(&*copy), &dump(&*db))?;
                }
            }
        }
        same(&dump(&*db), &dump(&plain))?;
        let regex = Matcher::new(model::MatchOp::Regex, "__name__", "m[0-4]").unwrap();
        let some = [regex];
        let from_ms = START_MS + 100_000;
        let range = (from_ms, (now_ms - 100_000).max(from_ms));
        prop_assert_eq!(dump_range(&*db, &some, range), dump_range(&plain, &some, range));
        prop_assert_eq!(db.corruption_count(), 0);
    }
}
