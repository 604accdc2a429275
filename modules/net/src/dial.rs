//! Opening a connection: who may be reached, by which way, at which address, and with which keys.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::address::{AddressClass, classify, is_local_name};
use crate::client::{ClientOptions, Shared};
use crate::error::{NetError, Stage, TlsFault, from_connect, from_handshake};
use crate::pool::Protocol;
use crate::proxy::ProxyServer;
use crate::request::Reach;
use crate::trip::{Key, Trip};
use crate::url::{Host, Scheme, Url};
use crate::wire::Wire;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Largest answer of a proxy to CONNECT, in bytes.
const PROXY_HEAD_BYTES_MAX: usize = 8 * 1024;

/// The way to a host.
#[derive(Clone, Copy)]
pub(crate) enum Route<'a> {
    /// Straight.
    Direct,
    /// Through a tunnel that the proxy opens (RFC 9110 section 9.3.6).
    Tunnel(&'a ProxyServer),
    /// By a proxy that reads the request (RFC 9112 section 3.2.2).
    Forward(&'a ProxyServer),
}

/// Finds the way to an address and refuses what can be refused before any byte is sent (N2, N3).
pub(crate) fn route<'a>(options: &'a ClientOptions, url: &Url, reach: Reach) -> Result<Route<'a>, NetError> {
    let refuse = |address, class| NetError::Private { host: url.host_and_port().into(), address, class };
    if reach == Reach::PublicOnly {
        match url.host() {
            Host::Address(address) if classify(*address) != AddressClass::Public => {
                return Err(refuse(Some(*address), classify(*address)));
            }
            Host::Name(name) if is_local_name(name) => return Err(refuse(None, AddressClass::LocalName)),
            _ => {}
        }
    }
    let Some(server) = options.proxy.server_for(url) else {
        return Ok(Route::Direct);
    };
    if url.scheme() == Scheme::Https {
        return Ok(Route::Tunnel(server));
    }
    // The proxy resolves the name: what was not named in the configuration, or is a public address, is refused.
    let public = matches!(url.host(), Host::Address(address) if classify(*address) == AddressClass::Public);
    if public || !options.plaintext_hosts.cover(url.host(), url.port()) {
        return Err(NetError::Plaintext { host: url.host_and_port().into() });
    }
    Ok(Route::Forward(server))
}

/// Opens a connection to the origin of `trip` by `deadline`, ready to carry HTTP in the protocol that comes with it.
pub(crate) async fn open(
    shared: &Shared,
    trip: &Trip,
    route: Route<'_>,
    deadline: Instant,
) -> Result<(Wire, Protocol), NetError> {
    let key = &*trip.key;
    let wire = match route {
        Route::Direct => {
            let addresses = resolve(trip, &key.host, key.port, deadline).await?;
            guard(&shared.options, key, &addresses)?;
            Wire::Tcp(connect(trip, &addresses, deadline).await?)
        }
        Route::Tunnel(server) => {
            let wire = to_proxy(shared, trip, server, deadline).await?;
            trip.step(Stage::Proxy, deadline, tunnel(wire, key, server)).await??
        }
        Route::Forward(server) => to_proxy(shared, trip, server, deadline).await?,
    };
    match key.scheme {
        Scheme::Http => Ok((wire, Protocol::Http1)),
        Scheme::Https => {
            let found = encrypt(shared, &key.host, wire, Alpn::Offered);
            let found = trip.step(Stage::Tls, deadline, found).await?;
            found.map_err(|fault| NetError::Tls { host: trip.label(), fault })
        }
    }
}

/// The addresses of a host. A literal and `localhost` are known without asking anyone (N9).
async fn resolve(trip: &Trip, host: &Host, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, NetError> {
    let name = match host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
        name if name.is_localhost() => {
            let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Ok(both.map(|address| SocketAddr::new(address, port)).to_vec());
        }
        Host::Name(name) => name,
    };
    let no_address = |found: String| NetError::Dns { host: trip.label(), found: found.into() };
    let found = trip.step(Stage::Lookup, deadline, lookup_host((&**name, port))).await?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.map_err(|error| no_address(error.to_string()))? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(no_address("an empty answer".to_owned()));
    }
    Ok(addresses)
}

/// Looks at every address before any of them is connected to. One that is not allowed refuses them all: a name that
/// mixes public and private addresses is an attempt to get past this check (N2, N3).
fn guard(options: &ClientOptions, key: &Key, addresses: &[SocketAddr]) -> Result<(), NetError> {
    for address in addresses.iter().map(SocketAddr::ip) {
        let class = classify(address);
        if key.reach == Reach::PublicOnly && class != AddressClass::Public {
            return Err(NetError::Private { host: key.label(), address: Some(address), class });
        }
        let named = || {
            let patterns = &options.plaintext_hosts;
            patterns.cover(&key.host, key.port) || patterns.cover_address(address, key.port)
        };
        let clear_allowed = class == AddressClass::Loopback || (class != AddressClass::Public && named());
        if key.scheme == Scheme::Http && !clear_allowed {
            return Err(NetError::Plaintext { host: key.label() });
        }
    }
    Ok(())
}

/// Tries the addresses one after the other, each for its share of the time that is left.
async fn connect(trip: &Trip, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, NetError> {
    let timeout =
        || NetError::ConnectTimeout { host: trip.label(), ms: trip.limits.connect_ms_max, stage: Stage::Connect };
    let mut worst = None;
    let tried = &addresses[..addresses.len().min(ADDRESSES_MAX)];
    for (at, address) in tried.iter().enumerate() {
        let now = Instant::now();
        let shares = u32::try_from(tried.len() - at).unwrap_or(1);
        let until = now + deadline.saturating_duration_since(now) / shares;
        let error = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is one write; waiting for more to send would only delay it.
                stream.set_nodelay(true).map_err(|error| from_connect(trip.label(), *address, &error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => from_connect(trip.label(), *address, &error),
            Err(_) => trip.late(|_| timeout()),
        };
        // "Refused" says more than "no route", which any host without IPv6 says of its second address.
        if worst.is_none() || matches!(error, NetError::Refused { .. }) {
            worst = Some(error);
        }
    }
    Err(worst.unwrap_or_else(timeout))
}

/// Whether HTTP/2 may be agreed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpn {
    Offered,
    Http1Only,
}

/// Agrees on keys and checks the certificate against the name (N8).
async fn encrypt(shared: &Shared, host: &Host, wire: Wire, alpn: Alpn) -> Result<(Wire, Protocol), TlsFault> {
    let mut config = shared.tls.config()?;
    if alpn == Alpn::Http1Only {
        let mut plain = (*config).clone();
        plain.alpn_protocols = vec![b"http/1.1".to_vec()];
        config = plain.into();
    }
    let name = match host {
        Host::Address(address) => ServerName::IpAddress((*address).into()),
        Host::Name(name) => ServerName::try_from(name.to_string())
            .map_err(|_| TlsFault::Other("its name cannot stand in a certificate".into()))?,
    };
    let stream = TlsConnector::from(config).connect(name, wire).await.map_err(|error| from_handshake(&error))?;
    #[cfg(feature = "http2")]
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    #[cfg(not(feature = "http2"))]
    let protocol = Protocol::Http1;
    Ok((Wire::Tls(Box::new(stream)), protocol))
}

/// A connection to the proxy itself, encrypted where the proxy's address says so.
async fn to_proxy(shared: &Shared, trip: &Trip, server: &ProxyServer, deadline: Instant) -> Result<Wire, NetError> {
    let url = server.url();
    let name = || Box::<str>::from(url.host_and_port());
    let failed = |error: NetError| match error {
        // Time limits keep their own names; everything else is the proxy's.
        NetError::ConnectTimeout { host, ms, .. } => NetError::ConnectTimeout { host, ms, stage: Stage::Proxy },
        NetError::TotalTimeout { .. } => error,
        NetError::Refused { .. } => NetError::Proxy {
            proxy: name(),
            found: "refused the connection: start it or correct the proxy variables".into(),
        },
        NetError::Dns { found, .. } => NetError::Proxy {
            proxy: name(),
            found: format!("has no address ({found}): correct the proxy variables").into(),
        },
        NetError::Unreachable { found, .. } | NetError::Exhausted { found, .. } => {
            NetError::Proxy { proxy: name(), found: format!("cannot be reached ({found}): check the network").into() }
        }
        other => other,
    };
    let addresses = resolve(trip, url.host(), url.port(), deadline).await.map_err(failed)?;
    let wire = Wire::Tcp(connect(trip, &addresses, deadline).await.map_err(failed)?);
    if url.scheme() == Scheme::Http {
        return Ok(wire);
    }
    match trip.step(Stage::Proxy, deadline, encrypt(shared, url.host(), wire, Alpn::Http1Only)).await? {
        Ok((wire, _)) => Ok(wire),
        Err(fault) => Err(NetError::Proxy { proxy: name(), found: format!("offers no TLS: {fault}").into() }),
    }
}

/// Asks the proxy for a tunnel to the origin.
async fn tunnel(mut wire: Wire, key: &Key, server: &ProxyServer) -> Result<Wire, NetError> {
    let refused = |found: String| NetError::Proxy { proxy: server.url().host_and_port().into(), found: found.into() };
    let broken = |error: io::Error| refused(format!("broke off ({error}): try again or correct the proxy variables"));
    let target = key.label();
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
    if let Some(authorization) = server.authorization() {
        request.push_str("proxy-authorization: ");
        request.push_str(authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    wire.write_all(request.as_bytes()).await.map_err(broken)?;
    wire.flush().await.map_err(broken)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // One byte at a time: what follows the head belongs to TLS. The answer is short and comes once per connection.
        if head.len() >= PROXY_HEAD_BYTES_MAX {
            return Err(refused(format!(
                "answered with more than {PROXY_HEAD_BYTES_MAX} bytes: correct the proxy variables"
            )));
        }
        match wire.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => return Err(broken(error)),
        }
    }
    match status_of(&head) {
        Some(200..=299) => Ok(wire),
        Some(407) => Err(refused(
            "wants a user and a password, or others (status 407): put them in the proxy variable as http://user:password@host"
                .to_owned(),
        )),
        Some(status) => Err(refused(format!("does not connect to {target} (status {status}): ask its owner to allow it"))),
        None => Err(refused("did not answer in HTTP: correct the proxy variables".to_owned())),
    }
}

/// The status of a status line (RFC 9112 section 4).
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5).filter(|_| rest.get(1) == Some(&b' '))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::HostPatterns;

    fn key(url: &str, reach: Reach) -> Key {
        Key::new(&Url::parse(url).expect(url), reach)
    }

    fn verdict(url: &str, reach: Reach, plaintext: &str, addresses: &[&str]) -> String {
        let options = ClientOptions { plaintext_hosts: HostPatterns::parse(plaintext).0, ..ClientOptions::default() };
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|text| SocketAddr::new(text.parse().expect("address"), 80)).collect();
        match guard(&options, &key(url, reach), &addresses) {
            Ok(()) => "ok".to_owned(),
            Err(NetError::Plaintext { .. }) => "plaintext".to_owned(),
            Err(NetError::Private { address, .. }) => address.map_or("name".to_owned(), |address| address.to_string()),
            Err(other) => other.to_string(),
        }
    }

    /// N2: what counts is the address that the name has, not the name.
    #[test]
    fn plaintext_is_judged_by_address() {
        let any = Reach::Any;
        assert_eq!(verdict("http://a.test/", any, "", &["8.8.8.8"]), "plaintext");
        assert_eq!(verdict("http://a.test/", any, "", &["127.0.0.1", "::1"]), "ok");
        assert_eq!(verdict("http://a.test/", any, "", &["127.0.0.1", "8.8.8.8"]), "plaintext");
        assert_eq!(verdict("http://a.test/", any, "", &["10.0.0.1"]), "plaintext");
        assert_eq!(verdict("http://a.test/", any, "a.test", &["10.0.0.1"]), "ok");
        assert_eq!(verdict("http://a.test/", any, "10.0.0.0/8", &["10.0.0.1"]), "ok");
        assert_eq!(verdict("http://a.test/", any, "a.test", &["8.8.8.8"]), "plaintext");
        assert_eq!(verdict("http://a.test/", any, "*", &["8.8.8.8"]), "plaintext");
        assert_eq!(verdict("https://a.test/", any, "", &["8.8.8.8", "10.0.0.1"]), "ok");
    }

    /// N3: one address that is not public refuses the name.
    #[test]
    fn every_address_must_be_public() {
        let public = Reach::PublicOnly;
        assert_eq!(verdict("https://a.test/", public, "", &["8.8.8.8", "2606:4700::1111"]), "ok");
        assert_eq!(verdict("https://a.test/", public, "", &["8.8.8.8", "10.0.0.1"]), "10.0.0.1");
        assert_eq!(verdict("https://a.test/", public, "", &["8.8.8.8", "::ffff:127.0.0.1"]), "::ffff:127.0.0.1");
        assert_eq!(verdict("http://a.test/", public, "*", &["127.0.0.1"]), "127.0.0.1");
        assert_eq!(verdict("http://a.test/", public, "*", &["8.8.8.8"]), "plaintext");
    }

    #[test]
    fn status_lines() {
        for (line, want) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.0 407 \r\n\r\n", Some(407)),
            ("HTTP/1.1 200\r\n\r\n", Some(200)),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 2x0\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(status_of(line.as_bytes()), want, "{line:?}");
        }
    }
}
