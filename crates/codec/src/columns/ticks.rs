//! Shares of time that an agent computed from float seconds.
//!
//! A kernel counts in ticks of a hundredth of a second; an agent turns counts into seconds,
//! takes what passed since the last scrape, and divides: `100 * (now - before) / (all - before)`.
//! Seconds as floats are not exact, so the 52 bits of the quotient look like noise. But `now` is
//! a multiple of its last place, 2 to the minus 33 seconds for a counter of ten days, and so is
//! the difference. It therefore is the true number of ticks, rounded down or up to such a place;
//! and the sum of all counters is off by a few places of its own. One bit and about two bits
//! a sample say everything, where the last places of the quotient would be seventeen.
//!
//! All shares of one processor have the same denominator. Once one column of a page has it, others
//! are tried against it, and keep only their numerators.

use super::quotient::Quotients;

/// Ticks of a second.
const PER_SECOND: i64 = 100;
/// Places of seconds that are tried: counters from some seconds to a hundred years.
const SHIFTS: std::ops::RangeInclusive<u32> = 20..=52;
/// Finer places of the denominator cannot be told from the rounding of the division.
const DENOMINATOR_SHIFT_MAX: u32 = 44;
/// Beyond this many places a sum of eight counters is never off.
const OFF_MAX: i64 = 64;
/// Larger counts of ticks, shifted, do not fit.
const TICKS_MAX: i64 = 1 << 18;
/// Values that are looked at before the whole column is.
const PROBES: usize = 24;

/// Differences of seconds: ticks, and how many places they are off from those rounded down.
#[derive(Debug, Default, Clone)]
pub(super) struct Seconds {
    pub(super) shift: u32,
    pub(super) ticks: Vec<i64>,
    pub(super) off: Vec<i64>,
}

impl Seconds {
    fn clear(&mut self, shift: u32) {
        self.shift = shift;
        self.ticks.clear();
        self.off.clear();
    }

    fn value(&self, at: usize) -> f64 {
        value(self.ticks[at], self.off[at], self.shift)
    }
}

/// So many ticks in seconds, `off` places of `2^-shift` beyond what they are rounded down.
#[inline]
pub(super) fn value(ticks: i64, off: i64, shift: u32) -> f64 {
    places(ticks, shift).wrapping_add(off) as f64 / (1u64 << (shift & 63)) as f64
}

#[inline]
fn places(ticks: i64, shift: u32) -> i64 {
    ticks.wrapping_shl(shift) / PER_SECOND
}

/// A column as `100 * numerator / denominator`.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) numerators: Seconds,
    /// Its own; empty if it shares that of another column.
    pub(super) denominators: Seconds,
    pub(super) corrections: Vec<i64>,
}

#[inline]
fn share(numerator: f64, denominator: f64) -> f64 {
    100.0 * numerator / denominator
}

fn correction(value: f64, found: f64) -> i64 {
    value.to_bits().wrapping_sub(found.to_bits()) as i64
}

/// Whether column `values` is shares of the denominators; fills numerators and corrections.
pub(super) fn find_with(values: &[f64], denominators: &Seconds, found: &mut Share) -> bool {
    let probes = probes(values);
    if probes.len() < 2 {
        return false;
    }
    let fits = |shift: u32| {
        let good = probes.iter().filter(|&&at| {
            let denominator = denominators.value(at);
            numerator_for(values[at], denominator, shift).is_some()
        });
        good.count() * 8 >= probes.len() * 7
    };
    let Some(shift) = SHIFTS.into_iter().find(|&shift| fits(shift)) else {
        return false;
    };
    found.numerators.clear(shift);
    found.denominators.clear(0);
    found.corrections.clear();
    let mut misses = 0;
    for (at, &value) in values.iter().enumerate() {
        let denominator = denominators.value(at);
        let (ticks, off) = match numerator_for(value, denominator, shift) {
            Some(found) => found,
            None => {
                misses += usize::from(value.to_bits() != 0);
                (0, 0)
            }
        };
        found.numerators.ticks.push(ticks);
        found.numerators.off.push(off);
        let rebuilt = share(found.numerators.value(at), denominator);
        found.corrections.push(correction(value, rebuilt));
    }
    misses <= values.len() / 16
}

/// Ticks and places off of a numerator that gives exactly this share.
fn numerator_for(value: f64, denominator: f64, shift: u32) -> Option<(i64, i64)> {
    if !(value > 0.0 && value < 1e6) {
        return None;
    }
    let scale = (1u64 << shift) as f64;
    let near = (value * denominator / 100.0 * scale).round();
    if near >= 9e18 {
        return None;
    }
    let ticks = (near / scale * PER_SECOND as f64).round() as i64;
    if ticks > TICKS_MAX || ticks.leading_zeros() <= shift {
        return None;
    }
    let off = near as i64 - places(ticks, shift);
    let exact = share(near / scale, denominator) == value;
    (exact && (0..=1).contains(&off)).then_some((ticks, off))
}

/// Finds numerators and denominators; `quotients` are what continued fractions say.
pub(super) fn find(values: &[f64], quotients: &Quotients, found: &mut Share) -> bool {
    let probes = probes(values);
    if quotients.factor != 100 || probes.len() < 8 {
        return false;
    }
    let parts = |at: usize| (quotients.numerators[at], quotients.denominators[at]);
    let fits = |shift: u32, denominator_shift: u32| {
        let good = probes
            .iter()
            .filter(|&&at| places_for(values[at], parts(at), shift, denominator_shift).is_some());
        good.count() * 8 >= probes.len() * 7
    };
    let shifts = SHIFTS.flat_map(|shift| {
        // The whole is larger than the part, so its places are not finer.
        (*SHIFTS.start()..=shift.min(DENOMINATOR_SHIFT_MAX)).map(move |of_all| (shift, of_all))
    });
    // A wrong pair mostly fails at the first probes: this is some 10,000 divisions.
    let Some((shift, denominator_shift)) = shifts.into_iter().find(|&(shift, of_all)| {
        let few = &probes[..3];
        few.iter()
            .any(|&at| places_for(values[at], parts(at), shift, of_all).is_some())
            && fits(shift, of_all)
    }) else {
        return false;
    };
    found.numerators.clear(shift);
    found.denominators.clear(denominator_shift);
    found.corrections.clear();
    for (at, &value) in values.iter().enumerate() {
        let (ticks, all) = parts(at);
        let (off, all_off) =
            places_for(value, (ticks, all), shift, denominator_shift).unwrap_or((0, 0));
        found.numerators.ticks.push(ticks);
        found.numerators.off.push(off);
        found.denominators.ticks.push(all);
        found.denominators.off.push(all_off);
        let rebuilt = share(found.numerators.value(at), found.denominators.value(at));
        found.corrections.push(correction(value, rebuilt));
    }
    true
}

/// How many places numerator and denominator are off, if that gives exactly this value.
fn places_for(
    value: f64,
    (ticks, all): (i64, i64),
    shift: u32,
    denominator_shift: u32,
) -> Option<(i64, i64)> {
    if ticks <= 0 || ticks > TICKS_MAX || all <= 0 || all > TICKS_MAX {
        return None;
    }
    if ticks.leading_zeros() <= shift || all.leading_zeros() <= denominator_shift {
        return None;
    }
    let scale = (1u64 << denominator_shift) as f64;
    let rounded_down = places(all, denominator_shift);
    let with = |off: i64| {
        let numerator = self::value(ticks, off, shift);
        let denominator = (100.0 * numerator / value * scale).round();
        let all_off = denominator as i64 - rounded_down;
        let exact = share(numerator, denominator / scale) == value;
        (exact && all_off.abs() <= OFF_MAX).then_some((off, all_off))
    };
    match (with(0), with(1)) {
        (Some(down), Some(up)) if up.1.abs() < down.1.abs() => Some(up),
        (down, up) => down.or(up),
    }
}

/// Some places with a share that tells something, all over the column.
fn probes(values: &[f64]) -> Vec<usize> {
    let telling = (0..values.len()).filter(|&at| values[at] > 0.0 && values[at] < 1e6);
    let telling: Vec<usize> = telling.collect();
    let step = telling.len().div_ceil(PROBES).max(1);
    telling.into_iter().step_by(step).collect()
}
