//! The network of a brokered jail: a loopback that answers for every address, and the sockets that listen on it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, listen, recv, send, socket_with,
};

use crate::error::{JailError, Step};
use crate::plan::RESOLVER_PORT;
use crate::sys;

/// Connections that wait to be accepted, for each port.
const WAITING_MAX: i32 = 128;
/// Where the resolver listens.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
/// The loopback is the first interface of every namespace.
const LOOPBACK: u32 = 1;

/// Makes the network of the namespace that this process is in; the sockets are one for each port, then UDP and TCP of
/// the resolver.
pub(crate) fn prepare(ports: &[u16]) -> Result<Vec<OwnedFd>, JailError> {
    let inet = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    inet.and_then(|socket| sys::loopback_up(socket.as_fd())).map_err(JailError::at(Step::Loopback, ""))?;
    let netlink = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None);
    let netlink = netlink.map_err(JailError::at(Step::Route, ""))?;
    ask(&netlink, &route()).map_err(JailError::at(Step::Route, ""))?;
    match ask(&netlink, &no_ipv6()) {
        // It was there, or there is no IPv6 at all.
        Ok(()) | Err(Errno::ADDRNOTAVAIL | Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::NODEV) => {}
        Err(errno) => return Err(JailError::at(Step::Route, "IPv6")(errno)),
    }
    let mut sockets = Vec::with_capacity(ports.len() + 2);
    for port in ports {
        let made = listener(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, *port));
        sockets.push(made.map_err(JailError::at(Step::Listen, &port.to_string()))?);
    }
    let resolver = SocketAddrV4::new(RESOLVER, RESOLVER_PORT);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let udp = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None);
    let udp = udp.and_then(|socket| bind(&socket, &resolver).map(|()| socket));
    sockets.push(udp.map_err(JailError::at(Step::Listen, "the resolver"))?);
    sockets.push(listener(resolver).map_err(JailError::at(Step::Listen, "the resolver"))?);
    Ok(sockets)
}

fn listener(address: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&socket, &address)?;
    listen(&socket, WAITING_MAX)?;
    Ok(socket)
}

/// Asks the kernel for a change (`rtnetlink(7)`) and waits for its answer.
fn ask(netlink: &OwnedFd, message: &[u8]) -> Result<(), Errno> {
    send(netlink, message, SendFlags::empty())?;
    let mut answer = [0; 256];
    let (length, _) = recv(netlink, &mut answer, RecvFlags::empty())?;
    // A header of 16 bytes, then the error, 0 or negative.
    let Some(error) = answer[..length].get(16..20) else { return Err(Errno::PROTO) };
    match i32::from_ne_bytes([error[0], error[1], error[2], error[3]]) {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(-error)),
    }
}

/// A header (`netlink(7)`): length, type, flags, sequence, port; then the body.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(flags | REQUEST_AND_ACKNOWLEDGE).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(body);
    message
}

/// `local 0.0.0.0/0 dev lo`: every address is this host's own.
fn route() -> Vec<u8> {
    const NEW_ROUTE: u16 = 24;
    const CREATE_AND_EXCLUSIVE: u16 = 0x600;
    // Family, bits of the destination, of the source, type of service; table local, protocol boot, scope host, type
    // local; flags. Then one attribute of 8 bytes, type 4: the interface.
    let mut body = vec![AddressFamily::INET.as_raw() as u8, 0, 0, 0, 255, 3, 254, 2, 0, 0, 0, 0];
    body.extend_from_slice(&8_u16.to_ne_bytes());
    body.extend_from_slice(&4_u16.to_ne_bytes());
    body.extend_from_slice(&LOOPBACK.to_ne_bytes());
    message(NEW_ROUTE, CREATE_AND_EXCLUSIVE, &body)
}

/// Takes `::1/128` from the loopback.
fn no_ipv6() -> Vec<u8> {
    const DELETE_ADDRESS: u16 = 21;
    let mut body = vec![AddressFamily::INET6.as_raw() as u8, 128, 0, 0];
    body.extend_from_slice(&LOOPBACK.to_ne_bytes());
    // One attribute of 20 bytes, type 1: the address.
    body.extend_from_slice(&20_u16.to_ne_bytes());
    body.extend_from_slice(&1_u16.to_ne_bytes());
    body.extend_from_slice(&std::net::Ipv6Addr::LOCALHOST.octets());
    message(DELETE_ADDRESS, 0, &body)
}
