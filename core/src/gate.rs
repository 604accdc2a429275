//! The gate: the one place where a call becomes [`Authorized`] (K4).

use alloc::boxed::Box;

use crate::capability::{Excess, Network};
use crate::governor::Governor;
use crate::label::Label;
use crate::policy::{Asker, Decision, Policy};
use crate::tool::{Act, Acts, Authorized, Grant, Limits, Manifest, Needs, ToolCall};
use crate::words::reads;

/// What a call is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// What the task may do.
    pub grant: &'a Grant,
    /// The policy table.
    pub policy: &'a Policy,
    /// On whose behalf the task works, and who else had a hand in it: the strictest column decides.
    pub askers: [Asker; 2],
    /// Everything that went into the task's transcript.
    pub label: Label,
    /// What the person approved for the rest of the task.
    pub standing: &'a [Standing],
}

/// An approval that stands until the task ends: this tool, these acts, these hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    tool: Box<str>,
    acts: Acts,
    network: Network,
}

/// What the gate says.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Run it.
    Allow(Authorized),
    /// Ask the person first.
    Ask(Pending),
    /// Do not run it.
    Deny(Refusal),
}

/// A call that waits for the person's approval. Only the kernel can turn it into an [`Authorized`].
#[derive(Debug, PartialEq, Eq)]
pub struct Pending {
    authorized: Authorized,
    reason: Reason,
}

/// Why the person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The policy table says so for this act.
    Policy(Act),
    /// The sink rule: the task holds private data, has read a stranger's words, and this act sends
    /// something out. Such an approval is for one call and never stands.
    Sink(Act),
}

reads! { Reason: |self, f| match self {
    Reason::Policy(act) => write!(f, "policy asks before {}", act.name()),
    Reason::Sink(act) => {
        write!(f, "this task holds private data and has read untrusted content; {} could leak it", act.name())
    }
} }

/// Why a call is not run. Nothing ran when a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The toolbox cannot read it: no such tool, or wrong input.
    Unreadable(Box<str>),
    /// The grant does not have the tool.
    Tool,
    /// It needs more than its own manifest declares.
    Undeclared,
    /// The grant does not have an act it needs.
    Act(Act),
    /// The grant does not reach what it needs.
    Reach(Excess),
    /// The policy table denies it.
    Policy(Act, Asker),
    /// The person said no, with a reason if one was given.
    Declined(Box<str>),
    /// Nobody answered in time.
    Unanswered,
    /// A budget is spent.
    Spent(Governor),
}

impl Refusal {
    /// The name in events and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Unreadable(_) => "unreadable",
            Refusal::Tool => "tool",
            Refusal::Undeclared => "undeclared",
            Refusal::Act(_) => "act",
            Refusal::Reach(_) => "reach",
            Refusal::Policy(..) => "policy",
            Refusal::Declined(_) => "declined",
            Refusal::Unanswered => "unanswered",
            Refusal::Spent(governor) => governor.name(),
        }
    }
}

reads! { Refusal: |self, f| match self {
    Refusal::Unreadable(why) => f.write_str(why),
    Refusal::Tool => f.write_str("refused: this task was not granted the tool"),
    Refusal::Undeclared => f.write_str("refused: the call needs more than the tool's manifest declares"),
    Refusal::Act(act) => write!(f, "refused: this task was not granted {}", act.name()),
    Refusal::Reach(excess) => write!(f, "refused: this task was not granted {excess}"),
    Refusal::Policy(act, asker) => write!(f, "refused: policy denies {} to {}", act.name(), asker.name()),
    Refusal::Declined(why) if why.is_empty() => f.write_str("refused: the person said no"),
    Refusal::Declined(why) => write!(f, "refused: the person said no: {why}"),
    Refusal::Unanswered => f.write_str("refused: approval was asked for and nobody answered in time"),
    Refusal::Spent(governor) => write!(f, "not run: {}", governor.reason()),
} }

impl Gate<'_> {
    /// Judges one exact call of the tool that `manifest` describes, which needs `needs`.
    ///
    /// Effective authority is grant ∧ manifest ∧ policy: what any of the three withholds is refused, then
    /// the strictest word of the policy table over all acts of the call decides, then the sink rule.
    pub fn judge(&self, manifest: &Manifest, call: ToolCall, needs: Needs) -> Judgement {
        if let Some(refusal) = self.refusal(manifest, &needs) {
            return Judgement::Deny(refusal);
        }
        let limits: Limits = self.grant.limits.meet(manifest.limits);
        let reason = self.reason(&call, &needs);
        let authorized = Authorized::seal(call, needs, limits);
        match reason {
            Some(reason) => Judgement::Ask(Pending { authorized, reason }),
            None => Judgement::Allow(authorized),
        }
    }

    fn refusal(&self, manifest: &Manifest, needs: &Needs) -> Option<Refusal> {
        if !self.grant.has_tool(&manifest.name) {
            return Some(Refusal::Tool);
        }
        if !manifest.acts.covers(needs.acts) || !manifest.capability.covers(&needs.capability) {
            return Some(Refusal::Undeclared);
        }
        if let Some(act) = needs.acts.iter().find(|act| !self.grant.acts.has(*act)) {
            return Some(Refusal::Act(act));
        }
        if let Some(excess) = self.grant.capability.excess(&needs.capability) {
            return Some(Refusal::Reach(excess));
        }
        let (decision, act, asker) = self.strictest(needs.acts)?;
        (decision == Decision::Deny).then_some(Refusal::Policy(act, asker))
    }

    fn reason(&self, call: &ToolCall, needs: &Needs) -> Option<Reason> {
        let sink = needs.acts.iter().find(|act| act.is_sink());
        if let Some(act) = sink.filter(|_| self.label.is_tainted()) {
            return Some(Reason::Sink(act));
        }
        let (decision, act, _) = self.strictest(needs.acts)?;
        let is_standing = self.standing.iter().any(|standing| standing.covers(call, needs));
        (decision == Decision::Ask && !is_standing).then_some(Reason::Policy(act))
    }

    /// The narrowest word of the policy table on these acts, with the cell that says it.
    fn strictest(&self, acts: Acts) -> Option<(Decision, Act, Asker)> {
        let cells = acts.iter().flat_map(|act| self.askers.map(|asker| (self.policy.decision(act, asker), act, asker)));
        cells.max_by_key(|(decision, _, _)| *decision)
    }
}

impl Standing {
    fn covers(&self, call: &ToolCall, needs: &Needs) -> bool {
        self.tool == call.name && self.acts.covers(needs.acts) && self.network.covers(&needs.capability.network)
    }
}

impl Pending {
    /// The call that waits.
    pub fn call(&self) -> &ToolCall {
        self.authorized.call()
    }

    /// What it would do and reach.
    pub fn needs(&self) -> &Needs {
        self.authorized.needs()
    }

    /// Why the person is asked.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The approval that would let calls like this one pass for the rest of the task; none under the sink rule.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let Reason::Policy(_) = self.reason else { return None };
        let needs = self.needs();
        Some(Standing { tool: self.call().name.clone(), acts: needs.acts, network: needs.capability.network.clone() })
    }

    pub(crate) fn is_covered_by(&self, standing: &Standing) -> bool {
        matches!(self.reason, Reason::Policy(_)) && standing.covers(self.call(), self.needs())
    }

    pub(crate) fn approve(self) -> Authorized {
        self.authorized
    }
}
