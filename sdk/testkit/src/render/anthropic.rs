//! Answers as Anthropic Messages sends them ("Streaming messages").

use serde_json::{Value, json};

use super::{Event, Rendered, Saying, end, input_object, refusal, whole_text, word};
use crate::dialect::Dialect;
use crate::endpoint::Delivery;
use crate::marks::{self, Shown};
use crate::script::{Item, Usage};

/// What of its thinking a model shows: nothing when it is off, and from 4.7 on only a signature unless the
/// request asks for a summary.
pub(super) fn shown(body: &Value) -> Option<Shown> {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if matches!(text("/thinking/type"), "disabled" | "between_tools") {
        return None;
    }
    let model = text("/model");
    let omits =
        ["fable", "mythos", "-5", "-4-7", "-4-8"].iter().any(|mark| model.contains(mark)) && !model.contains("-4-5");
    match text("/thinking/display") {
        "summarized" => Some(Shown::Whole),
        "omitted" => Some(Shown::Omitted),
        _ if omits => Some(Shown::Omitted),
        _ => Some(Shown::Whole),
    }
}

pub(super) fn render(saying: &Saying<'_>) -> Rendered {
    let id = format!("msg_{:08}", saying.number);
    let end = end(saying.reply);
    let reason = word(&end, ["end_turn", "tool_use", "max_tokens", "refusal"]);
    let details = if reason == "refusal" {
        json!({"type": "refusal", "category": null, "explanation": null})
    } else {
        Value::Null
    };
    let message = |content: Vec<Value>, reason: Value, details: Value, usage: Value| {
        json!({
            "id": id, "type": "message", "role": "assistant", "model": saying.model, "content": content,
            "stop_reason": reason, "stop_sequence": null, "stop_details": details, "usage": usage
        })
    };
    let usage = saying.usage;
    if saying.wishes.delivery == Delivery::Whole {
        let content = saying.reply.items.iter().enumerate().filter_map(|(at, item)| whole(saying, at, item)).collect();
        return Rendered::Whole(message(content, json!(reason), details, self::usage(usage, usage.output_tokens)));
    }
    let opening = message(Vec::new(), Value::Null, Value::Null, self::usage(usage, 1));
    let mut events = vec![event("message_start", json!({"type": "message_start", "message": opening}))];
    let mut index = 0;
    for (at, item) in saying.reply.items.iter().enumerate() {
        if let Item::Failure(failure) = item {
            events.push(event("error", refusal(failure).body(Dialect::Anthropic)));
            return Rendered::Events(events);
        }
        if !block(saying, at, item, index, &mut events) {
            continue;
        }
        if index == 0 {
            events.insert(2, event("ping", json!({"type": "ping"})));
        }
        index += 1;
    }
    events.push(event(
        "message_delta",
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": null, "stop_details": details},
            "usage": {
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens}
            }
        }),
    ));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    Rendered::Events(events)
}

fn event(name: &'static str, data: Value) -> Event {
    Event::new(Some(name), &data)
}

fn usage(usage: Usage, output_tokens: u64) -> Value {
    let fresh = usage.input_tokens.saturating_sub(usage.cached_tokens + usage.cache_write_tokens);
    json!({
        "input_tokens": fresh,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard"
    })
}

fn call_id(saying: &Saying<'_>, at: usize, id: Option<&String>) -> String {
    id.cloned().unwrap_or_else(|| format!("toolu_{:08}_{at}", saying.number))
}

fn whole(saying: &Saying<'_>, at: usize, item: &Item) -> Option<Value> {
    match item {
        Item::Text { pieces, times } => Some(json!({"type": "text", "text": whole_text(pieces, *times)})),
        Item::Reasoning(pieces) => {
            let shown = saying.wishes.reasoning?;
            let text = pieces.concat();
            let signature = marks::signature(&text, shown);
            Some(
                json!({"type": "thinking", "thinking": if shown == Shown::Whole { &text } else { "" }, "signature": signature}),
            )
        }
        Item::Call { id, name, fragments } => {
            let id = call_id(saying, at, id.as_ref());
            Some(json!({"type": "tool_use", "id": id, "name": name, "input": input_object(fragments)}))
        }
        Item::Failure(_) => None,
    }
}

/// Appends the events of one block, if the item makes one.
fn block(saying: &Saying<'_>, at: usize, item: &Item, index: usize, events: &mut Vec<Event>) -> bool {
    let start = |block: Value| {
        event("content_block_start", json!({"type": "content_block_start", "index": index, "content_block": block}))
    };
    let delta = |delta: Value| {
        event("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": delta}))
    };
    match item {
        Item::Text { pieces, times } => {
            events.push(start(json!({"type": "text", "text": ""})));
            for piece in pieces {
                let piece = delta(json!({"type": "text_delta", "text": piece}));
                events.push(Event { times: *times, ..piece });
            }
        }
        Item::Reasoning(pieces) => {
            let Some(shown) = saying.wishes.reasoning else { return false };
            events.push(start(json!({"type": "thinking", "thinking": "", "signature": ""})));
            for piece in pieces.iter().filter(|_| shown == Shown::Whole) {
                events.push(delta(json!({"type": "thinking_delta", "thinking": piece})));
            }
            let signature = marks::signature(&pieces.concat(), shown);
            events.push(delta(json!({"type": "signature_delta", "signature": signature})));
        }
        Item::Call { id, name, fragments } => {
            let id = call_id(saying, at, id.as_ref());
            events.push(start(json!({"type": "tool_use", "id": id, "name": name, "input": {}})));
            events.push(delta(json!({"type": "input_json_delta", "partial_json": ""})));
            for fragment in fragments {
                events.push(delta(json!({"type": "input_json_delta", "partial_json": fragment})));
            }
        }
        Item::Failure(_) => return false,
    }
    events.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index})));
    true
}
