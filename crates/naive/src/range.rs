//! Functions over the window of one series: each looks at all of its samples.

use model::kahan_add;

use crate::Refusal;
use crate::aggregate::extreme;

/// What a function sees of one series; there is at least one sample.
pub(crate) struct Window<'a> {
    pub(crate) samples: &'a [(i64, f64)],
    /// When the counter of each sample started, 0 if that is not known.
    pub(crate) starts: &'a [i64],
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) at_ms: i64,
    pub(crate) param: f64,
}

impl Window<'_> {
    /// The function's value, if it has one.
    pub(crate) fn apply(&self, function: &str) -> Result<Option<f64>, Refusal> {
        let values: Vec<f64> = self.samples.iter().map(|(_, value)| *value).collect();
        let pairs = || values.windows(2).map(|pair| (pair[0], pair[1]));
        Ok(match function {
            "rate" => self.extrapolated(true, true),
            "increase" => self.extrapolated(true, false),
            "delta" => self.extrapolated(false, false),
            "irate" => self.last_two(true),
            "idelta" => self.last_two(false),
            "deriv" => self.line(self.samples[0].0).map(|(slope, _)| slope),
            "predict_linear" => {
                let line = self.line(self.at_ms);
                line.map(|(slope, start)| slope * self.param + start)
            }
            "changes" => {
                let differ = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
                Some(pairs().filter(|&(a, b)| differ(a, b)).count() as f64)
            }
            "resets" => {
                let seconds = 1..self.samples.len();
                Some(seconds.filter(|&at| self.is_reset(at)).count() as f64)
            }
            "sum_over_time" => {
                let (mut sum, mut compensation) = (0.0, 0.0);
                for &value in &values {
                    kahan_add(value, &mut sum, &mut compensation);
                }
                Some(if sum.is_infinite() {
                    sum
                } else {
                    sum + compensation
                })
            }
            "avg_over_time" => Some(average(&values)),
            "count_over_time" => Some(values.len() as f64),
            "present_over_time" => Some(1.0),
            "first_over_time" => values.first().copied(),
            "last_over_time" => values.last().copied(),
            "max_over_time" => Some(extreme(&values, |best, value| best < value)),
            "min_over_time" => Some(extreme(&values, |best, value| best > value)),
            "stdvar_over_time" => Some(variance(&values)),
            "stddev_over_time" => Some(variance(&values).sqrt()),
            "quantile_over_time" => Some(quantile(self.param, &values)),
            other => return Err(Refusal::LeftOut(other.to_owned())),
        })
    }

    /// Whether a counter began anew between a sample and the one before.
    fn is_reset(&self, at: usize) -> bool {
        let ((before_ms, before), (time_ms, value)) = (self.samples[at - 1], self.samples[at]);
        let (start_before_ms, start_ms) = (self.starts[at - 1], self.starts[at]);
        if value < before {
            return true;
        }
        if start_ms == 0 || start_ms >= time_ms || start_ms < before_ms {
            return false;
        }
        let is_delta = start_before_ms != 0 && start_before_ms < before_ms;
        start_ms > before_ms || is_delta
    }

    /// The change of the window, as if the series went on to its borders where they are near.
    fn extrapolated(&self, is_counter: bool, per_second: bool) -> Option<f64> {
        let ((first_ms, first), (last_ms, last)) = (self.samples[0], *self.samples.last()?);
        let start_ms = self.starts[0];
        let from_zero =
            is_counter && start_ms != 0 && self.start_ms < start_ms && start_ms < first_ms;
        if self.samples.len() < 2 && !from_zero {
            return None;
        }
        let mut change = last - first;
        if is_counter {
            for at in 1..self.samples.len() {
                if self.is_reset(at) {
                    change += self.samples[at - 1].1;
                }
            }
        }
        let seconds = |ms: i64| ms as f64 / 1e3;
        let mut covered = seconds(last_ms - first_ms);
        let between = match self.samples.len() {
            1 => 0.0,
            count => covered / (count - 1) as f64,
        };
        let near = between * 1.1;
        let mut before = seconds(first_ms - self.start_ms);
        if before >= near {
            before = between / 2.0;
        }
        if is_counter && change > 0.0 && first >= 0.0 {
            // A counter starts at zero at the earliest.
            let since_zero = covered * (first / change);
            if since_zero < before {
                before = since_zero;
            }
        }
        if from_zero {
            covered = seconds(last_ms - start_ms);
            change += first;
            before = 0.0;
        }
        let mut after = seconds(self.end_ms - last_ms);
        if after >= near {
            after = between / 2.0;
        }
        let mut factor = (covered + before + after) / covered;
        if per_second {
            let range_ms = self.end_ms - self.start_ms;
            factor /= (range_ms / 1000) as f64 + ((range_ms % 1000) * 1_000_000) as f64 / 1e9;
        }
        Some(change * factor)
    }

    /// The change from the last sample but one to the last.
    fn last_two(&self, is_rate: bool) -> Option<f64> {
        let [.., (before_ms, before), (last_ms, last)] = self.samples else {
            return None;
        };
        let change = if is_rate && self.is_reset(self.samples.len() - 1) {
            *last
        } else {
            last - before
        };
        let seconds = (last_ms - before_ms) as f64 / 1e3;
        Some(if is_rate { change / seconds } else { change })
    }

    /// Slope, and value at `origin_ms`, of the line nearest to the samples.
    fn line(&self, origin_ms: i64) -> Option<(f64, f64)> {
        if self.samples.len() < 2 {
            return None;
        }
        let first = self.samples[0].1;
        if self.samples.iter().all(|(_, value)| *value == first) {
            let is_flat = first.is_finite();
            return Some(if is_flat {
                (0.0, first)
            } else {
                (f64::NAN, f64::NAN)
            });
        }
        let points = self.samples.iter();
        let points: Vec<(f64, f64)> = points
            .map(|(time_ms, y)| ((time_ms - origin_ms) as f64 / 1e3, *y))
            .collect();
        let sum = |f: fn(f64, f64) -> f64| {
            let (mut sum, mut compensation) = (0.0, 0.0);
            for &(x, y) in &points {
                kahan_add(f(x, y), &mut sum, &mut compensation);
            }
            sum + compensation
        };
        let n = points.len() as f64;
        let (x, y) = (sum(|x, _| x), sum(|_, y| y));
        let covariance = sum(|x, y| x * y) - x * y / n;
        let slope = covariance / (sum(|x, _| x * x) - x * x / n);
        Some((slope, y / n - slope * x / n))
    }
}

/// The compensated sum divided by the count; once the sum would overflow, the mean is moved.
pub(crate) fn average(values: &[f64]) -> f64 {
    let (mut sum, mut compensation) = (values[0], 0.0);
    let mut mean = None;
    for (at, &value) in values.iter().enumerate().skip(1) {
        let count = (at + 1) as f64;
        if mean.is_none() {
            let (mut next, mut next_compensation) = (sum, compensation);
            kahan_add(value, &mut next, &mut next_compensation);
            if !next.is_infinite() {
                (sum, compensation) = (next, next_compensation);
                continue;
            }
            mean = Some(sum / (count - 1.0));
            compensation /= count - 1.0;
        }
        if let Some(mean) = &mut mean {
            let share = (count - 1.0) / count;
            (*mean, compensation) = (share * *mean, share * compensation);
            kahan_add(value / count, mean, &mut compensation);
        }
    }
    let count = values.len() as f64;
    match mean {
        Some(mean) => mean + compensation,
        None => sum / count + compensation / count,
    }
}

fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut mean_compensation) = (0.0, 0.0);
    let (mut squares, mut squares_compensation) = (0.0, 0.0);
    for (at, &value) in values.iter().enumerate() {
        let delta = value - (mean + mean_compensation);
        kahan_add(delta / (at + 1) as f64, &mut mean, &mut mean_compensation);
        let square = delta * (value - (mean + mean_compensation));
        kahan_add(square, &mut squares, &mut squares_compensation);
    }
    (squares + squares_compensation) / values.len() as f64
}

/// Between two ranks by weight; NaN is below everything.
pub(crate) fn quantile(q: f64, values: &[f64]) -> f64 {
    match q {
        _ if q.is_nan() => return f64::NAN,
        _ if q < 0.0 => return f64::NEG_INFINITY,
        _ if q > 1.0 => return f64::INFINITY,
        _ => {}
    }
    let mut values = values.to_vec();
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a_nan, b_nan) => b_nan.cmp(&a_nan),
    });
    let rank = q * (values.len() - 1) as f64;
    let below = rank.floor();
    let above = (below as usize + 1).min(values.len() - 1);
    let weight = rank - below;
    values[below as usize] * (1.0 - weight) + values[above] * weight
}
