//! `aether bench sandbox`: what jails, the broker, the sidecar and proofs cost here, beside what stands for the machine's speed.
//!
//! Times depend on the machine and on what else it does, so each is taken in turn with its yardstick: a jail with a program
//! that runs without one and, where it is installed, with bubblewrap; the broker with a connection that needs none.

mod broker;
mod jails;
mod proofs;
mod sidecar;

use std::time::Instant;

use aether_executor::Options;
use serde_json::{Map, Value, json};

use super::{JSON, number, report};
use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::policy;
use crate::secure::settings::Settings;
use crate::setup::workspace;
use crate::trouble::{Exit, Trouble};

/// Flags of `aether bench sandbox`.
pub(crate) const SANDBOX_FLAGS: &[Flag] = &[
    Flag {
        long: "runs",
        short: None,
        value: Some("N"),
        key: None,
        doc: "How many jails to run; of everything else in proportion (500)",
    },
    JSON,
];

/// Rounds of each measurement: promises are about the program and not about the machine in a bad minute, so the best one
/// counts; of several things that take turns, the round in which all of them together were quickest.
const ROUNDS: u64 = 5;

/// Names and numbers.
type Found = Map<String, Value>;

/// Runs it.
pub(crate) fn sandbox(invocation: &Invocation) -> Result<Exit, Trouble> {
    let runs = number(invocation, "runs", 500, 10..=100_000)?;
    let boot = Boot::new(invocation)?;
    let workspace = workspace(&boot)?;
    let settings = Settings::new(&boot, &workspace, &policy::load(&boot.directories)?);
    let options: Options = settings.options()?;
    let mut found = Found::new();
    found.insert("runs".into(), json!(runs));
    jails::measure(&options, runs, &mut found)?;
    broker::measure(runs * 4, &mut found)?;
    sidecar::measure(&settings, runs, &mut found)?;
    proofs::measure(runs * 2, &mut found)?;
    report(invocation, &Value::Object(found))?;
    Ok(Exit::Done)
}

/// Microseconds that something takes.
fn us(act: impl FnOnce() -> Result<(), Trouble>) -> Result<f64, Trouble> {
    let from = Instant::now();
    act()?;
    Ok(since_us(from))
}

fn since_us(from: Instant) -> f64 {
    from.elapsed().as_nanos() as f64 / 1000.0
}

/// What so many of a hundred do not exceed; 50 is the median.
fn percentile(samples: &mut [f64], percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    let at = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
    samples.get(at).copied().unwrap_or(f64::NAN)
}

/// The round that was quickest altogether: the one in which the machine had least else to do.
fn quietest<const N: usize>(rounds: impl IntoIterator<Item = [f64; N]>) -> [f64; N] {
    let all = |round: &[f64; N]| round.iter().sum::<f64>();
    rounds.into_iter().min_by(|one, other| all(one).total_cmp(&all(other))).unwrap_or([f64::NAN; N])
}

/// With three digits behind the point, as JSON.
fn rounded(number: f64) -> Value {
    json!((number * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 50), 101.0);
        assert_eq!(percentile(&mut samples, 99), 199.0);
        assert_eq!(percentile(&mut samples, 100), 200.0);
        assert_eq!(percentile(&mut [7.0], 99), 7.0);
        assert!(percentile(&mut [], 50).is_nan());
    }

    #[test]
    fn the_quietest_round_is_taken_whole() {
        assert_eq!(quietest([[3.0, 1.0], [2.0, 1.5], [1.0, 9.0]]), [2.0, 1.5]);
        assert!(quietest::<1>([])[0].is_nan());
    }
}
