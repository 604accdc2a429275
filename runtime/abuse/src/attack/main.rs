//! The attacker: one verb a run, which really tries and then says whether it got through.
//!
//! `breached: …` (exit 0) when it did, `held: ERRNO …` (exit 10) when something stopped it, `cannot tell: …`
//! (exit 20) when it could not even try.

#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(target_os = "linux")]
mod attempt;
#[cfg(target_os = "linux")]
mod confinement;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod resources;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let words = attempt::Words::of(words.collect());
    let rooms = [files::VERBS, processes::VERBS, kernel::VERBS, resources::VERBS, network::VERBS, confinement::VERBS];
    let found = rooms.iter().flat_map(|verbs| verbs.iter()).find(|(name, _)| *name == verb);
    let outcome = match found {
        Some((_, attempt)) => attempt(&words),
        None => Err(attempt::Stopped::Unclear(format!("no verb `{verb}`"))),
    };
    attempt::report(&outcome)
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write;
    // Nobody may be listening; the exit code says the same.
    let _ = writeln!(std::io::stdout(), "cannot tell: the attacks are written against Linux");
    ExitCode::from(20)
}
