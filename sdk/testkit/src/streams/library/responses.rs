//! Recordings of OpenAI Responses.

use aether_core::model::{ModelErrorKind, Stop, Usage};

use super::{
    LENGTH, LIMA, NOTE, OSLO, THOUGHT, TIME, UNICODE, WHOLE, broken, cached, call, calls, carrying, ending, failed,
    reasoned, recording, text, thought, usage,
};
use crate::dialect::Dialect;
use crate::streams::{Carries, Recording};

pub(super) const RESPONSES: &[Recording] = &[
    recording!(Responses, "responses/text.sse", "text", "text/event-stream", text(TIME, usage(31, 9))),
    recording!(
        Responses,
        "responses/call.sse",
        "call",
        "text/event-stream",
        calls("", &[call("call_Kq1", "clock", OSLO)], cached(62, 17, 48))
    ),
    recording!(
        Responses,
        "responses/parallel.sse",
        "parallel",
        "text/event-stream",
        calls(
            "Both at once.",
            &[call("call_a", "clock", OSLO), call("call_b", "clock", LIMA), call("call_c", "today", "{}")],
            usage(70, 51)
        )
    ),
    recording!(
        Responses,
        "responses/reasoning.sse",
        "reasoning",
        "text/event-stream",
        thought(
            THOUGHT,
            calls(
                "Let me look.",
                &[call("call_r", "clock", OSLO)],
                Usage { cached_tokens: 20, cache_write_tokens: 10, ..reasoned(40, 60, 44) }
            )
        )
    ),
    recording!(
        Responses,
        "responses/unicode.sse",
        "unicode",
        "text/event-stream",
        calls(UNICODE, &[call("call_u", "note", NOTE)], usage(20, 33))
    ),
    recording!(
        Responses,
        "responses/length.sse",
        "length",
        "text/event-stream",
        ending(Stop::Length, text(LENGTH, usage(12, 16)))
    ),
    recording!(
        Responses,
        "responses/sealed.sse",
        "sealed",
        "text/event-stream",
        carrying(Carries::Something, text("Done.", reasoned(10, 30, 25)))
    ),
    recording!(
        Responses,
        "responses/error.sse",
        "error",
        "text/event-stream",
        broken("I will", ModelErrorKind::Unavailable)
    ),
    recording!(
        Responses,
        "responses/failed.sse",
        "failed",
        "text/event-stream",
        broken("I will", ModelErrorKind::RateLimited)
    ),
    recording!(
        Responses,
        "responses/whole_text.json",
        "whole_text",
        "application/json",
        text(WHOLE, cached(31, 9, 16))
    ),
    recording!(
        Responses,
        "responses/whole_call.json",
        "whole_call",
        "application/json",
        thought(
            "Two clocks.",
            calls("", &[call("call_a", "clock", OSLO), call("call_b", "today", "{}")], usage(62, 31))
        )
    ),
    Recording {
        status: 401,
        ..recording!(
            Responses,
            "responses/http_401.json",
            "http_401",
            "application/json",
            failed(ModelErrorKind::Unauthorized)
        )
    },
    Recording {
        status: 429,
        ..recording!(
            Responses,
            "responses/http_429.json",
            "http_429",
            "application/json",
            failed(ModelErrorKind::RateLimited)
        )
    },
    Recording {
        status: 400,
        ..recording!(
            Responses,
            "responses/http_context.json",
            "http_context",
            "application/json",
            failed(ModelErrorKind::ContextTooLong)
        )
    },
];
