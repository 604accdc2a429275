//! Making room in the context window: tool results become references, then turns become a summary.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::label::Label;
use crate::transcript::Entry;

/// When to fold, and how far. Folding changes the prompt prefix that providers cache, so it is done seldom
/// and then thoroughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// A question of more tokens is folded,
    pub(crate) tokens_max: u64,
    /// down to this many.
    pub(crate) tokens_after: u64,
}

/// Three quarters of the window start the folding, and half of it is left: the rest is for the answer.
pub(crate) fn room(window_tokens: u32) -> Room {
    let window = u64::from(window_tokens);
    Room { tokens_max: window * 3 / 4, tokens_after: window / 2 }
}

/// Results shorter than this stay: a reference would hardly be shorter.
const FOLD_BYTES_MIN: usize = 240;

/// What was folded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) entries: usize,
    pub(crate) bytes_before: usize,
    pub(crate) bytes_after: usize,
}

/// Folds tool results, oldest first, until `surplus` bytes are gone or none is left.
pub(crate) fn fold_results(entries: &mut [Entry], surplus: usize, recall: Recall) -> Folded {
    let mut folded = Folded { entries: 0, bytes_before: 0, bytes_after: 0 };
    for entry in entries {
        if folded.bytes_before - folded.bytes_after >= surplus {
            break;
        }
        let Entry::Tool(tool) = entry else { continue };
        if tool.folded.is_some() || tool.text.len() < FOLD_BYTES_MIN {
            continue;
        }
        let way = match recall {
            Recall::Offered => format!("; recall {} shows it again", tool.call),
            Recall::Missing => "; run the tool again if it is needed".into(),
        };
        let reference: Box<str> = format!("[folded away: {} bytes of {}{way}]", tool.text.len(), tool.name).into();
        folded.entries += 1;
        folded.bytes_before += tool.text.len();
        folded.bytes_after += reference.len();
        tool.folded = Some(reference);
    }
    folded
}

/// Whether the model can open a folded result again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// By the tool `recall`.
    Offered,
    /// Not at all.
    Missing,
}

/// Where the part that a summary may replace ends: before the last turn of the model. `None` where a
/// summary would replace no more than itself and the goal.
pub(crate) fn summary_cut(entries: &[Entry]) -> Option<usize> {
    let cut = entries.iter().rposition(|entry| matches!(entry, Entry::Model { .. }))?;
    (cut > 2).then_some(cut)
}

/// Puts `summary` and the last message of the person in the place of everything before `cut`.
/// Returns how many entries it replaced.
pub(crate) fn replace_by_summary(entries: &mut Vec<Entry>, cut: usize, summary: &str) -> usize {
    let tail = entries.split_off(cut);
    let label = entries.iter().fold(Label::default(), |label, entry| label.join(entry.label()));
    let goal = entries.iter().rposition(|entry| matches!(entry, Entry::Person { .. }));
    let goal = goal.map(|at| entries.swap_remove(at));
    let text = format!("[Summary of what came before]\n{summary}").into();
    entries.clear();
    entries.push(Entry::Note { text, label });
    entries.extend(goal);
    entries.extend(tail);
    cut
}
