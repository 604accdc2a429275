//! The format of OpenAI's Responses API, used without the server keeping anything.
//!
//! Sources: OpenAI API reference ("Responses", "Streaming events"); guides "Reasoning models" (encrypted reasoning
//! items go back whole, directly before the item they came before) and "Structured model outputs".

mod reader;

use std::borrow::Cow;

use aether_core::model::{
    Codec, Delivery, Effort, Head, Method, ModelError, ModelInfo, Part, Question, Reader, Request, ToolUse,
};
use aether_core::transcript::Entry;

use crate::answer::Answer;
use crate::json;
use crate::openai_chat::{BEARER, NEVER_RAN, Said, headers, models, models_request, told};
use crate::openai_models::OpenAiModel;
use crate::schema::{Strictness, fit};
use crate::turn::{ModelTurn, exchanges, is_blank, unmarked};
use reader::ResponsesDialect;

/// The codec's name.
pub(crate) const NAME: &str = "openai_responses";

/// The fewest tokens the API lets an answer be limited to.
pub const OUTPUT_TOKENS_MAX_LEAST: u32 = 16;

/// What marks the phase of a message among what is carried.
const PHASE: &str = "phase:";

/// The codec for the Responses API.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiResponses;

impl OpenAiResponses {
    /// The codec. What a model takes or refuses is told from its name.
    #[must_use]
    pub const fn new() -> OpenAiResponses {
        OpenAiResponses
    }
}

impl Codec for OpenAiResponses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self, question: &Question<'_>) -> Result<Request, ModelError> {
        let entries_bytes: usize = question.entries.iter().map(Entry::shown_bytes).sum();
        let mut body = Vec::with_capacity(2048 + question.system.len() + entries_bytes * 5 / 4);
        let out = &mut body;
        json::object(out);
        json::member(out, "model", question.model);
        write_options(out, question)?;
        write_tools(out, question)?;
        if !question.system.is_empty() {
            json::member(out, "instructions", question.system);
        }
        write_input(out, question);
        if question.tool_use == ToolUse::Forbidden && !question.tools.is_empty() {
            json::member(out, "tool_choice", "none");
        }
        json::end_object(out);
        Ok(Request { method: Method::Post, path: "/responses".into(), headers: headers(), credential: BEARER, body })
    }

    fn reader(&self, head: Head<'_>) -> Box<dyn Reader> {
        Box::new(Answer::new(head, Box::new(ResponsesDialect::default())))
    }

    fn list_request(&self) -> Request {
        models_request()
    }

    fn list(&self, head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
        models(head, body)
    }
}

fn write_options(out: &mut Vec<u8>, question: &Question<'_>) -> Result<(), ModelError> {
    let options = question.options;
    let model = OpenAiModel::of(question.model);
    json::key(out, "store");
    json::raw(out, "false");
    if options.delivery == Delivery::Streamed {
        json::key(out, "stream");
        json::raw(out, "true");
    }
    if let Some(tokens) = options.output_tokens_max {
        json::key(out, "max_output_tokens");
        json::number(out, u64::from(tokens.max(OUTPUT_TOKENS_MAX_LEAST)));
    }
    if let (Some(temperature), false) = (options.temperature, model.reasons()) {
        json::key(out, "temperature");
        json::float(out, temperature);
    }
    if model.reasons() {
        json::key(out, "include");
        json::raw(out, r#"["reasoning.encrypted_content"]"#);
        if let (Some(effort), true) = (model.effort(options.effort), options.effort != Effort::Unset) {
            json::key(out, "reasoning");
            json::object(out);
            json::member(out, "effort", effort);
            json::end_object(out);
        }
    }
    if let Some(schema) = &options.schema {
        let fitted = fit(schema, "the answer")?;
        json::key(out, "text");
        json::object(out);
        json::key(out, "format");
        json::object(out);
        json::member(out, "type", "json_schema");
        json::member(out, "name", "answer");
        json::key(out, "schema");
        json::raw(out, &fitted.text);
        write_strictness(out, fitted.strictness);
        json::end_object(out);
        json::end_object(out);
    }
    Ok(())
}

/// Both values are said: where nothing is said the API takes a schema strictly.
fn write_strictness(out: &mut Vec<u8>, strictness: Strictness) {
    json::key(out, "strict");
    json::raw(out, if strictness == Strictness::Strict { "true" } else { "false" });
}

fn write_tools(out: &mut Vec<u8>, question: &Question<'_>) -> Result<(), ModelError> {
    if question.tools.is_empty() {
        return Ok(());
    }
    json::key(out, "tools");
    json::array(out);
    for tool in question.tools {
        let fitted = fit(&tool.input, &tool.name)?;
        json::object(out);
        json::member(out, "type", "function");
        json::member(out, "name", &tool.name);
        json::member(out, "description", &tool.description);
        json::key(out, "parameters");
        json::raw(out, &fitted.text);
        write_strictness(out, fitted.strictness);
        json::end_object(out);
    }
    json::end_array(out);
    Ok(())
}

fn write_input(out: &mut Vec<u8>, question: &Question<'_>) {
    json::key(out, "input");
    json::array(out);
    for exchange in exchanges(question.entries) {
        if let Some(turn) = exchange.turn {
            write_turn(out, question.model, turn);
        }
        for (call, result) in exchange.calls() {
            json::object(out);
            json::member(out, "type", "function_call_output");
            json::member(out, "call_id", &call.id);
            json::member(out, "output", &result.map_or(Cow::Borrowed(NEVER_RAN), told));
            json::end_object(out);
        }
        write_said(out, &Said::of(&exchange));
    }
    json::end_array(out);
}

/// The items of one turn. What is carried waits for the item it stands before, without which the API refuses it.
fn write_turn(out: &mut Vec<u8>, model: &str, turn: ModelTurn<'_>) {
    let mut waiting: Vec<&str> = Vec::new();
    let mut phase = None;
    for part in turn.parts {
        match part {
            Part::Carried(_) if turn.codec != NAME => {}
            Part::Carried(text) => match (text.strip_prefix(PHASE), unmarked(text, model)) {
                (Some(name), _) => phase = Some(name),
                (None, Some(item)) => waiting.push(item),
                (None, None) => {}
            },
            Part::Text(text) if is_blank(text) => {}
            Part::Text(text) => {
                write_waiting(out, &mut waiting);
                json::object(out);
                json::member(out, "role", "assistant");
                json::member(out, "content", text);
                if let Some(phase) = phase.take() {
                    json::member(out, "phase", phase);
                }
                json::end_object(out);
            }
            Part::Call(call) => {
                write_waiting(out, &mut waiting);
                json::object(out);
                json::member(out, "type", "function_call");
                json::member(out, "call_id", &call.id);
                json::member(out, "name", &json::tool_name(&call.name));
                json::member(out, "arguments", &json::input_text(&call.input));
                json::end_object(out);
            }
        }
    }
}

fn write_waiting(out: &mut Vec<u8>, waiting: &mut Vec<&str>) {
    for item in waiting.drain(..) {
        json::raw(out, item);
    }
}

fn write_said(out: &mut Vec<u8>, said: &Said<'_>) {
    if said.texts.is_empty() && said.images.is_empty() {
        return;
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
            json::member(out, "type", "input_text");
            json::member(out, "text", text);
            json::end_object(out);
        }
        for image in &said.images {
            json::object(out);
            json::member(out, "type", "input_image");
            json::key(out, "image_url");
            json::base64(out, &format!("data:{};base64,", image.media_type), &image.bytes);
            json::member(out, "detail", "auto");
            json::end_object(out);
        }
        json::end_array(out);
    }
    json::end_object(out);
}
