//! What is wrong with a query, and where.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Bytes of the query that it is about.
    pub position: Range<usize>,
    /// Line and column of the start, from 1, the column in bytes; `None` for an empty query.
    pub line_column: Option<(usize, usize)>,
    /// What is wrong, in Prometheus's words.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(query: &str, position: Range<usize>, message: String) -> ParseError {
        let line_column = (!query.is_empty()).then(|| line_column(query, position.start));
        ParseError {
            position,
            line_column,
            message,
        }
    }
}

/// Line and column of a byte, both from 1; a column is a byte.
fn line_column(query: &str, offset: usize) -> (usize, usize) {
    let before = &query.as_bytes()[..offset.min(query.len())];
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |i| i + 1);
    let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
    (line, before.len() - line_start + 1)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line_column {
            Some((line, column)) => write!(f, "{line}:{column}")?,
            None => f.write_str("unknown position")?,
        }
        write!(f, ": parse error: {}", self.message)
    }
}

impl std::error::Error for ParseError {}

/// Everything that was found before the parser gave up; never empty.
///
/// As in Prometheus only the first is printed: what follows is often a consequence of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseErrors(pub Vec<ParseError>);

impl ParseErrors {
    /// The error that is printed.
    #[must_use]
    pub fn first(&self) -> &ParseError {
        &self.0[0]
    }

    /// Moves the lines of all errors, for queries that stand inside a larger file.
    pub fn shift_lines(&mut self, lines: usize) {
        for error in &mut self.0 {
            if let Some((line, _)) = &mut error.line_column {
                *line += lines;
            }
        }
    }

    pub(crate) fn new(errors: Vec<ParseError>) -> ParseErrors {
        debug_assert!(!errors.is_empty(), "whoever gives up says why");
        ParseErrors(errors)
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)
    }
}

impl std::error::Error for ParseErrors {}
