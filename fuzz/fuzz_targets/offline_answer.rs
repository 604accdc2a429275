//! The built-in model over any conversation: tool results and carried state that nothing promises to be its own (N1, N5).
#![no_main]

use std::sync::Arc;

use aether_core::label::Label;
use aether_core::model::{ModelEvent, ModelOptions, Part, Question, Stop, ToolUse};
use aether_core::tool::{Manifest, ToolCall, Toolbox};
use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};
use aether_fuzz::{Draw, Workbench};
use aether_offline::{CODEC, NAME, answer};
use libfuzzer_sys::fuzz_target;

const TURNS_MAX: usize = 6;
const CARRIED_BYTES_MAX: usize = 4 << 20;

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

fuzz_target!(|bytes: &[u8]| BENCH.with(|bench| talk(bench.tools().manifests(), Draw::new(bytes))));

fn talk(tools: &[Arc<Manifest>], mut draw: Draw<'_>) {
    let label = Label::default();
    let mut entries = vec![Entry::Person { text: draw.text().into(), images: Vec::new(), label }];
    if draw.is_odd() {
        // A turn that claims to be its own.
        let call = ToolCall { id: "offline-1".into(), name: "read_file".into(), input: "{}".into() };
        let parts = vec![Part::Carried(draw.text().into()), Part::Call(call.clone())];
        entries.push(Entry::Model { parts, codec: CODEC });
        entries.push(result(&call, &mut draw));
    }
    for _ in 0..TURNS_MAX {
        let tool_use = if draw.byte() == 0xF0 { ToolUse::Forbidden } else { ToolUse::Allowed };
        let (parts, stop) = turn(tools, tool_use, &entries);
        let calls: Vec<ToolCall> = parts.iter().filter_map(call).cloned().collect();
        if stop != Stop::Calls {
            assert!(calls.is_empty());
            break;
        }
        assert!(!calls.is_empty() && tool_use == ToolUse::Allowed);
        entries.push(Entry::Model { parts, codec: CODEC });
        entries.extend(calls.iter().map(|call| result(call, &mut draw)));
        if draw.byte() == 0xF1 {
            entries.push(Entry::Person { text: draw.text().into(), images: Vec::new(), label });
        }
    }
}

fn call(part: &Part) -> Option<&ToolCall> {
    if let Part::Call(call) = part { Some(call) } else { None }
}

fn result(call: &ToolCall, draw: &mut Draw<'_>) -> Entry {
    Entry::Tool(ToolEntry {
        call: call.id.clone(),
        name: call.name.clone(),
        outcome: if draw.byte() == 0xF2 { ToolOutcome::Failed } else { ToolOutcome::Done },
        text: draw.text().into(),
        folded: None,
        label: Label::default(),
    })
}

fn turn(tools: &[Arc<Manifest>], tool_use: ToolUse, entries: &[Entry]) -> (Vec<Part>, Stop) {
    let options = ModelOptions::default();
    let question = Question { model: NAME, system: "", tools, tool_use, entries, options: &options };
    let events = answer(&question);
    assert_eq!(events, answer(&question), "N1");
    let Some((ModelEvent::Stop(stop), before)) = events.split_last() else { panic!("no stop: {events:?}") };
    let mut parts = Vec::new();
    for event in before {
        match event {
            ModelEvent::Text(text) => parts.push(Part::Text(text.as_str().into())),
            ModelEvent::Carried(text) => {
                assert!(text.len() <= CARRIED_BYTES_MAX, "N5: {} bytes are carried", text.len());
                parts.push(Part::Carried(text.clone()));
            }
            ModelEvent::Call(call) => parts.push(Part::Call(call.clone())),
            ModelEvent::Reasoning(_) | ModelEvent::Usage(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
    (parts, *stop)
}
