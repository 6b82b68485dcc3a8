//! Columns of quotients: percentages that an agent computed from whole numbers.
//!
//! `100 * used / total` has 52 bits that look like noise, but two small whole numbers behind it.
//! They are found again by continued fractions: the first fraction that comes close enough, with a
//! bound on the denominator that makes a hit by chance unlikely. Sums of float seconds are not
//! exact, so what is left between quotient and value is kept too, in units of the last place.
//!
//! Neighbours mostly share their denominator (the size of memory) or nearly do (the ticks between
//! two scrapes), so the last ones are tried first; the fraction would be in lowest terms, where
//! the common denominator no longer shows.

use super::ratio;

/// Denominators of which a few were seen are tried before a fraction is searched.
const CANDIDATES_MAX: usize = 8;
/// How far from the last denominator others are tried: clock ticks more or less between scrapes.
const NEAR: i64 = 6;
/// Values that are looked at before the whole column is.
const SAMPLES: usize = 32;

/// How close a fraction must come.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    denominator_max: f64,
    /// Of the numerator, absolute.
    error_max: f64,
    /// Of the numerator, relative.
    relative_max: f64,
}

/// Ticks of clocks, through float seconds: small numbers, rough errors. By chance one value in
/// fifty has such a fraction.
const TICKS: Bounds = Bounds {
    denominator_max: 131_072.0,
    error_max: 1e-7,
    relative_max: 0.0,
};
/// Bytes or pages of bytes, divided once: large numbers, an error of a few last places.
const SIZES: Bounds = Bounds {
    denominator_max: 16_777_216.0,
    error_max: 0.0,
    relative_max: 4.5e-16,
};

/// A column as `factor * numerator / denominator`, plus `correction` last places.
#[derive(Debug, Default)]
pub(super) struct Quotients {
    pub(super) factor: u8,
    pub(super) numerators: Vec<i64>,
    pub(super) denominators: Vec<i64>,
    pub(super) corrections: Vec<i64>,
}

/// The value that encoding and decoding agree on, before corrections.
#[inline]
fn value(factor: u8, numerator: i64, denominator: i64) -> f64 {
    ratio::value(
        u64::from(factor),
        false,
        numerator as f64,
        denominator as f64,
    )
}

/// Fills `found` with shares of ticks in percent; false if the values are none.
pub(super) fn find_ticks(values: &[f64], found: &mut Quotients) -> bool {
    find_with(values, 100, TICKS, found)
}

/// Fills `found`; false if the values are no quotients.
pub(super) fn find(values: &[f64], found: &mut Quotients) -> bool {
    for bounds in [TICKS, SIZES] {
        for factor in [100, 1] {
            if find_with(values, factor, bounds, found) {
                return true;
            }
        }
    }
    false
}

fn find_with(values: &[f64], factor: u8, bounds: Bounds, found: &mut Quotients) -> bool {
    let scale = f64::from(factor);
    let ordinary = |v: f64| v > 0.0 && v < 1e9;
    let step = values.len().div_ceil(SAMPLES).max(1);
    let mut seen: Vec<i64> = Vec::with_capacity(SAMPLES);
    let mut samples = 0;
    for &v in values.iter().step_by(step).filter(|&&v| ordinary(v)) {
        samples += 1;
        seen.extend(fraction(v / scale, bounds).map(|(_, denominator)| denominator));
        if seen.len() + 2 + samples / 8 < samples {
            return false;
        }
    }
    if seen.len() < 8 {
        return false;
    }
    // The largest are those that nothing was cancelled from.
    seen.sort_unstable_by(|a, b| b.cmp(a));
    seen.dedup();
    seen.truncate(CANDIDATES_MAX);
    found.factor = factor;
    found.numerators.clear();
    found.denominators.clear();
    found.corrections.clear();
    let mut last = seen[0];
    let mut misses = 0;
    for &v in values {
        let mut numerator = 0;
        if ordinary(v) {
            match quotient(v / scale, last, &seen, bounds) {
                Some((n, d)) => (numerator, last) = (n, d),
                None => misses += 1,
            }
        } else {
            misses += usize::from(v.to_bits() != 0);
        }
        if misses > values.len() / 16 {
            return false;
        }
        let plain = value(factor, numerator, last);
        found.numerators.push(numerator);
        found.denominators.push(last);
        found.corrections.push(ratio::correction(v, plain));
    }
    true
}

/// A fraction for `ratio`, with the last denominator, one of the seen ones, or one near the last
/// if it goes, else in lowest terms.
fn quotient(ratio: f64, last: i64, seen: &[i64], bounds: Bounds) -> Option<(i64, i64)> {
    let with = |denominator: i64| {
        numerator(ratio, denominator as f64, bounds).map(|n| (n as i64, denominator))
    };
    if let Some(found) = with(last) {
        return Some(found);
    }
    let near = (1..=NEAR).flat_map(|by| [last + by, last - by]);
    seen.iter()
        .copied()
        .chain(near)
        .filter(|&d| d > 0)
        .find_map(with)
        .or_else(|| fraction(ratio, bounds))
}

/// The numerator, if `ratio` is close enough to a fraction with the denominator.
#[inline]
fn numerator(ratio: f64, denominator: f64, bounds: Bounds) -> Option<f64> {
    let product = ratio * denominator;
    let whole = product.round();
    let error = (product - whole).abs();
    (whole >= 1.0 && error <= bounds.error_max + bounds.relative_max * whole).then_some(whole)
}

/// The first continued fraction of `ratio` that is close enough.
fn fraction(ratio: f64, bounds: Bounds) -> Option<(i64, i64)> {
    let (mut before, mut denominator) = (0.0, 1.0);
    let mut rest = ratio;
    // Denominators grow at least as Fibonacci's numbers: 40 steps pass any bound.
    for _ in 0..40 {
        if let Some(numerator) = numerator(ratio, denominator, bounds) {
            return Some((numerator as i64, denominator as i64));
        }
        let part = rest - rest.floor();
        if part < 1e-12 {
            return None;
        }
        rest = 1.0 / part;
        (before, denominator) = (denominator, rest.floor() * denominator + before);
        if denominator > bounds.denominator_max {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], found: bool, denominator: Option<i64>) {
        let mut quotients = Quotients::default();
        assert_eq!(find(values, &mut quotients), found);
        if !found {
            return;
        }
        let parts = quotients
            .numerators
            .iter()
            .zip(&quotients.denominators)
            .zip(&quotients.corrections);
        for (((&n, &d), &c), v) in parts.zip(values) {
            let found = ratio::corrected(value(quotients.factor, n, d), c);
            assert_eq!(found.to_bits(), v.to_bits());
        }
        if let Some(denominator) = denominator {
            assert!(
                quotients.denominators[1..]
                    .iter()
                    .all(|&d| d == denominator)
            );
        }
    }

    #[test]
    fn finds_what_agents_divide() {
        let mut rng = fastrand::Rng::with_seed(3);
        // Memory: pages of a whole.
        let memory: Vec<f64> = (0..200)
            .map(|_| {
                100.0 * (rng.u64(1_000_000..2_000_000) * 4096) as f64 / (8_181_737u64 * 4096) as f64
            })
            .collect();
        check(&memory, true, Some(8_181_737));
        // Ticks between scrapes, through sums of float seconds.
        let mut before = (41_234.56, 912_345.67);
        let mut ticks: Vec<f64> = (0..200)
            .map(|_| {
                let used: f64 = before.0 + f64::from(rng.u32(1..700)) / 100.0;
                let total: f64 = before.1 + f64::from(1_498 + rng.u32(0..5)) / 100.0;
                let share = 100.0 * (used - before.0) / (total - before.1);
                before = (
                    (used * 100.0).round() / 100.0,
                    (total * 100.0).round() / 100.0,
                );
                share
            })
            .collect();
        check(&ticks, true, None);
        ticks[5] = 0.0;
        ticks[17] = f64::NAN;
        ticks[199] = -1.0;
        check(&ticks, true, None);
        let noise: Vec<f64> = (0..200).map(|_| rng.f64() * 100.0).collect();
        check(&noise, false, None);
        check(&noise[..4], false, None);
        check(&[], false, None);
        check(&[f64::INFINITY; 20], false, None);
    }
}
