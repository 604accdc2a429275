//! Output of a program as text: no sequence and no control character gets through, plain text stays, and twice is once.
#![no_main]

use aether_executor::plain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = plain(bytes);
    assert!(text.chars().all(|letter| !letter.is_control() || letter == '\n' || letter == '\t'), "{text:?}");
    assert!(text.len() <= bytes.len() * 3, "a foreign byte becomes one character of three bytes");
    assert_eq!(plain(text.as_bytes()), text);
    let whole = String::from_utf8_lossy(bytes);
    if !whole.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\t') {
        assert_eq!(text, whole);
    }
});
