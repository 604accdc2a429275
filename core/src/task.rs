//! One ephemeral agent, from goal to verdict, as a pure state machine.

mod asking;
mod window;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use self::asking::{Asking, Purpose};
use crate::batch::Batch;
use crate::event::Event;
use crate::facts::{Effect, Input, Outcome, Surprise, Verdict};
use crate::gate::Standing;
use crate::governor::{Governor, Spending};
use crate::label::Label;
use crate::model::Question;
use crate::spec::{Message, ModelChoice, Spec};
use crate::tool::Manifest;
use crate::transcript::Entry;
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
    /// The manifests of the tools it was granted; `None` for all of its frame.
    tools: Option<Box<[Arc<Manifest>]>>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) label: Label,
    pub(crate) spending: Spending,
    pub(crate) standing: Vec<Standing>,
    state: State,
    steers: VecDeque<Message>,
    effects: VecDeque<Effect>,
    wishes: u32,
    /// The latest moment it was told.
    pub(crate) now: Millis,
    course: Course,
}

/// Whether a fact fits.
type Taken = Result<(), Surprise>;

/// What a task does now. While it decides what to do next, it is `Ended`.
enum State {
    Asking(Asking),
    Resting { until: Millis, purpose: Purpose },
    Working(Batch),
    Ended,
}

/// Where the task is in the fallback chain, and what it learnt on the way.
#[derive(Default)]
struct Course {
    /// When the closing turn begins at the latest.
    soft: Millis,
    /// When the closing turn ends at the latest.
    hard: Millis,
    model: usize,
    attempt: u32,
    random: u64,
    tripped: Option<Governor>,
    /// Whether the closing turn has begun. It ends with the task.
    is_closing: bool,
    /// Where in the transcript the goal stands.
    goal: usize,
    /// Bytes of the open question.
    asked_bytes: usize,
    /// Bytes and tokens of the last answered question; before that, four bytes for a token.
    measured: (usize, u64),
    /// Hashes of calls with their results, and how often each came.
    seen: BTreeMap<u64, u32>,
    /// The text of the last turn that was kept.
    answer: Box<str>,
}

impl Task {
    /// A task that begins now. Its first wishes are ready.
    pub fn new(now: Millis, mut spec: Spec) -> Task {
        let granted = |tool: &&Arc<Manifest>| spec.grant.has_tool(&tool.name);
        let all = spec.frame.toolbox.manifests();
        let tools = spec.grant.tools.is_some().then(|| all.iter().filter(granted).cloned().collect());
        let mut entries = core::mem::take(&mut spec.history);
        let goal = entries.len();
        entries.push(core::mem::take(&mut spec.goal).into_entry());
        let label = entries.iter().fold(Label::default(), |label, entry| label.join(entry.label()));
        let (soft, hard) = (now.after(spec.governors.soft_ms()), now.after(spec.governors.wall_ms_max));
        let course = Course { soft, hard, random: spec.seed | 1, goal, measured: (4, 1), ..Course::default() };
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
            now,
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
        let before = self.now;
        self.now = now.max(before);
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
            Err(_) => self.now = before,
        }
        taken
    }

    /// The next wish, or `None` when the task waits for a fact.
    #[must_use]
    pub fn poll(&mut self) -> Option<Effect> {
        let mut effect = self.effects.pop_front()?;
        // What a stopped child has used is known only when it was told to stop.
        match &mut effect {
            Effect::Note(Event::Ended { spending, .. }) => *spending = self.spending,
            Effect::End(outcome) => outcome.spending = self.spending,
            _ => {}
        }
        Some(effect)
    }

    /// When the task wants to be handed a [`Input::Tick`] at the latest; `None` once it is over.
    pub fn deadline(&self) -> Option<Millis> {
        match &self.state {
            State::Asking(_) => Some(self.limit()),
            State::Resting { until, .. } => Some(self.limit().min(*until)),
            State::Working(batch) => Some(batch.deadline(self.limit())),
            State::Ended => None,
        }
    }

    /// The question that is open, to be written by the codec of the model it goes to.
    pub fn question(&self) -> Option<Question<'_>> {
        let State::Asking(asking) = &self.state else { return None };
        Some(Question {
            model: &self.model().name,
            system: &self.spec.frame.system,
            tools: self.manifests(),
            tool_use: asking.purpose.tool_use(),
            entries: &self.entries,
            options: &self.spec.frame.options,
        })
    }

    /// What it was made of; goal and history have moved to the transcript.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What it has used so far.
    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Bytes of text and images it holds.
    pub fn bytes_held(&self) -> usize {
        self.entries.iter().map(Entry::held_bytes).sum()
    }

    /// Milliseconds until the closing turn begins.
    pub(crate) fn wall_ms_left(&self) -> u64 {
        self.course.soft.since(self.now)
    }

    pub(crate) fn next_wish(&mut self) -> WishId {
        self.wishes += 1;
        WishId(self.wishes)
    }

    pub(crate) fn wish(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// Withdraws a wish. One that nobody has heard yet is not made at all.
    pub(crate) fn cancel(&mut self, wish: WishId) {
        match self.effects.iter().position(|effect| effect.opens() == Some(wish)) {
            Some(unheard) => drop(self.effects.remove(unheard)),
            None => self.wish(Effect::Cancel { wish }),
        }
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.wish(Effect::Note(event));
    }

    /// Marks a budget as spent. Returns the one that was spent first: it closes the task.
    pub(crate) fn trip(&mut self, governor: Governor) -> Governor {
        if let Some(first) = self.course.tripped {
            return first;
        }
        self.course.tripped = Some(governor);
        self.note(Event::Tripped { governor });
        governor
    }

    fn model(&self) -> &ModelChoice {
        &self.spec.frame.models[self.course.model]
    }

    fn manifests(&self) -> &[Arc<Manifest>] {
        self.tools.as_deref().unwrap_or_else(|| self.spec.frame.toolbox.manifests())
    }

    fn limit(&self) -> Millis {
        if self.course.is_closing { self.course.hard } else { self.course.soft }
    }
}

/// From one step to the next.
impl Task {
    /// Decides what to do when neither a question nor a batch of calls is under way.
    fn go_on(&mut self) {
        self.hear();
        if self.course.soft <= self.now {
            self.trip(Governor::Wall);
        }
        if let Some(governor) = self.spec.governors.exhausted(&self.spending) {
            self.trip(governor);
        }
        match self.course.tripped {
            Some(governor) => self.close(governor),
            None => {
                let purpose = self.make_room();
                self.ask(purpose);
            }
        }
    }

    /// Asks for the last answer.
    fn close(&mut self, governor: Governor) {
        self.course.hard = self.course.hard.min(self.now.after(self.spec.governors.closing_ms_max));
        self.course.is_closing = true;
        let why = governor.reason();
        let text = alloc::format!(
            "[No more tool calls: {why}. Give your best answer now from what you have, and say what is missing.]"
        );
        self.push(Entry::Note { text: text.into(), label: Label::default() });
        self.ask(Purpose::Closing(governor));
    }

    fn on_steer(&mut self, message: Message) -> Taken {
        if self.course.is_closing {
            return Err(Surprise::Closing);
        }
        if self.steers.len() == STEERS_MAX {
            return Err(Surprise::Full);
        }
        self.steers.push_back(message);
        self.note(Event::Steered);
        Ok(())
    }

    /// Puts what the person said on the way into the transcript.
    fn hear(&mut self) {
        while let Some(message) = self.steers.pop_front() {
            self.push(message.into_entry());
        }
    }

    fn push(&mut self, entry: Entry) {
        let label = self.label.join(entry.label());
        self.entries.push(entry);
        if label != self.label {
            self.label = label;
            self.note(Event::Labelled { label });
        }
    }

    fn with_batch(&mut self, wish: WishId, step: impl FnOnce(&mut Batch, &mut Task) -> Taken) -> Taken {
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
        if self.is_repeating(&batch) {
            self.trip(Governor::Repeats);
        }
        self.take_results(batch);
        self.go_on();
    }

    fn take_results(&mut self, batch: Batch) {
        for entry in batch.into_entries() {
            self.push(entry);
        }
    }

    /// Whether any result came as often as a result may.
    fn is_repeating(&mut self, batch: &Batch) -> bool {
        let times = batch.marks().map(|mark| {
            let times = self.course.seen.entry(mark).or_insert(0);
            *times += 1;
            *times
        });
        times.max().is_some_and(|most| most >= self.spec.governors.repeats_max)
    }
}

/// Time and the end.
impl Task {
    fn pass_time(&mut self) {
        let now = self.now;
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Ended => {}
            open if self.course.hard <= now => {
                self.state = open;
                let governor = self.trip(Governor::Wall);
                self.end(Verdict::Spent(governor));
            }
            State::Resting { until, purpose } if until <= now => self.again(purpose),
            open if self.limit() <= now => {
                self.state = open;
                self.trip(Governor::Wall);
                self.stop_everything("cancelled: the task's time is up");
                self.go_on();
            }
            State::Working(mut batch) => {
                batch.expire(self);
                self.work(batch);
            }
            waiting => self.state = waiting,
        }
    }

    /// Cancels what is open and leaves a transcript in which every call has its result.
    fn stop_everything(&mut self, why: &str) {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Asking(asking) => {
                self.cancel(asking.ask);
                self.break_off(asking);
            }
            State::Working(mut batch) => {
                batch.cancel(self, why);
                self.take_results(batch);
            }
            State::Resting { .. } | State::Ended => {}
        }
    }

    fn end(&mut self, verdict: Verdict) {
        self.stop_everything("cancelled: the task ended");
        self.hear();
        self.note(Event::Ended { verdict: verdict.name(), spending: self.spending });
        let entries = core::mem::take(&mut self.entries);
        let answer = core::mem::take(&mut self.course.answer);
        let outcome = Outcome { verdict, answer, entries, label: self.label, spending: self.spending };
        self.wish(Effect::End(Box::new(outcome)));
    }
}
