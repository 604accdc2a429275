//! Dates and times of the proleptic Gregorian calendar, as seconds since 1970-01-01 and back.

use std::fmt;

/// A local date and time, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// 1 to 9999.
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    /// Seconds since midnight, 0 to 86 399.
    pub(crate) second: i64,
}

const DAY_SECONDS: i64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Days from 1970-01-01 to a date, counted in eras of 400 years that begin in March, so that leap days come last.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Moment {
    /// So many seconds after 1970-01-01T00:00:00; `None` outside the years 1 to 9999.
    pub(crate) fn from_seconds(seconds: i64) -> Option<Moment> {
        let day = seconds.div_euclid(DAY_SECONDS);
        if !(-719_162..=2_932_896).contains(&day) {
            return None;
        }
        let (year, month, date) = date(day);
        Some(Moment { year, month, day: date, second: seconds.rem_euclid(DAY_SECONDS) })
    }

    /// Seconds since 1970-01-01T00:00:00.
    pub(crate) fn seconds(self) -> i64 {
        days(self.year, self.month, self.day) * DAY_SECONDS + self.second
    }

    /// Reads `2026-11-20`, `2026-11-20T09:05` or `2026-11-20 09:05:30.25` (RFC 3339, section 5.6); fractions are dropped. What
    /// follows, such as an offset, is handed back.
    ///
    /// # Errors
    /// What was wanted.
    pub(crate) fn read(text: &str) -> Result<(Moment, &str), &'static str> {
        const WANTED: &str =
            "wanted a time such as 2026-11-20T09:05, with or without an offset such as +01:00, or unix seconds";
        let field = |from: usize, count: usize, before: Option<&[u8]>| {
            let digits = text.get(from..from + count).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
            let is_parted = before.is_none_or(|marks| from > 0 && marks.contains(&text.as_bytes()[from - 1]));
            if is_parted { digits.parse::<i64>().ok() } else { None }
        };
        let parts = (field(0, 4, None), field(5, 2, Some(b"-")), field(8, 2, Some(b"-")));
        let (Some(year), Some(month), Some(day)) = parts else { return Err(WANTED) };
        if year == 0 || !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
            return Err("there is no such date in the calendar");
        }
        let (Some(hour), Some(minute)) = (field(11, 2, Some(b"Tt ")), field(14, 2, Some(b":"))) else {
            return if text.len() == 10 { Ok((Moment { year, month, day, second: 0 }, "")) } else { Err(WANTED) };
        };
        let second = field(17, 2, Some(b":"));
        let mut end = if second.is_some() { 19 } else { 16 };
        if second.is_some() && text[end..].starts_with(['.', ',']) {
            end += 1 + text[end + 1..].bytes().take_while(u8::is_ascii_digit).count();
        }
        let second = second.unwrap_or(0).min(59 + i64::from(second == Some(60)));
        if hour > 23 || minute > 59 || second > 60 {
            return Err("there is no such time of day");
        }
        // A leap second is shown as the last second that every clock has.
        let second = (hour * 60 + minute) * 60 + second.min(59);
        Ok((Moment { year, month, day, second }, text[end..].trim()))
    }

    /// 0 for Monday.
    pub(crate) fn weekday(self) -> i64 {
        (days(self.year, self.month, self.day) + 3).rem_euclid(7)
    }

    pub(crate) fn weekday_name(self) -> &'static str {
        WEEKDAYS[usize::try_from(self.weekday()).unwrap_or(0) % 7]
    }

    /// 1 to 366.
    pub(crate) fn day_of_year(self) -> i64 {
        days(self.year, self.month, self.day) - days(self.year, 1, 1) + 1
    }

    /// The week of ISO 8601 (section 3.1.1.23): the one that holds the year's first Thursday is the first.
    pub(crate) fn week(self) -> i64 {
        let week = (self.day_of_year() - self.weekday() + 9) / 7;
        let weeks_in = |year: i64| {
            let first = Moment { year, month: 1, day: 1, second: 0 }.weekday();
            if first == 3 || (first == 2 && is_leap(year)) { 53 } else { 52 }
        };
        match week {
            0 => weeks_in(self.year - 1),
            week if week > weeks_in(self.year) => 1,
            week => week,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        write!(f, "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}", self.year, self.month, self.day)
    }
}

/// An offset from UTC in seconds, as `Z` or `+01:00` (RFC 3339, section 5.6).
pub(crate) fn offset_told(seconds: i64) -> String {
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let short = format!("{sign}{:02}:{:02}", size / 3600, size / 60 % 60);
    if size % 60 == 0 { short } else { format!("{short}:{:02}", size % 60) }
}

/// Reads `Z`, `UTC`, `+02`, `+0200`, `+02:00`, `UTC+2`.
pub(crate) fn offset(text: &str) -> Option<i64> {
    let text = text.trim();
    if ["z", "utc", "gmt"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("utc").or(lower.strip_prefix("gmt")).unwrap_or(&lower);
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let digits = rest.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number =
        |part: &str| part.parse::<i64>().ok().filter(|_| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_goes_there_and_back() {
        let mut expected = (1, 1, 1);
        for day in -719_162..=2_932_896 {
            let found = date(day);
            assert_eq!(found, expected);
            assert_eq!(days(found.0, found.1, found.2), day);
            expected.2 += 1;
            if expected.2 > month_days(expected.0, expected.1) {
                expected = if expected.1 == 12 { (expected.0 + 1, 1, 1) } else { (expected.0, expected.1 + 1, 1) };
            }
        }
        assert_eq!(Moment::from_seconds(i64::MAX), None);
        assert_eq!(Moment::from_seconds(i64::MIN), None);
    }

    #[test]
    fn weekdays_and_weeks_are_those_of_the_standard() {
        let cases = [
            ("2026-11-20", "Friday", 47, 324),
            ("2005-01-01", "Saturday", 53, 1),
            ("2007-12-31", "Monday", 1, 365),
            ("2008-12-28", "Sunday", 52, 363),
            ("2010-01-03", "Sunday", 53, 3),
            ("2020-12-31", "Thursday", 53, 366),
            ("1970-01-01", "Thursday", 1, 1),
        ];
        for (text, weekday, week, day) in cases {
            let (moment, _) = Moment::read(text).unwrap();
            assert_eq!((moment.weekday_name(), moment.week(), moment.day_of_year()), (weekday, week, day), "{text}");
        }
    }

    #[test]
    fn times_are_read_and_told() {
        let cases = [
            ("2026-11-20", "2026-11-20T00:00:00", ""),
            ("2026-11-20T09:05", "2026-11-20T09:05:00", ""),
            ("2026-11-20 09:05:30.25+01:00", "2026-11-20T09:05:30", "+01:00"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59", "Z"),
            ("2026-11-20t09:05 -0330", "2026-11-20T09:05:00", "-0330"),
        ];
        for (text, wanted, rest) in cases {
            let (moment, after) = Moment::read(text).unwrap();
            assert_eq!((moment.to_string().as_str(), after), (wanted, rest));
            assert_eq!(Moment::from_seconds(moment.seconds()), Some(moment));
        }
        for text in [
            "",
            "now",
            "2026-02-29",
            "2026-13-01",
            "2026-11-20T24:00",
            "2026-11-20T0905",
            "0000-01-01",
            "20261120",
            "2026-11-2ä",
        ] {
            assert!(Moment::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_are_read_and_told() {
        let cases = [
            ("Z", 0),
            ("utc", 0),
            ("+02", 7_200),
            ("-0330", -12_600),
            ("+05:45", 20_700),
            ("UTC+2", 7_200),
            ("gmt-10", -36_000),
        ];
        for (text, wanted) in cases {
            assert_eq!(offset(text), Some(wanted), "{text}");
        }
        for text in ["", "+", "2", "+24:00", "+1:60", "CET", "++1", "+1:2:3", "+äö"] {
            assert_eq!(offset(text), None, "{text}");
        }
        assert_eq!(
            (offset_told(-12_600), offset_told(0), offset_told(2_172)),
            ("-03:30".into(), "+00:00".into(), "+00:36:12".into())
        );
    }
}
