//! The recordings: their bodies are files in `recordings/`, their meaning stands here.

use aether_core::model::{ModelErrorKind, Stop, Usage};

use super::{Carries, Ending, Expected, ExpectedCall, Recording};
mod anthropic;
mod chat;
mod gemini;
mod ollama;
mod responses;

pub(super) const ALL: &[&[Recording]] =
    &[chat::CHAT, responses::RESPONSES, anthropic::ANTHROPIC, gemini::GEMINI, ollama::OLLAMA];

const fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, cached_tokens: 0, cache_write_tokens: 0, reasoning_tokens: 0 }
}

const fn cached(input_tokens: u64, output_tokens: u64, cached_tokens: u64) -> Usage {
    Usage { cached_tokens, ..usage(input_tokens, output_tokens) }
}

const fn reasoned(input_tokens: u64, output_tokens: u64, reasoning_tokens: u64) -> Usage {
    Usage { reasoning_tokens, ..usage(input_tokens, output_tokens) }
}

const fn call(id: &'static str, name: &'static str, input: &'static str) -> ExpectedCall {
    ExpectedCall { id, name, input }
}

const NOTHING: Expected = Expected {
    text: "",
    reasoning: "",
    calls: &[],
    usage: None,
    ending: Ending::Stop(Stop::Done),
    carries: Carries::Nothing,
};

const fn text(text: &'static str, usage: Usage) -> Expected {
    Expected { text, usage: Some(usage), ..NOTHING }
}

const fn calls(text: &'static str, calls: &'static [ExpectedCall], usage: Usage) -> Expected {
    Expected { text, calls, usage: Some(usage), ending: Ending::Stop(Stop::Calls), ..NOTHING }
}

const fn thought(reasoning: &'static str, expected: Expected) -> Expected {
    Expected { reasoning, carries: Carries::Something, ..expected }
}

const fn carrying(carries: Carries, expected: Expected) -> Expected {
    Expected { carries, ..expected }
}

const fn ending(stop: Stop, expected: Expected) -> Expected {
    Expected { ending: Ending::Stop(stop), ..expected }
}

const fn broken(text: &'static str, kind: ModelErrorKind) -> Expected {
    Expected { text, ending: Ending::Error(kind), carries: Carries::Either, ..NOTHING }
}

const fn failed(kind: ModelErrorKind) -> Expected {
    Expected { ending: Ending::Error(kind), ..NOTHING }
}

const fn wait(kind: ModelErrorKind, ms: u64) -> Expected {
    Expected { ending: Ending::Wait(kind, ms), ..NOTHING }
}

const TIME: &str = "It is five past nine\nin Oslo.";
const WHOLE: &str = "It is 🕘 five past nine.";
const UNICODE: &str = "Zeit 🕘 in Tromsø – 北京 👩\u{200d}👩\u{200d}👧 \u{0}\"\\";
const OSLO: &str = "{\"zone\":\"Europe/Oslo\"}";
const LIMA: &str = "{\"zone\":\"America/Lima\"}";
const NOTE: &str = "{\"text\":\"🕘 “née” 𝒳\"}";
const LENGTH: &str = "This goes on and";
const THOUGHT: &str = "The person asks for the time.";

/// A recording: format, folder, file, name, media type and meaning.
macro_rules! recording {
    ($dialect:ident, $file:literal, $name:literal, $content_type:literal, $expected:expr) => {
        Recording {
            name: $name,
            dialect: Dialect::$dialect,
            status: 200,
            content_type: $content_type,
            retry_after_ms: None,
            body: include_bytes!(concat!("../../../recordings/", $file)),
            expected: $expected,
        }
    };
}

use recording;
