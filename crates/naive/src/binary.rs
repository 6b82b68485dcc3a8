//! Operators between two values.

use model::{Labels, LabelsBuilder, METRIC_NAME};
use promql_syntax::ast::{BinaryExpr, BinaryOp, Cardinality, VectorMatching};

use crate::{Refusal, Value, Vector, distinct, nameless};

pub(crate) fn evaluate(binary: &BinaryExpr, lhs: Value, rhs: Value) -> Result<Value, Refusal> {
    match (lhs, rhs) {
        (Value::Scalar(a), Value::Scalar(b)) => {
            let (value, keep) = apply(binary.op, a, b)?;
            let truth = f64::from(u8::from(keep));
            let compares = binary.op.is_comparison();
            Ok(Value::Scalar(if compares { truth } else { value }))
        }
        (Value::Vector(vector), Value::Scalar(number)) => {
            with_number(binary, vector, |value| (value, number))
        }
        (Value::Scalar(number), Value::Vector(vector)) => {
            with_number(binary, vector, |value| (number, value))
        }
        (Value::Vector(lhs), Value::Vector(rhs)) => {
            let matching = binary.matching.as_ref();
            let matching = matching.ok_or(Refusal::Error("vectors without matching"))?;
            let vector = if binary.op.is_set_operator() {
                Ok(set(binary.op, matching, lhs, rhs))
            } else {
                join(binary, matching, lhs, rhs)
            };
            vector.map(Value::Vector)
        }
    }
}

/// The value, and whether a comparison holds.
fn apply(op: BinaryOp, a: f64, b: f64) -> Result<(f64, bool), Refusal> {
    Ok(match op {
        BinaryOp::Add => (a + b, true),
        BinaryOp::Sub => (a - b, true),
        BinaryOp::Mul => (a * b, true),
        BinaryOp::Div => (a / b, true),
        BinaryOp::Mod => (a % b, true),
        BinaryOp::Equal => (a, a == b),
        BinaryOp::NotEqual => (a, a != b),
        BinaryOp::Greater => (a, a > b),
        BinaryOp::Less => (a, a < b),
        BinaryOp::GreaterOrEqual => (a, a >= b),
        BinaryOp::LessOrEqual => (a, a <= b),
        other => return Err(Refusal::LeftOut(other.as_str().to_owned())),
    })
}

fn with_number(
    binary: &BinaryExpr,
    vector: Vector,
    sides: impl Fn(f64) -> (f64, f64),
) -> Result<Value, Refusal> {
    let mut out = Vector::new();
    for (labels, value) in vector {
        let (a, b) = sides(value);
        let (computed, keep) = apply(binary.op, a, b)?;
        if !binary.op.is_comparison() {
            out.push((nameless(&labels), computed));
        } else if binary.return_bool {
            out.push((nameless(&labels), f64::from(u8::from(keep))));
        } else if keep {
            // Of the vector, on whichever side it stands.
            out.push((labels, value));
        }
    }
    distinct(out).map(Value::Vector)
}

/// What series on both sides must have in common.
fn signature(matching: &VectorMatching, labels: &Labels) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.without(|name| !listed(name))
    } else {
        labels.without(|name| name == METRIC_NAME || listed(name))
    }
}

fn set(op: BinaryOp, matching: &VectorMatching, lhs: Vector, rhs: Vector) -> Vector {
    let has = |side: &Vector, wanted: &Labels| {
        let wanted = signature(matching, wanted);
        side.iter().any(|(l, _)| signature(matching, l) == wanted)
    };
    match op {
        BinaryOp::And => lhs.into_iter().filter(|(l, _)| has(&rhs, l)).collect(),
        BinaryOp::Unless => lhs.into_iter().filter(|(l, _)| !has(&rhs, l)).collect(),
        _ => {
            let more: Vector = rhs.into_iter().filter(|(l, _)| !has(&lhs, l)).collect();
            lhs.into_iter().chain(more).collect()
        }
    }
}

fn join(
    binary: &BinaryExpr,
    matching: &VectorMatching,
    lhs: Vector,
    rhs: Vector,
) -> Result<Vector, Refusal> {
    if lhs.is_empty() || rhs.is_empty() {
        return Ok(Vector::new());
    }
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    for (at, (labels, _)) in one.iter().enumerate() {
        let wanted = signature(matching, labels);
        if one[..at]
            .iter()
            .any(|(l, _)| signature(matching, l) == wanted)
        {
            return Err(Refusal::Error("many-to-many matching not allowed"));
        }
    }
    let mut matched: Vec<(Labels, Labels)> = Vec::new();
    let mut out = Vector::new();
    for (labels, value) in many {
        let key = signature(matching, &labels);
        let partner = one.iter().find(|(l, _)| signature(matching, l) == key);
        let Some((other, other_value)) = partner else {
            continue;
        };
        let (a, b) = if swapped {
            (*other_value, value)
        } else {
            (value, *other_value)
        };
        let (computed, keep) = apply(binary.op, a, b)?;
        let labels = result_labels(binary, matching, &labels, other);
        // Whether the comparison holds makes no difference to what may be matched.
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        if matched
            .iter()
            .any(|(k, l)| *k == key && (one_to_one || *l == labels))
        {
            return Err(Refusal::Error("multiple matches for labels"));
        }
        matched.push((key, labels.clone()));
        if binary.return_bool {
            out.push((labels, f64::from(u8::from(keep))));
        } else if keep {
            out.push((labels, computed));
        }
    }
    Ok(out)
}

fn result_labels(
    binary: &BinaryExpr,
    matching: &VectorMatching,
    labels: &Labels,
    other: &Labels,
) -> Labels {
    let mut builder = LabelsBuilder::new(labels);
    if binary.return_bool || !binary.op.is_comparison() {
        builder.del(METRIC_NAME);
    }
    if matching.cardinality == Cardinality::OneToOne {
        let listed = |name: &str| matching.labels.iter().any(|label| label == name);
        builder.retain(|name, _| listed(name) == matching.on);
    }
    for name in &matching.include {
        // Setting an empty value removes the label.
        builder.set(name, other.get(name));
    }
    builder.build()
}
