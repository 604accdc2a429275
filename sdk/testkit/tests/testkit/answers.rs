//! S1 and S3: one turn says the same in every format and delivery, always in the same bytes.

use aether_testkit::dialect::Dialect;
use aether_testkit::script::{End, Failure, Item, Script, Speaker, Turn, Usage, When};
use aether_testkit::server::{Server, Verdict};
use serde_json::{Value, json};

use crate::client::{Response, ask, ask_at, door, get};
use crate::meaning::{Meaning, meaning};

const USAGE: Usage =
    Usage { input_tokens: 100, output_tokens: 40, cached_tokens: 64, cache_write_tokens: 8, reasoning_tokens: 10 };

/// A question that asks for all there is to see.
fn question(dialect: Dialect, stream: &str) -> Value {
    let streams = stream == "streamed";
    let mut body = match dialect {
        Dialect::Chat => json!({"model": "qwen3", "messages": [{"role": "user", "content": "hi"}]}),
        Dialect::Responses => json!({"model": "gpt-6.2-sol", "input": "hi", "store": false,
            "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"}}),
        Dialect::Anthropic => json!({"model": "claude-opus-5-5", "max_tokens": 99,
            "thinking": {"type": "adaptive", "display": "summarized"}, "messages": [{"role": "user", "content": "hi"}]}),
        Dialect::Ollama => json!({"model": "qwen3", "messages": [{"role": "user", "content": "hi"}]}),
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
    };
    if dialect != Dialect::Gemini {
        body["stream"] = json!(streams);
    }
    if dialect == Dialect::Chat && streams {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn asked(server: &Server, dialect: Dialect, stream: &str) -> Response {
    let (path, headers) = door(dialect);
    let path = match (dialect, stream) {
        (Dialect::Gemini, "streamed") => path.replace(":generateContent", ":streamGenerateContent?alt=sse"),
        (Dialect::Gemini, "listed") => path.replace(":generateContent", ":streamGenerateContent"),
        _ => path.to_owned(),
    };
    ask_at(server, &path, &headers, &question(dialect, stream))
}

fn understood(response: &Response, dialect: Dialect) -> Meaning {
    assert!(response.whole);
    meaning(dialect, response.header("content-type").unwrap(), &response.body)
}

fn rich() -> Turn {
    let call = |name: &str, fragments: &[&str]| Item::Call {
        id: None,
        name: name.to_owned(),
        fragments: fragments.iter().map(|&fragment| fragment.to_owned()).collect(),
    };
    Turn::reply(vec![
        Item::Reasoning(vec!["I ".to_owned(), "think 🕘".to_owned()]),
        Item::texts(&["Two ", "clocks,\n", "“now”."]),
        call("clock", &["{\"zone\":", "\"Europe/", "Oslo\"}"]),
        call("today", &["{}"]),
    ])
    .usage(USAGE)
}

#[test]
fn one_turn_means_the_same_everywhere() {
    for dialect in Dialect::ALL {
        let deliveries: &[&str] =
            if dialect == Dialect::Gemini { &["streamed", "whole", "listed"] } else { &["streamed", "whole"] };
        for &delivery in deliveries {
            let server = Server::start(Script::new().turn(rich())).unwrap();
            let response = asked(&server, dialect, delivery);
            assert_eq!(response.status, 200, "{}: {}", dialect.name(), response.text());
            let found = understood(&response, dialect);
            let calls = vec![("clock".to_owned(), json!({"zone": "Europe/Oslo"})), ("today".to_owned(), json!({}))];
            assert_eq!(found.text, "Two clocks,\n“now”.", "{} {delivery}", dialect.name());
            assert_eq!(found.reasoning, "I think 🕘", "{} {delivery}", dialect.name());
            assert_eq!(found.calls, calls, "{} {delivery}", dialect.name());
            let tokens = if dialect == Dialect::Ollama { [100, 40, 0, 0] } else { [100, 40, 64, 10] };
            assert_eq!(found.tokens, tokens, "{} {delivery}", dialect.name());
        }
    }
}

#[test]
fn the_same_requests_get_the_same_bytes() {
    let run = || {
        let server = Server::start(Script::new().turn(rich().always())).unwrap();
        let ask = |dialect| asked(&server, dialect, "streamed").body;
        Dialect::ALL.map(ask)
    };
    assert_eq!(run(), run());
}

#[test]
fn every_end_has_its_word() {
    let words = |dialect, end: Option<End>| {
        let turn = Turn { ..Turn::text("x") };
        let turn = match end {
            Some(end) => turn.end(end),
            None => turn,
        };
        let server = Server::start(Script::new().turn(turn.always())).unwrap();
        let streamed = understood(&asked(&server, dialect, "streamed"), dialect).reason;
        assert_eq!(streamed, understood(&asked(&server, dialect, "whole"), dialect).reason);
        streamed
    };
    for (dialect, done, length, refused) in [
        (Dialect::Chat, "stop", "length", "content_filter"),
        (Dialect::Responses, "completed", "max_output_tokens", "content_filter"),
        (Dialect::Anthropic, "end_turn", "max_tokens", "refusal"),
        (Dialect::Ollama, "stop", "length", "stop"),
        (Dialect::Gemini, "STOP", "MAX_TOKENS", "SAFETY"),
    ] {
        assert_eq!(words(dialect, None), done);
        assert_eq!(words(dialect, Some(End::Length)), length);
        assert_eq!(words(dialect, Some(End::Refused)), refused);
    }
    assert_eq!(words(Dialect::Anthropic, Some(End::Word("pause_turn".to_owned()))), "pause_turn");
}

#[test]
fn anthropic_streams_as_documented() {
    let server = Server::start(Script::new().turn(rich())).unwrap();
    let events = asked(&server, Dialect::Anthropic, "streamed").events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    for (name, data) in &events {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], **name);
    }
    let starts: Vec<Value> = events
        .iter()
        .filter(|(name, _)| name == "content_block_start")
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    let kinds: Vec<&Value> = starts.iter().map(|start| &start["content_block"]["type"]).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    assert!(starts.iter().enumerate().all(|(at, start)| start["index"] == at));
    // Without a wish for a summary the newest models only sign; and they think whether or not they are asked to.
    let server = Server::start(Script::new().turn(rich())).unwrap();
    let mut body = question(Dialect::Anthropic, "whole");
    body.as_object_mut().unwrap().remove("thinking");
    let whole = ask(&server, Dialect::Anthropic, &body).json();
    assert_eq!((&whole["content"][0]["type"], &whole["content"][0]["thinking"]), (&json!("thinking"), &json!("")));
    assert!(whole["content"][0]["signature"].as_str().unwrap().len() > 20);
}

#[test]
fn responses_streams_as_documented() {
    let server = Server::start(Script::new().turn(rich())).unwrap();
    let events = asked(&server, Dialect::Responses, "streamed").events();
    let mut last_item = String::new();
    for (at, (name, data)) in events.iter().enumerate() {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(at)));
        if name == "response.output_item.done" {
            last_item = data["item"]["type"].as_str().unwrap().to_owned();
        }
    }
    assert_eq!(last_item, "function_call");
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["response.created", "response.in_progress", "response.output_item.added"]);
    assert_eq!(names.last(), Some(&"response.completed"));
    let end: Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    let kinds: Vec<&Value> = end["response"]["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
    // Nothing is shown or sealed that was not asked for.
    let server = Server::start(Script::new().turn(rich())).unwrap();
    let bare = ask(&server, Dialect::Responses, &json!({"model": "gpt-6.2-sol", "input": "hi"})).json();
    assert_eq!(bare["output"][0]["summary"], json!([]));
    assert!(bare["output"][0].get("encrypted_content").is_none());
}

#[test]
fn chat_streams_as_documented() {
    let server = Server::start(Script::new().turn(rich()).turn(rich()).turn(rich())).unwrap();
    let events = asked(&server, Dialect::Chat, "streamed").events();
    assert_eq!(events.last().unwrap().1, "[DONE]");
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let (usage, others) = chunks.split_last().unwrap();
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(140)));
    assert!(others.iter().all(|chunk| chunk["usage"].is_null()));
    // Usage comes only when it is wanted, and OpenAI's own models do not show their reasoning.
    let body = json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let found = understood(&ask(&server, Dialect::Chat, &body), Dialect::Chat);
    assert_eq!((found.tokens, found.reasoning.as_str()), ([0; 4], ""));
    let whole = understood(&asked(&server, Dialect::Chat, "whole"), Dialect::Chat);
    assert_eq!(whole.reason, "tool_calls");
}

#[test]
fn gemini_and_ollama_stream_as_documented() {
    let server = Server::start(Script::new().turn(rich().always()).turn(Turn::text("x"))).unwrap();
    let response = asked(&server, Dialect::Gemini, "streamed");
    assert!(response.text().contains("\r\n\r\n") && !response.text().contains("event:"));
    let events = response.events();
    let last: Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    assert_eq!(last["usageMetadata"]["candidatesTokenCount"], 30);
    assert!(asked(&server, Dialect::Gemini, "listed").json().is_array());
    let lines = asked(&server, Dialect::Ollama, "streamed");
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let done: Vec<bool> =
        lines.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["done"] == true).collect();
    assert!(done[..done.len() - 1].iter().all(|done| !done) && done[done.len() - 1]);
    // Ollama streams unless told not to; thinking can be switched off.
    let body = json!({"model": "qwen3", "think": false, "messages": [{"role": "user", "content": "hi"}]});
    let found = understood(&ask(&server, Dialect::Ollama, &body), Dialect::Ollama);
    assert_eq!((found.reasoning.as_str(), found.calls.len()), ("", 2));
    // A text of a model that signs ends with an empty part that bears the signature.
    let server = Server::start(Script::new().turn(Turn::text("x"))).unwrap();
    let events = asked(&server, Dialect::Gemini, "streamed").events();
    let last: Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    let part = &last["candidates"][0]["content"]["parts"][0];
    assert!(part["text"] == "" && part["thoughtSignature"].is_string());
}

#[test]
fn failures_have_the_formats_shape() {
    for dialect in Dialect::ALL {
        let failure = Failure { code: Some("c".to_owned()), ..Failure::new(429, "slow down") };
        let inside = Turn::reply(vec![Item::text("I will"), Item::Failure(failure), Item::text("never")]);
        let turn = Turn::failure(429, "slow down").retry_after("7");
        let server = Server::start(Script::new().turn(turn).turn(inside.always())).unwrap();
        let outside = asked(&server, dialect, "whole");
        assert_eq!(outside.status, 429);
        assert_eq!(meaning(dialect, "application/json", &outside.body).error, "slow down");
        if dialect == Dialect::Gemini {
            assert_eq!(outside.json()["error"]["details"][0]["retryDelay"], "7s");
            assert_eq!(outside.header("retry-after"), None);
        } else {
            assert_eq!(outside.header("retry-after"), Some("7"));
        }
        let streamed = asked(&server, dialect, "streamed");
        let found = understood(&streamed, dialect);
        assert_eq!((streamed.status, found.text.as_str(), found.error.as_str()), (200, "I will", "slow down"));
        assert_eq!(found.reason, "");
        assert_eq!(asked(&server, dialect, "whole").status, 429, "in one body it is an HTTP error");
    }
}

#[test]
fn kinds_of_errors() {
    for (dialect, status, pointer, kind) in [
        (Dialect::Anthropic, 529, "/error/type", "overloaded_error"),
        (Dialect::Anthropic, 500, "/error/type", "api_error"),
        (Dialect::Gemini, 503, "/error/status", "UNAVAILABLE"),
        (Dialect::Gemini, 429, "/error/status", "RESOURCE_EXHAUSTED"),
        (Dialect::Chat, 500, "/error/type", "server_error"),
        (Dialect::Responses, 429, "/error/type", "requests"),
    ] {
        let server = Server::start(Script::new().turn(Turn::failure(status, "x"))).unwrap();
        let response = asked(&server, dialect, "whole");
        assert_eq!(response.json().pointer(pointer), Some(&json!(kind)));
    }
}

#[test]
fn turns_are_chosen_by_what_was_said() {
    let when = |when: When, text: &str| Turn::text(text).when(when).always();
    let script = Script::new()
        .turn(when(When { last: Some(Speaker::Tool), ..When::default() }, "after the tool"))
        .turn(when(When { contains: Some("Oslo".to_owned()), ..When::default() }, "about Oslo"))
        .turn(when(When { dialect: Some(Dialect::Ollama), ..When::default() }, "to Ollama"))
        .turn(when(When { model: Some("gpt-4.1-mini".to_owned()), ..When::default() }, "to mini"))
        .turn(Turn::text("first").uses(2))
        .turn(Turn::text("then"));
    let server = Server::start(script).unwrap();
    let chat = |model: &str, messages: Value| {
        let response = ask(&server, Dialect::Chat, &json!({"model": model, "messages": messages}));
        meaning(Dialect::Chat, "application/json", &response.body)
    };
    let user = |text: &str| json!([{"role": "user", "content": text}]);
    let tools = json!([{"role": "user", "content": "Oslo?"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "c", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "09:05"}]);
    assert_eq!(chat("gpt-4.1", tools).text, "after the tool");
    assert_eq!(chat("gpt-4.1", user("Oslo?")).text, "about Oslo");
    assert_eq!(chat("gpt-4.1", json!([{"role": "user", "content": "Oslo"}, {"role": "assistant", "content": "Oslo"}, {"role": "user", "content": "x"}])).text, "first");
    assert_eq!(understood(&asked(&server, Dialect::Ollama, "streamed"), Dialect::Ollama).text, "to Ollama");
    assert_eq!(chat("gpt-4.1-mini", user("x")).text, "to mini");
    assert_eq!(chat("gpt-4.1", user("x")).text, "first");
    assert_eq!(chat("gpt-4.1", user("x")).text, "then");
    let over = chat("gpt-4.1", user("x"));
    assert!(over.error.contains("no turn left"), "{over:?}");
    assert_eq!(server.requests().last().unwrap().verdict, Verdict::Unscripted);
}

#[test]
fn tools_are_seen_last_in_every_format() {
    let script = Script::new()
        .turn(
            Turn::text("tool said it")
                .when(When { last: Some(Speaker::Tool), contains: Some("09:05".to_owned()), ..When::default() })
                .always(),
        )
        .turn(Turn::text("person said it").always());
    let server = Server::start(script).unwrap();
    let call = json!({"id": "a", "type": "function", "function": {"name": "c", "arguments": "{}"}});
    for (dialect, body) in [
        (
            Dialect::Chat,
            json!({"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "a", "content": "09:05"}]}),
        ),
        (
            Dialect::Responses,
            json!({"model": "m", "input": [{"role": "user", "content": "x"}, {"type": "function_call", "call_id": "a", "name": "c", "arguments": "{}"}, {"type": "function_call_output", "call_id": "a", "output": "09:05"}]}),
        ),
        (
            Dialect::Anthropic,
            json!({"model": "m", "max_tokens": 9, "tools": [{"name": "c", "input_schema": {"type": "object"}}], "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "c", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "09:05"}]}]}]}),
        ),
        (
            Dialect::Gemini,
            json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": [{"functionCall": {"name": "c", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}]}, {"role": "user", "parts": [{"functionResponse": {"name": "c", "response": {"output": "09:05"}}}]}]}),
        ),
        (
            Dialect::Ollama,
            json!({"model": "m", "stream": false, "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "c", "arguments": {}}}]}, {"role": "tool", "tool_name": "c", "content": "09:05"}]}),
        ),
    ] {
        let response = ask(&server, dialect, &body);
        assert_eq!(meaning(dialect, "application/json", &response.body).text, "tool said it", "{}", response.text());
        assert_eq!(meaning(dialect, "application/json", &asked(&server, dialect, "whole").body).text, "person said it");
    }
}

#[test]
fn requests_are_recorded() {
    let server = Server::start(Script::new().turn(Turn::text("x"))).unwrap();
    asked(&server, Dialect::Anthropic, "whole");
    get(&server, "/nowhere?x=1", &[]);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        (requests[0].dialect, requests[0].method.as_str(), requests[0].path.as_str()),
        (Some(Dialect::Anthropic), "POST", "/v1/messages")
    );
    assert_eq!((requests[0].header("x-api-key"), &requests[0].body["model"]), (Some("k"), &json!("claude-opus-5-5")));
    assert_eq!(requests[0].verdict, Verdict::Answered(0));
    assert_eq!((requests[1].dialect, requests[1].path.as_str()), (None, "/nowhere?x=1"));
    assert_eq!(server.refused().len(), 1);
}
