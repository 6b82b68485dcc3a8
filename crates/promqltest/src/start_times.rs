//! Lines of start times: `metric{…}@st -1m _ 0s+10sx3`.
//!
//! They say when the counter of each sample began, relative to the sample. `_` and `_xN` are samples
//! without one; a duration is one sample, `dxN` is N more of the same, `d+exN` and `d-exN` move by
//! `e` each time.

/// Most values that one item may stand for; the files have a few hundred.
const REPEAT_MAX: usize = 1 << 20;

/// The metric and the values, if this is a line of start times.
pub(crate) fn split(line: &str) -> Option<(&str, &str)> {
    let (head, rest) = line.split_once([' ', '\t'])?;
    Some((head.strip_suffix("@st")?, rest.trim()))
}

/// Milliseconds relative to each sample; `None` where a sample has no start time.
pub(crate) fn parse(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut times = Vec::new();
    for item in text.split_whitespace() {
        let wrong = || format!("invalid start time {item:?}");
        if let Some(rest) = item.strip_prefix('_') {
            let count = match rest.strip_prefix('x') {
                Some(count) => repeats(count).filter(|n| *n > 0).ok_or_else(wrong)?,
                None if rest.is_empty() => 1,
                None => return Err(wrong()),
            };
            times.extend(std::iter::repeat_n(None, count));
            continue;
        }
        let (base, rest) = duration(item).ok_or_else(wrong)?;
        let (step, rest) = match rest.as_bytes().first() {
            None => {
                times.push(Some(base));
                continue;
            }
            Some(b'x') => (0, rest),
            Some(b'+') => duration(&rest[1..]).ok_or_else(wrong)?,
            Some(b'-') => {
                let (step, rest) = duration(&rest[1..]).ok_or_else(wrong)?;
                (-step, rest)
            }
            Some(_) => return Err(wrong()),
        };
        let count = rest.strip_prefix('x').and_then(repeats).ok_or_else(wrong)?;
        times.extend((0..=count as i64).map(|n| Some(base + n * step)));
    }
    Ok(times)
}

fn repeats(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n| *n <= REPEAT_MAX)
}

/// A duration with a sign in front, in milliseconds, and what follows it.
fn duration(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = |from: usize, wanted: fn(u8) -> bool| {
        let rest = text.as_bytes().iter().skip(from);
        from + rest.take_while(|b| wanted(**b)).count()
    };
    let digits = end(0, |b| b.is_ascii_digit());
    let unit = end(digits, |b| b.is_ascii_alphabetic() && b != b'x');
    let ms = model::parse_duration_ms(&text[..unit]).ok()?;
    Some((sign * ms, &text[unit..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sequences() {
        for (text, times) in [
            ("_ -1m 0s", vec![None, Some(-60_000), Some(0)]),
            ("_x2 1sx1", vec![None, None, Some(1_000), Some(1_000)]),
            ("1s+500msx2", vec![Some(1_000), Some(1_500), Some(2_000)]),
            ("-1s-1sx1", vec![Some(-1_000), Some(-2_000)]),
        ] {
            assert_eq!(parse(text), Ok(times), "{text}");
        }
        for text in ["_x0", "1", "1s+2s", "x", "1sy3", "_y", "1sx99999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(split("a{b=\"c\"}@st 1m 2m"), Some(("a{b=\"c\"}", "1m 2m")));
        assert_eq!(split("a 1 2"), None);
    }
}
