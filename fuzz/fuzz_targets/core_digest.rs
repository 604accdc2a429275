//! SHA-256 does not depend on how the bytes are cut.
#![no_main]

use aether_core::digest::Sha256;
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (whole, pieces) = Draw::new(bytes).pieces();
    let mut hash = Sha256::default();
    for piece in pieces {
        hash.update(piece);
    }
    let digest = hash.finish();
    assert_eq!(digest, Sha256::of(whole));
    assert_eq!(digest.to_string().len(), 64);
});
