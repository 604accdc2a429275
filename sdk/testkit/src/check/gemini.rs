//! Gemini `generateContent` (API reference v1beta; "Function calling"; "Thought signatures").

use serde_json::{Map, Value};

use super::{Ask, Verdict, is_base64, schema, text, unknown};
use crate::marks;
use crate::refusal::Refusal;

const FIELDS: [&str; 11] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
    "continuationToken",
];
const GENERATION_FIELDS: [&str; 22] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "_responseJsonSchema",
    "thinkingConfig",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseModalities",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "enableEnhancedCivicAnswers",
    "audioTranscriptionConfig",
];
const PART_FIELDS: [&str; 12] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
];

/// The body with its field names in camel case: the API takes both spellings (ProtoJSON, "Field names").
/// What is under the caller's own names, such as arguments and schema properties, keeps them.
pub(crate) fn camel(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(camel).collect(),
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| {
                let key = camel_name(key);
                let value = match key.as_str() {
                    "args" | "response" | "labels" | "parametersJsonSchema" | "responseJsonSchema" => value.clone(),
                    "properties" => own_names(value),
                    _ => camel(value),
                };
                (key, value)
            });
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn own_names(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), camel(value))).collect(),
        other => other.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' && !out.is_empty() {
            raise = true;
        } else if raise {
            out.push(letter.to_ascii_uppercase());
            raise = false;
        } else {
            out.push(letter);
        }
    }
    out
}

fn cannot_find(key: &str, place: &str) -> Refusal {
    let at = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
    Refusal::bad(format!("Invalid JSON payload received. Unknown name \"{key}\"{at}: Cannot find field."))
}

pub(super) fn check(ask: &Ask<'_>) -> Verdict {
    let Value::Object(body) = ask.body else {
        return Err(Refusal::bad("Invalid JSON payload received. Root element must be a message."));
    };
    if let Some(key) = unknown(body, &FIELDS) {
        return Err(cannot_find(key, ""));
    }
    if let Some(instruction) = body.get("systemInstruction") {
        let parts = instruction.get("parts").and_then(Value::as_array);
        if !parts.is_some_and(|parts| !parts.is_empty() && parts.iter().all(|part| text(part, "text").is_some())) {
            return Err(Refusal::bad(
                "* GenerateContentRequest.system_instruction.parts: contents.parts must not be empty.\n",
            ));
        }
    }
    generation(body)?;
    let declared = tools(body)?;
    tool_config(body, &declared)?;
    let contents = body.get("contents").and_then(Value::as_array).filter(|contents| !contents.is_empty());
    let Some(contents) = contents else {
        return Err(Refusal::bad("* GenerateContentRequest.contents: contents is not specified\n"));
    };
    for (at, content) in contents.iter().enumerate() {
        self::content(content, at)?;
    }
    pairs(contents)?;
    signatures(ask.model(), contents)
}

fn generation(body: &Map<String, Value>) -> Verdict {
    let Some(config) = body.get("generationConfig") else { return Ok(()) };
    let Some(config) = config.as_object() else {
        return Err(Refusal::bad("Invalid value at 'generation_config'"));
    };
    if let Some(key) = unknown(config, &GENERATION_FIELDS) {
        return Err(cannot_find(key, "generation_config"));
    }
    let json_schema = config.get("responseJsonSchema").or(config.get("_responseJsonSchema"));
    let schema = config.get("responseSchema");
    if schema.is_some() && json_schema.is_some() {
        return Err(Refusal::bad("Only one of response_schema and response_json_schema may be set."));
    }
    let json = config.get("responseMimeType").is_some_and(|kind| kind == "application/json");
    if (schema.is_some() || json_schema.is_some()) && !json {
        return Err(Refusal::bad("Response schema requires response_mime_type to be set to 'application/json'."));
    }
    if let Some(fault) = schema.and_then(|schema| schema::gemini_fault(schema, "generation_config.response_schema")) {
        return Err(Refusal::bad(fault));
    }
    let Some(thinking) = config.get("thinkingConfig").and_then(Value::as_object) else { return Ok(()) };
    if let Some(key) = unknown(thinking, &["includeThoughts", "thinkingBudget", "thinkingLevel"]) {
        return Err(cannot_find(key, "generation_config.thinking_config"));
    }
    if thinking.contains_key("thinkingBudget") && thinking.contains_key("thinkingLevel") {
        return Err(Refusal::bad("You can only set only one of thinking budget and thinking level."));
    }
    let level = thinking.get("thinkingLevel").and_then(Value::as_str).map(str::to_ascii_uppercase);
    match level.as_deref() {
        None | Some("MINIMAL" | "LOW" | "MEDIUM" | "HIGH" | "XHIGH") => Ok(()),
        Some(other) => Err(Refusal::bad(format!(
            "Invalid value at 'generation_config.thinking_config.thinking_level', \"{other}\""
        ))),
    }
}

fn tools(body: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    let mut names = Vec::new();
    for (at, tool) in body.get("tools").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let known = [
            "functionDeclarations",
            "googleSearch",
            "codeExecution",
            "urlContext",
            "googleMaps",
            "fileSearch",
            "computerUse",
        ];
        if let Some(key) = tool.as_object().and_then(|map| unknown(map, &known)) {
            return Err(cannot_find(key, &format!("tools[{at}]")));
        }
        let list = tool.get("functionDeclarations").and_then(Value::as_array).into_iter().flatten();
        for (index, declaration) in list.enumerate() {
            let place = format!("tools[{at}].function_declarations[{index}]");
            names.push(self::declaration(declaration, &place)?);
        }
    }
    Ok(names)
}

fn declaration<'a>(declaration: &'a Value, place: &str) -> Result<&'a str, Refusal> {
    let known =
        ["name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior"];
    if let Some(key) = declaration.as_object().and_then(|map| unknown(map, &known)) {
        return Err(cannot_find(key, place));
    }
    let name = text(declaration, "name").unwrap_or_default();
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    if !first || !rest || name.len() > 64 {
        return Err(Refusal::bad(format!(
            "* GenerateContentRequest.{place}.name: Invalid function name. Must start with a letter or an underscore. Must be \
             alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.\n"
        )));
    }
    if text(declaration, "description").is_none() {
        return Err(Refusal::bad(format!("* GenerateContentRequest.{place}.description: missing field.\n")));
    }
    if declaration.get("parameters").is_some() && declaration.get("parametersJsonSchema").is_some() {
        return Err(Refusal::bad(format!(
            "* GenerateContentRequest.{place}: only one of parameters and parameters_json_schema may be set.\n"
        )));
    }
    let parameters = declaration.get("parameters");
    match parameters.and_then(|schema| schema::gemini_fault(schema, &format!("{place}.parameters"))) {
        Some(fault) => Err(Refusal::bad(fault)),
        None => Ok(name),
    }
}

fn tool_config(body: &Map<String, Value>, declared: &[&str]) -> Verdict {
    let Some(config) = body.get("toolConfig").and_then(|config| config.get("functionCallingConfig")) else {
        return Ok(());
    };
    if declared.is_empty() {
        return Err(Refusal::bad("Function calling config is set without function_declarations."));
    }
    let mode = text(config, "mode").unwrap_or("AUTO");
    if !["AUTO", "ANY", "NONE", "VALIDATED"].contains(&mode) {
        return Err(Refusal::bad(format!("Invalid value at 'tool_config.function_calling_config.mode', \"{mode}\"")));
    }
    let allowed = config.get("allowedFunctionNames").and_then(Value::as_array);
    if allowed.is_some() && !["ANY", "VALIDATED"].contains(&mode) {
        return Err(Refusal::bad("Allowed function names should only be set when the function calling mode is ANY."));
    }
    match allowed.into_iter().flatten().find(|name| !declared.iter().any(|known| *name == known)) {
        Some(name) => Err(Refusal::bad(format!("allowed_function_names {name} is not in function_declarations"))),
        None => Ok(()),
    }
}

fn content(content: &Value, at: usize) -> Verdict {
    let place = format!("contents[{at}]");
    if let Some(key) = content.as_object().and_then(|map| unknown(map, &["role", "parts"])) {
        return Err(cannot_find(key, &place));
    }
    if !matches!(text(content, "role"), Some("user" | "model")) {
        return Err(Refusal::bad("Please use a valid role: user, model."));
    }
    let parts = content.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
    let Some(parts) = parts else {
        return Err(Refusal::bad(format!(
            "* GenerateContentRequest.{place}.parts: contents.parts must not be empty.\n"
        )));
    };
    for (index, part) in parts.iter().enumerate() {
        self::part(part, &format!("{place}.parts[{index}]"))?;
    }
    Ok(())
}

fn part(part: &Value, place: &str) -> Verdict {
    let Some(map) = part.as_object() else { return Err(Refusal::bad(format!("Invalid value at '{place}'"))) };
    if let Some(key) = unknown(map, &PART_FIELDS) {
        return Err(cannot_find(key, place));
    }
    let data =
        ["text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"];
    if data.iter().filter(|key| map.contains_key(**key)).count() != 1 {
        return Err(Refusal::bad(format!(
            "* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field\n"
        )));
    }
    if text(part, "text") == Some("") && !map.contains_key("thoughtSignature") {
        return Err(Refusal::bad("Unable to submit request because it must have a text parameter."));
    }
    if let Some(call) = map.get("functionCall") {
        named(call, &["name", "args", "id"], &format!("{place}.function_call"))?;
        if call.get("args").is_some_and(|args| !args.is_object()) {
            return Err(Refusal::bad(format!(
                "Invalid value at '{place}.function_call.args' (type.googleapis.com/google.protobuf.Struct)"
            )));
        }
    }
    if let Some(response) = map.get("functionResponse") {
        named(
            response,
            &["name", "response", "id", "parts", "scheduling", "willContinue"],
            &format!("{place}.function_response"),
        )?;
        if !response.get("response").is_some_and(Value::is_object) {
            return Err(Refusal::bad(format!(
                "Invalid value at '{place}.function_response.response' (type.googleapis.com/google.protobuf.Struct)"
            )));
        }
    }
    let readable = |blob: &Value| text(blob, "mimeType").is_some() && text(blob, "data").is_some_and(is_base64);
    if !map.get("inlineData").is_none_or(readable) {
        return Err(Refusal::bad(format!(
            "Invalid value at '{place}.inline_data.data' (TYPE_BYTES), Base64 decoding failed"
        )));
    }
    match map.get("thoughtSignature").map(|signature| signature.as_str().unwrap_or_default()) {
        Some(signature) if !marks::thought_signature_fits(signature) => {
            Err(Refusal::bad("Corrupted thought signature."))
        }
        _ => Ok(()),
    }
}

fn named(value: &Value, known: &[&str], place: &str) -> Verdict {
    if let Some(key) = value.as_object().and_then(|map| unknown(map, known)) {
        return Err(cannot_find(key, place));
    }
    if text(value, "name").is_none_or(str::is_empty) {
        return Err(Refusal::bad(format!("* GenerateContentRequest.{place}.name: Name cannot be empty.\n")));
    }
    Ok(())
}

fn of<'a>(content: &'a Value, key: &'a str) -> impl Iterator<Item = &'a Value> {
    content.get("parts").and_then(Value::as_array).into_iter().flatten().filter_map(move |part| part.get(key))
}

/// Calls follow a person or results, results follow calls at once, and both are as many and of the same names.
fn pairs(contents: &[Value]) -> Verdict {
    for (at, content) in contents.iter().enumerate() {
        let calls: Vec<&Value> = of(content, "functionCall").collect();
        let results: Vec<&Value> = of(content, "functionResponse").collect();
        let before = at.checked_sub(1).map(|before| &contents[before]);
        if !calls.is_empty() && before.is_none_or(|before| text(before, "role") != Some("user")) {
            return Err(Refusal::bad(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        let asked: Vec<&Value> = before.into_iter().flat_map(|before| of(before, "functionCall")).collect();
        if !results.is_empty() && asked.is_empty() {
            return Err(Refusal::bad(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if asked.len() != results.len() {
            return Err(count_fault());
        }
        let mut open = asked;
        for result in results {
            let same = |call: &&Value| {
                text(call, "name") == text(result, "name")
                    && (result.get("id").is_none() || result.get("id") == call.get("id"))
            };
            let Some(found) = open.iter().position(same) else {
                return Err(Refusal::bad(format!(
                    "Please ensure that the function response names and ids match the function calls: no call for `{}`.",
                    text(result, "name").unwrap_or_default()
                )));
            };
            open.remove(found);
        }
    }
    match contents.last() {
        Some(last) if of(last, "functionCall").next().is_some() => Err(count_fault()),
        _ => Ok(()),
    }
}

fn count_fault() -> Refusal {
    Refusal::bad(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the \
         function call turn.",
    )
}

/// From Gemini 3 on, the first call of each step of the current turn bears a signature.
fn signatures(model: &str, contents: &[Value]) -> Verdict {
    let major = model.strip_prefix("gemini-").and_then(|rest| rest.bytes().next()).unwrap_or_default();
    if !(b'3'..=b'9').contains(&major) {
        return Ok(());
    }
    let is_question =
        |content: &Value| text(content, "role") == Some("user") && of(content, "functionResponse").next().is_none();
    let start = contents.iter().rposition(is_question).unwrap_or_default();
    for (at, content) in contents.iter().enumerate().skip(start) {
        let parts = content.get("parts").and_then(Value::as_array).into_iter().flatten();
        let Some(first) = parts.into_iter().find(|part| part.get("functionCall").is_some()) else { continue };
        if first.get("thoughtSignature").is_some() {
            continue;
        }
        let name = first.get("functionCall").and_then(|call| text(call, "name")).unwrap_or_default();
        return Err(Refusal::bad(format!(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work \
             correctly, and missing thought_signature may lead to degraded model performance. Additional data, function \
             call `default_api:{name}` , position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures \
             for more details.",
            at + 1
        )));
    }
    Ok(())
}
