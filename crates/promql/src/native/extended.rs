//! `anchored` and `smoothed` ranges and selectors over native histograms.

use model::FloatHistogram;
use model::histogram::CounterResetHint;

use super::Notes;
use crate::gomath::seconds;
use crate::point::Histogram;
use crate::window::{Borders, Reach};

/// The histogram at `at_ms` on the line between two samples; none, with a warning, if there is no
/// line between them.
fn interpolate(
    (from_ms, from): (i64, &FloatHistogram),
    (to_ms, to): (i64, &FloatHistogram),
    at_ms: i64,
    is_counter: bool,
    notes: &mut Notes<'_>,
) -> Option<FloatHistogram> {
    if at_ms == from_ms {
        return Some(from.clone());
    }
    let mut result = to.clone();
    if at_ms == to_ms {
        return Some(result);
    }
    let fraction = (at_ms - from_ms) as f64 / (to_ms - from_ms) as f64;
    if is_counter && to.detect_reset(from) {
        // It started again at zero.
        result.multiply(fraction);
        return Some(result);
    }
    notes.subtract(&mut result, from)?;
    result.multiply(fraction);
    notes.add(&mut result, from)?;
    Some(result)
}

/// The samples that a range is about, and the histograms at its borders.
struct Bounded<'a> {
    /// From the sample that the left border has its value from to that of the right one.
    samples: &'a [(i64, Histogram)],
    left: FloatHistogram,
    right: FloatHistogram,
}

/// None if nothing lies in the range, or if its samples do not go together.
fn bounded<'a>(
    samples: &'a [(i64, Histogram)],
    borders: Borders,
    is_smoothed: bool,
    is_counter: bool,
    notes: &mut Notes<'_>,
) -> Option<Bounded<'a>> {
    let Borders { start_ms, end_ms } = borders;
    let mut last = samples.len().checked_sub(1)?;
    let first = samples[..last]
        .partition_point(|(t, _)| *t <= start_ms)
        .saturating_sub(1);
    if is_smoothed {
        last = samples[..last].partition_point(|(t, _)| *t < end_ms);
    }
    if samples[last].0 <= start_ms || (is_smoothed && samples[first].0 > end_ms) {
        return None;
    }
    let is_custom = samples[first].1.uses_custom_buckets();
    for (_, histogram) in samples.get(first..=last)? {
        if histogram.uses_custom_buckets() != is_custom {
            notes.mixed_schemas();
            return None;
        }
        if is_counter && histogram.counter_reset_hint == CounterResetHint::Gauge {
            notes.not_a_counter();
        }
    }
    let mut between = |from: usize, to: usize, at_ms: i64| {
        let (from, to) = (&samples[from], &samples[to]);
        interpolate((from.0, &from.1), (to.0, &to.1), at_ms, is_counter, notes)
    };
    let left = if is_smoothed && samples[first].0 < start_ms {
        between(first, first + 1, start_ms)?
    } else {
        (*samples[first].1).clone()
    };
    let right = if is_smoothed && last > 0 && samples[last].0 > end_ms {
        between(last - 1, last, end_ms)?
    } else {
        (*samples[last].1).clone()
    };
    Some(Bounded {
        samples: &samples[first..=last],
        left,
        right,
    })
}

/// `rate`, `increase` and `delta` of a range with borders.
pub(crate) fn rate(
    samples: &[(i64, Histogram)],
    borders: Borders,
    reach: Reach,
    is_counter: bool,
    per_second_of: Option<i64>,
    notes: &mut Notes<'_>,
) -> Option<FloatHistogram> {
    let is_smoothed = reach == Reach::Smoothed;
    let bounded = bounded(samples, borders, is_smoothed, is_counter, notes)?;
    let Bounded { left, right, .. } = &bounded;
    let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if !(is_counter || is_gauge(left) && is_gauge(right)) {
        notes.not_a_gauge();
    }
    let mut result = right.clone();
    notes.subtract(&mut result, left)?;
    if is_counter {
        let before_resets = before_resets(&bounded, borders.start_ms, is_smoothed, notes)?;
        if let Some(correction) = before_resets {
            notes.add(&mut result, &correction)?;
        }
    }
    if let Some(range_ms) = per_second_of {
        result.divide(seconds(range_ms));
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    result.compact(0);
    Some(result)
}

/// What was counted before the resets between the borders, if there were any. The outer none says
/// that the histograms do not add up.
fn before_resets(
    bounded: &Bounded<'_>,
    start_ms: i64,
    is_smoothed: bool,
    notes: &mut Notes<'_>,
) -> Option<Option<FloatHistogram>> {
    let Bounded {
        samples,
        left,
        right,
    } = bounded;
    let mut previous = left;
    // The borders stand for the first sample and for the last one.
    let mut first = 1;
    if is_smoothed
        && samples[0].0 < start_ms
        && let Some((_, second)) = samples.get(1)
        && second.detect_reset(&samples[0].1)
    {
        // The left border was interpolated over this reset and has it already.
        previous = second;
        first = 2;
    }
    let Some(inner) = samples.get(first..samples.len() - 1) else {
        return Some(None);
    };
    let mut correction: Option<FloatHistogram> = None;
    for histogram in inner.iter().map(|(_, h)| &**h).chain([right]) {
        if histogram.detect_reset(previous) {
            match &mut correction {
                None => correction = Some(previous.clone()),
                Some(correction) => notes.add(correction, previous)?,
            }
        }
        previous = histogram;
    }
    Some(correction)
}

/// The value of a smoothed selector at a time, from the histograms around it.
pub(crate) fn smoothed_instant(
    samples: &[(i64, Histogram)],
    at_ms: i64,
    notes: &mut Notes<'_>,
) -> Option<FloatHistogram> {
    let next = samples.partition_point(|(t, _)| *t < at_ms);
    if let Some((time_ms, histogram)) = samples.get(next)
        && *time_ms == at_ms
    {
        return Some((**histogram).clone());
    }
    let (from_ms, from) = samples.get(next.checked_sub(1)?)?;
    let Some((to_ms, to)) = samples.get(next) else {
        // The hint is about two samples that follow each other, not about the value.
        let mut carried = (**from).clone();
        carried.counter_reset_hint = CounterResetHint::Unknown;
        return Some(carried);
    };
    if from.uses_custom_buckets() != to.uses_custom_buckets() {
        notes.mixed_schemas();
        return None;
    }
    let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let is_counter = !(is_gauge(from) && is_gauge(to));
    interpolate((*from_ms, from), (*to_ms, to), at_ms, is_counter, notes)
}
