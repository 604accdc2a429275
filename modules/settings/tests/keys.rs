//! The tables of keys: names are unique, defaults fit, sentences are sentences, and limits are the kernel's.

#![cfg(test)]

use std::collections::BTreeSet;

use aether_core::config::{Config, Key, Kind};
use aether_core::governor::Governors;
use aether_core::spec::Retry;
use aether_settings::keys::TABLES;

fn all() -> impl Iterator<Item = &'static Key> {
    TABLES.iter().flat_map(|table| table.iter())
}

#[test]
fn every_default_is_taken_by_its_own_kind() {
    for key in all() {
        if let Some(text) = key.default {
            assert!(key.kind.read(text).is_ok(), "{} = {text}", key.name);
        }
    }
}

#[test]
fn every_range_has_room_and_every_choice_has_words() {
    for key in all() {
        match key.kind {
            Kind::Int { min, max } => assert!(min < max, "{}", key.name),
            Kind::Choice(words) => assert!(words.len() > 1, "{}", key.name),
            _ => {}
        }
    }
}

#[test]
fn names_are_unique_and_no_key_is_a_table_of_another() {
    let mut seen = BTreeSet::new();
    for key in all() {
        assert!(seen.insert(key.name), "{} is there twice", key.name);
        let inside = format!("{}.", key.name);
        assert!(!all().any(|other| other.name.starts_with(&inside)), "{} is a key and a table", key.name);
    }
}

#[test]
fn each_doc_is_one_sentence() {
    for key in all() {
        let doc = key.doc;
        assert!(doc.starts_with(|c: char| c.is_ascii_uppercase()), "{}: {doc}", key.name);
        assert!(doc.ends_with('.') && !doc[..doc.len() - 1].contains(". "), "{}: {doc}", key.name);
        assert!(doc.len() <= 120, "{}: {} bytes", key.name, doc.len());
    }
}

#[test]
fn no_key_says_what_is_allowed() {
    assert!(!all().any(|key| key.name.starts_with("policy.")), "policy is a signed file of its own");
}

#[test]
fn the_limits_are_the_kernels_unless_somebody_says_otherwise() {
    let config = Config::new(TABLES);
    let limit = |name: &str| u64::try_from(config.int(name).expect(name)).unwrap();
    let kernels = Governors::default();
    for (name, wanted) in [
        ("limits.wall_ms", kernels.wall_ms_max),
        ("limits.closing_ms", kernels.closing_ms_max),
        ("limits.model_calls", kernels.model_calls_max.into()),
        ("limits.tool_calls", kernels.tool_calls_max.into()),
        ("limits.tokens_in", kernels.input_tokens_max),
        ("limits.tokens_out", kernels.output_tokens_max),
        ("limits.cost_micro_usd", kernels.cost_micro_usd_max),
        ("limits.output_bytes", kernels.output_bytes_max),
        ("limits.depth", kernels.depth_max.into()),
        ("limits.repeats", kernels.repeats_max.into()),
        ("limits.approval_ms", Retry::default().approval_ms_max),
        ("retry.attempts_max", Retry::default().attempts_max.into()),
        ("retry.backoff_ms_min", Retry::default().backoff_ms_min),
        ("retry.backoff_ms_max", Retry::default().backoff_ms_max),
    ] {
        assert_eq!(limit(name), wanted, "{name}");
    }
}

#[test]
fn secrets_are_never_given_by_value() {
    for key in all().filter(|key| key.name.ends_with("key")) {
        assert_eq!(key.kind, Kind::Secret, "{}", key.name);
    }
}
