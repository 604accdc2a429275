//! What can go wrong between a request and the end of its answer: an enum to branch on, a sentence to read.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::AddressClass;
use crate::url::UrlFault;

/// Why a request has no answer, or an answer no end.
///
/// Every sentence names the host and port, what was found and the next step. No sentence and no field holds a header, a
/// body, a path, a query or a credential (N6). `host` is always `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetError {
    /// The address cannot be read.
    Url(UrlFault),
    /// The request itself is not one that this client sends.
    Request {
        /// What is wrong with it, as a clause.
        found: Box<str>,
    },
    /// Sending would put the request on a network in the clear (N2).
    Plaintext {
        /// The host.
        host: Box<str>,
    },
    /// The request may only reach public addresses, and this is none (N3).
    Private {
        /// The host.
        host: Box<str>,
        /// The address that was refused; `None` when the name alone was enough.
        address: Option<IpAddr>,
        /// What the address is for.
        class: AddressClass,
    },
    /// The name has no address.
    Dns {
        /// The host.
        host: Box<str>,
        /// What the resolver said.
        found: Box<str>,
    },
    /// The machine is there and nobody listens on the port.
    Refused {
        /// The host.
        host: Box<str>,
        /// The address that was tried.
        address: SocketAddr,
    },
    /// There is no way to the machine.
    Unreachable {
        /// The host.
        host: Box<str>,
        /// What the operating system said.
        found: Box<str>,
    },
    /// This machine has no descriptor, port or memory left for one more connection.
    Exhausted {
        /// The host.
        host: Box<str>,
        /// What the operating system said.
        found: Box<str>,
    },
    /// `connect_ms_max` passed before the connection stood.
    ConnectTimeout {
        /// The host.
        host: Box<str>,
        /// The limit, in milliseconds.
        ms: u64,
        /// What was being waited for.
        stage: Stage,
    },
    /// `headers_ms_max` passed before the first line of the answer.
    HeadersTimeout {
        /// The host.
        host: Box<str>,
        /// The limit, in milliseconds.
        ms: u64,
    },
    /// `idle_ms_max` passed between two pieces of the answer.
    IdleTimeout {
        /// The host.
        host: Box<str>,
        /// The limit, in milliseconds.
        ms: u64,
        /// Bytes of the body that had come, in all.
        bytes: u64,
    },
    /// `total_ms_max` passed before the end of the answer.
    TotalTimeout {
        /// The host.
        host: Box<str>,
        /// The limit, in milliseconds.
        ms: u64,
    },
    /// No TLS with this host.
    Tls {
        /// The host.
        host: Box<str>,
        /// What is wrong.
        fault: TlsFault,
    },
    /// The proxy did not open the way.
    Proxy {
        /// The proxy, as `host:port` or as the name of the variable that should name it.
        proxy: Box<str>,
        /// What it did, as a clause with the next step.
        found: Box<str>,
    },
    /// The connection ended before the answer did.
    Cut {
        /// The host.
        host: Box<str>,
        /// Bytes of the body that had come, in all; `None` when the answer had not begun.
        bytes: Option<u64>,
    },
    /// The body is larger than `body_bytes_max`.
    TooLarge {
        /// The host.
        host: Box<str>,
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// What came is not HTTP, or breaks its rules.
    Protocol {
        /// The host.
        host: Box<str>,
        /// What was found.
        found: Box<str>,
    },
}

/// Steps of opening a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for another request that opens a connection to the same host.
    Queue,
    /// Looking up the name.
    Lookup,
    /// Waiting for the machine to accept.
    Connect,
    /// Waiting for the proxy to open the way.
    Proxy,
    /// Agreeing on keys.
    Tls,
}

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate was issued by nobody that this machine trusts.
    UnknownIssuer,
    /// The certificate is no longer valid.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// The certificate was revoked.
    Revoked,
    /// The host answered something other than TLS.
    NotTls,
    /// The file of extra certificates cannot be used; holds its path and what is wrong with it.
    CaFile {
        /// The path as configured.
        path: Box<str>,
        /// What is wrong with it.
        found: Box<str>,
    },
    /// The connection was closed while agreeing on keys.
    Closed,
    /// Anything else; holds what was found.
    Other(Box<str>),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "while another request was opening a connection",
            Self::Lookup => "while the name was looked up",
            Self::Connect => "while the connection was opened",
            Self::Proxy => "while the proxy opened the way",
            Self::Tls => "while TLS was agreed on",
        })
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str(
                "its certificate was issued by nobody that this machine trusts: if the issuer is yours, set network.ca_file",
            ),
            Self::Expired => f.write_str("its certificate has expired: check the clock of this machine, or tell the host's owner"),
            Self::NotYetValid => f.write_str("its certificate is not valid yet: check the clock of this machine"),
            Self::WrongName => f.write_str("its certificate is for another name: check the spelling of the host"),
            Self::Revoked => f.write_str("its certificate was revoked: do not send anything, tell the host's owner"),
            Self::NotTls => f.write_str("it did not answer in TLS: check the port, or use http:// if the host is on this machine"),
            Self::CaFile { path, found } => {
                write!(f, "the certificates in {path} cannot be used ({found}): correct network.ca_file")
            }
            Self::Closed => f.write_str("it closed the connection in mid-handshake: check the port, then try again"),
            Self::Other(found) => write!(f, "{found}: check the host with another client"),
        }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(fault) => fmt::Display::fmt(fault, f),
            Self::Request { found } => f.write_str(found),
            Self::Plaintext { host } => write!(
                f,
                "{host} would get the request unencrypted, which only this machine may: use https://, or name a private host in \
                 network.plaintext_hosts"
            ),
            Self::Private { host, address: Some(address), class } => {
                write!(
                    f,
                    "{host} is {address}, {class}, and only public addresses may be fetched: use a public address"
                )
            }
            Self::Private { host, address: None, class } => {
                write!(f, "{host} is {class}, and only public addresses may be fetched: use a public address")
            }
            Self::Dns { host, found } => {
                write!(f, "{host} has no address ({found}): check the spelling and the network")
            }
            Self::Refused { host, address } => {
                write!(
                    f,
                    "{host} refused the connection (nothing listens on {address}): start the server or correct the port"
                )
            }
            Self::Unreachable { host, found } => write!(f, "{host} cannot be reached ({found}): check the network"),
            Self::Exhausted { host, found } => {
                write!(
                    f,
                    "no connection to {host} can be opened ({found}): raise `ulimit -n` or run fewer tasks at once"
                )
            }
            Self::TooLarge { host, bytes_max } => write!(
                f,
                "{host} sent more than {bytes_max} bytes, the limit: ask for less or raise network.body_bytes_max"
            ),
            Self::Tls { host, fault } => write!(f, "no TLS with {host}: {fault}"),
            Self::Proxy { proxy, found } => write!(f, "the proxy {proxy} {found}"),
            Self::Cut { host, bytes: None } => write!(f, "{host} closed the connection before it answered: try again"),
            Self::Cut { host, bytes: Some(bytes) } => {
                write!(f, "{host} closed the connection in mid-answer, after {bytes} bytes: try again")
            }
            Self::Protocol { host, found } => {
                write!(f, "{host} did not answer in valid HTTP ({found}): check the address and the port")
            }
            timeout => timeout.write_timeout(f),
        }
    }
}

impl NetError {
    fn write_timeout(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectTimeout { host, ms, stage } => write!(
                f,
                "{host} was not connected within {ms} ms, {stage}: check the network or raise network.connect_ms_max"
            ),
            Self::HeadersTimeout { host, ms } => {
                write!(f, "{host} did not begin to answer within {ms} ms: try again or raise network.headers_ms_max")
            }
            Self::IdleTimeout { host, ms, bytes } => {
                write!(f, "{host} fell silent for {ms} ms after {bytes} bytes: try again or raise network.idle_ms_max")
            }
            Self::TotalTimeout { host, ms } => {
                write!(f, "{host} did not finish within {ms} ms: try again or raise network.total_ms_max")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for NetError {}

impl From<UrlFault> for NetError {
    fn from(fault: UrlFault) -> Self {
        Self::Url(fault)
    }
}

/// What a failed connection attempt means.
pub(crate) fn from_connect(host: Box<str>, address: SocketAddr, error: &std::io::Error) -> NetError {
    use std::io::ErrorKind;
    /// `EMFILE` and `ENFILE`, which have no kind of their own.
    const DESCRIPTORS_SPENT: [i32; 2] = [24, 23];
    let spent = cfg!(unix) && error.raw_os_error().is_some_and(|code| DESCRIPTORS_SPENT.contains(&code));
    match error.kind() {
        ErrorKind::ConnectionRefused => NetError::Refused { host, address },
        // On the way out, "address not available" means: no free local port. To an address that is not ours it is a
        // matter of routes.
        ErrorKind::AddrNotAvailable if address.is_ipv4() => {
            NetError::Exhausted { host, found: error.to_string().into() }
        }
        ErrorKind::OutOfMemory => NetError::Exhausted { host, found: error.to_string().into() },
        _ if spent => NetError::Exhausted { host, found: error.to_string().into() },
        _ => NetError::Unreachable { host, found: error.to_string().into() },
    }
}

/// What a failed TLS handshake means.
pub(crate) fn from_handshake(error: &std::io::Error) -> TlsFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(fault) => from_rustls(fault),
        None if matches!(
            error.kind(),
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
        ) =>
        {
            TlsFault::Closed
        }
        None => TlsFault::Other(error.to_string().into()),
    }
}

/// What a fault of TLS means.
pub(crate) fn from_rustls(fault: &rustls::Error) -> TlsFault {
    use rustls::CertificateError as Certificate;
    match fault {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::UnknownIssuer => TlsFault::UnknownIssuer,
            Certificate::Expired | Certificate::ExpiredContext { .. } => TlsFault::Expired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => TlsFault::NotYetValid,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => TlsFault::WrongName,
            Certificate::Revoked => TlsFault::Revoked,
            other => TlsFault::Other(format!("its certificate was refused ({other})").into()),
        },
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => TlsFault::NotTls,
        other => TlsFault::Other(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operating_system_says() {
        let address: SocketAddr = "192.0.2.1:443".parse().expect("address");
        let error = |code| from_connect("a:443".into(), address, &std::io::Error::from_raw_os_error(code));
        for code in [24, 23, 99, 12] {
            assert!(matches!(error(code), NetError::Exhausted { .. }), "{code}");
        }
        for code in [101, 113, 110, 13, 1] {
            assert!(matches!(error(code), NetError::Unreachable { .. }), "{code}");
        }
        assert_eq!(error(111), NetError::Refused { host: "a:443".into(), address });
    }

    /// Every sentence: lower case, no final period, the host, a next step.
    #[test]
    fn sentences() {
        let host = || Box::<str>::from("example.com:443");
        let found = || Box::<str>::from("odd bytes");
        let address: SocketAddr = "192.0.2.1:443".parse().expect("address");
        let mut all = vec![
            NetError::Plaintext { host: host() },
            NetError::Private { host: host(), address: Some(address.ip()), class: AddressClass::Documentation },
            NetError::Private { host: host(), address: None, class: AddressClass::LocalName },
            NetError::Dns { host: host(), found: found() },
            NetError::Refused { host: host(), address },
            NetError::Unreachable { host: host(), found: found() },
            NetError::Exhausted { host: host(), found: found() },
            NetError::HeadersTimeout { host: host(), ms: 7 },
            NetError::IdleTimeout { host: host(), ms: 7, bytes: 5 },
            NetError::TotalTimeout { host: host(), ms: 7 },
            NetError::Proxy { proxy: host(), found: "went away: start it".into() },
            NetError::Cut { host: host(), bytes: None },
            NetError::Cut { host: host(), bytes: Some(3) },
            NetError::TooLarge { host: host(), bytes_max: 7 },
            NetError::Protocol { host: host(), found: found() },
        ];
        for stage in [Stage::Queue, Stage::Lookup, Stage::Connect, Stage::Proxy, Stage::Tls] {
            all.push(NetError::ConnectTimeout { host: host(), ms: 7, stage });
        }
        let ca_file = TlsFault::CaFile { path: "/ca.pem".into(), found: found() };
        for fault in [
            TlsFault::UnknownIssuer,
            TlsFault::Expired,
            TlsFault::NotYetValid,
            TlsFault::WrongName,
            TlsFault::Revoked,
            TlsFault::NotTls,
            TlsFault::Closed,
            TlsFault::Other(found()),
            ca_file,
        ] {
            all.push(NetError::Tls { host: host(), fault });
        }
        let mut seen = std::collections::HashSet::new();
        for error in all {
            let sentence = error.to_string();
            assert!(sentence.contains("example.com:443"), "{sentence}");
            assert!(sentence.contains(": ") && !sentence.ends_with('.'), "{sentence}");
            assert!(!sentence.contains("  "), "{sentence}");
            assert!(seen.insert(sentence.clone()), "said twice: {sentence}");
            let timeout = format!("{error:?}").contains("Timeout");
            assert_eq!(timeout, sentence.contains("7 ms"), "{sentence}");
        }
    }
}
