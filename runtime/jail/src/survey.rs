//! What this machine can do, found out by doing it.

use std::os::fd::AsFd;
use std::path::PathBuf;

use crate::error::{JailError, Tier};
use crate::group::Groups;
use crate::identity::{Identity, unavailable};
use crate::making::no_namespaces;
use crate::mechanism::{Mechanism, State, Survey};
use crate::plan::{Access, Bind, Command, Execute, Guarantees, Limits, Looseness, Network, Plan, Strength};
use crate::spawner::Spawner;
use crate::sys::{self, Side, Wait};
use crate::wire::{Reader, WireError, Writer};

/// The namespaces of a jail, in the order in which they are tried.
const NAMESPACES: &[(&str, i32)] = &[
    ("user namespace", 0),
    ("mount namespace", libc::CLONE_NEWNS),
    ("process namespace", libc::CLONE_NEWPID),
    ("network namespace", libc::CLONE_NEWNET),
    ("ipc namespace", libc::CLONE_NEWIPC),
    ("uts namespace", libc::CLONE_NEWUTS),
    ("control group namespace", libc::CLONE_NEWCGROUP),
];

/// Finds out what this machine can do: makes each kind of namespace, control groups, and a whole jail in which nothing
/// runs. Takes some ten milliseconds; it stays true until the machine starts again, so callers may keep it.
///
/// It executes this program again as a spawner, as [`Spawner::exec`] does.
#[must_use]
pub fn survey() -> Survey {
    let mut mechanisms = Vec::new();
    let mut tier = Tier::A;
    let mut is_bare = false;
    match Spawner::exec() {
        Err(error) => {
            mechanisms.push(missing("spawner", &error));
            tier = Tier::None;
        }
        Ok(spawner) => {
            match spawner.survey() {
                Ok(found) => mechanisms.extend(found),
                Err(error) => mechanisms.push(missing("namespaces", &error)),
            }
            for (name, plan) in [
                ("isolated jail", trial(Network::None, None)),
                ("brokered jail", trial(Network::Brokered { ports: vec![443] }, None)),
                ("granted directory", trial(Network::None, std::env::temp_dir().canonicalize().ok())),
            ] {
                match spawner.park(&plan, 1).and_then(|()| spawner.park(&plan, 0)) {
                    Ok(()) => mechanisms.push(present(name, "made, and ended again".into())),
                    Err(error) => {
                        is_bare |= is_for_want_of_namespaces(&error);
                        mechanisms.push(missing(name, &error));
                        tier = Tier::None;
                    }
                }
            }
        }
    }
    mechanisms.extend(others());
    if is_bare && without_namespaces(&mut mechanisms) {
        tier = Tier::B;
    }
    if tier == Tier::None
        && mechanisms
            .iter()
            .any(|found| found.name == "filter of system calls" && matches!(found.state, State::Present(_)))
    {
        tier = Tier::W;
    }
    Survey { tier, mechanisms }
}

/// Whether a jail would be made without namespaces, if only what that takes were allowed.
fn is_for_want_of_namespaces(error: &JailError) -> bool {
    matches!(error, JailError::Unavailable { missing } if missing.iter().any(|one| one.mechanism == "names"))
}

/// Whether a jail can be made without namespaces, where none can be made with.
fn without_namespaces(mechanisms: &mut Vec<Mechanism>) -> bool {
    let name = "jail without namespaces";
    let mut plan = trial(Network::None, None);
    plan.guarantees =
        Guarantees { process_view: Strength::Approximate, without_namespaces: Looseness::ALL, ..Guarantees::default() };
    match Spawner::exec().and_then(|spawner| spawner.park(&plan, 1)) {
        Ok(()) => {
            let what = "made, and ended again; without network, and with approximate names, execution and scratch";
            let remedy = "nothing runs so before policy allows it: `approximate = [\"names\", \"execution\", \"scratch\", \"processes\"]` below [sandbox]";
            mechanisms.push(Mechanism { name, state: State::Present(what.into()), remedy: Some(remedy.into()) });
            true
        }
        Err(error) => {
            mechanisms.push(missing(name, &error));
            false
        }
    }
}

/// What needs no process of its own to be found out.
fn others() -> Vec<Mechanism> {
    let absent = |name, found: &str, remedy: &str| Mechanism {
        name,
        state: State::Missing(found.into()),
        remedy: Some(remedy.into()),
    };
    let landlock = match sys::landlock_abi() {
        0 => {
            let (found, remedy) = crate::landlock::absence();
            absent("landlock", found, remedy)
        }
        abi => present("landlock", format!("version {abi}")),
    };
    let filter = match sys::can_notify() {
        true => present("filter of system calls", "with notification".into()),
        false => absent(
            "filter of system calls",
            "the kernel has no user notification",
            "use Linux 5.0 or newer, with CONFIG_SECCOMP_FILTER",
        ),
    };
    let mut found = vec![landlock, filter];
    found.extend(Groups::detect().survey());
    found
}

fn present(name: &'static str, what: String) -> Mechanism {
    Mechanism { name, state: State::Present(what), remedy: None }
}

fn missing(name: &'static str, error: &JailError) -> Mechanism {
    match error {
        JailError::Unavailable { missing } => {
            let join = |part: fn(&crate::error::Missing) -> &String| {
                missing.iter().map(part).cloned().collect::<Vec<_>>().join("; ")
            };
            Mechanism { name, state: State::Missing(join(|one| &one.found)), remedy: Some(join(|one| &one.remedy)) }
        }
        other => Mechanism { name, state: State::Missing(other.to_string()), remedy: None },
    }
}

/// A jail that is made and never used.
fn trial(network: Network, granted: Option<PathBuf>) -> Plan {
    let bind =
        |source: PathBuf| Bind { source, target: "/granted".into(), access: Access::Read, execute: Execute::Denied };
    Plan {
        binds: granted.map(bind).into_iter().collect(),
        network,
        limits: Limits {
            runtime_ms_max: 1000,
            cpu_ms_max: 1000,
            memory_bytes_max: 64 << 20,
            processes_max: 8,
            open_files_max: 64,
            file_bytes_max: 1 << 20,
            scratch_bytes_max: 1 << 20,
        },
        command: Command { program: "/nothing".into(), args: vec!["nothing".into()], env: Vec::new(), cwd: "/".into() },
        guarantees: Guarantees { sockets_absent: Strength::Approximate, ..Guarantees::default() },
    }
}

/// In the spawner: makes each kind of namespace, and says what came of it.
pub(crate) fn try_namespaces() -> Vec<u8> {
    let mut out = Writer::default();
    out.count(NAMESPACES.len());
    for (_, flag) in NAMESPACES {
        let error = Identity::choose(255).and_then(|identity| try_one(*flag as u64, identity)).err();
        out.byte(error.is_some().into());
        if let Some(error) = error {
            crate::report::write_error(&mut out, &error);
        }
    }
    out.0
}

fn try_one(flag: u64, identity: Identity) -> Result<(), JailError> {
    match sys::clone(libc::CLONE_NEWUSER as u64 | flag, None).map_err(no_namespaces)? {
        Side::Child => {
            let is_own = matches!(identity, Identity::Own { .. });
            sys::exit((is_own && identity.assume().is_err()).into())
        }
        Side::Parent(pid, pidfd) => {
            let mapped = identity.write_maps(pid as u32);
            let reaped = sys::reap(pid, Wait::Until).map_err(no_namespaces);
            drop(pidfd);
            match (mapped, reaped?) {
                (Ok(()), Some(reaped)) if reaped.status == 0 => Ok(()),
                // Without this process the maps may be gone, too.
                (Err(JailError::Step { errno: libc::ENOENT | libc::ESRCH, .. }), Some(reaped))
                    if reaped.status == 0 =>
                {
                    Ok(())
                }
                (Err(error), _) => Err(error),
                (Ok(()), _) => Err(unavailable(
                    "user namespaces",
                    "made, but without rights in them",
                    "allow them to this program: an AppArmor profile with `userns,`, or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
                )),
            }
        }
    }
}

/// Reads what [`try_namespaces`] wrote.
pub(crate) fn read_namespaces(bytes: &[u8]) -> Result<Vec<Mechanism>, WireError> {
    let mut from = Reader(bytes);
    let count = from.count(NAMESPACES.len())?;
    let mut found = Vec::with_capacity(count);
    for (name, _) in &NAMESPACES[..count] {
        found.push(match from.byte()? {
            0 => present(name, "made".into()),
            1 => missing(name, &crate::report::read_error(&mut from)?),
            _ => return Err(WireError::Value),
        });
    }
    from.end()?;
    Ok(found)
}

impl Spawner {
    fn survey(&self) -> Result<Vec<Mechanism>, JailError> {
        let (control, other) = crate::socket::pair().map_err(JailError::at(crate::Step::Exchange, ""))?;
        self.ask_for_survey(other.as_fd())?;
        drop(other);
        let bytes = crate::spawner::answer(&control)?.bytes;
        read_namespaces(&bytes[1..])
            .map_err(|error| JailError::Gone { why: format!("its answer cannot be read: {error}") })
    }
}
