//! Which JSON Schemas Anthropic's constrained sampling takes, and how a schema is made to fit it.
//!
//! Source: Claude Platform documentation, "Structured outputs" (JSON Schema limitations, schema complexity
//! limits) and "Strict tool use".

use aether_core::model::ModelError;
use serde_json::{Map, Value};

use crate::failure;
use crate::outline::{Item, Kind};

/// How many strict tools one request has at most.
const TOOLS_MAX: usize = 20;
/// How many optional parameters all strict tools of a request have at most, together.
const OPTIONALS_MAX: usize = 24;
/// How many parameters with a union type they have at most, together.
const UNIONS_MAX: usize = 16;
/// How deep a schema is followed.
const DEPTH_MAX: usize = 32;

/// The formats of strings that are enforced.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// What is left of a request's limits on strict tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    tools: usize,
    optionals: usize,
    unions: usize,
}

impl Room {
    /// The room of a whole request.
    pub(super) fn of_request() -> Room {
        Room { tools: TOOLS_MAX, optionals: OPTIONALS_MAX, unions: UNIONS_MAX }
    }

    /// No room: the model has no strict tools.
    pub(super) fn none() -> Room {
        Room { tools: 0, optionals: 0, unions: 0 }
    }

    /// Takes the room that a tool with this schema needs in strict mode. Without room, or where strict mode
    /// would change what the schema means, it takes none and says no.
    pub(super) fn takes(&mut self, schema: Item<'_, '_>) -> bool {
        let mut left = *self;
        if left.tools == 0 || schema.get("type").is_none_or(|kind| !kind.is_text("object")) {
            return false;
        }
        left.tools -= 1;
        let fits = left.fits(schema, 0).is_some();
        if fits {
            *self = left;
        }
        fits
    }

    fn fits(&mut self, schema: Item<'_, '_>, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX || schema.kind() != Kind::Object {
            return None;
        }
        let mut is_object = false;
        let mut is_closed = false;
        let mut required: usize = 0;
        let mut properties: usize = 0;
        for (name, member) in schema.members() {
            match (name, member.kind()) {
                ("type", Kind::Text(kind)) => is_object = kind == "object",
                ("type", Kind::Array) => {
                    is_object = member.members().any(|(_, kind)| kind.is_text("object"));
                    self.unions = self.unions.checked_sub(1)?;
                }
                ("title" | "description" | "default" | "$schema", _) => {}
                ("required" | "enum", Kind::Array) if member.members().all(|(_, value)| value.is_primitive()) => {
                    required += if name == "required" { member.members().count() } else { 0 };
                }
                ("const", _) if member.is_primitive() => {}
                ("additionalProperties", Kind::False) => is_closed = true,
                ("minItems", Kind::Number("0" | "1")) => {}
                ("format", Kind::Text(format)) if FORMATS.contains(&format) => {}
                ("items", _) => self.fits(member, depth + 1)?,
                ("anyOf", Kind::Array) => {
                    self.unions = self.unions.checked_sub(1)?;
                    member.members().try_for_each(|(_, variant)| self.fits(variant, depth + 1))?;
                }
                ("properties", Kind::Object) => {
                    properties += member.members().count();
                    member.members().try_for_each(|(_, property)| self.fits(property, depth + 1))?;
                }
                _ => return None,
            }
        }
        self.optionals = self.optionals.checked_sub(properties.saturating_sub(required))?;
        (is_closed || !is_object).then_some(())
    }
}

fn has_type(schema: &Map<String, Value>, wanted: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(found)) => found == wanted,
        Some(Value::Array(found)) => found.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    }
}

fn is_closed(schema: &Map<String, Value>) -> bool {
    schema.get("additionalProperties") == Some(&Value::Bool(false))
}

fn is_primitive(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// The schema for an answer, made to fit: objects are closed, and what cannot be enforced is told in words.
/// Every answer that fits it fits `schema` too, but for what is only told.
pub(super) fn for_output(schema: &str) -> Result<Value, ModelError> {
    let parsed = serde_json::from_str(schema);
    let fitted = match &parsed {
        Ok(Value::Object(members)) => fitted(members, 0),
        Ok(_) => Err("it is no object".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    };
    fitted.map_err(|why| {
        failure::unsupported(
            &format!("the schema of the answer cannot be given to Anthropic: {why}"),
            "change the schema, or leave it out and describe the format in the goal",
        )
    })
}

fn fitted(schema: &Map<String, Value>, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("it is nested more than {DEPTH_MAX} deep"));
    }
    let mut fit = Map::new();
    let mut told = String::new();
    for (name, value) in schema {
        match (name.as_str(), value) {
            ("$schema" | "$id" | "$comment" | "examples" | "additionalProperties", _) => {}
            ("$ref" | "title" | "description" | "default" | "type", _) => keep(&mut fit, name, value),
            ("required" | "enum", Value::Array(values)) if values.iter().all(is_primitive) => {
                keep(&mut fit, name, value);
            }
            ("const", value) if is_primitive(value) => keep(&mut fit, name, value),
            ("format", Value::String(format)) if FORMATS.contains(&format.as_str()) => keep(&mut fit, name, value),
            ("minItems", number) if matches!(number.as_u64(), Some(0 | 1)) => keep(&mut fit, name, value),
            ("items", Value::Object(items)) => keep(&mut fit, name, &fitted(items, depth + 1)?),
            ("properties" | "$defs" | "definitions", Value::Object(members)) => {
                keep(&mut fit, name, &each_fitted(members, depth)?);
            }
            ("anyOf" | "oneOf", Value::Array(variants)) => {
                let variants: Result<Vec<_>, _> =
                    variants.iter().map(|variant| variant_fitted(variant, depth)).collect();
                fit.insert("anyOf".into(), Value::Array(variants?));
            }
            ("allOf" | "not" | "if" | "then" | "else" | "patternProperties" | "prefixItems", _) => {
                return Err(format!("it uses {name}"));
            }
            _ => {
                told.push_str(if told.is_empty() { "" } else { ", " });
                told.push_str(&format!("{name}: {value}"));
            }
        }
    }
    if has_type(schema, "object") {
        close(schema, &mut fit)?;
    }
    if !told.is_empty() {
        let described = schema.get("description").and_then(Value::as_str).unwrap_or("");
        let gap = if described.is_empty() { "" } else { " " };
        fit.insert("description".into(), format!("{described}{gap}({told})").into());
    }
    Ok(Value::Object(fit))
}

fn keep(fit: &mut Map<String, Value>, name: &str, value: &Value) {
    fit.insert(name.to_owned(), value.clone());
}

fn each_fitted(members: &Map<String, Value>, depth: usize) -> Result<Value, String> {
    let mut fit = Map::new();
    for (name, member) in members {
        fit.insert(name.clone(), variant_fitted(member, depth)?);
    }
    Ok(Value::Object(fit))
}

fn variant_fitted(variant: &Value, depth: usize) -> Result<Value, String> {
    let members = variant.as_object().ok_or_else(|| format!("{variant} stands where a schema should"))?;
    fitted(members, depth + 1)
}

/// An object takes only what it names. One that names nothing but takes anything is a map, which would come out
/// always empty.
fn close(schema: &Map<String, Value>, fit: &mut Map<String, Value>) -> Result<(), String> {
    let names_any = schema.get("properties").and_then(Value::as_object).is_some_and(|named| !named.is_empty());
    if !names_any && !is_closed(schema) {
        return Err("it has an object that names no properties, which would always come out empty".to_owned());
    }
    fit.insert("additionalProperties".into(), Value::Bool(false));
    Ok(())
}
