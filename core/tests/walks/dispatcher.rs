//! Walks of a dispatcher with several tasks and their children.

use std::collections::BTreeMap;

use aether_core::dispatcher::{Capacity, Dispatcher};
use aether_core::event::Event;
use aether_core::facts::Effect;
use aether_core::words::{Millis, TaskId, WishId};
use aether_testkit::play::settled;

use super::random::{Random, plan};
use super::setting::{self, Said};
use super::task::mix;
use super::watch::Kind;

/// What is known of one task from outside.
#[derive(Default)]
struct Seen {
    root: Option<TaskId>,
    open: BTreeMap<WishId, Kind>,
    calls: u32,
    /// Questions of this task and all below it; kept for roots.
    asks: u32,
    is_over: bool,
}

struct Walk {
    dispatcher: Dispatcher,
    capacity: Capacity,
    now: Millis,
    tasks: BTreeMap<TaskId, Seen>,
    ids: Vec<TaskId>,
    wished: u64,
    ends: u64,
    surprises: u64,
    refused: u64,
}

#[derive(Clone)]
enum Step {
    Spawn(Box<aether_core::spec::Spec>),
    Say(TaskId, Said),
    Tick,
    Stop,
}

impl Walk {
    fn new(capacity: Capacity) -> Walk {
        Walk {
            dispatcher: Dispatcher::new(capacity),
            capacity,
            now: Millis(0),
            tasks: BTreeMap::new(),
            ids: Vec::new(),
            wished: 0,
            ends: 0,
            surprises: 0,
            refused: 0,
        }
    }

    fn living(&self) -> usize {
        self.tasks.values().filter(|seen| !seen.is_over).count()
    }

    fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Spawn(spec) => match self.dispatcher.spawn(self.now, *spec) {
                Ok(id) => {
                    assert!(self.tasks.insert(id, Seen { root: Some(id), ..Seen::default() }).is_none(), "an id twice");
                    self.ids.push(id);
                    true
                }
                Err(_) => {
                    self.refused += 1;
                    false
                }
            },
            Step::Say(id, said) => {
                let is_over = self.tasks.get(&id).is_none_or(|seen| seen.is_over);
                let taken = self.dispatcher.handle(self.now, id, said.input()).is_ok();
                assert!(!(is_over && taken), "K6: a task that is over took a fact");
                self.surprises += u64::from(!taken);
                taken
            }
            Step::Tick => {
                self.dispatcher.tick(self.now);
                assert!(self.dispatcher.deadline().is_none_or(|deadline| deadline > self.now), "K7");
                true
            }
            Step::Stop => {
                self.dispatcher.interrupt_all(self.now);
                true
            }
        }
    }

    fn listen(&mut self) {
        while let Some((id, effect)) = self.dispatcher.poll() {
            self.wished = mix(mix(self.wished, &id), &effect);
            let parent = self.dispatcher.parent(id);
            if !self.tasks.contains_key(&id) {
                let (parent, _) = parent.expect("a task that nobody spawned has a parent");
                assert!(!self.tasks[&parent].is_over, "a parent that is over has no child");
                let root = self.tasks[&parent].root;
                self.tasks.insert(id, Seen { root, ..Seen::default() });
                self.ids.push(id);
            }
            assert!(!self.tasks[&id].is_over, "an effect of a task that is over");
            self.hear(id, effect);
        }
        let counters = self.dispatcher.counters();
        assert_eq!(counters.alive as usize, self.living());
        assert!(counters.alive <= self.capacity.tasks_max);
        assert_eq!(counters.spawned - counters.destroyed, u64::from(counters.alive));
        assert_eq!((counters.destroyed, counters.surprises), (self.ends, self.surprises));
        assert!(counters.refused >= self.refused);
        assert_eq!(self.dispatcher.deadline().is_some(), counters.alive > 0);
    }

    fn hear(&mut self, id: TaskId, effect: Effect) {
        let root = self.tasks[&id].root.unwrap();
        let seen = self.tasks.get_mut(&id).unwrap();
        match effect {
            Effect::Ask { ask, .. } => {
                let has_question = self.dispatcher.task(id).unwrap().question().is_some();
                assert!(has_question, "a question that is asked is there");
                seen.open.insert(ask, Kind::Ask);
            }
            Effect::Run { run, .. } => drop(seen.open.insert(run, Kind::Run)),
            Effect::Approve { approval, .. } => drop(seen.open.insert(approval, Kind::Approval)),
            Effect::Spawn { .. } => panic!("a child that the dispatcher did not spawn"),
            Effect::Cancel { wish } => drop(seen.open.remove(&wish)),
            Effect::Note(Event::Asked { .. }) => self.tasks.get_mut(&root).unwrap().asks += 1,
            Effect::End(outcome) => {
                seen.is_over = true;
                self.ends += 1;
                settled(&outcome.entries).unwrap();
                assert!(self.dispatcher.task(id).is_none(), "a task that is over is gone");
                let asks = self.tasks[&id].asks;
                if id == root {
                    assert_eq!(outcome.spending.model_calls, asks, "what children used is counted");
                }
            }
            _ => {}
        }
    }

    fn next(&mut self, random: &mut Random) -> Step {
        match random.below(30) {
            0 if random.once_in(10) => return Step::Stop,
            0..=2 => {
                self.now = if random.once_in(3) {
                    self.dispatcher.deadline().unwrap_or(self.now)
                } else {
                    self.now.after(random.below(3_000) as u64)
                };
                return Step::Tick;
            }
            _ => {}
        }
        let living: Vec<TaskId> = self.ids.iter().copied().filter(|id| !self.tasks[id].is_over).collect();
        let id = match living.is_empty() || random.once_in(40) {
            true => *random.one(&self.ids),
            false => *random.one(&living),
        };
        let seen = self.tasks.get_mut(&id).unwrap();
        let open: Vec<(WishId, Kind)> = seen.open.iter().map(|(wish, kind)| (*wish, *kind)).collect();
        let said = if open.is_empty() || random.once_in(40) {
            random.one(&[Said::Interrupt, Said::Tick, Said::Steer(setting::message(&mut random.clone()))]).clone()
        } else {
            let (wish, kind) = *random.one(&open);
            if kind != Kind::Ask && !random.once_in(10) {
                seen.open.remove(&wish);
            }
            match kind {
                Kind::Ask => Said::Model(wish, setting::model_event(random, &mut seen.calls)),
                Kind::Run => Said::Tool(wish, setting::output(random)),
                _ => Said::Approval(wish, setting::answer(random)),
            }
        };
        Step::Say(id, said)
    }
}

fn walk(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let capacity = Capacity { tasks_max: 1 + random.below(8) as u32, tenant_tasks_max: 1 + random.below(5) as u32 };
    let mut walk = Walk::new(capacity);
    let mut twin = Walk::new(capacity);
    let frame = setting::frame(&mut random);
    let mut said = 0;
    let mut steps: Vec<(Millis, Step, bool)> = Vec::new();
    for _ in 0..50 + random.below(300) {
        let step = if walk.ids.is_empty() || random.once_in(15) {
            let mut spec = setting::spec(&mut random, &frame);
            spec.governors.depth_max = 2;
            Step::Spawn(Box::new(spec))
        } else {
            walk.next(&mut random)
        };
        let taken = walk.take(step.clone());
        // Sometimes several facts come before anybody listens.
        let is_heard = !random.once_in(5);
        if is_heard {
            walk.listen();
        }
        if taken {
            steps.push((walk.now, step, is_heard));
        } else if is_heard {
            steps.push((walk.now, Step::Say(TaskId { slot: u32::MAX, generation: 0 }, Said::Tick), true));
        }
        said += 1;
    }
    walk.listen();
    walk.dispatcher.drain();
    while let Some(deadline) = walk.dispatcher.deadline() {
        walk.now = walk.now.max(deadline);
        walk.take(Step::Tick);
        walk.listen();
    }
    let counters = walk.dispatcher.counters();
    assert_eq!((counters.alive, walk.dispatcher.bytes_held()), (0, 0), "nothing survives");
    // K1 and K6: a twin that is told only what was taken wishes the same.
    for (now, step, is_heard) in steps {
        twin.now = now;
        twin.take(step);
        if is_heard {
            twin.listen();
        }
    }
    twin.listen();
    twin.dispatcher.drain();
    while let Some(deadline) = twin.dispatcher.deadline() {
        twin.now = twin.now.max(deadline);
        twin.take(Step::Tick);
        twin.listen();
    }
    assert_eq!(twin.wished, walk.wished, "K1, K6: the twin wished otherwise");
    said
}

#[test]
fn k1_k6_k7_and_the_counters_hold_on_random_walks_of_a_dispatcher() {
    let (mut seed, steps) = plan(15_000);
    let mut said = 0;
    while said < steps {
        let this = seed;
        let result = std::panic::catch_unwind(|| walk(this));
        said += result.unwrap_or_else(|panic| {
            println!("SEED={this} WALK_STEPS=1 replays it");
            std::panic::resume_unwind(panic)
        });
        seed = seed.wrapping_add(1);
    }
}
