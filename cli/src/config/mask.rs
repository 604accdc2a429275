//! Values as they may be shown: what can hold a secret is recognised, and left out.

use aether_core::config::Value;
use serde_json::json;

/// Headers that carry a credential.
const SECRET_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key"];

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Whether this value of this key is, or holds, a secret.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    is_secret_header(name) || (name == "network.proxy" && value.contains('@'))
}

/// Where a secret of this key belongs.
pub(crate) fn instead(name: &str) -> &'static str {
    if is_secret_header(name) {
        "a provider's key is stored with `aether onboard`, or referred to by its `key`"
    } else {
        "put the proxy's address with user and password into HTTPS_PROXY"
    }
}

fn is_secret_header(name: &str) -> bool {
    let header = name.rsplit('.').next().unwrap_or(name);
    name.contains(".headers.") && SECRET_HEADERS.iter().any(|secret| header.eq_ignore_ascii_case(secret))
}

fn masked(name: &str, text: &str) -> String {
    match text.rsplit_once('@') {
        _ if is_secret_header(name) => MASK.to_owned(),
        Some((_, host)) if name == "network.proxy" => format!("{MASK}@{host}"),
        _ => text.to_owned(),
    }
}

/// The value as a flag or a variable gives it.
pub(crate) fn plain(name: &str, value: &Value) -> String {
    masked(name, &value.to_string())
}

/// The value as a JSON value.
pub(crate) fn json(name: &str, value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(switch) => json!(switch),
        Value::Int(number) => json!(number),
        Value::Text(text) => json!(masked(name, text)),
        Value::List(items) => json!(items),
    }
}

/// The value as the file has it.
pub(crate) fn quoted(name: &str, value: &Value) -> String {
    json(name, value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let shown = |name: &str, text: &str| quoted(name, &Value::Text(text.to_owned()));
        assert_eq!(shown("network.proxy", "http://me:hunter2@proxy:3128"), "\"***@proxy:3128\"");
        assert_eq!(shown("network.proxy", "http://proxy:3128"), "\"http://proxy:3128\"");
        assert_eq!(shown("providers.x.headers.Authorization", "Bearer hunter2"), "\"***\"");
        assert_eq!(shown("providers.x.headers.x-title", "Me"), "\"Me\"");
        assert_eq!(shown("providers.x.key", "env:NAME"), "\"env:NAME\"");
        assert!(is_secret("providers.x.headers.X-Api-Key", "hunter2"));
        assert!(!is_secret("model", "a@b"));
    }
}
