//! Series descriptions of the test language.

use gocompat::strconv::format_float_g;
use model::FloatHistogram;
use model::histogram::{CounterResetHint, Span};
use promql_syntax::{SequenceValue, SeriesDescription, VALUES_MAX, parse_series_desc};

#[rustfmt::skip]
const ACCEPTED: &[(&str, &str)] = &[
    ("up", r#"{__name__="up"}"#),
    ("up 1", r#"{__name__="up"} 1"#),
    ("up 1 2 3", r#"{__name__="up"} 1 2 3"#),
    (r#"up{job="api"} 1 2 3"#, r#"{__name__="up", job="api"} 1 2 3"#),
    (r#"{job="api"} 1"#, r#"{job="api"} 1"#),
    (r#"{"my.metric", "a.b"="c"} 1"#, r#"{__name__="my.metric", "a.b"="c"} 1"#),
    ("up 1x3", r#"{__name__="up"} 1 1 1 1"#),
    ("up 1x0", r#"{__name__="up"} 1"#),
    ("up 1+2x3", r#"{__name__="up"} 1 3 5 7"#),
    ("up 1-2x3", r#"{__name__="up"} 1 -1 -3 -5"#),
    ("up -1+0.5x4", r#"{__name__="up"} -1 -0.5 0 0.5 1"#),
    ("up -1-0.5x4", r#"{__name__="up"} -1 -1.5 -2 -2.5 -3"#),
    ("up +1+1x1", r#"{__name__="up"} 1 2"#),
    ("up 0+0.1x5", r#"{__name__="up"} 0 0.1 0.2 0.30000000000000004 0.4 0.5"#),
    ("up _ _ 1", r#"{__name__="up"} _ _ 1"#),
    ("up _x3 1", r#"{__name__="up"} _ _ _ 1"#),
    ("up _x0", r#"{__name__="up"}"#),
    ("up stale 1 stale", r#"{__name__="up"} stale 1 stale"#),
    ("up Inf -Inf NaN", r#"{__name__="up"} +Inf -Inf NaN"#),
    ("up inf+1x2", r#"{__name__="up"} +Inf +Inf +Inf"#),
    ("up 1e3 .5 0x3", r#"{__name__="up"} 1000 0.5 0 0 0 0"#),
    ("up  1   2  ", r#"{__name__="up"} 1 2"#),
    ("up\t1\t2", r#"{__name__="up"} 1 2"#),
    ("up 1_000", r#"{__name__="up"} 1000"#),
    ("up -0x2", r#"{__name__="up"} -0 -0 -0"#),
    ("up {{}}", r#"{__name__="up"} {{}}"#),
    ("up {{ }}", r#"{__name__="up"} {{}}"#),
    ("up {{schema:1}}", r#"{__name__="up"} {{schema:1}}"#),
    ("up {{schema:1 sum:2 count:3 z_bucket:4 z_bucket_w:0.5 buckets:[1 2] offset:-1 n_buckets:[3 4 5] n_offset:2}}", r#"{__name__="up"} {{schema:1 sum:2 count:3 z_bucket:4 z_bucket_w:0.5 positive:[{-1 2}][1 2] negative:[{2 3}][3 4 5]}}"#),
    ("up {{schema:-53 sum:1 count:2 custom_values:[1 2.5] buckets:[1 1 0]}}", r#"{__name__="up"} {{schema:-53 sum:1 count:2 positive:[{0 3}][1 1 0] custom:[1 2.5]}}"#),
    ("up {{sum:-2 count:inf z_bucket:NaN}}", r#"{__name__="up"} {{sum:-2 count:+Inf z_bucket:NaN}}"#),
    ("up {{counter_reset_hint:gauge}} {{counter_reset_hint:reset}} {{counter_reset_hint:not_reset}} {{counter_reset_hint:unknown}}", r#"{__name__="up"} {{hint:Gauge}} {{hint:Reset}} {{hint:NotReset}} {{hint:Unknown}}"#),
    ("up {{SCHEMA:2 Sum:1}}", r#"{__name__="up"} {{schema:2 sum:1}}"#),
    ("up {{buckets:[1 -2 inf]}}", r#"{__name__="up"} {{positive:[{0 3}][1 -2 +Inf]}}"#),
    ("up {{buckets:[1 2 ] }}", r#"{__name__="up"} {{positive:[{0 2}][1 2]}}"#),
    ("up {{schema:0 count:1}}x3", r#"{__name__="up"} {{count:1}} {{count:1}} {{count:1}} {{count:1}}"#),
    ("up {{schema:0 sum:1 count:1 buckets:[1]}}+{{schema:0 sum:2 count:2 buckets:[1 1] offset:1}}x2", r#"{__name__="up"} {{sum:1 count:1 positive:[{0 1}][1]}} {{sum:3 count:3 positive:[{0 3}][1 1 1]}} {{sum:5 count:5 positive:[{0 3}][1 2 2]}}"#),
    ("up {{schema:0 sum:9 count:9 buckets:[5 4]}}-{{schema:0 sum:1 count:1 buckets:[1]}}x2", r#"{__name__="up"} {{sum:9 count:9 positive:[{0 2}][5 4]}} {{sum:8 count:8 positive:[{0 2}][4 4]}} {{sum:7 count:7 positive:[{0 2}][3 4]}}"#),
    ("up {{schema:0 count:1 buckets:[1]}}+{{schema:1 count:4 buckets:[1 1 1 1]}}x1", r#"{__name__="up"} {{count:1 positive:[{0 1}][1]}} {{count:5 positive:[{0 3}][2 2 1]}}"#),
    ("up {{counter_reset_hint:reset count:1}}+{{count:1 counter_reset_hint:gauge}}x1", r#"{__name__="up"} {{hint:Reset count:1}} {{hint:Gauge count:2}}"#),
    ("up {{counter_reset_hint:reset count:1}}+{{count:1 counter_reset_hint:not_reset}}x1", r#"{__name__="up"} {{hint:Reset count:1}} {{hint:Unknown count:2}}"#),
    ("up {{schema:-53 count:1 custom_values:[5] buckets:[1]}}+{{schema:-53 count:1 custom_values:[5] buckets:[0 1]}}x1", r#"{__name__="up"} {{schema:-53 count:1 positive:[{0 1}][1] custom:[5]}} {{schema:-53 count:2 positive:[{0 2}][1 1] custom:[5]}}"#),
    ("up {{n_buckets:[1]}}+{{n_buckets:[1 1] n_offset:-1}}x1", r#"{__name__="up"} {{negative:[{0 1}][1]}} {{negative:[{-1 2}][1 2]}}"#),
    ("up {{z_bucket:1 z_bucket_w:0.5 buckets:[1] offset:5}}+{{z_bucket:2}}x1", r#"{__name__="up"} {{z_bucket:1 z_bucket_w:0.5 positive:[{5 1}][1]}} {{z_bucket:3 z_bucket_w:0.5 positive:[{5 1}][1]}}"#),
];

#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("1", r#"1:1: unexpected number "1" in series values"#),
    ("up(", "1:3: unexpected character in series sequence: '('"),
    ("up 1 2,", "1:7: unexpected character in series sequence: ','"),
    ("up 1 2 foo", r#"1:8: unexpected identifier "foo" in series values, expected number or "stale""#),
    ("up 1 2 sum", "1:8: unexpected <aggr:sum>"),
    ("up 1x", "1:6: unexpected end of input in series values"),
    ("up 1x1.5", r#"1:6: invalid repetition in series values: strconv.ParseUint: parsing "1.5": invalid syntax"#),
    ("up 1x-1", "1:6: unexpected <op:-> in series values"),
    ("up 1x0x3", r#"1:7: unexpected "x""#),
    ("up 1+2", "1:7: unexpected end of input in series values"),
    ("up 1+", "1:6: unexpected end of input in series values"),
    ("up 1+x3", r#"1:6: unexpected "x" in series values"#),
    ("up 1 + 2x3", r#"1:7: unexpected " " in series values"#),
    ("up --1", "1:5: unexpected <op:-> in series values"),
    ("up _1", r#"1:5: unexpected number "1""#),
    ("up _+1x2", "1:5: unexpected <op:+>"),
    ("up 1.2.3", r#"1:4: bad number syntax: "1.2.""#),
    ("up 1s", r#"1:4: bad number syntax: "1""#),
    (r#"up "a""#, r#"1:4: unexpected character in series sequence: '"'"#),
    (r#"up{job="a" 1"#, "1:12: unexpected character inside braces: '1'"),
    ("up{job} 1", r#"1:7: unexpected "}" in label set, expected "=""#),
    (r#"up{job="a",,} 1"#, r#"1:12: unexpected "," in label set, expected identifier or "}""#),
    ("up{job=1} 1", "1:8: unexpected character inside braces: '1'"),
    (r#"up{="a"} 1"#, r#"1:4: unexpected "=" in label set, expected identifier or "}""#),
    ("up {", "1:4: unexpected character in series sequence: '{'"),
    ("up {{", "1:6: histogram description incomplete unexpected: '�'"),
    ("up {{schema}}", "1:6: missing `:` for histogram descriptor"),
    ("up {{schema:}}", r#"1:13: unexpected "}}" in series values"#),
    ("up {{schema:1.5}}", r#"1:13: invalid repetition in series values: strconv.ParseUint: parsing "1.5": invalid syntax"#),
    ("up {{schema:x}}", r#"1:13: bad histogram descriptor found: "x""#),
    ("up {{ schema:1}}", r#"1:7: unexpected "<Item 57372>" "schema" in series values"#),
    ("up {{schema:1 schema:2}}", r#"1:1: duplicate key "schema" in histogram"#),
    ("up {{schema:1 sum:2 sum:3}}", r#"1:1: duplicate key "sum" in histogram"#),
    ("up {{unknown:1}}", r#"1:6: unexpected "<Item 57445>" "unknown" in series values"#),
    ("up {{buckets:1}}", r#"1:14: unexpected number "1" in series values"#),
    ("up {{buckets:[]}}", r#"1:15: unexpected "]" in series values"#),
    ("up {{buckets:[ 1]}}", r#"1:15: unexpected " " in series values"#),
    ("up {{buckets:[1 2}}", "1:18: invalid character in buckets description: '}'"),
    ("up {{buckets:[a]}}", r#"1:15: unexpected "a]" in series values"#),
    ("up {{buckets:[1,2]}}", "1:16: invalid character in buckets description: ','"),
    ("up {{schema:1 buckets:[}}", "1:24: invalid character in buckets description: '}'"),
    ("up {{sum:1,count:2}}", "1:11: histogram description incomplete unexpected: ','"),
    ("up {{counter_reset_hint:maybe}}", r#"1:25: bad histogram descriptor found: "maybe""#),
    ("up {{counter_reset_hint:1}}", r#"1:25: unexpected number "1" in series values"#),
    ("up {{sum:gauge}}", r#"1:10: unexpected "<Item 57448>" "gauge" in series values"#),
    ("up {{sum:1 count:gauge}}", r#"1:18: unexpected "<Item 57448>" "gauge" in histogram description, expected histogram description key, e.g. buckets:[5 10 7]"#),
    ("up {{sum:1}", "1:11: histogram description incomplete unexpected: '}'"),
    ("up {{sum:1}}x", "1:14: unexpected end of input in series values"),
    ("up {{sum:1}}+1x2", r#"1:14: unexpected number "1" in series values"#),
    ("up {{sum:1}}+{{sum:1}}", "1:23: unexpected end of input in series values"),
    ("up {{schema:1}}+{{schema:0}}x1", "1:30: error combining histograms: cannot merge from schema 0 to 1"),
    ("up {{schema:-53 custom_values:[1]}}+{{schema:0}}x1", "1:50: cannot apply this operation on histograms with a mix of exponential and custom bucket schemas"),
    ("up {{sum:1}} x3", r#"1:14: unexpected "x""#),
    ("up 1x18446744073709551616", r#"1:6: invalid repetition in series values: strconv.ParseUint: parsing "18446744073709551616": value out of range"#),
    // Where Prometheus skips what does not fit without a word.
    ("up {{sum:1 buckets:[1-2]}}", "1:22: unexpected <op:-> in histogram description, expected histogram description key, e.g. buckets:[5 10 7]"),
];

fn show(series: &SeriesDescription) -> String {
    let labels: Vec<String> = series
        .labels
        .iter()
        .map(|(name, value)| model::Matcher::equal(name, value).to_string())
        .collect();
    let mut text = format!("{{{}}}", labels.join(", "));
    for value in &series.values {
        text.push(' ');
        match value {
            SequenceValue::Omitted => text.push('_'),
            SequenceValue::Float(value) if model::is_stale_nan(*value) => text.push_str("stale"),
            SequenceValue::Float(value) => text.push_str(&format_float_g(*value)),
            SequenceValue::Histogram {
                histogram,
                counter_reset_hint_set,
            } => text.push_str(&show_histogram(histogram, *counter_reset_hint_set)),
        }
    }
    text
}

/// What is not zero; a hint that was not set but came about in parentheses.
fn show_histogram(histogram: &FloatHistogram, is_hint_set: bool) -> String {
    let mut parts = Vec::new();
    let hint = histogram.counter_reset_hint;
    if is_hint_set {
        parts.push(format!("hint:{hint:?}"));
    } else if hint != CounterResetHint::Unknown {
        parts.push(format!("(hint:{hint:?})"));
    }
    if histogram.schema != 0 {
        parts.push(format!("schema:{}", histogram.schema));
    }
    for (name, value) in [
        ("sum", histogram.sum),
        ("count", histogram.count),
        ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    ] {
        if value != 0.0 {
            parts.push(format!("{name}:{}", format_float_g(value)));
        }
    }
    for (name, spans, buckets) in [
        (
            "positive",
            &histogram.positive_spans,
            &histogram.positive_buckets,
        ),
        (
            "negative",
            &histogram.negative_spans,
            &histogram.negative_buckets,
        ),
    ] {
        if !spans.is_empty() {
            parts.push(format!(
                "{name}:{}{}",
                show_spans(spans),
                show_floats(buckets)
            ));
        }
    }
    if !histogram.custom_values.is_empty() {
        parts.push(format!("custom:{}", show_floats(&histogram.custom_values)));
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

fn show_spans(spans: &[Span]) -> String {
    let spans: Vec<String> = spans
        .iter()
        .map(|span| format!("{{{} {}}}", span.offset, span.length))
        .collect();
    format!("[{}]", spans.join(" "))
}

fn show_floats(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| format_float_g(*value)).collect();
    format!("[{}]", values.join(" "))
}

#[test]
fn expand_to_values() {
    for (text, want) in ACCEPTED {
        match parse_series_desc(text) {
            Ok(series) => assert_eq!(show(&series), *want, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn say_what_is_wrong_and_where() {
    for (text, error) in REFUSED {
        match parse_series_desc(text) {
            Ok(series) => panic!("{text} is accepted as {}", show(&series)),
            Err(found) => {
                let found = found.to_string().replacen("parse error: ", "", 1);
                assert_eq!(found, *error, "{text}");
            }
        }
    }
}

#[test]
fn do_not_take_all_memory() {
    let most = VALUES_MAX - 1;
    assert_eq!(
        parse_series_desc(&format!("up 1 _x{most}"))
            .unwrap()
            .values
            .len(),
        VALUES_MAX
    );
    for text in [
        format!("up 1 _x{VALUES_MAX}"),
        format!("up 1x{VALUES_MAX}"),
        format!("up 1+1x{VALUES_MAX}"),
        format!("up {{{{}}}}x{VALUES_MAX}"),
        format!("up {{{{}}}}+{{{{}}}}x{VALUES_MAX}"),
        "up 1x18446744073709551615".to_owned(),
    ] {
        let error = parse_series_desc(&text).unwrap_err().to_string();
        assert!(
            error.contains("too many values in series, more than 1000000"),
            "{error}"
        );
    }
}

/// Zero buckets and custom bounds that differ are brought together; kinds of buckets are not.
#[test]
fn sums_reconcile_what_differs() {
    let last = |text: &str| match parse_series_desc(text).unwrap().values.pop() {
        Some(SequenceValue::Histogram { histogram, .. }) => histogram,
        other => panic!("{text}: {other:?}"),
    };
    let sum = last("up {{z_bucket_w:4 offset:4 buckets:[1]}}+{{buckets:[1]}}x1");
    assert_eq!((sum.zero_threshold, sum.zero_count), (4.0, 1.0));
    let bounds = |of: &str| format!("{{{{schema:-53 custom_values:[{of}] buckets:[1 1]}}}}");
    let sum = last(&format!("up {}+{}x1", bounds("1 2"), bounds("2 3")));
    assert_eq!(
        (
            sum.custom_values.as_slice(),
            sum.positive_buckets.as_slice()
        ),
        ([2.0].as_slice(), [3.0, 1.0].as_slice())
    );
    let error = parse_series_desc("up {{schema:-53}}+{{}}x1").unwrap_err();
    let text = "cannot apply this operation on histograms with a mix of exponential and custom \
                bucket schemas";
    assert!(error.to_string().ends_with(text), "{error}");
}
