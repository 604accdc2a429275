//! Lists of hosts as people write them in `NO_PROXY` and in configuration files.
//!
//! An entry is `*` (everything), `example.com` (the host and all below it), `.example.com` or `*.example.com` (only what
//! is below it), an address, or a network such as `10.0.0.0/8` or `[fd00::]/8`; each but a network may carry `:port`.

use std::net::IpAddr;

use crate::url::{Host, parse_authority};

/// Most entries that a list may have.
pub const PATTERNS_MAX: usize = 256;

/// A list of hosts, names and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPatterns {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    form: Form,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Everything,
    NameAndBelow(Box<str>),
    Below(Box<str>),
    Network { base: IpAddr, prefix_bits: u8 },
}

impl HostPatterns {
    /// Reads a list whose entries are separated by commas or spaces. Gives back the entries that were understood, and
    /// those that were not, word by word; entries above [`PATTERNS_MAX`] are among the latter.
    #[must_use]
    pub fn parse(list: &str) -> (Self, Vec<Box<str>>) {
        let mut entries = Vec::new();
        let mut refused = Vec::new();
        let words = list.split(|at: char| at == ',' || at.is_ascii_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            match Entry::parse(word) {
                Some(entry) if entries.len() < PATTERNS_MAX => entries.push(entry),
                _ => refused.push(word.into()),
            }
        }
        (Self { entries }, refused)
    }

    /// Whether an entry covers this host at this port, by its name or, where it is a literal, by its address.
    #[must_use]
    pub fn cover(&self, host: &Host, port: u16) -> bool {
        match host {
            Host::Address(address) => self.cover_address(*address, port),
            Host::Name(name) => self.entries.iter().any(|entry| entry.fits(port) && entry.form.covers_name(name)),
        }
    }

    /// Whether an entry covers this address at this port.
    #[must_use]
    pub fn cover_address(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.entries.iter().any(|entry| entry.fits(port) && entry.form.covers_address(address))
    }
}

impl Entry {
    fn parse(word: &str) -> Option<Self> {
        if word == "*" {
            return Some(Self { form: Form::Everything, port: None });
        }
        if let Some((base, bits)) = word.split_once('/') {
            return Some(Self { form: network(base, bits)?, port: None });
        }
        if let Ok(address) = word.parse::<IpAddr>() {
            return Some(Self { form: single(address), port: None });
        }
        let (below, rest) = match word.strip_prefix("*.").or_else(|| word.strip_prefix('.')) {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let (host, port) = parse_authority(rest).ok()?;
        let form = match host {
            Host::Address(address) if !below => single(address),
            Host::Name(name) if below => Form::Below(name),
            Host::Name(name) => Form::NameAndBelow(name),
            Host::Address(_) => return None,
        };
        Some(Self { form, port })
    }

    fn fits(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

impl Form {
    fn covers_name(&self, name: &str) -> bool {
        let is_below = |top: &str| name.strip_suffix(top).is_some_and(|front| front.ends_with('.'));
        match self {
            Self::Everything => true,
            Self::NameAndBelow(top) => *name == **top || is_below(top),
            Self::Below(top) => is_below(top),
            Self::Network { .. } => false,
        }
    }

    fn covers_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Everything => true,
            Self::Network { base, prefix_bits } => match (base, address) {
                (IpAddr::V4(base), IpAddr::V4(address)) => {
                    same_prefix(u128::from(base.to_bits()) << 96, u128::from(address.to_bits()) << 96, *prefix_bits)
                }
                (IpAddr::V6(base), IpAddr::V6(address)) => same_prefix(base.to_bits(), address.to_bits(), *prefix_bits),
                _ => false,
            },
            Self::NameAndBelow(_) | Self::Below(_) => false,
        }
    }
}

fn same_prefix(left: u128, right: u128, prefix_bits: u8) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
    (left ^ right) & mask == 0
}

fn single(address: IpAddr) -> Form {
    let address = address.to_canonical();
    Form::Network { base: address, prefix_bits: if address.is_ipv4() { 32 } else { 128 } }
}

fn network(base: &str, bits: &str) -> Option<Form> {
    let base = base.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(base);
    let base: IpAddr = base.parse().ok()?;
    let prefix_bits: u8 = bits.parse().ok()?;
    let bits_max = if base.is_ipv4() { 32 } else { 128 };
    (prefix_bits <= bits_max).then_some(Form::Network { base, prefix_bits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::Url;

    fn covers(list: &str, url: &str) -> bool {
        let (patterns, refused) = HostPatterns::parse(list);
        assert!(refused.is_empty(), "{refused:?}");
        let url = Url::parse(url).expect(url);
        patterns.cover(url.host(), url.port())
    }

    #[test]
    fn entries_cover_what_they_say() {
        for (list, url, want) in [
            ("", "https://example.com/", false),
            ("*", "https://example.com/", true),
            ("*", "https://10.0.0.1/", true),
            ("example.com", "https://example.com/", true),
            ("example.com", "https://a.b.example.com/", true),
            ("example.com", "https://badexample.com/", false),
            ("EXAMPLE.com", "https://example.COM/", true),
            (".example.com", "https://example.com/", false),
            (".example.com", "https://a.example.com/", true),
            ("*.example.com", "https://a.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("example.com:8443", "https://example.com/", false),
            ("example.com:8443", "https://example.com:8443/", true),
            ("a.test, b.test", "https://b.test/", true),
            ("a.test b.test", "https://b.test/", true),
            ("10.0.0.0/8", "https://10.200.0.1/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", false),
            ("10.1.2.3", "https://10.1.2.3:99/", true),
            ("10.1.2.3:99", "https://10.1.2.3:98/", false),
            ("0.0.0.0/0", "https://8.8.8.8/", true),
            ("0.0.0.0/0", "https://[2001:db8::1]/", false),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("[fd00::]/8", "https://[fe80::1]/", false),
            ("::1", "https://[::1]/", true),
            ("[::1]:8080", "https://[::1]:8080/", true),
            ("127.0.0.1", "https://[::ffff:127.0.0.1]/", true),
            ("192.168.1.0/24", "https://nas.example/", false),
        ] {
            assert_eq!(covers(list, url), want, "{list:?} {url}");
        }
    }

    #[test]
    fn entries_that_are_not_understood_are_handed_back() {
        let (patterns, refused) = HostPatterns::parse("ok.test,169.254/16,http://x/,10.0.0.0/33,a@b,*.1.2.3.4");
        assert_eq!(patterns.entries.len(), 1);
        let refused: Vec<&str> = refused.iter().map(|word| &**word).collect();
        assert_eq!(refused, ["169.254/16", "http://x/", "10.0.0.0/33", "a@b", "*.1.2.3.4"]);
        let many = vec!["a.test"; PATTERNS_MAX + 2].join(",");
        let (patterns, refused) = HostPatterns::parse(&many);
        assert_eq!((patterns.entries.len(), refused.len()), (PATTERNS_MAX, 2));
    }
}
