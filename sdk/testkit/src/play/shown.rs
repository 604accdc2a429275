//! How a play writes down wishes, events and transcripts.

use aether_core::dispatcher::Counters;
use aether_core::event::{Event, Next};
use aether_core::facts::{Effect, Outcome, Verdict};
use aether_core::governor::Spending;
use aether_core::model::{Part, Question, ToolUse};
use aether_core::spec::Spec;
use aether_core::transcript::{Entry, ToolOutcome};

use super::header::Notes;
use super::notation::{listed, quoted};
use super::stage::Actor;

/// Whether a play shows this event.
pub(super) fn is_shown(notes: Notes, event: &Event) -> bool {
    let is_telling = match event {
        Event::Failed { .. } | Event::Tripped { .. } | Event::Folded { .. } | Event::Refused { .. } => true,
        Event::Labelled { label } => label.untrusted || label.private,
        _ => false,
    };
    notes == Notes::All || (notes == Notes::Some && is_telling)
}

/// One wish.
pub(super) fn effect(actor: &Actor, effect: &Effect, question: Option<Question<'_>>) -> String {
    match effect {
        Effect::Ask { ask, model } => asked(&actor.name_of(*ask), *model, question),
        Effect::Run { run, authorized } => {
            let call = authorized.call();
            format!("run {} {} {}", actor.name_of(*run), call.name, quoted(&call.input))
        }
        Effect::Approve { approval, request } => {
            let (call, acts) = (&request.call, request.acts);
            let name = actor.name_of(*approval);
            format!("approve {name} {} {} ({acts}) because {}", call.name, quoted(&call.input), request.reason)
        }
        Effect::Spawn { run, child } => format!("spawn {} {}", actor.name_of(*run), spec(child)),
        Effect::Cancel { wish } => format!("cancel {}", actor.name_of(*wish)),
        Effect::Say { text, .. } => format!("say {}", quoted(text)),
        Effect::Reason { text, .. } => format!("think {}", quoted(text)),
        Effect::Unsay { ask } => format!("unsay {}", actor.name_of(*ask)),
        Effect::Note(event) => format!("note {}", note(actor, event)),
        Effect::End(outcome) => end(outcome),
    }
}

fn asked(name: &str, model: usize, question: Option<Question<'_>>) -> String {
    let Some(question) = question else { return format!("ask {name}, but there is no question") };
    let of = if model == 0 { String::new() } else { format!(" of {}", question.model) };
    let tools = if question.tool_use == ToolUse::Forbidden { " without tools" } else { "" };
    let persons = question.entries.iter().filter(|entry| matches!(entry, Entry::Person { .. })).count();
    let last = match question.entries.last() {
        Some(Entry::Person { .. }) if persons == 1 => "goal".to_owned(),
        Some(entry) => entry_line(entry),
        None => "nothing".to_owned(),
    };
    format!("ask {name}{of}{tools} after {last}")
}

/// One entry of a transcript, without its label.
fn entry_text(entry: &Entry) -> String {
    match entry {
        Entry::Person { text, images, .. } if images.is_empty() => format!("person {}", quoted(text)),
        Entry::Person { text, images, .. } => format!("person {} and {} images", quoted(text), images.len()),
        Entry::Model { parts, .. } => format!("model {}", listed(parts.iter().map(part))),
        Entry::Tool(tool) => {
            let outcome = if tool.outcome == ToolOutcome::Done { "ok" } else { "fail" };
            format!("{} {outcome} {}", tool.name, quoted(tool.shown()))
        }
        Entry::Note { text, .. } => format!("note {}", quoted(text)),
    }
}

/// One entry of a transcript, with its label where that is not the usual one.
pub(super) fn entry_line(entry: &Entry) -> String {
    let label = entry.label().to_string();
    let usual = match entry {
        Entry::Person { .. } => "person",
        Entry::Model { .. } => "model",
        Entry::Tool(_) => "tool",
        Entry::Note { .. } => "none",
    };
    let text = entry_text(entry);
    if label == usual { text } else { format!("{text} [{label}]") }
}

fn part(part: &Part) -> String {
    match part {
        Part::Text(text) => quoted(text),
        Part::Carried(text) => format!("carried {}", quoted(text)),
        Part::Call(call) => format!("{} {}({})", call.id, call.name, quoted(&call.input)),
    }
}

fn spec(spec: &Spec) -> String {
    let g = &spec.governors;
    let tools = spec.grant.tools.as_ref().map_or("all".to_owned(), listed);
    format!(
        "{} [{}] asker {}, depth {}, tools {tools}, {} deeper, {} ms, {} asks, {} calls, {}+{} tokens, {} micro-USD, {} bytes",
        quoted(&spec.goal.text),
        spec.goal.label,
        spec.asker,
        spec.depth,
        g.depth_max,
        g.wall_ms_max,
        g.model_calls_max,
        g.tool_calls_max,
        g.input_tokens_max,
        g.output_tokens_max,
        g.cost_micro_usd_max,
        g.output_bytes_max,
    )
}

fn end(outcome: &Outcome) -> String {
    let verdict = match &outcome.verdict {
        Verdict::Spent(_) => format!("spent ({})", outcome.verdict.name()),
        Verdict::Failed(error) => format!("failed ({}: {error})", outcome.verdict.name()),
        _ => outcome.verdict.name().to_owned(),
    };
    format!("end {verdict} {}; {} [{}]", quoted(&outcome.answer), used(&outcome.spending), outcome.label)
}

fn used(spending: &Spending) -> String {
    let mut used = format!("{} asks, {} calls", spending.model_calls, spending.tool_calls);
    let usage = spending.usage;
    if usage.input_tokens + usage.output_tokens > 0 {
        used += &format!(", {}+{} tokens", usage.input_tokens, usage.output_tokens);
    }
    if spending.cost_micro_usd() > 0 {
        used += &format!(", {} micro-USD", spending.cost_micro_usd());
    }
    used
}

/// The counters of a dispatcher.
pub(super) fn counters(c: &Counters) -> String {
    format!(
        "| spawned {}, destroyed {}, refused {}, surprises {}, alive {}\n",
        c.spawned, c.destroyed, c.refused, c.surprises, c.alive
    )
}

fn note(actor: &Actor, event: &Event) -> String {
    let name = |wish| actor.name_of(wish);
    match event {
        Event::Spawned { depth, label } => format!("spawned at depth {depth} [{label}]"),
        Event::Asked { ask, model, attempt, entries, bytes, tool_use } => {
            let tools = if *tool_use == ToolUse::Allowed { "with" } else { "without" };
            let ask = name(*ask);
            format!("asked {ask} of model {model}, attempt {attempt}, {entries} entries, {bytes} bytes, {tools} tools")
        }
        Event::Answered { ask, usage, stop, calls } => {
            let (input, output) = (usage.input_tokens, usage.output_tokens);
            format!("answered {}, {input}+{output} tokens, {calls} calls, {stop}", name(*ask))
        }
        Event::Failed { ask, kind, next } => {
            let next = match next {
                Next::Retry { after_ms } => format!("retry after {after_ms} ms"),
                Next::Fallback => "fallback".to_owned(),
                Next::Fold => "fold".to_owned(),
                Next::GiveUp => "give up".to_owned(),
            };
            format!("failed {}, {kind}, {next}", name(*ask))
        }
        Event::Allowed { run, tool, acts, .. } => format!("allowed {} {} ({acts})", name(*run), tool.name),
        Event::Wanted { approval, tool, .. } => format!("wanted {} {}", name(*approval), tool.name),
        Event::Approved { approval, scope } => format!("approved {} {scope}", name(*approval)),
        Event::Refused { tool, why } => format!("refused {tool}, {why}"),
        Event::Returned { run, outcome, bytes, label } => {
            format!("returned {} {outcome}, {bytes} bytes [{label}]", name(*run))
        }
        Event::Delegated { run } => format!("delegated {}", name(*run)),
        Event::Labelled { label } => format!("labelled [{label}]"),
        Event::Tripped { governor } => format!("tripped {governor}"),
        Event::Folded { how, entries, bytes_before, bytes_after } => {
            format!("folded {entries} entries into {how}, {bytes_before} to {bytes_after} bytes")
        }
        Event::Steered => "steered".to_owned(),
        Event::Ended { verdict, spending } => format!("ended {verdict}, {}", used(spending)),
    }
}
