//! A process that serves jails gives up what serving does not need: the broker is no stronger than it has to be.

use std::os::fd::AsFd;
use std::path::Path;

use aether_seccomp::Policy;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{JailError, Step};
use crate::landlock;
use crate::sys::{self, Listening};

/// Gives up, for this process and whatever it starts: capabilities and new privileges; changing any file but those below
/// `writable`; starting programs; and the system calls of the broker's filter. What cannot be given up because this
/// machine has no Landlock is left to the other two. Call it in a process with a single thread; it cannot be undone.
///
/// # Errors
/// [`JailError::Step`] with what could not be given up; [`JailError::Unavailable`] where there is no filter for this
/// machine.
pub fn confine(writable: &[&Path]) -> Result<(), JailError> {
    let empty = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    let capabilities = || JailError::at(Step::Capabilities, "");
    if rustix::process::geteuid().is_root() {
        sys::lock_rights().map_err(capabilities())?;
    }
    rustix::thread::clear_ambient_capability_set().map_err(capabilities())?;
    rustix::thread::set_capabilities(None, empty).map_err(capabilities())?;
    rustix::thread::set_no_new_privs(true).map_err(JailError::at(Step::Privileges, ""))?;
    restrict_writing(writable)?;
    let filter = Policy::Broker.native_program().map_err(|error| {
        crate::identity::unavailable("a filter of system calls", &error.to_string(), "run on x86_64 or aarch64")
    })?;
    sys::install(&filter, Listening::No).map(|_| ()).map_err(JailError::at(Step::Filter, "of the broker"))
}

/// Denies changing and executing files anywhere but below these directories, where changing is allowed.
fn restrict_writing(writable: &[&Path]) -> Result<(), JailError> {
    let abi = sys::landlock_abi();
    if abi == 0 {
        return Ok(());
    }
    let failed = || JailError::at(Step::Landlock, "");
    let ruleset = sys::landlock_ruleset(&[landlock::changing(abi)]).map_err(failed())?;
    for path in writable {
        let shown = path.to_string_lossy();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let at = rustix::fs::openat(CWD, *path, flags, Mode::empty()).map_err(JailError::at(Step::Landlock, &shown))?;
        let rights = landlock::changing(abi) & !landlock::EXECUTE;
        sys::landlock_allow(ruleset.as_fd(), at.as_fd(), rights).map_err(JailError::at(Step::Landlock, &shown))?;
    }
    sys::landlock_restrict(ruleset.as_fd()).map_err(failed())
}
