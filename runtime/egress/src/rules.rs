//! What one jail may reach: hosts, secrets, quotas; and whether a name, an address and a port are among it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aether_core::capability::{Host, Network};
use zeroize::Zeroizing;

use crate::address::{Range, judge};
use crate::bounds::Bounds;
use crate::decision::Why;
use crate::error::EgressError;
use crate::head::is_token;
use crate::names::Name;
use crate::scrub::{Needles, SECRET_BYTES_MAX, SECRET_BYTES_MIN, inside_basic};
use crate::unplug::{Control, holds};

/// Where a jail speaks plain HTTP to a host whose secret is added on the way.
pub const PLAIN_PORT: u16 = 80;

/// Ports that are listened on where any public host is allowed.
pub const PUBLIC_PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// What one jail may reach.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which hosts.
    pub network: Network,
    /// What is added to requests on the way out.
    pub secrets: Vec<Secret>,
    /// How much.
    pub quotas: Quotas,
    /// Addresses that are not public and may be reached all the same: the operator's word, never a tool's.
    pub exceptions: Vec<Range>,
    /// Hosts that nobody reaches, and those that may be reached at all: the operator's word, too.
    pub bounds: Bounds,
}

/// A credential for one host. `Debug` does not show its value.
#[derive(Clone)]
pub struct Secret {
    /// What it is called, in records.
    pub name: String,
    /// The one host that gets it, over TLS; no wildcard.
    pub host: Host,
    /// The header it goes into.
    pub header: String,
    /// The header's value, with `{}` where the secret goes.
    pub template: String,
    /// The secret: [`SECRET_BYTES_MIN`] to [`SECRET_BYTES_MAX`] bytes of visible ASCII and blanks.
    pub value: Zeroizing<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} for {} in {})", self.name, self.host, self.header)
    }
}

/// How much of the network one jail may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Bytes that come in, in all.
    pub bytes_in_max: u64,
    /// Bytes that go out, in all.
    pub bytes_out_max: u64,
    /// Connections at a time.
    pub connections_max: u32,
    /// Connections in all, refused ones too.
    pub connections_total_max: u32,
    /// From accepting a connection to having the one to the host: reading what it is for, look-up, connecting.
    /// Milliseconds.
    pub connect_ms_max: u64,
    /// Without a byte in either direction. Milliseconds.
    pub idle_ms_max: u64,
}

impl Default for Quotas {
    /// 1 GiB in, 256 MiB out, 64 connections at a time and 4096 in all, 10 s to connect, 2 min idle.
    fn default() -> Quotas {
        Quotas {
            bytes_in_max: 1 << 30,
            bytes_out_max: 256 << 20,
            connections_max: 64,
            connections_total_max: 4096,
            connect_ms_max: 10_000,
            idle_ms_max: 120_000,
        }
    }
}

/// The ports that a jail has to listen on for this: those of its hosts, and [`PLAIN_PORT`]. In order, each once.
#[must_use]
pub fn ports(network: &Network) -> Vec<u16> {
    let mut ports = match network {
        Network::None => return Vec::new(),
        Network::Public => PUBLIC_PORTS.to_vec(),
        Network::Hosts(hosts) => hosts.iter().map(|host| split(host).1).chain([PLAIN_PORT]).collect(),
    };
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Name and port of a host; the name with its `*.`.
pub(crate) fn split(host: &Host) -> (String, u16) {
    let text = host.to_string();
    match text.rsplit_once(':') {
        Some((name, port)) => (name.to_owned(), port.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

/// What is done with a connection that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its bytes go on to this port.
    Relay(u16),
    /// It ends here; each request goes on to this port with the host's secrets.
    Terminate(u16),
}

/// Rules that were checked.
pub(crate) struct Grant {
    rules: Rules,
    /// For each secret, the name it is for and the port.
    audiences: Vec<(Name, u16)>,
    pub(crate) needles: Arc<Needles>,
}

impl Grant {
    /// Checks the rules.
    pub(crate) fn new(rules: Rules) -> Result<Grant, EgressError> {
        let audiences =
            rules.secrets.iter().map(|secret| audience(secret, &rules.network)).collect::<Result<_, _>>()?;
        let is_basic =
            |secret: &&Secret| secret.template.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic "));
        let inside: Vec<_> =
            rules.secrets.iter().filter(is_basic).flat_map(|secret| inside_basic(&secret.value)).collect();
        let values = rules.secrets.iter().map(|secret| secret.value.as_bytes());
        let needles = Arc::new(Needles::new(values.chain(inside.iter().map(|part| part.as_slice()))));
        Ok(Grant { rules, audiences, needles })
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.rules.quotas
    }

    /// Whether every address of a host may be connected to (E3, E11); else the one to blame.
    pub(crate) fn judge(&self, addresses: &[IpAddr], port: u16, own: fn(IpAddr) -> bool) -> Result<(), (Why, IpAddr)> {
        if !holds(Control::AddressRule) {
            return Ok(());
        }
        for address in addresses {
            let judged = judge(*address, &self.rules.exceptions, own).map_err(Why::Barred);
            judged.and_then(|()| self.rules.bounds.admit(*address, port)).map_err(|why| (why, *address))?;
        }
        Ok(())
    }

    /// Whether a name may be asked for at all, at whatever port (E1).
    pub(crate) fn knows(&self, name: &Name) -> Result<(), Why> {
        if !holds(Control::DnsRule) {
            return Ok(());
        }
        if name.is_metadata() && !self.allows_metadata() {
            return Err(Why::Metadata);
        }
        self.rules.bounds.knows(name)?;
        let is_covered = match &self.rules.network {
            Network::None => false,
            Network::Public => !aether_net::is_local_name(name.as_str()),
            Network::Hosts(hosts) => hosts.iter().any(|host| covers(host, name, split(host).1)),
        };
        if is_covered { Ok(()) } else { Err(Why::NotGranted) }
    }

    /// What is done with a connection to a name at a port.
    pub(crate) fn way(&self, name: &Name, port: u16) -> Result<Way, Why> {
        self.knows(name)?;
        if let Some(secret_port) = self.secret_port(name, port) {
            return self.bound(name.as_str(), secret_port).map(|()| Way::Terminate(secret_port));
        }
        self.bound(name.as_str(), port)?;
        let is_covered = match &self.rules.network {
            Network::None => false,
            Network::Public => true,
            Network::Hosts(hosts) => hosts.iter().any(|host| covers(host, name, port)),
        };
        if is_covered || !holds(Control::PortRule) || !holds(Control::DnsRule) {
            Ok(Way::Relay(port))
        } else {
            Err(Why::NotGranted)
        }
    }

    /// What the operator says of a host at a port (E11).
    fn bound(&self, name: &str, port: u16) -> Result<(), Why> {
        if holds(Control::PortRule) && holds(Control::DnsRule) { self.rules.bounds.allow(name, port) } else { Ok(()) }
    }

    /// Whether an address may be connected to by its number: where it stands in the rules itself, or where any public host
    /// may be reached. A wildcard never means an address.
    pub(crate) fn allows_address(&self, address: Ipv4Addr, port: u16) -> Result<(), Why> {
        if holds(Control::AddressRule) {
            self.rules.bounds.allow(&address.to_string(), port)?;
        }
        let is_covered = match &self.rules.network {
            Network::None => false,
            Network::Public => true,
            Network::Hosts(hosts) => Host::parse(&format!("{address}:{port}")).is_ok_and(|host| hosts.contains(&host)),
        };
        if is_covered || !holds(Control::AddressRule) { Ok(()) } else { Err(Why::AddressNotGranted) }
    }

    /// Whether any public host may be reached.
    pub(crate) fn is_public(&self) -> bool {
        self.rules.network == Network::Public
    }

    /// The secrets for a name, the port they are sent to included.
    pub(crate) fn secrets<'a>(&'a self, name: &'a Name, port: u16) -> impl Iterator<Item = &'a Secret> {
        let for_it = move |audience: &(Name, u16)| !holds(Control::Audience) || *audience == (name.clone(), port);
        self.rules
            .secrets
            .iter()
            .zip(&self.audiences)
            .filter(move |(_, audience)| for_it(audience))
            .map(|(secret, _)| secret)
    }

    /// Where requests to a name at a port go, if secrets are added to them.
    fn secret_port(&self, name: &Name, port: u16) -> Option<u16> {
        let is_for = |(audience, own): &&(Name, u16)| audience == name && (port == *own || port == PLAIN_PORT);
        match self.audiences.iter().find(is_for) {
            Some((_, own)) => Some(*own),
            None if !holds(Control::Audience) => self.audiences.first().map(|(_, own)| *own),
            None => None,
        }
    }

    /// Whether the operator named an address of a metadata service.
    fn allows_metadata(&self) -> bool {
        self.rules.exceptions.iter().any(|range| {
            let is_metadata = |text: &str| text.parse().is_ok_and(|address| range.covers(address));
            range.is_single()
                && ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"].into_iter().any(is_metadata)
        })
    }
}

fn covers(host: &Host, name: &Name, port: u16) -> bool {
    Host::parse(&format!("{name}:{port}")).is_ok_and(|asked| host.covers(&asked))
}

/// Whom a secret is for, when everything about it is right.
fn audience(secret: &Secret, network: &Network) -> Result<(Name, u16), EgressError> {
    let wrong = |found| Err(EgressError::Secret { name: secret.name.as_str().into(), found });
    let (name, port) = split(&secret.host);
    let Some(name) = Name::parse(&name) else {
        return wrong("its host is not one name: a secret goes to one host, not to a wildcard or an address");
    };
    if !network.covers(&Network::hosts(vec![secret.host.clone()])) {
        return wrong("its host is not among the hosts that may be reached: add it to `network`");
    }
    let header = secret.header.to_ascii_lowercase();
    if !is_token(&header) || crate::head::is_hop(&[], &header) || header == "accept-encoding" {
        return wrong("its header is none that may be added: use a header such as `authorization`");
    }
    let is_plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_plain(&secret.template) || secret.template.matches("{}").count() != 1 {
        return wrong("its template is not one line with one `{}`: write it like `Bearer {}`");
    }
    let is_sized = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.value.len());
    if !is_sized || !is_plain(&secret.value) || secret.value.trim() != secret.value.as_str() {
        return wrong(
            "its value is not 8 to 4096 bytes of visible ASCII: check what it is read from for blanks and line breaks",
        );
    }
    Ok((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(hosts: &str) -> Network {
        Network::hosts(hosts.split_whitespace().map(|host| Host::parse(host).expect(host)).collect())
    }

    fn secret(host: &str) -> Secret {
        Secret {
            name: "token".into(),
            host: Host::parse(host).expect(host),
            header: "Authorization".into(),
            template: "Bearer {}".into(),
            value: Zeroizing::new("hunter2hunter2".into()),
        }
    }

    fn rules(network: Network, secrets: Vec<Secret>) -> Rules {
        Rules { network, secrets, quotas: Quotas::default(), exceptions: Vec::new(), bounds: Bounds::default() }
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    #[test]
    fn ports_to_listen_on() {
        assert!(ports(&Network::None).is_empty());
        assert_eq!(ports(&network("a.com b.com:8443 *.c.com:8443")), [80, 443, 8443]);
        assert_eq!(ports(&network("[2001:db8::1]:7")), [7, 80]);
        assert_eq!(ports(&Network::Public), PUBLIC_PORTS);
    }

    /// E1: exact names and names below a wildcard, and nothing that merely looks like it.
    #[test]
    fn names_and_wildcards() {
        let grant = Grant::new(rules(network("a.com *.b.com:8443 1.2.3.4"), Vec::new())).expect("rules");
        for (text, port, want) in [
            ("a.com", 443, true),
            ("a.com", 80, false),
            ("a.com", 8443, false),
            ("x.a.com", 443, false),
            ("evila.com", 443, false),
            ("a.com.evil.com", 443, false),
            ("x.b.com", 8443, true),
            ("y.x.b.com", 8443, true),
            ("b.com", 8443, false),
            ("evilb.com", 8443, false),
            ("x.b.com", 443, false),
            ("xn--a-com", 443, false),
        ] {
            assert_eq!(grant.way(&name(text), port).is_ok(), want, "{text}:{port}");
        }
        assert!(grant.knows(&name("a.com")).is_ok() && grant.knows(&name("b.com")).is_err());
        assert!(grant.allows_address(Ipv4Addr::new(1, 2, 3, 4), 443).is_ok());
        assert!(grant.allows_address(Ipv4Addr::new(1, 2, 3, 4), 80).is_err());
        assert!(grant.allows_address(Ipv4Addr::new(1, 2, 3, 5), 443).is_err());
        let numbers = Grant::new(rules(network("*.3.4"), Vec::new())).expect("rules");
        assert!(numbers.allows_address(Ipv4Addr::new(1, 2, 3, 4), 443).is_err(), "a wildcard is no range");
        let none = Grant::new(rules(Network::None, Vec::new())).expect("rules");
        assert!(none.knows(&name("a.com")).is_err() && none.allows_address(Ipv4Addr::new(1, 2, 3, 4), 443).is_err());
    }

    #[test]
    fn any_public_host_is_not_any_name() {
        let grant = Grant::new(rules(Network::Public, Vec::new())).expect("rules");
        for (text, want) in [
            ("a.com", Ok(())),
            ("localhost", Err(Why::NotGranted)),
            ("printer.local", Err(Why::NotGranted)),
            ("nas", Err(Why::NotGranted)),
            ("metadata.google.internal", Err(Why::Metadata)),
            ("x.metadata.goog", Err(Why::Metadata)),
        ] {
            assert_eq!(grant.knows(&name(text)), want, "{text}");
        }
        let named = Grant::new(rules(network("metadata.google.internal:80"), Vec::new())).expect("rules");
        assert_eq!(named.knows(&name("metadata.google.internal")), Err(Why::Metadata), "a tool's rule is not enough");
        let exceptions = vec![Range::parse("169.254.169.254").expect("range")];
        let operator = Grant::new(Rules { exceptions, ..rules(network("metadata.google.internal:80"), Vec::new()) });
        assert!(operator.expect("rules").knows(&name("metadata.google.internal")).is_ok());
    }

    /// E8: a secret makes the connection end here, for its own host and nobody else's.
    #[test]
    fn whom_a_secret_is_for() {
        let grant = Grant::new(rules(network("a.com *.a.com b.com:80"), vec![secret("a.com")])).expect("rules");
        for (text, port, want) in [
            ("a.com", 443, Some(Way::Terminate(443))),
            ("a.com", 80, Some(Way::Terminate(443))),
            ("x.a.com", 443, Some(Way::Relay(443))),
            ("x.a.com", 80, None),
            ("b.com", 80, Some(Way::Relay(80))),
        ] {
            assert_eq!(grant.way(&name(text), port).ok(), want, "{text}:{port}");
        }
        assert_eq!(grant.secrets(&name("a.com"), 443).count(), 1);
        assert_eq!(grant.secrets(&name("a.com"), 80).count(), 0);
        assert_eq!(grant.secrets(&name("x.a.com"), 443).count(), 0);
        assert!(!format!("{:?}", secret("a.com")).contains("hunter2"));
    }

    /// E11: the operator's word is the last one, also about the host that a secret goes to.
    #[test]
    fn e11_what_the_operator_denies() {
        let bounds = |denied: &str| Bounds {
            hosts_allowed: None,
            hosts_denied: denied.split(' ').map(|host| crate::DeniedHost::parse(host).expect(host)).collect(),
        };
        let bound = |network, denied| Rules { bounds: bounds(denied), ..rules(network, Vec::new()) };
        let grant = Grant::new(bound(Network::Public, "a.com *.b.com c.com:8443 1.2.3.4")).expect("rules");
        assert_eq!(grant.knows(&name("a.com")), Err(Why::Denied));
        assert_eq!(grant.way(&name("x.b.com"), 443), Err(Why::Denied));
        assert_eq!(grant.way(&name("c.com"), 8443), Err(Why::Denied));
        assert_eq!(grant.way(&name("c.com"), 443), Ok(Way::Relay(443)));
        assert_eq!(grant.allows_address(Ipv4Addr::new(1, 2, 3, 4), 80), Err(Why::Denied));
        assert!(grant.allows_address(Ipv4Addr::new(1, 2, 3, 5), 80).is_ok());
        let addresses = ["1.1.1.1", "1.2.3.4"].map(|text| text.parse().expect(text));
        assert_eq!(grant.judge(&addresses, 443, |_| false), Err((Why::Denied, addresses[1])));
        assert_eq!(grant.judge(&addresses[..1], 443, |_| false), Ok(()));
        // A plain request whose secret is added on the way goes to the secret's port, and that is what counts.
        let secret = Rules { secrets: vec![secret("a.com")], ..bound(network("a.com"), "a.com:443") };
        assert_eq!(Grant::new(secret).expect("rules").way(&name("a.com"), 80), Err(Why::Denied));
        let only = Bounds { hosts_allowed: Some(vec![Host::parse("a.com").expect("host")]), hosts_denied: Vec::new() };
        let grant = Grant::new(Rules { bounds: only, ..rules(Network::Public, Vec::new()) }).expect("rules");
        assert_eq!(grant.way(&name("a.com"), 443), Ok(Way::Relay(443)));
        assert_eq!(grant.way(&name("a.com"), 80), Err(Why::NotAllowed));
        assert_eq!(grant.knows(&name("b.com")), Err(Why::NotAllowed));
        assert_eq!(grant.allows_address(Ipv4Addr::new(1, 1, 1, 1), 443), Err(Why::NotAllowed));
    }

    #[test]
    fn secrets_that_are_refused() {
        let good = || secret("a.com");
        let wide = || network("a.com *.a.com 1.2.3.4");
        assert!(Grant::new(rules(wide(), vec![good()])).is_ok());
        let value = |text: &str| Zeroizing::new(text.to_owned());
        for (what, bad) in [
            ("wildcard", secret("*.a.com")),
            ("address", secret("1.2.3.4")),
            ("not granted", secret("b.com")),
            ("another port", secret("a.com:8443")),
            ("framing header", Secret { header: "Host".into(), ..good() }),
            ("no header", Secret { header: "x y".into(), ..good() }),
            ("no place", Secret { template: "Bearer".into(), ..good() }),
            ("two places", Secret { template: "{}{}".into(), ..good() }),
            ("two lines", Secret { template: "Bearer {}\r\nx: y".into(), ..good() }),
            ("short", Secret { value: value("hunter2"), ..good() }),
            ("long", Secret { value: value(&"x".repeat(4097)), ..good() }),
            ("line break", Secret { value: value("hunter2hunter2\n"), ..good() }),
            ("blank", Secret { value: value(" hunter2hunter2"), ..good() }),
            ("not ascii", Secret { value: value("hünter2hunter2"), ..good() }),
        ] {
            let Err(error) = Grant::new(rules(wide(), vec![bad])) else { panic!("{what} was taken") };
            let sentence = error.to_string();
            assert!(
                sentence.contains("token") && sentence.contains(": ") && !sentence.contains("hunter2"),
                "{sentence}"
            );
        }
    }
}
