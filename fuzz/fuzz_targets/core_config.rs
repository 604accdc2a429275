//! The rules of configuration: any name and any value from any source is taken in or refused, and refusing changes nothing (K6).
#![no_main]

use aether_core::config::{Config, Key, Kind, Source, Value, nearest};
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

const KEYS: &[Key] = &[
    key("a.switch", Kind::Bool, Some("yes")),
    key("a.number", Kind::Int { min: -5, max: 1 << 40 }, Some("7")),
    key("a.text", Kind::Text, None),
    key("a.choice", Kind::Choice(&["one", "two"]), Some("two")),
    key("a.list", Kind::List, Some("x, y")),
    key("rooms.*.key", Kind::Secret, None),
    key("rooms.*.beds", Kind::Int { min: 0, max: 9 }, None),
];
const SAYINGS_MAX: usize = 16;

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>) -> Key {
    Key { name, kind, default, doc: "Something." }
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let mut config = Config::new(&[KEYS]);
    for _ in 0..SAYINGS_MAX {
        if draw.is_empty() {
            break;
        }
        let source = source(&mut draw);
        let name = match draw.byte() {
            0xFE => draw.text(),
            n => KEYS[usize::from(n) % KEYS.len()].name.replace('*', &draw.text()),
        };
        say(&mut config, &name, &draw.text(), source);
    }
    for (prefix, end) in [("rooms.", ".key"), ("rooms.", ".beds")] {
        let names: Vec<&str> = config.names(prefix).collect();
        for name in names {
            let _ = config.value(&format!("{prefix}{name}{end}"));
        }
    }
});

fn say(config: &mut Config, name: &str, text: &str, source: Source) {
    let before = format!("{config:?}");
    let kind = config.key(name).map(|key| key.kind);
    match config.say_text(name, text, source.clone()) {
        Ok(()) => {
            let value = kind.expect("a known key").read(text).expect("a fitting text");
            assert!(config.explain(name).contains(&(source, value.clone())));
            let written = value.to_string();
            let is_plain = !matches!(&value, Value::List(items) if items.is_empty());
            assert!(!is_plain || kind.and_then(|kind| kind.read(&written).ok()) == Some(value), "`{written}`");
            let ranks: Vec<&Source> = config.explain(name).iter().map(|(source, _)| source).collect();
            let rank = |source: &Source| std::mem::discriminant(source);
            assert!(config.value(name).is_some() && ranks.first().map(|s| rank(s)).is_some());
        }
        Err(error) => {
            assert_eq!(before, format!("{config:?}"), "K6");
            assert!(!error.to_string().is_empty());
        }
    }
    if let Some(near) = nearest(name, KEYS.iter().map(|key| key.name)) {
        assert!(KEYS.iter().any(|key| key.name == near));
    }
}

fn source(draw: &mut Draw<'_>) -> Source {
    match draw.byte() % 4 {
        0 => Source::Default,
        1 => Source::File { path: "f".into(), line: u32::from(draw.byte()) },
        2 => Source::Environment("E".into()),
        _ => Source::Flag("--f".into()),
    }
}
