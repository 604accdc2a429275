//! `aether config`: what is configured, why, and changing it without losing a byte of the rest.

mod editor;
mod explain;
pub(crate) mod file;
pub(crate) mod mask;

use aether_core::config::{Config, Key, Kind, Source};
use aether_settings::{SettingsError, key_name, keys::TABLES, spelled};
use serde_json::json;

use crate::args::{Flag, Invocation};
use crate::boot::{Boot, Fault, Place};
use crate::chain;
use crate::config::file::ConfigFile;
use crate::house;
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};

pub(crate) use editor::{Editing, edit, edit_file};
pub(crate) use explain::explain;

/// Flags of the commands that report.
pub(crate) const FLAGS: &[Flag] = &[Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" }];

/// `aether config get KEY`.
pub(crate) fn get(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let name = typed_name(invocation)?;
    known(&boot.config, &name)?;
    let value = boot.config.value(&name);
    if invocation.has("json") {
        let source = boot.config.explain(&name).last().map(|(source, _)| source.to_string());
        let report = json!({
            "key": spelled(&name), "value": value.map(|value| mask::json(&name, value)), "source": source,
        });
        show::report(&format!("{report}\n"))?;
    } else if let Some(value) = value {
        show::report(&format!("{}\n", mask::plain(&name, value)))?;
    }
    match value {
        Some(_) => Ok(Exit::Done),
        None => Err(Trouble::failed(format!(
            "`{0}` is not set and has no default; `aether config explain {0}` says what that means",
            spelled(&name)
        ))),
    }
}

/// `aether config set KEY VALUE`.
pub(crate) fn set(invocation: &Invocation) -> Result<Exit, Trouble> {
    let name = typed_name(invocation)?;
    let value = invocation.operand(1, "a value")?;
    let place = Place::new(invocation)?;
    let config = Config::new(TABLES);
    let key = known(&config, &name)?;
    may_be_written(key, &name, value)?;
    let before = problems(&Boot::tolerant(invocation)?.0);
    let file = ConfigFile::open(&place)?;
    let text = aether_settings::set(file.text(), &name, value, key.kind).map_err(Trouble::usage)?;
    let is_new = text != file.text();
    if is_new {
        file.save(&text)?;
    }
    let (boot, faults) = Boot::tolerant(invocation)?;
    let mut notes: Vec<String> = problems(&boot).into_iter().filter(|problem| !before.contains(problem)).collect();
    if let Some((source @ (Source::Environment(_) | Source::Flag(_)), _)) = boot.config.explain(&name).last() {
        notes.push(format!("{source} says otherwise and wins over the file"));
    }
    if !faults.is_empty() {
        notes.push("the configuration has mistakes; `aether config check` lists them".to_owned());
    }
    let done = if is_new { "is set in" } else { "was set so already in" };
    changed(invocation, &boot, &Change { name: &name, done, is_new, notes })
}

/// `aether config unset KEY`.
pub(crate) fn unset(invocation: &Invocation) -> Result<Exit, Trouble> {
    let name = typed_name(invocation)?;
    let place = Place::new(invocation)?;
    let mut is_new = false;
    if place.config_file.exists() {
        let file = ConfigFile::open(&place)?;
        // A key that nobody owns may be removed: that is how a misspelt one goes.
        match aether_settings::unset(file.text(), &name).map_err(Trouble::usage)? {
            Some(text) => {
                file.save(&text)?;
                is_new = true;
            }
            None => drop(known(&Config::new(TABLES), &name)?),
        }
    } else {
        known(&Config::new(TABLES), &name)?;
    }
    let (boot, _) = Boot::tolerant(invocation)?;
    let mut notes = Vec::new();
    if let Some((source, value)) = boot.config.explain(&name).last() {
        notes.push(format!("it is now {}, from: {source}", mask::quoted(&name, value)));
    }
    let done = if is_new { "is removed from" } else { "was not set in" };
    changed(invocation, &boot, &Change { name: &name, done, is_new, notes })
}

/// What came of `set` or `unset`.
struct Change<'a> {
    name: &'a str,
    done: &'static str,
    is_new: bool,
    notes: Vec<String>,
}

fn changed(invocation: &Invocation, boot: &Boot, change: &Change<'_>) -> Result<Exit, Trouble> {
    let (key, path) = (spelled(change.name), boot.config_file.display());
    if invocation.has("json") {
        let value = boot.config.value(change.name).map(|value| mask::json(change.name, value));
        let report = json!({
            "key": key, "file": path.to_string(), "changed": change.is_new, "value": value, "notes": change.notes,
        });
        show::report(&format!("{report}\n"))?;
        return Ok(Exit::Done);
    }
    eprint(&format!("`{key}` {} {path}", change.done));
    for note in &change.notes {
        eprint(&format!("note: {note}"));
    }
    Ok(Exit::Done)
}

/// `aether config path`.
pub(crate) fn path(invocation: &Invocation) -> Result<Exit, Trouble> {
    let Place { directories, config_file, .. } = Place::new(invocation)?;
    if !invocation.has("json") {
        show::report(&format!("{}\n", config_file.display()))?;
        return Ok(Exit::Done);
    }
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let report = json!({
        "config": text(&config_file),
        "exists": config_file.exists(),
        "data": text(&directories.data),
        "keys": text(&directories.data.join("keys")),
        "sessions": text(&directories.sessions()),
        "traces": text(&directories.traces()),
    });
    show::report(&format!("{report}\n"))?;
    Ok(Exit::Done)
}

/// `aether config check`.
pub(crate) fn check(invocation: &Invocation) -> Result<Exit, Trouble> {
    let (boot, mut faults) = Boot::tolerant(invocation)?;
    // What a layer that could not be read would have said is unknown, so nothing is concluded from the rest.
    if faults.is_empty() {
        faults.extend(problems(&boot).into_iter().map(Fault::of));
    }
    let path = boot.config_file.display().to_string();
    let is_there = boot.config_file.exists();
    if invocation.has("json") {
        let errors: Vec<_> = faults
            .iter()
            .map(|fault| json!({"message": fault.sentence, "line": fault.line, "column": fault.column}))
            .collect();
        let report = json!({"file": path, "exists": is_there, "errors": errors, "notes": boot.notices});
        show::report(&format!("{report}\n"))?;
    } else {
        for notice in &boot.notices {
            eprint(&format!("note: {notice}"));
        }
        for fault in &faults {
            eprint(&fault.sentence);
        }
        if faults.is_empty() {
            let what = if is_there { "is sound" } else { "does not exist, and does not have to" };
            show::report(&format!("{path} {what}\n"))?;
        }
    }
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Usage })
}

/// What every value by itself is too small to show: models without provider, addresses that are none.
pub(crate) fn problems(boot: &Boot) -> Vec<String> {
    let config = &boot.config;
    let model = config.text("model").filter(|name| !name.is_empty());
    let titles = model.into_iter().chain(config.list("fallback").iter().map(String::as_str));
    let mut found = Vec::new();
    for title in titles.filter(|title| *title != chain::OFFLINE) {
        let (provider, _) = chain::split(title);
        let routed = chain::route(config, provider, aether_provider::preset(provider));
        found.extend(routed.err().map(|trouble| format!("model `{title}`: {trouble}")));
    }
    for provider in config.names("providers.") {
        let routed = chain::route(config, provider, aether_provider::preset(provider));
        found.extend(routed.err().map(|trouble| trouble.to_string()));
    }
    found.extend(house::client(boot).err().map(|trouble| trouble.to_string()));
    found
}

/// The key that was typed, under the name that the configuration knows it by.
fn typed_name(invocation: &Invocation) -> Result<String, Trouble> {
    key_name(invocation.operand(0, "a key")?).map_err(Trouble::usage)
}

/// The key of that name.
fn known<'c>(config: &'c Config, name: &str) -> Result<&'c Key, Trouble> {
    config.key(name).filter(|_| !name.split('.').any(|part| part == "*")).ok_or_else(|| unknown(config, name))
}

/// What to say of a name that is no key. A file that says it is refused with the nearest known one.
fn unknown(config: &Config, name: &str) -> Trouble {
    let key = spelled(name);
    let refused = aether_settings::read("", &format!("{key} = true"), &mut config.clone());
    match refused.err().and_then(|errors| errors.into_iter().next()) {
        Some(SettingsError::UnknownKey { nearest: Some(near), .. }) => {
            Trouble::usage(format!("unknown key `{key}`; did you mean `{near}`?"))
        }
        Some(SettingsError::Moved { .. }) => Trouble::usage(format!(
            "`{key}` is no configuration: policy is a signed file of its own; `aether policy show` shows it, `aether policy set ASKER.ACT DECISION` changes it"
        )),
        Some(SettingsError::WrongValue { .. }) => {
            Trouble::usage(format!("`{key}` is a table of keys; `aether config explain {key}` lists those in it"))
        }
        _ => Trouble::usage(format!("unknown key `{key}`; `aether config explain` lists the known ones")),
    }
}

/// Refuses a value that does not fit, and a secret that would stand in the file for all to read.
fn may_be_written(key: &Key, name: &str, value: &str) -> Result<(), Trouble> {
    let spelled = spelled(name);
    if key.kind.read(value).is_err() {
        if key.kind != Kind::Secret {
            return Err(Trouble::usage(format!("`{spelled}`: found `{value}`, {}", key.kind.wanted())));
        }
        let provider = name.split('.').nth(1).unwrap_or("NAME");
        return Err(Trouble::usage(format!(
            "`{spelled}` takes env:NAME or file:PATH and never the key itself, which would then stand in the file and in \
             your shell's history; `aether onboard --provider {provider}` stores a key where only you can read it"
        )));
    }
    if mask::is_secret(name, value) {
        return Err(Trouble::usage(format!(
            "`{spelled}`: what was typed holds a secret, and the configuration is no place for one; {}",
            mask::instead(name)
        )));
    }
    Ok(())
}
