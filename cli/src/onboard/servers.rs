//! Model servers on this machine: those whose presets need no key, on their usual ports.

use aether_core::model::{ModelError, ModelErrorKind, ModelInfo};
use aether_net::{Client, Limits};
use aether_provider::{presets, presets::KeyNeed};
use tokio::task::JoinSet;

use crate::boot::Boot;
use crate::chain;
use crate::probe;

/// How long a server on this machine may take to accept, in milliseconds.
const CONNECT_MS_MAX: u64 = 300;
/// How long it may take to list its models, in milliseconds.
const ANSWER_MS_MAX: u64 = 1_500;

/// A server that answers.
pub(crate) struct Server {
    /// Its preset's name.
    pub(crate) provider: &'static str,
    /// How many models it has; `None` where it wants a key before it says so.
    pub(crate) models: Option<usize>,
}

impl Server {
    /// What it has, in a few words.
    pub(crate) fn described(&self) -> String {
        match self.models {
            Some(models) => format!("runs on this machine, with {models} models"),
            None => "runs on this machine, and wants a key".to_owned(),
        }
    }
}

/// The servers that answer, in the order of presets. Nobody is sent a key for being there.
pub(crate) async fn search(boot: &Boot, client: &Client) -> Vec<Server> {
    let limits = Limits {
        connect_ms_max: CONNECT_MS_MAX,
        headers_ms_max: ANSWER_MS_MAX,
        idle_ms_max: ANSWER_MS_MAX,
        total_ms_max: ANSWER_MS_MAX,
        ..Limits::default()
    };
    let mut asking = JoinSet::new();
    for (at, preset) in presets().iter().enumerate().filter(|(_, preset)| preset.key_need == KeyNeed::Optional) {
        let Ok(route) = chain::route(&boot.config, preset.name, Some(preset)) else { continue };
        let remote = chain::keyed(&boot.config, preset.name, route, None);
        let client = client.clone();
        asking.spawn(async move { (at, preset.name, probe::list(&client, &remote, limits).await.models) });
    }
    let mut found = asking.join_all().await;
    found.sort_by_key(|(at, ..)| *at);
    let server = |(_, provider, models): (usize, &'static str, Result<Vec<ModelInfo>, ModelError>)| match models {
        Ok(models) => Some(Server { provider, models: Some(models.len()) }),
        Err(error) if error.kind == ModelErrorKind::Unauthorized => Some(Server { provider, models: None }),
        Err(_) => None,
    };
    found.into_iter().filter_map(server).collect()
}
