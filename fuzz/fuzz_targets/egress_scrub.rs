//! Scrubbing: a secret in whatever mixture of escapes is gone, however the stream is cut; lengths stay; what is held is bounded.
#![no_main]

use std::sync::Arc;

use aether_egress::scrub::{Needles, Scrubber, scrub};
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let length = draw.within(8..40);
    let secret: Vec<u8> = (0..length).map(|_| b' ' + draw.byte() % 95).collect();
    let before = draw.chunk().to_vec();
    let form = draw.byte() % 2;
    let mut echo = Vec::new();
    for byte in &secret {
        let characters = if form == 0 { vec![*byte] } else { format!("{byte:02x}").into_bytes() };
        for character in characters {
            match draw.byte() % 6 {
                0 => echo.extend_from_slice(format!("%{character:02X}").as_bytes()),
                1 => echo.extend_from_slice(format!("\\u00{character:02x}").as_bytes()),
                2 => echo.extend_from_slice(format!("&#{character};").as_bytes()),
                3 => echo.extend_from_slice(format!("\\x{character:02X}").as_bytes()),
                _ => echo.push(character),
            }
        }
    }
    let cut = draw.within(1..64);
    let text = [&before[..], &echo, draw.rest()].concat();

    let needles = Arc::new(Needles::new([&secret[..]].into_iter()));
    let whole = scrub(&needles, &text);
    assert_eq!(whole.len(), text.len());
    assert!(whole[before.len()..before.len() + echo.len()].iter().all(|byte| *byte == b'*'));
    assert!(whole.iter().zip(&text).all(|(out, byte)| out == byte || *out == b'*'));

    let mut scrubber = Scrubber::new(needles);
    let mut out = Vec::new();
    for piece in text.chunks(cut) {
        scrubber.feed(piece, &mut out);
        assert!(scrubber.held_bytes() <= scrubber.held_bytes_max());
    }
    scrubber.finish(&mut out);
    assert_eq!(out, whole);
});
