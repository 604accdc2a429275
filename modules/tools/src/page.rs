//! Outputs that fit: cut between characters and lines, with a word on what was cut (T1).

use aether_core::label::Label;
use aether_core::tool::{Authorized, Output};
use aether_core::transcript::ToolOutcome;

/// What stays free for the line that says what is shown.
pub(crate) const HEADER_BYTES_MAX: usize = 400;

/// The bytes of output that a call may give.
pub(crate) fn bytes_max(call: &Authorized) -> usize {
    usize::try_from(call.limits().output_bytes_max).unwrap_or(usize::MAX)
}

/// The output of a tool that did what was asked.
pub(crate) fn done(call: &Authorized, text: String, label: Label) -> Output {
    output(call, ToolOutcome::Done, text, label)
}

/// An output, never larger than the call's limit.
pub(crate) fn output(call: &Authorized, outcome: ToolOutcome, text: String, label: Label) -> Output {
    Output { outcome, text: bounded(text, bytes_max(call)).into(), label }
}

/// The last resort for an output whose author did not keep it within the limit.
fn bounded(mut text: String, bytes_max: usize) -> String {
    const CUT: &str = "\n[cut here: the output limit of this call is reached]";
    if text.len() > bytes_max {
        text.truncate(floor(&text, bytes_max.saturating_sub(CUT.len())));
        if text.len() + CUT.len() <= bytes_max {
            text.push_str(CUT);
        }
    }
    text
}

/// A heading and as many lines as fit. Where not all do, or `more` were never collected, `rest(shown)` says how to
/// see the others.
pub(crate) fn listed(
    heading: &str,
    lines: &[String],
    more: usize,
    bytes_max: usize,
    rest: impl Fn(usize) -> String,
) -> String {
    let room = bytes_max.saturating_sub(HEADER_BYTES_MAX);
    let mut text = String::from(heading);
    let mut shown = 0;
    for line in lines {
        if text.len() + 1 + line.len() > room {
            break;
        }
        text.push('\n');
        text.push_str(line);
        shown += 1;
    }
    if shown < lines.len() || more > 0 {
        text.push('\n');
        text.push_str(&rest(shown));
    }
    text
}

/// The largest index at most `at` that lies between two characters.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

/// The start of a text, with `…` if that is not all of it.
pub(crate) fn clipped(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..floor(text, bytes_max)])
}

/// `1 line`, `2 lines`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_nothing_is_larger_than_its_limit_or_cut_within_a_character() {
        for limit in 0..200 {
            let text = bounded("äöü€😀".repeat(20), limit);
            assert!(text.len() <= limit, "{limit}");
        }
        assert_eq!(bounded("short".into(), 5), "short");
        let lines: Vec<String> = (0..1_000).map(|n| format!("line {n}")).collect();
        let text = listed("head", &lines, 0, 1_000, |shown| format!("{shown} of 1000 shown"));
        assert!(text.len() <= 1_000 && text.starts_with("head\nline 0\n"), "{}", text.len());
        let shown = text.matches("\nline ").count();
        assert!(text.ends_with(&format!("{shown} of 1000 shown")) && shown > 50);
        assert_eq!(clipped("äöü", 3), "ä…");
    }
}
