//! Why there is no answer.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

/// Why there is no answer. The texts are those of Go's client, where it has one for the case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The exchange did not begin, or broke before there was an answer.
    #[error("Get {}: {reason}", gocompat::strconv::quote(.url))]
    Request {
        /// The URL, of the last redirect if there were any.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The status is not 200; the text has the server's words: `404 Not Found`.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The body, unpacked, reaches the limit.
    #[error("body size limit exceeded")]
    BodySizeLimit,
    /// The body broke off, is not what it says to be, or did not come in time.
    #[error("{0}")]
    Body(String),
}

/// What Go says when the time of an exchange is over.
pub(crate) const DEADLINE: &str = "context deadline exceeded";

impl Error {
    pub(crate) fn request(url: &str, reason: &str) -> Error {
        Error::Request {
            url: without_password(url),
            reason: reason.to_owned(),
        }
    }
}

/// `user:password@` becomes `user:***@`.
fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    let Some(at) = url[start..end].rfind('@').map(|at| start + at) else {
        return url.to_owned();
    };
    match url[start..at].find(':') {
        Some(colon) => format!("{}:***{}", &url[..start + colon], &url[at..]),
        None => url.to_owned(),
    }
}

/// An error of the system in Go's words: `connection refused`.
pub(crate) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .split_once(" (os error")
        .map_or(text.as_str(), |(text, _)| text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "unknown error".to_owned(),
    }
}

/// Where in the exchange a connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Head,
    Body,
}

/// An error of a connection between `local` and `remote`, in Go's words.
pub(crate) fn connection_text(
    error: &hyper::Error,
    part: Part,
    local: Option<SocketAddr>,
    remote: SocketAddr,
) -> String {
    if error.is_parse_too_large() {
        return format!(
            "net/http: server response headers exceeded {} bytes; aborted",
            crate::wire::HEAD_BYTES_MAX
        );
    }
    if error.is_parse() {
        return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
            .to_owned();
    }
    match error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
    {
        Some(source) if source.raw_os_error().is_some() => {
            let local = local.map_or_else(String::new, |local| local.to_string());
            format!("read tcp {local}->{remote}: read: {}", system_text(source))
        }
        Some(source)
            if source.kind() == io::ErrorKind::InvalidInput
                || source.kind() == io::ErrorKind::InvalidData =>
        {
            format!("malformed chunked encoding: {source}")
        }
        _ => match part {
            Part::Head => "EOF".to_owned(),
            Part::Body => "unexpected EOF".to_owned(),
        },
    }
}
