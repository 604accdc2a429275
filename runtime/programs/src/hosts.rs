//! The hosts that a call may reach: those that its input names.

use aether_core::capability::{Capability, Host, Network};
use aether_core::label::{Label, Origin};
use aether_core::tool::{Act, Acts, Needs};
use aether_tools::{Input, file_label};

/// The parameter that names them.
pub(crate) const HOSTS: &str = "hosts";
/// The most hosts that one call may name.
const HOSTS_MAX: usize = 16;

/// What a call needs that executes something in the workspace and reaches the hosts of its input (P1, P2).
///
/// # Errors
/// A name that is no host, or too many of them.
pub(crate) fn needs(input: &Input, capability: Capability, more: Vec<Host>) -> Result<Needs, String> {
    let mut hosts = more;
    for text in input.texts(HOSTS).into_iter().flatten() {
        hosts.push(Host::parse(text).map_err(|error| format!("`{HOSTS}`: {error}"))?);
    }
    if hosts.len() > HOSTS_MAX {
        return Err(format!("`{HOSTS}` names {} hosts; at most {HOSTS_MAX} are taken", hosts.len()));
    }
    let at_work = Acts::of(&[Act::ReadWorkspace, Act::Write, Act::Execute]);
    if hosts.is_empty() {
        return Ok(Needs { acts: at_work, capability, label: file_label() });
    }
    Ok(Needs {
        acts: at_work.union(Acts::of(&[Act::NetworkRead, Act::NetworkSend])),
        capability: capability.with_network(Network::hosts(hosts)),
        label: file_label().join(Label::from(Origin::Web)),
    })
}
