//! Bytes that claim to be text: what they are, and how they read.

/// How many bytes are looked at to tell text from anything else.
pub(crate) const SNIFF_BYTES: usize = 8 << 10;

/// What the first bytes say a file is; `None` for text.
///
/// Signatures: Portable Network Graphics (section 5.2), GIF89a (17), JFIF, PDF 1.7 (7.5.2), ZIP (4.3.7), ELF (gABI 4), PE,
/// gzip (RFC 1952, 2.3.1), WebAssembly (5.5.16), SQLite (1.3.1), RIFF. Anything else with a NUL is plainly binary.
pub(crate) fn binary_kind(start: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 17] = [
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"GIF8", "a GIF image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"%PDF-", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive (or an office document, a jar or the like)"),
        (b"\x7fELF", "an ELF program or library"),
        (b"\x1f\x8b", "gzip-compressed data"),
        (b"BZh", "bzip2-compressed data"),
        (b"\xfd7zXZ\0", "xz-compressed data"),
        (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
        (b"\0asm", "a WebAssembly module"),
        (b"SQLite format 3\0", "a SQLite database"),
        (b"RIFF", "a RIFF file (WebP, WAV or AVI)"),
        (b"OggS", "an Ogg file"),
        (b"ID3", "an MP3 file"),
        (b"\xff\xfe", "UTF-16 text (little endian)"),
        (b"\xfe\xff", "UTF-16 text (big endian)"),
    ];
    let known = SIGNATURES.iter().find(|(signature, _)| start.starts_with(signature)).map(|(_, kind)| *kind);
    let start = &start[..start.len().min(SNIFF_BYTES)];
    known.or_else(|| start.contains(&0).then_some("a binary file"))
}

/// Bytes in a named charset as text, and a word on it if not all of it could be read.
///
/// `declared` is a label of the WHATWG Encoding Standard (section 4.2) or empty. Without one, valid UTF-8 is UTF-8 and the
/// rest windows-1252, as browsers do. Only UTF-8, windows-1252 (which stands for latin1 too) and UTF-16 are known.
pub(crate) fn decoded(bytes: &[u8], declared: &str) -> (String, Option<String>) {
    if let [0xff, 0xfe, rest @ ..] = bytes {
        return (utf16(rest, u16::from_le_bytes), None);
    }
    if let [0xfe, 0xff, rest @ ..] = bytes {
        return (utf16(rest, u16::from_be_bytes), None);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let declared = declared.trim().to_ascii_lowercase();
    match declared.as_str() {
        "iso-8859-1" | "latin1" | "iso8859-1" | "l1" | "windows-1252" | "cp1252" | "us-ascii" | "ascii" => {
            (windows_1252(bytes), None)
        }
        "utf-16le" | "utf-16" => (utf16(bytes, u16::from_le_bytes), None),
        "utf-16be" => (utf16(bytes, u16::from_be_bytes), None),
        "" if std::str::from_utf8(bytes).is_err() => (windows_1252(bytes), Some("read as windows-1252".into())),
        "" | "utf-8" | "utf8" => {
            let text = String::from_utf8_lossy(bytes);
            let note = matches!(text, std::borrow::Cow::Owned(_)).then(|| "invalid UTF-8 shown as \u{fffd}".to_owned());
            (text.into_owned(), note)
        }
        other => {
            let note = format!("charset `{}` is not known here; read as UTF-8", crate::page::clipped(other, 40));
            (String::from_utf8_lossy(bytes).into_owned(), Some(note))
        }
    }
}

/// The value of `charset=` in a media type (RFC 9110, section 8.3.1) or in the first bytes of an HTML page.
pub(crate) fn declared(content_type: &str, start: &[u8]) -> String {
    let in_text = |text: &str| {
        let lower = text.to_ascii_lowercase();
        let (_, after) = lower.split_once("charset")?;
        let after = after.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        (!name.is_empty()).then_some(name)
    };
    let head = String::from_utf8_lossy(&start[..start.len().min(1024)]);
    in_text(content_type).or_else(|| in_text(&head).filter(|_| head.contains("<meta"))).unwrap_or_default()
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Index of windows-1252 for 0x80 to 0x9f (WHATWG Encoding Standard, index-windows-1252); the rest is latin1.
pub(crate) const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn windows_1252(bytes: &[u8]) -> String {
    let read = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        byte => char::from(*byte),
    };
    bytes.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_as_its_charset_says() {
        let cases: [(&[u8], &str, &str); 8] = [
            (b"caf\xe9 \x80", "ISO-8859-1", "café €"),
            (b"caf\xe9", "", "café"),
            ("café".as_bytes(), "", "café"),
            ("café".as_bytes(), "utf-8", "café"),
            (b"\xef\xbb\xbfx", "utf-8", "x"),
            (b"\xff\xfeh\0i\0", "utf-8", "hi"),
            (b"\xfe\xff\0h\0i", "", "hi"),
            (b"\xd8\0x", "utf-16be", "\u{fffd}"),
        ];
        for (bytes, charset, wanted) in cases {
            assert_eq!(decoded(bytes, charset).0, wanted, "{charset} {bytes:?}");
        }
        assert_eq!(decoded(b"a\xffb", "utf-8"), ("a\u{fffd}b".into(), Some("invalid UTF-8 shown as \u{fffd}".into())));
        assert!(decoded(b"x", "shift_jis").1.is_some_and(|note| note.contains("`shift_jis` is not known")));
    }

    #[test]
    fn the_charset_is_found_where_servers_and_pages_put_it() {
        assert_eq!(declared("text/html; Charset=\"UTF-8\"", b""), "utf-8");
        assert_eq!(declared("text/html", b"<meta charset=latin1>"), "latin1");
        assert_eq!(declared("text/html", b"<meta http-equiv=x content='text/html; charset=utf-8'>"), "utf-8");
        assert_eq!(declared("text/html", b"the word charset=x alone"), "");
        assert_eq!(declared("text/html; charset=", b""), "");
    }

    #[test]
    fn binaries_are_told_from_text() {
        assert_eq!(binary_kind(b"\x89PNG\r\n\x1a\nrest"), Some("a PNG image"));
        assert_eq!(binary_kind(b"a\0b"), Some("a binary file"));
        assert_eq!(binary_kind("plain, café\n".as_bytes()), None);
        assert_eq!(binary_kind(b""), None);
        assert_eq!(binary_kind(b"invalid \xff but text"), None);
    }
}
