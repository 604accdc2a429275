//! From a path of the host to a mount that is nowhere yet: opened once, looked at, restricted, and only then placed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::guards::{self, Found, GUARDED};
use crate::identity::{Identity, Owners, unavailable};
use crate::placeholder;
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
    /// The mount; if there is none, what is there is hidden by something empty.
    pub(crate) fd: Option<OwnedFd>,
    /// Where it goes.
    pub(crate) target: PathBuf,
    /// Whether it is a directory.
    pub(crate) is_folder: bool,
}

/// Which directory a bind of a plan is: its place in the list, its device, its number.
pub(crate) type Ground = (usize, u64, u64);

/// Where a bind of a plan stands, and what is there.
pub(crate) fn identify(source: BorrowedFd<'_>, index: usize) -> Result<(Ground, FileType), Errno> {
    let stat = rustix::fs::fstat(source)?;
    Ok(((index, stat.st_dev, stat.st_ino), FileType::from_raw_mode(stat.st_mode)))
}

/// The protected places of the host, with those that links among them lead to.
#[derive(Default)]
pub(crate) struct Protection(Vec<PathBuf>);

impl Protection {
    /// Looks where the places really are, if the plan has a bind for which it matters.
    pub(crate) fn of(plan: &Plan, protected: &[PathBuf]) -> Protection {
        let is_own = |bind: &Bind| !is_system(&bind.source);
        if !plan.binds.iter().any(is_own) {
            return Protection::default();
        }
        let mut places = protected.to_vec();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        for place in protected {
            let opened = rustix::fs::openat2(CWD, place, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
            // What is not there, or cannot be reached, leads nowhere.
            if let (Err(Errno::LOOP), Ok(real)) = (opened, place.canonicalize()) {
                places.push(real);
            }
        }
        Protection(places)
    }

    /// All of them.
    pub(crate) fn places(&self) -> &[PathBuf] {
        &self.0
    }

    /// The places below this one, relative to it.
    pub(crate) fn below(&self, source: &Path) -> impl Iterator<Item = &Path> {
        let below = self.0.iter().filter_map(move |place| place.strip_prefix(source).ok());
        below.filter(|path| !path.as_os_str().is_empty())
    }
}

/// What the spawner knew of a plan's places before the jail opens them.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// What is never given.
    pub(crate) protection: &'a Protection,
    /// The directories that were prepared.
    pub(crate) ground: &'a [Ground],
}

/// Opens everything that a plan grants, parents before children.
pub(crate) fn open_all(
    plan: &Plan,
    known: Known<'_>,
    identity: Identity,
    owners: &mut Owners,
) -> Result<Vec<Tree>, JailError> {
    let mut trees = Vec::with_capacity(plan.binds.len());
    for (index, bind) in plan.binds.iter().enumerate() {
        let opening = Opening { bind, index, known, sockets: plan.guarantees.sockets_absent, identity };
        opening.open(owners, &mut trees)?;
    }
    // Of two at one place, what hides comes last.
    trees.sort_by_key(|tree| (tree.target.components().count(), tree.fd.is_none()));
    Ok(trees)
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|place| path.starts_with(place))
}

/// One bind that is opened.
struct Opening<'a> {
    bind: &'a Bind,
    index: usize,
    known: Known<'a>,
    sockets: Strength,
    identity: Identity,
}

impl Opening<'_> {
    fn open(&self, owners: &mut Owners, trees: &mut Vec<Tree>) -> Result<(), JailError> {
        let (bind, protection) = (self.bind, self.known.protection);
        let shown = bind.source.to_string_lossy();
        let source = resolve_exactly(&bind.source)?;
        // The path that was really opened: whatever was moved in the meantime, this is what would be granted.
        let real = real_path(source.as_fd()).map_err(JailError::at(Step::Source, &shown))?;
        is_grantable(&real, bind.access, &protection.0)?;
        let found = rustix::fs::fstat(&source).map_err(JailError::at(Step::Source, &shown))?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let is_folder = kind == FileType::Directory;
        if !is_folder && kind != FileType::RegularFile {
            let why = "is neither a file nor a directory".into();
            return Err(JailError::Refused { what: shown.into(), why });
        }
        let is_system = is_system(&real);
        if is_folder && !is_system && self.sockets == Strength::Exact {
            let hidden: Vec<&Path> = protection.below(&real).collect();
            refuse_sockets(source.as_fd(), &shown, &hidden)?;
        }
        let owner = match self.identity {
            Identity::Dedicated { id } if !is_system => Some(id),
            _ => None,
        };
        let mut clone = |at: BorrowedFd<'_>, more: u64| -> Result<Option<OwnedFd>, JailError> {
            let tree = tree(at, Depth::Everything).map_err(JailError::at(Step::Source, &shown))?;
            restrict(&tree, attributes(bind.access, bind.execute) | more, &shown)?;
            if let Some(id) = owner {
                give(&tree, &found, id, owners).map_err(|error| at_place(error, &shown))?;
            }
            Ok(Some(tree))
        };
        trees.push(Tree { fd: clone(source.as_fd(), 0)?, target: bind.target.clone(), is_folder });
        if !is_folder || !is_on(Control::Protected) {
            return Ok(());
        }
        if bind.access == Access::Write {
            self.is_the_one(source.as_fd(), &shown)?;
            self.guard(source.as_fd(), &mut clone, trees)?;
        }
        for hidden in protection.below(&real) {
            self.hide(source.as_fd(), hidden, &mut clone, trees)?;
        }
        Ok(())
    }

    /// Whether this is the directory that was prepared.
    fn is_the_one(&self, source: BorrowedFd<'_>, shown: &str) -> Result<(), JailError> {
        let (ground, _) = identify(source, self.index).map_err(JailError::at(Step::Source, shown))?;
        if self.known.ground.contains(&ground) {
            return Ok(());
        }
        Err(JailError::Refused { what: shown.into(), why: "was exchanged while the jail was made: try again".into() })
    }

    /// Opens what is guarded below a writable bind.
    fn guard(&self, source: BorrowedFd<'_>, clone: Clone<'_>, trees: &mut Vec<Tree>) -> Result<(), JailError> {
        let shown = self.bind.source.to_string_lossy();
        for guarded in GUARDED {
            let Some((at, is_folder)) = guards::find_guarded(source, guarded.path.as_ref(), &shown)? else { continue };
            let target = self.bind.target.join(guarded.path);
            let young = placeholder::young(at.as_fd()).map_err(JailError::at(Step::Guard, guarded.path))?;
            let fd = match young {
                Some(young) if guarded.stays_writable => clone(young.as_fd(), 0)?,
                _ if placeholder::is_placeholder_at(at.as_fd()) => None,
                _ if guarded.stays_writable && is_folder => clone(at.as_fd(), 0)?,
                _ => clone(at.as_fd(), RDONLY)?,
            };
            trees.push(Tree { fd, target, is_folder });
        }
        for path in guards::believed(source, &shown)? {
            if let Found::There(at, kind) = guards::find(source, &path)? {
                let fd = clone(at.as_fd(), RDONLY)?;
                let is_folder = kind == FileType::Directory;
                trees.push(Tree { fd, target: self.bind.target.join(path), is_folder });
            }
        }
        Ok(())
    }

    /// Hides a protected place below a bind. What contains it can then not be moved away.
    fn hide(
        &self,
        source: BorrowedFd<'_>,
        hidden: &Path,
        clone: Clone<'_>,
        trees: &mut Vec<Tree>,
    ) -> Result<(), JailError> {
        let is_writable = self.bind.access == Access::Write;
        let mut path = PathBuf::new();
        for part in hidden {
            path.push(part);
            let target = self.bind.target.join(&path);
            match guards::find(source, &path)? {
                Found::There(at, kind) => {
                    let is_folder = kind == FileType::Directory;
                    if path == hidden || placeholder::is_placeholder_at(at.as_fd()) {
                        trees.push(Tree { fd: None, target, is_folder });
                        return Ok(());
                    }
                    if is_writable && !trees.iter().any(|tree| tree.target == target) {
                        trees.push(Tree { fd: clone(at.as_fd(), 0)?, target, is_folder });
                    }
                }
                Found::Odd if is_writable => return Err(guards::odd(&self.bind.source.to_string_lossy(), &path)),
                Found::Odd | Found::Absent => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Makes a mount of what is at a place, with further attributes.
type Clone<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, u64) -> Result<Option<OwnedFd>, JailError>;

/// Opens a path without following the magic links of `/proc`.
pub(crate) fn resolve(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// Opens what is granted, without following any link: one that was put there a moment ago would lead elsewhere than was
/// meant.
pub(crate) fn resolve_exactly(path: &Path) -> Result<OwnedFd, JailError> {
    let shown = path.to_string_lossy();
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve).map_err(|errno| match errno {
        Errno::LOOP => JailError::Refused {
            what: shown.clone().into(),
            why: "leads through a symbolic link: name the place that it stands for".into(),
        },
        other => JailError::at(Step::Source, &shown)(other),
    })
}

pub(crate) fn real_path(at: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
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
pub(crate) fn refuse_sockets(at: BorrowedFd<'_>, shown: &str, hidden: &[&Path]) -> Result<(), JailError> {
    let mut left = ENTRIES_MAX;
    let mut folders = Vec::new();
    let found = scan(at, Path::new(""), &mut left, &mut folders);
    let mut found = found.map_err(JailError::at(Step::Source, shown))?;
    // What is hidden is reached by nobody.
    found = found.filter(|path| !hidden.contains(&path.as_path()));
    for folder in folders.into_iter().filter(|folder| !hidden.contains(&folder.as_path())) {
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
pub(crate) fn is_same(folder: BorrowedFd<'_>, name: &std::ffi::OsStr, opened: BorrowedFd<'_>) -> Result<bool, Errno> {
    let (one, other) = (rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?, rustix::fs::fstat(opened)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
