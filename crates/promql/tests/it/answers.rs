//! What queries answer.

use promql::Features;

use crate::{Bench, bench};

#[test]
fn selectors_look_back_and_windows_are_open_at_the_left() {
    let b = bench(&["m 1 2 3 4 5 6 7 8 9 10", "gone 1 2 stale _ 5", "not 1 NaN"]);
    for (minute, query, expected) in [
        (9, "m", r#"{__name__="m"} 10"#),
        // T01: a sample exactly as old as the lookback or the range is outside.
        (13, "m", r#"{__name__="m"} 10"#),
        (14, "m", ""),
        (9, "count_over_time(m[5m])", "{} 5"),
        (9, "m[1m]", r#"{__name__="m"} 9:10"#),
        (9, "m[2m:1m]", r#"{__name__="m"} 8:9 9:10"#),
        (9, "m[90s:1m] offset 30s", r#"{__name__="m"} 8:9"#),
        // T02: only the marker ends a series, NaN is a value.
        (2, "gone", ""),
        (4, "gone", r#"{__name__="gone"} 5"#),
        (4, "count_over_time(gone[10m])", "{} 3"),
        (1, "not", r#"{__name__="not"} NaN"#),
        (3, "m offset 1m", r#"{__name__="m"} 3"#),
        (3, "m offset -1m", r#"{__name__="m"} 5"#),
        (3, "m @ 60", r#"{__name__="m"} 2"#),
        (3, "m @ 60 offset 1m", r#"{__name__="m"} 1"#),
        (3, "timestamp(m @ 60 offset 1m)", "{} 0"),
        (3, "timestamp(m offset 1m)", "{} 120"),
        (3, "nope", ""),
    ] {
        b.at(minute, query, expected);
    }
    b.over((1, 4), "gone", r#"{__name__="gone"} 1:2 4:5"#);
    b.over((0, 2), "m @ end()", r#"{__name__="m"} 0:3 1:3 2:3"#);
    b.over((0, 2), "sum(m @ start()) + m", "{} 0:2 1:3 2:4");
}

#[test]
fn the_time_of_a_sample_is_not_interpolated() {
    let b = bench(&["m 1 _ 3 _ 7"]);
    b.at(1, "m smoothed", r#"{__name__="m"} 2"#);
    b.at(1, "timestamp(m smoothed)", "{} 0");
    b.at(3, "timestamp(m anchored offset 30s)", "{} 120");
}

#[test]
fn operators() {
    let b = bench(&[
        r#"a{x="1",y="p"} 1 2 3"#,
        r#"a{x="2",y="q"} 10 20 30"#,
        r#"b{x="1"} 4 4 4"#,
        r#"c{x="1",z="u"} 1"#,
        r#"c{x="1",z="v"} 2"#,
    ]);
    for (query, expected) in [
        ("1 + 2 * 3 ^ 2", "19"),
        ("-2 ^ 2", "-4"),
        ("-5 % 3", "-2"),
        ("1 > bool 2", "0"),
        ("a * 2", r#"{x="1", y="p"} 2; {x="2", y="q"} 20"#),
        ("2 < a", r#"{__name__="a", x="2", y="q"} 10"#),
        ("a > bool 2", r#"{x="1", y="p"} 0; {x="2", y="q"} 1"#),
        ("a + on (x) b", r#"{x="1"} 5"#),
        ("a + ignoring (y) b", r#"{x="1"} 5"#),
        ("a == on (x) a", r#"{x="1"} 1; {x="2"} 10"#),
        (
            "c * on (x) group_left (y) a",
            r#"{x="1", y="p", z="u"} 1; {x="1", y="p", z="v"} 2"#,
        ),
        (
            "b - on (x) group_right c",
            r#"{x="1", z="u"} 3; {x="1", z="v"} 2"#,
        ),
        ("a and on (x) b", r#"{__name__="a", x="1", y="p"} 1"#),
        ("a unless on (x) b", r#"{__name__="a", x="2", y="q"} 10"#),
        (
            "b or on (x) a",
            r#"{__name__="b", x="1"} 4; {__name__="a", x="2", y="q"} 10"#,
        ),
        ("a + on (x) fill (100) b", r#"{x="1"} 5; {x="2"} 110"#),
        ("a > on (x) 100 * b", ""),
        ("-a", r#"{x="1", y="p"} -1; {x="2", y="q"} -10"#),
        ("+b", r#"{__name__="b", x="1"} 4"#),
    ] {
        b.at(0, query, expected);
    }
    b.over(
        (0, 2),
        "a > 2",
        concat!(
            r#"{__name__="a", x="1", y="p"} 2:3; "#,
            r#"{__name__="a", x="2", y="q"} 0:10 1:20 2:30"#
        ),
    );
}

#[test]
fn partners_may_change_from_step_to_step() {
    // The series on the side of "one" has a new label halfway: no conflict at any step.
    let b = bench(&[
        r#"m{x="1"} 1 2 3 4"#,
        r#"i{x="1",v="a"} 1 1 stale"#,
        r#"i{x="1",v="b"} _ _ 2 2"#,
    ]);
    b.over(
        (0, 3),
        "m * on (x) group_left (v) i",
        r#"{v="a", x="1"} 0:1 1:2; {v="b", x="1"} 2:6 3:8"#,
    );
    b.over((0, 3), "m * on (x) i", r#"{x="1"} 0:1 1:2 2:6 3:8"#);
}

#[test]
fn aggregations() {
    let b = bench(&[
        r#"m{g="a",i="1"} 1 NaN"#,
        r#"m{g="a",i="2"} 3 3"#,
        r#"m{g="b",i="3"} 5 5"#,
        r#"m{g="b",i="4"} 5 6"#,
    ]);
    for (minute, query, expected) in [
        (0, "sum(m)", "{} 14"),
        (0, "sum by (g) (m)", r#"{g="a"} 4; {g="b"} 10"#),
        (0, "avg without (i) (m)", r#"{g="a"} 2; {g="b"} 5"#),
        (1, "max by (g) (m)", r#"{g="a"} 3; {g="b"} 6"#),
        (0, "count(m > 2)", "{} 3"),
        (0, "group by (g, nope) (m)", r#"{g="a"} 1; {g="b"} 1"#),
        (0, "stddev(m)", "{} 1.6583123951777"),
        (0, "quantile(0.5, m)", "{} 4"),
        (0, "topk(1, m)", r#"{__name__="m", g="b", i="3"} 5"#),
        (
            0,
            "bottomk by (g) (1, m)",
            r#"{__name__="m", g="a", i="1"} 1; {__name__="m", g="b", i="3"} 5"#,
        ),
        (
            1,
            "topk(9, m)",
            concat!(
                r#"{__name__="m", g="b", i="4"} 6; {__name__="m", g="b", i="3"} 5; "#,
                r#"{__name__="m", g="a", i="2"} 3; {__name__="m", g="a", i="1"} NaN"#
            ),
        ),
        (
            0,
            r#"count_values by (g) ("v", m)"#,
            r#"{g="a", v="1"} 1; {g="a", v="3"} 1; {g="b", v="5"} 2"#,
        ),
        (0, "limitk(1, m)", r#"{__name__="m", g="a", i="1"} 1"#),
        (
            0,
            "count(limit_ratio(0.4, m) or limit_ratio(-0.6, m))",
            "{} 4",
        ),
        (0, "sum(nope)", ""),
        (0, "topk(0, m)", ""),
    ] {
        b.at(minute, query, expected);
    }
    b.over(
        (0, 1),
        "topk(1, m)",
        r#"{__name__="m", g="b", i="3"} 0:5; {__name__="m", g="b", i="4"} 1:6"#,
    );
}

#[test]
fn functions_over_ranges() {
    let b = bench(&["c 0 60 120 10 70 130", "g 1 5 3 NaN 2 2"]);
    for (query, expected) in [
        // T20: the reset counts; borders lie within 1.1 intervals.
        ("increase(c[5m])", "{} 237.5"),
        ("rate(c[2m])", "{} 1"),
        ("irate(c[5m])", "{} 1"),
        ("resets(c[6m])", "{} 1"),
        ("changes(g[6m])", "{} 4"),
        ("max_over_time(g[6m])", "{} 5"),
        ("min_over_time(g[6m])", "{} 1"),
        ("sum_over_time(g[2m])", "{} 4"),
        ("last_over_time(g[6m])", r#"{__name__="g"} 2"#),
        ("present_over_time(g[6m])", "{} 1"),
        ("quantile_over_time(0.5, c[6m])", "{} 65"),
        ("predict_linear(c[3m], 60)", "{} 190"),
        ("deriv(c[3m])", "{} 1"),
        ("absent_over_time(nope{a=\"b\"}[6m])", r#"{a="b"} 1"#),
        ("absent_over_time(c[6m])", ""),
        ("rate(c[30s])", ""),
        ("max_over_time(rate(c[2m])[5m:1m])", "{} 1"),
        ("sum_over_time(vector(1)[5m:1m])", "{} 5"),
        ("increase(c[5m] anchored)", "{} 250"),
        ("ts_of_max_over_time(g[6m])", "{} 60"),
    ] {
        b.at(5, query, expected);
    }
}

#[test]
fn functions_over_vectors() {
    let b = bench(&[r#"m{a="x1",b="y"} 2.5"#, r#"m{a="x2",b="y"} -3"#, "t 86400"]);
    for (query, expected) in [
        ("round(m)", r#"{a="x1", b="y"} 3; {a="x2", b="y"} -3"#),
        ("clamp(m, 0, 1)", r#"{a="x1", b="y"} 1; {a="x2", b="y"} 0"#),
        (
            "sort(m)",
            r#"{__name__="m", a="x2", b="y"} -3; {__name__="m", a="x1", b="y"} 2.5"#,
        ),
        (
            "sort_by_label_desc(m, \"a\")",
            r#"{__name__="m", a="x2", b="y"} -3; {__name__="m", a="x1", b="y"} 2.5"#,
        ),
        ("abs(m)", r#"{a="x1", b="y"} 2.5; {a="x2", b="y"} 3"#),
        (
            r#"label_replace(m, "n", "$1", "a", "x(.)")"#,
            concat!(
                r#"{__name__="m", a="x1", b="y", n="1"} 2.5; "#,
                r#"{__name__="m", a="x2", b="y", n="2"} -3"#
            ),
        ),
        (
            r#"label_join(t, "n", "-", "__name__", "nope")"#,
            r#"{__name__="t", n="t-"} 86400"#,
        ),
        ("scalar(t)", "86400"),
        ("scalar(m)", "NaN"),
        ("vector(3)", "{} 3"),
        ("day_of_month(t)", "{} 2"),
        ("hour()", "{} 0"),
        ("timestamp(t)", "{} 0"),
        ("absent(nope{a=\"1\",b=~\"2\",c!=\"3\"})", r#"{a="1"} 1"#),
        ("absent(t)", ""),
        ("time()", "60"),
        ("max_of(2, min_of(5, 3))", "3"),
        (r#""text""#, r#""text""#),
    ] {
        b.at(1, query, expected);
    }
}

#[test]
fn classic_histograms() {
    let b = bench(&[
        r#"h_bucket{le="1"} 2"#,
        r#"h_bucket{le="2"} 4"#,
        r#"h_bucket{le="+Inf"} 4"#,
        r#"one_bucket{le="+Inf"} 4"#,
    ]);
    for (query, expected) in [
        // T21.
        ("histogram_quantile(0.75, h_bucket)", "{} 1.5"),
        ("histogram_quantile(1.5, h_bucket)", "{} inf"),
        ("histogram_quantile(0.5, one_bucket)", "{} NaN"),
        ("histogram_fraction(0, 1, h_bucket)", "{} 0.5"),
        (
            r#"histogram_quantiles(h_bucket, "q", 0.5, 1)"#,
            r#"{q="0.5"} 1; {q="1.0"} 2"#,
        ),
        ("histogram_count(h_bucket)", ""),
    ] {
        b.at(0, query, expected);
    }
}

#[test]
fn names_go_at_once_or_at_the_end() {
    let series = [r#"a_total{x="1"} 0 60"#, r#"b_total{x="1"} 0 120"#];
    let at_once = bench(&series);
    let query =
        r#"label_replace(rate({__name__=~".+_total"}[2m]), "n", "$1", "__name__", "(.).*")"#;
    at_once.at(
        1,
        query,
        "error: vector cannot contain metrics with the same labelset",
    );
    let at_end = Bench::with(&series, |options| {
        options.features = Features {
            delayed_name_removal: true,
            ..options.features
        };
    });
    at_end.at(1, query, r#"{n="a", x="1"} 0.5; {n="b", x="1"} 1"#);
    at_end.at(
        1,
        r#"rate({__name__=~".+_total"}[2m])"#,
        "error: vector cannot contain metrics with the same labelset",
    );
}

#[test]
fn steps_that_miss_each_other_merge() {
    let b = bench(&["a 1 2 stale", "b _ _ 3 4"]);
    b.over((0, 3), r#"abs({__name__=~"a|b"})"#, "{} 0:1 1:2 2:3 3:4");
    b.over(
        (0, 3),
        r#"sum(abs({__name__=~"a|b"}))"#,
        "{} 0:1 1:2 2:3 3:4",
    );
    b.over((0, 3), "a * 2 or b * 2", "{} 0:2 1:4 2:6 3:8");
}

#[test]
fn info_adds_labels_of_targets() {
    let b = bench(&[
        r#"m{instance="i",job="j"} 1 2 3"#,
        r#"m{instance="other",job="j"} 5 5 5"#,
        r#"target_info{instance="i",job="j",version="1"} 1 stale"#,
        r#"target_info{instance="i",job="j",version="2"} _ 1 1"#,
    ]);
    b.over(
        (0, 2),
        "info(m)",
        concat!(
            r#"{__name__="m", instance="i", job="j", version="1"} 0:1; "#,
            r#"{__name__="m", instance="i", job="j", version="2"} 1:2 2:3; "#,
            r#"{__name__="m", instance="other", job="j"} 0:5 1:5 2:5"#
        ),
    );
    b.at(
        2,
        r#"info(m, {version="2"})"#,
        r#"{__name__="m", instance="i", job="j", version="2"} 3"#,
    );
}
