//! The sidecar as a real process: this program starts itself again, as a sidecar or as somebody's parent.
#![cfg_attr(
    target_os = "linux",
    expect(
        clippy::unwrap_used,
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "a test stops at the first surprise, and says so itself"
    )
)]

#[cfg(target_os = "linux")]
#[path = "process/cases.rs"]
mod cases;
#[cfg(target_os = "linux")]
#[path = "process/house.rs"]
mod house;

/// Runs as what its arguments say; as a test runner by default, with the arguments of the usual one.
fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.first().map(String::as_str) {
            Some(aether_sidecar::SIDECAR_WORD) => aether_sidecar::serve(&mut house::House::default()),
            Some("--as-parent") => cases::as_parent(),
            _ => run(&arguments),
        }
    }
    #[cfg(not(target_os = "linux"))]
    std::process::ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn run(arguments: &[String]) -> std::process::ExitCode {
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let filter = arguments.iter().find(|argument| !argument.starts_with('-') && *argument != "terse");
    let matches = |name: &str| {
        filter.is_none_or(|filter| if flag("--exact") { name == filter } else { name.contains(filter.as_str()) })
    };
    let chosen: Vec<_> = cases::ALL.iter().filter(|(name, _)| matches(name)).collect();
    if flag("--list") {
        chosen.iter().filter(|_| !flag("--ignored")).for_each(|(name, _)| println!("{name}: test"));
        return std::process::ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, case) in &chosen {
        let began = std::time::Instant::now();
        let outcome = std::panic::catch_unwind(case);
        println!("test {name} ... {} ({:?})", if outcome.is_ok() { "ok" } else { "FAILED" }, began.elapsed());
        failed += u8::from(outcome.is_err());
    }
    println!("\ntest result: {} passed; {failed} failed", chosen.len() - usize::from(failed));
    std::process::ExitCode::from(failed)
}
