//! An authority has one encoding: what is read is written back to the same bytes, and covers itself (P3).
#![no_main]

use aether_proof::{Authority, PLACES_MAX, TEXT_BYTES_MAX, TOOL_BYTES_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let authority = match Authority::decode(bytes) {
        Ok(authority) => authority,
        Err(malformed) => {
            assert!(malformed.at_bytes <= bytes.len() && !malformed.to_string().is_empty());
            return;
        }
    };
    assert_eq!(authority.encode().expect("what was read can be written"), bytes);
    assert!(authority.covers(&authority));
    assert!(authority.tool.len() <= TOOL_BYTES_MAX);
    let capability = &authority.capability;
    let places = [capability.read(), capability.write(), capability.programs()].concat();
    assert!(places.len() <= PLACES_MAX && places.iter().all(|place| place.as_str().len() <= TEXT_BYTES_MAX), "P7");
});
