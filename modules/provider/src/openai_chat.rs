//! The format of OpenAI's Chat Completions API, and of the many servers that copy it.
//!
//! Sources: OpenAI API reference ("Chat", "Create chat completion", "The chat completion chunk object"); where
//! servers differ, what each documents or answers with, kept as data in [`Quirks`].

mod quirks;
mod reader;

use std::borrow::Cow;

use aether_core::model::{
    Codec, Credential, Delivery, Effort, Head, Method, ModelError, ModelInfo, Part, Question, Reader, Request, ToolUse,
};
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use serde_json::Value;

use crate::answer::{Answer, is_success};
use crate::openai_models::OpenAiModel;
use crate::schema::{Strictness, as_it_is, fit};
use crate::turn::{Exchange, ModelTurn, exchanges, is_blank};
use crate::{EMPTY_OUTPUT, failure, json};
use reader::ChatDialect;

pub use quirks::{
    AfterTools, Caching, CallIds, CarriedField, EffortField, Instructions, OpenAiRules, OutputLimit, Quirks,
    StreamUsage, Structure,
};

/// The codec's name.
pub(crate) const NAME: &str = "openai_chat";

/// What stands between tool results and the person's next words where a server wants the model to have spoken.
const BRIDGE: &str = "Understood.";

/// What a call is answered with that has no result in the transcript.
pub(crate) const NEVER_RAN: &str = "error: this call was not run";

/// The codec for Chat Completions.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat {
    quirks: Quirks,
}

impl OpenAiChat {
    /// The codec for a server with these quirks.
    #[must_use]
    pub const fn new(quirks: Quirks) -> OpenAiChat {
        OpenAiChat { quirks }
    }
}

impl Codec for OpenAiChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self, question: &Question<'_>) -> Result<Request, ModelError> {
        let writer = Writer::new(&self.quirks, question);
        let entries_bytes: usize = question.entries.iter().map(Entry::shown_bytes).sum();
        let mut body = Vec::with_capacity(2048 + question.system.len() + entries_bytes * 5 / 4);
        json::object(&mut body);
        json::member(&mut body, "model", question.model);
        writer.options(&mut body)?;
        writer.tools(&mut body)?;
        writer.messages(&mut body);
        if question.tool_use == ToolUse::Forbidden && !question.tools.is_empty() {
            json::member(&mut body, "tool_choice", "none");
        }
        json::end_object(&mut body);
        let path = "/chat/completions".into();
        Ok(Request { method: Method::Post, path, headers: headers(), credential: BEARER, body })
    }

    fn reader(&self, head: Head<'_>) -> Box<dyn Reader> {
        Box::new(Answer::new(head, Box::new(ChatDialect::new(self.quirks.carried))))
    }

    fn list_request(&self) -> Request {
        models_request()
    }

    fn list(&self, head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
        models(head, body)
    }
}

/// Where every server of this family wants its key.
pub(crate) const BEARER: Credential = Credential { header: "authorization", prefix: "Bearer " };

pub(crate) fn headers() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}

/// `GET /models`.
pub(crate) fn models_request() -> Request {
    Request { method: Method::Get, path: "/models".into(), headers: Vec::new(), credential: BEARER, body: Vec::new() }
}

/// Reads a list of models: an object with `data`, or the array alone. The window has a different name at each server.
pub(crate) fn models(head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
    const WINDOWS: [&str; 5] =
        ["context_length", "context_window", "max_model_len", "max_context_length", "max_input_tokens"];
    if !is_success(head.status) {
        return Err(failure::http(head.status, head.retry_after_ms, body));
    }
    let list = json::parse(body).ok_or_else(|| failure::foreign(body))?;
    let models = match &list {
        Value::Array(models) => models.as_slice(),
        _ if list.get("data").is_some_and(Value::is_array) => json::items(&list, "data"),
        _ => return Err(failure::malformed(body)),
    };
    let named = models.iter().filter(|model| !json::text(model, "id").is_empty());
    let info = |model: &Value| {
        let window = WINDOWS.iter().map(|name| json::count(model, name)).find(|window| *window > 0);
        let trained = model.pointer("/meta/n_ctx_train").and_then(Value::as_u64);
        let window_tokens = window.or(trained).and_then(|window| u32::try_from(window).ok());
        ModelInfo { name: json::text(model, "id").to_owned(), window_tokens }
    };
    Ok(named.map(info).collect())
}

/// Writes one question.
struct Writer<'a> {
    quirks: Quirks,
    question: &'a Question<'a>,
    model: OpenAiModel<'a>,
}

impl<'a> Writer<'a> {
    fn new(quirks: &Quirks, question: &'a Question<'a>) -> Writer<'a> {
        let mut quirks = *quirks;
        if question.model.contains("stral") {
            // The chat templates of Mistral's models want this wherever they are served.
            quirks.after_tools = AfterTools::ModelSpeaks;
            quirks.call_ids = CallIds::Nine;
        }
        Writer { quirks, question, model: OpenAiModel::of(question.model) }
    }

    fn is_ruled(&self) -> bool {
        self.quirks.openai_rules == OpenAiRules::Hold && self.model.reasons()
    }

    fn options(&self, out: &mut Vec<u8>) -> Result<(), ModelError> {
        let options = self.question.options;
        if options.delivery == Delivery::Streamed {
            json::key(out, "stream");
            json::raw(out, "true");
            if self.quirks.stream_usage == StreamUsage::WhenAsked {
                json::key(out, "stream_options");
                json::raw(out, r#"{"include_usage":true}"#);
            }
        }
        if let Some(tokens) = options.output_tokens_max {
            let is_new = self.is_ruled() || self.quirks.output_limit == OutputLimit::MaxCompletionTokens;
            json::key(out, if is_new { "max_completion_tokens" } else { "max_tokens" });
            json::number(out, u64::from(tokens));
        }
        if let (Some(temperature), false) = (options.temperature, self.is_ruled()) {
            json::key(out, "temperature");
            json::float(out, temperature);
        }
        if self.quirks.caching == Caching::AskedOfAnthropic && self.question.model.starts_with("anthropic/") {
            json::key(out, "cache_control");
            json::raw(out, r#"{"type":"ephemeral"}"#);
        }
        self.effort(out)?;
        self.structure(out)
    }

    fn effort(&self, out: &mut Vec<u8>) -> Result<(), ModelError> {
        let mut effort = self.model.effort(self.question.options.effort);
        if self.is_ruled() && self.model.wants_responses_for_tools() && !self.question.tools.is_empty() {
            if !self.model.takes_no_effort() {
                let what = format!("{} takes tools only through the Responses API", self.question.model);
                return Err(failure::unsupported(&what, "use the provider `openai` instead of `openai-chat`"));
            }
            effort = Some("none");
        }
        let Some(effort) = effort else { return Ok(()) };
        match self.quirks.effort {
            EffortField::ReasoningEffort => json::member(out, "reasoning_effort", effort),
            EffortField::Reasoning => {
                json::key(out, "reasoning");
                json::object(out);
                json::member(out, "effort", effort);
                json::end_object(out);
            }
            EffortField::Thinking => {
                let is_least = self.question.options.effort == Effort::Minimal;
                json::key(out, "thinking");
                json::raw(out, if is_least { r#"{"type":"disabled"}"# } else { r#"{"type":"enabled"}"# });
            }
        }
        Ok(())
    }

    fn structure(&self, out: &mut Vec<u8>) -> Result<(), ModelError> {
        let Some(schema) = &self.question.options.schema else { return Ok(()) };
        let fitted = fit(schema, "the answer")?;
        json::key(out, "response_format");
        if self.quirks.structure == Structure::Object {
            json::raw(out, r#"{"type":"json_object"}"#);
            return Ok(());
        }
        json::object(out);
        json::member(out, "type", "json_schema");
        json::key(out, "json_schema");
        json::object(out);
        json::member(out, "name", "answer");
        json::key(out, "schema");
        json::raw(out, &fitted.text);
        if fitted.strictness == Strictness::Strict {
            json::key(out, "strict");
            json::raw(out, "true");
        }
        json::end_object(out);
        json::end_object(out);
        Ok(())
    }

    fn tools(&self, out: &mut Vec<u8>) -> Result<(), ModelError> {
        if self.question.tools.is_empty() {
            return Ok(());
        }
        json::key(out, "tools");
        json::array(out);
        for tool in self.question.tools {
            json::object(out);
            json::member(out, "type", "function");
            json::key(out, "function");
            json::object(out);
            json::member(out, "name", &tool.name);
            json::member(out, "description", &tool.description);
            json::key(out, "parameters");
            if self.quirks.strictness == Strictness::Strict {
                let fitted = fit(&tool.input, &tool.name)?;
                json::raw(out, &fitted.text);
                if fitted.strictness == Strictness::Strict {
                    json::key(out, "strict");
                    json::raw(out, "true");
                }
            } else {
                json::raw(out, as_it_is(&tool.input, &tool.name)?);
            }
            json::end_object(out);
            json::end_object(out);
        }
        json::end_array(out);
        Ok(())
    }

    fn messages(&self, out: &mut Vec<u8>) {
        json::key(out, "messages");
        json::array(out);
        self.instructions(out);
        for exchange in exchanges(self.question.entries) {
            if let Some(turn) = exchange.turn {
                self.assistant(out, turn);
            }
            let mut has_results = false;
            for (call, result) in exchange.calls() {
                has_results = true;
                json::object(out);
                json::member(out, "role", "tool");
                json::member(out, "tool_call_id", &self.call_id(&call.id));
                json::member(out, "content", &result.map_or(Cow::Borrowed(NEVER_RAN), told));
                json::end_object(out);
            }
            self.user(out, &exchange, has_results);
        }
        json::end_array(out);
    }

    fn instructions(&self, out: &mut Vec<u8>) {
        let schema = self.question.options.schema.as_ref().filter(|_| self.quirks.structure == Structure::Object);
        if self.question.system.is_empty() && schema.is_none() {
            return;
        }
        let is_developer = self.quirks.instructions == Instructions::Developer && self.model.reasons();
        json::object(out);
        json::member(out, "role", if is_developer { "developer" } else { "system" });
        json::key(out, "content");
        out.push(b'"');
        json::escaped(out, self.question.system);
        if let Some(schema) = schema {
            json::escaped(out, "\n\nAnswer with one JSON object that satisfies this JSON Schema:\n");
            json::escaped(out, schema);
        }
        out.push(b'"');
        json::end_object(out);
    }

    fn assistant(&self, out: &mut Vec<u8>, turn: ModelTurn<'_>) {
        let has_text = turn.parts.iter().any(|part| matches!(part, Part::Text(text) if !is_blank(text)));
        let has_calls = turn.parts.iter().any(|part| matches!(part, Part::Call(_)));
        if !has_text && !has_calls {
            return;
        }
        json::object(out);
        json::member(out, "role", "assistant");
        json::key(out, "content");
        if has_text || self.quirks.after_tools == AfterTools::ModelSpeaks {
            out.push(b'"');
            for part in turn.parts {
                if let Part::Text(text) = part {
                    json::escaped(out, text);
                }
            }
            out.push(b'"');
        } else {
            json::raw(out, "null");
        }
        self.carried(out, turn, has_calls);
        if has_calls {
            self.calls(out, turn.parts);
        }
        json::end_object(out);
    }

    fn carried(&self, out: &mut Vec<u8>, turn: ModelTurn<'_>, has_calls: bool) {
        let field = match self.quirks.carried {
            CarriedField::Nothing => return,
            CarriedField::ReasoningContent => "{\"reasoning_content\":",
            CarriedField::ReasoningDetails => "{\"reasoning_details\":",
        };
        let kept = turn.parts.iter().find_map(|part| match part {
            Part::Carried(text) if turn.codec == NAME && text.starts_with(field) && json::is_object(text) => {
                text.strip_suffix('}')
            }
            _ => None,
        });
        if let Some(kept) = kept {
            json::raw(out, &kept[1..]);
        } else if has_calls && self.quirks.carried == CarriedField::ReasoningContent {
            // A server that thinks refuses calls without the field, and takes it empty.
            json::member(out, "reasoning_content", "");
        }
    }

    fn calls(&self, out: &mut Vec<u8>, parts: &[Part]) {
        json::key(out, "tool_calls");
        json::array(out);
        for part in parts {
            let Part::Call(call) = part else { continue };
            json::object(out);
            json::member(out, "id", &self.call_id(&call.id));
            json::member(out, "type", "function");
            json::key(out, "function");
            json::object(out);
            json::member(out, "name", &json::tool_name(&call.name));
            json::member(out, "arguments", &json::input_text(&call.input));
            json::end_object(out);
            json::end_object(out);
        }
        json::end_array(out);
    }

    fn user(&self, out: &mut Vec<u8>, exchange: &Exchange<'_>, has_results: bool) {
        let said = Said::of(exchange);
        if said.texts.is_empty() && said.images.is_empty() {
            return;
        }
        if has_results && self.quirks.after_tools == AfterTools::ModelSpeaks {
            json::object(out);
            json::member(out, "role", "assistant");
            json::member(out, "content", BRIDGE);
            json::end_object(out);
        }
        json::object(out);
        json::member(out, "role", "user");
        json::key(out, "content");
        if said.images.is_empty() {
            json::string(out, &said.texts.join("\n\n"));
        } else {
            json::array(out);
            for text in &said.texts {
                json::object(out);
                json::member(out, "type", "text");
                json::member(out, "text", text);
                json::end_object(out);
            }
            for image in said.images {
                json::object(out);
                json::member(out, "type", "image_url");
                json::key(out, "image_url");
                json::object(out);
                json::key(out, "url");
                json::base64(out, &format!("data:{};base64,", image.media_type), &image.bytes);
                json::end_object(out);
                json::end_object(out);
            }
            json::end_array(out);
        }
        json::end_object(out);
    }

    fn call_id<'b>(&self, id: &'b str) -> Cow<'b, str> {
        match self.quirks.call_ids {
            CallIds::Any => Cow::Borrowed(id),
            CallIds::Nine => nine(id),
        }
    }
}

/// What the side of the person says between two turns of the model.
pub(crate) struct Said<'a> {
    pub(crate) texts: Vec<Cow<'a, str>>,
    pub(crate) images: Vec<&'a Image>,
}

impl<'a> Said<'a> {
    pub(crate) fn of(exchange: &Exchange<'a>) -> Said<'a> {
        let mut said = Said { texts: Vec::new(), images: Vec::new() };
        for tool in exchange.strays() {
            said.stray(tool);
        }
        for entry in exchange.said {
            match entry {
                Entry::Person { text, images, .. } => {
                    said.text(text);
                    said.images.extend(images.iter());
                }
                Entry::Note { text, .. } => said.text(text),
                Entry::Tool(tool) => said.stray(tool),
                Entry::Model { .. } => {}
            }
        }
        said
    }

    fn text(&mut self, text: &'a str) {
        if !is_blank(text) {
            self.texts.push(Cow::Borrowed(text));
        }
    }

    /// A result whose call is not in the transcript any more.
    fn stray(&mut self, tool: &ToolEntry) {
        self.texts.push(Cow::Owned(format!("Result of an earlier call of {}:\n{}", tool.name, told(tool))));
    }
}

/// What the model is told of a result, in formats that have no mark for a failed one.
pub(crate) fn told(tool: &ToolEntry) -> Cow<'_, str> {
    let shown = tool.shown();
    match tool.outcome {
        ToolOutcome::Done if shown.is_empty() => Cow::Borrowed(EMPTY_OUTPUT),
        ToolOutcome::Done => Cow::Borrowed(shown),
        ToolOutcome::Failed => Cow::Owned(format!("error: {shown}")),
    }
}

/// An id of nine letters and digits: the id itself if it is one, else its FNV-1a hash in base 36.
fn nine(id: &str) -> Cow<'_, str> {
    const LEN: usize = 9;
    if id.len() == LEN && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let digits = (0..LEN).map(|_| {
        let digit = char::from_digit((hash % 36) as u32, 36).unwrap_or('0');
        hash /= 36;
        digit
    });
    Cow::Owned(digits.collect())
}
