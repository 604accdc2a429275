//! Recordings of Anthropic Messages.

use aether_core::model::{ModelErrorKind, Stop, Usage};

use super::{
    LENGTH, LIMA, NOTE, OSLO, THOUGHT, TIME, UNICODE, WHOLE, broken, cached, call, calls, carrying, ending, failed,
    reasoned, recording, text, thought, usage, wait,
};
use crate::dialect::Dialect;
use crate::streams::{Carries, Recording};

pub(super) const ANTHROPIC: &[Recording] = &[
    recording!(Anthropic, "anthropic/text.sse", "text", "text/event-stream", text(TIME, usage(31, 9))),
    recording!(
        Anthropic,
        "anthropic/call.sse",
        "call",
        "text/event-stream",
        calls("", &[call("toolu_01K", "clock", OSLO)], cached(62, 17, 48))
    ),
    recording!(
        Anthropic,
        "anthropic/parallel.sse",
        "parallel",
        "text/event-stream",
        calls(
            "Both at once.",
            &[call("toolu_a", "clock", OSLO), call("toolu_b", "clock", LIMA), call("toolu_c", "today", "{}")],
            usage(70, 51)
        )
    ),
    recording!(
        Anthropic,
        "anthropic/reasoning.sse",
        "reasoning",
        "text/event-stream",
        thought(
            THOUGHT,
            calls(
                "Let me look.",
                &[call("toolu_r", "clock", OSLO)],
                Usage { cached_tokens: 20, cache_write_tokens: 10, ..reasoned(40, 60, 44) }
            )
        )
    ),
    recording!(
        Anthropic,
        "anthropic/unicode.sse",
        "unicode",
        "text/event-stream",
        calls(UNICODE, &[call("toolu_u", "note", NOTE)], usage(20, 33))
    ),
    recording!(
        Anthropic,
        "anthropic/length.sse",
        "length",
        "text/event-stream",
        ending(Stop::Length, text(LENGTH, usage(12, 16)))
    ),
    recording!(
        Anthropic,
        "anthropic/omitted.sse",
        "omitted",
        "text/event-stream",
        carrying(Carries::Something, text("Done.", reasoned(10, 30, 25)))
    ),
    recording!(
        Anthropic,
        "anthropic/refused.sse",
        "refused",
        "text/event-stream",
        ending(Stop::Refused, text("I cannot", usage(12, 3)))
    ),
    recording!(
        Anthropic,
        "anthropic/error.sse",
        "error",
        "text/event-stream",
        broken("I will", ModelErrorKind::Unavailable)
    ),
    recording!(
        Anthropic,
        "anthropic/whole_text.json",
        "whole_text",
        "application/json",
        text(WHOLE, cached(31, 9, 16))
    ),
    recording!(
        Anthropic,
        "anthropic/whole_call.json",
        "whole_call",
        "application/json",
        thought(
            "Two clocks.",
            calls("", &[call("toolu_a", "clock", OSLO), call("toolu_b", "today", "{}")], usage(62, 31))
        )
    ),
    Recording {
        status: 401,
        ..recording!(
            Anthropic,
            "anthropic/http_401.json",
            "http_401",
            "application/json",
            failed(ModelErrorKind::Unauthorized)
        )
    },
    Recording {
        status: 404,
        ..recording!(
            Anthropic,
            "anthropic/http_404.json",
            "http_404",
            "application/json",
            failed(ModelErrorKind::UnknownModel)
        )
    },
    Recording {
        status: 529,
        ..recording!(
            Anthropic,
            "anthropic/http_529.json",
            "http_529",
            "application/json",
            failed(ModelErrorKind::Unavailable)
        )
    },
    Recording {
        status: 400,
        ..recording!(
            Anthropic,
            "anthropic/http_context.json",
            "http_context",
            "application/json",
            failed(ModelErrorKind::ContextTooLong)
        )
    },
    Recording {
        status: 400,
        ..recording!(
            Anthropic,
            "anthropic/http_credit.json",
            "http_credit",
            "application/json",
            failed(ModelErrorKind::Unpaid)
        )
    },
    Recording {
        status: 429,
        retry_after_ms: Some(17_000),
        ..recording!(
            Anthropic,
            "anthropic/http_429.json",
            "http_429",
            "application/json",
            wait(ModelErrorKind::RateLimited, 17_000)
        )
    },
];
