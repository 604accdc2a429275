//! `aether bench calls`: untrusted calls by the thousand, killed at random in every part; then nothing may be left.
//!
//! Calls come in rounds, in turn in jails of this process and in jails of a sidecar. Some are given up while they run,
//! and now and then a program, the spawner or the sidecar is killed. After each round everything is stopped, one more
//! call is made and ended, as the next start would do, and what is there is compared with what was there before.

mod left;
mod repertoire;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aether_executor::{Call, Executor};
use aether_programs::Programs;
use aether_sidecar::{Notice, Options, Outcome, Sidecar};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use self::left::{Kind, LEFT, Scene, family_of, kill};
use self::repertoire::{Wanted, wanted};
use super::soak::Workspace;
use super::weather::Random;
use super::{JSON, ended, number, report};
use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::policy;
use crate::run::runtime;
use crate::secure::settings::Settings;
use crate::trouble::{Exit, Trouble};

/// Flags of `aether bench calls`.
pub(crate) const CALLS_FLAGS: &[Flag] = &[
    Flag { long: "calls", short: None, value: Some("N"), key: None, doc: "How many calls (2000)" },
    Flag { long: "seed", short: None, value: Some("N"), key: None, doc: "Begin the same random course again" },
    JSON,
];

/// Calls of one round.
const ROUND_CALLS: u64 = 100;
/// Calls at once.
const AT_ONCE: usize = 8;
/// One call in so many is followed by the end of some process.
const KILL_ONE_IN: u64 = 24;
/// Of those, one in so many ends the sidecar, where there is one: it is started again later each time.
const KILL_SIDECAR_ONE_IN: u64 = 3;
/// How long any call may take at all, in milliseconds.
const CALL_MS_MAX: u64 = 60_000;
/// How long the end of everything may take, in milliseconds.
const SETTLE_MS_MAX: u64 = 10_000;
/// How often it is looked at meanwhile, in milliseconds.
const SETTLE_MS: u64 = 20;

/// Runs it.
pub(crate) fn calls(invocation: &Invocation) -> Result<Exit, Trouble> {
    let calls = number(invocation, "calls", 2_000, 1..=100_000_000)?;
    let seed = number(invocation, "seed", 1, 0..=u64::MAX)?;
    left::adopt().map_err(Trouble::failed)?;
    let boot = Boot::new(invocation)?;
    let place = Workspace::new()?;
    let settings = Settings::new(&boot, &place.path()?, &policy::load(&boot.directories)?);
    let mut soak = Soak::new(settings, &place, seed)?;
    let begun = Instant::now();
    let runtime = runtime()?;
    runtime.block_on(async {
        // What is made once and kept — descriptors of the event loop, threads — is there after the first rounds.
        for _ in 0..2 {
            let sidecars = soak.round(1).await?;
            soak.warm.extend(sidecars);
        }
        soak.begin().await?;
        while soak.counts.calls < calls && soak.has_left_nothing() {
            let round = ROUND_CALLS.min(calls - soak.counts.calls);
            let sidecars = soak.round(round).await?;
            soak.settle(&sidecars).await?;
        }
        Ok::<_, Trouble>(())
    })?;
    let mut found = soak.found(seed);
    found["seconds"] = json!(begun.elapsed().as_secs());
    report(invocation, &found)?;
    ended(&violations(&found, &soak.left))
}

/// What happened so far.
struct Soak {
    settings: Settings,
    programs: Programs,
    random: Random,
    /// Rounds so far; every second one has a sidecar.
    rounds: u64,
    counts: Counts,
    /// The sidecars of the rounds that do not count.
    warm: BTreeSet<u32>,
    scene: Scene,
    /// What was there that had not been there before, in words.
    left: Vec<(&'static str, String)>,
}

#[derive(Default)]
struct Counts {
    calls: u64,
    ends: [u64; ENDS.len()],
    killed: [u64; Kind::ALL.len()],
}

/// How a call can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    Breached,
    /// Nothing ran, or nobody knows what became of it: its spawner or sidecar was killed.
    Refused,
    GivenUp,
    /// It did not end.
    Stuck,
}

/// Each with its name.
const ENDS: [(End, &str); 6] = [
    (End::Done, "done"),
    (End::Failed, "failed"),
    (End::Breached, "breached"),
    (End::Refused, "refused"),
    (End::GivenUp, "given_up"),
    (End::Stuck, "stuck"),
];

/// Who carries calls out.
#[derive(Clone)]
enum Way {
    Own(Arc<Executor>),
    Kernel(Arc<Sidecar>),
}

impl Soak {
    fn new(settings: Settings, place: &Workspace, seed: u64) -> Result<Soak, Trouble> {
        let programs = settings.programs();
        let scene = Scene::new(&place.path()?);
        let random = Random::new(seed.rotate_left(32));
        let (counts, warm, left) = (Counts::default(), BTreeSet::new(), Vec::new());
        Ok(Soak { settings, programs, random, rounds: 0, counts, warm, scene, left })
    }

    /// From now on everything counts.
    async fn begin(&mut self) -> Result<(), Trouble> {
        self.counts = Counts::default();
        // What the rounds before began has ended by then.
        let until = Instant::now() + Duration::from_millis(SETTLE_MS_MAX);
        while !family_of()?.is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(SETTLE_MS)).await;
            left::bury(&self.warm)?;
        }
        self.scene.remember()
    }

    fn has_left_nothing(&self) -> bool {
        self.left.is_empty()
    }

    /// So many calls, and the end of everything. Comes back with the sidecars that there were.
    async fn round(&mut self, calls: u64) -> Result<BTreeSet<u32>, Trouble> {
        self.rounds += 1;
        let sidecars: Arc<Mutex<BTreeSet<u32>>> = Arc::default();
        let way = self.way(&sidecars).await?;
        let mut running = JoinSet::new();
        for _ in 0..calls {
            while running.len() >= AT_ONCE {
                self.note(running.join_next().await);
            }
            let wanted = wanted(&mut self.random, &self.programs)?;
            running.spawn(one(way.clone(), wanted));
            self.counts.calls += 1;
            if self.random.below(KILL_ONE_IN) == 0 {
                self.kill_one(&locked(&sidecars))?;
            }
            tokio::task::yield_now().await;
        }
        // Some are left to themselves, and end with what runs them.
        let kept = usize::try_from(self.random.below(AT_ONCE as u64)).unwrap_or(0);
        while running.len() > kept {
            self.note(running.join_next().await);
        }
        self.scene.meet(&family_of()?);
        self.counts.ends[End::GivenUp as usize] += running.len() as u64;
        running.shutdown().await;
        self.stop(way).await;
        self.once_more().await?;
        Ok(locked(&sidecars))
    }

    async fn way(&self, sidecars: &Arc<Mutex<BTreeSet<u32>>>) -> Result<Way, Trouble> {
        if self.rounds.is_multiple_of(2) {
            return Ok(Way::Own(Arc::new(Executor::new(self.settings.options()?, None, Arc::new(|_| ())))));
        }
        let seen = Arc::clone(sidecars);
        let options = Options {
            settings: Zeroizing::new(self.settings.encode().into_bytes()),
            issuer: crate::show::random_bytes(),
            notice: Some(Arc::new(move |notice| {
                if let Notice::Serving { process, .. } = notice {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).insert(process);
                }
            })),
            ..Options::default()
        };
        Ok(Way::Kernel(Arc::new(Sidecar::start(options).await.map_err(Trouble::failed)?)))
    }

    /// Ends what carries calls out: in good order, or by letting go.
    async fn stop(&mut self, way: Way) {
        if let Way::Kernel(sidecar) = way
            && self.random.below(2) == 0
            && let Some(sidecar) = Arc::into_inner(sidecar)
        {
            sidecar.stop().await;
        }
    }

    /// What the next start does: it takes away what one that was killed could not.
    async fn once_more(&mut self) -> Result<(), Trouble> {
        let executor = Executor::new(self.settings.options()?, None, Arc::new(|_| ()));
        let call = Wanted::plain(&self.programs)?.call;
        let ran = executor.run(&call, None).await.map_err(Trouble::failed)?;
        self.scene.meet(&family_of()?);
        if ran.is_success { Ok(()) } else { Err(Trouble::failed(format!("a plain call ended with: {}", ran.text))) }
    }

    fn note(&mut self, ended: Option<Result<End, tokio::task::JoinError>>) {
        if let Some(Ok(end)) = ended {
            self.counts.ends[end as usize] += 1;
        }
    }

    /// Kills some process of ours, of a kind that is chosen first, so that the few spawners have their turn.
    fn kill_one(&mut self, sidecars: &BTreeSet<u32>) -> Result<(), Trouble> {
        let family = family_of()?;
        self.scene.meet(&family);
        let kind = match self.random.below(KILL_SIDECAR_ONE_IN * 2) {
            0 => Kind::Sidecar,
            1 => Kind::Spawner,
            _ => Kind::Program,
        };
        let all: Vec<_> = family.iter().filter(|process| process.kind(sidecars) == kind).collect();
        let at = usize::try_from(self.random.below(all.len() as u64)).unwrap_or(0);
        if let Some(process) = all.get(at) {
            self.counts.killed[kind as usize] += u64::from(kill(process));
        }
        Ok(())
    }

    /// Waits until nothing is left, or writes down what is.
    async fn settle(&mut self, sidecars: &BTreeSet<u32>) -> Result<(), Trouble> {
        let until = Instant::now() + Duration::from_millis(SETTLE_MS_MAX);
        loop {
            left::bury(sidecars)?;
            let left = self.scene.left(sidecars)?;
            if left.is_empty() || Instant::now() > until {
                self.left.extend(left);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(SETTLE_MS)).await;
        }
    }

    fn found(&self, seed: u64) -> Value {
        let mut found = Map::new();
        found.insert("seed".into(), json!(seed));
        found.insert("calls".into(), json!(self.counts.calls));
        found.insert("rounds".into(), json!(self.rounds));
        for ((_, name), count) in ENDS.iter().zip(self.counts.ends) {
            found.insert(format!("calls_{name}"), json!(count));
        }
        for (kind, count) in Kind::ALL.iter().zip(self.counts.killed) {
            found.insert(format!("{}s_killed", kind.name()), json!(count));
        }
        for name in LEFT {
            let count = self.left.iter().filter(|(left, _)| *left == name).count();
            found.insert(format!("{name}_left"), json!(count));
        }
        found.insert("left".into(), json!(self.left.len()));
        Value::Object(found)
    }
}

fn locked(sidecars: &Mutex<BTreeSet<u32>>) -> BTreeSet<u32> {
    sidecars.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// One call to its end, or until nobody waits for it any more.
async fn one(way: Way, wanted: Wanted) -> End {
    let patience = Duration::from_millis(wanted.patience_ms.unwrap_or(CALL_MS_MAX));
    let over = if wanted.patience_ms.is_some() { End::GivenUp } else { End::Stuck };
    tokio::time::timeout(patience, carried_out(&way, wanted.call)).await.unwrap_or(over)
}

async fn carried_out(way: &Way, call: Call) -> End {
    match way {
        Way::Own(executor) => match executor.run(&call, None).await {
            Ok(ran) if ran.breach.is_some() => End::Breached,
            Ok(ran) if ran.is_success => End::Done,
            Ok(_) => End::Failed,
            Err(_) => End::Refused,
        },
        Way::Kernel(sidecar) => {
            let Call { tool, input, capability, limits } = call;
            let call = aether_sidecar::Call { tool, input, task: 1, capability, limits, session: None };
            let finished = match sidecar.run(call).await {
                Ok(running) => running.finish(drop).await,
                Err(error) => Err(error),
            };
            match finished.map(|finished| finished.outcome) {
                Ok(Outcome::Done) => End::Done,
                Ok(Outcome::Failed) => End::Failed,
                Ok(Outcome::Breach) => End::Breached,
                Err(_) => End::Refused,
            }
        }
    }
}

/// What such a run may not show.
fn violations(found: &Value, left: &[(&str, String)]) -> Vec<String> {
    let mut all: Vec<String> = left.iter().map(|(name, what)| format!("left of {name}: {what}")).collect();
    if found["calls_stuck"].as_u64() != Some(0) {
        all.push(format!("{} calls did not end", found["calls_stuck"]));
    }
    let count = |name: &str| found[name].as_u64().unwrap_or(0);
    if count("calls_done") * 4 < count("calls") {
        all.push(format!("only {} of {} calls were done", found["calls_done"], found["calls"]));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_what_is_stuck_and_what_was_never_done_is_a_violation() {
        let good = json!({"calls": 8, "calls_done": 4, "calls_stuck": 0});
        assert_eq!(violations(&good, &[]), Vec::<String>::new());
        assert_eq!(violations(&good, &[("mounts", "x".into())]), ["left of mounts: x"]);
        for (name, value) in [("calls_stuck", 1), ("calls_done", 1)] {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert_eq!(violations(&bad, &[]).len(), 1, "{name}");
        }
    }

    #[test]
    fn every_end_has_its_place() {
        for (at, (end, _)) in ENDS.iter().enumerate() {
            assert_eq!(*end as usize, at);
        }
        for (at, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, at);
        }
    }
}
