//! Walks of one task.

use std::hash::{DefaultHasher, Hasher};

use aether_core::facts::{Effect, Input, Surprise};
use aether_core::task::{STEERS_MAX, Task};
use aether_core::words::{Millis, WishId};

use super::random::{Random, plan};
use super::setting::{self, Said};
use super::watch::{Kind, Watch};

/// The most ticks that a task may take to end when nobody says anything any more.
const TICKS_MAX: usize = 5_000;

struct Walk {
    task: Task,
    watch: Watch,
    now: Millis,
    /// What was taken, and when; for the twin.
    taken: Vec<(Millis, Said)>,
    /// Everything it wished, in order.
    wished: u64,
    calls: u32,
    steers: usize,
    seen: WishId,
}

impl Walk {
    fn begin(task: Task, watch: Watch) -> Walk {
        let (taken, seen) = (Vec::new(), WishId(0));
        let mut walk = Walk { task, watch, now: Millis(0), taken, wished: 0, calls: 0, steers: 0, seen };
        walk.listen();
        walk
    }

    fn listen(&mut self) {
        while let Some(effect) = self.task.poll() {
            self.watch.hear(&effect, self.task.question());
            if let Effect::Ask { ask, .. } = &effect {
                self.seen = *ask;
            }
            self.wished = mix(self.wished, &effect);
        }
        let has_question = self.watch.open.values().any(|kind| *kind == Kind::Ask);
        assert_eq!(self.task.question().is_some(), has_question);
        assert_eq!(self.task.deadline().is_none(), self.watch.ended.is_some());
    }

    /// A wish to speak to: mostly one that is open, sometimes one that was, or never.
    fn wish(&self, random: &mut Random, kind: Kind) -> WishId {
        let open: Vec<WishId> = self.watch.open.iter().filter(|(_, k)| **k == kind).map(|(wish, _)| *wish).collect();
        if !open.is_empty() && !random.once_in(20) {
            return *random.one(&open);
        }
        WishId(random.below(self.seen.0 as usize + 4) as u32)
    }

    fn next(&mut self, random: &mut Random) -> Said {
        let kinds: Vec<Kind> = self.watch.open.values().copied().collect();
        let kind = if kinds.is_empty() || random.once_in(30) {
            *random.one(&[Kind::Ask, Kind::Run, Kind::Approval, Kind::Child])
        } else {
            *random.one(&kinds)
        };
        match random.below(40) {
            0 => Said::Steer(setting::message(random)),
            1 if random.once_in(6) => Said::Interrupt,
            2 | 3 => {
                self.pass_time(random);
                Said::Tick
            }
            _ => {
                let wish = self.wish(random, kind);
                match kind {
                    Kind::Ask => Said::Model(wish, setting::model_event(random, &mut self.calls)),
                    Kind::Run => Said::Tool(wish, setting::output(random)),
                    Kind::Approval => Said::Approval(wish, setting::answer(random)),
                    Kind::Child => Said::Child(wish, setting::report(random)),
                }
            }
        }
    }

    fn pass_time(&mut self, random: &mut Random) {
        self.now = match random.below(8) {
            0 => self.task.deadline().unwrap_or(self.now),
            1 => Millis(self.now.0.saturating_sub(100)),
            2 if random.once_in(8) => self.now.after(1_000_000),
            _ => self.now.after(random.below(1_500) as u64),
        };
    }

    /// Whether the fact fits, as far as it can be told from outside.
    fn fits(&self, said: &Said) -> Option<bool> {
        let is_open = |wish: &WishId, kind| Some(self.watch.open.get(wish) == Some(&kind));
        match said {
            _ if self.watch.ended.is_some() => Some(false),
            Said::Model(ask, _) => is_open(ask, Kind::Ask),
            Said::Tool(run, _) => is_open(run, Kind::Run),
            Said::Approval(approval, _) => is_open(approval, Kind::Approval),
            Said::Child(run, _) => is_open(run, Kind::Child),
            Said::Steer(_) => None,
            Said::Interrupt | Said::Tick => Some(true),
        }
    }

    fn say(&mut self, said: Said) {
        let fits = self.fits(&said);
        if let (Said::Approval(approval, answer), Some(true)) = (&said, fits) {
            self.watch.answered(*approval, answer);
        }
        let before = self.task.deadline();
        match self.task.handle(self.now, said.clone().input()) {
            Ok(()) => {
                assert_ne!(fits, Some(false), "K2: {said:?} was taken");
                self.steers = if let Said::Steer(_) = said { self.steers + 1 } else { self.steers };
                self.close(&said);
                self.taken.push((self.now, said));
                self.listen();
                assert!(self.watch.is_in_time(self.now), "K7: it lives beyond its end");
            }
            Err(surprise) => {
                assert_ne!(fits, Some(true), "{said:?} was refused: {surprise}");
                assert_eq!(self.task.deadline(), before, "K6");
                assert!(self.task.poll().is_none(), "K6: a refused fact had an effect");
                assert_eq!(surprise == Surprise::Ended, self.watch.ended.is_some());
                assert!(surprise != Surprise::Full || self.steers >= STEERS_MAX);
            }
        }
    }

    /// A fact that answers a wish closes it; parts of a model's answer do not.
    fn close(&mut self, said: &Said) {
        use aether_core::model::ModelEvent::{Error, Stop};
        match said {
            Said::Model(wish, Stop(_) | Error(_))
            | Said::Tool(wish, _)
            | Said::Approval(wish, _)
            | Said::Child(wish, _) => {
                self.watch.close(*wish);
            }
            _ => {}
        }
    }
}

/// A hash over what a thing looks like.
pub(crate) fn mix(hash: u64, thing: &impl std::fmt::Debug) -> u64 {
    struct Text(DefaultHasher);
    impl std::fmt::Write for Text {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut text = Text(DefaultHasher::new());
    text.0.write_u64(hash);
    std::fmt::write(&mut text, format_args!("{thing:?}")).unwrap();
    text.0.finish()
}

fn walk(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let frame = setting::frame(&mut random);
    let spec = setting::spec(&mut random, &frame);
    let mut walk = Walk::begin(Task::new(Millis(0), spec.clone()), Watch::new(Millis(0), spec.clone()));
    let steps = 20 + random.below(200);
    let mut said = 0;
    while said < steps && (walk.watch.ended.is_none() || random.once_in(2)) {
        if random.once_in(10) {
            walk.pass_time(&mut random);
        }
        let next = walk.next(&mut random);
        walk.say(next);
        said += 1;
    }
    // K3: with nothing but time, it ends.
    for ticks in 0.. {
        let Some(deadline) = walk.task.deadline() else { break };
        assert!(ticks < TICKS_MAX, "K3: it does not end");
        walk.now = walk.now.max(deadline);
        walk.say(Said::Tick);
    }
    let outcome = walk.watch.ended.as_ref().expect("K3: it ends");
    assert!(outcome.spending.model_calls >= walk.watch.asks());
    assert!(outcome.spending.output_bytes >= walk.watch.said_bytes());
    // K1 and K6: a twin that is told only what was taken wishes the same.
    let mut twin = Task::new(Millis(0), spec);
    let mut wished = 0;
    let listen = |twin: &mut Task, wished: &mut u64| {
        while let Some(effect) = twin.poll() {
            *wished = mix(*wished, &effect);
        }
    };
    listen(&mut twin, &mut wished);
    for (now, said) in walk.taken {
        twin.handle(now, said.input()).expect("K1: what was taken once is taken again");
        listen(&mut twin, &mut wished);
    }
    assert_eq!(wished, walk.wished, "K1, K6: the twin wished otherwise");
    said
}

#[test]
fn k1_k2_k3_k4_k5_k6_k7_hold_on_random_walks_of_a_task() {
    let (mut seed, steps) = plan(20_000);
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

#[test]
fn k6_a_tick_for_a_task_that_is_over_is_refused() {
    let mut random = Random::new(7);
    let frame = setting::frame(&mut random);
    let mut task = Task::new(Millis(0), setting::spec(&mut random, &frame));
    task.handle(Millis(0), Input::Interrupt).unwrap();
    assert_eq!(task.handle(Millis(9), Input::Tick), Err(Surprise::Ended));
}
