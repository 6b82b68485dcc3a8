//! Columns that are quotients: what is divided, and how it is kept.

/// The value that encoding and decoding agree on, before corrections.
#[inline]
pub(super) fn value(factor: u64, after: bool, numerator: f64, denominator: f64) -> f64 {
    let factor = factor as f64;
    if after {
        numerator / denominator * factor
    } else {
        factor * numerator / denominator
    }
}

/// A value that is so many last places beyond another.
#[inline]
pub(super) fn corrected(value: f64, places: i64) -> f64 {
    f64::from_bits(value.to_bits().wrapping_add(places as u64))
}

/// How many last places `value` is beyond `found`.
#[inline]
pub(super) fn correction(value: f64, found: f64) -> i64 {
    value.to_bits().wrapping_sub(found.to_bits()) as i64
}

/// Replaces values by what each is above the one before; the first becomes zero.
pub(super) fn to_steps(values: &mut [f64]) {
    let mut before = values.first().copied().unwrap_or(0.0);
    for value in values {
        (before, *value) = (*value, *value - before);
    }
}
