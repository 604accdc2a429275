//! The operator's word about hosts (E11), whatever a jail was granted.

use std::net::Ipv4Addr;

use aether_core::capability::{Host, Network};
use aether_egress::{Bounds, Decision, DeniedHost, Verdict, What, Why};

use crate::stage::{Setup, Upstream, say};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";

fn closing(_: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello".to_vec()
}

fn denied(hosts: &[&str]) -> Bounds {
    let hosts_denied = hosts.iter().map(|host| DeniedHost::parse(host).expect(host)).collect();
    Bounds { hosts_allowed: None, hosts_denied }
}

fn refused(decisions: &[Decision], what: &What) -> Vec<Why> {
    let of = |decision: &Decision| match &decision.verdict {
        Verdict::Refused(why) if decision.what == *what => Some(why.clone()),
        _ => None,
    };
    decisions.iter().filter_map(of).collect()
}

/// A name that is denied has no address, however it is granted; its neighbours have theirs.
#[tokio::test]
async fn e11_a_denied_name_has_no_address() {
    for public in [Network::None, Network::Public] {
        let hosts = ["a.test", "*.b.test", "c.test"].map(str::to_owned);
        let mut setup = Setup::new(&hosts);
        setup.public = public;
        setup.bounds = denied(&["a.test", "*.x.b.test"]);
        let jail = setup.start().await;
        for name in ["a.test", "A.TEST", "y.x.b.test", "z.y.x.b.test"] {
            assert_eq!(jail.resolve(name).await, Err(5), "{name}");
        }
        assert_eq!(refused(&jail.decisions(), &What::Dns), [Why::Denied, Why::Denied, Why::Denied, Why::Denied]);
        assert!(jail.resolve("c.test").await.is_ok() && jail.resolve("y.b.test").await.is_ok());
        assert_eq!(jail.table.asked(), 0, "no question leaves the machine");
    }
}

/// A denied port closes that port and no other, and no byte reaches the host.
#[tokio::test]
async fn e11_a_denied_port_is_closed() {
    let (shut, open) = (Upstream::plain(closing).await, Upstream::plain(closing).await);
    let mut setup = Setup::new(&[format!("a.test:{}", shut.port), format!("a.test:{}", open.port)]);
    setup.bounds = denied(&[&format!("a.test:{}", shut.port)]);
    let jail = setup.start().await;
    let mut stream = jail.connect("a.test", shut.port).await;
    let answer = say(&mut stream, REQUEST).await;
    assert!(answer.contains("403 Forbidden") && answer.contains("policy denies this host"), "{answer}");
    assert_eq!((shut.connections(), refused(&jail.decisions(), &What::Connect)), (0, vec![Why::Denied]));
    let mut stream = jail.connect("a.test", open.port).await;
    assert!(say(&mut stream, REQUEST).await.ends_with("hello"));
}

/// A denied address is not reached by its number, nor by any name that leads to it, also as one of several.
#[tokio::test]
async fn e11_a_denied_address_is_not_reached_by_any_name() {
    let host = Upstream::plain(closing).await;
    let hosts = [format!("a.test:{}", host.port), format!("127.0.0.1:{}", host.port)];
    for (addresses, denial) in [
        ("127.0.0.1", "127.0.0.1".to_owned()),
        ("127.0.0.2 127.0.0.1", "127.0.0.1".to_owned()),
        ("127.0.0.1", format!("127.0.0.1:{}", host.port)),
        ("::ffff:127.0.0.1", "127.0.0.1".to_owned()),
    ] {
        let mut setup = Setup::new(&hosts);
        setup.table.set("a.test", &[addresses]);
        setup.exceptions.push(aether_egress::Range::parse("::ffff:127.0.0.1").expect("a range"));
        setup.bounds = denied(&[&denial]);
        let jail = setup.start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        let answer = say(&mut stream, REQUEST).await;
        assert!(answer.contains("403 Forbidden"), "{addresses}: {answer}");
        let blamed: Vec<_> = jail.decisions().into_iter().filter(|one| one.what == What::Connect).collect();
        assert_eq!(blamed[0].address.map(|found| found.to_canonical()), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(refused(&blamed, &What::Connect), [Why::Denied], "{addresses}");
        let mut stream = jail.connect_literal(0, host.port).await;
        let answer = say(&mut stream, &REQUEST.replace("a.test", "127.0.0.1")).await;
        assert!(answer.contains("policy denies this host"), "{answer}");
    }
    assert_eq!(host.connections(), 0);
}

/// Where the operator allows certain hosts, no grant reaches another one.
#[tokio::test]
async fn e11_only_what_is_allowed_is_reached() {
    let host = Upstream::plain(closing).await;
    let mut setup = Setup::new(&[format!("a.test:{}", host.port), "b.test".to_owned()]);
    let allowed = [format!("a.test:{}", host.port), "*.c.test".to_owned()];
    let hosts_allowed = Some(allowed.iter().map(|text| Host::parse(text).expect(text)).collect());
    setup.bounds = Bounds { hosts_allowed, hosts_denied: Vec::new() };
    let jail = setup.start().await;
    assert_eq!(jail.resolve("b.test").await, Err(5));
    assert_eq!(refused(&jail.decisions(), &What::Dns), [Why::NotAllowed]);
    assert_eq!(jail.resolve("x.c.test").await, Err(5), "what is allowed is not granted by that");
    let mut stream = jail.connect("a.test", host.port).await;
    assert!(say(&mut stream, REQUEST).await.ends_with("hello"));
    // None at all is none, not all.
    let mut setup = Setup::new(&["a.test".to_owned()]);
    setup.bounds = Bounds { hosts_allowed: Some(Vec::new()), hosts_denied: Vec::new() };
    assert_eq!(setup.start().await.resolve("a.test").await, Err(5));
}

/// A secret does not go to a denied host, whichever way the request came.
#[tokio::test]
async fn e11_no_secret_goes_to_a_denied_host() {
    for denial in ["a.test", "a.test:443"] {
        let mut setup = Setup::new(&["a.test".to_owned()]).secret("a.test");
        setup.bounds = denied(&[denial]);
        let jail = setup.start().await;
        if denial == "a.test" {
            assert_eq!(jail.resolve("a.test").await, Err(5));
            continue;
        }
        let mut stream = jail.connect("a.test", 80).await;
        let answer = say(&mut stream, REQUEST).await;
        assert!(answer.contains("policy denies this host"), "{answer}");
        assert!(refused(&jail.decisions(), &What::Connect).contains(&Why::Denied));
        assert!(!jail.decisions().iter().any(|decision| matches!(decision.what, What::Secret(_))));
    }
}
