//! Bytes as lower-case hexadecimal digits, in one canonical form.

/// The digits of `bytes`, two for each, lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The bytes that `text` stands for; `None` unless it is exactly what [`hex`] writes for `N` bytes.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(out)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{hex, unhex};

    #[test]
    fn every_byte_round_trips_and_other_texts_are_refused() {
        let all: [u8; 256] = std::array::from_fn(|n| n as u8);
        assert_eq!(unhex::<256>(&hex(&all)), Some(all));
        assert_eq!(hex(&[0, 0x7f, 0xff]), "007fff");
        for text in ["0", "00", "0000", "0G", "AB", "ab ", "é0"] {
            assert_eq!(unhex::<3>(text), None, "{text}");
        }
        assert_eq!(unhex::<1>("AB"), None);
    }
}
