//! What is asked, and what is answered.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;

/// How a request is made.
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// Headers beside `Host` and `Accept-Encoding`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the server may compress the body (`Accept-Encoding: gzip`, else `identity`).
    pub accept_gzip: bool,
    /// Bound of the whole exchange: resolving, dialling, redirects and the body.
    pub timeout: Duration,
    /// Bound of the body after unpacking; a body of this size or more is refused
    /// (`body_size_limit`). 0 is no bound but [`Request::BODY_BYTES_MAX`].
    pub body_bytes_max: u64,
    /// Whether redirects are followed, 10 at most; if not, the redirect is the answer.
    pub follow_redirects: bool,
}

/// A GET that can be sent many times; made once per target.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) url: String,
    pub(crate) options: RequestOptions,
}

/// The head of the answer; the body is in the caller's buffer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status, 200.
    pub status: http::StatusCode,
    /// The status with the words that the server used: `404 Not Found`.
    pub status_text: String,
    /// The headers.
    pub headers: HeaderMap,
}

impl Request {
    /// Bound of a body when the caller sets none. A page of 1 GiB would be some 10 million samples.
    pub const BODY_BYTES_MAX: u64 = 1 << 30;

    /// A request for `url`: `http://host:port/path?query`.
    ///
    /// # Errors
    /// If it is no URL, or one that is not supported yet (`https`).
    pub fn get(url: &str, options: RequestOptions) -> Result<Request, Error> {
        Ok(Request {
            url: url.to_owned(),
            options,
        })
    }

    /// The URL as given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Response {
    /// The header `Content-Type`, or the empty text.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }
}
