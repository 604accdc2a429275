//! What the Gemini models take and refuse, told from their names.
//!
//! Source: Gemini API documentation, "Thinking", "Thought signatures", "Structured output" and the developer
//! guides of Gemini 3 and Gemini 4.

use aether_core::model::Effort;

/// A generation: major and minor number, as in the model's name.
type Version = (u32, u32);

/// The generation that a name without numbers is taken for.
const VERSION_ASSUMED: Version = (3, 0);
/// From it on, thinking has levels, calls have signatures, and a schema goes with tools.
const VERSION_LEVELS: Version = (3, 0);
/// The first generation that thinks; its thinking has a budget.
const VERSION_BUDGETS: Version = (2, 5);
/// From it on, sampling parameters are ignored.
const VERSION_UNSAMPLED: Version = (4, 0);

/// One model, as far as a request must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// `None` for models of another name, such as Gemma.
    version: Option<Version>,
    /// Whether it is one of the fast ones, which can think very little or not at all.
    is_flash: bool,
    /// Whether it is made for something else than text, and does not think.
    is_special: bool,
}

/// How much a model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// As it does by itself.
    Own,
    /// A level by name.
    Level(&'static str),
    /// At most this many tokens.
    Budget(u32),
}

impl Model {
    /// Reads a name such as `gemini-3.8-flash` or `models/gemini-2.5-pro`.
    pub(super) fn named(name: &str) -> Model {
        let version = name.split_once("gemini").map(|(_, rest)| {
            let mut numbers = rest.split('-').filter_map(number);
            numbers.next().unwrap_or(VERSION_ASSUMED)
        });
        let is_special = ["image", "tts", "audio", "live", "embedding"].iter().any(|kind| name.contains(kind));
        Model { version, is_flash: name.contains("flash"), is_special }
    }

    fn is_from(self, version: Version) -> bool {
        self.version.is_some_and(|own| own >= version)
    }

    /// Whether it refuses calls without the signature they came with.
    pub(super) fn wants_signatures(self) -> bool {
        self.is_from(VERSION_LEVELS)
    }

    /// Whether it takes a schema for its answer while tools are declared.
    pub(super) fn joins_tools_and_schema(self) -> bool {
        self.is_from(VERSION_LEVELS)
    }

    /// Whether a temperature means anything to it.
    pub(super) fn takes_temperature(self) -> bool {
        !self.is_from(VERSION_UNSAMPLED)
    }

    /// How much to think; `None` to say nothing about it.
    pub(super) fn thinking(self, effort: Effort) -> Option<Thinking> {
        if self.is_special || !self.is_from(VERSION_BUDGETS) {
            return None;
        }
        if self.is_from(VERSION_LEVELS) {
            return Some(match effort {
                Effort::Unset => Thinking::Own,
                Effort::Minimal if self.is_flash => Thinking::Level("MINIMAL"),
                Effort::Minimal | Effort::Low => Thinking::Level("LOW"),
                Effort::Medium => Thinking::Level("MEDIUM"),
                Effort::High => Thinking::Level("HIGH"),
            });
        }
        match effort {
            Effort::Unset => None,
            Effort::Minimal if self.is_flash => Some(Thinking::Budget(0)),
            Effort::Minimal => Some(Thinking::Budget(128)),
            Effort::Low => Some(Thinking::Budget(1024)),
            Effort::Medium => Some(Thinking::Budget(8192)),
            Effort::High => Some(Thinking::Budget(24_576)),
        }
    }
}

fn number(segment: &str) -> Option<Version> {
    let (major, minor) = segment.split_once('.').unwrap_or((segment, "0"));
    if segment.len() > 4 {
        return None;
    }
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_read_from_names() {
        let version = |name: &str| Model::named(name).version;
        assert_eq!(version("gemini-3.8-flash"), Some((3, 8)));
        assert_eq!(version("gemini-4-argon"), Some((4, 0)));
        assert_eq!(version("models/gemini-2.5-flash-preview-09-2025"), Some((2, 5)));
        assert_eq!(version("gemini-flash-latest"), Some(VERSION_ASSUMED));
        assert_eq!(version("gemma-3-27b-it"), None);
    }

    #[test]
    fn each_generation_is_asked_to_think_in_its_own_way() {
        let thinking = |name: &str, effort| Model::named(name).thinking(effort);
        assert_eq!(thinking("gemini-4-argon", Effort::Unset), Some(Thinking::Own));
        assert_eq!(thinking("gemini-4-argon", Effort::Minimal), Some(Thinking::Level("LOW")));
        assert_eq!(thinking("gemini-3.8-flash", Effort::Minimal), Some(Thinking::Level("MINIMAL")));
        assert_eq!(thinking("gemini-3.1-pro-preview", Effort::High), Some(Thinking::Level("HIGH")));
        assert_eq!(thinking("gemini-2.5-flash", Effort::Minimal), Some(Thinking::Budget(0)));
        assert_eq!(thinking("gemini-2.5-pro", Effort::Minimal), Some(Thinking::Budget(128)));
        assert_eq!(thinking("gemini-2.5-pro", Effort::Unset), None);
        assert_eq!(thinking("gemini-2.0-flash", Effort::High), None);
        assert_eq!(thinking("gemini-3.1-flash-image", Effort::High), None);
        assert_eq!(thinking("gemma-3-27b-it", Effort::High), None);
    }

    #[test]
    fn temperature_is_left_out_where_it_means_nothing() {
        assert!(Model::named("gemini-3.8-flash").takes_temperature());
        assert!(Model::named("gemma-3-27b-it").takes_temperature());
        assert!(!Model::named("gemini-4-argon").takes_temperature());
    }
}
