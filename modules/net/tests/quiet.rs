//! A client that talks to this machine starts no thread (N9). Alone in its file: it counts the threads of the process.

#[cfg(target_os = "linux")]
#[test]
fn literals_and_localhost_start_no_thread() {
    use aether_net::{Client, ClientOptions, Method, NetError, Request, Url};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let threads = || std::fs::read_dir("/proc/self/task").expect("proc").count();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let server = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.expect("accept");
                assert!(stream.read(&mut [0; 1024]).await.expect("request") > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("answer");
            }
        });
        let client = Client::new(ClientOptions::default());
        let ask = async |url: &str| client.send(Request::new(Method::GET, Url::parse(url).expect(url))).await;
        let before = threads();
        for host in ["127.0.0.1", "localhost"] {
            let response = ask(&format!("http://{host}:{port}/")).await.expect("answer");
            assert_eq!(response.status(), 204);
        }
        assert_eq!(threads(), before);
        let unknown = ask("https://no-such-host.invalid/").await;
        assert!(matches!(unknown, Err(NetError::Dns { .. })), "{unknown:?}");
        assert!(threads() > before, "a look-up runs beside the loop, or this test counts nothing");
        server.await.expect("server");
    });
}
