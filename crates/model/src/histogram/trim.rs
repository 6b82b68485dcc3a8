//! Cutting off what lies above or below a value: the operators `</` and `>/`.
//!
//! Where the value lies within a bucket, the bucket keeps the part that interpolation puts on the
//! right side. Nothing is known of how observations are spread in a bucket without end, so that it
//! is kept or dropped whole (upstream: model/histogram/float_histogram.go, TrimBuckets). The sum is
//! estimated anew from the middles of what is kept, if anything was cut.

use super::{Bucket, FloatHistogram};

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// Those at or below the value: `</`.
    KeepBelow,
    /// Those above the value: `>/`.
    KeepAbove,
}

/// How much of a bucket stays, and what its observations are about.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kept {
    count: f64,
    middle: f64,
}

/// What becomes of a bucket.
enum Fate {
    /// It stays; its observations are about this.
    Stays(f64),
    Cut(Kept),
    Goes,
}

impl FloatHistogram {
    /// Cuts off what lies on the wrong side of `at`.
    pub fn trim(&mut self, at: f64, trim: Trim) {
        let is_custom = self.uses_custom_buckets();
        let mut totals = Totals::default();
        let positive: Vec<Bucket> = self.positive().collect();
        let has_positive = totals.trim_side(&positive, &mut self.positive_buckets, |bucket| {
            trim_bucket(bucket, at, trim, true, is_custom)
        });
        let negative: Vec<Bucket> = self.negative().collect();
        let has_negative = totals.trim_side(&negative, &mut self.negative_buckets, |bucket| {
            trim_bucket(bucket, at, trim, false, is_custom)
        });
        if self.zero_count > 0.0 {
            let mut zero = self.zero_bucket();
            if has_negative && !has_positive {
                zero.upper = 0.0;
            }
            if has_positive && !has_negative {
                zero.lower = 0.0;
            }
            let kept = trim_zero_bucket(&zero, at, trim);
            totals.changed |= self.zero_count != kept.count;
            self.zero_count = kept.count;
            totals.add(kept);
        }
        if totals.changed {
            self.count = totals.count;
            self.sum = totals.sum;
            self.compact(0);
        }
    }
}

#[derive(Debug, Default)]
struct Totals {
    count: f64,
    sum: f64,
    changed: bool,
}

impl Totals {
    fn add(&mut self, kept: Kept) {
        self.count += kept.count;
        self.sum += kept.middle * kept.count;
    }

    /// True if any of the buckets is populated.
    fn trim_side(
        &mut self,
        buckets: &[Bucket],
        counts: &mut [f64],
        fate: impl Fn(&Bucket) -> Fate,
    ) -> bool {
        let mut is_populated = false;
        for (bucket, count) in buckets.iter().zip(counts) {
            if bucket.count == 0.0 {
                continue;
            }
            is_populated = true;
            match fate(bucket) {
                Fate::Stays(middle) => self.add(Kept {
                    count: bucket.count,
                    middle,
                }),
                Fate::Cut(kept) => {
                    self.add(kept);
                    self.changed |= *count != kept.count;
                    *count = kept.count;
                }
                Fate::Goes => {
                    self.changed = true;
                    *count = 0.0;
                }
            }
        }
        is_populated
    }
}

fn trim_bucket(bucket: &Bucket, at: f64, trim: Trim, is_positive: bool, is_custom: bool) -> Fate {
    let (is_inside, is_cut) = match trim {
        Trim::KeepBelow => (bucket.upper <= at, bucket.lower < at),
        Trim::KeepAbove => (bucket.lower >= at, bucket.upper > at),
    };
    if is_inside {
        return Fate::Stays(middle(bucket.lower, bucket.upper, is_positive, is_custom));
    }
    if !is_cut {
        return Fate::Goes;
    }
    if bucket.lower == f64::NEG_INFINITY {
        return Fate::Cut(trim_without_start(bucket, at, trim));
    }
    if bucket.upper == f64::INFINITY {
        return Fate::Cut(trim_without_end(bucket, at, trim));
    }
    let below = bucket.count * bucket.fraction_below(at, is_custom);
    Fate::Cut(match trim {
        Trim::KeepBelow => Kept {
            count: below,
            middle: middle(bucket.lower, at, is_positive, is_custom),
        },
        Trim::KeepAbove => Kept {
            count: bucket.count - below,
            middle: middle(at, bucket.upper, is_positive, is_custom),
        },
    })
}

/// A bucket that starts at minus infinity and is cut. If it ends above zero, it is taken to start
/// at zero: then it is the first one of a histogram with custom bounds.
fn trim_without_start(bucket: &Bucket, at: f64, trim: Trim) -> Kept {
    let ends_above_zero = bucket.upper > 0.0 && bucket.upper.is_finite();
    let (count, middle) = match trim {
        Trim::KeepBelow if at > 0.0 && ends_above_zero => {
            (bucket.count * at / bucket.upper, at / 2.0)
        }
        Trim::KeepBelow if bucket.upper <= 0.0 => (bucket.count, at),
        Trim::KeepAbove if at >= 0.0 && ends_above_zero => (
            bucket.count * (1.0 - at / bucket.upper),
            (at + bucket.upper) / 2.0,
        ),
        _ => (0.0, 0.0),
    };
    Kept { count, middle }
}

/// A bucket that ends at infinity and is cut.
fn trim_without_end(bucket: &Bucket, at: f64, trim: Trim) -> Kept {
    let (count, middle) = match trim {
        Trim::KeepAbove if at >= bucket.lower => (bucket.count, at),
        _ => (0.0, 0.0),
    };
    Kept { count, middle }
}

fn trim_zero_bucket(zero: &Bucket, at: f64, trim: Trim) -> Kept {
    let Bucket {
        lower,
        upper,
        count,
        ..
    } = *zero;
    let whole = Kept {
        count,
        middle: (lower + upper) / 2.0,
    };
    let nothing = Kept {
        count: 0.0,
        middle: 0.0,
    };
    let part = |fraction: f64, from: f64, to: f64| Kept {
        count: count * fraction,
        middle: (from + to) / 2.0,
    };
    match trim {
        Trim::KeepBelow if at <= lower => nothing,
        Trim::KeepBelow if at >= upper => whole,
        Trim::KeepBelow => part((at - lower) / (upper - lower), lower, at),
        Trim::KeepAbove if at <= lower => whole,
        Trim::KeepAbove if at >= upper => nothing,
        Trim::KeepAbove => part((upper - at) / (upper - lower), at, upper),
    }
}

/// What observations between two bounds are about: the arithmetic middle for custom bounds, the
/// geometric one for exponential ones.
fn middle(lower: f64, upper: f64, is_positive: bool, is_custom: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => return 0.0,
        (true, false) => return if upper > 0.0 { upper / 2.0 } else { upper },
        (false, true) => return lower,
        (false, false) => {}
    }
    if is_custom {
        return (lower + upper) / 2.0;
    }
    let geometric = (lower * upper).abs().sqrt();
    if is_positive { geometric } else { -geometric }
}
