//! Calls of functions.

use model::{Labels, LabelsBuilder, MatchOp};

use super::{Evaluator, Result, Scope, execution, fixes_name, range_fixes_name, refuse_same, text};
use crate::annotations::{Annotations, Position};
use crate::column::{ABSENT, Column, Scalar, Series};
use crate::dates::DatePart;
use crate::flow::{Flow, SeriesSet, Source};
use crate::functions::Function;
use crate::gomath;
use crate::plan::{Call, Kind, Node, Type};
use crate::point::Point;
use crate::source::{RangedSource, Wanted};
use crate::window::{RangeFunction, Reach};

impl<'q> Evaluator<'q> {
    pub(super) fn call(
        &mut self,
        scope: &mut Scope,
        call: &Call,
        position: &Position,
    ) -> Result<Flow<'q>> {
        let args = &call.args;
        match call.function {
            Function::Range(function) => self.range_call(scope, function, args),
            Function::Math(function) => {
                self.map_argument(scope, args, Box::new(move |c, _| c.map(function)))
            }
            Function::Date(part) => self.date(scope, part, args),
            Function::Clamp | Function::ClampMin | Function::ClampMax => self.clamp(scope, call),
            Function::Round => self.round(scope, args),
            Function::Vector => {
                let value = self.scalar(scope, &args[0])?;
                Ok(Flow::ready(self.scalar_as_vector(value, scope.steps)?))
            }
            Function::Timestamp => self.timestamp(scope, &args[0]),
            Function::StartTimestamp => self.start_timestamp(scope, &args[0]),
            Function::Absent => self.absent(scope, &args[0]),
            Function::Sort { descending } => self.sort(scope, &args[0], descending, position),
            Function::SortByLabel { descending } => {
                self.sort_by_label(scope, args, descending, position)
            }
            Function::LabelReplace => self.label_replace(scope, args),
            Function::LabelJoin => self.label_join(scope, args),
            Function::HistogramQuantile => self.histogram_quantile(scope, args),
            Function::HistogramQuantiles => self.histogram_quantiles(scope, args),
            Function::HistogramFraction => self.histogram_fraction(scope, args),
            Function::NativeHistogram(part) => {
                let map = move |column: Column, _: &mut Annotations| {
                    let histograms = column.histograms().iter();
                    let parts = histograms.map(|(step, h)| (*step, Point::Float(part.of(h))));
                    let steps = column.histograms().last().map_or(0, |(step, _)| step + 1);
                    Column::from_points(steps, parts)
                };
                self.map_argument(scope, args, Box::new(map))
            }
            Function::Info => self.info(scope, args),
            Function::Time
            | Function::Pi
            | Function::Scalar
            | Function::MaxOf
            | Function::MinOf => Err(super::unexpected("not a function that gives a vector")),
        }
    }

    /// A vector, whose storage is told what function it is for.
    pub(super) fn call_argument(
        &mut self,
        scope: &mut Scope,
        node: &Node,
        function: &'static str,
    ) -> Result<Flow<'q>> {
        match &node.kind {
            Kind::Selector(selector) if scope.steps.count > 0 => {
                let mut reading = super::reading(selector, &node.position);
                reading.function = function;
                self.selector(scope, selector, reading)
            }
            _ => self.flow(scope, node),
        }
    }

    /// The first argument, changed value by value and without its name.
    fn map_argument(
        &mut self,
        scope: &mut Scope,
        args: &[Node],
        map: crate::flow::Map,
    ) -> Result<Flow<'q>> {
        let flow = self.call_argument(scope, &args[0], "")?;
        self.map(scope, flow, map, true, fixes_name(&args[0]))
    }

    fn date(&mut self, scope: &mut Scope, part: DatePart, args: &[Node]) -> Result<Flow<'q>> {
        if !args.is_empty() {
            return self.map_argument(scope, args, Box::new(move |c, _| c.map(|v| part.of(v))));
        }
        let steps = scope.steps;
        self.shared.budget.probe_bytes(steps.bytes())?;
        let values = (0..steps.count).map(|i| part.of((steps.at(i) / 1000) as f64));
        let column = Column::from_steps(values.collect());
        Ok(Flow::ready(
            self.set(vec![Series::new(Labels::empty(), column)])?,
        ))
    }

    fn clamp(&mut self, scope: &mut Scope, call: &Call) -> Result<Flow<'q>> {
        let args = &call.args;
        let flow = self.call_argument(scope, &args[0], "")?;
        let low = match call.function {
            Function::ClampMax => Scalar::Constant(f64::NEG_INFINITY),
            _ => self.scalar(scope, &args[1])?,
        };
        let high = match call.function {
            Function::Clamp => self.scalar(scope, &args[2])?,
            Function::ClampMax => self.scalar(scope, &args[1])?,
            _ => Scalar::Constant(f64::INFINITY),
        };
        let clamp = move |step: usize, value: f64| {
            let (low, high) = (low.at(step), high.at(step));
            if high < low {
                return None;
            }
            Some(gomath::max(low, gomath::min(high, value)))
        };
        let map = Box::new(move |c: Column, _: &mut Annotations| c.filter_map(&clamp));
        self.map(scope, flow, map, true, fixes_name(&args[0]))
    }

    fn round(&mut self, scope: &mut Scope, args: &[Node]) -> Result<Flow<'q>> {
        let flow = self.call_argument(scope, &args[0], "")?;
        let to = match args.get(1) {
            Some(to) => self.scalar(scope, to)?,
            None => Scalar::Constant(1.0),
        };
        // Ties round up. Multiplying by the inverse is what gives the same digits.
        let round = move |step: usize, value: f64| {
            let inverse = 1.0 / to.at(step);
            Some((value * inverse + 0.5).floor() / inverse)
        };
        let map = Box::new(move |c: Column, _: &mut Annotations| c.filter_map(&round));
        self.map(scope, flow, map, true, fixes_name(&args[0]))
    }

    /// The time of samples for a plain selector, of the evaluation for all else.
    fn timestamp(&mut self, scope: &mut Scope, arg: &Node) -> Result<Flow<'q>> {
        if let Kind::Selector(selector) = &arg.kind {
            let mut reading = super::reading(selector, &arg.position);
            reading.wanted = Wanted::Time;
            reading.function = "timestamp";
            let flow = self.selector(scope, selector, reading)?;
            return self.map(scope, flow, Box::new(|c, _| c), true, fixes_name(arg));
        }
        let steps = scope.steps;
        let flow = self.flow(scope, arg)?;
        let map = move |c: Column, _: &mut Annotations| {
            let time = |step: usize, _| Some(Point::Float(steps.at(step) as f64 / 1000.0));
            c.map_points(time)
        };
        let map = Box::new(map);
        self.map(scope, flow, map, true, fixes_name(arg))
    }

    /// The start of the samples' counters for a plain selector, nothing for all else or if starts are
    /// not to be used.
    fn start_timestamp(&mut self, scope: &mut Scope, arg: &Node) -> Result<Flow<'q>> {
        match &arg.kind {
            Kind::Selector(selector) if self.shared.features.use_start_timestamps => {
                let mut reading = super::reading(selector, &arg.position);
                reading.wanted = Wanted::Start;
                reading.function = "start_timestamp";
                let flow = self.selector(scope, selector, reading)?;
                self.map(scope, flow, Box::new(|c, _| c), true, fixes_name(arg))
            }
            _ => {
                self.series(scope, arg)?;
                Ok(Flow::ready(self.empty()))
            }
        }
    }

    fn absent(&mut self, scope: &mut Scope, arg: &Node) -> Result<Flow<'q>> {
        let flow = self.call_argument(scope, arg, "absent")?;
        let present = self.present(scope, &flow)?;
        self.absent_steps(present, absent_labels(arg))
    }

    /// The steps at which any series has a value.
    fn present(&mut self, scope: &mut Scope, flow: &Flow<'q>) -> Result<Vec<bool>> {
        self.shared.budget.probe_bytes(scope.steps.bytes())?;
        let mut present = vec![false; scope.steps.count];
        self.drain(scope, flow, |_, column| {
            for step in column.steps() {
                present[step] = true;
            }
            Ok(())
        })?;
        Ok(present)
    }

    fn absent_steps(&self, present: Vec<bool>, labels: Labels) -> Result<Flow<'q>> {
        let ones = present.iter().map(|&p| if p { ABSENT } else { 1.0 });
        let column = Column::from_steps(ones.collect());
        let mut series = vec![Series::new(labels, column)];
        series.retain(|s| !s.column.is_empty());
        Ok(Flow::ready(self.set(series)?))
    }

    fn range_call(
        &mut self,
        scope: &mut Scope,
        function: RangeFunction,
        args: &[Node],
    ) -> Result<Flow<'q>> {
        let Some(range) = args.iter().find(|arg| arg.value_type() == Type::Matrix) else {
            return Err(super::unexpected("no range"));
        };
        let (ranges, windows) = self.ranges(scope, range, function.name())?;
        let mut arguments = Vec::new();
        for arg in args.iter().filter(|arg| arg.value_type() == Type::Scalar) {
            arguments.push(self.scalar(scope, arg)?);
        }
        check_reach(windows.reach, function)?;
        if function == RangeFunction::DoubleExponentialSmoothing && ranges.len() > 0 {
            check_factors(&arguments, scope.steps.count)?;
        }
        let mut flow = Flow::new(Source::Ranged(RangedSource {
            deadline: self.shared.deadline,
            ranges,
            windows,
            function,
            arguments,
            position: match args[0].kind {
                // By the time that upstream looks for it, a subquery's place is forgotten.
                Kind::Subquery(_) => 0..0,
                _ => args[0].position.clone(),
            },
            per_step: scope.counts.per_step.is_some(),
            without_buckets: match &range.kind {
                Kind::Range(range) => range.selector.without_buckets,
                _ => false,
            },
            with_starts: self.shared.features.use_start_timestamps && function.asks_for_starts(),
        }));
        if function == RangeFunction::AbsentOverTime {
            let present = self.present(scope, &flow)?;
            return self.absent_steps(present, absent_labels(range));
        }
        flow.drops_name = !function.keeps_name();
        if self.delayed() || !flow.drops_name {
            return Ok(flow);
        }
        if flow.is_unique_without_name(range_fixes_name(range)) {
            return Ok(flow);
        }
        let set = self.collect(scope, flow)?;
        refuse_same(&set)?;
        Ok(Flow::ready(set))
    }

    fn sort(
        &mut self,
        scope: &mut Scope,
        arg: &Node,
        descending: bool,
        position: &Position,
    ) -> Result<Flow<'q>> {
        let flow = self.call_argument(scope, arg, "sort")?;
        let mut set = self.collect(scope, flow)?;
        // There is no order of histograms.
        for series in set.series.iter_mut().filter(|s| s.column.has_histograms()) {
            series.column = std::mem::take(&mut series.column).map(|value| value);
        }
        set.series.retain(|s| !s.column.is_empty());
        if !scope.steps.is_single() {
            self.annotations.sort_in_range_query(position);
            return Ok(Flow::ready(set));
        }
        set.charge.probe_bytes(sorting_bytes(&set))?;
        sort_by_value(&mut set.series, descending);
        self.settled_order(set)
    }

    fn sort_by_label(
        &mut self,
        scope: &mut Scope,
        args: &[Node],
        descending: bool,
        position: &Position,
    ) -> Result<Flow<'q>> {
        let names = args[1..].iter().map(text).collect::<Result<Vec<&str>>>()?;
        let mut set = self.series(scope, &args[0])?;
        if !scope.steps.is_single() {
            self.annotations.sort_in_range_query(position);
            return Ok(Flow::ready(set));
        }
        set.charge.probe_bytes(sorting_bytes(&set))?;
        set.series.sort_by(|a, b| {
            let order = super::labels::natural_order(&names, &a.labels, &b.labels);
            if descending { order.reverse() } else { order }
        });
        self.settled_order(set)
    }

    /// Sorting does not change label sets, but upstream looks at them once more.
    fn settled_order(&self, set: SeriesSet<'q>) -> Result<Flow<'q>> {
        if !self.delayed() {
            refuse_same(&set)?;
        }
        Ok(Flow::ready(set))
    }
}

/// What sorting takes that keeps the order of equals: room for as many again, at worst.
fn sorting_bytes(set: &SeriesSet<'_>) -> usize {
    size_of_val(set.series.as_slice())
}

/// Sorts series of one step by value, NaN last either way; equal ones keep their order.
pub(super) fn sort_by_value(series: &mut [Series], descending: bool) {
    let value = |s: &Series| s.column.iter().next().map_or(f64::NAN, |(_, value)| value);
    series.sort_by(|a, b| {
        let (a, b) = (value(a), value(b));
        let order = match (a.is_nan(), b.is_nan()) {
            (true, true) => return std::cmp::Ordering::Equal,
            (true, false) => return std::cmp::Ordering::Greater,
            (false, true) => return std::cmp::Ordering::Less,
            (false, false) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
        };
        if descending { order.reverse() } else { order }
    });
}

/// Only some functions know what to do with samples beyond the borders.
fn check_reach(reach: Reach, function: RangeFunction) -> Result<()> {
    use RangeFunction as F;
    let (modifier, allowed) = match reach {
        Reach::Inside => return Ok(()),
        Reach::Anchored => {
            let allowed = [F::Changes, F::Delta, F::Increase, F::Rate, F::Resets];
            ("anchored", allowed.to_vec())
        }
        Reach::Smoothed => ("smoothed", vec![F::Delta, F::Increase, F::Rate]),
    };
    if allowed.contains(&function) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|f| f.name()).collect();
    Err(execution(format!(
        "{modifier} modifier can only be used with: {} - not with {}",
        names.join(", "),
        function.name()
    )))
}

/// Factors of double exponential smoothing lie between 0 and 1.
fn check_factors(arguments: &[Scalar], steps: usize) -> Result<()> {
    for step in 0..steps {
        for (argument, (name, short)) in
            arguments.iter().zip([("smoothing", "sf"), ("trend", "tf")])
        {
            let factor = argument.at(step);
            if factor <= 0.0 || factor >= 1.0 {
                return Err(execution(format!(
                    "invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}"
                )));
            }
        }
    }
    Ok(())
}

/// The labels that a selector surely gives: those of its equalities. A label that is asked for
/// twice is left out, as upstream does for the sake of old queries.
fn absent_labels(node: &Node) -> Labels {
    let selector = match &node.kind {
        Kind::Selector(selector) => selector,
        Kind::Range(range) => &range.selector,
        _ => return Labels::empty(),
    };
    let mut builder = LabelsBuilder::default();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().filter(|m| !m.is_on_name()) {
        let name = matcher.name();
        if matcher.op() == MatchOp::Equal && !seen.contains(&name) {
            builder.set(name, matcher.value());
            seen.push(name);
        } else {
            builder.del(name);
        }
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::is_present;

    #[test]
    fn sorts_nan_to_the_end_either_way() {
        let values = [2.0, f64::NAN, 1.0, 3.0];
        let sorted = |descending| {
            let mut series: Vec<Series> = values
                .iter()
                .map(|&v| Series::new(Labels::empty(), Column::single(0, v)))
                .collect();
            sort_by_value(&mut series, descending);
            series.iter().map(|s| s.column.get(0)).collect::<Vec<f64>>()
        };
        assert_eq!(sorted(false)[..3], [1.0, 2.0, 3.0]);
        assert_eq!(sorted(true)[..3], [3.0, 2.0, 1.0]);
        assert!(sorted(true)[3].is_nan() && is_present(sorted(true)[3]));
    }

    #[test]
    fn factors_are_checked_with_upstreams_words() {
        let error = check_factors(&[Scalar::Constant(0.5), Scalar::Constant(1.0)], 1);
        assert_eq!(
            error.unwrap_err().to_string(),
            "invalid trend factor. Expected: 0 < tf < 1, got: 1.000000"
        );
    }
}
