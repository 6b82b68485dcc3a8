//! Operators between elements of which at least one is a native histogram.

use std::sync::Arc;

use model::histogram::{Combined, CounterResetHint, HistogramError, Trim};
use promql_syntax::ast::BinaryOp;

use crate::annotations::{Annotations, Position};
use crate::point::{Histogram, Point};

/// What is said about one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// The operator does not exist between these types.
    IncompatibleTypes(&'static str, &'static str),
    /// Exponential and custom buckets do not go together.
    IncompatibleLayouts,
    /// One histogram is from right after a reset, the other is surely not.
    ResetCollision(&'static str),
    /// Custom bounds differed; those that both have are left.
    BoundsReconciled(&'static str),
}

impl Note {
    pub(crate) fn tell(self, op: BinaryOp, position: &Position, annotations: &mut Annotations) {
        match self {
            Note::IncompatibleTypes(lhs, rhs) => {
                annotations.incompatible_types(lhs, op.as_str(), rhs, position);
            }
            Note::IncompatibleLayouts => annotations.incompatible_layouts(op.as_str(), position),
            Note::ResetCollision(operation) => {
                annotations.counter_reset_collision(operation, position);
            }
            Note::BoundsReconciled(operation) => annotations.bounds_reconciled(operation, position),
        }
    }
}

/// A result: what comes out, and whether a comparison holds (anything else always does).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) value: Point,
    pub(crate) holds: bool,
    pub(crate) note: Option<Note>,
}

/// Two elements, not both floats. What cannot be computed gives a note and no element.
pub(crate) fn elements(op: BinaryOp, lhs: &Point, rhs: &Point) -> Result<Outcome, Note> {
    match (lhs, rhs) {
        (Point::Histogram(a), Point::Histogram(b)) => histograms(op, a, b),
        (Point::Histogram(h), Point::Float(value)) | (Point::Float(value), Point::Histogram(h)) => {
            let is_left = matches!(lhs, Point::Histogram(_));
            let mut result = (**h).clone();
            match op {
                BinaryOp::Mul => result.multiply(*value),
                BinaryOp::Div if is_left => result.divide(*value),
                BinaryOp::TrimUpper if is_left => {
                    result.trim(*value, Trim::KeepBelow);
                    return Ok(outcome(result.into(), true));
                }
                BinaryOp::TrimLower if is_left => {
                    result.trim(*value, Trim::KeepAbove);
                    return Ok(outcome(result.into(), true));
                }
                _ => return Err(Note::IncompatibleTypes(lhs.type_name(), rhs.type_name())),
            }
            result.compact(0);
            Ok(outcome(result.into(), true))
        }
        (Point::Float(_), Point::Float(_)) => Err(Note::IncompatibleTypes("float", "float")),
    }
}

fn outcome(value: Point, holds: bool) -> Outcome {
    Outcome {
        value,
        holds,
        note: None,
    }
}

fn histograms(op: BinaryOp, a: &Histogram, b: &Histogram) -> Result<Outcome, Note> {
    let mut result = match op {
        BinaryOp::Add | BinaryOp::Sub => (**a).clone(),
        BinaryOp::Equal => return Ok(outcome(Point::Histogram(Arc::clone(a)), a.same_data(b))),
        BinaryOp::NotEqual => {
            return Ok(outcome(Point::Histogram(Arc::clone(a)), !a.same_data(b)));
        }
        _ => return Err(Note::IncompatibleTypes("histogram", "histogram")),
    };
    let note = if op == BinaryOp::Add {
        note_of(result.add(b), "addition")?
    } else {
        let note = note_of(result.subtract(b), "subtraction")?;
        result.counter_reset_hint = CounterResetHint::Gauge;
        note
    };
    result.compact(0);
    Ok(Outcome {
        value: result.into(),
        holds: true,
        note,
    })
}

/// A collision takes the element away, reconciled bounds do not.
fn note_of(
    combined: Result<Combined, HistogramError>,
    operation: &'static str,
) -> Result<Option<Note>, Note> {
    match combined {
        Err(_) => Err(Note::IncompatibleLayouts),
        Ok(combined) if combined.counter_reset_collision => Err(Note::ResetCollision(operation)),
        Ok(combined) if combined.bounds_reconciled => Ok(Some(Note::BoundsReconciled(operation))),
        Ok(_) => Ok(None),
    }
}
