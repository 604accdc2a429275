//! The promises of `docs/SPEC.md` against what was measured.
//!
//! A promise is a row of any table in that file: the first cell holds the name in backquotes, one cell reads `≤ N`,
//! `≥ N` or `= N` (digits may be grouped by commas or blanks). Measurements are JSON objects of name and number.

use std::collections::BTreeMap;
use std::fmt;

/// What a promise says about its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `≤ N`
    AtMost,
    /// `≥ N`
    AtLeast,
    /// `= N`
    Exactly,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// The name, unit last: `lite_bytes`.
    pub name: String,
    /// Which way it is bounded.
    pub bound: Bound,
    /// The number, in the unit of the name.
    pub number: f64,
}

/// Measured numbers by name.
pub type Measured = BTreeMap<String, f64>;

/// What a comparison came to.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    /// One line for each promise that held, with its number.
    pub kept: Vec<String>,
    /// One sentence for each promise that did not, or that nobody measured.
    pub broken: Vec<String>,
}

/// Why a text could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// A row with a name but without a bound, by line.
    Row(usize),
    /// The same name twice.
    Twice(String),
    /// No row at all.
    Empty,
    /// Not a JSON object of numbers.
    Numbers(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(line) => {
                write!(out, "line {line} names a promise without a bound: write `≤ N`, `≥ N` or `= N` into one cell")
            }
            Self::Twice(name) => write!(out, "`{name}` is given twice: keep one"),
            Self::Empty => write!(out, "no promise was found: a row reads | `name` | … | ≤ N | …"),
            Self::Numbers(found) => write!(out, "measurements are one JSON object of names and numbers, found {found}"),
        }
    }
}

/// The promises of a document.
///
/// # Errors
/// [`Unreadable`] when a row has no bound, a name comes twice or there is no row.
pub fn promises(document: &str) -> Result<Vec<Promise>, Unreadable> {
    let mut found: Vec<Promise> = Vec::new();
    for (index, line) in document.lines().enumerate() {
        let Some(row) = line.trim().strip_prefix("| `") else { continue };
        let Some((name, cells)) = row.split_once('`') else { continue };
        let Some((bound, number)) = cells.split('|').find_map(bound) else { return Err(Unreadable::Row(index + 1)) };
        if found.iter().any(|promise| promise.name == name) {
            return Err(Unreadable::Twice(name.to_owned()));
        }
        found.push(Promise { name: name.to_owned(), bound, number });
    }
    if found.is_empty() { Err(Unreadable::Empty) } else { Ok(found) }
}

fn bound(cell: &str) -> Option<(Bound, f64)> {
    let cell = cell.trim();
    let (bound, rest) = [('≤', Bound::AtMost), ('≥', Bound::AtLeast), ('=', Bound::Exactly)]
        .into_iter()
        .find_map(|(mark, bound)| Some((bound, cell.strip_prefix(mark)?)))?;
    let digits: String =
        rest.trim().chars().take_while(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ',' | ' ')).collect();
    let number = digits.replace([',', ' '], "").parse().ok()?;
    Some((bound, number))
}

/// Adds the numbers of one JSON text to `measured`.
///
/// # Errors
/// [`Unreadable`] when the text is not an object of numbers, or a name was measured before.
pub fn read_measured(json: &str, measured: &mut Measured) -> Result<(), Unreadable> {
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| Unreadable::Numbers(error.to_string()))?;
    let object = value.as_object().ok_or_else(|| Unreadable::Numbers("something else".to_owned()))?;
    for (name, value) in object {
        let number = value.as_f64().ok_or_else(|| Unreadable::Numbers(format!("`{name}`: {value}")))?;
        if measured.insert(name.clone(), number).is_some() {
            return Err(Unreadable::Twice(name.clone()));
        }
    }
    Ok(())
}

/// Holds every promise whose name starts with `prefix` against the measurements, and every measurement against the promises.
#[must_use]
pub fn compare(promises: &[Promise], measured: &Measured, prefix: &str) -> Verdict {
    let mut verdict = Verdict::default();
    for promise in promises.iter().filter(|promise| promise.name.starts_with(prefix)) {
        let (name, number) = (&promise.name, promise.number);
        let (mark, wanted) = match promise.bound {
            Bound::AtMost => ('≤', "at most"),
            Bound::AtLeast => ('≥', "at least"),
            Bound::Exactly => ('=', "exactly"),
        };
        match measured.get(name) {
            None => verdict.broken.push(format!(
                "{name}: promised {mark} {number}, but not measured: add it to the measurement or take the promise back"
            )),
            Some(found) if holds(promise.bound, *found, number) => {
                verdict.kept.push(format!("{name}: {found} ({mark} {number})"))
            }
            Some(found) => verdict.broken.push(format!("{name}: measured {found}, promised {wanted} {number}")),
        }
    }
    for name in measured.keys().filter(|name| !promises.iter().any(|promise| promise.name == **name)) {
        verdict.broken.push(format!("{name}: measured, but nothing is promised about it: add a row"));
    }
    verdict
}

fn holds(bound: Bound, found: f64, number: f64) -> bool {
    match bound {
        Bound::AtMost => found <= number,
        Bound::AtLeast => found >= number,
        Bound::Exactly => (found - number).abs() < f64::EPSILON,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Measured, Unreadable, compare, promises, read_measured};

    const SPEC: &str = "# Promises\n\n| name | what | promise |\n|---|---|---|\n| `size_lite_bytes` | the binary | ≤ 3,000,000 bytes |\n| `runs_per_second` | runs | ≥ 5000 |\n| `tasks_left` | after drain | = 0 |\n";

    fn measured(json: &str) -> Measured {
        let mut measured = Measured::new();
        read_measured(json, &mut measured).unwrap();
        measured
    }

    #[test]
    fn rows_are_read() {
        let found = promises(SPEC).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found[0].name.as_str(), found[0].bound, found[0].number as u64),
            ("size_lite_bytes", Bound::AtMost, 3_000_000)
        );
    }

    #[test]
    fn kept_promises_are_listed_with_their_numbers() {
        let verdict = compare(
            &promises(SPEC).unwrap(),
            &measured(r#"{"size_lite_bytes":3000000,"runs_per_second":5000.5,"tasks_left":0}"#),
            "",
        );
        assert_eq!(verdict.broken, [""; 0]);
        assert_eq!(verdict.kept[0], "size_lite_bytes: 3000000 (≤ 3000000)");
    }

    #[test]
    fn r2_broken_missing_and_unpromised_numbers_are_named() {
        let verdict =
            compare(&promises(SPEC).unwrap(), &measured(r#"{"size_lite_bytes":3000001,"tasks_left":1,"other":1}"#), "");
        let wanted = [
            "size_lite_bytes: measured 3000001, promised at most 3000000",
            "runs_per_second: promised ≥ 5000, but not measured: add it to the measurement or take the promise back",
            "tasks_left: measured 1, promised exactly 0",
            "other: measured, but nothing is promised about it: add a row",
        ];
        assert_eq!(verdict.broken, wanted);
    }

    #[test]
    fn a_prefix_asks_for_some_promises_only() {
        let verdict = compare(&promises(SPEC).unwrap(), &measured(r#"{"size_lite_bytes":1}"#), "size_");
        assert_eq!((verdict.kept.len(), verdict.broken.len()), (1, 0));
    }

    #[test]
    fn r2_what_cannot_be_read_is_an_error() {
        assert_eq!(promises("# nothing"), Err(Unreadable::Empty));
        assert_eq!(promises("| `a` | soon |"), Err(Unreadable::Row(1)));
        assert_eq!(promises("| `a` | ≤ 1 |\n| `a` | ≤ 2 |"), Err(Unreadable::Twice("a".to_owned())));
        for json in ["", "[]", "{\"a\":\"1\"}"] {
            assert!(matches!(read_measured(json, &mut Measured::new()), Err(Unreadable::Numbers(_))), "{json}");
        }
        assert_eq!(read_measured("{\"a\":1}", &mut measured("{\"a\":1}")), Err(Unreadable::Twice("a".to_owned())));
    }
}
