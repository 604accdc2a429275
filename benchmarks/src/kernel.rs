//! The kernel alone: what a waiting task weighs, and what dispatching allocates. No network, no thread, no clock.

use std::sync::Arc;

use aether_core::capability::Capability;
use aether_core::dispatcher::{Capacity, Dispatcher};
use aether_core::facts::{Effect, Input};
use aether_core::governor::{Governors, Price};
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelEvent, ModelOptions, Stop, Usage};
use aether_core::policy::{Asker, Policy};
use aether_core::spec::{Frame, Message, ModelChoice, Retry, Spec};
use aether_core::tool::{Acts, Grant, Limits, Manifest, Needs, Output, Plan, Runtime, ToolCall, Toolbox};
use aether_core::transcript::ToolOutcome;
use aether_core::words::{Millis, TaskId, WishId};

use crate::heap::{self, Counted};
use crate::{Unmeasured, program};

/// Tasks that wait at once.
const WAITING: u32 = 100_000;
/// Tasks among which events are dispatched.
const BUSY: u32 = 1_000;
/// Events of each kind before counting begins. Buffers reach their size here.
const WARM_ROUNDS: usize = 64;
/// Rounds that are counted; each dispatches every kind of event to one task.
const ROUNDS: usize = 20_000;
/// Whole agents that are counted.
const RUNS: u32 = 1_000;

/// What a waiting task weighs, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// Asked of the allocator.
    pub asked: f64,
    /// Resident memory the process grew by.
    pub resident: f64,
}

/// Lets 100,000 tasks wait for their models and weighs them. Ends with all of them interrupted and none left.
///
/// # Errors
/// When the dispatcher refuses a task or keeps one, or the system does not say how much memory there is.
pub fn weight() -> Result<Weight, Unmeasured> {
    let spec = spec(Vec::new());
    let mut dispatcher = Dispatcher::new(Capacity { tasks_max: WAITING, tenant_tasks_max: WAITING });
    let resident_before = program::resident_kb("self")?;
    heap::begin();
    for _ in 0..WAITING {
        dispatcher.spawn(Millis(0), spec.clone()).map_err(Unmeasured::new)?;
        while dispatcher.poll().is_some() {}
    }
    let Counted { bytes_held, .. } = heap::end();
    let resident = program::resident_kb("self")?.saturating_sub(resident_before) * 1024;
    dispatcher.interrupt_all(Millis(1));
    while dispatcher.poll().is_some() {}
    let left = dispatcher.counters().alive;
    if left > 0 {
        return Err(Unmeasured::new(format!("{left} tasks are left in the dispatcher, wanted 0")));
    }
    let each = |bytes: f64| (bytes / f64::from(WAITING)).ceil();
    Ok(Weight { asked: each(bytes_held as f64), resident: each(resident as f64) })
}

/// Allocations of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Allocations {
    /// Per event, of the kinds that [`per_event`] lists.
    pub per_event: f64,
    /// Per whole agent: goal, question, answer with one tool call, its result, question, answer, end.
    pub per_run: f64,
}

/// Counts allocations.
///
/// # Errors
/// When the kernel takes an event differently from what the measurement is about.
pub fn allocations() -> Result<Allocations, Unmeasured> {
    Ok(Allocations { per_event: per_event()?, per_run: per_run()? })
}

/// Allocations for each event that is dispatched to one of 1,000 tasks, once their buffers have found their size.
///
/// A round is seven events: a piece of text (within what the answer's buffer holds), a piece of reasoning, usage, a
/// fact that comes too late, a tick with no deadline reached, the deadline asked for, and every wish polled. Payloads
/// are made before counting begins and are moved, never copied. Not among them: what begins or ends a turn, a batch of
/// calls or a task, which keeps new things and so must allocate; [`per_run`] counts that.
fn per_event() -> Result<f64, Unmeasured> {
    let mut busy = Busy::new(BUSY)?;
    let tasks = busy.tasks.clone();
    for round in 0..WARM_ROUNDS {
        for (task, ask) in &tasks {
            busy.round(*task, *ask, payloads(), round as u64)?;
        }
    }
    let mut ready: Vec<Payloads> = (0..ROUNDS).map(|_| payloads()).collect();
    let mut told = Vec::with_capacity(ROUNDS * 4);
    heap::begin();
    for round in 0..ROUNDS {
        let (task, ask) = tasks[round % tasks.len()];
        let Some(payloads) = ready.pop() else { break };
        busy.hand_in(task, ask, payloads, (WARM_ROUNDS + round) as u64)?;
        while let Some(effect) = busy.dispatcher.poll() {
            told.push(effect);
        }
    }
    let counted = heap::end();
    if told.len() < ROUNDS * 2 {
        return Err(Unmeasured::new(format!("{} wishes came of {ROUNDS} rounds, wanted two or more each", told.len())));
    }
    Ok(counted.allocations as f64 / (ROUNDS * EVENTS_PER_ROUND) as f64)
}

/// See [`per_event`].
const EVENTS_PER_ROUND: usize = 7;

struct Payloads {
    text: String,
    reasoning: String,
}

fn payloads() -> Payloads {
    Payloads { text: "seven ".to_owned(), reasoning: "hm ".to_owned() }
}

/// Tasks that each have a question open.
struct Busy {
    dispatcher: Dispatcher,
    tasks: Vec<(TaskId, WishId)>,
}

impl Busy {
    fn new(count: u32) -> Result<Busy, Unmeasured> {
        let mut dispatcher = Dispatcher::new(Capacity { tasks_max: count, tenant_tasks_max: count });
        let spec = spec(Vec::new());
        let mut tasks = Vec::new();
        for _ in 0..count {
            let task = dispatcher.spawn(Millis(0), spec.clone()).map_err(Unmeasured::new)?;
            while let Some((_, effect)) = dispatcher.poll() {
                if let Effect::Ask { ask, .. } = effect {
                    tasks.push((task, ask));
                }
            }
        }
        // The answer's buffer doubles as it grows; this is room for what is measured.
        for (task, ask) in &tasks {
            let event = ModelEvent::Text("x".repeat(4096));
            dispatcher.handle(Millis(0), *task, Input::Model { ask: *ask, event }).map_err(Unmeasured::new)?;
            while dispatcher.poll().is_some() {}
        }
        Ok(Busy { dispatcher, tasks })
    }

    fn round(&mut self, task: TaskId, ask: WishId, payloads: Payloads, now: u64) -> Result<(), Unmeasured> {
        self.hand_in(task, ask, payloads, now)?;
        while self.dispatcher.poll().is_some() {}
        Ok(())
    }

    fn hand_in(&mut self, task: TaskId, ask: WishId, payloads: Payloads, now: u64) -> Result<(), Unmeasured> {
        let now = Millis(now);
        let usage = Usage { input_tokens: 900, output_tokens: now.0 % 50, ..Usage::default() };
        let Payloads { text, reasoning } = payloads;
        for event in [ModelEvent::Text(text), ModelEvent::Reasoning(reasoning), ModelEvent::Usage(usage)] {
            self.dispatcher.handle(now, task, Input::Model { ask, event }).map_err(Unmeasured::new)?;
        }
        let late = Input::Model { ask: WishId(u32::MAX), event: ModelEvent::Stop(Stop::Done) };
        if self.dispatcher.handle(now, task, late).is_ok() {
            return Err(Unmeasured::new("an answer to a question that nobody asked was taken"));
        }
        self.dispatcher.tick(now);
        match self.dispatcher.deadline() {
            Some(_) => Ok(()),
            None => Err(Unmeasured::new("a waiting task has no deadline")),
        }
    }
}

/// Allocations for each whole agent, one after the other in the same dispatcher, what it was made of included.
fn per_run() -> Result<f64, Unmeasured> {
    let spec = spec(vec![Arc::new(clock())]);
    let mut dispatcher = Dispatcher::new(Capacity { tasks_max: 1, tenant_tasks_max: 1 });
    run(&mut dispatcher, &spec)?;
    heap::begin();
    for _ in 0..RUNS {
        run(&mut dispatcher, &spec)?;
    }
    Ok(heap::end().allocations as f64 / f64::from(RUNS))
}

fn run(dispatcher: &mut Dispatcher, spec: &Spec) -> Result<(), Unmeasured> {
    let task = dispatcher.spawn(Millis(0), spec.clone()).map_err(Unmeasured::new)?;
    let mut asked = 0;
    while let Some((_, effect)) = dispatcher.poll() {
        let inputs = match effect {
            Effect::Ask { ask, .. } => {
                asked += 1;
                let event =
                    if asked == 1 { ModelEvent::Call(call()) } else { ModelEvent::Text("It is late.".to_owned()) };
                let stop = if asked == 1 { Stop::Calls } else { Stop::Done };
                vec![Input::Model { ask, event }, Input::Model { ask, event: ModelEvent::Stop(stop) }]
            }
            Effect::Run { run, authorized } => {
                let label = authorized.needs().label;
                let output = Output { outcome: ToolOutcome::Done, text: "23:05".into(), label };
                vec![Input::Tool { run, output }]
            }
            Effect::End(_) => return Ok(()),
            _ => Vec::new(),
        };
        for input in inputs {
            dispatcher.handle(Millis(0), task, input).map_err(Unmeasured::new)?;
        }
    }
    Err(Unmeasured::new("an agent of the measurement came to no end"))
}

fn call() -> ToolCall {
    ToolCall { id: "call_1".into(), name: "clock".into(), input: "{}".into() }
}

/// A tool that touches nothing.
fn clock() -> Manifest {
    Manifest {
        name: "clock".into(),
        version: "1.0.0".into(),
        description: "Tells the time".into(),
        input: r#"{"type":"object","properties":{}}"#.into(),
        runtime: Runtime::Builtin,
        acts: Acts::NONE,
        capability: Capability::default(),
        limits: Limits::BUILTIN,
    }
}

/// The tools of the measurement.
struct Tools(Vec<Arc<Manifest>>);

impl Toolbox for Tools {
    fn manifests(&self) -> &[Arc<Manifest>] {
        &self.0
    }

    fn plan(&self, _call: &ToolCall) -> Result<Plan, String> {
        let (acts, capability) = (Acts::NONE, Capability::default());
        Ok(Plan::Run(Needs { acts, capability, label: Label::from(Origin::Tool) }))
    }
}

fn spec(tools: Vec<Arc<Manifest>>) -> Spec {
    let model = ModelChoice { name: "scripted".into(), codec: "none", window_tokens: 128_000, price: Price::default() };
    let frame = Frame {
        system: "You tell the time.".into(),
        toolbox: Arc::new(Tools(tools)),
        models: vec![model],
        options: ModelOptions::default(),
        policy: Policy::default(),
        retry: Retry::default(),
    };
    Spec {
        frame: Arc::new(frame),
        history: Vec::new(),
        goal: Message::typed("What time is it in Oslo and in Lima?"),
        grant: Grant { acts: Acts::NONE, capability: Capability::default(), tools: None, limits: Limits::BUILTIN },
        governors: Governors::default(),
        asker: Asker::Terminal,
        depth: 0,
        tenant: 0,
        seed: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatching_allocates_nothing() {
        assert_eq!(per_event().unwrap(), 0.0);
    }

    #[test]
    fn a_whole_agent_allocates_and_is_counted() {
        assert!(per_run().unwrap() > 1.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_waiting_task_has_a_weight_and_none_is_left() {
        let weight = weight().unwrap();
        assert!(weight.asked > 100.0 && weight.resident > 100.0, "{weight:?}");
    }
}
