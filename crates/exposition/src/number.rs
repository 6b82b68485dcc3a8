//! Numbers of a page.

use crate::error::quote;

/// 10^22 is the largest power of ten that a float holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Up to here every integer is a float.
const EXACT_MAX: u64 = 1 << 53;

/// Digits that fit in 64 bits whatever they are.
const DIGITS_MAX: usize = 19;

/// Reads a value: Go's `ParseFloat` without what Go 1.13 added to it (hexadecimal, underscores).
///
/// # Errors
/// Go's text.
pub(crate) fn parse_float(text: &[u8]) -> Result<f64, String> {
    if let Some(value) = parse_short_decimal(text) {
        return Ok(value);
    }
    if text.iter().any(|byte| matches!(byte, b'p' | b'P' | b'_')) {
        return Err("unsupported character in float".to_owned());
    }
    match std::str::from_utf8(text) {
        Ok(text) => gocompat::strconv::parse_float(text).map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "strconv.ParseFloat: parsing {}: invalid syntax",
            quote(text)
        )),
    }
}

/// A decimal of up to 19 digits whose value one exact multiplication or division finds (Clinger's
/// fast path); `None` for any other text.
#[inline]
pub(crate) fn parse_short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut mantissa: u64 = 0;
    let mut at = 0;
    while let Some(digit) = digit_at(unsigned, at) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
        at += 1;
    }
    let mut digits = at;
    let mut exponent: i32 = 0;
    if unsigned.get(at) == Some(&b'.') {
        at += 1;
        while let Some(digit) = digit_at(unsigned, at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            at += 1;
        }
        let after_point = at - digits - 1;
        digits += after_point;
        exponent = -i32::try_from(after_point).ok()?;
    }
    if digits == 0 || digits > DIGITS_MAX || mantissa > EXACT_MAX {
        return None;
    }
    if at < unsigned.len() {
        exponent += written_exponent(&unsigned[at..])?;
    }
    let power = *POWERS_OF_TEN.get(exponent.unsigned_abs() as usize)?;
    // Both operands are exact, so the one rounding is the right one.
    let exact = mantissa as f64;
    let value = if exponent < 0 {
        exact / power
    } else {
        exact * power
    };
    Some(if negative { -value } else { value })
}

#[inline]
fn digit_at(text: &[u8], at: usize) -> Option<u64> {
    text.get(at)
        .map(|byte| byte.wrapping_sub(b'0'))
        .filter(|digit| *digit < 10)
        .map(u64::from)
}

/// `e+06`, with at most two digits.
fn written_exponent(text: &[u8]) -> Option<i32> {
    let [b'e' | b'E', rest @ ..] = text else {
        return None;
    };
    let (negative, digits) = match rest {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 2 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0, |size, byte| size * 10 + i32::from(byte - b'0'));
    Some(if negative { -size } else { size })
}

/// A float without its fraction. What does not fit becomes the smallest integer, as on the
/// processors that Prometheus mostly runs on.
pub(crate) fn to_integer(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_read_before_1_13() {
        for (text, want) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("+12", 12.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("0.1", 0.1),
            ("1e22", 1e22),
            ("1e23", 1e23),
            ("1.7976931348623157e308", f64::MAX),
            ("9007199254740993", 9_007_199_254_740_992.0),
            (
                "123456789012345678901234567890",
                123_456_789_012_345_678_901_234_567_890.0,
            ),
            ("0.000000000000000000000001", 1e-24),
            ("4.9e-324", 5e-324),
            ("1e-400", 0.0),
            ("Inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            let got = parse_float(text.as_bytes()).unwrap();
            assert_eq!(got.to_bits(), want.to_bits(), "{text}");
        }
        assert!(parse_float(b"nan").unwrap().is_nan());
    }

    #[test]
    fn refuses_with_go_s_words() {
        for (text, want) in [
            (&b"1_000"[..], "unsupported character in float"),
            (b"0x1p4", "unsupported character in float"),
            (
                b"0x10",
                "strconv.ParseFloat: parsing \"0x10\": invalid syntax",
            ),
            (b"", "strconv.ParseFloat: parsing \"\": invalid syntax"),
            (b".", "strconv.ParseFloat: parsing \".\": invalid syntax"),
            (b"1e", "strconv.ParseFloat: parsing \"1e\": invalid syntax"),
            (
                b"1e400",
                "strconv.ParseFloat: parsing \"1e400\": value out of range",
            ),
            (
                b"\xff",
                "strconv.ParseFloat: parsing \"\\xff\": invalid syntax",
            ),
        ] {
            assert_eq!(parse_float(text).unwrap_err(), want);
        }
    }

    #[test]
    fn integers_that_do_not_fit() {
        assert_eq!(to_integer(-1.9), -1);
        assert_eq!(to_integer(1e300), i64::MIN);
        assert_eq!(to_integer(-1e300), i64::MIN);
    }

    proptest! {
        #[test]
        fn short_decimals_are_exact(
            text in "[+-]?[0-9]{0,18}(\\.[0-9]{0,18})?([eE][+-]?[0-9]{1,2})?"
        ) {
            if let Some(value) = parse_short_decimal(text.as_bytes()) {
                let want: f64 = text.parse().unwrap();
                prop_assert_eq!(value.to_bits(), want.to_bits());
            }
        }

        #[test]
        fn printed_floats_come_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = format!("{value:e}");
            prop_assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), bits);
        }
    }
}
