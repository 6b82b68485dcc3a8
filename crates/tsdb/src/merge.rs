//! Putting samples of one series together that come from several places.

use storage::Samples;

/// Merges the float samples behind `from` into those before: both ascend, and where both have a
/// timestamp, the one before stays. Costs nothing when the later part begins after the earlier
/// ends, which is nearly always.
pub(crate) fn merge_tail(samples: &mut Samples, from: usize) {
    let times = &samples.timestamps;
    if from == 0 || from >= times.len() || times[from - 1] < times[from] {
        return;
    }
    // What lies before the first of the later part is in its place already.
    let keep = times[..from].partition_point(|&t| t < times[from]);
    let (times, values) = (&samples.timestamps[keep..], &samples.values[keep..]);
    let middle = from - keep;
    let mut merged = (
        Vec::with_capacity(times.len()),
        Vec::with_capacity(times.len()),
    );
    let (mut a, mut b) = (0, middle);
    while a < middle || b < times.len() {
        let first = b == times.len() || a < middle && times[a] <= times[b];
        let at = if first { a } else { b };
        if first && b < times.len() && times[a] == times[b] {
            b += 1;
        }
        merged.0.push(times[at]);
        merged.1.push(values[at]);
        if first { a += 1 } else { b += 1 }
    }
    samples.timestamps.truncate(keep);
    samples.values.truncate(keep);
    samples.timestamps.extend_from_slice(&merged.0);
    samples.values.extend_from_slice(&merged.1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn merges(
            a in prop::collection::btree_set(0i64..40, 0..20),
            b in prop::collection::btree_set(0i64..40, 0..20),
        ) {
            let mut samples = Samples::default();
            let sets: [(&BTreeSet<i64>, f64); 2] = [(&a, 1.0), (&b, 2.0)];
            let mut want = BTreeMap::new();
            for (set, value) in sets {
                for &t in set {
                    samples.push(t, value);
                    want.entry(t).or_insert(value);
                }
            }
            merge_tail(&mut samples, a.len());
            let got: Vec<_> = samples.timestamps.into_iter().zip(samples.values).collect();
            prop_assert_eq!(got, want.into_iter().collect::<Vec<_>>());
        }
    }
}
