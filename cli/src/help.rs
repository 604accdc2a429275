//! Help, version, and the three ways to go on when nothing was typed.

use aether_core::config::nearest;

use crate::args::{Command, EVERYWHERE, Flag, Invocation, unknown_command};
use crate::commands::COMMANDS;
use crate::show::write_out;
use crate::trouble::{Exit, Trouble};

/// Flags of `aether version`.
pub(crate) const VERSION_FLAGS: &[Flag] =
    &[Flag { long: "features", short: None, value: None, key: None, doc: "List what this build contains" }];

/// What this build contains.
pub(crate) const FEATURES: &[(&str, bool)] = &[
    ("kernel", true),
    ("providers", true),
    ("tools", true),
    ("offline-model", true),
    ("sandbox", cfg!(all(feature = "sandbox", target_os = "linux"))),
    ("otlp", cfg!(feature = "otlp")),
];

/// `aether` alone.
pub(crate) fn welcome() -> Result<Exit, Trouble> {
    let (model, why) = crate::chain::detected();
    let text = format!(
        "AetherCore {}: runs AI agents that cannot do more than you allowed.\n\n\
         Three ways to go on:\n\
         \x20 aether onboard                       connect a model, in under a minute\n\
         \x20 aether run \"What is in this folder?\"   one goal, one answer (now: {model}, as {why})\n\
         \x20 aether chat                          a conversation\n\n\
         `aether help` lists all commands.\n",
        env!("CARGO_PKG_VERSION"),
    );
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

/// `aether help [COMMAND]`.
pub(crate) fn help(invocation: &Invocation) -> Result<Exit, Trouble> {
    let typed = invocation.operands.join(" ");
    if typed.is_empty() {
        return all();
    }
    if let Some(command) = COMMANDS.iter().find(|command| command.name == typed) {
        return of(command);
    }
    let below: Vec<&Command> =
        COMMANDS.iter().filter(|command| command.name.split(' ').next() == Some(&typed)).collect();
    if below.is_empty() {
        let heads = COMMANDS.iter().map(|command| command.name);
        return Err(match nearest(&typed, heads) {
            Some(near) => Trouble::usage(format!("unknown command `{typed}`; did you mean `aether help {near}`?")),
            None => unknown_command(COMMANDS, &typed),
        });
    }
    write_out(&lines(below.into_iter())).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

/// All commands, a line each.
fn all() -> Result<Exit, Trouble> {
    let text = format!(
        "usage: aether COMMAND [FLAGS]\n\n{}\n\
         `aether help COMMAND` says more. Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 budget spent, 130 interrupted.\n",
        lines(COMMANDS.iter()),
    );
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

fn lines(commands: impl Iterator<Item = &'static Command>) -> String {
    commands.map(|command| format!("  {:<16} {}\n", command.name, command.summary)).collect()
}

/// How one command is used.
pub(crate) fn of(command: &Command) -> Result<Exit, Trouble> {
    let mut text = format!("{}\n\nusage: aether {} {} [FLAGS]\n\n", command.summary, command.name, command.operands);
    for flag in command.flags.iter().flat_map(|group| group.iter()).chain(EVERYWHERE) {
        let short = flag.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
        let value = flag.value.map_or(String::new(), |value| format!(" {value}"));
        text.push_str(&format!("  {:<32} {}\n", format!("{short}--{}{value}", flag.long), flag.doc));
    }
    text.push_str("\nexamples:\n");
    for example in command.examples {
        text.push_str(&format!("  aether {example}\n"));
    }
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

/// `aether version`.
pub(crate) fn version(invocation: &Invocation) -> Result<Exit, Trouble> {
    let mut text = format!("aether {}\n", env!("CARGO_PKG_VERSION"));
    if invocation.has("features") {
        for (name, is_inside) in FEATURES {
            text.push_str(&format!("{} {name}\n", if *is_inside { "+" } else { "-" }));
        }
    }
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}
