//! Secrets: added for their own host, never for another, and never seen by the jail.

use std::time::Duration;

use aether_core::capability::{Host, Network};
use aether_egress::{Bounds, Broker, EgressError, Gateway, Options, Quotas, Rules, Verdict, What, Why};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{Answer, Jail, SECRET, Setup, Upstream, ok, read_all, say, say_until, soon};

/// A jail with a secret for a.test, and the host.
async fn staged(answer: Answer) -> (Upstream, Jail) {
    let host = Upstream::tls("a.test", answer).await;
    let mut setup = Setup::new(&[format!("a.test:{}", host.port)]).secret(&format!("a.test:{}", host.port));
    setup.ca_file = host.ca_path();
    (host, setup.start().await)
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n{more}\r\n")
}

/// E8: over plain HTTP inside the jail; TLS outside; the client's own header of that name is gone.
#[tokio::test]
async fn a_secret_is_added() {
    let (host, jail) = staged(ok).await;
    let mut stream = jail.connect("a.test", 80).await;
    let more = "AUTHORIZATION: Bearer mine\r\nauthorization: again\r\nx-other: kept\r\nrange: bytes=0-1\r\n\
                accept-encoding: gzip\r\nkeep-alive: 5\r\nconnection: x-hop\r\nx-hop: gone\r\nte: trailers\r\n";
    let answer = say_until(&mut stream, &get("/one?two", more), "ok").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = &host.seen()[0];
    assert!(seen.starts_with("GET /one?two HTTP/1.1\r\n"), "{seen}");
    assert_eq!(seen.matches("uthorization").count(), 1, "{seen}");
    assert!(seen.contains(&format!("Authorization: Bearer {SECRET}\r\n")), "{seen}");
    assert!(seen.contains(&format!("host: a.test:{}\r\n", host.port)) && seen.contains("x-other: kept\r\n"), "{seen}");
    assert!(seen.contains("accept-encoding: identity\r\n"), "{seen}");
    for gone in ["gzip", "range:", "x-hop", "keep-alive", "te:", "mine", "again"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
    let used = jail.decisions().into_iter().find(|one| one.what == What::Secret("token".into())).expect("told");
    assert_eq!((&*used.host, used.verdict), ("a.test", Verdict::Allowed));
}

/// E8: over TLS inside the jail, with a certificate that only jails trust.
#[tokio::test]
async fn a_secret_is_added_under_tls() {
    let (host, jail) = staged(ok).await;
    let pem = jail.certificate.clone().expect("a certificate for the jail");
    let mut stream = jail.connect_tls("a.test", host.port, &pem).await.expect("trusted");
    for n in 0..3 {
        let request = format!("GET /{n} HTTP/1.1\r\nhost: a.test:{}\r\n\r\n", host.port);
        say_until(&mut stream, &request, "ok").await;
    }
    assert_eq!(host.seen().len(), 3);
    assert!(host.seen().iter().all(|seen| seen.contains(SECRET)));
    assert_eq!(host.connections(), 1, "the connection to the host is kept");
    assert!(jail.connect_tls("a.test", host.port, &host.pem).await.is_err(), "it is not the host's own certificate");
}

fn echo(request: &str) -> Vec<u8> {
    let secret = request.split("Bearer ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let json: String = secret.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let body = format!("raw={secret}|{hex}|{percent}|{json}|c3VzZXI6czNjci9ldCsidG9rZW4lMQ==|end");
    if request.starts_with("GET /chunked") {
        let chunks: String = body.chars().map(|one| format!("1\r\n{one}\r\n")).collect();
        return format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-seen: {secret}\r\n\r\n{chunks}0\r\n\r\n")
            .into_bytes();
    }
    if request.starts_with("GET /close") {
        return format!("HTTP/1.1 200 OK\r\nlocation: https://b.test/?{percent}\r\nconnection: close\r\n\r\n{body}")
            .into_bytes();
    }
    format!("HTTP/1.1 302 {secret}\r\n{secret}: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .replace("s3cr/et+\"token%1: x", "x-nothing: x")
        .into_bytes()
}

/// E7: whatever the host sends back, however it frames it.
#[tokio::test]
async fn echoes_are_masked() {
    for path in ["/length", "/chunked", "/close"] {
        let (_host, jail) = staged(echo).await;
        let mut stream = jail.connect("a.test", 80).await;
        let request = get(path, "connection: close\r\n");
        let answer = say(&mut stream, &request).await;
        let joined = answer.replace("\r\n1\r\n", "");
        assert!(joined.contains("raw=") && joined.contains("|end"), "{path}: {answer}");
        for trace in ["s3cr", "token", "73336372", "%73", "\\u0073", "c3VzZXI6czNjci"] {
            assert!(!joined.contains(trace), "{path}, {trace}: {answer}");
        }
        assert!(joined.contains("****"), "{path}: {answer}");
    }
}

/// E8: the other hosts of the rules, and redirects to them, get nothing.
#[tokio::test]
async fn no_other_host_gets_it() {
    fn away(_: &str) -> Vec<u8> {
        b"HTTP/1.1 302 Found\r\nlocation: http://b.test/\r\ncontent-length: 0\r\n\r\n".to_vec()
    }
    let (host, other) = (Upstream::tls("a.test", away).await, Upstream::plain(ok).await);
    let hosts = [format!("a.test:{}", host.port), format!("b.test:{}", other.port)];
    let mut setup = Setup::new(&hosts).secret(&hosts[0]);
    setup.ca_file = host.ca_path();
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", 80).await;
    let answer = say_until(&mut stream, &get("/", ""), "\r\n\r\n").await;
    assert!(answer.contains("302") && answer.contains("location: http://b.test/"), "{answer}");
    assert_eq!(other.connections(), 0, "nobody followed");
    for request in ["GET / HTTP/1.1\r\nhost: b.test\r\n\r\n", "GET http://b.test/ HTTP/1.1\r\nhost: a.test\r\n\r\n"] {
        let mut stream = jail.connect("a.test", 80).await;
        assert!(say(&mut stream, request).await.contains("403 Forbidden"), "{request}");
    }
    let mut stream = jail.connect("b.test", other.port).await;
    let request = format!("GET / HTTP/1.1\r\nhost: b.test:{}\r\n\r\n", other.port);
    say_until(&mut stream, &request, "ok").await;
    assert_eq!(other.seen(), [request]);
    let mut stream = jail.connect("b.test", 80).await;
    assert!(say(&mut stream, "GET / HTTP/1.1\r\nhost: b.test\r\n\r\n").await.contains("403 Forbidden"));
    assert_eq!(host.seen().len(), 1);
}

/// E8: not to somebody with the wrong certificate, and not to an address inside.
#[tokio::test]
async fn only_the_host_itself_gets_it() {
    let host = Upstream::tls("evil.test", ok).await;
    let mut setup = Setup::new(&[format!("a.test:{}", host.port)]).secret(&format!("a.test:{}", host.port));
    setup.ca_file = host.ca_path();
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", 80).await;
    let answer = say(&mut stream, &get("/", "")).await;
    assert!(answer.contains("502 Bad Gateway") && answer.contains("no TLS with it"), "{answer}");
    assert!(matches!(jail.refusal().await, Why::Tls(_)));
    assert!(host.seen().is_empty());

    let (unknown, setup) = (Upstream::tls("a.test", ok).await, |port| {
        Setup::new(&[format!("a.test:{port}")]).secret(&format!("a.test:{port}"))
    });
    let jail = setup(unknown.port).start().await;
    let mut stream = jail.connect("a.test", 80).await;
    assert!(say(&mut stream, &get("/", "")).await.contains("502 Bad Gateway"), "an authority that nobody trusts");
    assert!(unknown.seen().is_empty());

    let mut inside = setup(unknown.port);
    inside.exceptions = Vec::new();
    let jail = inside.start().await;
    let mut stream = jail.connect("a.test", 80).await;
    assert!(say(&mut stream, &get("/", "")).await.contains("403 Forbidden"));
    assert!(matches!(jail.refusal().await, Why::Barred(_)));
}

/// Requests and answers of every frame, one after another on one connection.
#[tokio::test]
async fn frames() {
    fn answer(request: &str) -> Vec<u8> {
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "/304" => b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: x\r\n\r\n".to_vec(),
            "/head" => b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n".to_vec(),
            "/103" => {
                b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()
            }
            "/chunked" => {
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\n{:}\r\n0\r\nx: trailer\r\n\r\n".to_vec()
            }
            _ => format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{:03}",
                request.split("\r\n\r\n").nth(1).map_or(0, str::len)
            )
            .into_bytes(),
        }
    }
    let (host, jail) = staged(answer).await;
    let mut stream = jail.connect("a.test", 80).await;
    let head = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nhost: a.test\r\n{more}\r\n");
    say_until(&mut stream, &head("DELETE /204", ""), "204 \r\n\r\n").await;
    let unchanged = say_until(&mut stream, &head("GET /304", ""), "\r\n\r\n").await;
    assert!(unchanged.contains("content-length: 99"), "{unchanged}");
    say_until(&mut stream, &head("HEAD /head", ""), "content-length: 99\r\n\r\n").await;
    say_until(&mut stream, &head("GET /103", ""), "\r\n\r\nok").await;
    let chunked = say_until(&mut stream, &head("GET /chunked", ""), "0\r\n\r\n").await;
    assert!(chunked.ends_with("\r\n\r\n3\r\n{:}\r\n0\r\n\r\n"), "{chunked}");
    say_until(&mut stream, &[&head("POST /", "content-length: 5\r\n"), "hello"].concat(), "005").await;
    let coded = "transfer-encoding: chunked\r\n";
    say_until(&mut stream, &[&head("PUT /", coded), "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"].concat(), "\r\n\r\n011").await;
    let waiting = head("POST /", "content-length: 5\r\nexpect: 100-continue\r\n");
    say_until(&mut stream, &waiting, "100 Continue\r\n\r\n").await;
    say_until(&mut stream, "world", "005").await;
    say_until(&mut stream, &head("POST /", "content-length: 0\r\n"), "000").await;
    let two = [head("GET /a", ""), head("GET /b", "")].concat();
    let both = say_until(&mut stream, &two, "000").await;
    if both.matches("HTTP/1.1 200").count() < 2 {
        say_until(&mut stream, "", "000").await;
    }
    assert_eq!(host.connections(), 1);
    assert!(host.seen().iter().all(|seen| !seen.contains("expect")));
    let old = say(&mut stream, "GET /chunked HTTP/1.0\r\nhost: a.test\r\n\r\n").await;
    assert!(old.ends_with("\r\n\r\n{:}") && old.contains("connection: close"), "{old}");
    assert!(!jail.is_refused(), "{:?}", jail.decisions());
}

/// What two readers could read differently is refused before it reaches the host.
#[tokio::test]
async fn nothing_is_smuggled() {
    let (host, jail) = staged(ok).await;
    for request in [
        "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.test\r\nhost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.test\r\nx: y\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = jail.connect("a.test", 80).await;
        let answer = say(&mut stream, request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{request:?}: {answer}");
    }
    assert_eq!(host.connections(), 0);
    let mut stream = jail.connect("a.test", 80).await;
    say_until(&mut stream, &get("/", ""), "ok").await;
    let answer = say(&mut stream, "GET / HTTP/1.1\r\nhost: b.test\r\n\r\n").await;
    assert!(answer.contains("for `b.test`"), "{answer}");
    let mut broken = jail.connect("a.test", 80).await;
    let chunks = "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\nZ\r\n";
    assert!(say(&mut broken, chunks).await.starts_with("HTTP/1.1 403 "));
    assert_eq!(host.seen().len(), 1);
}

/// E7: an answer that cannot be read is not handed on.
#[tokio::test]
async fn answers_that_are_refused() {
    fn answer(request: &str) -> Vec<u8> {
        match request.split(' ').nth(1).unwrap_or_default() {
            "/gzip" => b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok".to_vec(),
            "/identity" => b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok".to_vec(),
            "/both" => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok".to_vec(),
            "/upgrade" => b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n".to_vec(),
            "/endless" => b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
            "/split" => b"HTTP/1.1 200 OK\r\nx: y\nset-cookie: z\r\n\r\n".to_vec(),
            _ => b"connection: close".to_vec(),
        }
    }
    for (path, want) in [
        ("/gzip", "compressed its answer"),
        ("/both", "broken HTTP"),
        ("/upgrade", "broken HTTP"),
        ("/endless", "broken HTTP"),
        ("/split", "broken HTTP"),
        ("/identity", "ok"),
    ] {
        let (_host, jail) = staged(answer).await;
        let mut stream = jail.connect("a.test", 80).await;
        let answer = say(&mut stream, &get(path, "connection: close\r\n")).await;
        assert!(answer.contains(want), "{path}: {answer}");
        assert_eq!(jail.is_refused(), path != "/identity", "{path}");
    }
}

/// A host that answers before it has read everything, and one that goes away between requests.
#[tokio::test]
async fn hosts_with_ways_of_their_own() {
    fn once(_: &str) -> Vec<u8> {
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_vec()
    }
    let (host, jail) = staged(once).await;
    let mut stream = jail.connect("a.test", 80).await;
    for _ in 0..3 {
        say_until(&mut stream, &get("/", ""), "ok").await;
    }
    assert_eq!(host.connections(), 3, "a connection that the host ends is opened again");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        // Accepts and says nothing.
        let mut held = Vec::new();
        while let Ok(accepted) = listener.accept().await {
            held.push(accepted);
        }
    });
    let mut setup = Setup::new(&[format!("a.test:{port}")]).secret(&format!("a.test:{port}"));
    setup.quotas = Quotas { connect_ms_max: 200, ..setup.quotas };
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", 80).await;
    let answer = say(&mut stream, &get("/", "")).await;
    assert!(answer.contains("502 Bad Gateway") && answer.contains("within 200 ms"), "{answer}");
}

/// An event stream comes through event by event.
#[tokio::test]
async fn events_are_not_held_back() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    drop(listener);
    let (_host, jail) = staged(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ndata: 1\n\n".to_vec()).await;
    let mut stream = jail.connect("a.test", 80).await;
    let begun = say_until(&mut stream, &get("/", ""), "data: 1\n\n").await;
    assert!(begun.contains("content-length: 1000"), "{begun}");
    let more = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 1])).await;
    assert!(more.is_err(), "nothing more has come");
}

/// Rules that cannot be kept are refused before anything is served.
#[tokio::test]
async fn rules_that_cannot_be_kept() {
    let broker = Broker::new(Options::default()).expect("broker");
    let gateway = || {
        let dns_udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind").into();
        let dns_tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").into();
        Gateway { listeners: Vec::new(), dns_udp, dns_tcp }
    };
    let setup = Setup::new(&["b.test".to_owned()]).secret("a.test");
    let network = Network::hosts(vec![Host::parse("b.test").expect("host")]);
    let rules = Rules {
        network,
        secrets: setup.secrets,
        quotas: Quotas::default(),
        exceptions: Vec::new(),
        bounds: Bounds::default(),
    };
    let refused = broker.serve(gateway(), rules.clone(), std::sync::Arc::new(|_| {}));
    assert!(matches!(refused, Err(EgressError::Secret { .. })));
    assert!(broker.certificate_pem(&rules).expect("certificate").is_some());
    let none = Rules { secrets: Vec::new(), ..rules };
    assert_eq!(broker.certificate_pem(&none).expect("none needed"), None);
    let missing =
        Broker::new(Options { ca_file: Some("/nowhere/ca.pem".into()), ..Options::default() }).expect("broker");
    let rules = Rules {
        network: Network::hosts(vec![Host::parse("a.test").expect("host")]),
        secrets: Setup::new(&[]).secret("a.test").secrets,
        ..none
    };
    assert!(matches!(missing.serve(gateway(), rules, std::sync::Arc::new(|_| {})), Err(EgressError::Trust(_))));
}

#[test]
fn a_broker_needs_a_runtime() {
    let broker = Broker::new(Options::default()).expect("broker");
    let dns_udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind").into();
    let dns_tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").into();
    let gateway = Gateway { listeners: Vec::new(), dns_udp, dns_tcp };
    let rules = Rules {
        network: Network::None,
        secrets: Vec::new(),
        quotas: Quotas::default(),
        exceptions: Vec::new(),
        bounds: Bounds::default(),
    };
    assert!(matches!(broker.serve(gateway, rules, std::sync::Arc::new(|_| {})), Err(EgressError::NoRuntime)));
}

/// A client that stops in the middle of a body, and one that never reads, end without harm to the others.
#[tokio::test]
async fn clients_that_give_up() {
    let (host, jail) = staged(ok).await;
    let mut stream = jail.connect("a.test", 80).await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 50\r\n\r\nhalf").await.expect("write");
    stream.shutdown().await.expect("shutdown");
    assert!(!read_all(&mut stream).await.contains("200"));
    drop(stream);
    let mut stream = jail.connect("a.test", 80).await;
    soon(say_until(&mut stream, &get("/", ""), "ok")).await;
    assert!(host.seen().iter().all(|seen| seen.starts_with("GET")));
}
