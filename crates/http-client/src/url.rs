//! URLs: of `http` only.

use crate::Error;

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// As given; without a fragment.
    pub(crate) text: String,
    /// Host and port as written: the `Host` header, and what a connection belongs to.
    pub(crate) authority: String,
    /// The host; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query: what the request line says.
    pub(crate) target: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, Error> {
        let text = text.split('#').next().unwrap_or_default();
        let refused = |reason: &str| Error::request(text, reason);
        let uri: http::Uri = text.parse().map_err(|error| refused(&format!("{error}")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(refused("TLS is not supported yet")),
            Some(other) => {
                return Err(refused(&format!("unsupported protocol scheme \"{other}\"")));
            }
            None => return Err(refused("unsupported protocol scheme \"\"")),
        }
        let authority = uri
            .authority()
            .ok_or_else(|| refused("http: no Host in request URL"))?;
        if authority.as_str().contains('@') {
            return Err(refused("credentials in a URL are not supported yet"));
        }
        let port = match port_text(authority.as_str()) {
            "" => 80,
            port => port
                .parse()
                .map_err(|_| refused(&format!("dial tcp: address {port}: invalid port")))?,
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Url {
            text: text.to_owned(),
            authority: authority.as_str().to_owned(),
            host: authority
                .host()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port,
            target: match target.starts_with('/') {
                true => target.to_owned(),
                false => format!("/{target}"),
            },
        })
    }

    /// Where a `Location` of this URL's answer leads.
    pub(crate) fn join(&self, location: &str) -> Result<Url, Error> {
        let has_scheme = location.find(':').is_some_and(|colon| {
            location[..colon]
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        });
        if has_scheme {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("http:{location}"));
        }
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        let target = if location.starts_with('/') {
            without_dots(location)
        } else if location.is_empty() || location.starts_with('#') {
            match query {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            }
        } else if location.starts_with('?') {
            format!("{path}{location}")
        } else {
            let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
            without_dots(&format!("{folder}{location}"))
        };
        Url::parse(&format!("http://{}{target}", self.authority))
    }
}

/// What follows the colon after the host.
fn port_text(authority: &str) -> &str {
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    authority[after_host..]
        .rsplit_once(':')
        .map_or("", |(_, port)| port)
}

/// A path, perhaps with a query, in which `.` and `..` are followed.
fn without_dots(target: &str) -> String {
    let (path, rest) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
    let mut parts: Vec<&str> = Vec::new();
    let mut parts_left = path.split('/').skip(1).peekable();
    while let Some(part) = parts_left.next() {
        let last = parts_left.peek().is_none();
        match part {
            ".." => {
                parts.pop();
            }
            "." => {}
            part => {
                parts.push(part);
                continue;
            }
        }
        if last {
            parts.push("");
        }
    }
    format!("/{}{rest}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_urls() {
        for (text, authority, host, port, target) in [
            ("http://h:9100/metrics", "h:9100", "h", 9100, "/metrics"),
            ("http://h", "h", "h", 80, "/"),
            ("http://h?a=b#c", "h", "h", 80, "/?a=b"),
            ("http://[::1]:1/x?y=z", "[::1]:1", "::1", 1, "/x?y=z"),
            ("http://[::1]/", "[::1]", "::1", 80, "/"),
            ("http://h:/", "h:", "h", 80, "/"),
            ("http://10.0.0.1/", "10.0.0.1", "10.0.0.1", 80, "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (
                    url.authority.as_str(),
                    url.host.as_str(),
                    url.port,
                    url.target.as_str()
                ),
                (authority, host, port, target)
            );
        }
    }

    #[test]
    fn refusals() {
        for (text, want) in [
            (
                "https://h/metrics",
                "Get \"https://h/metrics\": TLS is not supported yet",
            ),
            (
                "ftp://h/",
                "Get \"ftp://h/\": unsupported protocol scheme \"ftp\"",
            ),
            ("/x", "Get \"/x\": unsupported protocol scheme \"\""),
            (
                "http://u:p@h/",
                "Get \"http://u:***@h/\": credentials in a URL are not supported yet",
            ),
            (
                "http://h:99999/",
                "Get \"http://h:99999/\": dial tcp: address 99999: invalid port",
            ),
            (
                "http://h/a b",
                "Get \"http://h/a b\": invalid uri character",
            ),
        ] {
            assert_eq!(Url::parse(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn locations() {
        let base = Url::parse("http://h:1/a/b?c=d").unwrap();
        for (location, want) in [
            ("http://other/x", "http://other/x"),
            ("//other/x", "http://other/x"),
            ("/x?y", "http://h:1/x?y"),
            ("x", "http://h:1/a/x"),
            ("../x/./y/..", "http://h:1/x/"),
            ("../../../x", "http://h:1/x"),
            ("?q", "http://h:1/a/b?q"),
            ("#f", "http://h:1/a/b?c=d"),
            ("", "http://h:1/a/b?c=d"),
        ] {
            assert_eq!(base.join(location).unwrap().text, want, "{location}");
        }
        assert!(base.join("https://h/").is_err());
    }
}
