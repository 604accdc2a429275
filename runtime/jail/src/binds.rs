//! From a path of the host to a mount that is nowhere yet: opened once, looked at, restricted, and only then placed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::guards::{self, GUARDED};
use crate::identity::{Identity, Owners, unavailable};
use crate::plan::{Access, Bind, Execute, Plan, SYSTEM, Strength, is_grantable};
use crate::sys::{self, Depth};

// `linux/mount.h`.
pub(crate) const RDONLY: u64 = 1;
pub(crate) const NOSUID: u64 = 2;
pub(crate) const NODEV: u64 = 4;
pub(crate) const NOEXEC: u64 = 8;

/// Most entries that are looked at in search of sockets.
const ENTRIES_MAX: usize = 2048;

/// A mount that is nowhere yet.
pub(crate) struct Tree {
    /// The mount.
    pub(crate) fd: OwnedFd,
    /// Where it goes.
    pub(crate) target: PathBuf,
    /// Whether it is a directory.
    pub(crate) is_folder: bool,
}

/// Opens everything that a plan grants, parents before children.
pub(crate) fn open_all(
    plan: &Plan,
    protected: &[PathBuf],
    identity: Identity,
    owners: &mut Owners,
) -> Result<Vec<Tree>, JailError> {
    let mut trees = Vec::with_capacity(plan.binds.len());
    for bind in &plan.binds {
        open(bind, Opening { protected, sockets: plan.guarantees.sockets_absent, identity }, owners, &mut trees)?;
    }
    trees.sort_by_key(|tree| tree.target.components().count());
    Ok(trees)
}

/// What is to be known for opening.
#[derive(Clone, Copy)]
struct Opening<'a> {
    protected: &'a [PathBuf],
    sockets: Strength,
    identity: Identity,
}

fn open(bind: &Bind, opening: Opening<'_>, owners: &mut Owners, trees: &mut Vec<Tree>) -> Result<(), JailError> {
    let shown = bind.source.to_string_lossy();
    let source = resolve(&bind.source).map_err(JailError::at(Step::Source, &shown))?;
    // The path that was really opened: whatever links led here, this is what would be granted.
    let real = real_path(source.as_fd()).map_err(JailError::at(Step::Source, &shown))?;
    is_grantable(&real, bind.access, opening.protected)?;
    let found = rustix::fs::fstat(&source).map_err(JailError::at(Step::Source, &shown))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let is_folder = kind == FileType::Directory;
    if !is_folder && kind != FileType::RegularFile {
        let why = "is neither a file nor a directory".into();
        return Err(JailError::Refused { what: shown.into(), why });
    }
    let is_system = SYSTEM.iter().any(|place| real.starts_with(place));
    if is_folder && !is_system && opening.sockets == Strength::Exact {
        refuse_sockets(source.as_fd(), &shown)?;
    }
    let owner = match opening.identity {
        Identity::Dedicated { id } if !is_system => Some(id),
        _ => None,
    };
    let clone = |at: BorrowedFd<'_>, set: u64, owners: &mut Owners| -> Result<OwnedFd, JailError> {
        let tree = tree(at, Depth::Everything).map_err(JailError::at(Step::Source, &shown))?;
        restrict(&tree, set, &shown)?;
        if let Some(id) = owner {
            give(&tree, &found, id, owners).map_err(|error| at_place(error, &shown))?;
        }
        Ok(tree)
    };
    let set = attributes(bind.access, bind.execute);
    trees.push(Tree { fd: clone(source.as_fd(), set, owners)?, target: bind.target.clone(), is_folder });
    if bind.access == Access::Read || !is_folder || !is_on(Control::Protected) {
        return Ok(());
    }
    for guarded in GUARDED {
        let Some((at, is_folder)) = guards::find(source.as_fd(), guarded, &shown)? else { continue };
        let is_open = guarded.stays_writable && is_folder && !guards::is_placeholder_at(&at);
        let read_only = if is_open { 0 } else { RDONLY };
        let fd = clone(at.as_fd(), set | read_only, owners)?;
        trees.push(Tree { fd, target: bind.target.join(guarded.path), is_folder });
    }
    Ok(())
}

/// Opens a path without following the magic links of `/proc`.
pub(crate) fn resolve(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

fn real_path(at: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
    use std::os::fd::AsRawFd;
    let path = rustix::fs::readlink(format!("/proc/self/fd/{}", at.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(path.into_bytes())))
}

/// A detached copy of the mount at this place.
pub(crate) fn tree(at: BorrowedFd<'_>, depth: Depth) -> Result<OwnedFd, Errno> {
    let deep = if depth == Depth::Everything { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(at, "", flags | deep)
}

/// The attributes of a bind, as far as they are switched on.
pub(crate) fn attributes(access: Access, execute: Execute) -> u64 {
    let mut set = 0;
    let wanted = [
        (RDONLY, access == Access::Read, Control::Readonly),
        (NOSUID, true, Control::Nosuid),
        (NODEV, true, Control::Nodev),
        (NOEXEC, execute == Execute::Denied, Control::Noexec),
    ];
    for (attribute, _, _) in wanted.iter().filter(|(_, wanted, control)| *wanted && is_on(*control)) {
        set |= attribute;
    }
    set
}

fn restrict(tree: &OwnedFd, set: u64, shown: &str) -> Result<(), JailError> {
    if set == 0 {
        return Ok(());
    }
    sys::mount_setattr(tree.as_fd(), Depth::Everything, set, None).map_err(JailError::at(Step::Attributes, shown))
}

/// Makes what belongs to the owner of a place belong to the jail's user, and what belongs to others to nobody.
fn give(tree: &OwnedFd, found: &Stat, id: u32, owners: &mut Owners) -> Result<(), JailError> {
    let namespace = owners.through(found.st_uid, found.st_gid, id)?;
    sys::mount_setattr(tree.as_fd(), Depth::Everything, 0, Some(namespace)).map_err(|errno| match errno {
        Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP => unavailable(
            "mounts with another owner",
            &format!("the file system of {}, or of something mounted in it, has none: {errno}", id),
            "run as an ordinary user, or grant a place on ext4, xfs, btrfs or tmpfs",
        ),
        other => JailError::at(Step::Ownership, "")(other),
    })
}

/// Names the place in an error that does not.
fn at_place(error: JailError, shown: &str) -> JailError {
    match error {
        JailError::Unavailable { mut missing } => {
            for one in &mut missing {
                one.found = format!("the file system of {shown} has none");
            }
            JailError::Unavailable { missing }
        }
        JailError::Step { step, errno, .. } => JailError::Step { step, what: shown.into(), errno },
        other => other,
    }
}

/// Looks for sockets in a directory and in those directly below it.
fn refuse_sockets(at: BorrowedFd<'_>, shown: &str) -> Result<(), JailError> {
    let mut left = ENTRIES_MAX;
    let mut folders = Vec::new();
    let found = scan(at, Path::new(""), &mut left, &mut folders);
    let mut found = found.map_err(JailError::at(Step::Source, shown))?;
    for folder in folders {
        if found.is_some() || left == 0 {
            break;
        }
        match rustix::fs::openat(at, &folder, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(below) => {
                let scanned = scan(below.as_fd(), &folder, &mut left, &mut Vec::new());
                found = scanned.map_err(JailError::at(Step::Source, shown))?;
            }
            // It went away, and is nobody's.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(JailError::at(Step::Source, shown)(errno)),
        }
    }
    let Some(found) = found else { return Ok(()) };
    Err(JailError::Refused {
        what: shown.into(),
        why: format!(
            "has the socket {}, through which the host could be reached: grant something narrower, or allow sockets",
            found.display()
        ),
    })
}

fn scan(
    at: BorrowedFd<'_>,
    below: &Path,
    left: &mut usize,
    folders: &mut Vec<PathBuf>,
) -> Result<Option<PathBuf>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(at, ".", flags, Mode::empty()) {
        // What cannot be listed here cannot be listed inside.
        Err(Errno::ACCESS | Errno::NOTDIR | Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    let mut space = [std::mem::MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(folder, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if *left == 0 {
            break;
        }
        *left -= 1;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let path = below.join(std::ffi::OsString::from_vec(name.to_vec()));
        match entry.file_type() {
            FileType::Socket => return Ok(Some(path)),
            FileType::Directory => folders.push(path),
            _ => {}
        }
    }
    Ok(None)
}

/// Whether a place is the same that was opened.
pub(crate) fn is_same(folder: BorrowedFd<'_>, name: &str, opened: BorrowedFd<'_>) -> Result<bool, Errno> {
    let (one, other) = (rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?, rustix::fs::fstat(opened)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
