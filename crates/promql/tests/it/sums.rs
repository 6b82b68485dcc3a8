//! T20: sums are compensated and taken in the order of the series, whatever the threads do.

use model::Labels;
use promql::{QueryOptions, Value};
use storage::memory::MemoryStore;

/// Neumaier's sum, written down as plainly as can be.
fn compensated(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (values[0], 0.0);
    for &value in &values[1..] {
        let total: f64 = sum + value;
        lost += if sum.abs() >= value.abs() {
            (sum - total) + value
        } else {
            (value - total) + sum
        };
        sum = total;
    }
    sum + lost
}

#[test]
fn sums_over_many_series_do_not_depend_on_threads() {
    let store = MemoryStore::new();
    // Several batches of series, with sizes that do not add up exactly.
    let values: Vec<f64> = (0..6_000)
        .map(|i| 0.1 * f64::from(i % 97) * 10f64.powi(i % 13))
        .collect();
    for (at, &value) in values.iter().enumerate() {
        let labels = Labels::from_pairs([("__name__", "m"), ("i", &format!("{at:05}"))]);
        for step in 0..3 {
            store.insert(&labels, step * 60_000, value);
        }
    }
    let expected = compensated(&values);
    for threads in [1, 2, 5] {
        let engine = crate::engine(|options| options.threads = threads);
        let options = QueryOptions::default();
        let output = engine
            .range(&store, "sum(m)", 0, 120_000, 60_000, &options)
            .unwrap();
        let Value::Matrix(series) = output.value else {
            panic!("not a matrix");
        };
        let points: Vec<u64> = series[0].points.iter().map(|p| p.1.to_bits()).collect();
        assert_eq!(points, [expected.to_bits(); 3], "{threads} threads");
    }
}
