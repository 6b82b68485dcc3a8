//! Aggregations: groups, and what is folded into them.

use std::collections::HashMap;

use gocompat::strconv::{format_float_f, quote};
use model::{Labels, LabelsBuilder, METRIC_NAME};

use super::{Evaluator, Result, Scope, execution, sort_by_labels, text};
use crate::aggregate::{Accumulator, Fold};
use crate::annotations::Annotations;
use crate::column::{ABSENT, Column, Scalar, Series, is_metadata_label, is_present, labels_bytes};
use crate::context::Charge;
use crate::flow::SeriesSet;
use crate::gomath;
use crate::native::Notes;
use crate::plan::{Aggregate, AggregateOp, Grouping, Kind, Node};

/// What a group takes besides its labels: an entry of the table, and a place in the list.
const GROUP_BYTES: usize = size_of::<(Vec<u8>, usize)>() + size_of::<Labels>();

/// The groups of an aggregation, in the order in which they were met.
pub(super) struct Groups<'a> {
    grouping: &'a Grouping,
    by_key: HashMap<Vec<u8>, usize, foldhash::fast::RandomState>,
    pub(super) labels: Vec<Labels>,
    scratch: Vec<u8>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(grouping: &'a Grouping) -> Groups<'a> {
        Groups {
            grouping,
            by_key: HashMap::default(),
            labels: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// What the group that was made last takes: its labels, and nearly the same once more as the
    /// key of its entry.
    pub(super) fn last_bytes(&self) -> usize {
        let labels = self.labels.last().map_or(0, labels_bytes);
        2 * (labels + GROUP_BYTES)
    }

    /// The group of a series. `hides_name` if its name counts as gone already.
    pub(super) fn index(&mut self, labels: &Labels, hides_name: bool) -> usize {
        let grouping = self.grouping;
        self.scratch.clear();
        // Never empty: comparing nothing with nothing at no address is slow on some machines.
        self.scratch.push(0);
        // Both are sorted, so that one walk over both finds what they share.
        let mut named = grouping.labels.iter().map(String::as_str).peekable();
        for (name, value) in labels {
            if !grouping.without && named.peek().is_none() {
                break;
            }
            while named.next_if(|next| *next < name).is_some() {}
            let is_named = named.next_if_eq(&name).is_some();
            let keeps = if grouping.without {
                !is_named && name != METRIC_NAME
            } else {
                is_named
            };
            if !keeps || (hides_name && is_metadata_label(name)) {
                continue;
            }
            for text in [name, value] {
                self.scratch
                    .extend_from_slice(&(text.len() as u32).to_le_bytes());
                self.scratch.extend_from_slice(text.as_bytes());
            }
        }
        if let Some(&index) = self.by_key.get(self.scratch.as_slice()) {
            return index;
        }
        let index = self.labels.len();
        self.by_key.insert(self.scratch.clone(), index);
        self.labels.push(
            labels.without(|name| !grouping.keeps(name) || (hides_name && is_metadata_label(name))),
        );
        index
    }
}

impl Grouping {
    /// Whether the group has this label of its series.
    fn keeps(&self, name: &str) -> bool {
        let named = self
            .labels
            .binary_search_by(|l| l.as_str().cmp(name))
            .is_ok();
        if self.without {
            !named && name != METRIC_NAME
        } else {
            named
        }
    }
}

/// The parameter of an aggregation over all steps.
pub(super) struct Parameter {
    pub(super) values: Scalar,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) has_nan: bool,
}

impl Parameter {
    fn new(values: Scalar, steps: usize) -> Parameter {
        let (mut min, mut max, mut has_nan) = (f64::MAX, f64::MIN, false);
        match &values {
            Scalar::Constant(value) => (min, max, has_nan) = (*value, *value, value.is_nan()),
            Scalar::Steps(_) => {
                for value in (0..steps).map(|step| values.at(step)) {
                    max = gomath::max(max, value);
                    min = gomath::min(min, value);
                    has_nan |= value.is_nan();
                }
            }
        }
        Parameter {
            values,
            min,
            max,
            has_nan,
        }
    }
}

impl<'q> Evaluator<'q> {
    pub(super) fn aggregate(
        &mut self,
        scope: &mut Scope,
        aggregate: &Aggregate,
    ) -> Result<SeriesSet<'q>> {
        match aggregate.op {
            AggregateOp::Fold(fold) => self.fold(scope, fold, aggregate),
            AggregateOp::CountValues => self.count_values(scope, aggregate),
            AggregateOp::TopK
            | AggregateOp::BottomK
            | AggregateOp::LimitK
            | AggregateOp::LimitRatio => self.select_series(scope, aggregate),
        }
    }

    pub(super) fn parameter(
        &mut self,
        scope: &mut Scope,
        param: Option<&Node>,
    ) -> Result<Parameter> {
        let values = match param {
            Some(param) => self.scalar(scope, param)?,
            None => Scalar::Constant(0.0),
        };
        Ok(Parameter::new(values, scope.steps.count))
    }

    fn fold(
        &mut self,
        scope: &mut Scope,
        fold: Fold,
        aggregate: &Aggregate,
    ) -> Result<SeriesSet<'q>> {
        let parameter = self.parameter(scope, aggregate.param.as_ref())?;
        let outside = std::mem::replace(&mut scope.ordered, fold.depends_on_order());
        let flow = self.flow(scope, &aggregate.expr)?;
        scope.ordered = outside;
        let steps = scope.steps.count;
        let delayed = self.delayed();
        // Upstream holds all series of an aggregation; that its limit means the same, ours count
        // though they go by one by one.
        let mut held = Charge::none(self.shared.budget);
        let mut groups = Groups::new(&aggregate.grouping);
        let mut accumulators: Vec<Accumulator> = Vec::new();
        let mut annotations = Annotations::default();
        self.drain(scope, &flow, |index, column| {
            held.add_samples(column.size_in_samples())?;
            let drop_name = flow.drops_name_of(index);
            let group = groups.index(flow.labels(index), drop_name && !delayed);
            if group == accumulators.len() {
                held.add_steps(Accumulator::cells(fold, steps))?;
                held.add_bytes(groups.last_bytes() + 2 * size_of::<Accumulator>())?;
                accumulators.push(Accumulator::new(fold, steps));
            }
            let accumulator = &mut accumulators[group];
            accumulator.drop_name |= drop_name;
            if let growth @ 1.. = accumulator.growth_bytes(&column) {
                held.add_bytes(growth)?;
            }
            if column.has_histograms() || accumulator.has_histograms() {
                let labels = flow.labels(index);
                let mut notes = Notes {
                    annotations: &mut annotations,
                    metric: if drop_name && !delayed {
                        ""
                    } else {
                        labels.metric_name()
                    },
                    position: &aggregate.expr.position,
                };
                accumulator.add_mixed(&column, &mut notes);
            } else {
                accumulator.add(&column);
            }
            match accumulator.take_grown_bytes() {
                0 => Ok(()),
                grown => held.add_bytes(grown),
            }
        })?;
        let grouped = groups.labels.into_iter().zip(accumulators);
        held.add_bytes(grouped.len() * size_of::<Series>())?;
        let mut series = Vec::with_capacity(grouped.len());
        for (labels, accumulator) in grouped {
            let mut notes = Notes {
                annotations: &mut annotations,
                metric: "",
                position: &aggregate.expr.position,
            };
            series.push(Series {
                labels,
                drop_name: accumulator.drop_name,
                column: accumulator.finish(&parameter.values, &mut notes),
            });
        }
        // After what is said within: of equal texts the last one gives the place.
        if let (Fold::Quantile, Some(param)) = (fold, &aggregate.param) {
            self.check_quantiles(&parameter, param);
        }
        // Their order would be that in which storage happened to give the series.
        if outside && !fold.depends_on_order() {
            sort_by_labels(&mut series, self.shared.pool, |series| &series.labels);
        }
        self.annotations.merge(annotations);
        // Groups have become series, the samples that went into them count a little longer.
        held.set_bytes(0)?;
        self.set(series)
    }

    fn check_quantiles(&mut self, parameter: &Parameter, param: &Node) {
        let position = &param.position;
        if parameter.has_nan {
            self.annotations.invalid_quantile(f64::NAN, position);
        }
        if parameter.max > 1.0 {
            self.annotations.invalid_quantile(parameter.max, position);
        }
        if parameter.min < 0.0 {
            self.annotations.invalid_quantile(parameter.min, position);
        }
    }

    /// One series for every value that occurs in a group, with how often it occurs.
    fn count_values(&mut self, scope: &mut Scope, aggregate: &Aggregate) -> Result<SeriesSet<'q>> {
        let Some(param) = &aggregate.param else {
            return Err(super::unexpected("count_values without a label"));
        };
        let label = text(param)?;
        if !super::is_label_name(param) {
            let literal = match &param.kind {
                Kind::Text(text) => text.not_utf8.clone(),
                _ => None,
            };
            let literal = literal.unwrap_or_else(|| quote(label));
            return Err(execution(format!("invalid label name {literal}")));
        }
        let mut grouping = aggregate.grouping.clone();
        if !grouping.without {
            grouping.labels.push(label.to_owned());
            grouping.labels.sort_unstable();
        }
        let set = self.series(scope, &aggregate.expr)?;
        let steps = scope.steps.count;
        let mut groups = Groups::new(&grouping);
        let mut held = Charge::none(self.shared.budget);
        let mut counts: Vec<Vec<f64>> = Vec::new();
        let mut by_value: HashMap<u64, usize> = HashMap::new();
        let mut table = Charge::none(self.shared.budget);
        let mut builder = LabelsBuilder::default();
        for series in &set.series {
            self.shared.deadline.check(crate::context::EVALUATION)?;
            by_value.clear();
            table.set_bytes(by_value.capacity() * 2 * size_of::<(u64, usize)>())?;
            let mut group_of = |text: &str, counts: &mut Vec<Vec<f64>>| -> Result<usize> {
                builder.reset(&series.labels);
                builder.set(label, text);
                let group = groups.index(&builder.build(), false);
                if group == counts.len() {
                    held.add_steps(steps)?;
                    held.add_bytes(groups.last_bytes() + 2 * size_of::<Vec<f64>>())?;
                    counts.push(vec![ABSENT; steps]);
                }
                Ok(group)
            };
            let count_at = |group: usize, step: usize, counts: &mut Vec<Vec<f64>>| {
                let count = &mut counts[group][step];
                *count = if is_present(*count) {
                    *count + 1.0
                } else {
                    1.0
                };
            };
            for (step, value) in series.column.iter() {
                let group = match by_value.get(&value.to_bits()) {
                    Some(&group) => group,
                    None => {
                        let group = group_of(&format_float_f(value), &mut counts)?;
                        by_value.insert(value.to_bits(), group);
                        group
                    }
                };
                count_at(group, step, &mut counts);
            }
            for (step, histogram) in series.column.histograms() {
                let group = group_of(&histogram.to_string(), &mut counts)?;
                count_at(group, *step, &mut counts);
            }
        }
        drop(set);
        held.set_bytes(counts.len() * (size_of::<Vec<f64>>() + size_of::<Labels>()))?;
        let mut out = SeriesSet::with_capacity(counts.len(), self.shared.budget)?;
        for (labels, counts) in groups.labels.into_iter().zip(counts) {
            out.push(Series::new(labels, Column::from_steps(counts)))?;
        }
        self.settled(scope, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(without: bool, names: &[&str], pairs: &[(&str, &str)]) -> String {
        let grouping = Grouping {
            without,
            labels: names.iter().map(|&n| n.to_owned()).collect(),
        };
        let mut groups = Groups::new(&grouping);
        groups.index(&Labels::from_pairs(pairs.iter().copied()), false);
        groups.labels[0].to_string()
    }

    #[test]
    fn groups_keep_what_they_are_by() {
        let pairs = [("__name__", "m"), ("a", "1"), ("b", "2")];
        for (without, names, expected) in [
            (false, &[][..], "{}"),
            (false, &["a", "z"], r#"{a="1"}"#),
            (false, &["__name__"], r#"{__name__="m"}"#),
            (true, &[], r#"{a="1", b="2"}"#),
            (true, &["b"], r#"{a="1"}"#),
        ] {
            assert_eq!(group(without, names, &pairs), expected);
        }
    }

    #[test]
    fn nan_spreads_over_the_bounds_of_a_parameter() {
        let parameter = Parameter::new(Scalar::Steps(vec![1.0, f64::NAN, 3.0]), 3);
        assert!(parameter.has_nan && parameter.max.is_nan() && parameter.min.is_nan());
        let parameter = Parameter::new(Scalar::Steps(vec![1.0, 3.0]), 2);
        assert_eq!((parameter.min, parameter.max), (1.0, 3.0));
    }
}
