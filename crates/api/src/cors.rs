//! Which pages of other origins may read answers.

use gocompat::Regex;
use http::HeaderMap;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue, ORIGIN, VARY,
};

/// Adds what a request with an `Origin` needs; the origin itself only if `allowed` matches it.
pub(crate) fn allow(allowed: &Regex, request: &HeaderMap, response: &mut HeaderMap) {
    response.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.get(ORIGIN).filter(|origin| !origin.is_empty()) else {
        return;
    };
    for (name, value) in [
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Authorization, Content-Type, Origin",
        ),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ] {
        response.insert(name, HeaderValue::from_static(value));
    }
    if origin.to_str().is_ok_and(|origin| allowed.is_match(origin)) {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}
