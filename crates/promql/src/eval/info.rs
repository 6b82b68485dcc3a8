//! `info`: adds labels of info metrics, such as `target_info`, to the series that they describe.
//!
//! An info series describes a series if both have the same `instance` and `job`. Of several info
//! series of one metric that fit at a step, the one with the newest sample counts; which one that
//! is may change from step to step, and the labels of the result with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::{Evaluator, Result, Scope, execution, merge_same, unexpected};
use crate::column::{Column, Series, is_present};
use crate::context::EVALUATION;
use crate::error::QueryError;
use crate::flow::{Flow, SeriesSet};
use crate::plan::{Kind, Node, Selector};
use crate::point::Point;
use crate::source::{Reading, Wanted};
use crate::window::Reach;

/// What identifies a target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// What an `info` call asks for.
struct Request {
    /// On the name of the info metric.
    names: Vec<Matcher>,
    /// On the labels that it adds.
    data: Vec<Matcher>,
}

impl Request {
    fn new(arg: Option<&Node>) -> Result<Request> {
        let (mut names, mut data) = (Vec::new(), Vec::new());
        if let Some(arg) = arg {
            let selector = match &arg.kind {
                Kind::Selector(selector) => selector,
                Kind::Invariant(inner) => match &inner.kind {
                    Kind::Selector(selector) => selector,
                    _ => return Err(unexpected("not a selector")),
                },
                _ => return Err(unexpected("not a selector")),
            };
            for matcher in &selector.matchers {
                let to = if matcher.is_on_name() {
                    &mut names
                } else {
                    &mut data
                };
                to.push(matcher.clone());
            }
        }
        let positive = |m: &Matcher| matches!(m.op(), MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(positive) {
            names.insert(0, regex(METRIC_NAME, ".+_info")?);
        }
        Ok(Request { names, data })
    }

    fn is_info(&self, labels: &Labels) -> bool {
        self.names.iter().all(|m| m.matches(labels.metric_name()))
    }

    /// Whether a label of an info series is to be added.
    fn adds(&self, name: &str) -> bool {
        name != METRIC_NAME && (self.data.is_empty() || self.data.iter().any(|m| m.name() == name))
    }
}

fn regex(name: &str, pattern: &str) -> Result<Matcher> {
    Matcher::new(MatchOp::Regex, name, pattern)
        .map_err(|error| execution(format!("selecting info series: {error}")))
}

/// A pattern that matches exactly these texts.
fn any_of(values: &BTreeSet<&str>) -> String {
    let mut pattern = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            pattern.push('|');
        }
        for c in value.chars() {
            if "\\.+*?()|[]{}^$".contains(c) {
                pattern.push('\\');
            }
            pattern.push(c);
        }
    }
    pattern
}

/// What finding an info series again takes: an entry with texts of its own.
const INFO_BYTES: usize = 512;

/// Info series of one metric and one target.
type Signature = (String, Vec<String>);

fn identity(labels: &Labels) -> Vec<String> {
    IDENTIFYING
        .iter()
        .map(|name| labels.get(name).to_owned())
        .collect()
}

impl<'q> Evaluator<'q> {
    pub(super) fn info(&mut self, scope: &mut Scope, args: &[Node]) -> Result<Flow<'q>> {
        let (at_ms, offset_ms) = time_of_first_selector(&args[0]).unwrap_or((None, 0));
        let mut base = self.series(scope, &args[0])?;
        base.series.retain(|s| !s.column.is_empty());
        let request = Request::new(args.get(1))?;
        let mut infos = self.info_series(scope, &base, &request, at_ms, offset_ms)?;
        let tables = infos.series.len() * INFO_BYTES;
        infos.charge.add_bytes(tables)?;
        let mut join = Join::new(&request, infos.series, scope.steps.count);
        let any_base = {
            let mut any = vec![false; scope.steps.count];
            for series in &base.series {
                series.column.steps().for_each(|step| any[step] = true);
            }
            any
        };
        join.check(&any_base)?;
        let mut out = SeriesSet::with_capacity(base.series.len(), self.shared.budget)?;
        for series in &base.series {
            self.shared.deadline.check(EVALUATION)?;
            if request.is_info(&series.labels) {
                out.push_labelled(series.clone())?;
            } else {
                join.describe(series, &mut out)?;
            }
        }
        Ok(Flow::ready(merge_same(out)?))
    }

    /// The info series of all targets in `base`; their values are the times of their samples.
    fn info_series(
        &mut self,
        scope: &mut Scope,
        base: &SeriesSet<'q>,
        request: &Request,
        at_ms: Option<i64>,
        offset_ms: i64,
    ) -> Result<SeriesSet<'q>> {
        let mut matchers = Vec::new();
        for name in IDENTIFYING {
            let described = base.series.iter().filter(|s| !request.is_info(&s.labels));
            let mut values: BTreeSet<&str> = described.map(|s| s.labels.get(name)).collect();
            values.remove("");
            if !values.is_empty() {
                matchers.push(regex(name, &any_of(&values))?);
            }
        }
        if matchers.is_empty() {
            return Ok(self.empty());
        }
        matchers.extend(request.data.iter().cloned());
        matchers.extend(request.names.iter().cloned());
        let selector = Selector {
            matchers,
            offset_ms,
            at_ms,
            reach: Reach::Inside,
            without_buckets: false,
            presence_only: false,
            labels: None,
        };
        let reading = Reading {
            wanted: Wanted::Time,
            keeps_histograms: true,
            function: "info",
            ..Reading::default()
        };
        let flow = self.selector(scope, &selector, reading)?;
        self.collect(scope, flow)
    }
}

/// The fixed time and the offset at which the first selector of an expression looks.
fn time_of_first_selector(node: &Node) -> Option<(Option<i64>, i64)> {
    let of = |selector: &Selector| Some((selector.at_ms, selector.offset_ms));
    match &node.kind {
        Kind::Number(_) | Kind::Text(_) => None,
        Kind::Selector(selector) => of(selector),
        Kind::Range(range) => of(&range.selector),
        Kind::Subquery(subquery) => {
            let (at_ms, offset_ms) = time_of_first_selector(&subquery.expr)?;
            Some(match at_ms {
                Some(_) => (at_ms, offset_ms),
                None => (subquery.at_ms, offset_ms + subquery.offset_ms),
            })
        }
        Kind::Negate(inner) | Kind::Invariant(inner) => time_of_first_selector(inner),
        Kind::Binary(binary) => {
            time_of_first_selector(&binary.lhs).or_else(|| time_of_first_selector(&binary.rhs))
        }
        Kind::Aggregate(aggregate) => time_of_first_selector(&aggregate.expr)
            .or_else(|| aggregate.param.as_ref().and_then(time_of_first_selector)),
        Kind::Call(call) => call.args.iter().find_map(time_of_first_selector),
    }
}

/// Info series, ready to be looked up.
struct Join<'a> {
    request: &'a Request,
    infos: Vec<Series>,
    by_signature: BTreeMap<Signature, Vec<usize>>,
    names: Vec<String>,
    steps: usize,
}

impl<'a> Join<'a> {
    fn new(request: &'a Request, infos: Vec<Series>, steps: usize) -> Join<'a> {
        let mut by_signature: BTreeMap<Signature, Vec<usize>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (at, info) in infos.iter().enumerate() {
            let name = info.labels.metric_name().to_owned();
            names.insert(name.clone());
            by_signature
                .entry((name, identity(&info.labels)))
                .or_default()
                .push(at);
        }
        Join {
            request,
            infos,
            by_signature,
            names: names.into_iter().collect(),
            steps,
        }
    }

    /// Two info series of a target with equally new samples contradict each other, and a histogram
    /// is no info.
    fn check(&self, relevant: &[bool]) -> Result<()> {
        let mut histograms = self.infos.iter().flat_map(|s| s.column.histograms());
        if histograms.any(|(step, _)| relevant[*step]) {
            return Err(execution("info sample should be float"));
        }
        for step in (0..self.steps).filter(|&step| relevant[step]) {
            for candidates in self.by_signature.values().filter(|c| c.len() > 1) {
                self.newest(candidates, step)?;
            }
        }
        Ok(())
    }

    fn newest(&self, candidates: &[usize], step: usize) -> Result<Option<usize>> {
        let mut best: Option<usize> = None;
        for &at in candidates {
            let time = self.infos[at].column.get(step);
            if !is_present(time) {
                continue;
            }
            match best {
                Some(other) if self.infos[other].column.get(step) == time => {
                    return Err(self.conflict(other, at, time));
                }
                Some(other) if self.infos[other].column.get(step) > time => {}
                _ => best = Some(at),
            }
        }
        Ok(best)
    }

    fn conflict(&self, existing: usize, new: usize, time: f64) -> QueryError {
        let time_ms = (time * 1000.0).round() as i64;
        let (existing, new) = (&self.infos[existing].labels, &self.infos[new].labels);
        execution(format!(
            "found duplicate series for info metric: existing {existing} @ {time_ms}, new {new} \
             @ {time_ms}"
        ))
    }

    /// Adds the labels of info series to one series.
    fn describe(&mut self, series: &Series, out: &mut SeriesSet<'_>) -> Result<()> {
        let identity = identity(&series.labels);
        let candidates: Vec<&[usize]> = self
            .names
            .iter()
            .map(|name| {
                let signature = (name.clone(), identity.clone());
                self.by_signature
                    .get(&signature)
                    .map_or(&[][..], Vec::as_slice)
            })
            .collect();
        let mut by_infos: HashMap<Vec<Option<usize>>, Vec<(usize, Point)>> = HashMap::new();
        let mut order = Vec::new();
        for (step, point) in series.column.points() {
            let mut chosen = Vec::with_capacity(candidates.len());
            for candidates in &candidates {
                chosen.push(self.newest(candidates, step)?);
            }
            let values = by_infos.entry(chosen).or_insert_with_key(|chosen| {
                order.push(chosen.clone());
                Vec::new()
            });
            values.push((step, point));
        }
        for chosen in order {
            let Some(values) = by_infos.remove(&chosen) else {
                continue;
            };
            if let Some(labels) = self.labels(&series.labels, &chosen)? {
                out.push(Series {
                    labels,
                    drop_name: series.drop_name,
                    column: Column::from_points(self.steps, values),
                })?;
            }
        }
        Ok(())
    }

    /// The labels with those of the chosen info series; none if the series is to be left out.
    fn labels(&self, base: &Labels, chosen: &[Option<usize>]) -> Result<Option<Labels>> {
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        let mut described = false;
        for info in chosen.iter().flatten() {
            described = true;
            for (name, value) in &self.infos[*info].labels {
                if !self.request.adds(name) {
                    continue;
                }
                if added.get(name).is_some_and(|other| *other != value) {
                    return Err(execution(format!("conflicting label: {name}")));
                }
                if !base.has(name) {
                    added.insert(name, value);
                }
            }
        }
        if !described && !self.request.data.iter().all(Matcher::matches_empty) {
            return Ok(None);
        }
        let mut builder = LabelsBuilder::new(base);
        for (name, value) in added {
            builder.set(name, value);
        }
        Ok(Some(builder.build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let values = BTreeSet::from(["a.b", "c|d"]);
        let matcher = regex("job", &any_of(&values)).unwrap();
        assert!(matcher.matches("a.b") && matcher.matches("c|d"));
        assert!(!matcher.matches("axb") && !matcher.matches("c"));
    }
}
