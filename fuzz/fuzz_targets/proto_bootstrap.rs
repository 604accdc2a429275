//! How a sidecar is started: a message is whole at one place alone, what cannot become one is refused at once (W2, W3).
#![no_main]

use aether_proto::{ANSWER_BYTES_MAX, Answer, BootstrapError, HELLO_BYTES_MAX, Hello};
use libfuzzer_sys::fuzz_target;

/// Every beginning is read of so many bytes; of more, the last ones.
const CUTS_MAX: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    let hello = settled(bytes, Hello::decode);
    if let Ok(Some(hello)) = hello {
        assert!(bytes.len() <= HELLO_BYTES_MAX, "W2");
        assert_eq!(hello.encode().as_deref(), Ok(bytes), "W3");
    }
    let answer = settled(bytes, Answer::decode);
    if let Ok(Some(answer)) = answer {
        assert!(bytes.len() <= ANSWER_BYTES_MAX, "W2");
        assert_eq!(answer.encode(), bytes, "W3");
    }
});

/// What the bytes are. Whatever is found, a message or a fault, is not found too early, and a fault stays one.
fn settled<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<Option<T>, BootstrapError>,
) -> Result<Option<T>, BootstrapError> {
    let whole = decode(bytes);
    for end in bytes.len().saturating_sub(CUTS_MAX)..bytes.len() {
        match decode(&bytes[..end]) {
            Ok(None) => {}
            Ok(Some(_)) => assert!(whole.is_err(), "whole, and then something followed that was taken"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(whole.is_err(), "refused, and then not");
            }
        }
    }
    whole
}
