//! Aggregations: the values of each group in a list, and then one pass over the list.

use std::cmp::Ordering;

use model::{Labels, METRIC_NAME, kahan_add};
use promql_syntax::ast::{AggregateExpr, AggregateOp};

use crate::range::{average, quantile};
use crate::{Refusal, Vector};

pub(crate) fn evaluate(
    aggregate: &AggregateExpr,
    param: f64,
    vector: Vector,
) -> Result<Vector, Refusal> {
    let series_count = vector.len();
    let mut groups: Vec<(Labels, Vector)> = Vec::new();
    for (labels, value) in vector {
        let listed = |name: &str| aggregate.grouping.iter().any(|label| label == name);
        let group = if aggregate.without {
            labels.without(|name| name == METRIC_NAME || listed(name))
        } else {
            labels.without(|name| !listed(name))
        };
        match groups.iter_mut().find(|(other, _)| *other == group) {
            Some((_, members)) => members.push((labels, value)),
            None => groups.push((group, vec![(labels, value)])),
        }
    }
    let mut out = Vector::new();
    for (group, members) in groups {
        let values: Vec<f64> = members.iter().map(|(_, value)| *value).collect();
        let value = match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk => {
                let k = (param as usize).min(series_count);
                let sign = if aggregate.op == AggregateOp::Topk {
                    1.0
                } else {
                    -1.0
                };
                out.extend(largest(members, k, sign));
                continue;
            }
            AggregateOp::Sum => {
                let (mut sum, mut compensation) = (values[0], 0.0);
                for &value in &values[1..] {
                    kahan_add(value, &mut sum, &mut compensation);
                }
                sum + compensation
            }
            AggregateOp::Avg => average(&values),
            AggregateOp::Count => values.len() as f64,
            AggregateOp::Group => 1.0,
            AggregateOp::Max => extreme(&values, |best, value| best < value),
            AggregateOp::Min => extreme(&values, |best, value| best > value),
            AggregateOp::Stdvar => variance(&values),
            AggregateOp::Stddev => variance(&values).sqrt(),
            AggregateOp::Quantile => quantile(param, &values),
            other => return Err(Refusal::LeftOut(other.as_str().to_owned())),
        };
        out.push((group, value));
    }
    Ok(out)
}

/// The first value, or a later one that is better or follows NaN.
pub(crate) fn extreme(values: &[f64], is_better: fn(f64, f64) -> bool) -> f64 {
    let mut best = values[0];
    for &value in &values[1..] {
        if is_better(best, value) || best.is_nan() {
            best = value;
        }
    }
    best
}

/// By running mean, as Welford has it.
fn variance(values: &[f64]) -> f64 {
    let mut mean = values[0];
    let mut squares = if mean.is_finite() { 0.0 } else { f64::NAN };
    for (at, &value) in values.iter().enumerate().skip(1) {
        let delta = value - mean;
        mean += delta / (at + 1) as f64;
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
}

/// The `k` largest, or smallest if `sign` is -1. Which of equal ones stay depends on the heap that
/// PromQL has there: the worst of those kept is first, and goes for one that is strictly better.
fn largest(members: Vector, k: usize, sign: f64) -> Vector {
    let worse = |a: &(Labels, f64), b: &(Labels, f64)| a.1.is_nan() || a.1 * sign < b.1 * sign;
    let mut heap = Vector::new();
    for member in members {
        if heap.len() < k {
            heap.push(member);
            let mut at = heap.len() - 1;
            while at > 0 && worse(&heap[at], &heap[(at - 1) / 2]) {
                heap.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
            continue;
        }
        let Some(first) = heap.first_mut() else {
            break;
        };
        let is_better = first.1 * sign < member.1 * sign;
        if !is_better && (!first.1.is_nan() || member.1.is_nan()) {
            continue;
        }
        *first = member;
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= heap.len() {
                break;
            }
            let right_first = right < heap.len() && worse(&heap[right], &heap[left]);
            let child = if right_first { right } else { left };
            if !worse(&heap[child], &heap[at]) {
                break;
            }
            heap.swap(at, child);
            at = child;
        }
    }
    // The best comes first, and NaN last.
    heap.sort_by(|a, b| match (a.1.is_nan(), b.1.is_nan()) {
        (false, false) => (b.1 * sign)
            .partial_cmp(&(a.1 * sign))
            .unwrap_or(Ordering::Equal),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    });
    heap
}
