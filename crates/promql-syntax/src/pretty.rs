//! Queries on several lines.
//!
//! An expression stays on one line if its normal form is short enough. Otherwise it is split at its
//! own level, and its parts are treated alike, one level further in.

use crate::ast::Expr;
use crate::print::{Aggregation, Operator, SubquerySuffix};

/// Bytes of an expression's normal form up to which it is not split; indentation does not count.
const LINE_BYTES_MAX: usize = 100;

/// The query, split into lines where it is long.
#[must_use]
pub fn prettify(expr: &Expr) -> String {
    pretty(expr, 0)
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    let is_short = line.len() <= LINE_BYTES_MAX;
    match expr {
        Expr::Unary(unary) => {
            let operand = pretty(&unary.expr, level);
            format!("{indent}{}{}", unary.op, operand.trim())
        }
        // Prometheus does not indent it.
        Expr::Subquery(_) if is_short => line,
        Expr::Subquery(subquery) => {
            format!(
                "{}{}",
                pretty(&subquery.expr, level),
                SubquerySuffix(subquery)
            )
        }
        _ if is_short => indent + &line,
        Expr::Binary(binary) => format!(
            "{}\n{indent}{}\n{}",
            pretty(&binary.lhs, level + 1),
            Operator(binary),
            pretty(&binary.rhs, level + 1)
        ),
        Expr::Aggregate(aggregate) => {
            let param = aggregate
                .param
                .as_ref()
                .map(|param| pretty(param, level + 1) + ",\n")
                .unwrap_or_default();
            format!(
                "{indent}{}(\n{param}{}\n{indent})",
                Aggregation(aggregate),
                pretty(&aggregate.expr, level + 1)
            )
        }
        Expr::Call(call) => {
            let args: Vec<String> = call.args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!(
                "{indent}{}(\n{}\n{indent})",
                call.function.name,
                args.join(",\n")
            )
        }
        Expr::Paren(paren) => {
            format!("{indent}(\n{}\n{indent})", pretty(&paren.expr, level + 1))
        }
        Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => indent + &line,
    }
}
