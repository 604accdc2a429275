//! One attack, run once: outside, inside a jail, or inside one with controls unplugged.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::stage::{CANARY, House, Stage};
use crate::table::{Attack, Evidence, Prop};

/// Where an attack is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// Where nothing holds it.
    Outside,
    /// In the jail of this program.
    Inside(PathBuf),
    /// In the jail of this program, built so that controls can be unplugged, without the attack's.
    Unplugged(PathBuf),
    /// In the jail of this program where there are no namespaces, once policy has allowed what that takes.
    WithoutNamespaces(PathBuf),
    /// In bubblewrap, to compare.
    Bubblewrap,
}

impl Where {
    /// Whether a launcher of ours stands between.
    fn is_jail(&self) -> bool {
        matches!(self, Where::Inside(_) | Where::Unplugged(_) | Where::WithoutNamespaces(_))
    }
}

/// What policy says there.
const ALLOWED: &str = "[sandbox]\napproximate = [\"memory\", \"names\", \"execution\", \"scratch\", \"processes\"]\n";

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It got through, in these words.
    Through(String),
    /// It was stopped: an errno, `NOTHING`, `EXIT n`, `breach: …`, `refused: …`.
    Stopped(String),
    /// No statement can be made (X1).
    Unclear(String),
}

/// How long one run may take in all.
const RUN_MAX: Duration = Duration::from_secs(30);
/// The most of an output that is kept.
const OUTPUT_BYTES_MAX: u64 = 160 << 20;

/// What one process left.
struct Ended {
    status: Option<ExitStatus>,
    out: Vec<u8>,
    err: String,
}

/// Runs that attack there, on a stage of its own.
#[must_use]
pub fn run(house: &House, attack: &Attack, place: &Where, number: usize) -> Outcome {
    let rounds = if attack.prop == Some(Prop::Swapping) { 12 } else { 1 };
    let mut last = Outcome::Unclear("nothing was run".to_owned());
    for round in 0..rounds {
        let stage = match Stage::set(house, attack, number * 10 + round) {
            Ok(stage) => stage,
            Err(error) => return Outcome::Unclear(format!("the stage cannot be set: {error}")),
        };
        last = match once(house, attack, place, &stage) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Unclear(error.to_string()),
        };
        if matches!(last, Outcome::Through(_)) {
            break;
        }
    }
    last
}

fn once(house: &House, attack: &Attack, place: &Where, stage: &Stage) -> std::io::Result<Outcome> {
    fs::write(stage.place.join("manifest.toml"), stage.fill(&attack.under.manifest()))?;
    if let Where::WithoutNamespaces(program) = place {
        allow(program, stage)?;
    }
    if let (Some(Prop::Credential), Where::Inside(program) | Where::Unplugged(program)) = (attack.prop, place) {
        sign(program, stage)?;
    }
    let neighbour = match attack.prop {
        Some(Prop::Neighbour(line)) => Some(quiet(&mut command(house, attack, place, stage, line)).spawn()?),
        _ => None,
    };
    let mut launcher = command(house, attack, place, stage, attack.line);
    let outcome = match attack.evidence {
        Evidence::Survives(word) => survive(&mut launcher, &stage.fill(word)),
        Evidence::Signalled => witnessed(house, &mut launcher, stage, place),
        _ => finish(launcher.spawn()?).map(|ended| judge(attack, stage, place, &ended)),
    };
    if let Some(mut neighbour) = neighbour {
        neighbour.kill()?;
        neighbour.wait()?;
    }
    outcome
}

/// Has the launcher's policy say what it has to, signed.
fn allow(program: &Path, stage: &Stage) -> std::io::Result<()> {
    let folder = Path::new(stage.word("config")).join("aether");
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let file = folder.join("policy.toml");
    let text = if file.exists() { fs::read_to_string(&file)? } else { String::new() };
    fs::write(&file, text + ALLOWED)?;
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    sign(program, stage)
}

/// Has the person say that the policy on the stage is theirs.
fn sign(program: &Path, stage: &Stage) -> std::io::Result<()> {
    let mut command = Command::new(program);
    environment(&mut command, stage).args(["policy", "sign", "--yes"]).stdin(Stdio::null());
    let signed = command.output()?;
    match signed.status.success() {
        true => Ok(()),
        false => Err(std::io::Error::other(String::from_utf8_lossy(&signed.stderr).into_owned())),
    }
}

fn environment<'a>(command: &'a mut Command, stage: &Stage) -> &'a mut Command {
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", stage.word("home"));
    command.env("XDG_CONFIG_HOME", stage.word("config")).env("XDG_DATA_HOME", stage.word("data"))
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// The attacker's own command line.
fn words(house: &House, stage: &Stage, line: &str) -> Vec<OsString> {
    let line = stage.fill(line);
    let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let script = |program: &str, flag: &str| vec![program.into(), flag.into(), rest.into()];
    match first {
        "sh" => script("/bin/sh", "-c"),
        "bash" => script("/bin/bash", "-c"),
        "python" => script("/usr/bin/python3", "-c"),
        _ => std::iter::once(house.attacker.clone().into()).chain(line.split(' ').map(OsString::from)).collect(),
    }
}

fn command(house: &House, attack: &Attack, place: &Where, stage: &Stage, line: &str) -> Command {
    let words = words(house, stage, line);
    let mut command = match place {
        Where::Outside => {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        }
        Where::Bubblewrap => bubblewrap(stage, &words),
        Where::Inside(program) | Where::Unplugged(program) | Where::WithoutNamespaces(program) => {
            let mut command = Command::new(program);
            command.args(["sandbox", "run", "--manifest"]).arg(stage.place.join("manifest.toml"));
            command.arg("--workspace").arg(stage.word("workspace")).arg("--").args(&words);
            command
        }
    };
    environment(&mut command, stage);
    if attack.prop == Some(Prop::Credential) {
        command.env("AETHER_ABUSE_SECRET", CANARY);
    }
    if matches!(place, Where::Unplugged(_)) {
        command.env("AETHER_UNPLUG", attack.controls.join(","));
    }
    if attack.prop == Some(Prop::Environment) {
        for name in ["AETHER_ABUSE_SECRET", "BASH_ENV", "GIT_DIR", "NODE_OPTIONS", "OPENAI_API_KEY", "SSH_AUTH_SOCK"] {
            command.env(name, CANARY);
        }
        command.env("LD_PRELOAD", "/nonexistent.so");
    }
    if attack.prop == Some(Prop::Descriptor) {
        leave_descriptor(&mut command, &stage.place.join("outside/secret"));
    }
    command.current_dir(stage.word("workspace")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Has the child inherit the file at descriptors that nothing else uses.
fn leave_descriptor(command: &mut Command, secret: &Path) {
    let Ok(name) = std::ffi::CString::new(secret.as_os_str().as_encoded_bytes()) else { return };
    // SAFETY: between fork and exec, two system calls on memory that the closure owns.
    unsafe {
        command.pre_exec(move || {
            let file = libc::open(name.as_ptr(), libc::O_RDONLY);
            for number in [5, 77, 900] {
                if file < 0 || libc::dup2(file, number) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

fn bubblewrap(stage: &Stage, words: &[OsString]) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"]);
    command.args(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--ro-bind", "/etc", "/etc"]);
    command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    for (how, name) in [("--ro-bind", "programs"), ("--ro-bind", "granted"), ("--bind", "workspace")] {
        command.args([how, stage.word(name), stage.word(name)]);
    }
    command.arg("--").args(words);
    command
}

/// Waits, with an end, and takes what was written.
fn finish(mut child: Child) -> std::io::Result<Ended> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || drain(out));
    let err = std::thread::spawn(move || drain(err));
    let end = Instant::now() + RUN_MAX;
    let mut status = None;
    while status.is_none() && Instant::now() < end {
        status = child.try_wait()?;
        if status.is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    if status.is_none() {
        child.kill()?;
        child.wait()?;
        // Whoever still holds the pipes would keep the readers: they end with the suite.
        return Ok(Ended { status, out: Vec::new(), err: String::new() });
    }
    let all = |thread: std::thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    Ok(Ended { status, out: all(out), err: String::from_utf8_lossy(&all(err)).into_owned() })
}

fn drain(pipe: Option<impl Read>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(pipe) = pipe {
        // What cannot be read was not said.
        let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut all);
    }
    all
}

/// From what was left to an outcome.
fn judge(attack: &Attack, stage: &Stage, place: &Where, ended: &Ended) -> Outcome {
    let said = said(ended);
    let shown = match attack.evidence {
        Evidence::Appears(path) => {
            let path = stage.fill(path);
            if attack.line.starts_with("daemon") {
                std::thread::sleep(Duration::from_millis(2000));
            }
            Some(fs::symlink_metadata(path).is_ok())
        }
        Evidence::Changes(path) => Some(fs::read_to_string(stage.fill(path)).is_ok_and(|now| now != "as it was\n")),
        Evidence::Heard(word) => {
            let log = stage.place.parent().map(|base| base.join("names.log")).unwrap_or_default();
            Some(fs::read_to_string(log).is_ok_and(|heard| heard.contains(&stage.fill(word))))
        }
        Evidence::Output(most) => Some(ended.out.len() > most),
        Evidence::Said | Evidence::Signalled | Evidence::Survives(_) => None,
    };
    match shown {
        Some(true) => return Outcome::Through(format!("shown by {:?}", attack.evidence)),
        Some(false) if said_through(&said) => return Outcome::Stopped("NOTHING came of it on the host".to_owned()),
        _ => {}
    }
    let launcher = launcher_said(&ended.err).filter(|_| place.is_jail());
    // Who is killed for a call may still have seen the call fail: the killing is what counts.
    if let Some(Outcome::Stopped(how)) = &launcher
        && how.starts_with("breach")
        && !said_through(&said)
    {
        return Outcome::Stopped(how.clone());
    }
    if let Some(outcome) = said.or(launcher) {
        return outcome;
    }
    match ended.status {
        None => Outcome::Unclear(format!("not over after {} s", RUN_MAX.as_secs())),
        Some(status) if status.success() => Outcome::Stopped("NOTHING was said".to_owned()),
        Some(status) => {
            let how = status
                .signal()
                .map_or_else(|| format!("EXIT {}", status.code().unwrap_or(-1)), |signal| format!("SIGNAL {signal}"));
            Outcome::Stopped(format!("{how} {}", ended.err.lines().last().unwrap_or_default()))
        }
    }
}

fn said_through(said: &Option<Outcome>) -> bool {
    matches!(said, Some(Outcome::Through(_)))
}

/// The attacker's own last word.
fn said(ended: &Ended) -> Option<Outcome> {
    let tail = &ended.out[ended.out.len().saturating_sub(4096)..];
    let text = String::from_utf8_lossy(tail);
    text.lines().rev().find_map(|line| {
        let rest = |word: &str| line.strip_prefix(word).map(|rest| rest.trim().to_owned());
        let through = rest("breached:").map(Outcome::Through);
        let stopped = || rest("held:").map(Outcome::Stopped);
        through.or_else(stopped).or_else(|| rest("cannot tell:").map(Outcome::Unclear))
    })
}

/// What the launcher says of a run that it ended or never began.
fn launcher_said(err: &str) -> Option<Outcome> {
    let line = err.lines().find_map(|line| line.strip_prefix("aether: "))?;
    let told = line.strip_prefix("killed: ").map(|breach| format!("breach: {breach}"));
    Some(Outcome::Stopped(told.unwrap_or_else(|| format!("refused: {line}"))))
}

/// Kills the launcher and looks whether what it launched lives on.
fn survive(launcher: &mut Command, word: &str) -> std::io::Result<Outcome> {
    let mut child = launcher.stdout(Stdio::null()).spawn()?;
    let is_alive = || -> bool { !processes_with(word).is_empty() };
    let found = until(Duration::from_secs(5), &is_alive);
    if !found {
        child.kill()?;
        let ended = finish(child)?;
        return Ok(launcher_said(&ended.err).unwrap_or_else(|| Outcome::Unclear("the sleeper never showed".to_owned())));
    }
    let only = processes_with(word);
    child.kill()?;
    child.wait()?;
    if only == [child.id()] {
        return Ok(Outcome::Through("there was no launcher to kill".to_owned()));
    }
    let is_gone = || -> bool { processes_with(word).is_empty() };
    if until(Duration::from_millis(1500), &is_gone) {
        return Ok(Outcome::Stopped("NOTHING lives on".to_owned()));
    }
    for process in processes_with(word) {
        // SAFETY: a signal to a process that carries this run's mark.
        unsafe { libc::kill(process.cast_signed(), libc::SIGKILL) };
    }
    Ok(Outcome::Through("it lives on without its launcher".to_owned()))
}

fn until(most: Duration, is_so: &dyn Fn() -> bool) -> bool {
    let end = Instant::now() + most;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    is_so()
}

/// The processes whose first argument is that word.
fn processes_with(word: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    names
        .filter(|name| fs::read(format!("/proc/{name}/cmdline")).is_ok_and(|line| line.starts_with(word.as_bytes())))
        .collect()
}

/// Runs the launcher in a process group with a witness, who makes a file when the group is signalled.
fn witnessed(house: &House, launcher: &mut Command, stage: &Stage, place: &Where) -> std::io::Result<Outcome> {
    let mark = stage.place.join("signalled");
    let mut witness = Command::new(&house.attacker);
    let mut witness = quiet(witness.arg("witness").arg(&mark).process_group(0)).spawn()?;
    let ready = stage.place.join("signalled.ready");
    if !until(Duration::from_secs(5), &|| ready.exists()) {
        return Ok(Outcome::Unclear("the witness never was ready".to_owned()));
    }
    let ended = finish(launcher.process_group(witness.id().cast_signed()).spawn()?)?;
    let came = until(Duration::from_millis(300), &|| mark.exists());
    witness.kill()?;
    witness.wait()?;
    if came {
        return Ok(Outcome::Through("whoever shares the group was signalled".to_owned()));
    }
    let said = said(&ended).or_else(|| launcher_said(&ended.err).filter(|_| *place != Where::Outside));
    Ok(said.unwrap_or_else(|| Outcome::Unclear("the attacker said nothing".to_owned())))
}
