//! The URL of a target, written as Go's `net/url` writes it.
//!
//! Users compare these texts with Prometheus's: query parameters are sorted by name, a space in
//! them is `+`, the path escapes less than a query does.

use std::collections::BTreeMap;
use std::fmt;

use model::Labels;

use crate::status::GlobalUrlOptions;
use crate::target::{ADDRESS, METRICS_PATH, PARAM_PREFIX, SCHEME};

/// A URL in its parts, not escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetUrl {
    scheme: String,
    host: String,
    path: String,
    /// Escaped.
    query: String,
}

impl TargetUrl {
    /// What the labels of a target say, with the parameters of its job. A label `__param_x`
    /// replaces the first value of `x`.
    pub(crate) fn of_target(labels: &Labels, params: &[(String, Vec<String>)]) -> TargetUrl {
        let mut values: BTreeMap<&str, Vec<&str>> = params
            .iter()
            .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
            .collect();
        for (name, value) in labels {
            if let Some(param) = name.strip_prefix(PARAM_PREFIX) {
                let values = values.entry(param).or_default();
                match values.first_mut() {
                    Some(first) => *first = value,
                    None => values.push(value),
                }
            }
        }
        let mut query = String::new();
        for (name, values) in &values {
            for value in values {
                if !query.is_empty() {
                    query.push('&');
                }
                escape(&mut query, name, Part::Query);
                query.push('=');
                escape(&mut query, value, Part::Query);
            }
        }
        TargetUrl {
            scheme: labels.get(SCHEME).to_owned(),
            host: labels.get(ADDRESS).to_owned(),
            path: labels.get(METRICS_PATH).to_owned(),
            query,
        }
    }

    /// The URL as it is reached from outside, and what was wrong with the host if that could not
    /// be said.
    pub(crate) fn global(&self, options: &GlobalUrlOptions) -> (TargetUrl, Option<String>) {
        match self.globalized(options) {
            Ok(url) => (url, None),
            Err(problem) => (self.clone(), Some(problem)),
        }
    }

    fn globalized(&self, options: &GlobalUrlOptions) -> Result<TargetUrl, String> {
        let mut url = self.clone();
        let (host, port) = split_optional_port(&self.host)?;
        if !matches!(host, "127.0.0.1" | "localhost" | "::1") {
            return Ok(url);
        }
        let (_, own_port) = split_host_port(&options.listen_address)
            .map_err(|reason| format!("address {}: {reason}", options.listen_address))?;
        if port == own_port {
            // This server itself: everything about how it is reached is known.
            url.scheme.clone_from(&options.scheme);
            url.host.clone_from(&options.host);
        } else {
            let (external, _) = split_optional_port(&options.host)?;
            url.host = match port {
                "" => external.to_owned(),
                _ if external.contains(':') => format!("[{external}]:{port}"),
                _ => format!("{external}:{port}"),
            };
        }
        Ok(url)
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            text.push_str(&self.scheme);
            text.push(':');
        }
        if !self.scheme.is_empty() || !self.host.is_empty() {
            text.push_str("//");
            escape(&mut text, &self.host, Part::Host);
        }
        if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
            text.push('/');
        }
        escape(&mut text, &self.path, Part::Path);
        if !self.query.is_empty() {
            text.push('?');
            text.push_str(&self.query);
        }
        f.write_str(&text)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Host,
    Path,
    Query,
}

/// What stays as it is differs by part (`shouldEscape` in net/url).
fn escape(out: &mut String, text: &str, part: Part) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || b"-_.~".contains(&byte)
            || match part {
                Part::Host => b"!$&'()*+,;=:[]<>\"".contains(&byte),
                Part::Path => b"$&+,/:;=@".contains(&byte),
                Part::Query => false,
            };
        match byte {
            _ if plain => out.push(char::from(byte)),
            b' ' if matches!(part, Part::Query) => out.push('+'),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

const MISSING_PORT: &str = "missing port in address";

/// `net.SplitHostPort`, with an empty port if there is none.
fn split_optional_port(address: &str) -> Result<(&str, &str), String> {
    match split_host_port(address) {
        Ok(parts) => Ok(parts),
        Err(MISSING_PORT) => {
            let host = address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            Ok((host.unwrap_or(address), ""))
        }
        Err(reason) => Err(format!("address {address}: {reason}")),
    }
}

/// `net.SplitHostPort`.
fn split_host_port(address: &str) -> Result<(&str, &str), &'static str> {
    let colon = address.rfind(':').ok_or(MISSING_PORT)?;
    let (host, rest_from) = if let Some(inner) = address.strip_prefix('[') {
        let end = 1 + inner.find(']').ok_or("missing ']' in address")?;
        if end + 1 != colon {
            return match address.as_bytes().get(end + 1) {
                Some(b':') => Err("too many colons in address"),
                _ => Err(MISSING_PORT),
            };
        }
        (&address[1..end], end + 1)
    } else {
        let host = &address[..colon];
        if host.contains(':') {
            return Err("too many colons in address");
        }
        (host, 0)
    };
    if address[rest_from.min(1)..].contains('[') {
        return Err("unexpected '[' in address");
    }
    if address[rest_from..].contains(']') {
        return Err("unexpected ']' in address");
    }
    Ok((host, &address[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(pairs: &[(&str, &str)], params: &[(&str, &[&str])]) -> TargetUrl {
        let params: Vec<(String, Vec<String>)> = params
            .iter()
            .map(|(n, v)| ((*n).to_owned(), v.iter().map(|&v| v.to_owned()).collect()))
            .collect();
        TargetUrl::of_target(&Labels::from_pairs(pairs.iter().copied()), &params)
    }

    #[test]
    fn parameters_come_from_the_job_and_from_labels() {
        let labels = [
            ("__address__", "example.com:1234"),
            ("__scheme__", "https"),
            ("__metrics_path__", "/metrics"),
            ("__param_abc", "overwrite"),
            ("__param_cde", "huu"),
        ];
        let params: [(&str, &[&str]); 2] = [("abc", &["foo", "bar", "baz"]), ("xyz", &["hoo"])];
        assert_eq!(
            url(&labels, &params).to_string(),
            "https://example.com:1234/metrics?abc=overwrite&abc=bar&abc=baz&cde=huu&xyz=hoo"
        );
    }

    #[test]
    fn escapes_as_go_does() {
        let check = |path: &str, value: &str, want: &str| {
            let labels = [
                ("__address__", "[::1]:80"),
                ("__scheme__", "http"),
                ("__metrics_path__", path),
                ("__param_q", value),
            ];
            assert_eq!(
                url(&labels, &[]).to_string(),
                format!("http://[::1]:80{want}")
            );
        };
        check("/a b?c:d", "x y&z/ü", "/a%20b%3Fc:d?q=x+y%26z%2F%C3%BC");
        check("no/slash", "~", "/no/slash?q=~");
        check("/(a)*", "*", "/%28a%29%2A?q=%2A");
    }

    #[test]
    fn loopback_hosts_become_the_external_one() {
        let options = GlobalUrlOptions {
            listen_address: "0.0.0.0:9090".to_owned(),
            host: "prom.example.com:80".to_owned(),
            scheme: "https".to_owned(),
        };
        let global = |host: &str| {
            let labels = [("__address__", host), ("__scheme__", "http")];
            let (url, problem) = url(&labels, &[]).global(&options);
            (url.to_string(), problem)
        };
        for (host, want) in [
            ("example.com:9090", "http://example.com:9090"),
            ("localhost:9090", "https://prom.example.com:80"),
            ("127.0.0.1:9100", "http://prom.example.com:9100"),
            ("[::1]:9100", "http://prom.example.com:9100"),
            ("localhost", "http://prom.example.com"),
        ] {
            assert_eq!(global(host), (want.to_owned(), None), "{host}");
        }
        let (url, problem) = global("a:b:c");
        assert_eq!(url, "http://a:b:c");
        assert_eq!(
            problem.as_deref(),
            Some("address a:b:c: too many colons in address")
        );
    }
}
