//! `aether model list|test`: which models there are, and whether one answers.

use aether_core::model::Stop;
use aether_net::Client;
use aether_provider::{preset, presets};
use aether_terminal::{Stream, Style, neutral};
use serde_json::{Value, json};

use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::chain::{self, KeyPlace, OFFLINE};
use crate::house;
use crate::probe::{self, Trial};
use crate::run::runtime;
use crate::setup::options;
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};

/// Flags of the model commands.
pub(crate) const FLAGS: &[Flag] = &[Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" }];

/// The built-in provider's name.
const BUILTIN: &str = "builtin";

/// One provider, as the list shows it.
struct Row {
    provider: String,
    title: &'static str,
    format: String,
    base_url: Option<String>,
    model: Option<String>,
    key: Key,
    is_configured: bool,
    is_used: bool,
}

/// What is known of a provider's key.
enum Key {
    Found(String),
    Missing(Option<&'static str>),
    Unneeded,
}

/// `aether model list [PROVIDER]`.
pub(crate) fn list(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    for notice in &boot.notices {
        eprint(&format!("note: {notice}"));
    }
    match invocation.operands.first() {
        Some(provider) => of_provider(invocation, &boot, provider.trim_end_matches('/')),
        None => all(invocation, &boot),
    }
}

fn all(invocation: &Invocation, boot: &Boot) -> Result<Exit, Trouble> {
    let rows = rows(boot);
    if invocation.has("json") {
        let all: Vec<Value> = rows.iter().map(described).collect();
        show::report(&format!("{}\n", Value::Array(all)))?;
        return Ok(Exit::Done);
    }
    let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output);
    let mut text = String::new();
    for row in &rows {
        let mark = if row.is_used { '*' } else { ' ' };
        let (key, is_ready) = match &row.key {
            Key::Found(place) => (format!("key: {}", neutral(place)), true),
            Key::Missing(Some(variable)) => (format!("no key: {variable} is not set"), false),
            Key::Missing(None) => ("no key".to_owned(), false),
            Key::Unneeded => ("no key needed".to_owned(), row.is_configured || row.is_used),
        };
        let model = row.model.as_deref().unwrap_or("-");
        let line = format!("{mark} {:<14} {:<42} {}", neutral(&row.provider), key, neutral(model));
        text.push_str(&if is_ready { style.green(&line) } else { line });
        text.push('\n');
    }
    text.push_str("\n* in use; `aether model list PROVIDER` asks a provider for its models\n");
    show::report(&text)?;
    Ok(Exit::Done)
}

/// The built-in one, the presets, and what the configuration adds to them.
fn rows(boot: &Boot) -> Vec<Row> {
    let config = &boot.config;
    let first = chain::first_model(config);
    let titles: Vec<&str> =
        std::iter::once(first.as_str()).chain(config.list("fallback").iter().map(String::as_str)).collect();
    let used: Vec<&str> = titles.iter().map(|title| chain::split(title).0).collect();
    let mut configured: Vec<&str> = config.names("providers.").collect();
    configured.sort_unstable();
    configured.dedup();
    let asked = |provider: &str| {
        let title = titles.iter().map(|title| chain::split(title)).find(|(name, _)| *name == provider)?;
        title.1.map(str::to_owned)
    };
    let mut rows = vec![Row {
        provider: BUILTIN.to_owned(),
        title: "rule-based, without network",
        format: "builtin".to_owned(),
        base_url: None,
        model: Some("offline".to_owned()),
        key: Key::Unneeded,
        is_configured: true,
        is_used: used.contains(&BUILTIN),
    }];
    let known =
        presets().iter().map(|preset| preset.name).filter(|name| *name != "custom" || configured.contains(&"custom"));
    let own = configured.iter().copied().filter(|name| preset(name).is_none());
    for provider in known.chain(own) {
        let known = preset(provider);
        let setting = |key: &str| config.text(&format!("providers.{provider}.{key}")).map(str::to_owned);
        rows.push(Row {
            provider: provider.to_owned(),
            title: known.map_or("", |preset| preset.title),
            format: setting("kind").or_else(|| known.map(|p| p.format.name().to_owned())).unwrap_or_default(),
            base_url: setting("base_url").or_else(|| known.and_then(|preset| preset.base_url).map(str::to_owned)),
            model: asked(provider).or_else(|| known.and_then(|preset| preset.model).map(str::to_owned)),
            key: key(boot, provider),
            is_configured: configured.contains(&provider),
            is_used: used.contains(&provider),
        });
    }
    rows
}

fn key(boot: &Boot, provider: &str) -> Key {
    let known = preset(provider);
    match chain::key_place(&boot.config, provider, known) {
        KeyPlace::Reference(reference) => match chain::resolve(&reference) {
            Ok(_) => Key::Found(reference),
            Err(_) => Key::Missing(None),
        },
        KeyPlace::Variable(name) => Key::Found(format!("env:{name}")),
        KeyPlace::Missing => Key::Missing(known.and_then(|preset| preset.key_variables.first().copied())),
        KeyPlace::Unneeded => Key::Unneeded,
    }
}

fn described(row: &Row) -> Value {
    let (state, place) = match &row.key {
        Key::Found(place) => ("found", Some(place.as_str())),
        Key::Missing(_) => ("missing", None),
        Key::Unneeded => ("unneeded", None),
    };
    json!({
        "provider": row.provider,
        "title": row.title,
        "format": row.format,
        "base_url": row.base_url,
        "model": row.model,
        "key": state,
        "key_from": place,
        "configured": row.is_configured,
        "used": row.is_used,
    })
}

/// Asks the provider itself.
fn of_provider(invocation: &Invocation, boot: &Boot, provider: &str) -> Result<Exit, Trouble> {
    if provider == BUILTIN {
        let text = if invocation.has("json") {
            let models = json!([{"name": "offline", "window_tokens": aether_offline::WINDOW_TOKENS}]);
            format!("{}\n", json!({"provider": BUILTIN, "ms": 0, "models": models}))
        } else {
            format!("{OFFLINE}\n")
        };
        show::report(&text)?;
        return Ok(Exit::Done);
    }
    let remote = chain::remote(&boot.config, provider, preset(provider))?;
    let client = house::client(boot)?;
    let listed = runtime()?.block_on(probe::list(&client, &remote, house::limits(boot)));
    let models = listed.models.map_err(|error| Trouble::failed(probe::beginning_with(provider, &error)))?;
    let mut text = String::new();
    if invocation.has("json") {
        let all: Vec<Value> =
            models.iter().map(|model| json!({"name": model.name, "window_tokens": model.window_tokens})).collect();
        text = format!("{}\n", json!({"provider": provider, "ms": listed.ms, "models": all}));
    } else {
        for model in &models {
            let name = format!("{provider}/{}", neutral(&model.name));
            match model.window_tokens {
                Some(tokens) => text.push_str(&format!("{name:<56} {tokens:>9} tokens\n")),
                None => text.push_str(&format!("{name}\n")),
            }
        }
        if models.is_empty() {
            eprint(&format!("note: {provider} answered and has no models; load one there first"));
        }
    }
    show::report(&text)?;
    Ok(Exit::Done)
}

/// `aether model test [MODEL]`.
pub(crate) fn test(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let title = invocation.operands.first().cloned().unwrap_or_else(|| chain::first_model(&boot.config));
    let lane = chain::lane(&boot.config, &title)?;
    let client = house::client(&boot)?;
    let limits = house::limits(&boot);
    let tried = runtime()?.block_on(async {
        match probe::question(&client, &lane, limits, options(&boot.config)).await {
            Ok(trial) => Ok(trial),
            Err(error) => Err((probe::explained(&client, &lane, limits, &error).await, error.kind)),
        }
    });
    match tried {
        Ok(trial) => {
            let text = if invocation.has("json") {
                format!("{}\n", report(&lane.title, &trial))
            } else {
                format!("{}\n{}\n", neutral(trial.text.trim()), summary(&lane.title, &trial))
            };
            show::report(&text)?;
            Ok(Exit::Done)
        }
        Err((sentence, kind)) => {
            if invocation.has("json") {
                let report = json!({"model": lane.title, "ok": false, "kind": kind.name(), "message": sentence});
                show::report(&format!("{report}\n"))?;
            }
            Err(Trouble::failed(sentence))
        }
    }
}

/// A trial that went well, in one line.
pub(crate) fn summary(title: &str, trial: &Trial) -> String {
    let usage = trial.usage;
    let cut = if trial.stop == Stop::Done { String::new() } else { format!(", stopped: {}", trial.stop) };
    format!(
        "{title} answered: first token after {} ms, {} ms in all, {} tokens in, {} out{cut}",
        trial.first_ms, trial.total_ms, usage.input_tokens, usage.output_tokens
    )
}

/// A trial that went well, as JSON.
pub(crate) fn report(title: &str, trial: &Trial) -> Value {
    json!({
        "model": title,
        "ok": true,
        "first_ms": trial.first_ms,
        "total_ms": trial.total_ms,
        "input_tokens": trial.usage.input_tokens,
        "output_tokens": trial.usage.output_tokens,
        "stop": trial.stop.name(),
        "answer": trial.text,
    })
}

/// Which models a provider has; the sentence says why it cannot be known.
pub(crate) async fn names(client: &Client, remote: &chain::Remote, boot: &Boot) -> Result<Vec<String>, String> {
    let listed = probe::list(client, remote, house::limits(boot)).await;
    let models = listed.models.map_err(|error| probe::beginning_with(&remote.provider, &error))?;
    Ok(models.into_iter().map(|model| model.name).collect())
}
