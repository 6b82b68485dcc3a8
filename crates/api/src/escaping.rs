//! Names beyond `[a-zA-Z0-9_:]` in places that cannot hold them: in URLs, and in expositions for
//! clients that do not say that they take any name.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::HeaderMap;
use http::header::ACCEPT;
use model::names::is_legacy_metric_name;

/// How a client wants such names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// As they are, in quotes.
    AllowUtf8,
    /// `a.b` as `a_b`.
    Underscores,
    /// `a.b_c` as `a_dot_b__c`.
    Dots,
    /// `a.b` as `U__a_2e_b`.
    Values,
}

impl Scheme {
    /// The `escaping` parameter of `Accept`; underscores if there is none.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Scheme {
        let accept = headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .unwrap_or("");
        let parameters = accept
            .split([',', ';'])
            .filter_map(|part| part.trim().split_once('='));
        let mut named = parameters.filter(|(key, _)| *key == "escaping");
        match named.next().map(|(_, value)| value.trim()) {
            Some("allow-utf-8") => Scheme::AllowUtf8,
            Some("dots") => Scheme::Dots,
            Some("values") => Scheme::Values,
            _ => Scheme::Underscores,
        }
    }

    /// The value of the `escaping` parameter.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scheme::AllowUtf8 => "allow-utf-8",
            Scheme::Underscores => "underscores",
            Scheme::Dots => "dots",
            Scheme::Values => "values",
        }
    }

    /// The name as this scheme writes it.
    pub(crate) fn escape(self, name: &str) -> Cow<'_, str> {
        let legacy = is_legacy_metric_name(name);
        match self {
            Scheme::AllowUtf8 => Cow::Borrowed(name),
            // Dots change legacy names too: underscores are doubled.
            Scheme::Underscores | Scheme::Values if legacy => Cow::Borrowed(name),
            _ => Cow::Owned(self.escape_each(name)),
        }
    }

    fn escape_each(self, name: &str) -> String {
        let mut escaped = String::with_capacity(name.len() + 8);
        if self == Scheme::Values {
            escaped.push_str("U__");
        }
        for (at, c) in name.chars().enumerate() {
            let valid = c == ':' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && at > 0);
            match (self, c) {
                (Scheme::Dots, '_') | (Scheme::Values, '_') => escaped.push_str("__"),
                (_, '_') => escaped.push('_'),
                (Scheme::Dots, '.') => escaped.push_str("_dot_"),
                (_, c) if valid => escaped.push(c),
                (Scheme::Values, c) => {
                    let _ = write!(escaped, "_{:x}_", c as u32);
                }
                (Scheme::Dots, _) => escaped.push_str("__"),
                _ => escaped.push('_'),
            }
        }
        escaped
    }
}

/// Undoes [`Scheme::Values`]; what is not written so stays as it is.
pub(crate) fn unescape_values(name: &str) -> Cow<'_, str> {
    let unescaped = name.strip_prefix("U__").and_then(decode);
    unescaped.map_or(Cow::Borrowed(name), Cow::Owned)
}

fn decode(escaped: &str) -> Option<String> {
    /// Upstream reads no more, although the last code points have six.
    const DIGITS_MAX: usize = 5;
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('_') {
            name.push('_');
            rest = after;
            continue;
        }
        let (digits, after) = after.split_once('_')?;
        if digits.len() > DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        name.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        for (name, underscores, dots, values) in [
            ("up", "up", "up", "up"),
            ("a_b", "a_b", "a__b", "a_b"),
            ("a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"),
            ("1é", "__", "____", "U___31__e9_"),
            ("U__x", "U__x", "U____x", "U__x"),
        ] {
            assert_eq!(Scheme::AllowUtf8.escape(name), name);
            assert_eq!(Scheme::Underscores.escape(name), underscores, "{name}");
            assert_eq!(Scheme::Dots.escape(name), dots, "{name}");
            assert_eq!(Scheme::Values.escape(name), values, "{name}");
            if !name.starts_with("U__") {
                assert_eq!(unescape_values(values), name);
            }
        }
    }

    #[test]
    fn what_is_not_escaped_stays() {
        for name in [
            "job",
            "U__a_",
            "U__a_zz_b",
            "U__a_110000_",
            "U__a_1234567_",
            "U__a_d800_",
        ] {
            assert_eq!(unescape_values(name), name);
        }
        assert_eq!(unescape_values("U__"), "");
        assert_eq!(unescape_values("U__a_2E_b"), "a.b");
    }
}
