//! A transcript seen as exchanges: what the model said, what its calls gave, what was said next.
//!
//! The kernel's entries are flat; the formats of Anthropic and Google speak in turns, and are strict about
//! which result stands behind which call. This is the one place that pairs them.

use aether_core::model::Part;
use aether_core::tool::ToolCall;
use aether_core::transcript::{Entry, ToolEntry};

use crate::json;

/// One turn of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelTurn<'a> {
    /// The place of its entry in the transcript; the same in every question of a task.
    pub(crate) index: usize,
    /// Its pieces.
    pub(crate) parts: &'a [Part],
    /// The codec that read them.
    pub(crate) codec: &'static str,
}

impl ModelTurn<'_> {
    /// Whether there is anything in it that a provider takes: what is carried may not stand alone.
    pub(crate) fn says_something(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(text) => !is_blank(text),
            Part::Carried(_) => false,
            Part::Call(_) => true,
        })
    }
}

/// A turn of the model, if there was one, and everything up to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    /// What the model said; `None` only at the head of a transcript.
    pub(crate) turn: Option<ModelTurn<'a>>,
    /// The results that follow it directly.
    pub(crate) results: &'a [Entry],
    /// Everything else up to the model's next turn.
    pub(crate) said: &'a [Entry],
}

/// The exchanges of a transcript, oldest first.
pub(crate) fn exchanges(entries: &[Entry]) -> impl Iterator<Item = Exchange<'_>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let first = entries.get(at)?;
        let turn = match first {
            Entry::Model { parts, codec } => Some(ModelTurn { index: at, parts, codec }),
            _ => None,
        };
        let rest = &entries[at + usize::from(turn.is_some())..];
        let results = match turn {
            Some(_) => rest.iter().take_while(|entry| matches!(entry, Entry::Tool(_))).count(),
            None => 0,
        };
        let said = rest[results..].iter().take_while(|entry| !matches!(entry, Entry::Model { .. })).count();
        at += usize::from(turn.is_some()) + results + said;
        Some(Exchange { turn, results: &rest[..results], said: &rest[results..results + said] })
    })
}

impl<'a> Exchange<'a> {
    /// The calls of the turn and the result of each. A call without a result is one that never ran.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (&'a ToolCall, Option<&'a ToolEntry>)> + use<'a> {
        let results = self.results;
        let parts: &'a [Part] = self.turn.map_or(&[], |turn| turn.parts);
        let calls = parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some(call),
            Part::Text(_) | Part::Carried(_) => None,
        });
        calls.enumerate().map(move |(position, call)| (call, result_of(results, position, call)))
    }

    /// The results that answer no call of the turn: they can only be told as text.
    pub(crate) fn strays(&self) -> impl Iterator<Item = &'a ToolEntry> + use<'a> {
        let parts: &'a [Part] = self.turn.map_or(&[], |turn| turn.parts);
        self.results.iter().filter_map(move |entry| match entry {
            Entry::Tool(tool) if !has_call(parts, &tool.call) => Some(tool),
            _ => None,
        })
    }
}

/// The result of a call: in the order of the calls, as the kernel keeps them, or else by id.
fn result_of<'a>(results: &'a [Entry], position: usize, call: &ToolCall) -> Option<&'a ToolEntry> {
    let answers = |entry: &'a Entry| match entry {
        Entry::Tool(tool) if tool.call == call.id => Some(tool),
        _ => None,
    };
    results.get(position).and_then(answers).or_else(|| results.iter().find_map(answers))
}

fn has_call(parts: &[Part], id: &str) -> bool {
    parts.iter().any(|part| matches!(part, Part::Call(call) if &*call.id == id))
}

/// A block as a provider wants it back, marked with the model that made it: another model refuses it.
pub(crate) fn marked(model: &str, block: &str) -> Box<str> {
    let mut carried = String::with_capacity(model.len() + 1 + block.len());
    carried.push_str(model);
    carried.push('\n');
    carried.push_str(block);
    carried.into_boxed_str()
}

/// What [`marked`] marked, if it is fit for `model`: made by it, or by its dated or undated twin, or by nobody known.
/// What is no JSON object was damaged on the way here, and would make the whole request unreadable.
pub(crate) fn unmarked<'a>(carried: &'a str, model: &str) -> Option<&'a str> {
    let (maker, block) = carried.split_once('\n')?;
    let (maker, wanted) = (plain(maker), plain(model));
    let dates = |longer: &str, shorter: &str| longer.strip_prefix(shorter).is_some_and(is_snapshot);
    let is_fit = maker.is_empty() || wanted.ends_with("-latest") || dates(&maker, &wanted) || dates(&wanted, &maker);
    (is_fit && json::is_object(block)).then_some(block)
}

/// A model's name without the maker before it, and with dashes where routers put dots.
fn plain(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).replace('.', "-")
}

/// Whether what stands behind a model's name only dates it: nothing, or `-20260101`, or `-001`.
fn is_snapshot(suffix: &str) -> bool {
    let date = suffix.trim_start_matches(['-', '@']);
    date.is_empty() || (date.len() >= 3 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

/// Whether a provider would call this text empty.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_core::label::{Label, Origin};
    use aether_core::transcript::ToolOutcome;

    fn person(text: &str) -> Entry {
        Entry::Person { text: text.into(), images: Vec::new(), label: Label::from(Origin::Person) }
    }

    fn calls(ids: &[&str]) -> Entry {
        let parts =
            ids.iter().map(|id| Part::Call(ToolCall { id: (*id).into(), name: "t".into(), input: "{}".into() }));
        Entry::Model { parts: parts.collect(), codec: "x" }
    }

    fn result(id: &str, text: &str) -> Entry {
        Entry::Tool(ToolEntry {
            call: id.into(),
            name: "t".into(),
            outcome: ToolOutcome::Done,
            text: text.into(),
            folded: None,
            label: Label::from(Origin::Tool),
        })
    }

    #[test]
    fn every_entry_is_in_exactly_one_exchange() {
        let entries =
            [person("a"), person("b"), calls(&["1", "2"]), result("1", "x"), result("2", "y"), person("c"), calls(&[])];
        let found: Vec<_> =
            exchanges(&entries).map(|e| (e.turn.map(|turn| turn.index), e.results.len(), e.said.len())).collect();
        assert_eq!(found, [(None, 0, 2), (Some(2), 2, 1), (Some(6), 0, 0)]);
    }

    #[test]
    fn results_are_paired_by_place_then_by_id_and_the_rest_are_strays() {
        let entries = [calls(&["1", "2", "3"]), result("2", "two"), result("1", "one"), result("9", "nobody asked")];
        let exchange = exchanges(&entries).next().unwrap();
        let texts: Vec<_> = exchange.calls().map(|(call, tool)| (&*call.id, tool.map(|tool| &*tool.text))).collect();
        assert_eq!(texts, [("1", Some("one")), ("2", Some("two")), ("3", None)]);
        let strays: Vec<_> = exchange.strays().map(|tool| &*tool.text).collect();
        assert_eq!(strays, ["nobody asked"]);
        // Two calls with one id, as a careless server makes them, still get a result each.
        let entries = [calls(&["1", "1"]), result("1", "first"), result("1", "second")];
        let exchange = exchanges(&entries).next().unwrap();
        let texts: Vec<_> = exchange.calls().filter_map(|(_, tool)| tool.map(|tool| &*tool.text)).collect();
        assert_eq!(texts, ["first", "second"]);
    }

    #[test]
    fn a_block_goes_back_only_to_the_model_that_made_it() {
        let block = marked("claude-opus-5-5", "{}");
        assert_eq!(unmarked(&block, "claude-opus-5-5"), Some("{}"));
        assert_eq!(unmarked(&block, "claude-opus-5-5-20260922"), Some("{}"));
        assert_eq!(unmarked(&block, "anthropic/claude-opus-5.5"), Some("{}"));
        assert_eq!(unmarked(&block, "claude-opus-5"), None);
        assert_eq!(unmarked(&block, "claude-sonnet-5-5"), None);
        assert_eq!(unmarked(&marked("gemini-2.5-flash-lite", "{}"), "gemini-2.5-flash"), None);
        assert_eq!(unmarked(&marked("claude-haiku-4-5-20251001", "{}"), "claude-haiku-4-5"), Some("{}"));
        assert_eq!(unmarked(&marked("gemini-3.8-flash-001", "{}"), "gemini-flash-latest"), Some("{}"));
        assert_eq!(unmarked(&marked("", "{}"), "anything"), Some("{}"));
        assert_eq!(unmarked("{}", "anything"), None);
    }
}
