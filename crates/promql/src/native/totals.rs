//! Compensated sums and averages of histograms.

use model::FloatHistogram;
use model::histogram::{Compensation, CounterResetHint, HistogramError};

/// What is made of the histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sum,
    Average,
}

/// A running sum or average.
#[derive(Debug)]
pub(crate) struct Total {
    kind: Kind,
    /// The sum; of an average whose sum has overflowed, the mean so far.
    value: FloatHistogram,
    lost: Option<Compensation>,
    count: f64,
    is_mean: bool,
    saw_reset: bool,
    saw_no_reset: bool,
    /// Custom bounds differed and were reconciled.
    pub(crate) bounds_reconciled: bool,
}

impl Total {
    pub(crate) fn new(kind: Kind, first: &FloatHistogram) -> Total {
        let mut total = Total {
            kind,
            value: first.clone(),
            lost: None,
            count: 1.0,
            is_mean: false,
            saw_reset: false,
            saw_no_reset: false,
            bounds_reconciled: false,
        };
        total.note_hint(first);
        total
    }

    fn note_hint(&mut self, histogram: &FloatHistogram) {
        self.saw_reset |= histogram.counter_reset_hint == CounterResetHint::Reset;
        self.saw_no_reset |= histogram.counter_reset_hint == CounterResetHint::NotReset;
    }

    /// The bytes of memory that it takes. What the sum has lost has the layout of the sum.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Total>() + 2 * self.value.size_bytes()
    }

    /// Whether some were resets of a counter, and others surely not.
    pub(crate) fn hints_collide(&self) -> bool {
        self.saw_reset && self.saw_no_reset
    }

    pub(crate) fn add(&mut self, histogram: &FloatHistogram) -> Result<(), HistogramError> {
        self.note_hint(histogram);
        self.count += 1.0;
        match self.kind {
            Kind::Sum => self.add_to_sum(histogram),
            Kind::Average => self.add_to_average(histogram),
        }
    }

    fn add_to_sum(&mut self, histogram: &FloatHistogram) -> Result<(), HistogramError> {
        let combined = self.value.add_compensated(histogram, &mut self.lost)?;
        self.bounds_reconciled |= combined.bounds_reconciled;
        Ok(())
    }

    /// Averages are sums until that overflows; from there on the mean is updated.
    fn add_to_average(&mut self, histogram: &FloatHistogram) -> Result<(), HistogramError> {
        if !self.is_mean {
            if is_small(&self.value) && is_small(histogram) {
                return self.add_to_sum(histogram);
            }
            let before = (self.value.clone(), self.lost.clone());
            self.add_to_sum(histogram)?;
            if !self.value.has_overflow() {
                return Ok(());
            }
            (self.value, self.lost) = before;
            self.is_mean = true;
            self.divide(self.count - 1.0);
        }
        let q = (self.count - 1.0) / self.count;
        if let Some(lost) = &mut self.lost {
            lost.multiply(q);
        }
        self.value.multiply(q);
        let mut part = histogram.clone();
        part.divide(self.count);
        self.add_to_sum(&part)
    }

    fn divide(&mut self, divisor: f64) {
        self.value.divide(divisor);
        if let Some(lost) = &mut self.lost {
            lost.divide(divisor);
        }
    }

    /// The sum or average. It may hold empty buckets.
    pub(crate) fn finish(mut self) -> FloatHistogram {
        if self.kind == Kind::Average && !self.is_mean {
            self.divide(self.count);
        }
        self.value.settle(self.lost);
        self.value
    }
}

/// Whether even all of it together is far from an overflow: there are fewer than 2^33 buckets.
fn is_small(histogram: &FloatHistogram) -> bool {
    const LARGE: f64 = 1e290;
    let totals = [histogram.zero_count, histogram.count, histogram.sum];
    let buckets = [&histogram.positive_buckets, &histogram.negative_buckets];
    let mut all = totals.iter().chain(buckets.into_iter().flatten());
    all.all(|value| value.abs() < LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: f64) -> FloatHistogram {
        FloatHistogram {
            count,
            sum: count,
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn totals() {
        for (kind, counts, expected) in [
            (Kind::Sum, &[1e100, 1.0, -1e100][..], 1.0),
            (Kind::Average, &[1.0, 2.0, 6.0], 3.0),
            (Kind::Average, &[f64::MAX, f64::MAX], f64::MAX),
        ] {
            let mut total = Total::new(kind, &of(counts[0]));
            for &count in &counts[1..] {
                total.add(&of(count)).unwrap();
            }
            assert_eq!(total.finish().count, expected, "{kind:?} {counts:?}");
        }
    }
}
