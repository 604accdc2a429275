//! `aether policy show|check`: the whole table, and whether the file is sound and signed.

use aether_core::policy::Asker;
use aether_core::tool::Act;
use aether_manifest::{PolicyFile, SecretReference};
use aether_terminal::neutral;
use serde_json::{Value, json};

use super::file::{self, State};
use crate::args::Invocation;
use crate::boot::Boot;
use crate::show::{self, eprint};
use crate::trouble::{Exit, Trouble};

/// `aether policy show`.
pub(crate) fn show(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let policy = file::load(&boot.directories)?;
    let path = file::path(&boot.directories);
    let is_there = path.exists();
    let shown = path.display().to_string();
    if invocation.has("json") {
        let report = json!({
            "file": shown,
            "state": if is_there { "signed" } else { "absent" },
            "cells": cells(&policy, &shown),
            "network": {
                "allowed_hosts": policy.hosts_allowed().map(texts),
                "denied_hosts": policy.hosts_denied().iter().map(aether_manifest::DeniedHost::as_str).collect::<Vec<_>>(),
                "private_exceptions": texts(policy.private_exceptions()),
            },
            "tools": {"denied": texts(policy.tools_denied())},
            "sandbox": {"approximate": policy.approximate().iter().map(|one| one.name()).collect::<Vec<_>>()},
            "secrets": policy.secrets().iter().map(secret).collect::<Vec<_>>(),
        });
        show::report(&format!("{report}\n"))?;
        return Ok(Exit::Done);
    }
    let mut text = if is_there {
        format!("{shown}, signed by this machine\n\n")
    } else {
        format!("the built-in policy, as there is no {shown}\n\n")
    };
    table(&policy, &mut text);
    for (name, what) in policy.lists() {
        text.push_str(&format!("{name:<28} {what}\n"));
    }
    show::report(&neutral(&text))?;
    Ok(Exit::Done)
}

/// Acts in rows, askers in columns; a star is where the file says so, and those cells follow with their lines.
fn table(policy: &PolicyFile, text: &mut String) {
    text.push_str(&" ".repeat(16));
    for asker in Asker::ALL {
        text.push_str(&format!(" {:<9}", asker.name()));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    for act in Act::ALL {
        text.push_str(&format!("{:<16}", act.name()));
        for asker in Asker::ALL {
            let star = if line(policy, *act, *asker).is_some() { "*" } else { "" };
            text.push_str(&format!(" {:<9}", format!("{}{star}", policy.table().decision(*act, *asker))));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text.push('\n');
    for cell in policy.cells() {
        text.push_str(&format!("* {}.{} = {} (line {})\n", cell.asker, cell.act, cell.decision, cell.line));
    }
    if !policy.cells().is_empty() {
        text.push('\n');
    }
}

/// The line in the file that sets a cell.
pub(super) fn line(policy: &PolicyFile, act: Act, asker: Asker) -> Option<u32> {
    policy.cells().iter().find(|cell| cell.act == act && cell.asker == asker).map(|cell| cell.line)
}

fn cells(policy: &PolicyFile, path: &str) -> Vec<Value> {
    let all = Asker::ALL.iter().flat_map(|asker| Act::ALL.iter().map(move |act| (*asker, *act)));
    let one = |(asker, act): (Asker, Act)| {
        let source = line(policy, act, asker).map_or("built-in".to_owned(), |line| format!("{path}:{line}"));
        let decision = policy.table().decision(act, asker).name();
        json!({"asker": asker.name(), "act": act.name(), "decision": decision, "source": source})
    };
    all.map(one).collect()
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn secret((name, reference): &(Box<str>, SecretReference)) -> Value {
    let place = match reference {
        SecretReference::Variable(variable) => format!("env:{variable}"),
        SecretReference::File(path) => format!("file:{path}"),
    };
    json!({"name": &**name, "value": place})
}

/// `aether policy check`.
pub(crate) fn check(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let path = file::path(&boot.directories);
    let shown = path.display().to_string();
    let state = file::look(&boot.directories);
    let (name, exit) = match &state {
        State::Absent => ("absent", Exit::Done),
        State::Sound(_) => ("signed", Exit::Done),
        State::Broken(_) => ("broken", Exit::Usage),
        State::Gone(_) => ("gone", Exit::Refused),
        State::Untrusted { .. } => ("untrusted", Exit::Refused),
    };
    if invocation.has("json") {
        let errors = match &state {
            State::Broken(mistakes) => mistakes
                .iter()
                .map(|one| json!({"message": &*one.sentence, "line": one.line, "column": one.column}))
                .collect(),
            State::Gone(why) | State::Untrusted { why, .. } => {
                vec![json!({"message": why, "line": null, "column": null})]
            }
            State::Absent | State::Sound(_) => Vec::new(),
        };
        let report = json!({"file": shown, "state": name, "errors": errors});
        show::report(&format!("{report}\n"))?;
        return Ok(exit);
    }
    match state {
        State::Absent => show::report(&format!("{shown} does not exist, and does not have to\n"))?,
        State::Sound(_) => show::report(&format!("{shown} is sound and signed\n"))?,
        State::Broken(mistakes) => eprint(&neutral(&file::sentences(&path, &mistakes))),
        State::Gone(_) | State::Untrusted { .. } => drop(file::load(&boot.directories)?),
    }
    Ok(exit)
}
