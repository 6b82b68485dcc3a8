//! The values of series descriptions.

use gocompat::strconv::quote;

use super::{Kind, Lexer, Mode, Token, is_alpha, is_space, token};
use crate::ast::BinaryOp;
use crate::text::quote_char;

impl Lexer<'_> {
    pub(super) fn values(&mut self) -> Option<Token> {
        let Some(c) = self.next() else {
            self.mode = Mode::Code;
            return None;
        };
        Some(match c {
            '{' if self.accept('{') => {
                self.in_histogram = true;
                self.mode = Mode::Code;
                self.emit(Kind::OpenHistogram)
            }
            '+' => self.emit(Kind::Op(BinaryOp::Add)),
            '-' => self.emit(Kind::Op(BinaryOp::Sub)),
            'x' => self.emit(Kind::Times),
            '_' => self.emit(Kind::Blank),
            c if is_space(c) => self.spaces(),
            c if c.is_ascii_digit() || (c == '.' && self.peek_is(|d| d.is_ascii_digit())) => {
                self.pos -= 1;
                self.number()
            }
            c if is_alpha(c) => {
                self.pos -= 1;
                self.word()
            }
            c => self.fail(format!(
                "unexpected character in series sequence: {}",
                quote_char(Some(c))
            )),
        })
    }

    /// White space, which separates values; the token is its first character.
    fn spaces(&mut self) -> Token {
        let token = self.emit(Kind::Space);
        self.skip_spaces();
        token
    }

    /// The inside of `{{` and `}}`.
    pub(super) fn histogram(&mut self) -> Option<Token> {
        if self.in_brackets {
            return self.buckets();
        }
        let c = self.next();
        Some(match c {
            Some(':') => self.emit(Kind::Colon),
            Some('-') => self.emit(Kind::Op(BinaryOp::Sub)),
            Some('[') => {
                self.in_brackets = true;
                self.emit(Kind::LeftBracket)
            }
            Some('}') if self.accept('}') => {
                self.in_histogram = false;
                self.mode = Mode::Values;
                self.emit(Kind::CloseHistogram)
            }
            Some(c) if is_space(c) => self.spaces(),
            Some(c) if c.is_ascii_digit() => {
                self.pos -= 1;
                self.number()
            }
            Some(c) if is_alpha(c) => self.histogram_word(),
            c => self.fail(format!(
                "histogram description incomplete unexpected: {}",
                quote_char(c)
            )),
        })
    }

    /// A key, a hint or `inf`; its first character is read already.
    fn histogram_word(&mut self) -> Token {
        self.skip_while(is_alpha);
        let word = &self.text[self.start..self.pos];
        if let Some(key) = token::HistogramKey::by_name(word) {
            if self.peek() == Some(':') {
                return self.emit(Kind::HistogramKey(key));
            }
            return self.fail("missing `:` for histogram descriptor");
        }
        if is_special_number(word) {
            return self.emit(Kind::Number);
        }
        if let Some(hint) = token::hint(word) {
            return self.emit(Kind::Hint(hint));
        }
        let word = quote(word);
        self.fail(format!("bad histogram descriptor found: {word}"))
    }

    /// The inside of a histogram's brackets.
    fn buckets(&mut self) -> Option<Token> {
        let c = self.next();
        Some(match c {
            Some('-') => {
                self.mode = Mode::Number;
                self.emit(Kind::Op(BinaryOp::Sub))
            }
            Some(']') => {
                self.in_brackets = false;
                self.emit(Kind::RightBracket)
            }
            Some(c) if is_space(c) => self.spaces(),
            Some(c) if c.is_ascii_digit() => {
                self.pos -= 1;
                self.number()
            }
            // Letter by letter, until they are `inf` or `nan`.
            Some(c) if is_alpha(c) => {
                if !is_special_number(&self.text[self.start..self.pos]) {
                    return None;
                }
                self.emit(Kind::Number)
            }
            c => self.fail(format!(
                "invalid character in buckets description: {}",
                quote_char(c)
            )),
        })
    }
}

fn is_special_number(word: &str) -> bool {
    word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan")
}
