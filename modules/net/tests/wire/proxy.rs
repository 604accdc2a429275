//! Ways through a proxy: tunnels, requests in absolute form, exceptions, and proxies that refuse.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_net::{Client, ClientOptions, HostPatterns, Limits, NetError, Proxy, Reach, Stage, Url};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::ground::{Authority, Server, Validity, answer, echo, fetch, fixed, get, header, read_request, short};

/// The heads that a proxy was given.
type Heads = Arc<Mutex<Vec<String>>>;

/// Opens the tunnel that is asked for, always to the same server: a proxy resolves names its own way.
async fn tunnel_to<S>(mut stream: S, origin: std::net::SocketAddr, heads: Heads) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some((head, _)) = read_request(&mut stream).await? else { return Ok(()) };
    heads.lock().expect("heads").push(head);
    let mut onward = TcpStream::connect(origin).await?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nx-proxy: yes\r\n\r\n").await?;
    stream.flush().await?;
    copy_bidirectional(&mut stream, &mut onward).await.map(|_| ())
}

async fn tunnelling(origin: &Server) -> (Server, Heads) {
    let heads = Heads::default();
    let (to, seen) = (origin.address, Arc::clone(&heads));
    (Server::start(move |_, stream| tunnel_to(stream, to, Arc::clone(&seen))).await, heads)
}

/// A client with these variables set.
fn with(options: ClientOptions, variables: &[(&str, String)]) -> Client {
    let proxy =
        Proxy::from_environment(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()));
    Client::new(ClientOptions { proxy: proxy.expect("variables"), ..options })
}

fn url(text: &str) -> Url {
    Url::parse(text).expect(text)
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let origin = authority.echo_as("origin.test", Validity::Now).await;
    let (proxy, heads) = tunnelling(&origin).await;
    let at = format!("http://Aladdin:open%20sesame@{}", proxy.address);
    let client = with(authority.options(), &[("HTTPS_PROXY", at)]);
    for _ in 0..3 {
        let (_, seen) = fetch(&client, get(url("https://origin.test/x"))).await.expect("answer");
        assert!(seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}");
        assert_eq!(header(&seen, "host").as_deref(), Some("origin.test"));
        assert!(!seen.contains("proxy-authorization"), "the origin learns nothing of the proxy: {seen}");
    }
    assert_eq!((proxy.accepted(), origin.accepted()), (1, 1), "the tunnel is reused");
    let heads = heads.lock().expect("heads");
    let [head] = &heads[..] else { panic!("{heads:?}") };
    assert!(head.starts_with("CONNECT origin.test:443 HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "host").as_deref(), Some("origin.test:443"));
    assert_eq!(header(head, "proxy-authorization").as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

/// N8: the certificate is the origin's business, whatever stands between.
#[tokio::test]
async fn a_tunnel_does_not_weaken_the_check() {
    let authority = Authority::new();
    let origin = authority.echo_as("other.test", Validity::Now).await;
    let (proxy, _) = tunnelling(&origin).await;
    let client = with(authority.options(), &[("ALL_PROXY", proxy.address.to_string())]);
    let got = fetch(&client, get(url("https://origin.test/"))).await;
    assert!(matches!(&got, Err(NetError::Tls { host, .. }) if &**host == "origin.test:443"), "{got:?}");
}

#[tokio::test]
async fn a_proxy_may_speak_tls_itself() {
    let authority = Authority::new();
    let origin = authority.echo_as("origin.test", Validity::Now).await;
    let acceptor = authority.acceptor("localhost", Validity::Now, &[b"h2", b"http/1.1"]);
    let (to, heads) = (origin.address, Heads::default());
    let seen = Arc::clone(&heads);
    let proxy = Server::start(move |_, stream| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        async move { tunnel_to(acceptor.accept(stream).await?, to, seen).await }
    })
    .await;
    let at = format!("https://localhost:{}", proxy.address.port());
    let client = with(authority.options(), &[("https_proxy", at.clone())]);
    assert_eq!(fetch(&client, get(url("https://origin.test/"))).await.expect("answer").0, 200);
    assert_eq!(heads.lock().expect("heads").len(), 1);
    let distrusting = with(ClientOptions::default(), &[("https_proxy", at)]);
    let got = fetch(&distrusting, get(url("https://origin.test/"))).await;
    assert!(matches!(&got, Err(NetError::Proxy { .. })), "{got:?}");
}

#[tokio::test]
async fn exceptions_and_this_machine_go_direct() {
    let authority = Authority::new();
    let origin = authority.echo().await;
    let (proxy, heads) = tunnelling(&origin).await;
    let client = with(authority.options(), &[("ALL_PROXY", proxy.address.to_string())]);
    fetch(&client, get(origin.https("localhost", "/"))).await.expect("answer");
    assert_eq!((proxy.accepted(), heads.lock().expect("heads").len()), (0, 0));
    let spared = with(
        ClientOptions::default(),
        &[("ALL_PROXY", proxy.address.to_string()), ("NO_PROXY", ".invalid".to_owned())],
    );
    let got = fetch(&spared, get(url("https://no-such-host.invalid/"))).await;
    assert!(matches!(got, Err(NetError::Dns { .. })), "{got:?}");
    assert_eq!(proxy.accepted(), 0);
}

/// N2 through a proxy: only a host that the options name, in absolute form.
#[tokio::test]
async fn plaintext_through_a_proxy_only_to_named_hosts() {
    let proxy = Server::start(|_, stream| echo(stream)).await;
    let variables = [("http_proxy", format!("me:secret@{}", proxy.address))];
    let options =
        ClientOptions { plaintext_hosts: HostPatterns::parse("nas.test,8.8.8.8").0, ..ClientOptions::default() };
    let client = with(options, &variables);
    for _ in 0..2 {
        let (_, seen) = fetch(&client, get(url("http://nas.test:8080/a?b"))).await.expect("answer");
        assert!(seen.starts_with("GET http://nas.test:8080/a?b HTTP/1.1\r\n"), "{seen}");
        assert_eq!(header(&seen, "host").as_deref(), Some("nas.test:8080"));
        assert_eq!(header(&seen, "proxy-authorization").as_deref(), Some("Basic bWU6c2VjcmV0"));
    }
    assert_eq!(proxy.accepted(), 1);
    for refused in ["http://other.test/", "http://8.8.8.8/"] {
        let got = fetch(&client, get(url(refused))).await;
        assert!(matches!(got, Err(NetError::Plaintext { .. })), "{refused}: {got:?}");
    }
    assert_eq!(proxy.accepted(), 1);
}

/// N3 through a proxy: literals and local names are refused here, other names are the proxy's to resolve.
#[tokio::test]
async fn only_public_addresses_through_a_proxy() {
    let authority = Authority::new();
    let origin = authority.echo_as("origin.test", Validity::Now).await;
    let (proxy, heads) = tunnelling(&origin).await;
    let client = with(authority.options(), &[("ALL_PROXY", proxy.address.to_string())]);
    for refused in ["https://10.0.0.1/", "https://[fd00::1]/", "https://localhost/", "https://vault.internal/"] {
        let got = fetch(&client, get(url(refused)).reach(Reach::PublicOnly)).await;
        assert!(matches!(got, Err(NetError::Private { .. })), "{refused}: {got:?}");
    }
    assert_eq!(proxy.accepted(), 0);
    let got = fetch(&client, get(url("https://origin.test/")).reach(Reach::PublicOnly)).await;
    assert_eq!(got.expect("answer").0, 200);
    assert_eq!(heads.lock().expect("heads").len(), 1);
}

/// What the client says of a proxy that behaves like this.
async fn complaint(proxy: &Server) -> String {
    let client = with(ClientOptions::default(), &[("HTTPS_PROXY", format!("me:hunter2@{}", proxy.address))]);
    let error = fetch(&client, get(url("https://origin.test/"))).await.expect_err("no tunnel");
    let NetError::Proxy { proxy: named, .. } = &error else { panic!("{error:?}") };
    assert_eq!(**named, *proxy.address.to_string());
    let sentence = error.to_string();
    assert!(!sentence.contains("hunter2") && sentence.contains(": "), "{sentence}");
    sentence
}

#[tokio::test]
async fn proxies_that_refuse_are_named() {
    let answers: [(&[u8], &str); 5] = [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants a user and a password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "does not connect to origin.test:443 (status 403)"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 200", "broke off"),
        (b"", "broke off"),
    ];
    for (bytes, want) in answers {
        let sentence = complaint(&fixed(bytes).await).await;
        assert!(sentence.contains(want), "{sentence}");
    }
    let endless = Server::start(|_, mut stream| async move {
        read_request(&mut stream).await?;
        loop {
            stream.write_all(b"HTTP/1.1 200 OK, and so on and so on").await?;
        }
    })
    .await;
    let sentence = complaint(&endless).await;
    assert!(sentence.contains("more than 8192 bytes"), "{sentence}");
    let gone = fixed(b"").await;
    let address = gone.address;
    drop(gone);
    sleep(Duration::from_millis(20)).await;
    let client = with(ClientOptions::default(), &[("HTTPS_PROXY", address.to_string())]);
    let got = fetch(&client, get(url("https://origin.test/"))).await.expect_err("nobody").to_string();
    assert!(got.starts_with(&format!("the proxy {address} refused the connection")), "{got}");
    let nameless = with(ClientOptions::default(), &[("HTTPS_PROXY", "no-such-proxy.invalid".to_owned())]);
    let got = fetch(&nameless, get(url("https://origin.test/"))).await.expect_err("no name").to_string();
    assert!(got.starts_with("the proxy no-such-proxy.invalid:80 has no address"), "{got}");
}

#[tokio::test]
async fn a_407_from_a_forwarding_proxy_is_the_proxys() {
    let proxy = Server::start(|_, stream| answer(stream, b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")).await;
    let options = ClientOptions { plaintext_hosts: HostPatterns::parse("nas.test").0, ..ClientOptions::default() };
    let client = with(options, &[("http_proxy", proxy.address.to_string())]);
    let got = fetch(&client, get(url("http://nas.test/"))).await;
    assert!(matches!(got, Err(NetError::Proxy { .. })), "{got:?}");
}

/// N4.
#[tokio::test]
async fn a_silent_proxy_is_a_connect_timeout() {
    let silent = Server::start(|_, stream| async move {
        sleep(Duration::from_secs(60)).await;
        drop(stream);
        Ok(())
    })
    .await;
    let client = with(ClientOptions::default(), &[("HTTPS_PROXY", silent.address.to_string())]);
    let limits = Limits { connect_ms_max: 200, ..short() };
    let got = client.send(get(url("https://origin.test/")).limits(limits)).await.expect_err("silence");
    let want = NetError::ConnectTimeout { host: "origin.test:443".into(), ms: 200, stage: Stage::Proxy };
    assert_eq!(got, want);
}
