//! Reads a goal by rules: which of the few things that can be done it asks for, and about what.

/// What a goal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A greeting, or the question what can be done.
    Hello,
    /// The time, here or in these zones.
    Time(Vec<String>),
    /// The value of an expression.
    Calculate(String),
    /// Lines that hold a text.
    Search { text: String, path: String },
    /// Files with a name.
    Find(String),
    /// Facts about files and folders; `.` is the workspace.
    Report(Vec<String>),
    /// Anything else.
    Unknown,
}

/// The most files and folders of one goal.
const PATHS_MAX: usize = 4;
/// Bytes of a goal that are read.
const GOAL_BYTES_MAX: usize = 4000;

/// What `text` asks for.
pub(crate) fn read(text: &str) -> Goal {
    let text = crate::words::head(text.trim(), GOAL_BYTES_MAX);
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
    if is_hello(&words, &lower) {
        return Goal::Hello;
    }
    let paths = paths(text);
    if paths.is_empty() && asks_time(&lower) {
        return Goal::Time(zones(text));
    }
    if let Some(expression) = expression(&lower) {
        return Goal::Calculate(expression);
    }
    if let Some(goal) = search(text, &paths) {
        return goal;
    }
    if !paths.is_empty() {
        return Goal::Report(paths);
    }
    if let [verb, _, ..] = words.as_slice()
        && let Some(name) = bare_name(verb, text)
    {
        return Goal::Report(vec![name]);
    }
    let asks = has(&REPORT_WORDS);
    if asks && has(&["folder", "directory", "workspace", "project", "repository", "repo", "here", "files", "codebase"])
    {
        return Goal::Report(vec![".".to_owned()]);
    }
    Goal::Unknown
}

const REPORT_WORDS: [&str; 28] = [
    "what",
    "what's",
    "which",
    "how",
    "summarise",
    "summarize",
    "summary",
    "describe",
    "analyse",
    "analyze",
    "look",
    "read",
    "show",
    "list",
    "explain",
    "report",
    "tell",
    "inspect",
    "overview",
    "check",
    "explore",
    "examine",
    "review",
    "open",
    "count",
    "facts",
    "this",
    "understand",
];

/// The name in `summarise NAME`, `read the NAME`: one word after a verb that asks for a report.
fn bare_name(verb: &str, text: &str) -> Option<String> {
    const VERBS: [&str; 13] = [
        "summarise",
        "summarize",
        "describe",
        "analyse",
        "analyze",
        "inspect",
        "read",
        "open",
        "list",
        "examine",
        "explore",
        "explain",
        "report",
    ];
    const NO_NAMES: [&str; 12] = [
        "this",
        "that",
        "it",
        "me",
        "everything",
        "something",
        "folder",
        "project",
        "workspace",
        "here",
        "files",
        "repository",
    ];
    let mut words =
        text.split_whitespace().skip(1).filter(|word| !matches!(*word, "the" | "file" | "folder" | "directory"));
    let name = words.next()?.trim_matches(|c: char| is_quote(c) || ",;:?!.".contains(c));
    let is_name = words.next().is_none() && !name.is_empty() && !NO_NAMES.contains(&name.to_ascii_lowercase().as_str());
    (VERBS.contains(&verb) && is_name).then(|| name.to_owned())
}

fn is_hello(words: &[&str], lower: &str) -> bool {
    const GREETINGS: [&str; 8] = ["hello", "hi", "hey", "hallo", "moin", "greetings", "howdy", "test"];
    let greets = words.len() <= 4 && words.first().is_some_and(|word| GREETINGS.contains(word));
    let asks =
        ["what can you do", "who are you", "what are you", "how can you help", "what do you do", "are you there"];
    words.is_empty() || greets || words == ["help"] || words.len() <= 8 && asks.iter().any(|ask| lower.contains(ask))
}

fn asks_time(lower: &str) -> bool {
    const ASKS: [&str; 9] = [
        "what time",
        "time is it",
        "current time",
        "the time in",
        "what day is",
        "what is the date",
        "what's the date",
        "today's date",
        "what date",
    ];
    ASKS.iter().any(|ask| lower.contains(ask)) || lower.trim_end_matches('?') == "time"
}

/// Cities whose zone is not called after them, and countries, with a zone of the IANA time zone database.
const PLACES: [(&str, &str); 34] = [
    ("utc", "UTC"),
    ("oslo", "Europe/Oslo"),
    ("london", "Europe/London"),
    ("berlin", "Europe/Berlin"),
    ("munich", "Europe/Berlin"),
    ("germany", "Europe/Berlin"),
    ("paris", "Europe/Paris"),
    ("madrid", "Europe/Madrid"),
    ("rome", "Europe/Rome"),
    ("vienna", "Europe/Vienna"),
    ("zurich", "Europe/Zurich"),
    ("amsterdam", "Europe/Amsterdam"),
    ("stockholm", "Europe/Stockholm"),
    ("helsinki", "Europe/Helsinki"),
    ("athens", "Europe/Athens"),
    ("istanbul", "Europe/Istanbul"),
    ("moscow", "Europe/Moscow"),
    ("cairo", "Africa/Cairo"),
    ("nairobi", "Africa/Nairobi"),
    ("dubai", "Asia/Dubai"),
    ("mumbai", "Asia/Kolkata"),
    ("india", "Asia/Kolkata"),
    ("singapore", "Asia/Singapore"),
    ("shanghai", "Asia/Shanghai"),
    ("beijing", "Asia/Shanghai"),
    ("tokyo", "Asia/Tokyo"),
    ("seoul", "Asia/Seoul"),
    ("sydney", "Australia/Sydney"),
    ("new york", "America/New_York"),
    ("chicago", "America/Chicago"),
    ("los angeles", "America/Los_Angeles"),
    ("san francisco", "America/Los_Angeles"),
    ("são paulo", "America/Sao_Paulo"),
    ("lima", "America/Lima"),
];

/// The zones that a question names, in its order.
fn zones(text: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let mut found: Vec<(usize, String)> = PLACES
        .iter()
        .filter_map(|(place, zone)| {
            let at = lower.find(place)?;
            let whole = is_edge(lower[..at].chars().next_back()) && is_edge(lower[at + place.len()..].chars().next());
            whole.then(|| (at, (*zone).to_owned()))
        })
        .collect();
    const AREAS: [&str; 10] = [
        "Africa/",
        "America/",
        "Antarctica/",
        "Arctic/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    ];
    for word in text.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if AREAS.iter().any(|area| word.starts_with(area)) {
            let at = text.find(word).unwrap_or(0);
            // `Europe/Oslo` names Oslo once, not twice.
            found.retain(|(_, zone)| zone != word);
            found.push((at, word.to_owned()));
        }
    }
    let found = crate::shelf::ranked(found.iter(), |(at, _)| (0, *at as u64));
    let mut zones: Vec<String> = found.into_iter().map(|(_, zone)| zone.clone()).collect();
    zones.dedup();
    zones.truncate(PATHS_MAX);
    zones
}

/// The arithmetic of a question such as `what is 17% of 2,340?`, as the tool `calculate` reads it.
fn expression(lower: &str) -> Option<String> {
    const OPENINGS: [&str; 12] = [
        "what is",
        "what's",
        "whats",
        "how much is",
        "how much are",
        "calculate",
        "compute",
        "evaluate",
        "please",
        "work out",
        "the result of",
        "the value of",
    ];
    let mut rest = lower.trim_end_matches(['?', '.', '!', '=', ' ']);
    while let Some(next) = OPENINGS.iter().find_map(|opening| rest.strip_prefix(opening)) {
        rest = next.trim_start_matches([' ', ':', ',']);
    }
    let mut out = String::new();
    let mut operators = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '0'..='9' | '.' | '(' | ')' => out.push(c),
            ',' if is_thousands(rest, at) => {}
            ',' => out.push(','),
            ' ' => {}
            '%' => {
                out.push_str("/100");
                operators += 1;
            }
            '+' | '-' | '*' | '/' | '^' | '×' | '÷' | '−' => {
                out.push(match c {
                    '×' => '*',
                    '÷' => '/',
                    '−' => '-',
                    other => other,
                });
                operators += 1;
            }
            'a'..='z' => {
                let mut end = at + 1;
                while let Some((next, _)) = chars.next_if(|(_, c)| c.is_ascii_alphabetic()) {
                    end = next + 1;
                }
                out.push_str(operator(&rest[at..end], &out)?);
                operators += 1;
            }
            _ => return None,
        }
    }
    let has_number = out.bytes().any(|b| b.is_ascii_digit());
    let is_date = rest.len() == 10 && rest.bytes().filter(|b| *b == b'-').count() == 2;
    (operators > 0 && has_number && !is_date).then_some(out)
}

/// Whether the comma at `at` separates thousands.
fn is_thousands(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
    at > 0 && bytes[at - 1].is_ascii_digit() && digits == 3
}

/// A word of arithmetic as an operator.
fn operator<'a>(word: &'a str, before: &str) -> Option<&'a str> {
    match word {
        "plus" | "and" if before.ends_with(|c: char| c.is_ascii_digit()) => Some("+"),
        "minus" => Some("-"),
        "times" | "x" => Some("*"),
        "of" if before.ends_with("/100") || before.ends_with(')') => Some("*"),
        "by" if before.ends_with(['/', '*']) => Some(""),
        "divided" | "over" => Some("/"),
        "multiplied" => Some("*"),
        "percent" => Some("/100"),
        "squared" => Some("^2"),
        "sqrt" | "abs" | "min" | "max" | "round" | "floor" | "ceil" | "sin" | "cos" | "tan" | "ln" | "log" | "exp"
        | "pi" => Some(word),
        _ => None,
    }
}

/// `search for X in PATH`, `find *.rs`, `where is X defined`, `which files contain X`.
fn search(text: &str, paths: &[String]) -> Option<Goal> {
    const SEARCHES: [&str; 14] = [
        "search for ",
        "search the workspace for ",
        "search ",
        "grep for ",
        "grep ",
        "find all mentions of ",
        "find mentions of ",
        "find all uses of ",
        "find uses of ",
        "which files contain ",
        "which files mention ",
        "which lines contain ",
        "where is ",
        "look for ",
    ];
    const FINDS: [&str; 6] =
        ["find files named ", "find all files named ", "find the file ", "find all files ", "find files ", "find "];
    let text = text.trim_end_matches(['?', '.', '!']);
    let text = strip_word(text, "please ").unwrap_or(text);
    if let Some(rest) = SEARCHES.iter().find_map(|opening| strip_word(text, opening)) {
        let (wanted, path) = wanted(rest, paths);
        return (!wanted.is_empty()).then_some(Goal::Search { text: wanted, path });
    }
    let rest = FINDS.iter().find_map(|opening| strip_word(text, opening))?;
    let (wanted, path) = wanted(rest, paths);
    let is_name = wanted.contains('*') || path == "." && looks_like_file(&wanted) && !wanted.contains(' ');
    match wanted.as_str() {
        "" => None,
        _ if is_name => Some(Goal::Find(wanted)),
        _ => Some(Goal::Search { text: wanted, path }),
    }
}

/// `text` without an opening in any case.
fn strip_word<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    let head = text.get(..opening.len())?;
    head.eq_ignore_ascii_case(opening).then(|| text[opening.len()..].trim())
}

/// What is searched for and where: `"a b" in src/`.
fn wanted(rest: &str, paths: &[String]) -> (String, String) {
    let rest = strip_word(rest, "the text ").or_else(|| strip_word(rest, "the word ")).unwrap_or(rest);
    let mut wanted = rest;
    let mut path = ".".to_owned();
    if let Some((before, after)) = rest.rsplit_once(" in ") {
        let after = after.trim().trim_matches(is_quote);
        let named = paths.iter().find(|path| after == path.as_str() || after.trim_end_matches('/') == path.as_str());
        let is_here = [
            "here",
            "this folder",
            "this directory",
            "the workspace",
            "this project",
            "the project",
            "all files",
            "this repository",
        ];
        if let Some(named) = named {
            (wanted, path) = (before, named.clone());
        } else if is_here.iter().any(|here| here.eq_ignore_ascii_case(after)) {
            wanted = before;
        } else if let Some(folder) = after
            .strip_prefix("the ")
            .and_then(|after| after.strip_suffix(" folder").or_else(|| after.strip_suffix(" directory")))
        {
            (wanted, path) = (before, folder.to_owned());
        } else if !after.contains(' ') {
            (wanted, path) = (before, after.to_owned());
        }
    }
    for ending in [" defined", " used", " mentioned", " declared"] {
        wanted = wanted.strip_suffix(ending).unwrap_or(wanted);
    }
    (wanted.trim().trim_matches(is_quote).to_owned(), path)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '«' | '»')
}

/// The files and folders that a text names, in its order.
fn paths(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |path: &str| {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if !path.is_empty() && found.len() < PATHS_MAX && !found.iter().any(|known| known == path) {
            found.push(path.to_owned());
        }
    };
    let mut rest = text;
    while !rest.is_empty() {
        // A quoted part is taken whole, so that names may have spaces.
        let quote = rest.chars().next().filter(|c| is_quote(*c) && *c != '\'');
        if let Some(quote) = quote
            && let Some(end) = rest[quote.len_utf8()..].find(is_quote)
        {
            let inner = &rest[quote.len_utf8()..quote.len_utf8() + end];
            if looks_like_path(inner) {
                add(inner);
            }
            let after = &rest[quote.len_utf8() + end..];
            rest = &after[after.chars().next().map_or(0, char::len_utf8)..];
            continue;
        }
        let end = rest
            .char_indices()
            .find(|(at, c)| *at > 0 && (c.is_whitespace() || is_quote(*c) && *c != '\''))
            .map_or(rest.len(), |(at, _)| at);
        let word = rest[..end].trim().trim_matches(|c: char| {
            matches!(c, ',' | ';' | ':' | '?' | '!' | '(' | ')' | '\'' | '[' | ']' | '<' | '>')
        });
        let word = if word.len() > 1 && word != ".." { word.trim_end_matches('.') } else { word };
        if looks_like_path(word) {
            add(word);
        }
        rest = &rest[end..];
        if !rest.starts_with(is_quote) {
            rest = rest.trim_start();
        }
    }
    if found.is_empty()
        && let Some(folder) = named_folder(text)
    {
        found.push(folder);
    }
    found
}

/// `the src folder`, `directory docs`.
fn named_folder(text: &str) -> Option<String> {
    const NO_NAMES: [&str; 24] = [
        "the",
        "this",
        "a",
        "my",
        "current",
        "that",
        "of",
        "in",
        "is",
        "and",
        "for",
        "with",
        "what",
        "which",
        "whole",
        "entire",
        "workspace",
        "project",
        "our",
        "each",
        "every",
        "any",
        "here",
        "to",
    ];
    let words: Vec<&str> =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    let at = words.iter().position(|word| matches!(word.to_ascii_lowercase().as_str(), "folder" | "directory"))?;
    let is_name = |word: &&&str| !word.is_empty() && !NO_NAMES.contains(&word.to_ascii_lowercase().as_str());
    let before = at.checked_sub(1).and_then(|at| words.get(at)).filter(is_name);
    before.or_else(|| words.get(at + 1).filter(is_name)).map(|word| (*word).to_owned())
}

fn looks_like_path(word: &str) -> bool {
    if word.contains("://")
        || word.contains(['\n', '*', '|', '<', '>', '='])
        || !word.contains(|c: char| c.is_alphanumeric() || c == '.')
    {
        return false;
    }
    if matches!(word, "." | "..") {
        return word == ".";
    }
    if word.starts_with(['/', '~']) || word.starts_with("./") || word.starts_with("../") {
        return word.len() > 1;
    }
    let slashes = word.matches('/').count();
    let is_pair = slashes == 1 && !word.contains(['.', '_', '-', ' ']) && !word.ends_with('/');
    let is_zone = word.starts_with(|c: char| c.is_ascii_uppercase()) && is_pair;
    let digits_only = word.chars().all(|c| c.is_ascii_digit() || matches!(c, '/' | '.' | ',' | '-' | '+' | '%'));
    const PAIRS: [&str; 8] =
        ["and/or", "he/she", "his/her", "yes/no", "input/output", "read/write", "on/off", "tcp/ip"];
    if slashes > 0 {
        return !digits_only && !is_zone && !PAIRS.contains(&word.to_ascii_lowercase().as_str());
    }
    !digits_only && looks_like_file(word)
}

/// Whether the last part of a path is a file's name: it has an extension, or is one of the well-known ones.
pub(crate) fn looks_like_file(path: &str) -> bool {
    const KNOWN: [&str; 9] =
        ["readme", "license", "makefile", "dockerfile", "changelog", "copying", "authors", "notice", "gemfile"];
    let name = path.rsplit('/').next().unwrap_or(path);
    if KNOWN.contains(&name.to_ascii_lowercase().as_str())
        && (path.contains('/') || name.starts_with(|c: char| c.is_ascii_uppercase()))
    {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    const NO_FILES: [&str; 5] = ["com", "org", "net", "edu", "gov"];
    let is_short = (1..=10).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    let has_letter = extension.bytes().any(|b| b.is_ascii_alphabetic()) || !stem.is_empty() && stem.contains('.');
    let is_abbreviation = stem.len() <= 1 && extension.len() <= 1;
    is_short && has_letter && !is_abbreviation && !NO_FILES.contains(&extension) && !stem.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(text: &str, path: &str) -> Goal {
        Goal::Search { text: text.into(), path: path.into() }
    }

    fn report(paths: &[&str]) -> Goal {
        Goal::Report(paths.iter().map(|path| (*path).to_owned()).collect())
    }

    fn check(known: &[(&str, Goal)]) {
        for (text, goal) in known {
            assert_eq!(read(text), *goal, "{text}");
        }
    }

    #[test]
    fn files_and_folders_are_found_in_a_goal() {
        check(&[
            ("Summarise examples/log-summary/server.log", report(&["examples/log-summary/server.log"])),
            ("What is unusual in 'server.log'?", report(&["server.log"])),
            ("Compare a.csv and \"my data.csv\", please.", report(&["a.csv", "my data.csv"])),
            ("look at `./src/`", report(&["./src"])),
            ("what is in the docs folder?", report(&["docs"])),
            ("Describe this project", report(&["."])),
            ("What's in this folder?", report(&["."])),
            ("Explain README", report(&["README"])),
            ("errors in /var/log/syslog.", report(&["/var/log/syslog"])),
            ("how many errors are in app.log.1?", report(&["app.log.1"])),
            ("server.log", report(&["server.log"])),
            ("summarise messages", report(&["messages"])),
            ("List the files here", report(&["."])),
            ("read this", Goal::Unknown),
        ]);
    }

    #[test]
    fn the_time_is_asked_in_places() {
        let time = |zones: &[&str]| Goal::Time(zones.iter().map(|zone| (*zone).to_owned()).collect());
        check(&[
            ("What time is it?", time(&[])),
            ("What time is it in Oslo and in Lima?", time(&["Europe/Oslo", "America/Lima"])),
            ("current time in Europe/Oslo", time(&["Europe/Oslo"])),
            ("What time is it in New York", time(&["America/New_York"])),
        ]);
    }

    #[test]
    fn arithmetic_is_translated() {
        let known = [
            ("what is 17% of 2,340?", "17/100*2340"),
            ("2+2", "2+2"),
            ("Calculate (3.5 - 1) * 4", "(3.5-1)*4"),
            ("how much is 12 times 12", "12*12"),
            ("what's 10 divided by 4?", "10/4"),
            ("sqrt(2)", "sqrt(2)"),
            ("what is 5 squared", "5^2"),
        ];
        for (text, expression) in known {
            assert_eq!(read(text), Goal::Calculate(expression.into()), "{text}");
        }
        assert_eq!(read("what is 42"), Goal::Unknown);
        assert_eq!(read("what is love"), Goal::Unknown);
        assert_eq!(read("2026-11-19"), Goal::Unknown);
    }

    #[test]
    fn searches_have_a_text_and_a_place() {
        check(&[
            ("search for \"connection refused\" in logs/app.log", search("connection refused", "logs/app.log")),
            ("find timeout in server.log", search("timeout", "server.log")),
            ("grep TODO in src", search("TODO", "src")),
            ("where is parse_date defined?", search("parse_date", ".")),
            ("which files mention tokio", search("tokio", ".")),
            ("find *.rs", Goal::Find("*.rs".into())),
            ("find Cargo.toml", Goal::Find("Cargo.toml".into())),
        ]);
    }

    #[test]
    fn the_rest_is_not_understood() {
        check(&[
            ("hello", Goal::Hello),
            ("", Goal::Hello),
            ("What can you do?", Goal::Hello),
            ("Write a poem about the sea", Goal::Unknown),
            ("Should I go and/or stay?", Goal::Unknown),
            ("see https://example.com/a.log", Goal::Unknown),
            ("Is example.com nice, e.g. in 2.5 ways?", Goal::Unknown),
        ]);
    }

    #[test]
    fn no_text_is_too_strange() {
        for text in [
            "\"",
            "`a",
            "''",
            "“x.log”",
            "find ",
            "in ",
            "search for  in ",
            "%",
            "((((",
            "ä/ö",
            "\u{1F600}",
            "a\n\nb.c\n",
            "what is ,,,,1+",
            "find “",
        ] {
            let _ = read(text);
        }
    }
}
