//! Which addresses belong to the public internet, and which to this machine, its network, or nobody.
//!
//! Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates), RFC 4291 for IPv6,
//! RFC 6052 and RFC 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// Reachable from anywhere.
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, or unique-local IPv6 (RFC 4193).
    Private,
    /// The local link (RFC 3927, RFC 4291), site-local included.
    LinkLocal,
    /// A cloud provider's metadata service, which hands out credentials.
    Metadata,
    /// The provider's side of a carrier-grade NAT (RFC 6598).
    SharedSpace,
    /// Many machines at once.
    Multicast,
    /// No address at all: zeros, "this network".
    Unspecified,
    /// Examples in documentation (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// Benchmarks of network devices (RFC 2544, RFC 5180).
    Benchmark,
    /// Set aside for protocols, or not handed out.
    Reserved,
    /// A name that never is public, such as `localhost`, `printer.local` or a name without a dot.
    LocalName,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine",
            Self::Private => "a private network",
            Self::LinkLocal => "the local link",
            Self::Metadata => "a cloud metadata service",
            Self::SharedSpace => "a carrier's shared address space",
            Self::Multicast => "a multicast group",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "a documentation address",
            Self::Benchmark => "a benchmarking address",
            Self::Reserved => "a reserved address",
            Self::LocalName => "a name of this machine or its network",
        })
    }
}

/// Says what an address is for. IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4) are what the carried address is.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// Whether a name can only mean something on this machine or its network: `localhost` (RFC 6761), `.local` (RFC 6762),
/// `.internal` and `.home.arpa` (RFC 8375), or a name without a dot.
#[must_use]
pub fn is_local_name(name: &str) -> bool {
    const SUFFIXES: [&str; 5] = [".localhost", ".local", ".internal", ".home.arpa", ".localdomain"];
    !name.contains('.') || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [169, 254, 169, 254] | [168, 63, 129, 16] | [100, 100, 100, 200] => AddressClass::Metadata,
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::SharedSpace,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmark,
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressClass::Reserved,
        [224..=239, ..] => AddressClass::Multicast,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    let segments = address.segments();
    let carried = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        classify_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            carried(high, low)
        }
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => AddressClass::Metadata,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0xfe80..=0xfeff, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        [0x2001, 2, 0, ..] => AddressClass::Benchmark,
        // Protocol assignments 2001::/23, Teredo (2001::/32) among them: tunnels to machines that nobody checked.
        [0x2001, 0..=0x01ff, ..] => AddressClass::Reserved,
        // Addresses derived from IPv4 by ISATAP (RFC 5214) name a machine inside a site.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().expect(text))
    }

    /// N3: every family of addresses that is not public is known as such, at both of its ends.
    #[test]
    fn families() {
        use AddressClass::*;
        for (want, texts) in [
            (
                Public,
                "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255",
            ),
            (
                Public,
                "169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0",
            ),
            (
                Public,
                "223.255.255.255 2000::1 2606:4700::1111 2a00::1 3ffe:ffff::1 2001:200::1 2001:4860:4860::8888 3fff:1000::1",
            ),
            (Public, "::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1"),
            (Loopback, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::"),
            (
                Private,
                "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 fc00:: fdff:ffff::1",
            ),
            (Private, "::ffff:10.1.2.3 64:ff9b::192.168.1.1 2002:a00:1::1"),
            (LinkLocal, "169.254.0.0 169.254.255.255 fe80::1 febf::1 fec0::1 ::ffff:169.254.1.1"),
            (
                Metadata,
                "169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fd00:ec2::254 168.63.129.16 100.100.100.200",
            ),
            (SharedSpace, "100.64.0.0 100.127.255.255 ::ffff:100.64.0.1"),
            (Multicast, "224.0.0.0 239.255.255.255 ff02::1 ffff::"),
            (Unspecified, "0.0.0.0 0.255.255.255 :: ::ffff:0.0.0.0"),
            (Documentation, "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1 3fff:fff::1"),
            (Benchmark, "198.18.0.0 198.19.255.255 2001:2::1"),
            (
                Reserved,
                "192.0.0.8 192.88.99.1 240.0.0.0 255.255.255.255 ::2 ::7f00:1 ::a00:1 64:ff9b:1::1 100::1 2001::1",
            ),
            (
                Reserved,
                "2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:20::1 4000::1 5f00::1 8000::1 2a00:1:2:3:0:5efe:a00:1",
            ),
        ] {
            for text in texts.split(' ') {
                assert_eq!(class(text), want, "{text}");
            }
        }
    }

    #[test]
    fn local_names() {
        for (name, want) in [
            ("localhost", true),
            ("a.localhost", true),
            ("printer.local", true),
            ("metadata.google.internal", true),
            ("nas", true),
            ("router.home.arpa", true),
            ("example.com", false),
            ("local.example.com", false),
        ] {
            assert_eq!(is_local_name(name), want, "{name}");
        }
    }
}
