//! The secure runtime on the shipped binary: what it says of itself, and what its processes weigh together.

use std::path::Path;

use serde_json::{Map, Value};

use crate::gate::{Found, Numbers, number, settled};
use crate::house::House;
use crate::{Unmeasured, program};

/// Jails of the measurement; of everything else in proportion.
const RUNS: &str = "500";
/// The processes of kernel mode: the program itself, its sidecar, and the one that makes jails.
const PROCESSES: usize = 3;

/// Names here, and in what `aether bench sandbox` prints.
const NAMES: [(&str, &str); 8] = [
    ("sandbox_parked_to_spawn_ratio", "jail_parked_to_spawn_ratio"),
    ("sandbox_parked_pss_kb", "jail_parked_pss_kb"),
    ("sandbox_kill_late_us", "kill_late_us"),
    ("sandbox_broker_to_direct_ratio", "broker_to_direct_ratio"),
    ("sandbox_start_us", "sidecar_start_us"),
    ("sandbox_status_p99_us", "sidecar_status_p99_us"),
    ("sandbox_proof_first_us", "proof_first_us"),
    ("sandbox_proof_known_us", "proof_known_us"),
];
/// The same of what stands beside a program that this machine may not have.
const PEER_NAMES: [(&str, &str); 2] = [
    ("peer_cold_to_bubblewrap_ratio", "jail_cold_to_bubblewrap_ratio"),
    ("peer_parked_to_bubblewrap_ratio", "jail_parked_to_bubblewrap_ratio"),
];

/// Measures it. Numbers whose name begins with `peer_` are there if bubblewrap is.
///
/// # Errors
/// The first number that could not be measured, and why (B2).
pub fn sandbox(binary: &Path) -> Result<Numbers, Unmeasured> {
    let binary = &settled(binary)?;
    let house = House::new("http://127.0.0.1:9", "openai_chat")?;
    let mut found = Found(Map::new());
    let mut command = house.command(binary, &["bench", "sandbox", "--json", "--runs", RUNS]);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    told(&program::told(command)?, &mut found)?;
    let rest = program::rest_of_all(house.command(binary, &["--kernel", "chat"]), PROCESSES)?;
    found.add("sandbox_rest_rss_kb", rest.resident_kb);
    found.add("sandbox_rest_pss_kb", rest.proportional_kb);
    Ok(found.0)
}

/// Takes over what the binary says of itself.
fn told(told: &Value, found: &mut Found) -> Result<(), Unmeasured> {
    for (name, its) in NAMES {
        found.add(name, number(told, its)?);
    }
    if told.get("bubblewrap_us").is_some() {
        for (name, its) in PEER_NAMES {
            found.add(name, number(told, its)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(names: &[(&str, &str)]) -> Value {
        Value::Object(names.iter().map(|(_, its)| ((*its).to_owned(), json!(2.5))).collect())
    }

    #[test]
    fn b2_numbers_beside_bubblewrap_are_there_if_it_is() {
        let mut found = Found(Map::new());
        told(&said(&NAMES), &mut found).unwrap();
        assert_eq!(found.0.len(), NAMES.len());
        let mut all = said(&[NAMES.as_slice(), PEER_NAMES.as_slice()].concat());
        all["bubblewrap_us"] = json!(3000.0);
        told(&all, &mut found).unwrap();
        assert_eq!(found.0["peer_cold_to_bubblewrap_ratio"], json!(2.5));
        all.as_object_mut().unwrap().remove("jail_parked_to_bubblewrap_ratio");
        assert!(told(&all, &mut found).unwrap_err().to_string().contains("jail_parked_to_bubblewrap_ratio"));
    }

    #[test]
    fn b2_a_number_of_our_own_is_never_left_out() {
        for at in 0..NAMES.len() {
            let mut names = NAMES.to_vec();
            let (_, its) = names.remove(at);
            let error = told(&said(&names), &mut Found(Map::new())).unwrap_err();
            assert!(error.to_string().starts_with(its), "{error}");
        }
    }
}
