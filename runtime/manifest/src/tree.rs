//! A TOML document as a plain tree: every value, and the byte at which it stands.

use toml_edit::{Document, Item, TableLike, Value};

use crate::mistake::{MistakeKind, Report};

/// A value.
pub(crate) struct Node {
    /// The byte at which it stands.
    pub(crate) at: usize,
    pub(crate) content: Content,
}

/// What a value is.
pub(crate) enum Content {
    /// With a header, in braces, or by dotted keys: no difference is made.
    Table(Vec<Entry>),
    /// In brackets, or as a list of tables.
    List(Vec<Node>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Moment,
}

/// A key and its value.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The byte at which the key stands.
    pub(crate) at: usize,
    pub(crate) value: Node,
}

/// Reads a text of at most `bytes_max` bytes; `None` where a mistake was taken down.
pub(crate) fn parse(text: &str, bytes_max: usize, report: &mut Report<'_>) -> Option<Node> {
    if text.len() > bytes_max {
        let sentence = format!("found {} bytes, wanted at most {bytes_max}; is it the right file?", text.len());
        report.add(0, MistakeKind::TooLarge, sentence);
        return None;
    }
    // The parser bounds the depth by itself (80), so that the recursion below is bounded too (M6).
    match Document::parse(text) {
        Ok(document) => {
            let table = document.as_table();
            Some(Node { at: 0, content: Content::Table(entries(table, 0)) })
        }
        Err(error) => {
            let at = error.span().map_or(text.len(), |span| span.start);
            let message = error.message().trim_end().replace('\n', "; ");
            report.add(at, MistakeKind::Syntax, format!("this is not TOML: {}", crate::mistake::shown(&message)));
            None
        }
    }
}

fn entries(table: &dyn TableLike, near: usize) -> Vec<Entry> {
    let one = |(name, item): (&str, &Item)| {
        let span = table.get_key_value(name).and_then(|(key, _)| key.span());
        let at = span.or_else(|| item.span()).map_or(near, |span| span.start);
        Entry { name: name.to_owned(), at, value: node(item, at) }
    };
    table.iter().map(one).collect()
}

fn node(item: &Item, near: usize) -> Node {
    let at = item.span().map_or(near, |span| span.start);
    let content = match item {
        Item::None => Content::Table(Vec::new()),
        Item::Table(table) => Content::Table(entries(table, at)),
        Item::ArrayOfTables(tables) => {
            let one = |table: &toml_edit::Table| {
                let at = table.span().map_or(at, |span| span.start);
                Node { at, content: Content::Table(entries(table, at)) }
            };
            Content::List(tables.iter().map(one).collect())
        }
        Item::Value(value) => return plain(value, at),
    };
    Node { at, content }
}

fn plain(value: &Value, near: usize) -> Node {
    let at = value.span().map_or(near, |span| span.start);
    let content = match value {
        Value::String(text) => Content::Text(text.value().clone()),
        Value::Integer(number) => Content::Int(*number.value()),
        Value::Float(number) => Content::Float(*number.value()),
        Value::Boolean(switch) => Content::Bool(*switch.value()),
        Value::Datetime(_) => Content::Moment,
        Value::Array(array) => Content::List(array.iter().map(|value| plain(value, at)).collect()),
        Value::InlineTable(table) => Content::Table(entries(table, at)),
    };
    Node { at, content }
}
