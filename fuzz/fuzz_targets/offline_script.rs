//! Scripts of any text: no panic, a wrong line is named, and the same question has the same answer (N1, N5).
#![no_main]

use aether_core::label::{Label, Origin};
use aether_core::model::{ModelEvent, ModelOptions, Part, Question, Stop, ToolUse};
use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};
use aether_fuzz::Draw;
use aether_offline::{SCRIPT_CODEC, Script};
use libfuzzer_sys::fuzz_target;

const TURNS_MAX: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let (result, tool_use) = (draw.text(), draw.one_of(&[ToolUse::Allowed, ToolUse::Forbidden]));
    let text = draw.rest_text();
    let script = match Script::parse(&text) {
        Ok(script) => script,
        Err(why) => return assert!(why.starts_with("line ") || why == "the script has no turn", "{why}"),
    };
    let mut entries = vec![Entry::Person { text: "go".into(), images: Vec::new(), label: Label::from(Origin::Person) }];
    for _ in 0..TURNS_MAX {
        let options = ModelOptions::default();
        let question =
            Question { model: "script", system: "", tools: &[], tool_use, entries: &entries, options: &options };
        let events = script.answer(&question);
        assert_eq!(script.answer(&question), events, "N1");
        let mut parts = Vec::new();
        for event in &events {
            match event {
                ModelEvent::Carried(text) => parts.push(Part::Carried(text.clone())),
                ModelEvent::Call(call) => parts.push(Part::Call(call.clone())),
                ModelEvent::Error(error) => return assert!(!error.to_string().is_empty() && events.len() == 1),
                _ => {}
            }
        }
        let calls = parts.iter().filter(|part| matches!(part, Part::Call(_))).count();
        assert!(calls == 0 || tool_use == ToolUse::Allowed);
        assert_eq!(events.last(), Some(&ModelEvent::Stop(if calls == 0 { Stop::Done } else { Stop::Calls })));
        entries.push(Entry::Model { parts, codec: SCRIPT_CODEC });
        entries.push(Entry::Tool(ToolEntry {
            call: "script-1-1".into(),
            name: "shell".into(),
            outcome: ToolOutcome::Done,
            text: result.as_str().into(),
            folded: None,
            label: Label::from(Origin::Tool),
        }));
    }
});
