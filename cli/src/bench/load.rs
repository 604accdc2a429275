//! `aether bench step` and `aether bench tasks`: many agents against one provider, over the real HTTP client.

use std::time::{Duration, Instant};

use aether_core::dispatcher::Capacity;
use aether_core::event::Event;
use aether_core::facts::Verdict;
use aether_core::spec::Message;
use aether_driver::{Driver, Shutdown, Told};
use serde_json::json;

use super::process::{processor_seconds, resident};
use super::{Nobody, ended, need_url, number, report, setup};
use crate::args::Invocation;
use crate::house::House;
use crate::run::{SHUTDOWN_MS_MAX, runtime};
use crate::setup::Setup;
use crate::trouble::{Exit, Trouble};

/// What every agent is asked.
const GOAL: &str = "What is 17% of 2340?";

/// What the agents of a measurement did.
#[derive(Default)]
struct Counts {
    asked: u64,
    tools: u64,
    done: u64,
    /// How the first that was not done ended.
    trouble: Option<String>,
}

/// `aether bench step`: agents one after the other, or a few at once, as fast as they go.
pub(crate) fn step(invocation: &Invocation) -> Result<Exit, Trouble> {
    need_url(invocation)?;
    let runs = number(invocation, "runs", 10_000, 1..=100_000_000)?;
    let at_once = number(invocation, "at-once", 16, 1..=10_000)?;
    let setup = setup(invocation, &[], Box::new(Nobody))?;
    runtime()?.block_on(async {
        let mut load = Load::new(setup, at_once);
        // Connections, buffers and the processor's clock are warm before anything is measured.
        load.run(at_once * 8, at_once).await?;
        let warm = std::mem::take(&mut load.counts);
        let (from, used) = (Instant::now(), processor_seconds()?);
        load.run(runs, at_once).await?;
        let (took, used) = (from.elapsed(), processor_seconds()? - used);
        let (counts, end) = load.end().await;
        let violations = violations(&counts, runs, warm.trouble, &end);
        let found = json!({
            "runs": runs,
            "at_once": at_once,
            "model_calls": counts.asked,
            "tool_calls": counts.tools,
            "wall_seconds": seconds(took),
            "cpu_seconds": used,
            "runs_per_cpu_second": rounded(runs as f64 / used.max(0.01)),
            "runs_per_second": rounded(runs as f64 / seconds(took)),
            "tasks_left": end.counters.alive,
        });
        report(invocation, &found)?;
        ended(&violations)
    })
}

/// `aether bench tasks`: all agents wait for the provider at the same time.
pub(crate) fn tasks(invocation: &Invocation) -> Result<Exit, Trouble> {
    need_url(invocation)?;
    let tasks = number(invocation, "tasks", 1_000, 1..=1_000_000)?;
    let delay_ms = number(invocation, "delay-ms", 0, 0..=3_600_000)?;
    let setup = setup(invocation, &[], Box::new(Nobody))?;
    runtime()?.block_on(async {
        let mut load = Load::new(setup, tasks);
        // One answer first, so that what every program has once is not counted as part of a task.
        load.run(1, 1).await?;
        let warm = std::mem::take(&mut load.counts);
        let (before, from) = (resident()?, Instant::now());
        load.run(tasks, tasks).await?;
        let (took, after) = (from.elapsed(), resident()?);
        let (counts, end) = load.end().await;
        let violations = violations(&counts, tasks, warm.trouble, &end);
        let grown_kb = after.peak_kb.saturating_sub(before.now_kb);
        let mut found = json!({
            "tasks": tasks,
            "at_once": tasks,
            "resident_before_kb": before.now_kb,
            "resident_peak_kb": after.peak_kb,
            "bytes_per_task": grown_kb * 1024 / tasks,
            "wall_seconds": seconds(took),
            "tasks_left": end.counters.alive,
        });
        if delay_ms > 0 {
            found["ratio_to_delay"] = json!(rounded(seconds(took) * 1000.0 / delay_ms as f64 * 1000.0) / 1000.0);
        }
        report(invocation, &found)?;
        ended(&violations)
    })
}

/// A driver that keeps so many agents busy.
struct Load {
    driver: Driver<House>,
    spec: aether_core::spec::Spec,
    counts: Counts,
}

impl Load {
    fn new(setup: Setup, tasks_max: u64) -> Load {
        let tasks_max = u32::try_from(tasks_max).unwrap_or(u32::MAX - 1);
        let spec = setup.spec(Vec::new(), Message::typed(GOAL));
        let driver = Driver::new(Capacity { tasks_max, tenant_tasks_max: tasks_max }, setup.house);
        Load { driver, spec, counts: Counts::default() }
    }

    /// Runs this many agents, at most `at_once` at the same time.
    async fn run(&mut self, runs: u64, at_once: u64) -> Result<(), Trouble> {
        let mut left = runs;
        for _ in 0..runs.min(at_once) {
            self.driver.spawn(self.spec.clone()).map_err(Trouble::failed)?;
            left -= 1;
        }
        while let Some((_, told)) = self.driver.next().await {
            match told {
                Told::Noted(Event::Asked { .. }) => self.counts.asked += 1,
                Told::Noted(Event::Allowed { .. }) => self.counts.tools += 1,
                Told::Ended(outcome) => {
                    match outcome.verdict {
                        Verdict::Done => self.counts.done += 1,
                        verdict if self.counts.trouble.is_none() => self.counts.trouble = Some(sentence(&verdict)),
                        _ => {}
                    }
                    if left > 0 {
                        left -= 1;
                        self.driver.spawn(self.spec.clone()).map_err(Trouble::failed)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn end(self) -> (Counts, Shutdown) {
        let end = self.driver.shutdown(SHUTDOWN_MS_MAX, |_, _| {}).await;
        (self.counts, end)
    }
}

fn sentence(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Failed(error) => error.to_string(),
        verdict => verdict.name().to_owned(),
    }
}

/// What would make the numbers a lie.
fn violations(counts: &Counts, runs: u64, warm: Option<String>, end: &Shutdown) -> Vec<String> {
    let mut found = Vec::new();
    if counts.done != runs {
        let why = warm.or_else(|| counts.trouble.clone()).unwrap_or_default();
        found.push(format!("{} of {runs} agents were not done; the first: {why}", runs - counts.done));
    }
    if end.counters.alive != 0 || end.counters.spawned != end.counters.destroyed || end.orphans != 0 {
        found.push(format!("{} tasks and {} tool runs are left", end.counters.alive, end.orphans));
    }
    found
}

fn seconds(took: Duration) -> f64 {
    rounded(took.as_secs_f64() * 1e6) / 1e6
}

fn rounded(number: f64) -> f64 {
    number.round()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_core::dispatcher::Counters;

    #[test]
    fn numbers_of_agents_that_failed_are_no_result() {
        let end = Shutdown { orphans: 0, counters: Counters::default() };
        let counts = Counts { done: 3, trouble: Some("no connection".to_owned()), ..Counts::default() };
        assert!(violations(&counts, 3, None, &end).is_empty());
        assert!(
            violations(&counts, 4, None, &end)[0].contains("1 of 4 agents were not done; the first: no connection")
        );
        let left = Shutdown { orphans: 2, counters: Counters { spawned: 1, alive: 1, ..Counters::default() } };
        assert!(violations(&counts, 3, None, &left)[0].contains("1 tasks and 2 tool runs are left"));
    }
}
