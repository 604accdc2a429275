//! What each profile sets besides the standing instructions.

/// Whether an edit replaces what the person has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// It does.
    Always,
    /// It only fills a gap.
    Gap,
}

/// The keys of a profile, where the person has not set them otherwise.
pub(crate) fn extras(profile: &str) -> &'static [(&'static str, &'static str)] {
    match profile {
        // Changing code takes more steps than answering a question.
        "coder" => &[("limits.model_calls", "120"), ("limits.tool_calls", "600")],
        // A small machine, perhaps on battery and on a metered line. Less thinking would suit it, too, but the models
        // that fit on such machines often refuse to be told how hard to think.
        "edge" => &[
            ("limits.model_calls", "20"),
            ("limits.tool_calls", "60"),
            ("trace.files_max", "50"),
            ("trace.file_bytes_max", "1048576"),
        ],
        // Nobody watches: what happens is read from the log.
        "server" => &[("color", "never"), ("log.level", "info")],
        _ => &[],
    }
}

/// What a profile is for, in a few words.
pub(crate) fn purpose(profile: &str) -> &'static str {
    match profile {
        "assistant" => "everyday questions and small jobs",
        "coder" => "work on code: more steps before it stops",
        "edge" => "a small or battery-powered machine: fewer steps, smaller traces",
        "server" => "nobody watches: no colour, every step in the log",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_core::config::Config;
    use aether_settings::keys::{TABLES, house::PROFILES};

    #[test]
    fn every_profile_has_a_purpose_and_sets_keys_that_exist() {
        let config = Config::new(TABLES);
        for profile in PROFILES {
            assert!(!purpose(profile).is_empty(), "{profile}");
            for (name, value) in extras(profile) {
                let key = config.key(name).unwrap_or_else(|| panic!("{name}"));
                assert!(key.kind.read(value).is_ok(), "{name} = {value}");
            }
        }
    }
}
