//! P5: what is carried back is the provider's own object; damaged on its way, it spoils no request.
#![cfg(test)]

use aether_core::label::Label;
use aether_core::model::{ModelOptions, Part, Question, ToolUse};
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};
use aether_provider::presets;
use serde_json::Value;

/// As each format begins what it wants back, behind the name of the model that made it where there is one.
const BEGINNINGS: [&str; 7] = [
    "{\"reasoning_content\":",
    "{\"reasoning_details\":",
    "{\"thinking\":",
    "m\n{\"type\":\"thinking\",\"thinking\":",
    "m\n{\"type\":\"reasoning\",\"summary\":",
    "m\n{\"text\":",
    "m\n{\"thoughtSignature\":",
];

/// What may follow, from whole to torn.
const ENDS: [&str; 6] = ["\"whole\"}", "torn}", "\"torn", "}", "\"a\"},{\"b\":1}", "\"a\\x\"}"];

fn conversation(carried: &str, codec: &'static str) -> Vec<Entry> {
    let label = Label::default();
    let call = ToolCall { id: "call_1".into(), name: "clock".into(), input: "{}".into() };
    let parts = vec![Part::Carried(carried.into()), Part::Text("here".into()), Part::Call(call.clone())];
    vec![
        Entry::Person { text: "What time is it?".into(), images: Vec::new(), label },
        Entry::Model { parts, codec },
        Entry::Tool(ToolEntry {
            call: call.id,
            name: call.name,
            outcome: ToolOutcome::Done,
            text: "09:05".into(),
            folded: None,
            label,
        }),
    ]
}

#[test]
fn p5_what_is_carried_and_damaged_spoils_no_request() {
    let options = ModelOptions::default();
    let mixed = BEGINNINGS.iter().flat_map(|start| ENDS.iter().map(move |end| format!("{start}{end}")));
    let bare = ["m\n{}", "m\n{ }", "m\n[]", "m\nx", "{}", "", "m\n"].map(str::to_owned);
    for carried in mixed.chain(bare) {
        for preset in presets() {
            let codec = preset.codec();
            let entries = conversation(&carried, codec.name());
            let question = Question {
                model: "m",
                system: "Be brief.",
                tools: &[],
                tool_use: ToolUse::Allowed,
                entries: &entries,
                options: &options,
            };
            let body = codec.request(&question).unwrap().body;
            let parsed = serde_json::from_slice::<Value>(&body);
            assert!(parsed.is_ok(), "{} with {carried}: {}", preset.name, String::from_utf8_lossy(&body));
        }
    }
}
