//! A server that answers anything: the client ends, within its limits.
//!
//! The bytes are sent by a real server over the loopback interface. Each exchange has an address of its own beneath
//! 127.0.0.0/8, so that no pair of ports is used up.
#![no_main]

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::Duration;

use aether_fuzz::Draw;
use aether_net::{Client, ClientOptions, Limits, Method, Request, Url};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const BODY_BYTES_MAX: u64 = 4_096;

struct Ground {
    runtime: Runtime,
    listener: TcpListener,
    port: u16,
    exchanges: Cell<u32>,
}

thread_local! {
    static GROUND: &'static Ground = Box::leak(Box::new(Ground::new()));
}

impl Ground {
    fn new() -> Ground {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Ground { runtime, listener, port, exchanges: Cell::new(0) }
    }

    /// An address that was not used lately.
    fn address(&self) -> Ipv4Addr {
        let n = self.exchanges.get() + 1;
        self.exchanges.set(n);
        let [_, a, b, c] = (n % 0x00FF_FFFE).to_be_bytes();
        Ipv4Addr::new(127, a, b, c.max(1))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let method = if draw.is_odd() { Method::POST } else { Method::GET };
    let (_, pieces) = draw.pieces();
    let pieces = pieces.into_iter().map(<[u8]>::to_vec).collect();
    GROUND.with(|ground| {
        ground.runtime.block_on(async {
            let local = LocalSet::new();
            let answering = local.spawn_local(answer(ground, pieces));
            let asking = local.run_until(ask(ground, method));
            tokio::time::timeout(Duration::from_secs(5), asking).await.expect("the exchange ends");
            answering.abort();
        });
    });
});

async fn ask(ground: &Ground, method: Method) {
    let client = Client::new(ClientOptions { idle_max: 0, ..ClientOptions::default() });
    let url = Url::parse(&format!("http://{}:{}/", ground.address(), ground.port)).expect("an address");
    let limits = Limits { total_ms_max: 2_000, body_bytes_max: BODY_BYTES_MAX, ..Limits::default() };
    match client.send(Request::new(method, url).limits(limits)).await {
        Ok(mut response) => {
            let mut taken = 0;
            assert!((200..1_000).contains(&response.status()), "{}", response.status());
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => {
                        assert!(!chunk.is_empty(), "an empty piece");
                        taken += chunk.len() as u64;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        break;
                    }
                }
            }
            assert!(taken <= BODY_BYTES_MAX, "N4: {taken} bytes");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Answers one connection.
async fn answer(ground: &'static Ground, pieces: Vec<Vec<u8>>) {
    let Ok((mut stream, _)) = ground.listener.accept().await else { return };
    let _ = stream.set_nodelay(true);
    let mut request = [0; 2_048];
    let _ = stream.read(&mut request).await;
    for piece in pieces {
        if stream.write_all(&piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    let _ = stream.shutdown().await;
    // The client closes when it has what it wanted.
    while matches!(stream.read(&mut request).await, Ok(1..)) {}
}
