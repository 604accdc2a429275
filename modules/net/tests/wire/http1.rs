//! HTTP/1.1 in the clear: what goes out, what comes back, what is reused, and what happens when a server misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::ground::{Server, answer, client, echo, fetch, fixed, get, header, read_request, short, text};
use aether_net::{Client, ClientOptions, HostPatterns, Limits, Method, NetError, Repeat, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn a_request_arrives_as_it_was_written() {
    let server = Server::start(|_, stream| echo(stream)).await;
    let request = Request::new(Method::POST, server.url("/a/b?c=d e#f"));
    let request =
        request.header("X-Mine", "one").expect("header").header("x-mine", "two").expect("header").body("hello");
    let (status, seen) = fetch(&client(), request).await.expect("answer");
    assert_eq!(status, 200);
    assert!(seen.starts_with("POST /a/b?c=d%20e HTTP/1.1\r\n"), "{seen}");
    assert_eq!(header(&seen, "host"), Some(server.address.to_string()));
    assert_eq!(header(&seen, "content-length").as_deref(), Some("5"));
    assert_eq!(header(&seen, "user-agent").as_deref(), Some(concat!("aether/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.matches("x-mine: ").count(), 2);
    assert!(seen.ends_with("\r\n\r\nhello"), "{seen}");

    let empty = Request::new(Method::POST, server.url("/")).header("user-agent", "mine").expect("header");
    let (_, seen) = fetch(&client(), empty).await.expect("answer");
    assert_eq!(header(&seen, "content-length").as_deref(), Some("0"));
    assert_eq!(header(&seen, "user-agent").as_deref(), Some("mine"));
    let (_, seen) = fetch(&client(), get(server.url("/"))).await.expect("answer");
    assert_eq!(header(&seen, "content-length"), None);
}

#[tokio::test]
async fn a_large_body_goes_up_whole() {
    let server = Server::start(|_, mut stream| async move {
        let Some((_, body)) = read_request(&mut stream).await? else { return Ok(()) };
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        let text = format!("{} {sum}", body.len());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        stream.write_all(head.as_bytes()).await
    })
    .await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    let want = format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    let request = Request::new(Method::PUT, server.url("/")).body(body);
    assert_eq!(fetch(&client(), request).await.expect("answer"), (200, want));
}

/// N1: a redirect is an answer like any other, and the caller resolves it.
#[tokio::test]
async fn redirects_are_not_followed() {
    let server = fixed(b"HTTP/1.1 302 Found\r\nLocation: ../x?y\r\ncontent-length: 0\r\n\r\n").await;
    let url = server.url("/a/b/c");
    let response = client().send(get(url.clone())).await.expect("answer");
    assert_eq!((response.status(), server.accepted()), (302, 1));
    let next = url.join(response.header("location").expect("location")).expect("address");
    assert_eq!(next.target(), "/a/x?y");
    let names: Vec<&str> = response.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["location", "content-length"]);
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let server = fixed(bytes).await;
    assert_eq!(fetch(&client(), get(server.url("/"))).await, Ok((200, "ok".to_owned())));
}

/// However the bytes are cut on their way, the answer is the same.
#[tokio::test]
async fn dribbled_answers_read_the_same() {
    const ANSWERS: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nx: y\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: z\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nz: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello world",
    ];
    for (number, bytes) in ANSWERS.into_iter().enumerate() {
        let server = Server::start(move |_, mut stream| async move {
            stream.set_nodelay(true)?;
            read_request(&mut stream).await?;
            for byte in bytes {
                stream.write_all(&[*byte]).await?;
                tokio::task::yield_now().await;
            }
            stream.shutdown().await
        })
        .await;
        let got = fetch(&client(), get(server.url("/"))).await;
        assert_eq!(got, Ok((200, "hello world".to_owned())), "answer {number}");
    }
}

#[tokio::test]
async fn a_connection_read_to_its_end_is_used_again() {
    let server = Server::start(|_, stream| echo(stream)).await;
    let client = client();
    for _ in 0..5 {
        fetch(&client, get(server.url("/"))).await.expect("answer");
        assert_eq!(client.open_connections(), 1);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn answers_without_a_body_free_their_connection_at_once() {
    let server = Server::start(|_, mut stream| async move {
        while let Some((head, _)) = read_request(&mut stream).await? {
            let answer: &[u8] = if head.starts_with("HEAD") {
                b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
            } else {
                b"HTTP/1.1 204 No Content\r\n\r\n"
            };
            stream.write_all(answer).await?;
        }
        Ok(())
    })
    .await;
    let client = client();
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::HEAD] {
        let mut response = client.send(Request::new(method, server.url("/"))).await.expect("answer");
        assert_eq!(client.open_connections(), 1);
        assert_eq!(response.chunk().await, Ok(None));
        assert_eq!(response.chunk().await, Ok(None));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_is_not_read_to_its_end_is_closed() {
    let server = Server::start(|_, mut stream| async move {
        while read_request(&mut stream).await?.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await?;
        }
        Ok(())
    })
    .await;
    let client = client();
    let mut response = client.send(get(server.url("/"))).await.expect("answer");
    assert_eq!(response.chunk().await.expect("piece").as_deref(), Some(&b"hello"[..]));
    assert_eq!(response.bytes_read(), 5);
    drop(response);
    assert_eq!(client.open_connections(), 0);
    drop(client.send(get(server.url("/"))).await.expect("answer"));
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_server_that_says_close_is_believed() {
    let server = fixed(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    let client = client();
    for number in 1..4 {
        fetch(&client, get(server.url("/"))).await.expect("answer");
        assert_eq!((server.accepted(), client.open_connections()), (number, 0));
    }
}

/// N7: connections at rest are counted, and closed in time.
#[tokio::test]
async fn rest_is_bounded_in_number_and_time() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let start = || {
        let count = Arc::clone(&count);
        Server::start(move |_, stream| {
            let count = Arc::clone(&count);
            async move {
                let end = echo(stream).await;
                count.fetch_add(1, Ordering::SeqCst);
                end
            }
        })
    };
    let (one, two) = (start().await, start().await);
    let client = Client::new(ClientOptions {
        idle_per_origin_max: 2,
        idle_max: 3,
        idle_ms_max: 1_500,
        ..ClientOptions::default()
    });
    for (server, open) in [(&one, 2), (&two, 3)] {
        let requests: Vec<_> = (0..5)
            .map(|_| {
                let (client, url) = (client.clone(), server.url("/"));
                tokio::spawn(async move { client.send(get(url)).await.expect("answer") })
            })
            .collect();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(request.await.expect("joined"));
        }
        for mut answer in answers {
            text(&mut answer).await.expect("body");
        }
        assert_eq!(client.open_connections(), open);
    }
    assert_eq!((one.accepted(), two.accepted()), (5, 5));
    for _ in 0..300 {
        sleep(Duration::from_millis(20)).await;
        if closed.load(Ordering::SeqCst) == 10 {
            break;
        }
    }
    assert_eq!((client.open_connections(), closed.load(Ordering::SeqCst)), (0, 10));
    fetch(&client, get(one.url("/"))).await.expect("and it goes on");
    assert_eq!(client.open_connections(), 1);
}

/// A server whose connections each report their end.
async fn reporting() -> (Server, mpsc::Receiver<usize>) {
    let (report, ends) = mpsc::channel(16);
    let server = Server::start(move |number, stream| {
        let report = report.clone();
        async move {
            let end = echo(stream).await;
            report.send(number).await.expect("the test listens");
            end
        }
    })
    .await;
    (server, ends)
}

async fn next(ends: &mut mpsc::Receiver<usize>) -> usize {
    timeout(Duration::from_secs(5), ends.recv()).await.expect("in time").expect("a report")
}

/// N7: with the client go its connections.
#[tokio::test]
async fn dropping_the_client_closes_everything() {
    let (server, mut ends) = reporting().await;
    let client = client();
    fetch(&client, get(server.url("/"))).await.expect("answer");
    assert!(ends.try_recv().is_err());
    drop(client);
    assert_eq!(next(&mut ends).await, 1);
}

#[tokio::test]
async fn dropping_a_request_closes_its_connection() {
    let (report, mut ends) = mpsc::channel(1);
    let server = Server::start(move |_, mut stream| {
        let report = report.clone();
        async move {
            read_request(&mut stream).await?;
            let left = stream.read(&mut [0; 16]).await?;
            report.send(left).await.expect("the test listens");
            Ok(())
        }
    })
    .await;
    let client = client();
    let waiting = timeout(Duration::from_millis(100), client.send(get(server.url("/")))).await;
    assert!(waiting.is_err(), "the server does not answer");
    assert_eq!(next(&mut ends).await, 0, "the end of the stream");
}

/// A server that closes its connections after the first answer, once it has read the next request.
async fn forgetful() -> Server {
    Server::start(|number, mut stream| async move {
        let Some(_) = read_request(&mut stream).await? else { return Ok(()) };
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
        stream.write_all(text.as_bytes()).await?;
        read_request(&mut stream).await?;
        Ok(())
    })
    .await
}

/// N5: on a reused connection that closes unanswered, what may be repeated is repeated, once.
#[tokio::test]
async fn a_stale_connection_costs_no_answer() {
    let server = forgetful().await;
    let client = client();
    assert_eq!(fetch(&client, get(server.url("/"))).await, Ok((200, "1".to_owned())));
    assert_eq!(fetch(&client, get(server.url("/"))).await, Ok((200, "2".to_owned())));
    let post = |repeat| Request::new(Method::POST, server.url("/")).body("x").repeat(repeat);
    assert_eq!(fetch(&client, post(Repeat::Harmless)).await, Ok((200, "3".to_owned())));
    let refused = fetch(&client, post(Repeat::ByMethod)).await;
    assert_eq!(refused, Err(NetError::Cut { host: server.address.to_string().into(), bytes: None }));
    assert_eq!(server.accepted(), 3);
}

/// N5: a connection's first request is not repeated, whatever it is.
#[tokio::test]
async fn a_fresh_connection_that_closes_is_an_error() {
    let server = fixed(b"").await;
    let refused = fetch(&client(), get(server.url("/")).repeat(Repeat::Harmless)).await;
    assert_eq!(refused, Err(NetError::Cut { host: server.address.to_string().into(), bytes: None }));
    assert_eq!(server.accepted(), 1);
}

/// N5: what the server closed while it rested is noticed before anything is sent on it.
#[tokio::test]
async fn a_connection_closed_at_rest_is_not_used() {
    let server = fixed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let client = client();
    for number in 1..4 {
        let request = Request::new(Method::POST, server.url("/")).body("x");
        assert_eq!(fetch(&client, request).await, Ok((200, "ok".to_owned())));
        assert_eq!(server.accepted(), number);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn cut_answers_say_how_far_they_came() {
    const CUTS: [(&[u8], Option<u64>); 6] = [
        (b"", None),
        (b"HTTP/1.1 200 O", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", Some(0)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", Some(5)),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", Some(5)),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", Some(3)),
    ];
    for (bytes, want) in CUTS {
        let server = fixed(bytes).await;
        let got = fetch(&client(), get(server.url("/"))).await;
        let cut = NetError::Cut { host: server.address.to_string().into(), bytes: want };
        assert_eq!(got, Err(cut), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    let garbage: [&[u8]; 6] = [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16 no TLS here either\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: minus\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello",
    ];
    for bytes in garbage {
        let server = fixed(bytes).await;
        let got = fetch(&client(), get(server.url("/"))).await;
        assert!(matches!(got, Err(NetError::Protocol { .. })), "{got:?} to {:?}", String::from_utf8_lossy(bytes));
    }
    let endless = Server::start(|_, mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream.write_all(b"x-more: and more and more and more and more and more\r\n").await?;
        }
    })
    .await;
    let got = fetch(&client(), get(endless.url("/"))).await;
    assert!(matches!(got, Err(NetError::Protocol { .. })), "{got:?}");
}

/// N4: a body without end is read up to its limit and no further.
#[tokio::test]
async fn a_hundred_megabytes_stop_at_the_limit() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let done = Arc::new(Notify::new());
    let over = Arc::clone(&done);
    let server = Server::start(move |_, mut stream| {
        let (count, over) = (Arc::clone(&count), Arc::clone(&over));
        async move {
            read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await?;
            while stream.write_all(&[b'x'; 10_000]).await.is_ok() {
                count.fetch_add(10_000, Ordering::SeqCst);
            }
            over.notify_one();
            Ok(())
        }
    })
    .await;
    let client = client();
    let limits = Limits { body_bytes_max: 1_000_000, ..short() };
    let mut response = client.send(get(server.url("/")).limits(limits)).await.expect("answer");
    let mut bytes = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => panic!("the body ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, NetError::TooLarge { host: server.address.to_string().into(), bytes_max: 1_000_000 });
    assert!(bytes <= 1_000_000, "{bytes} bytes were handed out");
    assert_eq!(response.chunk().await, Ok(None), "after an error the body is at its end");
    timeout(Duration::from_secs(5), done.notified()).await.expect("the connection is closed");
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < 50_000_000, "the server could send {sent} bytes");
    assert_eq!(client.open_connections(), 0);
    let exact = Limits { body_bytes_max: 5, ..short() };
    let server = fixed(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let mut response = client.send(get(server.url("/")).limits(exact)).await.expect("answer");
    assert_eq!(text(&mut response).await.as_deref(), Ok("hello"));
}

/// N4: each wait has a limit of its own, and its own error.
#[tokio::test]
async fn waits_end() {
    let silent = Server::start(|_, mut stream| async move {
        read_request(&mut stream).await?;
        sleep(Duration::from_secs(60)).await;
        Ok(())
    })
    .await;
    let stalled = Server::start(|_, mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await?;
        sleep(Duration::from_secs(60)).await;
        Ok(())
    })
    .await;
    let dripping = Server::start(|_, mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n").await?;
        loop {
            sleep(Duration::from_millis(20)).await;
            stream.write_all(b"x").await?;
        }
    })
    .await;
    let begun = Instant::now();
    let try_with = async |server: &Server, limits: Limits| {
        let mut response = client().send(get(server.url("/")).limits(limits)).await?;
        text(&mut response).await
    };
    let host = |server: &Server| Box::<str>::from(server.address.to_string());
    let got = try_with(&silent, Limits { headers_ms_max: 150, ..short() }).await;
    assert_eq!(got, Err(NetError::HeadersTimeout { host: host(&silent), ms: 150 }));
    let got = try_with(&silent, Limits { total_ms_max: 150, ..short() }).await;
    assert_eq!(got, Err(NetError::TotalTimeout { host: host(&silent), ms: 150 }));
    let got = try_with(&stalled, Limits { idle_ms_max: 400, ..short() }).await;
    assert_eq!(got, Err(NetError::IdleTimeout { host: host(&stalled), ms: 400, bytes: 5 }));
    let got = try_with(&dripping, Limits { total_ms_max: 600, ..short() }).await;
    assert_eq!(got, Err(NetError::TotalTimeout { host: host(&dripping), ms: 600 }));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let url = aether_net::Url::parse(&format!("http://{address}/")).expect("url");
    let got = fetch(&client(), get(url)).await;
    assert_eq!(got, Err(NetError::Refused { host: address.to_string().into(), address }));

    let url = aether_net::Url::parse(&format!("http://localhost:{}/", address.port())).expect("url");
    let got = fetch(&client(), get(url)).await;
    assert!(matches!(got, Err(NetError::Refused { .. })), "{got:?}");

    let url = aether_net::Url::parse("https://no-such-host.invalid/").expect("url");
    let got = fetch(&client(), get(url)).await;
    assert!(matches!(&got, Err(NetError::Dns { host, .. }) if &**host == "no-such-host.invalid:443"), "{got:?}");

    let url = aether_net::Url::parse("https://255.255.255.255/").expect("url");
    let got = fetch(&client(), get(url)).await;
    assert!(matches!(got, Err(NetError::Unreachable { .. })), "{got:?}");
}

/// `localhost` is this machine by both of its addresses, without asking anyone (N9).
#[tokio::test]
async fn localhost_is_tried_at_both_addresses() {
    let server = match Server::start_at("[::1]:0", |_, stream| echo(stream)).await {
        Ok(server) => server,
        // A machine without IPv6 has only the first.
        Err(_) => Server::start(|_, stream| echo(stream)).await,
    };
    let url = aether_net::Url::parse(&format!("http://localhost:{}/", server.address.port())).expect("url");
    assert_eq!(fetch(&client(), get(url)).await.expect("answer").0, 200);
}

/// N2: nothing leaves the machine in the clear unless it was named.
#[tokio::test]
async fn plaintext_stays_on_this_machine() {
    for url in ["http://8.8.8.8/", "http://10.1.2.3/", "http://[2606:4700::1111]/", "http://192.168.1.1:8080/"] {
        let url = aether_net::Url::parse(url).expect("url");
        let host = url.host_and_port().into();
        assert_eq!(fetch(&client(), get(url)).await, Err(NetError::Plaintext { host }));
    }
    let named = Client::new(ClientOptions {
        plaintext_hosts: HostPatterns::parse("10.0.0.0/8,8.8.8.8").0,
        ..ClientOptions::default()
    });
    let public = aether_net::Url::parse("http://8.8.8.8/").expect("url");
    assert!(matches!(fetch(&named, get(public)).await, Err(NetError::Plaintext { .. })), "never to a public address");
}

/// N3: what is not public is refused before a connection is made.
#[tokio::test]
async fn only_public_addresses_when_asked() {
    let server = Server::start(|_, stream| echo(stream)).await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "a.localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "[::]",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[::7f00:1]",
        "printer.local",
        "metadata.google.internal",
        "intranet",
    ] {
        for scheme in ["http", "https"] {
            let url = aether_net::Url::parse(&format!("{scheme}://{host}:{port}/")).expect(host);
            let got = fetch(&client(), get(url).reach(aether_net::Reach::PublicOnly)).await;
            assert!(matches!(got, Err(NetError::Private { .. })), "{scheme}://{host}: {got:?}");
        }
    }
    assert_eq!(server.accepted(), 0);
    // A connection that was opened without the check is not used by a request that asks for it.
    let client = client();
    fetch(&client, get(server.url("/"))).await.expect("answer");
    let got = fetch(&client, get(server.url("/")).reach(aether_net::Reach::PublicOnly)).await;
    assert!(matches!(got, Err(NetError::Private { .. })), "{got:?}");
}

/// N4: a listener that does not accept costs the connect limit, no more.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_listener_is_a_connect_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket.bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let listener = socket.listen(1).expect("listen");
    let address = listener.local_addr().expect("address");
    let mut fillers = Vec::new();
    while let Ok(Ok(filler)) = timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await {
        fillers.push(filler);
        assert!(fillers.len() < 16, "the listener never fills");
    }
    let url = aether_net::Url::parse(&format!("http://{address}/")).expect("url");
    let limits = Limits { connect_ms_max: 200, ..short() };
    let got = client().send(get(url).limits(limits)).await.expect_err("nobody accepts");
    let want =
        NetError::ConnectTimeout { host: address.to_string().into(), ms: 200, stage: aether_net::Stage::Connect };
    assert_eq!(got, want);
}

/// N6: errors and debug output name the host and nothing of the request.
#[tokio::test]
async fn errors_keep_secrets() {
    let server =
        Server::start(|_, stream| answer(stream, b"HTTP/1.1 200 OK\r\nx: hunter2\r\ncontent-length: 9\r\n\r\nhunter2"))
            .await;
    let url = server.url("/hunter2?key=hunter2");
    let request =
        Request::new(Method::POST, url).header("authorization", "Bearer hunter2").expect("header").body("hunter2");
    let mut response = client().send(request.limits(short())).await.expect("answer");
    assert!(!format!("{response:?}").contains("hunter2"));
    let error = response.read_to_end().await.expect_err("cut");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let connect = Request::new(Method::CONNECT, server.url("/"));
    assert!(matches!(client().send(connect).await, Err(NetError::Request { .. })));
}

#[tokio::test]
async fn many_at_once() {
    let server = Server::start(|_, stream| echo(stream)).await;
    let client = client();
    let requests: Vec<_> = (0..200)
        .map(|number| {
            let (client, url) = (client.clone(), server.url(&format!("/{number}")));
            tokio::spawn(async move { (number, fetch(&client, get(url)).await) })
        })
        .collect();
    for request in requests {
        let (number, got) = request.await.expect("joined");
        let (_, seen) = got.expect("answer");
        assert!(seen.starts_with(&format!("GET /{number} ")), "{seen}");
    }
    assert!(client.open_connections() <= 64);
}

/// A server that answers before it has read the whole request is heard, and its connection is not used again.
#[tokio::test]
async fn an_early_answer_is_heard() {
    let server = Server::start(|_, mut stream| async move {
        stream.read_exact(&mut [0; 1024]).await?;
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nstop").await?;
        // The rest of the request is never read: the client must not wait until it could send it.
        sleep(Duration::from_millis(500)).await;
        Ok(())
    })
    .await;
    let client = client();
    let request = Request::new(Method::POST, server.url("/")).body(vec![b'x'; 20_000_000]);
    assert_eq!(fetch(&client, request).await, Ok((413, "stop".to_owned())));
    assert_eq!(client.open_connections(), 0);
}

/// A server that sends its answer while it still reads the request gets all of the request.
#[tokio::test]
async fn both_directions_at_once() {
    let server = Server::start(|_, mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let length: usize =
            header(&String::from_utf8_lossy(&head), "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await?;
        let (mut seen, mut piece) = (0, vec![0; 4096]);
        while seen < length {
            let bytes = stream.read(&mut piece).await?;
            stream.write_all(&piece[..bytes]).await?;
            seen += bytes;
        }
        read_request(&mut stream).await.map(|_| ())
    })
    .await;
    let client = client();
    let body: Vec<u8> = (0..12_000_000_u32).map(|at| (at % 253) as u8).collect();
    let request = Request::new(Method::POST, server.url("/")).body(body.clone()).limits(short());
    let mut response = client.send(request).await.expect("answer");
    assert!(response.read_to_end().await.expect("body") == body, "every byte went there and back");
    assert_eq!(client.open_connections(), 1, "and the connection is clean");
}

/// Bytes that follow an answer unasked are never taken for the next one.
#[tokio::test]
async fn what_follows_an_answer_is_not_the_next_answer() {
    let smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad";
    let server = Server::start(move |_, mut stream| async move {
        while read_request(&mut stream).await?.is_some() {
            stream.write_all(smuggled).await?;
        }
        Ok(())
    })
    .await;
    let client = client();
    for number in 1..4 {
        assert_eq!(fetch(&client, get(server.url("/"))).await, Ok((200, "ok".to_owned())));
        assert_eq!((server.accepted(), client.open_connections()), (number, 0));
    }
}

/// Futures may move between threads, and what waits is small.
#[tokio::test]
async fn a_waiting_request_is_small() {
    fn sendable<T: Send>(value: T) -> usize {
        size_of_val(&value)
    }
    let client = client();
    let bytes = sendable(client.send(get(aether_net::Url::parse("https://example.com/").expect("url"))));
    assert!(bytes <= 2_048, "the future of a request has {bytes} bytes");
}
