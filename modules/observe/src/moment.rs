//! Moments as text: RFC 3339 in UTC with milliseconds, such as `2026-11-20T09:00:00.000Z`.

const DAY_MS: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000Z, the first moment that RFC 3339 can write.
const FIRST_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last.
const LAST_MS: i64 = 253_402_300_799_999;

/// The moment `unix_ms` milliseconds after 1970-01-01T00:00:00Z; what lies outside the years 0 to 9999 is written as
/// the nearest moment inside.
pub(crate) fn write(unix_ms: i64) -> String {
    let unix_ms = unix_ms.clamp(FIRST_MS, LAST_MS);
    let (year, month, day) = date(unix_ms.div_euclid(DAY_MS));
    let ms = unix_ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// The milliseconds of a moment in exactly the form that [`write`] gives.
pub(crate) fn parse(text: &str) -> Option<i64> {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000Z";
    let bytes = text.as_bytes();
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if bytes.len() != FORM.len() || !bytes.iter().zip(FORM).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| bytes[from..to].iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let days = days(year, month, day);
    if !(1..=12).contains(&month) || date(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1000 + number(20, 23))
}

/// Year, month and day, `days` days after 1970-01-01. Years are counted from March, so that the leap day is the last;
/// 400 of them have 146,097 days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to this date (the same, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_and_read() {
        let known = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (FIRST_MS, "0000-01-01T00:00:00.000Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
        ];
        for (unix_ms, text) in known {
            assert_eq!(write(unix_ms), text);
            assert_eq!(parse(text), Some(unix_ms));
        }
        assert_eq!(write(i64::MIN), write(FIRST_MS));
        assert_eq!(write(i64::MAX), write(LAST_MS));
    }

    #[test]
    fn every_day_of_four_centuries_is_read_back() {
        for day in -150_000..150_000 {
            let unix_ms = day * DAY_MS + (day * 7919).rem_euclid(DAY_MS);
            assert_eq!(parse(&write(unix_ms)), Some(unix_ms));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-20T09:00:00Z",
            "2026-11-20 09:00:00.000Z",
            "2026-02-30T09:00:00.000Z",
            "2026-00-10T09:00:00.000Z",
            "2026-13-10T09:00:00.000Z",
            "2026-01-00T09:00:00.000Z",
            "2026-11-20T24:00:00.000Z",
            "2026-11-20T09:60:00.000Z",
            "2026-11-20T09:00:60.000Z",
            "2026-11-20T09:00:00.00éZ",
            "+026-11-20T09:00:00.000Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
