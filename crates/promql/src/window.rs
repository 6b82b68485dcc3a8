//! Functions over ranges: `rate(m[5m])` and its like, for one series over all steps.
//!
//! The samples of a series are read once; two indices walk over them as the window moves. What a
//! function costs per step depends on what its bits allow: counts, resets and changes come from
//! prefix sums, extremes from running extremes around a turn, rates from the window's ends and the
//! resets in it. Sums and averages are compensated in sample order, which no incremental form
//! reproduces but for whole numbers, so they walk over each window; [`lanes`] walks over four of them
//! at once.
//!
//! Windows are open at the left: a sample exactly one range ago is outside.

mod function;
mod lanes;
pub(crate) mod starts;
mod stretch;

use storage::Points;

pub(crate) use self::function::RangeFunction;
use self::lanes::{
    LANES, Places, average, averages, largest_of_one_sign, regression, regressions, sum, totals,
    variance, variances, whole_sums,
};
use self::starts::Counted;
use self::stretch::Stretch;
pub(crate) use self::stretch::extrapolation;
use crate::column::{ABSENT, Column, Scalar, Steps};
use crate::context::{Deadline, EVALUATION};
use crate::gomath::{quantile, seconds};

/// How a range reaches for samples around its borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reach {
    /// Only what lies within.
    #[default]
    Inside,
    /// `anchored`: the last sample before the range counts as its start.
    Anchored,
    /// `smoothed`: values at both borders are interpolated.
    Smoothed,
}

/// Where the windows lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) steps: Steps,
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    /// `@`: the same window at all steps.
    pub(crate) at_ms: Option<i64>,
    pub(crate) reach: Reach,
    /// How far the reach goes.
    pub(crate) lookback_ms: i64,
}

impl Windows {
    /// The right border of a step's window, included.
    #[inline]
    pub(crate) fn end_ms(&self, step: usize) -> i64 {
        self.at_ms.unwrap_or_else(|| self.steps.at(step)) - self.offset_ms
    }

    /// How far samples before and after the range are looked at.
    pub(crate) fn margins_ms(&self) -> (i64, i64) {
        match self.reach {
            Reach::Inside => (0, 0),
            Reach::Anchored => (self.lookback_ms, 0),
            Reach::Smoothed => (self.lookback_ms, self.lookback_ms),
        }
    }

    /// The points at which an instant selector takes the newest sample; `None` if it looks at
    /// others, too.
    pub(crate) fn points(&self) -> Option<Points> {
        (self.reach == Reach::Inside && self.range_ms == self.lookback_ms).then(|| Points {
            first_ms: self.end_ms(0),
            step_ms: self.steps.step_ms,
            count: match self.at_ms {
                Some(_) => 1,
                None => self.steps.count.max(1),
            },
            lookback_ms: self.lookback_ms,
            presence_only: false,
        })
    }

    /// First and last millisecond of all samples that are looked at.
    pub(crate) fn read_range_ms(&self) -> (i64, i64) {
        let (before, after) = self.margins_ms();
        let last = self.end_ms(self.steps.count.saturating_sub(1));
        (self.end_ms(0) - self.range_ms - before + 1, last + after)
    }
}

/// The borders of a range, without margins; the left one is outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Borders {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// What walking over the windows of one series has shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct WindowCounts {
    /// Samples in all windows together.
    pub(crate) total: u64,
    /// Samples that were new in their window.
    pub(crate) read: u64,
    /// Samples of the fullest window.
    pub(crate) peak: u64,
    /// Windows in which a counter's start overlaps with the sample before.
    pub(crate) overlaps: usize,
    /// `total` and `read` by step, if they are asked for.
    pub(crate) per_step: Option<Vec<(u64, u64)>>,
}

/// One window over the samples of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The samples in the window are `low..high`; never empty.
    pub(crate) low: usize,
    pub(crate) high: usize,
    /// Borders of the range, without margins.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step: usize,
}

impl<'a> Window<'a> {
    #[inline]
    fn count(&self) -> usize {
        self.high - self.low
    }

    #[inline]
    fn borders(&self) -> Borders {
        Borders {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
        }
    }

    #[inline]
    fn own_values(&self) -> &'a [f64] {
        &self.values[self.low..self.high]
    }

    #[inline]
    fn own_times(&self) -> &'a [i64] {
        &self.times[self.low..self.high]
    }
}

/// The samples of one series without staleness markers, and where the windows over them lie.
pub(crate) struct Walk<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// When the counter of each sample started, 0 if that is not known; empty if nobody asks.
    pub(crate) starts: &'a [i64],
    pub(crate) windows: &'a Windows,
    pub(crate) per_step: bool,
    /// Cuts the walk short when the query is to end; whoever walks asks it afterwards.
    pub(crate) deadline: Option<&'a Deadline>,
}

/// The first place from `from` on whose time is after `time_ms`. With regular scrapes it lies as far
/// on as the last time: that is looked at first.
#[inline(always)]
fn first_after(times: &[i64], from: usize, stride: usize, time_ms: i64) -> usize {
    let guess = from + stride;
    let is_after = |at: usize| times.get(at).is_none_or(|&t| t > time_ms);
    if guess <= times.len() && is_after(guess) && (stride == 0 || times[guess - 1] <= time_ms) {
        return guess;
    }
    let mut at = from;
    while !is_after(at) {
        at += 1;
    }
    at
}

/// Samples of windows between two looks at the deadline: quantiles sort that many in some 10 ms.
const UNCHECKED_SAMPLES_MAX: u64 = 1 << 18;

impl<'a> Walk<'a> {
    /// Calls `f` for every step whose window has samples. Inlined, so that what `f` changes can stay in
    /// registers.
    #[inline(always)]
    pub(crate) fn over(
        &self,
        mut f: impl FnMut(&Window<'a>) -> Option<f64>,
    ) -> (Column, WindowCounts) {
        let Walk {
            times,
            values,
            windows,
            deadline,
            ..
        } = *self;
        let mut unchecked = 0;
        let count = windows.steps.count;
        let (before, after) = windows.margins_ms();
        let mut out = vec![ABSENT; count];
        let mut counts = WindowCounts {
            per_step: self.per_step.then(|| vec![(0, 0); count]),
            ..WindowCounts::default()
        };
        let (mut low, mut high) = (0, 0);
        let mut stride = (0, 0);
        for (step, out) in out.iter_mut().enumerate() {
            let end_ms = windows.end_ms(step);
            let start_ms = end_ms - windows.range_ms;
            let previous = (low, high);
            high = first_after(times, high, stride.1, end_ms + after);
            low = first_after(&times[..high], low, stride.0, start_ms - before);
            stride = (low - previous.0, high - previous.1);
            if low == high {
                continue;
            }
            let inside = (high - low) as u64;
            let new = if step > 0 && windows.at_ms.is_some() {
                0
            } else {
                (high - low.max(previous.1)) as u64
            };
            unchecked += inside;
            if unchecked >= UNCHECKED_SAMPLES_MAX {
                unchecked = 0;
                if deadline.is_some_and(|deadline| deadline.check(EVALUATION).is_err()) {
                    break;
                }
            }
            counts.total += inside;
            counts.read += new;
            counts.peak = counts.peak.max(inside);
            if let Some(per_step) = &mut counts.per_step {
                per_step[step] = (inside, new);
            }
            let window = Window {
                times,
                values,
                low,
                high,
                start_ms,
                end_ms,
                step,
            };
            if let Some(value) = f(&window) {
                *out = value;
            }
        }
        (Column::from_steps(out), counts)
    }

    /// As [`Walk::over`], for functions that look at every sample of a window: four windows with as
    /// many samples are worked on at once, if `four` can do these, and others by themselves.
    fn side_by_side(
        &self,
        mut four: impl FnMut([&Window<'_>; LANES]) -> Option<[f64; LANES]>,
        one: impl Fn(&Window<'_>) -> Option<f64>,
    ) -> (Column, WindowCounts) {
        let mut all = Vec::with_capacity(self.windows.steps.count);
        let (_, counts) = self.over(|w| {
            all.push(*w);
            None
        });
        let mut out = vec![ABSENT; self.windows.steps.count];
        let mut unchecked = 0;
        for windows in all.chunks(LANES) {
            let lanes: Option<[&Window<'_>; LANES]> = windows.first_chunk().map(|w| w.each_ref());
            let even = |w: &[&Window<'_>; LANES]| w.iter().all(|w| w.count() == windows[0].count());
            match lanes.filter(even).and_then(&mut four) {
                Some(values) => {
                    for (w, value) in windows.iter().zip(values) {
                        out[w.step] = value;
                    }
                }
                None => {
                    for w in windows {
                        out[w.step] = one(w).unwrap_or(ABSENT);
                    }
                }
            }
            unchecked += windows.iter().map(|w| w.count() as u64).sum::<u64>();
            if unchecked >= UNCHECKED_SAMPLES_MAX {
                unchecked = 0;
                let deadline = self.deadline;
                if deadline.is_some_and(|deadline| deadline.check(EVALUATION).is_err()) {
                    break;
                }
            }
        }
        (Column::from_steps(out), counts)
    }

    /// The function's values at all steps. `arguments` are its scalars in order.
    pub(crate) fn apply(
        &self,
        function: RangeFunction,
        arguments: &[Scalar],
    ) -> (Column, WindowCounts) {
        use RangeFunction as F;
        let mut places = Places::default();
        let argument = |index: usize, step: usize| {
            arguments
                .get(index)
                .map_or(f64::NAN, |scalar| scalar.at(step))
        };
        match function {
            F::Rate => self.rate(true, true),
            F::Increase => self.rate(true, false),
            F::Delta => self.rate(false, false),
            F::Irate => self.last_two(true),
            F::Idelta => self.last_two(false),
            F::Deriv => {
                let largest = largest_of_one_sign(self.values);
                let at_ms = |w: &Window<'_>| w.own_times()[0];
                self.side_by_side(
                    |four| {
                        let lines = regressions(four, four.map(at_ms), &mut places, largest)?;
                        Some(lines.map(|(slope, _)| slope))
                    },
                    |w| (w.count() >= 2).then(|| regression(w, at_ms(w)).0),
                )
            }
            F::PredictLinear => {
                let largest = largest_of_one_sign(self.values);
                let at_ms = |w: &Window<'_>| self.windows.steps.at(w.step);
                let predict = |w: &Window<'_>, (slope, intercept): (f64, f64)| {
                    slope * argument(0, w.step) + intercept
                };
                self.side_by_side(
                    |four| {
                        let lines = regressions(four, four.map(at_ms), &mut places, largest)?;
                        Some(std::array::from_fn(|lane| predict(four[lane], lines[lane])))
                    },
                    |w| (w.count() >= 2).then(|| predict(w, regression(w, at_ms(w)))),
                )
            }
            F::Changes => self.count_pairs(|at| {
                let (previous, value) = (self.values[at - 1], self.values[at]);
                value != previous && !(value.is_nan() && previous.is_nan())
            }),
            F::Resets => self.count_pairs(|at| self.is_reset(at)),
            F::AvgOverTime => match whole_sums(self.values) {
                Some(sums) => self.over(|w| Some((sums[w.high] - sums[w.low]) / w.count() as f64)),
                None => {
                    let largest = largest_of_one_sign(self.values);
                    let four = |four: [&Window<'_>; LANES]| averages(four, largest);
                    self.side_by_side(four, |w| Some(average(w.own_values())))
                }
            },
            F::SumOverTime => match whole_sums(self.values) {
                Some(sums) => self.over(|w| Some(sums[w.high] - sums[w.low])),
                None => {
                    let largest = largest_of_one_sign(self.values);
                    let four = |four: [&Window<'_>; LANES]| totals(four, largest);
                    self.side_by_side(four, |w| Some(sum(w.own_values())))
                }
            },
            F::CountOverTime => self.over(|w| Some(w.count() as f64)),
            F::MinOverTime => self.extreme(|value, other| value < other),
            F::MaxOverTime => self.extreme(|value, other| value > other),
            F::QuantileOverTime => {
                let mut scratch = Vec::new();
                self.over(|w| {
                    scratch.clear();
                    scratch.extend_from_slice(w.own_values());
                    Some(quantile(argument(0, w.step), &mut scratch))
                })
            }
            F::StdvarOverTime => self.side_by_side(variances, |w| Some(variance(w.own_values()))),
            F::StddevOverTime => self.side_by_side(
                |four| variances(four).map(|all| all.map(f64::sqrt)),
                |w| Some(variance(w.own_values()).sqrt()),
            ),
            F::LastOverTime => self.over(|w| w.own_values().last().copied()),
            F::FirstOverTime => self.over(|w| w.own_values().first().copied()),
            F::PresentOverTime | F::AbsentOverTime => self.over(|_| Some(1.0)),
            F::MadOverTime => {
                let mut scratch = Vec::new();
                self.over(|w| Some(median_deviation(w.own_values(), &mut scratch)))
            }
            F::TsOfFirstOverTime => self.over(|w| Some(w.own_times()[0] as f64 / 1000.0)),
            F::TsOfLastOverTime => self.over(|w| w.own_times().last().map(|&t| t as f64 / 1000.0)),
            F::TsOfMinOverTime => self.over(|w| Some(time_of(w, |v, best| v <= best))),
            F::TsOfMaxOverTime => self.over(|w| Some(time_of(w, |v, best| v >= best))),
            F::DoubleExponentialSmoothing => {
                self.over(|w| smoothed(w.own_values(), argument(0, w.step), argument(1, w.step)))
            }
        }
    }

    /// `rate`, `increase` and `delta`: the difference over the window, extrapolated to its borders.
    fn rate(&self, is_counter: bool, per_second: bool) -> (Column, WindowCounts) {
        if self.windows.reach != Reach::Inside {
            return self.over(|w| crate::extended::rate(w, self.windows, is_counter, per_second));
        }
        let resets = if is_counter {
            self.reset_indices()
        } else {
            Vec::new()
        };
        let range_seconds = seconds(self.windows.range_ms);
        let (mut first_reset, mut end_reset) = (0, 0);
        let overlapping = starts::overlapping(self.times, self.starts);
        let mut overlaps = 0;
        let scaled = |factor: f64| {
            if per_second {
                factor / range_seconds
            } else {
                factor
            }
        };
        let (mut stretch, mut usual) = (Stretch::default(), 0.0);
        let (column, mut counts) = self.over(|w| {
            let began = if is_counter {
                starts::start_inside(self.counted(w.low), w.borders())
            } else {
                None
            };
            if w.count() < 2 && began.is_none() {
                return None;
            }
            let is_overlapped = is_counter && overlapping.any(w.low..w.high);
            overlaps += usize::from(is_overlapped);
            while first_reset < resets.len() && resets[first_reset] <= w.low {
                first_reset += 1;
            }
            end_reset = end_reset.max(first_reset);
            while end_reset < resets.len() && resets[end_reset] < w.high {
                end_reset += 1;
            }
            let (first, last) = (w.values[w.low], w.values[w.high - 1]);
            let mut increase = last - first;
            for &at in &resets[first_reset..end_reset] {
                increase += w.values[at - 1];
            }
            let times = (w.times[w.low], w.times[w.high - 1]);
            let factor = match began {
                Some(start_ms) => {
                    increase += first;
                    starts::extrapolation_after(start_ms, times, w.count(), w.borders())
                }
                None => {
                    let start = is_counter.then_some(first);
                    let at = (times.0 - w.start_ms, w.end_ms - times.1, w.count());
                    if stretch.at != at {
                        stretch = Stretch::of(times, w.count(), w.borders());
                        usual = scaled(stretch.factor);
                    }
                    if !stretch.may_begin_at_zero(start, increase) {
                        return Some(increase * usual);
                    }
                    stretch.factor(start, increase)
                }
            };
            Some(increase * scaled(factor))
        });
        counts.overlaps = overlaps;
        (column, counts)
    }

    fn last_two(&self, is_rate: bool) -> (Column, WindowCounts) {
        self.over(|w| {
            if w.count() < 2 {
                return None;
            }
            let pair = (w.values[w.high - 2], w.values[w.high - 1]);
            let interval_ms = w.times[w.high - 1] - w.times[w.high - 2];
            let is_reset = is_rate && self.is_reset(w.high - 1);
            (interval_ms != 0).then(|| instant_rate(pair, interval_ms, is_rate, is_reset))
        })
    }

    fn counted(&self, at: usize) -> Counted {
        Counted::at(self.times, self.starts, at)
    }

    /// Whether the counter was reset between a sample and the one before it.
    #[inline]
    fn is_reset(&self, at: usize) -> bool {
        self.values[at] < self.values[at - 1]
            || !self.starts.is_empty() && self.counted(at).is_reset_since(self.counted(at - 1))
    }

    /// Samples before which the counter was reset.
    fn reset_indices(&self) -> Vec<usize> {
        if !self.starts.is_empty() {
            let all = 1..self.values.len();
            return all.filter(|&at| self.is_reset(at)).collect();
        }
        // Mostly there is none: whole blocks are looked at without branches.
        const BLOCK: usize = 64;
        let mut resets = Vec::new();
        for begin in (1..self.values.len()).step_by(BLOCK) {
            let end = self.values.len().min(begin + BLOCK);
            let pairs = self.values[begin - 1..end - 1]
                .iter()
                .zip(&self.values[begin..end]);
            if pairs.fold(false, |any, (before, value)| any | (value < before)) {
                resets.extend((begin..end).filter(|&at| self.is_reset(at)));
            }
        }
        resets
    }

    /// How often neighbours within the window differ in some way, by the second one's place. Costs
    /// samples and steps.
    fn count_pairs(&self, differ: impl Fn(usize) -> bool) -> (Column, WindowCounts) {
        // `before[i]`: how many of the pairs that end at or before sample i differ.
        let mut before = Vec::with_capacity(self.values.len());
        let mut seen = 0u32;
        for at in 0..self.values.len() {
            seen += u32::from(at > 0 && differ(at));
            before.push(seen);
        }
        let anchored = self.windows.reach == Reach::Anchored;
        self.over(|w| {
            let low = if anchored {
                crate::extended::anchor(w)?
            } else {
                w.low
            };
            Some(f64::from(before[w.high - 1] - before[low]))
        })
    }

    /// The smallest or largest value; of equal ones the earliest, NaN only if there is nothing
    /// else. For the samples before some turn it is known which is the best from each of them to
    /// the turn, for those after it which is the best so far: a window asks both. When all of a
    /// window lies after the turn, its end is the next one. So each sample is compared twice,
    /// however the values lie.
    fn extreme(&self, beats: impl Fn(f64, f64) -> bool) -> (Column, WindowCounts) {
        let better = |earlier: f64, later: f64| {
            if earlier.is_nan() || beats(later, earlier) {
                later
            } else {
                earlier
            }
        };
        let mut to_turn = vec![f64::NAN; self.values.len()];
        let (mut turn, mut next, mut since_turn) = (0, 0, f64::NAN);
        self.over(|w| {
            if w.low >= turn {
                (turn, next, since_turn) = (w.high, w.high, f64::NAN);
                let mut best = f64::NAN;
                let places = to_turn[w.low..w.high].iter_mut().zip(w.own_values());
                for (place, &value) in places.rev() {
                    best = better(value, best);
                    *place = best;
                }
            }
            for &value in &w.values[next..w.high] {
                since_turn = better(since_turn, value);
            }
            next = w.high;
            Some(better(to_turn[w.low], since_turn))
        })
    }
}

/// `irate` and `idelta`: from the last two samples.
pub(crate) fn instant_rate(
    (before, last): (f64, f64),
    interval_ms: i64,
    is_rate: bool,
    is_reset: bool,
) -> f64 {
    // After a reset the counter counts from zero.
    let difference = if is_reset { last } else { last - before };
    if is_rate {
        difference / (interval_ms as f64 / 1000.0)
    } else {
        difference
    }
}

fn median_deviation(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let median = quantile(0.5, scratch);
    for value in scratch.iter_mut() {
        *value = (*value - median).abs();
    }
    quantile(0.5, scratch)
}

/// When the best value was, in seconds; of equal ones the latest.
fn time_of(w: &Window<'_>, at_least: impl Fn(f64, f64) -> bool) -> f64 {
    let (values, times) = (w.own_values(), w.own_times());
    let mut best = 0;
    for at in 0..values.len() {
        if at_least(values[at], values[best]) || values[best].is_nan() {
            best = at;
        }
    }
    times[best] as f64 / 1000.0
}

/// Holt's double exponential smoothing; factors are checked by the caller.
fn smoothed(values: &[f64], factor: f64, trend_factor: f64) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let (mut previous, mut level) = (0.0, values[0]);
    let mut trend = values[1] - values[0];
    for (at, &value) in values.iter().enumerate().skip(1) {
        let x = factor * value;
        if at > 1 {
            let change = trend_factor * (level - previous);
            trend = change + (1.0 - trend_factor) * trend;
        }
        let y = (1.0 - factor) * (level + trend);
        (previous, level) = (level, x + y);
    }
    Some(level)
}

/// The instant value at every step: the newest sample that is younger than the lookback, unless it
/// is a staleness marker. `as_time` gives its time in seconds instead of its value.
pub(crate) fn latest(times: &[i64], values: &[f64], windows: &Windows, as_time: bool) -> Column {
    let mut out = vec![ABSENT; windows.steps.count];
    let mut next = 0;
    for (step, out) in out.iter_mut().enumerate() {
        let end_ms = windows.end_ms(step);
        while next < times.len() && times[next] <= end_ms {
            next += 1;
        }
        if next > 0 && times[next - 1] > end_ms - windows.lookback_ms {
            let value = values[next - 1];
            // A marker is ABSENT already.
            *out = if as_time && crate::column::is_present(value) {
                times[next - 1] as f64 / 1000.0
            } else {
                value
            };
        }
    }
    Column::from_steps(out)
}

#[cfg(test)]
mod tests;
