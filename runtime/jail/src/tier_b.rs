//! Jails where the machine gives no namespaces: rules of Landlock, a filter of system calls, limits, and a first process
//! that outlives everything in it.
//!
//! What is the host's stays where it is, so a plan has to see it at its own places. What mounts and namespaces give and
//! this cannot is approximate, and nothing runs before the plan allows each of it by name.

mod leader;
mod rules;
mod scratch;
mod sweep;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

pub(crate) use leader::{adjusted, hold, lead};
pub(crate) use scratch::Scratch;
pub(crate) use sweep::{end_strays, kill_inside};

use crate::binds::{Known, Protection};
use crate::child::{self, Birth, GO};
use crate::error::{Enforcement, JailError, Missing, Step, Tier};
use crate::group::Group;
use crate::identity::Identity;
use crate::jail::{Clock, Jail, Lines, Stage};
use crate::making::{Order, no_namespaces};
use crate::plan::{Execute, Looseness, Network, Plan, Strength};
use crate::server::Server;
use crate::socket;
use crate::sys::{self, Side, Wait};

/// The version of Landlock that can deny everything that changes what is in files: Linux 6.2.
const LANDLOCK_MIN: u32 = 3;
/// The version that keeps signals in: Linux 6.12.
const LANDLOCK_OF_SIGNALS: u32 = 6;

/// Whether jails have to be made without namespaces on this machine.
pub(crate) fn is_needed() -> bool {
    trial().is_err()
}

/// What a spawner needs to be for such jails.
pub(crate) fn prepare() -> Result<(), Errno> {
    scratch::sweep();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// Finds out whether there are namespaces to be had, by making a set of them with a mount in it.
///
/// # Errors
/// What is missing.
pub(crate) fn trial() -> Result<(), JailError> {
    let all = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    let identity = Identity::choose(255)?;
    let failed = || JailError::at(Step::Start, "");
    let (line, far) = socket::pair().map_err(failed())?;
    let (pid, pidfd) = match sys::clone(all as u64, None).map_err(no_namespaces)? {
        Side::Child => {
            drop(line);
            let told = socket::receive(&far).is_ok_and(|packet| packet.bytes == [GO]);
            sys::exit(if told { try_mount(identity) } else { 0 })
        }
        Side::Parent(pid, pidfd) => (pid, pidfd),
    };
    drop(far);
    let mapped = identity.write_maps(pid as u32);
    let told = socket::send(&line, if mapped.is_ok() { &[GO] } else { &[0] }, &[]);
    let reaped = sys::reap(pid, Wait::Until).map_err(failed())?;
    drop(pidfd);
    mapped?;
    told.map_err(failed())?;
    match reaped.map(|reaped| reaped.status) {
        Some(0) => Ok(()),
        Some(status) if status == NO_MOUNT << 8 => Err(crate::identity::unavailable(
            "mounts",
            "namespaces can be made, but nothing can be mounted in them",
            "in a container, start it with `--security-opt apparmor=unconfined` and a seccomp profile that allows mount",
        )),
        _ => Err(crate::identity::unavailable(
            "user namespaces",
            "made, but without rights in them",
            "allow them to this program: an AppArmor profile with `userns,` (`aether doctor --apparmor` prints one), or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        )),
    }
}

/// How a process of a trial ends that cannot mount anything.
const NO_MOUNT: i32 = 2;

fn try_mount(identity: Identity) -> i32 {
    use rustix::mount::{MountFlags, MountPropagationFlags};
    if identity.assume().is_err() {
        return 1;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    // A machine may have no `/tmp`; the trial is made where a jail's root would be.
    let base = crate::root::BASES.iter().find(|base| std::path::Path::new(base).is_dir());
    let mounted = rustix::mount::mount_change("/", private)
        .and_then(|()| rustix::mount::mount("tmpfs", *base.unwrap_or(&"/"), "tmpfs", flags, c"size=4k,nr_inodes=2"));
    if mounted.is_ok() { 0 } else { NO_MOUNT }
}

/// What of a plan is given here, and how well.
///
/// # Errors
/// [`JailError::Unavailable`] with why there are no namespaces, and everything that the plan needs and this machine has
/// not got without them.
fn accept(plan: &Plan, landlock_abi: u32, group: Option<&Group>) -> Result<Enforcement, JailError> {
    let mut missing = Vec::new();
    let mut lack = |mechanism: &str, found: &str, remedy: &str| {
        missing.push(Missing { mechanism: mechanism.into(), found: found.into(), remedy: remedy.into() });
    };
    if leader::is_first_user() {
        lack(
            "an ordinary user",
            "without namespaces the program would be the machine's first user",
            "run as an ordinary user: `docker run --user 1000:1000`, or `User=` of a service",
        );
    }
    if landlock_abi < LANDLOCK_MIN {
        let found = format!("version {landlock_abi}, and version {LANDLOCK_MIN} is needed without namespaces");
        lack("landlock", &found, "use Linux 6.2 or newer, started with landlock among lsm=");
    }
    if plan.network != Network::None {
        lack(
            "a network of its own",
            "without namespaces a program has no network at all",
            "run it without network, or where namespaces can be made",
        );
    }
    if !sweep::can_see_children() {
        lack(
            "/proc",
            "it does not say which processes a process has",
            "mount /proc, of a kernel with CONFIG_PROC_CHILDREN",
        );
    }
    let given = given(plan, landlock_abi, group);
    for (name, given, wanted, found) in allowances(plan, &given) {
        if given == Strength::Approximate && wanted == Strength::Exact {
            lack(name, found, &format!("allow it: `approximate = [\"{name}\", …]` below [sandbox] of policy"));
        }
    }
    if missing.is_empty() {
        return Ok(given);
    }
    let mut all = match trial() {
        Err(JailError::Unavailable { missing }) => missing,
        Err(other) => vec![Missing { mechanism: "namespaces".into(), found: other.to_string(), remedy: GET.into() }],
        Ok(()) => Vec::new(),
    };
    all.append(&mut missing);
    Err(JailError::Unavailable { missing: all })
}

/// How namespaces can be had, in general.
const GET: &str = "allow user namespaces to this program";

/// How well everything is given here.
fn given(plan: &Plan, landlock_abi: u32, group: Option<&Group>) -> Enforcement {
    let unless = |is_exact: bool| if is_exact { Strength::Exact } else { Strength::Approximate };
    Enforcement {
        tier: Tier::B,
        memory: Group::holds_memory(group),
        cpu: Group::holds_cpu(group),
        process_view: Strength::Approximate,
        without_namespaces: Looseness {
            processes: Group::holds_processes(group),
            names: Strength::Approximate,
            execution: unless(plan.binds.iter().all(|bind| bind.execute == Execute::Allowed)),
            scratch: Strength::Approximate,
            signals: unless(landlock_abi >= LANDLOCK_OF_SIGNALS),
        },
        landlock_abi,
    }
}

/// Each guarantee by its name in policy, how it is given and wanted, and what is found.
fn allowances(plan: &Plan, given: &Enforcement) -> [(&'static str, Strength, Strength, &'static str); 6] {
    let (given_loose, wanted) = (given.without_namespaces, plan.guarantees.without_namespaces);
    [
        ("memory", given.memory, plan.guarantees.memory, "the limit can only be watched"),
        ("processes", given_loose.processes, wanted.processes, "other processes of the same user count, too"),
        ("names", given_loose.names, wanted.names, "names and dates of files that are not granted can be told"),
        ("execution", given_loose.execution, wanted.execution, "what may not be executed can still be mapped as code"),
        ("scratch", given_loose.scratch, wanted.scratch, "of temporary files only the size of each is limited"),
        ("signals", given_loose.signals, wanted.signals, "Landlock before Linux 6.12 keeps no signals in"),
    ]
}

impl Server {
    /// Begins to make a sandbox without namespaces.
    pub(crate) fn make_without_namespaces(&mut self, order: &mut Order) -> Result<(), JailError> {
        self.filters.ready_without_namespaces()?;
        let slot = self.free_slot()?;
        let mut group = self.groups.make_counting(&order.plan.limits)?;
        let enforcement = accept(&order.plan, self.landlock_abi, group.as_ref())?;
        // Whatever is wrong with what is granted is known before there is anything to end.
        rules::look(&order.plan, &order.protected)?;
        let id = self.next_id;
        let scratch = Scratch::make(id)?;
        let (pid, lines) = self.bear_without_namespaces(order, scratch, (group.as_mut(), enforcement.memory))?;
        self.next_id += 1;
        self.jails[slot] = Some(Jail {
            id,
            stage: Stage::Making,
            pid,
            limits: order.plan.limits,
            enforcement,
            lines,
            profile: order.profile,
            placeholders: Vec::new(),
            group,
            clock: Clock::new(),
            breach: None,
            failure: None,
        });
        self.release(slot, own(), order)
    }

    fn bear_without_namespaces(
        &self,
        order: &mut Order,
        scratch: Scratch,
        (group, memory): (Option<&mut Group>, Strength),
    ) -> Result<(i32, Lines), JailError> {
        let failed = || JailError::at(Step::Clone, "");
        let protection = Protection::of(&order.plan, &order.protected);
        let (setup, line) = socket::pair().map_err(failed())?;
        let doors = doors(group)?;
        let (status, record) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed())?;
        match sys::fork_watched().map_err(failed())? {
            Side::Child => child::live(Birth {
                plan: &order.plan,
                known: Known { protection: &protection, ground: &[] },
                identity: own(),
                trees: None,
                line,
                status: record,
                streams: order.streams.take(),
                doors,
                filters: &self.filters,
                memory,
                landlock_abi: self.landlock_abi,
                scratch: Some(scratch),
            }),
            Side::Parent(pid, Some(pidfd)) => {
                let lines = Lines {
                    pidfd,
                    setup: Some(setup),
                    status: Some(status),
                    listener: None,
                    client: None,
                    gateway: Vec::new(),
                    scratch: Some(scratch),
                };
                Ok((pid, lines))
            }
            Side::Parent(_, None) => Err(failed()(Errno::BADF)),
        }
    }
}

/// The only identity without namespaces: the user's own.
fn own() -> Identity {
    Identity::Own { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
}

/// What the first process writes `0` to, to be in its control groups: of version 2, too, where nobody can be born.
fn doors(group: Option<&mut Group>) -> Result<Vec<OwnedFd>, JailError> {
    let Some(group) = group else { return Ok(Vec::new()) };
    let mut doors = group.take_doors();
    if let Some(unified) = group.birthplace() {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let door = rustix::fs::openat(unified.as_fd(), "cgroup.procs", flags, Mode::empty());
        doors.push(door.map_err(JailError::at(Step::Group, "(open its door)"))?);
    }
    Ok(doors)
}
