//! OpenAI Responses (API reference, "Create a model response"; reasoning guide, "Keeping reasoning items in context").

use serde_json::{Map, Value};

use super::chat::{self, Family, missing, unknown_parameter};
use super::schema::Mode;
use super::{Ask, Verdict, text, unknown};
use crate::marks;
use crate::refusal::Refusal;

const FIELDS: [&str; 33] = [
    "access_programs",
    "background",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
const INCLUDES: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

pub(super) fn check(ask: &Ask<'_>) -> Verdict {
    let Value::Object(body) = ask.body else {
        return Err(Refusal::bad("We could not parse the JSON body of your request."));
    };
    if let Some(key) = unknown(body, &FIELDS) {
        return Err(unknown_parameter(key));
    }
    if ask.model().is_empty() {
        return Err(missing("model"));
    }
    if let Some(id) = text(ask.body, "previous_response_id") {
        return Err(Refusal::bad(format!("Previous response with id '{id}' not found."))
            .at("previous_response_id")
            .code("previous_response_not_found"));
    }
    if body.get("max_output_tokens").is_some_and(|max| !max.is_null() && max.as_u64().is_none_or(|max| max < 16)) {
        return Err(Refusal::bad("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.")
            .at("max_output_tokens")
            .code("integer_below_min_value"));
    }
    if body.contains_key("stream_options") && body.get("stream") != Some(&Value::Bool(true)) {
        return Err(Refusal::bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
            .at("stream_options"));
    }
    for (index, include) in body.get("include").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if !include.as_str().is_some_and(|word| INCLUDES.contains(&word)) {
            return Err(Refusal::bad(format!("Invalid value: {include}."))
                .at(format!("include[{index}]"))
                .code("invalid_value"));
        }
    }
    by_family(body, ask.model())?;
    tools(body)?;
    format(body)?;
    input(ask, body)
}

fn by_family(body: &Map<String, Value>, model: &str) -> Verdict {
    let family = chat::family(model);
    let reasoning = body.get("reasoning").filter(|value| !value.is_null());
    let effort = reasoning.and_then(|reasoning| reasoning.get("effort")).filter(|effort| !effort.is_null());
    if let Some(key) = reasoning
        .and_then(Value::as_object)
        .and_then(|map| unknown(map, &["effort", "summary", "generate_summary", "context", "mode"]))
    {
        return Err(unknown_parameter(&format!("reasoning.{key}")));
    }
    if family == Family::Plain && effort.is_some() {
        return Err(Refusal::bad("Unsupported parameter: 'reasoning.effort' is not supported with this model.")
            .at("reasoning.effort")
            .code("unsupported_parameter"));
    }
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    let floor = if family == Family::Relentless { 2 } else { 0 };
    if let Some(word) = effort.filter(|effort| !effort.as_str().is_some_and(|word| efforts[floor..].contains(&word))) {
        return Err(Refusal::bad(format!(
            "Unsupported value: {word} is not supported with the '{model}' model. Supported values are: {}.",
            efforts[floor..].join(", ")
        ))
        .at("reasoning.effort")
        .code("unsupported_value"));
    }
    let silent = effort.is_some_and(|effort| effort == "none");
    let reasons = matches!(family, Family::Reasoning | Family::Late | Family::Relentless);
    if let Some(key) =
        ["temperature", "top_p"].into_iter().find(|key| body.contains_key(*key)).filter(|_| reasons && !silent)
    {
        return Err(Refusal::bad(format!("Unsupported parameter: '{key}' is not supported with this model."))
            .at(key)
            .code("unsupported_parameter"));
    }
    let sealed = body
        .get("include")
        .and_then(Value::as_array)
        .is_some_and(|include| include.iter().any(|word| word == "reasoning.encrypted_content"));
    if sealed && family == Family::Plain {
        return Err(Refusal::bad("Encrypted content is not supported with this model.").at("include"));
    }
    Ok(())
}

fn tools(body: &Map<String, Value>) -> Verdict {
    let mut names = Vec::new();
    for (index, tool) in body.get("tools").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = format!("tools[{index}]");
        if text(tool, "type") != Some("function") {
            return Err(Refusal::bad(format!("Invalid value: '{}'.", text(tool, "type").unwrap_or_default()))
                .at(format!("{place}.type"))
                .code("invalid_value"));
        }
        let known = [
            "type",
            "name",
            "description",
            "parameters",
            "strict",
            "async",
            "allowed_callers",
            "defer_loading",
            "output_schema",
        ];
        if let Some(key) = tool.as_object().and_then(|map| unknown(map, &known)) {
            return Err(unknown_parameter(&format!("{place}.{key}")));
        }
        let Some(name) = text(tool, "name") else { return Err(missing(&format!("{place}.name"))) };
        chat::function_name(name, &format!("{place}.name"))?;
        // What is left out is strict.
        let mode = match tool.get("strict") {
            Some(Value::Bool(false) | Value::Null) => Mode::Loose,
            _ => Mode::Strict,
        };
        let Some(parameters) = tool.get("parameters") else { return Err(missing(&format!("{place}.parameters"))) };
        chat::parameters_schema(name, parameters, mode, &format!("{place}.parameters"))?;
        names.push(name);
    }
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else { return Ok(()) };
    let word = choice.as_str().is_some_and(|word| ["none", "auto", "required"].contains(&word));
    let named =
        text(choice, "type") == Some("function") && text(choice, "name").is_some_and(|name| names.contains(&name));
    if word && (!names.is_empty() || choice != "required") || named {
        return Ok(());
    }
    Err(Refusal::bad("Tool choice 'function' must be specified with 'tools' parameter.").at("tool_choice"))
}

fn format(body: &Map<String, Value>) -> Verdict {
    let Some(config) = body.get("text").and_then(Value::as_object) else { return Ok(()) };
    if let Some(key) = unknown(config, &["format", "verbosity"]) {
        return Err(unknown_parameter(&format!("text.{key}")));
    }
    let Some(format) = config.get("format") else { return Ok(()) };
    match text(format, "type") {
        Some("text" | "json_object") => Ok(()),
        Some("json_schema") => {
            let known = ["type", "name", "schema", "strict", "description"];
            if let Some(key) = format.as_object().and_then(|map| unknown(map, &known)) {
                return Err(unknown_parameter(&format!("text.format.{key}")));
            }
            chat::format_schema(format, "text.format")
        }
        other => Err(Refusal::bad(format!(
            "Invalid value: '{}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            other.unwrap_or_default()
        ))
        .at("text.format.type")
        .code("invalid_value")),
    }
}

fn input(ask: &Ask<'_>, body: &Map<String, Value>) -> Verdict {
    let items = match body.get("input") {
        Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(items)) if !items.is_empty() => items,
        _ => return Err(missing("input")),
    };
    for (at, item) in items.iter().enumerate() {
        match kind(item) {
            "message" => message(item, at)?,
            "function_call" => call(item, at)?,
            "function_call_output" => output(item, at, items)?,
            "reasoning" => reasoning(ask, item, at, items)?,
            other => {
                return Err(Refusal::bad(format!("Invalid value: '{other}'."))
                    .at(format!("input[{at}].type"))
                    .code("invalid_value"));
            }
        }
        needs_reasoning(item, &items[..at])?;
    }
    for call in items.iter().filter(|item| kind(item) == "function_call") {
        let id = text(call, "call_id").unwrap_or_default();
        let answered =
            items.iter().any(|item| kind(item) == "function_call_output" && text(item, "call_id") == Some(id));
        if !answered {
            return Err(Refusal::bad(format!("No tool output found for function call {id}.")).at("input"));
        }
    }
    Ok(())
}

fn kind(item: &Value) -> &str {
    match text(item, "type") {
        Some(kind) => kind,
        None if item.get("role").is_some() => "message",
        None => "",
    }
}

fn id_starts(item: &Value, at: usize, prefix: &str) -> Verdict {
    match text(item, "id") {
        Some(id) if !id.starts_with(prefix) => Err(Refusal::bad(format!(
            "Invalid 'input[{at}].id': '{id}'. Expected an ID that begins with '{}'.",
            prefix.trim_end_matches('_')
        ))
        .at(format!("input[{at}].id"))
        .code("invalid_value")),
        _ => Ok(()),
    }
}

fn message(item: &Value, at: usize) -> Verdict {
    let role = text(item, "role").unwrap_or_default();
    if !["user", "assistant", "system", "developer"].contains(&role) {
        return Err(Refusal::bad(format!(
            "Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
        ))
        .at(format!("input[{at}].role"))
        .code("invalid_value"));
    }
    if let Some(key) =
        item.as_object().and_then(|map| unknown(map, &["type", "role", "content", "id", "status", "phase"]))
    {
        return Err(unknown_parameter(&format!("input[{at}].{key}")));
    }
    id_starts(item, at, "msg_")?;
    let parts = match item.get("content") {
        Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(parts)) => parts,
        _ => return Err(missing(&format!("input[{at}].content"))),
    };
    for (index, part) in parts.iter().enumerate() {
        let place = format!("input[{at}].content[{index}]");
        content_part(part, role, &place)?;
    }
    Ok(())
}

fn content_part(part: &Value, role: &str, place: &str) -> Verdict {
    let kind = text(part, "type").unwrap_or_default();
    let supported = if role == "assistant" {
        "'output_text' and 'refusal'"
    } else {
        "'input_text', 'input_image', and 'input_file'"
    };
    let right = if role == "assistant" { "output_text" } else { "input_text" };
    match kind {
        kind if kind == right => text(part, "text").map(drop).ok_or_else(|| missing(&format!("{place}.text"))),
        "refusal" if role == "assistant" => Ok(()),
        "input_image" if role == "user" => {
            chat::image_url(text(part, "image_url").unwrap_or_default(), &format!("{place}.image_url"))
        }
        _ => Err(Refusal::bad(format!("Invalid value: '{kind}'. Supported values are: {supported}."))
            .at(format!("{place}.type"))
            .code("invalid_value")),
    }
}

fn call(item: &Value, at: usize) -> Verdict {
    let known = ["type", "id", "call_id", "name", "arguments", "status", "async", "caller", "namespace"];
    if let Some(key) = item.as_object().and_then(|map| unknown(map, &known)) {
        return Err(unknown_parameter(&format!("input[{at}].{key}")));
    }
    id_starts(item, at, "fc_")?;
    for key in ["call_id", "name", "arguments"] {
        if text(item, key).is_none() {
            return Err(missing(&format!("input[{at}].{key}")));
        }
    }
    chat::function_name(text(item, "name").unwrap_or_default(), &format!("input[{at}].name"))
}

fn output(item: &Value, at: usize, items: &[Value]) -> Verdict {
    let known = ["type", "id", "call_id", "output", "status", "caller", "name", "namespace"];
    if let Some(key) = item.as_object().and_then(|map| unknown(map, &known)) {
        return Err(unknown_parameter(&format!("input[{at}].{key}")));
    }
    let Some(id) = text(item, "call_id") else { return Err(missing(&format!("input[{at}].call_id"))) };
    match item.get("output") {
        Some(Value::String(_)) => {}
        Some(Value::Array(parts)) => {
            let place = |index| format!("input[{at}].output[{index}]");
            parts.iter().enumerate().try_for_each(|(index, part)| content_part(part, "user", &place(index)))?;
        }
        _ => return Err(missing(&format!("input[{at}].output"))),
    }
    let mut calls = items[..at].iter().filter(|item| kind(item) == "function_call");
    if calls.any(|call| text(call, "call_id") == Some(id)) {
        return Ok(());
    }
    Err(Refusal::bad(format!("No tool call found for function call output with call_id {id}.")).at("input"))
}

fn reasoning(ask: &Ask<'_>, item: &Value, at: usize, items: &[Value]) -> Verdict {
    if let Some(key) = item
        .as_object()
        .and_then(|map| unknown(map, &["type", "id", "summary", "content", "encrypted_content", "status"]))
    {
        return Err(unknown_parameter(&format!("input[{at}].{key}")));
    }
    let Some(id) = text(item, "id") else { return Err(missing(&format!("input[{at}].id"))) };
    id_starts(item, at, "rs_")?;
    if !item.get("summary").is_some_and(Value::is_array) {
        return Err(missing(&format!("input[{at}].summary")));
    }
    match text(item, "encrypted_content") {
        Some(sealed) if sealed == marks::sealed(id) => {}
        Some(_) => {
            return Err(Refusal::bad(format!(
                "The encrypted content for item {id} could not be verified. Reason: Encrypted content could not be \
                 decrypted or parsed."
            ))
            .code("invalid_encrypted_content"));
        }
        None if ask.body.get("store") == Some(&Value::Bool(false)) => {
            return Err(Refusal::new(404, format!(
                "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with \
                 `store` set to true, or remove this item from your input."
            )).at("input"));
        }
        None => {}
    }
    let follows = items.get(at + 1).is_some_and(|next| {
        matches!(kind(next), "function_call" | "reasoning") || text(next, "role") == Some("assistant")
    });
    if follows {
        return Ok(());
    }
    Err(Refusal::bad(format!("Item '{id}' of type 'reasoning' was provided without its required following item."))
        .at("input"))
}

/// An item of ours that was issued after reasoning bears that item's number and an `r`.
fn needs_reasoning(item: &Value, before: &[Value]) -> Verdict {
    let id = text(item, "id").unwrap_or_default();
    let number = id.strip_prefix("fc_").or(id.strip_prefix("msg_")).and_then(|rest| rest.split_once('r'));
    let Some((number, _)) = number else { return Ok(()) };
    let wanted = format!("rs_{number}");
    let mut own = before.iter().rev().take_while(|item| {
        matches!(kind(item), "function_call" | "reasoning") || text(item, "role") == Some("assistant")
    });
    if own.any(|item| text(item, "id") == Some(&wanted)) {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "Item '{id}' of type '{}' was provided without its required 'reasoning' item: '{wanted}'.",
        kind(item)
    ))
    .at("input"))
}
