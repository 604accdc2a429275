//! The inputs of tools: one table per tool, from which both its JSON Schema and the check of its calls are made.

use aether_core::config::nearest;
use serde_json::{Map, Value};

/// The most bytes of one call's input.
pub const INPUT_BYTES_MAX: usize = 2 << 20;

/// One parameter.
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    /// For the model; empty where the name says it all.
    pub(crate) doc: &'static str,
}

/// What a parameter is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number within bounds.
    Whole {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// True or false.
    Flag,
    /// An array of strings.
    Texts,
}

/// Whether a parameter may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// Every parameter of one tool.
pub struct Shape(pub &'static [Field]);

/// The checked input of one call.
#[derive(Debug)]
pub struct Input(Map<String, Value>);

/// A parameter that every call gives.
#[must_use]
pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, need: Need::Required, doc }
}

/// A parameter that may be left out.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, need: Need::Optional, doc }
}

impl Shape {
    /// The JSON Schema (draft 2020-12) of the input.
    #[must_use]
    pub fn schema(&self) -> String {
        let mut properties = Map::new();
        let mut needed = Vec::new();
        for field in self.0 {
            let mut property = Map::new();
            property.insert("type".into(), field.kind.type_name().into());
            if let Kind::Texts = field.kind {
                property.insert("items".into(), serde_json::json!({"type": "string"}));
            }
            if !field.doc.is_empty() {
                property.insert("description".into(), field.doc.into());
            }
            properties.insert(field.name.into(), property.into());
            if field.need == Need::Required {
                needed.push(Value::from(field.name));
            }
        }
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        if !needed.is_empty() {
            schema.insert("required".into(), needed.into());
        }
        schema.insert("additionalProperties".into(), false.into());
        Value::Object(schema).to_string()
    }

    /// Reads an input as a model wrote it. An empty text stands for `{}`, and `null` for a parameter left out.
    ///
    /// # Errors
    /// A sentence that names the parameter, what was found and what was wanted.
    pub fn read(&self, input: &str) -> Result<Input, String> {
        if input.len() > INPUT_BYTES_MAX {
            return Err(format!("the input has {} bytes; at most {INPUT_BYTES_MAX} are taken", input.len()));
        }
        let text = if input.trim().is_empty() { "{}" } else { input };
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("the input is not valid JSON: {error}"))?;
        let Value::Object(mut given) = value else {
            return Err(format!("the input is {}; wanted a JSON object {}", type_of(&value), self.summary()));
        };
        given.retain(|_, value| !value.is_null());
        for (name, value) in &given {
            let Some(field) = self.0.iter().find(|field| field.name == name) else {
                return Err(self.unknown(name));
            };
            field.check(value)?;
        }
        match self.0.iter().find(|field| field.need == Need::Required && !given.contains_key(field.name)) {
            Some(field) => Err(format!("`{}` is missing; wanted {}", field.name, self.summary())),
            None => Ok(Input(given)),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let shown: String = name.chars().take(64).collect();
        match nearest(&shown, self.0.iter().map(|field| field.name)) {
            Some(near) => format!("unknown parameter `{shown}`; did you mean `{near}`?"),
            None => format!("unknown parameter `{shown}`; wanted {}", self.summary()),
        }
    }

    /// Such as `{path, from_line?}`.
    fn summary(&self) -> String {
        let names = self.0.iter().map(|field| match field.need {
            Need::Required => field.name.to_owned(),
            Need::Optional => format!("{}?", field.name),
        });
        format!("{{{}}}", names.collect::<Vec<_>>().join(", "))
    }
}

impl Field {
    fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self.kind, value) {
            (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) => true,
            (Kind::Whole { min, max }, Value::Number(_)) => whole(value).is_some_and(|n| (min..=max).contains(&n)),
            (Kind::Texts, Value::Array(items)) => items.iter().all(Value::is_string),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let found = match value {
            Value::Number(number) => number.to_string(),
            other => type_of(other).to_owned(),
        };
        let wanted = match self.kind {
            Kind::Text => "a string".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Texts => "an array of strings".to_owned(),
            Kind::Whole { min, max } => format!("a whole number from {min} to {max}"),
        };
        Err(format!("`{}` is {found}; wanted {wanted}", self.name))
    }
}

impl Kind {
    fn type_name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Whole { .. } => "integer",
            Kind::Flag => "boolean",
            Kind::Texts => "array",
        }
    }
}

impl Input {
    /// A text that was given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A required text; the check before made sure that it is there.
    #[must_use]
    pub fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A number that was given.
    #[must_use]
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(whole)
    }

    /// Whether a flag was given and is true.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of texts that was given.
    #[must_use]
    pub fn texts(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        Some(self.0.get(name)?.as_array()?.iter().filter_map(Value::as_str))
    }
}

/// JSON has one kind of number: `3.0` is a whole one (JSON Schema 2020-12, section 6.1.1).
fn whole(value: &Value) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|f| f.fract() == 0.0 && (0.0..EXACT_MAX).contains(f))?;
        Some(float as u64)
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape(&[
        required("path", Kind::Text, ""),
        optional("from_line", Kind::Whole { min: 1, max: 100 }, "first"),
        optional("all", Kind::Flag, ""),
        optional("tools", Kind::Texts, ""),
    ]);

    #[test]
    fn t4_wrong_input_gets_a_sentence_that_says_what_to_write() {
        let cases = [
            ("{", "the input is not valid JSON: EOF while parsing an object at line 1 column 1"),
            ("[1]", "the input is an array; wanted a JSON object {path, from_line?, all?, tools?}"),
            ("", "`path` is missing; wanted {path, from_line?, all?, tools?}"),
            (r#"{"path":null}"#, "`path` is missing; wanted {path, from_line?, all?, tools?}"),
            (r#"{"path":7}"#, "`path` is 7; wanted a string"),
            (r#"{"path":"x","form_line":1}"#, "unknown parameter `form_line`; did you mean `from_line`?"),
            (r#"{"path":"x","zzz":1}"#, "unknown parameter `zzz`; wanted {path, from_line?, all?, tools?}"),
            (r#"{"path":"x","from_line":0}"#, "`from_line` is 0; wanted a whole number from 1 to 100"),
            (r#"{"path":"x","from_line":1.5}"#, "`from_line` is 1.5; wanted a whole number from 1 to 100"),
            (r#"{"path":"x","from_line":"2"}"#, "`from_line` is a string; wanted a whole number from 1 to 100"),
            (r#"{"path":"x","all":"yes"}"#, "`all` is a string; wanted true or false"),
            (r#"{"path":"x","tools":[1]}"#, "`tools` is an array; wanted an array of strings"),
        ];
        for (input, wanted) in cases {
            assert_eq!(SHAPE.read(input).map(|_| ()).unwrap_err(), wanted, "{input}");
        }
        let deep = format!("{{\"path\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(SHAPE.read(&deep).unwrap_err().contains("recursion limit"));
        assert!(SHAPE.read(&"x".repeat(INPUT_BYTES_MAX + 1)).unwrap_err().contains("at most 2097152"));
    }

    #[test]
    fn right_input_is_read() {
        let input = SHAPE.read(r#"{"path":"x","from_line":3.0,"all":true,"tools":["a","b"]}"#).unwrap();
        assert_eq!((input.required("path"), input.whole("from_line"), input.is_set("all")), ("x", Some(3), true));
        assert_eq!(input.texts("tools").unwrap().collect::<Vec<_>>(), ["a", "b"]);
        let input = SHAPE.read(r#"{"path":"x","all":null}"#).unwrap();
        assert_eq!((input.whole("from_line"), input.is_set("all")), (None, false));
    }

    #[test]
    fn the_schema_says_the_same() {
        let wanted = concat!(
            r#"{"type":"object","properties":{"path":{"type":"string"},"from_line":{"type":"integer","description":"first"},"#,
            r#""all":{"type":"boolean"},"tools":{"type":"array","items":{"type":"string"}}},"required":["path"],"#,
            r#""additionalProperties":false}"#
        );
        assert_eq!(SHAPE.schema(), wanted);
    }
}
