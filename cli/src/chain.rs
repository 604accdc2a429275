//! The models of a task: which providers they belong to, what they speak, and where their keys are.

use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aether_core::config::{Config, nearest};
use aether_core::governor::Price;
use aether_core::model::{Codec, ModelError, Question};
use aether_core::spec::ModelChoice;
use aether_driver::{Boxed, Breaker, BreakerLimits, Sink};
use aether_net::Url;
use aether_offline::{SCRIPT_BYTES_MAX, SCRIPT_CODEC, SCRIPT_NAME, Script};
use aether_provider::presets::KeyNeed;
use aether_provider::{Preset, preset, presets};
use aether_session::private;

use crate::trouble::Trouble;

/// The built-in model's name on the command line and in configuration.
pub(crate) const OFFLINE: &str = "builtin/offline";

/// The window assumed where nobody knows better, in tokens.
const WINDOW_TOKENS: u32 = 128_000;

/// One model that can be asked.
pub(crate) struct Lane {
    /// What the kernel knows of it.
    pub(crate) choice: ModelChoice,
    /// `provider/name`, for messages.
    pub(crate) title: String,
    /// How it is reached.
    pub(crate) way: Way,
}

/// How a model is reached.
pub(crate) enum Way {
    /// It is built in.
    Offline,
    /// It plays a file of turns.
    Script(Box<Script>),
    /// Over HTTP.
    Remote(Arc<Remote>),
    /// By another part of this program.
    Local(Box<dyn Local>),
}

/// A model that is no codec: it answers by itself.
pub(crate) trait Local: Send {
    /// As [`aether_driver::World::ask`].
    fn ask(&mut self, question: &Question<'_>, sink: Sink) -> Boxed<Result<(), ModelError>>;
}

/// A model behind HTTP.
pub(crate) struct Remote {
    pub(crate) provider: String,
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) base_url: String,
    pub(crate) key: Option<Secret>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) breaker: Mutex<Breaker>,
}

/// A key. It has no `Debug` and no `Display`, so that it is shown nowhere by accident.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(key: String) -> Secret {
        Secret(key)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// Variables that people set for other work: that one is there does not mean that its models are wanted.
const SHARED_VARIABLES: &[&str] = &["GITHUB_TOKEN", "HF_TOKEN"];

/// The model to ask and why, where the configuration names none: the first provider whose usual key
/// variable is set, else the built-in one.
pub(crate) fn detected() -> (String, String) {
    for preset in presets() {
        let is_set = |name: &&&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let own = preset.key_variables.iter().filter(|name| !SHARED_VARIABLES.contains(name));
        let variable = own.into_iter().find(is_set);
        if let (Some(variable), Some(model)) = (variable, preset.model) {
            return (format!("{}/{model}", preset.name), format!("{variable} is set"));
        }
    }
    (OFFLINE.to_owned(), "no provider is configured".to_owned())
}

/// The name of the first model, as configured or detected.
pub(crate) fn first_model(config: &Config) -> String {
    config.text("model").filter(|name| !name.is_empty()).map_or_else(|| detected().0, str::to_owned)
}

/// The whole chain.
pub(crate) fn lanes(config: &Config) -> Result<Vec<Lane>, Trouble> {
    let first = first_model(config);
    let rest = config.list("fallback").iter().cloned();
    std::iter::once(first).chain(rest).map(|title| lane(config, &title)).collect()
}

/// One model.
pub(crate) fn lane(config: &Config, title: &str) -> Result<Lane, Trouble> {
    if title == OFFLINE {
        let choice = ModelChoice {
            name: "offline".into(),
            codec: aether_offline::CODEC,
            window_tokens: aether_offline::WINDOW_TOKENS,
            price: Price::default(),
        };
        return Ok(Lane { choice, title: title.to_owned(), way: Way::Offline });
    }
    if title == SCRIPT_NAME {
        return script(config);
    }
    let (provider, model) = split(title);
    let known = preset(provider);
    let remote = remote(config, provider, known)?;
    let model = model.or_else(|| known.and_then(|preset| preset.model)).ok_or_else(|| {
        Trouble::usage(format!(
            "model `{title}` names no model of {provider}; write {provider}/NAME (`aether model list {provider}` shows the names)"
        ))
    })?;
    Ok(lane_of(config, remote, model))
}

/// The model that plays the file of turns which the configuration names.
fn script(config: &Config) -> Result<Lane, Trouble> {
    let path = config
        .text("script")
        .filter(|path| !path.is_empty())
        .ok_or_else(|| Trouble::usage(format!("{SCRIPT_NAME} plays a file of turns; name it with `--script FILE`")))?;
    let text = private::read_text(Path::new(path), SCRIPT_BYTES_MAX as u64).map_err(Trouble::usage)?;
    let script = Script::parse(&text).map_err(|why| Trouble::usage(format!("{path}: {why}")))?;
    let choice = ModelChoice {
        name: "script".into(),
        codec: SCRIPT_CODEC,
        window_tokens: WINDOW_TOKENS,
        price: Price::default(),
    };
    Ok(Lane { choice, title: SCRIPT_NAME.to_owned(), way: Way::Script(Box::new(script)) })
}

/// A model of a provider that is ready to be asked.
pub(crate) fn lane_of(config: &Config, remote: Remote, model: &str) -> Lane {
    let known = preset(&remote.provider);
    let preset_window = known.filter(|preset| preset.model == Some(model)).and_then(|preset| preset.window_tokens);
    let window = config.int("model_options.window_tokens").and_then(|n| u32::try_from(n).ok()).or(preset_window);
    let choice = ModelChoice {
        name: model.into(),
        codec: remote.codec.name(),
        window_tokens: window.unwrap_or(WINDOW_TOKENS),
        price: price(config, model),
    };
    Lane { choice, title: format!("{}/{model}", remote.provider), way: Way::Remote(Arc::new(remote)) }
}

/// The provider and, if it is named, the model of a title such as `provider/name`.
pub(crate) fn split(title: &str) -> (&str, Option<&str>) {
    title.split_once('/').map_or((title, None), |(provider, model)| (provider, Some(model).filter(|m| !m.is_empty())))
}

/// A provider, without a model yet.
pub(crate) fn remote(config: &Config, provider: &str, known: Option<&'static Preset>) -> Result<Remote, Trouble> {
    let route = route(config, provider, known)?;
    let key = key(config, provider, known)?;
    Ok(keyed(config, provider, route, key))
}

/// What a provider speaks, and where.
pub(crate) struct Route {
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) base_url: String,
}

/// The way to a provider, which may lack nothing but a key.
pub(crate) fn route(config: &Config, provider: &str, known: Option<&'static Preset>) -> Result<Route, Trouble> {
    let setting = |name: &str| config.text(&format!("providers.{provider}.{name}")).map(str::to_owned);
    let kind = setting("kind");
    if known.is_none() && kind.is_none() {
        return Err(unknown_provider(config, provider));
    }
    let codec = match (kind.as_deref().and_then(aether_provider::codec), known) {
        (Some(codec), _) => codec,
        (None, Some(preset)) => preset.codec(),
        (None, None) => return Err(Trouble::usage(format!("providers.{provider}.kind names no known format"))),
    };
    let base_url = setting("base_url").or_else(|| known.and_then(|preset| preset.base_url).map(str::to_owned));
    let base_url = base_url.ok_or_else(|| {
        Trouble::usage(format!(
            "provider {provider} has no address; set it with `aether config set providers.{provider}.base_url URL`"
        ))
    })?;
    let base_url = base_url.trim_end_matches('/').to_owned();
    Url::parse(&base_url).map_err(|fault| Trouble::usage(format!("providers.{provider}.base_url: {fault}")))?;
    Ok(Route { codec, base_url })
}

/// What to say of a provider that neither a preset nor the configuration knows.
pub(crate) fn unknown_provider(config: &Config, provider: &str) -> Trouble {
    let names = presets().iter().map(|preset| preset.name).chain(config.names("providers."));
    let hint = match nearest(provider, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "`aether model list` shows the known ones; for another, set providers.{provider}.kind and .base_url"
        ),
    };
    Trouble::usage(format!("unknown provider `{provider}`; {hint}"))
}

/// A provider with this key.
pub(crate) fn keyed(config: &Config, provider: &str, route: Route, key: Option<Secret>) -> Remote {
    let prefix = format!("providers.{provider}.headers.");
    let names: Vec<String> = config.names(&prefix).map(str::to_owned).collect();
    let mut headers: Vec<(String, String)> = names
        .into_iter()
        .filter_map(|name| Some((name.clone(), config.text(&format!("{prefix}{name}"))?.to_owned())))
        .collect();
    if let Some(organization) = config.text(&format!("providers.{provider}.organization")) {
        headers.push(("openai-organization".to_owned(), organization.to_owned()));
    }
    let limits = BreakerLimits {
        failures_max: config.int("retry.breaker_failures_max").and_then(|n| u32::try_from(n).ok()).unwrap_or(5),
        open_ms: config.int("retry.breaker_rest_ms").and_then(|n| u64::try_from(n).ok()).unwrap_or(30_000),
    };
    let breaker = Mutex::new(Breaker::new(limits));
    let Route { codec, base_url } = route;
    Remote { provider: provider.to_owned(), codec, base_url, key, headers, breaker }
}

/// Where a provider's key is, without the key.
pub(crate) enum KeyPlace {
    /// Where the configuration says.
    Reference(String),
    /// In its usual environment variable.
    Variable(&'static str),
    /// Nowhere, and it needs one.
    Missing,
    /// Nowhere, and it may need none.
    Unneeded,
}

/// Where the key of a provider is: by reference in the configuration, else in one of its usual variables.
pub(crate) fn key_place(config: &Config, provider: &str, known: Option<&'static Preset>) -> KeyPlace {
    if let Some(reference) = config.text(&format!("providers.{provider}.key")) {
        return KeyPlace::Reference(reference.to_owned());
    }
    let variables = known.map_or(&[][..], |preset| preset.key_variables);
    let found = variables.iter().find(|name| env::var(name).is_ok_and(|value| !value.trim().is_empty()));
    match (found, known.map(|preset| preset.key_need)) {
        (Some(name), _) => KeyPlace::Variable(name),
        (None, Some(KeyNeed::Required)) => KeyPlace::Missing,
        (None, Some(KeyNeed::Optional) | None) => KeyPlace::Unneeded,
    }
}

/// The provider's key: from its reference in the configuration, else from its usual variables.
pub(crate) fn key(config: &Config, provider: &str, known: Option<&'static Preset>) -> Result<Option<Secret>, Trouble> {
    let reference = match key_place(config, provider, known) {
        KeyPlace::Reference(reference) => reference,
        KeyPlace::Variable(name) => format!("env:{name}"),
        KeyPlace::Unneeded => return Ok(None),
        KeyPlace::Missing => {
            let variable = known.and_then(|preset| preset.key_variables.first()).unwrap_or(&"its key variable");
            return Err(Trouble::usage(format!(
                "no key for {provider}; set {variable}, or run `aether onboard --provider {provider}`"
            )));
        }
    };
    resolve(&reference).map(Some).map_err(|why| Trouble::failed(format!("the key of {provider}: {why}")))
}

/// What a reference such as `env:NAME` or `file:PATH` stands for.
pub(crate) fn resolve(reference: &str) -> Result<Secret, String> {
    let value = match reference.split_once(':') {
        Some(("env", name)) => env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?,
        Some(("file", path)) => private::read_secret(Path::new(path)).map_err(|error| error.to_string())?,
        _ => return Err(format!("`{reference}` is no reference; wanted env:NAME or file:PATH")),
    };
    let value = value.trim();
    if value.is_empty() { Err(format!("`{reference}` is empty")) } else { Ok(Secret(value.to_owned())) }
}

fn price(config: &Config, model: &str) -> Price {
    let of = |part: &str| {
        let segments = ["prices", model, part];
        config.int(&aether_settings::join(&segments)).and_then(|n| u64::try_from(n).ok())
    };
    let input = of("input_micro_usd_per_mtok").unwrap_or(0);
    Price {
        input,
        cached: of("cached_micro_usd_per_mtok").unwrap_or(input),
        output: of("output_micro_usd_per_mtok").unwrap_or(0),
    }
}
