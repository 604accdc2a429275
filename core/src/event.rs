//! Typed events: what the kernel did, for logs, traces, audit and the live view.
//!
//! They hold ids, counts and names, never text from the transcript: writing every event down reveals
//! nothing private.

use alloc::{boxed::Box, sync::Arc};

use crate::digest::Digest;
use crate::gate::Reason;
use crate::governor::{Governor, Spending};
use crate::label::Label;
use crate::model::{ModelErrorKind, Stop, ToolUse, Usage};
use crate::tool::{Acts, Manifest};
use crate::transcript::ToolOutcome;
use crate::words::{WishId, names};

/// One thing a task did or that happened to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The task began.
    Spawned {
        /// Generations above it.
        depth: u8,
        /// The label of its goal and history.
        label: Label,
    },
    /// A model was asked.
    Asked {
        /// The question.
        ask: WishId,
        /// Which model of the fallback chain, from 0.
        model: usize,
        /// How often this question failed before.
        attempt: u32,
        /// Entries and bytes the model is shown, standing instructions and tools included.
        entries: usize,
        /// See `entries`.
        bytes: usize,
        /// Whether it may call tools.
        tool_use: ToolUse,
    },
    /// A model answered.
    Answered {
        /// The question.
        ask: WishId,
        /// What it cost.
        usage: Usage,
        /// Why it stopped.
        stop: Stop,
        /// Tool calls it made.
        calls: usize,
    },
    /// A question failed.
    Failed {
        /// The question.
        ask: WishId,
        /// How.
        kind: ModelErrorKind,
        /// What happens next.
        next: Next,
    },
    /// A call was authorised and runs.
    Allowed {
        /// The run.
        run: WishId,
        /// The tool.
        tool: Arc<Manifest>,
        /// The digest of the exact call.
        digest: Digest,
        /// What it does.
        acts: Acts,
    },
    /// The person is asked about a call.
    Wanted {
        /// The approval.
        approval: WishId,
        /// The tool.
        tool: Arc<Manifest>,
        /// The digest of the exact call.
        digest: Digest,
        /// Why.
        reason: Reason,
    },
    /// The person said yes.
    Approved {
        /// The approval.
        approval: WishId,
        /// For this call or for the rest of the task.
        scope: Scope,
    },
    /// A call was refused.
    Refused {
        /// The tool's name as the model wrote it, cut to 64 bytes.
        tool: Box<str>,
        /// [`crate::gate::Refusal::name`].
        why: &'static str,
    },
    /// A tool or child reported.
    Returned {
        /// The run.
        run: WishId,
        /// How it went.
        outcome: ToolOutcome,
        /// Bytes of output.
        bytes: usize,
        /// Label of the output.
        label: Label,
    },
    /// A child task was wished for.
    Delegated {
        /// The run.
        run: WishId,
    },
    /// The task's label grew.
    Labelled {
        /// What it is now.
        label: Label,
    },
    /// A budget is spent.
    Tripped {
        /// Which.
        governor: Governor,
    },
    /// Old entries were folded away.
    Folded {
        /// How.
        how: Folding,
        /// Entries that were folded.
        entries: usize,
        /// Bytes they had before.
        bytes_before: usize,
        /// Bytes the model is shown in their place.
        bytes_after: usize,
    },
    /// A message from the person came in on the way.
    Steered,
    /// The task is over.
    Ended {
        /// [`crate::facts::Verdict::name`].
        verdict: &'static str,
        /// What it used.
        spending: Spending,
    },
}

/// What follows a failed question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same again, after this many milliseconds.
    Retry {
        /// The wait.
        after_ms: u64,
    },
    /// The next model of the chain.
    Fallback,
    /// The same with a shorter context.
    Fold,
    /// Nothing: the task ends.
    GiveUp,
}

names! {
    /// How long an approval holds.
    pub enum Scope {
        /// For the exact call that was shown.
        Once = "once",
        /// For calls like it until the task ends.
        Task = "task",
    }
}

names! {
    /// How entries were folded.
    pub enum Folding {
        /// Tool results became references that can be opened again.
        References = "references",
        /// Turns became a summary.
        Summary = "summary",
    }
}
