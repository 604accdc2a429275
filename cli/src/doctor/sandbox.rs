//! What this machine has to hold untrusted tools.

use aether_jail::{State, Survey, Tier};

use crate::doctor::Check;
use crate::trouble::Trouble;

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

/// A profile of AppArmor (apparmor.d(5)) that confines nothing and allows user namespaces to this very program: what
/// distributions ship for programs with a sandbox of their own.
///
/// # Errors
/// The program's path is unknown, or has a letter that a profile cannot hold.
pub(super) fn apparmor() -> Result<String, Trouble> {
    let path = std::env::current_exe().map_err(|error| Trouble::usage(format!("this program's path: {error}")))?;
    let path = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if !path.chars().all(is_plain) {
        return Err(Trouble::usage(format!("`{path}` cannot stand in a profile: move the program to a plain path")));
    }
    Ok(format!(
        "# As root: write this to /etc/apparmor.d/aether, then `apparmor_parser -r /etc/apparmor.d/aether`.\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\n\
         profile aether {path} flags=(unconfined) {{\n  userns,\n  include if exists <local/aether>\n}}\n"
    ))
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
            "for namespaces: on Ubuntu `aether doctor --apparmor` prints a profile; a container needs a seccomp profile that allows clone, unshare and mount, and `--security-opt apparmor=unconfined`",
        ),
        Tier::W => Check::broken("sandbox", "tier W: only workers that compute can be held", remedy),
        Tier::None => Check::broken("sandbox", "none: nothing untrusted can be run", remedy),
    }
}
