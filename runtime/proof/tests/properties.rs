//! Random chains and random numbers: authority only shrinks (P1), what is made is read back (P3), a seal opens once (P6).
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at the first surprise and says its seed")]

mod shop;

use std::collections::HashSet;

use aether_core::capability::{Capability, Network, Place};
use aether_core::digest::Sha256;
use aether_proof::{
    ANY_TOOL, Authority, BLOCKS_MAX, IssueError, Issuer, Opener, Proof, Request, SEAL_WINDOW, SealError, Sealer,
    Verifier,
};
use shop::{AUDIENCE, NOW, authority, key, seed};

const CHAINS: u64 = 2_000;
const HOSTS: &[&str] =
    &["a.example", "b.example:80", "*.b.example:80", "*.c.b.example:80", "x.c.b.example:80", "[::1]:8080"];
const PLACES: &[&str] = &["/", "/usr", "/usr/bin", "/usr/bin/git", "/usr/binary", "$workspace", "$workspace/out"];

/// SplitMix64, as Steele, Lea and Flood describe it.
struct Random(u64);

fn seeded(what: &str) -> Random {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("{what}: SEED={seed}");
    Random(seed)
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    /// Each of them or not.
    fn some_of<'a>(&mut self, all: &'a [&'a str]) -> impl Iterator<Item = &'a str> + use<'a> {
        let bits = self.next() & self.next();
        all.iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, text)| *text)
    }
}

fn draw_capability(random: &mut Random) -> Capability {
    let network = match random.below(4) {
        0 => Network::None,
        1 => Network::Public,
        _ => Network::hosts(random.some_of(HOSTS).map(shop::host).collect()),
    };
    let mut places = || -> Vec<Place> { random.some_of(PLACES).map(shop::place).collect() };
    Capability::default().with_network(network).with_read(places()).with_write(places()).with_programs(places())
}

/// Anything, with no regard to what came before but that it is often near it.
fn draw(random: &mut Random, near: &Authority) -> Authority {
    let mut drawn = near.clone();
    for _ in 0..random.below(4) {
        match random.below(9) {
            0 => drawn.capability = draw_capability(random),
            1 => drawn.capability = drawn.capability.meet(&draw_capability(random)),
            2 => drawn.tool = (*random.one_of(&["shell", "git", ANY_TOOL])).to_owned(),
            3 => drawn.call = Some(Sha256::of(&[random.below(2) as u8])).filter(|_| random.below(3) > 0),
            4 => drawn.expires_unix_ms = NOW + random.below(1_000),
            5 => drawn.limits.cpu_ms_max = random.below(30_000),
            6 => drawn.limits.processes_max = random.below(8) as u32,
            7 => drawn.limits.memory_bytes_max = random.below(1 << 26),
            _ => drawn.task = near.task + u64::from(random.below(8) == 0),
        }
    }
    drawn
}

/// P1, P3: whatever is appended, what a verifier gets is the meet over all blocks, and each block covers it.
#[test]
fn chains_never_widen() {
    let mut random = seeded("chains");
    let issuer = Issuer::new(&seed(1)).unwrap();
    let mut appended = [0_u64; 2];
    for n in 0..CHAINS {
        let widest = Authority { capability: draw_capability(&mut random), ..authority() };
        let mut blocks = vec![draw(&mut random, &widest)];
        let mut proof = issuer.issue(&blocks[0], seed(2)).unwrap();
        for _ in 0..random.below(BLOCKS_MAX as u64 - 1) {
            let next = draw(&mut random, proof.authority());
            match proof.attenuate(&next, seed(n)) {
                Ok(narrower) => {
                    assert!(proof.authority().capability.covers(&next.capability));
                    proof = narrower;
                    blocks.push(next);
                    appended[0] += 1;
                }
                Err(IssueError::Wider(excess)) => {
                    assert_eq!(proof.authority().excess(&next), Some(excess));
                    appended[1] += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        if n % 4 == 0 {
            let back = Proof::decode(&proof.encode(), &issuer.public()).unwrap();
            assert_eq!(back.encode(), proof.encode());
            proof = back;
        }
        let exact = proof.authority().clone();
        let presented = proof.present(&exact).unwrap();
        let given = Verifier::new(issuer.public(), AUDIENCE).verify(presented.bytes(), NOW).unwrap();
        assert_eq!(*given, exact);
        let mut meet = blocks[0].capability.clone();
        let mut limits = blocks[0].limits;
        for block in &blocks {
            assert!(block.covers(&given), "{block:?} does not cover {given:?}");
            meet = meet.meet(&block.capability);
            limits = limits.meet(block.limits);
        }
        assert_eq!((&given.capability, given.limits), (&meet, limits));
        assert_eq!(Some(given.expires_unix_ms), blocks.iter().map(|block| block.expires_unix_ms).min());
    }
    assert!(appended.iter().all(|count| *count > CHAINS / 4), "both happen often: {appended:?}");
}

/// P1: the order of authorities is one.
#[test]
fn covering_is_an_order() {
    let mut random = seeded("order");
    let mut held = [0; 2];
    for _ in 0..20_000 {
        let a = Authority { capability: draw_capability(&mut random), ..authority() };
        let b = draw(&mut random, &a);
        let c = draw(&mut random, &b);
        assert!(a.covers(&a));
        if a.covers(&b) && b.covers(&c) {
            assert!(a.covers(&c), "{a:?}\n{b:?}\n{c:?}");
            held[0] += 1;
        }
        if a.covers(&b) && b.covers(&a) {
            assert_eq!(a, b);
            held[1] += 1;
        }
        if a.covers(&b) {
            assert!(a.capability.covers(&b.capability));
        }
    }
    assert!(held.iter().all(|count| *count > 1_000), "{held:?}");
}

/// P3: an authority has one encoding.
#[test]
fn authorities_are_read_back() {
    let mut random = seeded("authorities");
    for _ in 0..5_000 {
        let drawn = Authority { capability: draw_capability(&mut random), ..authority() };
        let drawn = draw(&mut random, &drawn);
        let bytes = drawn.encode().unwrap();
        assert_eq!(Authority::decode(&bytes).as_ref(), Ok(&drawn));
        let mut changed = bytes.clone();
        let at = random.below(bytes.len() as u64) as usize;
        changed[at] ^= 1 << random.below(8);
        if let Ok(other) = Authority::decode(&changed) {
            assert_ne!(other, drawn);
            assert_eq!(other.encode().unwrap(), changed);
        }
    }
}

/// P6: over any order of arrival, a number opens at most once, and always where it is new and within the window.
#[test]
fn a_seal_opens_once() {
    let mut random = seeded("seals");
    let request = Request { method: "/m", body: b"body", proof: Sha256::of(b"proof") };
    let mut counts = [0; 3];
    for _ in 0..40 {
        let mut sealer = Sealer::new(&key(1));
        let seals: Vec<_> =
            (0..6_000).map(|_| sealer.seal(request.method, request.body, &request.proof, NOW + 1)).collect();
        let mut opener = Opener::new(&key(1));
        let mut taken = HashSet::new();
        let (mut highest, mut front) = (0, 0);
        for _ in 0..3_000 {
            front = (front + random.below(5)).min(5_000);
            if random.below(200) == 0 {
                front = (front + random.below(3_000)).min(5_000);
            }
            let at = (front + random.below(40)).saturating_sub(random.below(1_200));
            let seal = &seals[at as usize];
            let is_in = seal.sequence + SEAL_WINDOW > highest;
            let wanted = match (is_in, taken.contains(&seal.sequence)) {
                (false, _) => Err(SealError::Stale { sequence: seal.sequence, highest }),
                (true, true) => Err(SealError::Replayed { sequence: seal.sequence }),
                (true, false) => Ok(()),
            };
            assert_eq!(opener.open(&request, seal, NOW), wanted, "highest {highest}");
            match wanted {
                Ok(()) => {
                    taken.insert(seal.sequence);
                    highest = highest.max(seal.sequence);
                    counts[0] += 1;
                }
                Err(SealError::Replayed { .. }) => counts[1] += 1,
                Err(_) => counts[2] += 1,
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 100), "each happens often: {counts:?}");
}
