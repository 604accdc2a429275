//! The tools of a play: what a call needs stands in its input.

use std::sync::Arc;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::config::nearest;
use aether_core::label::{Label, Origin};
use aether_core::tool::{Act, Acts, Limits, Manifest, Needs, Plan, Runtime, ToolCall, Toolbox};

/// Every tool a play may speak of, with what it does at most.
pub const TOOLS: &[(&str, &[Act])] = &[
    ("clock", &[]),
    ("read", &[Act::ReadWorkspace]),
    ("peek", &[Act::ReadPrivate]),
    ("write", &[Act::Write]),
    ("fetch", &[Act::NetworkRead]),
    ("send", &[Act::NetworkSend]),
    ("post", &[Act::NetworkRead, Act::NetworkSend]),
    ("mail", &[Act::MessagePerson]),
    ("shell", &[Act::Execute]),
    ("install", &[Act::Install]),
    ("pay", &[Act::Spend]),
    ("spawn", &[]),
    ("recall", &[]),
];

/// A toolbox of some of [`TOOLS`].
///
/// The input of a call is words. `acts=write+spend`, `reads=/a`, `writes=/a`, `runs=/a`, `host=a.org:443`, `host=public`
/// and `label=private+untrusted` say what the call needs, in addition to the acts and the label that come with
/// the tool; `bad` is wrong input. A `spawn` has the child's goal as its input, and `tools=a,b`; a `recall` has the id of a call.
#[derive(Debug)]
pub struct ToyTools {
    manifests: Vec<Arc<Manifest>>,
}

impl ToyTools {
    /// The tools of these names; a name that is not in [`TOOLS`] adds nothing.
    #[must_use]
    pub fn of(names: &[&str]) -> ToyTools {
        let known = TOOLS.iter().filter(|(name, _)| names.contains(name));
        ToyTools { manifests: known.map(|(name, acts)| Arc::new(manifest(name, acts))).collect() }
    }

    /// All of [`TOOLS`].
    #[must_use]
    pub fn all() -> ToyTools {
        ToyTools::of(&TOOLS.iter().map(|(name, _)| *name).collect::<Vec<_>>())
    }
}

impl Toolbox for ToyTools {
    fn manifests(&self) -> &[Arc<Manifest>] {
        &self.manifests
    }

    fn plan(&self, call: &ToolCall) -> Result<Plan, String> {
        let (name, input) = (&*call.name, &*call.input);
        if name == "ghost" {
            return Ok(Plan::Run(Needs { acts: Acts::NONE, capability: everything(), label: Label::default() }));
        }
        let names = self.manifests.iter().map(|manifest| &*manifest.name);
        if !names.clone().any(|known| known == name) {
            let guess = nearest(name, names).map(|guess| format!("; did you mean {guess}?"));
            return Err(format!("there is no tool {name}{}", guess.unwrap_or_default()));
        }
        if input.split(' ').any(|word| word == "bad") {
            return Err("the input is wrong".to_owned());
        }
        match name {
            "spawn" => Ok(spawn(input)),
            "recall" => Ok(Plan::Recall(input.into())),
            _ => needs(name, input).map(Plan::Run),
        }
    }
}

fn manifest(name: &str, acts: &[Act]) -> Manifest {
    let capability = match name {
        "clock" => Capability::default(),
        "read" => Capability::default().with_read(places(&["$workspace"])),
        _ => everything(),
    };
    Manifest {
        name: name.into(),
        version: "1.0.0".into(),
        description: "A tool of the play".into(),
        input: "{}".into(),
        runtime: Runtime::Builtin,
        acts: Acts::of(acts),
        capability,
        limits: Limits { output_bytes_max: 4_096, ..Limits::BUILTIN },
    }
}

/// A capability that reaches all files, all programs and every public host.
#[must_use]
pub fn everything() -> Capability {
    let all = || places(&["/", "$workspace"]);
    Capability::default().with_network(Network::Public).with_read(all()).with_write(all()).with_programs(all())
}

fn places(texts: &[&str]) -> Vec<Place> {
    texts.iter().filter_map(|text| Place::parse(text).ok()).collect()
}

fn spawn(input: &str) -> Plan {
    let is_tools = |word: &&str| word.starts_with("tools=");
    let tools = input.split(' ').find(is_tools).map(|word| word["tools=".len()..].split(',').map(Into::into).collect());
    let goal: Vec<&str> = input.split(' ').filter(|word| !is_tools(word)).collect();
    Plan::Spawn { goal: goal.join(" ").into(), tools }
}

fn needs(name: &str, input: &str) -> Result<Needs, String> {
    let own = TOOLS.iter().find(|(known, _)| *known == name).map_or(Acts::NONE, |(_, acts)| Acts::of(acts));
    let label = match name {
        "peek" => Label::from(Origin::Tool).private(),
        "fetch" | "post" => Label::from(Origin::Web),
        _ => Label::from(Origin::Tool),
    };
    let mut needs = Needs { acts: own, capability: Capability::default(), label };
    for word in input.split(' ') {
        let Some((key, value)) = word.split_once('=') else { continue };
        let place = || Place::parse(value).map(|place| vec![place]).map_err(|error| error.to_string());
        match key {
            "acts" => needs.acts = needs.acts.union(acts(value)?),
            "label" => needs.label = needs.label.join(self::label(value)?),
            "reads" => needs.capability = needs.capability.with_read(place()?),
            "writes" => needs.capability = needs.capability.with_write(place()?),
            "runs" => needs.capability = needs.capability.with_programs(place()?),
            "host" => needs.capability = needs.capability.with_network(network(value)?),
            _ => {}
        }
    }
    Ok(needs)
}

/// Acts by name, joined by `+`.
pub(super) fn acts(names: &str) -> Result<Acts, String> {
    let one = |name| Act::named(name).map(|act| Acts::of(&[act])).ok_or(format!("there is no act `{name}`"));
    names.split('+').try_fold(Acts::NONE, |acts, name| Ok(acts.union(one(name)?)))
}

/// Hosts joined by `,`, or `public`, or `none`.
pub(super) fn network(names: &str) -> Result<Network, String> {
    match names {
        "public" => Ok(Network::Public),
        "none" => Ok(Network::None),
        _ => {
            let hosts: Result<Vec<Host>, _> = names.split(',').map(Host::parse).collect();
            hosts.map(Network::hosts).map_err(|error| error.to_string())
        }
    }
}

/// Origins and bits joined by `+`, such as `web+private`.
pub(super) fn label(names: &str) -> Result<Label, String> {
    names.split('+').try_fold(Label::default(), |label, name| {
        Ok(match (name, Origin::named(name)) {
            ("private", _) => label.private(),
            ("untrusted", _) => label.untrusted(),
            ("none", _) => label,
            (_, Some(origin)) => label.join(Label::from(origin)),
            _ => return Err(format!("`{name}` is no part of a label")),
        })
    })
}
