//! Which addresses may be connected to: public ones, and those that the operator named.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use aether_net::{AddressClass, classify};

/// A range of addresses that the operator allows: those that agree with `first` in the leading `bits` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    first: IpAddr,
    bits: u8,
}

impl Range {
    /// Reads `address/bits`, or an address for itself alone (RFC 4632 section 3.1, RFC 4291 section 2.3).
    ///
    /// # Errors
    /// A clause that says what is wrong: no address, no bits or too many, a host part that is not zero.
    pub fn parse(text: &str) -> Result<Range, &'static str> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| "a range is an address, `/` and a number of bits")?;
        let width = width(first);
        let bits = match bits {
            None => width,
            Some(bits) => {
                let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit());
                let bits = bits.parse().ok().filter(|bits| is_plain && (1..=width).contains(bits));
                bits.ok_or("a range has 1 to 32 bits, 1 to 128 in IPv6: everything at once cannot be allowed")?
            }
        };
        let range = Range { first, bits };
        let host_part =
            u128::MAX.checked_shl(u32::from(128 - width + bits)).map_or(0, |_| number(first) << (128 - width + bits));
        if host_part == 0 { Ok(range) } else { Err("a range is written with its first address") }
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        let width = width(self.first);
        self.first.is_ipv4() == address.is_ipv4() && (number(self.first) ^ number(address)) >> (width - self.bits) == 0
    }

    /// Whether it is one address.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.bits == width(self.first)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// Why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// It is not public.
    Class(AddressClass),
    /// It belongs to this machine, though it looks public.
    Own,
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Barred::Class(class) => class.fmt(f),
            Barred::Own => f.write_str("an address of this machine itself"),
        }
    }
}

/// Whether a connection may go to `address` (E3).
///
/// Public addresses may be connected to unless `is_own` says that this machine has them. Others only if one of
/// `exceptions` covers them; metadata services, the local link (where clouds put more of them) and this machine's own
/// public addresses only if an exception names exactly that address, so that no range lets them in by accident.
///
/// # Errors
/// What the address is for.
pub fn judge(address: IpAddr, exceptions: &[Range], is_own: impl Fn(IpAddr) -> bool) -> Result<(), Barred> {
    let address = address.to_canonical();
    let is_excepted = exceptions.iter().any(|range| range.covers(address));
    let is_named = exceptions.iter().any(|range| range.is_single() && range.covers(address));
    match classify(address) {
        _ if is_named => Ok(()),
        AddressClass::Public if is_own(address) || embedded(address).is_some_and(is_own) => Err(Barred::Own),
        AddressClass::Public => Ok(()),
        class @ (AddressClass::Metadata | AddressClass::LinkLocal) => Err(Barred::Class(class)),
        _ if is_excepted => Ok(()),
        class => Err(Barred::Class(class)),
    }
}

/// The IPv4 address that NAT64 (RFC 6052) or 6to4 (RFC 3056) carry inside an IPv6 one.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let (high, low) = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str, exceptions: &str) -> Result<(), Barred> {
        let exceptions: Vec<Range> =
            exceptions.split_whitespace().map(|text| Range::parse(text).expect(text)).collect();
        let own = ["9.9.9.9", "2620:fe::9"];
        judge(address.parse().expect(address), &exceptions, |address| own.contains(&&*address.to_string()))
    }

    #[test]
    fn ranges() {
        let range = |text: &str| Range::parse(text).map(|range| range.to_string());
        for (text, want) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("127.0.0.1", "127.0.0.1/32"), ("fd00::/8", "fd00::/8"), ("::1", "::1/128")]
        {
            assert_eq!(range(text).as_deref(), Ok(want));
        }
        for text in [
            "",
            "10.0.0.0/0",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10/8",
            "::1/129",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "a/8",
        ] {
            assert!(range(text).is_err(), "{text}");
        }
        let ten = Range::parse("10.0.0.0/9").expect("range");
        for (address, want) in
            [("10.127.255.255", true), ("10.128.0.0", false), ("::ffff:10.0.0.1", false), ("9.255.255.255", false)]
        {
            assert_eq!(ten.covers(address.parse().expect("address")), want, "{address}");
        }
        assert!(Range::parse("128.0.0.0/1").expect("range").covers("255.1.1.1".parse().expect("address")));
    }

    /// E3: nothing but public addresses, in whatever form.
    #[test]
    fn only_public_addresses() {
        for address in ["1.1.1.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"] {
            assert_eq!(judged(address, ""), Ok(()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
        ] {
            assert!(matches!(judged(address, ""), Err(Barred::Class(_))), "{address}");
        }
    }

    /// E3: this machine is not reached through its public addresses either.
    #[test]
    fn own_addresses() {
        for address in ["9.9.9.9", "2620:fe::9", "::ffff:9.9.9.9", "64:ff9b::9.9.9.9", "2002:909:909::1"] {
            assert_eq!(judged(address, "9.0.0.0/8 2620::/16"), Err(Barred::Own), "{address}");
        }
        assert_eq!(judged("9.9.9.9", "9.9.9.9/32"), Ok(()));
    }

    #[test]
    fn exceptions() {
        assert_eq!(judged("10.1.2.3", "10.0.0.0/8"), Ok(()));
        assert_eq!(judged("::ffff:10.1.2.3", "10.0.0.0/8"), Ok(()));
        assert!(judged("10.1.2.3", "10.1.2.4").is_err());
        assert_eq!(judged("127.0.0.1", "127.0.0.0/8"), Ok(()));
        assert_eq!(judged("169.254.169.254", "169.254.0.0/16"), Err(Barred::Class(AddressClass::Metadata)));
        assert_eq!(judged("169.254.170.2", "169.254.0.0/16"), Err(Barred::Class(AddressClass::LinkLocal)));
        assert_eq!(judged("169.254.169.254", "169.254.169.254"), Ok(()));
        assert!(judged("100.100.100.200", "100.64.0.0/10").is_err());
    }
}
