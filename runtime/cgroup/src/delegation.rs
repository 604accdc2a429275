//! The unified hierarchy hands a controller to children only from a group without processes: whether that can be had.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{fgetxattr, fstat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::limits::Missing;
use crate::membership::Home;
use crate::place::{self, Base};

/// The group into which this program moves itself, beside the groups that it makes.
pub(crate) const SELF: &str = "aether-self";
/// How many processes are moved at most.
const MOVED_MAX: usize = 64;

const DELEGATE: &str =
    "start it in a group of its own with `systemd-run --user --scope -p Delegate=yes` (as root without --user)";
const ENABLE_MEMORY: &str = "the kernel has it switched off or keeps it above: on a Raspberry Pi add cgroup_enable=memory to its command line, \
     elsewhere start it with `systemd-run --user --scope -p Delegate=yes`";

/// Who else is in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    Nobody,
    /// This program alone.
    Ours,
    /// Somebody else, too.
    Others,
}

/// What there is to know about a group before anything is changed.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    /// `cgroup.controllers`: what it could hand on.
    pub(crate) available: &'a str,
    /// `cgroup.subtree_control`: what it hands on.
    pub(crate) enabled: &'a str,
    pub(crate) members: Members,
    /// The root of the whole hierarchy may have processes beside groups.
    pub(crate) is_root: bool,
    /// Whether it was handed over to this user.
    pub(crate) is_delegated: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// Nothing, it is handed on already.
    Ready,
    /// Enable it.
    Enable,
    /// Move this program's processes down first.
    MoveAndEnable,
}

/// Decides for one controller (G4).
pub(crate) fn arrangement(controller: &str, look: &Look<'_>) -> Result<Arrangement, Missing> {
    let has = |list: &str| list.split_whitespace().any(|one| one == controller);
    if has(look.enabled) {
        return Ok(Arrangement::Ready);
    }
    if !has(look.available) {
        let remedy = if controller == "memory" { ENABLE_MEMORY } else { DELEGATE };
        return Err(Missing { reason: format!("the {controller} controller is not handed to this group"), remedy });
    }
    if !look.is_delegated {
        let reason = format!("the {controller} controller would have to be taken from a group that is not ours");
        return Err(Missing { reason, remedy: DELEGATE });
    }
    match look.members {
        _ if look.is_root => Ok(Arrangement::Enable),
        Members::Nobody => Ok(Arrangement::Enable),
        Members::Ours => Ok(Arrangement::MoveAndEnable),
        Members::Others => Err(Missing {
            reason: format!("the {controller} controller cannot be handed on while other programs are in this group"),
            remedy: DELEGATE,
        }),
    }
}

/// The group beneath which groups are made, opened: ours, or the one above if we moved down before.
pub(crate) fn base(home: &Home) -> Result<Base, Missing> {
    let mut path = home.path.as_path();
    if path != home.mount && path.ends_with(SELF) {
        path = path.parent().unwrap_or(path);
    }
    Base::open(path).map_err(|error| Missing {
        reason: format!("the group {} cannot be opened: {error}", path.display()),
        remedy: DELEGATE,
    })
}

/// Has the group hand on the controller, if it can be had.
pub(crate) fn arrange(base: &Base, home: &Home, controller: &str) -> Result<(), Missing> {
    let file = |name: &'static str| place::read(base.as_fd(), name).map_err(|error| missing(base, "read", name, error));
    let (available, enabled) = (file("cgroup.controllers")?, file("cgroup.subtree_control")?);
    let processes = file("cgroup.procs")?;
    let look = Look {
        available: &available,
        enabled: &enabled,
        members: members(&processes),
        is_root: place::read(base.as_fd(), "cgroup.type") == Err(Errno::NOENT),
        is_delegated: is_delegated(base, home),
    };
    match arrangement(controller, &look)? {
        Arrangement::Ready => return Ok(()),
        Arrangement::Enable => {}
        Arrangement::MoveAndEnable => move_down(base, &processes)?,
    }
    place::write(base.as_fd(), "cgroup.subtree_control", &format!("+{controller}"))
        .map_err(|error| missing(base, "write", "cgroup.subtree_control", error))
}

fn missing(base: &Base, step: &str, file: &str, error: Errno) -> Missing {
    let place = base.path().join(file);
    Missing { reason: format!("cannot {step} {}: {}", place.display(), std::io::Error::from(error)), remedy: DELEGATE }
}

fn move_down(base: &Base, processes: &str) -> Result<(), Missing> {
    match base.make(SELF) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(missing(base, "make", SELF, error)),
    }
    let below = base.enter(SELF).map_err(|error| missing(base, "open", SELF, error))?;
    for process in processes.lines().take(MOVED_MAX) {
        match place::write(below.as_fd(), "cgroup.procs", process) {
            // It ended in the meantime.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(missing(base, "move processes to", SELF, error)),
        }
    }
    Ok(())
}

/// Systemd hands a group over by giving it to the user; for root, by a mark. The top of a namespace is ours too.
fn is_delegated(base: &Base, home: &Home) -> bool {
    let user = geteuid();
    if !user.is_root() {
        return fstat(base).is_ok_and(|status| status.st_uid == user.as_raw());
    }
    let is_marked = |name: &str| {
        let mut value = [0; 1];
        // The mark cannot be read through a descriptor that only stands for a path.
        base.enter(".").and_then(|directory| fgetxattr(directory, name, &mut value)).is_ok() && value == *b"1"
    };
    base.path() == home.mount || is_marked("trusted.delegate") || is_marked("user.delegate")
}

/// Whether all of these processes run this program.
fn members(processes: &str) -> Members {
    let file = |process: &str| {
        let status = fs::metadata(Path::new("/proc").join(process).join("exe")).ok()?;
        Some((status.dev(), status.ino()))
    };
    let ours = file("self");
    let mut all = processes.lines().peekable();
    if all.peek().is_none() {
        return Members::Nobody;
    }
    if ours.is_some() && processes.lines().count() <= MOVED_MAX && all.all(|process| file(process) == ours) {
        return Members::Ours;
    }
    Members::Others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(members: Members) -> Look<'static> {
        Look { available: "cpu memory pids", enabled: "pids", members, is_root: false, is_delegated: true }
    }

    #[test]
    fn a_group_hands_on_what_it_can() {
        assert_eq!(arrangement("pids", &look(Members::Others)), Ok(Arrangement::Ready));
        assert_eq!(arrangement("memory", &look(Members::Nobody)), Ok(Arrangement::Enable));
        assert_eq!(arrangement("memory", &look(Members::Ours)), Ok(Arrangement::MoveAndEnable));
        let root = Look { is_root: true, ..look(Members::Others) };
        assert_eq!(arrangement("memory", &root), Ok(Arrangement::Enable));
    }

    /// G4.
    #[test]
    fn nobody_else_is_moved_and_nothing_is_taken() {
        let missing = arrangement("memory", &look(Members::Others)).unwrap_err();
        assert!(missing.to_string().contains("while other programs are in this group: start it"), "{missing}");
        let foreign = Look { is_delegated: false, ..look(Members::Ours) };
        assert!(arrangement("memory", &foreign).unwrap_err().reason.contains("not ours"));
        let poor = Look { available: "pids cpu", ..look(Members::Ours) };
        assert!(arrangement("memory", &poor).unwrap_err().remedy.contains("cgroup_enable=memory"));
        assert!(arrangement("io", &poor).unwrap_err().remedy.contains("Delegate=yes"));
    }

    #[test]
    fn who_is_in_a_group() {
        let own = std::process::id().to_string();
        assert_eq!(members(""), Members::Nobody);
        assert_eq!(members(&format!("{own}\n")), Members::Ours);
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // Until it runs another program the child is this one.
        let mut found = Members::Ours;
        for _ in 0..1000 {
            found = members(&format!("{own}\n{}\n", other.id()));
            if found == Members::Others {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(found, Members::Others);
    }
}
