//! Why nothing ran, and how a run ended.

use std::fmt;

/// Names a list of steps once, for the enum, for reading and for the wire.
macro_rules! steps {
    ($($name:ident $text:literal,)*) => {
        /// One thing that is done for a jail. A step that fails means that nothing ran.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Step { $(#[doc = $text] $name,)* }
        impl Step {
            /// Every step, in the order in which they are declared.
            pub const ALL: &'static [Step] = &[$(Step::$name,)*];
            /// What is done, in words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Step::$name => $text,)* }
            }
        }
    };
}

steps! {
    Start "start the spawner",
    Exchange "exchange messages with the spawner",
    Clone "make namespaces",
    Map "map the user",
    Identity "take the user's identity",
    Group "make a control group",
    Parent "watch the parent",
    Hostname "set the host name",
    Loopback "bring up the loopback",
    Route "route every address to the loopback",
    Listen "listen for connections",
    Source "open what is granted",
    Guard "guard a protected place",
    Ownership "make a granted place belong to the user inside",
    Attributes "restrict a mount",
    Root "make the root",
    Place "make room for a mount",
    Mount "mount",
    Process "mount /proc",
    Pivot "enter the root",
    Fork "start the program's process",
    Session "start a session",
    Limit "set a limit",
    Descriptors "arrange descriptors",
    Capabilities "give up capabilities",
    Privileges "give up new privileges",
    Landlock "restrict the file system",
    Check "look whether everything holds",
    Filter "install the filter of system calls",
    Report "report to the spawner",
    Wait "wait for the program",
    Folder "enter the working directory",
    Execute "execute",
}

/// Something that this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is needed, such as `user namespaces`.
    pub mechanism: String,
    /// What was found instead.
    pub found: String,
    /// What can be done about it.
    pub remedy: String,
}

/// Why nothing ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JailError {
    /// This machine cannot give what the plan needs.
    Unavailable {
        /// What is missing; never empty.
        missing: Vec<Missing>,
    },
    /// The plan asks for what no jail gives.
    Refused {
        /// The part of the plan.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused a step.
    Step {
        /// Which.
        step: Step,
        /// On what; may be empty.
        what: String,
        /// The number of the system's error.
        errno: i32,
    },
    /// As many sandboxes as there may be are alive.
    Busy {
        /// How many that is.
        sandboxes_max: u32,
    },
    /// The spawner ended, or spoke out of turn.
    Gone {
        /// What was seen of it.
        why: String,
    },
}

impl fmt::Display for JailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JailError::Unavailable { missing } => {
                f.write_str("this machine cannot give what the sandbox needs")?;
                for (at, missing) in missing.iter().enumerate() {
                    let lead = if at == 0 { ": " } else { "; " };
                    write!(f, "{lead}{} ({}): {}", missing.mechanism, missing.found, missing.remedy)?;
                }
                Ok(())
            }
            JailError::Refused { what, why } => write!(f, "the sandbox refuses the plan: {what} {why}"),
            JailError::Step { step, what, errno } => {
                let error = std::io::Error::from_raw_os_error(*errno);
                let gap = if what.is_empty() { "" } else { " " };
                write!(f, "the sandbox could not {}{gap}{what}, so nothing ran: {error}", step.name())
            }
            JailError::Busy { sandboxes_max } => {
                write!(f, "all {sandboxes_max} sandboxes are in use: wait until one has ended")
            }
            JailError::Gone { why } => write!(f, "the spawner is gone ({why}): start a new one"),
        }
    }
}

impl std::error::Error for JailError {}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How the program itself ended.
    pub status: Status,
    /// The limit that was exceeded, if one was; then everything in the jail was killed.
    pub breach: Option<Breach>,
    /// What the run used.
    pub usage: Usage,
}

/// How the program itself ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It exited with this code, 0 to 255.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Wall clock, in milliseconds.
    pub wall_ms: u64,
    /// Processor time of the whole tree, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that was used, in bytes: of the whole tree with a memory control group, else as seen by the
    /// watch or, for a short run, of the largest process.
    pub memory_bytes_peak: u64,
}

/// A limit that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Memory.
    Memory {
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// Processor time.
    Cpu {
        /// The limit, in milliseconds.
        cpu_ms_max: u64,
    },
    /// Wall clock.
    Runtime {
        /// The limit, in milliseconds.
        runtime_ms_max: u64,
    },
    /// A file grew beyond its limit, and the program was ended for it.
    FileSize {
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// A system call that no tool has a use for.
    Syscall {
        /// Its name, or `unknown`.
        name: String,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::Memory { bytes_max } => write!(f, "memory limit {} exceeded", Bytes(*bytes_max)),
            Breach::Cpu { cpu_ms_max } => write!(f, "cpu limit {} exceeded", Time(*cpu_ms_max)),
            Breach::Runtime { runtime_ms_max } => write!(f, "runtime limit {} exceeded", Time(*runtime_ms_max)),
            Breach::FileSize { bytes_max } => write!(f, "file size limit {} exceeded", Bytes(*bytes_max)),
            Breach::Syscall { name } => write!(f, "forbidden system call {name}"),
        }
    }
}

/// Bytes as a manifest writes them: powers of 1000 where they come out even, else of 1024.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1_000_000_000, "GB"),
            (1 << 30, "GiB"),
            (1_000_000, "MB"),
            (1 << 20, "MiB"),
            (1000, "KB"),
            (1 << 10, "KiB"),
            (1, "bytes"),
        ];
        let even = units.iter().find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (unit, name) = even.copied().unwrap_or((1, "bytes"));
        write!(f, "{} {name}", self.0 / unit)
    }
}

/// Milliseconds, in seconds where they come out even.
pub(crate) struct Time(pub(crate) u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{} s", self.0 / 1000),
            _ => write!(f, "{} ms", self.0),
        }
    }
}

/// How strong this machine's jail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Namespaces and a filter of system calls.
    A,
    /// Landlock and a filter of system calls, without namespaces.
    B,
    /// Only a filter of system calls: good enough for a worker that computes, not for programs.
    W,
    /// Nothing.
    None,
}

/// What holds one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// The tier.
    pub tier: Tier,
    /// How the limit of memory is held.
    pub memory: crate::Strength,
    /// How the limit of processor time is held.
    pub cpu: crate::Strength,
    /// Whether `/proc` shows the jail's own processes (exact) or nothing (approximate).
    pub process_view: crate::Strength,
    /// What is given approximately for want of namespaces.
    pub without_namespaces: crate::Looseness,
    /// The version of Landlock, 0 without.
    pub landlock_abi: u32,
}

#[cfg(test)]
mod tests {
    use super::{Breach, JailError, Missing, Step};

    #[test]
    fn j6_a_breach_names_the_limit_with_its_value() {
        let text = |breach: Breach| breach.to_string();
        assert_eq!(text(Breach::Memory { bytes_max: 20_000_000 }), "memory limit 20 MB exceeded");
        assert_eq!(text(Breach::Memory { bytes_max: 64 << 20 }), "memory limit 64 MiB exceeded");
        assert_eq!(text(Breach::Memory { bytes_max: 1_048_577 }), "memory limit 1048577 bytes exceeded");
        assert_eq!(text(Breach::Cpu { cpu_ms_max: 1500 }), "cpu limit 1500 ms exceeded");
        assert_eq!(text(Breach::Runtime { runtime_ms_max: 3000 }), "runtime limit 3 s exceeded");
        assert_eq!(text(Breach::FileSize { bytes_max: 1000 }), "file size limit 1 KB exceeded");
        assert_eq!(text(Breach::Syscall { name: "ptrace".into() }), "forbidden system call ptrace");
    }

    #[test]
    fn j2_an_error_names_the_thing_and_the_way_out() {
        let missing = Missing { mechanism: "a".into(), found: "b".into(), remedy: "c".into() };
        let error = JailError::Unavailable { missing: vec![missing.clone(), missing] };
        assert_eq!(error.to_string(), "this machine cannot give what the sandbox needs: a (b): c; a (b): c");
        let error = JailError::Step { step: Step::Mount, what: "/x".into(), errno: 2 };
        assert!(error.to_string().starts_with("the sandbox could not mount /x, so nothing ran: No such file"));
    }
}
