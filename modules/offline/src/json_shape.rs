//! The shape of a JSON text: which types stand where, and how often.
//!
//! The grammar is that of RFC 8259. No token of it holds a raw line break, so between two lines the state
//! is no more than the stack of open arrays and objects.

use crate::carry::carry;
use crate::reading::Ending;
use crate::report::Report;
use crate::words::{self, count, counted};

/// Places in the tree that are told apart.
const NODES_MAX: usize = 300;
/// Open arrays and objects.
const DEPTH_MAX: usize = 100;
/// Bytes of a key or an example that are kept.
const TEXT_BYTES_MAX: usize = 60;
/// Lines of the tree that are shown.
const TREE_LINES_MAX: usize = 30;

const TYPES: [&str; 6] = ["object", "array", "string", "number", "boolean", "null"];
const OBJECT: usize = 0;
const ARRAY: usize = 1;
const STRING: usize = 2;
const NUMBER: usize = 3;
const BOOLEAN: usize = 4;
const NULL: usize = 5;

/// One place of the tree: all values that are reached by the same keys.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    parent: u64,
    /// The key, or `[]` for an array's elements.
    key: String,
    first_line: u64,
    /// Values by type, in the order of [`TYPES`].
    counts: Vec<u64>,
    items_total: u64,
    items_max: u64,
    min: f64,
    max: f64,
    example: String,
    children: u64,
}
carry!(Node { parent, key, first_line, counts, items_total, items_max, min, max, example, children });

/// One open array or object.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    node: u64,
    is_array: bool,
    /// The node of the value that comes next.
    next: u64,
    items: u64,
    expects: u64,
}
carry!(Frame { node, is_array, next, items, expects });

/// What may come next, as [`Frame::expects`] counts.
const VALUE: u64 = 0;
const VALUE_OR_END: u64 = 1;
const KEY: u64 = 2;
const KEY_OR_END: u64 = 3;
const COLON: u64 = 4;
const COMMA_OR_END: u64 = 5;

/// A node that stands for all that are too many.
const BEYOND: u64 = u64::MAX;

/// What is known of a JSON text, or of one per line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shape {
    nodes: Vec<Node>,
    stack: Vec<Frame>,
    values: u64,
    depth_max: u64,
    documents: u64,
    beyond: u64,
    /// The first mistake: its line, and what it is.
    mistake_line: u64,
    mistake: Option<String>,
    lines: u64,
    /// A token that is not complete yet, of a line that comes in pieces.
    rest: String,
    /// Characters of that line before it.
    column: u64,
}
carry!(Shape { nodes, stack, values, depth_max, documents, beyond, mistake_line, mistake, lines, rest, column });

/// Bytes of one token of a line that comes in pieces.
const TOKEN_BYTES_MAX: usize = 64 << 10;

impl Shape {
    /// Takes in the next line, or the next piece of one. Nothing more is read after a mistake.
    pub(crate) fn line(&mut self, number: u64, text: &str, ending: Ending) {
        self.lines += u64::from(ending == Ending::Complete);
        if self.mistake.is_some() {
            return;
        }
        let text = if number == 1 { text.strip_prefix('\u{FEFF}').unwrap_or(text) } else { text };
        let joined = std::mem::take(&mut self.rest) + text;
        let mut at = 0;
        while at < joined.len() {
            let token = self.token(number, &joined, at, ending);
            match token {
                Ok(Some(end)) => at = end,
                Ok(None) if joined.len() - at <= TOKEN_BYTES_MAX => break,
                Ok(None) => {
                    return self.wrong(number, &joined[..at], format!("a token of more than {TOKEN_BYTES_MAX} bytes"));
                }
                Err(mistake) => return self.wrong(number, &joined[..at], mistake),
            }
        }
        self.rest = joined[at..].to_owned();
        let seen = joined[..at].chars().count() as u64;
        self.column = if ending == Ending::Complete { 0 } else { self.column + seen };
    }

    fn wrong(&mut self, line: u64, before: &str, mistake: String) {
        let column = self.column + before.chars().count() as u64 + 1;
        self.mistake_line = line;
        self.mistake = Some(format!("{mistake} at column {}", count(column)));
        self.close_all();
    }

    /// The last line was taken in.
    pub(crate) fn end(&mut self) {
        if let (None, Some(frame)) = (&self.mistake, self.stack.last()) {
            let open = if frame.is_array { "array" } else { "object" };
            self.mistake = Some(format!("the text ends within an {open}"));
            self.mistake_line = self.lines;
            self.close_all();
        } else if self.documents == 0 && self.mistake.is_none() {
            self.mistake = Some("there is no value".to_owned());
            self.mistake_line = self.lines;
        }
    }

    /// Counts what is in the arrays and objects that are still open.
    fn close_all(&mut self) {
        while let Some(frame) = self.stack.pop() {
            self.count_items(&frame);
        }
    }

    fn count_items(&mut self, frame: &Frame) {
        if let Some(node) = self.nodes.get_mut(frame.node as usize) {
            node.items_total += frame.items;
            node.items_max = node.items_max.max(frame.items);
        }
    }

    /// Reads one token and says where it ends; `None` when it may go on in the next piece.
    fn token(&mut self, line: u64, text: &str, at: usize, ending: Ending) -> Result<Option<usize>, String> {
        let bytes = text.as_bytes();
        let one = Some(at + 1);
        match bytes[at] {
            b' ' | b'\t' | b'\r' => Ok(one),
            b'{' => self.open(line, OBJECT).map(|()| one),
            b'[' => self.open(line, ARRAY).map(|()| one),
            close @ (b'}' | b']') => self.close(close).map(|()| one),
            b',' => self.punctuation(COMMA_OR_END, "`,`").map(|()| one),
            b':' => self.punctuation(COLON, "`:`").map(|()| one),
            b'"' => match string_end(bytes, at) {
                Some(end) => self.string(line, &text[at + 1..end - 1]).map(|()| Some(end)),
                None if ending == Ending::Open => Ok(None),
                None => Err("a string that does not end on its line".to_owned()),
            },
            _ => {
                let end = at
                    + bytes[at..]
                        .iter()
                        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                        .count();
                if end == text.len() && ending == Ending::Open {
                    return Ok(None);
                }
                let end = if end == at { text.ceil_char_boundary(at + 1) } else { end };
                self.scalar(line, &text[at..end]).map(|()| Some(end))
            }
        }
    }

    fn expects(&self) -> u64 {
        self.stack.last().map_or(VALUE, |frame| frame.expects)
    }

    /// The node of a value that begins here, counted as `kind`.
    fn value(&mut self, line: u64, kind: usize) -> Result<u64, String> {
        if !matches!(self.expects(), VALUE | VALUE_OR_END) {
            return Err(format!("found {}, wanted {}", TYPES[kind], wanted(self.expects())));
        }
        let node = match self.stack.last_mut() {
            Some(frame) => {
                frame.items += 1;
                frame.expects = COMMA_OR_END;
                frame.next
            }
            None => {
                self.documents += 1;
                self.child(BEYOND, "", line, 0)
            }
        };
        let (node, parent, depth) = match (self.stack.last(), node) {
            (Some(frame), BEYOND) if frame.is_array && frame.node != BEYOND => {
                (None, frame.node, self.stack.len() as u64)
            }
            (_, node) => (Some(node), 0, 0),
        };
        let node = match node {
            Some(node) => node,
            None => {
                let node = self.child(parent, "[]", line, depth);
                if let Some(frame) = self.stack.last_mut() {
                    frame.next = node;
                }
                node
            }
        };
        self.values += 1;
        match self.nodes.get_mut(node as usize) {
            Some(known) => known.counts[kind] += 1,
            None => self.beyond += 1,
        }
        Ok(node)
    }

    /// The node below `parent` for this key, made if it is new and there is room.
    fn child(&mut self, parent: u64, key: &str, line: u64, depth: u64) -> u64 {
        let key = words::head(key, TEXT_BYTES_MAX);
        if parent == BEYOND && depth > 0 {
            return BEYOND;
        }
        if let Some(known) = self.nodes.iter().position(|node| node.parent == parent && node.key == key) {
            return known as u64;
        }
        if self.nodes.len() >= NODES_MAX {
            return BEYOND;
        }
        if let Some(node) = self.nodes.get_mut(parent as usize) {
            node.children += 1;
        }
        self.nodes.push(Node {
            parent,
            key: key.to_owned(),
            first_line: line,
            counts: vec![0; TYPES.len()],
            items_total: 0,
            items_max: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            example: String::new(),
            children: 0,
        });
        self.nodes.len() as u64 - 1
    }

    fn open(&mut self, line: u64, kind: usize) -> Result<(), String> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        let node = self.value(line, kind)?;
        let is_array = kind == ARRAY;
        let expects = if is_array { VALUE_OR_END } else { KEY_OR_END };
        self.stack.push(Frame { node, is_array, next: BEYOND, items: 0, expects });
        self.depth_max = self.depth_max.max(self.stack.len() as u64);
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), String> {
        let Some(frame) = self.stack.last() else {
            return Err("a closing bracket without an opening one".to_owned());
        };
        let fits =
            frame.is_array == (bracket == b']') && matches!(frame.expects, VALUE_OR_END | KEY_OR_END | COMMA_OR_END);
        if !fits {
            return Err(format!("found `{}`, wanted {}", char::from(bracket), wanted(frame.expects)));
        }
        if let Some(frame) = self.stack.pop() {
            self.count_items(&frame);
        }
        Ok(())
    }

    fn punctuation(&mut self, expected: u64, name: &str) -> Result<(), String> {
        let expects = self.expects();
        match self.stack.last_mut() {
            Some(frame) if expects == expected => {
                frame.expects = if expected == COLON || frame.is_array { VALUE } else { KEY };
                Ok(())
            }
            _ => Err(format!("found {name}, wanted {}", wanted(expects))),
        }
    }

    fn string(&mut self, line: u64, raw: &str) -> Result<(), String> {
        if let Some(frame) = self.stack.last().filter(|frame| matches!(frame.expects, KEY | KEY_OR_END)) {
            let next = self.child(frame.node, raw, line, self.stack.len() as u64);
            if let Some(frame) = self.stack.last_mut() {
                (frame.next, frame.expects) = (next, COLON);
            }
            return Ok(());
        }
        let node = self.value(line, STRING)?;
        if let Some(node) = self.nodes.get_mut(node as usize).filter(|node| node.example.is_empty()) {
            node.example = words::head(raw, TEXT_BYTES_MAX).to_owned();
        }
        Ok(())
    }

    fn scalar(&mut self, line: u64, word: &str) -> Result<(), String> {
        let kind = match word {
            "true" | "false" => BOOLEAN,
            "null" => NULL,
            _ if is_number(word) => NUMBER,
            _ => return Err(format!("found {}, wanted {}", words::code(word, 20), wanted(self.expects()))),
        };
        let node = self.value(line, kind)?;
        if let (NUMBER, Some(node), Ok(value)) = (kind, self.nodes.get_mut(node as usize), word.parse::<f64>()) {
            (node.min, node.max) = (node.min.min(value), node.max.max(value));
        }
        Ok(())
    }

    /// Writes what is known of the text called `name`.
    pub(crate) fn write(&self, name: &str, report: &mut Report) {
        let kind = match self.nodes.first() {
            Some(root) if self.documents == 1 && root.counts[ARRAY] == 1 => {
                format!("an array of {}", counted(root.items_total, "element", "elements"))
            }
            Some(root) if self.documents == 1 && root.counts[OBJECT] == 1 => {
                format!("an object with {}", counted(root.children, "key", "keys"))
            }
            _ if self.documents == 1 => "a single value".to_owned(),
            _ => format!("{} JSON values one after another", count(self.documents)),
        };
        let levels = counted(self.depth_max, "level", "levels");
        report.say(format!(
            "{name} is JSON on {}: {kind}, {} in all, nested {levels} deep.",
            counted(self.lines, "line", "lines"),
            counted(self.values, "value", "values")
        ));
        if let Some(mistake) = &self.mistake {
            report.section("Not valid JSON");
            report.item(format!("line {}: {mistake}; what stands after it was not read", count(self.mistake_line)));
        }
        report.section("Shape (type and count, where first seen)");
        let mut shown = 0;
        self.branch(BEYOND, report, &mut shown);
        if shown > TREE_LINES_MAX {
            report.item(format!("{} more places", count((shown - TREE_LINES_MAX) as u64)));
        }
        if self.beyond > 0 {
            report.item(format!("{} at places beyond the first {NODES_MAX}", counted(self.beyond, "value", "values")));
        }
    }

    fn branch(&self, parent: u64, report: &mut Report, shown: &mut usize) {
        for (n, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.parent == parent) {
            // The depth of the tree is at most `DEPTH_MAX`, and so is that of the recursion.
            *shown += 1;
            if *shown <= TREE_LINES_MAX {
                report.item(self.node_text(node));
            }
            self.branch(n as u64, report, shown);
        }
    }

    fn node_text(&self, node: &Node) -> String {
        let mut path = vec![node.key.as_str()];
        let mut parent = node.parent;
        while let Some(above) = self.nodes.get(parent as usize) {
            path.push(&above.key);
            parent = above.parent;
        }
        path.pop();
        let path = path
            .iter()
            .rev()
            .fold(String::from("$"), |text, key| if *key == "[]" { text + "[]" } else { text + "." + key });
        let types: Vec<String> = (0..TYPES.len())
            .filter(|kind| node.counts[*kind] > 0)
            .map(|kind| format!("{} {}×", TYPES[kind], count(node.counts[kind])))
            .collect();
        let mut text = format!("{}: {}", words::code(&path, 80), types.join(", "));
        if node.counts[ARRAY] > 0 {
            text +=
                &format!(", {} (longest {})", counted(node.items_total, "element", "elements"), count(node.items_max));
        }
        if node.counts[NUMBER] > 0 {
            text += &format!(", {} to {}", words::number(node.min), words::number(node.max));
        }
        if !node.example.is_empty() {
            text += &format!(", such as {}", words::code(&node.example, 40));
        }
        let missing = self
            .nodes
            .get(node.parent as usize)
            .map_or(0, |above| above.counts[OBJECT].saturating_sub(node.counts.iter().sum()));
        if missing > 0 && node.key != "[]" {
            text += &format!(", missing in {}", count(missing));
        }
        text + &format!(" (line {})", count(node.first_line))
    }
}

fn wanted(expects: u64) -> &'static str {
    match expects {
        VALUE => "a value",
        VALUE_OR_END => "a value or the end of the array",
        KEY => "a key",
        KEY_OR_END => "a key or the end of the object",
        COLON => "`:`",
        _ => "`,` or a closing bracket",
    }
}

/// Where the string that begins at `at` ends, its quote included.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        match bytes.get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    digits.starts_with(|c: char| c.is_ascii_digit())
        && !leading_zero
        && !digits.ends_with('.')
        && word.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Shape {
        let mut shape = Shape::default();
        for (n, line) in text.lines().enumerate() {
            shape.line(n as u64 + 1, line, Ending::Complete);
        }
        shape.end();
        shape
    }

    fn told(text: &str) -> String {
        let mut report = Report::default();
        shape(text).write("`x.json`", &mut report);
        report.into_pieces().concat()
    }

    #[test]
    fn a_shape_is_a_tree_with_counts() {
        let text = "[\n {\"id\": 1, \"tags\": [\"a\", \"b\"]},\n {\"id\": 2.5, \"tags\": [], \"note\": null}\n]";
        let expected = "\
`x.json` is JSON on 4 lines: an array of 2 elements, 10 values in all, nested 3 levels deep.

**Shape (type and count, where first seen)**
- `$`: array 1×, 2 elements (longest 2) (line 1)
- `$[]`: object 2× (line 2)
- `$[].id`: number 2×, 1 to 2.5 (line 2)
- `$[].tags`: array 2×, 2 elements (longest 2) (line 2)
- `$[].tags[]`: string 2×, such as `a` (line 2)
- `$[].note`: null 1×, missing in 1 (line 3)
";
        assert_eq!(told(text), expected);
    }

    #[test]
    fn mistakes_have_a_place() {
        let known = [
            ("{\"a\": 1,\n}", 2, "found `}`, wanted a key at column 1"),
            ("[1 2]", 1, "found number, wanted `,` or a closing bracket at column 4"),
            ("{\"a\" 1}", 1, "found number, wanted `:` at column 6"),
            ("{\"a\": tru}", 1, "found `tru`, wanted a value at column 7"),
            ("[\"a\n\"]", 1, "a string that does not end on its line at column 2"),
            ("[[1]", 1, "the text ends within an array"),
            ("", 0, "there is no value"),
            ("[01]", 1, "found `01`, wanted a value or the end of the array at column 2"),
            ("]", 1, "a closing bracket without an opening one at column 1"),
            ("[ü]", 1, "found `ü`, wanted a value or the end of the array at column 2"),
        ];
        for (text, line, mistake) in known {
            let shape = shape(text);
            assert_eq!((shape.mistake_line, shape.mistake.as_deref()), (line, Some(mistake)), "{text}");
        }
        assert!(shape(&"[".repeat(1000)).mistake.is_some());
        assert_eq!(shape("{\"a\\\\\": \"x\\\"y\"}").mistake, None);
    }

    #[test]
    fn a_shape_is_the_same_when_carried_between_lines() {
        let text = "{\"a\": [\n1,\n{\"b\":\n[true]}],\n\"c\": \"x\"}";
        let mut carried = Shape::default();
        for (n, line) in text.lines().enumerate() {
            carried.line(n as u64 + 1, line, Ending::Complete);
            carried = crate::carry::read(&crate::carry::write(&carried)).unwrap();
        }
        carried.end();
        assert_eq!(carried, shape(text));
        assert_eq!(carried.mistake, None);
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let text = "{\"key\": [1234, true, \"a\\\"b ü\"], \"c\": {}}";
        let whole = shape(text);
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let mut pieces = Shape::default();
            pieces.line(1, &text[..cut], Ending::Open);
            pieces.line(1, &text[cut..], Ending::Complete);
            pieces.end();
            assert_eq!(pieces, whole, "{cut}");
        }
        let mut wrong = Shape::default();
        wrong.line(1, "[1, 2, ", Ending::Open);
        wrong.line(1, "3 4]", Ending::Complete);
        assert_eq!(wrong.mistake.as_deref(), Some("found number, wanted `,` or a closing bracket at column 10"));
    }

    #[test]
    fn places_are_bounded() {
        let keys: Vec<String> = (0..2000).map(|n| format!("\"k{n}\": {{\"x\": [{n}]}}")).collect();
        let shape = shape(&format!("{{{}}}", keys.join(",")));
        assert_eq!((shape.nodes.len(), shape.mistake.as_deref()), (NODES_MAX, None));
        assert!(shape.beyond > 5000);
    }
}
