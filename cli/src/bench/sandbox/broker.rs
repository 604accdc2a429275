//! A connection, a question and the first byte of the answer: through the broker, beside straight to the host.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use aether_core::capability::{Host, Network};
use aether_egress::{Bounds, Broker, Gateway, Options, Quotas, Range, Rules};
use tokio::sync::oneshot;

use super::{Found, ROUNDS, percentile, quietest, rounded, since_us};
use crate::run::runtime;
use crate::trouble::Trouble;

/// Turns of each round before anything is counted.
const WARM_TURNS: u64 = 50;
/// What is asked: the broker reads for whom a connection is before it opens one.
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

/// Adds what the broker costs.
pub(super) fn measure(runs: u64, found: &mut Found) -> Result<(), Trouble> {
    let host = Listening::host().map_err(socket)?;
    let broker = Listening::broker(host.address)?;
    let medians = (0..ROUNDS).map(|_| round(runs.div_ceil(ROUNDS), host.address, broker.address));
    let medians = medians.collect::<io::Result<Vec<_>>>().map_err(socket)?;
    broker.end()?;
    host.end()?;
    let [direct, through] = quietest(medians);
    found.insert("direct_us".into(), rounded(direct));
    found.insert("broker_us".into(), rounded(through));
    found.insert("broker_to_direct_ratio".into(), rounded(through / direct));
    Ok(())
}

/// Medians of so many turns: straight, and through the broker.
fn round(turns: u64, host: SocketAddr, broker: SocketAddr) -> io::Result<[f64; 2]> {
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for number in 0..WARM_TURNS + turns {
        let turn = (ask(host)?, ask(broker)?);
        if number >= WARM_TURNS {
            direct.push(turn.0);
            through.push(turn.1);
        }
    }
    Ok([percentile(&mut direct, 50), percentile(&mut through, 50)])
}

/// From connecting to the first byte, in microseconds.
fn ask(address: SocketAddr) -> io::Result<f64> {
    let from = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(QUESTION)?;
    stream.read_exact(&mut [0])?;
    Ok(since_us(from))
}

/// Something that answers on a thread of its own.
struct Listening {
    address: SocketAddr,
    stop: Box<dyn FnOnce()>,
    thread: JoinHandle<Result<(), Trouble>>,
}

impl Listening {
    /// A host that answers every question with one byte, one after the other. A connection without a question ends it.
    fn host() -> io::Result<Listening> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let answer = move || -> io::Result<()> {
            let mut question = [0; 256];
            loop {
                let (mut stream, _) = listener.accept()?;
                if stream.read(&mut question)? == 0 {
                    return Ok(());
                }
                stream.write_all(b"H")?;
            }
        };
        let thread = std::thread::Builder::new().spawn(move || answer().map_err(socket))?;
        // If it cannot be reached it has ended already, and says why.
        let stop = Box::new(move || drop(TcpStream::connect(address)));
        Ok(Listening { address, stop, thread })
    }

    /// A broker that lets connections through to this host alone.
    fn broker(host: SocketAddr) -> Result<Listening, Trouble> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(socket);
        let (inside, dns_tcp) = (bind()?, bind()?);
        let dns_udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(socket)?;
        let address = inside.local_addr().map_err(socket)?;
        let granted = Host::parse(&host.to_string()).map_err(Trouble::failed)?;
        let rules = Rules {
            network: Network::hosts(vec![granted]),
            secrets: Vec::new(),
            quotas: Quotas { connections_total_max: u32::MAX, bytes_in_max: u64::MAX, ..Quotas::default() },
            // The host is on this very machine, which only an operator can allow.
            exceptions: vec![Range::parse("127.0.0.0/8").map_err(Trouble::failed)?],
            bounds: Bounds::default(),
        };
        let gateway =
            Gateway { listeners: vec![(host.port(), inside.into())], dns_udp: dns_udp.into(), dns_tcp: dns_tcp.into() };
        let options = Options { destination: |_| Ok((Ipv4Addr::LOCALHOST, 0).into()), ..Options::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || -> Result<(), Trouble> {
            runtime()?.block_on(async {
                let broker = Broker::new(options).map_err(Trouble::failed)?;
                let serving = broker.serve(gateway, rules, Arc::new(|_| {})).map_err(Trouble::failed)?;
                // Told to stop, or nobody is left who could tell.
                let _told = stopped.await;
                serving.finish().await;
                Ok(())
            })
        };
        let thread = std::thread::Builder::new().spawn(serve).map_err(socket)?;
        Ok(Listening { address, stop: Box::new(move || drop(stop)), thread })
    }

    fn end(self) -> Result<(), Trouble> {
        (self.stop)();
        self.thread.join().unwrap_or_else(|_| Err(Trouble::failed("the other end of the connections failed")))
    }
}

fn socket(error: io::Error) -> Trouble {
    Trouble::failed(format!("a connection on this machine: {error}"))
}
