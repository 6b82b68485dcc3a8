//! Text as numbers: what Go's `ParseFloat`, `ParseInt` and `ParseUint` accept.

use super::quote::quote;

/// A text that is no number, with Go's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("strconv.{function}: parsing {}: {kind}", quote(.text))]
pub struct NumError {
    /// Go's name of the function.
    pub function: &'static str,
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub kind: NumErrorKind,
}

/// What is wrong with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumErrorKind {
    /// Not of the form.
    #[error("invalid syntax")]
    Syntax,
    /// Larger than the type holds.
    #[error("value out of range")]
    Range,
}

/// Go's NaN, which ends up in stored samples, differs from Rust's in a bit.
const GO_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Reads a float: decimal, hexadecimal with `p`, `inf`, `infinity` and `nan` in any case,
/// underscores between digits.
///
/// # Errors
/// If it is no number, or too large for one that is finite.
pub fn parse_float(text: &str) -> Result<f64, NumError> {
    let error = |kind| NumError {
        function: "ParseFloat",
        text: text.to_owned(),
        kind,
    };
    let syntax = || error(NumErrorKind::Syntax);
    let cleaned;
    let mut digits = text;
    if text.contains('_') {
        if !underscores_ok(text) {
            return Err(syntax());
        }
        cleaned = text.replace('_', "");
        digits = &cleaned;
    }
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let first = unsigned.bytes().next().ok_or_else(syntax)?;
    if first.is_ascii_alphabetic() {
        // Words take no underscores, and only infinity takes a sign.
        if text.contains('_')
            || (unsigned.len() < digits.len() && first.eq_ignore_ascii_case(&b'n'))
        {
            return Err(syntax());
        }
        let value: f64 = digits.parse().map_err(|_| syntax())?;
        return Ok(if value.is_nan() { GO_NAN } else { value });
    }
    let value = if unsigned.len() > 2 && unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        let size = parse_hexadecimal(&unsigned[2..]).ok_or_else(syntax)?;
        if digits.starts_with('-') { -size } else { size }
    } else {
        digits.parse::<f64>().map_err(|_| syntax())?
    };
    if value.is_infinite() {
        return Err(error(NumErrorKind::Range));
    }
    Ok(value)
}

/// Whether underscores stand only between digits, or between a base's prefix and a digit.
fn underscores_ok(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let prefixed = text.len() >= 2
        && text[0] == b'0'
        && matches!(text[1].to_ascii_lowercase(), b'b' | b'o' | b'x');
    let hexadecimal = prefixed && text[1].eq_ignore_ascii_case(&b'x');
    let mut last = if prefixed { b'0' } else { b'^' };
    for &byte in &text[if prefixed { 2 } else { 0 }..] {
        let digit = byte.is_ascii_digit() || (hexadecimal && byte.is_ascii_hexdigit());
        last = match byte {
            _ if digit => b'0',
            b'_' if last == b'0' => b'_',
            _ if byte == b'_' || last == b'_' => return false,
            _ => b'!',
        };
    }
    last != b'_'
}

/// `1.8p3` after its prefix and without its sign; infinite if too large.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let split = text.find(['p', 'P'])?;
    let (digits, exponent) = (&text[..split], &text[split + 1..]);
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Far beyond every float: where the sum below ends, and long before it overflows.
    const EXPONENT_MAX: i64 = 1 << 40;
    let size = exponent_digits.bytes().fold(0i64, |n, b| {
        (n * 10 + i64::from(b - b'0')).min(EXPONENT_MAX)
    });
    let mut power = if exponent.starts_with('-') {
        -size
    } else {
        size
    };
    let mut mantissa: u64 = 0;
    let mut sticky = false;
    let mut after_point = false;
    let mut count = 0usize;
    for byte in digits.bytes() {
        if byte == b'.' && !after_point {
            after_point = true;
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        count += 1;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            power -= if after_point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            power += if after_point { 0 } else { 4 };
        }
    }
    (count > 0).then(|| round(mantissa, power, sticky))
}

/// `mantissa` × 2^`power`, to the nearest float, ties to even; `sticky` if digits were cut off.
fn round(mantissa: u64, power: i64, sticky: bool) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let shift = mantissa.leading_zeros();
    let mantissa = mantissa << shift;
    // The value is 1.… × 2^exponent.
    let exponent = power - i64::from(shift) + 63;
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // Below the normal numbers, every power costs a bit.
    let lost = (-1022 - exponent).clamp(0, 54);
    let drop = 11 + lost as u32;
    if drop > 64 {
        return 0.0;
    }
    let wide = u128::from(mantissa);
    let kept = (wide >> drop) as u64;
    let rest = wide & ((1 << drop) - 1);
    let half = 1u128 << (drop - 1);
    let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
    let kept = kept + u64::from(up);
    // The implicit bit, where there is one, adds the last step to the exponent; so does a carry.
    let base = if lost > 0 {
        0
    } else {
        (exponent + 1022) as u64
    };
    f64::from_bits((base << 52) + kept)
}

/// Reads a signed integer in `base`; base 0 takes it from the prefix (`0x`, `0o`, `0`, `0b`) and
/// allows underscores.
///
/// # Errors
/// If it is no number, or does not fit.
pub fn parse_int(text: &str, base: u32) -> Result<i64, NumError> {
    let error = |kind| NumError {
        function: "ParseInt",
        text: text.to_owned(),
        kind,
    };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let size = parse_digits(digits, base).map_err(error)?;
    let value = if text.starts_with('-') {
        0i64.checked_sub_unsigned(size)
    } else {
        i64::try_from(size).ok()
    };
    value.ok_or_else(|| error(NumErrorKind::Range))
}

/// Reads an unsigned integer as [`parse_int`] reads a signed one; no sign is allowed.
///
/// # Errors
/// If it is no number, or does not fit.
pub fn parse_uint(text: &str, base: u32) -> Result<u64, NumError> {
    parse_digits(text, base).map_err(|kind| NumError {
        function: "ParseUint",
        text: text.to_owned(),
        kind,
    })
}

fn parse_digits(text: &str, base: u32) -> Result<u64, NumErrorKind> {
    let lower = |at: usize| text.as_bytes().get(at).map(u8::to_ascii_lowercase);
    let (radix, digits) = match (base, lower(0), lower(1)) {
        (0, Some(b'0'), Some(b'x')) => (16, &text[2..]),
        (0, Some(b'0'), Some(b'o')) => (8, &text[2..]),
        (0, Some(b'0'), Some(b'b')) => (2, &text[2..]),
        (0, Some(b'0'), Some(_)) => (8, &text[1..]),
        (0, ..) => (10, text),
        (base, ..) => (base, text),
    };
    let mut value: u64 = 0;
    let mut count = 0;
    let mut overflow = false;
    for c in digits.chars() {
        if c == '_' && base == 0 {
            continue;
        }
        let digit = c.to_digit(radix).ok_or(NumErrorKind::Syntax)?;
        count += 1;
        match value
            .checked_mul(radix.into())
            .and_then(|value| value.checked_add(digit.into()))
        {
            Some(next) => value = next,
            None => overflow = true,
        }
    }
    if count == 0 || (base == 0 && text.contains('_') && !underscores_ok(text)) {
        return Err(NumErrorKind::Syntax);
    }
    if overflow {
        return Err(NumErrorKind::Range);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected results are Go's.
    #[test]
    fn reads_floats() {
        for (text, want) in [
            ("1", Some(1.0)),
            ("+1.5e3", Some(1500.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            (".", None),
            ("", None),
            ("+", None),
            ("1e", None),
            ("1_000.5", Some(1000.5)),
            ("_1", None),
            ("1__0", None),
            ("1_e5", None),
            ("0x10p0", Some(16.0)),
            ("0x_1p4", Some(16.0)),
            ("-0X1.8P+1", Some(-3.0)),
            ("0x10", None),
            ("0xp1", None),
            ("0x1p-1074", Some(5e-324)),
            ("0x1p-1075", Some(0.0)),
            ("0x1.8p-1075", Some(5e-324)),
            ("0x1.fffffffffffff8p0", Some(2.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("infinit", None),
            ("+nan", None),
            ("1e-400", Some(0.0)),
            (" 1", None),
            ("0b1", None),
        ] {
            assert_eq!(parse_float(text).ok(), want, "{text}");
        }
        assert_eq!(parse_float("NaN").unwrap().to_bits(), GO_NAN.to_bits());
        for (text, want) in [
            (
                "1e400",
                "strconv.ParseFloat: parsing \"1e400\": value out of range",
            ),
            (
                "0x1p1024",
                "strconv.ParseFloat: parsing \"0x1p1024\": value out of range",
            ),
            (
                "x\n",
                "strconv.ParseFloat: parsing \"x\\n\": invalid syntax",
            ),
        ] {
            assert_eq!(parse_float(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn reads_integers() {
        for (text, base, want) in [
            ("10", 0, Some(10)),
            ("-0x1F", 0, Some(-31)),
            ("017", 0, Some(15)),
            ("0o17", 0, Some(15)),
            ("0b101", 0, Some(5)),
            ("1_000", 0, Some(1000)),
            ("0_7", 0, Some(7)),
            ("1_000", 10, None),
            ("08", 0, None),
            ("0", 0, Some(0)),
            ("0x", 0, None),
            ("", 0, None),
            ("ff", 16, Some(255)),
            ("-9223372036854775808", 10, Some(i64::MIN)),
            ("9223372036854775808", 10, None),
        ] {
            assert_eq!(parse_int(text, base).ok(), want, "{text}");
        }
        assert_eq!(
            parse_uint("-1", 10).unwrap_err().to_string(),
            "strconv.ParseUint: parsing \"-1\": invalid syntax"
        );
    }
}
