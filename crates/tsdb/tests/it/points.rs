//! Reading at points finds what reading everything finds there.

use disk::MemoryDisk;
use fastrand::Rng;
use model::{Matcher, STALE_NAN};
use storage::{Appender as _, Points, Queryable as _, Samples, SelectHints, StorageAdmin as _};

use crate::support::*;

const STEP_MS: i64 = 15_000;
const SERIES: usize = 70;

/// The newest sample at a point, by bits.
fn newest(samples: &Samples, at_ms: i64, lookback_ms: i64) -> Option<(i64, u64)> {
    let end = samples.timestamps.partition_point(|&t| t <= at_ms);
    let last = end.checked_sub(1)?;
    let time_ms = samples.timestamps[last];
    (time_ms > at_ms - lookback_ms).then(|| (time_ms, samples.values[last].to_bits()))
}

#[test]
fn points_see_what_is_there() {
    let random = &mut Rng::with_seed(5);
    let mut found = 0;
    for round in 0..24 {
        let disk = MemoryDisk::new();
        let mut options = options();
        // Late samples in a third of the rounds, several blocks in half of them.
        options.out_of_order_window_ms = if round % 3 == 0 { 7_200_000 } else { 0 };
        let db = open_with(std::sync::Arc::new(disk), options).unwrap();
        let group = db.open_group(&labels(&[("job", "j")])).unwrap();
        let series: Vec<_> = (0..SERIES)
            .map(|at| {
                let labels = labels(&[("__name__", "m"), ("at", &at.to_string())]);
                db.series(group, &labels).unwrap()
            })
            .collect();
        let rows = if round % 2 == 0 { 1_100 } else { 170 };
        for row in 0..rows {
            let at_ms = START_MS + row * STEP_MS;
            let mut points = Vec::new();
            for (at, &series) in series.iter().enumerate() {
                if random.usize(..SERIES) < at / 2 {
                    continue;
                }
                // Some have times of their own; in rounds with a window some of these are late.
                let timed = at % 9 == 8 && random.bool();
                let value = f64::from(random.u8(..20));
                points.push(Point {
                    series,
                    at_ms: timed.then(|| at_ms - random.i64(0..3 * STEP_MS)),
                    value: if value == 0.0 { STALE_NAN } else { value },
                });
            }
            append(&*db, group, at_ms, &points).unwrap();
        }
        db.maintain();
        if round % 4 == 3 {
            let matcher = [Matcher::equal("at", "3")];
            let end_ms = START_MS + rows * STEP_MS;
            db.delete_series(&matcher, end_ms - 600_000, end_ms - 300_000)
                .unwrap();
        }
        for _ in 0..12 {
            let points = Points {
                first_ms: START_MS + random.i64(0..rows * STEP_MS),
                step_ms: random.i64(1..20 * STEP_MS),
                count: if random.bool() {
                    1
                } else {
                    random.usize(1..90)
                },
                lookback_ms: random.i64(1..30 * STEP_MS),
                presence_only: random.bool(),
            };
            let (min_ms, max_ms) = points.range_ms();
            let querier = db.querier(min_ms, max_ms).unwrap();
            let set = querier.select(true, &SelectHints::default(), &[]).unwrap();
            for series in &set.series {
                let (mut all, mut some) = (Samples::default(), Samples::default());
                series.read(min_ms, max_ms, &mut all).unwrap();
                series.read_points(&points, &mut some).unwrap();
                assert!(some.timestamps.is_sorted_by(|a, b| a < b));
                assert_eq!(some.timestamps.len(), some.values.len());
                for point in 0..points.count {
                    let at_ms = points.at(point);
                    let is_stale = |bits: u64| u64::from(bits == STALE_NAN.to_bits());
                    let seen = |samples: &Samples| {
                        let (time_ms, bits) = newest(samples, at_ms, points.lookback_ms)?;
                        let shown = if points.presence_only {
                            is_stale(bits)
                        } else {
                            bits
                        };
                        Some((time_ms, shown))
                    };
                    let (expected, got) = (seen(&all), seen(&some));
                    assert_eq!(
                        got,
                        expected,
                        "round {round}, {points:?}, {}",
                        series.labels()
                    );
                    found += usize::from(got.is_some());
                }
            }
        }
    }
    assert!(found > 50_000, "{found}");
}
