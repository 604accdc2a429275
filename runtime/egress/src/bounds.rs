//! The operator's word about hosts, which holds for every connection, whatever a tool was granted.

use std::net::IpAddr;

use aether_core::capability::{Host, Malformed};

use crate::decision::Why;
use crate::names::Name;
use crate::rules::split;

/// A host that nobody reaches: a name, `*.` and a name for those below it, or an address; on one port where one is
/// written, else on every port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedHost {
    /// With the port that was written, or any other.
    host: Host,
    /// The address, where it is one.
    address: Option<IpAddr>,
    every_port: bool,
}

impl DeniedHost {
    /// Reads `host`, `host:port`, `*.host` or `*.host:port`, where a host may be an address.
    ///
    /// # Errors
    /// The text is no host.
    pub fn parse(text: &str) -> Result<DeniedHost, Malformed> {
        let host = Host::parse(text)?;
        let every_port = text.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']'));
        let name = split(&host).0;
        let address = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
        Ok(DeniedHost { host, address: address.map(|found: IpAddr| found.to_canonical()), every_port })
    }

    fn covers(&self, name: &str, port: u16) -> bool {
        let own = if self.every_port { split(&self.host).1 } else { port };
        Host::parse(&format!("{name}:{own}")).is_ok_and(|asked| self.host.covers(&asked))
    }

    fn covers_address(&self, address: IpAddr, port: u16) -> bool {
        self.address == Some(address.to_canonical()) && (self.every_port || split(&self.host).1 == port)
    }
}

/// What every jail is bound by. The default binds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// These hosts and no other; `None` where there is no such list.
    pub hosts_allowed: Option<Vec<Host>>,
    /// None of these, also where the list above has them.
    pub hosts_denied: Vec<DeniedHost>,
}

impl Bounds {
    /// Whether a name may have an address: at some port it may be reached.
    pub(crate) fn knows(&self, name: &Name) -> Result<(), Why> {
        let denied = |host: &&DeniedHost| host.every_port && host.covers(name.as_str(), 0);
        if self.hosts_denied.iter().any(|host| denied(&host)) {
            return Err(Why::Denied);
        }
        let is_allowed = |host: &Host| covers(host, name.as_str(), split(host).1);
        if self.hosts_allowed.as_ref().is_none_or(|hosts| hosts.iter().any(is_allowed)) {
            Ok(())
        } else {
            Err(Why::NotAllowed)
        }
    }

    /// Whether a name, or an address as it is written in a host, may be connected to at this port.
    pub(crate) fn allow(&self, name: &str, port: u16) -> Result<(), Why> {
        if self.hosts_denied.iter().any(|host| host.covers(name, port)) {
            return Err(Why::Denied);
        }
        let is_allowed = |host: &Host| covers(host, name, port);
        if self.hosts_allowed.as_ref().is_none_or(|hosts| hosts.iter().any(is_allowed)) {
            Ok(())
        } else {
            Err(Why::NotAllowed)
        }
    }

    /// Whether an address may be connected to, by whatever name it was found.
    pub(crate) fn admit(&self, address: IpAddr, port: u16) -> Result<(), Why> {
        let is_denied = self.hosts_denied.iter().any(|host| host.covers_address(address, port));
        if is_denied { Err(Why::Denied) } else { Ok(()) }
    }
}

fn covers(host: &Host, name: &str, port: u16) -> bool {
    Host::parse(&format!("{name}:{port}")).is_ok_and(|asked| host.covers(&asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(allowed: Option<&str>, denied: &str) -> Bounds {
        let hosts = |text: &str| text.split_whitespace().map(|host| Host::parse(host).expect(host)).collect();
        let denied = denied.split_whitespace().map(|host| DeniedHost::parse(host).expect(host)).collect();
        Bounds { hosts_allowed: allowed.map(hosts), hosts_denied: denied }
    }

    /// E11: exact names, names below a wildcard, one port or every port; and the denial has the last word.
    #[test]
    fn e11_names_ports_and_wildcards() {
        let bounds = bounds(Some("a.com *.b.com:8443 c.com c.com:8080"), "x.b.com *.y.b.com c.com:8080");
        for (name, port, known, want) in [
            ("a.com", 443, Ok(()), Ok(())),
            ("a.com", 80, Ok(()), Err(Why::NotAllowed)),
            ("d.com", 443, Err(Why::NotAllowed), Err(Why::NotAllowed)),
            ("x.b.com", 8443, Err(Why::Denied), Err(Why::Denied)),
            ("z.b.com", 8443, Ok(()), Ok(())),
            ("evilx.b.com", 8443, Ok(()), Ok(())),
            ("z.y.b.com", 8443, Err(Why::Denied), Err(Why::Denied)),
            ("y.b.com", 8443, Ok(()), Ok(())),
            ("c.com", 443, Ok(()), Ok(())),
            ("c.com", 8080, Ok(()), Err(Why::Denied)),
        ] {
            assert_eq!(bounds.knows(&Name::parse(name).expect(name)), known, "{name}");
            assert_eq!(bounds.allow(name, port), want, "{name}:{port}");
        }
    }

    #[test]
    fn e11_addresses_in_every_spelling() {
        let bounds = bounds(None, "1.2.3.4 [2001:db8::1]:8443 5.6.7.8:80");
        let admitted = |text: &str, port| bounds.admit(text.parse().expect(text), port).is_ok();
        assert!(!admitted("1.2.3.4", 443) && !admitted("1.2.3.4", 1) && !admitted("::ffff:1.2.3.4", 443));
        assert!(!admitted("2001:db8::1", 8443) && !admitted("2001:0db8:0::0001", 8443));
        assert!(admitted("2001:db8::1", 443) && admitted("2001:db8::2", 8443));
        assert!(!admitted("5.6.7.8", 80) && admitted("5.6.7.8", 443) && admitted("1.2.3.5", 443));
        assert_eq!(bounds.allow("1.2.3.4", 443), Err(Why::Denied));
        assert!(Bounds::default().admit("1.2.3.4".parse().expect("an address"), 443).is_ok());
        for text in ["", "*", "*.com", "a b", "a.com:0"] {
            assert!(DeniedHost::parse(text).is_err(), "{text}");
        }
    }
}
