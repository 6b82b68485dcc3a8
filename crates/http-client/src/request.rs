//! What is asked, and what is answered.

use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;
use crate::url::Url;

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
    /// Whether redirects are followed, 10 requests at most; if not, the redirect is the answer.
    pub follow_redirects: bool,
}

/// A GET that can be sent many times; made once per target.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) url: Url,
    /// All but `Host`.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) body_bytes_max: u64,
    pub(crate) follow_redirects: bool,
}

/// The head of the answer; the body is in the caller's buffer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The headers.
    pub headers: HeaderMap,
}

impl Request {
    /// Bound of a body when the caller sets none. A page of 1 GiB would be some 5 million samples.
    pub const BODY_BYTES_MAX: u64 = 1 << 30;

    /// A request for `url`: `http://host:port/path?query`.
    ///
    /// # Errors
    /// If it is no URL, or one that is not supported yet (`https`).
    pub fn get(url: &str, options: RequestOptions) -> Result<Request, Error> {
        let mut headers = HeaderMap::with_capacity(options.headers.len() + 2);
        for (name, value) in options.headers {
            headers.append(name, value);
        }
        headers.remove(HOST);
        let coding = if options.accept_gzip {
            "gzip"
        } else {
            "identity"
        };
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
        Ok(Request {
            url: Url::parse(url)?,
            headers,
            timeout: options.timeout,
            body_bytes_max: match options.body_bytes_max {
                0 => Request::BODY_BYTES_MAX,
                bytes_max => bytes_max,
            },
            follow_redirects: options.follow_redirects,
        })
    }

    /// The URL as given, without a fragment.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url.text
    }
}

impl Response {
    /// The header `Content-Type`, or the empty text.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }
}
