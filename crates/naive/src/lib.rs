//! PromQL the obvious way: an oracle for the engine.
//!
//! An expression is evaluated at one time over plain vectors of samples, all of them, from scratch;
//! a range query is that at every step. No plan, no window that slides, no batches, no threads:
//! nothing that could be wrong in the way in which the engine could be. What has to be the same is
//! the arithmetic, to the bit, so the order of additions and their compensation are PromQL's.
//!
//! Floats only, without native histograms and experimental syntax. Functions whose results depend
//! on a mathematical library, and those on strings and dates, are left out: they have no state over
//! steps that could go wrong. What is left out is refused.
//!
//! [`random`] has data and queries for comparing engines, this one's and those of whole servers.

mod aggregate;
mod binary;
mod histogram;
pub mod random;
mod range;

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME, MatchOp, Matcher, is_stale_nan};
use promql_syntax::ast::{AtModifier, Call, Expr, TimeShift, UnaryOp, VectorSelector};

/// Why a query has no answer here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// PromQL gives an error.
    #[error("{0}")]
    Error(&'static str),
    /// Left out here.
    #[error("{0} is left out")]
    LeftOut(String),
}

/// Samples of one time, with the labels of their series.
pub type Vector = Vec<(Labels, f64)>;

/// Series over time, by labels: times in milliseconds, and values.
pub type Matrix = BTreeMap<Labels, Vec<(i64, f64)>>;

/// When the counters of samples started, by series and time of the sample, as far as that is known.
pub type Starts = BTreeMap<Labels, BTreeMap<i64, i64>>;

/// What an expression gives at one time.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A sample of each series.
    Vector(Vector),
}

/// What is queried, and when.
#[derive(Debug, Clone, Copy)]
pub struct Naive<'a> {
    data: &'a Matrix,
    /// If they are to be used.
    starts: Option<&'a Starts>,
    start_ms: i64,
    end_ms: i64,
    lookback_ms: i64,
    /// Whether there is one step only. Aggregations then take series in the order in which the
    /// inner expression gives them, which is by labels otherwise.
    is_single: bool,
}

/// Samples of a window, and where the window begins (not included) and ends.
struct Windows<'a> {
    series: Vec<(Labels, Vec<(i64, f64)>)>,
    /// None for what was computed.
    starts: Option<&'a Starts>,
    start_ms: i64,
    end_ms: i64,
}

impl<'a> Naive<'a> {
    /// Queries over `data`, whose times increase, from the first to the last step. A sample counts
    /// for `lookback_ms`.
    #[must_use]
    pub fn new(data: &'a Matrix, start_ms: i64, end_ms: i64, lookback_ms: i64) -> Naive<'a> {
        Naive {
            data,
            starts: None,
            start_ms,
            end_ms,
            lookback_ms,
            is_single: start_ms == end_ms,
        }
    }

    /// The same with the starts of counters.
    #[must_use]
    pub fn with_starts(self, starts: &'a Starts) -> Naive<'a> {
        Naive {
            starts: Some(starts),
            ..self
        }
    }

    /// Evaluates at all steps; a number becomes a series without labels.
    ///
    /// # Errors
    /// If the query has an error at one of them.
    pub fn range(&self, expr: &Expr, step_ms: i64) -> Result<Matrix, Refusal> {
        self.steps(expr, self.start_ms, self.end_ms, step_ms)
    }

    fn steps(&self, expr: &Expr, from: i64, to: i64, step_ms: i64) -> Result<Matrix, Refusal> {
        let mut matrix = Matrix::new();
        let mut at_ms = from;
        while at_ms <= to {
            let vector = match self.at(expr, at_ms)? {
                Value::Scalar(value) => vec![(Labels::empty(), value)],
                Value::Vector(vector) => vector,
            };
            for (labels, value) in vector {
                matrix.entry(labels).or_default().push((at_ms, value));
            }
            at_ms += step_ms;
        }
        Ok(matrix)
    }

    /// Evaluates at one time.
    ///
    /// # Errors
    /// If the query has an error.
    pub fn at(&self, expr: &Expr, at_ms: i64) -> Result<Value, Refusal> {
        match expr {
            Expr::Number(number) => Ok(Value::Scalar(number.value)),
            Expr::Paren(paren) => self.at(&paren.expr, at_ms),
            Expr::Vector(selector) => {
                let found = self.select(selector, at_ms);
                Ok(Value::Vector(found.map(|(l, (_, v))| (l, v)).collect()))
            }
            Expr::Unary(unary) => match (unary.op, self.at(&unary.expr, at_ms)?) {
                (UnaryOp::Plus, value) => Ok(value),
                (UnaryOp::Minus, Value::Scalar(value)) => Ok(Value::Scalar(-value)),
                (UnaryOp::Minus, Value::Vector(vector)) => map(vector, |value| -value),
            },
            Expr::Binary(binary) => {
                let lhs = self.at(&binary.lhs, at_ms)?;
                let rhs = self.at(&binary.rhs, at_ms)?;
                binary::evaluate(binary, lhs, rhs)
            }
            Expr::Aggregate(aggregate) => {
                let param = match &aggregate.param {
                    Some(param) => self.scalar(param, at_ms)?,
                    None => 0.0,
                };
                let mut vector = self.vector(&aggregate.expr, at_ms)?;
                if !self.is_single {
                    vector.sort_by(|a, b| a.0.cmp(&b.0));
                }
                aggregate::evaluate(aggregate, param, vector).map(Value::Vector)
            }
            Expr::Call(call) => self.call(call, at_ms),
            Expr::String(_) | Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(Refusal::LeftOut("a query for this type".to_owned()))
            }
        }
    }

    fn scalar(&self, expr: &Expr, at_ms: i64) -> Result<f64, Refusal> {
        match self.at(expr, at_ms)? {
            Value::Scalar(value) => Ok(value),
            Value::Vector(_) => Err(Refusal::Error("a number is needed")),
        }
    }

    fn vector(&self, expr: &Expr, at_ms: i64) -> Result<Vector, Refusal> {
        match self.at(expr, at_ms)? {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(_) => Err(Refusal::Error("a vector is needed")),
        }
    }

    /// The time that a selector looks at.
    fn shifted(&self, shift: &TimeShift, at_ms: i64) -> i64 {
        let at_ms = match shift.at {
            None => at_ms,
            Some(AtModifier::TimestampMs(fixed)) => fixed,
            Some(AtModifier::Start) => self.start_ms,
            Some(AtModifier::End) => self.end_ms,
        };
        at_ms - shift.offset.ms
    }

    fn matching(&self, matchers: &[Matcher]) -> impl Iterator<Item = (&Labels, &[(i64, f64)])> {
        let all = self.data.iter();
        all.filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels.get(m.name()))))
            .map(|(labels, samples)| (labels, samples.as_slice()))
    }

    /// The newest sample of each series that is not too old, unless the series has ended.
    fn select(
        &self,
        selector: &VectorSelector,
        at_ms: i64,
    ) -> impl Iterator<Item = (Labels, (i64, f64))> {
        let at_ms = self.shifted(&selector.shift, at_ms);
        let oldest_ms = at_ms - self.lookback_ms;
        self.matching(&selector.matchers)
            .filter_map(move |(labels, samples)| {
                let &sample = samples.iter().rfind(|(time_ms, _)| *time_ms <= at_ms)?;
                let counts = sample.0 > oldest_ms && !is_stale_nan(sample.1);
                counts.then(|| (labels.clone(), sample))
            })
    }

    fn windows(&self, expr: &Expr, at_ms: i64) -> Result<Windows<'a>, Refusal> {
        match expr {
            Expr::Paren(paren) => self.windows(&paren.expr, at_ms),
            Expr::Matrix(matrix) => {
                let end_ms = self.shifted(&matrix.selector.shift, at_ms);
                let start_ms = end_ms - matrix.range.ms;
                let inside = |samples: &[(i64, f64)]| -> Vec<(i64, f64)> {
                    let all = samples.iter().copied();
                    all.filter(|&(t, v)| start_ms < t && t <= end_ms && !is_stale_nan(v))
                        .collect()
                };
                let found = self.matching(&matrix.selector.matchers);
                Ok(Windows {
                    series: found.map(|(l, s)| (l.clone(), inside(s))).collect(),
                    starts: self.starts,
                    start_ms,
                    end_ms,
                })
            }
            Expr::Subquery(subquery) => {
                let step = subquery.step.as_ref();
                let step_ms = step
                    .ok_or_else(|| Refusal::LeftOut("a default step".to_owned()))?
                    .ms;
                let end_ms = self.shifted(&subquery.shift, at_ms);
                let start_ms = end_ms - subquery.range.ms;
                // Steps are multiples of their length, whatever the window.
                let first_ms = (start_ms.div_euclid(step_ms) + 1) * step_ms;
                let inner = Naive {
                    is_single: first_ms + step_ms > end_ms,
                    ..*self
                };
                let series = inner.steps(&subquery.expr, first_ms, end_ms, step_ms)?;
                Ok(Windows {
                    series: series.into_iter().collect(),
                    starts: None,
                    start_ms,
                    end_ms,
                })
            }
            _ => Err(Refusal::Error("a range is needed")),
        }
    }

    fn call(&self, call: &Call, at_ms: i64) -> Result<Value, Refusal> {
        let name = call.function.name;
        let arg = |at: usize| call.args.get(at).ok_or(Refusal::Error("too few arguments"));
        let scalar = |at: usize| self.scalar(arg(at)?, at_ms);
        let vector = |at: usize| self.vector(arg(at)?, at_ms);
        match name {
            "time" => Ok(Value::Scalar(at_ms as f64 / 1e3)),
            "vector" => Ok(Value::Vector(vec![(Labels::empty(), scalar(0)?)])),
            "scalar" => Ok(Value::Scalar(match vector(0)?.as_slice() {
                [(_, value)] => *value,
                _ => f64::NAN,
            })),
            "timestamp" => {
                let Expr::Vector(selector) = arg(0)?.without_parens() else {
                    return map(vector(0)?, |_| at_ms as f64 / 1e3);
                };
                let found = self.select(selector, at_ms);
                let times = found.map(|(labels, (time_ms, _))| (labels, time_ms as f64 / 1e3));
                map(times.collect(), |time| time)
            }
            "start_timestamp" => {
                let (Some(starts), Expr::Vector(selector)) =
                    (self.starts, arg(0)?.without_parens())
                else {
                    vector(0)?;
                    return Ok(Value::Vector(Vec::new()));
                };
                let found = self.select(selector, at_ms).map(|(labels, (time_ms, _))| {
                    let start_ms = start_of(Some(starts), &labels, time_ms);
                    (labels, start_ms as f64 / 1e3)
                });
                map(found.collect(), |start| start)
            }
            "absent" => Ok(Value::Vector(match vector(0)?.as_slice() {
                [] => vec![(absent_labels(arg(0)?), 1.0)],
                _ => Vec::new(),
            })),
            "abs" => map(vector(0)?, f64::abs),
            "ceil" => map(vector(0)?, f64::ceil),
            "floor" => map(vector(0)?, f64::floor),
            "sqrt" => map(vector(0)?, f64::sqrt),
            "sgn" => map(vector(0)?, |v| match v {
                v if v > 0.0 => 1.0,
                v if v < 0.0 => -1.0,
                v => v,
            }),
            "round" => {
                let nearest = if call.args.len() > 1 { scalar(1)? } else { 1.0 };
                let inverse = 1.0 / nearest;
                map(vector(0)?, |v| (v * inverse + 0.5).floor() / inverse)
            }
            "clamp" => clamp(vector(0)?, scalar(1)?, scalar(2)?),
            "clamp_min" => clamp(vector(0)?, scalar(1)?, f64::INFINITY),
            "clamp_max" => clamp(vector(0)?, f64::NEG_INFINITY, scalar(1)?),
            "histogram_quantile" => {
                distinct(histogram::quantiles(scalar(0)?, &vector(1)?)).map(Value::Vector)
            }
            "quantile_over_time" => self.over_time(call, arg(1)?, at_ms, scalar(0)?),
            "predict_linear" => self.over_time(call, arg(0)?, at_ms, scalar(1)?),
            _ => self.over_time(call, arg(0)?, at_ms, 0.0),
        }
    }

    /// A function over the window of each series.
    fn over_time(
        &self,
        call: &Call,
        windows: &Expr,
        at_ms: i64,
        param: f64,
    ) -> Result<Value, Refusal> {
        let name = call.function.name;
        let windows = self.windows(windows, at_ms)?;
        let mut out = Vector::new();
        for (labels, samples) in windows.series {
            if samples.is_empty() {
                continue;
            }
            let starts = samples.iter().map(|(time_ms, _)| *time_ms);
            let starts: Vec<i64> = starts
                .map(|time_ms| start_of(windows.starts, &labels, time_ms))
                .collect();
            let window = range::Window {
                samples: &samples,
                starts: &starts,
                start_ms: windows.start_ms,
                end_ms: windows.end_ms,
                at_ms,
                param,
            };
            let Some(value) = window.apply(name)? else {
                continue;
            };
            let keeps_name = ["last_over_time", "first_over_time"].contains(&name);
            let labels = if keeps_name {
                labels
            } else {
                nameless(&labels)
            };
            out.push((labels, value));
        }
        distinct(out).map(Value::Vector)
    }
}

/// When the counter of a sample started, 0 if that is not known.
fn start_of(starts: Option<&Starts>, labels: &Labels, time_ms: i64) -> i64 {
    let of_series = starts.and_then(|starts| starts.get(labels));
    let start_ms = of_series.and_then(|starts| starts.get(&time_ms));
    start_ms.copied().unwrap_or(0)
}

fn nameless(labels: &Labels) -> Labels {
    labels.without(|name| name == METRIC_NAME)
}

/// A new value for each series, which loses its name.
fn map(vector: Vector, f: impl Fn(f64) -> f64) -> Result<Value, Refusal> {
    let mapped = vector.into_iter().map(|(l, v)| (nameless(&l), f(v)));
    distinct(mapped.collect()).map(Value::Vector)
}

/// No two series may have the same labels.
fn distinct(vector: Vector) -> Result<Vector, Refusal> {
    let mut all: Vec<_> = vector.iter().map(|(labels, _)| labels).collect();
    all.sort();
    if all.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::Error(
            "vector cannot contain metrics with the same labelset",
        ));
    }
    Ok(vector)
}

fn clamp(vector: Vector, min: f64, max: f64) -> Result<Value, Refusal> {
    if max < min {
        return Ok(Value::Vector(Vec::new()));
    }
    map(vector, |value| larger(min, smaller(max, value)))
}

/// Infinity wins over NaN, NaN over numbers, 0 over -0.
fn larger(a: f64, b: f64) -> f64 {
    match (a, b) {
        _ if a == f64::INFINITY || b == f64::INFINITY => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ if a == b && a.is_sign_negative() => b,
        _ if a >= b => a,
        _ => b,
    }
}

fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

/// The labels that a selector says for certain.
fn absent_labels(expr: &Expr) -> Labels {
    let Expr::Vector(selector) = expr.without_parens() else {
        return Labels::empty();
    };
    let own = |m: &&Matcher| m.name() != METRIC_NAME;
    let matchers: Vec<&Matcher> = selector.matchers.iter().filter(own).collect();
    let once = |m: &&&Matcher| matchers.iter().filter(|o| o.name() == m.name()).count() == 1;
    let certain = matchers
        .iter()
        .filter(once)
        .filter(|m| m.op() == MatchOp::Equal);
    Labels::from_pairs(certain.map(|m| (m.name(), m.value())))
}
