//! Limits of single processes, and what is read of those whose limits are watched.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::controls::{Control, is_on};
use crate::error::{JailError, Step};
use crate::plan::Limits;
use crate::plan::Strength;

/// What a process may have beyond the memory limit before its own limit holds it, where the sum is only watched: the
/// watch needs the time to see it and to say so.
const SLACK_BYTES_MIN: u64 = 16 << 20;
/// Address space of one process, where memory is only watched.
const SPACE_BYTES_MIN: u64 = 64 << 30;
/// Bytes that one process may lock in memory.
const LOCKED_BYTES_MAX: u64 = 64 << 10;
/// Most processes that a watch looks at.
const WATCHED_MAX: usize = 4096;

/// Sets the limits of this process and its descendants. `memory` says how the limit of the whole tree is held.
pub(crate) fn apply(limits: &Limits, memory: Strength) -> Result<(), JailError> {
    let mut wanted = vec![
        (Resource::Core, 0, None),
        (Resource::Memlock, LOCKED_BYTES_MAX, None),
        (Resource::Msgqueue, 0, None),
        (Resource::Nofile, limits.open_files_max.into(), Some(Control::LimitsFiles)),
        (Resource::Fsize, limits.file_bytes_max, Some(Control::LimitsFiles)),
        // The jail's first process counts, too.
        (Resource::Nproc, u64::from(limits.processes_max) + 1, Some(Control::LimitsProcesses)),
        // In whole seconds, for one process; the sum of all is watched.
        (Resource::Cpu, limits.cpu_ms_max.div_ceil(1000) + 1, Some(Control::LimitsCpu)),
    ];
    if memory == Strength::Approximate {
        let bytes = limits.memory_bytes_max;
        wanted.push((Resource::Data, bytes + SLACK_BYTES_MIN.max(bytes / 2), Some(Control::LimitsMemory)));
        wanted.push((Resource::As, SPACE_BYTES_MIN.max(bytes.saturating_mul(16)), Some(Control::LimitsMemory)));
    }
    for (resource, most, _) in wanted.into_iter().filter(|(_, _, control)| control.is_none_or(is_on)) {
        let most = getrlimit(resource).maximum.map_or(most, |now| now.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(JailError::at(Step::Limit, &format!("{resource:?}")))?;
    }
    Ok(())
}

/// What the processes of a jail use at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// Memory that belongs to them alone or is shared between them, in bytes.
    pub(crate) memory_bytes: u64,
    /// Processor time, of the living and of those that were waited for, in milliseconds.
    pub(crate) cpu_ms: u64,
}

/// How closely a watch looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At what processes say of themselves.
    Quick,
    /// Also at shared memory that they have asked for, whether it is theirs at the moment or not: what was written to
    /// it and then let go of still fills memory. Takes longer.
    Thorough,
}

/// Sums what a jail's first process and all its descendants use. `temporary` says whether `/tmp` is the jail's own.
pub(crate) fn watch(first: u32, look: Look, temporary: Temporary) -> Use {
    let mut sum = Use::default();
    let mut shared = Shared::default();
    let mut left = vec![first];
    let mut seen = 0;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    while let Some(pid) = left.pop() {
        seen += 1;
        // One that has ended in the meantime uses nothing.
        let text = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let status = text("status");
        sum.memory_bytes += resident_bytes(&status, &["RssAnon", "VmSwap"]);
        shared.resident += resident_bytes(&status, &["RssShmem"]);
        if look == Look::Thorough {
            shared.note_asked_for(&text("maps"));
        }
        sum.cpu_ms += cpu_ticks(&text("stat")) * 1000 / ticks;
        if temporary == Temporary::Own && shared.scratch.is_none() && pid != first {
            shared.scratch = scratch_bytes(pid);
        }
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten().take(WATCHED_MAX) {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            left.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        if seen == WATCHED_MAX {
            break;
        }
    }
    sum.memory_bytes += shared.bytes();
    sum
}

/// Whose `/tmp` a jail has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporary {
    /// Its own, in memory.
    Own,
    /// A directory of the host.
    Host,
}

/// Memory that is shared, by how it can be seen. The three overlap, so that the largest counts.
#[derive(Default)]
struct Shared {
    resident: u64,
    scratch: Option<u64>,
    asked_for: Vec<(u64, u64)>,
}

impl Shared {
    /// Notes the shared memory without a name in `/proc/PID/maps` (`proc_pid_maps(5)`), each piece once.
    fn note_asked_for(&mut self, maps: &str) {
        for line in maps.lines().filter(|line| line.ends_with("/dev/zero (deleted)")) {
            let mut fields = line.split(' ');
            let Some((from, to)) = fields.next().and_then(|range| range.split_once('-')) else { continue };
            let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
            let (bytes, inode) = (to.saturating_sub(from), fields.nth(3).and_then(|text| text.parse().ok()));
            let Some(inode) = inode else { continue };
            match self.asked_for.iter_mut().find(|(known, _)| *known == inode) {
                Some((_, known)) => *known = bytes.max(*known),
                None => self.asked_for.push((inode, bytes)),
            }
        }
    }

    fn bytes(&self) -> u64 {
        let asked_for = self.asked_for.iter().map(|(_, bytes)| bytes).sum();
        self.resident.max(self.scratch.unwrap_or(0)).max(asked_for)
    }
}

/// What is in the `/tmp` of a process, in bytes, if that can be told.
fn scratch_bytes(pid: u32) -> Option<u64> {
    let found = rustix::fs::statvfs(format!("/proc/{pid}/root/tmp")).ok()?;
    Some(found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize)
}

/// Fields of `/proc/PID/status`, in bytes (`proc_pid_status(5)`).
fn resident_bytes(status: &str, wanted: &[&str]) -> u64 {
    let fields = status.lines().filter_map(|line| line.split_once(':'));
    let own = fields.filter(|(name, _)| wanted.contains(name));
    own.filter_map(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map(|kib| kib * 1024).sum()
}

/// Fields 14 to 17 of `/proc/PID/stat` (`proc_pid_stat(5)`), counted behind the name, which may hold anything.
fn cpu_ticks(stat: &str) -> u64 {
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{Look, Shared, Temporary, cpu_ticks, resident_bytes, watch};

    #[test]
    fn what_a_process_uses_is_read() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t     100 kB\nRssFile:\t 700 kB\nRssShmem:\t     20 kB\n";
        assert_eq!(resident_bytes(status, &["RssAnon", "RssShmem"]), 120 * 1024);
        assert_eq!(cpu_ticks("7 (a) b) R 1 1 1 0 -1 0 1 2 3 4 10 20 30 40 20 0"), 100);
        assert_eq!((resident_bytes("", &["RssAnon"]), cpu_ticks("")), (0, 0));
        assert!(watch(std::process::id(), Look::Quick, Temporary::Host).memory_bytes > 4096);
        assert_eq!(watch(u32::MAX, Look::Thorough, Temporary::Own).memory_bytes, 0);
    }

    #[test]
    fn shared_memory_counts_once_and_whether_it_is_held_or_not() {
        let maps = "7f00000000-7f00010000 rw-s 00000000 00:01 77    /dev/zero (deleted)\n\
                    7f10000000-7f10001000 r--p 00000000 fe:00 12    /usr/lib/x\n\
                    7f20000000-7f20020000 rw-s 00000000 00:01 78    /dev/zero (deleted)\nodd\n";
        let mut shared = Shared { resident: 4096, ..Shared::default() };
        shared.note_asked_for(maps);
        shared.note_asked_for(maps);
        assert_eq!(shared.bytes(), 0x30000);
        shared.scratch = Some(1 << 20);
        assert_eq!(shared.bytes(), 1 << 20);
    }
}
