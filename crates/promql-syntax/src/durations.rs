//! Folding duration expressions once range and step of the query are known.

use std::ops::Range;

use crate::ast::{DurationArg, DurationExpr, DurationOp, DurationOperand, Expr, TimeShift};

/// A duration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {reason}", .position.start, .position.end)]
pub struct DurationError {
    /// Bytes of the query that it is about.
    pub position: Range<usize>,
    /// What is wrong, in Prometheus's words.
    pub reason: &'static str,
}

/// Computes all duration expressions of a tree for a query from `start_ms` to `end_ms` by
/// `step_ms`, and stores the results beside them. Instant queries have one time and step zero.
///
/// # Errors
/// The first duration that is no length: not positive where it must be, divided by zero, not
/// finite, or too large.
pub fn resolve_durations(
    expr: &mut Expr,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
) -> Result<(), DurationError> {
    let query = Query {
        step_seconds: step_ms as f64 / 1000.0,
        range_seconds: (end_ms - start_ms) as f64 / 1000.0,
    };
    query.resolve(expr)
}

struct Query {
    step_seconds: f64,
    range_seconds: f64,
}

impl Query {
    fn resolve(&self, expr: &mut Expr) -> Result<(), DurationError> {
        match expr {
            Expr::Vector(selector) => self.resolve_shift(&mut selector.shift)?,
            Expr::Matrix(matrix) => {
                self.resolve_length(&mut matrix.range)?;
                self.resolve_shift(&mut matrix.selector.shift)?;
            }
            Expr::Subquery(subquery) => {
                self.resolve_shift(&mut subquery.shift)?;
                if let Some(step) = &mut subquery.step {
                    self.resolve_length(step)?;
                }
                self.resolve_length(&mut subquery.range)?;
            }
            _ => {}
        }
        expr.children_mut()
            .try_for_each(|child| self.resolve(child))
    }

    fn resolve_shift(&self, shift: &mut TimeShift) -> Result<(), DurationError> {
        if let Some(expr) = &shift.offset.expr {
            shift.offset.ms = self.milliseconds(expr, true)?;
        }
        Ok(())
    }

    fn resolve_length(&self, length: &mut DurationArg) -> Result<(), DurationError> {
        if let Some(expr) = &length.expr {
            length.ms = self.milliseconds(expr, false)?;
        }
        Ok(())
    }

    fn milliseconds(
        &self,
        expr: &DurationExpr,
        may_be_negative: bool,
    ) -> Result<i64, DurationError> {
        let seconds = self.seconds(expr)?;
        let error = |reason| DurationError {
            position: expr.position.clone(),
            reason,
        };
        if !seconds.is_finite() {
            return Err(error("duration is NaN or infinite"));
        }
        if seconds <= 0.0 && !may_be_negative {
            return Err(error("duration must be greater than 0"));
        }
        if out_of_range(seconds) {
            return Err(error("duration is out of range"));
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, DurationError> {
        let lhs = self.operand(expr.lhs.as_ref())?;
        let rhs = self.operand(expr.rhs.as_ref())?;
        let error = |reason| DurationError {
            position: expr.position.clone(),
            reason,
        };
        Ok(match expr.op {
            DurationOp::Step => self.step_seconds,
            DurationOp::Range => self.range_seconds,
            DurationOp::MinOf => go_min(lhs, rhs),
            DurationOp::MaxOf => go_max(lhs, rhs),
            // A sign has no left operand, which counts as zero.
            DurationOp::Add => lhs + rhs,
            DurationOp::Sub => lhs - rhs,
            DurationOp::Mul => lhs * rhs,
            DurationOp::Div if rhs == 0.0 => return Err(error("division by zero")),
            DurationOp::Div => lhs / rhs,
            DurationOp::Mod if rhs == 0.0 => return Err(error("modulo by zero")),
            DurationOp::Mod => lhs % rhs,
            DurationOp::Pow => lhs.powf(rhs),
        })
    }

    fn operand(&self, operand: Option<&DurationOperand>) -> Result<f64, DurationError> {
        match operand {
            None => Ok(0.0),
            Some(DurationOperand::Number(number)) => Ok(number.value),
            Some(DurationOperand::Expr(expr)) => self.seconds(expr),
        }
    }
}

/// Go's `math.Min`: NaN wins, unlike in `f64::min`.
fn go_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// Go's `math.Max`.
fn go_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Whether Go's nanoseconds in 64 bits cannot hold it; NaN passes, as it does there.
pub(crate) fn out_of_range(seconds: f64) -> bool {
    const SECONDS_MAX: f64 = (1_u64 << 63) as f64 / 1e9;
    seconds.abs() > SECONDS_MAX
}

/// A literal's length: rounded to nanoseconds, then cut to milliseconds.
pub(crate) fn literal_ms(seconds: f64) -> i64 {
    to_i64_as_go((seconds * 1e9).round()) / 1_000_000
}

/// Go's conversion on amd64: what does not fit turns into the smallest integer.
pub(crate) fn to_i64_as_go(value: f64) -> i64 {
    const BOUND: f64 = (1_u64 << 63) as f64;
    if (-BOUND..BOUND).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}
