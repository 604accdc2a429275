//! Reads a provider's answer the long way round, to compare what answers mean.

use aether_testkit::dialect::Dialect;
use serde_json::Value;

/// What an answer says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Meaning {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Name and input of each call.
    pub(crate) calls: Vec<(String, Value)>,
    /// Tokens: input, output, cached, reasoning.
    pub(crate) tokens: [u64; 4],
    /// The format's word for the end.
    pub(crate) reason: String,
    /// The sentence of an error inside.
    pub(crate) error: String,
}

/// The data of a stream's events, or the lines, or the one value.
pub(crate) fn values(dialect: Dialect, content_type: &str, body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap().replace("\r\n", "\n");
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if content_type.starts_with("text/event-stream") {
        let data = |block: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
            lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
        };
        return text
            .split("\n\n")
            .map(data)
            .filter(|data| !data.is_empty() && data != "[DONE]")
            .map(|data| parse(&data))
            .collect();
    }
    if content_type.starts_with("application/x-ndjson") {
        return text.lines().filter(|line| !line.is_empty()).map(parse).collect();
    }
    match parse(&text) {
        Value::Array(values) if dialect == Dialect::Gemini => values,
        value => vec![value],
    }
}

pub(crate) fn meaning(dialect: Dialect, content_type: &str, body: &[u8]) -> Meaning {
    let mut meaning = Meaning::default();
    let mut fragments: Vec<(u64, String, String)> = Vec::new();
    for value in values(dialect, content_type, body) {
        match dialect {
            Dialect::Chat => chat(&value, &mut meaning, &mut fragments),
            Dialect::Responses => responses(&value, &mut meaning),
            Dialect::Anthropic => anthropic(&value, &mut meaning, &mut fragments),
            Dialect::Gemini => gemini(&value, &mut meaning),
            Dialect::Ollama => ollama(&value, &mut meaning),
        }
    }
    for (_, name, input) in fragments {
        meaning.calls.push((name, serde_json::from_str(if input.is_empty() { "{}" } else { &input }).unwrap()));
    }
    meaning
}

fn push(out: &mut String, value: &Value) {
    out.push_str(value.as_str().unwrap_or_default());
}

fn set(out: &mut String, value: &Value) {
    if let Some(text) = value.as_str() {
        text.clone_into(out);
    }
}

fn count(out: &mut u64, value: &Value) {
    if let Some(number) = value.as_u64() {
        *out = number;
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn chat(value: &Value, meaning: &mut Meaning, fragments: &mut Vec<(u64, String, String)>) {
    set(&mut meaning.error, &value["error"]["message"]);
    for choice in items(&value["choices"]) {
        let said = choice.get("delta").unwrap_or(&choice["message"]);
        push(&mut meaning.text, &said["content"]);
        push(&mut meaning.reasoning, &said["reasoning_content"]);
        set(&mut meaning.reason, &choice["finish_reason"]);
        for (at, call) in items(&said["tool_calls"]).enumerate() {
            let index = call["index"].as_u64().unwrap_or(at as u64);
            if call.get("id").is_some() {
                fragments.push((index, String::new(), String::new()));
            }
            let (_, name, input) = fragments.iter_mut().find(|(known, ..)| *known == index).unwrap();
            push(name, &call["function"]["name"]);
            push(input, &call["function"]["arguments"]);
        }
    }
    let usage = &value["usage"];
    count(&mut meaning.tokens[0], &usage["prompt_tokens"]);
    count(&mut meaning.tokens[1], &usage["completion_tokens"]);
    count(&mut meaning.tokens[2], &usage["prompt_tokens_details"]["cached_tokens"]);
    count(&mut meaning.tokens[3], &usage["completion_tokens_details"]["reasoning_tokens"]);
}

fn responses(value: &Value, meaning: &mut Meaning) {
    match value["type"].as_str() {
        Some("response.output_text.delta") => push(&mut meaning.text, &value["delta"]),
        Some("response.reasoning_summary_text.delta") => push(&mut meaning.reasoning, &value["delta"]),
        Some("response.output_item.done") if value["item"]["type"] == "function_call" => call(&value["item"], meaning),
        Some("error") => set(&mut meaning.error, &value["message"]),
        Some("response.completed" | "response.incomplete" | "response.failed") => end(&value["response"], meaning),
        Some(_) => {}
        None => {
            set(&mut meaning.error, &value["error"]["message"]);
            for item in items(&value["output"]) {
                items(&item["content"]).for_each(|part| push(&mut meaning.text, &part["text"]));
                items(&item["summary"]).for_each(|part| push(&mut meaning.reasoning, &part["text"]));
                if item["type"] == "function_call" {
                    call(item, meaning);
                }
            }
            end(value, meaning);
        }
    }
}

fn call(item: &Value, meaning: &mut Meaning) {
    let input = serde_json::from_str(item["arguments"].as_str().unwrap()).unwrap();
    meaning.calls.push((item["name"].as_str().unwrap().to_owned(), input));
}

fn end(response: &Value, meaning: &mut Meaning) {
    set(&mut meaning.error, &response["error"]["message"]);
    set(&mut meaning.reason, &response["status"]);
    set(&mut meaning.reason, &response["incomplete_details"]["reason"]);
    let usage = &response["usage"];
    count(&mut meaning.tokens[0], &usage["input_tokens"]);
    count(&mut meaning.tokens[1], &usage["output_tokens"]);
    count(&mut meaning.tokens[2], &usage["input_tokens_details"]["cached_tokens"]);
    count(&mut meaning.tokens[3], &usage["output_tokens_details"]["reasoning_tokens"]);
}

fn anthropic(value: &Value, meaning: &mut Meaning, fragments: &mut Vec<(u64, String, String)>) {
    set(&mut meaning.error, &value["error"]["message"]);
    let message = value.get("message").unwrap_or(value);
    for block in items(&message["content"]).chain(value.get("content_block")) {
        push(&mut meaning.text, &block["text"]);
        push(&mut meaning.reasoning, &block["thinking"]);
        if block["type"] == "tool_use" {
            let input =
                if block["input"] == serde_json::json!({}) { String::new() } else { block["input"].to_string() };
            fragments.push((
                value["index"].as_u64().unwrap_or_default(),
                block["name"].as_str().unwrap().to_owned(),
                input,
            ));
        }
    }
    let delta = &value["delta"];
    push(&mut meaning.text, &delta["text"]);
    push(&mut meaning.reasoning, &delta["thinking"]);
    if let Some((_, _, input)) = fragments.iter_mut().rfind(|(index, ..)| value["index"] == *index) {
        push(input, &delta["partial_json"]);
    }
    set(&mut meaning.reason, &message["stop_reason"]);
    set(&mut meaning.reason, &delta["stop_reason"]);
    let usage = value.get("usage").unwrap_or(&message["usage"]);
    if let Some(input) = usage["input_tokens"].as_u64() {
        let others = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        meaning.tokens[0] = input + others.iter().filter_map(|key| usage[*key].as_u64()).sum::<u64>();
    }
    count(&mut meaning.tokens[1], &usage["output_tokens"]);
    count(&mut meaning.tokens[2], &usage["cache_read_input_tokens"]);
    count(&mut meaning.tokens[3], &usage["output_tokens_details"]["thinking_tokens"]);
}

fn gemini(value: &Value, meaning: &mut Meaning) {
    set(&mut meaning.error, &value["error"]["message"]);
    for candidate in items(&value["candidates"]) {
        set(&mut meaning.reason, &candidate["finishReason"]);
        for part in items(&candidate["content"]["parts"]) {
            let thought = part["thought"] == true;
            push(if thought { &mut meaning.reasoning } else { &mut meaning.text }, &part["text"]);
            if let Some(call) = part.get("functionCall") {
                meaning.calls.push((call["name"].as_str().unwrap().to_owned(), call["args"].clone()));
            }
        }
    }
    let usage = &value["usageMetadata"];
    count(&mut meaning.tokens[0], &usage["promptTokenCount"]);
    count(&mut meaning.tokens[2], &usage["cachedContentTokenCount"]);
    count(&mut meaning.tokens[3], &usage["thoughtsTokenCount"]);
    if let Some(output) = usage["candidatesTokenCount"].as_u64() {
        meaning.tokens[1] = output + usage["thoughtsTokenCount"].as_u64().unwrap_or_default();
    }
}

fn ollama(value: &Value, meaning: &mut Meaning) {
    set(&mut meaning.error, &value["error"]);
    push(&mut meaning.text, &value["message"]["content"]);
    push(&mut meaning.reasoning, &value["message"]["thinking"]);
    for call in items(&value["message"]["tool_calls"]) {
        let function = &call["function"];
        meaning.calls.push((function["name"].as_str().unwrap().to_owned(), function["arguments"].clone()));
    }
    set(&mut meaning.reason, &value["done_reason"]);
    count(&mut meaning.tokens[0], &value["prompt_eval_count"]);
    count(&mut meaning.tokens[1], &value["eval_count"]);
}
