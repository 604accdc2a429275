//! Whole conversations with a server that refuses what the real ones refuse.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::rehearsal::*;
use aether_core::model::{Codec, Delivery, Effort, ModelEvent, Stop, ToolUse};
use aether_core::transcript::Entry;
use aether_core::transcript::ToolOutcome::{Done, Failed};
use aether_provider::anthropic::Anthropic;
use aether_provider::gemini::Gemini;
use aether_provider::ollama::Ollama;
use aether_provider::openai_responses::OpenAiResponses;
use aether_provider::preset;
use aether_testkit::script::{Framing, Item, LineEnd, Script, Transport, Turn, Usage};
use aether_testkit::server::Server;

const COST: Usage =
    Usage { input_tokens: 100, output_tokens: 20, cached_tokens: 60, cache_write_tokens: 0, reasoning_tokens: 7 };

fn script() -> Script {
    let calls = vec![
        Item::reasoning("Two zones."),
        Item::texts(&["Look", "ing 🦀."]),
        Item::call("clock", r#"{"zone":"Europe/Oslo"}"#),
        Item::call("noop", "{}"),
    ];
    let again = vec![Item::reasoning("Once more."), Item::call("clock", r#"{"zone":"America/Lima"}"#)];
    let crlf = Transport { framing: Framing { line_end: LineEnd::CrLf, ..Framing::default() }, ..Transport::default() };
    Script::new()
        .turn(Turn::reply(calls).usage(COST))
        .turn(Turn::reply(again).transport(crlf))
        .turn(Turn::text("It is 09:05 and 03:05."))
        .turn(Turn::text("Bye.").always())
}

/// Asks the server and gives the answer's events.
fn ask(server: &Server, codec: &dyn Codec, draft: &Draft) -> Vec<ModelEvent> {
    let request = codec.request(&draft.question()).expect("it can be asked");
    let base = if codec.name().starts_with("openai") { "/v1" } else { "" };
    let mut text = format!("POST {base}{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", request.path);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let key = request.credential;
    text.push_str(&format!("{}: {}key\r\ncontent-length: {}\r\n\r\n", key.header, key.prefix, request.body.len()));
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.write_all(text.as_bytes()).expect("the head is sent");
    stream.write_all(&request.body).expect("the body is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the answer is read");
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("the answer has a head") + 4;
    let (top, body) = answer.split_at(split);
    let top = String::from_utf8_lossy(top).to_ascii_lowercase();
    let field = |name: &str| top.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
    let body = if field("transfer-encoding:") == "chunked" { dechunked(body) } else { body.to_vec() };
    let status = top.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let content_type = field("content-type:");
    let content_type = content_type.split(';').next().unwrap_or("");
    joined(&read(codec, head(status, content_type), body.chunks(13)))
}

/// Chunked transfer coding undone (RFC 9112, section 7.1).
fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

fn stop(events: &[ModelEvent]) -> Option<Stop> {
    match events.last() {
        Some(ModelEvent::Stop(stop)) => Some(*stop),
        _ => None,
    }
}

/// The results of every call in the answer.
fn results(events: &[ModelEvent]) -> Vec<Entry> {
    let calls = events.iter().filter_map(|event| match event {
        ModelEvent::Call(call) => Some(&*call.id),
        _ => None,
    });
    calls.enumerate().map(|(n, id)| result(id, if n == 1 { Failed } else { Done }, "09:05")).collect()
}

/// A conversation with parallel calls, reasoning, steering after results, an image, a schema and forbidden tools.
fn check(codec: &dyn Codec, model: &'static str, effort: Effort, delivery: Delivery) {
    let server = Server::start(script()).expect("the server starts");
    let mut draft = Draft::new(model, vec![shown("What time is it?", "image/png", b"\x89PNG")]);
    draft.options.effort = effort;
    draft.options.delivery = delivery;
    let about = format!("{model} {effort:?} {delivery:?}");

    let first = ask(&server, codec, &draft);
    assert_eq!(stop(&first), Some(Stop::Calls), "{about}: {first:?}");
    assert!(first.contains(&ModelEvent::Text("Looking 🦀.".into())), "{about}: {first:?}");
    let usage =
        first.iter().rev().find_map(|event| if let ModelEvent::Usage(usage) = event { Some(usage) } else { None });
    let cost = match codec.name() {
        "ollama" => Usage { cached_tokens: 0, reasoning_tokens: 0, ..COST },
        _ => COST,
    };
    assert_eq!(usage, Some(&cost), "{about}");
    draft.entries.push(entry_of(codec.name(), &first));
    draft.entries.extend(results(&first));
    draft.entries.push(person("And in Lima?"));

    let second = ask(&server, codec, &draft);
    assert_eq!(stop(&second), Some(Stop::Calls), "{about}: {second:?}");
    draft.entries.push(entry_of(codec.name(), &second));
    draft.entries.extend(results(&second));
    draft.entries.push(note("The budget is nearly spent: answer now."));
    draft.tool_use = ToolUse::Forbidden;

    let third = ask(&server, codec, &draft);
    assert_eq!(stop(&third), Some(Stop::Done), "{about}: {third:?}");
    draft.entries.push(entry_of(codec.name(), &third));
    draft.entries.push(person("As JSON, please."));
    if !model.contains("-2.5-") {
        let schema =
            r#"{"type":"object","properties":{"t":{"type":"string"}},"required":["t"],"additionalProperties":false}"#;
        draft.options.schema = Some(schema.into());
    }
    let fourth = ask(&server, codec, &draft);
    assert_eq!(stop(&fourth), Some(Stop::Done), "{about}: {fourth:?}");
    assert_eq!(server.requests().len(), 4, "{about}");
    assert!(server.refused().is_empty(), "{about}");
}

#[test]
fn a_strict_server_takes_every_question_to_anthropic() {
    for delivery in [Delivery::Streamed, Delivery::Whole] {
        for model in ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-4-8", "claude-haiku-4-5"]
        {
            for effort in [Effort::Unset, Effort::Minimal, Effort::High] {
                check(&Anthropic::new(), model, effort, delivery);
            }
        }
    }
}

#[test]
fn a_strict_server_takes_every_question_to_gemini() {
    for delivery in [Delivery::Streamed, Delivery::Whole] {
        for model in ["gemini-4-argon", "gemini-3.8-flash", "gemini-2.5-pro"] {
            for effort in [Effort::Unset, Effort::Minimal, Effort::High] {
                check(&Gemini::new(), model, effort, delivery);
            }
        }
    }
}

#[test]
fn a_strict_server_takes_every_question_to_openai() {
    let chat = preset("openai-chat").expect("a preset").codec();
    for delivery in [Delivery::Streamed, Delivery::Whole] {
        for model in ["gpt-4.1", "gpt-4o", "gpt-5.4", "gpt-5.5"] {
            check(&*chat, model, Effort::Unset, delivery);
        }
        for model in ["gpt-4.1", "gpt-5", "gpt-5.5", "gpt-6.1-terra", "gpt-6-astra", "gpt-6.1-sol", "o4-mini"] {
            let efforts: &[Effort] = match model {
                "gpt-4.1" => &[Effort::Unset],
                _ => &[Effort::Unset, Effort::Minimal, Effort::High],
            };
            for effort in efforts {
                check(&OpenAiResponses::new(), model, *effort, delivery);
            }
        }
    }
}

#[test]
fn a_strict_server_takes_every_question_to_ollama() {
    for delivery in [Delivery::Streamed, Delivery::Whole] {
        for (model, effort) in [("qwen3:8b", Effort::Unset), ("qwen3:8b", Effort::Low), ("gpt-oss:20b", Effort::High)] {
            check(&Ollama::new(Some(8192)), model, effort, delivery);
        }
    }
}

#[test]
fn a_conversation_goes_on_with_another_provider_and_another_model() {
    let chat = preset("openai-chat").expect("a preset").codec();
    let asked: [(&dyn Codec, &str); 10] = [
        (&Anthropic::new(), "claude-opus-5-5"),
        (&Gemini::new(), "gemini-3.8-flash"),
        (&Anthropic::new(), "claude-sonnet-5-5"),
        (&Gemini::new(), "gemini-4-argon"),
        (&OpenAiResponses::new(), "gpt-5.5"),
        (&Ollama::new(None), "qwen3:8b"),
        (&*chat, "gpt-4.1"),
        (&OpenAiResponses::new(), "gpt-6.1-terra"),
        (&Gemini::new(), "gemini-3.8-flash"),
        (&Anthropic::new(), "claude-haiku-4-5"),
    ];
    let calls = || vec![Item::reasoning("Hm."), Item::call("clock", r#"{"zone":"UTC"}"#), Item::call("clock", "{}")];
    let server = Server::start(Script::new().turn(Turn::reply(calls()).always())).expect("the server starts");
    let mut draft = Draft::new("", vec![person("What time is it?")]);
    for (codec, model) in asked {
        draft.model = model;
        draft.options.effort = if model == "gpt-4.1" { Effort::Unset } else { Effort::High };
        let events = ask(&server, codec, &draft);
        assert_eq!(stop(&events), Some(Stop::Calls), "{model}: {events:?}");
        draft.entries.push(entry_of(codec.name(), &events));
        draft.entries.extend(results(&events));
    }
    assert!(server.refused().is_empty());
}
