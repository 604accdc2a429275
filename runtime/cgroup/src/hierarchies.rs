//! Where groups can be made, found out by making them.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use crate::delegation;
use crate::limits::{Controller, Limits, Missing, Usage, Version};
use crate::membership::{Access, Home, Lists};
use crate::owner::Owner;
use crate::place::{self, Base};
use crate::values::writes;

/// The most bytes of the kernel's lists that are read; control groups are mounted early.
const LIST_BYTES_MAX: usize = 1 << 20;
/// What the trial group is called.
pub(crate) const TRIAL: &str = "aether-trial";
/// Limits for the trial: any value will do.
const TRIAL_LIMITS: Limits = Limits {
    memory_bytes_max: Some(64 << 20),
    processes_max: Some(64),
    cpu_percent_max: Some(100),
    usage: Usage::Uncounted,
};

const WRITABLE: &str =
    "give the container a control group file system of its own that can be written, or run on the host";
const PERMITTED: &str = "run as root, or in a group of its own with `systemd-run --user --scope -p Delegate=yes`";
const MOUNTED: &str = "mount the control group file system at /sys/fs/cgroup";

/// Where groups with one controller are made.
#[derive(Clone, Debug)]
pub struct Seat {
    pub(crate) version: Version,
    pub(crate) base: Arc<Base>,
}

impl Seat {
    /// Which interface it has.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The directory beneath which groups are made.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.base.path()
    }
}

type Found = Result<Seat, Missing>;

/// Where groups can be made on this machine, for each controller.
#[derive(Debug)]
pub struct Hierarchies {
    memory: Found,
    processes: Found,
    cpu: Found,
    /// Where processor time is counted: its own controller of version 1, every group of version 2.
    usage: Found,
}

impl Hierarchies {
    /// Finds out, by making a group, limiting it and removing it again.
    ///
    /// In a group of the unified hierarchy that was handed over to this user and in which only this program runs, its
    /// processes are moved one level down (G4): otherwise the kernel gives no limits to groups below. Takes a few
    /// milliseconds.
    #[must_use]
    pub fn detect() -> Hierarchies {
        let list = |path: &str| -> Result<String, Missing> {
            let read = || -> io::Result<String> { Ok(place::all(File::open(path)?.as_fd(), LIST_BYTES_MAX)?) };
            read().map_err(|error| Missing {
                reason: format!("{path} cannot be read: {error}"),
                remedy: "mount the proc file system at /proc",
            })
        };
        match list("/proc/self/mountinfo").and_then(|mounts| Ok((mounts, list("/proc/self/cgroup")?))) {
            Ok((mounts, groups)) => Hierarchies::of(Lists { mounts: &mounts, groups: &groups }),
            Err(missing) => Hierarchies::without(&missing),
        }
    }

    /// As if there were none, for this reason.
    #[must_use]
    pub fn without(missing: &Missing) -> Hierarchies {
        let none = || Err(missing.clone());
        Hierarchies { memory: none(), processes: none(), cpu: none(), usage: none() }
    }

    /// Finds out, with these lists for the kernel's.
    pub(crate) fn of(lists: Lists<'_>) -> Hierarchies {
        let unified = lists.unified().and_then(|home| match home {
            Some(home) => Ok((Arc::new(delegation::base(&writable(&home).map(|()| home.clone())?)?), home)),
            None => Err(Missing { reason: "no control group file system is mounted".to_owned(), remedy: MOUNTED }),
        });
        let mut known: Vec<Seat> = Vec::new();
        let [memory, processes, cpu] =
            Controller::ALL.map(|controller| limited(&lists, &unified, controller, &mut known));
        let usage = counted(&lists, &unified, &mut known);
        Hierarchies { memory, processes, cpu, usage }
    }

    /// Where groups with this controller are made.
    ///
    /// # Errors
    ///
    /// [`Missing`], why there is no such place and what would help.
    pub fn seat(&self, controller: Controller) -> Result<&Seat, &Missing> {
        match controller {
            Controller::Memory => self.memory.as_ref(),
            Controller::Processes => self.processes.as_ref(),
            Controller::Cpu => self.cpu.as_ref(),
        }
    }

    /// Where groups whose processor time is counted are made.
    ///
    /// # Errors
    ///
    /// As [`Hierarchies::seat`].
    pub fn usage(&self) -> Result<&Seat, &Missing> {
        self.usage.as_ref()
    }

    /// Every directory with groups, once.
    pub(crate) fn bases(&self) -> Vec<(Version, &Arc<Base>)> {
        let mut bases: Vec<(Version, &Arc<Base>)> = Vec::new();
        for seat in [&self.memory, &self.processes, &self.cpu, &self.usage].into_iter().flatten() {
            if !bases.iter().any(|(_, base)| Arc::ptr_eq(base, &seat.base)) {
                bases.push((seat.version, &seat.base));
            }
        }
        bases
    }
}

type Unified = Result<(Arc<Base>, Home), Missing>;

/// A controller that belongs to an old hierarchy is not to be had in the unified one.
fn limited(lists: &Lists<'_>, unified: &Unified, controller: Controller, known: &mut Vec<Seat>) -> Found {
    let seat = match lists.old(controller.name())? {
        Some(home) => old(&home, known)?,
        None => {
            let (base, home) = unified.as_ref().map_err(Clone::clone)?;
            delegation::arrange(base, home, controller.name())?;
            Seat { version: Version::Two, base: Arc::clone(base) }
        }
    };
    try_out(&seat, Some(controller))?;
    Ok(seat)
}

/// Every group of the unified hierarchy counts, whatever controllers there are; and it can be entered and killed at once.
fn counted(lists: &Lists<'_>, unified: &Unified, known: &mut Vec<Seat>) -> Found {
    let by_unified = unified.as_ref().map_err(Clone::clone).and_then(|(base, _)| {
        let seat = Seat { version: Version::Two, base: Arc::clone(base) };
        try_out(&seat, None).map(|()| seat)
    });
    match (by_unified, lists.old("cpuacct")) {
        (Err(_), Ok(Some(home))) => {
            let seat = old(&home, known)?;
            try_out(&seat, None).map(|()| seat)
        }
        (by_unified, _) => by_unified,
    }
}

/// Opens a home of version 1; controllers with one mount get one directory.
fn old(home: &Home, known: &mut Vec<Seat>) -> Found {
    writable(home)?;
    if let Some(seat) = known.iter().find(|seat| seat.path() == home.path) {
        return Ok(seat.clone());
    }
    let base = Base::open(&home.path).map_err(|error| Missing {
        reason: format!("the group {} cannot be opened: {error}", home.path.display()),
        remedy: PERMITTED,
    })?;
    let seat = Seat { version: home.version, base: Arc::new(base) };
    known.push(seat.clone());
    Ok(seat)
}

fn writable(home: &Home) -> Result<(), Missing> {
    match home.access {
        Access::ReadWrite => Ok(()),
        Access::ReadOnly => {
            Err(Missing { reason: format!("{} is mounted read-only", home.mount.display()), remedy: WRITABLE })
        }
    }
}

/// Makes a group, sets the limit, removes it (G1).
fn try_out(seat: &Seat, controller: Option<Controller>) -> Result<(), Missing> {
    let base = &seat.base;
    let missing = |step: &str, place: &str, error: Errno| Missing {
        reason: format!("cannot {step} {}: {}", base.path().join(place).display(), io::Error::from(error)),
        remedy: PERMITTED,
    };
    let owner = Owner::current().map_err(|error| Missing { reason: error.to_string(), remedy: "mount /proc" })?;
    let name = owner.next_name(TRIAL);
    base.make(&name).map_err(|error| missing("make the group", &name, error))?;
    let tried = base.enter(&name).map_err(|error| missing("open the group", &name, error)).and_then(|directory| {
        let writes = controller.map(|controller| writes(controller, seat.version, &TRIAL_LIMITS)).unwrap_or_default();
        place::apply(directory.as_fd(), &writes)
            .map_err(|(file, error)| missing("write", &format!("{name}/{file}"), error))
    });
    let removed = base.remove(&name).map_err(|error| missing("remove the group", &name, error));
    tried.and(removed)
}
