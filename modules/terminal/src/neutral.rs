//! Text from strangers, made harmless to a terminal.

/// Makes a text harmless piece by piece, wherever it is cut (Y5).
///
/// A carriage return waits for the next piece: before a line feed it is half of a line's end, anywhere else it would
/// let a text overwrite itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neutral {
    has_return: bool,
}

impl Neutral {
    /// The next piece, as it can be shown.
    pub fn push(&mut self, piece: &str) -> String {
        let mut shown = String::with_capacity(piece.len());
        for c in piece.chars() {
            if std::mem::take(&mut self.has_return) && c != '\n' {
                shown.extend('\r'.escape_unicode());
            }
            match c {
                '\r' => self.has_return = true,
                c if is_harmful(c) => shown.extend(c.escape_unicode()),
                c => shown.push(c),
            }
        }
        shown
    }

    /// What was still held back.
    pub fn end(&mut self) -> String {
        if std::mem::take(&mut self.has_return) { '\r'.escape_unicode().collect() } else { String::new() }
    }
}

/// The text with every character that could steer a terminal or deceive a reader shown as an escape such as
/// `\u{1b}`. Line feeds and tabs stay; nothing is cut.
#[must_use]
pub fn neutral(text: &str) -> String {
    let mut whole = Neutral::default();
    let mut shown = whole.push(text);
    shown.push_str(&whole.end());
    shown
}

/// The same on one line: what ends lines, and tabs, are shown as escapes too.
#[must_use]
pub fn neutral_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.extend(c.escape_default()),
            c if is_harmful(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Controls other than line feed and tab (ECMA-48, section 5.3), and characters that reorder or hide others or show
/// nothing (Unicode TR 36, section 2.6; TR 9; DerivedCoreProperties, Default_Ignorable_Code_Point).
///
/// Variation selectors 15 and 16 stay: they only choose between two faces of the character before them.
pub(crate) fn is_harmful(c: char) -> bool {
    match c {
        '\n' | '\t' | '\u{fe0e}' | '\u{fe0f}' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y5_what_steers_or_deceives_is_shown_as_an_escape() {
        for (text, wanted) in [
            ("plain äöü 漢字 🙂\n\tx", "plain äöü 漢字 🙂\n\tx"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{7}\u{8}\u{7f}b", "a\\u{7}\\u{8}\\u{7f}b"),
            ("a\rb\r\nc\r", "a\\u{d}b\nc\\u{d}"),
            ("rm\u{202e}txt", "rm\\u{202e}txt"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("☺\u{fe0f}", "☺\u{fe0f}"),
            ("", ""),
        ] {
            assert_eq!(neutral(text), wanted);
        }
    }

    #[test]
    fn y5_a_cut_anywhere_changes_nothing() {
        let text = "a\u{1b}[31mb\r\nc\rd\u{202e}é\u{9b}\r\r\n\u{1b}";
        let whole = neutral(text);
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for then in (at..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let mut pieces = Neutral::default();
                let mut shown = pieces.push(&text[..at]);
                shown += &pieces.push(&text[at..then]);
                shown += &pieces.push(&text[then..]);
                shown += &pieces.end();
                assert_eq!(shown, whole, "cut at {at} and {then}");
            }
        }
        assert!(!whole.contains(['\u{1b}', '\r', '\u{9b}', '\u{202e}']));
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(neutral_line("a\nb\tc\r\u{1b}"), "a\\nb\\tc\\r\\u{1b}");
    }
}
