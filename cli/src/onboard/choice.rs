//! What will be written, and whether it works: decided before anything is.

use aether_core::config::{Config, Source};
use aether_core::model::{ModelError, ModelErrorKind};
use aether_provider::preset;

use super::profile;
use crate::boot::Boot;
use crate::chain::{self, Lane, OFFLINE, Remote, Secret};
use crate::house;
use crate::probe::{self, Trial};
use crate::setup::options;
use crate::trouble::Trouble;

/// Everything that onboarding decides.
pub(crate) struct Choice {
    /// The provider's name; `builtin` for the built-in model.
    pub(crate) provider: String,
    /// What it speaks, where no preset knows.
    pub(crate) kind: Option<String>,
    /// Where it is, where that differs from its preset.
    pub(crate) base_url: Option<String>,
    /// The model as the provider spells it; `None` until it is found out.
    pub(crate) model: Option<String>,
    /// Its key.
    pub(crate) key: KeyChoice,
    /// What the installation is for; `None` leaves it as it is.
    pub(crate) profile: Option<&'static str>,
}

/// Where a key comes from.
pub(crate) enum KeyChoice {
    /// From where it came before, or there is none.
    Unchanged,
    /// From where this reference says.
    Reference(String),
    /// It was typed, and will be stored.
    Typed(Secret),
}

impl Choice {
    /// The built-in model.
    pub(crate) fn offline() -> Choice {
        Choice {
            provider: "builtin".to_owned(),
            kind: None,
            base_url: None,
            model: Some("offline".to_owned()),
            key: KeyChoice::Unchanged,
            profile: None,
        }
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.title() == OFFLINE
    }

    /// `provider/model`.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.provider, self.model.as_deref().unwrap_or_default())
    }

    /// The keys to set, with their values; `true` for those that only fill a gap. `stored` is the reference to a key
    /// that was typed.
    pub(crate) fn edits(&self, boot: &Boot, stored: Option<&str>) -> Vec<(String, String, profile::Force)> {
        use profile::Force::{Always, Gap};
        let mut edits = vec![("model".to_owned(), self.title(), Always)];
        let mut own = |key: &str, value: &str| {
            edits.push((format!("providers.{}.{key}", self.provider), value.to_owned(), Always));
        };
        if let Some(kind) = &self.kind {
            own("kind", kind);
        }
        if let Some(base_url) = &self.base_url {
            own("base_url", base_url);
        }
        match (&self.key, stored) {
            (KeyChoice::Reference(reference), _) => own("key", reference),
            (KeyChoice::Typed(_), Some(reference)) => own("key", reference),
            (KeyChoice::Typed(_), None) | (KeyChoice::Unchanged, _) => {}
        }
        if let Some(name) = self.profile {
            edits.push(("profile".to_owned(), name.to_owned(), Always));
            let extras = profile::extras(name).iter();
            edits.extend(extras.map(|(key, value)| ((*key).to_owned(), (*value).to_owned(), Gap)));
        }
        // Saying what holds anyhow would only make the file longer.
        edits.retain(|(key, value, _)| key != "profile" || boot.config.text("profile") != Some(value));
        edits
    }

    /// The configuration as it will be.
    pub(crate) fn config(&self, boot: &Boot) -> Result<Config, Trouble> {
        let mut config = boot.config.clone();
        for (name, value, _) in self.edits(boot, None) {
            let source = Source::Flag("aether onboard".into());
            config.say_text(&name, &value, source).map_err(Trouble::usage)?;
        }
        Ok(config)
    }

    /// The provider with the key that was chosen.
    pub(crate) fn remote(&self, boot: &Boot) -> Result<Remote, Trouble> {
        let config = self.config(boot)?;
        let known = preset(&self.provider);
        let route = chain::route(&config, &self.provider, known)?;
        let key = match &self.key {
            KeyChoice::Typed(key) => Some(Secret::new(key.reveal().to_owned())),
            KeyChoice::Reference(_) | KeyChoice::Unchanged => chain::key(&config, &self.provider, known)?,
        };
        Ok(chain::keyed(&config, &self.provider, route, key))
    }

    /// Refuses what could never work: a provider without an address, values that are none.
    pub(crate) fn checked(self, boot: &Boot) -> Result<Choice, Trouble> {
        if !self.is_offline() {
            chain::route(&self.config(boot)?, &self.provider, preset(&self.provider))?;
        }
        Ok(self)
    }

    /// The model to begin with, where nobody can be asked.
    pub(crate) fn settle_untested(&mut self) -> Result<(), Trouble> {
        if self.model.is_none() {
            self.model = preset(&self.provider).and_then(|preset| preset.model).map(str::to_owned);
        }
        match self.model {
            Some(_) => Ok(()),
            None => Err(Trouble::usage(format!("which model of {}? name it with --model NAME", self.provider))),
        }
    }

    /// Finds a model if none was named, and asks it something. On `Err` a sentence for the person.
    pub(crate) async fn tried(&mut self, boot: &Boot) -> Result<Trial, String> {
        let client = house::client(boot).map_err(|trouble| trouble.to_string())?;
        let limits = house::limits(boot);
        if self.model.is_none() {
            self.model = preset(&self.provider).and_then(|preset| preset.model).map(str::to_owned);
        }
        if self.model.is_none() {
            let remote = self.remote(boot).map_err(|trouble| trouble.to_string())?;
            let models = probe::list(&client, &remote, limits).await.models;
            let models =
                models.map_err(|error| keyless(&remote, &error, probe::beginning_with(&self.provider, &error)))?;
            let first = models.into_iter().next();
            self.model = Some(
                first
                    .map(|model| model.name)
                    .ok_or_else(|| format!("{} answers and has no models; load one there first", self.provider))?,
            );
        }
        let lane = self.lane(boot).map_err(|trouble| trouble.to_string())?;
        let config = self.config(boot).map_err(|trouble| trouble.to_string())?;
        match probe::question(&client, &lane, limits, options(&config)).await {
            Ok(trial) => Ok(trial),
            Err(error) => {
                let sentence = probe::explained(&client, &lane, limits, &error).await;
                Err(match &lane.way {
                    chain::Way::Remote(remote) => keyless(remote, &error, sentence),
                    chain::Way::Offline | chain::Way::Script(_) | chain::Way::Local(_) => sentence,
                })
            }
        }
    }

    /// The model, ready to be asked.
    fn lane(&self, boot: &Boot) -> Result<Lane, Trouble> {
        if self.is_offline() {
            return chain::lane(&boot.config, OFFLINE);
        }
        let remote = self.remote(boot)?;
        Ok(chain::lane_of(&self.config(boot)?, remote, self.model.as_deref().unwrap_or_default()))
    }
}

/// The sentence, which for a server that wants a key says that it was sent none.
fn keyless(remote: &Remote, error: &ModelError, sentence: String) -> String {
    match error.kind {
        ModelErrorKind::Unauthorized if remote.key.is_none() => {
            format!("{sentence}; no key was sent: give one with --key-stdin, --key-file or --key-env")
        }
        _ => sentence,
    }
}
