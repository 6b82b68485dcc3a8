//! The pull parser.

use crate::{Entry, Format, ParseError};

/// What becomes of OpenMetrics's `_created` series of counters, histograms and summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreatedSeries {
    /// They are samples as any other: Prometheus's default.
    #[default]
    Keep,
    /// They are left out.
    Skip,
}

/// How a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParserOptions {
    /// The page's format.
    pub format: Format,
    /// About `_created` series, OpenMetrics only.
    pub created: CreatedSeries,
}

/// Pulls the entries out of a page.
#[derive(Debug)]
pub struct Parser<'a> {
    _page: &'a [u8],
}

impl<'a> Parser<'a> {
    /// A parser at the beginning of `page`.
    #[must_use]
    pub fn new(page: &'a [u8], options: ParserOptions) -> Parser<'a> {
        let _ = options;
        Parser { _page: page }
    }

    /// The next entry; `None` after the last one.
    ///
    /// # Errors
    /// If the page is malformed here. Nothing that came before may be used then, and what further
    /// calls answer means nothing.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        Err(ParseError("not yet".to_owned()))
    }

    /// The value and timestamp (in milliseconds) of the next line, if it is a plain sample of exactly
    /// the series `expected`. If not, or if the line has anything unusual, `None`: the parser stays
    /// where it is, and [`Parser::next`] reads the line.
    ///
    /// `expected` must be a series text that a parser of the same format handed out.
    #[inline]
    pub fn next_predicted(&mut self, expected: &[u8]) -> Option<(f64, Option<i64>)> {
        let _ = expected;
        None
    }
}
