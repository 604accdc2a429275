//! From a file's text to a layer of the configuration.

use std::ops::Range;

use aether_core::config::{self, Config, Key, Kind, Source, Value};
use toml_edit::{Document, Item, Table, TableLike};

use crate::error::SettingsError;
use crate::spelling::{join, spelled};

/// The largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The most mistakes of one text that are reported. Whoever has more has the wrong file, or sees the rest next time.
pub const MISTAKES_MAX: usize = 100;

/// The longest piece of a value or line that a message shows, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Takes in the text of the file at `path` as one layer of `config`.
///
/// Tables become dotted names, as [`crate::join`] spells them.
///
/// # Errors
/// The first thing that is not TOML, or else everything that no room owns or that is of the wrong type or out
/// of range, in the order of the file and at most [`MISTAKES_MAX`]. Nothing has changed then (S1).
pub fn read(path: &str, text: &str, config: &mut Config) -> Result<(), Vec<SettingsError>> {
    let document = parse(path, text).map_err(|error| vec![error])?;
    let mut said = Vec::new();
    let mut errors = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for leaf in leaves(document.as_table()) {
        if errors.len() == MISTAKES_MAX {
            break;
        }
        // In the order of the file, so that every byte is looked at once.
        let passed = text.get(counted..leaf.span.start).unwrap_or_default();
        line += position(passed, passed.len()).0 - 1;
        counted += passed.len();
        match check(config, leaf, Source::File { path: path.into(), line }) {
            Ok(Some(one)) => said.push(one),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    say_all(config, said, errors)
}

/// Says what was checked, or nothing if there are errors (S1).
pub(crate) fn say_all(
    config: &mut Config,
    said: Vec<(String, Value, Source)>,
    mut errors: Vec<SettingsError>,
) -> Result<(), Vec<SettingsError>> {
    if errors.is_empty() {
        for (name, value, source) in said {
            if let Err(error) = config.say(&name, value, source) {
                errors.push(from_core(error));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn from_core(error: config::ConfigError) -> SettingsError {
    match error {
        config::ConfigError::UnknownKey { name, source, nearest } => {
            SettingsError::UnknownKey { name, source, nearest }
        }
        config::ConfigError::WrongValue { name, source, wanted } => {
            SettingsError::WrongValue { name, source, found: "another value".into(), wanted }
        }
    }
}

/// A value of a document, and where it stands.
pub(crate) struct Leaf {
    /// The names that lead to it.
    pub(crate) path: Vec<String>,
    /// The bytes of the value; of the header for a table without entries.
    pub(crate) span: Range<usize>,
    /// What it is.
    pub(crate) content: Content,
}

/// What a [`Leaf`] is.
#[derive(PartialEq)]
pub(crate) enum Content {
    /// Something that a key can hold.
    Value(Value),
    /// Something that none can, and what to call it.
    Foreign(&'static str),
    /// A table without entries.
    EmptyTable,
}

impl Content {
    /// The text that it is, if it is one.
    fn text(&self) -> Option<&str> {
        match self {
            Content::Value(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Parses `text`.
pub(crate) fn parse<'t>(path: &str, text: &'t str) -> Result<Document<&'t str>, SettingsError> {
    if text.len() > CONFIG_BYTES_MAX {
        return Err(SettingsError::TooLarge { path: path.into(), bytes: text.len() });
    }
    let wrong = |offset, message: &str| {
        let (line, column) = position(text, offset);
        SettingsError::Syntax {
            path: path.into(),
            line,
            column,
            shown: shown_line(text, offset),
            message: message.into(),
        }
    };
    Document::parse(text).map_err(|error| {
        let offset = error.span().map_or(text.len(), |span| span.start);
        wrong(offset, error.message().trim_end())
    })
}

/// Every value of a document, in the order of the file.
pub(crate) fn leaves(root: &Table) -> Vec<Leaf> {
    let mut out = Vec::new();
    walk(root, &mut Vec::new(), &mut out);
    out.sort_by_key(|leaf| leaf.span.start);
    out
}

fn walk(table: &dyn TableLike, path: &mut Vec<String>, out: &mut Vec<Leaf>) {
    for (name, item) in table.iter() {
        path.push(name.to_owned());
        match item.as_table_like() {
            Some(inner) if !inner.is_empty() => walk(inner, path, out),
            _ => out.push(Leaf { path: path.clone(), span: item.span().unwrap_or_default(), content: content(item) }),
        }
        path.pop();
    }
}

fn content(item: &Item) -> Content {
    use toml_edit::Value as Toml;
    match item {
        Item::None | Item::Table(_) | Item::Value(Toml::InlineTable(_)) => Content::EmptyTable,
        Item::ArrayOfTables(_) => Content::Foreign("a list of tables"),
        Item::Value(Toml::String(text)) => Content::Value(Value::Text(text.value().clone())),
        Item::Value(Toml::Integer(number)) => Content::Value(Value::Int(*number.value())),
        Item::Value(Toml::Boolean(switch)) => Content::Value(Value::Bool(*switch.value())),
        Item::Value(Toml::Float(_)) => Content::Foreign("a number with a point"),
        Item::Value(Toml::Datetime(_)) => Content::Foreign("a date or time"),
        Item::Value(Toml::Array(array)) => {
            let texts: Option<Vec<String>> = array.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map_or(Content::Foreign("a list of other things than texts"), |texts| {
                Content::Value(Value::List(texts))
            })
        }
    }
}

/// What a leaf says; `Ok(None)` for an empty table in a place where tables may be.
fn check(config: &Config, leaf: Leaf, source: Source) -> Result<Option<(String, Value, Source)>, SettingsError> {
    let name = join(&leaf.path);
    let wrong = |source, found: &str, wanted: &str| {
        Err(SettingsError::WrongValue {
            name: spelled(&name).into(),
            source,
            found: found.into(),
            wanted: wanted.into(),
        })
    };
    if is_policy(&name) && leaf.content != Content::EmptyTable {
        return Err(moved(&name, leaf.content.text(), source));
    }
    let is_table = config.keys().iter().any(|key| begins(key.name, &name));
    match (config.key(&name).map(|key| key.kind), leaf.content) {
        // What is left of it when its last key was taken out.
        (None, Content::EmptyTable) if is_policy(&name) => Ok(None),
        (None, Content::EmptyTable) if is_table => Ok(None),
        (None, Content::Value(_) | Content::Foreign(_)) if is_table => wrong(source, "a value", "wanted a table"),
        (None, _) => Err(unknown(config, &name, source)),
        (Some(kind), Content::EmptyTable) => wrong(source, "a table", &kind.wanted()),
        (Some(kind), Content::Foreign(found)) => wrong(source, found, &kind.wanted()),
        (Some(kind), Content::Value(value)) => match kind.check(value.clone()) {
            Ok(value) => Ok(Some((name, value, source))),
            Err(wanted) => wrong(source, &found(kind, &value), &wanted),
        },
    }
}

/// Whether a name lies in the table that is now a file of its own.
pub(crate) fn is_policy(name: &str) -> bool {
    name == "policy" || name.starts_with("policy.")
}

/// The error for a name of that table.
pub(crate) fn moved(name: &str, value: Option<&str>, source: Source) -> SettingsError {
    let cell = name.strip_prefix("policy.").unwrap_or("ASKER.ACT");
    let decision = value.filter(|value| ["allow", "ask", "deny"].contains(value)).unwrap_or("DECISION");
    let instead = format!("{} {decision}", shortened(&spelled(cell))).into();
    SettingsError::Moved { name: spelled(name).into(), source, instead }
}

/// Whether the key called `pattern` lies within the table called `name`.
fn begins(pattern: &str, name: &str) -> bool {
    let mut given = name.split('.');
    for segment in pattern.split('.') {
        match given.next() {
            None => return true,
            Some(one) if one == segment || segment == "*" => {}
            Some(_) => return false,
        }
    }
    false
}

/// The error for a name that nobody owns.
pub(crate) fn unknown(config: &Config, name: &str, source: Source) -> SettingsError {
    let nearest = suggest(config.keys(), name).map(|near| spelled(&near).into());
    SettingsError::UnknownKey { name: spelled(name).into(), source, nearest }
}

/// The name that was probably meant: the one that looks most like it, with its own names in place of the
/// stars, or else one in another table that ends the same.
pub(crate) fn suggest(keys: &[Key], name: &str) -> Option<String> {
    let filled: Vec<String> = keys.iter().map(|key| fill(key.name, name)).collect();
    let last = name.rsplit('.').next().unwrap_or(name);
    config::nearest(name, filled.iter().map(String::as_str))
        .or_else(|| filled.iter().map(String::as_str).find(|known| known.rsplit('.').next() == Some(last)))
        .map(str::to_owned)
}

/// The pattern with what `name` has in the places of its stars.
fn fill(pattern: &str, name: &str) -> String {
    let mut given = name.split('.');
    let mut out = String::new();
    for segment in pattern.split('.') {
        let given = given.next().filter(|given| segment == "*" && !given.is_empty());
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(given.unwrap_or(segment));
    }
    out
}

/// What stands in the place of a value of `kind`, without showing what may be a secret (S5).
pub(crate) fn found(kind: Kind, value: &Value) -> String {
    match value {
        Value::Bool(switch) => switch.to_string(),
        Value::Int(number) => number.to_string(),
        Value::List(_) => "a list".to_owned(),
        Value::Text(_) if matches!(kind, Kind::Secret) => "something else".to_owned(),
        Value::Text(text) => format!("the text `{}`", shortened(text)),
    }
}

/// The line and the column of a byte, both from 1, the column in characters.
pub(crate) fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    // Every byte but the continuation bytes of UTF-8 begins a character.
    let column = before[start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// The line around a byte, without its value where its key sounds like a secret (S5).
fn shown_line(text: &str, offset: usize) -> Box<str> {
    let number = position(text, offset).0 as usize;
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    let head = line.split_once('=').map_or(line, |(head, _)| head);
    let lower = head.to_ascii_lowercase();
    if ["key", "token", "secret", "passw", "authorization"].iter().any(|word| lower.contains(word)) {
        let name = head.split_whitespace().next().unwrap_or_default();
        return format!("{} …", shortened(name)).into();
    }
    shortened(line).into()
}

/// The beginning of a text, with U+FFFD for every control character: a file must not steer the terminal that shows it.
fn shortened(text: &str) -> String {
    let mut letters = text.chars();
    let shown = letters.by_ref().take(SHOWN_CHARS_MAX);
    let mut shown: String = shown.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}
