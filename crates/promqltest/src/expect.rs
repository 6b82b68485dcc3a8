//! Whether an answer is what a statement expects.
//!
//! Values may differ by one part in a million, as in upstream's own runner: sums are not defined to
//! the last bit by the test data.

use std::collections::BTreeMap;
use std::fmt;

use model::{FloatHistogram, Labels, is_stale_nan};
use promql::{MatrixSeries, QueryOutput, Value, VectorSample};

use crate::statement::{Annotation, Eval, Expectation, Point};

/// Relative difference up to which two values are the same.
const TOLERANCE: f64 = 1e-6;

/// Whether two values are the same for a test: by bits for staleness markers, any NaN for any
/// other NaN, and otherwise within [`TOLERANCE`] of the sum of both.
#[must_use]
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// Checks the value of an answer.
pub(crate) fn check_value(eval: &Eval, value: &Value) -> Result<(), String> {
    match value {
        Value::Scalar { value, .. } => check_scalar(eval, *value),
        Value::String { value, .. } => match &eval.string {
            Some(expected) if expected == value => Ok(()),
            expected => Err(format!("expected the string {expected:?}, got {value:?}")),
        },
        Value::Vector(samples) => check_vector(eval, samples),
        Value::Matrix(series) => {
            if eval.is_ordered() {
                return Err("an ordered answer is expected of a matrix".to_owned());
            }
            if eval.scalar.is_some() {
                return Err("expected a scalar, got a matrix".to_owned());
            }
            if let Some(pair) = series.windows(2).find(|w| w[0].labels > w[1].labels) {
                return Err(format!(
                    "{} comes after {}: a matrix is sorted",
                    pair[1].labels, pair[0].labels
                ));
            }
            check_matrix(eval, series)
        }
    }
}

pub(crate) fn check_scalar(eval: &Eval, value: f64) -> Result<(), String> {
    match eval.scalar {
        Some(expected) if almost_equal(expected, value) => Ok(()),
        Some(expected) => Err(format!("expected the scalar {expected}, got {value}")),
        None => Err(format!("expected no scalar, got {value}")),
    }
}

pub(crate) fn check_vector(eval: &Eval, samples: &[VectorSample]) -> Result<(), String> {
    if eval.scalar.is_some() {
        return Err(format!(
            "expected a scalar, got a vector of {}",
            samples.len()
        ));
    }
    let mut missing: BTreeMap<&Labels, (usize, &[Point])> = expected(eval);
    for (place, sample) in samples.iter().enumerate() {
        let Some((expected_place, points)) = missing.remove(&sample.labels) else {
            let (labels, value) = (&sample.labels, sample.value);
            return Err(format!("unexpected {labels} = {value}"));
        };
        if eval.is_ordered() && expected_place != place {
            return Err(format!(
                "{} is number {place}, expected number {expected_place}",
                sample.labels
            ));
        }
        let got = match &sample.histogram {
            Some(histogram) => Got::Histogram(histogram),
            None => Got::Float(sample.value),
        };
        if !points.first().is_some_and(|point| got.is(point)) {
            let expected = points.first().map_or_else(String::new, describe);
            let labels = &sample.labels;
            return Err(format!("expected {expected} for {labels}, got {got}"));
        }
    }
    match missing.keys().next() {
        Some(labels) => Err(format!("{labels} is missing")),
        None => Ok(()),
    }
}

fn check_matrix(eval: &Eval, series: &[MatrixSeries]) -> Result<(), String> {
    let mut missing = expected(eval);
    for one in series {
        let labels = &one.labels;
        let points = got_points(one);
        let Some((_, expected)) = missing.remove(labels) else {
            let points: Vec<String> = points.iter().map(|(t, p)| format!("{p} @{t}")).collect();
            return Err(format!("unexpected {labels} with {points:?}"));
        };
        let mut wanted = Vec::new();
        for (step, point) in expected.iter().enumerate() {
            let time_ms = eval.start_ms + eval.step_ms * step as i64;
            if time_ms > eval.end_ms {
                return Err(format!("{labels} cannot have {} points", expected.len()));
            }
            if !matches!(point, Point::Missing) {
                wanted.push((time_ms, point));
            }
        }
        let same = wanted.len() == points.len()
            && wanted
                .iter()
                .zip(&points)
                .all(|((a, wanted), (b, got))| a == b && got.is(wanted));
        if !same {
            let wanted = wanted.iter().map(|(t, p)| format!("{} @{t}", describe(p)));
            let wanted: Vec<String> = wanted.collect();
            let points: Vec<String> = points.iter().map(|(t, p)| format!("{p} @{t}")).collect();
            return Err(format!("expected {wanted:?} for {labels}, got {points:?}"));
        }
    }
    match missing.keys().next() {
        Some(labels) => Err(format!("{labels} is missing")),
        None => Ok(()),
    }
}

/// A value of an answer.
#[derive(Debug, Clone, Copy)]
enum Got<'a> {
    Float(f64),
    Histogram(&'a FloatHistogram),
}

impl Got<'_> {
    fn is(&self, expected: &Point) -> bool {
        match (self, expected) {
            (Got::Float(got), Point::Float(wanted)) => almost_equal(*wanted, *got),
            (
                Got::Histogram(got),
                Point::Histogram {
                    histogram,
                    hint_matters,
                },
            ) => same_histogram(histogram, got, *hint_matters),
            _ => false,
        }
    }
}

impl fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Got::Float(value) => write!(f, "{value}"),
            Got::Histogram(histogram) => match histogram.test_expression() {
                Some(text) => f.write_str(&text),
                None => write!(f, "{histogram}"),
            },
        }
    }
}

fn describe(point: &Point) -> String {
    match point {
        Point::Missing => "nothing".to_owned(),
        Point::Float(value) => value.to_string(),
        Point::Histogram { histogram, .. } => Got::Histogram(histogram).to_string(),
    }
}

/// The points of a series in order.
fn got_points(series: &MatrixSeries) -> Vec<(i64, Got<'_>)> {
    let floats = series.points.iter().map(|(t, v)| (t, Got::Float(v)));
    let histograms = series.histograms.iter();
    let histograms = histograms.map(|(t, h)| (*t, Got::Histogram(h)));
    let mut points: Vec<(i64, Got<'_>)> = floats.chain(histograms).collect();
    points.sort_by_key(|(time_ms, _)| *time_ms);
    points
}

/// Whether two histograms are the same for a test: the same populated buckets, and counts and sums
/// that are almost equal. What is known of a counter reset matters only if the test names it.
fn same_histogram(wanted: &FloatHistogram, got: &FloatHistogram, hint_matters: bool) -> bool {
    let (mut wanted, mut got) = (wanted.clone(), got.clone());
    wanted.compact(0);
    got.compact(0);
    let almost_all = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| almost_equal(a, b))
    };
    wanted.schema == got.schema
        && almost_equal(wanted.count, got.count)
        && almost_equal(wanted.sum, got.sum)
        && (!wanted.uses_custom_buckets() || wanted.custom_values == got.custom_values)
        && wanted.zero_threshold == got.zero_threshold
        && almost_equal(wanted.zero_count, got.zero_count)
        && wanted.has_buckets_of(&got)
        && almost_all(&wanted.negative_buckets, &got.negative_buckets)
        && almost_all(&wanted.positive_buckets, &got.positive_buckets)
        && (!hint_matters || wanted.counter_reset_hint == got.counter_reset_hint)
}

/// Expected series by labels, with their place; of equal label sets the last one counts.
fn expected(eval: &Eval) -> BTreeMap<&Labels, (usize, &[Point])> {
    let series = eval.series.iter().enumerate();
    series
        .map(|(place, (labels, points))| (labels, (place, points.as_slice())))
        .collect()
}

/// Checks warnings and infos.
pub(crate) fn check_annotations(eval: &Eval, output: &QueryOutput) -> Result<(), String> {
    for (kind, found) in [
        (Annotation::Warn, &output.warnings),
        (Annotation::Info, &output.infos),
    ] {
        let expected: Vec<&Expectation> = eval
            .annotations
            .iter()
            .filter_map(|(k, e)| (*k == kind).then_some(e))
            .collect();
        let name = kind.name();
        if (eval.none_of.contains(&kind)) && !found.is_empty() {
            return Err(format!("unexpected {name}: {found:?}"));
        }
        if eval.some_of.contains(&kind) && found.is_empty() {
            return Err(format!("expected a {name}, got none"));
        }
        if expected.is_empty() {
            continue;
        }
        if let Some(lost) = expected
            .iter()
            .find(|e| !found.iter().any(|t| e.accepts(t)))
        {
            return Err(format!("no {name} like {lost}, got {found:?}"));
        }
        if let Some(odd) = found
            .iter()
            .find(|t| !expected.iter().any(|e| e.accepts(t)))
        {
            return Err(format!("unexpected {name} {odd:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::STALE_NAN;

    #[test]
    fn what_is_almost_equal() {
        for (a, b, same) in [
            (1.0, 1.000_000_1, true),
            (1.0, 1.000_01, false),
            (f64::NAN, -f64::NAN, true),
            (STALE_NAN, f64::NAN, false),
            (STALE_NAN, STALE_NAN, true),
            (0.0, 1e-300, false),
            (0.0, -0.0, true),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::MAX, false),
        ] {
            assert_eq!(almost_equal(a, b), same, "{a} {b}");
            assert_eq!(almost_equal(b, a), same, "{b} {a}");
        }
    }
}
