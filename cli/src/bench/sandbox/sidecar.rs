//! The sidecar: from its start to its serving, and a call that does nothing, over gRPC on TLS.

use std::time::Instant;

use aether_sidecar::{Options, Sidecar, SidecarError};
use zeroize::Zeroizing;

use super::{Found, ROUNDS, percentile, rounded, since_us};
use crate::run::runtime;
use crate::secure::settings::Settings;
use crate::trouble::Trouble;

/// Calls before anything is counted.
const WARM_RUNS: u64 = 200;

/// Adds what the sidecar costs: `runs` calls and a twentieth as many starts in each round.
pub(super) fn measure(settings: &Settings, runs: u64, found: &mut Found) -> Result<(), Trouble> {
    let options = Options {
        settings: Zeroizing::new(settings.encode().into_bytes()),
        issuer: crate::show::random_bytes(),
        ..Options::default()
    };
    let runtime = runtime()?;
    let measured = runtime.block_on(async {
        let start_us = starts(&options, (runs / 20).max(1)).await?;
        Ok::<_, SidecarError>((start_us, calls(&options, runs * 2).await?))
    });
    let (start_us, (p50, p99)) = measured.map_err(Trouble::failed)?;
    found.insert("sidecar_start_us".into(), rounded(start_us));
    found.insert("sidecar_status_p50_us".into(), rounded(p50));
    found.insert("sidecar_status_p99_us".into(), rounded(p99));
    Ok(())
}

/// The median of the best round.
async fn starts(options: &Options, runs: u64) -> Result<f64, SidecarError> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let mut samples = Vec::new();
        for _ in 0..runs {
            let from = Instant::now();
            let sidecar = Sidecar::start(options.clone()).await?;
            samples.push(since_us(from));
            sidecar.stop().await;
        }
        best = best.min(percentile(&mut samples, 50));
    }
    Ok(best)
}

/// The median, and what 99 of 100 do not exceed, each of its best round.
async fn calls(options: &Options, runs: u64) -> Result<(f64, f64), SidecarError> {
    let sidecar = Sidecar::start(options.clone()).await?;
    for _ in 0..WARM_RUNS {
        sidecar.status().await?;
    }
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let mut samples = Vec::new();
        for _ in 0..runs {
            let from = Instant::now();
            sidecar.status().await?;
            samples.push(since_us(from));
        }
        best = (best.0.min(percentile(&mut samples, 50)), best.1.min(percentile(&mut samples, 99)));
    }
    sidecar.stop().await;
    Ok(best)
}
