//! Reads the answers of the Responses API: named events of a stream, or one whole response.

use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Stop, Usage};
use aether_core::tool::ToolCall;
use serde_json::Value;

use super::PHASE;
use crate::answer::{Dialect, Progress};
use crate::framing::Event;
use crate::turn::marked;
use crate::{failure, json};

/// The state of one answer.
#[derive(Default)]
pub(super) struct ResponsesDialect {
    /// The model as the server names it.
    model: String,
    /// Arguments by the place of their item, for servers whose finished items leave them out.
    arguments: Vec<(u64, String)>,
    items_done: usize,
    calls: usize,
    /// Whether the open message has been told piece by piece.
    is_told: bool,
    has_refused: bool,
    has_begun: bool,
}

impl ResponsesDialect {
    fn event(&mut self, kind: &str, event: &Value, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        let delta = json::text(event, "delta");
        match kind {
            "response.created" | "response.in_progress" => self.adopt_model(event),
            "response.output_item.added" => {
                self.is_told = false;
                self.begin_item(event.get("item").unwrap_or(&Value::Null), events);
            }
            "response.output_text.delta" | "response.refusal.delta" if !delta.is_empty() => {
                self.is_told = true;
                self.has_refused |= kind == "response.refusal.delta";
                events.push(ModelEvent::Text(delta.to_owned()));
            }
            "response.reasoning_summary_part.added" if json::count(event, "summary_index") > 0 => {
                events.push(ModelEvent::Reasoning("\n\n".to_owned()));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" if !delta.is_empty() => {
                self.is_told = true;
                events.push(ModelEvent::Reasoning(delta.to_owned()));
            }
            "response.function_call_arguments.delta" => {
                let place = json::count(event, "output_index");
                match self.arguments.iter_mut().find(|(at, _)| *at == place) {
                    Some((_, arguments)) => arguments.push_str(delta),
                    None => self.arguments.push((place, delta.to_owned())),
                }
            }
            "response.output_item.done" => {
                self.item(event.get("item").unwrap_or(&Value::Null), json::count(event, "output_index"), events);
                self.is_told = false;
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.adopt_model(event);
                return self.close(event.get("response").unwrap_or(&Value::Null), events);
            }
            _ => {}
        }
        Ok(Progress::More)
    }

    fn adopt_model(&mut self, event: &Value) {
        if let Some(model) = event.pointer("/response/model").and_then(Value::as_str) {
            model.clone_into(&mut self.model);
        }
    }

    /// The phase of a message is told before its text, where it goes back.
    fn begin_item(&self, item: &Value, events: &mut Vec<ModelEvent>) {
        let phase = json::text(item, "phase");
        if json::text(item, "type") == "message" && !phase.is_empty() {
            events.push(ModelEvent::Carried(format!("{PHASE}{phase}").into()));
        }
    }

    /// Takes in one finished item.
    fn item(&mut self, item: &Value, place: u64, events: &mut Vec<ModelEvent>) {
        self.items_done += 1;
        match json::text(item, "type") {
            "message" if !self.is_told => {
                for piece in json::items(item, "content") {
                    let refusal = json::text(piece, "refusal");
                    self.has_refused |= !refusal.is_empty();
                    for text in [json::text(piece, "text"), refusal].into_iter().filter(|text| !text.is_empty()) {
                        events.push(ModelEvent::Text(text.to_owned()));
                    }
                }
            }
            "reasoning" => {
                if !self.is_told {
                    reasoning(item, events);
                }
                // An item that holds nothing but its id would be looked up at the server, which has not kept it.
                let is_whole =
                    !json::text(item, "encrypted_content").is_empty() || !json::items(item, "content").is_empty();
                if is_whole {
                    events.push(ModelEvent::Carried(marked(&self.model, &item.to_string())));
                }
            }
            "function_call" => {
                let arguments = match json::text(item, "arguments") {
                    "" => self.arguments.iter().find(|(at, _)| *at == place).map_or("", |(_, text)| text),
                    arguments => arguments,
                };
                let input = json::call_input(arguments).into();
                let id: Box<str> = match json::text(item, "call_id") {
                    "" => format!("call_{place}").into(),
                    id => id.into(),
                };
                self.calls += 1;
                events.push(ModelEvent::Call(ToolCall { id, name: json::text(item, "name").into(), input }));
            }
            _ => {}
        }
    }

    /// Takes in the finished response.
    fn close(&mut self, response: &Value, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        if let Some(error) = json::present(response, "error") {
            return Err(failure::reported(error));
        }
        let status = json::text(response, "status");
        if matches!(status, "failed" | "cancelled") {
            let message = format!("the provider ended the answer as {status}; try again");
            return Err(ModelError::new(ModelErrorKind::Unavailable, message));
        }
        if self.items_done == 0 {
            for (place, item) in json::items(response, "output").iter().enumerate() {
                self.begin_item(item, events);
                self.item(item, place as u64, events);
            }
        }
        if let Some(usage) = json::present(response, "usage") {
            events.push(ModelEvent::Usage(usage_of(usage)));
        }
        let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str).unwrap_or("");
        events.push(ModelEvent::Stop(match (status, reason) {
            ("incomplete", "content_filter") => Stop::Refused,
            ("incomplete", _) => Stop::Length,
            _ if self.calls > 0 => Stop::Calls,
            _ if self.has_refused => Stop::Refused,
            _ => Stop::Done,
        }));
        Ok(Progress::Over)
    }
}

impl Dialect for ResponsesDialect {
    fn payload(&mut self, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        if event.data.trim_ascii() == b"[DONE]" {
            return Err(failure::cut());
        }
        let value = json::parse(event.data).filter(Value::is_object).ok_or_else(|| failure::malformed(event.data))?;
        let kind = match json::text(&value, "type") {
            "" => event.name,
            kind => kind,
        };
        if kind == "error" {
            return Err(failure::reported(&value));
        }
        if kind.starts_with("response.") {
            self.has_begun = true;
            return self.event(kind, &value, events);
        }
        if value.get("output").is_some_and(Value::is_array) || json::text(&value, "object") == "response" {
            json::text(&value, "model").clone_into(&mut self.model);
            return self.close(&value, events);
        }
        if json::present(&value, "error").is_some() || value.get("detail").is_some() || value.get("message").is_some() {
            return Err(failure::reported(&value));
        }
        if self.has_begun { Ok(Progress::More) } else { Err(failure::malformed(event.data)) }
    }

    fn end(&mut self, _events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        Err(failure::cut())
    }
}

/// The pieces of a summary are paragraphs.
fn reasoning(item: &Value, events: &mut Vec<ModelEvent>) {
    let pieces = json::items(item, "summary").iter().chain(json::items(item, "content"));
    let texts: Vec<&str> = pieces.map(|piece| json::text(piece, "text")).filter(|text| !text.is_empty()).collect();
    if !texts.is_empty() {
        events.push(ModelEvent::Reasoning(texts.join("\n\n")));
    }
}

fn usage_of(usage: &Value) -> Usage {
    let part = |of: &str, name: &str| usage.get(of).map_or(0, |details| json::count(details, name));
    Usage {
        input_tokens: json::count(usage, "input_tokens"),
        output_tokens: json::count(usage, "output_tokens"),
        cached_tokens: part("input_tokens_details", "cached_tokens"),
        cache_write_tokens: part("input_tokens_details", "cache_write_tokens"),
        reasoning_tokens: part("output_tokens_details", "reasoning_tokens"),
    }
}
