//! Native histograms through the engine. The test data of upstream say more; here is one of each way
//! that a histogram can go.

use crate::bench;

#[test]
fn every_way_through_the_engine() {
    let b = bench(&[
        "h {{schema:0 sum:1 count:1 buckets:[1]}}+{{sum:2 count:2 buckets:[0 2]}}x3",
        "f 1 2 3",
        "mixed 1 {{count:4 sum:3}} 5",
    ]);
    let h = "{count:5, sum:5, (0.5,1]:1, (1,2]:4}";
    for (query, expected) in [
        ("h", format!("{{__name__=\"h\"}} {h}")),
        (
            "-h",
            "{} {count:-5, sum:-5, (0.5,1]:-1, (1,2]:-4}".to_owned(),
        ),
        (
            "h / 5",
            "{} {count:1, sum:1, (0.5,1]:0.2, (1,2]:0.8}".to_owned(),
        ),
        (
            "h + h",
            "{} {count:10, sum:10, (0.5,1]:2, (1,2]:8}".to_owned(),
        ),
        (
            "h </ 1",
            "{__name__=\"h\"} {count:1, sum:0.7071067811865476, (0.5,1]:1}".to_owned(),
        ),
        ("h == h", format!("{{__name__=\"h\"}} {h}")),
        ("h != h", String::new()),
        ("h and f", format!("{{__name__=\"h\"}} {h}")),
        ("sum(h)", format!("{{}} {h}")),
        ("sum({__name__=~\"h|f\"})", String::new()),
        ("count({__name__=~\"h|f\"})", "{} 2".to_owned()),
        ("max({__name__=~\"h|f\"})", "{} 3".to_owned()),
        (
            "topk(5, {__name__=~\"h|f\"})",
            "{__name__=\"f\"} 3".to_owned(),
        ),
        ("limitk(5, h)", format!("{{__name__=\"h\"}} {h}")),
        ("count_values(\"v\", h)", format!("{{v=\"{h}\"}} 1")),
        ("abs(h)", String::new()),
        ("absent(h)", String::new()),
        ("timestamp(h)", "{} 120".to_owned()),
        ("histogram_count(h)", "{} 5".to_owned()),
        ("histogram_avg(h)", "{} 1".to_owned()),
        (
            "histogram_quantile(0.5, h)",
            "{} 1.2968395546510096".to_owned(),
        ),
        ("histogram_fraction(0, 1, h)", "{} 0.2".to_owned()),
        ("increase(h[2m])", "{} {count:4, sum:4, (1,2]:4}".to_owned()),
        (
            "sum_over_time(h[2m])",
            "{} {count:8, sum:8, (0.5,1]:2, (1,2]:6}".to_owned(),
        ),
        (
            "avg_over_time(h[3m])",
            "{} {count:3, sum:3, (0.5,1]:1, (1,2]:2}".to_owned(),
        ),
        (
            "last_over_time(h[5m:1m])",
            format!("{{__name__=\"h\"}} {h}"),
        ),
        ("count_over_time(mixed[5m])", "{} 3".to_owned()),
        ("resets(mixed[5m])", "{} 2".to_owned()),
        ("max_over_time(mixed[5m])", "{} 5".to_owned()),
        ("rate(mixed[5m])", String::new()),
        (
            "label_replace(h, \"a\", \"b\", \"\", \"\")",
            format!("{{__name__=\"h\", a=\"b\"}} {h}"),
        ),
    ] {
        b.at(2, query, &expected);
    }
}

#[test]
fn steps_have_a_float_or_a_histogram() {
    let b = bench(&[
        "mixed 1 {{count:4 sum:3}} 5 _ _ _ _ _ _ _ stale",
        "gone {{count:1}} stale",
    ]);
    b.over(
        (0, 3),
        "mixed",
        "{__name__=\"mixed\"} 0:1 2:5 3:5 1:{count:4, sum:3}",
    );
    b.over((0, 1), "gone", "{__name__=\"gone\"} 0:{count:1, sum:0}");
    b.over((0, 2), "sum(mixed)", "{} 0:1 2:5 1:{count:4, sum:3}");
    b.over(
        (0, 1),
        "gone @ 0",
        "{__name__=\"gone\"} 0:{count:1, sum:0} 1:{count:1, sum:0}",
    );
}

#[test]
fn what_is_said_has_upstreams_words() {
    let b = bench(&[
        "gauge {{count:1 buckets:[1] counter_reset_hint:gauge}}+{{count:1 buckets:[1]}}x3",
        "counter {{count:1 buckets:[1]}}+{{count:1 buckets:[1]}}x3",
        "custom {{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}x3",
        "other {{schema:-53 count:2 custom_values:[2 3] buckets:[1 1]}}x3",
        "mixed 1 {{count:4 sum:3}} 5",
        "odd {{count:2 sum:NaN buckets:[1]}}x3",
        "old_bucket{le=\"+Inf\"} 4 4 4",
        "old_bucket {{count:1}}x3",
    ]);
    let mixed = "PromQL warning: vector contains a mix of histograms with exponential and custom \
                 buckets schemas for metric name";
    for (query, note) in [
        ("rate(gauge[5m])", r#"PromQL warning: this native histogram metric is not a counter: "gauge" (1:6)"#.to_owned()),
        ("delta(counter[5m])", r#"PromQL warning: this native histogram metric is not a gauge: "counter" (1:7)"#.to_owned()),
        ("rate(mixed[5m])", r#"PromQL warning: encountered a mix of histograms and floats for metric name "mixed" (1:6)"#.to_owned()),
        ("sum({__name__=~\"mixed|counter\"})", "PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)".to_owned()),
        ("sum({__name__=~\"counter|custom\"})", format!("{mixed} \"custom\" (1:5)")),
        ("sum({__name__=~\"custom|other\"})", "PromQL info: mismatched custom buckets were reconciled during aggregation (1:5)".to_owned()),
        ("custom + other", "PromQL info: mismatched custom buckets were reconciled during addition (1:1)".to_owned()),
        ("counter - custom", "PromQL warning: incompatible bucket layout encountered for binary operator - (1:1)".to_owned()),
        ("counter + 1", r#"PromQL info: incompatible sample types encountered for binary operator "+": histogram + float (1:1)"#.to_owned()),
        ("2 </ counter", r#"PromQL info: incompatible sample types encountered for binary operator "</": float </ histogram (1:1)"#.to_owned()),
        ("histogram_quantile(1, odd)", "PromQL info: input to histogram_quantile has NaN observations, result is NaN (1:23)".to_owned()),
        ("histogram_quantile(0.1, odd)", "PromQL info: input to histogram_quantile has NaN observations, result is skewed higher (1:25)".to_owned()),
        ("histogram_fraction(0, 1, odd)", "PromQL info: input to histogram_fraction has NaN observations, which are excluded from all fractions (1:26)".to_owned()),
        ("histogram_quantile(1, old_bucket)", "PromQL warning: vector contains a mix of classic and native histograms (1:23)".to_owned()),
    ] {
        let output = b.instant(query, 2).unwrap();
        let notes: Vec<&String> = output.warnings.iter().chain(&output.infos).collect();
        assert_eq!(notes, [&note], "{query}");
    }
}

#[test]
fn histograms_weigh_what_they_hold() {
    let b = crate::Bench::with(&["h {{count:1}}x9"], |options| options.max_samples = 100);
    // 11 samples each, by size.
    assert_eq!(
        b.instant("h", 9)
            .unwrap()
            .stats
            .samples
            .total_queryable_samples,
        11
    );
    b.over(
        (0, 9),
        "h",
        "error: query processing would load too many samples into memory in query execution",
    );
}
