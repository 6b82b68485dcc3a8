//! Reading parameters: times, durations, limits, selectors, with upstream's error texts.

use gocompat::strconv::{NumError, parse_float, parse_int, quote};
use model::Matcher;

use crate::error::ApiError;
use crate::form::Form;

/// A moment in nanoseconds since 1970; wider than any text that is accepted.
pub(crate) type TimeNs = i128;

const NS_PER_S: i128 = 1_000_000_000;

/// The ends of time in seconds.
const SECONDS_MIN: f64 = -9_223_309_901_257_974.0;
const SECONDS_MAX: f64 = 9_223_309_901_257_974.0;

/// The start of time ranges that name none; far enough from the end of `i64` milliseconds for
/// arithmetic (web/api/v1/api.go, MinTime).
pub(crate) const TIME_MIN_NS: TimeNs = -9_223_309_901_257_974 * NS_PER_S;
/// The end of time ranges that name none.
pub(crate) const TIME_MAX_NS: TimeNs = 9_223_309_901_257_974 * NS_PER_S + 999_999_999;

/// The two, as clients written in Go send them.
const TIME_MIN_TEXT: &str = "-292273086-05-16T16:47:06Z";
const TIME_MAX_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

/// Milliseconds since 1970, rounded down.
pub(crate) fn time_ms(time: TimeNs) -> i64 {
    let ms = time.div_euclid(1_000_000);
    i64::try_from(ms).unwrap_or(if ms < 0 { i64::MIN } else { i64::MAX })
}

/// Seconds since 1970 with fraction, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<TimeNs, String> {
    if let Ok(seconds) = parse_float(text)
        && seconds.is_finite()
    {
        // Beyond the ends of time there is nothing, and arithmetic with it would overflow.
        if seconds <= SECONDS_MIN {
            return Ok(TIME_MIN_NS);
        }
        if seconds >= SECONDS_MAX {
            return Ok(TIME_MAX_NS);
        }
        // Rounded to milliseconds, as floats of today's size have no more to say.
        let whole = seconds.trunc();
        let fraction = ((seconds - whole) * 1000.0).round() / 1000.0;
        return Ok(whole as i128 * NS_PER_S + (fraction * NS_PER_S as f64) as i128);
    }
    match text {
        TIME_MIN_TEXT => Ok(TIME_MIN_NS),
        TIME_MAX_TEXT => Ok(TIME_MAX_NS),
        _ => parse_rfc3339(text)
            .ok_or_else(|| format!("cannot parse {} to a valid timestamp", quote(text))),
    }
}

/// `2006-01-02T15:04:05.999999999Z07:00`
fn parse_rfc3339(text: &str) -> Option<TimeNs> {
    let bytes = text.as_bytes();
    let number = |from: usize, count: usize| -> Option<i64> {
        let digits = bytes.get(from..from + count)?;
        digits.iter().try_fold(0, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let shape = is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':');
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !shape || !valid {
        return None;
    }
    let mut at = 19;
    let mut fraction_ns = 0;
    if is(at, b'.') || is(at, b',') {
        let digits = bytes[at + 1..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits == 0 {
            return None;
        }
        for place in 0..9 {
            let digit = if place < digits {
                number(at + 1 + place, 1)?
            } else {
                0
            };
            fraction_ns = fraction_ns * 10 + digit;
        }
        at += 1 + digits;
    }
    let offset_s = match &bytes[at..] {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 24 || minutes > 60 {
                return None;
            }
            let size = hours * 3600 + minutes * 60;
            if *sign == b'-' { -size } else { size }
        }
        _ => return None,
    };
    let days = days_since_1970(year, month, day);
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    Some(i128::from(seconds) * NS_PER_S + i128::from(fraction_ns))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is
/// the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A time as RFC 3339 in UTC with as much of the fraction as there is, as Go marshals it.
pub(crate) fn format_rfc3339(time_ns: i64) -> String {
    let (seconds, ns) = (
        time_ns.div_euclid(1_000_000_000),
        time_ns.rem_euclid(1_000_000_000),
    );
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if ns != 0 {
        let fraction = format!(".{ns:09}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// The inverse of [`days_since_1970`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Seconds with fraction, or `1h30m`; in nanoseconds.
pub(crate) fn parse_duration_ns(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = parse_float(text) {
        let ns = seconds * 1e9;
        if ns.is_nan() || ns > i64::MAX as f64 || ns < i64::MIN as f64 {
            let text = quote(text);
            return Err(format!(
                "cannot parse {text} to a valid duration. It overflows int64"
            ));
        }
        return Ok(ns as i64);
    }
    match model::parse_duration_ms(text) {
        // Durations of the text form are made to fit nanoseconds.
        Ok(ms) => Ok(ms * 1_000_000),
        Err(_) => Err(format!("cannot parse {} to a valid duration", quote(text))),
    }
}

/// The parameter as a time, or the default.
pub(crate) fn time_or(
    form: &Form,
    name: &'static str,
    default: TimeNs,
) -> Result<TimeNs, ApiError> {
    match form.first(name) {
        "" => Ok(default),
        text => parse_time(text).map_err(|error| {
            ApiError::parameter(name, format!("invalid time value for '{name}': {error}"))
        }),
    }
}

/// `start` and `end`, or all of time; in milliseconds.
pub(crate) fn time_range_ms(form: &Form) -> Result<(i64, i64), ApiError> {
    let start = time_or(form, "start", TIME_MIN_NS)?;
    let end = time_or(form, "end", TIME_MAX_NS)?;
    Ok((time_ms(start), time_ms(end)))
}

/// Go's `strconv.Atoi`.
pub(crate) fn parse_atoi(text: &str) -> Result<i64, NumError> {
    parse_int(text, 10).map_err(|error| NumError {
        function: "Atoi",
        ..error
    })
}

/// `limit`; 0 is no limit.
pub(crate) fn limit(form: &Form) -> Result<usize, ApiError> {
    let text = form.first("limit");
    if text.is_empty() {
        return Ok(0);
    }
    match parse_atoi(text) {
        Err(error) => Err(ApiError::parameter("limit", error.to_string())),
        Ok(limit) => usize::try_from(limit)
            .map_err(|_| ApiError::parameter("limit", "limit must be non-negative".to_owned())),
    }
}

/// What storage is asked for under a limit: one more, so that it shows whether something was left
/// out.
pub(crate) fn limit_hint(limit: usize) -> usize {
    if limit > 0 {
        limit.saturating_add(1)
    } else {
        0
    }
}

/// All `match[]` parameters; every one must refuse the empty text somewhere.
pub(crate) fn matcher_sets(form: &Form) -> Result<Vec<Vec<Matcher>>, String> {
    let sets = promql_syntax::parse_metric_selectors(form.all("match[]"))
        .map_err(|errors| errors.to_string())?;
    if sets
        .iter()
        .any(|set| set.iter().all(Matcher::matches_empty))
    {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1.5", Some(1_500_000_000)),
            ("-1.5", Some(-1_500_000_000)),
            ("1e3", Some(1_000_000_000_000)),
            ("1435781451.7814", Some(1_435_781_451_781_000_000)),
            ("2015-06-03T13:21:58.555Z", Some(1_433_337_718_555_000_000)),
            ("2015-06-03T13:21:58,555Z", Some(1_433_337_718_555_000_000)),
            ("2015-06-03T13:21:58+01:00", Some(1_433_334_118_000_000_000)),
            ("2015-06-03T13:21:58-01:30", Some(1_433_343_118_000_000_000)),
            (
                "2015-06-03T13:21:58.1234567891Z",
                Some(1_433_337_718_123_456_789),
            ),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000_000_000)),
            ("1e18", Some(TIME_MAX_NS)),
            ("-1e300", Some(TIME_MIN_NS)),
            ("9223309901257972", Some(9_223_309_901_257_972 * NS_PER_S)),
            (TIME_MIN_TEXT, Some(TIME_MIN_NS)),
            (TIME_MAX_TEXT, Some(TIME_MAX_NS)),
            ("", None),
            ("now", None),
            ("NaN", None),
            ("inf", None),
            ("2015-06-03", None),
            ("2015-06-03t13:21:58Z", None),
            ("2015-06-03 13:21:58Z", None),
            ("2015-06-03T13:21:58", None),
            ("2015-06-03T13:21:58.Z", None),
            ("2015-06-03T13:21:58+0100", None),
            ("2015-06-03T13:21:58+25:00", None),
            ("2015-06-03T24:00:00Z", None),
            ("2015-06-03T13:60:00Z", None),
            ("2015-06-03T13:21:60Z", None),
            ("2015-02-29T00:00:00Z", None),
            ("2015-13-01T00:00:00Z", None),
            ("2015-06-03T13:21:5é", None),
        ] {
            assert_eq!(parse_time(text).ok(), expected, "{text}");
        }
        assert_eq!(time_ms(-1), -1);
        assert_eq!(time_ms(TIME_MIN_NS), -9_223_309_901_257_974_000);
        assert_eq!(time_ms(i128::MAX), i64::MAX);
    }

    #[test]
    fn times_print_as_go_prints_them() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_433_337_718_555_000_000, "2015-06-03T13:21:58.555Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(format_rfc3339(ns), text);
            assert_eq!(parse_time(text), Ok(ns.into()));
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("15", Ok(15_000_000_000)),
            ("0.5", Ok(500_000_000)),
            ("-1", Ok(-1_000_000_000)),
            ("1m30s", Ok(90_000_000_000)),
            ("", Err("cannot parse \"\" to a valid duration")),
            ("1q", Err("cannot parse \"1q\" to a valid duration")),
            (
                "1e10",
                Err("cannot parse \"1e10\" to a valid duration. It overflows int64"),
            ),
            (
                "NaN",
                Err("cannot parse \"NaN\" to a valid duration. It overflows int64"),
            ),
        ] {
            assert_eq!(
                parse_duration_ns(text),
                expected.map_err(str::to_owned),
                "{text}"
            );
        }
    }
}
