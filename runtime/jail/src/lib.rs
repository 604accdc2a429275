//! Wet: one program in a jail that the operating system enforces.
//!
//! **What it is.** A [`Plan`] says which program runs, which files it sees, which ports it reaches and what it may use.
//! A [`Spawner`], a process of one thread, makes a jail for it out of namespaces, mounts, Landlock, a filter of system
//! calls and limits, runs the program there as a user who owns nothing, watches over it, and ends everything in it when
//! a limit is exceeded or when nobody wants it any more. [`survey`] tells what this machine can do of that, by doing it.
//!
//! Where the machine gives no namespaces, and the plan allows what is weaker then ([`Looseness`]), the jail is made of
//! Landlock, the filter and limits alone ([`Tier::B`]), for an ordinary user and without a network.
//!
//! **What is not here.** No decision about what a tool may do: a plan is taken at its word, and only what no jail may
//! ever have is refused. No traffic passes through: a jail's connections end at sockets that are handed out
//! ([`Gateway`]). No output is read. No program runs outside a jail, whatever fails.
//!
//! **Invariants**, cited by the tests that hold them:
//!
//! - **J1** Nothing of the host is visible inside but what the plan grants, and what is read only stays as it is.
//! - **J2** A step that fails is an error that names it, and the program does not run.
//! - **J3** Whatever ends — program, limit, handle, spawner, its creator — everything inside ends with it.
//! - **J4** The program has no right beyond its plan: no capability, no new privilege, no descriptor, no variable.
//! - **J5** Every control is on in what ships.
//! - **J6** A limit that was exceeded is named with its value.
//! - **J7** What programs of the host would run or believe stays as it is, and nothing is left on the disk.
//! - **J8** The first user of the host is never the user of a program.
#![deny(unsafe_op_in_unsafe_fn)]

mod controls;
mod error;
mod explain;
mod mechanism;
mod plan;
mod wire;

#[cfg(target_os = "linux")]
mod binds;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod confine;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod gitconfig;
#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod guards;
#[cfg(target_os = "linux")]
mod identity;
#[cfg(target_os = "linux")]
mod jail;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod making;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod placeholder;
#[cfg(target_os = "linux")]
mod profiles;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod repository;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod spawner;
#[cfg(target_os = "linux")]
mod survey;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod tier_b;

#[cfg(target_os = "linux")]
pub use confine::confine;
pub use controls::Control;
#[cfg(feature = "unplug")]
pub use controls::UNPLUG;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{EXTRA_MAX, Gateway, SANDBOXES_MAX, SPAWNER_WORD, Sandbox, Spawner, Streams, serve, survey};
pub use error::{Breach, Ended, Enforcement, JailError, Missing, Status, Step, Tier, Usage};
pub use mechanism::{Mechanism, State, Survey};
pub use plan::{
    Access, BINDS_MAX, Bind, Command, Execute, Guarantees, Limits, Looseness, MEMORY_BYTES_MIN, Network,
    OPEN_FILES_MIN, PORTS_MAX, PROCESSES_MAX, PROTECTED, PROTECTED_IN_HOME, Plan, RESOLVER_PORT, SYSTEM, Strength,
    TIME_MS_MAX, WORD_BYTES_MAX, WORDS_MAX, libraries, protected_in, system,
};
#[cfg(target_os = "linux")]
pub use server::SANDBOXES_MAX;
#[cfg(target_os = "linux")]
pub use spawner::{EXTRA_MAX, Gateway, SPAWNER_WORD, Sandbox, Spawner, Streams, serve};
#[cfg(target_os = "linux")]
pub use survey::survey;
pub use wire::{PLAN_BYTES_MAX, WireError};
