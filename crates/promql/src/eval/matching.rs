//! Two vectors meet: which series find each other, and what becomes of them.
//!
//! Series are matched once for all steps: those with the same values of the matching labels form a
//! match group, and within a group whole columns meet. Where a group has several series on the
//! side of "one", they may only have values at different steps, so who is met is looked up step by
//! step. What upstream finds at the first step that goes wrong is found here group by group, so
//! errors are gathered and the first one in upstream's order is reported.

mod plain;

use std::collections::{BTreeMap, HashMap};

use model::{Labels, LabelsBuilder, METRIC_NAME};
use promql_syntax::ast::{BinaryOp, Cardinality};

use self::plain::Plain;
use super::binary::{changes_metric, columns, elements, is_trim};
use super::{Result, execution};
use crate::column::{ABSENT, Column, Series, is_metadata_label, is_present};
use crate::error::QueryError;
use crate::native::operators::{self, Note};
use crate::plan::Matching;
use crate::point::{Histogram, Point};

/// The match groups of two vectors by number.
struct Signatures<'a> {
    matching: &'a Matching,
    by_key: HashMap<Vec<u8>, usize, foldhash::fast::RandomState>,
    scratch: Vec<u8>,
}

impl<'a> Signatures<'a> {
    fn new(matching: &'a Matching) -> Signatures<'a> {
        Signatures {
            matching,
            by_key: HashMap::default(),
            scratch: Vec::new(),
        }
    }

    fn of(&mut self, labels: &Labels) -> usize {
        self.scratch.clear();
        // Never empty: comparing nothing with nothing at no address is slow on some machines.
        self.scratch.push(0);
        for (name, value) in labels {
            if self.matching.compares(name) {
                for text in [name, value] {
                    self.scratch
                        .extend_from_slice(&(text.len() as u32).to_le_bytes());
                    self.scratch.extend_from_slice(text.as_bytes());
                }
            }
        }
        if let Some(&group) = self.by_key.get(self.scratch.as_slice()) {
            return group;
        }
        let group = self.by_key.len();
        self.by_key.insert(self.scratch.clone(), group);
        group
    }

    fn all(&mut self, series: &[Series]) -> Vec<usize> {
        series.iter().map(|s| self.of(&s.labels)).collect()
    }

    fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl Matching {
    fn names(&self, name: &str) -> bool {
        self.labels
            .binary_search_by(|l| l.as_str().cmp(name))
            .is_ok()
    }

    /// Whether a label decides which match group its series is in.
    fn compares(&self, name: &str) -> bool {
        if self.on {
            self.names(name)
        } else {
            name != METRIC_NAME && !self.names(name)
        }
    }

    /// The labels that all series of a match group have in common.
    fn shared(&self, labels: &Labels) -> Labels {
        labels.without(|name| !self.compares(name))
    }
}

/// At which steps a match group has a value on the side that decides.
#[derive(Debug, Clone)]
enum Presence {
    Never,
    /// Where this one series has.
    Of(usize),
    Steps(Vec<bool>),
}

impl Presence {
    fn all(deciding: &[Series], groups: &[usize], count: usize, steps: usize) -> Vec<Presence> {
        let mut presence = vec![Presence::Never; count];
        for (at, &group) in groups.iter().enumerate() {
            let presence = &mut presence[group];
            if let Presence::Never = presence {
                *presence = Presence::Of(at);
                continue;
            }
            if let Presence::Of(first) = *presence {
                let present = (0..steps).map(|step| deciding[first].column.has(step));
                *presence = Presence::Steps(present.collect());
            }
            if let Presence::Steps(present) = presence {
                for step in deciding[at].column.steps() {
                    present[step] = true;
                }
            }
        }
        presence
    }

    /// The values at steps at which the group is `wanted` to be there, or not to be.
    fn filter(&self, column: Column, deciding: &[Series], wanted: bool) -> Column {
        match self {
            Presence::Never => {
                if wanted {
                    Column::default()
                } else {
                    column
                }
            }
            Presence::Of(at) => {
                let other = &deciding[*at].column;
                column.retain(|step| other.has(step) == wanted)
            }
            Presence::Steps(present) => column.retain(|step| present[step] == wanted),
        }
    }
}

/// `and`, `or`, `unless`.
pub(super) fn set_operation(
    op: BinaryOp,
    matching: &Matching,
    mut left: Vec<Series>,
    mut right: Vec<Series>,
    steps: usize,
) -> Vec<Series> {
    let mut signatures = Signatures::new(matching);
    let left_groups = signatures.all(&left);
    let right_groups = signatures.all(&right);
    let filter = |series: &mut Vec<Series>,
                  groups: &[usize],
                  presence: &[Presence],
                  deciding: &[Series],
                  wanted: bool| {
        for (series, &group) in series.iter_mut().zip(groups) {
            let column = std::mem::take(&mut series.column);
            series.column = presence[group].filter(column, deciding, wanted);
        }
        series.retain(|s| !s.column.is_empty());
    };
    if op == BinaryOp::Or {
        let presence = Presence::all(&left, &left_groups, signatures.len(), steps);
        filter(&mut right, &right_groups, &presence, &left, false);
        left.append(&mut right);
    } else {
        let presence = Presence::all(&right, &right_groups, signatures.len(), steps);
        filter(
            &mut left,
            &left_groups,
            &presence,
            &right,
            op == BinaryOp::And,
        );
    }
    left
}

/// Who stands on the side of "one" in a match group.
enum Partners {
    Nobody,
    One(usize),
    /// Several, each at other steps: who it is at a step, [`NOBODY`] if nobody.
    Several(Vec<u32>),
}

const NOBODY: u32 = u32::MAX;

impl Partners {
    fn at(&self, step: usize, one: &[Series]) -> Option<usize> {
        match self {
            Partners::Nobody => None,
            Partners::One(at) => one[*at].column.has(step).then_some(*at),
            Partners::Several(who) => (who[step] != NOBODY).then_some(who[step] as usize),
        }
    }
}

/// An error and where upstream would meet it: at which step, in which pass, at which series.
type Failure = ((usize, u8, usize), QueryError);

/// An operator over two vectors: matches them and computes.
pub(super) struct Matcher<'a> {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) matching: &'a Matching,
    pub(super) drop_name: bool,
    /// The side of "one" is the left one.
    pub(super) swapped: bool,
    pub(super) steps: usize,
    pub(super) many: Vec<Series>,
    pub(super) one: Vec<Series>,
    /// No series of "one" has native histograms.
    pub(super) one_is_plain: bool,
    pub(super) error: Option<Failure>,
    /// What is said, of each step the last one: upstream tells no more.
    pub(super) notes: BTreeMap<usize, Note>,
}

/// What has been matched in a group, step by step.
#[derive(Default)]
struct Matched {
    any: Vec<bool>,
    /// By result labels, where several series of "many" could give the same.
    by_labels: HashMap<Labels, Vec<bool>, foldhash::fast::RandomState>,
}

impl Matcher<'_> {
    pub(super) fn run(
        mut self,
        pool: &rayon::ThreadPool,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<(Vec<Series>, BTreeMap<usize, Note>)> {
        let mut signatures = Signatures::new(self.matching);
        let many_groups = signatures.all(&self.many);
        let one_groups = signatures.all(&self.one);
        let count = signatures.len();
        let partners = self.partners(&one_groups, count);
        let mut sizes = vec![0u32; count];
        for &group in &many_groups {
            sizes[group] += 1;
        }
        let mut matched: Vec<Matched> = Vec::new();
        matched.resize_with(count, Matched::default);
        // Who has been matched matters only if somebody else may be, or be missed.
        let differ = self.results_differ();
        let fills = self.fill_many().is_some();
        let watch = |group: usize| fills || (sizes[group] > 1 && !differ);
        let partner = |at: usize| match partners[many_groups[at]] {
            Partners::One(one) if !watch(many_groups[at]) => Some(one),
            _ => None,
        };
        let plain = self.plain_results(&partner, pool, check)?;
        let mut out = Vec::with_capacity(self.many.len());
        for ((at, &group), plain) in many_groups.iter().enumerate().zip(plain) {
            match plain {
                Plain::Result(series) => out.push(series),
                Plain::Nothing => {}
                Plain::Not => {
                    if at % 256 == 0 {
                        check()?;
                    }
                    let state = watch(group).then_some(&mut matched[group]);
                    self.one_of_many(at, &partners[group], state, &mut out);
                }
            }
        }
        if let Some(fill) = self.fill_many() {
            for (at, &group) in one_groups.iter().enumerate() {
                self.fill_for(at, fill, &matched[group], &mut out);
            }
        }
        match self.error {
            Some((_, error)) => Err(error),
            None => Ok((out, self.notes)),
        }
    }

    /// What stands in for a missing series of "one".
    fn fill_one(&self) -> Option<f64> {
        // Not swapped with the sides, as upstream.
        self.matching.fill_right
    }

    /// What stands in for a missing series of "many".
    fn fill_many(&self) -> Option<f64> {
        self.matching.fill_left
    }

    fn fail(&mut self, place: (usize, u8, usize), error: impl FnOnce() -> QueryError) {
        if self.error.as_ref().is_none_or(|(first, _)| place < *first) {
            self.error = Some((place, error()));
        }
    }

    fn partners(&mut self, groups: &[usize], count: usize) -> Vec<Partners> {
        let mut partners: Vec<Partners> = Vec::new();
        partners.resize_with(count, || Partners::Nobody);
        for (at, &group) in groups.iter().enumerate() {
            match &mut partners[group] {
                Partners::Nobody => {
                    partners[group] = Partners::One(at);
                    continue;
                }
                Partners::One(first) => {
                    let first = *first;
                    let mut who = vec![NOBODY; self.steps];
                    for step in self.one[first].column.steps() {
                        who[step] = first as u32;
                    }
                    partners[group] = Partners::Several(who);
                }
                Partners::Several(_) => {}
            }
            let Partners::Several(who) = &mut partners[group] else {
                continue;
            };
            let mut clash = None;
            for step in self.one[at].column.steps() {
                if who[step] == NOBODY {
                    who[step] = at as u32;
                } else if clash.is_none() && self.counts_at(step) {
                    clash = Some((step, who[step] as usize));
                }
            }
            if let Some((step, other)) = clash {
                let error = self.duplicate(other, at);
                self.fail((step, 0, at), || error);
            }
        }
        partners
    }

    /// Whether anything is matched at a step at all.
    fn counts_at(&self, step: usize) -> bool {
        self.fill_one().is_some()
            || self.fill_many().is_some()
            || self.many.iter().any(|s| s.column.has(step))
    }

    fn duplicate(&self, first: usize, second: usize) -> QueryError {
        let (a, b) = (&self.one[first].labels, &self.one[second].labels);
        let group = self.matching.shared(b);
        let side = if self.swapped { "left" } else { "right" };
        let (mut a, mut b) = (a.to_string(), b.to_string());
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the \
             operation: [{a}, {b}];many-to-many matching not allowed: matching labels must be \
             unique on one side"
        ))
    }

    fn apply(&self, many: f64, one: f64) -> Option<f64> {
        let (left, right) = if self.swapped {
            (one, many)
        } else {
            (many, one)
        };
        elements(self.op, self.return_bool, left, right)
    }

    /// As [`Self::apply`], for elements of any type. The outer none says that there is no operation
    /// between these two, so that they count as not matched.
    fn apply_points(&mut self, step: usize, many: Point, one: Point) -> Option<Option<Point>> {
        if let (Point::Float(many), Point::Float(one)) = (&many, &one)
            && !is_trim(self.op)
        {
            return Some(self.apply(*many, *one).map(Point::Float));
        }
        let (left, right) = if self.swapped {
            (&one, &many)
        } else {
            (&many, &one)
        };
        match operators::elements(self.op, left, right) {
            Ok(outcome) => {
                if let Some(note) = outcome.note {
                    self.notes.insert(step, note);
                }
                Some(if self.return_bool {
                    Some(Point::Float(f64::from(outcome.holds)))
                } else {
                    outcome.holds.then_some(outcome.value)
                })
            }
            Err(note) => {
                self.notes.insert(step, note);
                None
            }
        }
    }

    /// The results of one series of "many".
    fn one_of_many(
        &mut self,
        at: usize,
        partners: &Partners,
        matched: Option<&mut Matched>,
        out: &mut Vec<Series>,
    ) {
        let fill = self.fill_one();
        if matches!(partners, Partners::Nobody) && fill.is_none() {
            return;
        }
        let column = std::mem::take(&mut self.many[at].column);
        let labels = self.many[at].labels.clone();
        let is_plain = !column.has_histograms() && !is_trim(self.op);
        if let (&Partners::One(partner), None) = (partners, fill)
            && is_plain
            && !self.one[partner].column.has_histograms()
        {
            if let Some(matched) = matched {
                let other = &self.one[partner].column;
                let both = column.iter().map(|(step, _)| step);
                let both = both.filter(|&step| is_present(other.get(step)));
                let met: Vec<_> = both.map(|step| (step, Some(partner))).collect();
                self.check_matched(at, &labels, &met, matched);
            }
            let one = &self.one[partner];
            let other = &one.column;
            let result = columns(self.op, self.return_bool, self.swapped, column, other);
            if !result.is_empty() {
                let labels = self.result_labels(&labels, Some(&one.labels));
                out.push(self.result(labels, result));
            }
            self.many[at].column = Column::default();
            return;
        }
        let mut results = Results::new(self.steps);
        let mut met: Vec<(usize, Option<usize>)> = Vec::new();
        if is_plain && self.one_is_plain {
            for (step, value) in column.iter() {
                let partner = partners.at(step, &self.one);
                let other = match (partner, fill) {
                    (Some(one), _) => self.one[one].column.get(step),
                    (None, Some(fill)) => fill,
                    (None, None) => continue,
                };
                met.push((step, partner));
                if let Some(value) = self.apply(value, other) {
                    let partner = partner.filter(|_| self.includes());
                    results.of(partner).floats[step] = value;
                }
            }
        } else {
            for (step, point) in column.points() {
                let partner = partners.at(step, &self.one);
                let other = match (partner, fill) {
                    (Some(one), _) => self.one[one].column.at(step),
                    (None, fill) => fill.map(Point::Float),
                };
                let Some(other) = other else {
                    continue;
                };
                let Some(point) = self.apply_points(step, point, other) else {
                    continue;
                };
                met.push((step, partner));
                let results = results.of(partner.filter(|_| self.includes()));
                match point {
                    None => {}
                    Some(Point::Float(value)) => results.floats[step] = value,
                    Some(Point::Histogram(h)) => results.histograms.push((step, h)),
                }
            }
        }
        if let Some(matched) = matched {
            self.check_matched(at, &labels, &met, matched);
        }
        for (partner, results) in results.by_partner {
            let column = Column::from_steps(results.floats).with_histograms(results.histograms);
            if !column.is_empty() {
                let one = partner.map(|one| &self.one[one].labels);
                let labels = self.result_labels(&labels, one);
                out.push(self.result(labels, column));
            }
        }
        self.many[at].column = column;
    }

    fn includes(&self) -> bool {
        !self.matching.include.is_empty()
    }

    /// Looks for a second match where there may be one only.
    fn check_matched(
        &mut self,
        at: usize,
        labels: &Labels,
        met: &[(usize, Option<usize>)],
        matched: &mut Matched,
    ) {
        matched.any.resize(self.steps, false);
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let shown = |partner: Option<usize>| partner.filter(|_| self.includes());
        let mut again = None;
        // The labels of a result depend on who is met: mostly the same one at all steps.
        'met: for with in met.chunk_by(|a, b| shown(a.1) == shown(b.1)) {
            let Matched { any, by_labels } = matched;
            let mut seen = None;
            if !one_to_one {
                let one = with.first().and_then(|&(_, partner)| shown(partner));
                let result = self.result_labels(labels, one.map(|one| &self.one[one].labels));
                let of_result = by_labels.entry(result).or_default();
                of_result.resize(self.steps, false);
                seen = Some(of_result);
            }
            for &(step, _) in with {
                let was_any = std::mem::replace(&mut any[step], true);
                let was_seen = match &mut seen {
                    None => was_any,
                    Some(seen) => std::mem::replace(&mut seen[step], true),
                };
                if was_seen {
                    again = Some(step);
                    break 'met;
                }
            }
        }
        if let Some(step) = again {
            self.fail((step, 1, at), || {
                execution(if one_to_one {
                    "multiple matches for labels: many-to-one matching must be explicit \
                     (group_left/group_right)"
                } else {
                    "multiple matches for labels: grouping labels must ensure unique matches"
                })
            });
        }
    }

    /// The results of a series of "one" where nobody met it.
    fn fill_for(&mut self, at: usize, fill: f64, matched: &Matched, out: &mut Vec<Series>) {
        let mut points = Vec::new();
        for (step, point) in self.one[at].column.points() {
            if matched.any.get(step).copied().unwrap_or(false) {
                continue;
            }
            let point = self.apply_points(step, Point::Float(fill), point);
            points.extend(point.flatten().map(|point| (step, point)));
        }
        let column = Column::from_points(self.steps, points);
        if !column.is_empty() {
            let one = &self.one[at];
            let shared = self.matching.shared(&one.labels);
            let labels = self.result_labels(&shared, Some(&one.labels));
            out.push(self.result(labels, column));
        }
    }

    fn result(&self, labels: Labels, column: Column) -> Series {
        Series {
            labels,
            drop_name: self.return_bool,
            column,
        }
    }

    /// The labels of a result: those of "many", less what the matching takes, and what is to be
    /// included from "one".
    fn result_labels(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let no_name = self.drop_name || changes_metric(self.op);
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let dropped = |name: &str| {
            (no_name && is_metadata_label(name))
                || (one_to_one && self.matching.on != self.matching.names(name))
        };
        if self.matching.include.is_empty() {
            return many.without(dropped);
        }
        let mut builder = LabelsBuilder::new(many);
        builder.retain(|name, _| !dropped(name));
        // Without a partner the labels of the group stand in for its.
        let stand_in;
        let one = match one {
            Some(one) => one,
            None => {
                stand_in = self.matching.shared(many);
                &stand_in
            }
        };
        for name in &self.matching.include {
            builder.set(name, one.get(name));
        }
        builder.build()
    }
}

/// Results of one series of "many", apart by partner if labels come from there.
struct Results {
    steps: usize,
    by_partner: Vec<(Option<usize>, ResultsWith)>,
}

/// Results with one partner.
struct ResultsWith {
    /// One a step.
    floats: Vec<f64>,
    histograms: Vec<(usize, Histogram)>,
}

impl Results {
    fn new(steps: usize) -> Results {
        Results {
            steps,
            by_partner: Vec::new(),
        }
    }

    fn of(&mut self, partner: Option<usize>) -> &mut ResultsWith {
        let at = match self.by_partner.iter().position(|(p, _)| *p == partner) {
            Some(at) => at,
            None => {
                let results = ResultsWith {
                    floats: vec![ABSENT; self.steps],
                    histograms: Vec::new(),
                };
                self.by_partner.push((partner, results));
                self.by_partner.len() - 1
            }
        };
        &mut self.by_partner[at].1
    }
}
