//! A query in other words that must answer the same.
//!
//! Pinned to its time with `@`, an instant query gives the same answer at any other time. That
//! holds unless a function looks at the time itself.

use promql_syntax::ast::AtModifier;
use promql_syntax::{Expr, ParseOptions};

/// Functions whose answer depends on when the query is asked even if all selectors are pinned.
const TIME_DEPENDENT: [&str; 14] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
];

/// The query pinned to `time_ms`, with times at which to ask it; nothing if it depends on the time
/// in another way.
///
/// # Errors
/// If the query cannot be parsed.
pub(crate) fn pinned(query: &str, time_ms: i64) -> Result<Vec<(String, i64)>, String> {
    let mut expr =
        promql_syntax::parse(query, &ParseOptions::ALL).map_err(|error| error.to_string())?;
    let mut is_time_dependent = false;
    expr.walk(&mut |expr| {
        if let Expr::Call(call) = expr {
            is_time_dependent |=
                TIME_DEPENDENT.contains(&call.function.name) || call.function.name == "timestamp";
        }
    });
    if is_time_dependent {
        return Ok(Vec::new());
    }
    pin(&mut expr, time_ms);
    let times = match time_ms {
        0 => vec![-1_000, 0, 1_000],
        t => vec![-10 * t, 0, t / 5, t, 10 * t],
    };
    let query = expr.to_string();
    Ok(times.into_iter().map(|t| (query.clone(), t)).collect())
}

/// Pins what is not pinned yet; what stands in a subquery is pinned with it.
fn pin(expr: &mut Expr, time_ms: i64) {
    let shift = match expr {
        Expr::Vector(selector) => Some(&mut selector.shift),
        Expr::Matrix(matrix) => Some(&mut matrix.selector.shift),
        Expr::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    };
    if let Some(shift) = shift {
        if !matches!(shift.at, Some(AtModifier::TimestampMs(_))) {
            shift.at = Some(AtModifier::TimestampMs(time_ms));
        }
        return;
    }
    for child in expr.children_mut() {
        pin(child, time_ms);
    }
}

/// Whether the query looks at the range that it is asked over, and so answers differently as part
/// of a range query.
pub(crate) fn depends_on_range(query: &str) -> bool {
    ["start()", "end()", "range()", "step()"]
        .iter()
        .any(|call| query.contains(call))
}
