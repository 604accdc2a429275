//! The measurements that this program takes of itself: that they come to numbers, not what the numbers are.

use serde_json::Value;

use crate::ground::Nest;

/// Every number that `aether bench sandbox` has to come to, wherever it runs.
const NUMBERS: [&str; 17] = [
    "runs",
    "spawn_us",
    "jail_cold_us",
    "jail_cold_to_spawn_ratio",
    "jail_workspace_us",
    "jail_parked_us",
    "jail_parked_to_spawn_ratio",
    "jail_parked_pss_kb",
    "kill_late_us",
    "direct_us",
    "broker_us",
    "broker_to_direct_ratio",
    "sidecar_start_us",
    "sidecar_status_p50_us",
    "sidecar_status_p99_us",
    "proof_first_us",
    "proof_known_us",
];

#[test]
fn the_secure_runtime_is_measured_and_nothing_is_left() {
    let nest = Nest::new();
    let ended = nest.run(&["bench", "sandbox", "--runs", "10", "--json"]);
    let ended = ended.exits(0);
    let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    for name in NUMBERS {
        assert!(found[name].as_f64().is_some_and(|number| number.is_finite()), "{name} in {found}");
    }
    let is_beside = |name: &str| found.get(name).is_some();
    assert_eq!(is_beside("bubblewrap_us"), is_beside("jail_cold_to_bubblewrap_ratio"), "{found}");
    assert_eq!(nest.names(), Vec::<String>::new(), "the workspace is as it was");
}

#[test]
fn where_bubblewrap_is_not_installed_the_rest_is_measured() {
    let nest = Nest::new().env("PATH", "/nonexistent");
    let ended = nest.run(&["bench", "sandbox", "--runs", "10"]).exits(0);
    assert!(ended.stdout.contains("jail_parked_to_spawn_ratio"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("bubblewrap"), "{}", ended.stdout);
}

#[test]
fn of_calls_that_are_killed_at_random_nothing_is_left() {
    let nest = Nest::new();
    let ended = nest.run(&["bench", "calls", "--calls", "200", "--seed", "5", "--json"]).exits(0);
    let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    let count = |name: &str| found[name].as_u64().unwrap_or_else(|| panic!("{name} in {found}"));
    assert_eq!((count("calls"), count("calls_stuck"), count("left")), (200, 0, 0), "{found}");
    let ends = ["done", "failed", "breached", "refused", "given_up"].map(|end| count(&format!("calls_{end}")));
    assert_eq!(ends.iter().sum::<u64>(), 200, "every call has one end: {found}");
    for kind in ["processes", "descriptors", "mounts", "groups", "namespaces", "files"] {
        assert_eq!(count(&format!("{kind}_left")), 0, "{found}");
    }
    assert_eq!(nest.names(), Vec::<String>::new(), "the workspace is as it was");
}

#[test]
fn a_number_of_runs_is_a_number_of_runs() {
    let nest = Nest::new();
    for (command, runs) in [("start", "0"), ("start", "many"), ("sandbox", "9"), ("sandbox", "-1")] {
        nest.run(&["bench", command, &format!("--runs={runs}")]).exits(2).says("wanted a whole number from");
    }
    nest.run(&["bench", "calls", "--calls=0"]).exits(2).says("wanted a whole number from");
}
