//! Edits of a file's text, by splicing: what is not meant stays, byte for byte.

use std::ops::Range;

use aether_core::config::{Kind, Value};
use toml_edit::{Item, Table, TableLike};

use crate::error::EditError;
use crate::read::{Content, Leaf, leaves, parse, position};
use crate::spelling::{push_segment, push_text, segments, spelled};

/// The text in which the key called `name` (as [`crate::join`] spells it) has the value `value`, given as
/// [`Kind::read`] reads it.
///
/// An existing value is replaced in its place. A new one goes to the end of its table, and a table that is not
/// there yet to the end of the file.
///
/// # Errors
/// [`EditError`]: the text is not TOML, the value does not fit, or there is no place for the key.
pub fn set(text: &str, name: &str, value: &str, kind: Kind) -> Result<String, EditError> {
    let value = kind
        .read(value)
        .map_err(|wanted| EditError::WrongValue { name: spelled(name).into(), wanted: wanted.into() })?;
    let path = segments(name);
    let written = write(&value);
    let (at, inserted) = {
        let document = parse("the configuration", text).map_err(EditError::Unreadable)?;
        match find(document.as_table(), &path) {
            Found::Value(_, item) => (item.span().unwrap_or_default(), written),
            Found::Obstacle(item) => {
                let line = position(text, item.span().unwrap_or_default().start).0;
                let obstacle = if item.is_table_like() { "a table" } else { "a value" }.into();
                return Err(EditError::Obstructed { name: spelled(name).into(), obstacle, line });
            }
            Found::Gap(place) => addition(text, &place, &path, &written),
        }
    };
    let edited = splice(text, at, &inserted);
    verified(text, edited, &path, Some(value))
}

/// The text without the key called `name`; `None` where it is not there. Comments stay, and so does the table.
///
/// # Errors
/// [`EditError`]: the text is not TOML, or the layout around the key is tangled.
pub fn unset(text: &str, name: &str) -> Result<Option<String>, EditError> {
    let path = segments(name);
    let at = {
        let document = parse("the configuration", text).map_err(EditError::Unreadable)?;
        match find(document.as_table(), &path) {
            Found::Gap(_) | Found::Obstacle(_) => return Ok(None),
            Found::Value(place, item) => removal(text, &place, &path, item),
        }
    };
    let Some(at) = at else { return Err(EditError::Tangled { name: spelled(name).into() }) };
    verified(text, splice(text, at, ""), &path, None).map(Some)
}

/// Where a key is, or where it would go.
enum Found<'a> {
    /// It is there.
    Value(Place<'a>, &'a Item),
    /// It is not, and would go here.
    Gap(Place<'a>),
    /// Something is in the way.
    Obstacle(&'a Item),
}

/// The innermost table on the way to a key that the text writes out: the root, one with a header, or one in braces.
struct Place<'a> {
    table: &'a dyn TableLike,
    /// How many names lead to it.
    depth: usize,
    /// The bytes of the header or of the braces; `None` for the root.
    span: Option<Range<usize>>,
    layout: Layout,
    /// Whether the way on leads through dotted keys of this table.
    is_dotted: bool,
}

/// How a table is written.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// One key on each line.
    Lines,
    /// In braces.
    Braces,
}

fn find<'a>(root: &'a Table, path: &[String]) -> Found<'a> {
    let mut place = Place { table: root, depth: 0, span: None, layout: Layout::Lines, is_dotted: false };
    let mut table: &dyn TableLike = root;
    for (n, name) in path.iter().enumerate() {
        let Some(item) = table.get(name) else { return Found::Gap(place) };
        let is_last = n + 1 == path.len();
        match (item.as_table_like(), is_last) {
            (None, true) if item.is_value() => return Found::Value(place, item),
            (Some(inner), false) => {
                let (is_dotted, is_implicit, layout) = match item {
                    Item::Table(inner) => (inner.is_dotted(), inner.is_implicit(), Layout::Lines),
                    _ => (inner.is_dotted(), false, Layout::Braces),
                };
                if is_dotted {
                    place.is_dotted = true;
                } else if !is_implicit {
                    place = Place { table: inner, depth: n + 1, span: item.span(), layout, is_dotted: false };
                }
                table = inner;
            }
            _ => return Found::Obstacle(item),
        }
    }
    Found::Gap(place)
}

/// Where and what to insert so that the key at `path` is there.
fn addition(text: &str, place: &Place<'_>, path: &[String], written: &str) -> (Range<usize>, String) {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let ends = place.table.get_values().into_iter().filter_map(|(_, value)| value.span());
    let last_end = ends.map(|span| span.end).max();
    if place.layout == Layout::Braces {
        let open = place.span.as_ref().map_or(0, |span| span.start);
        let entry = entry(&path[place.depth..], written);
        return match last_end {
            Some(end) => (end..end, format!(", {entry}")),
            None if text[open..].starts_with("{}") => (open..open + 2, format!("{{ {entry} }}")),
            None => (open + 1..open + 1, format!(" {entry}")),
        };
    }
    if place.depth + 1 < path.len() && !place.is_dotted {
        let header = entry_path(&path[..path.len() - 1]);
        let gap = match text.trim_end().is_empty() {
            true => String::new(),
            false if text.ends_with('\n') => newline.to_owned(),
            false => newline.repeat(2),
        };
        let line = entry(&path[path.len() - 1..], written);
        return (text.len()..text.len(), format!("{gap}[{header}]{newline}{line}{newline}"));
    }
    let line = entry(&path[place.depth..], written);
    let Some(end) = last_end.or(place.span.as_ref().map(|span| span.end)) else {
        return root_addition(text, &line, newline);
    };
    let at = line_end(text, end);
    let gap = if text[..at].ends_with('\n') { "" } else { newline };
    (at..at, format!("{gap}{line}{newline}"))
}

/// Where the first key of a root goes that has none: before the first header and the comments on top of it, or
/// to the end of a text without tables.
fn root_addition(text: &str, line: &str, newline: &str) -> (Range<usize>, String) {
    let mut at = 0;
    let mut offset = 0;
    for one in text.split_inclusive('\n') {
        if one.trim_start().starts_with('[') {
            return (at..at, format!("{line}{newline}{newline}"));
        }
        offset += one.len();
        if one.trim().is_empty() {
            at = offset;
        }
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    (text.len()..text.len(), format!("{gap}{line}{newline}"))
}

/// The bytes to cut so that the key at `path` is gone; `None` where that is not for this crate to say.
fn removal(text: &str, place: &Place<'_>, path: &[String], item: &Item) -> Option<Range<usize>> {
    let end = item.span()?.end;
    if place.layout == Layout::Lines {
        let key = leaf_key(place, path)?.start;
        let start = text[..key].rfind('\n').map_or(0, |newline| newline + 1);
        return Some(start..line_end(text, end));
    }
    if place.is_dotted {
        return None;
    }
    let key = leaf_key(place, path)?;
    let blank = |c: char| c == ' ' || c == '\t';
    let after = text[end..].trim_start_matches(blank);
    if let Some(after) = after.strip_prefix(',') {
        let after = after.trim_start_matches(blank);
        return Some(key.start..text.len() - after.len());
    }
    let before = text[..key.start].trim_end_matches(blank);
    let start = before.strip_suffix(',').map_or(key.start, str::len);
    Some(start..end)
}

/// The bytes of the last name of the key.
fn leaf_key(place: &Place<'_>, path: &[String]) -> Option<Range<usize>> {
    let mut table = place.table;
    let (last, between) = path[place.depth..].split_last()?;
    for name in between {
        table = table.get(name)?.as_table_like()?;
    }
    table.get_key_value(last)?.0.span()
}

/// Behind the newline of the line that holds byte `offset`, or the end of the text.
fn line_end(text: &str, offset: usize) -> usize {
    text[offset..].find('\n').map_or(text.len(), |newline| offset + newline + 1)
}

fn entry(path: &[String], written: &str) -> String {
    format!("{} = {written}", entry_path(path))
}

fn entry_path(path: &[String]) -> String {
    let mut out = String::new();
    for (n, segment) in path.iter().enumerate() {
        if n > 0 {
            out.push('.');
        }
        push_segment(&mut out, segment);
    }
    out
}

fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Bool(_) | Value::Int(_) => out = value.to_string(),
        Value::Text(text) => push_text(&mut out, text),
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                push_text(&mut out, item);
            }
            out.push(']');
        }
    }
    out
}

fn splice(text: &str, at: Range<usize>, inserted: &str) -> String {
    let mut out = String::with_capacity(text.len() + inserted.len());
    out.push_str(&text[..at.start]);
    out.push_str(inserted);
    out.push_str(&text[at.end..]);
    out
}

/// `edited`, if reading it gives what was meant and nothing else has changed (S2, S3).
fn verified(before: &str, edited: String, path: &[String], value: Option<Value>) -> Result<String, EditError> {
    let mut wanted = contents(before)?;
    wanted.retain(|(own, _)| own != path);
    let holds = contents(&edited).is_ok_and(|mut found| {
        let at = found.iter().position(|(own, _)| own == path);
        let there = at.map(|at| found.remove(at).1);
        there == value.map(Content::Value) && found == wanted
    });
    if holds { Ok(edited) } else { Err(EditError::Tangled { name: entry_path(path).into() }) }
}

/// What a text says, in the order of the paths: every value, and for those that no key can hold the bytes that say it.
fn contents(text: &str) -> Result<Vec<(Vec<String>, Content)>, EditError> {
    let document = parse("the configuration", text).map_err(EditError::Unreadable)?;
    let filled = |leaf: &Leaf| leaf.content != Content::EmptyTable;
    let mut found: Vec<_> =
        leaves(document.as_table()).into_iter().filter(filled).map(|leaf| (leaf.path, leaf.content)).collect();
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}
