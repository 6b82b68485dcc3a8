//! Matchers: `name="value"` and its like.

use std::fmt;

use gocompat::{Regex, RegexError};

use crate::METRIC_NAME;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// A condition on one label. An absent label has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    op: MatchOp,
    name: String,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher; regular expressions are compiled here, fully anchored.
    ///
    /// # Errors
    /// If `value` is a pattern that Go would refuse.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Matcher, RegexError> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Regex::new_anchored(&value)?),
        };
        Ok(Matcher {
            op,
            name: name.into(),
            value,
            regex,
        })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher {
            op: MatchOp::Equal,
            name: name.into(),
            value: value.into(),
            regex: None,
        }
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The label it looks at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value or pattern as written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The compiled pattern of `=~` and `!~`.
    #[must_use]
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    /// Whether a label with this value passes.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => {
                unreachable!("`new` compiles the pattern of every regular expression matcher")
            }
        }
    }

    /// Whether an absent label passes.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Whether the matcher is on the metric's name.
    #[must_use]
    pub fn is_on_name(&self) -> bool {
        self.name == METRIC_NAME
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if crate::names::is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            f.write_str(&gocompat::strconv::quote(&self.name))?;
        }
        write!(
            f,
            "{}{}",
            self.op.as_str(),
            gocompat::strconv::quote(&self.value)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_values() {
        for (op, value, yes, no) in [
            (MatchOp::Equal, "a", "a", ""),
            (MatchOp::NotEqual, "a", "", "a"),
            (MatchOp::Regex, "a|b", "b", "ab"),
            (MatchOp::Regex, ".*", "x\ny", "\u{0}never"),
            (MatchOp::NotRegex, "a.+", "a", "ab"),
        ] {
            let matcher = Matcher::new(op, "l", value).unwrap();
            assert!(matcher.matches(yes), "{matcher}");
            if no != "\u{0}never" {
                assert!(!matcher.matches(no), "{matcher}");
            }
        }
        assert!(Matcher::new(MatchOp::Regex, "l", "a(").is_err());
        assert_eq!(Matcher::equal("a.b", "x\"").to_string(), r#""a.b"="x\"""#);
    }
}
