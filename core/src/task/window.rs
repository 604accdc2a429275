//! Room in the context window: tool results become references, then turns become a summary.
//!
//! Folding changes the prompt prefix that providers cache, so it is done seldom and then thoroughly.

use alloc::{boxed::Box, format, vec::Vec};
use core::ops::Range;

use super::Task;
use super::asking::Purpose;
use crate::event::{Event, Folding};
use crate::label::Label;
use crate::transcript::Entry;

/// How many times longer than its reference a result has to be, to be folded.
const FOLD_GAIN_MIN: usize = 3;

const RUN_AGAIN: &str = "run the tool again if it is needed";

const SUMMARISE: &str = "[The context window is almost full. Summarise everything above for yourself: the goal, what was \
done and found, exact names, numbers and paths that are still needed, and what is left to do. Your summary replaces it.]";

impl Task {
    /// Makes the next question fit, and says what to ask. Beyond three quarters of the window, old tool results are
    /// folded until half of it is left; new ones, which the model has not seen, only as far as they must be. Where
    /// that is not enough, the model is asked for a summary, if one would replace anything.
    pub(super) fn make_room(&mut self) -> Purpose {
        let window_tokens = u64::from(self.model().window_tokens);
        let bytes_max = self.bytes_of(window_tokens * 3 / 4);
        if self.question_bytes() <= bytes_max {
            return Purpose::Work;
        }
        let turn = self.entries.iter().rposition(|entry| matches!(entry, Entry::Model { .. })).unwrap_or(0);
        self.fold(0..turn, self.bytes_of(window_tokens / 2));
        self.fold(turn..self.entries.len(), bytes_max);
        // What the person said stays.
        let kept = self.entries[self.course.goal.min(turn)..turn].iter().filter(|entry| is_person(entry)).count();
        if self.question_bytes() <= bytes_max || turn < kept + 2 {
            return Purpose::Work;
        }
        self.entries.push(Entry::Note { text: SUMMARISE.into(), label: Label::default() });
        Purpose::Summary(turn)
    }

    /// The provider found the question too long: folds everything that can be folded.
    pub(super) fn shrink(&mut self) -> bool {
        let before = self.question_bytes();
        self.fold(0..self.entries.len(), 0);
        self.question_bytes() < before
    }

    /// Puts a summary in the place of everything before `cut` but what the person has said since the task began.
    pub(super) fn summarise(&mut self, cut: usize, summary: &str) {
        let bytes_before = self.question_bytes();
        let tail = self.entries.split_off(cut);
        let label = self.entries.iter().fold(Label::default(), |label, entry| label.join(entry.label()));
        let text = format!("[Summary of what came before]\n{summary}").into();
        let goal = self.course.goal.min(cut);
        let said: Vec<Entry> = self.entries.drain(goal..).filter(is_person).collect();
        self.entries.clear();
        self.entries.push(Entry::Note { text, label });
        self.entries.extend(said);
        self.entries.extend(tail);
        self.course.goal = self.course.goal - goal + 1;
        let bytes_after = self.question_bytes();
        self.note(Event::Folded { how: Folding::Summary, entries: cut, bytes_before, bytes_after });
        self.go_on();
    }

    /// Folds tool results within `range`, oldest first, until the question has at most `bytes_max` or none is left.
    fn fold(&mut self, range: Range<usize>, bytes_max: usize) {
        let surplus = self.question_bytes().saturating_sub(bytes_max);
        let is_offered = self.manifests().iter().any(|tool| &*tool.name == "recall");
        let (mut entries, mut bytes_before, mut bytes_after) = (0, 0, 0);
        for entry in &mut self.entries[range] {
            let Entry::Tool(tool) = entry else { continue };
            let way = if is_offered { format!("recall {} shows it again", tool.call) } else { RUN_AGAIN.into() };
            let reference: Box<str> =
                format!("[folded away: {} bytes of {}; {way}]", tool.text.len(), tool.name).into();
            let is_worth_it = tool.folded.is_none() && tool.text.len() > FOLD_GAIN_MIN * reference.len();
            if !is_worth_it || bytes_before - bytes_after >= surplus {
                continue;
            }
            entries += 1;
            bytes_before += tool.text.len();
            bytes_after += reference.len();
            tool.folded = Some(reference);
        }
        if entries > 0 {
            self.note(Event::Folded { how: Folding::References, entries, bytes_before, bytes_after });
        }
    }

    /// Bytes that the model is shown: instructions, tools, and the transcript.
    pub(super) fn question_bytes(&self) -> usize {
        let tools = self.manifests().iter().map(|m| m.name.len() + m.description.len() + m.input.len());
        let entries = self.entries.iter().map(Entry::weight);
        self.spec.frame.system.len() + tools.sum::<usize>() + entries.sum::<usize>()
    }

    /// Bytes that so many tokens have, as measured with the last answer.
    fn bytes_of(&self, tokens: u64) -> usize {
        let (known, of) = self.course.measured;
        usize::try_from(u128::from(tokens) * known as u128 / u128::from(of)).unwrap_or(usize::MAX)
    }
}

fn is_person(entry: &Entry) -> bool {
    matches!(entry, Entry::Person { .. })
}
