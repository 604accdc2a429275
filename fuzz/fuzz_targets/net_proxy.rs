//! Proxy variables and lists of hosts: no text breaks them, and no error shows a password.
#![no_main]

use aether_fuzz::Draw;
use aether_net::{Host, HostPatterns, PATTERNS_MAX, Proxy, ProxyServer, Url};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let port = draw.within(1..1 << 16) as u16;
    let texts: Vec<String> = (0..5).map(|_| draw.text()).collect();
    let (patterns, refused) = HostPatterns::parse(&texts[0]);
    assert!(refused.len() <= texts[0].len() + PATTERNS_MAX);
    let host = Host::parse(&texts[1]);
    if let Ok(host) = &host {
        let first = patterns.cover(host, port);
        assert_eq!(first, patterns.cover(host, port));
    }
    if let Ok(server) = ProxyServer::parse(&texts[2]) {
        assert_eq!(ProxyServer::parse(&server.url().to_string()).expect("it is an address").url(), server.url());
    }
    let lookup = |name: &str| match name {
        "no_proxy" => Some(texts[0].clone()),
        "https_proxy" => Some(texts[2].clone()),
        "HTTP_PROXY" => Some(texts[3].clone()),
        "all_proxy" => Some(texts[4].clone()),
        _ => None,
    };
    match Proxy::from_environment(lookup) {
        Ok(proxy) => {
            for url in [&texts[1], &format!("http://{}:{port}/", texts[1])] {
                if let Ok(url) = Url::parse(url) {
                    let is_covered = patterns.cover(url.host(), url.port());
                    assert!(!is_covered || proxy.server_for(&url).is_none(), "a proxy for what needs none: {url}");
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
