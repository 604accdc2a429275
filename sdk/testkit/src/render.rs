//! Puts a scripted answer into a provider's format, streamed or whole; one module for each format.

mod anthropic;
mod chat;
mod gemini;
mod models;
mod ollama;
mod responses;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::endpoint::Delivery;
use crate::marks::Shown;
use crate::refusal::Refusal;
use crate::script::{Comments, DataLines, End, Failure, Framing, Item, LastLine, LineEnd, Reply, Usage};

pub(crate) use models::models;

/// When every answer was made, in seconds since 1970: 20 November 2026. Fixed, so that the bytes are (S1).
const CREATED_S: u64 = 1_795_132_800;

/// An answer on its way into a format.
#[derive(Clone, Copy)]
pub(crate) struct Saying<'a> {
    /// What is said.
    pub(crate) reply: &'a Reply,
    /// The model's name as it was asked for.
    pub(crate) model: &'a str,
    /// What ids are made of: different for each answer of a server.
    pub(crate) number: u64,
    /// What it cost.
    pub(crate) usage: Usage,
    /// What the request wants to see.
    pub(crate) wishes: Wishes,
}

/// What a request wants to see besides the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wishes {
    /// How it travels.
    pub(crate) delivery: Delivery,
    /// The reasoning; `None`: it is switched off.
    pub(crate) reasoning: Option<Shown>,
    /// Chat: a chunk with the usage. Responses: encrypted reasoning.
    pub(crate) extras: Extras,
}

/// Whether the format's extras were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Extras {
    /// Yes.
    Wanted,
    /// No.
    Unwanted,
}

/// A rendered answer.
#[derive(Debug)]
pub(crate) enum Rendered {
    /// One JSON value.
    Whole(Value),
    /// Events in order.
    Events(Vec<Event>),
    /// It fails before it begins.
    Failed(Refusal),
}

/// One event of a stream, or one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's name, in formats that name them.
    pub(crate) name: Option<&'static str>,
    /// Its data.
    pub(crate) data: String,
    /// How often it is sent.
    pub(crate) times: u32,
}

impl Event {
    fn new(name: Option<&'static str>, data: &Value) -> Event {
        Event { name, data: data.to_string(), times: 1 }
    }
}

/// What a request wants to see.
pub(crate) fn wishes(dialect: Dialect, body: &Value, delivery: Delivery) -> Wishes {
    let flag = |path: &str| body.pointer(path) == Some(&Value::Bool(true));
    let reasoning = match dialect {
        Dialect::Chat => Some(Shown::Whole),
        Dialect::Anthropic => anthropic::shown(body),
        Dialect::Ollama if body.get("think") == Some(&Value::Bool(false)) => None,
        Dialect::Ollama => Some(Shown::Whole),
        Dialect::Responses if body.pointer("/reasoning/summary").is_some_and(Value::is_string) => Some(Shown::Whole),
        Dialect::Gemini if flag("/generationConfig/thinkingConfig/includeThoughts") => Some(Shown::Whole),
        Dialect::Responses | Dialect::Gemini => Some(Shown::Omitted),
    };
    let include = body.get("include").and_then(Value::as_array).into_iter().flatten();
    let extras = match dialect {
        Dialect::Chat => flag("/stream_options/include_usage"),
        Dialect::Responses => include.into_iter().any(|word| word == "reasoning.encrypted_content"),
        _ => false,
    };
    Wishes { delivery, reasoning, extras: if extras { Extras::Wanted } else { Extras::Unwanted } }
}

/// Renders an answer.
pub(crate) fn render(dialect: Dialect, saying: &Saying<'_>) -> Rendered {
    let failure = saying.reply.items.iter().find_map(|item| match item {
        Item::Failure(failure) => Some(failure),
        _ => None,
    });
    if let (Delivery::Whole, Some(failure)) = (saying.wishes.delivery, failure) {
        return Rendered::Failed(refusal(failure));
    }
    match dialect {
        Dialect::Chat => chat::render(saying),
        Dialect::Responses => responses::render(saying),
        Dialect::Anthropic => anthropic::render(saying),
        Dialect::Ollama => ollama::render(saying),
        Dialect::Gemini => gemini::render(saying),
    }
}

/// A scripted failure in the terms of refusals.
pub(crate) fn refusal(failure: &Failure) -> Refusal {
    Refusal {
        status: failure.status,
        kind: failure.kind.clone(),
        message: failure.message.clone(),
        param: None,
        code: failure.code.clone(),
    }
}

/// Why an answer ends, as far as the script does not say.
fn end(reply: &Reply) -> End {
    let calls = reply.items.iter().any(|item| matches!(item, Item::Call { .. }));
    reply.end.clone().unwrap_or(if calls { End::Calls } else { End::Done })
}

/// The word among `[done, calls, length, refused]` for an end.
fn word<'a>(end: &'a End, words: [&'a str; 4]) -> &'a str {
    match end {
        End::Done => words[0],
        End::Calls => words[1],
        End::Length => words[2],
        End::Refused => words[3],
        End::Word(word) => word,
    }
}

/// A call's input as a JSON object; what is none becomes an empty one where a format cannot say it.
fn input_object(fragments: &[String]) -> Value {
    match serde_json::from_str(&fragments.concat()) {
        Ok(Value::Object(map)) => Value::Object(map),
        _ => Value::Object(serde_json::Map::new()),
    }
}

/// The text of an item, repeated as often as it says.
fn whole_text(pieces: &[String], times: u32) -> String {
    pieces.concat().repeat(times as usize)
}

/// What a reply costs when the script does not say: a quarter of a token for each byte.
pub(crate) fn usual_usage(reply: &Reply, body_bytes: usize) -> Usage {
    let (mut said, mut thought) = (0, 0);
    for item in &reply.items {
        match item {
            Item::Text { pieces, times } => said += pieces.iter().map(String::len).sum::<usize>() * *times as usize,
            Item::Reasoning(pieces) => thought += pieces.iter().map(String::len).sum::<usize>(),
            Item::Call { name, fragments, .. } => said += name.len() + fragments.iter().map(String::len).sum::<usize>(),
            Item::Failure(_) => {}
        }
    }
    let tokens = |bytes: usize| (bytes as u64).div_ceil(4);
    Usage {
        input_tokens: tokens(body_bytes),
        output_tokens: tokens(said) + tokens(thought),
        reasoning_tokens: tokens(thought),
        ..Usage::default()
    }
}

/// Writes events as a script asks: the bytes of each, and how often they are sent.
pub(crate) fn framed(dialect: Dialect, events: &[Event], framing: Framing) -> Vec<(Vec<u8>, u32)> {
    let crlf = framing.line_end == LineEnd::CrLf || dialect == Dialect::Gemini;
    let line_end = if crlf { "\r\n" } else { "\n" };
    let mut frames: Vec<(Vec<u8>, u32)> = Vec::with_capacity(events.len());
    for event in events {
        let text = if dialect == Dialect::Ollama {
            format!("{}{line_end}", event.data)
        } else {
            server_sent(event, framing, line_end)
        };
        frames.push((text.into_bytes(), event.times));
    }
    if let (LastLine::Open, Some((last, _))) = (framing.last, frames.last_mut()) {
        while matches!(last.last(), Some(b'\r' | b'\n')) {
            last.pop();
        }
    }
    frames
}

fn server_sent(event: &Event, framing: Framing, line_end: &str) -> String {
    let mut text = String::with_capacity(event.data.len() + 32);
    if framing.comments == Comments::Everywhere {
        text.extend([": keep-alive", line_end, line_end]);
    }
    if let Some(name) = event.name {
        text.extend(["event: ", name, line_end]);
    }
    match (framing.data, event.data.strip_prefix('{')) {
        (DataLines::Two, Some(rest)) => text.extend(["data: {", line_end, "data:", rest]),
        _ => text.extend(["data: ", &event.data]),
    }
    text.extend([line_end, line_end]);
    text
}
