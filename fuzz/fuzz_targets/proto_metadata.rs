//! Values of headers: each has one spelling but for padding, sentences come through, and nothing else gets into a header (W2, W3).
#![no_main]

use aether_fuzz::Draw;
use aether_proto::Code;
use aether_proto::metadata::{MESSAGE_BYTES_MAX, binary, message, read_binary, read_message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(value) = read_binary(bytes) {
        let bare = bytes.iter().take_while(|byte| **byte != b'=').count();
        assert_eq!(binary(&value).as_bytes(), &bytes[..bare], "W3: a second spelling");
    }
    let written = binary(bytes);
    assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)));
    assert_eq!(read_binary(written.as_bytes()).as_deref(), Some(bytes), "W3");
    let padded = format!("{written}{}", "=".repeat((4 - written.len() % 4) % 4));
    assert_eq!(read_binary(padded.as_bytes()).as_deref(), Some(bytes), "W3");

    assert!(read_message(bytes).len() <= bytes.len() * 3, "W2");
    let sentence = Draw::new(bytes).rest_text();
    let text = message(&sentence);
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
    let back = read_message(text.as_bytes());
    assert!(sentence.starts_with(&back) && back.len() <= MESSAGE_BYTES_MAX, "W2");
    assert!(back.len() == sentence.len() || back.len() + 4 > MESSAGE_BYTES_MAX, "W3: it was cut too early");

    let code = Code::read(bytes);
    assert_eq!(Code::read(code.number().to_string().as_bytes()), code);
});
