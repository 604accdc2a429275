//! The gates that compare texts: `aether-tidy spec` and `aether-tidy coverage`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use aether_tidy::coverage::coverage;
use aether_tidy::spec::{Measured, compare, promises, read_measured};
use aether_tidy::{RULES, Tree};

const USAGE: &str = "usage: aether-tidy spec SPEC.md PREFIX MEASURED.json…   (PREFIX \"\" asks for every promise)
       aether-tidy coverage FOLDER REPORT.json       (run it at the root of the repository)
       aether-tidy rules";

/// What a gate found: lines for people, and whether it holds.
struct Report {
    lines: Vec<String>,
    holds: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match words.as_slice() {
        ["spec", document, prefix, measured @ ..] if !measured.is_empty() => spec(document, prefix, measured),
        ["coverage", folder, report] => covered(folder, report),
        ["rules"] => Ok(Report { lines: RULES.iter().map(|(name, _)| (*name).to_owned()).collect(), holds: true }),
        _ => Err(USAGE.to_owned()),
    };
    let (lines, code) = match report {
        Ok(report) => (report.lines, ExitCode::from(u8::from(!report.holds))),
        Err(sentence) => (vec![sentence], ExitCode::from(2)),
    };
    let mut out = io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return ExitCode::from(2);
        }
    }
    code
}

fn read(path: impl AsRef<Path>) -> Result<String, String> {
    let path = path.as_ref();
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn spec(document: &str, prefix: &str, files: &[&str]) -> Result<Report, String> {
    let promises = promises(&read(document)?).map_err(|error| format!("{document}: {error}"))?;
    let mut measured = Measured::new();
    for file in files {
        read_measured(&read(file)?, &mut measured).map_err(|error| format!("{file}: {error}"))?;
    }
    let verdict = compare(&promises, &measured, prefix);
    let holds = verdict.broken.is_empty();
    let kept = verdict.kept.iter().map(|line| format!("kept    {line}"));
    let broken = verdict.broken.iter().map(|line| format!("BROKEN  {line}"));
    Ok(Report { lines: kept.chain(broken).collect(), holds })
}

fn covered(folder: &str, report: &str) -> Result<Report, String> {
    let tree = Tree::new(texts(Path::new(folder))?);
    let found = coverage(&tree, folder, &read(report)?)?;
    let reached = found.regions - found.missed.len();
    let mut lines = by_file(&found.missed);
    lines.push(format!("{folder}: {reached} of {} regions reached", found.regions));
    Ok(Report { lines, holds: found.missed.is_empty() })
}

/// `path:line:column` places, one line a file.
fn by_file(places: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut file = "";
    for place in places {
        let (path, at) = place.split_once(':').unwrap_or((place, ""));
        if path != file {
            lines.push(format!("MISSED  {path} at"));
            file = path;
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(at);
        }
    }
    lines
}

/// Every Rust file below `folder`, with its path as given.
fn texts(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push((path.to_string_lossy().replace('\\', "/"), read(&path)?));
            }
        }
    }
    Ok(found)
}
