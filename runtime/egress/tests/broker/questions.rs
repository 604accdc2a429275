//! Questions for names: who gets an address, and that no question leaves the machine.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use aether_egress::leases::{NAMES_MAX, is_made_up};
use aether_egress::{Spent, Verdict, What, Why};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::stage::{Setup, query, soon};

fn hosts(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

/// E1, E6: a granted name has one made-up address for good; others have none; nothing is asked outside.
#[tokio::test]
async fn granted_names_have_addresses() {
    let jail = Setup::new(&hosts(&["a.test", "*.b.test:8443"])).start().await;
    let address = jail.resolve("a.test").await.expect("granted");
    assert!(is_made_up(address));
    assert_eq!(jail.resolve("A.Test").await, Ok(address));
    let below = jail.resolve("x.y.b.test").await.expect("granted");
    assert_ne!(below, address);
    for name in ["b.test", "evila.test", "a.test.evil.test", "xb.test", "localhost", "metadata.google.internal", "test"]
    {
        assert_eq!(jail.resolve(name).await, Err(5), "{name}");
    }
    for kind in [28, 65, 64, 16, 255, 15] {
        let reply = jail.ask(&query("a.test", kind)).await;
        assert_eq!((reply[3] & 15, reply[7]), (0, 0), "an empty answer for type {kind}");
        assert_eq!(jail.ask(&query("c.test", kind)).await[3] & 15, 5, "type {kind} of a name that is not granted");
    }
    assert_eq!(jail.table.asked(), 0);
    let told: Vec<_> = jail.decisions().into_iter().filter(|decision| decision.verdict == Verdict::Allowed).collect();
    assert_eq!(told.len(), 2, "each name is told of once: {told:?}");
    assert!(told.iter().all(|decision| decision.what == What::Dns));
}

/// E2: addresses in whatever spelling are not names.
#[tokio::test]
async fn no_spelling_of_an_address_is_a_name() {
    let mut setup = Setup::new(&[]);
    setup.public = aether_core::capability::Network::Public;
    let jail = setup.start().await;
    assert!(jail.resolve("example.com").await.is_ok());
    for name in
        ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "169.254.169.254", "0xa9fea9fe", "1.0x1"]
    {
        assert_eq!(jail.resolve(name).await, Err(5), "{name}");
    }
    for name in ["localhost", "a.localhost", "printer.local", "nas", "metadata.goog", "metadata.google.internal"] {
        assert_eq!(jail.resolve(name).await, Err(5), "{name}");
    }
}

#[tokio::test]
async fn broken_questions_get_an_error_and_answers_get_nothing() {
    let jail = Setup::new(&hosts(&["a.test"])).start().await;
    let mut two = query("a.test", 1);
    two[5] = 2;
    assert_eq!(jail.ask(&two).await[3] & 15, 1);
    let mut long = query("a.test", 1);
    long.resize(1300, 0);
    assert_eq!(jail.ask(&long).await[3] & 15, 1);
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let mut response = query("a.test", 1);
    response[2] |= 0x80;
    socket.send_to(&response, jail.udp).await.expect("send");
    socket.send_to(&[1, 2, 3], jail.udp).await.expect("send");
    let nothing = tokio::time::timeout(Duration::from_millis(100), socket.recv(&mut [0; 10])).await;
    assert!(nothing.is_err(), "an answer or a scrap was answered");
    assert!(jail.resolve("a.test").await.is_ok());
}

#[tokio::test]
async fn questions_over_a_connection() {
    let jail = Setup::new(&hosts(&["a.test"])).start().await;
    let mut stream = TcpStream::connect(jail.tcp).await.expect("connect");
    for (name, code) in [("a.test", 0), ("b.test", 5), ("a.test", 0)] {
        let question = query(name, 1);
        let length = u16::try_from(question.len()).expect("short").to_be_bytes();
        for byte in [&length[..], &question].concat() {
            stream.write_all(&[byte]).await.expect("write");
        }
        let length = soon(stream.read_u16()).await.expect("length");
        let mut reply = vec![0; usize::from(length)];
        soon(stream.read_exact(&mut reply)).await.expect("reply");
        assert_eq!(reply[3] & 15, code, "{name}");
    }
    stream.write_all(&[0xff, 0xff, 0, 0]).await.expect("write");
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0, "too long a question ends the connection");
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(TcpStream::connect(jail.tcp).await.expect("connect"));
    }
    drop(many);
    assert!(jail.resolve("a.test").await.is_ok());
}

/// E6, E9: names as a channel. What is not granted costs nothing outside; what a wildcard grants is bounded.
#[tokio::test]
async fn tunnels_through_names() {
    let jail = Setup::new(&hosts(&["*.b.test"])).start().await;
    let mut addresses = HashSet::<Ipv4Addr>::new();
    let mut refused = 0;
    let started = Instant::now();
    for n in 0..NAMES_MAX + 10 {
        // Below the pace at which questions are dropped.
        if n % 400 == 399 {
            tokio::time::sleep(Duration::from_millis(1010)).await;
        }
        match jail.resolve(&format!("{n:060x}.b.test")).await {
            Ok(address) => assert!(addresses.insert(address)),
            Err(code) => {
                assert_eq!(code, 5);
                refused += 1;
            }
        }
    }
    assert_eq!((addresses.len(), refused), (NAMES_MAX, 10));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(jail.table.asked(), 0);
    let spent = Verdict::Refused(Why::Quota(Spent::Names(NAMES_MAX)));
    assert_eq!(jail.decisions().iter().filter(|decision| decision.verdict == spent).count(), 10);
}

/// E9, E10: what is refused is told of up to a limit, and counted beyond.
#[tokio::test]
async fn a_flood_of_questions_is_dropped_and_the_record_stays_short() {
    let jail = Setup::new(&hosts(&["a.test"])).start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let mut replies = 0;
    for n in 0..3_000 {
        socket.send_to(&query(&format!("{n}.evil.test"), 1), jail.udp).await.expect("send");
        tokio::task::yield_now().await;
        while socket.try_recv(&mut [0; 512]).is_ok() {
            replies += 1;
        }
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    while socket.try_recv(&mut [0; 512]).is_ok() {
        replies += 1;
    }
    assert!((1..=2_000).contains(&replies), "{replies}");
    assert!(jail.decisions().len() <= 256, "{}", jail.decisions().len());
    assert!(jail.traffic().questions_refused >= 256);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(jail.resolve("a.test").await.is_ok(), "the next second is a new one");
}
