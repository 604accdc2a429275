//! Questions to the model: what they are for, how their answers are read, and what follows a failure.

use alloc::string::String;

use super::{State, Taken, Task};
use crate::batch::Batch;
use crate::event::{Event, Next};
use crate::facts::{Effect, Surprise, Verdict};
use crate::governor::Governor;
use crate::model::{ModelError, ModelErrorKind, ModelEvent, Part, Stop, ToolUse};
use crate::transcript::Entry;
use crate::turn::{Turn, text_of};
use crate::words::WishId;

/// An open question, and its answer so far.
pub(super) struct Asking {
    pub(super) ask: WishId,
    pub(super) purpose: Purpose,
    turn: Turn,
}

/// What a question is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Work,
    /// A summary of the entries before this place. The last entry asks for it, as long as the question is open.
    Summary(usize),
    /// The last answer, because this budget is spent.
    Closing(Governor),
}

impl Purpose {
    pub(super) fn tool_use(self) -> ToolUse {
        if self == Purpose::Work { ToolUse::Allowed } else { ToolUse::Forbidden }
    }

    /// Whether the person hears the answer.
    fn is_heard(self) -> bool {
        !matches!(self, Purpose::Summary(_))
    }
}

impl Task {
    pub(super) fn ask(&mut self, purpose: Purpose) {
        let (ask, model, attempt) = (self.next_wish(), self.course.model, self.course.attempt);
        self.spending.model_calls += 1;
        self.course.asked_bytes = self.question_bytes();
        self.state = State::Asking(Asking { ask, purpose, turn: Turn::default() });
        let (entries, bytes, tool_use) = (self.entries.len(), self.course.asked_bytes, purpose.tool_use());
        self.note(Event::Asked { ask, model, attempt, entries, bytes, tool_use });
        self.wish(Effect::Ask { ask, model });
    }

    /// Asks again. Work starts over from the budgets.
    pub(super) fn again(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Closing(_) => self.ask(purpose),
            Purpose::Work | Purpose::Summary(_) => self.go_on(),
        }
    }

    pub(super) fn on_model(&mut self, ask: WishId, event: ModelEvent) -> Taken {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Asking(asking) if asking.ask == ask => {
                self.read(asking, event);
                Ok(())
            }
            other => {
                self.state = other;
                Err(Surprise::NotOpen(ask))
            }
        }
    }

    fn read(&mut self, mut asking: Asking, event: ModelEvent) {
        let (ask, turn) = (asking.ask, &mut asking.turn);
        match event {
            ModelEvent::Text(text) if asking.purpose.is_heard() => return self.on_text(asking, text),
            ModelEvent::Text(text) => turn.text(&text),
            ModelEvent::Reasoning(text) => self.wish(Effect::Reason { ask, text }),
            ModelEvent::Carried(block) => turn.part(Part::Carried(block)),
            ModelEvent::Call(call) => turn.part(Part::Call(call)),
            ModelEvent::Usage(usage) => turn.usage = usage,
            ModelEvent::Stop(stop) => return self.on_stop(asking, stop),
            ModelEvent::Error(error) => {
                self.account(&asking);
                return self.on_failure(asking, error);
            }
        }
        self.state = State::Asking(asking);
    }

    /// Says a piece of the answer, as far as the limit on output allows.
    fn on_text(&mut self, mut asking: Asking, mut text: String) {
        let room = self.spec.governors.output_bytes_max.saturating_sub(self.spending.output_bytes);
        let is_over = text.len() as u64 > room;
        if is_over {
            text.truncate(text.floor_char_boundary(room as usize));
        }
        asking.turn.text(&text);
        self.spending.output_bytes += text.len() as u64;
        if !text.is_empty() {
            self.wish(Effect::Say { ask: asking.ask, text });
        }
        self.state = State::Asking(asking);
        if is_over {
            let governor = self.trip(Governor::OutputBytes);
            self.end(Verdict::Spent(governor));
        }
    }

    fn on_stop(&mut self, asking: Asking, stop: Stop) {
        self.account(&asking);
        let (purpose, usage, calls) = (asking.purpose, asking.turn.usage, asking.turn.tool_calls());
        if usage.input_tokens > 0 {
            self.course.measured = (self.course.asked_bytes.max(1), usage.input_tokens);
        }
        self.note(Event::Answered { ask: asking.ask, usage, stop, calls: calls.len() });
        let is_useful = purpose == Purpose::Work && (!calls.is_empty() || stop == Stop::Refused);
        if !is_useful && !asking.turn.has_text() {
            let error = ModelError::new(ModelErrorKind::Malformed, "the model's answer is empty");
            return self.on_failure(asking, error);
        }
        self.course.attempt = 0;
        match purpose {
            Purpose::Summary(cut) => self.summarise(cut, &asking.turn.whole_text()),
            Purpose::Closing(governor) => {
                self.keep(asking.turn.without_calls());
                self.end(Verdict::Spent(governor));
            }
            Purpose::Work if !calls.is_empty() && stop != Stop::Refused => {
                self.keep(asking.turn);
                let batch = Batch::begin(self, calls);
                self.work(batch);
            }
            Purpose::Work => self.on_answer(asking.turn, stop),
        }
    }

    /// An answer that ends the task, unless the person has said something meanwhile.
    fn on_answer(&mut self, turn: Turn, stop: Stop) {
        let (turn, verdict) = match stop {
            Stop::Done | Stop::Calls => (turn, Verdict::Done),
            Stop::Length => (turn, Verdict::Length),
            Stop::Refused => (turn.without_calls(), Verdict::Refused),
        };
        self.course.answer = "".into();
        self.keep(turn);
        if self.steers.is_empty() { self.end(verdict) } else { self.go_on() }
    }

    fn on_failure(&mut self, asking: Asking, error: ModelError) {
        let Asking { ask, purpose, turn } = asking;
        let next = self.next_after(&error, purpose);
        self.note(Event::Failed { ask, kind: error.kind, next });
        if next != Next::GiveUp && turn.has_text() && purpose.is_heard() {
            self.wish(Effect::Unsay { ask });
        }
        match next {
            Next::Retry { after_ms } => {
                self.course.attempt += 1;
                self.state = State::Resting { until: self.now.after(after_ms), purpose };
            }
            Next::Fallback => {
                self.course.model += 1;
                self.course.attempt = 0;
                self.again(purpose);
            }
            Next::Fold => self.again(purpose),
            Next::GiveUp => {
                self.keep_words(purpose, turn);
                let verdict =
                    if let Purpose::Closing(spent) = purpose { Verdict::Spent(spent) } else { Verdict::Failed(error) };
                self.end(verdict);
            }
        }
    }

    /// A question that does not fit is made shorter; one that may do better later is asked again, if there is time
    /// and no other model stands by that would answer sooner; then the next model is asked.
    fn next_after(&mut self, error: &ModelError, purpose: Purpose) -> Next {
        let is_foldable = error.kind == ModelErrorKind::ContextTooLong && purpose.is_heard();
        if is_foldable && self.shrink() {
            return Next::Fold;
        }
        let retry = self.spec.frame.retry;
        let has_next = self.course.model + 1 < self.spec.frame.models.len();
        let after_ms = self.backoff(error.retry_after_ms);
        let is_in_time = self.now.after(after_ms) < self.limit();
        let is_soon = after_ms <= retry.backoff_ms_max || !has_next;
        let is_left = self.course.attempt + 1 < retry.attempts_max;
        if error.kind.is_passing() && is_left && is_in_time && is_soon {
            Next::Retry { after_ms }
        } else if has_next {
            Next::Fallback
        } else {
            Next::GiveUp
        }
    }

    /// Doubling waits with half of each jittered, or what the server asked for if that is longer.
    fn backoff(&mut self, asked_ms: Option<u64>) -> u64 {
        let retry = self.spec.frame.retry;
        let doubled = retry.backoff_ms_min.saturating_mul(1 << self.course.attempt.min(32));
        let half = doubled.min(retry.backoff_ms_max) / 2;
        // Xorshift64 (Marsaglia 2003).
        let random = &mut self.course.random;
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let jittered = half.saturating_add(*random % half.saturating_add(1));
        asked_ms.unwrap_or(0).max(jittered)
    }

    /// Ends a question whose answer will not be completed.
    pub(super) fn break_off(&mut self, asking: Asking) {
        self.account(&asking);
        self.keep_words(asking.purpose, asking.turn);
    }

    /// Counts what an answer cost. Whatever was asked for a summary is asked no longer.
    fn account(&mut self, asking: &Asking) {
        if let Purpose::Summary(_) = asking.purpose {
            self.entries.pop();
        }
        let usage = asking.turn.usage;
        let cost = self.model().price.cost_pico_usd(&usage);
        self.spending.usage = self.spending.usage.plus(usage);
        self.spending.cost_pico_usd = self.spending.cost_pico_usd.saturating_add(cost);
    }

    /// Keeps what was said of a turn that was not completed.
    fn keep_words(&mut self, purpose: Purpose, turn: Turn) {
        if purpose.is_heard() {
            self.keep(turn.without_calls());
        }
    }

    fn keep(&mut self, turn: Turn) {
        if let Some(parts) = turn.into_parts() {
            let codec = self.model().codec;
            self.course.answer = text_of(&parts);
            self.push(Entry::Model { parts, codec });
        }
    }
}
