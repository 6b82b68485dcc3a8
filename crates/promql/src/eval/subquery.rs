//! Ranges: selectors over time, and subqueries, which are evaluated at steps of their own.

use super::{Evaluator, Result, Scope, unexpected};
use crate::column::Steps;
use crate::context::{Charge, Counts, STEPS_MAX};
use crate::flow::{Scratch, SeriesSet};
use crate::plan::{Kind, Node, Subquery};
use crate::point::Histogram;
use crate::source::Ranges;
use crate::value::MatrixSeries;
use crate::window::{Reach, Window, Windows};

impl<'q> Evaluator<'q> {
    /// The samples of a range argument, and where its windows lie.
    pub(super) fn ranges(
        &mut self,
        scope: &mut Scope,
        node: &Node,
        function: &'static str,
    ) -> Result<(Ranges<'q>, Windows)> {
        match &node.kind {
            Kind::Range(range) => {
                let windows = Windows {
                    steps: scope.steps,
                    range_ms: range.range_ms,
                    offset_ms: range.selector.offset_ms,
                    at_ms: range.selector.at_ms,
                    reach: range.selector.reach,
                    lookback_ms: self.shared.lookback_ms,
                };
                let series = self.select(
                    &range.selector,
                    &windows,
                    range.range_ms,
                    function,
                    scope.ordered,
                )?;
                Ok((Ranges::Stored(series), windows))
            }
            Kind::Subquery(subquery) => {
                let (set, inner) = self.subquery(scope, subquery)?;
                let steps = inner.steps;
                merge_reads(scope, &inner, subquery.offset_ms, subquery.range_ms);
                self.held.release_bytes(inner.counts.size_bytes());
                let windows = Windows {
                    steps: scope.steps,
                    range_ms: subquery.range_ms,
                    offset_ms: subquery.offset_ms,
                    at_ms: subquery.at_ms,
                    reach: Reach::Inside,
                    lookback_ms: self.shared.lookback_ms,
                };
                Ok((Ranges::Computed(set, steps), windows))
            }
            _ => Err(unexpected("not a range")),
        }
    }

    /// Evaluates a subquery at its own steps, which are multiples of its step.
    fn subquery(&mut self, scope: &Scope, subquery: &Subquery) -> Result<(SeriesSet<'q>, Scope)> {
        let (start_ms, end_ms) = match subquery.at_ms {
            Some(at) => (at, at),
            None => (scope.steps.start_ms, scope.steps.last_ms()),
        };
        let range_ms = subquery.range_ms;
        let step_ms = match subquery.step_ms {
            Some(step) => step,
            None => self.shared.subquery_step.for_range(range_ms),
        };
        let steps = subquery_steps(
            start_ms - subquery.offset_ms - range_ms,
            end_ms - subquery.offset_ms,
            step_ms,
        );
        // Even a sparse subquery walks over all its steps.
        if steps.count > STEPS_MAX {
            return Err(crate::error::QueryError::TooManySamples);
        }
        let wide = scope.counts.per_step.is_some() || scope.steps.step_ms > range_ms;
        let wide = wide && !scope.steps.is_single();
        // Until the reads are merged into those of the outer steps.
        self.held.add_bytes(Counts::bytes_for(wide, steps.count))?;
        let mut inner = Scope {
            steps,
            counts: Counts::new(wide, steps.count),
            ordered: scope.ordered,
        };
        let set = self.series(&mut inner, &subquery.expr)?;
        Ok((set, inner))
    }

    /// The samples of a range themselves: what an instant query for one answers.
    pub(super) fn matrix(&mut self, scope: &mut Scope, node: &Node) -> Result<Vec<MatrixSeries>> {
        match &node.kind {
            Kind::Subquery(subquery) => {
                let (set, inner) = self.subquery(scope, subquery)?;
                merge_reads(scope, &inner, 0, 0);
                scope
                    .counts
                    .add(scope.steps.count.saturating_sub(1), inner.counts.total, 0);
                super::matrix(self.finish_names(set)?, inner.steps)
            }
            _ => self.stored_matrix(scope, node),
        }
    }

    fn stored_matrix(&mut self, scope: &mut Scope, node: &Node) -> Result<Vec<MatrixSeries>> {
        let (ranges, windows) = self.ranges(scope, node, "")?;
        let mut scratch = Scratch::new(self.shared.budget);
        let mut charge = Charge::none(self.shared.budget);
        let mut matrix = Vec::new();
        for index in 0..ranges.len() {
            self.shared.deadline.check(crate::context::EVALUATION)?;
            ranges.read(index, &windows, &mut scratch)?;
            let scratch = &mut scratch.samples;
            if scratch.is_empty() {
                continue;
            }
            let histograms = std::mem::take(&mut scratch.histograms);
            refuse_extended(windows.reach, &histograms)?;
            let points_bytes = scratch.values.len() * size_of::<(i64, f64)>();
            charge.add_bytes(points_bytes)?;
            let points: Vec<(i64, f64)> = if windows.reach == Reach::Inside {
                let values = scratch.values.iter().copied();
                scratch.timestamps.iter().copied().zip(values).collect()
            } else {
                let end_ms = windows.end_ms(0);
                let window = Window {
                    times: &scratch.timestamps,
                    values: &scratch.values,
                    low: 0,
                    high: scratch.values.len(),
                    start_ms: end_ms - windows.range_ms,
                    end_ms,
                    step: 0,
                };
                crate::extended::points(&window, windows.reach == Reach::Smoothed)
            };
            let sizes = histograms.iter().map(|(_, h)| h.size_in_samples());
            let count = points.len() + sizes.sum::<usize>();
            charge.add_samples(count)?;
            let taken = histograms.iter().map(|(_, h)| h.size_bytes());
            charge.add_bytes(taken.sum::<usize>() + 2 * size_of_val(histograms.as_slice()))?;
            scope.counts.add(0, count as u64, count as u64);
            if count > 0 {
                let labels = ranges.labels(index).clone();
                charge.add_bytes(2 * size_of::<MatrixSeries>())?;
                matrix.push(MatrixSeries {
                    labels,
                    points: points.into(),
                    histograms,
                });
            }
        }
        Ok(matrix)
    }
}

/// The samples of an extended range themselves are floats only.
fn refuse_extended(reach: Reach, histograms: &[(i64, Histogram)]) -> Result<()> {
    let modifier = match reach {
        Reach::Inside => return Ok(()),
        Reach::Anchored => "anchored",
        Reach::Smoothed => "smoothed",
    };
    if histograms.is_empty() {
        return Ok(());
    }
    let text = "modifier is not supported with histograms";
    Err(super::execution(format!("{modifier} {text}")))
}

/// Multiples of the step after `after_ms`, up to `end_ms`.
fn subquery_steps(after_ms: i64, end_ms: i64, step_ms: i64) -> Steps {
    let mut start_ms = step_ms.saturating_mul(after_ms / step_ms);
    if start_ms <= after_ms {
        start_ms = start_ms.saturating_add(step_ms);
    }
    Steps::new(start_ms, end_ms, step_ms)
}

/// Counts what a subquery has read for the outer step that needs it first; what falls between the
/// windows of two outer steps is needed by none.
fn merge_reads(outer: &mut Scope, inner: &Scope, offset_ms: i64, range_ms: i64) {
    let steps = outer.steps;
    let (Some(per_step), false) = (&inner.counts.per_step, steps.is_single()) else {
        outer.counts.add(0, 0, inner.counts.read);
        return;
    };
    for (at, &(_, read)) in per_step.iter().enumerate() {
        if read == 0 {
            continue;
        }
        let time_ms = inner.steps.at(at) + offset_ms;
        let after = (time_ms - steps.start_ms).max(0);
        let step = (after + steps.step_ms - 1) / steps.step_ms;
        let step = (step as usize).min(steps.count - 1);
        if range_ms > 0 && time_ms <= steps.at(step) - range_ms {
            continue;
        }
        outer.counts.add(step, 0, read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_step_at_multiples_and_open_at_the_left() {
        for (after, end, step, start, count) in [
            // T01: `[1m:1m]` at an aligned time has one point.
            (0, 60_000, 60_000, 60_000, 1),
            (1, 60_000, 60_000, 60_000, 1),
            (0, 59_999, 60_000, 60_000, 0),
            (-40, 0, 20, -20, 2),
            (-50, 0, 20, -40, 3),
        ] {
            let steps = subquery_steps(after, end, step);
            assert_eq!(
                (steps.start_ms, steps.count),
                (start, count),
                "{after} {end} {step}"
            );
        }
    }
}
