//! Quantiles, fractions and deviations of native histograms.
//!
//! Within a bucket, observations are taken to be spread evenly: on a logarithmic scale in buckets
//! of an exponential schema, on a plain one in the zero bucket and between custom bounds
//! (upstream: promql/quantile.go).

use gocompat::math::{exp2, log2};
use model::histogram::Bucket;
use model::{FloatHistogram, kahan_add};

use super::Notes;

/// A zero bucket reaches to one side only if there are buckets on that side only.
fn one_sided(mut zero: Bucket, histogram: &FloatHistogram) -> Bucket {
    let has_negative = !histogram.negative_buckets.is_empty();
    let has_positive = !histogram.positive_buckets.is_empty();
    if has_positive && !has_negative {
        zero.lower = 0.0;
    } else if has_negative && !has_positive {
        zero.upper = 0.0;
    }
    zero
}

/// The value below which the part `q` of the observations lies.
pub(crate) fn quantile(q: f64, histogram: &FloatHistogram, notes: &mut Notes<'_>) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    let has_nan = histogram.sum.is_nan();
    // From the nearer end, as long as what was observed is known to be in the buckets.
    if has_nan || q < 0.5 {
        let rank = q * histogram.count;
        from_one_end(histogram, histogram.ascending(), rank, true, notes)
    } else {
        let rank = (1.0 - q) * histogram.count;
        from_one_end(histogram, histogram.descending(), rank, false, notes)
    }
}

fn from_one_end(
    histogram: &FloatHistogram,
    mut buckets: impl Iterator<Item = Bucket>,
    mut rank: f64,
    is_ascending: bool,
    notes: &mut Notes<'_>,
) -> f64 {
    let mut count = 0.0;
    let mut found: Option<Bucket> = None;
    for bucket in buckets.by_ref() {
        found = Some(bucket);
        if bucket.count == 0.0 {
            continue;
        }
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    // Without any bucket: one that holds nothing, at zero.
    let mut bucket = found.unwrap_or(Bucket {
        lower: 0.0,
        upper: 0.0,
        count: 0.0,
        ..histogram.zero_bucket()
    });
    if histogram.uses_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        bucket = one_sided(bucket, histogram);
    }
    // Sums are not exact.
    if count > histogram.count {
        count = histogram.count;
    }
    let has_nan = histogram.sum.is_nan();
    if count < rank {
        if has_nan {
            notes
                .annotations
                .quantile_is_nan(notes.metric, notes.position);
            return f64::NAN;
        }
        return bucket.upper;
    }
    rank = if is_ascending {
        rank - (count - bucket.count)
    } else {
        count - rank
    };
    if has_nan {
        // NaN is counted, but in no bucket. Upstream looks for the quantile in the bucket at which
        // it stops counting, so that is where it has to be looked for.
        for last in buckets {
            bucket = last;
            count += last.count;
        }
        if count < histogram.count {
            let (metric, position) = (notes.metric, notes.position);
            notes.annotations.quantile_is_skewed(metric, position);
        }
    }
    within(
        &bucket,
        rank / bucket.count,
        histogram.uses_custom_buckets(),
    )
}

/// The value at a part of a bucket's width.
fn within(bucket: &Bucket, fraction: f64, is_custom: bool) -> f64 {
    if is_custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let lower = log2(bucket.lower.abs());
    let upper = log2(bucket.upper.abs());
    if bucket.lower > 0.0 {
        exp2(lower + (upper - lower) * fraction)
    } else {
        -exp2(upper + (lower - upper) * (1.0 - fraction))
    }
}

/// The part of the observations that lies between two values.
pub(crate) fn fraction(
    lower: f64,
    upper: f64,
    histogram: &FloatHistogram,
    notes: &mut Notes<'_>,
) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut lower_rank, mut upper_rank) = (None, None);
    let (mut rank, mut count) = (0.0, 0.0);
    let mut buckets = histogram.ascending();
    for mut bucket in buckets.by_ref() {
        count += bucket.count;
        let is_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if is_zero {
            bucket = one_sided(bucket, histogram);
        }
        let is_linear = is_zero || histogram.uses_custom_buckets();
        lower_rank = lower_rank.or_else(|| rank_in(&bucket, rank, lower, is_linear));
        upper_rank = upper_rank.or_else(|| rank_in(&bucket, rank, upper, is_linear));
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += bucket.count;
    }
    if histogram.sum.is_nan() {
        // NaN is counted, but lies between no two values.
        for bucket in buckets {
            count += bucket.count;
        }
        if count < histogram.count {
            let (metric, position) = (notes.metric, notes.position);
            notes.annotations.fraction_without_nan(metric, position);
        }
    } else {
        count = histogram.count;
    }
    let at_most = |rank: Option<f64>| match rank {
        Some(rank) if rank > count => count,
        Some(rank) => rank,
        None => count,
    };
    (at_most(upper_rank) - at_most(lower_rank)) / histogram.count
}

/// How many observations lie below `value`, if that is at or below the bucket's end; `rank` lie
/// below the bucket.
fn rank_in(bucket: &Bucket, rank: f64, value: f64, is_linear: bool) -> Option<f64> {
    if bucket.lower >= value {
        return Some(rank);
    }
    if bucket.upper <= value || bucket.upper.is_nan() {
        return None;
    }
    if is_linear && bucket.lower == f64::NEG_INFINITY {
        // Nothing is known of how they are spread.
        return Some(bucket.count);
    }
    Some(rank + bucket.count * bucket.fraction_below(value, is_linear))
}

/// The variance, as if all observations were in the middle of their buckets.
pub(crate) fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let (mut variance, mut lost) = (0.0, 0.0);
    for bucket in histogram.ascending().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        };
        let delta = middle - mean;
        kahan_add(bucket.count * delta * delta, &mut variance, &mut lost);
    }
    variance += lost;
    variance / histogram.count
}
