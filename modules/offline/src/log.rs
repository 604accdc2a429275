//! Facts of a log, line by line.

use serde_json::Value;

use crate::access::{Access, Hit};
use crate::carry::carry;
use crate::clock::{Clock, Counted};
use crate::level::{Level, Levels};
use crate::numbers::{self, Gauges, Timings};
use crate::stamp::{self, Stamp, Style, Zone};
use crate::template::{self, Found, Groups};
use crate::trace::Traces;
use crate::words;

/// A line longer than this is worth a word.
pub(crate) const LONG_BYTES: u64 = 2000;
/// Numbers of odd lines that are kept of each kind.
const ODD_LINES_MAX: usize = 5;

/// Lines of one kind: how many, and the first few.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Odd {
    pub(crate) total: u64,
    pub(crate) lines: Vec<u64>,
}
carry!(Odd { total, lines });

impl Odd {
    pub(crate) fn add(&mut self, line: u64) {
        self.total += 1;
        if self.lines.len() < ODD_LINES_MAX {
            self.lines.push(line);
        }
    }

    pub(crate) fn place(&self) -> String {
        words::line_list(&self.lines, self.total)
    }
}

/// Lines that do not look like the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Oddities {
    /// With bytes that are not UTF-8.
    pub(crate) invalid: Odd,
    /// Longer than [`LONG_BYTES`].
    pub(crate) long: Odd,
    pub(crate) longest_bytes: u64,
    pub(crate) longest_line: u64,
    /// Without a time, and no continuation of a line that has one.
    pub(crate) unmatched: Odd,
    pub(crate) blank: u64,
    pub(crate) json: u64,
}
carry!(Oddities { invalid, long, longest_bytes, longest_line, unmatched, blank, json });

/// Everything that is known of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Log {
    pub(crate) lines: u64,
    pub(crate) clock: Clock,
    pub(crate) levels: Levels,
    pub(crate) groups: Groups,
    pub(crate) access: Access,
    pub(crate) timings: Timings,
    pub(crate) gauges: Gauges,
    pub(crate) traces: Traces,
    pub(crate) oddities: Oddities,
    /// Lines that tell that something works again.
    pub(crate) recoveries: Vec<(u64, String)>,
}
carry!(Log { lines, clock, levels, groups, access, timings, gauges, traces, oddities, recoveries });

/// What one line says, whatever its format.
struct Said {
    stamp: Option<Stamp>,
    level: Option<Level>,
    /// What is compared with other lines.
    message: String,
    /// Where numbers are looked for.
    fields: String,
}

impl Log {
    /// Takes in the next line, which has so many bytes and may be known in part only.
    pub(crate) fn line(&mut self, number: u64, text: &str, bytes: u64) {
        self.lines += 1;
        self.odd(number, text, bytes);
        if text.trim().is_empty() {
            self.oddities.blank += 1;
            return;
        }
        if text.starts_with('{')
            && let Some(said) = json(text)
        {
            self.oddities.json += 1;
            return self.said(number, &said);
        }
        match stamp::find(text) {
            Some(stamp) if stamp.style == Style::Access && self.hit(number, text, &stamp) => {}
            Some(stamp) => self.plain(number, text, &stamp),
            None if self.traces.takes(number, text) => {}
            None => self.unstamped(number, text),
        }
    }

    /// The last line was taken in.
    pub(crate) fn end(&mut self) {
        self.traces.close();
    }

    fn odd(&mut self, number: u64, text: &str, bytes: u64) {
        if bytes > self.oddities.longest_bytes {
            (self.oddities.longest_bytes, self.oddities.longest_line) = (bytes, number);
        }
        if bytes > LONG_BYTES {
            self.oddities.long.add(number);
        }
        if text.contains('\u{FFFD}') {
            self.oddities.invalid.add(number);
        }
    }

    /// A line of an access log, if it is one.
    fn hit(&mut self, number: u64, text: &str, stamp: &Stamp) -> bool {
        let Some(hit) = Hit::parse(text, stamp.end) else { return false };
        self.access.add(&hit, number);
        let level = match hit.status {
            500.. => Level::Error,
            400..500 => Level::Warn,
            _ => Level::Info,
        };
        self.traces.stamped(number, "");
        self.clock.add(stamp, number, counted(level), hit.path);
        if level >= Level::Warn {
            let message = format!("{} {} answered with status {}", hit.method, hit.path, hit.status);
            let key = template::key(&message, hit.status);
            self.groups.add(key, &message, Found { level: level as u64, line: number, ms: Some(stamp.ms) });
        }
        if level < Level::Error {
            self.timings.add(&numbers::scan(hit.tail), &format!("{} {}", hit.method, hit.path), number);
        }
        true
    }

    fn plain(&mut self, number: u64, text: &str, stamp: &Stamp) {
        let rest = &text[stamp.end..];
        let (level, message) = match Level::find(rest) {
            Some((level, at)) => (Some(level), &rest[at..]),
            // Some formats put the level before the time.
            None => (Level::find(&text[..stamp.end]).map(|(level, _)| level), rest),
        };
        let message = message.trim_start_matches([']', ' ', '-', '|', ':', '\t']);
        self.record(number, Some(stamp), level, (message, message));
    }

    fn said(&mut self, number: u64, said: &Said) {
        self.record(number, said.stamp.as_ref(), said.level, (&said.message, &said.fields));
    }

    fn unstamped(&mut self, number: u64, text: &str) {
        if let Some((level, at)) = Level::find(text) {
            let message = text[at..].trim_start_matches([' ', '-', ':']);
            self.record(number, None, Some(level), (message, message));
        } else {
            self.oddities.unmatched.add(number);
            self.record(number, None, None, (text, text));
        }
    }

    fn record(&mut self, number: u64, stamp: Option<&Stamp>, level: Option<Level>, (message, fields): (&str, &str)) {
        let level = level.unwrap_or_else(|| Level::guess(message));
        self.levels.add(level);
        if let Some(stamp) = stamp {
            self.clock.add(stamp, number, counted(level), message);
        }
        self.traces.stamped(number, message);
        if level >= Level::Suspect {
            let level = level as u64;
            let found = Found { level, line: number, ms: stamp.map(|stamp| stamp.ms) };
            self.groups.add(template::key(message, level), message, found);
        }
        let numbers = numbers::scan(fields);
        if level < Level::Suspect && self.recoveries.len() < RECOVERIES_MAX && tells_recovery(message) {
            let text = words::head(message, 160).to_owned();
            self.recoveries.push((number, text));
        }
        // How long it took to fail says nothing about how long it usually takes.
        if level < Level::Error {
            self.timings.add(&numbers, message, number);
        }
        self.gauges.add(&numbers, number, stamp.map_or(0, |stamp| stamp.ms));
    }
}

/// Lines about a recovery that are kept.
const RECOVERIES_MAX: usize = 4;

fn tells_recovery(message: &str) -> bool {
    const SIGNS: [&str; 8] = [
        "healthy again",
        "recovered",
        "restored",
        "reconnected",
        "back online",
        "back to normal",
        "available again",
        "resumed",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}

fn counted(level: Level) -> Counted {
    if level >= Level::Error || level == Level::Suspect { Counted::Troubles } else { Counted::Lines }
}

/// Whether a line looks like one of a log: with a time, a level, or both as keys of an object.
pub(crate) fn is_log_line(text: &str) -> bool {
    stamp::find(text).is_some()
        || Level::find(text).is_some_and(|(_, at)| at < 24)
        || text.starts_with('{') && json(text).is_some()
}

/// A line that is a JSON object with a time, a level or a message.
fn json(text: &str) -> Option<Said> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return None };
    let mut said = Said { stamp: None, level: None, message: String::new(), fields: String::new() };
    let mut known = 0;
    for (key, value) in &object {
        match key.to_ascii_lowercase().as_str() {
            "time" | "timestamp" | "ts" | "@timestamp" | "datetime" | "date" | "t" if said.stamp.is_none() => {
                said.stamp = json_stamp(value);
                known += u64::from(said.stamp.is_some());
            }
            "level" | "severity" | "lvl" | "loglevel" | "log.level" if said.level.is_none() => {
                said.level = value.as_str().and_then(Level::named).or_else(|| value.as_u64().and_then(Level::numbered));
                known += u64::from(said.level.is_some());
            }
            "msg" | "message" | "event" if said.message.is_empty() => {
                said.message.push_str(value.as_str().unwrap_or(""));
                known += u64::from(!said.message.is_empty());
            }
            name => field(&mut said.fields, name, value),
        }
    }
    if let Some(error) = ["error", "err", "exception"].iter().find_map(|key| object.get(*key)?.as_str()) {
        said.message.push_str(": ");
        said.message.push_str(error);
    }
    said.fields.insert(0, ' ');
    said.fields.insert_str(0, &said.message);
    (known > 0).then_some(said)
}

fn field(out: &mut String, name: &str, value: &Value) {
    if matches!(value, Value::Object(_) | Value::Array(_)) || out.len() > 1000 {
        return;
    }
    out.push_str(name);
    out.push('=');
    match value.as_str() {
        Some(text) => out.push_str(words::head(text, 200)),
        None => out.push_str(&value.to_string()),
    }
    out.push(' ');
}

fn json_stamp(value: &Value) -> Option<Stamp> {
    if let Some(text) = value.as_str() {
        return stamp::parse(text);
    }
    let ms = stamp::from_epoch(value.as_f64()?)?;
    Some(Stamp { ms, zone: Zone::East(0), style: Style::Epoch, end: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Log {
        let mut log = Log::default();
        for (n, line) in text.lines().enumerate() {
            log.line(n as u64 + 1, line, line.len() as u64);
        }
        log.end();
        log
    }

    #[test]
    fn n2_lines_of_one_log_may_be_written_in_several_ways() {
        let log = log("2026-11-19T03:00:00Z ERROR a 1\n\
             {\"ts\":1795057260,\"level\":50,\"msg\":\"b\",\"error\":\"c\"}\n\
             [2026-11-19 03:02:00] [warn] slow query\n\
             10.0.0.1 - - [19/Nov/2026:03:03:00 +0000] \"GET /x HTTP/1.1\" 503 12\n\
             \n\
             INFO: no time\n\
             what is this\n");
        let levels: Vec<_> = log.levels.present().map(|(level, count)| (level.name(), count)).collect();
        assert_eq!(levels, [("ERROR", 2), ("WARN", 1), ("INFO", 1), ("no level", 1)]);
        assert_eq!(
            (log.lines, log.clock.stamped, log.access.hits, log.oddities.blank, log.oddities.json),
            (7, 4, 1, 1, 1)
        );
        assert_eq!((log.oddities.unmatched.total, log.oddities.unmatched.lines.as_slice()), (1, &[7][..]));
        let errors: Vec<_> = log.groups.ranked(Level::Error as u64, Level::Fatal as u64);
        let errors: Vec<_> = errors.iter().map(|group| (group.first_line, &*group.example)).collect();
        assert_eq!(errors, [(1, "a 1"), (2, "b: c"), (4, "GET /x answered with status 503")]);
    }

    #[test]
    fn n2_odd_lines_are_kept_with_their_numbers() {
        let mut log = log("2026-11-19T03:00:00Z INFO caf\u{FFFD}\n2026-11-19T03:00:01Z INFO node-2 healthy again\n");
        log.line(3, "2026-11-19T03:00:02Z INFO xxx", 70_000);
        assert_eq!(log.oddities.invalid.lines, [1]);
        assert_eq!(log.recoveries, [(2, "node-2 healthy again".to_owned())]);
        assert_eq!((log.oddities.longest_bytes, log.oddities.longest_line, log.oddities.long.total), (70_000, 3, 1));
    }

    #[test]
    fn what_looks_like_a_log_is_told_from_what_does_not() {
        for line in ["2026-11-19 03:00:00 x", "WARN x", "{\"level\":\"info\"}", "Nov 19 03:00:00 h a: b"] {
            assert!(is_log_line(line), "{line}");
        }
        for line in ["Dear reader", "{\"x\": 1}", "a,b,c", "{", ""] {
            assert!(!is_log_line(line), "{line}");
        }
    }
}
