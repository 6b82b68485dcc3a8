//! Regular expressions with the syntax and meaning of Go's `regexp` (RE2).
//!
//! A parser of our own reads Go's grammar and gives Go's errors; `regex_automata` matches. Both
//! sides are linear in the text. Patterns that are lists of words or words with `.*` between are
//! matched without the engine, and mostly never compiled for it.
//!
//! Two ways lead to a pattern upstream, and differ in what they accept: matchers parse the
//! pattern alone ([`Regex::new_anchored`]), relabelling and `label_replace` put it between
//! `^(?s:` and `)$` first ([`Regex::new_spliced`]), so that `a)|(b` is accepted and means what
//! the whole text then means.

mod class;
mod parser;
mod plan;
mod template;

use std::sync::Arc;

use regex_automata::meta;
use regex_automata::util::captures;
use regex_syntax::hir::{Hir, HirKind, Look};

use plan::Plan;

/// Bytes of a compiled pattern. `\pL{100}` fits; the engine's build time grows with this, about
/// 10 ms a MiB.
const COMPILED_BYTES_MAX: usize = 32 << 20;

/// A pattern that Go's parser would refuse, with Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexError(pub String);

/// A compiled pattern, fully anchored, where a dot matches a newline too, as Prometheus uses it
/// everywhere: in matchers, relabelling and `label_replace`.
///
/// Matching is linear in the text. Compiled size is limited. A clone is a counter. Two are equal
/// if their patterns are.
#[derive(Debug, Clone)]
pub struct Regex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pattern: String,
    plan: Plan,
    /// Nothing where the plan and the groups can do without.
    engine: Option<meta::Regex>,
    groups: Groups,
    names: Vec<(String, usize)>,
    prefix: String,
}

/// Which groups there are beside the whole match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Groups {
    None,
    /// One, around everything: `(.*)`.
    Whole,
    /// Some; the engine knows.
    Inside,
}

impl Regex {
    /// Compiles `pattern` as a matcher does: parsed by itself, then anchored.
    ///
    /// # Errors
    /// Go's error text when Go would refuse the pattern; also if it compiles to more than
    /// [`COMPILED_BYTES_MAX`].
    pub fn new_anchored(pattern: &str) -> Result<Regex, RegexError> {
        let parsed = parser::parse(pattern, true)?;
        Regex::build(pattern, parsed.hir, parsed.names)
    }

    /// Compiles `^(?s:pattern)$`, as relabelling and `label_replace` do. Error texts show the
    /// whole of that.
    ///
    /// # Errors
    /// As [`Regex::new_anchored`].
    pub fn new_spliced(pattern: &str) -> Result<Regex, RegexError> {
        let whole = format!("^(?s:{pattern})$");
        let parsed = parser::parse(&whole, false)?;
        if let Ok(regex) = Regex::new_anchored(pattern) {
            return Ok(regex);
        }
        // Not anchored as a whole: in `^(?s:a)|(?:b)$` each branch has one anchor.
        let engine = compile(&parsed.hir, &whole)?;
        Ok(Regex(Arc::new(Inner {
            pattern: pattern.to_owned(),
            plan: Plan::Engine,
            engine: Some(engine),
            groups: Groups::Inside,
            names: parsed.names,
            prefix: String::new(),
        })))
    }

    fn build(pattern: &str, hir: Hir, names: Vec<(String, usize)>) -> Result<Regex, RegexError> {
        let plan = Plan::new(&hir);
        let groups = match hir.kind() {
            _ if hir.properties().explicit_captures_len() == 0 => Groups::None,
            HirKind::Capture(_) if hir.properties().explicit_captures_len() == 1 => Groups::Whole,
            _ => Groups::Inside,
        };
        let prefix = plan::literal_prefix(&hir);
        let engine = if groups == Groups::Inside || matches!(plan, Plan::Engine) {
            let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
            Some(compile(&anchored, pattern)?)
        } else {
            None
        };
        Ok(Regex(Arc::new(Inner {
            pattern: pattern.to_owned(),
            plan,
            engine,
            groups,
            names,
            prefix,
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
    #[inline]
    pub fn is_match(&self, text: &str) -> bool {
        match self.0.plan.is_match(text) {
            Some(matches) => matches,
            None => self
                .0
                .engine
                .as_ref()
                .is_some_and(|engine| engine.is_match(text)),
        }
    }

    /// The groups of the match, if `text` matches.
    #[must_use]
    pub fn captures<'r, 't>(&'r self, text: &'t str) -> Option<Captures<'r, 't>> {
        if self.0.plan.is_match(text) == Some(false) {
            return None;
        }
        let slots = match &self.0.engine {
            Some(engine) if self.0.groups == Groups::Inside => {
                let mut slots = engine.create_captures();
                engine.captures(text, &mut slots);
                if !slots.is_match() {
                    return None;
                }
                Some(slots)
            }
            _ if !self.is_match(text) => return None,
            _ => None,
        };
        Some(Captures {
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

    /// `ReplaceAllString`: the text with what matches replaced by the expansion of `template`.
    #[must_use]
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let Some(engine) = &self.0.engine else {
            return self
                .expand(text, template)
                .unwrap_or_else(|| text.to_owned());
        };
        // Only a pattern that left its group can match more than once.
        let mut out = String::new();
        let mut copied = 0;
        for slots in engine.captures_iter(text) {
            let whole = slots.get_group(0).map_or(0..0, |span| span.range());
            out.push_str(&text[copied..whole.start]);
            copied = whole.end;
            let captures = Captures {
                regex: self,
                text,
                slots: Some(slots),
            };
            captures.expand(template, &mut out);
        }
        out.push_str(&text[copied..]);
        out
    }

    /// The finite set of literals that are exactly what the pattern matches, sorted, if it is one
    /// (`a|b|c`, `x(1|2)?`), for index look-ups.
    #[must_use]
    pub fn literal_set(&self) -> Option<&[String]> {
        match &self.0.plan {
            Plan::Literals(literals) => Some(literals),
            _ => None,
        }
    }

    /// A literal that every match starts with; empty if there is none.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Whether every text matches: `.*`.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        matches!(self.0.plan, Plan::Any)
    }
}

fn compile(hir: &Hir, shown: &str) -> Result<meta::Regex, RegexError> {
    meta::Builder::new()
        .configure(meta::Config::new().nfa_size_limit(Some(COMPILED_BYTES_MAX)))
        .build_from_hir(hir)
        .map_err(|_| parser::error("expression too large", shown))
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
    /// `None` if the groups are known without the engine.
    slots: Option<captures::Captures>,
}

impl<'t> Captures<'_, 't> {
    /// Appends the expansion of `template`: `$1`, `${1}`, `$name`, `${name}`, `$$`. A group that
    /// does not exist or took no part in the match is empty; a `$` that starts none of these
    /// stands for itself.
    pub fn expand(&self, template: &str, out: &mut String) {
        for part in template::parts(template) {
            match part {
                template::Part::Text(text) => out.push_str(text),
                template::Part::Group(index) => out.push_str(self.get(index).unwrap_or("")),
                // Of groups with the same name, the first that took part.
                template::Part::Name(name) => {
                    let mut named = self.regex.0.names.iter().filter(|(n, _)| n == name);
                    if let Some(text) = named.find_map(|(_, index)| self.get(*index)) {
                        out.push_str(text);
                    }
                }
            }
        }
    }

    /// The text of a group, 0 being the whole match; `None` if there is no such group or it took
    /// no part.
    #[must_use]
    pub fn get(&self, group: usize) -> Option<&'t str> {
        match &self.slots {
            Some(slots) => slots.get_group(group).map(|span| &self.text[span.range()]),
            None if group == 0 => Some(self.text),
            None if group == 1 && self.regex.0.groups == Groups::Whole => Some(self.text),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
