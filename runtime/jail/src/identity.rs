//! Who a jail's program is to the host: never its first user.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, getegid, geteuid};

use crate::controls::{Control, is_on};
use crate::error::{JailError, Missing, Step};
use crate::sys::{self, Side};

/// The user and group that a program is inside.
pub(crate) const INSIDE: u32 = 1000;
/// The first of the host's users that are set aside for jails: above what systemd and `subuid(5)` hand out.
pub(crate) const DEDICATED_FIRST: u32 = 0x7000_0000;
/// How many processes of one machine can have spawners with users of their own, counted by their ids.
const SPAWNERS: u32 = 0xF_0000;

/// Which user of the host a jail's program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The one that started the spawner.
    Own {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// One of its own, that owns nothing.
    Dedicated {
        /// User and group.
        id: u32,
    },
}

impl Identity {
    /// The identity of the sandbox in this slot (0 to 255).
    ///
    /// The host's first user gets a dedicated one for every sandbox. So does the first user of a container that maps
    /// enough users; where it maps too few, that user stands for an ordinary one of the host, and is its own.
    pub(crate) fn choose(slot: u32) -> Result<Identity, JailError> {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        if uid != 0 || !is_on(Control::UsernsUid) {
            return Ok(Identity::Own { uid, gid });
        }
        let id = DEDICATED_FIRST + (std::process::id() % SPAWNERS) * 256 + slot % 256;
        let maps = ["uid_map", "gid_map"].map(|name| fs::read_to_string(format!("/proc/self/{name}")));
        let [Ok(users), Ok(groups)] = &maps else {
            return Err(unavailable("/proc", "no /proc/self/uid_map", "mount /proc"));
        };
        if outside(users, id).is_some() && outside(groups, id).is_some() {
            return Ok(Identity::Dedicated { id });
        }
        match outside(users, 0) {
            Some(0) | None => Err(unavailable(
                "users to set aside",
                "the first user of the host, in a namespace that maps no others",
                "run as an ordinary user, or map the users from 1879048192 to 2147483647",
            )),
            Some(_) => Ok(Identity::Own { uid, gid }),
        }
    }

    /// Writes the maps of a new process's user namespace from outside.
    pub(crate) fn write_maps(self, pid: u32) -> Result<(), JailError> {
        let Identity::Dedicated { id } = self else { return Ok(()) };
        write_maps(&format!("/proc/{pid}"), &format!("{INSIDE} {id} 1"), &format!("{INSIDE} {id} 1"))
            .map_err(JailError::at(Step::Map, ""))
    }

    /// Becomes the user inside, in the new user namespace.
    pub(crate) fn assume(self) -> Result<(), JailError> {
        match self {
            Identity::Own { uid, gid } => {
                let (users, groups) = (format!("{INSIDE} {uid} 1"), format!("{INSIDE} {gid} 1"));
                write_maps("/proc/self", &users, &groups).map_err(forbidden)
            }
            Identity::Dedicated { .. } => {
                let (uid, gid) = (rustix::process::Uid::from_raw(INSIDE), rustix::process::Gid::from_raw(INSIDE));
                rustix::thread::set_thread_res_gid(gid, gid, gid)
                    .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid))
                    .map_err(JailError::at(Step::Identity, ""))
            }
        }
    }
}

/// Where `id` of this namespace is outside it, by the text of its map (`user_namespaces(7)`).
pub(crate) fn outside(map: &str, id: u32) -> Option<u32> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count))) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return None;
        };
        id.checked_sub(inside).filter(|at| *at < count).and_then(|at| outside.checked_add(at))
    };
    map.lines().find_map(line)
}

/// Writes the maps of a process's user namespace, which then can have no other groups.
pub(crate) fn write_maps(process: &str, users: &str, groups: &str) -> Result<(), Errno> {
    for (name, text) in [("setgroups", "deny"), ("uid_map", users), ("gid_map", groups)] {
        let file = rustix::fs::open(format!("{process}/{name}"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes())?;
    }
    Ok(())
}

/// What a refusal to map the own user means: nothing but a security module does that.
fn forbidden(errno: Errno) -> JailError {
    match errno {
        Errno::PERM | Errno::ACCESS => unavailable(
            "user namespaces",
            "made, but without rights in them",
            "allow them to this program: an AppArmor profile with `userns,`, or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        other => JailError::at(Step::Map, "")(other),
    }
}

pub(crate) fn unavailable(mechanism: &str, found: &str, remedy: &str) -> JailError {
    JailError::Unavailable {
        missing: vec![Missing { mechanism: mechanism.into(), found: found.into(), remedy: remedy.into() }],
    }
}

impl JailError {
    /// For `map_err`: the step that failed, and on what.
    pub(crate) fn at<E: IntoErrno>(step: Step, what: &str) -> impl FnOnce(E) -> JailError + use<'_, E> {
        move |error| JailError::Step { step, what: what.into(), errno: error.number() }
    }
}

/// An error of the system, by whatever library.
pub(crate) trait IntoErrno {
    /// Its number.
    fn number(self) -> i32;
}

impl IntoErrno for Errno {
    fn number(self) -> i32 {
        self.raw_os_error()
    }
}

impl IntoErrno for std::io::Error {
    fn number(self) -> i32 {
        self.raw_os_error().unwrap_or(libc::EIO)
    }
}

/// User namespaces that exist for their maps: through one, the owner of a granted place becomes the jail's user.
#[derive(Default)]
pub(crate) struct Owners {
    known: Vec<((u32, u32, u32), OwnedFd)>,
}

/// Most of them that are kept.
const OWNERS_MAX: usize = 32;

impl Owners {
    /// The namespace in which user `uid` and group `gid` of a file system stand for `id`, and nobody else for anybody.
    pub(crate) fn through(&mut self, uid: u32, gid: u32, id: u32) -> Result<BorrowedFd<'_>, JailError> {
        let key = (uid, gid, id);
        let at = match self.known.iter().position(|(known, _)| *known == key) {
            Some(at) => at,
            None => {
                let fd = namespace(uid, gid, id)?;
                if self.known.len() == OWNERS_MAX {
                    self.known.remove(0);
                }
                self.known.push((key, fd));
                self.known.len() - 1
            }
        };
        Ok(self.known[at].1.as_fd())
    }
}

/// Such a namespace outlives the process that it was made with, through its descriptor.
fn namespace(uid: u32, gid: u32, id: u32) -> Result<OwnedFd, JailError> {
    let parent = rustix::process::getpid();
    let cloned = sys::clone(libc::CLONE_NEWUSER as u64, None).map_err(JailError::at(Step::Ownership, ""))?;
    let Side::Parent(child, pidfd) = cloned else { stay(parent) };
    let process = format!("/proc/{child}");
    let made = write_maps(&process, &format!("{uid} {id} 1"), &format!("{gid} {id} 1"))
        .and_then(|()| rustix::fs::open(format!("{process}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()));
    // The process has done its service. It is a child that nobody has waited for, so its id is still its own.
    drop(pidfd);
    if let Some(pid) = Pid::from_raw(child) {
        let killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let reaped = sys::reap(child, sys::Wait::Until);
        killed.and(reaped.map(|_| ())).map_err(JailError::at(Step::Ownership, ""))?;
    }
    made.map_err(JailError::at(Step::Ownership, ""))
}

/// Stays until it is killed, or until its parent is: it has a copy of everything that the parent had open, and whoever
/// waits for the end of the parent would wait for this (J3).
fn stay(parent: Pid) -> ! {
    // The kernel kills it with its parent. Should it not take the wish, or the parent be gone by now, it looks for itself.
    let _wished = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    while rustix::process::getppid() == Some(parent) {
        // Interrupted or not, it only has to stay until it is killed.
        let _slept = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 1, tv_nsec: 0 });
    }
    sys::exit(0)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::{Pid, outside, stay};
    use crate::sys::{self, Side, Wait};

    /// The parent is killed before, while and after the child makes its wish.
    #[test]
    fn j3_who_stays_ends_with_its_parent() {
        for pause_us in [0, 20, 100, 400, 2_000, 20_000] {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
            // The C library is not asked for anything in the copies, which have one thread of several.
            let Side::Parent(parent, _) = sys::clone(0, None).unwrap() else {
                let own = getpid();
                match sys::clone(0, None) {
                    Ok(Side::Child) => stay(own),
                    _ => loop {
                        let _slept = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 1, tv_nsec: 0 });
                    },
                }
            };
            drop(write);
            std::thread::sleep(std::time::Duration::from_micros(pause_us));
            kill_process(Pid::from_raw(parent).unwrap(), Signal::KILL).unwrap();
            sys::reap(parent, Wait::Until).unwrap();
            // The end of the pipe is that of the last process that could write to it.
            assert_eq!(rustix::io::read(&read, &mut [0; 1]), Ok(0), "{pause_us} us");
        }
    }

    #[test]
    fn a_map_says_where_an_id_is_outside() {
        let host = "         0          0 4294967295\n";
        assert_eq!(outside(host, 0x7000_0000), Some(0x7000_0000));
        let rootless = "0 1000 1\n1 100000 65536\n";
        assert_eq!(
            (outside(rootless, 0), outside(rootless, 65_536), outside(rootless, 65_537)),
            (Some(1000), Some(165_535), None)
        );
        assert_eq!(outside("", 0), None);
        assert_eq!(outside("0 4294967290 10", 9), None);
        assert_eq!(outside("x", 0), None);
    }
}
