//! Texts of the repository, and Rust source with its strings, comments and tests blanked out.

/// Every text file of the repository, by path relative to its root.
#[derive(Debug, Default)]
pub struct Tree {
    files: Vec<Source>,
}

impl Tree {
    /// A tree of `(path, text)` pairs; paths use `/` and are relative to the root.
    #[must_use]
    pub fn new(files: Vec<(String, String)>) -> Self {
        let mut files: Vec<Source> = files.into_iter().map(|(path, text)| Source::new(path, text)).collect();
        let tests = declared_test_files(&files);
        for file in &mut files {
            if is_test_path(&file.path) || tests.iter().any(|test| under(&file.path, test)) {
                file.blank_test(0, file.code.len());
            }
        }
        Self { files }
    }

    /// The same for literals.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// Every Rust file.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The file at exactly this path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The text at exactly this path, empty when there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.file(path).map_or("", |file| &file.text)
    }
}

/// One file.
#[derive(Debug)]
pub struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    /// As it is on disk.
    pub text: String,
    /// Rust only: strings, characters and comments replaced by spaces, line by line the same.
    pub code: String,
    /// Rust only: `code` with everything that exists only for tests replaced by spaces too.
    pub production: String,
    /// Rust only: for each line, whether it exists only for tests.
    tested: Vec<bool>,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        if !path.ends_with(".rs") {
            return Self { path, text, code: String::new(), production: String::new(), tested: Vec::new() };
        }
        let code = without_strings_and_comments(&text);
        let mut file = Self { path, text, production: code.clone(), tested: vec![false; code.lines().count()], code };
        for (from, to) in test_items(&file.code) {
            file.blank_test(from, to);
        }
        file
    }

    /// Marks the bytes from `from` to `to` as existing only for tests.
    fn blank_test(&mut self, from: usize, to: usize) {
        let line = |at: usize| self.code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        let (first, last) = (line(from), line(to.saturating_sub(1).max(from)));
        let mut bytes = std::mem::take(&mut self.production).into_bytes();
        blank(&mut bytes, from, to);
        self.production = String::from_utf8_lossy(&bytes).into_owned();
        for tested in self.tested.iter_mut().take(last + 1).skip(first) {
            *tested = true;
        }
    }

    /// How many lines are not part of a test: code, comments and blank lines alike.
    #[must_use]
    pub fn production_lines(&self) -> usize {
        self.tested.iter().filter(|tested| !**tested).count()
    }

    /// How many lines carry code that is not part of a test.
    #[must_use]
    pub fn code_lines(&self) -> usize {
        self.production.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// The lines that exist only for tests, comments included.
    pub fn test_lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().zip(&self.tested).filter(|(_, tested)| **tested).map(|(line, _)| line)
    }

    /// Whether this line, counted from 1, exists only for tests.
    #[must_use]
    pub fn is_test_line(&self, line: usize) -> bool {
        line.checked_sub(1).and_then(|index| self.tested.get(index)).copied().unwrap_or(false)
    }
}

/// Whether `path` belongs to tests, examples or benches of a crate by its place alone.
fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs"))
}

fn under(path: &str, module: &str) -> bool {
    path == format!("{module}.rs") || path.starts_with(&format!("{module}/"))
}

/// Modules declared as `#[cfg(test)] mod name;`, as paths without their ending.
fn declared_test_files(files: &[Source]) -> Vec<String> {
    let mut modules = Vec::new();
    for file in files {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        let stem = name.trim_end_matches(".rs");
        let base = if matches!(stem, "lib" | "main" | "mod") { folder.to_owned() } else { format!("{folder}/{stem}") };
        for piece in file.code.split("#[cfg(test)]").skip(1) {
            let words: Vec<&str> = piece.split_whitespace().take(3).collect();
            let word = match words.as_slice() {
                ["pub" | "pub(crate)", "mod", word] | ["mod", word, ..] => word,
                _ => continue,
            };
            if let Some(module) = word.strip_suffix(';') {
                modules.push(format!("{base}/{module}"));
            }
        }
    }
    modules
}

/// Rust with every string, character literal and comment replaced by spaces. Newlines stay.
pub(crate) fn without_strings_and_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        match end {
            Some(end) => {
                blank(&mut out, at, end);
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn blank(out: &mut [u8], from: usize, to: usize) {
    let to = to.min(out.len());
    for byte in &mut out[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Where the comment, string or character that opens at `at` ends.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(block_comment_end(bytes, at));
    }
    match rest[0] {
        b'"' => Some(quoted_end(bytes, at + 1)),
        b'r' if !follows_word(bytes, at) => raw_end(bytes, at + 1),
        b'b' | b'c' if !follows_word(bytes, at) => match rest.get(1)? {
            b'r' => raw_end(bytes, at + 2),
            b'"' => Some(quoted_end(bytes, at + 2)),
            b'\'' => character_end(bytes, at + 1),
            _ => None,
        },
        b'\'' => character_end(bytes, at),
        _ => None,
    }
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut here = at;
    while here + 1 < bytes.len() {
        match &bytes[here..here + 2] {
            b"/*" => (depth, here) = (depth + 1, here + 2),
            b"*/" => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
        if depth == 0 {
            return here;
        }
    }
    bytes.len()
}

fn quoted_end(bytes: &[u8], from: usize) -> usize {
    let mut here = from;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

fn raw_end(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes[from..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(from + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = from + hashes + 1;
    let found = bytes[body..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(bytes.len(), |step| body + step + close.len()))
}

/// A character literal, as opposed to a lifetime.
fn character_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = std::str::from_utf8(&bytes[at + 1..]).ok()?;
    let mut letters = rest.char_indices();
    match letters.next()?.1 {
        '\\' => {
            letters.next()?;
            letters.find(|(_, letter)| *letter == '\'').map(|(step, _)| at + 1 + step + 1)
        }
        _ => letters.next().filter(|(_, letter)| *letter == '\'').map(|(step, _)| at + 1 + step + 1),
    }
}

/// Where the items are that stand behind `#[cfg(test)]` or `#[test]`, as byte ranges.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    if code.contains("#![cfg(test)]") {
        return vec![(0, code.len())];
    }
    let mut found = Vec::new();
    for mark in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        let mut from = 0;
        while let Some(step) = code[from..].find(mark) {
            let at = from + step;
            let end = item_end(code.as_bytes(), at).max(at + mark.len()).min(code.len());
            found.push((at, end));
            from = end;
        }
    }
    found
}

/// Where the item ends whose first attribute opens at `at`.
fn item_end(code: &[u8], at: usize) -> usize {
    let mut nested = 0_usize;
    let mut braces = 0_usize;
    for (step, byte) in code[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces == 0 => return at + step,
            b'}' => {
                braces -= 1;
                if braces == 0 && nested == 0 {
                    return at + step + 1;
                }
            }
            b';' if nested == 0 && braces == 0 => return at + step + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::{Tree, without_strings_and_comments};

    #[test]
    fn r3_strings_comments_and_characters_are_blanked() {
        let code = without_strings_and_comments(
            "let a = \"unsafe \\\" {\"; // unsafe\nlet b = r#\"unsafe \" \"#; /* unsafe /* unsafe */ unsafe */ let c = '\"'; let d = '\\''; f::<'a>();",
        );
        assert!(!code.contains("unsafe"), "{code}");
        for kept in ["let a =", "let b =", "let c =", "let d =", "f::<'a>();"] {
            assert!(code.contains(kept), "{kept} is gone from {code}");
        }
        assert_eq!(code.lines().count(), 2);
    }

    #[test]
    fn byte_and_raw_strings_do_not_eat_code() {
        let code = without_strings_and_comments(
            "let r = b\"}\"; let s = br##\"}\"##; let t = b'{'; let r#fn = 1; bar\"x\"; end();",
        );
        assert!(!code.contains('}') && !code.contains('{'), "{code}");
        assert!(code.contains("r#fn = 1;") && code.contains("end();"), "{code}");
    }

    #[test]
    fn what_exists_for_tests_is_not_production() {
        let tree = Tree::of(&[(
            "a/src/lib.rs",
            "//! Dry: a.\n\nfn kept() {}\n\n#[cfg(test)]\nmod tests {\n    // why\n\n    fn gone() {}\n}\n",
        )]);
        let file = tree.file("a/src/lib.rs").unwrap();
        assert!(file.production.contains("kept") && !file.production.contains("gone"));
        assert_eq!((file.production_lines(), file.code_lines()), (4, 1));
    }

    #[test]
    fn a_test_module_in_its_own_file_is_not_production() {
        let tree = Tree::of(&[
            ("a/src/task.rs", "//! Task.\nfn kept() {}\n#[cfg(test)]\nmod walk;\n"),
            ("a/src/task/walk.rs", "//! Walk.\nfn gone() {}\n"),
            ("a/tests/plays.rs", "//! Plays.\nfn gone() {}\n"),
        ]);
        let lines: Vec<usize> = tree.files().map(|file| file.production_lines()).collect();
        assert_eq!(lines, [2, 0, 0]);
    }
}
