//! The Anthropic codec: what it asks, and what it makes of every answer.

use crate::rehearsal::*;
use aether_core::model::{
    Codec, Delivery, Effort, Head, Method, ModelErrorKind, ModelEvent, Part, Stop, ToolUse, Usage,
};
use aether_core::tool::ToolCall;
use aether_core::transcript::ToolOutcome::{Done, Failed};
use aether_provider::anthropic::{Anthropic, OUTPUT_TOKENS_MAX_DEFAULT, REVISION};
use serde_json::json;

const CODEC: Anthropic = Anthropic::new();
const MODEL: &str = "claude-opus-5-5";

// ---- answers ----

const TEXT: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":30,"cache_read_input_tokens":100,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße, "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud83d\ude80 and 🦀!"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"#;

const TOOLS: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_2","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"usage":{"input_tokens":5,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Two \"zones\""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" to look up.\n"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB+/="}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"opaque=="}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Looking."}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"clock","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"zone\": \"Eur"}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"ope/Oslo\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_2","name":"noop","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":40,"output_tokens_details":{"thinking_tokens":11}}}

event: message_stop
data: {"type":"message_stop"}

"#;

const OVERLOADED: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_3","model":"claude-opus-5-5","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Half of"}}

event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}

"#;

const WHOLE: &str = r#"{"id":"msg_4","type":"message","role":"assistant","model":"claude-opus-5-5","content":[
 {"type":"thinking","thinking":"","signature":"c2ln"},
 {"type":"text","text":"Grüße 🦀"},
 {"type":"tool_use","id":"toolu_9","name":"clock","input":{"zone":"UTC","n":[1,2]}},
 {"type":"something_new","x":1}],
 "stop_reason":"tool_use","stop_sequence":null,
 "usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5}}"#;

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
        ModelEvent::Usage(usage(5, 1)),
        ModelEvent::Reasoning("Two \"zones\" to look up.\n".into()),
        carried(r#"{"type":"thinking","thinking":"Two \"zones\" to look up.\n","signature":"EqQB+/="}"#),
        carried(r#"{"type":"redacted_thinking","data":"opaque=="}"#),
        ModelEvent::Text("Looking.".into()),
        called("toolu_1", "clock", r#"{"zone": "Europe/Oslo"}"#),
        called("toolu_2", "noop", "{}"),
        ModelEvent::Usage(Usage { reasoning_tokens: 11, ..usage(5, 40) }),
        ModelEvent::Stop(Stop::Calls),
    ]
}

#[test]
fn p1_a_text_reads_the_same_in_every_cut() {
    let cached = Usage { cached_tokens: 100, cache_write_tokens: 30, ..usage(142, 1) };
    let expected = [
        ModelEvent::Usage(cached),
        ModelEvent::Text("Grüße, 🚀 and 🦀!".into()),
        ModelEvent::Usage(Usage { output_tokens: 9, ..cached }),
        ModelEvent::Stop(Stop::Done),
    ];
    check_stream(&CODEC, TEXT, &expected);
}

#[test]
fn p1_thinking_and_parallel_calls_read_the_same_in_every_cut() {
    check_stream(&CODEC, TOOLS, &tools_events());
}

#[test]
fn p1_a_whole_message_reads_the_same_in_every_cut() {
    let expected = [
        carried(r#"{"type":"thinking","thinking":"","signature":"c2ln"}"#),
        ModelEvent::Text("Grüße 🦀".into()),
        called("toolu_9", "clock", r#"{"zone":"UTC","n":[1,2]}"#),
        ModelEvent::Usage(Usage { cached_tokens: 4, ..usage(7, 5) }),
        ModelEvent::Stop(Stop::Calls),
    ];
    check_whole(&CODEC, WHOLE, &expected);
}

#[test]
fn an_error_in_the_stream_comes_after_what_was_said() {
    let events = joined(&read(&CODEC, head(200, "text/event-stream"), [OVERLOADED.as_bytes()]));
    assert_eq!(events[1], ModelEvent::Text("Half of".into()));
    let ModelEvent::Error(error) = &events[2] else { panic!("{events:?}") };
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
    assert_eq!(events.len(), 3);
    check_stream(&CODEC, OVERLOADED, &events);
}

#[test]
fn p2_p3_damaged_answers_end_in_one_stop_or_error() {
    check_damage(&CODEC, &[TEXT, TOOLS, OVERLOADED, WHOLE], 20_000);
}

#[test]
fn an_answer_cut_anywhere_before_its_end_is_cut() {
    let last = TOOLS.find("event: message_stop").expect("it has an end");
    for end in (0..last).filter(|end| TOOLS.is_char_boundary(*end)) {
        let events = read(&CODEC, head(200, "text/event-stream"), [&TOOLS.as_bytes()[..end]]);
        let Some(ModelEvent::Error(error)) = events.last() else { panic!("cut at {end}: {events:?}") };
        assert!(matches!(error.kind, ModelErrorKind::Cut | ModelErrorKind::Malformed), "cut at {end}: {error:?}");
    }
}

#[test]
fn stop_reasons_are_told_apart() {
    let stop = |reason: &str| {
        let body = TEXT.replace("end_turn", reason);
        read(&CODEC, head(200, "text/event-stream"), [body.as_bytes()]).pop()
    };
    assert_eq!(stop("end_turn"), Some(ModelEvent::Stop(Stop::Done)));
    assert_eq!(stop("stop_sequence"), Some(ModelEvent::Stop(Stop::Done)));
    assert_eq!(stop("max_tokens"), Some(ModelEvent::Stop(Stop::Length)));
    assert_eq!(stop("model_context_window_exceeded"), Some(ModelEvent::Stop(Stop::Length)));
    assert_eq!(stop("refusal"), Some(ModelEvent::Stop(Stop::Refused)));
    assert_eq!(stop("pause_turn"), Some(ModelEvent::Stop(Stop::Done)));
    assert_eq!(stop("tool_use"), Some(ModelEvent::Stop(Stop::Done)), "without a call there is nothing to wait for");
}

#[test]
fn arguments_that_ran_out_of_tokens_are_told_as_they_are() {
    let body = TOOLS
        .replace("ope/Oslo\\\"}", "")
        .replace("\"tool_use\",\"stop_sequence\"", "\"max_tokens\",\"stop_sequence\"");
    let events = read(&CODEC, head(200, "text/event-stream"), [body.as_bytes()]);
    assert!(events.contains(&called("toolu_1", "clock", "{\"zone\": \"Eur")), "{events:?}");
    assert_eq!(events.last(), Some(&ModelEvent::Stop(Stop::Length)));
}

#[test]
fn calls_without_ids_get_some_that_are_never_sent() {
    let body = TOOLS.replace(r#""id":"toolu_1","#, "").replace("toolu_2", "");
    let events = read(&CODEC, head(200, "text/event-stream"), [body.as_bytes()]);
    assert!(events.contains(&called("call:0", "clock", r#"{"zone": "Europe/Oslo"}"#)), "{events:?}");
    assert!(events.contains(&called("call:1", "noop", "{}")), "{events:?}");
    let entries =
        vec![person("go"), entry_of("anthropic", &events), result("call:0", Done, "x"), result("call:1", Done, "y")];
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(body["messages"][1]["content"][3]["id"], "turn_1_call_0");
    assert_eq!(body["messages"][2]["content"][1]["tool_use_id"], "turn_1_call_1");
}

#[test]
fn failures_have_their_kinds() {
    let failed = |status: u16, kind: &str, message: &str| {
        let body = json!({"type":"error","error":{"type":kind,"message":message},"request_id":"req_1"}).to_string();
        let head = Head { status, content_type: "application/json", retry_after_ms: Some(7000) };
        let events = read(&CODEC, head, body.as_bytes().chunks(5));
        let [ModelEvent::Error(error)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(error.retry_after_ms, Some(7000));
        error.kind
    };
    assert_eq!(failed(401, "authentication_error", "invalid x-api-key"), ModelErrorKind::Unauthorized);
    assert_eq!(failed(402, "billing_error", "no credit"), ModelErrorKind::Unpaid);
    assert_eq!(failed(404, "not_found_error", "model: claude-nope"), ModelErrorKind::UnknownModel);
    assert_eq!(failed(429, "rate_limit_error", "slow down"), ModelErrorKind::RateLimited);
    assert_eq!(failed(529, "overloaded_error", "Overloaded"), ModelErrorKind::Unavailable);
    let long = "prompt is too long: 210000 tokens > 200000 maximum";
    assert_eq!(failed(400, "invalid_request_error", long), ModelErrorKind::ContextTooLong);
    assert_eq!(failed(400, "invalid_request_error", "tools.0: no"), ModelErrorKind::BadRequest);
}

// ---- questions ----

#[test]
fn the_request_says_who_and_where() {
    let request = CODEC.request(&Draft::new(MODEL, vec![person("hi")]).question()).expect("it can be asked");
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.credential.header, "x-api-key");
    assert!(request.headers.contains(&("anthropic-version", REVISION.into())));
    assert!(request.headers.contains(&("content-type", "application/json".into())));
}

#[test]
fn the_smallest_question_in_full() {
    let mut draft = Draft::new(MODEL, vec![person("hi")]);
    draft.tools.truncate(1);
    let expected = r#"{"model":"claude-opus-5-5","system":[{"type":"text","text":"You are terse.","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"clock","description":"Does clock.","input_schema":{"type":"object","properties":{"zone":{"type":"string"}},"required":["zone"],"additionalProperties":false},"strict":true}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":16384,"stream":true,"thinking":{"type":"adaptive","display":"summarized"},"cache_control":{"type":"ephemeral"}}"#;
    assert_eq!(draft.text(&CODEC), expected);
    draft.options.temperature = Some(0.5);
    assert_eq!(draft.text(&CODEC), expected, "this revision refuses a temperature");
    draft.system = " ";
    draft.options.delivery = Delivery::Whole;
    let body = draft.body(&CODEC);
    assert_eq!(body.get("system"), None);
    assert_eq!(body.get("stream"), None);
    assert_eq!(body["tools"][0]["cache_control"]["type"], "ephemeral", "without a system text the tools are marked");
}

#[test]
fn p4_earlier_bytes_stay_as_they_are() {
    let answer = entry_of("anthropic", &tools_events());
    let mut draft = Draft::new(MODEL, vec![person("What time is it?")]);
    let more = [
        answer,
        result("toolu_1", Done, "09:05"),
        result("toolu_2", Failed, "no such zone"),
        person("And in Lima?"),
        model("anthropic", vec![Part::Text("Soon.".into())]),
        person("Well?"),
    ];
    let mut before = messages_part(&draft.text(&CODEC));
    for entries in [&more[..3], &more[3..4], &more[4..]] {
        draft.entries.extend_from_slice(entries);
        let after = messages_part(&draft.text(&CODEC));
        let kept = before.strip_suffix("]}").unwrap_or(&before);
        assert!(after.starts_with(kept), "{kept}\nis not the beginning of\n{after}");
        before = after;
    }
    draft.tool_use = ToolUse::Forbidden;
    assert_eq!(messages_part(&draft.text(&CODEC)), before, "forbidding the tools changes nothing before the end");
    assert_eq!(draft.body(&CODEC)["tool_choice"], json!({"type":"none"}));
}

/// The body up to the end of its messages.
fn messages_part(body: &str) -> String {
    let (messages, _) = body.split_once("],\"max_tokens\"").unwrap_or((body, ""));
    messages.to_owned()
}

#[test]
fn p5_a_turn_with_calls_goes_back_as_it_came_and_results_stand_first() {
    let entries = vec![
        person("What time is it?"),
        entry_of("anthropic", &tools_events()),
        result("toolu_1", Done, "09:05"),
        result("toolu_2", Failed, ""),
        person("Hurry."),
        note("The budget is nearly spent."),
    ];
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(
        body["messages"],
        json!([
            {"role":"user","content":[{"type":"text","text":"What time is it?"}]},
            {"role":"assistant","content":[
                {"type":"thinking","thinking":"Two \"zones\" to look up.\n","signature":"EqQB+/="},
                {"type":"redacted_thinking","data":"opaque=="},
                {"type":"text","text":"Looking."},
                {"type":"tool_use","id":"toolu_1","name":"clock","input":{"zone":"Europe/Oslo"}},
                {"type":"tool_use","id":"toolu_2","name":"noop","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"toolu_1","content":"09:05"},
                {"type":"tool_result","tool_use_id":"toolu_2","content":"(no output)","is_error":true},
                {"type":"text","text":"Hurry."},
                {"type":"text","text":"The budget is nearly spent."}]}
        ])
    );
}

#[test]
fn p5_thinking_stays_out_where_the_api_would_refuse_it() {
    let blocks = |model: &'static str, entries: Vec<_>| {
        let body = Draft::new(model, entries).body(&CODEC);
        let messages = body["messages"].as_array().expect("messages").clone();
        let content = messages.iter().flat_map(|message| message["content"].as_array().expect("blocks").clone());
        content.filter(|block| block["type"].as_str().is_some_and(|kind| kind.ends_with("thinking"))).count()
    };
    let turn =
        || vec![entry_of("anthropic", &tools_events()), result("toolu_1", Done, "x"), result("toolu_2", Done, "y")];
    let once = || [vec![person("go")], turn()].concat();
    assert_eq!(blocks(MODEL, once()), 2);
    assert_eq!(blocks("claude-opus-5-5-20260922", once()), 2, "a dated name of the same model");
    assert_eq!(blocks("claude-sonnet-5-5", once()), 0, "another model");
    let mut foreign = once();
    foreign[1] =
        model("openai-responses", vec![Part::Carried(format!("{MODEL}\n{{}}").into()), call("c", "clock", "{}")]);
    assert_eq!(blocks(MODEL, foreign), 0, "another codec");
    // From 5.1 on a block is bound to all that stood before it: what follows a change stays out.
    let changed = [vec![person("go")], turn(), vec![folded("stray", "folded")], turn()].concat();
    assert_eq!(blocks(MODEL, changed), 2);
    let summarised = [vec![person("go"), note("Earlier turns, in short: none.")], turn()].concat();
    assert_eq!(blocks(MODEL, summarised), 0);
}

#[test]
fn older_models_keep_their_thinking_and_think_only_where_all_of_it_is_there() {
    let haiku = |carried: bool| {
        let block = "claude-haiku-4-5-20251001\n{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"}";
        let mut parts = vec![call("toolu_1", "clock", "{}")];
        if carried {
            parts.insert(0, Part::Carried(block.into()));
        }
        let entries = vec![person("go"), model("anthropic", parts), folded("toolu_1", "folded")];
        let mut draft = Draft::new("claude-haiku-4-5", entries);
        draft.options.effort = Effort::Medium;
        draft.body(&CODEC)
    };
    assert_eq!(haiku(true)["thinking"], json!({"type":"enabled","budget_tokens":8192}));
    assert_eq!(haiku(true)["messages"][1]["content"][0]["type"], "thinking");
    assert_eq!(haiku(false).get("thinking"), None);
    assert_eq!(haiku(true).get("output_config"), None);
}

#[test]
fn models_before_5_1_keep_thinking_behind_a_change_and_newer_ones_think_on_without_it() {
    let block = "claude-opus-4-8\n{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"}";
    let turn = |id: &str| model("anthropic", vec![Part::Carried(block.into()), call(id, "clock", "{}")]);
    let entries = vec![person("go"), turn("a"), folded("a", "folded"), turn("b"), result("b", Done, "x")];
    let body = Draft::new("claude-opus-4-8", entries).body(&CODEC);
    assert_eq!(body["messages"][3]["content"][0]["type"], "thinking");
    let entries = vec![person("go"), model("ollama", vec![call("a", "clock", "{}")]), result("a", Done, "x")];
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(body["thinking"]["type"], "adaptive");
}

#[test]
fn calls_of_other_providers_get_ids_that_are_accepted_and_unlike() {
    let turn = |text: &str| {
        [
            model("ollama", vec![Part::Text(" ".into()), call("call_0", "clo ck", "{\"zone\":"), call("", "2nd", "")]),
            result("call_0", Done, text),
            result("", Done, text),
        ]
    };
    let entries = [vec![person("go")], turn("one").to_vec(), turn("two").to_vec()].concat();
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"type":"tool_use","id":"turn_1_call_0","name":"clo_ck","input":{"invalid_input":"{\"zone\":"}},
            {"type":"tool_use","id":"turn_1_call_1","name":"2nd","input":{}}
        ])
    );
    assert_eq!(body["messages"][4]["content"][0]["tool_use_id"], "turn_4_call_0");
    assert_eq!(body["messages"][4]["content"][1]["tool_use_id"], "turn_4_call_1");
}

#[test]
fn what_the_api_would_refuse_is_never_sent() {
    // No empty blocks, no empty messages; every call is answered; the person has the first and the last word.
    let entries = vec![
        model("anthropic", vec![Part::Text("before".into())]),
        person(""),
        model("anthropic", vec![Part::Carried("x\n{}".into()), Part::Text("\n\n".into())]),
        model("anthropic", vec![call("toolu_7", "clock", "{}")]),
        result("toolu_8", Done, "late"),
        model("anthropic", vec![Part::Text("bye".into())]),
    ];
    let body = Draft::new(MODEL, entries).body(&CODEC);
    assert_eq!(
        body["messages"],
        json!([
            {"role":"user","content":[{"type":"text","text":"Go on."}]},
            {"role":"assistant","content":[{"type":"text","text":"before"}]},
            {"role":"user","content":[{"type":"text","text":"Go on."}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"toolu_7","name":"clock","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"toolu_7","content":"this call was not run","is_error":true},
                {"type":"text","text":"Result of clock:\nlate"}]},
            {"role":"assistant","content":[{"type":"text","text":"bye"}]},
            {"role":"user","content":[{"type":"text","text":"Go on."}]}
        ])
    );
}

#[test]
fn images_go_in_base64_and_only_those_the_api_takes() {
    let body = Draft::new(MODEL, vec![shown("What is this?", "image/png", b"\x89PNG")]).body(&CODEC);
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw=="}},
            {"type":"text","text":"What is this?"}
        ])
    );
    let draft = Draft::new(MODEL, vec![shown("", "image/tiff", b"II")]);
    let error = CODEC.request(&draft.question()).expect_err("TIFF is not taken");
    assert_eq!(error.kind, ModelErrorKind::Unsupported);
    assert!(error.message.contains("image/tiff") && error.message.contains("PNG"), "{error}");
}

#[test]
fn effort_and_limits_are_said_in_the_words_of_the_model() {
    let body = |model: &'static str, effort| {
        let mut draft = Draft::new(model, vec![person("hi")]);
        draft.options.effort = effort;
        draft.body(&CODEC)
    };
    let high = body(MODEL, Effort::High);
    assert_eq!(high["output_config"], json!({"effort":"high"}));
    assert_eq!(high["max_tokens"], 32_768);
    assert_eq!(body("claude-sonnet-5-5", Effort::Minimal)["thinking"], json!({"type":"between_tools"}));
    assert_eq!(body("claude-haiku-5-5", Effort::Minimal)["thinking"], json!({"type":"disabled"}));
    assert_eq!(body("claude-opus-4-8", Effort::Unset).get("thinking"), None);
    let other = body("kimi-k3", Effort::High);
    for newer in ["thinking", "output_config", "cache_control"] {
        assert_eq!(other.get(newer), None, "{newer} is Anthropic's own");
    }
    let mut draft = Draft::new(MODEL, vec![person("hi")]);
    assert_eq!(draft.body(&CODEC)["max_tokens"], OUTPUT_TOKENS_MAX_DEFAULT);
    draft.options.output_tokens_max = Some(77);
    assert_eq!(draft.body(&CODEC)["max_tokens"], 77);
}

#[test]
fn a_schema_for_the_answer_is_made_to_fit_or_refused() {
    let asked = |model: &'static str, schema: &str| {
        let mut draft = Draft::new(model, vec![person("hi")]);
        draft.options.schema = Some(schema.into());
        match CODEC.request(&draft.question()) {
            Ok(request) => {
                let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
                Ok(body["output_config"]["format"]["schema"].clone())
            }
            Err(error) => Err((error.kind, error.message.to_string())),
        }
    };
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer","description":"A count.","minimum":1,"maximum":9},"of":{"type":"array","items":{"oneOf":[{"type":"string"},{"type":"object","properties":{"x":{"type":"null"}}}]},"minItems":1}},"required":["n"],"$schema":"https://json-schema.org/draft/2020-12/schema"}"#;
    assert_eq!(
        asked(MODEL, schema),
        Ok(json!({"type":"object","properties":{
            "n":{"type":"integer","description":"A count. (minimum: 1, maximum: 9)"},
            "of":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"object","properties":{"x":{"type":"null"}},"additionalProperties":false}]},"minItems":1}},
            "required":["n"],"additionalProperties":false}))
    );
    let refused = |schema: &str| asked(MODEL, schema).expect_err("it does not fit").0;
    assert_eq!(refused("nonsense"), ModelErrorKind::Unsupported);
    assert_eq!(refused("[]"), ModelErrorKind::Unsupported);
    assert_eq!(refused(r#"{"type":"object","additionalProperties":{"type":"string"}}"#), ModelErrorKind::Unsupported);
    assert_eq!(refused(r#"{"type":"object","properties":{"a":true}}"#), ModelErrorKind::Unsupported);
    assert_eq!(refused(r#"{"allOf":[{"type":"string"}]}"#), ModelErrorKind::Unsupported);
    let (_, sentence) = asked("claude-3-5-sonnet-20241022", schema).expect_err("too old");
    assert!(sentence.contains("claude-3-5-sonnet-20241022"), "{sentence}");
}

#[test]
fn tools_are_strict_where_that_changes_nothing_and_while_there_is_room() {
    let strict = |schemas: &[&str]| -> Vec<bool> {
        let mut draft = Draft::new(MODEL, vec![person("hi")]);
        draft.tools = schemas.iter().enumerate().map(|(n, schema)| tool(&format!("t{n}"), schema)).collect();
        let body = draft.body(&CODEC);
        body["tools"].as_array().expect("tools").iter().map(|tool| tool["strict"] == true).collect()
    };
    let closed = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":["integer","null"]}},"required":["a"],"additionalProperties":false}"#;
    assert_eq!(strict(&[closed; 3]), [true; 3]);
    assert_eq!(
        strict(&[
            r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","pattern":"x"}},"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"object"}},"additionalProperties":false}"#,
            r#"{"properties":{},"additionalProperties":false}"#,
        ]),
        [false; 4]
    );
    assert_eq!(strict(&[closed; 18]).iter().filter(|is| **is).count(), 16, "sixteen unions have room");
    let wide =
        r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"additionalProperties":false}"#;
    assert_eq!(strict(&[wide; 14]).iter().filter(|is| **is).count(), 12, "twenty-four optional parameters have room");
    let mut draft = Draft::new("claude-opus-4-1", vec![person("hi")]);
    draft.tools = vec![tool("t", closed), tool("untyped", r#"{"properties":{"a":{}}}"#)];
    let body = draft.body(&CODEC);
    assert_eq!(body["tools"][0].get("strict"), None, "an older model");
    assert_eq!(body["tools"][1]["input_schema"], json!({"type":"object","properties":{"a":{}}}));
    draft.tools = vec![tool("untyped", " {} ")];
    assert_eq!(draft.body(&CODEC)["tools"][0]["input_schema"], json!({"type":"object"}));
    for broken in ["[]", "{", r#"{"type":"string"}"#] {
        draft.tools = vec![tool("broken", broken)];
        let error = CODEC.request(&draft.question()).expect_err("no schema of an object");
        assert_eq!(error.kind, ModelErrorKind::Unsupported);
        assert!(error.message.contains("tool broken"), "{error}");
    }
}

#[test]
fn models_are_listed() {
    let request = CODEC.list_request();
    assert_eq!((request.method, request.path.as_str()), (Method::Get, "/v1/models?limit=1000"));
    let body = br#"{"data":[{"type":"model","id":"claude-opus-5-5","max_input_tokens":1000000},{"id":"claude-haiku-4-5"},{}],"has_more":false}"#;
    let list = CODEC.list(head(200, "application/json"), body).expect("a list");
    let found: Vec<_> = list.iter().map(|model| (model.name.as_str(), model.window_tokens)).collect();
    assert_eq!(found, [("claude-opus-5-5", Some(1_000_000)), ("claude-haiku-4-5", None)]);
    let kind = |status, body: &[u8]| CODEC.list(head(status, ""), body).expect_err("no list").kind;
    assert_eq!(kind(401, b"{}"), ModelErrorKind::Unauthorized);
    assert_eq!(kind(200, b"<html>"), ModelErrorKind::Malformed);
    assert_eq!(kind(200, b"{}"), ModelErrorKind::Malformed);
}
