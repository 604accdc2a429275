//! `aether bench start|step|tasks|soak|calls|sandbox`: what this very program costs, measured on the machine it runs on.

#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod calls;
mod load;
mod process;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod sandbox;
mod soak;
mod start;
mod weather;

use aether_core::config::Source;
use aether_core::facts::{Answer, ApprovalRequest};
use aether_core::words::TaskId;
use aether_driver::Boxed;
use serde_json::Value;

#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) use self::calls::{CALLS_FLAGS, calls};
pub(crate) use self::load::{step, tasks};
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(crate) use self::sandbox::{SANDBOX_FLAGS, sandbox};
pub(crate) use self::soak::soak;
pub(crate) use self::start::start;
use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::house::Person;
use crate::setup::Setup;
use crate::show::write_out;
use crate::trouble::{Exit, Trouble};

const JSON: Flag = Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" };
const URL: Flag = Flag {
    long: "url",
    short: None,
    value: Some("BASE"),
    key: None,
    doc: "The provider to ask, such as http://127.0.0.1:4711/v1",
};
const FORMAT: Flag = Flag {
    long: "format",
    short: None,
    value: Some("NAME"),
    key: None,
    doc: "What it speaks: openai_chat (usual), openai_responses, anthropic, ollama or gemini",
};

/// Flags of `aether bench start`.
pub(crate) const START_FLAGS: &[Flag] = &[
    Flag { long: "runs", short: None, value: Some("N"), key: None, doc: "How often to start (200)" },
    Flag {
        long: "since",
        short: None,
        value: Some("UNIX_NS"),
        key: None,
        doc: "Measure this one start, begun at that moment",
    },
    JSON,
];
/// Flags of `aether bench step`.
pub(crate) const STEP_FLAGS: &[Flag] = &[
    URL,
    FORMAT,
    Flag { long: "runs", short: None, value: Some("N"), key: None, doc: "How many agents run (10000)" },
    Flag { long: "at-once", short: None, value: Some("N"), key: None, doc: "How many of them at once (16)" },
    JSON,
];
/// Flags of `aether bench tasks`.
pub(crate) const TASKS_FLAGS: &[Flag] = &[
    URL,
    FORMAT,
    Flag { long: "tasks", short: None, value: Some("N"), key: None, doc: "How many tasks wait at once (1000)" },
    Flag {
        long: "delay-ms",
        short: None,
        value: Some("D"),
        key: None,
        doc: "How long the provider takes, to compare the total with",
    },
    JSON,
];
/// Flags of `aether bench soak`.
pub(crate) const SOAK_FLAGS: &[Flag] = &[
    Flag { long: "minutes", short: None, value: Some("N"), key: None, doc: "How long (2)" },
    Flag { long: "seed", short: None, value: Some("N"), key: None, doc: "Begin the same random course again" },
    URL,
    FORMAT,
    JSON,
];

/// The name of the provider that `--url` stands for.
const PROVIDER: &str = "bench";

/// A number that a flag carries.
fn number(
    invocation: &Invocation,
    long: &str,
    usual: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Trouble> {
    let Some(text) = invocation.value(long) else { return Ok(usual) };
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        Trouble::usage(format!("--{long} {text}: wanted a whole number from {} to {}", range.start(), range.end()))
    })
}

/// A setup whose only model is the one behind `--url`, with `more` keys of configuration and their values.
fn setup(invocation: &Invocation, more: &[(&str, &str)], person: Box<dyn Person>) -> Result<Setup, Trouble> {
    let mut boot = Boot::new(invocation)?;
    let mut say = |key: &str, text: &str| {
        boot.config.say_text(key, text, Source::Flag("aether bench".into())).map_err(Trouble::usage)
    };
    match invocation.value("url") {
        Some(url) => {
            say(&format!("providers.{PROVIDER}.kind"), invocation.value("format").unwrap_or("openai_chat"))?;
            say(&format!("providers.{PROVIDER}.base_url"), url)?;
            say("model", &format!("{PROVIDER}/scripted"))?;
        }
        None => say("model", crate::chain::OFFLINE)?,
    }
    say("fallback", "")?;
    for (key, text) in more {
        say(key, text)?;
    }
    Setup::new(&boot, invocation, None, person)
}

/// The address that `step` and `tasks` cannot do without.
fn need_url(invocation: &Invocation) -> Result<(), Trouble> {
    invocation.value("url").map(|_| ()).ok_or_else(|| {
        Trouble::usage(format!(
            "`aether {}` needs a provider to ask: --url BASE, such as the one `aether-testkit serve` prints",
            invocation.command.name
        ))
    })
}

/// Prints a report: an object of names and numbers.
fn report(invocation: &Invocation, report: &Value) -> Result<(), Trouble> {
    let mut text = String::new();
    match report.as_object().filter(|_| !invocation.has("json")) {
        None => text = format!("{report}\n"),
        Some(object) => {
            for (name, value) in object {
                text.push_str(&format!("{name:<28} {value}\n"));
            }
        }
    }
    write_out(&text).map_err(Trouble::failed)
}

/// Where nobody is asked.
struct Nobody;

impl Person for Nobody {
    fn approve(&mut self, _task: TaskId, _request: ApprovalRequest) -> Boxed<Answer> {
        Box::pin(std::future::ready(Answer::No("nobody is asked in a measurement".into())))
    }
}

/// What a verdict on a measurement ends the program with.
fn ended(violations: &[String]) -> Result<Exit, Trouble> {
    if violations.is_empty() { Ok(Exit::Done) } else { Err(Trouble::failed(violations.join("; "))) }
}
