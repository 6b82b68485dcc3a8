//! `format_query` and `parse_query`: what the parser makes of a query.

use gocompat::strconv::format_float_f;
use http::StatusCode;
use promql_syntax::{Expr, ParseOptions};

use crate::app::{App, Call};
use crate::ast::write_expr;
use crate::error::ApiError;
use crate::reply::Reply;

/// The parts of the language that the engine has switched on.
pub(crate) fn parse_options(app: &App) -> ParseOptions {
    let features = app.deps.engine.options().features;
    ParseOptions {
        experimental_functions: features.experimental_functions,
        extended_range_selectors: features.extended_range_selectors,
        binop_fill_modifiers: features.binop_fill_modifiers,
        ..ParseOptions::default()
    }
}

fn parsed(app: &App, call: &Call) -> Result<Expr, ApiError> {
    promql_syntax::parse(call.form.first("query"), &parse_options(app))
        .map_err(|errors| ApiError::parameter("query", errors.to_string()))
}

/// `GET|POST /api/v1/format_query`
pub(crate) fn format_query(app: &App, call: &Call) -> Reply {
    parsed(app, call)
        .map(|expr| Reply::data(|json| json.text(&promql_syntax::prettify(&expr))))
        .into()
}

/// `GET|POST /api/v1/parse_query`
pub(crate) fn parse_query(app: &App, call: &Call) -> Reply {
    let expr = match parsed(app, call) {
        Ok(expr) => expr,
        Err(error) => return error.into(),
    };
    match first_not_finite(&expr) {
        None => Reply::data(|json| write_expr(json, &expr)),
        Some(value) => {
            let value = format_float_f(value);
            let message = format!("v1.Response.Data: unsupported value: {value}");
            Reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, &message)
        }
    }
}

/// The first value of a fill modifier that JSON has no number for, in the order in which the tree is
/// written. Upstream finds out while it writes, and answers with an error, too.
fn first_not_finite(expr: &Expr) -> Option<f64> {
    let Expr::Binary(binary) = expr else {
        return expr.children().find_map(first_not_finite);
    };
    let fill = binary.matching.as_ref().map(|matching| matching.fill);
    let own = fill.into_iter().flat_map(|fill| [fill.lhs, fill.rhs]);
    first_not_finite(&binary.lhs)
        .or_else(|| own.flatten().find(|value| !value.is_finite()))
        .or_else(|| first_not_finite(&binary.rhs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_values_that_are_no_numbers_are_found_in_order() {
        for (query, found) in [
            ("a + fill(1e300) b", None),
            ("a + fill(NaN) b", Some("NaN")),
            (
                "a + fill_left(1) fill_right(Inf) (b + fill(NaN) c)",
                Some("+Inf"),
            ),
            ("(a + fill_right(-Inf) b) + fill(Inf) c", Some("-Inf")),
            ("sum(abs(a + fill(1) -(b + fill(Inf) c)))", Some("+Inf")),
        ] {
            let expr = promql_syntax::parse(query, &ParseOptions::ALL).unwrap();
            let value = first_not_finite(&expr).map(format_float_f);
            assert_eq!(value.as_deref(), found, "{query}");
        }
    }
}
