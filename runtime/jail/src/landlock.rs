//! Landlock (`landlock(7)`): what mounts cannot hold, and a second wall behind them.

use std::os::fd::AsFd;

use rustix::fs::{CWD, Mode, OFlags};

use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::plan::{Access, Execute, Network, Plan};
use crate::root::{OWN_PLACES, Own, targets};
use crate::sys;

// Rights of the file system, by the version that brought them (`linux/landlock.h`).
pub(crate) const EXECUTE: u64 = 1;
pub(crate) const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
pub(crate) const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_SYM: u64 = 1 << 12;
/// Version 2: renaming and linking across directories.
const REFER: u64 = 1 << 13;
/// Version 3.
const TRUNCATE: u64 = 1 << 14;
/// Version 5.
pub(crate) const IOCTL_DEV: u64 = 1 << 15;

/// The rights that mean something for a file that is no directory.
pub(crate) const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX;
/// Version 9: connecting to a socket that has a path.
const RESOLVE_UNIX: u64 = 1 << 16;
pub(crate) const READ: u64 = READ_FILE | READ_DIR;
pub(crate) const WRITE: u64 =
    WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_FIFO | MAKE_SYM | REFER | TRUNCATE;

/// Version 4: binding and connecting TCP sockets.
pub(crate) const TCP: u64 = 3;
/// Version 6: abstract sockets and signals of processes outside.
pub(crate) const SCOPES: u64 = 3;

/// Every right of the file system that this version of Landlock can deny.
pub(crate) fn known(abi: u32) -> u64 {
    let newest = match abi {
        0 => return 0,
        1 => MAKE_SYM,
        2 => REFER,
        3 | 4 => TRUNCATE,
        5..=8 => IOCTL_DEV,
        _ => RESOLVE_UNIX,
    };
    (newest << 1) - 1
}

/// Every right of this version to change files, and to execute them.
pub(crate) fn changing(abi: u32) -> u64 {
    known(abi) & (WRITE | MAKE_SOCK | EXECUTE)
}

/// Denies everything that this version of Landlock can deny and the plan does not need. The mounts of the jail hold
/// all of it already, so a version that can deny less, or none, is no reason to refuse.
pub(crate) fn restrict(plan: &Plan, abi: u32) -> Result<(), JailError> {
    if abi == 0 || !is_on(Control::Landlock) {
        return Ok(());
    }
    let known = known(abi);
    let tcp = if plan.network == Network::None { TCP } else { 0 };
    let handled = [known, tcp, SCOPES];
    let words = match abi {
        1..=3 => 1,
        4 | 5 => 2,
        _ => 3,
    };
    let failed = || JailError::at(Step::Landlock, "");
    let ruleset = sys::landlock_ruleset(&handled[..words]).map_err(failed())?;
    let allow = |path: &std::path::Path, rights: u64| -> Result<(), JailError> {
        let shown = path.to_string_lossy();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let at = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(JailError::at(Step::Landlock, &shown))?;
        let found = rustix::fs::fstat(&at).map_err(JailError::at(Step::Landlock, &shown))?;
        let is_folder = rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Directory;
        let rights = rights & known & if is_folder { u64::MAX } else { OF_FILES };
        sys::landlock_allow(ruleset.as_fd(), at.as_fd(), rights).map_err(JailError::at(Step::Landlock, &shown))
    };
    // The names in the root are no secret from those inside.
    allow("/".as_ref(), READ_DIR)?;
    for (path, own) in OWN_PLACES {
        let rights = match own {
            Own::Read => READ,
            Own::Device => READ | WRITE_FILE | IOCTL_DEV,
            Own::Process => READ | WRITE_FILE,
            Own::Scratch => READ | WRITE | MAKE_SOCK,
        };
        allow(path.as_ref(), rights)?;
    }
    for (target, bind) in targets(plan) {
        let mut rights = if bind.access == Access::Write { READ | WRITE } else { READ };
        rights |= if bind.execute == Execute::Allowed { EXECUTE } else { 0 };
        allow(target, rights)?;
    }
    sys::landlock_restrict(ruleset.as_fd()).map_err(failed())
}

/// What it means that Landlock is not there.
pub(crate) fn absence() -> (&'static str, &'static str) {
    (
        "the kernel was built or started without it",
        "mounts alone hold the file system; to add it, boot with lsm=landlock,…",
    )
}

#[cfg(test)]
mod tests {
    use super::{IOCTL_DEV, REFER, TRUNCATE, known};

    #[test]
    fn j4_every_right_that_a_version_knows_is_handled() {
        let bits: Vec<u32> = [0, 1, 2, 3, 4, 5, 7, 9].map(|abi| known(abi).count_ones()).to_vec();
        assert_eq!(bits, [0, 13, 14, 15, 15, 16, 16, 17]);
        assert!(known(2) & REFER != 0 && known(3) & TRUNCATE != 0 && known(4) & IOCTL_DEV == 0);
    }
}
