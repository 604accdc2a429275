//! What performs a play: one task, or a dispatcher with many, and the names its wishes go by.

use aether_core::dispatcher::Dispatcher;
use aether_core::event::{Event, Scope};
use aether_core::facts::{Answer, ChildReport, Effect, Input, Surprise};
use aether_core::label::{Label, Origin};
use aether_core::model::ModelEvent;
use aether_core::spec::Message;
use aether_core::task::Task;
use aether_core::tool::Output;
use aether_core::transcript::{Entry, ToolOutcome};
use aether_core::words::{Millis, TaskId, WishId};

use super::header::{Setting, image};
use super::lines::{events, report, surprise};
use super::notation::Words;
use super::settled;
use super::shown::{self, entry_line};

/// What is performed.
enum Machine {
    Task(Box<Task>),
    Dispatcher(Box<Dispatcher>),
}

/// One task, and what its wishes are called.
#[derive(Default)]
pub(super) struct Actor {
    pub(super) id: Option<TaskId>,
    pub(super) name: String,
    pub(super) asks: Vec<WishId>,
    pub(super) runs: Vec<(String, WishId)>,
    pub(super) approvals: Vec<(String, WishId)>,
    pub(super) children: Vec<WishId>,
    pub(super) calls: usize,
    pub(super) left: Vec<Entry>,
}

impl Actor {
    /// The name of a wish: `#2` for a question, `c1` for a run or approval of that call, `k1` for a child.
    pub(super) fn name_of(&self, wish: WishId) -> String {
        if let Some(n) = self.asks.iter().position(|ask| *ask == wish) {
            return format!("#{}", n + 1);
        }
        if let Some(n) = self.children.iter().position(|child| *child == wish) {
            return format!("k{}", n + 1);
        }
        let calls = self.runs.iter().chain(&self.approvals);
        calls.into_iter().find(|(_, known)| *known == wish).map_or("?".to_owned(), |(name, _)| name.clone())
    }
}

/// The wish that nothing in a play has.
const NO_WISH: WishId = WishId(9_999);

fn numbered(wishes: &[WishId], name: &str) -> WishId {
    let n: usize = name[1..].parse().unwrap_or(0);
    n.checked_sub(1).and_then(|at| wishes.get(at).copied()).unwrap_or(NO_WISH)
}

fn called(wishes: &[(String, WishId)], name: &str) -> WishId {
    wishes.iter().rev().find(|(known, _)| known == name).map_or(NO_WISH, |(_, wish)| *wish)
}

pub(super) struct Stage {
    machine: Machine,
    actors: Vec<Actor>,
    setting: Setting,
    now: Millis,
}

impl Stage {
    /// Begins, and writes the first wishes.
    pub(super) fn open(setting: Setting, written: &mut String) -> Result<Stage, String> {
        let now = Millis(0);
        let (machine, actors) = match setting.capacity {
            None => (Machine::Task(Box::new(Task::new(now, setting.spec()))), vec![Actor::default()]),
            Some(capacity) => (Machine::Dispatcher(Box::new(Dispatcher::new(capacity))), Vec::new()),
        };
        let mut stage = Stage { machine, actors, setting, now };
        stage.listen(written)?;
        Ok(stage)
    }

    /// Takes in what stands behind the `>` of one line, and writes what follows.
    pub(super) fn perform(&mut self, said: &str, written: &mut String) -> Result<(), String> {
        let (said, is_last) = said.strip_prefix('>').map_or((said, true), |said| (said, false));
        let mut words = Words::of(said)?;
        let first = words.need("something to say")?;
        if let Some(line) = self.command(&first, &mut words, written)? {
            words.end()?;
            written.push_str(&line);
        } else {
            let (at, verb) = match first.strip_suffix(':') {
                Some(name) => (self.actor_called(name)?, words.need("something to say")?),
                None => (0, first),
            };
            let inputs = self.inputs(at, &verb, &mut words)?;
            words.end()?;
            for input in inputs {
                if let Err(error) = self.handle(at, input) {
                    let has_question = self.task(at).is_some_and(|task| task.question().is_some());
                    written.push_str(&format!("! {}\n", surprise(error, said, has_question)));
                    break;
                }
            }
        }
        if is_last { self.listen(written) } else { Ok(()) }
    }

    fn actor_called(&self, name: &str) -> Result<usize, String> {
        self.actors.iter().rposition(|actor| actor.name == name).ok_or(format!("no task is called `{name}`"))
    }

    fn task(&self, at: usize) -> Option<&Task> {
        match &self.machine {
            Machine::Task(task) => Some(task),
            Machine::Dispatcher(dispatcher) => dispatcher.task(self.actors[at].id?),
        }
    }

    /// Lines that speak to the stage and not to one task. What they show is returned.
    fn command(&mut self, verb: &str, words: &mut Words, written: &mut String) -> Result<Option<String>, String> {
        let deadline = match &self.machine {
            Machine::Task(task) => task.deadline(),
            Machine::Dispatcher(dispatcher) => dispatcher.deadline(),
        };
        match (verb, &mut self.machine) {
            ("deadline", _) => {
                let moment = deadline.map_or("never".to_owned(), |at| format!("at {} ms", at.0));
                Ok(Some(format!("| wakes {moment}, it is {} ms\n", self.now.0)))
            }
            ("later", _) => {
                self.now = self.now.after(words.number()?);
                Ok(Some(String::new()))
            }
            ("at", _) => {
                self.now = Millis(words.number()?);
                Ok(Some(String::new()))
            }
            ("wait", _) => {
                let next = deadline.ok_or("nothing has a deadline")?;
                self.now = words.number().map_or(next, |ms| self.now.after(ms));
                self.tick(written);
                Ok(Some(String::new()))
            }
            ("transcript", Machine::Task(_)) => Ok(Some(self.transcript(0))),
            ("transcript", Machine::Dispatcher(_)) => {
                let name = words.need("a task")?;
                Ok(Some(self.transcript(self.actor_called(&name)?)))
            }
            ("spawn", Machine::Dispatcher(_)) => self.spawn(words).map(Some),
            ("drain", Machine::Dispatcher(dispatcher)) => {
                dispatcher.drain();
                Ok(Some(String::new()))
            }
            ("stop", Machine::Dispatcher(dispatcher)) => {
                dispatcher.interrupt_all(self.now);
                Ok(Some(String::new()))
            }
            ("counters", Machine::Dispatcher(dispatcher)) => Ok(Some(shown::counters(&dispatcher.counters()))),
            ("held", Machine::Dispatcher(dispatcher)) => Ok(Some(format!("| {} bytes\n", dispatcher.bytes_held()))),
            ("held", Machine::Task(task)) => Ok(Some(format!("| {} bytes\n", task.bytes_held()))),
            _ => Ok(None),
        }
    }

    fn tick(&mut self, written: &mut String) {
        match &mut self.machine {
            Machine::Dispatcher(dispatcher) => dispatcher.tick(self.now),
            Machine::Task(task) => {
                if let Err(error) = task.handle(self.now, Input::Tick) {
                    written.push_str(&format!("! {error}\n"));
                }
            }
        }
    }

    /// `spawn NAME "goal" [tenant N] [as ASKER]`.
    fn spawn(&mut self, words: &mut Words) -> Result<String, String> {
        let mut spec = self.setting.spec();
        let name = words.need("a name for the task")?;
        if let Some(goal) = words.text() {
            spec.goal.text = goal.into();
        }
        if words.takes("tenant") {
            spec.tenant = words.number()?;
        }
        let Machine::Dispatcher(dispatcher) = &mut self.machine else { return Err("one task spawns none".to_owned()) };
        match dispatcher.spawn(self.now, spec) {
            Ok(id) => {
                self.actors.push(Actor { id: Some(id), name, ..Actor::default() });
                Ok(String::new())
            }
            Err(full) => Ok(format!("! {full}\n")),
        }
    }

    /// The facts of one line.
    fn inputs(&mut self, at: usize, verb: &str, words: &mut Words) -> Result<Vec<Input>, String> {
        let actor = &mut self.actors[at];
        Ok(vec![match verb {
            "model" => {
                let ask = numbered(&actor.asks, &words.need("a question such as #1")?);
                let events: Vec<ModelEvent> = events(actor, words)?;
                return Ok(events.into_iter().map(|event| Input::Model { ask, event }).collect());
            }
            "tool" => {
                let run = called(&actor.runs, &words.need("a call such as c1")?);
                let outcome = if words.takes("fail") { ToolOutcome::Failed } else { ToolOutcome::Done };
                words.takes("ok");
                let text = words.need_text()?.into();
                let own = words.word().map(|names| super::toolbox::label(&names)).transpose()?;
                Input::Tool { run, output: Output { outcome, text, label: own.unwrap_or_default() } }
            }
            "yes" | "no" => {
                let approval = called(&actor.approvals, &words.need("a call such as c1")?);
                let answer = match verb {
                    "no" => Answer::No(words.text().unwrap_or_default().into()),
                    _ if words.takes("always") => Answer::Yes(Scope::Task),
                    _ => Answer::Yes(Scope::Once),
                };
                Input::Approval { approval, answer }
            }
            "child" => {
                let run = numbered(&actor.children, &words.need("a child such as k1")?);
                let report: ChildReport = report(words)?;
                Input::Child { run, report }
            }
            "steer" => {
                let text = words.need_text()?.into();
                let images = if words.takes("image") { vec![image(words.number()?)] } else { Vec::new() };
                let own = words.word().map(|names| super::toolbox::label(&names)).transpose()?;
                Input::Steer(Message { text, images, label: own.unwrap_or(Label::from(Origin::Person)) })
            }
            "interrupt" => Input::Interrupt,
            "tick" => Input::Tick,
            _ => return Err(format!("nobody can say `{verb}`")),
        }])
    }

    fn handle(&mut self, at: usize, input: Input) -> Result<(), Surprise> {
        match &mut self.machine {
            Machine::Task(task) => task.handle(self.now, input),
            Machine::Dispatcher(dispatcher) => {
                let id = self.actors[at].id.unwrap_or(TaskId { slot: u32::MAX, generation: 0 });
                dispatcher.handle(self.now, id, input)
            }
        }
    }

    /// Writes down every wish until there is none.
    fn listen(&mut self, written: &mut String) -> Result<(), String> {
        let mut wishes = Vec::new();
        while let Some((at, effect)) = self.next() {
            self.learn(at, &effect);
            wishes.push((at, effect));
        }
        for (at, effect) in wishes {
            if let Effect::Note(event) = &effect
                && !shown::is_shown(self.setting.notes, event)
            {
                continue;
            }
            let question = match &effect {
                Effect::Ask { .. } => self.task(at).and_then(Task::question),
                _ => None,
            };
            let line = shown::effect(&self.actors[at], &effect, question);
            let name = &self.actors[at].name;
            let prefix = if name.is_empty() { String::new() } else { format!("{name}: ") };
            written.push_str(&format!("< {prefix}{line}\n"));
            if let Effect::End(outcome) = effect {
                settled(&outcome.entries)?;
                self.actors[at].left = outcome.entries;
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<(usize, Effect)> {
        match &mut self.machine {
            Machine::Task(task) => task.poll().map(|effect| (0, effect)),
            Machine::Dispatcher(dispatcher) => {
                let (id, effect) = dispatcher.poll()?;
                let parent = dispatcher.parent(id);
                Some((self.known(id, parent), effect))
            }
        }
    }

    /// The actor with this id; a child that is heard of for the first time gets its name from its parent.
    fn known(&mut self, id: TaskId, parent: Option<(TaskId, WishId)>) -> usize {
        if let Some(at) = self.actors.iter().position(|actor| actor.id == Some(id)) {
            return at;
        }
        let named = parent.and_then(|(parent, run)| {
            let parent = self.actors.iter().find(|actor| actor.id == Some(parent))?;
            Some(format!("{}/{}", parent.name, parent.name_of(run)))
        });
        self.actors.push(Actor { id: Some(id), name: named.unwrap_or("orphan".to_owned()), ..Actor::default() });
        self.actors.len() - 1
    }

    /// Gives the wish of an effect its name.
    fn learn(&mut self, at: usize, effect: &Effect) {
        let actor = &mut self.actors[at];
        match effect {
            Effect::Ask { ask, .. } | Effect::Note(Event::Asked { ask, .. }) if !actor.asks.contains(ask) => {
                actor.asks.push(*ask);
            }
            Effect::Note(Event::Delegated { run }) => actor.children.push(*run),
            Effect::Run { run, authorized } => actor.runs.push((authorized.call().id.to_string(), *run)),
            Effect::Approve { approval, request } => {
                actor.approvals.push((request.call.id.to_string(), *approval));
            }
            _ => {}
        }
    }

    /// What a task left behind, or is being asked with.
    fn transcript(&self, at: usize) -> String {
        let open = self.task(at).and_then(Task::question).map_or(&[][..], |question| question.entries);
        let entries = if self.actors[at].left.is_empty() { open } else { &self.actors[at].left };
        entries.iter().map(|entry| format!("| {}\n", entry_line(entry))).collect()
    }
}
