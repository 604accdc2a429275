//! What stands on the terminal: output, and below it the line being typed.
//!
//! Everything here writes into a frame, which goes to the terminal in one piece. Lines are wrapped by us one column
//! before the terminal would, so that where the cursor is never depends on how it wraps.

use crate::columns;
use crate::neutral::is_harmful;

/// The most rows that a line being typed takes; of a longer one the part around the cursor is shown.
const ROWS_MAX: usize = 10;
/// How much of a line stays on the screen when it was said, in bytes.
const ECHO_BYTES_MAX: usize = 4 << 10;
/// Columns between tab stops.
const TAB_COLUMNS: usize = 8;

/// The state of the terminal, as far as we have made it.
#[derive(Debug)]
pub(crate) struct Screen {
    columns: usize,
    rows: usize,
    /// Rows above the cursor that belong to the line being typed; `None` while it is not shown.
    above: Option<usize>,
    /// The column at which output goes on; 0 for a fresh line.
    open: usize,
}

/// The line being typed, to be shown.
pub(crate) struct Shown<'a> {
    /// What stands before it; may hold colours.
    pub(crate) prompt: &'a str,
    /// The text.
    pub(crate) text: &'a str,
    /// Where the cursor is in it, in bytes.
    pub(crate) cursor: usize,
}

impl Screen {
    /// An empty line of a terminal of so many columns and rows.
    pub(crate) fn new((columns, rows): (usize, usize)) -> Screen {
        Screen { columns, rows, above: None, open: 0 }
    }

    /// The terminal has this size now.
    pub(crate) fn resize(&mut self, (columns, rows): (usize, usize)) {
        if columns != self.columns {
            // The terminal has wrapped its lines anew, nobody knows how: output goes on on a fresh line.
            self.open = 0;
        }
        (self.columns, self.rows) = (columns, rows);
    }

    /// Takes the line being typed away; the cursor stands where output goes on.
    pub(crate) fn erase(&mut self, frame: &mut String) {
        let Some(above) = self.above.take() else { return };
        up(frame, above);
        frame.push_str("\r\x1b[J");
        if self.open > 0 {
            up(frame, 1);
            frame.push_str(&format!("\x1b[{}C", self.open));
        }
    }

    /// Writes output. The line being typed is not shown meanwhile.
    pub(crate) fn print(&mut self, frame: &mut String, text: &str) {
        let mut rest = text.chars();
        let mut copied = text.len();
        while let Some(c) = rest.next() {
            let from = text.len() - copied;
            match c {
                '\n' => {
                    frame.push_str("\r\n");
                    self.open = 0;
                    copied = rest.as_str().len();
                    continue;
                }
                '\u{1b}' => columns::skip_sequence(&mut rest),
                '\t' => self.open = (self.open / TAB_COLUMNS + 1) * TAB_COLUMNS,
                c => {
                    let wide = columns::of_char(c);
                    if self.open + wide > self.columns {
                        self.open = 0;
                    }
                    self.open += wide;
                }
            }
            frame.push_str(&text[from..text.len() - rest.as_str().len()]);
            copied = rest.as_str().len();
            if self.open >= self.columns {
                // The cursor hangs at the edge: where it goes next is settled here.
                frame.push_str("\r\n");
                self.open = 0;
            }
        }
    }

    /// Whether output has begun a line and not ended it.
    pub(crate) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// Output goes on on a fresh line.
    pub(crate) fn fresh_line(&mut self, frame: &mut String) {
        if self.open > 0 {
            frame.push_str("\r\n");
            self.open = 0;
        }
    }

    /// Clears the terminal.
    pub(crate) fn clear(&mut self, frame: &mut String) {
        frame.push_str("\x1b[H\x1b[2J");
        (self.above, self.open) = (None, 0);
    }

    /// Leaves a line that was said on the screen.
    pub(crate) fn echo(&mut self, frame: &mut String, prompt: &str, text: &str) {
        self.fresh_line(frame);
        let end = text.floor_char_boundary(ECHO_BYTES_MAX);
        let mut shown = String::from(prompt);
        text[..end].chars().for_each(|c| push_shown(&mut shown, c));
        if end < text.len() {
            shown.push_str(&format!(" … ({} bytes)", text.len()));
        }
        self.print(frame, &shown);
        self.fresh_line(frame);
    }

    /// Shows the line being typed below the output.
    pub(crate) fn draw(&mut self, frame: &mut String, shown: &Shown<'_>) {
        if self.open > 0 {
            frame.push_str("\r\n");
        }
        let layout = layout(shown, self.columns.max(12) - 1);
        let height = (self.rows / 2).clamp(1, ROWS_MAX);
        let first = (layout.row + 1).saturating_sub(height).min(layout.starts.len().saturating_sub(height));
        let last = (first + height).min(layout.starts.len());
        for row in first..last {
            if row > first {
                frame.push_str("\r\n");
            }
            if row == 0 {
                frame.push_str(shown.prompt);
            }
            let end = layout.starts.get(row + 1).copied().unwrap_or(shown.text.len());
            shown.text[layout.starts[row]..end].chars().filter(|c| *c != '\n').for_each(|c| push_shown(frame, c));
        }
        up(frame, last - 1 - layout.row);
        frame.push('\r');
        if layout.column > 0 {
            frame.push_str(&format!("\x1b[{}C", layout.column));
        }
        self.above = Some(layout.row - first);
    }
}

/// How a text is wrapped: where its rows start, in bytes, and where the cursor stands.
struct Layout {
    starts: Vec<usize>,
    row: usize,
    column: usize,
}

fn layout(shown: &Shown<'_>, columns_max: usize) -> Layout {
    let mut layout = Layout { starts: vec![0], row: 0, column: 0 };
    let mut column = columns::of_text(shown.prompt).min(columns_max - 1);
    for (at, c) in shown.text.char_indices() {
        let wide = shown_columns(c);
        if c != '\n' && column + wide > columns_max {
            layout.starts.push(at);
            column = 0;
        }
        if at == shown.cursor {
            (layout.row, layout.column) = (layout.starts.len() - 1, column);
        }
        column += wide;
        if c == '\n' {
            layout.starts.push(at + 1);
            column = 0;
        }
    }
    if shown.cursor >= shown.text.len() {
        (layout.row, layout.column) = (layout.starts.len() - 1, column);
    }
    layout
}

fn shown_columns(c: char) -> usize {
    match c {
        '\n' => 0,
        '\t' => 1,
        c if is_harmful(c) => c.escape_unicode().count(),
        c => columns::of_char(c),
    }
}

fn push_shown(out: &mut String, c: char) {
    match c {
        '\t' => out.push(' '),
        c if is_harmful(c) => out.extend(c.escape_unicode()),
        c => out.push(c),
    }
}

fn up(frame: &mut String, rows: usize) {
    if rows > 0 {
        frame.push_str(&format!("\x1b[{rows}A"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal of 20 columns shows after these frames: rows of text, and where the cursor is.
    struct Glass {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Glass {
        fn new() -> Glass {
            Glass { rows: vec![vec![]], row: 0, column: 0 }
        }

        fn show(&mut self, frame: &str) {
            let mut rest = frame.chars();
            while let Some(c) = rest.next() {
                match c {
                    '\r' => self.column = 0,
                    '\n' => self.row += 1,
                    '\u{1b}' => self.control(&mut rest),
                    c => {
                        if self.column + columns::of_char(c) > 20 {
                            (self.row, self.column) = (self.row + 1, 0);
                        }
                        self.put(c);
                    }
                }
                self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
            }
        }

        fn put(&mut self, c: char) {
            self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
            let row = &mut self.rows[self.row];
            row.resize(row.len().max(self.column + columns::of_char(c)), ' ');
            row[self.column] = c;
            self.column += columns::of_char(c);
        }

        fn control(&mut self, rest: &mut std::str::Chars<'_>) {
            assert_eq!(rest.next(), Some('['));
            let mut number = String::new();
            let last = rest.find(|c| {
                number.push(*c);
                c.is_ascii_alphabetic()
            });
            number.pop();
            let number = number.parse().unwrap_or(1);
            match last {
                Some('A') => self.row -= number,
                Some('C') => self.column += number,
                Some('J') => {
                    self.rows.truncate(self.row + 1);
                    self.rows[self.row].truncate(self.column);
                }
                other => panic!("{other:?} is not understood"),
            }
        }

        fn text(&self) -> String {
            let rows = self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
            rows.collect::<Vec<_>>().join("|").trim_end_matches('|').to_owned()
        }
    }

    fn shown(text: &str) -> Shown<'_> {
        Shown { prompt: "> ", text, cursor: text.len() }
    }

    /// Prints each piece above the line being typed, as an editor does.
    fn printed(pieces: &[&str], typed: &str) -> Glass {
        let (mut screen, mut glass) = (Screen::new((20, 24)), Glass::new());
        let mut frame = String::new();
        screen.draw(&mut frame, &shown(typed));
        for piece in pieces {
            screen.erase(&mut frame);
            screen.print(&mut frame, piece);
            screen.draw(&mut frame, &shown(typed));
            glass.show(&std::mem::take(&mut frame));
        }
        glass
    }

    #[test]
    fn y3_output_in_pieces_looks_like_output_in_one_and_the_line_stays_below() {
        let long = "one two three four five six seven\neight 漢字漢字漢字漢字漢字 nine\n\tten\n12345678901234567890abc";
        let plain = {
            let mut glass = Glass::new();
            Screen::new((20, 24)).print(&mut String::new(), long);
            let mut frame = String::new();
            Screen::new((20, 24)).print(&mut frame, long);
            glass.show(&frame.replace('\t', "        "));
            glass.text()
        };
        let text = long.replace('\t', "        ");
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let glass = printed(&pieces, "typed");
        assert_eq!(glass.text(), format!("{plain}|> typed"));
        assert_eq!(glass.column, 7);
    }

    #[test]
    fn a_long_line_is_wrapped_and_the_cursor_is_found() {
        let glass = printed(&["out\n"], "abcdefghijklmnopqrstuvwxyz");
        assert_eq!(glass.text(), "out|> abcdefghijklmnopq|rstuvwxyz");
        assert_eq!((glass.row, glass.column), (2, 9));
        let mut screen = Screen::new((20, 24));
        let (mut frame, mut glass) = (String::new(), Glass::new());
        screen.draw(&mut frame, &Shown { prompt: "> ", text: "ab\ncd\nef", cursor: 4 });
        glass.show(&std::mem::take(&mut frame));
        assert_eq!((glass.text().as_str(), glass.row, glass.column), ("> ab|cd|ef", 1, 1));
        screen.erase(&mut frame);
        glass.show(&frame);
        assert_eq!((glass.text().as_str(), glass.row), ("", 0));
    }

    #[test]
    fn a_line_taller_than_the_screen_shows_where_the_cursor_is() {
        let text: String = (0..40).map(|n| format!("row {n}\n")).collect();
        let glass = printed(&["out\n"], &text);
        assert_eq!(glass.text(), "out|row 31|row 32|row 33|row 34|row 35|row 36|row 37|row 38|row 39");
    }

    #[test]
    fn y5_what_is_typed_cannot_steer_the_terminal() {
        let glass = printed(&["x\n"], "a\u{1b}[2Jb");
        assert_eq!(glass.text(), "x|> a\\u{1b}[2Jb");
    }

    #[test]
    fn what_was_said_stays_and_a_long_paste_is_named_by_its_size() {
        let mut screen = Screen::new((20, 24));
        let (mut frame, mut glass) = (String::new(), Glass::new());
        screen.print(&mut frame, "answer");
        screen.echo(&mut frame, "> ", "hello");
        glass.show(&frame);
        assert_eq!(glass.text(), "answer|> hello");
        let mut frame = String::new();
        screen.echo(&mut frame, "> ", &"x".repeat(9_999));
        assert!(frame.len() < 5_000 && frame.contains("(9999 bytes)"));
    }
}
