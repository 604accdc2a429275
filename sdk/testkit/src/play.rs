//! The play runner: a golden transcript of a task or a dispatcher, read and written again.
//!
//! A play is text. First come the header's lines, then what is said to the machine (`>`, or `>>` to say more
//! before it is listened to), what it wishes (`<`), what it refuses (`!`) and what is shown (`|`). The runner
//! reads the header, the comments (`#`) and the `>` lines, and writes the rest.

mod header;
mod lines;
mod notation;
mod shown;
mod stage;
pub mod toolbox;

use std::fmt;

use aether_core::model::Part;
use aether_core::transcript::Entry;

use self::header::Setting;
use self::stage::Stage;

/// A play that cannot be performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// Performs a play and writes it down as it went.
///
/// # Errors
/// The line that is no line of a play, or at which a task ended with calls that lack their results.
pub fn perform(play: &str) -> Result<String, Trouble> {
    let mut setting = Some(Setting::default());
    let mut stage: Option<Stage> = None;
    let mut written = String::new();
    for (n, line) in play.lines().enumerate() {
        let trouble = |why| Trouble { line: n + 1, why };
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            written.push_str(line);
            written.push('\n');
        } else if line.starts_with(['>', '<', '!', '|']) {
            if let Some(setting) = setting.take() {
                stage = Some(Stage::open(setting, &mut written).map_err(trouble)?);
            }
            if let (Some(said), Some(stage)) = (line.strip_prefix('>'), &mut stage) {
                written.push_str(line);
                written.push('\n');
                stage.perform(said, &mut written).map_err(trouble)?;
            }
        } else if let Some(setting) = &mut setting {
            setting.read(line).map_err(trouble)?;
            written.push_str(line);
            written.push('\n');
        } else {
            return Err(trouble("the play has begun: wanted a line that starts with `>` or `#`".to_owned()));
        }
    }
    if let Some(setting) = setting {
        Stage::open(setting, &mut written).map_err(|why| Trouble { line: 0, why })?;
    }
    Ok(written)
}

/// Whether every call of a transcript has exactly one result, directly after its turn and in the order of the calls.
///
/// # Errors
/// The entry, from 0, that is out of place.
pub fn settled(entries: &[Entry]) -> Result<(), String> {
    let mut owed: std::collections::VecDeque<&str> = std::collections::VecDeque::new();
    for (n, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Tool(tool) if owed.pop_front() == Some(&*tool.call) => {}
            Entry::Tool(tool) => return Err(format!("entry {n}: no call {} waits for this result", tool.call)),
            _ if !owed.is_empty() => return Err(format!("entry {n}: the result of {} is missing before it", owed[0])),
            Entry::Model { parts, .. } if parts.is_empty() => return Err(format!("entry {n}: an empty turn")),
            Entry::Model { parts, .. } => owed.extend(parts.iter().filter_map(|part| match part {
                Part::Call(call) => Some(&*call.id),
                Part::Text(_) | Part::Carried(_) => None,
            })),
            Entry::Person { .. } | Entry::Note { .. } => {}
        }
    }
    match owed.pop_front() {
        None => Ok(()),
        Some(call) => Err(format!("the result of {call} is missing at the end")),
    }
}

#[cfg(test)]
mod tests {
    use super::{perform, settled};
    use aether_core::label::Label;
    use aether_core::model::Part;
    use aether_core::tool::ToolCall;
    use aether_core::transcript::{Entry, ToolEntry, ToolOutcome};

    #[test]
    fn what_the_machine_does_is_written_by_the_runner() {
        let play = "# One question.\ngoal Go\n> model #1 say \"a \\\"b\\\"\\n\"*2\n! forgotten\n";
        let written = "# One question.\ngoal Go\n< ask #1 after goal\n> model #1 say \"a \\\"b\\\"\\n\"*2\n\
                       < say \"a \\\"b\\\"\\na \\\"b\\\"\\n\"\n\
                       < end done \"a \\\"b\\\"\\na \\\"b\\\"\\n\"; 1 asks, 0 calls [person+model]\n";
        assert_eq!(perform(play).as_deref(), Ok(written));
        assert_eq!(perform(written).as_deref(), Ok(written));
        assert_eq!(perform("goal Go\n").as_deref(), Ok("goal Go\n< ask #1 after goal\n"));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (play, trouble) in [
            ("gaol Go", "line 1: a header has no line `gaol`"),
            ("goal Go\n> model #1 sing \"la\"", "line 2: a model cannot `sing`"),
            ("goal Go\n> model #1 say", "line 2: wanted a text in quotes"),
            ("goal Go\n> model #1 say \"la", "line 2: a text is not closed"),
            ("goal Go\n> tick tock", "line 2: nothing is known about Word(\"tock\") here"),
            ("limits walls=1", "line 1: there is no limit `walls`"),
            ("limits wall=x", "line 1: `x` is no number of this kind"),
            ("goal Go\n> tick\ngrant clock", "line 3: the play has begun: wanted a line that starts with `>` or `#`"),
            ("dispatcher 1 1\n> a: tick", "line 2: no task is called `a`"),
        ] {
            assert_eq!(perform(play).unwrap_err().to_string(), trouble);
        }
    }

    #[test]
    fn a_transcript_without_its_results_is_refused() {
        let call = |id: &str| Part::Call(ToolCall { id: id.into(), name: "clock".into(), input: "x".into() });
        let turn = |ids: &[&str]| Entry::Model { parts: ids.iter().map(|id| call(id)).collect(), codec: "toy" };
        let result = |id: &str| {
            let (outcome, text, folded, label) = (ToolOutcome::Done, "1".into(), None, Label::default());
            Entry::Tool(ToolEntry { call: id.into(), name: "clock".into(), outcome, text, folded, label })
        };
        assert_eq!(settled(&[turn(&["a", "b"]), result("a"), result("b")]), Ok(()));
        for wrong in [
            vec![turn(&["a"])],
            vec![result("a")],
            vec![turn(&[])],
            vec![turn(&["a", "b"]), result("b"), result("a")],
            vec![turn(&["a"]), result("a"), result("a")],
            vec![turn(&["a", "b"]), result("a"), turn(&["c"])],
        ] {
            assert!(settled(&wrong).is_err(), "{wrong:?}");
        }
    }
}
