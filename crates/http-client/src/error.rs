//! Why there is no answer.

/// Why there is no answer. The texts are those of Go's client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The exchange did not begin, or broke before there was a status: `Get "URL": …`.
    #[error("Get {url}: {reason}")]
    Request {
        /// The URL, quoted.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The status is not 200.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The body, unpacked, reaches the limit.
    #[error("body size limit exceeded")]
    BodySizeLimit,
    /// The body broke off, is not gzip, or did not come in time.
    #[error("{0}")]
    Body(String),
    /// The URL is none, or needs something that is not supported.
    #[error("{0}")]
    Url(String),
}
