//! The first flight of a TLS client, read for the one thing that matters here: which name it asks for.
//!
//! TLS 1.2 (RFC 5246 sections 6.2.1, 7.4.1.2) and 1.3 (RFC 8446 sections 4.1.2, 5.1), server_name (RFC 6066 section 3),
//! encrypted_client_hello (RFC 9849).

use std::fmt;

use crate::names::Name;

/// Longest hello that is read, in bytes, record headers included.
pub const HELLO_BYTES_MAX: usize = 20 * 1024;

const RECORD_HANDSHAKE: u8 = 22;
const RECORD_BYTES_MAX: usize = 1 << 14;
const MESSAGE_CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ENCRYPTED_HELLO: u16 = 0xfe0d;

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// A hello that is not complete.
    Incomplete,
    /// A complete hello for this name.
    Name(Name),
    /// A complete hello that names nobody.
    Nameless,
}

/// Why a hello is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloFault {
    /// It breaks the rules of TLS; holds where.
    Malformed(&'static str),
    /// Longer than [`HELLO_BYTES_MAX`].
    TooLong,
    /// It carries a second hello, encrypted, which may name somebody else.
    Hidden,
    /// What it names is not a host name.
    NotAName,
}

impl fmt::Display for HelloFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HelloFault::Malformed(place) => write!(f, "the TLS hello is malformed ({place})"),
            HelloFault::TooLong => write!(f, "the TLS hello has more than {HELLO_BYTES_MAX} bytes"),
            HelloFault::Hidden => f.write_str("the TLS hello hides its name (encrypted client hello): switch that off"),
            HelloFault::NotAName => f.write_str("the TLS hello names something that is no host name"),
        }
    }
}

/// Whether a connection that begins with this byte speaks TLS.
#[must_use]
pub fn is_tls(first: u8) -> bool {
    first == RECORD_HANDSHAKE
}

/// Reads the hello at the start of `bytes`; it may be spread over many records. What follows it is not looked at.
///
/// # Errors
/// A [`HelloFault`].
pub fn read(bytes: &[u8]) -> Result<Hello, HelloFault> {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        if let Some(length) = message_length(&message)? {
            if message.len() > length {
                return Err(HelloFault::Malformed("bytes behind the hello in its record"));
            }
            if message.len() == length {
                return read_message(&message[4..]);
            }
        }
        let Some((record, more)) = next_record(rest)? else {
            return if bytes.len() < HELLO_BYTES_MAX { Ok(Hello::Incomplete) } else { Err(HelloFault::TooLong) };
        };
        message.extend_from_slice(record);
        rest = more;
    }
}

/// The content of a record, and what follows it.
type Record<'a> = (&'a [u8], &'a [u8]);

/// The first record; `None` while it is incomplete.
fn next_record(bytes: &[u8]) -> Result<Option<Record<'_>>, HelloFault> {
    let wrong = |place| Err(HelloFault::Malformed(place));
    match bytes {
        [kind, ..] if *kind != RECORD_HANDSHAKE => return wrong("a record of another kind within the hello"),
        [_, major, ..] if *major != 3 => return wrong("record version"),
        _ => {}
    }
    let Some((&[_, _, _, high, low], rest)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length == 0 || length > RECORD_BYTES_MAX {
        return wrong("record length");
    }
    Ok(rest.split_at_checked(length))
}

/// The length of the hello with its own header; `None` while that is incomplete.
fn message_length(message: &[u8]) -> Result<Option<usize>, HelloFault> {
    if message.first().is_some_and(|kind| *kind != MESSAGE_CLIENT_HELLO) {
        return Err(HelloFault::Malformed("another message than a client's hello"));
    }
    let Some(&[_, a, b, c]) = message.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    if length > HELLO_BYTES_MAX { Err(HelloFault::TooLong) } else { Ok(Some(4 + length)) }
}

fn read_message(body: &[u8]) -> Result<Hello, HelloFault> {
    let short = HelloFault::Malformed("it ends early");
    let mut reader = Reader(body);
    let version = reader.take(2).ok_or(short)?;
    if version[0] != 3 {
        return Err(HelloFault::Malformed("version"));
    }
    reader.take(32).ok_or(short)?;
    let session = reader.vector(1).ok_or(short)?;
    let ciphers = reader.vector(2).ok_or(short)?;
    let compressions = reader.vector(1).ok_or(short)?;
    if session.len() > 32 || ciphers.is_empty() || !ciphers.len().is_multiple_of(2) || compressions.is_empty() {
        return Err(HelloFault::Malformed("session, ciphers or compressions"));
    }
    if reader.0.is_empty() {
        return Ok(Hello::Nameless);
    }
    let mut extensions = Reader(reader.vector(2).ok_or(short)?);
    if !reader.0.is_empty() {
        return Err(HelloFault::Malformed("bytes behind the extensions"));
    }
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.take(2).ok_or(short)?;
        let content = extensions.vector(2).ok_or(short)?;
        match u16::from_be_bytes([kind[0], kind[1]]) {
            EXTENSION_ENCRYPTED_HELLO => return Err(HelloFault::Hidden),
            EXTENSION_SERVER_NAME if found.is_some() => return Err(HelloFault::Malformed("two lists of names")),
            EXTENSION_SERVER_NAME => found = Some(server_name(content)?),
            _ => {}
        }
    }
    Ok(found.map_or(Hello::Nameless, Hello::Name))
}

/// The one name of a list of names (RFC 6066 section 3).
fn server_name(content: &[u8]) -> Result<Name, HelloFault> {
    let wrong = HelloFault::Malformed("list of names");
    let mut reader = Reader(content);
    let mut list = Reader(reader.vector(2).ok_or(wrong)?);
    let kind = list.take(1).ok_or(wrong)?;
    let name = list.vector(2).ok_or(wrong)?;
    if kind != [0] || !list.0.is_empty() || !reader.0.is_empty() {
        return Err(wrong);
    }
    // A dot at the end is not allowed on the wire.
    let text = std::str::from_utf8(name).ok().filter(|text| !text.ends_with('.'));
    text.and_then(Name::parse).ok_or(HelloFault::NotAName)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes behind their length, which itself has `width` bytes.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.take(width)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn vector(width: usize, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("short").to_be_bytes();
        [&length[4 - width..], content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector(2, content)].concat()
    }

    fn names(names: &[&[u8]]) -> Vec<u8> {
        let list: Vec<u8> = names.iter().flat_map(|name| [&[0][..], &vector(2, name)].concat()).collect();
        extension(0, &vector(2, &list))
    }

    fn message(extensions: &[u8]) -> Vec<u8> {
        let body = [
            &[3, 3][..],
            &[7; 32],
            &vector(1, &[9; 32]),
            &vector(2, &[0x13, 1, 0x13, 2]),
            &vector(1, &[0]),
            &vector(2, extensions),
        ]
        .concat();
        [&[1][..], &vector(3, &body)].concat()
    }

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        message.chunks(size).flat_map(|piece| [&[22, 3, 1][..], &vector(2, piece)].concat()).collect()
    }

    /// What rustls itself sends.
    pub(crate) fn real_hello(name: &str) -> Vec<u8> {
        let config = aether_net::client_config(None).expect("roots");
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("name");
        let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("client");
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("hello");
        bytes
    }

    fn name(text: &str) -> Hello {
        Hello::Name(Name::parse(text).expect("name"))
    }

    /// E4: the name is found however the hello is cut, and never before the hello is complete.
    #[test]
    fn a_hello_cut_anywhere() {
        let real = real_hello("Api.Example.com");
        assert_eq!(read(&real), Ok(name("api.example.com")));
        for cut in 0..real.len() {
            assert_eq!(read(&real[..cut]), Ok(Hello::Incomplete), "{cut}");
        }
        for size in [1, 2, 3, 5, 100] {
            let cut = records(&real[5..], size);
            if cut.len() < HELLO_BYTES_MAX {
                assert_eq!(read(&cut), Ok(name("api.example.com")), "records of {size}");
            }
        }
        let mut more = real;
        more.extend_from_slice(&[20, 3, 3, 0, 1, 1]);
        assert_eq!(read(&more), Ok(name("api.example.com")), "what follows is not looked at");
    }

    #[test]
    fn hellos_by_hand() {
        let whole = |extensions: &[u8]| read(&records(&message(extensions), 1 << 14));
        assert_eq!(whole(&names(&[b"a.com"])), Ok(name("a.com")));
        assert_eq!(whole(&extension(10, &[0, 2, 0, 29])), Ok(Hello::Nameless));
        assert_eq!(whole(&[names(&[b"a.com"]), extension(0xfe0d, &[0; 8])].concat()), Err(HelloFault::Hidden));
        for bad in [&b"127.0.0.1"[..], b"2130706433", b"", b"a.com\0.b.com", b"a.com.", b"\xff.com", b"[::1]", b"a b"] {
            assert_eq!(whole(&names(&[bad])), Err(HelloFault::NotAName), "{bad:?}");
        }
        for bad in [
            names(&[]),
            names(&[b"a.com", b"b.com"]),
            [names(&[b"a.com"]), names(&[b"b.com"])].concat(),
            extension(0, &[0, 3, 0, 0, 9]),
            extension(0, &[]),
            vec![0, 0, 0, 9, 1],
            vec![0],
        ] {
            assert!(matches!(whole(&bad), Err(HelloFault::Malformed(_))), "{bad:?}");
        }
        let old =
            [&[1][..], &vector(3, &[&[3, 1][..], &[0; 32], &[0], &vector(2, &[0, 47]), &vector(1, &[0])].concat())]
                .concat();
        assert_eq!(read(&records(&old, 1 << 14)), Ok(Hello::Nameless), "no extensions at all");
    }

    #[test]
    fn what_is_no_hello() {
        let good = message(&names(&[b"a.com"]));
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            records(&message, 1 << 14)
        };
        for (at, byte) in [(0, 2), (3, good[3] + 1), (3, good[3] - 1), (4, 2), (38, 255), (good.len() - 15, 200)] {
            let found = read(&with(at, byte));
            assert!(matches!(found, Err(HelloFault::Malformed(_)) | Ok(Hello::Incomplete)), "{at}: {found:?}");
        }
        for bytes in [&b"GET / HTTP/1.1"[..], &[23, 3, 3], &[22, 2], &[22, 3, 1, 0, 0], &[22, 3, 1, 0x40, 1]] {
            assert!(matches!(read(bytes), Err(HelloFault::Malformed(_))), "{bytes:?}");
        }
        let huge = [22, 3, 1, 0, 4, 1, 1, 0, 0];
        assert_eq!(read(&huge), Err(HelloFault::TooLong));
        let drip: Vec<u8> = records(&[&[1, 0, 0x40, 0][..], &[0; 4000]].concat(), 1);
        assert_eq!(read(&drip), Err(HelloFault::TooLong), "many small records");
        let mixed = [records(&good[..8], 8), vec![23, 3, 3, 0, 1, 0]].concat();
        assert!(matches!(read(&mixed), Err(HelloFault::Malformed(_))), "another record in the middle");
    }
}
