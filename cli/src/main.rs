//! `aether`: the command line of AetherCore.
#![forbid(unsafe_code)]

mod approval;
mod args;
mod ask;
mod boot;
mod chain;
mod commands;
mod help;
mod house;
mod prompt;
mod run;
mod setup;
mod show;
mod telemetry;
mod tools;
mod trace;
mod trouble;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    let ended = args::read(commands::COMMANDS, words).and_then(|invocation| match invocation {
        None => help::welcome(),
        Some(invocation) if invocation.has("help") => help::of(invocation.command),
        Some(invocation) => (invocation.command.run)(&invocation),
    });
    ended
        .unwrap_or_else(|trouble| {
            show::eprint(&format!("aether: {trouble}"));
            trouble.exit
        })
        .into()
}
