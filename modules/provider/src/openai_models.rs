//! What the names of OpenAI's models say about what they take.
//!
//! Sources: OpenAI, "Reasoning models" and "Migrate to the Responses API"; the error messages of the API.

use aether_core::model::Effort;

/// A model by its name, whichever server has it: the vendor's prefix (`openai/gpt-5`) does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenAiModel<'a> {
    name: &'a str,
    /// Major and minor number of a `gpt-N.M`.
    version: Option<(u8, u8)>,
}

impl<'a> OpenAiModel<'a> {
    pub(crate) fn of(model: &'a str) -> OpenAiModel<'a> {
        let name = model.rsplit('/').next().unwrap_or(model);
        OpenAiModel { name, version: name.strip_prefix("gpt-").and_then(version) }
    }

    /// Whether it reasons: it then refuses a temperature and `max_tokens`, and takes an effort.
    pub(crate) fn reasons(self) -> bool {
        let is_o = self.name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let is_gpt = self.version.is_some_and(|(major, _)| major >= 5) && !self.name.contains("-chat");
        is_o || is_gpt || self.name.starts_with("codex-")
    }

    /// Whether it takes function tools in Chat Completions only without any reasoning.
    pub(crate) fn wants_responses_for_tools(self) -> bool {
        self.reasons() && self.version.is_some_and(|version| version >= (5, 4))
    }

    /// Whether it takes the effort `none`.
    pub(crate) fn takes_no_effort(self) -> bool {
        let Some(version) = self.version else { return false };
        let never = ["-astra", "-codex", "-pro"].iter().any(|part| self.name.contains(part));
        ((5, 1)..(6, 2)).contains(&version) && !never && !self.name.starts_with("gpt-6.1-sol")
    }

    /// The word for an effort; `None` leaves it to the provider.
    pub(crate) fn effort(self, effort: Effort) -> Option<&'static str> {
        Some(match effort {
            Effort::Unset => return None,
            Effort::Minimal if self.takes_no_effort() => "none",
            Effort::Minimal if self.version == Some((5, 0)) && !self.name.contains("-codex") => "minimal",
            Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
        })
    }
}

/// `5.4-mini` is 5 and 4, `5` is 5 and 0, `4o` is 4 and 0, `oss-120b` is nothing.
fn version(text: &str) -> Option<(u8, u8)> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (major, rest) = text.split_at(digits(text));
    let minor = rest.strip_prefix('.').map_or("0", |rest| &rest[..digits(rest)]);
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_model_takes() {
        let rows = [
            ("gpt-4o", false, false),
            ("gpt-4.1-mini", false, false),
            ("gpt-5", true, false),
            ("gpt-5-chat-latest", false, false),
            ("gpt-5.3-chat-latest", false, false),
            ("openai/gpt-5.4-mini", true, true),
            ("gpt-6-astra", true, true),
            ("gpt-6.2", true, true),
            ("o4-mini", true, false),
            ("openai/gpt-oss-120b", false, false),
            ("olmo-3", false, false),
            ("", false, false),
            ("gpt-", false, false),
            ("gpt-999.1", false, false),
        ];
        for (name, reasons, wants_responses) in rows {
            let model = OpenAiModel::of(name);
            assert_eq!((model.reasons(), model.wants_responses_for_tools()), (reasons, wants_responses), "{name}");
        }
    }

    #[test]
    fn the_least_effort_is_one_the_model_takes() {
        let rows = [
            ("gpt-5", "minimal"),
            ("gpt-5-codex", "low"),
            ("gpt-5.1", "none"),
            ("gpt-5.1-codex-max", "low"),
            ("gpt-6-sol", "none"),
            ("gpt-6-astra", "low"),
            ("gpt-6.1-sol", "low"),
            ("gpt-6.1-terra", "none"),
            ("gpt-6.2-sol", "low"),
            ("o3", "low"),
            ("qwen3-coder", "low"),
        ];
        for (name, word) in rows {
            assert_eq!(OpenAiModel::of(name).effort(Effort::Minimal), Some(word), "{name}");
        }
        assert_eq!(OpenAiModel::of("gpt-5").effort(Effort::Unset), None);
        assert_eq!(OpenAiModel::of("gpt-5").effort(Effort::High), Some("high"));
    }
}
