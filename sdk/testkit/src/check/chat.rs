//! OpenAI Chat Completions (API reference, "Create chat completion"; structured outputs and reasoning guides).

use serde_json::{Map, Value};

use super::schema::{self, Mode};
use super::{Ask, Verdict, is_base64, is_plain_name, text, unknown};
use crate::refusal::Refusal;

const FIELDS: [&str; 37] = [
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
/// Fields that compatible servers know besides: OpenRouter, DeepSeek, vLLM, llama.cpp.
const COMPATIBLE_FIELDS: [&str; 10] = [
    "reasoning",
    "provider",
    "models",
    "usage",
    "thinking",
    "chat_template_kwargs",
    "enable_thinking",
    "top_k",
    "min_p",
    "cache_prompt",
];

/// What a model's name tells about the rules for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// A compatible server's own model.
    Foreign,
    /// OpenAI without reasoning.
    Plain,
    /// OpenAI with reasoning, up to GPT-5.3.
    Reasoning,
    /// GPT-5.4 and later: no tools here while reasoning.
    Late,
    /// GPT-6 Astra, 6.1 Sol, 6.2: like those, and reasoning cannot be switched off.
    Relentless,
}

pub(super) fn family(model: &str) -> Family {
    let starts = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    if starts(&["gpt-6-astra", "gpt-6.1-sol", "gpt-6.2"]) {
        Family::Relentless
    } else if starts(&["gpt-6", "gpt-5.4", "gpt-5.5", "gpt-5.6"]) {
        Family::Late
    } else if starts(&["gpt-5", "o1", "o3", "o4"]) {
        Family::Reasoning
    } else if starts(&["gpt-", "chatgpt-"]) {
        Family::Plain
    } else {
        Family::Foreign
    }
}

pub(super) fn check(ask: &Ask<'_>) -> Verdict {
    let Value::Object(body) = ask.body else {
        return Err(Refusal::bad("We could not parse the JSON body of your request."));
    };
    let family = family(ask.model());
    let known = unknown(body, &FIELDS);
    if let Some(key) = known.filter(|key| family != Family::Foreign || !COMPATIBLE_FIELDS.contains(key)) {
        return Err(Refusal::bad(format!("Unrecognized request argument supplied: {key}")));
    }
    if ask.model().is_empty() {
        return Err(Refusal::bad("you must provide a model parameter"));
    }
    let streamed = body.get("stream") == Some(&Value::Bool(true));
    if body.get("stream_options").is_some_and(|options| !options.is_null()) && !streamed {
        return Err(Refusal::bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
            .at("stream_options"));
    }
    let tools = tools(body)?;
    tool_choice(body, &tools)?;
    by_family(body, ask.model(), family)?;
    response_format(body)?;
    messages(body, family)
}

fn value_fault(param: &str, value: &Value, wanted: &str) -> Refusal {
    Refusal::bad(format!("Invalid value: {value}. Supported values are: {wanted}.")).at(param).code("invalid_value")
}

fn by_family(body: &Map<String, Value>, model: &str, family: Family) -> Verdict {
    let effort = body.get("reasoning_effort").filter(|effort| !effort.is_null());
    if let Some(effort) = effort {
        let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
        if !effort.as_str().is_some_and(|word| efforts.contains(&word)) {
            return Err(value_fault(
                "reasoning_effort",
                effort,
                "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' and 'max'",
            ));
        }
        if family == Family::Plain {
            return Err(Refusal::bad("Unrecognized request argument supplied: reasoning_effort"));
        }
        if family == Family::Relentless && (effort == "none" || effort == "minimal") {
            return Err(Refusal::bad(format!(
                "Unsupported value: 'reasoning_effort' does not support {effort} with this model."
            ))
            .at("reasoning_effort")
            .code("unsupported_value"));
        }
    }
    if matches!(family, Family::Foreign | Family::Plain) {
        return Ok(());
    }
    if body.contains_key("max_tokens") {
        return Err(Refusal::bad(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ).at("max_tokens").code("unsupported_parameter"));
    }
    let silent = effort.is_some_and(|effort| effort == "none");
    for key in ["temperature", "top_p"] {
        let Some(value) = body.get(key).and_then(Value::as_f64) else { continue };
        if !silent && (value - 1.0).abs() > f64::EPSILON {
            return Err(Refusal::bad(format!(
                "Unsupported value: '{key}' does not support {value} with this model. Only the default (1) value is supported."
            )).at(key).code("unsupported_value"));
        }
    }
    let has_tools = body.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
    if has_tools && !silent && matches!(family, Family::Late | Family::Relentless) {
        return Err(Refusal::bad(format!(
            "Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. To use \
             function tools, use /v1/responses or set reasoning_effort to 'none'."
        ))
        .at("reasoning_effort"));
    }
    Ok(())
}

fn tools(body: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    let Some(tools) = body.get("tools") else { return Ok(Vec::new()) };
    let Value::Array(tools) = tools else { return Err(value_fault("tools", tools, "an array")) };
    if tools.is_empty() {
        return Err(Refusal::bad(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an \
                                 empty array instead.",
        )
        .at("tools")
        .code("empty_array"));
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let place = format!("tools[{index}]");
        if text(tool, "type") != Some("function") {
            return Err(value_fault(
                &format!("{place}.type"),
                tool.get("type").unwrap_or(&Value::Null),
                "'function' and 'custom'",
            ));
        }
        let Some(function) = tool.get("function").and_then(Value::as_object) else {
            return Err(missing(&format!("{place}.function")));
        };
        function_fields(function, &place)?;
        names.extend(function.get("name").and_then(Value::as_str));
    }
    Ok(names)
}

fn function_fields(function: &Map<String, Value>, place: &str) -> Verdict {
    if let Some(key) = unknown(function, &["name", "description", "parameters", "strict"]) {
        return Err(unknown_parameter(&format!("{place}.function.{key}")));
    }
    let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
    function_name(name, &format!("{place}.function.name"))?;
    let parameters = function.get("parameters").unwrap_or(&Value::Null);
    let strict = function.get("strict") == Some(&Value::Bool(true));
    let mode = if strict { Mode::Strict } else { Mode::Loose };
    parameters_schema(name, parameters, mode, &format!("{place}.function.parameters"))
}

/// A parameter that must be there and is not.
pub(super) fn missing(param: &str) -> Refusal {
    Refusal::bad(format!("Missing required parameter: '{param}'.")).at(param).code("missing_required_parameter")
}

/// A parameter that does not exist.
pub(super) fn unknown_parameter(param: &str) -> Refusal {
    Refusal::bad(format!("Unknown parameter: '{param}'.")).at(param).code("unknown_parameter")
}

/// Checks a function's name.
pub(super) fn function_name(name: &str, param: &str) -> Verdict {
    if is_plain_name(name, 64) {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
    )).at(param).code("invalid_value"))
}

/// Checks a function's parameters: an object schema, closed and all required where it is strict.
pub(super) fn parameters_schema(name: &str, schema: &Value, mode: Mode, param: &str) -> Verdict {
    let fault = match schema {
        Value::Null => None,
        schema if text(schema, "type") != Some("object") => Some(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
            schema.get("type").unwrap_or(&Value::Null)
        )),
        schema if mode == Mode::Strict => schema::strict_fault(schema),
        _ => None,
    };
    fault.map_or(Ok(()), |fault| {
        Err(Refusal::bad(format!("Invalid schema for function '{name}': {fault}"))
            .at(param)
            .code("invalid_function_parameters"))
    })
}

fn tool_choice(body: &Map<String, Value>, tools: &[&str]) -> Verdict {
    for key in ["tool_choice", "parallel_tool_calls"] {
        if tools.is_empty() && body.get(key).is_some_and(|value| !value.is_null() && value != "none") {
            return Err(Refusal::bad(format!(
                "Invalid value for '{key}': '{key}' is only allowed when 'tools' are specified."
            ))
            .at(key));
        }
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if choice.as_str().is_some_and(|word| ["none", "auto", "required"].contains(&word)) {
        return Ok(());
    }
    let name = choice.get("function").and_then(|function| text(function, "name")).unwrap_or_default();
    if text(choice, "type") == Some("function") && tools.contains(&name) {
        return Ok(());
    }
    Err(Refusal::bad(format!("Tool choice '{name}' not found in 'tools' parameter.")).at("tool_choice"))
}

fn response_format(body: &Map<String, Value>) -> Verdict {
    let Some(format) = body.get("response_format").filter(|format| !format.is_null()) else { return Ok(()) };
    match text(format, "type") {
        Some("text") => Ok(()),
        Some("json_object") => {
            let messages = body.get("messages").map(Value::to_string).unwrap_or_default();
            if messages.to_ascii_lowercase().contains("json") {
                return Ok(());
            }
            Err(Refusal::bad(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                              'json_object'.",
            )
            .at("messages"))
        }
        Some("json_schema") => {
            let Some(inner) = format.get("json_schema") else { return Err(missing("response_format.json_schema")) };
            if let Some(key) =
                inner.as_object().and_then(|map| unknown(map, &["name", "description", "schema", "strict"]))
            {
                return Err(unknown_parameter(&format!("response_format.json_schema.{key}")));
            }
            format_schema(inner, "response_format.json_schema")
        }
        _ => Err(value_fault(
            "response_format.type",
            format.get("type").unwrap_or(&Value::Null),
            "'json_object', 'json_schema', and 'text'",
        )),
    }
}

/// Checks the name and schema of a structured output.
pub(super) fn format_schema(format: &Value, place: &str) -> Verdict {
    let Some(name) = text(format, "name") else { return Err(missing(&format!("{place}.name"))) };
    function_name(name, &format!("{place}.name"))?;
    let schema = format.get("schema").unwrap_or(&Value::Null);
    let strict = format.get("strict") == Some(&Value::Bool(true));
    let fault = if strict { schema::strict_fault(schema) } else { None };
    match fault {
        Some(fault) => Err(Refusal::bad(format!("Invalid schema for response_format '{name}': {fault}")).at(place)),
        None if schema.is_object() => Ok(()),
        None => Err(missing(&format!("{place}.schema"))),
    }
}

fn messages(body: &Map<String, Value>, family: Family) -> Verdict {
    let Some(messages) = body.get("messages") else { return Err(missing("messages")) };
    let Some(messages) = messages.as_array().filter(|messages| !messages.is_empty()) else {
        return Err(Refusal::bad(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
                                 empty array instead.",
        )
        .at("messages")
        .code("empty_array"));
    };
    let mut open: Vec<&str> = Vec::new();
    let mut after_calls = false;
    for (at, message) in messages.iter().enumerate() {
        let param = format!("messages.[{at}].role");
        let role = text(message, "role").unwrap_or_default();
        if role != "tool" && !open.is_empty() {
            return Err(unanswered(&open, at));
        }
        message_fields(message, role, at, family)?;
        if role == "tool" {
            let id = text(message, "tool_call_id").unwrap_or_default();
            if !after_calls {
                return Err(Refusal::bad(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
                                         message with 'tool_calls'.",
                )
                .at(param));
            }
            let Some(known) = open.iter().position(|open| *open == id) else {
                return Err(Refusal::bad(format!(
                    "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of \
                                                 previous message."
                ))
                .at(param));
            };
            open.remove(known);
            continue;
        }
        open = call_ids(message);
        after_calls = !open.is_empty();
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(&open, messages.len())) }
}

fn call_ids(message: &Value) -> Vec<&str> {
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    calls.filter_map(|call| text(call, "id")).collect()
}

fn unanswered(open: &[&str], at: usize) -> Refusal {
    Refusal::bad(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
         following tool_call_ids did not have response messages: {}",
        open.join(", ")
    )).at(format!("messages.[{at}].role"))
}

fn message_fields(message: &Value, role: &str, at: usize, family: Family) -> Verdict {
    let place = format!("messages[{at}]");
    let known: &[&str] = match role {
        "system" | "developer" | "user" => &["role", "content", "name"],
        "assistant" if family == Family::Foreign => {
            &["role", "content", "name", "refusal", "tool_calls", "reasoning_content", "reasoning", "reasoning_details"]
        }
        "assistant" => &["role", "content", "name", "refusal", "audio", "function_call", "tool_calls"],
        "tool" => &["role", "content", "tool_call_id"],
        _ => {
            let found = message.get("role").unwrap_or(&Value::Null);
            return Err(value_fault(
                &format!("{place}.role"),
                found,
                "'system', 'assistant', 'user', 'function', 'tool', and 'developer'",
            ));
        }
    };
    if let Some(key) = message.as_object().and_then(|map| unknown(map, known)) {
        return Err(unknown_parameter(&format!("{place}.{key}")));
    }
    if role == "developer" && family == Family::Foreign {
        return Err(Refusal::bad("unexpected role 'developer', expected one of system, user, assistant, tool"));
    }
    if role == "tool" && text(message, "tool_call_id").is_none_or(str::is_empty) {
        return Err(missing(&format!("{place}.tool_call_id")));
    }
    if role == "assistant" {
        tool_calls(message, &place)?;
    }
    match message.get("content") {
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) if !parts.is_empty() => parts
            .iter()
            .enumerate()
            .try_for_each(|(index, part)| content_part(part, role, &format!("{place}.content[{index}]"))),
        None | Some(Value::Null)
            if role == "assistant" && (message.get("tool_calls").is_some() || message.get("refusal").is_some()) =>
        {
            Ok(())
        }
        _ => Err(Refusal::bad(format!(
            "Invalid value for 'content': expected a string, got {}.",
            message.get("content").map_or("nothing".to_owned(), |value| value.to_string())
        ))
        .at(format!("messages.[{at}].content"))),
    }
}

fn tool_calls(message: &Value, place: &str) -> Verdict {
    let Some(calls) = message.get("tool_calls") else { return Ok(()) };
    let Some(calls) = calls.as_array().filter(|calls| !calls.is_empty()) else {
        return Err(Refusal::bad(format!(
            "Invalid '{place}.tool_calls': empty array. Expected an array with minimum length 1, \
                                         but got an empty array instead."
        ))
        .code("empty_array"));
    };
    for (index, call) in calls.iter().enumerate() {
        let place = format!("{place}.tool_calls[{index}]");
        if text(call, "id").is_none_or(|id| id.is_empty() || id.len() > 64) {
            return Err(missing(&format!("{place}.id")));
        }
        if text(call, "type") != Some("function") {
            return Err(missing(&format!("{place}.type")));
        }
        let function = call.get("function").unwrap_or(&Value::Null);
        function_name(text(function, "name").unwrap_or_default(), &format!("{place}.function.name"))?;
        if text(function, "arguments").is_none() {
            return Err(Refusal::bad(format!("Invalid type for '{place}.function.arguments': expected a string."))
                .code("invalid_type"));
        }
        if let Some(key) = call.as_object().and_then(|map| unknown(map, &["id", "type", "function"])) {
            return Err(unknown_parameter(&format!("{place}.{key}")));
        }
    }
    Ok(())
}

fn content_part(part: &Value, role: &str, place: &str) -> Verdict {
    match text(part, "type") {
        Some("text") if text(part, "text").is_some() => Ok(()),
        Some("refusal") if role == "assistant" => Ok(()),
        Some("image_url") if role == "user" => {
            let url = part.get("image_url").and_then(|image| text(image, "url")).unwrap_or_default();
            image_url(url, &format!("{place}.image_url.url"))
        }
        _ => Err(value_fault(
            &format!("{place}.type"),
            part.get("type").unwrap_or(&Value::Null),
            "'text' and 'image_url'",
        )),
    }
}

/// Checks an image's address: https, or a data URL of base64.
pub(super) fn image_url(url: &str, param: &str) -> Verdict {
    let data = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    if url.starts_with("https://") || data.is_some_and(|(_, data)| is_base64(data)) {
        return Ok(());
    }
    Err(Refusal::bad(
        "Invalid image data: expected a base64-encoded data URL with an image MIME type, or an https URL.",
    )
    .at(param)
    .code("invalid_value"))
}
