//! Control groups, where the machine has them: the limits that hold for a whole tree.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aether_cgroup::{Breach, Controller, Hierarchies, Sign, Usage, Version};
use rustix::event::epoll::EventFlags;

use crate::controls::{Control, is_on};
use crate::error::{JailError, Missing, Step};
use crate::mechanism::{Mechanism, State};
use crate::plan::{Limits, Strength};

/// How the names of our groups begin.
const PREFIX: &str = "aether-jail";

/// Where groups can be made.
pub(crate) struct Groups(Hierarchies);

impl Groups {
    /// Finds out, and removes what killed spawners left.
    pub(crate) fn detect() -> Groups {
        let found = Hierarchies::detect();
        // What cannot be removed is empty, and is nobody's; it is tried again by the next spawner.
        let _swept = aether_cgroup::sweep(&found, PREFIX);
        Groups(found)
    }

    /// Makes a group for one sandbox; none where the machine cannot hold anything with it.
    pub(crate) fn make(&self, limits: &Limits) -> Result<Option<Group>, JailError> {
        // The number of processes is held by the limit of the user namespace.
        self.make_one(limits, None)
    }

    /// The same where there is no user namespace to hold the number of processes.
    pub(crate) fn make_counting(&self, limits: &Limits) -> Result<Option<Group>, JailError> {
        let has_processes = self.0.seat(Controller::Processes).is_ok() && is_on(Control::LimitsProcesses);
        // The jail's first process counts, too.
        self.make_one(limits, has_processes.then(|| limits.processes_max.saturating_add(1)))
    }

    fn make_one(&self, limits: &Limits, processes_max: Option<u32>) -> Result<Option<Group>, JailError> {
        let has_memory = self.0.seat(Controller::Memory).is_ok() && is_on(Control::LimitsMemory);
        let has_cpu = self.0.usage().is_ok() && is_on(Control::LimitsCpu);
        if !has_memory && !has_cpu && processes_max.is_none() {
            return Ok(None);
        }
        let wanted = aether_cgroup::Limits {
            memory_bytes_max: has_memory.then_some(limits.memory_bytes_max),
            processes_max,
            cpu_percent_max: None,
            usage: if has_cpu { Usage::Counted } else { Usage::Uncounted },
        };
        let failed = |error: aether_cgroup::CgroupError| JailError::Step {
            step: Step::Group,
            what: error.to_string(),
            errno: number(&error),
        };
        let group = aether_cgroup::Group::create(&self.0, PREFIX, &wanted).map_err(failed)?;
        let alarm = group.alarm().map_err(failed)?;
        let doors = group.doors().map_err(failed)?;
        Ok(Some(Group { group, alarm, doors }))
    }

    /// Why memory cannot be held exactly.
    pub(crate) fn no_memory(&self) -> JailError {
        let (found, remedy) = match self.0.seat(Controller::Memory) {
            Err(missing) => (missing.reason.clone(), missing.remedy.to_owned()),
            Ok(_) => ("the group did not take the limit".to_owned(), "allow an approximate memory limit".to_owned()),
        };
        JailError::Unavailable { missing: vec![Missing { mechanism: "a memory control group".into(), found, remedy }] }
    }

    /// For a survey: each controller, and where it is or why not.
    pub(crate) fn survey(&self) -> Vec<Mechanism> {
        let seats = [
            ("memory control group", self.0.seat(Controller::Memory)),
            ("processor time control group", self.0.usage()),
        ];
        let mechanism = |(name, found): (&'static str, Result<&aether_cgroup::Seat, &aether_cgroup::Missing>)| {
            let (state, remedy) = match found {
                Ok(seat) => {
                    let version = if seat.version() == Version::One { 1 } else { 2 };
                    (State::Present(format!("version {version} at {}", seat.path().display())), None)
                }
                Err(missing) => (State::Missing(missing.reason.clone()), Some(missing.remedy.to_owned())),
            };
            Mechanism { name, state, remedy }
        };
        seats.into_iter().map(mechanism).collect()
    }
}

fn number(error: &aether_cgroup::CgroupError) -> i32 {
    match error {
        aether_cgroup::CgroupError::Step { error, .. } => error.raw_os_error().unwrap_or(libc::EIO),
        _ => libc::EIO,
    }
}

/// The group of one sandbox. Dropping it removes it.
pub(crate) struct Group {
    group: aether_cgroup::Group,
    alarm: Option<aether_cgroup::Alarm>,
    doors: Vec<OwnedFd>,
}

impl Group {
    /// How the limit of memory is held.
    pub(crate) fn holds_memory(group: Option<&Group>) -> Strength {
        if group.is_some_and(|group| group.group.enforced().memory) { Strength::Exact } else { Strength::Approximate }
    }

    /// How the limit of processes is held.
    pub(crate) fn holds_processes(group: Option<&Group>) -> Strength {
        if group.is_some_and(|group| group.group.enforced().processes) {
            Strength::Exact
        } else {
            Strength::Approximate
        }
    }

    /// How the limit of processor time is held.
    pub(crate) fn holds_cpu(group: Option<&Group>) -> Strength {
        if group.is_some_and(|group| group.cpu_ms().is_some()) { Strength::Exact } else { Strength::Approximate }
    }

    /// The group of version 2 that the jail is born in.
    pub(crate) fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.group.unified()
    }

    /// What the jail's first process writes `0` to, to be in the groups of version 1.
    pub(crate) fn take_doors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.doors)
    }

    /// Processor time that was used, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        self.group.cpu_us().map(|used| used / 1000)
    }

    /// The most memory that was used at once, in bytes.
    pub(crate) fn memory_bytes_peak(&self) -> Option<u64> {
        self.group.memory_peak()
    }

    /// Whether something was killed for want of memory.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        if let Some(alarm) = &self.alarm {
            alarm.settle();
        }
        matches!(self.group.breach(), Ok(Some(Breach::Memory)))
    }

    /// What becomes ready when memory is used up.
    pub(crate) fn memory_event(&self) -> Option<(BorrowedFd<'_>, EventFlags)> {
        let alarm = self.alarm.as_ref()?;
        let flags = if alarm.sign() == Sign::Urgent { EventFlags::PRI } else { EventFlags::IN };
        Some((alarm.as_fd(), flags))
    }
}
