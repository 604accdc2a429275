//! Manifests of any text: no panic, bounded mistakes with places in the text, and what is sound reads back the same.
#![no_main]

use aether_core::capability::Network;
use aether_manifest::{MISTAKES_MAX, ToolManifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match ToolManifest::parse(&text) {
        Ok(read) => {
            let written = read.to_toml();
            assert_eq!(ToolManifest::parse(&written).as_ref(), Ok(&read), "{written}");
            let core = read.core();
            for secret in read.secrets() {
                assert!(core.capability.network.covers(&Network::hosts(vec![secret.host.clone()])));
                assert_eq!(secret.template.matches("{}").count(), 1);
            }
            for place in core.capability.read().iter().chain(core.capability.write()) {
                assert!(!["/", "$home"].contains(&place.as_str()));
            }
            assert!(serde_json::from_str::<serde_json::Value>(&core.input).is_ok());
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty() && mistakes.len() <= MISTAKES_MAX);
            let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
            for mistake in &mistakes {
                assert!((1..=lines).contains(&(mistake.line as usize)) && mistake.column > 0);
                assert!(!mistake.sentence.chars().any(char::is_control), "{:?}", mistake.sentence);
            }
            assert!(mistakes.is_sorted_by_key(|mistake| (mistake.line, mistake.column)));
        }
    }
});
