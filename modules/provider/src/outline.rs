//! The outline of a JSON text: checked in full and walked without copying it.
//!
//! Schemas are read with every request and most often sent as they are, so a tree of owned values would cost
//! more than all the rest of the request. An outline borrows: strings are seen as they are written, escapes and
//! all, which is enough to look for keywords.

use crate::json;

/// How deep a text may be nested.
const DEPTH_MAX: usize = 64;

/// One value of the text, followed by what it holds.
#[derive(Clone, Copy, Debug)]
struct Node<'a> {
    /// The key, as written between its quotes; empty in arrays and at the root.
    key: &'a str,
    kind: Kind<'a>,
    /// How many nodes it is, with all it holds.
    span: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string, as written between its quotes.
    Text(&'a str),
    /// A number, as written.
    Number(&'a str),
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
}

/// The outline of one text.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    nodes: Vec<Node<'a>>,
}

/// One value within an outline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'o, 'a> {
    /// Itself, then all it holds.
    nodes: &'o [Node<'a>],
}

impl<'a> Outline<'a> {
    /// The outline of a text that is one JSON value (RFC 8259); `None` for any other, and for one that is nested
    /// too deep.
    pub(crate) fn of(text: &'a str) -> Option<Outline<'a>> {
        let mut scanner = Scanner { text, at: 0, nodes: Vec::with_capacity(text.len() / 16 + 1) };
        scanner.space();
        scanner.value("", 0)?;
        scanner.space();
        (scanner.at == text.len()).then_some(Outline { nodes: scanner.nodes })
    }

    /// The whole value.
    pub(crate) fn root(&self) -> Item<'_, 'a> {
        Item { nodes: &self.nodes }
    }
}

impl<'o, 'a> Item<'o, 'a> {
    /// What it is.
    pub(crate) fn kind(self) -> Kind<'a> {
        self.nodes.first().map_or(Kind::Null, |node| node.kind)
    }

    /// The members of an object with their keys, or the elements of an array; none of anything else.
    pub(crate) fn members(self) -> impl Iterator<Item = (&'a str, Item<'o, 'a>)> {
        let mut rest = self.nodes.get(1..).unwrap_or(&[]);
        core::iter::from_fn(move || {
            let first = rest.first()?;
            let (own, after) = rest.split_at(first.span);
            rest = after;
            Some((first.key, Item { nodes: own }))
        })
    }

    /// The member of an object with this key.
    pub(crate) fn get(self, key: &str) -> Option<Item<'o, 'a>> {
        self.members().find(|(name, _)| *name == key).map(|(_, item)| item)
    }

    /// Whether it is this very string.
    pub(crate) fn is_text(self, text: &str) -> bool {
        self.kind() == Kind::Text(text)
    }

    /// Whether it is neither object nor array.
    pub(crate) fn is_primitive(self) -> bool {
        !matches!(self.kind(), Kind::Object | Kind::Array)
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node<'a>>,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over `token`, or finds something else there.
    fn take(&mut self, token: &str) -> Option<()> {
        let is_there = self.text.as_bytes().get(self.at..)?.starts_with(token.as_bytes());
        self.at += token.len();
        is_there.then_some(())
    }

    fn value(&mut self, key: &'a str, depth: usize) -> Option<()> {
        let place = self.nodes.len();
        self.nodes.push(Node { key, kind: Kind::Null, span: 1 });
        let kind = match self.peek()? {
            b'{' => self.several(b'}', depth)?,
            b'[' => self.several(b']', depth)?,
            b'"' => Kind::Text(self.string()?),
            b't' => self.take("true").map(|()| Kind::True)?,
            b'f' => self.take("false").map(|()| Kind::False)?,
            b'n' => self.take("null").map(|()| Kind::Null)?,
            _ => Kind::Number(self.number()?),
        };
        let span = self.nodes.len() - place;
        self.nodes[place].kind = kind;
        self.nodes[place].span = span;
        Some(())
    }

    /// The members of an object or the elements of an array.
    fn several(&mut self, end: u8, depth: usize) -> Option<Kind<'a>> {
        let kind = if end == b'}' { Kind::Object } else { Kind::Array };
        if depth >= DEPTH_MAX {
            return None;
        }
        self.at += 1;
        self.space();
        if self.peek()? == end {
            self.at += 1;
            return Some(kind);
        }
        loop {
            let mut key = "";
            if kind == Kind::Object {
                key = self.string()?;
                self.space();
                self.take(":")?;
                self.space();
            }
            self.value(key, depth + 1)?;
            self.space();
            let next = self.peek()?;
            self.at += 1;
            if next == end {
                return Some(kind);
            }
            if next != b',' {
                return None;
            }
            self.space();
        }
    }

    /// The inside of a string.
    fn string(&mut self) -> Option<&'a str> {
        self.take("\"")?;
        let start = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let plain = json::special(rest)?;
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return self.text.get(start..self.at - 1),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.unit()? {
                // The first half of a pair wants its second (RFC 8259, section 7).
                0xD800..0xDC00 => {
                    self.take("\\u")?;
                    (0xDC00..0xE000).contains(&self.unit()?).then_some(())
                }
                0xDC00..0xE000 => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| are_digits)
    }

    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text.get(start..self.at)
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The outline as a tree, to be compared with what `serde_json` parses.
    fn tree(item: Item<'_, '_>) -> Value {
        let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        match item.kind() {
            Kind::Object => {
                let named = |key: &str| parsed(format!("\"{key}\"")).as_str().unwrap().to_owned();
                Value::Object(item.members().map(|(key, member)| (named(key), tree(member))).collect())
            }
            Kind::Array => Value::Array(item.members().map(|(_, element)| tree(element)).collect()),
            Kind::Text(text) => parsed(format!("\"{text}\"")),
            Kind::Number(text) => parsed(text.to_owned()),
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
        }
    }

    const SAMPLES: [&str; 5] = [
        r#" {"a" : [1, -0.5e+3, 0, {"b":null}], "ü\n":"\u00e9\ud83d\ude80 🦀", "t":[true,false,[],{}]} "#,
        r#"{"type":"object","properties":{"path":{"type":"string"}},"required":["path"],"additionalProperties":false}"#,
        "[[[[]]]]",
        "-12.5E-2",
        r#""\"\\\/\b\f\n\r\t""#,
    ];

    #[test]
    fn an_outline_holds_the_whole_text() {
        for sample in SAMPLES {
            let outline = Outline::of(sample).unwrap();
            assert_eq!(tree(outline.root()), serde_json::from_str::<Value>(sample).unwrap(), "{sample}");
        }
    }

    #[test]
    fn members_are_found_by_key() {
        let outline = Outline::of(SAMPLES[1]).unwrap();
        let root = outline.root();
        assert!(root.get("type").unwrap().is_text("object"));
        assert_eq!(root.members().count(), 4);
        assert_eq!(root.get("additionalProperties").unwrap().kind(), Kind::False);
        assert!(root.get("path").is_none());
        assert!(root.get("properties").unwrap().get("path").unwrap().get("type").unwrap().is_text("string"));
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Outline::of(&nested(DEPTH_MAX)).is_some());
        assert!(Outline::of(&nested(DEPTH_MAX + 1)).is_none());
        assert!(Outline::of(&nested(1_000_000)).is_none());
    }

    #[test]
    fn what_is_json_is_decided_as_a_full_parser_decides_it() {
        const MARKS: &[u8] = b"{}[]\",:\\u09eE+-.tfn \n\x01ad";
        let mut state: u64 = 0x2545_F491_4F6C_DD1D;
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % limit as u64) as usize
        };
        for case in 0..50_000 {
            let mut bytes = SAMPLES[below(SAMPLES.len())].as_bytes().to_vec();
            for _ in 0..=below(3) {
                let at = below(bytes.len().max(1));
                match below(3) {
                    0 => bytes.insert(at.min(bytes.len()), MARKS[below(MARKS.len())]),
                    1 if at < bytes.len() => bytes[at] = MARKS[below(MARKS.len())],
                    _ => bytes.truncate(bytes.len() - below(bytes.len().max(1)).min(4)),
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let ours = Outline::of(&text).is_some();
            match serde_json::from_str::<Value>(&text) {
                Ok(_) => assert!(ours, "case {case}: {text}"),
                Err(error) => {
                    assert!(!ours || error.to_string().contains("out of range"), "case {case}: {text}: {error}")
                }
            }
        }
    }
}
