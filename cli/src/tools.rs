//! `aether tool list|show|check|run`: the tools, what they declare and what is left of it, and one call by hand.

mod declared;

use std::io::Write as _;

use aether_core::config::nearest;
use aether_core::gate::{Gate, Judgement};
use aether_core::label::Label;
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::tool::{Act, Manifest, Plan, ToolCall, Toolbox, manifest};
use aether_core::transcript::ToolOutcome;
use aether_driver::Stop;
use aether_terminal::neutral;
use serde_json::{Value, json};

use crate::approval::{AtTerminal, Mode};
use crate::args::{Flag, Invocation, KERNEL};
use crate::boot::Boot;
use crate::house::{self, House, Person};
use crate::policy;
use crate::run::runtime;
use crate::secure;
use crate::setup::{whole_grant, workspace};
use crate::show::{eprint, write_out};
use crate::trouble::{Exit, Trouble};

pub(crate) use declared::{check, show};

/// Flags of the tool commands.
pub(crate) const FLAGS: &[Flag] = &[
    Flag { long: "json", short: None, value: None, key: None, doc: "Report as JSON" },
    Flag {
        long: "workspace",
        short: Some('w'),
        value: Some("DIR"),
        key: Some("workspace"),
        doc: "The directory that file tools may use",
    },
    KERNEL,
];

/// `aether tool list`.
pub(crate) fn list(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let said = policy::load(&boot.directories)?;
    let tools = house::offered(&boot, &workspace(&boot)?, &said)?;
    let policy = said.table();
    let mut text = String::new();
    if invocation.has("json") {
        let all: Vec<Value> = tools.manifests().iter().map(|tool| described(tool, policy)).collect();
        text = format!("{}\n", Value::Array(all));
    } else {
        for tool in tools.manifests() {
            let first = tool.description.split(". ").next().unwrap_or_default().trim_end_matches('.');
            text.push_str(&format!("{:<12} {:<6} {first}\n", tool.name, decision(tool, policy).name()));
        }
    }
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

/// `aether tool run NAME [JSON]`.
pub(crate) fn run(invocation: &Invocation) -> Result<Exit, Trouble> {
    let name = invocation.operand(0, "a tool's name")?.to_owned();
    let input = invocation.operands.get(1).map_or("{}", String::as_str).to_owned();
    run_tool(invocation, &name, &input)
}

/// Runs one call that the person typed. What policy would ask about needs no second yes; what it denies stays denied.
pub(crate) fn run_tool(invocation: &Invocation, name: &str, input: &str) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let workspace = workspace(&boot)?;
    let said = policy::load(&boot.directories)?;
    let way: (secure::Mode, Box<dyn Person>) =
        (secure::Mode::of(invocation), Box::new(AtTerminal::new(Mode::Terminal)));
    let house = House::new(&boot, Vec::new(), &workspace, &said, way)?;
    let tools = house.tools();
    let tool = manifest(&*tools, name).ok_or_else(|| unknown(&*tools, name))?.clone();
    let call = ToolCall { id: "typed".into(), name: name.into(), input: input.into() };
    let needs = match tools.plan(&call).map_err(|why| Trouble::usage(format!("{name}: {why}")))? {
        Plan::Run(needs) => needs,
        Plan::Spawn { .. } | Plan::Recall(_) => {
            return Err(Trouble::usage(format!("{name} works on a running task; it cannot be run by itself")));
        }
    };
    let mut policy = said.table().clone();
    for act in Act::ALL {
        if policy.decision(*act, Asker::Terminal) == Decision::Ask {
            policy.set(*act, Asker::Terminal, Decision::Allow);
        }
    }
    let grant = policy::bounded(whole_grant(), &said, &*tools);
    let gate =
        Gate { grant: &grant, policy: &policy, askers: [Asker::Terminal; 2], label: Label::default(), standing: &[] };
    let authorized = match gate.judge(&tool, call, needs) {
        Judgement::Allow(authorized) => authorized,
        Judgement::Ask(pending) => return Err(Trouble::refused(pending.reason())),
        Judgement::Deny(refusal) => {
            if let Err(why) = boot.audit().refuse(None, name, refusal.name()) {
                eprint(&format!("note: the audit log is not complete: {why}"));
            }
            return Err(Trouble::refused(format!("{name}: {refusal}; `aether policy show` shows the policy")));
        }
    };
    let output = runtime()?.block_on(async {
        if house.is_elsewhere(&authorized) {
            let output = house.secured(None, authorized).await;
            house.secure().stop().await;
            return Ok(output);
        }
        let job = house.job(None, authorized, Stop::default());
        tokio::task::spawn_blocking(job).await
    });
    let output = output.map_err(|error| Trouble::failed(format!("{name}: {error}")))?;
    if invocation.has("json") {
        let report = json!({"tool": name, "outcome": output.outcome.name(), "label": output.label.to_string(), "text": &*output.text});
        write_out(&format!("{report}\n")).map_err(Trouble::failed)?;
    } else if output.outcome == ToolOutcome::Done {
        let newline = if output.text.ends_with('\n') { "" } else { "\n" };
        let mut out = std::io::stdout().lock();
        write!(out, "{}{newline}", output.text).and_then(|()| out.flush()).map_err(Trouble::failed)?;
    } else {
        eprint(&neutral(&output.text));
    }
    Ok(if output.outcome == ToolOutcome::Done { Exit::Done } else { Exit::Failed })
}

/// What to say of a name that no tool has.
pub(crate) fn unknown(tools: &dyn Toolbox, name: &str) -> Trouble {
    let names: Vec<&str> = tools.manifests().iter().map(|tool| &*tool.name).collect();
    Trouble::usage(match nearest(name, names.iter().copied()) {
        Some(near) => format!("there is no tool `{name}`; did you mean `{near}`?"),
        None => format!("there is no tool `{name}`; there are {}", names.join(", ")),
    })
}

/// What policy says when the person at the terminal's task calls it, in the worst case.
pub(crate) fn decision(tool: &Manifest, policy: &Policy) -> Decision {
    tool.acts.iter().map(|act| policy.decision(act, Asker::Terminal)).max().unwrap_or(Decision::Allow)
}

fn network(tool: &Manifest) -> String {
    match &tool.capability.network {
        aether_core::capability::Network::None => "none".to_owned(),
        aether_core::capability::Network::Public => "any public host".to_owned(),
        aether_core::capability::Network::Hosts(hosts) => {
            hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

fn described(tool: &Manifest, policy: &Policy) -> Value {
    let texts =
        |places: &[aether_core::capability::Place]| places.iter().map(|p| json!(p.as_str())).collect::<Vec<_>>();
    json!({
        "name": &*tool.name,
        "version": &*tool.version,
        "description": &*tool.description,
        "runtime": tool.runtime.name(),
        "acts": tool.acts.iter().map(|act| act.name()).collect::<Vec<_>>(),
        "read": texts(tool.capability.read()),
        "write": texts(tool.capability.write()),
        "network": network(tool),
        "policy": decision(tool, policy).name(),
        "runtime_ms_max": tool.limits.runtime_ms_max,
        "output_bytes_max": tool.limits.output_bytes_max,
        "input": serde_json::from_str::<Value>(&tool.input).unwrap_or(Value::Null),
    })
}
