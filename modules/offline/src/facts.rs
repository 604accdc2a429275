//! What kind of file it is, and the facts that are gathered for its kind.

use crate::carry::{Carry, Items};
use crate::json_shape::Shape;
use crate::log::{self, Log};
use crate::log_report;
use crate::prose::{self, Prose};
use crate::reading::Ending;
use crate::report::Report;
use crate::table::{self, Table};

/// The facts of one file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Facts {
    Log(Box<Log>),
    Table(Box<Table>),
    Shape(Box<Shape>),
    Prose(Box<Prose>),
}

/// Lines that are looked at to tell what a file is.
const SAMPLE_LINES_MAX: usize = 60;

impl Facts {
    /// Facts of the kind that suits a file's name and beginning.
    pub(crate) fn detect(path: &str, text: &str) -> Facts {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        // `app.log.1` is a log like `app.log`.
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let sample: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(SAMPLE_LINES_MAX).collect();
        if let Some(language) = prose::language(extension) {
            return Facts::Prose(Box::new(Prose::new(Some(language))));
        }
        match extension {
            "csv" => return Facts::table(table::separator(&sample).unwrap_or(',')),
            "tsv" | "tab" => return Facts::table('\t'),
            "json" | "geojson" | "ipynb" | "webmanifest" => return Facts::Shape(Box::default()),
            "log" | "err" | "syslog" => return Facts::Log(Box::default()),
            "md" | "markdown" | "rst" | "adoc" | "toml" | "yaml" | "yml" | "xml" | "html" | "tex" => {
                return Facts::Prose(Box::default());
            }
            _ => {}
        }
        let like_log = sample.iter().filter(|line| log::is_log_line(line)).count();
        if like_log > 0 && like_log * 10 >= sample.len() * 4 {
            return Facts::Log(Box::default());
        }
        if matches!(extension, "jsonl" | "ndjson") || text.trim_start().starts_with(['{', '[']) {
            return Facts::Shape(Box::default());
        }
        match table::separator(&sample) {
            Some(separator) => Facts::table(separator),
            None => Facts::Prose(Box::default()),
        }
    }

    fn table(separator: char) -> Facts {
        Facts::Table(Box::new(Table::new(separator)))
    }

    /// Takes in the next line, which has so many bytes and may be known in part only.
    pub(crate) fn line(&mut self, number: u64, text: &str, bytes: u64) {
        match self {
            Facts::Log(log) => log.line(number, text, bytes),
            Facts::Table(table) => table.line(number, text),
            Facts::Shape(shape) => shape.line(number, text, Ending::Complete),
            Facts::Prose(prose) => prose.line(number, text),
        }
    }

    /// The last line was taken in.
    pub(crate) fn end(&mut self) {
        match self {
            Facts::Log(log) => log.end(),
            Facts::Table(table) => table.end(),
            Facts::Shape(shape) => shape.end(),
            Facts::Prose(_) => {}
        }
    }

    /// Writes what is known of the file called `name`.
    pub(crate) fn write(&self, name: &str, report: &mut Report) {
        match self {
            Facts::Log(log) => log_report::write(log, name, report),
            Facts::Table(table) => table.write(name, report),
            Facts::Shape(shape) => shape.write(name, report),
            Facts::Prose(prose) => prose.write(name, report),
        }
    }
}

impl Carry for Facts {
    fn save(&self, out: &mut String) {
        let (kind, facts): (u64, &dyn Fn(&mut String)) = match self {
            Facts::Log(log) => (0, &|out| log.save(out)),
            Facts::Table(table) => (1, &|out| table.save(out)),
            Facts::Shape(shape) => (2, &|out| shape.save(out)),
            Facts::Prose(prose) => (3, &|out| prose.save(out)),
        };
        kind.save(out);
        facts(out);
    }
    fn load(items: &mut Items) -> Option<Facts> {
        match u64::load(items)? {
            0 => Carry::load(items).map(Facts::Log),
            1 => Carry::load(items).map(Facts::Table),
            2 => Carry::load(items).map(Facts::Shape),
            3 => Carry::load(items).map(Facts::Prose),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_name_and_content() {
        let kind = |path: &str, text: &str| match Facts::detect(path, text) {
            Facts::Log(_) => "log",
            Facts::Table(_) => "table",
            Facts::Shape(_) => "json",
            Facts::Prose(_) => "prose",
        };
        let known = [
            ("a/app.log.1", "x", "log"),
            ("messages", "Nov 19 03:14:15 host a: b\nNov 19 03:14:16 host a: c", "log"),
            ("events.jsonl", "{\"time\":\"2026-11-19T03:14:15Z\",\"level\":\"info\"}", "log"),
            ("points.jsonl", "{\"x\":1}\n{\"x\":2}", "json"),
            ("data", " [1]", "json"),
            ("data.txt", "a;b\n1;2\n3;4", "table"),
            ("x.csv", "", "table"),
            ("main.rs", "fn main() {}", "prose"),
            ("README", "Hello there.\nThis is it.", "prose"),
            ("", "", "prose"),
        ];
        for (path, text, expected) in known {
            assert_eq!(kind(path, text), expected, "{path}");
        }
    }
}
