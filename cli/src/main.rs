//! `aether`: the command line of AetherCore.
#![forbid(unsafe_code)]

mod approval;
mod args;
mod ask;
mod audit;
mod bench;
mod boot;
mod chain;
mod chat;
mod commands;
mod completions;
mod config;
mod doctor;
mod help;
mod house;
mod model;
mod onboard;
mod policy;
mod probe;
mod prompt;
mod run;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod sandbox;
mod secure;
mod setup;
mod show;
mod telemetry;
mod tools;
mod trace;
mod trouble;

use std::process::ExitCode;

/// musl's own allocator maps and unmaps pages for every few kilobytes that come and go; this one keeps them.
#[cfg(target_env = "musl")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    if let Some(ended) = secure::hidden(std::env::args_os().nth(1).as_deref()) {
        return ended;
    }
    let words = std::env::args_os().skip(1);
    let ended = args::read(commands::COMMANDS, words).and_then(|invocation| match invocation {
        None => help::welcome(),
        Some(invocation) if invocation.has("help") => help::of(invocation.command),
        Some(invocation) => (invocation.command.run)(&invocation),
    });
    ended
        .unwrap_or_else(|trouble| {
            show::eprint(&aether_terminal::neutral(&format!("aether: {trouble}")));
            trouble.exit
        })
        .into()
}
