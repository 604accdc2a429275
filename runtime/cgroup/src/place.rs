//! Directories and files of the control group file system, reached by descriptor and without following links (G2).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::limits::{CgroupError, FILE_BYTES_MAX};
use crate::values::{Need, Write};

/// A directory beneath which groups are made.
#[derive(Debug)]
pub(crate) struct Base {
    directory: OwnedFd,
    path: PathBuf,
}

impl Base {
    /// Opens an absolute path, part by part.
    pub(crate) fn open(path: &Path) -> io::Result<Base> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory = openat(rustix::fs::CWD, "/", how, Mode::empty())?;
        for part in path.components() {
            directory = match part {
                Component::RootDir => continue,
                Component::Normal(name) => openat(&directory, name, how, Mode::empty())?,
                _ => return Err(io::Error::from(Errno::INVAL)),
            };
        }
        Ok(Base { directory, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a group. The one mistake that callers tell apart is a name that is taken.
    pub(crate) fn make(&self, name: &str) -> Result<(), Errno> {
        mkdirat(&self.directory, name, Mode::from_raw_mode(0o755))?;
        #[cfg(test)]
        crate::simulated::fill(&self.path, name);
        Ok(())
    }

    /// Opens a group. The descriptor also serves `CLONE_INTO_CGROUP`.
    pub(crate) fn enter(&self, name: &str) -> Result<OwnedFd, Errno> {
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.directory, name, how, Mode::empty())
    }

    /// Removes a group that has no process and no group in it.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Errno> {
        #[cfg(test)]
        crate::simulated::clear(&self.path, name);
        match unlinkat(&self.directory, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            done => done,
        }
    }

    /// The directory with rights to list it.
    pub(crate) fn listed(&self) -> Result<rustix::fs::Dir, Errno> {
        rustix::fs::Dir::new(self.enter(".")?)
    }

    /// A failed step with this directory, or something in it.
    pub(crate) fn failed(&self, step: &'static str, name: &str, error: Errno) -> CgroupError {
        CgroupError::Step { step, place: self.path.join(name), error: error.into() }
    }
}

impl AsFd for Base {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The text of a file, at most [`FILE_BYTES_MAX`] bytes of it.
pub(crate) fn read(directory: BorrowedFd<'_>, file: impl AsRef<OsStr>) -> Result<String, Errno> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, file.as_ref(), how, Mode::empty())?;
    all(file.as_fd(), FILE_BYTES_MAX)
}

/// The text behind a descriptor, at most this many bytes of it.
pub(crate) fn all(file: BorrowedFd<'_>, bytes_max: usize) -> Result<String, Errno> {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while text.len() < bytes_max {
        let room = piece.len().min(bytes_max - text.len());
        match rustix::io::read(file, &mut piece[..room]) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&piece[..count]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Writes a value in one go, as control files want it.
pub(crate) fn write(directory: BorrowedFd<'_>, file: &str, value: &str) -> Result<(), Errno> {
    let how = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, file, how, Mode::empty())?;
    loop {
        match rustix::io::write(&file, value.as_bytes()) {
            Ok(count) if count == value.len() => return Ok(()),
            Ok(_) => return Err(Errno::IO),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what a limit takes; the file that refused, and why.
pub(crate) fn apply(directory: BorrowedFd<'_>, writes: &[Write]) -> Result<(), (&'static str, Errno)> {
    let mut was_absent = false;
    for one in writes {
        if one.need == Need::Instead && !was_absent {
            continue;
        }
        match write(directory, one.file, &one.value) {
            Ok(()) => was_absent = false,
            Err(Errno::NOENT) if one.need == Need::IfPresent => was_absent = true,
            Err(error) => return Err((one.file, error)),
        }
    }
    Ok(())
}
