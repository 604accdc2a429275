//! A person typing a line: keys in, deeds out. It touches the history's file and nothing else.

use crate::error::Typed;
use crate::history::History;
use crate::keys::{Key, Keys};
use crate::line::{Line, TooLong};
use crate::neutral::neutral_line;
use crate::options::PASTE_BYTES_MAX;

/// The longest text that is searched for, in bytes.
const SEARCH_BYTES_MAX: usize = 200;

/// The line, and everything that helps to type it.
pub(crate) struct Typing {
    keys: Keys,
    line: Line,
    history: History,
    completions: Vec<String>,
    search: Option<Search>,
}

/// Something that typing has led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It is complete.
    Typed(Typed),
    /// The person should see this above the line.
    Note(String),
    /// The person wants to leave the program for a while (Ctrl-Z).
    Suspend,
    /// The person wants an empty screen (Ctrl-L).
    Clear,
}

/// A search through the history (Ctrl-R).
#[derive(Default)]
struct Search {
    wanted: String,
    skip: usize,
    before: String,
}

impl Typing {
    /// An empty line of at most `bytes_max` bytes. `completions` are offered for the first word of a line that begins
    /// with a slash.
    pub(crate) fn new(bytes_max: usize, history: History, completions: Vec<String>) -> Typing {
        Typing { keys: Keys::default(), line: Line::new(bytes_max), history, completions, search: None }
    }

    /// Takes in what the terminal sends.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Deed>) {
        let mut keys = Vec::new();
        self.keys.feed(bytes, &mut keys);
        keys.into_iter().for_each(|key| self.key(key, out));
    }

    /// Nothing more has come for [`Typing::patience_ms`].
    pub(crate) fn rest(&mut self, out: &mut Vec<Deed>) {
        let mut keys = Vec::new();
        self.keys.rest(&mut keys);
        keys.into_iter().for_each(|key| self.key(key, out));
    }

    /// How long an incomplete key may wait for its rest, in milliseconds.
    pub(crate) fn patience_ms(&self) -> Option<u64> {
        self.keys.patience_ms()
    }

    /// The text, and the place of the cursor in it, in bytes.
    pub(crate) fn shown(&self) -> (&str, usize) {
        (self.line.text(), self.line.cursor())
    }

    /// What stands before the text instead of the prompt, if anything does.
    pub(crate) fn prompt(&self) -> Option<String> {
        self.search.as_ref().map(|search| format!("(search: {}) ", neutral_line(&search.wanted)))
    }

    fn key(&mut self, key: Key, out: &mut Vec<Deed>) {
        if let Some(search) = self.search.take()
            && self.searched(search, &key)
        {
            return;
        }
        let put = match key {
            Key::Char(c) => self.line.insert(c.encode_utf8(&mut [0; 4])),
            Key::Alt('\n') => self.line.insert("\n"),
            Key::Paste(text) => self.line.insert(&text),
            Key::Control('y') => self.line.paste_cut(),
            other => {
                self.command(other, out);
                Ok(())
            }
        };
        if put == Err(TooLong) {
            let bytes_max = self.line.bytes_max();
            let sentence =
                format!("the line would have more than {bytes_max} bytes; put long text into a file and name the file");
            out.push(Deed::Typed(Typed::Refused(sentence)));
        }
    }

    fn command(&mut self, key: Key, out: &mut Vec<Deed>) {
        let line = &mut self.line;
        match key {
            Key::Enter => self.enter(out),
            Key::Control('c') if line.text().is_empty() => out.push(Deed::Typed(Typed::Interrupted)),
            Key::Control('c') => {
                line.take();
                self.history.leave();
            }
            Key::Control('d') if line.text().is_empty() => out.push(Deed::Typed(Typed::End)),
            Key::Control('z') => out.push(Deed::Suspend),
            Key::Control('l') => out.push(Deed::Clear),
            Key::Control('r') => self.search = Some(Search { before: line.take(), ..Search::default() }),
            Key::Tab => self.complete(out),
            Key::Up | Key::Control('p') if !line.up() => {
                if let Some(older) = self.history.older(line.text()) {
                    line.replace(older);
                }
            }
            Key::Down | Key::Control('n') if !line.down() => {
                if let Some(newer) = self.history.newer() {
                    line.replace(newer);
                }
            }
            Key::PasteTooLong(bytes) => out.push(Deed::Typed(Typed::Refused(format!(
                "the paste has {bytes} bytes and was left out; at most {PASTE_BYTES_MAX} are taken; put long text into \
                 a file and name the file"
            )))),
            Key::Invalid => out.push(Deed::Typed(Typed::Refused(
                "the terminal sent bytes that are not UTF-8; they were left out; set its character set to UTF-8".into(),
            ))),
            other => self.edit(other),
        }
    }

    fn edit(&mut self, key: Key) {
        let line = &mut self.line;
        match key {
            Key::Backspace => line.backspace(),
            Key::Delete | Key::Control('d') => line.delete(),
            Key::Left | Key::Control('b') => line.left(),
            Key::Right | Key::Control('f') => line.right(),
            Key::Home | Key::Control('a') => line.home(),
            Key::End | Key::Control('e') => line.end(),
            Key::WordLeft | Key::Alt('b') => line.word_left(),
            Key::WordRight | Key::Alt('f') => line.word_right(),
            Key::Control('k') => line.cut_to_end(),
            Key::Control('u') => line.cut_to_start(),
            Key::Control('w') => line.cut_blank_word_left(),
            Key::Alt('\u{7f}') => line.cut_word_left(),
            Key::Alt('d') => line.cut_word_right(),
            Key::Control('t') => line.transpose(),
            _ => {}
        }
    }

    fn enter(&mut self, out: &mut Vec<Deed>) {
        let text = self.line.take();
        if let Err(error) = self.history.add(&text) {
            out.push(Deed::Note(format!("the history is no longer written down: {error}")));
        }
        out.push(Deed::Typed(Typed::Line(text)));
    }

    /// Whether the key belonged to the search.
    fn searched(&mut self, mut search: Search, key: &Key) -> bool {
        match key {
            Key::Char(c) if search.wanted.len() < SEARCH_BYTES_MAX => {
                search.wanted.push(*c);
                search.skip = 0;
            }
            Key::Backspace => {
                search.wanted.pop();
                search.skip = 0;
            }
            Key::Control('r') => search.skip += 1,
            Key::Control('c' | 'g') => {
                self.line.replace(search.before);
                return true;
            }
            _ => return false,
        }
        match self.history.found(&search.wanted, search.skip) {
            Some(found) => self.line.replace(found.to_owned()),
            None => search.skip = search.skip.saturating_sub(1),
        }
        self.search = Some(search);
        true
    }

    /// Completes the first word of a line that begins with a slash.
    fn complete(&mut self, out: &mut Vec<Deed>) {
        let (text, cursor) = self.shown();
        let word = &text[..cursor];
        if !word.starts_with('/') || word.contains(char::is_whitespace) {
            return;
        }
        let fitting: Vec<&String> = self.completions.iter().filter(|known| known.starts_with(word)).collect();
        let Some(first) = fitting.first() else { return };
        let shared = fitting.iter().fold(first.len(), |shared, other| shared.min(shared_bytes(first, other)));
        let piece = match fitting.len() {
            1 => format!("{} ", &first[cursor..]),
            _ => first[cursor..shared].to_owned(),
        };
        if piece.is_empty() {
            let all: Vec<&str> = fitting.iter().map(|one| one.as_str()).collect();
            out.push(Deed::Note(all.join("  ")));
        } else if self.line.insert(&piece).is_err() {
            // A word that fits nowhere is not completed.
        }
    }
}

/// How many bytes two words have in common at their beginning.
fn shared_bytes(one: &str, other: &str) -> usize {
    one.char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or(one.len().min(other.len()), |((at, _), _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typing() -> Typing {
        let completions = ["/help", "/resume", "/rest", "/exit"].map(String::from).to_vec();
        Typing::new(2_000, History::open(None).unwrap(), completions)
    }

    fn fed(typing: &mut Typing, text: &str) -> Vec<Deed> {
        let mut out = Vec::new();
        typing.feed(text.as_bytes(), &mut out);
        out
    }

    fn said(text: &str) -> Deed {
        Deed::Typed(Typed::Line(text.into()))
    }

    #[test]
    fn a_line_is_said_with_enter() {
        let mut typing = typing();
        assert_eq!(fed(&mut typing, "helo\x02l\r"), [said("hello")]);
        assert_eq!(fed(&mut typing, "a\x1b\rb\r"), [said("a\nb")]);
        assert_eq!(fed(&mut typing, "\x1b[A\x1b[A\x1b[A!\r"), [said("hello!")]);
    }

    #[test]
    fn control_c_clears_first_and_interrupts_then() {
        let mut typing = typing();
        assert_eq!(fed(&mut typing, "abc\x03"), []);
        assert_eq!(typing.shown(), ("", 0));
        assert_eq!(fed(&mut typing, "\x03"), [Deed::Typed(Typed::Interrupted)]);
    }

    #[test]
    fn control_d_deletes_first_and_ends_then() {
        let mut typing = typing();
        assert_eq!(fed(&mut typing, "ab\x01\x04\x04"), []);
        assert_eq!(fed(&mut typing, "\x04"), [Deed::Typed(Typed::End)]);
    }

    #[test]
    fn tab_completes_commands_and_nothing_else() {
        let mut typing = typing();
        assert_eq!(fed(&mut typing, "/h\t\r"), [said("/help ")]);
        assert_eq!(fed(&mut typing, "/r\t\t"), [Deed::Note("/resume  /rest".into())]);
        assert_eq!(fed(&mut typing, "\x15a\t/h\tb\r"), [said("a/hb")]);
    }

    #[test]
    fn y3_a_paste_that_is_too_long_leaves_the_line() {
        let mut typing = typing();
        let deeds = fed(&mut typing, &format!("abc\x1b[200~{}\x1b[201~d", "x".repeat(3_000)));
        assert!(matches!(&deeds[..], [Deed::Typed(Typed::Refused(why))] if why.contains("2000 bytes")));
        assert_eq!(typing.shown(), ("abcd", 4));
        let deeds = fed(&mut typing, &format!("\x1b[200~{}\x1b[201~e\r", "x".repeat(PASTE_BYTES_MAX + 1)));
        assert!(matches!(&deeds[..], [Deed::Typed(Typed::Refused(why)), _] if why.contains("1048577 bytes")));
        assert_eq!(deeds[1], said("abcde"));
    }

    #[test]
    fn the_history_is_searched() {
        let mut typing = typing();
        fed(&mut typing, "first word\rsecond word\rthird\r");
        fed(&mut typing, "\x12wor");
        assert_eq!(typing.prompt().as_deref(), Some("(search: wor) "));
        assert_eq!(typing.shown().0, "second word");
        assert_eq!(fed(&mut typing, "\x12\r"), [said("first word")]);
        assert_eq!(fed(&mut typing, "kept\x12wor\x07\r"), [said("kept")]);
    }
}
