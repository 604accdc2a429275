//! Whether a JSON Schema may be sent in strict mode, where the server holds the model to it word for word.
//!
//! Strict mode (OpenAI, "Structured Outputs", "Supported schemas") wants every object closed and every property
//! required, and takes only some keywords. A schema is sent strictly only if that changes nothing about which
//! inputs it allows: a property that may be left out becomes required where it may be `null` already, and
//! nowhere else, because its tool may not take a `null` for an absent value.

use std::borrow::Cow;

use aether_core::model::ModelError;
use serde_json::Value;

use crate::failure;
use crate::outline::{Item, Kind, Outline};

/// The most levels of a schema in strict mode.
pub const DEPTH_MAX: usize = 10;

/// A schema as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted<'a> {
    /// Its text.
    pub text: Cow<'a, str>,
    /// Whether the server can be held to it.
    pub strictness: Strictness,
}

/// Whether the model is held to a schema by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Word for word.
    Strict,
    /// As guidance.
    Loose,
}

/// Fits a schema for strict mode if it qualifies; `whose` names it in the error.
///
/// # Errors
/// [`aether_core::model::ModelErrorKind::Unsupported`] if the text is no JSON object.
pub fn fit<'a>(schema: &'a str, whose: &str) -> Result<Fitted<'a>, ModelError> {
    let outline = outline_of(schema, whose)?;
    let root = outline.root();
    let is_plain = root.get("type").is_some_and(|kind| kind.is_text("object")) && root.get("anyOf").is_none();
    let change = if is_plain { change_for(root, 0) } else { None };
    let (text, strictness) = match change {
        None => (Cow::Borrowed(schema), Strictness::Loose),
        Some(Change::Nothing) => (Cow::Borrowed(schema), Strictness::Strict),
        Some(Change::Require) => match serde_json::from_str(schema) {
            Ok(mut value) => {
                require_all(&mut value);
                (Cow::Owned(value.to_string()), Strictness::Strict)
            }
            // A number beyond all bounds is JSON, and still cannot be written again.
            Err(_) => (Cow::Borrowed(schema), Strictness::Loose),
        },
    };
    Ok(Fitted { text, strictness })
}

/// The schema as it is, if it is one.
///
/// # Errors
/// [`aether_core::model::ModelErrorKind::Unsupported`] if the text is no JSON object.
pub fn as_it_is<'a>(schema: &'a str, whose: &str) -> Result<&'a str, ModelError> {
    outline_of(schema, whose).map(|_| schema)
}

fn outline_of<'a>(schema: &'a str, whose: &str) -> Result<Outline<'a>, ModelError> {
    Outline::of(schema).filter(|outline| outline.root().kind() == Kind::Object).ok_or_else(|| {
        failure::unsupported(&format!("the schema of {whose} is not a JSON object"), "correct the schema")
    })
}

/// What a schema needs in order to qualify.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// Properties that may be `null` have to be required.
    Require,
}

impl Change {
    fn and(self, other: Change) -> Change {
        if self == Change::Require { self } else { other }
    }
}

/// What one schema needs; `None` if nothing makes it qualify.
fn change_for(schema: Item<'_, '_>, depth: usize) -> Option<Change> {
    const PLAIN: [&str; 16] = [
        "type",
        "description",
        "title",
        "enum",
        "const",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
        "required",
        "additionalProperties",
        "$ref",
    ];
    if depth >= DEPTH_MAX || schema.kind() != Kind::Object {
        return None;
    }
    let mut change = Change::Nothing;
    for (name, member) in schema.members() {
        match (name, member.kind()) {
            ("items", _) => change = change.and(change_for(member, depth + 1)?),
            ("properties" | "$defs", Kind::Object) | ("anyOf", Kind::Array) => {
                for (_, nested) in member.members() {
                    change = change.and(change_for(nested, depth + 1)?);
                }
            }
            _ if PLAIN.contains(&name) => {}
            _ => return None,
        }
    }
    if names_type(schema, "object") { Some(change.and(change_for_object(schema)?)) } else { Some(change) }
}

/// What an object's schema needs, if it is closed and each property that may be left out may be `null`.
fn change_for_object(schema: Item<'_, '_>) -> Option<Change> {
    if schema.get("additionalProperties")?.kind() != Kind::False {
        return None;
    }
    let required = schema.get("required");
    let mut change = Change::Nothing;
    for (name, property) in schema.get("properties")?.members() {
        if required.is_some_and(|names| names.members().any(|(_, one)| one.is_text(name))) {
            continue;
        }
        if !names_type(property, "null") {
            return None;
        }
        change = Change::Require;
    }
    Some(change)
}

fn names_type(schema: Item<'_, '_>, wanted: &str) -> bool {
    schema.get("type").is_some_and(|kind| kind.is_text(wanted) || kind.members().any(|(_, one)| one.is_text(wanted)))
}

/// Makes every property of every object of a schema required. Its depth is limited by [`DEPTH_MAX`].
fn require_all(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for (name, member) in members.iter_mut() {
        match (name.as_str(), member) {
            ("items", items) => require_all(items),
            ("properties" | "$defs", Value::Object(named)) => named.values_mut().for_each(require_all),
            ("anyOf", Value::Array(several)) => several.iter_mut().for_each(require_all),
            _ => {}
        }
    }
    if let Some(Value::Object(properties)) = members.get("properties") {
        let names = properties.keys().map(|name| Value::String(name.clone())).collect();
        members.insert("required".to_owned(), Value::Array(names));
    }
}
