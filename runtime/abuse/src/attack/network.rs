//! Attacks over the network: sockets that should not be, addresses that should not answer, names that lie.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use crate::attempt::{Attempt, Stopped, Verb, Words, call, first};

/// The verbs of this file.
pub(crate) const VERBS: &[Verb] = &[
    ("tcp", tcp),
    ("udp", udp),
    ("socket", socket),
    ("say", say),
    ("hello", hello),
    ("ask-name", ask_name),
    ("abstract", abstract_socket),
    ("abstract-serve", abstract_serve),
    ("pair-names", pair_names),
    ("serve", serve),
    ("interfaces", interfaces),
    ("connections", connections),
];

const WAIT: Duration = Duration::from_millis(1500);

/// Connects to an address, or to the first address of a name.
fn connected(host: &str, port: u16) -> Result<TcpStream, Stopped> {
    let addresses: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) if error.raw_os_error().is_some() => return Err(error.into()),
        Err(error) => return Err(Stopped::Nothing(format!("no such name: {error}"))),
    };
    let Some(address) = addresses.first() else { return Err(Stopped::Nothing("a name without address".to_owned())) };
    let stream = TcpStream::connect_timeout(address, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    Ok(stream)
}

/// Everything that comes until the end, a pause or 64 KiB.
fn heard(stream: &mut TcpStream) -> io::Result<String> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&piece[..count]),
            Err(error) if all.is_empty() => return Err(error),
            Err(_) => break,
        }
        if all.len() > 64 << 10 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// Whether what came back shows that the words arrived.
fn judged(answer: &str, wanted: &str) -> Attempt {
    let line = answer.lines().find(|line| line.contains(wanted));
    match line {
        Some(line) => Ok(format!("an answer came: {}", line.trim())),
        None if answer.is_empty() => Err(Stopped::Nothing("closed without a word".to_owned())),
        None => Err(Stopped::Nothing(format!("another answer: {}", answer.lines().next().unwrap_or_default()))),
    }
}

/// `tcp HOST PORT`: connects, says a line, wants an answer.
fn tcp(words: &Words) -> Attempt {
    let mut stream = connected(words.text(0)?, words.number(1)?)?;
    let host = words.text(0)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    judged(&heard(&mut stream)?, "reached")
}

/// `udp ADDRESS PORT`: sends one datagram, wants one back.
fn udp(words: &Words) -> Attempt {
    let address: SocketAddr = match (words.text(0)?, words.number::<u16>(1)?).to_socket_addrs() {
        Ok(mut found) => found.next().ok_or_else(|| Stopped::Nothing("a name without address".to_owned()))?,
        Err(error) => return Err(Stopped::Nothing(format!("no such name: {error}"))),
    };
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.connect(address)?;
    socket.send(b"hello")?;
    let mut answer = [0; 128];
    let count = socket.recv(&mut answer)?;
    judged(&String::from_utf8_lossy(&answer[..count]), "reached")
}

/// `socket FAMILY KIND PROTOCOL`: makes a socket, numbers as the kernel counts them.
fn socket(words: &Words) -> Attempt {
    let numbers: [usize; 3] = [words.number(0)?, words.number(1)?, words.number(2)?];
    call(libc::SYS_socket, &numbers)?;
    Ok(format!("a socket of family {}", numbers[0]))
}

/// `say HOST PORT TEXT WANTED`: says the text (`\r`, `\n`, `\0`, `\s` are escapes) and wants that word in the answer.
fn say(words: &Words) -> Attempt {
    let text = words.text(2)?.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").replace("\\s", " ");
    let mut stream = connected(words.text(0)?, words.number(1)?)?;
    stream.write_all(text.as_bytes())?;
    judged(&heard(&mut stream)?, &words.text(3)?.replace("\\s", " "))
}

/// A TLS 1.2-style ClientHello with that server name, or none (RFC 8446, section 4.1.2; RFC 6066, section 3).
fn client_hello(name: Option<&str>, has_encrypted_hello: &str) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extend = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend((body.len() as u16).to_be_bytes());
        extensions.extend(body);
    };
    if let Some(name) = name {
        let length = name.len() as u16;
        let mut body = Vec::from((length + 3).to_be_bytes());
        body.push(0);
        body.extend(length.to_be_bytes());
        body.extend(name.as_bytes());
        extend(0, &body);
    }
    extend(10, &[0, 2, 0, 29]);
    extend(13, &[0, 4, 8, 4, 4, 3]);
    extend(43, &[2, 3, 4]);
    let mut share = vec![0, 36, 0, 29, 0, 32];
    share.extend([9u8; 32]);
    extend(51, &share);
    if has_encrypted_hello == "encrypted" {
        let mut body = vec![0, 0, 1, 0, 1, 7, 0, 32];
        body.extend([5u8; 32]);
        body.extend([0, 16]);
        body.extend([6u8; 16]);
        extend(0xfe0d, &body);
    }
    let mut hello = vec![3, 3];
    hello.extend([7u8; 32]);
    hello.push(0);
    hello.extend([0, 2, 0x13, 1, 1, 0]);
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend((hello.len() as u16).to_be_bytes());
    handshake.extend(hello);
    handshake
}

/// A handshake in TLS records of at most that many bytes (RFC 8446, section 5.1).
fn records(handshake: &[u8], most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in handshake.chunks(most) {
        all.extend([22, 3, 1]);
        all.extend((piece.len() as u16).to_be_bytes());
        all.extend(piece);
    }
    all
}

/// `hello HOST PORT NAME HOW`: says a ClientHello for that name, `-` for none; whole, in fragments, or with an
/// encrypted inner one.
fn hello(words: &Words) -> Attempt {
    let name = Some(words.text(2)?).filter(|name| *name != "-");
    let how = words.text(3)?;
    let handshake = client_hello(name, how);
    let mut stream = connected(words.text(0)?, words.number(1)?)?;
    let bytes = records(&handshake, if how == "records" { 7 } else { 16384 });
    match how {
        "fragments" => {
            stream.set_nodelay(true)?;
            for byte in bytes.chunks(5) {
                stream.write_all(byte)?;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        _ => stream.write_all(&bytes)?,
    }
    judged(&heard(&mut stream)?, "reached")
}

/// `ask-name NAME KIND SERVER`: one DNS question by hand (RFC 1035, section 4); an answer with a record is a breach.
fn ask_name(words: &Words) -> Attempt {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in words.text(0)?.split('.') {
        question.push(label.len() as u8);
        question.extend(label.replace("\\0", "\0").bytes());
    }
    question.extend([0, 0, words.number::<u8>(1)?, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.send_to(&question, (words.text(2)?, 53))?;
    let mut answer = [0; 1024];
    let count = socket.recv(&mut answer)?;
    if count < 12 {
        return Err(Stopped::Nothing("no answer worth the name".to_owned()));
    }
    let (code, records) = (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]]));
    if records > 0 {
        Ok(format!("{records} records"))
    } else {
        Err(Stopped::Nothing(format!("code {code}, no record")))
    }
}

fn abstract_address(name: &str) -> (Vec<u8>, usize) {
    let mut address = Vec::from((libc::AF_UNIX as u16).to_ne_bytes());
    address.push(0);
    address.extend(name.as_bytes());
    let length = address.len();
    (address, length)
}

/// `abstract NAME`: connects to a Unix socket that has no place in the file system.
fn abstract_socket(words: &Words) -> Attempt {
    let fd = call(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0])?;
    let (address, length) = abstract_address(words.text(0)?);
    call(libc::SYS_connect, &[fd, address.as_ptr() as usize, length])?;
    Ok("an abstract socket answered".to_owned())
}

/// `pair-names PATH`: half of a pair of datagram sockets, which can name any socket that has a path.
fn pair_names(words: &Words) -> Attempt {
    let mut pair = [0i32; 2];
    call(libc::SYS_socketpair, &[libc::AF_UNIX as usize, libc::SOCK_DGRAM as usize, 0, pair.as_mut_ptr() as usize])?;
    let mut address = Vec::from((libc::AF_UNIX as u16).to_ne_bytes());
    address.extend(words.text(0)?.as_bytes());
    address.push(0);
    let fd = pair[0].cast_unsigned() as usize;
    call(libc::SYS_sendto, &[fd, c"hello".as_ptr() as usize, 5, 0, address.as_ptr() as usize, address.len()])?;
    Ok("a socket of the host took a datagram".to_owned())
}

/// `abstract-serve NAME`: takes the name of an abstract socket, where another jail might look for a friend.
fn abstract_serve(words: &Words) -> Attempt {
    let fd = call(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0])?;
    let (address, length) = abstract_address(words.text(0)?);
    call(libc::SYS_bind, &[fd, address.as_ptr() as usize, length])?;
    call(libc::SYS_listen, &[fd, 1])?;
    std::thread::sleep(Duration::from_millis(3000));
    Err(Stopped::Nothing("nobody came".to_owned()))
}

/// `serve PORT`: listens, for a neighbour to come.
fn serve(words: &Words) -> Attempt {
    let listener = std::net::TcpListener::bind(("0.0.0.0", words.number(0)?))?;
    listener.set_nonblocking(true)?;
    for _ in 0..30 {
        if let Ok((mut stream, _)) = listener.accept() {
            first("an answer", stream.write_all(b"reached a neighbour\n"))?;
            return Ok("a neighbour came".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Stopped::Nothing("nobody came".to_owned()))
}

/// Looks for a network interface other than the loopback.
fn interfaces(_: &Words) -> Attempt {
    let text = std::fs::read_to_string("/proc/net/dev").or_else(|_| {
        let names = std::fs::read_dir("/sys/class/net")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        io::Result::Ok(names.map(|name| format!("{name}:\n")).collect())
    })?;
    let others: Vec<&str> = text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    let others: Vec<&str> = others.into_iter().filter(|name| *name != "lo").collect();
    if others.is_empty() {
        Err(Stopped::Nothing("the loopback alone".to_owned()))
    } else {
        Ok(format!("interfaces {others:?}"))
    }
}

/// `connections PORT`: finds a host's listener in the kernel's table of connections.
fn connections(words: &Words) -> Attempt {
    let port: u16 = words.number(0)?;
    let text = std::fs::read_to_string("/proc/net/tcp")?;
    if text.contains(&format!(":{port:04X} ")) {
        Ok("the host's connections are listed".to_owned())
    } else {
        Err(Stopped::Nothing("not listed".to_owned()))
    }
}
