//! From the parsed query to the form that is evaluated.
//!
//! Durations are computed by `promql_syntax::resolve_durations`; here `start()` and its like become
//! numbers and times, parentheses go, functions are looked up, and the highest parts that are the
//! same at all steps are wrapped, so that they are evaluated once.

use promql_syntax::ast::{self, AtModifier, BinaryOp, Cardinality, Expr, UnaryOp};

use crate::aggregate::Fold;
use crate::error::QueryError;
use crate::eval::{fixes_name, range_fixes_name};
use crate::functions::Function;
use crate::gomath::seconds;
use crate::plan::{
    Aggregate, AggregateOp, Binary, Call, Grouping, Kind, Matching, Node, RangeSelector, Selector,
    Subquery, Text, Type,
};
use crate::window::{RangeFunction, Reach};

/// The times that a query asks for, as far as its text can name them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryTimes {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// 0 for an instant query.
    pub(crate) step_ms: i64,
}

/// A part of the plan, and whether it is the same at all steps.
struct Part {
    node: Node,
    invariant: bool,
    /// False for what costs nothing to evaluate again, and for ranges, whose samples keep their
    /// own times.
    worth_wrapping: bool,
}

impl Part {
    /// The node, to be evaluated once if that can be.
    fn wrapped(self) -> Node {
        if self.worth_wrapping {
            Node {
                position: self.node.position.clone(),
                kind: Kind::Invariant(Box::new(self.node)),
            }
        } else {
            self.node
        }
    }
}

/// Plans a query whose durations are resolved.
pub(crate) fn plan(expr: &Expr, times: QueryTimes) -> Result<Node, QueryError> {
    let mut node = part(expr, times)?.wrapped();
    spare_buckets(&mut node, Buckets::Unknown);
    spare_labels(&mut node, None);
    Ok(node)
}

/// Labels that are looked at besides those of groups: notes tell the name, and what takes names away
/// asks whether label sets stay different.
const LOOKED_AT: [&str; 3] = [model::METRIC_NAME, "__type__", "__unit__"];

/// Marks the selectors of which only the labels of groups are looked at, `looked_at` on the way from
/// the root to this node, and those of which not even the values are.
fn spare_labels(node: &mut Node, looked_at: Option<&[String]>) {
    match &mut node.kind {
        Kind::Number(_) | Kind::Text(_) => {}
        Kind::Selector(selector) | Kind::Range(RangeSelector { selector, .. }) => {
            selector.labels = looked_at.map(|labels| {
                let more = LOOKED_AT.map(str::to_owned);
                let mut labels: Vec<String> = labels.iter().cloned().chain(more).collect();
                labels.sort_unstable();
                labels.dedup();
                labels
            });
        }
        Kind::Invariant(inner) => spare_labels(inner, looked_at),
        Kind::Subquery(subquery) => spare_labels(&mut subquery.expr, None),
        Kind::Negate(inner) => {
            let stays = fixes_name(inner) || drops_name(inner);
            spare_labels(inner, looked_at.filter(|_| stays));
        }
        Kind::Binary(binary) => {
            let is_scalar = |node: &Node| node.value_type() == Type::Scalar;
            let with_scalar = is_scalar(&binary.lhs) != is_scalar(&binary.rhs);
            for side in [&mut binary.lhs, &mut binary.rhs] {
                let stays = with_scalar && (fixes_name(side) || drops_name(side));
                spare_labels(side, looked_at.filter(|_| stays));
            }
        }
        Kind::Aggregate(aggregate) => {
            let folds = matches!(aggregate.op, AggregateOp::Fold(_));
            let groups = &aggregate.grouping;
            let labels = (folds && !groups.without).then_some(groups.labels.as_slice());
            spare_labels(&mut aggregate.expr, labels);
            if let (AggregateOp::Fold(Fold::Count | Fold::Group), Kind::Selector(selector)) =
                (aggregate.op, &mut aggregate.expr.kind)
            {
                selector.presence_only = true;
            }
            if let Some(param) = &mut aggregate.param {
                spare_labels(param, None);
            }
        }
        Kind::Call(call) => {
            let stays = match call.function {
                Function::Range(RangeFunction::AbsentOverTime) => false,
                Function::Range(function) => {
                    function.keeps_name() || call.args.iter().any(range_fixes_name)
                }
                _ => false,
            };
            for arg in &mut call.args {
                let looked_at = looked_at.filter(|_| stays && matches!(arg.kind, Kind::Range(_)));
                spare_labels(arg, looked_at);
            }
        }
    }
}

/// Whether what comes from a node has lost its names, one series at a time.
fn drops_name(node: &Node) -> bool {
    match &node.kind {
        Kind::Call(Call {
            function: Function::Range(function),
            args,
        }) => !function.keeps_name() && args.iter().any(range_fixes_name),
        _ => false,
    }
}

/// What the way from the root of the plan says of the buckets of native histograms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Buckets {
    /// Nothing yet: then they are read.
    Unknown,
    /// They do not show in the result.
    Spared,
    /// They are looked at on the way. Subqueries too: they find resets by looking at them.
    Needed,
}

/// Marks the selectors of which only counts and sums matter.
fn spare_buckets(node: &mut Node, buckets: Buckets) {
    let all = |nodes: &mut [Node], buckets: Buckets| {
        nodes
            .iter_mut()
            .for_each(|node| spare_buckets(node, buckets));
    };
    match &mut node.kind {
        Kind::Number(_) | Kind::Text(_) => {}
        Kind::Selector(selector) | Kind::Range(RangeSelector { selector, .. }) => {
            selector.without_buckets = buckets == Buckets::Spared;
        }
        Kind::Subquery(subquery) => spare_buckets(&mut subquery.expr, Buckets::Needed),
        Kind::Negate(inner) | Kind::Invariant(inner) => spare_buckets(inner, buckets),
        Kind::Binary(binary) => {
            let trims = matches!(binary.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
            let buckets = if trims { Buckets::Needed } else { buckets };
            spare_buckets(&mut binary.lhs, buckets);
            spare_buckets(&mut binary.rhs, buckets);
        }
        Kind::Aggregate(aggregate) => {
            spare_buckets(&mut aggregate.expr, buckets);
            if let Some(param) = &mut aggregate.param {
                spare_buckets(param, buckets);
            }
        }
        Kind::Call(call) => {
            let buckets = match call.function {
                Function::HistogramQuantile
                | Function::HistogramQuantiles
                | Function::HistogramFraction => Buckets::Needed,
                Function::NativeHistogram(part) if !part.needs_buckets() => match buckets {
                    Buckets::Needed => Buckets::Needed,
                    Buckets::Unknown | Buckets::Spared => Buckets::Spared,
                },
                _ => buckets,
            };
            all(&mut call.args, buckets);
        }
    }
}

fn part(expr: &Expr, times: QueryTimes) -> Result<Part, QueryError> {
    let at = |kind: Kind, invariant: bool, worth_wrapping: bool| Part {
        node: Node {
            position: expr.position(),
            kind,
        },
        invariant,
        worth_wrapping,
    };
    Ok(match expr {
        Expr::Number(number) => at(Kind::Number(number.value), true, false),
        Expr::String(text) => {
            let text = Text {
                value: text.value.clone(),
                not_utf8: text.bytes.as_ref().map(|_| expr.to_string()),
            };
            at(Kind::Text(text), true, false)
        }
        Expr::Paren(paren) => part(&paren.expr, times)?,
        Expr::Vector(vector) => {
            let selector = selector(vector, times);
            let pinned = selector.at_ms.is_some();
            at(Kind::Selector(selector), pinned, pinned)
        }
        Expr::Matrix(matrix) => {
            let selector = selector(&matrix.selector, times);
            let pinned = selector.at_ms.is_some();
            let range_ms = matrix.range.ms;
            at(
                Kind::Range(RangeSelector { selector, range_ms }),
                pinned,
                false,
            )
        }
        Expr::Subquery(subquery) => {
            let inner = part(&subquery.expr, times)?;
            let at_ms = at_ms(subquery.shift.at, times);
            let planned = Subquery {
                expr: if inner.invariant {
                    invariant(inner.node)
                } else {
                    inner.node
                },
                range_ms: subquery.range.ms,
                step_ms: subquery
                    .step
                    .as_ref()
                    .map(|step| step.ms)
                    .filter(|&ms| ms != 0),
                offset_ms: subquery.shift.offset.ms,
                at_ms,
            };
            at(Kind::Subquery(Box::new(planned)), at_ms.is_some(), false)
        }
        Expr::Unary(unary) => {
            let inner = part(&unary.expr, times)?;
            match unary.op {
                UnaryOp::Plus => inner,
                UnaryOp::Minus => at(
                    Kind::Negate(Box::new(inner.node)),
                    inner.invariant,
                    inner.worth_wrapping,
                ),
            }
        }
        Expr::Binary(binary) => {
            let lhs = part(&binary.lhs, times)?;
            let rhs = part(&binary.rhs, times)?;
            let invariant = lhs.invariant && rhs.invariant;
            let (lhs, rhs) = if invariant {
                (lhs.node, rhs.node)
            } else {
                (lhs.wrapped(), rhs.wrapped())
            };
            let planned = Binary {
                op: binary.op,
                lhs,
                rhs,
                return_bool: binary.return_bool,
                matching: matching(binary.matching.as_ref()),
            };
            at(Kind::Binary(Box::new(planned)), invariant, invariant)
        }
        Expr::Aggregate(aggregate) => {
            let inner = part(&aggregate.expr, times)?;
            let param = match &aggregate.param {
                Some(param) => Some(part(param, times)?.node),
                None => None,
            };
            let mut labels = aggregate.grouping.clone();
            labels.sort_unstable();
            let planned = Aggregate {
                position: expr.position(),
                op: aggregate_op(aggregate.op),
                expr: inner.node,
                param,
                grouping: Grouping {
                    without: aggregate.without,
                    labels,
                },
            };
            at(
                Kind::Aggregate(Box::new(planned)),
                inner.invariant,
                inner.worth_wrapping,
            )
        }
        Expr::Call(call) => {
            if let Some(value) = query_context(call.function.name, times) {
                return Ok(at(Kind::Number(value), true, false));
            }
            let function = Function::from_name(call.function.name).ok_or_else(|| {
                let name = call.function.name;
                QueryError::Execution(format!("function \"{name}\" is not supported yet"))
            })?;
            let args = call.args.iter().map(|arg| part(arg, times));
            let mut args = args.collect::<Result<Vec<Part>, QueryError>>()?;
            // Whose sample's times are asked for, nothing is interpolated.
            if matches!(function, Function::Timestamp | Function::StartTimestamp)
                && let Kind::Selector(selector) = &mut args[0].node.kind
            {
                selector.reach = Reach::Inside;
            }
            let all_invariant = args.iter().all(|arg| arg.invariant);
            // The time of a sample does not move if the selector is pinned.
            let of_pinned = matches!(function, Function::Timestamp)
                && matches!(args[0].node.kind, Kind::Selector(_));
            let invariant = all_invariant && (of_pinned || !function.depends_on_time());
            let args = args
                .into_iter()
                .map(|arg| if invariant { arg.node } else { arg.wrapped() })
                .collect();
            at(Kind::Call(Call { function, args }), invariant, invariant)
        }
    })
}

fn invariant(node: Node) -> Node {
    Node {
        position: node.position.clone(),
        kind: Kind::Invariant(Box::new(node)),
    }
}

fn selector(vector: &ast::VectorSelector, times: QueryTimes) -> Selector {
    Selector {
        matchers: vector.matchers.clone(),
        offset_ms: vector.shift.offset.ms,
        at_ms: at_ms(vector.shift.at, times),
        reach: if vector.anchored {
            Reach::Anchored
        } else if vector.smoothed {
            Reach::Smoothed
        } else {
            Reach::Inside
        },
        without_buckets: false,
        presence_only: false,
        labels: None,
    }
}

fn at_ms(at: Option<AtModifier>, times: QueryTimes) -> Option<i64> {
    at.map(|at| match at {
        AtModifier::TimestampMs(ms) => ms,
        AtModifier::Start => times.start_ms,
        AtModifier::End => times.end_ms,
    })
}

fn matching(matching: Option<&ast::VectorMatching>) -> Matching {
    let Some(matching) = matching else {
        return Matching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
    };
    let mut labels = matching.labels.clone();
    labels.sort_unstable();
    labels.dedup();
    Matching {
        cardinality: matching.cardinality,
        on: matching.on,
        labels,
        include: matching.include.clone(),
        fill_left: matching.fill.lhs,
        fill_right: matching.fill.rhs,
    }
}

fn aggregate_op(op: ast::AggregateOp) -> AggregateOp {
    use ast::AggregateOp as Op;
    match op {
        Op::Sum => AggregateOp::Fold(Fold::Sum),
        Op::Avg => AggregateOp::Fold(Fold::Avg),
        Op::Min => AggregateOp::Fold(Fold::Min),
        Op::Max => AggregateOp::Fold(Fold::Max),
        Op::Count => AggregateOp::Fold(Fold::Count),
        Op::Group => AggregateOp::Fold(Fold::Group),
        Op::Stddev => AggregateOp::Fold(Fold::Stddev),
        Op::Stdvar => AggregateOp::Fold(Fold::Stdvar),
        Op::Quantile => AggregateOp::Fold(Fold::Quantile),
        Op::CountValues => AggregateOp::CountValues,
        Op::Topk => AggregateOp::TopK,
        Op::Bottomk => AggregateOp::BottomK,
        Op::Limitk => AggregateOp::LimitK,
        Op::LimitRatio => AggregateOp::LimitRatio,
    }
}

/// What functions without arguments say about the query itself, in seconds.
fn query_context(name: &str, times: QueryTimes) -> Option<f64> {
    Some(match name {
        "start" => times.start_ms as f64 / 1000.0,
        "end" => times.end_ms as f64 / 1000.0,
        "range" => seconds(times.end_ms - times.start_ms),
        "step" if times.start_ms == times.end_ms => 0.0,
        "step" => seconds(times.step_ms),
        _ => return None,
    })
}
