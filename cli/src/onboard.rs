//! `aether onboard`: from nothing to a first answer, by questions on a terminal or by flags without one.

mod choice;
mod profile;
mod save;
pub(crate) mod servers;
mod talk;
mod wizard;

use aether_core::config::nearest;
use aether_provider::{preset, presets};
use aether_settings::keys::{house::PROFILES, models::FORMATS};
use aether_terminal::{Stream, is_terminal, neutral};
use serde_json::{Value, json};

use crate::args::{Flag, Invocation};
use crate::boot::{Boot, Place};
use crate::chain::{self, KeyPlace, OFFLINE};
use crate::house;
use crate::model;
use crate::probe::Trial;
use crate::run::runtime;
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};
use choice::{Choice, KeyChoice};

/// Flags of `aether onboard`.
pub(crate) const FLAGS: &[Flag] = &[
    Flag { long: "provider", short: Some('p'), value: Some("NAME"), key: None, doc: "Whom to ask" },
    Flag {
        long: "model",
        short: Some('m'),
        value: Some("NAME"),
        key: None,
        doc: "The model, as the provider spells it",
    },
    Flag {
        long: "key-env",
        short: None,
        value: Some("NAME"),
        key: None,
        doc: "The key is in this environment variable",
    },
    Flag {
        long: "key-file",
        short: None,
        value: Some("FILE"),
        key: None,
        doc: "The key is in this file, and stays there",
    },
    Flag {
        long: "key-stdin",
        short: None,
        value: None,
        key: None,
        doc: "Read the key from standard input, and store it where only you can read it",
    },
    Flag {
        long: "key",
        short: None,
        value: Some("VALUE"),
        key: None,
        doc: "Not taken: everybody on this machine could see it; use one of the above",
    },
    Flag { long: "base-url", short: None, value: Some("URL"), key: None, doc: "The server's address" },
    Flag {
        long: "kind",
        short: None,
        value: Some("FORMAT"),
        key: None,
        doc: "What a server of another name speaks: openai_chat, openai_responses, anthropic, ollama or gemini",
    },
    Flag {
        long: "profile",
        short: None,
        value: Some("NAME"),
        key: None,
        doc: "What it is for: assistant, coder, edge or server",
    },
    Flag {
        long: "offline",
        short: None,
        value: None,
        key: None,
        doc: "Use the built-in model, which needs no network",
    },
    Flag { long: "no-test", short: None, value: None, key: None, doc: "Do not ask the model anything" },
    Flag { long: "yes", short: Some('y'), value: None, key: None, doc: "Ask nothing, and replace what was set before" },
    Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON, and ask nothing" },
];

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 8 << 10;

/// Does it.
pub(crate) fn onboard(invocation: &Invocation) -> Result<Exit, Trouble> {
    if invocation.has("key") {
        return Err(Trouble::usage(
            "a key on the command line can be read by everybody on this machine and stays in the shell's history; use \
             --key-stdin, --key-file FILE or --key-env NAME, or none of them to be asked for it",
        ));
    }
    let boot = Boot::new(invocation)?;
    let has_terminal = is_terminal(Stream::Input) && is_terminal(Stream::Error);
    if has_terminal && !invocation.has("yes") && !invocation.has("json") {
        return wizard::run(invocation, &boot);
    }
    let mut choice = scripted(invocation, &boot)?.checked(&boot)?;
    let trial = if invocation.has("no-test") || choice.is_offline() {
        choice.settle_untested()?;
        None
    } else {
        Some(runtime()?.block_on(choice.tried(&boot)).map_err(|sentence| {
            Trouble::failed(format!("{sentence}; nothing was changed, and --no-test would write it all the same"))
        })?)
    };
    if !invocation.has("yes") {
        refuse_replacing(&boot, &choice)?;
    }
    let saved = save::save(&Place::new(invocation)?, &boot, &choice)?;
    let text = if invocation.has("json") {
        format!("{}\n", report(&choice, &saved, trial.as_ref()))
    } else {
        said(&choice, &saved, trial.as_ref())
    };
    show::report(&text)?;
    Ok(Exit::Done)
}

/// What the flags say, and what can be found out without asking anybody.
fn scripted(invocation: &Invocation, boot: &Boot) -> Result<Choice, Trouble> {
    let profile = profile(invocation)?;
    if invocation.has("offline") {
        return Ok(Choice { profile, ..Choice::offline() });
    }
    let named = named_provider(invocation)?;
    let (provider, model) = match named {
        Some(provider) => (provider, None),
        None => found(boot)?,
    };
    if provider == "builtin" {
        return Ok(Choice { profile, ..Choice::offline() });
    }
    let choice = Choice {
        kind: kind(invocation, boot, &provider)?,
        base_url: invocation.value("base-url").map(str::to_owned),
        model: named_model(invocation, &provider).or(model),
        key: KeyChoice::Unchanged,
        profile,
        provider,
    };
    let key = key(invocation, boot, &choice.provider)?;
    Ok(Choice { key, ..choice })
}

/// A provider that was not named: the one in use, one whose key is in the environment, or a server on this machine.
fn found(boot: &Boot) -> Result<(String, Option<String>), Trouble> {
    let title = chain::first_model(&boot.config);
    if title != OFFLINE || boot.config.text("model") == Some(OFFLINE) {
        let (provider, model) = chain::split(&title);
        return Ok((provider.to_owned(), model.map(str::to_owned)));
    }
    let client = house::client(boot)?;
    let servers = runtime()?.block_on(servers::search(boot, &client));
    match servers.iter().find(|server| server.models.is_some_and(|models| models > 0)) {
        Some(server) => Ok((server.provider.to_owned(), None)),
        None => Err(Trouble::usage(
            "no provider's key is in the environment, no model server is on this machine, and there is nobody to ask: name \
             a provider with --provider NAME and its key with --key-stdin, or take --offline",
        )),
    }
}

/// The provider that was named, by flag or at the head of the model's name. A key that was pasted in its place is not
/// repeated.
fn named_provider(invocation: &Invocation) -> Result<Option<String>, Trouble> {
    let by_model = || {
        let (provider, model) = chain::split(invocation.value("model")?);
        model.map(|_| provider)
    };
    let Some(named) = invocation.value("provider").or_else(by_model) else { return Ok(None) };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if named.is_empty() || named.len() > 64 || !named.chars().all(is_name) {
        return Err(Trouble::usage(
            "--provider takes a name of small letters, digits and hyphens; `aether model list` shows the known ones",
        ));
    }
    Ok(Some(named.to_owned()))
}

/// The model's name without its provider, however it was given.
fn named_model(invocation: &Invocation, provider: &str) -> Option<String> {
    let given = invocation.value("model")?;
    let is_whole = preset(provider).is_some_and(|preset| preset.model == Some(given));
    let beneath = given.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
    Some(beneath.filter(|_| !is_whole).unwrap_or(given).to_owned())
}

/// What a server speaks that no preset knows.
fn kind(invocation: &Invocation, boot: &Boot, provider: &str) -> Result<Option<String>, Trouble> {
    if let Some(kind) = invocation.value("kind") {
        return match FORMATS.contains(&kind) {
            true => Ok(Some(kind.to_owned())),
            false => Err(not_one_of("--kind", kind, FORMATS)),
        };
    }
    let is_known = preset(provider).is_some() || boot.config.text(&format!("providers.{provider}.kind")).is_some();
    match (is_known, invocation.has("base-url")) {
        (true, _) => Ok(None),
        // Nearly every server that has no name of its own speaks this.
        (false, true) => Ok(Some("openai_chat".to_owned())),
        (false, false) => {
            let near = nearest(provider, presets().iter().map(|preset| preset.name));
            Err(match near {
                Some(near) => Trouble::usage(format!("unknown provider `{provider}`; did you mean `{near}`?")),
                None => Trouble::usage(format!(
                    "unknown provider `{provider}`; `aether model list` shows the known ones; for another server give \
                     --base-url URL"
                )),
            })
        }
    }
}

fn profile(invocation: &Invocation) -> Result<Option<&'static str>, Trouble> {
    let Some(wanted) = invocation.value("profile") else { return Ok(None) };
    let found = PROFILES.iter().copied().find(|name| *name == wanted);
    found.map(Some).ok_or_else(|| not_one_of("--profile", wanted, PROFILES))
}

fn not_one_of(flag: &str, given: &str, words: &[&str]) -> Trouble {
    Trouble::usage(match nearest(given, words.iter().copied()) {
        Some(near) => format!("{flag} {given}: did you mean `{near}`?"),
        None => format!("{flag} {given}: wanted one of {}", words.join(", ")),
    })
}

/// Where the key is.
fn key(invocation: &Invocation, boot: &Boot, provider: &str) -> Result<KeyChoice, Trouble> {
    let given = ["key-env", "key-file", "key-stdin"].iter().filter(|flag| invocation.has(flag)).count();
    if given > 1 {
        return Err(Trouble::usage("there is one key: give --key-env, --key-file or --key-stdin, and no two of them"));
    }
    let reference = if let Some(name) = invocation.value("key-env") {
        format!("env:{name}")
    } else if let Some(path) = invocation.value("key-file") {
        let whole =
            std::fs::canonicalize(path).map_err(|error| Trouble::usage(format!("--key-file {path}: {error}")))?;
        format!("file:{}", whole.display())
    } else if invocation.has("key-stdin") {
        return from_stdin().map(KeyChoice::Typed);
    } else {
        let known = preset(provider);
        return match chain::key_place(&boot.config, provider, known) {
            KeyPlace::Variable(name) => Ok(KeyChoice::Reference(format!("env:{name}"))),
            KeyPlace::Reference(_) | KeyPlace::Unneeded => Ok(KeyChoice::Unchanged),
            KeyPlace::Missing => Err(Trouble::usage(format!(
                "no key for {provider}: give --key-stdin, --key-file FILE or --key-env NAME, or set {}",
                known.and_then(|preset| preset.key_variables.first()).unwrap_or(&"its variable")
            ))),
        };
    };
    chain::resolve(&reference).map_err(Trouble::usage)?;
    Ok(KeyChoice::Reference(reference))
}

fn from_stdin() -> Result<chain::Secret, Trouble> {
    use std::io::{BufRead, Read};
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(KEY_BYTES_MAX as u64 + 2);
    input.read_line(&mut line).map_err(|error| Trouble::usage(format!("standard input: {error}")))?;
    checked_key(&line).map_err(|why| Trouble::usage(format!("standard input: {why}")))
}

/// A key as it can stand in a header; what is wrong does not repeat it.
fn checked_key(text: &str) -> Result<chain::Secret, String> {
    let key = text.trim();
    if key.is_empty() {
        return Err("there is no key in it".to_owned());
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(format!("a key has at most {KEY_BYTES_MAX} bytes"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a key is one word of ASCII characters; this has a space or another character in it".to_owned());
    }
    Ok(chain::Secret::new(key.to_owned()))
}

/// Refuses to replace what the person has set otherwise.
fn refuse_replacing(boot: &Boot, choice: &Choice) -> Result<(), Trouble> {
    let path = boot.config_file.display();
    for (name, value, _) in choice.edits(boot, None) {
        let in_file = boot.config.explain(&name).iter().rev().find_map(|(source, value)| match source {
            aether_core::config::Source::File { .. } => Some(value.to_string()),
            _ => None,
        });
        if let Some(old) = in_file.filter(|old| *old != value) {
            let key = aether_settings::spelled(&name);
            return Err(Trouble::usage(format!(
                "`{key}` is set to `{old}` in {path}; --yes replaces it with `{value}`"
            )));
        }
    }
    Ok(())
}

fn report(choice: &Choice, saved: &save::Saved, trial: Option<&Trial>) -> Value {
    let mut report = json!({
        "provider": choice.provider,
        "model": choice.title(),
        "profile": choice.profile,
        "config_file": saved.config_file,
        "changed": saved.is_new,
        "key": saved.key,
        "tested": trial.is_some(),
    });
    if let Some(trial) = trial {
        report["trial"] = model::report(&choice.title(), trial);
    }
    report
}

/// What was done, in lines.
fn said(choice: &Choice, saved: &save::Saved, trial: Option<&Trial>) -> String {
    let mut text = String::new();
    if let Some(trial) = trial {
        text.push_str(&format!("{}\n", neutral(trial.text.trim())));
        text.push_str(&format!("{}\n", model::summary(&choice.title(), trial)));
    }
    let done = if saved.is_new { "is saved in" } else { "was saved already in" };
    text.push_str(&format!("{} {done} {}\n", choice.title(), saved.config_file));
    if let Some(reference) = &saved.key {
        text.push_str(&format!("key: {reference}\n"));
    }
    text.push_str("\nnext: aether run \"What is in this folder?\", or aether chat\n");
    if let Some(note) = &saved.note {
        eprint(&format!("note: {note}"));
    }
    text
}
