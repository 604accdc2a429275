//! Every failure has its kind and one sentence with the next step, and no sentence holds a key.

use aether_core::model::ModelErrorKind as Kind;
use aether_provider::failure;
use serde_json::{Value, json};

fn openai(message: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "t", "param": null, "code": code}})
}

fn anthropic(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"})
}

fn gemini(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

fn check(rows: &[(u16, Value, Kind)]) {
    for (status, body, kind) in rows {
        let error = failure::http(*status, None, body.to_string().as_bytes());
        assert_eq!(error.kind, *kind, "{status} {body}: {error}");
        let sentence = error.message;
        assert!(sentence.contains(&format!("HTTP {status}")), "{sentence}");
        assert!(sentence.contains("; ") && !sentence.ends_with('.'), "a next step: {sentence}");
        assert!(sentence.starts_with(|c: char| c.is_lowercase()), "{sentence}");
    }
}

#[test]
fn errors_about_keys_money_models_and_rates_have_their_kind() {
    check(&[
        (401, openai("Incorrect API key provided", "invalid_api_key"), Kind::Unauthorized),
        (401, anthropic("authentication_error", "invalid x-api-key"), Kind::Unauthorized),
        (403, anthropic("permission_error", "no"), Kind::Unauthorized),
        (403, gemini(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"), Kind::Unauthorized),
        (400, gemini(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), Kind::Unauthorized),
        (402, anthropic("billing_error", "pay"), Kind::Unpaid),
        (402, json!({"error": {"message": "Insufficient Balance"}}), Kind::Unpaid),
        (429, openai("You exceeded your current quota", "insufficient_quota"), Kind::Unpaid),
        (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API"), Kind::Unpaid),
        (
            404,
            openai("The model `x` does not exist or you do not have access to it.", "model_not_found"),
            Kind::UnknownModel,
        ),
        (404, anthropic("not_found_error", "model: claude-x"), Kind::UnknownModel),
        (404, gemini(404, "NOT_FOUND", "models/x is not found for API version v1beta"), Kind::UnknownModel),
        (404, json!({"error": "model 'x' not found"}), Kind::UnknownModel),
        (400, json!({"error": {"message": "x is not a valid model ID", "code": 400}}), Kind::UnknownModel),
        (404, json!({"detail": "Not Found"}), Kind::BadRequest),
        (405, json!({"detail": "Method Not Allowed"}), Kind::BadRequest),
        (429, openai("Rate limit reached", "rate_limit_exceeded"), Kind::RateLimited),
        (429, gemini(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"), Kind::RateLimited),
    ]);
}

#[test]
fn errors_about_servers_and_questions_have_their_kind() {
    check(&[
        (500, openai("oops", "server_error"), Kind::Unavailable),
        (503, gemini(503, "UNAVAILABLE", "The model is overloaded."), Kind::Unavailable),
        (529, anthropic("overloaded_error", "Overloaded"), Kind::Unavailable),
        (408, json!({}), Kind::Timeout),
        (409, json!({}), Kind::Unavailable),
        (501, json!({}), Kind::BadRequest),
        (308, json!({}), Kind::Malformed),
        (
            400,
            openai("This model's maximum context length is 10 tokens.", "context_length_exceeded"),
            Kind::ContextTooLong,
        ),
        (
            400,
            anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            Kind::ContextTooLong,
        ),
        (
            400,
            gemini(
                400,
                "INVALID_ARGUMENT",
                "The input token count (12) exceeds the maximum number of tokens allowed (1).",
            ),
            Kind::ContextTooLong,
        ),
        (413, anthropic("request_too_large", "too big"), Kind::ContextTooLong),
        (
            400,
            json!({"object": "error", "message": "Unexpected role 'user' after role 'tool'", "code": "3230"}),
            Kind::BadRequest,
        ),
        (422, json!({"detail": [{"loc": ["body"], "msg": "field required"}]}), Kind::BadRequest),
        (400, json!({"error": "registry.ollama.ai/library/x does not support tools"}), Kind::Unsupported),
        (
            400,
            openai("Unsupported value: 'temperature' does not support 0.2 with this model.", "unsupported_value"),
            Kind::Unsupported,
        ),
        (400, json!([{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}]), Kind::BadRequest),
        (418, json!(null), Kind::BadRequest),
    ]);
}

#[test]
fn each_failure_has_its_own_sentence() {
    let bodies: [(u16, &[u8]); 11] = [
        (401, b"{}"),
        (403, b"{}"),
        (402, b"{}"),
        (404, b"{\"error\":\"model\"}"),
        (404, b"404 page not found"),
        (407, b"<html>"),
        (408, b""),
        (413, b""),
        (429, b""),
        (502, b"<html><body>Bad Gateway</body></html>"),
        (400, b"{}"),
    ];
    let mut sentences: Vec<_> =
        bodies.iter().map(|(status, body)| failure::http(*status, None, body).message).collect();
    assert!(sentences[9].contains("HTML page"), "{}", sentences[9]);
    assert!(!sentences[9].contains("Bad Gateway"), "a page is not quoted: {}", sentences[9]);
    sentences.extend([
        failure::foreign(b"<!DOCTYPE html>").message,
        failure::malformed(b"{\"a\":").message,
        failure::cut().message,
        failure::too_large(1 << 20).message,
    ]);
    let total = sentences.len();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), total);
}

#[test]
fn waits_come_from_the_header_or_from_the_body() {
    let body = json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}})
    .to_string();
    assert_eq!(failure::http(429, None, body.as_bytes()).retry_after_ms, Some(34_500));
    assert_eq!(failure::http(429, Some(7), body.as_bytes()).retry_after_ms, Some(7));
    for odd in ["-1s", "s", "1e400s", "NaNs", "5", "soon"] {
        let body = json!({"error": {"details": [{"retryDelay": odd}]}}).to_string();
        assert_eq!(failure::http(429, None, body.as_bytes()).retry_after_ms, None, "{odd}");
    }
}

#[test]
fn errors_inside_a_stream_have_their_kind() {
    let rows = [
        (json!({"type": "overloaded_error", "message": "Overloaded"}), Kind::Unavailable),
        (json!({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": null}), Kind::RateLimited),
        (json!({"code": "server_error", "message": "m"}), Kind::Unavailable),
        (json!({"code": 502, "message": "Provider disconnected"}), Kind::Unavailable),
        (json!({"code": 429, "message": "slow"}), Kind::RateLimited),
        (json!({"code": 503, "status": "UNAVAILABLE", "message": "m"}), Kind::Unavailable),
        (json!({"type": "authentication_error", "message": "m"}), Kind::Unauthorized),
        (json!({"type": "timeout_error", "message": "m"}), Kind::Timeout),
        (json!({"type": "invalid_request_error", "message": "m"}), Kind::BadRequest),
        (json!({"type": "invalid_request_error", "message": "prompt is too long"}), Kind::ContextTooLong),
        (json!("model runner has stopped"), Kind::Unavailable),
        (json!(7), Kind::Unavailable),
        (json!({"code": "insufficient_quota"}), Kind::Unpaid),
        (
            json!({"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"object\":\"error\"}"}}),
            Kind::BadRequest,
        ),
    ];
    for (error, kind) in rows {
        let found = failure::reported(&error);
        assert_eq!(found.kind, kind, "{error}: {found}");
        assert!(found.message.contains("; "), "{found}");
    }
}

#[test]
fn no_sentence_holds_a_key_and_none_is_long() {
    let key = "sk-proj-4f9A8b7C6d5E4f3A2b1C";
    for (status, message) in [
        (401, format!("Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com")),
        (401, "Incorrect API key provided: sk-pr**********2b1C.".to_owned()),
        (401, "invalid token 0123456789abcdef0123456789abcdef".to_owned()),
        (403, "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY lacks access".to_owned()),
        (500, format!("upstream said {key}")),
    ] {
        let body = json!({"error": {"message": message}}).to_string();
        let sentence = failure::http(status, None, body.as_bytes()).message;
        assert!(sentence.contains("***"), "{sentence}");
        for secret in ["4f9A8b7C6d5E4f3A2b1C", "2b1C", "0123456789abcdef", "AIzaSy"] {
            assert!(!sentence.contains(secret), "{sentence}");
        }
    }
    let long = failure::http(400, None, "\u{1F980} \n\t\u{7} words".repeat(10_000).as_bytes()).message;
    assert!(long.chars().count() < failure::QUOTED_CHARS_MAX + 200, "{}", long.len());
    assert!(!long.contains(|c: char| c.is_control()), "one line: {long}");
    let model = failure::http(404, None, br#"{"error":{"message":"model: claude-sonnet-4-5-20250929"}}"#).message;
    assert!(model.contains("claude-sonnet-4-5-20250929"), "names of models stay: {model}");
}
