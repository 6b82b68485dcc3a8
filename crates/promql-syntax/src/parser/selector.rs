//! Selectors and the labels of single series.

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::{Parser, Result, Stop};
use crate::ast::{BinaryOp, TimeShift, VectorSelector};
use crate::lexer::{Keyword, Kind, Token};

impl Parser<'_> {
    /// A selector without modifiers.
    pub(super) fn vector_selector(&mut self) -> Result<VectorSelector> {
        let name = match self.peek()? {
            Kind::LeftBrace => None,
            kind if can_name_a_metric(kind) => Some(self.bump()?),
            _ => return Err(Stop::Unexpected),
        };
        self.selector_named(name)
    }

    /// A selector after its name, if it has one; else it stands at its opening brace.
    pub(super) fn selector_named(&mut self, name: Option<Token>) -> Result<VectorSelector> {
        let mut matchers = Vec::new();
        let mut position = name.map_or(0..0, |token| token.start..token.end);
        if let Some(open) = self.accept(Kind::LeftBrace)? {
            let close = self.label_matchers(&mut matchers)?;
            if name.is_none() {
                position.start = open.start;
            }
            position.end = close.end;
        }
        let name = name.map_or("", |token| self.text(token)).to_owned();
        if !name.is_empty() {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        Ok(VectorSelector {
            name,
            matchers,
            shift: TimeShift::default(),
            anchored: false,
            smoothed: false,
            position,
        })
    }

    /// Matchers and the closing brace.
    fn label_matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<Token> {
        loop {
            if let Some(close) = self.accept(Kind::RightBrace)? {
                return Ok(close);
            }
            let name = self.label_name();
            let (token, name) = self.in_context(name, "label matching", "identifier or \"}\"")?;
            if let Some(matcher) = self.label_matcher(token, name)? {
                matchers.push(matcher);
            }
            if self.peek()? != Kind::RightBrace {
                let comma = self.expect(Kind::Comma);
                self.in_context(comma, "label matching", "\",\" or \"}\"")?;
            }
        }
    }

    /// What follows a label's name; nothing if the name is quoted and is the metric's.
    fn label_matcher(&mut self, token: Token, name: String) -> Result<Option<Matcher>> {
        let op = match self.peek()? {
            Kind::Assign => MatchOp::Equal,
            Kind::Op(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Kind::RegexEqual => MatchOp::Regex,
            Kind::RegexNotEqual => MatchOp::NotRegex,
            _ if token.kind == Kind::String => return Ok(Some(Matcher::equal(METRIC_NAME, name))),
            _ => {
                let stop = Err(Stop::Unexpected);
                return self.in_context(stop, "label matching", "label matching operator");
            }
        };
        self.bump()?;
        let value = self.expect(Kind::String);
        let value_token = self.in_context(value, "label matching", "string")?;
        let value = self.unquoted_utf8(value_token);
        match Matcher::new(op, name, value) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                self.error_at(token.start..value_token.end, error.to_string());
                Ok(None)
            }
        }
    }

    /// A label's name, plain or quoted.
    fn label_name(&mut self) -> Result<(Token, String)> {
        match self.peek()? {
            Kind::Identifier => {
                let token = self.bump()?;
                Ok((token, self.text(token).to_owned()))
            }
            Kind::String => {
                let token = self.bump()?;
                Ok((token, self.unquoted_utf8(token)))
            }
            _ => Err(Stop::Unexpected),
        }
    }

    /// Name and labels of one series; both may be missing.
    pub(super) fn metric(&mut self) -> Result<Labels> {
        let kind = self.peek()?;
        let name = match can_name_a_metric(kind) {
            true => Some(self.bump()?),
            false => None,
        };
        let mut builder = LabelsBuilder::new(&Labels::empty());
        if self.accept(Kind::LeftBrace)?.is_some() {
            self.label_set(&mut builder)?;
        }
        if let Some(name) = name {
            builder.set(METRIC_NAME, self.text(name));
        }
        Ok(builder.build())
    }

    /// Labels and the closing brace.
    ///
    /// Prometheus lets a label come twice here and refuses the series when it is stored; this says
    /// at once where.
    fn label_set(&mut self, builder: &mut LabelsBuilder) -> Result<()> {
        while self.accept(Kind::RightBrace)?.is_none() {
            let name = self.label_name();
            let (token, name) = self.in_context(name, "label set", "identifier or \"}\"")?;
            let (name, value) = if self.accept(Kind::Assign)?.is_some() {
                let value = self.expect(Kind::String);
                let value = self.in_context(value, "label set", "string")?;
                (name, self.unquoted_utf8(value))
            } else if token.kind == Kind::String {
                (METRIC_NAME.to_owned(), name)
            } else {
                return self.in_context(Err(Stop::Unexpected), "label set", "\"=\"");
            };
            if !builder.get(&name).is_empty() {
                let quoted = gocompat::strconv::quote(&name);
                let message = format!("label name {quoted} is not unique");
                self.error_at(token.start..token.end, message);
            }
            builder.set(&name, &value);
            if self.peek()? != Kind::RightBrace {
                let comma = self.expect(Kind::Comma);
                self.in_context(comma, "label set", "\",\" or \"}\"")?;
            }
        }
        Ok(())
    }
}

/// Which tokens are names of metrics where one can stand: most words of the language, too.
pub(super) fn can_name_a_metric(kind: Kind) -> bool {
    match kind {
        Kind::Identifier | Kind::MetricIdentifier => true,
        Kind::Aggregate(_) | Kind::Preprocessor(_) => true,
        Kind::Op(op) => op.is_set_operator(),
        Kind::Keyword(keyword) => !matches!(
            keyword,
            Keyword::Bool
                | Keyword::GroupLeft
                | Keyword::GroupRight
                | Keyword::Ignoring
                | Keyword::On
        ),
        _ => false,
    }
}
