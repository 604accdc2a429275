//! What git runs or believes in a repository: found before a run, to be guarded; and tamed after it, where a jail made
//! it.
//!
//! A repository is a directory of git (`gitrepository-layout(5)`): hooks are programs, the configuration names programs
//! and files, `commondir` says where both are, and below `modules` and `worktrees` there are more of the kind.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, Stat};
use rustix::io::Errno;

use crate::gitconfig;
use crate::placeholder::{is_placeholder, unique};

/// What git runs or believes in each directory of its own.
const BELIEVED: [&str; 4] = ["config", "hooks", "config.worktree", "commondir"];
/// Where further directories of git's own are.
const NESTS: [&str; 2] = ["modules", "worktrees"];
/// Most directories of git's own that are guarded one by one; where there are more, all of them are read only.
const GUARDED_MAX: usize = 64;
/// Most entries that are looked at in search of them.
const ENTRIES_MAX: usize = 4096;
/// How deep they lie in one another.
const DEPTH_MAX: usize = 12;
/// Largest configuration that is read, in bytes.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// How often something of the same name is put aside.
const ASIDE_MAX: u32 = 16;

type Id = (u64, u64);

/// What was there before a run, and was guarded during it.
#[derive(Default)]
pub(crate) struct Known(Vec<Id>);

fn id(stat: &Stat) -> Id {
    (stat.st_dev, stat.st_ino)
}

fn look(at: BorrowedFd<'_>, name: &OsStr) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn open_folder(at: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// Whether git would take a directory that is somebody's work for one of its own.
pub(crate) fn is_bare(folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    let is_there = |name: &str| look(folder, name.as_ref()).map(|found| found.is_some());
    match is_there("HEAD") {
        Ok(true) => Ok(is_there("objects")? && is_there("refs")? || is_there("commondir")?),
        // What cannot be searched is searched by nobody.
        Ok(false) | Err(Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Has git not take a directory for one of its own.
///
/// # Errors
/// What the system says.
pub(crate) fn stay_plain(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    let head = OsStr::new("HEAD");
    if is_bare(folder)? { put_aside(folder, head, head) } else { Ok(()) }
}

/// Whether a directory is one of git's own, or somebody is about to make it one.
fn is_gitdir(folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    for name in BELIEVED.iter().chain(&["HEAD"]) {
        if look(folder, name.as_ref())?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names in a directory.
fn names(folder: BorrowedFd<'_>, left: &mut usize) -> Result<Vec<OsString>, Errno> {
    let folder = open_folder(folder, ".".as_ref())?;
    let mut space = [std::mem::MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(folder, &mut space);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            *left = left.checked_sub(1).ok_or(Errno::NOSPC)?;
            found.push(OsString::from_vec(name.to_vec()));
        }
    }
    Ok(found)
}

/// What is there to be guarded in a directory of git's own, relative to it.
///
/// # Errors
/// What the system says of a directory that cannot be read.
pub(crate) fn believed(gitdir: BorrowedFd<'_>) -> Result<(Vec<PathBuf>, Known), Errno> {
    let mut search = Search { found: Vec::new(), left: ENTRIES_MAX, folders: 0 };
    match search.folder(gitdir, Path::new(""), 0) {
        Ok(()) => {}
        Err(Errno::NOSPC) => {
            search.found.clear();
            search.own(gitdir, Path::new(""))?;
            for nest in NESTS {
                if let Some(stat) = look(gitdir, nest.as_ref())? {
                    search.found.push((Some(nest.into()), id(&stat)));
                }
            }
        }
        Err(errno) => return Err(errno),
    }
    let ids = search.found.iter().map(|(_, id)| *id).collect();
    Ok((search.found.into_iter().filter_map(|(path, _)| path).collect(), Known(ids)))
}

/// A search for what is believed.
struct Search {
    found: Vec<(Option<PathBuf>, Id)>,
    left: usize,
    folders: usize,
}

impl Search {
    fn own(&mut self, gitdir: BorrowedFd<'_>, below: &Path) -> Result<(), Errno> {
        for name in BELIEVED {
            let Some(stat) = look(gitdir, name.as_ref())? else { continue };
            if is_placeholder(&stat) {
                continue;
            }
            match kind(&stat) {
                FileType::Directory | FileType::RegularFile => self.found.push((Some(below.join(name)), id(&stat))),
                // It cannot be guarded, but it was there.
                _ => self.found.push((None, id(&stat))),
            }
        }
        Ok(())
    }

    fn folder(&mut self, gitdir: BorrowedFd<'_>, below: &Path, depth: usize) -> Result<(), Errno> {
        self.folders += 1;
        if self.folders > GUARDED_MAX {
            return Err(Errno::NOSPC);
        }
        self.own(gitdir, below)?;
        for nest in NESTS {
            self.nest(gitdir, nest.as_ref(), &below.join(nest), depth + 1)?;
        }
        Ok(())
    }

    fn nest(&mut self, at: BorrowedFd<'_>, name: &OsStr, below: &Path, depth: usize) -> Result<(), Errno> {
        if depth > DEPTH_MAX {
            return Err(Errno::NOSPC);
        }
        let folder = match open_folder(at, name) {
            // A link leads nowhere that is guarded: what it stands for is no place of git's own.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => return Ok(()),
            opened => opened?,
        };
        if depth > 1 && is_gitdir(folder.as_fd())? {
            return self.folder(folder.as_fd(), below, depth);
        }
        for name in names(folder.as_fd(), &mut self.left)? {
            self.nest(folder.as_fd(), &name, &below.join(&name), depth + 1)?;
        }
        Ok(())
    }
}

/// Takes everything out of a directory of git's own, and those below it, that git would run or believe and that was
/// not there before. What is taken out lies beside it, with `.untrusted` at its name; of a configuration, what names no
/// program stays.
///
/// # Errors
/// What the system says; then it is not tame.
pub(crate) fn tame(gitdir: BorrowedFd<'_>, known: &Known) -> Result<(), Errno> {
    let mut left = ENTRIES_MAX;
    tame_one(gitdir, known, &mut left, 0)
}

fn tame_one(gitdir: BorrowedFd<'_>, known: &Known, left: &mut usize, depth: usize) -> Result<(), Errno> {
    for name in BELIEVED {
        let path = OsStr::new(name);
        let Some(stat) = look(gitdir, path)? else { continue };
        if known.0.contains(&id(&stat)) || is_placeholder(&stat) {
            continue;
        }
        match (name, kind(&stat)) {
            (_, FileType::Symlink) => rustix::fs::unlinkat(gitdir, path, AtFlags::empty())?,
            ("hooks", FileType::Directory) if is_harmless(gitdir, path, left)? => {}
            ("config", FileType::RegularFile) => tame_config(gitdir)?,
            ("commondir", FileType::RegularFile) if depth > 0 && content(gitdir, path)?.trim_end() == "../.." => {}
            _ => put_aside(gitdir, path, path)?,
        }
    }
    for nest in NESTS {
        match tame_nest(gitdir, nest.as_ref(), known, (&mut *left, depth + 1)) {
            // Too much to be looked at: all of it goes.
            Err(Errno::NOSPC) => put_aside(gitdir, nest.as_ref(), nest.as_ref())?,
            tamed => tamed?,
        }
    }
    Ok(())
}

fn tame_nest(at: BorrowedFd<'_>, name: &OsStr, known: &Known, (left, depth): (&mut usize, usize)) -> Result<(), Errno> {
    let Some(stat) = look(at, name)? else { return Ok(()) };
    if known.0.contains(&id(&stat)) {
        return Ok(());
    }
    match kind(&stat) {
        FileType::Symlink => return rustix::fs::unlinkat(at, name, AtFlags::empty()),
        FileType::Directory if depth > DEPTH_MAX => return Err(Errno::NOSPC),
        FileType::Directory => {}
        _ => return Ok(()),
    }
    let folder = open_folder(at, name)?;
    if depth > 1 && is_gitdir(folder.as_fd())? {
        return tame_one(folder.as_fd(), known, left, depth);
    }
    for name in names(folder.as_fd(), left)? {
        tame_nest(folder.as_fd(), &name, known, (&mut *left, depth + 1))?;
    }
    Ok(())
}

/// Whether a directory of hooks has nothing that git would run.
fn is_harmless(gitdir: BorrowedFd<'_>, hooks: &OsStr, left: &mut usize) -> Result<bool, Errno> {
    let folder = open_folder(gitdir, hooks)?;
    match names(folder.as_fd(), left) {
        Err(Errno::NOSPC) => Ok(false),
        found => Ok(found?.iter().all(|name| name.as_encoded_bytes().ends_with(b".sample"))),
    }
}

fn open_file(at: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// What a file says, as far as it is read at all: the first bytes of it.
fn content(at: BorrowedFd<'_>, name: &OsStr) -> Result<String, Errno> {
    let mut text = Vec::new();
    let file = std::fs::File::from(open_file(at, name)?);
    let read = file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        text.clear();
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Keeps of a configuration what names no program; the whole of it lies beside it.
fn tame_config(gitdir: BorrowedFd<'_>) -> Result<(), Errno> {
    let name = OsStr::new("config");
    let file = open_file(gitdir, name)?;
    let stat = rustix::fs::fstat(&file)?;
    let text = content(gitdir, name)?;
    let kept = match gitconfig::tame(&text) {
        None if stat.st_size == text.len() as i64 => return Ok(()),
        kept => kept.unwrap_or_default(),
    };
    let own = unique();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let new = rustix::fs::openat(gitdir, &own, flags, Mode::from_raw_mode(0o644))?;
    if rustix::process::geteuid().is_root() {
        let owner = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
        rustix::fs::fchown(&new, Some(owner.0), Some(owner.1))?;
    }
    let mut rest = kept.as_bytes();
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&new, rest)?..];
    }
    put_aside(gitdir, name, name)?;
    rustix::fs::renameat(gitdir, &own, gitdir, name)
}

/// Renames something to a name that nobody looks for: `name` with `.untrusted` behind it.
///
/// # Errors
/// `EEXIST` where that was done too often already.
pub(crate) fn put_aside(at: BorrowedFd<'_>, from: &OsStr, name: &OsStr) -> Result<(), Errno> {
    for number in 0..ASIDE_MAX {
        let mut to = name.to_owned();
        to.push(".untrusted");
        if number > 0 {
            to.push(format!(".{number}"));
        }
        match rustix::fs::renameat_with(at, from, at, &to, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            renamed => return renamed,
        }
    }
    Err(Errno::EXIST)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PLAIN: &str = "[core]\n\tbare = false\n";
    const EVIL: &str = "[core]\n\tfsmonitor = evil\n\tbare = false\n";

    fn gitdir(at: &Path, config: &str) {
        fs::create_dir_all(at.join("hooks")).unwrap();
        fs::write(at.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(at.join("config"), config).unwrap();
        fs::write(at.join("hooks/x.sample"), "").unwrap();
    }

    fn open(at: &Path) -> OwnedFd {
        open_folder(rustix::fs::CWD, at.as_os_str()).unwrap()
    }

    #[test]
    fn j7_what_is_believed_is_found_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        for part in ["", "modules/a", "modules/libs/b", "modules/a/modules/c"] {
            gitdir(&folder.path().join(part), PLAIN);
        }
        fs::create_dir_all(folder.path().join("worktrees/w")).unwrap();
        fs::write(folder.path().join("worktrees/w/HEAD"), "x").unwrap();
        fs::write(folder.path().join("worktrees/w/commondir"), "../..\n").unwrap();
        let (mut found, _) = believed(open(folder.path()).as_fd()).unwrap();
        found.sort();
        let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
        let wanted = [
            "config",
            "hooks",
            "modules/a/config",
            "modules/a/hooks",
            "modules/a/modules/c/config",
            "modules/a/modules/c/hooks",
            "modules/libs/b/config",
            "modules/libs/b/hooks",
            "worktrees/w/commondir",
        ];
        assert_eq!(found, wanted);
        for number in 0..GUARDED_MAX {
            gitdir(&folder.path().join(format!("modules/many{number}")), PLAIN);
        }
        let (found, _) = believed(open(folder.path()).as_fd()).unwrap();
        assert_eq!(found.len(), 4, "all modules together: {found:?}");
    }

    #[test]
    fn j7_what_a_jail_made_is_tamed_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for part in ["", "modules/a"] {
            gitdir(&place(part), EVIL);
            fs::write(place(part).join("hooks/pre-commit"), "good").unwrap();
        }
        let (_, known) = believed(open(folder.path()).as_fd()).unwrap();
        gitdir(&place("modules/new/deep"), EVIL);
        fs::write(place("modules/new/deep/hooks/post-checkout"), "evil").unwrap();
        fs::write(place("commondir"), "../evil").unwrap();
        fs::write(place("config.worktree"), EVIL).unwrap();
        fs::create_dir_all(place("worktrees/good")).unwrap();
        fs::create_dir_all(place("worktrees/evil")).unwrap();
        for (name, text) in [("good", "../..\n"), ("evil", "../../../evil")] {
            fs::write(place(&format!("worktrees/{name}/HEAD")), "x").unwrap();
            fs::write(place(&format!("worktrees/{name}/commondir")), text).unwrap();
        }
        std::os::unix::fs::symlink("/tmp", place("modules/link")).unwrap();
        tame(open(folder.path()).as_fd(), &known).unwrap();
        for part in ["", "modules/a"] {
            assert_eq!(fs::read_to_string(place(part).join("config")).unwrap(), EVIL);
            assert!(place(part).join("hooks/pre-commit").exists());
        }
        let new = place("modules/new/deep");
        assert_eq!(fs::read_to_string(new.join("config")).unwrap(), "[core]\n\tbare = false\n");
        assert_eq!(fs::read_to_string(new.join("config.untrusted")).unwrap(), EVIL);
        assert!(!new.join("hooks").exists() && new.join("hooks.untrusted/post-checkout").exists());
        assert!(!place("commondir").exists() && !place("config.worktree").exists());
        assert!(place("worktrees/good/commondir").exists() && !place("worktrees/evil/commondir").exists());
        assert!(fs::symlink_metadata(place("modules/link")).is_err());
    }

    #[test]
    fn j7_odd_things_in_the_place_of_a_configuration_go() {
        let folder = tempfile::tempdir().unwrap();
        gitdir(folder.path(), PLAIN);
        let (hooks, config) = (folder.path().join("hooks"), folder.path().join("config"));
        fs::rename(&hooks, folder.path().join("h")).unwrap();
        std::os::unix::fs::symlink("h", &hooks).unwrap();
        fs::write(&config, "#".repeat(300_000)).unwrap();
        tame(open(folder.path()).as_fd(), &Known::default()).unwrap();
        assert!(fs::symlink_metadata(&hooks).is_err());
        assert_eq!(fs::read_to_string(&config).unwrap(), "");
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
        tame(open(folder.path()).as_fd(), &Known::default()).unwrap();
        assert!(fs::symlink_metadata(&config).is_err());
        fs::write(&config, PLAIN).unwrap();
        tame(open(folder.path()).as_fd(), &Known::default()).unwrap();
        assert_eq!(fs::read_to_string(&config).unwrap(), PLAIN);
    }
}
