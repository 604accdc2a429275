//! Checking a proof of authority: the first time, and when it is known.

use std::fmt::Display;
use std::time::Instant;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::digest::Sha256;
use aether_programs::LIMITS;
use aether_proof::{Authority, Issuer, Verifier};

use super::{Found, ROUNDS, percentile, rounded, since_us};
use crate::trouble::Trouble;

/// Other proofs that are known while one is looked up.
const OTHERS: u64 = 1_000;
/// When the proofs are checked, and how much longer they hold, in milliseconds.
const NOW_UNIX_MS: u64 = 1_800_000_000_000;
const LEFT_MS: u64 = 30_000;

/// Adds what a check costs: the median of the best round, in each of which there are so many.
pub(super) fn measure(runs: u64, found: &mut Found) -> Result<(), Trouble> {
    let issuer = Issuer::generate().map_err(Trouble::failed)?;
    let authority = authority()?;
    let proof = issuer.present(&authority).map_err(Trouble::failed)?;
    let fresh = || Verifier::new(issuer.public(), authority.audience);
    let mut knowing = fresh();
    for task in 0..OTHERS {
        let other = issuer.present(&Authority { task, ..authority.clone() }).map_err(Trouble::failed)?;
        knowing.verify(other.bytes(), NOW_UNIX_MS).map_err(wrong)?;
    }
    knowing.verify(proof.bytes(), NOW_UNIX_MS).map_err(wrong)?;
    let (mut first, mut known) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        first = first.min(median(runs, || fresh().verify(proof.bytes(), NOW_UNIX_MS).map(drop).map_err(wrong))?);
        known = known.min(median(runs, || knowing.verify(proof.bytes(), NOW_UNIX_MS).map(drop).map_err(wrong))?);
    }
    found.insert("proof_first_us".into(), rounded(first));
    found.insert("proof_known_us".into(), rounded(known));
    Ok(())
}

fn median(runs: u64, mut act: impl FnMut() -> Result<(), Trouble>) -> Result<f64, Trouble> {
    let mut samples = Vec::new();
    for _ in 0..runs {
        let from = Instant::now();
        act()?;
        samples.push(since_us(from));
    }
    Ok(percentile(&mut samples, 50))
}

/// What a call of `git` might be given: two hosts, and a few places.
fn authority() -> Result<Authority, Trouble> {
    let place = |text: &str| Place::parse(text).map_err(Trouble::failed);
    let host = |text: &str| Host::parse(text).map_err(Trouble::failed);
    let capability = Capability::default()
        .with_network(Network::hosts(vec![host("git.example.com:443")?, host("*.content.example.com:443")?]))
        .with_read(vec![place("$workspace")?, place("/etc/ssl/certs")?])
        .with_write(vec![place("$workspace")?])
        .with_programs(vec![place("$system")?, place("$workspace")?]);
    Ok(Authority {
        issuer: [1; 16],
        // The others count from 0.
        task: OTHERS,
        tool: "git".to_owned(),
        call: Some(Sha256::of(b"call")),
        capability,
        limits: LIMITS,
        audience: [2; 32],
        expires_unix_ms: NOW_UNIX_MS + LEFT_MS,
    })
}

fn wrong(why: impl Display) -> Trouble {
    Trouble::failed(format!("a proof that was just made: {why}"))
}
