//! A group of processes with limits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::hierarchies::{Hierarchies, Seat};
use crate::limits::{Breach, CgroupError, Controller, Enforced, Limits, Sign, Usage, Version};
use crate::owner::{self, Owner};
use crate::place::{self, Base};
use crate::values::{number_of, writes};

/// How many names are tried if somebody made one before us.
const NAMES_MAX: usize = 16;
/// How often the processes of a group are killed until none is left.
const KILLS_MAX: usize = 200;
/// How often a group is removed until it is gone; a killed process takes a moment to leave.
const REMOVALS_MAX: usize = 500;
/// How long is waited in between.
const PAUSE: Duration = Duration::from_millis(1);

/// A directory of the group in one hierarchy.
#[derive(Debug)]
pub(crate) struct Leaf {
    base: Arc<Base>,
    directory: OwnedFd,
    version: Version,
}

impl Leaf {
    pub(crate) fn new(base: &Arc<Base>, directory: OwnedFd, version: Version) -> Leaf {
        Leaf { base: Arc::clone(base), directory, version }
    }
}

/// Processes that have limits together. Dropping it kills them and removes it (G3).
#[derive(Debug)]
pub struct Group {
    name: String,
    leaves: Vec<Leaf>,
    memory: Option<usize>,
    processes: Option<usize>,
    usage: Option<usize>,
    enforced: Enforced,
}

impl Group {
    /// Makes a group with these limits. A limit whose controller is missing is left out: see [`Group::enforced`].
    ///
    /// # Errors
    ///
    /// [`CgroupError::Name`] for a prefix that cannot start a name, [`CgroupError::Step`] for a directory that cannot
    /// be made or a limit that the kernel does not take; then nothing is left of the group.
    pub fn create(hierarchies: &Hierarchies, prefix: &str, limits: &Limits) -> Result<Group, CgroupError> {
        owner::check(prefix)?;
        let owner = Owner::current()?;
        for _ in 0..NAMES_MAX {
            let name = owner.next_name(prefix);
            match Group::named(hierarchies, name, limits) {
                Err(CgroupError::Step { error, .. }) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {}
                done => return done,
            }
        }
        Err(CgroupError::Step {
            step: "find a name for a group like",
            place: PathBuf::from(owner.next_name(prefix)),
            error: Errno::EXIST.into(),
        })
    }

    fn named(hierarchies: &Hierarchies, name: String, limits: &Limits) -> Result<Group, CgroupError> {
        // From the first directory on, dropping it on the way out removes what was made.
        let mut group = Group {
            name,
            leaves: Vec::new(),
            memory: None,
            processes: None,
            usage: None,
            enforced: Enforced::default(),
        };
        for controller in Controller::ALL {
            let Ok(seat) = hierarchies.seat(controller) else { continue };
            let writes = writes(controller, seat.version, limits);
            if writes.is_empty() {
                continue;
            }
            let leaf = group.leaf(seat)?;
            let Leaf { base, directory, .. } = &group.leaves[leaf];
            place::apply(directory.as_fd(), &writes)
                .map_err(|(file, error)| base.failed("limit", &format!("{}/{file}", group.name), error))?;
            match controller {
                Controller::Memory => (group.memory, group.enforced.memory) = (Some(leaf), true),
                Controller::Processes => (group.processes, group.enforced.processes) = (Some(leaf), true),
                Controller::Cpu => group.enforced.cpu = true,
            }
        }
        if let (Usage::Counted, Ok(seat)) = (limits.usage, hierarchies.usage()) {
            group.usage = Some(group.leaf(seat)?);
        }
        Ok(group)
    }

    /// The directory in this hierarchy, made if it is the first that needs it.
    fn leaf(&mut self, seat: &Seat) -> Result<usize, CgroupError> {
        if let Some(known) = self.leaves.iter().position(|leaf| Arc::ptr_eq(&leaf.base, &seat.base)) {
            return Ok(known);
        }
        let failed = |step, error| seat.base.failed(step, &self.name, error);
        seat.base.make(&self.name).map_err(|error| failed("make the group", error))?;
        match seat.base.enter(&self.name) {
            Ok(directory) => self.leaves.push(Leaf::new(&seat.base, directory, seat.version)),
            Err(error) => {
                let error = failed("open the group", error);
                seat.base.remove(&self.name).map_err(|error| failed("remove the group", error))?;
                return Err(error);
            }
        }
        Ok(self.leaves.len() - 1)
    }

    /// What it is called in every hierarchy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which limits the kernel holds.
    #[must_use]
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Puts a process with all its threads into the group.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Step`], for example for a process that is gone; it may then be in the group in some hierarchies.
    pub fn add(&self, process: u32) -> Result<(), CgroupError> {
        let process = process.to_string();
        for leaf in &self.leaves {
            place::write(leaf.directory.as_fd(), "cgroup.procs", &process)
                .map_err(|error| self.failed(leaf, "add a process to", error))?;
        }
        Ok(())
    }

    /// The directory of the unified hierarchy, for `CLONE_INTO_CGROUP` of clone(2), if the group has one.
    #[must_use]
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.leaves.iter().find(|leaf| leaf.version == Version::Two).map(|leaf| leaf.directory.as_fd())
    }

    /// The doors of the old hierarchies: a process that writes `0` to each of them is in. It has to have one thread
    /// alone; then the kernel does not stop the machine's forks meanwhile, as it does for [`Group::add`].
    ///
    /// # Errors
    ///
    /// [`CgroupError::Step`] where a file cannot be opened.
    pub fn doors(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let old = self.leaves.iter().filter(|leaf| leaf.version == Version::One);
        old.map(|leaf| {
            openat(&leaf.directory, "tasks", OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| self.failed(leaf, "open the door of", error))
        })
        .collect()
    }

    /// The most memory that was used at once, in bytes; `None` where nobody counted.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        let leaf = self.leaves.get(self.memory?)?;
        let file = if leaf.version == Version::Two { "memory.peak" } else { "memory.max_usage_in_bytes" };
        place::read(leaf.directory.as_fd(), file).ok()?.trim().parse().ok()
    }

    /// The processor time that was used, in microseconds; `None` unless [`Limits::usage`] asked for it.
    #[must_use]
    pub fn cpu_us(&self) -> Option<u64> {
        let leaf = self.leaves.get(self.usage?)?;
        match leaf.version {
            Version::Two => number_of(&place::read(leaf.directory.as_fd(), "cpu.stat").ok()?, "usage_usec"),
            Version::One => {
                let nanoseconds: u64 =
                    place::read(leaf.directory.as_fd(), "cpuacct.usage").ok()?.trim().parse().ok()?;
                Some(nanoseconds / 1000)
            }
        }
    }

    /// The limit that was run into, memory before processes.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Step`] where the counters cannot be read.
    pub fn breach(&self) -> Result<Option<Breach>, CgroupError> {
        if let Some(leaf) = self.memory.and_then(|memory| self.leaves.get(memory)) {
            let file = memory_file(leaf.version);
            let text = self.read(leaf, file)?;
            let held = if leaf.version == Version::Two { "oom" } else { "under_oom" };
            if [held, "oom_kill"].iter().any(|key| number_of(&text, key).is_some_and(|count| count > 0)) {
                return Ok(Some(Breach::Memory));
            }
        }
        if let Some(leaf) = self.processes.and_then(|processes| self.leaves.get(processes)) {
            // Kernels before 4.5 do not count.
            let text = place::read(leaf.directory.as_fd(), "pids.events").unwrap_or_default();
            if number_of(&text, "max").is_some_and(|count| count > 0) {
                return Ok(Some(Breach::Processes));
            }
        }
        Ok(None)
    }

    /// Something to wait on until memory is used up; `None` for a group without a limit of memory. What it says is a
    /// hint: [`Group::breach`] knows.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Step`] where it cannot be set up.
    pub fn alarm(&self) -> Result<Option<Alarm>, CgroupError> {
        let Some(leaf) = self.memory.and_then(|memory| self.leaves.get(memory)) else { return Ok(None) };
        let failed = |error| self.failed(leaf, "watch the memory of", error);
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let counters = openat(&leaf.directory, memory_file(leaf.version), how, Mode::empty()).map_err(failed)?;
        let alarm = match leaf.version {
            Version::Two => Alarm { descriptor: counters, sign: Sign::Urgent },
            Version::One => {
                use std::os::fd::AsRawFd;
                let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
                let order = format!("{} {}", event.as_raw_fd(), counters.as_raw_fd());
                place::write(leaf.directory.as_fd(), "cgroup.event_control", &order).map_err(failed)?;
                Alarm { descriptor: event, sign: Sign::Readable }
            }
        };
        // What happened so far is not news.
        alarm.settle();
        Ok(Some(alarm))
    }

    /// Kills every process of the group and waits until none is left, at most about 0.2 s.
    ///
    /// # Errors
    ///
    /// [`CgroupError::Alive`] for processes that do not die, [`CgroupError::Step`] where they cannot be listed.
    pub fn kill(&self) -> Result<(), CgroupError> {
        if let Some(leaf) = self.processes.and_then(|processes| self.leaves.get(processes)) {
            // No new ones from here on.
            place::write(leaf.directory.as_fd(), "pids.max", "0").map_err(|error| self.failed(leaf, "close", error))?;
        }
        // The unified hierarchy kills at once; the others then only have to see that nobody is left.
        let of = |version| self.leaves.iter().filter(move |leaf| leaf.version == version);
        of(Version::Two).chain(of(Version::One)).try_for_each(|leaf| kill(leaf, &self.name))
    }

    /// Kills what is left, removes the group and says how that went.
    ///
    /// # Errors
    ///
    /// As [`Group::kill`], or [`CgroupError::Step`] for a directory that stays.
    pub fn close(mut self) -> Result<(), CgroupError> {
        self.dissolve()
    }

    fn dissolve(&mut self) -> Result<(), CgroupError> {
        let mut result = Ok(());
        for leaf in std::mem::take(&mut self.leaves) {
            result = result.and(remove(&leaf, &self.name));
        }
        result
    }

    fn read(&self, leaf: &Leaf, file: &'static str) -> Result<String, CgroupError> {
        place::read(leaf.directory.as_fd(), file).map_err(|error| self.failed(leaf, file, error))
    }

    fn failed(&self, leaf: &Leaf, step: &'static str, error: Errno) -> CgroupError {
        leaf.base.failed(step, &self.name, error)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who wants to know calls `close`; what stays is found by the next sweep.
        drop(self.dissolve());
    }
}

/// Where the kernel counts kills for want of memory.
fn memory_file(version: Version) -> &'static str {
    match version {
        Version::One => "memory.oom_control",
        Version::Two => "memory.events",
    }
}

/// Removes a group, killing what is in it.
pub(crate) fn remove(leaf: &Leaf, name: &str) -> Result<(), CgroupError> {
    for removal in 0..REMOVALS_MAX {
        match leaf.base.remove(name) {
            Ok(()) => return Ok(()),
            Err(Errno::BUSY) if removal == 0 => kill(leaf, name)?,
            Err(Errno::BUSY) => sleep(PAUSE),
            Err(error) => return Err(leaf.base.failed("remove the group", name, error)),
        }
    }
    Err(CgroupError::Alive { place: leaf.base.path().join(name) })
}

/// Kills every process of one directory until none is left.
fn kill(leaf: &Leaf, name: &str) -> Result<(), CgroupError> {
    for round in 0..KILLS_MAX {
        let members = members(leaf, name)?;
        if members.is_empty() {
            return Ok(());
        }
        if round > 0 {
            sleep(PAUSE);
        }
        // Since Linux 5.14 the kernel does it at once.
        if leaf.version == Version::Two && place::write(leaf.directory.as_fd(), "cgroup.kill", "1").is_ok() {
            continue;
        }
        // A number may be another process's by now: hold the process, see that it is still a member, then kill it.
        let held: Vec<(Pid, OwnedFd)> = members
            .into_iter()
            .filter_map(|process| Some((process, pidfd_open(process, PidfdFlags::empty()).ok()?)))
            .collect();
        let still = self::members(leaf, name)?;
        for (_, process) in held.iter().filter(|(number, _)| still.contains(number)) {
            match pidfd_send_signal(process, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(leaf.base.failed("kill the processes of", name, error)),
            }
        }
    }
    Err(CgroupError::Alive { place: leaf.base.path().join(name) })
}

/// Its processes, as far as they are of this process namespace.
fn members(leaf: &Leaf, name: &str) -> Result<Vec<Pid>, CgroupError> {
    match place::read(leaf.directory.as_fd(), "cgroup.procs") {
        // A long list is cut somewhere, and half a number is another process.
        Ok(text) => {
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            Ok(whole.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect())
        }
        Err(Errno::NODEV) => Ok(Vec::new()),
        Err(error) => Err(leaf.base.failed("list the processes of", name, error)),
    }
}

/// Says that memory was used up.
#[derive(Debug)]
pub struct Alarm {
    descriptor: OwnedFd,
    sign: Sign,
}

impl Alarm {
    /// What to wait for on the descriptor.
    #[must_use]
    pub fn sign(&self) -> Sign {
        self.sign
    }

    /// Takes note of what was said, so that the next wait is for something new.
    pub fn settle(&self) {
        let mut counters = [0; 256];
        // Nothing to take note of is no mistake.
        let _noted = match self.sign {
            Sign::Readable => rustix::io::read(&self.descriptor, &mut counters),
            Sign::Urgent => rustix::io::pread(&self.descriptor, &mut counters, 0),
        };
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::membership::Lists;

    /// The real unified hierarchy of this machine, though it may have no controller: groups in it, and their end.
    #[test]
    fn the_unified_hierarchy_kills_at_once() {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts: String =
            mounts.lines().filter(|line| line.contains(" - cgroup2 ")).map(|line| format!("{line}\n")).collect();
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let groups: String =
            groups.lines().filter(|line| line.starts_with("0::")).map(|line| format!("{line}\n")).collect();
        let hierarchies = Hierarchies::of(Lists { mounts: &mounts, groups: &groups });
        if let Err(missing) = hierarchies.usage() {
            return assert!(missing.reason.len() > 5 && missing.remedy.len() > 5, "{missing}");
        }
        let limits = Limits { usage: Usage::Counted, ..Limits::default() };
        let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
        assert!(group.unified().is_some() && group.doors().unwrap().is_empty());
        let mut child = Command::new("sh").args(["-c", "sleep 60 & sleep 60; true"]).spawn().unwrap();
        group.add(child.id()).unwrap();
        group.kill().unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "killed");
        assert!(group.cpu_us().is_some());
        let path = hierarchies.usage().unwrap().path().join(group.name());
        assert!(path.exists());
        drop(group);
        assert!(!path.exists());
    }

    #[test]
    fn a_process_goes_in_by_the_doors() {
        let hierarchies = Hierarchies::detect();
        let limits = Limits { processes_max: Some(5), memory_bytes_max: Some(64 << 20), ..Limits::default() };
        let group = Group::create(&hierarchies, "aether-test", &limits).unwrap();
        let doors = group.doors().unwrap();
        assert_eq!(doors.is_empty(), group.leaves.iter().all(|leaf| leaf.version == Version::Two));
        use std::os::fd::AsRawFd;
        let steps: String = doors
            .iter()
            .map(|door| format!("echo 0 > /proc/{}/fd/{} && ", std::process::id(), door.as_raw_fd()))
            .collect();
        let mut child = Command::new("sh").args(["-c", &format!("{steps} exec sleep 60")]).spawn().unwrap();
        let number = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let is_in = |leaf: &Leaf| leaf.version == Version::Two || members(leaf, group.name()).unwrap() == [number];
        let was_in = (0..2000).any(|_| {
            sleep(PAUSE);
            group.leaves.iter().all(is_in)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(was_in);
    }
}
