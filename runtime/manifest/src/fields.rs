//! Typed access to the tree: what has the wrong type is taken down as a mistake, and so is what nobody knows.

use aether_core::config::nearest;

use crate::mistake::{MistakeKind, Report, shown};
use crate::tree::{Content, Entry, Node};

/// A table, and what to call it.
pub(crate) struct Fields<'n> {
    /// The byte at which it begins.
    pub(crate) at: usize,
    entries: &'n [Entry],
    /// Such as `secrets[1]`; empty for the whole file.
    name: String,
}

impl<'n> Fields<'n> {
    /// The table that `node` is; everything in it is one of `known`.
    pub(crate) fn of(node: &'n Node, name: &str, known: &[&str], report: &mut Report<'_>) -> Option<Fields<'n>> {
        let Content::Table(entries) = &node.content else {
            wrong_type(node, name, "a table", report);
            return None;
        };
        let fields = Fields { at: node.at, entries, name: name.to_owned() };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
            let hint = match nearest(&entry.name, known.iter().copied()) {
                Some(near) => format!("did you mean `{}`?", fields.spelled(near)),
                None => format!("known are {}", known.join(", ")),
            };
            let key = fields.spelled(&shown(&entry.name));
            report.add(entry.at, MistakeKind::UnknownKey, format!("unknown key `{key}`; {hint}"));
        }
        Some(fields)
    }

    /// What stands under a key.
    pub(crate) fn find(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.name == key).map(|entry| &entry.value)
    }

    /// What stands under a key that has to be there; `why` follows the name in the sentence otherwise.
    pub(crate) fn demand(&self, key: &str, why: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        let found = self.find(key);
        if found.is_none() {
            report.add(self.at, MistakeKind::Missing, format!("`{}` is missing: {why}", self.spelled(key)));
        }
        found
    }

    /// The text under a key.
    pub(crate) fn text(&self, key: &str, wanted: &str, report: &mut Report<'_>) -> Option<(usize, &'n str)> {
        text(self.find(key)?, &self.spelled(key), wanted, report)
    }

    /// A key as a sentence names it.
    pub(crate) fn spelled(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// The text that a value is, and the byte at which it stands.
pub(crate) fn text<'n>(node: &'n Node, name: &str, wanted: &str, report: &mut Report<'_>) -> Option<(usize, &'n str)> {
    if let Content::Text(text) = &node.content {
        return Some((node.at, text));
    }
    wrong_type(node, name, wanted, report);
    None
}

/// The texts of a list, each with the byte at which it stands; what is no text is taken down.
pub(crate) fn texts<'n>(node: &'n Node, name: &str, wanted: &str, report: &mut Report<'_>) -> Vec<(usize, &'n str)> {
    let Content::List(items) = &node.content else {
        wrong_type(node, name, wanted, report);
        return Vec::new();
    };
    items.iter().filter_map(|item| text(item, name, "a text", report)).collect()
}

/// Takes down that `node` is not what was wanted.
pub(crate) fn wrong_type(node: &Node, name: &str, wanted: &str, report: &mut Report<'_>) {
    let sentence = format!("`{name}`: found {}, wanted {wanted}", found(&node.content));
    report.add(node.at, MistakeKind::WrongType, sentence);
}

/// What a value is called where another one was wanted. Texts are not shown: one may be a secret (M7).
fn found(content: &Content) -> String {
    match content {
        Content::Table(_) => "a table".to_owned(),
        Content::List(_) => "a list".to_owned(),
        Content::Text(_) => "a text".to_owned(),
        Content::Int(number) => format!("the number {number}"),
        Content::Float(_) => "a number with a point".to_owned(),
        Content::Bool(switch) => format!("`{switch}`"),
        Content::Moment => "a date or time".to_owned(),
    }
}
