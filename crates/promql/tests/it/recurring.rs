//! Parts that stand several times in a query are read once, and nobody can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Labels, Matcher};
use promql::QueryOptions;
use storage::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};

use crate::{Bench, MINUTE_MS, bench, show};

/// A storage that counts how often series are read.
#[derive(Debug)]
struct Counting<'a> {
    inner: &'a dyn Queryable,
    reads: Arc<AtomicUsize>,
}

struct CountingQuerier {
    inner: Box<dyn Querier>,
    reads: Arc<AtomicUsize>,
}

struct CountingSeries {
    inner: Box<dyn Series>,
    reads: Arc<AtomicUsize>,
}

impl Queryable for Counting<'_> {
    fn querier(&self, min_ms: i64, max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(CountingQuerier {
            inner: self.inner.querier(min_ms, max_ms)?,
            reads: Arc::clone(&self.reads),
        }))
    }
}

impl Querier for CountingQuerier {
    fn select(
        &self,
        sorted: bool,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError> {
        let found = self.inner.select(sorted, hints, matchers)?;
        let series = found.series.into_iter();
        let counting = |inner| -> Box<dyn Series> {
            Box::new(CountingSeries {
                inner,
                reads: Arc::clone(&self.reads),
            })
        };
        Ok(SeriesSet {
            series: series.map(counting).collect(),
            ..found
        })
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

impl Series for CountingSeries {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.read(min_ms, max_ms, out)
    }
}

/// Series that are read, samples that count, what is said, and the answer.
fn asked(bench: &Bench, query: &str) -> (usize, u64, Vec<String>, String) {
    let storage = Counting {
        inner: &bench.store,
        reads: Arc::default(),
    };
    let end_ms = 8 * MINUTE_MS;
    let options = QueryOptions::default();
    let output = bench
        .engine
        .range(&storage, query, 0, end_ms, MINUTE_MS, &options)
        .unwrap();
    (
        storage.reads.load(Ordering::Relaxed),
        output.stats.samples.total_queryable_samples,
        output.infos,
        show(&output.value),
    )
}

#[test]
fn what_recurs_is_read_once_and_counts_as_often_as_it_stands_there() {
    let bench = bench(&[
        r#"a{x="1"} 1+1x8"#,
        r#"a{x="2"} 5 _x3 7+2x4"#,
        r#"b{x="1"} 2+2x8"#,
        r#"b{x="2"} 1 stale 3x6"#,
        r#"c_total{x="1"} 0+60x8"#,
    ]);
    for (query, alike, reads) in [
        // The same with one selector written so that nothing recurs.
        ("a / (a + b)", r#"a / ({__name__=~"a"} + b)"#, 4),
        ("(a - b) / a", r#"(a - b) / {__name__=~"a"}"#, 4),
        ("a + a + a", r#"a + {__name__=~"a"} + {__name__=~"a|a"}"#, 2),
        ("a > 5 or a", r#"a > 5 or {__name__=~"a"}"#, 4),
        (
            "rate(c_total[2m]) / (rate(c_total[2m]) + 1)",
            r#"rate(c_total[2m]) / (rate({__name__=~"c_total"}[2m]) + 1)"#,
            2,
        ),
        (
            "rate(c_total[2m]) / rate(c_total[2m])",
            r#"rate(c_total[2m]) / rate({__name__=~"c_total"}[2m])"#,
            1,
        ),
        // Other times, and steps of their own.
        ("a - a offset 1m", r#"a - {__name__=~"a"} offset 1m"#, 4),
        (
            "a - max_over_time((a + a)[2m:30s])",
            r#"a - max_over_time((a + {__name__=~"a"})[2m:30s])"#,
            4,
        ),
        // Aggregations hold no series.
        ("sum(a) / count(a)", r#"sum(a) / count({__name__=~"a"})"#, 4),
    ] {
        let got = asked(&bench, query);
        let expected = asked(&bench, alike);
        assert_eq!(got.0, reads, "{query}");
        assert_eq!((got.1, got.3), (expected.1, expected.3), "{query}");
    }
}

#[test]
fn what_is_said_is_said_of_every_place() {
    let bench = bench(&["a 1+1x8"]);
    let (reads, _, infos, _) = asked(&bench, "rate(a[2m]) / rate(a[2m])");
    // Both places are looked at, the text is the same: the last one is told.
    assert_eq!(reads, 2);
    let text = "PromQL info: metric might not be a counter, name does not end in \
                _total/_sum/_count/_bucket: \"a\" (1:20)";
    assert_eq!(infos, [text]);
}
