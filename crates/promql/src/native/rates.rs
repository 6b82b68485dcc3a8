//! Rates of counters and gauges that are native histograms.
//!
//! As with floats: the difference between the last and the first sample, plus what was counted
//! before each reset, stretched to the borders of the range.

use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::CounterResetHint;

use super::Notes;
use crate::annotations::Annotations;
use crate::gomath::seconds;
use crate::point::Histogram;
use crate::window::starts::extrapolation_after;
use crate::window::{Borders, extrapolation};

/// Whether the histograms are taken for a counter.
fn is_gauge(histogram: &FloatHistogram) -> bool {
    histogram.counter_reset_hint == CounterResetHint::Gauge
}

/// What is known of the samples of a range if they are a counter's.
#[derive(Clone, Copy)]
pub(crate) struct Counter<'a> {
    /// Before which samples it was reset.
    pub(crate) resets: &'a [bool],
    /// When it started before the first sample, if that is within the range.
    pub(crate) began_ms: Option<i64>,
    /// Whether the start of a sample overlaps with the sample before.
    pub(crate) is_overlapped: bool,
}

/// `rate`, `increase` or `delta` (which is not of a counter) over the samples of a range, of which
/// there is at least one; `per_second_of` is the length of the range if a rate is asked for.
pub(crate) fn rate(
    samples: &[(i64, Histogram)],
    counter: Option<Counter<'_>>,
    borders: Borders,
    per_second_of: Option<i64>,
    notes: &mut Notes<'_>,
) -> Option<FloatHistogram> {
    let (first, last) = (samples.first()?, samples.last()?);
    let times = (first.0, last.0);
    let began_ms = counter.and_then(|counter| counter.began_ms);
    let mut result = match (samples, began_ms) {
        ([_], None) => return None,
        // It counted from zero.
        ([(_, only)], Some(_)) => (**only).clone(),
        _ => {
            let mut result = difference(samples, counter, notes)?;
            if began_ms.is_some() {
                notes.add(&mut result, &first.1)?;
            }
            result
        }
    };
    let mut factor = match began_ms {
        Some(began_ms) => extrapolation_after(began_ms, times, samples.len(), borders),
        None => {
            let start = counter.map(|_| first.1.count);
            extrapolation(times, samples.len(), borders, start, result.count)
        }
    };
    if let Some(range_ms) = per_second_of {
        factor /= seconds(range_ms);
    }
    result.multiply(factor);
    Some(result)
}

/// The difference over the samples.
fn difference(
    samples: &[(i64, Histogram)],
    counter: Option<Counter<'_>>,
    notes: &mut Notes<'_>,
) -> Option<FloatHistogram> {
    let mut own = Annotations::default();
    let mut noticed = Notes {
        annotations: &mut own,
        ..*notes
    };
    let difference = compatible_difference(samples, counter, &mut noticed);
    // What makes a difference impossible is told alone, unless it shows at the ends.
    if !matches!(difference, Err(Mixed::InBetween)) {
        notes.annotations.merge(own);
    }
    if difference.is_err() {
        notes.mixed_schemas();
    }
    difference.ok()
}

/// Exponential and custom buckets in one range.
enum Mixed {
    AtTheEnds,
    InBetween,
}

fn compatible_difference(
    samples: &[(i64, Histogram)],
    counter: Option<Counter<'_>>,
    notes: &mut Notes<'_>,
) -> Result<FloatHistogram, Mixed> {
    let [(_, first), middle @ .., (_, last)] = samples else {
        return Err(Mixed::AtTheEnds);
    };
    let resets = counter.map(|counter| counter.resets);
    let is_counter = counter.is_some();
    if is_counter && (is_gauge(first) || is_gauge(last)) {
        notes.not_a_counter();
    }
    let second = middle.first().map_or(last, |(_, h)| h);
    let starts_anew = resets.is_some_and(|resets| resets[1]);
    // After a reset the first sample says nothing, whatever its layout.
    let start = if starts_anew {
        Arc::new(FloatHistogram {
            schema: second.schema,
            custom_values: second.custom_values.clone(),
            ..FloatHistogram::default()
        })
    } else {
        Arc::clone(first)
    };
    let is_custom = start.uses_custom_buckets();
    if last.uses_custom_buckets() != is_custom {
        return Err(Mixed::AtTheEnds);
    }
    let mut schema = last.schema.min(start.schema);
    if is_counter {
        for (_, histogram) in middle {
            if is_gauge(histogram) {
                notes.not_a_counter();
            }
            schema = schema.min(histogram.schema);
            if histogram.uses_custom_buckets() != is_custom {
                return Err(Mixed::InBetween);
            }
        }
    }
    let mut result = (**last).clone();
    if schema < result.schema && result.reduce_resolution(schema).is_err() {
        return Err(Mixed::InBetween);
    }
    notes
        .subtract(&mut result, &start)
        .ok_or(Mixed::InBetween)?;
    if let Some(resets) = resets {
        // The first sample was not subtracted if there is a reset after it.
        for at in (2..samples.len()).filter(|&at| resets[at]) {
            let (_, before) = &samples[at - 1];
            notes.add(&mut result, before).ok_or(Mixed::InBetween)?;
        }
        if counter.is_some_and(|counter| counter.is_overlapped) {
            notes.start_overlaps();
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        notes.not_a_gauge();
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    result.compact(0);
    Ok(result)
}

/// `irate` or `idelta` of two histograms.
pub(crate) fn instant_rate(
    (before, last): (&FloatHistogram, &FloatHistogram),
    interval_ms: i64,
    is_rate: bool,
    is_reset: bool,
    notes: &mut Notes<'_>,
) -> Option<FloatHistogram> {
    let mut result = last.clone();
    if is_rate && (is_gauge(last) || is_gauge(before)) {
        notes.not_a_counter();
    }
    if !(is_rate || is_gauge(last) && is_gauge(before)) {
        notes.not_a_gauge();
    }
    // After a reset the counter counts from zero.
    if !is_reset {
        notes.subtract(&mut result, before)?;
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    result.compact(0);
    if is_rate {
        result.divide(interval_ms as f64 / 1000.0);
    }
    Some(result)
}
