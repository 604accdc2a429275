//! The responses a server can give: lists, refusals, scripted replies, failures and raw bytes.

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::http::Extent;
use crate::refusal::Refusal;
use crate::render::{self, Rendered, Saying};
use crate::script::{Failure, Outcome, Transport, Turn};

/// A response and how it travels.
pub(super) struct Answer {
    pub(super) head: Head,
    /// The bytes of the body in pieces, and how often each is sent.
    pub(super) frames: Vec<(Vec<u8>, u32)>,
    pub(super) transport: Transport,
}

/// The head of a response.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) extent: Extent,
}

pub(super) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// One JSON value as a response.
pub(super) fn whole(value: &Value) -> Answer {
    json_answer(200, value)
}

fn json_answer(status: u16, value: &Value) -> Answer {
    let bytes = value.to_string().into_bytes();
    let extent = Extent::Bytes(bytes.len() as u64);
    let headers = vec![header("content-type", "application/json")];
    Answer { head: Head { status, headers, extent }, frames: vec![(bytes, 1)], transport: Transport::default() }
}

pub(super) fn refused(dialect: Dialect, refusal: &Refusal) -> Answer {
    json_answer(refusal.status, &refusal.body(dialect))
}

/// The response to a scripted reply.
pub(super) fn said_by(dialect: Dialect, turn: &Turn, saying: &Saying<'_>) -> Answer {
    let mut answer = match render::render(dialect, saying) {
        Rendered::Failed(refusal) => refused(dialect, &refusal),
        Rendered::Whole(value) => whole(&value),
        Rendered::Events(events) => {
            let frames = render::framed(dialect, &events, turn.transport.framing);
            let kind =
                if dialect == Dialect::Ollama { "application/x-ndjson" } else { "text/event-stream; charset=utf-8" };
            let headers = vec![header("content-type", kind), header("cache-control", "no-cache")];
            let head = Head { status: 200, headers, extent: Extent::Chunked };
            Answer { head, frames, transport: Transport::default() }
        }
    };
    travelling(&mut answer, turn);
    answer
}

/// The response to a scripted failure or raw response.
pub(super) fn scripted(dialect: Dialect, turn: &Turn, outcome: &Outcome) -> Answer {
    let mut answer = match outcome {
        Outcome::Failure(failure) => failed(dialect, failure),
        Outcome::Raw(raw) => {
            let extent = Extent::Bytes(raw.body.len() as u64 * u64::from(raw.times));
            let head = Head { status: raw.status, headers: vec![header("content-type", &raw.content_type)], extent };
            Answer { head, frames: vec![(raw.body.clone(), raw.times)], transport: Transport::default() }
        }
        Outcome::Reply(_) => whole(&Value::Null),
    };
    travelling(&mut answer, turn);
    answer
}

/// Gemini says in the body how long to wait (`google.rpc.RetryInfo`), the others in a header.
fn failed(dialect: Dialect, failure: &Failure) -> Answer {
    let mut body = render::refusal(failure).body(dialect);
    let Some(wait) = &failure.retry_after else { return json_answer(failure.status, &body) };
    if dialect == Dialect::Gemini {
        let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{wait}s")});
        match body.pointer_mut("/error/details").and_then(Value::as_array_mut) {
            Some(details) => details.push(info),
            None => body["error"]["details"] = json!([info]),
        }
        return json_answer(failure.status, &body);
    }
    let mut answer = json_answer(failure.status, &body);
    answer.head.headers.push(header("retry-after", wait));
    answer
}

fn travelling(answer: &mut Answer, turn: &Turn) {
    answer.transport = turn.transport.clone();
    answer.head.headers.extend(turn.transport.headers.iter().cloned());
}
