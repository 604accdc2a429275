//! `aether policy explain CALL`: what would be decided about one exact call, and what each part of the decision says.

use aether_core::capability::Capability;
use aether_core::config::nearest;
use aether_core::gate::{Gate, Judgement, Reason, Refusal};
use aether_core::label::{Label, Origin};
use aether_core::policy::{Asker, Decision};
use aether_core::tool::{Act, Grant, Manifest, Needs, Plan, ToolCall, Toolbox, manifest};
use aether_manifest::{PolicyFile, words};
use aether_terminal::neutral;
use serde_json::{Value, json};

use super::{bounded, file, show};
use crate::args::Invocation;
use crate::boot::Boot;
use crate::house;
use crate::setup::{whole_grant, workspace};
use crate::tools::unknown;
use crate::trouble::{Exit, Trouble};

/// What is looked at.
struct Case<'a> {
    tool: &'a Manifest,
    call: ToolCall,
    needs: Needs,
    grant: Grant,
    policy: &'a PolicyFile,
}

/// What is decided for one asker.
struct Ruling {
    asker: Asker,
    decision: Decision,
    /// The cell that decides, where one does.
    act: Option<Act>,
    why: String,
}

/// `aether policy explain NAME [JSON]`.
pub(crate) fn explain(invocation: &Invocation) -> Result<Exit, Trouble> {
    let (name, input) = typed(invocation)?;
    let askers = match invocation.value("as") {
        None => Asker::ALL.to_vec(),
        Some(word) => vec![Asker::named(word).ok_or_else(|| unknown_asker(word))?],
    };
    let boot = Boot::new(invocation)?;
    let policy = file::load(&boot.directories)?;
    let tools = house::offered(&boot, &workspace(&boot)?, &policy)?;
    let tool = manifest(&tools, &name).ok_or_else(|| unknown(&tools, &name))?;
    let call = ToolCall { id: "typed".into(), name: name.as_str().into(), input: input.as_str().into() };
    let needs = match tools.plan(&call).map_err(|why| Trouble::usage(format!("{name}: {why}")))? {
        Plan::Run(needs) => needs,
        Plan::Spawn { .. } | Plan::Recall(_) => {
            return Err(Trouble::usage(format!("{name} works on a running task and needs no permission by itself")));
        }
    };
    let grant = bounded(whole_grant(), &policy, &tools);
    let case = Case { tool, call, needs, grant, policy: &policy };
    let rulings: Vec<Ruling> = askers.into_iter().map(|asker| ruling(&case, asker)).collect();
    let text = if invocation.has("json") { format!("{}\n", report(&case, &rulings)) } else { told(&case, &rulings) };
    crate::show::report(&text)?;
    Ok(Exit::Done)
}

/// The call: a name and its input, as two words or in one.
fn typed(invocation: &Invocation) -> Result<(String, String), Trouble> {
    let first = invocation.operand(0, "a call such as write_file '{\"path\": \"x\", \"content\": \"\"}'")?;
    let (name, rest) = first.split_once(char::is_whitespace).unwrap_or((first, ""));
    let input = invocation.operands.get(1).map_or(rest.trim(), String::as_str);
    Ok((name.to_owned(), if input.is_empty() { "{}".to_owned() } else { input.to_owned() }))
}

fn unknown_asker(word: &str) -> Trouble {
    let names: Vec<&str> = Asker::ALL.iter().map(|asker| asker.name()).collect();
    Trouble::usage(match nearest(word, names.iter().copied()) {
        Some(near) => format!("--as {word}: did you mean `{near}`?"),
        None => format!("--as {word}: wanted one of {}", names.join(", ")),
    })
}

fn ruling(case: &Case<'_>, asker: Asker) -> Ruling {
    let (decision, act, why) = match judged(case, asker, Label::default()) {
        Judgement::Allow(_) => (Decision::Allow, None, "no cell asks or denies".to_owned()),
        Judgement::Ask(pending) => {
            let (Reason::Policy(act) | Reason::Sink(act)) = pending.reason();
            (Decision::Ask, Some(act), pending.reason().to_string())
        }
        Judgement::Deny(refusal) => {
            let act = if let Refusal::Policy(act, _) = &refusal { Some(*act) } else { None };
            (Decision::Deny, act, refusal.to_string())
        }
    };
    Ruling { asker, decision, act, why }
}

fn judged(case: &Case<'_>, asker: Asker, label: Label) -> Judgement {
    let table = case.policy.table();
    let gate = Gate { grant: &case.grant, policy: table, askers: [asker; 2], label, standing: &[] };
    gate.judge(case.tool, case.call.clone(), case.needs.clone())
}

/// Where the word of a cell comes from.
fn source(case: &Case<'_>, act: Act, asker: Asker) -> String {
    let line = show::line(case.policy, act, asker);
    line.map_or("built in".to_owned(), |line| format!("policy.toml, line {line}"))
}

/// What the information-flow rule of the kernel says of the call.
fn sink(case: &Case<'_>) -> String {
    let Some(act) = case.needs.acts.iter().find(|act| act.is_sink()) else {
        return "none of its acts leaves the machine".to_owned();
    };
    let tainted = Label::from(Origin::Web).private();
    let asked = Asker::ALL.iter().any(|asker| {
        matches!(judged(case, *asker, tainted), Judgement::Ask(pending) if matches!(pending.reason(), Reason::Sink(_)))
    });
    let then = if asked { "is asked about, once for each call, whatever a cell allows" } else { "stays refused" };
    format!("{act} leaves the machine: in a task that holds private data and has read untrusted content it {then}")
}

/// What a part withholds, or that it withholds nothing.
fn manifest_says(case: &Case<'_>) -> String {
    let acts = case.tool.acts.covers(case.needs.acts);
    match case.tool.capability.excess(&case.needs.capability) {
        None if acts => "declares all of it".to_owned(),
        None => format!("declares only {}", case.tool.acts.to_string().replace('+', ", ")),
        Some(excess) => format!("does not declare {excess}"),
    }
}

fn grant_says(case: &Case<'_>) -> String {
    if !case.grant.has_tool(&case.tool.name) {
        return "a task does not have the tool: policy denies it".to_owned();
    }
    if let Some(act) = case.needs.acts.iter().find(|act| !case.grant.acts.has(*act)) {
        return format!("a task at the terminal does not have {act}");
    }
    let excess = case.grant.capability.excess(&case.needs.capability);
    excess.map_or("a task at the terminal has all of it".to_owned(), |excess| {
        format!("a task at the terminal does not have {excess}")
    })
}

fn reach(capability: &Capability) -> String {
    let parts = [
        ("reads ", words::places(capability.read())),
        ("writes ", words::places(capability.write())),
        ("executes ", words::places(capability.programs())),
        ("reaches ", words::network(&capability.network)),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(_, what)| what != "none").map(|(verb, what)| format!("{verb}{what}")).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn told(case: &Case<'_>, rulings: &[Ruling]) -> String {
    let mut text = format!(
        "{} {}\n\ndoes       {}\nreach      {}\nmanifest   {}\ngrant      {}\nsink rule  {}\n\n",
        case.call.name,
        case.call.input,
        case.needs.acts.to_string().replace('+', ", "),
        reach(&case.needs.capability),
        manifest_says(case),
        grant_says(case),
        sink(case),
    );
    if let Some(why) = denied_host(case) {
        text.push_str(&format!("hosts      {why}\n\n"));
    }
    for one in rulings {
        let place =
            one.act.map_or(String::new(), |act| format!(" ({}.{act}, {})", one.asker, source(case, act, one.asker)));
        text.push_str(&format!("{:<10} {:<6} {}{place}\n", one.asker.name(), one.decision.name(), one.why));
    }
    neutral(&text)
}

/// A host of the call that policy denies to everybody.
fn denied_host(case: &Case<'_>) -> Option<String> {
    let aether_core::capability::Network::Hosts(hosts) = &case.needs.capability.network else { return None };
    let denied = hosts.iter().find(|host| case.policy.hosts_denied().iter().any(|denied| denied.covers(host)))?;
    Some(format!("policy denies {denied} to everybody, whatever a cell says"))
}

fn report(case: &Case<'_>, rulings: &[Ruling]) -> Value {
    let one = |ruling: &Ruling| {
        json!({
            "asker": ruling.asker.name(),
            "decision": ruling.decision.name(),
            "cell": ruling.act.map(|act| format!("{}.{act}", ruling.asker)),
            "source": ruling.act.map(|act| source(case, act, ruling.asker)),
            "why": ruling.why,
        })
    };
    json!({
        "tool": &*case.call.name,
        "input": &*case.call.input,
        "acts": case.needs.acts.iter().map(Act::name).collect::<Vec<_>>(),
        "reach": reach(&case.needs.capability),
        "manifest": manifest_says(case),
        "grant": grant_says(case),
        "sink_rule": sink(case),
        "denied_host": denied_host(case),
        "rulings": rulings.iter().map(one).collect::<Vec<_>>(),
    })
}
