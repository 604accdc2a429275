//! Answers as OpenAI Responses sends them ("Streaming events").

use serde_json::{Value, json};

use super::{CREATED_S, Event, Extras, Rendered, Saying, end, refusal, whole_text, word};
use crate::endpoint::Delivery;
use crate::marks::{self, Shown};
use crate::script::{Failure, Item, Usage};

pub(super) fn render(saying: &Saying<'_>) -> Rendered {
    let end = end(saying.reply);
    let reason = word(&end, ["", "", "max_output_tokens", "content_filter"]);
    let status = if reason.is_empty() { "completed" } else { "incomplete" };
    let items = items(saying);
    if saying.wishes.delivery == Delivery::Whole {
        let output = items.into_iter().map(|item| item.done).collect();
        return Rendered::Whole(response(saying, status, reason, output));
    }
    let mut stream = Stream { events: Vec::new() };
    stream.push("response.created", json!({"response": response(saying, "in_progress", "", Vec::new())}));
    stream.push("response.in_progress", json!({"response": response(saying, "in_progress", "", Vec::new())}));
    let mut output = Vec::new();
    let mut rest = items.into_iter();
    for item in &saying.reply.items {
        if let Item::Failure(failure) = item {
            stream.fail(failure);
            return Rendered::Events(stream.events);
        }
        let Some(made) = rest.next() else { break };
        let index = output.len();
        stream.push("response.output_item.added", json!({"output_index": index, "item": made.added}));
        match item {
            Item::Text { pieces, times } => stream.text(index, &made.id, pieces, *times),
            Item::Reasoning(pieces) => stream.reasoning(saying, index, &made.id, pieces),
            Item::Call { fragments, .. } => stream.arguments(index, &made.id, fragments),
            Item::Failure(_) => {}
        }
        stream.push("response.output_item.done", json!({"output_index": index, "item": made.done}));
        output.push(made.done);
    }
    let last = if reason.is_empty() { "response.completed" } else { "response.incomplete" };
    stream.push(last, json!({"response": response(saying, status, reason, output)}));
    Rendered::Events(stream.events)
}

/// An output item at its beginning and at its end.
struct Made {
    id: String,
    added: Value,
    done: Value,
}

/// The output items, one for each part of the reply up to a failure. The ids of items that follow reasoning
/// bear its number and an `r`, so that a request that leaves it out can be told.
fn items(saying: &Saying<'_>) -> Vec<Made> {
    let mut made = Vec::new();
    let mut reasoned = None;
    for (at, item) in saying.reply.items.iter().enumerate() {
        let number = format!("{:08}{at:02}", saying.number);
        let suffix = reasoned.as_ref().map_or(number.clone(), |reasoned| format!("{reasoned}r{at:02}"));
        made.push(match item {
            Item::Text { pieces, times } => {
                let id = format!("msg_{suffix}");
                let part = json!({"type": "output_text", "text": whole_text(pieces, *times), "annotations": [], "logprobs": []});
                let message = |status: &str, content: Value| {
                    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
                };
                let (added, done) = (message("in_progress", json!([])), message("completed", json!([part])));
                Made { added, done, id }
            }
            Item::Reasoning(pieces) => {
                let id = format!("rs_{number}");
                reasoned = Some(number);
                let shown = saying.wishes.reasoning == Some(Shown::Whole);
                let summary: Vec<Value> =
                    pieces.iter().take(usize::from(shown)).map(|_| json!({"type": "summary_text", "text": pieces.concat()})).collect();
                let mut done = json!({"id": id, "type": "reasoning", "summary": summary});
                if saying.wishes.extras == Extras::Wanted {
                    done["encrypted_content"] = json!(marks::sealed(&id));
                }
                Made { added: json!({"id": id, "type": "reasoning", "summary": []}), done, id }
            }
            Item::Call { id: call_id, name, fragments } => {
                let id = format!("fc_{suffix}");
                let call_id = call_id.clone().unwrap_or_else(|| format!("call_{number}"));
                let call = |status: &str, arguments: &str| {
                    json!({"id": id, "type": "function_call", "status": status, "arguments": arguments, "call_id": call_id, "name": name})
                };
                let (added, done) = (call("in_progress", ""), call("completed", &fragments.concat()));
                Made { added, done, id }
            }
            Item::Failure(_) => break,
        });
    }
    made
}

fn response(saying: &Saying<'_>, status: &str, reason: &str, output: Vec<Value>) -> Value {
    let over = status != "in_progress";
    json!({
        "id": format!("resp_{:08}", saying.number), "object": "response", "created_at": CREATED_S, "status": status,
        "error": null,
        "incomplete_details": if reason.is_empty() { Value::Null } else { json!({"reason": reason}) },
        "instructions": null, "max_output_tokens": null, "model": saying.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "store": false, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
        "usage": if over { usage(saying.usage) } else { Value::Null }, "user": null, "metadata": {}
    })
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens
    })
}

/// Numbers the events.
struct Stream {
    events: Vec<Event>,
}

impl Stream {
    fn push(&mut self, name: &'static str, fields: Value) {
        let mut data = json!({"type": name, "sequence_number": self.events.len()});
        if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
            data.extend(fields);
        }
        self.events.push(Event::new(Some(name), &data));
    }

    fn fail(&mut self, failure: &Failure) {
        let refusal = refusal(failure);
        let code = refusal.code.as_deref().unwrap_or(match refusal.status {
            429 => "rate_limit_exceeded",
            _ => "server_error",
        });
        self.push("error", json!({"code": code, "message": refusal.message, "param": null}));
    }

    fn text(&mut self, index: usize, id: &str, pieces: &[String], times: u32) {
        let place = |mut fields: Value| {
            fields["item_id"] = json!(id);
            fields["output_index"] = json!(index);
            fields["content_index"] = json!(0);
            fields
        };
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        self.push("response.content_part.added", place(json!({"part": part("")})));
        for piece in pieces {
            self.push("response.output_text.delta", place(json!({"delta": piece, "logprobs": []})));
            if let Some(event) = self.events.last_mut() {
                event.times = times;
            }
        }
        let text = whole_text(pieces, times);
        self.push("response.output_text.done", place(json!({"text": text, "logprobs": []})));
        self.push("response.content_part.done", place(json!({"part": part(&text)})));
    }

    fn reasoning(&mut self, saying: &Saying<'_>, index: usize, id: &str, pieces: &[String]) {
        if saying.wishes.reasoning != Some(Shown::Whole) || pieces.is_empty() {
            return;
        }
        let place = |mut fields: Value| {
            fields["item_id"] = json!(id);
            fields["output_index"] = json!(index);
            fields["summary_index"] = json!(0);
            fields
        };
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        self.push("response.reasoning_summary_part.added", place(json!({"part": part("")})));
        for piece in pieces {
            self.push("response.reasoning_summary_text.delta", place(json!({"delta": piece})));
        }
        let text = pieces.concat();
        self.push("response.reasoning_summary_text.done", place(json!({"text": text})));
        self.push("response.reasoning_summary_part.done", place(json!({"part": part(&text)})));
    }

    fn arguments(&mut self, index: usize, id: &str, fragments: &[String]) {
        for fragment in fragments {
            let delta = json!({"item_id": id, "output_index": index, "delta": fragment});
            self.push("response.function_call_arguments.delta", delta);
        }
        let done = json!({"item_id": id, "output_index": index, "arguments": fragments.concat()});
        self.push("response.function_call_arguments.done", done);
    }
}
