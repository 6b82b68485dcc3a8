//! The page: files of `ui/dist`, embedded by `build.rs`, and the redirects that lead to it.

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use model::format_duration_ms;

use crate::app::{App, Call};
use crate::reply::{HTML, Reply, escape_html};

/// One embedded file.
struct File {
    /// Below `dist`, with a slash before it.
    path: &'static str,
    mime: &'static str,
    /// With its quotes.
    etag: &'static str,
    plain: &'static [u8],
    /// `None` if it does not get smaller.
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// Shown by a build without the page.
const NOTICE: &str = include_str!("notice.html");

/// What the page may load and do; see `ui/README.md`.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' \
     data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
);

/// Asset names carry a hash of what is in them.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Kept, but asked for again each time, which the ETag makes cheap.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// `GET /`
pub(crate) fn home(app: &App, _: &Call) -> Reply {
    Reply::redirect(
        StatusCode::FOUND,
        &format!("{}/query", app.options.external_path),
    )
}

/// `GET /graph`: where links in alerts and dashboards point to; the page reads their parameters.
pub(crate) fn graph(app: &App, call: &Call) -> Reply {
    let path = &app.options.external_path;
    let location = match call.query.as_str() {
        "" => format!("{path}/query"),
        query => format!("{path}/query?{query}"),
    };
    Reply::redirect(StatusCode::FOUND, &location)
}

/// Every page: `index.html` with its placeholders filled.
pub(crate) fn index(app: &App, _: &Call) -> Reply {
    let lookback_ms = app.deps.engine.options().lookback_delta_ms;
    let filled = index_of(FILES)
        .replace(
            "__PROMONTORY_BASE__",
            &escape_html(&app.options.route_prefix),
        )
        .replace(
            "__PROMONTORY_TITLE__",
            &escape_html(&app.options.page_title),
        )
        .replace("__PROMONTORY_LOOKBACK__", &format_duration_ms(lookback_ms));
    guarded(Reply::new(StatusCode::OK, HTML, filled))
        .with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with(CONTENT_SECURITY_POLICY, POLICY)
}

fn index_of(files: &'static [File]) -> &'static str {
    let index = files.iter().find(|file| file.path == "/index.html");
    index.map_or(NOTICE, |file| {
        std::str::from_utf8(file.plain).expect("build.rs checks that index.html is UTF-8")
    })
}

/// Every other file.
pub(crate) fn asset(app: &App, call: &Call) -> Reply {
    let path = call
        .path
        .strip_prefix(&app.options.route_prefix)
        .unwrap_or(&call.path);
    serve(FILES, path, &call.headers)
}

fn serve(files: &[File], path: &str, request: &HeaderMap) -> Reply {
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Reply::not_found();
    };
    let mime = HeaderValue::from_static(file.mime);
    let mut reply = if is_fresh(file, request) {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        match file.gzip.filter(|_| takes_gzip(request)) {
            Some(gzip) => Reply::new(StatusCode::OK, mime, gzip)
                .with(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            None => Reply::new(StatusCode::OK, mime, file.plain),
        }
    };
    let is_hashed = path.starts_with("/assets/");
    reply
        .headers
        .insert(CACHE_CONTROL, if is_hashed { FOR_EVER } else { ASK_AGAIN });
    reply
        .headers
        .insert(ETAG, HeaderValue::from_static(file.etag));
    reply
        .headers
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    guarded(reply)
}

/// Whether the client has this file already.
fn is_fresh(file: &File, request: &HeaderMap) -> bool {
    let tags = request
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok());
    tags.is_some_and(|tags| {
        tags.split(',')
            .any(|tag| matches_etag(tag.trim(), file.etag))
    })
}

/// Whether `tag` of the request means this file; proxies that compress mark it as weak.
fn matches_etag(tag: &str, etag: &str) -> bool {
    tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
}

fn takes_gzip(request: &HeaderMap) -> bool {
    let accept = request
        .get(ACCEPT_ENCODING)
        .and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| {
        accept
            .split(',')
            .any(|name| name.split(';').next().unwrap_or("").trim() == "gzip")
    })
}

/// With what every file of the page says to browsers.
fn guarded(reply: Reply) -> Reply {
    reply
        .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Body;

    const SCRIPT: File = File {
        path: "/assets/a-1f.js",
        mime: "text/javascript; charset=utf-8",
        etag: "\"01\"",
        plain: b"plain",
        gzip: Some(b"gzip"),
    };
    const ICON: File = File {
        path: "/favicon.svg",
        mime: "image/svg+xml",
        etag: "\"02\"",
        plain: b"icon",
        gzip: None,
    };
    static INDEX: [File; 1] = [File {
        path: "/index.html",
        mime: "text/html; charset=utf-8",
        etag: "\"03\"",
        plain: b"the page",
        gzip: None,
    }];

    #[test]
    fn files_are_sent_as_the_client_takes_them() {
        for (path, accept, tags, status, body, encoding, cache) in [
            ("/assets/a-1f.js", "", "", 200, "plain", "", FOR_EVER),
            (
                "/assets/a-1f.js",
                "br, gzip;q=1",
                "",
                200,
                "gzip",
                "gzip",
                FOR_EVER,
            ),
            (
                "/assets/a-1f.js",
                "gzip",
                "\"00\", W/\"01\"",
                304,
                "",
                "",
                FOR_EVER,
            ),
            (
                "/assets/a-1f.js",
                "gzip",
                "\"02\"",
                200,
                "gzip",
                "gzip",
                FOR_EVER,
            ),
            ("/favicon.svg", "gzip", "", 200, "icon", "", ASK_AGAIN),
            ("/favicon.svg", "gzip", "*", 304, "", "", ASK_AGAIN),
        ] {
            let mut request = HeaderMap::new();
            request.insert(ACCEPT_ENCODING, accept.parse().unwrap());
            request.insert(IF_NONE_MATCH, tags.parse().unwrap());
            let reply = serve(&[SCRIPT, ICON], path, &request);
            let header = |name| {
                reply
                    .headers
                    .get(name)
                    .map_or("", |v: &HeaderValue| v.to_str().unwrap())
            };
            assert_eq!(reply.status.as_u16(), status, "{path} {accept} {tags}");
            assert_eq!(header(CONTENT_ENCODING), encoding);
            assert_eq!(header(CACHE_CONTROL), cache.to_str().unwrap());
            assert_eq!(header(X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert!(header(ETAG).starts_with('"'));
            let Body::Bytes(bytes) = reply.body else {
                panic!("files are bytes");
            };
            assert_eq!(bytes, body);
        }
        let nothing = serve(&[SCRIPT], "/assets/../index.html", &HeaderMap::new());
        assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_build_without_the_page_says_how_to_build_it() {
        assert_eq!(index_of(&INDEX), "the page");
        assert!(index_of(&[]).contains("npm run build"));
    }
}
