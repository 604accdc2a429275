//! A model and a person of whom everything may be expected: what `aether bench soak` runs its agents against.
//!
//! Seeded: the same seed takes the same decisions in the same order. Answers, tool calls good and bad, errors that pass
//! and errors that stay, streams that break off, and silence.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aether_core::event::Scope;
use aether_core::facts::{Answer, ApprovalRequest};
use aether_core::model::{ModelError, ModelErrorKind, ModelEvent, Question, Stop, ToolUse, Usage};
use aether_core::tool::ToolCall;
use aether_core::words::TaskId;
use aether_driver::{Boxed, Sink};

use crate::chain::Local;
use crate::house::Person;

/// Entries of a transcript from which on no more tools are called.
const ENTRIES_MAX: usize = 40;
/// The longest wait of the model and of the person, in milliseconds.
const WAIT_MS_MAX: u64 = 30;
/// The most calls in one turn.
const CALLS_MAX: u64 = 4;

/// Calls that a model may make, sound and unsound.
const CALLS: &[(&str, &str)] = &[
    ("calculate", r#"{"expression":"17% of 2340"}"#),
    ("calculate", r#"{"expression":"2^"}"#),
    ("time", "{}"),
    ("list_dir", r#"{"path":"."}"#),
    ("read_file", r#"{"path":"notes.txt"}"#),
    ("read_file", r#"{"path":"../outside.txt"}"#),
    ("find_files", r#"{"pattern":"*.txt"}"#),
    ("search_text", r#"{"pattern":"err(or)?"}"#),
    ("write_file", r#"{"path":"made.txt","content":"one\ntwo\n"}"#),
    ("edit_file", r#"{"path":"made.txt","old":"two","new":"one"}"#),
    ("http_fetch", r#"{"url":"http://127.0.0.1:9/"}"#),
    ("delegate", r#"{"goal":"Count the files."}"#),
    ("no_such_tool", "{}"),
    ("calculate", r#"{"expression":"#),
];

/// Errors that a provider may answer with.
const ERRORS: &[ModelErrorKind] = &[
    ModelErrorKind::RateLimited,
    ModelErrorKind::Unavailable,
    ModelErrorKind::Unreachable,
    ModelErrorKind::Timeout,
    ModelErrorKind::Malformed,
    ModelErrorKind::Unauthorized,
    ModelErrorKind::ContextTooLong,
];

/// Numbers that look random (xorshift64, Marsaglia 2003).
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of `0..end`; 0 where that is empty.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    fn wait(&mut self) -> Duration {
        Duration::from_millis(self.below(WAIT_MS_MAX))
    }
}

/// What comes after the pieces of an answer.
enum Then {
    Over,
    Broken(ModelError),
    Silence,
}

/// The model.
pub(super) struct Weather {
    random: Random,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Weather {
        Weather { random: Random::new(seed) }
    }

    fn answer(&mut self, question: &Question<'_>) -> (Vec<Vec<ModelEvent>>, Then) {
        let may_call = question.tool_use == ToolUse::Allowed && question.entries.len() < ENTRIES_MAX;
        match self.random.below(100) {
            0..6 => (Vec::new(), Then::Broken(self.error())),
            6..9 => (self.text(), Then::Broken(ModelError::new(ModelErrorKind::Cut, "the answer broke off"))),
            9..11 => (self.text(), Then::Silence),
            11..60 if may_call => (self.calls(), Then::Over),
            _ => {
                let mut pieces = self.text();
                let stop = *self.random.of(&[Stop::Done, Stop::Done, Stop::Done, Stop::Length, Stop::Refused]);
                pieces.push(vec![ModelEvent::Usage(usage()), ModelEvent::Stop(stop)]);
                (pieces, Then::Over)
            }
        }
    }

    fn error(&mut self) -> ModelError {
        let mut error = ModelError::new(*self.random.of(ERRORS), "the weather is bad");
        error.retry_after_ms = (self.random.below(4) == 0).then(|| self.random.below(WAIT_MS_MAX));
        error
    }

    fn text(&mut self) -> Vec<Vec<ModelEvent>> {
        let bytes = 1 << self.random.below(12);
        let piece = || vec![ModelEvent::Text("x".repeat(bytes)), ModelEvent::Reasoning("hm".to_owned())];
        (0..=self.random.below(8)).map(|_| piece()).collect()
    }

    fn calls(&mut self) -> Vec<Vec<ModelEvent>> {
        let mut pieces = vec![vec![ModelEvent::Text("Let me see.".to_owned())]];
        for at in 0..=self.random.below(CALLS_MAX) {
            let (name, input) = self.random.of(CALLS);
            let id = format!("call_{at}_{}", self.random.draw());
            let call = ToolCall { id: id.into(), name: (*name).into(), input: (*input).into() };
            pieces.push(vec![ModelEvent::Call(call)]);
        }
        pieces.push(vec![ModelEvent::Usage(usage()), ModelEvent::Stop(Stop::Calls)]);
        pieces
    }
}

impl Local for Weather {
    fn ask(&mut self, question: &Question<'_>, sink: Sink) -> Boxed<Result<(), ModelError>> {
        let (pieces, then) = self.answer(question);
        let wait = self.random.wait();
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            for piece in pieces {
                sink.send(piece).await;
                tokio::task::yield_now().await;
            }
            match then {
                Then::Over => Ok(()),
                Then::Broken(error) => Err(error),
                Then::Silence => std::future::pending().await,
            }
        })
    }
}

/// The person.
pub(super) struct Moody {
    random: Random,
    /// How often they were asked.
    asked: Arc<Mutex<u64>>,
}

impl Moody {
    /// A person, and where the questions are counted.
    pub(super) fn new(seed: u64) -> (Moody, Arc<Mutex<u64>>) {
        let asked = Arc::new(Mutex::new(0));
        (Moody { random: Random::new(!seed), asked: asked.clone() }, asked)
    }
}

impl Person for Moody {
    fn approve(&mut self, _task: TaskId, _request: ApprovalRequest) -> Boxed<Answer> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let wait = self.random.wait();
        let answer = match self.random.below(8) {
            0..3 => Some(Answer::Yes(Scope::Once)),
            3..5 => Some(Answer::Yes(Scope::Task)),
            5..7 => Some(Answer::No("not now".into())),
            _ => None,
        };
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

fn usage() -> Usage {
    Usage { input_tokens: 900, output_tokens: 40, ..Usage::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_course() {
        let course = |seed| {
            let mut random = Random::new(seed);
            (0..32).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(course(7), course(7));
        assert_ne!(course(7), course(8));
    }

    #[test]
    fn calls_end_with_usage_and_a_stop() {
        let mut weather = Weather::new(1);
        for _ in 0..100 {
            let last = weather.calls().pop().unwrap();
            assert!(matches!(last[..], [ModelEvent::Usage(_), ModelEvent::Stop(Stop::Calls)]));
        }
    }
}
