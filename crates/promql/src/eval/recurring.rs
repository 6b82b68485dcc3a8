//! Parts that stand several times in a query: `a / (a + b)`.
//!
//! An operand that is a selector, or a function over a plain range, and recurs is evaluated once for
//! the same steps; later places get a copy of its series, which share their labels. Looking it up
//! anew would give the same, so nothing changes but the time: samples count as often as the part
//! stands there, and a part of which something is to be said, with its place in the query, is
//! evaluated everywhere. Below an aggregation, which holds no series, nothing is kept.

use std::collections::HashMap;

use super::{Evaluator, Result, Scope};
use crate::column::{Series, Steps};
use crate::context::{Budget, Charge, Counts};
use crate::flow::SeriesSet;
use crate::functions::Function;
use crate::plan::{Call, Kind, Node};

/// Values of a part that is kept, at most: 16 MiB. More are evaluated anew rather than to be held
/// twice.
const KEPT_VALUES_MAX: usize = 2 << 20;

/// The parts of a query that recur.
#[derive(Default)]
pub(super) struct Recurring<'q> {
    /// How many places there still are, by what stands there.
    places: HashMap<String, usize>,
    kept: HashMap<Place, Kept<'q>>,
}

/// What stands at a place, and for which steps: start, step and count, and whether sorted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    part: String,
    steps: (i64, i64, usize),
    ordered: bool,
}

/// The series of a part, and what was read for it.
struct Kept<'q> {
    series: Vec<Series>,
    counts: Counts,
    _charge: Charge<'q>,
}

impl<'q> Recurring<'q> {
    /// Those below `plan`.
    pub(super) fn of(plan: &Node) -> Recurring<'q> {
        let mut places = HashMap::new();
        count(plan, &mut places);
        places.retain(|_, places| *places > 1);
        Recurring {
            places,
            kept: HashMap::new(),
        }
    }

    /// What a node is kept as, if it recurs.
    pub(super) fn place(&self, node: &Node, scope: &Scope) -> Option<Place> {
        if self.places.is_empty() || scope.counts.per_step.is_some() {
            return None;
        }
        let part = part(node).filter(|part| self.places.contains_key(part))?;
        let Steps {
            start_ms,
            step_ms,
            count,
        } = scope.steps;
        Some(Place {
            part,
            steps: (start_ms, step_ms, count),
            ordered: scope.ordered,
        })
    }
}

impl<'q> Evaluator<'q> {
    /// The series of a node that recurs: from what is kept, or made, and kept if that is worth it.
    pub(super) fn recurring(
        &mut self,
        scope: &mut Scope,
        node: &Node,
        place: Place,
    ) -> Result<SeriesSet<'q>> {
        let is_last = match self.recurring.places.get_mut(&place.part) {
            Some(places) => {
                *places = places.saturating_sub(1);
                *places == 0
            }
            None => true,
        };
        let kept = self.recurring.kept.get(&place);
        let copied = kept.map(|kept| (copy(kept, self.shared.budget), kept.counts.clone()));
        if is_last || matches!(copied, Some((Err(_), _))) {
            self.recurring.kept.remove(&place);
        }
        // Where a copy does not fit beside what is kept, the part itself may.
        if let Some((Ok(set), counts)) = copied {
            self.open_trace(scope, node);
            scope.counts.total += counts.total;
            scope.counts.read += counts.read;
            self.close_trace(scope, set.series.len(), false);
            return Ok(set);
        }
        let said = std::mem::take(&mut self.annotations);
        let before = scope.counts.clone();
        let made = self
            .flow(scope, node)
            .and_then(|flow| self.collect(scope, flow));
        let newly_said = std::mem::replace(&mut self.annotations, said);
        let is_silent = newly_said.is_empty();
        self.annotations.merge(newly_said);
        let set = made?;
        let values = set.series.iter().map(|s| s.column.parts().1.len());
        if is_silent
            && !is_last
            && values.sum::<usize>() <= KEPT_VALUES_MAX
            && let Some(charge) = self.charge_for_copy(&set)
        {
            let kept = Kept {
                series: set.series.clone(),
                counts: Counts {
                    total: scope.counts.total - before.total,
                    read: scope.counts.read - before.read,
                    per_step: None,
                },
                _charge: charge,
            };
            self.recurring.kept.insert(place, kept);
        }
        Ok(set)
    }

    /// The memory of a copy, if that is little of what is left.
    fn charge_for_copy(&self, set: &SeriesSet<'q>) -> Option<Charge<'q>> {
        let columns = set.series.iter().map(|series| series.column.size_bytes());
        let bytes = size_of_val(set.series.as_slice()) + columns.sum::<usize>();
        let mut charge = Charge::none(self.shared.budget);
        self.shared.budget.probe_bytes(8 * bytes).ok()?;
        charge.add_bytes(bytes).ok()?;
        Some(charge)
    }
}

fn copy<'q>(kept: &Kept<'q>, budget: &'q Budget) -> Result<SeriesSet<'q>> {
    let mut set = SeriesSet::with_capacity(kept.series.len(), budget)?;
    for series in &kept.series {
        set.push_labelled(series.clone())?;
    }
    Ok(set)
}

/// Counts the places of all operands that may recur.
fn count(node: &Node, places: &mut HashMap<String, usize>) {
    match &node.kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(_) => {}
        Kind::Subquery(subquery) => count(&subquery.expr, places),
        Kind::Negate(inner) | Kind::Invariant(inner) => count(inner, places),
        Kind::Binary(binary) => {
            for side in [&binary.lhs, &binary.rhs] {
                match part(side) {
                    Some(part) => *places.entry(part).or_default() += 1,
                    None => count(side, places),
                }
            }
        }
        Kind::Aggregate(aggregate) => {
            count(&aggregate.expr, places);
            if let Some(param) = &aggregate.param {
                count(param, places);
            }
        }
        Kind::Call(call) => call.args.iter().for_each(|arg| count(arg, places)),
    }
}

/// All that a part's series depend on besides the steps; `None` for parts that are not kept.
fn part(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Selector(selector) => Some(format!("{selector:?}")),
        Kind::Call(Call {
            function: Function::Range(function),
            args,
        }) => {
            let mut part = format!("{function:?}");
            for arg in args {
                match &arg.kind {
                    Kind::Range(range) => part.push_str(&format!(" {range:?}")),
                    Kind::Number(value) => part.push_str(&format!(" {}", value.to_bits())),
                    _ => return None,
                }
            }
            Some(part)
        }
        _ => None,
    }
}
