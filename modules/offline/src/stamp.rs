//! Finds and shows the time at which a log line says it was written.
//!
//! Dates become day numbers by the civil-calendar arithmetic of the proleptic Gregorian calendar
//! (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).

use crate::carry::{Carry, Items};

/// How a stamp says which zone it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Zone {
    /// It does not.
    #[default]
    Unsaid,
    /// Minutes east of UTC.
    East(i64),
}

/// How a stamp is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// ISO 8601 / RFC 3339, or the same with a space, a comma or slashes.
    #[default]
    Iso,
    /// RFC 3164: `Nov 19 03:14:15`, without a year.
    Syslog,
    /// Common Log Format: `19/Nov/2026:03:14:15 +0000`.
    Access,
    /// Seconds or milliseconds since 1970.
    Epoch,
}

impl Style {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Style::Iso => "ISO 8601",
            Style::Syslog => "syslog",
            Style::Access => "access log",
            Style::Epoch => "epoch",
        }
    }
}

/// A moment as a line tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Milliseconds since 1970 UTC; since the start of a year that is not told, for syslog; as if UTC, where no zone is told.
    pub(crate) ms: i64,
    /// The zone.
    pub(crate) zone: Zone,
    /// The way it is written.
    pub(crate) style: Style,
    /// Where the rest of the line begins.
    pub(crate) end: usize,
}

/// How far into a line a stamp may begin, in bytes.
const START_MAX: usize = 48;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// The first stamp near the beginning of a line.
pub(crate) fn find(line: &str) -> Option<Stamp> {
    let bytes = line.as_bytes();
    let start = bytes.iter().take_while(|b| matches!(b, b'[' | b'"' | b'(')).count();
    if start < bytes.len()
        && let Some(stamp) = at(bytes, start)
    {
        return Some(stamp);
    }
    if bytes.first() == Some(&b'<') {
        let after = bytes.iter().take(6).position(|b| *b == b'>')? + 1;
        // RFC 5424 puts a version digit before the time.
        let after = if bytes.get(after + 1) == Some(&b' ') { after + 2 } else { after };
        return at(bytes, after);
    }
    let mut previous = b'a';
    for start in 1..bytes.len().min(START_MAX) {
        let before = std::mem::replace(&mut previous, bytes[start]);
        let before = if start == 1 { bytes[0] } else { before };
        let begins = bytes[start].is_ascii_digit() && matches!(before, b'[' | b' ' | b'(' | b'"' | b'=' | b'\t' | b'|');
        if begins && let Some(stamp) = iso(bytes, start).or_else(|| access(bytes, start)) {
            return Some(stamp);
        }
    }
    None
}

/// The stamp that is all of `text`.
pub(crate) fn parse(text: &str) -> Option<Stamp> {
    at(text.as_bytes(), 0)
}

/// A moment from a count of seconds or milliseconds, told apart by size: only 2001 to 2128 is believed.
pub(crate) fn from_epoch(number: f64) -> Option<i64> {
    if (1e9..5e9).contains(&number) {
        Some((number * 1000.0) as i64)
    } else if (1e12..5e12).contains(&number) {
        Some(number as i64)
    } else {
        None
    }
}

fn at(bytes: &[u8], start: usize) -> Option<Stamp> {
    match bytes.get(start)? {
        b'0'..=b'9' => {
            iso(bytes, start).or_else(|| access(bytes, start)).or_else(|| if start == 0 { epoch(bytes) } else { None })
        }
        b'A'..=b'Z' => syslog(bytes, start),
        _ => None,
    }
}

/// A number of exactly `digits` digits.
fn number(bytes: &[u8], start: usize, digits: usize) -> Option<i64> {
    let part = bytes.get(start..start + digits)?;
    part.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

fn is(bytes: &[u8], at: usize, any: &[u8]) -> Option<()> {
    bytes.get(at).filter(|b| any.contains(b)).map(|_| ())
}

/// `hh:mm:ss`, then perhaps a fraction; milliseconds of the day and where it ends.
fn clock(bytes: &[u8], start: usize) -> Option<(i64, usize)> {
    let (hour, minute, second) = (number(bytes, start, 2)?, number(bytes, start + 3, 2)?, number(bytes, start + 6, 2)?);
    is(bytes, start + 2, b":")?;
    is(bytes, start + 5, b":")?;
    (hour < 24 && minute < 60 && second < 61).then_some(())?;
    let mut end = start + 8;
    let mut ms = ((hour * 60 + minute) * 60 + second) * 1000;
    if is(bytes, end, b".,").is_some() && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end += 1;
        let mut unit = 100;
        while let Some(digit) = bytes.get(end).filter(|b| b.is_ascii_digit()) {
            ms += i64::from(digit - b'0') * unit;
            unit /= 10;
            end += 1;
        }
    }
    Some((ms, end))
}

fn iso(bytes: &[u8], start: usize) -> Option<Stamp> {
    let (year, month, day) = (number(bytes, start, 4)?, number(bytes, start + 5, 2)?, number(bytes, start + 8, 2)?);
    is(bytes, start + 4, b"-/")?;
    is(bytes, start + 7, b"-/")?;
    is(bytes, start + 10, b"T t_")?;
    let (ms, mut end) = clock(bytes, start + 11)?;
    let zone = zone(bytes, &mut end);
    stamp((year, month, day), ms, (zone, Style::Iso), end)
}

fn access(bytes: &[u8], start: usize) -> Option<Stamp> {
    let (day, year) = (number(bytes, start, 2)?, number(bytes, start + 7, 4)?);
    is(bytes, start + 2, b"/")?;
    is(bytes, start + 6, b"/")?;
    is(bytes, start + 11, b":")?;
    let month = month(bytes.get(start + 3..start + 6)?)?;
    let (ms, mut end) = clock(bytes, start + 12)?;
    let zone = zone(bytes, &mut end);
    stamp((year, month, day), ms, (zone, Style::Access), end)
}

fn syslog(bytes: &[u8], start: usize) -> Option<Stamp> {
    let month = month(bytes.get(start..start + 3)?)?;
    is(bytes, start + 3, b" ")?;
    let day =
        if bytes.get(start + 4) == Some(&b' ') { number(bytes, start + 5, 1)? } else { number(bytes, start + 4, 2)? };
    is(bytes, start + 6, b" ")?;
    let (ms, end) = clock(bytes, start + 7)?;
    // A leap year, so that every day of the calendar has a place.
    stamp((1972, month, day), ms, (Zone::Unsaid, Style::Syslog), end)
}

fn epoch(bytes: &[u8]) -> Option<Stamp> {
    let digits = bytes.iter().take(14).take_while(|b| b.is_ascii_digit()).count();
    let value = number(bytes, 0, digits)?;
    is(bytes, digits, b" .,\t:|").or(if digits == bytes.len() { Some(()) } else { None })?;
    let ms = match digits {
        10 => value * 1000,
        13 => value,
        _ => return None,
    };
    let mut end = digits;
    if bytes.get(end) == Some(&b'.') {
        end += 1 + bytes[end + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
    }
    from_epoch(ms as f64).map(|ms| Stamp { ms, zone: Zone::East(0), style: Style::Epoch, end })
}

fn zone(bytes: &[u8], end: &mut usize) -> Zone {
    if is(bytes, *end, b"Zz").is_some() {
        *end += 1;
        return Zone::East(0);
    }
    let start = if is(bytes, *end, b" ").is_some() { *end + 1 } else { *end };
    if bytes.get(start..start + 3) == Some(b"UTC") {
        *end = start + 3;
        return Zone::East(0);
    }
    let sign = match bytes.get(start) {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Zone::Unsaid,
    };
    let minutes_at = if bytes.get(start + 3) == Some(&b':') { start + 4 } else { start + 3 };
    match (number(bytes, start + 1, 2), number(bytes, minutes_at, 2)) {
        (Some(hours), Some(minutes)) if hours < 15 && minutes < 60 => {
            *end = minutes_at + 2;
            Zone::East(sign * (hours * 60 + minutes))
        }
        _ => Zone::Unsaid,
    }
}

fn stamp(date: (i64, i64, i64), ms: i64, (zone, style): (Zone, Style), end: usize) -> Option<Stamp> {
    let (year, month, day) = date;
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && (1900..2200).contains(&year);
    let east = if let Zone::East(minutes) = zone { minutes * MINUTE_MS } else { 0 };
    fits.then(|| Stamp { ms: days(year, month, day) * DAY_MS + ms - east, zone, style, end })
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn month(name: &[u8]) -> Option<i64> {
    MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(name)).map(|n| n as i64 + 1)
}

/// Days from 1970-01-01 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date that is `days` after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// How stamps of one log are shown: in its own zone, with the precision asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) zone: Zone,
    pub(crate) style: Style,
}

impl Face {
    /// `2026-11-19 03:14:15`, or `Nov 19 03:14:15` for syslog.
    pub(crate) fn second(self, ms: i64) -> String {
        let (day, ms) = self.day(ms);
        let seconds = ms / 1000;
        format!("{day} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// `03:14`.
    pub(crate) fn minute_of_day(self, ms: i64) -> String {
        let (_, ms) = self.day(ms);
        format!("{:02}:{:02}", ms / 3_600_000, ms / MINUTE_MS % 60)
    }

    /// `2026-11-19`, and the milliseconds since its midnight.
    pub(crate) fn day(self, ms: i64) -> (String, i64) {
        let east = if let Zone::East(minutes) = self.zone { minutes * MINUTE_MS } else { 0 };
        let local = ms.saturating_add(east);
        let (year, month, day) = date(local.div_euclid(DAY_MS));
        let text = match self.style {
            Style::Syslog => format!("{} {day:02}", MONTHS[(month - 1).clamp(0, 11) as usize]),
            _ => format!("{year:04}-{month:02}-{day:02}"),
        };
        (text, local.rem_euclid(DAY_MS))
    }

    /// The zone in words.
    pub(crate) fn zone_name(self) -> String {
        match self.zone {
            Zone::Unsaid => "no time zone stated".to_owned(),
            Zone::East(0) => "UTC".to_owned(),
            Zone::East(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("UTC{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

impl Carry for Face {
    fn save(&self, out: &mut String) {
        let east = if let Zone::East(minutes) = self.zone { Some(minutes) } else { None };
        east.save(out);
        (self.style as u64).save(out);
    }
    fn load(items: &mut Items) -> Option<Face> {
        let zone = Option::<i64>::load(items)?.map_or(Zone::Unsaid, Zone::East);
        let style = match u64::load(items)? {
            0 => Style::Iso,
            1 => Style::Syslog,
            2 => Style::Access,
            3 => Style::Epoch,
            _ => return None,
        };
        Some(Face { zone, style })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Option<(String, String, &str)> {
        let stamp = find(line)?;
        let face = Face { zone: stamp.zone, style: stamp.style };
        Some((face.second(stamp.ms), face.zone_name(), &line[stamp.end..]))
    }

    #[test]
    fn every_way_to_write_a_moment_is_read() {
        let unsaid = "no time zone stated";
        let known = [
            ("2026-11-19T03:14:15.123Z INFO x", "2026-11-19 03:14:15", "UTC", " INFO x"),
            ("2026-11-19 03:14:15,123 INFO", "2026-11-19 03:14:15", unsaid, " INFO"),
            ("[2026-11-19T03:14:15+05:30] x", "2026-11-19 03:14:15", "UTC+05:30", "] x"),
            ("2026/11/19 03:14:15 x", "2026-11-19 03:14:15", unsaid, " x"),
            ("2026-11-19 03:14:15 -0800 x", "2026-11-19 03:14:15", "UTC-08:00", " x"),
            ("2026-11-19 03:14:15 UTC [7] x", "2026-11-19 03:14:15", "UTC", " [7] x"),
            ("Nov  9 03:14:15 host app[1]: x", "Nov 09 03:14:15", unsaid, " host app[1]: x"),
            ("<34>Oct 11 22:14:15 host su: x", "Oct 11 22:14:15", unsaid, " host su: x"),
            ("<34>1 2003-10-11T22:14:15.003Z h", "2003-10-11 22:14:15", "UTC", " h"),
            ("1.2.3.4 - - [19/Nov/2026:03:14:15 +0100] \"G", "2026-11-19 03:14:15", "UTC+01:00", "] \"G"),
            ("ERROR [main] 2024-02-29 23:59:60 x", "2024-03-01 00:00:00", unsaid, " x"),
            ("1763521200 x", "2025-11-19 03:00:00", "UTC", " x"),
            ("1763521200123 x", "2025-11-19 03:00:00", "UTC", " x"),
        ];
        for (line, time, zone, rest) in known {
            assert_eq!(shown(line), Some((time.into(), zone.into(), rest)), "{line}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for line in [
            "",
            "[",
            "<",
            "<3",
            "2026-13-19T03:14:15Z",
            "2026-11-19",
            "12345 x",
            "Nov",
            "Now  9 03:14:15 h",
            "ü2026",
            "a 1",
            "19/Nov/2026",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for day in (-200_000..200_000).step_by(13) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(date(days(2024, 2, 29)), (2024, 2, 29));
    }
}
