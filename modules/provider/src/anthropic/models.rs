//! What the Claude models take and refuse, told from their names.
//!
//! Source: Claude Platform documentation, "Thinking", "Effort", "Preserved thinking: prefix checks" and the
//! migration guides of the 5.x models.

use aether_core::model::Effort;

/// A generation: major and minor number, as in the model's name.
type Version = (u32, u32);

/// The generation that a name without numbers is taken for.
const VERSION_ASSUMED: Version = (5, 5);
/// Before it, thinking has a budget; from it on, the model adapts.
const VERSION_ADAPTIVE: Version = (4, 6);
/// From it on, thinking is on unless it is turned off.
const VERSION_ALWAYS: Version = (5, 0);
/// From it on, a thinking block is bound to everything that stood before it.
const VERSION_BOUND: Version = (5, 1);
/// The first generation that thinks.
const VERSION_THINKING: Version = (3, 7);
/// The first generation that takes schemas for outputs and strict tools.
const VERSION_SCHEMA: Version = (4, 5);
/// The smallest thinking budget the API takes, in tokens.
const BUDGET_TOKENS_MIN: u32 = 1024;

/// One model, as far as a request must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// `None` for models of other makers behind a compatible server.
    version: Option<Version>,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Haiku,
    Sonnet,
    Opus,
    Other,
}

/// What a request says about thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Nothing: the model's own way.
    Unsaid,
    /// None at all.
    Disabled,
    /// None but between tool calls.
    BetweenTools,
    /// As much as the model finds right.
    Adaptive,
    /// At most this many tokens.
    Enabled {
        /// Fewer than the answer may have.
        budget_tokens: u32,
    },
}

impl Model {
    /// Reads a name such as `claude-opus-5-5`, `claude-3-5-sonnet-20241022` or `anthropic/claude-sonnet-4.6`.
    pub(super) fn named(name: &str) -> Model {
        let Some((_, rest)) = name.split_once("claude") else {
            return Model { version: None, family: Family::Other };
        };
        let mut family = Family::Other;
        let mut version: Option<Version> = None;
        let mut is_minor_next = false;
        for segment in rest.split(['-', '.', '@', ':', '/']) {
            match segment {
                "haiku" => family = Family::Haiku,
                "sonnet" => family = Family::Sonnet,
                "opus" => family = Family::Opus,
                _ => {}
            }
            // Dates have more digits than generations.
            let number = segment.parse::<u32>().ok().filter(|_| segment.len() <= 2);
            match (number, version) {
                (Some(major), None) => version = Some((major, 0)),
                (Some(minor), Some((major, _))) if is_minor_next => version = Some((major, minor)),
                _ => {}
            }
            is_minor_next = number.is_some() && !is_minor_next;
        }
        Model { version: Some(version.unwrap_or(VERSION_ASSUMED)), family }
    }

    /// Whether it is one of Anthropic's, which take the newest fields.
    pub(super) fn is_claude(self) -> bool {
        self.version.is_some()
    }

    fn is_from(self, version: Version) -> bool {
        self.version.is_some_and(|own| own >= version)
    }

    /// Whether it takes a schema for its output, and strict tools.
    pub(super) fn has_schemas(self) -> bool {
        self.is_from(VERSION_SCHEMA)
    }

    /// Whether its thinking blocks are refused once anything before them has changed.
    pub(super) fn binds_thinking(self) -> bool {
        self.is_from(VERSION_BOUND)
    }

    /// Whether it refuses a tool call that its thinking was taken from. Newer ones take it.
    pub(super) fn misses_thinking(self) -> bool {
        !self.is_from(VERSION_ADAPTIVE)
    }

    /// How much to think, when an answer has at most `output_tokens_max`.
    pub(super) fn thinking(self, effort: Effort, output_tokens_max: u32) -> Thinking {
        let Some(version) = self.version else { return Thinking::Unsaid };
        match effort {
            Effort::Unset if version >= VERSION_ALWAYS => Thinking::Adaptive,
            Effort::Unset => Thinking::Unsaid,
            Effort::Minimal if version < VERSION_ALWAYS => Thinking::Unsaid,
            Effort::Minimal => match (self.family, version) {
                (Family::Haiku, (5, _)) | (Family::Opus | Family::Sonnet, (5, 0)) => Thinking::Disabled,
                (Family::Sonnet, _) => Thinking::BetweenTools,
                _ => Thinking::Adaptive,
            },
            _ if version >= VERSION_ADAPTIVE => Thinking::Adaptive,
            _ if version >= VERSION_THINKING => budget(effort, output_tokens_max),
            _ => Thinking::Unsaid,
        }
    }

    /// The word for an effort, where the model has one.
    pub(super) fn effort(self, effort: Effort) -> Option<&'static str> {
        if !self.is_from(VERSION_ADAPTIVE) {
            return None;
        }
        match effort {
            Effort::Unset => None,
            Effort::Minimal | Effort::Low => Some("low"),
            Effort::Medium => Some("medium"),
            Effort::High => Some("high"),
        }
    }
}

fn budget(effort: Effort, output_tokens_max: u32) -> Thinking {
    let wanted = match effort {
        Effort::Unset | Effort::Minimal | Effort::Low => 2048,
        Effort::Medium => 8192,
        Effort::High => 24_576,
    };
    // Half of the answer at least stays for its text.
    let budget_tokens = wanted.min(output_tokens_max / 2);
    if budget_tokens < BUDGET_TOKENS_MIN { Thinking::Unsaid } else { Thinking::Enabled { budget_tokens } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str) -> Option<Version> {
        Model::named(name).version
    }

    #[test]
    fn generations_are_read_from_names() {
        assert_eq!(version("claude-opus-5-5"), Some((5, 5)));
        assert_eq!(version("claude-opus-5"), Some((5, 0)));
        assert_eq!(version("claude-opus-5-20260722"), Some((5, 0)));
        assert_eq!(version("claude-haiku-4-5-20251001"), Some((4, 5)));
        assert_eq!(version("claude-3-5-sonnet-20241022"), Some((3, 5)));
        assert_eq!(version("claude-sonnet-4@20250514"), Some((4, 0)));
        assert_eq!(version("anthropic/claude-sonnet-4.6"), Some((4, 6)));
        assert_eq!(version("us.anthropic.claude-fable-5-1-v1:0"), Some((5, 1)));
        assert_eq!(version("claude-opus-5-fast-preview-7"), Some((5, 0)));
        assert_eq!(version("claude-next"), Some(VERSION_ASSUMED));
        assert_eq!(version("kimi-k2"), None);
    }

    #[test]
    fn each_generation_is_asked_to_think_in_its_own_way() {
        let thinking = |name: &str, effort| Model::named(name).thinking(effort, 16_384);
        assert_eq!(thinking("claude-opus-5-5", Effort::Unset), Thinking::Adaptive);
        assert_eq!(thinking("claude-opus-5-5", Effort::Minimal), Thinking::Adaptive);
        assert_eq!(thinking("claude-fable-5-1", Effort::Minimal), Thinking::Adaptive);
        assert_eq!(thinking("claude-sonnet-5-5", Effort::Minimal), Thinking::BetweenTools);
        assert_eq!(thinking("claude-haiku-5-5", Effort::Minimal), Thinking::Disabled);
        assert_eq!(thinking("claude-opus-5", Effort::Minimal), Thinking::Disabled);
        assert_eq!(thinking("claude-opus-4-8", Effort::Unset), Thinking::Unsaid);
        assert_eq!(thinking("claude-opus-4-8", Effort::Minimal), Thinking::Unsaid);
        assert_eq!(thinking("claude-opus-4-8", Effort::High), Thinking::Adaptive);
        assert_eq!(thinking("claude-haiku-4-5", Effort::Low), Thinking::Enabled { budget_tokens: 2048 });
        assert_eq!(thinking("claude-haiku-4-5", Effort::High), Thinking::Enabled { budget_tokens: 8192 });
        assert_eq!(Model::named("claude-haiku-4-5").thinking(Effort::Low, 2000), Thinking::Unsaid);
        assert_eq!(thinking("claude-3-5-sonnet-20241022", Effort::High), Thinking::Unsaid);
        assert_eq!(thinking("glm-5", Effort::High), Thinking::Unsaid);
    }

    #[test]
    fn effort_has_a_word_only_where_the_model_knows_it() {
        let effort = |name: &str, effort| Model::named(name).effort(effort);
        assert_eq!(effort("claude-opus-5-5", Effort::Unset), None);
        assert_eq!(effort("claude-opus-5-5", Effort::Minimal), Some("low"));
        assert_eq!(effort("claude-opus-4-6", Effort::Medium), Some("medium"));
        assert_eq!(effort("claude-haiku-4-5", Effort::High), None);
        assert_eq!(effort("glm-5", Effort::High), None);
    }
}
