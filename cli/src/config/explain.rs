//! `aether config explain`: every layer of a key, and which one won.

use aether_core::config::{Config, Key, Source};
use aether_provider::preset;
use aether_settings::{key_name, spelled, variable};
use aether_terminal::{Stream, Style, neutral};
use serde_json::{Value, json};

use super::{known, mask, unknown};
use crate::args::Invocation;
use crate::boot::Boot;
use crate::chain::{self, KeyPlace};
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};

/// What stands for a star where a key is shown that nobody set.
const ANY_NAME: &str = "NAME";

/// `aether config explain [KEY]`.
pub(crate) fn explain(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    for notice in &boot.notices {
        eprint(&format!("note: {notice}"));
    }
    let text = match invocation.operands.first() {
        None => several(invocation, &boot, ""),
        Some(typed) => {
            let name = key_name(typed).map_err(Trouble::usage)?;
            let beneath = format!("{name}.");
            match known(&boot.config, &name) {
                Ok(key) => one(invocation, &boot, key, &name),
                Err(_) if boot.config.keys().iter().any(|key| lies_beneath(key.name, &beneath)) => {
                    several(invocation, &boot, &beneath)
                }
                Err(_) => return Err(unknown(&boot.config, &name)),
            }
        }
    };
    show::report(&text)?;
    Ok(Exit::Done)
}

/// Whether a key of this pattern can have a name that begins so.
fn lies_beneath(pattern: &str, beneath: &str) -> bool {
    let mut segments = pattern.split('.');
    beneath.trim_end_matches('.').split('.').all(|given| segments.next().is_some_and(|own| own == given || own == "*"))
        && segments.next().is_some()
}

/// All keys whose names begin so.
fn several(invocation: &Invocation, boot: &Boot, beneath: &str) -> String {
    let config = &boot.config;
    let mut rows = Vec::new();
    for key in config.keys() {
        let names = instances(config, key.name);
        if names.is_empty() && lies_beneath(key.name, beneath) || names.is_empty() && beneath.is_empty() {
            rows.push((key, filled(key.name, beneath)));
        }
        rows.extend(names.into_iter().filter(|name| name.starts_with(beneath)).map(|name| (key, name)));
    }
    if invocation.has("json") {
        let all: Vec<Value> = rows.iter().map(|(key, name)| described(boot, key, name)).collect();
        return format!("{}\n", Value::Array(all));
    }
    let style = style(boot);
    let mut text = String::new();
    for (key, name) in rows {
        let (value, source) = match config.explain(&name).last() {
            Some((source, value)) => (mask::quoted(&name, value), source.to_string()),
            None => ("not set".to_owned(), elsewhere(config, &name).unwrap_or_default()),
        };
        let source = if source.is_empty() { source } else { format!("  ({})", neutral(&source)) };
        text.push_str(&format!("{} = {}{}\n", style.bold(&spelled(&name)), neutral(&value), style.dim(&source)));
        text.push_str(&format!("    {}\n", key.doc));
    }
    text
}

/// The names under which a key was said: itself, or one for each that its stars stood for.
fn instances(config: &Config, pattern: &str) -> Vec<String> {
    let mut heads = vec![String::new()];
    for segment in pattern.split('.') {
        let mut longer = Vec::new();
        for head in &heads {
            match segment {
                "*" => longer.extend(config.names(head).map(|name| format!("{head}{name}."))),
                _ => longer.push(format!("{head}{segment}.")),
            }
        }
        heads = longer;
    }
    let names = heads.into_iter().map(|head| head.trim_end_matches('.').to_owned());
    names.filter(|name| !pattern.contains('*') || !config.explain(name).is_empty()).collect()
}

/// The pattern with what is known of the name in the places of its stars.
fn filled(pattern: &str, beneath: &str) -> String {
    let mut given = beneath.split('.');
    let segments = pattern.split('.').map(|segment| match (segment, given.next()) {
        ("*", Some(given)) if !given.is_empty() => given,
        ("*", _) => ANY_NAME,
        _ => segment,
    });
    segments.collect::<Vec<&str>>().join(".")
}

/// One key with all its layers.
fn one(invocation: &Invocation, boot: &Boot, key: &Key, name: &str) -> String {
    let config = &boot.config;
    if invocation.has("json") {
        let mut report = described(boot, key, name);
        let layers: Vec<Value> = config
            .explain(name)
            .iter()
            .map(|(source, value)| json!({"source": source.to_string(), "value": mask::json(name, value)}))
            .collect();
        report["layers"] = Value::Array(layers);
        return format!("{report}\n");
    }
    let style = style(boot);
    let value = config.value(name).map_or("not set".to_owned(), |value| mask::quoted(name, value));
    let mut text = format!("{} = {}\n    {}\n", style.bold(&spelled(name)), neutral(&value), key.doc);
    text.push_str(&format!("    {}", key.kind.wanted()));
    if let Some(variable) = variable(name) {
        text.push_str(&format!("; the variable is {variable}"));
    }
    text.push_str("\n\n");
    let layers = config.explain(name);
    for (at, (source, value)) in layers.iter().enumerate() {
        let line = format!("  {:<50} {}", source.to_string(), mask::quoted(name, value));
        let is_winner = at + 1 == layers.len();
        let line = if is_winner { style.green(&neutral(&format!("{line}   <- this one"))) } else { neutral(&line) };
        text.push_str(&format!("{line}\n"));
    }
    if layers.is_empty() {
        let said =
            elsewhere(config, name).map_or("nobody sets it".to_owned(), |source| format!("nobody sets it: {source}"));
        text.push_str(&format!("  {said}\n"));
    }
    text
}

/// What takes the place of a key that is not set: a model that was found, or a provider's usual variable.
fn elsewhere(config: &Config, name: &str) -> Option<String> {
    if name == "model" {
        let (model, why) = chain::detected();
        return Some(format!("{model} is used, as {why}"));
    }
    let provider = name.strip_prefix("providers.")?.strip_suffix(".key")?;
    match chain::key_place(config, provider, preset(provider)) {
        KeyPlace::Variable(variable) => Some(format!("environment variable {variable} is used")),
        _ => None,
    }
}

fn described(boot: &Boot, key: &Key, name: &str) -> Value {
    let won = boot.config.explain(name).last();
    let source = won.map(|(source, _)| source.to_string()).or_else(|| elsewhere(&boot.config, name));
    json!({
        "key": spelled(name),
        "value": won.map(|(_, value)| mask::json(name, value)),
        "source": source,
        "is_default": won.is_none_or(|(source, _)| *source == Source::Default),
        "wanted": key.kind.wanted(),
        "variable": variable(name),
        "doc": key.doc,
    })
}

fn style(boot: &Boot) -> Style {
    Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_settings::keys::TABLES;

    #[test]
    fn stars_are_filled_with_what_was_said() {
        let mut config = Config::new(TABLES);
        for name in ["providers.a.key", "providers.b.base_url", "providers.b.headers.x-title"] {
            let value = if name.ends_with("key") { "env:K" } else { "v" };
            config.say_text(name, value, Source::Flag("--x".into())).unwrap();
        }
        assert_eq!(instances(&config, "providers.*.key"), ["providers.a.key"]);
        assert_eq!(instances(&config, "providers.*.headers.*"), ["providers.b.headers.x-title"]);
        assert_eq!(instances(&config, "prices.*.input_micro_usd_per_mtok"), [""; 0]);
        assert_eq!(instances(&config, "model"), ["model"]);
        assert_eq!(filled("providers.*.headers.*", "providers.b."), "providers.b.headers.NAME");
        assert!(lies_beneath("providers.*.key", "providers.x."));
        assert!(!lies_beneath("providers.*.key", "providers.x.key."));
    }
}
