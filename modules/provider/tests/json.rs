//! Writing and reading JSON, and fitting schemas for strict mode.

use aether_core::model::ModelErrorKind;
use aether_provider::json;
use aether_provider::schema::{Strictness, fit};
use serde_json::{Value, json};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn what_is_written_is_what_is_read() {
    let odd = "\u{0}\u{1}\u{1f}\"\\/\n\r\t\u{7f}\u{2028}é\u{1F980}";
    let text = written(|out| {
        json::object(out);
        json::member(out, "a", odd);
        json::key(out, "b");
        json::array(out);
        json::number(out, u64::MAX);
        json::float(out, 0.7);
        json::float(out, f32::NAN);
        json::string(out, "");
        json::raw(out, " {\"x\":1}\n");
        json::raw(out, "true");
        json::value(out, &json!({"y": [null]}));
        json::array(out);
        json::end_array(out);
        json::object(out);
        json::end_object(out);
        json::end_array(out);
        json::key(out, "c");
        json::object(out);
        json::end_object(out);
        json::end_object(out);
    });
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        value,
        json!({"a": odd, "b": [u64::MAX, 0.7, 0, "", {"x": 1}, true, {"y": [null]}, [], {}], "c": {}}),
        "{text}"
    );
}

#[test]
fn base64_as_in_rfc_4648_section_10() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(written(|out| json::base64(out, "", bytes.as_bytes())), format!("\"{text}\""));
    }
    assert_eq!(written(|out| json::base64(out, "data:x,", &[0xFB, 0xFF])), "\"data:x,+/8=\"");
}

#[test]
fn inputs_of_calls_are_always_objects_when_written() {
    for (input, expected) in [
        ("{\"a\": 1}", "{\"a\": 1}"),
        ("", "{}"),
        (" \n", "{}"),
        ("null", "{}"),
        ("{\"a\":", "{\"invalid_input\":\"{\\\"a\\\":\"}"),
        ("[1]", "{\"invalid_input\":\"[1]\"}"),
        ("{} {}", "{\"invalid_input\":\"{} {}\"}"),
    ] {
        assert_eq!(written(|out| json::input_object(out, input)), expected);
        assert_eq!(json::input_text(input), expected);
    }
}

#[test]
fn names_of_tools_are_what_providers_accept() {
    for (name, expected) in [("read_file", "read_file"), ("a b.c", "a_b_c"), ("", "unnamed"), ("é-1", "_-1")] {
        assert_eq!(json::tool_name(name), expected);
    }
    assert_eq!(json::tool_name(&"x".repeat(1000)).len(), json::TOOL_NAME_BYTES_MAX);
}

#[test]
fn bytes_that_are_not_utf_8_are_replaced() {
    assert_eq!(json::parse(b"{\"a\":\"\xFF\"}"), Some(json!({"a": "\u{fffd}"})));
    assert_eq!(json::parse(b"{\"a\""), None);
    assert_eq!(json::parse(&b"[".repeat(100_000)), None, "depth is limited");
}

#[test]
fn a_schema_that_cannot_be_written_again_is_sent_as_it_is() {
    let optional = r#"{"type":"object","properties":{"n":{"type":["number","null"],"maximum":1e999}},"additionalProperties":false}"#;
    let fitted = fit(optional, "the tool x").unwrap();
    assert_eq!((&*fitted.text, fitted.strictness), (optional, Strictness::Loose));
}

#[test]
fn schemas_are_strict_only_where_that_changes_nothing() {
    let closed = json!({"type": "object", "properties": {"a": {"type": "string", "description": "d"}, "b": {"type": "array", "items": {"type": "integer", "minimum": 0}}}, "required": ["a", "b"], "additionalProperties": false});
    let nullable =
        json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": false});
    let strict = [
        closed.clone(),
        json!({"type": "object", "properties": {}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"x": closed, "y": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/z"}]}}, "required": ["x", "y"], "additionalProperties": false, "$defs": {"z": {"enum": ["q"]}}}),
    ];
    for schema in strict {
        let text = schema.to_string();
        let fitted = fit(&text, "t").expect("an object");
        assert_eq!((fitted.strictness, &*fitted.text), (Strictness::Strict, text.as_str()));
    }
    let text = nullable.to_string();
    let fitted = fit(&text, "t").expect("an object");
    assert_eq!(fitted.strictness, Strictness::Strict);
    let value: Value = serde_json::from_str(&fitted.text).expect("JSON");
    assert_eq!(value["required"], json!(["a"]));
    let loose = [
        json!({}),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        json!({"type": "object", "properties": {"a": {"type": "string", "default": "x"}}, "required": ["a"], "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"], "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": true}, "required": ["a"], "additionalProperties": false}),
        json!({"type": "object", "anyOf": [], "properties": {}, "additionalProperties": false}),
        json!({"type": "array", "items": {"type": "string"}}),
    ];
    for schema in loose {
        let text = schema.to_string();
        let fitted = fit(&text, "t").expect("an object");
        assert_eq!((fitted.strictness, &*fitted.text), (Strictness::Loose, text.as_str()));
    }
    let deep = (0..20).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    let deep = json!({"type": "object", "properties": {"a": deep}, "required": ["a"], "additionalProperties": false});
    assert_eq!(fit(&deep.to_string(), "t").expect("an object").strictness, Strictness::Loose);
    for text in ["", "[]", "{", "true"] {
        let error = fit(text, "clock").expect_err("no object");
        assert_eq!(error.kind, ModelErrorKind::Unsupported);
        assert!(error.message.contains("clock"), "{error}");
    }
}
