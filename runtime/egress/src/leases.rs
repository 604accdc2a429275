//! Which made-up address stands for which name, within one jail.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::names::Name;

/// Names of one jail that can have an address at a time; none is ever given to another name.
pub const NAMES_MAX: usize = 1024;

/// The range that made-up addresses come from, set aside for benchmarks (RFC 2544): nobody is there.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const RANGE_BITS: u32 = 17;

/// Names and their addresses.
#[derive(Debug, Default)]
pub struct Leases {
    names: Vec<Name>,
    places: HashMap<Name, u32>,
}

/// A name's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It had one.
    Known(Ipv4Addr),
    /// It got one just now.
    Fresh(Ipv4Addr),
    /// [`NAMES_MAX`] names have one already.
    Full,
}

impl Leases {
    /// The address that stands for `name` from now on.
    pub fn lease(&mut self, name: &Name) -> Lease {
        if let Some(place) = self.places.get(name) {
            return Lease::Known(address(*place));
        }
        let place = match u32::try_from(self.names.len()) {
            Ok(place) if self.names.len() < NAMES_MAX => place,
            _ => return Lease::Full,
        };
        self.names.push(name.clone());
        self.places.insert(name.clone(), place);
        Lease::Fresh(address(place))
    }

    /// Whose address this is.
    #[must_use]
    pub fn name(&self, address: Ipv4Addr) -> Option<&Name> {
        let place = u32::from(address).checked_sub(FIRST + 1)?;
        self.names.get(usize::try_from(place).ok()?)
    }
}

/// Whether an address is from the range of made-up ones.
#[must_use]
pub fn is_made_up(address: Ipv4Addr) -> bool {
    (u32::from(address) ^ FIRST) >> RANGE_BITS == 0
}

fn address(place: u32) -> Ipv4Addr {
    Ipv4Addr::from(FIRST + 1 + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_one_name_for_good() {
        let mut leases = Leases::default();
        let name = |n: usize| Name::parse(&format!("n{n}.example.com")).expect("name");
        for n in 0..NAMES_MAX {
            let Lease::Fresh(address) = leases.lease(&name(n)) else { panic!("name {n}") };
            assert!(is_made_up(address));
            assert_eq!(leases.name(address), Some(&name(n)));
            assert_eq!(leases.lease(&name(n)), Lease::Known(address));
        }
        assert_eq!(leases.lease(&name(NAMES_MAX)), Lease::Full);
        assert!(matches!(leases.lease(&name(3)), Lease::Known(_)));
        for address in ["198.18.0.0", "198.18.4.1", "198.17.255.255", "198.20.0.0", "0.0.0.0", "255.255.255.255"] {
            assert_eq!(leases.name(address.parse().expect("address")), None, "{address}");
        }
        assert!(is_made_up(Ipv4Addr::new(198, 19, 255, 255)));
        assert!(!is_made_up(Ipv4Addr::new(198, 20, 0, 0)));
        assert!(!is_made_up(Ipv4Addr::new(198, 17, 255, 255)));
    }
}
