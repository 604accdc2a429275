//! Writing JSON (RFC 8259) that is also safe to show on a terminal.

use std::fmt::Write;

/// A JSON text being written. The caller closes what it opens.
pub(crate) struct Json {
    text: String,
    /// Whether the next key or value needs no comma before it.
    is_fresh: bool,
}

impl Json {
    pub(crate) fn new(bytes: usize) -> Json {
        Json { text: String::with_capacity(bytes), is_fresh: true }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Opens an object or an array.
    pub(crate) fn open(&mut self, bracket: char) {
        self.comma();
        self.text.push(bracket);
        self.is_fresh = true;
    }

    /// Closes it.
    pub(crate) fn close(&mut self, bracket: char) {
        self.text.push(bracket);
        self.is_fresh = false;
    }

    /// The name of the next value.
    pub(crate) fn key(&mut self, key: &str) {
        self.string(key);
        self.text.push(':');
        self.is_fresh = true;
    }

    /// A string value.
    pub(crate) fn string(&mut self, text: &str) {
        self.comma();
        self.text.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                _ if is_harmless(letter) => self.text.push(letter),
                _ => self.escape(letter),
            }
        }
        self.text.push('"');
    }

    /// A number.
    pub(crate) fn number(&mut self, number: u64) {
        self.comma();
        // Writing to a string does not fail.
        let _written = write!(self.text, "{number}");
    }

    /// A member with a string.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// A member with a number.
    pub(crate) fn count(&mut self, key: &str, number: u64) {
        self.key(key);
        self.number(number);
    }

    /// A member with an array of strings.
    pub(crate) fn words(&mut self, key: &str, words: &mut dyn Iterator<Item = &str>) {
        self.key(key);
        self.open('[');
        for word in words {
            self.string(word);
        }
        self.close(']');
    }

    fn comma(&mut self) {
        if !self.is_fresh {
            self.text.push(',');
        }
        self.is_fresh = false;
    }

    /// `\uXXXX`, twice for what is outside the basic plane (RFC 8259, section 7).
    fn escape(&mut self, letter: char) {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let _written = write!(self.text, "\\u{unit:04x}");
        }
    }
}

/// Whether a terminal or an editor shows it and does nothing else: no control character, no line or paragraph
/// separator, nothing that changes the direction of text or has no width (Unicode Technical Report 36, section 2.10).
pub(crate) fn is_harmless(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O2: nothing leaves its string.
    #[test]
    fn strings_are_read_back_as_they_were_and_hold_nothing_harmful() {
        let text: String = (0..0x3000).chain(0xe0000..0xe0100).filter_map(char::from_u32).collect();
        let mut json = Json::new(0);
        json.string(&text);
        let written = json.finish();
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        assert!(written.chars().all(is_harmless));
    }

    #[test]
    fn members_and_elements_are_separated() {
        let mut json = Json::new(0);
        json.open('{');
        json.count("a", 1);
        json.words("b", &mut ["x", "y"].into_iter());
        json.key("c");
        json.open('[');
        json.open('{');
        json.close('}');
        json.open('{');
        json.text("d", "e");
        json.close('}');
        json.close(']');
        json.count("f", u64::MAX);
        json.close('}');
        assert_eq!(json.finish(), r#"{"a":1,"b":["x","y"],"c":[{},{"d":"e"}],"f":18446744073709551615}"#);
    }
}
