//! The command line as data: commands, flags, and reading one against the other.

use std::ffi::OsString;

use aether_core::config::nearest;
use lexopt::Arg;

use crate::trouble::{Exit, Trouble};

/// One flag.
pub(crate) struct Flag {
    /// Without the two hyphens.
    pub(crate) long: &'static str,
    /// The one-letter form.
    pub(crate) short: Option<char>,
    /// What its value is called in help; `None` for a switch.
    pub(crate) value: Option<&'static str>,
    /// The configuration key that it sets, if it does no more than that.
    pub(crate) key: Option<&'static str>,
    /// One line.
    pub(crate) doc: &'static str,
}

/// One command.
pub(crate) struct Command {
    /// Its words, such as `tool show`.
    pub(crate) name: &'static str,
    /// What follows it, in the notation of usage lines.
    pub(crate) operands: &'static str,
    /// The most operands it takes.
    pub(crate) operands_max: usize,
    /// One line.
    pub(crate) summary: &'static str,
    /// Its own flags; [`EVERYWHERE`] are understood besides.
    pub(crate) flags: &'static [&'static [Flag]],
    /// Lines to copy, without the leading `aether`.
    pub(crate) examples: &'static [&'static str],
    /// Does it.
    pub(crate) run: fn(&Invocation) -> Result<Exit, Trouble>,
}

/// What the person typed.
pub(crate) struct Invocation {
    /// The command.
    pub(crate) command: &'static Command,
    /// Flags with their values, in the order given; switches have an empty value.
    pub(crate) flags: Vec<(&'static Flag, String)>,
    /// Everything else.
    pub(crate) operands: Vec<String>,
}

/// Runs untrusted tools in a process of their own, the sidecar; also understood before the command.
pub(crate) const KERNEL: Flag = Flag {
    long: "kernel",
    short: None,
    value: None,
    key: None,
    doc: "Run untrusted tools in a sidecar process, which checks every call for itself",
};

/// Flags that every command understands.
pub(crate) const EVERYWHERE: &[Flag] = &[
    Flag { long: "help", short: Some('h'), value: None, key: None, doc: "Say how a command is used" },
    Flag {
        long: "config",
        short: None,
        value: Some("FILE"),
        key: None,
        doc: "Read this configuration file instead of the usual one",
    },
    Flag { long: "color", short: None, value: Some("WHEN"), key: Some("color"), doc: "auto, always or never" },
];

impl Invocation {
    /// The last value given for a flag.
    pub(crate) fn value(&self, long: &str) -> Option<&str> {
        self.values(long).last()
    }

    /// All values given for a flag.
    pub(crate) fn values<'a>(&'a self, long: &str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(flag, _)| flag.long == long).map(|(_, value)| value.as_str())
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, long: &str) -> bool {
        self.flags.iter().any(|(flag, _)| flag.long == long)
    }

    /// The operand at `at`, which the command cannot do without.
    pub(crate) fn operand(&self, at: usize, what: &str) -> Result<&str, Trouble> {
        self.operands.get(at).map(String::as_str).ok_or_else(|| {
            Trouble::usage(format!(
                "`aether {}` needs {what}; usage: aether {} {}",
                self.command.name, self.command.name, self.command.operands
            ))
        })
    }
}

impl Command {
    pub(crate) fn all_flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().flat_map(|group| group.iter()).chain(EVERYWHERE)
    }
}

/// Reads the words after `aether`. `Ok(None)` where there are none.
pub(crate) fn read(
    commands: &'static [Command],
    words: impl IntoIterator<Item = OsString>,
) -> Result<Option<Invocation>, Trouble> {
    let mut parser = lexopt::Parser::from_args(words);
    let mut operands: Vec<String> = Vec::new();
    let mut command: Option<&'static Command> = None;
    let mut flags = Vec::new();
    let mut is_kernel = false;
    while let Some(arg) = parser.next().map_err(Trouble::usage)? {
        let (name, is_long) = match arg {
            Arg::Long(name) => (name.to_owned(), true),
            Arg::Short(letter) => (letter.to_string(), false),
            Arg::Value(word) => {
                operands.push(text(word)?);
                if command.is_none() {
                    command = find(commands, &mut operands)?;
                }
                continue;
            }
        };
        if command.is_none() && is_long && name == KERNEL.long {
            is_kernel = true;
            continue;
        }
        let Some(known) = command.or_else(|| early(commands, &name)) else {
            return Err(Trouble::usage(format!(
                "flag `{}{name}` needs a command before it; `aether help` lists them",
                if is_long { "--" } else { "-" }
            )));
        };
        let is_early = command.is_none();
        command = Some(known);
        if is_early {
            continue;
        }
        let flag = flag(known, &name, is_long)?;
        let value = match flag.value {
            Some(_) => text(parser.value().map_err(Trouble::usage)?)?,
            None => String::new(),
        };
        flags.push((flag, value));
    }
    if let Some(known) = command.filter(|_| is_kernel) {
        flags.push((flag(known, KERNEL.long, true)?, String::new()));
    }
    finish(commands, command, operands, flags)
}

/// The command that a flag stands for where no command was given: `--help` and `--version`.
fn early(commands: &'static [Command], name: &str) -> Option<&'static Command> {
    let wanted = match name {
        "help" | "h" => "help",
        "version" | "V" => "version",
        _ => return None,
    };
    commands.iter().find(|command| command.name == wanted)
}

/// Checks what can only be checked once every word was read.
fn finish(
    commands: &'static [Command],
    command: Option<&'static Command>,
    operands: Vec<String>,
    flags: Vec<(&'static Flag, String)>,
) -> Result<Option<Invocation>, Trouble> {
    let Some(command) = command else {
        return operands.first().map_or(Ok(None), |word| Err(unknown_command(commands, word)));
    };
    if operands.len() > command.operands_max {
        let extra = &operands[command.operands_max];
        return Err(Trouble::usage(format!(
            "`aether {}` does not take `{extra}`; usage: aether {} {}",
            command.name, command.name, command.operands
        )));
    }
    Ok(Some(Invocation { command, flags, operands }))
}

/// The command that the words so far name, if they name one; they are used up then.
fn find(commands: &'static [Command], words: &mut Vec<String>) -> Result<Option<&'static Command>, Trouble> {
    let typed = words.join(" ");
    if let Some(command) = commands.iter().find(|command| command.name == typed) {
        words.clear();
        return Ok(Some(command));
    }
    let mut heads =
        commands.iter().filter(|command| command.name.split(' ').next() == words.first().map(String::as_str));
    if words.len() == 1 && heads.next().is_some() {
        return Ok(None);
    }
    Err(unknown_command(commands, &typed))
}

/// What to say of words that name no command.
pub(crate) fn unknown_command(commands: &'static [Command], typed: &str) -> Trouble {
    let head = typed.split(' ').next().unwrap_or(typed);
    let below: Vec<&str> =
        commands.iter().map(|c| c.name).filter(|name| name.split(' ').next() == Some(head)).collect();
    if !below.is_empty() {
        let rest: Vec<&str> = below.iter().filter_map(|name| name.split_once(' ')).map(|(_, rest)| rest).collect();
        let hint = match typed.split_once(' ').and_then(|(_, rest)| nearest(rest, rest_of(&below))) {
            Some(near) => format!("; did you mean `aether {head} {near}`?"),
            None => String::new(),
        };
        return Trouble::usage(format!("`aether {head}` is followed by one of: {}{hint}", rest.join(", ")));
    }
    let heads = commands.iter().filter_map(|command| command.name.split(' ').next());
    match nearest(head, heads) {
        Some(near) => Trouble::usage(format!("unknown command `{head}`; did you mean `aether {near}`?")),
        None => Trouble::usage(format!(
            "unknown command `{head}`; `aether help` lists them (a goal is given with `aether run \"…\"`)"
        )),
    }
}

fn rest_of<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    names.iter().filter_map(|name| name.split_once(' ')).map(|(_, rest)| rest)
}

fn flag(command: &'static Command, name: &str, is_long: bool) -> Result<&'static Flag, Trouble> {
    let found = command
        .all_flags()
        .find(|flag| if is_long { flag.long == name } else { flag.short.is_some_and(|short| name.starts_with(short)) });
    found.ok_or_else(|| {
        let dashes = if is_long { "--" } else { "-" };
        let near = nearest(name, command.all_flags().map(|flag| flag.long)).filter(|_| is_long);
        Trouble::usage(match near {
            Some(near) => {
                format!("unknown flag `{dashes}{name}` for `aether {}`; did you mean `--{near}`?", command.name)
            }
            None => format!("unknown flag `{dashes}{name}`; `aether {} --help` lists the known ones", command.name),
        })
    })
}

fn text(word: OsString) -> Result<String, Trouble> {
    word.into_string().map_err(|word| Trouble::usage(format!("{} is not valid UTF-8", word.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::COMMANDS;

    fn typed(line: &str) -> Result<Option<Invocation>, Trouble> {
        read(COMMANDS, line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn words_flags_and_operands_are_told_apart() {
        let invocation = typed("run hello --model x/y --yes").unwrap().unwrap();
        assert_eq!(invocation.command.name, "run");
        assert_eq!(invocation.operands, ["hello"]);
        assert_eq!(invocation.value("model"), Some("x/y"));
        assert!(invocation.has("yes"));
        assert!(typed("").unwrap().is_none());
    }

    #[test]
    fn two_word_commands_are_found() {
        assert_eq!(typed("tool list").unwrap().unwrap().command.name, "tool list");
    }

    #[test]
    fn what_is_misspelt_gets_the_nearest() {
        let error = |line: &str| typed(line).err().unwrap().to_string();
        assert!(error("rnu hello").contains("aether run"));
        assert!(error("run hello --modle x").contains("--model"));
        assert!(error("tool lits").contains("tool list"));
        assert!(error("tool").contains("show"));
    }

    #[test]
    fn every_command_has_a_summary_and_an_example() {
        for command in COMMANDS {
            assert!(!command.summary.is_empty() && !command.summary.ends_with('.'), "{}", command.name);
            assert!(!command.examples.is_empty(), "{}", command.name);
        }
    }
}
