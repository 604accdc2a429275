//! Places inside a grant that stay as they are, or are not seen: what programs of the host would run or believe, and
//! what is protected.
//!
//! What exists is mounted over itself, read only; what is protected has nothing mounted over it. What does not exist is
//! held by a placeholder, so that it cannot be made. What git would run or believe, and nobody can foresee the place
//! of, is tamed afterwards.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::binds::{Ground, Protection, identify, resolve_exactly};
use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::placeholder::{self, Absent, Placeholder};
use crate::plan::{Access, Plan};
use crate::repository;

/// One guarded place.
pub(crate) struct Guarded {
    /// Below the grant.
    pub(crate) path: &'static str,
    /// What holds its place where it is absent.
    pub(crate) absent: Absent,
    /// Whether what is in it can be changed; then it only cannot be moved away.
    pub(crate) stays_writable: bool,
    /// Whether it is guarded only where the grant looks like a home.
    pub(crate) at_home: bool,
}

const fn guarded(path: &'static str, absent: Absent) -> Guarded {
    Guarded { path, absent, stays_writable: false, at_home: false }
}

const fn at_home(path: &'static str, absent: Absent) -> Guarded {
    Guarded { path, absent, stays_writable: false, at_home: true }
}

/// The guarded places, parents first: whatever a program of the host runs or believes without being asked, because a
/// directory is entered, opened in an editor, given to another agent, or committed to.
///
/// What a person runs by asking for it is a coder's work, and stays writable: a makefile, a build script, the scripts
/// of a package, the configuration of a compiler. So do the jobs of a forge (`.github/workflows`): they run elsewhere,
/// once somebody has looked at them and pushed them. And so does what agents are told in words.
///
/// What holds a place beside a coder's work is no file: git would take an empty one for work.
pub(crate) const GUARDED: &[Guarded] = &[
    // Git runs hooks and what its configuration names.
    Guarded { path: ".git", absent: Absent::Nursery, stays_writable: true, at_home: false },
    guarded(".git/config", Absent::File),
    guarded(".git/hooks", Absent::Place),
    // Hooks that `core.hooksPath` of many a configuration names.
    guarded(".husky", Absent::Place),
    // This program's own policy and state.
    guarded(".aether", Absent::Place),
    // Agents start the servers that are named there, and run hooks of their own.
    guarded(".mcp.json", Absent::Folder),
    guarded(".claude", Absent::Place),
    guarded(".cursor", Absent::Place),
    guarded(".windsurf", Absent::Place),
    guarded(".codex", Absent::Place),
    guarded(".gemini", Absent::Place),
    // Editors run tasks, take programs from settings, and build containers.
    guarded(".vscode", Absent::Place),
    guarded(".idea", Absent::Place),
    guarded(".zed", Absent::Place),
    guarded(".devcontainer", Absent::Place),
    guarded(".devcontainer.json", Absent::Folder),
    // A shell loads it on entering the directory.
    guarded(".envrc", Absent::Folder),
    // Shells, git, and the far end of an editor, where the grant is a home.
    at_home(".bashrc", Absent::File),
    at_home(".bash_profile", Absent::File),
    at_home(".bash_login", Absent::File),
    at_home(".bash_logout", Absent::File),
    at_home(".profile", Absent::File),
    at_home(".zshrc", Absent::File),
    at_home(".zshenv", Absent::File),
    at_home(".zprofile", Absent::File),
    at_home(".zlogin", Absent::File),
    at_home(".gitconfig", Absent::File),
    at_home(".vscode-server", Absent::Place),
    at_home(".cursor-server", Absent::Place),
];

/// What is to be done when a jail has ended.
pub(crate) enum Held {
    /// A placeholder to be taken away.
    Placeholder(Placeholder),
    /// A repository to be tamed, and what was there before.
    Repository(OwnedFd, repository::Known),
    /// A directory that was none, and is not to be one.
    Plain(OwnedFd),
}

/// What is in the place of something guarded.
pub(crate) enum Found {
    /// A file, a directory or a placeholder.
    There(OwnedFd, FileType),
    /// A symbolic link, or something odd.
    Odd,
    /// Nothing.
    Absent,
}

/// Opens a place below a grant, without following any link.
pub(crate) fn find(source: BorrowedFd<'_>, path: &Path) -> Result<Found, JailError> {
    let failed = || JailError::at(Step::Guard, path.to_str().unwrap_or("(a name of odd letters)"));
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(source, path, flags, Mode::empty(), resolve) {
        Ok(found) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&found).map_err(failed())?.st_mode);
            match kind {
                FileType::Directory | FileType::RegularFile => Ok(Found::There(found, kind)),
                FileType::Fifo if placeholder::is_placeholder_at(found.as_fd()) => Ok(Found::There(found, kind)),
                _ => Ok(Found::Odd),
            }
        }
        // Where permission is missing, the jail's user cannot get there either.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(Found::Absent),
        Err(Errno::LOOP | Errno::XDEV) => Ok(Found::Odd),
        Err(errno) => Err(failed()(errno)),
    }
}

/// The same for a guarded place, where anything odd is refused: what a link stands for could be exchanged.
pub(crate) fn find_guarded(
    source: BorrowedFd<'_>,
    path: &Path,
    shown: &str,
) -> Result<Option<(OwnedFd, bool)>, JailError> {
    match find(source, path)? {
        Found::There(found, kind) => Ok(Some((found, kind == FileType::Directory))),
        Found::Absent => Ok(None),
        Found::Odd => Err(odd(shown, path)),
    }
}

/// That something cannot be guarded.
pub(crate) fn odd(shown: &str, path: &Path) -> JailError {
    JailError::Refused {
        what: format!("{}/{}", shown.trim_end_matches('/'), path.display()),
        why: "is neither a file nor a directory, so that it cannot be guarded: replace it, or grant reading".into(),
    }
}

/// What was prepared for a jail.
#[derive(Default)]
pub(crate) struct Prepared {
    /// What is to be done in the end.
    pub(crate) held: Vec<Held>,
    /// Which directory each writable bind of the plan is, by its place in the list.
    pub(crate) ground: Vec<Ground>,
}

/// Makes the placeholders of a plan, and notes what is there.
pub(crate) fn prepare(plan: &Plan, protection: &Protection) -> Result<Prepared, JailError> {
    let mut prepared = Prepared::default();
    if !is_on(Control::Protected) {
        return Ok(prepared);
    }
    for (index, bind) in plan.binds.iter().enumerate().filter(|(_, bind)| bind.access == Access::Write) {
        let shown = bind.source.to_string_lossy();
        let done = resolve_exactly(&bind.source).and_then(|source| {
            let (ground, kind) = identify(source.as_fd(), index).map_err(JailError::at(Step::Source, &shown))?;
            prepared.ground.push(ground);
            if kind != FileType::Directory {
                return Ok(());
            }
            let hidden = protection.below(&bind.source);
            prepare_one(&source, &shown, hidden, &mut prepared.held)
        });
        if let Err(error) = done {
            clear(&mut prepared.held);
            return Err(error);
        }
    }
    Ok(prepared)
}

fn prepare_one<'a>(
    source: &OwnedFd,
    shown: &str,
    hidden: impl Iterator<Item = &'a Path>,
    held: &mut Vec<Held>,
) -> Result<(), JailError> {
    let mut is_home = false;
    for guarded in GUARDED.iter().filter(|guarded| guarded.at_home) {
        is_home |= find_guarded(source.as_fd(), guarded.path.as_ref(), shown)?.is_some();
    }
    if let Some((gitdir, true)) = find_guarded(source.as_fd(), ".git".as_ref(), shown)?
        && !placeholder::is_placeholder_at(gitdir.as_fd())
    {
        let (_, known) = repository::believed(gitdir.as_fd()).map_err(JailError::at(Step::Guard, ".git"))?;
        held.push(Held::Repository(gitdir, known));
    }
    let failed = || JailError::at(Step::Guard, shown);
    if repository::is_bare(source.as_fd()).map_err(failed())? {
        let (_, known) = repository::believed(source.as_fd()).map_err(failed())?;
        held.push(Held::Repository(copy(source, shown)?, known));
    } else {
        held.push(Held::Plain(copy(source, shown)?));
    }
    for guarded in GUARDED.iter().filter(|guarded| is_home || !guarded.at_home) {
        let path = Path::new(guarded.path);
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if parent != Path::new("") => {
                (find_guarded(source.as_fd(), parent, shown)?, name)
            }
            (_, name) => (Some((copy(source, shown)?, true)), name.unwrap_or_default()),
        };
        let Some((parent, true)) = parent else { continue };
        if !placeholder::is_placeholder_at(parent.as_fd()) {
            hold(parent, name, guarded.absent, held)?;
        }
    }
    for path in hidden {
        hold_hidden(source, path, shown, held)?;
    }
    Ok(())
}

fn copy(source: &OwnedFd, shown: &str) -> Result<OwnedFd, JailError> {
    rustix::io::fcntl_dupfd_cloexec(source, 3).map_err(JailError::at(Step::Guard, shown))
}

fn hold(parent: OwnedFd, name: &OsStr, absent: Absent, held: &mut Vec<Held>) -> Result<(), JailError> {
    let made = placeholder::hold(parent, name, absent);
    let made = made.map_err(JailError::at(Step::Guard, name.to_str().unwrap_or_default()))?;
    held.extend(made.map(Held::Placeholder));
    Ok(())
}

/// Holds the first part of a protected path that is absent.
fn hold_hidden(source: &OwnedFd, path: &Path, shown: &str, held: &mut Vec<Held>) -> Result<(), JailError> {
    let mut parent = copy(source, shown)?;
    let mut parts = path.iter().peekable();
    while let Some(part) = parts.next() {
        match find(parent.as_fd(), part.as_ref())? {
            Found::There(found, FileType::Directory) if !placeholder::is_placeholder_at(found.as_fd()) => {
                parent = found
            }
            Found::Absent => {
                let is_file = parts.peek().is_none() && FILES.iter().any(|name| part == *name);
                return hold(parent, part, if is_file { Absent::File } else { Absent::Place }, held);
            }
            // Another's placeholder is held by this one, too.
            Found::There(found, kind) if placeholder::is_placeholder_at(found.as_fd()) => {
                let absent = if kind == FileType::RegularFile { Absent::File } else { Absent::Place };
                return hold(parent, part, absent, held);
            }
            Found::There(..) | Found::Odd => return Ok(()),
        }
    }
    Ok(())
}

/// Protected places that are files where they are at all.
const FILES: &[&str] = &[".netrc", ".git-credentials"];

/// Does what is to be done in the end. What somebody else still holds is left in the list, without being held, to be
/// tried again.
pub(crate) fn clear(held: &mut Vec<Held>) {
    held.reverse();
    // Anything but a lock of somebody else is final: on a disk that went away, or is read only by now, there is nothing
    // to be done, and what stays can be told by its date.
    held.retain(|held| match held {
        Held::Placeholder(placeholder) => placeholder.clear() == Err(Errno::WOULDBLOCK),
        Held::Repository(gitdir, known) => {
            let _tamed = repository::tame(gitdir.as_fd(), known);
            false
        }
        Held::Plain(folder) => {
            let _stays = repository::stay_plain(folder.as_fd());
            false
        }
    });
    held.truncate(LEFT_OVER_MAX);
}

/// Most placeholders that are tried again.
const LEFT_OVER_MAX: usize = 64;

/// What is believed in the repository of a grant, or in the grant where that is one, beyond what [`GUARDED`] names;
/// relative to the grant.
pub(crate) fn believed(source: BorrowedFd<'_>, shown: &str) -> Result<Vec<PathBuf>, JailError> {
    let failed = || JailError::at(Step::Guard, shown);
    let mut all = Vec::new();
    if repository::is_bare(source).map_err(failed())? {
        all = repository::believed(source).map_err(failed())?.0;
    }
    let git = Path::new(".git");
    if let Some((gitdir, true)) = find_guarded(source, git, shown)?
        && !placeholder::is_placeholder_at(gitdir.as_fd())
    {
        let (found, _) = repository::believed(gitdir.as_fd()).map_err(failed())?;
        let is_new = |path: &PathBuf| !GUARDED.iter().any(|guarded| Path::new(guarded.path) == path);
        all.extend(found.into_iter().map(|path| git.join(path)).filter(is_new));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        let fd = resolve_exactly(folder.path()).unwrap();
        (folder, fd)
    }

    fn is_held(folder: &Path, name: &str) -> bool {
        let fd = resolve_exactly(&folder.join(name));
        fd.is_ok_and(|fd| placeholder::is_placeholder_at(fd.as_fd()))
    }

    /// Clears until nothing is held: other tests of this process make copies of it, which hold what it holds for a moment.
    fn clear_all(held: &mut Vec<Held>) {
        for _ in 0..2000 {
            clear(held);
            if held.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("{} are still held", held.len());
    }

    fn prepared(fd: &OwnedFd) -> Vec<Held> {
        let mut held = Vec::new();
        let hidden = [".config/aether", ".ssh", ".netrc"].map(Path::new);
        prepare_one(fd, "x", hidden.into_iter(), &mut held).unwrap();
        held
    }

    #[test]
    fn j7_placeholders_come_and_go_with_the_last_who_holds_them() {
        let (folder, fd) = folder();
        let mut one = prepared(&fd);
        let mut other = prepared(&fd);
        for name in [".git", ".aether", ".mcp.json", ".vscode", ".cursor", ".envrc", ".config", ".ssh", ".netrc"] {
            assert!(is_held(folder.path(), name), "{name}");
        }
        assert!(!is_held(folder.path(), ".bashrc"));
        clear(&mut one);
        assert!(is_held(folder.path(), ".git") && is_held(folder.path(), ".config"));
        clear_all(&mut other);
        clear_all(&mut one);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn j7_what_was_there_stays_and_what_a_killed_one_left_goes() {
        let (folder, fd) = folder();
        fs::create_dir_all(folder.path().join(".git/hooks")).unwrap();
        fs::write(folder.path().join(".bashrc"), "x").unwrap();
        drop(prepared(&fd));
        assert!(is_held(folder.path(), ".vscode") && is_held(folder.path(), ".git/config"));
        let mut next = prepared(&fd);
        fs::write(folder.path().join(".git/commondir"), "../evil").unwrap();
        clear_all(&mut next);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".bashrc", ".git"]);
        assert!(!folder.path().join(".git/commondir").exists() && !folder.path().join(".git/config").exists());
    }

    #[test]
    fn j7_a_link_in_a_guarded_place_is_refused() {
        let (folder, fd) = folder();
        std::os::unix::fs::symlink("/etc", folder.path().join(".vscode")).unwrap();
        let error = find_guarded(fd.as_fd(), ".vscode".as_ref(), "/w/").err().unwrap();
        assert!(error.to_string().contains("/w/.vscode is neither a file nor a directory"), "{error}");
    }

    #[test]
    fn j7_what_is_made_in_a_nursery_is_tamed_before_git_can_see_it() {
        let (folder, fd) = folder();
        let git = folder.path().join(".git");
        let mut one = prepared(&fd);
        let mut other = prepared(&fd);
        fs::create_dir_all(git.join("new/hooks")).unwrap();
        fs::write(git.join("new/hooks/pre-commit"), "evil").unwrap();
        fs::write(git.join("new/config"), "[core]\n\tbare = false\n\tfsmonitor = evil\n").unwrap();
        fs::write(git.join("new/HEAD"), "ref: refs/heads/main\n").unwrap();
        clear(&mut one);
        assert!(!git.join("HEAD").exists(), "somebody may still be at work");
        // Nor does it matter how often somebody was killed.
        drop(other);
        other = prepared(&fd);
        clear_all(&mut other);
        assert_eq!(fs::read_to_string(git.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
        assert_eq!(fs::read_to_string(git.join("config")).unwrap(), "[core]\n\tbare = false\n");
        assert!(!git.join("hooks").exists() && git.join("hooks.untrusted/pre-commit").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn j7_a_repository_that_somebody_makes_on_the_host_meanwhile_is_theirs() {
        for made in [false, true] {
            let (folder, fd) = folder();
            let git = folder.path().join(".git");
            let mut one = prepared(&fd);
            if made {
                fs::write(git.join("new/HEAD"), "inside").unwrap();
            }
            fs::write(git.join("HEAD"), "outside").unwrap();
            fs::write(git.join("config"), "[core]\n\tpager = theirs\n").unwrap();
            clear_all(&mut one);
            assert_eq!(fs::read_to_string(git.join("HEAD")).unwrap(), "outside");
            let aside = folder.path().join(".git.untrusted/HEAD");
            assert_eq!((git.join("new").exists(), aside.exists()), (false, made));
            let mut next = prepared(&fd);
            clear_all(&mut next);
            assert_eq!(fs::read_to_string(git.join("config")).unwrap(), "[core]\n\tpager = theirs\n");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), if made { 2 } else { 1 });
        }
    }
}
