//! What one line says: a kind and a few facts, all bounded (A7).

use aether_core::digest::Digest;

/// The longest text of one fact, in bytes; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 200;
/// The most facts of one record; more are left out, and the last says so.
pub const FACTS_MAX: usize = 14;
/// The longest line, line break included, in bytes.
pub const LINE_BYTES_MAX: usize = 24 << 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every one of them, in the order of declaration.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),*];

            /// The name in the log and in flags.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $text),* }
            }

            /// The one of that name.
            #[must_use]
            pub fn named(name: &str) -> Option<Kind> {
                Kind::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

kinds! {
    /// A call was authorised.
    Allow = "allow",
    /// The person is asked about a call.
    Ask = "ask",
    /// A call was refused.
    Deny = "deny",
    /// The person said yes.
    Approve = "approve",
    /// A limit or a rule of the sandbox was broken.
    Breach = "breach",
    /// A secret was put into a request.
    Secret = "secret",
    /// A connection out of the sandbox was let through or refused.
    Egress = "egress",
    /// The configuration was changed.
    Config = "config",
    /// The policy was changed or signed.
    Policy = "policy",
    /// A key was made, used or removed.
    Key = "key",
    /// The sidecar was started, stopped or restarted.
    Sidecar = "sidecar",
    /// The log's own: its first line.
    Begin = "begin",
    /// The log's own: a signature over everything before.
    Checkpoint = "checkpoint",
    /// The log's own: bytes that no writer stood by were set aside.
    Torn = "torn",
    /// The log's own: the last line of an export.
    Export = "export",
}

impl Kind {
    /// Whether only the log itself writes such lines.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Kind::Begin | Kind::Checkpoint | Kind::Torn | Kind::Export)
    }
}

/// What is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    kind: Kind,
    /// Members of a JSON object, without the braces.
    facts: String,
    count: usize,
}

impl Record {
    /// A record without facts.
    #[must_use]
    pub fn new(kind: Kind) -> Record {
        Record { kind, facts: String::new(), count: 0 }
    }

    /// With a word or a name. What is longer than [`TEXT_BYTES_MAX`] is cut, and ends with `…` then.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Record {
        if self.begin(name) {
            let shown = &value[..value.floor_char_boundary(TEXT_BYTES_MAX)];
            self.facts.push('"');
            escape(&mut self.facts, shown);
            self.facts.push_str(if shown.len() < value.len() { "…\"" } else { "\"" });
        }
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: u64) -> Record {
        if self.begin(name) {
            self.facts.push_str(&value.to_string());
        }
        self
    }

    /// With a digest: the one way in which contents may be mentioned.
    #[must_use]
    pub fn digest(mut self, name: &'static str, value: &Digest) -> Record {
        if self.begin(name) {
            self.facts.push('"');
            push_hex(&mut self.facts, &value.0);
            self.facts.push('"');
        }
        self
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn facts(&self) -> &str {
        &self.facts
    }

    /// Opens a fact, unless there are too many: then that is the last fact.
    fn begin(&mut self, name: &str) -> bool {
        self.count += 1;
        if self.count > FACTS_MAX {
            if self.count == FACTS_MAX + 1 {
                self.facts.push_str(",\"is_cut\":true");
            }
            return false;
        }
        if self.count > 1 {
            self.facts.push(',');
        }
        self.facts.push('"');
        escape(&mut self.facts, &name[..name.floor_char_boundary(TEXT_BYTES_MAX)]);
        self.facts.push_str("\":");
        true
    }
}

/// As a JSON string has it (RFC 8259, section 7); every control character becomes `\u00XX`.
fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // C0, DEL and C1: nothing that a terminal obeys ever stands in the log.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                out.push_str("\\u");
                push_hex(out, &(letter as u16).to_be_bytes());
            }
            letter => out.push(letter),
        }
    }
}

/// Two lower-case hexadecimal digits for each byte.
pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The bytes that exactly [`push_hex`] writes so.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(record: &Record) -> Value {
        serde_json::from_str(&format!("{{{}}}", record.facts())).unwrap()
    }

    #[test]
    fn facts_are_json_whatever_they_say() {
        let odd = "a\"b\\c\n\r\t\0\x1b[31m\u{7f}\u{9b}é🙂";
        let record = Record::new(Kind::Allow).text("tool", odd).number("bytes", u64::MAX).digest("d", &Digest([7; 32]));
        assert_eq!(read(&record), json!({"tool": odd, "bytes": u64::MAX, "d": "07".repeat(32)}));
        assert!(!record.facts().chars().any(char::is_control));
        assert_eq!(read(&Record::new(Kind::Ask)), json!({}));
    }

    #[test]
    fn a7_a_record_is_bounded() {
        let mut record = Record::new(Kind::Egress);
        for _ in 0..100 {
            record = record.text("some_name", &"\0".repeat(10_000));
        }
        assert!(record.facts().len() + 512 < LINE_BYTES_MAX, "{}", record.facts().len());
        assert!(record.facts().ends_with("…\",\"is_cut\":true"));
        assert!(read(&record)["is_cut"].as_bool().unwrap());
        let cut = Record::new(Kind::Deny).text("tool", &"é".repeat(TEXT_BYTES_MAX));
        assert_eq!(read(&cut)["tool"].as_str().unwrap().chars().count(), TEXT_BYTES_MAX / 2 + 1);
    }

    #[test]
    fn kinds_have_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(*kind));
        }
        assert_eq!(Kind::named("nothing"), None);
    }
}
