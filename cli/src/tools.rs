//! `aether tool list|show|run`: the tools, what they declare, and one call by hand.

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
use crate::args::{Flag, Invocation};
use crate::boot::Boot;
use crate::house::{self, House};
use crate::run::runtime;
use crate::setup::{policy, whole_grant, workspace};
use crate::show::{eprint, write_out};
use crate::trouble::{Exit, Trouble};

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
];

/// `aether tool list`.
pub(crate) fn list(invocation: &Invocation) -> Result<Exit, Trouble> {
    let boot = Boot::new(invocation)?;
    let tools = house::tools(&workspace(&boot)?);
    let policy = policy(&boot);
    let mut text = String::new();
    if invocation.has("json") {
        let all: Vec<Value> = tools.manifests().iter().map(|tool| described(tool, &policy)).collect();
        text = format!("{}\n", Value::Array(all));
    } else {
        for tool in tools.manifests() {
            let first = tool.description.split(". ").next().unwrap_or_default().trim_end_matches('.');
            text.push_str(&format!("{:<12} {:<6} {first}\n", tool.name, decision(tool, &policy).name()));
        }
    }
    write_out(&text).map_err(Trouble::failed)?;
    Ok(Exit::Done)
}

/// `aether tool show NAME`.
pub(crate) fn show(invocation: &Invocation) -> Result<Exit, Trouble> {
    let name = invocation.operand(0, "a tool's name")?;
    let boot = Boot::new(invocation)?;
    let tools = house::tools(&workspace(&boot)?);
    let tool = manifest(&tools, name).ok_or_else(|| unknown(&tools, name))?;
    let policy = policy(&boot);
    if invocation.has("json") {
        write_out(&format!("{}\n", described(tool, &policy))).map_err(Trouble::failed)?;
        return Ok(Exit::Done);
    }
    let granted = whole_grant();
    let limits = granted.limits.meet(tool.limits);
    let list = |places: &[aether_core::capability::Place]| {
        if places.is_empty() {
            "nothing".to_owned()
        } else {
            places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    };
    let text = format!(
        "{} {} ({})\n{}\n\ndoes       {}\nreads      {}\nwrites     {}\nnetwork    {}\npolicy     {} for the person at the terminal\nlimits     {} s, {} MiB, {} KiB of output\ninput      {}\n",
        tool.name,
        tool.version,
        tool.runtime,
        tool.description,
        tool.acts.to_string().replace('+', ", "),
        list(tool.capability.read()),
        list(tool.capability.write()),
        network(tool),
        decision(tool, &policy),
        limits.runtime_ms_max.div_ceil(1000),
        limits.memory_bytes_max >> 20,
        limits.output_bytes_max >> 10,
        tool.input,
    );
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
    let house = House::new(&boot, Vec::new(), &workspace, Box::new(AtTerminal::new(Mode::Terminal)))?;
    let tools = house.tools();
    let tool = manifest(&*tools, name).ok_or_else(|| unknown(&*tools, name))?.clone();
    let call = ToolCall { id: "typed".into(), name: name.into(), input: input.into() };
    let needs = match tools.plan(&call).map_err(|why| Trouble::usage(format!("{name}: {why}")))? {
        Plan::Run(needs) => needs,
        Plan::Spawn { .. } | Plan::Recall(_) => {
            return Err(Trouble::usage(format!("{name} works on a running task; it cannot be run by itself")));
        }
    };
    let mut policy = policy(&boot);
    for act in Act::ALL {
        if policy.decision(*act, Asker::Terminal) == Decision::Ask {
            policy.set(*act, Asker::Terminal, Decision::Allow);
        }
    }
    let grant = whole_grant();
    let gate =
        Gate { grant: &grant, policy: &policy, askers: [Asker::Terminal; 2], label: Label::default(), standing: &[] };
    let authorized = match gate.judge(&tool, call, needs) {
        Judgement::Allow(authorized) => authorized,
        Judgement::Ask(pending) => return Err(Trouble::refused(pending.reason())),
        Judgement::Deny(refusal) => {
            return Err(Trouble::refused(format!("{name}: {refusal}; [policy.terminal] decides")));
        }
    };
    let output = runtime()?.block_on(async {
        let job = house.job(authorized, Stop::default());
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

fn unknown(tools: &dyn Toolbox, name: &str) -> Trouble {
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
