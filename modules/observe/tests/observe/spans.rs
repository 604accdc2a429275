//! Spans have the shape of OTLP and the names of the semantic conventions.

use std::collections::BTreeSet;

use aether_observe::otlp_traces;
use serde_json::{Value, json};

use crate::check;
use crate::story;

/// The spans of a request, after checking everything that OTLP's JSON encoding says of them: ids are hexadecimal,
/// enumerations are numbers, 64-bit integers are strings, names are in lowerCamelCase.
pub(crate) fn read(body: &[u8]) -> Vec<Value> {
    let request: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(keys(&request), ["resourceSpans"]);
    let mut spans = Vec::new();
    for resource in request["resourceSpans"].as_array().unwrap() {
        assert_eq!(keys(resource), ["resource", "scopeSpans"]);
        attributes(&resource["resource"]["attributes"]);
        for scope in resource["scopeSpans"].as_array().unwrap() {
            assert_eq!(keys(scope), ["scope", "spans"]);
            assert_eq!(keys(&scope["scope"]), ["name", "version"]);
            spans.extend(scope["spans"].as_array().unwrap().iter().cloned());
        }
    }
    spans.iter().for_each(span);
    let ids: BTreeSet<&str> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    for span in &spans {
        if let Some(parent) = span.get("parentSpanId") {
            assert!(ids.contains(parent.as_str().unwrap()), "{span}");
        }
    }
    spans
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn hex(value: &Value, digits: usize) {
    let text = value.as_str().unwrap();
    assert!(text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    assert!(text.bytes().any(|byte| byte != b'0'));
}

fn nanos(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn span(span: &Value) {
    const KNOWN: &[&str] = &[
        "traceId",
        "spanId",
        "parentSpanId",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "events",
        "status",
    ];
    assert!(keys(span).iter().all(|key| KNOWN.contains(key)), "{span}");
    hex(&span["traceId"], 32);
    hex(&span["spanId"], 16);
    assert!([1, 3].contains(&span["kind"].as_u64().unwrap()));
    assert!(nanos(&span["startTimeUnixNano"]) <= nanos(&span["endTimeUnixNano"]));
    attributes(&span["attributes"]);
    for event in span.get("events").and_then(Value::as_array).into_iter().flatten() {
        assert_eq!(keys(event), ["timeUnixNano", "name", "attributes"]);
        nanos(&event["timeUnixNano"]);
        attributes(&event["attributes"]);
    }
    if let Some(status) = span.get("status") {
        assert_eq!(status["code"], 2);
        assert!(attribute(span, "error.type").is_some());
    }
}

fn attributes(list: &Value) {
    let mut names = BTreeSet::new();
    for one in list.as_array().unwrap() {
        assert_eq!(keys(one), ["key", "value"]);
        assert!(names.insert(one["key"].as_str().unwrap()), "twice: {one}");
        match keys(&one["value"])[..] {
            ["stringValue"] => assert!(one["value"]["stringValue"].is_string()),
            ["intValue"] => assert!(one["value"]["intValue"].as_str().unwrap().parse::<i64>().is_ok()),
            ["arrayValue"] => assert_eq!(keys(&one["value"]["arrayValue"]), ["values"]),
            _ => panic!("{one}"),
        }
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    span["attributes"].as_array()?.iter().find(|one| one["key"] == key).map(|one| &one["value"])
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

#[test]
fn a_request_looks_like_this() {
    let body = otlp_traces(&story::lines(), "0.1.0");
    read(&body);
    let pretty: Value = serde_json::from_slice(&body).unwrap();
    check("tests/golden/otlp.json", &(serde_json::to_string_pretty(&pretty).unwrap() + "\n"));
}

/// The published example of a trace request passes the same checks, apart from its bare numbers for moments.
#[test]
fn the_checks_know_the_published_shape() {
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
        "scopeSpans": [{
            "scope": {"name": "my.library", "version": "1.0.0"},
            "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C",
                "spanId": "EEE19B7EC3C1B174",
                "name": "I'm a server span",
                "startTimeUnixNano": "1544712660000000000",
                "endTimeUnixNano": "1544712661000000000",
                "kind": 3,
                "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}],
            }],
        }],
    }]});
    assert_eq!(read(body.to_string().as_bytes()).len(), 1);
}

#[test]
fn spans_hang_together() {
    let spans = read(&otlp_traces(&story::lines(), "0.1.0"));
    let [root, child] = named(&spans, "invoke_agent aether")[..] else { panic!("{spans:?}") };
    assert_eq!(root.get("parentSpanId"), None);
    assert_eq!(child["parentSpanId"], root["spanId"]);
    let chats = named(&spans, "chat claude-sonnet-5-5");
    assert!(chats.iter().all(|chat| chat["kind"] == 3 && attribute(chat, "gen_ai.operation.name").is_some()));
    assert_eq!(chats.len(), 6);
    assert_eq!(named(&spans, "chat openai/gpt-oss-120b")[0]["parentSpanId"], child["spanId"]);
    let [fetch] = named(&spans, "execute_tool http_fetch")[..] else { panic!("{spans:?}") };
    assert_eq!((&fetch["parentSpanId"], &fetch["kind"]), (&child["spanId"], &json!(1)));
    assert_eq!(attribute(fetch, "error.type").unwrap()["stringValue"], "_OTHER");
    let ids: BTreeSet<&str> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    let events: Vec<&str> =
        root["events"].as_array().unwrap().iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        [
            "aether.approval",
            "aether.refused",
            "aether.labelled",
            "aether.steered",
            "aether.folded",
            "aether.approval",
            "aether.tripped"
        ]
    );
}

#[test]
fn failures_say_what_follows() {
    let spans = read(&otlp_traces(&story::lines(), "0.1.0"));
    let failed: Vec<&Value> = spans.iter().filter(|span| span["events"][0]["name"] == "aether.failed").collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0]["status"], json!({"code": 2, "message": "rate_limited"}));
    assert_eq!(
        attribute(failed[0], "gen_ai.response.finish_reasons").unwrap()["arrayValue"]["values"][0]["stringValue"],
        "error"
    );
    let after = failed[0]["events"][0]["attributes"].as_array().unwrap().last().unwrap();
    assert_eq!(after, &json!({"key": "aether.after_ms", "value": {"intValue": "500"}}));
    let root = named(&spans, "invoke_agent aether")[0];
    assert_eq!(root["status"]["message"], "cost");
}

#[test]
fn what_never_ended_ends_with_the_trace() {
    let lines = story::lines();
    let part: String = lines.lines().take(2).map(|line| format!("{line}\n")).collect();
    let spans = read(&otlp_traces(&part, "0.1.0"));
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span["endTimeUnixNano"] == "1795165200002000000" && span.get("status").is_none()));
    assert_eq!(otlp_traces("", "0.1.0"), b"{\"resourceSpans\":[]}");
}
