//! How much an event matters.

use std::fmt;

use aether_core::event::{Event, Next};

/// How much an event matters; `Error` is the least, `Debug` the greatest, so that a log of level `most` shows each
/// event with `level(event) <= most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something did not work and was given up.
    Error,
    /// Something did not work at first, or was refused.
    Warn,
    /// What a person would want to know of a task afterwards.
    Info,
    /// Every step.
    Debug,
}

impl Level {
    /// All of them, from the least talkative.
    pub const ALL: &'static [Level] = &[Level::Error, Level::Warn, Level::Info, Level::Debug];

    /// The name in lines, flags and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// The level of that name; `None` if there is none, as for `off`.
    #[must_use]
    pub fn named(name: &str) -> Option<Level> {
        Level::ALL.iter().copied().find(|level| level.name() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much `event` matters.
#[must_use]
pub fn level(event: &Event) -> Level {
    match event {
        Event::Failed { next: Next::GiveUp, .. } => Level::Error,
        Event::Failed { .. } | Event::Refused { .. } | Event::Tripped { .. } => Level::Warn,
        Event::Spawned { .. }
        | Event::Allowed { .. }
        | Event::Wanted { .. }
        | Event::Approved { .. }
        | Event::Delegated { .. }
        | Event::Folded { .. }
        | Event::Ended { .. } => Level::Info,
        Event::Asked { .. } | Event::Answered { .. } | Event::Returned { .. } => Level::Debug,
        Event::Labelled { .. } | Event::Steered => Level::Debug,
    }
}
