//! What is left of a tool between grant, manifest and policy (M5).

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::policy::{Asker, Decision};
use aether_core::tool::{Act, Acts, Grant, Limits, Manifest};

use crate::policy::{DeniedHost, PolicyFile};

/// Between what a manifest is held.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// What the task may do at most.
    pub grant: &'a Grant,
    /// What the operator allows.
    pub policy: &'a PolicyFile,
    /// On whose behalf the task works.
    pub asker: Asker,
}

/// Why an act that a manifest declares is not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The grant does not have the tool.
    Tool,
    /// The operator denies the tool.
    DeniedTool,
    /// The grant does not have the act.
    Grant,
    /// The policy table denies the act to the asker.
    Policy,
    /// Nothing is left that the act could reach.
    Reach,
}

impl Withheld {
    /// In words, to follow the name of an act.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Withheld::Tool => "the task was not granted the tool",
            Withheld::DeniedTool => "policy denies the tool",
            Withheld::Grant => "the task was not granted it",
            Withheld::Policy => "policy denies it",
            Withheld::Reach => "nothing is left to reach",
        }
    }
}

/// The effective authority of a tool: grant ∧ manifest ∧ policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The acts that are left.
    pub acts: Acts,
    /// Those of them before which the person is asked.
    pub asked: Acts,
    /// The acts that the manifest declares and that are not left, with the reason.
    pub withheld: Vec<(Act, Withheld)>,
    /// What is left to reach.
    pub capability: Capability,
    /// Hosts within that network which policy denies nevertheless; whoever opens connections has to ask.
    pub hosts_denied: Vec<DeniedHost>,
    /// The limits that hold.
    pub limits: Limits,
}

impl Effective {
    /// What is left of the manifest.
    #[must_use]
    pub fn of(manifest: &Manifest, bounds: &Bounds<'_>) -> Effective {
        let Bounds { grant, policy, .. } = *bounds;
        let mut withheld: Vec<(Act, Withheld)> = Vec::new();
        for act in manifest.acts.iter() {
            withheld.extend(refusal(act, manifest, bounds).map(|why| (act, why)));
        }
        let reach = manifest.capability.meet(&grant.capability);
        let network = narrowed(reach.network.clone(), policy);
        let capability = pruned(reach.with_network(network), left(manifest.acts, &withheld), manifest.acts);
        for act in left(manifest.acts, &withheld).iter().filter(|act| !reaches(*act, &capability, manifest)) {
            withheld.push((act, Withheld::Reach));
        }
        withheld.sort_by_key(|(act, _)| *act);
        let acts = left(manifest.acts, &withheld);
        let asked = acts.iter().filter(|act| policy.table().decision(*act, bounds.asker) == Decision::Ask);
        let asked = Acts::of(&asked.collect::<Vec<Act>>());
        let hosts_denied = match &capability.network {
            Network::None => Vec::new(),
            _ => policy.hosts_denied().to_vec(),
        };
        let limits = manifest.limits.meet(grant.limits);
        Effective { acts, asked, withheld, capability, hosts_denied, limits }
    }

    /// Whether a connection to this host is left.
    #[must_use]
    pub fn reaches(&self, host: &Host) -> bool {
        let one = Network::hosts(vec![host.clone()]);
        self.capability.network.covers(&one) && !self.hosts_denied.iter().any(|denied| denied.covers(host))
    }
}

fn refusal(act: Act, manifest: &Manifest, bounds: &Bounds<'_>) -> Option<Withheld> {
    let Bounds { grant, policy, asker } = *bounds;
    if policy.tools_denied().contains(&manifest.name) {
        Some(Withheld::DeniedTool)
    } else if !grant.has_tool(&manifest.name) {
        Some(Withheld::Tool)
    } else if !grant.acts.has(act) {
        Some(Withheld::Grant)
    } else {
        (policy.table().decision(act, asker) == Decision::Deny).then_some(Withheld::Policy)
    }
}

fn left(declared: Acts, withheld: &[(Act, Withheld)]) -> Acts {
    let kept: Vec<Act> = declared.iter().filter(|act| !withheld.iter().any(|(other, _)| other == act)).collect();
    Acts::of(&kept)
}

/// The network without what policy takes away.
fn narrowed(network: Network, policy: &PolicyFile) -> Network {
    let allowed = policy.hosts_allowed().map_or(Network::Public, |hosts| Network::hosts(hosts.to_vec()));
    let meet = Capability::default().with_network(network).meet(&Capability::default().with_network(allowed)).network;
    match meet {
        Network::Hosts(hosts) => {
            let is_free = |host: &Host| !policy.hosts_denied().iter().any(|denied| denied.covers(host));
            Network::hosts(hosts.into_iter().filter(is_free).collect())
        }
        other => other,
    }
}

/// What can be reached with these acts alone. The network needs every act of it that was declared: what a tool sends
/// cannot be told from what it asks for.
fn pruned(capability: Capability, acts: Acts, declared: Acts) -> Capability {
    let is_ours = |place: &Place| acts.has(if in_workspace(place) { Act::ReadWorkspace } else { Act::ReadPrivate });
    let read = capability.read().iter().filter(|place| is_ours(place)).cloned().collect();
    let only = |act: Act, places: &[Place]| if acts.has(act) { places.to_vec() } else { Vec::new() };
    let write = only(Act::Write, capability.write());
    let programs = only(Act::Execute, capability.programs());
    let talks = declared.meet(Acts::of(&[Act::NetworkRead, Act::NetworkSend]));
    let network = if talks != Acts::NONE && acts.covers(talks) { capability.network } else { Network::None };
    Capability::default().with_network(network).with_read(read).with_write(write).with_programs(programs)
}

/// Whether an act still has something to work on; acts that no capability stands for always do.
fn reaches(act: Act, capability: &Capability, manifest: &Manifest) -> bool {
    match act {
        Act::NetworkRead | Act::NetworkSend => capability.network != Network::None,
        Act::ReadWorkspace => capability.read().iter().any(in_workspace),
        Act::ReadPrivate => manifest.capability.read().is_empty() || capability.read().iter().any(|p| !in_workspace(p)),
        Act::Write => !capability.write().is_empty(),
        _ => true,
    }
}

fn in_workspace(place: &Place) -> bool {
    place.as_str().starts_with("$workspace")
}
