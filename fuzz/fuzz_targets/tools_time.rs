//! Time zones: any file where the database should be, any moment and any zone name.
#![no_main]

use aether_core::tool::Limits;
use aether_fuzz::{Draw, ScriptedHands, Workbench};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let mut input = Map::new();
    for name in ["zone", "at", "at_zone"] {
        let text = draw.text();
        if !text.is_empty() {
            input.insert(name.into(), Value::from(text));
        }
    }
    let clock = [&[0][..], &draw.number().to_le_bytes(), draw.chunk()].concat();
    let zone = draw.rest();
    BENCH.with(|bench| {
        let mut hands = ScriptedHands::new(zone, Draw::new(&clock));
        let _ = bench.call("time", &Value::Object(input).to_string(), Limits::BUILTIN, &mut hands);
    });
});
