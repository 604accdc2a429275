//! What a program wrote, within bounds: its beginning and its end (E3).

use std::collections::VecDeque;

/// The first and the last bytes of a stream.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half_bytes_max: usize,
    bytes: u64,
}

impl Capture {
    /// Keeps at most `bytes_max` bytes: half from the beginning, half from the end.
    pub(crate) fn new(bytes_max: usize) -> Capture {
        Capture { head: Vec::new(), tail: VecDeque::new(), half_bytes_max: bytes_max / 2, bytes: 0 }
    }

    /// Takes what was written next.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        let room = self.half_bytes_max - self.head.len();
        let (first, rest) = piece.split_at(room.min(piece.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.half_bytes_max)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.half_bytes_max);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(rest);
    }

    /// The most bytes that are kept.
    pub(crate) fn bytes_max(&self) -> usize {
        self.half_bytes_max * 2
    }

    /// All bytes that were taken, kept or not.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was kept, as text, with a word on what was not. It is no longer than what may be kept and that word.
    pub(crate) fn text(&self) -> String {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        let left_out = self.bytes - (self.head.len() + tail.len()) as u64;
        if left_out > 0 {
            // Bytes that are no text grow on the way.
            let (head, tail) = (plain(&self.head), plain(&tail));
            return joined(first(&head, self.half_bytes_max), left_out, last(&tail, self.half_bytes_max));
        }
        let whole = plain(&[&self.head[..], &tail].concat());
        if whole.len() <= self.bytes_max() {
            return whole;
        }
        let (head, tail) = (first(&whole, self.half_bytes_max), last(&whole, self.half_bytes_max));
        joined(head, (whole.len() - head.len() - tail.len()) as u64, tail)
    }
}

fn joined(head: &str, left_out: u64, tail: &str) -> String {
    format!("{head}\n[{left_out} bytes left out here]\n{tail}")
}

fn first(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn last(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// Bytes of a program as text: UTF-8 as far as it is, without terminal control sequences (ECMA-48) and without control
/// characters but line feed and tab.
#[must_use]
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => match letters.next() {
                // Control Sequence Introducer: parameters and intermediates up to a final byte.
                Some('[') => while letters.next().is_some_and(|next| !('\u{40}'..='\u{7e}').contains(&next)) {},
                // Operating System Command and its kin: up to BEL or ESC \.
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut letters),
                Some('(' | ')' | '*' | '+' | '#' | ' ') => {
                    letters.next();
                }
                _ => {}
            },
            '\u{9b}' => while letters.next().is_some_and(|next| !('\u{40}'..='\u{7e}').contains(&next)) {},
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

fn skip_string(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(letter) = letters.next() {
        if letter == '\u{7}' || letter == '\u{9c}' {
            return;
        }
        if letter == '\u{1b}' {
            letters.next_if_eq(&'\\');
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e3_the_beginning_and_the_end_are_kept() {
        let whole: Vec<u8> = (0..1_000_u32).flat_map(|n| format!("{n:03}\n").into_bytes()).collect();
        for piece in [1, 7, 40, 41, 4_000] {
            let mut capture = Capture::new(80);
            whole.chunks(piece).for_each(|chunk| capture.push(chunk));
            assert_eq!(capture.bytes(), 4_000);
            let text = capture.text();
            assert!(text.starts_with("000\n001\n"), "{piece}: {text}");
            assert!(text.ends_with("998\n999\n"), "{piece}: {text}");
            assert!(text.contains("[3920 bytes left out here]"), "{piece}: {text}");
        }
        let mut capture = Capture::new(80);
        capture.push(&[b'a'; 60]);
        capture.push(&[b'b'; 20]);
        assert_eq!(capture.text().len(), 80);
        // What is no text takes three bytes for one, and stays within the bound all the same.
        for count in [40, 80, 200] {
            let mut capture = Capture::new(80);
            capture.push(&[0xFF; 200][..count]);
            assert!(capture.text().len() <= 80 + "\n[000 bytes left out here]\n".len(), "{count}");
        }
    }

    #[test]
    fn control_sequences_do_not_get_through() {
        assert_eq!(plain(b"\x1b[31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;u\x1b\\y\x1b(Bz"), "red xyz");
        assert_eq!(plain(b"a\r\nb\rc\x00\x08\x7f\td"), "a\nb\nc\td");
        assert_eq!(plain(b"\xff\xc3\xa4"), "\u{fffd}\u{e4}");
        assert_eq!(plain(b"\x1b[12;3"), "");
        assert_eq!(plain(b"\x1b"), "");
    }
}
