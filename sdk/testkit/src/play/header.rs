//! What a play says before it begins: the task, its grant and budgets, its models and its policy.

use std::sync::Arc;

use aether_core::capability::Place;
use aether_core::dispatcher::Capacity;
use aether_core::governor::{Governors, Price};
use aether_core::label::{Label, Origin};
use aether_core::model::{ModelOptions, Part};
use aether_core::policy::{Asker, Decision, Policy};
use aether_core::spec::{Frame, Message, ModelChoice, Retry, Spec};
use aether_core::tool::{Act, Acts, Grant, Limits, ToolCall};
use aether_core::transcript::{Entry, Image, ToolEntry, ToolOutcome};

use super::notation::{Words, parsed};
use super::toolbox::{TOOLS, ToyTools, acts, everything, label, network};

/// The codec's name in every play.
pub(super) const CODEC: &str = "toy";

/// Which events a play shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notes {
    /// All.
    All,
    /// Those that say why something happened.
    Some,
    /// None.
    None,
}

/// Everything a header can say.
pub(super) struct Setting {
    goal: Message,
    history: Vec<Entry>,
    grant: Grant,
    governors: Governors,
    policy: Policy,
    retry: Retry,
    models: Vec<ModelChoice>,
    tools: Vec<String>,
    asker: Asker,
    depth: u8,
    pub(super) capacity: Option<Capacity>,
    pub(super) notes: Notes,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            goal: Message::typed("the goal"),
            history: Vec::new(),
            grant: Grant { acts: Acts::ALL, capability: everything(), tools: None, limits: Limits::BUILTIN },
            governors: Governors::default(),
            policy: Policy::default(),
            retry: Retry::default(),
            models: vec![model("a")],
            tools: TOOLS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            asker: Asker::Terminal,
            depth: 0,
            capacity: None,
            notes: Notes::Some,
        }
    }
}

fn model(name: &str) -> ModelChoice {
    ModelChoice { name: name.into(), codec: CODEC, window_tokens: 100_000, price: Price::default() }
}

impl Setting {
    /// The task that the header describes.
    pub(super) fn spec(&self) -> Spec {
        let tools: Vec<&str> = self.tools.iter().map(String::as_str).collect();
        let frame = Frame {
            system: "You are in a play.".into(),
            toolbox: Arc::new(ToyTools::of(&tools)),
            models: self.models.clone(),
            options: ModelOptions::default(),
            policy: self.policy.clone(),
            retry: self.retry,
        };
        Spec {
            frame: Arc::new(frame),
            history: self.history.clone(),
            goal: self.goal.clone(),
            grant: self.grant.clone(),
            governors: self.governors.clone(),
            asker: self.asker,
            depth: self.depth,
            tenant: 0,
            seed: 7,
        }
    }

    /// Takes in one line of the header.
    pub(super) fn read(&mut self, line: &str) -> Result<(), String> {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        if key == "goal" {
            self.goal.text = rest.into();
            return Ok(());
        }
        let mut words = Words::of(rest)?;
        match key {
            "from" => self.goal.label = label(&words.need("a label")?)?,
            "image" => self.goal.images.push(image(words.number()?)),
            "grant" => self.read_grant(&mut words)?,
            "limits" => self.read_limits(&mut words)?,
            "policy" => self.read_policy(&mut words)?,
            "retry" => self.read_retry(&mut words)?,
            "models" => self.models = read_models(&mut words)?,
            "tools" => self.tools = std::iter::from_fn(|| words.word()).collect(),
            "asker" => self.asker = asker(&words.need("who asks")?)?,
            "depth" => self.depth = words.number()?,
            "history" => self.history.push(entry(&mut words)?),
            "dispatcher" => {
                self.capacity = Some(Capacity { tasks_max: words.number()?, tenant_tasks_max: words.number()? });
            }
            "notes" => {
                self.notes = match &*words.need("all, some or none")? {
                    "all" => Notes::All,
                    "some" => Notes::Some,
                    _ => Notes::None,
                }
            }
            _ => return Err(format!("a header has no line `{key}`")),
        }
        words.end()
    }

    fn read_grant(&mut self, words: &mut Words) -> Result<(), String> {
        let capability = self.grant.capability.clone();
        let first = words.need("tools, or acts, reads, writes, runs, hosts or limits")?;
        let mut places = || -> Result<Vec<Place>, String> {
            let texts = std::iter::from_fn(|| words.word());
            texts.map(|text| Place::parse(&text).map_err(|error| error.to_string())).collect()
        };
        match &*first {
            "acts" => self.grant.acts = acts(&words.need("acts")?)?,
            "reads" => self.grant.capability = capability.with_read(places()?),
            "writes" => self.grant.capability = capability.with_write(places()?),
            "runs" => self.grant.capability = capability.with_programs(places()?),
            "hosts" => self.grant.capability = capability.with_network(network(&words.need("hosts")?)?),
            "limits" => {
                self.grant.limits.runtime_ms_max = words.number()?;
                self.grant.limits.output_bytes_max = words.number()?;
            }
            _ => {
                let rest = std::iter::from_fn(|| words.word());
                self.grant.tools = Some(std::iter::once(first).chain(rest).map(Into::into).collect());
            }
        }
        Ok(())
    }

    fn read_limits(&mut self, words: &mut Words) -> Result<(), String> {
        let g = &mut self.governors;
        while let Some(word) = words.word() {
            let (key, value) = word.split_once('=').ok_or("wanted name=number")?;
            match key {
                "wall" => g.wall_ms_max = parsed(value)?,
                "closing" => g.closing_ms_max = parsed(value)?,
                "model_calls" => g.model_calls_max = parsed(value)?,
                "tool_calls" => g.tool_calls_max = parsed(value)?,
                "input_tokens" => g.input_tokens_max = parsed(value)?,
                "output_tokens" => g.output_tokens_max = parsed(value)?,
                "cost" => g.cost_micro_usd_max = parsed(value)?,
                "output_bytes" => g.output_bytes_max = parsed(value)?,
                "depth" => g.depth_max = parsed(value)?,
                "repeats" => g.repeats_max = parsed(value)?,
                _ => return Err(format!("there is no limit `{key}`")),
            }
        }
        Ok(())
    }

    fn read_policy(&mut self, words: &mut Words) -> Result<(), String> {
        let (act, decision) = (words.need("an act or `all`")?, words.need("allow, ask or deny")?);
        let decision = Decision::named(&decision).ok_or(format!("`{decision}` is no decision"))?;
        let askers: Vec<Asker> = match words.word() {
            Some(name) => vec![asker(&name)?],
            None => Asker::ALL.to_vec(),
        };
        for known in Act::ALL.iter().filter(|known| act == "all" || known.name() == act) {
            for asker in &askers {
                self.policy.set(*known, *asker, decision);
            }
        }
        Ok(())
    }

    fn read_retry(&mut self, words: &mut Words) -> Result<(), String> {
        while let Some(word) = words.word() {
            let (key, value) = word.split_once('=').ok_or("wanted name=number")?;
            match key {
                "attempts" => self.retry.attempts_max = parsed(value)?,
                "min" => self.retry.backoff_ms_min = parsed(value)?,
                "max" => self.retry.backoff_ms_max = parsed(value)?,
                "approval" => self.retry.approval_ms_max = parsed(value)?,
                _ => return Err(format!("a retry has no `{key}`")),
            }
        }
        Ok(())
    }
}

fn asker(name: &str) -> Result<Asker, String> {
    Asker::named(name).ok_or(format!("nobody is called `{name}`"))
}

/// An image of that many bytes.
pub(super) fn image(bytes: usize) -> Image {
    Image { media_type: "image/png".into(), bytes: vec![0; bytes].into() }
}

/// `name`, `name:window`, or `name:window:input:cached:output` with prices.
fn read_models(words: &mut Words) -> Result<Vec<ModelChoice>, String> {
    let mut models = Vec::new();
    while let Some(word) = words.word() {
        let mut parts = word.split(':');
        let mut choice = model(parts.next().unwrap_or_default());
        if let Some(window) = parts.next() {
            choice.window_tokens = parsed(window)?;
        }
        let prices: Result<Vec<u64>, String> = parts.map(parsed).collect();
        if let [input, cached, output] = prices?[..] {
            choice.price = Price { input, cached, output };
        }
        models.push(choice);
    }
    Ok(models)
}

/// An entry of the history: `person "…"`, `note "…"`, `model "…"`, `call NAME ID "input"`, `tool NAME ID "…"`, each
/// with a label where it has one.
fn entry(words: &mut Words) -> Result<Entry, String> {
    let kind = words.need("person, note, model, call or tool")?;
    let (name, call) = match &*kind {
        "call" | "tool" => (words.need("a tool")?.into(), words.need("the id of a call")?.into()),
        _ => ("".into(), "".into()),
    };
    let text: Box<str> = words.need_text()?.into();
    let own = words.word().map(|names| label(&names)).transpose()?;
    let or = |origin| own.unwrap_or(Label::from(origin));
    Ok(match &*kind {
        "person" => Entry::Person { text, images: Vec::new(), label: or(Origin::Person) },
        "note" => Entry::Note { text, label: own.unwrap_or_default() },
        "model" => Entry::Model { parts: vec![Part::Text(text)], codec: CODEC },
        "call" => Entry::Model { parts: vec![Part::Call(ToolCall { id: call, name, input: text })], codec: CODEC },
        "tool" => {
            let (outcome, folded, label) = (ToolOutcome::Done, None, or(Origin::Tool));
            Entry::Tool(ToolEntry { call, name, outcome, text, folded, label })
        }
        _ => return Err(format!("history has no `{kind}`")),
    })
}
