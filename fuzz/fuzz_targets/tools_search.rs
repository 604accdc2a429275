//! Patterns from a model: any regular expression and any glob over any file and directory ends with bounded output.
#![no_main]

use aether_fuzz::{Draw, ScriptedHands, Workbench};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let limits = Workbench::limits(&mut draw);
    let is_search = draw.is_odd();
    let (pattern, glob) = (draw.text(), draw.text());
    let (literal, ignore_case, context) = (draw.is_odd(), draw.is_odd(), draw.within(0..11));
    let file = draw.bytes();
    let (name, input) = if is_search {
        let input = json!({
            "pattern": pattern, "glob": glob, "literal": literal, "ignore_case": ignore_case, "context": context,
        });
        ("search_text", input)
    } else {
        ("find_files", json!({ "pattern": pattern, "path": "." }))
    };
    BENCH.with(|bench| {
        let _ = bench.call(name, &input.to_string(), limits, &mut ScriptedHands::new(file, draw));
    });
});
