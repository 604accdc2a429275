//! Random tasks, and random facts for them.

use std::sync::Arc;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::event::Scope;
use aether_core::facts::{Answer, ChildReport, Input, Verdict};
use aether_core::governor::{Governor, Governors, Price, Spending};
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, ModelOptions, Part, Stop, Usage};
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::spec::{Frame, Message, ModelChoice, Retry, Spec};
use aether_core::tool::{Act, Acts, Grant, Limits, Output, ToolCall};
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};
use aether_core::words::WishId;
use aether_testkit::play::toolbox::{TOOLS, ToyTools, everything};

use super::random::Random;

pub(crate) fn frame(random: &mut Random) -> Arc<Frame> {
    let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).filter(|_| !random.once_in(6)).collect();
    let models = (0..1 + random.below(3)).map(|n| ModelChoice {
        name: format!("m{n}").into(),
        codec: "toy",
        window_tokens: *random.one(&[0, 150, 400, 100_000, u32::MAX]),
        price: *random.one(&[Price::default(), Price { input: 1_000_000, cached: 100_000, output: 5_000_000 }]),
    });
    let models = models.collect();
    let mut policy = Policy::default();
    for act in Act::ALL {
        for asker in Asker::ALL {
            if random.once_in(2) {
                policy.set(*act, *asker, *random.one(Decision::ALL));
            } else {
                policy.set(*act, *asker, Decision::Allow);
            }
        }
    }
    let retry = Retry {
        attempts_max: 1 + random.below(3) as u32,
        backoff_ms_min: *random.one(&[0, 1, 500, u64::MAX]),
        backoff_ms_max: *random.one(&[0, 100, 5_000, u64::MAX]),
        approval_ms_max: *random.one(&[0, 1_000, 100_000]),
    };
    let system = "You walk.".into();
    Arc::new(Frame {
        system,
        toolbox: Arc::new(ToyTools::of(&names)),
        models,
        options: ModelOptions::default(),
        policy,
        retry,
    })
}

pub(crate) fn spec(random: &mut Random, frame: &Arc<Frame>) -> Spec {
    let governors = Governors {
        wall_ms_max: *random.one(&[0, 1, 10_000, 60_000, 1_000_000]),
        closing_ms_max: *random.one(&[0, 1, 5_000, 100_000]),
        model_calls_max: random.below(12) as u32,
        tool_calls_max: random.below(20) as u32,
        input_tokens_max: *random.one(&[0, 500, 5_000_000]),
        output_tokens_max: *random.one(&[100, 5_000_000]),
        cost_micro_usd_max: *random.one(&[1, 1_000, 5_000_000]),
        output_bytes_max: *random.one(&[0, 20, 1_000, 1 << 20]),
        depth_max: random.below(3) as u8,
        repeats_max: 1 + random.below(5) as u32,
    };
    let goal = Message { text: "walk".into(), images: images(random), label: label(random) };
    Spec {
        frame: frame.clone(),
        history: if random.once_in(4) { history(random) } else { Vec::new() },
        goal,
        grant: grant(random),
        governors,
        asker: *random.one(Asker::ALL),
        depth: random.below(2) as u8,
        tenant: random.below(3) as u32,
        seed: random.next(),
    }
}

fn history(random: &mut Random) -> Vec<Entry> {
    let call = ToolCall { id: "h1".into(), name: "read".into(), input: "x".into() };
    let tool = ToolEntry {
        call: "h1".into(),
        name: "read".into(),
        outcome: ToolOutcome::Done,
        text: text(random).into(),
        folded: None,
        label: label(random),
    };
    vec![
        Entry::Person { text: text(random).into(), images: Vec::new(), label: label(random) },
        Entry::Model { parts: vec![Part::Text("I look".into()), Part::Call(call)], codec: "toy" },
        Entry::Tool(tool),
        Entry::Model { parts: vec![Part::Text(text(random).into())], codec: "toy" },
    ]
}

fn grant(random: &mut Random) -> Grant {
    let acts = Act::ALL.iter().filter(|_| !random.once_in(5)).copied().collect::<Vec<_>>();
    let names = TOOLS.iter().map(|(name, _)| *name).filter(|_| !random.once_in(4));
    let tools = names.map(Into::into).collect();
    let limits = Limits { output_bytes_max: *random.one(&[0, 30, 5_000]), ..Limits::BUILTIN };
    Grant {
        acts: Acts::of(&acts),
        capability: if random.once_in(2) { everything() } else { capability(random) },
        tools: if random.once_in(2) { Some(tools) } else { None },
        limits: Limits { runtime_ms_max: *random.one(&[0, 2_000, 30_000]), ..limits },
    }
}

pub(crate) const PLACES: &[&str] = &["/", "/a", "/a/b", "/ab", "/b", "$workspace", "$workspace/a", "$work"];
pub(crate) const HOSTS: &[&str] = &["a.org", "b.a.org", "*.a.org", "*.b.a.org", "a.org:80", "xa.org", "[::1]:80"];

pub(crate) fn places(random: &mut Random) -> Vec<Place> {
    (0..random.below(4)).map(|_| Place::parse(random.text(PLACES)).unwrap()).collect()
}

pub(crate) fn network(random: &mut Random) -> Network {
    if random.once_in(5) {
        return Network::Public;
    }
    Network::hosts((0..random.below(4)).map(|_| Host::parse(random.text(HOSTS)).unwrap()).collect())
}

pub(crate) fn capability(random: &mut Random) -> Capability {
    let capability = Capability::default().with_network(network(random)).with_read(places(random));
    capability.with_write(places(random)).with_programs(places(random))
}

pub(crate) fn label(random: &mut Random) -> Label {
    let mut label =
        Label::from(*random.one(&[Origin::Person, Origin::Person, Origin::Tool, Origin::Web, Origin::Guest]));
    if random.once_in(3) {
        label = label.private();
    }
    if random.once_in(8) {
        label = label.untrusted();
    }
    label
}

fn images(random: &mut Random) -> Vec<Image> {
    let image = Image { media_type: "image/png".into(), bytes: vec![1; random.below(10)].into() };
    if random.once_in(10) { vec![image] } else { Vec::new() }
}

fn text(random: &mut Random) -> String {
    random.text(&["", "a", "ok", "nø", "a longer text of some words "]).repeat(1 + random.below(3) * random.below(20))
}

/// A fact that can be said again to a twin.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Model(WishId, ModelEvent),
    Tool(WishId, Output),
    Approval(WishId, Answer),
    Child(WishId, ChildReport),
    Steer(Message),
    Interrupt,
    Tick,
}

impl Said {
    pub(crate) fn input(self) -> Input {
        match self {
            Said::Model(ask, event) => Input::Model { ask, event },
            Said::Tool(run, output) => Input::Tool { run, output },
            Said::Approval(approval, answer) => Input::Approval { approval, answer },
            Said::Child(run, report) => Input::Child { run, report },
            Said::Steer(message) => Input::Steer(message),
            Said::Interrupt => Input::Interrupt,
            Said::Tick => Input::Tick,
        }
    }
}

pub(crate) fn model_event(random: &mut Random, calls: &mut u32) -> ModelEvent {
    match random.below(16) {
        0..=2 => ModelEvent::Text(text(random)),
        3 => ModelEvent::Reasoning(text(random)),
        4 => ModelEvent::Carried(text(random).into()),
        5..=9 => ModelEvent::Call(call(random, calls)),
        10 => ModelEvent::Usage(Usage {
            input_tokens: *random.one(&[0, 10, 300, u64::MAX]),
            output_tokens: *random.one(&[0, 5, 80, u64::MAX]),
            cached_tokens: random.below(20) as u64,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
        }),
        11 => {
            let mut error = ModelError::new(*random.one(ModelErrorKind::ALL), "it broke");
            error.retry_after_ms = *random.one(&[None, None, Some(0), Some(3_000), Some(u64::MAX)]);
            ModelEvent::Error(error)
        }
        _ => ModelEvent::Stop(*random.one(&[
            Stop::Done,
            Stop::Calls,
            Stop::Calls,
            Stop::Calls,
            Stop::Length,
            Stop::Refused,
        ])),
    }
}

fn call(random: &mut Random, calls: &mut u32) -> ToolCall {
    *calls += 1;
    let known = random.one(TOOLS).0;
    let name = *random.one(&[
        known,
        known,
        known,
        "spawn",
        "recall",
        "ghost",
        "nothing",
        "a_name_that_is_much_longer_than_any_provider_would_ever_take_from_us_ø",
    ]);
    let mut input = match name {
        "recall" => format!("c{}", 1 + random.below(*calls as usize)),
        _ => "x".to_owned(),
    };
    for key in ["reads", "writes", "runs"] {
        if random.once_in(4) {
            input += &format!(" {key}={}", random.text(PLACES));
        }
    }
    if random.once_in(3) {
        input += &format!(" host={}", random.text(HOSTS));
    }
    if random.once_in(12) {
        input += random.text(&[" bad", " host=public", " acts=spend+install", " tools=clock,read", " label=nonsense"]);
    }
    if random.once_in(4) {
        input += random.text(&[" label=private", " label=web", " label=private+untrusted"]);
    }
    ToolCall { id: format!("c{calls}").into(), name: name.into(), input: input.into() }
}

pub(crate) fn output(random: &mut Random) -> Output {
    Output { outcome: *random.one(ToolOutcome::ALL), text: text(random).into(), label: label(random) }
}

pub(crate) fn answer(random: &mut Random) -> Answer {
    match random.below(3) {
        0 => Answer::Yes(Scope::Once),
        1 => Answer::Yes(Scope::Task),
        _ => Answer::No(text(random).into()),
    }
}

pub(crate) fn report(random: &mut Random) -> ChildReport {
    let verdict = match random.below(4) {
        0 => Ok(Verdict::Done),
        1 => Ok(Verdict::Spent(Governor::Wall)),
        2 => Ok(Verdict::Interrupted),
        _ => Err("there is no room".into()),
    };
    let spending =
        Spending { model_calls: random.below(3) as u32, tool_calls: random.below(3) as u32, ..Spending::default() };
    ChildReport { verdict, answer: text(random).into(), label: label(random), spending }
}

pub(crate) fn message(random: &mut Random) -> Message {
    Message { text: text(random).into(), images: images(random), label: label(random) }
}
