//! What comes of an attack where there are no namespaces: other answers than with them, and what is weaker.

use crate::table::{self, Attack};

/// What may come of it there, as beginnings; nothing where it cannot be told.
pub(crate) fn expected(attack: &'static Attack) -> Option<Vec<&'static str>> {
    if UNTOLD.contains(&attack.name) {
        return None;
    }
    if SEEN.contains(&attack.name) {
        return Some(vec!["works"]);
    }
    let is_work = table::work().any(|work| work.name == attack.name);
    match (is_work, LESS.iter().find(|(name, _)| *name == attack.name)) {
        (true, Some((_, answer))) => Some(vec![answer]),
        (true, None) => Some(attack.expect.to_vec()),
        (false, _) => Some([attack.expect, OTHERWISE].concat()),
    }
}

/// What holds an attack there where namespaces answer otherwise: Landlock and the filter refuse what a mount would not
/// show or not let change, and the launcher what it cannot hide or has no network for.
const OTHERWISE: &[&str] = &["EACCES", "EPERM", "ENOENT", "EXIT", "refused: ", "breach: forbidden system call"];

/// Honest work that cannot be done there: in a writable directory with guarded places nothing new can be made at its
/// top, and there is no network.
const LESS: &[(&str, &str)] = &[
    ("makes-files", "EACCES"),
    ("makes-directories", "EACCES"),
    ("renames", "EACCES"),
    ("links", "EACCES"),
    ("writes-its-own-tmp", "EACCES"),
    ("reaches-a-host", "refused: "),
    ("reaches-below-a-wildcard", "refused: "),
    ("greets-a-host", "refused: "),
    ("greets-in-pieces", "refused: "),
    ("fetches", "refused: "),
];

/// What gets through: that something exists, not what is in it (the guarantee `names`); which namespaces one is in, which
/// are the host's; and a signal to everybody, to which the kernel answers well even if nobody took it.
const SEEN: &[&str] = &[
    "see-outside",
    "see-home",
    "device-terminals",
    "system-tree",
    "cgroup-tree",
    "signal-everybody",
    "descriptors-of",
    "session-of",
    "host-name",
    "same-processes",
    "same-names",
    "same-ipc",
    "same-network",
];

/// What begins with a file at the top of the workspace or in `/tmp`, or by reading `/proc`, and comes no further.
const UNTOLD: &[&str] = &[
    "read-by-link",
    "read-by-relative-link",
    "read-by-chain",
    "write-by-link",
    "set-user-mode",
    "set-group-mode",
    "set-user-by-newer-call",
    "execute-written",
    "execute-written-in-tmp",
    "load-written",
    "map-written",
    "filter-off",
    "capabilities-left",
    "core-dump",
    "memory-bomb-in-shm",
    "memory-bomb-in-tmp",
    "name-bomb",
    "file-bomb",
];

#[cfg(test)]
mod tests {
    use super::{LESS, SEEN, UNTOLD};
    use crate::table;

    #[test]
    fn x3_every_exception_is_one_to_an_attack_of_the_table() {
        let all: Vec<&str> = table::work().chain(table::all()).map(|attack| attack.name).collect();
        for name in SEEN.iter().chain(UNTOLD).chain(LESS.iter().map(|(name, _)| name)) {
            assert!(all.contains(name), "{name}");
        }
    }
}
