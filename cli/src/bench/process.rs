//! What the system says about this process: memory, processor time, open descriptors (Linux, proc(5)).

use crate::trouble::Trouble;

/// Ticks of /proc/self/stat in a second: `USER_HZ`, which Linux fixes at 100 for programs (proc(5), sysconf(3)).
const TICKS_PER_SECOND: f64 = 100.0;

/// What Linux says of files of a process that is not there any more: no such file, no such process.
#[cfg(all(feature = "sandbox", target_os = "linux"))]
const ENOENT: i32 = 2;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
const ESRCH: i32 = 3;

/// Resident memory in KiB: now, and the most so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    pub(super) now_kb: u64,
    pub(super) peak_kb: u64,
}

/// Resident memory of this process.
pub(super) fn resident() -> Result<Resident, Trouble> {
    let status = read("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    match (of("VmRSS"), of("VmHWM")) {
        (Some(now_kb), Some(peak_kb)) => Ok(Resident { now_kb, peak_kb }),
        _ => Err(Trouble::failed("/proc/self/status names no resident memory; measure on Linux")),
    }
}

/// Processor seconds that all threads of this process have used, in steps of a hundredth.
pub(super) fn processor_seconds() -> Result<f64, Trouble> {
    let stat = read("/proc/self/stat")?;
    // The name may hold blanks; fields are counted behind it: state is the first, utime and stime the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or(vec![], |(_, rest)| rest.split_whitespace().collect());
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err(Trouble::failed("/proc/self/stat names no processor time; measure on Linux")),
    }
}

/// Open descriptors of this process.
pub(super) fn descriptors() -> Result<usize, Trouble> {
    let open = std::fs::read_dir("/proc/self/fd").map_err(|error| wrong("/proc/self/fd", &error))?;
    // Reading the directory opens one.
    Ok(open.count().saturating_sub(1))
}

/// This process and those that it and they started, each with its parent.
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(super) fn family() -> Result<Vec<(u32, u32)>, Trouble> {
    let listed = std::fs::read_dir("/proc").map_err(|error| wrong("/proc", &error))?;
    let number = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
    // One that has ended meanwhile has no parent any more. The parent is the second field behind the name (proc(5)).
    let with_parent = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        Some((process, stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?))
    };
    let all: Vec<(u32, u32)> = listed.filter_map(number).filter_map(with_parent).collect();
    let own = std::process::id();
    let mut found: Vec<(u32, u32)> = all.iter().filter(|(process, _)| *process == own).copied().collect();
    let mut at = 0;
    while let Some((one, _)) = found.get(at).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == one));
        at += 1;
    }
    Ok(found)
}

/// Memory of a process in KiB, pages that several have in equal parts; nothing for one that has ended.
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub(super) fn proportional_kb(process: u32) -> Result<u64, Trouble> {
    let path = format!("/proc/{process}/smaps_rollup");
    let rollup = match std::fs::read_to_string(&path) {
        Err(error) if matches!(error.raw_os_error(), Some(ENOENT | ESRCH)) => return Ok(0),
        read => read.map_err(|error| wrong(&path, &error))?,
    };
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kb.ok_or_else(|| Trouble::failed(format!("{path} has no Pss")))
}

fn read(path: &str) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|error| wrong(path, &error))
}

fn wrong(path: &str, error: &std::io::Error) -> Trouble {
    Trouble::failed(format!("{path}: {error}; measurements need Linux's /proc"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_answers() {
        let resident = resident().unwrap();
        assert!(resident.now_kb > 100 && resident.peak_kb >= resident.now_kb);
        assert!(processor_seconds().unwrap() >= 0.0);
        assert!(descriptors().unwrap() >= 3);
    }
}
