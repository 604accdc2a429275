//! Wet: limits on a group of processes, by control groups of either version.
//!
//! **What it is.** [`Hierarchies`] says, for memory, the number of processes and processor time each, where a group can
//! be made: in the unified hierarchy (version 2), in one of the old ones (version 1), or why nowhere and what would
//! help. It knows by making one. A [`Group`] is a directory per hierarchy with limits in it: processes are put in, what
//! they used is read, all of them are killed, and nothing is left behind when it is dropped.
//!
//! **What is not here.** Nobody decides here whether a limit that cannot be had is tolerable: [`Enforced`] says which
//! are exact. No watchdog and no other substitute, no mounting, no talk to a service manager.
//!
//! **Invariants**, cited by the tests that hold them:
//!
//! - **G1** A limit counts as enforced only if its file took the value.
//! - **G2** No symbolic link is followed, and no more than [`FILE_BYTES_MAX`] of a file are read.
//! - **G3** A dropped group is gone with all its processes; [`sweep`] removes what a killed owner left, and only that.
//! - **G4** A process is moved to another group only beneath a group that was handed over to this user, and only if
//!   every process in it runs this program.
//! - **G5** A group has at most the memory it was given, swap included.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod delegation;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod hierarchies;
mod limits;
#[cfg(any(target_os = "linux", test))]
mod membership;
#[cfg(target_os = "linux")]
mod owner;
#[cfg(target_os = "linux")]
mod place;
#[cfg(test)]
mod simulated;
#[cfg(any(target_os = "linux", test))]
mod values;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Alarm, Group, Hierarchies, Seat, sweep};
#[cfg(target_os = "linux")]
pub use group::{Alarm, Group};
#[cfg(target_os = "linux")]
pub use hierarchies::{Hierarchies, Seat};
pub use limits::{Breach, CgroupError, Controller, Enforced, FILE_BYTES_MAX, Limits, Missing, Sign, Usage, Version};
#[cfg(target_os = "linux")]
pub use owner::sweep;
