//! Calendar parts of times in UTC: the proleptic Gregorian calendar, without leap seconds.

use crate::gomath::to_i64;

const DAY_S: i64 = 86_400;

/// Days from the start of Go's calendar, 1 March of the year -292,277,022,400, to 1970. Seconds
/// before that wrap around, which shows for what does not fit into an `i64` at all.
const DAYS_BEFORE_1970: i64 = 292_277_022_400 / 400 * 146_097 + 719_468;

/// Days since 1970 and the second of the day, as Go splits them.
fn split(seconds: i64) -> (i64, i64) {
    let before = (DAYS_BEFORE_1970 * DAY_S) as u64;
    let absolute = (seconds as u64).wrapping_add(before);
    let days = (absolute / DAY_S as u64) as i64 - DAYS_BEFORE_1970;
    (days, (absolute % DAY_S as u64) as i64)
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
}

/// The date of a day since 1970. Counts in eras of 400 years that start on 1 March, so that the
/// leap day is the last one of its year.
fn date(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    Date {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A part of a time that a function of PromQL gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

impl DatePart {
    /// The part of a time in seconds since 1970; fractions are cut towards zero.
    pub(crate) fn of(self, seconds: f64) -> f64 {
        let (days, second_of_day) = split(to_i64(seconds));
        let part = match self {
            DatePart::Minute => second_of_day / 60 % 60,
            DatePart::Hour => second_of_day / 3_600,
            // 1 January 1970 was a Thursday.
            DatePart::DayOfWeek => (days + 4).rem_euclid(7),
            DatePart::DayOfMonth => date(days).day,
            DatePart::DayOfYear => {
                let date = date(days);
                (1..date.month)
                    .map(|month| month_days(date.year, month))
                    .sum::<i64>()
                    + date.day
            }
            DatePart::DaysInMonth => {
                let date = date(days);
                month_days(date.year, date.month)
            }
            DatePart::Month => date(days).month,
            DatePart::Year => date(days).year,
        };
        part as f64
    }
}

/// `2026-01-31T12:00:00Z`, fractions cut.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    // Go divides towards zero here.
    let seconds = time_ms / 1_000;
    let date = date(seconds.div_euclid(DAY_S));
    let rest = seconds.rem_euclid(DAY_S);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year,
        date.month,
        date.day,
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        // (seconds, minute, hour, weekday, day, day of year, days in month, month, year)
        for (seconds, parts) in [
            (0.0, [0, 0, 4, 1, 1, 31, 1, 1970]),
            (1_136_239_445.9, [4, 22, 1, 2, 2, 31, 1, 2006]),
            (951_782_400.0, [0, 0, 2, 29, 60, 29, 2, 2000]),
            (-1.0, [59, 23, 3, 31, 365, 31, 12, 1969]),
            (4_107_542_400.0, [0, 0, 1, 1, 60, 31, 3, 2100]),
        ] {
            let got = [
                DatePart::Minute,
                DatePart::Hour,
                DatePart::DayOfWeek,
                DatePart::DayOfMonth,
                DatePart::DayOfYear,
                DatePart::DaysInMonth,
                DatePart::Month,
                DatePart::Year,
            ]
            .map(|part| part.of(seconds) as i64);
            assert_eq!(got, parts, "{seconds}");
        }
        // What Go makes of times that are none.
        assert_eq!(DatePart::Year.of(f64::NAN), 292_277_026_596.0);
        assert_eq!(DatePart::Month.of(f64::INFINITY), 12.0);
        assert_eq!(DatePart::Minute.of(f64::NEG_INFINITY), 30.0);
        assert_eq!(rfc3339(1_136_239_445_900), "2006-01-02T22:04:05Z");
    }
}
