//! Series descriptions of the test language.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Labels};

/// How many values a series description may expand to.
///
/// `_x1000000000` is a dozen bytes that would take the memory of a server; a year of one sample a
/// minute fits.
pub const VALUES_MAX: usize = 1_000_000;

/// A series of the test language.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDescription {
    /// Its name and labels.
    pub labels: Labels,
    /// One value for each step of the load, the first at time zero.
    pub values: Vec<SequenceValue>,
}

/// One value of a series description.
#[derive(Debug, Clone, PartialEq)]
pub enum SequenceValue {
    /// `_`: no sample at this step.
    Omitted,
    /// A float; `stale` is [`model::STALE_NAN`].
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram, shared where it is repeated.
        histogram: Arc<FloatHistogram>,
        /// Whether the text names a counter reset hint, so that a test can tell "unknown" from
        /// "do not care".
        counter_reset_hint_set: bool,
    },
}

/// `base` plus `factor` (1 or -1) times `step`: what `{{…}}+{{…}}x3` counts up by.
///
/// This is as much of the arithmetic of native histograms as literals need. Zero buckets of
/// different width are brought together only if no other bucket lies within the wider one, and
/// custom bounds must be equal.
pub(crate) fn combine(
    base: &FloatHistogram,
    step: &FloatHistogram,
    factor: f64,
) -> Result<FloatHistogram, String> {
    if base.schema > step.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            step.schema, base.schema
        ));
    }
    let is_custom = base.schema == CUSTOM_BUCKETS_SCHEMA;
    if is_custom != (step.schema == CUSTOM_BUCKETS_SCHEMA) {
        return Err(
            "cannot apply this operation on histograms with a mix of exponential and \
                    custom bucket schemas"
                .to_owned(),
        );
    }
    if base.custom_values != step.custom_values {
        return Err("histograms with different custom bounds cannot be combined here".to_owned());
    }
    let zero_threshold = base.zero_threshold.max(step.zero_threshold);
    if !is_custom && (reaches_into(base, zero_threshold) || reaches_into(step, zero_threshold)) {
        return Err("histograms with different zero buckets cannot be combined here".to_owned());
    }
    let shift = if is_custom {
        0
    } else {
        step.schema.saturating_sub(base.schema)
    };
    let (positive_spans, positive_buckets) = combine_buckets(
        (&base.positive_spans, &base.positive_buckets),
        (&step.positive_spans, &step.positive_buckets),
        shift,
        factor,
    );
    let (negative_spans, negative_buckets) = combine_buckets(
        (&base.negative_spans, &base.negative_buckets),
        (&step.negative_spans, &step.negative_buckets),
        shift,
        factor,
    );
    Ok(FloatHistogram {
        counter_reset_hint: combine_hints(base.counter_reset_hint, step.counter_reset_hint),
        schema: base.schema,
        zero_threshold: if is_custom {
            base.zero_threshold
        } else {
            zero_threshold
        },
        zero_count: base.zero_count
            + if is_custom {
                0.0
            } else {
                factor * step.zero_count
            },
        count: base.count + factor * step.count,
        sum: base.sum + factor * step.sum,
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values: base.custom_values.clone(),
    })
}

fn combine_hints(base: CounterResetHint, step: CounterResetHint) -> CounterResetHint {
    match (base, step) {
        (base, step) if base == step => base,
        (CounterResetHint::Gauge, _) | (_, CounterResetHint::Gauge) => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

/// Whether a zero bucket of this width would swallow buckets of the histogram.
fn reaches_into(histogram: &FloatHistogram, zero_threshold: f64) -> bool {
    if zero_threshold <= histogram.zero_threshold {
        return false;
    }
    let growth_log2 = (-f64::from(histogram.schema)).exp2();
    [&histogram.positive_spans, &histogram.negative_spans]
        .into_iter()
        .filter_map(|spans| spans.first())
        .any(|first| (f64::from(first.offset - 1) * growth_log2).exp2() < zero_threshold)
}

/// Adds the buckets of a step, of which `2^shift` fall into one of the base.
fn combine_buckets(
    base: (&[Span], &[f64]),
    step: (&[Span], &[f64]),
    shift: i32,
    factor: f64,
) -> (Vec<Span>, Vec<f64>) {
    let mut counts: BTreeMap<i32, f64> = indexed(base.0, base.1).collect();
    for (index, count) in indexed(step.0, step.1) {
        let index = index
            .wrapping_sub(1)
            .checked_shr(shift.unsigned_abs())
            .unwrap_or(-1)
            + 1;
        *counts.entry(index).or_insert(0.0) += factor * count;
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut after = 0;
    for &index in counts.keys() {
        match spans.last_mut() {
            Some(last) if index == after => last.length += 1,
            _ => spans.push(Span {
                offset: index - after,
                length: 1,
            }),
        }
        after = index + 1;
    }
    (spans, counts.into_values().collect())
}

/// The buckets with their indices.
fn indexed<'a>(spans: &'a [Span], buckets: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0_i32;
    let indices = spans.iter().flat_map(move |span| {
        let start = next.wrapping_add(span.offset);
        next = start.wrapping_add(span.length as i32);
        start..next
    });
    indices.zip(buckets.iter().copied())
}
