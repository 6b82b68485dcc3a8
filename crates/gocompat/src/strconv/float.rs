//! Floats as text: the shortest digits that read back as the same value, in Go's layouts.
//!
//! The digits come from `zmij`; whole numbers below 2⁵³, which most samples are, are written
//! without it, and what has neither many zeros nor an exponent is what `zmij` writes.

/// The shortest digits of a finite number: 0.d₁d₂… × 10^point.
struct Decimal {
    negative: bool,
    digits: [u8; 17],
    length: usize,
    point: i32,
}

impl Decimal {
    fn digits(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

/// Takes apart what `zmij` prints: `123.45`, `1.5e-7`, `1e+30`.
fn decimal(value: f64) -> Decimal {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value.abs()).as_bytes();
    let mut decimal = Decimal {
        negative: value.is_sign_negative(),
        digits: [0; 17],
        length: 0,
        point: 0,
    };
    let mut after_point = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'.' => after_point = true,
            b'e' => break,
            digit => {
                // Zeros in front only move the point.
                if decimal.length > 0 || digit != b'0' {
                    // Zeros behind the shortest digits carry no value: room for 17 is enough.
                    if decimal.length < decimal.digits.len() {
                        decimal.digits[decimal.length] = digit;
                        decimal.length += 1;
                    }
                    decimal.point += i32::from(!after_point);
                } else {
                    decimal.point -= i32::from(after_point);
                }
            }
        }
        at += 1;
    }
    if at < text.len() {
        let negative = text.get(at + 1) == Some(&b'-');
        let exponent = text[at + 1..]
            .iter()
            .filter(|b| b.is_ascii_digit())
            .fold(0, |sum, &b| sum * 10 + i32::from(b - b'0'));
        decimal.point += if negative { -exponent } else { exponent };
    }
    while decimal.length > 0 && decimal.digits[decimal.length - 1] == b'0' {
        decimal.length -= 1;
    }
    if decimal.length == 0 {
        decimal.point = 0;
    }
    decimal
}

/// Writes `NaN`, `+Inf`, `-Inf`; whether it did.
fn append_special(out: &mut Vec<u8>, value: f64) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"+Inf"
    } else if value == f64::NEG_INFINITY {
        b"-Inf"
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// Room for the text of a float as the HTTP API writes it, which takes at most 25 bytes
/// (`-0.0000012345678901234567`), so that it can be copied whole.
pub const JSON_FLOAT_ROOM: usize = 32;

/// From here on whole numbers have shorter texts than their digits.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Below this `zmij` writes exponents.
const PLAIN_MIN: f64 = 1e-5;

/// What [`append_json_float`] appends, into `out`; returns how long it is.
#[inline]
pub fn write_json_float(out: &mut [u8; JSON_FLOAT_ROOM], value: f64) -> usize {
    let size = value.abs();
    if size < WHOLE_MAX {
        let whole = size as u64;
        if whole as f64 == size && whole > 0 {
            return write_whole(out, whole, value < 0.0);
        }
        if size >= PLAIN_MIN && whole as f64 != size {
            let mut buffer = zmij::Buffer::new();
            let text = buffer.format_finite(value).as_bytes();
            out[..text.len()].copy_from_slice(text);
            return text.len();
        }
        if value.to_bits() == 0 {
            out[0] = b'0';
            return 1;
        }
    }
    write_unusual(out, value)
}

/// The two digits of every number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Writes a whole number below 2⁵³, which has 16 digits at most.
#[inline]
fn write_whole(out: &mut [u8; JSON_FLOAT_ROOM], whole: u64, negative: bool) -> usize {
    const DIGITS_MAX: usize = 16;
    // Room behind the digits, so that sixteen bytes can be copied from anywhere among them.
    let mut digits = [0; 2 * DIGITS_MAX];
    let mut at = DIGITS_MAX;
    let mut rest = whole;
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[rest as usize]);
    } else {
        at -= 1;
        digits[at] = b'0' + rest as u8;
    }
    let sign = usize::from(negative);
    out[0] = b'-';
    out[sign..sign + DIGITS_MAX].copy_from_slice(&digits[at..at + DIGITS_MAX]);
    sign + DIGITS_MAX - at
}

#[cold]
fn write_unusual(out: &mut [u8; JSON_FLOAT_ROOM], value: f64) -> usize {
    let mut text = Vec::with_capacity(JSON_FLOAT_ROOM);
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        append_float_e(&mut text, value);
    } else if !append_special(&mut text, value) {
        append_f(&mut text, &decimal(value));
    }
    out[..text.len()].copy_from_slice(&text);
    text.len()
}

/// `strconv.AppendFloat(out, v, 'f', -1, 64)`: never an exponent.
pub fn append_float_f(out: &mut Vec<u8>, value: f64) {
    if value.abs() < WHOLE_MAX && value.fract() == 0.0 {
        append_json_float(out, value);
    } else if !append_special(out, value) {
        append_f(out, &decimal(value));
    }
}

fn append_f(out: &mut Vec<u8>, decimal: &Decimal) {
    if decimal.negative {
        out.push(b'-');
    }
    let digits = decimal.digits();
    let point = usize::try_from(decimal.point).unwrap_or(0);
    if point == 0 {
        out.push(b'0');
    } else {
        let whole = &digits[..point.min(digits.len())];
        out.extend_from_slice(whole);
        out.resize(out.len() + point - whole.len(), b'0');
    }
    if digits.len() > point {
        out.push(b'.');
        let zeros = usize::try_from(-decimal.point).unwrap_or(0);
        out.resize(out.len() + zeros, b'0');
        out.extend_from_slice(&digits[point..]);
    }
}

/// `strconv.AppendFloat(out, v, 'e', -1, 64)`: always an exponent, of two digits at least.
pub fn append_float_e(out: &mut Vec<u8>, value: f64) {
    if !append_special(out, value) {
        append_e(out, &decimal(value));
    }
}

fn append_e(out: &mut Vec<u8>, decimal: &Decimal) {
    if decimal.negative {
        out.push(b'-');
    }
    match decimal.digits() {
        [] => out.push(b'0'),
        [first, rest @ ..] => {
            out.push(*first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
        }
    }
    let exponent = if decimal.length == 0 {
        0
    } else {
        decimal.point - 1
    };
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let size = exponent.unsigned_abs();
    if size >= 100 {
        out.push(b'0' + (size / 100) as u8);
    }
    out.push(b'0' + (size / 10 % 10) as u8);
    out.push(b'0' + (size % 10) as u8);
}

/// A sample's value as the HTTP API writes it, without its quotes: `'f'`, but `'e'` below 10⁻⁶ and
/// from 10²¹ on (util/jsonutil/marshal.go).
pub fn append_json_float(out: &mut Vec<u8>, value: f64) {
    let mut text = [0; JSON_FLOAT_ROOM];
    let length = write_json_float(&mut text, value);
    out.extend_from_slice(&text[..length]);
}

fn text_of(append: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(24);
    append(&mut out);
    String::from_utf8(out).expect("digits are ASCII")
}

/// `strconv.FormatFloat(v, 'f', -1, 64)`, with `NaN`, `+Inf` and `-Inf`: never an exponent.
#[must_use]
pub fn format_float_f(value: f64) -> String {
    text_of(|out| append_float_f(out, value))
}

/// `strconv.FormatFloat(v, 'e', -1, 64)`.
#[must_use]
pub fn format_float_e(value: f64) -> String {
    text_of(|out| append_float_e(out, value))
}

/// `strconv.FormatFloat(v, 'g', -1, 64)`, which is also `%v`: an exponent below -4 and from
/// 6 on.
#[must_use]
pub fn format_float_g(value: f64) -> String {
    text_of(|out| {
        if append_special(out, value) {
            return;
        }
        let decimal = decimal(value);
        let exponent = if decimal.length == 0 {
            0
        } else {
            decimal.point - 1
        };
        if (-4..6).contains(&exponent) {
            append_f(out, &decimal);
        } else {
            append_e(out, &decimal);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts are Go's.
    #[test]
    fn layouts_are_go_s() {
        for (value, f, e, g, json) in [
            (0.0, "0", "0e+00", "0", "0"),
            (-0.0, "-0", "-0e+00", "-0", "-0"),
            (1.0, "1", "1e+00", "1", "1"),
            (-15.0, "-15", "-1.5e+01", "-15", "-15"),
            (0.1, "0.1", "1e-01", "0.1", "0.1"),
            (123_456.0, "123456", "1.23456e+05", "123456", "123456"),
            (1e6, "1000000", "1e+06", "1e+06", "1000000"),
            (1e-4, "0.0001", "1e-04", "0.0001", "0.0001"),
            (1e-5, "0.00001", "1e-05", "1e-05", "0.00001"),
            (1.5e-7, "0.00000015", "1.5e-07", "1.5e-07", "1.5e-07"),
            (123.456, "123.456", "1.23456e+02", "123.456", "123.456"),
            (
                1e15,
                "1000000000000000",
                "1e+15",
                "1e+15",
                "1000000000000000",
            ),
            (
                123_456.7,
                "123456.7",
                "1.234567e+05",
                "123456.7",
                "123456.7",
            ),
            (
                1_234_567.0,
                "1234567",
                "1.234567e+06",
                "1.234567e+06",
                "1234567",
            ),
            (
                1e20,
                "100000000000000000000",
                "1e+20",
                "1e+20",
                "100000000000000000000",
            ),
            (1e21, "1000000000000000000000", "1e+21", "1e+21", "1e+21"),
            (
                -1e100,
                &format!("-1{}", "0".repeat(100)),
                "-1e+100",
                "-1e+100",
                "-1e+100",
            ),
            (
                5e-324,
                &format!("0.{}5", "0".repeat(323)),
                "5e-324",
                "5e-324",
                "5e-324",
            ),
            (f64::NAN, "NaN", "NaN", "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf", "-Inf", "-Inf"),
            (
                9_007_199_254_740_993.0,
                "9007199254740992",
                "9.007199254740992e+15",
                "9.007199254740992e+15",
                "9007199254740992",
            ),
        ] {
            assert_eq!(format_float_f(value), f);
            assert_eq!(format_float_e(value), e);
            assert_eq!(format_float_g(value), g);
            assert_eq!(text_of(|out| append_json_float(out, value)), json);
        }
    }

    /// The quick ways write what the way over digits and point does.
    #[test]
    fn quick_texts_are_those_of_the_digits() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..200_000 {
            let value = match round % 5 {
                0 => f64::from_bits(random.u64(..)),
                1 => random.i64(..1 << 54) as f64,
                2 => random.f64() * 10f64.powi(random.i32(-8..22)),
                3 => -f64::from(random.i32(..)) / 1e3,
                _ => (random.f64() * 1e4).round() / 10f64.powi(random.i32(0..12)),
            };
            let expected = text_of(|out| {
                let size = value.abs();
                if append_special(out, value) {
                } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
                    append_e(out, &decimal(value));
                } else {
                    append_f(out, &decimal(value));
                }
            });
            assert_eq!(text_of(|out| append_json_float(out, value)), expected);
            if value.is_finite() {
                assert_eq!(expected.parse().map(f64::to_bits), Ok(value.to_bits()));
            }
        }
    }
}
