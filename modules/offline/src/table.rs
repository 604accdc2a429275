//! Facts of a table: rows, columns and their types, what is missing, what does not fit.
//!
//! The format is RFC 4180 (section 2) with any of four separators: fields in double quotes may hold separators,
//! doubled quotes and line breaks.

use std::collections::BTreeMap;

use crate::carry::carry;
use crate::log::Odd;
use crate::report::Report;
use crate::shelf;
use crate::template;
use crate::words::{self, count, counted};

/// Columns that are followed.
const COLUMNS_MAX: usize = 60;
/// Columns that are shown.
const COLUMNS_SHOWN_MAX: usize = 30;
/// Different values of a column that are counted.
const VALUES_MAX: usize = 50;
/// Bytes of a value that are kept.
const VALUE_BYTES_MAX: usize = 40;
/// Different rows that are remembered to find copies.
const ROWS_REMEMBERED_MAX: usize = 2_000;
/// Bytes of one row.
const ROW_BYTES_MAX: usize = 256 << 10;

/// One column.
#[derive(Clone, Debug, Default, PartialEq)]
struct Column {
    name: String,
    missing: u64,
    first_missing: u64,
    numbers: u64,
    min: f64,
    min_line: u64,
    max: f64,
    max_line: u64,
    sum: f64,
    /// The first value that is no number.
    first_text_line: u64,
    values: BTreeMap<String, u64>,
    values_beyond: u64,
}
carry!(Column {
    name,
    missing,
    first_missing,
    numbers,
    min,
    min_line,
    max,
    max_line,
    sum,
    first_text_line,
    values,
    values_beyond
});

/// Everything that is known of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    separator: u64,
    has_header: bool,
    columns: Vec<Column>,
    rows: u64,
    /// The first row, until the second shows whether it is a header.
    first: Option<Vec<String>>,
    first_line: u64,
    /// A row whose quotes are still open, and where it began.
    open: String,
    open_line: u64,
    ragged: Odd,
    copies: Odd,
    /// Digests of rows, and the first line of each.
    remembered: BTreeMap<u64, u64>,
}
carry!(Table { separator, has_header, columns, rows, first, first_line, open, open_line, ragged, copies, remembered });

/// The separator of a table that begins with these lines: one that cuts the first lines into the same number of fields.
pub(crate) fn separator(lines: &[&str]) -> Option<char> {
    let lines: Vec<&&str> = lines.iter().filter(|line| !line.trim().is_empty()).take(10).collect();
    if lines.len() < 2 {
        return None;
    }
    [',', '\t', ';', '|'].into_iter().find(|separator| {
        let fields = split(lines[0], *separator).len();
        let same = lines.iter().filter(|line| split(line, *separator).len() == fields).count();
        fields > 1 && same * 10 >= lines.len() * 8
    })
}

impl Table {
    pub(crate) fn new(separator: char) -> Table {
        Table { separator: u64::from(u32::from(separator)), ..Table::default() }
    }

    fn separator(&self) -> char {
        u32::try_from(self.separator).ok().and_then(char::from_u32).unwrap_or(',')
    }

    /// Takes in the next line.
    pub(crate) fn line(&mut self, number: u64, text: &str) {
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text = if number == 1 { text.strip_prefix('\u{FEFF}').unwrap_or(text) } else { text };
        if !self.open.is_empty() {
            self.open.push('\n');
        } else {
            if text.trim().is_empty() {
                return;
            }
            self.open_line = number;
        }
        self.open.push_str(text);
        let is_open = !self.open.matches('"').count().is_multiple_of(2);
        if is_open && self.open.len() < ROW_BYTES_MAX {
            return;
        }
        let row = std::mem::take(&mut self.open);
        self.row(self.open_line, split(&row, self.separator()));
    }

    /// The last line was taken in.
    pub(crate) fn end(&mut self) {
        if !self.open.is_empty() {
            let row = std::mem::take(&mut self.open);
            self.ragged.add(self.open_line);
            self.row(self.open_line, split(&row, self.separator()));
        }
        if let Some(first) = self.first.take() {
            self.begin(first, None);
        }
    }

    fn row(&mut self, line: u64, fields: Vec<String>) {
        if self.columns.is_empty() {
            match self.first.take() {
                None => {
                    self.first = Some(fields);
                    self.first_line = line;
                    return;
                }
                Some(first) => self.begin(first, Some(&fields)),
            }
        }
        self.fields(line, &fields);
    }

    /// Decides whether the first row is a header: all its fields are words, are filled in and differ, and below them
    /// stands a number, or nothing that is among them.
    fn begin(&mut self, first: Vec<String>, second: Option<&[String]>) {
        let filled = first.iter().all(|field| !field.trim().is_empty() && number(field).is_none());
        let differ = first.iter().enumerate().all(|(n, field)| !first[..n].contains(field));
        let below =
            second.is_none_or(|second| !second.iter().any(|field| !field.trim().is_empty() && first.contains(field)));
        self.has_header = filled && differ && below;
        for (n, field) in first.iter().enumerate().take(COLUMNS_MAX) {
            let name = if self.has_header {
                words::head(field.trim(), VALUE_BYTES_MAX).to_owned()
            } else {
                format!("column {}", n + 1)
            };
            self.columns.push(Column { name, min: f64::INFINITY, max: f64::NEG_INFINITY, ..Column::default() });
        }
        if !self.has_header {
            self.fields(self.first_line, &first);
        }
    }

    fn fields(&mut self, line: u64, fields: &[String]) {
        self.rows += 1;
        if fields.len().min(COLUMNS_MAX) != self.columns.len() {
            self.ragged.add(line);
        }
        let digest = fields.iter().fold(0u64, |sum, field| sum.rotate_left(7) ^ template::digest(field));
        if self.remembered.contains_key(&digest) {
            self.copies.add(line);
        } else if self.remembered.len() < ROWS_REMEMBERED_MAX {
            self.remembered.insert(digest, line);
        }
        for (column, field) in self.columns.iter_mut().zip(fields) {
            column.add(field.trim(), line);
        }
        for column in self.columns.iter_mut().skip(fields.len()) {
            column.add("", line);
        }
    }

    /// Writes what is known of the table called `name`.
    pub(crate) fn write(&self, name: &str, report: &mut Report) {
        let separator = match self.separator() {
            '\t' => "tabs",
            ';' => "semicolons",
            '|' => "bars",
            _ => "commas",
        };
        let header =
            if self.has_header { format!("a header in line {}", self.first_line) } else { "no header".to_owned() };
        report.say(format!(
            "{name} is a table of {} and {}, separated by {separator}, with {header}.",
            counted(self.rows, "row", "rows"),
            counted(self.columns.len() as u64, "column", "columns")
        ));
        report.section("Does not fit");
        if self.ragged.total > 0 {
            report.item(format!(
                "{} with more or fewer fields than the first ({})",
                counted(self.ragged.total, "row", "rows"),
                self.ragged.place()
            ));
        }
        if self.copies.total > 0 {
            report.item(format!(
                "{} of an earlier row ({})",
                counted(self.copies.total, "exact copy", "exact copies"),
                self.copies.place()
            ));
        }
        if self.remembered.len() >= ROWS_REMEMBERED_MAX {
            report.item(format!(
                "copies were only looked for among the first {} different rows",
                count(ROWS_REMEMBERED_MAX as u64)
            ));
        }
        report.section("Columns");
        for column in self.columns.iter().take(COLUMNS_SHOWN_MAX) {
            report.item(column.text(self.rows));
        }
        if self.columns.len() > COLUMNS_SHOWN_MAX {
            report.item(format!("{} more columns", self.columns.len() - COLUMNS_SHOWN_MAX));
        }
    }
}

impl Column {
    fn add(&mut self, value: &str, line: u64) {
        if matches!(value, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "-") {
            self.missing += 1;
            if self.missing == 1 {
                self.first_missing = line;
            }
            return;
        }
        match number(value) {
            Some(number) => {
                self.numbers += 1;
                self.sum += number;
                if number < self.min {
                    (self.min, self.min_line) = (number, line);
                }
                if number > self.max {
                    (self.max, self.max_line) = (number, line);
                }
            }
            None if self.first_text_line == 0 => self.first_text_line = line,
            None => {}
        }
        if let Some(seen) = self.values.get_mut(words::head(value, VALUE_BYTES_MAX)) {
            *seen += 1;
        } else if self.values.len() < VALUES_MAX {
            self.values.insert(words::head(value, VALUE_BYTES_MAX).to_owned(), 1);
        } else {
            self.values_beyond += 1;
        }
    }

    fn text(&self, rows: u64) -> String {
        let filled = rows.saturating_sub(self.missing);
        let texts = filled.saturating_sub(self.numbers);
        let mut text = format!("{}: ", words::code(&self.name, 40));
        let is_numeric = self.numbers * 2 >= filled && self.numbers > 0;
        if filled == 0 {
            text += "always empty";
        } else if is_numeric {
            text += &format!(
                "number, {} (line {}) to {} (line {}), mean {}",
                words::number(self.min),
                count(self.min_line),
                words::number(self.max),
                count(self.max_line),
                words::number(self.sum / self.numbers as f64)
            );
            if texts > 0 {
                text += &format!(", {} not a number (first line {})", count(texts), count(self.first_text_line));
            }
        } else {
            text += &format!("{}, {}", self.kind(), self.tops(filled));
        }
        if self.missing > 0 && filled > 0 {
            text += &format!(
                ", missing in {} (first line {})",
                counted(self.missing, "row", "rows"),
                count(self.first_missing)
            );
        }
        text
    }

    fn kind(&self) -> &'static str {
        let all = |is: fn(&str) -> bool| self.values.keys().all(|value| is(value));
        if all(|value| crate::stamp::parse(value).is_some() || is_date(value)) {
            "date"
        } else if all(|value| {
            ["true", "false", "yes", "no", "0", "1"].iter().any(|word| word.eq_ignore_ascii_case(value))
        }) {
            "yes or no"
        } else if self.numbers > 0 {
            "text and numbers"
        } else {
            "text"
        }
    }

    fn tops(&self, filled: u64) -> String {
        if self.values_beyond == 0 && (self.kind() == "date" || self.values.len() as u64 == filled) {
            let (first, last) = (self.values.keys().next(), self.values.keys().next_back());
            let edge = |value: Option<&String>| value.map_or_else(String::new, |value| words::code(value, 30));
            return format!(
                "{} from {} to {}",
                counted(self.values.len() as u64, "different value", "different values"),
                edge(first),
                edge(last)
            );
        }
        let ranked = shelf::ranked(self.values.iter(), |(_, seen)| (**seen, 0));
        let named = ranked.iter().take(3).map(|(value, seen)| format!("{} {}×", words::code(value, 30), count(**seen)));
        let more = if self.values_beyond > 0 { "more than " } else { "" };
        format!(
            "{more}{}, {}",
            counted(self.values.len() as u64, "different value", "different values"),
            named.collect::<Vec<_>>().join(", ")
        )
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(n, b)| if n == 4 || n == 7 { matches!(b, b'-' | b'/') } else { b.is_ascii_digit() })
}

/// A number as tables have them: perhaps with a sign, a decimal point, an exponent.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let starts = text.strip_prefix(['-', '+']).unwrap_or(text).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if starts { text.parse::<f64>().ok().filter(|number| number.is_finite()) } else { None }
}

/// The fields of one row.
fn split(row: &str, separator: char) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = row.chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                is_quoted = true;
            }
            c if c == separator && !is_quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let mut table = Table::new(separator(&lines).unwrap_or(','));
        for (n, line) in lines.iter().enumerate() {
            table.line(n as u64 + 1, line);
            table = crate::carry::read(&crate::carry::write(&table)).unwrap();
        }
        table.end();
        let mut report = Report::default();
        table.write("`x.csv`", &mut report);
        report.into_pieces().concat()
    }

    #[test]
    fn a_table_is_told_with_lines() {
        let text = "id,city,born,price\n1,Oslo,2001-02-03,2.5\n2,\"Lima, Peru\",2002-02-03,\n3,Oslo,2003-01-01,10\n3,Oslo,2003-01-01,10\n4,Oslo\n5,\"a \"\"b\"\"\nc\",2004-01-01,n/a?\n";
        let expected = "\
`x.csv` is a table of 6 rows and 4 columns, separated by commas, with a header in line 1.

**Does not fit**
- 1 row with more or fewer fields than the first (line 6)
- 1 exact copy of an earlier row (line 5)

**Columns**
- `id`: number, 1 (line 2) to 5 (line 7), mean 3
- `city`: text, 3 different values, `Oslo` 4×, `Lima, Peru` 1×, `a \"b\" c` 1×
- `born`: date, 4 different values from `2001-02-03` to `2004-01-01`, missing in 1 row (first line 6)
- `price`: number, 2.5 (line 2) to 10 (line 4), mean 7.5, 1 not a number (first line 7), missing in 2 rows (first line 3)
";
        assert_eq!(told(text), expected);
    }

    #[test]
    fn a_table_may_have_no_header() {
        let text = told("1;a\n2;b\n3;a\n");
        assert!(
            text.starts_with("`x.csv` is a table of 3 rows and 2 columns, separated by semicolons, with no header."),
            "{text}"
        );
        assert!(text.contains("- `column 1`: number, 1 (line 1) to 3 (line 3), mean 2\n"), "{text}");
    }

    #[test]
    fn prose_has_no_separator() {
        assert_eq!(separator(&["Hello, world", "this is text", "and more"]), None);
        assert_eq!(separator(&["a\tb", "c\td"]), Some('\t'));
        assert_eq!(separator(&["a,b"]), None);
    }

    #[test]
    fn an_open_quote_ends_with_the_file() {
        let mut table = Table::new(',');
        ["a,b", "1,2", "3,\"x"].iter().enumerate().for_each(|(n, line)| table.line(n as u64 + 1, line));
        table.end();
        assert_eq!((table.rows, table.ragged.lines.as_slice()), (2, &[3][..]));
    }
}
