//! Plans on their way to the spawner: one way to write each, and what passes the check has nothing that no jail is given (J1, J4).
#![no_main]

use std::collections::BTreeSet;
use std::path::{Component, Path};

use aether_jail::{Access, BINDS_MAX, Network, PORTS_MAX, PROTECTED, Plan, RESOLVER_PORT, SYSTEM, WORDS_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let plan = match Plan::decode(bytes) {
        Ok(plan) => plan,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(plan.encode(), bytes, "one way to write a plan");
    assert!(plan.binds.len() <= BINDS_MAX && plan.command.args.len() <= WORDS_MAX);
    match plan.check() {
        Ok(()) => sound(&plan),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// What holds for every plan that passes the check.
fn sound(plan: &Plan) {
    let overlap = |one: &Path, other: &str| one.starts_with(other) || Path::new(other).starts_with(one);
    let is_clean =
        |path: &Path| path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let mut targets = BTreeSet::new();
    for bind in &plan.binds {
        assert!(is_clean(&bind.source) && is_clean(&bind.target), "{bind:?}");
        assert!(targets.insert(&bind.target), "two at one place: {bind:?}");
        assert!(!PROTECTED.iter().any(|place| overlap(&bind.source, place)), "J1: {bind:?}");
        assert!(
            bind.access == Access::Read || !SYSTEM.iter().any(|place| overlap(&bind.source, place)),
            "J1: {bind:?}"
        );
        assert!(!["/proc", "/dev", "/sys"].iter().any(|place| bind.target.starts_with(place)), "J4: {bind:?}");
    }
    if let Network::Brokered { ports } = &plan.network {
        assert!(ports.len() <= PORTS_MAX && !ports.contains(&0) && !ports.contains(&RESOLVER_PORT));
    }
    assert!(plan.limits.runtime_ms_max > 0 && plan.limits.memory_bytes_max > 0 && plan.limits.processes_max > 0);
    let words = plan.command.args.iter().chain(plan.command.env.iter().flat_map(|(name, value)| [name, value]));
    assert!(words.into_iter().all(|word| !word.as_encoded_bytes().contains(&0)), "J4");
    // Whoever wants to see the plan can.
    assert!(!plan.to_string().is_empty());
}
