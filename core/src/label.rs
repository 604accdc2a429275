//! Labels: where a piece of a transcript came from, and the two bits that the sink rule is about.

use crate::words::{joined, names, reads};

names! {
    /// Who or what a piece of text came from.
    pub enum Origin {
        /// The person this task works for.
        Person = "person",
        /// The model's own words.
        Model = "model",
        /// A tool, about things on this machine.
        Tool = "tool",
        /// The public network.
        Web = "web",
        /// Somebody on a channel who is not the owner.
        Guest = "guest",
        /// Another node.
        Peer = "peer",
    }
}

/// The label of a text: every origin that went into it, and whether it is untrusted or private.
///
/// Labels form a join-semilattice under [`Label::join`]; the bottom is [`Label::default`]. A label only
/// ever grows: nothing a model says can take a bit away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label {
    origins: u8,
    /// Somebody other than the person could have written it, to steer the model.
    pub untrusted: bool,
    /// The person would not want it to leave this machine unasked.
    pub private: bool,
}

impl Label {
    /// Something from `origin`: neither private nor, unless the origin is a stranger, untrusted.
    pub const fn from(origin: Origin) -> Label {
        Label {
            origins: 1 << origin as u8,
            untrusted: matches!(origin, Origin::Web | Origin::Guest | Origin::Peer),
            private: false,
        }
    }

    /// The same label, private.
    pub const fn private(mut self) -> Label {
        self.private = true;
        self
    }

    /// The same label, untrusted.
    pub const fn untrusted(mut self) -> Label {
        self.untrusted = true;
        self
    }

    /// The label of a text made from both: the least upper bound.
    pub const fn join(self, other: Label) -> Label {
        Label {
            origins: self.origins | other.origins,
            untrusted: self.untrusted | other.untrusted,
            private: self.private | other.private,
        }
    }

    /// Whether a text with this label may stand where `other` is already assumed.
    pub fn within(self, other: Label) -> bool {
        self.join(other) == other
    }

    /// Whether `origin` went into it.
    pub fn has(self, origin: Origin) -> bool {
        self.origins & (1 << origin as u8) != 0
    }

    /// Whether the sink rule applies: private data **and** a stranger's words in one place.
    pub fn is_tainted(self) -> bool {
        self.untrusted && self.private
    }
}

reads! { Label: |self, f| {
    let origins = Origin::ALL.iter().filter(|origin| self.has(**origin)).map(|origin| origin.name());
    let untrusted = self.untrusted.then_some("untrusted");
    joined(f, "none", origins.chain(untrusted).chain(self.private.then_some("private")))
} }
