//! How a request is told apart: format, model and delivery, from method, path and headers.

use crate::dialect::Dialect;
use crate::http::Request;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An answer; Gemini names model and delivery in the path.
    Ask { dialect: Dialect, in_path: Option<InPath> },
    /// The list of models.
    Models(Dialect),
    /// Ollama's version.
    Version,
}

/// What Gemini's path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InPath {
    /// The model, without `models/`.
    pub(crate) model: String,
    /// How it is asked for.
    pub(crate) delivery: Delivery,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Delivery {
    /// Server-sent events, or lines for Ollama.
    Streamed,
    /// One JSON object.
    Whole,
    /// One JSON array of chunks: Gemini's streaming without `alt=sse`.
    Listed,
}

/// Tells a request's endpoint by method, path and headers. Any prefix may stand before the path, since
/// compatible servers put one there.
pub(crate) fn endpoint(request: &Request) -> Option<Endpoint> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let ask = |dialect| Some(Endpoint::Ask { dialect, in_path: None });
    match request.method.as_str() {
        "POST" if path.ends_with("/chat/completions") => ask(Dialect::Chat),
        "POST" if path.ends_with("/responses") => ask(Dialect::Responses),
        "POST" if path.ends_with("/v1/messages") => ask(Dialect::Anthropic),
        "POST" if path.ends_with("/api/chat") => ask(Dialect::Ollama),
        "POST" => {
            let (model, verb) = path.rsplit_once("/models/")?.1.split_once(':')?;
            let delivery = match verb {
                "generateContent" => Delivery::Whole,
                "streamGenerateContent" if query.split('&').any(|pair| pair == "alt=sse") => Delivery::Streamed,
                "streamGenerateContent" => Delivery::Listed,
                _ => return None,
            };
            let in_path = Some(InPath { model: model.to_owned(), delivery });
            Some(Endpoint::Ask { dialect: Dialect::Gemini, in_path })
        }
        "GET" if path.ends_with("/v1beta/models") => Some(Endpoint::Models(Dialect::Gemini)),
        "GET" if path.ends_with("/api/tags") => Some(Endpoint::Models(Dialect::Ollama)),
        "GET" if path.ends_with("/api/version") => Some(Endpoint::Version),
        "GET" if path.ends_with("/models") => {
            // Three formats share this path; the key's header tells them apart.
            let anthropic = request.header("x-api-key").or(request.header("anthropic-version")).is_some();
            let google = request.header("x-goog-api-key").is_some();
            Some(Endpoint::Models(match (anthropic, google) {
                (true, _) => Dialect::Anthropic,
                (_, true) => Dialect::Gemini,
                _ => Dialect::Chat,
            }))
        }
        _ => None,
    }
}
