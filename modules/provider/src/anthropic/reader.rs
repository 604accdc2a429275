//! Reads what the Messages API answers: its stream of events, its whole message, its list of models.
//!
//! Source: Claude Platform documentation, "Streaming Messages" (event types and their order), "Handling stop
//! reasons" and "List Models". Unknown events, blocks and deltas are passed over, as the documentation asks.

use aether_core::model::{Head, ModelError, ModelEvent, ModelInfo, Reader, Stop, Usage};
use aether_core::tool::ToolCall;
use serde_json::Value;

use crate::answer::{Answer, Dialect, Progress, is_success};
use crate::framing::Event;
use crate::turn::marked;
use crate::{failure, json};

/// A reader for the answer with this head.
pub(super) fn new(head: Head<'_>) -> Box<dyn Reader> {
    Box::new(Answer::new(head, Box::new(Message::default())))
}

/// Reads the list of models.
pub(super) fn list(head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
    if !is_success(head.status) {
        return Err(failure::http(head.status, head.retry_after_ms, body));
    }
    let parsed = json::parse(body).ok_or_else(|| failure::foreign(body))?;
    let Some(Value::Array(models)) = parsed.get("data") else {
        return Err(failure::malformed(body));
    };
    let named = models.iter().filter(|model| !json::text(model, "id").is_empty());
    Ok(named
        .map(|model| ModelInfo {
            name: json::text(model, "id").to_owned(),
            window_tokens: u32::try_from(json::count(model, "max_input_tokens")).ok().filter(|tokens| *tokens > 0),
        })
        .collect())
}

/// One message on its way in.
#[derive(Default)]
struct Message {
    /// The model that answers, as the server names it.
    model: String,
    block: Block,
    usage: Counts,
    calls: usize,
    stop: Option<Stop>,
}

/// The block that is open. Blocks come one after the other.
#[derive(Default)]
enum Block {
    /// None, or one that does not concern us.
    #[default]
    Closed,
    Text,
    Thinking {
        text: String,
        signature: String,
    },
    Call {
        id: Box<str>,
        name: Box<str>,
        input: String,
    },
}

/// Token counts as the API splits them: the three inputs add up to the question.
#[derive(Default)]
struct Counts {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    thinking: u64,
}

impl Dialect for Message {
    fn payload(&mut self, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        let Some(value) = json::parse(event.data) else {
            return Err(failure::malformed(event.data));
        };
        let kind = match json::text(&value, "type") {
            "" => event.name,
            kind => kind,
        };
        match kind {
            "message_start" => {
                if let Some(message) = value.get("message") {
                    self.begin(message, events);
                }
            }
            "content_block_start" => {
                self.close(events);
                if let Some(block) = value.get("content_block") {
                    self.open(block, events);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = value.get("delta") {
                    self.grow(delta, events);
                }
            }
            "content_block_stop" => self.close(events),
            "message_delta" => self.settle(&value, events),
            "message_stop" => return self.finish(events),
            "message" => return self.whole(&value, events),
            "error" => return Err(failure::reported(value.get("error").unwrap_or(&value))),
            "" if json::present(&value, "error").is_some() => return Err(failure::reported(&value)),
            "" => return Err(failure::malformed(event.data)),
            _ => {}
        }
        Ok(Progress::More)
    }

    fn end(&mut self, _events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        Err(failure::cut())
    }
}

impl Message {
    fn begin(&mut self, message: &Value, events: &mut Vec<ModelEvent>) {
        self.model = json::text(message, "model").to_owned();
        self.count(message.get("usage"), events);
    }

    fn open(&mut self, block: &Value, events: &mut Vec<ModelEvent>) {
        self.block = match json::text(block, "type") {
            "text" => Block::Text,
            "thinking" => Block::Thinking { text: String::new(), signature: json::text(block, "signature").to_owned() },
            "tool_use" => Block::Call {
                id: json::text(block, "id").into(),
                name: json::text(block, "name").into(),
                input: String::new(),
            },
            "redacted_thinking" => {
                self.carry_redacted(json::text(block, "data"), events);
                Block::Closed
            }
            _ => Block::Closed,
        };
        // Some servers put a beginning, or everything, into the block itself.
        match (&mut self.block, block.get("input")) {
            (Block::Text, _) => self.text(json::text(block, "text"), events),
            (Block::Thinking { .. }, _) => self.think(json::text(block, "thinking"), events),
            (Block::Call { input, .. }, Some(Value::Object(members))) if !members.is_empty() => {
                *input = Value::Object(members.clone()).to_string();
            }
            _ => {}
        }
    }

    fn grow(&mut self, delta: &Value, events: &mut Vec<ModelEvent>) {
        match (json::text(delta, "type"), &mut self.block) {
            ("text_delta", _) => self.text(json::text(delta, "text"), events),
            ("thinking_delta", _) => self.think(json::text(delta, "thinking"), events),
            ("signature_delta", Block::Thinking { signature, .. }) => {
                signature.push_str(json::text(delta, "signature"));
            }
            ("input_json_delta", Block::Call { input, .. }) => input.push_str(json::text(delta, "partial_json")),
            _ => {}
        }
    }

    fn text(&mut self, piece: &str, events: &mut Vec<ModelEvent>) {
        if !piece.is_empty() {
            events.push(ModelEvent::Text(piece.to_owned()));
        }
    }

    fn think(&mut self, piece: &str, events: &mut Vec<ModelEvent>) {
        if let Block::Thinking { text, .. } = &mut self.block {
            text.push_str(piece);
        }
        if !piece.is_empty() {
            events.push(ModelEvent::Reasoning(piece.to_owned()));
        }
    }

    fn close(&mut self, events: &mut Vec<ModelEvent>) {
        match std::mem::take(&mut self.block) {
            Block::Closed | Block::Text => {}
            Block::Thinking { text, signature } => self.carry_thinking(&text, &signature, events),
            Block::Call { id, name, input } => {
                // Some servers give no ids. One with a colon is none of the API's, so it is never sent back.
                let id = if id.is_empty() { format!("call:{}", self.calls).into() } else { id };
                self.calls += 1;
                events.push(ModelEvent::Call(ToolCall { id, name, input: json::call_input(&input).into() }));
            }
        }
    }

    fn carry_thinking(&mut self, text: &str, signature: &str, events: &mut Vec<ModelEvent>) {
        if text.is_empty() && signature.is_empty() {
            return;
        }
        let mut block = Vec::with_capacity(64 + text.len() + signature.len());
        json::object(&mut block);
        json::member(&mut block, "type", "thinking");
        json::member(&mut block, "thinking", text);
        json::member(&mut block, "signature", signature);
        json::end_object(&mut block);
        self.carry(&block, events);
    }

    fn carry_redacted(&mut self, data: &str, events: &mut Vec<ModelEvent>) {
        let mut block = Vec::with_capacity(48 + data.len());
        json::object(&mut block);
        json::member(&mut block, "type", "redacted_thinking");
        json::member(&mut block, "data", data);
        json::end_object(&mut block);
        self.carry(&block, events);
    }

    fn carry(&mut self, block: &[u8], events: &mut Vec<ModelEvent>) {
        events.push(ModelEvent::Carried(marked(&self.model, &String::from_utf8_lossy(block))));
    }

    fn settle(&mut self, value: &Value, events: &mut Vec<ModelEvent>) {
        if let Some(delta) = value.get("delta") {
            self.stop = stop_of(json::text(delta, "stop_reason")).or(self.stop);
        }
        self.count(value.get("usage"), events);
    }

    /// Takes in counts. What the newest leave out stays as it was.
    fn count(&mut self, usage: Option<&Value>, events: &mut Vec<ModelEvent>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let counts = &mut self.usage;
        let latest = |name: &str, count: &mut u64| {
            if let Some(number) = usage.get(name).and_then(Value::as_u64) {
                *count = number;
            }
        };
        latest("input_tokens", &mut counts.input);
        latest("cache_read_input_tokens", &mut counts.cache_read);
        latest("cache_creation_input_tokens", &mut counts.cache_write);
        latest("output_tokens", &mut counts.output);
        if let Some(details) = json::present(usage, "output_tokens_details") {
            counts.thinking = json::count(details, "thinking_tokens");
        }
        events.push(ModelEvent::Usage(Usage {
            input_tokens: counts.input.saturating_add(counts.cache_read).saturating_add(counts.cache_write),
            output_tokens: counts.output,
            cached_tokens: counts.cache_read,
            cache_write_tokens: counts.cache_write,
            reasoning_tokens: counts.thinking,
        }));
    }

    fn whole(&mut self, message: &Value, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        self.model = json::text(message, "model").to_owned();
        for block in json::items(message, "content") {
            self.open(block, events);
            self.close(events);
        }
        self.stop = stop_of(json::text(message, "stop_reason"));
        self.count(message.get("usage"), events);
        self.finish(events)
    }

    fn finish(&mut self, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        self.close(events);
        let stop = match (self.stop, self.calls > 0) {
            (None, _) => return Err(failure::cut()),
            (Some(Stop::Done | Stop::Calls), true) => Stop::Calls,
            (Some(Stop::Calls), false) => Stop::Done,
            (Some(stop), _) => stop,
        };
        events.push(ModelEvent::Stop(stop));
        Ok(Progress::Over)
    }
}

/// What a stop reason means; `None` while there is none. One that is not known is an end like any other.
fn stop_of(reason: &str) -> Option<Stop> {
    match reason {
        "" => None,
        "tool_use" => Some(Stop::Calls),
        "max_tokens" | "model_context_window_exceeded" => Some(Stop::Length),
        "refusal" => Some(Stop::Refused),
        _ => Some(Stop::Done),
    }
}
