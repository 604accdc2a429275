//! The host that a capability names is the host that the client connects to: both read every address the same way (H1).
#![no_main]

use std::cell::RefCell;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aether_core::capability::{Capability, Host, Network};
use aether_core::tool::{Fetch, Fetched, Hands, HandsError, Limits};
use aether_fuzz::Draw;
use aether_hands::{Fetcher, Grip, Reach, Roots};
use aether_net::Url;
use libfuzzer_sys::fuzz_target;

/// Remembers where it was sent.
#[derive(Default)]
struct Web {
    asked: Mutex<Option<String>>,
}

impl Fetcher for Web {
    fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError> {
        *self.asked.lock().expect("nobody else") = Some(fetch.url.to_owned());
        Err(HandsError::Missing)
    }
}

thread_local! {
    static ROOTS: RefCell<Roots> = RefCell::new(Roots::open(&[("$workspace", Path::new("/"))]).expect("a directory"));
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let (granted, url) = (draw.text(), draw.text());
    let network = match Host::parse(&granted) {
        Ok(host) => Network::hosts(vec![host]),
        Err(_) => Network::Public,
    };
    let capability = Capability::default().with_network(network);
    let (web, stop) = (Web::default(), AtomicBool::new(false));
    ROOTS.with_borrow(|roots| {
        let mut grip = Grip::new(Reach {
            roots,
            capability: &capability,
            limits: Limits::BUILTIN,
            stop: &stop,
            deadline: Instant::now() + Duration::from_secs(60),
            fetcher: Some(&web),
        });
        let told = grip.fetch(&Fetch { url: &url, bytes_max: 1, total_ms_max: 1 });
        assert!(told.is_err());
    });
    let Some(asked) = web.asked.into_inner().expect("nobody else") else { return };
    // What the client does not take goes nowhere.
    let Ok(target) = Url::parse(&asked) else { return };
    let reached = Host::parse(&target.host_and_port()).expect("a host is a host");
    let reached = Network::hosts(vec![reached]);
    assert!(capability.network.covers(&reached), "{granted:?} was granted, {asked:?} was reached");
});
