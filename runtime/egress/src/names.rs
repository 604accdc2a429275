//! Host names as they may be asked for: strict, lower case, and never an address in disguise.

use std::fmt;
use std::net::Ipv4Addr;

/// Longest name, in bytes (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 253;

/// Longest label of a name, in bytes (RFC 1035 section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// Names under which clouds hand out credentials. No rule of a tool reaches them.
const METADATA: [&str; 8] = [
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "metadata.packet.net",
    "metadata.tencentyun.com",
];

/// A host name in canonical form: lower-case labels of letters, digits, hyphens and underscores with dots between, no dot
/// at the end, and a last label that nobody reads as a number.
///
/// Whatever is an IPv4 address in some spelling (`2130706433`, `0x7f.1`, `127.1`) ends in a number (WHATWG URL, "ends in
/// a number"), so none of them is a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Reads a name; upper case is lowered and one dot at the end is dropped. `None` for everything that is no name:
    /// empty or long labels, other characters (no Unicode: `xn--` labels are names like others), hyphens at an end of a
    /// label, and addresses in any spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Name> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_name = text.len() <= NAME_BYTES_MAX && text.split('.').all(is_label);
        let last = text.rsplit('.').next().unwrap_or(text);
        (is_name && !is_number(last)).then(|| Name(text.to_ascii_lowercase().into()))
    }

    /// The name, without a dot at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is, or lies below, a name of a metadata service.
    #[must_use]
    pub fn is_metadata(&self) -> bool {
        METADATA.iter().any(|name| {
            self.0.strip_suffix(name).is_some_and(|head| head.is_empty() || (name.contains('.') && head.ends_with('.')))
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whom a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A host by its name.
    Name(Name),
    /// A machine by its address.
    Address(Ipv4Addr),
}

impl Peer {
    /// Whether `text`, the `host[:port]` of a `Host` line or of an absolute target (RFC 9110 sections 4.2 and 7.2), means
    /// this peer at this port. A missing port means it.
    #[must_use]
    pub fn is_authority(&self, text: &str, port: u16) -> bool {
        let (host, is_port) = match text.rsplit_once(':') {
            Some((host, digits)) => (host, digits.parse() == Ok(port) && !digits.starts_with('+')),
            None => (text, true),
        };
        is_port && self.is_host(host)
    }

    /// Whether `text` is this peer's name or its address in four decimal numbers.
    #[must_use]
    pub fn is_host(&self, text: &str) -> bool {
        match self {
            Peer::Name(name) => Name::parse(text).is_some_and(|other| other == *name),
            Peer::Address(address) => text.parse() == Ok(*address),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Name(name) => name.fmt(f),
            Peer::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_lose_their_dot() {
        for (text, want) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("_dns.a-b.c3", "_dns.a-b.c3"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1password.com", "1password.com"),
            ("nas", "nas"),
            ("0xyz", "0xyz"),
        ] {
            assert_eq!(Name::parse(text).as_ref().map(Name::as_str), Some(want));
        }
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(Name::parse(&longest).is_some());
        assert!(Name::parse(&format!("{longest}c")).is_none());
    }

    #[test]
    fn what_is_no_name() {
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "a.com..",
            "-a.com",
            "a-.com",
            "a b.com",
            "a\0.com",
            "a%00.com",
            "a.com@evil.com",
            "a.com:80",
            "a.com/x",
            "a.com\r\nx",
            "bücher.example",
            "*.a.com",
            "[::1]",
            "::1",
            &long,
        ] {
            assert!(Name::parse(text).is_none(), "{text:?}");
        }
    }

    /// E2: no spelling of an address is a name.
    #[test]
    fn addresses_in_any_spelling_are_no_names() {
        for text in [
            "127.0.0.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "1.2.3.4.5",
            "a.0x",
            "a.1",
            "169.254.169.254",
            "0xa9fea9fe",
        ] {
            assert!(Name::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn metadata_names() {
        for (text, want) in [
            ("metadata.google.internal", true),
            ("x.metadata.google.internal", true),
            ("METADATA.GOOGLE.INTERNAL.", true),
            ("metadata", true),
            ("instance-data", true),
            ("metadata.example.com", false),
            ("x.metadata", false),
            ("xmetadata.goog", false),
        ] {
            assert_eq!(Name::parse(text).expect(text).is_metadata(), want, "{text}");
        }
    }

    #[test]
    fn authorities() {
        let name = Peer::Name(Name::parse("a.com").expect("name"));
        for (text, want) in [
            ("a.com", true),
            ("A.com.:443", true),
            ("a.com:443", true),
            ("a.com:0443", true),
            ("a.com:80", false),
            ("a.com:+443", false),
            ("a.com:", false),
            ("x@a.com", false),
            ("a.com ", false),
            ("b.com", false),
            ("", false),
        ] {
            assert_eq!(name.is_authority(text, 443), want, "{text}");
        }
        let address = Peer::Address(Ipv4Addr::new(1, 2, 3, 4));
        for (text, want) in [("1.2.3.4", true), ("1.2.3.4:443", true), ("01.2.3.4", false), ("16909060", false)] {
            assert_eq!(address.is_authority(text, 443), want, "{text}");
        }
    }
}
