//! What a task is made of: what it shares with others, and what is its own.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use crate::governor::{Governors, Price};
use crate::label::{Label, Origin};
use crate::model::ModelOptions;
use crate::policy::{Asker, Policy};
use crate::tool::{Grant, Toolbox};
use crate::transcript::{Entry, Image};

/// What many tasks share: instructions, tools, models, policy.
pub struct Frame {
    /// The standing instructions.
    pub system: Box<str>,
    /// The tools.
    pub toolbox: Arc<dyn Toolbox>,
    /// The models to ask: the first, and those to fall back to, in order. Never empty.
    pub models: Vec<ModelChoice>,
    /// Options of every question.
    pub options: ModelOptions,
    /// The policy table.
    pub policy: Policy,
    /// How failed questions are repeated.
    pub retry: Retry,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("models", &self.models).finish_non_exhaustive()
    }
}

/// One model of the fallback chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// The name as its provider spells it.
    pub name: Box<str>,
    /// The codec's name, to mark the turns it reads.
    pub codec: &'static str,
    /// The context window in tokens.
    pub window_tokens: u32,
    /// What its tokens cost.
    pub price: Price,
}

/// How failed questions are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts at one question with one model, the first included; 1 or more.
    pub attempts_max: u32,
    /// The first wait, in milliseconds; it doubles from attempt to attempt.
    pub backoff_ms_min: u64,
    /// The longest wait of ours, in milliseconds; a server may ask for more.
    pub backoff_ms_max: u64,
    /// How long the person has to answer an approval, in milliseconds.
    pub approval_ms_max: u64,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { attempts_max: 4, backoff_ms_min: 500, backoff_ms_max: 30_000, approval_ms_max: 10 * 60 * 1000 }
    }
}

/// A message from the person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What is said.
    pub text: Box<str>,
    /// What is shown.
    pub images: Vec<Image>,
    /// Where it comes from.
    pub label: Label,
}

/// What one task is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What it shares with others.
    pub frame: Arc<Frame>,
    /// Earlier turns of the same session, oldest first.
    pub history: Vec<Entry>,
    /// The goal.
    pub goal: Message,
    /// What it may do.
    pub grant: Grant,
    /// What it may use.
    pub governors: Governors,
    /// On whose behalf it works.
    pub asker: Asker,
    /// Generations above it; 0 for a task that no task spawned.
    pub depth: u8,
    /// Whose limits it counts against.
    pub tenant: u32,
    /// Seeds the jitter of its back-off.
    pub seed: u64,
}

impl Message {
    /// The message as an entry of a transcript.
    pub fn into_entry(self) -> Entry {
        Entry::Person { text: self.text, images: self.images, label: self.label }
    }

    /// What the person at the terminal types.
    pub fn typed(text: impl Into<Box<str>>) -> Message {
        Message { text: text.into(), images: Vec::new(), label: Label::from(Origin::Person) }
    }
}
