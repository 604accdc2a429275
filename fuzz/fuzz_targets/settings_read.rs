//! A configuration file: everything is taken in or nothing, and every error is a sentence (S1, S4).
#![no_main]

use aether_core::config::Config;
use aether_settings::{keys, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut config = Config::new(keys::TABLES);
    let before = format!("{config:?}");
    match read("aether.toml", &text, &mut config) {
        Ok(()) => {
            let mut again = Config::new(keys::TABLES);
            assert_eq!(read("aether.toml", &text, &mut again), Ok(()));
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
        Err(errors) => {
            assert_eq!(before, format!("{config:?}"), "S1: something was taken in");
            assert!(!errors.is_empty());
            for error in errors {
                let sentence = error.to_string();
                assert!(!sentence.is_empty() && !sentence.contains(['\u{1b}', '\0']), "{sentence:?}");
            }
        }
    }
});
