//! Strings between quotes: `strconv.Quote` (which is `%q`) and `strconv.Unquote`.

use super::printable::PRINTABLE;

/// A text that is no quoted string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid syntax")]
pub struct UnquoteError;

/// `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
#[must_use]
pub fn is_print(c: char) -> bool {
    let code = u32::from(c);
    if code < 0x7f {
        return code >= 0x20;
    }
    let after = PRINTABLE.partition_point(|&(start, _)| start <= code);
    after > 0 && code <= PRINTABLE[after - 1].1
}

/// `strconv.Quote`: a double-quoted Go string literal.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_print(c) => out.push(c),
            c => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..0x20 | 0x7f => format!("\\x{code:02x}"),
                    0x80..0x1_0000 => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    out.push('"');
    out
}

/// `strconv.Unquote`: what stands between double quotes, back quotes, or one character between
/// single quotes.
///
/// # Errors
/// If it is no such literal, or if its bytes are no UTF-8 (`"\xff"`), which Go would let pass.
pub fn unquote(text: &str) -> Result<String, UnquoteError> {
    let quote = text.chars().next().ok_or(UnquoteError)?;
    let body = text[quote.len_utf8()..]
        .strip_suffix(quote)
        .ok_or(UnquoteError)?;
    match quote {
        '`' if body.contains('`') => Err(UnquoteError),
        '`' => Ok(body.replace('\r', "")),
        '"' | '\'' => unescape(body, quote),
        _ => Err(UnquoteError),
    }
}

fn unescape(body: &str, quote: char) -> Result<String, UnquoteError> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    let mut count = 0;
    while let Some(c) = rest.chars().next() {
        count += 1;
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => return Err(UnquoteError),
            c if c == quote => return Err(UnquoteError),
            '\\' => rest = escape(rest, quote, &mut bytes).ok_or(UnquoteError)?,
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if quote == '\'' && count != 1 {
        return Err(UnquoteError);
    }
    String::from_utf8(bytes).map_err(|_| UnquoteError)
}

/// Reads one escape after its backslash, and gives what follows.
fn escape<'a>(text: &'a str, quote: char, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    let simple = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        c if c == quote => u8::try_from(quote).ok()?,
        'x' | 'u' | 'U' | '0'..='7' => return numeric(text, kind, bytes),
        _ => return None,
    };
    bytes.push(simple);
    Some(rest)
}

/// `\xhh`, `\ooo` (a byte), `\uhhhh`, `\Uhhhhhhhh` (a character).
fn numeric<'a>(text: &'a str, kind: char, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let (start, length, radix) = match kind {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        _ => (0, 3, 8),
    };
    let digits = text.get(start..start + length)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    if matches!(kind, 'u' | 'U') {
        let c = char::from_u32(code)?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        bytes.push(u8::try_from(code).ok()?);
    }
    Some(&text[start + length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go() {
        for (text, want) in [
            ("", r#""""#),
            ("a\"\\b", r#""a\"\\b""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\u{1}\u{7f}", r#""\x01\x7f""#),
            ("\u{80}\u{a0}\u{ad}", r#""\u0080\u00a0\u00ad""#),
            ("é日😀", "\"é日😀\""),
            ("\u{200b}\u{feff}\u{e000}", r#""\u200b\ufeff\ue000""#),
            ("\u{e0001}\u{10ffff}", r#""\U000e0001\U0010ffff""#),
            ("\u{fffd}\u{3000}", "\"\u{fffd}\\u3000\""),
        ] {
            assert_eq!(quote(text), want);
            assert_eq!(unquote(want).as_deref(), Ok(text));
        }
    }

    #[test]
    fn unquotes_as_go() {
        for (text, want) in [
            ("`a\\n\r`", Some("a\\n")),
            (r"'\''", Some("'")),
            ("'é'", Some("é")),
            ("'ab'", None),
            (r#""\'""#, None),
            (r#""\101\x41\u0041\U00000041""#, Some("AAAA")),
            (r#""\400""#, None),
            (r#""\ud800""#, None),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""\xff""#, None),
            (r#""\+1""#, None),
            (r#""\x+1""#, None),
            ("\"a\nb\"", None),
            ("\"", None),
            ("", None),
            ("abc", None),
            ("``", Some("")),
            ("`a`b`", None),
        ] {
            assert_eq!(unquote(text).ok().as_deref(), want, "{text}");
        }
    }
}
