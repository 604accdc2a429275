//! Glob patterns: `*` and `?` within a name, `**` across directories, `{a,b}` for either.

/// The most alternatives that the braces of one pattern stand for.
const ALTERNATIVES_MAX: usize = 64;
/// The most bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 1024;

/// A pattern, read.
#[derive(Debug)]
pub(crate) struct Glob {
    /// Each alternative, split at `/`.
    alternatives: Vec<Vec<String>>,
}

impl Glob {
    /// Reads a pattern. One without `/` matches a name at any depth. A leading `./` or `/` means nothing.
    ///
    /// # Errors
    /// A sentence: empty, too long, or braces that stand for too much or are never closed.
    pub(crate) fn parse(pattern: &str) -> Result<Glob, String> {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a glob pattern has 1 to {PATTERN_BYTES_MAX} bytes; found {}", pattern.len()));
        }
        let mut alternatives = Vec::new();
        let mut open = vec![pattern.to_owned()];
        while let Some(text) = open.pop() {
            match first_braces(&text)? {
                None => alternatives.push(text),
                Some((before, choices, after)) => {
                    open.extend(choices.iter().rev().map(|choice| format!("{before}{choice}{after}")));
                }
            }
            if alternatives.len() + open.len() > ALTERNATIVES_MAX {
                return Err(format!("the braces of `{pattern}` stand for more than {ALTERNATIVES_MAX} patterns"));
            }
        }
        let split = |text: String| {
            let text = text.trim_start_matches("./").trim_start_matches('/');
            let anywhere = (!text.contains('/')).then(|| "**".to_owned());
            anywhere.into_iter().chain(text.split('/').filter(|part| !part.is_empty()).map(str::to_owned)).collect()
        };
        Ok(Glob { alternatives: alternatives.into_iter().map(split).collect() })
    }

    /// Whether the pattern matches a relative path.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        self.alternatives.iter().any(|parts| path_matches(parts, &names))
    }
}

type Braces<'a> = (&'a str, Vec<&'a str>, &'a str);

/// The text before the first braces, their choices, and the text after them.
fn first_braces(text: &str) -> Result<Option<Braces<'_>>, String> {
    let Some(start) = text.find('{') else { return Ok(None) };
    let (mut depth, mut from, mut choices) = (0, start + 1, Vec::new());
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b',' if depth == 1 => {
                choices.push(&text[from..at]);
                from = at + 1;
            }
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    choices.push(&text[from..at]);
                    return Ok(Some((&text[..start], choices, &text[at + 1..])));
                }
            }
            _ => {}
        }
    }
    Err(format!("`{text}` has a `{{` that is never closed"))
}

/// Dynamic programming over parts × names, so that many `**` cost no more than one.
fn path_matches(parts: &[String], names: &[&str]) -> bool {
    let mut reached = vec![false; names.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; names.len() + 1];
        if part == "**" {
            let mut any = false;
            for (at, was) in reached.iter().enumerate() {
                any |= was;
                next[at] = any;
            }
        } else {
            for at in 0..names.len() {
                next[at + 1] = reached[at] && name_matches(part, names[at]);
            }
        }
        reached = next;
    }
    reached[names.len()]
}

/// `*` and `?` within one name, going back to the last `*` on a mismatch.
fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::parse(pattern).unwrap();
        for path in yes {
            assert!(glob.matches(path), "{pattern} should match {path}");
        }
        for path in no {
            assert!(!glob.matches(path), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn patterns_match_what_they_say() {
        check("*.rs", &["a.rs", "src/a.rs", ".rs"], &["a.rsx", "a.rs/b"]);
        check("src/*.rs", &["src/a.rs"], &["a.rs", "src/b/a.rs", "x/src/a.rs"]);
        check("src/**/*.rs", &["src/a.rs", "src/b/c/a.rs"], &["a.rs", "src"]);
        check("**", &["a", "a/b"], &[]);
        check("**/test/**", &["test/a", "x/test/a/b", "test"], &["tests/a"]);
        check("*.{rs,toml}", &["a.rs", "b/Cargo.toml"], &["a.md"]);
        check("{src,tests/{a,b}}/*.rs", &["src/x.rs", "tests/a/x.rs", "tests/b/x.rs"], &["tests/x.rs", "tests/c/x.rs"]);
        check("a?c", &["abc", "aäc"], &["ac", "abbc"]);
        check("./src//x", &["src/x"], &["x"]);
        check("[ab].rs", &["[ab].rs"], &["a.rs"]);
        check("a*b*c", &["abc", "aXbYc", "abbcc"], &["acb", "ab"]);
    }

    #[test]
    fn t4_hostile_patterns_are_refused_or_fast() {
        for pattern in ["", "{a,b", "a{b{c}", &"{a,b}".repeat(8), &"x".repeat(2_000)] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
        let started = std::time::Instant::now();
        let stars = "a*".repeat(200) + "b";
        assert!(!Glob::parse(&stars).unwrap().matches(&"a".repeat(4_000)));
        let deep = "**/a/".repeat(100) + "b";
        assert!(!Glob::parse(&deep).unwrap().matches(&"a/".repeat(1_000)));
        assert!(started.elapsed().as_secs() < 10);
    }

    #[test]
    fn a_pattern_made_from_a_path_matches_it() {
        let mut seed = 7u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..5_000 {
            let names: Vec<String> = (0..1 + random(4))
                .map(|_| (0..1 + random(5)).map(|_| char::from(b'a' + random(3) as u8)).collect())
                .collect();
            let mut pattern: Vec<String> = Vec::new();
            for name in &names {
                match random(5) {
                    0 => pattern.push("*".into()),
                    1 => pattern.push("?".repeat(name.len())),
                    2 => pattern.push(format!("{{zz,{name}}}")),
                    3 => pattern.extend(["**".into(), format!("*{}", &name[name.len() - 1..])]),
                    _ => pattern.push(name.clone()),
                }
            }
            let (path, pattern) = (names.join("/"), format!("/{}", pattern.join("/")));
            assert!(Glob::parse(&pattern).unwrap().matches(&path), "round {round}: {pattern} {path}");
        }
    }
}
