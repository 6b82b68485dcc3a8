//! Cuts a query into tokens.
//!
//! What a character means depends on where it stands: inside braces all words are labels' names,
//! inside brackets stand durations, and after the labels of a series description come values. The
//! lexer keeps track of that by itself, so its tokens do not depend on the parser. Prometheus's
//! lexer does the same, and where it reports an error is part of what users see.

mod number;
mod series;
mod token;

pub(crate) use token::{HistogramKey, Keyword, Kind, Preprocessor, Token};

use crate::ast::BinaryOp;
use crate::text::{describe_char, quote_char};

/// What the next characters are read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Expressions; and, as flags of the lexer say, the inside of braces and histogram literals.
    Code,
    /// The start of brackets, up to the first number.
    Brackets,
    /// The values of a series description.
    Values,
    /// A number, and nothing else: after a sign among a histogram's buckets.
    Number,
    /// The end of the input, or an error.
    Ended,
}

/// The lexer of one text.
#[derive(Debug)]
pub(crate) struct Lexer<'q> {
    text: &'q str,
    mode: Mode,
    /// Where the current token starts.
    start: usize,
    /// What is read next.
    pos: usize,
    paren_depth: usize,
    in_braces: bool,
    in_brackets: bool,
    /// Whether the brackets have had their colon.
    had_colon: bool,
    /// Whether any brackets so far have had a number.
    had_duration: bool,
    /// Whether this is a series description of the test language.
    is_series: bool,
    in_histogram: bool,
    /// Why there was an error token.
    error: String,
}

impl<'q> Lexer<'q> {
    pub(crate) fn new(text: &'q str, is_series: bool) -> Lexer<'q> {
        Lexer {
            text,
            mode: Mode::Code,
            start: 0,
            pos: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            had_colon: false,
            had_duration: false,
            is_series,
            in_histogram: false,
            error: String::new(),
        }
    }

    /// Why there was an error token.
    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    /// The next token; after an error or the end only ends.
    pub(crate) fn next_token(&mut self) -> Token {
        loop {
            let token = match self.mode {
                Mode::Ended => Some(self.emit(Kind::End)),
                Mode::Code if self.in_histogram => self.histogram(),
                Mode::Code if self.in_braces => self.braces(),
                Mode::Code => self.code(),
                Mode::Brackets => self.brackets(),
                Mode::Values => self.values(),
                Mode::Number => {
                    self.mode = Mode::Code;
                    Some(self.number())
                }
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    fn code(&mut self) -> Option<Token> {
        if self.peek() == Some('#') {
            return Some(self.comment());
        }
        let Some(c) = self.next() else {
            return Some(if self.paren_depth != 0 {
                self.fail("unclosed left parenthesis")
            } else if self.in_brackets {
                self.fail("unclosed left bracket")
            } else {
                self.mode = Mode::Ended;
                self.emit(Kind::End)
            });
        };
        if let Some(op) = arithmetic(c) {
            return Some(self.emit(Kind::Op(op)));
        }
        Some(match c {
            ',' => self.emit(Kind::Comma),
            '@' => self.emit(Kind::At),
            '=' if self.accept('=') => self.emit(Kind::Op(BinaryOp::Equal)),
            '=' if self.peek() == Some('~') => self.fail(format!(
                "unexpected character after '=': {}",
                quote_char(Some('~'))
            )),
            '=' => self.emit(Kind::Assign),
            '!' => match self.next() {
                Some('=') => self.emit(Kind::Op(BinaryOp::NotEqual)),
                other => self.fail(format!(
                    "unexpected character after '!': {}",
                    quote_char(other)
                )),
            },
            '<' if self.accept('=') => self.emit(Kind::Op(BinaryOp::LessOrEqual)),
            '<' if self.accept('/') => self.emit(Kind::Op(BinaryOp::TrimUpper)),
            '<' => self.emit(Kind::Op(BinaryOp::Less)),
            '>' if self.accept('=') => self.emit(Kind::Op(BinaryOp::GreaterOrEqual)),
            '>' if self.accept('/') => self.emit(Kind::Op(BinaryOp::TrimLower)),
            '>' => self.emit(Kind::Op(BinaryOp::Greater)),
            '"' | '\'' | '`' => self.string(c),
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            '{' => {
                self.in_braces = true;
                self.emit(Kind::LeftBrace)
            }
            '[' if self.in_brackets => {
                self.fail(format!("unexpected left bracket {}", quote_char(Some(c))))
            }
            '[' => {
                self.had_colon = false;
                self.in_brackets = true;
                self.mode = Mode::Brackets;
                self.emit(Kind::LeftBracket)
            }
            ']' if !self.in_brackets => {
                self.fail(format!("unexpected right bracket {}", quote_char(Some(c))))
            }
            ']' => {
                self.in_brackets = false;
                self.emit(Kind::RightBracket)
            }
            c if is_space(c) => return self.skip_spaces(),
            c if c.is_ascii_digit() || (c == '.' && self.peek_is(|d| d.is_ascii_digit())) => {
                self.pos -= 1;
                self.number_or_duration()
            }
            c if (is_alpha(c) || c == ':') && self.in_brackets => self.word_in_brackets(c),
            c if is_alpha(c) || c == ':' => {
                self.pos -= 1;
                self.word()
            }
            c => self.fail(format!("unexpected character: {}", quote_char(Some(c)))),
        })
    }

    /// After the first number inside brackets.
    fn word_in_brackets(&mut self, first: char) -> Token {
        if first == ':' {
            if self.had_colon {
                return self.fail(format!("unexpected colon {}", quote_char(Some(first))));
            }
            self.had_colon = true;
            return self.emit(Kind::Colon);
        }
        self.duration_word(first).unwrap_or_else(|| {
            let (got, want) = (quote_char(Some(first)), quote_char(Some(':')));
            self.fail(format!("unexpected character: {got}, expected {want}"))
        })
    }

    /// `step`, `range`, `min_of`, `max_of`; its first character is read already.
    fn duration_word(&mut self, first: char) -> Option<Token> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.skip_while(is_alpha);
        let word = token::duration_word(&self.text[self.start..self.pos])?;
        Some(self.emit(Kind::Preprocessor(word)))
    }

    /// The inside of brackets up to the first number.
    fn brackets(&mut self) -> Option<Token> {
        let Some(c) = self.next() else {
            return Some(self.fail("unexpected end of input in duration expression"));
        };
        if let Some(op) = arithmetic(c) {
            return Some(self.emit(Kind::Op(op)));
        }
        Some(match c {
            ']' => {
                self.in_brackets = false;
                self.had_colon = false;
                self.mode = Mode::Code;
                self.emit(Kind::RightBracket)
            }
            ':' => {
                let colon = self.emit(Kind::Colon);
                if !self.had_duration {
                    return Some(
                        self.fail("unexpected colon before duration in duration expression"),
                    );
                }
                if self.had_colon {
                    return Some(self.fail("unexpected repeated colon in duration expression"));
                }
                self.had_colon = true;
                colon
            }
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            ',' => self.emit(Kind::Comma),
            c if is_space(c) => return self.skip_spaces(),
            c if c.is_ascii_digit() || (c == '.' && self.peek_is(|d| d.is_ascii_digit())) => {
                self.pos -= 1;
                self.had_duration = true;
                self.mode = Mode::Code;
                self.number_or_duration()
            }
            c => self.duration_word(c).unwrap_or_else(|| {
                let got = quote_char(Some(c));
                self.fail(format!(
                    "unexpected character in duration expression: {got}"
                ))
            }),
        })
    }

    fn left_paren(&mut self) -> Token {
        self.paren_depth += 1;
        self.emit(Kind::LeftParen)
    }

    fn right_paren(&mut self) -> Token {
        let token = self.emit(Kind::RightParen);
        match self.paren_depth.checked_sub(1) {
            Some(depth) => {
                self.paren_depth = depth;
                token
            }
            // The parenthesis counts as read, so the error stands behind it.
            None => self.fail(format!(
                "unexpected right parenthesis {}",
                quote_char(Some(')'))
            )),
        }
    }

    /// The inside of braces, where every word is a name.
    fn braces(&mut self) -> Option<Token> {
        if self.peek() == Some('#') {
            return Some(self.comment());
        }
        let Some(c) = self.next() else {
            return Some(self.fail("unexpected end of input inside braces"));
        };
        Some(match c {
            ',' => self.emit(Kind::Comma),
            '"' | '\'' | '`' => self.string(c),
            '=' if self.accept('~') => self.emit(Kind::RegexEqual),
            '=' => self.emit(Kind::Assign),
            '!' => match self.next() {
                Some('~') => self.emit(Kind::RegexNotEqual),
                Some('=') => self.emit(Kind::Op(BinaryOp::NotEqual)),
                other => self.fail(format!(
                    "unexpected character after '!' inside braces: {}",
                    quote_char(other)
                )),
            },
            '{' => self.fail(format!("unexpected left brace {}", quote_char(Some(c)))),
            '}' => {
                self.in_braces = false;
                if self.is_series {
                    self.mode = Mode::Values;
                }
                self.emit(Kind::RightBrace)
            }
            c if is_space(c) => return self.skip_spaces(),
            c if is_alpha(c) => {
                self.skip_while(is_alphanumeric);
                self.emit(Kind::Identifier)
            }
            c => self.fail(format!(
                "unexpected character inside braces: {}",
                quote_char(Some(c))
            )),
        })
    }

    fn comment(&mut self) -> Token {
        self.skip_while(|c| !matches!(c, '\n' | '\r'));
        self.emit(Kind::Comment)
    }

    /// A name or a word of the language; may hold colons.
    fn word(&mut self) -> Token {
        self.skip_while(|c| is_alphanumeric(c) || c == ':');
        let word = &self.text[self.start..self.pos];
        let kind = match token::word(word) {
            // New words of the language must not take a name from anybody.
            Some(Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.text[self.pos..]
                    .trim_start_matches(is_space)
                    .starts_with('(') =>
            {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        if self.is_series && self.peek() != Some('{') {
            self.mode = Mode::Values;
        } else {
            self.mode = Mode::Code;
        }
        self.emit(kind)
    }

    /// A string, after its opening quote.
    fn string(&mut self, quote: char) -> Token {
        loop {
            match self.next() {
                Some('\\') if quote != '`' => {
                    if let Err(message) = self.escape(quote) {
                        return self.fail(message);
                    }
                }
                // How Prometheus sees bytes that are no UTF-8; it cannot tell them from this.
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                None if quote == '`' => return self.fail("unterminated raw string"),
                None => return self.fail("unterminated quoted string"),
                Some('\n') if quote != '`' => return self.fail("unterminated quoted string"),
                Some(c) if c == quote => return self.emit(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape, after its backslash.
    fn escape(&mut self, quote: char) -> Result<(), String> {
        const UNTERMINATED: &str = "escape sequence not terminated";
        let (mut digit_count, radix, code_max) = match self.next() {
            None => return Err(UNTERMINATED.to_owned()),
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some('0'..='7') => {
                self.pos -= 1;
                (3, 8, 255)
            }
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, u32::from(char::MAX)),
            Some('U') => (8, 16, u32::from(char::MAX)),
            Some(c) => return Err(format!("unknown escape sequence {}", describe_char(c))),
        };
        let mut code: u32 = 0;
        while digit_count > 0 {
            let c = self.next().ok_or(UNTERMINATED)?;
            let digit = c.to_digit(radix).ok_or_else(|| {
                format!("illegal character {} in escape sequence", describe_char(c))
            })?;
            code = code * radix + digit;
            digit_count -= 1;
        }
        if code > code_max || (0xd800..0xe000).contains(&code) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    /// Skips white space of which one character is read already.
    fn skip_spaces(&mut self) -> Option<Token> {
        self.skip_while(is_space);
        self.start = self.pos;
        None
    }

    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn peek_is(&self, test: impl Fn(char) -> bool) -> bool {
        self.peek().is_some_and(test)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, want: char) -> bool {
        self.accept_if(|c| c == want)
    }

    fn accept_if(&mut self, test: impl Fn(char) -> bool) -> bool {
        let found = self.peek().filter(|&c| test(c));
        self.pos += found.map_or(0, char::len_utf8);
        found.is_some()
    }

    fn skip_while(&mut self, test: impl Fn(char) -> bool) {
        while self.accept_if(&test) {}
    }

    fn emit(&mut self, kind: Kind) -> Token {
        let token = Token {
            kind,
            start: self.start,
            end: self.pos,
        };
        self.start = self.pos;
        token
    }

    /// An error at the start of the current token, after which nothing is read.
    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.error = message.into();
        self.mode = Mode::Ended;
        let token = Token {
            kind: Kind::Error,
            start: self.start,
            end: self.text.len(),
        };
        self.start = self.text.len();
        self.pos = self.text.len();
        token
    }
}

/// The operators that mean the same in expressions and in brackets.
fn arithmetic(c: char) -> Option<BinaryOp> {
    Some(match c {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}
