//! Classic histograms as native ones with custom buckets: what `load_with_nhcb` stores.

use std::collections::BTreeMap;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};
use model::{FloatHistogram, Labels, METRIC_NAME};

use crate::statement::Point;

/// What the classic series say of one histogram at one step.
#[derive(Debug, Default)]
struct Classic {
    /// Cumulated counts by upper bound, sorted.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms by labels, each with its step. Buckets that shrink are an error, as
/// upstream.
pub(crate) fn convert(
    series: &[(Labels, Vec<Point>)],
) -> Result<Vec<(Labels, usize, FloatHistogram)>, String> {
    let mut found: BTreeMap<Labels, BTreeMap<usize, Classic>> = BTreeMap::new();
    for (labels, points) in series {
        let name = labels.metric_name();
        let Some((base, suffix)) = name.rsplit_once('_') else {
            continue;
        };
        let bound = match suffix {
            "bucket" => match gocompat::strconv::parse_float(labels.get("le")) {
                Ok(bound) if !bound.is_nan() => bound,
                _ => continue,
            },
            "count" | "sum" => 0.0,
            _ => continue,
        };
        let pairs = labels.iter().filter(|(name, _)| *name != "le");
        let of = Labels::from_pairs(
            pairs.map(|(n, v)| if n == METRIC_NAME { (n, base) } else { (n, v) }),
        );
        let steps = found.entry(of).or_default();
        for (step, point) in points.iter().enumerate() {
            let Point::Float(value) = point else { continue };
            let classic = steps.entry(step).or_default();
            match suffix {
                "bucket" => classic.buckets.push((bound, *value)),
                "count" => classic.count = Some(*value),
                _ => classic.sum = *value,
            }
        }
    }
    let mut histograms = Vec::new();
    for (labels, steps) in found {
        for (step, classic) in steps {
            let histogram = native(classic)?;
            let text = |error| format!("{labels}: {error}");
            histogram.validate().map_err(text)?;
            histograms.push((labels.clone(), step, histogram));
        }
    }
    Ok(histograms)
}

fn native(mut classic: Classic) -> Result<FloatHistogram, String> {
    classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Bounds may be the same in other words: `0.2` and `2e-1`.
    classic.buckets.dedup_by(|next, kept| next.0 == kept.0);
    let last = classic.buckets.last().copied();
    let count = classic
        .count
        .unwrap_or(last.map_or(0.0, |(_, count)| count));
    if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
        classic.buckets.push((f64::INFINITY, count));
    }
    let mut counts = Vec::with_capacity(classic.buckets.len());
    let mut before = 0.0;
    for (bound, cumulated) in &classic.buckets {
        if *cumulated < before {
            return Err(format!(
                "bucket {bound} has fewer observations than the one below"
            ));
        }
        counts.push(cumulated - before);
        before = *cumulated;
    }
    if before != count {
        return Err(format!("{count} observations, but {before} in buckets"));
    }
    let length = u32::try_from(counts.len()).map_err(|_| "too many buckets".to_owned())?;
    let mut histogram = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count,
        sum: classic.sum,
        positive_spans: vec![Span { offset: 0, length }],
        positive_buckets: counts,
        custom_values: classic
            .buckets
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|b| b.is_finite())
            .collect(),
        ..FloatHistogram::default()
    };
    histogram.compact(0);
    Ok(histogram)
}
