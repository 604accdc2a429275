//! Addresses: what is taken can be written and read again, and nothing of it can end a request line.
#![no_main]

use aether_fuzz::Draw;
use aether_net::{Host, Url};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let (base, reference) = (draw.text(), draw.text());
    match Url::parse(&base) {
        Ok(url) => {
            check(&url);
            match url.join(&reference) {
                Ok(joined) => check(&joined),
                Err(fault) => assert!(!fault.to_string().is_empty()),
            }
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
    if let Ok(host) = Host::parse(&reference) {
        assert_eq!(Host::parse(&host.to_string()), Ok(host));
    }
});

fn check(url: &Url) {
    assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(url), "{url}");
    assert!(url.target().starts_with('/'), "{}", url.target());
    for text in [url.target(), &url.authority(), &url.host_and_port()] {
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    }
    assert_ne!(url.port(), 0);
    assert_eq!(Host::parse(&url.host().to_string()).as_ref(), Ok(url.host()));
}
