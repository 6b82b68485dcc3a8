//! String literals, and how errors quote what they found.

use std::fmt;

/// What a string literal says.
#[derive(Debug)]
pub(crate) struct Text {
    /// With replacement characters where `bytes` are no UTF-8.
    pub(crate) shown: String,
    /// The bytes, if they are no UTF-8.
    pub(crate) bytes: Option<Box<[u8]>>,
}

impl From<String> for Text {
    fn from(shown: String) -> Text {
        Text { shown, bytes: None }
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        match String::from_utf8(bytes) {
            Ok(shown) => Text::from(shown),
            Err(error) => Text {
                shown: String::from_utf8_lossy(error.as_bytes()).into_owned(),
                bytes: Some(error.into_bytes().into_boxed_slice()),
            },
        }
    }
}

/// As a double-quoted literal.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.as_deref().unwrap_or(self.shown.as_bytes());
        f.write_str(&quote_bytes(bytes))
    }
}

/// The text of a string literal of the query language: Go's escapes between double or single
/// quotes, or nothing but itself between back quotes. `None` if it is no such literal.
pub(crate) fn unquote(literal: &str) -> Option<Text> {
    let quote = literal.chars().next()?;
    let body = literal.get(1..)?.strip_suffix(quote)?;
    match quote {
        '`' => (!body.contains('`')).then(|| Text::from(body.to_owned())),
        '"' | '\'' => unescape(body, quote),
        _ => None,
    }
}

fn unescape(body: &str, quote: char) -> Option<Text> {
    if !body.contains(['\\', quote, '\n']) {
        return Some(Text::from(body.to_owned()));
    }
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, quote, &mut bytes)?,
            '\n' => return None,
            c if c == quote => return None,
            c => push_char(&mut bytes, c),
        }
    }
    Some(Text::from(bytes))
}

/// Reads one escape after its backslash, and gives what follows.
fn escape<'a>(text: &'a str, quote: char, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let kind = text.chars().next()?;
    let (digits_at, digit_count, radix) = match kind {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        _ => {
            bytes.push(match kind {
                'a' => 0x07,
                'b' => 0x08,
                'f' => 0x0c,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 0x0b,
                '\\' => b'\\',
                '"' if quote == '"' => b'"',
                '\'' if quote == '\'' => b'\'',
                _ => return None,
            });
            return Some(&text[1..]);
        }
    };
    let end = digits_at + digit_count;
    let digits = text.get(digits_at..end)?;
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    if matches!(kind, 'u' | 'U') {
        push_char(bytes, char::from_u32(code)?);
    } else {
        bytes.push(u8::try_from(code).ok()?);
    }
    Some(&text[end..])
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Go's `strconv.Quote` of bytes, where those that are no UTF-8 turn into `\xff`.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = gocompat::strconv::quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// Go's `%q` of a character; the end of the input reads as the replacement character.
pub(crate) fn quote_char(c: Option<char>) -> String {
    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
    match c {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = gocompat::strconv::quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", quoted.trim_matches('"'))
        }
    }
}

/// Go's `%#U` of a character: `U+0078 'x'`.
pub(crate) fn describe_char(c: char) -> String {
    let code = u32::from(c);
    if gocompat::strconv::is_print(c) {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquotes() {
        for (literal, text) in [
            (r#""a'b""#, Some("a'b")),
            (r"'a\'b'", Some("a'b")),
            (r#"'a"b'"#, Some("a\"b")),
            (r#"'\"'"#, None),
            ("`a\\n\n`", Some("a\\n\n")),
            (
                r#""\a\b\f\n\r\t\v\\""#,
                Some("\u{7}\u{8}\u{c}\n\r\t\u{b}\\"),
            ),
            (r#""\101\x41\u00e9\U0001F600""#, Some("AAé😀")),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""\xff""#, Some("\u{fffd}")),
            (r#""\400""#, None),
            (r#""\x+1""#, None),
            (r#""\ud800""#, None),
            (r#""é\"#, None),
            ("\"", None),
            ("\"a\nb\"", None),
            ("", None),
        ] {
            let found = unquote(literal);
            assert_eq!(
                found.as_ref().map(|text| text.shown.as_str()),
                text,
                "{literal}"
            );
        }
    }

    #[test]
    fn keeps_bytes_that_are_no_text() {
        let text = unquote(r#""a\xc5z\n\377é""#).unwrap();
        assert_eq!(text.bytes.as_deref(), Some(&b"a\xc5z\n\xff\xc3\xa9"[..]));
        assert_eq!(text.shown, "a\u{fffd}z\n\u{fffd}é");
        assert_eq!(text.to_string(), r#""a\xc5z\n\xffé""#);
    }

    #[test]
    fn quotes_characters() {
        for (c, quoted, described) in [
            ('a', "'a'", "U+0061 'a'"),
            ('\'', r"'\''", "U+0027 '''"),
            ('"', "'\"'", "U+0022 '\"'"),
            ('\n', r"'\n'", "U+000A"),
            ('é', "'é'", "U+00E9 'é'"),
            ('\u{200b}', r"'\u200b'", "U+200B"),
            ('\\', r"'\\'", r"U+005C '\'"),
        ] {
            assert_eq!(quote_char(Some(c)), quoted);
            assert_eq!(describe_char(c), described);
        }
        assert_eq!(quote_char(None), "'\u{fffd}'");
    }
}
