//! The tool interface: a tool declares, the kernel authorises, an executor runs what was authorised.
//!
//! There is one gate, [`crate::gate::Gate`], and one thing that comes out of it: [`Authorized`], which has no
//! public constructor, holds the exact call, and is consumed by the executor (K4).

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use crate::capability::Capability;
use crate::digest::{Digest, Sha256};
use crate::label::Label;
use crate::words::{joined, names, reads};

names! {
    /// What a call does to the world: the rows of the policy table.
    pub enum Act {
        /// Reads files of the workspace.
        ReadWorkspace = "read_workspace",
        /// Reads private things outside it.
        ReadPrivate = "read_private",
        /// Changes files.
        Write = "write",
        /// Executes a program.
        Execute = "execute",
        /// Reads from the network. The request itself leaves the machine.
        NetworkRead = "network_read",
        /// Sends to the network.
        NetworkSend = "network_send",
        /// Writes to a person.
        MessagePerson = "message_person",
        /// Installs or trusts code.
        Install = "install",
        /// Spends money.
        Spend = "spend",
    }
}

impl Act {
    /// Whether something leaves the machine: the sinks of the information-flow rule.
    pub fn is_sink(self) -> bool {
        matches!(self, Act::NetworkRead | Act::NetworkSend | Act::MessagePerson | Act::Spend)
    }
}

/// A set of acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acts(u16);

impl Acts {
    /// No act.
    pub const NONE: Acts = Acts(0);
    /// Every act.
    pub const ALL: Acts = Acts((1 << Act::ALL.len()) - 1);

    /// The set of these.
    pub const fn of(acts: &[Act]) -> Acts {
        let mut bits = 0;
        let mut n = 0;
        while n < acts.len() {
            bits |= 1 << acts[n] as u16;
            n += 1;
        }
        Acts(bits)
    }

    /// Whether `act` is in it.
    pub fn has(self, act: Act) -> bool {
        self.0 & (1 << act as u16) != 0
    }

    /// Whether every act of `other` is in it.
    pub fn covers(self, other: Acts) -> bool {
        self.0 & other.0 == other.0
    }

    /// The acts in both.
    pub fn meet(self, other: Acts) -> Acts {
        Acts(self.0 & other.0)
    }

    /// The acts in either.
    pub fn union(self, other: Acts) -> Acts {
        Acts(self.0 | other.0)
    }

    /// The acts in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Act> {
        Act::ALL.iter().copied().filter(move |act| self.has(*act))
    }
}

reads! { Acts: |self, f| joined(f, "nothing", self.iter().map(Act::name)) }

/// Limits on one run of a tool. All are finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Wall-clock milliseconds.
    pub runtime_ms_max: u64,
    /// Processor milliseconds.
    pub cpu_ms_max: u64,
    /// Bytes of memory.
    pub memory_bytes_max: u64,
    /// Processes at once.
    pub processes_max: u32,
    /// Bytes of output the model is shown.
    pub output_bytes_max: u64,
}

impl Limits {
    /// What a built-in tool gets that asks for nothing else.
    pub const BUILTIN: Limits = Limits {
        runtime_ms_max: 30_000,
        cpu_ms_max: 30_000,
        memory_bytes_max: 64 << 20,
        processes_max: 1,
        output_bytes_max: 32 << 10,
    };

    /// The tighter of each.
    pub fn meet(self, other: Limits) -> Limits {
        Limits {
            runtime_ms_max: self.runtime_ms_max.min(other.runtime_ms_max),
            cpu_ms_max: self.cpu_ms_max.min(other.cpu_ms_max),
            memory_bytes_max: self.memory_bytes_max.min(other.memory_bytes_max),
            processes_max: self.processes_max.min(other.processes_max),
            output_bytes_max: self.output_bytes_max.min(other.output_bytes_max),
        }
    }
}

names! {
    /// What runs a tool.
    pub enum Runtime {
        /// Trusted code of this program, through [`Hands`].
        Builtin = "builtin",
        /// A WebAssembly component, in the secure runtime.
        Wasm = "wasm",
        /// A program, in the secure runtime.
        Native = "native",
        /// A server that speaks the Model Context Protocol, in the secure runtime.
        Mcp = "mcp",
    }
}

/// What a tool says of itself before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// `[a-z][a-z0-9_]*`, at most 64 bytes: what every provider accepts.
    pub name: Box<str>,
    /// Semantic version.
    pub version: Box<str>,
    /// One or two sentences for the model.
    pub description: Box<str>,
    /// The call's input as a JSON Schema object.
    pub input: Box<str>,
    /// What runs it.
    pub runtime: Runtime,
    /// The most it ever does.
    pub acts: Acts,
    /// The most it ever reaches.
    pub capability: Capability,
    /// Its limits.
    pub limits: Limits,
}

/// A model's wish to run a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id, or one the codec made where the provider gives none. Unique within its turn.
    pub id: Box<str>,
    /// The tool's name, as the model wrote it.
    pub name: Box<str>,
    /// The input, a JSON text as the model wrote it.
    pub input: Box<str>,
}

impl ToolCall {
    /// SHA-256 over name and input, each preceded by its length: what an authority or an approval is bound to.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::default();
        for part in [&self.name, &self.input] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finish()
    }
}

/// What one exact call needs, as its tool reads the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// What it does.
    pub acts: Acts,
    /// What it reaches.
    pub capability: Capability,
    /// What its output will be labelled.
    pub label: Label,
}

/// What a call amounts to, as the toolbox reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Run a tool.
    Run(Needs),
    /// Let a child task work on this, with this grant or less.
    Spawn {
        /// The child's goal.
        goal: Box<str>,
        /// The tools it may use; `None` for all of the parent's.
        tools: Option<Vec<Box<str>>>,
    },
    /// Show a tool result again that was folded away: the id of its call.
    Recall(Box<str>),
}

/// The tools of a task. Dry: the same call always gets the same plan.
pub trait Toolbox: Send + Sync {
    /// The manifests, in the order the model is shown them.
    fn manifests(&self) -> &[Arc<Manifest>];

    /// What `call` amounts to.
    ///
    /// # Errors
    /// A sentence for the model: no such tool (with the nearest name), or what is wrong with the input.
    fn plan(&self, call: &ToolCall) -> Result<Plan, String>;
}

/// The manifest of the tool of that name.
pub fn manifest<'a>(toolbox: &'a dyn Toolbox, name: &str) -> Option<&'a Arc<Manifest>> {
    toolbox.manifests().iter().find(|m| &*m.name == name)
}

/// What a task may do at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The acts it may do.
    pub acts: Acts,
    /// What it may reach.
    pub capability: Capability,
    /// The tools it may use; `None` for every tool it is shown.
    pub tools: Option<Vec<Box<str>>>,
    /// Limits on each of its runs.
    pub limits: Limits,
}

impl Grant {
    /// Whether everything `other` allows is allowed by this.
    pub fn covers(&self, other: &Grant) -> bool {
        let tools = other.tools.as_ref();
        (self.tools.is_none() || tools.is_some_and(|tools| tools.iter().all(|tool| self.has_tool(tool))))
            && self.acts.covers(other.acts)
            && self.capability.covers(&other.capability)
            && other.limits == other.limits.meet(self.limits)
    }

    /// What both allow.
    pub fn meet(&self, other: &Grant) -> Grant {
        let tools = match (&self.tools, &other.tools) {
            (None, known) | (known, None) => known.clone(),
            (Some(mine), Some(_)) => Some(mine.iter().filter(|tool| other.has_tool(tool)).cloned().collect()),
        };
        Grant {
            acts: self.acts.meet(other.acts),
            capability: self.capability.meet(&other.capability),
            tools,
            limits: self.limits.meet(other.limits),
        }
    }

    /// Whether the tool of that name may be used.
    pub fn has_tool(&self, name: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.iter().any(|t| &**t == name))
    }
}

/// Permission to run one exact call once, within stated limits.
///
/// It has no public constructor, cannot be copied or cloned, and owns the call it permits: an executor
/// that takes it by value runs what was authorised or nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Authorized {
    call: ToolCall,
    needs: Needs,
    limits: Limits,
    digest: Digest,
}

impl Authorized {
    pub(crate) fn seal(call: ToolCall, needs: Needs, limits: Limits) -> Authorized {
        let digest = call.digest();
        Authorized { call, needs, limits, digest }
    }

    /// The call.
    pub fn call(&self) -> &ToolCall {
        &self.call
    }

    /// What it may do and reach: exactly what it needs, which the grant was found to cover.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The limits it runs under.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The digest of the exact call ([`ToolCall::digest`]).
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// What a tool run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whether the tool did what was asked.
    pub outcome: crate::transcript::ToolOutcome,
    /// What the model is shown.
    pub text: Box<str>,
    /// Where it came from. The kernel joins it with what the call was planned to yield.
    pub label: Label,
}

/// A built-in tool: trusted code that reaches the world through [`Hands`] alone.
pub trait Tool: Send + Sync {
    /// What it says of itself.
    fn manifest(&self) -> &Arc<Manifest>;

    /// What this input needs.
    ///
    /// # Errors
    /// A sentence for the model about what is wrong with the input.
    fn needs(&self, input: &str) -> Result<Needs, String>;

    /// Runs one authorised call.
    ///
    /// # Errors
    /// A sentence for the model about what failed and what to try instead.
    fn run(&self, call: &Authorized, hands: &mut dyn Hands) -> Result<Output, String>;
}

/// The only way from a built-in tool to the world. Whoever implements it enforces the capability of the
/// call it was made for, and stops with [`HandsError::Stopped`] when the call is cancelled or out of time.
pub trait Hands {
    /// Up to `bytes_max` bytes of a file from `offset`; fewer only at its end.
    ///
    /// # Errors
    /// See [`HandsError`].
    fn read(&mut self, path: &Place, offset: u64, bytes_max: usize) -> Result<Vec<u8>, HandsError>;

    /// Makes `bytes` the content of a file, atomically: a reader sees the old content or the new.
    ///
    /// # Errors
    /// See [`HandsError`].
    fn write(&mut self, path: &Place, bytes: &[u8], mode: WriteMode) -> Result<(), HandsError>;

    /// The entries of a directory, sorted by name, or of a file, itself alone.
    ///
    /// # Errors
    /// See [`HandsError`].
    fn list(&mut self, path: &Place) -> Result<Vec<DirEntry>, HandsError>;

    /// One HTTP exchange, without following redirects.
    ///
    /// # Errors
    /// See [`HandsError`].
    fn fetch(&mut self, fetch: &Fetch<'_>) -> Result<Fetched, HandsError>;

    /// The wall clock and the person's time zone.
    ///
    /// # Errors
    /// [`HandsError::Stopped`].
    fn clock(&mut self) -> Result<WallClock, HandsError>;
}

pub use crate::capability::Place;

/// How to treat a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Make the file; it must not exist. Missing directories are made.
    Create,
    /// Make the file or replace its content.
    Replace,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name within its directory.
    pub name: Box<str>,
    /// What it is.
    pub kind: EntryKind,
    /// Its size; 0 for anything but a file.
    pub bytes: u64,
    /// Last change, in milliseconds since 1970-01-01 UTC.
    pub changed_unix_ms: i64,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; never followed when a directory is listed.
    Link,
    /// A socket, pipe or device.
    Other,
}

/// One HTTP GET.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// The address.
    pub url: &'a str,
    /// The most bytes of body to take.
    pub bytes_max: usize,
    /// The most milliseconds it may take.
    pub total_ms_max: u64,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// HTTP status code.
    pub status: u16,
    /// Media type with parameters; empty if the server named none.
    pub content_type: String,
    /// Where a redirect points, as the server wrote it.
    pub location: Option<String>,
    /// The body, at most `bytes_max` bytes.
    pub body: Vec<u8>,
    /// Whether the body was longer.
    pub is_cut: bool,
}

/// The time as people tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: i64,
    /// IANA name of the person's time zone, or `UTC`.
    pub zone: String,
}

/// Why hands could not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandsError {
    /// There is no such file.
    Missing,
    /// The file exists already.
    Exists,
    /// It is a directory, or is none, or is no regular file: what was found.
    WrongKind(EntryKind),
    /// Outside what the call may reach: a path beneath no grant, a link that leaves it, a private address.
    Outside(String),
    /// The operating system refused.
    Denied,
    /// Too large, too many: the limit in words.
    Limit(String),
    /// The call was cancelled or its time is over.
    Stopped,
    /// Anything else, in a sentence.
    Failed(String),
}

reads! { HandsError: |self, f| match self {
    HandsError::Missing => f.write_str("no such file or directory"),
    HandsError::Exists => f.write_str("it exists already"),
    HandsError::WrongKind(EntryKind::Directory) => f.write_str("it is a directory"),
    HandsError::WrongKind(EntryKind::File) => f.write_str("it is a file, not a directory"),
    HandsError::WrongKind(EntryKind::Link) => f.write_str("it is a symbolic link"),
    HandsError::WrongKind(EntryKind::Other) => f.write_str("it is not a regular file"),
    HandsError::Denied => f.write_str("permission denied by the operating system"),
    HandsError::Stopped => f.write_str("stopped: cancelled or out of time"),
    HandsError::Outside(why) | HandsError::Limit(why) | HandsError::Failed(why) => f.write_str(why),
} }
