//! Recordings of Gemini.

use aether_core::model::{ModelErrorKind, Stop, Usage};

use super::{
    LENGTH, LIMA, NOTE, OSLO, THOUGHT, TIME, UNICODE, WHOLE, broken, cached, call, calls, carrying, ending, failed,
    reasoned, recording, text, thought, usage, wait,
};
use crate::dialect::Dialect;
use crate::streams::{Carries, Recording};

pub(super) const GEMINI: &[Recording] = &[
    recording!(Gemini, "gemini/text.sse", "text", "text/event-stream", text(TIME, usage(31, 9))),
    recording!(
        Gemini,
        "gemini/call.sse",
        "call",
        "text/event-stream",
        carrying(Carries::Something, calls("", &[call("fc_Kq1", "clock", OSLO)], cached(62, 17, 48)))
    ),
    recording!(
        Gemini,
        "gemini/parallel.sse",
        "parallel",
        "text/event-stream",
        carrying(
            Carries::Something,
            calls(
                "Both at once.",
                &[call("fc_a", "clock", OSLO), call("fc_b", "clock", LIMA), call("fc_c", "today", "{}")],
                usage(70, 51)
            )
        )
    ),
    recording!(
        Gemini,
        "gemini/reasoning.sse",
        "reasoning",
        "text/event-stream",
        thought(
            THOUGHT,
            calls("Let me look.", &[call("fc_r", "clock", OSLO)], Usage { cached_tokens: 20, ..reasoned(40, 60, 44) })
        )
    ),
    recording!(
        Gemini,
        "gemini/unicode.sse",
        "unicode",
        "text/event-stream",
        carrying(Carries::Something, calls(UNICODE, &[call("fc_u", "note", NOTE)], usage(20, 33)))
    ),
    recording!(
        Gemini,
        "gemini/length.sse",
        "length",
        "text/event-stream",
        ending(Stop::Length, text(LENGTH, usage(12, 16)))
    ),
    recording!(
        Gemini,
        "gemini/signed_text.sse",
        "signed_text",
        "text/event-stream",
        carrying(Carries::Something, text("Done.", reasoned(10, 30, 25)))
    ),
    recording!(
        Gemini,
        "gemini/refused.sse",
        "refused",
        "text/event-stream",
        ending(Stop::Refused, text("I cannot", usage(12, 3)))
    ),
    recording!(
        Gemini,
        "gemini/blocked.sse",
        "blocked",
        "text/event-stream",
        ending(Stop::Refused, text("", usage(12, 0)))
    ),
    recording!(Gemini, "gemini/error.sse", "error", "text/event-stream", broken("I will", ModelErrorKind::Unavailable)),
    recording!(Gemini, "gemini/whole_text.json", "whole_text", "application/json", text(WHOLE, cached(31, 9, 16))),
    recording!(
        Gemini,
        "gemini/whole_call.json",
        "whole_call",
        "application/json",
        thought("Two clocks.", calls("", &[call("fc_a", "clock", OSLO), call("fc_b", "today", "{}")], usage(62, 31)))
    ),
    Recording {
        status: 400,
        ..recording!(
            Gemini,
            "gemini/http_400_key.json",
            "http_400_key",
            "application/json",
            failed(ModelErrorKind::Unauthorized)
        )
    },
    Recording {
        status: 404,
        ..recording!(
            Gemini,
            "gemini/http_404.json",
            "http_404",
            "application/json",
            failed(ModelErrorKind::UnknownModel)
        )
    },
    Recording {
        status: 503,
        ..recording!(
            Gemini,
            "gemini/http_503.json",
            "http_503",
            "application/json",
            failed(ModelErrorKind::Unavailable)
        )
    },
    Recording {
        status: 400,
        ..recording!(
            Gemini,
            "gemini/http_context.json",
            "http_context",
            "application/json",
            failed(ModelErrorKind::ContextTooLong)
        )
    },
    Recording {
        status: 429,
        ..recording!(
            Gemini,
            "gemini/http_429.json",
            "http_429",
            "application/json",
            wait(ModelErrorKind::RateLimited, 34_000)
        )
    },
];
