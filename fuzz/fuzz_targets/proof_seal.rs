//! A seal opens once, for its own request, on its own connection, in time, whatever arrives in which order (P6).
#![no_main]

use std::collections::BTreeSet;

use aether_core::digest::Digest;
use aether_fuzz::Draw;
use aether_proof::{Opener, Request, SEAL_WINDOW, Seal, SealError, Sealer};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_800_000_000_000;
const EVENTS_MAX: usize = 64;
const METHODS: &[&str] = &["/a", "/b", ""];

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let mut sealer = Sealer::new(&[5; 32].into());
    let mut opener = Opener::new(&[5; 32].into());
    let mut foreign = Opener::new(&[6; 32].into());
    let mut made: Vec<(Seal, &str, &[u8], u8)> = Vec::new();
    let mut taken = BTreeSet::new();
    let mut now_unix_ms = NOW;
    for _ in 0..EVENTS_MAX {
        if draw.is_empty() {
            break;
        }
        let (method, body, proof) = (draw.one_of(METHODS), draw.chunk(), draw.byte() % 3);
        let request = Request { method, body, proof: Digest([proof; 32]) };
        let skipped = if draw.byte() == 0xEE { draw.within(0..2_000) } else { 0 };
        for _ in 0..skipped {
            sealer.seal(method, body, &request.proof, NOW);
        }
        let deadline_unix_ms = NOW + draw.number() % (1 << 28);
        made.push((sealer.seal(method, body, &request.proof, deadline_unix_ms), method, body, proof));
        now_unix_ms = now_unix_ms.max(NOW + u64::from(draw.byte()));
        let (seal, method, body, proof) = made[draw.within(0..made.len())];
        let mut shown = seal.encode();
        let at = draw.within(0..shown.len());
        let flip = draw.byte() & draw.byte();
        shown[at] ^= flip;
        let is_own = draw.byte() % 4 > 0;
        let asked = if is_own { Request { method, body, proof: Digest([proof; 32]) } } else { request };
        let is_same = flip == 0 && (asked.method, asked.body, asked.proof) == (method, body, Digest([proof; 32]));
        let Ok(shown) = Seal::decode(&shown) else { continue };
        assert_eq!(foreign.open(&asked, &shown, NOW), Err(SealError::Forged));
        let highest = taken.last().copied().unwrap_or(0);
        let found = opener.open(&asked, &shown, now_unix_ms);
        match found {
            Ok(()) => assert!(is_same && deadline(&shown, now_unix_ms) && taken.insert(shown.sequence)),
            Err(SealError::Forged | SealError::Malformed(_)) => assert!(!is_same),
            Err(SealError::Expired { .. } | SealError::TooLong { .. }) => assert!(!deadline(&shown, now_unix_ms)),
            Err(SealError::Replayed { sequence }) => assert!(taken.contains(&sequence)),
            Err(SealError::Stale { sequence, .. }) => assert!(sequence + SEAL_WINDOW <= highest),
        }
    }
});

fn deadline(seal: &Seal, now_unix_ms: u64) -> bool {
    (now_unix_ms..=now_unix_ms + aether_proof::AHEAD_MS_MAX).contains(&seal.deadline_unix_ms)
}
