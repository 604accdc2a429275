//! Responses.

use aether_core::model::{Codec, Effort, ModelErrorKind, ModelEvent, Part, Stop, ToolUse, Usage};
use aether_core::tool::ToolCall;
use aether_core::transcript::ToolOutcome::{Done, Failed};
use aether_provider::openai_responses::OpenAiResponses;
use serde_json::json;

use crate::rehearsal::*;

const NAME: &str = "openai_responses";
const CODEC: OpenAiResponses = OpenAiResponses::new();
const MODEL: &str = "gpt-5.5";

const REASONING: &str = r#"{"id":"rs_1","type":"reasoning","status":"completed","summary":[{"type":"summary_text","text":"Two zones."},{"type":"summary_text","text":"Ask both."}],"encrypted_content":"gAAA+/=="}"#;

fn tools_stream() -> String {
    r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5.5-2026-04-23","output":[]}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAA"}}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"Two zones."}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":1,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":1,"delta":"Ask both.","obfuscation":"x"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":0,"item":@REASONING@}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","phase":"commentary","content":[]}}

event: response.content_part.added
data: {"type":"response.content_part.added","item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"Grüße 🦀","logprobs":[]}

event: response.output_text.done
data: {"type":"response.output_text.done","item_id":"msg_1","output_index":1,"content_index":0,"text":"Grüße 🦀"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"Grüße 🦀","annotations":[]}]}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_a","name":"clock"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"{\"zone\":"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"\"Oslo\"}"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":2,"item":{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"zone\":\"Oslo\"}","call_id":"call_a","name":"clock"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_2","output_index":3,"delta":"{\"zone\":\"Lima\"}"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":3,"item":{"id":"fc_2","type":"function_call","status":"completed","call_id":"call_b","name":"clock"}}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"gpt-5.5-2026-04-23","output":[],"usage":{"input_tokens":120,"input_tokens_details":{"cached_tokens":100,"cache_write_tokens":5},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":150}}}

"#
    .replace("@REASONING@", REASONING)
}

fn made(id: &str, input: &str) -> ModelEvent {
    ModelEvent::Call(ToolCall { id: id.into(), name: "clock".into(), input: input.into() })
}

fn expected_tools() -> Vec<ModelEvent> {
    vec![
        ModelEvent::Reasoning("Two zones.\n\nAsk both.".into()),
        ModelEvent::Carried(format!("gpt-5.5-2026-04-23\n{REASONING}").into()),
        ModelEvent::Carried("phase:commentary".into()),
        ModelEvent::Text("Grüße 🦀".into()),
        made("call_a", r#"{"zone":"Oslo"}"#),
        made("call_b", r#"{"zone":"Lima"}"#),
        ModelEvent::Usage(Usage {
            input_tokens: 120,
            output_tokens: 30,
            cached_tokens: 100,
            cache_write_tokens: 5,
            reasoning_tokens: 12,
        }),
        ModelEvent::Stop(Stop::Calls),
    ]
}

#[test]
fn p1_streams_read_the_same_in_every_cut() {
    check_stream(&CODEC, &tools_stream(), &expected_tools());
}

#[test]
fn p1_whole_answers_read_like_streams() {
    let body = format!(
        r#"{{"id":"resp_1","object":"response","status":"completed","error":null,"model":"gpt-5.5-2026-04-23","output":[{REASONING},{{"id":"msg_1","type":"message","role":"assistant","status":"completed","phase":"commentary","content":[{{"type":"output_text","text":"Grüße 🦀","annotations":[]}}]}},{{"id":"fc_1","type":"function_call","arguments":"{{\"zone\":\"Oslo\"}}","call_id":"call_a","name":"clock"}},{{"id":"fc_2","type":"function_call","arguments":"{{\"zone\":\"Lima\"}}","call_id":"call_b","name":"clock"}}],"usage":{{"input_tokens":120,"input_tokens_details":{{"cached_tokens":100,"cache_write_tokens":5}},"output_tokens":30,"output_tokens_details":{{"reasoning_tokens":12}}}}}}"#
    );
    check_whole(&CODEC, &body, &expected_tools());
}

#[test]
fn ends_become_stops() {
    let close = |status: &str, details: &str| {
        format!(
            "data: {{\"type\":\"response.output_text.delta\",\"delta\":\"x\"}}\n\ndata: {{\"type\":\"response.{status}\",\"response\":{{\"status\":\"{status}\",\"incomplete_details\":{details}}}}}\n\n"
        )
    };
    for (stream, stop) in [
        (close("completed", "null"), Stop::Done),
        (close("incomplete", r#"{"reason":"max_output_tokens"}"#), Stop::Length),
        (close("incomplete", r#"{"reason":"content_filter"}"#), Stop::Refused),
        (close("completed", "null").replace("output_text", "refusal"), Stop::Refused),
    ] {
        check_stream(&CODEC, &stream, &[ModelEvent::Text("x".into()), ModelEvent::Stop(stop)]);
    }
}

#[test]
fn p2_failures_end_an_answer_with_one_error() {
    let rows = [
        (
            "event: error\ndata: {\"type\":\"error\",\"sequence_number\":3,\"code\":\"rate_limit_exceeded\",\"message\":\"m\",\"param\":null}\n\n",
            ModelErrorKind::RateLimited,
        ),
        (
            "data: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"m\"}}\n\n",
            ModelErrorKind::Unavailable,
        ),
        (
            "event: error\ndata: {\"message\":\"m\",\"code\":\"context_length_exceeded\"}\n\n",
            ModelErrorKind::ContextTooLong,
        ),
        (
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
            ModelErrorKind::Unavailable,
        ),
        (
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":null}}\n\n",
            ModelErrorKind::Unavailable,
        ),
        ("data: {\"type\":\"response.created\",\"response\":{}}\n\n", ModelErrorKind::Cut),
        ("data: {\"type\":\"response.created\",\"response\":{}}\n\ndata: [DONE]\n\n", ModelErrorKind::Cut),
        ("{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\"}}", ModelErrorKind::BadRequest),
        ("{\"nonsense\":true}", ModelErrorKind::Malformed),
        ("[1]", ModelErrorKind::Malformed),
    ];
    for (body, kind) in rows {
        let events = read(&CODEC, head(200, "text/event-stream"), body.as_bytes().chunks(9));
        let [ModelEvent::Error(error)] = &events[..] else { panic!("one error wanted: {events:?}") };
        assert_eq!(error.kind, kind, "{body}: {error}");
    }
}

#[test]
fn p3_no_bytes_make_the_reader_panic() {
    let long = tools_stream();
    let short = long.split_inclusive("\n\n").skip(13).collect::<String>();
    check_damage(&CODEC, &[&long], 4_000);
    check_damage(&CODEC, &[&short], 16_000);
}

#[test]
fn p5_reasoning_goes_back_whole_before_its_item_and_only_to_its_model() {
    let entries = vec![
        person("What time is it?"),
        entry_of(NAME, &expected_tools()),
        result("call_a", Done, "09:05"),
        result("call_b", Failed, "no such zone"),
        note("last turn"),
    ];
    let draft = Draft::new(MODEL, entries.clone());
    let body = draft.body(&CODEC);
    let reasoning: serde_json::Value = serde_json::from_str(REASONING).expect("JSON");
    assert_eq!(
        body["input"],
        json!([
            {"role": "user", "content": "What time is it?"},
            reasoning,
            {"role": "assistant", "content": "Grüße 🦀", "phase": "commentary"},
            {"type": "function_call", "call_id": "call_a", "name": "clock", "arguments": "{\"zone\":\"Oslo\"}"},
            {"type": "function_call", "call_id": "call_b", "name": "clock", "arguments": "{\"zone\":\"Lima\"}"},
            {"type": "function_call_output", "call_id": "call_a", "output": "09:05"},
            {"type": "function_call_output", "call_id": "call_b", "output": "error: no such zone"},
            {"role": "user", "content": "last turn"},
        ])
    );
    assert!(draft.text(&CODEC).contains(REASONING), "not a byte is changed");
    let other = Draft::new("gpt-6.1-terra", entries).body(&CODEC);
    assert_eq!(other["input"].as_array().map(Vec::len), Some(7), "another model gets no reasoning of this one");
    let carried = Part::Carried(format!("gpt-5.5\n{REASONING}").into());
    let lonely = Draft::new(MODEL, vec![person("a"), model(NAME, vec![carried.clone()]), person("b")]).body(&CODEC);
    assert_eq!(lonely["input"].as_array().map(Vec::len), Some(2), "reasoning without its item is refused");
    let foreign = Draft::new(MODEL, vec![person("a"), model("x", vec![carried, Part::Text("t".into())])]).body(&CODEC);
    assert_eq!(foreign["input"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_item_that_holds_only_its_id_is_not_carried() {
    let stream = "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n";
    check_stream(&CODEC, stream, &[ModelEvent::Stop(Stop::Done)]);
}

#[test]
fn options_are_said_as_the_model_takes_them() {
    let mut draft = Draft::new(MODEL, vec![shown("look", "image/jpeg", b"jpg")]);
    draft.options.output_tokens_max = Some(3);
    draft.options.temperature = Some(0.5);
    draft.options.effort = Effort::Low;
    draft.tool_use = ToolUse::Forbidden;
    draft.options.schema = Some(r#"{"type":"object","properties":{}}"#.into());
    let body = draft.body(&CODEC);
    assert_eq!((&body["store"], &body["stream"]), (&json!(false), &json!(true)));
    assert_eq!(body["max_output_tokens"], 16);
    assert_eq!(body.get("temperature"), None);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(body["reasoning"], json!({"effort": "low"}));
    assert_eq!(body["instructions"], "You are terse.");
    assert_eq!(body["tool_choice"], "none");
    assert_eq!(body["text"]["format"]["strict"], false);
    assert_eq!((&body["tools"][0]["strict"], &body["tools"][1]["strict"]), (&json!(true), &json!(false)));
    assert_eq!(body["tools"][0]["type"], "function");
    assert_eq!(
        body["input"][0]["content"],
        json!([{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:image/jpeg;base64,anBn", "detail": "auto"}])
    );
    draft.model = "gpt-4.1";
    draft.tools.clear();
    let body = draft.body(&CODEC);
    assert_eq!(body["temperature"], 0.5);
    for name in ["include", "reasoning", "tools", "tool_choice"] {
        assert_eq!(body.get(name), None, "{name}");
    }
    let request = CODEC.request(&draft.question()).expect("a request");
    assert_eq!(request.path, "/responses");
    draft.tools = vec![tool("broken", "{")];
    assert_eq!(CODEC.request(&draft.question()).expect_err("no schema").kind, ModelErrorKind::Unsupported);
}

#[test]
fn p4_a_request_starts_like_the_one_before() {
    let mut draft = Draft::new(MODEL, vec![person("go")]);
    let mut earlier = draft.text(&CODEC);
    for turn in 0..4 {
        let carried = Part::Carried(format!("{MODEL}\n{REASONING}").into());
        draft.entries.push(model(NAME, vec![carried, call(&format!("c{turn}"), "noop", "{}")]));
        draft.entries.push(result(&format!("c{turn}"), Done, "ok"));
        let later = draft.text(&CODEC);
        assert!(later.starts_with(earlier.trim_end_matches("]}")), "{earlier}\n{later}");
        earlier = later;
    }
    draft.entries.push(folded("c9", "f"));
    assert!(draft.text(&CODEC).contains("earlier call"));
}
