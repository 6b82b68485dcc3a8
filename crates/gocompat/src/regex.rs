//! Regular expressions with the syntax and meaning of Go's `regexp` (RE2).

mod template;

use std::sync::Arc;

use regex_automata::meta;
use regex_automata::util::captures;

/// A pattern that Go's parser would refuse, with Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexError(pub String);

/// A compiled pattern, fully anchored, where a dot matches a newline too, as Prometheus uses it
/// everywhere: in matchers, relabelling and `label_replace`.
///
/// Matching is linear in the text. Compiled size is limited. A clone is a counter.
#[derive(Debug, Clone)]
pub struct Regex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pattern: String,
    meta: meta::Regex,
}

impl Regex {
    /// Compiles `pattern` as `^(?s:pattern)$`.
    ///
    /// # Errors
    /// Go's error text when Go would refuse the pattern.
    pub fn new_anchored(pattern: &str) -> Result<Regex, RegexError> {
        let meta = meta::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|e| RegexError(e.to_string()))?;
        Ok(Regex(Arc::new(Inner {
            pattern: pattern.to_owned(),
            meta,
        })))
    }

    /// `(.*)`: matches every text, and captures it.
    #[must_use]
    pub fn any() -> Regex {
        Regex::new_anchored("(.*)").expect("the pattern is valid")
    }

    /// The pattern as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.meta.is_match(text)
    }

    /// The groups of the match, if `text` matches.
    #[must_use]
    pub fn captures<'r, 't>(&'r self, text: &'t str) -> Option<Captures<'r, 't>> {
        let mut slots = self.0.meta.create_captures();
        self.0.meta.captures(text, &mut slots);
        slots.is_match().then_some(Captures {
            regex: self,
            text,
            slots,
        })
    }

    /// If `text` matches, the expansion of `template` (`$1`, `${name}`, `$$`) by Go's rules.
    #[must_use]
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.captures(text)?;
        let mut out = String::new();
        captures.expand(template, &mut out);
        Some(out)
    }

    /// `ReplaceAllString`: the text with its match replaced by the expansion of `template`.
    #[must_use]
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        self.expand(text, template)
            .unwrap_or_else(|| text.to_owned())
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

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.pattern == other.0.pattern
    }
}

impl Eq for Regex {}

/// The groups of one match.
#[derive(Debug)]
pub struct Captures<'r, 't> {
    regex: &'r Regex,
    text: &'t str,
    slots: captures::Captures,
}

impl Captures<'_, '_> {
    /// Appends the expansion of `template`: `$1`, `${1}`, `$name`, `${name}`, `$$`. A group that
    /// does not exist or took no part in the match is empty; a `$` that starts none of these
    /// stands for itself.
    pub fn expand(&self, template: &str, out: &mut String) {
        for part in template::parts(template) {
            match part {
                template::Part::Text(text) => out.push_str(text),
                template::Part::Group(index) => out.push_str(self.group(index)),
                template::Part::Name(name) => {
                    let index = self.regex.0.meta.group_info();
                    if let Some(index) = index.to_index(regex_automata::PatternID::ZERO, name) {
                        out.push_str(self.group(index));
                    }
                }
            }
        }
    }

    fn group(&self, index: usize) -> &str {
        self.slots
            .get_group(index)
            .map_or("", |span| &self.text[span.range()])
    }
}
