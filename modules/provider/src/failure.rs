//! Every way an answer fails, as one kind to branch on and one sentence that ends with the next step.
//!
//! Providers agree on little: the status code, a code or type in the body and the words of the message are all
//! looked at. What is quoted from a body is short, on one line and free of anything that looks like a key.

use aether_core::model::{ModelError, ModelErrorKind as Kind};
use serde_json::Value;

use crate::json;

/// The most characters of a server's own words in a sentence.
pub const QUOTED_CHARS_MAX: usize = 300;

/// The error of an answer with an HTTP status other than 2xx. `body` may be cut.
#[must_use]
pub fn http(status: u16, retry_after_ms: Option<u64>, body: &[u8]) -> ModelError {
    let report = Report::of_body(body, status);
    let kind = report.kind();
    let mut error = ModelError::new(kind, report.sentence(kind));
    error.retry_after_ms = retry_after_ms.or(report.wait_ms);
    error
}

/// The error a server reports inside an answer that began well: an event, or the `error` member of one.
#[must_use]
pub fn reported(error: &Value) -> ModelError {
    let report = Report::of_value(error, 0);
    let kind = report.kind();
    ModelError { kind, message: report.sentence(kind).into(), retry_after_ms: report.wait_ms }
}

/// The answer has status 2xx but is something else than the format, such as a page of a proxy.
#[must_use]
pub fn foreign(body: &[u8]) -> ModelError {
    let what = match Nature::of(body) {
        Nature::Page => "an HTML page".to_owned(),
        Nature::Empty => "nothing".to_owned(),
        Nature::Other => match quote(&String::from_utf8_lossy(body), Secrecy::Ordinary) {
            words if words.is_empty() => "something unreadable".to_owned(),
            words => format!("\"{words}\""),
        },
    };
    let message = format!(
        "the server answered with {what} where a model's answer was expected; check the base URL, and whether a proxy or a sign-in page is in between"
    );
    ModelError::new(Kind::Malformed, message)
}

/// A payload of the answer is not what the format says.
#[must_use]
pub fn malformed(payload: &[u8]) -> ModelError {
    let words = quote(&String::from_utf8_lossy(payload), Secrecy::Ordinary);
    let message = format!(
        "the server sent something that is not in this provider's format: \"{words}\"; try again, or check that the base URL belongs to this kind of provider"
    );
    ModelError::new(Kind::Malformed, message)
}

/// The answer ended before it was complete.
#[must_use]
pub fn cut() -> ModelError {
    ModelError::new(Kind::Cut, "the answer broke off before it was complete; try again")
}

/// The answer is larger than `bytes_max`.
#[must_use]
pub fn too_large(bytes_max: usize) -> ModelError {
    let message = format!(
        "the answer is larger than {} MiB, which is the most that is read; ask for less, or limit the output tokens",
        bytes_max >> 20
    );
    ModelError::new(Kind::TooLarge, message)
}

/// The question cannot be said in this format: `what` names the thing, `next` the next step.
#[must_use]
pub fn unsupported(what: &str, next: &str) -> ModelError {
    ModelError::new(Kind::Unsupported, format!("{what}; {next}"))
}

/// What a server said about a failure, from wherever in the body it stands.
struct Report {
    /// HTTP status, or what the body says it would have been; 0 for none.
    status: u16,
    nature: Nature,
    /// Every machine-readable name of the error, joined by spaces, lower case.
    codes: String,
    message: String,
    wait_ms: Option<u64>,
}

/// What a body is, where it is not JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Empty,
    Page,
    Other,
}

impl Nature {
    fn of(body: &[u8]) -> Nature {
        match body.trim_ascii().strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body.trim_ascii()).first() {
            None => Nature::Empty,
            Some(b'<') => Nature::Page,
            Some(_) => Nature::Other,
        }
    }
}

impl Report {
    fn of_body(body: &[u8], status: u16) -> Report {
        if let Some(value) = json::parse(body) {
            return Report::of_value(&value, status);
        }
        let nature = Nature::of(body);
        let message = match nature {
            Nature::Other => String::from_utf8_lossy(body).into_owned(),
            Nature::Empty | Nature::Page => String::new(),
        };
        Report { status, nature, codes: String::new(), message, wait_ms: None }
    }

    fn of_value(value: &Value, status: u16) -> Report {
        let mut report =
            Report { status, nature: Nature::Other, codes: String::new(), message: String::new(), wait_ms: None };
        report.collect(value, 0);
        report.codes.make_ascii_lowercase();
        report
    }

    /// Gathers codes and words from an error and from what it wraps, the innermost words last.
    fn collect(&mut self, value: &Value, depth: usize) {
        const DEPTH_MAX: usize = 4;
        if depth > DEPTH_MAX {
            return;
        }
        match value {
            Value::String(words) => self.say(words),
            Value::Array(several) => several.iter().take(1).for_each(|one| self.collect(one, depth + 1)),
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("code" | "status" | "type" | "reason", Value::String(code)) => {
                            self.codes.push_str(code);
                            self.codes.push(' ');
                        }
                        ("code" | "status", Value::Number(number)) => self.adopt_status(number.as_u64()),
                        ("message" | "msg", Value::String(words)) => self.say(words),
                        ("retryDelay", Value::String(delay)) => self.wait_ms = self.wait_ms.or(delay_ms(delay)),
                        ("details", Value::Array(details)) => {
                            details.iter().for_each(|one| self.collect(one, depth + 1));
                        }
                        ("error" | "errors" | "detail" | "metadata" | "raw" | "incomplete_details", _) => {
                            self.collect(member, depth + 1);
                        }
                        _ => {}
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn say(&mut self, words: &str) {
        if words.is_empty() || self.message.contains(words) {
            return;
        }
        if !self.message.is_empty() {
            self.message.push_str(": ");
        }
        self.message.push_str(words);
    }

    fn adopt_status(&mut self, number: Option<u64>) {
        let status = number.and_then(|n| u16::try_from(n).ok()).filter(|n| (400..600).contains(n));
        if let (0, Some(status)) = (self.status, status) {
            self.status = status;
        }
    }

    fn kind(&self) -> Kind {
        let words = self.message.to_ascii_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|p| words.contains(p) || self.codes.contains(p));
        if matches!(self.status, 0 | 400 | 413 | 422 | 500) && says(CONTEXT_TOO_LONG) {
            return Kind::ContextTooLong;
        }
        if self.status == 402 || (matches!(self.status, 0 | 400 | 403 | 429) && says(UNPAID)) {
            return Kind::Unpaid;
        }
        match self.status {
            401 | 403 => Kind::Unauthorized,
            404 if self.nature == Nature::Other && says(&["model"]) => Kind::UnknownModel,
            408 => Kind::Timeout,
            409 | 425 => Kind::Unavailable,
            413 => Kind::ContextTooLong,
            429 => Kind::RateLimited,
            501 | 505 => Kind::BadRequest,
            500..=599 => Kind::Unavailable,
            300..=399 => Kind::Malformed,
            400 | 422 if says(UNAUTHORIZED) => Kind::Unauthorized,
            400 | 422 if says(UNKNOWN_MODEL) => Kind::UnknownModel,
            400 | 422 if says(UNSUPPORTED) => Kind::Unsupported,
            0 => self.kind_by_code(),
            _ => Kind::BadRequest,
        }
    }

    /// The kind of an error inside a stream, which has no status of its own.
    fn kind_by_code(&self) -> Kind {
        let has = |codes: &[&str]| codes.iter().any(|code| self.codes.contains(code));
        if has(&["rate_limit", "resource_exhausted", "too_many_requests"]) {
            Kind::RateLimited
        } else if has(&["authentication", "permission", "unauthenticated", "api_key"]) {
            Kind::Unauthorized
        } else if has(&["timeout", "deadline_exceeded"]) {
            Kind::Timeout
        } else if has(&["model_not_found", "not_found_error"]) {
            Kind::UnknownModel
        } else if has(&["invalid_request", "invalid_argument", "invalid_prompt", "failed_precondition"]) {
            Kind::BadRequest
        } else {
            Kind::Unavailable
        }
    }

    fn sentence(&self, kind: Kind) -> String {
        let (what, next) = match kind {
            Kind::Unauthorized if self.status == 403 => {
                ("the provider does not allow this", "check what the key may do, its region and the model's terms")
            }
            Kind::Unauthorized => {
                ("the provider did not accept the key", "check that the key is current and belongs to this provider")
            }
            Kind::Unpaid => {
                ("the account has no credit left", "add credit or raise the quota, or use another provider")
            }
            Kind::UnknownModel => {
                ("the provider has no such model for this key", "list the models it has and choose one of them")
            }
            Kind::RateLimited => {
                ("the provider's rate limit is reached", "wait and try again, or use another key or model")
            }
            Kind::Unavailable => {
                ("the provider failed or is overloaded", "try again in a moment, or use another provider")
            }
            Kind::ContextTooLong => {
                ("the conversation does not fit the model", "shorten it, or use a model with a larger window")
            }
            Kind::Unsupported => ("the model cannot do what was asked", "use another model, or leave that option out"),
            Kind::Timeout => ("the provider ran out of time", "try again, or ask for less at once"),
            Kind::Malformed => ("the server points elsewhere", "set the base URL to the address it names"),
            Kind::BadRequest if matches!(self.status, 404 | 405) => {
                ("there is no such address at the server", "check the base URL, its path included")
            }
            Kind::BadRequest if self.status == 407 => {
                ("the proxy wants a sign-in", "put user and password into the proxy's address")
            }
            _ => ("the provider refused the request", "change what it names, or ask another model"),
        };
        let secrecy = if kind == Kind::Unauthorized { Secrecy::Suspicious } else { Secrecy::Ordinary };
        let mut sentence = what.to_owned();
        if self.status != 0 {
            sentence.push_str(&format!(" (HTTP {})", self.status));
        }
        let words = quote(&self.message, secrecy);
        let words = match self.nature {
            Nature::Page => "an HTML page, as from a proxy or gateway in between",
            Nature::Empty | Nature::Other => words.trim_end_matches('.'),
        };
        if !words.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(words);
        }
        sentence.push_str("; ");
        sentence.push_str(next);
        sentence
    }
}

const CONTEXT_TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size",
    "prompt is too long",
    "maximum context length",
    "maximum prompt length",
    "exceed context limit",
    "exceeds the context window",
    "exceeds the available context size",
    "exceeds the maximum number of tokens",
    "exceeds the model's context",
    "exceeds the limit of",
    "larger than the maximum context",
    "reduce the length of the messages",
    "too large for model with",
];

const UNPAID: &[&str] = &[
    "insufficient_quota",
    "insufficient balance",
    "insufficient_balance",
    "insufficient credits",
    "billing_error",
    "billing_hard_limit",
    "credit balance is too low",
    "out of credits",
];

const UNAUTHORIZED: &[&str] = &["api_key_invalid", "api key not valid", "invalid api key", "invalid_api_key"];

const UNKNOWN_MODEL: &[&str] = &[
    "model_not_found",
    "invalid_model",
    "model_not_exist",
    "model not exist",
    "is not a valid model",
    "unknown model",
    "model not found",
    "model is required",
];

const UNSUPPORTED: &[&str] = &[
    "does not support tools",
    "does not support thinking",
    "does not support image",
    "not supported with this model",
    "not supported for this model",
    "not supported on this model",
    "not supported by this model",
    "does not support this",
    "unsupported_parameter",
    "unsupported_value",
    "no endpoints found that support",
];

/// How much of a text may be a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    /// Only what begins like a key.
    Ordinary,
    /// Every long word with a digit or a star in it: the server speaks of the key.
    Suspicious,
}

/// A server's words on one line, shortened, without keys.
fn quote(words: &str, secrecy: Secrecy) -> String {
    let mut quoted = String::new();
    for word in words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if quoted.len() > QUOTED_CHARS_MAX * 4 {
            break;
        }
        if !quoted.is_empty() {
            quoted.push(' ');
        }
        let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.');
        let mut rest = word;
        while !rest.is_empty() {
            let token = &rest[..rest.find(|c| !is_token(c)).unwrap_or(rest.len())];
            if looks_like_key(token, secrecy) {
                quoted.push_str("***")
            } else {
                quoted.push_str(token)
            }
            rest = &rest[token.len()..];
            let between = &rest[..rest.find(is_token).unwrap_or(rest.len())];
            quoted.push_str(between);
            rest = &rest[between.len()..];
        }
    }
    match quoted.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((cut, _)) => {
            quoted.truncate(cut);
            quoted.push('…');
            quoted
        }
        None => quoted,
    }
}

fn looks_like_key(token: &str, secrecy: Secrecy) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "sk-",
        "sk_",
        "gsk_",
        "xai-",
        "AIza",
        "AQ.",
        "hf_",
        "nvapi-",
        "csk-",
        "fw_",
        "tgp_",
        "ghp_",
        "gho_",
        "github_pat_",
        "eyJ",
        "pplx-",
    ];
    let is_secret = match secrecy {
        Secrecy::Ordinary => false,
        Secrecy::Suspicious => token.contains('*') || (token.len() >= 16 && token.bytes().any(|b| b.is_ascii_digit())),
    };
    is_secret || (token.len() >= 8 && BEGINNINGS.iter().any(|beginning| token.starts_with(beginning)))
}

/// A duration as Google writes it (`google.protobuf.Duration` in JSON), such as `34.5s`, in milliseconds.
fn delay_ms(text: &str) -> Option<u64> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1_000.0).ceil() as u64)
}
