//! Colour, or none; and how wide the terminal is.

use std::io::IsTerminal;

use crate::device;

/// Columns where nothing says how many there are.
const COLUMNS_USUAL: usize = 80;

/// One of the three standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Whether a person is at the other end.
#[must_use]
pub fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::Input => std::io::stdin().is_terminal(),
        Stream::Output => std::io::stdout().is_terminal(),
        Stream::Error => std::io::stderr().is_terminal(),
    }
}

/// Columns of the terminal that standard output or standard error is, else `COLUMNS`, else 80.
#[must_use]
pub fn width() -> usize {
    let said = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    device::standard_columns().or_else(said).filter(|columns| *columns > 0).unwrap_or(COLUMNS_USUAL)
}

/// How text is set off: with ANSI colours (ECMA-48, section 8.3.117) or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    has_colour: bool,
}

impl Style {
    /// The style for a stream. `choice` is `always`, `never`, or anything else for: on a terminal, unless
    /// `NO_COLOR` is set to something (<https://no-color.org>) or the terminal is `dumb`.
    #[must_use]
    pub fn new(choice: &str, stream: Stream) -> Style {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style { has_colour: has_colour(choice, is_unwanted || is_dumb(), is_terminal(stream)) }
    }

    /// Whether anything is set off at all.
    #[must_use]
    pub fn has_colour(self) -> bool {
        self.has_colour
    }

    /// Stronger.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.set("1", text)
    }

    /// Weaker.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.set("2", text)
    }

    /// For what is wrong.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.set("31", text)
    }

    /// For what is well.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.set("32", text)
    }

    /// For what deserves a look.
    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        self.set("33", text)
    }

    /// For what can be typed.
    #[must_use]
    pub fn cyan(self, text: &str) -> String {
        self.set("36", text)
    }

    fn set(self, code: &str, text: &str) -> String {
        if self.has_colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether the terminal says that it cannot move its cursor.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

fn has_colour(choice: &str, is_unwanted: bool, is_terminal: bool) -> bool {
    match choice {
        "always" => true,
        "never" => false,
        _ => is_terminal && !is_unwanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_comes_before_what_was_found() {
        for (choice, is_unwanted, is_terminal, wanted) in [
            ("always", true, false, true),
            ("never", false, true, false),
            ("auto", false, true, true),
            ("auto", true, true, false),
            ("auto", false, false, false),
        ] {
            assert_eq!(has_colour(choice, is_unwanted, is_terminal), wanted, "{choice} {is_unwanted} {is_terminal}");
        }
    }

    #[test]
    fn colour_is_around_the_text_or_absent() {
        assert_eq!(Style { has_colour: true }.red("x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Style { has_colour: false }.red("x"), "x");
    }
}
