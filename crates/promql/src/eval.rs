//! Evaluation: walks over the plan, once for all steps.

mod aggregation;
mod binary;
mod call;
mod histogram;
mod info;
mod labels;
mod matching;
mod notes;
mod recurring;
mod selecting;
mod subquery;

use std::collections::HashMap;
use std::sync::Arc;

use model::Labels;
use rayon::slice::ParallelSliceMut;
use storage::{Querier, SelectHints, StorageError};

use self::notes::Noter;
use self::recurring::Recurring;
use crate::annotations::{Annotations, Position};
use crate::column::{Column, Scalar, Series, Steps, is_metadata_label, is_present, labels_bytes};
use crate::context::{Budget, Charge, Counts, Deadline, EVALUATION};
use crate::error::QueryError;
use crate::flow::{Flow, Map, SeriesSet, Source, Stored};
use crate::functions::Function;
use crate::gomath;
use crate::options::{Features, SubqueryStep};
use crate::plan::{Call, Kind, Node, Selector, Type};
use crate::point::{Histogram, Point};
use crate::source::{InstantSource, Reading};
use crate::stored::StoredSet;
use crate::trace::{Cost, Trace};
use crate::value::{MatrixSeries, Points, Value, VectorSample};
use crate::window::{RangeFunction, Reach, Windows};

/// What all parts of a query share.
pub(crate) struct Shared<'q> {
    pub(crate) querier: &'q dyn Querier,
    pub(crate) pool: &'q rayon::ThreadPool,
    pub(crate) deadline: &'q Deadline,
    pub(crate) budget: &'q Budget,
    pub(crate) features: Features,
    pub(crate) lookback_ms: i64,
    pub(crate) subquery_step: &'q SubqueryStep,
}

/// The steps that a part of a query is evaluated at, and what that has read.
pub(crate) struct Scope {
    pub(crate) steps: Steps,
    pub(crate) counts: Counts,
    /// Whether the order of series shows in the result: in the last bits of sums, in what is
    /// taken of equals, in the answer of an instant query. Else nobody need sort them.
    pub(crate) ordered: bool,
}

/// Evaluates one query.
pub(crate) struct Evaluator<'q> {
    shared: &'q Shared<'q>,
    pub(crate) annotations: Annotations,
    /// What has been selected, by matchers and times: a selector that stands twice in a query is
    /// looked up once.
    selected: HashMap<String, Stored>,
    /// What stands several times in the query.
    recurring: Recurring<'q>,
    /// What stored series and scalars take.
    held: Charge<'q>,
    /// What the parts cost, if somebody asks.
    pub(crate) trace: Option<Trace>,
}

type Result<T> = std::result::Result<T, QueryError>;

/// What is left of a flow's name matters to label sets that are to differ.
fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

fn execution(text: impl Into<String>) -> QueryError {
    QueryError::Execution(text.into())
}

/// What must not be where the planner put it; a bug, but no reason to fall over.
fn unexpected(what: &str) -> QueryError {
    execution(format!("unexpected error: {what}"))
}

impl<'q> Evaluator<'q> {
    /// For one evaluation of `plan`.
    pub(crate) fn new(shared: &'q Shared<'q>, plan: &Node) -> Evaluator<'q> {
        Evaluator {
            shared,
            annotations: Annotations::default(),
            selected: HashMap::new(),
            recurring: Recurring::of(plan),
            held: Charge::none(shared.budget),
            trace: None,
        }
    }

    /// What was said, and what the parts took, after all else is freed.
    pub(crate) fn finish(self) -> (Annotations, Option<Trace>) {
        drop(self.recurring);
        for stored in self.selected.into_values().filter_map(Arc::into_inner) {
            stored.release(self.shared.pool);
        }
        (self.annotations, self.trace)
    }

    fn delayed(&self) -> bool {
        self.shared.features.delayed_name_removal
    }

    /// The query's value: at its one step if `instant`, else over all steps.
    pub(crate) fn value(&mut self, node: &Node, scope: &mut Scope, instant: bool) -> Result<Value> {
        let steps = scope.steps;
        if !instant {
            let set = match node.value_type() {
                Type::Scalar => {
                    let value = self.scalar(scope, node)?;
                    self.scalar_as_vector(value, steps)?
                }
                _ => {
                    let set = self.series(scope, node)?;
                    self.finish_names(set)?
                }
            };
            return Ok(Value::Matrix(matrix(set, steps)?));
        }
        let timestamp_ms = steps.start_ms;
        Ok(match node.value_type() {
            Type::Scalar => Value::Scalar {
                timestamp_ms,
                value: self.scalar(scope, node)?.at(0),
            },
            Type::Text => Value::String {
                timestamp_ms,
                value: text(node)?.to_owned(),
            },
            Type::Matrix => Value::Matrix(self.matrix(scope, node)?),
            Type::Vector => {
                let set = self.series(scope, node)?;
                let set = self.finish_names(set)?;
                // Each sample takes the place of its series.
                let SeriesSet {
                    series,
                    charge: _charge,
                } = set;
                let sample = |series: Series| {
                    let histogram = series.column.histogram(0).cloned();
                    let value = match histogram {
                        None => series.column.get(0),
                        Some(_) => 0.0,
                    };
                    VectorSample {
                        value,
                        histogram,
                        labels: series.labels,
                        timestamp_ms,
                    }
                };
                Value::Vector(
                    series
                        .into_iter()
                        .filter(|s| !s.column.is_empty())
                        .map(sample)
                        .collect(),
                )
            }
        })
    }

    /// Removes names at the end of the query, if they were kept until then.
    fn finish_names(&self, mut set: SeriesSet<'q>) -> Result<SeriesSet<'q>> {
        if !self.delayed() {
            return Ok(set);
        }
        for series in set.series.iter_mut().filter(|series| series.drop_name) {
            series.labels = series.labels.without(is_metadata_label);
            set.charge.add_bytes(labels_bytes(&series.labels))?;
        }
        merge_same(set)
    }

    /// The series of a vector, all of them.
    fn series(&mut self, scope: &mut Scope, node: &Node) -> Result<SeriesSet<'q>> {
        if let Some(place) = self.recurring.place(node, scope) {
            return self.recurring(scope, node, place);
        }
        let flow = self.flow(scope, node)?;
        self.collect(scope, flow)
    }

    /// A vector that is still to be made.
    fn flow(&mut self, scope: &mut Scope, node: &Node) -> Result<Flow<'q>> {
        if self.trace.is_none() || matches!(node.kind, Kind::Invariant(_)) {
            return self.untraced_flow(scope, node);
        }
        self.open_trace(scope, node);
        let flow = self.untraced_flow(scope, node)?;
        let is_lazy = !matches!(flow.source, Source::Ready(_));
        self.close_trace(scope, flow.len(), is_lazy);
        Ok(flow)
    }

    fn open_trace(&mut self, scope: &Scope, node: &Node) {
        if let Some(trace) = &mut self.trace {
            let position = match &node.kind {
                Kind::Aggregate(aggregate) => &aggregate.position,
                _ => &node.position,
            };
            let now = self.shared.deadline.elapsed();
            trace.open(position.clone(), now, scope.counts.total);
        }
    }

    fn close_trace(&mut self, scope: &Scope, series: usize, is_lazy: bool) {
        if let Some(trace) = &mut self.trace {
            let cost = Cost {
                series: series as u64,
                steps: scope.steps.count as u64,
                samples: scope.counts.total,
                bytes: self.shared.budget.bytes(),
                is_lazy,
            };
            trace.close(self.shared.deadline.elapsed(), cost);
        }
    }

    fn untraced_flow(&mut self, scope: &mut Scope, node: &Node) -> Result<Flow<'q>> {
        self.shared.deadline.check(EVALUATION)?;
        if scope.steps.count == 0 {
            return Ok(Flow::ready(self.empty()));
        }
        match &node.kind {
            Kind::Selector(selector) => {
                let reading = reading(selector, &node.position);
                self.selector(scope, selector, reading)
            }
            Kind::Negate(inner) => {
                let (flow, fixed) = self.named_flow(scope, inner)?;
                self.map(scope, flow, Box::new(|c, _| negated(c)), true, fixed)
            }
            Kind::Binary(binary) => self.binary(scope, binary, &node.position),
            Kind::Aggregate(aggregate) => self.aggregate(scope, aggregate).map(Flow::ready),
            Kind::Call(call) => self.call(scope, call, &node.position),
            Kind::Invariant(inner) => self.invariant(scope, inner),
            Kind::Number(_) | Kind::Text(_) | Kind::Range(_) | Kind::Subquery(_) => {
                Err(unexpected("not a vector"))
            }
        }
    }

    /// The same, and whether all series surely have the same name.
    fn named_flow(&mut self, scope: &mut Scope, node: &Node) -> Result<(Flow<'q>, bool)> {
        Ok((self.flow(scope, node)?, fixes_name(node)))
    }

    fn empty(&self) -> SeriesSet<'q> {
        SeriesSet::empty(self.shared.budget)
    }

    /// Series that are to be held in memory.
    fn set(&self, series: Vec<Series>) -> Result<SeriesSet<'q>> {
        let mut set = SeriesSet::with_capacity(series.len(), self.shared.budget)?;
        for series in series {
            set.push(series)?;
        }
        Ok(set)
    }

    /// A scalar as the only series.
    fn scalar_as_vector(&self, value: Scalar, steps: Steps) -> Result<SeriesSet<'q>> {
        self.shared.budget.probe_bytes(steps.bytes())?;
        self.set(vec![Series::new(
            Labels::empty(),
            value.into_column(steps.count),
        )])
    }

    /// Series that a step of the evaluation gave, checked and merged.
    fn settled(&self, scope: &Scope, set: SeriesSet<'q>) -> Result<SeriesSet<'q>> {
        if scope.steps.is_single() && self.delayed() {
            return Ok(set);
        }
        merge_same(set)
    }

    /// Puts `map` behind a flow. If it takes the name, label sets may become the same: then series
    /// are merged here and now, unless it is sure that they do not.
    fn map(
        &mut self,
        scope: &mut Scope,
        mut flow: Flow<'q>,
        map: Map,
        drops_name: bool,
        fixed_name: bool,
    ) -> Result<Flow<'q>> {
        flow.maps.push(map);
        if !drops_name || flow.drops_name {
            return Ok(flow);
        }
        flow.drops_name = true;
        if self.delayed() || flow.is_unique_without_name(fixed_name) {
            return Ok(flow);
        }
        let set = self.collect(scope, flow)?;
        Ok(Flow::ready(self.settled(scope, set)?))
    }

    /// Makes all series of a flow.
    fn collect(&mut self, scope: &mut Scope, flow: Flow<'q>) -> Result<SeriesSet<'q>> {
        let flow = match flow {
            Flow {
                source: Source::Ready(set),
                maps,
                drops_name: false,
            } if maps.is_empty() => return Ok(set),
            flow => flow,
        };
        let mut set = SeriesSet::with_capacity(flow.len(), self.shared.budget)?;
        let delayed = self.delayed();
        self.drain(scope, &flow, |index, column| {
            let drop_name = flow.drops_name_of(index);
            let labels = flow.labels(index);
            if drop_name && !delayed {
                return set.push(Series {
                    labels: labels.without(is_metadata_label),
                    drop_name,
                    column,
                });
            }
            set.push_labelled(Series {
                labels: labels.clone(),
                drop_name,
                column,
            })
        })?;
        Ok(set)
    }

    /// Hands all series of a flow that have values to `take`, in order.
    fn drain(
        &mut self,
        scope: &mut Scope,
        flow: &Flow<'q>,
        mut take: impl FnMut(usize, Column) -> Result<()> + Send,
    ) -> Result<()> {
        let shared = self.shared;
        let steps = scope.steps.count;
        let mut noter = Noter::new(flow, shared);
        let (annotations, counts) = (&mut self.annotations, &mut scope.counts);
        let (pool, deadline, budget) = (shared.pool, shared.deadline, shared.budget);
        flow.drain(steps, pool, deadline, budget, |index, mut piece| {
            noter.note(index, &mut piece, annotations, counts)?;
            if piece.column.is_empty() {
                return Ok(());
            }
            take(index, piece.column)
        })
    }

    /// The steps of a selector and its series.
    fn selector(
        &mut self,
        scope: &Scope,
        selector: &Selector,
        reading: Reading,
    ) -> Result<Flow<'q>> {
        let lookback_ms = self.shared.lookback_ms;
        let windows = Windows {
            steps: scope.steps,
            range_ms: if selector.reach == Reach::Inside {
                lookback_ms
            } else {
                0
            },
            offset_ms: selector.offset_ms,
            at_ms: selector.at_ms,
            reach: selector.reach,
            lookback_ms,
        };
        let series = self.select(selector, &windows, 0, reading.function, scope.ordered)?;
        Ok(Flow::new(Source::Instant(InstantSource {
            series,
            windows,
            reading,
            per_step: scope.counts.per_step.is_some(),
        })))
    }

    fn select(
        &mut self,
        selector: &Selector,
        windows: &Windows,
        range_ms: i64,
        function: &'static str,
        ordered: bool,
    ) -> Result<Stored> {
        let (start_ms, end_ms) = windows.read_range_ms();
        let delayed = self.delayed();
        let mut labels = selector.labels.as_deref().filter(|_| !delayed);
        let mut key = format!("{start_ms} {end_ms} {ordered} {labels:?}");
        for matcher in &selector.matchers {
            key.push(' ');
            key.push_str(&matcher.to_string());
        }
        if let Some(found) = self.selected.get(&key) {
            return Ok(Arc::clone(found));
        }
        let steps = windows.steps;
        let found = loop {
            let hints = SelectHints {
                start_ms,
                end_ms,
                step_ms: if steps.is_single() { 0 } else { steps.step_ms },
                range_ms,
                function,
                limit: 0,
                bytes_max: self.shared.budget.bytes_left(),
                labels: labels.map(<[String]>::to_vec),
            };
            let found = self.shared.querier;
            let found = found.select(ordered, &hints, &selector.matchers);
            let found = found.map_err(|error| match error {
                StorageError::TooLarge => self.shared.budget.too_many_bytes(),
                error => execution(format!("expanding series: {error}")),
            })?;
            let series = StoredSet::new(found.series, self.shared.pool);
            // Without type and unit label sets may become the same: then it needs all of them.
            if labels.is_none() || !series.is_described() {
                break (series, found.warnings);
            }
            labels = None;
        };
        let (series, warnings) = found;
        for warning in warnings {
            self.annotations.storage_warning(warning);
        }
        self.shared.budget.selected(series.len());
        self.held.add_bytes(series.size_bytes())?;
        let series = Arc::new(series);
        self.selected.insert(key, Arc::clone(&series));
        Ok(series)
    }

    /// Evaluates at the first step, and repeats the values at all others.
    fn invariant(&mut self, scope: &mut Scope, inner: &Node) -> Result<Flow<'q>> {
        let count = scope.steps.count;
        let mut first = self.first_step(scope);
        let mut set = self.series(&mut first, inner)?;
        self.repeat_counts(scope, &first);
        // Where series of the same labels were merged there may be a float and a histogram. What is
        // not repeated keeps both.
        let has_both = |s: &Series| s.column.has_histograms() && is_present(s.column.get(0));
        if set.series.iter().any(has_both) {
            return Err(execution("unexpected number of samples"));
        }
        if count > 1 {
            for series in &mut set.series {
                let size = series.column.size_in_samples();
                set.charge.add_samples(size * (count - 1))?;
                set.charge.add_steps(count)?;
                let entries = usize::from(series.column.has_histograms()) * count;
                set.charge
                    .add_bytes(entries * size_of::<(usize, Histogram)>())?;
                series.column = series.column.repeated(count);
            }
        }
        set.series.retain(|s| !s.column.is_empty());
        Ok(Flow::ready(set))
    }

    fn first_step(&self, scope: &Scope) -> Scope {
        Scope {
            steps: scope.steps.first(),
            counts: Counts::default(),
            ordered: scope.ordered,
        }
    }

    /// What was looked at once counts at all steps, but was read at the first one only.
    fn repeat_counts(&self, scope: &mut Scope, first: &Scope) {
        for step in 0..scope.steps.count {
            let read = if step == 0 { first.counts.read } else { 0 };
            scope.counts.add(step, first.counts.total, read);
        }
    }

    /// A scalar at all steps.
    fn scalar(&mut self, scope: &mut Scope, node: &Node) -> Result<Scalar> {
        self.shared.deadline.check(EVALUATION)?;
        let steps = scope.steps;
        // One number a step: it is in memory for a while.
        self.shared.budget.probe(steps.count as u64)?;
        if let Kind::Number(value) = &node.kind {
            return Ok(Scalar::Constant(*value));
        }
        self.shared.budget.probe_bytes(steps.bytes())?;
        let value = match &node.kind {
            Kind::Negate(inner) => {
                let value = self.scalar(scope, inner)?;
                value.zip(&Scalar::Constant(0.0), steps.count, |v, _| -v)
            }
            Kind::Binary(binary) => {
                let lhs = self.scalar(scope, &binary.lhs)?;
                let rhs = self.scalar(scope, &binary.rhs)?;
                let op = binary.op;
                lhs.zip(&rhs, steps.count, |a, b| binary::scalars(op, a, b))
            }
            Kind::Call(call) => self.scalar_call(scope, call)?,
            Kind::Invariant(inner) => {
                let mut first = self.first_step(scope);
                let value = self.scalar(&mut first, inner)?;
                self.repeat_counts(scope, &first);
                Scalar::Constant(value.at(0))
            }
            _ => return Err(unexpected("not a scalar")),
        };
        // Until the query ends: there are few, and functions take them along.
        self.held.add_bytes(value.size_bytes())?;
        Ok(value)
    }

    fn scalar_call(&mut self, scope: &mut Scope, call: &Call) -> Result<Scalar> {
        let steps = scope.steps;
        Ok(match call.function {
            Function::Time => Scalar::Steps(
                (0..steps.count)
                    .map(|i| steps.at(i) as f64 / 1000.0)
                    .collect(),
            ),
            Function::Pi => Scalar::Constant(std::f64::consts::PI),
            Function::MaxOf | Function::MinOf => {
                let a = self.scalar(scope, &call.args[0])?;
                let b = self.scalar(scope, &call.args[1])?;
                match call.function {
                    Function::MaxOf => a.zip(&b, steps.count, gomath::max),
                    _ => a.zip(&b, steps.count, gomath::min),
                }
            }
            Function::Scalar => {
                let flow = self.call_argument(scope, &call.args[0], "scalar")?;
                let mut values = vec![crate::column::ABSENT; steps.count];
                let mut several = vec![false; steps.count];
                self.drain(scope, &flow, |_, column| {
                    for (step, value) in column.iter() {
                        several[step] |= is_present(values[step]);
                        values[step] = value;
                    }
                    Ok(())
                })?;
                for (value, several) in values.iter_mut().zip(several) {
                    if several || !is_present(*value) {
                        *value = f64::NAN;
                    }
                }
                Scalar::Steps(values)
            }
            _ => return Err(unexpected("not a function that gives a scalar")),
        })
    }
}

/// Fewer than this are sorted where they are.
const PARALLEL_SORT_MIN: usize = 4_096;

/// Sorts what has labels, which differ, by them; on all threads if it is much, not at all if it is
/// sorted.
pub(crate) fn sort_by_labels<T: Send>(
    items: &mut [T],
    pool: &rayon::ThreadPool,
    labels: impl Fn(&T) -> &Labels + Sync,
) {
    if items.is_sorted_by(|a, b| labels(a) <= labels(b)) {
        return;
    }
    if items.len() < PARALLEL_SORT_MIN {
        items.sort_unstable_by(|a, b| labels(a).cmp(labels(b)));
    } else {
        pool.install(|| items.par_sort_unstable_by(|a, b| labels(a).cmp(labels(b))));
    }
}

/// How a selector is read that stands at a place of the query.
fn reading(selector: &Selector, position: &Position) -> Reading {
    Reading {
        position: position.clone(),
        without_buckets: selector.without_buckets,
        presence_only: selector.presence_only,
        ..Reading::default()
    }
}

fn negated(column: Column) -> Column {
    if !column.has_histograms() {
        return column.map(|value| -value);
    }
    column.map_points(|_, point| {
        Some(match point {
            Point::Float(value) => Point::Float(-value),
            Point::Histogram(histogram) => {
                let mut negated = (*histogram).clone();
                negated.multiply(-1.0);
                negated.into()
            }
        })
    })
}

/// Whether all series of a vector surely have the same metric name.
pub(crate) fn fixes_name(node: &Node) -> bool {
    match &node.kind {
        Kind::Selector(selector) => selector.fixes_name(),
        Kind::Negate(inner) => fixes_name(inner),
        Kind::Call(call) => match call.function {
            Function::Math(_)
            | Function::Round
            | Function::Clamp
            | Function::ClampMin
            | Function::ClampMax => call.args.first().is_some_and(fixes_name),
            Function::Range(RangeFunction::LastOverTime | RangeFunction::FirstOverTime) => {
                range_fixes_name(&call.args[0])
            }
            _ => false,
        },
        _ => false,
    }
}

/// The same of a range.
pub(crate) fn range_fixes_name(node: &Node) -> bool {
    matches!(&node.kind, Kind::Range(range) if range.selector.fixes_name())
}

fn text(node: &Node) -> Result<&str> {
    match &node.kind {
        Kind::Text(text) => Ok(&text.value),
        _ => Err(unexpected("not a text")),
    }
}

/// Whether a text can be the name of a label: any that is not empty, as names are UTF-8.
fn is_label_name(node: &Node) -> bool {
    matches!(&node.kind, Kind::Text(text) if !text.value.is_empty() && text.not_utf8.is_none())
}

/// What a table by label sets takes for each: an entry with its control byte, at worst half full.
const TABLE_ENTRY_BYTES: usize = 2 * (size_of::<(Labels, usize)>() + 1);

/// Merges series with the same labels; an error if two of them have a value at the same step.
fn merge_same(set: SeriesSet<'_>) -> Result<SeriesSet<'_>> {
    let count = set.series.len();
    if count < 2 {
        return Ok(set);
    }
    let SeriesSet { series, mut charge } = set;
    let table_bytes = count * (TABLE_ENTRY_BYTES + size_of::<Series>());
    charge.add_bytes(table_bytes)?;
    let mut by_labels: HashMap<Labels, usize, foldhash::fast::RandomState> =
        HashMap::with_capacity_and_hasher(count, foldhash::fast::RandomState::default());
    let mut merged: Vec<Series> = Vec::with_capacity(count);
    for series in series {
        match by_labels.entry(series.labels.clone()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(series);
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                let column = &mut merged[*entry.get()].column;
                charge.add_bytes(column.absorbed_len(&series.column) * size_of::<f64>())?;
                if !column.absorb(&series.column) {
                    return Err(same_labelset());
                }
            }
        }
    }
    charge.release_bytes(table_bytes);
    Ok(SeriesSet {
        series: merged,
        charge,
    })
}

/// An error if two series have the same labels, at whatever steps.
fn refuse_same(set: &SeriesSet<'_>) -> Result<()> {
    let series = &set.series;
    set.charge.probe_bytes(series.len() * TABLE_ENTRY_BYTES)?;
    let mut seen: std::collections::HashSet<&Labels, foldhash::fast::RandomState> =
        std::collections::HashSet::default();
    if series.iter().all(|series| seen.insert(&series.labels)) {
        Ok(())
    } else {
        Err(same_labelset())
    }
}

/// Columns as points, without copying floats; series without any are left out.
fn matrix(set: SeriesSet<'_>, steps: Steps) -> Result<Vec<MatrixSeries>> {
    let SeriesSet { series, mut charge } = set;
    let series = series.into_iter().filter(|s| !s.column.is_empty());
    series
        .map(|series| {
            charge.add_bytes(size_of_val(series.column.histograms()))?;
            let (first, values, histograms) = series.column.into_parts();
            let histograms = histograms.into_iter();
            Ok(MatrixSeries {
                points: Points::Spaced {
                    first_ms: steps.at(first),
                    step_ms: steps.step_ms,
                    values,
                },
                histograms: histograms.map(|(step, h)| (steps.at(step), h)).collect(),
                labels: series.labels,
            })
        })
        .collect()
}
