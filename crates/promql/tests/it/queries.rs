//! The list of queries, cancelling, the tracker and the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use promql::{Origin, QueryError, QueryList, QueryLog, QueryOptions, QueryRecord, QueryTracker};

use crate::{Bench, MINUTE_MS, bench};

/// Series of a query that is cancelled.
const SERIES: usize = 2_000;

/// A clock that is asked before every series, and cancels everything when it is asked often enough.
#[derive(Debug)]
struct CancellingClock {
    asked: AtomicU64,
    cancels_at: u64,
    queries: Arc<QueryList>,
}

impl Clock for CancellingClock {
    fn now_ns(&self) -> i64 {
        0
    }

    fn monotonic(&self) -> Duration {
        if self.asked.fetch_add(1, Ordering::Relaxed) + 1 == self.cancels_at {
            for query in self.queries.active() {
                assert!(query.is_running);
                assert_eq!(query.series, SERIES as u64);
                assert!(self.queries.cancel(query.id));
            }
        }
        Duration::ZERO
    }
}

#[test]
fn a_cancelled_query_reads_no_further_series() {
    let series: Vec<String> = (0..SERIES)
        .map(|i| format!("m{{i=\"{i}\"}} 0+1x10"))
        .collect();
    let series: Vec<&str> = series.iter().map(String::as_str).collect();
    for query in ["sum(rate(m[5m]))", "m", "max_over_time(m[5m]) > 3"] {
        let run = |cancels_at| {
            let queries = Arc::new(QueryList::default());
            let clock = Arc::new(CancellingClock {
                asked: AtomicU64::new(0),
                cancels_at,
                queries: Arc::clone(&queries),
            });
            let bench = Bench::with(&series, |options| {
                options.clock = Arc::<CancellingClock>::clone(&clock);
                options.queries = Arc::clone(&queries);
            });
            let result = bench.range(query, 0, 10).map(drop);
            assert_eq!(queries.active(), [], "it has left the list");
            (result, clock.asked.load(Ordering::Relaxed))
        };
        let (result, asked) = run(0);
        assert_eq!(result, Ok(()));
        assert!(asked > SERIES as u64, "{query}: asked {asked} times only");
        let (result, asked) = run(500);
        assert_eq!(
            result,
            Err(QueryError::Canceled("expression evaluation")),
            "{query}"
        );
        // Every task of 64 series that is still to begin may ask once.
        assert!(asked < 560, "{query}: went on, asked {asked} times");
    }
}

#[test]
fn large_windows_of_one_series_look_whether_to_end() {
    let asked = |query: &str| {
        let clock = Arc::new(CancellingClock {
            asked: AtomicU64::new(0),
            cancels_at: 0,
            queries: Arc::default(),
        });
        let bench = Bench::with(&["m 0+1x10"], |options| {
            options.clock = Arc::<CancellingClock>::clone(&clock);
        });
        bench.range(query, 10, 20).map(drop).unwrap();
        clock.asked.load(Ordering::Relaxed)
    };
    let small = asked("quantile_over_time(0.5, m[10m:1m])");
    // Eleven windows of up to 600,000 samples.
    let large = asked("quantile_over_time(0.5, m[10m:1ms])");
    assert!(large >= small + 8, "asked {small} and {large} times");
}

/// Writes down what it is told.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl QueryTracker for Notes {
    fn begin(&self, place: usize, query: &str) {
        self.0.lock().unwrap().push(format!("{place} {query}"));
    }

    fn end(&self, place: usize) {
        self.0.lock().unwrap().push(format!("{place} ended"));
    }
}

impl QueryLog for Notes {
    fn write(&self, record: &QueryRecord<'_>) -> std::io::Result<()> {
        let path = record.origin.map(|origin| &*origin.path);
        self.0.lock().unwrap().push(format!(
            "{} {:?} {path:?} {:?}",
            record.query, record.asked, record.error
        ));
        Err(std::io::Error::other("full"))
    }
}

#[test]
fn every_query_is_tracked_and_logged() {
    let notes = Arc::new(Notes::default());
    let bench = Bench::with(&["m 1 2 3"], |options| {
        options.tracker = Some(Arc::<Notes>::clone(&notes));
    });
    let log = || Some(Arc::<Notes>::clone(&notes) as Arc<dyn QueryLog>);
    bench.engine.set_query_log(log());
    bench.range("m", 0, 1).unwrap();
    let options = QueryOptions {
        origin: Some(Arc::new(Origin {
            client: None,
            method: "GET".to_owned(),
            path: "/p".to_owned(),
        })),
        ..QueryOptions::default()
    };
    let bad = "label_replace(m, \"a\", \"b\", \"c\", \"(\")";
    let run = |query| {
        bench
            .engine
            .instant(&bench.store, query, MINUTE_MS, &options)
    };
    run(bad).unwrap_err();
    run("m{").unwrap_err();
    bench.engine.set_query_log(None);
    run("1").unwrap();
    let notes = notes.0.lock().unwrap();
    assert_eq!(
        *notes,
        [
            "0 m",
            "0 ended",
            "m Asked { start_ms: 0, end_ms: 60000, step_ms: 60000 } None None",
            &format!("0 {bad}"),
            "0 ended",
            &format!(
                "{bad} Asked {{ start_ms: 60000, end_ms: 60000, step_ms: 0 }} Some(\"/p\") \
                 Some(\"invalid regular expression in label_replace(): (\")"
            ),
            "0 1",
            "0 ended",
        ]
    );
}

#[test]
fn a_query_over_its_bytes_is_refused_and_others_go_on() {
    let limited = Bench::with(&["m 0+1x100", "n 0+1x100"], |options| {
        options.max_bytes = 1_000;
    });
    assert_eq!(
        limited.range("m + n", 0, 100).map(drop),
        Err(QueryError::TooManyBytes { bytes_max: 1_000 })
    );
    limited.range("m", 0, 10).unwrap();
    bench(&["m 0+1x100", "n 0+1x100"])
        .range("m + n", 0, 100)
        .unwrap();
}

#[test]
fn a_trace_tells_of_every_vector() {
    let bench = bench(&["m{i=\"1\"} 0+1x10", "m{i=\"2\"} 0+1x10"]);
    let query = "sum(rate(m[5m])) / count(m) > -1";
    let run = |trace| {
        let options = QueryOptions {
            trace,
            ..QueryOptions::default()
        };
        let output = bench
            .engine
            .range(&bench.store, query, 0, 5 * MINUTE_MS, MINUTE_MS, &options);
        output.unwrap()
    };
    assert_eq!(run(false).trace, None);
    let trace = run(true).trace.unwrap();
    let mut lines = Vec::new();
    describe(&trace, 0, &mut lines);
    assert_eq!(
        lines,
        [
            "0 sum(rate(m[5m])) / count(m) > -1: 1 x 6, 52",
            "1 sum(rate(m[5m])) / count(m): 1 x 6, 52",
            "2 sum(rate(m[5m])): 1 x 6, 40",
            "3 rate(m[5m]): 2 x 6, 0 lazy",
            "2 count(m): 1 x 6, 12",
            "3 m: 2 x 6, 0 lazy",
        ]
    );
    assert_eq!(&query[trace[0].start..trace[0].end], query);
}

fn describe(nodes: &[promql::TraceNode], depth: usize, lines: &mut Vec<String>) {
    for node in nodes {
        let lazy = if node.is_lazy { " lazy" } else { "" };
        lines.push(format!(
            "{depth} {}: {} x {}, {}{lazy}",
            node.text, node.series, node.steps, node.samples
        ));
        describe(&node.children, depth + 1, lines);
    }
}
