//! The questions, in their order. Nothing is written before the last one.

use aether_core::config::nearest;
use aether_provider::{Preset, preset, presets, presets::KeyNeed};
use aether_settings::keys::house::PROFILES;
use aether_terminal::{Stream, Style, neutral};
use tokio::runtime::Runtime;

use super::choice::{Choice, KeyChoice};
use super::talk::{ROUNDS_MAX, Talk};
use super::{checked_key, profile, save, servers};
use crate::args::{self, Invocation};
use crate::boot::{Boot, Place};
use crate::chain::{self, KeyPlace};
use crate::commands::COMMANDS;
use crate::house;
use crate::model;
use crate::run::runtime;
use crate::trouble::{Exit, Trouble};

/// The most models that are shown at once.
const SHOWN_MAX: usize = 12;

/// What the person is offered to ask first.
const FIRST_GOAL: &str = "What is in this folder?";

/// Asks, tries, writes, and lets the model answer a first time.
pub(crate) fn run(invocation: &Invocation, boot: &Boot) -> Result<Exit, Trouble> {
    let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Error);
    let mut talk = Talk::new(style)?;
    let runtime = runtime()?;
    talk.say("This connects a model. Nothing is written before the end; Ctrl-C leaves everything as it is.\n");
    let mut choice = provider(&mut talk, &runtime, invocation, boot)?;
    if !choice.is_offline() {
        address(&mut talk, boot, &mut choice)?;
        connect(&mut talk, &runtime, invocation, boot, &mut choice)?;
    }
    choice.profile = Some(match super::profile(invocation)? {
        Some(profile) => profile,
        None => ask_profile(&mut talk, boot)?,
    });
    let place = Place::new(invocation)?;
    confirm(&mut talk, boot, &choice)?;
    let saved = save::save(&place, boot, &choice)?;
    talk.say(&talk.style.green(&format!("{} is saved in {}", choice.title(), saved.config_file)));
    if let Some(reference) = &saved.key {
        talk.say(&format!("key: {reference}"));
    }
    if let Some(note) = &saved.note {
        talk.say(&talk.style.yellow(&format!("note: {note}")));
    }
    drop(runtime);
    first_answer(talk, invocation)
}

/// One way to go on, as it is offered.
struct Offer {
    provider: String,
    why: String,
}

/// Which provider.
fn provider(talk: &mut Talk, runtime: &Runtime, invocation: &Invocation, boot: &Boot) -> Result<Choice, Trouble> {
    let flags_decide = invocation.has("offline") || super::named_provider(invocation)?.is_some();
    if flags_decide {
        return match super::scripted(invocation, boot) {
            Ok(choice) => Ok(choice),
            // Only the key is missing, and a key can be asked for.
            Err(trouble) => {
                let Some(provider) = super::named_provider(invocation)? else { return Err(trouble) };
                let kind = super::kind(invocation, boot, &provider)?;
                let is_askable = !["key-env", "key-file", "key-stdin"].iter().any(|flag| invocation.has(flag));
                if !is_askable {
                    return Err(trouble);
                }
                let model = super::named_model(invocation, &provider);
                let base_url = invocation.value("base-url").map(str::to_owned);
                Ok(Choice { provider, kind, base_url, model, key: KeyChoice::Unchanged, profile: None })
            }
        };
    }
    let offers = offers(runtime, boot)?;
    for (at, offer) in offers.iter().enumerate() {
        talk.say(&format!("  {}  {:<14} {}", at + 1, offer.provider, neutral(&offer.why)));
    }
    let names: Vec<&str> = presets().iter().map(|preset| preset.name).collect();
    talk.say(&format!("  or one of: {}\n", names.join(", ")));
    let provider = talk.until("provider [1]: ", |line| {
        if line.is_empty() {
            return Ok(offers.first().map_or("builtin", |offer| &offer.provider).to_owned());
        }
        if let Ok(number) = line.parse::<usize>() {
            let offer = number.checked_sub(1).and_then(|at| offers.get(at));
            return offer.map(|offer| offer.provider.clone()).ok_or(format!("there is no number {number}"));
        }
        match line {
            "offline" | "builtin" => Ok("builtin".to_owned()),
            name if preset(name).is_some() => Ok(name.to_owned()),
            name if boot.config.text(&format!("providers.{name}.kind")).is_some() => Ok(name.to_owned()),
            name => Err(match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                // It may be a key that was pasted in the wrong place.
                None => "that is none of them; for another server run `aether onboard --provider NAME --base-url URL`"
                    .to_owned(),
            }),
        }
    })?;
    if provider == "builtin" {
        return Ok(Choice::offline());
    }
    Ok(Choice { provider, kind: None, base_url: None, model: None, key: KeyChoice::Unchanged, profile: None })
}

/// What was found: keys in the environment, the provider in use, servers on this machine, and the built-in model.
fn offers(runtime: &Runtime, boot: &Boot) -> Result<Vec<Offer>, Trouble> {
    let client = house::client(boot)?;
    let mut offers: Vec<Offer> = Vec::new();
    let mut offer = |provider: &str, why: String| {
        if !offers.iter().any(|offer| offer.provider == provider) {
            offers.push(Offer { provider: provider.to_owned(), why });
        }
    };
    if let Some(title) = boot.config.text("model").filter(|title| !title.is_empty()) {
        offer(chain::split(title).0, format!("in use: {title}"));
    }
    for preset in presets() {
        match chain::key_place(&boot.config, preset.name, Some(preset)) {
            KeyPlace::Variable(name) => offer(preset.name, format!("{name} is set")),
            KeyPlace::Reference(reference) => offer(preset.name, format!("key: {reference}")),
            KeyPlace::Missing | KeyPlace::Unneeded => {}
        }
    }
    for server in runtime.block_on(servers::search(boot, &client)) {
        offer(server.provider, server.described());
    }
    offer("builtin", "the built-in model: reads files and counts, by rules, without network".to_owned());
    Ok(offers)
}

/// Where it is, for those of which everybody has an own one.
fn address(talk: &mut Talk, boot: &Boot, choice: &mut Choice) -> Result<(), Trouble> {
    let known = preset(&choice.provider);
    let is_set = boot.config.text(&format!("providers.{}.base_url", choice.provider)).is_some();
    if is_set || choice.base_url.is_some() || known.is_none_or(|preset| preset.base_url.is_some()) {
        return Ok(());
    }
    let url = talk.until("address (such as https://api.example.com/v1): ", |line| {
        aether_net::Url::parse(line).map(|_| line.to_owned()).map_err(|fault| fault.to_string())
    })?;
    choice.base_url = Some(url);
    Ok(())
}

/// Key, model and one real answer.
fn connect(
    talk: &mut Talk,
    runtime: &Runtime,
    invocation: &Invocation,
    boot: &Boot,
    choice: &mut Choice,
) -> Result<(), Trouble> {
    let known = preset(&choice.provider);
    if matches!(choice.key, KeyChoice::Unchanged) {
        choose_key(talk, boot, choice, known)?;
    }
    let is_named = choice.model.is_some();
    for _ in 0..ROUNDS_MAX {
        if !is_named {
            choice.model = None;
        }
        match attempt(talk, runtime, invocation, boot, choice) {
            Ok(()) => return Ok(()),
            Err(Attempt::Left(trouble)) => return Err(trouble),
            Err(Attempt::Failed(sentence)) => talk.say(&talk.style.red(&neutral(&sentence))),
        }
        let prompt = "[r]etry, another [k]ey, [s]ave it all the same, [q]uit: ";
        match talk.letter(prompt, &['r', 'k', 's', 'q'])? {
            'k' => choice.key = ask_key(talk, known)?,
            's' => return choice.settle_untested(),
            'q' => return Err(Trouble::interrupted("left before the end; nothing was changed")),
            _ => {}
        }
    }
    Err(Trouble::failed(format!("no answer in {ROUNDS_MAX} attempts; nothing was changed")))
}

/// Why there is no answer yet.
enum Attempt {
    /// The person has had enough.
    Left(Trouble),
    /// It did not work.
    Failed(String),
}

impl From<Trouble> for Attempt {
    fn from(trouble: Trouble) -> Attempt {
        Attempt::Left(trouble)
    }
}

fn attempt(
    talk: &mut Talk,
    runtime: &Runtime,
    invocation: &Invocation,
    boot: &Boot,
    choice: &mut Choice,
) -> Result<(), Attempt> {
    let failed = |trouble: Trouble| Attempt::Failed(trouble.to_string());
    if choice.model.is_none() {
        let remote = choice.remote(boot).map_err(failed)?;
        let client = house::client(boot).map_err(failed)?;
        talk.say("asking which models there are …");
        let names = runtime.block_on(model::names(&client, &remote, boot)).map_err(Attempt::Failed)?;
        choice.model = Some(ask_model(talk, &choice.provider, &names)?);
    }
    if invocation.has("no-test") {
        return Ok(());
    }
    talk.say(&format!("asking {} …", neutral(&choice.title())));
    let trial = runtime.block_on(choice.tried(boot)).map_err(Attempt::Failed)?;
    talk.say(&format!("  {}", neutral(trial.text.trim())));
    talk.say(&talk.style.green(&neutral(&model::summary(&choice.title(), &trial))));
    Ok(())
}

/// The key: where it already is, or typed now.
fn choose_key(
    talk: &mut Talk,
    boot: &Boot,
    choice: &mut Choice,
    known: Option<&'static Preset>,
) -> Result<(), Trouble> {
    let place = chain::key_place(&boot.config, &choice.provider, known);
    let (found, reference) = match place {
        KeyPlace::Variable(name) => (format!("the key in {name}"), Some(format!("env:{name}"))),
        KeyPlace::Reference(reference) if chain::resolve(&reference).is_ok() => {
            (format!("the key at {reference}"), None)
        }
        KeyPlace::Unneeded if known.is_some() => return Ok(()),
        KeyPlace::Reference(_) | KeyPlace::Missing | KeyPlace::Unneeded => {
            choice.key = ask_key(talk, known)?;
            return Ok(());
        }
    };
    choice.key = match talk.letter(&format!("use {}? [y/n]: ", neutral(&found)), &['y', 'n'])? {
        'y' => reference.map_or(KeyChoice::Unchanged, KeyChoice::Reference),
        _ => ask_key(talk, known)?,
    };
    Ok(())
}

fn ask_key(talk: &mut Talk, known: Option<&'static Preset>) -> Result<KeyChoice, Trouble> {
    let title = known.map_or("this server", |preset| preset.title);
    let may_be_none = known.is_none_or(|preset| preset.key_need == KeyNeed::Optional);
    let hint = if may_be_none { "; Enter for none" } else { "" };
    for _ in 0..ROUNDS_MAX {
        let typed = talk.hidden(&format!("key for {title} (it is not shown{hint}): "))?;
        if typed.trim().is_empty() && may_be_none {
            return Ok(KeyChoice::Unchanged);
        }
        match checked_key(&typed) {
            Ok(key) => return Ok(KeyChoice::Typed(key)),
            Err(why) => talk.say(&talk.style.yellow(&why)),
        }
    }
    Err(Trouble::usage(format!("no key in {ROUNDS_MAX} attempts; nothing was changed")))
}

/// Which model of those that the provider has.
fn ask_model(talk: &mut Talk, provider: &str, names: &[String]) -> Result<String, Attempt> {
    let usual = preset(provider).and_then(|preset| preset.model);
    let usual = usual.filter(|usual| names.iter().any(|name| name == usual)).or(names.first().map(String::as_str));
    let Some(usual) = usual else {
        return Err(Attempt::Failed(format!("{provider} answers and has no models; load one there first")));
    };
    let mut shown: Vec<&str> = Vec::new();
    show_models(talk, names.iter().map(String::as_str), &mut shown);
    for _ in 0..ROUNDS_MAX {
        let line = talk.line(&format!("model, a number, or part of a name [{}]: ", neutral(usual)))?;
        let line = line.trim();
        if line.is_empty() {
            return Ok(usual.to_owned());
        }
        let numbered = line.parse::<usize>().ok().and_then(|number| shown.get(number.checked_sub(1)?));
        if let Some(name) = numbered.copied().or_else(|| names.iter().map(String::as_str).find(|name| *name == line)) {
            return Ok(name.to_owned());
        }
        let lower = line.to_ascii_lowercase();
        let fits: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| name.to_ascii_lowercase().contains(&lower)).collect();
        match fits[..] {
            [] => talk.say(&talk.style.yellow(&match nearest(line, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {}?", neutral(near)),
                None => "no model has that in its name".to_owned(),
            })),
            [only] => return Ok(only.to_owned()),
            _ => show_models(talk, fits.into_iter(), &mut shown),
        }
    }
    Err(Attempt::Failed("no model was chosen".to_owned()))
}

fn show_models<'n>(talk: &Talk, names: impl Iterator<Item = &'n str>, shown: &mut Vec<&'n str>) {
    let all: Vec<&str> = names.collect();
    shown.clear();
    for name in all.iter().take(SHOWN_MAX) {
        shown.push(name);
        talk.say(&format!("  {:>2}  {}", shown.len(), neutral(name)));
    }
    if all.len() > SHOWN_MAX {
        talk.say(&format!("      and {} more; type a part of the name to see those", all.len() - SHOWN_MAX));
    }
}

fn ask_profile(talk: &mut Talk, boot: &Boot) -> Result<&'static str, Trouble> {
    talk.say("\nWhat is it for?");
    for (at, name) in PROFILES.iter().enumerate() {
        talk.say(&format!("  {}  {name:<10} {}", at + 1, profile::purpose(name)));
    }
    let now = boot.config.text("profile").unwrap_or("assistant");
    let usual = PROFILES.iter().copied().find(|name| *name == now).unwrap_or("assistant");
    talk.until(&format!("profile [{usual}]: "), |line| {
        if line.is_empty() {
            return Ok(usual);
        }
        let numbered = line.parse::<usize>().ok().and_then(|number| PROFILES.get(number.checked_sub(1)?)).copied();
        numbered
            .or_else(|| PROFILES.iter().copied().find(|name| *name == line))
            .ok_or_else(|| format!("wanted a number from 1 to {}, or a name", PROFILES.len()))
    })
}

/// Shows what will be written.
fn confirm(talk: &mut Talk, boot: &Boot, choice: &Choice) -> Result<(), Trouble> {
    talk.say(&format!("\nThis goes into {}:", boot.config_file.display()));
    let stored = matches!(choice.key, KeyChoice::Typed(_))
        .then(|| format!("file:{}", boot.directories.key_file(&choice.provider).display()));
    for (name, value, _) in choice.edits(boot, stored.as_deref()) {
        talk.say(&format!("  {} = {}", aether_settings::spelled(&name), neutral(&value)));
    }
    match talk.letter("write it? [y/n]: ", &['y', 'n'])? {
        'y' => Ok(()),
        _ => Err(Trouble::interrupted("nothing was changed")),
    }
}

/// A first task, exactly as `aether run` does it.
fn first_answer(mut talk: Talk, invocation: &Invocation) -> Result<Exit, Trouble> {
    let typed = talk.line(&format!("\nyour first question [{FIRST_GOAL}], or - for none: "));
    let typed = match typed {
        Ok(typed) => typed,
        // It is all saved: leaving here is no failure.
        Err(trouble) if trouble.exit == Exit::Interrupted => return Ok(Exit::Done),
        Err(trouble) => return Err(trouble),
    };
    let goal = match typed.trim() {
        "-" => return Ok(Exit::Done),
        "" => FIRST_GOAL,
        goal => goal,
    };
    drop(talk);
    let mut words: Vec<std::ffi::OsString> = vec!["run".into()];
    if let Some(config) = invocation.value("config") {
        words.extend(["--config".into(), config.into()]);
    }
    words.extend(["--".into(), goal.into()]);
    match args::read(COMMANDS, words)? {
        Some(run) => (run.command.run)(&run),
        None => Ok(Exit::Done),
    }
}
