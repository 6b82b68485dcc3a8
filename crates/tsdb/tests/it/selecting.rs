//! What a selection tells of series: all labels or some, in order or not.

use disk::MemoryDisk;
use fastrand::Rng;
use model::{Labels, MatchOp, Matcher};
use storage::{Appender as _, Queryable as _, Samples, SelectHints};

use crate::support::*;

const STEP_MS: i64 = 60_000;
const ROWS: i64 = 420;

/// Label sets that are parts of each other, and differ early or late.
fn label_sets(random: &mut Rng) -> Vec<Labels> {
    let mut sets: Vec<Labels> = (0..240)
        .map(|_| {
            let names = ["__name__", "a", "ab", "host", "z"];
            let values = ["", "", "1", "10", "2", "a", "aa"];
            Labels::from_pairs(names.map(|name| (name, values[random.usize(..values.len())])))
        })
        .filter(|labels| !labels.is_empty())
        .collect();
    sets.sort();
    sets.dedup();
    random.shuffle(&mut sets);
    sets
}

#[test]
fn labels_and_order_come_from_all_places() {
    let random = &mut Rng::with_seed(11);
    let disk = MemoryDisk::new();
    let db = open_with(std::sync::Arc::new(disk), options()).unwrap();
    // Some are there all the time, the others in the blocks only or in the head only.
    let mut series = Vec::new();
    for (at, set) in label_sets(random).iter().enumerate() {
        let group = labels(&[("job", ["x", "y", "z"][at % 3])]);
        let group = db.open_group(&group).unwrap();
        let rows = match at % 4 {
            0 => 0..100,
            1 => 300..ROWS,
            _ => 0..ROWS,
        };
        series.push((group, rows, db.series(group, set).unwrap()));
    }
    for row in 0..ROWS {
        let at_ms = START_MS + row * STEP_MS;
        for group in [0, 1, 2].map(|at| series[at].0) {
            let of_group = series
                .iter()
                .filter(|(of, rows, _)| *of == group && rows.contains(&row));
            let points = of_group.map(|&(_, _, series)| Point {
                series,
                at_ms: None,
                value: f64::from(random.u8(..)),
            });
            append(&*db, group, at_ms, &points.collect::<Vec<_>>()).unwrap();
        }
        db.maintain();
    }
    let end_ms = START_MS + ROWS * STEP_MS;
    let kept = |labels: &Labels, names: &[String]| {
        labels.without(|name| !names.iter().any(|kept| kept == name))
    };
    for (from_ms, to_ms) in [
        (START_MS, end_ms),
        (START_MS, START_MS + 90 * STEP_MS),
        (end_ms - 30 * STEP_MS, end_ms),
    ] {
        let querier = db.querier(from_ms, to_ms).unwrap();
        for matchers in [
            vec![],
            vec![Matcher::equal("__name__", "1")],
            vec![Matcher::new(MatchOp::Regex, "host", ".+").unwrap()],
        ] {
            let read = |sorted: bool, names: Option<&[&str]>| {
                let hints = SelectHints {
                    labels: names.map(|names| names.iter().map(|&n| n.to_owned()).collect()),
                    ..SelectHints::default()
                };
                let found = querier.select(sorted, &hints, &matchers).unwrap();
                let read = found.series.iter().map(|series| {
                    let mut samples = Samples::default();
                    series.read(from_ms, to_ms, &mut samples).unwrap();
                    (series.labels().clone(), samples)
                });
                read.collect::<Vec<_>>()
            };
            let mut expected = read(false, None);
            assert!(expected.len() > 20);
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(read(true, None), expected);
            for names in [&[][..], &["host"], &["a", "host", "none"]] {
                let owned: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
                let some = expected.iter();
                let some = some.map(|(labels, samples)| (kept(labels, &owned), samples.clone()));
                assert_eq!(read(true, Some(names)), some.collect::<Vec<_>>());
            }
        }
    }
}
