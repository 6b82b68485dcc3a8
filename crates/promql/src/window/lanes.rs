//! Sums over windows, by themselves and four windows side by side.
//!
//! A compensated sum waits for the addition before; four of them, over windows of as many samples,
//! wait no longer than one. Each lane does what it does alone, so its bits are the same. What is not
//! finite goes its own ways ([`average`] turns to running means), so then the lanes give up.
//!
//! Whole numbers need no compensation as long as their sums are exact: windows over them are
//! differences of sums from the start ([`whole_sums`]).

use super::Window;
use crate::gomath::{exact_sum, kahan_add};

/// So many windows are worked on at once: two additions a register, two registers on their way.
pub(super) const LANES: usize = 4;

/// A number of each lane.
type Four = [f64; LANES];

/// [`kahan_add`] in all lanes, as long as nothing leaves the range.
#[inline(always)]
fn add(values: Four, sums: &mut Four, compensations: &mut Four) {
    for lane in 0..LANES {
        let (total, lost) = exact_sum(sums[lane], values[lane]);
        compensations[lane] += lost;
        sums[lane] = total;
    }
}

/// The same where no value is larger than its sum: then less is to be asked of what rounding took.
#[inline(always)]
fn add_smaller(values: Four, sums: &mut Four, compensations: &mut Four) {
    for lane in 0..LANES {
        let (value, sum) = (values[lane], sums[lane]);
        let total = sum + value;
        compensations[lane] += (sum - total) + value;
        sums[lane] = total;
    }
}

/// Adds values up that are never larger than `largest`, as soon as all sums are at least that large
/// the quicker way: sums of values of one sign do not shrink.
#[inline(always)]
fn add_all(
    mut places: impl Iterator<Item = Four>,
    sums: &mut Four,
    compensations: &mut Four,
    largest: Option<f64>,
) {
    let Some(largest) = largest else {
        for values in places {
            add(values, sums, compensations);
        }
        return;
    };
    for values in places.by_ref() {
        add(values, sums, compensations);
        if are_at_least(sums, largest) {
            break;
        }
    }
    for values in places {
        add_smaller(values, sums, compensations);
    }
}

#[inline(always)]
fn are_at_least(sums: &Four, size: f64) -> bool {
    sums.iter().all(|sum| sum.abs() >= size)
}

/// The size of the largest value, if all are finite and of one sign.
pub(super) fn largest_of_one_sign(values: &[f64]) -> Option<f64> {
    let (mut low, mut high, mut zeros) = (0.0f64, 0.0f64, 0.0);
    for &value in values {
        low = if value < low { value } else { low };
        high = if value > high { value } else { high };
        // Stays zero as long as all are finite.
        zeros += value * 0.0;
    }
    let is_finite = zeros == 0.0;
    (is_finite && (low == 0.0 || high == 0.0)).then(|| high.max(-low))
}

fn each(f: impl Fn(usize) -> f64) -> Four {
    std::array::from_fn(f)
}

fn all_finite(lists: &[Four]) -> bool {
    lists.iter().flatten().all(|value| value.is_finite())
}

/// The samples of all windows, place by place. For loops, not closures: what a closure changes
/// lies in memory, not in registers.
#[inline(always)]
fn by_place<'a>(lists: [&'a [f64]; LANES]) -> impl Iterator<Item = Four> + 'a {
    let [a, b, c, d] = lists;
    let places = a.iter().zip(b).zip(c).zip(d);
    places.map(|(((&a, &b), &c), &d)| [a, b, c, d])
}

/// Sums of all samples before each place, if the values are whole numbers and no sum over any of
/// them is rounded.
pub(super) fn whole_sums(values: &[f64]) -> Option<Vec<f64>> {
    /// Whole numbers below have a float each.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let mut size = 0.0;
    for &value in values {
        // Minus zero is no whole number here: it shows in a sum of its like.
        if (value as i64 as f64).to_bits() != value.to_bits() {
            return None;
        }
        size += value.abs();
        if size >= EXACT_MAX {
            return None;
        }
    }
    let mut sums = Vec::with_capacity(values.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    sums.extend(values.iter().map(|value| {
        sum += value;
        sum
    }));
    Some(sums)
}

/// The compensated sum.
pub(super) fn sum(values: &[f64]) -> f64 {
    let (mut sum, mut c) = (0.0, 0.0);
    for &value in values {
        kahan_add(value, &mut sum, &mut c);
    }
    if sum.is_infinite() { sum } else { sum + c }
}

/// [`sum`] of four windows.
pub(super) fn totals(windows: [&Window<'_>; LANES], largest: Option<f64>) -> Option<Four> {
    let (mut sums, mut c) = ([0.0; LANES], [0.0; LANES]);
    let places = by_place(windows.map(|w| w.own_values()));
    add_all(places, &mut sums, &mut c, largest);
    all_finite(&[sums, c]).then(|| each(|lane| sums[lane] + c[lane]))
}

/// The mean from the sum; once the sum would overflow, updated value by value.
pub(super) fn average(values: &[f64]) -> f64 {
    let (mut sum, mut c) = (values[0], 0.0);
    let mut mean: Option<f64> = None;
    let mut count = 1.0;
    for &value in &values[1..] {
        count += 1.0;
        if mean.is_none() {
            let (mut new_sum, mut new_c) = (sum, c);
            kahan_add(value, &mut new_sum, &mut new_c);
            if !new_sum.is_infinite() {
                (sum, c) = (new_sum, new_c);
                continue;
            }
            mean = Some(sum / (count - 1.0));
            c /= count - 1.0;
        }
        let q = (count - 1.0) / count;
        let mut new_mean = q * mean.unwrap_or_default();
        c *= q;
        kahan_add(value / count, &mut new_mean, &mut c);
        mean = Some(new_mean);
    }
    match mean {
        Some(mean) => mean + c,
        None => sum / count + c / count,
    }
}

/// [`average`] of four windows.
pub(super) fn averages(windows: [&Window<'_>; LANES], largest: Option<f64>) -> Option<Four> {
    let all = windows.map(|w| w.own_values());
    let (mut sums, mut c) = (all.map(|values| values[0]), [0.0; LANES]);
    let places = by_place(all.map(|values| &values[1..]));
    add_all(places, &mut sums, &mut c, largest);
    let count = all[0].len() as f64;
    all_finite(&[sums, c]).then(|| each(|lane| sums[lane] / count + c[lane] / count))
}

/// The variance, updated value by value.
pub(super) fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut c_mean, mut squares, mut c_squares) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &value in values {
        count += 1.0;
        let delta = value - (mean + c_mean);
        kahan_add(delta / count, &mut mean, &mut c_mean);
        kahan_add(
            delta * (value - (mean + c_mean)),
            &mut squares,
            &mut c_squares,
        );
    }
    (squares + c_squares) / count
}

/// [`variance`] of four windows.
pub(super) fn variances(windows: [&Window<'_>; LANES]) -> Option<Four> {
    const ZERO: Four = [0.0; LANES];
    let (mut count, mut mean, mut c_mean) = (0.0, ZERO, ZERO);
    let (mut squares, mut c_squares) = (ZERO, ZERO);
    for values in by_place(windows.map(|w| w.own_values())) {
        count += 1.0;
        let delta = each(|lane| values[lane] - (mean[lane] + c_mean[lane]));
        add(each(|lane| delta[lane] / count), &mut mean, &mut c_mean);
        let square = |lane: usize| delta[lane] * (values[lane] - (mean[lane] + c_mean[lane]));
        add(each(square), &mut squares, &mut c_squares);
    }
    let finite = all_finite(&[mean, c_mean, squares, c_squares]);
    finite.then(|| each(|lane| (squares[lane] + c_squares[lane]) / count))
}

/// Slope and intercept of the least-squares line, the intercept at `at_ms`.
pub(super) fn regression(w: &Window<'_>, at_ms: i64) -> (f64, f64) {
    let values = w.own_values();
    let first = values[0];
    if values.iter().all(|&v| v == first) || values.len() == 1 {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let (mut sum_x, mut sum_y, mut sum_xy, mut sum_x2) = (0.0, 0.0, 0.0, 0.0);
    let (mut c_x, mut c_y, mut c_xy, mut c_x2) = (0.0, 0.0, 0.0, 0.0);
    for (&time_ms, &y) in w.own_times().iter().zip(values) {
        let x = (time_ms - at_ms) as f64 / 1e3;
        kahan_add(x, &mut sum_x, &mut c_x);
        kahan_add(y, &mut sum_y, &mut c_y);
        kahan_add(x * y, &mut sum_xy, &mut c_xy);
        kahan_add(x * x, &mut sum_x2, &mut c_x2);
    }
    let n = values.len() as f64;
    line(n, sum_x + c_x, sum_y + c_y, sum_xy + c_xy, sum_x2 + c_x2)
}

/// Where the samples of a window lie, from the time that a regression starts at: with regular scrapes
/// the same in every window, so what follows from that alone is worked out once.
#[derive(Debug, Default)]
pub(super) struct Places {
    from_ms: Vec<i64>,
    seconds: Vec<f64>,
    sum: f64,
    sum_of_squares: f64,
}

impl Places {
    /// Makes them those of a window.
    fn set(&mut self, w: &Window<'_>, at_ms: i64) {
        self.from_ms.clear();
        self.from_ms
            .extend(w.own_times().iter().map(|ms| ms - at_ms));
        self.seconds.clear();
        self.seconds
            .extend(self.from_ms.iter().map(|&ms| ms as f64 / 1e3));
        let (mut x, mut c_x, mut x2, mut c_x2) = (0.0, 0.0, 0.0, 0.0);
        for &second in &self.seconds {
            kahan_add(second, &mut x, &mut c_x);
            kahan_add(second * second, &mut x2, &mut c_x2);
        }
        (self.sum, self.sum_of_squares) = (x + c_x, x2 + c_x2);
    }

    /// The size of the farthest place, if all are on one side of the start.
    fn largest_of_one_sign(&self) -> Option<f64> {
        let (first, last) = (self.seconds.first()?, self.seconds.last()?);
        (*first >= 0.0 || *last <= 0.0).then(|| first.abs().max(last.abs()))
    }

    fn are_of(&self, w: &Window<'_>, at_ms: i64) -> bool {
        let times = w.own_times();
        let pairs = times.iter().zip(&self.from_ms);
        // Mostly they are: looked at without branches.
        let differ = pairs.fold(0, |differ, (ms, from_ms)| differ | ((ms - at_ms) ^ from_ms));
        times.len() == self.from_ms.len() && differ == 0
    }
}

/// [`regression`] of four windows, each with its own `at_ms`, if their samples lie at the same places.
pub(super) fn regressions(
    windows: [&Window<'_>; LANES],
    at_ms: [i64; LANES],
    places: &mut Places,
    largest: Option<f64>,
) -> Option<[(f64, f64); LANES]> {
    let all = windows.map(|w| w.own_values());
    if all
        .iter()
        .any(|values| values.iter().all(|&v| v == values[0]))
    {
        return None;
    }
    if !places.are_of(windows[0], at_ms[0]) {
        places.set(windows[0], at_ms[0]);
    }
    if !(1..LANES).all(|lane| places.are_of(windows[lane], at_ms[lane])) {
        return None;
    }
    const ZERO: Four = [0.0; LANES];
    let (mut y, mut c_y, mut xy, mut c_xy) = (ZERO, ZERO, ZERO, ZERO);
    let times = |x: f64, [a, b, c, d]: Four| [x * a, x * b, x * c, x * d];
    let mut both = places.seconds.iter().zip(by_place(all));
    let sizes = largest.and_then(|size| Some((size, size * places.largest_of_one_sign()?)));
    for (&x, ys) in both.by_ref() {
        add(ys, &mut y, &mut c_y);
        add(times(x, ys), &mut xy, &mut c_xy);
        if let Some((largest_y, largest_xy)) = sizes
            && are_at_least(&y, largest_y)
            && are_at_least(&xy, largest_xy)
        {
            break;
        }
    }
    for (&x, ys) in both {
        add_smaller(ys, &mut y, &mut c_y);
        add_smaller(times(x, ys), &mut xy, &mut c_xy);
    }
    if !all_finite(&[y, c_y, xy, c_xy]) {
        return None;
    }
    let n = all[0].len() as f64;
    Some(std::array::from_fn(|lane| {
        let (sum_y, sum_xy) = (y[lane] + c_y[lane], xy[lane] + c_xy[lane]);
        line(n, places.sum, sum_y, sum_xy, places.sum_of_squares)
    }))
}

/// Slope and intercept from the sums over `n` samples.
fn line(n: f64, sum_x: f64, sum_y: f64, sum_xy: f64, sum_x2: f64) -> (f64, f64) {
    let covariance = sum_xy - sum_x * sum_y / n;
    let variance = sum_x2 - sum_x * sum_x / n;
    let slope = covariance / variance;
    (slope, sum_y / n - slope * sum_x / n)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window<'a>(times: &'a [i64], values: &'a [f64], low: usize, count: usize) -> Window<'a> {
        Window {
            times,
            values,
            low,
            high: low + count,
            start_ms: 0,
            end_ms: 0,
            step: 0,
        }
    }

    proptest! {
        #[test]
        fn lanes_give_what_each_gives_alone(
            values in prop::collection::vec(prop_oneof![
                6 => -1e3..1e3f64,
                2 => (-9i32..9).prop_map(f64::from),
                1 => prop_oneof![Just(1e300), Just(-1e-300), Just(0.1), Just(-0.0)],
            ], 40),
            odd in prop::option::of(prop_oneof![
                Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(-f64::MAX)
            ]),
            count in 1usize..30,
            step in 0usize..4,
            jitter in 1i64..3,
            one_sign: bool,
        ) {
            let mut values = values;
            if one_sign {
                values.iter_mut().for_each(|value| *value = value.abs());
            }
            if let Some(odd) = odd {
                values[20] = odd;
            }
            let times: Vec<i64> = (0..40).map(|at| at * 15_000 + at % jitter).collect();
            let windows: [Window<'_>; LANES] =
                std::array::from_fn(|lane| window(&times, &values, lane * step.min(3), count));
            let four = windows.each_ref();
            let bits = |values: Option<Four>, alone: &dyn Fn(&Window<'_>) -> f64| {
                let Some(values) = values else {
                    return true;
                };
                let mut pairs = values.iter().zip(&windows);
                pairs.all(|(value, w)| value.to_bits() == alone(w).to_bits())
            };
            let largest = largest_of_one_sign(&values);
            for largest in [None, largest] {
                prop_assert!(bits(totals(four, largest), &|w| sum(w.own_values())));
                prop_assert!(bits(averages(four, largest), &|w| average(w.own_values())));
            }
            prop_assert!(bits(variances(four), &|w| variance(w.own_values())));
            for at_ms in [windows.map(|w| w.own_times()[0]), [0, 15_000, 99, -7]] {
                let Some(lines) = regressions(four, at_ms, &mut Places::default(), largest) else {
                    continue;
                };
                for lane in 0..LANES {
                    let alone = regression(&windows[lane], at_ms[lane]);
                    prop_assert_eq!(lines[lane].0.to_bits(), alone.0.to_bits());
                    prop_assert_eq!(lines[lane].1.to_bits(), alone.1.to_bits());
                }
            }
            prop_assert!(odd.is_some() || values.contains(&1e300) || totals(four, None).is_some());
        }

        #[test]
        fn whole_numbers_need_no_compensation(
            values in prop::collection::vec((-1i64 << 43..1 << 43).prop_map(|v| v as f64), 1..50),
            low in 0usize..50,
        ) {
            let low = low % values.len();
            let sums = whole_sums(&values).unwrap();
            let (window, total) = (&values[low..], sums[values.len()] - sums[low]);
            prop_assert_eq!(total.to_bits(), sum(window).to_bits());
            let mean = total / window.len() as f64;
            prop_assert_eq!(mean.to_bits(), average(window).to_bits());
        }
    }

    #[test]
    fn largest_values_of_one_sign() {
        for (values, expected) in [
            (&[][..], Some(0.0)),
            (&[-0.0, 2.0, 0.5], Some(2.0)),
            (&[-3.0, 0.0], Some(3.0)),
            (&[-3.0, 1e-300], None),
            (&[1.0, f64::NAN], None),
            (&[1.0, f64::INFINITY], None),
        ] {
            assert_eq!(largest_of_one_sign(values), expected, "{values:?}");
        }
    }

    #[test]
    fn sums_that_would_be_rounded_are_refused() {
        const LARGE: f64 = 9_007_199_254_740_992.0;
        for values in [
            &[0.5][..],
            &[-0.0],
            &[f64::NAN],
            &[LARGE, 1.0],
            &[LARGE, -1.0],
        ] {
            assert_eq!(whole_sums(values), None, "{values:?}");
        }
        assert_eq!(whole_sums(&[LARGE - 2.0, -1.0]).unwrap()[2], LARGE - 3.0);
    }
}
