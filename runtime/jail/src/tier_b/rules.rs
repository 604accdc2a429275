//! What a program without mounts of its own may do with the files of the host, as rules of Landlock: nothing but what is
//! granted, and below what is writable nothing that is guarded.
//!
//! Rules only ever add: what is allowed in a directory is allowed below it. So a directory that has something guarded in
//! it, or a grant of less, gets no right to change it; the right goes to each of its entries that has nothing of the
//! kind. Nothing new can be made in such a directory itself, only further down.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::controls::{Control, is_on};
use crate::error::{JailError, Missing, Step};
use crate::guards::GUARDED;
use crate::landlock::{EXECUTE, IOCTL_DEV, MAKE_SOCK, OF_FILES, READ, SCOPES, TCP, WRITE, WRITE_FILE, known};
use crate::plan::{Access, Bind, Execute, PROTECTED, Plan, SYSTEM, Strength, is_grantable, overlap};
use crate::root::{DEVICES, SETTINGS};
use crate::sys;

/// Names of the machine's users and hosts, which are the host's own here.
const NAMES: &[&str] = &["passwd", "group", "hosts", "hostname", "nsswitch.conf"];
/// Places below a repository whose settings and hooks git finds in directories of any name.
const REPOSITORIES: &[&str] = &[".git/modules", ".git/worktrees"];
/// Most entries of directories that get a rule each.
const ENTRIES_MAX: usize = 16_384;

/// One grant, opened.
struct Grant<'a> {
    bind: &'a Bind,
    at: OwnedFd,
    real: PathBuf,
    found: Stat,
}

/// Whether everything that a plan grants can be granted.
pub(super) fn look(plan: &Plan, protected: &[PathBuf]) -> Result<(), JailError> {
    let grants = open_all(plan, protected)?;
    for grant in grants.iter().filter(|grant| grant.is_folder() && grant.bind.access == Access::Write) {
        refuse_links(grant)?;
    }
    Ok(())
}

/// Holds this process and its descendants to what the plan grants, and its own directory for temporary files.
pub(super) fn restrict(
    plan: &Plan,
    protected: &[PathBuf],
    (scratch, landlock_abi): (&Path, u32),
) -> Result<(), JailError> {
    let known = known(landlock_abi);
    let handled = [known, TCP, SCOPES];
    let words = match landlock_abi {
        ..=3 => 1,
        4 | 5 => 2,
        _ => 3,
    };
    let failed = || JailError::at(Step::Landlock, "");
    let grants = open_all(plan, protected)?;
    let ruleset = sys::landlock_ruleset(&handled[..words]).map_err(failed())?;
    let mut rules = Rules { ruleset, known, left: ENTRIES_MAX };
    for name in DEVICES {
        rules.allow_path(&Path::new("/dev").join(name), READ | WRITE_FILE | IOCTL_DEV)?;
    }
    for name in SETTINGS.iter().chain(NAMES) {
        rules.allow_path(&Path::new("/etc").join(name), READ)?;
    }
    rules.allow_path(scratch, READ | WRITE | MAKE_SOCK)?;
    for grant in &grants {
        rules.grant(grant, &grants)?;
    }
    sys::landlock_restrict(rules.ruleset.as_fd()).map_err(failed())
}

impl Grant<'_> {
    fn is_folder(&self) -> bool {
        FileType::from_raw_mode(self.found.st_mode) == FileType::Directory
    }

    fn rights(&self) -> u64 {
        let change = if self.bind.access == Access::Write { READ | WRITE } else { READ };
        change | if self.bind.execute == Execute::Allowed { EXECUTE } else { 0 }
    }

    /// What lies below this grant and has fewer rights, relative to it.
    fn exceptions(&self, all: &[Grant<'_>]) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        for other in all {
            let Ok(below) = other.real.strip_prefix(&self.real) else { continue };
            if !below.as_os_str().is_empty() && self.rights() & !other.rights() != 0 {
                found.push(below.to_owned());
            }
        }
        if self.bind.access == Access::Write && is_on(Control::Protected) {
            found.extend(GUARDED.iter().filter(|one| !one.stays_writable).map(|one| PathBuf::from(one.path)));
            found.extend(REPOSITORIES.iter().map(PathBuf::from));
        }
        found
    }
}

fn open_all<'a>(plan: &'a Plan, protected: &[PathBuf]) -> Result<Vec<Grant<'a>>, JailError> {
    plan.binds.iter().map(|bind| open(bind, protected, plan.guarantees.sockets_absent)).collect()
}

fn open<'a>(bind: &'a Bind, protected: &[PathBuf], sockets: Strength) -> Result<Grant<'a>, JailError> {
    let shown = bind.source.to_string_lossy();
    let at = crate::binds::resolve_exactly(&bind.source)?;
    let real = crate::binds::real_path(at.as_fd()).map_err(JailError::at(Step::Source, &shown))?;
    is_grantable(&real, bind.access, protected)?;
    let fixed = PROTECTED.iter().map(Path::new);
    if let Some(place) = fixed.chain(protected.iter().map(PathBuf::as_path)).find(|place| overlap(&real, place)) {
        return Err(JailError::Refused {
            what: shown.into(),
            why: format!(
                "contains the protected place {}, which cannot be hidden without mounts: grant something narrower",
                place.display()
            ),
        });
    }
    let found = rustix::fs::fstat(&at).map_err(JailError::at(Step::Source, &shown))?;
    let kind = FileType::from_raw_mode(found.st_mode);
    if !matches!(kind, FileType::Directory | FileType::RegularFile) {
        return Err(JailError::Refused { what: shown.into(), why: "is neither a file nor a directory".into() });
    }
    if bind.target != bind.source {
        is_same_place(bind, &found)?;
    }
    let is_system = SYSTEM.iter().any(|place| real.starts_with(place));
    if kind == FileType::Directory && !is_system && sockets == Strength::Exact {
        crate::binds::refuse_sockets(at.as_fd(), &shown, &[])?;
    }
    Ok(Grant { bind, at, real, found })
}

/// Without mounts everything is seen where it is.
fn is_same_place(bind: &Bind, source: &Stat) -> Result<(), JailError> {
    let target = rustix::fs::stat(&bind.target).ok();
    if target.is_some_and(|target| (target.st_dev, target.st_ino) == (source.st_dev, source.st_ino)) {
        return Ok(());
    }
    Err(JailError::Unavailable {
        missing: vec![Missing {
            mechanism: "mounts".into(),
            found: format!("{} cannot be seen as {} without them", bind.source.display(), bind.target.display()),
            remedy: "grant it at its own place, or run where namespaces can be made".into(),
        }],
    })
}

/// Refuses a grant whose guarded places are links: what they stand for could be changed under its own name.
fn refuse_links(grant: &Grant<'_>) -> Result<(), JailError> {
    for path in GUARDED.iter().map(|one| one.path).chain(REPOSITORIES.iter().copied()) {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let odd = match rustix::fs::openat2(&grant.at, path, flags, Mode::empty(), resolve) {
            Ok(found) => {
                let found = rustix::fs::fstat(&found).map_err(JailError::at(Step::Guard, path))?;
                !matches!(FileType::from_raw_mode(found.st_mode), FileType::Directory | FileType::RegularFile)
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => false,
            Err(Errno::LOOP | Errno::XDEV) => true,
            Err(errno) => return Err(JailError::at(Step::Guard, path)(errno)),
        };
        if odd {
            return Err(JailError::Refused {
                what: grant.real.join(path).display().to_string(),
                why: "is neither a file nor a directory, so that it cannot be guarded: replace it, or grant reading"
                    .into(),
            });
        }
    }
    Ok(())
}

/// A set of rules in the making.
struct Rules {
    ruleset: OwnedFd,
    known: u64,
    /// How many entries of directories may still get a rule.
    left: usize,
}

impl Rules {
    /// Allows something in a place of the machine's own, if it is there.
    fn allow_path(&self, path: &Path, rights: u64) -> Result<(), JailError> {
        let shown = path.to_string_lossy();
        let at = match rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => return Ok(()),
            at => at.map_err(JailError::at(Step::Landlock, &shown))?,
        };
        self.allow(at.as_fd(), rights, &shown)
    }

    fn allow(&self, at: BorrowedFd<'_>, rights: u64, shown: &str) -> Result<(), JailError> {
        let found = rustix::fs::fstat(at).map_err(JailError::at(Step::Landlock, shown))?;
        let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        let rights = rights & self.known & if is_folder { u64::MAX } else { OF_FILES };
        if rights == 0 {
            return Ok(());
        }
        sys::landlock_allow(self.ruleset.as_fd(), at, rights).map_err(JailError::at(Step::Landlock, shown))
    }

    fn grant(&mut self, grant: &Grant<'_>, all: &[Grant<'_>]) -> Result<(), JailError> {
        let exceptions = if grant.is_folder() { grant.exceptions(all) } else { Vec::new() };
        let exceptions: Vec<&Path> = exceptions.iter().map(PathBuf::as_path).collect();
        self.allow_but(grant.at.as_fd(), grant.rights(), (&exceptions, &grant.real))
    }

    /// Allows something in a directory and below it, but not in the exceptions: those can be read, no more.
    fn allow_but(
        &mut self,
        at: BorrowedFd<'_>,
        rights: u64,
        (exceptions, shown): (&[&Path], &Path),
    ) -> Result<(), JailError> {
        let text = shown.to_string_lossy();
        if exceptions.is_empty() {
            return self.allow(at, rights, &text);
        }
        self.allow(at, READ, &text)?;
        for name in names(at).map_err(JailError::at(Step::Landlock, &text))? {
            let name: &Path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
            if exceptions.contains(&name) {
                continue;
            }
            if self.left == 0 {
                return Err(JailError::Refused {
                    what: text.into(),
                    why: format!(
                        "has more than {ENTRIES_MAX} entries, each of which needs a rule: grant what is below it"
                    ),
                });
            }
            self.left -= 1;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let entry = match rustix::fs::openat(at, name, flags, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                entry => entry.map_err(JailError::at(Step::Landlock, &text))?,
            };
            let found = rustix::fs::fstat(&entry).map_err(JailError::at(Step::Landlock, &text))?;
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    let below: Vec<&Path> = exceptions.iter().filter_map(|path| path.strip_prefix(name).ok()).collect();
                    self.allow_but(entry.as_fd(), rights, (&below, &shown.join(name)))?;
                }
                FileType::RegularFile => self.allow(entry.as_fd(), rights, &text)?,
                // A link is judged by what it stands for; nothing else has rights of its own.
                _ => {}
            }
        }
        Ok(())
    }
}

/// The names in a directory that can be listed.
fn names(at: BorrowedFd<'_>) -> Result<Vec<std::ffi::CString>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(at, ".", flags, Mode::empty()) {
        // Whoever cannot list it can change nothing in it that has no rule of its own.
        Err(Errno::ACCESS) => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::new(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push(entry.file_name().to_owned());
        }
    }
    Ok(found)
}
