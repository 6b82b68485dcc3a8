//! `format_query` and `parse_query`: what the parser makes of a query.

use promql_syntax::ParseOptions;

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

fn parsed(app: &App, call: &Call) -> Result<promql_syntax::Expr, ApiError> {
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
    parsed(app, call)
        .map(|expr| Reply::data(|json| write_expr(json, &expr)))
        .into()
}
