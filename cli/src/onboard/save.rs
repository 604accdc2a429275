//! Writing what was chosen: first the key, then the configuration; if the second fails, the first is taken back.

use std::fs;
use std::path::Path;

use aether_core::config::{Config, Source};
use aether_session::private;
use aether_settings::keys::TABLES;

use super::choice::{Choice, KeyChoice};
use super::profile::{self, Force};
use crate::boot::{Boot, Place};
use crate::config::file::ConfigFile;
use crate::trouble::Trouble;

/// What was written.
pub(crate) struct Saved {
    /// The configuration file.
    pub(crate) config_file: String,
    /// The reference to the provider's key, if there is one.
    pub(crate) key: Option<String>,
    /// Whether anything has changed.
    pub(crate) is_new: bool,
    /// What the person should know.
    pub(crate) note: Option<String>,
}

/// Writes it.
pub(crate) fn save(place: &Place, boot: &Boot, choice: &Choice) -> Result<Saved, Trouble> {
    let key_file = place.directories.key_file(&choice.provider);
    let stored = matches!(choice.key, KeyChoice::Typed(_)).then(|| format!("file:{}", key_file.display()));
    let file = ConfigFile::open(place)?;
    let text = edited(file.text(), boot, choice, stored.as_deref())?;
    let mut config = Config::new(TABLES);
    aether_settings::read(&place.config_file.to_string_lossy(), &text, &mut config).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Trouble::usage(lines.join("\n"))
    })?;
    let mut is_new = text != file.text();
    let undo = match &choice.key {
        KeyChoice::Typed(key) => Some(store(&key_file, key.reveal())?),
        KeyChoice::Reference(_) | KeyChoice::Unchanged => None,
    };
    if is_new && let Err(trouble) = file.save(&text) {
        if let Some(undo) = undo {
            undo.restore(&key_file)?;
        }
        return Err(trouble);
    }
    is_new |= undo.is_some_and(|undo| undo.is_new);
    let key = config.text(&format!("providers.{}.key", choice.provider)).map(str::to_owned);
    let overruled = boot.config.explain("model").iter().find_map(|(source, value)| match source {
        Source::Environment(name) if value.to_string() != choice.title() => {
            Some(format!("the environment variable {name} names another model and wins over the file; unset it"))
        }
        _ => None,
    });
    Ok(Saved { config_file: place.config_file.display().to_string(), key, is_new, note: overruled })
}

/// The file's text with everything that was chosen.
fn edited(text: &str, boot: &Boot, choice: &Choice, stored: Option<&str>) -> Result<String, Trouble> {
    let mut config = Config::new(TABLES);
    // Unreadable text is refused by the first edit, with what is wrong with it.
    let _read = aether_settings::read("", text, &mut config);
    let in_file = |name: &str| {
        config.explain(name).iter().rev().find_map(|(source, value)| match source {
            Source::File { .. } => Some(value.to_string()),
            _ => None,
        })
    };
    let mut text = text.to_owned();
    if let Some(profile) = choice.profile {
        // What the profile before this one has set and nobody has touched since goes with it.
        let old = profile::extras(config.text("profile").unwrap_or_default());
        let new = profile::extras(profile);
        let is_kept = |key: &str| new.iter().any(|(name, _)| *name == key);
        for (key, _) in old.iter().filter(|(key, value)| !is_kept(key) && in_file(key).as_deref() == Some(value)) {
            text = aether_settings::unset(&text, key).map_err(Trouble::usage)?.unwrap_or(text);
        }
        for (key, value) in old.iter().filter(|(key, value)| is_kept(key) && in_file(key).as_deref() == Some(value)) {
            let value = new.iter().find(|(name, _)| name == key).map_or(*value, |(_, value)| value);
            text = with(&text, &config, key, value)?;
        }
    }
    for (name, value, force) in choice.edits(boot, stored) {
        let found = in_file(&name);
        if found.as_deref() == Some(&value) || (force == Force::Gap && found.is_some()) {
            continue;
        }
        text = with(&text, &config, &name, &value)?;
    }
    Ok(text)
}

fn with(text: &str, config: &Config, name: &str, value: &str) -> Result<String, Trouble> {
    let kind = config.key(name).map(|key| key.kind);
    let kind = kind.ok_or_else(|| Trouble::usage(format!("unknown key `{name}`")))?;
    aether_settings::set(text, name, value, kind).map_err(Trouble::usage)
}

/// What the key's file held before.
struct Undo {
    before: Option<Vec<u8>>,
    is_new: bool,
}

impl Undo {
    fn restore(&self, path: &Path) -> Result<(), Trouble> {
        match &self.before {
            _ if !self.is_new => Ok(()),
            Some(bytes) => private::write(path, bytes).map_err(Trouble::failed),
            None => fs::remove_file(path).map_err(|error| Trouble::failed(format!("{}: {error}", path.display()))),
        }
    }
}

/// Stores a key for its owner alone.
fn store(path: &Path, key: &str) -> Result<Undo, Trouble> {
    let before = fs::read(path).ok();
    let line = format!("{key}\n");
    let is_new = before.as_deref() != Some(line.as_bytes());
    // It is written even where it is the same: its permissions may not be.
    private::write(path, line.as_bytes()).map_err(|error| Trouble::failed(format!("the key: {error}")))?;
    Ok(Undo { before, is_new })
}
