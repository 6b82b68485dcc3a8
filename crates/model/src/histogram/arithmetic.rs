//! Sums and differences of histograms, plain and compensated.
//!
//! Two exponential histograms are brought to the wider of their zero buckets, widened further until
//! it ends at no populated bucket's middle, and to the coarser of their schemas. Two histograms with
//! custom bounds are brought to the bounds that both have. The order of the additions is upstream's
//! (model/histogram/float_histogram.go), so that results are the same to the bit.
//!
//! Results may hold empty buckets; [`FloatHistogram::compact`] takes them out.

use super::layout::{self, Builder, Indexed, Side};
use super::{CounterResetHint, FloatHistogram, HistogramError, Span, bounds};
use crate::kahan::kahan_add;

/// What is worth telling about a sum or difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Combined {
    /// One histogram says that its counter was reset, the other that it was not.
    pub counter_reset_collision: bool,
    /// Custom bounds differed, and only those that both have are left.
    pub bounds_reconciled: bool,
}

/// What a compensated sum of histograms has lost so far: a histogram of the same layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Compensation(FloatHistogram);

impl Compensation {
    /// For a sum that has lost nothing yet.
    fn of(sum: &FloatHistogram) -> Compensation {
        Compensation(FloatHistogram {
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_buckets: vec![0.0; sum.positive_buckets.len()],
            negative_buckets: vec![0.0; sum.negative_buckets.len()],
            ..sum.clone()
        })
    }

    /// As the sum that it belongs to is multiplied.
    pub fn multiply(&mut self, factor: f64) {
        self.0.multiply(factor);
    }

    /// As the sum that it belongs to is divided.
    pub fn divide(&mut self, divisor: f64) {
        self.0.divide(divisor);
    }
}

impl FloatHistogram {
    /// Adds another histogram.
    ///
    /// # Errors
    /// [`HistogramError::IncompatibleSchemas`]; then nothing is changed.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, HistogramError> {
        self.combine(other, 1.0)
    }

    /// Takes another histogram away. The counter reset hint is merged as for a sum; a difference
    /// that stands for itself should be marked a gauge.
    ///
    /// # Errors
    /// [`HistogramError::IncompatibleSchemas`]; then nothing is changed.
    pub fn subtract(&mut self, other: &FloatHistogram) -> Result<Combined, HistogramError> {
        self.combine(other, -1.0)
    }

    /// Adds another histogram to this one, which is a running sum that has lost `compensation`.
    ///
    /// # Errors
    /// [`HistogramError::IncompatibleSchemas`]; then nothing is changed.
    pub fn add_compensated(
        &mut self,
        other: &FloatHistogram,
        compensation: &mut Option<Compensation>,
    ) -> Result<Combined, HistogramError> {
        self.check_compatible(other)?;
        let counter_reset_collision = self.merge_hint(other.counter_reset_hint);
        let Compensation(lost) = compensation.get_or_insert_with(|| Compensation::of(self));
        if !self.uses_custom_buckets() {
            let zero = self.reconcile_zero_buckets(other, Some(lost));
            kahan_add(zero.count, &mut self.zero_count, &mut lost.zero_count);
            kahan_add(zero.lost, &mut self.zero_count, &mut lost.zero_count);
        }
        kahan_add(other.count, &mut self.count, &mut lost.count);
        kahan_add(other.sum, &mut self.sum, &mut lost.sum);
        let bounds_reconciled = self.combine_buckets(other, 1.0, Some(lost));
        lost.schema = self.schema;
        lost.zero_threshold = self.zero_threshold;
        lost.positive_spans.clone_from(&self.positive_spans);
        lost.negative_spans.clone_from(&self.negative_spans);
        if bounds_reconciled {
            lost.custom_values.clone_from(&self.custom_values);
        }
        Ok(Combined {
            counter_reset_collision,
            bounds_reconciled,
        })
    }

    /// Ends a compensated sum: what was lost comes back.
    pub fn settle(&mut self, compensation: Option<Compensation>) {
        if let Some(Compensation(lost)) = compensation {
            // It has the layout of the sum, so it can be added.
            let added = self.add(&lost);
            debug_assert!(added.is_ok(), "the compensation of another sum");
        }
    }

    /// Adds `sign` (1 or -1) times another histogram.
    fn combine(&mut self, other: &FloatHistogram, sign: f64) -> Result<Combined, HistogramError> {
        self.check_compatible(other)?;
        let counter_reset_collision = self.merge_hint(other.counter_reset_hint);
        if !self.uses_custom_buckets() {
            self.zero_count += sign * self.reconcile_zero_buckets(other, None).count;
        }
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        let bounds_reconciled = self.combine_buckets(other, sign, None);
        Ok(Combined {
            counter_reset_collision,
            bounds_reconciled,
        })
    }

    fn check_compatible(&self, other: &FloatHistogram) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() == other.uses_custom_buckets() {
            Ok(())
        } else {
            Err(HistogramError::IncompatibleSchemas)
        }
    }

    /// What is known of resets of a sum of counters; true if the two contradict each other.
    fn merge_hint(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint as Hint;
        let hint = self.counter_reset_hint;
        self.counter_reset_hint = match (hint, other) {
            (hint, other) if hint == other => hint,
            (Hint::Gauge, _) | (_, Hint::Gauge) => Hint::Gauge,
            _ => Hint::Unknown,
        };
        matches!(
            (hint, other),
            (Hint::Reset, Hint::NotReset) | (Hint::NotReset, Hint::Reset)
        )
    }

    /// Adds the buckets outside the zero bucket; true if custom bounds had to be reconciled. What
    /// is lost is kept if there is a place for it.
    fn combine_buckets(
        &mut self,
        other: &FloatHistogram,
        sign: f64,
        mut lost: Option<&mut FloatHistogram>,
    ) -> bool {
        let is_compensated = lost.is_some();
        if self.uses_custom_buckets() && self.custom_values != other.custom_values {
            let own = self.take_positive(&mut lost);
            let bounds = common_bounds(&self.custom_values, &other.custom_values);
            let own = (self.custom_values.as_slice(), &own);
            let side = add_by_bounds(own, other, sign, &bounds, is_compensated);
            self.custom_values = bounds;
            self.put_positive(side, &mut lost);
            return true;
        }
        let is_custom = self.uses_custom_buckets();
        let schema = if is_custom {
            self.schema
        } else {
            self.schema.min(other.schema)
        };
        let own_shift = steps_between(self.schema, schema);
        let other_shift = steps_between(other.schema, schema);
        let rule = Rule {
            // Buckets of the other histogram that lie in the zero bucket were added to it.
            skip_up_to: (!is_custom).then_some((schema, self.zero_threshold)),
            sign,
            is_compensated,
            is_reduced: other_shift > 0,
        };
        let own = reduced(self.take_positive(&mut lost), own_shift);
        let add = Indexed::new(&other.positive_spans, &other.positive_buckets);
        let side = rule.add(own, &other.positive_spans, add, other_shift);
        self.put_positive(side, &mut lost);
        if !is_custom {
            let own = reduced(self.take_negative(&mut lost), own_shift);
            let add = Indexed::new(&other.negative_spans, &other.negative_buckets);
            let side = rule.add(own, &other.negative_spans, add, other_shift);
            self.put_negative(side, &mut lost);
        }
        self.schema = schema;
        false
    }

    fn take_positive(&mut self, lost: &mut Option<&mut FloatHistogram>) -> Side {
        Side {
            spans: std::mem::take(&mut self.positive_spans),
            buckets: std::mem::take(&mut self.positive_buckets),
            lost: lost
                .as_mut()
                .map(|lost| std::mem::take(&mut lost.positive_buckets))
                .unwrap_or_default(),
        }
    }

    fn put_positive(&mut self, side: Side, lost: &mut Option<&mut FloatHistogram>) {
        self.positive_spans = side.spans;
        self.positive_buckets = side.buckets;
        if let Some(lost) = lost {
            lost.positive_buckets = side.lost;
        }
    }

    fn take_negative(&mut self, lost: &mut Option<&mut FloatHistogram>) -> Side {
        Side {
            spans: std::mem::take(&mut self.negative_spans),
            buckets: std::mem::take(&mut self.negative_buckets),
            lost: lost
                .as_mut()
                .map(|lost| std::mem::take(&mut lost.negative_buckets))
                .unwrap_or_default(),
        }
    }

    fn put_negative(&mut self, side: Side, lost: &mut Option<&mut FloatHistogram>) {
        self.negative_spans = side.spans;
        self.negative_buckets = side.buckets;
        if let Some(lost) = lost {
            lost.negative_buckets = side.lost;
        }
    }
}

/// How many times the resolution is halved on the way to a coarser schema.
pub(super) fn steps_between(schema: i32, coarser: i32) -> u32 {
    u32::try_from(schema.saturating_sub(coarser)).unwrap_or(0)
}

/// How the buckets of one side are added.
struct Rule {
    /// Leading buckets that end at or below this threshold are left out, in this schema.
    skip_up_to: Option<(i32, f64)>,
    sign: f64,
    is_compensated: bool,
    /// Whether what is added comes from a finer schema.
    is_reduced: bool,
}

impl Rule {
    fn add(&self, own: Side, add_spans: &[Span], add: Indexed<'_>, shift: u32) -> Side {
        if self.is_reduced {
            return self.merge(own, reduced_compensated(add, shift, self.is_compensated));
        }
        let first = add.clone().next().map(|(index, _)| index);
        if own.spans == add_spans && first.is_none_or(|index| !self.skips(index)) {
            return self.add_same_layout(own, add);
        }
        self.merge(own, add.map(|(index, count)| (index, count, 0.0)))
    }

    fn skips(&self, index: i32) -> bool {
        self.skip_up_to
            .is_some_and(|(schema, threshold)| bounds::exponential(index, schema) <= threshold)
    }

    /// The frequent case: nothing but the counts changes.
    fn add_same_layout(&self, mut own: Side, add: Indexed<'_>) -> Side {
        if own.lost.is_empty() {
            for (count, (_, more)) in own.buckets.iter_mut().zip(add) {
                *count += self.sign * more;
            }
            return own;
        }
        for ((count, lost), (_, more)) in own.buckets.iter_mut().zip(&mut own.lost).zip(add) {
            kahan_add(self.sign * more, count, lost);
        }
        own
    }

    /// Two rising lists into one.
    fn merge(&self, own: Side, add: impl Iterator<Item = (i32, f64, f64)>) -> Side {
        let mut out = Builder::new(own.buckets.len(), self.is_compensated);
        let mut own = own.iter().peekable();
        let mut add = add.skip_while(|(index, ..)| self.skips(*index)).peekable();
        loop {
            let next_own = own.peek().map(|(index, ..)| *index);
            let next_add = add.peek().map(|(index, ..)| *index);
            let use_own = next_own.is_some_and(|o| next_add.is_none_or(|a| o <= a));
            let use_add = next_add.is_some_and(|a| next_own.is_none_or(|o| a <= o));
            let from_own = if use_own { own.next() } else { None };
            let from_add = if use_add { add.next() } else { None };
            match (from_own, from_add) {
                (Some((index, count, lost)), None) => out.push(index, count, lost),
                (None, Some((index, count, lost))) => {
                    out.push(index, self.sign * count, self.sign * lost);
                }
                (Some((index, mut count, mut lost)), Some((_, more, more_lost))) => {
                    if self.is_compensated {
                        kahan_add(self.sign * more, &mut count, &mut lost);
                        if more_lost != 0.0 {
                            kahan_add(self.sign * more_lost, &mut count, &mut lost);
                        }
                    } else {
                        count += self.sign * more;
                    }
                    out.push(index, count, lost);
                }
                (None, None) => return out.finish(),
            }
        }
    }
}

/// The buckets of a running sum in a coarser schema.
fn reduced(side: Side, shift: u32) -> Side {
    if shift == 0 {
        return side;
    }
    let is_compensated = !side.lost.is_empty();
    let mut out = Builder::new(side.buckets.len(), is_compensated);
    let mut current: Option<(i32, f64, f64)> = None;
    for (index, count, lost) in side.iter() {
        let target = layout::coarser(index, shift);
        match &mut current {
            Some((index, sum, sum_lost)) if *index == target => {
                if is_compensated {
                    kahan_add(count, sum, sum_lost);
                    kahan_add(lost, sum, sum_lost);
                } else {
                    *sum += count;
                }
            }
            _ => {
                if let Some((index, sum, lost)) = current.replace((target, count, lost)) {
                    out.push(index, sum, lost);
                }
            }
        }
    }
    if let Some((index, sum, lost)) = current {
        out.push(index, sum, lost);
    }
    out.finish()
}

/// The buckets of a summand in a coarser schema, with what is lost on the way.
fn reduced_compensated(
    add: Indexed<'_>,
    shift: u32,
    is_compensated: bool,
) -> impl Iterator<Item = (i32, f64, f64)> {
    let mut add = add.peekable();
    std::iter::from_fn(move || {
        let (index, mut sum) = add.next()?;
        let target = layout::coarser(index, shift);
        let mut lost = 0.0;
        while let Some((_, count)) = add.next_if(|(i, _)| layout::coarser(*i, shift) == target) {
            if is_compensated {
                kahan_add(count, &mut sum, &mut lost);
            } else {
                sum += count;
            }
        }
        Some((target, sum, lost))
    })
}

/// The bounds that both lists have.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut common = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            common.push(a[i]);
            i += 1;
            j += 1;
        } else if a[i] < b[j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

/// Where the buckets of one list of bounds go in a list that has some of them.
pub(super) fn places<'a>(from: &'a [f64], to: &'a [f64]) -> impl FnMut(i32) -> usize + use<'a> {
    let mut at = 0;
    move |index| {
        let bound = usize::try_from(index).ok().and_then(|i| from.get(i));
        let Some(&bound) = bound else {
            return to.len();
        };
        // Indices rise, and so do bounds.
        while at < to.len() && to[at] < bound {
            at += 1;
        }
        at
    }
}

/// Adds histograms with different custom bounds, bucket by bucket into those that are left.
fn add_by_bounds(
    (own_bounds, own): (&[f64], &Side),
    other: &FloatHistogram,
    sign: f64,
    bounds: &[f64],
    is_compensated: bool,
) -> Side {
    let mut sums = vec![(0.0, 0.0); bounds.len() + 1];
    let mut place = places(own_bounds, bounds);
    for (index, count, lost) in own.iter() {
        let (sum, sum_lost) = &mut sums[place(index)];
        kahan_add(count, sum, sum_lost);
        if is_compensated {
            kahan_add(lost, sum, sum_lost);
        }
    }
    let mut place = places(&other.custom_values, bounds);
    for (index, count) in Indexed::new(&other.positive_spans, &other.positive_buckets) {
        let (sum, lost) = &mut sums[place(index)];
        kahan_add(sign * count, sum, lost);
    }
    let mut out = Builder::new(sums.len(), is_compensated);
    for (index, (sum, lost)) in (0_i32..).zip(sums) {
        if sum != 0.0 || lost != 0.0 {
            out.push(index, sum, lost);
        }
    }
    out.finish()
}
