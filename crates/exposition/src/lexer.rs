//! The two lexers, as state machines over the bytes of the page.
//!
//! What counts as a token depends on what came before ([`State`]). The machines are those of
//! model/textparse/{promlex,openmetricslex}.l upstream, oddities included: which bytes a token takes
//! before it turns out to be none decides what an error message quotes, and which malformed lines
//! pass after all.
//!
//! This is the exact way, not the fast one: `crate::plain` reads the lines that need no state.

use std::fmt;

use crate::Format;

/// A token; its bytes are those from [`Lexer::start`] to [`Lexer::at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Whitespace,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    MetricName,
    Quoted,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

/// The names that error messages show.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Token::Invalid => "INVALID",
            Token::Eof => "EOF",
            Token::Linebreak => "LINEBREAK",
            Token::Whitespace => "WHITESPACE",
            Token::Help => "HELP",
            Token::Type => "TYPE",
            Token::Unit => "UNIT",
            Token::EofWord => "EOFWORD",
            Token::Text => "TEXT",
            Token::Comment => "COMMENT",
            Token::MetricName => "MNAME",
            Token::Quoted => "QSTRING",
            Token::BraceOpen => "BOPEN",
            Token::BraceClose => "BCLOSE",
            Token::LabelName => "LNAME",
            Token::LabelValue => "LVALUE",
            Token::Comma => "COMMA",
            Token::Equal => "EQUAL",
            Token::Timestamp => "TIMESTAMP",
            Token::Value => "VALUE",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a line.
    Line,
    /// After `# `.
    Comment,
    /// Before the family of a metadata line.
    MetaName,
    /// After it.
    MetaText,
    /// Between braces.
    Labels,
    /// After `=`.
    LabelValue,
    /// Before the value, or the brace after a name.
    Value,
    /// After the value.
    Timestamp,
    /// Between the braces of an exemplar.
    Exemplar,
    /// After `=` or the closing brace of an exemplar.
    ExemplarValue,
    /// After its value.
    ExemplarTimestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    pub(crate) page: &'a [u8],
    /// Where the token begins.
    pub(crate) start: usize,
    /// The first byte that is not read.
    pub(crate) at: usize,
    format: Format,
    state: State,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(page: &'a [u8], format: Format) -> Lexer<'a> {
        Lexer {
            page,
            start: 0,
            at: 0,
            format,
            state: State::Line,
        }
    }

    /// Whether a line begins here.
    #[inline]
    pub(crate) fn at_line(&self) -> bool {
        self.state == State::Line
    }

    /// The page's length with the line break that the classic format adds in thought.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.page.len() + usize::from(self.format == Format::PrometheusText)
    }

    /// The bytes of the token.
    pub(crate) fn token(&self) -> &'a [u8] {
        self.slice(self.start, self.at)
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        let to = to.min(self.page.len());
        &self.page[from.min(to)..to]
    }

    /// The next token. White space between tokens, which only the classic format allows, is one.
    pub(crate) fn next(&mut self) -> Token {
        if self.at >= self.end() {
            return Token::Eof;
        }
        self.start = self.at;
        match self.format {
            Format::PrometheusText => self.next_classic(),
            Format::OpenMetrics => self.next_openmetrics(),
        }
    }

    /// The byte here; 0 at the end of the page, which no rule takes.
    #[inline]
    fn byte(&self) -> u8 {
        match self.page.get(self.at) {
            Some(&byte) => byte,
            None if self.at < self.end() => b'\n',
            None => 0,
        }
    }

    /// Goes on by one byte. In free text, zero bytes are passed over.
    fn advance(&mut self) -> u8 {
        self.at += 1;
        if let State::LabelValue | State::MetaText | State::Comment = self.state {
            while self.at < self.page.len() && self.page[self.at] == 0 {
                self.at += 1;
            }
        }
        self.byte()
    }

    fn advance_while(&mut self, take: impl Fn(u8) -> bool) -> u8 {
        loop {
            let byte = self.advance();
            if byte == 0 || !take(byte) {
                return byte;
            }
        }
    }

    /// A token of one byte.
    fn single(&mut self, token: Token, state: State) -> Token {
        self.advance();
        self.state = state;
        token
    }

    /// A token of the byte here and all that follow and that `take` takes.
    fn run(&mut self, token: Token, state: State, take: impl Fn(u8) -> bool) -> Token {
        self.advance_while(take);
        self.state = state;
        token
    }

    /// A text between double quotes, of which the first is here.
    fn quoted(&mut self, token: Token, state: State, newlines: bool) -> Token {
        loop {
            match self.advance() {
                0 => return Token::Invalid,
                b'\n' if !newlines => return Token::Invalid,
                b'"' => return self.single(token, state),
                b'\\' if matches!(self.advance(), 0 | b'\n') => return Token::Invalid,
                _ => {}
            }
        }
    }

    /// Whether the bytes after the one here are `rest`; stops at the first that is not, else after
    /// the last.
    fn keyword(&mut self, rest: &[u8]) -> bool {
        rest.iter().all(|&byte| self.advance() == byte)
    }

    fn next_classic(&mut self) -> Token {
        let byte = self.byte();
        if is_blank(byte) && self.state != State::MetaText {
            return self.run(Token::Whitespace, self.state, is_blank);
        }
        match (self.state, byte) {
            (State::Line, b'#') => {
                if !is_blank(self.advance()) {
                    return self.rest_of_comment();
                }
                self.advance_while(is_blank);
                self.state = State::Comment;
                self.classic_comment()
            }
            (State::Line, b'\n') => self.single(Token::Linebreak, State::Line),
            (State::Line, 0) => self.single(Token::Eof, State::Line),
            (State::Line, b'{') => self.single(Token::BraceOpen, State::Labels),
            (State::Line, b) if is_name_start(b) => {
                self.run(Token::MetricName, State::Value, is_name)
            }
            (State::Comment, _) => self.classic_comment(),
            (State::MetaName, _) => self.meta_name(),
            (State::MetaText, _) => self.classic_text(),
            (State::Labels, _) => self.inside_braces(State::Labels, State::LabelValue, true),
            (State::LabelValue, b'"') => self.quoted(Token::LabelValue, State::Labels, true),
            (State::Value, b'{') => self.single(Token::BraceOpen, State::Labels),
            (State::Value, b) if b != 0 && b != b'\n' => {
                self.run(Token::Value, State::Timestamp, |b| {
                    !matches!(b, b'{' | b' ' | b'\t' | b'\n')
                })
            }
            (State::Timestamp, b'\n') => self.single(Token::Linebreak, State::Line),
            (State::Timestamp, b'0'..=b'9') => {
                self.run(Token::Timestamp, State::Timestamp, |b| b.is_ascii_digit())
            }
            _ => Token::Invalid,
        }
    }

    /// After `#` and blanks. What is neither help nor type is a comment.
    fn classic_comment(&mut self) -> Token {
        let (rest, token): (&[u8], _) = match self.byte() {
            b'H' => (b"ELP", Token::Help),
            b'T' => (b"YPE", Token::Type),
            b if is_blank(b) => return self.run(Token::Whitespace, State::Comment, is_blank),
            _ => return self.rest_of_comment(),
        };
        if !self.keyword(rest) || !is_blank(self.advance()) {
            return self.rest_of_comment();
        }
        self.run(token, State::MetaName, is_blank)
    }

    fn rest_of_comment(&mut self) -> Token {
        let mut byte = self.byte();
        while byte != 0 && byte != b'\n' {
            byte = self.advance();
        }
        if byte == 0 {
            return Token::Eof;
        }
        self.state = State::Line;
        Token::Comment
    }

    /// The rest of the line, which may be empty. Blanks before nothing are white space.
    fn classic_text(&mut self) -> Token {
        let mut byte = self.byte();
        if is_blank(byte) {
            byte = self.advance_while(is_blank);
            if byte == 0 || byte == b'\n' {
                return Token::Whitespace;
            }
        }
        if byte != 0 && byte != b'\n' {
            self.advance_while(|b| b != b'\n');
        }
        self.state = State::Line;
        Token::Text
    }

    fn next_openmetrics(&mut self) -> Token {
        match (self.state, self.byte()) {
            (State::Line, b'#') => {
                if self.advance() != b' ' {
                    return Token::Invalid;
                }
                self.advance();
                self.state = State::Comment;
                self.openmetrics_comment()
            }
            (State::Line, b'{') => self.single(Token::BraceOpen, State::Labels),
            (State::Line, b) if is_name_start(b) => {
                self.run(Token::MetricName, State::Value, is_name)
            }
            (State::Comment, _) => self.openmetrics_comment(),
            (State::MetaName, _) => self.meta_name(),
            (State::MetaText, b' ') => match self.advance_while(|b| b != b'\n') {
                0 => Token::Invalid,
                _ => self.single(Token::Text, State::Line),
            },
            (State::Labels, _) => self.inside_braces(State::Labels, State::LabelValue, true),
            (State::LabelValue, b'"') => self.quoted(Token::LabelValue, State::Labels, false),
            (State::Value, b'{') => self.single(Token::BraceOpen, State::Labels),
            (State::Value, b' ') => self.spaced(Token::Value, State::Timestamp),
            (State::Timestamp, b' ') => self.timestamp_or_exemplar(),
            (State::Timestamp | State::ExemplarTimestamp, b'\n') => {
                self.single(Token::Linebreak, State::Line)
            }
            (State::Exemplar, _) => {
                self.inside_braces(State::Exemplar, State::ExemplarValue, false)
            }
            (State::ExemplarValue, b'"') => self.quoted(Token::LabelValue, State::Exemplar, false),
            (State::ExemplarValue, b' ') => self.spaced(Token::Value, State::ExemplarTimestamp),
            (State::ExemplarTimestamp, b' ') => {
                self.spaced(Token::Timestamp, State::ExemplarTimestamp)
            }
            _ => Token::Invalid,
        }
    }

    /// After `# `.
    fn openmetrics_comment(&mut self) -> Token {
        let (rest, token): (&[u8], _) = match self.byte() {
            b'E' => (b"OF", Token::EofWord),
            b'H' => (b"ELP ", Token::Help),
            b'T' => (b"YPE ", Token::Type),
            b'U' => (b"NIT ", Token::Unit),
            _ => return Token::Invalid,
        };
        if !self.keyword(rest) {
            return Token::Invalid;
        }
        if self.advance() == b'\n' && token == Token::EofWord {
            self.advance();
        }
        self.state = match token {
            Token::EofWord => State::Line,
            _ => State::MetaName,
        };
        token
    }

    /// A space and all up to the next space or line break, which must not be nothing.
    fn spaced(&mut self, token: Token, state: State) -> Token {
        if matches!(self.advance(), 0 | b' ' | b'\n') {
            return Token::Invalid;
        }
        self.run(token, state, |b| b != b' ' && b != b'\n')
    }

    /// After a value: ` 123`, or ` # {`. A lone ` #` is a timestamp, if one that no number parser
    /// takes.
    fn timestamp_or_exemplar(&mut self) -> Token {
        let not_blank = |b| b != b' ' && b != b'\n';
        match self.advance() {
            0 | b' ' | b'\n' => return Token::Invalid,
            b'#' => {}
            _ => return self.run(Token::Timestamp, State::Timestamp, not_blank),
        }
        match self.advance() {
            0 | b'\n' => Token::Timestamp,
            b' ' if self.advance() == b'{' => self.single(Token::Comment, State::Exemplar),
            b' ' => Token::Invalid,
            _ => self.run(Token::Timestamp, State::Timestamp, not_blank),
        }
    }

    fn meta_name(&mut self) -> Token {
        match self.byte() {
            b'"' => self.quoted(Token::MetricName, State::MetaText, true),
            b if is_name_start(b) => self.run(Token::MetricName, State::MetaText, is_name),
            _ => Token::Invalid,
        }
    }

    fn inside_braces(&mut self, braces: State, after_equal: State, newlines: bool) -> Token {
        let after_brace = match braces {
            State::Exemplar => State::ExemplarValue,
            _ => State::Value,
        };
        match self.byte() {
            b'"' => self.quoted(Token::Quoted, braces, newlines),
            b',' => self.single(Token::Comma, braces),
            b'=' => self.single(Token::Equal, after_equal),
            b'}' => self.single(Token::BraceClose, after_brace),
            b if is_label_start(b) => self.run(Token::LabelName, braces, is_label),
            _ => Token::Invalid,
        }
    }
}

#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `[a-zA-Z_:]`
#[inline]
pub(crate) fn is_name_start(byte: u8) -> bool {
    byte == b':' || is_label_start(byte)
}

/// `[a-zA-Z0-9_:]`
#[inline]
pub(crate) fn is_name(byte: u8) -> bool {
    byte == b':' || is_label(byte)
}

/// `[a-zA-Z_]`
#[inline]
pub(crate) fn is_label_start(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic()
}

/// `[a-zA-Z0-9_]`
#[inline]
pub(crate) fn is_label(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}
