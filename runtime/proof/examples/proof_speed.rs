//! How long proofs and seals take: `cargo run --profile bench -p aether-proof --example proof_speed`.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::digest::Sha256;
use aether_core::tool::Limits;
use aether_proof::{Authority, Issuer, Opener, Presentation, Request, Sealer, Seed, Verifier};
use zeroize::Zeroizing;

const ROUNDS: usize = 4_000;
const NOW: u64 = 1_800_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::generate()?;
    let authority = authority()?;
    let held = issuer.issue(&authority, Seed::generate()?)?;
    let longer = held.attenuate(&authority, Seed::generate()?)?;
    let proofs = [issuer.present(&authority)?, held.present(&authority)?, longer.present(&authority)?];
    measure("present, 1 block", || issuer.present(&authority).map(drop))?;
    measure("attenuate", || held.attenuate(&authority, Seed::generate()?).map(drop))?;
    let fresh = || Verifier::new(issuer.public(), authority.audience);
    for (blocks, proof) in (1..).zip(&proofs) {
        let name = format!("first check, {blocks} of {} bytes", proof.bytes().len());
        measure(&name, || fresh().verify(proof.bytes(), NOW).map(drop))?;
        let mut verifier = fresh();
        fill(&mut verifier, &issuer, &authority)?;
        verifier.verify(proof.bytes(), NOW)?;
        let name = format!("known, {blocks} of {} bytes", proof.bytes().len());
        measure(&name, || verifier.verify(proof.bytes(), NOW).map(drop))?;
    }
    seals(&proofs[0])
}

fn seals(proof: &Presentation) -> Result<(), Box<dyn Error>> {
    let key = Zeroizing::new([5; 32]);
    let request = Request { method: "/aether.runtime.v1.Runtime/Run", body: &[7; 256], proof: proof.digest() };
    let mut sealer = Sealer::new(&key);
    measure("seal, 256 bytes", || {
        black_box(sealer.seal(request.method, request.body, &request.proof, NOW));
        Ok::<_, String>(())
    })?;
    let mut sealer = Sealer::new(&key);
    let mut seals = (0..ROUNDS)
        .map(|_| sealer.seal(request.method, request.body, &request.proof, NOW))
        .collect::<Vec<_>>()
        .into_iter();
    let mut opener = Opener::new(&key);
    measure("open, 256 bytes", || {
        let seal = seals.next().ok_or("as many seals as rounds")?;
        opener.open(&request, &seal, NOW).map_err(|_| "a seal that opens")
    })
}

/// Remembers a thousand other proofs.
fn fill(verifier: &mut Verifier, issuer: &Issuer, authority: &Authority) -> Result<(), Box<dyn Error>> {
    for task in 1_000..2_000 {
        let other = Authority { task, ..authority.clone() };
        verifier.verify(issuer.present(&other)?.bytes(), NOW)?;
    }
    Ok(())
}

fn authority() -> Result<Authority, Box<dyn Error>> {
    let place = |text| Place::parse(text).map_err(|malformed| malformed.to_string());
    let host = |text| Host::parse(text).map_err(|malformed| malformed.to_string());
    let capability = Capability::default()
        .with_network(Network::hosts(vec![host("api.github.com")?, host("*.githubusercontent.com")?]))
        .with_read(vec![place("$workspace")?, place("/usr")?, place("/lib")?, place("/etc/ssl/certs")?])
        .with_write(vec![place("$workspace")?])
        .with_programs(vec![place("/usr/bin")?, place("/usr/lib/git-core")?]);
    Ok(Authority {
        issuer: [1; 16],
        task: 7,
        tool: "git".to_owned(),
        call: Some(Sha256::of(b"call")),
        capability,
        limits: Limits::BUILTIN,
        audience: [2; 32],
        expires_unix_ms: NOW + 30_000,
    })
}

/// Prints the median and the 99th percentile of [`ROUNDS`] runs, in microseconds.
fn measure<E: Into<Box<dyn Error>>>(name: &str, mut run: impl FnMut() -> Result<(), E>) -> Result<(), Box<dyn Error>> {
    let mut nanoseconds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run().map_err(Into::into)?;
        nanoseconds.push(start.elapsed().as_nanos() as u64);
    }
    nanoseconds.sort_unstable();
    let at = |part: usize| nanoseconds[ROUNDS * part / 100] as f64 / 1_000.0;
    writeln!(std::io::stdout(), "{name:<32} p50 {:>8.2} us   p99 {:>8.2} us", at(50), at(99))?;
    Ok(())
}
