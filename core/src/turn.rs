//! One turn of a model while it is being read.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::model::{Part, Usage};
use crate::tool::ToolCall;

/// The pieces of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    parts: Vec<Part>,
    /// Text that no other part has followed yet.
    open: String,
    /// What the provider last said it costs.
    pub(crate) usage: Usage,
}

impl Turn {
    pub(crate) fn text(&mut self, piece: &str) {
        self.open.push_str(piece);
    }

    pub(crate) fn part(&mut self, part: Part) {
        self.close();
        self.parts.push(part);
    }

    pub(crate) fn tool_calls(&self) -> Vec<ToolCall> {
        self.parts.iter().filter_map(Part::call).cloned().collect()
    }

    pub(crate) fn has_text(&self) -> bool {
        !self.open.is_empty() || self.parts.iter().any(|part| matches!(part, Part::Text(_)))
    }

    /// Only the text: what is left of a turn that was broken off or may not call.
    pub(crate) fn without_calls(mut self) -> Turn {
        self.close();
        self.parts.retain(|part| matches!(part, Part::Text(_)));
        self
    }

    /// All its text in one.
    pub(crate) fn whole_text(mut self) -> Box<str> {
        self.close();
        text_of(&self.parts)
    }

    /// Its parts; `None` if nothing in them would ever be shown or run.
    pub(crate) fn into_parts(mut self) -> Option<Vec<Part>> {
        self.close();
        self.parts.shrink_to_fit();
        (self.has_text() || self.parts.iter().any(|part| part.call().is_some())).then_some(self.parts)
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.parts.push(Part::Text(core::mem::take(&mut self.open).into()));
        }
    }
}

/// All the text among `parts`, in one.
pub(crate) fn text_of(parts: &[Part]) -> Box<str> {
    parts.iter().map(|part| if let Part::Text(text) = part { text } else { "" }).collect::<String>().into()
}
