//! Connections: which go on, where to, how far, and how they end.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use aether_core::capability::Network;
use aether_egress::head::HeadFault;
use aether_egress::hello::HelloFault;
use aether_egress::{Barred, Quotas, Range, Spent, Verdict, What, Why};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stage::{Setup, Upstream, client_tls, hello, ok, read_all, say, say_until, soon};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";

fn closing(_: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello".to_vec()
}

fn a(port: u16) -> Vec<String> {
    vec![format!("a.test:{port}")]
}

#[tokio::test]
async fn a_granted_request_is_carried() {
    let host = Upstream::plain(closing).await;
    let mut jail = Setup::new(&a(host.port)).start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    let answer = say(&mut stream, REQUEST).await;
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    let allowed = jail.decisions().into_iter().find(|one| one.what == What::Connect).expect("told");
    assert_eq!((&*allowed.host, allowed.port), ("a.test", host.port));
    assert_eq!(allowed.address, Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(allowed.verdict, Verdict::Allowed);
    drop(stream);
    let traffic = jail.finish().await;
    assert_eq!((traffic.bytes_out, traffic.bytes_in), (REQUEST.len() as u64, answer.len() as u64));
    assert_eq!((traffic.connections, traffic.connections_refused, traffic.questions), (1, 0, 1));
}

/// E4: TLS goes through untouched, to the host that the hello names.
#[tokio::test]
async fn tls_goes_through() {
    let host = Upstream::tls("a.test", closing).await;
    let jail = Setup::new(&a(host.port)).start().await;
    let mut stream = jail.connect_tls("a.test", host.port, &host.pem).await.expect("the host's own certificate");
    let answer = say(&mut stream, REQUEST).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(!jail.is_refused());
}

/// E4: another name, no name, a hidden name, half a hello.
#[tokio::test]
async fn tls_for_somebody_else() {
    let mut hidden = hello("a.test");
    // The first extension that rustls writes becomes encrypted_client_hello by its number.
    let at = hidden.windows(4).position(|four| four == [0, 43, 0, 5]).expect("supported_versions");
    hidden[at..at + 2].copy_from_slice(&[0xfe, 0x0d]);
    for (what, bytes, want) in [
        ("another name", hello("b.test"), Why::OtherName("b.test".into())),
        ("no name", hello("127.0.0.1"), Why::Nameless),
        ("a hidden name", hidden, Why::Hello(HelloFault::Hidden)),
        (
            "no hello",
            vec![22, 3, 1, 0, 4, 2, 0, 0, 0],
            Why::Hello(HelloFault::Malformed("another message than a client's hello")),
        ),
        ("neither TLS nor HTTP", b"\0\x01\x02".to_vec(), Why::Protocol),
        ("SSH", b"SSH-2.0-x\r\n\r\n".to_vec(), Why::Http(HeadFault::Malformed("request line"))),
    ] {
        let host = Upstream::plain(ok).await;
        let jail = Setup::new(&a(host.port)).start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        stream.write_all(&bytes).await.expect("write");
        let answer = read_all(&mut stream).await;
        assert_eq!(jail.refusal().await, want, "{what}");
        if bytes[0] == 22 {
            assert_eq!(answer.as_bytes().last(), Some(&49), "{what}: access_denied");
        }
        assert_eq!((host.connections(), jail.table.asked()), (0, 0), "{what}: nobody was contacted");
    }
}

/// E4: a hello in pieces of one byte, each in its own segment, is read like one in one.
#[tokio::test]
async fn a_fragmented_hello() {
    let host = Upstream::plain(ok).await;
    for (name, is_allowed) in [("a.test", true), ("b.test", false)] {
        let jail = Setup::new(&a(host.port)).start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        stream.set_nodelay(true).expect("nodelay");
        for byte in hello(name) {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if is_allowed {
            soon(async {
                while !jail.decisions().iter().any(|one| one.what == What::Connect) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
            assert!(!jail.is_refused());
        } else {
            assert_eq!(jail.refusal().await, Why::OtherName("b.test".into()));
        }
    }
    assert_eq!(host.connections(), 1);
}

/// E5: whatever is not plainly one request for the host.
#[tokio::test]
async fn http_for_somebody_else() {
    let host = Upstream::plain(ok).await;
    for (request, wanted) in [
        ("GET / HTTP/1.1\r\nhost: b.test\r\n\r\n", "the HTTP request is for `b.test`"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n", "two Host lines"),
        ("GET http://b.test/ HTTP/1.1\r\nhost: a.test\r\n\r\n", "for `b.test`"),
        ("GET http://a.test@b.test/ HTTP/1.1\r\nhost: a.test\r\n\r\n", "for `a.test@b.test`"),
        ("GET / HTTP/1.1\r\nhost: a.test:1\r\n\r\n", "for `a.test:1`"),
        ("GET / HTTP/1.0\r\n\r\n", "names no host"),
        (
            "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            "where its body ends",
        ),
        ("GET / HTTP/1.1\r\nhost: a.test\r\n x: folded\r\n\r\n", "a folded line"),
        ("GET / HTTP/1.1\nhost: a.test\n\n", "CRLF"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nx\0: y\r\n\r\n", "header name"),
        ("CONNECT b.test:443 HTTP/1.1\r\nhost: a.test\r\n\r\n", "tunnel"),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "change of protocol"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 in the clear"),
        ("\r\nGET / HTTP/1.1\r\nhost: a.test\r\n\r\n", ""),
    ] {
        let jail = Setup::new(&a(host.port)).start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        let answer = say(&mut stream, request).await;
        assert!(answer.contains(wanted), "{request:?}: {answer:?}");
        assert!(wanted.is_empty() || answer.starts_with("HTTP/1.1 403 "), "{request:?}: {answer:?}");
        assert!(matches!(jail.refusal().await, Why::Http(_)), "{request:?}");
    }
    assert_eq!(host.connections(), 0, "nobody was contacted");
}

/// E5: the second request on a connection is looked at like the first.
#[tokio::test]
async fn the_second_request_to_another_host() {
    for second in ["GET /2 HTTP/1.1\r\nhost: b.test\r\n\r\n", "GET /2 HTTP/1.1\nhost: a.test\r\n\r\n"] {
        let host = Upstream::plain(ok).await;
        let jail = Setup::new(&a(host.port)).start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        for n in 0..3 {
            let body = "x".repeat(n);
            let request =
                format!("POST /1 HTTP/1.1\r\nhost: A.test:{}\r\ncontent-length: {n}\r\n\r\n{body}", host.port);
            say_until(&mut stream, &request, "ok").await;
        }
        assert_eq!(say(&mut stream, second).await, "");
        assert!(matches!(jail.refusal().await, Why::Http(_)));
        assert!(host.seen().iter().all(|request| request.starts_with("POST /1")), "{:?}", host.seen());
        assert_eq!(host.seen().len(), 3);
    }
}

/// E1: the right name at the wrong port.
#[tokio::test]
async fn a_port_of_another_host() {
    let (one, two) = (Upstream::plain(ok).await, Upstream::plain(ok).await);
    let hosts = vec![format!("a.test:{}", one.port), format!("b.test:{}", two.port)];
    let jail = Setup::new(&hosts).start().await;
    let mut stream = jail.connect("a.test", two.port).await;
    let answer = say(&mut stream, REQUEST).await;
    assert!(answer.contains("403 Forbidden") && answer.contains("not among the hosts and ports"), "{answer}");
    assert_eq!(jail.refusal().await, Why::NotGranted);
    let mut stream = jail.connect("a.test", 80).await;
    assert!(say(&mut stream, REQUEST).await.contains("403 Forbidden"), "plain HTTP was not granted");
    assert_eq!((one.connections(), two.connections()), (0, 0));
}

/// E2: numbers are reached only where they were granted, and then only by themselves.
#[tokio::test]
async fn addresses_by_number() {
    let host = Upstream::plain(closing).await;
    let jail = Setup::new(&a(host.port)).start().await;
    for (n, want) in
        [(0, Why::AddressNotGranted), (1, Why::AddressNotGranted), (2, Why::AddressNotGranted), (4, Why::NoLease)]
    {
        let before = jail.decisions().len();
        let mut stream = jail.connect_literal(n, host.port).await;
        let answer = say(&mut stream, REQUEST).await;
        assert!(answer.contains("403 Forbidden"), "{answer}");
        assert_eq!(jail.decisions()[before].verdict, Verdict::Refused(want));
    }
    assert_eq!(host.connections(), 0);
    let jail = Setup::new(&[format!("127.0.0.1:{}", host.port), format!("10.0.0.1:{}", host.port)]).start().await;
    let mut stream = jail.connect_literal(0, host.port).await;
    let answer = say(&mut stream, &REQUEST.replace("a.test", "127.0.0.1")).await;
    assert!(answer.ends_with("hello"), "{answer}");
    let mut stream = jail.connect_literal(0, host.port).await;
    assert!(say(&mut stream, REQUEST).await.contains("for `a.test`"));
    let mut stream = jail.connect_literal(1, host.port).await;
    assert!(say(&mut stream, &REQUEST.replace("a.test", "10.0.0.1")).await.contains("a private network"));
}

/// E3: any public host is no private one, by name or by number.
#[tokio::test]
async fn any_public_host() {
    let mut setup = Setup::new(&[]);
    setup.public = Network::Public;
    setup.exceptions = Vec::new();
    setup.table.set("rebound.example", &["127.0.0.1"]);
    let jail = setup.start().await;
    for n in 0..3 {
        let mut stream = jail.connect_literal(n, 80).await;
        let host = ["127.0.0.1", "10.0.0.1", "169.254.169.254"][usize::from(n)];
        let answer = say(&mut stream, &REQUEST.replace("a.test", host)).await;
        assert!(answer.contains("which only the operator can allow"), "{answer}");
    }
    let mut stream = jail.connect("rebound.example", 80).await;
    let answer = say(&mut stream, &REQUEST.replace("a.test", "rebound.example")).await;
    assert!(answer.contains("this machine"), "{answer}");
}

/// E3: a granted name whose addresses are not public, or only some of them; this machine's own; a metadata service.
#[tokio::test]
async fn names_that_resolve_inside() {
    let own = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("1.1.1.1:9")?;
        socket.local_addr()
    });
    let own = own.map_or_else(|_| "127.0.0.1".to_owned(), |address| address.ip().to_string());
    for addresses in [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fd00:ec2::254",
        "0.0.0.0",
        "1.1.1.1 127.0.0.1",
        "1.1.1.1 192.168.0.1",
        &own,
    ] {
        let host = Upstream::plain(ok).await;
        let mut setup = Setup::new(&a(host.port));
        setup.exceptions = Vec::new();
        setup.table.set("a.test", &[addresses]);
        let jail = setup.start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        let answer = say(&mut stream, REQUEST).await;
        assert!(answer.contains("403 Forbidden"), "{addresses}: {answer}");
        assert!(matches!(jail.refusal().await, Why::Barred(_)), "{addresses}");
        assert_eq!(host.connections(), 0, "{addresses}");
    }
    let host = Upstream::plain(ok).await;
    let mut setup = Setup::new(&a(host.port));
    setup.exceptions = vec![Range::parse("169.254.0.0/16").expect("range")];
    setup.table.set("a.test", &["169.254.169.254"]);
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    say(&mut stream, REQUEST).await;
    let metadata = Barred::Class(aether_net::AddressClass::Metadata);
    assert_eq!(jail.refusal().await, Why::Barred(metadata), "no range lets a metadata service in");
}

/// E3: a name is looked up once for each connection, and what was judged is what is connected to.
#[tokio::test]
async fn rebinding() {
    let host = Upstream::plain(closing).await;
    let setup = Setup::new(&a(host.port));
    setup.table.set("a.test", &["127.0.0.1", "10.0.0.1"]);
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    assert!(say(&mut stream, REQUEST).await.ends_with("hello"));
    assert_eq!(jail.table.asked(), 1);
    let mut stream = jail.connect("a.test", host.port).await;
    assert!(say(&mut stream, REQUEST).await.contains("a private network"));
    assert_eq!((jail.table.asked(), host.connections()), (2, 1));
}

#[tokio::test]
async fn hosts_that_are_not_there() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address").port();
    let setup = Setup::new(&[format!("a.test:{closed}"), format!("b.test:{closed}"), format!("c.test:{closed}")]);
    setup.table.set("c.test", &[""]);
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", closed).await;
    let answer = say(&mut stream, REQUEST).await;
    assert!(answer.contains("502 Bad Gateway") && answer.contains("cannot be reached"), "{answer}");
    let mut stream = jail.connect("c.test", closed).await;
    let answer = say(&mut stream, &REQUEST.replace("a.test", "c.test")).await;
    assert!(answer.contains("502 Bad Gateway") && answer.contains("no address"), "{answer}");
}

/// E9: who says nothing, or says it too slowly, is not waited for.
#[tokio::test]
async fn slow_clients() {
    let host = Upstream::plain(ok).await;
    let mut setup = Setup::new(&a(host.port));
    setup.quotas = Quotas { connect_ms_max: 150, ..setup.quotas };
    let jail = setup.start().await;
    let started = Instant::now();
    let mut silent = jail.connect("a.test", host.port).await;
    let mut drip = jail.connect("a.test", host.port).await;
    drip.write_all(b"GET / HTTP/1.1\r\n").await.expect("write");
    for n in 0..200 {
        if drip.write_all(format!("x-{n}: y\r\n").as_bytes()).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    read_all(&mut drip).await;
    read_all(&mut silent).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(jail.refusal().await, Why::Slow { ms: 150 });
    let mut huge = jail.connect("a.test", host.port).await;
    let answer = say(&mut huge, &format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000))).await;
    assert!(answer.contains("more than 32768 bytes"), "{answer}");
    assert_eq!(host.connections(), 0);
}

/// E9: a connection on which nothing moves ends; one on which something moves in either direction does not.
#[tokio::test]
async fn idle_connections() {
    fn never(_: &str) -> Vec<u8> {
        Vec::new()
    }
    let host = Upstream::plain(never).await;
    let mut setup = Setup::new(&a(host.port));
    setup.quotas = Quotas { idle_ms_max: 200, ..setup.quotas };
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    let started = Instant::now();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 10\r\n\r\n").await.expect("write");
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        stream.write_all(b"x").await.expect("still open");
    }
    assert_eq!(read_all(&mut stream).await, "");
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_millis(550) && elapsed < Duration::from_secs(5), "{elapsed:?}");
}

/// E9: bytes, connections at a time, connections in all.
#[tokio::test]
async fn quotas() {
    fn long(_: &str) -> Vec<u8> {
        [&b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"[..], &[b'x'; 100_000]].concat()
    }
    let host = Upstream::plain(long).await;
    let quotas = |change: fn(&mut Quotas)| {
        let mut setup = Setup::new(&a(host.port));
        change(&mut setup.quotas);
        setup
    };
    let jail = quotas(|quotas| quotas.bytes_in_max = 50_000).start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    assert!(say(&mut stream, REQUEST).await.len() <= 50_000);
    assert_eq!(jail.refusal().await, Why::Quota(Spent::BytesIn(50_000)));
    assert_eq!(jail.traffic().bytes_in, 50_000);

    let jail = quotas(|quotas| quotas.bytes_out_max = 1_000).start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    stream
        .write_all(
            format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5000\r\n\r\n{}", "x".repeat(5000)).as_bytes(),
        )
        .await
        .expect("write");
    assert_eq!(read_all(&mut stream).await, "");
    assert_eq!(jail.refusal().await, Why::Quota(Spent::BytesOut(1_000)));

    let jail = quotas(|quotas| quotas.connections_max = 2).start().await;
    let held = (jail.connect("a.test", host.port).await, jail.connect("a.test", host.port).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = jail.connect("a.test", host.port).await;
    assert_eq!(read_all(&mut third).await, "");
    assert_eq!(jail.refusal().await, Why::Quota(Spent::Connections(2)));
    drop(held);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut fourth = jail.connect("a.test", host.port).await;
    assert!(say(&mut fourth, REQUEST).await.ends_with('x'), "a seat is free again");

    let jail = quotas(|quotas| quotas.connections_total_max = 3).start().await;
    let mut running = jail.connect("a.test", host.port).await;
    for _ in 0..3 {
        drop(jail.connect("a.test", host.port).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(jail.refusal().await, Why::Quota(Spent::ConnectionsTotal(3)));
    assert!(say(&mut running, REQUEST).await.ends_with('x'), "what was open goes on");
}

/// E9, E10: a thousand connections at once neither stop the broker nor fill the record.
#[tokio::test]
async fn a_thousand_connections() {
    let host = Upstream::plain(closing).await;
    let mut setup = Setup::new(&a(host.port));
    setup.quotas = Quotas { connections_max: 16, ..setup.quotas };
    let jail = setup.start().await;
    let address = jail.resolve("a.test").await.expect("granted").octets();
    let address = Ipv4Addr::new(127, address[1], address[2], address[3]);
    let mut all: Vec<TcpStream> = Vec::new();
    for _ in 0..1000 {
        // Those without a seat are closed at once; the others wait for a request.
        all.push(jail.reach(address, host.port).await);
        if all.len() > 300 {
            all.remove(0);
        }
    }
    drop(all);
    soon(async {
        loop {
            let mut stream = jail.reach(address, host.port).await;
            if stream.write_all(REQUEST.as_bytes()).await.is_ok() && read_all(&mut stream).await.ends_with("hello") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let traffic = jail.traffic();
    assert!(traffic.connections > 1000 && traffic.connections_refused > 100, "{traffic:?}");
    assert!(jail.decisions().len() < 200, "{}", jail.decisions().len());
}

/// Many bytes, both ways at once, arrive as they were sent, however slowly they are read.
#[tokio::test]
async fn many_bytes_both_ways() {
    const BYTES: usize = 4 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.expect("copy");
        to.shutdown().await.expect("shutdown");
    });
    let jail = Setup::new(&a(port)).start().await;
    let stream = jail.connect("a.test", port).await;
    let (mut from, mut to) = stream.into_split();
    let head = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {BYTES}\r\n\r\n");
    let body: Vec<u8> = (0..BYTES).map(|at| (at * 7 % 251) as u8).collect();
    let sent = [head.as_bytes(), &body].concat();
    let writing = sent.clone();
    let writer = tokio::spawn(async move {
        to.write_all(&writing).await.expect("write");
        to.shutdown().await.expect("shutdown");
    });
    let mut back = Vec::new();
    let mut piece = vec![0; 50_000];
    loop {
        let count = soon(from.read(&mut piece)).await.expect("read");
        if count == 0 {
            break;
        }
        back.extend_from_slice(&piece[..count]);
        if back.len() < 500_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    writer.await.expect("writer");
    echo.await.expect("echo");
}

/// What a jail sent before its end still leaves; then everything is closed.
#[tokio::test]
async fn the_end() {
    let host = Upstream::plain(ok).await;
    let mut jail = Setup::new(&a(host.port)).start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    let body = "x".repeat(300_000);
    let request = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("write");
    stream.shutdown().await.expect("shutdown");
    let finished = soon(jail.finish()).await;
    assert_eq!(finished.bytes_out, request.len() as u64);
    soon(async {
        while host.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    read_all(&mut stream).await;

    let jail = Setup::new(&a(host.port)).start().await;
    let mut stream = jail.connect("a.test", host.port).await;
    say_until(&mut stream, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", "ok").await;
    let tcp = jail.tcp;
    drop(jail);
    assert_eq!(read_all(&mut stream).await, "");
    soon(async {
        while TcpStream::connect(tcp).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_is_still_the_clients_affair() {
    let (host, other) = (Upstream::tls("a.test", ok).await, Upstream::tls("a.test", ok).await);
    let jail = Setup::new(&a(host.port)).start().await;
    let stream = jail.connect("a.test", host.port).await;
    assert!(client_tls(stream, "a.test", &other.pem).await.is_err(), "the broker vouches for nobody");
}
