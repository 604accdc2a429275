//! Names of groups say whose they are, so that what a killed owner left is found and nothing else is touched (G3).

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, str};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::group::{self, Leaf};
use crate::hierarchies::{Hierarchies, TRIAL};
use crate::limits::CgroupError;
use crate::place;

/// The longest prefix of a name.
const PREFIX_BYTES_MAX: usize = 32;
/// How many entries of a directory a sweep looks at.
const ENTRIES_MAX: usize = 16_384;

/// A process, told apart from a later one with its number, and from one of another process namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The inode of the process namespace.
    namespace: u64,
    pid: u32,
    /// When it started, in ticks since the machine did: field 22 of proc_pid_stat(5).
    start_ticks: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Result<Owner, CgroupError> {
        let failed = |error| CgroupError::Step { step: "read", place: "/proc/self/stat".into(), error };
        let wrong = || failed(Errno::INVAL.into());
        let (pid, start_ticks) = of_stat(&stat("self").map_err(|error| failed(error.into()))?).ok_or_else(wrong)?;
        let link = fs::read_link("/proc/self/ns/pid").map_err(|error| CgroupError::Step {
            step: "read",
            place: "/proc/self/ns/pid".into(),
            error,
        })?;
        let namespace = link.to_str().and_then(|link| link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
        Ok(Owner { namespace: namespace.ok_or_else(wrong)?, pid, start_ticks })
    }

    /// The name of its next group.
    pub(crate) fn next_name(&self, prefix: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.name(prefix, NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn name(&self, prefix: &str, number: u64) -> String {
        format!("{prefix}-{:x}-{}-{}-{number}", self.namespace, self.pid, self.start_ticks)
    }

    /// Whose group this is, if it is one of ours with this prefix.
    fn of_name(name: &str, prefix: &str) -> Option<Owner> {
        let mut parts = name.strip_prefix(prefix)?.strip_prefix('-')?.split('-');
        let namespace = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (pid, start_ticks) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next()?.parse::<u64>().ok()?;
        parts.next().is_none().then_some(Owner { namespace, pid, start_ticks })
    }

    /// Whether it is known to be gone: also if it has ended and nobody took note of that. What cannot be found out counts
    /// as alive.
    fn is_gone(&self) -> bool {
        match stat(&self.pid.to_string()) {
            Ok(text) => {
                has_ended(&text) || of_stat(&text).is_some_and(|(_, start_ticks)| start_ticks != self.start_ticks)
            }
            Err(error) => error == Errno::NOENT || error == Errno::SRCH,
        }
    }
}

/// Whether a prefix can start a name.
pub(crate) fn check(prefix: &str) -> Result<(), CgroupError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=PREFIX_BYTES_MAX).contains(&prefix.len()) && prefix.bytes().all(is_plain) {
        return Ok(());
    }
    Err(CgroupError::Name { prefix: prefix.to_owned() })
}

fn stat(process: &str) -> Result<String, Errno> {
    let path = format!("/proc/{process}/stat");
    let file = openat(rustix::fs::CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    place::all(file.as_fd(), 4096)
}

/// The first and the 22nd field. The second is the program's name in brackets, with anything in it.
fn of_stat(text: &str) -> Option<(u32, u64)> {
    let (front, back) = text.rsplit_once(") ")?;
    let pid = front.split(' ').next()?.parse().ok()?;
    Some((pid, back.split(' ').nth(19)?.parse().ok()?))
}

/// Whether the third field is the state of one that has ended. An owner has one thread, so nothing of it goes on.
fn has_ended(text: &str) -> bool {
    text.rsplit_once(") ").is_some_and(|(_, back)| back.starts_with(['Z', 'X']))
}

/// Removes the groups with this prefix whose owners are gone, with the processes in them, and says how many. Trial
/// groups of killed owners go with them.
///
/// Owners of other process namespaces are left alone: nobody here can know whether they live.
///
/// # Errors
///
/// [`CgroupError::Name`], or the first step that failed; what could be removed is removed all the same.
pub fn sweep(hierarchies: &Hierarchies, prefix: &str) -> Result<usize, CgroupError> {
    check(prefix)?;
    let here = Owner::current()?;
    let (mut removed, mut trouble) = (0, None);
    for (version, base) in hierarchies.bases() {
        let entries = match base.listed() {
            Ok(entries) => entries,
            Err(error) => {
                trouble.get_or_insert(base.failed("list", "", error));
                continue;
            }
        };
        for entry in entries.take(ENTRIES_MAX).flatten() {
            let Ok(name) = str::from_utf8(entry.file_name().to_bytes()) else { continue };
            let owner = Owner::of_name(name, prefix).or_else(|| Owner::of_name(name, TRIAL));
            if !owner.is_some_and(|owner| owner.namespace == here.namespace && owner.is_gone()) {
                continue;
            }
            let left = base.enter(name).map_err(|error| base.failed("open", name, error));
            match left.and_then(|directory| group::remove(&Leaf::new(base, directory, version), name)) {
                Ok(()) => removed += 1,
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
    }
    trouble.map_or(Ok(removed), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is() {
        let owner = Owner { namespace: 0xF000_0001, pid: 7, start_ticks: 99 };
        assert_eq!(owner.name("aether-x", 3), "aether-x-f0000001-7-99-3");
        assert_eq!(Owner::of_name("aether-x-f0000001-7-99-3", "aether-x"), Some(owner));
        for other in
            ["aether-x", "aether-x-", "aether-x-1-2-3", "aether-x-1-2-3-4-5", "aether-y-1-2-3-4", "aether-x-g-2-3-4"]
        {
            assert_eq!(Owner::of_name(other, "aether-x"), None, "{other}");
        }
    }

    #[test]
    fn a_program_with_brackets_in_its_name() {
        let text = "42 (a) b) R) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 9 10\n";
        assert_eq!(of_stat(text), Some((42, 777)));
        assert_eq!(of_stat("42 (a"), None);
        assert_eq!(of_stat(""), None);
    }

    #[test]
    fn this_process_lives_and_another_does_not() {
        let owner = Owner::current().unwrap();
        assert!(!owner.is_gone());
        assert!(Owner { start_ticks: owner.start_ticks + 1, ..owner }.is_gone());
        assert!(Owner { pid: 4_194_305, ..owner }.is_gone());
    }

    #[test]
    fn g3_one_that_has_ended_is_gone_before_anybody_takes_note() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let of_child = || stat(&child.id().to_string()).unwrap();
        let (pid, start_ticks) = of_stat(&of_child()).unwrap();
        while !has_ended(&of_child()) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let here = Owner::current().unwrap();
        assert!(Owner { pid, start_ticks, ..here }.is_gone());
        assert!(!has_ended(&stat("self").unwrap()) && !has_ended("42 (Z) Z) R 1"));
        child.wait().unwrap();
    }

    #[test]
    fn prefixes() {
        assert!(check("aether").is_ok() && check("a-1").is_ok());
        for wrong in ["", "a/b", "..", "A", "a b", &"x".repeat(33)] {
            assert!(check(wrong).unwrap_err().to_string().contains("use 1 to 32 of a-z"), "{wrong}");
        }
    }
}
