//! What the tests of every format share: questions, readings in all cuts, and seeded damage.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::label::{Label, Origin};
use aether_core::model::{Codec, Head, ModelEvent, ModelOptions, Part, Question, ToolUse};
use aether_core::tool::{Acts, Limits, Manifest, Runtime, ToolCall};
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use serde_json::Value;

/// A question that can be changed before it is asked.
pub(crate) struct Draft {
    pub(crate) model: &'static str,
    pub(crate) system: &'static str,
    pub(crate) tools: Vec<Arc<Manifest>>,
    pub(crate) tool_use: ToolUse,
    pub(crate) entries: Vec<Entry>,
    pub(crate) options: ModelOptions,
}

impl Draft {
    /// A question to `model` with a system text, two tools and these entries.
    pub(crate) fn new(model: &'static str, entries: Vec<Entry>) -> Draft {
        Draft {
            model,
            system: "You are terse.",
            tools: vec![
                tool(
                    "clock",
                    r#"{"type":"object","properties":{"zone":{"type":"string"}},"required":["zone"],"additionalProperties":false}"#,
                ),
                tool("noop", r#"{"type":"object","properties":{}}"#),
            ],
            tool_use: ToolUse::Allowed,
            entries,
            options: ModelOptions::default(),
        }
    }

    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            model: self.model,
            system: self.system,
            tools: &self.tools,
            tool_use: self.tool_use,
            entries: &self.entries,
            options: &self.options,
        }
    }

    /// The body of its request, as text.
    pub(crate) fn text(&self, codec: &dyn Codec) -> String {
        let request = codec.request(&self.question()).expect("the question can be asked");
        String::from_utf8(request.body).expect("the body is UTF-8")
    }

    /// The body of its request, parsed.
    pub(crate) fn body(&self, codec: &dyn Codec) -> Value {
        serde_json::from_str(&self.text(codec)).expect("the body is JSON")
    }
}

pub(crate) fn tool(name: &str, input: &str) -> Arc<Manifest> {
    Arc::new(Manifest {
        name: name.into(),
        version: "1.0.0".into(),
        description: format!("Does {name}.").into(),
        input: input.into(),
        runtime: Runtime::Builtin,
        acts: Acts::NONE,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
    })
}

pub(crate) fn person(text: &str) -> Entry {
    Entry::Person { text: text.into(), images: Vec::new(), label: Label::from(Origin::Person) }
}

pub(crate) fn shown(text: &str, media_type: &str, bytes: &[u8]) -> Entry {
    let image = Image { media_type: media_type.into(), bytes: bytes.into() };
    Entry::Person { text: text.into(), images: vec![image], label: Label::from(Origin::Person) }
}

pub(crate) fn note(text: &str) -> Entry {
    Entry::Note { text: text.into(), label: Label::default() }
}

pub(crate) fn model(codec: &'static str, parts: Vec<Part>) -> Entry {
    Entry::Model { parts, codec }
}

pub(crate) fn call(id: &str, name: &str, input: &str) -> Part {
    Part::Call(ToolCall { id: id.into(), name: name.into(), input: input.into() })
}

pub(crate) fn result(id: &str, outcome: ToolOutcome, text: &str) -> Entry {
    Entry::Tool(ToolEntry {
        call: id.into(),
        name: "clock".into(),
        outcome,
        text: text.into(),
        folded: None,
        label: Label::from(Origin::Tool),
    })
}

pub(crate) fn folded(id: &str, shown: &str) -> Entry {
    let mut entry = result(id, ToolOutcome::Done, "a long text");
    if let Entry::Tool(tool) = &mut entry {
        tool.folded = Some(shown.into());
    }
    entry
}

/// A model's answer as the kernel keeps it: neighbouring texts joined, the rest in place.
pub(crate) fn entry_of(codec: &'static str, events: &[ModelEvent]) -> Entry {
    let parts = joined(events).into_iter().filter_map(|event| match event {
        ModelEvent::Text(text) => Some(Part::Text(text.into())),
        ModelEvent::Carried(carried) => Some(Part::Carried(carried)),
        ModelEvent::Call(call) => Some(Part::Call(call)),
        _ => None,
    });
    Entry::Model { parts: parts.collect(), codec }
}

/// Reads an answer in these pieces.
pub(crate) fn read<'a>(
    codec: &dyn Codec,
    head: Head<'_>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<ModelEvent> {
    let mut events = Vec::new();
    let mut reader = codec.reader(head);
    for piece in pieces {
        reader.feed(piece, &mut events);
    }
    reader.end(&mut events);
    reader.feed(b"data: {}\n\n{\"error\":{}}", &mut events);
    reader.end(&mut events);
    events
}

pub(crate) fn head(status: u16, content_type: &str) -> Head<'_> {
    Head { status, content_type, retry_after_ms: None }
}

/// Joins neighbouring pieces of text and of reasoning.
pub(crate) fn joined(events: &[ModelEvent]) -> Vec<ModelEvent> {
    let mut joined: Vec<ModelEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(ModelEvent::Text(text)), ModelEvent::Text(piece))
            | (Some(ModelEvent::Reasoning(text)), ModelEvent::Reasoning(piece)) => text.push_str(piece),
            _ => joined.push(event.clone()),
        }
    }
    joined
}

/// P1: a stream cut at every byte, and written in every way the specification of event streams allows, reads
/// the same.
pub(crate) fn check_stream(codec: &dyn Codec, stream: &str, expected: &[ModelEvent]) {
    for way in ways(stream) {
        let bytes = way.as_bytes();
        let whole = joined(&read(codec, head(200, "text/event-stream"), [bytes]));
        assert_eq!(whole, expected, "in one piece:\n{way}");
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            let events = joined(&read(codec, head(200, "text/event-stream"), [left, right]));
            assert_eq!(events, expected, "cut at byte {cut} of:\n{way}");
        }
        let single = joined(&read(codec, head(200, ""), bytes.chunks(1)));
        assert_eq!(single, expected, "byte by byte:\n{way}");
    }
}

/// A whole body, in every cut and under any content type.
pub(crate) fn check_whole(codec: &dyn Codec, body: &str, expected: &[ModelEvent]) {
    let bytes = body.as_bytes();
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        let events = joined(&read(codec, head(200, "application/json"), [left, right]));
        assert_eq!(events, expected, "cut at byte {cut} of:\n{body}");
    }
    assert_eq!(joined(&read(codec, head(200, "text/event-stream"), [bytes])), expected, "mislabelled:\n{body}");
}

fn ways(stream: &str) -> [String; 7] {
    let commented = stream.replace("data: ", ": still here\ndata: ").replace("\n\n", "\n\n:\n\n: ping\n");
    [
        stream.to_owned(),
        stream.replace('\n', "\r\n"),
        stream.replace('\n', "\r"),
        commented,
        stream.replace("data: {", "data: {\ndata: ").replace("data:  ", "data:"),
        stream.trim_end().to_owned(),
        format!("\u{feff}{}", stream.replace("data: ", "data:")),
    ]
}

/// P1, P2, P3: whatever becomes of the bytes, a reader does not panic, ends in exactly one stop or error, and
/// reads them in pieces as it does at once.
pub(crate) fn check_damage(codec: &dyn Codec, bodies: &[&str], cases: u32) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for case in 0..cases {
        let mut bytes = bodies[random.below(bodies.len())].as_bytes().to_vec();
        let seed = random.0;
        for _ in 0..=random.below(4) {
            damage(&mut bytes, &mut random);
        }
        let size = 1 + random.below(64);
        let status = if random.below(16) == 0 { 500 } else { 200 };
        let events = read(codec, head(status, "text/event-stream"), bytes.chunks(size));
        let ends = |event: &ModelEvent| matches!(event, ModelEvent::Stop(_) | ModelEvent::Error(_));
        assert_eq!(events.iter().filter(|event| ends(event)).count(), 1, "SEED={seed} case {case}: {events:?}");
        assert!(events.last().is_some_and(ends), "SEED={seed} case {case}: {events:?}");
        let at_once = read(codec, head(status, "text/event-stream"), [&bytes[..]]);
        assert_eq!(joined(&events), joined(&at_once), "SEED={seed} case {case}, in pieces of {size}");
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    const MARKS: &[u8] = b"{}[]\",:\\\n\r \xF0\xFFnull0-e";
    let at = random.below(bytes.len().max(1)).min(bytes.len());
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, MARKS[random.below(MARKS.len())]),
        2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        3 if at < bytes.len() => {
            let end = (at + random.below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 if at < bytes.len() => {
            let end = (at + random.below(80)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ if at < bytes.len() => bytes[at] = MARKS[random.below(MARKS.len())],
        _ => {}
    }
}

/// Marsaglia's xorshift, 64 bits.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
