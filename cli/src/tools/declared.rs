//! `aether tool show|check`: what a tool declares, what a task is granted, and what is left between them and policy.

use std::path::Path;

use aether_core::policy::Asker;
use aether_core::tool::{Act, Manifest, manifest};
use aether_manifest::{
    Bounds, Effective, MANIFEST_BYTES_MAX, Mistake, PolicyFile, SecretDeclaration, ToolManifest, words,
};
use aether_session::private;
use aether_terminal::neutral;
use serde_json::{Map, Value, json};

use super::{decision, described, unknown};
use crate::args::Invocation;
use crate::boot::Boot;
use crate::house;
use crate::policy;
use crate::setup::{whole_grant, workspace};
use crate::show::{eprint, write_out};
use crate::trouble::{Exit, Trouble};

/// The width of a column, in characters; what is longer goes on in the next line.
const COLUMN_CHARS: usize = 26;

/// `aether tool show NAME | FILE`.
pub(crate) fn show(invocation: &Invocation) -> Result<Exit, Trouble> {
    let name = invocation.operand(0, "a tool's name, or the path of a manifest")?;
    let boot = Boot::new(invocation)?;
    let said = policy::load(&boot.directories)?;
    let tools = house::offered(&boot, &workspace(&boot)?, &said)?;
    if let Some(tool) = manifest(&tools, name) {
        return tell(invocation, &View { tool, secrets: &[], policy: &said, file: None });
    }
    let is_path = name.contains('/') || name.ends_with(".toml");
    if is_path { check(invocation) } else { Err(unknown(&tools, name)) }
}

/// `aether tool check FILE`.
pub(crate) fn check(invocation: &Invocation) -> Result<Exit, Trouble> {
    let file = invocation.operand(0, "the path of a manifest")?;
    let boot = Boot::new(invocation)?;
    let text = private::read_text(Path::new(file), MANIFEST_BYTES_MAX as u64).map_err(Trouble::usage)?;
    let read = match ToolManifest::parse(&text) {
        Ok(read) => read,
        Err(mistakes) => return refused(invocation, file, &mistakes),
    };
    let said = policy::load(&boot.directories)?;
    let view = View { tool: read.core(), secrets: read.secrets(), policy: &said, file: Some(file) };
    tell(invocation, &view)
}

/// Every mistake at once.
fn refused(invocation: &Invocation, file: &str, mistakes: &[Mistake]) -> Result<Exit, Trouble> {
    if invocation.has("json") {
        let one = |one: &Mistake| json!({"message": &*one.sentence, "line": one.line, "column": one.column});
        let errors: Vec<Value> = mistakes.iter().map(one).collect();
        let report = json!({"file": file, "errors": errors, "tool": null});
        write_out(&format!("{report}\n")).map_err(Trouble::failed)?;
    } else {
        for mistake in mistakes {
            eprint(&neutral(&format!("{file}:{mistake}")));
        }
    }
    Ok(Exit::Usage)
}

/// What is shown.
struct View<'a> {
    tool: &'a Manifest,
    secrets: &'a [SecretDeclaration],
    policy: &'a PolicyFile,
    /// The manifest, where it comes from a file.
    file: Option<&'a str>,
}

fn tell(invocation: &Invocation, view: &View<'_>) -> Result<Exit, Trouble> {
    let granted = whole_grant();
    let bounds = Bounds { grant: &granted, policy: view.policy, asker: Asker::Terminal };
    let left = Effective::of(view.tool, &bounds);
    let columns = [
        words::phrases(view.tool.acts, &view.tool.capability, &view.tool.limits),
        words::phrases(granted.acts, &granted.capability, &granted.limits),
        words::phrases(left.acts, &left.capability, &left.limits),
    ];
    let text = if invocation.has("json") {
        let tool = report(view, &left, &columns);
        let report = match view.file {
            Some(file) => json!({"file": file, "errors": [], "tool": tool}),
            None => tool,
        };
        format!("{report}\n")
    } else {
        told(view, &left, &columns)
    };
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

fn told(view: &View<'_>, left: &Effective, columns: &[[String; 9]; 3]) -> String {
    let tool = view.tool;
    let mut text = view.file.map_or(String::new(), |file| format!("{file} is sound\n\n"));
    text.push_str(&format!("{} {} ({})\n{}\n\n", tool.name, tool.version, tool.runtime, tool.description));
    row(&mut text, "", ["declared", "granted", "effective"]);
    for (n, subject) in words::SUBJECTS.into_iter().enumerate() {
        row(&mut text, subject, [&columns[0][n], &columns[1][n], &columns[2][n]]);
    }
    text.push_str(&format!("\npolicy     {}\n", judged(tool, left, view.policy)));
    for (act, why) in &left.withheld {
        text.push_str(&format!("without    {act}: {}\n", why.reason()));
    }
    if !left.hosts_denied.is_empty() {
        let hosts: Vec<&str> = left.hosts_denied.iter().map(aether_manifest::DeniedHost::as_str).collect();
        text.push_str(&format!("without    {}: policy denies these hosts to everybody\n", hosts.join(", ")));
    }
    for secret in view.secrets {
        text.push_str(&format!(
            "secret     {} for {}, in the header {}: {}; the tool never sees its value, and policy.toml {}\n",
            secret.name,
            secret.host,
            secret.header,
            secret.template,
            if is_found(view.policy, secret) { "says where it is" } else { "does not say where it is" },
        ));
    }
    text.push_str(&format!("input      {}\n", tool.input));
    neutral(&text)
}

/// One row of three columns, in as many lines as the longest phrase needs.
fn row(text: &mut String, subject: &str, phrases: [&str; 3]) {
    let columns = phrases.map(lines);
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    for n in 0..height {
        let [declared, granted, effective] = columns.each_ref().map(|column| column.get(n).map_or("", String::as_str));
        let subject = if n == 0 { subject } else { "" };
        let line = format!("{subject:<10} {declared:<COLUMN_CHARS$}  {granted:<COLUMN_CHARS$}  {effective}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// A phrase, broken behind its commas.
fn lines(phrase: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for item in phrase.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.chars().count() + item.trim_end().chars().count() <= COLUMN_CHARS => {
                line.push_str(item);
            }
            _ => lines.push(item.to_owned()),
        }
    }
    lines
}

/// What the policy table says of what is left.
fn judged(tool: &Manifest, left: &Effective, policy: &PolicyFile) -> String {
    if tool.acts != left.acts && left.acts.iter().next().is_none() {
        return "deny for the person at the terminal".to_owned();
    }
    let whole = decision(tool, policy.table());
    let asked = left.asked.to_string().replace('+', ", ");
    match left.asked.iter().next() {
        Some(_) => format!("{whole} for the person at the terminal; asked before {asked}"),
        None => format!("{whole} for the person at the terminal"),
    }
}

fn is_found(policy: &PolicyFile, secret: &SecretDeclaration) -> bool {
    policy.secrets().iter().any(|(name, _)| *name == secret.name)
}

fn report(view: &View<'_>, left: &Effective, columns: &[[String; 9]; 3]) -> Value {
    let mut report = described(view.tool, view.policy.table());
    let object = |phrases: &[String; 9]| {
        let members = words::SUBJECTS.iter().zip(phrases);
        members.map(|(subject, phrase)| ((*subject).to_owned(), json!(phrase))).collect::<Map<String, Value>>()
    };
    for (name, phrases) in ["declared", "granted", "effective"].into_iter().zip(columns) {
        report[name] = Value::Object(object(phrases));
    }
    let withheld = left.withheld.iter().map(|(act, why)| json!({"act": act.name(), "why": why.reason()}));
    report["asked"] = json!(left.asked.iter().map(Act::name).collect::<Vec<_>>());
    report["withheld"] = Value::Array(withheld.collect());
    let hosts = left.hosts_denied.iter().map(aether_manifest::DeniedHost::as_str);
    report["denied_hosts"] = json!(hosts.collect::<Vec<_>>());
    let secrets = view.secrets.iter().map(|secret| {
        json!({
            "name": &*secret.name,
            "host": secret.host.to_string(),
            "header": &*secret.header,
            "found": is_found(view.policy, secret),
        })
    });
    report["secrets"] = Value::Array(secrets.collect());
    report
}
