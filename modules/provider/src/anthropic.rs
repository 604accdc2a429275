//! The format of Anthropic's Messages API, revision 2026-10-21.
//!
//! Sources: Claude Platform documentation ("Messages", "Streaming Messages", "Tool use", "Prompt caching",
//! "Structured outputs", "Preserved thinking", "Migrate to 2026-10-21"). Three facts shape this file:
//!
//! - Every `tool_use` block wants its `tool_result` at the head of the next message, so a transcript is written
//!   in exchanges, and a call that never ran is answered all the same.
//! - A thinking block goes back exactly as it came, to the model that made it, and (from 5.1 on) only while
//!   nothing before it has changed. A folded tool result or a note changes it, so blocks after one stay out.
//! - A cache reads what it wrote only if the bytes are the same, so the cache marks are one on the fixed prefix
//!   and the automatic one: no mark moves within the messages.

mod models;
mod reader;
mod strict;

use std::borrow::Cow;

use aether_core::model::{
    Codec, Credential, Delivery, Effort, Head, Method, ModelError, ModelInfo, Part, Question, Reader, Request, ToolUse,
};
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};

use crate::outline::{Item, Kind, Outline};
use crate::turn::{Exchange, ModelTurn, exchanges, is_blank, unmarked};
use crate::{EMPTY_OUTPUT, failure, json};
use models::{Model, Thinking};

/// The codec's name.
pub(crate) const NAME: &str = "anthropic";

/// The revision of the API, sent with every request.
pub const REVISION: &str = "2026-10-21";

/// The most tokens an answer may have where the question says nothing; the API wants a number.
pub const OUTPUT_TOKENS_MAX_DEFAULT: u32 = 16_384;

/// The same where the model is to think hard, for thinking counts.
pub const OUTPUT_TOKENS_MAX_DEFAULT_HIGH: u32 = 32_768;

/// How many models one list has at most: the most the API gives at once.
const LIST_LEN_MAX: u32 = 1000;

const NEVER_RAN: &str = "this call was not run";
const CACHE_MARK: &str = r#"{"type":"ephemeral"}"#;

/// The codec for Anthropic's Messages API and the servers that copy it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

impl Anthropic {
    /// The codec. What a model takes or refuses is told from its name.
    #[must_use]
    pub const fn new() -> Anthropic {
        Anthropic
    }
}

impl Codec for Anthropic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self, question: &Question<'_>) -> Result<Request, ModelError> {
        let entries_bytes: usize = question.entries.iter().map(Entry::shown_bytes).sum();
        let mut body = Vec::with_capacity(1024 + question.system.len() + entries_bytes * 5 / 4);
        let model = Model::named(question.model);
        let plan = Plan::of(question, model);
        json::object(&mut body);
        json::member(&mut body, "model", question.model);
        write_system(&mut body, question);
        write_tools(&mut body, question, model)?;
        write_messages(&mut body, question, &plan)?;
        write_options(&mut body, question, model, &plan)?;
        json::end_object(&mut body);
        Ok(Request { method: Method::Post, path: "/v1/messages".into(), headers: headers(), credential: KEY, body })
    }

    fn reader(&self, head: Head<'_>) -> Box<dyn Reader> {
        reader::new(head)
    }

    fn list_request(&self) -> Request {
        Request {
            method: Method::Get,
            path: format!("/v1/models?limit={LIST_LEN_MAX}"),
            headers: vec![("anthropic-version", REVISION.into())],
            credential: KEY,
            body: Vec::new(),
        }
    }

    fn list(&self, head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
        reader::list(head, body)
    }
}

const KEY: Credential = Credential { header: "x-api-key", prefix: "" };

fn headers() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".into()), ("anthropic-version", REVISION.into())]
}

/// What the options come to for this model and this transcript.
struct Plan<'a> {
    model: &'a str,
    output_tokens_max: u32,
    thinking: Thinking,
    /// Thinking blocks of turns at and after this place stay out.
    carried_end: usize,
}

impl<'a> Plan<'a> {
    fn of(question: &Question<'a>, model: Model) -> Plan<'a> {
        let effort = question.options.effort;
        let by_default = match effort {
            Effort::High => OUTPUT_TOKENS_MAX_DEFAULT_HIGH,
            _ => OUTPUT_TOKENS_MAX_DEFAULT,
        };
        let output_tokens_max = question.options.output_tokens_max.unwrap_or(by_default);
        let mut plan = Plan {
            model: question.model,
            output_tokens_max,
            thinking: model.thinking(effort, output_tokens_max),
            carried_end: usize::MAX,
        };
        if model.binds_thinking() {
            plan.carried_end = question.entries.iter().position(is_change).unwrap_or(usize::MAX);
        }
        if model.misses_thinking() && !plan.has_all_thinking(question.entries) {
            plan.thinking = Thinking::Unsaid;
        }
        if plan.thinking == Thinking::Disabled {
            plan.carried_end = 0;
        }
        plan
    }

    /// The block to write back, unless it must stay out.
    fn carried<'b>(&self, turn: ModelTurn<'_>, carried: &'b str) -> Option<&'b str> {
        let is_own = turn.codec == NAME && turn.index < self.carried_end;
        if is_own { unmarked(carried, self.model) } else { None }
    }

    /// Whether each tool call since the person last spoke still has the thinking that led to it.
    fn has_all_thinking(&self, entries: &[Entry]) -> bool {
        let since = entries.iter().rposition(|entry| matches!(entry, Entry::Person { .. } | Entry::Note { .. }));
        let since = since.map_or(0, |place| place + 1);
        entries[since..].iter().enumerate().all(|(n, entry)| {
            let Entry::Model { parts, codec } = entry else { return true };
            let has_call = parts.iter().any(|part| matches!(part, Part::Call(_)));
            let turn = ModelTurn { index: since + n, parts, codec };
            let has_thinking = match parts.first() {
                Some(Part::Carried(carried)) => self.carried(turn, carried).is_some(),
                _ => false,
            };
            !has_call || has_thinking
        })
    }
}

/// Whether an entry stands where something else stood when a later turn was made.
fn is_change(entry: &Entry) -> bool {
    match entry {
        Entry::Tool(tool) => tool.folded.is_some(),
        Entry::Note { .. } => true,
        Entry::Person { .. } | Entry::Model { .. } => false,
    }
}

fn write_system(out: &mut Vec<u8>, question: &Question<'_>) {
    if is_blank(question.system) {
        return;
    }
    json::key(out, "system");
    json::array(out);
    json::object(out);
    json::member(out, "type", "text");
    json::member(out, "text", question.system);
    json::key(out, "cache_control");
    json::raw(out, CACHE_MARK);
    json::end_object(out);
    json::end_array(out);
}

fn write_tools(out: &mut Vec<u8>, question: &Question<'_>, model: Model) -> Result<(), ModelError> {
    if question.tools.is_empty() {
        return Ok(());
    }
    // The system text comes after the tools in the cached prefix, so its mark covers them.
    let is_marked = is_blank(question.system);
    let mut room = if model.has_schemas() { strict::Room::of_request() } else { strict::Room::none() };
    json::key(out, "tools");
    json::array(out);
    for (n, tool) in question.tools.iter().enumerate() {
        let outline = Outline::of(&tool.input);
        let schema = outline.as_ref().map(Outline::root).filter(|schema| describes_object(*schema));
        let Some(schema) = schema else {
            let what = format!("the input schema of tool {} describes no JSON object", tool.name);
            return Err(failure::unsupported(&what, "correct the tool's manifest"));
        };
        json::object(out);
        json::member(out, "name", &tool.name);
        if !is_blank(&tool.description) {
            json::member(out, "description", &tool.description);
        }
        json::key(out, "input_schema");
        match schema.get("type") {
            Some(_) => json::raw(out, &tool.input),
            None => write_typed(out, &tool.input, schema),
        }
        if room.takes(schema) {
            json::key(out, "strict");
            json::raw(out, "true");
        }
        if is_marked && n + 1 == question.tools.len() {
            json::key(out, "cache_control");
            json::raw(out, CACHE_MARK);
        }
        json::end_object(out);
    }
    json::end_array(out);
    Ok(())
}

fn describes_object(schema: Item<'_, '_>) -> bool {
    schema.kind() == Kind::Object && schema.get("type").is_none_or(|kind| kind.is_text("object"))
}

/// Writes a schema that does not say what it describes: the API wants it said.
fn write_typed(out: &mut Vec<u8>, text: &str, schema: Item<'_, '_>) {
    json::object(out);
    json::member(out, "type", "object");
    let members = text.trim().trim_start_matches('{');
    if schema.members().next().is_some() {
        json::raw(out, members);
    } else {
        json::end_object(out);
    }
}

fn write_messages(out: &mut Vec<u8>, question: &Question<'_>, plan: &Plan<'_>) -> Result<(), ModelError> {
    json::key(out, "messages");
    json::array(out);
    let mut is_answered = false;
    for exchange in exchanges(question.entries) {
        if let Some(turn) = exchange.turn.filter(ModelTurn::says_something) {
            if !is_answered {
                write_words(out);
            }
            write_model(out, turn, plan);
            is_answered = false;
        }
        is_answered |= write_person(out, &exchange)?;
    }
    if !is_answered {
        write_words(out);
    }
    json::end_array(out);
    Ok(())
}

/// The API wants the first and the last word to be the person's.
fn write_words(out: &mut Vec<u8>) {
    message(out, "user", |out| write_text(out, "Go on."));
}

/// Writes a message, unless `content` writes nothing. Says whether there is one.
fn message(out: &mut Vec<u8>, role: &str, content: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    json::object(out);
    json::member(out, "role", role);
    json::key(out, "content");
    json::array(out);
    let empty = out.len();
    content(out);
    if out.len() == empty {
        out.truncate(start);
        return false;
    }
    json::end_array(out);
    json::end_object(out);
    true
}

fn write_model(out: &mut Vec<u8>, turn: ModelTurn<'_>, plan: &Plan<'_>) {
    message(out, "assistant", |out| {
        let mut position = 0;
        for part in turn.parts {
            match part {
                Part::Text(text) => write_text(out, text),
                Part::Carried(carried) => {
                    if let Some(block) = plan.carried(turn, carried) {
                        json::raw(out, block);
                    }
                }
                Part::Call(call) => {
                    write_call(out, turn, position, call);
                    position += 1;
                }
            }
        }
    });
}

fn write_call(out: &mut Vec<u8>, turn: ModelTurn<'_>, position: usize, call: &ToolCall) {
    json::object(out);
    json::member(out, "type", "tool_use");
    json::member(out, "id", &call_id(turn, position, &call.id));
    json::member(out, "name", &json::tool_name(&call.name));
    json::key(out, "input");
    json::input_object(out, &call.input);
    json::end_object(out);
}

/// The id of a call as the API accepts it: `[a-zA-Z0-9_-]+`, and no two alike in a conversation. Other
/// providers' ids are neither, so their calls are numbered by their places.
fn call_id<'a>(turn: ModelTurn<'_>, position: usize, id: &'a str) -> Cow<'a, str> {
    let is_plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if turn.codec == NAME && is_plain {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("turn_{}_call_{position}", turn.index))
}

fn write_person(out: &mut Vec<u8>, exchange: &Exchange<'_>) -> Result<bool, ModelError> {
    let mut refused = Ok(());
    let is_written = message(out, "user", |out| {
        if let Some(turn) = exchange.turn {
            for (position, (call, tool)) in exchange.calls().enumerate() {
                write_result(out, &call_id(turn, position, &call.id), tool);
            }
        }
        for tool in exchange.strays() {
            write_stray(out, tool);
        }
        for entry in exchange.said {
            match entry {
                Entry::Person { text, images, .. } => {
                    for image in images {
                        if let Err(error) = write_image(out, image) {
                            refused = Err(error);
                        }
                    }
                    write_text(out, text);
                }
                Entry::Note { text, .. } => write_text(out, text),
                Entry::Tool(tool) => write_stray(out, tool),
                Entry::Model { .. } => {}
            }
        }
    });
    refused.map(|()| is_written)
}

fn write_result(out: &mut Vec<u8>, id: &str, tool: Option<&ToolEntry>) {
    let (text, outcome) = match tool {
        Some(tool) => (tool.shown(), tool.outcome),
        None => (NEVER_RAN, ToolOutcome::Failed),
    };
    json::object(out);
    json::member(out, "type", "tool_result");
    json::member(out, "tool_use_id", id);
    json::member(out, "content", if is_blank(text) { EMPTY_OUTPUT } else { text });
    if outcome == ToolOutcome::Failed {
        json::key(out, "is_error");
        json::raw(out, "true");
    }
    json::end_object(out);
}

/// A result whose call is not in the transcript any more.
fn write_stray(out: &mut Vec<u8>, tool: &ToolEntry) {
    write_text(out, &format!("Result of {}:\n{}", tool.name, tool.shown()));
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    if is_blank(text) {
        return;
    }
    json::object(out);
    json::member(out, "type", "text");
    json::member(out, "text", text);
    json::end_object(out);
}

fn write_image(out: &mut Vec<u8>, image: &Image) -> Result<(), ModelError> {
    if !matches!(&*image.media_type, "image/png" | "image/jpeg" | "image/gif" | "image/webp") {
        let what = format!("Anthropic takes no image of type {}", image.media_type);
        return Err(failure::unsupported(&what, "convert it to PNG, JPEG, GIF or WebP"));
    }
    json::object(out);
    json::member(out, "type", "image");
    json::key(out, "source");
    json::object(out);
    json::member(out, "type", "base64");
    json::member(out, "media_type", &image.media_type);
    json::key(out, "data");
    json::base64(out, "", &image.bytes);
    json::end_object(out);
    json::end_object(out);
    Ok(())
}

fn write_options(out: &mut Vec<u8>, question: &Question<'_>, model: Model, plan: &Plan<'_>) -> Result<(), ModelError> {
    json::key(out, "max_tokens");
    json::number(out, u64::from(plan.output_tokens_max));
    if question.options.delivery == Delivery::Streamed {
        json::key(out, "stream");
        json::raw(out, "true");
    }
    write_thinking(out, plan.thinking);
    write_output_config(out, question, model)?;
    if question.tool_use == ToolUse::Forbidden && !question.tools.is_empty() {
        json::key(out, "tool_choice");
        json::raw(out, r#"{"type":"none"}"#);
    }
    if model.is_claude() {
        json::key(out, "cache_control");
        json::raw(out, CACHE_MARK);
    }
    Ok(())
}

fn write_thinking(out: &mut Vec<u8>, thinking: Thinking) {
    let text = match thinking {
        Thinking::Unsaid => return,
        Thinking::Disabled => r#"{"type":"disabled"}"#,
        Thinking::BetweenTools => r#"{"type":"between_tools"}"#,
        // Without this word the newest models think in silence, and their words between calls are silent too.
        Thinking::Adaptive => r#"{"type":"adaptive","display":"summarized"}"#,
        Thinking::Enabled { budget_tokens } => {
            json::key(out, "thinking");
            json::object(out);
            json::member(out, "type", "enabled");
            json::key(out, "budget_tokens");
            json::number(out, u64::from(budget_tokens));
            return json::end_object(out);
        }
    };
    json::key(out, "thinking");
    json::raw(out, text);
}

fn write_output_config(out: &mut Vec<u8>, question: &Question<'_>, model: Model) -> Result<(), ModelError> {
    let effort = model.effort(question.options.effort);
    if effort.is_none() && question.options.schema.is_none() {
        return Ok(());
    }
    json::key(out, "output_config");
    json::object(out);
    if let Some(effort) = effort {
        json::member(out, "effort", effort);
    }
    if let Some(schema) = &question.options.schema {
        if !model.has_schemas() {
            let what = format!("model {} takes no schema for its answer", question.model);
            return Err(failure::unsupported(&what, "use Claude 4.5 or later, or leave the schema out"));
        }
        json::key(out, "format");
        json::object(out);
        json::member(out, "type", "json_schema");
        json::key(out, "schema");
        json::value(out, &strict::for_output(schema)?);
        json::end_object(out);
    }
    json::end_object(out);
    Ok(())
}
