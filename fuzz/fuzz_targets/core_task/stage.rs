//! One task on a stage: what is said to it, what it wishes for, and what has to hold after every fact.

use std::collections::BTreeMap;

use aether_core::event::{Event, Scope};
use aether_core::facts::{Answer, ChildReport, Effect, Input, Outcome, Surprise, Verdict};
use aether_core::governor::Spending;
use aether_core::label::Label;
use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Part, Stop, ToolUse, Usage};
use aether_core::spec::{Message, Spec};
use aether_core::task::Task;
use aether_core::tool::{Output, ToolCall};
use aether_core::transcript::{Entry, ToolOutcome};
use aether_core::words::{Millis, WishId};
use aether_fuzz::Draw;

use crate::world::{TOOLS, label};

/// What an open wish is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ask,
    Run,
    Approve,
    Spawn,
}

/// When a task begins.
const START: Millis = Millis(1_000);

/// A task and everything it wished for.
pub struct Stage {
    pub task: Task,
    pub now: Millis,
    /// Every fact and every wish, in order.
    pub log: Vec<String>,
    open: BTreeMap<WishId, Kind>,
    last_wish: WishId,
    label: Label,
    is_over: bool,
}

impl Stage {
    /// A task that begins.
    pub fn new(spec: Spec) -> Stage {
        let task = Task::new(START, spec);
        let mut stage = Stage {
            task,
            now: START,
            log: Vec::new(),
            open: BTreeMap::new(),
            last_wish: WishId(0),
            label: Label::default(),
            is_over: false,
        };
        stage.hear();
        stage
    }

    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// One fact drawn from bytes.
    pub fn step(&mut self, draw: &mut Draw<'_>) {
        let now = match draw.byte() {
            0xF0 => Millis(draw.number()),
            0xF1 => self.task.deadline().unwrap_or(self.now),
            n => self.now.after(u64::from(n)),
        };
        let input = match draw.byte() % 12 {
            0..=4 => Input::Model { ask: self.wish(draw, Kind::Ask), event: model_event(draw) },
            5 | 6 => Input::Tool { run: self.wish(draw, Kind::Run), output: output(draw) },
            7 => Input::Approval { approval: self.wish(draw, Kind::Approve), answer: answer(draw) },
            8 => Input::Child { run: self.wish(draw, Kind::Spawn), report: report(draw) },
            9 => Input::Steer(Message { text: draw.text().into(), images: Vec::new(), label: label(draw) }),
            10 if draw.byte() == 0xF2 => Input::Interrupt,
            _ => Input::Tick,
        };
        self.say(now, input);
    }

    /// Answers one open wish so that the task goes on as long as it may. `false` if none is open.
    pub fn answer_next(&mut self) -> bool {
        let Some((wish, kind)) = self.open.first_key_value().map(|(wish, kind)| (*wish, *kind)) else { return false };
        let text: Box<str> = self.log.len().to_string().into();
        let input = match kind {
            Kind::Ask => {
                let call = ToolCall { id: text.clone(), name: "read".into(), input: text };
                let is_allowed = self.task.question().is_some_and(|question| question.tool_use == ToolUse::Allowed);
                let said = ModelEvent::Text("so far".into());
                let event = if is_allowed { ModelEvent::Call(call) } else { said };
                self.say(self.now, Input::Model { ask: wish, event });
                Input::Model { ask: wish, event: ModelEvent::Stop(Stop::Calls) }
            }
            Kind::Run => {
                Input::Tool { run: wish, output: Output { outcome: ToolOutcome::Done, text, label: self.label } }
            }
            Kind::Approve => Input::Approval { approval: wish, answer: Answer::Yes(Scope::Once) },
            Kind::Spawn => {
                let (spending, label) = (Spending::default(), self.label);
                Input::Child {
                    run: wish,
                    report: ChildReport { verdict: Ok(Verdict::Done), answer: text, label, spending },
                }
            }
        };
        self.say(self.now, input);
        true
    }

    /// Says one fact, and looks at what follows.
    pub fn say(&mut self, now: Millis, input: Input) {
        let answered = answered(&input);
        let line = format!("> {} {input:?}", now.0);
        let before = self.seen();
        match self.task.handle(now, input) {
            Ok(()) => {
                self.now = self.now.max(now);
                if let Some((wish, kind, is_last)) = answered {
                    assert_eq!(self.open.get(&wish), Some(&kind), "K2: {line}: it was not open");
                    if is_last {
                        self.open.remove(&wish);
                    }
                }
                self.log.push(line);
                self.hear();
                let wall = START.after(self.task.spec().governors.wall_ms_max);
                assert!(self.is_over || self.now < wall, "K7: alive at {:?}, its time was up at {wall:?}", self.now);
            }
            Err(surprise) => {
                assert_eq!(before, self.seen(), "K6: {line}: {surprise}");
                assert!(self.task.poll().is_none(), "K6: {line}: a wish after {surprise}");
                assert_eq!(surprise == Surprise::Ended, self.is_over, "{line}: {surprise}");
                if let (Some((wish, kind, _)), Surprise::NotOpen(_)) = (answered, surprise) {
                    assert_ne!(self.open.get(&wish), Some(&kind), "K2: {line}: it is open");
                }
                self.log.push(format!("{line} ! {surprise}"));
            }
        }
    }

    /// What can be seen of a task from outside.
    fn seen(&self) -> (Option<Millis>, Spending, usize, Option<(usize, ToolUse)>) {
        let question = self.task.question().map(|question| (question.entries.len(), question.tool_use));
        (self.task.deadline(), *self.task.spending(), self.task.bytes_held(), question)
    }

    fn hear(&mut self) {
        while let Some(effect) = self.task.poll() {
            assert!(!self.is_over, "a wish after the end: {effect:?}");
            self.log.push(format!("< {effect:?}"));
            match effect {
                Effect::Ask { ask, model } => {
                    assert!(model < self.task.spec().frame.models.len());
                    self.opens(ask, Kind::Ask);
                }
                Effect::Run { run, authorized } => {
                    let (grant, needs) = (&self.task.spec().grant, authorized.needs());
                    assert!(grant.acts.covers(needs.acts) && grant.capability.covers(&needs.capability), "K4");
                    assert!(grant.has_tool(&authorized.call().name), "K4");
                    assert_eq!(*authorized.digest(), authorized.call().digest(), "K4");
                    self.opens(run, Kind::Run);
                }
                Effect::Approve { approval, .. } => self.opens(approval, Kind::Approve),
                Effect::Spawn { run, child } => {
                    self.child(&child);
                    self.opens(run, Kind::Spawn);
                }
                Effect::Cancel { wish } => {
                    assert!(self.open.remove(&wish).is_some(), "K2: {wish} was cancelled and not open");
                }
                Effect::Note(Event::Spawned { label, .. } | Event::Labelled { label }) => {
                    assert!(self.label.within(label), "a label shrank");
                    self.label = label;
                }
                Effect::End(outcome) => self.end(&outcome),
                Effect::Say { ask, .. } | Effect::Reason { ask, .. } | Effect::Unsay { ask } => {
                    assert!(ask <= self.last_wish);
                }
                Effect::Note(_) => {}
            }
        }
        assert_eq!(self.task.deadline().is_none(), self.is_over);
        assert_eq!(self.task.question().is_some(), self.open.values().any(|kind| *kind == Kind::Ask));
    }

    fn opens(&mut self, wish: WishId, kind: Kind) {
        assert!(wish > self.last_wish, "K2: {wish} is not new");
        self.last_wish = wish;
        self.open.insert(wish, kind);
    }

    fn child(&self, child: &Spec) {
        let parent = self.task.spec();
        assert!(parent.grant.covers(&child.grant), "K5: the grant");
        assert_eq!(child.depth, parent.depth + 1, "K5: the depth");
        assert!(child.goal.label.within(self.label), "K5: the label");
        let (mine, its) = (&parent.governors, &child.governors);
        assert!(its.depth_max < mine.depth_max, "K5: depth");
        assert!(its.wall_ms_max <= mine.wall_ms_max && its.model_calls_max <= mine.model_calls_max, "K5: budgets");
        assert!(its.tool_calls_max <= mine.tool_calls_max && its.repeats_max <= mine.repeats_max, "K5: budgets");
        assert!(its.input_tokens_max <= mine.input_tokens_max && its.output_tokens_max <= mine.output_tokens_max);
        assert!(its.cost_micro_usd_max <= mine.cost_micro_usd_max && its.output_bytes_max <= mine.output_bytes_max);
    }

    fn end(&mut self, outcome: &Outcome) {
        assert!(self.open.is_empty(), "K2: open at the end: {:?}", self.open);
        self.is_over = true;
        let mut entries = outcome.entries.iter();
        while let Some(entry) = entries.next() {
            let Entry::Model { parts, .. } = entry else { continue };
            assert!(!parts.is_empty(), "an empty turn");
            for call in parts.iter().filter_map(call) {
                match entries.next() {
                    Some(Entry::Tool(result)) => assert_eq!(result.call, call.id),
                    other => panic!("the call {} has no result but {other:?}", call.id),
                }
            }
        }
    }

    /// An open wish of that kind, or any number.
    fn wish(&self, draw: &mut Draw<'_>, kind: Kind) -> WishId {
        let drawn = draw.byte();
        let open: Vec<WishId> = self.open.iter().filter(|(_, known)| **known == kind).map(|(wish, _)| *wish).collect();
        if open.is_empty() || drawn >= 0xF0 {
            WishId(u32::from(drawn) % 32)
        } else {
            open[usize::from(drawn) % open.len()]
        }
    }
}

fn call(part: &Part) -> Option<&ToolCall> {
    if let Part::Call(call) = part { Some(call) } else { None }
}

/// The wish that a fact is for, and whether nothing more can come for it.
fn answered(input: &Input) -> Option<(WishId, Kind, bool)> {
    match input {
        Input::Model { ask, event } => {
            Some((*ask, Kind::Ask, matches!(event, ModelEvent::Stop(_) | ModelEvent::Error(_))))
        }
        Input::Tool { run, .. } => Some((*run, Kind::Run, true)),
        Input::Approval { approval, .. } => Some((*approval, Kind::Approve, true)),
        Input::Child { run, .. } => Some((*run, Kind::Spawn, true)),
        Input::Steer(_) | Input::Interrupt | Input::Tick => None,
    }
}

fn model_event(draw: &mut Draw<'_>) -> ModelEvent {
    match draw.byte() % 8 {
        0 => ModelEvent::Text(draw.text()),
        1 => ModelEvent::Reasoning(draw.text()),
        2 => ModelEvent::Carried(draw.text().into()),
        3 | 4 => {
            let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).chain(["nonsense"]).collect();
            let (name, id) = (draw.one_of(&names), draw.byte().to_string());
            ModelEvent::Call(ToolCall { id: id.into(), name: name.into(), input: draw.text().into() })
        }
        5 => ModelEvent::Usage(Usage {
            input_tokens: draw.number(),
            output_tokens: u64::from(draw.byte()),
            cached_tokens: u64::from(draw.byte()),
            ..Usage::default()
        }),
        6 => ModelEvent::Stop(draw.one_of(Stop::ALL)),
        _ => {
            let kind = draw.one_of(ModelErrorKind::ALL);
            let retry_after_ms = draw.is_odd().then(|| draw.number());
            ModelEvent::Error(ModelError { kind, message: "no".into(), retry_after_ms })
        }
    }
}

fn output(draw: &mut Draw<'_>) -> Output {
    let outcome = draw.one_of(ToolOutcome::ALL);
    Output { outcome, label: label(draw), text: draw.text().into() }
}

fn answer(draw: &mut Draw<'_>) -> Answer {
    match draw.byte() % 3 {
        0 => Answer::Yes(Scope::Once),
        1 => Answer::Yes(Scope::Task),
        _ => Answer::No(draw.text().into()),
    }
}

fn report(draw: &mut Draw<'_>) -> ChildReport {
    let verdict = match draw.byte() % 3 {
        0 => Ok(Verdict::Done),
        1 => Ok(Verdict::Interrupted),
        _ => Err(draw.text().into()),
    };
    let usage = Usage { output_tokens: draw.number(), ..Usage::default() };
    let spending = Spending { model_calls: u32::from(draw.byte()), usage, ..Spending::default() };
    ChildReport { verdict, answer: draw.text().into(), label: label(draw), spending }
}
