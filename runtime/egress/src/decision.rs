//! What the broker decided, for the record: an enum to branch on, a sentence to read.

use std::fmt;
use std::net::IpAddr;

use crate::address::Barred;
use crate::head::HeadFault;
use crate::hello::HelloFault;

/// One verdict about one name, connection, secret or quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it is about.
    pub what: What,
    /// The host, as the jail knows it: a name or an address; empty where neither is known.
    pub host: Box<str>,
    /// The port that the jail connected to; 0 for a name that was asked for.
    pub port: u16,
    /// The address that was connected to, or that is to blame.
    pub address: Option<IpAddr>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Whether a name has an address.
    Dns,
    /// Whether a connection goes on.
    Connect,
    /// Whether this secret is added to a request.
    Secret(Box<str>),
    /// Whether there is quota left.
    Quota,
}

/// Yes or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// No.
    Refused(Why),
}

/// A quota that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Bytes in; holds the most.
    BytesIn(u64),
    /// Bytes out; holds the most.
    BytesOut(u64),
    /// Connections at a time; holds the most.
    Connections(u32),
    /// Connections in all; holds the most.
    ConnectionsTotal(u32),
    /// Names that have an address; holds the most.
    Names(usize),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The host, or the host at this port, was not granted.
    NotGranted,
    /// The address was not granted by its number.
    AddressNotGranted,
    /// The operator denies the host to everybody.
    Denied,
    /// The operator allows certain hosts, and it is none of them.
    NotAllowed,
    /// What was asked for is no host name.
    NotAName,
    /// The name is one of a metadata service.
    Metadata,
    /// The address is from the made-up range and stands for no name.
    NoLease,
    /// The name resolves to an address that may not be connected to.
    Barred(Barred),
    /// The TLS hello is wrong.
    Hello(HelloFault),
    /// The TLS hello names nobody.
    Nameless,
    /// The TLS hello is for another name; holds it.
    OtherName(Box<str>),
    /// The HTTP request is wrong, or for another host.
    Http(HeadFault),
    /// Neither TLS nor HTTP.
    Protocol,
    /// The connection did not say in time what it is for.
    Slow {
        /// The limit, in milliseconds.
        ms: u64,
    },
    /// No byte came in time.
    Idle {
        /// The limit, in milliseconds.
        ms: u64,
    },
    /// The name has no address; holds what the resolver said.
    Unresolved(Box<str>),
    /// No connection; holds what the system said.
    Unreachable(Box<str>),
    /// No TLS with the host; holds why.
    Tls(Box<str>),
    /// The host's answer breaks the rules of HTTP.
    Answer(HeadFault),
    /// The host encoded its answer though it was asked not to, so it cannot be scrubbed.
    Encoded,
    /// A quota is spent.
    Quota(Spent),
    /// One side closed in the middle; holds what the system said.
    Cut(Box<str>),
}

impl Why {
    /// Whether it is a rule that says no, and not the network.
    #[must_use]
    pub fn is_rule(&self) -> bool {
        !matches!(
            self,
            Why::Slow { .. }
                | Why::Idle { .. }
                | Why::Unresolved(_)
                | Why::Unreachable(_)
                | Why::Tls(_)
                | Why::Answer(_)
                | Why::Cut(_)
        )
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spent::BytesIn(max) => write!(f, "{max} bytes from the network"),
            Spent::BytesOut(max) => write!(f, "{max} bytes to the network"),
            Spent::Connections(max) => write!(f, "{max} connections at a time"),
            Spent::ConnectionsTotal(max) => write!(f, "{max} connections"),
            Spent::Names(max) => write!(f, "{max} names"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NotGranted => f.write_str("it is not among the hosts and ports that were granted"),
            Why::AddressNotGranted => f.write_str("this address was not granted by its number: use a granted name"),
            Why::Denied => f.write_str("policy denies this host to everybody"),
            Why::NotAllowed => f.write_str("it is not among the hosts that policy allows"),
            Why::NotAName => f.write_str("it is no host name"),
            Why::Metadata => {
                f.write_str("it is the name of a cloud metadata service, which only the operator can allow")
            }
            Why::NoLease => f.write_str("the address stands for no name that was asked for"),
            Why::Barred(barred) => write!(f, "it resolves to {barred}, which only the operator can allow"),
            Why::Hello(fault) => fault.fmt(f),
            Why::Nameless => f.write_str("the TLS hello names no host: switch server name indication on"),
            Why::OtherName(name) => write!(f, "the TLS hello is for {name}"),
            Why::Http(fault) => fault.fmt(f),
            Why::Protocol => f.write_str("it speaks neither TLS nor HTTP/1"),
            Why::Slow { ms } => write!(f, "it was not connected within {ms} ms"),
            Why::Idle { ms } => write!(f, "no byte came for {ms} ms"),
            Why::Unresolved(found) => write!(f, "the name has no address ({found})"),
            Why::Unreachable(found) => write!(f, "it cannot be reached ({found})"),
            Why::Tls(found) => write!(f, "no TLS with it: {found}"),
            Why::Answer(fault) => write!(f, "it answered with broken HTTP: {fault}"),
            Why::Encoded => {
                f.write_str("it compressed its answer though asked not to, so no secret can be scrubbed from it")
            }
            Why::Quota(spent) => write!(f, "the quota of {spent} is spent"),
            Why::Cut(found) => write!(f, "the connection broke off ({found})"),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Dns => f.write_str("name ")?,
            What::Connect => f.write_str("connection to ")?,
            What::Secret(name) => write!(f, "secret {name} to ")?,
            What::Quota => f.write_str("quota for ")?,
        }
        f.write_str(if self.host.is_empty() { "an unknown host" } else { &self.host })?;
        if self.port != 0 {
            write!(f, ":{}", self.port)?;
        }
        if let Some(address) = self.address {
            write!(f, " ({address})")?;
        }
        match &self.verdict {
            Verdict::Allowed => f.write_str(" allowed"),
            Verdict::Refused(why) => write!(f, " refused: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_read_as_sentences() {
        let mut decision = Decision {
            what: What::Connect,
            host: "a.com".into(),
            port: 443,
            address: Some(IpAddr::from([10, 0, 0, 1])),
            verdict: Verdict::Refused(Why::Barred(Barred::Class(aether_net::AddressClass::Private))),
        };
        assert_eq!(
            decision.to_string(),
            "connection to a.com:443 (10.0.0.1) refused: it resolves to a private network, which only the operator can allow"
        );
        decision =
            Decision { what: What::Secret("token".into()), address: None, verdict: Verdict::Allowed, ..decision };
        assert_eq!(decision.to_string(), "secret token to a.com:443 allowed");
        let spent = Verdict::Refused(Why::Quota(Spent::Names(3)));
        decision = Decision { what: What::Dns, host: "".into(), port: 0, address: None, verdict: spent };
        assert_eq!(decision.to_string(), "name an unknown host refused: the quota of 3 names is spent");
    }

    #[test]
    fn rules_and_accidents() {
        assert!(Why::NotGranted.is_rule() && Why::Encoded.is_rule() && Why::Quota(Spent::Names(1)).is_rule());
        assert!(!Why::Unreachable("x".into()).is_rule() && !Why::Slow { ms: 1 }.is_rule());
    }
}
