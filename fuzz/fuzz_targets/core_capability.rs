//! Hosts, places, and the laws of the capability algebra over whatever was read (K5).
#![no_main]

use aether_core::capability::{Capability, Host, Network, Place};
use aether_fuzz::Draw;
use libfuzzer_sys::fuzz_target;

const ITEMS_MAX: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let [a, b, c] = [(); 3].map(|()| capability(&mut draw));
    for one in [&a, &b, &c] {
        assert!(one.covers(one), "it covers itself");
        assert!(one.covers(&Capability::default()), "it covers nothing at all");
        assert_eq!(one.meet(one), *one, "idempotent");
    }
    let meet = a.meet(&b);
    assert!(a.covers(&meet) && b.covers(&meet), "a lower bound: {a:?} and {b:?} meet in {meet:?}");
    assert_eq!(meet, b.meet(&a), "commutative");
    assert_eq!(meet.meet(&c), a.meet(&b.meet(&c)), "associative");
    assert_eq!(a.covers(&b), meet == b, "the order is the meet's: {a:?}, {b:?}");
    assert_eq!(a.excess(&b).is_none(), a.covers(&b));
    if a.covers(&b) && b.covers(&c) {
        assert!(a.covers(&c), "transitive");
    }
    if a.covers(&c) && b.covers(&c) {
        assert!(meet.covers(&c), "the greatest lower bound");
    }
    match a.attenuate(b.clone()) {
        Ok(narrower) => assert!(a.covers(&narrower)),
        Err(excess) => assert!(!excess.to_string().is_empty() && !a.covers(&b)),
    }
});

fn capability(draw: &mut Draw<'_>) -> Capability {
    let network = match draw.byte() % 3 {
        0 => Network::None,
        1 => Network::hosts((0..draw.within(0..ITEMS_MAX)).filter_map(|_| host(draw)).collect()),
        _ => Network::Public,
    };
    let [read, write, programs] =
        [(); 3].map(|()| (0..draw.within(0..ITEMS_MAX)).filter_map(|_| place(draw)).collect::<Vec<Place>>());
    Capability::default().with_network(network).with_read(read).with_write(write).with_programs(programs)
}

fn host(draw: &mut Draw<'_>) -> Option<Host> {
    let text = draw.text();
    match Host::parse(&text) {
        Ok(host) => {
            assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(&host), "{text:?}");
            Some(host)
        }
        Err(malformed) => {
            assert_eq!(*malformed.text, *text);
            None
        }
    }
}

fn place(draw: &mut Draw<'_>) -> Option<Place> {
    let text = draw.text();
    let place = Place::parse(&text).ok()?;
    assert_eq!(Place::parse(place.as_str()).as_ref(), Ok(&place), "{text:?}");
    assert!(!place.as_str().split('/').any(|part| part == ".." || part == "."), "{text:?}");
    Some(place)
}
