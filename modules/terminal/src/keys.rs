//! From the bytes that a terminal sends to keys.
//!
//! The sequences are those of ECMA-48 and of xterm ("XTerm Control Sequences", sections "PC-Style Function Keys" and
//! "Bracketed Paste Mode").

use crate::options::PASTE_BYTES_MAX;

/// The longest escape sequence that is understood; what is longer is no key.
const SEQUENCE_BYTES_MAX: usize = 32;
/// What ends a paste.
const PASTE_END: &[u8] = b"\x1b[201~";
/// How long an escape character may stand alone before it is the key of that name, in milliseconds.
const ESCAPE_MS: u64 = 50;
/// How long a paste may pause before it counts as complete, in milliseconds.
const PASTE_MS: u64 = 2_000;

/// One key, or a paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// With the control key, as the letter.
    Control(char),
    /// With the alt key, or after escape.
    Alt(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    /// Text that was pasted in one.
    Paste(String),
    /// A paste that is too long, and how many bytes it has.
    PasteTooLong(u64),
    /// Bytes that are no UTF-8.
    Invalid,
}

/// Bytes on their way to becoming keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    held: Vec<u8>,
    paste: Option<Paste>,
}

#[derive(Debug, Default)]
struct Paste {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Keys {
    /// Takes in the next bytes, cut anywhere.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<Key>) {
        while !bytes.is_empty() {
            bytes = match &mut self.paste {
                Some(_) => self.pasted(bytes, out),
                None => self.typed(bytes, out),
            };
        }
    }

    /// How long to wait for more before [`Keys::rest`], in milliseconds; `None` where nothing is open.
    pub(crate) fn patience_ms(&self) -> Option<u64> {
        match &self.paste {
            Some(_) => Some(PASTE_MS),
            None => (!self.held.is_empty()).then_some(ESCAPE_MS),
        }
    }

    /// Nothing more has come: what is open is taken as it is.
    pub(crate) fn rest(&mut self, out: &mut Vec<Key>) {
        if let Some(paste) = self.paste.take() {
            out.push(paste.key());
        }
        let held = std::mem::take(&mut self.held);
        if held.first().is_some_and(|byte| *byte != 0x1b) {
            out.push(Key::Invalid);
        }
    }

    /// Takes bytes up to the end of a paste; what is left comes back.
    fn pasted<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<Key>) -> &'a [u8] {
        let Some(paste) = &mut self.paste else { return bytes };
        let before = paste.bytes.len();
        let from = before.saturating_sub(PASTE_END.len() - 1);
        paste.bytes.extend_from_slice(bytes);
        let found = paste.bytes[from..].windows(PASTE_END.len()).position(|window| window == PASTE_END);
        if let Some(at) = found {
            let end = from + at;
            let used = end + PASTE_END.len() - before;
            paste.bytes.truncate(end);
            let paste = std::mem::take(paste);
            self.paste = None;
            out.push(paste.key());
            return &bytes[used..];
        }
        if paste.bytes.len() > PASTE_BYTES_MAX + PASTE_END.len() {
            let surplus = paste.bytes.len() - PASTE_END.len();
            paste.dropped += surplus as u64;
            paste.bytes.drain(..surplus);
        }
        &[]
    }

    /// Takes one byte more of a key; what is left comes back.
    fn typed<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<Key>) -> &'a [u8] {
        self.held.push(bytes[0]);
        let rest = &bytes[1..];
        match read(&self.held) {
            Reading::Open if self.held.len() < SEQUENCE_BYTES_MAX => {}
            Reading::Open | Reading::Nothing => self.held.clear(),
            Reading::Key(key) => {
                self.held.clear();
                out.push(key);
            }
            Reading::Paste => {
                self.held.clear();
                self.paste = Some(Paste::default());
            }
        }
        rest
    }
}

impl Paste {
    fn key(self) -> Key {
        let bytes = self.dropped + self.bytes.len() as u64;
        if bytes > PASTE_BYTES_MAX as u64 {
            return Key::PasteTooLong(bytes);
        }
        match String::from_utf8(self.bytes) {
            // Terminals send a carriage return for each line's end of a paste.
            Ok(text) => Key::Paste(text.replace("\r\n", "\n").replace('\r', "\n")),
            Err(_) => Key::Invalid,
        }
    }
}

/// What the bytes so far are.
enum Reading {
    /// The beginning of something.
    Open,
    Key(Key),
    /// The beginning of a paste.
    Paste,
    /// A sequence that means nothing here.
    Nothing,
}

fn read(bytes: &[u8]) -> Reading {
    match bytes {
        [0x1b] | [0x1b, b'[' | b'O'] => Reading::Open,
        [0x1b, b'[', rest @ ..] => control_sequence(rest),
        [0x1b, b'O', letter] => named(*letter, false).map_or(Reading::Nothing, Reading::Key),
        [0x1b, 0x1b] => Reading::Nothing,
        [0x1b, b'\r' | b'\n'] => Reading::Key(Key::Alt('\n')),
        [0x1b, 0x7f | 0x08] => Reading::Key(Key::Alt('\u{7f}')),
        [0x1b, rest @ ..] => character(rest, Key::Alt),
        [b'\r' | b'\n'] => Reading::Key(Key::Enter),
        [b'\t'] => Reading::Key(Key::Tab),
        [0x7f | 0x08] => Reading::Key(Key::Backspace),
        [0] => Reading::Nothing,
        [byte @ 1..=26] => Reading::Key(Key::Control(char::from(byte + b'a' - 1))),
        [byte @ 28..=31] => Reading::Key(Key::Control(char::from(byte + b'@'))),
        bytes => character(bytes, Key::Char),
    }
}

fn character(bytes: &[u8], key: impl Fn(char) -> Key) -> Reading {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().next().map_or(Reading::Nothing, |c| Reading::Key(key(c))),
        Err(error) if error.error_len().is_none() => Reading::Open,
        Err(_) => Reading::Key(Key::Invalid),
    }
}

/// What follows `ESC [`: parameters, then a final byte.
fn control_sequence(bytes: &[u8]) -> Reading {
    let Some((last, parameters)) = bytes.split_last() else { return Reading::Open };
    match last {
        0x20..=0x3f => return Reading::Open,
        0x40..=0x7e => {}
        _ => return Reading::Nothing,
    }
    let mut numbers = parameters.split(|byte| *byte == b';').map(|part| std::str::from_utf8(part).unwrap_or_default());
    let first = numbers.next().unwrap_or_default();
    // The second parameter is a modifier: 3 is alt, 5 is control.
    let is_by_word = matches!(numbers.next(), Some("3" | "5" | "7"));
    let key = match (last, first) {
        (b'~', "200") => return Reading::Paste,
        (b'~', "1" | "7") => Key::Home,
        (b'~', "4" | "8") => Key::End,
        (b'~', "3") => Key::Delete,
        (b'~', _) => return Reading::Nothing,
        (letter, _) => return named(*letter, is_by_word).map_or(Reading::Nothing, Reading::Key),
    };
    Reading::Key(key)
}

fn named(letter: u8, is_by_word: bool) -> Option<Key> {
    Some(match (letter, is_by_word) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', false) => Key::Right,
        (b'C', true) => Key::WordRight,
        (b'D', false) => Key::Left,
        (b'D', true) => Key::WordLeft,
        (b'H', _) => Key::Home,
        (b'F', _) => Key::End,
        (b'M', _) => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let (mut keys, mut out) = (Keys::default(), Vec::new());
        keys.feed(bytes, &mut out);
        keys.rest(&mut out);
        out
    }

    #[test]
    fn bytes_become_keys() {
        use Key::*;
        for (bytes, wanted) in [
            (&b"a\xc3\xa9\xf0\x9f\x99\x82"[..], vec![Char('a'), Char('é'), Char('🙂')]),
            (b"\x01\x05\x03\x04\x1f", vec![Control('a'), Control('e'), Control('c'), Control('d'), Control('_')]),
            (b"\r\t\x7f\x08", vec![Enter, Tab, Backspace, Backspace]),
            (b"\x1b[A\x1b[B\x1bOC\x1b[D\x1b[H\x1b[F", vec![Up, Down, Right, Left, Home, End]),
            (b"\x1b[1;5C\x1b[1;3D\x1bb\x1bf", vec![WordRight, WordLeft, Alt('b'), Alt('f')]),
            (b"\x1b[3~\x1b[1~\x1b[8~\x1b[15~", vec![Delete, Home, End]),
            (b"\x1b\r\x1b\x7f", vec![Alt('\n'), Alt('\u{7f}')]),
            (b"\xff\xc3x", vec![Invalid, Invalid]),
            (
                b"\x1b[?1;2c\x1b[99999999999999999999999999999999999999a",
                vec![Char('9'), Char('9'), Char('9'), Char('9'), Char('9'), Char('9'), Char('9'), Char('9'), Char('a')],
            ),
            (b"\x1b", vec![]),
        ] {
            assert_eq!(keys(bytes), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn a_paste_is_one_key_wherever_it_is_cut() {
        let bytes = b"a\x1b[200~one\rtwo\r\n\x1b[Athree \xe6\xbc\xa2\x1b[201~b\x1b[D";
        let wanted = vec![Key::Char('a'), Key::Paste("one\ntwo\n\u{1b}[Athree 漢".into()), Key::Char('b'), Key::Left];
        for at in 0..=bytes.len() {
            let (mut keys, mut out) = (Keys::default(), Vec::new());
            keys.feed(&bytes[..at], &mut out);
            keys.feed(&bytes[at..], &mut out);
            assert_eq!(out, wanted, "cut at {at}");
        }
    }

    #[test]
    fn y6_a_paste_that_is_too_long_is_measured_and_dropped() {
        let (mut keys, mut out) = (Keys::default(), Vec::new());
        keys.feed(b"x\x1b[200~", &mut out);
        for _ in 0..2_500 {
            keys.feed(&[b'y'; 4_096], &mut out);
        }
        assert!(keys.paste.as_ref().unwrap().bytes.capacity() < 4 * PASTE_BYTES_MAX);
        keys.feed(b"\x1b[201~z", &mut out);
        assert_eq!(out, [Key::Char('x'), Key::PasteTooLong(2_500 * 4_096), Key::Char('z')]);
        let mut whole = b"\x1b[200~".to_vec();
        whole.resize(whole.len() + PASTE_BYTES_MAX, b'w');
        whole.extend_from_slice(PASTE_END);
        assert_eq!(super::tests::keys(&whole), [Key::Paste("w".repeat(PASTE_BYTES_MAX))]);
    }

    #[test]
    fn a_paste_that_never_ends_is_taken_as_it_is() {
        assert_eq!(keys(b"\x1b[200~abc"), [Key::Paste("abc".into())]);
    }

    #[test]
    fn no_bytes_panic() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    if seed & 3 == 0 { b"\x1b[~;O2"[(seed >> 8) as usize % 6] } else { (seed >> 16) as u8 }
                })
                .collect();
            keys(&bytes);
        }
    }
}
