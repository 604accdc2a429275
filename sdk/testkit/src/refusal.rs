//! How each format words a refusal.

use serde_json::{Value, json};

use crate::dialect::Dialect;

/// Why a request is refused, in the terms of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// The format's kind of error; empty for the usual one of the status.
    pub(crate) kind: String,
    /// The sentence.
    pub(crate) message: String,
    /// OpenAI: the field at fault.
    pub(crate) param: Option<String>,
    /// OpenAI: the code; Gemini: the reason of an `ErrorInfo` detail.
    pub(crate) code: Option<String>,
}

impl Refusal {
    /// A refusal of the usual kind for the status.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, kind: String::new(), message: message.into(), param: None, code: None }
    }

    /// A 400.
    pub(crate) fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(400, message)
    }

    /// Names the field at fault.
    pub(crate) fn at(mut self, param: impl Into<String>) -> Refusal {
        self.param = Some(param.into());
        self
    }

    /// Adds the code.
    pub(crate) fn code(mut self, code: &str) -> Refusal {
        self.code = Some(code.to_owned());
        self
    }

    /// The kind in the format's words.
    fn kind(&self, dialect: Dialect) -> &str {
        if self.kind.is_empty() { error_kind(dialect, self.status) } else { &self.kind }
    }

    /// The error object of the format, as it stands in a response and, mostly, in a stream.
    pub(crate) fn body(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": self.kind(dialect), "message": self.message},
                "request_id": "req_011testkit"
            }),
            Dialect::Chat | Dialect::Responses => json!({"error": {
                "message": self.message,
                "type": self.kind(dialect),
                "param": self.param,
                "code": self.code
            }}),
            Dialect::Gemini => {
                let mut error = json!({"code": self.status, "message": self.message, "status": self.kind(dialect)});
                if let Some(reason) = &self.code {
                    error["details"] = json!([{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": reason,
                        "domain": "googleapis.com"
                    }]);
                }
                json!({"error": error})
            }
            Dialect::Ollama => json!({"error": self.message}),
        }
    }
}

/// The format's own word for the kind of error that goes with an HTTP status.
///
/// From the error pages of the providers' references: Anthropic "Errors", OpenAI "Error codes",
/// `google.rpc.Code`. Ollama has none.
fn error_kind(dialect: Dialect, status: u16) -> &'static str {
    match dialect {
        Dialect::Anthropic => match status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        },
        Dialect::Gemini => match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            400..=499 => "INVALID_ARGUMENT",
            _ => "INTERNAL",
        },
        Dialect::Chat | Dialect::Responses => match status {
            429 => "requests",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        },
        Dialect::Ollama => "",
    }
}
