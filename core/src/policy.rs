//! The policy table: what a call does × who asked for it → allow, ask or deny.

use crate::tool::Act;
use crate::words::names;

names! {
    /// On whose behalf a task works: the columns of the policy table.
    pub enum Asker {
        /// The person at the terminal.
        Terminal = "terminal",
        /// The owner, over a channel.
        Owner = "owner",
        /// Somebody else on a channel.
        Guest = "guest",
        /// A schedule.
        Schedule = "schedule",
        /// Another agent: every child task.
        Agent = "agent",
        /// Another node.
        Peer = "peer",
    }
}

names! {
    /// What the table says, from the widest to the narrowest.
    pub enum Decision {
        /// Go on.
        Allow = "allow",
        /// Ask the person first.
        Ask = "ask",
        /// Refuse.
        Deny = "deny",
    }
}

/// The table. The default reads the workspace, asks the owner before anything else that can be undone or
/// reviewed, and denies strangers everything but reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    cells: [[Decision; Asker::ALL.len()]; Act::ALL.len()],
}

impl Default for Policy {
    fn default() -> Policy {
        use Decision::{Allow, Ask, Deny};
        // Columns: terminal, owner, guest, schedule, agent, peer.
        Policy {
            cells: [
                [Allow, Allow, Deny, Allow, Allow, Deny], // read_workspace
                [Ask, Ask, Deny, Deny, Ask, Deny],        // read_private
                [Ask, Ask, Deny, Deny, Ask, Deny],        // write
                [Ask, Ask, Deny, Deny, Ask, Deny],        // execute
                [Ask, Ask, Deny, Ask, Ask, Deny],         // network_read
                [Ask, Ask, Deny, Deny, Ask, Deny],        // network_send
                [Ask, Ask, Deny, Ask, Ask, Deny],         // message_person
                [Ask, Ask, Deny, Deny, Deny, Deny],       // install
                [Ask, Ask, Deny, Deny, Deny, Deny],       // spend
            ],
        }
    }
}

impl Policy {
    /// What the table says of one act.
    pub fn decision(&self, act: Act, asker: Asker) -> Decision {
        self.cells[act as usize][asker as usize]
    }

    /// Sets one cell.
    pub fn set(&mut self, act: Act, asker: Asker, decision: Decision) {
        self.cells[act as usize][asker as usize] = decision;
    }
}
