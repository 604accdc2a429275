//! `aether audit`: what was decided about authority, whether the log of it is whole, and a copy to check elsewhere.

mod ledger;
mod moment;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use aether_audit::{
    AuditError, ENTRIES_MAX, Entry, Fault, Filter, Kind, Limits, Log, Notice, Report, Trust, read, verify, verify_file,
};
use aether_core::config::nearest;
use aether_terminal::{Stream, Style, neutral};
use aether_trust::{Keyring, PublicKey};
use serde_json::{Value, json};

pub(crate) use ledger::Audit;
use ledger::{CHECK, Machine, place};
use moment::moment;

use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::policy::keyring_directory;
use crate::show::{eprint, report, unix_ms};
use crate::trouble::{Exit, Trouble};

/// Flags of `aether audit show`.
pub(crate) const SHOW_FLAGS: &[Flag] = &[
    Flag { long: "last", short: Some('n'), value: Some("N"), key: None, doc: "The newest N lines; 50 when not given" },
    Flag {
        long: "kind",
        short: None,
        value: Some("KIND"),
        key: None,
        doc: "Lines of this kind, such as allow or deny",
    },
    Flag { long: "task", short: None, value: Some("ID"), key: None, doc: "Lines of this task or trace" },
    Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON lines" },
];

/// Flags of `aether audit verify`.
pub(crate) const VERIFY_FLAGS: &[Flag] = &[
    Flag { long: "file", short: None, value: Some("FILE"), key: None, doc: "Verify an exported log instead" },
    Flag {
        long: "key",
        short: None,
        value: Some("HEX"),
        key: None,
        doc: "The public key that has to have signed --file",
    },
    Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" },
];

/// Flags of `aether audit export`.
pub(crate) const EXPORT_FLAGS: &[Flag] = &[Flag {
    long: "output",
    short: Some('o'),
    value: Some("FILE"),
    key: None,
    doc: "Write to this file, which must not exist, instead of standard output",
}];

/// Lines that are shown where nobody says how many.
const LAST: usize = 50;

/// `aether audit show`.
pub(crate) fn show(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let last = invocation.value("last").map_or(Ok(LAST), |text| {
        text.parse().map_err(|_| Trouble::usage(format!("--last {text}: wanted a number up to {ENTRIES_MAX}")))
    })?;
    let kind = invocation.value("kind").map(kind).transpose()?;
    let filter = Filter { last, kind, task: invocation.value("task").map(Into::into) };
    // Without a key the head says nothing, and everything is shown.
    let key = keyring(&boot)?.map_or([0; 32], |keyring| keyring.public().0);
    let found = match read(&place(&boot.directories.data), &key, CHECK, &filter) {
        Err(AuditError::Empty { .. }) => aether_audit::Found::default(),
        found => found.map_err(Trouble::failed)?,
    };
    let text: String = if invocation.has("json") {
        found.entries.iter().map(|entry| format!("{}\n", described(entry))).collect()
    } else {
        found.entries.iter().map(|entry| format!("{}\n", neutral(&line(entry)))).collect()
    };
    report(&text)?;
    if found.unreadable > 0 {
        eprint(&format!("note: {} lines cannot be read; `aether audit verify` says where", found.unreadable));
    }
    Ok(Exit::Done)
}

fn kind(name: &str) -> Result<Kind, Trouble> {
    Kind::named(name).ok_or_else(|| {
        let names = || Kind::ALL.iter().map(|kind| kind.name());
        Trouble::usage(match nearest(name, names()) {
            Some(near) => format!("--kind {name}: did you mean `{near}`?"),
            None => format!("--kind {name}: wanted one of {}", names().collect::<Vec<_>>().join(", ")),
        })
    })
}

/// One line for a person.
fn line(entry: &Entry) -> String {
    let mut text = format!("{} #{:<5} {:<10}", moment(entry.unix_ms), entry.sequence, entry.kind.name());
    for (name, value) in &entry.facts {
        // Digests and signatures are for programs; the first digits are enough to tell two apart.
        let shown = match value {
            Value::String(text) if text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => &text[..12],
            Value::String(text) => text,
            other => &other.to_string(),
        };
        let quote = if shown.contains(' ') { "\"" } else { "" };
        text.push_str(&format!(" {name}={quote}{shown}{quote}"));
    }
    text
}

fn described(entry: &Entry) -> Value {
    json!({
        "seq": entry.sequence,
        "unix_ms": entry.unix_ms,
        "kind": entry.kind.name(),
        "facts": entry.facts,
        "hash": entry.hash.to_string(),
    })
}

/// `aether audit verify`.
pub(crate) fn verify_log(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let key = invocation.value("key").map(|text| {
        PublicKey::parse(text).ok_or_else(|| Trouble::usage(format!("--key {text}: wanted 64 hexadecimal digits")))
    });
    let key = key.transpose()?;
    let found = match invocation.value("file") {
        Some(path) => verify_file(Path::new(path), key.map_or(Trust::Stated, |key| Trust::Key(key.0)), CHECK),
        None if key.is_some() => return Err(Trouble::usage("--key is for an exported log; name one with --file FILE")),
        None => here(&boot),
    };
    let found = match found {
        Err(AuditError::Empty { path }) => {
            let text = format!("nothing was logged in {} yet\n", path.display());
            report(if invocation.has("json") { "{\"is_whole\":true,\"lines\":0}\n" } else { &text })?;
            return Ok(Exit::Done);
        }
        found => found.map_err(Trouble::failed)?,
    };
    if invocation.has("json") {
        report(&format!("{}\n", verdict(&found)))?;
    } else {
        report(&neutral(&told(&boot, invocation, &found)))?;
    }
    match &found.fault {
        None => Ok(Exit::Done),
        Some(_) if invocation.has("json") => Ok(Exit::Failed),
        Some(fault) => Err(Trouble::failed(remedy(fault, invocation.has("file")))),
    }
}

/// What is wrong, and what to do about it.
fn remedy(fault: &Fault, is_file: bool) -> String {
    if is_file {
        return fault.to_string();
    }
    format!("{fault}; put back what is missing, or begin a new log that names this one with `aether audit archive`")
}

/// Verifies the log of this machine.
fn here(boot: &Boot) -> Result<Report, AuditError> {
    let place = place(&boot.directories.data);
    // A key that cannot be read vouches for nothing; a log without its key is signed by a key that is unknown here.
    let key = Keyring::existing(&keyring_directory(&boot.directories)).ok().flatten();
    verify(&place, &key.map_or([0; 32], |keyring| keyring.public().0), CHECK)
}

fn told(boot: &Boot, invocation: &Invocation, found: &Report) -> String {
    let style = Style::new(boot.config.text("color").unwrap_or("auto"), Stream::Output);
    let key = found.key.map_or("no key".to_owned(), |key| format!("the key {}", PublicKey(key)));
    let of = match (invocation.has("file"), invocation.has("key")) {
        (true, false) => " (whether it is the right one, only you can say: compare it)",
        _ => "",
    };
    let mut text = String::new();
    if found.lines > 0 {
        let [first, last] = found.unix_ms.map(moment);
        text.push_str(&format!("{} lines from {first} to {last}\n", found.lines));
        text.push_str(&format!("{} checkpoints signed by {key}{of}\n", found.checkpoints));
        text.push_str(&format!("last line {}\n", found.hash));
    }
    for notice in &found.notices {
        text.push_str(&format!("note: {notice}\n"));
    }
    text.push_str(if found.fault.is_none() { "the audit log is whole\n" } else { "the rest cannot be trusted\n" });
    let colour = if found.fault.is_none() { style.green(text.trim_end()) } else { text.trim_end().to_owned() };
    format!("{colour}\n")
}

fn verdict(found: &Report) -> Value {
    let fault = found.fault.as_ref().map(|fault| {
        json!({
            "wrong": fault.wrong.name(),
            "file": fault.path.display().to_string(),
            "line": fault.line,
            "seq": fault.sequence,
            "message": fault.to_string(),
        })
    });
    json!({
        "is_whole": found.fault.is_none(),
        "lines": found.lines,
        "checkpoints": found.checkpoints,
        "hash": found.hash.to_string(),
        "key": found.key.map(|key| PublicKey(key).to_string()),
        "first_unix_ms": found.unix_ms[0],
        "last_unix_ms": found.unix_ms[1],
        "notices": found.notices.iter().map(Notice::to_string).collect::<Vec<_>>(),
        "fault": fault,
    })
}

/// `aether audit export`.
pub(crate) fn export(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let machine = Machine(needed(&boot)?);
    let place = place(&boot.directories.data);
    let now = unix_ms();
    let Some(path) = invocation.value("output") else {
        let mut out = std::io::stdout().lock();
        aether_audit::export(&place, &machine, CHECK, now, &mut out).map_err(Trouble::failed)?;
        return Ok(Exit::Done);
    };
    let mut file = new_file(Path::new(path)).map_err(|error| Trouble::usage(format!("--output {path}: {error}")))?;
    let exported =
        aether_audit::export(&place, &machine, CHECK, now, &mut file).map_err(|error| error.to_string()).and_then(
            |receipt| file.flush().and_then(|()| file.sync_all()).map(|()| receipt).map_err(|error| error.to_string()),
        );
    match exported {
        Ok(receipt) => {
            eprint(&format!(
                "{} lines in {path}; `aether audit verify --file {path}` checks them anywhere",
                receipt.sequence
            ));
            eprint(&format!("signed by the key {}", machine.0.public()));
            Ok(Exit::Done)
        }
        Err(why) => {
            // Half an export is none.
            drop(std::fs::remove_file(path));
            Err(Trouble::failed(why))
        }
    }
}

fn new_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)
}

/// `aether audit archive`.
pub(crate) fn archive(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let fault = here(&boot).map_err(Trouble::failed)?.fault;
    let keyring = Keyring::open(&keyring_directory(&boot.directories)).map_err(Trouble::failed)?;
    let place = place(&boot.directories.data);
    let log = Log::open(place.clone(), Box::new(Machine(keyring)), CHECK, Limits::default());
    let now = unix_ms();
    log.archive(now, fault.as_ref()).map_err(Trouble::failed)?;
    eprint(&format!("the log was moved to {}", place.directory.join(format!("archive-{now}")).display()));
    eprint("a new one begins with how that one ended");
    Ok(Exit::Done)
}

/// The keyring, if a key was ever made.
fn keyring(boot: &Boot) -> Result<Option<Keyring>, Trouble> {
    Keyring::existing(&keyring_directory(&boot.directories)).map_err(Trouble::failed)
}

fn needed(boot: &Boot) -> Result<Keyring, Trouble> {
    let missing = || Trouble::failed("nothing was logged yet: there is no key to sign an export with");
    keyring(boot)?.ok_or_else(missing)
}
