//! The numbers in log messages that mean something: how long things took, and what keeps rising.

use crate::carry::carry;
use crate::shelf::{self, Shelf};
use crate::spread::Spread;
use crate::template;
use crate::words;

/// What a number is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Plain,
    Percent,
    /// Any unit of bytes; values are in that unit.
    Bytes,
    /// Time; values are in microseconds.
    Time,
}

/// A number in a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number<'a> {
    /// In microseconds, for time.
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// The unit as written.
    pub(crate) suffix: &'a str,
    /// What stands before it.
    pub(crate) before: &'a str,
}

/// Numbers of one line that are looked at.
const NUMBERS_MAX: usize = 12;
/// Bytes of a line in which numbers are looked for.
const TEXT_BYTES_MAX: usize = 1000;

/// The numbers of a message that stand alone or behind a key, in order.
pub(crate) fn scan(text: &str) -> Vec<Number<'_>> {
    let text = words::head(text, TEXT_BYTES_MAX);
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() && found.len() < NUMBERS_MAX {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len()
            && (bytes[at].is_ascii_digit() || bytes[at] == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit))
        {
            at += 1;
        }
        let unit_end =
            at + bytes[at..].iter().take_while(|b| b.is_ascii_alphabetic() || **b == b'%' || **b >= 0x80).count();
        let starts_alone = match start.checked_sub(1).map(|before| bytes[before]) {
            None | Some(b' ' | b'=' | b'(' | b'[' | b'"' | b'~') => true,
            // `depth:17` is a key and its number, `db-2:5432` a host and its port.
            Some(b':') => {
                let key = key(&text[..start]);
                let before = start.checked_sub(key.len() + 2).map_or(b' ', |at| bytes[at]);
                !key.is_empty()
                    && key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
                    && matches!(before, b' ' | b',' | b'{')
            }
            Some(_) => false,
        };
        let ends_alone =
            bytes.get(unit_end).is_none_or(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'_' | b'-' | b':' | b'/'));
        if starts_alone
            && ends_alone
            && let Ok(value) = text[start..at].parse::<f64>()
            && let Some(number) = number(value, &text[at..unit_end], &text[..start])
        {
            found.push(number);
        }
        at = unit_end.max(at);
    }
    found
}

fn number<'a>(value: f64, suffix: &'a str, before: &'a str) -> Option<Number<'a>> {
    let suffix = suffix.trim_end_matches(|c: char| !c.is_ascii() && c != 'µ');
    let (factor, unit) = match suffix {
        "" => by_key(key(before)),
        "%" => (1.0, Unit::Percent),
        "ns" => (0.001, Unit::Time),
        "us" | "µs" | "μs" => (1.0, Unit::Time),
        "ms" | "msec" => (1000.0, Unit::Time),
        "s" | "sec" | "secs" => (1e6, Unit::Time),
        "B" | "kB" | "KB" | "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB" | "K" | "M" | "G" => (1.0, Unit::Bytes),
        _ => return None,
    };
    Some(Number { value: value * factor, unit, suffix, before })
}

/// The unit that a key such as `duration_ms=` gives a bare number.
fn by_key(key: &str) -> (f64, Unit) {
    let ends = |suffix: &str| {
        key.len() > suffix.len() && key.as_bytes()[key.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
    };
    if ends("_ms") || ends("Ms") && key.ends_with("Ms") || ends("_millis") {
        (1000.0, Unit::Time)
    } else if ends("_us") || ends("_micros") {
        (1.0, Unit::Time)
    } else if ends("_seconds") || ends("_secs") || ends("_s") || key == "request_time" || key == "rt" {
        (1e6, Unit::Time)
    } else if ends("_percent") || ends("_pct") {
        (1.0, Unit::Percent)
    } else {
        (1.0, Unit::Plain)
    }
}

/// The word directly before a number, without the `=` or `:` between them.
fn key(before: &str) -> &str {
    let before = before.trim_end_matches(['=', ':', '"', ' ', '(', '[', '~']);
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    before.get(start..).unwrap_or("")
}

/// The slowest operations that are named.
const SLOWEST_MAX: usize = 3;
/// Bytes of an example.
const EXAMPLE_BYTES_MAX: usize = 120;

/// One slow operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slow {
    pub(crate) us: u64,
    pub(crate) line: u64,
    pub(crate) example: String,
}
carry!(Slow { us, line, example });

/// How long things took, as one key reports it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Durations {
    pub(crate) spread: Spread,
    pub(crate) slowest: Vec<Slow>,
}
carry!(Durations { spread, slowest });

/// Different keys that report durations.
const KEYS_MAX: usize = 6;

/// Durations by the word before them: `latency_ms`, `took`, `in`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timings {
    by_key: Shelf<String, Durations>,
}
carry!(Timings { by_key });

impl Timings {
    /// Takes in the first number of a line that tells how long something took.
    pub(crate) fn add(&mut self, numbers: &[Number<'_>], message: &str, line: u64) {
        let Some(number) = numbers.iter().find(|number| number.unit == Unit::Time && !is_planned(number.before)) else {
            return;
        };
        let key = words::head(key(number.before), 40);
        if self.by_key.value(key).is_none() {
            if self.by_key.len() >= KEYS_MAX {
                return;
            }
            self.by_key.insert(key.to_owned(), Durations::default());
        }
        let Some(durations) = self.by_key.value(key) else { return };
        let us = number.value.round() as u64;
        durations.spread.add(us);
        let at = durations.slowest.partition_point(|slow| slow.us >= us);
        if at < SLOWEST_MAX {
            let example = words::head(message.trim(), EXAMPLE_BYTES_MAX).to_owned();
            durations.slowest.insert(at, Slow { us, line, example });
            durations.slowest.truncate(SLOWEST_MAX);
        }
    }

    /// The keys with at least two durations, the most frequent first.
    pub(crate) fn ranked(&self) -> Vec<(&str, &Durations)> {
        let known = self.by_key.iter().filter(|(_, durations)| durations.spread.total() > 1);
        shelf::ranked(known.map(|(key, durations)| (key.as_str(), durations)), |(_, durations)| {
            (durations.spread.total(), 0)
        })
    }
}

/// Whether a time is a limit or a plan rather than something measured: `timeout after 30s`, `retry in 2s`.
fn is_planned(before: &str) -> bool {
    const PLANS: [&str; 14] = [
        "timeout", "timed", "retry", "retrying", "backoff", "within", "every", "sleep", "sleeping", "wait", "waiting",
        "limit", "interval", "ttl",
    ];
    let mut last = before.rsplit(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).take(4);
    last.any(|word| PLANS.iter().any(|plan| plan.eq_ignore_ascii_case(word)))
}

/// Different readings that are followed.
const READINGS_MAX: usize = 120;
/// Words and bytes of a reading's name.
const NAME_WORDS_MAX: usize = 6;
const NAME_BYTES_MAX: usize = 60;

/// One number that the same message reports again and again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gauge {
    pub(crate) name: String,
    pub(crate) suffix: String,
    pub(crate) count: u64,
    pub(crate) first: f64,
    pub(crate) first_line: u64,
    pub(crate) last: f64,
    pub(crate) last_line: u64,
    pub(crate) max: f64,
    pub(crate) ups: u64,
    pub(crate) downs: u64,
    /// When first and last, in milliseconds, where the lines say so.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}
carry!(Gauge { name, suffix, count, first, first_line, last, last_line, max, ups, downs, first_ms, last_ms });

impl Gauge {
    /// Milliseconds from the last reading until 100 %, if it goes on as from the first to the last.
    pub(crate) fn full_after_ms(&self) -> Option<u64> {
        let took = self.last_ms.checked_sub(self.first_ms).filter(|took| *took > 0)? as f64;
        let is_share = self.suffix == "%" && self.last < 100.0 && self.last > self.first;
        is_share.then(|| (took * (100.0 - self.last) / (self.last - self.first)) as u64)
    }
}

/// Readings by what reports them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gauges {
    by_template: Shelf<u64, Gauge>,
}
carry!(Gauges { by_template });

impl Gauges {
    /// Takes in the first number of a line that is a level of something: a share, a size, a queue's depth.
    pub(crate) fn add(&mut self, numbers: &[Number<'_>], line: u64, ms: i64) {
        let Some(number) = numbers.iter().find(|number| is_level(number)) else { return };
        let key = template::digest(&template::of(number.before));
        if let Some(reading) = self.by_template.value(&key) {
            reading.ups += u64::from(number.value > reading.last);
            reading.downs += u64::from(number.value < reading.last);
            reading.count += 1;
            reading.max = reading.max.max(number.value);
            (reading.last, reading.last_line, reading.last_ms) = (number.value, line, ms);
        } else if self.by_template.len() < READINGS_MAX {
            let (value, name) = (number.value, name(number.before));
            self.by_template.insert(
                key,
                Gauge {
                    name,
                    suffix: number.suffix.to_owned(),
                    count: 1,
                    first: value,
                    first_line: line,
                    last: value,
                    last_line: line,
                    max: value,
                    ups: 0,
                    downs: 0,
                    first_ms: ms,
                    last_ms: ms,
                },
            );
        }
    }

    /// The readings that rise: at least 5 of them, at least 4 of 5 steps upwards, in all by a tenth or more.
    pub(crate) fn rising(&self) -> Vec<&Gauge> {
        let gauges = self.by_template.iter().map(|(_, gauge)| gauge);
        let rising = gauges
            .filter(|r| r.count >= 5 && r.ups >= 3 && r.ups * 5 >= (r.ups + r.downs) * 4 && r.last > r.first * 1.1);
        shelf::ranked(rising, |r| (r.count, r.first_line))
    }
}

fn is_level(number: &Number<'_>) -> bool {
    const LEVELS: [&str; 15] = [
        "usage",
        "depth",
        "memory",
        "heap",
        "lag",
        "backlog",
        "connections",
        "pool",
        "queue",
        "rss",
        "threads",
        "pending",
        "inflight",
        "temperature",
        "disk",
    ];
    match number.unit {
        Unit::Percent => true,
        Unit::Time => false,
        Unit::Bytes | Unit::Plain => {
            let near = words::head(number.before, TEXT_BYTES_MAX);
            let near = &near[near.ceil_char_boundary(near.len().saturating_sub(32))..];
            near.rsplit(|c: char| !c.is_ascii_alphabetic())
                .any(|word| LEVELS.iter().any(|l| l.eq_ignore_ascii_case(word)))
        }
    }
}

/// What stands before a number, as a name for it: its key, or the words since the last key and value.
fn name(before: &str) -> String {
    let named = before.trim_end_matches('"');
    if named.ends_with(['=', ':']) {
        return key(before).to_owned();
    }
    let before = before.trim_end_matches(|c: char| !c.is_alphanumeric() && c != ')');
    let words: Vec<&str> =
        before.split_whitespace().rev().take_while(|word| !word.contains('=')).take(NAME_WORDS_MAX).collect();
    let name = words.into_iter().rev().collect::<Vec<_>>().join(" ");
    words::head(&name, NAME_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(f64, Unit)> {
        scan(text).into_iter().map(|n| (n.value, n.unit)).collect()
    }

    #[test]
    fn numbers_have_units() {
        let known: [(&str, &[(f64, Unit)]); 9] = [
            ("took 12.5ms", &[(12_500.0, Unit::Time)]),
            ("duration_ms=340 rt=0.5", &[(340_000.0, Unit::Time), (500_000.0, Unit::Time)]),
            ("disk /data at 71% of 2TB", &[(71.0, Unit::Percent), (2.0, Unit::Bytes)]),
            ("served in 3s.", &[(3e6, Unit::Time)]),
            ("db-2:5432 v1.2.3-rc 10.0.0.1:80", &[]),
            ("queue depth 17", &[(17.0, Unit::Plain)]),
            ("870µs", &[(870.0, Unit::Time)]),
            ("7f3a 2026-11-19", &[]),
            ("", &[]),
        ];
        for (text, expected) in known {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_leave_out_what_was_planned() {
        let mut timings = Timings::default();
        let lines = [
            "GET /a took 12ms",
            "upstream timeout after 30s",
            "retrying in 5s",
            "GET /b took=980ms",
            "slow: took 2s",
            "x_ms=7",
        ];
        for (n, text) in lines.iter().enumerate() {
            timings.add(&scan(text), text, n as u64 + 1);
        }
        let ranked = timings.ranked();
        assert_eq!(ranked.len(), 1);
        let (key, durations) = ranked[0];
        assert_eq!((key, durations.spread.total()), ("took", 3));
        assert_eq!(
            durations.slowest.iter().map(|s| (s.us, s.line)).collect::<Vec<_>>(),
            [(2_000_000, 5), (980_000, 4), (12_000, 1)]
        );
    }

    #[test]
    fn what_rises_is_found() {
        let mut readings = Gauges::default();
        for n in 0..10u64 {
            readings.add(&scan(&format!("disk usage on /data at {}%", 71 + 2 * n)), 10 + n, n as i64 * 60_000);
            readings.add(&scan(&format!("cpu {}%", [40, 30][n as usize % 2])), 30 + n, 0);
            readings.add(&scan(&format!("request {n} done")), 50 + n, 0);
        }
        let rising = readings.rising();
        assert_eq!(rising.len(), 1);
        let r = rising[0];
        assert_eq!(
            (r.name.as_str(), r.first, r.first_line, r.last, r.last_line),
            ("disk usage on /data at", 71.0, 10, 89.0, 19)
        );
        // 18 points in 9 minutes, 11 to go.
        assert_eq!(r.full_after_ms(), Some(330_000));
    }
}
