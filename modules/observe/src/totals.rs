//! What a whole trace adds up to.

use crate::phrase::{bytes, count, decision, money, tokens};
use crate::record::LINES_MAX;
use crate::trace::{Approval, Aside, Tokens, Trace, What};

/// What a trace adds up to.
#[derive(Default)]
pub(crate) struct Totals {
    asks: Tally,
    runs: Tally,
    approvals: u64,
    refused: u64,
    usage: Tokens,
    /// Of the tasks that no other task pays for; `None` if one of them has no end.
    cost_micro_usd: Option<u64>,
    /// Effects that a label stopped until the person decided.
    stopped: Vec<String>,
}

#[derive(Default)]
struct Tally {
    all: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, failed: bool) {
        self.all += 1;
        self.failed += u64::from(failed);
    }

    fn write(&self, one: &str, many: &str) -> String {
        match self.failed {
            0 => count(self.all, one, many),
            failed => format!("{} ({failed} failed)", count(self.all, one, many)),
        }
    }
}

impl Totals {
    pub(crate) fn of(trace: &Trace) -> Totals {
        let mut totals = Totals::default();
        let mut roots = trace.tasks.iter().filter(|task| task.parent.is_none());
        totals.cost_micro_usd =
            roots.try_fold(0u64, |sum, root| root.end.as_ref().map(|end| sum.saturating_add(end.cost_micro_usd)));
        for row in trace.tasks.iter().flat_map(|task| &task.rows) {
            totals.add(&row.what);
        }
        totals
    }

    fn add(&mut self, what: &What) {
        match what {
            What::Ask(ask) => {
                self.asks.add(ask.failure.is_some());
                self.usage = ask.answer.as_ref().map_or(self.usage, |answer| self.usage.plus(answer.usage));
            }
            What::Run(run) => self.runs.add(run.outcome == "failed"),
            What::Approval(approval) => self.approval(approval),
            What::Refused { .. } => self.refused += 1,
            _ => {}
        }
    }

    fn approval(&mut self, approval: &Approval) {
        self.approvals += 1;
        self.refused += u64::from(approval.is_refused());
        if approval.rule == "sink" {
            let Approval { tool, act, label, result, .. } = approval;
            let label = label.join(" + ");
            self.stopped.push(format!("{act} of {tool}, by label {label}; {}", decision(result)));
        }
    }

    /// Pairs of a name and what to say of it, in the order in which they are shown.
    pub(crate) fn write(&self, aside: &Aside) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("models", self.asks.write("question", "questions")),
            ("tools", self.runs.write("run", "runs")),
            ("tokens", tokens(self.usage)),
            ("cost", self.cost_micro_usd.map_or("not known: a task has no end in the trace".to_owned(), money)),
        ];
        if self.approvals > 0 {
            rows.push(("approvals", count(self.approvals, "question to the person", "questions to the person")));
        }
        if self.refused > 0 {
            rows.push(("refused", count(self.refused, "call", "calls")));
        }
        rows.extend(self.stopped.iter().map(|one| ("stopped", one.clone())));
        rows.extend(set_aside(aside).map(|text| ("set aside", text)));
        rows
    }
}

/// What was left out of the picture, and why; `None` if nothing was.
fn set_aside(aside: &Aside) -> Option<String> {
    let lines =
        |number: usize, what: &str| (number > 0).then(|| format!("{} {what}", count(number as u64, "line", "lines")));
    let parts = [
        lines(aside.torn, "torn"),
        lines(aside.foreign, "of another kind"),
        lines(aside.unknown, "with an event that is not known"),
        lines(aside.other, "of another trace"),
        lines(aside.beyond, "above the limit").map(|text| format!("{text} of {LINES_MAX}")),
        aside.cut_bytes.map(|limit| format!("everything after the limit of {}", bytes(limit))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
