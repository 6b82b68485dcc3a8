//! What a scalar means: YAML 1.1 as Go reads it (`yes`, `0x1f`, `017`, `1_000`), and sizes.

use crate::yaml::Scalar;

/// A scalar, resolved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    /// Fits `i64` or `u64`.
    Int(i128),
    Float(f64),
    Timestamp,
    Str,
    Binary,
}

impl Resolved {
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Resolved::Null => "!!null",
            Resolved::Bool(_) => "!!bool",
            Resolved::Int(_) => "!!int",
            Resolved::Float(_) => "!!float",
            Resolved::Timestamp => "!!timestamp",
            Resolved::Str => "!!str",
            Resolved::Binary => "!!binary",
        }
    }
}

/// Resolves by the tag if there is one, by the form if the scalar is plain.
///
/// # Errors
/// If the form contradicts the tag.
pub(crate) fn resolve(scalar: &Scalar) -> Result<Resolved, String> {
    let Some(tag) = scalar.tag.as_deref() else {
        return Ok(if scalar.is_plain {
            resolve_plain(&scalar.text)
        } else {
            Resolved::Str
        });
    };
    match tag {
        "!!str" => Ok(Resolved::Str),
        "!!binary" => Ok(Resolved::Binary),
        "!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp" => {
            let resolved = resolve_plain(&scalar.text);
            match resolved {
                Resolved::Int(value) if tag == "!!float" => Ok(Resolved::Float(value as f64)),
                _ if resolved.tag() == tag => Ok(resolved),
                _ => Err(format!(
                    "yaml: cannot decode {} `{}` as a {tag}",
                    resolved.tag(),
                    scalar.text
                )),
            }
        }
        _ => Ok(Resolved::Str),
    }
}

fn resolve_plain(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Resolved::Str;
    }
    if is_date(text) {
        return Resolved::Timestamp;
    }
    let digits = text.replace('_', "");
    if let Some(value) = integer(&digits) {
        return Resolved::Int(value);
    }
    if is_float(&digits)
        && let Ok(value) = digits.parse()
    {
        return Resolved::Float(value);
    }
    Resolved::Str
}

/// `0x`, `0o`, `0b` and a leading 0 set the base, as in Go; the range is that of `i64` and `u64`.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(two) if two.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let size = i128::from_str_radix(digits, base).ok()?;
    let value = if negative { -size } else { size };
    (i128::from(i64::MIN)..=i128::from(u64::MAX))
        .contains(&value)
        .then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole + fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let after = after.strip_prefix(['-', '+']).unwrap_or(after);
        let exponent = digits(after);
        return exponent > 0 && exponent == after.len();
    }
    rest.is_empty()
}

/// `2006-01-02` with or without a time: nothing here wants one, so that only the shape counts.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let year = parts.next().unwrap_or_default();
    let (Some(month), Some(day)) = (parts.next(), parts.next()) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let day = day.split(['T', 't', ' ']).next().unwrap_or_default();
    year.len() == 4 && is_number(year) && is_number(month) && is_number(day) && day.len() <= 2
}

/// The bytes of a `!!binary` scalar: base64, white space ignored.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let data = match digits.as_slice() {
        [data @ .., b'=', b'='] | [data @ .., b'='] => data,
        data => data,
    };
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(data.len() * 3 / 4);
    for group in data.chunks(4) {
        let mut bits = 0_u32;
        for &digit in group {
            bits = bits << 6 | base64_digit(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, high, middle, low] = bits.to_be_bytes();
        match group.len() {
            4 => bytes.extend([high, middle, low]),
            3 => bytes.extend([high, middle]),
            2 => bytes.push(high),
            _ => return None,
        }
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Unit letters of sizes, each 1,024 times the one before.
const SIZE_UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// Reads `15MB`, `1GiB512MiB`, `1.5GB`: powers of 1,024 with either spelling, but one spelling in
/// a text. A unit is needed but for 0.
///
/// # Errors
/// As the units library of upstream says it.
pub(crate) fn parse_size(text: &str) -> Result<i64, String> {
    parse_size_with(text, "iB").or_else(|_| parse_size_with(text, "B"))
}

fn parse_size_with(text: &str, suffix: &str) -> Result<i64, String> {
    let invalid = || format!("units: invalid {text}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    match rest {
        "0" => return Ok(0),
        "" => return Err(invalid()),
        _ => {}
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let dots = number.bytes().filter(|&b| b == b'.').count();
        if number.len() == dots || dots > 1 {
            return Err(invalid());
        }
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = size_unit(unit, suffix)
            .ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
        total += number.parse::<f64>().map_err(|_| invalid())? * scale;
        rest = tail;
    }
    let total = if negative { -total } else { total };
    // 2^63 itself is already too much for an i64.
    if total.abs() >= i64::MAX as f64 {
        return Err("units: overflow parsing unit".to_owned());
    }
    Ok(total as i64)
}

fn size_unit(unit: &str, suffix: &str) -> Option<f64> {
    let power = SIZE_UNITS.iter().position(|letter| match *letter {
        "" => unit == "B",
        letter => unit.strip_prefix(letter) == Some(suffix),
    })?;
    Some(1024_f64.powi(i32::try_from(power).ok()?))
}

/// Writes a size as [`parse_size`] reads it: `1GiB512MiB`, `0B`.
pub(crate) fn format_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut parts = Vec::new();
    let mut rest = bytes;
    for letter in SIZE_UNITS {
        let count = rest % 1024;
        if count > 0 {
            let suffix = if letter.is_empty() { "B" } else { "iB" };
            parts.push(format!("{count}{letter}{suffix}"));
        }
        rest /= 1024;
    }
    parts.reverse();
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Resolved {
        resolve_plain(text)
    }

    #[test]
    fn scalars_are_yaml_1_1() {
        for (texts, value) in [
            (&["yes", "On", "TRUE", "y"][..], Resolved::Bool(true)),
            (&["no", "Off", "false", "N"], Resolved::Bool(false)),
            (&["~", "", "null", "NULL"], Resolved::Null),
            (
                &["15", "017", "0o17", "0xf", "0b1111", "1_5", "+15"],
                Resolved::Int(15),
            ),
            (&["-15", "-0xF"], Resolved::Int(-15)),
            (&["1.5", "15e-1", "+1.5", ".15e1"], Resolved::Float(1.5)),
            (&["08", "8."], Resolved::Float(8.0)),
            (&["18446744073709551615"], Resolved::Int(u64::MAX as i128)),
            (
                &["18446744073709551616"],
                Resolved::Float(18_446_744_073_709_551_616.0),
            ),
            (&["2024-01-02", "2024-1-2 10:00:00"], Resolved::Timestamp),
            (
                &[
                    "1.2.3", "15s", "tRuE", "-", "1-2", "0xg", "0x", "10:00", ".",
                ],
                Resolved::Str,
            ),
        ] {
            for text in texts {
                assert_eq!(plain(text), value, "{text:?}");
            }
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("0B", 0),
            ("15MB", 15 << 20),
            ("15MiB", 15 << 20),
            ("1GiB512MiB", (1 << 30) + (512 << 20)),
            ("1.5KB", 1536),
            ("-1KB", -1024),
            ("7E", -1),
        ] {
            match parse_size(text) {
                Ok(size) => assert_eq!(size, bytes, "{text}"),
                Err(error) => {
                    assert_eq!(bytes, -1, "{text}: {error}");
                    assert_eq!(error, "units: unknown unit E in 7E");
                }
            }
        }
        for (text, error) in [
            ("", "units: invalid "),
            ("MB", "units: invalid MB"),
            ("100", "units: unknown unit  in 100"),
            ("1kB", "units: unknown unit kB in 1kB"),
            ("1GB1MiB", "units: unknown unit MiB in 1GB1MiB"),
            ("1..5MB", "units: invalid 1..5MB"),
            ("9EB", "units: overflow parsing unit"),
        ] {
            assert_eq!(parse_size(text).unwrap_err(), error, "{text}");
        }
        for (bytes, text) in [
            (0, "0B"),
            (15 << 20, "15MiB"),
            ((1 << 30) + 1, "1GiB1B"),
            (1536, "1KiB512B"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }

    #[test]
    fn base64() {
        for (text, bytes) in [
            ("aGk=", Some(&b"hi"[..])),
            ("aGkh", Some(b"hi!")),
            ("aA==", Some(b"h")),
            ("/w==", Some(b"\xff")),
            ("aG\nkh", Some(b"hi!")),
            ("", Some(b"")),
            ("aGk", None),
            ("?", None),
        ] {
            assert_eq!(decode_base64(text).as_deref(), bytes, "{text}");
        }
    }
}
