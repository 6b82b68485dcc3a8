//! Operators between two operands: element by element, with a scalar, or between vectors.

use std::collections::BTreeMap;

use gocompat::math;
use promql_syntax::ast::{BinaryOp, Cardinality};

use super::matching::{Matcher, set_operation};
use super::{Evaluator, Result, Scope, fixes_name, sort_by_labels, unexpected};
use crate::annotations::{Annotations, Position};
use crate::column::{ABSENT, Column, Scalar, Series};
use crate::context::EVALUATION;
use crate::error::QueryError;
use crate::flow::Flow;
use crate::native::operators;
use crate::plan::{Binary, Node, Type};
use crate::point::Point;

/// Whether the result is another quantity, so that the metric's name would lie.
pub(super) fn changes_metric(op: BinaryOp) -> bool {
    !op.is_comparison() && !op.is_set_operator() && !is_trim(op)
}

pub(super) fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

/// Two scalars; comparisons give 0 and 1.
pub(super) fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    if op.is_comparison() {
        f64::from(compares(op, a, b))
    } else {
        calculate(op, a, b)
    }
}

#[inline]
fn calculate(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        // As in Go the sign is that of the dividend.
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => math::pow(a, b),
        BinaryOp::Atan2 => math::atan2(a, b),
        _ => f64::NAN,
    }
}

#[inline]
fn compares(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Greater => a > b,
        BinaryOp::Less => a < b,
        BinaryOp::GreaterOrEqual => a >= b,
        BinaryOp::LessOrEqual => a <= b,
        _ => false,
    }
}

/// Two elements of vectors: the value, or none if the element is filtered out. A comparison that
/// filters gives the left one.
#[inline]
pub(super) fn elements(op: BinaryOp, return_bool: bool, a: f64, b: f64) -> Option<f64> {
    if !op.is_comparison() {
        return Some(calculate(op, a, b));
    }
    let holds = compares(op, a, b);
    if return_bool {
        Some(f64::from(holds))
    } else {
        holds.then_some(a)
    }
}

/// [`elements`] of the floats of two columns; the first is the right operand if `swapped`. Common
/// operators each have a loop of their own.
pub(super) fn columns(
    op: BinaryOp,
    return_bool: bool,
    swapped: bool,
    column: Column,
    other: &Column,
) -> Column {
    use BinaryOp as Op;
    let kept = |holds: bool, a: f64| if holds { a } else { ABSENT };
    match (op, return_bool, swapped) {
        (Op::Add, ..) => column.zip(other, |a, b| a + b),
        (Op::Mul, ..) => column.zip(other, |a, b| a * b),
        (Op::Sub, _, false) => column.zip(other, |a, b| a - b),
        (Op::Div, _, false) => column.zip(other, |a, b| a / b),
        (Op::Greater, false, false) => column.zip(other, |a, b| kept(a > b, a)),
        (Op::Less, false, false) => column.zip(other, |a, b| kept(a < b, a)),
        (Op::GreaterOrEqual, false, false) => column.zip(other, |a, b| kept(a >= b, a)),
        (Op::LessOrEqual, false, false) => column.zip(other, |a, b| kept(a <= b, a)),
        _ => column.zip(other, |many, one| {
            let (a, b) = if swapped { (one, many) } else { (many, one) };
            elements(op, return_bool, a, b).unwrap_or(ABSENT)
        }),
    }
}

impl<'q> Evaluator<'q> {
    pub(super) fn binary(
        &mut self,
        scope: &mut Scope,
        binary: &Binary,
        position: &Position,
    ) -> Result<Flow<'q>> {
        let is_scalar = |node: &Node| node.value_type() == Type::Scalar;
        match (is_scalar(&binary.lhs), is_scalar(&binary.rhs)) {
            (true, true) => Err(unexpected("not a vector")),
            (false, true) => {
                let flow = self.flow(scope, &binary.lhs)?;
                let scalar = self.scalar(scope, &binary.rhs)?;
                self.with_scalar(scope, binary, flow, scalar, false, position)
            }
            (true, false) => {
                let scalar = self.scalar(scope, &binary.lhs)?;
                let flow = self.flow(scope, &binary.rhs)?;
                self.with_scalar(scope, binary, flow, scalar, true, position)
            }
            (false, false) => self.vectors(scope, binary, position),
        }
    }

    fn with_scalar(
        &mut self,
        scope: &mut Scope,
        binary: &Binary,
        flow: Flow<'q>,
        scalar: Scalar,
        swapped: bool,
        position: &Position,
    ) -> Result<Flow<'q>> {
        let (op, return_bool) = (binary.op, binary.return_bool);
        let with_scalar = WithScalar {
            op,
            return_bool,
            scalar,
            swapped,
            position: position.clone(),
        };
        let map = Box::new(move |column: Column, annotations: &mut Annotations| {
            with_scalar.apply(column, annotations)
        });
        let drops_name = changes_metric(op) || return_bool;
        let vector = if swapped { &binary.rhs } else { &binary.lhs };
        self.map(scope, flow, map, drops_name, fixes_name(vector))
    }

    fn vectors(
        &mut self,
        scope: &mut Scope,
        binary: &Binary,
        position: &Position,
    ) -> Result<Flow<'q>> {
        let mut lhs = self.series(scope, &binary.lhs)?;
        let mut rhs = self.series(scope, &binary.rhs)?;
        lhs.series.retain(|s| !s.column.is_empty());
        rhs.series.retain(|s| !s.column.is_empty());
        let left = std::mem::take(&mut lhs.series);
        let right = std::mem::take(&mut rhs.series);
        let steps = scope.steps.count;
        let series = if binary.op.is_set_operator() {
            set_operation(binary.op, &binary.matching, left, right, steps)
        } else {
            let swapped = binary.matching.cardinality == Cardinality::OneToMany;
            let (mut many, one) = if swapped {
                (right, left)
            } else {
                (left, right)
            };
            let has_histograms = |of: &[Series]| of.iter().any(|s| s.column.has_histograms());
            let one_is_plain = !has_histograms(&one);
            // Of what is said at a step only the last counts.
            if !scope.ordered && (!one_is_plain || has_histograms(&many)) {
                sort_by_labels(&mut many, self.shared.pool, |series| &series.labels);
            }
            let matcher = Matcher {
                op: binary.op,
                return_bool: binary.return_bool,
                matching: &binary.matching,
                drop_name: !self.delayed() && binary.return_bool,
                swapped,
                steps,
                many,
                one_is_plain,
                one,
                error: None,
                notes: BTreeMap::new(),
            };
            let matched = matcher.run(self.shared.pool, &|| self.shared.deadline.check(EVALUATION));
            // Which of several errors comes first hangs on the order of the series.
            if let Err(QueryError::Execution(_)) = matched
                && !scope.ordered
            {
                drop((lhs, rhs));
                scope.ordered = true;
                let outcome = self.vectors(scope, binary, position);
                scope.ordered = false;
                return outcome;
            }
            let (series, notes) = matched?;
            for note in notes.into_values() {
                note.tell(binary.op, position, &mut self.annotations);
            }
            series
        };
        let set = self.settled(scope, self.set(series)?)?;
        drop((lhs, rhs));
        Ok(Flow::ready(set))
    }
}

/// An operator between a vector and a scalar, for one series after the other.
struct WithScalar {
    op: BinaryOp,
    return_bool: bool,
    scalar: Scalar,
    /// The scalar is the left operand.
    swapped: bool,
    position: Position,
}

impl WithScalar {
    fn apply(&self, column: Column, annotations: &mut Annotations) -> Column {
        if column.has_histograms() || is_trim(self.op) {
            return column.map_points(|step, point| self.point(step, point, annotations));
        }
        match self.scalar {
            Scalar::Constant(scalar) => self.with_constant(column, scalar),
            Scalar::Steps(_) => column.filter_map(|step, value| self.float(step, value)),
        }
    }

    /// The floats of a column; common operators each have a loop of their own.
    fn with_constant(&self, column: Column, scalar: f64) -> Column {
        use BinaryOp as Op;
        let kept = |holds: bool, value: f64| if holds { value } else { ABSENT };
        match (self.op, self.swapped, self.return_bool) {
            (Op::Add, ..) => column.each(|value| value + scalar),
            (Op::Mul, ..) => column.each(|value| value * scalar),
            (Op::Sub, false, _) => column.each(|value| value - scalar),
            (Op::Sub, true, _) => column.each(|value| scalar - value),
            (Op::Div, false, _) => column.each(|value| value / scalar),
            (Op::Div, true, _) => column.each(|value| scalar / value),
            (Op::Greater, false, false) => column.each(|value| kept(value > scalar, value)),
            (Op::Less, false, false) => column.each(|value| kept(value < scalar, value)),
            (Op::GreaterOrEqual, false, false) => column.each(|value| kept(value >= scalar, value)),
            (Op::LessOrEqual, false, false) => column.each(|value| kept(value <= scalar, value)),
            (Op::NotEqual, false, false) => column.each(|value| kept(value != scalar, value)),
            _ => column.each(|value| self.float(0, value).unwrap_or(ABSENT)),
        }
    }

    #[inline]
    fn float(&self, step: usize, value: f64) -> Option<f64> {
        let scalar = self.scalar.at(step);
        if !self.swapped {
            elements(self.op, self.return_bool, value, scalar)
        } else if self.op.is_comparison() && !self.return_bool {
            // It is always the vector's value that is kept.
            compares(self.op, scalar, value).then_some(value)
        } else {
            elements(self.op, self.return_bool, scalar, value)
        }
    }

    fn point(&self, step: usize, point: Point, annotations: &mut Annotations) -> Option<Point> {
        if let Point::Float(value) = point
            && !is_trim(self.op)
        {
            return self.float(step, value).map(Point::Float);
        }
        let scalar = Point::Float(self.scalar.at(step));
        let (lhs, rhs) = if self.swapped {
            (&scalar, &point)
        } else {
            (&point, &scalar)
        };
        match operators::elements(self.op, lhs, rhs) {
            Ok(outcome) => Some(outcome.value),
            Err(note) => {
                note.tell(self.op, &self.position, annotations);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::is_present;

    #[test]
    fn constants_do_what_they_do_to_each_element() {
        let values = [1.0, -0.0, 0.0, f64::NAN, ABSENT, 2.5, -7.0];
        for op in OPERATORS {
            for (return_bool, swapped) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                for scalar in [0.0, 2.5, -1.0, f64::NAN] {
                    let with_scalar = WithScalar {
                        op,
                        return_bool,
                        scalar: Scalar::Constant(scalar),
                        swapped,
                        position: 0..0,
                    };
                    let column = Column::from_steps(values.to_vec());
                    let got = with_scalar.apply(column, &mut Annotations::default());
                    for (step, &value) in values.iter().enumerate() {
                        let expected = is_present(value).then(|| with_scalar.float(step, value));
                        let expected = expected.flatten().unwrap_or(ABSENT);
                        assert_same(got.get(step), expected);
                    }
                }
            }
        }
    }

    const OPERATORS: [BinaryOp; 13] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Mod,
        BinaryOp::Pow,
        BinaryOp::Atan2,
        BinaryOp::Equal,
        BinaryOp::NotEqual,
        BinaryOp::Greater,
        BinaryOp::Less,
        BinaryOp::GreaterOrEqual,
        BinaryOp::LessOrEqual,
    ];

    #[track_caller]
    fn assert_same(got: f64, expected: f64) {
        let both_nan = got.is_nan() && expected.is_nan();
        let same_nan = both_nan && is_present(got) == is_present(expected);
        assert!(same_nan || got.to_bits() == expected.to_bits());
    }

    #[test]
    fn columns_are_their_elements() {
        let values = [1.0, -0.0, 0.0, f64::NAN, f64::INFINITY, ABSENT, 2.5, -7.0];
        let pairs = values.iter().flat_map(|&a| values.map(|b| (a, b)));
        let (left, right): (Vec<f64>, Vec<f64>) = pairs.unzip();
        for op in OPERATORS {
            for (return_bool, swapped) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let column = Column::from_steps(left.clone());
                let other = Column::from_steps(right.clone());
                let all = columns(op, return_bool, swapped, column, &other);
                for (step, (&many, &one)) in left.iter().zip(&right).enumerate() {
                    let (a, b) = if swapped { (one, many) } else { (many, one) };
                    let both = is_present(a) && is_present(b);
                    let expected = both.then(|| elements(op, return_bool, a, b)).flatten();
                    assert_same(all.get(step), expected.unwrap_or(ABSENT));
                }
            }
        }
    }

    #[test]
    fn elements_are_filtered_or_told() {
        assert_eq!(elements(BinaryOp::Less, false, 1.0, 2.0), Some(1.0));
        assert_eq!(elements(BinaryOp::Less, false, 2.0, 1.0), None);
        assert_eq!(elements(BinaryOp::Less, true, 2.0, 1.0), Some(0.0));
        assert_eq!(elements(BinaryOp::Mod, false, -5.0, 3.0), Some(-2.0));
        assert_eq!(scalars(BinaryOp::GreaterOrEqual, f64::NAN, 1.0), 0.0);
        assert_eq!(scalars(BinaryOp::NotEqual, f64::NAN, f64::NAN), 1.0);
    }
}
