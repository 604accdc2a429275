//! Facts of texts and source code: size, outline, open ends, words that come up often.

use std::collections::BTreeMap;

use crate::carry::carry;
use crate::log::Odd;
use crate::report::Report;
use crate::shelf;
use crate::words::{self, count, counted};

/// Headings that are kept.
const HEADINGS_MAX: usize = 25;
/// Open ends that are kept.
const MARKS_MAX: usize = 10;
/// Different words that are counted.
const WORDS_MAX: usize = 1500;
/// Bytes of a text that is quoted.
const QUOTE_BYTES_MAX: usize = 160;

/// A line that is worth showing.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    line: u64,
    depth: u64,
    text: String,
}
carry!(Place { line, depth, text });

/// Everything that is known of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prose {
    /// The programming language, or nothing for plain text and Markdown.
    language: String,
    lines: u64,
    blank: u64,
    words: u64,
    comments: u64,
    headings: Vec<Place>,
    headings_total: u64,
    marks: Vec<Place>,
    marks_total: u64,
    frequent: BTreeMap<String, u64>,
    shape: Lines,
    opening: String,
}
carry!(Prose {
    language,
    lines,
    blank,
    words,
    comments,
    headings,
    headings_total,
    marks,
    marks_total,
    frequent,
    shape,
    opening
});

/// What the lines look like.
#[derive(Clone, Debug, Default, PartialEq)]
struct Lines {
    longest_chars: u64,
    longest_line: u64,
    invalid: Odd,
    is_fenced: bool,
    fences: u64,
    previous: String,
    opening_is_over: bool,
}
carry!(Lines { longest_chars, longest_line, invalid, is_fenced, fences, previous, opening_is_over });

/// The programming languages that are known, by extension, with what begins a definition in them.
const LANGUAGES: [(&str, &str, &[&str]); 22] = [
    ("rs", "Rust", &["fn ", "struct ", "enum ", "trait ", "impl ", "mod "]),
    ("py", "Python", &["def ", "class ", "async def "]),
    ("js", "JavaScript", &["function ", "class ", "async function "]),
    ("mjs", "JavaScript", &["function ", "class ", "async function "]),
    ("ts", "TypeScript", &["function ", "class ", "interface ", "type ", "enum ", "async function "]),
    ("tsx", "TypeScript", &["function ", "class ", "interface ", "type "]),
    ("go", "Go", &["func ", "type "]),
    ("java", "Java", &["class ", "interface ", "enum ", "record "]),
    ("kt", "Kotlin", &["fun ", "class ", "object ", "interface "]),
    ("c", "C", &["struct ", "enum ", "typedef "]),
    ("h", "C", &["struct ", "enum ", "typedef "]),
    ("cpp", "C++", &["class ", "struct ", "namespace ", "enum "]),
    ("cs", "C#", &["class ", "interface ", "enum ", "struct ", "namespace "]),
    ("rb", "Ruby", &["def ", "class ", "module "]),
    ("php", "PHP", &["function ", "class ", "interface "]),
    ("swift", "Swift", &["func ", "class ", "struct ", "enum ", "protocol "]),
    ("sh", "shell", &["function "]),
    ("lua", "Lua", &["function ", "local function "]),
    ("sql", "SQL", &["create table ", "create view ", "CREATE TABLE ", "CREATE VIEW "]),
    ("zig", "Zig", &["fn ", "pub fn ", "test "]),
    ("scala", "Scala", &["def ", "class ", "object ", "trait "]),
    ("css", "CSS", &["@media ", "@font-face"]),
];

/// The programming language of files with this extension.
pub(crate) fn language(extension: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(known, _, _)| *known == extension).map(|(_, name, _)| *name)
}

impl Prose {
    /// A text in this programming language, or in none.
    pub(crate) fn new(language: Option<&str>) -> Prose {
        Prose { language: language.unwrap_or("").to_owned(), ..Prose::default() }
    }

    fn is_code(&self) -> bool {
        !self.language.is_empty()
    }

    /// Takes in the next line.
    pub(crate) fn line(&mut self, number: u64, text: &str) {
        self.lines += 1;
        let trimmed = text.trim();
        let chars = text.chars().count() as u64;
        if chars > self.shape.longest_chars {
            (self.shape.longest_chars, self.shape.longest_line) = (chars, number);
        }
        if text.contains('\u{FFFD}') {
            self.shape.invalid.add(number);
        }
        self.blank += u64::from(trimmed.is_empty());
        self.words += trimmed.split_whitespace().count() as u64;
        self.mark(number, trimmed);
        if self.is_code() {
            self.code_line(number, trimmed);
        } else {
            self.text_line(number, trimmed);
        }
        self.shape.previous.clear();
        self.shape.previous.push_str(words::head(trimmed, QUOTE_BYTES_MAX));
    }

    fn mark(&mut self, number: u64, text: &str) {
        let found = ["TODO", "FIXME", "XXX", "HACK"].iter().filter_map(|mark| {
            let at = text.find(mark)?;
            let before = text[..at].bytes().next_back().is_none_or(|b| !b.is_ascii_alphanumeric() && b != b'_');
            let after = text.as_bytes().get(at + mark.len()).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
            (before && after).then_some(at)
        });
        if let Some(at) = found.min() {
            self.marks_total += 1;
            if self.marks.len() < MARKS_MAX {
                self.marks.push(Place {
                    line: number,
                    depth: 0,
                    text: words::head(&text[at..], QUOTE_BYTES_MAX).to_owned(),
                });
            }
        }
    }

    fn code_line(&mut self, number: u64, text: &str) {
        if ["//", "#", "--", "/*", "*", "\"\"\"", ";;"].iter().any(|start| text.starts_with(start))
            && !text.starts_with("#[")
            && !text.starts_with("#include")
        {
            self.comments += 1;
            return;
        }
        let mut rest = text;
        while let Some(inner) = [
            "pub ",
            "pub(crate) ",
            "export ",
            "default ",
            "public ",
            "private ",
            "protected ",
            "static ",
            "final ",
            "abstract ",
            "async ",
            "unsafe ",
            "const ",
        ]
        .iter()
        .find_map(|word| rest.strip_prefix(word))
        {
            rest = inner;
        }
        let starts =
            LANGUAGES.iter().find(|(_, name, _)| *name == self.language).map_or(&[][..], |(_, _, starts)| starts);
        let is_definition = starts.iter().any(|start| rest.starts_with(start))
            || self.language == "shell" && text.ends_with("() {")
            || matches!(&*self.language, "C" | "C++")
                && text.ends_with('{')
                && text.contains('(')
                && !text.starts_with(['}', 'i', 'f', 'w', 's']);
        if is_definition {
            self.heading(number, 1, text.trim_end_matches(['{', ':', ' ']));
        }
    }

    fn text_line(&mut self, number: u64, text: &str) {
        if text.starts_with("```") || text.starts_with("~~~") {
            self.shape.is_fenced = !self.shape.is_fenced;
            self.shape.fences += 1;
            return;
        }
        if self.shape.is_fenced {
            return;
        }
        let hashes = text.bytes().take_while(|b| *b == b'#').count();
        let is_rule = |mark: char| text.len() >= 3 && text.chars().all(|c| c == mark);
        if (1..=6).contains(&hashes) && text[hashes..].starts_with(' ') {
            self.heading(number, hashes as u64, text[hashes..].trim_matches([' ', '#']));
        } else if (is_rule('=') || is_rule('-')) && !self.shape.previous.is_empty() && number > 1 {
            let title = self.shape.previous.clone();
            self.heading(number - 1, if is_rule('=') { 1 } else { 2 }, &title);
        } else {
            self.opening(text);
            self.count_words(text);
        }
    }

    fn heading(&mut self, line: u64, depth: u64, text: &str) {
        self.headings_total += 1;
        if self.headings.len() < HEADINGS_MAX {
            self.headings.push(Place { line, depth, text: words::head(text, QUOTE_BYTES_MAX).to_owned() });
        }
    }

    /// The first paragraph of plain words.
    fn opening(&mut self, text: &str) {
        if self.shape.opening_is_over || self.opening.is_empty() && !text.starts_with(char::is_alphanumeric) {
            return;
        }
        if text.is_empty() || self.opening.len() > 400 {
            self.shape.opening_is_over = true;
            return;
        }
        if !self.opening.is_empty() {
            self.opening.push(' ');
        }
        self.opening.push_str(words::head(text, 400));
    }

    fn count_words(&mut self, text: &str) {
        for word in
            text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'').filter(|word| word.chars().count() > 4)
        {
            let word = word.trim_matches(['-', '\'']).to_lowercase();
            if word.len() < 5 || word.bytes().any(|b| b.is_ascii_digit()) || is_common(&word) {
                continue;
            }
            if let Some(seen) = self.frequent.get_mut(&word) {
                *seen += 1;
            } else if self.frequent.len() < WORDS_MAX {
                self.frequent.insert(word, 1);
            }
        }
    }

    /// The first paragraph.
    pub(crate) fn first_paragraph(&self) -> &str {
        &self.opening
    }

    /// Writes what is known of the text called `name`.
    pub(crate) fn write(&self, name: &str, report: &mut Report) {
        let kind = if self.is_code() { format!("{} source code", self.language) } else { "text".to_owned() };
        let mut text = format!("{name} is {kind} of {}", counted(self.lines, "line", "lines"));
        if self.is_code() {
            text += &format!(
                ": {} of code, {}, {}; {}.",
                count(self.lines.saturating_sub(self.blank + self.comments)),
                counted(self.comments, "comment line", "comment lines"),
                counted(self.blank, "blank line", "blank lines"),
                counted(self.headings_total, "definition", "definitions")
            );
        } else {
            text += &format!(
                " and {}, with {}.",
                counted(self.words, "word", "words"),
                counted(self.headings_total, "heading", "headings")
            );
        }
        report.say(text);
        report.section("Begins with");
        if !self.opening.is_empty() {
            report.item(words::clip(&self.opening, 400));
        }
        self.marks_text(report);
        report.section(if self.is_code() { "Definitions" } else { "Outline" });
        for place in &self.headings {
            let text = if self.is_code() { words::code(&place.text, 100) } else { words::clip(&place.text, 100) };
            report
                .nested(place.depth.saturating_sub(1).min(5) as usize, &format!("{text} (line {})", count(place.line)));
        }
        if self.headings_total > self.headings.len() as u64 {
            report.item(format!("{} more", count(self.headings_total - self.headings.len() as u64)));
        }
        self.figures(report);
    }

    fn marks_text(&self, report: &mut Report) {
        report.section("Left open");
        for place in &self.marks {
            report.item(format!("{} (line {})", words::clip(&place.text, 100), count(place.line)));
        }
        if self.marks_total > self.marks.len() as u64 {
            report.item(format!("{} more", count(self.marks_total - self.marks.len() as u64)));
        }
    }

    fn figures(&self, report: &mut Report) {
        report.section("Figures");
        let ranked = shelf::ranked(self.frequent.iter().filter(|(_, seen)| **seen > 2), |(_, seen)| (**seen, 0));
        let named: Vec<String> =
            ranked.iter().take(10).map(|(word, seen)| format!("{word} {}×", count(**seen))).collect();
        if !named.is_empty() {
            report.item(format!("words that come up often: {}", named.join(", ")));
        }
        report.item(format!(
            "longest line: {} (line {})",
            counted(self.shape.longest_chars, "character", "characters"),
            count(self.shape.longest_line)
        ));
        if self.shape.fences > 1 {
            report.item(counted(self.shape.fences / 2, "code block", "code blocks"));
        }
        if self.shape.is_fenced {
            report.item("the last code block is not closed");
        }
        if self.shape.invalid.total > 0 {
            report.item(format!("bytes that are not UTF-8: {}", self.shape.invalid.place()));
        }
    }
}

/// Words that say nothing about what a text is about.
fn is_common(word: &str) -> bool {
    const COMMON: [&str; 40] = [
        "about",
        "above",
        "after",
        "again",
        "against",
        "always",
        "another",
        "because",
        "before",
        "being",
        "below",
        "between",
        "could",
        "different",
        "during",
        "either",
        "every",
        "first",
        "found",
        "however",
        "itself",
        "other",
        "same",
        "should",
        "since",
        "still",
        "their",
        "there",
        "these",
        "thing",
        "those",
        "through",
        "under",
        "until",
        "where",
        "which",
        "while",
        "whose",
        "without",
        "would",
    ];
    COMMON.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, language: Option<&str>) -> String {
        let mut prose = Prose::new(language);
        for (n, line) in text.lines().enumerate() {
            prose.line(n as u64 + 1, line);
            prose = crate::carry::read(&crate::carry::write(&prose)).unwrap();
        }
        let mut report = Report::default();
        prose.write("`x`", &mut report);
        report.into_pieces().concat()
    }

    #[test]
    fn a_text_has_an_outline() {
        let text = "# Garden\n\nRoses need water\nand light.\n\n## Tools\nTODO: list the spades\n```\n# no heading\n```\nUnder\n=====\nroses, roses and Roses\n";
        let expected = "\
`x` is text of 13 lines and 24 words, with 3 headings.

**Begins with**
- Roses need water and light.

**Left open**
- TODO: list the spades (line 7)

**Outline**
- Garden (line 1)
  - Tools (line 6)
- Under (line 11)

**Figures**
- words that come up often: roses 4×
- longest line: 22 characters (line 13)
- 1 code block
";
        assert_eq!(told(text, None), expected);
    }

    #[test]
    fn code_has_definitions() {
        let text = "//! Doc\n\npub fn a() {\n    // FIXME: slow\n    b();\n}\n#[derive(Debug)]\nstruct B;\n";
        let expected = "\
`x` is Rust source code of 8 lines: 5 of code, 2 comment lines, 1 blank line; 2 definitions.

**Left open**
- FIXME: slow (line 4)

**Definitions**
- `pub fn a()` (line 3)
- `struct B;` (line 8)

**Figures**
- longest line: 18 characters (line 4)
";
        assert_eq!(told(text, Some("Rust")), expected);
        assert_eq!((language("rs"), language("txt")), (Some("Rust"), None));
    }

    #[test]
    fn common_words_are_sorted() {
        assert!(is_common("about") && is_common("would") && is_common("these") && !is_common("roses"));
    }
}
