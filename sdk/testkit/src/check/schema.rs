//! What the providers demand of JSON Schemas.

use serde_json::{Map, Value};

/// How strictly a provider follows a schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// To the letter, so that it must be closed.
    Strict,
    /// As a hint.
    Loose,
}

/// How a path in a schema is worded.
fn tuple(path: &[String]) -> String {
    let words: Vec<String> = path.iter().map(|word| format!("'{word}'")).collect();
    let comma = if words.len() == 1 { "," } else { "" };
    format!("({}{comma})", words.join(", "))
}

/// What is wrong with a schema for OpenAI's strict mode (structured outputs guide, "Supported schemas"):
/// every object must forbid additional properties and require all of its own.
pub(super) fn strict_fault(schema: &Value) -> Option<String> {
    walk(schema, &mut Vec::new())
}

fn walk(schema: &Value, path: &mut Vec<String>) -> Option<String> {
    let map = schema.as_object()?;
    if is_object(map) {
        let context = tuple(path);
        if map.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some(format!(
                "In context={context}, 'additionalProperties' is required to be supplied and to be false."
            ));
        }
        let required = map.get("required").and_then(Value::as_array);
        for name in map.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if !required.is_some_and(|list| list.iter().any(|entry| entry == name)) {
                return Some(format!(
                    "In context={context}, 'required' is required to be supplied and to be an array including \
                     every key in properties. Missing '{name}'."
                ));
            }
        }
    }
    for (key, inner) in map {
        match (key.as_str(), inner) {
            ("properties" | "$defs", Value::Object(inner)) => {
                for (name, inner) in inner {
                    path.extend([key.clone(), name.clone()]);
                    if let Some(fault) = walk(inner, path) {
                        return Some(fault);
                    }
                    path.truncate(path.len() - 2);
                }
            }
            ("anyOf", Value::Array(inner)) => {
                for (index, inner) in inner.iter().enumerate() {
                    path.extend([key.clone(), index.to_string()]);
                    if let Some(fault) = walk(inner, path) {
                        return Some(fault);
                    }
                    path.truncate(path.len() - 2);
                }
            }
            ("items", inner) => {
                path.push(key.clone());
                if let Some(fault) = walk(inner, path) {
                    return Some(fault);
                }
                path.pop();
            }
            _ => {}
        }
    }
    None
}

fn is_object(map: &Map<String, Value>) -> bool {
    match map.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == "object"),
        Some(name) => name == "object",
        None => map.contains_key("properties"),
    }
}

/// Whether some object of a schema leaves additional properties open, which Anthropic's structured
/// outputs refuse.
pub(super) fn is_open(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let open = is_object(map) && map.get("additionalProperties") != Some(&Value::Bool(false));
            open || map.values().any(is_open)
        }
        Value::Array(items) => items.iter().any(is_open),
        _ => false,
    }
}

/// The fields of Gemini's `Schema` (API reference, "Caching", type `Schema`), camel case.
const GEMINI_FIELDS: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];

/// What is wrong with a Gemini `Schema` at `place`.
pub(super) fn gemini_fault(schema: &Value, place: &str) -> Option<String> {
    let Some(map) = schema.as_object() else {
        return Some(format!(
            "Invalid value at '{place}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)"
        ));
    };
    if let Some(key) = super::unknown(map, &GEMINI_FIELDS) {
        return Some(format!("Invalid JSON payload received. Unknown name \"{key}\" at '{place}': Cannot find field."));
    }
    let types = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
    let kind = map.get("type").and_then(Value::as_str).map(str::to_ascii_uppercase);
    match kind.as_deref() {
        Some(kind) if !types.contains(&kind) => {
            return Some(format!(
                "Invalid value at '{place}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), \"{kind}\""
            ));
        }
        None if map.contains_key("type") => {
            return Some(format!("Proto field is not repeating, cannot start list. at '{place}.type'"));
        }
        Some("OBJECT") if map.get("properties").and_then(Value::as_object).is_some_and(Map::is_empty) => {
            return Some(format!("* GenerateContentRequest.{place}.properties: should be non-empty for OBJECT type\n"));
        }
        Some("ARRAY") if !map.contains_key("items") => {
            return Some(format!("* GenerateContentRequest.{place}.items: missing field.\n"));
        }
        _ => {}
    }
    let properties = map.get("properties").and_then(Value::as_object);
    for (name, inner) in properties.into_iter().flatten() {
        if let Some(fault) = gemini_fault(inner, &format!("{place}.properties[{name}]")) {
            return Some(fault);
        }
    }
    for name in map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !properties.is_some_and(|map| map.contains_key(name)) {
            return Some(format!("* GenerateContentRequest.{place}.required: property is not defined: {name}\n"));
        }
    }
    if let Some(items) = map.get("items") {
        return gemini_fault(items, &format!("{place}.items"));
    }
    let any = map.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    any.enumerate().find_map(|(index, inner)| gemini_fault(inner, &format!("{place}.any_of[{index}]")))
}

#[cfg(test)]
mod tests {
    use super::{gemini_fault, is_open, strict_fault};
    use serde_json::json;

    #[test]
    fn strict_schemas_close_and_require_everything() {
        let closed = json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"type": "array", "items": {"type": "object", "additionalProperties": false,
                "properties": {}}}}});
        assert_eq!(strict_fault(&closed), None);
        assert!(!is_open(&closed));
        let mut open = closed.clone();
        open["properties"]["a"]["items"]["additionalProperties"] = json!(true);
        assert!(strict_fault(&open).unwrap().starts_with("In context=('properties', 'a', 'items'), 'additional"));
        assert!(is_open(&open));
        let mut optional = closed;
        optional["required"] = json!([]);
        assert!(strict_fault(&optional).unwrap().ends_with("Missing 'a'."));
        assert!(strict_fault(&json!({"type": "object"})).unwrap().starts_with("In context=(), "));
    }

    #[test]
    fn gemini_takes_its_subset() {
        let good = json!({"type": "OBJECT", "required": ["a"], "properties": {"a": {"type": "string", "anyOf": [{"type": "NULL"}]},
            "b": {"type": "ARRAY", "items": {"type": "INTEGER"}}}});
        assert_eq!(gemini_fault(&good, "p"), None);
        for (schema, wanted) in [
            (json!({"type": "OBJECT", "additionalProperties": false}), "Unknown name \"additionalProperties\""),
            (json!({"type": "OBJECT", "properties": {}}), "should be non-empty"),
            (json!({"type": "OBJECT", "properties": {"a": {"const": 1}}}), "Unknown name \"const\""),
            (json!({"type": "ARRAY"}), "items: missing field"),
            (json!({"type": "STRING", "anyOf": [{"type": "x"}]}), "any_of[0].type"),
            (json!({"type": ["string", "null"]}), "cannot start list"),
            (json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["b"]}), "not defined: b"),
            (json!(1), "Invalid value"),
        ] {
            let fault = gemini_fault(&schema, "p").unwrap();
            assert!(fault.contains(wanted), "{fault}");
        }
    }
}
