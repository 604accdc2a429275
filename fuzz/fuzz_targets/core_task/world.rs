//! A task's surroundings, drawn from bytes: tools, grant, policy, models, budgets.

use std::sync::Arc;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::governor::{Governors, Price};
use aether_core::label::{Label, Origin};
use aether_core::model::ModelOptions;
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::spec::{Frame, Message, ModelChoice, Retry, Spec};
use aether_core::tool::{Act, Acts, Grant, Limits, Manifest, Needs, Plan, Runtime, ToolCall, Toolbox};
use aether_fuzz::Draw;

/// The tools by name, each with what it does.
pub const TOOLS: [(&str, &[Act]); 7] = [
    ("read", &[Act::ReadWorkspace]),
    ("private", &[Act::ReadPrivate]),
    ("web", &[Act::NetworkRead]),
    ("send", &[Act::NetworkSend]),
    ("write", &[Act::Write]),
    ("delegate", &[]),
    ("recall", &[]),
];

/// Tools that need what their input says.
struct Shelf(Vec<Arc<Manifest>>);

impl Shelf {
    fn new() -> Shelf {
        let manifest = |(name, acts): &(&str, &[Act])| {
            Arc::new(Manifest {
                name: (*name).into(),
                version: "1.0.0".into(),
                description: "A tool.".into(),
                input: "{}".into(),
                runtime: Runtime::Builtin,
                acts: Acts::of(acts),
                capability: everything(),
                limits: Limits::BUILTIN,
            })
        };
        Shelf(TOOLS.iter().map(manifest).collect())
    }
}

impl Toolbox for Shelf {
    fn manifests(&self) -> &[Arc<Manifest>] {
        &self.0
    }

    fn plan(&self, call: &ToolCall) -> Result<Plan, String> {
        let Some((name, acts)) = TOOLS.iter().find(|(name, _)| *name == &*call.name) else {
            return Err("there is no such tool".into());
        };
        let tool = Label::from(Origin::Tool);
        let none = Capability::default();
        let (capability, label) = match *name {
            "read" => (none.with_read(vec![place("$workspace")]), tool),
            "private" => (none.with_read(vec![place("$notes")]), tool.private()),
            "web" => {
                let host = Host::parse(&call.input).map_err(|malformed| malformed.to_string())?;
                (none.with_network(Network::hosts(vec![host])), Label::from(Origin::Web))
            }
            "send" => (none.with_network(Network::Public), tool),
            "write" => (none.with_write(vec![place(&format!("$workspace/{}", call.input.len()))]), tool),
            "delegate" => {
                let tools = (call.input.len() % 2 == 1).then(|| vec!["read".into(), "delegate".into()]);
                return Ok(Plan::Spawn { goal: call.input.clone(), tools });
            }
            _ => return Ok(Plan::Recall(call.input.clone())),
        };
        // Some calls need more than the manifest declares.
        let acts = if &*call.input == "!" { Acts::ALL } else { Acts::of(acts) };
        Ok(Plan::Run(Needs { acts, capability, label }))
    }
}

fn place(text: &str) -> Place {
    Place::parse(text).expect("a place")
}

fn everything() -> Capability {
    let places = vec![place("$workspace"), place("$notes")];
    Capability::default().with_read(places.clone()).with_write(places).with_network(Network::Public)
}

/// A task of any kind.
pub fn spec(draw: &mut Draw<'_>) -> Spec {
    let asker = draw.one_of(Asker::ALL);
    let mut policy = Policy::default();
    for _ in 0..draw.within(0..6) {
        let (act, asker) = (draw.one_of(Act::ALL), draw.one_of(Asker::ALL));
        policy.set(act, asker, draw.one_of(Decision::ALL));
    }
    let models = (0..draw.within(1..4)).map(|_| model(draw)).collect();
    let retry = Retry {
        attempts_max: draw.one_of(&[4, 1, 2, 0]),
        backoff_ms_min: draw.one_of(&[500, 0, u64::MAX]),
        backoff_ms_max: draw.one_of(&[30_000, 0, 1, u64::MAX]),
        approval_ms_max: draw.one_of(&[600_000, 0, 5, u64::MAX]),
    };
    let frame = Frame {
        system: "Be brief.".into(),
        toolbox: Arc::new(Shelf::new()),
        models,
        options: ModelOptions::default(),
        policy,
        retry,
    };
    Spec {
        frame: Arc::new(frame),
        history: Vec::new(),
        goal: Message { text: draw.text().into(), images: Vec::new(), label: label(draw) },
        grant: grant(draw),
        governors: governors(draw),
        asker,
        depth: draw.byte() % 3,
        tenant: 0,
        seed: draw.number(),
    }
}

fn model(draw: &mut Draw<'_>) -> ModelChoice {
    let price = draw.one_of(&[0, 1_000_000, u64::MAX]);
    ModelChoice {
        name: "m".into(),
        codec: "c",
        window_tokens: draw.one_of(&[100_000, 0, 40, 400, u32::MAX]),
        price: Price { input: price, cached: price / 2, output: price },
    }
}

/// Any label.
pub fn label(draw: &mut Draw<'_>) -> Label {
    let label = Label::from(draw.one_of(Origin::ALL));
    let label = if draw.is_odd() { label.private() } else { label };
    if draw.is_odd() { label.untrusted() } else { label }
}

fn grant(draw: &mut Draw<'_>) -> Grant {
    let withheld = draw.within(0..512);
    let acts: Vec<Act> = Act::ALL.iter().copied().filter(|act| withheld >> (*act as usize) & 1 == 0).collect();
    let capability = match draw.byte() % 3 {
        0 => everything(),
        1 => everything().with_network(Network::None),
        _ => Capability::default().with_read(vec![place("$workspace")]),
    };
    let tools = draw.is_odd().then(|| TOOLS.iter().filter(|_| draw.is_odd()).map(|(name, _)| (*name).into()).collect());
    let limits = Limits {
        output_bytes_max: draw.one_of(&[32_768, 0, 2, 64]),
        runtime_ms_max: draw.one_of(&[30_000, 0, 7]),
        ..Limits::BUILTIN
    };
    Grant { acts: Acts::of(&acts), capability, tools, limits }
}

/// Few calls, so that an end is near; the rest from nothing to plenty.
fn governors(draw: &mut Draw<'_>) -> Governors {
    let plenty = [1 << 40, 0, 1, 100, u64::MAX];
    Governors {
        wall_ms_max: draw.one_of(&[1_800_000, 0, 1, 1_000, u64::MAX]),
        closing_ms_max: draw.one_of(&[60_000, 0, 1, u64::MAX]),
        model_calls_max: u32::from(draw.byte() % 32),
        tool_calls_max: u32::from(draw.byte() % 32),
        input_tokens_max: draw.one_of(&plenty),
        output_tokens_max: draw.one_of(&plenty),
        cost_micro_usd_max: draw.one_of(&plenty),
        output_bytes_max: draw.one_of(&plenty),
        depth_max: draw.byte() % 3,
        repeats_max: u32::from(draw.byte() % 6),
    }
}
