//! The built-in model and the real tools on any file: a report comes out, and it names the model (N1, N4, N5).
#![no_main]

use aether_core::label::Label;
use aether_core::model::{ModelEvent, ModelOptions, Part, Question, Stop, ToolUse};
use aether_core::tool::{Limits, ToolCall, Toolbox};
use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};
use aether_fuzz::{Draw, ScriptedHands, Workbench};
use aether_offline::{CODEC, NAME, answer};
use libfuzzer_sys::fuzz_target;

const TURNS_MAX: usize = 50;
const NAMES: [&str; 8] = ["a.log", "a.csv", "a.json", "a.txt", "a.md", "a.rs", "access.log", "a.jsonl"];

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let name = draw.one_of(&NAMES);
    let output_bytes_max = draw.one_of(&[32 << 10, 600, 2_000]);
    let file = draw.rest();
    BENCH.with(|bench| report(bench, name, file, Limits { output_bytes_max, ..Limits::BUILTIN }));
});

fn report(bench: &Workbench, name: &str, file: &[u8], limits: Limits) {
    let label = Label::default();
    let goal = format!("summarise {name}");
    let mut entries = vec![Entry::Person { text: goal.into(), images: Vec::new(), label }];
    let options = ModelOptions::default();
    for _ in 0..TURNS_MAX {
        let question = Question {
            model: NAME,
            system: "",
            tools: bench.tools().manifests(),
            tool_use: ToolUse::Allowed,
            entries: &entries,
            options: &options,
        };
        let events = answer(&question);
        assert_eq!(events, answer(&question), "N1");
        let said: String =
            events.iter().filter_map(|e| if let ModelEvent::Text(t) = e { Some(&**t) } else { None }).collect();
        if events.last() != Some(&ModelEvent::Stop(Stop::Calls)) {
            assert_eq!(events.last(), Some(&ModelEvent::Stop(Stop::Done)));
            assert!(said.contains(NAME), "N4: {said}");
            return;
        }
        let mut parts = Vec::new();
        let mut results = Vec::new();
        for event in events {
            match event {
                ModelEvent::Carried(text) => parts.push(Part::Carried(text)),
                ModelEvent::Call(call) => {
                    results.push(result(bench, &call, file, limits));
                    parts.push(Part::Call(call));
                }
                _ => {}
            }
        }
        entries.push(Entry::Model { parts, codec: CODEC });
        entries.extend(results);
    }
    panic!("no report after {TURNS_MAX} turns");
}

fn result(bench: &Workbench, call: &ToolCall, file: &[u8], limits: Limits) -> Entry {
    let mut hands = ScriptedHands::new(file, Draw::new(&[]));
    let told = bench.call(&call.name, &call.input, limits, &mut hands);
    let (outcome, text) = match told {
        Ok(output) => (output.outcome, output.text),
        Err(why) => (ToolOutcome::Failed, why.into()),
    };
    Entry::Tool(ToolEntry {
        call: call.id.clone(),
        name: call.name.clone(),
        outcome,
        text,
        folded: None,
        label: Label::default(),
    })
}
