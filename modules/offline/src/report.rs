//! The answer as it is written: a summary first, then sections of short items.

/// The most lines of one answer.
const LINES_MAX: usize = 80;

/// An answer in Markdown.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    pending: Option<String>,
    dropped: usize,
}

impl Report {
    /// A paragraph.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.pending = None;
        if !self.lines.is_empty() {
            self.push(String::new());
        }
        self.push(text.into());
    }

    /// A heading, written when the first item below it is.
    pub(crate) fn section(&mut self, title: &str) {
        self.pending = Some(format!("**{title}**"));
    }

    /// An item of a list.
    pub(crate) fn item(&mut self, text: impl AsRef<str>) {
        self.nested(0, text.as_ref());
    }

    /// An item so many levels below the list's own.
    pub(crate) fn nested(&mut self, depth: usize, text: &str) {
        if let Some(title) = self.pending.take() {
            if !self.lines.is_empty() {
                self.push(String::new());
            }
            self.push(title);
        }
        self.push(format!("{}- {text}", "  ".repeat(depth)));
    }

    fn push(&mut self, line: String) {
        if self.lines.len() < LINES_MAX { self.lines.push(line) } else { self.dropped += 1 }
    }

    /// The lines, each with its line break.
    pub(crate) fn into_pieces(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.lines.push(format!("({} further lines are left out.)", self.dropped));
        }
        self.lines.into_iter().map(|line| line + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_has_no_heading() {
        let mut report = Report::default();
        report.say("Sum.");
        report.section("Nothing");
        report.section("Some");
        report.item("a");
        report.item("b");
        report.say("End.");
        assert_eq!(report.into_pieces().concat(), "Sum.\n\n**Some**\n- a\n- b\n\nEnd.\n");
    }

    #[test]
    fn an_answer_is_bounded() {
        let mut report = Report::default();
        (0..200).for_each(|n| report.item(n.to_string()));
        let pieces = report.into_pieces();
        assert_eq!(pieces.len(), LINES_MAX + 1);
        assert_eq!(pieces[LINES_MAX], "(120 further lines are left out.)\n");
    }
}
