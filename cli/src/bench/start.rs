//! `aether bench start`: from exec to ready, phase by phase.
//!
//! The program starts itself again and again; each start is told the moment at which it was begun and says when each
//! phase was over. Ready means: the configuration is read, the tools are registered, the event loop stands.

use std::process::{Command, Stdio};
use std::time::SystemTime;

use aether_core::dispatcher::Capacity;
use aether_driver::Driver;
use serde_json::{Map, Value, json};

use super::{Nobody, number, report};
use crate::args::Invocation;
use crate::boot::Boot;
use crate::run::runtime;
use crate::setup::Setup;
use crate::show::write_out;
use crate::trouble::{Exit, Trouble};

/// The phases, in order; each is counted from the end of the one before, the last from the beginning.
const PHASES: [&str; 5] = ["process_us", "configuration_us", "tools_us", "runtime_us", "ready_us"];

/// Runs it.
pub(crate) fn start(invocation: &Invocation) -> Result<Exit, Trouble> {
    if invocation.value("since").is_some() {
        return one(invocation, number(invocation, "since", 0, 0..=u64::MAX)?);
    }
    let runs = number(invocation, "runs", 200, 1..=100_000)?;
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); PHASES.len()];
    for _ in 0..runs {
        for (all, us) in taken.iter_mut().zip(child()?) {
            all.push(us);
        }
    }
    let mut found = Map::new();
    found.insert("runs".into(), json!(runs));
    for (name, all) in PHASES.iter().zip(&mut taken) {
        all.sort_by(f64::total_cmp);
        found.insert((*name).into(), json!({"min": all[0], "median": all[all.len() / 2]}));
    }
    report(invocation, &Value::Object(found))?;
    Ok(Exit::Done)
}

/// Starts once more, and reads what that start said of itself.
fn child() -> Result<Vec<f64>, Trouble> {
    let failed = |why: &dyn std::fmt::Display| Trouble::failed(format!("a start of this program failed: {why}"));
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command.args(["bench", "start", "--since"]).arg(unix_ns().to_string()).stdin(Stdio::null());
    let ended = command.output().map_err(|error| failed(&error))?;
    if !ended.status.success() {
        return Err(failed(&String::from_utf8_lossy(&ended.stderr).trim()));
    }
    let said: Value = serde_json::from_slice(&ended.stdout).map_err(|error| failed(&error))?;
    Ok(PHASES.iter().map(|name| said[*name].as_f64().unwrap_or(0.0)).collect())
}

/// One start.
fn one(invocation: &Invocation, since_ns: u64) -> Result<Exit, Trouble> {
    let begun = unix_ns();
    let boot = Boot::new(invocation)?;
    let configured = unix_ns();
    let setup = Setup::new(&boot, invocation, None, Box::new(Nobody))?;
    let tooled = unix_ns();
    let runtime = runtime()?;
    let driver = runtime.block_on(async { Driver::new(Capacity { tasks_max: 64, tenant_tasks_max: 64 }, setup.house) });
    let ready = unix_ns();
    drop(driver);
    let moments = [since_ns, begun, configured, tooled, ready];
    let us = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1000.0;
    let mut found = Map::new();
    for (name, pair) in PHASES.iter().zip(moments.windows(2)) {
        found.insert((*name).into(), json!(us(pair[0], pair[1])));
    }
    found.insert(PHASES[4].into(), json!(us(since_ns, ready)));
    write_out(&format!("{}\n", Value::Object(found))).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
