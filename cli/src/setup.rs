//! From a configuration to a task: frame, grant, governors, and the world it works in.

use std::path::PathBuf;
use std::sync::Arc;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::config::{Config, nearest};
use aether_core::governor::Governors;
use aether_core::model::{Delivery, Effort, ModelOptions};
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::spec::{Frame, Message, Retry, Spec};
use aether_core::tool::{Act, Acts, Grant, Limits, Toolbox};
use aether_core::transcript::Entry;

use crate::args::{Flag, Invocation, KERNEL};
use crate::boot::Boot;
use crate::chain;
use crate::house::{House, Person};
use crate::policy;
use crate::prompt;
use crate::secure::{self, Mode};
use crate::trouble::Trouble;

/// Flags of every command that runs tasks.
pub(crate) const TASK_FLAGS: &[Flag] = &[
    Flag { long: "model", short: Some('m'), value: Some("PROVIDER/NAME"), key: Some("model"), doc: "The model to ask" },
    KERNEL,
    Flag {
        long: "script",
        short: None,
        value: Some("FILE"),
        key: Some("script"),
        doc: "The turns that the model builtin/script plays",
    },
    Flag {
        long: "fallback",
        short: None,
        value: Some("MODELS"),
        key: Some("fallback"),
        doc: "Models to ask when the first fails",
    },
    Flag {
        long: "workspace",
        short: Some('w'),
        value: Some("DIR"),
        key: Some("workspace"),
        doc: "The directory that file tools may use",
    },
    Flag {
        long: "profile",
        short: None,
        value: Some("NAME"),
        key: Some("profile"),
        doc: "assistant, coder, edge or server",
    },
    Flag {
        long: "effort",
        short: None,
        value: Some("LEVEL"),
        key: Some("model_options.effort"),
        doc: "minimal, low, medium or high",
    },
    Flag {
        long: "allow",
        short: None,
        value: Some("ACT"),
        key: None,
        doc: "Do not ask before this act, or (net:HOST) reach this host and no other",
    },
    Flag { long: "deny", short: None, value: Some("ACT|TOOL"), key: None, doc: "Refuse this act or this tool" },
    Flag {
        long: "yes",
        short: Some('y'),
        value: None,
        key: None,
        doc: "Approve whatever policy asks about, but never a possible leak",
    },
    Flag { long: "no-stream", short: None, value: None, key: None, doc: "Wait for whole answers" },
    Flag {
        long: "max-wall-ms",
        short: None,
        value: Some("N"),
        key: Some("limits.wall_ms"),
        doc: "Milliseconds a task may take",
    },
    Flag {
        long: "max-model-calls",
        short: None,
        value: Some("N"),
        key: Some("limits.model_calls"),
        doc: "Questions to models",
    },
    Flag { long: "max-tool-calls", short: None, value: Some("N"), key: Some("limits.tool_calls"), doc: "Tool calls" },
    Flag {
        long: "max-tokens-in",
        short: None,
        value: Some("N"),
        key: Some("limits.tokens_in"),
        doc: "Input tokens over all questions",
    },
    Flag {
        long: "max-tokens-out",
        short: None,
        value: Some("N"),
        key: Some("limits.tokens_out"),
        doc: "Output tokens over all answers",
    },
    Flag {
        long: "max-cost-micro-usd",
        short: None,
        value: Some("N"),
        key: Some("limits.cost_micro_usd"),
        doc: "Millionths of a dollar",
    },
    Flag {
        long: "max-output-bytes",
        short: None,
        value: Some("N"),
        key: Some("limits.output_bytes"),
        doc: "Bytes of answers",
    },
    Flag {
        long: "max-depth",
        short: None,
        value: Some("N"),
        key: Some("limits.depth"),
        doc: "Generations of child tasks",
    },
    Flag {
        long: "max-repeats",
        short: None,
        value: Some("N"),
        key: Some("limits.repeats"),
        doc: "Times the same call may bring the same result",
    },
];

/// Shorter names for acts, as flags take them.
const ALIASES: &[(&str, &[Act])] = &[
    ("read", &[Act::ReadWorkspace]),
    ("net", &[Act::NetworkRead, Act::NetworkSend]),
    ("network", &[Act::NetworkRead, Act::NetworkSend]),
];

/// Everything a command needs to run tasks.
pub(crate) struct Setup {
    pub(crate) frame: Arc<Frame>,
    pub(crate) house: House,
    pub(crate) grant: Grant,
    pub(crate) governors: Governors,
    pub(crate) workspace: PathBuf,
    /// `provider/name` of each model of the chain.
    pub(crate) models: Vec<String>,
}

impl Setup {
    /// Reads everything from configuration and flags.
    pub(crate) fn new(
        boot: &Boot,
        invocation: &Invocation,
        schema: Option<Arc<str>>,
        person: Box<dyn Person>,
    ) -> Result<Setup, Trouble> {
        let workspace = workspace(boot)?;
        let said = policy::load(&boot.directories)?;
        let way = (Mode::of(invocation), person);
        let house = House::new(boot, chain::lanes(&boot.config)?, &workspace, &said, way)?;
        let tools = house.tools();
        let mut policy = said.table().clone();
        let mut grant = whole_grant();
        apply_flags(invocation, &*tools, &mut policy, &mut grant)?;
        let grant = policy::bounded(grant, &said, &*tools);
        let models = house.lanes().iter().map(|lane| lane.title.clone()).collect();
        let system = prompt::instructions(boot.config.text("profile").unwrap_or(""), &workspace.to_string_lossy());
        let delivery = if invocation.has("no-stream") { Delivery::Whole } else { Delivery::Streamed };
        let frame = Frame {
            system: system.into(),
            toolbox: tools,
            models: house.lanes().iter().map(|lane| lane.choice.clone()).collect(),
            options: ModelOptions { schema, delivery, ..options(&boot.config) },
            policy,
            retry: retry(boot),
        };
        Ok(Setup { frame: Arc::new(frame), house, grant, governors: governors(boot), workspace, models })
    }

    /// One task for the person at the terminal.
    pub(crate) fn spec(&self, history: Vec<Entry>, goal: Message) -> Spec {
        Spec {
            frame: self.frame.clone(),
            history,
            goal,
            grant: self.grant.clone(),
            governors: self.governors.clone(),
            asker: Asker::Terminal,
            depth: 0,
            tenant: 0,
            seed: seed(),
        }
    }
}

/// The workspace, absolute.
pub(crate) fn workspace(boot: &Boot) -> Result<PathBuf, Trouble> {
    let named = boot.config.text("workspace").unwrap_or(".");
    std::fs::canonicalize(named).map_err(|error| {
        Trouble::usage(format!("workspace `{named}`: {error}; name an existing directory with --workspace DIR"))
    })
}

/// What a task of the person at the terminal may do at most; the policy table asks before most of it.
pub(crate) fn whole_grant() -> Grant {
    let places = |names: &[&str]| names.iter().filter_map(|name| Place::parse(name).ok()).collect::<Vec<Place>>();
    let capability = Capability::default()
        .with_network(Network::Public)
        .with_read(places(&["$workspace"]))
        .with_write(places(&["$workspace"]));
    let builtin = Acts::of(&[Act::ReadWorkspace, Act::Write, Act::NetworkRead]);
    let limits = Limits { runtime_ms_max: 120_000, ..Limits::BUILTIN };
    let Some(most) = secure::LIMITS else { return Grant { acts: builtin, capability, tools: None, limits } };
    Grant {
        acts: builtin.union(Acts::of(&[Act::Execute, Act::NetworkSend])),
        capability: capability.with_programs(places(secure::PROGRAMS)),
        tools: None,
        limits: most,
    }
}

fn apply_flags(
    invocation: &Invocation,
    tools: &dyn Toolbox,
    policy: &mut Policy,
    grant: &mut Grant,
) -> Result<(), Trouble> {
    let mut hosts = Vec::new();
    for word in invocation.values("allow") {
        if let Some(host) = word.strip_prefix("net:") {
            hosts.push(Host::parse(host).map_err(|error| Trouble::usage(format!("--allow net:{error}")))?);
            allow(policy, Act::NetworkRead, word)?;
            continue;
        }
        for act in acts(word).ok_or_else(|| unknown_act("--allow", word, &[]))? {
            allow(policy, act, word)?;
        }
    }
    if !hosts.is_empty() {
        grant.capability = grant.capability.clone().with_network(Network::hosts(hosts));
    }
    let names: Vec<&str> = tools.manifests().iter().map(|manifest| &*manifest.name).collect();
    let mut kept = names.clone();
    for word in invocation.values("deny") {
        match acts(word) {
            Some(acts) => acts.into_iter().for_each(|act| policy.set(act, Asker::Terminal, Decision::Deny)),
            None if names.contains(&word) => kept.retain(|name| *name != word),
            None => return Err(unknown_act("--deny", word, &names)),
        }
    }
    if kept.len() < names.len() {
        grant.tools = Some(kept.into_iter().map(Into::into).collect());
    }
    Ok(())
}

/// Takes the question away, but never lifts what policy denies: that is signed, and a flag is not.
fn allow(policy: &mut Policy, act: Act, word: &str) -> Result<(), Trouble> {
    if policy.decision(act, Asker::Terminal) == Decision::Deny {
        return Err(Trouble::refused(format!(
            "--allow {word}: policy denies {act} to the terminal, and no flag lifts that; `aether policy set terminal.{act} ask` does"
        )));
    }
    policy.set(act, Asker::Terminal, Decision::Allow);
    Ok(())
}

/// The acts that a word of the command line stands for.
fn acts(word: &str) -> Option<Vec<Act>> {
    let alias = ALIASES.iter().find(|(name, _)| *name == word).map(|(_, acts)| acts.to_vec());
    alias.or_else(|| Act::named(&word.replace('-', "_")).map(|act| vec![act]))
}

fn unknown_act(flag: &str, word: &str, tools: &[&str]) -> Trouble {
    let known = Act::ALL.iter().map(|act| act.name()).chain(ALIASES.iter().map(|(name, _)| *name));
    let all: Vec<&str> = known.chain(tools.iter().copied()).collect();
    let hint = match nearest(word, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("wanted one of {}", all.join(", ")),
    };
    Trouble::usage(format!("{flag} {word}: {hint}"))
}

/// How models are asked, as configured.
pub(crate) fn options(config: &Config) -> ModelOptions {
    ModelOptions {
        output_tokens_max: config.int("model_options.output_tokens_max").and_then(|n| u32::try_from(n).ok()),
        temperature: config.int("model_options.temperature_milli").map(|milli| milli as f32 / 1000.0),
        effort: match config.text("model_options.effort") {
            Some("minimal") => Effort::Minimal,
            Some("low") => Effort::Low,
            Some("medium") => Effort::Medium,
            Some("high") => Effort::High,
            _ => Effort::Unset,
        },
        ..ModelOptions::default()
    }
}

fn retry(boot: &Boot) -> Retry {
    Retry {
        attempts_max: u32::try_from(boot.number("retry.attempts_max")).unwrap_or(u32::MAX).max(1),
        backoff_ms_min: boot.number("retry.backoff_ms_min"),
        backoff_ms_max: boot.number("retry.backoff_ms_max"),
        approval_ms_max: boot.number("limits.approval_ms"),
    }
}

/// The budgets of a task, as configured.
pub(crate) fn governors(boot: &Boot) -> Governors {
    let small = |key: &str| u32::try_from(boot.number(key)).unwrap_or(u32::MAX);
    Governors {
        wall_ms_max: boot.number("limits.wall_ms"),
        closing_ms_max: boot.number("limits.closing_ms"),
        model_calls_max: small("limits.model_calls"),
        tool_calls_max: small("limits.tool_calls"),
        input_tokens_max: boot.number("limits.tokens_in"),
        output_tokens_max: boot.number("limits.tokens_out"),
        cost_micro_usd_max: boot.number("limits.cost_micro_usd"),
        output_bytes_max: boot.number("limits.output_bytes"),
        depth_max: u8::try_from(boot.number("limits.depth")).unwrap_or(u8::MAX),
        repeats_max: small("limits.repeats"),
    }
}

/// A number that differs from run to run, for jitter; nothing secret depends on it.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
