//! What is limited, and what is said about it.

use std::path::PathBuf;
use std::{fmt, io};

/// The most bytes that are read of one control file; `cgroup.procs` of 8,000 processes has as many.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// Memory with caches, kernel memory and files in memory.
    Memory,
    /// How many threads there are at once, in all processes together.
    Processes,
    /// Processor time per wall time.
    Cpu,
}

impl Controller {
    /// Every one.
    pub const ALL: [Controller; 3] = [Controller::Memory, Controller::Processes, Controller::Cpu];

    /// Its name in the kernel.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Processes => "pids",
            Controller::Cpu => "cpu",
        }
    }
}

/// Which interface a hierarchy has: `Documentation/admin-guide/cgroup-v1` or `cgroup-v2.rst` of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// One hierarchy per controller or pair of them.
    One,
    /// The unified hierarchy.
    Two,
}

/// Why a controller cannot be used, in words for the person at this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What was found.
    pub reason: String,
    /// What would help.
    pub remedy: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.remedy)
    }
}

/// Whether the processor time that a group used is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Usage {
    /// It is not.
    #[default]
    Uncounted,
    /// It is, where a hierarchy can.
    Counted,
}

/// The limits of a group. `None` sets none, and costs no directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Memory and swap together, in bytes; the kernel rounds down to whole pages.
    pub memory_bytes_max: Option<u64>,
    /// Threads of all processes, at least 1.
    pub processes_max: Option<u32>,
    /// Processor time in percent of one processor: 100 is one whole processor, 250 is two and a half. At least 1.
    pub cpu_percent_max: Option<u32>,
    /// Whether used processor time is counted.
    pub usage: Usage,
}

/// Which limits of a group the kernel holds exactly. Those that were not asked for are `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Enforced {
    /// [`Limits::memory_bytes_max`].
    pub memory: bool,
    /// [`Limits::processes_max`].
    pub processes: bool,
    /// [`Limits::cpu_percent_max`].
    pub cpu: bool,
}

/// Which limit a group ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breach {
    /// The kernel killed a process because memory was used up, or holds one until some is freed.
    Memory,
    /// A process or thread could not be made.
    Processes,
}

/// How an alarm's descriptor says that something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// It becomes readable (`EPOLLIN`).
    Readable,
    /// It has urgent data (`EPOLLPRI`); it is always readable.
    Urgent,
}

/// What went wrong with a group.
#[derive(Debug)]
pub enum CgroupError {
    /// A prefix for names that is not 1 to 32 of `a-z`, `0-9` and `-`.
    Name {
        /// The prefix.
        prefix: String,
    },
    /// One step failed.
    Step {
        /// What was tried.
        step: &'static str,
        /// With which directory or file.
        place: PathBuf,
        /// The kernel's answer.
        error: io::Error,
    },
    /// Processes that do not die.
    Alive {
        /// The group's directory.
        place: PathBuf,
    },
    /// This system has no control groups.
    Unavailable,
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CgroupError::Name { prefix } => {
                write!(f, "{prefix:?} cannot start the name of a control group: use 1 to 32 of a-z, 0-9 and -")
            }
            CgroupError::Step { step, place, error } => write!(f, "{step} {}: {error}", place.display()),
            CgroupError::Alive { place } => {
                write!(f, "processes in {} do not die: look at them by hand", place.display())
            }
            CgroupError::Unavailable => f.write_str("there are no control groups on this system: they exist on Linux"),
        }
    }
}

impl std::error::Error for CgroupError {}
