//! Environment variables: everything is taken in or nothing, and what is no key is named (S1, S4).
#![no_main]

use aether_core::config::Config;
use aether_fuzz::Draw;
use aether_settings::{VARIABLE_PREFIX, environment, keys, variable};
use libfuzzer_sys::fuzz_target;

const VARIABLES_MAX: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let mut variables = Vec::new();
    while !draw.is_empty() && variables.len() < VARIABLES_MAX {
        let name = draw.text();
        variables.push((format!("{VARIABLE_PREFIX}{name}"), draw.text()));
    }
    let mut config = Config::new(keys::TABLES);
    let before = format!("{config:?}");
    match environment(variables.clone(), &["AETHER_HOME"], &mut config) {
        Ok(unknown) => {
            for one in &unknown {
                assert!(variables.iter().any(|(name, _)| *name == *one.name));
                assert!(!one.to_string().is_empty());
            }
        }
        Err(errors) => {
            assert_eq!(before, format!("{config:?}"), "S1: something was taken in");
            assert!(errors.iter().all(|error| !error.to_string().is_empty()));
        }
    }
    for (name, _) in &variables {
        let key = name[VARIABLE_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        if let Some(spelled) = variable(&key) {
            assert!(spelled.starts_with(VARIABLE_PREFIX));
        }
    }
});
