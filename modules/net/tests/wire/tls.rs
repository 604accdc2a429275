//! HTTP inside TLS: certificates and their faults.

use std::time::Duration;

use aether_net::{Client, ClientOptions, Limits, NetError, Stage, TlsFault};
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use crate::ground::{Authority, Server, Validity, all, client, echo, fetch, fixed, get, short};

#[tokio::test]
async fn a_named_authority_is_trusted_and_others_are_not() {
    let authority = Authority::new();
    let server = authority.echo().await;
    let client = authority.client();
    for _ in 0..3 {
        let (status, seen) = fetch(&client, get(server.https("localhost", "/x"))).await.expect("answer");
        assert!(status == 200 && seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}");
    }
    assert_eq!(server.accepted(), 1, "the connection is reused");
    let by_address = authority.echo_as("127.0.0.1", Validity::Now).await;
    fetch(&client, get(by_address.https("127.0.0.1", "/"))).await.expect("certificates may name addresses");
}

async fn fault(client: &Client, server: &Server, host: &str) -> TlsFault {
    match fetch(client, get(server.https(host, "/"))).await {
        Err(NetError::Tls { host: named, fault }) => {
            assert_eq!(*named, *format!("{host}:{}", server.address.port()));
            fault
        }
        other => panic!("{other:?}"),
    }
}

/// N8: a certificate is checked in every respect, and each fault has its own sentence.
#[tokio::test]
async fn certificates_are_checked() {
    let authority = Authority::new();
    let trusting = authority.client();
    let good = authority.echo().await;
    assert_eq!(fault(&client(), &good, "localhost").await, TlsFault::UnknownIssuer);
    assert_eq!(fault(&Authority::new().client(), &good, "localhost").await, TlsFault::UnknownIssuer);
    assert_eq!(fault(&trusting, &good, "127.0.0.1").await, TlsFault::WrongName);
    let old = authority.echo_as("localhost", Validity::Past).await;
    assert_eq!(fault(&trusting, &old, "localhost").await, TlsFault::Expired);
    let young = authority.echo_as("localhost", Validity::Future).await;
    assert_eq!(fault(&trusting, &young, "localhost").await, TlsFault::NotYetValid);
    let other = authority.echo_as("other.test", Validity::Now).await;
    assert_eq!(fault(&trusting, &other, "localhost").await, TlsFault::WrongName);
}

#[tokio::test]
async fn what_is_not_tls_is_said_to_be_none() {
    let authority = Authority::new();
    let plain = Server::start(|_, mut stream| async move {
        use tokio::io::AsyncWriteExt;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await
    })
    .await;
    assert_eq!(fault(&authority.client(), &plain, "localhost").await, TlsFault::NotTls);
    let closing = Server::start(|_, mut stream| async move { stream.read(&mut [0; 4096]).await.map(|_| ()) }).await;
    assert_eq!(fault(&authority.client(), &closing, "localhost").await, TlsFault::Closed);
    let missing = Client::new(ClientOptions { ca_file: Some("/nowhere/ca.pem".into()), ..ClientOptions::default() });
    let found = fault(&missing, &closing, "localhost").await;
    assert!(matches!(&found, TlsFault::CaFile { path, .. } if &**path == "/nowhere/ca.pem"), "{found}");
}

/// N4: a server that accepts and then says nothing costs the connect limit.
#[tokio::test]
async fn a_silent_handshake_ends() {
    let silent = Server::start(|_, stream| async move {
        sleep(Duration::from_secs(60)).await;
        drop(stream);
        Ok(())
    })
    .await;
    let host: Box<str> = format!("localhost:{}", silent.address.port()).into();
    let request = |limits| get(silent.https("localhost", "/")).limits(limits);
    let client = client();
    let got = client.send(request(Limits { connect_ms_max: 200, ..short() })).await.expect_err("silence");
    assert_eq!(got, NetError::ConnectTimeout { host: host.clone(), ms: 200, stage: Stage::Tls });
    let got = client.send(request(Limits { total_ms_max: 200, ..short() })).await.expect_err("silence");
    assert_eq!(got, NetError::TotalTimeout { host: host.clone(), ms: 200 });
    // Of two at once, one shakes hands and the other waits whether there will be a connection to share.
    let limits = |ms| Limits { connect_ms_max: ms, ..short() };
    let (first, second) = tokio::join!(client.send(request(limits(600))), client.send(request(limits(300))));
    assert_eq!(first.err(), Some(NetError::ConnectTimeout { host: host.clone(), ms: 600, stage: Stage::Tls }));
    assert_eq!(second.err(), Some(NetError::ConnectTimeout { host, ms: 300, stage: Stage::Queue }));
}

/// N4 for bodies whose end is the end of the connection: without TLS's own goodbye it is a cut, not an end.
#[tokio::test]
async fn an_unannounced_end_of_tls_is_a_cut() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", Validity::Now, &[b"http/1.1"]);
    let server = Server::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            use tokio::io::AsyncWriteExt;
            let mut stream = acceptor.accept(stream).await?;
            crate::ground::read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await?;
            stream.flush().await?;
            // Not `shutdown`: the socket below closes without a word.
            Ok(())
        }
    })
    .await;
    let got = fetch(&authority.client(), get(server.https("localhost", "/"))).await;
    assert!(matches!(got, Err(NetError::Cut { bytes: Some(5), .. })), "{got:?}");
}

/// A server without HTTP/2 is spoken to in HTTP/1.1 by all who waited.
#[tokio::test]
async fn the_protocol_is_the_servers_choice() {
    let authority = Authority::new();
    let server = authority.echo().await;
    let client = authority.client();
    for answer in all(&client, &server, "/", 8).await {
        let (_, seen) = answer.expect("answer");
        assert!(seen.starts_with("GET / HTTP/1.1\r\n"), "{seen}");
    }
    assert!(server.accepted() <= 8);
}

/// A plain server and a TLS one on one port number are two origins.
#[tokio::test]
async fn schemes_do_not_share_connections() {
    let server = Server::start(|_, stream| echo(stream)).await;
    let client = client();
    fetch(&client, get(server.url("/"))).await.expect("answer");
    let limits = Limits { connect_ms_max: 300, ..short() };
    let got = client.send(get(server.https("127.0.0.1", "/")).limits(limits)).await;
    assert!(matches!(got, Err(NetError::ConnectTimeout { stage: Stage::Tls, .. })), "{got:?}");
    let odd = fixed(b"").await;
    let host: Box<str> = odd.address.to_string().into();
    assert_eq!(fetch(&client, get(odd.url("/"))).await, Err(NetError::Cut { host, bytes: None }));
}
