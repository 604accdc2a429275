//! Answers as Gemini sends them (API reference, `GenerateContentResponse`; "Thought signatures").

use serde_json::{Value, json};

use super::{Event, Rendered, Saying, end, input_object, refusal, whole_text, word};
use crate::dialect::Dialect;
use crate::endpoint::Delivery;
use crate::marks::{self, Shown};
use crate::script::{Item, Usage};

/// Models from Gemini 3 on sign their steps and number their calls.
fn signs(model: &str) -> bool {
    let major = model.strip_prefix("gemini-").and_then(|rest| rest.bytes().next());
    major.is_some_and(|major| (b'3'..=b'9').contains(&major))
}

pub(super) fn render(saying: &Saying<'_>) -> Rendered {
    let end = end(saying.reply);
    let reason = word(&end, ["STOP", "STOP", "MAX_TOKENS", "SAFETY"]);
    if saying.wishes.delivery == Delivery::Whole {
        let mut parts: Vec<Value> = parts(saying).into_iter().map(|part| part.value).collect();
        if let Some(last) = parts.last_mut().filter(|last| signs(saying.model) && last.get("functionCall").is_none()) {
            last["thoughtSignature"] = json!(marks::thought_signature(saying.model));
        }
        return Rendered::Whole(chunk(saying, parts, Some(reason)));
    }
    let mut events = Vec::new();
    let mut calls = false;
    for part in parts(saying) {
        calls |= part.value.get("functionCall").is_some();
        events.push(Event { times: part.times, ..Event::new(None, &chunk(saying, vec![part.value], None)) });
    }
    let failure = saying.reply.items.iter().find_map(|item| match item {
        Item::Failure(failure) => Some(failure),
        _ => None,
    });
    if let Some(failure) = failure {
        events.push(Event::new(None, &refusal(failure).body(Dialect::Gemini)));
    } else {
        let mut last = json!({"text": ""});
        if signs(saying.model) && !calls {
            last["thoughtSignature"] = json!(marks::thought_signature(saying.model));
        }
        events.push(Event::new(None, &chunk(saying, vec![last], Some(reason))));
    }
    if saying.wishes.delivery == Delivery::Listed {
        let values = events.iter().flat_map(|event| std::iter::repeat_n(&event.data, event.times as usize));
        let list = values.filter_map(|data| serde_json::from_str(data).ok()).collect();
        return Rendered::Whole(Value::Array(list));
    }
    Rendered::Events(events)
}

struct Part {
    value: Value,
    times: u32,
}

/// The parts up to a failure; in one body the pieces of a text are one part.
fn parts(saying: &Saying<'_>) -> Vec<Part> {
    let whole = saying.wishes.delivery == Delivery::Whole;
    let mut parts = Vec::new();
    let mut signed = false;
    for (at, item) in saying.reply.items.iter().enumerate() {
        match item {
            Item::Text { pieces, times } if whole => {
                parts.push(Part { value: json!({"text": whole_text(pieces, *times)}), times: 1 });
            }
            Item::Text { pieces, times } => {
                parts.extend(pieces.iter().map(|piece| Part { value: json!({"text": piece}), times: *times }));
            }
            Item::Reasoning(pieces) if saying.wishes.reasoning == Some(Shown::Whole) => {
                parts.extend(
                    pieces.iter().map(|piece| Part { value: json!({"text": piece, "thought": true}), times: 1 }),
                );
            }
            Item::Reasoning(_) => {}
            Item::Call { id, name, fragments } => {
                let mut call = json!({"name": name, "args": input_object(fragments)});
                if signs(saying.model) || id.is_some() {
                    call["id"] = json!(id.clone().unwrap_or_else(|| format!("call_{:08}_{at}", saying.number)));
                }
                let mut value = json!({"functionCall": call});
                if signs(saying.model) && !signed {
                    value["thoughtSignature"] = json!(marks::thought_signature(name));
                    signed = true;
                }
                parts.push(Part { value, times: 1 });
            }
            Item::Failure(_) => break,
        }
    }
    parts
}

fn chunk(saying: &Saying<'_>, parts: Vec<Value>, reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate], "usageMetadata": usage(saying.usage, reason), "modelVersion": saying.model,
        "responseId": format!("response{:08}", saying.number)
    })
}

/// The counts; those of the answer come with the reason it ended.
fn usage(usage: Usage, reason: Option<&str>) -> Value {
    let mut counts = json!({"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens});
    if usage.cached_tokens > 0 {
        counts["cachedContentTokenCount"] = json!(usage.cached_tokens);
    }
    if reason.is_some() {
        counts["candidatesTokenCount"] = json!(usage.output_tokens.saturating_sub(usage.reasoning_tokens));
        counts["totalTokenCount"] = json!(usage.input_tokens + usage.output_tokens);
    }
    if reason.is_some() && usage.reasoning_tokens > 0 {
        counts["thoughtsTokenCount"] = json!(usage.reasoning_tokens);
    }
    counts
}
