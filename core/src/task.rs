//! One ephemeral agent, from goal to verdict, as a pure state machine.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::batch::Batch;
use crate::event::{Event, Folding, Next};
use crate::facts::{Effect, Input, Outcome, Surprise, Verdict};
use crate::fold;
use crate::gate::Standing;
use crate::governor::{Governor, Spending};
use crate::label::Label;
use crate::model::{ModelError, ModelErrorKind, ModelEvent, Part, Question, Stop, ToolUse};
use crate::spec::{Message, ModelChoice, Spec};
use crate::tool::Manifest;
use crate::transcript::Entry;
use crate::turn::{Turn, text_of};
use crate::words::{Millis, WishId};

/// The most steering messages that may wait at once.
pub const STEERS_MAX: usize = 16;

/// One agent.
///
/// | | |
/// |---|---|
/// | facts | [`Task::handle`] |
/// | wishes | [`Task::poll`], until `None` |
/// | time | [`Task::deadline`]: hand in [`Input::Tick`] then, at the latest |
/// | what to ask | [`Task::question`], from [`Effect::Ask`] until its answer is complete |
pub struct Task {
    pub(crate) spec: Spec,
    tools: Option<Box<[Arc<Manifest>]>>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) label: Label,
    pub(crate) spending: Spending,
    pub(crate) standing: Vec<Standing>,
    state: State,
    steers: VecDeque<Message>,
    effects: VecDeque<Effect>,
    wishes: u32,
    clock: Clock,
    course: Course,
}

#[derive(Clone, Copy)]
struct Clock {
    now: Millis,
    soft: Millis,
    hard: Millis,
}

/// Where the task is in the fallback chain, and what it learnt about its question's size.
struct Course {
    model: usize,
    attempt: u32,
    random: u64,
    tripped: Option<Governor>,
    /// Bytes and tokens of the last answered question.
    measured: (usize, u64),
    asked_bytes: usize,
    /// Hashes of calls with their results, and how often each came.
    seen: Vec<(u64, u32)>,
    /// The text of the last turn that was kept.
    answer: Box<str>,
}

enum State {
    Asking { ask: WishId, purpose: Purpose, turn: Turn },
    Resting { until: Millis, purpose: Purpose },
    Working(Batch),
    Ended,
}

/// What a question is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Work,
    Closing,
    Summary,
}

const SUMMARISE: &str = "[The context window is almost full. Summarise everything above for yourself: the goal, what was \
done and found, exact names, numbers and paths that are still needed, and what is left to do. Your summary replaces it.]";

impl Task {
    /// A task that begins now. Its first wishes are ready.
    #[must_use]
    pub fn new(now: Millis, spec: Spec) -> Task {
        let all = spec.frame.toolbox.manifests();
        let tools = spec.grant.tools.as_ref().map(|_| {
            let granted = all.iter().filter(|m| spec.grant.has_tool(&m.name));
            granted.cloned().collect::<Vec<_>>().into_boxed_slice()
        });
        let mut spec = spec;
        let mut entries = core::mem::take(&mut spec.history);
        let goal = core::mem::replace(
            &mut spec.goal,
            Message { text: "".into(), images: Vec::new(), label: Label::default() },
        );
        entries.push(goal.into_entry());
        let label = entries.iter().fold(Label::default(), |label, entry| label.join(entry.label()));
        let start =
            Clock { now, soft: now.after(spec.governors.soft_ms()), hard: now.after(spec.governors.wall_ms_max) };
        let course = Course {
            model: 0,
            attempt: 0,
            random: spec.seed | 1,
            tripped: None,
            measured: (0, 0),
            asked_bytes: 0,
            seen: Vec::new(),
            answer: "".into(),
        };
        let mut task = Task {
            spec,
            tools,
            entries,
            label,
            spending: Spending::default(),
            standing: Vec::new(),
            state: State::Ended,
            steers: VecDeque::new(),
            effects: VecDeque::new(),
            wishes: 0,
            clock: start,
            course,
        };
        task.note(Event::Spawned { depth: task.spec.depth, label });
        task.go_on();
        task
    }

    /// Takes in one fact.
    ///
    /// # Errors
    /// [`Surprise`]: the fact does not fit, and nothing has changed.
    pub fn handle(&mut self, now: Millis, input: Input) -> Result<(), Surprise> {
        if let State::Ended = self.state {
            return Err(Surprise::Ended);
        }
        let before = self.clock.now;
        self.clock.now = now.max(before);
        let taken = match input {
            Input::Model { ask, event } => self.on_model(ask, event),
            Input::Tool { run, output } => self.with_batch(run, |batch, task| batch.report(task, run, output)),
            Input::Approval { approval, answer } => {
                self.with_batch(approval, |batch, task| batch.answer(task, approval, answer))
            }
            Input::Child { run, report } => self.with_batch(run, |batch, task| batch.child(task, run, report)),
            Input::Steer(message) => self.on_steer(message),
            Input::Interrupt => {
                self.end(Verdict::Interrupted);
                Ok(())
            }
            Input::Tick => Ok(()),
        };
        match taken {
            Ok(()) => self.pass_time(),
            Err(_) => self.clock.now = before,
        }
        taken
    }

    /// The next wish, or `None` when the task waits for a fact.
    #[must_use]
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When the task wants to be handed a [`Input::Tick`] at the latest; `None` once it is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let limit = if self.course.tripped.is_none() { self.clock.soft } else { self.clock.hard };
        match &self.state {
            State::Asking { .. } => Some(limit),
            State::Resting { until, .. } => Some(limit.min(*until)),
            State::Working(batch) => Some(batch.deadline().map_or(limit, |d| d.min(limit))),
            State::Ended => None,
        }
    }

    /// The question that is open, to be written by the codec of the model it goes to.
    #[must_use]
    pub fn question(&self) -> Option<Question<'_>> {
        let State::Asking { purpose, .. } = self.state else { return None };
        Some(Question {
            model: &self.model().name,
            system: &self.spec.frame.system,
            tools: self.manifests(),
            tool_use: if purpose == Purpose::Work { ToolUse::Allowed } else { ToolUse::Forbidden },
            entries: &self.entries,
            options: &self.spec.frame.options,
        })
    }

    /// What it was made of; goal and history have moved to the transcript.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What it has used so far.
    #[must_use]
    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Bytes of text and images it holds.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.entries.iter().map(Entry::shown_bytes).sum()
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now
    }

    /// Milliseconds until the closing turn begins.
    pub(crate) fn wall_ms_left(&self) -> u64 {
        self.clock.soft.since(self.clock.now)
    }

    pub(crate) fn next_wish(&mut self) -> WishId {
        self.wishes += 1;
        WishId(self.wishes)
    }

    pub(crate) fn wish(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.effects.push_back(Effect::Note(event));
    }

    pub(crate) fn trip(&mut self, governor: Governor) {
        if self.course.tripped.is_none() {
            self.course.tripped = Some(governor);
            self.clock.hard = self.clock.hard.min(self.clock.now.after(self.spec.governors.closing_ms_max));
            self.note(Event::Tripped { governor });
        }
    }

    fn model(&self) -> &ModelChoice {
        &self.spec.frame.models[self.course.model]
    }

    fn manifests(&self) -> &[Arc<Manifest>] {
        self.tools.as_deref().unwrap_or_else(|| self.spec.frame.toolbox.manifests())
    }
}

/// From one question to the next.
impl Task {
    /// Decides what to do when neither a question nor a batch of calls is under way.
    fn go_on(&mut self) {
        while let Some(message) = self.steers.pop_front() {
            self.push(message.into_entry());
        }
        if let (None, Some(governor)) = (self.course.tripped, self.spec.governors.exhausted(&self.spending)) {
            self.trip(governor);
        }
        if let Some(governor) = self.course.tripped {
            let text = alloc::format!(
                "[No more tool calls: {}. Give your best answer now from what you have, and say what is missing.]",
                governor.reason()
            );
            self.push(Entry::Note { text: text.into(), label: Label::default() });
            return self.ask(Purpose::Closing);
        }
        let purpose =
            if self.make_room(fold::room(self.model().window_tokens)) { Purpose::Work } else { Purpose::Summary };
        if purpose == Purpose::Summary {
            self.entries.push(Entry::Note { text: SUMMARISE.into(), label: Label::default() });
        }
        self.ask(purpose);
    }

    fn ask(&mut self, purpose: Purpose) {
        let ask = self.next_wish();
        self.spending.model_calls += 1;
        self.course.asked_bytes = self.question_bytes();
        self.state = State::Asking { ask, purpose, turn: Turn::default() };
        let event = Event::Asked {
            ask,
            model: self.course.model,
            attempt: self.course.attempt,
            entries: self.entries.len(),
            bytes: self.course.asked_bytes,
            tool_use: if purpose == Purpose::Work { ToolUse::Allowed } else { ToolUse::Forbidden },
        };
        self.note(event);
        self.wish(Effect::Ask { ask, model: self.course.model });
    }

    fn on_model(&mut self, ask: WishId, event: ModelEvent) -> Result<(), Surprise> {
        let State::Asking { ask: open, purpose, turn } = &mut self.state else { return Err(Surprise::NotOpen(ask)) };
        if *open != ask {
            return Err(Surprise::NotOpen(ask));
        }
        match event {
            ModelEvent::Text(text) if *purpose == Purpose::Summary => turn.text(&text),
            ModelEvent::Text(text) => self.on_text(ask, text),
            ModelEvent::Reasoning(text) => self.wish(Effect::Reason { ask, text }),
            ModelEvent::Carried(block) => turn.part(Part::Carried(block)),
            ModelEvent::Call(call) => turn.part(Part::Call(call)),
            ModelEvent::Usage(usage) => turn.usage = usage,
            ModelEvent::Stop(stop) => self.on_stop(stop),
            ModelEvent::Error(error) => self.on_error(error),
        }
        Ok(())
    }

    /// Says a piece of the answer, as far as the limit on output allows.
    fn on_text(&mut self, ask: WishId, mut text: String) {
        let State::Asking { turn, .. } = &mut self.state else { return };
        let room = self.spec.governors.output_bytes_max.saturating_sub(self.spending.output_bytes);
        let is_over = text.len() as u64 > room;
        if is_over {
            text.truncate(text.floor_char_boundary(room as usize));
        }
        turn.text(&text);
        self.spending.output_bytes += text.len() as u64;
        if !text.is_empty() {
            self.wish(Effect::Say { ask, text });
        }
        if is_over {
            self.trip(Governor::OutputBytes);
            self.end(Verdict::Spent(Governor::OutputBytes));
        }
    }

    fn on_stop(&mut self, stop: Stop) {
        let State::Asking { ask, purpose, turn } = core::mem::replace(&mut self.state, State::Ended) else { return };
        self.account(&turn);
        if turn.usage.input_tokens > 0 {
            self.course.measured = (self.course.asked_bytes, turn.usage.input_tokens);
        }
        let (usage, calls) = (turn.usage, turn.calls());
        self.note(Event::Answered { ask, usage, stop, calls });
        let is_useless = match purpose {
            Purpose::Work => turn.is_empty() && stop != Stop::Refused,
            Purpose::Closing | Purpose::Summary => !turn.has_text(),
        };
        if is_useless {
            self.state = State::Asking { ask, purpose, turn: Turn::default() };
            return self.on_error(ModelError::new(ModelErrorKind::Malformed, "the model's answer is empty"));
        }
        self.course.attempt = 0;
        match purpose {
            Purpose::Summary => self.summarise(turn),
            Purpose::Closing => {
                let governor = self.course.tripped.unwrap_or(Governor::Wall);
                self.keep(turn.without_calls());
                self.end(Verdict::Spent(governor));
            }
            Purpose::Work if calls > 0 => {
                let calls = turn.tool_calls();
                self.keep(turn);
                let batch = Batch::begin(self, calls);
                self.work(batch);
            }
            Purpose::Work => {
                self.keep(turn);
                match stop {
                    _ if !self.steers.is_empty() => self.go_on(),
                    Stop::Done | Stop::Calls => self.end(Verdict::Done),
                    Stop::Length => self.end(Verdict::Length),
                    Stop::Refused => self.end(Verdict::Refused),
                }
            }
        }
    }

    fn on_error(&mut self, error: ModelError) {
        let State::Asking { ask, purpose, turn } = core::mem::replace(&mut self.state, State::Ended) else { return };
        self.account(&turn);
        let has_next = self.course.model + 1 < self.spec.frame.models.len();
        let wait = self.backoff(error.retry_after_ms);
        let limit = if purpose == Purpose::Closing { self.clock.hard } else { self.clock.soft };
        let is_affordable = self.clock.now.after(wait) < limit;
        let next = if error.kind == ModelErrorKind::ContextTooLong && purpose == Purpose::Work && self.shrink() {
            Next::Fold
        } else if error.kind.is_passing()
            && self.course.attempt + 1 < self.spec.frame.retry.attempts_max
            && is_affordable
        {
            Next::Retry { after_ms: wait }
        } else if has_next {
            Next::Fallback
        } else {
            Next::GiveUp
        };
        self.note(Event::Failed { ask, kind: error.kind, next });
        if next != Next::GiveUp && turn.has_text() && purpose != Purpose::Summary {
            self.wish(Effect::Unsay { ask });
        }
        match next {
            Next::Retry { after_ms } => {
                self.course.attempt += 1;
                self.state = State::Resting { until: self.clock.now.after(after_ms), purpose };
            }
            Next::Fallback => {
                self.course.model += 1;
                self.course.attempt = 0;
                self.again(purpose);
            }
            Next::Fold => self.again(purpose),
            Next::GiveUp => {
                self.abandon(purpose, turn);
                let spent = self.course.tripped.filter(|_| purpose == Purpose::Closing);
                self.end(spent.map_or(Verdict::Failed(error), Verdict::Spent));
            }
        }
    }

    fn on_steer(&mut self, message: Message) -> Result<(), Surprise> {
        if self.course.tripped.is_some() {
            return Err(Surprise::Closing);
        }
        if self.steers.len() == STEERS_MAX {
            return Err(Surprise::Full);
        }
        self.steers.push_back(message);
        self.note(Event::Steered);
        Ok(())
    }

    fn account(&mut self, turn: &Turn) {
        self.spending.usage = self.spending.usage.plus(turn.usage);
        let cost = self.model().price.cost_pico_usd(&turn.usage);
        self.spending.cost_pico_usd = self.spending.cost_pico_usd.saturating_add(cost);
    }

    /// Doubling waits with half of each jittered, or what the server asked for if that is longer.
    fn backoff(&mut self, asked_ms: Option<u64>) -> u64 {
        let retry = self.spec.frame.retry;
        let doubled = retry.backoff_ms_min.saturating_mul(1 << self.course.attempt.min(32));
        let most = doubled.min(retry.backoff_ms_max);
        // Xorshift64 (Marsaglia 2003).
        self.course.random ^= self.course.random << 13;
        self.course.random ^= self.course.random >> 7;
        self.course.random ^= self.course.random << 17;
        let jittered = most / 2 + self.course.random % (most / 2 + 1);
        asked_ms.unwrap_or(0).max(jittered)
    }
}

/// Batches of calls.
impl Task {
    fn with_batch(
        &mut self,
        wish: WishId,
        step: impl FnOnce(&mut Batch, &mut Task) -> Result<(), Surprise>,
    ) -> Result<(), Surprise> {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Working(mut batch) => {
                let taken = step(&mut batch, self);
                self.work(batch);
                taken
            }
            other => {
                self.state = other;
                Err(Surprise::NotOpen(wish))
            }
        }
    }

    /// Waits for what is open of the batch, or goes on when nothing is.
    fn work(&mut self, batch: Batch) {
        if batch.is_open() {
            self.state = State::Working(batch);
            return;
        }
        let is_repeating = self.is_repeating(&batch);
        for entry in batch.into_entries() {
            self.push(entry);
        }
        if is_repeating {
            self.trip(Governor::Repeats);
        }
        self.go_on();
    }

    /// Whether any result came as often as a result may.
    fn is_repeating(&mut self, batch: &Batch) -> bool {
        let seen = &mut self.course.seen;
        let mut most = 0;
        for mark in batch.marks() {
            let at = seen.iter().position(|(known, _)| *known == mark).unwrap_or(seen.len());
            if at == seen.len() {
                seen.push((mark, 0));
            }
            seen[at].1 += 1;
            most = most.max(seen[at].1);
        }
        most >= self.spec.governors.repeats_max
    }

    fn push(&mut self, entry: Entry) {
        let label = self.label.join(entry.label());
        self.entries.push(entry);
        if label != self.label {
            self.label = label;
            self.note(Event::Labelled { label });
        }
    }

    /// Keeps what was said of a turn that will not be completed.
    fn abandon(&mut self, purpose: Purpose, turn: Turn) {
        match purpose {
            Purpose::Summary => self.drop_summary_note(purpose),
            Purpose::Work | Purpose::Closing => self.keep(turn.without_calls()),
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

/// Time and the end.
impl Task {
    fn pass_time(&mut self) {
        if let State::Ended = self.state {
            return;
        }
        if self.clock.hard <= self.clock.now {
            self.trip(Governor::Wall);
            let governor = self.course.tripped.unwrap_or(Governor::Wall);
            return self.end(Verdict::Spent(governor));
        }
        if self.course.tripped.is_none() && self.clock.soft <= self.clock.now {
            return self.close_for_time();
        }
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Resting { until, purpose } if until <= self.clock.now => self.again(purpose),
            State::Working(mut batch) => {
                batch.expire(self);
                self.work(batch);
            }
            other => self.state = other,
        }
    }

    /// Asks again for the same purpose; work starts over from the budgets.
    fn again(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Work => self.go_on(),
            Purpose::Closing | Purpose::Summary => self.ask(purpose),
        }
    }

    fn close_for_time(&mut self) {
        self.trip(Governor::Wall);
        self.stop_everything("cancelled: the task's time is up");
        self.go_on();
    }

    /// Cancels what is open and leaves a transcript in which every call has its result.
    fn stop_everything(&mut self, why: &str) {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Asking { ask, purpose, turn } => {
                self.wish(Effect::Cancel { wish: ask });
                self.account(&turn);
                self.abandon(purpose, turn);
            }
            State::Resting { purpose, .. } => self.drop_summary_note(purpose),
            State::Working(mut batch) => {
                batch.cancel(self, why);
                for entry in batch.into_entries() {
                    self.push(entry);
                }
            }
            State::Ended => {}
        }
    }

    fn end(&mut self, verdict: Verdict) {
        self.stop_everything("cancelled: the task ended");
        while let Some(message) = self.steers.pop_front() {
            self.push(message.into_entry());
        }
        self.note(Event::Ended { verdict: verdict.name(), spending: self.spending });
        let entries = core::mem::take(&mut self.entries);
        let answer = core::mem::take(&mut self.course.answer);
        let outcome = Outcome { verdict, answer, entries, label: self.label, spending: self.spending };
        self.wish(Effect::End(Box::new(outcome)));
    }
}

/// Room in the context window.
impl Task {
    /// Folds old tool results if the question has grown beyond `bytes_max`. Whether it fits now, as far as
    /// folding without a model can make it.
    fn make_room(&mut self, room: fold::Room) -> bool {
        let tokens = self.tokens(self.question_bytes());
        if tokens <= room.tokens_max {
            return true;
        }
        let surplus = self.bytes(tokens - room.tokens_after);
        let is_offered = self.manifests().iter().any(|m| &*m.name == "recall");
        let recall = if is_offered { fold::Recall::Offered } else { fold::Recall::Missing };
        let folded = fold::fold_results(&mut self.entries, surplus, recall);
        if folded.entries > 0 {
            let (entries, bytes_before, bytes_after) = (folded.entries, folded.bytes_before, folded.bytes_after);
            self.note(Event::Folded { how: Folding::References, entries, bytes_before, bytes_after });
        }
        self.tokens(self.question_bytes()) <= room.tokens_max || fold::summary_cut(&self.entries).is_none()
    }

    /// The provider found the question too long: folds everything that can be folded.
    fn shrink(&mut self) -> bool {
        let before = self.question_bytes();
        self.make_room(fold::Room { tokens_max: 0, tokens_after: 0 });
        self.question_bytes() < before
    }

    fn summarise(&mut self, turn: Turn) {
        self.drop_summary_note(Purpose::Summary);
        let Some(cut) = fold::summary_cut(&self.entries) else { return self.go_on() };
        let bytes_before = self.question_bytes();
        let entries = fold::replace_by_summary(&mut self.entries, cut, &turn.whole_text());
        let bytes_after = self.question_bytes();
        self.note(Event::Folded { how: Folding::Summary, entries, bytes_before, bytes_after });
        self.ask(Purpose::Work);
    }

    fn drop_summary_note(&mut self, purpose: Purpose) {
        if purpose == Purpose::Summary {
            self.entries.pop();
        }
    }

    fn question_bytes(&self) -> usize {
        let fixed = self.manifests().iter().map(|m| m.name.len() + m.description.len() + m.input.len());
        self.spec.frame.system.len() + fixed.sum::<usize>() + self.bytes_held()
    }

    /// Tokens that many bytes may have: as measured with the last answer, else four bytes each.
    fn tokens(&self, bytes: usize) -> u64 {
        match self.course.measured {
            (0, _) | (_, 0) => bytes as u64 / 4,
            (known, tokens) => (bytes as u128 * u128::from(tokens) / known as u128) as u64,
        }
    }

    fn bytes(&self, tokens: u64) -> usize {
        match self.course.measured {
            (0, _) | (_, 0) => tokens.saturating_mul(4) as usize,
            (known, of) => (u128::from(tokens) * known as u128 / u128::from(of)) as usize,
        }
    }
}
