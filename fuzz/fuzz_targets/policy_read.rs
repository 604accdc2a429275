//! Policies of any text: no panic, one mistake is enough, and effective authority never grows.
#![no_main]

use aether_core::capability::{Capability, Network, Place};
use aether_core::policy::{Asker, Decision};
use aether_core::tool::{Act, Acts, Grant, Limits};
use aether_manifest::{Bounds, Effective, MISTAKES_MAX, PolicyFile, ToolManifest};
use libfuzzer_sys::fuzz_target;

/// The manifest and the policy stand in one input, with this line between them.
const BETWEEN: &str = "\n#----\n";

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (tool, policy) = text.split_once(BETWEEN).unwrap_or(("", &text));
    let policy = match PolicyFile::parse(policy) {
        Ok(policy) => policy,
        Err(mistakes) => {
            assert!(!mistakes.is_empty() && mistakes.len() <= MISTAKES_MAX);
            assert!(mistakes.iter().all(|one| !one.sentence.chars().any(char::is_control)));
            return;
        }
    };
    assert!(policy.differences(&policy).is_empty());
    let _ = PolicyFile::default().differences(&policy);
    for cell in policy.cells() {
        assert_eq!(policy.table().decision(cell.act, cell.asker), cell.decision);
    }
    let Ok(tool) = ToolManifest::parse(tool) else { return };
    let places: Vec<Place> = Place::parse("$workspace").into_iter().collect();
    let capability = Capability::default().with_network(Network::Public).with_read(places.clone()).with_write(places);
    let grant = Grant { acts: Acts::ALL, capability, tools: None, limits: Limits::BUILTIN };
    for asker in Asker::ALL {
        let left = Effective::of(tool.core(), &Bounds { grant: &grant, policy: &policy, asker: *asker });
        assert!(grant.capability.covers(&left.capability) && tool.core().capability.covers(&left.capability));
        assert!(tool.core().acts.covers(left.acts));
        assert!(
            Act::ALL
                .iter()
                .all(|act| { !left.acts.has(*act) || policy.table().decision(*act, *asker) != Decision::Deny })
        );
    }
});
