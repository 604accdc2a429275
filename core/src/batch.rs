//! The tool calls of one model turn: they run together, and their results go back in call order.

use alloc::{boxed::Box, format, string::ToString, sync::Arc, vec::Vec};

use crate::event::{Event, Scope};
use crate::facts::{Answer, ApprovalRequest, ChildReport, Effect, Surprise, Verdict};
use crate::gate::{Gate, Judgement, Pending, Refusal};
use crate::governor::Governor;
use crate::label::{Label, Origin};
use crate::policy::Asker;
use crate::spec::{Message, Spec};
use crate::task::Task;
use crate::tool::{Authorized, Grant, Limits, Manifest, Output, Plan, ToolCall, manifest};
use crate::transcript::{Entry, ToolEntry, ToolOutcome};
use crate::words::{Millis, WishId};

/// All calls of one turn.
pub(crate) struct Batch {
    /// The calls of the turn and their results; those that are open have that they did not run.
    calls: Vec<(ToolCall, Output)>,
    wanted: Vec<Wanted>,
    running: Vec<Running>,
}

/// A call that waits for the person.
struct Wanted {
    at: usize,
    approval: WishId,
    pending: Pending,
    tool: Arc<Manifest>,
    until: Millis,
}

/// A call that runs.
struct Running {
    at: usize,
    run: WishId,
    worker: Worker,
    until: Millis,
    label: Label,
    output_bytes_max: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Worker {
    Tool,
    Child,
}

impl Batch {
    /// Judges every call and starts what may start.
    pub(crate) fn begin(task: &mut Task, calls: Vec<ToolCall>) -> Batch {
        let calls = calls.into_iter().map(|call| (call, failure("not run"))).collect();
        let mut batch = Batch { calls, wanted: Vec::new(), running: Vec::new() };
        for at in 0..batch.calls.len() {
            if let Err(refusal) = batch.start(task, at) {
                batch.refuse(task, at, &refusal);
            }
        }
        batch
    }

    /// Whether any call waits for something.
    pub(crate) fn is_open(&self) -> bool {
        !self.wanted.is_empty() || !self.running.is_empty()
    }

    /// When the first of them has waited long enough; `limit` at the latest.
    pub(crate) fn deadline(&self, limit: Millis) -> Millis {
        let wanted = self.wanted.iter().map(|wanted| wanted.until);
        wanted.chain(self.running.iter().map(|running| running.until)).fold(limit, Millis::min)
    }

    /// A tool reported.
    pub(crate) fn report(&mut self, task: &mut Task, run: WishId, output: Output) -> Result<(), Surprise> {
        let running = self.take_running(run, Worker::Tool)?;
        self.finish(task, running, output);
        Ok(())
    }

    /// A child task ended.
    pub(crate) fn child(&mut self, task: &mut Task, run: WishId, report: ChildReport) -> Result<(), Surprise> {
        let running = self.take_running(run, Worker::Child)?;
        let (outcome, text) = match report.verdict {
            Ok(Verdict::Done | Verdict::Length) => (ToolOutcome::Done, report.answer),
            Ok(verdict) => {
                let (why, answer) = (verdict.name(), report.answer);
                let so_far = if answer.is_empty() { " without an answer" } else { "; its answer so far: " };
                (ToolOutcome::Failed, format!("the child task ended early ({why}){so_far}{answer}").into())
            }
            Err(why) => (ToolOutcome::Failed, format!("no child task: {why}").into()),
        };
        task.spending = task.spending.plus(report.spending);
        self.finish(task, running, Output { outcome, text, label: report.label });
        Ok(())
    }

    /// The person answered.
    pub(crate) fn answer(&mut self, task: &mut Task, approval: WishId, answer: Answer) -> Result<(), Surprise> {
        let at = self.wanted.iter().position(|wanted| wanted.approval == approval);
        let wanted = self.wanted.remove(at.ok_or(Surprise::NotOpen(approval))?);
        match answer {
            Answer::No(why) => self.refuse(task, wanted.at, &Refusal::Declined(why)),
            Answer::Yes(scope) => {
                let standing = wanted.pending.standing().filter(|_| scope == Scope::Task);
                let scope = if standing.is_some() { Scope::Task } else { Scope::Once };
                task.note(Event::Approved { approval, scope });
                self.run(task, wanted.at, wanted.tool, wanted.pending.approve());
                // Others that wait for the same approval need not be asked about any more.
                let is_like = |w: &Wanted| standing.as_ref().is_some_and(|standing| w.pending.is_covered_by(standing));
                while let Some(at) = self.wanted.iter().position(is_like) {
                    let other = self.wanted.remove(at);
                    task.cancel(other.approval);
                    self.run(task, other.at, other.tool, other.pending.approve());
                }
                task.standing.extend(standing);
            }
        }
        Ok(())
    }

    /// Gives up on every call whose time is over.
    pub(crate) fn expire(&mut self, task: &mut Task) {
        let now = task.now;
        while let Some(at) = self.wanted.iter().position(|wanted| wanted.until <= now) {
            let wanted = self.wanted.remove(at);
            task.cancel(wanted.approval);
            self.refuse(task, wanted.at, &Refusal::Unanswered);
        }
        while let Some(at) = self.running.iter().position(|running| running.until <= now) {
            let running = self.running.remove(at);
            task.cancel(running.run);
            self.finish(task, running, failure("stopped: the tool's time limit passed without a result"));
        }
    }

    /// Cancels everything that is open; each such call's result is `why`.
    pub(crate) fn cancel(&mut self, task: &mut Task, why: &str) {
        let wanted = self.wanted.drain(..).map(|wanted| (wanted.at, wanted.approval));
        let running = self.running.drain(..).map(|running| (running.at, running.run));
        for (at, wish) in wanted.chain(running) {
            task.cancel(wish);
            self.calls[at].1 = failure(why);
        }
    }

    /// What a result is recognised by when it comes again: hashes of call and result.
    pub(crate) fn marks(&self) -> impl Iterator<Item = u64> {
        self.calls.iter().map(|(call, output)| fnv(&[&call.name, &call.input, &output.text]))
    }

    /// The results, in call order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.calls.into_iter().map(|(ToolCall { id: call, name, .. }, Output { outcome, text, label })| {
            Entry::Tool(ToolEntry { call, name, outcome, text, folded: None, label })
        })
    }

    fn take_running(&mut self, run: WishId, worker: Worker) -> Result<Running, Surprise> {
        let at = self.running.iter().position(|running| running.run == run && running.worker == worker);
        Ok(self.running.remove(at.ok_or(Surprise::NotOpen(run))?))
    }

    fn finish(&mut self, task: &mut Task, running: Running, output: Output) {
        let Output { outcome, text, label } = output;
        let (text, label) = (bounded(text, running.output_bytes_max), label.join(running.label));
        task.note(Event::Returned { run: running.run, outcome, bytes: text.len(), label });
        self.calls[running.at].1 = Output { outcome, text, label };
    }

    fn start(&mut self, task: &mut Task, at: usize) -> Result<(), Refusal> {
        if task.spending.tool_calls >= task.spec.governors.tool_calls_max {
            task.trip(Governor::ToolCalls);
            return Err(Refusal::Spent(Governor::ToolCalls));
        }
        task.spending.tool_calls += 1;
        let (call, frame) = (self.calls[at].0.clone(), task.spec.frame.clone());
        let plan = frame.toolbox.plan(&call).map_err(|why| Refusal::Unreadable(why.into()))?;
        let tool = manifest(&*frame.toolbox, &call.name).filter(|tool| task.spec.grant.has_tool(&tool.name));
        let tool = tool.ok_or(Refusal::Tool)?.clone();
        let needs = match plan {
            Plan::Run(needs) => needs,
            Plan::Spawn { goal, tools } => return self.delegate(task, (at, tool.limits), goal, tools),
            Plan::Recall(id) => {
                self.calls[at].1 = recall(task, &id);
                return Ok(());
            }
        };
        let asker = task.spec.asker;
        let gate = Gate {
            grant: &task.spec.grant,
            policy: &frame.policy,
            askers: [asker, if task.spec.depth > 0 { Asker::Agent } else { asker }],
            label: task.label,
            standing: &task.standing,
        };
        match gate.judge(&tool, call, needs) {
            Judgement::Allow(authorized) => self.run(task, at, tool, authorized),
            Judgement::Ask(pending) => self.want(task, at, tool, pending),
            Judgement::Deny(refusal) => return Err(refusal),
        }
        Ok(())
    }

    fn refuse(&mut self, task: &mut Task, at: usize, refusal: &Refusal) {
        let (call, result) = &mut self.calls[at];
        task.note(Event::Refused { tool: cut(&call.name, TOOL_NAME_BYTES_MAX).into(), why: refusal.name() });
        *result = failure(&refusal.to_string());
    }

    fn run(&mut self, task: &mut Task, at: usize, tool: Arc<Manifest>, authorized: Authorized) {
        let (run, limits, label) = (task.next_wish(), authorized.limits(), authorized.needs().label);
        task.note(Event::Allowed { run, tool, digest: *authorized.digest(), acts: authorized.needs().acts });
        task.wish(Effect::Run { run, authorized: Box::new(authorized) });
        let (until, output_bytes_max) = (task.now.after(limits.runtime_ms_max), limits.output_bytes_max);
        self.running.push(Running { at, run, worker: Worker::Tool, until, label, output_bytes_max });
    }

    fn want(&mut self, task: &mut Task, at: usize, tool: Arc<Manifest>, pending: Pending) {
        let (approval, call, reason) = (task.next_wish(), pending.call().clone(), pending.reason());
        task.note(Event::Wanted { approval, tool: tool.clone(), digest: call.digest(), reason });
        let request = ApprovalRequest { call, tool: tool.clone(), acts: pending.needs().acts, reason };
        task.wish(Effect::Approve { approval, request: Box::new(request) });
        let until = task.now.after(task.spec.frame.retry.approval_ms_max);
        self.wanted.push(Wanted { at, approval, pending, tool, until });
    }

    /// A child gets what is left, shared evenly among the calls of this turn and the task itself (K5).
    fn delegate(
        &mut self,
        task: &mut Task,
        (at, limits): (usize, Limits),
        goal: Box<str>,
        tools: Option<Vec<Box<str>>>,
    ) -> Result<(), Refusal> {
        if task.spec.governors.depth_max == 0 {
            return Err(Refusal::Spent(Governor::Depth));
        }
        let (run, shares) = (task.next_wish(), self.calls.len() as u32 + 1);
        let spec = &task.spec;
        let child = Spec {
            frame: spec.frame.clone(),
            history: Vec::new(),
            goal: Message { text: goal, images: Vec::new(), label: task.label },
            grant: spec.grant.meet(&Grant { tools, ..spec.grant.clone() }),
            governors: spec.governors.share(&task.spending, task.wall_ms_left(), shares),
            asker: spec.asker,
            depth: spec.depth.saturating_add(1),
            tenant: spec.tenant,
            seed: spec.seed.wrapping_add(u64::from(run.0)),
        };
        let output_bytes_max = spec.grant.limits.meet(limits).output_bytes_max;
        task.note(Event::Delegated { run });
        task.wish(Effect::Spawn { run, child: Box::new(child) });
        // The child ends by itself before this task's time is up.
        let (worker, until, label) = (Worker::Child, Millis(u64::MAX), Label::from(Origin::Model));
        self.running.push(Running { at, run, worker, until, label, output_bytes_max });
        Ok(())
    }
}

fn recall(task: &Task, id: &str) -> Output {
    let found = task.entries.iter().rev().find_map(|entry| match entry {
        Entry::Tool(tool) if &*tool.call == id => Some(tool),
        _ => None,
    });
    let shown = found.map(|tool| Output { outcome: ToolOutcome::Done, text: tool.text.clone(), label: tool.label });
    shown.unwrap_or_else(|| failure("there is no tool result of that name in this task"))
}

fn failure(why: &str) -> Output {
    Output { outcome: ToolOutcome::Failed, text: why.into(), label: Label::from(Origin::Tool) }
}

/// The most of what the model wrote as a tool's name that goes into an event.
const TOOL_NAME_BYTES_MAX: u64 = 64;

/// As much of the text as fits.
fn cut(text: &str, bytes_max: u64) -> &str {
    &text[..text.floor_char_boundary(usize::try_from(bytes_max).unwrap_or(usize::MAX))]
}

/// The text if it keeps the limit, else as much as fits and a word on the rest.
fn bounded(text: Box<str>, bytes_max: u64) -> Box<str> {
    let shown = cut(&text, bytes_max);
    if shown.len() == text.len() {
        return text;
    }
    format!("{shown}\n[cut: {} of {} bytes shown]", shown.len(), text.len()).into()
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo), each part preceded by its length.
fn fnv(parts: &[&str]) -> u64 {
    let lengths = parts.iter().map(|part| part.len() as u64);
    let bytes = lengths.zip(parts).flat_map(|(len, part)| len.to_be_bytes().into_iter().chain(part.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::{bounded, cut, fnv};

    #[test]
    fn hashes_are_those_of_the_algorithm() {
        assert_eq!(fnv(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(&["a"]), 0xe601_7d3a_248d_eb69);
        assert_ne!(fnv(&["ab", "c"]), fnv(&["a", "bc"]));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("aøc", 2), "a");
        assert_eq!(cut("abc", u64::MAX), "abc");
        assert_eq!(&*bounded("abc".into(), 3), "abc");
        assert_eq!(&*bounded("abc".into(), 2), "ab\n[cut: 2 of 3 bytes shown]");
    }
}
