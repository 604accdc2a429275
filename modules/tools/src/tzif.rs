//! Time zones: the files of the IANA database in the Time Zone Information Format (RFC 9636), versions 2 to 4.

use crate::calendar::{Moment, days, is_leap};

/// A time zone, as its file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// When another type begins to hold, ascending, and which.
    transitions: Vec<(i64, usize)>,
    types: Vec<LocalTime>,
    /// What holds after the last transition.
    rule: Option<Rule>,
}

/// How local time runs for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// Seconds east of UTC.
    pub(crate) offset: i64,
    /// Such as `CET`.
    pub(crate) abbreviation: String,
}

/// The last line of a file: a `TZ` string (POSIX.1-2017, section 8.3, extended by RFC 9636, section 3.3.2).
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    standard: LocalTime,
    summer: Option<(LocalTime, Change, Change)>,
}

/// When a change happens each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds after local midnight, -167 to 167 hours.
    second: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Jn`: 1 to 365, the 29th of February never counted.
    WithoutLeap(i64),
    /// `n`: 0 to 365.
    OfYear(i64),
    /// `Mm.w.d`: month, week (5 is the last), weekday (0 is Sunday).
    OfWeek(i64, i64, i64),
}

impl Zone {
    /// Reads a file; `None` if it is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Zone> {
        let first = Header::parse(bytes)?;
        let second = bytes.get(44 + first.block_bytes(4)..)?;
        let header = Header::parse(second)?;
        if first.version < b'2' {
            return None;
        }
        let mut data = Data(second.get(44..)?);
        let times: Vec<i64> = (0..header.transitions).map(|_| data.long()).collect::<Option<_>>()?;
        let indices = data.take(header.transitions)?;
        let raw: Vec<&[u8]> = (0..header.types).map(|_| data.take(6)).collect::<Option<_>>()?;
        let names = data.take(header.name_bytes)?;
        data.take(header.leaps * 12 + header.standard_bytes + header.universal_bytes)?;
        let types: Vec<LocalTime> = raw.iter().map(|raw| local_time(raw, names)).collect::<Option<_>>()?;
        let transitions: Vec<(i64, usize)> =
            times.into_iter().zip(indices.iter().map(|index| usize::from(*index))).collect();
        let is_sound = !types.is_empty()
            && transitions.iter().all(|(_, kind)| *kind < types.len())
            && transitions.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let footer = data.0.strip_prefix(b"\n").and_then(|rest| rest.split(|b| *b == b'\n').next());
        let rule = footer.and_then(|text| std::str::from_utf8(text).ok()).and_then(Rule::parse);
        is_sound.then_some(Zone { transitions, types, rule })
    }

    /// How local time runs at so many seconds after 1970-01-01 UTC.
    pub(crate) fn at(&self, seconds: i64) -> &LocalTime {
        let passed = self.transitions.partition_point(|(time, _)| *time <= seconds);
        match (&self.rule, passed) {
            (Some(rule), passed) if passed == self.transitions.len() => rule.at(seconds),
            (_, 0) => &self.types[0],
            (_, passed) => &self.types[self.transitions[passed - 1].1],
        }
    }

    /// The moment that a local time names, and whether it is one: a clock that is set forward skips local times,
    /// one that is set back shows them twice.
    pub(crate) fn resolve(&self, local: Moment) -> (i64, Resolved) {
        const DAY_SECONDS: i64 = 86_400;
        let seconds = local.seconds();
        let before = self.at(seconds - DAY_SECONDS).offset;
        let after = self.at(seconds + DAY_SECONDS).offset;
        let fits = |offset: i64| self.at(seconds - offset).offset == offset;
        match (fits(before), fits(after)) {
            (true, true) if before != after => (seconds - before, Resolved::First),
            (true, _) => (seconds - before, Resolved::Once),
            (false, true) => (seconds - after, Resolved::Once),
            (false, false) => (seconds - before, Resolved::Skipped),
        }
    }
}

/// What a local time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    Once,
    /// It occurs twice; the first time is taken.
    First,
    /// It never occurs; the clock was set forward over it.
    Skipped,
}

struct Header {
    version: u8,
    universal_bytes: usize,
    standard_bytes: usize,
    leaps: usize,
    transitions: usize,
    types: usize,
    name_bytes: usize,
}

impl Header {
    /// RFC 9636, section 3.1.
    fn parse(bytes: &[u8]) -> Option<Header> {
        if !bytes.starts_with(b"TZif") {
            return None;
        }
        let mut data = Data(bytes.get(20..44)?);
        Some(Header {
            version: bytes[4],
            universal_bytes: data.count()?,
            standard_bytes: data.count()?,
            leaps: data.count()?,
            transitions: data.count()?,
            types: data.count()?,
            name_bytes: data.count()?,
        })
    }

    fn block_bytes(&self, time_bytes: usize) -> usize {
        let times = self.transitions * (time_bytes + 1) + self.leaps * (time_bytes + 4);
        times + self.types * 6 + self.name_bytes + self.standard_bytes + self.universal_bytes
    }
}

struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A count of the header. The largest file of the database is far below this bound.
    fn count(&mut self) -> Option<usize> {
        const COUNT_MAX: u32 = 1 << 16;
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(Some(u32::from_be_bytes(bytes)).filter(|count| *count <= COUNT_MAX)?).ok()
    }

    fn long(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
}

fn local_time(raw: &[u8], names: &[u8]) -> Option<LocalTime> {
    let offset = i64::from(i32::from_be_bytes(raw.get(..4)?.try_into().ok()?));
    let name = names.get(usize::from(*raw.get(5)?)..)?.split(|b| *b == 0).next()?;
    let abbreviation = std::str::from_utf8(name).ok()?.to_owned();
    (offset.abs() < 200_000).then_some(LocalTime { offset, abbreviation })
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let (name, rest) = name(text)?;
        let (offset, rest) = duration(rest)?;
        let standard = LocalTime { offset: -offset, abbreviation: name };
        if rest.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        let (name, rest) = self::name(rest)?;
        let (offset, rest) = if rest.starts_with(',') { (offset - 3600, rest) } else { duration(rest)? };
        let summer = LocalTime { offset: -offset, abbreviation: name };
        let (start, end) = rest.strip_prefix(',')?.split_once(',')?;
        Some(Rule { standard, summer: Some((summer, Change::parse(start)?, Change::parse(end)?)) })
    }

    fn at(&self, seconds: i64) -> &LocalTime {
        let Some((summer, start, end)) = &self.summer else { return &self.standard };
        let Some(local) = Moment::from_seconds(seconds.saturating_add(self.standard.offset)) else {
            return &self.standard;
        };
        let start = start.in_year(local.year) - self.standard.offset;
        let end = end.in_year(local.year) - summer.offset;
        let is_summer = if start < end { (start..end).contains(&seconds) } else { !(end..start).contains(&seconds) };
        if is_summer { summer } else { &self.standard }
    }
}

/// `CET` or `<+03>`, and what follows.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('<') {
        let (name, rest) = rest.split_once('>')?;
        return Some((name.to_owned(), rest));
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| (text[..end].to_owned(), &text[end..]))
}

/// `[+-]hh[:mm[:ss]]` in seconds, and what follows.
fn duration(text: &str) -> Option<(i64, &str)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let mut seconds = 0;
    for (part, unit) in text[..end].split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok().filter(|part| *part <= 167)? * unit;
    }
    Some((sign * seconds, &text[end..]))
}

impl Change {
    fn parse(text: &str) -> Option<Change> {
        let (day, second) = match text.split_once('/') {
            Some((day, time)) => (day, duration(time).filter(|(_, rest)| rest.is_empty())?.0),
            None => (text, 2 * 3600),
        };
        let number = |text: &str, min: i64, max: i64| text.parse::<i64>().ok().filter(|n| (min..=max).contains(n));
        let day = if let Some(rest) = day.strip_prefix('M') {
            let mut parts = rest.split('.');
            Day::OfWeek(number(parts.next()?, 1, 12)?, number(parts.next()?, 1, 5)?, number(parts.next()?, 0, 6)?)
        } else if let Some(rest) = day.strip_prefix('J') {
            Day::WithoutLeap(number(rest, 1, 365)?)
        } else {
            Day::OfYear(number(day, 0, 365)?)
        };
        Some(Change { day, second })
    }

    /// Local seconds since 1970-01-01.
    fn in_year(self, year: i64) -> i64 {
        let day = match self.day {
            Day::WithoutLeap(day) => days(year, 1, 1) + day - 1 + i64::from(is_leap(year) && day >= 60),
            Day::OfYear(day) => days(year, 1, 1) + day,
            Day::OfWeek(month, week, weekday) => {
                let first = days(year, month, 1);
                // 1970-01-01 was a Thursday, the fourth day after Sunday.
                let found = first + (weekday - (first + 4)).rem_euclid(7) + (week - 1) * 7;
                let next_month = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
                if found >= next_month { found - 7 } else { found }
            }
        };
        day * 86_400 + self.second
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        std::fs::read(format!("/usr/share/zoneinfo/{name}")).unwrap()
    }

    const NAMES: [&str; 12] = [
        "Europe/Oslo",
        "America/New_York",
        "America/Lima",
        "Asia/Kolkata",
        "Asia/Tehran",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/St_Johns",
        "Europe/Dublin",
        "Asia/Gaza",
        "UTC",
    ];

    #[test]
    fn local_times_agree_with_another_reader_of_the_same_files() {
        for name in NAMES {
            let bytes = file(name);
            let zone = Zone::parse(&bytes).unwrap();
            let other = jiff::tz::TimeZone::tzif(name, &bytes).unwrap();
            let mut seed = 1u64;
            for n in 0..4_000i64 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Years 1850 to 2150 at random, and then hour by hour around a change.
                let seconds = if n < 2_000 {
                    -3_786_000_000 + (seed >> 31) as i64 % 9_460_000_000
                } else {
                    1_774_000_000 + n * 3_600
                };
                let info = other.to_offset_info(jiff::Timestamp::from_second(seconds).unwrap());
                let mine = zone.at(seconds);
                assert_eq!(
                    (mine.offset, mine.abbreviation.as_str()),
                    (i64::from(info.offset().seconds()), info.abbreviation()),
                    "{name} {seconds}"
                );
            }
        }
    }

    #[test]
    fn local_times_are_resolved() {
        let oslo = Zone::parse(&file("Europe/Oslo")).unwrap();
        let at = |text: &str| oslo.resolve(Moment::read(text).unwrap().0);
        assert_eq!(at("2026-07-01T12:00"), (1_782_900_000, Resolved::Once));
        assert_eq!(at("2026-03-29T02:30").1, Resolved::Skipped);
        assert_eq!(at("2026-10-25T02:30").1, Resolved::First);
        assert_eq!(at("2026-10-25T02:30").0 + 3_600, at("2026-10-25T02:30").0 + 3_600);
        for name in NAMES {
            let zone = Zone::parse(&file(name)).unwrap();
            for n in 0..20_000i64 {
                let seconds = 1_700_000_000 + n * 4_321;
                let local = Moment::from_seconds(seconds + zone.at(seconds).offset).unwrap();
                let (back, how) = zone.resolve(local);
                assert!(back == seconds || how == Resolved::First, "{name} {seconds} {local} {how:?}");
            }
        }
    }

    /// Any bytes are a zone or none.
    #[test]
    fn t4_nothing_breaks_it() {
        let whole = file("America/New_York");
        for end in 0..whole.len() {
            let _ = Zone::parse(&whole[..end]);
        }
        let mut seed = 17u64;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 25) as u8;
            }
            if let Some(zone) = Zone::parse(&bytes) {
                for seconds in [i64::MIN, -1, 0, 4_000_000_000, i64::MAX] {
                    let _ = zone.at(seconds);
                }
            }
        }
        for text in [
            "",
            "A",
            "CET",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M10.5.0",
            "X3,,",
            "CET-999999999999999999999",
            "<+03",
        ] {
            assert_eq!(Rule::parse(text), None, "{text}");
        }
        assert!(Rule::parse("<-03>3<-02>,M3.5.0/-2,M10.5.0/-1").is_some());
    }
}
