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

/// Sums what a jail's first process and all its descendants use.
pub(crate) fn watch(first: u32) -> Use {
    let mut sum = Use::default();
    let mut left = vec![first];
    let mut seen = 0;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    while let Some(pid) = left.pop() {
        seen += 1;
        // One that has ended in the meantime uses nothing.
        let text = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        sum.memory_bytes += resident_bytes(&text("status"));
        sum.cpu_ms += cpu_ticks(&text("stat")) * 1000 / ticks;
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten().take(WATCHED_MAX) {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            left.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        if seen == WATCHED_MAX {
            break;
        }
    }
    sum
}

/// `RssAnon` and `RssShmem` of `/proc/PID/status`, in bytes (`proc_pid_status(5)`).
fn resident_bytes(status: &str) -> u64 {
    let fields = status.lines().filter_map(|line| line.split_once(':'));
    let own = fields.filter(|(name, _)| matches!(*name, "RssAnon" | "RssShmem"));
    own.filter_map(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map(|kib| kib * 1024).sum()
}

/// Fields 14 to 17 of `/proc/PID/stat` (`proc_pid_stat(5)`), counted behind the name, which may hold anything.
fn cpu_ticks(stat: &str) -> u64 {
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, resident_bytes, watch};

    #[test]
    fn what_a_process_uses_is_read() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t     100 kB\nRssFile:\t 700 kB\nRssShmem:\t     20 kB\n";
        assert_eq!(resident_bytes(status), 120 * 1024);
        assert_eq!(cpu_ticks("7 (a) b) R 1 1 1 0 -1 0 1 2 3 4 10 20 30 40 20 0"), 100);
        assert_eq!((resident_bytes(""), cpu_ticks("")), (0, 0));
        assert!(watch(std::process::id()).memory_bytes > 4096);
        assert_eq!(watch(u32::MAX).memory_bytes, 0);
    }
}
