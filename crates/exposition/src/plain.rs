//! Plain lines: `name{label="value",…} number` with an optional timestamp, one blank between each.
//!
//! Nearly every line of nearly every page is of this form and needs no lexer. What is not, or might
//! not be, gets `None` here and goes the exact way; so everything that this module takes must mean
//! the same there (`parser::tests` compares the two on mutated pages).

use model::NORMAL_NAN_BITS;

use crate::lexer::{is_label, is_label_start, is_name, is_name_start};
use crate::{Format, number};

/// The rest of a line after its series.
pub(crate) struct Tail {
    pub(crate) value: f64,
    pub(crate) timestamp_ms: Option<i64>,
    /// Bytes up to the next line.
    pub(crate) length: usize,
}

/// How long the text of the series is with which `line` begins.
#[inline]
pub(crate) fn series_length(line: &[u8], format: Format) -> Option<usize> {
    if !is_name_start(*line.first()?) {
        return None;
    }
    let mut at = 1 + run_length(&line[1..], is_name);
    if line.get(at) != Some(&b'{') {
        return Some(at);
    }
    at += 1;
    loop {
        let rest = line.get(at..)?;
        match *rest.first()? {
            b'}' => return Some(at + 1),
            byte if is_label_start(byte) => {}
            _ => return None,
        }
        let name = run_length(rest, is_label);
        let value = rest.get(name..)?.strip_prefix(b"=\"")?;
        // The closing quote and what follows it.
        at += name + 2 + value_length(value, format)? + 1;
        match line.get(at)? {
            b',' => at += 1,
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

#[inline]
fn run_length(text: &[u8], take: impl Fn(u8) -> bool) -> usize {
    text.iter()
        .position(|&byte| !take(byte))
        .unwrap_or(text.len())
}

/// How many bytes there are before the closing quote.
#[inline]
fn value_length(text: &[u8], format: Format) -> Option<usize> {
    let mut all = 0u8;
    let mut at = 0;
    loop {
        let byte = *text.get(at)?;
        match byte {
            b'"' => break,
            b'\\' => {
                // An escaped byte that is odd goes the exact way.
                if !text.get(at + 1)?.is_ascii_graphic() {
                    return None;
                }
                at += 1;
            }
            0 => return None,
            b'\n' if format == Format::OpenMetrics => return None,
            _ => {}
        }
        all |= byte;
        at += 1;
    }
    if !all.is_ascii() && std::str::from_utf8(&text[..at]).is_err() {
        return None;
    }
    Some(at)
}

/// Reads ` value\n` or ` value timestamp\n`.
#[inline]
pub(crate) fn tail(text: &[u8], format: Format) -> Option<Tail> {
    let [b' ', rest @ ..] = text else {
        return None;
    };
    let value_length = run_length(rest, |byte| byte > b' ' && byte != b'{');
    let (value, end) = rest.split_at(value_length);
    let value = plain_value(value)?;
    match end {
        [b'\n', ..] => Some(Tail {
            value,
            timestamp_ms: None,
            length: value_length + 2,
        }),
        // The last line of a classic page may lack its break.
        [] if format == Format::PrometheusText => Some(Tail {
            value,
            timestamp_ms: None,
            length: value_length + 2,
        }),
        [b' ', timestamp @ ..] => {
            let length = timestamp.iter().position(|&byte| byte == b'\n')?;
            Some(Tail {
                value,
                timestamp_ms: Some(plain_timestamp_ms(&timestamp[..length], format)?),
                length: value_length + length + 3,
            })
        }
        _ => None,
    }
}

#[inline]
fn plain_value(text: &[u8]) -> Option<f64> {
    if let Some(value) = number::parse_short_decimal(text) {
        return Some(value);
    }
    let value = number::parse_float(text).ok()?;
    Some(if value.is_nan() {
        f64::from_bits(NORMAL_NAN_BITS)
    } else {
        value
    })
}

fn plain_timestamp_ms(text: &[u8], format: Format) -> Option<i64> {
    match format {
        // 18 digits fit in any case.
        Format::PrometheusText => (!text.is_empty()
            && text.len() <= 18
            && text.iter().all(u8::is_ascii_digit))
        .then(|| {
            text.iter()
                .fold(0, |ms, byte| ms * 10 + i64::from(byte - b'0'))
        }),
        Format::OpenMetrics => {
            number::parse_short_decimal(text).map(|seconds| number::to_integer(seconds * 1000.0))
        }
    }
}
