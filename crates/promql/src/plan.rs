//! The form in which a query is evaluated: durations are numbers, functions are looked up, parts
//! that are the same at all steps are marked. `planner` makes it from the parsed query.

use model::Matcher;
use promql_syntax::ast::{BinaryOp, Cardinality};

use crate::annotations::Position;
use crate::functions::Function;
use crate::window::Reach;

/// A part of a query, with its place in the text.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Number(f64),
    Text(Text),
    Selector(Selector),
    Range(RangeSelector),
    Subquery(Box<Subquery>),
    Negate(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Call),
    /// The same at all steps: evaluated at the first one only.
    Invariant(Box<Node>),
}

/// A text of the query.
#[derive(Debug)]
pub(crate) struct Text {
    /// With replacement characters where it is no UTF-8.
    pub(crate) value: String,
    /// As the query writes it, if it is no UTF-8: then it is no name of a label.
    pub(crate) not_utf8: Option<String>,
}

/// What a part of a query evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset_ms: i64,
    /// `@`, `start()` and `end()` resolved.
    pub(crate) at_ms: Option<i64>,
    pub(crate) reach: Reach,
    /// Only counts and sums of native histograms matter.
    pub(crate) without_buckets: bool,
    /// It only matters at which steps there are values.
    pub(crate) presence_only: bool,
    /// The only labels that are looked at, sorted; `None` for all.
    pub(crate) labels: Option<Vec<String>>,
}

impl Selector {
    /// Whether all series that match have the same metric name.
    pub(crate) fn fixes_name(&self) -> bool {
        let fixed = |m: &Matcher| m.is_on_name() && m.op() == model::MatchOp::Equal;
        self.matchers.iter().any(fixed)
    }
}

#[derive(Debug)]
pub(crate) struct RangeSelector {
    pub(crate) selector: Selector,
    pub(crate) range_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Subquery {
    pub(crate) expr: Node,
    pub(crate) range_ms: i64,
    /// None for the default.
    pub(crate) step_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) return_bool: bool,
    /// Between vectors always there.
    pub(crate) matching: Matching,
}

/// How series of two vectors find each other.
#[derive(Debug)]
pub(crate) struct Matching {
    pub(crate) cardinality: Cardinality,
    pub(crate) on: bool,
    /// Sorted.
    pub(crate) labels: Vec<String>,
    pub(crate) include: Vec<String>,
    pub(crate) fill_left: Option<f64>,
    pub(crate) fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Fold(crate::aggregate::Fold),
    CountValues,
    TopK,
    BottomK,
    LimitK,
    LimitRatio,
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    /// Of all of it.
    pub(crate) position: Position,
    pub(crate) op: AggregateOp,
    pub(crate) expr: Node,
    pub(crate) param: Option<Node>,
    pub(crate) grouping: Grouping,
}

#[derive(Debug, Clone)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    /// Sorted.
    pub(crate) labels: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) args: Vec<Node>,
}

impl Node {
    pub(crate) fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Text(_) => Type::Text,
            Kind::Selector(_) | Kind::Aggregate(_) => Type::Vector,
            Kind::Range(_) | Kind::Subquery(_) => Type::Matrix,
            Kind::Negate(inner) | Kind::Invariant(inner) => inner.value_type(),
            Kind::Binary(binary) => {
                let scalar = |node: &Node| node.value_type() == Type::Scalar;
                if scalar(&binary.lhs) && scalar(&binary.rhs) {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
            Kind::Call(call) => call.function.value_type(),
        }
    }

    /// Stretches all times that the selectors below look at, first to last, when evaluated from
    /// `start_ms` to `end_ms`.
    pub(crate) fn time_range(
        &self,
        (start_ms, end_ms): (i64, i64),
        lookback_ms: i64,
        range: &mut Option<(i64, i64)>,
    ) {
        let mut include = |selector: &Selector, width_ms: i64| {
            let (start, end) = match selector.at_ms {
                Some(at) => (at, at),
                None => (start_ms, end_ms),
            };
            let (before, after) = match (selector.reach, width_ms) {
                (Reach::Inside, 0) => (lookback_ms, 0),
                (Reach::Inside, width) => (width, 0),
                (Reach::Anchored, width) => (width + lookback_ms, 0),
                (Reach::Smoothed, width) => (width + lookback_ms, lookback_ms),
            };
            let start = start - before + 1 - selector.offset_ms;
            let end = end + after - selector.offset_ms;
            let (min, max) = range.unwrap_or((start, end));
            *range = Some((min.min(start), max.max(end)));
        };
        let times = (start_ms, end_ms);
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) => {}
            Kind::Selector(selector) => include(selector, 0),
            Kind::Range(r) => include(&r.selector, r.range_ms),
            Kind::Subquery(subquery) => {
                let (start, end) = subquery.at_ms.map_or(times, |at| (at, at));
                let start = start - subquery.offset_ms - subquery.range_ms;
                let times = (start, end - subquery.offset_ms);
                subquery.expr.time_range(times, lookback_ms, range);
            }
            Kind::Negate(inner) | Kind::Invariant(inner) => {
                inner.time_range(times, lookback_ms, range);
            }
            Kind::Binary(binary) => {
                binary.lhs.time_range(times, lookback_ms, range);
                binary.rhs.time_range(times, lookback_ms, range);
            }
            Kind::Aggregate(aggregate) => {
                aggregate.expr.time_range(times, lookback_ms, range);
                if let Some(param) = &aggregate.param {
                    param.time_range(times, lookback_ms, range);
                }
            }
            Kind::Call(call) => {
                for arg in &call.args {
                    arg.time_range(times, lookback_ms, range);
                }
            }
        }
    }
}
