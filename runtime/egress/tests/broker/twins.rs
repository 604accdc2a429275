//! Attacks and their twins.

use std::process::Command;

use aether_egress::Quotas;

use crate::stage::{Jail, SECRET, Setup, Upstream, hello, ok, read_all, say, soon};
use tokio::io::AsyncWriteExt;

/// Runs the attack `name` here, where it has to fail, or, in the process that this starts, with `control` off.
fn twin(name: &str, control: &str, attack: impl Future<Output = bool>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let has_worked = runtime.block_on(attack);
    if std::env::var("AETHER_UNPLUG").is_ok() {
        assert!(has_worked, "{name} fails without {control} too: it shows nothing");
        return;
    }
    assert!(!has_worked, "{name} works");
    let program = std::env::current_exe().expect("path");
    let run = Command::new(program).args(["--exact", &format!("twins::{name}")]).env("AETHER_UNPLUG", control).output();
    let run = run.expect("run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

fn a(port: u16) -> Vec<String> {
    vec![format!("a.test:{port}")]
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

fn closing(_: &str) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_vec()
}

async fn asked(jail: &Jail, name: &str, port: u16, request: &str) -> String {
    let mut stream = jail.connect(name, port).await;
    say(&mut stream, request).await
}

#[test]
fn a_name_that_was_not_granted() {
    twin("a_name_that_was_not_granted", "dns_rule", async {
        let host = Upstream::plain(closing).await;
        let setup = Setup::new(&a(host.port));
        setup.table.set("b.test", &["127.0.0.1"]);
        let jail = setup.start().await;
        jail.resolve("b.test").await.is_ok() && asked(&jail, "b.test", host.port, &get("b.test")).await.ends_with("ok")
    });
}

#[test]
fn another_name_in_the_hello() {
    twin("another_name_in_the_hello", "sni_rule", async {
        let host = Upstream::plain(ok).await;
        let jail = Setup::new(&a(host.port)).start().await;
        let mut stream = jail.connect("a.test", host.port).await;
        stream.write_all(&hello("b.test")).await.expect("write");
        stream.shutdown().await.expect("shutdown");
        read_all(&mut stream).await;
        host.connections() == 1
    });
}

#[test]
fn another_host_in_the_request() {
    twin("another_host_in_the_request", "http_rule", async {
        let host = Upstream::plain(closing).await;
        let jail = Setup::new(&a(host.port)).start().await;
        asked(&jail, "a.test", host.port, &get("b.test")).await.ends_with("ok")
    });
}

#[test]
fn a_granted_name_of_this_machine() {
    twin("a_granted_name_of_this_machine", "address_rule", async {
        let host = Upstream::plain(closing).await;
        let mut setup = Setup::new(&a(host.port));
        setup.exceptions = Vec::new();
        let jail = setup.start().await;
        asked(&jail, "a.test", host.port, &get("a.test")).await.ends_with("ok")
    });
}

#[test]
fn an_address_by_its_number() {
    twin("an_address_by_its_number", "address_rule", async {
        let host = Upstream::plain(closing).await;
        let jail = Setup::new(&a(host.port)).start().await;
        let mut stream = jail.connect_literal(0, host.port).await;
        say(&mut stream, &get("127.0.0.1")).await.ends_with("ok")
    });
}

#[test]
fn the_port_of_another_host() {
    twin("the_port_of_another_host", "port_rule", async {
        let host = Upstream::plain(closing).await;
        let jail = Setup::new(&["a.test:9".to_owned(), format!("b.test:{}", host.port)]).start().await;
        asked(&jail, "a.test", host.port, &get("a.test")).await.ends_with("ok")
    });
}

#[test]
fn more_bytes_than_granted() {
    twin("more_bytes_than_granted", "quota", async {
        let host = Upstream::plain(closing).await;
        let mut setup = Setup::new(&a(host.port));
        setup.quotas = Quotas { bytes_in_max: 10, ..setup.quotas };
        let jail = setup.start().await;
        asked(&jail, "a.test", host.port, &get("a.test")).await.ends_with("ok")
    });
}

#[test]
fn an_echo_of_the_secret() {
    fn echo(request: &str) -> Vec<u8> {
        let secret = request.split("Bearer ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{secret}").into_bytes()
    }
    twin("an_echo_of_the_secret", "scrub", async {
        let host = Upstream::tls("a.test", echo).await;
        let mut setup = Setup::new(&a(host.port)).secret(&a(host.port)[0]);
        setup.ca_file = host.ca_path();
        let jail = setup.start().await;
        asked(&jail, "a.test", 80, &get("a.test")).await.contains(SECRET)
    });
}

#[test]
fn the_secret_of_another_host() {
    twin("the_secret_of_another_host", "audience", async {
        let host = Upstream::tls("b.test", closing).await;
        let hosts = [format!("a.test:{}", host.port), format!("b.test:{}", host.port)];
        let mut setup = Setup::new(&hosts).secret(&hosts[0]);
        setup.ca_file = host.ca_path();
        let jail = setup.start().await;
        soon(asked(&jail, "b.test", 80, &get("b.test"))).await;
        host.seen().iter().any(|request| request.contains(SECRET))
    });
}
