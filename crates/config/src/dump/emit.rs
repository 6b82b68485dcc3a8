//! Writing YAML: block style, lists not indented, quotes where Go's library sets them.

use std::fmt::Display;

use crate::scalar::{Resolved, resolve};
use crate::yaml::Scalar;

/// A value to write.
#[derive(Debug)]
pub(super) enum Yaml {
    Map(Map),
    List(Vec<Yaml>),
    /// A list of texts on one line: `[a, b]`.
    Flow(Vec<String>),
    /// A text, quoted if it has to be.
    Text(String),
    /// A number or a truth value.
    Plain(String),
}

impl Yaml {
    pub(super) fn text(text: String) -> Yaml {
        Yaml::Text(text)
    }

    pub(super) fn plain(value: impl Display) -> Yaml {
        Yaml::Plain(value.to_string())
    }
}

/// Keys and values in the order in which they are written.
#[derive(Debug, Default)]
pub(super) struct Map(Vec<(String, Yaml)>);

impl Map {
    pub(super) fn put(&mut self, name: &str, value: Yaml) {
        self.0.push((name.to_owned(), value));
    }

    /// Puts a list unless it is empty.
    pub(super) fn put_list(&mut self, name: &str, items: Vec<Yaml>) {
        if !items.is_empty() {
            self.put(name, Yaml::List(items));
        }
    }

    /// Puts a mapping unless it is empty.
    pub(super) fn put_map(&mut self, name: &str, map: Map) {
        if !map.0.is_empty() {
            self.put(name, Yaml::Map(map));
        }
    }

    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, self, 0, 0);
        out
    }
}

/// Writes the entries, each on lines of its own. The first one is `first_indent` deep: within a
/// list it follows the dash.
fn write_map(out: &mut String, map: &Map, indent: usize, first_indent: usize) {
    for (index, (name, value)) in map.0.iter().enumerate() {
        push_indent(out, if index == 0 { first_indent } else { indent });
        out.push_str(&quoted(name, Place::Key));
        out.push(':');
        write_value(out, value, indent);
    }
}

/// Writes what follows a key.
fn write_value(out: &mut String, value: &Yaml, indent: usize) {
    match value {
        Yaml::Map(map) if !map.0.is_empty() => {
            out.push('\n');
            write_map(out, map, indent + 2, indent + 2);
        }
        Yaml::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                push_indent(out, indent);
                out.push('-');
                write_item(out, item, indent);
            }
        }
        other => write_inline(out, other, indent),
    }
}

/// Writes what follows a dash.
fn write_item(out: &mut String, item: &Yaml, indent: usize) {
    match item {
        Yaml::Map(map) if !map.0.is_empty() => {
            out.push(' ');
            write_map(out, map, indent + 2, 0);
        }
        other => write_inline(out, other, indent),
    }
}

fn write_inline(out: &mut String, value: &Yaml, indent: usize) {
    out.push(' ');
    match value {
        Yaml::Map(_) => out.push_str("{}"),
        Yaml::List(_) => out.push_str("[]"),
        Yaml::Flow(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text, Place::Flow)).collect();
            out.push_str(&format!("[{}]", texts.join(", ")));
        }
        Yaml::Plain(text) => out.push_str(text),
        Yaml::Text(text) if can_be_literal(text) => return write_literal(out, text, indent + 2),
        Yaml::Text(text) => out.push_str(&quoted(text, Place::Block)),
    }
    out.push('\n');
}

/// A text of several lines as a block: `|`, `|-` without a line break at its end, `|+` with more
/// than one.
fn write_literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let body = text.strip_suffix('\n');
    match body {
        None => out.push('-'),
        Some(body) if body.ends_with('\n') || body.is_empty() => out.push('+'),
        Some(_) => {}
    }
    out.push('\n');
    for line in body.unwrap_or(text).split('\n') {
        if !line.is_empty() {
            push_indent(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Where a scalar stands decides which characters are dangerous.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Block,
    Flow,
    Key,
}

/// A block keeps every line as it is, so that nothing in it may need an escape, and a space before
/// a line break would not be seen.
fn can_be_literal(text: &str) -> bool {
    text.contains('\n') && !needs_escapes(text) && !text.contains(" \n") && !text.ends_with(' ')
}

fn quoted(text: &str, place: Place) -> String {
    if text.contains('\n') || needs_escapes(text) || is_something_else(text) {
        return double_quoted(text);
    }
    if text.starts_with(' ') || text.ends_with(' ') || !can_be_plain(text, place) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

/// Whether a plain scalar would be read as a number, a truth value, null, a date or a merge key.
fn is_something_else(text: &str) -> bool {
    let scalar = Scalar {
        text: text.to_owned(),
        is_plain: true,
        tag: None,
    };
    !matches!(resolve(&scalar), Ok(Resolved::Str)) || text == "<<" || is_base_60(text)
}

/// `1:30`: YAML 1.1 reads it as ninety. Nothing here does, but other readers may.
fn is_base_60(text: &str) -> bool {
    let mut parts = text.split(':');
    let is_number = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    };
    let first = parts.next().unwrap_or_default();
    let first = first.strip_prefix(['-', '+']).unwrap_or(first);
    let rest: Vec<&str> = parts.collect();
    let is_sixty = |text: &&str| {
        let whole = text.split('.').next().unwrap_or_default();
        matches!(whole.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    };
    is_number(first) && !rest.is_empty() && rest.iter().all(is_sixty)
}

fn needs_escapes(text: &str) -> bool {
    text.chars()
        .any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}'))
}

fn can_be_plain(text: &str, place: Place) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    let bytes = text.as_bytes();
    let is_space_at = |at: usize| bytes.get(at).is_none_or(|&b| b == b' ');
    for (at, &byte) in bytes.iter().enumerate() {
        let is_dangerous = match byte {
            b'#' if at > 0 => bytes[at - 1] == b' ',
            b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' => at == 0,
            b',' | b'[' | b']' | b'{' | b'}' => at == 0 || place == Place::Flow,
            b'?' if at == 0 => place == Place::Flow || is_space_at(1),
            b'?' => place == Place::Flow,
            b':' => place == Place::Flow || is_space_at(at + 1),
            b'-' => at == 0 && (place == Place::Flow || is_space_at(1)) && is_space_at(1),
            _ => false,
        };
        if is_dangerous {
            return false;
        }
    }
    true
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0' => quoted.push_str("\\0"),
            '\u{2028}' => quoted.push_str("\\L"),
            '\u{2029}' => quoted.push_str("\\P"),
            c if needs_escapes(c.encode_utf8(&mut [0; 4])) => {
                let code = u32::from(c);
                quoted.push_str(&if code < 0x100 {
                    format!("\\x{code:02X}")
                } else {
                    format!("\\u{code:04X}")
                });
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_where_they_are_needed() {
        for (text, block, flow) in [
            ("a", "a", "a"),
            ("", "\"\"", "\"\""),
            ("yes", "\"yes\"", "\"yes\""),
            ("1.5", "\"1.5\"", "\"1.5\""),
            ("1:30", "\"1:30\"", "\"1:30\""),
            ("a:1", "a:1", "'a:1'"),
            ("a: b", "'a: b'", "'a: b'"),
            ("- x", "'- x'", "'- x'"),
            ("-x", "-x", "-x"),
            ("#x", "'#x'", "'#x'"),
            ("a #x", "'a #x'", "'a #x'"),
            ("a#x", "a#x", "a#x"),
            ("a,b", "a,b", "'a,b'"),
            ("$1", "$1", "$1"),
            ("@", "'@'", "'@'"),
            ("it's", "it's", "it's"),
            ("'s", "'''s'", "'''s'"),
            (" a", "' a'", "' a'"),
            ("a\tb", "\"a\\tb\"", "\"a\\tb\""),
            ("a\\b", "a\\b", "a\\b"),
            ("é", "é", "é"),
            ("<<", "\"<<\"", "\"<<\""),
            ("2024-01-02", "\"2024-01-02\"", "\"2024-01-02\""),
        ] {
            assert_eq!(quoted(text, Place::Block), block, "{text}");
            assert_eq!(quoted(text, Place::Flow), flow, "{text}");
        }
    }

    #[test]
    fn whatever_is_written_is_read_again() {
        for text in [
            "a\nb",
            "a\nb\n",
            "a\n\nb\n\n",
            "\na",
            " a\nb",
            "a \nb",
            "a\n b",
            "\n",
            "a\r\nb",
            "tab\there\nx",
            "\u{1}\u{7f}",
            "\u{2028}",
            "\u{feff}",
            "{a}",
            "[a",
            "a: b #c",
            "? x",
            "|",
            ">-",
        ] {
            let mut map = Map::default();
            map.put(text, Yaml::text(text.to_owned()));
            let list = vec![
                Yaml::text(text.to_owned()),
                Yaml::Flow(vec![text.to_owned()]),
            ];
            map.put("list", Yaml::List(list));
            let written = map.to_text();
            let root = crate::yaml::parse(&written).unwrap_or_else(|error| {
                panic!("{text:?}: {error:?} in {written}");
            });
            let shown = format!("{:?}", root.unwrap().value);
            let expected = format!("text: {text:?}");
            assert_eq!(
                shown.matches(&expected).count(),
                4,
                "{text:?} in {written}: {shown}"
            );
        }
    }
}
