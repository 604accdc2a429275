//! A line of text and a cursor in it.

use crate::columns;

/// The line being typed. It may hold line breaks: those of a paste, or of Alt-Enter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    text: String,
    /// Where the next character goes, in bytes; always between two characters.
    cursor: usize,
    /// What was cut last.
    cut: String,
    bytes_max: usize,
}

/// A piece that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Line {
    /// An empty line of at most `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Line {
        Line { bytes_max, ..Line::default() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Puts `piece` where the cursor is, whole or not at all.
    pub(crate) fn insert(&mut self, piece: &str) -> Result<(), TooLong> {
        if self.text.len() + piece.len() > self.bytes_max {
            return Err(TooLong);
        }
        self.text.insert_str(self.cursor, piece);
        self.cursor += piece.len();
        Ok(())
    }

    /// Takes the text away; the line is empty.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Replaces the text; the cursor stands at its end.
    pub(crate) fn replace(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.before(self.cursor);
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.after(self.cursor);
    }

    /// To the beginning of the row.
    pub(crate) fn home(&mut self) {
        self.cursor = self.row_start();
    }

    /// To the end of the row.
    pub(crate) fn end(&mut self) {
        self.cursor = self.row_end();
    }

    /// One row up, in the same place of it; `false` on the first.
    pub(crate) fn up(&mut self) -> bool {
        let start = self.row_start();
        if start == 0 {
            return false;
        }
        let place = self.text[start..self.cursor].chars().count();
        self.cursor = start - 1;
        let above = self.row_start();
        self.cursor = place_in(&self.text[above..start - 1], place) + above;
        true
    }

    /// One row down; `false` on the last.
    pub(crate) fn down(&mut self) -> bool {
        let end = self.row_end();
        if end == self.text.len() {
            return false;
        }
        let place = self.text[self.row_start()..self.cursor].chars().count();
        self.cursor = end + 1;
        let below = self.row_end();
        self.cursor = place_in(&self.text[end + 1..below], place) + end + 1;
        true
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    pub(crate) fn word_right(&mut self) {
        self.cursor = self.word_end();
    }

    pub(crate) fn backspace(&mut self) {
        let from = self.before(self.cursor);
        self.text.drain(from..self.cursor);
        self.cursor = from;
    }

    pub(crate) fn delete(&mut self) {
        let to = self.after(self.cursor);
        self.text.drain(self.cursor..to);
    }

    pub(crate) fn cut_to_end(&mut self) {
        let end = self.row_end();
        // At the end of a row, the line break is what there is to cut.
        self.cut_range(self.cursor, if end == self.cursor { self.after(end) } else { end });
    }

    pub(crate) fn cut_to_start(&mut self) {
        self.cut_range(self.row_start(), self.cursor);
    }

    pub(crate) fn cut_word_left(&mut self) {
        self.cut_range(self.word_start(), self.cursor);
    }

    pub(crate) fn cut_word_right(&mut self) {
        self.cut_range(self.cursor, self.word_end());
    }

    /// Back to the last blank.
    pub(crate) fn cut_blank_word_left(&mut self) {
        let head = self.text[..self.cursor].trim_end();
        let from = head.rfind(char::is_whitespace).map_or(0, |at| self.after(at));
        self.cut_range(from, self.cursor);
    }

    /// Puts back what was cut last.
    pub(crate) fn paste_cut(&mut self) -> Result<(), TooLong> {
        let cut = std::mem::take(&mut self.cut);
        let put = self.insert(&cut);
        self.cut = cut;
        put
    }

    /// Exchanges the two characters before the cursor, or around it.
    pub(crate) fn transpose(&mut self) {
        let second = if self.cursor == self.text.len() { self.before(self.cursor) } else { self.cursor };
        let first = self.before(second);
        let end = self.after(second);
        if first < second && second < end {
            let pair = format!("{}{}", &self.text[second..end], &self.text[first..second]);
            self.text.replace_range(first..end, &pair);
            self.cursor = end;
        }
    }

    fn cut_range(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.text.drain(from..to).collect();
            self.cursor = from;
        }
    }

    fn row_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn row_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    /// One character back, with the marks that sit on it.
    fn before(&self, at: usize) -> usize {
        let mut back = self.text[..at].char_indices().rev();
        back.find(|(_, c)| columns::of_char(*c) > 0 || c.is_control()).map_or(0, |(at, _)| at)
    }

    /// One character on, with the marks that sit on it.
    fn after(&self, at: usize) -> usize {
        let mut on = self.text[at..].char_indices().skip(1);
        on.find(|(_, c)| columns::of_char(*c) > 0 || c.is_control()).map_or(self.text.len(), |(more, _)| at + more)
    }

    fn word_start(&self) -> usize {
        let head = self.text[..self.cursor].trim_end_matches(|c: char| !c.is_alphanumeric());
        head.trim_end_matches(char::is_alphanumeric).len()
    }

    fn word_end(&self) -> usize {
        let tail = self.text[self.cursor..].trim_start_matches(|c: char| !c.is_alphanumeric());
        self.text.len() - tail.trim_start_matches(char::is_alphanumeric).len()
    }
}

/// The byte where the `place`th character of a row stands, or its end.
fn place_in(row: &str, place: usize) -> usize {
    row.char_indices().nth(place).map_or(row.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` is the cursor.
    fn line(text: &str) -> Line {
        let cursor = text.find('|').unwrap();
        Line { text: text.replace('|', ""), cursor, cut: String::new(), bytes_max: 100 }
    }

    fn shown(line: &Line) -> String {
        format!("{}|{}", &line.text[..line.cursor], &line.text[line.cursor..])
    }

    #[test]
    fn the_keys_of_emacs() {
        type Step = fn(&mut Line);
        let steps: &[(&str, Step, &str)] = &[
            ("ab|c", Line::left, "a|bc"),
            ("|abc", Line::left, "|abc"),
            ("ab|", Line::right, "ab|"),
            ("e\u{301}|x", Line::left, "|e\u{301}x"),
            ("|e\u{301}x", Line::right, "e\u{301}|x"),
            ("a\nb|c", Line::home, "a\n|bc"),
            ("a|b\nc", Line::end, "ab|\nc"),
            ("one two|", Line::word_left, "one |two"),
            ("|one two", Line::word_right, "one| two"),
            ("日本|", Line::backspace, "日|"),
            ("|日本", Line::delete, "|本"),
            ("ab|cd\ne", Line::cut_to_end, "ab|\ne"),
            ("ab|\ne", Line::cut_to_end, "ab|e"),
            ("ab|cd", Line::cut_to_start, "|cd"),
            ("one two-three |x", Line::cut_word_left, "one two-|x"),
            ("one two-three |x", Line::cut_blank_word_left, "one |x"),
            ("one| two x", Line::cut_word_right, "one| x"),
            ("ab|", Line::transpose, "ba|"),
            ("a|bc", Line::transpose, "ba|c"),
            ("|a", Line::transpose, "|a"),
        ];
        for (before, step, after) in steps {
            let mut line = line(before);
            step(&mut line);
            assert_eq!(shown(&line), *after, "from {before}");
        }
    }

    #[test]
    fn rows_are_walked_in_place() {
        let mut line = line("abcd\nx\nefg|h");
        assert!(line.up());
        assert_eq!(shown(&line), "abcd\nx|\nefgh");
        assert!(line.up());
        assert_eq!(shown(&line), "a|bcd\nx\nefgh");
        assert!(!line.up());
        assert!(line.down() && line.down() && !line.down());
        assert_eq!(shown(&line), "abcd\nx\ne|fgh");
    }

    #[test]
    fn what_was_cut_comes_back() {
        let mut line = line("one two|");
        line.cut_word_left();
        line.home();
        line.paste_cut().unwrap();
        assert_eq!(shown(&line), "two|one ");
    }

    #[test]
    fn y6_what_does_not_fit_is_refused_whole() {
        let mut line = Line::new(4);
        line.insert("abc").unwrap();
        assert_eq!(line.insert("de"), Err(TooLong));
        assert_eq!(line.text(), "abc");
    }
}
