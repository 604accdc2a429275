//! The model interface: a question becomes a request, response bytes become events. Both sides are dry.
//!
//! A [`Codec`] knows one provider's format and touches nothing: the driver carries its [`Request`] to a
//! server and feeds what comes back to its [`Reader`] in pieces of any size.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use crate::tool::{Manifest, ToolCall};
use crate::transcript::Entry;
use crate::words::{names, reads};

/// What a task asks a model, borrowed from the task.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The model's name as its provider spells it.
    pub model: &'a str,
    /// The standing instructions; the same bytes in every question of a task.
    pub system: &'a str,
    /// The tools the model may call; the same in every question of a task.
    pub tools: &'a [Arc<Manifest>],
    /// Whether it may call them now.
    pub tool_use: ToolUse,
    /// The conversation so far, oldest first.
    pub entries: &'a [Entry],
    /// Everything else.
    pub options: &'a ModelOptions,
}

/// Whether the model may call tools in its next turn.
///
/// Tools stay declared when they are forbidden: several providers refuse a conversation that holds calls
/// of undeclared tools, and the prompt prefix stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolUse {
    /// As the model sees fit.
    Allowed,
    /// Text only.
    Forbidden,
}

/// How an answer is transported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Piece by piece, as it is made.
    #[default]
    Streamed,
    /// In one body.
    Whole,
}

/// How hard a reasoning model should think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// What the provider does by itself.
    #[default]
    Unset,
    /// As little as the model allows.
    Minimal,
    /// Little.
    Low,
    /// A middle way.
    Medium,
    /// Much.
    High,
}

/// Options of every question of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOptions {
    /// The most tokens one answer may have, reasoning included; `None` leaves it to the codec.
    pub output_tokens_max: Option<u32>,
    /// Sampling temperature, 0 to 2, left out for models that refuse one.
    pub temperature: Option<f32>,
    /// How hard to think.
    pub effort: Effort,
    /// A JSON Schema that the answer's text must satisfy.
    pub schema: Option<Arc<str>>,
    /// Streamed or whole.
    pub delivery: Delivery,
}

/// One request to a provider, without secrets: the driver adds the key where `credential` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Path and query, to be put behind the provider's base address; starts with `/`.
    pub path: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(&'static str, String)>,
    /// Where the key goes.
    pub credential: Credential,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// The method of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends the body.
    Post,
}

/// The header that carries the key: `name: prefix key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The header's name, lower case.
    pub header: &'static str,
    /// What stands before the key, its space included, such as `Bearer `.
    pub prefix: &'static str,
}

/// One provider's format.
pub trait Codec: Send + Sync {
    /// The format's name, such as `anthropic`. Marks the model turns it reads, because what a provider
    /// wants carried back ([`Part::Carried`]) means nothing to another.
    fn name(&self) -> &'static str;

    /// The request that asks `question`.
    ///
    /// # Errors
    /// [`ModelErrorKind::Unsupported`] when this format cannot say what is asked.
    fn request(&self, question: &Question<'_>) -> Result<Request, ModelError>;

    /// A reader for the answer to one request. `status` is the HTTP status and `retry_after` the header of
    /// that name, if there is one.
    fn reader(&self, head: Head<'_>) -> Box<dyn Reader>;

    /// The request for the list of models.
    fn list_request(&self) -> Request;

    /// Reads the answer to [`Codec::list_request`].
    ///
    /// # Errors
    /// The provider's error, or [`ModelErrorKind::Malformed`].
    fn list(&self, head: Head<'_>, body: &[u8]) -> Result<Vec<ModelInfo>, ModelError>;
}

/// The head of a provider's response.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// HTTP status code.
    pub status: u16,
    /// The media type without parameters, lower case; empty if the server named none.
    pub content_type: &'a str,
    /// What the server asked to wait, in milliseconds (`Retry-After` or `retry-after-ms`).
    pub retry_after_ms: Option<u64>,
}

/// One model as its provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name to ask for.
    pub name: String,
    /// The context window in tokens, where the provider says.
    pub window_tokens: Option<u32>,
}

/// Turns response bytes into events. One reader reads one response.
///
/// After [`ModelEvent::Stop`] or [`ModelEvent::Error`] it yields nothing more.
pub trait Reader: Send {
    /// Takes in the next bytes, cut anywhere, and appends what they complete to `events`.
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ModelEvent>);

    /// The response is over. Appends what was still open, and an error if the answer is not complete.
    fn end(&mut self, events: &mut Vec<ModelEvent>);
}

/// What a model's answer is made of, in the order it arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// A piece of the answer's text, to be shown as it comes.
    Text(String),
    /// A piece of the model's reasoning, to be shown if wished; it is no part of the answer.
    Reasoning(String),
    /// Something the provider wants back, unchanged and in this place, in the next question.
    Carried(Box<str>),
    /// A complete tool call.
    Call(ToolCall),
    /// What the answer has cost so far; a later one replaces an earlier one.
    Usage(Usage),
    /// The answer is complete.
    Stop(Stop),
    /// The answer failed. What was sent before it stands.
    Error(ModelError),
}

/// One piece of a model's turn, as the transcript keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(Box<str>),
    /// Something only the codec that read it understands: reasoning blocks, signatures.
    Carried(Box<str>),
    /// A tool call.
    Call(ToolCall),
}

impl Part {
    /// The tool call, if it is one.
    pub fn call(&self) -> Option<&ToolCall> {
        if let Part::Call(call) = self { Some(call) } else { None }
    }
}

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the question, those read from a cache and written to one included.
    pub input_tokens: u64,
    /// All tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Of the input: read from the provider's cache.
    pub cached_tokens: u64,
    /// Of the input: written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Of the output: reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Both together.
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
        }
    }
}

names! {
    /// Why a complete answer ended.
    pub enum Stop {
        /// The model was done.
        Done = "done",
        /// It waits for its tool calls.
        Calls = "calls",
        /// It reached the limit on output tokens.
        Length = "length",
        /// The provider withheld the rest, or the model declined.
        Refused = "refused",
    }
}

/// What went wrong with a question, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// What to branch on.
    pub kind: ModelErrorKind,
    /// What happened, in a sentence with the next step; never holds a key.
    pub message: Box<str>,
    /// What the server asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl ModelError {
    /// An error of this kind that asks for no particular wait.
    pub fn new(kind: ModelErrorKind, message: impl Into<Box<str>>) -> ModelError {
        ModelError { kind, message: message.into(), retry_after_ms: None }
    }
}

reads! { ModelError: |self, f| f.write_str(&self.message) }

names! {
    /// The kinds of [`ModelError`].
    pub enum ModelErrorKind {
        /// The key is missing, wrong or not allowed this (HTTP 401, 403).
        Unauthorized = "unauthorized",
        /// The account has no credit left (HTTP 402, or a quota that waiting does not refill).
        Unpaid = "unpaid",
        /// The provider has no such model (HTTP 404).
        UnknownModel = "unknown_model",
        /// Too many requests (HTTP 429).
        RateLimited = "rate_limited",
        /// The server failed or is overloaded (HTTP 5xx, 529).
        Unavailable = "unavailable",
        /// The question does not fit the model's context window.
        ContextTooLong = "context_too_long",
        /// The server refused the request as malformed (other HTTP 4xx).
        BadRequest = "bad_request",
        /// This codec or model cannot do what was asked.
        Unsupported = "unsupported",
        /// No connection: refused, unreachable, unknown host, TLS.
        Unreachable = "unreachable",
        /// A time limit passed.
        Timeout = "timeout",
        /// The answer broke off.
        Cut = "cut",
        /// The answer is not in the provider's format, such as a proxy's HTML page.
        Malformed = "malformed",
        /// The answer is larger than allowed.
        TooLarge = "too_large",
    }
}

impl ModelErrorKind {
    /// Whether the same question to the same model may do better after a wait.
    pub fn is_passing(self) -> bool {
        use ModelErrorKind::{Cut, Malformed, RateLimited, Timeout, Unavailable, Unreachable};
        matches!(self, RateLimited | Unavailable | Unreachable | Timeout | Cut | Malformed)
    }
}
