//! The messages of an Anthropic request: their blocks, the pairing of tool uses and results, and carried thinking.

use serde_json::{Map, Value};

use super::extra;
use crate::check::{Ask, Verdict, is_base64, is_plain_name, text, unknown};
use crate::marks;
use crate::refusal::Refusal;

/// One message's blocks, consecutive messages of a role joined as the API joins them.
pub(super) struct Spoken<'a> {
    pub(super) role: &'a str,
    pub(super) blocks: Vec<Block<'a>>,
}

/// A block and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    message: usize,
    index: usize,
    pub(super) kind: &'a str,
    value: &'a Value,
}

impl Block<'_> {
    fn place(&self) -> String {
        format!("messages.{}.content.{}", self.message, self.index)
    }

    fn is_thinking(&self) -> bool {
        matches!(self.kind, "thinking" | "redacted_thinking")
    }
}

/// The messages of a request, each block with its fields checked.
pub(super) fn read(body: &Map<String, Value>) -> Result<Vec<Spoken<'_>>, Refusal> {
    let Value::Array(messages) = &body["messages"] else {
        return Err(Refusal::bad("messages: Input should be a valid list"));
    };
    if messages.is_empty() {
        return Err(Refusal::bad("messages: at least one message is required"));
    }
    let mut spoken: Vec<Spoken<'_>> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = text(message, "role").unwrap_or_default();
        if !["user", "assistant", "system"].contains(&role) {
            return Err(Refusal::bad(format!(
                "messages: Unexpected role \"{role}\". Allowed roles are \"user\", \"assistant\" or \"system\"."
            )));
        }
        if at == 0 && role != "user" {
            return Err(Refusal::bad("messages: first message must use the \"user\" role"));
        }
        if let Some(key) = message.as_object().and_then(|map| unknown(map, &["role", "content"])) {
            return Err(extra(&format!("messages.{at}.{key}")));
        }
        let blocks = blocks(at, role, message, messages.len())?;
        match spoken.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => spoken.push(Spoken { role, blocks }),
        }
    }
    Ok(spoken)
}

fn blocks<'a>(at: usize, role: &str, message: &'a Value, count: usize) -> Result<Vec<Block<'a>>, Refusal> {
    let empty = Refusal::bad(format!(
        "messages.{at}: all messages must have non-empty content except for the optional final assistant message"
    ));
    match message.get("content") {
        Some(content @ Value::String(text)) => {
            if text.is_empty() && !(role == "assistant" && at + 1 == count) {
                return Err(empty);
            }
            Ok(vec![Block { message: at, index: 0, kind: "text", value: content }])
        }
        Some(Value::Array(list)) => {
            if list.is_empty() && !(role == "assistant" && at + 1 == count) {
                return Err(empty);
            }
            let mut blocks = Vec::with_capacity(list.len());
            for (index, value) in list.iter().enumerate() {
                let kind = text(value, "type").unwrap_or_default();
                let block = Block { message: at, index, kind, value };
                block_fields(role, &block)?;
                blocks.push(block);
            }
            Ok(blocks)
        }
        Some(_) => Err(Refusal::bad(format!("messages.{at}.content: Input should be a valid string"))),
        None => Err(Refusal::bad(format!("messages.{at}.content: Field required"))),
    }
}

fn block_fields(role: &str, block: &Block<'_>) -> Verdict {
    let place = format!("{}.{}", block.place(), block.kind);
    let known: &[&str] = match block.kind {
        "text" => &["type", "text", "cache_control", "citations"],
        "image" => &["type", "source", "cache_control", "transformations"],
        "document" => &["type", "source", "cache_control", "citations", "context", "title"],
        "tool_use" => &["type", "id", "name", "input", "cache_control", "caller", "toolset_name"],
        "tool_result" => &["type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"],
        "thinking" => &["type", "thinking", "signature"],
        "redacted_thinking" => &["type", "data"],
        other => {
            return Err(Refusal::bad(format!(
                "{}: Input tag '{other}' found using 'type' does not match any of the expected tags",
                block.place()
            )));
        }
    };
    if let Some(key) = block.value.as_object().and_then(|map| unknown(map, known)) {
        return Err(extra(&format!("{place}.{key}")));
    }
    let field = |key: &str| match text(block.value, key) {
        Some(text) => Ok(text),
        None => Err(Refusal::bad(format!("{place}.{key}: Field required"))),
    };
    let message = block.message;
    let only = |kind: &str, home: &str| {
        let sentence = format!("messages.{message}: `{kind}` blocks can only be in `{home}` messages");
        if role == home { Ok(()) } else { Err(Refusal::bad(sentence)) }
    };
    match block.kind {
        "text" => text_block(role, field("text")?, block),
        "image" => image_source(&place, block.value),
        "document" if role == "assistant" => Err(Refusal::bad(format!(
            "messages.{message}: `document` blocks are not permitted in `assistant` messages"
        ))),
        "tool_use" => {
            only("tool_use", "assistant")?;
            if !is_plain_name(field("id")?, 1024) {
                return Err(Refusal::bad(format!("{place}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")));
            }
            if !is_plain_name(field("name")?, 200) {
                return Err(Refusal::bad(format!(
                    "{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'"
                )));
            }
            match block.value.get("input") {
                Some(Value::Object(_)) => Ok(()),
                _ => Err(Refusal::bad(format!("{place}.input: Input should be a valid dictionary"))),
            }
        }
        "tool_result" => {
            only("tool_result", "user")?;
            field("tool_use_id")?;
            tool_result_content(&place, block.value)
        }
        "thinking" => only("thinking", "assistant").and(field("thinking")).and(field("signature")).map(drop),
        "redacted_thinking" => only("redacted_thinking", "assistant").and(field("data")).map(drop),
        _ => Ok(()),
    }
}

fn text_block(role: &str, said: &str, block: &Block<'_>) -> Verdict {
    if said.is_empty() {
        return Err(Refusal::bad("messages: text content blocks must be non-empty"));
    }
    if said.trim().is_empty() {
        return Err(Refusal::bad("messages: text content blocks must contain non-whitespace text"));
    }
    let cited = block.value.get("citations").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if role == "user" && cited {
        return Err(extra(&format!("{}.text.citations", block.place())));
    }
    Ok(())
}

fn tool_result_content(place: &str, block: &Value) -> Verdict {
    match block.get("content") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => {
            for (index, part) in parts.iter().enumerate() {
                match text(part, "type") {
                    Some("text") if text(part, "text").is_some_and(|text| !text.is_empty()) => {}
                    Some("text") => return Err(Refusal::bad("messages: text content blocks must be non-empty")),
                    Some("image") => image_source(&format!("{place}.content.{index}.image"), part)?,
                    _ => return Err(Refusal::bad(format!("{place}.content.{index}: Input tag is not expected here"))),
                }
            }
            Ok(())
        }
        Some(_) => Err(Refusal::bad(format!("{place}.content: Input should be a valid string"))),
    }
}

fn image_source(place: &str, block: &Value) -> Verdict {
    let source = block.get("source").unwrap_or(&Value::Null);
    match text(source, "type") {
        Some("url") if text(source, "url").is_some_and(|url| url.starts_with("https://")) => Ok(()),
        Some("url") => Err(Refusal::bad(format!("{place}.source.url: Only HTTPS URLs are supported."))),
        Some("base64") => {
            let types = ["image/jpeg", "image/png", "image/gif", "image/webp"];
            if !text(source, "media_type").is_some_and(|media_type| types.contains(&media_type)) {
                return Err(Refusal::bad(format!(
                    "{place}.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
                )));
            }
            if !text(source, "data").is_some_and(is_base64) {
                return Err(Refusal::bad(format!("{place}.source.base64: invalid base64 data")));
            }
            Ok(())
        }
        _ => Err(Refusal::bad(format!("{place}.source: Field required"))),
    }
}

/// Every tool use is answered at the start of the next message, and nothing else is.
pub(super) fn pairs(spoken: &[Spoken<'_>]) -> Verdict {
    let mut seen: Vec<&str> = Vec::new();
    for (at, turn) in spoken.iter().enumerate() {
        let uses: Vec<&Block<'_>> = turn.blocks.iter().filter(|block| block.kind == "tool_use").collect();
        for block in &uses {
            let id = text(block.value, "id").unwrap_or_default();
            if seen.contains(&id) {
                return Err(Refusal::bad(format!("{}: `tool_use` ids must be unique", block.place())));
            }
            seen.push(id);
        }
        let mut open: Vec<&str> = uses.iter().filter_map(|block| text(block.value, "id")).collect();
        let next = spoken.get(at + 1).map_or(&[][..], |next| &next.blocks);
        for block in next.iter().take_while(|block| block.kind == "tool_result") {
            let id = text(block.value, "tool_use_id").unwrap_or_default();
            match open.iter().position(|known| *known == id) {
                Some(at) => {
                    open.remove(at);
                }
                None if uses.iter().any(|block| text(block.value, "id") == Some(id)) => {
                    return Err(Refusal::bad(format!(
                        "{}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}",
                        block.place()
                    )));
                }
                None => return Err(unexpected(block, id)),
            }
        }
        if let (Some(block), false) = (uses.first(), open.is_empty()) {
            return Err(Refusal::bad(format!(
                "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message.",
                block.message,
                open.join(", ")
            )));
        }
        let late =
            next.iter().skip_while(|block| block.kind == "tool_result").find(|block| block.kind == "tool_result");
        let first = turn.blocks.iter().find(|block| at == 0 && block.kind == "tool_result");
        if let Some(block) = late.or(first) {
            return Err(unexpected(block, text(block.value, "tool_use_id").unwrap_or_default()));
        }
    }
    Ok(())
}

fn unexpected(block: &Block<'_>, id: &str) -> Refusal {
    Refusal::bad(format!(
        "{}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
         corresponding `tool_use` block in the previous message.",
        block.place()
    ))
}

/// Thinking comes back as it went out: unchanged, and before the tool use it led to.
pub(super) fn carried(ask: &Ask<'_>, spoken: &[Spoken<'_>]) -> Verdict {
    let last = spoken.iter().rposition(|spoken| spoken.role == "assistant");
    for (at, turn) in spoken.iter().enumerate() {
        for block in turn.blocks.iter().filter(|block| block.kind == "thinking") {
            let field = |key| text(block.value, key).unwrap_or_default();
            if marks::signature_fits(field("signature"), field("thinking")) {
                continue;
            }
            return Err(Refusal::bad(if Some(at) == last {
                modified(&block.place())
            } else {
                format!("{}: Invalid `signature` in `thinking` block", block.place())
            }));
        }
    }
    let config = ask.body.get("thinking").and_then(|config| text(config, "type")).unwrap_or_default();
    let in_loop =
        spoken.last().is_some_and(|spoken| spoken.blocks.first().is_some_and(|block| block.kind == "tool_result"));
    let Some(turn) = last.filter(|_| in_loop).map(|last| &spoken[last]) else { return Ok(()) };
    let Some(call) = turn.blocks.iter().find(|block| block.kind == "tool_use") else { return Ok(()) };
    let led = turn.blocks.iter().take_while(|block| block.kind != "tool_use").any(Block::is_thinking);
    if config == "enabled" && !turn.blocks.first().is_some_and(Block::is_thinking) {
        return Err(Refusal::bad(format!(
            "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is \
             enabled, a final `assistant` message must start with a thinking block.",
            call.message,
            turn.blocks.first().map_or("", |block| block.kind)
        )));
    }
    let reasoned = turn.blocks.iter().filter_map(|block| text(block.value, "id")).any(|id| (ask.reasoned)(id));
    let off = matches!(config, "disabled" | "between_tools");
    if reasoned && !led && !off {
        return Err(Refusal::bad(modified(&call.place())));
    }
    Ok(())
}

fn modified(place: &str) -> String {
    format!(
        "{place}: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These \
         blocks must remain as they were in the original response."
    )
}
