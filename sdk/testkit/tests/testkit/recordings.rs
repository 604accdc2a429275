//! The recordings say what the library says they do, in every spelling.

use aether_core::model::{ModelErrorKind, Stop};
use aether_testkit::dialect::Dialect;
use aether_testkit::streams::{Ending, recordings};

use crate::meaning::meaning;

#[test]
fn recordings_mean_what_they_are_said_to() {
    for recording in recordings().filter(|recording| recording.content_type != "text/html") {
        for (name, body) in recording.variants() {
            let found = meaning(recording.dialect, recording.content_type, &body);
            let expected = recording.expected;
            assert_eq!(found.text, expected.text, "{name}");
            assert_eq!(found.reasoning, expected.reasoning, "{name}");
            let calls: Vec<_> = expected
                .calls
                .iter()
                .map(|call| (call.name.to_owned(), serde_json::from_str(call.input).unwrap()))
                .collect();
            assert_eq!(found.calls, calls, "{name}");
            if let Some(usage) = expected.usage {
                let tokens = [usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens];
                assert_eq!(found.tokens, tokens, "{name}");
            }
            match expected.ending {
                Ending::Stop(stop) => {
                    assert_eq!(found.error, "", "{name}");
                    let blocked = recording.name == "blocked";
                    assert!(
                        blocked || words(recording.dialect, stop).contains(&found.reason.as_str()),
                        "{name}: {found:?}"
                    );
                }
                Ending::Error(kind) | Ending::Wait(kind, _) => {
                    assert_ne!((found.error.as_str(), kind), ("", ModelErrorKind::Malformed), "{name}");
                    assert!(!found.error.is_empty(), "{name}");
                }
            }
        }
    }
}

fn words(dialect: Dialect, stop: Stop) -> &'static [&'static str] {
    match (dialect, stop) {
        (Dialect::Chat, Stop::Done) => &["stop"],
        (Dialect::Chat, Stop::Calls) => &["tool_calls"],
        (Dialect::Chat, Stop::Length) => &["length"],
        (Dialect::Chat, Stop::Refused) => &["content_filter"],
        (Dialect::Responses, Stop::Done | Stop::Calls) => &["completed"],
        (Dialect::Responses, Stop::Length) => &["max_output_tokens"],
        (Dialect::Responses, Stop::Refused) => &["content_filter"],
        (Dialect::Anthropic, Stop::Done) => &["end_turn", "stop_sequence"],
        (Dialect::Anthropic, Stop::Calls) => &["tool_use"],
        (Dialect::Anthropic, Stop::Length) => &["max_tokens"],
        (Dialect::Anthropic, Stop::Refused) => &["refusal"],
        (Dialect::Gemini, Stop::Done | Stop::Calls) => &["STOP"],
        (Dialect::Gemini, Stop::Length) => &["MAX_TOKENS"],
        (Dialect::Gemini, Stop::Refused) => &["SAFETY"],
        (Dialect::Ollama, Stop::Done | Stop::Calls | Stop::Refused) => &["stop"],
        (Dialect::Ollama, Stop::Length) => &["length"],
    }
}
