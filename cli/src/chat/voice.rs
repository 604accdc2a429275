//! What is said to the person besides answers: above the line being typed, or on standard error.

use aether_core::model::Part;
use aether_core::transcript::Entry;
use aether_terminal::{Printer, Style, neutral, neutral_line};

use crate::show::eprint;

/// How much of what was said before is shown again, in bytes.
const RECALL_BYTES_MAX: usize = 2_000;

/// Says things.
pub(crate) struct Voice {
    printer: Option<Printer>,
    style: Style,
}

impl Voice {
    pub(crate) fn new(printer: Option<Printer>, style: Style) -> Voice {
        Voice { printer, style }
    }

    /// The answer to a command; a line or more.
    pub(crate) fn say(&self, text: &str) {
        match &self.printer {
            Some(printer) => {
                printer.fresh_line();
                printer.print(&format!("{}\n", text.trim_end_matches('\n')));
            }
            None => eprint(text.trim_end_matches('\n')),
        }
    }

    /// Something to know in passing, for a person only.
    pub(crate) fn aside(&self, text: &str) {
        if self.printer.is_some() {
            self.say(&self.style.dim(&neutral_line(text)));
        }
    }

    /// Something to know.
    pub(crate) fn note(&self, text: &str) {
        self.say(&self.style.yellow(&format!("note: {}", neutral(text))));
    }

    /// Something that went wrong.
    pub(crate) fn trouble(&self, text: &str) {
        self.say(&self.style.red(&neutral(text)));
    }

    /// Shows the end of what was said before, to a person who goes on with it.
    pub(crate) fn recall(&self, entries: &[Entry]) {
        let said = entries.iter().rev().filter_map(|entry| match entry {
            Entry::Person { text, .. } => Some(format!("> {text}")),
            Entry::Model { parts, .. } => Some(text_of(parts)).filter(|text| !text.is_empty()),
            Entry::Tool(_) | Entry::Note { .. } => None,
        });
        let mut last: Vec<String> = said.take(2).collect();
        last.reverse();
        if self.printer.is_some() {
            for text in last {
                let cut = text.floor_char_boundary(RECALL_BYTES_MAX);
                let more = if cut < text.len() { " …" } else { "" };
                let shown: Vec<String> = neutral(&text[..cut]).lines().map(|line| self.style.dim(line)).collect();
                self.say(&format!("{}{more}", shown.join("\n")));
            }
        }
    }
}

/// All text among the parts of a turn.
pub(crate) fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(&**text),
        Part::Call(_) | Part::Carried(_) => None,
    });
    texts.collect()
}
