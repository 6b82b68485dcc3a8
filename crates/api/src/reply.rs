//! An answer before it is sent.
//!
//! Small answers are bytes. A query's answer is a [`Body::Written`]: a closure that writes it when
//! the head of the response is settled, so that a large one leaves in chunks while it is still
//! being written (`outlet`).

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};

use crate::error::ApiError;
use crate::json::Json;
use crate::outlet::{Gone, Outlet};

/// The type of plain text, as Go finds it out.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The exposition format of our own metrics and of federation.
pub(crate) const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");

/// Annotations of each kind that an answer shows; more are counted only.
const ANNOTATIONS_MAX: usize = 10;

/// Writes an answer.
pub(crate) type Write = Box<dyn FnOnce(&mut Outlet) -> Result<(), Gone> + Send>;

/// What is sent after the head.
pub(crate) enum Body {
    Bytes(Bytes),
    Written(Write),
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Body::Bytes(Bytes::new()),
        }
    }

    /// With a body of a type.
    pub(crate) fn new(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Reply {
        let mut reply = Reply::empty(status).with(CONTENT_TYPE, kind);
        reply.body = Body::Bytes(body.into());
        reply
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        self.headers.insert(name, value);
        self
    }

    /// What `http.Error` of Go answers.
    pub(crate) fn plain_error(status: StatusCode, message: &str) -> Reply {
        let nosniff = HeaderValue::from_static("nosniff");
        Reply::new(status, TEXT, format!("{message}\n")).with(X_CONTENT_TYPE_OPTIONS, nosniff)
    }

    pub(crate) fn not_found() -> Reply {
        Reply::plain_error(StatusCode::NOT_FOUND, "404 page not found")
    }

    pub(crate) fn method_not_allowed(allow: HeaderValue) -> Reply {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Reply::plain_error(status, "Method Not Allowed").with(ALLOW, allow)
    }

    /// A redirect with the short page that Go puts into it. `location` is a path with query.
    pub(crate) fn redirect(status: StatusCode, location: &str) -> Reply {
        let Ok(value) = HeaderValue::from_str(location) else {
            return Reply::not_found();
        };
        let reason = status.canonical_reason().unwrap_or("Found");
        let body = format!("<a href=\"{}\">{reason}</a>.\n\n", escape_html(location));
        Reply::new(status, HTML, body).with(LOCATION, value)
    }

    /// The envelope of a success around what `data` writes.
    pub(crate) fn data(data: impl FnOnce(&mut Json)) -> Reply {
        Reply::data_with_notes(&Notes::default(), data)
    }

    /// The same with annotations.
    pub(crate) fn data_with_notes(notes: &Notes, data: impl FnOnce(&mut Json)) -> Reply {
        let mut json = Json::new();
        json.object(|json| {
            json.key("status").text("success");
            data(json.key("data"));
            notes.write(json);
        });
        Reply::new(StatusCode::OK, JSON, json.into_bytes())
    }

    /// An answer that is written while it is sent.
    pub(crate) fn written(write: Write) -> Reply {
        let mut reply = Reply::empty(StatusCode::OK).with(CONTENT_TYPE, JSON);
        reply.body = Body::Written(write);
        reply
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Reply {
        let mut json = Json::new();
        json.object(|json| {
            json.key("status").text("error");
            json.key("errorType").text(error.kind.as_str());
            json.key("error").text(&error.message);
        });
        Reply::new(error.kind.status(), JSON, json.into_bytes())
    }
}

impl From<Result<Reply, ApiError>> for Reply {
    fn from(result: Result<Reply, ApiError>) -> Reply {
        result.unwrap_or_else(Reply::from)
    }
}

/// What is said about an answer besides it.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Notes {
    /// Says that `limit` cut the answer.
    pub(crate) fn truncated(&mut self) {
        self.warnings
            .push("results truncated due to limit".to_owned());
    }

    /// The last two fields of the envelope.
    pub(crate) fn write(&self, json: &mut Json) {
        write_notes(json, "warnings", "warning", &self.warnings);
        write_notes(json, "infos", "info", &self.infos);
    }
}

fn write_notes(json: &mut Json, key: &str, kind: &str, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    json.key(key).array(|json| {
        for note in notes.iter().take(ANNOTATIONS_MAX) {
            json.text(note);
        }
        let omitted = notes.len().saturating_sub(ANNOTATIONS_MAX);
        if omitted > 0 {
            json.text(&format!("{omitted} more {kind} annotations omitted"));
        }
    });
}

/// Text made safe within HTML.
pub(crate) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
