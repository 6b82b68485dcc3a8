//! The syntax of PromQL: lexer, parser, tree with positions, type check, printer and prettifier;
//! and the series descriptions of its test language.
//!
//! A query goes through three steps. `lexer` cuts it into tokens; its modes (inside braces, inside
//! brackets, inside a histogram literal) depend on the text alone, never on the parser. `parser` is
//! a Pratt parser over them that reads one token ahead at most. `check` then walks the tree and
//! finds what is well formed but means nothing, as a sum over a range vector.
//!
//! What users see is Prometheus's: which queries are accepted, the text and the position of the
//! first error, and the normal form that `Display` writes. Two limits are our own, so that no input
//! can overflow the stack or the memory: [`DEPTH_MAX`] and [`VALUES_MAX`].
//!
//! The crate does no I/O and knows nothing of evaluation, except that
//! [`resolve_durations`] folds duration expressions once the query's range and step are known.

pub mod ast;
mod check;
mod durations;
mod error;
mod lexer;
mod options;
mod parser;
mod pretty;
mod print;
mod series;
mod text;

pub use ast::Expr;
pub use durations::{DurationError, resolve_durations};
pub use error::{ParseError, ParseErrors};
pub use options::ParseOptions;
pub use pretty::prettify;
pub use series::{SequenceValue, SeriesDescription, VALUES_MAX};

use model::{Labels, Matcher};

/// How many levels a tree may have.
///
/// Parser, printer, checks, engine and the drop of the tree itself recurse once a level. On the
/// 2 MiB stack of a worker thread this leaves each of them 4 KiB a level and some to spare.
pub const DEPTH_MAX: usize = 400;

/// Parses and type-checks a query.
///
/// # Errors
/// What is wrong with it and where; the first of them is what users see.
pub fn parse(query: &str, options: &ParseOptions) -> Result<Expr, ParseErrors> {
    let mut expr = parser::parse_expr(query, options)?;
    let errors = check::check(query, &mut expr);
    if errors.is_empty() {
        Ok(expr)
    } else {
        Err(ParseErrors::new(errors))
    }
}

/// Parses one series' name and labels: `up{job="a"}`.
///
/// # Errors
/// What is wrong with it and where.
pub fn parse_metric(text: &str) -> Result<Labels, ParseErrors> {
    parser::parse_metric(text)
}

/// Parses a selector without modifiers, as `match[]` and rules take it, to its matchers.
///
/// # Errors
/// What is wrong with it and where. That at least one matcher must refuse the empty string is not
/// checked here, as Prometheus leaves it to the caller.
pub fn parse_metric_selector(text: &str) -> Result<Vec<Matcher>, ParseErrors> {
    parser::parse_selector(text)
}

/// Parses several selectors; the first that is wrong ends it.
///
/// # Errors
/// As [`parse_metric_selector`].
pub fn parse_metric_selectors(
    texts: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Vec<Vec<Matcher>>, ParseErrors> {
    texts
        .into_iter()
        .map(|text| parse_metric_selector(text.as_ref()))
        .collect()
}

/// Parses a series of the test language: `up{job="a"} 1+2x3 _ stale {{schema:1 buckets:[1 2]}}`.
///
/// # Errors
/// What is wrong with it and where.
pub fn parse_series_desc(text: &str) -> Result<SeriesDescription, ParseErrors> {
    parser::parse_series(text)
}
