//! Durations as the configuration, PromQL and the API write them: `1h30m`, in milliseconds.

/// A text that is no duration; the text is what Prometheus says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No text at all.
    #[error("empty duration string")]
    Empty,
    /// Not of the form.
    #[error("not a valid duration string: {0}")]
    Invalid(String),
    /// A count is followed by something that is no unit.
    #[error("unknown unit {} in duration {}", quote(.unit), quote(.duration))]
    UnknownUnit {
        /// What follows the count.
        unit: String,
        /// All of the text.
        duration: String,
    },
    /// More than Go's nanoseconds in 64 bits hold, about 292 years.
    #[error("duration out of range")]
    OutOfRange,
}

/// Units, largest first, with their length in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Go holds a duration in nanoseconds in an `i64`.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Reads `1h30m` and its like: units from large to small, each at most once, whole numbers.
/// A bare `0` is allowed.
///
/// # Errors
/// As `model.ParseDuration` of `prometheus/common` has them.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    match text {
        "0" => return Ok(0),
        "" => return Err(DurationError::Empty),
        _ => {}
    }
    let invalid = || DurationError::Invalid(quote(text));
    let mut rest = text;
    let mut next_unit = 0;
    let mut total_ms: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit_bytes = rest[digits..]
            .bytes()
            .take_while(|b| !b.is_ascii_digit())
            .count();
        if digits == 0 || unit_bytes == 0 {
            return Err(invalid());
        }
        let count: i64 = rest[..digits].parse().map_err(|_| invalid())?;
        let unit = &rest[digits..digits + unit_bytes];
        let index = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| DurationError::UnknownUnit {
                unit: unit.to_owned(),
                duration: text.to_owned(),
            })?;
        if index < next_unit {
            return Err(invalid());
        }
        next_unit = index + 1;
        total_ms = count
            .checked_mul(UNITS[index].1)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|&ms| ms <= DURATION_MS_MAX)
            .ok_or(DurationError::OutOfRange)?;
        rest = &rest[digits + unit_bytes..];
    }
    Ok(total_ms)
}

fn quote(text: &str) -> String {
    gocompat::strconv::quote(text)
}

/// Writes a duration as Prometheus does: `1h30m`, `0s`; years and weeks only where they leave no
/// rest.
#[must_use]
pub fn format_duration_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest_ms = duration_ms.unsigned_abs();
    if duration_ms < 0 {
        text.push('-');
    }
    for (name, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        // 90d reads better than 12w6d: years and weeks only when nothing is left over.
        if matches!(name, "y" | "w") && !rest_ms.is_multiple_of(unit_ms) {
            continue;
        }
        let count = rest_ms / unit_ms;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(name);
            rest_ms -= count * unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        // (text, milliseconds, what is printed)
        for (text, ms, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("3s", 3_000, "3s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("4d", 345_600_000, "4d"),
            ("4d1h", 349_200_000, "4d1h"),
            ("14d", 1_209_600_000, "2w"),
            ("3w", 1_814_400_000, "3w"),
            ("3w2d1h", 1_990_800_000, "23d1h"),
            ("10y", 315_360_000_000, "10y"),
            ("1h30m5s7ms", 5_405_007, "1h30m5s7ms"),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
            assert_eq!(format_duration_ms(ms), printed, "{text}");
        }
        assert_eq!(format_duration_ms(-300_000), "-5m");
    }

    #[test]
    fn refuses() {
        for (text, error) in [
            ("", "empty duration string"),
            ("1", "not a valid duration string: \"1\""),
            ("1y1m1d", "not a valid duration string: \"1y1m1d\""),
            ("-1w", "not a valid duration string: \"-1w\""),
            ("1.5d", "unknown unit \".\" in duration \"1.5d\""),
            ("5y1hs", "unknown unit \"hs\" in duration \"5y1hs\""),
            ("d", "not a valid duration string: \"d\""),
            ("1s1s", "not a valid duration string: \"1s1s\""),
            ("1h ", "unknown unit \"h \" in duration \"1h \""),
            ("294y", "duration out of range"),
            (
                "99999999999999999999s",
                "not a valid duration string: \"99999999999999999999s\"",
            ),
        ] {
            assert_eq!(
                parse_duration_ms(text).unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
    }
}
