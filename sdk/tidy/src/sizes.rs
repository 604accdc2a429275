//! Functions, types and files stay small.

use std::collections::BTreeMap;

use crate::items;
use crate::{Finding, Source, Tree};

/// Lines of a function, from `fn` to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;
/// Parameters of a function, `self` included.
pub const PARAMETERS_MAX: usize = 5;
/// Fields of a struct.
pub const FIELDS_MAX: usize = 12;
/// Methods that an implementor of a trait has to write.
pub const REQUIRED_METHODS_MAX: usize = 5;
/// Lines with code in one file, tests left out.
pub const FILE_LINES_MAX: usize = 500;
/// Files that are longer today, one `path lines` a line. The numbers only shrink.
pub const RATCHET: &str = "docs/ratchet.txt";

/// No long function, no long parameter list, no `bool` in a public signature, no `get_`.
#[must_use]
pub fn functions(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let tokens = items::tokens(&file.production);
        let prescribed = items::trait_impls(&tokens);
        for function in items::functions(&tokens) {
            let mut say = |sentence| found.push(Finding::new(&file.path, function.line, sentence));
            let name = function.name;
            if function.lines > FUNCTION_LINES_MAX {
                say(format!(
                    "`{name}` has {} lines, at most {FUNCTION_LINES_MAX} fit on a screen: find its parts",
                    function.lines
                ));
            }
            // The declaration is counted where the trait is, if the trait is ours.
            let is_prescribed = prescribed.iter().any(|(from, to)| (*from..=*to).contains(&function.line));
            if function.parameters > PARAMETERS_MAX && !is_prescribed {
                say(format!(
                    "`{name}` takes {} parameters, at most {PARAMETERS_MAX} are allowed: some of them are one thing",
                    function.parameters
                ));
            }
            if function.shape.public && function.shape.takes_bool {
                say(format!("`{name}` takes a `bool`: give the two cases names in an enum"));
            }
            if name.starts_with("get_") {
                say(format!("`{name}` starts with `get_`: name it for what it returns"));
            }
        }
    }
    found
}

/// No wide struct, no wide trait.
#[must_use]
pub fn types(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let tokens = items::tokens(&file.production);
        for one in items::structs(&tokens).iter().filter(|one| one.members > FIELDS_MAX) {
            let sentence = format!(
                "struct `{}` has {} fields, at most {FIELDS_MAX} are allowed: group what changes together",
                one.name, one.members
            );
            found.push(Finding::new(&file.path, one.line, sentence));
        }
        for one in items::traits(&tokens).iter().filter(|one| one.members > REQUIRED_METHODS_MAX) {
            let sentence = format!(
                "trait `{}` has {} required methods, at most {REQUIRED_METHODS_MAX} are allowed: it is two traits",
                one.name, one.members
            );
            found.push(Finding::new(&file.path, one.line, sentence));
        }
    }
    found
}

/// No file over [`FILE_LINES_MAX`] lines of code but those in the ratchet, and those only shrink.
#[must_use]
pub fn files(tree: &Tree) -> Vec<Finding> {
    let mut allowed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, line) in
        tree.text(RATCHET).lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    {
        match line.split_once(' ').and_then(|(path, lines)| Some((path, lines.trim().parse().ok()?))) {
            Some((path, lines)) => drop(allowed.insert(path, lines)),
            None => found.push(Finding::new(RATCHET, index + 1, format!("`{line}` is not `path lines`"))),
        }
    }
    for file in tree.rust() {
        found.extend(file_length(file, allowed.remove(file.path.as_str())));
    }
    for path in allowed.into_keys() {
        found.push(Finding::new(RATCHET, 0, format!("{path} is listed but does not exist: remove the line")));
    }
    found
}

fn file_length(file: &Source, allowed: Option<usize>) -> Option<Finding> {
    let lines = file.code_lines();
    let sentence = match allowed {
        None if lines <= FILE_LINES_MAX => return None,
        None => format!("{lines} lines of code, at most {FILE_LINES_MAX} are allowed: look for the second subject"),
        Some(_) if lines <= FILE_LINES_MAX => {
            format!("{lines} lines of code: short enough now, remove it from {RATCHET}")
        }
        Some(known) if lines == known => return None,
        Some(known) if lines < known => {
            format!("shrank from {known} to {lines} lines of code: write {lines} into {RATCHET}")
        }
        Some(known) => format!("grew from {known} to {lines} lines of code: a file in {RATCHET} only shrinks"),
    };
    Some(Finding::new(&file.path, 0, sentence))
}

#[cfg(test)]
mod tests {
    use super::{files, functions, types};
    use crate::Tree;

    fn sentences(found: &[crate::Finding]) -> String {
        found.iter().map(|finding| format!("{finding}\n")).collect()
    }

    #[test]
    fn r2_long_functions_and_wide_signatures_are_named() {
        let body = "    step();\n".repeat(69);
        let text = format!(
            "//! A.\nfn long() {{\n{body}}}\nfn wide(a: A, b: B, c: C, d: D, e: E, f: F) {{}}\npub fn flag(on: bool) {{}}\nfn get_it() {{}}\nfn fine(&self, a: A, on: bool) {{}}\n"
        );
        let found = sentences(&functions(&Tree::of(&[("a/src/a.rs", &text)])));
        assert_eq!(found.lines().count(), 4, "{found}");
        for part in [
            "a/src/a.rs:2: `long` has 71 lines",
            "`wide` takes 6 parameters",
            "`flag` takes a `bool`",
            "`get_it` starts with",
        ] {
            assert!(found.contains(part), "{part} is not in {found}");
        }
    }

    #[test]
    fn r2_wide_types_are_named() {
        let fields: String = (0..13).map(|n| format!("f{n}: u8,\n")).collect();
        let methods: String = (0..6).map(|n| format!("fn m{n}(&self);\n")).collect();
        let text = format!("//! A.\nstruct S {{\n{fields}}}\ntrait T {{\n{methods}fn free() {{}}\n}}\n");
        let found = sentences(&types(&Tree::of(&[("a/src/a.rs", &text)])));
        assert!(
            found.contains("struct `S` has 13 fields") && found.contains("trait `T` has 6 required methods"),
            "{found}"
        );
    }

    #[test]
    fn r2_the_ratchet_only_shrinks() {
        let code = |lines: usize| format!("//! A.\n{}", "fn f() {}\n".repeat(lines));
        let check = |lines: usize, ratchet: &str| {
            sentences(&files(&Tree::of(&[("a/src/a.rs", &code(lines)), ("docs/ratchet.txt", ratchet)])))
        };
        assert_eq!(check(500, ""), "");
        assert_eq!(check(600, "# why\na/src/a.rs 600\n"), "");
        assert!(check(501, "").contains("501 lines of code, at most 500"));
        assert!(check(601, "a/src/a.rs 600\n").contains("grew from 600 to 601"));
        assert!(check(599, "a/src/a.rs 600\n").contains("shrank from 600 to 599"));
        assert!(check(400, "a/src/a.rs 600\n").contains("short enough now"));
        assert!(check(1, "b.rs 600\n").contains("b.rs is listed but does not exist"));
        assert!(check(1, "b.rs\n").contains("is not `path lines`"));
    }
}
