//! Quantiles of classic histograms.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME};

use crate::Vector;

/// Counts that differ by less are equal.
const TOLERANCE: f64 = 1e-12;

pub(crate) fn quantiles(q: f64, vector: &Vector) -> Vector {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (labels, count) in vector {
        if let Ok(bound) = labels.get("le").parse::<f64>() {
            let labels = labels.without(|name| name == METRIC_NAME || name == "le");
            histograms.entry(labels).or_default().push((bound, *count));
        }
    }
    let all = histograms.into_iter();
    all.map(|(labels, buckets)| (labels, quantile(q, buckets)))
        .collect()
}

/// Buckets are upper bounds and counts of all up to them.
fn quantile(q: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    match q {
        _ if q.is_nan() => return f64::NAN,
        _ if q < 0.0 => return f64::NEG_INFINITY,
        _ if q > 1.0 => return f64::INFINITY,
        _ => {}
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
    let last = buckets.len() - 1;
    if buckets[last].0 != f64::INFINITY || last == 0 {
        return f64::NAN;
    }
    // Counts may not fall.
    let mut before = buckets[0].1;
    for bucket in &mut buckets[1..] {
        if bucket.1 != before && (nearly_equal(before, bucket.1) || bucket.1 < before) {
            bucket.1 = before;
        }
        before = bucket.1;
    }
    let total = buckets[last].1;
    if total == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * total;
    // Bisection, so that NaN is met where PromQL meets it.
    let (mut from, mut to) = (0, last);
    while from < to {
        let middle = (from + to) / 2;
        if buckets[middle].1 >= rank {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    let (end, mut count) = buckets[from];
    if from == last {
        return buckets[last - 1].0;
    }
    if from == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if from > 0 {
        start = buckets[from - 1].0;
        count -= buckets[from - 1].1;
        rank -= buckets[from - 1].1;
    }
    start + (end - start) * (rank / count)
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
