//! What is asked for: one program, what it sees, what it may use.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::error::JailError;

/// Most binds of one plan.
pub const BINDS_MAX: usize = 256;
/// Most arguments, and most variables, of one command.
pub const WORDS_MAX: usize = 65_536;
/// Most ports of one plan.
pub const PORTS_MAX: usize = 64;
/// Longest path or argument, in bytes: what Linux takes as one argument.
pub const WORD_BYTES_MAX: usize = 128 * 1024;
/// Longest runtime and most processor time, in milliseconds: a week.
pub const TIME_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Least memory that a plan can ask for, in bytes.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// Fewest files that a plan can ask for.
pub const OPEN_FILES_MIN: u32 = 64;
/// Most processes that a plan can ask for.
pub const PROCESSES_MAX: u32 = 65_536;
/// The port of the resolver inside a brokered jail; no plan can declare it.
pub const RESOLVER_PORT: u16 = 53;

/// One program in a jail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// What of the host is visible inside. Nothing else is.
    pub binds: Vec<Bind>,
    /// What of the network can be reached.
    pub network: Network,
    /// What the whole tree may use.
    pub limits: Limits,
    /// What is run.
    pub command: Command,
    /// What may be given approximately.
    pub guarantees: Guarantees,
}

/// A file or directory of the host, and where it is seen inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bind {
    /// On the host: absolute, without `..`.
    pub source: PathBuf,
    /// Inside: absolute, without `..`.
    pub target: PathBuf,
    /// Whether it can be changed.
    pub access: Access,
    /// Whether programs in it can be run.
    pub execute: Execute,
}

/// Whether a bind can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

/// Whether programs in a bind can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Execute {
    /// They can.
    Allowed,
    /// They cannot, nor can they be mapped as code.
    Denied,
}

/// What of the network can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Nothing; only `AF_UNIX` sockets can be made at all.
    None,
    /// Every connection to one of these ports ends at a listener that is handed out as [`crate::Gateway`].
    Brokered {
        /// The ports, each once, not 0 and not [`RESOLVER_PORT`].
        ports: Vec<u16>,
    },
}

/// What the whole tree of processes may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Wall clock from the start of the program, in milliseconds.
    pub runtime_ms_max: u64,
    /// Processor time of all processes together, in milliseconds.
    pub cpu_ms_max: u64,
    /// Memory of all processes together, in bytes.
    pub memory_bytes_max: u64,
    /// Processes and threads at once.
    pub processes_max: u32,
    /// Open files of one process.
    pub open_files_max: u32,
    /// Largest file that can be written, in bytes.
    pub file_bytes_max: u64,
    /// What fits into `/tmp` and `/dev/shm` together, in bytes.
    pub scratch_bytes_max: u64,
}

/// What is run, as seen from inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Arguments, the program's own name first.
    pub args: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
}

/// How well something is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strength {
    /// The kernel holds it at every moment.
    Exact,
    /// It is watched, or held in part; [`crate::Enforcement`] says so.
    Approximate,
}

/// What may be given approximately where this machine cannot give it exactly. What may not is refused with
/// [`JailError::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guarantees {
    /// The limit of memory, where there is no memory control group. Approximate by default.
    pub memory: Strength,
    /// `/proc` with the jail's own processes, where it cannot be mounted: approximate is an empty `/proc`. Exact by
    /// default.
    pub process_view: Strength,
    /// No bind has sockets of the host near its top. Approximate leaves it to the filter, which denies connecting to
    /// any. Exact by default.
    pub sockets_absent: Strength,
    /// What only namespaces and mounts give exactly.
    pub without_namespaces: Looseness,
}

/// What may be given approximately on a machine that gives no namespaces ([`crate::Tier::B`]). All of it is exact by
/// default, so that nothing runs there until somebody who may decide it has allowed what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Looseness {
    /// The limit of processes: approximate counts those of the same user that are not the jail's, too.
    pub processes: Strength,
    /// Names, sizes and dates of files, and numbers of processes, that are not the jail's: approximate is that they can
    /// be told, though nothing of them can be read. It stands for [`Guarantees::process_view`], too: `/proc` shows nothing.
    pub names: Strength,
    /// What may not be executed: approximate is that a loader can still map it as code.
    pub execution: Strength,
    /// The limit of temporary files: approximate is that nothing but the size of a single file is limited.
    pub scratch: Strength,
    /// Signals to processes outside: approximate is that those of the same user can be reached, where Landlock has no
    /// scope for them.
    pub signals: Strength,
}

impl Looseness {
    /// Everything has to be exact.
    pub const NONE: Looseness = Looseness::of(Strength::Exact);
    /// Everything may be approximate.
    pub const ALL: Looseness = Looseness::of(Strength::Approximate);

    const fn of(strength: Strength) -> Looseness {
        Looseness { processes: strength, names: strength, execution: strength, scratch: strength, signals: strength }
    }
}

impl Default for Guarantees {
    fn default() -> Guarantees {
        Guarantees {
            memory: Strength::Approximate,
            process_view: Strength::Exact,
            sockets_absent: Strength::Exact,
            without_namespaces: Looseness::NONE,
        }
    }
}

/// Directories that hold the machine's own programs and libraries. A bind of them is read only, and belongs to
/// nobody inside.
pub const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/boot", "/nix", "/gnu"];

/// What no jail is ever given, nor anything that contains it or lies in it.
pub const PROTECTED: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/run/dbus",
    "/run/systemd",
    "/run/user",
    "/run/docker.sock",
    "/run/containerd",
    "/run/podman",
    "/run/crio",
    "/var/lib/docker",
    "/var/lib/containerd",
];

/// What a home directory has that no jail is given: keys, tokens, and what programs trust. Where the home itself is
/// granted, these are hidden in it.
pub const PROTECTED_IN_HOME: &[&str] = &[
    ".ssh",
    ".aws",
    ".gnupg",
    ".azure",
    ".config/gcloud",
    ".config/gh",
    ".config/aether",
    ".local/share/aether",
    ".local/share/keyrings",
    ".docker",
    ".kube",
    ".netrc",
    ".git-credentials",
    ".password-store",
    ".mozilla",
];

/// The places of [`PROTECTED_IN_HOME`] below this home, for [`crate::Spawner::protecting`].
#[must_use]
pub fn protected_in(home: &Path) -> Vec<PathBuf> {
    PROTECTED_IN_HOME.iter().map(|name| home.join(name)).collect()
}

/// The machine's own programs and libraries, readable and executable. Top directories that are links into `/usr`
/// need no bind: every jail has the same links.
#[must_use]
pub fn system() -> Vec<Bind> {
    readable(&["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu"])
}

/// The machine's libraries and data without its programs, for a jail that runs a named one.
#[must_use]
pub fn libraries() -> Vec<Bind> {
    readable(&[
        "/usr/lib",
        "/usr/lib32",
        "/usr/lib64",
        "/usr/libx32",
        "/usr/libexec",
        "/usr/share",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/nix",
        "/gnu",
    ])
}

fn readable(paths: &[&str]) -> Vec<Bind> {
    let is_folder = |path: &&&Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
    let bind = |path: &&Path| Bind {
        source: path.to_path_buf(),
        target: path.to_path_buf(),
        access: Access::Read,
        execute: Execute::Allowed,
    };
    paths.iter().filter(is_folder).map(bind).collect()
}

/// Whether one of the two paths is the other or lies in it.
pub(crate) fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn refused(what: impl Into<String>, why: &str) -> JailError {
    JailError::Refused { what: what.into(), why: why.into() }
}

impl Plan {
    /// Whether the plan can be meant at all; says nothing about this machine.
    ///
    /// # Errors
    /// [`JailError::Refused`] with what is wrong: a path that is relative or has `..` or NUL, two binds at one
    /// place, a limit of nothing, a port that cannot be declared, more of something than there may be.
    pub fn check(&self) -> Result<(), JailError> {
        self.check_binds()?;
        self.check_command()?;
        self.check_limits()?;
        let Network::Brokered { ports } = &self.network else { return Ok(()) };
        let distinct: BTreeSet<u16> = ports.iter().copied().collect();
        if ports.len() > PORTS_MAX || distinct.len() != ports.len() {
            return Err(refused("the ports", "each may be declared once, and at most 64"));
        }
        if ports.iter().any(|port| matches!(*port, 0 | RESOLVER_PORT)) {
            return Err(refused("the ports", "0 is none, and 53 is the resolver's"));
        }
        Ok(())
    }

    fn check_binds(&self) -> Result<(), JailError> {
        if self.binds.len() > BINDS_MAX {
            return Err(refused("the plan", "has more than 256 binds"));
        }
        let mut targets = BTreeSet::new();
        for bind in &self.binds {
            clean(&bind.source)?;
            clean(&bind.target)?;
            let shown = bind.target.display().to_string();
            if !targets.insert(&bind.target) {
                return Err(refused(shown, "is the target of two binds"));
            }
            if ["/", "/etc", "/tmp"].iter().any(|own| bind.target == Path::new(own)) {
                return Err(refused(shown, "is the jail's own: bind something below it"));
            }
            if ["/proc", "/dev", "/sys"].iter().any(|own| bind.target.starts_with(own)) {
                return Err(refused(shown, "is the jail's own, with everything below it"));
            }
            is_grantable(&bind.source, bind.access, &[])?;
        }
        Ok(())
    }

    fn check_command(&self) -> Result<(), JailError> {
        let command = &self.command;
        clean(&command.program)?;
        clean(&command.cwd)?;
        if command.args.is_empty() {
            return Err(refused("the command", "has no arguments; the first is the program's own name"));
        }
        if command.args.len() > WORDS_MAX || command.env.len() > WORDS_MAX {
            return Err(refused("the command", "has more than 65536 arguments or variables"));
        }
        let words = command.args.iter().chain(command.env.iter().flat_map(|(name, value)| [name, value]));
        for word in words {
            let bytes = word.as_encoded_bytes();
            if bytes.contains(&0) || bytes.len() > WORD_BYTES_MAX {
                return Err(refused("an argument or variable", "has a NUL or more than 131072 bytes"));
            }
        }
        let is_name = |name: &OsString| !name.is_empty() && !name.as_encoded_bytes().contains(&b'=');
        match command.env.iter().find(|(name, _)| !is_name(name)) {
            Some((name, _)) => Err(refused(format!("the variable {name:?}"), "has no name that a variable can have")),
            None => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), JailError> {
        let limits = &self.limits;
        let within = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(JailError::Refused {
                what: format!("the limit {name} of {value}"),
                why: format!("lies outside {least} to {most}"),
            })
        };
        within("runtime_ms_max", limits.runtime_ms_max, 1, TIME_MS_MAX)?;
        within("cpu_ms_max", limits.cpu_ms_max, 1, TIME_MS_MAX * 1024)?;
        within("memory_bytes_max", limits.memory_bytes_max, MEMORY_BYTES_MIN, 1 << 50)?;
        within("processes_max", limits.processes_max.into(), 1, PROCESSES_MAX.into())?;
        within("open_files_max", limits.open_files_max.into(), OPEN_FILES_MIN.into(), 1 << 20)?;
        within("file_bytes_max", limits.file_bytes_max, 0, 1 << 60)?;
        within("scratch_bytes_max", limits.scratch_bytes_max, 4096, 1 << 50)
    }
}

/// Whether a jail may be given this place. One that contains some of what is `protected` may: that is hidden in it.
pub(crate) fn is_grantable(source: &Path, access: Access, protected: &[PathBuf]) -> Result<(), JailError> {
    let shown = || source.display().to_string();
    if let Some(place) = PROTECTED.iter().map(Path::new).find(|place| overlap(source, place)) {
        let why = format!("is, contains or lies in the protected place {}: grant something narrower", place.display());
        return Err(JailError::Refused { what: shown(), why });
    }
    if let Some(place) = protected.iter().find(|place| source.starts_with(place)) {
        let why = format!("is or lies in the protected place {}: grant something else", place.display());
        return Err(JailError::Refused { what: shown(), why });
    }
    if access == Access::Write && SYSTEM.iter().any(|place| overlap(source, Path::new(place))) {
        return Err(refused(shown(), "belongs to the system, which no jail can change: grant it for reading"));
    }
    Ok(())
}

fn clean(path: &Path) -> Result<(), JailError> {
    let shown = || format!("the path {path:?}");
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.contains(&0) || bytes.len() > 4095 {
        return Err(refused(shown(), "has a NUL or more than 4095 bytes"));
    }
    if !path.is_absolute() && !bytes.starts_with(b"/") {
        return Err(refused(shown(), "is not absolute"));
    }
    let odd = path.components().any(|part| !matches!(part, Component::RootDir | Component::Normal(_)));
    if odd || bytes.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return Err(refused(shown(), "has `..`, which could lead elsewhere than it seems"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
