//! Functions, structs and traits of a Rust text, measured by a small reader of tokens.

/// A word or one punctuation mark, with its line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// A function with a name.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    pub(crate) lines: usize,
    pub(crate) parameters: usize,
    pub(crate) shape: Shape,
    /// Its place in the tokens.
    at: usize,
    /// Whether it is declared without a body.
    declared_only: bool,
}

/// What a caller sees of a function.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) public: bool,
    pub(crate) takes_bool: bool,
}

/// A struct or a trait with the number that is limited: fields, or required methods.
#[derive(Debug)]
pub(crate) struct Type<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    pub(crate) members: usize,
}

/// Words and marks of a text in which strings and comments are already blank.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let width = if is_word(first) {
                rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (text, tail) = rest.split_at(width);
            found.push(Token { text, line: index + 1 });
            rest = tail.trim_start();
        }
    }
    found
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn starts_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// The lines of every `impl Trait for Type`, from the first to the last: what is written there, the trait prescribes.
pub(crate) fn trait_impls(tokens: &[Token<'_>]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(|at| tokens[*at].text == "impl") {
        let start = skip_angles(tokens, at + 1);
        let Some(length) = tokens[start..].iter().position(|token| matches!(token.text, "{" | ";" | "(")) else {
            continue;
        };
        let open = start + length;
        if tokens[open].text == "{" && tokens[start..open].iter().any(|token| token.text == "for") {
            let close = list(tokens, open).close.min(tokens.len() - 1);
            found.push((tokens[at].line, tokens[close].line));
        }
    }
    found
}

/// Every named function.
pub(crate) fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    (0..tokens.len()).filter(|at| tokens[*at].text == "fn").filter_map(|at| function(tokens, at)).collect()
}

fn function<'a>(tokens: &[Token<'a>], at: usize) -> Option<Function<'a>> {
    let name = tokens.get(at + 1).filter(|token| starts_word(token.text))?;
    let open = skip_angles(tokens, at + 2);
    if tokens.get(open)?.text != "(" {
        return None;
    }
    let list = list(tokens, open);
    let (end, declared_only) = body_end(tokens, list.close + 1);
    let line_end = tokens.get(end).map_or(name.line, |token| token.line);
    Some(Function {
        name: name.text,
        line: tokens[at].line,
        lines: line_end + 1 - tokens[at].line,
        parameters: list.items,
        shape: Shape {
            public: is_public(tokens, at),
            takes_bool: takes_bool(&tokens[open..=list.close.min(tokens.len() - 1)]),
        },
        at,
        declared_only,
    })
}

fn is_public(tokens: &[Token<'_>], at: usize) -> bool {
    let before = tokens[..at].iter().rev().find(|token| !matches!(token.text, "const" | "async" | "unsafe" | "extern"));
    before.is_some_and(|token| token.text == "pub")
}

fn takes_bool(parameters: &[Token<'_>]) -> bool {
    parameters
        .windows(3)
        .any(|three| three[0].text == ":" && three[1].text == "bool" && matches!(three[2].text, "," | ")"))
}

/// The token after the generics that may open at `at`.
fn skip_angles(tokens: &[Token<'_>], at: usize) -> usize {
    if tokens.get(at).is_none_or(|token| token.text != "<") {
        return at;
    }
    list(tokens, at).close + 1
}

/// A bracketed list: how many items, and where it closes.
struct List {
    items: usize,
    close: usize,
}

/// Reads the list whose bracket opens at `open`; `->` does not close an angle.
fn list(tokens: &[Token<'_>], open: usize) -> List {
    let mut depth = 0_usize;
    let mut items = 0;
    let mut pending = false;
    for at in open..tokens.len() {
        let arrow = at > 0 && tokens[at].text == ">" && matches!(tokens[at - 1].text, "-" | "=");
        match tokens[at].text {
            "(" | "[" | "{" | "<" => {
                pending |= depth > 0;
                depth += 1;
            }
            ">" if arrow => {}
            ")" | "]" | "}" | ">" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return List { items: items + usize::from(pending), close: at };
                }
            }
            "," if depth == 1 => {
                items += usize::from(pending);
                pending = false;
            }
            _ => pending = true,
        }
    }
    List { items, close: tokens.len() }
}

/// Where a function ends whose parameters closed just before `from`, and whether it has no body.
fn body_end(tokens: &[Token<'_>], from: usize) -> (usize, bool) {
    let mut nested = 0_usize;
    let mut at = from;
    while at < tokens.len() {
        match tokens[at].text {
            "(" | "[" => nested += 1,
            ")" | "]" => nested = nested.saturating_sub(1),
            ";" if nested == 0 => return (at, true),
            "{" if nested == 0 => return (braces_end(tokens, at), false),
            _ => {}
        }
        at += 1;
    }
    (tokens.len(), true)
}

fn braces_end(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (step, token) in tokens[open..].iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 1 => return open + step,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Every struct with the number of its fields.
pub(crate) fn structs<'a>(tokens: &[Token<'a>]) -> Vec<Type<'a>> {
    let mut found = Vec::new();
    for at in keyword(tokens, "struct") {
        let mut open = skip_angles(tokens, at + 2);
        while tokens.get(open).is_some_and(|token| !matches!(token.text, "{" | "(" | ";")) {
            open += 1;
        }
        let braces = tokens.get(open).is_some_and(|token| token.text != ";");
        let members = if braces { list(tokens, open).items } else { 0 };
        found.push(Type { name: tokens[at + 1].text, line: tokens[at].line, members });
    }
    found
}

/// Every trait with the number of methods an implementor must write.
pub(crate) fn traits<'a>(tokens: &[Token<'a>]) -> Vec<Type<'a>> {
    let functions = functions(tokens);
    let mut found = Vec::new();
    for at in keyword(tokens, "trait") {
        let Some(open) = (at..tokens.len()).find(|here| tokens[*here].text == "{") else { continue };
        let inside = open..braces_end(tokens, open);
        let members =
            functions.iter().filter(|function| function.declared_only && inside.contains(&function.at)).count();
        found.push(Type { name: tokens[at + 1].text, line: tokens[at].line, members });
    }
    found
}

fn keyword<'t>(tokens: &'t [Token<'_>], word: &'t str) -> impl Iterator<Item = usize> + 't {
    let named =
        move |at: &usize| tokens[*at].text == word && tokens.get(at + 1).is_some_and(|next| starts_word(next.text));
    (0..tokens.len()).filter(named)
}

#[cfg(test)]
mod tests {
    use super::{functions, structs, tokens, trait_impls, traits};

    #[test]
    fn what_a_trait_prescribes_is_known() {
        let code = "impl A { fn a() {} }\nimpl<T: Into<B>> From<T> for A {\n fn from() {}\n}\nfn f(x: impl Fn(u8)) { for y in x {} }\n";
        assert_eq!(trait_impls(&tokens(code)), [(2, 4)]);
    }

    #[test]
    fn parameters_are_counted_through_generics() {
        let code = "pub fn f<F: Fn(A, B) -> C, T>(&mut self, a: Map<K, V>, b: (u8, u8), c: bool,) -> [u8; 4] where F: X {\n\n}\nfn none() {}\nlet g: fn(u8) = h;";
        let tokens = tokens(code);
        let found: Vec<_> = functions(&tokens)
            .iter()
            .map(|f| (f.name, f.parameters, f.lines, f.shape.takes_bool, f.shape.public))
            .collect();
        assert_eq!(found, [("f", 4, 3, true, true), ("none", 0, 1, false, false)]);
    }

    #[test]
    fn fields_are_counted_through_attributes_and_closures() {
        let code = "struct A<T> where T: X { #[doc(a, b)] pub a: Map<K, V>, b: Box<dyn Fn(A, B) -> C>, }\nstruct B(u8, [u8; 4]);\nstruct C;";
        let tokens = tokens(code);
        let found: Vec<_> = structs(&tokens).iter().map(|s| (s.name, s.members)).collect();
        assert_eq!(found, [("A", 2), ("B", 2), ("C", 0)]);
    }

    #[test]
    fn only_methods_without_a_body_are_required() {
        let tokens =
            tokens("pub trait T: Sized { const N: u8; fn a(&self); fn b(&self) -> u8 { 1 } fn c(); }\nfn d();");
        let found: Vec<_> = traits(&tokens).iter().map(|t| (t.name, t.members)).collect();
        assert_eq!(found, [("T", 2)]);
    }
}
