//! Numbers and durations.

use gocompat::strconv::quote;

use super::{Kind, Lexer, Token, is_alphanumeric};

impl Lexer<'_> {
    pub(super) fn number(&mut self) -> Token {
        if self.scan_number() {
            return self.emit(Kind::Number);
        }
        let text = quote(&self.text[self.start..self.pos]);
        self.fail(format!("bad number syntax: {text}"))
    }

    pub(super) fn number_or_duration(&mut self) -> Token {
        if self.scan_number() {
            return self.emit(Kind::Number);
        }
        if self.scan_units() {
            return self.emit(Kind::Duration);
        }
        let text = quote(&self.text[self.start..self.pos]);
        self.fail(format!("bad number or duration syntax: {text}"))
    }

    /// Goes over what may be a number: the digits are judged later, when it is parsed. What was
    /// read of a number that is none stays read, and is shown in the error.
    fn scan_number(&mut self) -> bool {
        let begin = self.pos;
        // `0x5` in a series description is zero, five times.
        let hexadecimal =
            !self.is_series && self.accept('0') && self.accept_if(|c| matches!(c, 'x' | 'X'));
        let is_digit = |c: char| match hexadecimal {
            true => c.is_ascii_hexdigit(),
            false => c.is_ascii_digit(),
        };
        if hexadecimal {
            self.accept('_');
        }
        self.accept('.');
        self.accept_if(is_digit);
        let mut had_dot = false;
        let mut had_exponent = false;
        while let Some(c) = self.peek() {
            match c {
                '.' if had_dot || hexadecimal => {
                    self.pos += 1;
                    if !had_dot {
                        self.accept_if(|c| matches!(c, '_' | '.'));
                    }
                    return false;
                }
                '.' => {
                    self.pos += 1;
                    had_dot = true;
                    if self.accept_if(|c| matches!(c, '_' | '.')) {
                        return false;
                    }
                }
                // Digits of hexadecimal numbers, too, so that they may hold one at most.
                'e' | 'E' if had_exponent => {
                    self.pos += 1;
                    return false;
                }
                'e' | 'E' => {
                    self.pos += 1;
                    had_exponent = true;
                    self.accept_if(|c| matches!(c, '+' | '-'));
                    if self.accept_if(is_after_none) || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.pos += 1;
                    if self.accept_if(is_after_none) || self.peek().is_none() {
                        return false;
                    }
                }
                c if is_digit(c) => self.skip_while(is_digit),
                _ => break,
            }
        }
        if self.pos == begin {
            return false;
        }
        (self.is_series && self.peek() == Some('x')) || !self.peek_is(is_alphanumeric)
    }

    /// The rest of a duration after its first count.
    fn scan_units(&mut self) -> bool {
        if !self.accept_if(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.accept('s');
        while self.accept_if(|c| c.is_ascii_digit()) {
            self.skip_while(|c| c.is_ascii_digit());
            if !self.accept_if(|c| "smhdw".contains(c)) {
                return false;
            }
            self.accept('s');
        }
        // What follows and spoils it is shown in the error, too.
        !self.accept_if(is_alphanumeric)
    }
}

/// What may follow neither an exponent nor an underscore.
fn is_after_none(c: char) -> bool {
    matches!(c, '.' | '_' | 'e' | 'E')
}
