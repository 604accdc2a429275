//! The keys of the command line itself.

use aether_core::config::{Key, Kind};

use super::{key, unset};

/// What an installation is mostly used for, in the order in which `aether onboard` offers it.
pub const PROFILES: &[&str] = &["assistant", "coder", "edge", "server"];

/// The table.
pub const KEYS: &[Key] = &[
    unset(
        "model",
        Kind::Text,
        "The model to ask, as provider/name, such as anthropic/claude-sonnet-5-5 or builtin/offline.",
    ),
    unset("script", Kind::Text, "The file of turns that the model builtin/script plays, one JSON object a line."),
    key("fallback", Kind::List, "", "The models to ask in turn when the first one fails, each as provider/name."),
    key(
        "workspace",
        Kind::Text,
        ".",
        "The directory that file tools may use, relative to where the program was started.",
    ),
    key(
        "profile",
        Kind::Choice(PROFILES),
        "assistant",
        "What this installation is mostly used for, which chooses the standing instructions.",
    ),
    key(
        "color",
        Kind::Choice(&["auto", "always", "never"]),
        "auto",
        "Whether to use colour, where auto means on a terminal without NO_COLOR.",
    ),
];
