//! An authority in plain words, for a person to compare.

use aether_core::capability::{Capability, Network, Place};
use aether_core::tool::{Acts, Limits};

/// What can be said of an authority, in the order in which it is said.
pub const SUBJECTS: [&str; 9] =
    ["does", "network", "reads", "writes", "programs", "time", "memory", "processes", "output"];

/// One phrase for each of [`SUBJECTS`].
#[must_use]
pub fn phrases(acts: Acts, capability: &Capability, limits: &Limits) -> [String; 9] {
    [
        acts.to_string().replace('+', ", "),
        network(&capability.network),
        places(capability.read()),
        places(capability.write()),
        places(capability.programs()),
        time(limits),
        bytes(limits.memory_bytes_max),
        limits.processes_max.to_string(),
        bytes(limits.output_bytes_max),
    ]
}

/// Which hosts.
#[must_use]
pub fn network(network: &Network) -> String {
    match network {
        Network::None => "none".to_owned(),
        Network::Public => "any public host".to_owned(),
        Network::Hosts(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Which places.
#[must_use]
pub fn places(places: &[Place]) -> String {
    if places.is_empty() {
        return "none".to_owned();
    }
    places.iter().map(Place::as_str).collect::<Vec<_>>().join(", ")
}

/// How long a call may take; the processor's time where that is another.
#[must_use]
pub fn time(limits: &Limits) -> String {
    let whole = duration(limits.runtime_ms_max);
    if limits.cpu_ms_max == limits.runtime_ms_max {
        return whole;
    }
    format!("{whole}, {} of processor", duration(limits.cpu_ms_max))
}

/// Milliseconds, as a person says them.
#[must_use]
pub fn duration(ms: u64) -> String {
    amount(ms, &[("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)])
}

/// Bytes, as a person says them; a MB is 2^20 bytes.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    amount(bytes, &[("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("bytes", 1)])
}

fn amount(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, size): &&(&str, u64)| amount.is_multiple_of(*size) && amount > 0;
    match units.iter().find(fits).or(units.last()) {
        Some((name, size)) => format!("{} {name}", amount / size),
        None => amount.to_string(),
    }
}
