//! T22: what is said about queries is part of the interface: texts, places, merging.

use promql::Features;

use crate::{Bench, bench};

#[track_caller]
fn check(b: &Bench, query: &str, warnings: &[&str], infos: &[&str]) {
    let output = b
        .range(query, 0, 2)
        .unwrap_or_else(|e| panic!("{query}: {e}"));
    assert_eq!(output.warnings, warnings, "{query}");
    assert_eq!(output.infos, infos, "{query}");
}

const NO_COUNTER: &str = "PromQL info: metric might not be a counter, name does not end in \
                          _total/_sum/_count/_bucket:";

#[test]
fn notes_have_upstreams_texts_and_places() {
    let b = bench(&[
        "gauge 1 2 3",
        "ok_total 1 2 3",
        r#"h_bucket{le="1"} 5 5 5"#,
        r#"h_bucket{le="2"} 1 1 1"#,
        r#"h_bucket{le="+Inf"} 9 9 9"#,
        r#"bad_bucket{le="x"} 9 9 9"#,
    ]);
    check(&b, "rate(ok_total[5m])", &[], &[]);
    let rate = format!("{NO_COUNTER} \"gauge\" (1:14)");
    check(&b, "sum(increase(gauge[5m]))", &[], &[&rate]);
    // Equal ones count once; the place is that of the last.
    let rate = format!("{NO_COUNTER} \"gauge\" (2:9)");
    check(&b, "rate(gauge[5m])\n + rate(gauge[5m])", &[], &[&rate]);
    let rate = format!("{NO_COUNTER} \"gauge\" (1:1)");
    check(&b, "rate(gauge[5m:1m])", &[], &[&rate]);
    let quantile = "PromQL warning: quantile value should be between 0 and 1, got";
    let at = |place: &str| format!("{quantile} {place}");
    check(&b, "quantile(1.5, gauge)", &[&at("1.5 (1:10)")], &[]);
    check(
        &b,
        "quantile_over_time(-1, gauge[5m])",
        &[&at("-1 (1:20)")],
        &[],
    );
    check(&b, "quantile_over_time(-1, nope[5m])", &[], &[]);
    check(
        &b,
        "histogram_quantile(NaN, nope)",
        &[&at("NaN (1:20)")],
        &[],
    );
    check(
        &b,
        "histogram_quantile(0.5, bad_bucket)",
        &[
            "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"x\" \
           (1:25)",
        ],
        &[],
    );
    check(
        &b,
        "histogram_quantile(0.5, h_bucket)",
        &[],
        &[
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
           https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), \
           from buckets 2 to 2, with a max diff of 4, over 3 samples from 1970-01-01T00:00:00Z \
           to 1970-01-01T00:02:00Z (1:25)",
        ],
    );
    check(
        &b,
        "limit_ratio(1.5, gauge)",
        &["PromQL warning: ratio value should be between -1 and 1, got 1.5, capping to 1 (1:13)"],
        &[],
    );
    check(
        &b,
        "sort(gauge)",
        &[
            "PromQL warning: sort is ineffective for range queries since results are always \
           ordered by labels (1:1)",
        ],
        &[],
    );
    check(
        &b,
        "gauge </ 2",
        &[],
        &[
            "PromQL info: incompatible sample types encountered for binary operator \"</\": float \
           </ float (1:1)",
        ],
    );
}

#[test]
fn of_equal_texts_the_outer_one_gives_the_place() {
    let b = bench(&["a 1 2 3"]);
    let wanted = "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)";
    check(
        &b,
        "quantile(2, quantile_over_time(2, a[2m]))",
        &[wanted],
        &[],
    );
}

#[test]
fn histograms_that_are_left_out_are_told_of() {
    let b = bench(&[
        "mixed 1 {{schema:0 sum:1 count:1 buckets:[1]}} 3",
        "h {{schema:0 sum:1 count:1 buckets:[1]}}x3",
    ]);
    for name in ["min", "max", "stddev", "stdvar"] {
        let info = format!(
            "PromQL info: ignored histogram in {name} aggregation (1:{})",
            name.len() + 2
        );
        check(&b, &format!("{name}(h)"), &[], &[&info]);
    }
    check(
        &b,
        "topk(1, h)",
        &[],
        &["PromQL info: ignored histogram in topk aggregation (1:1)"],
    );
    check(
        &b,
        "max_over_time(mixed[5m])",
        &[],
        &[
            "PromQL info: ignored histograms in a range containing both floats and histograms for \
           metric name \"mixed\" (1:15)",
        ],
    );
    check(
        &b,
        "mixed smoothed",
        &[
            "PromQL warning: encountered a mix of histograms and floats for metric name \"mixed\" \
           (1:1)",
        ],
        &[],
    );
}

#[test]
fn types_decide_what_a_counter_is_if_they_are_kept() {
    let b = Bench::with(
        &[
            r#"a{__type__="counter"} 1 2 3"#,
            r#"b_total{__type__="gauge"} 1 2 3"#,
        ],
        |options| {
            options.features = Features {
                type_and_unit_labels: true,
                ..options.features
            };
        },
    );
    check(&b, "rate(a[5m])", &[], &[]);
    check(
        &b,
        "rate(b_total[5m])",
        &[],
        &[
            "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" \
           or \"histogram\", got \"gauge\": \"b_total\" (1:6)",
        ],
    );
}
