//! Classic histograms: one series a bucket, `le` says its upper bound, counts are cumulated.

use crate::annotations::Monotonicity;

/// Buckets whose counts differ by less than this part are taken for equal: sums over many series
/// are not exact, and quantiles must not jump for that (upstream: promql/quantile.go).
const SMALL_DIFFERENCE: f64 = 1e-12;

/// A bucket: what it counted lies at or below its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// What had to be repaired to make counts rise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Repair {
    bucket: (f64, f64),
    difference_max: f64,
}

impl Repair {
    /// As an annotation at one time.
    pub(crate) fn at(self, time_ms: i64) -> Monotonicity {
        Monotonicity {
            time_ms: (time_ms, time_ms),
            bucket: self.bucket,
            difference_max: self.difference_max,
            count: 1,
        }
    }
}

/// Sorts, and adds up buckets with the same bound. False if the last bound is not +Inf.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| {
        a.upper
            .partial_cmp(&b.upper)
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|bucket, kept| {
        let same = bucket.upper == kept.upper;
        if same {
            kept.count += bucket.count;
        }
        same
    });
    true
}

/// Whether two numbers differ by less than `epsilon` of their sum (upstream: util/almost).
pub(crate) fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if model::is_stale_nan(a) || model::is_stale_nan(b) {
        return model::is_stale_nan(a) && model::is_stale_nan(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}

/// Makes counts rise with the bounds; says what it changed beyond rounding noise.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Repair> {
    let mut repair: Option<Repair> = None;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        if almost_equal(previous, count, SMALL_DIFFERENCE) {
            bucket.count = previous;
            continue;
        }
        if count < previous {
            bucket.count = previous;
            let (low, high) = repair.map_or((f64::INFINITY, f64::NEG_INFINITY), |r| r.bucket);
            let difference = repair.map_or(0.0, |r| r.difference_max);
            repair = Some(Repair {
                bucket: (low.min(bucket.upper), high.max(bucket.upper)),
                difference_max: difference.max(previous - count),
            });
            continue;
        }
        previous = count;
    }
    repair
}

/// The quantile by linear interpolation within its bucket. Reorders `buckets`, which are not empty.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Repair>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !prepare(buckets) {
        return (f64::NAN, None);
    }
    let repair = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, repair);
    }
    let mut rank = q * observations;
    let at = first_at_least(&buckets[..last], rank);
    let value = if at == last {
        buckets[last - 1].upper
    } else if at == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let end = buckets[at].upper;
        let mut count = buckets[at].count;
        let mut start = 0.0;
        if at > 0 {
            start = buckets[at - 1].upper;
            count -= buckets[at - 1].count;
            rank -= buckets[at - 1].count;
        }
        start + (end - start) * (rank / count)
    };
    (value, repair)
}

/// The first bucket with at least this count, by bisection: with NaN among the counts the steps
/// taken decide, so they are Go's.
fn first_at_least(buckets: &[Bucket], rank: f64) -> usize {
    let (mut low, mut high) = (0, buckets.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if buckets[middle].count >= rank {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The part of the observations between two bounds. Reorders `buckets`, which are not empty.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |bound: f64| {
        let mut rank = 0.0;
        // With a first bound above zero all observations are taken to be positive.
        let mut bucket_lower = if buckets[0].upper <= 0.0 {
            f64::NEG_INFINITY
        } else {
            0.0
        };
        for bucket in buckets.iter() {
            if bucket_lower >= bound {
                return rank;
            }
            if bucket.upper > bound {
                if bucket_lower == f64::NEG_INFINITY {
                    return bucket.count;
                }
                let width = bucket.upper - bucket_lower;
                return rank + (bucket.count - rank) * (bound - bucket_lower) / width;
            }
            rank = bucket.count;
            bucket_lower = bucket.upper;
        }
        count
    };
    let capped = |rank: f64| if rank > count { count } else { rank };
    (capped(rank_of(upper)) - capped(rank_of(lower))) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        let bucket = |&(upper, count)| Bucket { upper, count };
        pairs.iter().map(bucket).collect()
    }

    #[test]
    fn quantiles() {
        const INF: f64 = f64::INFINITY;
        for (q, pairs, expected) in [
            // Linear from zero in the lowest bucket, and between bounds.
            (0.25, &[(1.0, 2.0), (2.0, 4.0), (INF, 4.0)][..], 0.5),
            (0.75, &[(INF, 4.0), (2.0, 4.0), (1.0, 2.0)], 1.5),
            // In the highest bucket: the bound before it.
            (1.0, &[(1.0, 2.0), (INF, 4.0)], 1.0),
            // The lowest bound is not above zero.
            (0.1, &[(-1.0, 2.0), (INF, 4.0)], -1.0),
            // Same bounds add up.
            (0.5, &[(1.0, 1.0), (1.0, 1.0), (INF, 2.0)], 0.5),
            // Too few buckets, no +Inf, nothing observed.
            (0.5, &[(INF, 4.0)], f64::NAN),
            (0.5, &[(1.0, 4.0), (2.0, 4.0)], f64::NAN),
            (0.5, &[(1.0, 0.0), (INF, 0.0)], f64::NAN),
            (-0.1, &[(1.0, 1.0), (INF, 1.0)], f64::NEG_INFINITY),
            (1.1, &[(1.0, 1.0), (INF, 1.0)], INF),
            (f64::NAN, &[(1.0, 1.0), (INF, 1.0)], f64::NAN),
        ] {
            let (value, repair) = quantile(q, &mut buckets(pairs));
            assert!(almost_equal(value, expected, 0.0), "{q} {pairs:?} {value}");
            assert_eq!(repair, None);
        }
    }

    #[test]
    fn falling_counts_are_repaired_but_noise_is_silent() {
        let mut noisy = buckets(&[(1.0, 10.0), (2.0, 10.0 - 1e-12), (f64::INFINITY, 20.0)]);
        assert_eq!(quantile(0.5, &mut noisy).1, None);
        let mut falling = buckets(&[(1.0, 10.0), (2.0, 8.0), (4.0, 9.0), (f64::INFINITY, 20.0)]);
        let (_, repair) = quantile(0.5, &mut falling);
        assert_eq!(
            repair,
            Some(Repair {
                bucket: (2.0, 4.0),
                difference_max: 2.0
            })
        );
    }

    #[test]
    fn fractions() {
        let pairs = [(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 8.0)];
        for (lower, upper, expected) in [
            (0.0, 2.0, 0.5),
            (0.5, 1.0, 0.125),
            (f64::NEG_INFINITY, f64::INFINITY, 1.0),
            (2.0, f64::INFINITY, 0.5),
            (3.0, 2.0, 0.0),
            (f64::NAN, 2.0, f64::NAN),
        ] {
            let value = fraction(lower, upper, &mut buckets(&pairs));
            assert!(
                almost_equal(value, expected, 0.0),
                "{lower} {upper} {value}"
            );
        }
    }
}
