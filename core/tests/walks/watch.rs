//! What holds of every task at every step, judged from outside by other means than the kernel's own.

use std::collections::BTreeMap;

use aether_core::capability::{Capability, Host, Network, Place};
use aether_core::event::{Event, Next, Scope};
use aether_core::facts::{Answer, Effect, Outcome};
use aether_core::label::Label;
use aether_core::model::{Part, Question, ToolUse};
use aether_core::policy::Decision;
use aether_core::spec::Spec;
use aether_core::tool::{Act, Acts, Authorized, Needs, Plan};
use aether_core::transcript::Entry;
use aether_core::words::{Millis, WishId};
use aether_testkit::play::settled;

/// What an open wish waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ask,
    Run,
    Approval,
    Child,
}

/// An approval that the person gave for the rest of the task.
struct Standing {
    tool: String,
    acts: Acts,
    network: Network,
}

/// One task as it looks from outside.
pub(crate) struct Watch {
    spec: Spec,
    start: Millis,
    pub(crate) open: BTreeMap<WishId, Kind>,
    pub(crate) closed: Vec<WishId>,
    asked: BTreeMap<WishId, (String, Needs)>,
    /// Calls that the person said yes to and that have not run yet.
    approved: Vec<String>,
    standing: Vec<Standing>,
    /// Label of everything in the last question, and of what went into the transcript since.
    label: Label,
    last: WishId,
    asks: u32,
    said_bytes: u64,
    runs: u32,
    folds: u32,
    pub(crate) ended: Option<Outcome>,
}

impl Watch {
    pub(crate) fn new(start: Millis, spec: Spec) -> Watch {
        let label = spec.history.iter().fold(spec.goal.label, |label, entry| label.join(entry.label()));
        Watch {
            spec,
            start,
            open: BTreeMap::new(),
            closed: Vec::new(),
            asked: BTreeMap::new(),
            approved: Vec::new(),
            standing: Vec::new(),
            label,
            last: WishId(0),
            asks: 0,
            said_bytes: 0,
            runs: 0,
            folds: 0,
            ended: None,
        }
    }

    /// The person answers: remembered before it is said.
    pub(crate) fn answered(&mut self, approval: WishId, answer: &Answer) {
        let Some((id, needs)) = self.asked.get(&approval).cloned() else { return };
        if let Answer::Yes(scope) = answer {
            self.approved.push(id.clone());
            let is_tainted = self.label.untrusted && self.label.private;
            let is_sink = needs.acts.iter().any(leaves_the_machine);
            if *scope == Scope::Task && !(is_tainted && is_sink) {
                let (tool, network) = (id.split(' ').nth(1).unwrap().to_owned(), needs.capability.network);
                self.standing.push(Standing { tool, acts: needs.acts, network });
            }
        }
    }

    /// A wish was answered.
    pub(crate) fn close(&mut self, wish: WishId) {
        assert!(self.open.remove(&wish).is_some(), "K2: {wish} was answered but not open");
        self.closed.push(wish);
    }

    fn wish(&mut self, wish: WishId, kind: Kind) {
        assert!(wish > self.last, "K2: {wish} is not new");
        self.last = wish;
        self.open.insert(wish, kind);
    }

    /// One effect, and the question that is open with it.
    pub(crate) fn hear(&mut self, effect: &Effect, question: Option<Question<'_>>) {
        assert!(self.ended.is_none(), "an effect after the end: {effect:?}");
        match effect {
            Effect::Ask { ask, model } => {
                self.wish(*ask, Kind::Ask);
                let question = question.expect("every question that is asked is there");
                assert_eq!(question.model, &*self.spec.frame.models[*model].name);
                self.label = question
                    .entries
                    .iter()
                    .fold(Label::default(), |label, entry| label.join(entry.label()))
                    .join(self.label);
                assert!(self.open.values().filter(|kind| **kind == Kind::Ask).count() == 1, "one question at a time");
                if question.tool_use == ToolUse::Allowed {
                    settled(question.entries).unwrap();
                }
            }
            Effect::Run { run, authorized } => {
                self.runs += 1;
                assert!(self.runs <= self.spec.governors.tool_calls_max, "K3: more runs than calls");
                self.authorized(authorized);
                self.wish(*run, Kind::Run);
            }
            Effect::Approve { approval, request } => {
                let id = format!("{} {} {}", request.call.id, request.call.name, request.call.input);
                let Ok(Plan::Run(needs)) = self.spec.frame.toolbox.plan(&request.call) else {
                    panic!("asked about nothing")
                };
                self.asked.insert(*approval, (id, needs));
                self.wish(*approval, Kind::Approval);
            }
            Effect::Spawn { run, child } => {
                self.child(child);
                self.wish(*run, Kind::Child);
            }
            Effect::Cancel { wish } => self.close(*wish),
            Effect::Say { ask, text } => {
                assert!(self.open.get(ask) == Some(&Kind::Ask) || self.closed.contains(ask));
                assert!(!text.is_empty());
                self.said_bytes += text.len() as u64;
                assert!(self.said_bytes <= self.spec.governors.output_bytes_max, "K3: said too much");
            }
            Effect::Note(event) => self.note(event),
            Effect::End(outcome) => self.end(outcome),
            Effect::Reason { .. } | Effect::Unsay { .. } => {}
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Asked { .. } => {
                self.asks += 1;
                let frame = &self.spec.frame;
                let closing = frame.models.len() as u32 * frame.retry.attempts_max;
                let most = self.spec.governors.model_calls_max + closing + self.folds;
                assert!(self.asks <= most, "K3: {} questions, at most {most}", self.asks);
            }
            Event::Folded { bytes_before, bytes_after, how, .. } => {
                self.folds += 1;
                assert!(bytes_after < bytes_before || *how == aether_core::event::Folding::Summary);
            }
            Event::Failed { next: Next::Retry { after_ms }, .. } => {
                assert!(*after_ms < self.spec.governors.wall_ms_max, "K3: it would rest beyond its end");
            }
            Event::Labelled { label } => {
                assert!(self.label.within(label.join(self.label)));
                self.label = self.label.join(*label);
            }
            _ => {}
        }
    }

    /// K4: grant ∧ manifest ∧ policy ∧ what the person said.
    fn authorized(&mut self, authorized: &Authorized) {
        let (call, needs, grant) = (authorized.call(), authorized.needs(), &self.spec.grant);
        let frame = &self.spec.frame;
        assert_eq!(frame.toolbox.plan(call), Ok(Plan::Run(needs.clone())), "K4: other needs than planned");
        assert_eq!(*authorized.digest(), call.digest());
        if let Some(tools) = &grant.tools {
            assert!(tools.contains(&call.name), "K4: {} is not granted", call.name);
        }
        let manifest = frame.toolbox.manifests().iter().find(|m| m.name == call.name).expect("K4: an unknown tool ran");
        for (acts, capability) in [(grant.acts, &grant.capability), (manifest.acts, &manifest.capability)] {
            assert!(needs.acts.iter().all(|act| acts.has(act)), "K4: {} beyond {acts}", needs.acts);
            assert!(reaches(capability, &needs.capability), "K4: {:?} beyond {capability:?}", needs.capability);
        }
        for limits in [grant.limits, manifest.limits] {
            let own = authorized.limits();
            assert!(own.runtime_ms_max <= limits.runtime_ms_max && own.output_bytes_max <= limits.output_bytes_max);
        }
        let id = format!("{} {} {}", call.id, call.name, call.input);
        let is_approved = self.approved.contains(&id);
        let mut askers = vec![self.spec.asker];
        if self.spec.depth > 0 {
            askers.push(aether_core::policy::Asker::Agent);
        }
        let is_standing = self.standing.iter().any(|standing| {
            standing.tool == *call.name
                && needs.acts.iter().all(|act| standing.acts.has(act))
                && hosts_reach(&standing.network, &needs.capability.network)
        });
        for act in needs.acts.iter() {
            for asker in &askers {
                match frame.policy.decision(act, *asker) {
                    Decision::Allow => {}
                    Decision::Ask => assert!(is_approved || is_standing, "K4: {act} was not approved"),
                    Decision::Deny => panic!("K4: {act} is denied to {asker}"),
                }
            }
            if self.label.untrusted && self.label.private && leaves_the_machine(act) {
                assert!(is_approved, "K4: {act} would leak and was not approved");
            }
        }
    }

    /// K5: nothing of a child exceeds its parent.
    fn child(&self, child: &Spec) {
        let (mine, theirs) = (&self.spec.governors, &child.governors);
        assert!(self.spec.grant.covers(&child.grant), "K5: a wider grant");
        assert!(reaches(&self.spec.grant.capability, &child.grant.capability), "K5: a wider reach");
        assert!(self.label.within(child.goal.label), "K5: a label got lost");
        assert!(theirs.model_calls_max <= mine.model_calls_max && theirs.tool_calls_max <= mine.tool_calls_max, "K5");
        assert!(theirs.wall_ms_max <= mine.wall_ms_max && theirs.depth_max < mine.depth_max, "K5");
        assert!(theirs.input_tokens_max <= mine.input_tokens_max && theirs.output_tokens_max <= mine.output_tokens_max);
        assert!(
            theirs.cost_micro_usd_max <= mine.cost_micro_usd_max && theirs.output_bytes_max <= mine.output_bytes_max
        );
        assert_eq!((child.asker, child.tenant), (self.spec.asker, self.spec.tenant));
        assert!(child.depth > self.spec.depth && child.history.is_empty());
    }

    fn end(&mut self, outcome: &Outcome) {
        assert!(self.open.is_empty(), "K2: {:?} are still open at the end", self.open);
        settled(&outcome.entries).unwrap();
        for entry in &outcome.entries {
            assert!(entry.label().within(outcome.label), "the label of an entry got lost");
            if let Entry::Model { parts, .. } = entry {
                assert!(parts.iter().any(|part| !matches!(part, Part::Carried(_))), "a turn that shows nothing");
            }
        }
        assert!(self.label.within(outcome.label), "a label got lost");
        self.ended = Some(outcome.clone());
    }

    /// Questions it has asked.
    pub(crate) fn asks(&self) -> u32 {
        self.asks
    }

    /// Bytes it has said.
    pub(crate) fn said_bytes(&self) -> u64 {
        self.said_bytes
    }

    /// K7, after a fact was taken at `now`.
    pub(crate) fn is_in_time(&self, now: Millis) -> bool {
        self.ended.is_some() || now < self.start.after(self.spec.governors.wall_ms_max)
    }
}

pub(crate) fn leaves_the_machine(act: Act) -> bool {
    ["network_read", "network_send", "message_person", "spend"].contains(&act.name())
}

/// Whether one capability reaches all that another does, told from their texts alone.
pub(crate) fn reaches(wide: &Capability, narrow: &Capability) -> bool {
    let pairs = [(wide.read(), narrow.read()), (wide.write(), narrow.write()), (wide.programs(), narrow.programs())];
    pairs.iter().all(|(wide, narrow)| narrow.iter().all(|n| wide.iter().any(|w| place_reaches(w, n))))
        && hosts_reach(&wide.network, &narrow.network)
}

fn place_reaches(wide: &Place, narrow: &Place) -> bool {
    let parts =
        |place: &Place| place.to_string().split('/').map(str::to_owned).filter(|p| !p.is_empty()).collect::<Vec<_>>();
    let same_root = wide.as_str().starts_with('/') == narrow.as_str().starts_with('/');
    same_root && parts(narrow).starts_with(&parts(wide))
}

fn hosts_reach(wide: &Network, narrow: &Network) -> bool {
    match (wide, narrow) {
        (_, Network::None) | (Network::Public, _) => true,
        (Network::Hosts(wide), Network::Hosts(narrow)) => {
            narrow.iter().all(|n| wide.iter().any(|w| host_reaches(w, n)))
        }
        _ => false,
    }
}

fn host_reaches(wide: &Host, narrow: &Host) -> bool {
    let (wide, narrow) = (wide.to_string(), narrow.to_string());
    match wide.strip_prefix("*.") {
        None => wide == narrow,
        Some(tail) => match narrow.strip_prefix("*.") {
            Some(narrow) => narrow == tail || narrow.ends_with(&format!(".{tail}")),
            None => narrow.ends_with(&format!(".{tail}")),
        },
    }
}
