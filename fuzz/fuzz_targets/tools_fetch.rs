//! A page from the network: any body in any character set becomes bounded text without markup of its own (T1, T4).
#![no_main]

use aether_fuzz::{Draw, ScriptedHands, Workbench};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

const TYPES: [&str; 8] = [
    "text/html",
    "text/html; charset=utf-8",
    "text/html; charset=iso-8859-1",
    "text/html; charset=utf-16le",
    "text/plain; charset=windows-1252",
    "application/xhtml+xml",
    "",
    "application/json",
];

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let limits = Workbench::limits(&mut draw);
    let content_type = draw.one_of(&TYPES);
    let from_byte = draw.is_odd().then(|| draw.within(0..1 << 16));
    let input = json!({ "url": "https://example.org/a/b?c", "from_byte": from_byte.unwrap_or(0) }).to_string();
    // No mishap, status 200, the type, no redirect, not cut.
    let script = [&[0, 0], content_type.as_bytes(), &[0xFF, 0, 0]].concat();
    let body = draw.rest();
    BENCH.with(|bench| {
        let mut hands = ScriptedHands::new(body, Draw::new(&script));
        let told = bench.call("http_fetch", &input, limits, &mut hands);
        if let Ok(output) = told {
            assert!(!output.text.contains('\0') || body.contains(&0), "bytes from nowhere");
        }
    });
});
