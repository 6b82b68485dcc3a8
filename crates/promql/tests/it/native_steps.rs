//! A property of native histograms in the engine: at each step a range query answers what an instant
//! query does, and says what the instant queries say.
//!
//! Instant queries look at one window; range queries share between windows what they can. Made-up
//! series mix floats, gaps, resets, and histograms of different schemas, bounds and zero buckets.

use std::collections::BTreeSet;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Labels, METRIC_NAME};
use promql::{QueryOptions, Value};
use proptest::prelude::*;
use storage::memory::MemoryStore;

use crate::{MINUTE_MS, engine};

const MINUTES: usize = 8;

const QUERIES: [&str; 24] = [
    "a",
    "-a",
    "a + b",
    "a - on() b",
    "a == b",
    "a * 2",
    "a </ 1.5",
    "a >/ 0.7",
    "sum({__name__=~\"a|b\"})",
    "avg({__name__=~\"a|b\"})",
    "count({__name__=~\"a|b\"})",
    "limitk(1, {__name__=~\"a|b\"})",
    "rate(a[4m])",
    "increase(a[3m] offset 1m)",
    "delta(a[4m])",
    "irate(a[4m])",
    "rate(a[4m:1m])",
    "sum_over_time(a[3m])",
    "avg_over_time(a[3m])",
    "resets(a[5m])",
    "changes(a[5m])",
    "max_over_time(a[3m])",
    "histogram_quantile(0.7, a)",
    "histogram_stddev(rate(a[4m]))",
];

#[derive(Debug, Clone)]
enum Sample {
    Gap,
    Float(u8),
    Histogram(Box<FloatHistogram>),
}

fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let buckets = prop::collection::vec(0_u8..6, 1..4);
    let hint = prop::sample::select(vec![
        CounterResetHint::Unknown,
        CounterResetHint::Reset,
        CounterResetHint::Gauge,
    ]);
    (0_usize..6, -1_i32..2, buckets, 0_usize..3, hint).prop_map(
        |(layout, offset, buckets, zero, hint)| {
            let is_custom = layout == 0;
            let buckets: Vec<f64> = buckets.into_iter().map(f64::from).collect();
            let offset = if is_custom { 0 } else { offset };
            let mut histogram = FloatHistogram {
                counter_reset_hint: hint,
                schema: [CUSTOM_BUCKETS_SCHEMA, 0, 0, 0, 0, 1][layout],
                count: buckets.iter().sum(),
                sum: f64::from(offset) + buckets.len() as f64,
                positive_spans: vec![Span {
                    offset,
                    length: buckets.len() as u32,
                }],
                positive_buckets: buckets,
                ..FloatHistogram::default()
            };
            if is_custom {
                histogram.custom_values =
                    [vec![1.0, 2.0], vec![1.0, 3.0], vec![0.5, 1.0, 2.0]][zero].clone();
            } else {
                histogram.zero_threshold = [0.0, 0.0, 0.25][zero];
                histogram.zero_count = zero as f64;
                histogram.count += zero as f64;
            }
            histogram
        },
    )
}

fn any_series() -> impl Strategy<Value = Vec<Sample>> {
    let sample = prop_oneof![
        1 => Just(Sample::Gap),
        1 => (0_u8..9).prop_map(Sample::Float),
        8 => any_histogram().prop_map(|h| Sample::Histogram(Box::new(h))),
    ];
    prop::collection::vec(sample, MINUTES)
}

fn store(series: &[(&str, Vec<Sample>)]) -> MemoryStore {
    let store = MemoryStore::new();
    for (name, samples) in series {
        let labels = Labels::from_pairs([(METRIC_NAME, *name)]);
        for (minute, sample) in samples.iter().enumerate() {
            let time_ms = MINUTE_MS * minute as i64;
            match sample {
                Sample::Gap => {}
                Sample::Float(value) => store.insert(&labels, time_ms, f64::from(*value)),
                Sample::Histogram(histogram) => {
                    store.insert_histogram(&labels, time_ms, (**histogram).clone());
                }
            }
        }
    }
    store
}

/// Labels, time and value of everything in an answer, sorted.
fn points(value: &Value) -> Vec<String> {
    let mut points: Vec<String> = match value {
        Value::Vector(samples) => samples
            .iter()
            .map(|s| match &s.histogram {
                Some(h) => format!("{} {} {h:?}", s.labels, s.timestamp_ms),
                None => format!("{} {} {:?}", s.labels, s.timestamp_ms, s.value),
            })
            .collect(),
        Value::Matrix(all) => all
            .iter()
            .flat_map(|series| {
                let labels = &series.labels;
                let floats = series.points.iter();
                let floats = floats.map(move |(t, v)| format!("{labels} {t} {v:?}"));
                let histograms = series.histograms.iter();
                floats.chain(histograms.map(move |(t, h)| format!("{labels} {t} {h:?}")))
            })
            .collect(),
        other => panic!("{other:?}"),
    };
    points.sort();
    points
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_range_is_its_instants(a in any_series(), b in any_series()) {
        let store = store(&[("a", a), ("b", b)]);
        let engine = engine(|_| {});
        let options = QueryOptions::default();
        let end_ms = MINUTE_MS * (MINUTES as i64 + 1);
        for query in QUERIES {
            let range = engine.range(&store, query, 0, end_ms, MINUTE_MS, &options);
            let mut instants = Vec::new();
            let mut notes = BTreeSet::new();
            let mut failure = None;
            for time_ms in (0..=end_ms).step_by(MINUTE_MS as usize) {
                match engine.instant(&store, query, time_ms, &options) {
                    Ok(output) => {
                        instants.extend(points(&output.value));
                        notes.extend(output.warnings);
                        notes.extend(output.infos);
                    }
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            instants.sort();
            match (range, failure) {
                (Ok(range), None) => {
                    prop_assert_eq!(points(&range.value), instants, "{}", query);
                    let said = range.warnings.into_iter().chain(range.infos);
                    prop_assert_eq!(said.collect::<BTreeSet<_>>(), notes, "{}", query);
                }
                (Err(range), Some(instant)) => prop_assert_eq!(range, instant, "{}", query),
                (range, instant) => prop_assert!(false, "{query}: {range:?} but {instant:?}"),
            }
        }
    }
}
