//! The scripted world: models, tools and a person that do as they are told, and a count of what is still under way.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use aether_core::dispatcher::Capacity;
use aether_core::event::Scope;
use aether_core::facts::{Answer, ApprovalRequest, Outcome};
use aether_core::governor::{Governors, Price};
use aether_core::label::{Label, Origin};
use aether_core::model::{
    Delivery, Effort, ModelError, ModelErrorKind, ModelEvent, ModelOptions, Question, Stop as End,
};
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::spec::{Frame, Message, ModelChoice, Retry, Spec};
use aether_core::tool::{Act, Acts, Authorized, Grant, Limits, Output, ToolCall};
use aether_core::transcript::{Entry, ToolOutcome};
use aether_core::words::TaskId;
use aether_driver::{Boxed, Driver, Job, Sink, Stop, Told, World};
use aether_testkit::play::toolbox::{ToyTools, everything};

/// What is under way in the world, to be found empty in the end.
#[derive(Clone, Default)]
pub(crate) struct Work {
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Work {
    /// How many things are under way.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// How many were at the same time, at most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn begin(&self) -> Begun {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        Begun(self.open.clone())
    }
}

/// One thing under way; over when dropped.
struct Begun(Arc<AtomicUsize>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A world that reads its part from words: the person's last message, or the input of a call.
///
/// | goal | the model |
/// |---|---|
/// | `call TOOL INPUT` | calls it, and says `seen: RESULT` when it has the result |
/// | `silent` | never answers |
/// | `wait MS` | says `waited` after a while |
/// | `count N` | says the numbers from 1 to N, each as a piece of its own |
/// | `flood` | says so much that nobody can keep up |
/// | `fail` | ends with an error |
/// | `twice` | goes on saying things after its end |
/// | `lingering` | stays for good after its end |
///
/// | tool | input |
/// |---|---|
/// | `clock` | is done at once |
/// | `read` | runs beside: `wait MS`, `silent` |
/// | `write` | runs on a thread: `wait MS` without looking up, `obedient` until it is told to stop |
#[derive(Clone, Default)]
pub(crate) struct Scene {
    pub(crate) work: Work,
    /// Pieces that a flood has handed over so far.
    pub(crate) poured: Arc<AtomicUsize>,
    /// Blocking tools that saw that they should stop.
    pub(crate) obeyed: Arc<AtomicUsize>,
}

impl World for Scene {
    fn ask(&mut self, question: &Question<'_>, _model: usize, sink: Sink) -> Boxed<Result<(), ModelError>> {
        let begun = self.work.begin();
        let poured = self.poured.clone();
        let part = part(question.entries);
        Box::pin(async move {
            let _begun = begun;
            play(&part, sink, &poured).await
        })
    }

    fn run(&mut self, _task: TaskId, authorized: Authorized, stop: Stop) -> Job {
        let begun = self.work.begin();
        let (name, input) = (authorized.call().name.to_string(), authorized.call().input.to_string());
        let wait = Duration::from_millis(input.strip_prefix("wait ").and_then(|ms| ms.parse().ok()).unwrap_or(0));
        match &*name {
            "clock" => Job::Done(done("09:05")),
            "write" => {
                let obeyed = self.obeyed.clone();
                Job::Blocking(Box::new(move || {
                    let _begun = begun;
                    std::thread::sleep(wait);
                    // Five seconds, so that a driver that forgets it fails the test instead of hanging it.
                    let looks = if input == "obedient" { 5_000 } else { 0 };
                    for _ in 0..looks {
                        if stop.is_set() {
                            break;
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    obeyed.fetch_add(usize::from(stop.is_set()), Ordering::SeqCst);
                    done("written")
                }))
            }
            _ => Job::Future(Box::pin(async move {
                let _begun = begun;
                if input == "silent" {
                    pending::<()>().await;
                }
                tokio::time::sleep(wait).await;
                done("read")
            })),
        }
    }

    fn approve(&mut self, _task: TaskId, request: ApprovalRequest) -> Boxed<Answer> {
        let begun = self.work.begin();
        Box::pin(async move {
            let _begun = begun;
            match &*request.call.input {
                "no" => Answer::No("not today".into()),
                "yes" => Answer::Yes(Scope::Once),
                _ => pending().await,
            }
        })
    }
}

fn done(text: &str) -> Output {
    Output { outcome: ToolOutcome::Done, text: text.into(), label: Label::from(Origin::Tool) }
}

/// What the model is to do: what the person said last, or say what the last tool brought.
fn part(entries: &[Entry]) -> String {
    match entries.last() {
        Some(Entry::Tool(tool)) => format!("say seen: {}", tool.shown()),
        Some(Entry::Person { text, .. }) => text.to_string(),
        _ => "say the end".to_owned(),
    }
}

async fn play(part: &str, sink: Sink, poured: &AtomicUsize) -> Result<(), ModelError> {
    let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
    let number: u64 = rest.parse().unwrap_or(0);
    let text = |text: &str| ModelEvent::Text(text.to_owned());
    match word {
        "call" => {
            let (name, input) = rest.split_once(' ').unwrap_or((rest, ""));
            let call = ToolCall { id: "c1".into(), name: name.into(), input: input.into() };
            sink.send(vec![ModelEvent::Call(call), ModelEvent::Stop(End::Calls)]).await;
        }
        "silent" => pending().await,
        "wait" => {
            tokio::time::sleep(Duration::from_millis(number)).await;
            sink.send(vec![text("waited"), ModelEvent::Stop(End::Done)]).await;
        }
        "count" => {
            for n in 1..=number {
                sink.send(vec![text(&format!("{n} "))]).await;
                tokio::task::yield_now().await;
            }
            sink.send(vec![ModelEvent::Stop(End::Done)]).await;
        }
        "flood" => loop {
            sink.send(vec![text("x")]).await;
            poured.fetch_add(1, Ordering::SeqCst);
        },
        "fail" => return Err(ModelError::new(ModelErrorKind::Unauthorized, "the key is wrong")),
        "twice" => {
            sink.send(vec![text("once"), ModelEvent::Stop(End::Done), text("twice"), ModelEvent::Stop(End::Done)])
                .await;
        }
        "lingering" => {
            sink.send(vec![text("here"), ModelEvent::Stop(End::Done)]).await;
            pending().await
        }
        _ => sink.send(vec![text(rest), ModelEvent::Stop(End::Done)]).await,
    }
    Ok(())
}

/// A driver over this scene with room for 20,000 tasks.
pub(crate) fn driver(scene: &Scene) -> Driver<Scene> {
    Driver::new(Capacity { tasks_max: 20_000, tenant_tasks_max: 20_000 }, scene.clone())
}

/// A task with this goal and 30 seconds to live; acts that policy asks about are those of `asking`.
pub(crate) fn spec_asking(goal: &str, asking: &[Act]) -> Spec {
    let mut policy = Policy::default();
    for act in Act::ALL {
        let decision = if asking.contains(act) { Decision::Ask } else { Decision::Allow };
        policy.set(*act, Asker::Terminal, decision);
        policy.set(*act, Asker::Agent, decision);
    }
    let model = ModelChoice { name: "m".into(), codec: "scene", window_tokens: 100_000, price: Price::default() };
    let options = ModelOptions {
        output_tokens_max: None,
        temperature: None,
        effort: Effort::Unset,
        schema: None,
        delivery: Delivery::Streamed,
    };
    let frame = Frame {
        system: "".into(),
        toolbox: Arc::new(ToyTools::of(&["clock", "read", "write", "spawn"])),
        models: vec![model],
        options,
        policy,
        retry: Retry::default(),
    };
    Spec {
        frame: Arc::new(frame),
        history: Vec::new(),
        goal: Message::typed(goal),
        grant: Grant { acts: Acts::of(Act::ALL), capability: everything(), tools: None, limits: Limits::BUILTIN },
        governors: Governors { wall_ms_max: 30_000, closing_ms_max: 1_000, ..Governors::default() },
        asker: Asker::Terminal,
        depth: 0,
        tenant: 0,
        seed: 1,
    }
}

/// A task with this goal for which policy allows everything.
pub(crate) fn spec(goal: &str) -> Spec {
    spec_asking(goal, &[])
}

/// Runs the loop until no task lives, and gives how each ended, in the order of their ends.
pub(crate) async fn outcomes(driver: &mut Driver<Scene>) -> Vec<Outcome> {
    let mut ended = Vec::new();
    while let Some((_, told)) = driver.next().await {
        if let Told::Ended(outcome) = told {
            ended.push(*outcome);
        }
    }
    ended
}

/// Polls the loop once and drops it.
pub(crate) async fn glance(driver: &mut Driver<Scene>) -> Poll<Option<(TaskId, Told)>> {
    let mut next = std::pin::pin!(driver.next());
    std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await
}

/// Runs the loop for so many milliseconds, or until no task lives.
pub(crate) async fn for_ms(driver: &mut Driver<Scene>, ms: u64) {
    let run = async { while driver.next().await.is_some() {} };
    // That time is over is what was wanted.
    let _over = tokio::time::timeout(Duration::from_millis(ms), run).await;
}
