//! The network that the attacks see: one server behind every address, and a name server that lies.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

/// Where the name server answers.
pub const NAME_SERVER: &str = "9.9.9.9";
/// The address of the suite's own machine on the wire to the others.
pub const OWN: &str = "172.31.255.1";
/// The other end of that wire.
pub const PEER: &str = "172.31.255.2";

/// Every address that the far end answers for.
pub const ADDRESSES: &[&str] = &[
    NAME_SERVER,
    "93.184.216.34",
    "151.101.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "100.64.3.3",
    "10.1.2.3",
    "172.16.5.5",
    "192.168.7.7",
    "fd00:ec2::254",
];

/// Ports where it does.
pub const PORTS: [u16; 4] = [80, 443, 22, 8080];
/// The port where TLS is really spoken.
pub const SECURE_PORT: u16 = 8443;
/// The port where a datagram comes back.
pub const DATAGRAMS: u16 = 5000;

/// Names and what the name server says of them; `rebind.example` is not among them.
const NAMES: &[(&str, &[&str])] = &[
    ("allowed.example", &["93.184.216.34"]),
    ("below.allowed.example", &["93.184.216.34"]),
    ("evilallowed.example", &["151.101.1.1"]),
    ("allowed.example.evil.example", &["151.101.1.1"]),
    ("wild.example", &["151.101.1.1"]),
    ("one.wild.example", &["93.184.216.34"]),
    ("evilwild.example", &["151.101.1.1"]),
    ("other.example", &["151.101.1.1"]),
    ("private.example", &["10.1.2.3"]),
    ("loop.example", &["127.0.0.1"]),
    ("own.example", &[OWN]),
    ("link.example", &["169.254.169.254"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("mixed.example", &["10.1.2.3", "93.184.216.34"]),
];

/// Answers on these sockets until the process is killed.
///
/// # Errors
/// A socket that cannot be had.
pub fn serve(listeners: &[SocketAddr]) -> io::Result<()> {
    for address in listeners {
        let listener = TcpListener::bind(address)?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A visitor who leaves early is no concern of the host's.
                std::thread::spawn(move || answer(stream).unwrap_or_default());
            }
        });
    }
    Ok(())
}

/// Says, for each request that came, which address and which host it reached.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let reached = canonical(stream.local_addr()?.ip());
    let mut piece = [0; 8192];
    let mut wait = Duration::from_millis(1000);
    loop {
        stream.set_read_timeout(Some(wait))?;
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&piece[..count]).into_owned();
        if !text.contains("HTTP/1") {
            // A greeting may come in pieces; whoever speaks first would cut it short.
            stream.set_read_timeout(Some(Duration::from_millis(60)))?;
            while stream.read(&mut piece).is_ok_and(|count| count > 0) {}
            stream.write_all(format!("reached {reached}\n").as_bytes())?;
            return Ok(());
        }
        for request in text.split("\r\n\r\n").filter(|request| request.contains("HTTP/1")) {
            let hosts = request.lines().filter(|line| line.to_ascii_lowercase().starts_with("host:"));
            let hosts: Vec<String> = hosts.map(|line| format!("host={}", line[5..].trim())).collect();
            let body = format!("reached {reached} {}\n", hosts.join(" "));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())?;
        }
        wait = Duration::from_millis(250);
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Sends every datagram back with the address that it reached.
///
/// # Errors
/// A socket that cannot be had.
pub fn echo(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind((address, DATAGRAMS))?;
    let said = format!("reached {address} by datagram");
    std::thread::spawn(move || {
        let mut piece = [0; 512];
        while let Ok((_, from)) = socket.recv_from(&mut piece) {
            // A datagram may be lost.
            let _ = socket.send_to(said.as_bytes(), from);
        }
    });
    Ok(())
}

/// Answers names for ever and writes each that it hears to the file.
///
/// # Errors
/// A socket or file that cannot be had.
pub fn name(heard: &Path) -> io::Result<()> {
    let socket = UdpSocket::bind((NAME_SERVER, 53))?;
    let mut log = OpenOptions::new().append(true).create(true).open(heard)?;
    let mut asked: HashMap<String, u32> = HashMap::new();
    let mut piece = [0; 1024];
    loop {
        let (count, from) = socket.recv_from(&mut piece)?;
        let Some((name, kind, end)) = question(&piece[..count]) else { continue };
        writeln!(log, "{name}")?;
        // Each name is looked up for both families: it is counted by the one that has addresses here.
        let times = asked.entry(name.clone()).or_default();
        if kind == 1 {
            *times += 1;
        }
        let reply = reply(&piece[..end], kind, &addresses(&name, *times));
        socket.send_to(&reply, from)?;
    }
}

/// The first question: its name, its kind, and where it ends (RFC 1035, section 4.1.2).
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    message.get(at + 3)?;
    Some((labels.join("."), kind, at + 4))
}

/// What is said of a name that was asked for so often.
fn addresses(name: &str, times: u32) -> Vec<IpAddr> {
    let found: &[&str] = match name {
        "rebind.example" if times <= 1 => &["93.184.216.34"],
        "rebind.example" => &["10.1.2.3"],
        "mapped.example" => &["::ffff:10.1.2.3"],
        _ if name.ends_with(".other.example") || name.ends_with(".evil.example") => &["151.101.1.1"],
        _ => NAMES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, found)| found),
    };
    found.iter().filter_map(|address| address.parse().ok()).collect()
}

fn reply(asked: &[u8], kind: u16, addresses: &[IpAddr]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut count = 0u16;
    for address in addresses {
        let bytes = match (kind, address) {
            (1, IpAddr::V4(four)) => four.octets().to_vec(),
            (28, IpAddr::V6(six)) => six.octets().to_vec(),
            _ => continue,
        };
        count += 1;
        records.extend([0xc0, 12]);
        records.extend(kind.to_be_bytes());
        records.extend([0, 1, 0, 0, 0, 0]);
        records.extend((bytes.len() as u16).to_be_bytes());
        records.extend(bytes);
    }
    let code = if addresses.is_empty() { 3 } else { 0 };
    let mut all = asked.to_vec();
    all[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
    all[6..8].copy_from_slice(&count.to_be_bytes());
    all.extend(records);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_and_answered() {
        let mut asked = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3];
        asked.extend(b"Own\x07example\0\0\x01\0\x01");
        let (name, kind, end) = question(&asked).unwrap();
        assert_eq!((name.as_str(), kind, end), ("own.example", 1, asked.len()));
        let reply = reply(&asked, kind, &addresses(&name, 1));
        assert_eq!(reply[6..8], [0, 1]);
        assert_eq!(reply[reply.len() - 4..], [172, 31, 255, 1]);
    }

    #[test]
    fn a_name_is_rebound_after_its_first_answer() {
        assert_ne!(addresses("rebind.example", 1), addresses("rebind.example", 2));
        assert!(addresses("unknown.test", 1).is_empty());
    }
}
