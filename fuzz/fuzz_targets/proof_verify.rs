//! Whatever is done to a chain of blocks, nobody gets more than was signed (P1, P2, P4, P5).
#![no_main]

use std::sync::LazyLock;

use aether_core::capability::{Capability, Place};
use aether_core::tool::Limits;
use aether_fuzz::Draw;
use aether_proof::{Authority, Issuer, Presentation, Proof, ProofError, Revocation, Seed, Verifier};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_800_000_000_000;
const EDITS_MAX: usize = 6;

struct Signed {
    root: [u8; 32],
    wide: Authority,
    held: Vec<u8>,
    presented: Vec<Presentation>,
}

/// Proofs of one, two and three blocks by one issuer.
static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let seed = |byte| Seed::from_bytes([byte; 32].into());
    let place = |text| Place::parse(text).expect("a path");
    let issuer = Issuer::new(&seed(1)).expect("a key");
    let wide = Authority {
        issuer: [1; 16],
        task: 7,
        tool: "*".to_owned(),
        call: None,
        capability: Capability::default().with_read(vec![place("/usr"), place("$workspace")]),
        limits: Limits::BUILTIN,
        audience: [2; 32],
        expires_unix_ms: NOW + 1_000,
    };
    let git = Authority { tool: "git".to_owned(), ..wide.clone() };
    let narrow = git.capability.clone().with_read(vec![place("/usr")]);
    let narrow = Authority { capability: narrow, ..git.clone() };
    let held = issuer.issue(&wide, seed(2)).expect("a proof");
    let longer = held.attenuate(&git, seed(3)).expect("a longer one");
    let presented = [issuer.present(&wide), held.present(&git), longer.present(&narrow)];
    Signed {
        root: issuer.public(),
        wide,
        held: held.encode().to_vec(),
        presented: presented.map(|presented| presented.expect("a presented one")).into(),
    }
});

fuzz_target!(|bytes: &[u8]| {
    let signed = &*SIGNED;
    let mut draw = Draw::new(bytes);
    let mut verifier = Verifier::new(signed.root, signed.wide.audience);
    let shown = edited(&mut draw, signed);
    let is_original = signed.presented.iter().any(|presented| presented.bytes() == shown);
    let now_unix_ms = NOW + draw.number() % 2_000;
    match verifier.verify(&shown, now_unix_ms) {
        Ok(authority) => {
            assert!(is_original, "P2");
            assert!(signed.wide.covers(&authority), "P1");
            assert!(authority.expires_unix_ms >= now_unix_ms, "P5");
            assert_eq!(verifier.verify(&shown, now_unix_ms).as_ref(), Ok(&authority));
            let task = Revocation::Task { issuer: authority.issuer, task: authority.task };
            verifier.revoke(task, u64::MAX).expect("room for one");
            assert_eq!(verifier.verify(&shown, now_unix_ms), Err(ProofError::Revoked), "P5");
        }
        Err(ProofError::Expired { .. }) => assert!(is_original && now_unix_ms > signed.wide.expires_unix_ms),
        Err(error) => assert!(!is_original && !error.to_string().is_empty() && error.reason().starts_with("proof-")),
    }
    match Proof::decode(&shown, &signed.root) {
        Ok(proof) => {
            assert_eq!(shown, signed.held, "P2");
            assert_eq!(**proof.encode(), shown, "P3");
        }
        Err(error) => assert!(shown != signed.held && !error.to_string().is_empty()),
    }
});

/// One of the proofs, with parts of the others put in, and bytes changed, dropped and added.
fn edited(draw: &mut Draw<'_>, signed: &Signed) -> Vec<u8> {
    let one = |n: usize| signed.presented.get(n).map_or(&signed.held[..], Presentation::bytes);
    let mut shown = one(draw.within(0..4)).to_vec();
    for _ in 0..draw.within(0..EDITS_MAX) {
        let at = draw.within(0..shown.len() + 1);
        let end = (at + draw.within(0..shown.len() + 1)).min(shown.len());
        match draw.byte() % 5 {
            0 => drop(shown.drain(at..end)),
            1 => drop(shown.splice(at..at, draw.bytes().iter().copied())),
            2 => {
                let other = one(draw.within(0..4));
                let from = draw.within(0..other.len());
                drop(shown.splice(at..end, other[from..].iter().copied()));
            }
            3 => shown.truncate(end),
            _ => {
                if let Some(byte) = shown.get_mut(at) {
                    *byte ^= draw.byte();
                }
            }
        }
    }
    shown
}
