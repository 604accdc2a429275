//! What the real providers refuse, rule by rule; one module for each format.

mod anthropic;
mod chat;
mod gemini;
mod ollama;
mod responses;
mod schema;

use serde_json::{Map, Value};

pub(crate) use gemini::camel;

use crate::dialect::Dialect;
use crate::endpoint::{Delivery, InPath};
use crate::http::Request;
use crate::refusal::Refusal;
use crate::script::{Script, Speaker};

/// Whether a request passes.
pub(crate) type Verdict = Result<(), Refusal>;

/// A question with all that the rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// Its format.
    pub(crate) dialect: Dialect,
    /// The request it came in.
    pub(crate) request: &'a Request,
    /// The request's body.
    pub(crate) body: &'a Value,
    /// What the path says.
    pub(crate) in_path: Option<&'a InPath>,
    /// The keys and models that exist.
    pub(crate) script: &'a Script,
    /// Whether a tool call of this id was issued together with reasoning.
    pub(crate) reasoned: &'a dyn Fn(&str) -> bool,
}

impl<'a> Ask<'a> {
    /// The model's name; empty if there is none.
    pub(crate) fn model(&self) -> &'a str {
        match self.in_path {
            Some(in_path) => &in_path.model,
            None => text(self.body, "model").unwrap_or_default(),
        }
    }

    /// How the answer is wanted. Ollama streams unless told not to, all others the other way round.
    pub(crate) fn delivery(&self) -> Delivery {
        match (self.in_path, self.body.get("stream").and_then(Value::as_bool)) {
            (Some(in_path), _) => in_path.delivery,
            (None, Some(true)) => Delivery::Streamed,
            (None, None) if self.dialect == Dialect::Ollama => Delivery::Streamed,
            (None, _) => Delivery::Whole,
        }
    }
}

/// Applies every rule of the format. The key comes first, as with the real providers.
pub(crate) fn check(ask: &Ask<'_>) -> Verdict {
    authorize(ask.dialect, ask.request, ask.script)?;
    match ask.dialect {
        Dialect::Chat => chat::check(ask),
        Dialect::Responses => responses::check(ask),
        Dialect::Anthropic => anthropic::check(ask),
        Dialect::Ollama => ollama::check(ask),
        Dialect::Gemini => gemini::check(ask),
    }?;
    let models = &ask.script.models;
    if models.is_empty() || models.iter().any(|model| model == ask.model()) {
        return Ok(());
    }
    Err(unknown_model(ask.dialect, ask.model()))
}

/// Whether the key is there, in the right header, and known.
pub(crate) fn authorize(dialect: Dialect, request: &Request, script: &Script) -> Verdict {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = match dialect {
        Dialect::Ollama => return Ok(()),
        Dialect::Anthropic => request.header("x-api-key").or(bearer),
        Dialect::Gemini => {
            let (_, query) = request.target.split_once('?').unwrap_or_default();
            let in_query = query.split('&').find_map(|pair| pair.strip_prefix("key="));
            request.header("x-goog-api-key").or(in_query)
        }
        Dialect::Chat | Dialect::Responses => bearer,
    };
    let key = key.filter(|key| !key.is_empty());
    match (dialect, key) {
        (_, Some(key)) if script.keys.is_empty() || script.keys.iter().any(|known| known == key) => Ok(()),
        (Dialect::Anthropic, None) => Err(Refusal::new(401, "x-api-key header is required")),
        (Dialect::Anthropic, Some(_)) => Err(Refusal::new(401, "invalid x-api-key")),
        (Dialect::Gemini, None) => Err(Refusal::new(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API.",
        )),
        (Dialect::Gemini, Some(_)) => {
            Err(Refusal::bad("API key not valid. Please pass a valid API key.").code("API_KEY_INVALID"))
        }
        (_, None) => Err(Refusal {
            kind: "invalid_request_error".to_owned(),
            ..Refusal::new(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization \
                                 header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )
        }),
        (_, Some(_)) => Err(Refusal {
            kind: "invalid_request_error".to_owned(),
            ..Refusal::new(401, "Incorrect API key provided.").code("invalid_api_key")
        }),
    }
}

fn unknown_model(dialect: Dialect, model: &str) -> Refusal {
    match dialect {
        Dialect::Anthropic => Refusal::new(404, format!("model: {model}")),
        Dialect::Ollama => Refusal::new(404, format!("model '{model}' not found")),
        Dialect::Gemini => Refusal::new(
            404,
            format!("models/{model} is not found for API version v1beta, or is not supported for generateContent."),
        ),
        Dialect::Chat | Dialect::Responses => {
            Refusal::new(404, format!("The model `{model}` does not exist or you do not have access to it."))
                .code("model_not_found")
        }
    }
}

/// Who spoke last, and what: the last message's text, or the results of the tools at the end.
pub(crate) fn last_said(dialect: Dialect, body: &Value) -> (Speaker, String) {
    let list = match dialect {
        Dialect::Responses => "input",
        Dialect::Gemini => "contents",
        _ => "messages",
    };
    let Some(said) = body.get(list) else { return (Speaker::User, String::new()) };
    let Value::Array(said) = said else { return (Speaker::User, said.as_str().unwrap_or_default().to_owned()) };
    let mut text = String::new();
    let mut tool = Speaker::User;
    for entry in said.iter().rev() {
        if is_tool_result(entry) {
            tool = Speaker::Tool;
        } else if tool == Speaker::Tool {
            break;
        }
        gather(entry, &mut text);
        if tool == Speaker::User {
            break;
        }
    }
    (tool, text)
}

fn is_tool_result(entry: &Value) -> bool {
    let parts = entry.get("content").or(entry.get("parts")).and_then(Value::as_array);
    text(entry, "role") == Some("tool")
        || text(entry, "type") == Some("function_call_output")
        || parts.is_some_and(|parts| {
            parts.iter().any(|part| text(part, "type") == Some("tool_result") || part.get("functionResponse").is_some())
        })
}

/// Appends every text in `value`, however deep, names and ids aside.
fn gather(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, out)),
        Value::Object(map) => {
            let known = ["content", "text", "output", "parts", "functionResponse", "response"];
            let free = text(value, "role").is_none() && map.keys().all(|key| !known.contains(&key.as_str()));
            for (key, item) in map {
                if free || known.contains(&key.as_str()) {
                    gather(item, out);
                }
            }
        }
        _ => {}
    }
}

/// The text under a key.
fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The first key of `map` that is not known.
fn unknown<'a>(map: &'a Map<String, Value>, known: &[&str]) -> Option<&'a str> {
    map.keys().map(String::as_str).find(|key| !known.contains(key))
}

/// Whether a name consists of 1 to `max` ASCII letters, digits, underscores and hyphens.
fn is_plain_name(name: &str, max: usize) -> bool {
    (1..=max).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether a text is base64 (RFC 4648 section 4) with its padding.
fn is_base64(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - data.len() <= 2
        && data.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
