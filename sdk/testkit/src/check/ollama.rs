//! Ollama's `/api/chat` (docs.ollama.com, "Generate a chat message").
//!
//! The real server drops unknown fields in silence. Here they are refused, because one that is dropped is a
//! mistake of the client; so are tool results that answer no call.

use serde_json::Value;

use super::{Ask, Verdict, is_base64, text, unknown};
use crate::refusal::Refusal;

const FIELDS: [&str; 10] =
    ["model", "messages", "tools", "stream", "format", "options", "keep_alive", "think", "logprobs", "top_logprobs"];
const OPTIONS: [&str; 29] = [
    "numa",
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "low_vram",
    "vocab_only",
    "use_mmap",
    "use_mlock",
    "num_thread",
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "top_p",
    "min_p",
    "tfs_z",
    "typical_p",
    "repeat_last_n",
    "temperature",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "penalize_newline",
    "stop",
    "f16_kv",
];

pub(super) fn check(ask: &Ask<'_>) -> Verdict {
    let Value::Object(body) = ask.body else { return Err(Refusal::bad("invalid character in request body")) };
    if let Some(key) = unknown(body, &FIELDS) {
        return Err(Refusal::bad(format!("unknown field {key:?}")));
    }
    if ask.model().is_empty() {
        return Err(Refusal::bad("model is required"));
    }
    if let Some(options) = body.get("options") {
        let Some(options) = options.as_object() else {
            return Err(mismatch("options", options, "map[string]interface {}"));
        };
        if let Some(key) = unknown(options, &OPTIONS) {
            return Err(Refusal::bad(format!("invalid option provided: {key:?}")));
        }
    }
    match body.get("format") {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(Value::String(word)) if word == "json" || word.is_empty() => {}
        Some(other) => {
            return Err(Refusal::bad(format!("invalid format: {other}; expected \"json\" or a JSON Schema")));
        }
    }
    match body.get("think") {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(Value::String(level)) if ["low", "medium", "high", "max"].contains(&level.as_str()) => {}
        Some(other) => {
            return Err(Refusal::bad(format!(
                "invalid think value: {other} (must be \"high\", \"medium\", \"low\", \"max\", true, or false)"
            )));
        }
    }
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        self::tool(tool)?;
    }
    messages(body.get("messages").unwrap_or(&Value::Null))
}

fn mismatch(field: &str, found: &Value, wanted: &str) -> Refusal {
    let kind = match found {
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    Refusal::bad(format!("json: cannot unmarshal {kind} into Go struct field ChatRequest.{field} of type {wanted}"))
}

fn tool(tool: &Value) -> Verdict {
    let function = tool.get("function").unwrap_or(&Value::Null);
    let parameters = function.get("parameters");
    if text(tool, "type") != Some("function") || text(function, "name").is_none_or(str::is_empty) {
        return Err(Refusal::bad("a tool needs type \"function\" and function.name"));
    }
    match parameters {
        Some(parameters) if text(parameters, "type") != Some("object") => {
            Err(Refusal::bad("function.parameters must be a schema of type \"object\""))
        }
        _ => Ok(()),
    }
}

fn messages(messages: &Value) -> Verdict {
    let Some(messages) = messages.as_array().filter(|messages| !messages.is_empty()) else {
        return Err(Refusal::bad("messages is required"));
    };
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        let role = text(message, "role").unwrap_or_default();
        if !["system", "user", "assistant", "tool"].contains(&role) {
            return Err(Refusal::bad(format!(
                "invalid role: {role:?}, must be one of [\"system\", \"user\", \"assistant\", \"tool\"]"
            )));
        }
        let known = ["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"];
        if let Some(key) = message.as_object().and_then(|map| unknown(map, &known)) {
            return Err(Refusal::bad(format!("unknown field \"messages.{key}\"")));
        }
        if message.get("content").is_some_and(|content| !content.is_string()) {
            return Err(mismatch("messages.content", &message["content"], "string"));
        }
        for image in message.get("images").and_then(Value::as_array).into_iter().flatten() {
            if !image.as_str().is_some_and(is_base64) {
                return Err(Refusal::bad("illegal base64 data at input byte 0"));
            }
        }
        if role == "tool" {
            let name = text(message, "tool_name").unwrap_or_default();
            let Some(at) = open.iter().position(|open| *open == name) else {
                return Err(Refusal::bad(format!("tool result of {name:?} answers no tool call")));
            };
            open.remove(at);
            continue;
        }
        if let Some(name) = open.first() {
            return Err(Refusal::bad(format!("tool call of {name:?} has no result")));
        }
        open = calls(message)?;
    }
    match open.first() {
        Some(name) => Err(Refusal::bad(format!("tool call of {name:?} has no result"))),
        None => Ok(()),
    }
}

fn calls(message: &Value) -> Result<Vec<&str>, Refusal> {
    let mut names = Vec::new();
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = call.get("function").unwrap_or(&Value::Null);
        match function.get("arguments") {
            Some(Value::Object(_)) => {}
            Some(other) => {
                return Err(mismatch("messages.tool_calls.function.arguments", other, "api.ToolCallFunctionArguments"));
            }
            None => return Err(Refusal::bad("messages.tool_calls.function.arguments is required")),
        }
        names.push(text(function, "name").unwrap_or_default());
    }
    Ok(names)
}
