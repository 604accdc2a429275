//! The format of Google's Gemini API, `generateContent` of `v1beta`.
//!
//! Sources: Gemini API documentation ("Generating content", "Function calling", "Thought signatures",
//! "Thinking", "Structured output") and the types of the Google Gen AI SDK. Three facts shape this file:
//!
//! - A turn with calls wants exactly one response for each, in the content that follows it, and no other part
//!   there: what the person says meanwhile is a content of its own.
//! - From Gemini 3 on, the first call of a turn must carry the signature it came with; for calls that another
//!   model made, the documentation names a word to send in its place.
//! - A server gives its calls ids only lately. Where it gives none, calls are numbered within their turn, and
//!   such a number is never sent.

mod models;
mod reader;

use std::borrow::Cow;

use aether_core::model::{
    Codec, Credential, Delivery, Head, Method, ModelError, ModelInfo, Part, Question, Reader, Request, ToolUse,
};
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};

use crate::outline::{Kind, Outline};
use crate::turn::{Exchange, ModelTurn, exchanges, is_blank, unmarked};
use crate::{EMPTY_OUTPUT, failure, json};
use models::{Model, Thinking};

/// The codec's name.
pub(crate) const NAME: &str = "gemini";

/// What the documentation gives for calls that another model made ("Thought signatures", questions).
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// How many models one list has at most: the most the API gives at once.
const LIST_LEN_MAX: u32 = 1000;

/// How the ids begin that the reader makes up; the call's number in its turn follows.
const MADE_ID: &str = "call_";

/// How many digits such a number has at most: an id that is longer is a server's.
const MADE_ID_DIGITS_MAX: usize = 4;

const NEVER_RAN: &str = "this call was not run";
const KEY: Credential = Credential { header: "x-goog-api-key", prefix: "" };

/// The codec for Google's Gemini API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

impl Gemini {
    /// The codec. What a model takes or refuses is told from its name.
    #[must_use]
    pub const fn new() -> Gemini {
        Gemini
    }
}

impl Codec for Gemini {
    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self, question: &Question<'_>) -> Result<Request, ModelError> {
        let entries_bytes: usize = question.entries.iter().map(Entry::shown_bytes).sum();
        let mut body = Vec::with_capacity(1024 + question.system.len() + entries_bytes * 5 / 4);
        let model = Model::named(question.model);
        json::object(&mut body);
        write_system(&mut body, question);
        write_tools(&mut body, question)?;
        write_contents(&mut body, question, model)?;
        if question.tool_use == ToolUse::Forbidden && !question.tools.is_empty() {
            json::key(&mut body, "toolConfig");
            json::raw(&mut body, r#"{"functionCallingConfig":{"mode":"NONE"}}"#);
        }
        write_options(&mut body, question, model)?;
        json::end_object(&mut body);
        Ok(Request {
            method: Method::Post,
            path: path(question),
            headers: vec![("content-type", "application/json".into())],
            credential: KEY,
            body,
        })
    }

    fn reader(&self, head: Head<'_>) -> Box<dyn Reader> {
        reader::new(head)
    }

    fn list_request(&self) -> Request {
        Request {
            method: Method::Get,
            path: format!("/v1beta/models?pageSize={LIST_LEN_MAX}"),
            headers: Vec::new(),
            credential: KEY,
            body: Vec::new(),
        }
    }

    fn list(&self, head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError> {
        reader::list(head, body)
    }
}

/// The path names the model, with or without the collection it is in.
fn path(question: &Question<'_>) -> String {
    let mut path = String::from("/v1beta/");
    if !question.model.contains('/') {
        path.push_str("models/");
    }
    for byte in question.model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path.push_str(match question.options.delivery {
        Delivery::Streamed => ":streamGenerateContent?alt=sse",
        Delivery::Whole => ":generateContent",
    });
    path
}

fn write_system(out: &mut Vec<u8>, question: &Question<'_>) {
    if !is_blank(question.system) {
        json::key(out, "systemInstruction");
        json::object(out);
        json::key(out, "parts");
        json::array(out);
        write_text(out, question.system);
        json::end_array(out);
        json::end_object(out);
    }
}

fn write_tools(out: &mut Vec<u8>, question: &Question<'_>) -> Result<(), ModelError> {
    if question.tools.is_empty() {
        return Ok(());
    }
    json::key(out, "tools");
    json::array(out);
    json::object(out);
    json::key(out, "functionDeclarations");
    json::array(out);
    for tool in question.tools {
        let outline = Outline::of(&tool.input).filter(|outline| outline.root().kind() == Kind::Object);
        let Some(outline) = outline else {
            let what = format!("the input schema of tool {} is no JSON object", tool.name);
            return Err(failure::unsupported(&what, "correct the tool's manifest"));
        };
        json::object(out);
        json::member(out, "name", &tool.name);
        json::member(out, "description", &tool.description);
        // A schema without properties is refused; a function without a schema takes none.
        if outline.root().get("properties").is_some_and(|named| named.members().next().is_some()) {
            json::key(out, "parametersJsonSchema");
            json::raw(out, &tool.input);
        }
        json::end_object(out);
    }
    json::end_array(out);
    json::end_object(out);
    json::end_array(out);
    Ok(())
}

fn write_contents(out: &mut Vec<u8>, question: &Question<'_>, model: Model) -> Result<(), ModelError> {
    json::key(out, "contents");
    json::array(out);
    let mut is_answered = false;
    for exchange in exchanges(question.entries) {
        if let Some(turn) = exchange.turn.filter(ModelTurn::says_something) {
            if !is_answered {
                write_words(out);
            }
            write_model(out, turn, question.model, model);
            is_answered = false;
        }
        let has_results = content(out, "user", |out| write_results(out, &exchange));
        let mut refused = Ok(());
        let has_words = content(out, "user", |out| refused = write_said(out, &exchange));
        refused?;
        is_answered |= has_results || has_words;
    }
    if !is_answered {
        write_words(out);
    }
    json::end_array(out);
    Ok(())
}

/// The API wants the first and the last word to be the person's, and one between two turns of the model.
fn write_words(out: &mut Vec<u8>) {
    content(out, "user", |out| write_text(out, "Go on."));
}

/// Writes a content, unless `parts` writes nothing. Says whether there is one.
fn content(out: &mut Vec<u8>, role: &str, parts: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    json::object(out);
    json::member(out, "role", role);
    json::key(out, "parts");
    json::array(out);
    let empty = out.len();
    parts(out);
    if out.len() == empty {
        out.truncate(start);
        return false;
    }
    json::end_array(out);
    json::end_object(out);
    true
}

fn write_model(out: &mut Vec<u8>, turn: ModelTurn<'_>, name: &str, model: Model) {
    content(out, "model", |out| {
        let mut signature = None;
        let mut is_first_call = true;
        for part in turn.parts {
            match part {
                Part::Text(text) => write_text(out, text),
                Part::Carried(carried) if turn.codec == NAME => match unmarked(carried, name) {
                    Some(part) if is_part(part) => json::raw(out, part),
                    Some(members) => signature = Some(members),
                    None => {}
                },
                Part::Carried(_) => {}
                Part::Call(call) => {
                    let needed = is_first_call && model.wants_signatures();
                    write_call(out, turn, call, (signature.take(), needed));
                    is_first_call = false;
                }
            }
        }
    });
}

/// Whether something carried is a part of its own, not a signature that belongs to the call behind it.
fn is_part(carried: &str) -> bool {
    carried.starts_with("{\"text\"")
}

fn write_call(out: &mut Vec<u8>, turn: ModelTurn<'_>, call: &ToolCall, (signature, needed): (Option<&str>, bool)) {
    json::object(out);
    json::key(out, "functionCall");
    json::object(out);
    if let Some(id) = given_id(turn, call) {
        json::member(out, "id", id);
    }
    json::member(out, "name", &function_name(&call.name));
    json::key(out, "args");
    json::input_object(out, &call.input);
    json::end_object(out);
    let members = signature.and_then(|members| members.strip_prefix('{')?.strip_suffix('}'));
    match members.filter(|members| !members.trim().is_empty()) {
        Some(members) => json::raw(out, members),
        None if needed => json::member(out, "thoughtSignature", FOREIGN_SIGNATURE),
        None => {}
    }
    json::end_object(out);
}

/// The id that the server gave a call, if it gave one.
fn given_id<'a>(turn: ModelTurn<'_>, call: &'a ToolCall) -> Option<&'a str> {
    let is_made = call
        .id
        .strip_prefix(MADE_ID)
        .is_some_and(|number| number.len() <= MADE_ID_DIGITS_MAX && number.bytes().all(|byte| byte.is_ascii_digit()));
    let is_given = turn.codec == NAME && !call.id.is_empty() && !is_made;
    is_given.then_some(&call.id)
}

/// A function's name as the API accepts it: it begins with a letter or an underscore.
fn function_name(name: &str) -> Cow<'_, str> {
    let plain = json::tool_name(name);
    if plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return plain;
    }
    Cow::Owned(format!("_{}", &plain[..plain.len().min(json::TOOL_NAME_BYTES_MAX - 1)]))
}

fn write_results(out: &mut Vec<u8>, exchange: &Exchange<'_>) {
    let Some(turn) = exchange.turn else { return };
    for (call, tool) in exchange.calls() {
        let (text, outcome) = match tool {
            Some(tool) => (tool.shown(), tool.outcome),
            None => (NEVER_RAN, ToolOutcome::Failed),
        };
        json::object(out);
        json::key(out, "functionResponse");
        json::object(out);
        if let Some(id) = given_id(turn, call) {
            json::member(out, "id", id);
        }
        json::member(out, "name", &function_name(&call.name));
        json::key(out, "response");
        json::object(out);
        let name = match outcome {
            ToolOutcome::Done => "output",
            ToolOutcome::Failed => "error",
        };
        json::member(out, name, if is_blank(text) { EMPTY_OUTPUT } else { text });
        json::end_object(out);
        json::end_object(out);
        json::end_object(out);
    }
}

fn write_said(out: &mut Vec<u8>, exchange: &Exchange<'_>) -> Result<(), ModelError> {
    for tool in exchange.strays() {
        write_stray(out, tool);
    }
    for entry in exchange.said {
        match entry {
            Entry::Person { text, images, .. } => {
                for image in images {
                    write_image(out, image)?;
                }
                write_text(out, text);
            }
            Entry::Note { text, .. } => write_text(out, text),
            Entry::Tool(tool) => write_stray(out, tool),
            Entry::Model { .. } => {}
        }
    }
    Ok(())
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
    json::member(out, "text", text);
    json::end_object(out);
}

fn write_image(out: &mut Vec<u8>, image: &Image) -> Result<(), ModelError> {
    if !matches!(&*image.media_type, "image/png" | "image/jpeg" | "image/webp" | "image/heic" | "image/heif") {
        let what = format!("Gemini takes no image of type {}", image.media_type);
        return Err(failure::unsupported(&what, "convert it to PNG, JPEG or WebP"));
    }
    json::object(out);
    json::key(out, "inlineData");
    json::object(out);
    json::member(out, "mimeType", &image.media_type);
    json::key(out, "data");
    json::base64(out, "", &image.bytes);
    json::end_object(out);
    json::end_object(out);
    Ok(())
}

fn write_options(out: &mut Vec<u8>, question: &Question<'_>, model: Model) -> Result<(), ModelError> {
    let options = question.options;
    json::key(out, "generationConfig");
    json::object(out);
    if let Some(tokens) = options.output_tokens_max {
        json::key(out, "maxOutputTokens");
        json::number(out, u64::from(tokens));
    }
    if let Some(temperature) = options.temperature.filter(|_| model.takes_temperature()) {
        json::key(out, "temperature");
        json::float(out, temperature);
    }
    write_thinking(out, model.thinking(options.effort));
    if let Some(schema) = &options.schema {
        if !question.tools.is_empty() && !model.joins_tools_and_schema() {
            let what = format!("model {} takes no schema for its answer while it has tools", question.model);
            return Err(failure::unsupported(&what, "use Gemini 3 or later, or leave out the schema or the tools"));
        }
        if !json::is_object(schema) {
            return Err(failure::unsupported("the schema of the answer is no JSON object", "correct the schema"));
        }
        json::member(out, "responseMimeType", "application/json");
        json::key(out, "responseJsonSchema");
        json::raw(out, schema);
    }
    json::end_object(out);
    Ok(())
}

fn write_thinking(out: &mut Vec<u8>, thinking: Option<Thinking>) {
    let Some(thinking) = thinking else { return };
    json::key(out, "thinkingConfig");
    json::object(out);
    match thinking {
        Thinking::Own => {}
        Thinking::Level(level) => json::member(out, "thinkingLevel", level),
        Thinking::Budget(tokens) => {
            json::key(out, "thinkingBudget");
            json::number(out, u64::from(tokens));
        }
    }
    // The API refuses to show thoughts where there are to be none.
    if thinking != Thinking::Budget(0) {
        json::key(out, "includeThoughts");
        json::raw(out, "true");
    }
    json::end_object(out);
}
