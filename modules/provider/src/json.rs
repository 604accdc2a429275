//! JSON in small steps: text written straight into a request's bytes, members read out of parsed values.
//!
//! The writing functions put the comma themselves: a value or a key that follows another value gets one.
//! Names of keys are written as they are, so they must need no escaping.

use std::borrow::Cow;
use std::io::Write;

use serde_json::Value;

use crate::outline::{Kind, Outline};

/// The longest tool name that every provider accepts, in bytes.
pub const TOOL_NAME_BYTES_MAX: usize = 64;

/// Writes the comma that a next value or key needs here.
pub fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[' | b':' | b',')) {
        out.push(b',');
    }
}

/// Starts an object.
pub fn object(out: &mut Vec<u8>) {
    comma(out);
    out.push(b'{');
}

/// Starts an array.
pub fn array(out: &mut Vec<u8>) {
    comma(out);
    out.push(b'[');
}

/// Ends an object.
pub fn end_object(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// Ends an array.
pub fn end_array(out: &mut Vec<u8>) {
    out.push(b']');
}

/// Writes a key; its value follows.
pub fn key(out: &mut Vec<u8>, name: &str) {
    comma(out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Writes a string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    comma(out);
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes the inside of a string (RFC 8259, section 7).
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    while let Some(at) = special(rest) {
        let byte = rest[at];
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(rest);
}

/// Where the first byte is that cannot stand in a string as it is: a quote, a backslash, a control character.
///
/// Every question is passed through here from its first byte to its last, so eight are looked at together: a byte of a
/// word is below n where subtracting n borrows from its top bit (S. E. Anderson, "Bit Twiddling Hacks", "Determine if a
/// word has a byte less than n"). A borrow can only mark bytes above one that is rightly marked, and the lowest counts.
pub fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let (words, tail) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = (below(word, 0x20) | quote | backslash) & (ONES << 7);
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(words.len() * 8 + at)
}

/// Writes a key and a string.
pub fn member(out: &mut Vec<u8>, name: &str, text: &str) {
    key(out, name);
    string(out, text);
}

/// Writes JSON text as it is. It must be one complete value: see [`is_object`].
pub fn raw(out: &mut Vec<u8>, json: &str) {
    comma(out);
    out.extend_from_slice(json.trim().as_bytes());
}

/// Writes a parsed value.
pub fn value(out: &mut Vec<u8>, value: &Value) {
    comma(out);
    // Writing to a vector does not fail, and every parsed value can be written.
    let _written = serde_json::to_writer(out, value);
}

/// Writes a whole number.
pub fn number(out: &mut Vec<u8>, number: u64) {
    comma(out);
    let _written = write!(out, "{number}");
}

/// Writes a number; one that JSON has no text for is written as 0.
pub fn float(out: &mut Vec<u8>, number: f32) {
    comma(out);
    let _written = write!(out, "{}", if number.is_finite() { number } else { 0.0 });
}

/// Writes bytes as a string in base64 (RFC 4648, section 4) behind `prefix`.
pub fn base64(out: &mut Vec<u8>, prefix: &str, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    comma(out);
    out.reserve(prefix.len() + bytes.len().div_ceil(3) * 4 + 2);
    out.push(b'"');
    escaped(out, prefix);
    for three in bytes.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digit = |shift: u32| ALPHABET[(bits >> shift & 63) as usize];
        out.push(digit(18));
        out.push(digit(12));
        out.push(if three.len() > 1 { digit(6) } else { b'=' });
        out.push(if three.len() > 2 { digit(0) } else { b'=' });
    }
    out.push(b'"');
}

/// Writes a tool call's input as an object: as the model wrote it if it is one, else wrapped, so that the
/// request stays valid and the model sees what it had written.
pub fn input_object(out: &mut Vec<u8>, input: &str) {
    let input = call_input(input);
    if is_object(input) {
        raw(out, input);
    } else {
        object(out);
        member(out, "invalid_input", input);
        end_object(out);
    }
}

/// A tool call's input as an object in a JSON text: see [`input_object`].
#[must_use]
pub fn input_text(input: &str) -> Cow<'_, str> {
    let input = call_input(input);
    if is_object(input) {
        return Cow::Borrowed(input);
    }
    let mut out = Vec::new();
    input_object(&mut out, input);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// A tool call's input as a model streamed it: nothing and `null` mean no input, which is `{}`.
#[must_use]
pub fn call_input(text: &str) -> &str {
    match text.trim() {
        "" | "null" => "{}",
        _ => text,
    }
}

/// Whether a text is one JSON object.
#[must_use]
pub fn is_object(text: &str) -> bool {
    Outline::of(text).is_some_and(|outline| outline.root().kind() == Kind::Object)
}

/// A tool's name as every provider accepts it: what a model made up is cut to `[a-zA-Z0-9_-]{1,64}`.
#[must_use]
pub fn tool_name(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= TOOL_NAME_BYTES_MAX && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).take(TOOL_NAME_BYTES_MAX).collect();
    Cow::Owned(if plain.is_empty() { "unnamed".to_owned() } else { plain })
}

/// Parses one value. Bytes that are not UTF-8 are replaced (U+FFFD), as decoders of event streams do.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Value> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Some(value),
        Err(_) if std::str::from_utf8(bytes).is_err() => serde_json::from_str(&String::from_utf8_lossy(bytes)).ok(),
        Err(_) => None,
    }
}

/// The string at a key; empty if there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The whole number at a key; 0 if there is none.
#[must_use]
pub fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// The elements of the array at a key; none if there is no array.
#[must_use]
pub fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The value at a key, unless it is missing or `null`.
#[must_use]
pub fn present<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|found| !found.is_null())
}

#[cfg(test)]
mod tests {
    use super::special;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        let naive = |bytes: &[u8]| bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        for length in 0..40 {
            for at in 0..length {
                for byte in 0..=255 {
                    // Neighbours of what is looked for, bytes above 127, and a second find behind the first.
                    let mut bytes: Vec<u8> =
                        b"!#[] ~\x7f\x80\xa2\xdc\xff".iter().copied().cycle().take(length).collect();
                    bytes[at] = byte;
                    assert_eq!(special(&bytes), naive(&bytes), "{bytes:?}");
                    if let Some(next) = bytes.get_mut(at + 1) {
                        *next = b'"';
                    }
                    assert_eq!(special(&bytes), naive(&bytes), "{bytes:?}");
                }
            }
        }
    }
}
