//! How bad a log line says it is.

use crate::carry::carry;

/// The severities that are told apart, from harmless to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// None is stated, and nothing sounds bad.
    Unstated,
    Trace,
    Debug,
    Info,
    Notice,
    /// None is stated, but the words sound bad.
    Suspect,
    Warn,
    Error,
    Fatal,
}

/// Every level, in order.
const ALL: [Level; 9] = [
    Level::Unstated,
    Level::Trace,
    Level::Debug,
    Level::Info,
    Level::Notice,
    Level::Suspect,
    Level::Warn,
    Level::Error,
    Level::Fatal,
];

/// How far into the rest of a line a level may stand, in bytes.
const REACH_BYTES: usize = 80;

/// What lines without a level say when something is wrong.
const BAD_WORDS: [&str; 10] = [
    "error",
    "fail",
    "exception",
    "refused",
    "denied",
    "timeout",
    "timed out",
    "panic",
    "unreachable",
    "out of memory",
];

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Unstated => "no level",
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Suspect => "no level, but sounds like an error",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }

    /// The level of that name, in any case.
    pub(crate) fn named(word: &str) -> Option<Level> {
        const NAMES: [(&str, Level); 19] = [
            ("TRACE", Level::Trace),
            ("VERBOSE", Level::Trace),
            ("DEBUG", Level::Debug),
            ("DBG", Level::Debug),
            ("INFO", Level::Info),
            ("INF", Level::Info),
            ("INFORMATION", Level::Info),
            ("NOTICE", Level::Notice),
            ("WARN", Level::Warn),
            ("WARNING", Level::Warn),
            ("WRN", Level::Warn),
            ("ERROR", Level::Error),
            ("ERR", Level::Error),
            ("SEVERE", Level::Error),
            ("FATAL", Level::Fatal),
            ("CRITICAL", Level::Fatal),
            ("CRIT", Level::Fatal),
            ("ALERT", Level::Fatal),
            ("EMERG", Level::Fatal),
        ];
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }

    /// The level of a number as pino and bunyan write it: 10 for trace to 60 for fatal.
    pub(crate) fn numbered(number: u64) -> Option<Level> {
        match number {
            10 => Some(Level::Trace),
            20 => Some(Level::Debug),
            30 => Some(Level::Info),
            40 => Some(Level::Warn),
            50 => Some(Level::Error),
            60 => Some(Level::Fatal),
            _ => None,
        }
    }

    /// The level that a line states behind its time, and where what follows it begins.
    pub(crate) fn find(rest: &str) -> Option<(Level, usize)> {
        let bytes = rest.as_bytes();
        let reach = bytes.len().min(REACH_BYTES);
        let mut at = 0;
        while at < reach {
            if !bytes[at].is_ascii_alphabetic() {
                at += 1;
                continue;
            }
            let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            if (3..=11).contains(&(end - at))
                && let Some(level) = Level::named(&rest[at..end])
                && stands_out(bytes, at, end)
            {
                let after =
                    bytes[end..].iter().take_while(|b| matches!(b, b']' | b')' | b':' | b' ' | b'|' | b'"')).count();
                return Some((level, end + after));
            }
            at = end;
        }
        None
    }

    /// What to make of a line without a level.
    pub(crate) fn guess(text: &str) -> Level {
        let text = crate::words::head(text, 400).to_ascii_lowercase();
        if BAD_WORDS.iter().any(|word| text.contains(word)) { Level::Suspect } else { Level::Unstated }
    }
}

/// Whether a level's name is one, and not a word of a sentence: capitals, brackets, or a key before it.
fn stands_out(bytes: &[u8], at: usize, end: usize) -> bool {
    let before = at.checked_sub(1).map_or(b' ', |n| bytes[n]);
    let after = bytes.get(end).copied().unwrap_or(b' ');
    let is_capitals = bytes[at..end].iter().all(u8::is_ascii_uppercase);
    is_capitals && !matches!(before, b'-' | b'_' | b'/' | b'.')
        || matches!(before, b'[' | b'<' | b'(' | b'=' | b'|')
            && matches!(after, b']' | b'>' | b')' | b' ' | b'|' | b',')
        || after == b':' && at < 24
}

/// Lines by level.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Levels {
    counts: Vec<u64>,
}
carry!(Levels { counts });

impl Levels {
    pub(crate) fn add(&mut self, level: Level) {
        self.counts.resize(ALL.len(), 0);
        if let Some(count) = self.counts.get_mut(level as usize) {
            *count += 1;
        }
    }

    pub(crate) fn count(&self, level: Level) -> u64 {
        self.counts.get(level as usize).copied().unwrap_or(0)
    }

    /// The levels that occur, the worst first.
    pub(crate) fn present(&self) -> impl Iterator<Item = (Level, u64)> {
        ALL.into_iter().rev().map(|level| (level, self.count(level))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_where_they_stand() {
        let known = [
            (" ERROR db: refused", Some((Level::Error, "db: refused"))),
            (" [warn] slow", Some((Level::Warn, "slow"))),
            (" level=info msg=x", Some((Level::Info, "msg=x"))),
            (" host app[1]: error: no disk", Some((Level::Error, "no disk"))),
            (" [main] CRITICAL - x", Some((Level::Fatal, "- x"))),
            (" no error here", None),
            (" LOG-ERROR x", None),
            ("", None),
        ];
        for (rest, found) in known {
            assert_eq!(Level::find(rest).map(|(level, at)| (level, &rest[at..])), found, "{rest}");
        }
    }

    #[test]
    fn a_line_without_level_may_sound_bad() {
        assert_eq!(Level::guess("sshd[1]: Failed password for root"), Level::Suspect);
        assert_eq!(Level::guess("session opened"), Level::Unstated);
        assert_eq!(Level::numbered(50), Some(Level::Error));
    }
}
