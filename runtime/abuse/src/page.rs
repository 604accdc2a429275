//! The table as a page, for people.

use std::fmt::Write;

use crate::table::{self, Attack, Group, Shown, Who};

const HEAD: &str = "# Attacks and what holds them

Every line is an attack that the abuse suite runs: outside, where it gets through; inside the jail of the binary that
ships, where it must end exactly as the column *inside* says; and once more inside with the controls of the last column
unplugged, where it must get through again. This page is generated from the attacks themselves
(`UPDATE=1 cargo test -p aether-abuse`), and a test compares the two.

An errno is what the attacker's call answers. `NOTHING` means that the call went through and there was nothing to be
had. *Then* means that the user namespace, which no jail is built without, answers once the named controls are gone.
`breach` means that the whole tree is killed and the result names the reason; `refused`, that nothing ran at all.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(HEAD);
    let total = table::all().count();
    let twins = table::all().filter(|attack| matches!(attack.twin, Shown::Yes | Shown::Then(_))).count();
    // A string takes whatever is written.
    let _ = writeln!(page, "\n{total} attacks, {twins} with a twin.");
    for group in Group::ALL {
        let count = table::all().filter(|attack| attack.group == group).count();
        let _ = writeln!(page, "\n## {} ({count})\n", group.name());
        page.push_str("| attack | tries | inside | controls |\n|---|---|---|---|\n");
        for attack in table::all().filter(|attack| attack.group == group) {
            row(&mut page, attack);
        }
    }
    page
}

fn row(page: &mut String, attack: &Attack) {
    let who = match attack.who {
        Who::Anyone => "",
        Who::Root => " (as root)",
        Who::User => " (as an ordinary user)",
    };
    let expect: Vec<&str> = attack.expect.iter().map(|expect| expect.trim_end().trim_end_matches(':')).collect();
    let controls = match attack.twin {
        Shown::Then(answers) => {
            format!("{}, then {} by the user namespace", attack.controls.join(", "), answers.join(", "))
        }
        Shown::Yes | Shown::IfHad(_) => attack.controls.join(", "),
        Shown::No(why) if attack.controls.is_empty() => format!("no twin: {why}"),
        Shown::No(why) => format!("{}; no twin: {why}", attack.controls.join(", ")),
    };
    // A string takes whatever is written.
    let _ = writeln!(page, "| {} | {}{who} | {} | {controls} |", attack.name, attack.tries, expect.join(", "));
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn x4_the_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security-attacks.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == page(),
            "docs/security-attacks.md is not what the attacks say; run UPDATE=1 cargo test -p aether-abuse"
        );
    }
}
