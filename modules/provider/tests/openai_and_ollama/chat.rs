//! Chat Completions.

use aether_core::model::{Codec, Delivery, Effort, Method, ModelErrorKind, ModelEvent, Part, Stop, ToolUse, Usage};
use aether_core::tool::ToolCall;
use aether_core::transcript::ToolOutcome::{Done, Failed};
use aether_provider::openai_chat::{OpenAiChat, OpenAiRules, Quirks, Structure};
use aether_provider::preset;
use serde_json::{Value, json};

use crate::rehearsal::*;

const NAME: &str = "openai_chat";
const CODEC: OpenAiChat = OpenAiChat::new(Quirks::COMPATIBLE);

fn codec_of(name: &str) -> Box<dyn Codec> {
    preset(name).expect("a preset").codec()
}

fn made(id: &str, name: &str, input: &str) -> ModelEvent {
    ModelEvent::Call(ToolCall { id: id.into(), name: name.into(), input: input.into() })
}

// ---- answers ----

const TEXT: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aX"}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":[{"index":0,"delta":{"content":"Grüße \ud83d\ude80"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" and 🦀."},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":120,"completion_tokens":30,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":5,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":12}}}

data: [DONE]

"#;

const TOOLS: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"Two zones"},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"reasoning_content":" to \"ask\"."},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Looking."},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"clock","arguments":""}}]},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"clock","arguments":"{\"zo"}},{"index":0,"function":{"arguments":"{\"zone\":"}}]},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"ne\":\"Lima\"}"}}]},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"call_c","function":{"name":"noop"}}]},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":8,"prompt_cache_hit_tokens":4}}

data: [DONE]

"#;

/// A router that wants its details back, sends comments, and names no object.
const DETAILS: &str = r#": OPENROUTER PROCESSING

data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Hm","reasoning_details":[{"type":"reasoning.text","text":"Hm","signature":null,"format":"anthropic-claude-v1","index":0}]}}]}

data: {"id":"gen-1","choices":[{"index":0,"delta":{"reasoning":"m.","reasoning_details":[{"type":"reasoning.text","text":"m.","index":0},{"type":"reasoning.text","signature":"sig+/=","index":0}]}}]}

data: {"id":"gen-1","choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"xyz","index":1}],"tool_calls":[{"index":0,"id":"t1","function":{"name":"noop","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}

data: [DONE]

"#;

/// No index, no id, arguments as an object, usage elsewhere, no closing line.
const CARELESS: &str = r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"clock","arguments":{"zone":"Oslo"}}},{"function":{"name":"clock","arguments":"{\"zone\":"}},{"function":{"arguments":"\"Lima\"}"}}]}}]}

data: {"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":2}}}

"#;

fn expected_text() -> Vec<ModelEvent> {
    vec![
        ModelEvent::Text("Grüße 🚀 and 🦀.".into()),
        ModelEvent::Usage(Usage {
            input_tokens: 120,
            output_tokens: 30,
            cached_tokens: 100,
            cache_write_tokens: 5,
            reasoning_tokens: 12,
        }),
        ModelEvent::Stop(Stop::Done),
    ]
}

fn expected_tools() -> Vec<ModelEvent> {
    vec![
        ModelEvent::Reasoning("Two zones to \"ask\".".into()),
        ModelEvent::Text("Looking.".into()),
        made("call_a", "clock", r#"{"zone":"Oslo"}"#),
        made("call_b", "clock", r#"{"zone":"Lima"}"#),
        made("call_c", "noop", "{}"),
        ModelEvent::Usage(Usage { input_tokens: 9, output_tokens: 8, cached_tokens: 4, ..Usage::default() }),
        ModelEvent::Stop(Stop::Calls),
    ]
}

#[test]
fn p1_streams_read_the_same_in_every_cut() {
    check_stream(&CODEC, TEXT, &expected_text());
    check_stream(&CODEC, TOOLS, &expected_tools());
    let careless = [
        made("call_0", "clock", r#"{"zone":"Oslo"}"#),
        made("call_1", "clock", r#"{"zone":"Lima"}"#),
        ModelEvent::Usage(Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() }),
        ModelEvent::Stop(Stop::Calls),
    ];
    check_stream(&CODEC, CARELESS, &careless);
}

#[test]
fn p5_what_a_server_wants_back_is_kept_for_it() {
    let mut expected = expected_tools();
    expected.insert(2, ModelEvent::Carried(r#"{"reasoning_content":"Two zones to \"ask\"."}"#.into()));
    check_stream(&*codec_of("deepseek"), TOOLS, &expected);
    let carried = r#"{"reasoning_details":[{"type":"reasoning.text","text":"Hmm.","signature":"sig+/=","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"xyz","index":1}]}"#;
    let expected = [
        ModelEvent::Reasoning("Hmm.".into()),
        ModelEvent::Carried(carried.into()),
        made("t1", "noop", "{}"),
        ModelEvent::Stop(Stop::Calls),
    ];
    check_stream(&*codec_of("openrouter"), DETAILS, &expected);

    let turn = entry_of(NAME, &expected);
    let entries = vec![person("go"), turn, result("t1", Done, "ok")];
    let body = Draft::new("m", entries.clone()).body(&*codec_of("openrouter"));
    let kept: Value = serde_json::from_str(carried).expect("JSON");
    assert_eq!(body["messages"][2]["reasoning_details"], kept["reasoning_details"]);
    let body = Draft::new("m", entries.clone()).body(&*codec_of("deepseek"));
    assert_eq!(body["messages"][2]["reasoning_content"], "", "wanted with every call, and not the details");
    let body = Draft::new("m", entries).body(&CODEC);
    assert_eq!(body["messages"][2].as_object().expect("a message").len(), 3, "role, content, calls: {body}");
    let foreign = model("anthropic", vec![Part::Carried(carried.into()), Part::Text("x".into())]);
    let body = Draft::new("m", vec![person("go"), foreign]).body(&*codec_of("openrouter"));
    assert_eq!(body["messages"][2], json!({"role": "assistant", "content": "x"}));
}

#[test]
fn p1_whole_answers_read_like_streams() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4.1","choices":[{"index":0,"message":{"role":"assistant","content":"Looking.","reasoning_content":"Two zones to \"ask\".","refusal":null,"annotations":[],"tool_calls":[{"id":"call_a","type":"function","function":{"name":"clock","arguments":"{\"zone\":\"Oslo\"}"}},{"id":"call_b","type":"function","function":{"name":"clock","arguments":"{\"zone\":\"Lima\"}"}},{"id":"call_c","type":"function","function":{"name":"noop","arguments":""}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":8,"prompt_cache_hit_tokens":4}}"#;
    check_whole(&CODEC, body, &expected_tools());
    let pieces = r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]}}]}"#;
    let expected = [ModelEvent::Reasoning("hm".into()), ModelEvent::Text("yes".into()), ModelEvent::Stop(Stop::Done)];
    check_whole(&CODEC, pieces, &expected);
}

#[test]
fn reasons_to_finish_become_stops() {
    for (reason, content, stop) in [
        ("stop", r#""content":"x""#, Stop::Done),
        ("eos", r#""content":"x""#, Stop::Done),
        ("tool_calls", r#""content":"x""#, Stop::Done),
        ("length", r#""content":"x""#, Stop::Length),
        ("content_filter", r#""content":"x""#, Stop::Refused),
        ("stop", r#""refusal":"x""#, Stop::Refused),
    ] {
        let stream = format!(
            "data: {{\"choices\":[{{\"delta\":{{{content}}},\"finish_reason\":\"{reason}\"}}]}}\n\ndata: [DONE]\n\n"
        );
        check_stream(&CODEC, &stream, &[ModelEvent::Text("x".into()), ModelEvent::Stop(stop)]);
    }
    let stream = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"noop\",\"arguments\":\"{\\\"x\"}}]},\"finish_reason\":\"length\"}]}\n\n";
    check_stream(&CODEC, stream, &[made("a", "noop", "{\"x"), ModelEvent::Stop(Stop::Length)]);
}

#[test]
fn calls_of_one_turn_have_ids_of_their_own() {
    let stream = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"a","arguments":"{}"}},{"index":0,"id":"y","function":{"name":"b","arguments":"{}"}},{"index":1,"id":"x","function":{"name":"c","arguments":"null"}}]},"finish_reason":"tool_calls"}]}"#;
    let calls = [made("x", "a", "{}"), made("y", "b", "{}"), made("xcall_2", "c", "{}")];
    let events = read(&CODEC, head(200, "text/event-stream"), [stream.as_bytes()]);
    assert_eq!(events[..3], calls);
}

#[test]
fn p2_failures_end_an_answer_with_one_error() {
    let begun = r#"data: {"choices":[{"index":0,"delta":{"content":"Hal"}}]}"#;
    let long_head = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}", "x".repeat(17 << 20));
    let rows: [(u16, &str, String, ModelErrorKind); 14] = [
        (200, "text/event-stream", format!("{begun}\n\n"), ModelErrorKind::Cut),
        (200, "text/event-stream", format!("{begun}\n\ndata: {{\"cho"), ModelErrorKind::Cut),
        (200, "text/event-stream", format!("{begun}\n\ndata: {{\"cho\n\n"), ModelErrorKind::Malformed),
        (200, "text/event-stream", String::new(), ModelErrorKind::Cut),
        (200, "text/event-stream", "data: [DONE]\n\n".into(), ModelErrorKind::Cut),
        (
            200,
            "text/event-stream",
            format!(
                "{begun}\n\ndata: {{\"error\":{{\"code\":502,\"message\":\"gone\"}},\"choices\":[{{\"finish_reason\":\"error\"}}]}}\n\n"
            ),
            ModelErrorKind::Unavailable,
        ),
        (
            200,
            "text/event-stream",
            format!("{begun}\n\ndata: {{\"choices\":[{{\"finish_reason\":\"error\"}}]}}\n\n"),
            ModelErrorKind::Unavailable,
        ),
        (200, "text/html", "<!DOCTYPE html><p>Sign in".into(), ModelErrorKind::Malformed),
        (200, "application/json", "{\"foo\":1}".into(), ModelErrorKind::Malformed),
        (200, "application/json", "upstream connect error".into(), ModelErrorKind::Malformed),
        (200, "application/json", "{\"choices\":[{\"message\":{\"con".into(), ModelErrorKind::Cut),
        (
            200,
            "application/json",
            "{\"object\":\"error\",\"message\":\"no\",\"code\":400}".into(),
            ModelErrorKind::BadRequest,
        ),
        (429, "application/json", "{\"error\":{\"message\":\"slow\"}}".into(), ModelErrorKind::RateLimited),
        (200, "text/event-stream", long_head, ModelErrorKind::TooLarge),
    ];
    for (status, content_type, body, kind) in rows {
        let events = read(&CODEC, head(status, content_type), body.as_bytes().chunks(4096));
        let Some(ModelEvent::Error(error)) = events.last() else { panic!("no error: {events:?}") };
        assert_eq!(error.kind, kind, "{} bytes of {content_type}: {error}", body.len());
        let shown = events.iter().filter(|event| matches!(event, ModelEvent::Text(_))).count();
        assert_eq!(shown, usize::from(body.starts_with(begun)), "what came before the error stands");
        assert_eq!(events.len(), shown + 1);
    }
}

#[test]
fn p3_no_bytes_make_the_reader_panic() {
    check_damage(&*codec_of("openrouter"), &[TEXT, TOOLS, DETAILS, CARELESS], 12_000);
    check_damage(&*codec_of("deepseek"), &[TEXT, TOOLS, DETAILS, CARELESS], 8_000);
}

// ---- questions ----

#[test]
fn a_conversation_becomes_messages() {
    let entries = vec![
        shown("What time is it?", "image/png", b"png"),
        model(
            "x",
            vec![
                Part::Text("Let me ".into()),
                Part::Text("see.".into()),
                call("1", "clock", "{\"zone\":\"Oslo\"}"),
                call("2", "bad name!", "{"),
            ],
        ),
        result("1", Done, "09:05"),
        result("2", Failed, "no such tool"),
        note("one more turn"),
        person("quick"),
        model("x", vec![call("3", "noop", "")]),
        folded("3", "folded"),
        model("x", vec![call("4", "noop", "{}"), call("5", "noop", "{}")]),
        result("4", Done, ""),
        model("x", vec![Part::Text(" ".into())]),
        person(""),
        model("x", vec![Part::Text("09:05".into())]),
        result("9", Done, "stray"),
        person("thanks"),
    ];
    let draft = Draft::new("some-model", entries);
    let request = CODEC.request(&draft.question()).expect("a request");
    assert_eq!((request.method, &*request.path), (Method::Post, "/chat/completions"));
    assert_eq!((request.credential.header, request.credential.prefix), ("authorization", "Bearer "));
    assert_eq!(request.headers, [("content-type", "application/json".to_owned())]);
    let body = draft.body(&CODEC);
    assert_eq!(body["stream"], true);
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let told = |id: &str, content: &str| json!({"role": "tool", "tool_call_id": id, "content": content});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": [{"type": "text", "text": "What time is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}]},
            {"role": "assistant", "content": "Let me see.", "tool_calls": [call("1", "clock", "{\"zone\":\"Oslo\"}"), call("2", "bad_name_", "{\"invalid_input\":\"{\"}")]},
            told("1", "09:05"),
            told("2", "error: no such tool"),
            {"role": "user", "content": "one more turn\n\nquick"},
            {"role": "assistant", "content": null, "tool_calls": [call("3", "noop", "{}")]},
            told("3", "folded"),
            {"role": "assistant", "content": null, "tool_calls": [call("4", "noop", "{}"), call("5", "noop", "{}")]},
            told("4", "(no output)"),
            told("5", "error: this call was not run"),
            {"role": "assistant", "content": "09:05"},
            {"role": "user", "content": "Result of an earlier call of clock:\nstray\n\nthanks"},
        ])
    );
    assert_eq!(body["tools"][0]["function"]["parameters"]["required"], json!(["zone"]));
    assert_eq!(body["tools"][0]["function"].get("strict"), None);
    assert_eq!(body.get("tool_choice"), None);
}

#[test]
fn options_are_said_as_the_model_takes_them() {
    let mut draft = Draft::new("gpt-4.1", vec![person("hi")]);
    draft.options.output_tokens_max = Some(99);
    draft.options.temperature = Some(0.2);
    draft.options.effort = Effort::High;
    draft.options.delivery = Delivery::Whole;
    draft.tool_use = ToolUse::Forbidden;
    let body = draft.body(&CODEC);
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(99), &json!(0.2)));
    assert_eq!((body.get("stream"), body.get("stream_options")), (None, None));
    assert_eq!((&body["tool_choice"], &body["reasoning_effort"]), (&json!("none"), &json!("high")));
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(2), "they stay declared");

    draft.model = "openai/gpt-5";
    let body = draft.body(&*codec_of("openai-chat"));
    assert_eq!(body["max_completion_tokens"], 99);
    assert_eq!((body.get("temperature"), body.get("max_tokens")), (None, None));
    assert_eq!(body["messages"][0]["role"], "developer");
    assert_eq!(body["tools"][0]["function"]["strict"], true);
    assert_eq!(body["tools"][1]["function"].get("strict"), None, "an open schema is not made strict");
    let body = draft.body(&*codec_of("openrouter"));
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(99), &json!(0.2)), "a router has its own rules");
    assert_eq!(body["reasoning"], json!({"effort": "high"}));
    let body = draft.body(&*codec_of("zai"));
    assert_eq!(body["thinking"], json!({"type": "enabled"}));

    draft.tools.clear();
    draft.options.effort = Effort::Unset;
    let body = draft.body(&CODEC);
    for name in ["tools", "tool_choice", "reasoning_effort", "response_format"] {
        assert_eq!(body.get(name), None, "{name}");
    }
}

#[test]
fn caching_is_asked_for_where_it_has_to_be() {
    let router = codec_of("openrouter");
    let asked = Draft::new("anthropic/claude-opus-5.5", vec![person("hi")]);
    assert_eq!(asked.body(&*router)["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(asked.body(&CODEC).get("cache_control"), None);
    let other = Draft::new("qwen/qwen3-coder", vec![person("hi")]);
    assert_eq!(other.body(&*router).get("cache_control"), None);
}

#[test]
fn models_that_take_tools_only_elsewhere_are_told_apart() {
    let codec = codec_of("openai-chat");
    let draft = Draft::new("gpt-5.4", vec![person("hi")]);
    assert_eq!(draft.body(&*codec)["reasoning_effort"], "none");
    let mut draft = Draft::new("gpt-6-astra", vec![person("hi")]);
    let error = codec.request(&draft.question()).expect_err("it is refused");
    assert_eq!(error.kind, ModelErrorKind::Unsupported);
    assert!(error.message.contains("Responses"), "{error}");
    draft.tools.clear();
    assert_eq!(draft.body(&*codec).get("reasoning_effort"), None);
    let relaxed = OpenAiChat::new(Quirks { openai_rules: OpenAiRules::Relaxed, ..Quirks::COMPATIBLE });
    let draft = Draft::new("gpt-6-astra", vec![person("hi")]);
    assert_eq!(draft.body(&relaxed).get("reasoning_effort"), None);
}

#[test]
fn a_schema_is_asked_for_as_the_server_takes_it() {
    let mut draft = Draft::new("m", vec![person("hi")]);
    draft.options.schema = Some(
        r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}"#
            .into(),
    );
    let body = draft.body(&CODEC);
    assert_eq!(body["response_format"]["type"], "json_schema");
    assert_eq!(body["response_format"]["json_schema"]["strict"], true);
    assert_eq!(body["response_format"]["json_schema"]["schema"]["required"], json!(["n"]));
    let object = OpenAiChat::new(Quirks { structure: Structure::Object, ..Quirks::COMPATIBLE });
    let body = draft.body(&object);
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let system = body["messages"][0]["content"].as_str().expect("instructions");
    assert!(system.starts_with("You are terse.") && system.contains("\"integer\""), "{system}");
    draft.options.schema = Some("[]".into());
    assert_eq!(CODEC.request(&draft.question()).expect_err("no schema").kind, ModelErrorKind::Unsupported);
}

#[test]
fn mistral_gets_ids_and_turns_as_it_wants_them() {
    let entries = vec![
        person("go"),
        model("x", vec![call("call_long_1", "noop", "{}"), call("abcDEF123", "noop", "{}")]),
        result("call_long_1", Done, "a"),
        result("abcDEF123", Done, "b"),
        person("and now?"),
    ];
    for (codec, name) in [(codec_of("mistral"), "m"), (codec_of("nvidia"), "mistralai/mistral-small")] {
        let body = Draft::new(name, entries.clone()).body(&*codec);
        let messages = body["messages"].as_array().expect("messages");
        let id = messages[2]["tool_calls"][0]["id"].as_str().expect("an id");
        assert!(id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        assert_eq!(messages[3]["tool_call_id"], id);
        assert_eq!(messages[4]["tool_call_id"], "abcDEF123");
        assert_eq!((&messages[5]["role"], &messages[6]["role"]), (&json!("assistant"), &json!("user")));
        assert_eq!(messages[2]["content"], "");
    }
}

#[test]
fn p4_a_request_starts_like_the_one_before() {
    for name in ["openai-chat", "openrouter", "deepseek", "mistral"] {
        let codec = codec_of(name);
        let mut draft = Draft::new("m", vec![person("go")]);
        let mut earlier = draft.text(&*codec);
        for turn in 0..4 {
            let carried = Part::Carried(r#"{"reasoning_content":"x"}"#.into());
            draft.entries.push(model(NAME, vec![carried, call(&format!("c{turn}"), "noop", "{}")]));
            draft.entries.push(result(&format!("c{turn}"), Done, "ok"));
            let later = draft.text(&*codec);
            let same = earlier.trim_end_matches("]}");
            assert!(later.starts_with(same), "{name}:\n{earlier}\n{later}");
            earlier = later;
        }
    }
}

#[test]
fn lists_of_models_have_their_windows() {
    let body = br#"{"object":"list","data":[{"id":"a","object":"model"},{"id":"b","context_length":8},{"id":"c","context_window":16},{"id":"d","max_model_len":32},{"id":"e","meta":{"n_ctx_train":64}},{"id":""},7]}"#;
    let models = CODEC.list(head(200, "application/json"), body).expect("a list");
    let found: Vec<_> = models.iter().map(|model| (&*model.name, model.window_tokens)).collect();
    assert_eq!(found, [("a", None), ("b", Some(8)), ("c", Some(16)), ("d", Some(32)), ("e", Some(64))]);
    assert_eq!(CODEC.list(head(200, ""), br#"[{"id":"t"}]"#).expect("an array").len(), 1);
    let kind = |status: u16, body: &[u8]| CODEC.list(head(status, ""), body).expect_err("no list").kind;
    assert_eq!(kind(401, b"{}"), ModelErrorKind::Unauthorized);
    assert_eq!(kind(200, b"<html>"), ModelErrorKind::Malformed);
    assert_eq!(kind(200, b"{\"x\":1}"), ModelErrorKind::Malformed);
    assert_eq!(CODEC.list_request().path, "/models");
}

#[test]
fn p3_what_never_ends_is_given_up() {
    let mut line = vec![b':'; 1 << 20];
    line.push(b'\n');
    for (status, sent_max, kind) in [(200, 80, ModelErrorKind::TooLarge), (500, 2, ModelErrorKind::Unavailable)] {
        let mut reader = CODEC.reader(head(status, "text/event-stream"));
        let mut events = Vec::new();
        let mut sent = 0;
        while events.is_empty() && sent < sent_max {
            reader.feed(&line, &mut events);
            sent += 1;
        }
        let [ModelEvent::Error(error)] = &events[..] else { panic!("no end after {sent} MiB: {events:?}") };
        assert_eq!(error.kind, kind, "{error}");
        reader.feed(&line, &mut events);
        reader.end(&mut events);
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn white_space_and_marks_before_an_answer_do_not_matter() {
    let body = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    let expected = [ModelEvent::Text("x".into()), ModelEvent::Stop(Stop::Done)];
    for before in ["\n\n", "  \r\n", "\u{feff}", "\u{feff} \n"] {
        check_whole(&CODEC, &format!("{before}{body}\n"), &expected);
    }
    for odd in [&b"\xEF"[..], b"\xEF\xBB", b"\xEF{}", b"   "] {
        let events = read(&CODEC, head(200, ""), odd.chunks(1));
        assert!(matches!(&events[..], [ModelEvent::Error(_)]), "{events:?}");
    }
}
