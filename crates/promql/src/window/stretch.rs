//! How far the difference over the samples of a range says what it is over the whole range.

use super::Borders;

/// By how much the difference over the samples is stretched to the borders of the range: all the
/// way if the gap is no longer than 1.1 average intervals, else by half an interval; and a counter
/// that starts at `counter_start` not below zero.
pub(crate) fn extrapolation(
    times: (i64, i64),
    count: usize,
    borders: Borders,
    counter_start: Option<f64>,
    increase: f64,
) -> f64 {
    Stretch::of(times, count, borders).factor(counter_start, increase)
}

/// What [`extrapolation`] knows from times alone: with regular scrapes the same at many steps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stretch {
    /// Milliseconds from the range's start to the first sample and from the last one to its end,
    /// and the count of samples.
    pub(super) at: (i64, i64, usize),
    to_start: f64,
    to_end: f64,
    sampled: f64,
    /// If nothing begins at zero.
    pub(super) factor: f64,
}

impl Stretch {
    pub(super) fn of((first_ms, last_ms): (i64, i64), count: usize, borders: Borders) -> Stretch {
        let at = (first_ms - borders.start_ms, borders.end_ms - last_ms, count);
        let mut stretch = Stretch {
            at,
            to_start: at.0 as f64 / 1000.0,
            to_end: at.1 as f64 / 1000.0,
            sampled: (last_ms - first_ms) as f64 / 1000.0,
            factor: 0.0,
        };
        let average = stretch.sampled / (count - 1) as f64;
        let threshold = average * 1.1;
        if stretch.to_start >= threshold {
            stretch.to_start = average / 2.0;
        }
        if stretch.to_end >= threshold {
            stretch.to_end = average / 2.0;
        }
        stretch.factor = stretch.factor_from(stretch.to_start);
        stretch
    }

    /// Whether [`Stretch::factor`] has to look at the values: false is certain, without a division.
    /// A counter that starts no lower than what it gained reached zero no later than one stretch of
    /// samples before, which mostly is before the range.
    #[inline]
    pub(super) fn may_begin_at_zero(&self, counter_start: Option<f64>, increase: f64) -> bool {
        match counter_start {
            None => false,
            Some(first) => !(first >= increase && self.sampled >= self.to_start),
        }
    }

    pub(super) fn factor(&self, counter_start: Option<f64>, increase: f64) -> f64 {
        if let Some(first) = counter_start
            && increase > 0.0
            && first >= 0.0
        {
            let to_zero = self.sampled * (first / increase);
            if to_zero < self.to_start {
                return self.factor_from(to_zero);
            }
        }
        self.factor
    }

    fn factor_from(&self, to_start: f64) -> f64 {
        if self.sampled == 0.0 {
            1.0
        } else {
            (self.sampled + to_start + self.to_end) / self.sampled
        }
    }
}
