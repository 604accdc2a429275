//! The tool calls of one model turn: they run together, and their results go back in call order.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::event::{Event, Scope};
use crate::facts::{Answer, ApprovalRequest, ChildReport, Effect, Surprise, Verdict};
use crate::gate::{Gate, Judgement, Pending, Refusal};
use crate::governor::Governor;
use crate::label::{Label, Origin};
use crate::policy::Asker;
use crate::spec::{Message, Spec};
use crate::task::Task;
use crate::tool::{Authorized, Manifest, Output, Plan, ToolCall, manifest};
use crate::transcript::{Entry, ToolEntry, ToolOutcome};
use crate::words::{Millis, WishId};

/// All calls of one turn.
#[derive(Debug)]
pub(crate) struct Batch {
    slots: Vec<Slot>,
}

/// One call of the turn.
#[derive(Debug)]
struct Slot {
    call: ToolCall,
    state: State,
}

#[derive(Debug)]
enum State {
    Wanted { approval: WishId, pending: Box<Pending>, tool: Arc<Manifest>, until: Millis },
    Running { run: WishId, until: Millis, label: Label, bytes_max: u64 },
    Delegated { run: WishId },
    Done { outcome: ToolOutcome, text: Box<str>, label: Label },
}

impl Batch {
    /// Judges every call and starts what may start.
    pub(crate) fn begin(task: &mut Task, calls: Vec<ToolCall>) -> Batch {
        let shares = calls.len() as u32 + 1;
        let slots = calls.into_iter().map(|call| Slot { state: begin(task, &call, shares), call });
        Batch { slots: slots.collect() }
    }

    /// Whether any call waits for something.
    pub(crate) fn is_open(&self) -> bool {
        self.slots.iter().any(|slot| !matches!(slot.state, State::Done { .. }))
    }

    /// When the first of them has waited long enough.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.slots.iter().filter_map(Slot::until).min()
    }

    /// A tool reported.
    pub(crate) fn report(&mut self, task: &mut Task, run: WishId, output: Output) -> Result<(), Surprise> {
        let slot = self.open(run)?;
        let State::Running { label, bytes_max, .. } = slot.state else { return Err(Surprise::NotOpen(run)) };
        let Output { outcome, text, label: own } = output;
        slot.done(task, run, Output { outcome, text: bounded(text, bytes_max), label: own.join(label) });
        Ok(())
    }

    /// A child task ended.
    pub(crate) fn child(&mut self, task: &mut Task, run: WishId, report: ChildReport) -> Result<(), Surprise> {
        let slot = self.open(run)?;
        let State::Delegated { .. } = slot.state else { return Err(Surprise::NotOpen(run)) };
        let (outcome, text) = match report.verdict {
            Ok(Verdict::Done | Verdict::Length) => (ToolOutcome::Done, report.answer),
            Ok(verdict) => {
                let text =
                    format!("the child task ended early ({}); its answer so far: {}", verdict.name(), report.answer);
                (ToolOutcome::Failed, text.into())
            }
            Err(why) => (ToolOutcome::Failed, format!("no child task: {why}").into()),
        };
        task.spending = task.spending.plus(report.spending);
        slot.done(task, run, Output { outcome, text, label: report.label.join(Label::from(Origin::Model)) });
        Ok(())
    }

    /// The person answered.
    pub(crate) fn answer(&mut self, task: &mut Task, approval: WishId, answer: Answer) -> Result<(), Surprise> {
        let slot = self.open(approval)?;
        let State::Wanted { .. } = slot.state else { return Err(Surprise::NotOpen(approval)) };
        match answer {
            Answer::No(why) => slot.refuse(task, Refusal::Declined(why)),
            Answer::Yes(scope) => {
                task.note(Event::Approved { approval, scope });
                let standing = slot.run(task);
                if let (Scope::Task, Some(standing)) = (scope, standing) {
                    for other in &mut self.slots {
                        other.pass(task, &standing);
                    }
                    task.standing.push(standing);
                }
            }
        }
        Ok(())
    }

    /// Gives up on every call whose time is over.
    pub(crate) fn expire(&mut self, task: &mut Task) {
        for slot in &mut self.slots {
            match slot.state {
                State::Wanted { approval, until, .. } if until <= task.now() => {
                    task.wish(Effect::Cancel { wish: approval });
                    slot.refuse(task, Refusal::Unanswered);
                }
                State::Running { run, until, label, .. } if until <= task.now() => {
                    task.wish(Effect::Cancel { wish: run });
                    let text = "stopped: the tool's time limit passed without a result";
                    slot.done(task, run, Output { outcome: ToolOutcome::Failed, text: text.into(), label });
                }
                _ => {}
            }
        }
    }

    /// Cancels everything that is open; each such call's result is `why`.
    pub(crate) fn cancel(&mut self, task: &mut Task, why: &str) {
        for slot in &mut self.slots {
            if let Some(wish) = slot.wish() {
                task.wish(Effect::Cancel { wish });
                slot.state = failed(why);
            }
        }
    }

    /// What a result is recognised by when it comes again: hashes of call and result.
    pub(crate) fn marks(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter_map(|slot| match &slot.state {
            State::Done { text, .. } => Some(fnv(&[&slot.call.name, &slot.call.input, text])),
            _ => None,
        })
    }

    /// The results, in call order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.slots.into_iter().filter_map(|slot| match slot.state {
            State::Done { outcome, text, label } => {
                let (call, name) = (slot.call.id, slot.call.name);
                Some(Entry::Tool(ToolEntry { call, name, outcome, text, folded: None, label }))
            }
            _ => None,
        })
    }

    fn open(&mut self, wish: WishId) -> Result<&mut Slot, Surprise> {
        self.slots.iter_mut().find(|slot| slot.wish() == Some(wish)).ok_or(Surprise::NotOpen(wish))
    }
}

impl Slot {
    fn wish(&self) -> Option<WishId> {
        match self.state {
            State::Wanted { approval, .. } => Some(approval),
            State::Running { run, .. } | State::Delegated { run } => Some(run),
            State::Done { .. } => None,
        }
    }

    fn until(&self) -> Option<Millis> {
        match self.state {
            State::Wanted { until, .. } | State::Running { until, .. } => Some(until),
            State::Delegated { .. } | State::Done { .. } => None,
        }
    }

    fn done(&mut self, task: &mut Task, run: WishId, output: Output) {
        let Output { outcome, text, label } = output;
        task.note(Event::Returned { run, outcome, bytes: text.len(), label });
        self.state = State::Done { outcome, text, label };
    }

    fn refuse(&mut self, task: &mut Task, refusal: Refusal) {
        self.state = refuse(task, &self.call.name, refusal);
    }

    /// Runs a call that waits for an approval which another one has made unnecessary.
    fn pass(&mut self, task: &mut Task, standing: &crate::gate::Standing) {
        match &self.state {
            State::Wanted { approval, pending, .. } if pending.is_covered_by(standing) => {
                task.wish(Effect::Cancel { wish: *approval });
                self.run(task);
            }
            _ => {}
        }
    }

    /// Runs an approved call. Returns the approval that would let calls like it pass.
    fn run(&mut self, task: &mut Task) -> Option<crate::gate::Standing> {
        match core::mem::replace(&mut self.state, failed("")) {
            State::Wanted { pending, tool, .. } => {
                let standing = pending.standing();
                self.state = run(task, tool, pending.approve());
                standing
            }
            other => {
                self.state = other;
                None
            }
        }
    }
}

fn begin(task: &mut Task, call: &ToolCall, shares: u32) -> State {
    let calls_max = task.spec.governors.tool_calls_max;
    if task.spending.tool_calls >= calls_max {
        task.trip(Governor::ToolCalls);
        return give_up(
            task,
            call,
            Governor::ToolCalls,
            format!("not run: the budget of {calls_max} tool calls is spent"),
        );
    }
    task.spending.tool_calls += 1;
    let frame = task.spec.frame.clone();
    let refusal = match (frame.toolbox.plan(call), manifest(&*frame.toolbox, &call.name)) {
        (Err(why), _) => Refusal::Unreadable(why.into()),
        (Ok(_), None) => Refusal::Unreadable(format!("there is no tool {}", call.name).into()),
        (Ok(Plan::Run(needs)), Some(tool)) => {
            let askers = [task.spec.asker, if task.spec.depth > 0 { Asker::Agent } else { task.spec.asker }];
            let gate = Gate {
                grant: &task.spec.grant,
                policy: &frame.policy,
                askers,
                label: task.label,
                standing: &task.standing,
            };
            match gate.judge(tool, call.clone(), needs) {
                Judgement::Allow(authorized) => return run(task, tool.clone(), authorized),
                Judgement::Ask(pending) => return want(task, tool.clone(), pending),
                Judgement::Deny(refusal) => refusal,
            }
        }
        (Ok(_), Some(tool)) if !task.spec.grant.has_tool(&tool.name) => Refusal::Tool,
        (Ok(Plan::Recall(id)), Some(_)) => return recall(task, &id),
        (Ok(Plan::Spawn { goal, tools }), Some(_)) => return delegate(task, call, (goal, tools), shares),
    };
    refuse(task, &call.name, refusal)
}

fn run(task: &mut Task, tool: Arc<Manifest>, authorized: Authorized) -> State {
    let run = task.next_wish();
    let limits = authorized.limits();
    let label = authorized.needs().label;
    task.note(Event::Allowed { run, tool, digest: *authorized.digest(), acts: authorized.needs().acts });
    task.wish(Effect::Run { run, authorized: Box::new(authorized) });
    State::Running { run, until: task.now().after(limits.runtime_ms_max), label, bytes_max: limits.output_bytes_max }
}

fn want(task: &mut Task, tool: Arc<Manifest>, pending: Pending) -> State {
    let approval = task.next_wish();
    let call = pending.call().clone();
    task.note(Event::Wanted { approval, tool: tool.clone(), digest: call.digest(), reason: pending.reason() });
    let request = ApprovalRequest { call, tool: tool.clone(), acts: pending.needs().acts, reason: pending.reason() };
    task.wish(Effect::Approve { approval, request: Box::new(request) });
    let until = task.now().after(task.spec.frame.retry.approval_ms_max);
    State::Wanted { approval, pending: Box::new(pending), tool, until }
}

fn recall(task: &Task, id: &str) -> State {
    let found = task.entries.iter().rev().find_map(|entry| match entry {
        Entry::Tool(tool) if &*tool.call == id => Some(tool),
        _ => None,
    });
    match found {
        Some(tool) => State::Done { outcome: ToolOutcome::Done, text: tool.text.clone(), label: tool.label },
        None => failed("there is no tool result of that name in this task"),
    }
}

/// A child gets what is left, shared evenly among the calls of this turn and the task itself (K5).
fn delegate(task: &mut Task, call: &ToolCall, work: (Box<str>, Option<Vec<Box<str>>>), shares: u32) -> State {
    if task.spec.governors.depth_max == 0 {
        return give_up(task, call, Governor::Depth, "not run: child tasks may not go deeper".to_string());
    }
    let governors = task.spec.governors.share(&task.spending, task.wall_ms_left(), shares);
    let (goal, tools) = work;
    let mut grant = task.spec.grant.clone();
    if tools.is_some() {
        grant = grant.meet(&crate::tool::Grant { tools, ..grant.clone() });
    }
    let run = task.next_wish();
    let child = Spec {
        frame: task.spec.frame.clone(),
        history: Vec::new(),
        goal: Message { text: goal, images: Vec::new(), label: task.label },
        grant,
        governors,
        asker: task.spec.asker,
        depth: task.spec.depth.saturating_add(1),
        tenant: task.spec.tenant,
        seed: task.spec.seed.wrapping_add(u64::from(run.0)),
    };
    task.note(Event::Delegated { run });
    task.wish(Effect::Spawn { run, child: Box::new(child) });
    State::Delegated { run }
}

fn refuse(task: &mut Task, tool: &str, refusal: Refusal) -> State {
    task.note(Event::Refused { tool: name_of(tool), why: refusal.name() });
    failed(&refusal.to_string())
}

fn give_up(task: &mut Task, call: &ToolCall, governor: Governor, why: String) -> State {
    task.note(Event::Refused { tool: name_of(&call.name), why: governor.name() });
    failed(&why)
}

fn failed(why: &str) -> State {
    State::Done { outcome: ToolOutcome::Failed, text: why.into(), label: Label::from(Origin::Tool) }
}

/// At most the first 64 bytes of what the model wrote as a tool's name.
fn name_of(tool: &str) -> Box<str> {
    tool.char_indices().take_while(|(at, c)| at + c.len_utf8() <= 64).map(|(_, c)| c).collect::<String>().into()
}

/// The text if it keeps the limit, else as much as fits and a word on the rest.
fn bounded(text: Box<str>, bytes_max: u64) -> Box<str> {
    if text.len() as u64 <= bytes_max {
        return text;
    }
    let at = text.floor_char_boundary(bytes_max as usize);
    format!("{}\n[cut: {} of {} bytes shown]", &text[..at], at, text.len()).into()
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo), each part preceded by its length.
fn fnv(parts: &[&str]) -> u64 {
    let lengths = parts.iter().map(|part| part.len() as u64);
    let bytes = lengths.zip(parts).flat_map(|(len, part)| len.to_be_bytes().into_iter().chain(part.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
