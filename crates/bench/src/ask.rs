//! Queries to a server under test.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::process::{Server, get_within};

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "a tool of its own; it stamps its test data"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// A query as part of a URL.
pub(crate) fn encode(query: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    query
        .bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// An answer of the API.
pub(crate) async fn json(server: &Server, path: &str, timeout: Duration) -> anyhow::Result<Value> {
    let (_, body) = get_within(&format!("{}{path}", server.url), timeout).await?;
    serde_json::from_str(&body).with_context(|| format!("{}{path}: {body}", server.name))
}

/// The number that an instant query gives which gives one; 0 if it gives none.
///
/// # Errors
/// If the server does not answer or refuses.
pub(crate) async fn number(
    server: &Server,
    query: &str,
    at_ms: i64,
    timeout: Duration,
) -> anyhow::Result<f64> {
    let at_s = at_ms as f64 / 1e3;
    let path = format!("/api/v1/query?query={}&time={at_s:.3}", encode(query));
    let answer = json(server, &path, timeout).await?;
    if answer["status"] != "success" {
        bail!("{} answers {answer} to {query}", server.name);
    }
    let text = answer["data"]["result"][0]["value"][1].as_str();
    text.map_or(Ok(0.0), |text| text.parse().context("no number"))
}
