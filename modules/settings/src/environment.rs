//! From environment variables to a layer of the configuration.
//!
//! A key's variable is `AETHER_` and its name in capitals, with `__` for each dot: `limits.wall_ms` is
//! `AETHER_LIMITS__WALL_MS`. A name with other characters than small letters, digits, single underscores and
//! dots has no variable; it can be said in the file.

use aether_core::config::{Config, Source, Value, nearest};

use crate::error::{SettingsError, UnknownVariable};
use crate::read::{found, is_policy, moved, say_all, suggest};

/// How the name of every variable of ours begins.
pub const VARIABLE_PREFIX: &str = "AETHER_";

/// The variable that says the key called `name`; `None` for a name that cannot be written so.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    let is_plain = |segment: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let edges = segment.starts_with('_') || segment.ends_with('_') || segment.contains("__");
        !segment.is_empty() && !edges && segment.chars().all(fits)
    };
    let fits = name.split('.').all(is_plain);
    fits.then(|| format!("{VARIABLE_PREFIX}{}", name.replace('.', "__").to_ascii_uppercase()))
}

/// Takes in every variable that begins with [`VARIABLE_PREFIX`] as one layer of `config`, and returns those
/// that name no key. `others` are variables of ours that are no keys. An empty variable counts as not set.
///
/// # Errors
/// Every value that is of the wrong type or out of range, and every one of the policy. Nothing has changed then (S1).
pub fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
    others: &[&str],
    config: &mut Config,
) -> Result<Vec<UnknownVariable>, Vec<SettingsError>> {
    let mut said = Vec::new();
    let mut errors = Vec::new();
    let mut unknown = Vec::new();
    for (variable, text) in variables {
        let Some(rest) = variable.strip_prefix(VARIABLE_PREFIX) else { continue };
        if text.is_empty() || others.contains(&variable.as_str()) {
            continue;
        }
        let name = rest.to_ascii_lowercase().replace("__", ".");
        if is_policy(&name) {
            errors.push(moved(&name, Some(&text), Source::Environment(variable.into())));
            continue;
        }
        let is_exact = self::variable(&name).as_deref() == Some(&variable);
        let Some(key) = config.key(&name).filter(|_| is_exact) else {
            unknown.push(unknown_variable(config, variable, &name, others));
            continue;
        };
        let source = Source::Environment(variable.into());
        match key.kind.read(&text) {
            Ok(value) => said.push((name, value, source)),
            Err(wanted) => {
                let found = found(key.kind, &Value::Text(text)).into();
                errors.push(SettingsError::WrongValue { name: name.into(), source, found, wanted: wanted.into() });
            }
        }
    }
    say_all(config, said, errors).map(|()| unknown)
}

fn unknown_variable(config: &Config, given: String, name: &str, others: &[&str]) -> UnknownVariable {
    let nearest = nearest(&given, others.iter().copied())
        .map(str::to_owned)
        .or_else(|| suggest(config.keys(), name).and_then(|name| variable(&name)))
        .filter(|near| *near != given);
    UnknownVariable { name: given.into(), nearest: nearest.map(Into::into) }
}
