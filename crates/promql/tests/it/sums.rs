//! T20: sums are compensated and taken in the order of the series, whatever the threads do.

use model::{Labels, Matcher};
use promql::{QueryOptions, Value};
use storage::memory::MemoryStore;
use storage::{Querier, Queryable, SelectHints, SeriesSet, StorageError};

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

/// A storage that gives series in the order that suits it.
#[derive(Debug)]
struct Backwards(MemoryStore);

struct BackwardsQuerier(Box<dyn Querier>);

impl Queryable for Backwards {
    fn querier(&self, min_ms: i64, max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(BackwardsQuerier(self.0.querier(min_ms, max_ms)?)))
    }
}

impl Querier for BackwardsQuerier {
    fn select(
        &self,
        sorted: bool,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError> {
        let mut found = self.0.select(sorted, hints, matchers)?;
        if !sorted {
            found.series.reverse();
        }
        Ok(found)
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

#[test]
fn the_order_of_the_storage_does_not_show() {
    let store = crate::load(&[
        "m{i=\"1\"} 1e100",
        "m{i=\"2\"} 1.1",
        "m{i=\"3\"} -1e100",
        "m{i=\"4\"} 0.3",
    ]);
    let engine = crate::engine(|_| {});
    let options = QueryOptions::default();
    for query in [
        "m",
        "sum(m)",
        "sum(m * 3)",
        "avg(abs(m))",
        "stddev(m)",
        "topk(2, m * 0)",
        "limitk(2, m)",
        "count by (i) (m)",
        "count(m) + on () sum(m)",
        "max(m * 0)",
        "sum_over_time(sum(m)[5m:1m])",
    ] {
        let forwards = engine
            .range(&store, query, 0, 60_000, 60_000, &options)
            .unwrap();
        let backwards = Backwards(store.clone());
        let got = engine
            .range(&backwards, query, 0, 60_000, 60_000, &options)
            .unwrap();
        assert_eq!(got.value, forwards.value, "{query}");
    }
    let got = engine
        .instant(&Backwards(store.clone()), "m", 0, &options)
        .unwrap();
    let sorted = engine.instant(&store, "m", 0, &options).unwrap();
    assert_eq!(got.value, sorted.value);
}
