//! A program in a jail, cold and made ahead, beside the same program without one and with bubblewrap's.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aether_core::capability::{Capability, Place};
use aether_executor::Options;
use aether_jail::{Breach, Plan, Spawner, Status, Streams};
use aether_programs::{LIMITS, Line, SYSTEM, WORKSPACE};

use super::{Found, ROUNDS, percentile, quietest, rounded, since_us, us};
use crate::bench::process::{family, proportional_kb};
use crate::trouble::Trouble;

/// Jails that are kept ahead.
const AHEAD: u32 = 4;
/// The pause before each run, in which the next jail is made ahead, in milliseconds.
const PAUSE_MS: u64 = 10;
/// How long what has ended may take to be gone before memory is looked at, in milliseconds.
const SETTLE_MS: u64 = 100;
/// Turns of each round before anything is counted.
const WARM_TURNS: u64 = 3;
/// One run in so many is one that has to be killed.
const KILLED_ONE_IN: u64 = 10;
/// How long those may run, in milliseconds.
const KILLED_AFTER_MS: u64 = 50;
/// What is run; everywhere where there is a shell.
const PROGRAM: &str = "/bin/true";

/// Adds what a jail costs.
pub(super) fn measure(options: &Options, runs: u64, found: &mut Found) -> Result<(), Trouble> {
    let rig = Rig::new(options)?;
    let bubblewrap = bubblewrap();
    let medians = (0..ROUNDS).map(|_| rig.round(runs.div_ceil(ROUNDS), bubblewrap.as_deref()));
    let [cold, plain, parked, workspace, peer] = quietest(medians.collect::<Result<Vec<_>, _>>()?);
    let mut add = |name: &str, number: f64| found.insert(name.into(), rounded(number));
    add("spawn_us", plain);
    add("jail_cold_us", cold);
    add("jail_cold_to_spawn_ratio", cold / plain);
    add("jail_workspace_us", workspace);
    add("jail_parked_us", parked);
    add("jail_parked_to_spawn_ratio", parked / plain);
    add("jail_parked_pss_kb", rig.parked_pss_kb);
    if bubblewrap.is_some() {
        add("bubblewrap_us", peer);
        add("jail_cold_to_bubblewrap_ratio", cold / peer);
        add("jail_parked_to_bubblewrap_ratio", parked / peer);
    }
    let late = rig.killed_late_us((runs / KILLED_ONE_IN).max(1))?;
    add("kill_late_us", late);
    Ok(())
}

/// Two plans, and two spawners: one makes every jail when it is asked, one keeps some ahead of the first plan.
struct Rig {
    /// The machine's programs and nothing else, which is also what bubblewrap is asked for.
    plan: Plan,
    /// With a workspace that can be written, and what has to be guarded in it: as the tool `shell` gets it.
    workspace: Plan,
    cold: Spawner,
    parked: Spawner,
    parked_pss_kb: f64,
}

impl Rig {
    fn new(options: &Options) -> Result<Rig, Trouble> {
        let places = |name: &str| Place::parse(name).map(|place| vec![place]).map_err(Trouble::failed);
        let bare = Capability::default().with_programs(places(SYSTEM)?);
        let whole = bare.clone().with_read(places(WORKSPACE)?).with_write(places(WORKSPACE)?);
        let line = Line {
            program: PROGRAM.into(),
            args: Vec::new(),
            env: Vec::new(),
            folder: String::new(),
            input: String::new(),
            seconds_max: u64::MAX / 1000,
        };
        let workspace = aether_executor::plan(options, &whole, LIMITS, &line).map_err(Trouble::failed)?;
        let mut plan = aether_executor::plan(options, &bare, LIMITS, &line).map_err(Trouble::failed)?;
        plan.command.cwd = "/".into();
        let cold = (options.spawner)().map_err(Trouble::failed)?;
        let parked = (options.spawner)().map_err(Trouble::failed)?;
        // One jail first, so that the spawner has what it has once.
        parked.spawn(&plan, streams()?).and_then(|mut sandbox| sandbox.wait()).map_err(Trouble::failed)?;
        std::thread::sleep(Duration::from_millis(SETTLE_MS));
        let (before, before_kb) = memory(&[])?;
        parked.park(&plan, AHEAD).map_err(Trouble::failed)?;
        let (_, after_kb) = memory(&before)?;
        Ok(Rig {
            plan,
            workspace,
            cold,
            parked,
            parked_pss_kb: (after_kb as f64 - before_kb as f64) / f64::from(AHEAD),
        })
    }

    /// One program, from the call to its end.
    fn jailed(&self, spawner: &Spawner, plan: &Plan) -> Result<(), Trouble> {
        let mut sandbox = spawner.spawn(plan, streams()?).map_err(Trouble::failed)?;
        let ended = sandbox.wait().map_err(Trouble::failed)?;
        let is_done = ended.status == Status::Exited(0);
        if is_done { Ok(()) } else { Err(Trouble::failed(format!("{PROGRAM} in a jail: {ended:?}"))) }
    }

    /// Medians of so many turns: a jail, no jail, a jail made ahead, one with a workspace, and bubblewrap's, or 0 where it is
    /// not there.
    fn round(&self, turns: u64, bubblewrap: Option<&Path>) -> Result<[f64; 5], Trouble> {
        let mut samples: [Vec<f64>; 5] = Default::default();
        for number in 0..WARM_TURNS + turns {
            let turn = [
                Some(paused(|| self.jailed(&self.cold, &self.plan))?),
                Some(paused(|| run(Command::new(PROGRAM)))?),
                Some(paused(|| self.jailed(&self.parked, &self.plan))?),
                Some(paused(|| self.jailed(&self.cold, &self.workspace))?),
                bubblewrap.map(|path| paused(|| run(beside(path)))).transpose()?,
            ];
            if number >= WARM_TURNS {
                for (all, sample) in samples.iter_mut().zip(turn) {
                    all.extend(sample);
                }
            }
        }
        Ok(samples.each_mut().map(|all| if all.is_empty() { 0.0 } else { percentile(all, 50) }))
    }

    /// By how much a program overruns its time, seen from here: the median of so many, in microseconds.
    fn killed_late_us(&self, runs: u64) -> Result<f64, Trouble> {
        let mut plan = self.plan.clone();
        plan.command.program = "/bin/sleep".into();
        plan.command.args = vec!["sleep".into(), "60".into()];
        plan.limits.runtime_ms_max = KILLED_AFTER_MS;
        let mut samples = Vec::new();
        for _ in 0..runs {
            let mut sandbox = self.cold.spawn(&plan, streams()?).map_err(Trouble::failed)?;
            let from = Instant::now();
            let ended = sandbox.wait().map_err(Trouble::failed)?;
            // The time runs from a moment before the answer that it does, so on a busy machine this may be less than nothing.
            samples.push((since_us(from) - KILLED_AFTER_MS as f64 * 1000.0).max(0.0));
            if !matches!(ended.breach, Some(Breach::Runtime { .. })) {
                return Err(Trouble::failed(format!("a program that sleeps for a minute: {ended:?}")));
            }
        }
        Ok(percentile(&mut samples, 50))
    }
}

/// This process and its family, and what they have of the machine's memory together, in KiB: a page that several have
/// counts once. Those that are not `known` are jails made ahead, in which the first process stands still in the memory
/// of the second until there is a program.
fn memory(known: &[u32]) -> Result<(Vec<u32>, u64), Trouble> {
    let all = family()?;
    let mut kb = 0;
    for (process, _) in &all {
        let has_child = all.iter().any(|(_, parent)| parent == process);
        if known.is_empty() || known.contains(process) || !has_child {
            kb += proportional_kb(*process)?;
        }
    }
    Ok((all.into_iter().map(|(process, _)| process).collect(), kb))
}

fn paused(act: impl FnOnce() -> Result<(), Trouble>) -> Result<f64, Trouble> {
    std::thread::sleep(Duration::from_millis(PAUSE_MS));
    us(act)
}

fn streams() -> Result<Streams, Trouble> {
    let null = || -> Result<OwnedFd, Trouble> {
        let opened = OpenOptions::new().read(true).write(true).open("/dev/null");
        opened.map(OwnedFd::from).map_err(|error| Trouble::failed(format!("/dev/null: {error}")))
    };
    Ok(Streams { stdin: null()?, stdout: null()?, stderr: null()?, extra: Vec::new() })
}

/// Runs a program without a jail of ours.
fn run(mut command: Command) -> Result<(), Trouble> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let program = command.get_program().to_string_lossy().into_owned();
    let ended = command.status().map_err(|error| Trouble::failed(format!("{program}: {error}")))?;
    if ended.success() { Ok(()) } else { Err(Trouble::failed(format!("{program}: {ended}"))) }
}

/// Where bubblewrap is; `None` on a machine that does not have it.
fn bubblewrap() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("bwrap")).find(|path| path.is_file())
}

/// The same program as bubblewrap runs it with every namespace that it has, a view of `/usr` alone, and no filter.
fn beside(bubblewrap: &Path) -> Command {
    let mut command = Command::new(bubblewrap);
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]);
    command.args(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin"]);
    command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", PROGRAM]);
    command
}
