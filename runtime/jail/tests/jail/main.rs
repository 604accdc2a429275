//! Real jails: what is seen, what is held, how it ends. This binary is also the spawner, and the program inside.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test with a main of its own"
)]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod confined;
#[cfg(target_os = "linux")]
mod ends;
#[cfg(target_os = "linux")]
mod guarded;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod held;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod refused;
#[cfg(target_os = "linux")]
mod seen;
#[cfg(target_os = "linux")]
mod tier_b;

#[cfg(target_os = "linux")]
fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(aether_jail::SPAWNER_WORD) => aether_jail::serve(),
        Some("inside") => inside::act(&args[2..]),
        Some("parent") => ends::be_a_parent(&args[2]),
        Some("confined") => confined::be_confined(&args[2], args[3].as_ref()),
        Some("starved") => refused::be_starved(),
        Some("without") => tier_b::be_without(args.get(2).map(String::as_str)),
        Some("contained") => {
            tier_b::contain();
            tier_b::be_without(args.get(2).map(String::as_str));
        }
        Some("parent-without") => {
            tier_b::go_without();
            ends::be_a_parent(&args[2]);
        }
        filter => harness::run_all(filter.filter(|text| !text.starts_with('-'))),
    }
}
