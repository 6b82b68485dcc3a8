//! Which format a page is in.

/// The format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus's text format, 0.0.4 and 1.0.0: the one parser reads both.
    PrometheusText,
    /// OpenMetrics text, 0.0.1 and 1.0.0.
    OpenMetrics,
}

/// The chosen format, and what was wrong with the answer's header if the fallback had to help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The format.
    pub format: Format,
    /// Worth a line in the debug log, not an error.
    pub warning: Option<String>,
}

/// Why there is no parser for a page; the scrape fails with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl Format {
    /// The format that the header `Content-Type` says. If it says nothing that is known, then
    /// `fallback`, the media type of the job's `fallback_scrape_protocol` (empty if it has none).
    ///
    /// # Errors
    /// If neither helps, or if the page is in the protobuf format, which is not supported yet.
    pub fn choose(content_type: &str, fallback: &str) -> Result<Choice, FormatError> {
        let _ = (content_type, fallback);
        Err(FormatError("not yet".to_owned()))
    }
}
