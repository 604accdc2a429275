//! W1: the structures say what the schema says, name by name, number by number, type by type.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use aether_proto::{Finished, Outcome, RunEvent, RunRequest, SCHEMA, StatusReply, run_event};
use prost::Message;

/// Message or enumeration -> its lines, `number name type`, sorted.
type Words = BTreeMap<String, Vec<String>>;

/// Reads the subset of proto3 that the schema uses; anything else is a failure.
fn read_schema(text: &str) -> (Words, Vec<String>) {
    let (mut words, mut methods) = (Words::new(), Vec::new());
    let mut open: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(|line| line.split("//").next().unwrap().trim()).filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split([' ', ';']).filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            ["syntax", "=", "\"proto3\""] | ["package", "aether.runtime.v1"] => assert!(open.is_empty()),
            [kind @ ("message" | "enum" | "service" | "oneof"), name, rest @ ..] => {
                let nested = open.last().map(|(_, name)| name.clone());
                let name = if *kind == "oneof" { nested.unwrap() } else { (*name).to_owned() };
                match rest {
                    ["{"] => open.push(((*kind).to_owned(), name.clone())),
                    ["{}"] => assert_eq!(*kind, "message"),
                    _ => panic!("{line}"),
                }
                if matches!(*kind, "message" | "enum") {
                    assert!(words.insert(name, Vec::new()).is_none(), "twice: {line}");
                }
            }
            ["}"] => assert!(open.pop().is_some()),
            ["rpc", ..] => methods.push(line.to_owned()),
            [modifier @ ("optional" | "repeated"), kind, name, "=", number] => {
                field(&mut words, open.last().unwrap(), &format!("{number} {name} {modifier} {kind}"));
            }
            [kind, name, "=", number] => field(&mut words, open.last().unwrap(), &format!("{number} {name} {kind}")),
            [name, "=", number] => field(&mut words, open.last().unwrap(), &format!("{number} {name}")),
            _ => panic!("not understood: {line}"),
        }
    }
    assert!(open.is_empty());
    words.values_mut().for_each(|lines| lines.sort());
    (words, methods)
}

fn field(words: &mut Words, (kind, name): &(String, String), text: &str) {
    assert!(matches!(&**kind, "message" | "enum" | "oneof"), "{text}");
    let number = text.split(' ').next().unwrap();
    let fields = words.get_mut(name).unwrap();
    assert!(fields.iter().all(|field| field.split(' ').next() != Some(number)), "number {number} twice in {name}");
    fields.push(text.to_owned());
}

/// Reads the attributes of the structures in `messages.rs`; anything it does not know is a failure.
fn read_structures(text: &str) -> Words {
    let mut words = Words::new();
    let (mut current, mut attribute): (String, Option<String>) = (String::new(), None);
    for line in text.lines().map(str::trim) {
        let name = |rest: &str| rest.split([' ', '(', ':', '{']).next().unwrap().trim_end_matches(',').to_owned();
        if let Some(rest) = line.strip_prefix("pub struct ") {
            current = name(rest);
            assert!(words.insert(current.clone(), Vec::new()).is_none());
        } else if let Some(rest) = line.strip_prefix("pub enum ") {
            // The choices of a `oneof` belong to the message that holds it.
            current = name(rest);
            if current == "Event" {
                "RunEvent".clone_into(&mut current);
            } else {
                words.insert(current.clone(), Vec::new());
            }
        } else if let Some(rest) = line.strip_prefix("#[prost(") {
            attribute = Some(rest.trim_end_matches(")]").to_owned());
        } else if let Some(attribute) = attribute.take() {
            let field = snake(&name(line.trim_start_matches("pub ")));
            if !attribute.starts_with("oneof") {
                words.get_mut(&current).unwrap().push(structure_field(&attribute, &field, line));
            }
        } else if let Some((variant, number)) = line.split_once(" = ")
            && current == "Outcome"
            && variant.chars().all(char::is_alphanumeric)
        {
            let line = format!("{} OUTCOME_{}", number.trim_end_matches(','), variant.to_uppercase());
            words.get_mut(&current).unwrap().push(line);
        }
    }
    words.values_mut().for_each(|lines| lines.sort());
    words
}

fn structure_field(attribute: &str, field: &str, line: &str) -> String {
    let (mut kind, mut number, mut modifier) = (String::new(), String::new(), "");
    for part in attribute.split(", ") {
        match part.split_once(" = ").map_or((part, ""), |(key, value)| (key, value.trim_matches('"'))) {
            ("tag", value) => number = value.to_owned(),
            ("optional", "") => modifier = "optional ",
            ("enumeration", value) => kind = value.to_owned(),
            ("message", "") => kind = line.split(['(', ')']).nth(1).unwrap().trim_start_matches("super::").to_owned(),
            ("bytes", _) => kind = "bytes".to_owned(),
            (plain @ ("string" | "int32" | "uint32" | "uint64"), "") => kind = plain.to_owned(),
            other => panic!("not understood: {other:?} in {attribute}"),
        }
    }
    format!("{number} {field} {modifier}{kind}")
}

fn snake(name: &str) -> String {
    name.to_lowercase()
}

#[test]
fn the_structures_are_those_of_the_schema() {
    let (schema, _) = read_schema(SCHEMA);
    let structures = read_structures(include_str!("../src/messages.rs"));
    assert_eq!(schema.len(), 8);
    assert_eq!(schema.values().map(Vec::len).sum::<usize>(), 26);
    assert_eq!(schema, structures);
}

#[test]
fn a_difference_is_noticed() {
    let (schema, _) = read_schema(SCHEMA);
    let source = include_str!("../src/messages.rs");
    let changes = [
        ("#[prost(uint64, tag = \"6\")]", "#[prost(uint64, tag = \"10\")]"),
        ("#[prost(string, optional, tag = \"3\")]", "#[prost(string, tag = \"3\")]"),
        ("pub wall_ms: u64", "pub time_ms: u64"),
        ("Breach = 3", "Breach = 4"),
        ("#[prost(bytes, tag = \"2\")]", "#[prost(string, tag = \"2\")]"),
    ];
    for (from, to) in changes {
        assert!(source.contains(from), "{from}");
        assert_ne!(schema, read_structures(&source.replacen(from, to, 1)), "{to}");
    }
}

#[test]
fn the_paths_are_those_of_the_methods() {
    let (_, methods) = read_schema(SCHEMA);
    let methods: Vec<&str> =
        methods.iter().map(|line| line.trim_start_matches("rpc ").split('(').next().unwrap()).collect();
    let paths: Vec<String> = methods.iter().map(|name| format!("/aether.runtime.v1.Runtime/{name}")).collect();
    assert_eq!(paths, [aether_proto::RUN, aether_proto::CLOSE, aether_proto::STATUS]);
}

#[test]
fn messages_are_the_bytes_that_the_encoding_prescribes() {
    // Protocol Buffers, "Encoding": tag = number << 3 | wire type.
    let request = RunRequest { tool: "ab".into(), input: "c".into(), session: Some(String::new()) };
    assert_eq!(request.encode_to_vec(), b"\x0a\x02ab\x12\x01c\x1a\x00");
    let event = RunEvent { event: Some(run_event::Event::Stderr(vec![0, 255])) };
    assert_eq!(event.encode_to_vec(), b"\x12\x02\x00\xff");
    let finished = Finished {
        outcome: Outcome::Breach.into(),
        exit_code: Some(0),
        signal: Some(9),
        wall_ms: 300,
        ..Finished::default()
    };
    assert_eq!(finished.encode_to_vec(), b"\x08\x03\x18\x00\x20\x09\x30\xac\x02");
    let event = RunEvent { event: Some(run_event::Event::Finished(finished)) };
    assert_eq!(&event.encode_to_vec()[..4], b"\x22\x09\x08\x03");
}

#[test]
fn what_is_written_is_read_back() {
    // W3
    let status =
        StatusReply { text: "tier A".into(), in_flight: 3, calls_total: u64::MAX, refused_total: 1, serving_ms: 9 };
    assert_eq!(StatusReply::decode(&*status.encode_to_vec()).unwrap(), status);
    // A field that this version does not know is passed over.
    assert_eq!(RunEvent::decode(&b"\x2a\x01x"[..]).unwrap(), RunEvent { event: None });
}
