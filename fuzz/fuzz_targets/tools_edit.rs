//! Exact replacement: what is written is what was asked for, or nothing is.
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
    let (old, new) = (draw.text(), draw.text());
    let is_all = draw.is_odd();
    let file = draw.bytes();
    let input = json!({ "path": "a.txt", "old": old, "new": new, "all": is_all }).to_string();
    BENCH.with(|bench| {
        let mut hands = ScriptedHands::new(file, draw);
        let told = bench.call("edit_file", &input, limits, &mut hands);
        match &hands.written {
            None => assert!(told.is_err() || old == new, "said to be done: {told:?}"),
            Some(written) if told.is_ok() => check(file, written, &old, &new),
            Some(_) => {}
        }
    });
});

/// The new content has as many more bytes as its replacements bring.
fn check(file: &[u8], written: &[u8], old: &str, new: &str) {
    assert_ne!(file, written);
    let text = String::from_utf8_lossy(file);
    if old.contains(['\n', '\r']) || new.contains(['\n', '\r']) || text.contains('\r') {
        // Line ends may be those of the file.
        return;
    }
    let start = file.iter().zip(written).take_while(|(a, b)| a == b).count();
    let end = file.iter().rev().zip(written.iter().rev()).take_while(|(a, b)| a == b).count();
    let is_within = start + end <= file.len() || file.len() != written.len();
    assert!(is_within);
    assert!(String::from_utf8_lossy(written).contains(new), "the new text is not there");
}
