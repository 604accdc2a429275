//! Packets with descriptors, on a pair of `AF_UNIX` sockets that keep packets apart.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Most descriptors of one packet.
pub(crate) const DESCRIPTORS_MAX: usize = 96;
/// Largest packet, in bytes. What is larger travels in a file in memory.
pub(crate) const PACKET_BYTES_MAX: usize = 32 * 1024;

/// What arrived.
pub(crate) struct Packet {
    /// The bytes; none means that the other end is closed.
    pub(crate) bytes: Vec<u8>,
    /// The descriptors.
    pub(crate) fds: Vec<OwnedFd>,
}

/// Two ends of a line.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one packet, waiting for room.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    send_with(socket, bytes, fds, SendFlags::NOSIGNAL)
}

/// Sends one packet, or fails with `EAGAIN` where there is no room.
pub(crate) fn send_now(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    send_with(socket, bytes, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

fn send_with(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> Result<(), Errno> {
    if bytes.len() > PACKET_BYTES_MAX || fds.len() > DESCRIPTORS_MAX {
        return Err(Errno::MSGSIZE);
    }
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::MSGSIZE);
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            sent => return sent.map(|_| ()),
        }
    }
}

/// Receives one packet, waiting for it.
pub(crate) fn receive(socket: impl AsFd) -> Result<Packet, Errno> {
    receive_with(socket, RecvFlags::CMSG_CLOEXEC)
}

/// Receives one packet, or fails with `EAGAIN` where there is none.
pub(crate) fn receive_now(socket: impl AsFd) -> Result<Packet, Errno> {
    receive_with(socket, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
}

fn receive_with(socket: impl AsFd, flags: RecvFlags) -> Result<Packet, Errno> {
    // How long the packet is, without taking it: a jail that waits for one needs no room before it is there.
    let length = loop {
        match rustix::net::recv(&socket, &mut [0_u8; 0], flags | RecvFlags::PEEK | RecvFlags::TRUNC) {
            // Told once, when the other end was closed before it had read everything; what it had sent is still here.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            received => break received?.1,
        }
    };
    let mut bytes = vec![0; length.min(PACKET_BYTES_MAX)];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Err(Errno::INTR | Errno::CONNRESET) => {}
            received => break received?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    bytes.truncate(received.bytes);
    Ok(Packet { bytes, fds })
}

/// The first byte of a packet whose body is in a file in memory.
const ELSEWHERE: u8 = 0xFF;
/// Largest body, in bytes.
const BODY_BYTES_MAX: u64 = 6 << 20;

/// Sends a body of any size: in a packet if it fits, else in a file in memory whose descriptor comes first.
pub(crate) fn send_body(socket: impl AsFd, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    if body.len() <= PACKET_BYTES_MAX {
        return send(socket, body, fds);
    }
    let file = rustix::fs::memfd_create("plan", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut left = body;
    while !left.is_empty() {
        let written = rustix::io::write(&file, left)?;
        left = &left[written..];
    }
    let mut all = vec![file.as_fd()];
    all.extend_from_slice(fds);
    send(socket, &[ELSEWHERE], &all)
}

/// The body of a packet that [`send_body`] sent; its own descriptor is taken out.
pub(crate) fn body(packet: &mut Packet) -> Result<Vec<u8>, Errno> {
    if packet.bytes.first() != Some(&ELSEWHERE) {
        return Ok(std::mem::take(&mut packet.bytes));
    }
    if packet.fds.is_empty() {
        return Err(Errno::BADMSG);
    }
    let file = packet.fds.remove(0);
    let size = rustix::fs::fstat(&file)?.st_size as u64;
    if size > BODY_BYTES_MAX {
        return Err(Errno::MSGSIZE);
    }
    let mut body = vec![0; size as usize];
    let mut at = 0;
    while at < body.len() {
        match rustix::io::pread(&file, &mut body[at..], at as u64)? {
            0 => return Err(Errno::BADMSG),
            read => at += read,
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::{DESCRIPTORS_MAX, PACKET_BYTES_MAX, body, pair, receive, receive_now, send, send_body, send_now};
    use rustix::io::Errno;
    use std::os::fd::AsFd;

    #[test]
    fn packets_keep_apart_and_carry_descriptors() {
        let (one, other) = pair().unwrap();
        assert_eq!(receive_now(&other).err(), Some(Errno::AGAIN));
        send(&one, b"first", &[one.as_fd(), other.as_fd()]).unwrap();
        send_now(&one, &[7; PACKET_BYTES_MAX], &[]).unwrap();
        let packet = receive(&other).unwrap();
        assert_eq!((packet.bytes.as_slice(), packet.fds.len()), (b"first".as_slice(), 2));
        assert_eq!(receive(&other).unwrap().bytes.len(), PACKET_BYTES_MAX);
        assert_eq!(send(&one, &[0; PACKET_BYTES_MAX + 1], &[]).err(), Some(Errno::MSGSIZE));
        assert_eq!(send(&one, b"", &vec![one.as_fd(); DESCRIPTORS_MAX + 1]).err(), Some(Errno::MSGSIZE));
        drop(packet);
        drop(one);
        assert!(receive(&other).unwrap().bytes.is_empty());
    }
    #[test]
    fn last_words_arrive_though_the_other_end_read_nothing() {
        let (one, other) = pair().unwrap();
        send(&one, b"last", &[]).unwrap();
        send(&other, b"unread", &[]).unwrap();
        drop(one);
        assert_eq!(receive(&other).unwrap().bytes, b"last");
        assert!(receive(&other).unwrap().bytes.is_empty());
    }

    #[test]
    fn a_body_of_any_size_arrives() {
        let (one, other) = pair().unwrap();
        for size in [0, 1, PACKET_BYTES_MAX, PACKET_BYTES_MAX + 1, 3 << 20] {
            let sent: Vec<u8> = (0..size).map(|at| at as u8).collect();
            send_body(&one, &sent, &[one.as_fd()]).unwrap();
            let mut packet = receive(&other).unwrap();
            assert_eq!(body(&mut packet).unwrap(), sent);
            assert_eq!(packet.fds.len(), 1);
        }
        send(&one, &[0xFF], &[]).unwrap();
        assert_eq!(body(&mut receive(&other).unwrap()).err(), Some(Errno::BADMSG));
    }
}
