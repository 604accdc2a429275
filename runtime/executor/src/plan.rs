//! From what a call may reach to what its jail looks like (E2).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use aether_core::capability::{Capability, Network, Place};
use aether_core::tool::Limits;
use aether_jail::{Access, Bind, Command, Execute, Plan};
use aether_programs::{Line, SYSTEM, WORKSPACE};

use crate::error::ExecutorError;
use crate::executor::Options;

/// Where programs are looked for, inside as outside.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Files that one run may have open at once.
const OPEN_FILES_MAX: u32 = 1_024;
/// The largest file that one run may make.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// The most that one run may keep in its own temporary directory.
const SCRATCH_BYTES_MAX: u64 = 512 << 20;

/// The variables that every program gets; nothing is inherited.
#[must_use]
pub fn environment() -> Vec<(OsString, OsString)> {
    let fixed = [
        ("PATH", PATH),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("USER", "aether"),
        ("LOGNAME", "aether"),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
    ];
    fixed.map(|(name, value)| (name.into(), value.into())).to_vec()
}

/// The machine's own programs, libraries and settings, and the further directories that the operator names.
#[must_use]
pub fn system(options: &Options) -> Vec<Bind> {
    let mut binds = aether_jail::system();
    for folder in options.programs_in.iter().filter(|folder| folder.is_dir()) {
        binds.push(Bind {
            // The operator may name a link; the jail follows none.
            source: folder.canonicalize().unwrap_or_else(|_| folder.clone()),
            target: folder.clone(),
            access: Access::Read,
            execute: Execute::Allowed,
        });
    }
    binds
}

/// What one run looks like.
///
/// # Errors
/// A program or directory that is not there, or a place that this executor does not know.
pub fn plan(options: &Options, capability: &Capability, limits: Limits, line: &Line) -> Result<Plan, ExecutorError> {
    let cwd = inside(options, Path::new(&line.folder))?;
    let mut env = environment();
    let more = options.environment.iter().map(|(name, value)| (name.into(), value.into()));
    env.extend(more);
    env.extend(line.env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let program = program(options, &line.program)?;
    let mut args = vec![OsString::from(&line.program)];
    args.extend(line.args.iter().map(OsString::from));
    let binds = binds(options, capability)?;
    // Whoever may not see the workspace starts in the root.
    let is_seen = binds.iter().any(|bind| cwd.starts_with(&bind.target));
    let cwd = if is_seen { cwd } else { PathBuf::from("/") };
    Ok(Plan {
        binds,
        network: network(capability),
        limits: limits_of(limits, line.seconds_max),
        command: Command { program, args, env, cwd },
        guarantees: options.guarantees,
    })
}

/// The limits of a run, in the jail's words.
pub(crate) fn limits_of(limits: Limits, seconds_max: u64) -> aether_jail::Limits {
    aether_jail::Limits {
        runtime_ms_max: limits.runtime_ms_max.min(seconds_max.saturating_mul(1000)),
        cpu_ms_max: limits.cpu_ms_max,
        memory_bytes_max: limits.memory_bytes_max,
        processes_max: limits.processes_max,
        open_files_max: OPEN_FILES_MAX,
        file_bytes_max: FILE_BYTES_MAX,
        scratch_bytes_max: SCRATCH_BYTES_MAX.min(limits.memory_bytes_max),
    }
}

fn network(capability: &Capability) -> aether_jail::Network {
    match &capability.network {
        Network::None => aether_jail::Network::None,
        network => aether_jail::Network::Brokered { ports: aether_egress::ports(network) },
    }
}

/// What is visible inside: what may be read or written, and the system where it may be executed.
fn binds(options: &Options, capability: &Capability) -> Result<Vec<Bind>, ExecutorError> {
    let mut binds = Vec::new();
    let may_execute = |place: &Place| capability.programs().iter().any(|program| program.covers(place));
    let whole = capability.programs().iter().any(|place| place.as_str() == SYSTEM);
    binds.extend(if whole { system(options) } else { aether_jail::libraries() });
    for place in capability.programs().iter().filter(|place| place.as_str().starts_with('/')) {
        let target = PathBuf::from(place.as_str());
        let source = host_path(options, place)?;
        // What lies in a place that is there already needs none of its own.
        let is_there = binds.iter().any(|bind| target.starts_with(&bind.target));
        if !is_there {
            binds.push(Bind { source, target, access: Access::Read, execute: Execute::Allowed });
        }
    }
    for (access, places) in [(Access::Write, capability.write()), (Access::Read, capability.read())] {
        for place in places {
            let is_writable = capability.write().iter().any(|written| written.covers(place));
            if access == Access::Read && is_writable {
                continue;
            }
            let source = host_path(options, place)?;
            let execute = if may_execute(place) { Execute::Allowed } else { Execute::Denied };
            // Within the workspace a path is the same inside; elsewhere it is seen where the manifest names it.
            let target = if place.as_str().starts_with('/') { place.as_str().into() } else { source.clone() };
            let (is_program, is_same) = (access == Access::Read, |bind: &Bind| bind.target == target);
            if is_program && binds.iter().any(is_same) {
                continue;
            }
            binds.push(Bind { source, target, access, execute });
        }
    }
    Ok(binds)
}

/// Where a place is on this machine: where it says, and not where a link leads that somebody put there, be it a
/// repository or a jail that may write beside it. A link of the system's own is what it leads to; no jail makes one.
fn host_path(options: &Options, place: &Place) -> Result<PathBuf, ExecutorError> {
    let wrong = |error: std::io::Error| ExecutorError::Input(format!("`{place}`: {error}"));
    let text = place.as_str();
    let path = if let Some(rest) = text.strip_prefix(WORKSPACE) {
        below(&options.workspace, rest)
    } else if let Some(rest) = text.strip_prefix("$home/") {
        let home = options.home.as_ref().ok_or_else(|| ExecutorError::Input("nobody has a home here".into()))?;
        below(&home.canonicalize().map_err(wrong)?, rest)
    } else if text.starts_with('/') {
        PathBuf::from(text)
    } else {
        return Err(ExecutorError::Input(format!("`{place}` is no place that programs can be given")));
    };
    let found = path.canonicalize().map_err(wrong)?;
    let is_of_system = aether_jail::SYSTEM.iter().any(|own| path.starts_with(own));
    if found != path && !is_of_system {
        return Err(ExecutorError::Input(format!("`{place}` leads to {}; name that place instead", found.display())));
    }
    Ok(found)
}

/// A path below a directory; the directory itself for nothing.
fn below(folder: &Path, rest: &str) -> PathBuf {
    match rest.trim_start_matches('/') {
        "" => folder.to_owned(),
        rest => folder.join(rest),
    }
}

/// A path beneath the workspace, without symbolic links.
fn inside(options: &Options, path: &Path) -> Result<PathBuf, ExecutorError> {
    if path.as_os_str().is_empty() {
        return Ok(options.workspace.clone());
    }
    let shown = path.display();
    let found = options.workspace.join(path).canonicalize();
    let found = found.map_err(|error| ExecutorError::Input(format!("`{shown}`: {error}")))?;
    if !found.starts_with(&options.workspace) {
        return Err(ExecutorError::Input(format!("`{shown}` leads out of the workspace")));
    }
    Ok(found)
}

/// The program that a call names: a path, or the first of that name where programs are looked for.
fn program(options: &Options, name: &str) -> Result<PathBuf, ExecutorError> {
    if let Some(rest) = name.strip_prefix("./") {
        return inside(options, Path::new(rest));
    }
    if name.starts_with('/') {
        return Ok(name.into());
    }
    let own = PATH.split(':').map(PathBuf::from);
    let mut folders = own.chain(options.programs_in.iter().flat_map(|folder| [folder.join("bin"), folder.clone()]));
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    found.ok_or_else(|| ExecutorError::Input(format!("there is no program `{name}` on this machine")))
}
