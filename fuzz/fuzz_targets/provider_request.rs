//! A question over an arbitrary transcript: the request is valid JSON and fit for a request line, or it is refused.
#![no_main]

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::label::Label;
use aether_core::model::{Delivery, Effort, ModelOptions, Part, Question, ToolUse};
use aether_core::tool::{Acts, Limits, Manifest, Runtime, ToolCall};
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use aether_fuzz::Draw;
use aether_provider::presets;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

const CODECS: [&str; 5] = ["openai_chat", "openai_responses", "anthropic", "ollama", "gemini"];
const ENTRIES_MAX: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let presets = presets();
    let codec = presets[usize::from(draw.byte()) % presets.len()].codec();
    let tool_use = draw.one_of(&[ToolUse::Allowed, ToolUse::Forbidden]);
    let options = options(&mut draw);
    let (model, system) = (draw.text(), draw.text());
    let tools: Vec<Arc<Manifest>> = (0..draw.within(0..4)).map(|_| tool(&mut draw)).collect();
    let mut entries = Vec::new();
    while !draw.is_empty() && entries.len() < ENTRIES_MAX {
        entries.push(entry(&mut draw));
    }
    let question =
        Question { model: &model, system: &system, tools: &tools, tool_use, entries: &entries, options: &options };
    let request = codec.request(&question);
    assert_eq!(request, codec.request(&question), "the same question has two requests");
    match request {
        Ok(request) => {
            let body = str::from_utf8(&request.body).expect("the body is UTF-8");
            if let Err(error) = serde_json::from_str::<IgnoredAny>(body) {
                panic!("{}: {error}: {body}", codec.name());
            }
            assert!(request.path.starts_with('/'), "{}", request.path);
            assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", request.path);
            for (name, value) in &request.headers {
                assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()));
                assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{name}: {value:?}");
            }
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
});

fn options(draw: &mut Draw<'_>) -> ModelOptions {
    ModelOptions {
        output_tokens_max: draw.is_odd().then(|| draw.number() as u32),
        temperature: draw.is_odd().then(|| f32::from_bits(draw.number() as u32)),
        effort: draw.one_of(&[Effort::Unset, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]),
        schema: draw.is_odd().then(|| draw.text().into()),
        delivery: draw.one_of(&[Delivery::Streamed, Delivery::Whole]),
    }
}

fn tool(draw: &mut Draw<'_>) -> Arc<Manifest> {
    Arc::new(Manifest {
        name: draw.text().into(),
        version: "1.0.0".into(),
        description: draw.text().into(),
        input: draw.text().into(),
        runtime: Runtime::Builtin,
        acts: Acts::NONE,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
    })
}

fn entry(draw: &mut Draw<'_>) -> Entry {
    let label = Label::default();
    match draw.byte() % 4 {
        0 => {
            let images = (0..draw.within(0..3)).map(|_| image(draw)).collect();
            Entry::Person { text: draw.text().into(), images, label }
        }
        1 => {
            let parts = (0..draw.within(1..6)).map(|_| part(draw)).collect();
            Entry::Model { parts, codec: draw.one_of(&CODECS) }
        }
        2 => Entry::Tool(ToolEntry {
            call: draw.text().into(),
            name: draw.text().into(),
            outcome: draw.one_of(&[ToolOutcome::Done, ToolOutcome::Failed]),
            text: draw.text().into(),
            folded: draw.is_odd().then(|| draw.text().into()),
            label,
        }),
        _ => Entry::Note { text: draw.text().into(), label },
    }
}

fn image(draw: &mut Draw<'_>) -> Image {
    Image { media_type: draw.text().into(), bytes: draw.chunk().into() }
}

fn part(draw: &mut Draw<'_>) -> Part {
    match draw.byte() % 3 {
        0 => Part::Text(draw.text().into()),
        1 => Part::Carried(draw.text().into()),
        _ => Part::Call(ToolCall { id: draw.text().into(), name: draw.text().into(), input: draw.text().into() }),
    }
}
