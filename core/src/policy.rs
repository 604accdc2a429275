//! The policy table: what a call does × who asked for it → allow, ask or deny.

use core::fmt;

use crate::tool::{Act, Acts};

/// On whose behalf a task works: the columns of the policy table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// The person at the terminal.
    Terminal,
    /// The owner, over a channel.
    Owner,
    /// Somebody else on a channel.
    Guest,
    /// A schedule.
    Schedule,
    /// Another agent: every child task.
    Agent,
    /// Another node.
    Peer,
}

impl Asker {
    /// Every asker, in the order of the table's columns.
    pub const ALL: [Asker; 6] =
        [Asker::Terminal, Asker::Owner, Asker::Guest, Asker::Schedule, Asker::Agent, Asker::Peer];

    /// The name in policies and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Asker::Terminal => "terminal",
            Asker::Owner => "owner",
            Asker::Guest => "guest",
            Asker::Schedule => "schedule",
            Asker::Agent => "agent",
            Asker::Peer => "peer",
        }
    }
}

/// What the table says, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Go on.
    Allow,
    /// Ask the person first.
    Ask,
    /// Refuse.
    Deny,
}

impl Decision {
    /// The name in policies and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Ask => "ask",
            Decision::Deny => "deny",
        }
    }

    /// The decision of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Decision> {
        [Decision::Allow, Decision::Ask, Decision::Deny].into_iter().find(|d| d.name() == name)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
    #[must_use]
    pub fn decision(&self, act: Act, asker: Asker) -> Decision {
        self.cells[act as usize][asker as usize]
    }

    /// Sets one cell.
    pub fn set(&mut self, act: Act, asker: Asker, decision: Decision) {
        self.cells[act as usize][asker as usize] = decision;
    }

    /// The narrowest decision over all of `acts`, and the act that it is for; `None` where there are none.
    #[must_use]
    pub fn strictest(&self, acts: Acts, asker: Asker) -> Option<(Decision, Act)> {
        acts.iter().map(|act| (self.decision(act, asker), act)).max_by_key(|(decision, _)| *decision)
    }
}
