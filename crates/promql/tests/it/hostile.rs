//! Queries of hostile size end with an error, soon and within their bounds.

use promql::{QueryError, QueryOptions};

use crate::{Bench, MINUTE_MS};

/// What a query may take here.
const BYTES_MAX: u64 = 1 << 20;

fn hostile() -> Bench {
    let series: Vec<String> = (0..20_000)
        .flat_map(|i| {
            let one = format!("one{{i=\"{i}\"}} 1x10");
            [one, format!("many{{i=\"{i}\",j=\"{}\"}} 1x10", i % 7)]
        })
        .collect();
    let series: Vec<&str> = series.iter().map(String::as_str).collect();
    Bench::with(&series, |options| options.max_bytes = BYTES_MAX)
}

#[test]
fn size_is_refused_by_the_parser_or_the_budget() {
    let bench = hostile();
    let run = |query: &str, end_ms: i64, step_ms: i64| {
        let options = QueryOptions::default();
        let engine = &bench.engine;
        let result = engine.range(&bench.store, query, 0, end_ms, step_ms, &options);
        result.map(drop).unwrap_err()
    };
    for text in [
        "(".repeat(100_000),
        format!("{}one{}", "-(".repeat(50_000), ")".repeat(50_000)),
        vec!["one"; 100_000].join(" or "),
        vec!["one"; 100_000].join(" + "),
        format!("{}one{}", "abs(".repeat(100_000), ")".repeat(100_000)),
    ] {
        let error = run(&text, MINUTE_MS, MINUTE_MS);
        assert!(matches!(error, QueryError::Parse(_)), "{error}");
    }
    let too_many_bytes = QueryError::TooManyBytes {
        bytes_max: BYTES_MAX,
    };
    for query in [
        "many * on(i) group_left one",
        "many and on(i) one",
        "one or many",
        "sum by (i) (many)",
        "count_values(\"v\", many) by (i)",
        "sort(rate(many[5m]))",
    ] {
        let error = run(query, 10 * MINUTE_MS, MINUTE_MS);
        assert_eq!(error, too_many_bytes, "{query}");
    }
    let error = run("one * on() many", 0, MINUTE_MS);
    assert!(
        matches!(
            error,
            QueryError::Execution(_) | QueryError::TooManyBytes { .. }
        ),
        "{error}"
    );
    let error = run("vector(1)", i64::MAX / 1_000_000, 1);
    assert_eq!(error, QueryError::TooManySamples, "steps");
    let nested = "max_over_time(max_over_time(one{i=\"1\"}[10000d:1ms])[10000d:1ms])";
    let error = run(nested, MINUTE_MS, MINUTE_MS);
    assert!(
        matches!(
            error,
            QueryError::TooManySamples | QueryError::TooManyBytes { .. }
        ),
        "{error}"
    );
}
