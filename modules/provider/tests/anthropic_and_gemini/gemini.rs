//! The Gemini codec: what it asks, and what it makes of every answer.

use crate::rehearsal::*;
use aether_core::model::{
    Codec, Delivery, Effort, Head, Method, ModelErrorKind, ModelEvent, Part, Stop, ToolUse, Usage,
};
use aether_core::tool::ToolCall;
use aether_core::transcript::ToolOutcome::{Done, Failed};
use aether_provider::gemini::Gemini;
use serde_json::json;

const CODEC: Gemini = Gemini::new();
const MODEL: &str = "gemini-3.8-flash";

// ---- answers ----

const TEXT: &str = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Counting.","thought":true}]},"index":0}],"usageMetadata":{"promptTokenCount":10,"thoughtsTokenCount":4,"totalTokenCount":14},"modelVersion":"gemini-3.8-flash","responseId":"r1"}

data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Grüße, "}]},"index":0}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":6,"candidatesTokenCount":2,"thoughtsTokenCount":4},"modelVersion":"gemini-3.8-flash"}

data: {"candidates":[{"content":{"role":"model","parts":[{"text":"\ud83d\ude80 and 🦀!"},{"text":"","thoughtSignature":"c2ln+/="}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":6,"candidatesTokenCount":5,"thoughtsTokenCount":4},"modelVersion":"gemini-3.8-flash"}

"#;

const TOOLS: &str = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Looking."}]},"index":0}],"modelVersion":"gemini-3.8-flash","usageMetadata":{"promptTokenCount":7}}

data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"clock","args":{"zone":"Europe/Oslo","n":1.5},"id":"f81a"},"thoughtSignature":"QUJD"},{"functionCall":{"name":"noop","args":{}}}]},"index":0}],"modelVersion":"gemini-3.8-flash","usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":9}}

data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"noop"}}]},"finishReason":"STOP","index":0}],"modelVersion":"gemini-3.8-flash","usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":12}}

"#;

const EXHAUSTED: &str = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Half of"}]},"index":0}],"modelVersion":"gemini-3.8-flash"}

data: {"error":{"code":429,"message":"Resource has been exhausted.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}

"#;

const WHOLE: &str = r#"{
  "candidates": [{"content": {"parts": [
    {"text": "Plan.", "thought": true},
    {"text": "Grüße 🦀", "thoughtSignature": "dHh0"},
    {"functionCall": {"name": "clock", "args": {"zone": "UTC"}}, "thoughtSignature": "Y2Fs"}],
    "role": "model"}, "finishReason": "STOP"}],
  "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 2},
  "modelVersion": "gemini-3.8-flash"
}"#;

fn usage(input: u64, output: u64) -> Usage {
    Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
}

fn called(id: &str, name: &str, input: &str) -> ModelEvent {
    ModelEvent::Call(ToolCall { id: id.into(), name: name.into(), input: input.into() })
}

fn carried(block: &str) -> ModelEvent {
    ModelEvent::Carried(format!("{MODEL}\n{block}").into())
}

fn tools_events() -> Vec<ModelEvent> {
    vec![
        ModelEvent::Usage(usage(7, 0)),
        ModelEvent::Text("Looking.".into()),
        carried(r#"{"thoughtSignature":"QUJD"}"#),
        called("f81a", "clock", r#"{"zone":"Europe/Oslo","n":1.5}"#),
        called("call_1", "noop", "{}"),
        called("call_2", "noop", "{}"),
        ModelEvent::Usage(usage(7, 12)),
        ModelEvent::Stop(Stop::Calls),
    ]
}

#[test]
fn p1_a_text_reads_the_same_in_every_cut() {
    let usage = |output, cached_tokens| Usage { cached_tokens, reasoning_tokens: 4, ..usage(10, output) };
    let expected = [
        ModelEvent::Usage(usage(4, 0)),
        ModelEvent::Reasoning("Counting.".into()),
        ModelEvent::Text("Grüße, 🚀 and 🦀!".into()),
        carried(r#"{"text":"","thoughtSignature":"c2ln+/="}"#),
        ModelEvent::Usage(usage(9, 6)),
        ModelEvent::Stop(Stop::Done),
    ];
    check_stream(&CODEC, TEXT, &expected);
}

#[test]
fn p1_parallel_calls_read_the_same_in_every_cut() {
    check_stream(&CODEC, TOOLS, &tools_events());
}

#[test]
fn p1_a_whole_answer_reads_the_same_in_every_cut_and_in_an_array() {
    let expected = [
        ModelEvent::Usage(Usage { reasoning_tokens: 2, ..usage(3, 7) }),
        ModelEvent::Reasoning("Plan.".into()),
        ModelEvent::Text("Grüße 🦀".into()),
        carried(r#"{"text":"","thoughtSignature":"dHh0"}"#),
        carried(r#"{"thoughtSignature":"Y2Fs"}"#),
        called("call_0", "clock", r#"{"zone":"UTC"}"#),
        ModelEvent::Stop(Stop::Calls),
    ];
    check_whole(&CODEC, WHOLE, &expected);
    check_whole(&CODEC, &format!("[{WHOLE}\n]\n"), &expected);
}

#[test]
fn an_error_in_the_stream_comes_after_what_was_said() {
    let events = joined(&read(&CODEC, head(200, "text/event-stream"), [EXHAUSTED.as_bytes()]));
    let [ModelEvent::Text(text), ModelEvent::Error(error)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(text, "Half of");
    assert_eq!(error.kind, ModelErrorKind::RateLimited);
    assert_eq!(error.retry_after_ms, Some(34_000));
    check_stream(&CODEC, EXHAUSTED, &events);
}

#[test]
fn p2_p3_damaged_answers_end_in_one_stop_or_error() {
    check_damage(&CODEC, &[TEXT, TOOLS, EXHAUSTED, WHOLE], 20_000);
}

#[test]
fn an_answer_cut_before_its_finish_reason_is_cut() {
    let last = TOOLS.rfind("data: ").expect("it has a last chunk");
    for end in (0..last).filter(|end| TOOLS.is_char_boundary(*end)) {
        let events = read(&CODEC, head(200, "text/event-stream"), [&TOOLS.as_bytes()[..end]]);
        let Some(ModelEvent::Error(error)) = events.last() else { panic!("cut at {end}: {events:?}") };
        assert!(matches!(error.kind, ModelErrorKind::Cut | ModelErrorKind::Malformed), "cut at {end}: {error:?}");
    }
}

#[test]
fn finish_reasons_are_told_apart() {
    let last = |reason: &str| {
        let body = TEXT.replace("STOP", reason);
        read(&CODEC, head(200, "text/event-stream"), [body.as_bytes()]).pop()
    };
    assert_eq!(last("STOP"), Some(ModelEvent::Stop(Stop::Done)));
    assert_eq!(last("SOMETHING_NEW"), Some(ModelEvent::Stop(Stop::Done)));
    assert_eq!(last("MAX_TOKENS"), Some(ModelEvent::Stop(Stop::Length)));
    assert_eq!(last("CONTINUATION"), Some(ModelEvent::Stop(Stop::Length)));
    for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY"] {
        assert_eq!(last(reason), Some(ModelEvent::Stop(Stop::Refused)), "{reason}");
    }
    for (reason, kind) in [
        ("MALFORMED_FUNCTION_CALL", ModelErrorKind::Malformed),
        ("OTHER", ModelErrorKind::Malformed),
        ("MISSING_THOUGHT_SIGNATURE", ModelErrorKind::BadRequest),
    ] {
        let Some(ModelEvent::Error(error)) = last(reason) else { panic!("{reason} is an error") };
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(reason), "{error}");
    }
    let blocked = br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9}}"#;
    let events = read(&CODEC, head(200, "application/json"), [&blocked[..]]);
    assert_eq!(events, [ModelEvent::Usage(usage(9, 0)), ModelEvent::Stop(Stop::Refused)]);
}

#[test]
fn failures_have_their_kinds() {
    let failed = |status: u16, code: &str, message: &str, reason: &str| {
        let error = json!({"error":{"code":status,"message":message,"status":code,"details":[{"reason":reason}]}});
        let body = format!("[{error}]");
        let head = Head { status, content_type: "application/json", retry_after_ms: None };
        let events = read(&CODEC, head, body.as_bytes().chunks(7));
        let [ModelEvent::Error(error)] = &events[..] else { panic!("{events:?}") };
        error.kind
    };
    let key = "API key not valid. Please pass a valid API key.";
    assert_eq!(failed(400, "INVALID_ARGUMENT", key, "API_KEY_INVALID"), ModelErrorKind::Unauthorized);
    assert_eq!(failed(403, "PERMISSION_DENIED", "no", ""), ModelErrorKind::Unauthorized);
    assert_eq!(
        failed(404, "NOT_FOUND", "models/x is not found for API version v1beta", ""),
        ModelErrorKind::UnknownModel
    );
    assert_eq!(failed(429, "RESOURCE_EXHAUSTED", "slow", ""), ModelErrorKind::RateLimited);
    assert_eq!(failed(503, "UNAVAILABLE", "The model is overloaded.", ""), ModelErrorKind::Unavailable);
    let long = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    assert_eq!(failed(400, "INVALID_ARGUMENT", long, ""), ModelErrorKind::ContextTooLong);
}

// ---- questions ----

#[test]
fn the_smallest_question_in_full() {
    let mut draft = Draft::new(MODEL, vec![person("hi")]);
    draft.tools.truncate(1);
    let request = CODEC.request(&draft.question()).expect("it can be asked");
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.path, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse");
    assert_eq!(request.credential.header, "x-goog-api-key");
    assert!(request.headers.contains(&("content-type", "application/json".into())));
    let expected = r#"{"systemInstruction":{"parts":[{"text":"You are terse."}]},"tools":[{"functionDeclarations":[{"name":"clock","description":"Does clock.","parametersJsonSchema":{"type":"object","properties":{"zone":{"type":"string"}},"required":["zone"],"additionalProperties":false}}]}],"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}"#;
    assert_eq!(draft.text(&CODEC), expected);
    draft.options.delivery = Delivery::Whole;
    draft.model = "tunedModels/my model?x";
    let path = CODEC.request(&draft.question()).expect("it can be asked").path;
    assert_eq!(path, "/v1beta/tunedModels/my%20model%3Fx:generateContent");
}

#[test]
fn p4_earlier_bytes_stay_as_they_are() {
    let mut draft = Draft::new(MODEL, vec![person("What time is it?")]);
    let more = [
        entry_of("gemini", &tools_events()),
        result("f81a", Done, "09:05"),
        result("call_1", Done, "a"),
        result("call_2", Failed, "b"),
        person("And in Lima?"),
        model("gemini", vec![Part::Text("Soon.".into())]),
        person("Well?"),
    ];
    let contents = |draft: &Draft| {
        let body = draft.text(&CODEC);
        let end = body.find("],\"generationConfig\"").or(body.find("],\"toolConfig\"")).expect("options come last");
        body[..end].to_owned()
    };
    let mut before = contents(&draft);
    for entries in [&more[..4], &more[4..5], &more[5..]] {
        draft.entries.extend_from_slice(entries);
        let after = contents(&draft);
        assert!(after.starts_with(&before), "{before}\nis not the beginning of\n{after}");
        before = after;
    }
    draft.tool_use = ToolUse::Forbidden;
    let body = draft.text(&CODEC);
    assert!(body.starts_with(&before), "forbidding the tools changes nothing before the end");
    assert!(body.contains(r#""toolConfig":{"functionCallingConfig":{"mode":"NONE"}}"#), "{body}");
}

#[test]
fn p5_calls_go_back_with_their_signatures_and_results_stand_alone() {
    let entries = vec![
        person("What time is it?"),
        entry_of("gemini", &tools_events()),
        result("f81a", Done, "09:05"),
        result("call_1", Failed, " "),
        person("Hurry."),
        note("The budget is nearly spent."),
    ];
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(
        body["contents"],
        json!([
            {"role":"user","parts":[{"text":"What time is it?"}]},
            {"role":"model","parts":[
                {"text":"Looking."},
                {"functionCall":{"id":"f81a","name":"clock","args":{"zone":"Europe/Oslo","n":1.5}},"thoughtSignature":"QUJD"},
                {"functionCall":{"name":"noop","args":{}}},
                {"functionCall":{"name":"noop","args":{}}}]},
            {"role":"user","parts":[
                {"functionResponse":{"id":"f81a","name":"clock","response":{"output":"09:05"}}},
                {"functionResponse":{"name":"noop","response":{"error":"(no output)"}}},
                {"functionResponse":{"name":"noop","response":{"error":"this call was not run"}}}]},
            {"role":"user","parts":[{"text":"Hurry."},{"text":"The budget is nearly spent."}]}
        ])
    );
}

#[test]
fn only_ids_that_the_server_gave_are_sent() {
    let sent = |codec: &'static str, id: &str| {
        let entries = vec![person("go"), model(codec, vec![call(id, "clock", "{}")]), result(id, Done, "x")];
        let body = Draft::new(MODEL, entries).body(&CODEC);
        let asked = &body["contents"][1]["parts"][0]["functionCall"]["id"];
        assert_eq!(asked, &body["contents"][2]["parts"][0]["functionResponse"]["id"], "{id}");
        !asked.is_null()
    };
    assert!(sent("gemini", "f81a"));
    assert!(sent("gemini", "call_ab"), "a server's, though it begins like ours");
    assert!(sent("gemini", "call_20261120"), "a server's, for it is too long");
    assert!(!sent("gemini", "call_12"));
    assert!(!sent("gemini", ""));
    assert!(!sent("openai-chat", "f81a"), "another server's");
}

#[test]
fn p5_a_signature_on_a_text_goes_back_in_its_place() {
    let events = read(&CODEC, head(200, "text/event-stream"), [TEXT.as_bytes()]);
    let entries = vec![person("Hi"), entry_of("gemini", &events), person("Again")];
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(
        body["contents"][1]["parts"],
        json!([{"text":"Grüße, 🚀 and 🦀!"}, {"text":"","thoughtSignature":"c2ln+/="}])
    );
}

#[test]
fn p5_calls_without_a_signature_of_this_model_get_the_documented_word() {
    let signed = |model: &'static str, entry| {
        let body = Draft::new(model, vec![person("go"), entry, result("a", Done, "x")]).body(&CODEC);
        let parts = body["contents"][1]["parts"].as_array().expect("parts").clone();
        let signatures = parts.iter().filter_map(|part| part["thoughtSignature"].as_str().map(str::to_owned));
        signatures.collect::<Vec<_>>()
    };
    let foreign =
        || model("anthropic", vec![Part::Carried("m\n{}".into()), call("a", "clock", "{}"), call("b", "clock", "{}")]);
    assert_eq!(signed(MODEL, foreign()), ["skip_thought_signature_validator"]);
    assert_eq!(signed("gemini-2.5-flash", foreign()), [""; 0]);
    let own = || entry_of("gemini", &tools_events());
    assert_eq!(signed(MODEL, own()), ["QUJD"]);
    assert_eq!(signed("gemini-3.8-flash-001", own()), ["QUJD"]);
    assert_eq!(signed("gemini-4-argon", own()), ["skip_thought_signature_validator"], "another model refuses it");
}

#[test]
fn what_the_api_would_refuse_is_never_sent() {
    let entries = vec![
        model("openai-chat", vec![call("x|1", "2nd tool", "[1]")]),
        folded("x|1", "09:05, in short"),
        model("gemini", vec![Part::Text(" ".into())]),
        person(""),
        result("gone", Done, "late"),
        model("gemini", vec![Part::Text("bye".into())]),
        model("gemini", vec![Part::Text("again".into())]),
    ];
    let body = Draft::new("gemini-2.5-flash", entries).body(&CODEC);
    assert_eq!(
        body["contents"],
        json!([
            {"role":"user","parts":[{"text":"Go on."}]},
            {"role":"model","parts":[{"functionCall":{"name":"_2nd_tool","args":{"invalid_input":"[1]"}}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"_2nd_tool","response":{"output":"09:05, in short"}}}]},
            {"role":"user","parts":[{"text":"Result of clock:\nlate"}]},
            {"role":"model","parts":[{"text":"bye"}]},
            {"role":"user","parts":[{"text":"Go on."}]},
            {"role":"model","parts":[{"text":"again"}]},
            {"role":"user","parts":[{"text":"Go on."}]}
        ])
    );
    let tools = &body["tools"][0]["functionDeclarations"];
    assert_eq!(tools[1], json!({"name":"noop","description":"Does noop."}), "an object without properties is refused");
}

#[test]
fn images_go_in_base64_and_only_those_the_api_takes() {
    let body = Draft::new(MODEL, vec![shown("What is this?", "image/png", b"\x89PNG")]).body(&CODEC);
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"inlineData":{"mimeType":"image/png","data":"iVBORw=="}}, {"text":"What is this?"}])
    );
    let draft = Draft::new(MODEL, vec![shown("", "image/gif", b"GIF")]);
    let error = CODEC.request(&draft.question()).expect_err("GIF is not taken");
    assert_eq!(error.kind, ModelErrorKind::Unsupported);
    assert!(error.message.contains("image/gif"), "{error}");
}

#[test]
fn options_are_said_in_the_words_of_the_model() {
    let config = |model: &'static str, effort, schema: Option<&str>| {
        let mut draft = Draft::new(model, vec![person("hi")]);
        draft.options.effort = effort;
        draft.options.schema = schema.map(Into::into);
        draft.options.output_tokens_max = Some(99);
        draft.options.temperature = Some(0.5);
        CODEC.request(&draft.question()).map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            body["generationConfig"].clone()
        })
    };
    assert_eq!(
        config(MODEL, Effort::Minimal, Some(r#"{"type":"object","additionalProperties":false}"#)),
        Ok(json!({"maxOutputTokens":99,"temperature":0.5,
            "thinkingConfig":{"thinkingLevel":"MINIMAL","includeThoughts":true},
            "responseMimeType":"application/json",
            "responseJsonSchema":{"type":"object","additionalProperties":false}}))
    );
    assert_eq!(
        config("gemini-4-argon", Effort::High, None),
        Ok(json!({"maxOutputTokens":99,"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}))
    );
    assert_eq!(
        config("gemini-2.5-flash", Effort::Minimal, None),
        Ok(json!({"maxOutputTokens":99,"temperature":0.5,"thinkingConfig":{"thinkingBudget":0}}))
    );
    let kind = |model, schema| config(model, Effort::Unset, Some(schema)).expect_err("it cannot be asked").kind;
    assert_eq!(kind("gemini-2.5-flash", "{}"), ModelErrorKind::Unsupported);
    assert_eq!(kind(MODEL, "nonsense"), ModelErrorKind::Unsupported);
    let mut draft = Draft::new(MODEL, vec![person("hi")]);
    draft.tools = vec![tool("broken", "[]")];
    assert_eq!(CODEC.request(&draft.question()).expect_err("no schema").kind, ModelErrorKind::Unsupported);
}

#[test]
fn models_are_listed() {
    let request = CODEC.list_request();
    assert_eq!((request.method, request.path.as_str()), (Method::Get, "/v1beta/models?pageSize=1000"));
    let body = br#"{"models":[{"name":"models/gemini-3.8-flash","inputTokenLimit":1048576,"supportedGenerationMethods":["generateContent"]},{"name":"models/embed","supportedGenerationMethods":["embedContent"]},{"name":"models/gemini-x"},{}]}"#;
    let list = CODEC.list(head(200, "application/json"), body).expect("a list");
    let found: Vec<_> = list.iter().map(|model| (model.name.as_str(), model.window_tokens)).collect();
    assert_eq!(found, [("gemini-3.8-flash", Some(1_048_576)), ("gemini-x", None)]);
    let kind = |status, body: &[u8]| CODEC.list(head(status, ""), body).expect_err("no list").kind;
    assert_eq!(kind(403, b"{}"), ModelErrorKind::Unauthorized);
    assert_eq!(kind(200, b"<html>"), ModelErrorKind::Malformed);
    assert_eq!(kind(200, b"{}"), ModelErrorKind::Malformed);
}
