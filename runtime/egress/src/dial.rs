//! The way out: a name is resolved once, every address is judged, and the connection goes to one that was.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::decision::Why;
use crate::names::Peer;
use crate::rules::Grant;

/// Addresses of one name that are tried, one after another.
const ATTEMPTS_MAX: usize = 4;

/// Looks names up outside of every jail.
pub trait Resolve: Send + Sync {
    /// Every address of a name, best first.
    ///
    /// # Errors
    /// Whatever the look-up says; nothing is connected to.
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// What the operating system knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            let mut addresses = Vec::new();
            for found in tokio::net::lookup_host((name, 0)).await? {
                if !addresses.contains(&found.ip()) {
                    addresses.push(found.ip());
                }
            }
            Ok(addresses)
        })
    }
}

/// Why there is no connection, and which address is to blame.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) why: Why,
    pub(crate) address: Option<IpAddr>,
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Refusal {
        Refusal { why, address: None }
    }
}

/// Connects to `peer` (E3): all its addresses have to be allowed, and one of exactly those is connected to.
pub(crate) async fn dial(
    resolver: &dyn Resolve,
    grant: &Grant,
    peer: &Peer,
    port: u16,
    deadline: Instant,
) -> Result<(TcpStream, IpAddr), Refusal> {
    let addresses = match peer {
        Peer::Address(address) => vec![IpAddr::V4(*address)],
        Peer::Name(name) => {
            let found = resolver.resolve(name.as_str()).await;
            found.map_err(|error| Why::Unresolved(error.to_string().into()))?
        }
    };
    let blamed = |(why, address)| Refusal { why, address: Some(address) };
    grant.judge(&addresses, port, is_own).map_err(blamed)?;
    let mut last = Refusal::from(Why::Unresolved("no address at all".into()));
    let count = addresses.len().min(ATTEMPTS_MAX);
    for (at, address) in addresses.iter().take(ATTEMPTS_MAX).enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = u32::try_from(count - at).map_or(left, |tries| left / tries);
        match timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => {
                let is_looped = stream.local_addr().is_ok_and(|local| local.ip() == *address);
                if is_looped {
                    grant.judge(&[*address], port, |_| true).map_err(blamed)?;
                }
                stream.set_nodelay(true).map_err(|error| unreachable_at(*address, &error))?;
                return Ok((stream, *address));
            }
            Ok(Err(error)) => last = unreachable_at(*address, &error),
            Err(_) => last = Refusal { why: Why::Unreachable(seconds(share)), address: Some(*address) },
        }
    }
    Err(last)
}

fn unreachable_at(address: IpAddr, error: &io::Error) -> Refusal {
    Refusal { why: Why::Unreachable(error.to_string().into()), address: Some(address) }
}

fn seconds(waited: Duration) -> Box<str> {
    format!("no answer for {} ms", waited.as_millis()).into()
}

/// Whether this machine has the address itself. No packet is sent: the routes say which address would be the sender's, and
/// on the way to oneself it is the receiver's.
pub(crate) fn is_own(address: IpAddr) -> bool {
    const ANY_PORT: u16 = 9;
    let from: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let local = UdpSocket::bind((from, 0)).and_then(|socket| {
        socket.connect((address, ANY_PORT))?;
        socket.local_addr()
    });
    local.is_ok_and(|local| local.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_known_without_a_list() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(1, 1, 1, 1).into()));
        let probe = UdpSocket::bind("0.0.0.0:0").expect("socket");
        if probe.connect("1.1.1.1:9").is_ok() {
            assert!(is_own(probe.local_addr().expect("address").ip()));
        }
    }
}
