//! Answers as OpenAI Chat Completions sends them ("Streaming API responses"), and compatible servers.

use serde_json::{Map, Value, json};

use super::{CREATED_S, Event, Extras, Rendered, Saying, end, refusal, whole_text, word};
use crate::dialect::Dialect;
use crate::endpoint::Delivery;
use crate::script::{Item, Usage};

/// OpenAI's own models keep their reasoning to themselves here; others send it as `reasoning_content`.
fn shows_reasoning(model: &str) -> bool {
    !["gpt-", "o1", "o3", "o4", "chatgpt-"].iter().any(|name| model.starts_with(name))
}

pub(super) fn render(saying: &Saying<'_>) -> Rendered {
    let end = end(saying.reply);
    let reason = word(&end, ["stop", "tool_calls", "length", "content_filter"]);
    let id = format!("chatcmpl-{:08}", saying.number);
    if saying.wishes.delivery == Delivery::Whole {
        return Rendered::Whole(json!({
            "id": id, "object": "chat.completion", "created": CREATED_S, "model": saying.model,
            "choices": [{"index": 0, "message": message(saying), "logprobs": null, "finish_reason": reason}],
            "usage": usage(saying.usage), "service_tier": "default", "system_fingerprint": "fp_testkit"
        }));
    }
    let wants_usage = saying.wishes.extras == Extras::Wanted;
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": CREATED_S, "model": saying.model,
            "service_tier": "default", "system_fingerprint": "fp_testkit", "choices": choices
        });
        if wants_usage {
            chunk["usage"] = usage;
        }
        Event::new(None, &chunk)
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]), Value::Null)
    };
    let opening = json!({"role": "assistant", "content": "", "refusal": null});
    let mut events = vec![delta(opening, Value::Null)];
    let mut calls = 0;
    for (at, item) in saying.reply.items.iter().enumerate() {
        match item {
            Item::Text { pieces, times } => {
                for piece in pieces {
                    events.push(Event { times: *times, ..delta(json!({"content": piece}), Value::Null) });
                }
            }
            Item::Reasoning(pieces) => {
                for piece in pieces.iter().filter(|_| shows_reasoning(saying.model)) {
                    events.push(delta(json!({"reasoning_content": piece}), Value::Null));
                }
            }
            Item::Call { id, name, fragments } => {
                let id = call_id(saying, at, id.as_ref());
                let function = json!({"name": name, "arguments": ""});
                let first = json!({"index": calls, "id": id, "type": "function", "function": function});
                events.push(delta(json!({"tool_calls": [first]}), Value::Null));
                for fragment in fragments {
                    let next = json!({"index": calls, "function": {"arguments": fragment}});
                    events.push(delta(json!({"tool_calls": [next]}), Value::Null));
                }
                calls += 1;
            }
            Item::Failure(failure) => {
                events.push(Event::new(None, &refusal(failure).body(Dialect::Chat)));
                return Rendered::Events(events);
            }
        }
    }
    events.push(delta(json!({}), json!(reason)));
    if wants_usage {
        events.push(chunk(json!([]), usage(saying.usage)));
    }
    events.push(Event { name: None, data: "[DONE]".to_owned(), times: 1 });
    Rendered::Events(events)
}

fn call_id(saying: &Saying<'_>, at: usize, id: Option<&String>) -> String {
    id.cloned().unwrap_or_else(|| format!("call_{:08}_{at}", saying.number))
}

fn message(saying: &Saying<'_>) -> Value {
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
    for (at, item) in saying.reply.items.iter().enumerate() {
        match item {
            Item::Text { pieces, times } => text.push_str(&whole_text(pieces, *times)),
            Item::Reasoning(pieces) if shows_reasoning(saying.model) => reasoning.push_str(&pieces.concat()),
            Item::Call { id, name, fragments } => calls.push(json!({
                "id": call_id(saying, at, id.as_ref()), "type": "function",
                "function": {"name": name, "arguments": fragments.concat()}
            })),
            Item::Reasoning(_) | Item::Failure(_) => {}
        }
    }
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { json!(text) };
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), content);
    if !reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(reasoning));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), json!(calls));
    }
    message.insert("refusal".to_owned(), Value::Null);
    message.insert("annotations".to_owned(), json!([]));
    Value::Object(message)
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens, "audio_tokens": 0
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens, "audio_tokens": 0, "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0
        }
    })
}
