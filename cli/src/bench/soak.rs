//! `aether bench soak`: agents for minutes or days, in all weathers, until the time is up; then nothing may be left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aether_core::dispatcher::Capacity;
use aether_core::event::Event;
use aether_core::spec::{Message, Spec};
use aether_core::words::TaskId;
use aether_driver::{Driver, Shutdown, Signals, Told};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::process::{Resident, descriptors, resident};
use super::weather::{Moody, Random, Weather};
use super::{ended, number, report, setup};
use crate::args::Invocation;
use crate::house::House;
use crate::run::{SHUTDOWN_MS_MAX, runtime};
use crate::trouble::{Exit, Trouble};

/// The most agents that live at once, children apart.
const AGENTS_MAX: u64 = 200;
/// The most tasks, children included.
const TASKS_MAX: u32 = 2_000;
/// How often something happens to the agents, in milliseconds.
const BEAT_MS: u64 = 10;
/// The longest an agent lives, in milliseconds.
const WALL_MS_MAX: u64 = 5_000;
/// The part of the time in which caches, stacks and the heap find their size: one in this many, but at most
/// [`WARM_SECONDS_MAX`].
const WARM_PART: u64 = 4;
/// See [`WARM_PART`].
const WARM_SECONDS_MAX: u64 = 600;
/// How much memory may grow from the end of the warm-up to the end, on the fitted line, in KiB: a leak of thirty bytes
/// for each agent is past it in two minutes, one of a single byte in an hour and a half.
const GROWTH_KB_MAX: f64 = 1024.0;
/// The number of agents sways, and the heap with it, so the line is fitted through the least of every so many seconds.
const FLOOR_SECONDS: u64 = 10;

/// Runs it.
pub(crate) fn soak(invocation: &Invocation) -> Result<Exit, Trouble> {
    let minutes = number(invocation, "minutes", 2, 1..=1_000_000)?;
    let seed = number(invocation, "seed", 1, 0..=u64::MAX)?;
    let place = Workspace::new()?;
    let (person, approvals) = Moody::new(seed);
    let workspace = place.0.to_string_lossy();
    let more = [("workspace", &*workspace), ("retry.backoff_ms_min", "5"), ("retry.backoff_ms_max", "200")];
    let mut setup = setup(invocation, &more, Box::new(person))?;
    if invocation.value("url").is_none() {
        setup.house.answer_with(Box::new(Weather::new(seed)));
    }
    let spec = setup.spec(Vec::new(), Message::typed("Tidy up the notes."));
    let limit = Duration::from_secs(minutes * 60);
    let (soak, end, descriptors_left) = runtime()?.block_on(async {
        // The first look at signals opens descriptors that the process keeps.
        let mut signals = Signals::new().map_err(Trouble::failed)?;
        let descriptors_before = descriptors()?;
        let mut driver = Driver::new(Capacity { tasks_max: TASKS_MAX, tenant_tasks_max: TASKS_MAX }, setup.house);
        let mut soak = Soak::new(seed, spec, limit);
        soak.run(&mut driver, &mut signals, limit).await?;
        let end = driver.shutdown(SHUTDOWN_MS_MAX, |task, told| soak.heard(task, told)).await;
        Ok::<_, Trouble>((soak, end, descriptors()?.saturating_sub(descriptors_before)))
    })?;
    let approvals = approvals.lock().map_or(0, |count| *count);
    let mut found = soak.found(seed, &end);
    found["approvals"] = json!(approvals);
    found["descriptors_left"] = json!(descriptors_left);
    report(invocation, &found)?;
    ended(&violations(&found))
}

/// What happened so far.
struct Soak {
    random: Random,
    spec: Spec,
    agents: Vec<TaskId>,
    counts: Counts,
    memory: Memory,
}

#[derive(Default)]
struct Counts {
    spawned: u64,
    done: u64,
    cut_short: u64,
    asked: u64,
    failed: u64,
    tools: u64,
    refused: u64,
    interrupts: u64,
    steers: u64,
}

impl Soak {
    fn new(seed: u64, spec: Spec, limit: Duration) -> Soak {
        let warm_seconds = (limit.as_secs() / WARM_PART).min(WARM_SECONDS_MAX);
        Soak {
            random: Random::new(seed.rotate_left(32)),
            spec,
            agents: Vec::new(),
            counts: Counts::default(),
            memory: Memory::new(Duration::from_secs(warm_seconds)),
        }
    }

    /// Keeps agents alive and busy until the time is up or the person has seen enough.
    async fn run(&mut self, driver: &mut Driver<House>, signals: &mut Signals, limit: Duration) -> Result<(), Trouble> {
        let mut beat = tokio::time::interval(Duration::from_millis(BEAT_MS));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.agents.is_empty() {
                self.spawn(driver)?;
            }
            tokio::select! {
                biased;
                _ = signals.next() => break,
                _ = beat.tick() => {
                    self.act(driver)?;
                    self.memory.sample(begun.elapsed())?;
                }
                told = driver.next() => if let Some((task, told)) = told {
                    self.heard(task, told);
                },
            }
        }
        Ok(())
    }

    /// One beat: a few agents begin, some are interrupted, some are talked to.
    fn act(&mut self, driver: &mut Driver<House>) -> Result<(), Trouble> {
        let wanted = self.random.below(AGENTS_MAX);
        for _ in 0..self.random.below(8) {
            if (self.agents.len() as u64) < wanted {
                self.spawn(driver)?;
            }
        }
        let Some(task) = self.any() else { return Ok(()) };
        match self.random.below(8) {
            0 => self.counts.interrupts += u64::from(driver.interrupt(task).is_ok()),
            1..4 => self.counts.steers += u64::from(driver.steer(task, Message::typed("Hurry up.")).is_ok()),
            _ => {}
        }
        Ok(())
    }

    fn spawn(&mut self, driver: &mut Driver<House>) -> Result<(), Trouble> {
        let mut spec = self.spec.clone();
        spec.seed = self.random.draw();
        spec.governors.wall_ms_max = 50 + self.random.below(WALL_MS_MAX);
        spec.governors.closing_ms_max = 1 + self.random.below(500);
        spec.governors.model_calls_max = 1 + self.random.below(12) as u32;
        spec.governors.tool_calls_max = self.random.below(20) as u32;
        spec.governors.output_bytes_max = 1 << (6 + self.random.below(12));
        self.agents.push(driver.spawn(spec).map_err(Trouble::failed)?);
        self.counts.spawned += 1;
        Ok(())
    }

    fn any(&mut self) -> Option<TaskId> {
        let at = self.random.below(self.agents.len() as u64) as usize;
        self.agents.get(at).copied()
    }

    fn heard(&mut self, task: TaskId, told: Told) {
        let counts = &mut self.counts;
        match told {
            Told::Noted(Event::Asked { .. }) => counts.asked += 1,
            Told::Noted(Event::Failed { .. }) => counts.failed += 1,
            Told::Noted(Event::Allowed { .. }) => counts.tools += 1,
            Told::Noted(Event::Refused { .. }) => counts.refused += 1,
            Told::Ended(outcome) => {
                match outcome.verdict {
                    aether_core::facts::Verdict::Done => counts.done += 1,
                    _ => counts.cut_short += 1,
                }
                self.agents.retain(|agent| *agent != task);
            }
            _ => {}
        }
    }

    fn found(&self, seed: u64, end: &Shutdown) -> Value {
        let (counts, memory) = (&self.counts, &self.memory);
        json!({
            "seed": seed,
            "seconds": memory.last.as_secs(),
            "agents": counts.spawned,
            "agents_done": counts.done,
            "agents_cut_short": counts.cut_short,
            "model_calls": counts.asked,
            "model_errors": counts.failed,
            "tool_calls": counts.tools,
            "tool_calls_refused": counts.refused,
            "interrupts": counts.interrupts,
            "steering_messages": counts.steers,
            "late_facts": end.counters.surprises,
            "resident_warm_kb": memory.line.first.unwrap_or(0.0),
            "resident_last_kb": memory.line.last,
            "resident_peak_kb": memory.peak_kb,
            "growth_kb": memory.line.growth().round(),
            "growth_kb_per_hour": (memory.line.slope() * 3600.0).round(),
            "tasks": end.counters.spawned,
            "tasks_left": end.counters.spawned - end.counters.destroyed,
            "tool_runs_left": end.orphans,
        })
    }
}

/// What a soak may not show.
fn violations(found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for left in ["tasks_left", "tool_runs_left", "descriptors_left"] {
        if found[left].as_u64() != Some(0) {
            all.push(format!("{left} is {}, wanted 0", found[left]));
        }
    }
    if found["growth_kb"].as_f64().is_none_or(|growth| growth > GROWTH_KB_MAX) {
        all.push(format!("resident memory grew by {} KiB, at most {GROWTH_KB_MAX} are flat", found["growth_kb"]));
    }
    all
}

/// Resident memory over time, sampled once a second, in constant space.
struct Memory {
    warm: Duration,
    last: Duration,
    peak_kb: u64,
    /// The least since the last point of the line.
    floor_kb: f64,
    line: Line,
}

impl Memory {
    fn new(warm: Duration) -> Memory {
        Memory { warm, last: Duration::ZERO, peak_kb: 0, floor_kb: f64::INFINITY, line: Line::default() }
    }

    fn sample(&mut self, at: Duration) -> Result<(), Trouble> {
        if at.as_secs() == self.last.as_secs() {
            return Ok(());
        }
        self.last = at;
        let Resident { now_kb, peak_kb } = resident()?;
        self.peak_kb = peak_kb;
        if at >= self.warm {
            self.floor_kb = self.floor_kb.min(now_kb as f64);
            if at.as_secs().is_multiple_of(FLOOR_SECONDS) {
                self.line.add((at - self.warm).as_secs_f64(), self.floor_kb);
                self.floor_kb = f64::INFINITY;
            }
        }
        Ok(())
    }
}

/// A straight line through points, by least squares.
#[derive(Default)]
struct Line {
    count: f64,
    sums: [f64; 2],
    squares: f64,
    products: f64,
    reach: f64,
    first: Option<f64>,
    last: f64,
}

impl Line {
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1.0;
        self.sums = [self.sums[0] + x, self.sums[1] + y];
        self.squares += x * x;
        self.products += x * y;
        self.reach = self.reach.max(x);
        self.first.get_or_insert(y);
        self.last = y;
    }

    /// How much y grows for each x; 0 for fewer than two places.
    fn slope(&self) -> f64 {
        let spread = self.count * self.squares - self.sums[0] * self.sums[0];
        if spread <= 0.0 { 0.0 } else { (self.count * self.products - self.sums[0] * self.sums[1]) / spread }
    }

    /// How much the line rises over all points.
    fn growth(&self) -> f64 {
        self.slope() * self.reach
    }
}

/// A directory of its own with a few files, removed at the end.
pub(super) struct Workspace(PathBuf);

impl Workspace {
    pub(super) fn new() -> Result<Workspace, Trouble> {
        let path = std::env::temp_dir().join(format!("aether-soak-{}", std::process::id()));
        let wrong = |error: std::io::Error| Trouble::failed(format!("{}: {error}", path.display()));
        std::fs::create_dir_all(&path).map_err(wrong)?;
        let place = Workspace(path.clone());
        std::fs::write(path.join("notes.txt"), "one note\nan error\n".repeat(200)).map_err(wrong)?;
        std::fs::write(path.join("made.txt"), "one\ntwo\n").map_err(wrong)?;
        Ok(place)
    }

    /// Where it is, without symbolic links.
    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    pub(super) fn path(&self) -> Result<PathBuf, Trouble> {
        self.0.canonicalize().map_err(|error| Trouble::failed(format!("{}: {error}", self.0.display())))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's directory for temporary files.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_finds_growth_and_ignores_sway() {
        let mut flat = Line::default();
        let mut grows = Line::default();
        for x in 0..100 {
            let sway = f64::from(x % 7) * 10.0;
            flat.add(f64::from(x), 5000.0 + sway);
            grows.add(f64::from(x), 5000.0 + sway + 8.0 * f64::from(x));
        }
        assert!(flat.growth().abs() < 20.0, "{}", flat.growth());
        assert!((grows.slope() - 8.0).abs() < 0.2, "{}", grows.slope());
    }

    #[test]
    fn what_is_left_or_grows_is_a_violation() {
        let good = json!({"tasks_left": 0, "tool_runs_left": 0, "descriptors_left": 0, "growth_kb": 3.0});
        assert!(violations(&good).is_empty());
        for (name, value) in [("tasks_left", 1.0), ("tool_runs_left", 1.0), ("growth_kb", 5000.0)] {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert_eq!(violations(&bad).len(), 1, "{name}");
        }
    }
}
