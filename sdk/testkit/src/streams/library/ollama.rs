//! Recordings of Ollama.

use aether_core::model::{ModelErrorKind, Stop};

use super::{
    LENGTH, LIMA, NOTE, OSLO, THOUGHT, TIME, UNICODE, WHOLE, broken, call, calls, carrying, ending, failed, recording,
    text, thought, usage,
};
use crate::dialect::Dialect;
use crate::streams::{Carries, Recording};

pub(super) const OLLAMA: &[Recording] = &[
    recording!(Ollama, "ollama/text.ndjson", "text", "application/x-ndjson", text(TIME, usage(31, 9))),
    recording!(
        Ollama,
        "ollama/call.ndjson",
        "call",
        "application/x-ndjson",
        calls("", &[call("call_Kq1", "clock", OSLO)], usage(62, 17))
    ),
    recording!(
        Ollama,
        "ollama/parallel.ndjson",
        "parallel",
        "application/x-ndjson",
        calls(
            "Both at once.",
            &[call("call_a", "clock", OSLO), call("call_b", "clock", LIMA), call("call_c", "today", "{}")],
            usage(70, 51)
        )
    ),
    recording!(
        Ollama,
        "ollama/reasoning.ndjson",
        "reasoning",
        "application/x-ndjson",
        carrying(Carries::Either, thought(THOUGHT, calls("Let me look.", &[call("", "clock", OSLO)], usage(40, 60))))
    ),
    recording!(
        Ollama,
        "ollama/unicode.ndjson",
        "unicode",
        "application/x-ndjson",
        calls(UNICODE, &[call("call_u", "note", NOTE)], usage(20, 33))
    ),
    recording!(
        Ollama,
        "ollama/length.ndjson",
        "length",
        "application/x-ndjson",
        ending(Stop::Length, text(LENGTH, usage(12, 16)))
    ),
    recording!(
        Ollama,
        "ollama/error.ndjson",
        "error",
        "application/x-ndjson",
        broken("I will", ModelErrorKind::Unavailable)
    ),
    recording!(Ollama, "ollama/whole_text.json", "whole_text", "application/json", text(WHOLE, usage(31, 9))),
    recording!(
        Ollama,
        "ollama/whole_call.json",
        "whole_call",
        "application/json",
        carrying(
            Carries::Either,
            thought(
                "Two clocks.",
                calls("", &[call("call_a", "clock", OSLO), call("call_b", "today", "{}")], usage(62, 31))
            )
        )
    ),
    Recording {
        status: 404,
        ..recording!(
            Ollama,
            "ollama/http_404.json",
            "http_404",
            "application/json",
            failed(ModelErrorKind::UnknownModel)
        )
    },
    Recording {
        status: 400,
        ..recording!(
            Ollama,
            "ollama/http_400_tools.json",
            "http_400_tools",
            "application/json",
            failed(ModelErrorKind::Unsupported)
        )
    },
    Recording {
        status: 500,
        ..recording!(
            Ollama,
            "ollama/http_500.json",
            "http_500",
            "application/json",
            failed(ModelErrorKind::Unavailable)
        )
    },
];
