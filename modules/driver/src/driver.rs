//! The loop: wishes out, facts in, time.

use std::collections::HashMap;
use std::time::Duration;

use aether_core::dispatcher::{Capacity, Counters, Dispatcher, Full};
use aether_core::event::Event;
use aether_core::facts::{ApprovalRequest, Effect, Input, Outcome, Surprise};
use aether_core::model::ModelEvent;
use aether_core::spec::{Message, Spec};
use aether_core::tool::Authorized;
use aether_core::words::{Millis, TaskId, WishId};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::world::{Fact, Job, Sink, Stop, World};

/// Facts that may wait for the loop before those who bring them have to wait.
const FACTS_MAX: usize = 256;

/// Questions that are written before those that were written already get their turn to be sent: the bytes of a
/// question live until they are on their way, and there may be as many questions as there are tasks.
const ASKS_MAX: u32 = 16;

/// Something to tell the person or to write down.
#[derive(Debug)]
pub enum Told {
    /// A piece of an answer.
    Said {
        /// The question whose answer it is part of.
        ask: WishId,
        /// The piece.
        text: String,
    },
    /// A piece of a model's reasoning.
    Reasoned {
        /// The question.
        ask: WishId,
        /// The piece.
        text: String,
    },
    /// What was said of this answer is void.
    Unsaid {
        /// The question.
        ask: WishId,
    },
    /// An event.
    Noted(Event),
    /// The task is over.
    Ended(Box<Outcome>),
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Jobs that had not ended when the limit passed. They hold a thread until they do.
    pub orphans: usize,
    /// The dispatcher's counts; `spawned == destroyed` after every shutdown.
    pub counters: Counters,
}

/// The dispatcher, the clock, and everything that was started for a wish.
///
/// | | |
/// |---|---|
/// | commands | [`Driver::spawn`], [`Driver::steer`], [`Driver::interrupt`], [`Driver::drain`] |
/// | the loop | [`Driver::next`], until `None` |
/// | the end | [`Driver::shutdown`] |
///
/// It must be used within a tokio runtime with time enabled.
pub struct Driver<W> {
    dispatcher: Dispatcher,
    world: W,
    start: Instant,
    sender: mpsc::Sender<Fact>,
    facts: mpsc::Receiver<Fact>,
    jobs: JoinSet<()>,
    open: HashMap<(TaskId, WishId), Open>,
    /// Questions written since others had their turn.
    asks: u32,
}

/// What was started for a wish.
struct Open {
    job: AbortHandle,
    stop: Option<Stop>,
}

impl<W: World> Driver<W> {
    /// A driver without tasks; its clock starts now.
    pub fn new(capacity: Capacity, world: W) -> Driver<W> {
        let (sender, facts) = mpsc::channel(FACTS_MAX);
        Driver {
            dispatcher: Dispatcher::new(capacity),
            world,
            start: Instant::now(),
            sender,
            facts,
            jobs: JoinSet::new(),
            open: HashMap::new(),
            asks: 0,
        }
    }

    /// Takes a task in.
    ///
    /// # Errors
    /// [`Full`].
    pub fn spawn(&mut self, spec: Spec) -> Result<TaskId, Full> {
        self.dispatcher.spawn(self.now(), spec)
    }

    /// Says something to a task on its way.
    ///
    /// # Errors
    /// [`Surprise`]: it is over, closing, or has too many messages waiting.
    pub fn steer(&mut self, task: TaskId, message: Message) -> Result<(), Surprise> {
        self.dispatcher.handle(self.now(), task, Input::Steer(message))
    }

    /// Stops a task: it ends with what it has.
    ///
    /// # Errors
    /// [`Surprise::Ended`].
    pub fn interrupt(&mut self, task: TaskId) -> Result<(), Surprise> {
        self.dispatcher.handle(self.now(), task, Input::Interrupt)
    }

    /// Takes no more tasks; those that live go on.
    pub fn drain(&mut self) {
        self.dispatcher.drain();
    }

    /// Counts so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.dispatcher.counters()
    }

    /// The dispatcher, to look at.
    #[must_use]
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// The world, to look at or to change between wishes.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// Milliseconds on the driver's clock, which is monotonic.
    #[must_use]
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Runs the loop until there is something to tell; `None` once no task lives. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<(TaskId, Told)> {
        loop {
            if self.asks >= ASKS_MAX {
                self.asks = 0;
                tokio::task::yield_now().await;
            }
            let Some((task, effect)) = self.dispatcher.poll() else {
                if self.dispatcher.counters().alive == 0 {
                    return None;
                }
                self.wait().await;
                continue;
            };
            if let Some(told) = self.carry_out(task, effect) {
                return Some((task, told));
            }
        }
    }

    /// Ends everything: gives tasks `limit_ms` to end by themselves, then interrupts them, then gives their
    /// jobs as long again to stop. What is told on the way goes to `tell`.
    pub async fn shutdown(mut self, limit_ms: u64, mut tell: impl FnMut(TaskId, Told)) -> Shutdown {
        self.drain();
        let limit = Duration::from_millis(limit_ms);
        let gentle = tokio::time::timeout(limit, async {
            while let Some((task, told)) = self.next().await {
                tell(task, told);
            }
        });
        if gentle.await.is_err() {
            self.dispatcher.interrupt_all(self.now());
            while let Some((task, effect)) = self.dispatcher.poll() {
                if let Some(told) = self.carry_out(task, effect) {
                    tell(task, told);
                }
            }
        }
        for (_, open) in self.open.drain() {
            open.cancel();
        }
        // The rest serves no wish any more, such as reading a connection to its end. Blocking jobs end by their flag.
        self.jobs.abort_all();
        // Whoever still brings a fact has nobody to bring it to, and must not wait for one.
        self.facts.close();
        let joined = tokio::time::timeout(limit, async { while self.jobs.join_next().await.is_some() {} });
        // Past the limit, those that are left are counted.
        let _in_time = joined.await;
        Shutdown { orphans: self.jobs.len(), counters: self.counters() }
    }

    /// Waits for one fact or for time to pass, and takes in all facts that are there.
    async fn wait(&mut self) {
        let deadline = self.dispatcher.deadline().map(|at| self.start + Duration::from_millis(at.0));
        let Some(deadline) = deadline else { return };
        let fact = tokio::select! {
            biased;
            fact = self.facts.recv() => fact,
            () = tokio::time::sleep_until(deadline) => None,
        };
        if let Some(fact) = fact {
            self.take_in(fact);
        }
        for _ in 0..FACTS_MAX {
            let Ok(fact) = self.facts.try_recv() else { break };
            self.take_in(fact);
        }
        while self.jobs.try_join_next().is_some() {}
        self.dispatcher.tick(self.now());
    }

    fn take_in(&mut self, fact: Fact) {
        let now = self.now();
        match fact {
            Fact::Model { task, ask, events } => {
                for event in events {
                    if matches!(event, ModelEvent::Stop(_) | ModelEvent::Error(_)) {
                        self.open.remove(&(task, ask));
                    }
                    self.hand_in(now, task, Input::Model { ask, event });
                }
            }
            Fact::Tool { task, run, output } => {
                self.open.remove(&(task, run));
                self.hand_in(now, task, Input::Tool { run, output });
            }
            Fact::Approval { task, approval, answer } => {
                self.open.remove(&(task, approval));
                self.hand_in(now, task, Input::Approval { approval, answer });
            }
        }
    }

    /// Hands a fact to the kernel. One that comes after its wish was cancelled is refused there and counted.
    fn hand_in(&mut self, now: Millis, task: TaskId, input: Input) {
        let _taken = self.dispatcher.handle(now, task, input);
    }

    fn carry_out(&mut self, task: TaskId, effect: Effect) -> Option<Told> {
        match effect {
            Effect::Ask { ask, model } => self.ask(task, ask, model),
            Effect::Run { run, authorized } => self.run(task, run, *authorized),
            Effect::Approve { approval, request } => self.approve(task, approval, *request),
            Effect::Cancel { wish } => {
                if let Some(open) = self.open.remove(&(task, wish)) {
                    open.cancel();
                }
            }
            Effect::Say { ask, text } => return Some(Told::Said { ask, text }),
            Effect::Reason { ask, text } => return Some(Told::Reasoned { ask, text }),
            Effect::Unsay { ask } => return Some(Told::Unsaid { ask }),
            Effect::Note(event) => return Some(Told::Noted(event)),
            Effect::End(outcome) => return Some(Told::Ended(outcome)),
            // The dispatcher keeps these to itself.
            Effect::Spawn { .. } => {}
        }
        None
    }

    fn ask(&mut self, task: TaskId, ask: WishId, model: usize) {
        // A question that was cancelled before its turn came is no longer there.
        let Some(question) = self.dispatcher.task(task).and_then(|task| task.question()) else { return };
        self.asks += 1;
        let sink = Sink { facts: self.sender.clone(), task, ask };
        let answer = self.world.ask(&question, model, sink);
        let facts = self.sender.clone();
        let job = self.jobs.spawn(async move {
            if let Err(error) = answer.await {
                let fact = Fact::Model { task, ask, events: vec![ModelEvent::Error(error)] };
                // Without a driver there is nobody left to tell.
                let _sent = facts.send(fact).await;
            }
        });
        self.open.insert((task, ask), Open { job, stop: None });
    }

    fn run(&mut self, task: TaskId, run: WishId, authorized: Authorized) {
        let stop = Stop::default();
        let job = match self.world.run(task, authorized, stop.clone()) {
            Job::Done(output) => {
                let now = self.now();
                return self.hand_in(now, task, Input::Tool { run, output });
            }
            Job::Blocking(work) => {
                let facts = self.sender.clone();
                self.jobs.spawn_blocking(move || {
                    let output = work();
                    // Without a driver there is nobody left to tell.
                    let _sent = facts.blocking_send(Fact::Tool { task, run, output });
                })
            }
            Job::Future(work) => {
                let facts = self.sender.clone();
                self.jobs.spawn(async move {
                    let output = work.await;
                    // As above.
                    let _sent = facts.send(Fact::Tool { task, run, output }).await;
                })
            }
        };
        self.open.insert((task, run), Open { job, stop: Some(stop) });
    }

    fn approve(&mut self, task: TaskId, approval: WishId, request: ApprovalRequest) {
        let answer = self.world.approve(task, request);
        let facts = self.sender.clone();
        let job = self.jobs.spawn(async move {
            let answer = answer.await;
            // Without a driver there is nobody left to tell.
            let _sent = facts.send(Fact::Approval { task, approval, answer }).await;
        });
        self.open.insert((task, approval), Open { job, stop: None });
    }
}

impl Open {
    fn cancel(self) {
        if let Some(stop) = self.stop {
            stop.set();
        }
        self.job.abort();
    }
}
