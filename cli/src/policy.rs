//! `aether policy`: what is allowed, why, and changing it in a way that nothing but the person can.

mod change;
mod explain;
mod file;
mod guard;
mod show;

use aether_core::capability::{Capability, Network};
use aether_core::policy::{Asker, Decision};
use aether_core::tool::{Act, Grant, Toolbox};
use aether_manifest::PolicyFile;

use crate::args::Flag;

pub(crate) use change::{edit, reset, set, sign};
pub(crate) use explain::explain;
pub(crate) use file::{State, keyring_directory, load, look, path, sentences};
pub(crate) use guard::Guard;
pub(crate) use show::{check, show};

/// Flags of the commands that report.
pub(crate) const FLAGS: &[Flag] = &[Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" }];

/// Flags of `aether policy explain`.
pub(crate) const EXPLAIN_FLAGS: &[Flag] = &[
    Flag {
        long: "as",
        short: None,
        value: Some("ASKER"),
        key: None,
        doc: "On whose behalf: terminal, owner, guest, schedule, agent or peer; all of them when not given",
    },
    Flag {
        long: "workspace",
        short: Some('w'),
        value: Some("DIR"),
        key: Some("workspace"),
        doc: "The directory that file tools may use",
    },
];

/// Flags of `aether policy sign`.
pub(crate) const SIGN_FLAGS: &[Flag] =
    &[Flag { long: "yes", short: Some('y'), value: None, key: None, doc: "Sign what is there without asking" }];

/// Flags of `aether policy reset`.
pub(crate) const RESET_FLAGS: &[Flag] = &[Flag {
    long: "yes",
    short: Some('y'),
    value: None,
    key: None,
    doc: "Return to the built-in policy without asking",
}];

/// What a cell can say.
const DECISIONS: &[&str] = &[Decision::Allow.name(), Decision::Ask.name(), Decision::Deny.name()];

/// What `set` takes to leave a cell to the built-in table again.
const BUILT_IN: &str = "default";

/// What `policy set` takes: every cell, and every word for one.
pub(crate) fn words_of_set() -> Vec<String> {
    let cells = Asker::ALL.iter().flat_map(|asker| Act::ALL.iter().map(move |act| format!("{asker}.{act}")));
    cells.chain(DECISIONS.iter().chain([&BUILT_IN]).map(|word| (*word).to_owned())).collect()
}

/// The grant without what the operator takes away: tools, and hosts that are not among those allowed.
pub(crate) fn bounded(grant: Grant, policy: &PolicyFile, tools: &dyn Toolbox) -> Grant {
    let allowed = policy.hosts_allowed().map_or(Network::Public, |hosts| Network::hosts(hosts.to_vec()));
    let network = grant.capability.meet(&Capability::default().with_network(allowed)).network;
    let mut bounded = Grant { capability: grant.capability.clone().with_network(network), ..grant };
    if !policy.tools_denied().is_empty() {
        let mut left: Vec<Box<str>> = tools.manifests().iter().map(|manifest| manifest.name.clone()).collect();
        left.retain(|name| bounded.has_tool(name) && !policy.tools_denied().contains(name));
        bounded.tools = Some(left);
    }
    bounded
}
