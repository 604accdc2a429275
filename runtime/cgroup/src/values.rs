//! Which files of either version take a limit, and what the kernel's counters say.

use crate::limits::{Controller, Limits, Version};

/// When a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Always, and it has to succeed.
    Required,
    /// Where the file exists.
    IfPresent,
    /// Where the file of the write before did not exist.
    Instead,
}

/// One value for one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) file: &'static str,
    pub(crate) value: String,
    pub(crate) need: Need,
}

/// The period of a processor limit, in microseconds; the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// What has to be written for one limit; nothing where it is not asked for.
pub(crate) fn writes(controller: Controller, version: Version, limits: &Limits) -> Vec<Write> {
    let write = |file, value: String, need| Write { file, value, need };
    match (controller, version) {
        (Controller::Memory, version) => {
            let Some(bytes) = limits.memory_bytes_max else { return Vec::new() };
            match version {
                Version::Two => vec![
                    write("memory.max", bytes.to_string(), Need::Required),
                    write("memory.swap.max", "0".to_owned(), Need::IfPresent),
                    write("memory.oom.group", "1".to_owned(), Need::IfPresent),
                ],
                Version::One => vec![
                    write("memory.limit_in_bytes", bytes.to_string(), Need::Required),
                    write("memory.memsw.limit_in_bytes", bytes.to_string(), Need::IfPresent),
                    write("memory.swappiness", "0".to_owned(), Need::Instead),
                ],
            }
        }
        (Controller::Processes, _) => {
            let processes = limits.processes_max.map(|processes| processes.to_string());
            processes.map(|value| write("pids.max", value, Need::Required)).into_iter().collect()
        }
        (Controller::Cpu, version) => {
            let Some(percent) = limits.cpu_percent_max else { return Vec::new() };
            let quota = u64::from(percent) * CPU_PERIOD_US / 100;
            match version {
                Version::Two => vec![write("cpu.max", format!("{quota} {CPU_PERIOD_US}"), Need::Required)],
                Version::One => vec![
                    write("cpu.cfs_period_us", CPU_PERIOD_US.to_string(), Need::Required),
                    write("cpu.cfs_quota_us", quota.to_string(), Need::Required),
                ],
            }
        }
    }
}

/// The number behind a key in a file of `key number` lines (`memory.events`, `memory.oom_control`, `cpu.stat`).
pub(crate) fn number_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Usage;

    fn lines(controller: Controller, version: Version, limits: &Limits) -> Vec<String> {
        let writes = writes(controller, version, limits);
        writes.iter().map(|write| format!("{} {} {:?}", write.file, write.value, write.need)).collect()
    }

    #[test]
    fn each_version_has_its_files() {
        let limits = Limits {
            memory_bytes_max: Some(20 << 20),
            processes_max: Some(7),
            cpu_percent_max: Some(250),
            usage: Usage::Uncounted,
        };
        assert_eq!(
            lines(Controller::Memory, Version::Two, &limits),
            ["memory.max 20971520 Required", "memory.swap.max 0 IfPresent", "memory.oom.group 1 IfPresent"]
        );
        assert_eq!(
            lines(Controller::Memory, Version::One, &limits),
            [
                "memory.limit_in_bytes 20971520 Required",
                "memory.memsw.limit_in_bytes 20971520 IfPresent",
                "memory.swappiness 0 Instead"
            ]
        );
        for version in [Version::One, Version::Two] {
            assert_eq!(lines(Controller::Processes, version, &limits), ["pids.max 7 Required"]);
        }
        assert_eq!(lines(Controller::Cpu, Version::Two, &limits), ["cpu.max 250000 100000 Required"]);
        assert_eq!(
            lines(Controller::Cpu, Version::One, &limits),
            ["cpu.cfs_period_us 100000 Required", "cpu.cfs_quota_us 250000 Required"]
        );
        for controller in Controller::ALL {
            for version in [Version::One, Version::Two] {
                assert!(writes(controller, version, &Limits::default()).is_empty());
            }
        }
    }

    #[test]
    fn numbers_are_found_by_their_whole_key() {
        let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(number_of(events, "oom"), Some(3));
        assert_eq!(number_of(events, "oom_kill"), Some(2));
        assert_eq!(number_of(events, "oom_k"), None);
        assert_eq!(number_of("oom_kill many\n", "oom_kill"), None);
        assert_eq!(number_of("", "oom"), None);
    }
}
