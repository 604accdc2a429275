//! Text from strangers on a terminal: nothing steers it, wherever the text is cut (Y5).
#![no_main]

use aether_fuzz::Draw;
use aether_terminal::{Neutral, neutral, neutral_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let mut pieces = Vec::new();
    while !draw.is_empty() {
        pieces.push(draw.text());
    }
    let whole = neutral(&pieces.concat());
    let mut stream = Neutral::default();
    let mut shown: String = pieces.iter().map(|piece| stream.push(piece)).collect();
    shown.push_str(&stream.end());
    assert_eq!(shown, whole);
    assert!(!whole.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || is_hidden(c)), "{whole:?}");
    let line = neutral_line(&pieces.concat());
    assert!(!line.chars().any(|c| c.is_control() || is_hidden(c)), "{line:?}");
    assert_eq!(neutral_line(&line), line, "harmless text stays");
});

/// What reorders text or ends a line without being a control character.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
