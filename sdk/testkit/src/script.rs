//! What the server answers: turns in order, each with its conditions, its content and its misbehaviour.
//!
//! A script is built with methods or read from JSON; the JSON keys are those of [`Script::from_json`].

use std::fmt;

pub use aether_core::model::Usage;

use crate::dialect::Dialect;

mod json;

/// What a server answers, and how strictly it looks at requests.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The turns, tried in order; the first that matches and has uses left answers.
    pub turns: Vec<Turn>,
    /// The models that exist; empty: every model does, and the lists show one per dialect.
    pub models: Vec<String>,
    /// The keys that are accepted; empty: every key is.
    pub keys: Vec<String>,
    /// How requests are looked at.
    pub checks: Checks,
}

/// How a server looks at requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// Every rule of the dialect; requests are recorded.
    #[default]
    Strict,
    /// None: bodies are not parsed, nothing is recorded, answers are rendered once and kept. For benchmarks.
    ///
    /// [`When::contains`] then looks at the whole body's bytes, [`When::model`] and [`When::last`] are not
    /// looked at, and the answer carries the model name `scripted`.
    Skipped,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Which requests it answers.
    pub when: When,
    /// How many requests it answers; `None`: as many as come.
    pub uses: Option<u32>,
    /// What it answers.
    pub outcome: Outcome,
    /// How the bytes travel.
    pub transport: Transport,
}

/// Conditions on a request; all that are set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// The request's model.
    pub model: Option<String>,
    /// A part of the last message's text (the question, or the tools' results).
    pub contains: Option<String>,
    /// The request's dialect.
    pub dialect: Option<Dialect>,
    /// Who spoke last.
    pub last: Option<Speaker>,
}

/// Who spoke last in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The person.
    User,
    /// A tool.
    Tool,
}

/// What a turn answers with.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An answer of the model.
    Reply(Reply),
    /// An HTTP error in the dialect's shape.
    Failure(Failure),
    /// These bytes, whatever was asked.
    Raw(Raw),
}

/// An answer of the model.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Its content in order.
    pub items: Vec<Item>,
    /// What it cost; `None`: a quarter of a token for each byte of request and answer.
    pub usage: Option<Usage>,
    /// Why it ends; `None`: [`End::Calls`] when it has calls, [`End::Done`] else.
    pub end: Option<End>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Text in pieces, the whole sequence sent `times` times.
    Text {
        /// The pieces, each one event of a stream.
        pieces: Vec<String>,
        /// How often the sequence is sent.
        times: u32,
    },
    /// Reasoning in pieces.
    Reasoning(Vec<String>),
    /// A tool call.
    Call {
        /// The id; `None`: one made from the place of the call in the answer and the request's number.
        id: Option<String>,
        /// The tool.
        name: String,
        /// The input's JSON text in fragments, each one event where the dialect streams arguments.
        fragments: Vec<String>,
    },
    /// The stream breaks off here with an error event; in one body it is an HTTP error.
    Failure(Failure),
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The model is done.
    Done,
    /// It waits for tools.
    Calls,
    /// It reached its output limit.
    Length,
    /// The provider withheld the rest.
    Refused,
    /// The dialect's own word, as it stands.
    Word(String),
}

/// An error of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// The dialect's kind; empty for the usual one of the status.
    pub kind: String,
    /// The sentence.
    pub message: String,
    /// OpenAI's code or Gemini's reason.
    pub code: Option<String>,
    /// The value of `retry-after`.
    pub retry_after: Option<String>,
}

/// A response as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// HTTP status.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// How often the body is sent, one after the other.
    pub times: u32,
}

/// How a response's bytes travel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// Milliseconds before the head.
    pub head_delay_ms: u64,
    /// Milliseconds before each event of the body.
    pub piece_delay_ms: u64,
    /// The body is cut into writes of this many bytes, each its own HTTP chunk; 0: one per event.
    pub chunk_bytes: usize,
    /// Milliseconds before each of those writes.
    pub chunk_delay_ms: u64,
    /// Where the connection is closed too early.
    pub cut: Option<Place>,
    /// Where the server falls silent for good.
    pub hang: Option<Place>,
    /// How server-sent events and lines are written.
    pub framing: Framing,
    /// Headers added to the response.
    pub headers: Vec<(String, String)>,
}

/// A place in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before its first byte.
    BeforeHead,
    /// In the middle of its head.
    InHead,
    /// After so many bytes of its body.
    AfterBytes(u64),
}

/// How events are written (WHATWG HTML, "Server-sent events", "Interpreting an event stream").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// How lines end.
    pub line_end: LineEnd,
    /// Whether comment lines stand between the events.
    pub comments: Comments,
    /// How an event's data is spread over lines.
    pub data: DataLines,
    /// How the body ends.
    pub last: LastLine,
}

/// How lines end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// Line feed; carriage return and line feed for Gemini, as its server sends.
    #[default]
    Usual,
    /// Carriage return and line feed.
    CrLf,
}

/// Whether comment lines stand between events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comments {
    /// No.
    #[default]
    None,
    /// Before every event.
    Everywhere,
}

/// How an event's data is spread over lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataLines {
    /// On one.
    #[default]
    One,
    /// On two `data:` lines, the second without a space after the colon.
    Two,
}

/// How the body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastLine {
    /// As it should.
    #[default]
    Whole,
    /// Without the blank line after the last event; for lines, without the last line's end.
    Open,
}

impl Script {
    /// A script without turns, for every model and key.
    #[must_use]
    pub fn new() -> Script {
        Script::default()
    }

    /// With one more turn.
    #[must_use]
    pub fn turn(mut self, turn: Turn) -> Script {
        self.turns.push(turn);
        self
    }

    /// With one more model that exists; then only named models do.
    #[must_use]
    pub fn model(mut self, name: &str) -> Script {
        self.models.push(name.to_owned());
        self
    }

    /// With one more key that is accepted; then only named keys are.
    #[must_use]
    pub fn key(mut self, key: &str) -> Script {
        self.keys.push(key.to_owned());
        self
    }

    /// Without any look at requests (see [`Checks::Skipped`]).
    #[must_use]
    pub fn unchecked(mut self) -> Script {
        self.checks = Checks::Skipped;
        self
    }

    /// Reads a script from JSON.
    ///
    /// ```json
    /// {"models": ["m"], "keys": ["k"], "checks": "strict" | "skipped", "turns": [{
    ///   "when": {"model": "m", "contains": "t", "dialect": "chat", "last": "user" | "tool"},
    ///   "uses": 1 | "any",
    ///   "reply": ["text", {"text": "a" | ["a", "b"], "times": 1}, {"reasoning": "a" | ["a"]},
    ///             {"call": "name", "id": "x", "input": {}, "fragments": ["{", "}"]}, {"failure": {...}}],
    ///   "usage": {"input": 1, "output": 1, "cached": 0, "cache_write": 0, "reasoning": 0},
    ///   "end": "done" | "calls" | "length" | "refused" | "any other word",
    ///   "failure": {"status": 429, "message": "m", "kind": "k", "code": "c", "retry_after": "3"},
    ///   "raw": {"status": 200, "content_type": "text/html", "body": "b", "times": 1},
    ///   "transport": {"head_delay_ms": 0, "piece_delay_ms": 0, "chunk_bytes": 0, "chunk_delay_ms": 0,
    ///     "cut": "before_head" | "in_head" | 12, "hang": the same, "line_end": "crlf", "comments": "everywhere",
    ///     "data": "two", "last": "open", "headers": {"name": "value"}}
    /// }]}
    /// ```
    ///
    /// A turn has one of `reply`, `failure` and `raw`.
    ///
    /// # Errors
    /// [`ScriptError`] when the text is not JSON, a key is unknown or a value is of the wrong kind.
    pub fn from_json(text: &str) -> Result<Script, ScriptError> {
        json::script(text)
    }
}

impl Turn {
    /// A turn with this outcome, for one request.
    fn with(outcome: Outcome) -> Turn {
        Turn { when: When::default(), uses: Some(1), outcome, transport: Transport::default() }
    }

    /// An answer of these parts.
    #[must_use]
    pub fn reply(items: Vec<Item>) -> Turn {
        Turn::with(Outcome::Reply(Reply { items, usage: None, end: None }))
    }

    /// An answer of one text, in one piece.
    #[must_use]
    pub fn text(text: &str) -> Turn {
        Turn::reply(vec![Item::text(text)])
    }

    /// An answer of one tool call.
    #[must_use]
    pub fn call(name: &str, input: &str) -> Turn {
        Turn::reply(vec![Item::call(name, input)])
    }

    /// An HTTP error.
    #[must_use]
    pub fn failure(status: u16, message: &str) -> Turn {
        Turn::with(Outcome::Failure(Failure::new(status, message)))
    }

    /// A response as it stands.
    #[must_use]
    pub fn raw(status: u16, content_type: &str, body: &[u8]) -> Turn {
        let raw = Raw { status, content_type: content_type.to_owned(), body: body.to_vec(), times: 1 };
        Turn::with(Outcome::Raw(raw))
    }

    /// For every request that matches, not one only.
    #[must_use]
    pub fn always(mut self) -> Turn {
        self.uses = None;
        self
    }

    /// For so many requests.
    #[must_use]
    pub fn uses(mut self, uses: u32) -> Turn {
        self.uses = Some(uses);
        self
    }

    /// For requests that hold this.
    #[must_use]
    pub fn when(mut self, when: When) -> Turn {
        self.when = when;
        self
    }

    /// Travelling like this.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Turn {
        self.transport = transport;
        self
    }

    /// Costing this; of no effect on turns that are no reply.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Turn {
        if let Outcome::Reply(reply) = &mut self.outcome {
            reply.usage = Some(usage);
        }
        self
    }

    /// Ending like this; of no effect on turns that are no reply.
    #[must_use]
    pub fn end(mut self, end: End) -> Turn {
        if let Outcome::Reply(reply) = &mut self.outcome {
            reply.end = Some(end);
        }
        self
    }

    /// Asking to wait; of no effect on turns that are no failure.
    #[must_use]
    pub fn retry_after(mut self, value: &str) -> Turn {
        if let Outcome::Failure(failure) = &mut self.outcome {
            failure.retry_after = Some(value.to_owned());
        }
        self
    }
}

impl Item {
    /// Text in one piece.
    #[must_use]
    pub fn text(text: &str) -> Item {
        Item::Text { pieces: vec![text.to_owned()], times: 1 }
    }

    /// Text in these pieces.
    #[must_use]
    pub fn texts(pieces: &[&str]) -> Item {
        Item::Text { pieces: pieces.iter().map(|&piece| piece.to_owned()).collect(), times: 1 }
    }

    /// Reasoning in one piece.
    #[must_use]
    pub fn reasoning(text: &str) -> Item {
        Item::Reasoning(vec![text.to_owned()])
    }

    /// A tool call whose input comes in two fragments, cut near its middle.
    #[must_use]
    pub fn call(name: &str, input: &str) -> Item {
        let middle = (input.len() / 2..=input.len()).find(|&at| input.is_char_boundary(at)).unwrap_or(input.len());
        let (first, second) = input.split_at(middle);
        Item::Call { id: None, name: name.to_owned(), fragments: vec![first.to_owned(), second.to_owned()] }
    }
}

impl Failure {
    /// An error of the usual kind for its status.
    #[must_use]
    pub fn new(status: u16, message: &str) -> Failure {
        Failure { status, kind: String::new(), message: message.to_owned(), code: None, retry_after: None }
    }
}

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Where, such as `turns[0].reply`; empty for the whole.
    pub place: String,
    /// What was found and what was wanted.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "the script" } else { &self.place };
        write!(f, "{place}: {}", self.message)
    }
}

impl std::error::Error for ScriptError {}
