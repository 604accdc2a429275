//! Ollama.

use aether_core::model::{Codec, Delivery, Effort, ModelErrorKind, ModelEvent, Part, Stop, ToolUse, Usage};
use aether_core::tool::ToolCall;
use aether_core::transcript::ToolOutcome::{Done, Failed};
use aether_provider::ollama::Ollama;
use serde_json::json;

use crate::rehearsal::*;

const NAME: &str = "ollama";
const CODEC: Ollama = Ollama::new(Some(8192));

const TOOLS: &str = r#"{"model":"qwen3","created_at":"2026-11-20T09:00:00Z","message":{"role":"assistant","content":"","thinking":"Two \"zones\""},"done":false}
{"model":"qwen3","message":{"role":"assistant","content":"","thinking":"."},"done":false}
{"model":"qwen3","message":{"role":"assistant","content":"Grüße 🦀 {"},"done":false}
{"model":"qwen3","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_x1","function":{"index":0,"name":"clock","arguments":{"zone":"Oslo"}}},{"function":{"index":1,"name":"noop","arguments":{}}}]},"done":false}
{"model":"qwen3","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":12,"prompt_eval_count":26,"eval_count":11}
"#;

fn made(id: &str, name: &str, input: &str) -> ModelEvent {
    ModelEvent::Call(ToolCall { id: id.into(), name: name.into(), input: input.into() })
}

fn expected_tools() -> Vec<ModelEvent> {
    vec![
        ModelEvent::Reasoning("Two \"zones\".".into()),
        ModelEvent::Text("Grüße 🦀 {".into()),
        ModelEvent::Carried(r#"{"thinking":"Two \"zones\"."}"#.into()),
        made("call_x1", "clock", r#"{"zone":"Oslo"}"#),
        made("call_1", "noop", "{}"),
        ModelEvent::Usage(Usage { input_tokens: 26, output_tokens: 11, ..Usage::default() }),
        ModelEvent::Stop(Stop::Calls),
    ]
}

#[test]
fn p1_lines_read_the_same_in_every_cut() {
    let ways = [
        TOOLS.to_owned(),
        TOOLS.replace('\n', "\r\n"),
        TOOLS.trim_end().to_owned(),
        TOOLS.replace("}\n{", "}{"),
        TOOLS.replace("\"message\":", "\n  \"message\":\r\n"),
        format!("\u{feff} \n{TOOLS}"),
    ];
    for way in &ways {
        check_whole(&CODEC, way, &expected_tools());
        let single = read(&CODEC, head(200, "application/x-ndjson"), way.as_bytes().chunks(1));
        assert_eq!(joined(&single), expected_tools());
    }
}

#[test]
fn a_whole_answer_is_one_object() {
    let body = r#"{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"length","eval_count":2}"#;
    let usage = ModelEvent::Usage(Usage { output_tokens: 2, ..Usage::default() });
    check_whole(&CODEC, body, &[ModelEvent::Text("Hi".into()), usage, ModelEvent::Stop(Stop::Length)]);
}

#[test]
fn p2_failures_end_an_answer_with_one_error() {
    let rows = [
        (
            200,
            "{\"message\":{\"content\":\"\"},\"done\":false}\n{\"error\":\"model runner has stopped\"}\n",
            ModelErrorKind::Unavailable,
        ),
        (200, "{\"message\":{\"content\":\"\"},\"done\":false}\n", ModelErrorKind::Cut),
        (200, "{\"message\":{\"content\":\"\"},\"done\":false}\n{\"mess", ModelErrorKind::Cut),
        (200, "{\"message\":{\"content\":\"\"},\"done\":false}\n{mess}", ModelErrorKind::Malformed),
        (200, "{\"a\":1}", ModelErrorKind::Malformed),
        (404, "{\"error\":\"model 'x' not found\"}", ModelErrorKind::UnknownModel),
        (400, "{\"error\":\"registry.ollama.ai/library/x does not support tools\"}", ModelErrorKind::Unsupported),
        (404, "404 page not found", ModelErrorKind::BadRequest),
    ];
    for (status, body, kind) in rows {
        let events = read(&CODEC, head(status, "application/x-ndjson"), body.as_bytes().chunks(3));
        let [ModelEvent::Error(error)] = &events[..] else { panic!("one error wanted: {events:?}") };
        assert_eq!(error.kind, kind, "{body}: {error}");
    }
}

#[test]
fn p3_no_bytes_make_the_reader_panic() {
    check_damage(&CODEC, &[TOOLS], 20_000);
}

#[test]
fn a_conversation_becomes_messages() {
    let entries = vec![
        shown("look", "image/png", b"png"),
        entry_of(NAME, &expected_tools()),
        result("call_x1", Done, "09:05"),
        result("call_1", Failed, "no"),
        person("go on"),
        model("x", vec![Part::Carried("{\"thinking\":\"foreign\"}".into()), call("7", "noop", "{")]),
        note("stop"),
        model("x", vec![Part::Carried("x".into())]),
    ];
    let mut draft = Draft::new("qwen3", entries);
    draft.options.temperature = Some(0.0);
    draft.options.output_tokens_max = Some(50);
    let body = draft.body(&CODEC);
    assert_eq!(body["stream"], true);
    assert_eq!(body["options"], json!({"num_ctx": 8192, "num_predict": 50, "temperature": 0}));
    assert_eq!(body["tools"][0]["function"]["parameters"]["required"], json!(["zone"]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "look", "images": ["cG5n"]},
            {"role": "assistant", "content": "Grüße 🦀 {", "thinking": "Two \"zones\".", "tool_calls": [
                {"id": "call_x1", "function": {"name": "clock", "arguments": {"zone": "Oslo"}}},
                {"id": "call_1", "function": {"name": "noop", "arguments": {}}}]},
            {"role": "tool", "tool_name": "clock", "tool_call_id": "call_x1", "content": "09:05"},
            {"role": "tool", "tool_name": "noop", "tool_call_id": "call_1", "content": "error: no"},
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "7", "function": {"name": "noop", "arguments": {"invalid_input": "{"}}}]},
            {"role": "tool", "tool_name": "noop", "tool_call_id": "7", "content": "error: this call was not run"},
            {"role": "user", "content": "stop"},
        ])
    );
}

#[test]
fn options_are_said_as_the_model_takes_them() {
    let mut draft = Draft::new("gpt-oss:20b", vec![person("hi")]);
    draft.options.delivery = Delivery::Whole;
    draft.options.schema = Some(r#"{"type":"object"}"#.into());
    draft.tool_use = ToolUse::Forbidden;
    let codec = Ollama::new(None);
    let body = draft.body(&codec);
    assert_eq!((&body["stream"], &body["format"]), (&json!(false), &json!({"type": "object"})));
    assert_eq!((body.get("tools"), body.get("options"), body.get("think")), (None, None, None));
    for (model, effort, think) in [
        ("gpt-oss:20b", Effort::Minimal, json!("low")),
        ("gpt-oss:20b", Effort::Medium, json!("medium")),
        ("gpt-oss:20b", Effort::High, json!("high")),
        ("qwen3", Effort::Minimal, json!(false)),
        ("qwen3", Effort::Low, json!(true)),
    ] {
        draft.model = model;
        draft.options.effort = effort;
        assert_eq!(draft.body(&codec)["think"], think);
    }
    draft.options.schema = Some("[]".into());
    assert_eq!(codec.request(&draft.question()).expect_err("no schema").kind, ModelErrorKind::Unsupported);
}

#[test]
fn a_broken_schema_of_a_tool_is_refused_by_name() {
    let mut draft = Draft::new("m", vec![person("hi")]);
    draft.tools.push(tool("broken", "{"));
    let chat = aether_provider::openai_chat::OpenAiChat::new(aether_provider::openai_chat::Quirks::COMPATIBLE);
    for codec in [&CODEC as &dyn Codec, &chat] {
        let error = codec.request(&draft.question()).expect_err("no schema");
        assert_eq!(error.kind, ModelErrorKind::Unsupported);
        assert!(error.message.contains("broken"), "{error}");
    }
}

#[test]
fn p4_a_request_starts_like_the_one_before() {
    let mut draft = Draft::new("m", vec![person("go")]);
    let mut earlier = draft.text(&CODEC);
    for turn in 0..4 {
        let thinking = Part::Carried("{\"thinking\":\"x\"}".into());
        draft.entries.push(model(NAME, vec![thinking, call(&format!("c{turn}"), "noop", "{}")]));
        draft.entries.push(result(&format!("c{turn}"), Done, "ok"));
        let later = draft.text(&CODEC);
        assert!(later.starts_with(earlier.trim_end_matches("]}")), "{earlier}\n{later}");
        earlier = later;
    }
}

#[test]
fn models_are_listed_by_their_tags() {
    let body = br#"{"models":[{"name":"qwen3:8b","model":"qwen3:8b","size":1},{"name":""}]}"#;
    let models = CODEC.list(head(200, "application/json"), body).expect("a list");
    assert_eq!((models.len(), &*models[0].name, models[0].window_tokens), (1, "qwen3:8b", Some(8192)));
    assert_eq!(CODEC.list_request().path, "/api/tags");
    assert!(CODEC.list(head(200, ""), b"{}").is_err());
    assert_eq!(CODEC.list(head(500, ""), b"").expect_err("an error").kind, ModelErrorKind::Unavailable);
}
