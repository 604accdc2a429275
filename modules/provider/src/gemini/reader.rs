//! Reads what `generateContent` answers: chunks of a stream, a whole answer, the list of models.
//!
//! Source: Gemini API reference, `GenerateContentResponse`, `Candidate.FinishReason`, `UsageMetadata` and
//! `models.list`. A stream has no last event: the answer is complete when it ends after a finish reason.

use aether_core::model::{Head, ModelError, ModelErrorKind, ModelEvent, ModelInfo, Reader, Stop, Usage};
use aether_core::tool::ToolCall;
use serde_json::Value;

use super::MADE_ID;
use crate::answer::{Answer, Dialect, Progress, is_success};
use crate::framing::Event;
use crate::turn::marked;
use crate::{failure, json};

/// A reader for the answer with this head.
pub(super) fn new(head: Head<'_>) -> Box<dyn Reader> {
    Box::new(Answer::new(head, Box::new(Content::default())))
}

/// Reads the list of models: those that can be asked.
pub(super) fn list(head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
    if !is_success(head.status) {
        return Err(failure::http(head.status, head.retry_after_ms, body));
    }
    let parsed = json::parse(body).ok_or_else(|| failure::foreign(body))?;
    let Some(Value::Array(models)) = parsed.get("models") else {
        return Err(failure::malformed(body));
    };
    let asked = models.iter().filter(|model| {
        let methods = json::items(model, "supportedGenerationMethods");
        methods.is_empty() || methods.iter().any(|method| method == "generateContent")
    });
    let named = asked.filter(|model| !json::text(model, "name").is_empty());
    Ok(named
        .map(|model| {
            let name = json::text(model, "name");
            ModelInfo {
                name: name.strip_prefix("models/").unwrap_or(name).to_owned(),
                window_tokens: u32::try_from(json::count(model, "inputTokenLimit")).ok().filter(|tokens| *tokens > 0),
            }
        })
        .collect())
}

/// One answer on its way in.
#[derive(Default)]
struct Content {
    /// The model that answers, as the server names it.
    model: String,
    calls: usize,
    usage: Usage,
    /// What was last told of it: once at the beginning, once at the end, not with every chunk.
    told: Option<Usage>,
    finish: Option<Stop>,
}

impl Dialect for Content {
    fn payload(&mut self, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        match json::parse(event.data) {
            // Without `alt=sse`, and from some proxies, chunks and errors come in an array.
            Some(Value::Array(chunks)) => {
                for chunk in &chunks {
                    self.chunk(chunk, event, events)?;
                }
            }
            Some(chunk) => self.chunk(&chunk, event, events)?,
            None => return Err(failure::malformed(event.data)),
        }
        Ok(Progress::More)
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        self.tell(events);
        let stop = match self.finish {
            None => return Err(failure::cut()),
            Some(Stop::Done) if self.calls > 0 => Stop::Calls,
            Some(stop) => stop,
        };
        events.push(ModelEvent::Stop(stop));
        Ok(())
    }
}

impl Content {
    fn chunk(&mut self, chunk: &Value, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        if let Some(error) = json::present(chunk, "error") {
            self.tell(events);
            return Err(failure::reported(error));
        }
        let candidate = json::items(chunk, "candidates").first();
        let feedback = json::present(chunk, "promptFeedback");
        let usage = json::present(chunk, "usageMetadata");
        if candidate.is_none() && feedback.is_none() && usage.is_none() {
            return Err(failure::malformed(event.data));
        }
        if let Some(model) = chunk.get("modelVersion").and_then(Value::as_str).filter(|model| *model != self.model) {
            self.model = model.to_owned();
        }
        if let Some(usage) = usage {
            self.count(usage);
            if self.told.is_none() {
                self.tell(events);
            }
        }
        if let Some(content) = candidate.and_then(|candidate| json::present(candidate, "content")) {
            for part in json::items(content, "parts") {
                self.part(part, events);
            }
        }
        if feedback.is_some_and(|feedback| !json::text(feedback, "blockReason").is_empty()) {
            self.finish = Some(Stop::Refused);
        }
        if let Some(candidate) = candidate {
            self.finish = finish_of(candidate)?.or(self.finish);
        }
        Ok(())
    }

    fn part(&mut self, part: &Value, events: &mut Vec<ModelEvent>) {
        let signature = json::text(part, "thoughtSignature");
        let text = json::text(part, "text");
        if let Some(call) = json::present(part, "functionCall") {
            if !signature.is_empty() {
                self.carry(signature, Place::OnNextCall, events);
            }
            self.call(call, events);
            return;
        }
        let is_thought = part.get("thought") == Some(&Value::Bool(true));
        if !text.is_empty() {
            let text = text.to_owned();
            events.push(if is_thought { ModelEvent::Reasoning(text) } else { ModelEvent::Text(text) });
        }
        if !signature.is_empty() {
            self.carry(signature, Place::OnItsOwn, events);
        }
    }

    fn call(&mut self, call: &Value, events: &mut Vec<ModelEvent>) {
        let id = match json::text(call, "id") {
            "" => format!("{MADE_ID}{}", self.calls),
            id => id.to_owned(),
        };
        self.calls += 1;
        let input = match json::present(call, "args") {
            Some(args) => args.to_string(),
            None => "{}".to_owned(),
        };
        events.push(ModelEvent::Call(ToolCall {
            id: id.into(),
            name: json::text(call, "name").into(),
            input: input.into(),
        }));
    }

    fn carry(&mut self, signature: &str, place: Place, events: &mut Vec<ModelEvent>) {
        let mut block = Vec::with_capacity(40 + signature.len());
        json::object(&mut block);
        if place == Place::OnItsOwn {
            json::member(&mut block, "text", "");
        }
        json::member(&mut block, "thoughtSignature", signature);
        json::end_object(&mut block);
        events.push(ModelEvent::Carried(marked(&self.model, &String::from_utf8_lossy(&block))));
    }

    /// Takes in counts, which every chunk repeats. What it leaves out stays as it was.
    fn count(&mut self, counts: &Value) {
        let latest = |name: &str, before: u64| counts.get(name).and_then(Value::as_u64).unwrap_or(before);
        let spoken = self.usage.output_tokens.saturating_sub(self.usage.reasoning_tokens);
        let reasoning_tokens = latest("thoughtsTokenCount", self.usage.reasoning_tokens);
        self.usage = Usage {
            input_tokens: latest("promptTokenCount", self.usage.input_tokens),
            output_tokens: latest("candidatesTokenCount", spoken).saturating_add(reasoning_tokens),
            cached_tokens: latest("cachedContentTokenCount", self.usage.cached_tokens),
            cache_write_tokens: 0,
            reasoning_tokens,
        };
    }

    fn tell(&mut self, events: &mut Vec<ModelEvent>) {
        let is_news = self.told.unwrap_or_default() != self.usage;
        if is_news {
            self.told = Some(self.usage);
            events.push(ModelEvent::Usage(self.usage));
        }
    }
}

/// Where a signature goes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Into the part of the call that follows.
    OnNextCall,
    /// Into a part of its own, with an empty text, as streams bring it too.
    OnItsOwn,
}

/// What a candidate's finish reason means; `None` while there is none.
fn finish_of(candidate: &Value) -> Result<Option<Stop>, ModelError> {
    let reason = json::text(candidate, "finishReason");
    Ok(Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return Ok(None),
        "MAX_TOKENS" | "CONTINUATION" => Stop::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => Stop::Refused,
        _ if reason.starts_with("IMAGE_") => Stop::Refused,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MALFORMED_RESPONSE" | "OTHER" => {
            return Err(broken(reason, json::text(candidate, "finishMessage"), ModelErrorKind::Malformed));
        }
        "MISSING_THOUGHT_SIGNATURE" => {
            return Err(broken(reason, json::text(candidate, "finishMessage"), ModelErrorKind::BadRequest));
        }
        _ => Stop::Done,
    }))
}

fn broken(reason: &str, words: &str, kind: ModelErrorKind) -> ModelError {
    let next = match kind {
        ModelErrorKind::Malformed => "try again, or use another model",
        _ => "start a new task, or use another model",
    };
    let words: String = words.chars().take(failure::QUOTED_CHARS_MAX).filter(|c| !c.is_control()).collect();
    let colon = if words.is_empty() { "" } else { ": " };
    ModelError::new(kind, format!("the model broke its answer off ({reason}){colon}{words}; {next}"))
}
