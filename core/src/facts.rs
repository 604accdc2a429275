//! What goes into a task and what comes out of it.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use crate::event::{Event, Scope};
use crate::gate::Reason;
use crate::governor::{Governor, Spending};
use crate::label::Label;
use crate::model::{ModelError, ModelEvent};
use crate::spec::{Message, Spec};
use crate::task::STEERS_MAX;
use crate::tool::{Acts, Authorized, Manifest, Output, ToolCall};
use crate::transcript::Entry;
use crate::words::{WishId, reads};

/// A fact for a task.
#[derive(Debug)]
pub enum Input {
    /// Part of a model's answer.
    Model {
        /// The question it answers.
        ask: WishId,
        /// The part.
        event: ModelEvent,
    },
    /// A tool reported.
    Tool {
        /// The run.
        run: WishId,
        /// What it gave.
        output: Output,
    },
    /// The person answered.
    Approval {
        /// The request.
        approval: WishId,
        /// The answer.
        answer: Answer,
    },
    /// A child task ended.
    Child {
        /// The run it was spawned for.
        run: WishId,
        /// What became of it.
        report: ChildReport,
    },
    /// The person says something on the way.
    Steer(Message),
    /// The person wants it to stop.
    Interrupt,
    /// Time passed.
    Tick,
}

/// The answer to an approval request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes(Scope),
    /// No, and why; the reason may be empty.
    No(Box<str>),
}

/// What became of a child task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildReport {
    /// How it ended; `Err` where it could not begin.
    pub verdict: Result<Verdict, Box<str>>,
    /// Its answer.
    pub answer: Box<str>,
    /// Everything that went into it.
    pub label: Label,
    /// What it used.
    pub spending: Spending,
}

/// A wish of a task.
#[derive(Debug)]
pub enum Effect {
    /// Ask a model. The question is [`crate::task::Task::question`].
    Ask {
        /// The question.
        ask: WishId,
        /// Which of [`crate::spec::Frame::models`].
        model: usize,
    },
    /// Run a tool.
    Run {
        /// The run.
        run: WishId,
        /// Permission for it.
        authorized: Box<Authorized>,
    },
    /// Ask the person.
    Approve {
        /// The request.
        approval: WishId,
        /// What it is about.
        request: Box<ApprovalRequest>,
    },
    /// Let a child task work.
    Spawn {
        /// The run.
        run: WishId,
        /// The child.
        child: Box<Spec>,
    },
    /// Stop working on an open wish. Whatever answer still comes is refused.
    Cancel {
        /// Which.
        wish: WishId,
    },
    /// Say a piece of text to the person.
    Say {
        /// The question whose answer it is part of.
        ask: WishId,
        /// The piece.
        text: String,
    },
    /// Show a piece of the model's reasoning.
    Reason {
        /// The question.
        ask: WishId,
        /// The piece.
        text: String,
    },
    /// What was said of this answer is void: it broke off and the question is asked again.
    Unsay {
        /// The question.
        ask: WishId,
    },
    /// Write an event down.
    Note(Event),
    /// The task is over.
    End(Box<Outcome>),
}

impl Effect {
    /// The wish that this effect makes, if it expects an answer.
    pub(crate) fn opens(&self) -> Option<WishId> {
        match self {
            Effect::Ask { ask: wish, .. }
            | Effect::Run { run: wish, .. }
            | Effect::Approve { approval: wish, .. }
            | Effect::Spawn { run: wish, .. } => Some(*wish),
            _ => None,
        }
    }
}

/// What the person is asked to approve: the exact call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The call.
    pub call: ToolCall,
    /// The tool.
    pub tool: Arc<Manifest>,
    /// What it would do.
    pub acts: Acts,
    /// Why the person is asked.
    pub reason: Reason,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The model was done.
    Done,
    /// The last answer reached the limit on output tokens of one answer.
    Length,
    /// The model declined, or its provider withheld the answer.
    Refused,
    /// A budget was spent; the answer is the best the model had.
    Spent(Governor),
    /// No model answered.
    Failed(ModelError),
    /// The person stopped it.
    Interrupted,
}

impl Verdict {
    /// The name in events and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Done => "done",
            Verdict::Length => "length",
            Verdict::Refused => "refused",
            Verdict::Spent(governor) => governor.name(),
            Verdict::Failed(error) => error.kind.name(),
            Verdict::Interrupted => "interrupted",
        }
    }
}

/// What a task leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The text of the model's last turn.
    pub answer: Box<str>,
    /// The transcript, with summaries in the place of what they replaced; every call in it has its result.
    pub entries: Vec<Entry>,
    /// Everything that went into it.
    pub label: Label,
    /// What it used, its children included.
    pub spending: Spending,
}

/// A fact that does not fit. The task is as it was (K6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surprise {
    /// The task is over.
    Ended,
    /// No such wish is open: it was answered before, cancelled, or never made (K2).
    NotOpen(WishId),
    /// Too many messages wait already; the limit is [`STEERS_MAX`].
    Full,
    /// The task has begun its closing turn and takes no more messages.
    Closing,
}

reads! { Surprise: |self, f| match self {
    Surprise::Ended => f.write_str("the task is over"),
    Surprise::NotOpen(wish) => write!(f, "wish {wish} is not open"),
    Surprise::Full => write!(f, "{STEERS_MAX} messages wait already"),
    Surprise::Closing => f.write_str("the task is giving its last answer"),
} }
