//! The lists of models in each format.

use serde_json::{Value, json};

use super::CREATED_S;
use crate::dialect::Dialect;

/// The list of these models, or of one called `scripted`.
pub(crate) fn models(dialect: Dialect, names: &[String]) -> Value {
    let scripted = ["scripted".to_owned()];
    let names = if names.is_empty() { &scripted } else { names };
    let list: Vec<Value> = names.iter().map(|name| model(dialect, name)).collect();
    match dialect {
        Dialect::Anthropic => {
            json!({"data": list, "has_more": false, "first_id": names.first(), "last_id": names.last()})
        }
        Dialect::Chat | Dialect::Responses => json!({"object": "list", "data": list}),
        Dialect::Ollama | Dialect::Gemini => json!({"models": list}),
    }
}

fn model(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::Anthropic => json!({
            "type": "model", "id": name, "display_name": name, "created_at": "2026-11-20T00:00:00Z",
            "lifecycle": "active", "max_input_tokens": 200_000, "max_tokens": 64_000
        }),
        Dialect::Chat | Dialect::Responses => {
            json!({"id": name, "object": "model", "created": CREATED_S, "owned_by": "testkit"})
        }
        Dialect::Ollama => json!({
            "name": name, "model": name, "modified_at": "2026-11-20T00:00:00Z", "size": 4_000_000_000_u64,
            "digest": "0000000000000000000000000000000000000000000000000000000000000000",
            "details": {"parent_model": "", "format": "gguf", "family": "scripted", "families": ["scripted"],
                        "parameter_size": "8B", "quantization_level": "Q4_K_M"}
        }),
        Dialect::Gemini => json!({
            "name": format!("models/{name}"), "version": "1", "displayName": name, "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": true
        }),
    }
}
