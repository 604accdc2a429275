//! What a connection through the broker costs, beside one straight to the host: connect, ask, one byte back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aether_core::capability::{Host, Network};
use aether_egress::{Bounds, Broker, Gateway, Options, Quotas, Range, Rules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 2_000;

/// The name's place among made-up addresses: the first.
fn destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, stream.local_addr()?.port())))
}

async fn once(address: SocketAddr, request: &[u8]) -> io::Result<Duration> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    stream.read_u8().await?;
    Ok(started.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn host(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut request = [0; 256];
            if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                return stream.write_all(b"H").await;
            }
            Ok(())
        });
    }
}

async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let direct = listener.local_addr()?;
    // The host runs on a thread of its own, as it would anywhere else.
    let listener = listener.into_std()?;
    std::thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { host(TcpListener::from_std(listener)?).await })
    });
    let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let inside = std::net::TcpListener::bind("127.0.0.1:0")?;
    let through = inside.local_addr()?;
    let granted = Host::parse(&format!("127.0.0.1:{}", direct.port())).map_err(|error| error.to_string())?;
    let quotas = Quotas { connections_total_max: u32::MAX, ..Quotas::default() };
    let exceptions = vec![Range::parse("127.0.0.0/8")?];
    let rules = Rules {
        network: Network::hosts(vec![granted]),
        secrets: Vec::new(),
        quotas,
        exceptions,
        bounds: Bounds::default(),
    };
    std::thread::spawn(move || -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let broker =
                Broker::new(Options { destination, ..Options::default() }).map_err(|error| error.to_string())?;
            let socket = |error: io::Error| error.to_string();
            let dns_udp = std::net::UdpSocket::bind("127.0.0.1:0").map_err(socket)?.into();
            let dns_tcp = std::net::TcpListener::bind("127.0.0.1:0").map_err(socket)?.into();
            let gateway = Gateway { listeners: vec![(direct.port(), inside.into())], dns_udp, dns_tcp };
            let serving = broker.serve(gateway, rules, Arc::new(|_| {})).map_err(|error| error.to_string())?;
            std::future::pending::<()>().await;
            drop(serving);
            Ok(())
        })
    });
    let (mut straight, mut brokered) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 100 {
        let (one, other) = (once(direct, request).await?, once(through, request).await?);
        if round >= 100 {
            straight.push(one);
            brokered.push(other);
        }
    }
    let (straight, brokered) = (median(straight), median(brokered));
    let ratio = brokered.as_secs_f64() / straight.as_secs_f64();
    let mut out = io::stdout().lock();
    io::Write::write_fmt(
        &mut out,
        format_args!("direct {straight:?}, through the broker {brokered:?}, {ratio:.2} times\n"),
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}
