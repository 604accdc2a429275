//! The file system of a jail: an empty one, with what is granted and what every program expects, and nothing else.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags};

use crate::binds::{NODEV, NOEXEC, NOSUID, RDONLY, Tree, resolve, tree};
use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::identity::{INSIDE, unavailable};
use crate::plan::{Limits, Network, Plan, Strength};
use crate::sys::{self, Depth};

/// The jail's name for itself and for its user.
pub(crate) const NAME: &str = "aether";
/// Most files in `/tmp` and `/dev/shm` together.
const SCRATCH_FILES_MAX: u64 = 262_144;
/// Where the new root is put together: whichever is there is hidden by it until the old root is gone.
pub(crate) const BASES: &[&str] = &["/usr", "/tmp", "/etc", "/dev"];
/// Top directories that distributions made links into `/usr`.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Devices that say nothing about the machine and change nothing.
pub(crate) const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
/// Settings of the machine that programs read: where libraries are, whom TLS trusts, names of types and ports, the
/// time zone. Whatever is not there is left out.
pub(crate) const SETTINGS: &[&str] = &[
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/tls",
    "pki/ca-trust",
    "ca-certificates",
    "crypto-policies",
    "alternatives",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "services",
];

/// What hides directories and files.
const EMPTY: &str = "var/empty";
const NOTHING: &str = "var/nothing";

/// Opens the machine's devices and settings, before the new root hides them.
pub(crate) fn open_own() -> Result<Vec<Tree>, JailError> {
    let mut trees = Vec::with_capacity(DEVICES.len() + SETTINGS.len());
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        let shown = path.to_string_lossy();
        let fd =
            resolve(&path).and_then(|at| tree(at.as_fd(), Depth::One)).map_err(JailError::at(Step::Source, &shown))?;
        let set = NOEXEC | if is_on(Control::Nosuid) { NOSUID } else { 0 };
        sys::mount_setattr(fd.as_fd(), Depth::One, set, None).map_err(JailError::at(Step::Attributes, &shown))?;
        trees.push(Tree { fd: Some(fd), target: path, is_folder: false });
    }
    for name in SETTINGS {
        let path = Path::new("/etc").join(name);
        let shown = path.to_string_lossy();
        let at = match resolve(&path) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => continue,
            at => at.map_err(JailError::at(Step::Source, &shown))?,
        };
        let found = rustix::fs::fstat(&at).map_err(JailError::at(Step::Source, &shown))?;
        let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        let fd = tree(at.as_fd(), Depth::Everything).map_err(JailError::at(Step::Source, &shown))?;
        let set = [
            (RDONLY, Control::Readonly),
            (NOSUID, Control::Nosuid),
            (NODEV, Control::Nodev),
            (NOEXEC, Control::Noexec),
        ];
        let set = set.iter().filter(|(_, control)| is_on(*control)).fold(0, |set, (attribute, _)| set | attribute);
        sys::mount_setattr(fd.as_fd(), Depth::Everything, set, None)
            .map_err(JailError::at(Step::Attributes, &shown))?;
        trees.push(Tree { fd: Some(fd), target: path, is_folder });
    }
    Ok(trees)
}

/// Puts the root together and enters it. Says how well `/proc` is given.
pub(crate) fn enter(plan: &Plan, own: Vec<Tree>, granted: Vec<Tree>) -> Result<Strength, JailError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(JailError::at(Step::Root, "/"))?;
    let links: Vec<(&str, Vec<u8>)> = MERGED
        .iter()
        .filter_map(|name| Some((*name, rustix::fs::readlink(format!("/{name}"), Vec::new()).ok()?.into_bytes())))
        .collect();
    let base = BASES.iter().find(|base| Path::new(base).is_dir()).copied().unwrap_or("/");
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", base, "tmpfs", flags, c"mode=0755,size=4m,nr_inodes=8192")
        .map_err(JailError::at(Step::Root, base))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, base, flags, Mode::empty()).map_err(JailError::at(Step::Root, base))?;
    rustix::process::fchdir(&root).map_err(JailError::at(Step::Root, base))?;
    let building = Building::new(root)?;
    building.skeleton(plan, &links)?;
    if granted.iter().any(|tree| tree.fd.is_none()) {
        building.make_nothing()?;
    }
    for tree in own.iter().chain(&granted) {
        building.place(tree)?;
    }
    let view = process_view(plan.guarantees.process_view)?;
    if is_on(Control::Readonly) {
        sys::mount_setattr(building.root.as_fd(), Depth::One, RDONLY, None).map_err(JailError::at(Step::Root, "/"))?;
    }
    pivot().map_err(JailError::at(Step::Pivot, ""))?;
    Ok(view)
}

fn pivot() -> Result<(), Errno> {
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// Mounts `/proc`, relative to the root that is being put together.
fn process_view(wanted: Strength) -> Result<Strength, JailError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = if is_on(Control::Proc) { Some(c"subset=pid,hidepid=2") } else { None };
    match rustix::mount::mount("proc", "proc", "proc", flags, options) {
        Ok(()) => Ok(Strength::Exact),
        Err(_) if !is_on(Control::Pidns) || wanted == Strength::Approximate => Ok(Strength::Approximate),
        Err(errno) => Err(unavailable(
            "a /proc of its own",
            &format!("the kernel refuses to mount one: {errno}"),
            "in a container, start it with `--security-opt systempaths=unconfined`, or allow an approximate process view",
        )),
    }
}

/// The root while it is put together. The working directory is its top.
struct Building {
    root: OwnedFd,
    /// The devices of the file systems that are the jail's own: only there is anything made.
    own: std::cell::Cell<[u64; 2]>,
}

impl Building {
    fn new(root: OwnedFd) -> Result<Building, JailError> {
        let device = rustix::fs::fstat(&root).map_err(JailError::at(Step::Root, "/"))?.st_dev;
        Ok(Building { root, own: std::cell::Cell::new([device, device]) })
    }

    fn skeleton(&self, plan: &Plan, links: &[(&str, Vec<u8>)]) -> Result<(), JailError> {
        let folder = |path: &str| {
            rustix::fs::mkdirat(&self.root, path, Mode::from_raw_mode(0o755)).map_err(JailError::at(Step::Root, path))
        };
        let link = |to: &[u8], path: &str| {
            rustix::fs::symlinkat(to, &self.root, path).map_err(JailError::at(Step::Root, path))
        };
        let is_target = |path: &str| plan.binds.iter().any(|bind| bind.target.starts_with(path));
        for path in ["tmp", "proc", "dev", "etc", "var", "run"] {
            folder(path)?;
        }
        for (name, to) in links.iter().filter(|(name, _)| !is_target(&format!("/{name}"))) {
            link(to, name)?;
        }
        for (path, to) in [("var/tmp", "../tmp"), ("var/run", "../run")] {
            if !is_target(&format!("/{path}")) {
                link(to.as_bytes(), path)?;
            }
        }
        scratch(&plan.limits)?;
        let scratch =
            rustix::fs::statat(&self.root, "tmp", AtFlags::empty()).map_err(JailError::at(Step::Root, "/tmp"))?;
        self.own.set([self.own.get()[0], scratch.st_dev]);
        for (path, to) in [
            ("dev/fd", "/proc/self/fd"),
            ("dev/stdin", "/proc/self/fd/0"),
            ("dev/stdout", "/proc/self/fd/1"),
            ("dev/stderr", "/proc/self/fd/2"),
            ("dev/shm", "../tmp/.shm"),
        ] {
            link(to.as_bytes(), path)?;
        }
        for (path, text) in settings(&plan.network) {
            if !is_target(&format!("/{path}")) {
                self.write(path, &text).map_err(JailError::at(Step::Root, path))?;
            }
        }
        Ok(())
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.root, path, flags, Mode::from_raw_mode(0o644))?;
        rustix::io::write(&file, text.as_bytes()).map(|_| ())
    }

    /// Mounts a tree where it goes. Its place is made, but never on a file system of the host.
    fn place(&self, tree: &Tree) -> Result<(), JailError> {
        let shown = tree.target.to_string_lossy();
        let at = self.room(&tree.target, tree.is_folder)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        let nothing = if tree.fd.is_none() { Some(self.nothing(tree.is_folder)?) } else { None };
        let Some(fd) = tree.fd.as_ref().or(nothing.as_ref()) else { return Ok(()) };
        rustix::mount::move_mount(fd, "", &at, "", flags).map_err(JailError::at(Step::Mount, &shown))
    }

    /// Makes what hides other things: an empty directory and an empty file.
    fn make_nothing(&self) -> Result<(), JailError> {
        let failed = |path| JailError::at(Step::Root, path);
        rustix::fs::mkdirat(&self.root, EMPTY, Mode::from_raw_mode(0o500)).map_err(failed(EMPTY))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.root, NOTHING, flags, Mode::from_raw_mode(0o400));
        made.map(drop).map_err(failed(NOTHING))
    }

    /// A mount that hides what it is mounted over.
    fn nothing(&self, is_folder: bool) -> Result<OwnedFd, JailError> {
        let path = if is_folder { EMPTY } else { NOTHING };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = || JailError::at(Step::Root, path);
        let at = rustix::fs::openat(&self.root, path, flags, Mode::empty()).map_err(failed())?;
        let fd = tree(at.as_fd(), Depth::One).map_err(failed())?;
        let set = RDONLY | NOSUID | NODEV | NOEXEC;
        sys::mount_setattr(fd.as_fd(), Depth::One, set, None).map_err(failed())?;
        Ok(fd)
    }

    fn room(&self, target: &Path, is_folder: bool) -> Result<OwnedFd, JailError> {
        let shown = target.to_string_lossy();
        let names: Vec<&[u8]> = target
            .components()
            .filter_map(|part| if let Component::Normal(name) = part { Some(name.as_bytes()) } else { None })
            .collect();
        let mut at = rustix::io::fcntl_dupfd_cloexec(&self.root, 3).map_err(JailError::at(Step::Place, &shown))?;
        for (index, name) in names.iter().enumerate() {
            let is_last = index + 1 == names.len();
            let make_folder = !is_last || is_folder;
            let kind = if make_folder { OFlags::DIRECTORY } else { OFlags::empty() };
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
            let opened = match rustix::fs::openat(&at, *name, flags, Mode::empty()) {
                Err(Errno::NOENT) => self.make(&at, name, make_folder, &shown).and_then(|()| {
                    rustix::fs::openat(&at, *name, flags, Mode::empty()).map_err(JailError::at(Step::Place, &shown))
                }),
                Err(Errno::NOTDIR | Errno::LOOP) => Err(JailError::Refused {
                    what: shown.clone().into(),
                    why: "would be mounted through a link or a file: name the place it stands for".into(),
                }),
                opened => opened.map_err(JailError::at(Step::Place, &shown)),
            };
            at = opened?;
        }
        Ok(at)
    }

    fn make(&self, at: &OwnedFd, name: &[u8], is_folder: bool, shown: &str) -> Result<(), JailError> {
        let device = rustix::fs::fstat(at).map_err(JailError::at(Step::Place, shown))?.st_dev;
        if !self.own.get().contains(&device) {
            return Err(JailError::Refused {
                what: shown.into(),
                why: "is to be mounted inside another grant that has no such place: make it there first".into(),
            });
        }
        let made = if is_folder {
            rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        };
        made.map_err(JailError::at(Step::Place, shown))
    }
}

/// Mounts `/tmp`, and makes room for `/dev/shm` in it: one budget for both.
fn scratch(limits: &Limits) -> Result<(), JailError> {
    let files = (limits.scratch_bytes_max / 4096).clamp(64, SCRATCH_FILES_MAX);
    let options = format!("mode=1777,size={},nr_inodes={files}\0", limits.scratch_bytes_max);
    let options = std::ffi::CString::from_vec_with_nul(options.into_bytes()).map_err(|_| JailError::Step {
        step: Step::Mount,
        what: "/tmp".into(),
        errno: libc::EINVAL,
    })?;
    let mut flags = MountFlags::empty();
    for (flag, control) in [
        (MountFlags::NOSUID, Control::Nosuid),
        (MountFlags::NODEV, Control::Nodev),
        (MountFlags::NOEXEC, Control::Noexec),
    ] {
        flags |= if is_on(control) { flag } else { MountFlags::empty() };
    }
    let failed = JailError::at(Step::Mount, "/tmp");
    rustix::mount::mount("tmpfs", "tmp", "tmpfs", flags, options.as_c_str())
        .and_then(|()| rustix::fs::mkdirat(CWD, "tmp/.shm", Mode::from_raw_mode(0o777)))
        .and_then(|()| rustix::fs::chmodat(CWD, "tmp/.shm", Mode::from_raw_mode(0o1777), AtFlags::empty()))
        .map_err(failed)
}

/// The jail's own settings.
fn settings(network: &Network) -> Vec<(&'static str, String)> {
    let mut found = vec![
        (
            "etc/passwd",
            format!(
                "root:x:0:0::/:/sbin/nologin\n{NAME}:x:{INSIDE}:{INSIDE}::/tmp:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\n"
            ),
        ),
        ("etc/group", format!("root:x:0:\n{NAME}:x:{INSIDE}:\nnogroup:x:65534:\n")),
        ("etc/hosts", format!("127.0.0.1 localhost {NAME}\n")),
        ("etc/hostname", format!("{NAME}\n")),
        (
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n".into(),
        ),
    ];
    if *network != Network::None {
        found.push(("etc/resolv.conf", "nameserver 127.0.0.53\n".into()));
    }
    found
}

/// The places of a jail that are neither grants nor `/`, and what Landlock lets be done there.
pub(crate) const OWN_PLACES: &[(&str, Own)] =
    &[("/etc", Own::Read), ("/dev", Own::Device), ("/proc", Own::Process), ("/tmp", Own::Scratch)];

/// What can be done in one of the jail's own places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Reading.
    Read,
    /// Reading, writing and asking devices.
    Device,
    /// Reading, and writing what a process may say about itself.
    Process,
    /// Everything but executing.
    Scratch,
}

/// The targets of a plan, each once.
pub(crate) fn targets(plan: &Plan) -> impl Iterator<Item = (&PathBuf, &crate::plan::Bind)> {
    plan.binds.iter().map(|bind| (&bind.target, bind))
}
