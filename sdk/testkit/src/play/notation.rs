//! The words of a play: one line as words and quoted texts, and texts written back.

use std::fmt::Display;
use std::str::FromStr;

/// One piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    Text(String),
}

/// The rest of a line that is being read.
#[derive(Debug)]
pub(super) struct Words {
    pieces: std::vec::IntoIter<Piece>,
}

impl Words {
    /// Cuts a line into words and texts. A text stands in double quotes, knows `\n`, `\"` and `\\`, and may be
    /// repeated: `"ab"*3`.
    pub(super) fn of(line: &str) -> Result<Words, String> {
        let mut pieces = Vec::new();
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                let (text, after) = text(&rest[1..])?;
                let (times, after) = times(after)?;
                pieces.push(Piece::Text(text.repeat(times)));
                rest = after.trim_start();
            } else {
                let end = rest.find(' ').unwrap_or(rest.len());
                pieces.push(Piece::Word(rest[..end].to_owned()));
                rest = rest[end..].trim_start();
            }
        }
        Ok(Words { pieces: pieces.into_iter() })
    }

    /// The next word, if a word comes next.
    pub(super) fn word(&mut self) -> Option<String> {
        match self.pieces.as_slice().first()? {
            Piece::Word(word) => {
                let word = word.clone();
                self.pieces.next();
                Some(word)
            }
            Piece::Text(_) => None,
        }
    }

    /// The next text, if a text comes next.
    pub(super) fn text(&mut self) -> Option<String> {
        match self.pieces.as_slice().first()? {
            Piece::Text(text) => {
                let text = text.clone();
                self.pieces.next();
                Some(text)
            }
            Piece::Word(_) => None,
        }
    }

    /// The next word, which has to be there.
    pub(super) fn need(&mut self, what: &str) -> Result<String, String> {
        self.word().ok_or(format!("wanted {what}"))
    }

    /// The next text, which has to be there.
    pub(super) fn need_text(&mut self) -> Result<String, String> {
        self.text().ok_or("wanted a text in quotes".to_owned())
    }

    /// The next word as a number.
    pub(super) fn number<T: FromStr>(&mut self) -> Result<T, String> {
        parsed(&self.need("a number")?)
    }

    /// Takes the next word if it is this one.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is_next = self.pieces.as_slice().first() == Some(&Piece::Word(word.to_owned()));
        if is_next {
            self.pieces.next();
        }
        is_next
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), String> {
        match self.pieces.as_slice() {
            [] => Ok(()),
            [left, ..] => Err(format!("nothing is known about {left:?} here")),
        }
    }
}

/// The text up to its closing quote, and what follows.
fn text(rest: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((text, &rest[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, c @ ('"' | '\\'))) => text.push(c),
                _ => return Err("only \\n, \\\" and \\\\ are known".to_owned()),
            },
            c => text.push(c),
        }
    }
    Err("a text is not closed".to_owned())
}

fn times(rest: &str) -> Result<(usize, &str), String> {
    let Some(rest) = rest.strip_prefix('*') else { return Ok((1, rest)) };
    let end = rest.find(' ').unwrap_or(rest.len());
    Ok((parsed(&rest[..end])?, &rest[end..]))
}

/// A word as a number, or a sentence.
pub(super) fn parsed<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no number of this kind"))
}

/// A text as a play writes it: in quotes, on one line, long ones shortened.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    let escaped = shown.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    if shown.len() == text.len() {
        return format!("\"{escaped}\"");
    }
    let head: String = escaped.chars().take(60).collect();
    format!("\"{head}…\" of {} bytes", text.len())
}

/// Things joined by commas.
pub(super) fn listed<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    things.into_iter().map(|thing| thing.to_string()).collect::<Vec<_>>().join(",")
}
