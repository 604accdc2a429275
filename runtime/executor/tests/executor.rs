//! Calls in real jails. This file has a main of its own, because the spawner is this same program started again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test with a main of its own")]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod calls;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(aether_jail::SPAWNER_WORD) {
        aether_jail::serve();
    }
    // As the usual harness: words that are no options are parts of names.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut failed = Vec::new();
    for (name, test) in calls::TESTS.iter().filter(|(name, _)| is_wanted(name)) {
        let ended = std::panic::catch_unwind(test);
        println!("test {name} ... {}", if ended.is_ok() { "ok" } else { "FAILED" });
        if ended.is_err() {
            failed.push(name);
        }
    }
    println!("\ntest result: {}. {} failed", if failed.is_empty() { "ok" } else { "FAILED" }, failed.len());
    std::process::ExitCode::from(u8::from(!failed.is_empty()))
}
