//! Arithmetic: any expression has a result or a sentence, soon (T4).
#![no_main]

use aether_core::tool::Limits;
use aether_fuzz::{Draw, ScriptedHands, Workbench};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

fuzz_target!(|bytes: &[u8]| {
    let input = json!({ "expression": String::from_utf8_lossy(bytes) }).to_string();
    BENCH.with(|bench| {
        let mut hands = ScriptedHands::new(&[], Draw::new(&[]));
        let told = bench.call("calculate", &input, Limits::BUILTIN, &mut hands);
        let again = bench.call("calculate", &input, Limits::BUILTIN, &mut hands);
        assert_eq!(told, again);
    });
});
