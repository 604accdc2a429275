//! The attacks against nothing, and against the programs that the environment names.
//!
//! Without further words every attack is tried where nothing holds it: one that does not get through there proves
//! nothing inside a jail. `AETHER_ABUSE_INSIDE` names the program that ships, `AETHER_ABUSE_UNPLUGGED` the one built
//! with the feature `unplug`; both are run as whoever runs the test, and, where that is root, as an ordinary user too.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::{Command, ExitCode, Stdio};

    let mut words = vec!["outside".to_owned()];
    for (name, word) in [("AETHER_ABUSE_INSIDE", "inside"), ("AETHER_ABUSE_UNPLUGGED", "unplugged")] {
        if let Ok(program) = std::env::var(name) {
            words.extend([word.to_owned(), program]);
        }
    }
    // SAFETY: asks for a number.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut runs = vec![words.clone()];
    if is_root {
        runs.push(words.into_iter().chain(["as".to_owned(), "65534".to_owned()]).collect());
    }
    for run in runs {
        let ended = Command::new(env!("CARGO_BIN_EXE_aether-abuse")).args(&run).stdout(Stdio::null()).status();
        match ended {
            Ok(status) if status.success() => {}
            Ok(status) => return complain(&format!("aether-abuse {}: {status}", run.join(" "))),
            Err(error) => return complain(&format!("aether-abuse: {error}")),
        }
    }
    match x2_nothing_is_left() {
        Ok(()) => ExitCode::SUCCESS,
        Err(left) => complain(&left),
    }
}

/// X2: no directory, no network interface and no process of a suite outlives it.
#[cfg(target_os = "linux")]
fn x2_nothing_is_left() -> Result<(), String> {
    let names = |place: &str| -> Vec<String> {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let attackers = names("/proc").into_iter().filter(|process| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("/programs/aether-attack")
    });
    let wires = names("/sys/class/net").into_iter().filter(|name| name == "up0");
    let marks = names("/").into_iter().chain(names("/dev/shm")).filter(|name| name.starts_with("abuse"));
    let left: Vec<String> = attackers.chain(wires).chain(marks).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("the suite left behind: {}", left.join(", "))) }
}

#[cfg(target_os = "linux")]
fn complain(text: &str) -> std::process::ExitCode {
    use std::io::Write;
    // Nobody may be listening; the exit code says the same.
    let _ = writeln!(std::io::stderr(), "{text}");
    std::process::ExitCode::FAILURE
}

#[cfg(not(target_os = "linux"))]
fn main() {}
