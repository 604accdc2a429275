//! Every tool with any input, over any file and directory: bounded output, no panic, an end (T1, T2, T4, T6).
#![no_main]

use aether_core::tool::Toolbox;
use aether_fuzz::{Draw, ScriptedHands, Workbench};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static BENCH: Workbench = Workbench::default();
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    BENCH.with(|bench| {
        let manifests = bench.tools().manifests();
        let name = &manifests[usize::from(draw.byte()) % manifests.len()].name;
        let limits = Workbench::limits(&mut draw);
        let input = draw.text();
        let file = draw.bytes();
        let _ = bench.call(name, &input, limits, &mut ScriptedHands::new(file, draw));
    });
});
