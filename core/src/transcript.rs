//! The transcript: what was said in a task, each entry with its label.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::label::{Label, Origin};
use crate::model::Part;
use crate::words::names;

/// An image for the model to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Such as `image/png`.
    pub media_type: Box<str>,
    /// The file's bytes.
    pub bytes: Arc<[u8]>,
}

/// One entry of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The goal, or a message that steers the task on its way.
    Person {
        /// What was said.
        text: Box<str>,
        /// What was shown.
        images: Vec<Image>,
        /// Where it came from.
        label: Label,
    },
    /// One turn of the model.
    Model {
        /// Its pieces, in order. Never empty.
        parts: Vec<Part>,
        /// The codec that read them ([`crate::model::Codec::name`]).
        codec: &'static str,
    },
    /// The result of one tool call. All results of a turn follow it directly, in the order of the calls.
    Tool(ToolEntry),
    /// A word from the kernel to the model: a governor tripped, or a summary of turns that were folded away.
    Note {
        /// What is said.
        text: Box<str>,
        /// What went into it.
        label: Label,
    },
}

/// The result of one tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolEntry {
    /// The provider's id of the call.
    pub call: Box<str>,
    /// The tool's name.
    pub name: Box<str>,
    /// Whether the tool did what was asked.
    pub outcome: ToolOutcome,
    /// The whole output.
    pub text: Box<str>,
    /// What the model is shown instead of `text`, once that was folded away.
    pub folded: Option<Box<str>>,
    /// Where it came from.
    pub label: Label,
}

impl ToolEntry {
    /// What the model is shown.
    pub fn shown(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.text)
    }
}

names! {
    /// Whether a tool did what was asked.
    pub enum ToolOutcome {
        /// It did.
        Done = "done",
        /// It did not: it failed, was refused, or does not exist.
        Failed = "failed",
    }
}

impl Entry {
    /// The entry's label. A model's turn has the label of its origin alone; what it read is in the entries before it.
    pub fn label(&self) -> Label {
        match self {
            Entry::Person { label, .. } | Entry::Note { label, .. } => *label,
            Entry::Tool(tool) => tool.label,
            Entry::Model { .. } => Label::from(Origin::Model),
        }
    }

    /// Bytes of text and images that the model is shown.
    pub fn shown_bytes(&self) -> usize {
        self.bytes(|image| image.bytes.len())
    }

    /// Bytes of text and images that are kept, folded results included.
    pub fn held_bytes(&self) -> usize {
        let folded = if let Entry::Tool(ToolEntry { folded: Some(_), text, .. }) = self { text.len() } else { 0 };
        self.shown_bytes() + folded
    }

    /// Bytes of text that take as much of the context window as this does.
    pub(crate) fn weight(&self) -> usize {
        self.bytes(|_| IMAGE_WEIGHT_BYTES)
    }

    fn bytes(&self, image_bytes: fn(&Image) -> usize) -> usize {
        match self {
            Entry::Person { text, images, .. } => text.len() + images.iter().map(image_bytes).sum::<usize>(),
            Entry::Note { text, .. } => text.len(),
            Entry::Tool(tool) => tool.shown().len(),
            Entry::Model { parts, .. } => parts.iter().map(Part::bytes).sum(),
        }
    }
}

/// Providers count an image by its size in pixels, not in bytes: about 1,500 tokens for a large one.
const IMAGE_WEIGHT_BYTES: usize = 6_000;

impl Part {
    fn bytes(&self) -> usize {
        match self {
            Part::Text(text) | Part::Carried(text) => text.len(),
            Part::Call(call) => call.name.len() + call.input.len(),
        }
    }
}
