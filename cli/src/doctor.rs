//! `aether doctor`: every check with its finding and its remedy.

mod network;
mod place;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
mod sandbox;

use aether_manifest::PolicyFile;
use aether_terminal::{Stream, Style, is_terminal, neutral};
use serde_json::{Value, json};

use crate::args::{Flag, Invocation};
use crate::boot::{Boot, Fault};
use crate::config;
use crate::help::FEATURES;
use crate::policy::{self, State};
use crate::run::runtime;
use crate::show;
use crate::trouble::{Exit, Trouble};

/// Flags of `aether doctor`.
pub(crate) const FLAGS: &[Flag] = &[
    Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" },
    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    Flag {
        long: "apparmor",
        short: None,
        value: None,
        key: None,
        doc: "Print a profile for AppArmor that lets this program make user namespaces, and nothing else",
    },
    Flag {
        long: "network",
        short: None,
        value: None,
        key: None,
        doc: "Also look for model servers on this machine where none is configured",
    },
    Flag {
        long: "workspace",
        short: Some('w'),
        value: Some("DIR"),
        key: Some("workspace"),
        doc: "The directory that file tools may use",
    },
];

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All is well.
    Fine,
    /// It works, and something about it deserves a look.
    Note,
    /// It does not work.
    Broken,
    /// It was not looked at.
    Skipped,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Fine => "ok",
            Status::Note => "note",
            Status::Broken => "broken",
            Status::Skipped => "skipped",
        }
    }
}

/// One check.
pub(crate) struct Check {
    name: String,
    status: Status,
    found: String,
    remedy: Option<String>,
    ms: Option<u64>,
}

impl Check {
    fn new(status: Status, name: &str, found: impl Into<String>) -> Check {
        Check { name: name.to_owned(), status, found: found.into(), remedy: None, ms: None }
    }

    pub(crate) fn fine(name: &str, found: impl Into<String>) -> Check {
        Check::new(Status::Fine, name, found)
    }

    pub(crate) fn note(name: &str, found: impl Into<String>, remedy: &str) -> Check {
        Check::new(Status::Note, name, found).remedy(remedy)
    }

    pub(crate) fn broken(name: &str, found: impl Into<String>, remedy: &str) -> Check {
        Check::new(Status::Broken, name, found).remedy(remedy)
    }

    pub(crate) fn skipped(name: &str, found: impl Into<String>) -> Check {
        Check::new(Status::Skipped, name, found)
    }

    fn remedy(self, remedy: &str) -> Check {
        Check { remedy: Some(remedy.to_owned()).filter(|text| !text.is_empty()), ..self }
    }

    pub(crate) fn within(self, ms: u64) -> Check {
        Check { ms: Some(ms), ..self }
    }
}

/// Looks at everything.
pub(crate) fn doctor(invocation: &Invocation) -> Result<Exit, Trouble> {
    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    if invocation.has("apparmor") {
        show::report(&sandbox::apparmor()?)?;
        return Ok(Exit::Done);
    }
    let (boot, faults) = Boot::tolerant(invocation)?;
    let mut checks = vec![version()];
    checks.extend(configuration(&boot, &faults));
    checks.push(policy(&boot));
    checks.extend(place::checks(&boot));
    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    checks.extend(sandbox::checks(&aether_jail::survey()));
    checks.push(terminal(&boot));
    let runtime = runtime()?;
    checks.extend(runtime.block_on(network::checks(&boot, invocation.has("network"))));
    // A name that is still being looked up would hold the process for as long as the system's resolver likes.
    runtime.shutdown_background();
    let broken = checks.iter().filter(|check| check.status == Status::Broken).count();
    let text = match invocation.has("json") {
        true => format!("{}\n", report(&checks, broken)),
        false => shown(&boot, &checks, broken),
    };
    show::report(&text)?;
    Ok(if broken == 0 { Exit::Done } else { Exit::Failed })
}

fn report(checks: &[Check], broken: usize) -> Value {
    let described = |check: &Check| {
        json!({
            "name": check.name,
            "status": check.status.name(),
            "found": check.found,
            "remedy": check.remedy,
            "ms": check.ms,
        })
    };
    let all: Vec<Value> = checks.iter().map(described).collect();
    json!({"version": env!("CARGO_PKG_VERSION"), "broken": broken, "checks": all})
}

fn shown(boot: &Boot, checks: &[Check], broken: usize) -> String {
    let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output);
    let mut text = String::new();
    for check in checks {
        let status = format!("{:<8}", check.status.name());
        let status = match check.status {
            Status::Fine => style.green(&status),
            Status::Note => style.yellow(&status),
            Status::Broken => style.red(&status),
            Status::Skipped => style.dim(&status),
        };
        let took = check.ms.map_or(String::new(), |ms| format!(" ({ms} ms)"));
        text.push_str(&format!("{status} {:<32} {}{took}\n", check.name, neutral(&check.found)));
        if let Some(remedy) = &check.remedy {
            text.push_str(&format!("{:<41} {}\n", "", style.cyan(&format!("-> {}", neutral(remedy)))));
        }
    }
    let verdict = match broken {
        0 => "nothing is broken".to_owned(),
        1 => "1 thing is broken".to_owned(),
        n => format!("{n} things are broken"),
    };
    text.push_str(&format!("\n{verdict}\n"));
    text
}

fn version() -> Check {
    let inside: Vec<&str> = FEATURES.iter().filter(|(_, is_inside)| *is_inside).map(|(name, _)| *name).collect();
    let target = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    Check::fine("version", format!("aether {} on {target}, with {}", env!("CARGO_PKG_VERSION"), inside.join(", ")))
}

fn configuration(boot: &Boot, faults: &[Fault]) -> Vec<Check> {
    const NAME: &str = "configuration";
    let path = boot.config_file.display();
    let mut checks: Vec<Check> = faults
        .iter()
        .map(|fault| {
            Check::broken(
                NAME,
                &*fault.sentence,
                "mend it with `aether config edit`; what follows is judged without it",
            )
        })
        .collect();
    if checks.is_empty() {
        let wrong = config::problems(boot);
        checks.extend(wrong.iter().map(|problem| Check::broken(NAME, problem, "")));
    }
    if checks.is_empty() {
        let found = match boot.config_file.exists() {
            true => format!("{path} is sound"),
            false => format!("{path} does not exist; defaults are used"),
        };
        checks.push(Check::fine(NAME, found));
    }
    checks.extend(boot.notices.iter().map(|notice| Check::note("environment", notice, "")));
    checks
}

/// Whether the policy holds, and whose it is.
fn policy(boot: &Boot) -> Check {
    const NAME: &str = "policy";
    let path = policy::path(&boot.directories);
    let shown = path.display();
    match policy::look(&boot.directories) {
        State::Absent => Check::fine(NAME, format!("{shown} does not exist; the built-in policy holds")),
        State::Sound(policy) => {
            let differences = PolicyFile::default().differences(&policy).len();
            let how = match differences {
                0 => "says what the built-in policy says".to_owned(),
                1 => "differs from the built-in policy in 1 place".to_owned(),
                n => format!("differs from the built-in policy in {n} places"),
            };
            Check::fine(NAME, format!("{shown} is signed and {how}"))
        }
        State::Broken(mistakes) => {
            Check::broken(NAME, policy::sentences(&path, &mistakes), "mend it with `aether policy edit`")
        }
        State::Gone(why) => Check::broken(NAME, why, "put it back, or `aether policy reset`; nothing runs until then"),
        State::Untrusted { why, .. } => Check::broken(NAME, why, "look at it with `aether policy sign`"),
    }
}

fn terminal(boot: &Boot) -> Check {
    let of = |stream, name: &str| {
        if is_terminal(stream) { format!("{name} is a terminal") } else { format!("{name} is none") }
    };
    let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output);
    let colour = if style.has_colour() { "colour" } else { "no colour" };
    let kind = std::env::var("TERM").unwrap_or_default();
    let kind = if kind.is_empty() { "not set".to_owned() } else { kind };
    let found = format!(
        "{}, {}, {}; TERM is {kind}, {colour}",
        of(Stream::Input, "input"),
        of(Stream::Output, "output"),
        of(Stream::Error, "error")
    );
    if is_terminal(Stream::Error) && kind == "dumb" {
        return Check::note("terminal", found, "line editing and colour need another TERM");
    }
    Check::fine("terminal", found)
}
