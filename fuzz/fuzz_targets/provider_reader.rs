//! An answer of a provider, whole and in pieces: the same events, one end, nothing behind it (P1, P2, P3).
#![no_main]

use aether_core::model::{Codec, Head, ModelEvent};
use aether_fuzz::Draw;
use aether_provider::Format;
use aether_provider::openai_chat::Quirks;
use aether_provider::presets;
use aether_testkit::streams::joined;
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 15] = [200, 200, 201, 204, 301, 400, 401, 402, 403, 404, 413, 429, 500, 503, 529];
const TYPES: [&str; 5] = ["text/event-stream", "application/json", "application/x-ndjson", "", "text/html"];

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let codec = codec(&mut draw);
    let (status, content_type) = (draw.one_of(&STATUSES), draw.one_of(&TYPES));
    let retry_after_ms = draw.is_odd().then(|| draw.number());
    let head = Head { status, content_type, retry_after_ms };
    let (whole, pieces) = draw.pieces();
    let events = read(&*codec, head, &[whole]);
    assert_eq!(events, read(&*codec, head, &pieces), "P1: in pieces");
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(events, read(&*codec, head, &bytes), "P1: byte by byte");
    let is_end = |event: &ModelEvent| matches!(event, ModelEvent::Stop(_) | ModelEvent::Error(_));
    assert_eq!(events.iter().filter(|event| is_end(event)).count(), 1, "P2: one end: {events:?}");
    assert!(events.last().is_some_and(is_end), "P2: nothing behind it: {events:?}");
    if let Some(ModelEvent::Error(error)) = events.last() {
        assert!(!error.message.is_empty() && !error.message.contains(|c: char| c.is_control()), "{:?}", error.message);
    }
});

/// The formats first, so that a seed can name one, then every preset with its quirks.
fn codec(draw: &mut Draw<'_>) -> Box<dyn Codec> {
    let formats = [
        Format::OpenAiChat(Quirks::COMPATIBLE),
        Format::OpenAiResponses,
        Format::Anthropic,
        Format::Ollama(None),
        Format::Gemini,
    ];
    let all: Vec<Format> = formats.into_iter().chain(presets().iter().map(|preset| preset.format)).collect();
    draw.one_of(&all).codec()
}

fn read(codec: &dyn Codec, head: Head<'_>, pieces: &[&[u8]]) -> Vec<ModelEvent> {
    let mut reader = codec.reader(head);
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece, &mut events);
    }
    reader.end(&mut events);
    let ended = events.len();
    reader.feed(b"data: {}\n\n{}", &mut events);
    reader.end(&mut events);
    assert_eq!(events.len(), ended, "P2: events after the end");
    joined(&events)
}
