//! Reads the answers of Chat Completions: chunks of a stream, or one whole completion.

use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Stop, Usage};
use aether_core::tool::ToolCall;
use serde_json::Value;

use super::CarriedField;
use crate::answer::{Dialect, Progress};
use crate::framing::Event;
use crate::outline::{Item, Kind, Outline};
use crate::{failure, json};

/// The state of one answer.
pub(super) struct ChatDialect {
    carried: CarriedField,
    calls: Vec<OpenCall>,
    /// What is to be carried back, as the server sent it.
    reasoning: String,
    details: Vec<Value>,
    usage: Option<Usage>,
    stop: Option<Stop>,
    has_begun: bool,
}

/// A call whose arguments are still coming.
struct OpenCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl ChatDialect {
    pub(super) fn new(carried: CarriedField) -> ChatDialect {
        ChatDialect {
            carried,
            calls: Vec::new(),
            reasoning: String::new(),
            details: Vec::new(),
            usage: None,
            stop: None,
            has_begun: false,
        }
    }

    /// Takes in a chunk that holds a piece of text and nothing else of interest, as nearly all chunks do,
    /// without making a tree of it. `None` if it is not one; nothing has changed then.
    fn text_chunk(&mut self, data: &[u8], events: &mut Vec<ModelEvent>) -> Option<()> {
        let is_nothing = |item: Option<Item<'_, '_>>| item.is_none_or(|item| item.kind() == Kind::Null);
        let outline = Outline::of(std::str::from_utf8(data).ok()?)?;
        let chunk = outline.root();
        let mut choices = chunk.get("choices")?.members();
        let (choice, others) = (choices.next()?.1, choices.next());
        let is_first = choice.get("index").is_none_or(|index| index.kind() == Kind::Number("0"));
        let is_plain = ["error", "usage", "x_groq"].iter().all(|name| is_nothing(chunk.get(name)))
            && ["error", "usage", "message", "finish_reason"].iter().all(|name| is_nothing(choice.get(name)));
        if others.is_some() || !is_first || !is_plain || chunk.get("object").is_some_and(|kind| kind.is_text("error")) {
            return None;
        }
        let mut text = "";
        for (name, member) in choice.get("delta")?.members() {
            match (name, member.kind()) {
                ("content", Kind::Text(written)) => text = written,
                ("role", _) | (_, Kind::Null) => {}
                _ => return None,
            }
        }
        let text = unescaped(text)?;
        self.has_begun = true;
        if !text.is_empty() {
            events.push(ModelEvent::Text(text));
        }
        Some(())
    }

    fn choice(&mut self, choice: &Value, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        if let Some(error) = json::present(choice, "error") {
            return Err(failure::reported(error));
        }
        if let Some(usage) = json::present(choice, "usage") {
            self.usage = Some(usage_of(usage));
        }
        let whole = json::present(choice, "message");
        if let Some(message) = whole.or_else(|| json::present(choice, "delta")) {
            self.reasoning(message, events);
            content(message.get("content"), events);
            content(message.get("refusal"), events);
            let has_refused = !json::text(message, "refusal").is_empty();
            if has_refused {
                self.stop = Some(Stop::Refused);
            }
            for call in json::items(message, "tool_calls") {
                self.call(call);
            }
        }
        match json::text(choice, "finish_reason") {
            "" => {}
            "error" => {
                let message = "the provider reported a failure in its answer; try again, or use another provider";
                return Err(ModelError::new(ModelErrorKind::Unavailable, message));
            }
            _ if self.stop == Some(Stop::Refused) => {}
            reason => self.stop = Some(stop_of(reason)),
        }
        if whole.is_none() {
            return Ok(Progress::More);
        }
        self.stop.get_or_insert(Stop::Done);
        self.complete(events);
        Ok(Progress::Over)
    }

    fn reasoning(&mut self, message: &Value, events: &mut Vec<ModelEvent>) {
        // Some servers send both names, with the same text.
        let text = match json::text(message, "reasoning_content") {
            "" => json::text(message, "reasoning"),
            text => text,
        };
        if !text.is_empty() {
            events.push(ModelEvent::Reasoning(text.to_owned()));
            if self.carried == CarriedField::ReasoningContent {
                self.reasoning.push_str(text);
            }
        }
        if self.carried == CarriedField::ReasoningDetails {
            for detail in json::items(message, "reasoning_details") {
                self.detail(detail);
            }
        }
    }

    /// Keeps one piece of `reasoning_details`; pieces of the same text become one.
    fn detail(&mut self, detail: &Value) {
        let is_text = json::text(detail, "type") == "reasoning.text";
        let last = self.details.last_mut().filter(|last| {
            is_text && json::text(last, "type") == "reasoning.text" && last.get("index") == detail.get("index")
        });
        let (Some(Value::Object(last)), Value::Object(members)) = (last, detail) else {
            self.details.push(detail.clone());
            return;
        };
        for (name, member) in members.iter().filter(|(_, member)| !member.is_null()) {
            match (last.get_mut(name), member) {
                (Some(Value::String(text)), Value::String(more)) if name == "text" => text.push_str(more),
                _ => {
                    last.insert(name.clone(), member.clone());
                }
            }
        }
    }

    /// Takes in a piece of a call, or a whole one.
    fn call(&mut self, piece: &Value) {
        let index = piece.get("index").and_then(Value::as_u64);
        let id = json::text(piece, "id");
        let function = piece.get("function").unwrap_or(&Value::Null);
        let name = json::text(function, "name");
        let position = match self.continued(index, id, name) {
            Some(position) => position,
            None => {
                let arguments = String::new();
                self.calls.push(OpenCall { index, id: id.to_owned(), name: String::new(), arguments });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[position];
        if call.id.is_empty() {
            call.id.push_str(id);
        }
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        match function.get("arguments") {
            Some(Value::String(arguments)) => call.arguments.push_str(arguments),
            Some(arguments @ Value::Object(_)) => call.arguments = arguments.to_string(),
            _ => {}
        }
    }

    /// The call that a piece continues. Servers leave out the index or the id, or number every call 0.
    fn continued(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let is_same_id = |call: &OpenCall| id.is_empty() || call.id.is_empty() || call.id == id;
        if index.is_some() {
            return self.calls.iter().rposition(|call| call.index == index && is_same_id(call));
        }
        if !id.is_empty() {
            return self.calls.iter().rposition(|call| call.id == id);
        }
        let last = self.calls.last()?;
        (name.is_empty() || last.name.is_empty()).then_some(self.calls.len() - 1)
    }

    /// Appends what could not be told before the answer was complete, and the stop.
    fn complete(&mut self, events: &mut Vec<ModelEvent>) {
        if !self.reasoning.is_empty() {
            let mut carried = Vec::new();
            json::object(&mut carried);
            json::member(&mut carried, "reasoning_content", &self.reasoning);
            json::end_object(&mut carried);
            events.push(ModelEvent::Carried(String::from_utf8_lossy(&carried).into()));
        }
        if !self.details.is_empty() {
            let details = Value::Array(std::mem::take(&mut self.details));
            events.push(ModelEvent::Carried(format!("{{\"reasoning_details\":{details}}}").into()));
        }
        let mut ids: Vec<Box<str>> = Vec::new();
        for (position, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            let is_known = call.id.is_empty() || ids.iter().any(|id| **id == *call.id);
            let id: Box<str> = if is_known { format!("{}call_{position}", call.id).into() } else { call.id.into() };
            ids.push(id.clone());
            let input = json::call_input(&call.arguments).into();
            events.push(ModelEvent::Call(ToolCall { id, name: call.name.into(), input }));
        }
        if let Some(usage) = self.usage {
            events.push(ModelEvent::Usage(usage));
        }
        let stop = match self.stop {
            Some(Stop::Done | Stop::Calls) | None if ids.is_empty() => Stop::Done,
            Some(Stop::Done | Stop::Calls) | None => Stop::Calls,
            Some(stop) => stop,
        };
        events.push(ModelEvent::Stop(stop));
    }
}

impl Dialect for ChatDialect {
    fn payload(&mut self, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        if event.name.is_empty() && self.text_chunk(event.data, events).is_some() {
            return Ok(Progress::More);
        }
        if event.data.trim_ascii() == b"[DONE]" {
            if !self.has_begun {
                return Err(failure::cut());
            }
            self.complete(events);
            return Ok(Progress::Over);
        }
        let chunk = json::parse(event.data).filter(Value::is_object).ok_or_else(|| failure::malformed(event.data))?;
        if let Some(error) = json::present(&chunk, "error") {
            return Err(failure::reported(error));
        }
        let is_error = event.name == "error" || json::text(&chunk, "object") == "error";
        let has_choices = chunk.get("choices").is_some();
        if is_error || (!has_choices && (chunk.get("detail").is_some() || chunk.get("message").is_some())) {
            return Err(failure::reported(&chunk));
        }
        let usage = json::present(&chunk, "usage").or_else(|| chunk.pointer("/x_groq/usage"));
        if let Some(usage) = usage {
            self.usage = Some(usage_of(usage));
        }
        if !has_choices && usage.is_none() && !self.has_begun && chunk.get("object").is_none() {
            return Err(failure::malformed(event.data));
        }
        let first = json::items(&chunk, "choices").iter().find(|choice| json::count(choice, "index") == 0);
        let Some(choice) = first else { return Ok(Progress::More) };
        self.has_begun = true;
        self.choice(choice, events)
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        // The closing `[DONE]` is missing at some servers; a reason to finish is not.
        if self.stop.is_none() {
            return Err(failure::cut());
        }
        self.complete(events);
        Ok(())
    }
}

/// Content is a text, or pieces of text and of reasoning (as Mistral's reasoning models send them).
fn content(content: Option<&Value>, events: &mut Vec<ModelEvent>) {
    match content {
        Some(Value::String(text)) if !text.is_empty() => events.push(ModelEvent::Text(text.clone())),
        Some(Value::Array(pieces)) => {
            for piece in pieces {
                let text = json::text(piece, "text");
                if !text.is_empty() {
                    events.push(ModelEvent::Text(text.to_owned()));
                }
                for thought in json::items(piece, "thinking") {
                    let text = json::text(thought, "text");
                    if !text.is_empty() {
                        events.push(ModelEvent::Reasoning(text.to_owned()));
                    }
                }
            }
        }
        _ => {}
    }
}

/// A string as it is meant, from the inside of one as it is written.
fn unescaped(written: &str) -> Option<String> {
    if !written.contains('\\') {
        return Some(written.to_owned());
    }
    match serde_json::from_str(&format!("\"{written}\"")) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn stop_of(reason: &str) -> Stop {
    match reason {
        "tool_calls" | "function_call" | "tool_call" => Stop::Calls,
        "length" | "max_tokens" | "model_length" => Stop::Length,
        "content_filter" | "refusal" | "safety" | "sensitive" => Stop::Refused,
        _ => Stop::Done,
    }
}

fn usage_of(usage: &Value) -> Usage {
    let part = |of: &str, name: &str| usage.get(of).map_or(0, |details| json::count(details, name));
    let cached = part("prompt_tokens_details", "cached_tokens");
    Usage {
        input_tokens: json::count(usage, "prompt_tokens"),
        output_tokens: json::count(usage, "completion_tokens"),
        cached_tokens: if cached > 0 { cached } else { json::count(usage, "prompt_cache_hit_tokens") },
        cache_write_tokens: part("prompt_tokens_details", "cache_write_tokens"),
        reasoning_tokens: part("completion_tokens_details", "reasoning_tokens"),
    }
}
