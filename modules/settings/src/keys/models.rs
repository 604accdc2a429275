//! The keys of providers, of how models are asked, and of what they cost.

use aether_core::config::{Key, Kind};

use super::{key, range, unset};

/// The formats that a provider can speak.
pub const FORMATS: &[&str] = &["openai_chat", "openai_responses", "anthropic", "ollama", "gemini"];

/// The greatest price, in millionths of a dollar for a million tokens: a thousand dollars.
const PRICE_MAX: i64 = 1_000_000_000;

/// The table.
pub const KEYS: &[Key] = &[
    unset(
        "providers.*.kind",
        Kind::Choice(FORMATS),
        "The format the provider speaks, where its name is not a known one.",
    ),
    unset(
        "providers.*.base_url",
        Kind::Text,
        "The address its paths are put behind, such as https://api.example.com/v1.",
    ),
    unset("providers.*.key", Kind::Secret, "Where its key is found: env:NAME or file:PATH."),
    unset(
        "providers.*.organization",
        Kind::Text,
        "The organization to name in each request, for providers that ask for one.",
    ),
    unset(
        "providers.*.headers.*",
        Kind::Text,
        "A header to send along with each request, which is no place for a key.",
    ),
    unset(
        "model_options.temperature_milli",
        range(0, 2_000),
        "The sampling temperature in thousandths, left to the provider when not set.",
    ),
    unset(
        "model_options.effort",
        Kind::Choice(&["minimal", "low", "medium", "high"]),
        "How hard a reasoning model should think, left to the provider when not set.",
    ),
    unset(
        "model_options.output_tokens_max",
        range(1, 10_000_000),
        "The most tokens one answer may have, left to the provider when not set.",
    ),
    unset(
        "model_options.window_tokens",
        range(1_000, 100_000_000),
        "The size of the model's context window, for models whose window is not known.",
    ),
    unset(
        "prices.*.input_micro_usd_per_mtok",
        range(0, PRICE_MAX),
        "The price of a million input tokens of this model, in millionths of a dollar.",
    ),
    unset(
        "prices.*.output_micro_usd_per_mtok",
        range(0, PRICE_MAX),
        "The price of a million output tokens of this model, in millionths of a dollar.",
    ),
    unset(
        "prices.*.cached_micro_usd_per_mtok",
        range(0, PRICE_MAX),
        "The price of a million input tokens read from the provider's cache, that of input when not set.",
    ),
    key(
        "retry.attempts_max",
        range(1, 20),
        "4",
        "How often one question is put to one model before the next one is asked.",
    ),
    key("retry.backoff_ms_min", range(1, 60_000), "500", "The least time to wait before a second attempt."),
    key(
        "retry.backoff_ms_max",
        range(1, 600_000),
        "30000",
        "The longest time to wait between two attempts, where the server names none.",
    ),
    key("retry.breaker_failures_max", range(1, 1_000), "5", "How many failures in a row make a model count as broken."),
    key("retry.breaker_rest_ms", range(1, 3_600_000), "30000", "How long a model that counts as broken is left alone."),
];
