//! `edit_file`: one text for another, exactly, once or everywhere, in a file that stays whole.

use std::sync::Arc;

use aether_core::capability::{Capability, Place};
use aether_core::tool::{Act, Acts, Authorized, Hands, Limits, Manifest, Needs, Output, Runtime, Tool, WriteMode};

use crate::input::{Kind, Shape, optional, required};
use crate::page;
use crate::scope::{Scope, explained, file_label, read_acts, shown};
use crate::similar;

const SHAPE: Shape = Shape(&[
    required("path", Kind::Text, ""),
    required("old", Kind::Text, ""),
    required("new", Kind::Text, ""),
    optional("all", Kind::Flag, ""),
]);

/// The largest file that is edited.
const FILE_BYTES_MAX: usize = 8 << 20;
/// How many line numbers are told when a text occurs too often.
const LINES_TOLD_MAX: usize = 10;

/// The tool.
pub(crate) struct EditFile {
    manifest: Arc<Manifest>,
    scope: Arc<Scope>,
}

impl EditFile {
    pub(crate) fn new(scope: Arc<Scope>) -> EditFile {
        let places = scope.places();
        let manifest = Arc::new(Manifest {
            name: "edit_file".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Replace text in a file. `old` must match exactly, once unless all=true.".into(),
            input: SHAPE.schema().into(),
            runtime: Runtime::Builtin,
            acts: scope.read_acts().union(Acts::of(&[Act::Write])),
            capability: Capability::default().with_read(places.clone()).with_write(places),
            limits: Limits::BUILTIN,
        });
        EditFile { manifest, scope }
    }
}

impl Tool for EditFile {
    fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn needs(&self, input: &str) -> Result<Needs, String> {
        let input = SHAPE.read(input)?;
        let place = self.scope.place(input.required("path"))?;
        let acts = read_acts(&place).union(Acts::of(&[Act::Write]));
        let capability = Capability::default().with_read(vec![place.clone()]).with_write(vec![place]);
        Ok(Needs { acts, capability, label: file_label() })
    }

    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String> {
        let input = SHAPE.read(&call.call().input)?;
        let place = self.scope.place(input.required("path"))?;
        let amount = if input.is_set("all") { Amount::All } else { Amount::One };
        let before = whole(&place, hands)?;
        let edit = Edit::fit(&before, input.required("old"), input.required("new"))?;
        let (after, lines) = edit.apply(&before, amount, shown(&place))?;
        if whole(&place, hands)? != before {
            return Err(format!("`{}` was changed by somebody else meanwhile; read it again", shown(&place)));
        }
        hands.write(&place, &after, WriteMode::Replace).map_err(|error| explained(&place, &error))?;
        let count = page::counted(lines.len(), "replacement", "replacements");
        let text = format!("edited {}: {count}, {}", shown(&place), told(&lines));
        Ok(page::done(call, text, file_label()))
    }
}

/// How many occurrences are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Amount {
    One,
    All,
}

fn whole(place: &Place, hands: &mut dyn Hands) -> Result<Vec<u8>, String> {
    let bytes = hands.read(place, 0, FILE_BYTES_MAX + 1).map_err(|error| explained(place, &error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("`{}` is larger than the {FILE_BYTES_MAX} bytes that can be edited", shown(place)));
    }
    Ok(bytes)
}

/// What is replaced by what, in the line ends of the file.
struct Edit {
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Edit {
    /// A model sees CRLF files with plain line ends and writes plain ones; where only CRLF fits, CRLF is meant.
    fn fit(file: &[u8], old: &str, new: &str) -> Result<Edit, String> {
        if old.is_empty() {
            return Err("`old` is empty; give the text to replace, or use write_file for a new file".into());
        }
        if old == new {
            return Err("`old` and `new` are the same; nothing to do".into());
        }
        let is_crlf = contains(file, b"\r\n") && !old.contains('\r');
        if is_crlf && (!contains(file, old.as_bytes()) || only_crlf(file)) {
            let crlf = |text: &str| text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
            return Ok(Edit { old: crlf(old), new: crlf(new) });
        }
        Ok(Edit { old: old.as_bytes().to_vec(), new: new.as_bytes().to_vec() })
    }

    /// The new content, and the lines where it differs, numbered as they were before.
    fn apply(&self, file: &[u8], amount: Amount, name: &str) -> Result<(Vec<u8>, Vec<usize>), String> {
        let places = occurrences(file, &self.old);
        let lines = line_numbers(file, &places);
        if places.is_empty() {
            return Err(self.not_found(file, name));
        }
        if amount == Amount::One && places.len() > 1 {
            return Err(format!(
                "`old` occurs {} times in `{name}`, {}; give more of the text around the one you mean, or all=true",
                places.len(),
                told(&lines)
            ));
        }
        let mut after = Vec::with_capacity(file.len() + self.new.len());
        let mut from = 0;
        for place in places {
            after.extend_from_slice(&file[from..place]);
            after.extend_from_slice(&self.new);
            from = place + self.old.len();
        }
        after.extend_from_slice(&file[from..]);
        Ok((after, lines))
    }

    fn not_found(&self, file: &[u8], name: &str) -> String {
        const SHOWN_BYTES: usize = 200;
        let text = String::from_utf8_lossy(file);
        let old = String::from_utf8_lossy(&self.old);
        let mut wanted = old.lines().filter(|line| !line.trim().is_empty());
        let Some(first) = wanted.next() else {
            return format!("`old` does not occur in `{name}`; it is nothing but blanks and line ends");
        };
        let near = similar::lines(&text, first, 3);
        if near.is_empty() {
            return format!("`old` does not occur in `{name}`, nor anything like its first line; read the file again");
        }
        let exact = near.iter().find(|(_, line)| line.trim() == first.trim());
        let hint = match exact {
            Some((n, line)) if *line != first && old.lines().count() == 1 => {
                format!("line {n} differs from it in blanks only")
            }
            Some((n, _)) => format!("its first line is line {n}, but what follows differs"),
            None => "the lines most like it".to_owned(),
        };
        let mut told = format!("`old` does not occur in `{name}`; {hint}:");
        for (n, line) in near {
            told.push_str(&format!("\n{n}: {}", page::clipped(line, SHOWN_BYTES)));
        }
        told
    }
}

/// `line 3`, `lines 3, 9 and 14`, the first [`LINES_TOLD_MAX`] of many.
fn told(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(LINES_TOLD_MAX).map(usize::to_string).collect();
    match lines.len() {
        1 => format!("line {}", shown[0]),
        n if n > LINES_TOLD_MAX => format!("lines {} and {} more", shown.join(", "), n - LINES_TOLD_MAX),
        _ => format!("lines {}", shown.join(", ")),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part, 0).is_some()
}

fn only_crlf(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(n, byte)| *byte != b'\n' || (n > 0 && text[n - 1] == b'\r'))
}

/// Places of `part`, from left to right, none overlapping the one before.
fn occurrences(text: &[u8], part: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(place) = find(text, part, from) {
        places.push(place);
        from = place + part.len();
    }
    places
}

/// The first place of `part` at or after `from`: by Knuth, Morris and Pratt, so that no file and no text make it slow.
fn find(text: &[u8], part: &[u8], from: usize) -> Option<usize> {
    let first = *part.first()?;
    let rest = text.get(from..)?;
    // Most parts of most files do not even hold the first byte.
    let skipped = rest.iter().position(|byte| *byte == first)?;
    if part.len() == 1 {
        return Some(from + skipped);
    }
    let borders = borders(part);
    let mut matched = 0;
    for (n, byte) in rest.iter().enumerate().skip(skipped) {
        while matched > 0 && part[matched] != *byte {
            matched = borders[matched - 1];
        }
        if part[matched] == *byte {
            matched += 1;
        }
        if matched == part.len() {
            return Some(from + n + 1 - matched);
        }
    }
    None
}

/// For each prefix, the length of its longest proper border.
fn borders(part: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; part.len()];
    let mut length = 0;
    for n in 1..part.len() {
        while length > 0 && part[n] != part[length] {
            length = borders[length - 1];
        }
        if part[n] == part[length] {
            length += 1;
        }
        borders[n] = length;
    }
    borders
}

fn line_numbers(text: &[u8], places: &[usize]) -> Vec<usize> {
    let (mut line, mut from) = (1, 0);
    let mut numbers = Vec::with_capacity(places.len());
    for place in places {
        line += text[from..*place].iter().filter(|byte| **byte == b'\n').count();
        from = *place;
        numbers.push(line);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(file: &str, old: &str, new: &str, amount: Amount) -> Result<String, String> {
        let edit = Edit::fit(file.as_bytes(), old, new)?;
        edit.apply(file.as_bytes(), amount, "f").map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn text_is_replaced_exactly_and_line_ends_are_kept() {
        let cases = [
            ("a b c\n", "b", "x", "a x c\n"),
            ("a\r\nb\r\n", "a\nb", "c\nd\ne", "c\r\nd\r\ne\r\n"),
            ("a\r\nb\nc\n", "b\nc", "x\ny", "a\r\nx\ny\n"),
            ("a\r\nb", "a", "x\ny", "x\r\ny\r\nb"),
            ("a\r\nb", "a\r\n", "", "b"),
            ("ab", "b", "", "a"),
        ];
        for (file, old, new, wanted) in cases {
            assert_eq!(edited(file, old, new, Amount::One).as_deref(), Ok(wanted), "{file:?}");
        }
        assert_eq!(edited("aaa aa", "aa", "b", Amount::All).as_deref(), Ok("ba b"));
    }

    #[test]
    fn what_does_not_fit_is_explained() {
        let file = "fn one() {\n    two(3);\n}\nfn one() {\n}\n";
        let refused = |old: &str, new: &str| edited(file, old, new, Amount::One).unwrap_err();
        assert_eq!(
            refused("fn one", "x"),
            "`old` occurs 2 times in `f`, lines 1, 4; give more of the text around the one you mean, or all=true"
        );
        assert_eq!(refused("two(4);", "x"), "`old` does not occur in `f`; the lines most like it:\n2:     two(3);");
        let blanks = edited("\tlet x = 1;\n", "  let x = 1;", "y", Amount::One).unwrap_err();
        assert_eq!(blanks, "`old` does not occur in `f`; line 1 differs from it in blanks only:\n1: \tlet x = 1;");
        assert!(refused("    two(3);\n\n}", "x").contains("its first line is line 2, but what follows differs"));
        assert!(refused("entirely different", "x").contains("read the file again"));
        assert!(refused("", "x").contains("`old` is empty") && refused("x", "x").contains("the same"));
        assert!(refused("\n\n\n", "x").contains("nothing but blanks"));
    }

    #[test]
    fn finding_agrees_with_the_plain_way() {
        let mut seed = 11u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for round in 0..20_000 {
            let text: Vec<u8> = (0..random(30)).map(|_| b'a' + random(2) as u8).collect();
            let part: Vec<u8> = (0..1 + random(5)).map(|_| b'a' + random(2) as u8).collect();
            let plain = text.windows(part.len()).position(|window| window == part);
            assert_eq!(find(&text, &part, 0), plain, "round {round}: {text:?} {part:?}");
        }
    }
}
