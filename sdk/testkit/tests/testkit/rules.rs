//! S2: for every rule one request that passes and one that is refused as the real provider refuses it.

use crate::client::{ask, ask_at, door, get};
use aether_testkit::dialect::Dialect;
use aether_testkit::script::{Item, Script, Turn};
use aether_testkit::server::{Server, Verdict};
use serde_json::{Value, json};

/// One rule: what changes a good request into another good one, and into a refused one.
struct Rule {
    name: &'static str,
    good: Value,
    bad: Value,
    status: u16,
    sentence: &'static str,
}

/// A rule that answers 400.
fn rule(name: &'static str, good: Value, bad: Value, sentence: &'static str) -> Rule {
    Rule { name, good, bad, status: 400, sentence }
}

/// `base` with these keys set; null takes a key away.
fn with(base: &Value, changes: Value) -> Value {
    let mut body = base.clone();
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(key)),
            value => body[key] = value.clone(),
        }
    }
    body
}

/// Holds a format to its rules. The good request of each rule uses up the only turn of its script; the bad
/// one comes before it and must not.
fn hold(dialect: Dialect, rules: Vec<Rule>, message: &str) {
    for rule in rules {
        let server = Server::start(Script::new().turn(Turn::text("fine"))).unwrap();
        let refused = ask(&server, dialect, &rule.bad);
        let error = refused.json();
        let said = error.pointer(message).and_then(Value::as_str).unwrap_or_else(|| panic!("{}: {error}", rule.name));
        assert!(said.contains(rule.sentence), "{}: {said}", rule.name);
        assert_eq!(refused.status, rule.status, "{}: {said}", rule.name);
        let passed = ask(&server, dialect, &rule.good);
        assert_eq!(passed.status, 200, "{}: {}", rule.name, passed.text());
        let verdicts: Vec<Verdict> = server.requests().into_iter().map(|request| request.verdict).collect();
        assert_eq!(verdicts[1], Verdict::Answered(0), "{}", rule.name);
        assert!(matches!(&verdicts[0], Verdict::Refused { status, .. } if *status == rule.status), "{}", rule.name);
    }
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"], "additionalProperties": false})
}

fn open_schema() -> Value {
    json!({"type": "object", "properties": {"zone": {"type": "string"}}})
}

// ---------------------------------------------------------------------------------------------------------------

fn anthropic() -> Value {
    json!({"model": "claude-opus-4-8", "max_tokens": 1024, "messages": [{"role": "user", "content": "hi"}]})
}

fn anthropic_tool() -> Value {
    json!({"name": "clock", "description": "The time", "input_schema": schema()})
}

/// A conversation with a tool batch in the middle; the third message is given.
fn anthropic_loop(third: Value) -> Value {
    let uses = json!([{"type": "tool_use", "id": "a", "name": "clock", "input": {}}, {"type": "tool_use", "id": "b", "name": "clock", "input": {}}]);
    with(
        &anthropic(),
        json!({"tools": [anthropic_tool()], "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": uses}, {"role": "user", "content": third}]}),
    )
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "09:05"})
}

fn said(content: Value) -> Value {
    with(&anthropic(), json!({"messages": [{"role": "user", "content": content}]}))
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn anthropic_fields() {
    let base = anthropic();
    let set = |changes: Value| with(&base, changes);
    hold(Dialect::Anthropic, vec![
        rule("unknown field", set(json!({"metadata": {"user_id": "u"}})), set(json!({"temprature": 1})), "temprature: Extra inputs are not permitted"),
        rule("temperature", base.clone(), set(json!({"temperature": 1.0})), "temperature: Extra inputs are not permitted"),
        rule("top_p", base.clone(), set(json!({"top_p": 1.0})), "top_p: Extra inputs"),
        rule("top_k", base.clone(), set(json!({"top_k": 5})), "top_k: Extra inputs"),
        rule("max_tokens", base.clone(), set(json!({"max_tokens": null})), "max_tokens: Field required"),
        rule("model", base.clone(), set(json!({"model": null})), "model: Field required"),
        rule("messages", base.clone(), set(json!({"messages": []})), "at least one message"),
        rule("stream", set(json!({"stream": true})), set(json!({"stream": "yes"})), "stream: Input should be a valid boolean"),
        rule("stop_sequences", set(json!({"stop_sequences": ["END"]})), set(json!({"stop_sequences": [" "]})), "non-whitespace"),
        rule("system", set(json!({"system": [{"type": "text", "text": "Be brief"}]})), set(json!({"system": [{"type": "text", "text": ""}]})), "non-empty"),
        rule("effort", set(json!({"output_config": {"effort": "low"}})), set(json!({"output_config": {"effort": "tiny"}})), "output_config.effort"),
        rule("format", set(json!({"output_config": {"format": {"type": "json_schema", "schema": schema()}}})),
             set(json!({"output_config": {"format": {"type": "json_schema", "schema": open_schema()}}})), "additionalProperties"),
        rule("old output_format", base.clone(), set(json!({"output_format": {}})), "output_format: Extra inputs"),
        rule("cache marks", set(json!({"cache_control": {"type": "ephemeral"}})), set(json!({"cache_control": {"type": "forever"}})), "cache_control"),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn anthropic_thinking() {
    let set = |model: &str, changes: Value| with(&with(&anthropic(), json!({"model": model})), changes);
    let adaptive = json!({"thinking": {"type": "adaptive", "display": "summarized"}});
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048});
    let off = json!({"thinking": {"type": "disabled"}});
    let between = json!({"thinking": {"type": "between_tools"}});
    let prefill = json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]});
    hold(Dialect::Anthropic, vec![
        rule("no budget on 4.8", set("claude-opus-4-8", adaptive.clone()),
             set("claude-opus-4-8", budget.clone()), "\"thinking.type.enabled\" is not supported for this model"),
        rule("no budget on 5.5", set("claude-opus-5-5", adaptive.clone()), set("claude-opus-5-5", budget.clone()), "thinking.type.adaptive"),
        rule("always on", set("claude-opus-5-5", json!({})), set("claude-opus-5-5", off.clone()), "\"thinking.type.disabled\" is not supported"),
        rule("between tools", set("claude-sonnet-5-5", between.clone()), set("claude-sonnet-5-5", off.clone()), "between_tools"),
        rule("not between tools", set("claude-haiku-5-5", off.clone()), set("claude-haiku-5-5", between), "thinking.type.between_tools"),
        rule("not adaptive on 4.5", set("claude-haiku-4-5", budget.clone()), set("claude-haiku-4-5", adaptive), "thinking.type.adaptive"),
        rule("smallest budget", set("claude-haiku-4-5", budget.clone()),
             set("claude-haiku-4-5", json!({"thinking": {"type": "enabled", "budget_tokens": 10}})), "1024"),
        rule("budget below max_tokens", set("claude-haiku-4-5", budget),
             set("claude-haiku-4-5", json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})), "must be greater than"),
        rule("prefill", set("claude-haiku-4-5", prefill.clone()), set("claude-sonnet-4-6", prefill), "does not support assistant message prefill"),
        rule("thinking type", set("claude-opus-4-8", off), set("claude-opus-4-8", json!({"thinking": {"type": "auto"}})), "Input tag 'auto'"),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn anthropic_tools() {
    let set = |changes: Value| with(&with(&anthropic(), json!({"tools": [anthropic_tool()]})), changes);
    let tools = |changes: Value| set(json!({"tools": [with(&anthropic_tool(), changes)]}));
    let forced = json!({"tool_choice": {"type": "any"}});
    hold(Dialect::Anthropic, vec![
        rule("name", tools(json!({"name": "Clock_2-x"})), tools(json!({"name": "clock.now"})), "should match pattern"),
        rule("schema type", set(json!({})), tools(json!({"input_schema": {"type": "string"}})), "Input should be 'object'"),
        rule("schema", set(json!({})), tools(json!({"input_schema": null})), "input_schema: Field required"),
        rule("tool field", tools(json!({"cache_control": {"type": "ephemeral", "ttl": "1h"}})), tools(json!({"parameters": {}})), "parameters: Extra inputs"),
        rule("unique names", set(json!({})), set(json!({"tools": [anthropic_tool(), anthropic_tool()]})), "unique"),
        rule("strict schema", tools(json!({"strict": true})), tools(json!({"strict": true, "input_schema": open_schema()})), "additionalProperties"),
        rule("choice without tools", set(json!({"tool_choice": {"type": "none"}})),
             set(json!({"tools": null, "tool_choice": {"type": "auto"}})), "while providing tools"),
        rule("choice of an unknown tool", set(json!({"tool_choice": {"type": "tool", "name": "clock"}})),
             set(json!({"tool_choice": {"type": "tool", "name": "x"}})), "not found in provided tools"),
        rule("forced tools", set(forced.clone()), with(&set(forced.clone()), json!({"model": "claude-opus-5-5"})), "are not supported for this model"),
        rule("forced tools and thinking", set(forced.clone()), with(&set(forced), json!({"thinking": {"type": "adaptive"}})), "Thinking may not be enabled"),
        rule("tools of the history", anthropic_loop(json!([result("a"), result("b")])),
             with(&anthropic_loop(json!([result("a"), result("b")])), json!({"tools": null})), "must define tools"),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn anthropic_messages() {
    let roles = |roles: &[&str]| {
        let messages: Vec<Value> = roles.iter().map(|role| json!({"role": role, "content": "hi"})).collect();
        with(&anthropic(), json!({"messages": messages}))
    };
    let text = |text: &str| said(json!([{"type": "text", "text": text}]));
    let image = |media: &str, data: &str| {
        said(json!([{"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}]))
    };
    let marks = |count: usize| {
        let block = json!({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}});
        said(json!(vec![block; count]))
    };
    let document = json!([{"type": "document", "source": {}}]);
    hold(Dialect::Anthropic, vec![
        rule("role", roles(&["user", "assistant", "user"]), roles(&["tool"]), "Unexpected role \"tool\""),
        rule("first role", roles(&["user", "user"]), roles(&["assistant", "user"]), "first message must use the \"user\" role"),
        rule("message field", said(json!("hi")),
             with(&anthropic(), json!({"messages": [{"role": "user", "content": "hi", "name": "x"}]})), "name: Extra inputs"),
        rule("empty content", said(json!("x")), said(json!("")), "must have non-empty content"),
        rule("no blocks", said(json!([{"type": "text", "text": "x"}])), said(json!([])), "must have non-empty content"),
        rule("empty text", text("x"), text(""), "text content blocks must be non-empty"),
        rule("blank text", text("x"), text(" \n"), "non-whitespace"),
        rule("block type", text("x"), said(json!([{"type": "input_text", "text": "x"}])), "Input tag 'input_text'"),
        rule("block field", text("x"), said(json!([{"type": "text", "text": "x", "id": 1}])), "id: Extra inputs"),
        rule("citations of a user", text("x"), said(json!([{"type": "text", "text": "x", "citations": [{}]}])), "citations: Extra inputs"),
        rule("image type", image("image/png", "iVBORw0K"), image("image/bmp", "iVBORw0K"), "media_type"),
        rule("image data", image("image/png", "iVBORw0K"), image("image/png", "iVBO Rw0"), "invalid base64"),
        rule("document of the assistant", said(document.clone()),
             with(&anthropic(), json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": document}, {"role": "user", "content": "x"}]})), "not permitted in `assistant`"),
        rule("cache marks", marks(4), marks(5), "A maximum of 4 blocks with cache_control may be provided. Found 5."),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn anthropic_pairs() {
    let both = || json!([result("a"), result("b")]);
    let good = || anthropic_loop(both());
    let after = json!({"type": "text", "text": "and now?"});
    let assistant = |block: Value| {
        let mut body = good();
        body["messages"][1]["content"] = json!([block, {"type": "tool_use", "id": "b", "name": "clock", "input": {}}]);
        body
    };
    let mut split = good();
    split["messages"] = json!([split["messages"][0], split["messages"][1], {"role": "user", "content": [result("a")]}, {"role": "user", "content": [result("b")]}]);
    let use_of = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "clock", "input": input});
    hold(Dialect::Anthropic, vec![
        rule("all answered", good(),
             anthropic_loop(json!([result("a")])), "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b."),
        rule("none answered", good(), anthropic_loop(json!("no")), "immediately after: a, b."),
        rule("results first", anthropic_loop(json!([result("b"), result("a"), after])),
             anthropic_loop(json!([after, result("a"), result("b")])), "immediately after: a, b."),
        rule("joined messages", split,
             anthropic_loop(json!([result("a"), result("b"), result("c")])), "unexpected `tool_use_id` found in `tool_result` blocks: c"),
        rule("late result", good(), anthropic_loop(json!([result("a"), result("b"), after, result("a")])), "unexpected `tool_use_id`"),
        rule("two results", good(), anthropic_loop(json!([result("a"), result("a"), result("b")])), "must have a single result"),
        rule("result out of nowhere", good(),
             with(&anthropic(), json!({"tools": [anthropic_tool()], "messages": [{"role": "user", "content": [result("a")]}]})), "messages.0.content.0: unexpected"),
        rule("unique ids", good(), assistant(use_of("b", json!({}))), "ids must be unique"),
        rule("input is an object", assistant(use_of("a", json!({"x": 1}))), assistant(use_of("a", json!("{}"))), "Input should be a valid dictionary"),
        rule("id", assistant(use_of("a", json!({}))), assistant(use_of("a b", json!({}))), "should match pattern"),
        rule("result content", anthropic_loop(json!([result("a"), {"type": "tool_result", "tool_use_id": "b", "is_error": true}])),
             anthropic_loop(json!([result("a"), {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": ""}]}])), "non-empty"),
        rule("use by the assistant only", good(),
             anthropic_loop(json!([result("a"), result("b"), use_of("c", json!({}))])), "`tool_use` blocks can only be in `assistant` messages"),
    ], "/error/message");
}

#[test]
fn anthropic_headers_and_versions() {
    let server = Server::start(Script::new().turn(Turn::text("fine").always()).key("right")).unwrap();
    let version = ("anthropic-version", "2026-10-21");
    for (headers, status, kind, sentence) in [
        (vec![version], 401, "authentication_error", "x-api-key header is required"),
        (vec![version, ("x-api-key", "wrong")], 401, "authentication_error", "invalid x-api-key"),
        (vec![version, ("authorization", "Basic right")], 401, "authentication_error", "required"),
        (vec![("x-api-key", "right")], 400, "invalid_request_error", "anthropic-version: header is required"),
        (
            vec![("x-api-key", "right"), ("anthropic-version", "2025-01-01")],
            400,
            "invalid_request_error",
            "not a valid version",
        ),
    ] {
        let response = ask_at(&server, "/v1/messages", &headers, &anthropic());
        assert_eq!(response.status, status, "{headers:?}");
        let error = response.json();
        assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!(kind)));
        assert!(error["error"]["message"].as_str().unwrap().contains(sentence), "{error}");
    }
    for headers in [vec![version, ("x-api-key", "right")], vec![version, ("authorization", "Bearer right")]] {
        assert_eq!(ask_at(&server, "/v1/messages", &headers, &anthropic()).status, 200);
    }
    // The older version still has sampling, where the model has.
    let old = [("x-api-key", "right"), ("anthropic-version", "2023-06-01")];
    for (model, changes, status) in [
        ("claude-haiku-4-5", json!({"temperature": 0.2, "top_k": 3}), 200),
        ("claude-haiku-4-5", json!({"temperature": 1.5}), 400),
        (
            "claude-haiku-4-5",
            json!({"temperature": 0.2, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}),
            400,
        ),
        ("claude-opus-4-8", json!({"temperature": 1.0}), 200),
        ("claude-opus-4-8", json!({"temperature": 0.2}), 400),
    ] {
        let body = with(&with(&anthropic(), json!({"model": model})), changes);
        assert_eq!(ask_at(&server, "/v1/messages", &old, &body).status, status, "{body}");
    }
}

/// Thinking that the server handed out must come back unchanged, before the tool use it led to.
#[test]
fn anthropic_thinking_is_carried_back() {
    let turn = Turn::reply(vec![Item::reasoning("I look"), Item::call("clock", "{\"zone\":\"x\"}")]);
    let server = Server::start(Script::new().turn(turn).turn(Turn::text("fine").always())).unwrap();
    let base = with(
        &anthropic(),
        json!({"tools": [anthropic_tool()], "thinking": {"type": "adaptive", "display": "summarized"}}),
    );
    let first = ask(&server, Dialect::Anthropic, &base).json();
    assert_eq!(first["content"][0]["thinking"], "I look");
    let id = first["content"][1]["id"].as_str().unwrap().to_owned();
    let back = |content: Value| {
        let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": [result(&id)]}]);
        ask(&server, Dialect::Anthropic, &with(&base, json!({"messages": messages})))
    };
    let content = &first["content"];
    assert_eq!(back(content.clone()).status, 200);
    let changed = with(&content[0], json!({"thinking": "I look!"}));
    let emptied = with(&content[0], json!({"thinking": ""}));
    let forged = with(&content[0], json!({"signature": "abc"}));
    for content in [
        json!([changed, content[1]]),
        json!([emptied, content[1]]),
        json!([forged, content[1]]),
        json!([content[1]]),
        json!([content[1], content[0]]),
    ] {
        let response = back(content.clone());
        assert_eq!(response.status, 400, "{content}");
        assert!(response.text().contains("cannot be modified"), "{}", response.text());
    }
    let unsigned = json!([{"type": "thinking", "thinking": "I look"}, content[1]]);
    assert!(back(unsigned).text().contains("signature: Field required"));
    // With a budget, a turn with tool use has to start with thinking.
    let body = with(
        &anthropic_loop(json!([result("a"), result("b")])),
        json!({"model": "claude-haiku-4-5", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    );
    assert!(
        ask(&server, Dialect::Anthropic, &body)
            .text()
            .contains("Expected `thinking` or `redacted_thinking`, but found `tool_use`")
    );
}

// ---------------------------------------------------------------------------------------------------------------

fn chat() -> Value {
    json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]})
}

fn chat_tool(changes: Value) -> Value {
    json!([{"type": "function", "function": with(&json!({"name": "clock", "description": "d", "parameters": schema()}), changes)}])
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn chat_fields() {
    let set = |changes: Value| with(&chat(), changes);
    let reasoning = |changes: Value| with(&with(&chat(), json!({"model": "gpt-5"})), changes);
    let late = |changes: Value| with(&with(&chat(), json!({"model": "gpt-5.6-sol"})), changes);
    let tool = || chat_tool(json!({}));
    let format = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}}});
    hold(Dialect::Chat, vec![
        rule("unknown field", set(json!({"seed": 1})), set(json!({"max_output_tokens": 1})), "Unrecognized request argument supplied: max_output_tokens"),
        rule("compatible fields", set(json!({"model": "qwen3", "chat_template_kwargs": {}})),
             set(json!({"chat_template_kwargs": {}})), "Unrecognized request argument"),
        rule("model", chat(), set(json!({"model": null})), "you must provide a model parameter"),
        rule("stream_options", set(json!({"stream": true, "stream_options": {"include_usage": true}})),
             set(json!({"stream_options": {}})), "only allowed when 'stream' is enabled"),
        rule("max_tokens", reasoning(json!({"max_completion_tokens": 9})), reasoning(json!({"max_tokens": 9})), "Use 'max_completion_tokens' instead"),
        rule("temperature", set(json!({"temperature": 0.2})), reasoning(json!({"temperature": 0.2})), "'temperature' does not support 0.2 with this model"),
        rule("effort", reasoning(json!({"reasoning_effort": "low"})), reasoning(json!({"reasoning_effort": "tiny"})), "Supported values are"),
        rule("effort of plain models", chat(), set(json!({"reasoning_effort": "low"})), "Unrecognized request argument"),
        rule("effort of restless models", with(&reasoning(json!({"reasoning_effort": "low"})), json!({"model": "gpt-6.2-sol"})),
             with(&reasoning(json!({"reasoning_effort": "none"})), json!({"model": "gpt-6.2-sol"})), "does not support \"none\" with this model"),
        rule("tools while reasoning", late(json!({"tools": tool(), "reasoning_effort": "none"})),
             late(json!({"tools": tool()})), "To use function tools, use /v1/responses"),
        rule("no empty tools", chat(), set(json!({"tools": []})), "empty array"),
        rule("tool type", set(json!({"tools": tool()})), set(json!({"tools": [{"type": "x"}]})), "Supported values are: 'function' and 'custom'"),
        rule("flat tool", set(json!({"tools": tool()})),
             set(json!({"tools": [{"type": "function", "name": "clock"}]})), "Missing required parameter: 'tools[0].function'"),
        rule("tool name", set(json!({"tools": tool()})), set(json!({"tools": chat_tool(json!({"name": "a b"}))})), "'^[a-zA-Z0-9_-]+$'"),
        rule("long tool name", set(json!({"tools": chat_tool(json!({"name": "x".repeat(64)}))})),
             set(json!({"tools": chat_tool(json!({"name": "x".repeat(65)}))})), "pattern"),
        rule("tool field", set(json!({"tools": tool()})),
             set(json!({"tools": chat_tool(json!({"input_schema": {}}))})), "Unknown parameter: 'tools[0].function.input_schema'"),
        rule("schema type", set(json!({"tools": chat_tool(json!({"parameters": null}))})),
             set(json!({"tools": chat_tool(json!({"parameters": {"type": "array"}}))})), "'type: \"object\"'"),
        rule("strict schema", set(json!({"tools": chat_tool(json!({"strict": true}))})),
             set(json!({"tools": chat_tool(json!({"strict": true, "parameters": open_schema()}))})), "'additionalProperties' is required to be supplied and to be false"),
        rule("loose schema", set(json!({"tools": chat_tool(json!({"parameters": open_schema()}))})),
             set(json!({"tools": chat_tool(json!({"strict": true, "parameters": with(&schema(), json!({"required": []}))}))})), "Missing 'zone'"),
        rule("tool_choice", set(json!({"tools": tool(), "tool_choice": "required"})),
             set(json!({"tool_choice": "auto"})), "only allowed when 'tools' are specified"),
        rule("tool_choice by name", set(json!({"tools": tool(), "tool_choice": {"type": "function", "function": {"name": "clock"}}})),
             set(json!({"tools": tool(), "tool_choice": {"type": "function", "function": {"name": "x"}}})), "not found in 'tools'"),
        rule("format", set(format(schema())), set(format(open_schema())), "Invalid schema for response_format 'x'"),
        rule("json format", set(json!({"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "in JSON"}]})),
             set(json!({"response_format": {"type": "json_object"}})), "must contain the word 'json'"),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn chat_messages() {
    let messages = |messages: Value| with(&chat(), json!({"messages": messages, "tools": chat_tool(json!({}))}));
    let one = |message: Value| messages(json!([message]));
    let user = json!({"role": "user", "content": "hi"});
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "clock", "arguments": "{}"}});
    let calls = |calls: Value| json!({"role": "assistant", "content": null, "tool_calls": calls});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "09:05"});
    let two = calls(json!([call("a"), call("b")]));
    let good = messages(json!([user, two, result("b"), result("a"), user]));
    let image = |url: &str| one(json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}));
    hold(Dialect::Chat, vec![
        rule("no messages", good.clone(), messages(json!([])), "empty array"),
        rule("role", one(json!({"role": "developer", "content": "x"})), one(json!({"role": "model", "content": "x"})), "'developer'"),
        rule("developer at others", one(json!({"role": "developer", "content": "x"})),
             with(&one(json!({"role": "developer", "content": "x"})), json!({"model": "qwen3"})), "unexpected role 'developer'"),
        rule("message field", one(json!({"role": "user", "content": "x", "name": "n"})),
             one(json!({"role": "user", "content": "x", "id": "n"})), "Unknown parameter: 'messages[0].id'"),
        rule("reasoning of others", with(&messages(json!([user, {"role": "assistant", "content": "x", "reasoning_content": "y"}, user])), json!({"model": "deepseek-chat"})),
             messages(json!([user, {"role": "assistant", "content": "x", "reasoning_content": "y"}, user])), "Unknown parameter: 'messages[1].reasoning_content'"),
        rule("content", one(json!({"role": "user", "content": [{"type": "text", "text": "x"}]})),
             one(json!({"role": "user", "content": null})), "Invalid value for 'content'"),
        rule("content without calls", good.clone(), messages(json!([user, {"role": "assistant", "content": null}])), "Invalid value for 'content'"),
        rule("no empty calls", good.clone(), messages(json!([user, {"role": "assistant", "content": "x", "tool_calls": []}])), "empty array"),
        rule("part type", image("https://a/b.png"), one(json!({"role": "user", "content": [{"type": "input_text", "text": "x"}]})), "'text' and 'image_url'"),
        rule("image", image("data:image/png;base64,iVBORw0K"), image("data:image/png;base64,iVBO Rw0"), "Invalid image data"),
        rule("all answered", good.clone(), messages(json!([user, two, result("a")])), "did not have response messages: b"),
        rule("answered at once", good.clone(), messages(json!([user, two, result("a"), user, result("b")])), "did not have response messages: b"),
        rule("answers to something", good.clone(), messages(json!([user, result("a")])), "must be a response to a preceeding message with 'tool_calls'"),
        rule("answers to a call", good.clone(), messages(json!([user, two, result("a"), result("c")])), "'tool_call_id' of 'c' not found"),
        rule("tool_call_id", good.clone(),
             messages(json!([user, two, {"role": "tool", "content": "x"}])), "Missing required parameter: 'messages[2].tool_call_id'"),
        rule("call type", good.clone(), messages(json!([user, calls(json!([with(&call("a"), json!({"type": null}))])), result("a")])), "tool_calls[0].type"),
        rule("arguments are text", good,
             messages(json!([user, calls(json!([with(&call("a"), json!({"function": {"name": "clock", "arguments": {}}}))])), result("a")])), "expected a string"),
    ], "/error/message");
}

// ---------------------------------------------------------------------------------------------------------------

fn responses() -> Value {
    json!({"model": "gpt-6.2-sol", "input": "hi"})
}

fn responses_tool(changes: Value) -> Value {
    json!([with(
        &json!({"type": "function", "name": "clock", "description": "d", "parameters": schema(), "strict": true}),
        changes
    )])
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn responses_fields() {
    let set = |changes: Value| with(&responses(), changes);
    let plain = |changes: Value| with(&with(&responses(), json!({"model": "gpt-4.1"})), changes);
    let tool = || responses_tool(json!({}));
    let format = |changes: Value| json!({"text": {"format": with(&json!({"type": "json_schema", "name": "x", "strict": true, "schema": schema()}), changes)}});
    hold(Dialect::Responses, vec![
        rule("unknown field", set(json!({"instructions": "Be brief"})), set(json!({"messages": []})), "Unknown parameter: 'messages'."),
        rule("input", responses(), set(json!({"input": []})), "Missing required parameter: 'input'"),
        rule("output limit", set(json!({"max_output_tokens": 16})), set(json!({"max_output_tokens": 15})), "below minimum value"),
        rule("include", set(json!({"include": ["reasoning.encrypted_content"]})), set(json!({"include": ["reasoning"]})), "Invalid value: \"reasoning\""),
        rule("include of plain models", set(json!({"include": ["reasoning.encrypted_content"]})),
             plain(json!({"include": ["reasoning.encrypted_content"]})), "Encrypted content is not supported"),
        rule("effort", set(json!({"reasoning": {"effort": "max", "summary": "auto"}})),
             set(json!({"reasoning": {"effort": "none"}})), "is not supported with the 'gpt-6.2-sol' model"),
        rule("effort of plain models", plain(json!({})), plain(json!({"reasoning": {"effort": "low"}})), "'reasoning.effort' is not supported"),
        rule("reasoning field", set(json!({"reasoning": {"effort": "low"}})),
             set(json!({"reasoning": {"max_tokens": 9}})), "Unknown parameter: 'reasoning.max_tokens'"),
        rule("temperature", plain(json!({"temperature": 0.2})), set(json!({"temperature": 0.2})), "Unsupported parameter: 'temperature'"),
        rule("nothing is stored", responses(), set(json!({"previous_response_id": "resp_1"})), "Previous response with id 'resp_1' not found"),
        rule("stream_options", set(json!({"stream": true, "stream_options": {"include_obfuscation": false}})),
             set(json!({"stream_options": {}})), "only allowed when 'stream'"),
        rule("nested tool", set(json!({"tools": tool()})), set(json!({"tools": chat_tool(json!({}))})), "Unknown parameter: 'tools[0].function'"),
        rule("tool name", set(json!({"tools": tool()})), set(json!({"tools": responses_tool(json!({"name": "a.b"}))})), "pattern"),
        rule("strict schema", set(json!({"tools": tool()})),
             set(json!({"tools": responses_tool(json!({"parameters": open_schema()}))})), "'additionalProperties' is required"),
        rule("strict by default", set(json!({"tools": responses_tool(json!({"strict": false, "parameters": open_schema()}))})),
             set(json!({"tools": responses_tool(json!({"strict": null, "parameters": open_schema()}))})), "'additionalProperties' is required"),
        rule("parameters", set(json!({"tools": tool()})), set(json!({"tools": responses_tool(json!({"parameters": null}))})), "tools[0].parameters"),
        rule("tool_choice", set(json!({"tools": tool(), "tool_choice": {"type": "function", "name": "clock"}})),
             set(json!({"tool_choice": {"type": "function", "name": "clock"}})), "must be specified with 'tools'"),
        rule("format", set(format(json!({}))), set(format(json!({"schema": open_schema()}))), "Invalid schema for response_format"),
        rule("nested format", set(format(json!({}))), set(format(json!({"json_schema": {}}))), "Unknown parameter: 'text.format.json_schema'"),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn responses_items() {
    let input =
        |items: Value| with(&responses(), json!({"input": items, "store": false, "tools": responses_tool(json!({}))}));
    let user = json!({"role": "user", "content": "hi"});
    let says = |role: &str, part: Value| input(json!([{"role": role, "content": [part]}]));
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "clock", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "09:05"});
    let good = input(json!([user, call("a"), call("b"), output("a"), output("b")]));
    hold(Dialect::Responses, vec![
        rule("item type", good.clone(), input(json!([{"type": "tool_result"}])), "Invalid value: 'tool_result'"),
        rule("role", input(json!([{"role": "developer", "content": "x"}])), input(json!([{"role": "tool", "content": "x"}])), "Invalid value: 'tool'"),
        rule("user parts", says("user", json!({"type": "input_text", "text": "x"})),
             says("user", json!({"type": "text", "text": "x"})), "'input_text', 'input_image'"),
        rule("assistant parts", says("assistant", json!({"type": "output_text", "text": "x", "annotations": []})),
             says("assistant", json!({"type": "input_text", "text": "x"})), "'output_text' and 'refusal'"),
        rule("image", says("user", json!({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0K"})),
             says("user", json!({"type": "input_image", "image_url": "file:///x"})), "Invalid image data"),
        rule("calls are answered", good.clone(), input(json!([user, call("a"), call("b"), output("a")])), "No tool output found for function call b."),
        rule("outputs have calls", good.clone(), input(json!([user, output("a")])), "No tool call found for function call output with call_id a."),
        rule("item field", good.clone(),
             input(json!([user, with(&call("a"), json!({"function": {}})), output("a")])), "Unknown parameter: 'input[1].function'"),
        rule("arguments", good.clone(), input(json!([user, with(&call("a"), json!({"arguments": {}})), output("a")])), "input[1].arguments"),
        rule("id of a call", input(json!([user, with(&call("a"), json!({"id": "fc_1"})), output("a")])),
             input(json!([user, with(&call("a"), json!({"id": "call_1"})), output("a")])), "begins with 'fc'"),
        rule("output", good.clone(), input(json!([user, call("a"), with(&output("a"), json!({"output": {"x": 1}}))])), "input[2].output"),
        rule("following item", good,
             input(json!([user, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}])), "could not be verified"),
    ], "/error/message");
}

/// Reasoning that the server handed out must come back whole and before what it led to.
#[test]
fn responses_reasoning_is_carried_back() {
    let turn = Turn::reply(vec![Item::reasoning("I look"), Item::call("clock", "{\"zone\":\"x\"}")]);
    let server = Server::start(Script::new().turn(turn).turn(Turn::text("fine").always())).unwrap();
    let base = with(
        &responses(),
        json!({
        "store": false, "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}, "tools": responses_tool(json!({}))}),
    );
    let first = ask(&server, Dialect::Responses, &base).json();
    let (reasoning, call) = (first["output"][0].clone(), first["output"][1].clone());
    assert_eq!(reasoning["summary"][0]["text"], "I look");
    let user = json!({"role": "user", "content": "hi"});
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "09:05"});
    let back = |items: Value| ask(&server, Dialect::Responses, &with(&base, json!({"input": items})));
    assert_eq!(back(json!([user, reasoning, call, output])).status, 200);
    assert_eq!(back(json!([user, with(&call, json!({"id": null})), output])).status, 200);
    for (items, status, sentence) in [
        (
            json!([user, call, output]),
            400,
            "of type 'function_call' was provided without its required 'reasoning' item",
        ),
        (
            json!([user, with(&reasoning, json!({"encrypted_content": null})), call, output]),
            404,
            "Items are not persisted",
        ),
        (
            json!([user, with(&reasoning, json!({"encrypted_content": "gAAAx"})), call, output]),
            400,
            "could not be verified",
        ),
        (json!([user, with(&reasoning, json!({"summary": null})), call, output]), 400, "input[1].summary"),
        (
            json!([user, with(&call, json!({"id": null})), output, reasoning, user]),
            400,
            "without its required following item",
        ),
    ] {
        let response = back(items);
        assert_eq!(response.status, status, "{}", response.text());
        assert!(response.text().contains(sentence), "{}", response.text());
    }
}

#[test]
fn openai_keys() {
    let server = Server::start(Script::new().turn(Turn::text("fine").always()).key("right").model("gpt-4.1")).unwrap();
    for (dialect, path) in [(Dialect::Chat, "/v1/chat/completions"), (Dialect::Responses, "/v1/responses")] {
        let body = if dialect == Dialect::Chat { chat() } else { with(&responses(), json!({"model": "gpt-4.1"})) };
        for (headers, status, code) in [
            (vec![], 401, Value::Null),
            (vec![("x-api-key", "right")], 401, Value::Null),
            (vec![("authorization", "Bearer wrong")], 401, json!("invalid_api_key")),
        ] {
            let response = ask_at(&server, path, &headers, &body);
            let error = response.json();
            assert_eq!((response.status, &error["error"]["code"]), (status, &code), "{error}");
            assert_eq!(error["error"]["type"], "invalid_request_error");
        }
        let right = [("authorization", "Bearer right")];
        assert_eq!(ask_at(&server, path, &right, &body).status, 200);
        let unknown = ask_at(&server, path, &right, &with(&body, json!({"model": "gpt-4.0"})));
        assert_eq!((unknown.status, unknown.json()["error"]["code"].clone()), (404, json!("model_not_found")));
    }
}

// ---------------------------------------------------------------------------------------------------------------

fn gemini() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
}

fn gemini_tools(changes: Value) -> Value {
    json!([{"functionDeclarations": [with(&json!({"name": "clock", "description": "d", "parametersJsonSchema": schema()}), changes)]}])
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn gemini_fields() {
    let set = |changes: Value| with(&gemini(), changes);
    let config = |config: Value| set(json!({"generationConfig": config}));
    let tools = |changes: Value| set(json!({"tools": gemini_tools(changes)}));
    let subset = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}});
    hold(Dialect::Gemini, vec![
        rule("unknown field", set(json!({"systemInstruction": {"parts": [{"text": "x"}]}})),
             set(json!({"system": "x"})), "Unknown name \"system\": Cannot find field."),
        rule("system instruction", set(json!({"systemInstruction": {"parts": [{"text": "x"}]}})),
             set(json!({"systemInstruction": {"parts": []}})), "must not be empty"),
        rule("contents", gemini(), set(json!({"contents": []})), "contents is not specified"),
        rule("generation field", config(json!({"maxOutputTokens": 9})), config(json!({"maxTokens": 9})), "Unknown name \"maxTokens\" at 'generation_config'"),
        rule("schema needs its type", config(json!({"responseMimeType": "application/json", "responseSchema": subset})),
             config(json!({"responseSchema": subset})), "response_mime_type"),
        rule("one schema", config(json!({"responseMimeType": "application/json", "responseJsonSchema": schema()})),
             config(json!({"responseMimeType": "application/json", "responseJsonSchema": schema(), "responseSchema": subset})), "Only one of"),
        rule("schema subset", config(json!({"responseMimeType": "application/json", "responseSchema": subset})),
             config(json!({"responseMimeType": "application/json", "responseSchema": schema()})), "Unknown name \"additionalProperties\" at 'generation_config.response_schema'"),
        rule("level or budget", config(json!({"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true}})),
             config(json!({"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 9}})), "only one of thinking budget and thinking level"),
        rule("level", config(json!({"thinkingConfig": {"thinkingLevel": "minimal"}})), config(json!({"thinkingConfig": {"thinkingLevel": "TINY"}})), "TINY"),
        rule("function name", tools(json!({"name": "ns.clock:now"})), tools(json!({"name": "1clock"})), "Invalid function name"),
        rule("function field", tools(json!({})), tools(json!({"strict": true})), "Unknown name \"strict\""),
        rule("parameters", tools(json!({"parametersJsonSchema": null, "parameters": subset})),
             tools(json!({"parametersJsonSchema": null, "parameters": schema()})), "additionalProperties"),
        rule("empty parameters", tools(json!({"parametersJsonSchema": null})),
             tools(json!({"parametersJsonSchema": null, "parameters": {"type": "OBJECT", "properties": {}}})), "should be non-empty for OBJECT type"),
        rule("config without functions", with(&tools(json!({})), json!({"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}})),
             set(json!({"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}})), "without function_declarations"),
        rule("allowed names", with(&tools(json!({})), json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["clock"]}}})),
             with(&tools(json!({})), json!({"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["clock"]}}})), "only be set when"),
    ], "/error/message");
}

#[test]
#[rustfmt::skip] // One rule after the other.
fn gemini_contents() {
    let contents = |contents: Value| with(&gemini(), json!({"contents": contents, "tools": gemini_tools(json!({}))}));
    let user = json!({"role": "user", "parts": [{"text": "hi"}]});
    let one = |part: Value| contents(json!([{"role": "user", "parts": [part]}]));
    let signature = "skip_thought_signature_validator";
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let signed = |name: &str| with(&call(name), json!({"thoughtSignature": signature}));
    let answer = |name: &str| json!({"functionResponse": {"name": name, "response": {"output": "09:05"}}});
    let turn = |calls: Value, answers: Value| {
        contents(json!([user, {"role": "model", "parts": calls}, {"role": "user", "parts": answers}]))
    };
    let good = turn(json!([signed("clock"), call("today")]), json!([answer("clock"), answer("today")]));
    let with_id = |call_id: &str, answer_id: &str| {
        let (mut call, mut answer) = (signed("clock"), answer("clock"));
        call["functionCall"]["id"] = json!(call_id);
        answer["functionResponse"]["id"] = json!(answer_id);
        turn(json!([call]), json!([answer]))
    };
    hold(Dialect::Gemini, vec![
        rule("role", contents(json!([user, {"role": "model", "parts": [{"text": "x"}]}, user])),
             contents(json!([{"role": "assistant", "parts": [{"text": "x"}]}])), "valid role: user, model"),
        rule("parts", good.clone(), contents(json!([{"role": "user", "parts": []}])), "parts must not be empty"),
        rule("part field", one(json!({"text": "x"})), one(json!({"type": "text", "text": "x"})), "Unknown name \"type\" at 'contents[0].parts[0]'"),
        rule("one datum", one(json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}})),
             one(json!({"text": "x", "inlineData": {}})), "oneof field 'data'"),
        rule("base64", one(json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}})),
             one(json!({"inlineData": {"mimeType": "image/png", "data": "?"}})), "Base64 decoding failed"),
        rule("empty text", one(json!({"text": "x"})), one(json!({"text": ""})), "must have a text parameter"),
        rule("args", good.clone(),
             turn(json!([{"functionCall": {"name": "clock", "args": "{}"}, "thoughtSignature": signature}]), json!([answer("clock")])), "function_call.args"),
        rule("response is an object", good.clone(),
             turn(json!([signed("clock")]), json!([{"functionResponse": {"name": "clock", "response": "x"}}])), "function_response.response"),
        rule("as many answers", good.clone(),
             turn(json!([signed("clock"), call("today")]), json!([answer("clock")])), "number of function response parts is equal"),
        rule("answered at all", good.clone(), turn(json!([signed("clock")]), json!([{"text": "x"}])), "number of function response parts is equal"),
        rule("answered in the end", good.clone(),
             contents(json!([user, {"role": "model", "parts": [signed("clock")]}])), "number of function response parts"),
        rule("names", good.clone(), turn(json!([signed("clock")]), json!([answer("today")])), "no call for `today`"),
        rule("ids", with_id("1", "1"), with_id("1", "2"), "no call for `clock`"),
        rule("answers follow calls", good.clone(), contents(json!([{"role": "user", "parts": [answer("clock")]}])), "immediately after a function call turn"),
        rule("calls follow a person", good.clone(),
             contents(json!([{"role": "model", "parts": [signed("clock")]}, {"role": "user", "parts": [answer("clock")]}])), "immediately after a user turn"),
        rule("signature", good.clone(), turn(json!([call("clock")]), json!([answer("clock")])), "call `default_api:clock` , position 2"),
        rule("signature of the first", good,
             turn(json!([call("clock"), signed("today")]), json!([answer("clock"), answer("today")])), "missing a thought_signature"),
        rule("signature of old turns", contents(json!([user, {"role": "model", "parts": [call("clock")]}, {"role": "user", "parts": [answer("clock")]}, {"role": "model", "parts": [{"text": "x"}]}, user])),
             turn(json!([with(&call("clock"), json!({"thoughtSignature": "abcd"}))]), json!([answer("clock")])), "Corrupted thought signature"),
    ], "/error/message");
    // Models before 3 do without.
    let server = Server::start(Script::new().turn(Turn::text("fine"))).unwrap();
    let (_, headers) = door(Dialect::Gemini);
    let unsigned = turn(json!([call("clock")]), json!([answer("clock")]));
    assert_eq!(ask_at(&server, "/v1beta/models/gemini-2.5-pro:generateContent", &headers, &unsigned).status, 200);
}

/// What the server handed out comes back as it was, through two steps.
#[test]
fn gemini_signatures_are_carried_back() {
    let call = || Turn::reply(vec![Item::call("clock", "{}"), Item::call("clock", "{}")]);
    let server = Server::start(Script::new().turn(call()).turn(call()).turn(Turn::text("fine"))).unwrap();
    let mut contents = vec![json!({"role": "user", "parts": [{"text": "hi"}]})];
    for _ in 0..2 {
        let response = ask(
            &server,
            Dialect::Gemini,
            &with(&gemini(), json!({"contents": contents, "tools": gemini_tools(json!({}))})),
        );
        let content = response.json()["candidates"][0]["content"].clone();
        let parts = content["parts"].as_array().unwrap();
        assert!(parts[0]["thoughtSignature"].is_string() && parts[1].get("thoughtSignature").is_none());
        let answers: Vec<Value> = parts.iter().map(|part| {
            json!({"functionResponse": {"name": "clock", "id": part["functionCall"]["id"], "response": {"output": "x"}}})
        }).collect();
        contents.extend([content, json!({"role": "user", "parts": answers})]);
    }
    let body = |contents: &[Value]| with(&gemini(), json!({"contents": contents, "tools": gemini_tools(json!({}))}));
    for step in [1, 3] {
        let mut stripped = contents.clone();
        stripped[step]["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
        assert_eq!(ask(&server, Dialect::Gemini, &body(&stripped)).status, 400, "step {step}");
    }
    assert_eq!(ask(&server, Dialect::Gemini, &body(&contents)).status, 200);
}

/// Field names may be spelled either way; names of the caller's own are left alone.
#[test]
fn gemini_takes_snake_case() {
    let server = Server::start(Script::new().turn(Turn::text("fine").always())).unwrap();
    let declaration = json!({"name": "clock", "description": "d", "parameters": {"type": "OBJECT", "properties": {"time_zone": {"type": "STRING", "max_length": 9}}, "required": ["time_zone"]}});
    let body = json!({"contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBORw0K"}}]}],
        "system_instruction": {"parts": [{"text": "x"}]}, "tools": [{"function_declarations": [declaration]}],
        "generation_config": {"thinking_config": {"include_thoughts": true}}});
    let response = ask(&server, Dialect::Gemini, &body);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(server.requests()[0].body, body, "recorded as it came");
    assert_eq!(ask(&server, Dialect::Gemini, &with(&body, json!({"system_instructions": {}}))).status, 400);
}

#[test]
fn gemini_keys() {
    let server =
        Server::start(Script::new().turn(Turn::text("fine").always()).key("right").model("gemini-3.8-flash")).unwrap();
    let path = "/v1beta/models/gemini-3.8-flash:generateContent";
    let missing = ask_at(&server, path, &[], &gemini());
    assert_eq!((missing.status, missing.json()["error"]["status"].clone()), (403, json!("PERMISSION_DENIED")));
    let wrong = ask_at(&server, path, &[("x-goog-api-key", "wrong")], &gemini());
    assert_eq!((wrong.status, wrong.json()["error"]["details"][0]["reason"].clone()), (400, json!("API_KEY_INVALID")));
    assert_eq!(ask_at(&server, path, &[("x-goog-api-key", "right")], &gemini()).status, 200);
    assert_eq!(ask_at(&server, &format!("{path}?key=right"), &[], &gemini()).status, 200);
    let unknown = ask_at(&server, "/v1beta/models/gemini-0:generateContent", &[("x-goog-api-key", "right")], &gemini());
    assert_eq!((unknown.status, unknown.json()["error"]["status"].clone()), (404, json!("NOT_FOUND")));
}

// ---------------------------------------------------------------------------------------------------------------

#[test]
#[rustfmt::skip] // One rule after the other.
fn ollama_rules() {
    let base = json!({"model": "qwen3", "stream": false, "messages": [{"role": "user", "content": "hi"}]});
    let set = |changes: Value| with(&base, changes);
    let user = json!({"role": "user", "content": "hi"});
    let calls = |arguments: Value| json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "clock", "arguments": arguments}}]});
    let result = |name: &str| json!({"role": "tool", "tool_name": name, "content": "09:05"});
    let messages = |messages: Value| set(json!({"messages": messages}));
    let good = messages(json!([user, calls(json!({"zone": "x"})), result("clock")]));
    hold(Dialect::Ollama, vec![
        rule("unknown field", set(json!({"think": "low"})), set(json!({"max_tokens": 9})), "unknown field \"max_tokens\""),
        rule("model", base.clone(), set(json!({"model": ""})), "model is required"),
        rule("options", set(json!({"options": {"num_predict": 9}})), set(json!({"options": {"max_tokens": 9}})), "invalid option provided: \"max_tokens\""),
        rule("format", set(json!({"format": schema()})), set(json!({"format": "yaml"})), "invalid format"),
        rule("think", set(json!({"think": false})), set(json!({"think": "hard"})), "invalid think value"),
        rule("tool", set(json!({"tools": chat_tool(json!({}))})), set(json!({"tools": [{"name": "clock"}]})), "a tool needs"),
        rule("role", base.clone(), messages(json!([{"role": "developer", "content": "x"}])), "invalid role: \"developer\""),
        rule("message field", good.clone(), messages(json!([{"role": "user", "content": "x", "name": "n"}])), "unknown field"),
        rule("content is text", base.clone(), messages(json!([{"role": "user", "content": [{"type": "text"}]}])), "cannot unmarshal array"),
        rule("image", messages(json!([{"role": "user", "content": "x", "images": ["iVBORw0K"]}])),
             messages(json!([{"role": "user", "content": "x", "images": ["data:image/png;base64,iVBORw0K"]}])), "illegal base64"),
        rule("arguments are an object", good.clone(),
             messages(json!([user, calls(json!("{}")), result("clock")])), "cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments"),
        rule("calls are answered", good.clone(), messages(json!([user, calls(json!({})), user])), "has no result"),
        rule("results answer calls", good.clone(), messages(json!([user, result("clock")])), "answers no tool call"),
        rule("results name the tool", good, messages(json!([user, calls(json!({})), {"role": "tool", "content": "x"}])), "answers no tool call"),
    ], "/error");
    let server = Server::start(Script::new().turn(Turn::text("fine")).model("qwen3")).unwrap();
    let unknown = ask(&server, Dialect::Ollama, &set(json!({"model": "qwen9"})));
    assert_eq!((unknown.status, unknown.json()), (404, json!({"error": "model 'qwen9' not found"})));
}

#[test]
fn lists_and_wrong_doors() {
    let server = Server::start(Script::new().model("a").model("b").key("k")).unwrap();
    let bearer = [("authorization", "Bearer k")];
    let anthropic = [("x-api-key", "k"), ("anthropic-version", "2026-10-21")];
    let google = [("x-goog-api-key", "k")];
    let list = |path: &str, headers: &[(&str, &str)], pointer: &str| {
        let response = get(&server, path, headers);
        assert_eq!(response.status, 200, "{path}");
        response.json().pointer(pointer).cloned().unwrap_or_else(|| panic!("{path}: {}", response.text()))
    };
    assert_eq!(list("/v1/models", &bearer, "/data/1/id"), "b");
    assert_eq!(list("/v1/models", &anthropic, "/data/1/display_name"), "b");
    assert_eq!(list("/v1/models", &anthropic, "/last_id"), "b");
    assert_eq!(list("/v1beta/models?pageSize=1000", &google, "/models/0/name"), "models/a");
    assert_eq!(list("/v1/models", &google, "/models/1/name"), "models/b");
    assert_eq!(list("/api/tags", &[], "/models/0/model"), "a");
    assert!(list("/api/version", &[], "/version").is_string());
    assert_eq!(get(&server, "/v1/models", &[]).status, 401);
    assert_eq!(get(&server, "/v1beta/models", &[]).status, 403);
    assert_eq!(get(&server, "/v1/chat/completions", &bearer).status, 404);
    assert_eq!(ask_at(&server, "/v1/complete", &bearer, &json!({})).status, 404);
    assert_eq!(ask_at(&server, "/v1beta/models/a:countTokens", &google, &json!({})).status, 404);
    let mut stream = crate::client::connect(&server);
    crate::client::send(&mut stream, "POST", "/v1/chat/completions", &bearer, b"{\"model\":");
    assert_eq!(crate::client::receive(&mut stream).status, 400);
}
