//! What is wrong with a text, where, and what to write instead.

use std::fmt;

/// The most mistakes of one text that are reported; whoever has more sees the rest next time.
pub const MISTAKES_MAX: usize = 100;

/// The longest piece of a text that a sentence shows, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// One thing that is wrong, in a sentence that ends with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What sort of mistake it is.
    pub kind: MistakeKind,
    /// What was found, what was wanted.
    pub sentence: Box<str>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.sentence)
    }
}

impl std::error::Error for Mistake {}

/// The sorts of mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MistakeKind {
    /// It is not TOML.
    Syntax,
    /// It is larger, deeper or longer than its limit.
    TooLarge,
    /// There is no such key.
    UnknownKey,
    /// A key that has to be there is not.
    Missing,
    /// A value of another type was wanted.
    WrongType,
    /// The value has the right type and cannot be read.
    Malformed,
    /// The value lies outside its range.
    OutOfRange,
    /// The value asks for everything where something was wanted.
    TooBroad,
    /// The value names what no tool may have.
    Protected,
    /// The same was said before.
    Duplicate,
    /// The value contradicts another one.
    Conflict,
}

/// The mistakes of one text, as they are found.
pub(crate) struct Report<'t> {
    text: &'t str,
    /// Each with the byte at which it stands.
    found: Vec<(usize, MistakeKind, String)>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(text: &'t str) -> Report<'t> {
        Report { text, found: Vec::new() }
    }

    /// Takes down a mistake at byte `at`.
    pub(crate) fn add(&mut self, at: usize, kind: MistakeKind, sentence: String) {
        if self.found.len() < MISTAKES_MAX {
            self.found.push((at, kind, sentence));
        }
    }

    /// `read`, unless something was wrong (M1).
    pub(crate) fn finish<T>(mut self, read: Option<T>) -> Result<T, Vec<Mistake>> {
        if let Some(read) = read.filter(|_| self.found.is_empty()) {
            return Ok(read);
        }
        self.found.sort_by_key(|(at, _, _)| *at);
        let text = self.text;
        let mistakes = self.found.into_iter().map(|(at, kind, sentence)| {
            let (line, column) = position(text, at);
            Mistake { line, column, kind, sentence: sentence.into() }
        });
        Err(mistakes.collect())
    }

    /// The line of a byte, from 1.
    pub(crate) fn line(&self, at: usize) -> u32 {
        position(self.text, at).0
    }
}

/// The line and the column of a byte, both from 1, the column in characters.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    // Every byte but the continuation bytes of UTF-8 begins a character.
    let column = before[start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// The beginning of a text, with U+FFFD for what could steer a terminal or hide how the text reads (M7).
pub(crate) fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(SHOWN_CHARS_MAX).map(plain).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn plain(letter: char) -> char {
    if letter.is_control() || is_invisible(letter) { '\u{fffd}' } else { letter }
}

/// Whether a character is not seen, or changes the order in which others are seen.
pub(crate) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
