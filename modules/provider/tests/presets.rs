//! The table of servers is consistent, and every one of them has a codec that works.

use aether_core::model::{Codec, ModelOptions, Question, ToolUse};
use aether_provider::{Format, codec, preset, presets};

#[test]
fn every_preset_is_complete() {
    for (n, one) in presets().iter().enumerate() {
        assert!(presets()[..n].iter().all(|other| other.name != one.name), "{} is there twice", one.name);
        assert!(one.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", one.name);
        assert!(!one.title.is_empty());
        assert!(!one.key_variables.is_empty(), "{}", one.name);
        if let Some(base_url) = one.base_url {
            let is_private = base_url.starts_with("http://127.0.0.1:");
            assert!(base_url.starts_with("https://") || is_private, "{base_url} is in the open");
            assert!(!base_url.ends_with('/'), "{base_url}");
        }
        assert_eq!(preset(one.name), Some(one));
        assert_eq!(one.codec().name(), one.format.name());
        let options = ModelOptions::default();
        let question = Question {
            model: "m",
            system: "",
            tools: &[],
            tool_use: ToolUse::Allowed,
            entries: &[],
            options: &options,
        };
        let request = one.codec().request(&question).expect("an empty question can be asked");
        assert!(request.path.starts_with('/'), "{}", request.path);
        assert!(one.codec().list_request().path.starts_with('/'));
    }
    assert_eq!(preset("nobody"), None);
}

#[test]
fn every_format_has_a_codec_of_its_name() {
    for name in ["anthropic", "gemini", "ollama", "openai_chat", "openai_responses"] {
        let found: Box<dyn Codec> = codec(name).expect("a codec");
        assert_eq!(found.name(), name);
        assert_eq!(Format::named(name).map(Format::name), Some(name));
    }
    assert!(codec("soap").is_none());
}
