//! Recordings of OpenAI Chat Completions and compatible servers.

use aether_core::model::{ModelErrorKind, Stop};

use super::{
    LENGTH, LIMA, NOTE, OSLO, THOUGHT, TIME, UNICODE, WHOLE, broken, cached, call, calls, carrying, ending, failed,
    reasoned, recording, text, thought, usage, wait,
};
use crate::dialect::Dialect;
use crate::streams::{Carries, Recording};

pub(super) const CHAT: &[Recording] = &[
    recording!(Chat, "chat/text.sse", "text", "text/event-stream", text(TIME, usage(31, 9))),
    recording!(
        Chat,
        "chat/call.sse",
        "call",
        "text/event-stream",
        calls("", &[call("call_Kq1", "clock", OSLO)], cached(62, 17, 48))
    ),
    recording!(
        Chat,
        "chat/parallel.sse",
        "parallel",
        "text/event-stream",
        calls(
            "Both at once.",
            &[call("call_a", "clock", OSLO), call("call_b", "clock", LIMA), call("call_c", "today", "{}")],
            usage(70, 51)
        )
    ),
    recording!(
        Chat,
        "chat/reasoning.sse",
        "reasoning",
        "text/event-stream",
        carrying(
            Carries::Either,
            thought(THOUGHT, calls("Let me look.", &[call("call_r", "clock", OSLO)], reasoned(40, 60, 44)))
        )
    ),
    recording!(
        Chat,
        "chat/unicode.sse",
        "unicode",
        "text/event-stream",
        calls(UNICODE, &[call("call_u", "note", NOTE)], usage(20, 33))
    ),
    recording!(
        Chat,
        "chat/length.sse",
        "length",
        "text/event-stream",
        ending(Stop::Length, text(LENGTH, usage(12, 16)))
    ),
    recording!(Chat, "chat/error.sse", "error", "text/event-stream", broken("I will", ModelErrorKind::Unavailable)),
    recording!(Chat, "chat/whole_text.json", "whole_text", "application/json", text(WHOLE, cached(31, 9, 16))),
    recording!(
        Chat,
        "chat/whole_call.json",
        "whole_call",
        "application/json",
        calls("", &[call("call_a", "clock", OSLO), call("call_b", "today", "{}")], usage(62, 31))
    ),
    Recording {
        status: 401,
        ..recording!(Chat, "chat/http_401.json", "http_401", "application/json", failed(ModelErrorKind::Unauthorized))
    },
    Recording {
        status: 404,
        ..recording!(Chat, "chat/http_404.json", "http_404", "application/json", failed(ModelErrorKind::UnknownModel))
    },
    Recording {
        status: 429,
        retry_after_ms: Some(2_000),
        ..recording!(
            Chat,
            "chat/http_429.json",
            "http_429",
            "application/json",
            wait(ModelErrorKind::RateLimited, 2_000)
        )
    },
    Recording {
        status: 429,
        ..recording!(Chat, "chat/http_quota.json", "http_quota", "application/json", failed(ModelErrorKind::Unpaid))
    },
    Recording {
        status: 400,
        ..recording!(
            Chat,
            "chat/http_context.json",
            "http_context",
            "application/json",
            failed(ModelErrorKind::ContextTooLong)
        )
    },
    // A page from something between: a portal that pretends to be the answer, and a proxy that lost the server.
    recording!(Chat, "chat/http_html.html", "portal", "text/html", failed(ModelErrorKind::Malformed)),
    Recording {
        status: 502,
        ..recording!(Chat, "chat/http_html.html", "http_502", "text/html", failed(ModelErrorKind::Unavailable))
    },
];
