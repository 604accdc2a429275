//! The binary as the system sees it: how long it takes, and how much memory it is given (proc(5)).

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Unmeasured;

/// The longest that one start of the binary may take.
const RUN_SECONDS_MAX: u64 = 900;
/// How long memory must stand still before the program counts as blocked, in milliseconds.
const STILL_MS: u64 = 200;
/// The longest wait for that, in milliseconds.
const STILL_MS_MAX: u64 = 20_000;
/// How often the system is asked, in milliseconds.
const LOOK_MS: u64 = 10;

/// The shortest of `runs` runs, in microseconds, from just before exec to the end of the process.
///
/// # Errors
/// When a run fails.
pub fn wall_us(runs: u32, command: impl Fn() -> Command) -> Result<f64, Unmeasured> {
    let mut shortest = Duration::MAX;
    for _ in 0..runs {
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let from = Instant::now();
        let child = command.spawn().map_err(|error| failed(&command, &error))?;
        let ended = child.wait_with_output().map_err(|error| failed(&command, &error))?;
        let took = from.elapsed();
        if !ended.status.success() {
            return Err(failed(&command, &String::from_utf8_lossy(&ended.stderr).trim()));
        }
        shortest = shortest.min(took);
    }
    Ok(shortest.as_nanos() as f64 / 1000.0)
}

/// What a run prints, which must be one JSON object.
///
/// # Errors
/// When the run fails, takes too long or prints something else.
pub fn told(mut command: Command) -> Result<Value, Unmeasured> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(&command, &error))?;
    let mut child = Ended(child);
    let mut said = String::new();
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
    while child.0.try_wait().map_err(|error| failed(&command, &error))?.is_none() {
        if Instant::now() > until {
            return Err(failed(&command, &format!("not over after {RUN_SECONDS_MAX} s")));
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
    let mut why = String::new();
    read(child.0.stdout.take(), &mut said)
        .and_then(|()| read(child.0.stderr.take(), &mut why))
        .map_err(Unmeasured::new)?;
    match serde_json::from_str(&said) {
        Ok(value @ Value::Object(_)) if why.is_empty() => Ok(value),
        _ => Err(failed(&command, &format!("{said}{why}"))),
    }
}

fn read(from: Option<impl Read>, into: &mut String) -> io::Result<()> {
    from.map_or(Ok(0), |mut from| from.read_to_string(into)).map(|_| ())
}

/// The most resident memory that a run was ever given, in KiB.
///
/// It is read while the program waits to write into a pipe that is full: what the system reports of a process that has
/// ended includes the moment before exec, in which it was a copy of this one.
///
/// # Errors
/// When the program fails, or ends without writing.
pub fn peak_kb(mut command: Command) -> Result<f64, Unmeasured> {
    let wrong = |error: io::Error| Unmeasured::new(format!("a pipe: {error}"));
    let (mut reader, mut writer) = io::pipe().map_err(wrong)?;
    let bytes = rustix::pipe::fcntl_setpipe_size(&writer, 4096).map_err(|error| wrong(error.into()))?;
    writer.write_all(&vec![b'\n'; bytes]).map_err(wrong)?;
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| failed(&command, &error))?;
    let mut child = Ended(child);
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let name = format!("{words:?}");
    // The command holds the pipe's other end; without it, reading would never end.
    drop(command);
    let peak = still(&mut child.0, &name, |process| status_kb(process, "VmHWM"))?;
    io::copy(&mut reader, &mut io::sink()).map_err(wrong)?;
    let ended = child.0.wait().map_err(wrong)?;
    if ended.success() { Ok(peak as f64) } else { Err(Unmeasured::new(format!("{name}: {ended}"))) }
}

/// Memory of a program that waits for its standard input.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// All that is resident, in KiB, the file's own pages included.
    pub resident_kb: f64,
    /// Of that: changed since it was loaded, and so nobody else's, in KiB.
    pub private_dirty_kb: f64,
}

/// Starts a program, waits until it rests, and looks at its memory.
///
/// # Errors
/// When it ends by itself, or never rests.
pub fn rest(mut command: Command) -> Result<Rest, Unmeasured> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| failed(&command, &error))?;
    let mut child = Ended(child);
    let stdin: Option<ChildStdin> = child.0.stdin.take();
    let name = format!("{:?}", command.get_program());
    still(&mut child.0, &name, |process| status_kb(process, "VmRSS"))?;
    let process = child.0.id().to_string();
    let rollup = proc(&process, "smaps_rollup")?;
    let of = |field: &str| value_kb(&rollup, field).map(|kb| kb as f64);
    let found = match (of("Rss"), of("Private_Dirty")) {
        (Some(resident_kb), Some(private_dirty_kb)) => Ok(Rest { resident_kb, private_dirty_kb }),
        _ => Err(Unmeasured::new(format!("/proc/{process}/smaps_rollup has no Rss and Private_Dirty"))),
    };
    drop(stdin);
    found
}

/// Memory of a program and all processes that it started, while it waits for its standard input.
#[derive(Clone, Copy, Debug)]
pub struct RestOfAll {
    /// The sum of what is resident in each, in KiB: pages that several have count as often.
    pub resident_kb: f64,
    /// The same with such pages in equal parts, in KiB: what the machine has less. At most that, where a process can be
    /// looked into by root alone.
    pub proportional_kb: f64,
}

/// Starts a program, waits until it and so many processes in all rest, and looks at their memory together.
///
/// # Errors
/// When it ends by itself, never rests, or has another number of processes then.
pub fn rest_of_all(mut command: Command, processes: usize) -> Result<RestOfAll, Unmeasured> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| failed(&command, &error))?;
    let mut child = Ended(child);
    let stdin: Option<ChildStdin> = child.0.stdin.take();
    let name = format!("{:?}", command.get_program());
    let root = child.0.id();
    still(&mut child.0, &name, |_| {
        // One that ends meanwhile has no memory any more.
        Ok(tree(root)?.iter().filter_map(|process| status_kb(&process.to_string(), "VmRSS").ok()).sum())
    })?;
    let all = tree(root)?;
    if all.len() != processes {
        return Err(Unmeasured::new(format!("{name} rests with {} processes, wanted {processes}", all.len())));
    }
    let mut found = RestOfAll { resident_kb: 0.0, proportional_kb: 0.0 };
    for process in all.iter().map(u32::to_string) {
        let resident_kb = status_kb(&process, "VmRSS")? as f64;
        // A process that does not let its own user look into it counts with all that is resident, which is more.
        let rollup = proc(&process, "smaps_rollup").ok();
        found.resident_kb += resident_kb;
        found.proportional_kb += rollup.and_then(|text| value_kb(&text, "Pss")).map_or(resident_kb, |kb| kb as f64);
    }
    drop(stdin);
    Ok(found)
}

/// A process, and those that it and they started and that have memory: not those that have ended and are not reaped yet.
fn tree(root: u32) -> Result<Vec<u32>, Unmeasured> {
    let listed = fs::read_dir("/proc").map_err(|error| Unmeasured::new(format!("/proc: {error}")))?;
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // One that has ended meanwhile has no parent any more.
    let parent = |process: u32| {
        let status = proc(&process.to_string(), "status").ok()?;
        value_kb(&status, "VmRSS")?;
        Some((process, value_kb(&status, "PPid")?))
    };
    let parents: Vec<(u32, u64)> = numbers.filter_map(parent).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(one) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, parent)| *parent == u64::from(one)).map(|(process, _)| process));
        at += 1;
    }
    Ok(found)
}

/// Resident memory of a process, in KiB: its number, or `self`.
///
/// # Errors
/// When the system does not say.
pub fn resident_kb(process: &str) -> Result<u64, Unmeasured> {
    status_kb(process, "VmRSS")
}

/// Asks again and again until the answer stays the same and the program sleeps.
fn still(child: &mut Child, name: &str, ask: impl Fn(&str) -> Result<u64, Unmeasured>) -> Result<u64, Unmeasured> {
    let process = child.id().to_string();
    let (mut last, mut since) = (0, Instant::now());
    let until = since + Duration::from_millis(STILL_MS_MAX);
    while Instant::now() < until {
        if let Some(ended) = child.try_wait().map_err(Unmeasured::new)? {
            return Err(Unmeasured::new(format!("{name}: {ended}, wanted it to wait")));
        }
        let (now, sleeps) = (ask(&process)?, state(&process)? == 'S');
        if now != last || !sleeps {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() >= Duration::from_millis(STILL_MS) {
            return Ok(now);
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
    Err(Unmeasured::new(format!("{name} never rests")))
}

fn state(process: &str) -> Result<char, Unmeasured> {
    let stat = proc(process, "stat")?;
    let rest = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    rest.ok_or_else(|| Unmeasured::new(format!("/proc/{process}/stat has no state")))
}

fn status_kb(process: &str, field: &str) -> Result<u64, Unmeasured> {
    let status = proc(process, "status")?;
    value_kb(&status, field).ok_or_else(|| Unmeasured::new(format!("/proc/{process}/status has no {field}")))
}

fn value_kb(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn proc(process: &str, file: &str) -> Result<String, Unmeasured> {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).map_err(|error| Unmeasured::new(format!("{path}: {error}")))
}

fn failed(command: &Command, why: &dyn std::fmt::Display) -> Unmeasured {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    Unmeasured::new(format!("{words:?}: {why}"))
}

/// A child that does not outlive its measurement.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that is over already needs no signal.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn a_run_has_a_time_and_a_peak() {
        assert!(wall_us(3, || shell(":")).unwrap() > 10.0);
        assert!(peak_kb(shell("echo here")).unwrap() > 100.0);
    }

    #[test]
    fn what_waits_for_input_rests() {
        let rest = rest(shell("read line")).unwrap();
        assert!(rest.resident_kb > rest.private_dirty_kb && rest.private_dirty_kb > 10.0, "{rest:?}");
    }

    #[test]
    fn what_a_program_started_rests_with_it() {
        // The second shell has to be one: without a word behind it, the first would become it.
        let two = || shell("sh -c 'read line; :'; :");
        let (alone, both) = (rest(shell("read line; :")).unwrap(), rest_of_all(two(), 2).unwrap());
        assert!(both.resident_kb > alone.resident_kb, "{alone:?} {both:?}");
        assert!(both.proportional_kb > 10.0 && both.proportional_kb < both.resident_kb, "{both:?}");
        assert!(rest_of_all(two(), 3).unwrap_err().to_string().contains("2 processes, wanted 3"));
    }

    #[test]
    fn b2_what_fails_is_an_error_that_says_why() {
        assert!(wall_us(1, || shell("echo broken >&2; exit 1")).unwrap_err().to_string().contains("broken"));
        assert!(wall_us(1, || Command::new("/nonexistent")).is_err());
        assert!(peak_kb(shell("exit 3")).unwrap_err().to_string().contains("wanted it to wait"));
        assert!(rest(shell("exit 3")).is_err());
        assert!(told(shell("echo no object")).unwrap_err().to_string().contains("no object"));
        assert!(told(shell("echo '{}'; echo trouble >&2")).is_err());
        assert!(resident_kb("0").is_err());
    }

    #[test]
    fn what_a_run_tells_is_read() {
        assert_eq!(told(shell("echo '{\"a\": 1}'")).unwrap()["a"], 1);
    }
}
