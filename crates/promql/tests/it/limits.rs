//! Time, memory, cancelling, depth, and what is counted.

use std::time::Duration;

use promql::{CancelToken, Features, QueryError, QueryOptions};

use crate::{Bench, MINUTE_MS, bench};

const SERIES: [&str; 3] = [
    r#"m{i="1"} 0+1x20"#,
    r#"m{i="2"} 0+1x20"#,
    r#"m{i="3"} 0+1x20"#,
];

#[test]
fn samples_are_limited_by_what_is_in_memory() {
    let limited = |max: u64| Bench::with(&SERIES, move |options| options.max_samples = max);
    for (query, enough) in [
        ("m", 33),
        // An aggregation counts the series that go into it.
        ("sum(m)", 34),
        ("rate(m[5m])", 36),
        ("m[10m]", 30),
        ("1", 11),
        ("sum_over_time(m[10m:1m])", 60),
    ] {
        let run = |max| {
            let bench = limited(max);
            if query.ends_with(']') {
                bench.instant(query, 15)
            } else {
                bench.range(query, 5, 15)
            }
        };
        assert_eq!(
            run(5).map(|o| o.value),
            Err(QueryError::TooManySamples),
            "{query}"
        );
        let output = run(10 * enough).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(output.stats.samples.peak_samples <= 10 * enough, "{query}");
    }
    // A subquery of more steps than anybody could want does not even begin.
    let error = bench(&SERIES).instant("sum_over_time(vector(1)[100y:1ms])", 0);
    assert_eq!(
        error.unwrap_err().to_string(),
        "query processing would load too many samples into memory in query execution"
    );
}

#[test]
fn queries_end_when_they_are_told_to() {
    let b = bench(&SERIES);
    let cancel = CancelToken::new();
    cancel.cancel();
    let options = QueryOptions {
        cancel,
        ..QueryOptions::default()
    };
    let error = b.engine.instant(&b.store, "m", 0, &options).unwrap_err();
    assert_eq!(error.to_string(), "query was canceled in query execution");
    let options = QueryOptions {
        timeout: Some(Duration::ZERO),
        ..QueryOptions::default()
    };
    let error = b.engine.instant(&b.store, "m", 0, &options).unwrap_err();
    assert_eq!(error.to_string(), "query timed out in query execution");
}

#[test]
fn the_deepest_query_is_answered() {
    let b = bench(&SERIES);
    let depth = promql_syntax::DEPTH_MAX - 4;
    let parens = format!("{}m{}", "-(".repeat(depth / 2), ")".repeat(depth / 2));
    assert_eq!(b.instant(&parens, 3).map(|_| ()), Ok(()));
    let nested = format!("{}m{}", "abs(".repeat(depth), ")".repeat(depth));
    assert_eq!(b.instant(&nested, 3).map(|_| ()), Ok(()));
    let sums = vec!["m"; depth].join(" + ");
    assert_eq!(b.range(&sums, 3, 5).map(|_| ()), Ok(()));
    let subqueries = format!("{}m{}", "max_over_time(".repeat(50), "[2m:1m])".repeat(50));
    assert_eq!(b.instant(&subqueries, 3).map(|_| ()), Ok(()));
}

#[test]
fn samples_are_counted_in_all_and_by_step() {
    let b = Bench::with(&SERIES, |options| {
        options.features = Features {
            per_step_stats: true,
            ..options.features
        };
    });
    let options = QueryOptions {
        per_step_stats: true,
        ..QueryOptions::default()
    };
    for (query, total, read, per_step) in [
        ("m", 9, 9, [(3, 3), (3, 3), (3, 3)]),
        ("abs(m) > 1000", 9, 9, [(3, 3), (3, 3), (3, 3)]),
        // A window counts in full, but only what is new in it was read.
        ("sum(rate(m[4m]))", 36, 18, [(12, 12), (12, 3), (12, 3)]),
        ("m @ 60", 9, 3, [(3, 3), (3, 0), (3, 0)]),
        ("max_over_time(m[2m:1m])", 18, 12, [(6, 6), (6, 3), (6, 3)]),
        ("1", 0, 0, [(0, 0); 3]),
    ] {
        let (from, to) = (5 * MINUTE_MS, 7 * MINUTE_MS);
        let output = b
            .engine
            .range(&b.store, query, from, to, MINUTE_MS, &options)
            .unwrap();
        let samples = output.stats.samples;
        assert_eq!(
            (samples.total_queryable_samples, samples.samples_read),
            (total, read),
            "{query}"
        );
        let totals = samples.total_queryable_samples_per_step.unwrap();
        let reads = samples.samples_read_per_step.unwrap();
        let by_step: Vec<(u64, u64)> = totals
            .iter()
            .zip(&reads)
            .map(|(total, read)| (total.1, read.1))
            .collect();
        assert_eq!(by_step, per_step, "{query}");
        assert_eq!(totals[1].0, 6 * MINUTE_MS);
    }
    let output = b.range("m", 5, 7).unwrap();
    assert_eq!(
        output.stats.samples.samples_read_per_step, None,
        "only on request"
    );
}

#[test]
fn own_metrics_have_upstreams_names() {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let engine = promql::Engine::new(promql::EngineOptions::new(clock), &registry);
    let store = crate::load(&SERIES);
    let options = QueryOptions::default();
    engine
        .range(&store, "m", 0, MINUTE_MS, MINUTE_MS, &options)
        .unwrap();
    let mut text = String::new();
    registry.expose(&mut text);
    for line in [
        "prometheus_engine_queries 0",
        "prometheus_engine_queries_concurrent_max 20",
        "prometheus_engine_query_log_enabled 0",
        "prometheus_engine_query_log_failures_total 0",
        "prometheus_engine_query_samples_total 6",
        "prometheus_engine_query_samples_read_total 6",
        r#"prometheus_engine_query_duration_seconds_count{slice="inner_eval"} 1"#,
        r#"prometheus_engine_query_duration_seconds_count{slice="queue_time"} 1"#,
        r#"prometheus_engine_query_duration_seconds_count{slice="prepare_time"} 1"#,
        r#"prometheus_engine_query_duration_seconds_count{slice="result_sort"} 1"#,
        r#"prometheus_engine_query_duration_histogram_seconds_count{slice="inner_eval"} 1"#,
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "{line} is missing in\n{text}"
        );
    }
}
