//! The `[input]` table: a JSON Schema (draft 2020-12) of a tool's input, written in TOML.

use serde_json::{Map, Number, Value};

use crate::mistake::{MistakeKind, Report, shown};
use crate::tree::{Content, Entry, Node};

/// The most bytes of the schema, written as JSON.
pub const INPUT_BYTES_MAX: usize = 16 << 10;

/// The most levels of tables and lists within it.
pub const INPUT_DEPTH_MAX: usize = 16;

/// The types of JSON Schema (Validation, section 6.1.1).
const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];

/// Keywords that give a schema another name or base, or that point somewhere at run time (Core, section 8.2).
const NAMING: &[&str] = &["$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveRef", "$vocabulary"];

/// How a value of the schema is to be read.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// A schema: its keys are keywords.
    Schema,
    /// Schemas by name: its keys are anybody's.
    Named,
    /// A list of schemas.
    Listed,
    /// A schema or a list of schemas.
    Either,
    /// Data, which means nothing here.
    Data,
}

impl Role {
    /// What stands under a keyword (Core, sections 8.2.4 and 10; Validation, sections 6.1 and 9).
    fn of(keyword: &str) -> Role {
        match keyword {
            "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties" => Role::Named,
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => Role::Listed,
            "items" => Role::Either,
            "additionalProperties"
            | "contains"
            | "else"
            | "if"
            | "not"
            | "propertyNames"
            | "then"
            | "unevaluatedItems"
            | "unevaluatedProperties" => Role::Schema,
            _ => Role::Data,
        }
    }
}

/// The schema of a tool that takes no input.
pub(crate) fn empty() -> Value {
    let members = [("type".to_owned(), Value::from("object")), ("properties".to_owned(), Value::Object(Map::new()))];
    Value::Object(members.into_iter().collect())
}

/// Reads the table `[input]`; a schema without `type` is given `"object"`.
pub(crate) fn read(node: &Node, report: &mut Report<'_>) -> Option<Value> {
    let Content::Table(entries) = &node.content else {
        crate::fields::wrong_type(node, "input", "a table that is a JSON Schema", report);
        return None;
    };
    check(node, Role::Schema, report);
    match entries.iter().find(|entry| entry.name == "type").map(|entry| &entry.value.content) {
        None => {}
        Some(Content::Text(text)) if text == "object" => {}
        Some(_) => {
            let why = "`input.type`: the input of a tool is an object: write `type = \"object\"`, or leave it out";
            report.add(node.at, MistakeKind::Conflict, why.to_owned());
        }
    }
    references(node, entries, report);
    let Value::Object(mut members) = json(node, 0, report)? else { return None };
    if !members.contains_key("type") {
        members.shift_insert(0, "type".to_owned(), Value::from("object"));
    }
    let schema = Value::Object(members);
    let bytes = schema.to_string().len();
    if bytes > INPUT_BYTES_MAX {
        let sentence = format!("`input`: found {bytes} bytes of schema, wanted at most {INPUT_BYTES_MAX}");
        report.add(node.at, MistakeKind::TooLarge, sentence);
    }
    Some(schema)
}

fn json(node: &Node, depth: usize, report: &mut Report<'_>) -> Option<Value> {
    if depth > INPUT_DEPTH_MAX {
        let sentence = format!("`input` is deeper than {INPUT_DEPTH_MAX} levels: describe less, or use `$defs`");
        report.add(node.at, MistakeKind::TooLarge, sentence);
        return None;
    }
    Some(match &node.content {
        Content::Table(entries) => {
            let mut members = Map::new();
            for entry in entries {
                members.insert(entry.name.clone(), json(&entry.value, depth + 1, report)?);
            }
            Value::Object(members)
        }
        Content::List(items) => {
            Value::Array(items.iter().map(|item| json(item, depth + 1, report)).collect::<Option<_>>()?)
        }
        Content::Text(text) => Value::from(text.as_str()),
        Content::Int(number) => Value::from(*number),
        Content::Bool(switch) => Value::from(*switch),
        Content::Float(number) => match Number::from_f64(*number) {
            Some(number) => Value::Number(number),
            None => return foreign(node, "JSON has no infinite numbers", report),
        },
        Content::Moment => return foreign(node, "JSON has no dates: put it into quotes", report),
    })
}

fn foreign(node: &Node, why: &str, report: &mut Report<'_>) -> Option<Value> {
    report.add(node.at, MistakeKind::WrongType, format!("`input`: {why}"));
    None
}

/// Checks what a schema's keywords may say, as far as a wrong one would mislead a model or a validator.
fn check(node: &Node, role: Role, report: &mut Report<'_>) {
    match (role, &node.content) {
        (Role::Data, _) | (Role::Schema | Role::Either, Content::Bool(_)) => {}
        (Role::Schema | Role::Either, Content::Table(entries)) => {
            for entry in entries {
                keyword(entry, report);
                check(&entry.value, Role::of(&entry.name), report);
            }
        }
        (Role::Named, Content::Table(entries)) => {
            entries.iter().for_each(|entry| check(&entry.value, Role::Schema, report));
        }
        (Role::Listed | Role::Either, Content::List(items)) => {
            items.iter().for_each(|item| check(item, Role::Schema, report));
        }
        (role, _) => {
            let wanted = match role {
                Role::Named => "a table of schemas",
                Role::Listed => "a list of schemas",
                _ => "a schema, which is a table or `true` or `false`",
            };
            crate::fields::wrong_type(node, "input", wanted, report);
        }
    }
}

fn keyword(entry: &Entry, report: &mut Report<'_>) {
    let mut wrong =
        |kind, why: String| report.add(entry.value.at, kind, format!("`input`: `{}` {why}", shown(&entry.name)));
    match (entry.name.as_str(), &entry.value.content) {
        (name, _) if NAMING.contains(&name) => {
            wrong(MistakeKind::Conflict, "is not needed in one schema by itself: use `$defs` and `$ref`".to_owned());
        }
        ("$ref", Content::Text(_)) => {}
        ("$ref", _) => wrong(MistakeKind::WrongType, "wants a text such as `#/$defs/place`".to_owned()),
        ("type", Content::Text(name)) if TYPES.contains(&name.as_str()) => {}
        ("type", Content::List(names)) if names.iter().all(is_type) && !names.is_empty() => {}
        ("type", _) => wrong(MistakeKind::Malformed, format!("wants one or a list of {}", TYPES.join(", "))),
        ("required", Content::List(names)) if names.iter().all(|name| matches!(name.content, Content::Text(_))) => {}
        ("required", _) => wrong(MistakeKind::WrongType, "wants a list of names".to_owned()),
        ("enum", Content::List(items)) if !items.is_empty() => {}
        ("enum", _) => wrong(MistakeKind::WrongType, "wants a list of values".to_owned()),
        ("description" | "title" | "pattern", Content::Text(_)) => {}
        ("description" | "title" | "pattern", _) => wrong(MistakeKind::WrongType, "wants a text".to_owned()),
        _ => {}
    }
}

fn is_type(node: &Node) -> bool {
    matches!(&node.content, Content::Text(name) if TYPES.contains(&name.as_str()))
}

/// Every `$ref` names something in `$defs` of this schema, and none leads in a circle of references alone.
fn references(root: &Node, entries: &[Entry], report: &mut Report<'_>) {
    let mut found = Vec::new();
    gather(root, Role::Schema, &mut found);
    for (at, reference) in &found {
        let mut next = Some(*reference);
        // A chain longer than there are references repeats one of them.
        for _ in 0..=found.len() {
            let Some(reference) = next else { break };
            match definition(entries, reference) {
                None => {
                    let sentence = format!(
                        "`input`: `$ref` to `{}`, but only what stands in `$defs` of this schema can be named, such as `#/$defs/place`",
                        shown(reference)
                    );
                    report.add(*at, MistakeKind::Conflict, sentence);
                    next = None;
                }
                Some(target) => next = reference_of(target).map(|(_, reference)| reference),
            }
        }
        if next.is_some() {
            report.add(
                *at,
                MistakeKind::Conflict,
                format!("`input`: `$ref` to `{}` leads back to itself", shown(reference)),
            );
        }
    }
}

fn gather<'n>(node: &'n Node, role: Role, found: &mut Vec<(usize, &'n str)>) {
    match (role, &node.content) {
        (Role::Schema | Role::Either, Content::Table(entries)) => {
            found.extend(reference_of(node));
            entries.iter().for_each(|entry| gather(&entry.value, Role::of(&entry.name), found));
        }
        (Role::Named, Content::Table(entries)) => {
            entries.iter().for_each(|entry| gather(&entry.value, Role::Schema, found));
        }
        (Role::Listed | Role::Either, Content::List(items)) => {
            items.iter().for_each(|item| gather(item, Role::Schema, found));
        }
        _ => {}
    }
}

fn reference_of(node: &Node) -> Option<(usize, &str)> {
    match &entry(node, "$ref")?.content {
        Content::Text(text) => Some((node.at, text)),
        _ => None,
    }
}

fn definition<'n>(entries: &'n [Entry], reference: &str) -> Option<&'n Node> {
    let (table, name) = reference.strip_prefix("#/")?.split_once('/')?;
    let table = entries.iter().find(|entry| entry.name == table && ["$defs", "definitions"].contains(&table))?;
    entry(&table.value, name)
}

fn entry<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.content {
        Content::Table(entries) => entries.iter().find(|entry| entry.name == name).map(|entry| &entry.value),
        _ => None,
    }
}
