//! What the system says about this process: memory, processor time, open descriptors (Linux, proc(5)).

use crate::trouble::Trouble;

/// Ticks of /proc/self/stat in a second: `USER_HZ`, which Linux fixes at 100 for programs (proc(5), sysconf(3)).
const TICKS_PER_SECOND: f64 = 100.0;

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
