//! A provider's list of models: names or an error in a sentence, whatever the bytes are (P3).
#![no_main]

use aether_core::model::Head;
use aether_fuzz::Draw;
use aether_provider::presets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let presets = presets();
    let codec = presets[usize::from(draw.byte()) % presets.len()].codec();
    let status = draw.one_of(&[200, 200, 204, 400, 401, 404, 429, 500]);
    let content_type = draw.one_of(&["application/json", "", "text/html"]);
    let retry_after_ms = draw.is_odd().then(|| draw.number());
    match codec.list(Head { status, content_type, retry_after_ms }, draw.rest()) {
        Ok(models) => assert!(models.iter().all(|model| !model.name.is_empty()), "a model without a name"),
        Err(error) => assert!(!error.message.is_empty()),
    }
});
