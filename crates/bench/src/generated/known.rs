//! What is known to differ from Prometheus 2.42, each as a query with both answers.
//!
//! A Prometheus of version 3 must give our answers; where it does not, that is listed, too.

use model::{Labels, METRIC_NAME};
use naive::random::START_MS;
use promblock::Value;
use serde_json::Value as Json;

use super::data::{self, Series};
use super::{Pair, Steps};

/// A query and what it gives: `error`, or the samples, each as its labels and its value.
struct Known {
    query: &'static str,
    /// Of 2.42.
    old: &'static str,
    /// Of 3.14.
    recent: &'static str,
    ours: &'static str,
}

const fn known(query: &'static str, old: &'static str, ours: &'static str) -> Known {
    Known {
        query,
        old,
        recent: ours,
        ours,
    }
}

/// Asked at [`AT_MS`], where `edge` has a sample.
#[rustfmt::skip]
const KNOWN: &[Known] = &[
    // A window was closed on its left side, and so was a subquery's.
    known("count_over_time(edge[1m])", "{} 5", "{} 4"),
    known("count_over_time(edge[15s])", "{} 2", "{} 1"),
    known("count_over_time(edge[1m:5s])", "{} 13", "{} 12"),
    known("rate(edge[15s])", "{} 1", ""),
    known("edge[30s]", r#"{__name__="edge"} 570 585 600"#, r#"{__name__="edge"} 585 600"#),
    known("ended", r#"{__name__="ended"} 300"#, ""),
    // A counter that begins near zero long after the window does.
    known("increase(young_total[5m])", "{} 110.00000000000001", "{} 107.5"),
    known("rate(young_total[2m])", "{} 0.9166666666666667", "{} 0.8958333333333334"),
    // A dot matched everything but a line break.
    known(r#"lines{text=~"a.b"}"#, r#"{__name__="lines",text="acb"} 2"#, r#"{__name__="lines",text="a\nb"} 1; {__name__="lines",text="acb"} 2"#),
    known(r#"lines{text=~"a.*"}"#, r#"{__name__="lines",text="acb"} 2"#, r#"{__name__="lines",text="a\nb"} 1; {__name__="lines",text="acb"} 2"#),
    known(r#"label_replace(lines, "text", "all", "text", "a.*")"#, r#"{__name__="lines",text="a\nb"} 1; {__name__="lines",text="all"} 2"#, "error"),
    // Sums did not compensate for what is lost in rounding.
    known("sum(big)", "{} 0", "{} 1"),
    known("avg(big)", "{} 0", "{} 0.3333333333333333"),
    known("stddev(edge * Inf)", "{} 0", "{} NaN"),
    known("stdvar(edge * NaN)", "{} 0", "{} NaN"),
    known("sum_over_time(edge[2m])", "{} 4860", "{} 4380"),
    // Names.
    known("edge atan2 edge", r#"{__name__="edge"} 0.7853981633974483"#, "{} 0.7853981633974483"),
    known("holt_winters(edge[2m], 0.5, 0.5)", "{} 600", "error"),
    known("first_over_time(edge[2m])", "error", r#"{__name__="edge"} 495"#),
    known(r#"{"edge"}"#, "error", r#"{__name__="edge"} 600"#),
    known(r#"{"edge", "n"=""}"#, "error", r#"{__name__="edge"} 600"#),
    known(r#"label_replace(edge, "a.b", "x", "", "")"#, "error", r#"{__name__="edge",a.b="x"} 600"#),
    known(r#"count_values("a b", edge)"#, "error", r#"{a b="600"} 1"#),
    known(r#"sum by ("n") (big)"#, "error", r#"{n="1"} 1e+100; {n="2"} 1; {n="3"} -1e+100"#),
    // Numbers and durations.
    known("count_over_time(edge[60])", "error", "{} 4"),
    known("edge offset 60", "error", r#"{__name__="edge"} 540"#),
    known("1m + 0", "error", "60"),
    known("1_000", "error", "1000"),
    known("count_over_time(edge[30s * 2])", "error", "{} 4"),
    known("edge @ 1700000300.5 offset -(1s)", "error", r#"{__name__="edge"} 300"#),
    // Several series match one, and a comparison leaves at most one of them.
    known("big > on () edge", "{} 1e+100", "error"),
    // Prometheus measures the age of a sample from the time after `@`, whatever the offset.
    Known { query: "timestamp(ended @ 1700000600 offset 1m)", old: "{} 1700000300", recent: "", ours: "{} 1700000300" },
    Known { query: "timestamp(ended @ 1700000700 offset 3m)", old: "", recent: "", ours: "{} 1700000300" },
    // Buckets that differ by a last bit.
    known("histogram_quantile(1, noise_bucket)", "{} 2", "{} 1"),
];

/// When the queries are asked.
const AT_MS: i64 = START_MS + 600_000;

/// The series that they are about.
pub(super) fn series() -> Series {
    let every =
        |name: &str, label: (&str, &str), from_s: i64, to_s: i64, value: &dyn Fn(i64) -> f64| {
            let times = (from_s..=to_s).step_by(15);
            let samples =
                times.map(|at_s| data::sample(START_MS + at_s * 1_000, Value::Float(value(at_s))));
            let labels = Labels::from_pairs([(METRIC_NAME, name), label]);
            (labels, samples.collect())
        };
    let mut series = vec![
        every("edge", ("n", ""), 0, 600, &|at_s| at_s as f64),
        every("ended", ("n", ""), 0, 300, &|at_s| at_s as f64),
        every("young_total", ("n", ""), 500, 600, &|at_s| {
            (at_s - 490) as f64
        }),
        every("lines", ("text", "a\nb"), 600, 600, &|_| 1.0),
        every("lines", ("text", "acb"), 600, 600, &|_| 2.0),
    ];
    for (n, value) in [("1", 1e100), ("2", 1.0), ("3", -1e100)] {
        series.push(every("big", ("n", n), 600, 600, &|_| value));
    }
    for (n, value) in [("1", 1.7e308), ("2", 1.7e308)] {
        series.push(every("huge", ("n", n), 600, 600, &|_| value));
    }
    for (le, value) in [("1", 1.0), ("2", 1.0 + 1e-15), ("+Inf", 1.0)] {
        series.push(every("noise_bucket", ("le", le), 600, 600, &|_| value));
    }
    series
}

/// How many are as they are known, and those that are not.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) right: usize,
    pub(super) wrong: Vec<String>,
}

pub(super) async fn check(pair: &Pair) -> anyhow::Result<Checked> {
    let mut checked = Checked::default();
    for known in KNOWN {
        let steps = Steps {
            start_ms: AT_MS,
            end_ms: AT_MS,
            step_ms: 1_000,
        };
        let (ours, theirs) = pair.ask(&steps.path(known.query)).await?;
        let theirs_wanted = if pair.is_recent() {
            known.recent
        } else {
            known.old
        };
        let found = [short(&ours), short(&theirs)];
        if found == [known.ours, theirs_wanted] {
            checked.right += 1;
        } else {
            checked.wrong.push(format!(
                "{}: {found:?} instead of {:?}",
                known.query,
                [known.ours, theirs_wanted]
            ));
        }
    }
    Ok(checked)
}

/// An answer as it stands in the table.
fn short(answer: &Json) -> String {
    if answer["status"] != "success" {
        return "error".to_owned();
    }
    let result = &answer["data"]["result"];
    if answer["data"]["resultType"] == "scalar" {
        return text(&result[1]);
    }
    let rows = result.as_array().into_iter().flatten();
    let mut rows: Vec<String> = rows.map(row).collect();
    rows.sort_unstable();
    rows.join("; ")
}

fn row(row: &Json) -> String {
    let labels = row["metric"].as_object().into_iter().flatten();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let values = row["values"].as_array().into_iter().flatten();
    let values: Vec<String> = values
        .chain([&row["value"]])
        .filter(|point| !point.is_null())
        .map(|point| text(&point[1]))
        .collect();
    format!("{{{}}} {}", labels.join(","), values.join(" "))
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
