//! What the server hands out to be carried back, made so that it can be verified without being remembered.
//!
//! Real providers sign or encrypt their reasoning. Ours are checksums (FNV-1a, 64 bit): no secret, but any
//! change to them or to what they cover shows.

/// Whether a client was shown the reasoning that a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shown {
    /// Its text came along.
    Whole,
    /// Only the signature came.
    Omitted,
}

/// FNV-1a over the parts, each closed by a byte that UTF-8 never has.
fn checksum(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// Anthropic's signature of a thinking block.
pub(crate) fn signature(thinking: &str, shown: Shown) -> String {
    let kind = if shown == Shown::Whole { "s" } else { "o" };
    let covers = format!("{:016x}", checksum(&["thinking", thinking]));
    format!("Eq{kind}{covers}{:016x}==", checksum(&["signature", kind, &covers]))
}

/// Whether the signature was made for this text, or for a text that was not shown.
pub(crate) fn signature_fits(signature: &str, thinking: &str) -> bool {
    let shown = if signature.starts_with("Eqo") { Shown::Omitted } else { Shown::Whole };
    match (shown, signature.get(3..19)) {
        (Shown::Whole, _) => signature == self::signature(thinking, Shown::Whole),
        (Shown::Omitted, Some(covers)) => {
            thinking.is_empty() && signature == format!("Eqo{covers}{:016x}==", checksum(&["signature", "o", covers]))
        }
        (Shown::Omitted, None) => false,
    }
}

/// The encrypted content of a Responses reasoning item.
pub(crate) fn sealed(item_id: &str) -> String {
    format!("gAAAAAB{:016x}=", checksum(&["sealed", item_id]))
}

/// Gemini's signature of a step, valid base64 as the real ones.
pub(crate) fn thought_signature(covers: &str) -> String {
    let hash = format!("{:016x}", checksum(&["thought", covers]));
    format!("Cq{hash}{:016x}AA", checksum(&["step", &hash]))
}

/// Whether a thought signature is one of ours, or one of the two words that Google documents for
/// histories of other models ("Thought Signatures", FAQ).
pub(crate) fn thought_signature_fits(signature: &str) -> bool {
    if ["context_engineering_is_the_way_to_go", "skip_thought_signature_validator"].contains(&signature) {
        return true;
    }
    signature.get(2..18).is_some_and(|hash| signature == format!("Cq{hash}{:016x}AA", checksum(&["step", hash])))
}

#[cfg(test)]
mod tests {
    use super::{Shown, signature, signature_fits, thought_signature, thought_signature_fits};

    #[test]
    fn a_signature_fits_only_what_it_was_made_for() {
        let whole = signature("I think", Shown::Whole);
        assert!(signature_fits(&whole, "I think"));
        assert!(!signature_fits(&whole, "I thunk"));
        assert!(!signature_fits(&whole, ""));
        let omitted = signature("I think", Shown::Omitted);
        assert!(signature_fits(&omitted, ""));
        assert!(!signature_fits(&omitted, "I think"));
        assert!(!signature_fits(&format!("{omitted}x"), ""));
        assert!(!signature_fits("Eqoé", ""));
        assert!(!signature_fits("", ""));
    }

    #[test]
    fn a_thought_signature_shows_any_change() {
        let signature = thought_signature("clock");
        assert_eq!(signature.len() % 4, 0, "base64");
        assert!(thought_signature_fits(&signature));
        assert!(!thought_signature_fits(&signature.replace('A', "B")));
        assert!(!thought_signature_fits(""));
        assert!(thought_signature_fits("skip_thought_signature_validator"));
    }
}
