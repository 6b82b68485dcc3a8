//! Finds what is well formed but means nothing: wrong types, wrong numbers of arguments, modifiers
//! where they do not belong.
//!
//! The order of the checks is Prometheus's, because only the first error is shown.

use std::ops::Range;

use crate::ast::{
    AggregateExpr, AggregateOp, BinaryExpr, Call, Cardinality, Expr, ValueType, VectorSelector,
};
use crate::error::ParseError;

/// Checks a tree. Fixes what depends on types on the way: set operators match many to many, and
/// operators on scalars do not match at all.
pub(crate) fn check(query: &str, expr: &mut Expr) -> Vec<ParseError> {
    let mut checker = Checker {
        query,
        errors: Vec::new(),
    };
    checker.expr(expr);
    checker.errors
}

struct Checker<'q> {
    query: &'q str,
    errors: Vec<ParseError>,
}

impl Checker<'_> {
    fn error(&mut self, position: Range<usize>, message: impl Into<String>) {
        self.errors
            .push(ParseError::new(self.query, position, message.into()));
    }

    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        match expr {
            Expr::Number(_) | Expr::String(_) => {}
            Expr::Vector(selector) => self.selector(selector, true),
            Expr::Matrix(matrix) => self.selector(&matrix.selector, true),
            Expr::Paren(paren) => {
                self.expr(&mut paren.expr);
            }
            Expr::Unary(unary) => {
                let found = self.expr(&mut unary.expr);
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant \
                         vector, got \"{}\"",
                        found.documented()
                    );
                    self.error(unary.position.clone(), message);
                }
            }
            Expr::Subquery(subquery) => {
                let found = self.expr(&mut subquery.expr);
                if found != ValueType::Vector {
                    let message =
                        format!("subquery is only allowed on instant vector, got {found} instead");
                    self.error(subquery.position.clone(), message);
                }
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Call(call) => self.call(call),
            Expr::Binary(binary) => self.binary(binary),
        }
        expr.value_type()
    }

    fn expect_type(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let found = self.expr(expr);
        if found != want {
            let message = format!(
                "expected type {} in {context}, got {}",
                want.documented(),
                found.documented()
            );
            self.error(expr.position(), message);
        }
    }

    /// A selector must not be able to select everything.
    fn selector(&mut self, selector: &VectorSelector, must_restrict: bool) {
        if let Some((_, others)) = selector.matchers.split_last()
            && !selector.name.is_empty()
        {
            for matcher in others.iter().filter(|matcher| matcher.is_on_name()) {
                let message = format!(
                    "metric name must not be set twice: {} or {}",
                    gocompat::strconv::quote(&selector.name),
                    gocompat::strconv::quote(matcher.value())
                );
                self.error(selector.position.clone(), message);
            }
            return;
        }
        if must_restrict
            && selector
                .matchers
                .iter()
                .all(|matcher| matcher.matches_empty())
        {
            let message = "vector selector must contain at least one non-empty matcher";
            self.error(selector.position.clone(), message);
        }
    }

    fn aggregate(&mut self, aggregate: &mut AggregateExpr) {
        self.expect_type(
            &mut aggregate.expr,
            ValueType::Vector,
            "aggregation expression",
        );
        let Some(param) = &mut aggregate.param else {
            return;
        };
        let want = match aggregate.op {
            AggregateOp::CountValues => ValueType::String,
            _ => ValueType::Scalar,
        };
        self.expect_type(param, want, "aggregation parameter");
    }

    fn call(&mut self, call: &mut Call) {
        self.argument_count(call);
        let function = call.function;
        let is_info = function.name == "info";
        if is_info && call.args.len() > 1 {
            self.info_selector(&call.args[1], call.position.clone());
        }
        for (index, arg) in call.args.iter_mut().enumerate() {
            let want = match function.arg_types.get(index) {
                Some(&want) => want,
                None if function.variadic == 0 => break,
                None => match function.arg_types.last() {
                    Some(&want) => want,
                    None => break,
                },
            };
            let found = match &*arg {
                // Labels are picked here, not series, so they need not restrict anything.
                Expr::Vector(selector) if is_info && index == 1 && selector.name.is_empty() => {
                    self.selector(selector, false);
                    ValueType::Vector
                }
                _ => self.expr(arg),
            };
            if found != want {
                let message = format!(
                    "expected type {} in call to function \"{}\", got {}",
                    want.documented(),
                    function.name,
                    found.documented()
                );
                self.error(arg.position(), message);
            }
        }
    }

    fn argument_count(&mut self, call: &Call) {
        let function = call.function;
        let (got, listed) = (call.args.len(), function.arg_types.len());
        let (bound, want) = if function.variadic == 0 {
            if got == listed {
                return;
            }
            ("", listed)
        } else {
            let least = listed - 1;
            // Below zero: any number.
            let most = usize::try_from(function.variadic)
                .ok()
                .map(|more| least + more);
            match most {
                _ if got < least => ("at least ", least),
                Some(most) if got > most => ("at most ", most),
                _ => return,
            }
        };
        let message = format!(
            "expected {bound}{want} argument(s) in call to \"{}\", got {got}",
            function.name
        );
        self.error(call.position.clone(), message);
    }

    /// The second argument of `info` has the shape of a selector, but only picks labels.
    fn info_selector(&mut self, arg: &Expr, call: Range<usize>) {
        let found = arg.value_type();
        if found != ValueType::Vector {
            let message = format!(
                "expected type {} in call to function \"info\", got {}",
                ValueType::Vector.documented(),
                found.documented()
            );
            self.error(call, message);
        }
        let message = match arg {
            Expr::Vector(selector) if selector.name.is_empty() => return,
            Expr::Vector(_) => "expected label selectors only, got vector selector instead",
            _ => "expected label selectors only",
        };
        self.error(arg.position(), message);
    }

    fn binary(&mut self, binary: &mut BinaryExpr) {
        let lhs = self.expr(&mut binary.lhs);
        let rhs = self.expr(&mut binary.rhs);
        let op = binary.op;
        if binary.return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            self.error(self.operator_position(binary), message);
        }
        let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        if op.is_comparison() && !binary.return_bool && scalars {
            let message = "comparisons between scalars must use BOOL modifier";
            self.error(self.operator_position(binary), message);
        }
        self.matching(binary);
        for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                self.error(side.position(), message);
            }
        }
        if lhs == ValueType::Vector && rhs == ValueType::Vector {
            self.vector_matching(binary);
        } else {
            self.no_matching(binary);
        }
        if op.is_set_operator() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
            let message = format!("set operator \"{op}\" not allowed in binary scalar expression");
            self.error(binary.position.clone(), message);
        }
    }

    fn matching(&mut self, binary: &mut BinaryExpr) {
        let Some(matching) = &mut binary.matching else {
            return;
        };
        if binary.op.is_set_operator() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        let Some(matching) = &binary.matching else {
            return;
        };
        for label in matching.labels.iter().filter(|_| matching.on) {
            for _ in matching
                .include
                .iter()
                .filter(|included| *included == label)
            {
                let message = format!(
                    "label {} must not occur in ON and GROUP clause at once",
                    gocompat::strconv::quote(label)
                );
                self.error(self.operator_position(binary), message);
            }
        }
    }

    fn no_matching(&mut self, binary: &mut BinaryExpr) {
        let Some(matching) = binary.matching.take() else {
            return;
        };
        if !matching.labels.is_empty() {
            let message = "vector matching only allowed between instant vectors";
            self.error(binary.position.clone(), message);
        }
        if matching.fill.is_set() {
            let message = "filling in missing series only allowed between instant vectors";
            self.error(binary.position.clone(), message);
        }
    }

    fn vector_matching(&mut self, binary: &BinaryExpr) {
        let Some(matching) = binary
            .matching
            .as_ref()
            .filter(|_| binary.op.is_set_operator())
        else {
            return;
        };
        let position = || binary.position.clone();
        if matches!(
            matching.cardinality,
            Cardinality::OneToMany | Cardinality::ManyToOne
        ) {
            let message = format!("no grouping allowed for \"{}\" operation", binary.op);
            self.error(position(), message);
        }
        if matching.cardinality != Cardinality::ManyToMany {
            self.error(position(), "set operations must always be many-to-many");
        }
        if matching.fill.is_set() {
            let message = "filling in missing series not allowed for set operators";
            self.error(position(), message);
        }
    }

    /// What stands between the operands, without the white space around it.
    fn operator_position(&self, binary: &BinaryExpr) -> Range<usize> {
        let (start, end) = (binary.lhs.position().end, binary.rhs.position().start);
        let between = self.query.get(start..end).unwrap_or_default();
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let leading = between.len() - between.trim_start_matches(is_space).len();
        let trailing = between.len() - between.trim_end_matches(is_space).len();
        start + leading..end.saturating_sub(trailing)
    }
}
