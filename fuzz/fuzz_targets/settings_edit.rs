//! Edits of a configuration file: what is set is read back, and nothing else changes (S2, S3).
#![no_main]

use aether_core::config::{Config, Key};
use aether_fuzz::Draw;
use aether_settings::{EditError, join, key_name, keys, read, segments, set, spelled, unset};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let all: Vec<Key> = keys::TABLES.iter().flat_map(|table| table.iter().copied()).collect();
    let key = draw.one_of(&all);
    let (segment, value) = (draw.text(), draw.text());
    let text = draw.rest_text();
    let name = key.name.replace('*', &join(&[&segment]));
    spelling(&segment, &name);
    let before = reading(&text);
    // What the kernel knows no key for, nobody sets.
    if Config::new(keys::TABLES).key(&name).is_none() {
        return;
    }
    let Ok(edited) = set(&text, &name, &value, key.kind) else { return };
    let wanted = key.kind.read(&value).expect("it was set");
    // A text that named unknown keys before names them still.
    let Some(before) = before else { return };
    let after = reading(&edited).unwrap_or_else(|| panic!("no longer readable:\n{text}\n=>\n{edited}"));
    assert_eq!(after.value(&name), Some(&wanted), "S3: `{name}`");
    for other in all.iter().filter(|other| other.name != name) {
        assert_eq!(before.value(other.name), after.value(other.name), "S2: `{}`", other.name);
    }
    if before.explain(&name).len() < after.explain(&name).len() {
        assert!(is_insertion(&text, &edited), "S2: bytes are gone:\n{text}\n=>\n{edited}");
    }
    let removed = match unset(&edited, &name) {
        // A dotted name within braces is left to the person.
        Err(EditError::Tangled { .. }) => return,
        removed => removed.expect("what was set can be unset"),
    };
    let removed = reading(&removed.expect("it is there")).expect("readable");
    let default = Config::new(keys::TABLES);
    assert_eq!(removed.value(&name), default.value(&name), "`{name}` is still there");
});

fn reading(text: &str) -> Option<Config> {
    let mut config = Config::new(keys::TABLES);
    read("aether.toml", text, &mut config).ok().map(|()| config)
}

/// Whether `edited` is `text` with bytes put in at one place.
fn is_insertion(text: &str, edited: &str) -> bool {
    let same = |(a, b): &(u8, u8)| a == b;
    let start = text.bytes().zip(edited.bytes()).take_while(same).count();
    let end = text.bytes().rev().zip(edited.bytes().rev()).take_while(same).count();
    start + end >= text.len()
}

/// A name survives every way to write it.
fn spelling(segment: &str, name: &str) {
    assert_eq!(segments(&join(&[segment])), [segment]);
    let typed = spelled(name);
    let is_quotable = !segment.is_empty() && !segment.chars().any(|c| c == '"' || c == '\\' || c.is_control());
    if is_quotable {
        assert_eq!(key_name(&typed).as_deref(), Ok(name), "typed as {typed}");
    }
    let _ = key_name(segment).map_err(|error| error.to_string());
}
