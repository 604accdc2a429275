//! What this machine has to hold untrusted tools.

use aether_jail::{State, Survey, Tier};

use crate::doctor::Check;

/// What a survey found, a check each.
pub(super) fn checks(found: &Survey) -> Vec<Check> {
    let mut checks = vec![tier(found)];
    for mechanism in &found.mechanisms {
        let remedy = mechanism.remedy.as_deref().unwrap_or("");
        checks.push(match &mechanism.state {
            State::Present(how) => Check::fine(mechanism.name, how.as_str()),
            // What the jail does without is no failure; that nothing can be run is said by the tier.
            State::Missing(why) => Check::note(mechanism.name, format!("missing: {why}"), remedy),
        });
    }
    checks
}

fn tier(found: &Survey) -> Check {
    let remedy = "the lines below say what is missing and what to do; until then no shell or program runs";
    match found.tier {
        Tier::A => {
            Check::fine("sandbox", "tier A: programs run in namespaces of their own, under a filter of system calls")
        }
        Tier::B => Check::note(
            "sandbox",
            "tier B: programs run under Landlock and a filter of system calls, without namespaces",
            "",
        ),
        Tier::W => Check::broken("sandbox", "tier W: only workers that compute can be held", remedy),
        Tier::None => Check::broken("sandbox", "none: nothing untrusted can be run", remedy),
    }
}
