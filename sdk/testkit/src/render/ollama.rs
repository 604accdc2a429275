//! Answers as Ollama sends them: lines of JSON ("Streaming").

use serde_json::{Value, json};

use super::{Event, Rendered, Saying, end, input_object, refusal, whole_text, word};
use crate::dialect::Dialect;
use crate::endpoint::Delivery;
use crate::script::Item;

const CREATED_AT: &str = "2026-11-20T00:00:00.000000Z";

pub(super) fn render(saying: &Saying<'_>) -> Rendered {
    let end = end(saying.reply);
    let reason = word(&end, ["stop", "stop", "length", "stop"]);
    if saying.wishes.delivery == Delivery::Whole {
        return Rendered::Whole(last(saying, message(saying), reason));
    }
    let line = |message: Value| {
        Event::new(None, &json!({"model": saying.model, "created_at": CREATED_AT, "message": message, "done": false}))
    };
    let mut events = Vec::new();
    let mut calls = 0;
    for (at, item) in saying.reply.items.iter().enumerate() {
        match item {
            Item::Text { pieces, times } => {
                for piece in pieces {
                    events.push(Event { times: *times, ..line(json!({"role": "assistant", "content": piece})) });
                }
            }
            Item::Reasoning(pieces) => {
                for piece in pieces.iter().filter(|_| saying.wishes.reasoning.is_some()) {
                    events.push(line(json!({"role": "assistant", "content": "", "thinking": piece})));
                }
            }
            Item::Call { .. } => {
                let call = call(saying, at, item, calls);
                events.push(line(json!({"role": "assistant", "content": "", "tool_calls": [call]})));
                calls += 1;
            }
            Item::Failure(failure) => {
                events.push(Event::new(None, &refusal(failure).body(Dialect::Ollama)));
                return Rendered::Events(events);
            }
        }
    }
    events.push(Event::new(None, &last(saying, json!({"role": "assistant", "content": ""}), reason)));
    Rendered::Events(events)
}

fn call(saying: &Saying<'_>, at: usize, item: &Item, index: usize) -> Value {
    let Item::Call { id, name, fragments } = item else { return Value::Null };
    let id = id.clone().unwrap_or_else(|| format!("call_{:08}_{at}", saying.number));
    json!({"id": id, "function": {"index": index, "name": name, "arguments": input_object(fragments)}})
}

fn message(saying: &Saying<'_>) -> Value {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for (at, item) in saying.reply.items.iter().enumerate() {
        match item {
            Item::Text { pieces, times } => text.push_str(&whole_text(pieces, *times)),
            Item::Reasoning(pieces) if saying.wishes.reasoning.is_some() => thinking.push_str(&pieces.concat()),
            Item::Call { .. } => calls.push(call(saying, at, item, calls.len())),
            Item::Reasoning(_) | Item::Failure(_) => {}
        }
    }
    let mut message = json!({"role": "assistant", "content": text});
    if !thinking.is_empty() {
        message["thinking"] = json!(thinking);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    message
}

fn last(saying: &Saying<'_>, message: Value, reason: &str) -> Value {
    json!({
        "model": saying.model, "created_at": CREATED_AT, "message": message, "done": true, "done_reason": reason,
        "total_duration": 4_000_000, "load_duration": 1_000_000, "prompt_eval_count": saying.usage.input_tokens,
        "prompt_eval_duration": 1_000_000, "eval_count": saying.usage.output_tokens, "eval_duration": 2_000_000
    })
}
