//! Masks a secret in a stream of bytes, in whatever common form it is echoed.
//!
//! Three forms: as it is, in hexadecimal (RFC 4648 section 8), in base64 at each of its three alignments (sections 4 and
//! 5, with line breaks in between). Each byte of a form may itself be written as it is, percent-encoded (RFC 3986 section
//! 2.1), as an escape of JSON (RFC 8259 section 7) or of JavaScript, or as an HTML character reference. Any mixture counts.
//!
//! Every byte of what is found becomes `*`, so lengths stay what they were.

use std::sync::Arc;

use zeroize::Zeroizing;

/// Shortest secret that is scrubbed, in bytes: shorter ones would mask text that has nothing to do with them.
pub const SECRET_BYTES_MIN: usize = 8;

/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Longest way to write one byte that is known here: `&#00255;` and the like.
const ESCAPE_BYTES_MAX: usize = 9;

/// Longest line break within base64: `\r\n`, escaped.
const BREAK_BYTES_MAX: usize = 4;

/// What a masked byte becomes.
const MASK: u8 = b'*';

/// The forms of some secrets. Wiped from memory when the last user is gone.
pub struct Needles {
    forms: Vec<Form>,
    /// For each byte, whether a form may start with it.
    starts: [bool; 256],
}

impl Needles {
    /// The forms of these secrets. Each should have [`SECRET_BYTES_MIN`] bytes or more; empty ones are left out.
    #[must_use]
    pub fn new<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Needles {
        let mut forms = Vec::new();
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            forms.push(Form::plain(secret));
            forms.push(Form::hexadecimal(secret));
            forms.extend((0..3).map(|alignment| Form::base64(secret, alignment)));
        }
        let mut starts = [false; 256];
        for (byte, is_start) in (0..=u8::MAX).zip(&mut starts) {
            let is_escape = matches!(byte, b'%' | b'\\' | b'&' | b'+');
            *is_start = !forms.is_empty() && (is_escape || forms.iter().any(|form| form.fits(0, byte)));
        }
        Needles { forms, starts }
    }
}

/// What a byte of a form is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alphabet {
    Byte,
    Hexadecimal,
    Base64,
}

impl Alphabet {
    fn value(self, byte: u8) -> Option<u8> {
        match (self, byte) {
            (Alphabet::Byte, _) => Some(byte),
            (Alphabet::Hexadecimal, _) => hexadecimal(byte),
            (Alphabet::Base64, b'A'..=b'Z') => Some(byte - b'A'),
            (Alphabet::Base64, b'a'..=b'z') => Some(byte - b'a' + 26),
            (Alphabet::Base64, b'0'..=b'9') => Some(byte - b'0' + 52),
            (Alphabet::Base64, b'+' | b'-') => Some(62),
            (Alphabet::Base64, b'/' | b'_') => Some(63),
            (Alphabet::Base64, _) => None,
        }
    }
}

/// One way to write a secret: for each character the bits that are known of it, and what they are.
struct Form {
    alphabet: Alphabet,
    masks: Vec<u8>,
    values: Zeroizing<Vec<u8>>,
}

impl Form {
    fn plain(secret: &[u8]) -> Form {
        let values = Zeroizing::new(secret.to_vec());
        Form { alphabet: Alphabet::Byte, masks: vec![0xff; values.len()], values }
    }

    fn hexadecimal(secret: &[u8]) -> Form {
        let values: Vec<u8> = secret.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
        Form { alphabet: Alphabet::Hexadecimal, masks: vec![0xff; values.len()], values: Zeroizing::new(values) }
    }

    /// The characters that carry at least one bit of a secret which `alignment` bytes come before.
    fn base64(secret: &[u8], alignment: usize) -> Form {
        let padded = Zeroizing::new([&[0, 0][..alignment], secret, &[0, 0]].concat());
        let is_known = |at: usize| (alignment..alignment + secret.len()).contains(&at);
        let (first, last) = (alignment * 8 / 6, ((alignment + secret.len()) * 8).div_ceil(6));
        let mut form = Form { alphabet: Alphabet::Base64, masks: Vec::new(), values: Zeroizing::new(Vec::new()) };
        for character in first..last {
            let (mut mask, mut value) = (0, 0);
            for bit in character * 6..character * 6 + 6 {
                let one = padded[bit / 8] >> (7 - bit % 8) & 1;
                mask = mask << 1 | u8::from(is_known(bit / 8));
                value = value << 1 | one;
            }
            form.masks.push(mask);
            form.values.push(value);
        }
        form
    }

    /// Whether `byte` can be the form's character number `step`.
    fn fits(&self, step: usize, byte: u8) -> bool {
        self.alphabet.value(byte).is_some_and(|value| value & self.masks[step] == self.values[step])
    }

    /// Whether `bytes` start with this form.
    fn find(&self, bytes: &[u8], places: &mut Places) -> Found {
        let mut is_cut = false;
        places.now.clear();
        places.now.push(0);
        for step in 0..self.values.len() {
            places.next.clear();
            for start in &places.now {
                let mut at = *start;
                if step > 0 && self.alphabet == Alphabet::Base64 {
                    let (length, is_open) = line_break(&bytes[at..]);
                    at += length;
                    is_cut |= is_open;
                }
                let reading = read(&bytes[at..]);
                is_cut |= reading.is_cut;
                for (byte, length) in reading.bytes.into_iter().flatten() {
                    if self.fits(step, byte) && !places.next.contains(&(at + length)) {
                        places.next.push(at + length);
                    }
                }
            }
            if places.next.is_empty() {
                return Found { end: None, is_open: is_cut };
            }
            std::mem::swap(&mut places.now, &mut places.next);
        }
        Found { end: places.now.iter().max().copied(), is_open: is_cut }
    }
}

/// Where the next character of a form may be: more than one place where escapes can be read in two ways.
#[derive(Default)]
struct Places {
    now: Vec<usize>,
    next: Vec<usize>,
}

/// What became of looking for a form.
struct Found {
    /// Where it ends, if it is there.
    end: Option<usize>,
    /// Whether more bytes could make it one, or a longer one.
    is_open: bool,
}

/// What the start of some bytes may stand for.
struct Reading {
    /// As it is, and unescaped; each with the number of bytes it takes.
    bytes: [Option<(u8, usize)>; 2],
    /// More bytes could change that.
    is_cut: bool,
}

fn read(bytes: &[u8]) -> Reading {
    let Some(first) = bytes.first() else { return Reading { bytes: [None; 2], is_cut: true } };
    let (escape, is_cut) = match first {
        b'%' => digits(bytes, 1, 2),
        b'\\' => match bytes.get(1) {
            Some(b'u') => match digits(bytes, 2, 2) {
                (Some((0, 4)), false) => digits(bytes, 4, 2),
                (Some(_), _) => (None, false),
                other => other,
            },
            Some(b'x') => digits(bytes, 2, 2),
            Some(b'n') => (Some((b'\n', 2)), false),
            Some(b'r') => (Some((b'\r', 2)), false),
            Some(b't') => (Some((b'\t', 2)), false),
            Some(other) => (Some((*other, 2)).filter(|_| other.is_ascii_punctuation()), false),
            None => (None, true),
        },
        b'&' => reference(bytes),
        b'+' => (Some((b' ', 1)), false),
        _ => (None, false),
    };
    Reading { bytes: [Some((*first, 1)), escape], is_cut }
}

/// The number that `count` hexadecimal digits at `at` make, and where they end.
fn digits(bytes: &[u8], at: usize, count: usize) -> (Option<(u8, usize)>, bool) {
    let there = &bytes[at.min(bytes.len())..bytes.len().min(at + count)];
    let value = there.iter().try_fold(0_u8, |value, byte| Some(value << 4 | hexadecimal(*byte)?));
    match value {
        Some(value) if there.len() == count => (Some((value, at + count)), false),
        Some(_) => (None, true),
        None => (None, false),
    }
}

/// The character that an HTML reference of [`ESCAPE_BYTES_MAX`] bytes at most stands for.
fn reference(bytes: &[u8]) -> (Option<(u8, usize)>, bool) {
    const NAMED: [(&[u8], u8); 6] =
        [(b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"quot", b'"'), (b"apos", b'\''), (b"sol", b'/')];
    let window = &bytes[1..bytes.len().min(ESCAPE_BYTES_MAX)];
    let Some(end) = window.iter().position(|byte| *byte == b';') else {
        let could_go_on = window.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        return (None, could_go_on && bytes.len() < ESCAPE_BYTES_MAX);
    };
    let value = match &window[..end] {
        [b'#', b'x' | b'X', rest @ ..] => number(rest, 16),
        [b'#', rest @ ..] => number(rest, 10),
        name => NAMED.iter().find(|(known, _)| *known == name).map(|(_, byte)| *byte),
    };
    (value.map(|value| (value, end + 2)), false)
}

fn number(digits: &[u8], base: u32) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    u8::from_str_radix(text, base).ok()
}

/// How many bytes of a line break, plain or escaped, come first, and whether more bytes could make one.
fn line_break(bytes: &[u8]) -> (usize, bool) {
    const BREAKS: [&[u8]; 4] = [b"\\r\\n", b"\\n", b"\r\n", b"\n"];
    let length = BREAKS.iter().find(|one| bytes.starts_with(one)).map_or(0, |one| one.len());
    (length, BREAKS.iter().any(|one| one.len() > bytes.len() && one.starts_with(bytes)))
}

fn hexadecimal(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What stands inside credentials of the Basic scheme (RFC 7617 section 2): user and password, and the password alone.
/// Nothing where `text` is no base64 of the kind. Parts that are too short to be scrubbed are left out.
#[must_use]
pub fn inside_basic(text: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let Some(value) = Alphabet::Base64.value(byte) else { return Vec::new() };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    let Some(colon) = bytes.iter().position(|byte| *byte == b':') else { return Vec::new() };
    let password = Zeroizing::new(bytes[colon + 1..].to_vec());
    [bytes, password].into_iter().filter(|part| part.len() >= SECRET_BYTES_MIN).collect()
}

/// Scrubs one stream. What may be the start of a secret is held until that is known.
pub struct Scrubber {
    needles: Arc<Needles>,
    held: Zeroizing<Vec<u8>>,
    /// How many of the held bytes belong to something that was found.
    masked: usize,
    places: Places,
}

impl Scrubber {
    /// A scrubber for a new stream.
    #[must_use]
    pub fn new(needles: Arc<Needles>) -> Scrubber {
        Scrubber { needles, held: Zeroizing::default(), masked: 0, places: Places::default() }
    }

    /// Takes in the next bytes and appends to `out` what is known to be clean or was masked.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(input);
        self.release(out, End::Open);
    }

    /// Appends to `out` what is left: nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(out, End::Reached);
    }

    /// The most bytes that are ever held between two calls.
    #[must_use]
    pub fn held_bytes_max(&self) -> usize {
        let longest = self.needles.forms.iter().map(|form| form.values.len()).max().unwrap_or(0);
        longest * (ESCAPE_BYTES_MAX + BREAK_BYTES_MAX)
    }

    /// How many bytes are held now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    fn release(&mut self, out: &mut Vec<u8>, end: End) {
        let mut at = 0;
        while let Some(byte) = self.held.get(at) {
            if self.needles.starts[usize::from(*byte)] && self.look(at) && end == End::Open {
                break;
            }
            out.push(if at < self.masked { MASK } else { self.held[at] });
            at += 1;
        }
        self.held.drain(..at);
        self.masked = self.masked.saturating_sub(at);
    }

    /// Looks for every form at this place and remembers how far what was found goes. Says whether more bytes could change
    /// that.
    fn look(&mut self, at: usize) -> bool {
        let mut is_open = false;
        for form in &self.needles.forms {
            let found = form.find(&self.held[at..], &mut self.places);
            self.masked = self.masked.max(found.end.map_or(0, |end| at + end));
            is_open |= found.is_open;
        }
        is_open
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Reached,
}

/// Scrubs bytes that are all there.
#[must_use]
pub fn scrub(needles: &Arc<Needles>, bytes: &[u8]) -> Vec<u8> {
    let mut scrubber = Scrubber::new(Arc::clone(needles));
    let mut out = Vec::with_capacity(bytes.len());
    scrubber.feed(bytes, &mut out);
    scrubber.finish(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"tok/en+\"s3cr%t=";

    fn needles(secret: &[u8]) -> Arc<Needles> {
        Arc::new(Needles::new([secret].into_iter()))
    }

    fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
        let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
            for at in 0..=group.len() {
                text.push(char::from(alphabet[(bits >> (18 - 6 * at) & 63) as usize]));
            }
        }
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        text
    }

    fn each(secret: &[u8], write: impl Fn(usize, u8) -> String) -> String {
        secret.iter().enumerate().map(|(at, byte)| write(at, *byte)).collect()
    }

    /// The secret in every form, by name.
    fn echoes(secret: &[u8]) -> Vec<(String, String)> {
        let raw = |byte: u8| char::from(byte).to_string();
        let mut all = vec![
            ("raw".to_owned(), each(secret, |_, byte| raw(byte))),
            ("percent, upper".to_owned(), each(secret, |_, byte| format!("%{byte:02X}"))),
            ("percent, lower".to_owned(), each(secret, |_, byte| format!("%{byte:02x}"))),
            (
                "percent, some".to_owned(),
                each(secret, |_, b| if b.is_ascii_alphanumeric() { raw(b) } else { format!("%{b:02X}") }),
            ),
            ("percent, odd".to_owned(), each(secret, |at, b| if at % 2 == 0 { raw(b) } else { format!("%{b:02x}") })),
            ("hex, upper".to_owned(), each(secret, |_, byte| format!("{byte:02X}"))),
            ("hex, lower".to_owned(), each(secret, |_, byte| format!("{byte:02x}"))),
            (
                "json".to_owned(),
                each(secret, |_, b| if matches!(b, b'"' | b'\\' | b'/') { format!("\\{}", raw(b)) } else { raw(b) }),
            ),
            ("json, all upper".to_owned(), each(secret, |_, byte| format!("\\u00{byte:02X}"))),
            ("json, all lower".to_owned(), each(secret, |_, byte| format!("\\u00{byte:02x}"))),
            ("json, odd".to_owned(), each(secret, |at, b| if at % 2 == 1 { raw(b) } else { format!("\\u00{b:02x}") })),
            ("javascript".to_owned(), each(secret, |_, byte| format!("\\x{byte:02x}"))),
            ("html, decimal".to_owned(), each(secret, |_, byte| format!("&#{byte};"))),
            ("html, hexadecimal".to_owned(), each(secret, |_, byte| format!("&#x{byte:X};"))),
            ("html, named".to_owned(), each(secret, |_, b| if b == b'"' { "&quot;".to_owned() } else { raw(b) })),
        ];
        for (name, last) in [("standard", b"+/"), ("url", b"-_")] {
            for before in 0..3 {
                for after in 0..3 {
                    let whole = [&b"user:"[..before], secret, &b"more"[..after]].concat();
                    let text = base64(&whole, last);
                    all.push((format!("base64 {name} +{before} +{after}"), text.clone()));
                    let escaped = text.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
                    all.push((format!("base64 {name} +{before} +{after}, percent"), escaped));
                    let slashed = text.replace('/', "\\/");
                    all.push((format!("base64 {name} +{before} +{after}, json"), slashed));
                    let lines: Vec<&str> =
                        (0..text.len()).step_by(7).map(|at| &text[at..text.len().min(at + 7)]).collect();
                    all.push((format!("base64 {name} +{before} +{after}, lines"), lines.join("\r\n")));
                    all.push((format!("base64 {name} +{before} +{after}, escaped lines"), lines.join("\\n")));
                }
            }
        }
        all
    }

    /// E7: in every form, cut at every byte, nothing of the secret comes through and the length stays.
    #[test]
    fn every_form_cut_at_every_byte() {
        for secret in [
            SECRET,
            b"ghp_0123456789abcdefABCDEF",
            b"%41%41%41%41",
            b"aaaaaaaab",
            b"++++++++",
            b"12345678",
            b"\\u0041\\/x\"",
        ] {
            let needles = needles(secret);
            for (name, echo) in echoes(secret) {
                let text = format!("{{\"token\": \"{echo}\"}}");
                let want = scrub(&needles, text.as_bytes());
                assert_eq!(want.len(), text.len());
                let masked = want.iter().filter(|byte| **byte == MASK).count();
                let is_base64 = name.starts_with("base64");
                let least = if is_base64 { (secret.len() * 8).div_ceil(6) } else { echo.len() };
                assert!(masked >= least, "{name}: {}", String::from_utf8_lossy(&want));
                if !is_base64 {
                    assert!(want.starts_with(b"{\"token\": \""), "{name}: {}", String::from_utf8_lossy(&want));
                    assert!(want.ends_with(b"\"}"), "{name}: {}", String::from_utf8_lossy(&want));
                }
                for cut in 0..=text.len() {
                    let mut scrubber = Scrubber::new(Arc::clone(&needles));
                    let mut out = Vec::new();
                    scrubber.feed(&text.as_bytes()[..cut], &mut out);
                    assert!(scrubber.held_bytes() <= scrubber.held_bytes_max());
                    scrubber.feed(&text.as_bytes()[cut..], &mut out);
                    scrubber.finish(&mut out);
                    assert_eq!(out, want, "{name}, cut at {cut}");
                }
                let mut scrubber = Scrubber::new(Arc::clone(&needles));
                let mut out = Vec::new();
                for byte in text.as_bytes() {
                    scrubber.feed(&[*byte], &mut out);
                }
                scrubber.finish(&mut out);
                assert_eq!(out, want, "{name}, byte by byte");
            }
        }
    }

    #[test]
    fn what_is_no_echo_stays_and_is_not_held_back() {
        let needles = needles(SECRET);
        let text = b"nothing to see: 100% \\o/ &amp; tok/en+ c3 74 dG9r \xff\x00 tok/en+\"s3cr%t\n";
        assert_eq!(scrub(&needles, text), text);
        let mut scrubber = Scrubber::new(needles);
        let mut out = Vec::new();
        scrubber.feed(b"data: {\"n\": 1}\n\n", &mut out);
        assert_eq!(out, b"data: {\"n\": 1}\n\n", "an event goes out at once");
        scrubber.feed(b"tok", &mut out);
        assert_eq!(scrubber.held_bytes(), 3);
        scrubber.feed(b"yo\n", &mut out);
        assert_eq!(scrubber.held_bytes(), 0);
    }

    #[test]
    fn what_stands_inside_basic_credentials() {
        let inside = |text: &str| {
            inside_basic(text).iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(inside(&base64(b"user:hunter2hunter2", b"+/")), ["user:hunter2hunter2", "hunter2hunter2"]);
        assert_eq!(inside(&base64(b"x-user:short", b"+/")), ["x-user:short"]);
        for text in ["", "ghp_0123456789", "dXNlcg==", "no base64!"] {
            assert!(inside(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn overlapping_and_adjacent_echoes() {
        let thrice = needles(b"abcabcabc");
        assert_eq!(scrub(&thrice, b"xabcabcabcabcx"), b"x************x");
        assert_eq!(scrub(&thrice, b"abcabcabcabcabcabc"), b"******************");
        let two = Arc::new(Needles::new([&b"first-secret"[..], b"second-secret"].into_iter()));
        assert_eq!(scrub(&two, b"first-secretsecond-secret."), b"*************************.");
        // The last byte can be read in two ways, one of them longer.
        let percent = needles(b"7-bytes%");
        for cut in 0..=10 {
            let (mut scrubber, mut out) = (Scrubber::new(Arc::clone(&percent)), Vec::new());
            scrubber.feed(&b"7-bytes%25"[..cut], &mut out);
            scrubber.feed(&b"7-bytes%25"[cut..], &mut out);
            scrubber.finish(&mut out);
            assert_eq!(out, b"**********", "cut at {cut}");
        }
        let none = Arc::new(Needles::new([].into_iter()));
        assert_eq!(scrub(&none, b"%+\\&x"), b"%+\\&x");
    }

    /// However long something looks like the start of a secret, what is held stays bounded.
    #[test]
    fn what_is_held_is_bounded() {
        let secret = [b'a'; 200];
        let needles = needles(&secret);
        for unit in [&b"a"[..], b"%61", b"\\u0061", b"&#0097;", b"6", b"YWFh\r\n", b"YWFh\\r\\n"] {
            let mut scrubber = Scrubber::new(Arc::clone(&needles));
            let mut out = Vec::new();
            for _ in 0..2_000 {
                scrubber.feed(unit, &mut out);
                assert!(scrubber.held_bytes() <= scrubber.held_bytes_max(), "{}", scrubber.held_bytes());
            }
        }
    }
}
