//! The format of Ollama's own API, which says more than the OpenAI format it also speaks: thinking, the window.
//!
//! Source: Ollama documentation ("API", "Chat", "Thinking", "Structured outputs"). There is no way to forbid the
//! use of tools but to leave them out, and no mark for a failed result.

use std::borrow::Cow;

use aether_core::model::{
    Codec, Credential, Delivery, Effort, Head, Method, ModelError, ModelEvent, ModelInfo, Part, Question, Reader,
    Request, Stop, ToolUse, Usage,
};
use aether_core::tool::ToolCall;
use aether_core::transcript::Entry;
use serde_json::Value;

use crate::answer::{Answer, Dialect, Progress, is_success};
use crate::framing::Event;
use crate::openai_chat::{BEARER, NEVER_RAN, Said, headers, told};
use crate::schema::as_it_is;
use crate::turn::{ModelTurn, exchanges, is_blank};
use crate::{failure, json};

/// The codec's name.
pub(crate) const NAME: &str = "ollama";

const CREDENTIAL: Credential = BEARER;
const THINKING: &str = "{\"thinking\":";

/// The codec for Ollama.
#[derive(Clone, Copy, Debug)]
pub struct Ollama {
    window_tokens: Option<u32>,
}

impl Ollama {
    /// The codec. `window_tokens` is the context window the server is asked to give the model; with `None` it
    /// gives its default, and silently cuts what is longer.
    #[must_use]
    pub const fn new(window_tokens: Option<u32>) -> Ollama {
        Ollama { window_tokens }
    }
}

impl Codec for Ollama {
    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self, question: &Question<'_>) -> Result<Request, ModelError> {
        let entries_bytes: usize = question.entries.iter().map(Entry::shown_bytes).sum();
        let mut body = Vec::with_capacity(2048 + question.system.len() + entries_bytes * 5 / 4);
        let out = &mut body;
        json::object(out);
        json::member(out, "model", question.model);
        json::key(out, "stream");
        json::raw(out, if question.options.delivery == Delivery::Streamed { "true" } else { "false" });
        self.write_options(out, question)?;
        if question.tool_use == ToolUse::Allowed && !question.tools.is_empty() {
            write_tools(out, question)?;
        }
        write_messages(out, question);
        json::end_object(out);
        let path = "/api/chat".into();
        Ok(Request { method: Method::Post, path, headers: headers(), credential: CREDENTIAL, body })
    }

    fn reader(&self, head: Head<'_>) -> Box<dyn Reader> {
        Box::new(Answer::new(head, Box::new(OllamaDialect::default())))
    }

    fn list_request(&self) -> Request {
        let path = "/api/tags".into();
        Request { method: Method::Get, path, headers: Vec::new(), credential: CREDENTIAL, body: Vec::new() }
    }

    fn list(&self, head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
        if !is_success(head.status) {
            return Err(failure::http(head.status, head.retry_after_ms, body));
        }
        let list = json::parse(body).ok_or_else(|| failure::foreign(body))?;
        if !list.get("models").is_some_and(Value::is_array) {
            return Err(failure::malformed(body));
        }
        let names = json::items(&list, "models").iter().map(|model| json::text(model, "name"));
        let info = |name: &str| ModelInfo { name: name.to_owned(), window_tokens: self.window_tokens };
        Ok(names.filter(|name| !name.is_empty()).map(info).collect())
    }
}

impl Ollama {
    fn write_options(self, out: &mut Vec<u8>, question: &Question<'_>) -> Result<(), ModelError> {
        let options = question.options;
        if let Some(think) = think(question.model, options.effort) {
            json::key(out, "think");
            json::raw(out, think);
        }
        if let Some(schema) = &options.schema {
            json::key(out, "format");
            json::raw(out, as_it_is(schema, "the answer")?);
        }
        let numbers = [("num_ctx", self.window_tokens), ("num_predict", options.output_tokens_max)];
        if numbers.iter().all(|(_, number)| number.is_none()) && options.temperature.is_none() {
            return Ok(());
        }
        json::key(out, "options");
        json::object(out);
        for (name, number) in numbers {
            if let Some(number) = number {
                json::key(out, name);
                json::number(out, u64::from(number));
            }
        }
        if let Some(temperature) = options.temperature {
            json::key(out, "temperature");
            json::float(out, temperature);
        }
        json::end_object(out);
        Ok(())
    }
}

/// Only OpenAI's open models take a level; the others think or do not.
fn think(model: &str, effort: Effort) -> Option<&'static str> {
    let is_leveled = model.contains("gpt-oss");
    match effort {
        Effort::Unset => None,
        Effort::Minimal | Effort::Low if is_leveled => Some("\"low\""),
        Effort::Medium if is_leveled => Some("\"medium\""),
        Effort::High if is_leveled => Some("\"high\""),
        Effort::Minimal => Some("false"),
        Effort::Low | Effort::Medium | Effort::High => Some("true"),
    }
}

fn write_tools(out: &mut Vec<u8>, question: &Question<'_>) -> Result<(), ModelError> {
    json::key(out, "tools");
    json::array(out);
    for tool in question.tools {
        json::object(out);
        json::member(out, "type", "function");
        json::key(out, "function");
        json::object(out);
        json::member(out, "name", &tool.name);
        json::member(out, "description", &tool.description);
        json::key(out, "parameters");
        json::raw(out, as_it_is(&tool.input, &tool.name)?);
        json::end_object(out);
        json::end_object(out);
    }
    json::end_array(out);
    Ok(())
}

fn write_messages(out: &mut Vec<u8>, question: &Question<'_>) {
    json::key(out, "messages");
    json::array(out);
    if !question.system.is_empty() {
        json::object(out);
        json::member(out, "role", "system");
        json::member(out, "content", question.system);
        json::end_object(out);
    }
    for exchange in exchanges(question.entries) {
        if let Some(turn) = exchange.turn {
            write_turn(out, turn);
        }
        for (call, result) in exchange.calls() {
            json::object(out);
            json::member(out, "role", "tool");
            json::member(out, "tool_name", &json::tool_name(&call.name));
            json::member(out, "tool_call_id", &call.id);
            json::member(out, "content", &result.map_or(Cow::Borrowed(NEVER_RAN), told));
            json::end_object(out);
        }
        write_said(out, &Said::of(&exchange));
    }
    json::end_array(out);
}

fn write_turn(out: &mut Vec<u8>, turn: ModelTurn<'_>) {
    let has_text = turn.parts.iter().any(|part| matches!(part, Part::Text(text) if !is_blank(text)));
    let calls = || turn.parts.iter().filter_map(|part| if let Part::Call(call) = part { Some(call) } else { None });
    if !has_text && calls().next().is_none() {
        return;
    }
    json::object(out);
    json::member(out, "role", "assistant");
    json::key(out, "content");
    out.push(b'"');
    for part in turn.parts {
        if let Part::Text(text) = part {
            json::escaped(out, text);
        }
    }
    out.push(b'"');
    for part in turn.parts {
        if let Part::Carried(text) = part
            && turn.codec == NAME
            && json::is_object(text)
            && let Some(kept) = text.strip_suffix('}').filter(|kept| kept.starts_with(THINKING))
        {
            json::raw(out, &kept[1..]);
            break;
        }
    }
    if calls().next().is_some() {
        json::key(out, "tool_calls");
        json::array(out);
        for call in calls() {
            json::object(out);
            json::member(out, "id", &call.id);
            json::key(out, "function");
            json::object(out);
            json::member(out, "name", &json::tool_name(&call.name));
            json::key(out, "arguments");
            json::input_object(out, &call.input);
            json::end_object(out);
            json::end_object(out);
        }
        json::end_array(out);
    }
    json::end_object(out);
}

fn write_said(out: &mut Vec<u8>, said: &Said<'_>) {
    if said.texts.is_empty() && said.images.is_empty() {
        return;
    }
    json::object(out);
    json::member(out, "role", "user");
    json::member(out, "content", &said.texts.join("\n\n"));
    if !said.images.is_empty() {
        json::key(out, "images");
        json::array(out);
        for image in &said.images {
            json::base64(out, "", &image.bytes);
        }
        json::end_array(out);
    }
    json::end_object(out);
}

/// The state of one answer.
#[derive(Default)]
struct OllamaDialect {
    thinking: String,
    calls: usize,
}

impl OllamaDialect {
    /// Thinking goes back in front of the calls it led to.
    fn carry(&mut self, events: &mut Vec<ModelEvent>) {
        if self.thinking.is_empty() {
            return;
        }
        let mut carried = Vec::new();
        json::object(&mut carried);
        json::member(&mut carried, "thinking", &self.thinking);
        json::end_object(&mut carried);
        self.thinking.clear();
        events.push(ModelEvent::Carried(String::from_utf8_lossy(&carried).into()));
    }
}

impl Dialect for OllamaDialect {
    fn payload(&mut self, event: Event<'_>, events: &mut Vec<ModelEvent>) -> Result<Progress, ModelError> {
        let line = json::parse(event.data).filter(Value::is_object).ok_or_else(|| failure::malformed(event.data))?;
        if let Some(error) = json::present(&line, "error") {
            return Err(failure::reported(error));
        }
        let message = line.get("message").unwrap_or(&Value::Null);
        if message.is_null() && line.get("done").is_none() {
            return Err(failure::malformed(event.data));
        }
        let (thinking, content) = (json::text(message, "thinking"), json::text(message, "content"));
        if !thinking.is_empty() {
            self.thinking.push_str(thinking);
            events.push(ModelEvent::Reasoning(thinking.to_owned()));
        }
        if !content.is_empty() {
            events.push(ModelEvent::Text(content.to_owned()));
        }
        for call in json::items(message, "tool_calls") {
            self.carry(events);
            let function = call.get("function").unwrap_or(&Value::Null);
            let id: Box<str> = match json::text(call, "id") {
                "" => format!("call_{}", self.calls).into(),
                id => id.into(),
            };
            let input = match function.get("arguments") {
                Some(Value::String(arguments)) => json::call_input(arguments).into(),
                Some(arguments @ Value::Object(_)) => arguments.to_string().into(),
                _ => "{}".into(),
            };
            self.calls += 1;
            events.push(ModelEvent::Call(ToolCall { id, name: json::text(function, "name").into(), input }));
        }
        if line.get("done").and_then(Value::as_bool) != Some(true) {
            return Ok(Progress::More);
        }
        self.carry(events);
        events.push(ModelEvent::Usage(Usage {
            input_tokens: json::count(&line, "prompt_eval_count"),
            output_tokens: json::count(&line, "eval_count"),
            ..Usage::default()
        }));
        events.push(ModelEvent::Stop(match json::text(&line, "done_reason") {
            "length" => Stop::Length,
            _ if self.calls > 0 => Stop::Calls,
            _ => Stop::Done,
        }));
        Ok(Progress::Over)
    }

    fn end(&mut self, _events: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
        Err(failure::cut())
    }
}
