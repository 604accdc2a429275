//! Every measurement of docs/SPEC.md, as names and numbers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use crate::house::{House, polite, quick, slow, stepping};
use crate::{Unmeasured, kernel, program};

/// Starts of the binary for one time; the shortest counts, because the promise is about the program.
const STARTS: u32 = 300;
/// The same where a provider answers.
const ANSWERS: u32 = 100;
/// Agents for the number per processor second; the best of three counts.
const STEP_RUNS: &str = "10000";
/// The same for the bare loop.
const PEER_RUNS: &str = "2000";
/// How long the slow provider takes for 1,000 and for 10,000 tasks, in milliseconds.
const DELAYS_MS: [(u64, u64); 2] = [(1_000, 2_000), (10_000, 20_000)];
/// What the agents of the fixed overhead are asked; its bytes are not overhead.
const GOAL: &str = "hello";
/// The formats of the providers.
const FORMATS: [(&str, &str); 5] =
    [("openai_chat", "/v1"), ("openai_responses", "/v1"), ("anthropic", ""), ("ollama", ""), ("gemini", "/v1beta")];

/// Untrusted calls with random kills, in the long run.
const CALLS: &str = "2000";

/// Names and numbers, as `aether-tidy spec` reads them.
pub type Numbers = Map<String, Value>;

/// Measures everything but the long run, and of the binary without the secure runtime its memory.
///
/// # Errors
/// The first number that could not be measured, and why (B2).
pub fn gate(binary: &Path, lite: &Path) -> Result<Numbers, Unmeasured> {
    let (binary, lite) = (&settled(binary)?, &settled(lite)?);
    let mut found = Found(Map::new());
    alone(&mut found)?;
    start(&mut found, binary)?;
    light(&mut found, lite)?;
    answer(&mut found, binary)?;
    waiting(&mut found, binary)?;
    step(&mut found, binary)?;
    prompt(&mut found, binary)?;
    Ok(found.0)
}

/// Measures the long run: agents in all weathers for so many minutes, and untrusted calls that are killed at random.
///
/// # Errors
/// When something is left afterwards, memory has grown, or the run fails.
pub fn soak(binary: &Path, minutes: &str) -> Result<Numbers, Unmeasured> {
    let binary = &settled(binary)?;
    let house = House::new("http://127.0.0.1:9", "openai_chat")?;
    let told = program::told(house.command(binary, &["bench", "soak", "--json", "--minutes", minutes]))?;
    let mut found = Found(Map::new());
    let names = ["agents", "tasks_left", "tool_runs_left", "descriptors_left", "growth_kb", "resident_peak_kb"];
    for name in names {
        found.add(&format!("soak_{name}"), number(&told, name)?);
    }
    let told = program::told(house.command(binary, &["bench", "calls", "--json", "--calls", CALLS]))?;
    for (name, told_as) in [("calls", "calls"), ("calls_stuck", "calls_stuck"), ("calls_left", "left")] {
        found.add(&format!("soak_{name}"), number(&told, told_as)?);
    }
    Ok(found.0)
}

/// Numbers on their way out.
pub(crate) struct Found(pub(crate) Numbers);

impl Found {
    pub(crate) fn add(&mut self, name: &str, number: f64) {
        self.0.insert(name.to_owned(), ((number * 1000.0).round() / 1000.0).into());
    }
}

/// The kernel without the rest of the house.
fn alone(found: &mut Found) -> Result<(), Unmeasured> {
    let weight = kernel::weight()?;
    found.add("dispatcher_task_bytes", weight.asked.max(weight.resident));
    let allocations = kernel::allocations()?;
    found.add("dispatch_allocations", allocations.per_event);
    found.add("run_allocations", allocations.per_run);
    Ok(())
}

/// From exec to the version, and to an event loop that stands.
fn start(found: &mut Found, binary: &Path) -> Result<(), Unmeasured> {
    let house = House::new("http://127.0.0.1:9", "openai_chat")?;
    let version = || house.command(binary, &["version"]);
    let bare = program::wall_us(STARTS, || Command::new("true"))?;
    let wall = program::wall_us(STARTS, version)?;
    found.add("start_version_wall_us", wall);
    found.add("start_version_to_true_ratio", wall / bare);
    found.add("start_version_peak_kb", program::peak_kb(version())?);
    let told = program::told(house.command(binary, &["bench", "start", "--json", "--runs", &STARTS.to_string()]))?;
    found.add("ready_wall_us", number(&told["ready_us"], "min")?);
    let rest = program::rest(house.command(binary, &["chat"]))?;
    found.add("rest_rss_kb", rest.resident_kb);
    found.add("rest_private_dirty_kb", rest.private_dirty_kb);
    Ok(())
}

/// What lite has less: memory. In everything else the full binary is the slower one.
fn light(found: &mut Found, lite: &Path) -> Result<(), Unmeasured> {
    let house = House::new("http://127.0.0.1:9", "openai_chat")?;
    found.add("lite_version_peak_kb", program::peak_kb(house.command(lite, &["version"]))?);
    let rest = program::rest(house.command(lite, &["chat"]))?;
    found.add("lite_rest_rss_kb", rest.resident_kb);
    found.add("lite_rest_private_dirty_kb", rest.private_dirty_kb);
    Ok(())
}

/// From exec to an answer on standard output, over HTTP.
fn answer(found: &mut Found, binary: &Path) -> Result<(), Unmeasured> {
    let server = quick()?;
    let house = House::new(&format!("{}/v1", server.base_url()), "openai_chat")?;
    let run = || house.command(binary, &["run", GOAL]);
    found.add("answer_wall_us", program::wall_us(ANSWERS, run)?);
    found.add("answer_peak_kb", program::peak_kb(run())?);
    Ok(())
}

/// Tasks that all wait for a slow provider at once.
fn waiting(found: &mut Found, binary: &Path) -> Result<(), Unmeasured> {
    for (tasks, delay_ms) in DELAYS_MS {
        let server = slow(delay_ms)?;
        let base_url = format!("{}/v1", server.base_url());
        let house = House::new(&base_url, "openai_chat")?;
        let (count, delay) = (tasks.to_string(), delay_ms.to_string());
        let words = ["bench", "tasks", "--json", "--url", &base_url, "--tasks", &count, "--delay-ms", &delay];
        let told = program::told(house.command(binary, &words))?;
        let connections = server.connections();
        if connections < tasks {
            let what = format!("{tasks} tasks came over {connections} connections, wanted all of them at once");
            return Err(Unmeasured::new(what));
        }
        found.add(&format!("waiting_task_bytes_{tasks}"), number(&told, "bytes_per_task")?);
        found.add(&format!("waiting_to_delay_ratio_{tasks}"), number(&told, "ratio_to_delay")?);
        found.add(&format!("waiting_tasks_left_{tasks}"), number(&told, "tasks_left")?);
    }
    Ok(())
}

/// Agents for each second of processor time, against a bare loop in Python on the same provider.
fn step(found: &mut Found, binary: &Path) -> Result<(), Unmeasured> {
    let server = stepping()?;
    let base_url = format!("{}/v1", server.base_url());
    let house = House::new(&base_url, "openai_chat")?;
    let words = ["bench", "step", "--json", "--url", &base_url, "--runs", STEP_RUNS];
    let bare = house.workspace().join("bare.py");
    std::fs::write(&bare, include_str!("../peers/bare.py")).map_err(Unmeasured::new)?;
    let (mut best, mut peer_best) = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        let told = program::told(house.command(binary, &words))?;
        best = best.max(number(&told, "runs_per_cpu_second")?);
        let mut peer = Command::new("python3");
        peer.arg(&bare).args([&base_url, PEER_RUNS]);
        peer_best = peer_best.max(number(&program::told(peer)?, "runs_per_cpu_second")?);
    }
    found.add("runs_per_cpu_second", best);
    found.add("runs_to_bare_python_ratio", best / peer_best.max(1.0));
    Ok(())
}

/// What a question weighs before anything is asked: instructions, tools and the format's own words, in the heaviest of
/// the five formats.
fn prompt(found: &mut Found, binary: &Path) -> Result<(), Unmeasured> {
    let mut heaviest = 0;
    for (format, path) in FORMATS {
        let server = polite()?;
        let house = House::new(&format!("{}{path}", server.base_url()), format)?;
        program::wall_us(1, || house.command(binary, &["run", GOAL]))?;
        let asked = server.requests().pop();
        let length = asked.as_ref().and_then(|request| request.header("content-length")?.parse::<usize>().ok());
        let Some(length) = length else {
            return Err(Unmeasured::new(format!("{format}: no request with a length came: {asked:?}")));
        };
        heaviest = heaviest.max(length - GOAL.len());
    }
    found.add("prompt_bytes", heaviest as f64);
    // Four bytes for a token is what all providers give as a rule of thumb for English; benchmarks/peers/tokens.mjs
    // counts with a real tokenizer.
    found.add("prompt_tokens", (heaviest as f64 / 4.0).ceil());
    Ok(())
}

pub(crate) fn number(told: &Value, name: &str) -> Result<f64, Unmeasured> {
    told[name].as_f64().ok_or_else(|| Unmeasured::new(format!("{name} is no number in {told}")))
}

/// The binary's whole path. A file that was just linked is first written to the disk: until then its own pages count as
/// changed, and would be taken for the program's.
pub(crate) fn settled(binary: &Path) -> Result<PathBuf, Unmeasured> {
    let wrong = |error: std::io::Error| Unmeasured::new(format!("{}: {error}", binary.display()));
    File::open(binary).and_then(|file| file.sync_all()).map_err(wrong)?;
    binary.canonicalize().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_a_number_that_is_missing_is_an_error() {
        let told = serde_json::json!({"a": 1.5, "b": "many"});
        assert_eq!(number(&told, "a").unwrap(), 1.5);
        assert!(number(&told, "b").unwrap_err().to_string().contains("b is no number"));
        assert!(number(&told, "c").is_err());
        let nowhere = Path::new("/nonexistent");
        assert!(gate(nowhere, nowhere).unwrap_err().to_string().contains("/nonexistent"));
    }
}
