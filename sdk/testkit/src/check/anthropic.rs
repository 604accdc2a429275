//! Anthropic Messages, API versions 2023-06-01 and 2026-10-21 (API reference; "Migrating to API version 2026-10-21").

use serde_json::{Map, Value};

use super::{Ask, Verdict, is_plain_name, schema, text, unknown};
use crate::http::Request;
use crate::refusal::Refusal;

mod messages;

const FIELDS: [&str; 18] = [
    "max_tokens",
    "messages",
    "model",
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "metadata",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "user_profile_id",
];
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
/// The most cache marks in a request.
const CACHE_MARKS_MAX: usize = 4;

/// The two API versions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Of2023,
    Of2026,
}

/// How a model's thinking is controlled ("Thinking", "Configuring thinking").
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thinking {
    /// Up to 4.5: `enabled` with a budget, or `disabled`.
    Budget,
    /// 4.6: either way.
    Either,
    /// 4.7 to 5, and Haiku 5.5: `adaptive` or `disabled`.
    Adaptive,
    /// Sonnet 5.5: `adaptive` or `between_tools`.
    BetweenTools,
    /// Opus 5.5, Fable, Mythos: `adaptive` only, and no forced tools.
    Always,
}

fn thinking_of(model: &str) -> Thinking {
    let has = |names: &[&str]| names.iter().any(|name| model.contains(name));
    if has(&["fable", "mythos", "opus-5-5"]) {
        Thinking::Always
    } else if has(&["sonnet-5-5"]) {
        Thinking::BetweenTools
    } else if has(&["-4-6"]) {
        Thinking::Either
    } else if has(&["-3-", "-4-0", "-4-1", "-4-5", "-4-2025"]) {
        Thinking::Budget
    } else {
        Thinking::Adaptive
    }
}

pub(super) fn check(ask: &Ask<'_>) -> Verdict {
    let version = version(ask.request)?;
    let Value::Object(body) = ask.body else { return Err(Refusal::bad("The request body is not valid JSON")) };
    fields(body, version)?;
    let thinking = thinking_of(ask.model());
    thinking_config(body, thinking)?;
    sampling(body, thinking)?;
    output_config(body)?;
    let tools = tools(body)?;
    tool_choice(body, &tools, thinking)?;
    system(body)?;
    let spoken = messages::read(body)?;
    if spoken.last().is_some_and(|spoken| spoken.role == "assistant") && thinking != Thinking::Budget {
        return Err(Refusal::bad(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let uses_tools = spoken.iter().flat_map(|spoken| &spoken.blocks).any(|block| block.kind.starts_with("tool_"));
    if uses_tools && tools.is_empty() {
        return Err(Refusal::bad("Requests which include `tool_use` or `tool_result` blocks must define tools."));
    }
    messages::pairs(&spoken)?;
    messages::carried(ask, &spoken)?;
    cache_marks(body)
}

fn version(request: &Request) -> Result<Version, Refusal> {
    match request.header("anthropic-version") {
        Some("2023-06-01") => Ok(Version::Of2023),
        Some("2026-10-21") => Ok(Version::Of2026),
        Some(other) => Err(Refusal::bad(format!("anthropic-version: \"{other}\" is not a valid version"))),
        None => Err(Refusal::bad("anthropic-version: header is required")),
    }
}

fn extra(place: &str) -> Refusal {
    Refusal::bad(format!("{place}: Extra inputs are not permitted"))
}

fn fields(body: &Map<String, Value>, version: Version) -> Verdict {
    if let Some(key) = unknown(body, &FIELDS).filter(|key| version == Version::Of2026 || !SAMPLING.contains(key)) {
        return Err(extra(key));
    }
    for key in ["model", "messages", "max_tokens"] {
        if !body.contains_key(key) {
            return Err(Refusal::bad(format!("{key}: Field required")));
        }
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Err(Refusal::bad("model: String should have at least 1 character"));
    }
    if body["max_tokens"].as_u64().is_none() {
        return Err(Refusal::bad("max_tokens: Input should be a valid integer"));
    }
    if body.get("stream").is_some_and(|stream| !stream.is_boolean()) {
        return Err(Refusal::bad("stream: Input should be a valid boolean"));
    }
    for sequence in body.get("stop_sequences").and_then(Value::as_array).into_iter().flatten() {
        if sequence.as_str().is_none_or(|text| text.trim().is_empty()) {
            return Err(Refusal::bad("stop_sequences: each stop sequence must contain non-whitespace"));
        }
    }
    Ok(())
}

fn thinking_config(body: &Map<String, Value>, thinking: Thinking) -> Verdict {
    let Some(config) = body.get("thinking") else { return Ok(()) };
    let kind = text(config, "type").unwrap_or_default();
    let known: &[&str] = match kind {
        "enabled" => &["type", "budget_tokens", "display"],
        "adaptive" => &["type", "display"],
        "disabled" | "between_tools" => &["type"],
        _ => {
            return Err(Refusal::bad(format!(
                "thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
             'adaptive', 'between_tools', 'disabled', 'enabled'"
            )));
        }
    };
    if let Some(key) = config.as_object().and_then(|map| unknown(map, known)) {
        return Err(extra(&format!("thinking.{kind}.{key}")));
    }
    let fits = match kind {
        "enabled" => matches!(thinking, Thinking::Budget | Thinking::Either),
        "adaptive" => thinking != Thinking::Budget,
        "between_tools" => thinking == Thinking::BetweenTools,
        _ => !matches!(thinking, Thinking::Always | Thinking::BetweenTools),
    };
    if !fits && kind == "disabled" && thinking == Thinking::BetweenTools {
        return Err(Refusal::bad(
            "To turn thinking off on this model, send \"thinking\": {\"type\": \"between_tools\"}.",
        ));
    }
    if !fits {
        let instead = match thinking {
            Thinking::Budget => "Use \"thinking.type.enabled\" with \"budget_tokens\".",
            _ => "Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
        };
        return Err(Refusal::bad(format!("\"thinking.type.{kind}\" is not supported for this model. {instead}")));
    }
    if kind == "enabled" {
        let budget = config.get("budget_tokens").and_then(Value::as_u64).unwrap_or_default();
        if budget < 1024 {
            return Err(Refusal::bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"));
        }
        if budget >= body["max_tokens"].as_u64().unwrap_or_default() {
            return Err(Refusal::bad("`max_tokens` must be greater than `thinking.budget_tokens`."));
        }
    }
    Ok(())
}

/// Version 2023-06-01 only: the newer one has no such fields.
fn sampling(body: &Map<String, Value>, thinking: Thinking) -> Verdict {
    for key in SAMPLING {
        let Some(value) = body.get(key) else { continue };
        let number = value.as_f64().ok_or_else(|| Refusal::bad(format!("{key}: Input should be a valid number")))?;
        if key == "temperature" && !(0.0..=1.0).contains(&number) {
            return Err(Refusal::bad("temperature: range: 0..1"));
        }
        let usual = key != "top_k" && (number - 1.0).abs() < f64::EPSILON;
        if !usual && !matches!(thinking, Thinking::Budget | Thinking::Either) {
            return Err(Refusal::bad(format!("`{key}` is deprecated for this model.")));
        }
        let on = body.get("thinking").and_then(|config| text(config, "type")).unwrap_or("disabled");
        if !usual && key == "temperature" && on != "disabled" {
            return Err(Refusal::bad(
                "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
            ));
        }
    }
    Ok(())
}

fn output_config(body: &Map<String, Value>) -> Verdict {
    let Some(config) = body.get("output_config") else { return Ok(()) };
    let Some(config) = config.as_object() else {
        return Err(Refusal::bad("output_config: Input should be an object"));
    };
    if let Some(key) = unknown(config, &["effort", "format"]) {
        return Err(extra(&format!("output_config.{key}")));
    }
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    if config.get("effort").is_some_and(|effort| !effort.as_str().is_some_and(|word| efforts.contains(&word))) {
        return Err(Refusal::bad("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"));
    }
    let Some(format) = config.get("format").filter(|format| !format.is_null()) else { return Ok(()) };
    if text(format, "type") != Some("json_schema") {
        return Err(Refusal::bad("output_config.format.type: Input should be 'json_schema'"));
    }
    match format.get("schema") {
        Some(schema) if schema.is_object() && !schema::is_open(schema) => Ok(()),
        Some(schema) if schema.is_object() => Err(Refusal::bad(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        )),
        _ => Err(Refusal::bad("output_config.format.schema: Field required")),
    }
}

fn tools(body: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    let mut names = Vec::new();
    let known = [
        "name",
        "description",
        "input_schema",
        "type",
        "cache_control",
        "strict",
        "allowed_callers",
        "defer_loading",
        "eager_input_streaming",
        "input_examples",
    ];
    for (index, tool) in body.get("tools").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = format!("tools.{index}.custom");
        let Some(map) = tool.as_object() else {
            return Err(Refusal::bad(format!("{place}: Input should be an object")));
        };
        if let Some(kind) = text(tool, "type").filter(|kind| *kind != "custom") {
            return Err(Refusal::bad(format!(
                "tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            )));
        }
        if let Some(key) = unknown(map, &known) {
            return Err(extra(&format!("{place}.{key}")));
        }
        let Some(name) = text(tool, "name") else { return Err(Refusal::bad(format!("{place}.name: Field required"))) };
        if !is_plain_name(name, 128) {
            return Err(Refusal::bad(format!("{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")));
        }
        if names.contains(&name) {
            return Err(Refusal::bad("tools: Tool names must be unique."));
        }
        let Some(schema) = tool.get("input_schema") else {
            return Err(Refusal::bad(format!("{place}.input_schema: Field required")));
        };
        if text(schema, "type") != Some("object") {
            return Err(Refusal::bad(format!("{place}.input_schema.type: Input should be 'object'")));
        }
        if tool.get("strict") == Some(&Value::Bool(true)) && schema::is_open(schema) {
            return Err(Refusal::bad(format!(
                "{place}: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )));
        }
        names.push(name);
    }
    Ok(names)
}

fn tool_choice(body: &Map<String, Value>, tools: &[&str], thinking: Thinking) -> Verdict {
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if tools.is_empty() {
        return Err(Refusal::bad("tool_choice: tool_choice may only be specified while providing tools."));
    }
    let kind = text(choice, "type").unwrap_or_default();
    match kind {
        "auto" | "none" => return Ok(()),
        "any" => {}
        "tool" => {
            let name = text(choice, "name").unwrap_or_default();
            if !tools.contains(&name) {
                return Err(Refusal::bad(format!("tool_choice.name: Tool '{name}' not found in provided tools")));
            }
        }
        _ => {
            return Err(Refusal::bad(format!(
                "tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
             'any', 'auto', 'none', 'tool'"
            )));
        }
    }
    if thinking == Thinking::Always {
        return Err(Refusal::bad("tool_choice: type \"tool\" and \"any\" are not supported for this model."));
    }
    let config = body.get("thinking").and_then(|config| text(config, "type")).unwrap_or_default();
    if matches!(config, "enabled" | "adaptive") {
        return Err(Refusal::bad("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

fn system(body: &Map<String, Value>) -> Verdict {
    match body.get("system") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => {
            for (index, block) in blocks.iter().enumerate() {
                let fits = block
                    .as_object()
                    .is_some_and(|map| unknown(map, &["type", "text", "cache_control", "citations"]).is_none());
                if !fits || text(block, "type") != Some("text") {
                    return Err(Refusal::bad(format!("system.{index}: Input should be a text block")));
                }
                if text(block, "text").is_none_or(str::is_empty) {
                    return Err(Refusal::bad("system: text content blocks must be non-empty"));
                }
            }
            Ok(())
        }
        Some(_) => Err(Refusal::bad("system: Input should be a valid string")),
    }
}

fn cache_marks(body: &Map<String, Value>) -> Verdict {
    let mut count = 0;
    for value in body.iter().filter(|(key, _)| matches!(key.as_str(), "system" | "tools" | "messages")) {
        count_marks(value.1, &mut count)?;
    }
    if let Some(mark) = body.get("cache_control").filter(|mark| !mark.is_null()) {
        count += 1;
        cache_mark(mark)?;
    }
    if count > CACHE_MARKS_MAX {
        return Err(Refusal::bad(format!(
            "A maximum of {CACHE_MARKS_MAX} blocks with cache_control may be provided. Found {count}."
        )));
    }
    Ok(())
}

fn count_marks(value: &Value, count: &mut usize) -> Verdict {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| count_marks(item, count)),
        Value::Object(map) => {
            if let Some(mark) = map.get("cache_control").filter(|mark| !mark.is_null()) {
                *count += 1;
                cache_mark(mark)?;
            }
            map.get("content").map_or(Ok(()), |content| count_marks(content, count))
        }
        _ => Ok(()),
    }
}

fn cache_mark(mark: &Value) -> Verdict {
    let ttl = mark.get("ttl").is_none_or(|ttl| ttl == "5m" || ttl == "1h");
    if text(mark, "type") == Some("ephemeral") && ttl {
        return Ok(());
    }
    Err(Refusal::bad("cache_control: Input should be {\"type\": \"ephemeral\"} with ttl '5m' or '1h'"))
}
