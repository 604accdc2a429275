//! A path that is resolved name by name and link by link, so that every directory on its way is seen (H7).
//!
//! `openat2(2)` does each step, and refuses links in it; their text is read and goes the same way, up to the limits of
//! path_resolution(7). What is resolved is what `RESOLVE_BENEATH` for the whole path would have resolved (H2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::hidden::Identity;

/// The most links on the way of one path (path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// The most steps, those that are taken again after a `..` included.
const STEPS_MAX: u32 = 8_192;

/// The longest path, with its end (limits.h, `PATH_MAX`).
const PATH_BYTES_MAX: usize = 4_096;

/// A directory to go on from; it only has to be searchable.
const THROUGH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It leads to or through a hidden directory.
    Hidden,
    /// The system, or a rule of H2 in the system's words.
    Errno(Errno),
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Stopped {
        Stopped::Errno(errno)
    }
}

/// Opens what is at `path` beneath `root` with these flags.
pub(crate) fn open(root: &OwnedFd, path: &str, flags: OFlags, hidden: &[Identity]) -> Result<OwnedFd, Stopped> {
    if path.len() >= PATH_BYTES_MAX {
        return Err(Errno::NAMETOOLONG.into());
    }
    let mut way = Way { root, here: None, done: Vec::new(), left: Vec::new(), links: 0 };
    way.queue(path.as_bytes());
    for _ in 0..STEPS_MAX {
        let Some(name) = way.left.pop() else {
            // It ends at the root, or where a `..` led back to.
            return step(way.here(), b".", flags).map_err(Stopped::from);
        };
        if name == b".." {
            way.back()?;
            continue;
        }
        let is_last = way.left.is_empty();
        if name == b"." && !is_last {
            continue;
        }
        match step(way.here(), &name, if is_last { flags } else { THROUGH }) {
            Ok(opened) => {
                if hidden.contains(&Identity::of(&fs::fstat(&opened)?)) {
                    return Err(Stopped::Hidden);
                }
                if is_last {
                    return Ok(opened);
                }
                way.done.push(name);
                way.here = Some(opened);
            }
            Err(Errno::LOOP) => way.follow(name)?,
            // Something was moved in this moment (openat2(2)).
            Err(Errno::AGAIN | Errno::INTR) => way.left.push(name),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::LOOP.into())
}

/// Opens one name; a link is `ELOOP`.
fn step(here: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    fs::openat2(here, name, flags, Mode::empty(), how)
}

/// Where one resolution is.
struct Way<'a> {
    root: &'a OwnedFd,
    /// The directory that was reached; the root before the first step.
    here: Option<OwnedFd>,
    /// The names that lead there, none of them a link.
    done: Vec<Vec<u8>>,
    /// The names still to go, the next one last.
    left: Vec<Vec<u8>>,
    links: u32,
}

impl Way<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.here.as_ref().unwrap_or(self.root).as_fd()
    }

    fn queue(&mut self, path: &[u8]) {
        if path.ends_with(b"/") || path.ends_with(b"/.") {
            // It means a directory, whatever the name before it is.
            self.left.push(b".".to_vec());
        }
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
        self.left.extend(names.rev().map(<[u8]>::to_vec));
    }

    /// Goes on with the text of a link.
    fn follow(&mut self, name: Vec<u8>) -> Result<(), Stopped> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        let text = match fs::readlinkat(self.here(), &*name, Vec::new()) {
            // It is a link no longer.
            Err(Errno::INVAL) => {
                self.left.push(name);
                return Ok(());
            }
            other => other?.into_bytes(),
        };
        match text.first() {
            None => Err(Errno::NOENT.into()),
            Some(b'/') => Err(Errno::XDEV.into()),
            Some(_) => {
                self.queue(&text);
                Ok(())
            }
        }
    }

    /// Goes to the directory above: by the names that led here, from the root, so that no move leads out of it.
    fn back(&mut self) -> Result<(), Stopped> {
        if self.done.pop().is_none() {
            return Err(Errno::XDEV.into());
        }
        self.here = None;
        let again = std::mem::take(&mut self.done);
        self.left.extend(again.into_iter().rev());
        Ok(())
    }
}

/// Whether `directory` is one of these or lies in one.
pub(crate) fn lies_in(directory: &OwnedFd, hidden: &[Identity]) -> Result<bool, Errno> {
    let mut here = fs::openat(directory, ".", THROUGH, Mode::empty())?;
    let mut identity = Identity::of(&fs::fstat(&here)?);
    for _ in 0..STEPS_MAX {
        if hidden.contains(&identity) {
            return Ok(true);
        }
        // Above a directory that may not be searched there is nothing that this process could have opened by its path.
        let Ok(above) = fs::openat(&here, "..", THROUGH, Mode::empty()) else { return Ok(false) };
        let found = Identity::of(&fs::fstat(&above)?);
        if found == identity {
            return Ok(false);
        }
        (here, identity) = (above, found);
    }
    Ok(true)
}
