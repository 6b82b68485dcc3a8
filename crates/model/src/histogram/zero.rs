//! Zero buckets of different width.

use super::{Bucket, FloatHistogram};
use crate::kahan::kahan_add;

/// What a zero bucket would count if it were wider.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ZeroCount {
    pub(super) count: f64,
    /// What a compensated sum of it has lost.
    pub(super) lost: f64,
    /// At least the width that was asked for; more if that lies within a populated bucket.
    pub(super) threshold: f64,
}

impl FloatHistogram {
    /// Widens the zero buckets of both histograms to the smallest common width that ends within no
    /// populated bucket. Changes this histogram (and what it has lost); says what the other one
    /// would have in it.
    pub(super) fn reconcile_zero_buckets(
        &mut self,
        other: &FloatHistogram,
        mut lost: Option<&mut FloatHistogram>,
    ) -> ZeroCount {
        let mut theirs = ZeroCount {
            count: other.zero_count,
            lost: 0.0,
            threshold: other.zero_threshold,
        };
        // Each round makes one of them wider. Widths that are no numbers compare as neither.
        loop {
            if self.zero_threshold > theirs.threshold {
                theirs = other.zero_count_within(self.zero_threshold, None);
            } else if theirs.threshold > self.zero_threshold {
                let ours = self.zero_count_within(theirs.threshold, lost.as_deref());
                self.zero_count = ours.count;
                self.zero_threshold = ours.threshold;
                if let Some(lost) = lost.as_deref_mut() {
                    lost.zero_count = ours.lost;
                }
                self.empty_within_zero(lost.as_deref_mut());
            } else {
                return theirs;
            }
        }
    }

    /// What the zero bucket would count if it were `threshold` wide, which is no less than it is.
    pub(super) fn zero_count_within(
        &self,
        threshold: f64,
        lost: Option<&FloatHistogram>,
    ) -> ZeroCount {
        let mut zero = ZeroCount {
            count: self.zero_count,
            lost: lost.map_or(0.0, |lost| lost.zero_count),
            threshold,
        };
        if threshold == self.zero_threshold {
            return zero;
        }
        loop {
            zero.count = self.zero_count;
            let positive_lost = lost.map(|l| l.positive_buckets.as_slice());
            if let Some(wider) = absorb(self.positive(), positive_lost, &mut zero) {
                zero.threshold = wider;
            }
            let negative_lost = lost.map(|l| l.negative_buckets.as_slice());
            match absorb(self.negative(), negative_lost, &mut zero) {
                // The positive buckets have to be looked at once more.
                Some(wider) => zero.threshold = wider,
                None => return zero,
            }
        }
    }

    /// Takes out buckets that lie within the zero bucket, which has counted them already.
    fn empty_within_zero(&mut self, lost: Option<&mut FloatHistogram>) {
        let threshold = self.zero_threshold;
        let inner = |b: &Bucket| nearer(b) < threshold;
        let positive = self.positive().take_while(inner).count();
        let negative = self.negative().take_while(inner).count();
        self.positive_buckets[..positive].fill(0.0);
        self.negative_buckets[..negative].fill(0.0);
        match lost {
            None => self.compact(0),
            Some(lost) => {
                lost.positive_buckets[..positive].fill(0.0);
                lost.negative_buckets[..negative].fill(0.0);
                self.compact_with(lost);
            }
        }
    }
}

/// The bound of a bucket that is nearer to zero, without its sign.
fn nearer(bucket: &Bucket) -> f64 {
    bucket.lower.abs().min(bucket.upper.abs())
}

/// Adds the buckets of one side that lie within the threshold. If the threshold cuts a populated
/// bucket, it is added too, and its outer bound is the threshold to take.
fn absorb(
    buckets: impl Iterator<Item = Bucket>,
    lost: Option<&[f64]>,
    zero: &mut ZeroCount,
) -> Option<f64> {
    for (at, bucket) in buckets.enumerate() {
        if nearer(&bucket) >= zero.threshold {
            return None;
        }
        kahan_add(bucket.count, &mut zero.count, &mut zero.lost);
        if let Some(&lost) = lost.and_then(|lost| lost.get(at)) {
            kahan_add(lost, &mut zero.count, &mut zero.lost);
        }
        let outer = bucket.lower.abs().max(bucket.upper.abs());
        if outer > zero.threshold {
            return (bucket.count != 0.0).then_some(outer);
        }
    }
    None
}
