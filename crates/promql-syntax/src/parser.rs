//! Builds trees from tokens.
//!
//! Expressions are read by precedence climbing (`expr`), the rest by recursive descent. The parser
//! looks one token ahead, and only where it has to decide: a mistake that the lexer finds is then
//! reported before or after a mistake in meaning just as Prometheus's generated parser does it.
//!
//! What is wrong comes in two kinds. A mistake in meaning (a range on a number) is noted and
//! parsing goes on. A token that does not fit ends it: [`Stop::Unexpected`] travels up to the
//! innermost construct that has words for its context, which is how Prometheus's grammar recovers.

mod aggregate;
mod duration;
mod expr;
mod modifier;
mod selector;
mod series;

use std::ops::Range;

use model::{Labels, Matcher};

use crate::ast::{Expr, NumberLiteral, VectorSelector};
use crate::error::{ParseError, ParseErrors};
use crate::lexer::{Kind, Lexer, Token};
use crate::series::SeriesDescription;
use crate::text::Text;
use crate::{DEPTH_MAX, ParseOptions};

/// Why parsing ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The token read last does not fit, and nobody has said so yet.
    Unexpected,
    /// The error is noted.
    Reported,
}

type Result<T> = std::result::Result<T, Stop>;

/// A node and how many levels it has, itself included.
struct Leveled<T> {
    node: T,
    levels: usize,
}

struct Parser<'q> {
    query: &'q str,
    options: &'q ParseOptions,
    lexer: Lexer<'q>,
    /// The token read ahead.
    ahead: Option<Token>,
    /// The token read last, ahead or not: the one that errors are about.
    last: Token,
    /// Where the last number, duration or closing bracket ends that was read, ahead or not.
    /// Prometheus lets modifiers end there.
    last_closing: usize,
    /// How deeply the parser has called itself.
    depth: usize,
    errors: Vec<ParseError>,
}

/// Parses an expression, without looking at types.
pub(crate) fn parse_expr(
    query: &str,
    options: &ParseOptions,
) -> std::result::Result<Expr, ParseErrors> {
    let parser = Parser::new(query, options, false);
    parser.run(|parser| {
        if parser.peek()? == Kind::End {
            parser.error_at(0..0, "no expression found in input");
            return Err(Stop::Reported);
        }
        Ok(parser.expr(0)?.node)
    })
}

pub(crate) fn parse_metric(text: &str) -> std::result::Result<Labels, ParseErrors> {
    Parser::new(text, &ParseOptions::ALL, false).run(Parser::metric)
}

pub(crate) fn parse_selector(text: &str) -> std::result::Result<Vec<Matcher>, ParseErrors> {
    let parser = Parser::new(text, &ParseOptions::ALL, false);
    let selector: VectorSelector = parser.run(Parser::vector_selector)?;
    Ok(selector.matchers)
}

pub(crate) fn parse_series(text: &str) -> std::result::Result<SeriesDescription, ParseErrors> {
    Parser::new(text, &ParseOptions::ALL, true).run(Parser::series_description)
}

impl<'q> Parser<'q> {
    fn new(query: &'q str, options: &'q ParseOptions, is_series: bool) -> Parser<'q> {
        Parser {
            query,
            options,
            lexer: Lexer::new(query, is_series),
            ahead: None,
            last: Token {
                kind: Kind::End,
                start: 0,
                end: 0,
            },
            last_closing: 0,
            depth: 0,
            errors: Vec::new(),
        }
    }

    /// Reads what `parse` reads, and then the end.
    fn run<T>(
        mut self,
        parse: impl FnOnce(&mut Self) -> Result<T>,
    ) -> std::result::Result<T, ParseErrors> {
        let result = parse(&mut self).and_then(|value| {
            self.expect(Kind::End)?;
            Ok(value)
        });
        let result = self.in_context(result, "", "");
        match result {
            Ok(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ParseErrors::new(self.errors)),
        }
    }

    /// Looks at the next token.
    fn peek(&mut self) -> Result<Kind> {
        if let Some(token) = self.ahead {
            return Ok(token.kind);
        }
        let token = loop {
            let token = self.lexer.next_token();
            if token.kind != Kind::Comment {
                break token;
            }
        };
        self.last = token;
        match token.kind {
            Kind::Error => {
                let message = self.lexer.error().to_owned();
                self.error_at(token.start..token.end, message);
                return Err(Stop::Reported);
            }
            Kind::RightBrace
            | Kind::RightParen
            | Kind::RightBracket
            | Kind::Duration
            | Kind::Number => self.last_closing = token.end,
            _ => {}
        }
        self.ahead = Some(token);
        Ok(token.kind)
    }

    /// Takes the next token.
    fn bump(&mut self) -> Result<Token> {
        self.peek()?;
        Ok(self.ahead.take().unwrap_or(self.last))
    }

    /// Takes the next token if it is of this kind.
    fn accept(&mut self, kind: Kind) -> Result<Option<Token>> {
        if self.peek()? == kind {
            return self.bump().map(Some);
        }
        Ok(None)
    }

    /// Takes the next token, which must be of this kind.
    fn expect(&mut self, kind: Kind) -> Result<Token> {
        self.accept(kind)?.ok_or(Stop::Unexpected)
    }

    fn text(&self, token: Token) -> &'q str {
        &self.query[token.start..token.end]
    }

    /// Notes what is wrong.
    fn error_at(&mut self, position: Range<usize>, message: impl Into<String>) {
        self.errors
            .push(ParseError::new(self.query, position, message.into()));
    }

    /// Notes what is wrong with the token read last.
    fn error_at_last(&mut self, message: impl Into<String>) {
        self.error_at(self.last.start..self.last.end, message);
    }

    /// If a token did not fit, says in which context, and what would have fit.
    fn in_context<T>(&mut self, result: Result<T>, context: &str, expected: &str) -> Result<T> {
        if matches!(result, Err(Stop::Unexpected)) {
            let mut message = format!("unexpected {}", self.last.describe(self.text(self.last)));
            for (word, text) in [(" in ", context), (", expected ", expected)] {
                if !text.is_empty() {
                    message.push_str(word);
                    message.push_str(text);
                }
            }
            self.error_at_last(message);
            return Err(Stop::Reported);
        }
        result
    }

    /// Runs what may call the caller again.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        self.check_levels(self.depth)?;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// A node over others of which the tallest has `below` levels.
    fn leveled<T>(&mut self, node: T, below: usize) -> Result<Leveled<T>> {
        let levels = below + 1;
        self.check_levels(levels)?;
        Ok(Leveled { node, levels })
    }

    fn check_levels(&mut self, levels: usize) -> Result<()> {
        if levels <= DEPTH_MAX {
            return Ok(());
        }
        self.error_at_last(format!(
            "expression is nested too deeply, more than {DEPTH_MAX} levels"
        ));
        Err(Stop::Reported)
    }

    /// A number or a duration, as a number of seconds.
    fn number_literal(&mut self) -> Result<NumberLiteral> {
        let token = match self.peek()? {
            Kind::Number | Kind::Duration => self.bump()?,
            _ => return Err(Stop::Unexpected),
        };
        let is_duration = token.kind == Kind::Duration;
        let text = self.text(token);
        let value = if is_duration {
            self.duration_seconds(text)
        } else {
            self.number(text)
        };
        Ok(NumberLiteral {
            value,
            is_duration,
            position: token.start..token.end,
        })
    }

    /// Whole numbers come first, so that `010` is eight.
    fn number(&mut self, text: &str) -> f64 {
        if let Ok(number) = gocompat::strconv::parse_int(text, 0) {
            return number as f64;
        }
        gocompat::strconv::parse_float(text).unwrap_or_else(|error| {
            self.error_at_last(format!("error parsing number: {error}"));
            0.0
        })
    }

    fn duration_seconds(&mut self, text: &str) -> f64 {
        match model::parse_duration_ms(text) {
            // Two divisions, as in Go, to round as it does.
            Ok(ms) => (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9,
            Err(error) => {
                self.error_at_last(error.to_string());
                0.0
            }
        }
    }

    /// The text of a string token, which must be the one read last.
    fn unquoted(&mut self, token: Token) -> Text {
        let literal = self.text(token);
        crate::text::unquote(literal).unwrap_or_else(|| {
            self.unquote_error(literal, "invalid syntax");
            Text::from(String::new())
        })
    }

    /// The same where only UTF-8 can be stored: names of labels, and values of matchers.
    fn unquoted_utf8(&mut self, token: Token) -> String {
        let text = self.unquoted(token);
        if text.bytes.is_some() {
            self.unquote_error(self.text(token), "invalid UTF-8");
        }
        text.shown
    }

    fn unquote_error(&mut self, literal: &str, reason: &str) {
        let quoted = gocompat::strconv::quote(literal);
        self.error_at_last(format!("error unquoting string {quoted}: {reason}"));
    }
}

/// What stands in the tree for something that is wrong; such a tree is never given out.
fn placeholder(position: Range<usize>) -> Expr {
    Expr::Number(NumberLiteral {
        value: 0.0,
        is_duration: false,
        position,
    })
}
