//! Finds what log messages have in common: their template, without the numbers and names that differ.

use crate::carry::carry;
use crate::shelf::{self, Shelf};
use crate::words;

/// The most bytes of a message that its template is made of.
const MESSAGE_BYTES_MAX: usize = 400;
/// The most different templates that are told apart.
const TEMPLATES_MAX: usize = 300;
/// The most bytes of an example that are kept.
const EXAMPLE_BYTES_MAX: usize = 160;

/// Keys whose values name one thing of many.
const NAMING_KEYS: [&str; 9] = ["user", "trace", "session", "host", "ip", "client", "token", "peer", "span"];
/// Keys whose quoted values are the message itself.
const TELLING_KEYS: [&str; 7] = ["msg", "message", "error", "err", "reason", "cause", "event"];

/// The template of a message: numbers, identifiers and quoted names replaced by `#`.
pub(crate) fn of(message: &str) -> String {
    let text = words::head(message.trim(), MESSAGE_BYTES_MAX);
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut key = 0..0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let end = at + bytes[at..].iter().take_while(|b| is_word(**b)).count();
                let uuid_end = uuid_end(bytes, at);
                let named = at > 0 && bytes[at - 1] == b'=' && is_naming(&text[key.clone()]);
                let value = bytes[at..].iter().take_while(|b| !matches!(b, b' ' | b',' | b';' | b')' | b']'));
                let end = if named { at + value.count() } else { uuid_end.unwrap_or(end) };
                let named = named || uuid_end.is_some();
                push_word(&mut out, &text[at..end], named);
                key = at..end;
                at = end;
            }
            quote @ (b'"' | b'\'') if !is_telling(bytes, at, &text[key.clone()]) => match closing(bytes, at, quote) {
                Some(end) => {
                    out.push('#');
                    at = end + 1;
                }
                None => {
                    out.push(char::from(quote));
                    at += 1;
                }
            },
            _ => {
                let end = text.ceil_char_boundary(at + 1);
                out.push_str(&text[at..end]);
                at = end;
            }
        }
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_naming(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    NAMING_KEYS.contains(&key.as_str()) || key == "id" || key.ends_with("_id") || key.ends_with("id") && key.len() > 4
}

/// Whether the quote at `at` opens the value of a key that tells the message.
fn is_telling(bytes: &[u8], at: usize, key: &str) -> bool {
    at > 0 && matches!(bytes[at - 1], b'=' | b':') && TELLING_KEYS.iter().any(|k| k.eq_ignore_ascii_case(key))
}

/// Where a quoted name ends; `None` for an apostrophe or a quote that is not closed.
fn closing(bytes: &[u8], at: usize, quote: u8) -> Option<usize> {
    let before = at.checked_sub(1).map_or(b' ', |n| bytes[n]);
    if is_word(before) {
        return None;
    }
    bytes[at + 1..].iter().position(|b| *b == quote).map(|n| at + 1 + n)
}

/// The end of a UUID (RFC 9562, section 4: 8-4-4-4-12 hexadecimal digits) that starts at `at`.
fn uuid_end(bytes: &[u8], at: usize) -> Option<usize> {
    let part = bytes.get(at..at + 36)?;
    let fits = part.iter().enumerate().all(|(n, b)| match n {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (fits && bytes.get(at + 36).is_none_or(|b| !is_word(*b))).then_some(at + 36)
}

fn push_word(out: &mut String, word: &str, named: bool) {
    let has_digit = word.bytes().any(|b| b.is_ascii_digit());
    let is_hex = word.len() >= 6 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if named || has_digit && (is_hex || word.starts_with("0x")) {
        out.push('#');
        return;
    }
    let mut in_number = false;
    for c in word.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !in_number {
            out.push('#');
        }
        in_number = c.is_ascii_digit();
    }
}

/// FNV-1a, 64 bits (IETF draft-eastlake-fnv, section 2): names a template in little space.
pub(crate) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// The key of a message's template at this level.
pub(crate) fn key(message: &str, level: u64) -> u64 {
    digest(&of(message)) ^ level
}

/// All messages of one template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) count: u64,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    pub(crate) example: String,
    /// How bad, as [`crate::level::Level`] counts.
    pub(crate) level: u64,
    /// When the first and the last, where the lines say so.
    pub(crate) times_ms: Option<(i64, i64)>,
}
carry!(Group { count, first_line, last_line, example, level, times_ms });

/// Where and when a message was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) level: u64,
    pub(crate) line: u64,
    pub(crate) ms: Option<i64>,
}

/// Messages by template.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Groups {
    by_template: Shelf<u64, Group>,
    /// Messages whose template was one too many.
    pub(crate) beyond: u64,
}
carry!(Groups { by_template, beyond });

impl Groups {
    /// Counts a message of a line; messages with the same `key` are one group ([`key`], unless a better one is known).
    pub(crate) fn add(&mut self, key: u64, message: &str, found: Found) {
        let Found { level, line, ms } = found;
        if let Some(group) = self.by_template.value(&key) {
            group.count += 1;
            group.last_line = line;
            group.times_ms = ms.map(|ms| (group.times_ms.map_or(ms, |(first, _)| first), ms)).or(group.times_ms);
        } else if self.by_template.len() < TEMPLATES_MAX {
            let example = words::head(message.trim(), EXAMPLE_BYTES_MAX).to_owned();
            self.by_template.insert(
                key,
                Group { count: 1, first_line: line, last_line: line, example, level, times_ms: ms.map(|ms| (ms, ms)) },
            );
        } else {
            self.beyond += 1;
        }
    }

    /// The groups of at least this level, the most frequent first; of equals, the earliest.
    pub(crate) fn ranked(&self, level_min: u64, level_max: u64) -> Vec<&Group> {
        let groups = self.by_template.iter().map(|(_, group)| group);
        let groups = groups.filter(|group| (level_min..=level_max).contains(&group.level));
        shelf::ranked(groups, |group| (group.count, group.first_line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_taken_out() {
        let known = [
            ("connection refused to db-2:5432 after 31 ms", "connection refused to db-#:# after # ms"),
            ("request 7f3a9c21 failed", "request # failed"),
            ("job 550e8400-e29b-41d4-a716-446655440000 lost", "job # lost"),
            ("job deadbeef-cafe-babe-face-abcdefabcdef lost", "job # lost"),
            ("user=alice can't log in", "user=# can't log in"),
            ("request_id=abc/x, retry", "request_id=#, retry"),
            ("cannot open \"a b.txt\": denied", "cannot open #: denied"),
            ("level=error msg=\"disk full\" path='/x'", "level=error msg=\"disk full\" path=#"),
            ("bad \"quote", "bad \"quote"),
            ("address 0x7ffe at façade", "address # at façade"),
            ("", ""),
        ];
        for (message, template) in known {
            assert_eq!(of(message), template, "{message}");
        }
    }

    #[test]
    fn groups_count_and_rank() {
        let mut groups = Groups::default();
        for (message, level, line) in [("refused 1", 5, 3), ("lost 1", 5, 4), ("refused 2", 5, 9), ("slow", 4, 10)] {
            groups.add(key(message, level), message, Found { level, line, ms: None });
        }
        let ranked = groups.ranked(5, 9);
        assert_eq!(
            ranked.iter().map(|g| (g.count, g.first_line, g.last_line, &*g.example)).collect::<Vec<_>>(),
            [(2, 3, 9, "refused 1"), (1, 4, 4, "lost 1")]
        );
        for n in 0..1000u64 {
            groups.add(n, "x", Found { level: 5, line: n, ms: Some(0) });
        }
        assert_eq!(groups.by_template.len(), TEMPLATES_MAX);
        assert!(groups.beyond > 0);
    }
}
