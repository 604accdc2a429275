//! One line of the log: how it is written, and how it is read back without trusting it.
//!
//! `{"seq":N,"unix_ms":N,"kind":"…","facts":{…},"prev":"<64 digits>","hash":"<64 digits>"}` and a line feed. The hash
//! is over the line's own bytes up to the comma before `"hash"`, so there is one form and no room beside it.

use aether_core::digest::Digest;
use serde_json::{Map, Value};

use crate::chain;
use crate::record::{Kind, push_hex, unhex};

/// What follows the hashed part of a line: `,"hash":"`, 64 digits, `"}`.
const TAIL_OPEN: &str = ",\"hash\":\"";
const TAIL_BYTES: usize = TAIL_OPEN.len() + 64 + 2;

/// A line that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// What happened.
    pub kind: Kind,
    /// The facts.
    pub facts: Map<String, Value>,
    /// The hash of the line before.
    pub previous: Digest,
    /// Its own hash.
    pub hash: Digest,
}

impl Entry {
    /// A fact that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.facts.get(name)?.as_str()
    }

    /// A fact that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.facts.get(name)?.as_u64()
    }
}

/// The end of a chain: how many lines, and the hash of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) count: u64,
    pub(crate) hash: Digest,
}

impl End {
    /// Before the first line.
    pub(crate) const NONE: End = End { count: 0, hash: chain::ORIGIN };
}

/// Appends the next line to `out`, line break included, and moves the end behind it.
pub(crate) fn write(out: &mut String, end: &mut End, unix_ms: u64, kind: Kind, facts: &str) {
    let start = out.len();
    let sequence = end.count + 1;
    out.push_str("{\"seq\":");
    out.push_str(&sequence.to_string());
    out.push_str(",\"unix_ms\":");
    out.push_str(&unix_ms.to_string());
    out.push_str(",\"kind\":\"");
    out.push_str(kind.name());
    out.push_str("\",\"facts\":{");
    out.push_str(facts);
    out.push_str("},\"prev\":\"");
    push_hex(out, &end.hash.0);
    out.push('"');
    let hash = chain::hash(&out.as_bytes()[start..]);
    out.push_str(TAIL_OPEN);
    push_hex(out, &hash.0);
    out.push_str("\"}\n");
    *end = End { count: sequence, hash };
}

/// Why bytes are no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They do not have the form of one.
    Form,
    /// Its hash is not that of its bytes.
    Hash,
}

/// Reads a line without its line break. Its hash is checked; how it follows the line before is the caller's affair.
pub(crate) fn parse(bytes: &[u8]) -> Result<Entry, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Form)?;
    let at = text.len().checked_sub(TAIL_BYTES).filter(|at| text.is_char_boundary(*at)).ok_or(Unreadable::Form)?;
    let (body, tail) = text.split_at(at);
    let digits = tail.strip_prefix(TAIL_OPEN).and_then(|rest| rest.strip_suffix("\"}")).ok_or(Unreadable::Form)?;
    let hash = Digest(unhex(digits).ok_or(Unreadable::Form)?);
    if chain::hash(body.as_bytes()) != hash {
        return Err(Unreadable::Hash);
    }
    entry(text, hash).ok_or(Unreadable::Form)
}

fn entry(text: &str, hash: Digest) -> Option<Entry> {
    let Value::Object(mut members) = serde_json::from_str(text).ok()? else { return None };
    let named = members.keys().map(String::as_str).eq(["seq", "unix_ms", "kind", "facts", "prev", "hash"]);
    let Some(Value::Object(facts)) = members.get_mut("facts").filter(|_| named).map(Value::take) else { return None };
    let number = |name: &str| members.get(name).and_then(Value::as_u64);
    let word = |name: &str| members.get(name).and_then(Value::as_str);
    Some(Entry {
        sequence: number("seq")?,
        unix_ms: number("unix_ms")?,
        kind: Kind::named(word("kind")?)?,
        previous: Digest(unhex(word("prev")?)?),
        facts,
        hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let (mut out, mut end) = (String::new(), End::NONE);
        let record = Record::new(Kind::Allow).text("tool", "write_file").number("bytes", 7);
        write(&mut out, &mut end, 1_764_000_000_000, record.kind(), record.facts());
        write(&mut out, &mut end, 1_764_000_000_001, Kind::Ask, "");
        let lines: Vec<&str> = out.lines().collect();
        let first = parse(lines[0].as_bytes()).unwrap();
        assert_eq!((first.sequence, first.kind, first.unix_ms), (1, Kind::Allow, 1_764_000_000_000));
        assert_eq!((first.text("tool"), first.number("bytes")), (Some("write_file"), Some(7)));
        assert_eq!(first.previous, chain::ORIGIN);
        let second = parse(lines[1].as_bytes()).unwrap();
        assert_eq!((second.sequence, second.previous), (2, first.hash));
        assert_eq!(end, End { count: 2, hash: second.hash });
    }

    /// A vector that another program can check: the hash is SHA-256 over `aether audit line 1`, a zero byte, and the
    /// line up to the comma before `"hash"`.
    #[test]
    fn the_form_is_fixed() {
        let (mut out, mut end) = (String::new(), End::NONE);
        write(&mut out, &mut end, 5, Kind::Begin, "\"v\":1");
        let zeros = "0".repeat(64);
        let body = format!("{{\"seq\":1,\"unix_ms\":5,\"kind\":\"begin\",\"facts\":{{\"v\":1}},\"prev\":\"{zeros}\"");
        let hash = aether_core::digest::Sha256::of(format!("aether audit line 1\0{body}").as_bytes());
        assert_eq!(out, format!("{body},\"hash\":\"{hash}\"}}\n"));
    }

    #[test]
    fn a3_every_byte_of_a_line_counts() {
        let (mut out, mut end) = (String::new(), End::NONE);
        write(&mut out, &mut end, 5, Kind::Deny, "\"tool\":\"x\"");
        let line = out.trim_end().as_bytes();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut edited = line.to_vec();
                edited[at] ^= 1 << bit;
                assert!(parse(&edited).is_err(), "byte {at} bit {bit}");
            }
            assert!(parse(&line[..at]).is_err() && parse(&line[at + 1..]).is_err(), "cut at {at}");
        }
        for odd in [&b""[..], b"{}", b"\xff\xfe", &[b'"'; 75], "é".repeat(37).as_bytes()] {
            assert_eq!(parse(odd), Err(Unreadable::Form));
        }
    }
}
