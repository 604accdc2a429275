//! What stands in headers and trailers: names, binary values, sentences (gRPC over HTTP2).

use std::fmt::Write;

/// The header with the proof, binary.
pub const PROOF: &str = "aether-proof-bin";

/// The header with the seal, binary.
pub const SEAL: &str = "aether-seal-bin";

/// The trailer with the word for why a request was refused.
pub const REASON: &str = "aether-reason";

/// The media type of requests and responses.
pub const CONTENT_TYPE: &str = "application/grpc";

/// Bytes of a `grpc-message` before it is written for a header; what is longer is cut.
pub const MESSAGE_BYTES_MAX: usize = 4096;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes bytes as base64 without padding (RFC 4648 section 4), as `-bin` headers carry them.
#[must_use]
pub fn binary(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// Reads base64 with or without padding; `None` for anything that [`binary`] would not have written but for padding.
#[must_use]
pub fn read_binary(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let (digits, _) = text.split_at(text.len() - padding);
    if padding > 0 && (padding > 2 || !text.len().is_multiple_of(4)) || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let word = chunk.iter().try_fold(0u32, |word, digit| Some(word << 6 | digit_value(*digit)?))?;
        let word = word << (6 * (4 - chunk.len()));
        let count = chunk.len() - 1;
        // Bits beyond the last byte must be zero, or one value would have several spellings.
        if word & ((1 << (8 * (3 - count))) - 1) != 0 {
            return None;
        }
        bytes.extend_from_slice(&word.to_be_bytes()[1..=count]);
    }
    Some(bytes)
}

fn digit_value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Writes a sentence as a `grpc-message`: cut at [`MESSAGE_BYTES_MAX`], and all but printable ASCII escaped.
#[must_use]
pub fn message(sentence: &str) -> String {
    let sentence = &sentence[..sentence.floor_char_boundary(MESSAGE_BYTES_MAX)];
    let mut text = String::with_capacity(sentence.len());
    for byte in sentence.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Reads a `grpc-message`. What is wrongly escaped stays as it is; what is no UTF-8 is replaced.
#[must_use]
pub fn read_message(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_values_are_those_of_the_standard() {
        // RFC 4648 section 10, without and with padding.
        let known = [
            ("", "", ""),
            ("f", "Zg", "Zg=="),
            ("fo", "Zm8", "Zm8="),
            ("foo", "Zm9v", "Zm9v"),
            ("foob", "Zm9vYg", "Zm9vYg=="),
            ("fooba", "Zm9vYmE", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy", "Zm9vYmFy"),
        ];
        for (plain, bare, padded) in known {
            assert_eq!(binary(plain.as_bytes()), bare);
            assert_eq!(read_binary(bare.as_bytes()).unwrap(), plain.as_bytes());
            assert_eq!(read_binary(padded.as_bytes()).unwrap(), plain.as_bytes());
        }
        for odd in ["Z", "Zh", "Zm9=", "Zg=", "Zg===", "=", "====", "Zm9v====", "Z g", "Zm-_", "Zm9vZ", "Z=g="] {
            assert_eq!(read_binary(odd.as_bytes()), None, "{odd}");
        }
        let all: Vec<u8> = (0..=255).collect();
        for length in 0..256 {
            assert_eq!(read_binary(binary(&all[..length]).as_bytes()).unwrap(), &all[..length]);
        }
    }

    #[test]
    fn sentences_survive_a_header() {
        for sentence in ["", "plain", "100 % \u{e9}\u{1f512}\r\n\u{1b}[31m", "%41"] {
            let text = message(sentence);
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            assert_eq!(read_message(text.as_bytes()), sentence);
        }
        assert_eq!(read_message(b"%4 %zz %"), "%4 %zz %");
        assert_eq!(read_message(b"%ff"), "\u{fffd}");
        let long = "\u{1f512}".repeat(2000);
        assert_eq!(read_message(message(&long).as_bytes()).len(), MESSAGE_BYTES_MAX);
    }
}
