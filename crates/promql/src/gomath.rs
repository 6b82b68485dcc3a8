//! Float arithmetic with Go's edge cases, and the sums that results must equal to the bit.

pub(crate) use model::kahan_add;

/// The sum of two floats, and what rounding took from it. That is exact, and so the same that
/// [`kahan_add`] finds by asking which of both is larger; this asks nothing (Knuth's way), so that
/// several additions go side by side. Where something is not finite one of the results is not.
#[inline(always)]
pub(crate) fn exact_sum(a: f64, b: f64) -> (f64, f64) {
    let total = a + b;
    let of_b = total - a;
    let of_a = total - of_b;
    (total, (a - of_a) + (b - of_b))
}

/// Additions that are done side by side.
const BLOCK: usize = 8;

/// [`kahan_add`] of each value to the sum at its place, where all is finite; other places are left
/// to `plain`.
#[inline(always)]
pub(crate) fn kahan_add_each(
    values: &[f64],
    sums: &mut [f64],
    compensations: &mut [f64],
    mut plain: impl FnMut(usize, f64, &mut f64, &mut f64),
) {
    let (sums, compensations) = (
        &mut sums[..values.len()],
        &mut compensations[..values.len()],
    );
    let (blocks, _) = values.as_chunks::<BLOCK>();
    let (sum_blocks, _) = sums.as_chunks_mut::<BLOCK>();
    let (compensation_blocks, _) = compensations.as_chunks_mut::<BLOCK>();
    let mut added = blocks.iter().zip(sum_blocks).zip(compensation_blocks);
    for (block, ((values, sums), compensations)) in added.by_ref().enumerate() {
        let (mut totals, mut lost) = ([0.0; BLOCK], [0.0; BLOCK]);
        let mut zeros = [0.0; BLOCK];
        for at in 0..BLOCK {
            (totals[at], lost[at]) = exact_sum(sums[at], values[at]);
            // Zero if both are finite, else NaN.
            zeros[at] = totals[at] * 0.0 + lost[at] * 0.0;
        }
        if zeros.iter().all(|&zero| zero == 0.0) {
            *sums = totals;
            for at in 0..BLOCK {
                compensations[at] += lost[at];
            }
            continue;
        }
        for at in 0..BLOCK {
            plain(
                block * BLOCK + at,
                values[at],
                &mut sums[at],
                &mut compensations[at],
            );
        }
    }
    for at in blocks.len() * BLOCK..values.len() {
        plain(at, values[at], &mut sums[at], &mut compensations[at]);
    }
}

/// `math.Max`: infinity wins over NaN, NaN over numbers, 0 over -0.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// `math.Min`: minus infinity wins over NaN, NaN over numbers, -0 over 0.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// `time.Duration.Seconds` of whole milliseconds: seconds plus fraction, which rounds differently
/// from one division.
pub(crate) fn seconds(duration_ms: i64) -> f64 {
    (duration_ms / 1_000) as f64 + ((duration_ms % 1_000) * 1_000_000) as f64 / 1e9
}

/// `int64(f)` as amd64 does it: what does not fit is the smallest number.
pub(crate) fn to_i64(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

/// The quantile of unsorted values, between two ranks by weight. Sorts `values`, NaN first.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let count = values.len() as f64;
    let rank = q * (count - 1.0);
    let lower = max(0.0, rank.floor());
    let upper = min(count - 1.0, lower + 1.0);
    let weight = rank - rank.floor();
    // Any total order in which NaN comes first gives the same result.
    let order = |a: &f64, b: &f64| {
        a.partial_cmp(b)
            .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
    };
    let (_, &mut below, larger) = values.select_nth_unstable_by(lower as usize, order);
    let above = match upper > lower {
        true => larger.iter().copied().min_by(order).unwrap_or(below),
        false => below,
    };
    below * (1.0 - weight) + above * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_compensated() {
        let (mut sum, mut c) = (0.0, 0.0);
        for value in [1e100, 1.0, -1e100] {
            kahan_add(value, &mut sum, &mut c);
        }
        assert_eq!(sum + c, 1.0);
        kahan_add(f64::INFINITY, &mut sum, &mut c);
        assert_eq!((sum, c), (f64::INFINITY, 0.0));
    }

    #[test]
    fn sums_side_by_side_are_those_of_one_after_the_other() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut float = || match random.u8(..16) {
            0 => f64::INFINITY,
            1 => f64::NAN,
            2 => f64::MAX,
            3 => -0.0,
            4 => f64::from_bits(random.u64(..)),
            5 => 1e-310,
            _ => random.f64() * 10f64.powi(random.i32(-20..20)) - 0.5,
        };
        for _ in 0..20_000 {
            let [values, sums, compensations] = [0; 3].map(|_| [0; 19].map(|_| float()));
            let (mut sums, mut compensations) = (sums, compensations);
            let (mut alone, mut lost) = (sums, compensations);
            for at in 0..values.len() {
                kahan_add(values[at], &mut alone[at], &mut lost[at]);
            }
            let plain = |_, value, sum: &mut f64, c: &mut f64| kahan_add(value, sum, c);
            kahan_add_each(&values, &mut sums, &mut compensations, plain);
            for at in 0..values.len() {
                let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                assert!(same(sums[at], alone[at]) && same(compensations[at], lost[at]));
            }
        }
    }

    #[test]
    fn extremes_follow_go() {
        assert_eq!(max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(max(f64::NAN, 1.0).is_nan());
        assert!(max(-0.0, 0.0).is_sign_positive());
        assert_eq!(min(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(min(0.0, -0.0).is_sign_negative());
    }

    #[test]
    fn quantiles() {
        let q = |q, values: &[f64]| quantile(q, &mut values.to_vec());
        assert_eq!(q(0.5, &[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(q(0.25, &[1.0, 2.0]), 1.25);
        assert_eq!(q(1.1, &[1.0]), f64::INFINITY);
        assert_eq!(q(1.0, &[f64::NAN, 1.0]), 1.0);
        assert!(q(0.0, &[1.0, f64::NAN]).is_nan());
        assert!(q(0.5, &[]).is_nan());
    }
}
