//! The lines of a session: the wire types of this door, and their way to and from the kernel's words.
//!
//! Every line is a JSON object that begins with `v`, the version of this format, and `kind`. The kinds are
//! `session` (the first line), `person`, `model`, `tool` and `note`. A reader skips kinds and versions that it
//! does not know.

use std::sync::Arc;

use aether_core::label::{Label, Origin};
use aether_core::model::Part;
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use serde_json::Value;

use crate::base64;

/// The version that is written.
const VERSION: u64 = 1;

/// How every line of a person begins: a list of sessions is made from these alone.
pub(crate) const PERSON_HEAD: &[u8] = br#"{"v":1,"kind":"person""#;

/// What stands for a codec that this program does not have. Its carried parts mean nothing to any other.
const UNKNOWN_CODEC: &str = "unknown";

/// One line, read.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    /// The first line.
    Session { made_unix_ms: u64, workspace: String },
    /// Something that was said or done.
    Entry(Entry),
    /// Something of a kind or version that this program does not know.
    Unknown,
}

/// Why a line cannot be read.
#[derive(Debug, PartialEq)]
pub(crate) enum Damage {
    /// It is no JSON: a torn line, or one that the disk lost.
    NotJson,
    /// It is JSON, and lacks what its kind must have.
    Incomplete,
}

/// The first line of a session.
pub(crate) fn session_line(id: &str, made_unix_ms: u64, workspace: &str) -> String {
    let mut out = head("session", made_unix_ms);
    field(&mut out, "id", id);
    field(&mut out, "workspace", workspace);
    out.push_str("}\n");
    out
}

/// The line of one entry, its line break included.
pub(crate) fn entry_line(entry: &Entry, at_unix_ms: u64) -> String {
    let mut out;
    match entry {
        Entry::Person { text, images, label } => {
            out = head("person", at_unix_ms);
            field(&mut out, "text", text);
            if !images.is_empty() {
                push_images(&mut out, images);
            }
            push_label(&mut out, *label);
        }
        Entry::Model { parts, codec } => {
            out = head("model", at_unix_ms);
            field(&mut out, "codec", codec);
            push_parts(&mut out, parts);
        }
        Entry::Tool(tool) => {
            out = head("tool", at_unix_ms);
            field(&mut out, "call", &tool.call);
            field(&mut out, "name", &tool.name);
            field(&mut out, "outcome", outcome_name(tool.outcome));
            field(&mut out, "text", &tool.text);
            if let Some(folded) = &tool.folded {
                field(&mut out, "folded", folded);
            }
            push_label(&mut out, tool.label);
        }
        Entry::Note { text, label } => {
            out = head("note", at_unix_ms);
            field(&mut out, "text", text);
            push_label(&mut out, *label);
        }
    }
    out.push_str("}\n");
    out
}

fn head(kind: &str, at_unix_ms: u64) -> String {
    format!("{{\"v\":{VERSION},\"kind\":\"{kind}\",\"at_unix_ms\":{at_unix_ms}")
}

fn field(out: &mut String, name: &str, text: &str) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    push_text(out, text);
}

/// Appends a JSON string (RFC 8259, section 7).
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn push_label(out: &mut String, label: Label) {
    out.push_str(",\"label\":[");
    let origins = Origin::ALL.iter().copied().filter(|origin| label.has(*origin)).map(Origin::name);
    let bits = [(label.untrusted, "untrusted"), (label.private, "private")];
    for (n, word) in origins.chain(bits.into_iter().filter(|(set, _)| *set).map(|(_, word)| word)).enumerate() {
        if n > 0 {
            out.push(',');
        }
        push_text(out, word);
    }
    out.push(']');
}

fn push_images(out: &mut String, images: &[Image]) {
    out.push_str(",\"images\":[");
    for (n, image) in images.iter().enumerate() {
        out.push_str(if n > 0 { ",{\"media_type\":" } else { "{\"media_type\":" });
        push_text(out, &image.media_type);
        out.push_str(",\"base64\":\"");
        base64::encode(out, &image.bytes);
        out.push_str("\"}");
    }
    out.push(']');
}

fn push_parts(out: &mut String, parts: &[Part]) {
    out.push_str(",\"parts\":[");
    for (n, part) in parts.iter().enumerate() {
        out.push_str(if n > 0 { ",{\"" } else { "{\"" });
        match part {
            Part::Text(text) => {
                out.push_str("text\":");
                push_text(out, text);
            }
            Part::Carried(text) => {
                out.push_str("carried\":");
                push_text(out, text);
            }
            Part::Call(call) => {
                out.push_str("call\":");
                push_text(out, &call.id);
                field(out, "name", &call.name);
                field(out, "input", &call.input);
            }
        }
        out.push('}');
    }
    out.push(']');
}

fn outcome_name(outcome: ToolOutcome) -> &'static str {
    match outcome {
        ToolOutcome::Done => "done",
        ToolOutcome::Failed => "failed",
    }
}

/// Reads one line. `codecs` are the names of the codecs that this program has.
pub(crate) fn parse(line: &[u8], codecs: &[&'static str]) -> Result<Record, Damage> {
    let value: Value = serde_json::from_slice(line).map_err(|_| Damage::NotJson)?;
    if value["v"].as_u64() != Some(VERSION) {
        return if value["v"].is_u64() { Ok(Record::Unknown) } else { Err(Damage::Incomplete) };
    }
    let entry = match value["kind"].as_str() {
        Some("session") => return session(&value).ok_or(Damage::Incomplete),
        Some("person") => person(&value),
        Some("model") => model(&value, codecs),
        Some("tool") => tool(&value),
        Some("note") => note(&value),
        Some(_) => return Ok(Record::Unknown),
        None => None,
    };
    entry.map(Record::Entry).ok_or(Damage::Incomplete)
}

fn session(value: &Value) -> Option<Record> {
    let made_unix_ms = value["at_unix_ms"].as_u64()?;
    Some(Record::Session { made_unix_ms, workspace: value["workspace"].as_str()?.to_owned() })
}

fn text(value: &Value, name: &str) -> Option<Box<str>> {
    value[name].as_str().map(Into::into)
}

fn person(value: &Value) -> Option<Entry> {
    let images = match &value["images"] {
        Value::Null => Vec::new(),
        Value::Array(images) => images.iter().map(image).collect::<Option<_>>()?,
        _ => return None,
    };
    Some(Entry::Person { text: text(value, "text")?, images, label: label(value)? })
}

fn image(value: &Value) -> Option<Image> {
    let bytes = Arc::from(base64::decode(value["base64"].as_str()?)?);
    Some(Image { media_type: text(value, "media_type")?, bytes })
}

fn model(value: &Value, codecs: &[&'static str]) -> Option<Entry> {
    let name = value["codec"].as_str()?;
    let codec = codecs.iter().find(|codec| **codec == name).copied().unwrap_or(UNKNOWN_CODEC);
    let parts: Vec<Part> = value["parts"].as_array()?.iter().map(part).collect::<Option<_>>()?;
    // A turn of the model is never empty, so a line that says so is not one of ours.
    (!parts.is_empty()).then_some(Entry::Model { parts, codec })
}

fn part(value: &Value) -> Option<Part> {
    if let Some(id) = text(value, "call") {
        return Some(Part::Call(ToolCall { id, name: text(value, "name")?, input: text(value, "input")? }));
    }
    text(value, "text").map(Part::Text).or_else(|| text(value, "carried").map(Part::Carried))
}

fn tool(value: &Value) -> Option<Entry> {
    let outcome = match value["outcome"].as_str()? {
        "done" => ToolOutcome::Done,
        "failed" => ToolOutcome::Failed,
        _ => return None,
    };
    let folded = match &value["folded"] {
        Value::Null => None,
        folded => Some(folded.as_str()?.into()),
    };
    Some(Entry::Tool(ToolEntry {
        call: text(value, "call")?,
        name: text(value, "name")?,
        outcome,
        text: text(value, "text")?,
        folded,
        label: label(value)?,
    }))
}

fn note(value: &Value) -> Option<Entry> {
    Some(Entry::Note { text: text(value, "text")?, label: label(value)? })
}

/// A label never shrinks on its way through a file: a word that is not known makes the line unreadable.
fn label(value: &Value) -> Option<Label> {
    let mut label = Label::default();
    let (mut untrusted, mut private) = (false, false);
    for word in value["label"].as_array()? {
        match word.as_str()? {
            "untrusted" => untrusted = true,
            "private" => private = true,
            name => label = label.join(Label::from(Origin::ALL.iter().copied().find(|origin| origin.name() == name)?)),
        }
    }
    label.untrusted = untrusted;
    label.private = private;
    Some(label)
}
