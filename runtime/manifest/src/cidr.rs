//! A range of addresses in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3).

use core::net::IpAddr;
use std::fmt;

/// The shortest prefix: that of `fc00::/7`, the largest range that private networks use (RFC 4193).
const PREFIX_MIN: u8 = 7;

/// A range of addresses: those that agree with `first` in the leading `prefix` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Reads `address/prefix`, or an address alone for itself.
    ///
    /// # Errors
    /// What is wrong with it: no address, a prefix out of range or of 0, bits set behind the prefix.
    pub fn parse(text: &str) -> Result<Cidr, &'static str> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let first: IpAddr = address.parse().map_err(|_| "wanted an address such as `10.1.2.3` before the `/`")?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let is_plain = |text: &&str| !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            None => bits,
            Some(text) => {
                let number = Some(text).filter(is_plain).and_then(|text| text.parse().ok());
                number.filter(|n| (PREFIX_MIN..=bits).contains(n)).ok_or(
                    "wanted a prefix from 7 to 32 (to 128 for IPv6) behind the `/`: a range, not half the internet",
                )?
            }
        };
        let range = Cidr { first, prefix };
        if range.bits(first) << (128 - bits + prefix - 1) << 1 == 0 {
            Ok(range)
        } else {
            Err("its address has bits set behind the prefix: write the first address of the range")
        }
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let bits = if self.first.is_ipv4() { 32 } else { 128 };
        self.first.is_ipv4() == address.is_ipv4()
            && (self.bits(self.first) ^ self.bits(address)) >> (bits - self.prefix) == 0
    }

    /// The first address of the range.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// How many leading bits count: 7 to 32, or to 128 for IPv6.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    fn bits(&self, address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn a_range_has_what_it_says_and_nothing_else() {
        let cases = [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("126.0.0.0/7", "127.0.0.1", "128.0.0.1"),
            ("fd00::/8", "fd12::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("fc00::/7", "fd12::1", "fe00::1"),
        ];
        for (range, inside, outside) in cases {
            let range = Cidr::parse(range).unwrap();
            assert!(range.has(inside.parse().unwrap()) && !range.has(outside.parse().unwrap()), "{range}");
            assert_eq!(Cidr::parse(&range.to_string()), Ok(range));
        }
        assert!(!Cidr::parse("10.0.0.0/8").unwrap().has("::10.0.0.1".parse().unwrap()));
        let wrong = [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/0",
            "0.0.0.0/1",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "::/0",
            "fe80::1/64",
            "fe80::/129",
            "10/8",
            "localhost",
            "fe80::1%eth0",
            "10.0.0.0/8/8",
        ];
        for text in wrong {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
    }
}
