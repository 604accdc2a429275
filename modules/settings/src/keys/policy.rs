//! The keys of the policy table: `policy.ASKER.ACT`, one for each cell.
//!
//! Every cell is a key of its own, so that a misspelt act or asker is an unknown key and never a rule that
//! silently holds for nobody. In a file: `[policy.terminal]` and below it `write = "allow"`.

use aether_core::config::{Key, Kind};

use super::key;

/// What a cell may say.
const DECISIONS: Kind = Kind::Choice(&["allow", "ask", "deny"]);

/// The cells of one asker, in the order of [`aether_core::tool::Act::ALL`].
macro_rules! row {
    ($asker:literal, $($act:literal = $decision:literal),*) => {
        [$(key(
            concat!("policy.", $asker, ".", $act),
            DECISIONS,
            $decision,
            concat!("What happens when a task of ", $asker, " wants the act ", $act, "."),
        )),*]
    };
}

const ROWS: [[Key; 9]; 6] = [
    row!(
        "terminal",
        "read_workspace" = "allow",
        "read_private" = "ask",
        "write" = "ask",
        "execute" = "ask",
        "network_read" = "ask",
        "network_send" = "ask",
        "message_person" = "ask",
        "install" = "ask",
        "spend" = "ask"
    ),
    row!(
        "owner",
        "read_workspace" = "allow",
        "read_private" = "ask",
        "write" = "ask",
        "execute" = "ask",
        "network_read" = "ask",
        "network_send" = "ask",
        "message_person" = "ask",
        "install" = "ask",
        "spend" = "ask"
    ),
    row!(
        "guest",
        "read_workspace" = "deny",
        "read_private" = "deny",
        "write" = "deny",
        "execute" = "deny",
        "network_read" = "deny",
        "network_send" = "deny",
        "message_person" = "deny",
        "install" = "deny",
        "spend" = "deny"
    ),
    row!(
        "schedule",
        "read_workspace" = "allow",
        "read_private" = "deny",
        "write" = "deny",
        "execute" = "deny",
        "network_read" = "ask",
        "network_send" = "deny",
        "message_person" = "ask",
        "install" = "deny",
        "spend" = "deny"
    ),
    row!(
        "agent",
        "read_workspace" = "allow",
        "read_private" = "ask",
        "write" = "ask",
        "execute" = "ask",
        "network_read" = "ask",
        "network_send" = "ask",
        "message_person" = "ask",
        "install" = "deny",
        "spend" = "deny"
    ),
    row!(
        "peer",
        "read_workspace" = "deny",
        "read_private" = "deny",
        "write" = "deny",
        "execute" = "deny",
        "network_read" = "deny",
        "network_send" = "deny",
        "message_person" = "deny",
        "install" = "deny",
        "spend" = "deny"
    ),
];

/// The table.
pub const KEYS: &[Key] = ROWS.as_flattened();
